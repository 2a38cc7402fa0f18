"""The optimizers of the stages of training."""

from __future__ import annotations

import re
from collections import defaultdict

import torch
from torch import nn


BETAS, WEIGHT_DECAY = (0.9, 0.98), 0.05  # of AdamW; of both


def make_optimizer(model: nn.Module, learning_rate: float, muon: bool) -> torch.optim.Optimizer:
    """The optimizer of a stage, for the trainable parameters of `model`: `MuonWithAdamW`, or AdamW alone."""
    if muon:
        return MuonWithAdamW(model, learning_rate)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(trainable, lr=learning_rate, betas=BETAS, weight_decay=WEIGHT_DECAY)


class Float32Muon(torch.optim.Muon):
    """
    `torch.optim.Muon` with its matrices multiplied in float32: in bfloat16 a processor without units for it takes
    twenty times as long. Updates are scaled to AdamW's size ("match_rms_adamw").
    """

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """Update the weights; `closure` is not called. Matrices of a shape are multiplied together."""
        for group in self.param_groups:
            alike = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape].append(parameter)
            for parameters in alike.values():
                updates = torch.stack([self._momentum(parameter, group["momentum"]) for parameter in parameters])
                updates = orthogonalized(updates, group["ns_coefficients"], group["ns_steps"])
                for parameter, update in zip(parameters, updates, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update, alpha=-0.2 * group["lr"] * max(parameter.shape) ** 0.5)

    def _momentum(self, parameter: torch.Tensor, momentum: float) -> torch.Tensor:
        """The gradient with Nesterov's momentum."""
        buffer = self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
        buffer.lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(buffer, momentum)


def orthogonalized(matrices: torch.Tensor, coefficients: tuple[float, float, float], steps: int) -> torch.Tensor:
    """
    The nearest matrices with singular values near one, by Newton and Schulz (github.com/KellerJordan/Muon); of shape
    (matrices, rows, columns).
    """
    a, b, c = coefficients
    is_tall = matrices.shape[1] > matrices.shape[2]
    wide = matrices.mT if is_tall else matrices
    wide = wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = wide @ wide.mT
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide.mT if is_tall else wide


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon for the matrices inside of the layers, AdamW for everything else, as one optimizer that Trainer can save.

    At this size Muon needs about half of AdamW's steps (benchmarks/LOG.md).

    Args:
        model: Its trainable parameters are optimized.
        learning_rate: Of AdamW. Muon's is three times as high, in units of an update of AdamW's size.
        weight_decay: Of both.
    """

    def __init__(self, model: nn.Module, learning_rate: float, weight_decay: float = WEIGHT_DECAY):
        matrices, others = [], []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                is_matrix = parameter.ndim == 2 and re.search(r"layers?\.\d+\.", name)
                (matrices if is_matrix else others).append(parameter)
        self.parts = [
            Float32Muon(matrices, lr=3 * learning_rate, weight_decay=weight_decay),
            torch.optim.AdamW(others, lr=learning_rate, betas=BETAS, weight_decay=weight_decay),
        ]
        super().__init__([part.param_groups[0] for part in self.parts], {})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """Update the weights; `closure` is not called."""
        # Loading a state replaces groups and state, so both are handed on at every step
        for part, group in zip(self.parts, self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state
            part.step()
