"""Task 1 for three families: the sweep of `sweep.py`, read through a family's own processor and with CIP in its place.

    python -m benchmarks.sawtooth.family_sweep minicpmv runs/minicpmv/pages/model --name minicpmv-plain [--size 24]

Writes results/sweep-NAME.csv as `sweep.py` does; started again, it goes on after the last finished block.
"""

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.sawtooth.families import FAMILIES, family_model, family_processor
from benchmarks.sawtooth.methods import grid_view, is_cut
from benchmarks.sawtooth.reading import QUESTION, character_accuracy
from benchmarks.sawtooth.sweep import FOLDER, SIZES, Reading, append_rows, held_out_words, samples, unfinished
from benchmarks.sawtooth.train_family import ADAPTIVE_TILES
from examples.minimonkey_tiny.rendering import TILE_SIZE
from processing_minimonkey.plug_in import CIPProcessor


# As in METHODS, whose names they have: the family's own tiling, and the pyramid by every rule.
COMPLEMENTARITIES = {
    "detailed + global": None,
    "pyramid any": "any",
    "pyramid all": "all",
    "pyramid disjoint": "disjoint",
    "pyramid joint": "joint",
}
BATCH_SIZE = 24


def make_processor(family: str, method: str) -> CIPProcessor:
    complementarity = COMPLEMENTARITIES[method]
    settings = {"adaptive_tiles": None} if complementarity is None else {"adaptive_tiles": ADAPTIVE_TILES}
    processor = family_processor(family)
    return CIPProcessor.from_processor(processor, **settings, complementarity=complementarity or "any")


@torch.no_grad()
def read(model, processor: CIPProcessor, images: list) -> list[str]:
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    samples_ = [[image] for image in images]
    inputs = processor(text=[prompt] * len(images), images=samples_, padding=True, return_tensors="pt")
    sequences = model.generate(**inputs, max_new_tokens=16, do_sample=False)
    return processor.batch_decode(sequences[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def sweep(
    model, processor: CIPProcessor, method: str, grid: tuple[int, int], size: int, words: list[str]
) -> list[Reading]:
    """All readings of one method on one grid; the cut lines are those of the grids, padding left aside."""
    todo, readings = list(samples(words, size, grid, TILE_SIZE)), []
    for start in range(0, len(todo), BATCH_SIZE):
        batch = todo[start : start + BATCH_SIZE]
        answers = read(model, processor, [image for *_, image, _ in batch])
        for (axis, position, word, image, box), answer in zip(batch, answers, strict=True):
            width, height = image.size
            detailed = processor._detailed_grid(height, width, {})
            second = processor._grid_beside(height, width, detailed, {})
            cuts = [is_cut(grid_view(0, each, TILE_SIZE), image.size, box) for each in (detailed, second) if each]
            accuracy = round(character_accuracy(word, answer), 4)
            readings.append(
                Reading(
                    method, *grid, size, axis, position, word, answer, accuracy, word == answer, cuts[0], all(cuts)
                )
            )
    return readings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--name", required=True, help="of the results")
    parser.add_argument("--words", type=int, default=24, help="words per position")
    parser.add_argument("--size", type=int, choices=SIZES, default=24, help="of the letters, in px of the tiles")
    parser.add_argument("--methods", nargs="+", choices=COMPLEMENTARITIES, default=list(COMPLEMENTARITIES))
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = type(family_model(arguments.family)).from_pretrained(arguments.checkpoint, dtype=torch.float32).eval()
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"sweep-{arguments.name}.csv"
    words = held_out_words(arguments.words, SIZES[arguments.size])
    for method, grid in tqdm(unfinished(path, arguments.methods, arguments.size), desc="sweeping"):
        processor = make_processor(arguments.family, method)
        append_rows(path, sweep(model, processor, method, grid, arguments.size, words))


if __name__ == "__main__":
    main()
