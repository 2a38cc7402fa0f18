# trf-ignore: TRF028 (the license is in the file LICENSE)
"""Images of every kind as upright RGB images of Pillow; the rules are in the docstring of the image processor."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps
from transformers.image_utils import ChannelDimension
from transformers.utils import is_torch_tensor

from .image_sources import RUN_PROGRAMS, decoding, read_image, unloaded


MAX_SIDE = 65_535  # pixels; as JPEG has it. A strip of 20,000,000 x 1 pixels takes gigabytes to resize
CHANNELS = (1, 3, 4)
ENCODED = (str, bytes, bytearray, memoryview, os.PathLike)


def usable_image(image: Any, name: str, settings: Mapping[str, Any], deadline: float) -> Any:
    """
    One image as a PIL image, not decoded yet, or an array or tensor with three dimensions; its size is within limits.

    Args:
        image: whatever a caller gave as an image.
        name (`str`): of the argument, for errors.
        settings: those of the image processor: what may be opened, and limits.
        deadline (`float`): value of `time.monotonic()` until which downloads may take.

    Raises:
        TypeError: it is of none of the permitted kinds.
        ValueError: it can't be opened, or is empty or too large.
    """
    if isinstance(image, ENCODED):
        opening = ("allow_paths", "allow_urls", "max_file_bytes")
        _, image = read_image(image, name, **{each: settings[each] for each in opening}, deadline=deadline)
    is_array = isinstance(image, np.ndarray) or is_torch_tensor(image)
    if not is_array and not isinstance(image, Image.Image):
        raise TypeError(
            f"{name} must be a PIL image, NumPy array, torch tensor, bytes or string (a list, if there are several), "
            f"got {type(image).__name__}."
        )
    if is_array and getattr(image, "is_nested", False):
        raise ValueError(f"{name} is a nested tensor, which has no shape; give a list of tensors.")
    if is_array and image.ndim not in (2, 3):
        kind = " of objects; give a list" if image.dtype == object else ""
        raise ValueError(f"{name} must have 2 or 3 dimensions, got shape {tuple(image.shape)}{kind}.")
    try:
        check_size(size_of(image, settings["input_data_format"]), settings["max_pixels"])
        return _gray(image) if is_array and image.ndim == 2 else image
    except ValueError as error:
        raise ValueError(f"{name} can't be used: {error}") from error


def size_of(image: Any, input_data_format: ChannelDimension | None) -> tuple[int, int]:
    """Width and height in pixels, as stored: an EXIF orientation may swap them."""
    if isinstance(image, Image.Image):
        return image.size
    if 0 in image.shape:
        raise ValueError(f"it is empty, shape {tuple(image.shape)}.")
    if image.ndim == 2:
        return image.shape[1], image.shape[0]
    is_first = _channels_are_first(image.shape, input_data_format)
    height, width = image.shape[1:] if is_first else image.shape[:2]
    return width, height


def check_size(size: tuple[int, int], max_pixels: int | None) -> None:
    """Raise a ValueError if an image of this width and height is beyond the limits."""
    width, height = size
    if not width or not height:
        raise ValueError(f"it is empty, {width} x {height} pixels.")
    if max(size) > MAX_SIDE:
        raise ValueError(f"it has {width} x {height} pixels, but a side may have at most {MAX_SIDE}.")
    if max_pixels is not None and width * height > max_pixels:
        raise ValueError(
            f"it has {width} x {height} = {width * height} pixels, more than `max_pixels` = {max_pixels} allows."
        )


def to_rgb(
    image: Any, input_data_format: ChannelDimension | None, published_preprocessing: bool
) -> tuple[Image.Image, bool]:
    """
    The image, upright and in mode RGB, and whether its values were floats in 0..1; the given image stays unchanged.

    Raises:
        ValueError: it can't be decoded, or its values are none that an image has.
    """
    if not isinstance(image, Image.Image):
        array = _as_numpy(image)
        return _pil_to_rgb(_array_to_pil(array, input_data_format)), array.dtype.kind == "f" and array.max() <= 1
    if image.format in RUN_PROGRAMS and getattr(image, "tile", None):
        raise ValueError(f"it is in the format {image.format}, which only another program decodes: load it first.")
    image = unloaded(image)
    decoding(image.load)
    if published_preprocessing:
        return decoding(image.convert, "RGB"), False
    image = decoding(_upright, image)
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        return _deep_to_rgb(image), image.mode == "F" and image.getextrema()[1] <= 1
    return decoding(_pil_to_rgb, image), False


def _upright(image: Image.Image) -> Image.Image:
    is_upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    return image if is_upright else ImageOps.exif_transpose(image)


def _channels_are_first(shape: tuple[int, int, int], input_data_format: ChannelDimension | None) -> bool:
    if input_data_format is None:
        if shape[0] in CHANNELS and shape[2] in CHANNELS:
            raise ValueError(
                f"its shape {tuple(shape)} may have channels first or last; say which with `input_data_format`: "
                f'"{ChannelDimension.FIRST.value}" or "{ChannelDimension.LAST.value}".'
            )
        is_first = shape[0] in CHANNELS
    else:
        is_first = input_data_format == ChannelDimension.FIRST
    if shape[0 if is_first else 2] not in CHANNELS:
        layout = "channels, height, width" if is_first else "height, width, channels"
        raise ValueError(f"it must have 1, 3 or 4 channels, got shape {tuple(shape)} ({layout}).")
    return is_first


def _as_numpy(array: Any) -> np.ndarray:
    """An array or tensor of numbers as an array."""
    if is_torch_tensor(array):
        try:
            array = array.detach().cpu()
            array = (array.float() if array.is_floating_point() else array).numpy()
        except (NotImplementedError, RuntimeError, TypeError) as error:  # on meta, sparse, quantized, nested
            kind = f"{array.dtype} on {array.device}, layout {array.layout}"
            raise ValueError(f"its values can't be read as an array: it is {kind}.") from error
    if array.dtype.kind not in "buif":
        raise ValueError(f"its values must be numbers, got {array.dtype}.")
    return np.asarray(array)


def _gray(array: Any) -> Image.Image:
    """An array of (height, width); floats stay floats, since `do_rescale=False` depends on them."""
    array = _as_numpy(array)
    return Image.fromarray(array.astype(np.float32) if array.dtype.kind == "f" else _to_uint8(array))


def _array_to_pil(array: np.ndarray, input_data_format: ChannelDimension | None) -> Image.Image:
    """An array with three dimensions as a PIL image of mode L, RGB or RGBA."""
    if _channels_are_first(array.shape, input_data_format):
        array = array.transpose(1, 2, 0)  # (height, width, channels)
    values = np.ascontiguousarray(_to_uint8(array))
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)


def _to_uint8(array: np.ndarray) -> np.ndarray:
    """Pixel values of any type as bytes."""
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


def _deep_to_rgb(image: Image.Image) -> Image.Image:
    """A loaded image of mode I, I;16* or F."""
    values = np.asarray(image)
    if image.mode == "I":
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"mode I must hold 16-bit values, got {values.min()} to {values.max()}.")
        values = values.astype(np.uint16)
    return Image.fromarray(_to_uint8(values)).convert("RGB")


def _pil_to_rgb(image: Image.Image) -> Image.Image:
    """A loaded, upright image with up to 8 bits a channel."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.has_transparency_data:
        image = image.convert("LA") if image.mode == "La" else image  # Pillow can't convert La to RGBA directly
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


__all__ = ["MAX_SIDE", "check_size", "size_of", "to_rgb", "usable_image"]
