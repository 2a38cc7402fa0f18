"""Train under scale compression with another share of tokens in every step, so that a model learns to read with gaps.

    trainer = Trainer(..., callbacks=[RandomKeepRatio(0.2, 0.9, full=0.25)])

For `Trainer` and those of TRL; `finetune.py` has it as `--keep_ratio_range 0.2 0.9 --keep_ratio_full 0.25`.
"""

import random

from transformers import TrainerCallback


class RandomKeepRatio(TrainerCallback):
    """
    Draw the model's `keep_ratio` anew for every step; evaluations and checkpoints have the configured one.

    The share of a step follows from the training's seed and the step's number alone: all processes and batches of
    accumulation have the same, and a run that goes on from a checkpoint has those of one that was never interrupted.

    Args:
        low (`float`): smallest share, above 0.
        high (`float`): largest share, at most 1; shares are uniform between both.
        full (`float`, *optional*, defaults to 0.25): share of the steps that keep all tokens instead, 0 to 1.

    Raises:
        ValueError: the shares are not in these ranges, or `low` is above `high`.
    """

    def __init__(self, low: float, high: float, full: float = 0.25):
        if not 0 < low <= high <= 1:
            raise ValueError(f"`keep_ratio_range` must be two shares, 0 < low <= high <= 1, got {low} and {high}.")
        if not 0 <= full <= 1:
            raise ValueError(f"`keep_ratio_full` must be a share of the steps, 0 to 1, got {full}.")
        self.low, self.high, self.full = low, high, full
        self.configured = None  # the model's own `keep_ratio`, during a step

    def draw(self, seed: int, step: int) -> float:
        """The `keep_ratio` of a step."""
        rng = random.Random(f"{seed} {step}")
        return 1.0 if rng.random() < self.full else rng.uniform(self.low, self.high)

    def on_step_begin(self, args, state, control, model, **kwargs):
        settings = model.config.scale_compression_config
        self.configured = settings.keep_ratio
        settings.keep_ratio = self.draw(args.seed, state.global_step)

    def on_step_end(self, args, state, control, model, **kwargs):
        model.config.scale_compression_config.keep_ratio = self.configured
