"""What a reader learns from: questions, labels on the answer alone, metrics."""

import argparse
from dataclasses import replace

import pytest
import torch

from benchmarks.sawtooth.readers.documents import render
from benchmarks.sawtooth.readers.reader import Collator, compute_metrics, make_processor, predicted_tokens


def test_a_pair_asks_for_one_of_its_two_words():
    for index in range(8):
        page = render("pair", "train", index)
        which = page.question.split()[2]
        drawn = "".join(character.text for character in page.characters)
        assert {"upper": drawn.startswith, "lower": drawn.endswith}[which](page.text) and drawn != page.text
    collator = Collator(make_processor())
    prompt = collator.processor.tokenizer.decode(collator([page])["input_ids"][0])
    assert page.question in prompt and "Read the text." not in prompt


@pytest.mark.parametrize("kind", ["pair", "keyed"])
def test_asked_tokens_are_those_whose_pixels_change_without_the_word(kind):
    """Paint over what is asked for: the tokens of the detailed tiles that change most are those that it names."""
    collator = Collator(make_processor(), points=True)
    pages = [page for page in (render(kind, "train", index) for index in range(12)) if page.asked]
    found = 0
    for page in pages:
        painted = page.image.copy()
        left, top, right, bottom = page.asked
        painted.paste((0, 255, 0), (round(left), round(top), round(right), round(bottom)))
        batch, other = collator([page]), collator([replace(page, image=painted)])
        asked = batch["asked"][batch["input_ids"] == collator.processor.image_token_id]
        changed = (batch["pixel_values"] - other["pixel_values"]).abs().mean(dim=1)  # (tiles, 112, 112)
        changed = changed.unflatten(1, (4, 28)).unflatten(3, (4, 28)).mean(dim=(2, 4)).flatten()  # of each token
        if not asked.any():
            assert 0 not in batch["tile_levels"]  # no detailed grid
            continue
        found += 1
        detailed = changed[: 16 * int((batch["tile_levels"] == 0).sum())]
        strong = detailed > 0.3 * detailed.max()
        assert not asked[len(detailed) :].any() and asked[: len(detailed)][strong].all()
        assert (detailed[asked[: len(detailed)]] > 0).all()
    assert found > 5


def test_no_place_without_a_single_word():
    batch = Collator(make_processor(), points=True)([render("page", "train", index) for index in range(3)])
    assert not batch["asked"].any() and "asked" not in Collator(make_processor())([render("pair", "train", 0)])


def test_loss_is_on_the_answer_alone():
    collator = Collator(make_processor())
    pages = [render("mixed", "train", index) for index in range(4)]
    batch = collator(pages)
    tokenizer = collator.processor.tokenizer
    for page, labels, ids in zip(pages, batch["labels"], batch["input_ids"], strict=True):
        assert tokenizer.decode(labels[labels != -100]) == page.text + "<|im_end|>"
        assert (labels == ids)[labels != -100].all()


def test_metrics_look_at_the_next_token():
    logits = torch.nn.functional.one_hot(torch.tensor([[5, 6, 7, 8]]), 10).float()
    prediction = argparse.Namespace(
        predictions=predicted_tokens((logits, None), None).numpy(),
        label_ids=torch.tensor([[-100, 5, 6, 0]]).numpy(),
    )
    assert compute_metrics(prediction)["token_accuracy"] == pytest.approx(2 / 3)
