"""Single words that the detailed grid cuts between its rows, between its columns only, or not at all: which are read?

Every page has one word of each sort, a line each, between lines that aren't asked for, and is asked for all three by
the number of their line. So the gain on words that are cut can be set against that on words of the same pages that are
not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from tqdm import trange

from benchmarks.sawtooth.cutting import DETAILED, METHODS, PUBLISHED_RANGES, Grid, grid_view, is_cut, plan_grids
from benchmarks.sawtooth.measurements.reading import Reader, make_inputs
from benchmarks.sawtooth.readers.rendering import TILE_SIZE, generator, load_font
from benchmarks.sawtooth.readers.scores import character_accuracy
from benchmarks.sawtooth.readers.sheets import Box, Cell, Question, Sheet, draw_sheet
from benchmarks.sawtooth.readers.writing import WORLDS, World, Writer
from benchmarks.sawtooth.runner import Measurement


SORTS = ("row", "column", "uncut")
GRIDS = ((2, 2), (3, 2), (2, 3), (3, 3), (4, 2), (2, 4), (4, 3), (3, 4))
FONT_SIZES = (16.0, 24.0)  # px in the tile, log-uniform: legible where they aren't cut
WORD = (4, 9)  # letters
# Cut: a line leaves a quarter of the ink at least on both sides. Uncut: all lines keep this distance in px
SHARE, MARGIN = 0.25, 3.0


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


def make_page(index: int, world: World) -> Sheet:
    """Page `index` of held-out words with three questions, for a word of each sort in `SORTS`."""
    rng = generator("cut-words", index)
    writer = Writer(rng, world, held_out=True)
    while True:
        wanted = GRIDS[rng.integers(len(GRIDS))]
        size = tuple(round(side * TILE_SIZE * rng.uniform(0.93, 1.07)) for side in wanted)
        grid, scale = detailed_grid(size)
        if min(grid) == 1:
            continue
        font = load_font(
            world.fonts[rng.integers(len(world.fonts))], round(float(np.exp(rng.uniform(*np.log(FONT_SIZES)))) * scale)
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


@dataclass(frozen=True)
class CutWordReading:
    """
    One word that was asked for. `sort`: in `SORTS`, by the detailed grid of `any`; `own_sort`: by the detailed grid of
    the method, which may be another one, `"other"` if none. `accuracy`: of its characters, in their order.
    `cut_by_all`: whether every grid of the method cuts the word, the global view aside.
    """

    method: str
    page: int
    sort: str
    own_sort: str
    font_size: float
    word: str
    answer: str
    read: bool
    accuracy: float
    cut_by_all: bool
    tiles: int


def asked_pages(pages: int, world: World) -> list[Sheet]:
    """Three pages for each of so many, one with each question."""
    sheets = [make_page(index, world) for index in range(pages)]
    return [replace(sheet, questions=(question,)) for sheet in sheets for question in sheet.questions]


def answers(
    reader: Reader, sheets: Sequence[Sheet], method: str, batch_size: int, max_new_tokens: int, **generate_kwargs
) -> list[str]:
    """The greedy answers to the first question of each page, its image cut by one method."""
    texts: list[str] = []
    for start in trange(0, len(sheets), batch_size, desc=method, leave=False):
        batch = sheets[start : start + batch_size]
        views = [METHODS[method](*sheet.gray.size, TILE_SIZE, None, PUBLISHED_RANGES) for sheet in batch]
        images, questions = [sheet.image for sheet in batch], [sheet.questions[0].text for sheet in batch]
        inputs = make_inputs(reader.processor, images, views, questions)
        texts += reader.generate(inputs, max_new_tokens, **generate_kwargs)
    return texts


@dataclass(frozen=True)
class CutWords(Measurement):
    """Three words of each of so many `pages` of a `world`, cut by `methods`: one grid, it twice, CIP by two rules."""

    world: str = "ascii"
    pages: int = 600
    methods: tuple[str, ...] = ("detailed + global", "second grid repeated", "pyramid any", "pyramid joint")
    batch_size: int = 100

    name = "cut-words"
    row = CutWordReading
    block = ("method",)

    def blocks(self, reader: Reader) -> list[tuple]:
        return [(method,) for method in reader.chosen(self.methods)]

    def measure(self, reader: Reader, method: str) -> list[CutWordReading]:
        sheets = asked_pages(self.pages, WORLDS[self.world])
        texts = answers(reader, sheets, method, self.batch_size, max_new_tokens=16)
        return [
            self._reading(index // len(SORTS), SORTS[index % len(SORTS)], sheet, method, text)
            for index, (sheet, text) in enumerate(zip(sheets, texts, strict=True))
        ]

    def _reading(self, page: int, sort: str, sheet: Sheet, method: str, answer: str) -> CutWordReading:
        (question,) = sheet.questions
        (word,) = sheet.words[question.line]
        size = sheet.gray.size
        views = METHODS[method](*size, TILE_SIZE, None, PUBLISHED_RANGES)
        grids = [view for view in views if view.grid != (1, 1)] or [grid_view(DETAILED, (1, 1), TILE_SIZE)]
        return CutWordReading(
            method,
            page,
            sort,
            sort_of(word.box, size, grids[0].grid) or "other",
            round(sheet.font.size / detailed_grid(size)[1], 1),
            word.text,
            answer,
            answer.strip() == word.text,
            round(character_accuracy(word.text, answer.strip()), 4),
            all(is_cut(view, size, word.box) for view in grids),
            sum(len(view.boxes) for view in views),
        )
