"""Train the stages of `sheet_recipe.py`: what is finished stays, what was stopped goes on from its last checkpoint.

    python -m benchmarks.sawtooth.readers.sheet_training                        # all of them, in order
    python -m benchmarks.sawtooth.readers.sheet_training reader/joint-0         # this one

On a GPU in bfloat16, with as many workers that draw pages as there are cores.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import torch
from transformers import Trainer

from benchmarks.sawtooth.cutting import PUBLISHED_RANGES
from benchmarks.sawtooth.readers import reader
from benchmarks.sawtooth.readers.drawn_compression import DrawnCompression, configure
from benchmarks.sawtooth.readers.sequences import Collate, Echoed, Sheets, painted
from benchmarks.sawtooth.readers.sheet_recipe import STAGES, Effort, SheetStage
from benchmarks.sawtooth.readers.steering import SteeringTrainer
from benchmarks.sawtooth.readers.train import train
from modeling_minimonkey import MiniMonkeyForConditionalGeneration


WORLD = "ascii"


class PixelTrainer(Trainer):
    """Takes tiles as `Collate` gives them."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        gray, colors = inputs.pop("gray"), inputs.pop("colors")
        return super().compute_loss(model, inputs | {"pixel_values": painted(gray, colors)}, *args, **kwargs)


class SteeringPixelTrainer(PixelTrainer, SteeringTrainer):
    """With the loss of `steering.py`."""


def number_of_workers() -> int:
    """Processes that draw pages: `WORKERS`, or as many as there are cores on a GPU's machine, or one."""
    on_gpu = torch.cuda.is_available()
    return int(os.environ.get("WORKERS", min(14, os.cpu_count() or 1) if on_gpu else 1))


def train_stage(
    model,
    dataset,
    collate,
    stage: SheetStage,
    effort: Effort,
    trainer_class: type[Trainer],
    callbacks=(),
) -> None:
    """Train a stage from the beginning, or from its last checkpoint, to the end; on a GPU in bfloat16, echoed."""
    on_gpu = torch.cuda.is_available()
    workers = number_of_workers()
    train(
        {
            "model": model,
            "train_dataset": Echoed(dataset) if on_gpu else dataset,
            "data_collator": collate,
            "callbacks": list(callbacks),
        },
        stage.output,
        stage.learning_rate,
        stage.seed,
        trainer_class=trainer_class,
        max_steps=effort.steps,
        per_device_train_batch_size=effort.pages,
        train_sampling_strategy="sequential",  # samples are drawn anew, and those of a batch are about as long
        warmup_steps=min(100, effort.steps // 5),
        tf32=on_gpu or None,
        dataloader_num_workers=workers,
        dataloader_prefetch_factor=3 if workers else None,
        eval_strategy="no",
        save_strategy="no" if on_gpu else "steps",
        save_steps=100,
    )


def make_processor(stage: SheetStage):
    """The processor of a stage's model: published ranges, and no second grid where the stage had none."""
    rules = [cutting.method.removeprefix("pyramid ") for cutting in stage.cuttings if "pyramid" in cutting.method]
    processor = reader.make_processor()
    processor.image_processor.detailed_tiles = PUBLISHED_RANGES.detailed
    processor.image_processor.adaptive_tiles = PUBLISHED_RANGES.adaptive if rules else None
    processor.image_processor.complementarity = (rules or ["any"])[0]
    return processor


def train_reader(stage: SheetStage, effort: Effort) -> None:
    """Teach a model to answer questions about pages."""
    processor = make_processor(stage)
    model = MiniMonkeyForConditionalGeneration.from_pretrained(Path(stage.begins_from, "model"), dtype=torch.float32)
    model.model.vision_tower.requires_grad_(stage.trains_tower)
    configure(model)
    if stage.steers:
        model.set_attn_implementation("eager")  # which gives the attention
    samples = effort.pages * effort.steps
    batch = effort.pages if number_of_workers() < 2 else 1  # each of several would draw all pages of a window
    dataset = Sheets(
        processor, WORLD, stage.data, samples, stage.cuttings, stage.questions, batch=batch, kinds=dict(stage.kinds)
    )
    callbacks = [DrawnCompression(*stage.keep_ratios)] if stage.keep_ratios else []
    trainer_class = SteeringPixelTrainer if stage.steers else PixelTrainer
    collate = Collate(processor.tokenizer.pad_token_id)
    train_stage(model, dataset, collate, stage, effort, trainer_class, callbacks)
    processor.save_pretrained(Path(stage.output, "model"))
    model.save_pretrained(Path(stage.output, "model"))


def run_stage(stage: SheetStage, runs: Path, steps: int | None = None) -> None:
    """Train one stage in the folder `runs`, with at most so many updates, if it is not finished."""
    torch.manual_seed(stage.seed)
    stage = replace(stage, output=str(runs / stage.output))
    if Path(stage.output, "model", "model.safetensors").exists():
        return
    effort = stage.gpu if torch.cuda.is_available() else stage.cpu
    effort = effort._replace(steps=min(steps or effort.steps, effort.steps))
    train_reader(replace(stage, begins_from=str(runs / stage.begins_from)), effort)


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
