"""
The weight files of a checkpoint, read and written one tensor at a time.

A checkpoint is a dictionary of [`LazyTensor`]s throughout its conversion: renaming, splitting or casting it makes
another dictionary, and nothing is read before [`write_tensors`] or `from_pretrained` asks for a tensor. So memory
holds one tensor and what it is made of, however large the checkpoint is.
"""

import functools
import json
import pickle
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError, safe_open
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, WEIGHTS_INDEX_NAME, WEIGHTS_NAME, logging

from ..configuration_checks import shown


# The supported dtypes. Quantized weights can't be trained or converted: their original values are lost.
DTYPES = {
    dtype: str(dtype).removeprefix("torch.") for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.float64)
}
# Names of these dtypes in safetensors files.
DTYPE_CODES = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32", torch.float64: "F64"}


MOST_JSON_BYTES = 64 * 2**20  # ten times a vocabulary's
LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # how the file that stands for one in Git LFS begins
UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def bytes_in_words(number: int) -> str:
    """A number of bytes as people read it: "1.2 GB"."""
    for unit, size in reversed(UNITS.items()):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"


def shard_bytes(max_shard_size: int | str) -> int:
    """
    The number of bytes that `max_shard_size` means.

    Raises:
        ValueError: it is neither a whole number above 0, nor a number with one of `UNITS`.
    """
    size = max_shard_size if isinstance(max_shard_size, int) and not isinstance(max_shard_size, bool) else 0
    if isinstance(max_shard_size, str):
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?(?:([KMGT]B)|B?)", max_shard_size.strip().upper())
        size = int(float(found[1]) * UNITS.get(found[2], 1)) if found else 0
    if size < 1:
        raise ValueError(
            '`max_shard_size` must be a number of bytes, or a number with KB, MB, GB or TB, such as "5GB", got '
            f"{shown(max_shard_size)}."
        )
    return size


def some(names: Collection) -> str:
    """Names for a message: all of them, or the first few and how many more."""
    names, total = list(names), 0
    for count, name in enumerate(names):
        total += len(str(name)) + 4
        if count and total > 250:
            return f"{str(names[:count])[:-1]}, and {len(names) - count} more]"
    return f"{names}"


def check_no_pointer(path: Path) -> None:
    """`ValueError` if a file holds only the pointer to itself that Git LFS leaves where it was not fetched."""
    with open(path, "rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ValueError(
                f"`source` has only a Git LFS pointer in place of {path.name}: run `git lfs pull` in {path.parent}."
            )


@dataclass(frozen=True)
class LazyTensor:
    """
    A tensor that is read, or made of others, each time it is asked for.

    Args:
        shape: Its shape, known beforehand.
        dtype: Its dtype, known beforehand.
        read: Gives the tensor, on the CPU.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], torch.Tensor]

    def __getitem__(self, index) -> torch.Tensor:
        """How `from_pretrained` reads the values of a `state_dict`."""
        return self.read()[index]

    def meta(self, dtype: torch.dtype | None = None) -> torch.Tensor:
        """A tensor without values of the same shape, and of the same dtype unless another is given."""
        return torch.empty(self.shape, dtype=dtype or self.dtype, device="meta")


def open_tensors(folder: Path, allow_pickle: bool = False) -> dict[str, LazyTensor]:
    """
    Open the weight files of a checkpoint, one file or several with an index: key -> tensor.

    Args:
        folder (`Path`):
            Folder with `model.safetensors`, or `model.safetensors.index.json` and the files that it names.
        allow_pickle (`bool`, *optional*, defaults to `False`):
            Also read `pytorch_model.bin`, or `pytorch_model.bin.index.json` and its files, where there are no
            safetensors. They are read with `weights_only=True`, that is, without running code in them.

    Raises:
        FileNotFoundError: there are no weight files, or only pickled ones.
        ValueError: a file is damaged, the index does not fit the files or points outside the folder, or a tensor's
            dtype is not floating point of 16 to 64 bits.
    """
    file_names, index_name = _weight_files(folder, allow_pickle)
    tensors, places = {}, {}
    for name in file_names:
        found = _open_file(folder / name)
        twice = sorted(tensors.keys() & found.keys())
        if twice:
            raise ValueError(f"`source` has tensors that stand in more than one file: {some(twice)}.")
        tensors |= found
        places |= dict.fromkeys(found, name)
    if index_name is not None:
        index = _read_index(folder / index_name)
        different = sorted(key for key in index.keys() | places.keys() if index.get(key) != places.get(key))
        if different:
            raise ValueError(f"{index_name} and the files beside it differ in {some(different)}.")
    wrong = {key: str(tensor.dtype) for key, tensor in tensors.items() if tensor.dtype not in DTYPES}
    if wrong:
        first = dict(list(wrong.items())[:3])
        raise ValueError(
            f"`source` has {len(wrong)} tensors of other dtypes than {list(DTYPES.values())}, such as {first}."
        )
    return tensors


def _weight_files(folder: Path, allow_pickle: bool) -> tuple[list[str], str | None]:
    """Names of the files, and of the index that names them."""
    formats = [(SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME), (WEIGHTS_NAME, WEIGHTS_INDEX_NAME)]
    for single, index in formats[: 2 if allow_pickle else 1]:
        if (folder / single).is_file():
            return [single], None
        if (folder / index).is_file():
            names = sorted(set(_read_index(folder / index).values()))
            outside = [name for name in names if Path(name).name != name]
            if outside:
                raise ValueError(f"{index} must name files beside it, got {some(outside)}.")
            missing = [name for name in names if not (folder / name).is_file()]
            if missing:
                raise FileNotFoundError(f"`source` {folder} lacks files that {index} names: {some(missing)}.")
            return names, index
    if any((folder / name).is_file() for name in formats[1]):
        raise FileNotFoundError(
            f"`source` {folder} has pickled weights only ({WEIGHTS_NAME}), which are refused unless `allow_pickle` "
            "(`--allow-pickle`) is set; it has neither {} nor {}.".format(*formats[0])
        )
    raise FileNotFoundError(
        f"`source` {folder} has no weights: neither {SAFE_WEIGHTS_NAME} nor {SAFE_WEIGHTS_INDEX_NAME}."
    )


def _read_index(path: Path) -> dict[str, str]:
    index = read_json(path).get("weight_map")
    if not isinstance(index, dict) or not all(isinstance(name, str) for name in index.values()):
        raise ValueError(f"{path} has no `weight_map` from keys to file names.")
    return index


def read_json(path: Path) -> dict:
    """
    Read a JSON file that holds an object.

    Raises:
        ValueError: it is damaged, or holds something else; the message names the file.
    """
    check_no_pointer(path)
    if (size := path.stat().st_size) > MOST_JSON_BYTES:
        raise ValueError(f"{path} is too large for a JSON file: {bytes_in_words(size)}.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:  # of the encoding, the syntax or the depth
        raise ValueError(f"{path} is not a JSON file: {str(error)[:200]}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold an object, got {type(content).__name__}.")
    return content


def _without_twins(pairs: list[tuple[str, object]]) -> dict:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"it has the key {shown(next(key for key in keys if keys.count(key) > 1))} twice")
    return content


def _open_file(path: Path) -> dict[str, LazyTensor]:
    check_no_pointer(path)
    try:
        if path.suffix == ".safetensors":
            dtypes = {code: dtype for dtype, code in DTYPE_CODES.items()}
            with safe_open(path, framework="pt") as file:
                slices = {key: file.get_slice(key) for key in file.keys()}
                return {
                    key: LazyTensor(
                        tuple(part.get_shape()),
                        dtypes.get(part.get_dtype(), part.get_dtype()),
                        functools.partial(_read_safetensors, path, key),
                    )
                    for key, part in slices.items()
                }
        tensors = _load_pickle(path)
    except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"`source` has an unreadable file {path.name}: {str(error)[:200]}") from error
    if not isinstance(tensors, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
        raise ValueError(f"`source` has a file {path.name} that holds something else than tensors by name.")
    return {
        key: LazyTensor(tuple(tensor.shape), tensor.dtype, functools.partial(_read_pickle, path, key))
        for key, tensor in tensors.items()
    }


# A file is opened anew for every tensor. That costs a millisecond, but frees the mapped memory with the tensor, where
# an open file would keep everything that was ever read.
def _read_safetensors(path: Path, key: str) -> torch.Tensor:
    with safe_open(path, framework="pt") as file:
        return file.get_tensor(key)


def _read_pickle(path: Path, key: str) -> torch.Tensor:
    return _load_pickle(path)[key]


def _load_pickle(path: Path) -> dict:
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def write_tensors(
    folder: Path,
    tensors: dict[str, LazyTensor],
    max_shard_size: int | str = "5GB",
    dtype: torch.dtype | None = None,
) -> None:
    """
    Write tensors as `model.safetensors`, or as several files with `model.safetensors.index.json`, with a progress bar.

    The library `safetensors` needs all tensors of a file in memory at the same time, its format only their sizes.

    Args:
        folder (`Path`):
            An existing folder.
        tensors (`dict[str, LazyTensor]`):
            What to write, in this order.
        max_shard_size (`int` or `str`, *optional*, defaults to `"5GB"`):
            Most bytes of tensors in one file. A larger tensor has a file of its own.
        dtype (`torch.dtype`, *optional*):
            By default every tensor keeps its own.

    Raises:
        ValueError: a tensor has a value that is not a finite number, or `max_shard_size` is no size.
    """
    split = split_torch_state_dict_into_shards(
        {name: tensor.meta(dtype) for name, tensor in tensors.items()},
        filename_pattern=SAFE_WEIGHTS_NAME.replace(".", "{suffix}."),
        max_shard_size=shard_bytes(max_shard_size),
    )
    total = split.metadata["total_size"]
    with logging.tqdm(total=total, unit="B", unit_scale=True, unit_divisor=1000, desc="Writing") as progress:
        for name, keys in split.filename_to_tensors.items():
            _write_file(folder / name, {key: tensors[key] for key in keys}, dtype, progress)
    if split.is_sharded:
        parameters = sum(tensor.meta().numel() for tensor in tensors.values())
        index = {
            "metadata": {"total_parameters": parameters, "total_size": total},
            "weight_map": split.tensor_to_filename,
        }
        (folder / SAFE_WEIGHTS_INDEX_NAME).write_text(
            json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )


def _write_file(path: Path, tensors: dict[str, LazyTensor], dtype: torch.dtype | None, progress) -> None:
    """The format: size of the header, header, tensors; https://github.com/huggingface/safetensors#format."""
    dtypes = {name: dtype or tensor.dtype for name, tensor in tensors.items()}
    # Wide dtypes first, so that every tensor begins at a multiple of the size of its dtype.
    tensors = dict(sorted(tensors.items(), key=lambda item: -dtypes[item[0]].itemsize))
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.meta(dtypes[name]).nbytes
        header[name] = {"dtype": DTYPE_CODES[dtypes[name]], "shape": tensor.shape, "data_offsets": (begin, end)}
    content = json.dumps(header).encode()
    content += b" " * (-len(content) % 8)
    with open(path, "xb") as file:
        file.write(len(content).to_bytes(8, "little") + content)
        for name, tensor in tensors.items():
            # In parts: casting or checking the whole tensor would hold it in memory twice.
            for values in tensor.read().reshape(-1).split(2**24):
                values = values.to(dtypes[name])
                if values.numel() and not all(bound.isfinite() for bound in values.aminmax()):
                    raise ValueError(f"{name} has values that are not finite numbers in {DTYPES[dtypes[name]]}.")
                file.write(values.view(torch.uint8).numpy())
                progress.update(values.nbytes)
