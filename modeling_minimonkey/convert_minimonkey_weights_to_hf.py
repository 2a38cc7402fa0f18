"""
Convert an original checkpoint, in the `internvl_chat` format of `mx262/MiniMonkey` and `OpenGVLab/InternVL2-*`:

    python -m modeling_minimonkey.convert_minimonkey_weights_to_hf SOURCE TARGET

SOURCE is a folder or the id of a Hub repository, TARGET a folder that does not exist yet. TARGET gets everything that
`AutoModelForImageTextToText` and `AutoProcessor` need, code included. [`load_original`] gives the model without
writing. Nothing of SOURCE is run: its weights must be safetensors, its remote code is not looked at.
"""

import argparse
import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError, safe_open
from transformers import (
    GenerationConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    Qwen2Config,
    conversion_mapping,
)
from transformers.core_model_loading import (
    Chunk,
    ConversionOps,
    WeightConverter,
    WeightRenaming,
    WeightTransform,
    rename_source_key,
)
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from processing_minimonkey.complementary_image_pyramid import PYRAMID_SETTINGS
from processing_minimonkey.image_processing_minimonkey import MiniMonkeyImageProcessor
from processing_minimonkey.processing_minimonkey import MiniMonkeyProcessor

from .configuration_minimonkey import MiniMonkeyConfig
from .convert_minimonkey_tokenizer import load_original_tokenizer
from .modeling_minimonkey import MiniMonkeyForConditionalGeneration


class SplitGroupedQKV(ConversionOps):
    """
    Split InternLM2's `wqkv` into query, key and value. Its rows stand in groups, one per key-value head: the query
    heads that share it, its key, its value.
    """

    @torch.no_grad()
    def convert(self, input_dict, source_patterns, target_patterns, config, **kwargs):
        (tensors,) = input_dict.values()
        packed = tensors[0] if isinstance(tensors, list) else tensors
        groups, queries, head_dim = _attention_shape(config)
        packed = packed.unflatten(0, (groups, queries + 2, head_dim))
        parts = packed.split([queries, 1, 1], dim=1)  # each (groups, heads, head_dim, ...)
        return {name: part.flatten(0, 2).clone() for name, part in zip(target_patterns, parts, strict=True)}

    @property
    def reverse_op(self):
        return MergeGroupedQKV()


class MergeGroupedQKV(ConversionOps):
    """Merge query, key and value into InternLM2's `wqkv`: the reverse of [`SplitGroupedQKV`]."""

    @torch.no_grad()
    def convert(self, input_dict, source_patterns, target_patterns, config, **kwargs):
        groups, queries, head_dim = _attention_shape(config)
        parts = (input_dict[name] for name in source_patterns)
        parts = (part[0] if isinstance(part, list) else part for part in parts)
        grouped = [
            part.unflatten(0, (groups, heads, head_dim)) for part, heads in zip(parts, (queries, 1, 1), strict=True)
        ]
        return {target_patterns[0]: torch.cat(grouped, dim=1).flatten(0, 2)}

    @property
    def reverse_op(self):
        return SplitGroupedQKV()


def _attention_shape(config: PreTrainedConfig) -> tuple[int, int, int]:
    """Number of key-value heads, of query heads per key-value head, and size of a head."""
    text_config = config.get_text_config()
    groups, heads = text_config.num_key_value_heads, text_config.num_attention_heads
    return groups, heads // groups, text_config.hidden_size // heads


def vision_and_projector_weights() -> list[WeightTransform]:
    """The names of InternViT and of the projector, the same in every original checkpoint."""
    qkv = [f"attention.{name}_proj" for name in "qkv"]
    return [
        WeightRenaming(r"^vision_model\.", "model.vision_tower."),
        WeightRenaming(r"\.embeddings\.class_embedding", ".embeddings.cls_token"),
        WeightRenaming(r"\.embeddings\.position_embedding", ".embeddings.position_embeddings"),
        WeightRenaming(r"\.embeddings\.patch_embedding\.", ".embeddings.patch_embeddings.projection."),
        WeightRenaming(r"\.encoder\.layers\.", ".encoder.layer."),
        WeightRenaming(r"\.ls1", ".lambda_1"),
        WeightRenaming(r"\.ls2", ".lambda_2"),
        WeightRenaming(r"\.norm1\.", ".layernorm_before."),
        WeightRenaming(r"\.norm2\.", ".layernorm_after."),
        WeightRenaming(r"\.attn\.proj\.", ".attention.projection_layer."),
        WeightRenaming(r"\.attn\.q_norm\.", ".attention.q_norm."),
        WeightRenaming(r"\.attn\.k_norm\.", ".attention.k_norm."),
        WeightConverter("attn.qkv.weight", [f"{name}.weight" for name in qkv], operations=[Chunk(dim=0)]),
        WeightConverter("attn.qkv.bias", [f"{name}.bias" for name in qkv], operations=[Chunk(dim=0)]),
        WeightRenaming(r"^mlp1\.0\.", "model.multi_modal_projector.layer_norm."),
        WeightRenaming(r"^mlp1\.1\.", "model.multi_modal_projector.linear_1."),
        WeightRenaming(r"^mlp1\.3\.", "model.multi_modal_projector.linear_2."),
    ]


def internlm2_weights() -> list[WeightTransform]:
    """InternLM2's names in Llama's terms. The two models compute the same: w1 is the gate, w3 goes up, w2 down."""
    qkv = [f"self_attn.{name}_proj" for name in "qkv"]
    return [
        WeightRenaming(r"^language_model\.model\.", "model.language_model."),
        WeightRenaming(r"^language_model\.output\.", "lm_head."),
        WeightRenaming(r"\.tok_embeddings\.", ".embed_tokens."),
        WeightRenaming(r"\.attention_norm\.", ".input_layernorm."),
        WeightRenaming(r"\.ffn_norm\.", ".post_attention_layernorm."),
        WeightRenaming(r"\.attention\.wo\.", ".self_attn.o_proj."),
        WeightRenaming(r"\.feed_forward\.w1\.", ".mlp.gate_proj."),
        WeightRenaming(r"\.feed_forward\.w3\.", ".mlp.up_proj."),
        WeightRenaming(r"\.feed_forward\.w2\.", ".mlp.down_proj."),
        WeightConverter("attention.wqkv.weight", [f"{name}.weight" for name in qkv], operations=[SplitGroupedQKV()]),
        WeightConverter("attention.wqkv.bias", [f"{name}.bias" for name in qkv], operations=[SplitGroupedQKV()]),
    ]


def qwen2_weights() -> list[WeightTransform]:
    """Qwen2's names are Transformers' own, only the place differs."""
    return [
        WeightRenaming(r"^language_model\.model\.", "model.language_model."),
        WeightRenaming(r"^language_model\.lm_head\.", "lm_head."),
    ]


@dataclass(frozen=True)
class LanguageModelFamily:
    """
    How the language models of one `llm_config.model_type` become models of Transformers.

    Args:
        config_class: The configuration they get.
        weights: Makes the list of weight transforms, beside those of the vision tower and the projector.
        config_names: Names in `llm_config` -> names in `config_class`, beside `TEXT_NAMES`. A name that is absent
            has the default of `config_class`, which is the original's, too.
    """

    config_class: type[PreTrainedConfig]
    weights: Callable[[], list[WeightTransform]]
    config_names: dict[str, str] = field(default_factory=dict)


LANGUAGE_MODEL_FAMILIES = {
    "internlm2": LanguageModelFamily(LlamaConfig, internlm2_weights, {"bias": "attention_bias"}),
    "qwen2": LanguageModelFamily(
        Qwen2Config,
        qwen2_weights,
        {name: name for name in ("use_sliding_window", "sliding_window", "max_window_layers", "attention_dropout")},
    ),
}


@dataclass(frozen=True)
class Prompt:
    """One `template` of config.json: our file in `processing_minimonkey` and the token that ends an answer."""

    file: str
    end_of_turn: str


PROMPTS = {
    "internlm2-chat": Prompt("chat_template_internvl2.jinja", "<|im_end|>"),
    "Hermes-2": Prompt("chat_template_internvl2.jinja", "<|im_end|>"),
}

# What has to be in `llm_config`, where Transformers has the same names, and in `vision_config`: their name -> ours.
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


def read_config(folder: Path) -> dict:
    """
    Read the `config.json` of an original checkpoint.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the checkpoint is of a kind that can't be converted, or lacks a value that the conversion needs.
    """
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"`source` {folder} has no config.json.")
    original = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    _require_one_of(original, "model_type", ["internvl_chat"], "config.json")
    _require(original, ("llm_config", "vision_config", "downsample_ratio", "select_layer"), "config.json")
    _require_one_of(original["llm_config"], "model_type", sorted(LANGUAGE_MODEL_FAMILIES), "llm_config")
    _require_one_of(original, "template", sorted(PROMPTS), "config.json")
    # v1 orders the tokens of a tile in another way, which Transformers' InternVL does not have.
    _require_one_of(original, "ps_version", ["v2"], "config.json")
    _require(original["llm_config"], (*TEXT_NAMES, "rope_theta"), "llm_config")
    _require(original["vision_config"], VISION_NAMES, "vision_config")
    return original


def _require(section: dict, names: Iterable[str], where: str) -> None:
    missing = [name for name in names if name not in section]
    if missing:
        raise ValueError(f"`source` has no {missing} in {where}.")


def _require_one_of(section: dict, name: str, allowed: list[str], where: str) -> None:
    if section.get(name) not in allowed:
        raise ValueError(f"`source` has {section.get(name)!r} as `{name}` in {where}, it must be one of {allowed}.")


def convert_config(original: dict, image_token_id: int) -> MiniMonkeyConfig:
    """
    Convert the content of an original `config.json`, as [`read_config`] gives it.

    Raises:
        ValueError: a value is one that Transformers' model can't follow.
    """
    text_config = _convert_text_config(original["llm_config"])
    vision_config = {ours: original["vision_config"][name] for name, ours in VISION_NAMES.items()}
    size, patch_size = vision_config["image_size"], vision_config["patch_size"]
    if original.get("force_image_size") not in (None, size):
        raise ValueError(
            f"`source` has `force_image_size` {original['force_image_size']}, but position embeddings for {size} "
            "pixels (`vision_config.image_size`); the two must be equal."
        )
    return MiniMonkeyConfig(
        text_config=text_config,
        vision_config=vision_config,
        image_token_id=image_token_id,
        image_seq_length=int((size // patch_size * original["downsample_ratio"]) ** 2),
        downsample_ratio=original["downsample_ratio"],
        vision_feature_layer=original["select_layer"],
        tie_word_embeddings=text_config.tie_word_embeddings,
    )


def _convert_text_config(llm_config: dict) -> PreTrainedConfig:
    family = LANGUAGE_MODEL_FAMILIES[llm_config["model_type"]]
    optional = {ours: llm_config[name] for name, ours in family.config_names.items() if name in llm_config}
    rope_parameters = {"rope_type": "default", "rope_theta": llm_config["rope_theta"]}
    if scaling := llm_config.get("rope_scaling"):
        _require(scaling, ("type", "factor"), "llm_config.rope_scaling")
        _require_one_of(scaling, "type", ["dynamic", "linear"], "llm_config.rope_scaling")
        rope_parameters |= {"rope_type": scaling["type"], "factor": scaling["factor"]}
    shared = {name: llm_config[name] for name in TEXT_NAMES}
    return family.config_class(**shared, **optional, rope_parameters=rope_parameters)


def open_tensors(folder: Path) -> dict:
    """
    Open the safetensors files of a checkpoint without reading them: key -> slice, which knows its shape and dtype.

    Raises:
        FileNotFoundError: there are no safetensors files. Pickled weights can run code when read and are refused.
        ValueError: a file is damaged, the index does not fit the files, or leads out of the folder.
    """
    names, index = [SAFE_WEIGHTS_NAME], None
    if not (folder / SAFE_WEIGHTS_NAME).is_file():
        if not (folder / SAFE_WEIGHTS_INDEX_NAME).is_file():
            raise FileNotFoundError(
                f"`source` {folder} has neither {SAFE_WEIGHTS_NAME} nor {SAFE_WEIGHTS_INDEX_NAME}; other formats "
                "(pytorch_model.bin and the like) can run code when read and are refused."
            )
        index = json.loads((folder / SAFE_WEIGHTS_INDEX_NAME).read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(index.values()))
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise ValueError(f"{SAFE_WEIGHTS_INDEX_NAME} must name files beside it, got {outside}.")

    tensors, places = {}, {}
    for name in names:
        try:
            file = safe_open(folder / name, framework="pt")
        except (SafetensorError, OSError) as error:
            raise ValueError(f"`source` has an unreadable file {name}: {error}") from error
        twice = sorted(tensors.keys() & file.keys())
        if twice:
            raise ValueError(f"`source` has tensors that stand in more than one file: {twice}.")
        tensors |= {key: file.get_slice(key) for key in file.keys()}
        places |= dict.fromkeys(file.keys(), name)
    if index is not None and index != places:
        different = sorted(key for key in index.keys() | places.keys() if index.get(key) != places.get(key))
        raise ValueError(f"{SAFE_WEIGHTS_INDEX_NAME} and the files beside it differ in {different}.")
    return tensors


def check_keys(tensors: dict, config: MiniMonkeyConfig, mapping: list[WeightTransform]) -> None:
    """
    Check, before any tensor is read, that the checkpoint and the model fit one to one.

    Raises:
        ValueError: names every key of the checkpoint that has no place in the model or the wrong shape, every pair of
            keys with the same place, and every parameter of the model that gets no value.
    """
    with torch.device("meta"):
        model = MiniMonkeyForConditionalGeneration(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    renamings = [transform for transform in mapping if isinstance(transform, WeightRenaming)]
    converters = [transform for transform in mapping if isinstance(transform, WeightConverter)]
    # All operations split along the rows, so that the rows of the parts add up to those of the source.
    parts_of = {converter.source_patterns[0]: converter.target_patterns for converter in converters}

    unexpected, mismatched, doubled, sources = [], [], [], {}
    for key, tensor in tensors.items():
        target, pattern = rename_source_key(key, renamings, converters)
        parts = [target]
        if pattern is not None:
            parts = [target.replace(parts_of[pattern][0], part) for part in parts_of[pattern]]
        if not all(part in shapes for part in parts):
            unexpected.append(key)
            continue
        expected = tuple(shapes[target])
        if pattern is not None:
            expected = (sum(shapes[part][0] for part in parts), *expected[1:])
        if tuple(tensor.get_shape()) != expected:
            mismatched.append(f"{key} {tuple(tensor.get_shape())}, expected {expected}")
        doubled += [f"{sources[part]} and {key}" for part in parts if part in sources]
        sources |= dict.fromkeys(parts, key)
    missing = sorted(shapes.keys() - sources.keys() - model.all_tied_weights_keys.keys())

    problems = {
        "keys with no place in the model": sorted(unexpected),
        "keys with the wrong shape": sorted(mismatched),
        "keys with the same place in the model": sorted(set(doubled)),
        "parameters that no key gives a value": missing,
    }
    found = [f"{problem}: {keys}" for problem, keys in problems.items() if keys]
    if found:
        raise ValueError("`source` and its config.json do not fit together; " + "; ".join(found) + ".")


@contextmanager
def original_names(mapping: list[WeightTransform]) -> Iterator[None]:
    """
    Make Transformers read and write Mini-Monkey's weights under their original names inside the `with` block only:
    a mapping that stays registered would make every later save use the original names.
    """
    model_type = MiniMonkeyConfig.model_type
    conversion_mapping.register_checkpoint_conversion_mapping(model_type, mapping)
    try:
        yield
    finally:
        conversion_mapping._checkpoint_conversion_mapping_cache.pop(model_type)
        conversion_mapping.USER_REGISTERED_MAPPINGS.discard(model_type)


@dataclass(frozen=True)
class OriginalCheckpoint:
    """What an original checkpoint says of itself in its small files."""

    folder: Path
    family: LanguageModelFamily
    prompt: Prompt
    tokenizer: PreTrainedTokenizerBase
    config: MiniMonkeyConfig


def read_checkpoint(source: str | Path, revision: str | None = None) -> OriginalCheckpoint:
    """Read everything but the weights of an original checkpoint, see [`load_original`]."""
    folder = Path(source)
    if not folder.is_dir():
        # Neither code nor pickles.
        patterns = ["*.json", "*.safetensors", "*.model", "*.txt"]
        folder = Path(snapshot_download(str(source), revision=revision, allow_patterns=patterns))
    original = read_config(folder)
    prompt = PROMPTS[original["template"]]
    tokenizer = load_original_tokenizer(folder, original["llm_config"]["vocab_size"], [prompt.end_of_turn])
    return OriginalCheckpoint(
        folder=folder,
        family=LANGUAGE_MODEL_FAMILIES[original["llm_config"]["model_type"]],
        prompt=prompt,
        tokenizer=tokenizer,
        config=convert_config(original, tokenizer.context_image_token_id),
    )


def load_original(
    source: str | Path, *, revision: str | None = None, dtype: torch.dtype | None = None, **kwargs
) -> MiniMonkeyForConditionalGeneration:
    """
    Load an original checkpoint as [`MiniMonkeyForConditionalGeneration`], tensor by tensor. The model is like any
    other: saved, it has the names of this project.

    Args:
        source (`str` or `Path`):
            Folder in the original `internvl_chat` format, or id of a Hub repository.
        revision (`str`, *optional*):
            Branch, tag or commit of the Hub repository.
        dtype (`torch.dtype`, *optional*):
            By default the dtype of the file; where its tensors differ, one that holds them all.
        kwargs (*optional*):
            Passed on to `from_pretrained`, for example `device_map` or `attn_implementation`.

    Raises:
        FileNotFoundError, ValueError: see [`read_config`], [`convert_config`], [`load_original_tokenizer`],
            [`open_tensors`], [`check_keys`].
    """
    return _load_model(read_checkpoint(source, revision), dtype, **kwargs)


def load_original_processor(source: str | Path, *, revision: str | None = None) -> MiniMonkeyProcessor:
    """
    Build the processor that belongs to an original checkpoint, with the tile ranges of the published demo.

    Args:
        source (`str` or `Path`):
            Folder in the original `internvl_chat` format, or id of a Hub repository.
        revision (`str`, *optional*):
            Branch, tag or commit of the Hub repository.

    Raises:
        FileNotFoundError, ValueError: see [`read_config`], [`convert_config`], [`load_original_tokenizer`].
    """
    return _build_processor(read_checkpoint(source, revision))


def _load_model(checkpoint: OriginalCheckpoint, dtype=None, **kwargs) -> MiniMonkeyForConditionalGeneration:
    tensors = open_tensors(checkpoint.folder)
    mapping = vision_and_projector_weights() + checkpoint.family.weights()
    check_keys(tensors, checkpoint.config, mapping)
    if dtype is None:
        dtype = functools.reduce(torch.promote_types, (tensor[:0].dtype for tensor in tensors.values()))
    with original_names(mapping):
        model = MiniMonkeyForConditionalGeneration.from_pretrained(
            None, config=checkpoint.config, state_dict=tensors, dtype=dtype, **kwargs
        )
    model._weight_conversions = []  # else `save_pretrained` would write the original names
    model.name_or_path = model.config.name_or_path = str(checkpoint.folder)
    tokenizer = checkpoint.tokenizer
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.convert_tokens_to_ids(checkpoint.prompt.end_of_turn),
        pad_token_id=tokenizer.pad_token_id,
    )
    return model


def _build_processor(checkpoint: OriginalCheckpoint) -> MiniMonkeyProcessor:
    height, width = checkpoint.config.vision_config.image_size
    return MiniMonkeyProcessor(
        image_processor=MiniMonkeyImageProcessor(size={"height": height, "width": width}, **PYRAMID_SETTINGS["demo"]),
        tokenizer=checkpoint.tokenizer,
        image_seq_length=checkpoint.config.image_seq_length,
        chat_template=(files("processing_minimonkey") / checkpoint.prompt.file).read_text("utf-8"),
    )


def convert(source: str | Path, target: str | Path, *, revision: str | None = None) -> None:
    """
    Convert an original checkpoint into a folder that loads with `trust_remote_code=True`. `target` appears complete or
    not at all.

    Args:
        source (`str` or `Path`):
            Folder in the original `internvl_chat` format, or id of a Hub repository.
        target (`str` or `Path`):
            Folder to make; it must not exist.
        revision (`str`, *optional*):
            Branch, tag or commit of the Hub repository.

    Raises:
        FileExistsError: `target` exists.
        FileNotFoundError, ValueError: see [`load_original`]; also if a weight is not a finite number.
    """
    target = Path(target).absolute()
    if target.exists():
        raise FileExistsError(f"`target` {target} exists already; give a folder that does not.")
    checkpoint = read_checkpoint(source, revision)
    processor, model = _build_processor(checkpoint), _load_model(checkpoint)
    broken = [name for name, weights in model.state_dict().items() if not weights.isfinite().all()]
    if broken:
        raise ValueError(f"`source` has weights that are not finite numbers in {broken}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the last step is a rename on the same disk.
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as unfinished:
        written = Path(unfinished) / target.name
        model.save_pretrained(written, save_original_format=False)
        processor.save_pretrained(written)
        os.rename(written, target)


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert an original Mini-Monkey or InternVL2 checkpoint.")
    parser.add_argument("source", help="folder in the internvl_chat format, or id of a Hub repository")
    parser.add_argument("target", help="folder to make; it must not exist")
    parser.add_argument("--revision", help="branch, tag or commit of the Hub repository")
    arguments = parser.parse_args()
    convert(arguments.source, arguments.target, revision=arguments.revision)


if __name__ == "__main__":
    main()
