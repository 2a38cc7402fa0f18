"""Two words on a page, the tokens on each, and those that stay."""

import numpy as np
import pytest

from benchmarks.sawtooth.cutting import grid_view
from benchmarks.sawtooth.measurements.steering import Steering, tokens_on, words_of
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


def test_tokens_on_a_box():
    """Tokens of 28 px of a canvas of 2 x 1 tiles, which is twice as large as the image."""
    on = tokens_on(grid_view(0, (2, 1), TILE), (112, 56), (50, 15, 60, 27))
    assert on.nonzero()[0].tolist() == [4 + 3, 16 + 4]  # second row: last of tile 0, first of tile 1


def test_kept_tokens_are_those_of_the_prompt(reader):
    rows = Steering(pages=4).measure(reader, 3)
    assert len(rows) == 8 and {row.asked for row in rows} == {"upper", "lower"}
    assert rows[0].word == rows[4].other and rows[0].other == rows[4].word
    for row in rows:
        assert row.kept_all == pytest.approx(row.keep_ratio, abs=0.02)
