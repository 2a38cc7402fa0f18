"""Does the question steer what SCM keeps? Two words on one page, asked for one of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.sawtooth.cutting import View
from benchmarks.sawtooth.measurements.compression import SIDE
from benchmarks.sawtooth.measurements.pages import word_box
from benchmarks.sawtooth.measurements.reading import Reader, make_inputs
from benchmarks.sawtooth.readers.rendering import Page, generator, render_pair
from benchmarks.sawtooth.runner import Measurement
from modeling_minimonkey.inspection.visualization import kept_detailed_tokens
from modeling_minimonkey.scale_compression import DETAILED_LEVEL


RATIOS = (1.0, 0.75, 0.5, 0.25)
QUESTIONS = ("upper", "lower")


@dataclass(frozen=True)
class SteeringReading:
    """One question about a page. `kept_*`: share of the detailed tokens on that word, or of all, that stay."""

    page: int
    asked: str
    keep_ratio: float
    word: str
    other: str
    answer: str
    kept_asked: float
    kept_other: float
    kept_all: float


def words_of(page: Page) -> list[tuple[str, tuple[float, float, float, float]]]:
    """The two words from top to bottom, each with its box in px."""
    starts = [index for index, character in enumerate(page.characters) if character.ordinal == 0]
    parts = [page.characters[: starts[1]], page.characters[starts[1] :]]
    return [("".join(each.text for each in part), word_box(part, page.font_size)) for part in parts]


def tokens_on(view: View, size: tuple[int, int], box: tuple[float, float, float, float]) -> np.ndarray:
    """Which tokens of a view, row by row in each tile, show a part of `box` (px of an image of `size`)."""
    x, y = (side / original for side, original in zip(view.canvas, size, strict=True))
    left, top, right, bottom = box[0] * x, box[1] * y, box[2] * x, box[3] * y
    shown = []
    for tile_left, tile_top, tile_right, _ in view.boxes:
        step = (tile_right - tile_left) / SIDE
        for row in range(SIDE):
            for column in range(SIDE):
                a, b = tile_left + column * step, tile_top + row * step
                shown.append(a < right and left < a + step and b < bottom and top < b + step)
    return np.array(shown)


def page_of_two(reader: Reader, index: int) -> tuple[Page, list[View]]:
    """A page of two held-out words that has detailed tiles, and its pyramid."""
    rng = generator("steering", index)
    while True:
        page = render_pair(rng, held_out=True)
        views = reader.views("pyramid any", page.image)
        if views[0].level == DETAILED_LEVEL:
            return page, views


def steer(reader: Reader, index: int) -> list[SteeringReading]:
    """Both questions at every keep_ratio for one page."""
    rows = []
    page, views = page_of_two(reader, index)
    words = words_of(page)
    on = [tokens_on(views[0], page.image.size, box) for _, box in words]
    for asked, name in enumerate(QUESTIONS):
        inputs = make_inputs(reader.processor, [page.image], [views], f"Read the {name} word.")
        for keep_ratio in RATIOS:
            kept = np.ones(len(on[0]), bool)
            if keep_ratio < 1:
                kept = kept_detailed_tokens(reader.model, inputs, keep_ratio).ravel()
            (answer,) = reader.generate(inputs, 16, keep_ratio=keep_ratio)
            rows.append(
                SteeringReading(
                    page=index,
                    asked=name,
                    keep_ratio=keep_ratio,
                    word=words[asked][0],
                    other=words[1 - asked][0],
                    answer=answer,
                    kept_asked=round(float(kept[on[asked]].mean()), 4),
                    kept_other=round(float(kept[on[1 - asked]].mean()), 4),
                    kept_all=round(float(kept.mean()), 4),
                )
            )
    return rows


@dataclass(frozen=True)
class Steering(Measurement):
    """The first so many `pages` of two words."""

    pages: int = 100

    name = "steering"
    row = SteeringReading
    block = ("page",)

    def blocks(self, reader: Reader) -> Sequence[tuple]:
        return [(page,) for page in range(self.pages)]

    def measure(self, reader: Reader, page: int) -> list[SteeringReading]:
        return steer(reader, page)
