"""A drawn `keep_ratio` in every step: what the loss sees, what it leaves alone, and runs that are interrupted."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, Image, List
from finetune import FinetuneArguments, last_checkpoint, run, trainer_arguments
from finetune_sft import SFTConfig, SFTTrainer
from PIL import Image as PillowImage
from safetensors.torch import load_file
from transformers import Trainer, TrainerCallback, TrainingArguments

from modeling_minimonkey.training.random_keep_ratio import RandomKeepRatio


CHECKPOINT = str(Path(__file__).resolve().parents[2] / "checkpoints" / "minimonkey-tiny")
SETTINGS = {
    "max_steps": 3,
    "per_device_train_batch_size": 2,
    "learning_rate": 0.0,
    "logging_steps": 1,
    "use_cpu": True,
    "report_to": "none",
    "disable_tqdm": True,
    "save_strategy": "no",
    "seed": 6,  # draws 0.48, 1.0, 0.41, 0.27
}
SHARES = {"keep_ratio_range": [0.2, 0.9], "keep_ratio_full": 0.5}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    """Six images of noise, with long answers: would these score tokens, others were kept."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(6):
        image = PillowImage.fromarray(rng.integers(0, 256, (60, 60 + 30 * number, 3), dtype=np.uint8))
        question = [{"type": "image", "text": None}, {"type": "text", "text": f"What stands in line {number}?"}]
        answer = [{"type": "text", "text": "fresh bread and butter on sundays " * (1 + number % 2)}]
        chat = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        rows.append({"messages": chat, "images": [image]})
    folder = tmp_path_factory.mktemp("data")
    columns = {name: [row[name] for row in rows] for name in ("messages", "images")}
    Dataset.from_dict(columns).cast_column("images", List(Image())).to_parquet(folder / "train.parquet")
    return str(folder)


def make_trainer(data: str, folder: Path, arguments: dict | None = None, is_sft: bool = False, **options):
    arguments = FinetuneArguments(train_data=data, model=CHECKPOINT, **SHARES | (arguments or {}))
    if is_sft:
        options = {"bf16": False} | options
    kind, settings = (SFTTrainer, SFTConfig) if is_sft else (Trainer, TrainingArguments)
    return kind(**trainer_arguments(arguments, settings(output_dir=str(folder), **SETTINGS | options)))


def callback_of(trainer) -> RandomKeepRatio:
    (callback,) = [each for each in trainer.callback_handler.callbacks if isinstance(each, RandomKeepRatio)]
    return callback


def drawn(trainer, steps: int) -> list[float]:
    return [callback_of(trainer).draw(trainer.args.seed, step) for step in range(steps)]


def seen_by(model) -> list[float]:
    """While it is called: with which `keep_ratio`."""
    seen, model = [], getattr(model, "get_base_model", lambda: model)()

    def record(module, args, kwargs):
        seen.append(kwargs.get("keep_ratio") or module.config.keep_ratio)

    model.model.register_forward_pre_hook(record, with_kwargs=True)
    return seen


# What the loss sees


def test_shares_are_of_the_seed_and_the_step_and_as_often_full_as_told():
    callback = RandomKeepRatio(0.2, 0.9, full=0.25)
    shares = [callback.draw(0, step) for step in range(4000)]
    assert shares == [RandomKeepRatio(0.2, 0.9).draw(0, step) for step in range(4000)]
    assert shares[:50] != [callback.draw(1, step) for step in range(50)]
    parts = np.array([share for share in shares if share < 1])
    assert 1 - len(parts) / 4000 == pytest.approx(0.25, abs=0.03)
    assert 0.2 <= parts.min() < 0.21 and 0.89 < parts.max() <= 0.9 and parts.mean() == pytest.approx(0.55, abs=0.02)


@pytest.mark.parametrize("is_sft, queries", [(False, "question"), (True, "all")])
def test_the_loss_is_that_of_the_share_given_explicitly(data, tmp_path, is_sft, queries):
    trainer = make_trainer(data, tmp_path, {"queries": queries}, is_sft)
    step, seen = trainer.training_step, []

    def recording_step(model, inputs, *args):
        copied = dict(inputs)
        seen.append((copied, step(model, inputs, *args)))
        return seen[-1][1]

    trainer.training_step = recording_step
    trainer.train()
    model, shares = trainer.model, drawn(trainer, 3)
    assert len(seen) == 3 and len(set(shares)) == 3 and 1.0 in shares
    for (inputs, loss), share in zip(seen, shares, strict=True):
        del inputs["prompt_mask"]  # the model makes it of the labels
        with torch.no_grad():
            expected, other = (type(model).forward(model, **inputs, keep_ratio=ratio).loss for ratio in (share, 0.1))
        torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
        assert abs(loss - other) > 1e-3


class CallBetweenSteps(TrainerCallback):
    def __init__(self, batch: dict):
        self.batch = batch

    def on_log(self, args, state, control, model, logs, **kwargs):
        if "loss" in logs:
            model(**self.batch)


@pytest.mark.parametrize("train", ["full", "lora"])
def test_batches_of_accumulation_have_one_share(data, tmp_path, train):
    options = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 2}
    trainer = make_trainer(data, tmp_path, {"train": train, "keep_ratio": 0.1}, **options)
    trainer.add_callback(CallBetweenSteps(next(iter(trainer.get_train_dataloader()))))
    seen = seen_by(trainer.model)
    trainer.train()
    assert seen == [each for share in drawn(trainer, 3) for each in (share, share, 0.1)]


# What it leaves alone


class SaveWithinSteps(TrainerCallback):
    """As Trainer's own callback for SIGTERM does."""

    def on_pre_optimizer_step(self, args, state, control, model, **kwargs):
        model.config.save_pretrained(f"{args.output_dir}/within-{state.global_step}")


def test_evaluations_and_checkpoints_have_the_configured_share(data, tmp_path):
    often = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    trainer = make_trainer(data, tmp_path, {"keep_ratio": 0.5, "eval_samples": 2}, **often)
    trainer.add_callback(SaveWithinSteps())
    seen = seen_by(trainer.model)
    run(trainer)
    assert seen == [share for step in drawn(trainer, 3) for share in (step, 0.5)]
    configs = list(tmp_path.glob("**/config.json"))
    assert len(configs) == 7  # of the model, three checkpoints and the middles of three steps
    for path in configs:
        assert json.loads(path.read_text())["scale_compression_config"]["keep_ratio"] == 0.5


# Interrupted


class Interruption(TrainerCallback):
    """Ctrl-C within the fourth step."""

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        if state.global_step == 3:
            raise KeyboardInterrupt


LEARNING = {"max_steps": 4, "learning_rate": 5e-4, "save_strategy": "steps", "save_steps": 2}
LEARNING |= {"per_device_train_batch_size": 1}


def test_interrupted_and_resumed_it_ends_with_the_same_weights(data, tmp_path):
    run(make_trainer(data, tmp_path / "whole", **LEARNING))
    trainer = make_trainer(data, tmp_path / "resumed", **LEARNING)
    trainer.add_callback(Interruption())
    with pytest.raises(KeyboardInterrupt):
        run(trainer)
    assert Path(last_checkpoint(tmp_path / "resumed")).name == "checkpoint-2"
    trainer = make_trainer(data, tmp_path / "resumed", **LEARNING)
    seen = seen_by(trainer.model)
    run(trainer)
    assert seen == drawn(trainer, 4)[2:]
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "resumed"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_after_an_interruption_the_model_is_as_it_was(data, tmp_path):
    trainer = make_trainer(data, tmp_path, {"keep_ratio": 0.5}, max_steps=4, per_device_train_batch_size=1)
    trainer.add_callback(interruption := Interruption())
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    seen, batch = seen_by(trainer.model), next(iter(trainer.get_eval_dataloader(trainer.train_dataset)))
    trainer.model.eval()(**batch)
    assert trainer.model.config.keep_ratio == 0.5 and seen.pop() == 0.5
    trainer.remove_callback(interruption)
    trainer.train()
    assert seen == drawn(trainer, 4)
    trainer.model.train()(**batch)
    assert seen[4:] == [0.5]


# What it is told


@pytest.mark.parametrize("shares", [(0, 0.5), (0.5, 1.1), (0.9, 0.2), (float("nan"), 0.5), ("a", "b"), (None, 1)])
def test_shares_out_of_range_are_refused(shares):
    with pytest.raises(ValueError, match="`keep_ratio_range` must be two shares, 0 < low <= high <= 1, got"):
        RandomKeepRatio(*shares)


@pytest.mark.parametrize("full", [-0.1, 1.1, float("nan"), "a", None])
def test_a_share_of_full_steps_out_of_range_is_refused(full):
    with pytest.raises(ValueError, match="`keep_ratio_full` must be a share of the steps, 0 to 1, got"):
        RandomKeepRatio(0.2, 0.9, full=full)
