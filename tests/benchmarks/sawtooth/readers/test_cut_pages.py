"""Pages with words that are cut."""

import pytest

from benchmarks.sawtooth.readers.cut_pages import ONCE, TWICE, detailed_grid, draw_cut_page, sort_of
from benchmarks.sawtooth.readers.rendering import generator
from benchmarks.sawtooth.readers.writing import WORLDS


@pytest.mark.parametrize(
    "box, sort",
    [
        ((10, 10, 40, 20), "uncut"),
        ((10, 95, 40, 105), "row"),
        ((85, 10, 115, 20), "column"),
        ((10, 98, 40, 118), None),  # less than a quarter is above the line
        ((10, 88, 40, 99), None),  # 1 px from the line
        ((85, 95, 115, 105), None),  # both
    ],
)
def test_sorts(box, sort):
    assert sort_of(box, (200, 200), (2, 2)) == sort


def test_letters_are_as_large_as_they_are_to_be():
    for sizes in (ONCE, TWICE):
        pages = [draw_cut_page(generator("test", index), WORLDS["ascii"], sizes) for index in range(12)]
        found = [page.font.size / detailed_grid(page.gray.size)[1] for page in pages]
        assert sizes.smallest - 1 < min(found) and max(found) < sizes.largest + 1
        assert max(found) - min(found) > 4
