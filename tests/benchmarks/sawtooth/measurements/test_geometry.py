"""The geometry of cuts without a model: against boxes by hand and loops over lines."""

import math

import numpy as np
import pytest

from benchmarks.sawtooth.cutting import METHODS, grid_view, is_cut, overlap_view, plan_grids
from benchmarks.sawtooth.measurements.geometry import (
    RULES,
    SETTINGS,
    TILE_SIZE,
    balanced,
    distortion,
    is_legible,
    joint,
    make_pages,
    measure,
    ranges_of,
)
from modeling_minimonkey.scale_compression import ADAPTIVE_LEVEL
from processing_minimonkey.complementary_image_pyramid import shared_cut_lines


def grids(rule, size, setting="docvqa"):
    """The grids of two levels that a rule gives."""
    return [view.grid for view in rule(*map(int, size), TILE_SIZE, None, ranges_of(setting))[:-1]]


def test_cuts_equal_a_loop_over_the_lines():
    _, boxes = make_pages(20, 30, seed=1)
    for grid in ((1, 1), (3, 2), (5, 4)):
        lines = [[number / grid[axis] for number in range(1, grid[axis])] for axis in (0, 1)]
        naive = [
            [any(box[axis] < line < box[axis + 2] for axis in (0, 1) for line in lines[axis]) for box in page]
            for page in boxes
        ]
        assert np.array_equal(is_cut(grid_view(0, grid, TILE_SIZE), (1, 1), boxes), naive)


def test_words_are_on_their_pages_and_as_high_as_said():
    sizes, boxes = make_pages(200, 30)
    assert (boxes >= 0).all() and (boxes <= 1).all() and (boxes[..., :2] < boxes[..., 2:]).all()
    high = (boxes[..., 3] - boxes[..., 1]) * sizes[:, 1:] / sizes.max(axis=1, keepdims=True)
    assert 1 / 95 < high.min() < 1 / 80 and high.max() < 1 / 11
    assert np.array_equal(make_pages(200, 30)[1], boxes)
    one_line = np.array([0.0, 0.0, 0.1, 12 / 448])
    one, two = grid_view(0, (1, 1), TILE_SIZE), grid_view(0, (1, 2), TILE_SIZE)
    assert is_legible(one_line, one) and not is_legible(one_line * 0.99, one) and is_legible(one_line / 2, two)
    assert not is_legible(one_line / 2, overlap_view(0, (1, 2), TILE_SIZE))


def test_distortion_has_no_direction():
    assert distortion((448, 448), (2, 1)) == pytest.approx(2) == distortion((448, 448), (1, 2))
    assert distortion((896, 448), (2, 1)) == 1


def test_overlapping_tiles_are_stretched_to_their_canvas_not_to_their_grid():
    """A page of 3:1 has 6 x 2 tiles; overlapping by a quarter of 448 px they cover 2128 x 784 px."""
    page, word = np.array([[1344, 448]]), np.array([[[0.1, 0.1, 0.2, 0.3]]])
    assert measure("demo", "detailed + global", page, word).detailed_distortion_90 == 1
    assert measure("demo", "overlap + global", page, word).detailed_distortion_90 == round(3 * 784 / 2128, 3) == 1.105


def test_balanced_is_the_least_cost_of_all_grids():
    for size in ((1000, 700), (640, 1800), (900, 900)):
        for weight in (0.0, 0.3, 2.0):
            detailed, second = grids(balanced(weight), size)
            assert detailed == plan_grids(*size, TILE_SIZE, ranges_of("docvqa"))[0]

            def cost(grid, detailed=detailed, size=size, weight=weight):
                return abs(math.log(size[0] / size[1] * grid[1] / grid[0])) + weight * shared_cut_lines(detailed, grid)

            every = [(x, y) for x in range(1, 9) for y in range(1, 9) if 1 < x * y <= 8]
            assert cost(second) == min(map(cost, every))


def test_the_naive_joint_rule_finds_pairs_as_good_as_those_of_the_library():
    """Over pages of all shapes; pairs of equal cost may differ, since only the library looks at the image's pixels."""
    sizes, _ = make_pages(40, 1)
    for setting in SETTINGS:
        for size in sizes:
            costs = []
            for rule in (joint(0.3), RULES["joint"]):
                pair = grids(rule, size, setting)
                pair = pair if len(pair) == 2 else [(1, 1), *pair]
                costs.append(sum(math.log(distortion(size, grid)) for grid in pair) + 0.3 * shared_cut_lines(*pair))
            assert costs[1] == pytest.approx(costs[0], abs=1e-8), (setting, size)


def test_pages_without_a_second_grid_do_not_count_as_not_distorted():
    """Beside 2 x 2 tiles no grid passes `all`; beside 3 x 2 tiles the second one is 2 x 3, which stretches."""
    sizes, words = np.array([[896, 896], [1344, 896]]), np.tile([0.1, 0.1, 0.2, 0.3], (2, 1, 1))
    both, wide = (measure("demo", "all", sizes[pages], words[pages]) for pages in (slice(2), slice(1, 2)))
    assert (both.second_grid, wide.second_grid) == (0.5, 1.0)
    assert both.distortion_median == both.distortion_90 == wide.distortion_median == 2.25
    none = measure("demo", "detailed + global", sizes, words)
    assert (none.second_grid, none.distortion_median) == (0.0, 1.0)


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


def test_more_is_the_difference_on_the_same_pages():
    pages = make_pages(30, 20)
    ours, theirs = (measure("demo", rule, *pages) for rule in ("detailed + global", "any"))
    assert ours.more == pytest.approx(ours.cut - theirs.cut, abs=1e-4) and 0 < ours.more_low < ours.more_high
    assert theirs.more == theirs.more_low == theirs.more_high == 0


def test_one_grid_has_the_tiles_of_both():
    sizes, boxes = make_pages(60, 20)
    any_, single = (measure("demo", rule, sizes, boxes) for rule in ("any", "detailed + global, tiles of any"))
    assert 0.8 * any_.tiles < single.tiles <= any_.tiles


def test_rules_are_the_methods_of_the_benchmark():
    size, ranges = (1000, 700), ranges_of("demo")
    for rule in ("aligned", "shifted", "random"):
        first, second = (
            method(*size, TILE_SIZE, np.random.default_rng(1), ranges)
            for method in (RULES[rule], METHODS[f"second grid {rule}"])
        )
        assert first == second and first[1].level == ADAPTIVE_LEVEL
