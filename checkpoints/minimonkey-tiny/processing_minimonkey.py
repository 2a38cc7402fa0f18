# trf-ignore: TRF028 (the license is in the file LICENSE)
"""Turns text and images into Mini-Monkey's inputs: tiles, and prompts with as many image tokens as the tiles need."""

# First, since it refuses releases that are too old
from .processing_releases import SANITIZES, chat_arguments, without_marked_tokens


# isort: split
from collections.abc import Set
from typing import Any

import numpy as np
from PIL import Image
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_utils import ImageInput
from transformers.processing_utils import (
    AudioKwargs,
    ImagesKwargs,
    MultiModalData,
    ProcessingKwargs,
    ProcessorMixin,
    TextKwargs,
    Unpack,
    VideosKwargs,
)

from .image_processing_minimonkey import check_known_arguments, flat_images


# From Transformers' error for truncated image tokens, which misses a lost `<img>` or `</img>`. Other errors are raised
# unchanged.
TOKENS_ARE_MISSING = "token count between text and `input_ids`"
# Arguments that decide a row's length and type; without them, a row is whole and a list
LENGTH_ARGUMENTS = {
    "max_length",
    "pad_to_multiple_of",
    "padding",
    "return_overflowing_tokens",
    "return_tensors",
    "stride",
    "truncation",
}


# trf-ignore: TRF057 (the docstring below says what the generated one can't: tokens, errors, shapes)
class MiniMonkeyProcessor(ProcessorMixin):
    r"""
    Wraps a [`MiniMonkeyImageProcessor`] and a tokenizer.

    In the text, each image is one `<IMG_CONTEXT>`, which the chat template writes. The processor expands it to
    `<img>`, `image_seq_length` times `<IMG_CONTEXT>` for each tile of the image, and `</img>`.

    If a user's text may contain such tokens, call `apply_chat_template(..., tokenize=True,
    sanitize_control_tokens=True)`, as [`prepare_chat`] does: it encodes them as plain text. Transformers before 5.23
    cannot do that; there, such text is refused with a ValueError.

    Only scale compression needs `tile_levels`. For trainers that do not know this input, such as TRL's for GRPO and
    RLOO, leave it out: `processor.unused_input_names = ("num_patches", "tile_levels")`.

    Args:
        image_processor ([`MiniMonkeyImageProcessor`]): cuts images into tiles.
        tokenizer ([`PreTrainedTokenizerBase`]):
            Must have the attributes `start_image_token`, `end_image_token` and `context_image_token`, for example from
            `extra_special_tokens`, and their ids.
        image_seq_length (`int`, *optional*, defaults to 256): tokens per tile, `config.image_seq_length` of the model.
        chat_template (`str`, *optional*): Jinja template of a conversation.

    Raises:
        ValueError: the tokenizer lacks one of the three tokens, or `image_seq_length` is not a positive integer.
    """

    unused_input_names = ("num_patches",)  # one number per image, where the model's image inputs have one row per tile

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs) -> "MiniMonkeyProcessor":
        """
        Load a processor. `trust_remote_code` defaults to `False`, so that loading the tokenizer never asks
        interactively whether to trust remote code.
        """
        kwargs.setdefault("trust_remote_code", False)
        return super().from_pretrained(pretrained_model_name_or_path, **kwargs)

    def __init__(
        self, image_processor=None, tokenizer=None, image_seq_length: int = 256, chat_template=None, **kwargs
    ):
        super().__init__(image_processor, tokenizer, chat_template=chat_template, **kwargs)
        for name in ("start_image_token", "end_image_token", "context_image_token"):
            if getattr(tokenizer, name, None) is None:
                raise ValueError(
                    f"`tokenizer` has no `{name}`; load it with `extra_special_tokens`, as in "
                    f'AutoTokenizer.from_pretrained(..., extra_special_tokens={{"{name}": "<img>", ...}}).'
                )
        if type(image_seq_length) is not int or image_seq_length < 1:
            raise ValueError(f"`image_seq_length` must be an integer of at least 1, got {image_seq_length!r}.")
        self.image_seq_length = image_seq_length
        self.start_image_token = tokenizer.start_image_token
        self.end_image_token = tokenizer.end_image_token
        self.start_image_token_id = tokenizer.start_image_token_id
        self.end_image_token_id = tokenizer.end_image_token_id
        self.image_token = tokenizer.context_image_token
        self.image_token_id = tokenizer.context_image_token_id

    @property
    def image_token_ids(self) -> list[int]:
        return [self.image_token_id, self.start_image_token_id, self.end_image_token_id]

    # trf-ignore: TRF057 (as for the class)
    def __call__(
        self,
        images: ImageInput | None = None,
        text: str | list[str] | None = None,
        videos: None = None,
        audio: None = None,
        **kwargs: Unpack[ProcessingKwargs],
    ) -> BatchFeature:
        r"""
        Prepare a batch of prompts for the model.

        Args:
            images (`ImageInput`, *optional*):
                The images of all rows in one list, or a list of images (or `None`) per row; see
                [`MiniMonkeyImageProcessor`].
            text (`str` or `list[str]`): one prompt per row, each image written as one `<IMG_CONTEXT>`.
            videos (`None`): not supported.
            audio (`None`): not supported.
            kwargs:
                Arguments of the tokenizer (`padding`, `return_tensors`, ...) and of the image processor
                (`detailed_tiles`, `pyramid`, ...), flat or in `text_kwargs` and `images_kwargs`. With `padding`, rows
                are padded on the left. Options of videos and audio have no effect.

        Returns:
            [`BatchFeature`] with

            - **input_ids**, **attention_mask** (`int64`, (rows, tokens)): lists without `return_tensors`;
            - **pixel_values** (`float32`, (tiles of all rows, 3, height, width)), if there are images;
            - **tile_levels** (`int64`, (tiles of all rows,)), if there are images: 0 detailed, 1 adaptive, 2 global;
            - **mm_token_type_ids**, with `return_mm_token_type_ids=True`: 1 at the tokens of images, else 0.

        Raises:
            TypeError: an argument is unknown.
            ValueError: placeholders and images do not match, a prompt is already expanded, or truncation would cut
                into an image.
        """
        check_known_arguments(kwargs, self._call_arguments(), type(self).__name__)
        kwargs = self._with_checked_image_settings(kwargs)
        if videos is not None or audio is not None:
            raise ValueError(f"{type(self).__name__} takes images and text, no `videos` and no `audio`.")
        if isinstance(images, (list, tuple)) and not any(
            image if isinstance(image, (list, tuple)) else image is not None for image in images
        ):
            images = None  # no row has images
        rows, kwargs = self._text_arguments(text, kwargs)
        if images is not None:
            images = self.image_processor.fetch_images(images, **self._image_settings(kwargs))
        if kwargs.get("sanitize_control_tokens"):
            self._check_placeholders(images, [without_marked_tokens(row) for row in rows])
        try:
            inputs = super().__call__(images=images, text=rows, **kwargs)
        except ValueError as error:
            if TOKENS_ARE_MISSING not in str(error):
                raise
            inputs = None
        if inputs is None or not self._holds_whole_images(inputs):
            whole = super().__call__(images=images, text=rows, **_without(kwargs, LENGTH_ARGUMENTS), truncation=False)
            raise ValueError(
                f"Truncation cuts into an image; the longest row needs `max_length` = "
                f"{max(map(len, whole['input_ids']))}. Raise it, or ask for fewer tiles."
            )
        return inputs

    def apply_chat_template(self, *args, **kwargs) -> str | list[list[int]] | BatchFeature:
        """
        [`ProcessorMixin.apply_chat_template`], with the same arguments and output on every release of Transformers.
        With `sanitize_control_tokens=True`, control tokens in a conversation are encoded as plain text; before
        Transformers 5.23, which cannot do that, they raise a ValueError.
        """
        return super().apply_chat_template(**chat_arguments(self, self._call_arguments(), *args, **kwargs))

    def prepare_chat(self, conversation: list[dict] | list[list[dict]], **kwargs) -> BatchFeature:
        """
        Prepare the model's inputs for the next answer in a conversation: [`apply_chat_template`] with `tokenize`,
        `return_dict`, `add_generation_prompt` and `sanitize_control_tokens` on, and PyTorch tensors.

        Args:
            conversation (`list[dict]` or `list[list[dict]]`): messages, or a batch of conversations.
            kwargs: arguments of [`__call__`], such as `pyramid="docvqa"`; `padding` is on by default.

        Returns:
            [`BatchFeature`] of PyTorch tensors, as [`__call__`] returns it.

        Raises:
            TypeError, ValueError: see [`__call__`].

        Example:
            >>> content = [{"type": "image", "image": image}, {"type": "text", "text": "Read the text."}]
            >>> inputs = processor.prepare_chat([{"role": "user", "content": content}])
        """
        return self.apply_chat_template(
            conversation,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            sanitize_control_tokens=True,
            processor_kwargs={"padding": True, **kwargs},
        )

    def prepare_inputs_layout(self, images: ImageInput | None = None, *args, **kwargs) -> tuple:
        """As the library's, but images are opened with the settings of the call, which say what may be opened."""
        if images is not None:
            images = self.image_processor.fetch_images(images, **self._image_settings(kwargs))
        return images, *super().prepare_inputs_layout(None, *args, **kwargs)[1:]

    def validate_inputs(
        self, images: ImageInput | None = None, text: list[str] | None = None, **kwargs: Unpack[ProcessingKwargs]
    ) -> None:
        """Check that each row has as many placeholders as images."""
        if kwargs.get("sanitize_control_tokens"):
            return  # `__call__` has checked the whole prompts; here, what stood around a user's token has joined
        self._check_placeholders(images, text or [])
        super().validate_inputs(images=images, text=text, **kwargs)

    def _check_placeholders(self, images: ImageInput | None, rows: list[str]) -> None:
        expanded = self.start_image_token + self.image_token
        for index, row in enumerate(rows):
            if expanded in row:
                raise ValueError(
                    f"text[{index}] is expanded already: it contains {expanded}. Write each image as one "
                    f"{self.image_token}."
                )
        found = sum(row.count(self.image_token) for row in rows)
        given = 0 if images is None else len(flat_images(images))
        if found != given:
            raise ValueError(
                f"The number of {self.image_token} tokens in the prompts should be the same as the number of images, "
                f"found {found} tokens and {given} images. `prepare_chat` writes the prompt of a conversation."
            )
        if isinstance(images, list) and images and isinstance(images[0], list):
            if len(images) != len(rows):
                raise ValueError(f"`images` has {len(images)} rows but `text` has {len(rows)}.")
            for index, (row_images, row) in enumerate(zip(images, rows, strict=True)):
                if row.count(self.image_token) != len(row_images):
                    raise ValueError(
                        f"The number of {self.image_token} tokens in the prompts should be the same as the number of "
                        f"images; text[{index}] has {row.count(self.image_token)} {self.image_token} but "
                        f"images[{index}] has {len(row_images)} images."
                    )

    def replace_image_token(self, image_inputs: dict, image_idx: int, **kwargs) -> str:
        num_tokens = self.image_seq_length * int(image_inputs["num_patches"][image_idx])
        return f"{self.start_image_token}{self.image_token * num_tokens}{self.end_image_token}"

    def _call_arguments(self) -> Set[str]:
        """Names of all arguments of a call, also those for other kinds of models, which general callers set."""
        kinds = (
            ProcessingKwargs,
            TextKwargs,
            ImagesKwargs,
            VideosKwargs,
            AudioKwargs,
            self.image_processor.valid_kwargs,
        )
        names = {name for kind in kinds for name in kind.__annotations__}
        return names | {"common_kwargs", "return_metadata", "sanitize_control_tokens"}

    def _image_settings(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call that are settings of the image processor."""
        given = _given("images_kwargs", kwargs)
        return {name: given[name] for name in self.image_processor.valid_kwargs.__annotations__ if name in given}

    def _with_checked_image_settings(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """`kwargs` with image settings in the one form of each, which passes the library's check of types as well."""
        checked = self.image_processor.checked_settings(self._image_settings(kwargs))
        kwargs = {name: checked.get(name, value) for name, value in kwargs.items()}
        if "images_kwargs" in kwargs:
            kwargs["images_kwargs"] = {
                name: checked.get(name, value) for name, value in kwargs["images_kwargs"].items()
            }
        return kwargs

    def _text_arguments(self, text: Any, kwargs: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
        """The rows of text and the arguments of a call, with padding on the left and sanitizing resolved."""
        if text is None:
            raise ValueError("`text` is missing; for pixels alone, call `processor.image_processor`.")
        rows = [text] if isinstance(text, str) else text
        if isinstance(rows, Image.Image):
            raise ValueError("`text` is an image: the order is `processor(images, text)`.")
        if not rows or not isinstance(rows, (list, tuple)) or not all(isinstance(row, str) for row in rows):
            raise ValueError("`text` must be a string or list of strings, at least one.")
        given = _given("text_kwargs", kwargs)
        kwargs = _without(kwargs, {"sanitize_control_tokens"})
        if "padding_side" not in {*given, *self.tokenizer.init_kwargs}:
            kwargs["padding_side"] = "left"
        if given.get("sanitize_control_tokens"):
            # Sanitized text is encoded in pieces, to which the tokenizer can't add its start token: write it out
            if given.get("add_special_tokens") is not False and self.tokenizer.num_special_tokens_to_add() > 0:
                rows = [self.tokenizer.bos_token + row for row in rows]
            kwargs = _without(kwargs, {"add_special_tokens"}) | {"add_special_tokens": False}
            if SANITIZES:
                kwargs["sanitize_control_tokens"] = True
        return list(rows), kwargs

    def _holds_whole_images(self, inputs: BatchFeature) -> bool:
        """Whether every image has all its tokens, between `<img>` and `</img>`."""
        number = 0
        for row in inputs["input_ids"]:
            around = np.concatenate([[-1], np.asarray(row), [-1]])
            is_image = around == self.image_token_id
            starts = ~is_image[:-1] & is_image[1:]
            ends = is_image[:-1] & ~is_image[1:]
            if (around[:-1][starts] != self.start_image_token_id).any():
                return False
            if (around[1:][ends] != self.end_image_token_id).any():
                return False
            number += is_image.sum()
        return number == self.image_seq_length * len(inputs.get("pixel_values", ()))

    def _get_num_multimodal_tokens(self, image_sizes: list[tuple[int, int]] | None = None, **kwargs) -> MultiModalData:
        """
        Count tiles and tokens from the sizes of images.

        Args:
            image_sizes (`list[tuple[int, int]]`, *optional*): height and width of each image in pixels.
            kwargs: arguments of the image processor that change the tiles.

        Returns:
            [`MultiModalData`]: `num_image_patches`, the tiles of each image, and `num_image_tokens`, with `<img>` and
            `</img>`.
        """
        if image_sizes is None:
            return MultiModalData()
        check_known_arguments(kwargs, self._call_arguments(), type(self).__name__)
        settings = self._image_settings(kwargs)
        if not all(isinstance(size, (tuple, list)) and len(size) == 2 for size in image_sizes):
            raise ValueError("`image_sizes` must be a list of (height, width), one for each image.")
        num_patches = [
            self.image_processor.get_number_of_image_patches(height, width, settings) for height, width in image_sizes
        ]
        num_tokens = [2 + self.image_seq_length * number for number in num_patches]
        return MultiModalData(num_image_tokens=num_tokens, num_image_patches=num_patches)


def _given(kind: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of one kind, such as `text_kwargs`; those that are given flat take precedence."""
    given = kwargs.get(kind, {})
    if not isinstance(given, dict):
        raise TypeError(f"`{kind}` must be a dictionary, got {type(given).__name__}.")
    return {**given, **kwargs}


def _without(kwargs: dict[str, Any], names: Set[str]) -> dict[str, Any]:
    """`kwargs` without `names`, flat or in dictionaries such as `text_kwargs`."""
    return {
        name: _without(value, names) if isinstance(value, dict) else value
        for name, value in kwargs.items()
        if name not in names
    }


__all__ = ["MiniMonkeyProcessor"]
