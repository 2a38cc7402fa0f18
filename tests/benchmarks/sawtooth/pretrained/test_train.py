"""A whole run in a second, with a small language model: what it writes, that it learns, and what errors can't lose."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from benchmarks.sawtooth.pretrained import train
from benchmarks.sawtooth.pretrained.conversations import Encoder, LetterBatches, Replay, TrainingBatches
from benchmarks.sawtooth.pretrained.losses import answer_loss
from benchmarks.sawtooth.pretrained.model import add_adapter, learned, load_learned
from benchmarks.sawtooth.pretrained.train import Settings, learning_rate, letter_embeddings, loader, run
from benchmarks.sawtooth.readers.reader import make_tokenizer
from tests.benchmarks.sawtooth.pretrained.conftest import SMALL


CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("clock", "short_answers")


def entries(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_letters_are_the_mean_of_their_embeddings(model, encoder):
    weight = model.get_input_embeddings().weight
    found = letter_embeddings(model, encoder, ["", "a", "ab"])
    byte_ids = [encoder.spell(character)[0] for character in " ab"]
    expected = torch.stack([weight[byte_ids[0]], weight[byte_ids[1]], (weight[byte_ids[1]] + weight[byte_ids[2]]) / 2])
    torch.testing.assert_close(found, expected)


def test_learning_rate():
    assert learning_rate(0.0, 0) == 0.05
    assert learning_rate(0.2, 100) == 1.0
    assert learning_rate(0.7, 100) == pytest.approx(0.5)
    assert learning_rate(1.0, 100) == 0.02


def test_workers_give_the_same_batches_as_arrays(batches):
    one, two = loader(batches, 0), loader(batches, 1)
    for _ in range(2):
        here, there = next(one), next(two)
        assert all(isinstance(there[name], np.ndarray) for name in there)
        assert all(np.array_equal(here[name], there[name]) for name in here)


def test_warm_start_makes_tokens_like_letters(model, encoder):
    said = []
    for parameter in learned(model, "projector").values():
        parameter.requires_grad_(True)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    letters = loader(LetterBatches(8, 2), 0)
    train.warm_start(model, encoder, letters, 1.6, 2e-3, lambda **entry: said.append(entry))
    losses = [entry["loss"] for entry in said if "loss" in entry]
    assert losses[-1] < 0.8 * losses[0]
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == set(learned(model, "projector"))


def test_a_run_writes_what_it_learned_and_measured(causal_lm, tower, model, tmp_path):
    settings = dataclasses.replace(SMALL, tower_rate=1e-2)
    run(causal_lm, make_tokenizer(), tower, settings, tmp_path, CPU)
    files = {"adapter.safetensors", "tower.safetensors", "log.jsonl", "replay.jsonl"}
    assert {path.name for path in tmp_path.iterdir()} == files
    assert len((tmp_path / "replay.jsonl").read_text().splitlines()) == 4 + 2 * 3
    log = entries(tmp_path)
    assert not [entry for entry in log if "error" in entry]
    assert log[0]["settings"] == dataclasses.asdict(settings)
    assert log[-1]["ended"] and any("warm_start" in entry for entry in log)
    parts = {(entry["evaluation"], entry["part"]) for entry in log if "evaluation" in entry}
    before, after = ({part for when, part in parts if when == each} for each in ("before", "after"))
    assert before == after > {"chat", "chat with a picture", "words", "meaning"}
    assert any(when.startswith("step") for when, _ in parts)
    untrained = {name: parameter.clone() for name, parameter in learned(model, "tower").items()}
    load_learned(model, tmp_path)
    assert any(not torch.allclose(untrained[name], each, rtol=0.05) for name, each in learned(model, "tower").items())


def test_an_error_in_training_loses_nothing(causal_lm, tower, model, tmp_path, monkeypatch):
    losses = []

    def fail(*arguments):
        if len(losses) == 3:
            raise torch.OutOfMemoryError("full")
        losses.append(answer_loss(*arguments))
        return losses[-1]

    monkeypatch.setattr(train, "answer_loss", fail)
    run(causal_lm, make_tokenizer(), tower, SMALL, tmp_path, CPU)
    log = entries(tmp_path)
    assert sum("full" in entry.get("error", "") for entry in log) == 1
    assert any(entry.get("evaluation") == "after" for entry in log)
    load_learned(model, tmp_path)
    assert any(each.any() for name, each in learned(model, "adapter").items() if "lora_B" in name)


def test_an_error_in_the_warm_start_is_no_end(causal_lm, tower, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "warm_start", lambda *arguments: 1 / 0)
    run(causal_lm, make_tokenizer(), tower, dataclasses.replace(SMALL, minutes=0.05), tmp_path, CPU)
    log = entries(tmp_path)
    assert sum("ZeroDivisionError" in entry.get("error", "") for entry in log) == 1
    assert next(entry["rows"] for entry in log if "rows" in entry) > 0


def test_a_step_has_as_many_batches_as_it_accumulates(model, batches):
    add_adapter(model, 2)
    drawn = []

    def count():
        for batch in loader(batches, 0):
            drawn.append(batch)
            yield batch

    settings = dataclasses.replace(SMALL, accumulate=3)
    steps = train.train(model, count(), settings, 0.5, None, lambda **entry: None)
    assert len(drawn) == 3 * steps > 0


def test_a_batch_in_three_keeps_all_tokens():
    ratios = np.array([train.drawn_keep_ratio(0.2, batch) for batch in range(3000)])
    assert abs(np.mean(ratios == 1) - 1 / 3) < 0.03
    drawn = ratios[ratios < 1]
    assert drawn.min() > 0.2 and abs(np.median(drawn) - 0.2**0.5) < 0.02
    assert {train.drawn_keep_ratio(1.0, batch) for batch in range(20)} == {1.0}
    assert train.drawn_keep_ratio(0.2, 7) == ratios[7]


def test_under_compression_the_log_says_where_questions_look(model, encoder, monkeypatch):
    add_adapter(model, 2)
    model.config.scale_compression_config.queries = "question"
    encoder = Encoder(encoder.tokenizer, 64, "detailed + global")
    batches = TrainingBatches(encoder, Replay({}, {}, share=0.0), rows=2, size="single questions")
    monkeypatch.setattr(train, "LOGGED", 2)
    ratios, said = [], []

    def remember(model, batch, keep_ratio):
        ratios.append(keep_ratio)
        return answer_loss(model, batch, keep_ratio)

    monkeypatch.setattr(train, "answer_loss", remember)
    settings = dataclasses.replace(SMALL, keep_ratio=0.2, accumulate=3)
    train.train(model, loader(batches, 0), settings, 0.9, None, lambda **entry: said.append(entry))
    assert ratios == [train.drawn_keep_ratio(0.2, batch) for batch in range(len(ratios))] and min(ratios) < 1
    assert said[0]["step"] == 2 and said[0]["looking"] > 0


def test_a_run_goes_on_from_what_another_learned(causal_lm, tower, tmp_path):
    """With no time to learn more, what it saves is what it began with."""
    first, second = tmp_path / "first", tmp_path / "second"
    run(causal_lm, make_tokenizer(), tower, SMALL, first, CPU)
    no_time = dataclasses.replace(SMALL, evaluation=2.0, size="large", method="pyramid any", seed=1)
    run(causal_lm, make_tokenizer(), tower, no_time, second, CPU, first)
    assert not [entry for entry in entries(second) if "warm_start" in entry or "error" in entry]
    saved = [load_file(folder / "adapter.safetensors") for folder in (first, second)]
    assert saved[0].keys() == saved[1].keys()
    assert all(torch.equal(saved[0][name], saved[1][name]) for name in saved[0])
    assert any(each.any() for name, each in saved[0].items() if "lora_B" in name)


@pytest.mark.parametrize("seconds", [0.0, -5.0])
def test_without_time_nothing_is_trained(model, batches, seconds):
    add_adapter(model, 2)
    assert train.train(model, loader(batches, 0), SMALL, seconds, None, lambda **entry: None) == 0


def test_options_are_the_settings(monkeypatch, tmp_path):
    found = []
    monkeypatch.setattr(train, "load", lambda folder: (folder, None))
    monkeypatch.setattr(train, "load_tower", lambda folder: folder)
    monkeypatch.setattr(train, "run", lambda *arguments: found.append(arguments))
    options = [
        "--output",
        str(tmp_path),
        "--device",
        "cpu",
        "--minutes",
        "1.5",
        "--tower-rate",
        "0.1",
        "--prompts",
        "9",
        "--method",
        "pyramid any",
        "--start",
        "before",
    ]
    monkeypatch.setattr("sys.argv", ["train", *options])
    train.main()
    ((base, _, tower, settings, folder, device, start),) = found
    assert settings == dataclasses.replace(Settings(), minutes=1.5, tower_rate=0.1, prompts=9, method="pyramid any")
    assert (base, tower, folder, device) == (train.FOLDER, train.TOWER, tmp_path, CPU)
    assert start == Path("before")
