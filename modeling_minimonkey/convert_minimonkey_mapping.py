"""
The names and layouts of the weights in the original `internvl_chat` format and in this project's, in both directions.

Every table is a list of Transformers' own weight transforms (`transformers.core_model_loading`), written from the
original to ours; the way back is their reverse. They are applied here and never registered: a registered mapping would
make every later `save_pretrained` write the original names.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from transformers import PreTrainedConfig
from transformers.core_model_loading import (
    Chunk,
    ConversionOps,
    WeightConverter,
    WeightRenaming,
    WeightTransform,
    rename_source_key,
)

from .convert_minimonkey_files import LazyTensor


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


def transformers_weights() -> list[WeightTransform]:
    """Qwen2, Llama and Phi3, whose fused `qkv_proj` and `gate_up_proj` are Transformers' own, only change place."""
    return [
        WeightRenaming(r"^language_model\.model\.", "model.language_model."),
        WeightRenaming(r"^language_model\.lm_head\.", "lm_head."),
    ]


@dataclass(frozen=True)
class Conversion:
    """
    Tensors that are made of others: by the operations of `converter`, or by a new name alone.

    Args:
        sources: Names of the tensors that are needed, in the order of the converter's patterns.
        targets: Names of the tensors that are made.
        converter: Its operations make them; `None` where only the name changes.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    converter: WeightConverter | None = None

    def reverse(self) -> "Conversion":
        converter = None if self.converter is None else self.converter.reverse_transform()
        return Conversion(self.targets, self.sources, converter)

    def __call__(self, tensors: list[torch.Tensor], config: PreTrainedConfig) -> list[torch.Tensor]:
        if self.converter is None:
            return tensors
        patterns = {
            "source_patterns": self.converter.source_patterns,
            "target_patterns": self.converter.target_patterns,
        }
        named = dict(zip(patterns["source_patterns"], tensors, strict=True))
        for operation in self.converter.operations:
            named = operation.convert(named, **patterns, config=config)
        return [named[pattern] for pattern in patterns["target_patterns"]]


def conversions_to_ours(names: Iterable[str], mapping: list[WeightTransform]) -> list[Conversion]:
    """How the tensors of an original checkpoint, given by their `names`, become this project's."""
    renamings, converters = _by_type(mapping)
    conversions = []
    for name in names:
        target, pattern = rename_source_key(name, renamings, converters)
        if pattern is None:
            conversions.append(Conversion((name,), (target,)))
        else:
            converter = next(each for each in converters if pattern in each.source_patterns)
            first, *_ = converter.target_patterns
            targets = tuple(target.replace(first, part) for part in converter.target_patterns)
            conversions.append(Conversion((name,), targets, converter))
    return conversions


def conversions_to_original(names: Iterable[str], mapping: list[WeightTransform]) -> list[Conversion]:
    """How this project's tensors, given by their `names`, become those of an original checkpoint."""
    renamings, converters = _by_type([transform.reverse_transform() for transform in reversed(mapping)])
    originals = dict.fromkeys(rename_source_key(name, renamings, converters, reverse=True)[0] for name in names)
    return [conversion.reverse() for conversion in conversions_to_ours(originals, mapping)]


def _by_type(mapping: list[WeightTransform]) -> tuple[list[WeightRenaming], list[WeightConverter]]:
    renamings = [transform for transform in mapping if isinstance(transform, WeightRenaming)]
    return renamings, [transform for transform in mapping if isinstance(transform, WeightConverter)]


def convert_tensors(
    tensors: dict[str, LazyTensor], conversions: list[Conversion], config: PreTrainedConfig
) -> dict[str, LazyTensor]:
    """Apply `conversions` to `tensors`, each when its result is read. Their names and shapes must fit already."""
    converted = {}
    for conversion in conversions:
        sources = [tensors[name] for name in conversion.sources]
        parts = conversion([source.meta() for source in sources], config)
        for index, (target, part) in enumerate(zip(conversion.targets, parts, strict=True)):

            def read(conversion=conversion, sources=sources, index=index) -> torch.Tensor:
                return conversion([source.read() for source in sources], config)[index]

            converted[target] = LazyTensor(tuple(part.shape), part.dtype, read)
    return converted


def check_tensors(
    tensors: dict[str, LazyTensor], expected: dict[str, LazyTensor], optional: Iterable[str] = ()
) -> None:
    """
    Check, before any tensor is read, that a checkpoint and its model fit one to one.

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
    found = [f"{problem}: {keys}" for problem, keys in problems.items() if keys]
    if found:
        raise ValueError("`source` and its config.json do not fit together; " + "; ".join(found) + ".")
