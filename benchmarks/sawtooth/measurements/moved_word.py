"""One word is moved over the image in steps of an eighth of a tile, everything else constant: where is it read?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.sawtooth.cutting import Grid, cut_by
from benchmarks.sawtooth.measurements.reading import Reader
from benchmarks.sawtooth.readers.rendering import generator, load_font, random_word
from benchmarks.sawtooth.runner import Measurement


STEP = 1 / 8  # of a tile
FONT = "DejaVuSans"
# Size of the letters in px of the detailed tiles -> lengths of the words, so that the longest fits a tile. Large ones
# stay legible in the coarser second grid.
SIZES = {24: range(4, 7), 32: range(3, 6)}
# Columns and rows of the detailed grid. The image has the size of its canvas or nearly so, as images have.
GRIDS = [(3, 2), (2, 3), (2, 2)]
SCALES = [(1.0, 1.0), (0.95, 1.03), (1.05, 0.97)]


@dataclass(frozen=True)
class WordReading:
    """
    One answer. `position` is the word's center in tiles of the detailed grid, along `axis`; `size` that of the letters
    in px; `cut`: what cuts the word, as `cut_by` says.
    """

    method: str
    columns: int
    rows: int
    size: int
    axis: str
    position: float
    word: str
    answer: str
    cut: int


def held_out_words(number: int, lengths: range) -> list[str]:
    """Different words that no training has seen, of lengths that fit a tile."""
    rng, words = generator("sweep", 0), {}
    while len(words) < number:
        word = random_word(rng, held_out=True).lower()
        if len(word) in lengths:
            words[word] = None
    return list(words)


def positions(grid: Grid, axis: str) -> list[tuple[float, float]]:
    """Centers of the word in tiles: from the center of the first tile to that of the last along `axis`."""
    length = grid[0] if axis == "x" else grid[1]
    steps = np.arange(0.5, length - 0.5 + STEP / 2, STEP)
    return [(float(step), 0.5) if axis == "x" else (0.5, float(step)) for step in steps]


def draw_word(
    word: str, size: int, grid: Grid, scale: tuple[float, float], tile_size: int, center: tuple[float, float]
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """The image, and the word's box in px. Size and place of the word on the canvas are those of scale 1."""
    canvas = Image.new("RGB", (grid[0] * tile_size, grid[1] * tile_size), "white")
    draw, font = ImageDraw.Draw(canvas), load_font(FONT, size)
    middle = (center[0] * tile_size, center[1] * tile_size)
    draw.text(middle, word, fill="black", font=font, anchor="mm")
    left, top, right, bottom = draw.textbbox(middle, word, font=font, anchor="mm")
    resized = tuple(round(side * factor) for side, factor in zip(canvas.size, scale, strict=True))
    box = (left * scale[0], top * scale[1], right * scale[0], bottom * scale[1])
    return canvas.resize(resized, Image.Resampling.LANCZOS), box


def samples(words: Sequence[str], size: int, grid: Grid, tile_size: int) -> Iterator[tuple]:
    """Axis, position, word, image and the word's box in px, for every word at every place."""
    for axis in "xy":
        for center in positions(grid, axis):
            for index, word in enumerate(words):
                image, box = draw_word(word, size, grid, SCALES[index % len(SCALES)], tile_size, center)
                yield axis, center[0] if axis == "x" else center[1], word, image, box


def read_words(reader: Reader, method: str, grid: Grid, size: int, words: Sequence[str]) -> list[WordReading]:
    """All readings of one method on one grid."""
    rng, readings = np.random.default_rng(0), []
    todo = list(samples(words, size, grid, reader.tile_size))
    for start in range(0, len(todo), reader.batch_size):
        batch = todo[start : start + reader.batch_size]
        images = [image for *_, image, _ in batch]
        views = [reader.views(method, image, rng) for image in images]
        answers = reader.read(method, images, views)
        for (axis, position, word, image, box), each, answer in zip(batch, views, answers, strict=True):
            cut = cut_by(each, image.size, box)
            readings.append(WordReading(method, *grid, size, axis, position, word, answer, cut))
    return readings


@dataclass(frozen=True)
class MovedWord(Measurement):
    """`words` at every place, in letters of `size` px; `methods`, all of the reader's by default."""

    words: int = 24
    size: int = 24
    methods: tuple[str, ...] = ()

    name = "sweep"
    row = WordReading
    block = ("method", "columns", "rows", "size")

    def __post_init__(self):
        if self.size not in SIZES:
            raise ValueError(f"`size` must be one of {list(SIZES)}, got {self.size}.")

    def blocks(self, reader: Reader) -> list[tuple]:
        return [(method, *grid, self.size) for grid in GRIDS for method in reader.chosen(self.methods)]

    def measure(self, reader: Reader, method: str, columns: int, rows: int, size: int) -> list[WordReading]:
        return read_words(reader, method, (columns, rows), size, held_out_words(self.words, SIZES[size]))
