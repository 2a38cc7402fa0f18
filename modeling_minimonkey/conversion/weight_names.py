"""
Converts names and layouts of weights from the original `internvl_chat` format to this project's and back.

`transformers.core_model_loading` does the same for the library's own models. It is not used, since it changes with
every release and what is needed here is short.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from transformers import PreTrainedConfig

from .weight_files import LazyTensor, some


Operation = Callable[[list[torch.Tensor], PreTrainedConfig], list[torch.Tensor]]


def keep(tensors: list[torch.Tensor], config: PreTrainedConfig) -> list[torch.Tensor]:
    return tensors


def split_qkv(tensors: list[torch.Tensor], config: PreTrainedConfig) -> list[torch.Tensor]:
    """Split InternViT's `qkv` into query, key and value, which are stored one after the other."""
    (packed,) = tensors
    return [part.clone() for part in packed.chunk(3)]


def merge_qkv(tensors: list[torch.Tensor], config: PreTrainedConfig) -> list[torch.Tensor]:
    return [torch.cat(tensors)]


def split_grouped_qkv(tensors: list[torch.Tensor], config: PreTrainedConfig) -> list[torch.Tensor]:
    """
    Split InternLM2's `wqkv` into query, key and value. Its rows are grouped by key-value head: the query heads that
    share it, its key, its value.
    """
    (packed,) = tensors
    groups, queries, head_dim = _attention_shape(config)
    packed = packed.unflatten(0, (groups, queries + 2, head_dim))
    parts = packed.split([queries, 1, 1], dim=1)  # each (groups, heads, head_dim, ...)
    return [part.flatten(0, 2).clone() for part in parts]


def merge_grouped_qkv(tensors: list[torch.Tensor], config: PreTrainedConfig) -> list[torch.Tensor]:
    groups, queries, head_dim = _attention_shape(config)
    grouped = [
        part.unflatten(0, (groups, heads, head_dim)) for part, heads in zip(tensors, (queries, 1, 1), strict=True)
    ]
    return [torch.cat(grouped, dim=1).flatten(0, 2)]


def _attention_shape(config: PreTrainedConfig) -> tuple[int, int, int]:
    """Number of key-value heads, of query heads per key-value head, and size of a head."""
    text_config = config.get_text_config()
    groups, heads = text_config.num_key_value_heads, text_config.num_attention_heads
    return groups, heads // groups, text_config.hidden_size // heads


@dataclass(frozen=True)
class Renaming:
    """
    A part of a name in the original format, and in ours. A `^` stands for the beginning of a name.

    Args:
        original: The original part.
        ours: What it becomes; several parts if one tensor becomes several.
        split: Makes our tensors from the original one.
        merge: Makes the original tensor from ours.
    """

    original: str
    ours: tuple[str, ...]
    split: Operation = keep
    merge: Operation = keep


def _renamings(names: dict[str, str]) -> list[Renaming]:
    return [Renaming(original, (ours,)) for original, ours in names.items()]


def vision_and_projector_weights() -> list[Renaming]:
    """The names of InternViT and of the projector, the same in every original checkpoint."""
    names = {
        "^vision_model.": "^model.vision_tower.",
        ".embeddings.class_embedding": ".embeddings.cls_token",
        ".embeddings.position_embedding": ".embeddings.position_embeddings",
        ".embeddings.patch_embedding.": ".embeddings.patch_embeddings.projection.",
        ".encoder.layers.": ".encoder.layer.",
        ".ls1": ".lambda_1",
        ".ls2": ".lambda_2",
        ".norm1.": ".layernorm_before.",
        ".norm2.": ".layernorm_after.",
        ".attn.proj.": ".attention.projection_layer.",
        ".attn.q_norm.": ".attention.q_norm.",
        ".attn.k_norm.": ".attention.k_norm.",
        "^mlp1.0.": "^model.multi_modal_projector.layer_norm.",
        "^mlp1.1.": "^model.multi_modal_projector.linear_1.",
        "^mlp1.3.": "^model.multi_modal_projector.linear_2.",
    }
    qkv = tuple(f".attention.{name}_proj." for name in "qkv")
    return [*_renamings(names), Renaming(".attn.qkv.", qkv, split_qkv, merge_qkv)]


def internlm2_weights() -> list[Renaming]:
    """InternLM2's names in Llama's terms. The two models compute the same: w1 is the gate, w3 goes up, w2 down."""
    names = {
        "^language_model.model.": "^model.language_model.",
        "^language_model.output.": "^lm_head.",
        ".tok_embeddings.": ".embed_tokens.",
        ".attention_norm.": ".input_layernorm.",
        ".ffn_norm.": ".post_attention_layernorm.",
        ".attention.wo.": ".self_attn.o_proj.",
        ".feed_forward.w1.": ".mlp.gate_proj.",
        ".feed_forward.w3.": ".mlp.up_proj.",
        ".feed_forward.w2.": ".mlp.down_proj.",
    }
    qkv = tuple(f".self_attn.{name}_proj." for name in "qkv")
    return [*_renamings(names), Renaming(".attention.wqkv.", qkv, split_grouped_qkv, merge_grouped_qkv)]


def transformers_weights() -> list[Renaming]:
    """Qwen2's, Llama's and Phi3's names (with fused `qkv_proj` and `gate_up_proj`): only the beginnings change."""
    return _renamings({"^language_model.model.": "^model.language_model.", "^language_model.lm_head.": "^lm_head."})


@dataclass(frozen=True)
class Conversion:
    """
    How tensors are made from others.

    Args:
        sources: Names of the tensors that are needed.
        targets: Names of the tensors that are made.
        make: Makes the targets, in order, from the sources, in order.
        undo: Makes the sources from the targets.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    make: Operation = keep
    undo: Operation = keep

    def reverse(self) -> "Conversion":
        return Conversion(self.targets, self.sources, self.undo, self.make)


def conversions_to_ours(names: Iterable[str], mapping: list[Renaming]) -> list[Conversion]:
    """How the tensors of an original checkpoint, given by their `names`, become this project's."""
    return [_conversion_to_ours(name, mapping) for name in names]


def _conversion_to_ours(name: str, mapping: list[Renaming]) -> Conversion:
    targets, operations = [f"^{name}"], (keep, keep)
    for each in mapping:
        if each.original in targets[0]:
            targets = [target.replace(each.original, part) for target in targets for part in each.ours]
            if len(each.ours) > 1:
                operations = (each.split, each.merge)
    return Conversion((name,), tuple(target.removeprefix("^") for target in targets), *operations)


def conversions_to_original(names: Iterable[str], mapping: list[Renaming]) -> list[Conversion]:
    """How this project's tensors, given by their `names`, become those of an original checkpoint."""
    originals = dict.fromkeys(_original_name(name, mapping) for name in names)
    return [conversion.reverse() for conversion in conversions_to_ours(originals, mapping)]


def _original_name(name: str, mapping: list[Renaming]) -> str:
    name = f"^{name}"
    for each in reversed(mapping):
        for part in each.ours:
            name = name.replace(part, each.original)
    return name.removeprefix("^")


def convert_tensors(
    tensors: dict[str, LazyTensor], conversions: list[Conversion], config: PreTrainedConfig
) -> dict[str, LazyTensor]:
    """Apply `conversions` to `tensors`, each when its result is read. Names and shapes must already fit."""
    converted = {}
    for conversion in conversions:
        sources = [tensors[name] for name in conversion.sources]
        parts = conversion.make([source.meta() for source in sources], config)
        for index, (target, part) in enumerate(zip(conversion.targets, parts, strict=True)):

            def read(conversion=conversion, sources=sources, index=index) -> torch.Tensor:
                return conversion.make([source.read() for source in sources], config)[index]

            converted[target] = LazyTensor(tuple(part.shape), part.dtype, read)
    return converted


def check_tensors(
    tensors: dict[str, LazyTensor], expected: dict[str, LazyTensor], optional: Iterable[str] = ()
) -> None:
    """
    Check, before any tensor is read, that a checkpoint has the names and shapes of its model, and no others.

    Args:
        tensors (`dict[str, LazyTensor]`):
            The checkpoint.
        expected (`dict[str, LazyTensor]`):
            The names and shapes that its config.json asks for.
        optional (`Iterable[str]`, *optional*):
            Names in `expected` that may be absent.

    Raises:
        ValueError: lists every key that is missing, has no place in the model, or has the wrong shape.
    """
    shapes = {name: (tensor.shape, expected[name].shape) for name, tensor in tensors.items() if name in expected}
    problems = {
        "keys that are missing": sorted(expected.keys() - tensors.keys() - set(optional)),
        "keys with no place in the model": sorted(tensors.keys() - expected.keys()),
        "keys with the wrong shape": [
            f"{name} {got}, expected {wanted}" for name, (got, wanted) in sorted(shapes.items()) if got != wanted
        ],
    }
    found = [f"{problem}: {some(keys)}" for problem, keys in problems.items() if keys]
    if found:
        raise ValueError("`source` and its config.json do not fit together; " + "; ".join(found) + ".")
