"""Scale Compression Mechanism (SCM): drop the detailed image tokens that the rest of the prompt attends to least.

Section 3.3 of https://huggingface.co/papers/2408.02034. The attention of one early language model layer, averaged over
its heads and over the tokens that follow an image's detailed tokens (all of them, as published, or the text alone),
scores those tokens. The share `keep_ratio` of them with the best scores is kept, in order, and so is every other
token. No parameters, no training.

The functions here hold no state and are independent of `generate` and of training: they turn a prompt into the mask of
the kept tokens (`compression_mask`), and a mask into a shorter prompt (`left_pack`).
"""

import copy

import torch
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import create_masks_for_generate

from .configuration_checks import shown


# The values of `tile_levels`: a level is the number of a tile's group, in the order of the processors' `TILE_GROUPS`
DETAILED_LEVEL, ADAPTIVE_LEVEL, GLOBAL_LEVEL = TILE_LEVELS = (0, 1, 2)
SUPPORTED_LANGUAGE_MODELS = ("llama", "phi3", "qwen2")
SCORING_ATTENTION = "minimonkey_scores"  # its name among Transformers' attention functions
QUERY_CHUNK = 64  # rows of the attention matrix in memory at once


def check_tile_levels(tile_levels: torch.Tensor) -> None:
    """Raise `ValueError` unless every level is 0 (detailed), 1 (adaptive) or 2 (global)."""
    if not torch.isin(tile_levels, torch.tensor(TILE_LEVELS, device=tile_levels.device)).all():
        raise ValueError(
            f"`tile_levels` must be 0, 1 or 2 (detailed, adaptive, global), got {shown(tile_levels.tolist())}."
        )


def kept_count(tokens: int, keep_ratio: float) -> int:
    """How many of an image's detailed tokens stay: `int(tokens * keep_ratio)`, at least one if there are any."""
    return min(tokens, max(int(tokens * keep_ratio), 1))


def detailed_images(image_mask: torch.Tensor, tile_levels: torch.Tensor, image_seq_length: int) -> torch.Tensor:
    """
    Find the detailed tokens, and the image that each belongs to.

    Args:
        image_mask (`torch.BoolTensor` of shape `(batch_size, sequence_length)`):
            True at image tokens. Consecutive ones are one image.
        tile_levels (`torch.LongTensor` of shape `(tiles,)`):
            Level of every tile in the order of the image tokens: 0 detailed, 1 adaptive, 2 global.
        image_seq_length (`int`):
            Image tokens per tile.

    Returns:
        `torch.LongTensor` of shape `(batch_size, sequence_length)`: at detailed tokens the number of their image in
        its row, from 1; elsewhere 0.

    Raises:
        `ValueError`: a level other than 0, 1 and 2, an image that is not a whole number of tiles, or a number of
        levels that is not the number of tiles.
    """
    check_tile_levels(tile_levels)
    starts = image_mask & ~torch.nn.functional.pad(image_mask, (1, 0))[:, :-1]
    images = starts.cumsum(dim=1) * image_mask  # number of the image in its row, 0 outside of images
    for row, image in starts.nonzero().tolist():
        length = int((images[row] == images[row, image]).sum())
        if length % image_seq_length:
            raise ValueError(
                f"Image {int(images[row, image])} of row {row} has {length} image tokens, which is not a whole number "
                f"of tiles of {image_seq_length} tokens."
            )
    tiles = int(image_mask.sum()) // image_seq_length
    if tile_levels.shape != (tiles,):
        raise ValueError(
            f"`tile_levels` must have one level for each of the {tiles} tiles in `input_ids`, got the shape "
            f"{tuple(tile_levels.shape)}."
        )
    levels = torch.full_like(images, -1)
    levels[image_mask] = tile_levels.to(levels).repeat_interleave(image_seq_length)
    return images.masked_fill(levels != DETAILED_LEVEL, 0)


@torch.no_grad()
def compression_mask(
    language_model: PreTrainedModel,
    inputs_embeds: torch.Tensor,
    attention_mask: torch.Tensor,
    position_ids: torch.Tensor,
    images: torch.Tensor,
    keep_ratio: float,
    layer: int,
    image_mask: torch.Tensor | None = None,
    queries: str = "all",
    prompt_mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """
    Score every row of a batch and select the tokens to keep. Rows run one by one and without their padding, so that
    rows of different lengths can't affect each other and no attention mask of N x N is needed.

    Args:
        language_model (`PreTrainedModel`):
            The decoder without its head: a Llama, Phi3 or Qwen2.
        inputs_embeds (`torch.Tensor` of shape `(batch_size, sequence_length, hidden_size)`):
            Embeddings with the image features in place.
        attention_mask (`torch.Tensor` of shape `(batch_size, sequence_length)`):
            0 at padding.
        position_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`):
            Positions, increasing over the tokens of a row.
        images (`torch.LongTensor` of shape `(batch_size, sequence_length)`):
            The detailed tokens, from `detailed_images`.
        keep_ratio (`float`):
            Share of each image's detailed tokens that stays.
        layer (`int`):
            Index of the layer whose attention scores the tokens.
        image_mask (`torch.BoolTensor` of shape `(batch_size, sequence_length)`, *optional*):
            True at image tokens, detailed or not; only `queries="question"` needs it.
        queries (`str`, *optional*, defaults to `"all"`):
            Whose attention scores the tokens, see [`ScaleCompressionConfig`].
        prompt_mask (`torch.BoolTensor` of shape `(batch_size, sequence_length)`, *optional*):
            False at answers to learn, whose attention doesn't count.

    Returns:
        `torch.BoolTensor` of shape `(batch_size, sequence_length)`: False at padding and at dropped tokens.
    """
    kept = attention_mask.to(torch.bool, copy=True)
    for row in images.any(dim=1).nonzero()[:, 0].tolist():
        tokens = attention_mask[row].nonzero()[:, 0]
        row_images, positions = images[row, tokens], position_ids[row, tokens]
        if (positions.diff() <= 0).any():
            raise ValueError(
                f"`position_ids` must increase along a row, those of row {row} do not. Scale compression needs "
                "one sequence per row, not several packed into one."
            )
        asking = None
        if prompt_mask is not None and prompt_mask[row, tokens].any():
            asking = prompt_mask[row, tokens]
        scores = token_scores(
            language_model,
            inputs_embeds[row, tokens][None],
            positions[None],
            row_images,
            layer,
            queries,
            image_mask[row, tokens] if queries == "question" else None,
            asking,
        )
        kept[row, tokens] = select_tokens(scores, row_images, keep_ratio)
    return kept


def token_scores(
    language_model: PreTrainedModel,
    inputs_embeds: torch.Tensor,
    position_ids: torch.Tensor,
    images: torch.Tensor,
    layer: int,
    queries: str = "all",
    image_mask: torch.Tensor | None = None,
    prompt_mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """
    The scores of one sequence by the `queries` of a [`ScaleCompressionConfig`]. They carry gradients, so that a
    training can teach where a question looks.

    Args:
        language_model, inputs_embeds, position_ids, images, layer: see [`score_detailed_tokens`].
        queries (`str`, *optional*, defaults to `"all"`): whose attention scores the tokens.
        image_mask, prompt_mask (`torch.BoolTensor` of shape `(sequence_length,)`, *optional*):
            See [`compression_mask`].

    Returns:
        `torch.Tensor` of shape `(sequence_length,)`, float32: the scores; what they are at tokens that are not
        detailed says nothing.
    """
    if queries == "none":
        return inputs_embeds[0].float().norm(dim=-1).to(images.device)
    if queries == "question":
        prompt_mask = question_tokens(image_mask, torch.ones_like(image_mask) if prompt_mask is None else prompt_mask)
    return score_detailed_tokens(language_model, inputs_embeds, position_ids, images, layer, prompt_mask)


def question_tokens(image_mask: torch.Tensor, prompt_mask: torch.Tensor) -> torch.Tensor:
    """
    The tokens of one row whose attention scores images by `queries="question"`: the text of its prompt, or all of the
    prompt if that ends with an image, which no text asks about. All are bool and of shape `(sequence_length,)`.
    """
    return prompt_mask & (~image_mask | image_mask[prompt_mask][-1])


def score_detailed_tokens(
    language_model: PreTrainedModel,
    inputs_embeds: torch.Tensor,
    position_ids: torch.Tensor,
    images: torch.Tensor,
    layer: int = 1,
    queries: torch.Tensor | None = None,
) -> torch.Tensor:
    """
    Mean attention that each detailed token of one sequence gets from the `queries` after its image's detailed block.

    The layers before `layer` run in full, with the model's own attention implementation. Of `layer` itself, only the
    norm and the attention's projections are computed; the softmax (in float32) takes `QUERY_CHUNK` queries after the
    first detailed block at a time, so time grows with queries x tokens, and memory linearly with the sequence.

    Args:
        language_model (`PreTrainedModel`):
            The decoder without its head.
        inputs_embeds (`torch.Tensor` of shape `(1, sequence_length, hidden_size)`):
            Embeddings of one sequence without padding.
        position_ids (`torch.LongTensor` of shape `(1, sequence_length)`):
            Positions.
        images (`torch.LongTensor` of shape `(sequence_length,)`):
            The number of the image at detailed tokens, 0 elsewhere.
        layer (`int`, *optional*, defaults to 1):
            Index of the layer whose attention scores the tokens.
        queries (`torch.BoolTensor` of shape `(sequence_length,)`, *optional*):
            True at the tokens whose attention counts; by default at all of them.

    Returns:
        `torch.Tensor` of shape `(sequence_length,)`, float32: the scores, 0 at tokens that are not detailed (and where
        no query follows the block).

    Raises:
        ValueError: the language model is not supported, or its weights are sharded across processes.
    """
    if language_model.config.model_type not in SUPPORTED_LANGUAGE_MODELS:
        raise ValueError(
            f"The Scale Compression Mechanism knows the language models {', '.join(SUPPORTED_LANGUAGE_MODELS)}, "
            f"got {language_model.config.model_type!r}."
        )
    scoring_layer = language_model.layers[layer]
    weight = scoring_layer.input_layernorm.weight
    if hasattr(weight, "device_mesh") or hasattr(weight, "ds_id"):  # how FSDP2 and ZeRO-3 mark sharded weights
        raise ValueError(
            "The Scale Compression Mechanism needs whole weights in every process: with FSDP or ZeRO-3, `keep_ratio` "
            "must be 1.0."
        )
    position_embeddings = language_model.rotary_emb(inputs_embeds, position_ids)
    hidden_states = _run_layers(language_model, inputs_embeds, position_ids, position_embeddings, layer)
    hidden_states = scoring_layer.input_layernorm(hidden_states)
    attention = copy.copy(scoring_layer.self_attn)  # the same weights under another attention function
    vars(attention).pop("forward", None)  # set by accelerate's offloading, it would call the original
    attention.config = copy.copy(attention.config)
    attention.config._attn_implementation = SCORING_ATTENTION
    _, scores = attention(
        hidden_states=hidden_states,
        position_embeddings=position_embeddings,
        attention_mask=None,
        images=images,
        queries=torch.ones_like(images, dtype=torch.bool) if queries is None else queries.to(images.device),
    )
    return scores.to(images.device)


def _run_layers(language_model, inputs_embeds, position_ids, position_embeddings, layer):
    config = language_model.config
    # Without position ids: the library would take their gaps for boundaries of packed sequences. By position: the
    # argument for the cache, here None, has another name from Transformers 5.24 on.
    masks = create_masks_for_generate(config, inputs_embeds, None, None)
    hidden_states = inputs_embeds
    for index, decoder_layer in enumerate(language_model.layers[:layer]):
        hidden_states = decoder_layer(
            hidden_states,
            attention_mask=masks[config.layer_types[index]] if isinstance(masks, dict) else masks,
            position_ids=position_ids,
            position_embeddings=position_embeddings,
            use_cache=False,
        )
    return hidden_states


def _scoring_attention(
    module, query, key, value, attention_mask, *, scaling, images, queries, sliding_window=None, **kwargs
):
    """
    An attention function for Transformers' `AttentionInterface` that returns zeros and the scores `(length,)` of one
    sequence, in place of outputs and weights. `query` is `(1, heads, length, head_dim)`, `key` the same with its own
    number of heads, both rotated; the softmax is in float32, over `QUERY_CHUNK` of the `queries` at a time.
    """
    length = key.shape[2]
    index = torch.arange(length, device=images.device)
    # Where the block of each token's image ends; no query counts for tokens outside of blocks.
    block_ends = index.new_zeros(length + 1).scatter_reduce(0, images, index, "amax")[images]
    block_ends = block_ends.masked_fill(images == 0, length)
    positions = (queries & (index > block_ends.min())).nonzero()[:, 0].tolist()  # of the queries after a block
    # How many queries follow each token's block
    following = torch.nn.functional.pad(queries.long().flip(0).cumsum(dim=0).flip(0), (0, 2))[block_ends + 1]
    index, block_ends = index.to(key.device), block_ends.to(key.device)
    query = query[0].unflatten(0, (key.shape[1], -1))
    key = key[0, :, None].float()  # (kv heads, 1, length, head_dim); query: (kv heads, groups, queries, head_dim)

    totals = torch.zeros(length, dtype=torch.float32, device=key.device)
    for start in range(0, len(positions), QUERY_CHUNK):
        chosen = positions[start : start + QUERY_CHUNK]
        stop = chosen[-1] + 1
        rows, columns = index[chosen, None], index[:stop]
        visible = columns <= rows
        if sliding_window is not None:
            visible &= columns > rows - sliding_window
        chunk = query[:, :, chosen].float() * scaling
        with torch.autocast(key.device.type, enabled=False):
            weights = chunk @ key[:, :, :stop].transpose(2, 3)  # (kv heads, query groups, rows, columns)
        weights = weights.masked_fill(~visible, -torch.inf).softmax(dim=-1)
        totals[:stop] += (weights.mean(dim=(0, 1)) * (rows > block_ends[:stop])).sum(dim=0)
    scores = totals / following.to(key.device).clamp(min=1)
    return value.new_zeros(1, length, query.shape[0] * query.shape[1], value.shape[-1]), scores


AttentionInterface.register(SCORING_ATTENTION, _scoring_attention)


def select_tokens(scores: torch.Tensor, images: torch.Tensor, keep_ratio: float) -> torch.Tensor:
    """
    Keep the `kept_count` detailed tokens of each image with the best scores (on equal scores, the earlier one) and
    every token that is not detailed.

    Args:
        scores (`torch.Tensor` of shape `(sequence_length,)`):
            Scores of the detailed tokens.
        images (`torch.LongTensor` of shape `(sequence_length,)`):
            The number of the image at detailed tokens, 0 elsewhere.
        keep_ratio (`float`):
            Share of the detailed tokens that stays.

    Returns:
        `torch.BoolTensor` of shape `(sequence_length,)`: True at tokens that stay.
    """
    kept = images == 0
    for image in images[~kept].unique().tolist():
        tokens = (images == image).nonzero()[:, 0]
        best = scores[tokens].argsort(descending=True, stable=True)[: kept_count(len(tokens), keep_ratio)]
        kept[tokens[best]] = True
    return kept


def left_pack(values: torch.Tensor, kept: torch.Tensor, width: int, padding: int) -> torch.Tensor:
    """
    Move the kept tokens of every row to its right end, in their order, and cut the batch to `width`.

    Args:
        values (`torch.Tensor` of shape `(batch_size, sequence_length)`):
            Ids, mask or positions.
        kept (`torch.BoolTensor` of shape `(batch_size, sequence_length)`):
            True at tokens that stay.
        width (`int`):
            Length of the new rows, at least that of the longest one and at most `sequence_length`.
        padding (`int`):
            What fills shorter rows, on the left.

    Returns:
        `torch.Tensor` of shape `(batch_size, width)`.
    """
    order = kept.long().argsort(dim=1, stable=True)[:, kept.shape[1] - width :]
    return values.gather(1, order).masked_fill(~kept.gather(1, order), padding)


def compressed_position_ids(position_ids: torch.Tensor, dropped: torch.Tensor, positions: str) -> torch.Tensor:
    """
    Positions after dropping, shape `(batch_size, sequence_length)`: with `positions="keep"` unchanged, with `"repack"`
    without the gaps that dropped tokens leave.
    """
    if positions == "keep":
        return position_ids
    return (position_ids - dropped.long().cumsum(dim=1)).clamp(min=0)
