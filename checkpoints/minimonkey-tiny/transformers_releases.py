# trf-ignore: TRF028 (the license is in the file LICENSE)
# ruff: noqa: E402
"""
Everything that depends on the release of Transformers; the rest of the package is the same for all of them.

Each line names the release that needs it: delete it once the oldest supported release (`FLOOR`) is above that.
"""

from transformers.utils.versions import require_version


FLOOR, NEWEST = "5.19", "5.24"  # tested with both and with releases in between
# Before importing what older releases lack. They give wrong tokens under compression, without an error.
require_version(f"transformers>={FLOOR}")

import importlib
import inspect
import re

import transformers
from transformers.utils import logging


try:
    from transformers.configuration_utils import SubConfigSpec  # from 5.20 on: how a sub-configuration is declared
except ImportError:
    SubConfigSpec = dict  # 5.19 only reads the classes in `sub_configs`


def release_of(version: str) -> tuple[int, ...]:
    """The first two numbers of a version: (5, 25) of 5.25rc1, too."""
    return tuple(int(number) for number in re.findall(r"\d{1,9}", version[:40])[:2])


RELEASE = release_of(transformers.__version__)
IS_TESTED = RELEASE <= release_of(NEWEST)
# Below 5.23 every chunk of a prompt gets the features of all images, and below 5.21 a cached beginning is overwritten:
# wrong tokens without an error, even without this code.
CAN_PREFILL_IN_CHUNKS = RELEASE >= (5, 23)

if not IS_TESTED:  # once, even if the processor's package gives the same warning
    logging.get_logger("transformers.minimonkey").warning_once(
        f"Transformers {transformers.__version__} is newer than the releases that Mini-Monkey was tested with "
        f"({FLOOR} to {NEWEST}): if answers look wrong, install one of those."
    )


def check_parts(parts: dict[str, tuple[str, ...]]) -> None:
    """
    Check that the library has what this code relies on.

    Args:
        parts (`dict[str, tuple[str, ...]]`):
            Names by module; `"Class.method"` is looked up in the class.

    Raises:
        ImportError: names the part that is missing, the release that was found and those that are tested.
    """
    for module, names in parts.items():
        for name in names:
            found = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part, None)
            if found is None:
                raise _missing(f"`{module}.{name}`")


def cache_argument(forward) -> str:
    """The name of the argument that takes the cache: `"cache"` from 5.24 on, `"past_key_values"` before."""
    parameters = inspect.signature(forward).parameters
    for name in ("cache", "past_key_values"):
        if name in parameters:
            return name
    raise _missing(f"an argument for the cache in `{forward.__qualname__}`")


def take_cache(kwargs: dict):
    """Take the cache out of a call's `kwargs`, by either name; `ValueError` if there are two."""
    cache, past_key_values = kwargs.pop("cache", None), kwargs.pop("past_key_values", None)
    if cache is not None and past_key_values is not None:
        raise ValueError("Specify `cache` or `past_key_values`, not both: they are two names of one argument.")
    return past_key_values if cache is None else cache


def _missing(part: str) -> ImportError:
    return ImportError(
        f"Mini-Monkey needs {part}, which Transformers {transformers.__version__} does not have. It is tested with "
        f"Transformers {FLOOR} to {NEWEST}; please install one of those."
    )
