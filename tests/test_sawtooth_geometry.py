"""The geometry of cuts without a model: against boxes by hand and loops over lines."""

import math

import numpy as np
import pytest

from benchmarks.sawtooth.geometry import (
    RULES,
    SETTINGS,
    Group,
    balanced,
    budget,
    compare,
    distortion,
    is_cut,
    is_legible,
    joint,
    make_pages,
    measure,
    shared_lines,
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
    assert is_cut(np.array(box), Group(grid, shift)) == cut


@pytest.mark.parametrize(
    "left, right, cut",
    [
        (0.5, 0.95, False),
        (0.6, 1.2, True),
        (0.8, 1.2, False),
        (0.76, 1.74, False),
        (1.4, 1.9, True),
        (1.6, 2.5, False),
    ],
)
def test_overlapping_tiles_hold_what_lies_in_the_overlap(left, right, cut):
    """Three tiles from 0 to 1, 0.75 to 1.75 and 1.5 to 2.5, in tiles of the canvas."""
    group = Group((3, 1), overlap=0.25)
    assert group.canvas == (2.5, 1.0) and group.tiles == 3
    assert is_cut(np.array([left / 2.5, 0.1, right / 2.5, 0.4]), group) == cut


def test_cuts_of_any_group_equal_a_loop_over_the_tiles():
    _, boxes = make_pages(20, 30, seed=2)
    for group in (Group((4, 2)), Group((3, 2), (0.5, 0.5)), Group((4, 3), overlap=0.25), Group((1, 5), overlap=0.4)):

        def holds(box, group=group):
            spans = []
            for axis in (0, 1):
                first, last = (box[side] * group.canvas[axis] + group.shift[axis] for side in (axis, axis + 2))
                starts = [k * (1 - group.overlap) for k in range(group.grid[axis] + (group.shift[axis] > 0))]
                spans.append(any(start <= first and last <= start + 1 for start in starts))
            return all(spans)

        assert np.array_equal(is_cut(boxes, group), [[not holds(box) for box in page] for page in boxes])


def test_cuts_equal_a_loop_over_the_lines():
    _, boxes = make_pages(20, 30, seed=1)
    for grid in ((1, 1), (3, 2), (5, 4)):
        lines = [[number / grid[axis] for number in range(1, grid[axis])] for axis in (0, 1)]
        naive = [
            [any(box[axis] < line < box[axis + 2] for axis in (0, 1) for line in lines[axis]) for box in page]
            for page in boxes
        ]
        assert np.array_equal(is_cut(boxes, Group(grid)), naive)


def test_words_are_on_their_pages_and_as_high_as_said():
    sizes, boxes = make_pages(200, 30)
    assert (boxes >= 0).all() and (boxes <= 1).all() and (boxes[..., :2] < boxes[..., 2:]).all()
    high = (boxes[..., 3] - boxes[..., 1]) * sizes[:, 1:] / sizes.max(axis=1, keepdims=True)
    assert 1 / 95 < high.min() < 1 / 80 and high.max() < 1 / 11
    assert np.array_equal(make_pages(200, 30)[1], boxes)
    one_line = np.array([0.0, 0.0, 0.1, 12 / 448])
    one, two = Group((1, 1)), Group((1, 2))
    assert is_legible(one_line, one) and not is_legible(one_line * 0.99, one) and is_legible(one_line / 2, two)
    assert not is_legible(one_line / 2, Group((1, 2), overlap=0.25))


def test_distortion_has_no_direction():
    assert distortion((448, 448), (2, 1)) == pytest.approx(2) == distortion((448, 448), (1, 2))
    assert distortion((896, 448), (2, 1)) == 1


def test_balanced_is_the_least_cost_of_all_grids():
    setting = PYRAMID_SETTINGS["docvqa"]
    for size in ((1000, 700), (640, 1800), (900, 900)):
        for weight in (0.0, 0.3, 2.0):
            detailed, second = (group.grid for group in balanced(weight)(size, setting, None))

            def cost(grid, detailed=detailed, size=size, weight=weight):
                return abs(math.log(size[0] / size[1] * grid[1] / grid[0])) + weight * shared_lines(detailed, grid)

            grids = [(x, y) for x in range(1, 9) for y in range(1, 9) if 1 < x * y <= 8]
            assert cost(second) == min(map(cost, grids))


def test_the_naive_joint_rule_finds_pairs_as_good_as_those_of_the_library():
    """Over pages of all shapes; pairs of equal cost may differ, since only the library looks at the image's pixels."""
    sizes, _ = make_pages(40, 1)
    for name in SETTINGS:
        for size in sizes:

            def cost(grids, size=size):
                return sum(math.log(distortion(size, grid)) for grid in grids) + 0.3 * shared_lines(*grids)

            naive, ours = (
                cost([group.grid for group in rule(size, PYRAMID_SETTINGS[name], None)])
                for rule in (joint(0.3), RULES["joint"])
            )
            assert ours == pytest.approx(naive, abs=1e-8), (name, size)


def test_shared_lines_are_counted():
    assert [shared_lines(*pair) for pair in (((4, 3), (2, 2)), ((3, 2), (2, 3)), ((6, 4), (3, 2)))] == [1, 0, 3]


@pytest.mark.parametrize("rule", RULES)
def test_shares_are_consistent(rule):
    sizes, boxes = make_pages(30, 20)
    row = measure("demo", rule, sizes, boxes)
    assert 0 <= row.cut_low <= row.cut <= row.cut_high <= 1
    assert row.cut_both <= row.cut_detailed
    if not rule.startswith("overlap"):  # whose canvas is smaller, so that some words are too small
        assert row.cut <= row.cut_both
    assert 1 <= row.distortion_median <= row.distortion_90
    same = measure("demo", "any", sizes, boxes)
    if rule == "detailed + global":
        assert row.cut_both == row.cut_detailed and row.tiles < same.tiles


def test_a_budget_is_that_of_both_grids():
    assert budget([(3, 2), (2, 2)]) == (8, 10) and budget([(1, 1), (1, 2)]) == (2, 2) and budget([(1, 1)]) == (1, 1)
    sizes, boxes = make_pages(60, 20)
    any_, single = (measure("demo", rule, sizes, boxes) for rule in ("any", "detailed + global, tiles of any"))
    assert 0.8 * any_.tiles < single.tiles <= any_.tiles


def test_a_comparison_counts_the_ranges():
    sizes, boxes = make_pages(30, 20)
    rows = [measure(name, rule, sizes, boxes) for name in SETTINGS for rule in ("any", "detailed + global")]
    line = compare(rows, "any")
    assert "fewer words cut in 0, more in 0" in line and "less distorted in 0; 1.00 times" in line
    assert f"less distorted in {len(SETTINGS)}" in compare(rows, "detailed + global")
