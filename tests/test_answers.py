"""
The small checkpoint gives the same ids and logits on every release of Transformers: what tests/answers.json holds.

Run as a script, this file prints what the installed release gives; `make record-answers` writes it to that file.
"""

import json
import math
from pathlib import Path

import pytest

from tests.hidden import run_hidden


RECORDED = Path(__file__).with_name("answers.json")

# Asks for words of two pages: alone and in a batch, whole and compressed, with both kinds of positions, then goes on.
ASK = """
import PIL.Image

def ask(model_class, processor_class, arguments):
    folder = arguments["folder"]
    processor = processor_class.from_pretrained(folder, trust_remote_code=True)
    page = PIL.Image.open(arguments["page"]).convert("RGB")
    half = page.crop((0, 0, page.width, page.height // 2))
    chats = [
        [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": "Read the text."}]}]
        for image in (page, half)
    ]
    options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    answers = {}
    for positions in ("keep", "repack"):
        model = model_class.from_pretrained(folder, trust_remote_code=True, dtype=torch.float32)
        model.config.scale_compression_config.positions = positions
        for name, asked in (("page", chats[:1]), ("batch", chats)):
            inputs = processor.apply_chat_template(asked, **options, processor_kwargs={"padding": True})
            for keep_ratio in (1.0, 0.5):
                settings = {"do_sample": False, "return_dict_in_generate": True, "output_logits": True}
                out = model.generate(**inputs, **settings, max_new_tokens=12, keep_ratio=keep_ratio)
                more = torch.cat((out.sequences, inputs["input_ids"][:, -6:]), dim=1)
                rest = torch.ones_like(more[:, inputs["input_ids"].shape[1] :])
                mask = torch.cat((inputs["attention_mask"], rest), dim=1)
                second = model.generate(
                    more, attention_mask=mask, past_key_values=out.past_key_values, max_new_tokens=4, do_sample=False
                )
                last, pixels = out.logits[-1], inputs["pixel_values"].double()
                answers[f"{name}, keep_ratio {keep_ratio}, {positions}"] = {
                    "prompt": inputs["input_ids"].tolist(),
                    "answer": out.sequences[:, inputs["input_ids"].shape[1] :].tolist(),
                    "next answer": second[:, more.shape[1] :].tolist(),
                    "logits": [float(value) for value in last[:, :8].flatten()],
                    "pixels": [float(pixels.mean()), float(pixels.std())],
                    "levels": inputs["tile_levels"].tolist(),
                }
    return answers
"""

BY_REMOTE_CODE = (
    ASK
    + """
answers = ask(transformers.AutoModelForImageTextToText, transformers.AutoProcessor, arguments)
print("\\n" + json.dumps(answers))
"""
)


def paths(repository: Path) -> dict[str, str]:
    folder = repository / "checkpoints" / "minimonkey-tiny"
    return {"folder": str(folder), "page": str(repository / "examples" / "page.png")}


def with_packages(repository: Path) -> dict:
    import torch
    import transformers

    from modeling_minimonkey import MiniMonkeyForConditionalGeneration
    from processing_minimonkey import MiniMonkeyProcessor

    names = {"torch": torch, "transformers": transformers}
    exec(ASK, names)
    return names["ask"](MiniMonkeyForConditionalGeneration, MiniMonkeyProcessor, paths(repository))


@pytest.fixture(scope="module")
def recorded() -> dict:
    return json.loads(RECORDED.read_text())


def assert_same(answers: dict, recorded: dict) -> None:
    assert answers.keys() == recorded.keys()
    for name, answer in answers.items():
        for part, value in answer.items():
            if part in ("logits", "pixels"):
                close = [math.isclose(*pair, abs_tol=2e-3) for pair in zip(value, recorded[name][part], strict=True)]
                assert all(close), (name, part, value, recorded[name][part])
            else:
                assert value == recorded[name][part], (name, part)


def test_with_the_packages(repository, recorded):
    assert_same(with_packages(repository), recorded)


@pytest.mark.slow
def test_by_remote_code(repository, recorded, tmp_path):
    assert_same(run_hidden(BY_REMOTE_CODE, tmp_path, tmp_path / "home", **paths(repository)), recorded)


def test_the_recorded_answers_differ(recorded):
    """Compression and positions show in them: a release that lost one would be seen."""
    logits = [tuple(answer["logits"]) for name, answer in recorded.items() if name.startswith("page")]
    assert len(set(logits)) == 3  # whole (positions don't matter), compressed with either


if __name__ == "__main__":
    print(json.dumps(with_packages(Path(__file__).resolve().parents[1]), indent=1))
