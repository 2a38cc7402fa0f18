"""What the training stages share: the sizes of the models, the optimizer, the settings of the Trainer."""

from __future__ import annotations

import argparse
import re

import torch
from torch import nn
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint


SIZES = {
    # name: ((width, layers, heads) of the vision tower, of the language model)
    "3m": ((160, 5, 4), (192, 3, 3)),
    "6m": ((192, 6, 3), (256, 4, 4)),
    "10m": ((256, 6, 4), (320, 4, 5)),
}


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon for the matrices inside of the layers, AdamW for everything else, as one optimizer that Trainer can save.

    At this size Muon needs about half of AdamW's steps (benchmarks/LOG.md).

    Args:
        model: Its trainable parameters are optimized.
        learning_rate: Of AdamW. Muon's is three times as high, in units of an update of AdamW's size.
        weight_decay: Of both.
    """

    def __init__(self, model: nn.Module, learning_rate: float, weight_decay: float = 0.05):
        matrices, others = [], []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                is_matrix = parameter.ndim == 2 and re.search(r"layers?\.\d+\.", name)
                (matrices if is_matrix else others).append(parameter)
        self.parts = [
            torch.optim.Muon(
                matrices, lr=3 * learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.98), weight_decay=weight_decay),
        ]
        super().__init__([part.param_groups[0] for part in self.parts], {})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        # Loading a state replaces groups and state, so both are handed on at every step
        for part, group in zip(self.parts, self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state
            part.step()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every stage."""
    parser.add_argument(
        "--output", required=True, help="folder of the stage; a second run goes on where this one ended"
    )
    parser.add_argument("--size", choices=SIZES, default="6m")
    parser.add_argument("--steps", type=int, help="updates; default: the stage's own")
    parser.add_argument("--learning-rate", type=float, help="of AdamW; default: the stage's own")
    parser.add_argument("--seed", type=int, default=0)


def train(trainer_kwargs: dict, arguments: argparse.Namespace, **settings) -> Trainer:
    """Train from the beginning, or from the last checkpoint in the output folder, to the end."""
    settings = {
        "output_dir": arguments.output,
        "max_steps": arguments.steps,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 50,
        "bf16": torch.cuda.is_available(),  # on a CPU without matrix units bfloat16 is half as fast as float32
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_num_workers": 8 if torch.cuda.is_available() else 1,
        "remove_unused_columns": False,
        "eval_strategy": "steps",
        "eval_steps": 250,
        "save_steps": 250,
        "save_total_limit": 2,
        "logging_steps": 50,
        "report_to": [],
        "seed": arguments.seed,
    } | settings
    optimizer = MuonWithAdamW(trainer_kwargs["model"], arguments.learning_rate)
    trainer = Trainer(args=TrainingArguments(**settings), optimizers=(optimizer, None), **trainer_kwargs)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(arguments.output))
    trainer.save_state()
    return trainer
