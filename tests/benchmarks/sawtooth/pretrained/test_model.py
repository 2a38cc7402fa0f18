"""A language model behind a tower: the same answers as before without images, and after saving and loading."""

import pytest
import torch

from benchmarks.sawtooth.pretrained.model import (
    add_adapter,
    learned,
    load_learned,
    load_tower,
    save_learned,
    without_adapter,
)
from benchmarks.sawtooth.pretrained.model import build as build_model


@pytest.fixture
def ids():
    return torch.randint(0, 256, (2, 9), generator=torch.Generator().manual_seed(0))


def disturb(model, part: str) -> None:
    torch.manual_seed(5)
    for parameter in learned(model, part).values():
        parameter.data += torch.randn_like(parameter) / 4


@torch.no_grad()
def test_text_alone_has_the_language_models_logits(model, causal_lm, ids):
    logits = model(input_ids=ids).logits
    torch.testing.assert_close(logits[..., :258], causal_lm(input_ids=ids).logits)
    assert logits.shape[-1] == 261


def test_head_and_embeddings_share_their_weights(model):
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_one_image_token_a_patch(model, tower):
    pixel_values = torch.randn(2, 3, 112, 112)
    features = model.model.get_image_features(pixel_values, return_dict=True)
    torch.testing.assert_close(features.last_hidden_state, tower(pixel_values=pixel_values).last_hidden_state)
    assert features.pooler_output.shape == (2, 64, 32)


@torch.no_grad()
def test_adapter_adds_nothing_at_first_and_goes_away(model, ids):
    before = model(input_ids=ids).logits
    add_adapter(model, rank=2)
    torch.testing.assert_close(model(input_ids=ids).logits, before)
    disturb(model, "adapter")
    assert not torch.allclose(model(input_ids=ids).logits, before)
    with without_adapter(model):
        torch.testing.assert_close(model(input_ids=ids).logits, before)
    assert not torch.allclose(model(input_ids=ids).logits, before)


def test_adapter_is_in_all_matrices_of_the_layers(model):
    add_adapter(model, rank=2)
    assert len(learned(model, "adapter")) == 2 * 7 * 2  # layers, matrices, factors
    assert {parameter.dtype for parameter in learned(model, "adapter").values()} == {torch.float32}


def test_adapter_learns_in_float32_beside_weights_in_bfloat16(model):
    model.model.language_model.to(torch.bfloat16)
    add_adapter(model, rank=2)
    assert {parameter.dtype for parameter in learned(model, "adapter").values()} == {torch.float32}


@torch.no_grad()
@pytest.mark.parametrize("with_tower", [False, True])
def test_saved_and_loaded_is_what_was_rounded(model, causal_lm, tower, tokenizer, ids, tmp_path, with_tower):
    add_adapter(model, rank=2)
    parts = ["adapter", "projector"] + ["tower"] * with_tower
    for part in parts:
        disturb(model, part)
    save_learned(model, tmp_path, {"rank": 2}, with_tower)
    fresh = build_model(causal_lm, tower, tokenizer)
    assert load_learned(fresh, tmp_path) == {"rank": 2}
    for part in parts:
        for (name, saved), (same, loaded) in zip(
            learned(model, part).items(), learned(fresh, part).items(), strict=True
        ):
            assert name == same
            torch.testing.assert_close(loaded, saved.to(torch.bfloat16).float(), rtol=0, atol=0)
    load_learned(model, tmp_path)
    torch.testing.assert_close(fresh(input_ids=ids).logits, model(input_ids=ids).logits)


def test_another_rank_is_refused(model, causal_lm, tower, tokenizer, tmp_path):
    add_adapter(model, rank=2)
    save_learned(model, tmp_path, {"rank": 2})
    fresh = build_model(causal_lm, tower, tokenizer)
    add_adapter(fresh, rank=4)
    with pytest.raises(ValueError, match="does not fit"):
        load_learned(fresh, tmp_path)


def test_towers_come_from_a_mini_monkey_or_alone(checkpoint, tower, tmp_path):
    assert load_tower(checkpoint).config.hidden_size == 192
    tower.save_pretrained(tmp_path)
    torch.testing.assert_close(load_tower(tmp_path).state_dict(), tower.state_dict())
