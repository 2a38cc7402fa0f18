"""Rendered text with a known answer: single words and small pages, with the place of every character.

Everything follows from a seed: `generator(split, index)` gives the same numbers on every machine, so the same image
where the fonts are the same (those of matplotlib's package and Pillow's own). A hash of the word decides whether it is
for training or held out: no held-out word is ever seen in training, neither from the lexicon nor as a random string.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont


Box = tuple[float, float, float, float]  # left, top, right, bottom in px

TILE_SIZE = 112
ALPHABET = string.ascii_lowercase + string.digits
FONTS = ["DejaVuSans", "DejaVuSans-Bold"]
FONT_SIZES = (18, 32)  # px in the tile, log-uniform
MAX_WORD = 10
KINDS = ("word", "lines", "pair", "page", "mixed")
PAGE_GRIDS = [(1, 1), (2, 1), (1, 2), (2, 2), (3, 1), (3, 2), (2, 3)]  # columns and rows: about the size in tiles


@dataclass(frozen=True)
class Character:
    """One drawn character: `x`, `y` is its center in px of the page, `ordinal` its index in the word."""

    text: str
    x: float
    y: float
    ordinal: int


@dataclass(frozen=True)
class Page:
    """
    A rendered page: RGB `image`, all characters, font size in px; `question`, the `lines` that answer it, and a box
    around what is `asked` for if that is a single word.
    """

    image: Image.Image
    lines: list[list[str]]
    characters: list[Character]
    font_size: float
    question: str = "Read the text."
    asked: Box | None = None

    @property
    def text(self) -> str:
        return "\n".join(" ".join(line) for line in self.lines)


def word_box(characters: Sequence[Character], font_size: float) -> Box:
    """The box around the characters of one word, from their centers and the font's size."""
    x, y = [character.x for character in characters], characters[0].y
    return min(x) - 0.3 * font_size, y - 0.45 * font_size, max(x) + 0.3 * font_size, y + 0.45 * font_size


def word_boxes(page: Page) -> list[tuple[str, Box]]:
    """Each word with its box in px, line by line; the lines are all that is drawn."""
    characters = iter(page.characters)
    return [(word, word_box([next(characters) for _ in word], page.font_size)) for line in page.lines for word in line]


@lru_cache(maxsize=512)
def load_font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font by its name in matplotlib's package, or Pillow's own, in px."""
    if name == "Pillow":
        return ImageFont.load_default(size)
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")), size)


@lru_cache(maxsize=1)
def lexicon() -> list[str]:
    """Words of the English language."""
    return Path(__file__).with_name("words.txt").read_text().split()


def is_held_out(word: str) -> bool:
    """Every tenth word by hash, whatever its case: such words are for evaluation only."""
    return hashlib.sha1(word.lower().encode()).digest()[0] % 10 == 0


def random_word(rng: np.random.Generator, held_out: bool = False, max_length: int = MAX_WORD) -> str:
    """Half lexicon words, half random strings of letters (a fifth: digits); all in lower case."""
    while True:
        if rng.random() < 0.5:
            word = lexicon()[rng.integers(len(lexicon()))]
        else:
            letters = string.digits if rng.random() < 0.2 else string.ascii_lowercase
            word = "".join(rng.choice(list(letters), size=rng.integers(2, 9)))
        word = word.lower()
        if len(word) <= max_length and is_held_out(word) == held_out:
            return word


def draw_page(
    rng: np.random.Generator, lines: list[list[str]], positions: list[tuple[float, float]], size: tuple[int, int], font
) -> Page:
    """Draws each line with its left end and vertical middle at `positions` (px), in random colors, slightly noisy."""
    mask = Image.new("L", size, 0)
    draw = ImageDraw.Draw(mask)
    characters = []
    for line, (left, middle) in zip(lines, positions, strict=True):
        text = " ".join(line)
        draw.text((left, middle), text, fill=255, font=font, anchor="lm")
        edges = [left + font.getlength(text[:i]) for i in range(len(text) + 1)]
        ordinal = 0
        for i, character in enumerate(text):
            if character == " ":
                ordinal = 0
                continue
            characters.append(Character(character, (edges[i] + edges[i + 1]) / 2, middle, ordinal))
            ordinal += 1
    dark, light = rng.integers(0, 110, size=3), rng.integers(145, 256, size=3)
    paper, ink = (light, dark) if rng.random() < 0.8 else (dark, light)
    coverage = np.asarray(mask, dtype=np.float32)[..., None] / 255  # (height, width, 1)
    pixels = paper + (ink - paper) * coverage + rng.normal(0, rng.uniform(0, 8), size=(size[1], size[0], 1))
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8), "RGB")
    return Page(image, lines, characters, font.size)


def random_font(
    rng: np.random.Generator,
    scale: float = 1.0,
    sizes: tuple[float, float] = FONT_SIZES,
    fonts: Sequence[str] = FONTS,
):
    """One of the `fonts`, whose size in the tile is log-uniform in `sizes`; `scale` is page px per tile px."""
    size = np.exp(rng.uniform(*np.log(sizes))) * scale
    return load_font(fonts[rng.integers(len(fonts))], max(8, round(float(size))))


def render_word(rng: np.random.Generator, held_out: bool = False) -> Page:
    """One word in an image of its own: about one tile high, as wide as the word and its margins."""
    word = random_word(rng, held_out)
    font = random_font(rng, sizes=FONT_SIZES)
    width, height = font.getlength(word), font.size
    size = (max(96, round(width + rng.uniform(8, 48))), int(rng.integers(80, 129)))
    left = rng.uniform(3, max(4, size[0] - width - 3))
    middle = size[1] / 2 + rng.uniform(-0.5, 0.5) * max(0, size[1] - 1.3 * height)
    return draw_page(rng, [[word]], [(left, middle)], size, font)


def render_pair(rng: np.random.Generator, held_out: bool = False) -> Page:
    """Two words, one in the upper half of a page of two to four tiles, and the question for one of them."""
    size = (round(TILE_SIZE * rng.uniform(1.1, 2.2)), round(TILE_SIZE * rng.uniform(1.1, 2.2)))
    font = random_font(rng, sizes=FONT_SIZES)
    words, positions = [], []
    while len(words) < 2:
        word = random_word(rng, held_out)
        room = size[0] - font.getlength(word) - 6
        if room > 0:
            middle = size[1] * (len(words) / 2 + rng.uniform(0.15, 0.35))
            words.append([word])
            positions.append((3 + rng.uniform(0, room), middle))
    page = draw_page(rng, words, positions, size, font)
    asked = int(rng.integers(2))
    _, box = word_boxes(page)[asked]
    return replace(page, lines=[words[asked]], question=f"Read the {('upper', 'lower')[asked]} word.", asked=box)


def render_page(
    rng: np.random.Generator,
    size: tuple[int, int],
    font,
    held_out: bool = False,
    max_words: int = 1000,
    max_per_line: int = 1000,
    leading: tuple[float, float] = (1.15, 2.0),
) -> Page:
    """Lines of random words from the top left, as many as fit (at most `max_words`, `max_per_line`)."""
    width, height = size
    step = font.size * rng.uniform(*leading)
    middle = step * rng.uniform(0.5, 1.0)
    space = font.getlength(" ")
    lines, positions = [], []
    while middle + font.size * 0.55 < height and max_words > 0:
        left = x = rng.uniform(0.02, 0.25) * width
        line: list[str] = []
        while len(line) < min(max_per_line, max_words):
            word = random_word(rng, held_out)
            if x + font.getlength(word) > width - 2:
                break
            line.append(word)
            x += font.getlength(word) + space
        if line:
            lines.append(line)
            positions.append((left, middle))
            max_words -= len(line)
        middle += step
    return draw_page(rng, lines, positions, size, font)


def dense_labels(
    page: Page, grid: tuple[int, int], patch_size: int = 14, alphabet: str = ALPHABET
) -> tuple[np.ndarray, np.ndarray]:
    """Which character, and which place in its word, has its center in each half patch.

    Returns two int64 arrays of shape (tiles, patches, 2), row-major tiles of `grid` (columns, rows): the index of the
    character in `alphabet` plus one (0: none) and its ordinal in the word (-100: none).
    """
    columns, rows = grid
    side = TILE_SIZE // patch_size
    letters = np.zeros((rows * side, columns * side * 2), dtype=np.int64)
    ordinals = np.full_like(letters, -100)
    for character in page.characters:
        y = int(character.y / page.image.height * letters.shape[0])
        x = int(character.x / page.image.width * letters.shape[1])
        if 0 <= y < letters.shape[0] and 0 <= x < letters.shape[1]:
            letters[y, x] = alphabet.index(character.text) + 1
            ordinals[y, x] = character.ordinal

    def per_tile(labels: np.ndarray) -> np.ndarray:
        tiles = labels.reshape(rows, side, columns, side, 2).transpose(0, 2, 1, 3, 4)
        return tiles.reshape(rows * columns, side * side, 2)

    return per_tile(letters), per_tile(ordinals)


def cut_tiles(image: Image.Image, grid: tuple[int, int]) -> np.ndarray:
    """The tiles of an image, stretched to a grid (columns, rows), row by row: uint8 (tiles, height, width, 3)."""
    columns, rows = grid
    canvas = image.resize((columns * TILE_SIZE, rows * TILE_SIZE), Image.Resampling.BICUBIC)
    tiles = np.array(canvas).reshape(rows, TILE_SIZE, columns, TILE_SIZE, 3).swapaxes(1, 2)
    return tiles.reshape(-1, TILE_SIZE, TILE_SIZE, 3)


def generator(split: str, index: int, seed: int = 0) -> np.random.Generator:
    """The random numbers of sample `index` of `split`."""
    return np.random.default_rng([seed, int.from_bytes(split.encode(), "little"), index])


def render(kind: str, split: str, index: int) -> Page:
    """
    Sample `index` of a split.

    Args:
        kind: `"word"`, one word; `"lines"`, a few lines in one tile; `"pair"`, two words of which one is asked for;
            `"page"`, one to six words in up to six tiles; `"mixed"`, a word, a pair or a page.
        split: Names the random numbers; words are held out unless it begins with "train".
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {KINDS}, got {kind!r}.")
    rng = generator(f"{kind}-{split}", index)
    held_out = not split.startswith("train")
    if kind == "mixed":
        kind = rng.choice(["word", "pair", "page"], p=[0.3, 0.15, 0.55])
    if kind == "word":
        return render_word(rng, held_out)
    if kind == "pair":
        return render_pair(rng, held_out)
    grid = (1, 1) if kind == "lines" else PAGE_GRIDS[rng.integers(len(PAGE_GRIDS))]
    while True:
        size = tuple(round(side * TILE_SIZE * rng.uniform(0.8, 1.15)) for side in grid)
        font = random_font(rng, sizes=FONT_SIZES)
        page = render_page(rng, size, font, held_out, int(rng.integers(1, 7)), int(rng.integers(1, 4)), (1.15, 2.5))
        if page.lines:
            return page
