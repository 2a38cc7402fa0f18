"""
The adapter for VLMEvalKit, on what that harness gives a model.

The harness has no release on PyPI, so a stand-in takes the place of its base class (vlmeval/vlm/base.py): `generate`
turns what a data set gives into a list of texts and images, checks their types and calls `generate_inner`.
"""

import sys
from functools import partial
from types import ModuleType

import pytest
import torch
from PIL import Image

from modeling_minimonkey.harnesses.published_evaluation import SHORT_ANSWER


ANSWER = "fresh bread\nopen sunday"


class BaseModel:
    """The contract: class attributes, `use_custom_prompt`, and what `generate` gives to `generate_inner`."""

    INTERLEAVE = False
    allowed_types = ["text", "image"]

    def use_custom_prompt(self, dataset):
        return False

    def generate(self, message, dataset=None):
        message = [{"type": "text", "value": message}] if isinstance(message, str) else message
        if not all(item.keys() == {"type", "value"} and item["type"] in self.allowed_types for item in message):
            raise TypeError(f"not a message: {message}")
        return self.generate_inner(message, dataset)


@pytest.fixture(scope="module")
def adapter():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("vlmeval", "vlmeval.vlm", "vlmeval.vlm.base"):
            patch.setitem(sys.modules, name, ModuleType(name))
        sys.modules["vlmeval.vlm.base"].BaseModel = BaseModel
        names = ("modeling_minimonkey.harnesses.vlmeval", "modeling_minimonkey.vlmeval_adapter")
        for name in names:
            patch.delitem(sys.modules, name, raising=False)
        # Where users' configurations import it from
        from modeling_minimonkey import vlmeval_adapter

        yield vlmeval_adapter
        for name in names:
            del sys.modules[name]


@pytest.fixture(scope="module")
def model(adapter, repository):
    folder = str(repository / "checkpoints" / "minimonkey-tiny")
    registered = partial(adapter.MiniMonkeyForVLMEval, model_path=folder, dtype="float32", device="cpu")
    return registered(max_new_tokens=40)


@pytest.fixture
def asked(model, monkeypatch):
    """Chats and tiles that reached the processor, in place of an answer of the model."""
    calls = []
    real = model.processor.prepare_chat

    def record(chat, **images_kwargs):
        inputs = real(chat, **images_kwargs)
        calls.append((chat[0]["content"], images_kwargs, inputs))
        return inputs

    monkeypatch.setattr(model.processor, "prepare_chat", record)
    monkeypatch.setattr(model.model, "generate", lambda input_ids, **_: torch.nn.functional.pad(input_ids, (0, 1)))
    return calls


@pytest.fixture(scope="module")
def page(repository):
    return str(repository / "examples" / "page.png")


def image(path: str) -> dict:
    return {"type": "image", "value": path}


def text(value: str) -> dict:
    return {"type": "text", "value": value}


def test_the_page_is_read(adapter, repository, page):
    """With the checkpoint's own question and nearly its own tiles: those of the benchmarks are not for tiny models."""
    folder = str(repository / "checkpoints" / "minimonkey-tiny")
    model = adapter.MiniMonkeyForVLMEval(
        folder, dtype="float32", device="cpu", pyramid="train_lora", complementarity="any"
    )
    message = [image(page), text("Read the text.")]
    assert model.INTERLEAVE and not model.use_custom_prompt("MMBench_DEV_EN")
    assert model.generate(message, "MMBench_DEV_EN") == ANSWER
    assert message == [image(page), text("Read the text.")]  # the harness may ask again with the same list


def test_scale_compression_and_settings_are_passed_on(adapter, repository, page):
    folder = str(repository / "checkpoints" / "minimonkey-tiny")
    make = partial(adapter.MiniMonkeyForVLMEval, folder, dtype="float32", device="cpu")
    own = make(keep_ratio=0.5, pyramid="train_lora", complementarity="any", max_new_tokens=40)
    assert own.generate_kwargs == {"max_new_tokens": 40, "do_sample": False, "keep_ratio": 0.5}
    assert make().generate_kwargs == {"max_new_tokens": 512, "do_sample": False}


@pytest.mark.parametrize(
    "dataset, setting, is_short",
    [
        ("DocVQA_VAL", "docvqa", True),
        ("InfoVQA_TEST", "infovqa", True),
        ("ChartQA_TEST", "chartqa", True),
        ("TextVQA_VAL", "textvqa", True),
        ("OCRBench", "ocrbench", True),
        ("HallusionBench", "hallusionbench", False),
        ("SEEDBench_IMG", "seed", False),
        ("MathVista_MINI", "mathvista", False),
        ("POPE", "pope", False),
        ("MMBench_DEV_EN", "default", False),
        (None, "default", False),
    ],
)
def test_tiles_and_question_are_the_published_ones(adapter, model, asked, page, dataset, setting, is_short):
    model.generate([image(page), text("What is it?")], dataset)
    ((content, images_kwargs, inputs),) = asked
    assert images_kwargs == {"pyramid": setting}
    assert content[1]["text"] == "What is it?" + SHORT_ANSWER * is_short
    counts = model.processor._get_num_multimodal_tokens([Image.open(page).size[::-1]], pyramid=setting)
    assert len(inputs["pixel_values"]) == counts["num_image_patches"][0]


def test_images_stay_where_they_are_between_the_texts(model, asked, page):
    model.generate([text("Compare"), image(page), text("with"), image(page), text("please.")], "DocVQA_VAL")
    ((content, images_kwargs, inputs),) = asked
    assert [item["type"] for item in content] == ["text", "image", "text", "image", "text"]
    assert images_kwargs == {"pyramid": "multi_image"}
    prompt = model.processor.decode(inputs["input_ids"][0])
    places = [prompt.index("Compare"), prompt.index("<img>"), prompt.index("with"), prompt.rindex("<img>")]
    assert places == sorted(places) and prompt.index("please.") > places[-1]


def test_a_question_may_be_text_alone(model, asked):
    model.generate("What is a page?", "MMBench_DEV_EN")
    ((content, _, inputs),) = asked
    assert content == [{"type": "text", "text": "What is a page?"}] and "pixel_values" not in inputs
