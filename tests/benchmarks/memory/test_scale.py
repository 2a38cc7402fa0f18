"""docs/scale.md is what its script computes, and the script counts right."""

import json
import re

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import DynamicCache

from benchmarks.memory.checkpoints import meta_model
from benchmarks.memory.prefill import PYRAMIDS, TEXT_AFTER, TEXT_BEFORE
from benchmarks.memory.run import RESULTS
from benchmarks.memory.scale import (
    ANSWER,
    BLOCK,
    CARDS,
    DOCUMENT,
    FAST,
    KEEP_RATIOS,
    NAMES,
    PAGE_PYRAMIDS,
    SLOW,
    Case,
    cases,
    checkpoint,
    find,
    load_of,
    prompts_at_once,
    read_bytes,
    room,
    seconds_of,
    tower_bytes,
    tower_cost,
)
from benchmarks.memory.scale_document import cutting_seconds, document, rates, shares
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.engines.image_tokens import kept_tokens
from tests.benchmarks.memory.small_config import small_config


RTX_4090, L40S, A100, H100 = CARDS


@pytest.fixture(scope="module")
def rows() -> list[Case]:
    return cases()


@pytest.fixture(scope="module")
def small_model() -> MiniMonkeyForConditionalGeneration:
    model = MiniMonkeyForConditionalGeneration(small_config(vision_size=40, head_dim=24)).to(torch.bfloat16).eval()
    model.set_attn_implementation("eager")  # whose products the counter sees
    return model


def matrices(module: nn.Module) -> int:
    return sum(each.weight.nbytes for each in module.modules() if isinstance(each, nn.Linear))


def test_document_is_what_the_script_writes(rows):
    assert DOCUMENT.read_text("utf-8") == document(rows)


def test_figure_is_small():
    assert DOCUMENT.with_suffix(".png").stat().st_size < 60_000


def test_pages_have_the_tiles_that_the_document_names():
    assert [pyramid.plan.num_tiles for pyramid in PAGE_PYRAMIDS] == [11, 19, 33]


@pytest.mark.parametrize("keep_ratio", [1.0, 0.5])
def test_tokens_are_those_that_generate_keeps(keep_ratio):
    """results.json has the lengths of the caches that `generate` filled."""
    stored = json.loads(RESULTS.read_text("utf-8"))["checkpoints"]["OpenGVLab/InternVL2-2B"]["prefill"]
    for pyramid in PYRAMIDS:
        tokens = TEXT_BEFORE + kept_tokens(pyramid.plan, 256, keep_ratio) + TEXT_AFTER
        assert tokens == stored[str(pyramid.tiles)][str(keep_ratio)]["tokens"]


@torch.no_grad()
def test_tower_costs_what_torch_counts(small_model):
    pixel_values = torch.zeros(1, 3, 112, 112, dtype=torch.bfloat16)
    with FlopCounterMode(display=False) as counter:
        small_model.model.get_image_features(pixel_values)
    assert tower_cost(small_model.config) == counter.get_total_flops()


@torch.no_grad()
def test_published_tower_costs_what_torch_counts():
    model = meta_model(checkpoint("InternVL2-1B").config).model
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        model.get_image_features(torch.empty(1, 3, 448, 448, dtype=torch.bfloat16, device="meta"))
    assert tower_cost(model.config) == counter.get_total_flops()


def test_weights_are_those_of_the_matrices(small_model):
    model, config = small_model.model, small_model.config
    assert read_bytes(config) == matrices(model.language_model) + matrices(small_model.lm_head)
    assert tower_bytes(config) == matrices(model.vision_tower)


@torch.no_grad()
def test_keys_and_values_are_as_large_as_real_ones(small_model):
    config = small_model.config
    load = load_of(config, PAGE_PYRAMIDS[0].plan, 0.5)
    cache = DynamicCache(config=config.text_config)
    small_model(input_ids=torch.full((1, load.tokens), 5), past_key_values=cache, use_cache=True)
    assert load.cached == sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)


def test_blocks_are_whole_and_enough(rows):
    for case in rows:
        block = case.load.cached // case.load.tokens * BLOCK
        blocks, rest = divmod(case.load.held, block)
        assert rest == 0
        assert 0 <= blocks * BLOCK - (case.load.tokens + ANSWER) < BLOCK


def test_prefill_and_answer_of_2b_by_hand(rows):
    load = find(rows, "InternVL2-2B", 33, 0.25).load
    detailed, others, text = 24 * 256 // 4, 9 * 256, 80
    assert load.tokens == detailed + others + text
    # InternLM2-1.8B: queries and outputs 2048 x 2048, keys and values 2048 x 1024, three matrices of 2048 x 8192
    weights = 24 * (2 * 2048 * 2048 + 2 * 2048 * 1024 + 3 * 2048 * 8192)
    head = 2048 * 92553

    def operations(seen: int) -> int:
        """Of a token that sees so many: a multiplication and an addition for each weight, key and value."""
        return 2 * weights + 24 * (2 * 2 * 2048 * seen)

    prefill = sum(operations(seen) for seen in range(1, load.tokens + 1)) + 2 * head
    answer = sum(operations(load.tokens + number) + 2 * head for number in range(1, ANSWER + 1))
    assert load.prefill == pytest.approx(prefill, rel=1e-3)
    assert load.answer == pytest.approx(answer, rel=1e-3)


def test_tower_sees_all_tiles_whatever_stays(rows):
    for name in NAMES:
        for pyramid in PAGE_PYRAMIDS:
            assert len({find(rows, name, pyramid.tiles, ratio).load.tower for ratio in KEEP_RATIOS}) == 1


def test_prompts_fit_until_one_more_does_not(rows):
    load, memory = find(rows, "InternVL2-8B", 33, 1.0).load, 24
    stored = json.loads(RESULTS.read_text("utf-8"))["checkpoints"]["OpenGVLab/InternVL2-8B"]
    first_token = stored["prefill"]["33"]["1.0"]
    free = 0.92 * memory * 2**30 - 2**30 - stored["weights"]["bf16"] - (first_token["language"] - first_token["cache"])
    fitting = 0
    while free >= load.held:
        free -= load.held
        fitting += 1
    assert prompts_at_once("InternVL2-8B", memory, load) == fitting > 0
    assert prompts_at_once("InternVL2-8B", 16, load) == 0  # the weights alone are too large
    assert prompts_at_once("InternVL2-2B", 1000, load) == 256  # the engine's limit


def test_time_of_an_answer_is_that_of_its_steps(rows):
    case, prompts, read = find(rows, "InternVL2-8B", 19, 0.5), 7, 10**10
    per_token, moved = case.load.cached / case.load.tokens, 0.0
    for written in range(ANSWER):  # all prompts are at the same token
        moved += read + prompts * per_token * (case.load.tokens + written)
    found = seconds_of(A100, SLOW, case.load, prompts, read)
    assert found.answer == pytest.approx(moved / prompts / (0.5 * 2039e9), rel=1e-3)
    assert found.tower == case.load.tower / (0.3 * 312e12)
    assert found.prefill == case.load.prefill / (0.3 * 312e12)
    assert found.total == found.tower + found.prefill + found.answer


def test_memory_limits_answers_everywhere(rows):
    for case in rows:
        for card in CARDS:
            for effort in (SLOW, FAST):
                assert case.seconds(card, effort).answer > case.load.answer / (effort.speed * card.speed)


def test_what_breaks_first_is_what_the_document_says(rows):
    def largest(case, card):
        parts = dict(zip(("tower", "prefill", "answer"), shares(case, card, SLOW), strict=True))
        return max(parts, key=parts.get)

    two, eight = ([case for case in rows if case.name == name] for name in NAMES)
    assert {largest(case, card) for case in eight for card in CARDS} == {"prefill"}
    assert all(case.load.tower > case.load.prefill for case in two if case.keep_ratio < 1)
    assert all(case.load.tower < case.load.prefill for case in two if case.keep_ratio == 1)
    assert {largest(case, L40S) for case in two if case.keep_ratio == 1} == {"answer"}
    assert {largest(case, card) for case in two if case.keep_ratio == 0.25 for card in (RTX_4090, A100, H100)} == {
        "tower"
    }
    threads = {case: [rate * cutting_seconds() for rate in rates(case, H100)] for case in rows}
    assert all(most >= 0.99 for case in two for most in threads[case][1:])
    assert L40S.speed > 2 * RTX_4090.speed and L40S.bandwidth < RTX_4090.bandwidth


def test_default_length_of_prompts_does_not_fit_as_the_document_says():
    text = checkpoint("InternVL2-8B").config.text_config
    assert (text.max_position_embeddings, text.rope_parameters["factor"]) == (32768, 2.0)
    assert 2 * 32 * 8 * 128 * 2 * 65536 > room("InternVL2-8B", 24)


def test_example_asks_as_the_model_is_asked(trained_processor):
    """The Python example is Python, and its prompt has a placeholder for the one image."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), flags=re.DOTALL)
    compile(code, "example", "exec")
    values = {}
    exec(re.search(r"^chat = .*$", code, flags=re.MULTILINE)[0], values)
    prompt = trained_processor.apply_chat_template(values["chat"], add_generation_prompt=True)
    assert prompt.count(trained_processor.image_token) == 1 and prompt.endswith("<|im_start|>assistant\n")
