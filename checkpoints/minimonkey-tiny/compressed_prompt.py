# trf-ignore: TRF028 (the license is in the file LICENSE)
"""
Prompts without the tokens that scale compression dropped: what `generate` starts from, and how a later call continues
from a cache.

A cache that was filled under compression carries a [`CompressedBeginning`] as its attribute `compressed_beginning`.
It records which columns of the conversation the cache holds, so that a later call may pass the whole conversation, ids
and mask, as it would without compression.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from transformers import Cache
from transformers.generation.streamers import BaseStreamer
from transformers.modeling_outputs import BaseModelOutputWithPooling

from .scale_compression import left_pack


@dataclass
class Prompt:
    """
    What `generate` starts from.

    Args:
        input_ids (`torch.LongTensor` of shape `(rows, length)`, *optional*):
            Ids.
        attention_mask (`torch.LongTensor` of shape `(rows, length)`, *optional*):
            0 at padding.
        position_ids (`torch.LongTensor` of shape `(rows, length)`, *optional*):
            Positions.
        mm_encoder_outputs (`dict[str, BaseModelOutputWithPooling]`, *optional*):
            `pooler_output` of the key `"image"` are the features of all image tokens, in one tensor or a list.
    """

    input_ids: torch.LongTensor | None
    attention_mask: torch.LongTensor | None = None
    position_ids: torch.LongTensor | None = None
    mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None

    @property
    def has_images(self) -> bool:
        return (self.mm_encoder_outputs or {}).get("image") is not None

    def arguments(self) -> dict:
        """The arguments of `generate` other than the ids."""
        names = ("attention_mask", "position_ids", "mm_encoder_outputs")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def features_by_row(self, image_mask: torch.Tensor) -> list[torch.Tensor]:
        """For each row of `image_mask` the features of its image tokens, `(tokens, hidden_size)`."""
        features = flat_features(self.mm_encoder_outputs["image"].pooler_output)
        if features.shape[0] != image_mask.sum():
            raise ValueError(
                f"The text has {int(image_mask.sum())} image tokens, but the images have {features.shape[0]} features."
            )
        return list(features.split(image_mask.sum(dim=1).tolist()))

    def features_from(self, image_mask: torch.Tensor, first_column: int) -> dict[str, BaseModelOutputWithPooling]:
        """
        The features of the image tokens from `first_column` on. `mm_encoder_outputs` may hold the images of the whole
        `image_mask`, or of these columns alone.
        """
        new = image_mask[:, first_column:]
        if flat_features(self.mm_encoder_outputs["image"].pooler_output).shape[0] == new.sum():
            return images_of(self.features_by_row(new))
        columns = torch.arange(image_mask.shape[1], device=image_mask.device)
        rows = zip(self.features_by_row(image_mask), image_mask, strict=True)
        return images_of([row[columns[mask] >= first_column] for row, mask in rows])


def flat_features(features: torch.Tensor | list[torch.Tensor]) -> torch.Tensor:
    """Features of tiles or images, in one tensor or a list, as one of shape `(tokens, hidden_size)`."""
    if isinstance(features, torch.Tensor):
        return features.flatten(0, -2)
    return torch.cat([one.flatten(0, -2) for one in features])


def images_of(features: list[torch.Tensor]) -> dict[str, BaseModelOutputWithPooling]:
    """Features as `mm_encoder_outputs`: one entry for each row, so that `generate` can repeat rows for beams."""
    return {"image": BaseModelOutputWithPooling(pooler_output=features)}


def shorten_prompt(
    prompt: Prompt, kept: torch.Tensor, image_mask: torch.Tensor, pad_token_id: int, padding: int = 0
) -> Prompt:
    """
    Remove all tokens from a prompt except the kept ones, which move to the right end of their rows.

    Args:
        prompt ([`Prompt`]): the whole prompt, with the positions that its tokens are to have afterwards.
        kept (`torch.BoolTensor` of shape `(rows, length)`): True at tokens that stay.
        image_mask (`torch.BoolTensor` of shape `(rows, length)`): True at image tokens.
        pad_token_id (`int`): fills shorter rows, on the left.
        padding (`int`, *optional*, defaults to 0): columns of padding before the longest row, if there is room.

    Returns:
        [`Prompt`] whose rows are as long as the longest one.
    """
    width = min(int(kept.sum(dim=1).max()) + padding, kept.shape[1])
    rows = zip(prompt.features_by_row(image_mask), kept, image_mask, strict=True)
    return Prompt(
        input_ids=left_pack(prompt.input_ids, kept, width, padding=pad_token_id),
        attention_mask=left_pack(prompt.attention_mask, kept, width, padding=0),
        position_ids=left_pack(prompt.position_ids, kept, width, padding=0),
        mm_encoder_outputs=images_of([features[row_kept[mask]] for features, row_kept, mask in rows]),
    )


@dataclass(frozen=True)
class CompressedBeginning:
    """
    The compressed prompt at the beginning of a cache: which tokens of a conversation the cache stands for.

    Args:
        attention_mask (`torch.BoolTensor` of shape `(rows, length)`):
            False at the padding of the whole prompt.
        kept (`torch.BoolTensor` of shape `(rows, length)`):
            True at the tokens that stayed.
        width (`int`):
            Columns of the cache that hold the prompt.
        is_packed (`bool`):
            True: dropped tokens were removed (`generate`), and the kept ones are at the right end of those columns.
            False: dropped tokens are in the cache and masked (`forward`), and `width` is `length`.
        positions (`str`):
            `"repack"` or `"keep"`, as the configuration had it.
        input_ids (`torch.LongTensor` of shape `(rows, length)`, *optional*):
            The whole prompt, if it was given as ids; those of later calls are compared with it.
        row_keys (`torch.Tensor` of shape `(rows, width)`, *optional*):
            One number of each column's key in the first layer, which identifies the rows of the cache in later calls.
    """

    attention_mask: torch.Tensor
    kept: torch.Tensor
    width: int
    is_packed: bool
    positions: str
    input_ids: torch.Tensor | None = None
    row_keys: torch.Tensor | None = None

    @staticmethod
    def of(cache: Cache | None) -> "CompressedBeginning | None":
        """The compressed beginning of `cache`, or `None`; a cache that was emptied since then loses it."""
        beginning = getattr(cache, "compressed_beginning", None)
        if beginning is not None and int(cache.get_seq_length()) == 0:
            cache.compressed_beginning = beginning = None
        return beginning

    def put_on(self, cache: Cache) -> None:
        """Attach this beginning to `cache`, which was just filled, with the keys that identify its rows."""
        beginning, keys = self, _row_keys(cache, self.width)
        if keys is not None:  # more rows than the prompt's: `generate` repeats them for beams and returned sequences
            repeats = keys.shape[0] // self.kept.shape[0]
            beginning = replace(self._map(lambda value: value.repeat_interleave(repeats, dim=0)), row_keys=keys)
        cache.compressed_beginning = beginning

    @property
    def length(self) -> int:
        return self.kept.shape[1]

    def seen(self, cached: int) -> int:
        """Tokens of the conversation, padding included, that a cache of `cached` columns stands for."""
        return cached + self.length - self.width

    def for_rows(self, cache: Cache, rows: int, repeats: int = 1) -> "CompressedBeginning":
        """
        The beginning for the `rows` of a call, each of which is in the cache `repeats` times. Rows that a caller has
        repeated, selected or reordered since then are identified by their keys; if the cache does not expose keys, its
        rows are taken for repeated ones.

        Raises:
            ValueError: the rows of the cache are not those of the prompt, or not as many as the call's.
        """
        own = self.kept.shape[0]
        now = _row_keys(cache, min(self.width, int(cache.get_seq_length())))
        if now is None or self.row_keys is None:
            repeated = rows * repeats
            index = torch.arange(repeated) // (repeated // own) if repeated % own == 0 and repeated else None
        else:
            same = (now[:, None] == self.row_keys[None, :, : now.shape[1]]).all(dim=2)  # (rows of the cache, own)
            index = same.int().argmax(dim=1) if same.any(dim=1).all() and now.shape[0] == rows * repeats else None
        if index is None:
            raise ValueError(
                f"The cache was filled by a compressed prompt of {own} rows, which are not those of this call with "
                f"{rows}. Continue the rows that are in the cache, or start without it."
            )
        index = index[::repeats].to(self.kept.device)
        return self._map(lambda value: value[index])

    def _map(self, change: Callable[[torch.Tensor], torch.Tensor], **changes) -> "CompressedBeginning":
        names = ("attention_mask", "kept", "input_ids", "row_keys")
        changed = {name: change(value) for name in names if (value := getattr(self, name)) is not None}
        return replace(self, **changed, **changes)

    def crop(self, cached: int) -> "CompressedBeginning":
        """
        What is left of the beginning in a cache that was cropped to `cached` columns. If dropped tokens were removed,
        only columns after the last of them may have been cut off; otherwise `ValueError`.
        """
        seen = self.seen(cached)
        if seen >= self.length:
            return self
        needed = int(torch.where(self.kept, 0, torch.arange(1, self.length + 1, device=self.kept.device)).max())
        if self.is_packed and seen < needed:
            raise ValueError(
                f"The cache was cropped to {cached} columns, into a prompt that scale compression had shortened: what "
                f"is left of it can't be told. Crop it to at least {needed - self.length + self.width} columns, or "
                "start without a cache."
            )
        keys = None if self.row_keys is None else self.row_keys[:, :cached]
        return replace(self._map(lambda value: value[:, :seen], width=cached), row_keys=keys)

    def check_ids(self, input_ids: torch.LongTensor) -> None:
        """Raise `ValueError` unless the conversation in `input_ids`, `(rows, longer)`, begins with this prompt."""
        if self.input_ids is None:
            return
        differs = (input_ids[:, : self.length] != self.input_ids) & self.attention_mask
        if differs.any():
            row, column = differs.nonzero()[0].tolist()
            raise ValueError(
                f"The cache was filled by another prompt than `input_ids` begin with: row {row} differs at token "
                f"{column}. Give the whole conversation as it was, or start without a cache."
            )

    def continue_mask(
        self, attention_mask: torch.Tensor | None, cached: int, new: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Mask and positions for `new` tokens after a cache of `cached` columns.

        Args:
            attention_mask (`torch.Tensor` of shape `(rows, columns)`, *optional*):
                Of the whole conversation or of the cache's columns and the new ones; `None`: no padding since then.
            cached (`int`): columns in the cache.
            new (`int`): columns that the call adds.

        Returns:
            The mask and the positions, both int64 of shape `(rows, cached + new)`.

        Raises:
            ValueError: the mask has another shape, or is not 0 at what was padding.
        """
        columns, rows = cached + new, self.kept.shape[0]
        given = attention_mask
        if given is None:
            given = torch.cat((self.attention_mask, self.kept.new_ones(rows, columns - self.width)), dim=1)
        is_whole = given.ndim == 2 and given.shape[1] == self.seen(columns)
        if given.shape[0] != rows or not (is_whole or given.ndim == 2 and given.shape[1] == columns):
            raise ValueError(
                "After a compressed beginning `attention_mask` must have the shape (batch_size, length of the whole "
                f"conversation) {(rows, self.seen(columns))}, got {tuple(given.shape)}."
            )
        given = given.bool()
        seen = given[:, : self.length] if is_whole else self.attention_mask
        if (seen & ~self.attention_mask).any():
            raise ValueError("`attention_mask` shows tokens that were padding when the cache was filled.")
        beginning = self.kept & seen
        if self.is_packed:
            beginning = left_pack(beginning, self.kept, self.width, padding=False)  # (rows, width)
        rest = given[:, given.shape[1] - columns + self.width :]
        mask = torch.cat((beginning, rest), dim=1).long()
        position_ids = (mask.cumsum(dim=1) - 1).clamp(min=0)
        if self.positions == "keep":
            position_ids = position_ids + (seen & ~self.kept).sum(dim=1, keepdim=True)
        return mask, position_ids

    def continue_ids(self, input_ids: torch.LongTensor, pad_token_id: int) -> torch.LongTensor:
        """Ids of the whole conversation, `(rows, length + n)`, cut to the cache's columns: `(rows, width + n)`."""
        beginning = input_ids[:, : self.length]
        if self.is_packed:
            beginning = left_pack(beginning, self.kept, self.width, padding=pad_token_id)
        return torch.cat((beginning, input_ids[:, self.length :]), dim=1)


def _row_keys(cache: Cache, columns: int) -> torch.Tensor | None:
    """`(rows, columns)`; `None` if the first layer does not hold all keys in order, as with a sliding window."""
    keys = getattr(cache.layers[0], "keys", None)
    if not isinstance(keys, torch.Tensor) or keys.ndim != 4 or keys.shape[2] < columns:
        return None
    return keys[:, 0, :columns, 0].clone()


@contextmanager
def beginning_aside(cache: Cache | None) -> Iterator[None]:
    """Hide the compressed beginning of `cache`, so that `forward` takes its inputs as they are, in cache columns."""
    beginning = getattr(cache, "compressed_beginning", None)
    if cache is not None:
        cache.compressed_beginning = None
    try:
        yield
    finally:
        if beginning is not None:
            cache.compressed_beginning = beginning


class WholePromptStreamer(BaseStreamer):
    """Passes the whole prompt to a streamer in place of the short one, which `generate` puts first."""

    def __init__(self, streamer: BaseStreamer, prompt: torch.LongTensor):
        self.streamer, self.prompt = streamer, prompt

    def put(self, value):
        if self.prompt is not None:
            value, self.prompt = self.prompt.cpu(), None
        self.streamer.put(value)

    def end(self):
        self.streamer.end()
