"""Pages as one meets them: lines of text, receipts, tables, signs."""

from __future__ import annotations

import string
from dataclasses import replace

import numpy as np

from benchmarks.sawtooth.readers.rendering import (
    FONT_SIZES,
    TILE_SIZE,
    Page,
    draw_page,
    generator,
    is_held_out,
    random_font,
    random_word,
    render_page,
    word_boxes,
)
from benchmarks.sawtooth.readers.rendering import render as render_plain


KINDS = ("lines", "receipt", "table", "sign")
LARGEST = 30  # px of the font, but for signs
# Columns and rows, about the size of a page in tiles
GRIDS = {
    "lines": [(2, 1), (1, 2), (2, 2), (3, 1), (3, 2), (2, 3)],
    "receipt": [(2, 2), (2, 3)],
    "table": [(3, 2), (3, 1), (2, 2)],
    "sign": [(2, 1), (3, 1), (2, 2), (1, 2)],
}


def random_number(rng: np.random.Generator, held_out: bool) -> str:
    """A number of two to four digits, for training or held out."""
    while True:
        number = "".join(rng.choice(list(string.digits), size=rng.integers(2, 5)))
        if is_held_out(number) == held_out:
            return number


def make_page(index: int, tile_size: int) -> Page:
    """Page `index` of held-out words, of a kind in turns; a tile has `tile_size` px."""
    return render_document(generator("page-sweep", index), KINDS[index % len(KINDS)], tile_size, held_out=True)


def render_document(rng: np.random.Generator, kind: str, tile_size: int, held_out: bool) -> Page:
    """A page of a kind in `KINDS`."""
    grid = GRIDS[kind][rng.integers(len(GRIDS[kind]))]
    while True:
        size = tuple(round(side * tile_size * rng.uniform(0.85, 1.15)) for side in grid)
        sizes = (24, FONT_SIZES[1]) if kind == "sign" else (18, LARGEST)
        font = random_font(rng, sizes=sizes)
        if kind == "lines":
            words = int(rng.integers(2, 7)), int(rng.integers(1, 4))
            page = render_page(rng, size, font, held_out, *words, (1.15, 2.5))
        else:
            page = {"receipt": _receipt, "table": _table, "sign": _sign}[kind](rng, size, font, held_out)
        if page and page.lines:
            return page


def render_keyed(rng: np.random.Generator, held_out: bool) -> Page:
    """A receipt, and the question for one of its numbers."""
    receipt = render_document(rng, "receipt", TILE_SIZE, held_out)
    row = rng.integers(len(receipt.lines))
    word, number = receipt.lines[row]
    _, box = word_boxes(receipt)[2 * row + 1]
    return replace(receipt, lines=[[number]], question=f"Read the number beside {word}.", asked=box)


def render(kind: str, split: str, index: int) -> Page:
    """
    Sample `index` of a split, as `rendering.render` gives it, or of two kinds more.

    Args:
        kind: As there; or `"document"`, a page of a kind in `KINDS`; `"keyed"`, a receipt of which one number is
            asked for by the word beside it.
        split: As there.
    """
    rng, held_out = generator(f"{kind}-{split}", index), not split.startswith("train")
    if kind == "document":
        return render_document(rng, KINDS[rng.integers(len(KINDS))], TILE_SIZE, held_out)
    if kind == "keyed":
        return render_keyed(rng, held_out)
    return render_plain(kind, split, index)


def _draw(rng, rows: list[list[str]], lefts: list[list[float]], middles: list[float], size, font) -> Page | None:
    """Words at their own places, told row by row; nothing if one doesn't fit."""
    words = [word for row in rows for word in row]
    positions = [(left, middle) for row, middle in zip(lefts, middles, strict=True) for left in row]
    for row, starts in zip(rows, lefts, strict=True):
        ends = [left + font.getlength(word) for left, word in zip(starts, row, strict=True)]
        if ends[-1] > size[0] - 2 or any(end + 4 > left for end, left in zip(ends, starts[1:], strict=False)):
            return None
    return replace(draw_page(rng, [[word] for word in words], positions, size, font), lines=rows)


def _middles(rng, rows: int, size, font) -> list[float]:
    step = min(font.size * rng.uniform(1.3, 2.2), (size[1] - font.size) / rows)
    return [font.size * 0.8 + step * row for row in range(rows)]


def _receipt(rng, size, font, held_out) -> Page | None:
    """What was bought at the left, what it costs at the right."""
    rows = [[random_word(rng, held_out, 6), random_number(rng, held_out)] for _ in range(rng.integers(2, 4))]
    left, right = 0.06 * size[0], 0.94 * size[0]
    lefts = [[left, right - font.getlength(number)] for _, number in rows]
    return _draw(rng, rows, lefts, _middles(rng, len(rows), size, font), size, font)


def _table(rng, size, font, held_out) -> Page | None:
    """Two or three columns, words and numbers mixed."""
    columns = int(rng.integers(2, 4))
    is_number = [rng.random() < 0.4 for _ in range(columns)]
    rows = [
        [random_number(rng, held_out) if number else random_word(rng, held_out, 5) for number in is_number]
        for _ in range(2)
    ]
    starts = [size[0] * (0.05 + 0.92 * column / columns) for column in range(columns)]
    return _draw(rng, rows, [starts] * 2, _middles(rng, 2, size, font), size, font)


def _sign(rng, size, font, held_out) -> Page | None:
    """One or two words in the middle, one above the other."""
    rows = [[random_word(rng, held_out, 8)] for _ in range(rng.integers(1, 3))]
    lefts = [[(size[0] - font.getlength(word)) / 2] for (word,) in rows]
    if any(left[0] < 2 for left in lefts):
        return None
    middles = [size[1] / 2 + font.size * 1.3 * (row - (len(rows) - 1) / 2) for row in range(len(rows))]
    return _draw(rng, rows, lefts, middles, size, font)
