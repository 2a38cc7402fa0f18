"""What a reader learns from: questions, labels on the answer alone, metrics."""

import argparse

import pytest
import torch

from benchmarks.sawtooth.readers.reader import Collator, compute_metrics, make_processor, predicted_tokens
from benchmarks.sawtooth.readers.rendering import render


def test_a_pair_asks_for_one_of_its_two_words():
    for index in range(8):
        page = render("pair", "train", index)
        which = page.question.split()[2]
        drawn = "".join(character.text for character in page.characters)
        assert {"upper": drawn.startswith, "lower": drawn.endswith}[which](page.text) and drawn != page.text
    collator = Collator(make_processor())
    prompt = collator.processor.tokenizer.decode(collator([page])["input_ids"][0])
    assert page.question in prompt and "Read the text." not in prompt


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
