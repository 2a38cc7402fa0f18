"""Pages as a visitor would bring them, with questions: lines of text, receipts, tables, forms, signs, single words.

What is written on them: `writing.py`. A page has several questions, so that one sequence can ask them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.sawtooth.readers.rendering import TILE_SIZE, Character, generator, random_font
from benchmarks.sawtooth.readers.writing import WORLDS, World, Writer


# How often a page is of which kind
KINDS = {"lines": 0.3, "receipt": 0.15, "table": 0.15, "form": 0.15, "sign": 0.1, "scattered": 0.15}
# Columns and rows, about the size of a page in tiles
GRIDS = {
    "lines": [(2, 2), (3, 2), (2, 3), (3, 3), (4, 2), (2, 4), (4, 3), (3, 4)],
    "receipt": [(2, 2), (2, 3), (2, 4), (3, 3), (3, 4)],
    "table": [(3, 2), (3, 3), (4, 2), (4, 3)],
    "form": [(2, 2), (3, 2), (3, 3), (2, 3), (3, 4)],
    "sign": [(2, 1), (3, 1), (2, 2), (4, 1), (3, 2)],
    "scattered": [(2, 2), (3, 2), (2, 3), (3, 3), (4, 2), (2, 4), (4, 3), (3, 4)],
}
MOST_WORDS = 24  # on a page
LONGEST_TEXT = 140  # characters on a full page that is to be read, but for its last line
READ_ALL = "Read the text."
PAPER, INK = 40, 215  # gray values: noise needs room below and above
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Cell:
    """Words drawn side by side, as one entry of a table is; `left` in px of the page."""

    text: str
    left: float


@dataclass(frozen=True)
class Word:
    """One drawn word: where it begins, its baseline, and the box around its ink (left, top, right, bottom), in px."""

    text: str
    left: float
    baseline: float
    box: Box


class Question(NamedTuple):
    """A question, its answer, and the line that the answer is read from, from 0; none: from all of them."""

    text: str
    answer: str
    line: int | None = None


@dataclass(frozen=True)
class Sheet:
    """
    A rendered page.

    Args:
        gray: Mode L, `PAPER` where it is blank and `INK` inside of letters, and noise.
        colors: uint8 of shape (2, 3), of paper and ink; see `paint`.
        rows: What each line says, cell by cell from left to right.
        words: Line by line.
        font: Its size is in px of the page.
        questions: The first asks for all of the text.
    """

    gray: Image.Image
    colors: np.ndarray
    rows: tuple[tuple[str, ...], ...]
    words: tuple[tuple[Word, ...], ...]
    font: ImageFont.FreeTypeFont
    questions: tuple[Question, ...] = ()

    @cached_property
    def image(self) -> Image.Image:
        """RGB."""
        painted = paint(np.arange(256), self.colors).T  # (color, gray)
        return Image.merge("RGB", [self.gray.point(table.tolist()) for table in painted])

    @property
    def characters(self) -> list[Character]:
        """All that is drawn but spaces."""
        found = []
        for word in (word for line in self.words for word in line):
            edges = [word.left + self.font.getlength(word.text[:index]) for index in range(len(word.text) + 1)]
            middle = word.baseline - 0.35 * self.font.size
            found += [
                Character(each, (a + b) / 2, middle, index)
                for index, (each, (a, b)) in enumerate(zip(word.text, pairwise(edges), strict=True))
            ]
        return found

    @property
    def lines(self) -> list[str]:
        return [" ".join(row) for row in self.rows]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def question(self) -> str:
        return self.questions[0].text


def _lines(writer: Writer, width: float, height: float, font) -> list[list[Cell]]:
    """One to eight lines of one to five words, which begin one below the other or anywhere."""
    rng, rows = writer.rng, []
    left, words = rng.uniform(0.02, 0.2) * width, int(rng.integers(1, MOST_WORDS + 1))
    most, is_scattered = int(rng.integers(1, 6)), rng.random() < 0.35
    for _ in range(rng.integers(1, 9)):
        left = rng.uniform(0.01, 0.75) * width if is_scattered else left
        text: list[str] = []
        while len(text) < min(most, words):
            word = writer.punctuated()
            if left + font.getlength(" ".join([*text, word])) > width - 3:
                break
            text.append(word)
        if text:
            rows.append([Cell(" ".join(text), left)])
            words -= len(text)
    return rows


def _receipt(writer: Writer, width: float, height: float, font) -> list[list[Cell]]:
    """Perhaps a title; what was bought at the left, what it costs at the right; perhaps a total."""
    rng, rows = writer.rng, []
    left, right = rng.uniform(0.03, 0.1) * width, rng.uniform(0.9, 0.98) * width
    if rng.random() < 0.5:
        title = writer.words(8, share_of_two=0.5)
        rows.append([Cell(title, max(2.0, (width - font.getlength(title)) / 2))])
    names = [writer.words(8, share_of_two=0.25) for _ in range(rng.integers(2, 8))]
    if rng.random() < 0.5:
        names.append("total" if writer.world.is_plain else ("Total", "TOTAL", "total", "Sum")[rng.integers(4)])
    is_price = rng.random() < 0.7
    for name in names:
        cost = writer.price() if is_price else writer.number()
        rows.append([Cell(name, left), Cell(cost, right - font.getlength(cost))])
    return rows


def _table(writer: Writer, width: float, height: float, font) -> list[list[Cell]]:
    """Two to four columns of words or numbers, two to five lines."""
    columns, rows = int(writer.rng.integers(2, 5)), int(writer.rng.integers(2, 6))
    is_number = writer.rng.random(columns) < 0.4
    starts = [width * (0.03 + 0.95 * column / columns) for column in range(columns)]
    return [
        [
            Cell(writer.number() if is_number[column] and row else writer.word(7), starts[column])
            for column in range(columns)
        ]
        for row in range(rows)
    ]


def _form(writer: Writer, width: float, height: float, font) -> list[list[Cell]]:
    """Names, with a colon where there are any, and what was filled in beside."""
    rng = writer.rng
    colon = "" if writer.world.is_plain else ":"
    names = [writer.word(7) + colon for _ in range(rng.integers(2, 7))]
    left = rng.uniform(0.03, 0.1) * width
    beside = left + max(font.getlength(f"{name} ") for name in names) + rng.uniform(2, 20)
    rows = []
    for name in names:
        value = " ".join(writer.token(8) for _ in range(1 + int(rng.random() < 0.3)))
        rows.append([Cell(name, left), Cell(value, beside)])
    return rows


def _sign(writer: Writer, width: float, height: float, font) -> list[list[Cell]]:
    """One to three words in the middle, one above the other."""
    words = [writer.punctuated(9) for _ in range(writer.rng.integers(1, 4))]
    return [[Cell(word, (width - font.getlength(word)) / 2)] for word in words]


def _scattered(writer: Writer, width: float, height: float, font) -> list[list[Cell]]:
    """Two to six single words anywhere, one below the other."""
    words = [writer.punctuated() for _ in range(writer.rng.integers(2, 7))]
    return [[Cell(word, 2 + writer.rng.uniform() * max(0, width - font.getlength(word) - 6))] for word in words]


LAYOUTS = {
    "lines": _lines,
    "receipt": _receipt,
    "table": _table,
    "form": _form,
    "sign": _sign,
    "scattered": _scattered,
}


def fits(rows: list[list[Cell]], width: float, font) -> bool:
    """Whether all cells lie on the page and none touches the next."""
    if sum(len(cell.text.split()) for row in rows for cell in row) > MOST_WORDS:
        return False
    for row in rows:
        ends = [cell.left + font.getlength(cell.text) for cell in row]
        starts = [cell.left for cell in row[1:]] + [width]
        if row[0].left < 1 or any(end + 3 > start for end, start in zip(ends, starts, strict=True)):
            return False
    return bool(rows)


def questions_about(kind: str, rows: tuple[tuple[str, ...], ...]) -> list[Question]:
    """All questions that a page answers in one way only; the first asks for all of the text."""
    lines = [" ".join(row) for row in rows]
    count = Counter(cell for row in rows for cell in row)
    found = [Question(READ_ALL, "\n".join(lines))]
    if len(lines) > 1:
        found += [Question(f"Read line {number + 1}.", line, number) for number, line in enumerate(lines)]
    if kind in ("receipt", "form"):
        noun = "number" if kind == "receipt" else "value"
        found += [
            Question(f"Read the {noun} beside {row[0].rstrip(':')}.", row[1], number)
            for number, row in enumerate(rows)
            if len(row) == 2 and count[row[0]] == 1
        ]
    if kind in ("table", "sign"):
        found += [
            Question(f"Read the word under {cell}.", under, number)
            for number, (above, below) in enumerate(pairwise(rows), 1)
            for cell, under in zip(above, below, strict=False)
            if count[cell] == 1
        ]
    if kind == "sign" and len(rows) == 2:
        found += [Question("Read the upper word.", lines[0], 0), Question("Read the lower word.", lines[1], 1)]
    return found


def draw_sheet(
    rng: np.random.Generator, kind: str, rows: list[list[Cell]], baselines: list[float], size: tuple[int, int], font
) -> Sheet:
    """Draws the cells of each row on its baseline (px), in random colors, slightly noisy."""
    mask = Image.new("L", size, 0)
    draw = ImageDraw.Draw(mask)
    words: list[tuple[Word, ...]] = []
    for row, baseline in zip(rows, baselines, strict=True):
        line = []
        for cell in row:
            x = cell.left
            for text in cell.text.split():
                draw.text((x, baseline), text, fill=255, font=font, anchor="ls")
                left, top, right, bottom = font.getbbox(text, anchor="ls")
                line.append(Word(text, x, baseline, (x + left, baseline + top, x + right, baseline + bottom)))
                x += font.getlength(f"{text} ")
        words.append(tuple(line))
    told = tuple(tuple(cell.text for cell in row) for row in rows)
    return Sheet(*shade(rng, mask), told, tuple(words), font, tuple(questions_about(kind, told)))


@lru_cache(maxsize=1)
def _noise() -> np.ndarray:
    """Normal noise of a standard deviation of one, of which every page takes a part: drawing it anew takes longer."""
    return np.random.default_rng(0).standard_normal((1400, 1400), dtype=np.float32)


def shade(rng: np.random.Generator, mask: Image.Image) -> tuple[Image.Image, np.ndarray]:
    """
    The gray image and the colors of a page with ink where the mask (L, 255 for ink) says so: a quarter black on white,
    the others in colors, a fifth of them light on dark; two of three are noisy.
    """
    if rng.random() < 0.25:
        paper, ink = np.full(3, rng.integers(225, 256)), np.full(3, rng.integers(0, 60))
    else:
        dark, light = rng.integers(0, 110, size=3), rng.integers(145, 256, size=3)
        paper, ink = (light, dark) if rng.random() < 0.8 else (dark, light)
    amount = rng.uniform(1, 9) if rng.random() < 2 / 3 else 0.0
    top, left = rng.integers(0, _noise().shape[0] - mask.height), rng.integers(0, _noise().shape[1] - mask.width)
    noise = _noise()[top : top + mask.height, left : left + mask.width] * amount
    gray = PAPER + np.asarray(mask, np.float32) * ((INK - PAPER) / 255) + noise
    return Image.fromarray(gray.clip(0, 255).astype(np.uint8), "L"), np.stack([paper, ink]).astype(np.uint8)


def mix(gray, paper, ink):
    """
    Gray values as colors from 0 to 255, from paper to ink and, with noise, a little beyond: floating-point arrays or
    tensors of shapes that fit together.

    Cutting gray pages and mixing the colors of their tiles takes a third of the time and of the memory, and differs by
    rounding, and where noise leaves the range of colors.
    """
    return (paper + (ink - paper) * ((gray - PAPER) / (INK - PAPER))).clip(0, 255)


def paint(gray: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Gray values of any shape as uint8 colors of shape (..., 3), of the `colors` of paper and ink."""
    return mix(gray[..., None].astype(np.float32), *colors.astype(np.float32)).astype(np.uint8)


def make_sheet(rng: np.random.Generator, kind: str, world: World, held_out: bool, scale: float = 1.0) -> Sheet:
    """A page of a kind in `KINDS`; `scale` is page px per px of the tile."""
    sizes = world.sign_sizes if kind == "sign" else world.sizes
    writer = Writer(rng, world, held_out)
    while True:
        grid = GRIDS[kind][rng.integers(len(GRIDS[kind]))]
        size = tuple(round(side * TILE_SIZE * rng.uniform(0.85, 1.15) * scale) for side in grid)
        font = random_font(rng, scale, sizes, world.fonts)
        rows = LAYOUTS[kind](writer, *size, font)
        if not rows:
            continue
        steps = np.full(len(rows), font.size * rng.uniform(1.2, 2.2))
        if kind == "scattered" or (kind in ("lines", "sign") and rng.random() < 0.5):
            most = 8.0 if kind == "scattered" else 4.0
            steps = font.size * rng.uniform(1.2, most, size=len(rows))  # irregular gaps
        heights = np.cumsum(steps) - steps[0]  # of the baselines below the first one
        rows = rows[: int((heights <= size[1] - 1.3 * font.size).sum())]
        if not rows or not fits(rows, size[0], font):
            continue
        room = size[1] - heights[len(rows) - 1] - 1.3 * font.size
        baselines = (font.size + rng.uniform(0, 1) * room + heights[: len(rows)]).tolist()
        return draw_sheet(rng, kind, rows, baselines, size, font)


def full_sheet(rng: np.random.Generator, world: World, held_out: bool, longest: int | None = None) -> Sheet:
    """
    A page of two to six tiles that is full of words, to learn letters from: several times as many as on those of
    `KINDS`. With `longest`, no line begins behind so many characters.
    """
    writer = Writer(rng, world, held_out)
    size = tuple(round(side * TILE_SIZE * rng.uniform(0.85, 1.15)) for side in rng.integers(1, 3, size=2) + (1, 0))
    font = random_font(rng, sizes=world.sizes, fonts=world.fonts)
    step, rows = font.size * rng.uniform(1.2, 1.8), []
    baselines = np.arange(font.size * rng.uniform(1, 1.5), size[1] - 0.3 * font.size, step).tolist()
    for _ in baselines:
        left, text = rng.uniform(1, 0.1 * size[0]), [writer.word(4)]
        right = left + font.getlength(text[0])
        while right < size[0] - 3:
            text.append(writer.price() if rng.random() < 0.1 else writer.punctuated())
            right += font.getlength(f" {text[-1]}")
        rows.append([Cell(" ".join(text[:-1]), left)])
        if longest and sum(len(cell.text) for row in rows for cell in row) > longest:
            break
    return draw_sheet(rng, "lines", rows, baselines[: len(rows)], size, font)


def render(world: str, split: str, index: int, kinds: Mapping[str, float] = KINDS) -> Sheet:
    """
    Sample `index` of a split, of a kind by chance and in several resolutions.

    Args:
        world: In `writing.WORLDS`.
        split: Names the random numbers; words are held out unless it begins with "train".
        kinds: How often a page is of which kind, in `KINDS` or `"full"` of words; sums to one.
    """
    if world not in WORLDS:
        raise ValueError(f"`world` must be one of {list(WORLDS)}, got {world!r}.")
    rng, held_out = generator(f"{world}-{split}", index), not split.startswith("train")
    kind = list(kinds)[rng.choice(len(kinds), p=list(kinds.values()))]
    if kind == "full":
        return full_sheet(rng, WORLDS[world], held_out, LONGEST_TEXT)
    scale = 1.0 if rng.random() < 0.75 else float(rng.uniform(0.8, 1.5))
    return make_sheet(rng, kind, WORLDS[world], held_out, scale)


def some_questions(sheet: Sheet, rng: np.random.Generator, most: int) -> list[Question]:
    """
    The questions of a page for one sequence: in half of the cases all of the text, else at most so many, for each line
    one. So no answer can be copied from the one before.
    """
    whole, *parts = sheet.questions
    asked: dict[int, Question] = {}
    for index in rng.permutation(len(parts)):
        asked.setdefault(parts[index].line, parts[index])
    return [whole] if not parts or rng.random() < 0.5 else [*asked.values()][:most]


def one_question(sheet: Sheet, rng: np.random.Generator) -> list[Question]:
    """One of the page's questions, in half of the cases the one for all of the text."""
    whole, *parts = sheet.questions
    return [whole if not parts or rng.random() < 0.5 else parts[rng.integers(len(parts))]]
