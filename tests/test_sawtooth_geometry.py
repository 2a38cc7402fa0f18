"""The geometry of cuts without a model: against boxes by hand and loops over lines."""

import math

import numpy as np
import pytest

from benchmarks.sawtooth.geometry import (
    RULES,
    SETTINGS,
    balanced,
    compare,
    distortion,
    is_cut,
    is_legible,
    make_pages,
    measure,
    shared_lines,
    together,
)
from processing_minimonkey import PYRAMID_SETTINGS


@pytest.mark.parametrize(
    "box, grid, shift, cut",
    [
        ((0.1, 0.1, 0.4, 0.4), (2, 2), (0, 0), False),
        ((0.4, 0.1, 0.6, 0.4), (2, 2), (0, 0), True),
        ((0.1, 0.4, 0.2, 0.6), (2, 2), (0, 0), True),
        ((0.1, 0.4, 0.2, 0.6), (2, 1), (0, 0), False),
        ((0.25, 0.0, 0.5, 1.0), (4, 1), (0, 0), False),  # from line to line
        ((0.4, 0.1, 0.6, 0.4), (2, 1), (0.5, 0), False),  # the line has moved to a quarter
        ((0.2, 0.1, 0.3, 0.4), (2, 1), (0.5, 0), True),
    ],
)
def test_a_box_is_cut_where_a_line_goes_through_it(box, grid, shift, cut):
    assert is_cut(np.array(box), grid, shift) == cut


def test_cuts_equal_a_loop_over_the_lines():
    _, boxes = make_pages(20, 30, seed=1)
    for grid in ((1, 1), (3, 2), (5, 4)):
        lines = [[number / grid[axis] for number in range(1, grid[axis])] for axis in (0, 1)]
        naive = [
            [any(box[axis] < line < box[axis + 2] for axis in (0, 1) for line in lines[axis]) for box in page]
            for page in boxes
        ]
        assert np.array_equal(is_cut(boxes, grid), naive)


def test_words_are_on_their_pages_and_as_high_as_said():
    sizes, boxes = make_pages(200, 30)
    assert (boxes >= 0).all() and (boxes <= 1).all() and (boxes[..., :2] < boxes[..., 2:]).all()
    high = (boxes[..., 3] - boxes[..., 1]) * sizes[:, 1:] / sizes.max(axis=1, keepdims=True)
    assert 1 / 95 < high.min() < 1 / 80 and high.max() < 1 / 11
    assert np.array_equal(make_pages(200, 30)[1], boxes)
    one_line = np.array([0.0, 0.0, 0.1, 12 / 448])
    assert (
        is_legible(one_line, (1, 1)) and not is_legible(one_line * 0.99, (1, 1)) and is_legible(one_line / 2, (1, 2))
    )


def test_distortion_has_no_direction():
    assert distortion((448, 448), (2, 1)) == pytest.approx(2) == distortion((448, 448), (1, 2))
    assert distortion((896, 448), (2, 1)) == 1


def test_balanced_is_the_least_cost_of_all_grids():
    setting = PYRAMID_SETTINGS["docvqa"]
    for size in ((1000, 700), (640, 1800), (900, 900)):
        for weight in (0.0, 0.3, 2.0):
            detailed, second, _ = balanced(weight)(size, setting, None)

            def cost(grid, detailed=detailed, size=size, weight=weight):
                return abs(math.log(size[0] / size[1] * grid[1] / grid[0])) + weight * shared_lines(detailed, grid)

            grids = [(x, y) for x in range(1, 9) for y in range(1, 9) if 1 < x * y <= 8]
            assert cost(second) == min(map(cost, grids))
            first, other, _ = together(weight)(size, setting, None)
            pair = abs(math.log(size[0] / size[1] * first[1] / first[0])) + cost(other, first)
            alone = abs(math.log(size[0] / size[1] * detailed[1] / detailed[0])) + cost(second)
            assert pair <= alone + 1e-12


def test_shared_lines_are_counted():
    assert [shared_lines(*pair) for pair in (((4, 3), (2, 2)), ((3, 2), (2, 3)), ((6, 4), (3, 2)))] == [1, 0, 3]


@pytest.mark.parametrize("rule", RULES)
def test_shares_are_consistent(rule):
    sizes, boxes = make_pages(30, 20)
    row = measure("demo", rule, sizes, boxes)
    assert 0 <= row.cut_low <= row.cut <= row.cut_high <= 1
    assert row.cut <= row.cut_both <= row.cut_detailed
    assert 1 <= row.distortion_median <= row.distortion_90
    same = measure("demo", "any", sizes, boxes)
    if rule == "detailed + global":
        assert row.cut_both == row.cut_detailed and row.tiles < same.tiles


def test_a_comparison_counts_the_ranges():
    sizes, boxes = make_pages(30, 20)
    rows = [measure(name, rule, sizes, boxes) for name in SETTINGS for rule in ("any", "detailed + global")]
    line = compare(rows, "any")
    assert "fewer words cut in 0, more in 0" in line and "less distorted in 0; 1.00 times" in line
    assert f"less distorted in {len(SETTINGS)}" in compare(rows, "detailed + global")
