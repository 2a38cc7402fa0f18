"""Questions about receipts: what is asked, which token shows the answer, and what stays of it."""

from dataclasses import asdict

import numpy as np
import pytest

from benchmarks.sawtooth.cutting import METHODS as CUTTINGS
from benchmarks.sawtooth.cutting import grid_view, tokens_on
from benchmarks.sawtooth.measurements.receipts import (
    BY_HAND,
    METHODS,
    PLAIN,
    SCORES,
    TRAINED_SCORES,
    CompressedReceipts,
    Receipts,
    answer_box,
    is_line_cut,
    line_boxes,
)
from benchmarks.sawtooth.pretrained.evaluate import ask_about_held_out
from benchmarks.sawtooth.pretrained.questions import PRICED, SENTENCES


@pytest.mark.parametrize("layout", PRICED)
@pytest.mark.parametrize("kind", SENTENCES)
def test_the_answer_is_where_its_box_is(kind, layout):
    for asked in ask_about_held_out(kind, 6, lambda word: None, layout=layout):
        left, top, right, bottom = answer_box(asked)
        name, number = asked.turn.spelled.rstrip(".").split(" costs ")
        assert [name, number] in asked.picture.page.lines
        width, height = asked.picture.page.image.size
        assert (left > width / 2) == (kind == "cost") and 0 <= top < bottom <= height + 2
        word = asked.picture.page.image.convert("L").crop((round(left), round(top), round(right), round(bottom)))
        assert np.asarray(word).std() > 10  # ink
        others = [each.y for each in asked.picture.page.characters if not top < each.y < bottom]
        assert len(set(others)) == len(asked.picture.page.lines) - 1


def test_a_line_is_cut_where_a_tile_ends_in_its_name_or_number(reader):
    found = set()
    for asked in ask_about_held_out("cost", 40, lambda word: None, layout="bill"):
        view = reader.views("detailed + global", asked.picture.page.image)[0]
        columns, rows = view.grid
        width, height = asked.picture.page.image.size
        edges = [width * i / columns for i in range(1, columns)], [height * i / rows for i in range(1, rows)]
        expected = any(
            any(left < edge < right for edge in edges[0]) or any(top < edge < bottom for edge in edges[1])
            for left, top, right, bottom in line_boxes(asked)
        )
        assert is_line_cut(asked, reader) == expected
        found.add(expected)
    assert found == {False, True}


@pytest.mark.parametrize("along", [4, 8])
def test_tokens_on_a_box_follow_the_number_of_tokens(along):
    view = grid_view(0, (2, 1), 112)
    on = tokens_on(view, (224, 112), (0, 0, 112, 56), along).reshape(2, along, along)
    assert on[0, : along // 2].all() and on.sum() == along * along // 2


RULES = [BY_HAND, ("all", 1, 1.0, "repack"), ("question", 2, 0.5, "keep"), ("none", 0, 0.25, "repack")]


@pytest.mark.parametrize("setting", RULES)
def test_what_stays_is_what_was_asked_for(reader, setting):
    rows = Receipts(receipts=3, compressed=3, batch_size=2).measure(reader, "receipt", METHODS[0], *setting, "cost")
    assert [row.receipt for row in rows] == [0, 1, 2]
    for row in rows:
        assert row.kept_all == pytest.approx(setting[2], abs=0.02) and 0 <= row.kept_asked <= 1
        assert tuple(asdict(row).values())[:7] == ("receipt", METHODS[0], *setting, "cost")
        assert " costs " in row.word and row.tokens > 100
    if setting[0] == "question":  # this reader has learned to look where the question points
        assert all(row.kept_asked > row.kept_all for row in rows)
    if setting == BY_HAND:
        assert all(row.kept_asked == 1 for row in rows)  # text is on fewer than half of a receipt's tokens


@pytest.mark.parametrize("layout", PRICED)
def test_batches_answer_as_one_by_one(reader, layout):
    block = (layout, METHODS[0], "question", 1, 0.5, "repack", "item")
    three, one = (Receipts(compressed=3, batch_size=size).measure(reader, *block) for size in (3, 1))
    assert three == one and len(one) == 3


@pytest.mark.parametrize("positions", ["keep", "repack"])
def test_positions_are_those_of_the_block(reader, monkeypatch, positions):
    def generate(inputs, max_new_tokens, keep_ratio):
        return [reader.model.config.scale_compression_config.positions] * len(inputs["input_ids"])

    monkeypatch.setattr(reader, "generate", generate)
    block = ("receipt", METHODS[0], "question", 1, 0.5, positions, "cost")
    assert [row.answer for row in Receipts(compressed=2).measure(reader, *block)] == [positions] * 2


def test_every_way_to_cut_and_to_score_is_a_block(reader):
    blocks = Receipts().blocks(reader)
    layers = reader.model.config.text_config.num_hidden_layers
    scores = [score for score in SCORES if score[1] < layers]
    assert {layout for layout, *_ in blocks} == set(PRICED)
    assert len(blocks) == len(set(blocks)) == len(SENTENCES) * (len(PRICED) * len(METHODS) + len(scores))
    assert {method for _, method, *_ in blocks} == set(METHODS) <= set(CUTTINGS)


def test_blocks_of_a_model_that_was_trained_under_compression(reader):
    blocks = CompressedReceipts().blocks(reader)
    assert len(blocks) == len(set(blocks)) == len(SENTENCES) * len(PRICED) * (3 + len(TRAINED_SCORES))
    by_pyramid = {(METHODS[0], each) for each in (1, 0.5, 0.25)}
    assert {(method, ratio) for _, method, _, _, ratio, _, _ in blocks} == {*by_pyramid, (PLAIN, 1)}
    assert CompressedReceipts().path("x").name == "compressed-receipts-x.csv"
