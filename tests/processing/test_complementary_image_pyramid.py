import itertools
import math
import subprocess
import sys
from dataclasses import FrozenInstanceError
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from processing_minimonkey import PYRAMID_SETTINGS, plan_pyramid
from processing_minimonkey.complementary_image_pyramid import (
    MAX_TILES_PER_GROUP,
    complementary_grid,
    shared_cut_lines,
)
from tests.recorded import read_json


# Names of the recorded settings -> ours.
RECORDED = {
    "demo": ["demo"],
    "eval_default": ["default", "textvqa", "mathvista", "ai2d", "seed", "mmmu"],
    "eval_chartqa": ["chartqa"],
    "eval_docvqa": ["docvqa"],
    "eval_infovqa": ["infovqa"],
    "eval_ocrbench": ["ocrbench"],
    "eval_ccbench": ["ccbench"],
    "eval_realworldqa": ["realworldqa"],
    "eval_mme": ["mme", "hallusionbench", "pope"],
    "train": ["train"],
    "eval_default_multi_image": ["multi_image"],
}

sides = st.integers(1, 20_000)
ranges = st.tuples(st.integers(1, 40), st.integers(1, 40)).map(sorted).map(tuple)
complementarities = st.sampled_from(["any", "all", "none", "disjoint", "joint"])


@pytest.fixture(scope="module")
def tiling(golden) -> dict:
    return read_json(golden / "tiling.json.gz")


def naive_grid(width, height, tile_size, grids):
    """The published rule: walk through the grids and take what is nearer, or equally near and not too large."""
    best, best_difference = (1, 1), float("inf")
    for columns, rows in sorted(grids, key=lambda grid: (grid[0] * grid[1], grid[0])):
        difference = abs(width / height - columns / rows)
        if difference < best_difference:
            best, best_difference = (columns, rows), difference
        elif difference == best_difference and width * height > 0.5 * tile_size * tile_size * columns * rows:
            best = (columns, rows)
    return best


def naive_plan(width, height, tile_size, detailed_tiles, adaptive_tiles, complementarity):
    def grids(fewest, most):
        numbers = range(1, most + 1)
        return {(i, j) for i, j in itertools.product(numbers, numbers) if fewest <= i * j <= most}

    c, r = naive_grid(width, height, tile_size, grids(*detailed_tiles))
    if adaptive_tiles is None:
        return (c, r), (1, 1)
    if complementarity == "joint":
        detailed = {(1, 1)} if (c, r) == (1, 1) else grids(*detailed_tiles) - {(1, 1)}
        return naive_pair(width, height, tile_size, detailed, grids(*adaptive_tiles))
    candidates = grids(*adaptive_tiles)
    if complementarity == "any":
        candidates = {(i, j) for i, j in candidates if not (c % i == 0 and r % j == 0)}
    elif complementarity == "all":
        candidates = {(i, j) for i, j in candidates if not (c % i == 0 or r % j == 0)}
    elif complementarity == "disjoint":
        candidates -= {(1, 1)}
        shared = {grid: common_cut_lines((c, r), grid) for grid in candidates}
        candidates = {grid for grid in candidates if shared[grid] == min(shared.values())}
    return (c, r), naive_grid(width, height, tile_size, candidates)


def naive_pair(width, height, tile_size, detailed_grids, adaptive_grids):
    """All pairs, sorted by cost; among the cheapest the rule for ties of the docstring, word by word."""
    pairs = [(d, a) for d, a in itertools.product(detailed_grids, adaptive_grids) if a not in (d, (1, 1))]
    pairs = pairs or [(d, (1, 1)) for d in detailed_grids]
    stretches = {grid: abs(math.log(width * grid[1] / (height * grid[0]))) for pair in pairs for grid in pair}
    costs = [stretches[d] + stretches[a] + 0.3 * common_cut_lines(d, a) for d, a in pairs]
    cheapest = [pair for pair, cost in zip(pairs, costs, strict=True) if cost < min(costs) + 5e-9]
    areas = {math.prod(detailed) for detailed, _ in cheapest}
    fitting = [area for area in areas if area * tile_size**2 < 2 * width * height]
    area = max(fitting) if fitting else min(areas)
    cheapest = [(d, a) for d, a in cheapest if math.prod(d) == area]
    return min(cheapest, key=lambda pair: (math.prod(pair[1]), *pair))


@cache
def common_cut_lines(first, second):
    """Count inner cut lines that lie at the same place, from their places."""

    def places(number):
        return {Fraction(i, number) for i in range(1, number)}

    return sum(len(places(a) & places(b)) for a, b in zip(first, second, strict=True))


def test_settings_are_the_published_ones(tiling):
    assert set(RECORDED) == {setting["name"] for setting in tiling["settings"]}
    for setting in tiling["settings"]:
        for name in RECORDED[setting["name"]]:
            assert PYRAMID_SETTINGS[name] == {
                "detailed_tiles": tuple(setting["detailed"]),
                "adaptive_tiles": tuple(setting["adaptive"]),
                "complementarity": setting["filter"],
            }
    assert set(PYRAMID_SETTINGS) == {*itertools.chain(*RECORDED.values()), "train_lora"}
    with pytest.raises(TypeError):
        PYRAMID_SETTINGS["demo"]["detailed_tiles"] = (1, 2)


def test_grids_equal_the_published_ones(tiling):
    for index, setting in enumerate(tiling["settings"]):
        setting = PYRAMID_SETTINGS[RECORDED[setting["name"]][0]]
        for width, height, _, *grids in tiling["rows"]:
            plan = plan_pyramid(width, height, **setting)
            assert [*plan.detailed, *plan.adaptive] == grids[4 * index : 4 * index + 4], (width, height, setting)


@pytest.mark.parametrize("tile_size", [56, 336])
def test_grids_of_other_tile_sizes_equal_the_published_ones(tiling, tile_size):
    for width, height, *grids in tiling["other_tile_sizes_demo"][str(tile_size)]:
        plan = plan_pyramid(width, height, tile_size=tile_size)
        assert [*plan.detailed, *plan.adaptive] == grids, (width, height)


def test_equal_areas_are_looked_at_by_columns():
    # Aspect 5:8 lies exactly between (1, 4) and (2, 2), which is later and wins above half its area: 401,408 pixels.
    assert plan_pyramid(320, 512).adaptive == (1, 4)
    assert plan_pyramid(500, 800).adaptive == (1, 4)
    assert plan_pyramid(505, 808).adaptive == (2, 2)


questions = st.tuples(sides, sides, st.sampled_from([1, 8, 56, 448]), ranges, st.none() | ranges, complementarities)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(questions)
@example((1, 20_000, 448, (4, 12), (3, 7), "any"))
@example((20_000, 1, 448, (4, 12), (3, 7), "disjoint"))
@example((300, 300, 448, (36, 36), (1, 4), "disjoint"))
@example((300, 300, 448, (1, 24), (1, 8), "joint"))
@example((3000, 3000, 448, (1, 24), (1, 8), "joint"))
@example((600, 400, 448, (4, 12), (1, 1), "joint"))
def test_plan_equals_the_naive_one_and_is_consistent(question):
    check_plan(*question)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, derandomize=True)
@given(questions)
def test_many_more_plans_equal_the_naive_ones(question):
    check_plan(*question)


def check_plan(width, height, tile_size, detailed_tiles, adaptive_tiles, complementarity):
    plan = plan_pyramid(
        width,
        height,
        tile_size=tile_size,
        detailed_tiles=detailed_tiles,
        adaptive_tiles=adaptive_tiles,
        complementarity=complementarity,
    )
    expected = naive_plan(width, height, tile_size, detailed_tiles, adaptive_tiles, complementarity)
    assert (plan.detailed, plan.adaptive) == expected
    assert plan.num_tiles == len(plan.tiles)
    assert [tile.level for tile in plan.tiles] == sorted(tile.level for tile in plan.tiles)
    for group, level in (("detailed", 0), ("adaptive", 1), ("global", 2)):
        columns, rows = plan.grid(group)
        tiles = plan.group_tiles(group)
        left_out = group != "global" and (columns, rows) == (1, 1)
        assert [tile.number for tile in tiles] == ([] if left_out else list(range(columns * rows)))
        assert all(tile.level == level for tile in tiles)
        if left_out:
            continue
        canvas_width, canvas_height = plan.canvas_size(group)
        covered = np.zeros((canvas_height // tile_size, canvas_width // tile_size), dtype=int)
        for tile in tiles:
            left, top, right, bottom = tile.box
            assert (right - left, bottom - top) == (tile_size, tile_size)
            covered[top // tile_size, left // tile_size] += 1
        assert (covered == 1).all()


def test_tiles_go_row_by_row():
    plan = plan_pyramid(800, 600, tile_size=10)
    assert (plan.detailed, plan.adaptive) == ((4, 3), (3, 2))
    assert [tile.box for tile in plan.group_tiles("adaptive")] == [
        (0, 0, 10, 10),
        (10, 0, 20, 10),
        (20, 0, 30, 10),
        (0, 10, 10, 20),
        (10, 10, 20, 20),
        (20, 10, 30, 20),
    ]
    assert plan.tiles[-1].box == (0, 0, 10, 10)


def test_grids_of_one_tile_are_the_global_view():
    alone = plan_pyramid(100, 100, detailed_tiles=(1, 1), adaptive_tiles=(1, 1))
    assert (alone.detailed, alone.adaptive) == ((1, 1), (1, 1))
    assert [tile.group for tile in alone.tiles] == ["global"]
    without_detailed = plan_pyramid(120, 120, **PYRAMID_SETTINGS["docvqa"])
    assert without_detailed.detailed == (1, 1)
    assert [tile.group for tile in without_detailed.tiles] == ["adaptive"] * 4 + ["global"]


def test_without_adaptive_tiles_it_is_the_tiling_of_internvl():
    plan = plan_pyramid(800, 600, detailed_tiles=(1, 12), adaptive_tiles=None)
    assert (plan.detailed, plan.adaptive, plan.num_tiles) == ((4, 3), (1, 1), 13)
    assert plan_pyramid(100, 100, detailed_tiles=(1, 12), adaptive_tiles=None).num_tiles == 1


def test_disjoint_grids_share_no_cut_line_in_all_published_ranges():
    def cut(setting, width, height):
        plan = plan_pyramid(width, height, **{**setting, "complementarity": "disjoint"})
        return common_cut_lines(plan.detailed, plan.adaptive), plan.adaptive

    widths = [*range(20, 2_000, 60), 2_000, 10_000]
    lines = [cut(setting, width, 600) for setting in PYRAMID_SETTINGS.values() for width in widths]
    assert {number for number, _ in lines} == {0}
    assert (1, 1) not in {grid for _, grid in lines}
    # The published rule lets (4, 3) and (2, 2) stand side by side, cut on the same vertical line.
    assert common_cut_lines((4, 3), (2, 2)) == 1


def test_disjoint_falls_back_to_the_fewest_shared_lines():
    # Beside 6 x 6, no grid with 4 to 6 tiles and both sides above one is coprime; those in one row or column are
    # coprime on the other side only.
    plan = plan_pyramid(600, 600, detailed_tiles=(36, 36), adaptive_tiles=(4, 4), complementarity="disjoint")
    assert plan.detailed == (6, 6)
    shared = {grid: common_cut_lines((6, 6), grid) for grid in [(1, 4), (2, 2), (4, 1)]}
    assert shared == {(1, 4): 1, (2, 2): 2, (4, 1): 1}
    assert plan.adaptive in ((1, 4), (4, 1))


def test_joint_grids_share_few_lines_and_stretch_little():
    """A page of 2:3 in the demo's ranges: the published rule lets both grids cut the middle, or stretches one."""
    plan = plan_pyramid(1000, 1500, complementarity="joint")
    assert (plan.detailed, plan.adaptive) == ((3, 4), (2, 3))
    assert common_cut_lines(plan.detailed, plan.adaptive) == 0
    # Among pairs that are equally good, the one that the image has pixels for
    small, large = (
        plan_pyramid(side, side, **PYRAMID_SETTINGS["docvqa"] | {"complementarity": "joint"}) for side in (300, 1200)
    )
    assert (small.detailed, small.adaptive) == ((1, 1), (2, 2))
    assert (large.detailed, large.adaptive) == ((3, 3), (2, 2))


def test_joint_beside_a_given_grid():
    given = dict(tile_size=448, adaptive_tiles=(2, 6), complementarity="joint")
    assert complementary_grid(400, 400, (3, 3), **given) == (2, 2)
    assert complementary_grid(400, 400, (2, 2), **given) == (2, 3)  # not (2, 2) again
    assert complementary_grid(400, 400, (3, 3), **given, allowed={(1, 3), (3, 1)}) == (1, 3)
    assert complementary_grid(400, 400, (3, 3), **given, allowed={(9, 9)}) == (1, 1)


def test_joint_grids_of_the_largest_ranges_share_no_line():
    """There are 50 million pairs, of which not all may be looked at."""
    plan = plan_pyramid(1234, 987, detailed_tiles=(1, 1024), adaptive_tiles=(1, 1024), complementarity="joint")
    assert common_cut_lines(plan.detailed, plan.adaptive) == 0


def test_plans_are_values():
    plan = plan_pyramid(800, 600, detailed_tiles=[4, 12], adaptive_tiles=[3, 7])
    assert plan == plan_pyramid(np.int64(800), 600, detailed_tiles=(4, 12), adaptive_tiles=(3, 7))
    assert plan is plan_pyramid(800, 600)  # cached
    assert hash(plan) == hash(plan_pyramid(800, 600))
    with pytest.raises(FrozenInstanceError):
        plan.detailed = (1, 1)


@pytest.mark.parametrize(
    "name, value, error",
    [
        ("width", 0, ValueError),
        ("width", -3, ValueError),
        ("height", 1.5, TypeError),
        ("height", True, TypeError),
        ("height", None, TypeError),
        ("height", "8", TypeError),
        ("tile_size", 0, ValueError),
        ("tile_size", 448.0, TypeError),
        ("detailed_tiles", (12, 4), ValueError),
        ("detailed_tiles", (0, 4), ValueError),
        ("detailed_tiles", (-1, 4), ValueError),
        ("detailed_tiles", (1, 10**6), ValueError),
        ("detailed_tiles", (1, MAX_TILES_PER_GROUP + 1), ValueError),
        ("detailed_tiles", (1.0, 4), TypeError),
        ("detailed_tiles", (True, 4), TypeError),
        ("detailed_tiles", (4,), TypeError),
        ("detailed_tiles", 4, TypeError),
        ("detailed_tiles", "48", TypeError),
        ("detailed_tiles", None, TypeError),
        ("adaptive_tiles", (7, 3), ValueError),
        ("adaptive_tiles", (3, float("nan")), TypeError),
        ("complementarity", "some", ValueError),
        ("complementarity", None, ValueError),
    ],
)
def test_errors_name_the_argument_and_the_value(name, value, error):
    with pytest.raises(error, match=f"`{name}` must .* got "):
        plan_pyramid(**{"width": 10, "height": 10, name: value})


def test_the_largest_range_is_planned():
    plan = plan_pyramid(1000, 1000, detailed_tiles=(1, MAX_TILES_PER_GROUP), adaptive_tiles=None)
    assert math.prod(plan.detailed) <= MAX_TILES_PER_GROUP


def test_planning_needs_no_torch(repository):
    code = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("pyramid", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["pyramid"] = module
spec.loader.exec_module(module)
assert module.plan_pyramid(800, 600).num_tiles == 19
assert not {"torch", "numpy", "PIL", "transformers"} & set(sys.modules)
"""
    path = repository / "processing_minimonkey" / "complementary_image_pyramid.py"
    subprocess.run([sys.executable, "-I", "-c", code, str(path)], check=True)


def test_shared_cut_lines_are_counted():
    pairs = (((4, 3), (2, 2)), ((3, 2), (2, 3)), ((6, 4), (3, 2)))
    assert [shared_cut_lines(*pair) for pair in pairs] == [1, 0, 3]
