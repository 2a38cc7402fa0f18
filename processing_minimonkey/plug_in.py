"""
The Complementary Image Pyramid (CIP) for other model families: processors that replace the family's own. The models
stay unchanged.

The detailed tiles and the global view are those of the family's own processor. The tiles of a second grid with other
cut lines are added, cut by the family's own image processor. With `adaptive_tiles=None` the inputs are exactly those
of the family's own processor.

| Family | where the tiles of the second grid go |
|---|---|
| InternVL | between the detailed tiles and the thumbnail, in one run of image tokens |
| LLaVA-OneVision | after the first view, as a second image: its own thumbnail, rows that end in newline features |
| MiniCPM-V 4.6 | after the detailed slices, one line per row, each slice between `<slice>` and `</slice>` |

This file is not pushed to the Hub with Mini-Monkey checkpoints, whose own processor makes the pyramid.
"""

import copy
import os
from abc import abstractmethod
from typing import Any

import numpy as np
from transformers import (
    AutoProcessor,
    BatchFeature,
    InternVLProcessor,
    LlavaOnevisionProcessor,
    MiniCPMV4_6Processor,
)
from transformers.image_processing_utils import get_size_dict, select_best_resolution
from transformers.image_utils import ChannelDimension, ImageInput, SizeDict, make_flat_list_of_images
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas
from transformers.processing_utils import MultiModalData, ProcessorMixin

from .complementary_image_pyramid import Grid, check_settings, complementary_grid


class CIPProcessor:
    """
    The processor of a model family, with the tiles of a complementary grid added to every image that it cuts. An image
    that the family's own processor leaves whole gets no second grid, since nothing in it is cut.

    Create one with [`~CIPProcessor.from_pretrained`] or [`~CIPProcessor.from_processor`]. It is an instance of the
    family's own class, so chat templates, pipelines and `Trainer` accept it like the original.

    Attributes:
        adaptive_tiles (`tuple[int, int]`, *optional*, defaults to `(3, 7)`):
            Fewest and most tiles of the second grid. `None` switches CIP off.
        complementarity (`str`, *optional*, defaults to `"any"`):
            See [`plan_pyramid`]. The detailed grid is always the family's own; `"joint"` finds the best second grid
            for it.
        family (`type[ProcessorMixin]`): the family's own processor class, under which the processor is saved.

    Example:
        >>> processor = CIPProcessor.from_pretrained("llava-hf/llava-onevision-qwen2-0.5b-ov-hf")
        >>> inputs = processor.apply_chat_template(messages, tokenize=True, return_dict=True, return_tensors="pt")
        >>> processor.adaptive_tiles = None  # the family's own inputs
    """

    adaptive_tiles: Grid | None = (3, 7)
    complementarity: str = "any"
    family: type[ProcessorMixin]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs) -> "CIPProcessor":
        """
        Load the processor of a checkpoint and add CIP to it.

        Args:
            pretrained_model_name_or_path: folder or Hub repository of the family's checkpoint.
            adaptive_tiles, complementarity: see [`CIPProcessor`]; by default what was saved with the processor.
            kwargs: for `AutoProcessor.from_pretrained`.

        Raises:
            ValueError: the checkpoint belongs to no supported family, or a setting is not permitted.
        """
        given = {name: kwargs.pop(name) for name in ("adaptive_tiles", "complementarity") if name in kwargs}
        saved, _ = ProcessorMixin.get_processor_dict(pretrained_model_name_or_path, **kwargs)
        processor = AutoProcessor.from_pretrained(pretrained_model_name_or_path, **kwargs)
        return cls.from_processor(processor, **(saved.get("complementary_image_pyramid", {}) | given))

    @classmethod
    def from_processor(
        cls, processor: ProcessorMixin, adaptive_tiles: Grid | None = (3, 7), complementarity: str = "any"
    ) -> "CIPProcessor":
        """
        Add CIP to a processor; the tokenizer, the image processor and so on are shared, not copied.

        Raises:
            TypeError, ValueError: the processor belongs to no supported family, or a setting is not permitted, see
                [`plan_pyramid`].
        """
        wrapper = next((each for each in CIP_PROCESSORS if isinstance(processor, each.family)), None)
        if wrapper is None:
            known = ", ".join(each.family.__name__ for each in CIP_PROCESSORS)
            raise ValueError(f"`processor` must be one of {known}, got {type(processor).__name__}.")
        _, _, adaptive_tiles, complementarity = check_settings(1, (1, 1), adaptive_tiles, complementarity)
        wrapped = copy.copy(processor)
        wrapped.__class__ = wrapper  # not through `__init__`, which also requires a video processor
        wrapped.adaptive_tiles, wrapped.complementarity = adaptive_tiles, complementarity
        return wrapped

    def to_dict(self) -> dict[str, Any]:
        """What is saved: the family's own processor, which loads without this package, and the settings of CIP."""
        settings = {"adaptive_tiles": self.adaptive_tiles, "complementarity": self.complementarity}
        family = {"processor_class": self.family.__name__}
        return super().to_dict() | family | {"complementary_image_pyramid": settings}

    def _process_images(self, images: ImageInput, **kwargs) -> tuple[BatchFeature, list[str]]:
        grids = [self._second_grid(*image.shape[-2:], kwargs) for image in self._arrays(images, kwargs)]
        if not any(grids):
            return super()._process_images(images, **kwargs)
        return self._process_views(images, grids, kwargs)

    def _arrays(self, images: ImageInput, kwargs: dict) -> list[np.ndarray]:
        """Each image as the family's image processor sees it: (channels, height, width)."""
        process = self.image_processor.process_image
        convert = self._setting("do_convert_rgb", kwargs)
        layout = kwargs.get("input_data_format")
        return [
            process(image, do_convert_rgb=convert, input_data_format=layout)
            for image in make_flat_list_of_images(images)
        ]

    def _second_grid(self, height: int, width: int, kwargs: dict) -> Grid | None:
        return self._grid_beside(height, width, self._detailed_grid(height, width, kwargs), kwargs)

    def _grid_beside(self, height: int, width: int, detailed: Grid, kwargs: dict) -> Grid | None:
        if self.adaptive_tiles is None or detailed == (1, 1):
            return None
        grid = complementary_grid(
            width,
            height,
            detailed,
            tile_size=self._tile_size(kwargs),
            adaptive_tiles=self.adaptive_tiles,
            complementarity=self.complementarity,
            allowed=self._allowed_grids(kwargs),
        )
        return grid if grid != (1, 1) else None

    def _setting(self, name: str, kwargs: dict) -> Any:
        value = kwargs.get(name)
        return getattr(self.image_processor, name) if value is None else value

    def _tile_size(self, kwargs: dict) -> int:
        size = self._setting("size", kwargs)
        size = size if isinstance(size, SizeDict) else SizeDict(**get_size_dict(size))
        return size.height or size.shortest_edge

    def _stretched(self, image: np.ndarray, grid: Grid, kwargs: dict) -> np.ndarray:
        """The image resized to the canvas of `grid`, (channels, rows * tile, columns * tile)."""
        columns, rows = grid
        tile_size = self._tile_size(kwargs)
        size = SizeDict(height=rows * tile_size, width=columns * tile_size)
        return self.image_processor.resize(image, size, resample=self._setting("resample", kwargs))

    def _allowed_grids(self, kwargs: dict) -> set[Grid] | None:
        return None

    @abstractmethod
    def _detailed_grid(self, height: int, width: int, kwargs: dict) -> Grid:
        """Columns and rows of the family's own grid; (1, 1): the image stays whole."""

    @abstractmethod
    def _process_views(
        self, images: ImageInput, grids: list[Grid | None], kwargs: dict
    ) -> tuple[BatchFeature, list[str]]:
        """The inputs with the tiles of the second grids (`None`: no second grid), and a placeholder text per image."""


class CIPInternVLProcessor(CIPProcessor, InternVLProcessor):
    """CIP for InternVL: detailed tiles, tiles of the second grid, thumbnail, in one run of image tokens."""

    family = InternVLProcessor

    def _detailed_grid(self, height: int, width: int, kwargs: dict) -> Grid:
        most = self._setting("max_patches", kwargs)
        if not self._setting("crop_to_patches", kwargs) or most == 1:
            return (1, 1)
        tile = (self._tile_size(kwargs),) * 2
        return get_optimal_tiled_canvas((height, width), tile, self._setting("min_patches", kwargs), most)

    def _process_views(self, images, grids, kwargs):
        processed = self.image_processor(images, **kwargs)
        tiles, numbers = [], []
        start = 0
        for image, grid, number in zip(self._arrays(images, kwargs), grids, processed["num_patches"], strict=True):
            own = list(processed["pixel_values"][start : start + int(number)])
            start += int(number)
            if grid is not None:
                own[-1:-1] = self._cut(image, grid, kwargs)  # before the thumbnail
            tiles += own
            numbers.append(len(own))
        features = {"pixel_values": tiles, "num_patches": numbers}
        processed = BatchFeature(features, tensor_type=kwargs.get("return_tensors"))
        return processed, [self.replace_image_token(processed, index) for index in range(len(numbers))]

    def _cut(self, image: np.ndarray, grid: Grid, kwargs: dict) -> list:
        """
        The tiles of `grid`. The image processor picks that grid itself: of all grids with as many tiles, only this one
        fits the stretched image exactly.
        """
        number = grid[0] * grid[1]
        settings = kwargs | {
            "min_patches": number,
            "max_patches": number,
            "input_data_format": ChannelDimension.FIRST,
        }
        pixel_values = self.image_processor(self._stretched(image, grid, kwargs), **settings)["pixel_values"]
        return list(pixel_values[:number])  # without a second thumbnail

    def _get_num_multimodal_tokens(self, image_sizes=None, **kwargs) -> MultiModalData:
        if image_sizes is None:
            return MultiModalData()
        settings = {"crop_to_patches": True} | _images_arguments(kwargs)  # default of the processor
        numbers = []
        for height, width in image_sizes:
            columns, rows = self._second_grid(height, width, settings) or (0, 0)
            own = self.image_processor.get_number_of_image_patches(height, width, settings)
            numbers.append(own + columns * rows)
        tokens = [2 + self.image_seq_length * number for number in numbers]
        return MultiModalData(num_image_tokens=tokens, num_image_patches=numbers)


class CIPLlavaOnevisionProcessor(CIPProcessor, LlavaOnevisionProcessor):
    """
    CIP for LLaVA-OneVision: the image stretched to the second grid follows as a second image.

    Like any image it gets a thumbnail, which here repeats the global view, and the model's newline features. As in the
    family's own processor, only the images of samples with a single image are cut.
    """

    family = LlavaOnevisionProcessor

    def _detailed_grid(self, height: int, width: int, kwargs: dict) -> Grid:
        tile_size = self._tile_size(kwargs)
        best = select_best_resolution((height, width), self._setting("image_grid_pinpoints", kwargs))
        return best[1] // tile_size, best[0] // tile_size

    def _allowed_grids(self, kwargs: dict) -> set[Grid]:
        tile_size = self._tile_size(kwargs)
        pinpoints = self._setting("image_grid_pinpoints", kwargs)
        return {(width // tile_size, height // tile_size) for height, width in pinpoints}

    def _process_views(self, images, grids, kwargs):
        is_nested = isinstance(images, (list, tuple)) and isinstance(images[0], (list, tuple))
        lengths = [len(sample) for sample in images if sample] if is_nested else [1] * len(grids)
        arrays, grids = iter(self._arrays(images, kwargs)), iter(grids)
        samples, views = [], []  # lists of images, each second view in one of its own; number of views of each image
        for length in lengths:
            sample = [next(arrays) for _ in range(length)]
            grid = [next(grids) for _ in range(length)][0]
            samples.append(sample)
            if length == 1 and grid is not None:
                samples.append([self._stretched(sample[0], grid, kwargs)])
                views.append(2)
            else:
                views += [1] * length
        settings = kwargs | {"input_data_format": ChannelDimension.FIRST}
        processed, replacements = LlavaOnevisionProcessor._process_images(self, samples, **settings)
        texts = iter(replacements)
        return processed, ["".join(next(texts) for _ in range(number)) for number in views]

    def _get_num_multimodal_tokens(self, image_sizes=None, **kwargs) -> MultiModalData:
        settings = _images_arguments(kwargs)
        counts = super()._get_num_multimodal_tokens(image_sizes=image_sizes, **settings)
        tile_size = self._tile_size(settings)
        for index, (height, width) in enumerate(image_sizes or ()):
            grid = self._second_grid(height, width, settings)
            if grid is not None:
                stretched = grid[1] * tile_size, grid[0] * tile_size
                second = super()._get_num_multimodal_tokens(image_sizes=[stretched], **settings)
                counts["num_image_tokens"][index] += second["num_image_tokens"][0]
        return counts


class CIPMiniCPMVProcessor(CIPProcessor, MiniCPMV4_6Processor):
    """CIP for MiniCPM-V 4.6: the slices of the second grid follow those of the first, row by row."""

    family = MiniCPMV4_6Processor

    def _tile_size(self, kwargs: dict) -> int:
        return self._setting("scale_resolution", kwargs)

    def _detailed_grid(self, height: int, width: int, kwargs: dict) -> Grid:
        if not self._setting("slice_mode", kwargs):
            return (1, 1)
        most = self._setting("max_slice_nums", kwargs)
        rows, columns = self.image_processor.get_sliced_grid((height, width), most, self._tile_size(kwargs)) or (1, 1)
        return columns, rows

    def _process_views(self, images, grids, kwargs):
        pixel_values, target_sizes, numbers, own_grids, texts = [], [], [], [], []
        settings = kwargs | {"return_tensors": "np", "input_data_format": ChannelDimension.FIRST}
        for image, grid in zip(self._arrays(images, kwargs), grids, strict=True):
            processed, (text,) = MiniCPMV4_6Processor._process_images(self, image, **settings)
            pixels, sizes = [processed["pixel_values"]], [processed["target_sizes"]]
            if grid is not None:
                second, second_text = self._slices(image, grid, settings)
                pixels, sizes = [*pixels, second["pixel_values"]], [*sizes, second["target_sizes"]]
                text += "\n" + second_text
            pixel_values += pixels
            target_sizes += sizes
            numbers.append(sum(len(size) for size in sizes))
            own_grids += processed["grids"]
            texts.append(text)
        features = {
            "pixel_values": np.concatenate(pixel_values, axis=-1),  # (1, channels, patch, patch * patches)
            "target_sizes": np.concatenate(target_sizes),  # (slices, 2)
            "grids": own_grids,
            "num_patches_per_image": numbers,
        }
        hidden = ["grids", "num_patches_per_image"]
        tensor_type = kwargs.get("return_tensors")
        return BatchFeature(features, tensor_type=tensor_type, skip_tensor_conversion=hidden), texts

    def _slices(self, image: np.ndarray, grid: Grid, settings: dict) -> tuple[dict, str]:
        """The slices of `grid` from the family's own processor, without the overview before them, and their text."""
        columns, rows = grid

        def second_grid(*args, **kwargs) -> list[int]:
            """Replaces `get_sliced_grid`, with which the family's image processor chooses the first grid."""
            return [rows, columns]

        copied = copy.copy(self)
        copied.image_processor = copy.copy(self.image_processor)
        copied.image_processor.get_sliced_grid = second_grid
        processed, (text,) = MiniCPMV4_6Processor._process_images(copied, image, **settings)
        sizes = processed["target_sizes"]
        overview = int(sizes[0].prod()) * self._setting("patch_size", settings)  # columns of pixel_values
        slices = {"pixel_values": processed["pixel_values"][..., overview:], "target_sizes": sizes[1:]}
        return slices, text.split(self.image_end_token, 1)[1]


def _images_arguments(kwargs: dict) -> dict:
    """Arguments for the image processor, flat or in `images_kwargs`."""
    return kwargs.get("images_kwargs", {}) | {name: value for name, value in kwargs.items() if name != "images_kwargs"}


CIP_PROCESSORS = (CIPInternVLProcessor, CIPLlavaOnevisionProcessor, CIPMiniCPMVProcessor)


__all__ = ["CIPProcessor"]
