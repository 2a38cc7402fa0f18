# trf-ignore: TRF028 (the license is in the file LICENSE)
"""The image processor's settings: one check for construction, calls and counts, and one form of each value."""

import difflib
import math
import numbers
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from PIL import Image
from transformers.image_utils import ChannelDimension, SizeDict
from transformers.utils import TensorType

from .complementary_image_pyramid import PYRAMID_SETTINGS, TILE_GROUPS, check_settings, positive_integer, shown
from .image_sources import host_name


MAX_TILE_SIZE = 1024  # pixels; the published tiles have 448
LONGEST_FETCH = 86_400.0  # seconds; sockets can't count much further
PERMISSIONS = ("allow_paths", "allow_urls")  # only a caller gives them, never a file
SHORTHANDS = ("pyramid", "crop_to_patches")  # stand for other settings
SERVICE_KWARGS = {"auto_map", "image_processor_type", "processor_class"}  # written by `save_pretrained`, not settings
GLOBAL_VIEW_ALONE = {"detailed_tiles": (1, 1), "adaptive_tiles": None}
FILTERS = {each.name.lower(): int(each) for each in Image.Resampling}


def check_known_arguments(given: Iterable[str], known: Iterable[str], owner: str) -> None:
    """
    Check that every name in `given` is in `known`.

    Raises:
        TypeError: a name is not; the message suggests the nearest known one.
    """
    known = sorted(known)
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
            hint = f" Did you mean `{nearest[0]}`?" if nearest else ""
            raise TypeError(f"{owner} has no argument `{shown(name).strip(chr(39))}`.{hint}")


def check_no_permissions(saved: Mapping[str, Any]) -> None:
    """Raise a ValueError if saved settings, which can come from a stranger, say what may be opened."""
    for name in PERMISSIONS:
        if name in saved:
            raise ValueError(
                f"A file must not set `{name}`, got {shown(saved[name])}: take it out, and give it to "
                "`from_pretrained` or to the call if you mean it."
            )


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
    if crops is not None:
        crops = _flag("crop_to_patches", crops)
    if name is not None and (not isinstance(name, str) or name not in PYRAMID_SETTINGS):
        raise ValueError(f"`pyramid` must be one of {', '.join(map(repr, PYRAMID_SETTINGS))}, got {shown(name)}.")
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


def checked_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """
    All settings of a call, without shorthands, each in its one form: numbers of Python, tuples, `size` as
    `{"height": ..., "width": ...}`, `resample` as Pillow's number.

    Raises:
        TypeError, ValueError: one of them is wrong; the message names it, what came and what is allowed.
    """
    checked = {**settings, **{name: check(name, settings[name]) for name, check in CHECKS.items()}}
    checked |= zip(
        ("detailed_tiles", "adaptive_tiles", "complementarity"),
        check_settings(
            checked["size"]["height"],
            settings["detailed_tiles"],
            settings["adaptive_tiles"],
            settings["complementarity"],
        )[1:],
        strict=True,
    )
    normalization(checked)
    return checked


def normalization(settings: Mapping[str, Any]) -> tuple[float, np.ndarray | None, np.ndarray | None]:
    """
    How values become numbers of the model: (values / divisor - mean) / deviation; mean and deviation have the shape
    (3, 1, 1), and are `None` without `do_normalize`.

    Raises:
        ValueError: a setting that is needed is missing, or byte values would become no finite numbers.
    """
    divisor, mean, deviation = 1.0, None, None
    if settings["do_rescale"]:
        factor = settings["rescale_factor"]
        if factor is None or not 0 < factor < math.inf:
            raise ValueError(f"`rescale_factor` must be above 0 and finite, got {factor}.")
        divisor = 1 / factor  # published: values / 255, not values * (1 / 255)
    if settings["do_normalize"]:
        mean, deviation = (_per_channel(name, settings[name]) for name in ("image_mean", "image_std"))
        if not (deviation > 0).all():
            raise ValueError(f"`image_std` must be above 0, got {settings['image_std']}.")
    with np.errstate(all="ignore"):
        is_finite = np.isfinite(np.float32(divisor))
        extremes = np.divide(np.float32([0, 255]), divisor, dtype=np.float32)
        if mean is not None:
            extremes = (extremes - mean) / deviation
    if not is_finite or not np.isfinite(extremes).all():
        given = ", ".join(f"`{name}` = {settings[name]}" for name in ("rescale_factor", "image_mean", "image_std"))
        raise ValueError(f"{given} would make values that are not finite in float32.")
    return divisor, mean, deviation


def _per_channel(name: str, value: float | tuple[float, ...] | None) -> np.ndarray:
    if value is None:
        raise ValueError(f"`{name}` must be a number or three numbers, got None.")
    with np.errstate(all="ignore"):
        return np.broadcast_to(np.asarray(value, dtype=np.float32), 3).reshape(3, 1, 1)


# Checks of single settings: name and value in, the value's one form out.


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"`{name}` must be True or False, got {shown(value)}.")
    return bool(value)


def _optional_flag(name: str, value: Any) -> bool | None:
    return None if value is None else _flag(name, value)


def _only(*permitted: Any) -> Callable[[str, Any], Any]:
    def check(name: str, value: Any) -> Any:
        for each in permitted:
            if value is each or (isinstance(value, str | np.bool_) and value == each):
                return each
        raise ValueError(f"`{name}` can only be {permitted[-1]!r} here, got {shown(value)}.")

    return check


def _number(name: str, value: Any) -> float:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        number = float(value) if is_number else math.nan
    except OverflowError:  # an integer beyond the largest float
        number = math.inf
    if math.isnan(number):
        raise ValueError(f"`{name}` must be above 0, got {shown(value)}.")
    return number


def _factor(name: str, value: Any) -> float | None:
    return None if value is None else _number(name, value)


def _seconds(name: str, value: Any) -> float:
    seconds = _number(name, value)
    if not 0 < seconds <= LONGEST_FETCH:
        raise ValueError(f"`{name}` must be above 0 and at most {LONGEST_FETCH:g} seconds, got {shown(value)}.")
    return seconds


def _one_or_three(name: str, value: Any) -> float | tuple[float, ...] | None:
    if value is None:
        return None
    values = value.tolist() if isinstance(value, np.ndarray) else value
    each = values if isinstance(values, (tuple, list)) else [values]
    is_fine = len(each) == 3 or each is not values
    try:
        found = tuple(_number(name, number) for number in each) if is_fine else ()
    except ValueError:
        found = ()
    if not found or not all(map(math.isfinite, found)):
        raise ValueError(f"`{name}` must be a number or three numbers, got {shown(value)}.")
    return found if each is values else found[0]


def _filter(name: str, value: Any) -> int:
    given = getattr(value, "value", value)  # of an enumeration, Pillow's or torchvision's
    if isinstance(given, str) and given.lower() in FILTERS:
        return FILTERS[given.lower()]
    is_integer = isinstance(given, numbers.Integral) and not isinstance(given, bool)
    if not is_integer or int(given) not in FILTERS.values():
        raise ValueError(f"`{name}` must be one of Pillow's filters, {', '.join(FILTERS)}, got {shown(value)}.")
    return int(given)


def _square(name: str, value: Any) -> dict[str, int]:
    given = {key: side for key, side in dict(value).items() if side is not None} if _is_mapping(value) else value
    if isinstance(given, (tuple, list)) and len(given) == 2:
        given = {"height": given[0], "width": given[1]}
    elif not isinstance(given, (Mapping, type(None))):
        given = {"height": given, "width": given}
    is_square = given is not None and set(given) == {"height", "width"}
    sides = [positive_integer(name, side) for side in given.values()] if is_square else []
    if not sides or sides[0] != sides[1]:
        raise ValueError(
            f'`{name}` must be a square tile such as {{"height": 448, "width": 448}}, got {shown(given)}.'
        )
    if sides[0] > MAX_TILE_SIZE:
        raise ValueError(f"`{name}` must be at most {MAX_TILE_SIZE} pixels, got {sides[0]}.")
    return {"height": sides[0], "width": sides[0]}


def _is_mapping(value: Any) -> bool:
    return isinstance(value, (Mapping, SizeDict))


def _limit(name: str, value: Any) -> int | None:
    if value is None:
        return None
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_integer or value < 1:
        raise ValueError(f"`{name}` must be None or an integer of at least 1, got {shown(value)}.")
    return int(value)


def _order(name: str, value: Any) -> tuple[str, ...]:
    groups = value if isinstance(value, (tuple, list)) else ()
    if not all(isinstance(each, str) for each in groups) or sorted(groups) != sorted(TILE_GROUPS):
        raise ValueError(f"`{name}` must hold each of {TILE_GROUPS} once, got {shown(value)}.")
    return tuple(groups)


def _device(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, (str, int)) and not hasattr(value, "index"):
        raise ValueError(f'`{name}` must be None or a device such as "cpu", got {shown(value)}.')
    return None  # tiles are made on the CPU, whatever device a general caller names


def _layout(name: str, value: Any) -> ChannelDimension | None:
    permitted = [each.value for each in ChannelDimension]
    if value is None:
        return None
    if not isinstance(value, str) or value not in permitted:
        raise ValueError(f"`{name}` must be None or one of {', '.join(map(repr, permitted))}, got {shown(value)}.")
    return ChannelDimension(value)


def _tensors(name: str, value: Any) -> str | TensorType | None:
    permitted = [each.value for each in TensorType]
    if value is not None and (not isinstance(value, str) or value not in permitted):
        raise ValueError(f"`{name}` must be None or one of {', '.join(map(repr, permitted))}, got {shown(value)}.")
    return value


def _paths(name: str, value: Any) -> bool | tuple[str, ...]:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    folders = [value] if isinstance(value, (str, os.PathLike)) else value
    is_list = isinstance(folders, (list, tuple, set, frozenset))
    if not is_list or not all(isinstance(each, (str, os.PathLike)) and str(each) for each in folders):
        raise ValueError(f"`{name}` must be False, True, a folder or a list of folders, got {shown(value)}.")
    return tuple(os.fsdecode(each) for each in folders)


def _hosts(name: str, value: Any) -> bool | tuple[str, ...]:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    hosts = [value] if isinstance(value, str) else value
    try:
        if isinstance(hosts, (list, tuple, set, frozenset)) and all(map(_is_host, hosts)):
            return tuple(map(host_name, hosts))
    except UnicodeError:  # no name that DNS could have
        pass
    raise ValueError(f'`{name}` must be False, True, or a list of hosts such as "example.com", got {shown(value)}.')


def _is_host(value: Any) -> bool:
    """Whether it can be a host's name or address: without scheme, port and path."""
    return isinstance(value, str) and bool(value) and not set(value) & set("/@?#*[] ") and value.count(":") != 1


CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "do_resize": _only(True),
    "do_convert_rgb": _only(True),
    "do_center_crop": _only(None, False),
    "do_pad": _only(None, False),
    "data_format": _only(None, ChannelDimension.FIRST),
    "image_seq_length": _only(None),
    "disable_grouping": _optional_flag,
    "default_to_square": _optional_flag,
    "device": _device,
    "crop_size": _only(None),
    "pad_size": _only(None),
    "size": _square,
    "resample": _filter,
    "do_rescale": _flag,
    "rescale_factor": _factor,
    "do_normalize": _flag,
    "image_mean": _one_or_three,
    "image_std": _one_or_three,
    "input_data_format": _layout,
    "return_tensors": _tensors,
    "tile_order": _order,
    "published_preprocessing": _flag,
    "max_pixels": _limit,
    "max_images": _limit,
    "max_tiles": _limit,
    "max_file_bytes": _limit,
    "fetch_seconds": _seconds,
    "allow_paths": _paths,
    "allow_urls": _hosts,
}


__all__ = ["check_known_arguments", "check_no_permissions", "checked_settings", "normalization", "resolve_shorthands"]
