"""Pages of words. Of the words that are cut by the detailed grid, by every grid, by none: which are read?

A quarter each: lines of text, receipts, tables, signs (`documents.py`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.sawtooth.cutting import cut_by
from benchmarks.sawtooth.measurements.reading import Reader
from benchmarks.sawtooth.readers.documents import make_page
from benchmarks.sawtooth.readers.rendering import Page, word_boxes
from benchmarks.sawtooth.readers.scores import character_accuracy
from benchmarks.sawtooth.runner import Measurement


BATCH_SIZE = 25
MAX_NEW_TOKENS = 80


@dataclass(frozen=True)
class PageWordReading:
    """
    One word of a page. `read`: it stands in the answer, as often as it stands on the page at most. `cut`: what cuts
    it, as `cut_by` says. `page_accuracy`, of all characters of the page, stands beside its first word.
    """

    method: str
    page: int
    word: str
    read: bool
    cut: int
    page_accuracy: float | None


def read_pages(reader: Reader, method: str, pages: Sequence[Page]) -> list[PageWordReading]:
    """All words of the pages, cut by one method."""
    rng, readings = np.random.default_rng(0), []
    for start in range(0, len(pages), BATCH_SIZE):
        batch = pages[start : start + BATCH_SIZE]
        views = [reader.views(method, page.image, rng) for page in batch]
        answers = reader.read(method, [page.image for page in batch], views, MAX_NEW_TOKENS)
        for index, (page, each, answer) in enumerate(zip(batch, views, answers, strict=True), start):
            left, accuracy = Counter(answer.split()), round(character_accuracy(page.text, answer), 4)
            for word, box in word_boxes(page):
                cut = cut_by(each, page.image.size, box)
                readings.append(PageWordReading(method, index, word, left[word] > 0, cut, accuracy))
                left[word], accuracy = left[word] - 1, None
    return readings


@dataclass(frozen=True)
class Pages(Measurement):
    """The first so many `pages`, cut by `methods`, all of the reader's by default."""

    pages: int = 500
    methods: tuple[str, ...] = ()

    name = "page"
    row = PageWordReading
    block = ("method",)

    def blocks(self, reader: Reader) -> list[tuple]:
        return [(method,) for method in reader.chosen(self.methods)]

    def measure(self, reader: Reader, method: str) -> list[PageWordReading]:
        return read_pages(reader, method, [make_page(index, reader.tile_size) for index in range(self.pages)])
