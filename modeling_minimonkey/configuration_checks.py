# trf-ignore: TRF028 (the license is in the file LICENSE)
"""
What a configuration may hold: bounds of its numbers, names of its keys, and errors that name the key.

A config.json comes from strangers. What it asks for is checked here before anything of that size is made, and every
error that leaves a configuration is a `ValueError` or a `TypeError`.
"""

from .transformers_releases import RELEASE, release_of  # first: checks Transformers' version


# isort: split
import dataclasses
import difflib
import functools
import math
import numbers
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from transformers import CONFIG_MAPPING, GenerationConfig, PreTrainedConfig
from transformers.activations import ACT2FN
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING


ENGINES = ("vllm", "vllm_mla", "sglang")  # names of the attention that serving engines put into a model
# The lowest and the highest value of every number that decides how much is made, or that must be finite. Generous:
# ten times what the largest models have, and more.
LIMITS: dict[str, tuple[type, float, float]] = {
    "num_hidden_layers": (int, 1, 2_000),
    "max_window_layers": (int, 0, 2_000),
    "num_attention_heads": (int, 1, 10_000),
    "num_key_value_heads": (int, 1, 10_000),
    "head_dim": (int, 1, 100_000),
    "hidden_size": (int, 1, 1_000_000),
    "intermediate_size": (int, 1, 10_000_000),
    "vocab_size": (int, 1, 10_000_000),
    "max_position_embeddings": (int, 1, 1_000_000_000),
    "original_max_position_embeddings": (int, 1, 1_000_000_000),
    "sliding_window": (int, 0, 1_000_000_000),
    "image_size": (int, 1, 10_000),
    "patch_size": (int, 1, 10_000),
    "num_channels": (int, 1, 1_000),
    "image_seq_length": (int, 1, 1_000_000),
    "num_labels": (int, 0, 1_000_000),
    "pretraining_tp": (int, 1, 1_000),
    "chunk_size_feed_forward": (int, 0, 1_000_000_000),
    "rms_norm_eps": (float, 0, 1),
    "layer_norm_eps": (float, 0, 1),
    "initializer_range": (float, 0, 1_000),
    "layer_scale_init_value": (float, -1_000, 1_000),
    "attention_dropout": (float, 0, 1),
    "hidden_dropout_prob": (float, 0, 1),
    "projection_dropout": (float, 0, 1),
    "resid_pdrop": (float, 0, 1),
    "embd_pdrop": (float, 0, 1),
    "rope_theta": (float, 1e-3, 1e15),
    "factor": (float, 1, 1e6),
    "partial_rotary_factor": (float, 1e-3, 1),
    "attention_factor": (float, 0, 1e6),
}
MOST_LEVELS = 8  # of dictionaries and lists within each other
MOST_VALUES = 100_000  # in all of them together
LONGEST_MESSAGE = 400  # characters of an error

# Names that are read by us or the library in one place only, and would look as if they worked in another.
ONLY_ARGUMENTS = ("trust_remote_code", "code_revision", "_attn_implementation_internal")
ONLY_ARGUMENTS += ("_experts_implementation_internal",)
ONLY_AT_THE_TOP = ("auto_map", "custom_pipelines", "quantization_config")
# Dictionaries with keys of their owner's choice.
FREE = ("auto_map", "custom_pipelines", "id2label", "label2id", "original_format", "quantization_config")
FREE += ("task_specific_params",)
# What the library or its trainers wrote or write into any config.json, besides the fields of `PreTrainedConfig`.
WRITTEN_BY_THE_LIBRARY = set(GenerationConfig().to_dict()) | {
    *("model_type", "auto_map", "custom_pipelines", "quantization_config", "torch_dtype", "name_or_path"),
    *("_name_or_path", "_commit_hash", "attn_implementation", "_attn_implementation", "_attn_implementation_autoset"),
    *("experts_implementation", "_experts_implementation", "output_attentions", "per_layer_config", "num_labels"),
    *("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "decoder_start_token_id", "tokenizer_class"),
    *("use_return_dict", "torchscript", "pruned_heads", "tie_encoder_decoder", "is_decoder", "add_cross_attention"),
    *("cross_attention_hidden_size", "finetuning_task", "task_specific_params", "prefix", "use_bfloat16"),
    *("tf_legacy_loss", "loss_type", "kernel_config", "transformers_weights", "transformers.js_config"),
    *("unsloth_version", "unsloth_fixed", "rope_scaling", "rope_theta"),
}


def shown(value: Any) -> str:
    """A value for a message: short whatever its size, and without an address in memory."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a whole number of {value.bit_length()} bits"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str):
        return repr(value) if len(value) <= 60 else f"{value[:40]!r}… ({len(value)} characters)"
    if isinstance(value, list | tuple | dict | set):
        text = repr(value) if len(value) <= 4 and all(isinstance(each, int | float | str) for each in value) else ""
        return text if 0 < len(text) <= 60 else f"a {type(value).__name__} of {len(value)}"
    return f"a value of the type {type(value).__name__}"


def check_keep_ratio(keep_ratio: float) -> float:
    """`keep_ratio` as a `float`; `ValueError` unless it is a number, also of NumPy, with 0 < `keep_ratio` <= 1."""
    allowed = "must be a number above 0 and at most 1 (1 = keep every token)"
    if isinstance(keep_ratio, bool) or not isinstance(keep_ratio, numbers.Real):
        raise ValueError(f"`keep_ratio` {allowed}, got {type(keep_ratio).__name__}: {shown(keep_ratio)}.")
    if not 0.0 < keep_ratio <= 1.0:
        raise ValueError(f"`keep_ratio` {allowed}, got {shown(keep_ratio)}.")
    return float(keep_ratio)


def check_engine(config: PreTrainedConfig) -> None:
    """Raise `ValueError` if a serving engine builds a model that would drop tokens: it would keep them, in silence."""
    keep_ratio = config.scale_compression_config.keep_ratio
    if keep_ratio < 1.0 and config.text_config._attn_implementation in ENGINES:
        raise ValueError(
            f"`keep_ratio` is {keep_ratio}, but this engine keeps all tokens. For vLLM, install the package "
            "`minimonkey` beside it and leave out `--model-impl transformers`; elsewhere set "
            "`scale_compression_config.keep_ratio` to 1.0."
        )


def check_number(name: str, value: Any, limits: tuple[type, float, float]) -> None:
    """Check a number, or each of a list of them (`image_size`), against an entry of `LIMITS`; `None` is a default."""
    kind, low, high = limits
    if isinstance(value, list | tuple):
        for index, each in enumerate(value):
            if isinstance(each, list | tuple):
                raise TypeError(f"`{name}[{index}]` must be a number, got {shown(each)}.")
            check_number(f"{name}[{index}]", each, limits)
    elif value is not None:
        if isinstance(value, bool) or not isinstance(value, numbers.Integral if kind is int else numbers.Real):
            raise TypeError(
                f"`{name}` must be a {'whole ' if kind is int else ''}number, got {type(value).__name__}: "
                f"{shown(value)}."
            )
        if not low <= value <= high:
            raise ValueError(f"`{name}` must be from {low:,} to {high:,}, got {shown(value)}.")


def check_settings(
    settings: Mapping, where: str = "", names: Mapping[str, str] | None = None, limits: Mapping | None = LIMITS
) -> None:
    """
    Check the keys and values of a configuration, or of a part of it, before anything is made of them.

    Args:
        settings (`Mapping`):
            As from a config.json.
        where (`str`, *optional*):
            The part's name with a dot, such as `"text_config."`; empty for the whole.
        names (`Mapping[str, str]`, *optional*):
            The library's names of settings that the part's class calls otherwise (`n_layer` is `num_hidden_layers`).
        limits (`Mapping`, *optional*):
            The bounds of numbers by name.

    Raises:
        TypeError, ValueError: the first key that is wrong.
    """
    check_values(settings, where.rstrip("."))
    refused = ONLY_ARGUMENTS + (ONLY_AT_THE_TOP if where else ())
    for key, value in settings.items():
        name = f"{where}{key}" if len(str(key)) <= 60 else f"{where}{str(key)[:40]}…"
        if not isinstance(key, str):
            raise TypeError(f"The keys of {where.rstrip('.') or 'a configuration'} must be strings, got {shown(key)}.")
        if key in refused and value is not None:
            place = "an argument of `from_pretrained`" if key in ONLY_ARGUMENTS else "a setting of the whole model"
            raise ValueError(f"`{name}` is {place}, and is not read from there; remove it from the configuration.")
        if where and key in ("attn_implementation", "_attn_implementation", "experts_implementation"):
            check_implementation(name, value)
        if key in ("dtype", "torch_dtype"):
            check_dtype(name, value)
        elif key == "quantization_config":
            _check_quantization(value)
        elif key in ("id2label", "label2id"):
            _check_labels(name, value)
        if key in FREE:
            continue
        canonical = (names or {}).get(key, key)
        if limits and canonical in limits:
            check_number(name, value, limits[canonical])
        elif key in ("rope_parameters", "rope_scaling") and value is not None:
            _check_rope(name, value)
        elif key == "per_layer_config" and isinstance(value, dict):
            for layer, part in value.items():
                if isinstance(part, dict):
                    check_settings(part, f"{name}.{layer}.", names, limits)


def check_values(settings: Any, name: str, level: int = 0) -> int:
    """How many values `settings` holds; `ValueError` if one is NaN, or they are too many or too deep."""
    if level > MOST_LEVELS:
        raise ValueError(f"`{name}` is nested deeper than {MOST_LEVELS} levels.")
    if isinstance(settings, float) and math.isnan(settings):
        raise ValueError(f"`{name}` must be a number, got nan.")
    if not isinstance(settings, dict | list | tuple):
        return 1
    total = len(settings)
    for key, value in settings.items() if isinstance(settings, dict) else enumerate(settings):
        if total > MOST_VALUES:
            raise ValueError(f"`{name or 'the configuration'}` has more than {MOST_VALUES:,} values.")
        total += check_values(value, f"{name}.{str(key)[:40]}".lstrip(".")[:120], level + 1)
    return total


def _check_rope(name: str, rope: Any) -> None:
    if not isinstance(rope, dict):
        raise TypeError(f"`{name}` must be a dictionary, got {shown(rope)}.")
    for key, value in rope.items():
        if isinstance(value, dict):  # of one type of layers
            _check_rope(f"{name}.{key}", value)
        elif key in ("rope_type", "type"):
            known = sorted({"default", "su", *ROPE_INIT_FUNCTIONS})
            if value not in known:
                raise ValueError(f"`{name}.{key}` must be one of {', '.join(known)}, got {shown(value)}.")
        elif key in LIMITS:
            check_number(f"{name}.{key}", value, LIMITS[key])


def _check_quantization(value: Any) -> None:
    method = value.get("quant_method") if isinstance(value, dict) else getattr(value, "quant_method", None)
    if value is not None and (not isinstance(method, str) or method not in AUTO_QUANTIZATION_CONFIG_MAPPING):
        raise ValueError(
            f"`quantization_config.quant_method` must be a method that the library knows, got {shown(method)}."
        )


def _check_labels(name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        raise TypeError(f"`{name}` must be a dictionary, got {shown(value)}.")
    for each in value if name.endswith("id2label") else value.values():
        if not re.fullmatch(r"\d{1,9}", str(each)):
            raise ValueError(f"`{name}` must number the labels, got {shown(each)} for a number.")


def check_dtype(name: str, value: Any) -> None:
    """Check that a dtype is one, or the name of one."""
    if value is None or value == "auto" or isinstance(value, torch.dtype):
        return
    if not isinstance(value, str):
        raise TypeError(f"`{name}` must be the name of a dtype, got {shown(value)}.")
    if not isinstance(getattr(torch, value, None), torch.dtype):
        raise ValueError(f"`{name}` must be the name of a dtype of torch, such as 'bfloat16', got {shown(value)}.")


def check_implementation(name: str, value: Any) -> None:
    """Refuse a configuration that names code of the Hub, which is fetched and run, as its attention or experts."""
    for each in value.values() if isinstance(value, dict) else [value]:
        if each is not None and not isinstance(each, str):
            raise TypeError(f"`{name}` must be a string, got {shown(each)}.")
        if each is not None and not re.fullmatch(r"\w+(\|\w+)?", each):
            raise ValueError(
                f"`{name}` is {shown(each)}. A configuration names no code of the Hub; if you want that code, pass it "
                "as `attn_implementation` to `from_pretrained`."
            )


def check_names(keys: Iterable[str], known: set[str], where: str, hints: Mapping[str, str], strict: bool) -> None:
    """
    Check the names of settings.

    Args:
        keys: The names that are given.
        known: All names that there are.
        where: What has these settings.
        hints: What to say of names that belong elsewhere.
        strict: Refuse every name that is not known, not only those that look like a misspelled one.
    """
    for key in keys:
        if key in known:
            continue
        close = difflib.get_close_matches(key[:100], known, n=1, cutoff=0.88)
        if close or strict or key in hints:
            said = hints.get(key, f"Did you mean `{close[0]}`?" if close else "")
            raise ValueError(f"{where} has no setting {shown(key)}. {said}".rstrip())


def check_language_model(settings: dict) -> None:
    """Check the dictionary of a `text_config`: its `model_type`, then names and numbers."""
    model_type = settings.get("model_type")
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        raise ValueError(
            f"`text_config.model_type` must be a language model that Transformers {'.'.join(map(str, RELEASE))} "
            f"knows, got {shown(model_type)}."
        )
    config_class = CONFIG_MAPPING[model_type]
    if config_class.sub_configs:
        raise ValueError(f"`text_config.model_type` must be a language model alone, got {model_type!r}.")
    check_part(settings, config_class, "text_config")


def check_part(settings: dict, config_class: type[PreTrainedConfig], name: str) -> None:
    """Check the dictionary of a sub-configuration of the library."""
    names = {theirs: ours for ours, theirs in config_class.attribute_map.items()}
    check_settings(settings, f"{name}.", names)
    check_names(settings, known_names(config_class), f"`{name}`", {}, strict=False)


def check_built(config: PreTrainedConfig, name: str) -> None:
    """Check the numbers of a sub-configuration that is built already."""
    for key, limits in LIMITS.items():
        check_number(f"{name}.{key}", getattr(config, key, None), limits)
    for key in ("hidden_act", "projector_hidden_act"):
        check_activation(f"{name}.{key}", getattr(config, key, None))
    if rope := getattr(config, "rope_parameters", None):
        _check_rope(f"{name}.rope_parameters", rope)
    hidden, heads = getattr(config, "hidden_size", None), getattr(config, "num_attention_heads", None)
    groups, head_dim = getattr(config, "num_key_value_heads", None), getattr(config, "head_dim", None)
    if hidden and heads and hidden % heads and not head_dim:
        raise ValueError(
            f"`{name}.hidden_size` is {hidden}, which is not a multiple of `num_attention_heads` {heads}."
        )
    padding, vocab_size = getattr(config, "pad_token_id", None), getattr(config, "vocab_size", None)
    if padding is not None and vocab_size is not None:
        check_number(f"{name}.pad_token_id", padding, (int, -vocab_size, vocab_size - 1))  # as torch's embeddings
    if heads and groups and heads % groups:
        raise ValueError(
            f"`{name}.num_attention_heads` is {heads}, which is not a multiple of `num_key_value_heads` {groups}."
        )


def check_activation(name: str, value: Any) -> None:
    """Check the name of an activation function."""
    if value is not None and (not isinstance(value, str) or value not in ACT2FN):
        raise ValueError(f"`{name}` must be the name of an activation function, got {shown(value)}.")


def known_names(config_class: type[PreTrainedConfig]) -> set[str]:
    """All names of settings that a configuration may have."""
    fields = {field.name for field in dataclasses.fields(config_class)}
    return fields | set(config_class.attribute_map) | WRITTEN_BY_THE_LIBRARY


def check_vision_features(config: PreTrainedConfig, layer: int, strategy: str) -> None:
    """Check which hidden states of the vision tower are the features; the first of `layers` + 1 are the embeddings."""
    layers = config.vision_config.num_hidden_layers
    if isinstance(layer, bool) or not isinstance(layer, int) or not -layers - 1 <= layer <= layers:
        raise ValueError(
            f"`vision_feature_layer` must be a whole number from {-layers - 1} to {layers}, as the vision tower has "
            f"{layers} layers, got {shown(layer)}."
        )
    if strategy != "default":
        raise ValueError(
            '`vision_feature_select_strategy` must be "default", which leaves out the class token, got '
            f"{shown(strategy)}."
        )


def is_of_a_later_release(version: str | None) -> bool:
    """Whether a file was written by a later release of the library, whose names may be new."""
    return isinstance(version, str) and release_of(version) > RELEASE


def raises_own_errors(config_class: type) -> type:
    """
    Class decorator above `@strict`: what `huggingface_hub` and `transformers` raise for bad settings (its own classes,
    `AttributeError`, `ZeroDivisionError` ...) leaves the class as a `ValueError` or `TypeError` with a short message.
    """
    for name in ("__init__", "__setattr__", "validate"):
        setattr(config_class, name, _with_own_errors(name, getattr(config_class, name)))
    return config_class


def _with_own_errors(name: str, method: Callable) -> Callable:
    @functools.wraps(method)
    def checked(self, *args, **kwargs):
        try:
            if name == "__setattr__" and isinstance(args[1], np.generic):
                args = (args[0], args[1].item())  # a number of NumPy is a number
            return method(self, *args, **kwargs)
        except MemoryError:
            raise
        except Exception as error:
            raise own_error(error, type(self).__name__) from None

    return checked


def own_error(error: Exception, name: str) -> ValueError | TypeError:
    """The error of bad settings that leaves the class `name` in place of `error`, which may be of any class."""
    cause = error
    while type(cause) not in (ValueError, TypeError) and cause.__cause__ is not None:
        cause = cause.__cause__  # the library's own errors name the real one
    message = re.sub(r"^Field '(\w+)'", r"`\1`", re.sub(r" at 0x[0-9a-f]+", "", str(cause)))
    if type(cause) not in (ValueError, TypeError):
        message = f"{name} can't be made of these settings: {type(cause).__name__}: {message}"
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[: LONGEST_MESSAGE - 1]}…"
    return (TypeError if type(cause) is TypeError else ValueError)(message)
