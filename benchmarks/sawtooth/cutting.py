"""The ways to cut an image that the benchmark compares, as views: an image is resized to a canvas and tiles are cut.

A method gives the views of an image: `METHODS[name](width, height, tile_size, rng)`, sizes in px, or with other ranges
of tiles `METHODS[name](width, height, tile_size, rng, ranges)`. Its tiles reach the model as those of Mini-Monkey's
processor do: detailed tiles, tiles of the second grid, the whole image last; a grid of one tile is left out.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from processing_minimonkey import PYRAMID_SETTINGS, plan_pyramid


Grid = tuple[int, int]
Box = tuple[int, int, int, int]

OVERLAP = 0.25  # of a tile's side, where tiles overlap
DETAILED, ADAPTIVE, GLOBAL = 0, 1, 2  # the views' levels
TOKENS_ALONG = 4  # tokens along a tile's side, of the small checkpoints
ROUNDING = 1e-6  # px that rounding may add to a box


class Ranges(NamedTuple):
    """Fewest and most tiles of both grids; by default those of the small checkpoint."""

    detailed: tuple[int, int] = (1, 6)
    adaptive: tuple[int, int] = (1, 4)


def ranges_of(setting: str) -> Ranges:
    """The ranges of a published setting."""
    return Ranges(PYRAMID_SETTINGS[setting]["detailed_tiles"], PYRAMID_SETTINGS[setting]["adaptive_tiles"])


SMALL_RANGES = Ranges()
PUBLISHED_RANGES = ranges_of("demo")


@dataclass(frozen=True)
class View:
    """
    Tiles of one group.

    Args:
        level: 0 detailed, 1 second grid, 2 global, as in `tile_levels`.
        grid: Columns and rows that the image is stretched to.
        canvas: Width and height in px that the image is resized to.
        boxes: Left, top, right, bottom of each tile in px of the canvas. What lies outside of it is filled with gray.
    """

    level: int
    grid: Grid
    canvas: tuple[int, int]
    boxes: tuple[Box, ...]

    def cut(self, image: Image.Image) -> list[Image.Image]:
        """The tiles, in the order of `boxes`."""
        canvas = image.resize(self.canvas, Image.Resampling.BICUBIC)
        if all(min(a, b) >= 0 and c <= self.canvas[0] and d <= self.canvas[1] for a, b, c, d in self.boxes):
            return [canvas.crop(box) for box in self.boxes]
        padded = Image.new("RGB", tuple(side * 3 for side in self.canvas), (128, 128, 128))
        padded.paste(canvas, self.canvas)
        width, height = self.canvas
        return [padded.crop((a + width, b + height, c + width, d + height)) for a, b, c, d in self.boxes]


Method = Callable[..., list[View]]


def grid_view(level: int, grid: Grid, tile_size: int, offset: Grid = (0, 0)) -> View:
    """All tiles of a grid, moved by `offset` px; a moved grid has one row and column more and covers the image."""
    columns, rows = (side + (shift != 0) for side, shift in zip(grid, offset, strict=True))
    corners = [(x * tile_size - offset[0], y * tile_size - offset[1]) for y in range(rows) for x in range(columns)]
    return _view(level, grid, tuple(side * tile_size for side in grid), corners, tile_size)


def overlap_view(level: int, grid: Grid, tile_size: int) -> View:
    """The tiles of a grid, each sharing `OVERLAP` of its side with the next: the canvas is smaller, its text too."""
    stride = round(tile_size * (1 - OVERLAP))
    corners = [(x * stride, y * stride) for y in range(grid[1]) for x in range(grid[0])]
    return _view(level, grid, tuple(tile_size + (side - 1) * stride for side in grid), corners, tile_size)


def _view(level, grid, canvas, corners, tile_size) -> View:
    boxes = tuple((left, top, left + tile_size, top + tile_size) for left, top in corners)
    return View(level, grid, canvas, boxes)


def plan_grids(
    width: int, height: int, tile_size: int, ranges: Ranges, complementarity: str = "any"
) -> tuple[Grid, Grid]:
    """The detailed and the second grid of Mini-Monkey's processor."""
    plan = plan_pyramid(
        int(width),
        int(height),
        tile_size=tile_size,
        detailed_tiles=ranges.detailed,
        adaptive_tiles=ranges.adaptive,
        complementarity=complementarity,
    )
    return plan.detailed, plan.adaptive


def grids_within(fewest: int, most: int) -> list[Grid]:
    """All grids of so many tiles, by columns, then by rows."""
    return [(x, y) for x in range(1, most + 1) for y in range(math.ceil(fewest / x), most // x + 1)]


def budget(grids: Iterable[Grid]) -> tuple[int, int]:
    """Fewest and most tiles for a single grid in place of several: their sum, or up to a fifth less."""
    tiles = max(1, sum(math.prod(grid) for grid in grids if grid != (1, 1)))
    return math.ceil(0.8 * tiles), tiles


def with_global(tile_size: int, *views: View) -> list[View]:
    """The views that have more than one tile, and the whole image last."""
    return [*(view for view in views if view.grid != (1, 1)), grid_view(GLOBAL, (1, 1), tile_size)]


def _whole(width, height, tile_size, rng, ranges=SMALL_RANGES) -> list[View]:
    return with_global(tile_size)


def pyramid(complementarity: str) -> Method:
    """Both grids of Mini-Monkey's processor."""

    def views(width, height, tile_size, rng, ranges=SMALL_RANGES) -> list[View]:
        grids = plan_grids(width, height, tile_size, ranges, complementarity)
        return with_global(tile_size, *(grid_view(level, grid, tile_size) for level, grid in enumerate(grids)))

    return views


def _beside(second: Callable) -> Method:
    """A method of three groups: `second(detailed, ranges, tile_size, rng)` gives the view beside the detailed grid."""

    def views(width, height, tile_size, rng, ranges=SMALL_RANGES) -> list[View]:
        detailed, _ = plan_grids(width, height, tile_size, ranges)
        view = second(detailed, ranges, tile_size, rng)
        return with_global(tile_size, grid_view(DETAILED, detailed, tile_size), view)

    return views


def _random(detailed: Grid, ranges: Ranges, tile_size: int, rng: np.random.Generator) -> View:
    grids = [grid for grid in grids_within(*ranges.adaptive) if grid != (1, 1)]
    return grid_view(ADAPTIVE, grids[rng.integers(len(grids))], tile_size)


def _aligned(detailed: Grid, ranges: Ranges, tile_size: int, rng: np.random.Generator) -> View:
    """The largest grid within the range whose cut lines are all lines of the detailed grid."""
    divisors = [(x, y) for x, y in grids_within(*ranges.adaptive) if detailed[0] % x == 0 and detailed[1] % y == 0]
    return grid_view(ADAPTIVE, max(divisors, key=math.prod, default=(1, 1)), tile_size)


def _repeated(detailed: Grid, ranges: Ranges, tile_size: int, rng: np.random.Generator) -> View:
    """The detailed grid once more: as much to compute as with a second grid, at least, and nothing complementary."""
    return grid_view(ADAPTIVE, detailed, tile_size)


def _shifted(detailed: Grid, ranges: Ranges, tile_size: int, rng: np.random.Generator) -> View:
    """The detailed grid again, moved by half a tile along every side that it cuts."""
    return grid_view(ADAPTIVE, detailed, tile_size, tuple(tile_size // 2 if side > 1 else 0 for side in detailed))


def _one_grid(view: Callable = grid_view, as_many_tiles: bool = False, has_global: bool = True) -> Method:
    """A method without a second grid: the detailed one, or one of about as many tiles as the pyramid has in both."""

    def views(width, height, tile_size, rng, ranges=SMALL_RANGES) -> list[View]:
        if as_many_tiles:
            ranges = ranges._replace(detailed=budget(plan_grids(width, height, tile_size, ranges)))
        detailed, _ = plan_grids(width, height, tile_size, ranges)
        found = view(DETAILED, detailed, tile_size)
        return with_global(tile_size, found) if has_global else [found]

    return views


SECOND_ALONE = "second grid + global"


def _second_alone(width, height, tile_size, rng, ranges=SMALL_RANGES) -> list[View]:
    """The second grid in place of the detailed one: what a reader could read from it."""
    _, second = plan_grids(width, height, tile_size, ranges)
    return with_global(tile_size, grid_view(DETAILED, second, tile_size))


METHODS: dict[str, Method] = {
    "global": _whole,
    "detailed": _one_grid(has_global=False),
    "detailed, tiles of the pyramid": _one_grid(as_many_tiles=True, has_global=False),
    "detailed + global": _one_grid(),
    "detailed + global, tiles of the pyramid": _one_grid(as_many_tiles=True),
    "overlap + global": _one_grid(overlap_view),
    "overlap + global, tiles of the pyramid": _one_grid(overlap_view, as_many_tiles=True),
    SECOND_ALONE: _second_alone,
    "second grid aligned": _beside(_aligned),
    "second grid repeated": _beside(_repeated),
    "second grid shifted": _beside(_shifted),
    "second grid random": _beside(_random),
    **{f"pyramid {rule}": pyramid(rule) for rule in ("any", "all", "disjoint", "joint")},
}


def is_cut(view: View, size: tuple[int, int], boxes: np.ndarray | tuple[float, ...]) -> np.ndarray | bool:
    """
    Whether no tile of a view holds all of a box.

    Args:
        size: Width and height of the image in px.
        boxes: (..., 4), left, top, right, bottom in px of the image.

    Returns:
        (...), of bool; a bool for one box.
    """
    scale = [side / original for side, original in zip(view.canvas, size, strict=True)]
    boxes = (np.asarray(boxes, float) * (scale * 2))[..., None, :]
    tiles = np.asarray(view.boxes)
    first = (tiles[:, :2] - ROUNDING <= boxes[..., :2]).all(-1)
    last = (boxes[..., 2:] <= tiles[:, 2:] + ROUNDING).all(-1)
    cut = ~(first & last).any(-1)
    return cut if cut.ndim else bool(cut)


def cut_by(views: Iterable[View], size: tuple[int, int], box: tuple[float, ...]) -> int:
    """
    What cuts a box: 0 nothing, 1 the detailed grid, 3 it and every other grid; 2 every grid, where the detailed one is
    left out. The global view is no grid.
    """
    found = {view.level: is_cut(view, size, box) for view in views if view.level != GLOBAL}
    return found.get(DETAILED, False) + 2 * (bool(found) and all(found.values()))


def tokens_on(
    view: View, size: tuple[int, int], box: tuple[float, float, float, float], along: int = TOKENS_ALONG
) -> np.ndarray:
    """
    Which tokens of a view, row by row in each tile, show a part of `box` (px of an image of `size`); `along` is how
    many there are along a tile's side.
    """
    x, y = (side / original for side, original in zip(view.canvas, size, strict=True))
    left, top, right, bottom = box[0] * x, box[1] * y, box[2] * x, box[3] * y
    shown = []
    for tile_left, tile_top, tile_right, _ in view.boxes:
        step = (tile_right - tile_left) / along
        for row in range(along):
            for column in range(along):
                a, b = tile_left + column * step, tile_top + row * step
                shown.append(a < right and left < a + step and b < bottom and top < b + step)
    return np.array(shown)
