"""The arithmetic of the prefill's cost, against what torch counts and against a count token by token."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.costs import Sizes, layer_cost, predicted_ratio, scoring_cost
from benchmarks.speed.model import HIDDEN_SIZE, TEXT_AFTER, TOKENS_PER_TILE, make_model, make_prompt
from modeling_minimonkey.scale_compression import detailed_images, question_tokens, score_detailed_tokens


@pytest.fixture(scope="module")
def model():
    model = make_model(layers=3).model
    model.set_attn_implementation("eager")  # whose products the counter sees
    return model


@pytest.fixture(scope="module")
def sizes(model):
    return Sizes.of(model.config.text_config)


@pytest.fixture(scope="module")
def prompt(model):
    inputs = make_prompt(detailed=1, adaptive=0)
    image_mask = inputs["input_ids"] == model.config.image_token_id
    features = inputs["mm_encoder_outputs"]["image"].pooler_output
    embeds = model.get_input_embeddings()(inputs["input_ids"]).masked_scatter(image_mask[..., None], features)
    return embeds.detach(), detailed_images(image_mask, inputs["tile_levels"], TOKENS_PER_TILE)[0], image_mask[0]


@torch.no_grad()
def count(function, *args, **kwargs) -> int:
    with FlopCounterMode(display=False) as counter:
        function(*args, **kwargs)
    return counter.get_total_flops()


def masked_half(tokens: int) -> int:
    """Of attention: eager multiplies it, sdpa skips it."""
    return 2 * HIDDEN_SIZE * tokens**2


def test_layer_cost_is_what_torch_counts(model, sizes, prompt):
    embeds, _, _ = prompt
    tokens = embeds.shape[1]
    rotary = count(model.language_model.rotary_emb, embeds, torch.arange(tokens)[None])
    counted = count(model.language_model, inputs_embeds=embeds, use_cache=False)
    assert counted == 3 * (layer_cost(sizes, tokens) + masked_half(tokens)) + rotary


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize(("asking", "rows"), [("all", TOKENS_PER_TILE + TEXT_AFTER), ("question", TEXT_AFTER)])
def test_scoring_cost_is_what_torch_counts(model, sizes, prompt, layer, asking, rows):
    embeds, images, image_mask = prompt
    tokens = embeds.shape[1]
    queries = torch.ones_like(image_mask)
    if asking == "question":
        queries = question_tokens(image_mask, queries)
    positions = torch.arange(tokens)[None]
    counted = count(score_detailed_tokens, model.language_model, embeds, positions, images, layer, queries)
    # A chunk of queries is multiplied with the keys up to its last one: a little more than the causal half.
    expected = scoring_cost(sizes, tokens, rows, layer)
    assert counted - layer * masked_half(tokens) == pytest.approx(expected, rel=0.012)


def test_predicted_ratio_is_a_count_token_by_token():
    sizes = Sizes(layers=5, hidden=6, intermediate=10, query=8, key=4)

    def multiplied(seen: int, whole_layer: bool = True) -> int:
        """Of a token that sees so many: each weight once, each key and each value once."""
        weights = 6 * 8 * (2 if whole_layer else 1) + 6 * 4 * 2 + (3 * 6 * 10 if whole_layer else 0)
        return weights + (2 * 8 * seen if whole_layer else 0)

    def prefill(tokens: int) -> int:
        return sum(multiplied(seen) for seen in range(1, tokens + 1))

    tokens, kept, rows = 400, 250, 60
    # The benchmark counts the output's matrix with the projections of the layer that scores, which skips it.
    last = sum(multiplied(0, whole_layer=False) + 6 * 8 for _ in range(tokens))
    last += sum(8 * seen for seen in range(tokens - rows + 1, tokens + 1))
    naive = (5 * prefill(kept) + 2 * prefill(tokens) + last) / (5 * prefill(tokens))
    assert predicted_ratio(sizes, tokens, kept, rows, layer=2) == pytest.approx(naive, rel=0.002)


def test_all_tokens_cost_more_than_without_compression():
    sizes = Sizes(layers=5, hidden=6, intermediate=10, query=8, key=4)
    assert predicted_ratio(sizes, 400, 400, 60) > 1
