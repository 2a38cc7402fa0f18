"""Training under a compression that is drawn anew in every step, so that a model reads however it is compressed."""

from __future__ import annotations

import random

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.training.random_keep_ratio import RandomKeepRatio


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

    def on_evaluate(self, args, state, control, model, **kwargs):
        configure(model)

    def on_train_end(self, args, state, control, model=None, **kwargs):
        super().on_train_end(args, state, control, **kwargs)
        if model is not None:
            configure(model)


def configure(model: MiniMonkeyForConditionalGeneration) -> None:
    """What keeps most: the section on scoring in results/6m-drawn.md."""
    config = model.config.scale_compression_config
    config.queries, config.layer, config.positions = "question", 2, "keep"
