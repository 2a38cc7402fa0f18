# trf-ignore: TRF028 (the license is in the file LICENSE)
"""Pixels of the complementary image pyramid: images of any kind in, normalized tiles out."""

from .processing_releases import warn_about_newer_release  # first: refuses releases that are too old


# isort: split
import difflib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_processing_backends import PilBackend
from transformers.image_utils import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    ImageInput,
    PILImageResampling,
)
from transformers.processing_utils import ImagesKwargs, Unpack
from transformers.utils import TensorType

from .complementary_image_pyramid import TILE_GROUPS, PyramidPlan, Tile, plan_pyramid
from .image_conversion import check_size, size_of, to_rgb, usable_image
from .image_settings import (
    PERMISSIONS,
    SERVICE_KWARGS,
    SHORTHANDS,
    check_known_arguments,
    check_no_permissions,
    checked_settings,
    normalization,
    resolve_shorthands,
)


warn_about_newer_release()


# How InternVL's processors, and the original code, call the numbers of tiles
OTHER_RANGES = {"min_patches", "max_patches", "min_num", "max_num", "min_dynamic_patch", "max_dynamic_patch"}


class MiniMonkeyImageProcessorKwargs(ImagesKwargs, total=False):
    r"""
    detailed_tiles (`tuple[int, int]`, *optional*, defaults to `self.detailed_tiles`):
        Fewest and most detailed tiles, see `plan_pyramid`.
    adaptive_tiles (`tuple[int, int]`, *optional*, defaults to `self.adaptive_tiles`):
        Fewest and most adaptive tiles. `None` leaves the adaptive group out.
    complementarity (`str`, *optional*, defaults to `self.complementarity`):
        Which adaptive grids the detailed grid rules out, see `plan_pyramid`: `"any"`, `"all"`, `"none"`, `"disjoint"`
        or `"joint"`.
    pyramid (`str`, *optional*):
        Name of a published setting, one of `PYRAMID_SETTINGS`, in place of the three arguments above. Only
        `complementarity` may be given as well, and overrides that of the setting.
    crop_to_patches (`bool`, *optional*):
        InternVL's argument, which callers of tile-based models pass. `False`: the global view alone, in place of
        `detailed_tiles` and `adaptive_tiles`; `True` has no effect.
    tile_order (`tuple[str, str, str]`, *optional*, defaults to `self.tile_order`):
        Order of the groups in the output. The published demo has `("adaptive", "detailed", "global")`.
    max_pixels (`int`, *optional*, defaults to `self.max_pixels`):
        Largest accepted image in pixels (width x height). `None`: only Pillow's own limit.
    max_images (`int`, *optional*, defaults to `self.max_images`):
        Most images of one call. `None`: any number.
    max_tiles (`int`, *optional*, defaults to `self.max_tiles`):
        Most tiles of one call. `None`: any number.
    published_preprocessing (`bool`, *optional*, defaults to `self.published_preprocessing`):
        Convert to RGB as the published code does, see [`MiniMonkeyImageProcessor`].
    allow_paths (`bool`, `str` or `list[str]`, *optional*, defaults to `self.allow_paths`):
        Whether strings may be paths of files, or the only folders whose files may be opened.
    allow_urls (`bool` or `list[str]`, *optional*, defaults to `self.allow_urls`):
        Whether strings may be http(s) addresses, or the only hosts from which images may be fetched.
    max_file_bytes (`int`, *optional*, defaults to `self.max_file_bytes`):
        Most bytes of one encoded image. `None`: any number.
    fetch_seconds (`float`, *optional*, defaults to `self.fetch_seconds`):
        Seconds that all downloads of one call may take together.
    """

    # Checked by our own code: the library's type check accepts True as an integer, and its error is not a ValueError.
    detailed_tiles: Any
    adaptive_tiles: Any
    complementarity: Any
    pyramid: Any
    crop_to_patches: Any
    tile_order: Any
    max_pixels: Any
    max_images: Any
    max_tiles: Any
    published_preprocessing: Any
    allow_paths: Any
    allow_urls: Any
    max_file_bytes: Any
    fetch_seconds: Any


# trf-ignore: TRF057 (it would replace our rules for each kind of image by the library's, which do not hold here)
class MiniMonkeyImageProcessor(PilBackend):
    r"""
    Cuts each image into the tiles of its complementary image pyramid and normalizes them.

    Every setting can be given here and overridden per call:

    - besides the arguments below, `resample` (bicubic), `do_rescale`, `rescale_factor` (1/255), `do_normalize`,
      `image_mean`, `image_std` (ImageNet's) and `input_data_format` work as in every image processor of Transformers;
    - `do_resize` and `do_convert_rgb` must be true: every image is converted to RGB and resized to its grids;
    - there is no center crop, no padding and no other `data_format` than channels first;
    - unknown arguments are errors.

    The input is one image, a list of images, or a list of rows (lists of images, or `None`). An image is a PIL image,
    NumPy array, torch tensor, encoded bytes, or a string. What a string names can be a server's own file or an address
    in its network, and who sends it a stranger, so by default a string is base64 or a `data:` URL and nothing else:

    - paths, `Path` objects among them, need `allow_paths`: `True`, or the folders in which a file must lie after
      links and `..` are followed;
    - http(s) addresses need `allow_urls`: `True`, which permits those of your own network as well, or hosts, to which
      redirects must lead, too. Proxies of the environment are not used. `fetch_seconds` do not cover DNS;
    - both are given to `from_pretrained`, to the constructor or to a call. They are never saved, and a file that sets
      them is refused. Chats in `pipeline("image-text-to-text")` with `path` or `url` blocks need them, as in
      `processor_kwargs={"allow_paths": "pages"}`; what it gets as `images=` the pipeline opens itself, without asking.

    Encoded images may be PNG, JPEG, GIF, WEBP, BMP, TIFF, ICO, PPM or AVIF. A side may have 65,535 pixels, `size` at
    most 1,024. Conversion to RGB:

    - EXIF orientation: applied first. Animated or multi-page images: the current frame, which is the first one of a
      newly opened file. ICC profiles: ignored, values stay as they are.
    - `RGB`: unchanged. `L`, `1`, `P`, `CMYK`, `YCbCr`, `HSV`, `LAB`, `RGBX`: Pillow's conversion to RGB.
    - `RGBA`, `LA`, `PA`, `RGBa`, `La`, and `P`, `L`, `RGB` with a transparent color: blended onto white.
    - `I;16*` and `I`: 16-bit values, scaled from 0..65535 to 0..255. `F`: as float arrays.
    - Arrays and tensors: (height, width), or with 1, 3 (RGB) or 4 (RGBA) channels first or last. If both ends could be
      channels, `input_data_format` must say which. `uint8`: unchanged. `bool`: 0 or 255. `uint16`: scaled from 16
      bits. Other integers: 0..255. Floats: 0..1 if no value is above 1, else 0..255. Values outside, NaN and
      infinities are errors.
    - Images are resized as bytes. Without `do_rescale` the tiles hold 0..255, but those of floats in 0..1, which are
      scaled already, hold 0..1, to the nearest of 256 steps: the same as with `do_rescale`.

    Args:
        size (`dict[str, int]`, *optional*, defaults to `{"height": 448, "width": 448}`):
            Size of a tile in pixels; must be square.
        detailed_tiles (`tuple[int, int]`, *optional*, defaults to `(4, 12)`): fewest and most detailed tiles.
        adaptive_tiles (`tuple[int, int]`, *optional*, defaults to `(3, 7)`):
            Fewest and most adaptive tiles; `None`: InternVL's tiling, detailed tiles and a thumbnail.
        complementarity (`str`, *optional*, defaults to `"any"`): see [`plan_pyramid`].
        pyramid (`str`, *optional*): one of `PYRAMID_SETTINGS`, such as `"docvqa"`, in place of the three above.
        crop_to_patches (`bool`, *optional*): `False`: the global view alone, in place of both ranges of tiles.
        tile_order (`tuple[str, str, str]`, *optional*, defaults to `("detailed", "adaptive", "global")`):
            Order of the groups in the output.
        max_pixels (`int`, *optional*, defaults to 100000000):
            Largest accepted image in pixels; the default is the 10,000 x 10,000 with which vLLM measures its memory.
            Pillow has a limit of its own, `Image.MAX_IMAGE_PIXELS`: it warns above and refuses twice as many.
        max_images (`int`, *optional*, defaults to 256): most images of one call.
        max_tiles (`int`, *optional*, defaults to 1024):
            Most tiles of one call; so many of 448 x 448 pixels take 2.5 GB. Of the limits, this one and those before
            and after it can be `None`.
        allow_paths (`bool`, `str` or `list[str]`, *optional*, defaults to `False`): see above.
        allow_urls (`bool` or `list[str]`, *optional*, defaults to `False`): see above.
        max_file_bytes (`int`, *optional*, defaults to 100000000): most bytes of one encoded image.
        fetch_seconds (`float`, *optional*, defaults to 30.0): seconds for all downloads of one call together.
        published_preprocessing (`bool`, *optional*, defaults to `False`):
            Convert to RGB as the published code does: alpha is dropped without blending, the EXIF orientation is
            ignored, 16-bit values are clipped.

    Returns, on call:
        [`BatchFeature`] with

        - **pixel_values** (`float32`, (tiles of all images, 3, size, size)), images in order, groups in `tile_order`;
        - **tile_levels** (`int64`, (tiles,)): 0 detailed, 1 adaptive, 2 global;
        - **num_patches** (list of `int`, one per image): its number of tiles.

        NumPy arrays, or torch tensors with `return_tensors="pt"`.

    Raises:
        TypeError, ValueError: a setting is wrong, or an image cannot be used; the message names its position.
    """

    valid_kwargs = MiniMonkeyImageProcessorKwargs
    model_input_names = ["pixel_values", "tile_levels"]

    resample = PILImageResampling.BICUBIC
    image_mean = IMAGENET_DEFAULT_MEAN
    image_std = IMAGENET_DEFAULT_STD
    size = {"height": 448, "width": 448}
    do_resize = True  # trf-ignore: TRF016 (without resizing there are no tiles: False is an error)
    do_rescale = True
    do_normalize = True  # trf-ignore: TRF016 (in `settings` of `_preprocess`)
    do_convert_rgb = True  # trf-ignore: TRF016 (tiles have three channels: False is an error)
    detailed_tiles = (4, 12)
    adaptive_tiles = (3, 7)
    complementarity = "any"
    tile_order = TILE_GROUPS
    max_pixels = 100_000_000
    max_images = 256
    max_tiles = 1024
    published_preprocessing = False
    allow_paths = False
    allow_urls = False
    max_file_bytes = 100_000_000
    fetch_seconds = 30.0

    def __init__(self, **kwargs: Unpack[MiniMonkeyImageProcessorKwargs]):
        check_known_arguments(kwargs, self.valid_kwargs.__annotations__.keys() | SERVICE_KWARGS, type(self).__name__)
        kwargs = resolve_shorthands(kwargs)
        checked = self.checked_settings(kwargs)
        super().__init__(**{name: checked.get(name, value) for name, value in kwargs.items()})

    @classmethod
    def from_dict(cls, image_processor_dict: dict, **kwargs) -> "MiniMonkeyImageProcessor":
        """
        Create an image processor from its saved settings; a `pyramid` in `kwargs` replaces those that it sets.

        Raises:
            TypeError: a name in `kwargs` is nearly a setting's, or that of other tile-based processors; others are for
                the loaders, which pass all of theirs.
            ValueError: the saved settings say what may be opened.
        """
        check_no_permissions(image_processor_dict)
        settings = cls.valid_kwargs.__annotations__
        nearly = [name for name in kwargs if difflib.get_close_matches(name, settings, n=1, cutoff=0.85)]
        check_known_arguments(nearly, settings, cls.__name__)
        for name in kwargs.keys() & OTHER_RANGES:
            raise TypeError(f"{cls.__name__} has no argument `{name}`: say `detailed_tiles` = (fewest, most).")
        return super().from_dict(image_processor_dict, **resolve_shorthands(kwargs))

    @classmethod
    def from_json_file(cls, json_file: str | os.PathLike) -> "MiniMonkeyImageProcessor":
        """Create an image processor from a JSON file, see [`from_dict`]; a ValueError if that holds no settings."""
        try:
            settings = json.loads(Path(json_file).read_text(encoding="utf-8"))
        except RecursionError:
            settings = None
        if not isinstance(settings, dict):
            raise ValueError(f"{json_file} must hold an object of settings.")
        return cls.from_dict(settings)

    def to_dict(self) -> dict[str, Any]:
        """The settings to save: all but what may be opened, which only callers say."""
        return {name: value for name, value in super().to_dict().items() if name not in PERMISSIONS}

    def checked_settings(self, kwargs: dict) -> dict[str, Any]:
        """
        All settings of one call, shorthands resolved: those in `kwargs`, else those of this image processor.

        Raises:
            TypeError, ValueError: one of them is wrong.
        """
        names = [name for name in self.valid_kwargs.__annotations__ if name not in SHORTHANDS]
        return checked_settings({name: getattr(self, name, None) for name in names} | resolve_shorthands(kwargs))

    # trf-ignore: TRF057 (as for the class)
    def preprocess(self, images: ImageInput, **kwargs: Unpack[MiniMonkeyImageProcessorKwargs]) -> BatchFeature:
        """Cut images into tiles; arguments, output and errors are those of the class."""
        images = flat_images(self.fetch_images(images, **kwargs))
        return self._preprocess(images, **self.checked_settings(kwargs))

    def get_pyramid_plan(self, height: int, width: int, images_kwargs: dict | None = None) -> PyramidPlan:
        """
        The grids and tiles of an upright image of this size.

        Args:
            height (`int`): height of the image in pixels.
            width (`int`): width of the image in pixels.
            images_kwargs (`dict`, *optional*): settings that override those of the image processor.
        """
        given = images_kwargs or {}
        check_known_arguments(given, self.valid_kwargs.__annotations__, type(self).__name__)
        return _plan((width, height), self.checked_settings(given))

    def get_number_of_image_patches(self, height: int, width: int, images_kwargs: dict | None = None) -> int:
        """Number of tiles of an image of this size; arguments as in [`get_pyramid_plan`]."""
        return self.get_pyramid_plan(height, width, images_kwargs).num_tiles

    def fetch_images(
        self, image_url_or_urls: ImageInput, **kwargs: Unpack[MiniMonkeyImageProcessorKwargs]
    ) -> ImageInput:
        """
        Open the images given as strings or bytes, as far as the settings permit, and check nesting, number and sizes.

        Args:
            image_url_or_urls (`ImageInput`): see the class.
            kwargs: settings that override those of the image processor.

        Returns:
            The same nesting as lists: PIL images, and arrays and tensors with three dimensions.

        Raises:
            TypeError, ValueError: see the class.
        """
        check_known_arguments(kwargs, self.valid_kwargs.__annotations__, type(self).__name__)
        settings = self.checked_settings(kwargs)
        deadline = time.monotonic() + settings["fetch_seconds"]
        images = image_url_or_urls
        if getattr(images, "ndim", None) == 4 and not getattr(images, "is_nested", False):  # a stacked batch
            _check_number("images", len(images), settings["max_images"])
            images = list(images)
        if not isinstance(images, (list, tuple)):
            return usable_image(images, "images", settings, deadline)
        is_nested = any(isinstance(image, (list, tuple)) for image in images)
        rows = [[] if row is None else row for row in images] if is_nested else [images]
        for index, row in enumerate(rows):
            if not isinstance(row, (list, tuple)):
                other = next(number for number, each in enumerate(images) if isinstance(each, (list, tuple)))
                raise ValueError(
                    "`images` must be a list of images or a list of lists of images, not a mixture: "
                    f"images[{other}] is a list, but images[{index}] is of type {type(row).__name__}."
                )
        _check_number("images", sum(map(len, rows)), settings["max_images"])
        names = [f"images[{index}]" for index in range(len(rows))] if is_nested else ["images"]
        opened = [
            [usable_image(image, f"{name}[{place}]", settings, deadline) for place, image in enumerate(row)]
            for name, row in zip(names, rows, strict=True)
        ]
        return opened if is_nested else opened[0]

    def process_image(self, image: ImageInput, **kwargs: Unpack[MiniMonkeyImageProcessorKwargs]) -> Image.Image:
        """Convert one image to an upright PIL image of mode RGB; the given image stays unchanged."""
        settings = self.checked_settings(kwargs)
        image = usable_image(image, "image", settings, time.monotonic() + settings["fetch_seconds"])
        return to_rgb(image, settings["input_data_format"], settings["published_preprocessing"])[0]

    def _preprocess(self, images: list, return_tensors: str | TensorType | None = None, **settings) -> BatchFeature:
        """
        Cut images into tiles, one image after the other, so that only one is decoded by this function at a time.

        Args:
            images (`list`): PIL images, and arrays and tensors with three dimensions, as from [`fetch_images`].
            return_tensors (`str` or `TensorType`, *optional*): see the class.
            settings: all others, as [`checked_settings`] returns them.
        """
        counts = [_tile_counts(image, settings) for image in images]
        _check_number("tiles", sum(map(min, counts)), settings["max_tiles"])
        side = settings["size"]["height"]
        pixel_values = np.empty((sum(map(max, counts)), 3, side, side), dtype=np.float32)
        tile_levels = np.empty(len(pixel_values), dtype=np.int64)
        num_patches, row = [], 0
        divisor, mean, deviation = normalization(settings)
        for index, image in enumerate(images):
            image, plan, is_scaled = _decoded(image, index, counts[index], settings)
            _check_number("tiles", row + plan.num_tiles, settings["max_tiles"])
            for tile, values in _cut(image, plan, settings):
                # Tile by tile, while each is in the CPU's cache
                np.divide(values, 255.0 if is_scaled else divisor, out=pixel_values[row], dtype=np.float32)
                if settings["do_normalize"]:
                    pixel_values[row] -= mean
                    pixel_values[row] /= deviation
                tile_levels[row] = tile.level
                row += 1
            num_patches.append(plan.num_tiles)
        return BatchFeature(
            data={"pixel_values": pixel_values[:row], "tile_levels": tile_levels[:row], "num_patches": num_patches},
            tensor_type=return_tensors,
        )


def _check_number(what: str, number: int, most: int | None) -> None:
    if most is not None and number > most:
        raise ValueError(f"One call has {number} {what}, `max_{what}` = {most} are allowed: give fewer, or raise it.")


def _plan(size: tuple[int, int], settings: dict[str, Any]) -> PyramidPlan:
    """The plan of an upright image of this width and height."""
    ranges = {name: settings[name] for name in ("detailed_tiles", "adaptive_tiles", "complementarity")}
    return plan_pyramid(*size, tile_size=settings["size"]["height"], **ranges)


def _tile_counts(image: Any, settings: dict[str, Any]) -> set[int]:
    """Numbers of tiles that an image can have: only once it is decoded, its EXIF orientation is known for certain."""
    width, height = size_of(image, settings["input_data_format"])
    sizes = {(width, height), (height, width)} if isinstance(image, Image.Image) else {(width, height)}
    return {_plan(size, settings).num_tiles for size in sizes}


def _decoded(
    image: Any, index: int, counts: set[int], settings: dict[str, Any]
) -> tuple[Image.Image, PyramidPlan, bool]:
    """An upright RGB image, its plan, and whether its values are scaled already and must not be rescaled."""
    try:
        image, is_fraction = to_rgb(image, settings["input_data_format"], settings["published_preprocessing"])
        check_size(image.size, settings["max_pixels"])
        plan = _plan(image.size, settings)
        if plan.num_tiles not in counts:
            raise ValueError(f"it has another size than its file says, {image.width} x {image.height} pixels.")
    except ValueError as error:
        raise ValueError(f"Image {index} can't be used: {error}") from error
    return image, plan, is_fraction and not settings["do_rescale"]


def _cut(image: Image.Image, plan: PyramidPlan, settings: dict[str, Any]) -> Iterator[tuple[Tile, np.ndarray]]:
    """Tiles in their order, and their bytes of shape (3, tile_size, tile_size)."""
    for group in settings["tile_order"]:
        tiles = plan.group_tiles(group)
        if tiles:
            canvas = np.asarray(image.resize(plan.canvas_size(group), settings["resample"]))  # (height, width, 3)
            for tile in tiles:
                left, top, right, bottom = tile.box
                yield tile, canvas[top:bottom, left:right].transpose(2, 0, 1)


def flat_images(images: Any) -> list:
    """One image, a list of images or a list of rows as one list of images, in order."""
    if not isinstance(images, (list, tuple)):
        return [images]
    return [image for row in images for image in (row if isinstance(row, (list, tuple)) else [row])]


__all__ = ["MiniMonkeyImageProcessor"]
