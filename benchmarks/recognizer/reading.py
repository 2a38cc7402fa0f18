"""What a pretrained text recognizer reads of every word in every view of a page, tile by tile."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from benchmarks.recognizer.pages import RANGES, TILE_SIZE, Box, Page, draw_page
from benchmarks.sawtooth.cutting import ADAPTIVE, DETAILED, GLOBAL, View, budget, grid_view, overlap_view, plan_grids
from benchmarks.sawtooth.runner import Measurement


MARGIN = (3, 2)  # px left and right, above and below, which a word's box has beyond its ink
SMALLEST = 4  # px: a tile that shows less of a box shows nothing


class Recognizer(Protocol):
    """Reads single words."""

    def read(self, image: Image.Image, boxes: Sequence[Box]) -> list[str]:
        """The text in each box (left, top, right, bottom in px of the image), in lower case, without spaces."""


class PPOCR:
    """The recognizer of PP-OCRv4 in the package `rapidocr-onnxruntime`, its own settings, on one thread."""

    def __init__(self):
        try:
            from rapidocr_onnxruntime import RapidOCR
        except ImportError as error:
            raise ImportError("rapidocr-onnxruntime is missing: `make bench-recognizer` installs it.") from error
        # One crop at a time: in a batch, the widest one decides how all are padded
        self._recognize = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1, rec_batch_num=1).text_rec

    def read(self, image: Image.Image, boxes: Sequence[Box]) -> list[str]:
        crops = [np.asarray(image.crop(box))[..., ::-1] for box in boxes]
        texts, _ = self._recognize(crops) if crops else ([], 0)
        return ["".join(text.lower().split()) for text, _ in texts]


@dataclass(frozen=True)
class WordReading:
    """
    A word of page number `page`, as `Word` has it, and what was read of it in each view, as `encode` writes it.
    """

    page: int
    text: str
    font: str
    size: float
    kind: str
    depth: float
    share: float
    detailed: str
    again: str
    second: str
    whole: str
    finer: str
    overlap: str
    joint_detailed: str
    joint_second: str


def views_of(size: tuple[int, int]) -> dict[str, View]:
    """The views of a page of `size` px, by their field in `WordReading`."""
    detailed, second = plan_grids(*size, TILE_SIZE, RANGES)
    finer, _ = plan_grids(*size, TILE_SIZE, RANGES._replace(detailed=budget((detailed, second))))
    joint_detailed, joint_second = plan_grids(*size, TILE_SIZE, RANGES, "joint")
    return {
        "detailed": grid_view(DETAILED, detailed, TILE_SIZE),
        "again": grid_view(ADAPTIVE, detailed, TILE_SIZE),
        "second": grid_view(ADAPTIVE, second, TILE_SIZE),
        "whole": grid_view(GLOBAL, (1, 1), TILE_SIZE),
        "finer": grid_view(DETAILED, finer, TILE_SIZE),
        "overlap": overlap_view(DETAILED, detailed, TILE_SIZE),
        "joint_detailed": grid_view(DETAILED, joint_detailed, TILE_SIZE),
        "joint_second": grid_view(ADAPTIVE, joint_second, TILE_SIZE),
    }


def pieces(view: View, size: tuple[int, int], box: Box) -> list[list[Box]]:
    """
    What the tiles of a view show of a word: a list for every row of tiles, from left to right, in px of the canvas.

    Args:
        size: Width and height of the page in px.
        box: The word's ink in px of the page.
    """
    x, y = (side / original for side, original in zip(view.canvas, size, strict=True))
    left, right = box[0] * x - MARGIN[0], box[2] * x + MARGIN[0]
    top, bottom = box[1] * y - MARGIN[1], box[3] * y + MARGIN[1]
    rows: dict[int, list[Box]] = {}
    for a, b, c, d in view.boxes:
        shown = (max(a, int(left)), max(b, int(top)), min(c, math.ceil(right)), min(d, math.ceil(bottom)))
        if shown[2] - shown[0] >= SMALLEST and shown[3] - shown[1] >= SMALLEST:
            rows.setdefault(b, []).append(shown)
    return list(rows.values())


def encode(rows: Sequence[Sequence[str]]) -> str:
    """The texts of a word's pieces: one space between those of a row of tiles, two between rows; empty ones go."""
    return "  ".join(filter(None, (" ".join(filter(None, row)) for row in rows)))


def is_read(text: str, answer: str) -> bool:
    """Whether one tile's piece is the word, or the pieces of a row of tiles are, joined from left to right."""
    return any(text in (*row.split(" "), row.replace(" ", "")) for row in answer.split("  "))


def read_view(recognizer: Recognizer, page: Page, view: View) -> list[str]:
    """The answer to every word of a page in one view."""
    canvas = page.image.resize(view.canvas, Image.Resampling.BICUBIC)
    shown = [pieces(view, page.image.size, word.box) for word in page.words]
    texts = iter(recognizer.read(canvas, [box for rows in shown for row in rows for box in row]))
    return [encode([[next(texts) for _ in row] for row in rows]) for rows in shown]


@dataclass(frozen=True)
class Recognized(Measurement):
    """What a pretrained recognizer reads of `pages` pages."""

    pages: int = 100

    name = "recognizer"
    row = WordReading
    block = ("page",)

    def blocks(self, reader: Recognizer) -> list[tuple]:
        return [(index,) for index in range(self.pages)]

    def measure(self, reader: Recognizer, page: int) -> list[WordReading]:
        drawn = draw_page(page)
        answers = {name: read_view(reader, drawn, view) for name, view in views_of(drawn.image.size).items()}
        return [
            WordReading(
                page,
                word.text,
                word.font,
                word.size,
                word.kind,
                word.depth,
                word.share,
                **{name: texts[place] for name, texts in answers.items()},
            )
            for place, word in enumerate(drawn.words)
        ]
