"""Losses beside those of `model(...)` and of plain formulas, and what they teach."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.sawtooth.pretrained.conversations import (
    IGNORED,
    Encoder,
    Replay,
    TrainingBatches,
    collate,
    normalize,
)
from benchmarks.sawtooth.pretrained.losses import answer_loss, embed, looking_loss, shorten
from benchmarks.sawtooth.pretrained.model import add_adapter, learned, without_adapter
from benchmarks.sawtooth.pretrained.questions import training_picture


@pytest.fixture
def single_questions(model, tokenizer):
    """Six rows with one question each, and the level of each tile; the question scores tokens in layer 1."""
    settings = model.config.scale_compression_config
    settings.queries, settings.layer = "question", 1
    encoder = Encoder(tokenizer, 64, "pyramid any")
    batch = TrainingBatches(encoder, Replay({}, {}, share=0.0), rows=6, size="single questions")[0]
    pictures = [training_picture(index, "single questions")[1] for index in range(6)]
    levels = [view.level for picture in pictures for view in encoder.views(picture) for _ in view.boxes]
    return batch, torch.tensor(levels)


def tensors(batch: dict) -> dict[str, torch.Tensor]:
    inputs = {name: torch.from_numpy(batch[name]) for name in ("input_ids", "attention_mask", "labels")}
    return inputs | {"pixel_values": normalize(batch["tiles"], "cpu")}


def of_chat(encoder, share: float, with_picture: bool = True) -> dict:
    """The first batch of six rows, of which a share is chat, that has pictures or none."""
    batches = TrainingBatches(encoder, Replay({"Hello": ((104, 105), True)}, {}, share), rows=6 if with_picture else 1)
    return next(batches[i] for i in range(20) if bool(len(batches[i]["tiles"])) == with_picture)


def test_loss_of_answers_is_the_models_own(model, encoder):
    batch = of_chat(encoder, share=0.0)
    torch.testing.assert_close(answer_loss(model, batch)[0], model(**tensors(batch)).loss)


def test_chat_without_a_picture_costs_nothing_at_first(model, encoder):
    add_adapter(model, 2)
    batch = of_chat(encoder, 1.0, with_picture=False)
    torch.testing.assert_close(answer_loss(model, batch)[0], torch.tensor(0.0), rtol=0, atol=1e-6)


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
    torch.testing.assert_close(answer_loss(model, batch)[0], torch.stack(divergences).mean())


def test_loss_of_a_mixed_batch_is_the_mean_of_its_tokens(model, encoder):
    add_adapter(model, 2)
    for parameter in learned(model, "adapter").values():
        nn.init.normal_(parameter, std=0.3)
    batches = TrainingBatches(encoder, Replay({"Hello": ((104, 105), True)}, {}, share=0.5), rows=6)
    rows = [batches.row(index) for index in range(6)]
    assert 0 < sum(row.alone is not None for row in rows) < 6
    tokens = [sum(label != IGNORED for label in row.labels) for row in rows]
    losses = [
        answer_loss(model, collate([row], encoder.end))[0].item() * n for row, n in zip(rows, tokens, strict=True)
    ]
    torch.testing.assert_close(answer_loss(model, batches[0])[0].item(), sum(losses) / sum(tokens))


def test_gradients_reach_what_is_learned_alone(model, batches):
    add_adapter(model, 2)
    parts = learned(model, "projector") | learned(model, "adapter")
    for parameter in parts.values():
        parameter.requires_grad_(True)
    answer_loss(model, batches[0])[0].backward()
    with_gradient = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert with_gradient == set(parts)


def test_weights_in_bfloat16_under_autocast(model, batches):
    expected, _ = answer_loss(model, batches[0])
    model.model.language_model.to(torch.bfloat16)
    add_adapter(model, 2)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = answer_loss(model, batches[0])
    torch.testing.assert_close(loss, expected, rtol=0.02, atol=0)
    loss.backward()
    assert all(each.grad.dtype == torch.float32 for each in learned(model, "adapter").values())


@pytest.mark.parametrize("positions", ["repack", "keep"])
@pytest.mark.parametrize("keep_ratio", [0.7, 0.3])
def test_loss_under_compression_is_the_models_own(model, single_questions, keep_ratio, positions):
    """`forward` hides dropped tokens, `shorten` takes them out."""
    batch, levels = single_questions
    model.config.scale_compression_config.positions = positions
    found, _ = answer_loss(model, batch, keep_ratio)
    expected = model(**tensors(batch), tile_levels=levels, keep_ratio=keep_ratio).loss
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, answer_loss(model, batch)[0])


def test_what_stays_of_a_row(model, single_questions):
    batch, _ = single_questions
    embeds = embed(model, batch["input_ids"], batch["tiles"])
    shorter, labels, positions, _ = shorten(model, embeds, batch, 0.5)
    assert [row[row != IGNORED].tolist() for row in labels] == [
        row[row != IGNORED].tolist() for row in batch["labels"]
    ]
    images = np.split(batch["is_detailed"], np.cumsum((batch["input_ids"] == model.config.image_token_id).sum(1)))
    kept = batch["attention_mask"].sum(1) - [image.sum() // 2 for image in images[:6]]
    assert labels.shape == (6, kept.max()) == shorter.shape[:2] == positions.shape


def test_looking_is_the_divergence_of_shares():
    scores, wanted = torch.tensor([0.1, 0.4, 0.2, 0.3]), torch.tensor([0.0, 1.0, 0.25, 1.0])
    shares = wanted[1:] / 2.25
    expected = (shares * (shares / scores[1:]).log()).sum()
    torch.testing.assert_close(looking_loss(scores * 0.03, wanted), expected)
    torch.testing.assert_close(looking_loss(wanted * 7, wanted), torch.tensor(0.0))


def test_questions_learn_where_to_look(model, single_questions):
    """By the adapter of the layer that scores and of those before it."""
    batch, _ = single_questions
    add_adapter(model, 4)
    adapter = learned(model, "adapter")
    optimizer, looks = torch.optim.Adam(adapter.values(), lr=2e-2), []
    for _ in range(12):
        _, looking = answer_loss(model, batch, 0.5)
        optimizer.zero_grad()
        looking.backward()
        optimizer.step()
        looks.append(looking.item())
    assert looks[-1] < 0.85 * looks[0]
    reached = {name for name, each in adapter.items() if each.grad is not None}
    assert any("layers.0.mlp" in name for name in reached) and any("layers.1.self_attn.q" in name for name in reached)
    assert not any("layers.1.mlp" in name for name in reached)


def test_chat_beside_a_picture_asks_for_no_place(model, tokenizer):
    model.config.scale_compression_config.queries = "question"
    encoder = Encoder(tokenizer, 64, "detailed + global")
    chat = TrainingBatches(encoder, Replay({"Hello": ((104, 105), True)}, {}, 1.0), rows=6, size="single questions")
    batch = next(chat[index] for index in range(20) if chat[index]["is_detailed"].any())
    assert not batch["wanted"].any()
    loss, looking = answer_loss(model, batch, 0.5)
    assert looking == 0 and torch.isfinite(loss)
