"""The names of the weights: every key has one place, in both directions."""

import re

import pytest
import torch
from transformers import LlamaConfig

from modeling_minimonkey.conversion.weight_files import LazyTensor
from modeling_minimonkey.conversion.weight_names import (
    check_tensors,
    conversions_to_original,
    conversions_to_ours,
    convert_tensors,
    internlm2_weights,
    merge_grouped_qkv,
    split_grouped_qkv,
    vision_and_projector_weights,
)


def test_wqkv_is_split_as_a_loop_over_its_heads_splits_it():
    config = LlamaConfig(hidden_size=12, num_attention_heads=6, num_key_value_heads=2)
    packed = torch.randn(2 * (3 + 2) * 2, 12)  # 2 key-value heads, 3 query heads each, 2 values per head
    query, key, value, row = [], [], [], 0
    for _ in range(2):
        for heads, part in ((3, query), (1, key), (1, value)):
            for _ in range(heads * 2):
                part.append(packed[row])
                row += 1
    split = split_grouped_qkv([packed], config)
    for part, rows in zip(split, (query, key, value), strict=True):
        assert torch.equal(part, torch.stack(rows))
    (merged,) = merge_grouped_qkv(split, config)
    assert torch.equal(merged, packed)


def test_qkv_of_the_vision_tower_is_split_in_thirds():
    name, packed = "vision_model.encoder.layers.3.attn.qkv.bias", torch.arange(12.0)
    mapping = vision_and_projector_weights()
    tensors = {name: LazyTensor((12,), torch.float32, lambda: packed)}
    tensors = convert_tensors(tensors, conversions_to_ours(tensors, mapping), None)
    prefix = "model.vision_tower.encoder.layer.3.attention."
    assert {key: tensor.read().tolist() for key, tensor in tensors.items()} == {
        f"{prefix}q_proj.bias": [0, 1, 2, 3],
        f"{prefix}k_proj.bias": [4, 5, 6, 7],
        f"{prefix}v_proj.bias": [8, 9, 10, 11],
    }
    back = convert_tensors(tensors, conversions_to_original(tensors, mapping), None)
    assert list(back) == [name] and torch.equal(back[name].read(), packed)


def lazy(**shapes):
    return {
        name: LazyTensor(shape, torch.float32, lambda shape=shape: torch.randn(shape))
        for name, shape in shapes.items()
    }


def test_tensors_are_read_when_they_are_asked_for():
    config = LlamaConfig(hidden_size=8, num_attention_heads=4, num_key_value_heads=2)
    reads = []

    def read():
        reads.append(1)
        return torch.arange(128.0).view(16, 8)

    name = "language_model.model.layers.11.attention.wqkv.weight"
    mapping = internlm2_weights()
    (conversion,) = conversions_to_ours([name], mapping)
    tensors = convert_tensors({name: LazyTensor((16, 8), torch.float32, read)}, [conversion], config)
    prefix = "model.language_model.layers.11.self_attn."
    assert {key: tensor.shape for key, tensor in tensors.items()} == {
        f"{prefix}q_proj.weight": (8, 8),
        f"{prefix}k_proj.weight": (4, 8),
        f"{prefix}v_proj.weight": (4, 8),
    }
    assert not reads
    assert tensors[f"{prefix}k_proj.weight"].read()[:, 0].tolist() == [32.0, 40.0, 96.0, 104.0]
    assert reads == [1]
    # The order in which a file holds the three parts does not matter on the way back.
    back = convert_tensors(tensors, conversions_to_original(reversed(list(tensors)), mapping), config)
    assert list(back) == [name]
    assert torch.equal(back[name].read(), read())


def test_names_that_the_tables_do_not_know_stay_as_they_are():
    mapping = vision_and_projector_weights() + internlm2_weights()
    for name in ("loss.scale", "module.vision_model.ls", "module.lm_head.weight"):
        for conversions in (conversions_to_ours, conversions_to_original):
            (conversion,) = conversions([name], mapping)
            assert (conversion.sources, conversion.targets) == ((name,), (name,))


def test_all_keys_that_do_not_fit_are_listed():
    expected = lazy(a=(2, 3), b=(4,), c=(5,), d=(6,), tied=(7,))
    check_tensors(lazy(a=(2, 3), b=(4,), c=(5,), d=(6,)), expected, optional=["tied"])
    with pytest.raises(ValueError) as error:
        check_tensors(lazy(a=(3, 2), d=(6,), e=(1,), f=(1,)), expected, optional=["tied"])
    for problem in (
        "missing: ['b', 'c']",
        "no place in the model: ['e', 'f']",
        "wrong shape: ['a (3, 2), expected (2, 3)']",
    ):
        assert re.search(re.escape(problem), str(error.value))
