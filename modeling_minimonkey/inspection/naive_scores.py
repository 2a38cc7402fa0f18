"""A naive implementation of the scores of scale compression, to compare `scale_compression.py` with."""

import torch
from transformers import PreTrainedModel


def naive_scores(
    language_model: PreTrainedModel,
    inputs_embeds: torch.Tensor,
    position_ids: torch.Tensor,
    images: torch.Tensor,
    layer: int = 1,
    queries: torch.Tensor | None = None,
) -> torch.Tensor:
    """
    The mean attention that each detailed token gets, from the whole model's attention matrices of N x N.

    Args:
        language_model (`PreTrainedModel`): the decoder without its head, with `attn_implementation="eager"`.
        inputs_embeds, position_ids, images, layer, queries: see [`score_detailed_tokens`].

    Returns:
        `torch.Tensor` of shape `(sequence_length,)`, float32: the scores, 0 at tokens that are not detailed.
    """
    attention_mask = torch.ones_like(position_ids)  # without it, gaps in the positions pass for packed sequences
    outputs = language_model(
        inputs_embeds=inputs_embeds,
        attention_mask=attention_mask,
        position_ids=position_ids,
        output_attentions=True,
        use_cache=False,
    )
    attentions = outputs.attentions[layer][0]  # (heads, length, length)
    scores = torch.zeros(images.shape[0])
    for image in range(1, int(images.max()) + 1):
        tokens = (images == image).nonzero()[:, 0]
        if not len(tokens):
            continue
        asking = [row for row in range(int(tokens[-1]) + 1, len(images)) if queries is None or queries[row]]
        if asking:
            scores[tokens] = attentions[:, asking][:, :, tokens].mean(dim=1).mean(dim=0).float()
    return scores
