"""`model.chat`: answers and caches are those of the same conversation without a cache."""

import pytest
import torch
from PIL import Image

from modeling_minimonkey import MiniMonkeyForConditionalGeneration, MiniMonkeyModel
from processing_minimonkey import MiniMonkeyProcessor


@pytest.fixture(scope="module")
def folder(repository):
    return repository / "checkpoints" / "minimonkey-tiny"


@pytest.fixture(scope="module")
def processor(folder):
    return MiniMonkeyProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def model(folder):
    return MiniMonkeyForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def page(repository):
    return Image.open(repository / "examples" / "page.png").convert("RGB")


@pytest.fixture
def calls(model, monkeypatch):
    """The arguments with which `generate` was called."""
    calls, generate = [], model.generate
    monkeypatch.setattr(model, "generate", lambda **kwargs: calls.append(dict(kwargs)) or generate(**kwargs))
    return calls


def from_scratch(model, processor, history, **options) -> str:
    """The last answer of a conversation, from all of its messages and without any cache."""
    inputs = processor.prepare_chat(history.messages[:-1])
    ids = model.generate(**inputs, **options)
    return processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


@pytest.mark.parametrize("keep_ratio", [1.0, 0.5])
def test_every_turn_is_answered_as_without_a_cache(model, processor, page, calls, keep_ratio):
    options = {"max_new_tokens": 24, "keep_ratio": keep_ratio}
    answer, history = model.chat(processor, "Read the text.", page, **options)
    assert answer.startswith("fresh bread") or keep_ratio < 1
    assert answer == from_scratch(model, processor, history, **options)
    for question in ("Again?", "And now what?"):
        length = len(history.messages)
        answer, longer = model.chat(processor, question, history=history, **options)
        used = calls[-1]
        assert any(used.get(name) is history.cache for name in ("past_key_values", "cache"))
        assert "pixel_values" not in used and len(history.messages) == length == len(longer.messages) - 2
        if keep_ratio == 1:  # a compressed conversation drops tokens for the first question, not for the last
            assert answer == from_scratch(model, processor, longer, **options)
        history = longer


def test_a_second_image_joins_and_brings_its_own_tiles_alone(model, processor, page, calls):
    options = {"max_new_tokens": 12}
    _, history = model.chat(processor, "Read the text.", page, **options)
    half = page.crop((0, 0, page.width // 2, page.height))
    answer, longer = model.chat(processor, "And this?", half, history, **options)
    tiles = processor.image_processor.get_number_of_image_patches(half.height, half.width)
    assert len(calls[-1]["pixel_values"]) == len(calls[-1]["tile_levels"]) == tiles
    assert answer == from_scratch(model, processor, longer, **options)


def test_a_history_can_be_used_again(model, processor, page, calls):
    options = {"max_new_tokens": 12}
    _, history = model.chat(processor, "Read the text.", page, **options)
    first, _ = model.chat(processor, "Again?", history=history, **options)
    second, longer = model.chat(processor, "Again?", history=history, **options)  # its cache has gone on since then
    assert "pixel_values" in calls[-1] and first == second == from_scratch(model, processor, longer, **options)


def test_settings_of_the_image_processor_are_passed_on(model, processor, page, calls):
    settings = {"adaptive_tiles": None}
    _, history = model.chat(processor, "Read the text.", page, images_kwargs=settings, max_new_tokens=4)
    assert (calls[-1]["tile_levels"] != 1).all()
    model.chat(processor, "Again?", history=history, images_kwargs=settings, max_new_tokens=4)
    assert "pixel_values" not in calls[-1]
    model.chat(processor, "Again?", history=history, max_new_tokens=4)  # other tiles: read anew
    assert (calls[-1]["tile_levels"] == 1).any()


def test_the_original_order_of_arguments_is_answered_with_ours(model, processor, page, folder):
    with pytest.raises(TypeError, match=r"`model.chat\(processor, question, images, history\)`"):
        model.chat(processor.tokenizer, page, "Read the text.", {})
    for wrong in ((page, "Read the text."), ("Read the text.", page, {"max_new_tokens": 5})):
        with pytest.raises(TypeError, match=r"`model.chat\(processor, question, images, history\)`"):
            model.chat(processor, *wrong)
    with pytest.raises(TypeError, match="AutoModelForImageTextToText"):
        MiniMonkeyModel.from_pretrained(folder).chat(processor, "Read the text.", page)
