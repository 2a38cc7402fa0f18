"""Train under scale compression with another share of tokens in every step, so that a model learns to read with gaps.

    trainer = Trainer(..., callbacks=[RandomKeepRatio(0.2, 0.9, full=0.25)])

For `Trainer` and those of TRL; `finetune.py` has it as `--keep_ratio_range 0.2 0.9 --keep_ratio_full 0.25`.
"""

import random
from collections.abc import Sequence
from numbers import Real

from torch import nn
from transformers import TrainerCallback


class RandomKeepRatio(TrainerCallback):
    """
    Call the model with a `keep_ratio` that is drawn anew for every step; the configured one, which evaluations and
    checkpoints have, stays what it is.

    The share of a step follows from the training's seed and the step's number alone: all processes and batches of
    accumulation have the same, and a run that goes on from a checkpoint has those of one that was never interrupted.

    Args:
        low (`float`): smallest share, above 0.
        high (`float`): largest share, at most 1; shares are uniform between both.
        full (`float`, *optional*, defaults to 0.25): share of the steps that keep all tokens instead, 0 to 1.

    Attributes:
        references (`Sequence[nn.Module]`):
            Models besides the trained one that are called with its share. Set it before `train()`, for DPO to
            `[trainer.ref_model]`; an adapter's reference is the model itself and needs nothing.

    Raises:
        ValueError: the shares are not in these ranges, or `low` is above `high`.
    """

    def __init__(self, low: float, high: float, full: float = 0.25):
        if not (isinstance(low, Real) and isinstance(high, Real) and 0 < low <= high <= 1):
            raise ValueError(f"`keep_ratio_range` must be two shares, 0 < low <= high <= 1, got {low!r} and {high!r}.")
        if not (isinstance(full, Real) and 0 <= full <= 1):
            raise ValueError(f"`keep_ratio_full` must be a share of the steps, 0 to 1, got {full!r}.")
        self.low, self.high, self.full = low, high, full
        self.references: Sequence[nn.Module] = ()
        self.model, self.hooks = None, []
        self.keep_ratio = None  # of the step that runs

    def draw(self, seed: int, step: int) -> float:
        """The `keep_ratio` of a step."""
        rng = random.Random(f"{seed} {step}")
        return 1.0 if rng.random() < self.full else rng.uniform(self.low, self.high)

    def on_train_begin(self, args, state, control, model, **kwargs):
        self.on_train_end(args, state, control)  # a training that an error ended has left its hooks
        self.model = model
        self.hooks = [
            each.register_forward_pre_hook(self.set_keep_ratio, with_kwargs=True) for each in (model, *self.references)
        ]

    def on_step_begin(self, args, state, control, **kwargs):
        self.keep_ratio = self.draw(args.seed, state.global_step)

    def on_step_end(self, args, state, control, **kwargs):
        self.keep_ratio = None

    def on_train_end(self, args, state, control, **kwargs):
        for hook in self.hooks:
            hook.remove()
        self.model, self.hooks, self.keep_ratio = None, [], None

    def set_keep_ratio(self, module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
        """The arguments of a call in a training step; `None`, as they are, of others."""
        # In a step that an error ended, the model is asked to evaluate before it is used
        if self.keep_ratio is None or not self.model.training:
            return None
        return args, kwargs | {"keep_ratio": self.keep_ratio}
