"""The ways to cut an image that the benchmark compares, as views: an image is resized to a canvas and tiles are cut.

A method gives the views of an image of some size. Its tiles reach the model as those of Mini-Monkey's processor do:
detailed tiles, tiles of the second grid, the whole image last.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from benchmarks.sawtooth.geometry import OVERLAP, budget
from processing_minimonkey import plan_pyramid


Grid = tuple[int, int]
Box = tuple[int, int, int, int]

DETAILED, ADAPTIVE = (1, 6), (1, 4)  # of the small checkpoint


@dataclass(frozen=True)
class View:
    """
    Tiles of one group.

    Args:
        level: 0 detailed, 1 second grid, 2 global, as in `tile_levels`.
        canvas: Width and height in px that the image is resized to.
        boxes: Left, top, right, bottom of each tile in px of the canvas. What lies outside of it is filled with gray.
    """

    level: int
    canvas: tuple[int, int]
    boxes: tuple[Box, ...]

    def cut(self, image: Image.Image) -> list[Image.Image]:
        canvas = image.resize(self.canvas, Image.Resampling.BICUBIC)
        padded = Image.new("RGB", tuple(side * 3 for side in self.canvas), (128, 128, 128))
        padded.paste(canvas, self.canvas)
        width, height = self.canvas
        return [padded.crop((a + width, b + height, c + width, d + height)) for a, b, c, d in self.boxes]


def grid_view(level: int, grid: Grid, tile_size: int, offset: Grid = (0, 0)) -> View:
    """All tiles of a grid, moved by `offset` px; a moved grid has one row and column more and covers the image."""
    columns, rows = (side + (shift != 0) for side, shift in zip(grid, offset, strict=True))
    corners = [
        (x * tile_size - offset[0], y * tile_size - offset[1]) for y in range(rows) for x in range(columns)
    ]  # row by row
    boxes = tuple((left, top, left + tile_size, top + tile_size) for left, top in corners)
    return View(level, (grid[0] * tile_size, grid[1] * tile_size), boxes)


def overlap_view(grid: Grid, tile_size: int) -> View:
    """The tiles of a grid, each sharing `OVERLAP` of its side with the next: the canvas is smaller, its text too."""
    stride = round(tile_size * (1 - OVERLAP))
    canvas = tuple(tile_size + (side - 1) * stride for side in grid)
    corners = [(x * stride, y * stride) for y in range(grid[1]) for x in range(grid[0])]
    return View(0, canvas, tuple((left, top, left + tile_size, top + tile_size) for left, top in corners))


def _grids(width: int, height: int, tile_size: int, detailed=DETAILED, adaptive=None, complementarity="any"):
    plan = plan_pyramid(
        width,
        height,
        tile_size=tile_size,
        detailed_tiles=detailed,
        adaptive_tiles=adaptive,
        complementarity=complementarity,
    )
    return plan.detailed, plan.adaptive


def _global(tile_size: int) -> View:
    return grid_view(2, (1, 1), tile_size)


def _with_second(second: Callable) -> Callable:
    """A method of three groups; `second` gives the view between the detailed grid and the global one, or none."""

    def views(width: int, height: int, tile_size: int, rng: np.random.Generator) -> list[View]:
        detailed, _ = _grids(width, height, tile_size)
        found = [grid_view(0, detailed, tile_size)] if detailed != (1, 1) else []
        view = second(width, height, tile_size, detailed, rng)
        return [*found, *([view] if view is not None else []), _global(tile_size)]

    return views


def _pyramid(complementarity: str) -> Callable:
    def views(width: int, height: int, tile_size: int, rng: np.random.Generator) -> list[View]:
        grids = _grids(width, height, tile_size, adaptive=ADAPTIVE, complementarity=complementarity)
        found = [grid_view(level, grid, tile_size) for level, grid in enumerate(grids) if grid != (1, 1)]
        return [*found, _global(tile_size)]

    return views


def _random(width, height, tile_size, detailed, rng):
    sizes = range(ADAPTIVE[0], ADAPTIVE[1] + 1)
    grids = [(x, y) for x in sizes for y in sizes if 1 < x * y <= ADAPTIVE[1]]
    return grid_view(1, grids[rng.integers(len(grids))], tile_size)


def _aligned(width, height, tile_size, detailed, rng):
    """The largest grid within the range whose cut lines are all lines of the detailed grid."""
    divisors = [
        (x, y)
        for x in range(1, detailed[0] + 1)
        for y in range(1, detailed[1] + 1)
        if detailed[0] % x == 0 and detailed[1] % y == 0 and 1 < x * y <= ADAPTIVE[1]
    ]
    return grid_view(1, max(divisors, key=lambda grid: (grid[0] * grid[1], grid)), tile_size) if divisors else None


def _shifted(width, height, tile_size, detailed, rng):
    """The detailed grid again, moved by half a tile along every side that it cuts."""
    offset = tuple(tile_size // 2 if side > 1 else 0 for side in detailed)
    return grid_view(1, detailed, tile_size, offset) if any(offset) else None


def _own_grid(width, height, tile_size):
    return _grids(width, height, tile_size)[0]


def _budget_grid(width, height, tile_size):
    """About as many tiles as the pyramid has in both of its grids: pieces of a larger canvas."""
    return _grids(width, height, tile_size, detailed=budget(_grids(width, height, tile_size, adaptive=ADAPTIVE)))[0]


_detailed_view = partial(grid_view, 0)


def _one_grid(choose: Callable, view: Callable = _detailed_view, with_global: bool = True) -> Callable:
    """A method without a second grid; `choose` gives its grid, `view` cuts it."""

    def views(width: int, height: int, tile_size: int, rng: np.random.Generator) -> list[View]:
        grid = choose(width, height, tile_size)
        if not with_global:
            return [view(grid, tile_size)]
        return [*([view(grid, tile_size)] if grid != (1, 1) else []), _global(tile_size)]

    return views


# Name -> views of an image: method(width, height, tile_size, rng). The sizes are in px.
METHODS: dict[str, Callable[[int, int, int, np.random.Generator], list[View]]] = {
    "global": lambda width, height, tile_size, rng: [_global(tile_size)],
    "detailed": _one_grid(_own_grid, with_global=False),
    "detailed, tiles of the pyramid": _one_grid(_budget_grid, with_global=False),
    "detailed + global": _one_grid(_own_grid),
    "detailed + global, tiles of the pyramid": _one_grid(_budget_grid),
    "overlap + global": _one_grid(_own_grid, overlap_view),
    "overlap + global, tiles of the pyramid": _one_grid(_budget_grid, overlap_view),
    "second grid aligned": _with_second(_aligned),
    "second grid shifted": _with_second(_shifted),
    "second grid random": _with_second(_random),
    "pyramid any": _pyramid("any"),
    "pyramid all": _pyramid("all"),
    "pyramid disjoint": _pyramid("disjoint"),
    "pyramid joint": _pyramid("joint"),
}


def is_cut(view: View, size: tuple[int, int], box: tuple[float, float, float, float]) -> bool:
    """Whether no tile of `view` holds all of `box` (left, top, right, bottom in px of an image of `size`)."""
    x, y = (side / original for side, original in zip(view.canvas, size, strict=True))
    left, top, right, bottom = box[0] * x, box[1] * y, box[2] * x, box[3] * y
    e = 1e-6  # what rounding may add
    return not any(a - e <= left and b - e <= top and right <= c + e and bottom <= d + e for a, b, c, d in view.boxes)
