"""Train the stages of `sheet_recipe.py`: what is finished stays, what was stopped goes on from its last checkpoint.

    python -m benchmarks.sawtooth.readers.sheet_training                        # all of them, in order
    python -m benchmarks.sawtooth.readers.sheet_training reader/joint-0         # this one

On a GPU in bfloat16, with as many workers that draw pages as there are cores.
"""

from __future__ import annotations

import argparse
import os
import random
from dataclasses import replace
from pathlib import Path

import torch
from transformers import Trainer

from benchmarks.sawtooth.cutting import PUBLISHED_RANGES, plan_grids
from benchmarks.sawtooth.readers import reader, tower
from benchmarks.sawtooth.readers.rendering import TILE_SIZE, cut_tiles, dense_labels, generator
from benchmarks.sawtooth.readers.sequences import Collate, Sheets
from benchmarks.sawtooth.readers.sheet_recipe import SMALL_RANGES, STAGES, SheetStage, TileStage
from benchmarks.sawtooth.readers.sheets import full_sheet, render
from benchmarks.sawtooth.readers.steering import SteeringTrainer
from benchmarks.sawtooth.readers.train import train
from benchmarks.sawtooth.readers.writing import WORLDS
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.training.random_keep_ratio import RandomKeepRatio


SIZE, WORLD = "7m", "ascii"
LONGEST = 16  # characters of a word, with its punctuation
TILES_PER_PAGE = 8


class DrawnCompression(RandomKeepRatio):
    """
    Another share of tokens in every step, and in half of the steps positions without gaps, as serving engines number;
    in a third, tokens chosen without a question, as they can.
    """

    def on_step_begin(self, args, state, control, model, **kwargs):
        super().on_step_begin(args, state, control, model=model, **kwargs)
        rng = random.Random(f"positions {args.seed} {state.global_step}")
        config = model.config.scale_compression_config
        config.positions = rng.choice(("keep", "repack"))
        config.queries = rng.choice(("question", "question", "none"))

    def on_train_end(self, args, state, control, model=None, **kwargs):
        super().on_train_end(args, state, control, **kwargs)
        if model is not None:
            configure(model)


def configure(model: MiniMonkeyForConditionalGeneration) -> None:
    """What keeps most: the section on scoring in results/6m-compressed.md."""
    config = model.config.scale_compression_config
    config.queries, config.layer, config.positions = "question", 2, "keep"


class PixelTrainer(Trainer):
    """Takes pixels as `Collate` gives them."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        pixel_values = tower.normalized(inputs["pixel_values"])
        return super().compute_loss(model, inputs | {"pixel_values": pixel_values}, *args, **kwargs)


class SteeringPixelTrainer(PixelTrainer, SteeringTrainer):
    """With the loss of `steering.py`."""


class SheetTiles(torch.utils.data.Dataset):
    """
    Up to `TILES_PER_PAGE` tiles of page `index`, those with most text first. Three of four pages are full of text,
    about as large as their tiles; the others are as a model is asked about, cut as the detailed or the second grid.
    """

    def __init__(self, split: str, pages: int):
        self.split, self.pages = split, pages

    def __len__(self) -> int:
        return self.pages

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rng = generator(f"tiles-{self.split}", index)
        if rng.random() < 0.75:
            sheet = full_sheet(rng, WORLDS[WORLD], held_out=not self.split.startswith("train"))
            grid = plan_grids(*sheet.image.size, TILE_SIZE, SMALL_RANGES)[0]
        else:
            sheet = render(WORLD, self.split, index)
            grid = plan_grids(*sheet.image.size, TILE_SIZE, PUBLISHED_RANGES)[int(rng.random() < 0.3)]
        letters, ordinals = dense_labels(sheet, grid, alphabet=WORLDS[WORLD].alphabet)
        letters, ordinals = torch.from_numpy(letters), torch.from_numpy(ordinals)
        chosen = (letters > 0).sum(dim=(1, 2)).argsort(descending=True)[:TILES_PER_PAGE]
        pixels = torch.from_numpy(cut_tiles(sheet.image, grid))[chosen].permute(0, 3, 1, 2)
        return {"pixel_values": pixels, "letters": letters[chosen], "ordinals": ordinals[chosen]}


def number_of_workers() -> int:
    """Processes that draw pages: `WORKERS`, or as many as there are cores on a GPU's machine, or one."""
    on_gpu = torch.cuda.is_available()
    return int(os.environ.get("WORKERS", min(14, os.cpu_count() or 1) if on_gpu else 1))


def train_stage(
    model, dataset, collate, stage: TileStage | SheetStage, trainer_class: type[Trainer], callbacks=()
) -> None:
    """Train a stage from the beginning, or from its last checkpoint, to the end; on a GPU in bfloat16."""
    on_gpu = torch.cuda.is_available()
    workers = number_of_workers()
    train(
        {"model": model, "train_dataset": dataset, "data_collator": collate, "callbacks": list(callbacks)},
        stage.output,
        stage.learning_rate,
        stage.seed,
        trainer_class=trainer_class,
        max_steps=stage.steps,
        per_device_train_batch_size=stage.batch_size,
        train_sampling_strategy="sequential",  # samples are drawn anew, and those of a batch are about as long
        warmup_steps=min(100, stage.steps // 5),
        tf32=on_gpu or None,
        dataloader_num_workers=workers,
        dataloader_prefetch_factor=3 if workers else None,
        eval_strategy="no",
        save_strategy="no" if on_gpu else "steps",
        save_steps=100,
    )


def train_tower(stage: TileStage) -> None:
    """Teach a tower the dense labels."""
    model = tower.make_tower(SIZE)
    dataset = SheetTiles("train tower", stage.batch_size * stage.steps)
    train_stage(tower.DenseReader(model, WORLDS[WORLD].alphabet, LONGEST), dataset, tower.collate, stage, PixelTrainer)
    model.save_pretrained(Path(stage.output, "model"))


def begin(folder: Path, processor) -> MiniMonkeyForConditionalGeneration:
    """The model of the stage before, or a new one behind its tower."""
    if (folder / "processor_config.json").exists():
        return MiniMonkeyForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return reader.make_model(folder, processor.tokenizer, SIZE)


def make_processor(stage: SheetStage):
    """The processor of a stage's model: published ranges, and no second grid where the stage had none."""
    rules = [cutting.method.removeprefix("pyramid ") for cutting in stage.cuttings if "pyramid" in cutting.method]
    processor = reader.make_processor()
    processor.image_processor.detailed_tiles = PUBLISHED_RANGES.detailed
    processor.image_processor.adaptive_tiles = PUBLISHED_RANGES.adaptive if rules else None
    processor.image_processor.complementarity = (rules or ["any"])[0]
    return processor


def train_reader(stage: SheetStage) -> None:
    """Teach a model to answer questions about pages."""
    processor = make_processor(stage)
    model = begin(Path(stage.begins_from, "model"), processor)
    model.model.vision_tower.requires_grad_(stage.trains_tower)
    configure(model)
    if stage.steers:
        model.set_attn_implementation("eager")  # which gives the attention
    samples = stage.batch_size * stage.steps
    batch = stage.batch_size if number_of_workers() < 2 else 1  # each of several would draw all pages of a window
    dataset = Sheets(
        processor, WORLD, stage.data, samples, stage.cuttings, stage.questions, batch=batch, kinds=dict(stage.kinds)
    )
    callbacks = [DrawnCompression(*stage.keep_ratios)] if stage.keep_ratios else []
    trainer_class = SteeringPixelTrainer if stage.steers else PixelTrainer
    train_stage(model, dataset, Collate(processor.tokenizer.pad_token_id), stage, trainer_class, callbacks)
    processor.save_pretrained(Path(stage.output, "model"))
    model.save_pretrained(Path(stage.output, "model"))


def run_stage(stage: TileStage | SheetStage, runs: Path, steps: int | None = None) -> None:
    """Train one stage in the folder `runs`, with at most so many updates, if it is not finished."""
    torch.manual_seed(stage.seed)
    stage = replace(stage, output=str(runs / stage.output), steps=min(steps or stage.steps, stage.steps))
    if Path(stage.output, "model", "model.safetensors").exists():
        return
    if isinstance(stage, TileStage):
        train_tower(stage)
    else:
        train_reader(replace(stage, begins_from=str(runs / stage.begins_from)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", help="their folders; default: all")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the stages' folders")
    parser.add_argument("--steps", type=int, help="at most so many updates a stage, to try it out")
    arguments = parser.parse_args()
    names = [stage.output for stage in STAGES]
    if unknown := set(arguments.stages) - set(names):
        parser.error(f"`stages` must be among {names}, got {sorted(unknown)}.")
    for stage in STAGES:
        if not arguments.stages or stage.output in arguments.stages:
            run_stage(stage, arguments.runs, arguments.steps)


if __name__ == "__main__":
    main()
