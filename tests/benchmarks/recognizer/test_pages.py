"""Words on pages: what cuts them, against loops over lines and all places."""

from collections import Counter

import numpy as np
import pytest

from benchmarks.recognizer.pages import (
    GAP,
    KINDS,
    RANGES,
    SIZES,
    TILE_SIZE,
    cut_along,
    cut_kind,
    draw_page,
    page_size,
    row_depth,
)
from benchmarks.sawtooth.cutting import grid_view
from processing_minimonkey import plan_pyramid


SIZE = (900, 700)


@pytest.fixture(scope="module")
def pages():
    return [draw_page(index) for index in range(4)]


def naive_kind(grid, size, box) -> str:
    """By every line of the grid, in px of the page."""
    columns, rows = ([side * k / n for k in range(1, n)] for side, n in zip(size, grid, strict=True))
    left, top, right, bottom = box
    if any(top < line < bottom for line in rows):
        return "row"
    return "column" if any(left < line < right for line in columns) else "uncut"


def test_kinds_equal_a_loop_over_the_lines():
    rng = np.random.default_rng(0)
    found = Counter()
    for grid in ((4, 3), (2, 2), (1, 4), (5, 1)):
        view = grid_view(0, grid, TILE_SIZE)
        for _ in range(300):
            left, top, width, height = rng.integers(0, 500), rng.integers(0, 500), *rng.integers(5, 120, 2)
            box = tuple(map(int, (left, top, left + width, top + height)))
            kind = naive_kind(grid, SIZE, box)
            assert cut_kind(view, SIZE, box) == kind
            found[kind] += 1
    assert min(found[kind] for kind in KINDS) > 100


def test_a_word_up_to_a_line_is_not_cut():
    view = grid_view(0, (3, 2), TILE_SIZE)
    assert cut_kind(view, SIZE, (10, 330, 60, 350)) == "uncut" and cut_kind(view, SIZE, (10, 331, 60, 351)) == "row"
    assert cut_kind(view, SIZE, (250, 10, 300, 30)) == "uncut" and cut_kind(view, SIZE, (251, 10, 301, 30)) == "column"
    assert cut_kind(view, SIZE, (251, 331, 301, 351)) == "row"  # by both


def test_every_page_has_as_many_words_of_each_kind_and_none_is_near_another(pages):
    for index, (page, words) in enumerate([*((page, 6) for page in pages), (draw_page(4, words=16), 16)]):
        size = page.image.size
        detailed = plan_pyramid(*size, tile_size=448, detailed_tiles=(4, 12), adaptive_tiles=(3, 7)).detailed
        assert size == page_size(index) and [word.kind for word in page.words] == list(KINDS) * words
        for number, word in enumerate(page.words):
            assert word.kind == naive_kind(detailed, size, word.box)
            assert (word.depth > 0) == (word.kind == "row") and word.depth <= 0.5
            assert SIZES[0] - 1 <= word.size <= SIZES[1] + 1
            left, top, right, bottom = word.box
            for other in page.words[:number]:
                a, b, c, d = other.box
                assert a >= right + GAP or left >= c + GAP or b >= bottom + GAP or top >= d + GAP


def test_ink_is_in_the_boxes_and_nowhere_else(pages):
    ink = np.asarray(pages[0].image.convert("L")) < 250
    for left, top, right, bottom in (word.box for word in pages[0].words):
        inside = ink[top:bottom, left:right]
        assert inside.any(axis=1).mean() > 0.8 and inside[:, : (right - left) // 4].any()
        ink[top:bottom, left:right] = False
    assert not ink.any()


def test_a_share_is_that_of_all_places(pages):
    """Of a word's kind, against a loop over every place of it, from left to right and from top to bottom."""
    page = pages[1]
    size = page.image.size
    grid = plan_pyramid(*size, detailed_tiles=RANGES.detailed).detailed
    for word in page.words[:3]:
        left, top, right, bottom = word.box
        width, height = right - left, bottom - top
        across = [naive_kind(grid, size, (x, 0, x + width, 0)) for x in range(GAP, size[0] - width - GAP)]
        down = [naive_kind(grid, size, (0, y, 0, y + height)) for y in range(GAP, size[1] - height - GAP)]
        column, row = across.count("column") / len(across), down.count("row") / len(down)
        shares = {"row": row, "column": (1 - row) * column, "uncut": (1 - row) * (1 - column)}
        assert word.share == pytest.approx(shares[word.kind], abs=1e-4)


def test_places_along_a_side():
    cut = cut_along(grid_view(0, (2, 1), TILE_SIZE), (400, 100), (30, 10), 0)
    places = GAP + np.arange(400 - 30 - 2 * GAP)
    assert cut.tolist() == [place < 200 < place + 30 for place in places.tolist()]
    assert not cut_along(grid_view(0, (2, 1), TILE_SIZE), (400, 100), (30, 10), 1).any()


def test_depths():
    assert row_depth(2, 200, (0, 90, 9, 110)) == 0.5 and row_depth(2, 200, (0, 98, 9, 118)) == pytest.approx(0.1)
    assert row_depth(2, 200, (0, 85, 9, 105)) == 0.25 and row_depth(2, 200, (0, 100, 9, 110)) == 0
