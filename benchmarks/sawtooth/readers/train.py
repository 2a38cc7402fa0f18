"""Train a recipe from top to bottom: what is finished stays, what was stopped goes on from its last checkpoint.

    python -m benchmarks.sawtooth.readers.train small --size 6m

Every stage leaves a folder below `runs/` with its last checkpoints, its log, and the trained `tower` or `model`;
remove one to train it anew. The recipes are in `recipe.py`.
"""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path

import torch
from transformers import InternVLVisionModel, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from benchmarks.sawtooth.readers import reader, tower
from benchmarks.sawtooth.readers.drawn_compression import DrawnCompression
from benchmarks.sawtooth.readers.families import FAMILIES, family_model, family_processor
from benchmarks.sawtooth.readers.family_weights import load_reader, load_tower, siglip_tower
from benchmarks.sawtooth.readers.optimizer import make_optimizer
from benchmarks.sawtooth.readers.precision import bfloat16_pays
from benchmarks.sawtooth.readers.recipe import RECIPES, SIZES, CopyStage, ReaderStage, TowerStage
from benchmarks.sawtooth.readers.steering import SteeringTrainer
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.training.random_keep_ratio import RandomKeepRatio
from modeling_minimonkey.training.stop_at_nan import StopAtNaN
from processing_minimonkey.plug_in import CIPProcessor


Stage = TowerStage | ReaderStage | CopyStage
TOWER_PAGES = 16  # pages a step: up to 64 tiles
# What models give beside loss and logits; Trainer would gather it over all held-out pages.
NOT_EVALUATED = ["cache", "past_key_values", "image_hidden_states", "image_outputs", "attentions"]


class StopAfter(TrainerCallback):
    """End a training after so many updates, whatever its schedule."""

    def __init__(self, updates: int):
        self.updates = updates

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step >= self.updates:
            control.should_training_stop = True


def fill(stage: Stage, runs: Path, size: str) -> Stage:
    """The stage with its folders below `runs`."""
    folders = ("output", "begins_from", "reader", "tower")
    named = {each.name: getattr(stage, each.name) for each in fields(stage) if each.name in folders}
    return replace(stage, **{name: str(runs / folder.format(size=size)) for name, folder in named.items() if folder})


def result(stage: Stage) -> Path:
    """Where a stage saves what it has trained."""
    return Path(stage.output, "tower" if isinstance(stage, TowerStage) else "model")


def is_finished(stage: Stage) -> bool:
    """Whether a stage has saved what it trained."""
    return (result(stage) / "model.safetensors").exists()


def train(
    trainer_kwargs: dict,
    output: str,
    learning_rate: float,
    seed: int = 0,
    muon: bool = True,
    trainer_class: type[Trainer] = Trainer,
    **settings,
) -> Trainer:
    """
    Train from the beginning, or from the last checkpoint in the folder `output`, to the end.

    Args:
        trainer_kwargs: Model and data, as `Trainer` takes them.
        learning_rate: Of AdamW, at its peak.
        muon: Whether matrices learn by Muon.
        trainer_class: `Trainer`, or one with a loss of its own.
        settings: Of `TrainingArguments`, instead of those of all stages.
    """
    settings = {
        "output_dir": output,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 50,
        "bf16": bfloat16_pays(),
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_num_workers": 8 if torch.cuda.is_available() else 1,
        "remove_unused_columns": False,
        "eval_strategy": "steps",
        "eval_steps": 250,
        "save_steps": 250,
        "save_total_limit": 2,
        "logging_steps": 50,
        "report_to": [],
        "seed": seed,
    } | settings
    torch.backends.cuda.enable_cudnn_sdp(False)  # NaN gradients of some padded batches: see examples/finetune.py
    optimizer = make_optimizer(trainer_kwargs["model"], learning_rate, muon)
    trainer = trainer_class(args=TrainingArguments(**settings), optimizers=(optimizer, None), **trainer_kwargs)
    trainer.add_callback(StopAtNaN())
    trainer.train(resume_from_checkpoint=get_last_checkpoint(output), ignore_keys_for_eval=NOT_EVALUATED)
    trainer.save_state()
    return trainer


def train_tower(stage: TowerStage, size: str, seed: int) -> None:
    """Teach a tower the dense labels."""
    if stage.begins_from:
        model = siglip_tower(InternVLVisionModel.from_pretrained(f"{stage.begins_from}/tower"), size)
    else:
        model = tower.make_tower(size)
    data = {
        "model": tower.DenseReader(model),
        "train_dataset": tower.TileDataset(stage.data, TOWER_PAGES * stage.steps),
        "eval_dataset": tower.TileDataset("held-out", 64),
        "data_collator": tower.collate,
        "compute_metrics": tower.compute_metrics,
    }
    train(
        data,
        stage.output,
        stage.learning_rate,
        seed,
        max_steps=stage.steps,
        per_device_train_batch_size=TOWER_PAGES,
        per_device_eval_batch_size=TOWER_PAGES,
        label_names=["letters", "ordinals"],
    )
    model.save_pretrained(result(stage))


def begin(stage: ReaderStage | CopyStage, size: str, processor) -> PreTrainedModel:
    """The model that a stage starts from."""
    begins_from, tower_folder = (getattr(stage, name, None) for name in ("begins_from", "tower"))
    if stage.family == "minimonkey":
        if begins_from:
            return MiniMonkeyForConditionalGeneration.from_pretrained(f"{begins_from}/model", dtype=torch.float32)
        return reader.make_model(f"{tower_folder}/tower", processor.tokenizer, size)
    model = family_model(stage.family, size)
    if begins_from:
        return FAMILIES[stage.family].from_pretrained(f"{begins_from}/model", dtype=torch.float32)
    load_reader(model, stage.family, f"{stage.reader}/model")
    if tower_folder:
        load_tower(model, f"{tower_folder}/tower")
    return model


@torch.no_grad()
def average(model: PreTrainedModel, start: PreTrainedModel, share: float) -> None:
    """Set the weights of `model` to those that lie so far on the way from `start` to it: 0 there, 1 here."""
    for weights, first in zip(model.parameters(), start.parameters(), strict=True):
        weights.copy_(first.lerp(weights, share))


def train_reader(stage: ReaderStage, size: str, seed: int) -> None:
    """Teach a model to write down what it sees."""
    is_family = stage.family != "minimonkey"
    processor = family_processor(stage.family) if is_family else reader.make_processor()
    model = begin(stage, size, processor)
    if is_family and stage.tiles:
        processor = CIPProcessor.from_processor(processor, **stage.tiles)
    model.model.vision_tower.requires_grad_(stage.trains_tower)
    for name, value in (stage.compression or {}).items():
        setattr(model.config.scale_compression_config, name, value)
    callbacks = []
    if stage.keep_ratios:
        callbacks.append((DrawnCompression if stage.draws else RandomKeepRatio)(*stage.keep_ratios))
    if stage.stops_after:
        callbacks.append(StopAfter(stage.stops_after))
    if stage.steers:
        model.set_attn_implementation("eager")  # which gives the attention
    data = {
        "model": model,
        "train_dataset": reader.PageDataset(stage.kinds, stage.data, stage.batch_size * stage.steps),
        "eval_dataset": reader.PageDataset(stage.kinds, "held-out", stage.evaluation_pages),
        "data_collator": reader.Collator(processor, stage.points, **({} if is_family else stage.tiles)),
        "compute_metrics": reader.compute_metrics,
        "preprocess_logits_for_metrics": reader.predicted_tokens,
        "callbacks": callbacks,
    }
    train(
        data,
        stage.output,
        stage.learning_rate,
        seed,
        stage.muon,
        SteeringTrainer if stage.steers else Trainer,
        max_steps=stage.steps,
        per_device_train_batch_size=stage.batch_size,
        per_device_eval_batch_size=stage.batch_size,
    )
    if stage.kept < 1:
        average(model, begin(stage, size, processor), stage.kept)
    if not is_family:
        processor.save_pretrained(result(stage))
    model.save_pretrained(result(stage))


def run_recipe(
    name: str, size: str = "6m", runs: Path = Path("runs"), steps: int | None = None, seed: int = 0
) -> None:
    """
    Train the stages of a recipe that are not finished yet, in order.

    Args:
        name: In `RECIPES`.
        size: In `SIZES`.
        runs: Folder of the stages' folders.
        steps: At most so many updates a stage, and eight held-out pages for each, to try a recipe out.

    Raises:
        FileNotFoundError: A stage begins from one that is neither finished nor in the recipe before it.
    """
    for stage in RECIPES[name]:
        stage = fill(stage, runs, size)
        if is_finished(stage):
            continue
        for name in ("begins_from", "reader", "tower"):
            folder = getattr(stage, name, None)
            if folder and not Path(folder).exists():
                raise FileNotFoundError(f"{stage.output} begins from {folder}, which is not there: train it first.")
        torch.manual_seed(seed)
        if steps and not isinstance(stage, CopyStage):
            stage = replace(stage, steps=min(steps, stage.steps))
        if steps and isinstance(stage, ReaderStage):
            stage = replace(stage, evaluation_pages=min(8 * steps, stage.evaluation_pages))
        if isinstance(stage, CopyStage):
            begin(stage, size, None).save_pretrained(result(stage))
        elif isinstance(stage, TowerStage):
            train_tower(stage, size, seed)
        else:
            train_reader(stage, size, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--size", choices=SIZES, default="6m")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the stages' folders")
    parser.add_argument("--steps", type=int, help="at most so many updates a stage, to try a recipe out")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    run_recipe(arguments.recipe, arguments.size, arguments.runs, arguments.steps, arguments.seed)


if __name__ == "__main__":
    main()
