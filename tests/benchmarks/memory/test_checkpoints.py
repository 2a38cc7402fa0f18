"""docs/checkpoints.md is what its script computes, and the script counts right."""

import json
import re

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import DynamicCache

from benchmarks.memory.checkpoints import (
    FORMATS,
    cache_bytes,
    count_parameters,
    meta_model,
    read_checkpoints,
    weight_bytes,
)
from benchmarks.memory.document import document
from benchmarks.memory.finetuning import (
    NAMES,
    PRECISIONS,
    TRAINED,
    one_card,
    per_card,
    step_memory,
    trained_parameters,
)
from benchmarks.memory.prefill import PYRAMIDS, make_inputs, prefill_memory
from benchmarks.memory.run import DOCUMENT, RESULTS, prefill_of, weights_of
from benchmarks.memory.tracking import sizes_only
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from tests.benchmarks.memory.small_config import small_config


CHECKPOINTS = {checkpoint.short_name: checkpoint for checkpoint in read_checkpoints()}


@pytest.fixture(scope="module")
def results() -> dict:
    return json.loads(RESULTS.read_text("utf-8"))


def test_document_is_what_the_results_say(results):
    assert DOCUMENT.read_text("utf-8") == document(results)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_results_are_what_the_script_computes_now(results, name):
    checkpoint = CHECKPOINTS[name]
    stored = dict(results["checkpoints"][checkpoint.name])
    prefill = stored.pop("prefill")
    model = meta_model(checkpoint.config)
    assert stored == weights_of(model)
    assert prefill.keys() == {str(pyramid.tiles) for pyramid in PYRAMIDS}
    if name == "InternVL2-1B":  # of the others it takes minutes
        assert prefill[str(PYRAMIDS[0].tiles)] == prefill_of(model, PYRAMIDS[0])


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_parameters_are_those_of_the_model_page(results, name):
    checkpoint = CHECKPOINTS[name]
    decimals = len(checkpoint.parameters.partition(".")[2])
    billions = results["checkpoints"][checkpoint.name]["parameters"] / 1e9
    assert f"{billions:.{decimals}f}" == checkpoint.parameters


def test_pyramids_have_the_tiles_they_are_named_for():
    assert [pyramid.plan.num_tiles for pyramid in PYRAMIDS] == [5, 9, 13, 17, 25, 33]


def test_weights_are_what_the_tensors_take():
    model = MiniMonkeyForConditionalGeneration(small_config()).to(torch.bfloat16)
    assert weight_bytes(model, "bf16") == sum(tensor.nbytes for tensor in model.parameters())
    assert count_parameters(model) == sum(tensor.numel() for tensor in model.parameters())


@pytest.mark.parametrize("number_format", FORMATS[1:])
def test_only_the_layers_of_the_language_model_are_quantized(number_format):
    # 3 layers: q and o 96 x 96, k and v 32 x 96, gate and up 260 x 96, down 96 x 260
    weights = 3 * (2 * 96 * 96 + 2 * 32 * 96 + 3 * 260 * 96)
    outputs = 3 * (2 * 96 + 2 * 32 + 2 * 260 + 96)
    expected = {"int8": weights + 4 * outputs, "int4": weights // 2 + 4 * weights // 64}[number_format]
    model = meta_model(small_config())
    assert weight_bytes(model, "bf16") - weight_bytes(model, number_format) == 2 * weights - expected


@pytest.mark.parametrize("language_model, head_dim", [("llama", 24), ("qwen2", None), ("phi3", None)])
def test_cache_is_as_large_as_a_real_one(language_model, head_dim):
    config = small_config(language_model, **({"head_dim": head_dim} if head_dim else {}))
    model = MiniMonkeyForConditionalGeneration(config).to(torch.bfloat16).eval()
    cache = DynamicCache(config=config.text_config)
    with torch.no_grad():
        model(input_ids=torch.full((1, 37), 5), past_key_values=cache, use_cache=True)
    assert cache_bytes(config, 37) == sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)


def profiled_peak(function) -> int:
    """The most bytes that PyTorch's CPU allocator has given out at the same time since the start of `function`."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        function()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    current = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        current += event.nbytes()
        peak = max(peak, current)
    return peak


@pytest.mark.parametrize(
    "config, keep_ratio, part",
    [
        # Well above the vision tower, whose convolution takes other space inside itself on other processors.
        (small_config("llama", intermediate_size=780), 1.0, "language"),
        (small_config("phi3", intermediate_size=780), 1.0, "language"),
        (small_config("qwen2"), 0.5, "language"),
        (small_config("llama", vision_size=64), 1.0, "vision"),
    ],
    ids=["prefill", "prefill of Phi3", "scoring", "vision tower"],
)
def test_counted_peak_is_that_of_a_real_run(config, keep_ratio, part):
    levels = [0] * 20 + [1] * 6 + [2]
    counted = prefill_memory(meta_model(config), levels, keep_ratio)
    model = MiniMonkeyForConditionalGeneration(config).to(torch.bfloat16).eval()

    def run():
        model.generate(**make_inputs(model, levels), keep_ratio=keep_ratio, max_new_tokens=1, do_sample=False)

    assert counted[part] == max(counted["vision"], counted["language"])
    assert counted[part] == pytest.approx(profiled_peak(run), rel=0.02)


@pytest.mark.parametrize("keep_ratio", [1.0, 0.5])
def test_counted_peak_grows_in_proportion_to_the_prompt(keep_ratio):
    model = meta_model(small_config())
    few, some, many = (
        prefill_memory(model, [0] * (tiles // 2) + [1] * (tiles // 2), keep_ratio) for tiles in (8, 16, 32)
    )
    for part in ("tokens", "cache", "vision", "language"):
        assert many[part] - some[part] == pytest.approx(2 * (some[part] - few[part]), rel=0.02), part


def test_masks_that_flash_attention_does_not_take_are_refused():
    model = meta_model(small_config())
    inputs = make_inputs(model, [2])
    inputs["attention_mask"][0, 0] = 0
    with sizes_only(), pytest.raises(ValueError, match="takes no mask"):
        model.generate(**inputs, max_new_tokens=1)


@pytest.mark.parametrize("name", NAMES)
def test_trained_weights_are_what_the_script_computes_now(results, name):
    stored = results["finetuning"][name]
    model = meta_model(CHECKPOINTS[name].config)
    assert stored["parameters"] == count_parameters(model) == stored["trained"]["full"]
    assert stored["trained"] == {trained: trained_parameters(model, trained) for trained in TRAINED}


@pytest.mark.parametrize("language_model", ["llama", "phi3"])
def test_lora_has_the_weights_that_peft_makes(repository, language_model):
    peft = pytest.importorskip("peft", reason="comes with the extra train")
    pattern = re.search('LANGUAGE_LAYERS = r"(.*?)"', (repository / "examples" / "finetune.py").read_text("utf-8"))[1]
    model = MiniMonkeyForConditionalGeneration(small_config(language_model))
    expected = trained_parameters(model, "lora")
    peft.get_peft_model(model, peft.LoraConfig(r=16, target_modules=pattern))
    assert expected == sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def test_states_of_adamw_are_two_of_a_weight():
    """16 bytes of a weight in float32, 8 in bfloat16; a frozen one has 4 or 2."""
    result = {"parameters": 100, "trained": {"projector": 10}, "gathered": 0, "before": 0, "after": 0}
    found = {precision: one_card(result, "projector", precision) for precision in PRECISIONS}
    assert found == {"bf16": 10 * 8 + 90 * 2, "fp32": 10 * 16 + 90 * 4}
    assert per_card(result, "projector", "bf16") == found["bf16"] // 8


def test_counted_step_is_that_of_a_real_one():
    """With the plain attention's matrices small beside the rest, and gradients that go as soon as they are there."""
    config, levels = small_config(), [0] * 2 + [2]
    counted = max(step_memory(meta_model(config), levels))
    model = MiniMonkeyForConditionalGeneration(config).to(torch.bfloat16).train()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(lambda weight: setattr(weight, "grad", None))

    def run():
        inputs = make_inputs(model, levels)
        labels = torch.full_like(inputs["input_ids"], -100)
        labels[:, -60:] = 1
        model(**inputs, labels=labels, use_cache=False).loss.backward()

    assert counted == pytest.approx(profiled_peak(run), rel=0.1)
