# trf-ignore: TRF028 (the license is in the file LICENSE)
"""Mini-Monkey: InternVL's vision tower, projector and language model, with the Scale Compression Mechanism (SCM)."""

from .configuration_minimonkey import MiniMonkeyConfig, check_keep_ratio  # first: checks Transformers' version


# isort: split
import copy

import torch
from torch import nn
from transformers import Cache, GenerationConfig, GenerationMixin, InternVLForConditionalGeneration, InternVLModel
from transformers.generation.streamers import BaseStreamer
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.internvl.modeling_internvl import (
    InternVLCausalLMOutputWithPast,
    InternVLModelOutputWithPast,
    InternVLPreTrainedModel,
)
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs, auto_docstring, torch_compilable_check
from transformers.utils.generic import can_return_tuple

from .scale_compression import DETAILED_LEVEL, compressed_position_ids, compression_mask, detailed_images, left_pack


def _has_beginning(past_key_values: Cache | None) -> bool:
    return past_key_values is not None and bool(past_key_values.get_seq_length() > 0)


@auto_docstring
class MiniMonkeyPreTrainedModel(InternVLPreTrainedModel):
    config: MiniMonkeyConfig
    input_modalities = ("image", "text")

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *args, **kwargs) -> nn.Embedding:
        """As every model's, but the vocabulary can't lose the placeholder of the image tokens (`ValueError`)."""
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
class MiniMonkeyModel(MiniMonkeyPreTrainedModel, InternVLModel):
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
            Normalized tiles of all images, of the size that `config.vision_config.image_size` states.

        Returns:
            `BaseModelOutputWithPooling` whose `pooler_output` are the projected features, of shape
            `(tiles, image_seq_length, hidden_size)`.
        """
        vision_config = self.config.vision_config
        expected = (vision_config.num_channels, *vision_config.image_size)
        if pixel_values.ndim != 4 or tuple(pixel_values.shape[1:]) != expected:
            raise ValueError(
                f"`pixel_values` must have the shape (tiles, {', '.join(map(str, expected))}), "
                f"got {tuple(pixel_values.shape)}."
            )
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
        Find the image tokens, by `input_ids` or, where there are none, by the embedding of the placeholder.

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
                f"The text has {int(tokens)} image tokens, but the images have {features} features "
                f"({features / per_tile:g} tiles of {per_tile} tokens)."
            ),
        )
        return image_mask[..., None].to(inputs_embeds.device)

    def compress(
        self,
        inputs_embeds: torch.Tensor,
        image_mask: torch.Tensor,
        tile_levels: torch.Tensor,
        attention_mask: torch.Tensor | None,
        position_ids: torch.Tensor | None,
        keep_ratio: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Choose the tokens that stay under SCM.

        Args:
            inputs_embeds (`torch.Tensor` of shape `(batch_size, sequence_length, hidden_size)`):
                Embeddings with the image features in place.
            image_mask (`torch.BoolTensor` of shape `(batch_size, sequence_length)`):
                True at image tokens.
            tile_levels (`torch.LongTensor` of shape `(tiles,)`):
                0 for detailed, 1 for adaptive, 2 for global tiles.
            attention_mask (`torch.Tensor` of shape `(batch_size, sequence_length)`, *optional*):
                0 at padding.
            position_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`, *optional*):
                Positions; by default those of the tokens that are no padding, from 0.
            keep_ratio (`float`):
                Share of the detailed tokens of each image that stays.

        Returns:
            The mask of the tokens that stay (bool) and their positions (int64), each `(batch_size, sequence_length)`.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(image_mask)
        if attention_mask.shape != image_mask.shape:
            raise ValueError(
                "With scale compression `attention_mask` must have the shape (batch_size, sequence_length) "
                f"{tuple(image_mask.shape)}, got {tuple(attention_mask.shape)}."
            )
        scale_compression = self.config.scale_compression_config
        real = attention_mask.bool()
        if position_ids is None:
            position_ids = (real.long().cumsum(dim=1) - 1).clamp(min=0)
        images = detailed_images(image_mask, tile_levels, self.config.image_seq_length)
        kept = compression_mask(
            self.language_model,
            inputs_embeds,
            real,
            position_ids.expand(real.shape),
            images,
            keep_ratio=keep_ratio,
            layer=scale_compression.layer,
        )
        return kept, compressed_position_ids(position_ids, real & ~kept, scale_compression.positions)

    @can_return_tuple
    @auto_docstring
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.FloatTensor | None = None,
        tile_levels: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        keep_ratio: float | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple | InternVLModelOutputWithPast:
        r"""
        pixel_values (`torch.FloatTensor` of shape `(tiles, channels, height, width)`, *optional*):
            Normalized tiles of all images, in the order of the image tokens.
        tile_levels (`torch.LongTensor` of shape `(tiles,)`, *optional*):
            Level of every tile: 0 detailed, 1 adaptive, 2 global. Needed where SCM is on, ignored where it is off.
        mm_encoder_outputs (`dict[str, BaseModelOutputWithPooling]`, *optional*):
            Features that were computed before, instead of `pixel_values`: `pooler_output` of the key `"image"` is a
            tensor of shape `(tiles, image_seq_length, hidden_size)` or a list of tensors `(tokens, hidden_size)`.
        keep_ratio (`float`, *optional*):
            Share of the detailed tokens that SCM keeps, above 0 and at most 1; `config.scale_compression_config` has
            the default. Dropped tokens are masked here, so that lengths stay: nothing attends to them, and the
            positions of the others follow `config.scale_compression_config.positions`. Labels of image tokens should
            be -100. Without images and after a cached beginning nothing is dropped. A returned cache holds the dropped
            tokens too: later calls need the mask, see [`MiniMonkeyModel.compress`].
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Specify exactly one of `input_ids` and `inputs_embeds`.")
        if pixel_values is not None and mm_encoder_outputs is not None:
            raise ValueError("Specify `pixel_values` or `mm_encoder_outputs`, not both.")
        keep_ratio = self.check_compression(keep_ratio, pixel_values, tile_levels)

        image_outputs = (mm_encoder_outputs or {}).get("image")
        if pixel_values is not None:
            image_outputs = self.get_image_features(
                pixel_values, vision_feature_layer, vision_feature_select_strategy, return_dict=True
            )
        inputs_embeds, image_mask = self.embed(input_ids, inputs_embeds, image_outputs, past_key_values)

        has_levels = image_mask is not None and tile_levels is not None
        if keep_ratio < 1.0 and has_levels and not _has_beginning(past_key_values):
            kept, position_ids = self.compress(
                inputs_embeds, image_mask, tile_levels, attention_mask, position_ids, keep_ratio
            )
            attention_mask = kept.long()

        outputs = self.language_model(
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        return InternVLModelOutputWithPast(
            last_hidden_state=outputs.last_hidden_state,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            image_hidden_states=None if image_outputs is None else image_outputs.pooler_output,
        )

    def check_compression(
        self, keep_ratio: float | None, pixel_values: torch.Tensor | None, tile_levels: torch.Tensor | None
    ) -> float:
        """The `keep_ratio` of a call, for `None` the configured one; `ValueError` if `tile_levels` don't fit it."""
        if keep_ratio is None:
            keep_ratio = self.config.scale_compression_config.keep_ratio
        check_keep_ratio(keep_ratio)
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

    def embed(
        self,
        input_ids: torch.LongTensor | None,
        inputs_embeds: torch.Tensor | None,
        image_outputs: BaseModelOutputWithPooling | None,
        past_key_values: Cache | None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The embeddings with the image features in place, and (with images) the mask of the image tokens."""
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        if image_outputs is not None:
            features = [feature.flatten(0, -2) for feature in image_outputs.pooler_output]
            features = torch.cat(features).to(inputs_embeds.device, inputs_embeds.dtype)  # (image tokens, hidden_size)
            image_mask = self.get_placeholder_mask(input_ids, inputs_embeds, features)
            return inputs_embeds.masked_scatter(image_mask, features), image_mask[..., 0]
        if input_ids is not None and past_key_values is None:
            torch_compilable_check(
                (input_ids != self.config.image_token_id).all(),
                "The text has image tokens, but neither `pixel_values` nor `mm_encoder_outputs` are given.",
            )
        return inputs_embeds, None

    def generate(self, *args, **kwargs):
        raise TypeError(
            f"{type(self).__name__} has no language modeling head and can't generate. Load the checkpoint as "
            "MiniMonkeyForConditionalGeneration or through AutoModelForImageTextToText."
        )


@auto_docstring(
    custom_intro="""
    The Mini-Monkey model with a language modeling head: it reads images and writes text.
    """
)
class MiniMonkeyForConditionalGeneration(MiniMonkeyPreTrainedModel, InternVLForConditionalGeneration, GenerationMixin):
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
        tile_levels: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        labels: torch.LongTensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        keep_ratio: float | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple | InternVLCausalLMOutputWithPast:
        r"""
        pixel_values (`torch.FloatTensor` of shape `(tiles, channels, height, width)`, *optional*):
            Normalized tiles of all images, in the order of the image tokens.
        tile_levels (`torch.LongTensor` of shape `(tiles,)`, *optional*):
            Level of every tile: 0 detailed, 1 adaptive, 2 global. Needed where SCM is on, ignored where it is off.
        mm_encoder_outputs (`dict[str, BaseModelOutputWithPooling]`, *optional*):
            Features that were computed before, instead of `pixel_values`; see [`MiniMonkeyModel.forward`].
        keep_ratio (`float`, *optional*):
            Share of the detailed tokens that SCM keeps; see [`MiniMonkeyModel.forward`].

        Example:

        ```python
        >>> from PIL import Image
        >>> from transformers import AutoModelForImageTextToText, AutoProcessor

        >>> model = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True)
        >>> processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
        >>> content = [{"type": "image", "image": Image.open("page.png")}, {"type": "text", "text": "Read the text."}]
        >>> inputs = processor.apply_chat_template(
        ...     [{"role": "user", "content": content}],
        ...     add_generation_prompt=True,
        ...     tokenize=True,
        ...     return_dict=True,
        ...     return_tensors="pt",
        ... )
        >>> sequences = model.generate(**inputs, max_new_tokens=100, keep_ratio=0.5)
        >>> processor.decode(sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        ```"""
        return super().forward(
            input_ids=input_ids,
            pixel_values=pixel_values,
            tile_levels=tile_levels,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            vision_feature_layer=vision_feature_layer,
            vision_feature_select_strategy=vision_feature_select_strategy,
            labels=labels,
            logits_to_keep=logits_to_keep,
            mm_encoder_outputs=mm_encoder_outputs,
            keep_ratio=keep_ratio,
            **kwargs,
        )

    @torch.no_grad()
    def generate(
        self,
        inputs: torch.LongTensor | None = None,
        generation_config: GenerationConfig | None = None,
        *args,
        keep_ratio: float | None = None,
        **kwargs,
    ):
        r"""
        [`~GenerationMixin.generate`] with SCM: the dropped tokens leave the prompt before the first step, so the cache
        is shorter in every layer, and the returned ids start with the whole prompt all the same.

        What looks at the prompt while it generates (logits processors, stopping criteria, `prefix_allowed_tokens_fn`)
        sees the short one, and returned attentions, hidden states and caches are those of the short one.
        Nothing is dropped with `inputs_embeds` or a cache that is not empty, without images or without detailed tiles.

        Args:
            inputs (`torch.LongTensor` of shape `(batch_size, sequence_length)`, *optional*):
                The prompt, which may also be given as `input_ids`.
            generation_config (`GenerationConfig`, *optional*):
                As in every model's `generate`; `max_length` and `min_length` count the whole prompt.
            args, kwargs:
                Everything else that `generate` and `forward` take.
            keep_ratio (`float`, *optional*):
                Share of each image's detailed tokens that stays, above 0 and at most 1 (keep all, the same as a model
                without SCM). `config.scale_compression_config.keep_ratio` is the default.

        Returns:
            As in every model's `generate`.
        """
        tile_levels = kwargs.pop("tile_levels", None)  # without them `forward` does not compress again
        keep_ratio = self.model.check_compression(keep_ratio, kwargs.get("pixel_values"), tile_levels)
        prompt = inputs if inputs is not None else kwargs.get("input_ids")
        has_detailed_tiles = tile_levels is not None and bool((tile_levels == DETAILED_LEVEL).any())
        if not self._starts_with_images(prompt, kwargs) or keep_ratio == 1.0 or not has_detailed_tiles:
            return super().generate(inputs, generation_config, *args, **kwargs)

        kwargs.pop("input_ids", None)
        short = self._shorten_prompt(prompt, generation_config, tile_levels, keep_ratio, kwargs)
        dropped = prompt.shape[1] - short["input_ids"].shape[1]
        generation_config = self._shorten_lengths(generation_config, kwargs, prompt.shape[1], dropped)
        if kwargs.get("streamer") is not None:
            kwargs["streamer"] = _WholePromptStreamer(kwargs["streamer"], prompt)
        outputs = super().generate(short.pop("input_ids"), generation_config, *args, **kwargs | short)

        sequences = outputs if isinstance(outputs, torch.Tensor) else outputs.sequences
        prompts = prompt.repeat_interleave(sequences.shape[0] // prompt.shape[0], dim=0)
        sequences = torch.cat((prompts, sequences[:, prompt.shape[1] - dropped :]), dim=1)
        if isinstance(outputs, torch.Tensor):
            return sequences
        outputs.sequences = sequences
        return outputs

    def _starts_with_images(self, prompt: torch.LongTensor | None, kwargs: dict) -> bool:
        """Whether `generate` got the ids of a whole prompt and its images; `ValueError` if the images are missing."""
        has_embeds = kwargs.get("inputs_embeds") is not None
        if prompt is None or has_embeds or _has_beginning(kwargs.get("past_key_values")):
            return False
        has_images = kwargs.get("pixel_values") is not None or kwargs.get("mm_encoder_outputs") is not None
        if not has_images and (prompt == self.config.image_token_id).any():
            raise ValueError("The prompt has image tokens, but `pixel_values` are missing.")
        return has_images

    def _shorten_prompt(
        self,
        prompt: torch.LongTensor,
        generation_config: GenerationConfig | None,
        tile_levels: torch.LongTensor,
        keep_ratio: float,
        kwargs: dict,
    ) -> dict:
        """Ids, mask, positions and image features without the dropped tokens; takes the long ones out of `kwargs`."""
        attention_mask, position_ids = kwargs.pop("attention_mask", None), kwargs.pop("position_ids", None)
        generation_config, _ = self._prepare_generation_config(generation_config, **kwargs)
        self._prepare_special_tokens(generation_config, attention_mask is not None, prompt.device, prompt.shape[0])
        if attention_mask is None:
            attention_mask = self._prepare_attention_mask_for_generation(prompt, generation_config, {})
        image_outputs = (kwargs.pop("mm_encoder_outputs", None) or {}).get("image")
        if kwargs.get("pixel_values") is not None:
            names = ("pixel_values", "vision_feature_layer", "vision_feature_select_strategy")
            features = {name: kwargs.pop(name) for name in names if name in kwargs}
            image_outputs = self.model.get_image_features(**features, return_dict=True)

        inputs_embeds, image_mask = self.model.embed(prompt, None, image_outputs, None)
        kept, position_ids = self.model.compress(
            inputs_embeds, image_mask, tile_levels, attention_mask, position_ids, keep_ratio
        )
        # One entry for each row, so that `generate` can repeat rows for beams and returned sequences.
        features = [row[row_mask] for row, row_mask in zip(inputs_embeds, image_mask & kept, strict=True)]
        width = int(kept.sum(dim=1).max())
        # CODEPATH: published checkpoints repack; "keep" is for those who evaluate or train with original positions.
        if self.config.scale_compression_config.positions == "keep":
            # Without any padding `generate` would drop the mask, and the library would take the gaps in the positions
            # for the seams of packed sequences.
            width = min(width + 1, prompt.shape[1])
        pad_token_id = generation_config._pad_token_tensor
        return {
            "input_ids": left_pack(prompt, kept, width, padding=0 if pad_token_id is None else int(pad_token_id)),
            "attention_mask": left_pack(attention_mask, kept, width, padding=0),
            "position_ids": left_pack(position_ids, kept, width, padding=0),
            "mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=features)},
        }

    def _shorten_lengths(
        self, generation_config: GenerationConfig | None, kwargs: dict, prompt_length: int, dropped: int
    ) -> GenerationConfig | None:
        """Take the dropped tokens off `max_length` and `min_length`, which count the prompt, wherever they are set."""
        generation_config = copy.deepcopy(generation_config)

        def setting(name):
            values = (kwargs.get(name), getattr(generation_config, name, None), getattr(self.generation_config, name))
            return next((value for value in values if value is not None), None)

        for name, takes_precedence in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
            length = setting(name)
            if length is None or setting(takes_precedence) is not None:
                continue
            if name == "max_length" and length <= prompt_length:
                raise ValueError(f"`max_length` is {length}, but the prompt alone has {prompt_length} tokens.")
            length = max(length - dropped, 0)
            if generation_config is None or kwargs.get(name) is not None:
                kwargs[name] = length
            else:
                setattr(generation_config, name, length)
        return generation_config


class _WholePromptStreamer(BaseStreamer):
    """Hands the whole prompt to a streamer in place of the short one, which `generate` puts first."""

    def __init__(self, streamer: BaseStreamer, prompt: torch.LongTensor):
        self.streamer, self.prompt = streamer, prompt

    def put(self, value):
        if self.prompt is not None:
            value, self.prompt = self.prompt.cpu(), None
        self.streamer.put(value)

    def end(self):
        self.streamer.end()


# Here and not in `__init__.py`, so that a model loaded as remote code saves its code, too.
MiniMonkeyConfig.register_for_auto_class()
MiniMonkeyModel.register_for_auto_class("AutoModel")
MiniMonkeyForConditionalGeneration.register_for_auto_class("AutoModelForImageTextToText")

__all__ = ["MiniMonkeyForConditionalGeneration", "MiniMonkeyModel", "MiniMonkeyPreTrainedModel"]
