# trf-ignore: TRF028 (the license is in the file LICENSE)
"""Pixels of the complementary image pyramid: images of any kind in, normalized tiles out."""

from .processing_releases import warn_about_newer_release  # first: refuses releases that are too old


# isort: split
import base64
import binascii
import difflib
import os
import struct
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from huggingface_hub.dataclasses import validate_typed_dict
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_processing_backends import PilBackend
from transformers.image_processing_utils import get_size_dict
from transformers.image_utils import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    ChannelDimension,
    ImageInput,
    PILImageResampling,
    SizeDict,
)
from transformers.processing_utils import ImagesKwargs, Unpack
from transformers.utils import TensorType, is_torch_tensor

from .complementary_image_pyramid import PYRAMID_SETTINGS, TILE_GROUPS, PyramidPlan, check_settings, plan_pyramid


warn_about_newer_release()

# What Pillow raises on damaged files. A `DecompressionBombError` is not among them and is raised as it is.
DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error)
SERVICE_KWARGS = {"auto_map", "image_processor_type", "processor_class"}  # written by `save_pretrained`, not settings
GLOBAL_VIEW_ALONE = {"detailed_tiles": (1, 1), "adaptive_tiles": None}


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
    published_preprocessing (`bool`, *optional*, defaults to `self.published_preprocessing`):
        Convert to RGB as the published code does, see [`MiniMonkeyImageProcessor`].
    """

    # Checked by our own code: the library's type check accepts True as an integer, and its error is not a ValueError.
    detailed_tiles: Any
    adaptive_tiles: Any
    complementarity: Any
    pyramid: Any
    crop_to_patches: Any
    tile_order: Any
    max_pixels: Any
    published_preprocessing: bool | None


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
    NumPy array, torch tensor, encoded bytes, or a string: a path, an http(s) URL, which is fetched, or base64. A
    service that takes strings from strangers should decode them itself and pass PIL images. Conversion to RGB:

    - EXIF orientation: applied first. Animated or multi-page images: the current frame, which is the first one of a
      newly opened file. ICC profiles: ignored, values stay as they are.
    - `RGB`: unchanged. `L`, `1`, `P`, `CMYK`, `YCbCr`, `HSV`, `LAB`, `RGBX`: Pillow's conversion to RGB.
    - `RGBA`, `LA`, `PA`, `RGBa`, `La`, and `P`, `L`, `RGB` with a transparent color: blended onto white.
    - `I;16*` and `I`: 16-bit values, scaled from 0..65535 to 0..255. `F`: as float arrays.
    - Arrays and tensors: (height, width), or with 1, 3 (RGB) or 4 (RGBA) channels first or last. If both ends could be
      channels, `input_data_format` must say which. `uint8`: unchanged. `bool`: 0 or 255. `uint16`: scaled from 16
      bits. Other integers: 0..255. Floats: 0..1 if no value is above 1, else 0..255. Values outside, NaN and
      infinities are errors.

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
    do_normalize = True
    do_convert_rgb = True  # trf-ignore: TRF016 (tiles have three channels: False is an error)
    detailed_tiles = (4, 12)
    adaptive_tiles = (3, 7)
    complementarity = "any"
    tile_order = TILE_GROUPS
    max_pixels = 100_000_000
    published_preprocessing = False

    def __init__(self, **kwargs: Unpack[MiniMonkeyImageProcessorKwargs]):
        check_known_arguments(kwargs, self.valid_kwargs.__annotations__.keys() | SERVICE_KWARGS, type(self).__name__)
        super().__init__(**resolve_shorthands(kwargs))
        self._settings({})  # raises if one is wrong

    @classmethod
    def from_dict(cls, image_processor_dict: dict, **kwargs) -> "MiniMonkeyImageProcessor":
        """
        Create an image processor from its saved settings; a `pyramid` in `kwargs` replaces those that it sets.

        Raises:
            TypeError: a name in `kwargs` is nearly a setting's; others are for the loaders, which pass all of theirs.
        """
        settings = cls.valid_kwargs.__annotations__
        nearly = [name for name in kwargs if difflib.get_close_matches(name, settings, n=1, cutoff=0.85)]
        check_known_arguments(nearly, settings, cls.__name__)
        return super().from_dict(image_processor_dict, **resolve_shorthands(kwargs))

    # trf-ignore: TRF057 (as for the class)
    def preprocess(self, images: ImageInput, **kwargs: Unpack[MiniMonkeyImageProcessorKwargs]) -> BatchFeature:
        """Cut images into tiles; arguments, output and errors are those of the class."""
        check_known_arguments(kwargs, self.valid_kwargs.__annotations__, type(self).__name__)
        validate_typed_dict(self.valid_kwargs, kwargs)
        settings = self._settings(kwargs)
        prepared = []
        for index, image in enumerate(flat_images(self.fetch_images(images))):
            try:
                prepared.append(self.process_image(image, **settings))
            except (TypeError, ValueError) as error:
                raise type(error)(f"Image {index} can't be used: {error}") from error
        return self._preprocess(prepared, **settings)

    def get_pyramid_plan(self, height: int, width: int, images_kwargs: dict | None = None) -> PyramidPlan:
        """
        The grids and tiles of an upright image of this size.

        Args:
            height (`int`): height of the image in pixels.
            width (`int`): width of the image in pixels.
            images_kwargs (`dict`, *optional*): settings that override those of the image processor.
        """
        settings = self._settings(images_kwargs or {})
        return plan_pyramid(
            width,
            height,
            tile_size=_tile_size(settings["size"]),
            detailed_tiles=settings["detailed_tiles"],
            adaptive_tiles=settings["adaptive_tiles"],
            complementarity=settings["complementarity"],
        )

    def get_number_of_image_patches(self, height: int, width: int, images_kwargs: dict | None = None) -> int:
        """Number of tiles of an image of this size; arguments as in [`get_pyramid_plan`]."""
        return self.get_pyramid_plan(height, width, images_kwargs).num_tiles

    def fetch_images(self, image_url_or_urls: ImageInput) -> Any:
        """
        Open the images given as strings or bytes, and check that the nesting is one of the three permitted ones.
        Returns the same nesting of PIL images, and of arrays and tensors with three dimensions.
        """
        images = image_url_or_urls
        if not isinstance(images, (list, tuple)):
            if getattr(images, "ndim", None) == 4:  # a stacked batch
                return list(images)
            return _fetch_image(images, "images")
        if not any(isinstance(image, (list, tuple)) for image in images):
            return [_fetch_image(image, f"images[{index}]") for index, image in enumerate(images)]
        images = [[] if row is None else row for row in images]
        for index, row in enumerate(images):
            if not isinstance(row, (list, tuple)):
                raise ValueError(
                    "`images` must be a list of images or a list of lists of images, not a mixture: images[0] to "
                    f"images[{len(images) - 1}] hold lists, but images[{index}] is a {type(row).__name__}."
                )
        return [
            [_fetch_image(image, f"images[{index}][{position}]") for position, image in enumerate(row)]
            for index, row in enumerate(images)
        ]

    def process_image(
        self,
        image: ImageInput,
        input_data_format: str | ChannelDimension | None = None,
        max_pixels: int | None = None,
        published_preprocessing: bool = False,
        **kwargs: Unpack[MiniMonkeyImageProcessorKwargs],
    ) -> Image.Image:
        """Convert one image to an upright PIL image of mode RGB; the given image stays unchanged."""
        if not isinstance(image, Image.Image):
            image = _array_to_pil(image, input_data_format)
        width, height = image.size
        if not width or not height:
            raise ValueError(f"it is empty, {width} x {height} pixels.")
        if max_pixels is not None and width * height > max_pixels:
            raise ValueError(
                f"it has {width} x {height} = {width * height} pixels, more than `max_pixels` = {max_pixels} allows."
            )
        try:
            image.load()
            if published_preprocessing:
                return image.convert("RGB")
            if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
                image = ImageOps.exif_transpose(image)
            return _pil_to_rgb(image)
        except DECODING_ERRORS as error:
            raise ValueError(f"it can't be decoded: {_without_addresses(error)}") from error

    def _settings(self, kwargs: dict) -> dict[str, Any]:
        """
        The settings of one call: those in `kwargs`, else those of this image processor; `size` is a [`SizeDict`].

        Raises:
            TypeError, ValueError: one of them is wrong.
        """
        settings = {name: getattr(self, name, None) for name in self.valid_kwargs.__annotations__}
        settings |= resolve_shorthands(kwargs)
        if not isinstance(settings["size"], SizeDict):
            settings["size"] = SizeDict(
                **get_size_dict(settings["size"], default_to_square=settings["default_to_square"])
            )
        self._check_settings(settings)
        return settings

    def _check_settings(self, settings: dict[str, Any]) -> None:
        check_settings(
            _tile_size(settings["size"]),
            settings["detailed_tiles"],
            settings["adaptive_tiles"],
            settings["complementarity"],
        )
        tile_order = settings["tile_order"]
        if not isinstance(tile_order, tuple) or sorted(map(str, tile_order)) != sorted(TILE_GROUPS):
            raise ValueError(f"`tile_order` must hold each of {TILE_GROUPS} once, got {tile_order!r}.")
        max_pixels = settings["max_pixels"]
        if max_pixels is not None and (type(max_pixels) is not int or max_pixels < 1):
            raise ValueError(f"`max_pixels` must be None or an integer of at least 1, got {max_pixels!r}.")
        for name, permitted in {
            "do_resize": (True,),
            "do_convert_rgb": (True,),
            "do_center_crop": (None, False),
            "do_pad": (None, False),
            "data_format": (None, ChannelDimension.FIRST),
            "image_seq_length": (None,),
        }.items():
            if settings.get(name) not in permitted:
                raise ValueError(
                    f"`{name}` can only be {permitted[-1]!r} in {type(self).__name__}, got {settings[name]!r}."
                )
        if settings["resample"] is None:
            raise ValueError("`resample` must be one of Pillow's filters, got None.")
        if settings["do_rescale"] and not (settings["rescale_factor"] or 0) > 0:
            raise ValueError(f"`rescale_factor` must be above 0, got {settings['rescale_factor']!r}.")
        if settings["do_normalize"]:
            _per_channel("image_mean", settings["image_mean"])
            if not (_per_channel("image_std", settings["image_std"]) > 0).all():
                raise ValueError(f"`image_std` must be above 0, got {settings['image_std']!r}.")

    def _preprocess(
        self,
        images: list[Image.Image],
        size: SizeDict,
        resample: "PILImageResampling | int",
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: float | Sequence[float],
        image_std: float | Sequence[float],
        detailed_tiles: tuple[int, int],
        adaptive_tiles: tuple[int, int] | None,
        complementarity: str,
        tile_order: tuple[str, str, str],
        return_tensors: str | TensorType | None,
        **kwargs,
    ) -> BatchFeature:
        tile_size = _tile_size(size)
        plans = [
            plan_pyramid(
                *image.size,
                tile_size=tile_size,
                detailed_tiles=detailed_tiles,
                adaptive_tiles=adaptive_tiles,
                complementarity=complementarity,
            )
            for image in images
        ]
        divisor = 1 / rescale_factor if do_rescale else 1.0  # published: values / 255, not values * (1 / 255)
        mean = _per_channel("image_mean", image_mean) if do_normalize else None
        std = _per_channel("image_std", image_std) if do_normalize else None

        num_patches = [plan.num_tiles for plan in plans]
        pixel_values = np.empty((sum(num_patches), 3, tile_size, tile_size), dtype=np.float32)
        tile_levels = np.empty(sum(num_patches), dtype=np.int64)
        row = 0
        for image, plan in zip(images, plans, strict=True):
            for group in tile_order:
                tiles = plan.group_tiles(group)
                if not tiles:
                    continue
                # Cut bytes, then convert tile by tile, while each tile is in the CPU's cache.
                canvas = np.asarray(image.resize(plan.canvas_size(group), resample))  # (height, width, 3) uint8
                for tile in tiles:
                    left, top, right, bottom = tile.box
                    values = canvas[top:bottom, left:right].transpose(2, 0, 1)  # (3, tile_size, tile_size) uint8
                    np.divide(values, divisor, out=pixel_values[row], dtype=np.float32)
                    if do_normalize:
                        pixel_values[row] -= mean
                        pixel_values[row] /= std
                    tile_levels[row] = tile.level
                    row += 1
        return BatchFeature(
            data={"pixel_values": pixel_values, "tile_levels": tile_levels, "num_patches": num_patches},
            tensor_type=return_tensors,
        )


def check_known_arguments(given: Iterable[str], known: Iterable[str], owner: str) -> None:
    """
    Check that every name in `given` is in `known`.

    Raises:
        TypeError: a name is not; the message suggests the nearest known one.
    """
    known = sorted(known)
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f" Did you mean `{nearest[0]}`?" if nearest else ""
            raise TypeError(f"{owner} has no argument `{name}`.{hint}")


def resolve_shorthands(kwargs: dict) -> dict:
    """
    Replace `pyramid` and `crop_to_patches` with the settings they stand for, and lists, which come from JSON, with
    tuples, in a copy of `kwargs`.

    Raises:
        ValueError: a shorthand has an unknown value, or a setting that it replaces is given as well; only
            `complementarity` may be.
    """
    kwargs = {name: tuple(value) if isinstance(value, list) else value for name, value in kwargs.items()}
    crops, name = kwargs.pop("crop_to_patches", None), kwargs.pop("pyramid", None)
    if crops is not None and type(crops) is not bool:
        raise ValueError(f"`crop_to_patches` must be True or False, got {crops!r}.")
    if name is not None and (not isinstance(name, str) or name not in PYRAMID_SETTINGS):
        raise ValueError(f"`pyramid` must be one of {', '.join(map(repr, PYRAMID_SETTINGS))}, got {name!r}.")
    if name is not None:
        kwargs = _replaced(f"`pyramid` = {name!r}", PYRAMID_SETTINGS[name], kwargs)
    if crops is False:
        kwargs = _replaced("`crop_to_patches` = False", GLOBAL_VIEW_ALONE, kwargs)
    return kwargs


def _replaced(shorthand: str, settings: Mapping[str, Any], kwargs: dict) -> dict:
    twice = sorted(kwargs.keys() & settings.keys() - {"complementarity"})
    if twice:
        raise ValueError(f"{shorthand} already sets {', '.join(f'`{key}`' for key in twice)}; give only one.")
    return {**settings, **kwargs}


def flat_images(images: Any) -> list:
    """One image, a list of images or a list of rows as one list of images, in order."""
    if not isinstance(images, list):
        return [images]
    return [image for row in images for image in (row if isinstance(row, list) else [row])]


def _tile_size(size: SizeDict) -> int:
    if size.height is None or size.height != size.width:
        raise ValueError(f'`size` must be a square tile such as {{"height": 448, "width": 448}}, got {dict(size)}.')
    return size.height


def _per_channel(name: str, value: float | Sequence[float]) -> np.ndarray:
    values = np.asarray(value, dtype=np.float32)
    if values.shape not in ((), (3,)) or not np.isfinite(values).all():
        raise ValueError(f"`{name}` must be a number or three numbers, got {value!r}.")
    return np.broadcast_to(values, 3).reshape(3, 1, 1)


def _without_addresses(error: Exception) -> str:
    """The message of `error`, or its class if the message shows an object's address in memory."""
    message = str(error)
    return type(error).__name__ if " at 0x" in message else message


def _fetch_image(image: Any, name: str) -> Any:
    """One image as a PIL image or an array or tensor with three dimensions; `name` is for errors."""
    if isinstance(image, (str, bytes, os.PathLike)):
        return _open_image(image, name)
    if isinstance(image, Image.Image):
        return image
    if not isinstance(image, np.ndarray) and not is_torch_tensor(image):
        raise TypeError(
            f"{name} must be a PIL image, NumPy array, torch tensor, bytes or string, got {type(image).__name__}."
        )
    if image.ndim == 2:
        try:
            return _array_to_pil(image, None)
        except ValueError as error:
            raise ValueError(f"{name} can't be used: {error}") from error
    if image.ndim != 3:
        raise ValueError(f"{name} must have 2 or 3 dimensions, got shape {tuple(image.shape)}.")
    return image


def _open_image(source: str | bytes | os.PathLike, name: str) -> Image.Image:
    shown = f"{len(source)} bytes" if isinstance(source, bytes) else repr(os.fspath(source)[:80])
    try:
        if isinstance(source, bytes):
            return Image.open(BytesIO(source))
        if isinstance(source, str) and source.startswith(("http://", "https://")):
            with urllib.request.urlopen(source, timeout=30) as response:
                return Image.open(BytesIO(response.read()))
        if os.path.isfile(source):
            return Image.open(source)
        encoded = str(source).partition(",")[2] if str(source).startswith("data:image/") else str(source)
        return Image.open(BytesIO(base64.b64decode(encoded, validate=True)))
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} ({shown}) is in no image format that Pillow can read here.") from error
    except binascii.Error as error:
        raise ValueError(f"{name} must be a file, an http(s) URL or base64 if it is a string, got {shown}.") from error
    except DECODING_ERRORS as error:
        raise ValueError(f"{name} ({shown}) can't be opened: {_without_addresses(error)}") from error


def _array_to_pil(array: Any, input_data_format: str | ChannelDimension | None) -> Image.Image:
    """An array or tensor as a PIL image of mode L, RGB or RGBA; the rules are in the class's docstring."""
    if is_torch_tensor(array):
        array = array.detach().cpu()
        array = (array.float() if array.is_floating_point() else array).numpy()
    if array.size == 0:
        raise ValueError(f"it is empty, shape {array.shape}.")
    if array.dtype.kind not in "buif":
        raise ValueError(f"its values must be numbers, got {array.dtype}.")
    if array.ndim == 2:
        return Image.fromarray(_to_uint8(array))
    channels = (1, 3, 4)
    if input_data_format is None:
        if array.shape[0] in channels and array.shape[2] in channels:
            raise ValueError(
                f"its shape {array.shape} may have channels first or last; say which with `input_data_format`: "
                f'"{ChannelDimension.FIRST.value}" or "{ChannelDimension.LAST.value}".'
            )
        input_data_format = ChannelDimension.FIRST if array.shape[0] in channels else ChannelDimension.LAST
    if ChannelDimension(input_data_format) == ChannelDimension.FIRST:
        array = array.transpose(1, 2, 0)  # (height, width, channels)
    if array.shape[2] not in channels:
        raise ValueError(f"it must have 1, 3 or 4 channels, got shape {array.shape} (height, width, channels).")
    values = np.ascontiguousarray(_to_uint8(array))
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)


def _to_uint8(array: np.ndarray) -> np.ndarray:
    """Pixel values of any type as bytes; the rules are in the class's docstring."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return np.rint(array / 257).astype(np.uint8)  # 65535 / 255 = 257
    lowest, highest = array.min(), array.max()
    if not (lowest >= 0 and highest <= 255):  # also for NaN
        raise ValueError(f"its {array.dtype} values must be in 0..1 or 0..255, got {lowest} to {highest}.")
    if array.dtype.kind == "f" and highest <= 1:
        array = array * 255
    return np.rint(array).astype(np.uint8)


def _pil_to_rgb(image: Image.Image) -> Image.Image:
    """A loaded, upright image as RGB; the rule for each mode is in the class's docstring."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode.startswith("I;16"):
        return Image.fromarray(_to_uint8(np.asarray(image))).convert("RGB")
    if image.mode == "I":
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"mode I must hold 16-bit values, got {values.min()} to {values.max()}.")
        return Image.fromarray(_to_uint8(values.astype(np.uint16))).convert("RGB")
    if image.mode == "F":
        return Image.fromarray(_to_uint8(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("LA") if image.mode == "La" else image  # Pillow can't convert La to RGBA directly
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


__all__ = ["MiniMonkeyImageProcessor"]
