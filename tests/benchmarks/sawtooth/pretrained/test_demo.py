"""The demo builds its checkpoint once, asks about a receipt, and says what was measured."""

import os
import sys

import pytest
from transformers import AutoModelForImageTextToText, AutoProcessor

from benchmarks.sawtooth.pretrained import demo
from benchmarks.sawtooth.pretrained.conversations import Encoder
from benchmarks.sawtooth.pretrained.generation import generate
from benchmarks.sawtooth.pretrained.questions import PRICED, draw_picture
from benchmarks.sawtooth.readers.reader import make_tokenizer
from benchmarks.sawtooth.readers.rendering import generator


def test_questions_have_the_answers_of_the_bill():
    picture = draw_picture(generator("demo", 0), "receipt", held_out=True)
    asked = dict(demo.conversation(picture))
    lines = picture.page.lines
    for name, number in lines[:3]:
        assert asked[f"What does {name} cost?"] == f"{name} costs {number}."
    name, number = lines[-1]  # no other line has this number
    assert asked[f"Which one costs {number}?"] == f"{name} costs {number}."
    assert asked["Write down all the text."] == "\n".join(" ".join(line) for line in lines)
    assert asked[demo.PLAIN] is None


@pytest.fixture
def small_model(monkeypatch, causal_lm, tower, folder):
    """A small language model with random weights in place of SmolLM2, and how often it was loaded."""
    loaded = []

    def load(base):
        loaded.append(base)
        return causal_lm, make_tokenizer()

    monkeypatch.setattr(demo, "load", load)
    monkeypatch.setattr(demo, "load_tower", lambda path: tower)
    monkeypatch.setattr(demo, "LEARNED", folder)
    monkeypatch.setattr(demo, "LONGEST_ANSWER", 3)
    return loaded


def test_the_checkpoint_is_built_once(small_model, tmp_path):
    assert demo.checkpoint(tmp_path, tmp_path) == demo.checkpoint(tmp_path, tmp_path) == tmp_path / "minimonkey"
    assert small_model == [tmp_path]
    later = (tmp_path / "minimonkey").stat().st_mtime + 10
    (demo.LEARNED / "tower.safetensors").write_bytes((demo.LEARNED / "adapter.safetensors").read_bytes())
    os.utime(demo.LEARNED / "tower.safetensors", (later, later))  # trained anew
    demo.checkpoint(tmp_path, tmp_path)
    assert small_model == [tmp_path, tmp_path]
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"learned", "minimonkey"}


def test_a_number_that_stands_twice_is_not_asked_for():
    for index in range(200):
        picture = draw_picture(generator("demo", index), "receipt", held_out=True)
        numbers = [number for _, number in picture.page.lines]
        asked = [question for question, _ in demo.conversation(picture) if question.startswith("Which one")]
        assert len(asked) == any(numbers.count(number) == 1 for number in numbers)
        assert all(numbers.count(question.split()[-1].rstrip("?")) == 1 for question in asked)


@pytest.mark.parametrize("layout", PRICED)
def test_it_prints_questions_answers_and_what_was_measured(small_model, tmp_path, monkeypatch, capsys, layout):
    monkeypatch.setattr(demo, "ask", lambda model, processor, picture, question, ratio: f"to {question} {ratio}")
    options = ["--base", str(tmp_path), "--receipt", "1", "--layout", layout, "--keep-ratio", "0.5"]
    monkeypatch.setattr(sys, "argv", ["demo", *options])
    demo.main()
    printed = capsys.readouterr().out
    picture = draw_picture(generator("demo", 1), layout, held_out=True)
    for question, truth in demo.conversation(picture):
        assert f"question  {question}\nanswer    to {question} 0.5\n" in printed
        assert truth is None or "written   " + truth.replace("\n", "\n          ") in printed
    said = " ".join(printed.split())
    assert f"Of such questions it answers exactly: with all tokens cost on a {layout} " in said
    assert f"; with 0.5 of the detailed ones cost on a {layout} " in said
    assert (tmp_path / "receipt.png").exists()


@pytest.mark.parametrize(("keep_ratio", "ends"), [(1.0, "(n = 24)."), (0.3, "detailed ones it was not measured.")])
def test_what_was_not_measured_is_said(keep_ratio, ends):
    assert demo.measured("receipt", keep_ratio).endswith(ends)


def test_an_answer_goes_through_processor_and_model(small_model, tmp_path):
    folder = demo.checkpoint(tmp_path, tmp_path)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    picture = draw_picture(generator("demo", 0), "receipt", held_out=True)
    encoder = Encoder(processor.tokenizer, 64, "pyramid any")
    ((ids, _),) = generate(model, encoder, [encoder.prompt(demo.PLAIN, picture)], demo.LONGEST_ANSWER)
    assert demo.ask(model, processor, picture, demo.PLAIN) == encoder.decode(ids) != ""
