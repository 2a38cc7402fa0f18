"""Fine-tune a Mini-Monkey model on chats with images (`finetune_data.py` describes their format).

    python examples/finetune.py --config examples/configs/published.yaml --train_data chats.jsonl --output_dir mine

All options of `TrainingArguments` can be given, on the command line or in the file. Run again with the same output
folder, training resumes from the last checkpoint and ends with the weights of a run that was never interrupted. At the
end the folder holds the model, its processor and code, ready for `from_pretrained` and `push.py`, with a card and a
plot of the losses; an adapter goes through `merge.py` first. `--push_to_hub true --hub_model_id you/mine` pushes it.
`--streaming true --max_steps 1000` reads a data set of the Hub while training.

The same with TRL's trainer: `finetune_sft.py`. Several processes: `accelerate launch examples/finetune.py ...`.
"""

import os


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin while they wait block the others

import json
import math
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import matplotlib
import torch


matplotlib.use("Agg")

from cards import TRAINING, write_card
from compression_options import check_options, command_options, set_options
from datasets import Dataset, Image, IterableDataset, List
from finetune_data import ChatCollator, load_chats
from matplotlib import pyplot as plt
from peft import LoraConfig, PeftModel, get_peft_model
from push import check_whole, merge_command, push
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    EarlyStoppingCallback,
    PreTrainedConfig,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
)
from transformers.utils import is_torch_bf16_gpu_available
from trl import TrlParser

import modeling_minimonkey  # noqa: F401  (makes the Auto classes know the model)
import processing_minimonkey  # noqa: F401
from modeling_minimonkey.training.random_keep_ratio import RandomKeepRatio
from modeling_minimonkey.training.stop_at_nan import StopAtNaN


CHECKPOINT = str(Path(__file__).resolve().parents[1] / "checkpoints" / "minimonkey-tiny")
LANGUAGE_LAYERS = r".*language_model.*_proj"  # every linear layer, including Phi-3's fused ones
RUN = "run.json"  # the settings that a run in this folder began with
STATE = "trainer_state.json"  # of a checkpoint, in the names of the library
SHUFFLED_AT_ONCE = 1000  # chats of a stream, with encoded images


@dataclass
class FinetuneArguments:
    """What to train, and on which data."""

    train_data: str = field(metadata={"help": "a .jsonl file, or a data set by folder or Hub id"})
    eval_data: str | None = field(default=None, metadata={"help": "the same, to evaluate on"})
    eval_samples: int = field(default=0, metadata={"help": "without eval_data: how many of train_data to hold out"})
    streaming: bool = field(default=False, metadata={"help": "read data sets while training; with --max_steps"})
    model: str = field(default=CHECKPOINT, metadata={"help": "folder or Hub id to begin with"})
    train: str = field(
        default="full", metadata={"help": "which weights", "choices": ["full", "projector", "language_model", "lora"]}
    )
    dtype: str = field(default="float32", metadata={"help": "of the weights; with --bf16 float32 ones train better"})
    lora_rank: int = field(default=16, metadata={"help": "of the LoRA matrices; their alpha is twice as much"})
    lora_modules: str = field(default=LANGUAGE_LAYERS, metadata={"help": "which modules, a regular expression"})
    pyramid: str | None = field(default=None, metadata={"help": "tiles in training: a name of PYRAMID_SETTINGS"})
    keep_ratio: float | None = field(default=None, metadata={"help": "SCM in training, and the model's from then on"})
    keep_ratio_range: list[float] | None = field(
        default=None, metadata={"help": "LOW HIGH: another keep_ratio in every step of the training, between these"}
    )
    keep_ratio_full: float = field(default=0.25, metadata={"help": "share of the steps that keep all tokens instead"})
    queries: str | None = field(
        default=None,
        metadata={"help": "whose attention scores image tokens from now on: all, question or none (their length)"},
    )
    scoring_layer: int | None = field(default=None, metadata={"help": "the layer whose attention it is"})
    positions: str | None = field(default=None, metadata={"help": "repack: kept tokens without gaps; keep: as before"})
    patience: int | None = field(default=None, metadata={"help": "stop after so many evaluations without progress"})

    def __post_init__(self):
        check_options(vars(self))
        shares = self.keep_ratio_range
        if shares is None:
            if self.keep_ratio_full != type(self).keep_ratio_full:
                raise ValueError("`keep_ratio_full` needs `keep_ratio_range`, of whose steps it is a share.")
        elif not isinstance(shares, list | tuple) or len(shares) != 2:
            raise ValueError(f"`keep_ratio_range` must be two shares, the lowest and the highest, got {shares!r}.")
        else:
            self.keep_ratio_range = list(shares)  # as JSON has it
            RandomKeepRatio(*shares, full=self.keep_ratio_full)  # which checks them


def load_config(arguments: FinetuneArguments) -> PreTrainedConfig:
    """The configuration of the model, with the settings of scale compression that `arguments` give."""
    check_whole(Path(arguments.model))
    config = AutoConfig.from_pretrained(arguments.model, trust_remote_code=True)
    set_options(config, vars(arguments))
    return config


def load_model(arguments: FinetuneArguments) -> PreTrainedModel:
    """The model with only those weights trainable that `arguments.train` names."""
    model = AutoModelForImageTextToText.from_pretrained(
        arguments.model, config=load_config(arguments), trust_remote_code=True, dtype=arguments.dtype
    )
    if arguments.train == "lora":
        settings = {"r": arguments.lora_rank, "lora_alpha": 2 * arguments.lora_rank}
        return get_peft_model(model, LoraConfig(target_modules=arguments.lora_modules, **settings))
    parts = {
        "full": [model],
        "projector": [model.model.multi_modal_projector],
        "language_model": [model.model.language_model, model.lm_head],
    }
    model.requires_grad_(False)
    for part in parts[arguments.train]:
        part.requires_grad_(True)
    return model


def load_data(arguments: FinetuneArguments, seed: int, processor) -> tuple[Dataset | IterableDataset, ...]:
    """Chats to train on, and to evaluate on or `None`. `Trainer` doesn't shuffle streams: they are shuffled here."""
    train, evaluate = load_chats(arguments.train_data, streaming=arguments.streaming, processor=processor), None
    is_stream = isinstance(train, IterableDataset)
    if arguments.eval_data is not None:
        evaluate = load_chats(arguments.eval_data, streaming=arguments.streaming, processor=processor)
    elif arguments.eval_samples and is_stream:
        train, evaluate = train.skip(arguments.eval_samples), train.take(arguments.eval_samples)
    elif arguments.eval_samples:
        parts = train.train_test_split(test_size=arguments.eval_samples, seed=seed)
        train, evaluate = parts["train"], parts["test"]
    if is_stream:
        train = train.shuffle(seed=seed, buffer_size=SHUFFLED_AT_ONCE)
    return train, evaluate


def last_checkpoint(folder: str) -> str | None:
    """The newest complete checkpoint: trainer_state.json is written last, and lacks its end if the run was killed."""
    steps = {path: path.name.split("-")[1] for path in Path(folder).glob("checkpoint-*") if is_json(path / STATE)}
    found = [path for path, step in steps.items() if step.isdecimal()]
    return str(max(found, key=lambda path: int(steps[path]))) if found else None


def is_json(path: Path) -> bool:
    """Whether a file is there and is whole JSON."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def plot_losses(log_history: list[dict], path: Path) -> None:
    """Draw training and evaluation loss over the steps."""
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, label in (("loss", "training"), ("eval_loss", "evaluation")):
        points = [(entry["step"], float(entry[name])) for entry in log_history if name in entry]
        if points:
            axis.plot(*zip(*points, strict=True), label=label, marker="o" if name == "eval_loss" else None)
    axis.set(xlabel="step", ylabel="loss of the answers' tokens", ylim=(0, None))
    if axis.lines:
        axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def chats_per_step(args: TrainingArguments) -> int:
    """In all processes and steps of accumulation together."""
    return args.train_batch_size * args.gradient_accumulation_steps * args.world_size


def training_report(trainer: Trainer, arguments: FinetuneArguments) -> str:
    """What a card says of a training: data, what was trained, steps, losses."""
    args, history = trainer.args, trainer.state.log_history
    data = Path(arguments.train_data).name if Path(arguments.train_data).exists() else arguments.train_data
    losses = [entry["loss"] for entry in history if "loss" in entry]
    evaluations = [entry["eval_loss"] for entry in history if "eval_loss" in entry]
    lines = [
        f"- data: `{data}`",
        f"- trained: `{arguments.train}`, {trainer.state.global_step} steps in batches of {chats_per_step(args)}, "
        f"learning rate {args.learning_rate:g} ({args.lr_scheduler_type.value}), seed {args.seed}",
        f"- tiles: {arguments.pyramid or 'as above'}; keep_ratio {training_shares(arguments)}",
        *([f"- training loss: {float(losses[0]):.3f} at first, {float(losses[-1]):.3f} at last"] if losses else []),
        *([f"- evaluation loss: {evaluations[-1]:.3f}"] if evaluations else []),
    ]
    return "\n".join([*lines, "", "![Losses of the training over its steps](loss.png)"])


def training_shares(arguments: FinetuneArguments) -> str:
    """What a card says of `keep_ratio` in training."""
    if arguments.keep_ratio_range is None:
        return f"{arguments.keep_ratio or 'as above'}"
    low, high = arguments.keep_ratio_range
    return f"from {low:g} to {high:g}, another in every step, and 1 in {arguments.keep_ratio_full:.0%} of them"


def run(trainer: Trainer, arguments: FinetuneArguments | None = None) -> None:
    """
    Train to the end, save what was trained and a figure of the losses; with `arguments` a card, too, or for an adapter
    what `merge.py` puts into one. With `push_to_hub` push the folder as `push.py` does.

    Raises:
        ValueError: `push_to_hub` is set for an adapter, which has to be merged first.
    """
    output = trainer.args.output_dir
    push_to_hub, trainer.args.push_to_hub = trainer.args.push_to_hub, False  # Trainer's own takes pickles along
    is_adapter = isinstance(trainer.model, PeftModel)
    if push_to_hub and is_adapter:
        raise ValueError(f"`push_to_hub` must be False for an adapter. {next_step(output, arguments)}")
    if arguments is not None:
        check_run(trainer, arguments)
    trainer.train(resume_from_checkpoint=trainer.args.resume_from_checkpoint or last_checkpoint(output))
    trainer.save_model()
    if trainer.is_world_process_zero():
        trainer.save_state()
        plot_losses(trainer.state.log_history, Path(output, "loss.png"))
        if arguments is not None:
            Path(output, TRAINING).write_text(training_report(trainer, arguments), encoding="utf-8")
            if not is_adapter:
                write_card(Path(output), trainer.hub_model_id or f"you/{Path(output).name}", arguments.model)
        if push_to_hub:
            options = {"private": trainer.args.hub_private_repo, "token": trainer.args.hub_token}
            push(Path(output), trainer.hub_model_id, **options)
        print(next_step(output, arguments) if is_adapter else f"Next: python examples/push.py {output} you/name")
    if trainer.args.world_size > 1:
        time.sleep(1)  # gloo's threads need the interpreter to release the last collective: without this, exit aborts
    trainer.end()


def check_run(trainer: Trainer, arguments: FinetuneArguments) -> None:
    """
    Refuse a run that would learn nothing, or go on from a checkpoint with other settings than it began with.

    Raises:
        ValueError: names the settings.
    """
    args, output, batch = trainer.args, Path(trainer.args.output_dir), chats_per_step(trainer.args)
    steps = args.max_steps
    if steps < 0:
        steps = math.ceil(args.num_train_epochs * math.ceil(len(trainer.train_dataset) / batch))
    if args.get_warmup_steps(steps) >= steps:
        raise ValueError(
            f"{arguments.train_data} gives {steps} step(s) in batches of {batch}, all of them warm-up: nothing would "
            "be learned. Raise `--num_train_epochs`, or lower `--gradient_accumulation_steps`."
        )
    settings = asdict(arguments) | {name: getattr(args, name) for name in ("learning_rate", "seed")} | {"batch": batch}
    begun = output / RUN
    if last_checkpoint(str(output)) and is_json(begun):
        before = json.loads(begun.read_text(encoding="utf-8"))
        changed = [
            f"{name} {before[name]!r}, not {settings[name]!r}" for name in before if before[name] != settings[name]
        ]
        if changed:
            raise ValueError(
                f"{output} holds a run with {'; '.join(changed)}. Go on with its settings, or give another "
                "`--output_dir`."
            )
    if trainer.is_world_process_zero():
        output.mkdir(parents=True, exist_ok=True)
        begun.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def next_step(adapter: str, arguments: FinetuneArguments | None) -> str:
    """What to do with an adapter, whose files don't hold the model's settings of scale compression."""
    options = "" if arguments is None else command_options(vars(arguments))
    return f"Next, merge it: {merge_command(adapter)}{options}"


def check_images(chats: Dataset | IterableDataset, name: str) -> None:
    """Raise `ValueError` if there is nothing to compress; the images of a stream aren't known before."""
    if not isinstance(chats, IterableDataset):
        rows = chats.select_columns(["images"]).cast_column("images", List(Image(decode=False)))
        if not any(row["images"] for row in rows):
            raise ValueError(f"`keep_ratio_range` is a share of image tokens, but {name} has no images.")


def trainer_arguments(arguments: FinetuneArguments, training: TrainingArguments) -> dict:
    """The arguments of both trainers: model, processor, chats, batches, callbacks."""
    load_config(arguments)  # first: it is small, and says what doesn't fit
    training.remove_unused_columns = False  # images and messages are not arguments of the model
    # accelerate splits the batches of a stream by rows, but `pixel_values` has a row for each tile
    training.accelerator_config.dispatch_batches = False
    processor = AutoProcessor.from_pretrained(arguments.model, trust_remote_code=True)
    images_kwargs = {"pyramid": arguments.pyramid} if arguments.pyramid else {}
    train, evaluate = load_data(arguments, training.seed, processor)
    callbacks = [StopAtNaN(), *([EarlyStoppingCallback(arguments.patience)] if arguments.patience else [])]
    if arguments.keep_ratio_range is not None:
        check_images(train, arguments.train_data)
        callbacks.append(RandomKeepRatio(*arguments.keep_ratio_range, full=arguments.keep_ratio_full))
    return {
        "model": load_model(arguments),
        "args": training,
        "train_dataset": train,
        "eval_dataset": evaluate,
        "data_collator": ChatCollator(processor, **images_kwargs),
        "processing_class": processor,
        "callbacks": callbacks,
    }


def parse(settings: type[TrainingArguments]) -> tuple[FinetuneArguments, TrainingArguments]:
    """The command line and the file that it names; in bfloat16 where a GPU can, unless they say otherwise."""
    parser = TrlParser((FinetuneArguments, settings))
    parser.set_defaults(bf16=is_torch_bf16_gpu_available())
    return parser.parse_args_and_config()


def main(settings: type[TrainingArguments] = TrainingArguments, trainer: type[Trainer] = Trainer) -> None:
    # On an H100 cuDNN's attention gives NaN as gradients of some padded batches (torch 2.11 to 2.13, pytorch #196678)
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        arguments, training = parse(settings)
        run(trainer(**trainer_arguments(arguments, training)), arguments)
    except (OSError, ValueError) as error:  # a file, a setting or the Hub: the message says what is wrong
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
