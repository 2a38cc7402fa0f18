"""What a batch teaches: its answers, chat as it was before, and under compression where a question looks."""

import numpy as np
import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from benchmarks.sawtooth.pretrained.conversations import normalize
from benchmarks.sawtooth.pretrained.model import without_adapter
from benchmarks.sawtooth.readers.sequences import IGNORED
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.scale_compression import compressed_position_ids, select_tokens, token_scores


LOOKING = 0.3  # weight of where the question looks, beside the answers


def image_features(model: MiniMonkeyForConditionalGeneration, tiles: np.ndarray) -> torch.Tensor:
    """Features of uint8 tiles, of shape (tiles, image_seq_length, hidden_size)."""
    pixel_values = normalize(tiles, model.lm_head.weight.device)
    return model.model.get_image_features(pixel_values, return_dict=True).pooler_output


def embed(model: MiniMonkeyForConditionalGeneration, ids: np.ndarray, tiles: np.ndarray) -> torch.Tensor:
    """
    Embeddings with the features of the images in place: (rows, length, hidden_size).

    Args:
        ids: int of shape (rows, length).
        tiles: uint8 of shape (tiles, height, width, channels).
    """
    input_ids = torch.from_numpy(ids).to(model.lm_head.weight.device)
    embeds = model.get_input_embeddings()(input_ids)
    if len(tiles):
        features = image_features(model, tiles).flatten(0, 1).to(embeds.dtype)
        embeds = embeds.masked_scatter((input_ids == model.config.image_token_id)[..., None], features)
    return embeds


def answer_logits(
    model, embeds: torch.Tensor, labels: np.ndarray, position_ids: torch.Tensor | None = None
) -> torch.Tensor:
    """
    The logits of each token with a label, row after row: float32 of shape (tokens, vocab_size).

    The head runs there alone, and nothing waits for the device.

    Args:
        embeds: of shape (rows, length, hidden_size), padded at the right.
        labels: int of shape (rows, length).
        position_ids: int of shape (rows, length); by default counted from 0.
    """
    # Nothing real attends to what comes after it, so padding needs no mask. But without one, positions with gaps
    # would be taken for several sequences in a row
    mask = None if position_ids is None else torch.ones_like(position_ids)
    hidden = model.model.language_model(
        inputs_embeds=embeds, attention_mask=mask, position_ids=position_ids, use_cache=False
    ).last_hidden_state
    rows, columns = np.nonzero(labels[:, 1:] >= 0)
    places = torch.from_numpy(rows * labels.shape[1] + columns).to(hidden.device)
    return model.lm_head(hidden.flatten(0, 1)[places]).float()


def looking_loss(scores: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """
    How far the scores of some tokens, as shares, are from the shares that are wanted: the divergence
    (Kullback-Leibler), zero where they are the same. With each wanted token as much, its gradient is that of
    `readers.steering.pointing_loss`, which takes the attention's weights in place of scores.

    Args:
        scores: not negative, float of shape (tokens,).
        wanted: not negative, float of shape (tokens,), above zero somewhere.
    """
    shares = scores / scores.sum().clamp(min=1e-9)
    return F.kl_div(shares.clamp(min=1e-9).log(), wanted / wanted.sum(), reduction="sum")


def shorten(
    model: MiniMonkeyForConditionalGeneration, embeds: torch.Tensor, batch: dict, keep_ratio: float
) -> tuple[torch.Tensor, np.ndarray, torch.Tensor, torch.Tensor]:
    """
    A batch without the detailed tokens that scale compression drops, as the model is set; each row has one question.

    Args:
        embeds: of shape (rows, length, hidden_size).
        batch: what `collate` gave.
        keep_ratio: share of an image's detailed tokens that stays.

    Returns:
        Embeddings, labels and positions of what stays, padded at the right; and the mean `looking_loss` of the rows
        in which something is wanted, 0 if there are none.
    """
    device, settings = embeds.device, model.config.scale_compression_config
    lengths = batch["attention_mask"].sum(-1)
    is_image = batch["input_ids"] == model.config.image_token_id
    detailed, wanted = np.zeros_like(is_image), np.zeros(is_image.shape, np.float32)
    detailed[is_image], wanted[is_image] = batch["is_detailed"], batch["wanted"]
    rows, labels, positions, looking = [], [], [], [embeds.new_zeros((), dtype=torch.float32)]
    for row, length in enumerate(lengths):
        found, said = embeds[row, :length], torch.from_numpy(batch["labels"][row, :length])
        places = torch.arange(length, device=device)
        if detailed[row].any():
            images, looked_at, image_mask = (
                torch.from_numpy(array[row, :length]).to(device) for array in (detailed, wanted, is_image)
            )
            scores = token_scores(
                model.model.language_model,
                found[None],
                places[None],
                images.long(),
                settings.layer,
                settings.queries,
                image_mask,
                (said == IGNORED).to(device),
            )
            if wanted[row].any():
                looking.append(looking_loss(scores[images], looked_at[images]))
            kept = select_tokens(scores.detach(), images.long(), keep_ratio)
            places = compressed_position_ids(places[None], ~kept[None], settings.positions)[0, kept]
            found, said = found[kept], said[kept.cpu()]
        rows.append(found)
        labels.append(said)
        positions.append(places)
    labels = pad_sequence(labels, batch_first=True, padding_value=IGNORED).numpy()
    rows, positions = (pad_sequence(each, batch_first=True) for each in (rows, positions))
    return rows, labels, positions, torch.stack(looking).sum() / max(1, len(looking) - 1)


def answer_loss(
    model: MiniMonkeyForConditionalGeneration, batch: dict, keep_ratio: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    The mean loss of the answers' tokens in a batch: the cross-entropy, and for chat the divergence (Kullback-Leibler)
    from what the language model predicted there before it learned, without a picture.

    A whole distribution holds far more of what the language model knew than the token that it chose.

    Args:
        batch: what `collate` gave.
        keep_ratio: share of an image's detailed tokens that stays, see `shorten`.

    Returns:
        That loss, and the one of where the questions look, 0 if all tokens stay.
    """
    embeds, labels = embed(model, batch["input_ids"], batch["tiles"]), batch["labels"]
    positions, looking = None, embeds.new_zeros((), dtype=torch.float32)
    if keep_ratio < 1:
        embeds, labels, positions, looking = shorten(model, embeds, batch, keep_ratio)
    logits = answer_logits(model, embeds, labels, positions)
    rows, columns = np.nonzero(labels[:, 1:] >= 0)
    targets = torch.from_numpy(labels[:, 1:][rows, columns]).to(logits.device)
    losses = F.cross_entropy(logits, targets, reduction="none")  # (tokens,)
    if batch["is_chat"].any():
        with torch.no_grad(), without_adapter(model):
            alone = embed(model, batch["chat_ids"], batch["tiles"][:0])
            before = answer_logits(model, alone, batch["chat_labels"])
        chat = torch.from_numpy(np.flatnonzero(batch["is_chat"][rows])).to(logits.device)
        now, before = logits[chat].log_softmax(-1), before.log_softmax(-1)
        divergence = F.kl_div(now, before, reduction="none", log_target=True).sum(-1)
        losses = losses.index_copy(0, chat, divergence)
    return losses.mean(), looking
