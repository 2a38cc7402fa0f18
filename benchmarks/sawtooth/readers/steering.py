"""
Train the question to look where the answer will be read from, so that it steers what scale compression keeps.

Scale compression takes no gradient: the question's attention scores tokens as it happens to be. Here it learns from
the answer's own attention, which knows where the answer stands, in the same step and without any label of places.
"""

from __future__ import annotations

import torch
from transformers import Trainer

from modeling_minimonkey.scale_compression import detailed_images, question_tokens


WEIGHT = 0.3  # of this loss beside that of the answer's tokens


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

    def looked_at(weights: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        seen = (tokens[:, :, None] * weights.mean(dim=1)).sum(dim=1) * detailed  # (rows, length)
        return seen[rows] / seen[rows].sum(dim=1, keepdim=True).clamp(min=1e-9)

    with torch.no_grad():
        target = torch.stack([looked_at(weights, answer) for weights in attentions[layer:]]).mean(dim=0)
    return -(target * looked_at(attentions[layer], question).clamp(min=1e-9).log()).sum(dim=1).mean()


class SteeringTrainer(Trainer):
    """Adds `steering_loss` to the loss of a Mini-Monkey, whose attention must be eager."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
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
        loss = loss + WEIGHT * steering_loss(outputs.attentions, layer, detailed, question, labels != -100)
        return (loss, outputs) if return_outputs else loss
