"""No model needed: which share of the words on a page is cut in every group that shows them legibly?

Compares the rules of `complementarity`, the cost of `joint` at other weights and for the second grid alone (balanced),
a shifted, a random and an aligned second grid, overlapping tiles, none, and none with as many tiles as `any` has in
both grids, over the ranges of the published settings.

Pages: aspect ratio log-uniform from 1:3 to 3:1, longer side from 448 px to 2,800 px. Words: 60 boxes per page, as high
as 1/90 to 1/12 of the page's longer side, 1 to 10 letters of 0.55 times the height, anywhere. All from one seed.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks.sawtooth.cutting import (
    ADAPTIVE,
    DETAILED,
    GLOBAL,
    METHODS,
    Method,
    View,
    grid_view,
    grids_within,
    is_cut,
    plan_grids,
    pyramid,
    ranges_of,
    with_global,
)
from benchmarks.sawtooth.report.statistics import bootstrap, ratio
from benchmarks.sawtooth.runner import FOLDER, Measurement
from processing_minimonkey.complementary_image_pyramid import COMPLEMENTARITIES, shared_cut_lines


PAGES, WORDS, TILE_SIZE = 600, 60, 448
LEGIBLE = 12  # px of height in the tile, about what reading needs
# The different ranges among the published settings.
SETTINGS = ("demo", "docvqa", "ocrbench", "infovqa", "chartqa", "default", "realworldqa", "train")
WEIGHTS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
JOINT_WEIGHTS = (0.1, 0.2, 0.5, 1.0)  # beside 0.3, which `joint` has


@dataclass(frozen=True)
class Cuts:
    """
    One result. `cut`: share of the words that no group shows whole and legibly, with its interval; `more`: that share
    minus the one of "any" on the same pages; `cut_both`: share that both grids cut; `second_grid`: share of the pages
    that have one, and `distortion`, 1 where none has: its own; `detailed_distortion` of the first.
    """

    setting: str
    rule: str
    pages: int
    words: int
    cut: float
    cut_low: float
    cut_high: float
    more: float
    more_low: float
    more_high: float
    cut_both: float
    cut_detailed: float
    second_grid: float
    distortion_median: float
    distortion_90: float
    detailed_distortion_90: float
    tiles: float


def make_pages(number: int = PAGES, words: int = WORDS, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sizes (pages, 2) in px, and boxes (pages, words, 4): left, top, right, bottom as shares of the page."""
    rng = np.random.default_rng(seed)
    aspect = np.exp(rng.uniform(-math.log(3), math.log(3), number))
    longer = np.exp(rng.uniform(math.log(448), math.log(2800), number))
    width, height = np.where(aspect > 1, longer, longer * aspect), np.where(aspect > 1, longer / aspect, longer)
    sizes = np.stack([width, height], axis=1).round().astype(int)
    high = np.exp(rng.uniform(-math.log(90), -math.log(12), (number, words))) * longer[:, None]  # px
    wide = 0.55 * high * rng.integers(1, 11, (number, words))
    wide, high = np.minimum(wide / sizes[:, :1], 0.98), np.minimum(high / sizes[:, 1:], 0.98)
    left, top = rng.uniform(size=(2, number, words)) * np.stack([1 - wide, 1 - high])
    return sizes, np.stack([left, top, left + wide, top + high], axis=-1)


def is_legible(boxes: np.ndarray, view: View) -> np.ndarray:
    """Whether boxes (..., 4), shares of the page, are high enough on the view's canvas."""
    return (boxes[..., 3] - boxes[..., 1]) * view.canvas[1] >= LEGIBLE


def distortion(size: tuple[int, int], shape: tuple[int, int]) -> float:
    """How much longer one side of the image becomes than the other, at least 1, on a canvas (or grid) of a shape."""
    return math.exp(abs(_log_distortion(size, shape)))


def _log_distortion(size: tuple[int, int], shape: tuple[int, int]) -> float:
    return math.log(size[0] / size[1]) - math.log(shape[0] / shape[1])


def balanced(weight: float) -> Method:
    """The second grid with the least |log distortion| + weight * shared inner cut lines; the smaller of equal ones."""

    def views(width, height, tile_size, rng, ranges) -> list[View]:
        detailed, _ = plan_grids(width, height, tile_size, ranges)
        grids = [grid for grid in grids_within(*ranges.adaptive) if grid != (1, 1)]

        def cost(grid):
            shared = shared_cut_lines(detailed, grid)
            return abs(_log_distortion((width, height), grid)) + weight * shared, grid[0] * grid[1], grid

        second = min(grids, key=cost, default=(1, 1))
        return with_global(tile_size, grid_view(DETAILED, detailed, tile_size), grid_view(ADAPTIVE, second, tile_size))

    return views


def joint(weight: float) -> Method:
    """`joint` of `complementarity` with another weight, without its rule for ties: both grids at the least cost."""

    def views(width, height, tile_size, rng, ranges) -> list[View]:
        plain, _ = plan_grids(width, height, tile_size, ranges)
        pairs = (
            (first, second)
            for first in grids_within(*ranges.detailed)
            for second in grids_within(*ranges.adaptive)
            if (first == (1, 1)) == (plain == (1, 1)) and second not in ((1, 1), first)
        )

        def cost(pair):
            distortions = sum(abs(_log_distortion((width, height), grid)) for grid in pair)
            return round(distortions + weight * shared_cut_lines(*pair), 9), -pair[0][0] * pair[0][1], pair

        grids = enumerate(min(pairs, key=cost))
        return with_global(tile_size, *(grid_view(level, grid, tile_size) for level, grid in grids))

    return views


RULES: dict[str, Method] = {
    "detailed + global": METHODS["detailed + global"],
    "detailed + global, tiles of any": METHODS["detailed + global, tiles of the pyramid"],
    "overlap + global": METHODS["overlap + global"],
    **{name: METHODS[f"second grid {name}"] for name in ("aligned", "shifted", "random")},
    **{rule: pyramid(rule) for rule in COMPLEMENTARITIES},
    **{f"balanced {weight:g}": balanced(weight) for weight in WEIGHTS},
    **{f"joint {weight:g}": joint(weight) for weight in JOINT_WEIGHTS},
}


def measure_pages(setting: str, rule: str, sizes: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """
    Apply one rule to all pages: (pages, 7), words in all, cut by every group, by both grids, by the detailed one;
    distortion of the second grid, NaN where there is none, and of the detailed one; tiles.
    """
    ranges, rng = ranges_of(setting), np.random.default_rng(0)
    pages = []
    for (width, height), words in zip(sizes.tolist(), boxes, strict=True):
        views = RULES[rule](width, height, TILE_SIZE, rng, ranges)
        plain, _ = plan_grids(width, height, TILE_SIZE, ranges)
        shown = is_legible(words, grid_view(DETAILED, plain, TILE_SIZE))
        pages.append(_measure_page(views, (width, height), words[shown]))
    return np.array(pages, float)


def measure(
    setting: str, rule: str, sizes: np.ndarray, boxes: np.ndarray, published: np.ndarray | None = None
) -> Cuts:
    """What one rule does to all pages; `published` is `measure_pages` of "any", where it is at hand."""
    published = measure_pages(setting, "any", sizes, boxes) if published is None else published
    words, cut, cut_both, cut_detailed, second, detailed, tiles = measure_pages(setting, rule, sizes, boxes).T
    more = cut - published[:, 1]
    there = second[~np.isnan(second)]
    return Cuts(
        setting,
        rule,
        len(sizes),
        int(words.sum()),
        *(round(value, 4) for each in (cut, more) for value in bootstrap(np.arange(len(sizes)), ratio(each, words))),
        *(round(float(each.sum() / words.sum()), 4) for each in (cut_both, cut_detailed)),
        round(len(there) / len(sizes), 4),
        *(round(float(np.percentile(there, point)) if len(there) else 1.0, 3) for point in (50, 90)),
        round(float(np.percentile(detailed, 90)), 3),
        round(float(np.mean(tiles)), 1),
    )


def _measure_page(views: list[View], size: tuple[int, int], words: np.ndarray) -> tuple[float, ...]:
    """A row of `measure_pages`, of the words (words, 4)."""
    cut = {view.level: is_cut(view, (1, 1), words) for view in views}
    whole = [is_legible(words, view) & ~cut[view.level] for view in views]
    grids = [each for level, each in cut.items() if level != GLOBAL] or [np.zeros(len(words), bool)]
    # By the canvas: that of overlapping tiles has another shape than their grid
    stretched = {view.level: distortion(size, view.canvas) for view in views}
    return (
        len(words),
        (~np.any(whole, axis=0)).sum(),
        np.all(grids, axis=0).sum(),
        cut.get(DETAILED, cut[GLOBAL]).sum(),
        stretched.get(ADAPTIVE, math.nan),
        stretched.get(DETAILED, stretched[GLOBAL]),
        sum(len(view.boxes) for view in views),
    )


@lru_cache(maxsize=1)
def _all_pages() -> tuple[np.ndarray, np.ndarray]:
    return make_pages()


@dataclass(frozen=True)
class Geometry(Measurement):
    """Which words are cut, by every rule over the ranges of every setting."""

    name = "geometry"
    row = Cuts
    block = ("setting",)  # all of its rules are compared with one of them
    needs_reader = False

    def blocks(self, reader=None) -> list[tuple]:
        return [(setting,) for setting in SETTINGS]

    def measure(self, reader, setting: str) -> list[Cuts]:
        pages = _all_pages()
        published = measure_pages(setting, "any", *pages)
        return [measure(setting, rule, *pages, published) for rule in RULES]

    def path(self, name: str = "") -> Path:
        return FOLDER.parent / "geometry.csv"
