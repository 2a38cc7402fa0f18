# trf-ignore: TRF028 (the license is in the file LICENSE)
# ruff: noqa: E402
"""Mini-Monkey: InternVL's vision tower, projector and language model, with the Scale Compression Mechanism (SCM)."""

from .transformers_releases import IS_TESTED, check_parts, take_cache  # first: checks Transformers' version


# isort: split
check_parts(
    {
        "transformers": ("AttentionInterface.register", "InternVLModel.get_placeholder_mask", "InternVLModel.forward"),
        "transformers.masking_utils": ("create_masks_for_generate",),
    }
)

import os
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from transformers import GenerationMixin, InternVLForConditionalGeneration, InternVLModel, InternVLPreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, BaseModelOutputWithPooling, CausalLMOutputWithPast
from transformers.processing_utils import Unpack
from transformers.utils import (
    SAFE_WEIGHTS_INDEX_NAME,
    SAFE_WEIGHTS_NAME,
    TransformersKwargs,
    auto_docstring,
    torch_compilable_check,
)
from transformers.utils.generic import can_return_tuple

from .chat_minimonkey import ChatMixin
from .compressed_prompt import CompressedBeginning, flat_features
from .configuration_checks import (
    LIMITS,
    check_engine,
    check_keep_ratio,
    check_number,
    check_vision_features,
    shown,
)
from .configuration_minimonkey import MiniMonkeyConfig
from .generation_minimonkey import CACHE, ScaleCompressionGenerationMixin, is_filled
from .input_checks import (
    check_arguments,
    check_images,
    check_labels,
    check_length,
    check_prompt,
    check_tensor,
    tile_shape,
)
from .scale_compression import check_tile_levels, compressed_position_ids, compression_mask, detailed_images
from .self_check import check_release


class SelectedTokens(NamedTuple):
    """
    The tokens that SCM keeps.

    Args:
        kept (`torch.BoolTensor` of shape `(batch_size, sequence_length)`):
            False at padding and at dropped tokens.
        position_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`):
            Their positions, according to `config.scale_compression_config.positions`.
    """

    kept: torch.Tensor
    position_ids: torch.Tensor


@auto_docstring
class MiniMonkeyPreTrainedModel(InternVLPreTrainedModel):
    config: MiniMonkeyConfig
    input_modalities = ("image", "text")

    def save_pretrained(self, save_directory: str | os.PathLike, is_main_process: bool = True, *args, **kwargs):
        """
        [`~PreTrainedModel.save_pretrained`], after which a folder with an older save never loads the older weights or
        a mixture: the older index is removed first, in case this save is cut off between its shards, and an older
        single file, which would be loaded instead of shards, last.
        """
        single, index = (Path(save_directory, name) for name in (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME))
        removes = is_main_process and not kwargs.get("variant")
        if removes:
            index.unlink(missing_ok=True)
        super().save_pretrained(save_directory, is_main_process, *args, **kwargs)
        if removes and index.exists():
            single.unlink(missing_ok=True)

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *args, **kwargs) -> nn.Embedding:
        """Resize the embeddings; a vocabulary without the placeholder of the image tokens is a `ValueError`."""
        check_number("new_num_tokens", new_num_tokens, (int, 0, LIMITS["vocab_size"][2]))
        if new_num_tokens is not None and new_num_tokens <= self.config.image_token_id:
            raise ValueError(
                f"`new_num_tokens` is {new_num_tokens}, but `config.image_token_id` is {self.config.image_token_id}: "
                f"at least {self.config.image_token_id + 1} tokens must stay."
            )
        return super().resize_token_embeddings(new_num_tokens, *args, **kwargs)


@auto_docstring(
    custom_intro="""
    The Mini-Monkey model: vision tower, projector and language model, without a language modeling head.
    """
)
class MiniMonkeyModel(MiniMonkeyPreTrainedModel, InternVLModel):  # trf-ignore: TRF013 (InternVL's calls `post_init`)
    def __init__(self, config: MiniMonkeyConfig):
        check_engine(config)
        super().__init__(config)

    @auto_docstring
    def get_image_features(
        self,
        pixel_values: torch.FloatTensor,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple | BaseModelOutputWithPooling:
        r"""
        pixel_values (`torch.FloatTensor` of shape `(tiles, channels, height, width)`):
            Normalized tiles of all images, of the size `config.vision_config.image_size`.

        Returns:
            `BaseModelOutputWithPooling` whose `pooler_output` are the projected features, of shape
            `(tiles, image_seq_length, hidden_size)`.
        """
        check_tensor("pixel_values", pixel_values, tile_shape(self.config), 4)
        if vision_feature_layer is not None or vision_feature_select_strategy is not None:
            layer = self.config.vision_feature_layer if vision_feature_layer is None else vision_feature_layer
            check_vision_features(self.config, layer, vision_feature_select_strategy or "default")
        vision_config = self.config.vision_config
        expected = (vision_config.num_channels, *vision_config.image_size)
        if tuple(pixel_values.shape[1:]) != expected:
            raise ValueError(
                f"`pixel_values` must have the shape {tile_shape(self.config)}, got {tuple(pixel_values.shape)}."
            )
        if not pixel_values.shape[0]:
            raise ValueError("`pixel_values` has no tiles; leave it out where there are no images.")
        if not pixel_values.is_floating_point():
            raise ValueError(f"`pixel_values` must be normalized floating point numbers, got {pixel_values.dtype}.")
        return super().get_image_features(
            pixel_values=pixel_values,
            vision_feature_layer=vision_feature_layer,
            vision_feature_select_strategy=vision_feature_select_strategy,
            **kwargs,
        )

    def get_placeholder_mask(
        self, input_ids: torch.LongTensor | None, inputs_embeds: torch.Tensor, image_features: torch.Tensor
    ) -> torch.BoolTensor:
        """
        Find the image tokens by `input_ids` or, without them, by the embedding of the placeholder.

        Returns:
            `torch.BoolTensor` of shape `(batch_size, sequence_length, 1)`.

        Raises:
            `ValueError`: there are not as many image tokens as features in `image_features`, of shape
                `(tokens, hidden_size)` or `(tiles, image_seq_length, hidden_size)`.
        """
        if input_ids is not None:
            image_mask = input_ids == self.config.image_token_id
        else:
            placeholder = torch.full((), self.config.image_token_id, dtype=torch.long, device=inputs_embeds.device)
            image_mask = (inputs_embeds == self.get_input_embeddings()(placeholder)).all(dim=-1)
        tokens, features = image_mask.sum(), image_features.flatten(0, -2).shape[0]
        per_tile = self.config.image_seq_length
        torch_compilable_check(
            tokens == features,
            lambda: (
                # TRL's trainers recognize the first words, and say what to do about `max_length`.
                f"Image features and image tokens do not match: the text has {int(tokens)} image tokens, but the "
                f"images have {features} features ({features / per_tile:g} tiles of {per_tile} tokens). Truncated "
                "text loses image tokens; what splits batches by rows (accelerate's `dispatch_batches`, "
                "`DataParallel`) separates tiles from their text."
            ),
        )
        return image_mask[..., None].to(inputs_embeds.device)

    @torch.no_grad()
    def select_tokens(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.FloatTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        tile_levels: torch.LongTensor | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        keep_ratio: float | None = None,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        prompt_mask: torch.BoolTensor | None = None,
    ) -> SelectedTokens:
        """
        Select the tokens of a prompt that SCM keeps. The arguments are those of [`MiniMonkeyModel.forward`].

        Returns:
            [`SelectedTokens`]: the mask of the kept tokens, and their positions.

        Raises:
            ValueError: there are no images or no levels, or the shapes don't fit each other.
        """
        keep_ratio = self.check_compression(keep_ratio, pixel_values, tile_levels)
        image_outputs = self.encode_images(
            pixel_values, mm_encoder_outputs, vision_feature_layer, vision_feature_select_strategy
        )
        if image_outputs is None or tile_levels is None:
            raise ValueError("`select_tokens` needs `tile_levels` and `pixel_values` (or `mm_encoder_outputs`).")
        inputs_embeds, image_mask = self._embed(input_ids, inputs_embeds, image_outputs)
        rows, length = image_mask.shape
        real = torch.ones_like(image_mask) if attention_mask is None else attention_mask.bool()
        if real.shape != image_mask.shape:
            raise ValueError(
                "With scale compression `attention_mask` must have the shape (batch_size, sequence_length) "
                f"{(rows, length)}, got {tuple(real.shape)}."
            )
        if not rows or not real.any(dim=1).all():
            raise ValueError("With scale compression every row needs a token that `attention_mask` does not hide.")
        if position_ids is None:
            position_ids = (real.long().cumsum(dim=1) - 1).clamp(min=0)
        elif tuple(position_ids.shape) not in ((rows, length), (1, length)):
            raise ValueError(
                f"`position_ids` must have the shape (batch_size, sequence_length) {(rows, length)}, got "
                f"{tuple(position_ids.shape)}."
            )
        position_ids = position_ids.expand(rows, length)
        check_length(self.config, inputs_embeds, real, position_ids, is_compressed=True)
        settings = self.config.scale_compression_config
        images = detailed_images(image_mask, tile_levels, self.config.image_seq_length)
        kept = compression_mask(
            self.language_model,
            inputs_embeds,
            real,
            position_ids,
            images,
            keep_ratio=keep_ratio,
            layer=settings.layer,
            image_mask=image_mask,
            queries=settings.queries,
            prompt_mask=None if prompt_mask is None else prompt_mask.to(real.device),
        )
        return SelectedTokens(kept, compressed_position_ids(position_ids, real & ~kept, settings.positions))

    @can_return_tuple
    @auto_docstring
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.FloatTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        tile_levels: torch.LongTensor | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        keep_ratio: float | None = None,
        prompt_mask: torch.BoolTensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple | BaseModelOutputWithPast:
        r"""
        pixel_values (`torch.FloatTensor` of shape `(tiles, channels, height, width)`, *optional*):
            Normalized tiles of all images, in the order of the image tokens.
        tile_levels (`torch.LongTensor` of shape `(tiles,)`, *optional*):
            Level of every tile: 0 detailed, 1 adaptive, 2 global. Required if SCM is on, ignored if it is off.
        mm_encoder_outputs (`dict[str, BaseModelOutputWithPooling]`, *optional*):
            Image features that were computed before, instead of `pixel_values`: `pooler_output` of the key `"image"`
            is a tensor of shape `(tiles, image_seq_length, hidden_size)` or a list of tensors `(tokens, hidden_size)`.
            Without `tile_levels`, nothing is dropped from them.
        keep_ratio (`float`, *optional*):
            Share of each image's detailed tokens that SCM keeps, above 0 and at most 1. Defaults to
            `config.scale_compression_config.keep_ratio`.

            - Dropped tokens are masked, so the lengths stay the same: nothing attends to dropped tokens, and the other
              tokens have the positions that `config.scale_compression_config.positions` says.
            - Labels of image tokens should be -100.
            - Nothing is dropped without images or after a cached beginning.
            - Masked tokens still take up places in a sliding window, unlike in `generate`, which removes them.
        prompt_mask (`torch.BoolTensor` of shape `(batch_size, sequence_length)`, *optional*):
            False at answers to learn: their attention doesn't score image tokens, as there are no answers yet when
            `generate` compresses the prompt. By default all of it counts.
        kwargs:
            The other arguments of InternVL's `forward`, such as the cache: `past_key_values` or `cache`. A cache that
            was filled under compression records which tokens were dropped: to continue, pass the mask of the whole
            conversation.
        """
        if not IS_TESTED and not torch.compiler.is_compiling():
            check_release(MiniMonkeyForConditionalGeneration)
        cache = take_cache(kwargs)
        is_checked = not torch.compiler.is_compiling()
        if is_checked:
            check_arguments(kwargs)
            check_prompt(self, input_ids, inputs_embeds, attention_mask, position_ids, cache is not None)
            check_images(self.config, pixel_values, mm_encoder_outputs)
        keep_ratio = self.check_compression(keep_ratio, pixel_values, tile_levels)
        whole = input_ids if inputs_embeds is None else inputs_embeds
        if is_checked and cache is None and (keep_ratio == 1.0 or tile_levels is None):
            check_length(self.config, whole, attention_mask, position_ids)  # before the vision tower runs
        image_outputs = self.encode_images(
            pixel_values, mm_encoder_outputs, vision_feature_layer, vision_feature_select_strategy
        )
        prompt = {"input_ids": input_ids, "inputs_embeds": inputs_embeds}
        if image_outputs is not None:
            prompt["mm_encoder_outputs"] = {"image": image_outputs}
        elif input_ids is not None and cache is None:
            torch_compilable_check(
                (input_ids != self.config.image_token_id).all(),
                "The text has image tokens, but neither `pixel_values` nor `mm_encoder_outputs` are given.",
            )

        beginning, selected = CompressedBeginning.of(cache), None
        if beginning is not None:
            rows, new = whole.shape[:2]
            cached = int(cache.get_seq_length())
            beginning = beginning.for_rows(cache, rows).crop(cached)
            attention_mask, continued = beginning.continue_mask(attention_mask, cached, new)
            position_ids = continued[:, -new:] if position_ids is None else position_ids
        elif keep_ratio < 1.0 and tile_levels is not None and image_outputs is not None and not is_filled(cache):
            selected = self.select_tokens(
                **prompt,
                tile_levels=tile_levels,
                attention_mask=attention_mask,
                position_ids=position_ids,
                keep_ratio=keep_ratio,
                prompt_mask=prompt_mask,
            )
            real = torch.ones_like(selected.kept)
            if attention_mask is not None:
                real = attention_mask.to(torch.bool, copy=True)
            attention_mask, position_ids = selected.kept.long(), selected.position_ids
        if is_checked and (cache is None or whole.shape[1] > 1):  # a single token is a step of an answer
            cached = 0 if cache is None else int(cache.get_seq_length())
            check_length(self.config, whole, attention_mask, position_ids, cached)
        outputs = super().forward(
            **prompt,
            attention_mask=attention_mask,
            position_ids=position_ids,
            **kwargs | {CACHE: cache, "return_dict": True},
        )
        if selected is not None and (filled := outputs.get(CACHE)) is not None:
            positions = self.config.scale_compression_config.positions
            ids = None if input_ids is None else input_ids.clone()
            beginning = CompressedBeginning(real, selected.kept, real.shape[1], False, positions, ids)
            beginning.put_on(filled)
        elif beginning is not None:
            cache.compressed_beginning = beginning  # without what was cropped, where other tokens are now
        return outputs

    def check_compression(
        self, keep_ratio: float | None, pixel_values: torch.Tensor | None, tile_levels: torch.Tensor | None
    ) -> float:
        """The `keep_ratio` of a call, by default the configured one; `ValueError` if `tile_levels` don't fit it."""
        if keep_ratio is None:
            keep_ratio = self.config.scale_compression_config.keep_ratio
        keep_ratio = check_keep_ratio(keep_ratio)
        if tile_levels is not None and not isinstance(tile_levels, torch.Tensor):
            raise TypeError(f"`tile_levels` must be a tensor, got {shown(tile_levels)}.")
        if tile_levels is not None and (tile_levels.is_floating_point() or tile_levels.is_complex()):
            raise ValueError(f"`tile_levels` must hold whole numbers, got {tile_levels.dtype}.")
        if keep_ratio < 1.0 and tile_levels is not None:
            check_tile_levels(tile_levels)
        if pixel_values is None:
            return keep_ratio
        if tile_levels is None and keep_ratio < 1.0:
            raise ValueError(f"`keep_ratio` {keep_ratio} needs the `tile_levels` that the processor returns.")
        if tile_levels is not None and tile_levels.shape != pixel_values.shape[:1]:
            raise ValueError(
                f"`tile_levels` must have one level for each of the {pixel_values.shape[0]} tiles in `pixel_values`, "
                f"got the shape {tuple(tile_levels.shape)}."
            )
        return keep_ratio

    def encode_images(
        self,
        pixel_values: torch.FloatTensor | None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
    ) -> BaseModelOutputWithPooling | None:
        """
        The outputs of the vision tower for `pixel_values`, or those given as `mm_encoder_outputs`; `None` without
        images. `pooler_output` is a tensor, `(tiles, image_seq_length, hidden_size)` or, if it was a list,
        `(tokens, hidden_size)`.
        """
        image_outputs = (mm_encoder_outputs or {}).get("image")
        if pixel_values is not None:
            if image_outputs is not None:
                raise ValueError("Specify `pixel_values` or `mm_encoder_outputs`, not both.")
            if not len(pixel_values):
                return None  # what TRL, which splits batches, leaves for rows without images
            return self.get_image_features(
                pixel_values, vision_feature_layer, vision_feature_select_strategy, return_dict=True
            )
        if image_outputs is not None and not isinstance(image_outputs.pooler_output, torch.Tensor):
            return BaseModelOutputWithPooling(pooler_output=flat_features(image_outputs.pooler_output))
        return image_outputs

    def _embed(self, input_ids, inputs_embeds, image_outputs) -> tuple[torch.Tensor, torch.Tensor]:
        """The embeddings with the image features in place, and the mask of the image tokens."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Specify exactly one of `input_ids` and `inputs_embeds`.")
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        features = image_outputs.pooler_output.to(inputs_embeds.device, inputs_embeds.dtype)
        image_mask = self.get_placeholder_mask(input_ids, inputs_embeds, features)
        return inputs_embeds.masked_scatter(image_mask, features), image_mask[..., 0]

    def generate(self, *args, **kwargs):
        raise TypeError(
            f"{type(self).__name__} has no language modeling head and can't generate. Load the checkpoint as "
            "MiniMonkeyForConditionalGeneration or through AutoModelForImageTextToText."
        )

    chat = generate  # which says the same


@auto_docstring(
    custom_intro="""
    The Mini-Monkey model with a language modeling head: it generates text from images and text.
    """
)
class MiniMonkeyForConditionalGeneration(
    ChatMixin,
    ScaleCompressionGenerationMixin,
    MiniMonkeyPreTrainedModel,
    InternVLForConditionalGeneration,
    GenerationMixin,
):
    def __init__(self, config: MiniMonkeyConfig):
        InternVLPreTrainedModel.__init__(self, config)  # InternVL's own would first build an InternVLModel
        self.model = MiniMonkeyModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    @can_return_tuple
    @auto_docstring
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.FloatTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        tile_levels: torch.LongTensor | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        labels: torch.LongTensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        keep_ratio: float | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple | CausalLMOutputWithPast:
        r"""
        labels (`torch.LongTensor` of shape `(batch_size, sequence_length)`, *optional*):
            Ids to learn, -100 elsewhere. SCM then keeps what it would keep for the rest alone, the prompt.
        pixel_values (`torch.FloatTensor` of shape `(tiles, channels, height, width)`, *optional*):
            Normalized tiles of all images, in the order of the image tokens.
        tile_levels (`torch.LongTensor` of shape `(tiles,)`, *optional*):
            Level of every tile, as the processor returns it; see [`MiniMonkeyModel.forward`].
        mm_encoder_outputs (`dict[str, BaseModelOutputWithPooling]`, *optional*):
            Image features that were computed before, instead of `pixel_values`; see [`MiniMonkeyModel.forward`].
        keep_ratio (`float`, *optional*):
            Share of each image's detailed tokens that SCM keeps; see [`MiniMonkeyModel.forward`].
        kwargs:
            The other arguments of InternVL's `forward`, such as the cache; see [`MiniMonkeyModel.forward`].

        Example:

        ```python
        >>> from PIL import Image
        >>> from transformers import AutoModelForImageTextToText, AutoProcessor

        >>> model = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True)
        >>> processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
        >>> content = [{"type": "image", "image": Image.open("page.png")}, {"type": "text", "text": "Read the text."}]
        >>> inputs = processor.prepare_chat([{"role": "user", "content": content}])
        >>> sequences = model.generate(**inputs, max_new_tokens=100, keep_ratio=0.5)
        >>> processor.decode(sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        ```"""
        kwargs[CACHE] = take_cache(kwargs)
        if labels is not None and not torch.compiler.is_compiling():
            check_labels(
                labels, input_ids if inputs_embeds is None else inputs_embeds, self.config.text_config.vocab_size
            )
        if labels is not None:
            kwargs.setdefault("prompt_mask", labels == -100)
        return super().forward(
            input_ids=input_ids,
            pixel_values=pixel_values,
            tile_levels=tile_levels,
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            vision_feature_layer=vision_feature_layer,
            vision_feature_select_strategy=vision_feature_select_strategy,
            labels=labels,
            logits_to_keep=logits_to_keep,
            mm_encoder_outputs=mm_encoder_outputs,
            keep_ratio=keep_ratio,
            **kwargs,
        )


# Here and not in `__init__.py`, so that a model loaded as remote code also saves its code.
MiniMonkeyConfig.register_for_auto_class()
MiniMonkeyModel.register_for_auto_class("AutoModel")
MiniMonkeyForConditionalGeneration.register_for_auto_class("AutoModelForImageTextToText")

__all__ = ["MiniMonkeyForConditionalGeneration", "MiniMonkeyModel", "MiniMonkeyPreTrainedModel"]
