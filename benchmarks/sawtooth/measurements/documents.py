"""Pages of held-out words as one meets them: lines of text, receipts, tables, signs. A tile is `tile_size` px."""

from __future__ import annotations

import string
from dataclasses import replace

import numpy as np

from benchmarks.sawtooth.readers.rendering import (
    FONT_SIZES,
    Page,
    draw_page,
    generator,
    is_held_out,
    random_font,
    random_word,
    render_page,
)


KINDS = ("lines", "receipt", "table", "sign")
LARGEST = 30  # px of the font, but for signs
# Columns and rows, about the size of a page in tiles
GRIDS = {
    "lines": [(2, 1), (1, 2), (2, 2), (3, 1), (3, 2), (2, 3)],
    "receipt": [(2, 2), (2, 3)],
    "table": [(3, 2), (3, 1), (2, 2)],
    "sign": [(2, 1), (3, 1), (2, 2), (1, 2)],
}


def random_number(rng: np.random.Generator) -> str:
    """A held-out number of two to four digits."""
    while True:
        number = "".join(rng.choice(list(string.digits), size=rng.integers(2, 5)))
        if is_held_out(number):
            return number


def make_page(index: int, tile_size: int) -> Page:
    """Page `index`, of a kind in turns."""
    kind = KINDS[index % len(KINDS)]
    rng = generator("page-sweep", index)
    grid = GRIDS[kind][rng.integers(len(GRIDS[kind]))]
    while True:
        size = tuple(round(side * tile_size * rng.uniform(0.85, 1.15)) for side in grid)
        sizes = (24, FONT_SIZES[1]) if kind == "sign" else (18, LARGEST)
        font = random_font(rng, sizes=sizes)
        if kind == "lines":
            page = render_page(rng, size, font, True, int(rng.integers(2, 7)), int(rng.integers(1, 4)), (1.15, 2.5))
        else:
            page = {"receipt": _receipt, "table": _table, "sign": _sign}[kind](rng, size, font)
        if page and page.lines:
            return page


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


def _receipt(rng, size, font) -> Page | None:
    """What was bought at the left, what it costs at the right."""
    rows = [[random_word(rng, True, 6), random_number(rng)] for _ in range(rng.integers(2, 4))]
    left, right = 0.06 * size[0], 0.94 * size[0]
    lefts = [[left, right - font.getlength(number)] for _, number in rows]
    return _draw(rng, rows, lefts, _middles(rng, len(rows), size, font), size, font)


def _table(rng, size, font) -> Page | None:
    """Two or three columns, words and numbers mixed."""
    columns = int(rng.integers(2, 4))
    make = [random_number if rng.random() < 0.4 else lambda rng: random_word(rng, True, 5) for _ in range(columns)]
    rows = [[each(rng) for each in make] for _ in range(2)]
    starts = [size[0] * (0.05 + 0.92 * column / columns) for column in range(columns)]
    return _draw(rng, rows, [starts] * 2, _middles(rng, 2, size, font), size, font)


def _sign(rng, size, font) -> Page | None:
    """One or two words in the middle, one above the other."""
    rows = [[random_word(rng, True, 8)] for _ in range(rng.integers(1, 3))]
    lefts = [[(size[0] - font.getlength(word)) / 2] for (word,) in rows]
    if any(left[0] < 2 for left in lefts):
        return None
    middles = [size[1] / 2 + font.size * 1.3 * (row - (len(rows) - 1) / 2) for row in range(len(rows))]
    return _draw(rng, rows, lefts, middles, size, font)
