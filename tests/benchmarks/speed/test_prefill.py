"""The arithmetic of the prefill's cost, against what torch counts; the timings are no tests."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed import prefill
from benchmarks.speed.model import HIDDEN_SIZE, TEXT_AFTER, TOKENS_PER_TILE, make_model, make_prompt
from modeling_minimonkey.scale_compression import detailed_images, score_detailed_tokens


@pytest.fixture(scope="module")
def model():
    model = make_model(layers=3).model
    model.set_attn_implementation("eager")  # whose products the counter sees
    return model


@pytest.fixture(scope="module")
def prompt(model):
    inputs = make_prompt(detailed=1, adaptive=0)
    image_mask = inputs["input_ids"] == model.config.image_token_id
    features = inputs["mm_encoder_outputs"]["image"].pooler_output
    embeds = model.get_input_embeddings()(inputs["input_ids"]).masked_scatter(image_mask[..., None], features)
    return embeds.detach(), detailed_images(image_mask, inputs["tile_levels"], TOKENS_PER_TILE)[0]


@torch.no_grad()
def count(function, *args, **kwargs) -> int:
    with FlopCounterMode(display=False) as counter:
        function(*args, **kwargs)
    return counter.get_total_flops()


def test_layer_cost_is_what_torch_counts(model, prompt):
    embeds, _ = prompt
    tokens = embeds.shape[1]
    masked_half = 2 * HIDDEN_SIZE * tokens**2  # eager attention multiplies it, sdpa skips it
    rotary = count(model.language_model.rotary_emb, embeds, torch.arange(tokens)[None])
    counted = count(model.language_model, inputs_embeds=embeds, use_cache=False)
    assert counted == 3 * (prefill.layer_cost(tokens) + masked_half) + rotary


def test_scoring_cost_is_what_torch_counts(model, prompt):
    embeds, images = prompt
    tokens = embeds.shape[1]
    rows = TOKENS_PER_TILE + TEXT_AFTER  # the global tile and the question
    positions = torch.arange(tokens)[None]
    counted = count(score_detailed_tokens, model.language_model, embeds, positions, images)
    masked_half = 2 * HIDDEN_SIZE * tokens**2
    # A chunk of queries is multiplied with the keys up to its last one: a little more than the causal half.
    assert counted - masked_half == pytest.approx(prefill.scoring_cost(tokens, rows), rel=0.01)
