"""Task 2: pages of words. Of the words that are cut by the detailed grid, by every grid, by none: which are read?

    python -m benchmarks.sawtooth.page CHECKPOINT [--pages 500] [--methods ...]

A quarter each: lines of text, receipts, tables, signs (`documents.py`). Writes a row per word to
results/page-NAME.csv; started again, it goes on after the last finished method.
"""

import argparse
import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.sawtooth.documents import KINDS, make_page
from benchmarks.sawtooth.methods import METHODS, is_cut
from benchmarks.sawtooth.reading import character_accuracy, read
from benchmarks.sawtooth.sweep import FOLDER, append_rows
from examples.minimonkey_tiny.rendering import Character, Page
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.scale_compression import GLOBAL_LEVEL
from processing_minimonkey import MiniMonkeyProcessor


BATCH_SIZE = 25


@dataclass(frozen=True)
class WordReading:
    """One row of the results. `read`: the word stands in the answer, as often as it stands on the page at most."""

    method: str
    page: int
    kind: str
    word: str
    read: bool
    cut_detailed: bool
    cut_everywhere: bool
    page_accuracy: float


def word_boxes(page: Page) -> list[tuple[str, tuple[float, float, float, float]]]:
    """Each word with its box in px, from the centers of its characters and the font's size."""
    words, found = [word for line in page.lines for word in line], []
    characters = iter(page.characters)
    for word in words:
        found.append((word, word_box([next(characters) for _ in word], page.font_size)))
    return found


def word_box(characters: list[Character], font_size: float) -> tuple[float, float, float, float]:
    """The box around the characters of one word."""
    x, y = [character.x for character in characters], characters[0].y
    return min(x) - 0.3 * font_size, y - 0.45 * font_size, max(x) + 0.3 * font_size, y + 0.45 * font_size


def read_pages(model, processor, method: str, pages: list[Page], **generate_kwargs) -> list[WordReading]:
    tile_size = processor.image_processor.size["height"]
    rng, readings = np.random.default_rng(0), []
    for start in range(0, len(pages), BATCH_SIZE):
        batch = pages[start : start + BATCH_SIZE]
        views = [METHODS[method](*page.image.size, tile_size, rng) for page in batch]
        answers = read(model, processor, [page.image for page in batch], views, 80, **generate_kwargs)
        for index, (page, each, answer) in enumerate(zip(batch, views, answers, strict=True), start):
            left, accuracy = Counter(answer.split()), round(character_accuracy(page.text, answer), 4)
            for word, box in word_boxes(page):
                cuts = {view.level: is_cut(view, page.image.size, box) for view in each if view.level != GLOBAL_LEVEL}
                everywhere = bool(cuts) and all(cuts.values())
                is_read, kind = left[word] > 0, KINDS[index % len(KINDS)]
                readings.append(
                    WordReading(method, index, kind, word, is_read, cuts.get(0, False), everywhere, accuracy)
                )
                left[word] -= 1
    return readings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--name", help="of the results; default: the folder's")
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = MiniMonkeyForConditionalGeneration.from_pretrained(arguments.checkpoint, dtype=torch.float32).eval()
    processor = MiniMonkeyProcessor.from_pretrained(arguments.checkpoint)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"page-{arguments.name or arguments.checkpoint.name}.csv"
    done = set()
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            done = {row["method"] for row in csv.DictReader(file)}
    pages = [make_page(index, processor.image_processor.size["height"]) for index in range(arguments.pages)]
    for method in tqdm([method for method in arguments.methods if method not in done], desc="reading pages"):
        append_rows(path, read_pages(model, processor, method, pages))


if __name__ == "__main__":
    main()
