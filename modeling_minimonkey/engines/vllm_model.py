"""
Mini-Monkey in vLLM, on its Transformers backend, with CIP and with compression.

The engine has to know how long a prompt is before an image is encoded. It can: how many detailed tokens stay is known
from the tiles alone. So the processor writes as many placeholders, and the features of each image are thinned out
after the vision tower: the longest stay (`queries="none"`), at the engine's own, gapless positions
(`positions="repack"`). No question enters, so the engine's caches of images and of prefixes stay valid.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import nn
from vllm.logger import init_logger
from vllm.model_executor.models.transformers import TransformersMultiModalForCausalLM
from vllm.model_executor.models.transformers.multimodal import (
    MultiModalDummyInputsBuilder,
    MultiModalProcessingInfo,
    MultiModalProcessor,
)
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalFieldConfig
from vllm.multimodal.parse import ImageProcessorItems, ImageSize
from vllm.multimodal.processing.context import InputProcessingContext

from modeling_minimonkey.configuration_checks import check_keep_ratio, shown
from modeling_minimonkey.scale_compression import DETAILED_LEVEL

from .image_tokens import REQUEST_OPTIONS, count_tokens, dropped_tokens, flat_options, longest_features, shapes


logger = init_logger("vllm.minimonkey")

KEEP_RATIO = "keep_ratio"  # its name in requests, and among the fields of an image


class WithoutKeepRatio(InputProcessingContext):
    """The engine's way to the processor, which knows nothing of `keep_ratio`."""

    def get_merged_mm_kwargs(self, kwargs: Mapping[str, object], **options) -> dict[str, Any]:
        merged = super().get_merged_mm_kwargs(kwargs, **options)
        merged.pop(KEEP_RATIO, None)
        return merged


class MiniMonkeyProcessingInfo(MultiModalProcessingInfo):
    """Counts of tokens, before any image is seen."""

    def __init__(self, ctx: InputProcessingContext) -> None:
        super().__init__(WithoutKeepRatio(ctx.model_config, ctx.tokenizer))

    def get_hf_processor(self, **kwargs):
        """One for all requests, whose options it gets when it is called."""
        return super().get_hf_processor()

    def keep_ratio(self, options: Mapping[str, object]) -> float:
        """
        The share of detailed tokens that stays: of the request's `options`, else of the server's
        `mm_processor_kwargs`, else of the configuration.

        Raises:
            ValueError: it is none.
        """
        merged = self.ctx.get_mm_config().merge_mm_processor_kwargs(options)
        return check_keep_ratio(merged.get(KEEP_RATIO, self.get_hf_config().scale_compression_config.keep_ratio))

    def get_image_size_with_most_features(self) -> ImageSize:
        """Of all shapes of images, as a square one, which the engine assumes, can have fewer tiles than others."""
        settings = self.get_hf_processor().image_processor.checked_settings({})
        sizes = [ImageSize(width=width, height=height) for width, height in shapes(settings)]
        return self._get_size_with_most_tokens(sizes, self._get_num_image_tokens)

    @cached_property
    def most_image_tokens(self) -> int:
        """Of any image, with the options of the server: for so many the engine has planned its memory."""
        return self.get_max_image_tokens()

    def _get_num_image_tokens(self, size: ImageSize) -> int:
        return count_tokens(self.get_hf_processor(), size.height, size.width, self.keep_ratio({}))


class MiniMonkeyMultiModalProcessor(MultiModalProcessor):
    """Prompts that are as long as the tokens that stay."""

    def apply(self, inputs, timing_ctx):
        self.check_placeholders(inputs)
        return super().apply(inputs, timing_ctx)

    def check_placeholders(self, inputs) -> None:
        """Raise `ValueError` unless the ids of a prompt have a placeholder for each image."""
        processor = self.info.get_hf_processor()
        found = inputs.prompt.count(processor.image_token_id)
        images = inputs.mm_data_items.get_all_counts().get("image", 0)
        if found != images:
            raise ValueError(
                f"The prompt has {found} {processor.image_token} for {images} images; there must be as many."
            )

    def _get_hf_mm_inputs(self, mm_items, hf_kwargs):
        options = flat_options(hf_kwargs)
        server = flat_options(self.info.ctx.get_mm_config().mm_processor_kwargs or {})
        for name, value in options.items():
            if name not in REQUEST_OPTIONS and (name not in server or server[name] != value):
                raise ValueError(
                    f"`mm_processor_kwargs` of a request may hold {', '.join(REQUEST_OPTIONS)}, got {shown(name)}."
                )
        keep_ratio = self.info.keep_ratio(options)
        options.pop(KEEP_RATIO, None)
        self.check_lengths(mm_items, keep_ratio, {name: options[name] for name in REQUEST_OPTIONS if name in options})
        hf_inputs = super()._get_hf_mm_inputs(mm_items, options)
        return hf_inputs._replace(passthrough_data={**hf_inputs.passthrough_data, KEEP_RATIO: keep_ratio})

    def _get_num_image_patches(self, hf_inputs, mm_data, num_images):
        """Tiles of each image, from what the processor has made of it, whatever the options of the request."""
        processor = self.info.get_hf_processor()
        ids = hf_inputs["image_replacement_ids"].split(hf_inputs["image_replacement_sizes"].tolist())
        tokens = torch.stack([(each == processor.image_token_id).sum() for each in ids])
        return tokens // processor.image_seq_length

    def _postprocess_hf_mm_data(self, mm_inputs, hf_processor_mm_kwargs, processed_data):
        """Shorten what stands for each image in the prompt to the tokens that stay."""
        keep_ratio = processed_data.pop(KEEP_RATIO)
        if "image_replacement_ids" in processed_data:
            processor = self.info.get_hf_processor()
            sizes = processed_data["image_replacement_sizes"].tolist()
            tiles = processed_data["num_image_patches"].tolist()
            shortened = []
            for ids, levels in zip(
                processed_data["image_replacement_ids"].split(sizes),
                processed_data["tile_levels"].split(tiles),
                strict=True,
            ):
                detailed = int((levels == DETAILED_LEVEL).sum())
                dropped = dropped_tokens(detailed, processor.image_seq_length, keep_ratio)
                shortened.append(torch.cat((ids[:1], ids[1 + dropped :])))  # after <img>
            processed_data["image_replacement_ids"] = torch.cat(shortened)
            processed_data["image_replacement_sizes"] = torch.tensor([len(ids) for ids in shortened])
            processed_data[KEEP_RATIO] = torch.full((len(shortened),), keep_ratio, dtype=torch.float64)
        return super()._postprocess_hf_mm_data(mm_inputs, hf_processor_mm_kwargs, processed_data)

    def check_lengths(self, mm_items, keep_ratio: float, options: Mapping[str, object]) -> None:
        """
        Raise `ValueError` if an image takes more tokens than the engine has planned its memory for. Before any tile is
        cut: a request could ask for very many.
        """
        images = mm_items.get("image")
        for index in range(images.get_count() if isinstance(images, ImageProcessorItems) else 0):
            width, height = images.get_image_size(index)
            # Which side is up is known once it is decoded
            sides = ((height, width), (width, height))
            length = max(count_tokens(self.info.get_hf_processor(), *each, keep_ratio, options) for each in sides)
            if length > self.info.most_image_tokens:
                raise ValueError(
                    f"An image takes {length} tokens with these `mm_processor_kwargs`, and this server has planned "
                    f"for {self.info.most_image_tokens}: ask for fewer tiles or a lower `keep_ratio`, or start it so."
                )

    def _get_mm_fields_config(self, hf_inputs, hf_processor_mm_kwargs):
        keep_ratio = hf_inputs.pop(KEEP_RATIO, None)
        fields = super()._get_mm_fields_config(hf_inputs, hf_processor_mm_kwargs)
        if keep_ratio is None:
            return fields
        hf_inputs[KEEP_RATIO] = keep_ratio
        return {**fields, KEEP_RATIO: MultiModalFieldConfig.batched("image", keep_on_cpu=True)}  # one for each image


@MULTIMODAL_REGISTRY.register_processor(
    MiniMonkeyMultiModalProcessor, info=MiniMonkeyProcessingInfo, dummy_inputs=MultiModalDummyInputsBuilder
)
class MiniMonkeyForVLLM(TransformersMultiModalForCausalLM):
    """vLLM's Transformers backend around [`MiniMonkeyModel`], whose images give only the tokens that stay."""

    def __init__(self, *, vllm_config, prefix: str = ""):
        settings = vllm_config.model_config.hf_config.scale_compression_config
        keep_ratio, settings.keep_ratio = settings.keep_ratio, 1.0  # the model itself drops nothing here
        try:
            super().__init__(vllm_config=vllm_config, prefix=prefix)
        finally:
            settings.keep_ratio = keep_ratio
        if (settings.queries, settings.positions) != ("none", "repack"):
            logger.warning_once(
                "Where `keep_ratio` is below 1, vLLM keeps the longest image features and leaves no gaps in positions "
                "(queries='none', positions='repack'); the checkpoint is configured for queries=%r, positions=%r.",
                settings.queries,
                settings.positions,
            )

    def recursive_replace(self) -> None:
        """
        Put the engine's layers in place of the library's; where weights are divided, not in the vision tower, whose
        attention doesn't expect a part of its heads: every process has all of it.
        """
        if self.tp_group.world_size == 1:
            super().recursive_replace()
            return
        tower, self.model.vision_tower = self.model.vision_tower, nn.Identity()
        try:
            super().recursive_replace()
        finally:
            self.model.vision_tower = tower

    def _process_image_input(self, **kwargs) -> list[torch.Tensor] | None:
        keep_ratios, levels = kwargs.pop(KEEP_RATIO, None), kwargs.pop("tile_levels", None)
        images = super()._process_image_input(**kwargs)
        if images is None or keep_ratios is None:  # no images, or features computed elsewhere
            return images
        tiles = kwargs["num_image_patches"].flatten().tolist()
        return [
            longest_features(features, image_levels, keep_ratio)
            for features, image_levels, keep_ratio in zip(
                images, levels.split(tiles), keep_ratios.flatten().tolist(), strict=True
            )
        ]
