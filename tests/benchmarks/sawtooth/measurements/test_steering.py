"""Two words on a page, the tokens on each, and those that stay."""

import numpy as np
import pytest

from benchmarks.sawtooth.measurements.steering import Steering, questions, words_of
from benchmarks.sawtooth.readers.documents import render_document
from benchmarks.sawtooth.readers.rendering import generator, render_pair


TILE = 112


def test_words_and_their_boxes():
    page = render_pair(generator("steering", 1), held_out=True)
    (upper, first), (lower, second) = words_of(page)
    assert page.text in (upper, lower) and upper != lower
    assert upper + lower == "".join(character.text for character in page.characters)
    for left, top, right, bottom in (first, second):
        assert np.asarray(page.image.convert("L").crop((left, top, right, bottom))).std() > 10  # ink
    assert first[3] < second[1]


def test_both_questions_of_a_receipt():
    receipt = render_document(generator("steering keyed", 1), "receipt", TILE, held_out=True)
    first, second = questions("keyed", receipt)
    (word, number), (other_word, other_number), *_ = receipt.lines
    assert (first.text, first.answer, first.other) == (f"Read the number beside {word}.", number, other_number)
    assert (second.text, second.answer, second.other) == (
        f"Read the number beside {other_word}.",
        other_number,
        number,
    )
    assert first.box == second.other_box and first.box[3] < second.box[3]


@pytest.mark.parametrize("kind", ["pair", "keyed"])
@pytest.mark.parametrize("queries", ["published", "all", "question"])
def test_kept_tokens_are_those_of_the_prompt(reader, kind, queries):
    rows = Steering(pages=4).measure(reader, kind, 3, queries)
    assert [row.asked for row in rows] == [0] * 5 + [1] * 5 and {row.queries for row in rows} == {queries}
    assert rows[0].word == rows[5].other and rows[0].other == rows[5].word
    for row in rows:
        assert row.kept_all == pytest.approx(row.keep_ratio, abs=0.02)


def test_every_page_kind_and_scoring_is_a_block(reader):
    assert len(set(Steering(pages=3).blocks(reader))) == 3 * 2 * 3
