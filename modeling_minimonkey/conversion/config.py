"""
Converts the `config.json` of the original `internvl_chat` format to this project's configuration and back.

A new language model needs an entry in `LANGUAGE_MODELS`, a new chat format one in `PROMPTS`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from transformers import LlamaConfig, Phi3Config, PreTrainedConfig, Qwen2Config

from ..configuration_checks import LIMITS, check_activation, check_number, check_values, own_error, shown
from ..configuration_minimonkey import MiniMonkeyConfig
from .weight_files import read_json
from .weight_names import Renaming, internlm2_weights, transformers_weights


@dataclass(frozen=True)
class OriginalLanguageModel:
    """
    How an original language model, named by `llm_config.model_type`, becomes a model of Transformers.

    Args:
        config_class: The configuration class of Transformers.
        architecture: The name of the published class.
        weights: Makes the list of renamings of its weights, without those of the vision tower and the projector.
        rope_types: `rope_scaling.type` in `llm_config` -> `rope_type` of Transformers.
        optional_names: Names in `llm_config` -> names in `config_class`, besides `TEXT_NAMES`. An absent name gets the
            default of `config_class`, which is also the original's.
    """

    config_class: type[PreTrainedConfig]
    architecture: str
    weights: Callable[[], list[Renaming]]
    rope_types: dict[str, str] = field(default_factory=lambda: {"dynamic": "dynamic", "linear": "linear"})
    optional_names: dict[str, str] = field(default_factory=dict)


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


LANGUAGE_MODELS = {
    "internlm2": OriginalLanguageModel(
        LlamaConfig, "InternLM2ForCausalLM", internlm2_weights, optional_names={"bias": "attention_bias"}
    ),
    "llama": OriginalLanguageModel(
        LlamaConfig,
        "LlamaForCausalLM",
        transformers_weights,
        optional_names=_same("attention_bias", "attention_dropout", "pretraining_tp"),
    ),
    "phi3": OriginalLanguageModel(
        Phi3Config,
        "Phi3ForCausalLM",
        transformers_weights,
        # "su" is the name that LongRoPE had when these models came out.
        rope_types={"su": "longrope", "longrope": "longrope"},
        optional_names=_same(
            "original_max_position_embeddings", "sliding_window", "attention_dropout", "resid_pdrop", "embd_pdrop"
        ),
    ),
    "qwen2": OriginalLanguageModel(
        Qwen2Config,
        "Qwen2ForCausalLM",
        transformers_weights,
        optional_names=_same("use_sliding_window", "sliding_window", "max_window_layers", "attention_dropout"),
    ),
}


@dataclass(frozen=True)
class Prompt:
    """
    What a `template` of config.json stands for: our file in `processing_minimonkey`, the token that a prompt begins
    with, the one that ends an answer.
    """

    file: str
    first_token: str
    end_of_turn: str


PROMPTS = {
    "internlm2-chat": Prompt("chat_template_internvl2.jinja", "<|im_start|>", "<|im_end|>"),
    "Hermes-2": Prompt("chat_template_internvl2.jinja", "<|im_start|>", "<|im_end|>"),
    "phi3-chat": Prompt("chat_template_phi3.jinja", "<|system|>", "<|end|>"),
}

# Required in `llm_config`, under the names that Transformers has, too, and in `vision_config`: original name -> ours.
TEXT_NAMES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "rms_norm_eps",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)
VISION_NAMES = {
    "hidden_size": "hidden_size",
    "num_hidden_layers": "num_hidden_layers",
    "num_attention_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "hidden_act": "hidden_act",
    "norm_type": "norm_type",
    "layer_norm_eps": "layer_norm_eps",
    "qkv_bias": "attention_bias",
    "qk_normalization": "use_qk_norm",
    "num_channels": "num_channels",
    "image_size": "image_size",
    "patch_size": "patch_size",
}
# What LongRoPE adds to `rope_scaling`, one number per pair of a head's dimensions.
LONGROPE_FACTORS = ("short_factor", "long_factor")

# Values of the published config.json files that do not affect the weights.
PUBLISHED_DEFAULTS = {
    "ps_version": "v2",
    "dynamic_image_size": True,
    "use_thumbnail": True,
    "pad2square": False,
    "min_dynamic_patch": 1,
    "max_dynamic_patch": 12,
    "use_backbone_lora": 0,
    "use_llm_lora": 0,
}
# Settings in which two configurations of the same model may differ.
NOT_OF_THE_MODEL = {
    "_name_or_path",
    "architectures",
    "auto_map",
    "dtype",
    "id2label",
    "label2id",
    "original_format",
    "scale_compression_config",
    "transformers_version",
    "use_cache",
}


def read_config(folder: Path) -> dict:
    """
    Read the `config.json` of an original checkpoint.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, of a kind that can't be converted, or lacks a value that the conversion needs.
    """
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"`source` {folder} has no config.json.")
    original = read_json(folder / "config.json")
    _require_one_of(original, "model_type", ["internvl_chat"], "config.json")
    _require(original, ("llm_config", "vision_config", "downsample_ratio", "select_layer"), "config.json")
    for name in ("llm_config", "vision_config"):
        if not isinstance(original[name], dict):
            raise ValueError(f"`source` has {shown(original[name])} as `{name}` in config.json, it must be an object.")
    _require_one_of(original["llm_config"], "model_type", sorted(LANGUAGE_MODELS), "llm_config")
    _require_one_of(original, "template", sorted(PROMPTS), "config.json")
    if (version := original.get("ps_version")) != "v2":
        raise ValueError(
            f"`source` has {shown(version)} as `ps_version` in config.json, it must be 'v2': the first "
            "version of pixel shuffle, which InternVL had before 1.5, puts the tokens of a tile in another order than "
            "Transformers' InternVL does."
        )
    _require(original["llm_config"], (*TEXT_NAMES, "rope_theta"), "llm_config")
    _require(original["vision_config"], VISION_NAMES, "vision_config")
    try:
        _check_types(original)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`source` has a config.json that can't be converted: {error}") from error
    return original


def _check_types(original: dict) -> None:
    """Check every value that the conversion reads, by the bounds of our own configuration."""
    check_values(original, "")
    text, vision = original["llm_config"], original["vision_config"]
    sections = (("llm_config", text, (*TEXT_NAMES, "rope_theta")), ("vision_config", vision, VISION_NAMES))
    for where, section, names in sections:
        for name in names:
            label, value = f"{where}.{name}", section[name]
            if name in LIMITS:
                if value is None or isinstance(value, list):
                    raise TypeError(f"`{label}` must be a number, got {shown(value)}.")
                check_number(label, value, LIMITS[name])
            elif name == "hidden_act":
                check_activation(label, value)
            elif name in ("tie_word_embeddings", "qkv_bias", "qk_normalization") and not isinstance(value, bool):
                raise TypeError(f"`{label}` must be true or false, got {shown(value)}.")
            elif name.endswith("_token_id"):
                check_number(label, value, (int, -1, LIMITS["vocab_size"][2]))
    check_number("downsample_ratio", original["downsample_ratio"], (float, 1e-3, 1))
    for name in ("force_image_size", "use_llm_lora", "use_backbone_lora"):
        check_number(name, original.get(name), (int, 0, LIMITS["hidden_size"][2]))
    scaling = text.get("rope_scaling")
    if scaling is not None and not isinstance(scaling, dict):
        raise TypeError(f"`llm_config.rope_scaling` must be an object, got {shown(scaling)}.")
    if scaling:
        check_number("llm_config.rope_scaling.factor", scaling.get("factor"), LIMITS["factor"])


def _require(section: dict, names: Iterable[str], where: str) -> None:
    missing = [name for name in names if name not in section]
    if missing:
        raise ValueError(f"`source` has no {missing} in {where}.")


def _require_one_of(section: dict, name: str, allowed: list[str], where: str) -> None:
    if section.get(name) not in allowed:
        raise ValueError(
            f"`source` has {shown(section.get(name))} as `{name}` in {where}, it must be one of {allowed}."
        )


def convert_config(original: dict, image_token_id: int) -> MiniMonkeyConfig:
    """
    Convert the content of an original `config.json`, as [`read_config`] gives it.

    Raises:
        ValueError: Transformers' model does not support a value.
    """
    vision_config = original["vision_config"]
    size = vision_config["image_size"]
    if original.get("force_image_size") not in (None, size):
        raise ValueError(
            f"`source` has `force_image_size` {original['force_image_size']}, but position embeddings for {size} "
            "pixels (`vision_config.image_size`); the two must be equal."
        )
    # The published norms of queries and keys use `layer_norm_eps` like all others, those of Transformers always 1e-6.
    if vision_config["qk_normalization"] and vision_config["layer_norm_eps"] != 1e-6:
        raise ValueError(
            f"`source` has `layer_norm_eps` {vision_config['layer_norm_eps']} in vision_config, it must be 1e-6 where "
            "`qk_normalization` is true."
        )
    layer, layers = original["select_layer"], vision_config["num_hidden_layers"]
    if isinstance(layer, bool) or not isinstance(layer, int) or layer == 0 or not -layers <= layer <= layers:
        raise ValueError(
            f"`source` has `select_layer` {shown(layer)}, it must be from 1 to {layers}, the number of vision layers, "
            f"or from -{layers} to -1."
        )
    try:
        return _build_config(original, image_token_id)
    except Exception as error:  # the library has classes of its own for values of a wrong type
        reason = own_error(error, "The configuration")
        raise ValueError(f"`source` has a config.json that can't be converted: {reason}") from error


def _build_config(original: dict, image_token_id: int) -> MiniMonkeyConfig:
    llm_config, vision_config = original["llm_config"], original["vision_config"]
    size, patch_size = vision_config["image_size"], vision_config["patch_size"]
    text_config = _convert_text_config(llm_config)
    return MiniMonkeyConfig(
        text_config=text_config,
        vision_config={ours: vision_config[name] for name, ours in VISION_NAMES.items()},
        image_token_id=image_token_id,
        image_seq_length=int((size // patch_size * original["downsample_ratio"]) ** 2),
        downsample_ratio=original["downsample_ratio"],
        vision_feature_layer=original["select_layer"],
        tie_word_embeddings=text_config.tie_word_embeddings,
        original_format={
            "architectures": original.get("architectures"),
            "llm_config.model_type": llm_config["model_type"],
            "template": original["template"],
        },
    )


def _convert_text_config(llm_config: dict) -> PreTrainedConfig:
    language_model = LANGUAGE_MODELS[llm_config["model_type"]]
    optional = {ours: llm_config[name] for name, ours in language_model.optional_names.items() if name in llm_config}
    rope_parameters = {"rope_type": "default", "rope_theta": llm_config["rope_theta"]}
    if scaling := llm_config.get("rope_scaling"):
        _require_one_of(scaling, "type", list(language_model.rope_types), "llm_config.rope_scaling")
        rope_parameters["rope_type"] = language_model.rope_types[scaling["type"]]
        names = LONGROPE_FACTORS if rope_parameters["rope_type"] == "longrope" else ("factor",)
        _require(scaling, names, "llm_config.rope_scaling")
        rope_parameters |= {name: scaling[name] for name in names}
    shared = {name: llm_config[name] for name in TEXT_NAMES}
    return language_model.config_class(**shared, **optional, rope_parameters=rope_parameters)


def language_model_of(config: MiniMonkeyConfig) -> OriginalLanguageModel:
    """
    The original language model, whose names and layouts the weights have in the original format.

    Raises:
        ValueError: the model was not converted from an original checkpoint.
    """
    if config.original_format is None:
        raise ValueError(
            "`source` was not converted from an original checkpoint (`original_format` in its config.json is null): "
            "its weights have no names in the original format."
        )
    model_type = config.original_format["llm_config.model_type"]
    if not isinstance(model_type, str) or model_type not in LANGUAGE_MODELS:
        raise ValueError(
            f"`source` has {shown(model_type)} as `original_format['llm_config.model_type']` in config.json; it must "
            f"be one of {sorted(LANGUAGE_MODELS)}."
        )
    return LANGUAGE_MODELS[model_type]


def revert_config(config: MiniMonkeyConfig) -> dict:
    """
    Write `config` as the content of an original `config.json`: the reverse of [`convert_config`].

    Raises:
        ValueError: the model was not converted from an original checkpoint, or has a setting that the original format
            can't express.
    """
    language_model, text_config, vision_config = language_model_of(config), config.text_config, config.vision_config
    llm_config = {name: getattr(text_config, name) for name in TEXT_NAMES}
    llm_config |= {name: getattr(text_config, ours) for name, ours in language_model.optional_names.items()}
    rope = text_config.rope_parameters
    llm_config |= {"rope_theta": rope["rope_theta"], "rope_scaling": None}
    types = {ours: name for name, ours in reversed(language_model.rope_types.items())}
    if rope["rope_type"] in types:
        values = {name: rope[name] for name in ("factor", *LONGROPE_FACTORS) if name in rope}
        llm_config["rope_scaling"] = {"type": types[rope["rope_type"]]} | values
    vision = {name: getattr(vision_config, ours) for name, ours in VISION_NAMES.items()}
    vision |= {name: vision[name][0] for name in ("image_size", "patch_size")}
    original = {
        "model_type": "internvl_chat",
        "architectures": config.original_format["architectures"],
        "template": config.original_format["template"],
        "select_layer": config.vision_feature_layer,
        "downsample_ratio": config.downsample_ratio,
        "force_image_size": vision["image_size"],
        "torch_dtype": str(config.dtype).removeprefix("torch."),
        **PUBLISHED_DEFAULTS,
        "llm_config": {
            "model_type": config.original_format["llm_config.model_type"],
            "architectures": [language_model.architecture],
            "attn_implementation": "eager",
            **llm_config,
        },
        "vision_config": {
            "model_type": "intern_vit_6b",
            "architectures": ["InternVisionModel"],
            "drop_path_rate": 0.0,
            "use_flash_attn": False,
            **vision,
        },
    }
    check_same_model(original, config)
    return original


def check_same_model(original: dict, config: MiniMonkeyConfig) -> None:
    """
    Check that an original `config.json` describes the same model as `config`.

    Raises:
        ValueError: lists the settings that differ, with both values.
    """
    wanted = _flatten(config.to_dict())
    described = _flatten(convert_config(original, config.image_token_id).to_dict())
    different = {
        name: (described.get(name), wanted.get(name))
        for name in sorted(wanted.keys() | described.keys())
        if described.get(name) != wanted.get(name)
    }
    if different:
        raise ValueError(
            "The original format can't hold the settings of `source`, setting: (in the original format, in `source`): "
            f"{different}."
        )


def _flatten(settings: dict, prefix: str = "") -> dict:
    flat = {}
    for name, value in settings.items():
        if name in NOT_OF_THE_MODEL:
            continue
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
