"""Does the question steer what SCM keeps? Two words on one page, asked for one of them.

    python -m benchmarks.sawtooth.steering CHECKPOINT [--pages 100]

Writes results/steering-NAME.csv: a row per page, question and keep_ratio, with the share of the detailed tokens that
stay on the word that is asked for and on the other one.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.sawtooth.compression import SIDE
from benchmarks.sawtooth.methods import METHODS, View
from benchmarks.sawtooth.page import word_box
from benchmarks.sawtooth.reading import make_inputs
from benchmarks.sawtooth.sweep import FOLDER, append_rows
from examples.minimonkey_tiny.rendering import Page, generator, render_pair
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.scale_compression import DETAILED_LEVEL
from processing_minimonkey import MiniMonkeyProcessor


RATIOS = (1.0, 0.75, 0.5, 0.25)
QUESTIONS = ("upper", "lower")


@dataclass(frozen=True)
class Steering:
    """One row of the results. `kept_*`: share of the detailed tokens on that word that stay."""

    page: int
    asked: str
    keep_ratio: float
    word: str
    other: str
    answer: str
    exact: bool
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


@torch.no_grad()
def kept_tokens(model: MiniMonkeyForConditionalGeneration, inputs: dict, keep_ratio: float) -> np.ndarray:
    """Which of the detailed tokens stay, in their order."""
    kept, _ = model.model.select_tokens(**inputs, keep_ratio=keep_ratio)
    image_mask = inputs["input_ids"] == model.config.image_token_id
    detailed = int((inputs["tile_levels"] == DETAILED_LEVEL).sum()) * model.config.image_seq_length
    return kept[0, image_mask[0]][:detailed].numpy()


def page_of_two(index: int, tile_size: int) -> tuple[Page, list[View]]:
    """A page of two held-out words that has detailed tiles, and its pyramid."""
    rng = generator("steering", index)
    while True:
        page = render_pair(rng, held_out=True)
        views = METHODS["pyramid any"](*page.image.size, tile_size, np.random.default_rng(0))
        if views[0].level == DETAILED_LEVEL:
            return page, views


@torch.no_grad()
def steer(model, processor, index: int) -> list[Steering]:
    """Both questions at every keep_ratio for one page."""
    rows = []
    page, views = page_of_two(index, processor.image_processor.size["height"])
    words = words_of(page)
    on = [tokens_on(views[0], page.image.size, box) for _, box in words]
    for asked, name in enumerate(QUESTIONS):
        inputs = make_inputs(processor, [page.image], [views], f"Read the {name} word.")
        for keep_ratio in RATIOS:
            kept = kept_tokens(model, inputs, keep_ratio) if keep_ratio < 1 else np.ones(len(on[0]), bool)
            ids = model.generate(**inputs, max_new_tokens=16, do_sample=False, keep_ratio=keep_ratio)
            answer = processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
            rows.append(
                Steering(
                    page=index,
                    asked=name,
                    keep_ratio=keep_ratio,
                    word=words[asked][0],
                    other=words[1 - asked][0],
                    answer=answer,
                    exact=answer == words[asked][0],
                    kept_asked=round(float(kept[on[asked]].mean()), 4),
                    kept_other=round(float(kept[on[1 - asked]].mean()), 4),
                    kept_all=round(float(kept.mean()), 4),
                )
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--name", help="of the results; default: the folder's")
    parser.add_argument("--pages", type=int, default=100)
    arguments = parser.parse_args()
    model = MiniMonkeyForConditionalGeneration.from_pretrained(arguments.checkpoint, dtype=torch.float32).eval()
    processor = MiniMonkeyProcessor.from_pretrained(arguments.checkpoint)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"steering-{arguments.name or arguments.checkpoint.name}.csv"
    path.unlink(missing_ok=True)  # two minutes: not worth going on
    for index in tqdm(range(arguments.pages), desc="asking"):
        append_rows(path, steer(model, processor, index))


if __name__ == "__main__":
    main()
