"""A whole run in a second, with a small language model: what it writes, that it learns, and what errors can't lose."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from benchmarks.sawtooth.pretrained import train
from benchmarks.sawtooth.pretrained.conversations import IGNORED, LetterBatches, Replay, TrainingBatches, collate
from benchmarks.sawtooth.pretrained.model import add_adapter, learned, load_learned, without_adapter
from benchmarks.sawtooth.pretrained.train import Settings, answer_loss, learning_rate, letter_embeddings, loader, run
from benchmarks.sawtooth.readers.reader import make_tokenizer
from tests.benchmarks.sawtooth.pretrained.conftest import SMALL


CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("clock", "short_answers")


@pytest.fixture
def batches(encoder):
    return TrainingBatches(encoder, Replay({"Hello": ((104, 105), True)}, {}, share=0.3), rows=6)


def tensors(batch: dict) -> dict[str, torch.Tensor]:
    inputs = {name: torch.from_numpy(batch[name]) for name in ("input_ids", "attention_mask", "labels")}
    return inputs | {"pixel_values": train.normalize(batch["tiles"], CPU)}


def entries(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def of_chat(encoder, share: float, with_picture: bool = True) -> dict:
    """The first batch of six rows, of which a share is chat, that has pictures or none."""
    batches = TrainingBatches(encoder, Replay({"Hello": ((104, 105), True)}, {}, share), rows=6 if with_picture else 1)
    return next(batches[i] for i in range(20) if bool(len(batches[i]["tiles"])) == with_picture)


def test_loss_of_answers_is_the_models_own(model, encoder):
    batch = of_chat(encoder, share=0.0)
    torch.testing.assert_close(answer_loss(model, batch), model(**tensors(batch)).loss)


def test_chat_without_a_picture_costs_nothing_at_first(model, encoder):
    add_adapter(model, 2)
    batch = of_chat(encoder, 1.0, with_picture=False)
    torch.testing.assert_close(answer_loss(model, batch), torch.tensor(0.0), rtol=0, atol=1e-6)


def test_loss_of_chat_is_the_divergence_from_before(model, encoder):
    """Beside `model(...)`, row by row: the model with its adapter and the picture, and without both."""
    add_adapter(model, 2)
    for parameter in learned(model, "adapter").values():
        nn.init.normal_(parameter, std=0.3)
    batch = of_chat(encoder, share=1.0)
    inputs = tensors(batch)
    logits = model(**{name: inputs[name] for name in ("input_ids", "attention_mask", "pixel_values")}).logits
    with without_adapter(model):
        before = model(input_ids=torch.from_numpy(batch["chat_ids"])).logits  # padded at the right: no mask is needed
    divergences = []
    for row in range(6):
        now = logits[row, :-1][inputs["labels"][row, 1:] >= 0].log_softmax(-1)
        then = before[row, :-1][torch.from_numpy(batch["chat_labels"][row, 1:]) >= 0].log_softmax(-1)
        divergences += [(p.exp() * (p - q)).sum() for p, q in zip(then, now, strict=True)]
    assert len(divergences) == 6 * 3  # "hi" and its end
    torch.testing.assert_close(answer_loss(model, batch), torch.stack(divergences).mean())


def test_loss_of_a_mixed_batch_is_the_mean_of_its_tokens(model, encoder):
    add_adapter(model, 2)
    for parameter in learned(model, "adapter").values():
        nn.init.normal_(parameter, std=0.3)
    batches = TrainingBatches(encoder, Replay({"Hello": ((104, 105), True)}, {}, share=0.5), rows=6)
    rows = [batches.row(index) for index in range(6)]
    assert 0 < sum(row.alone is not None for row in rows) < 6
    tokens = [sum(label != IGNORED for label in row.labels) for row in rows]
    losses = [answer_loss(model, collate([row], encoder.end)).item() * n for row, n in zip(rows, tokens, strict=True)]
    torch.testing.assert_close(answer_loss(model, batches[0]).item(), sum(losses) / sum(tokens))


def test_gradients_reach_what_is_learned_alone(model, batches):
    add_adapter(model, 2)
    parts = learned(model, "projector") | learned(model, "adapter")
    for parameter in parts.values():
        parameter.requires_grad_(True)
    answer_loss(model, batches[0]).backward()
    with_gradient = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert with_gradient == set(parts)


def test_weights_in_bfloat16_under_autocast(model, batches, monkeypatch):
    expected = answer_loss(model, batches[0])
    model.model.language_model.to(torch.bfloat16)
    add_adapter(model, 2)
    monkeypatch.setattr(train, "precision", lambda device: torch.autocast("cpu", torch.bfloat16))
    with train.precision(CPU):
        loss = answer_loss(model, batches[0])
    torch.testing.assert_close(loss, expected, rtol=0.02, atol=0)
    loss.backward()
    assert all(each.grad.dtype == torch.float32 for each in learned(model, "adapter").values())


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

    def fail(model, batch):
        if len(losses) == 3:
            raise torch.OutOfMemoryError("full")
        losses.append(answer_loss(model, batch))
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
