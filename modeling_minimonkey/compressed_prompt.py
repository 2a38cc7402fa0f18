# trf-ignore: TRF028 (the license is in the file LICENSE)
"""
Prompts without the tokens that scale compression dropped: as `generate` starts with them, and as a cache goes on.

A cache that was filled under compression carries a [`CompressedBeginning`] as its attribute `compressed_beginning`.
It says which columns of the conversation the cache holds, so that a later call may give the whole conversation, ids
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
    What `generate` starts with.

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
        """What `generate` takes beside the ids."""
        names = ("attention_mask", "position_ids", "mm_encoder_outputs")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def features_by_row(self, image_mask: torch.Tensor) -> list[torch.Tensor]:
        """For each row of `image_mask` the features of its image tokens, `(tokens, hidden_size)`."""
        features = torch.cat([one.flatten(0, -2) for one in self.mm_encoder_outputs["image"].pooler_output])
        if features.shape[0] != image_mask.sum():
            raise ValueError(
                f"The text has {int(image_mask.sum())} image tokens, but the images have {features.shape[0]} features."
            )
        return list(features.split(image_mask.sum(dim=1).tolist()))

    def features_from(self, image_mask: torch.Tensor, first_column: int) -> dict[str, BaseModelOutputWithPooling]:
        """
        The features of the image tokens from one column on. The images may be those of all columns of `image_mask`,
        or of these alone.
        """
        new = image_mask[:, first_column:]
        features = self.mm_encoder_outputs["image"].pooler_output
        if sum(one.flatten(0, -2).shape[0] for one in features) == new.sum():
            return images_of(self.features_by_row(new))
        columns = torch.arange(image_mask.shape[1], device=image_mask.device)
        rows = zip(self.features_by_row(image_mask), image_mask, strict=True)
        return images_of([row[columns[mask] >= first_column] for row, mask in rows])


def images_of(features: list[torch.Tensor]) -> dict[str, BaseModelOutputWithPooling]:
    """Features as `mm_encoder_outputs`: one entry for each row, so that `generate` can repeat rows for beams."""
    return {"image": BaseModelOutputWithPooling(pooler_output=features)}


def shorten_prompt(
    prompt: Prompt, kept: torch.Tensor, image_mask: torch.Tensor, pad_token_id: int, padding: int = 0
) -> Prompt:
    """
    Take all tokens out of a prompt but the kept ones, which move to the right end of their rows.

    Args:
        prompt ([`Prompt`]): the whole prompt, with the positions that its tokens are to have afterwards.
        kept (`torch.BoolTensor` of shape `(rows, length)`): True at tokens that stay.
        image_mask (`torch.BoolTensor` of shape `(rows, length)`): True at image tokens.
        pad_token_id (`int`): fills shorter rows, on the left.
        padding (`int`, *optional*, defaults to 0): columns of padding for even the longest row, if there is room.

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
    What a cache holds of the prompt that was compressed, and so which tokens of a conversation it stands for.

    Args:
        attention_mask (`torch.BoolTensor` of shape `(rows, length)`):
            False at the padding of the whole prompt.
        kept (`torch.BoolTensor` of shape `(rows, length)`):
            True at the tokens that stayed.
        width (`int`):
            Columns of the cache that hold the prompt: fewer than `length` where the dropped tokens left it
            (`generate`), `length` where they are in it, to be masked (`forward`).
        positions (`str`):
            `"repack"` or `"keep"`, as the configuration had it.
        input_ids (`torch.LongTensor` of shape `(rows, length)`, *optional*):
            The whole prompt, if it was given by ids; later calls are compared with it.
    """

    attention_mask: torch.Tensor
    kept: torch.Tensor
    width: int
    positions: str
    input_ids: torch.Tensor | None = None

    @staticmethod
    def of(cache: Cache | None) -> "CompressedBeginning | None":
        """The beginning that `cache` holds, if it was compressed; a cache that was emptied since then forgets it."""
        beginning = getattr(cache, "compressed_beginning", None)
        if beginning is not None and int(cache.get_seq_length()) == 0:
            cache.compressed_beginning = beginning = None
        return beginning

    @property
    def length(self) -> int:
        return self.kept.shape[1]

    @property
    def dropped(self) -> torch.Tensor:
        """True at the tokens that were dropped, `(rows, length)`."""
        return self.attention_mask & ~self.kept

    def seen(self, cached: int) -> int:
        """Tokens of the conversation, padding included, that a cache of `cached` columns stands for."""
        return cached + self.length - self.width

    def for_rows(self, rows: int) -> "CompressedBeginning":
        """The beginning of a cache whose rows were repeated, as for beams; `ValueError` if they can't have been."""
        own = self.kept.shape[0]
        if rows % own:
            raise ValueError(
                f"The cache was filled by a compressed prompt of {own} rows, but the call has {rows}. Continue all of "
                "its rows, or start without a cache."
            )
        return self._map(lambda value: value.repeat_interleave(rows // own, dim=0))

    def _map(self, change: Callable[[torch.Tensor], torch.Tensor], **changes) -> "CompressedBeginning":
        tensors = {name: getattr(self, name) for name in ("attention_mask", "kept", "input_ids")}
        return replace(
            self, **{name: change(value) for name, value in tensors.items() if value is not None}, **changes
        )

    def crop(self, cached: int) -> "CompressedBeginning":
        """
        What is left of the beginning in a cache of `cached` columns. As long as whole columns were cut off behind the
        last dropped token, the rest is exact; otherwise `ValueError`.
        """
        seen = self.seen(cached)
        if seen >= self.length:
            return self
        is_shorter = self.width < self.length
        needed = int(torch.where(self.kept, 0, torch.arange(1, self.length + 1, device=self.kept.device)).max())
        if is_shorter and seen < needed:
            raise ValueError(
                f"The cache was cropped to {cached} columns, into a prompt that scale compression had shortened: what "
                f"is left of it can't be told. Crop it to at least {needed - self.length + self.width} columns, or "
                "start without a cache."
            )
        return self._map(lambda value: value[:, :seen], width=cached)

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
        Mask and positions with which `new` tokens go on after a cache of `cached` columns.

        Args:
            attention_mask (`torch.Tensor` of shape `(rows, columns)`, *optional*):
                Of the whole conversation or of the cache's columns and the new ones; `None`: no padding since then.
            cached (`int`): columns in the cache.
            new (`int`): columns that the call adds.

        Returns:
            The mask and the positions, both int64 of shape `(rows, cached + new)`.

        Raises:
            ValueError: the mask has another shape.
        """
        columns = cached + new
        beginning = self.kept.long()
        if self.width < self.length:
            beginning = left_pack(beginning, self.kept, self.width, padding=0)  # (rows, width)
        if attention_mask is None:
            rest = beginning.new_ones(beginning.shape[0], columns - self.width)
        elif attention_mask.ndim == 2 and attention_mask.shape[1] in (columns, self.seen(columns)):
            rest = attention_mask[:, attention_mask.shape[1] - columns + self.width :].to(beginning)
        else:
            raise ValueError(
                "After a compressed beginning `attention_mask` must have the shape (batch_size, length of the whole "
                f"conversation) {(beginning.shape[0], self.seen(columns))}, got {tuple(attention_mask.shape)}."
            )
        mask = torch.cat((beginning, rest), dim=1)
        position_ids = (mask.cumsum(dim=1) - 1).clamp(min=0)
        if self.positions == "keep":
            position_ids = position_ids + self.dropped.sum(dim=1, keepdim=True)
        return mask, position_ids

    def continue_ids(self, input_ids: torch.LongTensor, pad_token_id: int) -> torch.LongTensor:
        """Ids of the whole conversation, `(rows, length + n)`, as the cache has them: `(rows, width + n)`."""
        beginning = input_ids[:, : self.length]
        if self.width < self.length:
            beginning = left_pack(beginning, self.kept, self.width, padding=pad_token_id)
        return torch.cat((beginning, input_ids[:, self.length :]), dim=1)


@contextmanager
def beginning_aside(cache: Cache | None, beginning: CompressedBeginning | None) -> Iterator[None]:
    """Let `forward` take its inputs as they are, in the columns of `cache`, which gets `beginning` afterwards."""
    if cache is not None:
        cache.compressed_beginning = None
    try:
        yield
    finally:
        if cache is not None:
            cache.compressed_beginning = beginning


class WholePromptStreamer(BaseStreamer):
    """Hands the whole prompt to a streamer in place of the short one, which `generate` puts first."""

    def __init__(self, streamer: BaseStreamer, prompt: torch.LongTensor):
        self.streamer, self.prompt = streamer, prompt

    def put(self, value):
        if self.prompt is not None:
            value, self.prompt = self.prompt.cpu(), None
        self.streamer.put(value)

    def end(self):
        self.streamer.end()
