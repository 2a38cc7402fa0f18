"""Single words that the detailed grid cuts between its rows, between its columns only, or not at all: which are read?

Every page has one word of each sort, a line each, between lines that aren't asked for, and is asked for all three by
the number of their line. So the gain on words that are cut can be set against that on words of the same pages that are
not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tqdm import trange

from benchmarks.sawtooth.cutting import DETAILED, METHODS, PUBLISHED_RANGES, SECOND_ALONE, grid_view, is_cut
from benchmarks.sawtooth.measurements.reading import Reader, make_inputs
from benchmarks.sawtooth.readers.cut_pages import ONCE, SORTS, TWICE, Sizes, detailed_grid, draw_cut_page, sort_of
from benchmarks.sawtooth.readers.rendering import TILE_SIZE, generator
from benchmarks.sawtooth.readers.scores import character_accuracy
from benchmarks.sawtooth.readers.sheets import Sheet
from benchmarks.sawtooth.readers.writing import WORLDS, World
from benchmarks.sawtooth.runner import Measurement


def make_page(index: int, world: World, sizes: Sizes = ONCE) -> Sheet:
    """Page `index` of held-out words with three questions, for a word of each sort in `SORTS`."""
    return draw_cut_page(generator("cut-words", index), world, sizes)


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


def asked_pages(pages: int, world: World, sizes: Sizes = ONCE) -> list[Sheet]:
    """Three pages for each of so many, one with each question."""
    sheets = [make_page(index, world, sizes) for index in range(pages)]
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
    sizes = ONCE

    def blocks(self, reader: Reader) -> list[tuple]:
        return [(method,) for method in reader.chosen(self.methods)]

    def measure(self, reader: Reader, method: str) -> list[CutWordReading]:
        sheets = asked_pages(self.pages, WORLDS[self.world], self.sizes)
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


@dataclass(frozen=True)
class LegibleWords(CutWords):
    """As `CutWords`, with letters that are legible in the second grid, too; and what that one shows by itself."""

    methods: tuple[str, ...] = (*CutWords.methods, SECOND_ALONE)

    name = "legible-words"
    sizes = TWICE
