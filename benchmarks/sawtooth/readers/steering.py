"""
Train the question to look where the answer will be read from, so that it steers what scale compression keeps.

Scale compression takes no gradient: the question's attention scores tokens as it happens to be. Here it learns from
the answer's own attention, which knows where the answer stands, in the same step and without any label of places; or,
where a model doesn't find the answer yet, from the place where it was drawn.
"""

from __future__ import annotations

import torch
from transformers import Trainer

from modeling_minimonkey.scale_compression import detailed_images, question_tokens


WEIGHT = 0.3  # of this loss beside that of the answer's tokens
POINTING_WEIGHT = 1.0


def looked_at(weights: torch.Tensor, tokens: torch.Tensor, detailed: torch.Tensor) -> torch.Tensor:
    """
    Where `tokens` look, as shares of the detailed tokens: of shape (rows, length), from the attention `weights` of
    one layer, (rows, heads, length, length), and bool tensors of shape (rows, length).
    """
    seen = (tokens[:, :, None] * weights.mean(dim=1)).sum(dim=1) * detailed  # (rows, length)
    return seen / seen.sum(dim=1, keepdim=True).clamp(min=1e-9)


def looking_loss(
    weights: torch.Tensor, detailed: torch.Tensor, question: torch.Tensor, target: torch.Tensor, rows: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of where the question looks against the shares `target`, (rows, length); the mean of `rows`."""
    entropy = -(target * looked_at(weights, question, detailed).clamp(min=1e-9).log()).sum(dim=1)
    return entropy[rows].mean()


def steering_loss(
    attentions: tuple[torch.Tensor, ...],
    layer: int,
    detailed: torch.Tensor,
    question: torch.Tensor,
    answer: torch.Tensor,
) -> torch.Tensor:
    """
    Cross-entropy of where the question's tokens look in the layer that scores, against where the answer's tokens look
    in this and the later layers; both as shares of the detailed tokens, the mean over the rows that have some.

    Args:
        attentions: Of every layer, (rows, heads, length, length).
        layer: The one that scores.
        detailed, question, answer: Which tokens are, bool of shape (rows, length).
    """
    rows = detailed.any(dim=1) & question.any(dim=1) & answer.any(dim=1)
    if not rows.any():
        return attentions[layer].new_zeros(())
    with torch.no_grad():
        target = torch.stack([looked_at(weights, answer, detailed) for weights in attentions[layer:]]).mean(dim=0)
    return looking_loss(attentions[layer], detailed, question, target, rows)


def pointing_loss(
    weights: torch.Tensor, detailed: torch.Tensor, question: torch.Tensor, asked: torch.Tensor
) -> torch.Tensor:
    """
    As `steering_loss`, against the tokens that show what is `asked` for, each as much: where the answer's own
    attention doesn't know yet where to look. The mean over the rows that have such tokens.

    Args:
        weights: Attention of the layer that scores, (rows, heads, length, length).
        detailed, question, asked: Which tokens are, bool of shape (rows, length).
    """
    rows = asked.any(dim=1) & question.any(dim=1)
    if not rows.any():
        return weights.new_zeros(())
    target = asked / asked.sum(dim=1, keepdim=True).clamp(min=1)
    return looking_loss(weights, detailed, question, target, rows)


class SteeringTrainer(Trainer):
    """
    Adds `steering_loss` to the loss of a Mini-Monkey, whose attention must be eager; and `pointing_loss` for the rows
    in which `asked` of the inputs, bool of shape (rows, length), says where to look.
    """

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        asked = inputs.get("asked", torch.zeros_like(inputs["input_ids"], dtype=torch.bool))
        inputs = {name: value for name, value in inputs.items() if name != "asked"}
        if not model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        given = inputs | {"output_attentions": True}
        loss, outputs = super().compute_loss(model, given, True, num_items_in_batch)
        config, labels = model.config, inputs["labels"]
        real, image = inputs["attention_mask"].bool(), inputs["input_ids"] == config.image_token_id
        detailed = detailed_images(image, inputs["tile_levels"], config.image_seq_length) > 0
        question = torch.stack([question_tokens(*row) for row in zip(image, real & (labels == -100), strict=True)])
        question &= detailed.flip(1).cumsum(dim=1).flip(1) == 0  # after the block
        layer = config.scale_compression_config.layer
        unknown = detailed & ~asked.any(dim=1, keepdim=True)
        loss = loss + WEIGHT * steering_loss(outputs.attentions, layer, unknown, question, labels != -100)
        loss = loss + POINTING_WEIGHT * pointing_loss(outputs.attentions[layer], detailed, question, asked)
        return (loss, outputs) if return_outputs else loss
