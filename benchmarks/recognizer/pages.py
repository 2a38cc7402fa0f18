"""Pages of scattered words, as many cut between rows of the detailed grid as between columns only, and not at all.

A word, its font and its size are drawn first and its place afterwards, so that the three kinds differ in place alone.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.sawtooth.cutting import PUBLISHED_RANGES, View, grid_view, is_cut, plan_grids
from benchmarks.sawtooth.readers.rendering import generator, lexicon, load_font


TILE_SIZE = 448
RANGES = PUBLISHED_RANGES
KINDS = ("row", "column", "uncut")
WORDS = 6  # of each kind on a page
LENGTHS = range(4, 10)
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "cmr10")
SIZES = (12, 24)  # px of the letters in the detailed tiles, log-uniform
ASPECTS = (1 / 2, 2)  # width over height, log-uniform
AREAS = (0.6, 1.0)  # of the most detailed tiles
TRIES = 1000  # to find a place for a word
GAP = 16  # px of the page between words: no view shows one word in the box of another

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Word:
    """
    A drawn word.

    Args:
        box: Left, top, right, bottom of its ink in px of the page.
        size: Of the letters in px of the detailed tiles.
        kind: What cuts it in the detailed grid, as `cut_kind` says.
        depth: How far inside it the line between rows is, from its nearer edge, as a share of its height; 0: no line.
        share: Of all places on the page, those that cut it as this one does: the word's weight among words anywhere.
    """

    text: str
    box: Box
    font: str
    size: float
    kind: str
    depth: float
    share: float


@dataclass(frozen=True)
class Page:
    """An RGB image and its words."""

    image: Image.Image
    words: tuple[Word, ...]


def cut_kind(view: View, size: tuple[int, int], box: Box) -> str:
    """
    One of `KINDS`: `"row"` where no row of tiles shows all of the word's height, whatever columns do.

    Args:
        size: Width and height of the page in px.
    """
    left, top, _, bottom = box
    if is_cut(view, size, (left, top, left, bottom)):
        return "row"
    return "column" if is_cut(view, size, box) else "uncut"


def cut_along(view: View, size: tuple[int, int], extent: tuple[int, int], axis: int) -> np.ndarray:
    """Whether a word of `extent` px is cut along `axis` (0: between columns), at `GAP` px, at one more, and so on."""
    boxes = np.zeros((size[axis] - extent[axis] - 2 * GAP, 4))
    boxes[:, axis] = GAP + np.arange(len(boxes))
    boxes[:, axis + 2] = boxes[:, axis] + extent[axis]
    return is_cut(view, size, boxes)


def row_depth(rows: int, height: int, box: Box) -> float:
    """How far inside a box on a page of `height` px a line between `rows` is, as a share of the box's height."""
    _, top, _, bottom = box
    lines = [height * row / rows for row in range(1, rows)]
    return max((min(line - top, bottom - line) / (bottom - top) for line in lines if top < line < bottom), default=0.0)


def page_size(index: int) -> tuple[int, int]:
    """Width and height of page `index` in px."""
    rng = generator("recognizer-size", index)
    aspect = np.exp(rng.uniform(*np.log(ASPECTS)))
    area = rng.uniform(*AREAS) * RANGES.detailed[1] * TILE_SIZE**2
    return round(float((area * aspect) ** 0.5)), round(float((area / aspect) ** 0.5))


def draw_page(index: int, words: int = WORDS) -> Page:
    """Page `index`: `words` of each kind, black on white. The same on every machine that has the same fonts."""
    rng, size = generator("recognizer", index), page_size(index)
    detailed, _ = plan_grids(*size, TILE_SIZE, RANGES)
    view = grid_view(0, detailed, TILE_SIZE)
    scale = size[1] / view.canvas[1]  # px of the page per px of the detailed tiles
    image, drawn = Image.new("RGB", size, "white"), []
    draw = ImageDraw.Draw(image)
    choices = [word.lower() for word in lexicon() if word.isalpha() and len(word) in LENGTHS]
    for kind in KINDS * words:
        text, name = str(rng.choice(choices)), str(rng.choice(FONTS))
        font = load_font(name, round(float(np.exp(rng.uniform(*np.log(SIZES))) * scale)))
        left, top, right, bottom = (round(side) for side in font.getbbox(text))
        extent = (right - left, bottom - top)
        box, share = _place(rng, view, size, extent, kind, [word.box for word in drawn])
        draw.text((box[0] - left, box[1] - top), text, fill="black", font=font)
        depth = row_depth(detailed[1], size[1], box)
        drawn.append(Word(text, box, name, round(font.size / scale, 1), kind, round(depth, 3), round(share, 4)))
    return Page(image, tuple(drawn))


def _place(rng, view: View, size, extent, kind: str, taken: list[Box]) -> tuple[Box, float]:
    """
    Where a word of `extent` px goes, and the share of all places that are of its kind. Of those that are, each is
    equally likely.

    Raises:
        RuntimeError: other words take all places.
    """
    columns, rows = (cut_along(view, size, extent, axis) for axis in (0, 1))
    kept = {"row": (columns | True, rows), "column": (columns, ~rows), "uncut": (~columns, ~rows)}[kind]
    for _ in range(TRIES):
        left, top = (GAP + int(rng.choice(along.nonzero()[0])) for along in kept)
        box = (left, top, left + extent[0], top + extent[1])
        if not any(_close(box, other) for other in taken):
            return box, float(kept[0].mean() * kept[1].mean())
    raise RuntimeError(f"No place is left for {extent} px on a page of {size}.")


def _close(box: Box, other: Box) -> bool:
    return all(box[axis] < other[axis + 2] + GAP and other[axis] < box[axis + 2] + GAP for axis in (0, 1))
