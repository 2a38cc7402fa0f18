"""End a training that is lost: Trainer goes on with weights that are no numbers, and logs a loss of 0.

trainer = Trainer(..., callbacks=[StopAtNaN()])
"""

import math

from transformers import TrainerCallback


class StopAtNaN(TrainerCallback):
    """
    End a training whose gradients are no numbers, when it logs the next time; `examples/finetune.py` has it.

    Raises:
        ValueError: the norm of the gradients is not finite.
    """

    def on_log(self, args, state, control, logs, **kwargs):
        if not math.isfinite(logs.get("grad_norm", 0.0)):
            raise ValueError(
                f"The gradients became {logs['grad_norm']} by step {state.global_step}, and with them the weights. "
                "Try a lower `learning_rate`, or `bf16=False`."
            )
