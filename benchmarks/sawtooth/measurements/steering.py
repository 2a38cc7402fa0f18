"""Does the question steer what SCM keeps? Of two words on a page, or two numbers of a receipt, one is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from benchmarks.sawtooth.cutting import View, tokens_on
from benchmarks.sawtooth.measurements.reading import Reader, make_inputs
from benchmarks.sawtooth.measurements.scoring import scoring
from benchmarks.sawtooth.readers.documents import render_document
from benchmarks.sawtooth.readers.rendering import Box, Page, generator, render_pair, word_box, word_boxes
from benchmarks.sawtooth.runner import Measurement
from modeling_minimonkey.inspection.visualization import kept_detailed_tokens
from modeling_minimonkey.scale_compression import DETAILED_LEVEL


RATIOS = (1.0, 0.75, 0.5, 0.25, 0.1)
# Whose attention scores: in the model's layer and with its positions, or all of it as published
QUERIES = {
    "published": {"queries": "all", "layer": 1, "positions": "repack"},
    "all": {"queries": "all"},
    "question": {"queries": "question"},
}
KINDS = ("pair", "keyed")


@dataclass(frozen=True)
class Question:
    """What is asked: `text`, its `answer` with a box in px, and the `other` word, which isn't the answer, with its."""

    text: str
    answer: str
    box: Box
    other: str
    other_box: Box


@dataclass(frozen=True)
class SteeringReading:
    """
    One question about a page. `kind`: of the page; `asked`: for which word, from 0. `kept_*`: share of the detailed
    tokens on that word, on the other, or of all, that stay.
    """

    kind: str
    page: int
    queries: str
    asked: int
    keep_ratio: float
    word: str
    other: str
    answer: str
    kept_asked: float
    kept_other: float
    kept_all: float


def words_of(page: Page) -> list[tuple[str, Box]]:
    """The two words from top to bottom, each with its box in px."""
    starts = [index for index, character in enumerate(page.characters) if character.ordinal == 0]
    parts = [page.characters[: starts[1]], page.characters[starts[1] :]]
    return [("".join(each.text for each in part), word_box(part, page.font_size)) for part in parts]


def questions(kind: str, page: Page) -> list[Question]:
    """Both questions about a page: for its upper and lower word, or for two numbers by the words beside them."""
    if kind == "pair":
        asked = [
            (f"Read the {name} word.", *word) for name, word in zip(("upper", "lower"), words_of(page), strict=True)
        ]
    else:
        boxes = word_boxes(page)  # row by row: what was bought, what it costs
        asked = [(f"Read the number beside {boxes[i][0]}.", *boxes[i + 1]) for i in (0, 2)]
    return [Question(*asked[i], *asked[1 - i][1:]) for i in (0, 1)]


def make_page(kind: str, index: int, reader: Reader) -> tuple[Page, list[View]]:
    """A page of held-out words that has detailed tiles, and its pyramid."""
    rng = generator("steering" if kind == "pair" else f"steering {kind}", index)
    draw = partial(render_pair, held_out=True)
    if kind == "keyed":
        draw = partial(render_document, kind="receipt", tile_size=reader.tile_size, held_out=True)
    while True:
        page = draw(rng)
        views = reader.views("pyramid any", page.image)
        if views[0].level == DETAILED_LEVEL:
            return page, views


def steer(reader: Reader, kind: str, index: int, queries: str) -> list[SteeringReading]:
    """Both questions at every keep_ratio for one page; `queries` is a name in `QUERIES`."""
    rows = []
    page, views = make_page(kind, index, reader)
    for asked, question in enumerate(questions(kind, page)):
        on, on_other = (tokens_on(views[0], page.image.size, box) for box in (question.box, question.other_box))
        inputs = make_inputs(reader.processor, [page.image], [views], question.text)
        for keep_ratio in RATIOS:
            kept = np.ones(len(on), bool)
            with scoring(reader.model, **QUERIES[queries]):
                if keep_ratio < 1:
                    kept = kept_detailed_tokens(reader.model, inputs, keep_ratio).ravel()
                (answer,) = reader.generate(inputs, 16, keep_ratio=keep_ratio)
            shares = [round(float(kept[tokens].mean()), 4) for tokens in (on, on_other, slice(None))]
            rows.append(
                SteeringReading(
                    kind, index, queries, asked, keep_ratio, question.answer, question.other, answer, *shares
                )
            )
    return rows


@dataclass(frozen=True)
class Steering(Measurement):
    """The first so many `pages` of two words, and as many receipts."""

    pages: int = 100

    name = "steering"
    row = SteeringReading
    block = ("kind", "page", "queries")

    def blocks(self, reader: Reader) -> Sequence[tuple]:
        return list(product(KINDS, range(self.pages), QUERIES))

    def measure(self, reader: Reader, kind: str, page: int, queries: str) -> list[SteeringReading]:
        return steer(reader, kind, page, queries)
