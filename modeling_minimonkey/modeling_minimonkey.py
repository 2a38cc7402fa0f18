"""Mini-Monkey: InternVL's vision tower, projector and language model, fed by the Complementary Image Pyramid."""

import torch
from torch import nn
from transformers import Cache, GenerationMixin, InternVLForConditionalGeneration, InternVLModel
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.internvl.modeling_internvl import (
    InternVLCausalLMOutputWithPast,
    InternVLModelOutputWithPast,
    InternVLPreTrainedModel,
)
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs, can_return_tuple

from .configuration_minimonkey import MiniMonkeyConfig


class MiniMonkeyModel(InternVLModel):
    config: MiniMonkeyConfig
    input_modalities = ("image", "text")

    def get_image_features(
        self, pixel_values, vision_feature_layer=None, vision_feature_select_strategy=None, **kwargs
    ):
        self._check_pixel_values(pixel_values)
        return super().get_image_features(
            pixel_values=pixel_values,
            vision_feature_layer=vision_feature_layer,
            vision_feature_select_strategy=vision_feature_select_strategy,
            **kwargs,
        )

    def _check_pixel_values(self, pixel_values: torch.Tensor) -> None:
        vision_config = self.config.vision_config
        expected = (vision_config.num_channels, *vision_config.image_size)
        if pixel_values.ndim != 4 or tuple(pixel_values.shape[1:]) != expected:
            raise ValueError(
                f"`pixel_values` must have the shape (tiles, {', '.join(map(str, expected))}), "
                f"got {tuple(pixel_values.shape)}."
            )
        if not pixel_values.is_floating_point():
            raise ValueError(f"`pixel_values` must be normalized floating point numbers, got {pixel_values.dtype}.")

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        tile_levels: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        keep_ratio: float | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple | InternVLModelOutputWithPast:
        return super().forward(
            input_ids=input_ids,
            pixel_values=pixel_values,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            vision_feature_layer=vision_feature_layer,
            vision_feature_select_strategy=vision_feature_select_strategy,
            mm_encoder_outputs=mm_encoder_outputs,
            **kwargs,
        )


class MiniMonkeyForConditionalGeneration(InternVLForConditionalGeneration, GenerationMixin):
    config: MiniMonkeyConfig
    input_modalities = ("image", "text")

    def __init__(self, config: MiniMonkeyConfig):
        InternVLPreTrainedModel.__init__(self, config)  # InternVL's own would build its model first
        self.model = MiniMonkeyModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        tile_levels: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        labels: torch.LongTensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        keep_ratio: float | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple | InternVLCausalLMOutputWithPast:
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


# Here and not in `__init__.py`, so that a copy loaded as remote code also saves its code with its weights.
MiniMonkeyConfig.register_for_auto_class()
MiniMonkeyModel.register_for_auto_class("AutoModel")
MiniMonkeyForConditionalGeneration.register_for_auto_class("AutoModelForImageTextToText")

__all__ = ["MiniMonkeyForConditionalGeneration", "MiniMonkeyModel"]
