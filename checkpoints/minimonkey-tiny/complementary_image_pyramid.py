"""
The Complementary Image Pyramid (CIP) of Mini-Monkey (arXiv 2408.02034, section 3.2): which tiles an image is cut into.

The model sees the whole image three times: resized to a fine grid of tiles (detailed), to a coarser grid with other
cut lines (adaptive), and to a single tile (global). Most of what one grid cuts in two is whole in the other. This file
computes grids and boxes from integers; the image processor cuts the pixels.
"""

import math
import operator
import reprlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any


Grid = tuple[int, int]  # (columns, rows)

# Groups of tiles by name. A group's level is its index here, the number in the processor's `tile_levels`.
TILE_GROUPS = ("detailed", "adaptive", "global")
COMPLEMENTARITIES = ("any", "all", "none", "disjoint", "joint")
SHARED_LINE_COST = 0.3  # for "joint": a shared line costs as much as stretching one side by a third (e**0.3 = 1.35)
MAX_TILES_PER_GROUP = 1024  # the published settings go up to 24; a range beyond this is a mistake
MAX_INTEGER = 2**31 - 1  # largest side in pixels, as in Pillow


def _setting(detailed: Grid, adaptive: Grid, complementarity: str = "any") -> Mapping:
    return MappingProxyType(
        {"detailed_tiles": detailed, "adaptive_tiles": adaptive, "complementarity": complementarity}
    )


# The settings of the published code by benchmark; pass one to `plan_pyramid` or a processor with `**`.
PYRAMID_SETTINGS: Mapping[str, Mapping] = MappingProxyType(
    {
        "demo": _setting((4, 12), (3, 7)),
        "default": _setting((12, 24), (3, 5)),  # the evaluation script, for benchmarks without ranges of their own
        "textvqa": _setting((12, 24), (3, 5)),
        "mathvista": _setting((12, 24), (3, 5)),
        "ai2d": _setting((12, 24), (3, 5)),
        "seed": _setting((12, 24), (3, 5)),
        "mmmu": _setting((12, 24), (3, 5)),
        "chartqa": _setting((4, 12), (1, 3)),
        "docvqa": _setting((1, 24), (1, 8)),
        "infovqa": _setting((5, 24), (3, 8)),
        "ocrbench": _setting((8, 24), (3, 9)),
        "ccbench": _setting((3, 8), (1, 4)),
        "realworldqa": _setting((3, 12), (1, 4)),
        "mme": _setting((3, 9), (1, 4)),
        "hallusionbench": _setting((3, 9), (1, 4)),
        "pope": _setting((3, 9), (1, 4)),
        "multi_image": _setting((12, 24), (3, 5), "none"),  # the evaluation script, for several images in one question
        "train": _setting((1, 8), (1, 4), "all"),
        "train_lora": _setting((1, 6), (1, 4), "all"),
    }
)


@dataclass(frozen=True)
class Tile:
    """
    One tile of a pyramid.

    Attributes:
        group (`str`): `"detailed"`, `"adaptive"` or `"global"`.
        number (`int`): position in its group, row by row, from 0.
        box (`tuple[int, int, int, int]`):
            Left, top, right, bottom in pixels of the image resized to its group's grid; right, bottom are exclusive.
    """

    group: str
    number: int
    box: tuple[int, int, int, int]

    @property
    def level(self) -> int:
        """The number of its group in the processor's `tile_levels`: 0 detailed, 1 adaptive, 2 global."""
        return TILE_GROUPS.index(self.group)


@dataclass(frozen=True)
class PyramidPlan:
    """
    The grids and tiles of one image.

    Attributes:
        detailed (`tuple[int, int]`): columns and rows of the detailed grid.
        adaptive (`tuple[int, int]`): columns and rows of the adaptive grid.
        tile_size (`int`): side of a tile in pixels.
        tiles (`tuple[Tile, ...]`):
            Detailed tiles, adaptive tiles, global tile. A group with a 1x1 grid would repeat the global view and is
            left out, so a small image may have the global tile alone.
    """

    detailed: Grid
    adaptive: Grid
    tile_size: int
    tiles: tuple[Tile, ...]

    @property
    def num_tiles(self) -> int:
        return len(self.tiles)

    def grid(self, group: str) -> Grid:
        """Columns and rows of `group`."""
        return {"detailed": self.detailed, "adaptive": self.adaptive, "global": (1, 1)}[group]

    def canvas_size(self, group: str) -> tuple[int, int]:
        """Width and height in pixels that the image is resized to before the tiles of `group` are cut."""
        columns, rows = self.grid(group)
        return columns * self.tile_size, rows * self.tile_size

    def group_tiles(self, group: str) -> tuple[Tile, ...]:
        """The tiles of `group`, row by row; empty where the group is left out."""
        return tuple(tile for tile in self.tiles if tile.group == group)


def plan_pyramid(
    width: int,
    height: int,
    *,
    tile_size: int = 448,
    detailed_tiles: Sequence[int] = (4, 12),
    adaptive_tiles: Sequence[int] | None = (3, 7),
    complementarity: str = "any",
) -> PyramidPlan:
    """
    Choose the detailed and the adaptive grid of an image and list its tiles.

    The detailed grid is the grid with a permitted number of tiles whose columns / rows is nearest to width / height.
    The adaptive grid is chosen in the same way, from the grids that `complementarity` leaves. On an exact tie:

    - the grid with the most tiles (then the most columns) wins, of those whose tiles have less than twice the image's
      pixels in total;
    - if there are none, the grid with the fewest tiles (then the fewest columns) wins.

    Args:
        width (`int`): width of the image in pixels.
        height (`int`): height of the image in pixels.
        tile_size (`int`, *optional*, defaults to 448): side of the square tiles in pixels.
        detailed_tiles (`Sequence[int]`, *optional*, defaults to `(4, 12)`): fewest and most detailed tiles.
        adaptive_tiles (`Sequence[int]`, *optional*, defaults to `(3, 7)`):
            Fewest and most adaptive tiles. `None`: no adaptive group, which is InternVL's tiling.
        complementarity (`str`, *optional*, defaults to `"any"`):
            Which adaptive grids the detailed grid rules out:

            - `"any"` (published inference): those whose columns and rows both divide the detailed ones;
            - `"all"` (published training): those whose columns or whose rows divide the detailed ones;
            - `"none"` (published evaluation with several images): none;
            - `"disjoint"` (ours): 1x1, and those that share an inner cut line with the detailed grid;
            - `"joint"` (ours): 1x1 and the detailed grid itself; both grids are chosen together.

            If no grid is left, the adaptive grid is (1, 1): the adaptive group is left out.

            Details of `"disjoint"`:

            - two grids share no inner cut line if their columns are coprime and their rows are coprime;
            - if all grids of the range share one, those that share the fewest are permitted.

            Details of `"joint"`:

            - the pair of grids with the lowest cost is chosen, so the detailed grid may be another one than under the
              other rules;
            - the cost is the sum of |log(width / height) - log(columns / rows)| over both grids, plus 0.3 for each
              inner cut line that they share;
            - on a tie: the most detailed tiles with less than twice the image's pixels in total (if there are none,
              the fewest detailed tiles), then the fewest adaptive tiles, then the fewest columns;
            - the detailed grid is 1x1 only if it is so under the other rules, which happens for small images.

    Returns:
        [`PyramidPlan`]

    Raises:
        TypeError: a number is not an integer, or a range is not two integers.
        ValueError: a number or a range is not positive, a range is reversed or goes beyond 1024 tiles, or
            `complementarity` is unknown.

    Example:
        >>> plan = plan_pyramid(800, 600)
        >>> plan.detailed, plan.adaptive, plan.num_tiles
        ((4, 3), (3, 2), 19)
    """
    width, height = positive_integer("width", width), positive_integer("height", height)
    return _plan_pyramid(width, height, *check_settings(tile_size, detailed_tiles, adaptive_tiles, complementarity))


def complementary_grid(
    width: int,
    height: int,
    detailed: Grid,
    *,
    tile_size: int,
    adaptive_tiles: Sequence[int],
    complementarity: str = "any",
    allowed: Collection[Grid] | None = None,
) -> Grid:
    """
    Choose the adaptive grid for a given detailed grid, for example one that another model's processor chose.

    Args:
        detailed (`tuple[int, int]`): columns and rows of the detailed grid.
        allowed (`Collection[tuple[int, int]]`, *optional*): the only grids to choose from, within `adaptive_tiles`.
        complementarity (`str`, *optional*, defaults to `"any"`):
            See [`plan_pyramid`]; `"joint"` finds the best adaptive grid for the given detailed one.
        width, height, tile_size, adaptive_tiles: see [`plan_pyramid`].

    Returns:
        `tuple[int, int]`: columns and rows, (1, 1) if no grid is left.
    """
    candidates = _candidate_grids(*adaptive_tiles)
    if allowed is not None:
        candidates = [grid for grid in candidates if grid in allowed]
    if complementarity == "joint":
        _, adaptive = _joint_grids(width, height, tile_size, [detailed], candidates)
        return adaptive
    candidates = _complementary_grids(detailed, candidates, complementarity)
    return _closest_grid(width, height, tile_size, candidates)


def check_settings(
    tile_size: int, detailed_tiles: Sequence[int], adaptive_tiles: Sequence[int] | None, complementarity: str
) -> tuple[int, Grid, Grid | None, str]:
    """
    Return the settings of [`plan_pyramid`] with the ranges as tuples.

    Raises:
        TypeError, ValueError: see [`plan_pyramid`].
    """
    if not isinstance(complementarity, str) or complementarity not in COMPLEMENTARITIES:
        raise ValueError(f"`complementarity` must be one of {COMPLEMENTARITIES}, got {shown(complementarity)}.")
    return (
        positive_integer("tile_size", tile_size),
        _tile_range("detailed_tiles", detailed_tiles),
        None if adaptive_tiles is None else _tile_range("adaptive_tiles", adaptive_tiles),
        complementarity,
    )


def shown(value: Any) -> str:
    """A value as errors show it: never the whole of a long one, no address in memory."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    try:
        text = short.repr(value)
    except ValueError:  # an integer of thousands of digits
        return type(value).__name__
    return type(value).__name__ if " at 0x" in text else text


def positive_integer(name: str, value: int) -> int:
    """
    An integer of any kind, such as NumPy's, as one of Python.

    Raises:
        TypeError: it is none.
        ValueError: it is below 1 or above 2**31 - 1.
    """
    try:
        integer = operator.index(value)
    except TypeError:
        integer = None
    if integer is None or isinstance(value, bool):
        raise TypeError(f"`{name}` must be an integer, got {shown(value)}.")
    if integer < 1:
        raise ValueError(f"`{name}` must be at least 1, got {shown(integer)}.")
    if integer > MAX_INTEGER:
        raise ValueError(f"`{name}` must be at most {MAX_INTEGER}, got {shown(integer)}.")
    return integer


def _tile_range(name: str, value: Sequence[int]) -> Grid:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"`{name}` must be two integers, the fewest and the most tiles, got {shown(value)}.")
    fewest, most = (positive_integer(name, number) for number in value)
    if fewest > most:
        raise ValueError(f"`{name}` must be (fewest, most), got {fewest} > {most}.")
    if most > MAX_TILES_PER_GROUP:
        raise ValueError(f"`{name}` must be at most {MAX_TILES_PER_GROUP} tiles, got {most}.")
    return fewest, most


@lru_cache(maxsize=512)  # of at most 2,049 tiles each
def _plan_pyramid(
    width: int, height: int, tile_size: int, detailed_tiles: Grid, adaptive_tiles: Grid | None, complementarity: str
) -> PyramidPlan:
    detailed_grids = _candidate_grids(*detailed_tiles)
    detailed, adaptive = _closest_grid(width, height, tile_size, detailed_grids), (1, 1)
    if adaptive_tiles is not None and complementarity == "joint" and detailed != (1, 1):
        detailed_grids = [grid for grid in detailed_grids if grid != (1, 1)]
        adaptive_grids = _candidate_grids(*adaptive_tiles)
        detailed, adaptive = _joint_grids(width, height, tile_size, detailed_grids, adaptive_grids)
    elif adaptive_tiles is not None:
        adaptive = complementary_grid(
            width,
            height,
            detailed,
            tile_size=tile_size,
            adaptive_tiles=adaptive_tiles,
            complementarity=complementarity,
        )
    tiles = [
        Tile(group, row * columns + column, _box(column, row, tile_size))
        for group, (columns, rows) in (("detailed", detailed), ("adaptive", adaptive))
        if (columns, rows) != (1, 1)
        for row in range(rows)
        for column in range(columns)
    ]
    tiles.append(Tile("global", 0, _box(0, 0, tile_size)))
    return PyramidPlan(detailed, adaptive, tile_size, tuple(tiles))


def _box(column: int, row: int, tile_size: int) -> tuple[int, int, int, int]:
    return column * tile_size, row * tile_size, (column + 1) * tile_size, (row + 1) * tile_size


@lru_cache(maxsize=64)  # of at most 7,274 grids each
def _candidate_grids(fewest: int, most: int) -> tuple[Grid, ...]:
    """All grids with `fewest` to `most` tiles, by area, then by columns."""
    grids = [
        (columns, rows)
        for columns in range(1, most + 1)
        for rows in range(math.ceil(fewest / columns), most // columns + 1)
    ]
    return tuple(sorted(grids, key=lambda grid: (grid[0] * grid[1], grid[0])))


def _complementary_grids(detailed: Grid, grids: Sequence[Grid], complementarity: str) -> Sequence[Grid]:
    """The `grids` that `complementarity` permits with the `detailed` one."""
    columns, rows = detailed
    if complementarity == "any":
        return [grid for grid in grids if columns % grid[0] or rows % grid[1]]
    if complementarity == "all":
        return [grid for grid in grids if columns % grid[0] and rows % grid[1]]
    if complementarity == "disjoint":
        grids = [grid for grid in grids if grid != (1, 1)]
        fewest = min((shared_cut_lines(detailed, grid) for grid in grids), default=0)
        return [grid for grid in grids if shared_cut_lines(detailed, grid) == fewest]
    return grids


def shared_cut_lines(first: Grid, second: Grid) -> int:
    """Number of inner cut lines that both grids have: gcd - 1 for the columns plus gcd - 1 for the rows."""
    return math.gcd(first[0], second[0]) - 1 + math.gcd(first[1], second[1]) - 1


def _closest_grid(width: int, height: int, tile_size: int, grids: Sequence[Grid]) -> Grid:
    """The grid nearest to the image's aspect ratio, (1, 1) if there is none to choose from; ties: [`plan_pyramid`]."""
    aspect_ratio = width / height
    closest, smallest = (1, 1), math.inf
    for columns, rows in grids:
        # In double precision, as published: exact fractions would find other ties, and so other grids.
        difference = abs(aspect_ratio - columns / rows)
        is_tie_for_large_image = difference == smallest and width * height > 0.5 * tile_size**2 * columns * rows
        if difference < smallest or is_tie_for_large_image:
            closest, smallest = (columns, rows), difference
    return closest


def _joint_grids(
    width: int, height: int, tile_size: int, detailed_grids: Sequence[Grid], adaptive_grids: Sequence[Grid]
) -> tuple[Grid, Grid]:
    """The pair with the lowest cost, see [`plan_pyramid`]; the adaptive grid is (1, 1) if there is none to choose."""

    def distortion(grid: Grid) -> float:
        return abs(math.log(width / height) - math.log(grid[0] / grid[1]))

    def cost(detailed: Grid, adaptive: Grid, stretched: float) -> tuple:
        total = stretched + SHARED_LINE_COST * shared_cut_lines(detailed, adaptive)
        tiles = detailed[0] * detailed[1]
        is_too_large = width * height <= 0.5 * tile_size**2 * tiles  # as in `_closest_grid`
        tiles = tiles if is_too_large else -tiles
        # Rounded, since sums that should be equal may differ in the last digit
        return round(total, 9), is_too_large, tiles, adaptive[0] * adaptive[1], detailed, adaptive

    def by_distortion(grids: Iterable[Grid]) -> list[tuple[float, Grid]]:
        return sorted((distortion(grid), grid) for grid in grids)

    beside = by_distortion(grid for grid in adaptive_grids if grid != (1, 1))
    best = (math.inf,)
    for own, detailed in by_distortion(detailed_grids):
        if own > best[0] + 1e-6:
            break  # all further ones are worse, whatever the adaptive grid
        others = beside if any(grid != detailed for _, grid in beside[:2]) else [(distortion((1, 1)), (1, 1))]
        for other, adaptive in others:
            if own + other > best[0] + 1e-6:
                break  # all further ones are stretched more
            if adaptive != detailed or adaptive == (1, 1):
                best = min(best, cost(detailed, adaptive, own + other))
    return best[-2:]
