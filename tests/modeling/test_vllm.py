"""The small checkpoint served by vLLM's Transformers backend: `make test-vllm`, which brings a CPU build of vLLM."""

import pytest
import torch
from PIL import ExifTags, Image
from transformers import AutoModelForImageTextToText, AutoProcessor


pytest.importorskip("vllm", reason="vLLM wants an environment of its own: make test-vllm")

from vllm import LLM, SamplingParams


QUESTION = "<|im_start|>user\n{images}\nRead the text.<|im_end|><|im_start|>assistant\n"


@pytest.fixture(scope="module")
def folder(repository):
    return str(repository / "checkpoints" / "minimonkey-tiny")


@pytest.fixture(scope="module")
def page(repository):
    return Image.open(repository / "examples" / "page.png").convert("RGB")


@pytest.fixture(scope="module")
def engine(folder):
    return LLM(
        model=folder,
        trust_remote_code=True,
        model_impl="transformers",
        dtype="float32",
        max_model_len=1024,
        max_num_seqs=3,
        enforce_eager=True,
        limit_mm_per_prompt={"image": 2},
    )


def ask_transformers(folder: str, images: list[Image.Image]) -> str:
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    model = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True, dtype=torch.float32).eval()
    text = QUESTION.format(images="<IMG_CONTEXT>\n" * len(images))
    inputs = processor(images=images, text=text, return_tensors="pt")
    sequences = model.generate(**inputs, max_new_tokens=40)
    return processor.decode(sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_answers_are_those_of_transformers(engine, folder, page):
    """
    One image, two in one question, and one that says it is turned, in one batch. All have the pyramid that the engine
    was loaded with: vLLM 0.32 counts tiles by that, whatever `mm_processor_kwargs` a question brings.
    """
    narrow = page.crop((0, 0, page.width // 2, page.height))
    turned = page.transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[ExifTags.Base.Orientation] = 6
    questions = [[page], [page, narrow], [turned]]
    prompts = [
        {
            "prompt": QUESTION.format(images="<IMG_CONTEXT>\n" * len(images)),
            "multi_modal_data": {"image": images},
        }
        for images in questions
    ]
    answers = engine.generate(prompts, SamplingParams(temperature=0, max_tokens=40))
    texts = [answer.outputs[0].text for answer in answers]
    assert texts[0] == texts[2] == "fresh bread\nopen sunday"
    assert texts == [ask_transformers(folder, images) for images in questions]
