"""Pages and the boxes of their words."""

import numpy as np
import pytest

from benchmarks.sawtooth.measurements.pages import Pages, word_boxes
from benchmarks.sawtooth.readers.documents import KINDS, make_page
from benchmarks.sawtooth.readers.rendering import is_held_out


TILE = 112


@pytest.mark.parametrize("kind", KINDS)
def test_word_boxes_hold_the_ink_of_their_words(kind):
    for index in range(KINDS.index(kind), 40, len(KINDS)):
        page = make_page(index, TILE)
        gray = np.asarray(page.image.convert("L"), float)
        ink = np.abs(gray - np.median(gray)) > 60
        inside, starts = np.zeros_like(ink), []
        for word, (left, top, right, bottom) in word_boxes(page):
            inside[max(0, int(top)) : int(bottom) + 2, max(0, int(left) - 1) : int(right) + 2] = True
            starts.append((round(top), left))
            assert is_held_out(word) and 0 <= left < right <= page.image.width + 4
        assert ink.sum() > 100 and (ink & inside).sum() > 0.9 * ink.sum()
        assert starts == sorted(starts)  # as the answer is read


def test_documents_look_as_their_names_say():
    receipt, table, sign = (make_page(1 + kind, TILE) for kind in range(3))
    assert all(len(row) == 2 and row[1].isdigit() for row in receipt.lines)
    assert len(table.lines) == 2 and len(table.lines[0]) == len(table.lines[1]) >= 2
    assert all(len(row) == 1 for row in sign.lines) and len(sign.lines) <= 2


def test_every_word_of_a_page_is_a_reading(reader):
    measurement = Pages(pages=2, methods=("pyramid any",))
    assert measurement.blocks(reader) == [("pyramid any",)]
    readings = measurement.measure(reader, "pyramid any")
    words = [word for index in range(2) for line in make_page(index, TILE).lines for word in line]
    assert [each.word for each in readings] == words
    firsts = [each.page for each in readings if each.page_accuracy is not None]
    assert firsts == [0, 1]  # it stands once a page
