# trf-ignore: TRF028 (the license is in the file LICENSE)
"""Text and images to the inputs of Mini-Monkey: tiles, and prompts with as many image tokens as the tiles need."""

from .image_processing_minimonkey import check_known_arguments  # first: checks Transformers' version


# isort: split
from typing import Any

import numpy as np
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


# trf-ignore: TRF057 (the docstring below says what the generated one can't: tokens, errors, shapes)
class MiniMonkeyProcessor(ProcessorMixin):
    r"""
    Wraps a [`MiniMonkeyImageProcessor`] and a tokenizer.

    In the text, each image is one `<IMG_CONTEXT>`, which the chat template writes. It becomes `<img>`, then
    `image_seq_length` times `<IMG_CONTEXT>` for each tile of the image, then `</img>`. Text of users that holds such a
    token is told from the real ones by `apply_chat_template(..., tokenize=True, sanitize_control_tokens=True)`.

    Args:
        image_processor ([`MiniMonkeyImageProcessor`]): cuts images into tiles.
        tokenizer ([`PreTrainedTokenizerBase`]):
            With the attributes `start_image_token`, `end_image_token` and `context_image_token` (such as from
            `extra_special_tokens`) and their ids.
        image_seq_length (`int`, *optional*, defaults to 256): tokens per tile, `config.image_seq_length` of the model.
        chat_template (`str`, *optional*): Jinja template of a conversation.

    Raises:
        ValueError: the tokenizer lacks one of the three tokens, or `image_seq_length` is not a positive integer.
    """

    text_kwargs = {"padding_side": "left"}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs) -> "MiniMonkeyProcessor":
        """As every processor, but nobody is asked to trust the code of a model whose package is not imported."""
        # The tokenizer looks the configuration up, does without it, and would ask on the way
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

    @property
    def unused_input_names(self) -> list[str]:
        # Every tensor that leaves the processor has a row per tile; this one has a row per image.
        return ["num_patches"]

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
                The images of all rows in one list, or a list of images per row; see [`MiniMonkeyImageProcessor`].
            text (`str` or `list[str]`): one prompt per row, each image written as one `<IMG_CONTEXT>`.
            videos (`None`): not supported.
            audio (`None`): not supported.
            kwargs:
                Arguments of the tokenizer (`padding`, `return_tensors`, ...) and of the image processor
                (`detailed_tiles`, `pyramid`, ...), flat or in `text_kwargs` and `images_kwargs`. If `padding` asks
                for it, rows are padded on the left. Options of videos and audio do nothing.

        Returns:
            [`BatchFeature`] with

            - **input_ids**, **attention_mask** (`int64`, (rows, tokens)): lists without `return_tensors`;
            - **pixel_values** (`float32`, (tiles of all rows, 3, height, width)), if there are images;
            - **tile_levels** (`int64`, (tiles of all rows,)), if there are images: 0 detailed, 1 adaptive, 2 global;
            - **mm_token_type_ids**, with `return_mm_token_type_ids=True`: 1 at the tokens of images, else 0.

        Raises:
            TypeError: an argument does not exist.
            ValueError: placeholders and images do not match, a prompt is expanded already, or truncation would cut
                into an image.
        """
        # Callers that serve every kind of model set video and audio options as well; here they do nothing
        kinds = (ProcessingKwargs, TextKwargs, ImagesKwargs, VideosKwargs, AudioKwargs)
        known = [name for kind in kinds for name in kind.__annotations__]
        known = {"common_kwargs", "return_metadata", *known, *self.image_processor.valid_kwargs.__annotations__}
        check_known_arguments(kwargs, known, type(self).__name__)
        if videos is not None or audio is not None:
            raise ValueError(f"{type(self).__name__} takes images and text, no `videos` and no `audio`.")
        if isinstance(images, (list, tuple)) and not any(
            image if isinstance(image, (list, tuple)) else True for image in images
        ):
            images = None  # only rows without images
        if kwargs.get("sanitize_control_tokens") and self._adds_start_token(kwargs):
            # Sanitized text is encoded in pieces, to which the tokenizer can't add its start token: write it out.
            text = [self.tokenizer.bos_token + row for row in ([text] if isinstance(text, str) else text)]
            kwargs["add_special_tokens"] = False
        return super().__call__(images=images, text=text, **kwargs)

    def validate_inputs(
        self, images: ImageInput | None = None, text: list[str] | None = None, **kwargs: Unpack[ProcessingKwargs]
    ) -> None:
        if text is None:
            raise ValueError("`text` is missing; for pixels alone, call `processor.image_processor`.")
        expanded = self.start_image_token + self.image_token
        for index, row in enumerate(text):
            if isinstance(row, str) and expanded in row:
                raise ValueError(
                    f"text[{index}] is expanded already: it contains {expanded}. Write each image as one "
                    f"{self.image_token}."
                )
        super().validate_inputs(images=images, text=text, **kwargs)
        if isinstance(images, list) and images and isinstance(images[0], list):
            if len(images) != len(text):
                raise ValueError(f"`images` has {len(images)} rows but `text` has {len(text)}.")
            for index, (row_images, row) in enumerate(zip(images, text, strict=True)):
                if row.count(self.image_token) != len(row_images):
                    raise ValueError(
                        f"text[{index}] has {row.count(self.image_token)} {self.image_token} but images[{index}] has "
                        f"{len(row_images)} images."
                    )

    def replace_image_token(self, image_inputs: dict, image_idx: int, **kwargs) -> str:
        num_tokens = self.image_seq_length * int(image_inputs["num_patches"][image_idx])
        return f"{self.start_image_token}{self.image_token * num_tokens}{self.end_image_token}"

    def _adds_start_token(self, kwargs: dict[str, Any]) -> bool:
        asked = kwargs.get("add_special_tokens", kwargs.get("text_kwargs", {}).get("add_special_tokens"))
        return asked is not False and self.tokenizer.num_special_tokens_to_add() > 0

    def _check_special_mm_tokens(self, text: list[str], text_inputs: BatchFeature, modalities: list[str]) -> None:
        """Compare the image tokens with those of the text, and see that each image has both its ends."""
        try:
            super()._check_special_mm_tokens(text, text_inputs, modalities)
            cut = any(self._has_open_image(np.asarray(ids)) for ids in text_inputs["input_ids"])
        except ValueError:
            cut = True
        if cut:
            # Sanitizing does no harm to unmarked text, and counts marked tokens as the text that they are.
            special = (
                0
                if text[0].startswith(self.tokenizer.bos_token or "\0")
                else self.tokenizer.num_special_tokens_to_add()
            )
            whole = self.tokenizer(text, add_special_tokens=False, sanitize_control_tokens=True)["input_ids"]
            raise ValueError(
                f"Truncation to {max(map(len, text_inputs['input_ids']))} tokens cuts into an image; the longest row "
                f"needs `max_length` = {max(map(len, whole)) + special}. Raise it, or ask for fewer tiles."
            )

    def _has_open_image(self, ids: np.ndarray) -> bool:
        """Whether a run of image tokens in one row, (tokens,), lacks the token before or after it."""
        around = np.concatenate([[-1], ids, [-1]])
        is_image = around == self.image_token_id
        starts = ~is_image[:-1] & is_image[1:]
        ends = is_image[:-1] & ~is_image[1:]
        return bool(
            (around[:-1][starts] != self.start_image_token_id).any()
            or (around[1:][ends] != self.end_image_token_id).any()
        )

    def _get_num_multimodal_tokens(self, image_sizes: list[tuple[int, int]] | None = None, **kwargs) -> MultiModalData:
        """
        Count tiles and tokens without looking at pixels.

        Args:
            image_sizes (`list[tuple[int, int]]`, *optional*): height and width of each image in pixels.
            kwargs: arguments of the image processor that change the tiles.

        Returns:
            [`MultiModalData`]: `num_image_patches`, the tiles of each image, and `num_image_tokens`, with `<img>` and
            `</img>`.
        """
        if image_sizes is None:
            return MultiModalData()
        images_kwargs = self._merge_kwargs(**kwargs)["images_kwargs"]
        num_patches = [
            self.image_processor.get_number_of_image_patches(height, width, images_kwargs)
            for height, width in image_sizes
        ]
        num_tokens = [2 + self.image_seq_length * number for number in num_patches]
        return MultiModalData(num_image_tokens=num_tokens, num_image_patches=num_patches)


__all__ = ["MiniMonkeyProcessor"]
