"""Conversations as tokens, and images cut any way: the same as the processor's."""

import numpy as np
import pytest
import torch

from benchmarks.sawtooth.cutting import METHODS, PUBLISHED_RANGES
from benchmarks.sawtooth.readers.rendering import TILE_SIZE
from benchmarks.sawtooth.readers.sequences import (
    IGNORED,
    WINDOW,
    Collate,
    Cutting,
    Echoed,
    Encoder,
    Sample,
    Sheets,
    painted,
)
from benchmarks.sawtooth.readers.sheet_recipe import BASE, LAST
from benchmarks.sawtooth.readers.sheet_training import make_processor
from benchmarks.sawtooth.readers.sheets import INK, PAPER, Question, paint, render
from benchmarks.sawtooth.readers.tower import normalized


QUESTIONS = (Question("Read line 1.", "a b"), Question("Read line 2.", "(c)"))


@pytest.fixture(scope="module")
def processor():
    return make_processor(LAST[2])


def test_a_conversation_has_the_tokens_of_the_processor(processor):
    assert LAST[2].output == "reader/any-0"
    sheet = render("ascii", "held-out", 0)
    views = METHODS["pyramid any"](*sheet.image.size, TILE_SIZE, None, PUBLISHED_RANGES)
    tiles = sum(len(view.boxes) for view in views)
    conversation = []
    for number, question in enumerate(QUESTIONS):
        image = [] if number else [{"type": "image", "image": sheet.image}]
        conversation += [
            {"role": "user", "content": [*image, {"type": "text", "text": question.text}]},
            {"role": "assistant", "content": [{"type": "text", "text": question.answer}]},
        ]
    inputs = processor.apply_chat_template(
        conversation, tokenize=True, return_dict=True, return_tensors="pt", processor_kwargs={}
    )
    input_ids, labels = Encoder(processor)(QUESTIONS, tiles)
    assert input_ids == inputs["input_ids"][0, : len(input_ids)].tolist()
    learned = processor.tokenizer.decode([token for token in labels if token != IGNORED])
    assert learned == "a b<|im_end|>(c)<|im_end|>"
    sample = Sheets(processor, "ascii", "held-out", 1, [Cutting("pyramid any")])[0]
    assert torch.equal(torch.tensor(sample.levels), inputs["tile_levels"])
    batch = Collate(0)([sample])
    pixels = painted(batch["gray"], batch["colors"])
    # Gray tiles are painted here, a page is cut there: both round, and where ink is black bicubic curves leave it
    apart = (pixels - inputs["pixel_values"]).abs() * 127.5  # of 255
    assert apart.mean() < 2 and apart.max() < 16 and inputs["pixel_values"].std() * 127.5 > 20


def test_padding_is_masked_and_not_learned():
    tiles, colors = np.full((1, 2, 2), PAPER, np.uint8), np.array([[255, 0, 51], [0, 255, 51]], np.uint8)
    samples = [
        Sample([5, 6, 7], [IGNORED, 6, 7], tiles, [2], colors),
        Sample([8], [8], np.full_like(tiles, INK), [2], colors),
    ]
    batch = Collate(0)(samples)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[IGNORED, 6, 7], [8, IGNORED, IGNORED]]
    assert batch["gray"].shape == (2, 2, 2) and batch["gray"].dtype == torch.uint8
    pixels = painted(batch["gray"], batch["colors"])
    expected = torch.tensor([[1.0, -1.0, -0.6], [-1.0, 1.0, -0.6]])[..., None, None].expand(2, 3, 2, 2)
    torch.testing.assert_close(pixels, expected)
    as_array = normalized(torch.from_numpy(paint(tiles, colors)).permute(0, 3, 1, 2))
    torch.testing.assert_close(pixels[:1], as_array)


def test_batches_hold_every_sample_once_and_those_of_one_are_about_as_long():
    processor, cuttings = make_processor(BASE), (Cutting("global"), Cutting("detailed"))
    samples, batch = 2 * WINDOW * 3 + 8, 3
    alone, batched = (Sheets(processor, "plain", "train x", samples, cuttings, batch=size) for size in (1, batch))
    drawn = [[data[index].input_ids for index in range(samples)] for data in (alone, batched)]
    assert sorted(drawn[0]) == sorted(drawn[1])
    padding = []
    for order in drawn:
        lengths = [[len(ids) for ids in order[start : start + batch]] for start in range(0, samples, batch)]
        padding.append(sum(max(each) - min(each) for each in lengths))
        assert lengths != sorted(lengths)
    assert padding[1] < padding[0] / 3
    assert [batched[index].input_ids for index in (50, 2)] == [drawn[1][index] for index in (50, 2)], "after a stop"


def test_every_second_sample_is_an_echo():
    echoed = Echoed(list(range(100, 400)))
    drawn = [echoed[index] for index in range(len(echoed))]
    assert drawn[::2] == list(range(100, 400))
    assert all(drawn[index - 1] - 256 < drawn[index] <= drawn[index - 1] for index in range(1, 600, 2))
    assert len(set(drawn[1::2])) > 150 and drawn[1::2] != drawn[::2]


def test_only_the_kinds_that_are_wanted_are_drawn():
    data = Sheets(make_processor(BASE), "plain", "train x", 8, [Cutting("global")], kinds={"sign": 1.0})
    signs = [render("plain", "train x", index, {"sign": 1.0}) for index in range(8)]
    assert all(len(sheet.words) <= 3 for sheet in signs)
    decoded = [data.encoder.tokenizer.decode(data[index].input_ids) for index in range(8)]
    assert all(any(line in text for line in sheet.lines) for sheet, text in zip(signs, decoded, strict=True))


def test_the_base_never_sees_two_different_cuttings():
    for cutting in BASE.cuttings:
        for size in ((300, 200), (220, 460), (340, 340)):
            views = METHODS[cutting.method](*size, TILE_SIZE, None, cutting.ranges)
            grids = [view.grid for view in views if view.grid != (1, 1)]
            finest = grids[0] if grids else (1, 1)
            assert all(finest[0] % grid[0] == 0 and finest[1] % grid[1] == 0 for grid in grids)
