"""Task 1: one word moved over the image in steps of an eighth of a tile, everything else constant.

    python -m benchmarks.sawtooth.sweep CHECKPOINT [--words 24] [--size 24] [--methods ...]

Writes a row per reading to results/sweep-NAME.csv; started again, it goes on after the last finished block.
"""

import argparse
import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from tqdm import tqdm

from benchmarks.sawtooth.methods import METHODS, is_cut
from benchmarks.sawtooth.reading import character_accuracy, read
from examples.minimonkey_tiny.rendering import generator, load_font, random_word
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.scale_compression import GLOBAL_LEVEL
from processing_minimonkey import MiniMonkeyProcessor


FOLDER = Path(__file__).parent / "results"
STEP = 1 / 8  # of a tile
FONT = "DejaVuSans"
# Size of the letters in px of the detailed tiles -> lengths of the words, so that the longest fits a tile. Large ones
# stay legible in the coarser second grid.
SIZES = {24: range(4, 7), 32: range(3, 6)}
# Columns and rows of the detailed grid. The image has the size of its canvas or nearly so, as images have.
GRIDS = [(3, 2), (2, 3), (2, 2)]
SCALES = [(1.0, 1.0), (0.95, 1.03), (1.05, 0.97)]
BATCH_SIZE = 48


@dataclass(frozen=True)
class Reading:
    """
    One row of the results.

    `position` is the word's center in tiles of the detailed grid, along `axis`; `size` that of the letters in px.
    """

    method: str
    columns: int
    rows: int
    size: int
    axis: str
    position: float
    word: str
    answer: str
    accuracy: float
    exact: bool
    cut_detailed: bool
    cut_everywhere: bool


def held_out_words(number: int, lengths: range) -> list[str]:
    """Different words that no training has seen, of lengths that fit a tile."""
    rng, words = generator("sweep", 0), {}
    while len(words) < number:
        word = random_word(rng, held_out=True).lower()
        if len(word) in lengths:
            words[word] = None
    return list(words)


def positions(grid: tuple[int, int], axis: str) -> list[tuple[float, float]]:
    """Centers of the word in tiles: from the center of the first tile to that of the last along `axis`."""
    length = grid[0] if axis == "x" else grid[1]
    steps = np.arange(0.5, length - 0.5 + STEP / 2, STEP)
    return [(float(step), 0.5) if axis == "x" else (0.5, float(step)) for step in steps]


def draw_word(
    word: str,
    size: int,
    grid: tuple[int, int],
    scale: tuple[float, float],
    tile_size: int,
    center: tuple[float, float],
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


def samples(words: list[str], size: int, grid: tuple[int, int], tile_size: int) -> Iterator[tuple]:
    for axis in "xy":
        for center in positions(grid, axis):
            for index, word in enumerate(words):
                image, box = draw_word(word, size, grid, SCALES[index % len(SCALES)], tile_size, center)
                yield axis, center[0] if axis == "x" else center[1], word, image, box


def sweep(
    model, processor, method: str, grid: tuple[int, int], size: int, words: list[str], **generate_kwargs
) -> list[Reading]:
    """All readings of one method on one grid."""
    tile_size = processor.image_processor.size["height"]
    rng = np.random.default_rng(0)
    todo, readings = list(samples(words, size, grid, tile_size)), []
    for start in range(0, len(todo), BATCH_SIZE):
        batch = todo[start : start + BATCH_SIZE]
        images = [image for *_, image, _ in batch]
        views = [METHODS[method](*image.size, tile_size, rng) for image in images]
        answers = read(model, processor, images, views, **generate_kwargs)
        for (axis, position, word, image, box), each, answer in zip(batch, views, answers, strict=True):
            cuts = {view.level: is_cut(view, image.size, box) for view in each if view.level != GLOBAL_LEVEL}
            readings.append(
                Reading(
                    method,
                    *grid,
                    size,
                    axis,
                    position,
                    word,
                    answer,
                    round(character_accuracy(word, answer), 4),
                    word == answer,
                    cuts.get(0, False),
                    bool(cuts) and all(cuts.values()),
                )
            )
    return readings


def unfinished(path: Path, methods: Iterable[str], size: int) -> list[tuple[str, tuple[int, int]]]:
    """Method and grid of the blocks that are not in the file yet."""
    done = set()
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        done = {(row["method"], (int(row["columns"]), int(row["rows"]))) for row in rows if int(row["size"]) == size}
    return [(method, grid) for grid in GRIDS for method in methods if (method, grid) not in done]


def append_rows(path: Path, rows: list) -> None:
    """Add dataclass instances to a CSV file, in one go: an interrupted run leaves no block that is half there."""
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, asdict(rows[0]))
        if is_new:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--name", help="of the results; default: the folder's")
    parser.add_argument("--words", type=int, default=24, help="words per position")
    parser.add_argument("--size", type=int, choices=SIZES, default=24, help="of the letters, in px of the tiles")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = MiniMonkeyForConditionalGeneration.from_pretrained(arguments.checkpoint, dtype=torch.float32).eval()
    processor = MiniMonkeyProcessor.from_pretrained(arguments.checkpoint)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"sweep-{arguments.name or arguments.checkpoint.name}.csv"
    words = held_out_words(arguments.words, SIZES[arguments.size])
    for method, grid in tqdm(unfinished(path, arguments.methods, arguments.size), desc="sweeping"):
        append_rows(path, sweep(model, processor, method, grid, arguments.size, words))


if __name__ == "__main__":
    main()
