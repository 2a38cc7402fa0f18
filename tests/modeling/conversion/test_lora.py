"""Adapters in original checkpoints, against the sum that LoRA stands for."""

import re

import pytest
import torch

from modeling_minimonkey.conversion.lora import merge_lora
from modeling_minimonkey.conversion.weight_files import LazyTensor


MODULE = "language_model.base_model.model.model.layers.0.attention.wqkv"
PLAIN = "language_model.model.layers.0.attention.wqkv.weight"


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    return {
        f"{MODULE}.base_layer.weight": torch.randn(6, 4),
        f"{MODULE}.lora_A.default.weight": torch.randn(2, 4),
        f"{MODULE}.lora_B.default.weight": torch.randn(6, 2),
        "language_model.base_model.model.model.norm.weight": torch.randn(4),
        "vision_model.encoder.layers.0.attn.qkv.weight": torch.randn(3, 5),
    }


def merge(tensors, **config):
    lazy = {name: LazyTensor(tuple(each.shape), each.dtype, lambda each=each: each) for name, each in tensors.items()}
    return {name: tensor.read() for name, tensor in merge_lora(lazy, config).items()}


def test_the_adapter_is_added_and_every_name_is_plain(tensors):
    merged = merge(tensors, use_llm_lora=2)
    assert merged.keys() == {
        PLAIN,
        "language_model.model.norm.weight",
        "vision_model.encoder.layers.0.attn.qkv.weight",
    }
    base, down, up = list(tensors.values())[:3]
    torch.testing.assert_close(merged[PLAIN], base + 2 * (up @ down))
    assert torch.equal(merged["language_model.model.norm.weight"], list(tensors.values())[3])


def test_older_files_name_the_base_weight_as_if_it_were_alone(tensors):
    expected = merge(tensors, use_llm_lora=2)
    older = {name.replace(".base_layer", ""): tensor for name, tensor in tensors.items()}
    assert torch.equal(merge(older, use_llm_lora=2)[PLAIN], expected[PLAIN])


def test_small_changes_of_half_precision_weights_are_summed_in_full_precision(tensors):
    tensors = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    merged = merge(tensors, use_llm_lora=2)[PLAIN]
    base, down, up = (tensor.float() for tensor in list(tensors.values())[:3])
    assert merged.dtype == torch.bfloat16
    assert torch.equal(merged, (base + 2 * (up @ down)).bfloat16())


def test_the_vision_tower_can_have_adapters_of_its_own(tensors):
    key = "vision_model.encoder.layers.0.attn.qkv"
    wrapped = key.replace("vision_model.", "vision_model.base_model.model.")
    base = tensors.pop(f"{key}.weight")
    adapter = {
        f"{wrapped}.lora_A.default.weight": torch.randn(1, 5),
        f"{wrapped}.lora_B.default.weight": torch.ones(3, 1),
    }
    tensors |= {f"{wrapped}.base_layer.weight": base} | adapter
    merged = merge(tensors, use_llm_lora=2, use_backbone_lora=1)
    torch.testing.assert_close(merged[f"{key}.weight"], base + 2 * adapter[f"{wrapped}.lora_A.default.weight"])
    assert PLAIN in merged


def test_a_checkpoint_without_adapters_stays_as_it_is(tensors):
    plain = {"language_model.model.norm.weight": torch.ones(2)}
    assert merge(plain, use_llm_lora=16).keys() == plain.keys()


@pytest.mark.parametrize(
    "change, rank, message",
    [
        (lambda t: t.pop(f"{MODULE}.lora_A.default.weight"), 2, "both factors"),
        (lambda t: t.pop(f"{MODULE}.base_layer.weight"), 2, "needs a weight"),
        (lambda t: t, 4, "factors (6, 2) and (2, 4) for (6, 4) and rank 4"),
        (lambda t: t.update({f"{MODULE}.lora_B.default.weight": torch.ones(2, 6)}), 2, "factors (2, 6)"),
    ],
    ids=["half", "no_base", "rank", "transposed"],
)
def test_adapters_that_do_not_fit_are_named(tensors, change, rank, message):
    change(tensors)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        merge(tensors, use_llm_lora=rank)
    assert "use_llm_lora" in str(error.value) and PLAIN.removesuffix(".weight") in str(error.value)
