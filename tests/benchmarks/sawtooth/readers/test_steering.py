"""The loss by which a question learns to look where the answer is read."""

from unittest.mock import Mock

import pytest
import torch
from transformers import Trainer, TrainingArguments

from benchmarks.sawtooth.readers.documents import render
from benchmarks.sawtooth.readers.reader import Collator, make_processor
from benchmarks.sawtooth.readers.steering import (
    POINTING_WEIGHT,
    WEIGHT,
    SteeringTrainer,
    pointing_loss,
    steering_loss,
)
from modeling_minimonkey import MiniMonkeyForConditionalGeneration


def tokens(text: str, letter: str) -> torch.Tensor:
    return torch.tensor([[each == letter for each in text]])


def naive_loss(attentions, layer, detailed, question, answer):
    """Token by token, from the definition."""
    total, rows = 0.0, 0
    for row in range(len(detailed)):
        where = [token for token, is_detailed in enumerate(detailed[row]) if is_detailed]

        def shares(weights, rows_of, row=row, where=where):
            seen = [sum(float(weights[row, :, r, t].mean()) for r in rows_of) for t in where]
            return [each / sum(seen) for each in seen]

        asking, answering = (each[row].nonzero()[:, 0].tolist() for each in (question, answer))
        if not (where and asking and answering):
            continue
        targets = [shares(weights, answering) for weights in attentions[layer:]]
        target = [sum(each) / len(targets) for each in zip(*targets, strict=True)]
        looked = shares(attentions[layer], asking)
        total -= sum(t * torch.tensor(s).log().item() for t, s in zip(target, looked, strict=True))
        rows += 1
    return total / rows


def random_attentions(rows: int, length: int, layers: int = 4) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    causal = torch.ones(length, length).tril().bool()
    scores = torch.randn(layers, rows, 2, length, length).masked_fill(~causal, -torch.inf)
    return tuple(scores.softmax(-1).requires_grad_())


def test_the_loss_is_its_definition():
    rows = ["tdddiiqqa", "dtddiqqqa", "ttttttqqa", "dddiiiaaa"]  # the last two: no detailed token, no question
    masks = [torch.cat([tokens(row, letter) for row in rows]) for letter in "dqa"]
    attentions = random_attentions(len(rows), len(rows[0]))
    for layer in (0, 2):
        loss = steering_loss(attentions, layer, *masks)
        torch.testing.assert_close(loss.item(), naive_loss(attentions, layer, *masks), rtol=1e-4, atol=0)


def test_only_the_question_learns():
    masks = [tokens("tdddqqa", letter) for letter in "dqa"]
    attentions = tuple(each.detach().requires_grad_() for each in random_attentions(1, 7))
    steering_loss(attentions, 2, *masks).backward()
    assert attentions[3].grad is None
    learns = attentions[2].grad[0].abs().sum(dim=(0, 2)) > 0
    assert learns.tolist() == [False, False, False, False, True, True, False]


def test_pointing_is_its_definition():
    """The mean over rows and asked tokens of minus the log of the share that the question looks at."""
    rows = ["tdaiiqq", "taddiqq", "dddiiqq", "aattttt"]  # a: asked for; the last two: nothing, and no question
    asked, question = (torch.cat([tokens(row, letter) for row in rows]) for letter in "aq")
    detailed = asked | torch.cat([tokens(row, "d") for row in rows])
    (weights,) = random_attentions(len(rows), 7, layers=1)
    expected = []
    for row, where in ((0, [2]), (1, [1])):
        seen = [sum(float(weights[row, :, q, t].mean()) for q in (5, 6)) for t in range(7)]
        total = sum(each for each, is_detailed in zip(seen, detailed[row], strict=True) if is_detailed)
        expected.append(-sum(torch.tensor(seen[t] / total).log().item() for t in where) / len(where))
    loss = pointing_loss(weights, detailed, question, asked)
    assert loss.item() == pytest.approx(sum(expected) / 2, rel=1e-5)
    assert pointing_loss(weights, detailed, question, torch.zeros_like(asked)) == 0


def test_nothing_to_learn_without_detailed_tokens():
    masks = [tokens("ttttqqa", letter) for letter in "dqa"]
    assert steering_loss(random_attentions(1, 7), 2, *masks) == 0


def test_the_trainer_adds_it(checkpoint, tmp_path):
    """The loss of a step is that of the answer and this one; an evaluation's is the answer's alone."""
    model = MiniMonkeyForConditionalGeneration.from_pretrained(
        checkpoint, dtype=torch.float32, attn_implementation="eager"
    )
    batch = Collator(make_processor())([render("pair", "test", index) for index in range(3)])
    arguments = TrainingArguments(str(tmp_path), use_cpu=True, report_to=[])
    trainers = [kind(model=model, args=arguments) for kind in (Trainer, SteeringTrainer)]

    ids, labels = batch["input_ids"], batch["labels"]
    levels = torch.full_like(ids, -1)
    levels[ids == model.config.image_token_id] = batch["tile_levels"].repeat_interleave(16)
    question = batch["attention_mask"].bool() & (levels < 0) & (labels == -100)
    question &= (levels >= 0).flip(1).cumsum(dim=1).flip(1) == 0
    layer = model.config.scale_compression_config.layer
    with torch.no_grad():
        attentions = model(**batch, output_attentions=True).attentions
        expected = steering_loss(attentions, layer, levels == 0, question, labels != -100)
        model.train()
        plain, steered = (trainer.compute_loss(model, dict(batch)) for trainer in trainers)
        torch.testing.assert_close(steered - plain, WEIGHT * expected, rtol=1e-4, atol=1e-5)
        model.eval()
        plain, evaluated = (trainer.compute_loss(model, dict(batch)) for trainer in trainers)
    assert plain == evaluated


def test_the_trainer_points_where_it_is_shown(checkpoint, tmp_path):
    """A row that knows its place learns from that, the others from the answer's attention; nothing in evaluations."""
    model = MiniMonkeyForConditionalGeneration.from_pretrained(
        checkpoint, dtype=torch.float32, attn_implementation="eager"
    )
    pages = [render("keyed", "test", 1), render("mixed", "test", 0), render("pair", "test", 4)]
    batch = Collator(make_processor(), points=True)(pages)
    assert batch["asked"].any(dim=1).tolist() == [True, False, True]
    unknown = batch | {"asked": torch.zeros_like(batch["asked"])}
    arguments = TrainingArguments(str(tmp_path), use_cpu=True, report_to=[])
    trainer = SteeringTrainer(model=model, args=arguments)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        steering, pointing = (Mock(wraps=each) for each in (steering_loss, pointing_loss))
        patch.setattr("benchmarks.sawtooth.readers.steering.steering_loss", steering)
        patch.setattr("benchmarks.sawtooth.readers.steering.pointing_loss", pointing)
        model.train()
        plain, pointed = (trainer.compute_loss(model, dict(each)) for each in (unknown, batch))
        (before, _), (after, _) = steering.call_args_list
        (nothing, _), (shown, _) = pointing.call_args_list
        assert (after[2].any(dim=1) == torch.tensor([False, True, False]) & before[2].any(dim=1)).all()
        own = steering_loss(*after) - steering_loss(*before)
        difference = WEIGHT * own + POINTING_WEIGHT * pointing_loss(*shown)
        torch.testing.assert_close(pointed - plain, difference, rtol=1e-4, atol=1e-5)
        assert pointing_loss(*nothing) == 0
        model.eval()
        assert trainer.compute_loss(model, dict(unknown)) == trainer.compute_loss(model, dict(batch))
