"""
Converts original checkpoints, in the `internvl_chat` format of `mx262/MiniMonkey` and `OpenGVLab/InternVL2-*`, to the
format of this project and back. [`convert`] and [`revert`] write a folder, [`load_original`] loads the model without
writing. No code of a source is run. The command line is in `convert_minimonkey_weights_to_hf.py`.
"""

import errno
import functools
import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from PIL import Image
from transformers import GenerationConfig, PreTrainedTokenizerBase
from transformers.dynamic_module_utils import custom_object_save
from transformers.utils import logging

from processing_minimonkey.chat_templates import chat_template
from processing_minimonkey.complementary_image_pyramid import PYRAMID_SETTINGS
from processing_minimonkey.image_processing_minimonkey import MiniMonkeyImageProcessor
from processing_minimonkey.processing_minimonkey import MiniMonkeyProcessor

from ..configuration_minimonkey import MiniMonkeyConfig
from ..modeling_minimonkey import MiniMonkeyForConditionalGeneration
from .config import (
    LANGUAGE_MODELS,
    PROMPTS,
    OriginalLanguageModel,
    Prompt,
    check_same_model,
    convert_config,
    language_model_of,
    read_config,
    revert_config,
)
from .lora import merge_lora
from .tokenizer import check_ids, load_original_tokenizer, published_prefix
from .weight_files import (
    DTYPES,
    LazyTensor,
    bytes_in_words,
    open_tensors,
    read_json,
    shard_bytes,
    write_tensors,
)
from .weight_names import (
    check_tensors,
    conversions_to_original,
    conversions_to_ours,
    convert_tensors,
    vision_and_projector_weights,
)


logger = logging.get_logger(__name__)

SMALL_FILES = ["*.json", "*.model", "*.txt"]
WEIGHT_FILES = ["*.safetensors"]
PICKLES = ["*.bin"]
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)
OF_THE_DISK += (errno.ENOTEMPTY, errno.EBUSY, errno.ENAMETOOLONG, errno.EFBIG)
HUB_NAME = r"[\w-][\w.-]*(/[\w-][\w.-]*)?"
# Where a converted folder keeps the small files of its original, for conversion back.
ORIGINAL_FILES = "original"


@dataclass(frozen=True)
class OriginalCheckpoint:
    """What the small files of an original checkpoint say about it."""

    folder: Path
    original_config: dict
    language_model: OriginalLanguageModel
    prompt: Prompt
    tokenizer: PreTrainedTokenizerBase
    config: MiniMonkeyConfig


def _local_folder(source: str | Path, revision: str | None, patterns: list[str]) -> Path:
    if Path(source).is_dir():
        return Path(source)
    if Path(source).exists() or not re.fullmatch(HUB_NAME, str(source)):
        kind = "is a file" if Path(source).is_file() else "is no folder"
        raise FileNotFoundError(
            f"`source` {str(source)!r} {kind}, and no name of a Hub repository, such as 'mx262/MiniMonkey'."
        )
    try:
        return Path(snapshot_download(str(source), revision=revision, allow_patterns=patterns))
    except (RepositoryNotFoundError, RevisionNotFoundError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        reason = " ".join(str(error).split())[:300]
        raise FileNotFoundError(
            f"`source` {str(source)!r} is no folder here, and can't be fetched from the Hub: {reason}"
        ) from error


def read_checkpoint(
    source: str | Path, revision: str | None = None, allow_pickle: bool = False, weights: bool = True
) -> OriginalCheckpoint:
    """Read everything but the weights of an original checkpoint, see [`load_original`]."""
    folder = _local_folder(source, revision, SMALL_FILES)
    original = read_config(folder)
    prompt = PROMPTS[original["template"]]
    tokenizer = load_original_tokenizer(folder, original["llm_config"]["vocab_size"], [prompt.end_of_turn])
    if weights:  # last, so that what is wrong with the small files is seen before gigabytes are fetched
        _local_folder(source, revision, SMALL_FILES + WEIGHT_FILES + (PICKLES if allow_pickle else []))
    return OriginalCheckpoint(
        folder=folder,
        original_config=original,
        language_model=LANGUAGE_MODELS[original["llm_config"]["model_type"]],
        prompt=prompt,
        tokenizer=tokenizer,
        config=convert_config(original, tokenizer.context_image_token_id),
    )


def _meta_model(config: MiniMonkeyConfig) -> MiniMonkeyForConditionalGeneration:
    with torch.device("meta"):
        return MiniMonkeyForConditionalGeneration(config)


def _lazy_state_dict(model: MiniMonkeyForConditionalGeneration) -> dict[str, LazyTensor]:
    return {name: LazyTensor(tuple(each.shape), each.dtype, each.detach) for name, each in model.state_dict().items()}


def _common_dtype(tensors: dict[str, LazyTensor]) -> torch.dtype:
    return functools.reduce(torch.promote_types, (tensor.dtype for tensor in tensors.values()))


def _open_as_ours(checkpoint: OriginalCheckpoint, allow_pickle: bool) -> dict[str, LazyTensor]:
    """The tensors of an original checkpoint under this project's names."""
    tensors = merge_lora(open_tensors(checkpoint.folder, allow_pickle), checkpoint.original_config)
    # Some older files hold this buffer, which is computed from the rotary settings.
    tensors = {key: tensor for key, tensor in tensors.items() if not key.endswith(".rotary_emb.inv_freq")}
    config = checkpoint.config
    layers = config.text_config.num_hidden_layers + config.vision_config.num_hidden_layers
    if layers > len(tensors):  # before so many are made
        raise ValueError(f"`source` has {layers} layers in its config.json, but only {len(tensors)} tensors.")
    model = _meta_model(config)
    mapping = vision_and_projector_weights() + checkpoint.language_model.weights()
    ours = _lazy_state_dict(model)
    backwards = conversions_to_original(ours, mapping)
    tied = {
        name for each in backwards for name in each.targets if set(each.sources) & model.all_tied_weights_keys.keys()
    }
    check_tensors(tensors, convert_tensors(ours, backwards, checkpoint.config), optional=tied)
    converted = convert_tensors(tensors, conversions_to_ours(tensors, mapping), checkpoint.config)
    for name, twin in model.all_tied_weights_keys.items():
        if name in converted and not torch.equal(converted.pop(name).read(), converted[twin].read()):
            raise ValueError(
                f"`source` has `tie_word_embeddings` true in config.json, but different values in {name} and {twin}."
            )
    return _in_order(converted, ours)


def _generation_config(checkpoint: OriginalCheckpoint) -> GenerationConfig:
    tokenizer = checkpoint.tokenizer
    return GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.convert_tokens_to_ids(checkpoint.prompt.end_of_turn),
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=512,  # the published demo's; without it `generate` stops after 20
    )


def load_original(
    source: str | Path,
    *,
    revision: str | None = None,
    dtype: torch.dtype | None = None,
    allow_pickle: bool = False,
    **kwargs,
) -> MiniMonkeyForConditionalGeneration:
    """
    Load an original checkpoint as [`MiniMonkeyForConditionalGeneration`], tensor by tensor. `save_pretrained` of the
    model writes the names of this project.

    Args:
        source (`str` or `Path`):
            Folder in the original `internvl_chat` format, or id of a Hub repository.
        revision (`str`, *optional*):
            Branch, tag or commit of the Hub repository.
        dtype (`torch.dtype`, *optional*):
            By default the dtype of the tensors; if they differ, one that can hold them all.
        allow_pickle (`bool`, *optional*, defaults to `False`):
            Whether to read `pytorch_model*.bin` where there are no safetensors.
        kwargs (*optional*):
            Passed on to `from_pretrained`, for example `device_map` or `attn_implementation`.

    Raises:
        FileNotFoundError, ValueError: see [`read_config`], [`convert_config`], [`load_original_tokenizer`],
            [`open_tensors`], [`merge_lora`], [`check_tensors`].
    """
    checkpoint = read_checkpoint(source, revision, allow_pickle)
    tensors = _open_as_ours(checkpoint, allow_pickle)
    model = MiniMonkeyForConditionalGeneration.from_pretrained(
        None, config=checkpoint.config, state_dict=tensors, dtype=dtype or _common_dtype(tensors), **kwargs
    )
    model.name_or_path = model.config.name_or_path = str(checkpoint.folder)
    model.generation_config = _generation_config(checkpoint)
    return model


def load_original_processor(source: str | Path, *, revision: str | None = None) -> MiniMonkeyProcessor:
    """
    Build the processor that belongs to an original checkpoint, with the tile ranges of the published demo.

    Args:
        source (`str` or `Path`):
            Folder in the original `internvl_chat` format, or id of a Hub repository.
        revision (`str`, *optional*):
            Branch, tag or commit of the Hub repository.

    Raises:
        FileNotFoundError, ValueError: see [`read_config`], [`convert_config`], [`load_original_tokenizer`].
    """
    return _build_processor(read_checkpoint(source, revision, weights=False))


def _build_processor(checkpoint: OriginalCheckpoint) -> MiniMonkeyProcessor:
    height, width = checkpoint.config.vision_config.image_size
    first_token = checkpoint.prompt.first_token
    prefix = published_prefix(checkpoint.folder, first_token)
    template = chat_template(checkpoint.prompt.file)
    return MiniMonkeyProcessor(
        image_processor=MiniMonkeyImageProcessor(size={"height": height, "width": width}, **PYRAMID_SETTINGS["demo"]),
        tokenizer=checkpoint.tokenizer,
        image_seq_length=checkpoint.config.image_seq_length,
        chat_template=template.replace(f"'{first_token}", f"'{prefix}{first_token}", 1),
    )


def convert(
    source: str | Path,
    target: str | Path,
    *,
    revision: str | None = None,
    dtype: torch.dtype | None = None,
    max_shard_size: int | str = "5GB",
    allow_pickle: bool = False,
    verify: bool = False,
) -> str | None:
    """
    Convert an original checkpoint to a folder that loads with `trust_remote_code=True`. `target` appears complete or
    not at all, and memory holds one tensor at a time.

    Args:
        source (`str` or `Path`):
            Folder in the original `internvl_chat` format, or id of a Hub repository.
        target (`str` or `Path`):
            Folder to make; it must not exist, or be empty.
        revision (`str`, *optional*):
            Branch, tag or commit of the Hub repository.
        dtype (`torch.dtype`, *optional*):
            By default every tensor keeps its own.
        max_shard_size (`int` or `str`, *optional*, defaults to `"5GB"`):
            Most bytes of tensors in one file.
        allow_pickle (`bool`, *optional*, defaults to `False`):
            Whether to read `pytorch_model*.bin` where there are no safetensors.
        verify (`bool`, *optional*, defaults to `False`):
            Whether to compare the result with the source: ids of texts (see [`check_ids`]) and logits for an image.

    Returns:
        `str` or `None`: with `verify`, what [`describe_logits`] returns for the result.

    Raises:
        FileExistsError: `target` is a file, or a folder that is not empty.
        OSError: `target` can't be written, or its disk is full.
        FileNotFoundError, ValueError: see [`load_original`]; also if a weight is not a finite number.
        RuntimeError: another process is writing `target`, or the verified ids or logits differ.
    """
    max_shard_size = shard_bytes(max_shard_size)
    with _written_beside(target) as folder:
        checkpoint = read_checkpoint(source, revision, allow_pickle)
        tensors, config = _open_as_ours(checkpoint, allow_pickle), checkpoint.config
        _check_space(folder, tensors, dtype)
        for each in (config, *(getattr(config, name) for name in config.sub_configs)):
            each.dtype = dtype or _common_dtype(tensors)
        config.architectures = [MiniMonkeyForConditionalGeneration.__name__]
        custom_object_save(_meta_model(config), folder, config=config)
        config.save_pretrained(folder)
        _generation_config(checkpoint).save_pretrained(folder)
        _build_processor(checkpoint).save_pretrained(folder)
        _copy_small_files(checkpoint.folder, folder / ORIGINAL_FILES)
        write_tensors(folder, tensors, max_shard_size, dtype)
        if not verify:
            return None
        return _compare(
            lambda: load_original(source, revision=revision, dtype=config.dtype, allow_pickle=allow_pickle),
            lambda: MiniMonkeyForConditionalGeneration.from_pretrained(folder),
            MiniMonkeyProcessor.from_pretrained(folder),
            checkpoint.folder,
        )


def revert(
    source: str | Path,
    target: str | Path,
    *,
    original: str | Path | None = None,
    revision: str | None = None,
    dtype: torch.dtype | None = None,
    max_shard_size: int | str = "5GB",
    allow_pickle: bool = False,
    verify: bool = False,
) -> str | None:
    """
    Convert a checkpoint that [`convert`] made, fine-tuned or not, back to the original format. Adapters that
    [`convert`] merged stay merged. Other arguments, the result and the errors are those of [`convert`].

    Args:
        source (`str` or `Path`):
            Folder of this project's format, or id of a Hub repository.
        original (`str` or `Path`, *optional*):
            The original checkpoint, or another of the same model, as a folder or id of a Hub repository. Everything
            but its weights is copied, including its code, which this project does not have. By default the settings
            and the tokenizer are those that [`convert`] kept in `source`; if a later `save_pretrained` left them
            behind, only config.json is written, and the user has to add the rest.
    """
    max_shard_size = shard_bytes(max_shard_size)
    with _written_beside(target) as folder:
        source = _local_folder(source, revision, SMALL_FILES + WEIGHT_FILES + (PICKLES if allow_pickle else []))
        config = _read_our_config(source)
        tensors = open_tensors(source, allow_pickle)
        model = _meta_model(config)
        ours = _lazy_state_dict(model)
        check_tensors(tensors, ours, optional=model.all_tied_weights_keys)
        config.dtype = dtype or _common_dtype(tensors)
        _write_small_files(source, config, original, folder)
        mapping = vision_and_projector_weights() + language_model_of(config).weights()
        tensors = convert_tensors(tensors, conversions_to_original(_in_order(tensors, ours), mapping), config)
        _check_space(folder, tensors, dtype)
        write_tensors(folder, tensors, max_shard_size, dtype)
        if not verify:
            return None
        return _compare(
            lambda: MiniMonkeyForConditionalGeneration.from_pretrained(source, dtype=config.dtype),
            lambda: load_original(folder, dtype=config.dtype),
            load_original_processor(folder),
            folder,
        )


def _read_our_config(folder: Path) -> MiniMonkeyConfig:
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"`source` {folder} has no config.json.")
    model_type = read_json(folder / "config.json").get("model_type")
    if model_type != MiniMonkeyConfig.model_type:
        raise ValueError(
            f"`source` has {model_type!r} as `model_type` in config.json, it must be {MiniMonkeyConfig.model_type!r}."
        )
    return MiniMonkeyConfig.from_pretrained(folder)


def _write_small_files(source: Path, config: MiniMonkeyConfig, original: str | Path | None, folder: Path) -> None:
    """Write config.json and tokenizer of the original format, from `original` where there is one."""
    if original is not None:
        original = _local_folder(original, None, [*SMALL_FILES, "*.py"])
    elif (source / ORIGINAL_FILES).is_dir():
        original = source / ORIGINAL_FILES
    if original is None:
        settings = revert_config(config)
        logger.warning(f"{source} has no tokenizer of the original format: add it, or give `original` (`--original`).")
    else:
        settings = read_config(original)
        check_same_model(settings, config)
        settings |= {"use_llm_lora": 0, "use_backbone_lora": 0}
        settings["torch_dtype"] = DTYPES[config.dtype]
        _copy_small_files(original, folder, code=True)
    (folder / "config.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _copy_small_files(source: Path, target: Path, code: bool = False) -> None:
    target.mkdir(exist_ok=True)
    # A folder of the Hub's cache holds links to the files beside it; other links could lead to anything.
    places = (source.resolve(), source.resolve().parent.parent / "blobs")
    for pattern in [*SMALL_FILES, *(["*.py"] if code else [])]:
        for path in source.glob(pattern):
            if not any(path.resolve().is_relative_to(place) for place in places):
                raise ValueError(f"`source` has a link {path.name} that leads out of it; replace it by the file.")
            if not path.name.endswith(".index.json"):
                shutil.copyfile(path, target / path.name)


def _in_order(tensors: dict[str, LazyTensor], names: Iterable[str]) -> dict[str, LazyTensor]:
    """The tensors in the model's order instead of the files', so that a shard holds consecutive layers."""
    return {name: tensors[name] for name in names if name in tensors}


def _check_space(folder: Path, tensors: dict[str, LazyTensor], dtype: torch.dtype | None) -> None:
    needed, free = sum(tensor.meta(dtype).nbytes for tensor in tensors.values()), shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"`target` needs {bytes_in_words(needed)}, but its disk has {bytes_in_words(free)} left.")


@contextmanager
def _written_beside(target: str | Path) -> Iterator[Path]:
    """Yield a folder next to `target`, on the same disk: renamed to `target` on success, deleted on failure."""
    target = Path(target).resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        kind = "and is not empty" if target.is_dir() else "and is a file"
        raise FileExistsError(f"`target` {target} exists already {kind}; give a new or an empty folder.")
    unfinished, lock = (target.with_name(f".{target.name}.{suffix}") for suffix in ("unfinished", "lock"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, blocking=False):
            # Left by a run that was killed, since nobody else holds the lock.
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            try:
                yield unfinished
                if target.is_dir():
                    target.rmdir()  # an empty one; what came into it meanwhile is an error, and stays
                unfinished.rename(target)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
                lock.unlink(missing_ok=True)
    except Timeout as error:
        raise RuntimeError(f"`target` {target} is being written by another process.") from error
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise  # of the source, or of the Hub
        raise type(error)(f"`target` {target} can't be written: {error.strerror}") from error


def _compare(load_before, load_after, processor: MiniMonkeyProcessor, original: Path) -> str:
    check_ids(processor.tokenizer, original)
    # One after the other, so that only one model is in memory.
    before, after = (describe_logits(load(), processor) for load in (load_before, load_after))
    if before != after:
        raise RuntimeError(f"`source` and `target` give different logits: {before}; {after}.")
    return after


@torch.no_grad()
def describe_logits(model: MiniMonkeyForConditionalGeneration, processor: MiniMonkeyProcessor) -> str:
    """
    Ask the model about a drawn image, and return a checksum of the logits after the prompt and the answer's first
    tokens. Equal weights give equal results on one machine; other machines round differently.
    """
    image = Image.merge("RGB", [Image.linear_gradient("L").rotate(angle) for angle in (0, 90, 180)]).resize((640, 480))
    content = [{"type": "image"}, {"type": "text", "text": "Describe the image."}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = processor(images=image, text=prompt, return_tensors="pt").to(model.device, model.dtype)
    for weight in model.parameters():  # its place in a mapped file affects the rounding of its products
        weight.data = weight.data.clone()
    logits = model(**inputs, logits_to_keep=1).logits.float().cpu()
    ids = model.generate(**inputs, max_new_tokens=8, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    checksum = hashlib.sha256(logits.numpy().tobytes()).hexdigest()[:16]
    return f"sha256 of {logits.numel()} logits {checksum}, answer {processor.batch_decode(ids)[0]!r}"
