"""Pages with a word that the detailed grid cuts between rows, one that it cuts between columns only, and one whole.

Each is a line of its own, between lines that are not asked for.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from benchmarks.sawtooth.cutting import PUBLISHED_RANGES, Grid, plan_grids
from benchmarks.sawtooth.readers.rendering import TILE_SIZE, load_font
from benchmarks.sawtooth.readers.sheets import Box, Cell, Question, Sheet, draw_sheet
from benchmarks.sawtooth.readers.writing import World, Writer


SORTS = ("row", "column", "uncut")
GRIDS = ((2, 2), (3, 2), (2, 3), (3, 3), (4, 2), (2, 4), (4, 3), (3, 4))
WORD = (4, 9)  # letters
# Cut: a line leaves a quarter of the ink at least on both sides. Uncut: all lines keep this distance in px
SHARE, MARGIN = 0.25, 3.0


class Sizes(NamedTuple):
    """Smallest and largest letters in px of the detailed tile, log-uniform between."""

    smallest: float
    largest: float


ONCE = Sizes(16.0, 24.0)  # legible in the detailed grid where they aren't cut
TWICE = Sizes(20.0, 28.0)  # in the second grid, whose tiles are fewer, too


def crossings(box: Box, size: tuple[int, int], grid: tuple[int, int]) -> tuple[bool, bool]:
    """Whether a box is cut between rows, and between columns, of a grid over an image of `size`, anywhere at all."""
    left, top, right, bottom = box
    rows = [size[1] * index / grid[1] for index in range(1, grid[1])]
    columns = [size[0] * index / grid[0] for index in range(1, grid[0])]
    return any(top < line < bottom for line in rows), any(left < line < right for line in columns)


def sort_of(box: Box, size: tuple[int, int], grid: tuple[int, int]) -> str | None:
    """In `SORTS`; nothing for a word that is cut by less than a quarter, between rows and columns, or nearly."""
    left, top, right, bottom = box
    height, width = bottom - top, right - left
    inner = (left + SHARE * width, top + SHARE * height, right - SHARE * width, bottom - SHARE * height)
    outer = (left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN)
    cut_rows, cut_columns = crossings(inner, size, grid)
    near_rows, near_columns = crossings(outer, size, grid)
    if cut_rows and not near_columns:
        return "row"
    if cut_columns and not near_rows:
        return "column"
    return None if near_rows or near_columns else "uncut"


def detailed_grid(size: tuple[int, int]) -> tuple[Grid, float]:
    """The detailed grid of `any` for an image of `size`, and px of the image per px of its tiles."""
    grid = plan_grids(*size, TILE_SIZE, PUBLISHED_RANGES)[0]
    return grid, size[1] / (grid[1] * TILE_SIZE)


def _place(rng: np.random.Generator, sort: str, width: float, height: float, size, grid) -> tuple[float, float] | None:
    """Left and top of a box of a sort, drawn until it is one."""
    for _ in range(200):
        left, top = rng.uniform(2, size[0] - width - 2), rng.uniform(2, size[1] - height - 2)
        if sort == "row":
            top = size[1] * rng.integers(1, grid[1]) / grid[1] - height * rng.uniform(SHARE, 1 - SHARE)
        if sort == "column":
            left = size[0] * rng.integers(1, grid[0]) / grid[0] - width * rng.uniform(SHARE, 1 - SHARE)
        box = (left, top, left + width, top + height)
        if left >= 2 and box[2] <= size[0] - 2 and sort_of(box, size, grid) == sort:
            return left, top
    return None


def draw_cut_page(rng: np.random.Generator, world: World, sizes: Sizes) -> Sheet:
    """A page of held-out words with three questions, for a word of each sort in `SORTS`."""
    writer = Writer(rng, world, held_out=True)
    while True:
        wanted = GRIDS[rng.integers(len(GRIDS))]
        size = tuple(round(side * TILE_SIZE * rng.uniform(0.93, 1.07)) for side in wanted)
        grid, scale = detailed_grid(size)
        if min(grid) == 1:
            continue
        font = load_font(
            world.fonts[rng.integers(len(world.fonts))], round(float(np.exp(rng.uniform(*np.log(sizes)))) * scale)
        )
        sorts = [*SORTS, *["other"] * int(rng.integers(0, 3))]
        placed = []  # baseline, left, word, sort
        for sort in sorts:
            word = _asked_word(writer)
            left, top, right, bottom = font.getbbox(word, anchor="ls")
            kind = SORTS[rng.integers(3)] if sort == "other" else sort
            place = _place(rng, kind, right - left, bottom - top, size, grid)
            if place is None:
                break
            placed.append((place[1] - top, place[0] - left, word, sort))
        placed.sort()
        baselines = [baseline for baseline, *_ in placed]
        if len(placed) < len(sorts) or np.diff(baselines).min() < 1.2 * font.size:
            continue
        rows = [[Cell(word, left)] for _, left, word, _ in placed]
        sheet = draw_sheet(rng, "lines", rows, baselines, size, font)
        found = {sort: number for number, (*_, sort) in enumerate(placed)}
        asked = tuple(
            Question(f"Read line {found[sort] + 1}.", sheet.lines[found[sort]], found[sort]) for sort in SORTS
        )
        if tuple(sort_of(sheet.words[each.line][0].box, size, grid) for each in asked) == SORTS:
            return replace(sheet, questions=asked)


def _asked_word(writer: Writer) -> str:
    """A held-out word in lower case: size alone tells c from C, x from X."""
    while True:
        word = writer.word(longest=WORD[1]).lower()
        if len(word) >= WORD[0]:
            return word
