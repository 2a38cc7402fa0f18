# trf-ignore: TRF028 (the license is in the file LICENSE)
"""
Checks of what a call gives the model, before anything is computed: types, shapes, ids and the length of the prompt.

Shapes are known without waiting for a GPU; values are looked at on the CPU alone. On a GPU an id that the vocabulary
does not have is an assertion of CUDA, as in all models of the library.
"""

from .configuration_checks import check_names, shown  # first: checks Transformers' version


# isort: split
import math
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import TransformersKwargs, logging


logger = logging.get_logger(__name__)

INTEGERS = (torch.int32, torch.int64)
# Names of `forward` that are easily misspelled; what is unknown goes on to the language model, as in the library.
OWN_ARGUMENTS = {"keep_ratio", "tile_levels", "pixel_values", "attention_mask", "position_ids", "mm_encoder_outputs"}
LIBRARY_ARGUMENTS = {
    *TransformersKwargs.__annotations__,
    "use_cache",
    "return_dict",
    "cache_position",
    "token_type_ids",
}


def check_tensor(name: str, value: Any, shape: str, dimensions: int, dtypes: tuple = ()) -> None:
    """Check that an argument, if it is given, is a tensor with so many dimensions and one of `dtypes`."""
    if value is None:
        return
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"`{name}` must be a tensor, got {shown(value)}.")
    if value.ndim != dimensions:
        raise ValueError(f"`{name}` must have the shape {shape}, got {tuple(value.shape)}.")
    if dtypes and value.dtype not in dtypes:
        raise ValueError(f"`{name}` must hold whole numbers of 32 or 64 bits, got {value.dtype}.")


def check_ids(name: str, ids: torch.Tensor, vocab_size: int, ignored: int | None = None) -> None:
    """Check on the CPU that the vocabulary has all ids; `ignored` is that of labels without a loss."""
    if ids.device.type != "cpu" or not ids.numel():
        return
    low, high = (int(bound) for bound in ids.aminmax())
    if low < 0 and ignored is not None:
        low = int(ids.masked_fill(ids == ignored, 0).min())
    if low < 0 or high >= vocab_size:
        wrong = low if low < 0 else high
        raise ValueError(f"`{name}` must hold ids from 0 to {vocab_size - 1:,}, got {wrong:,}.")


def tile_shape(config: PreTrainedConfig) -> str:
    """The shape of `pixel_values` in words."""
    sizes = (config.vision_config.num_channels, *config.vision_config.image_size)
    return f"(tiles, {', '.join(map(str, sizes))})"


def check_images(config: PreTrainedConfig, pixel_values: Any, mm_encoder_outputs: Any) -> None:
    """Check the kind of what stands for images; `get_image_features` checks the sizes."""
    check_tensor("pixel_values", pixel_values, tile_shape(config), 4)
    if mm_encoder_outputs is None:
        return
    if not isinstance(mm_encoder_outputs, dict):
        raise TypeError(f"`mm_encoder_outputs` must be a dictionary, got {shown(mm_encoder_outputs)}.")
    given = {key: value for key, value in mm_encoder_outputs.items() if value is not None}
    if given.keys() - {"image"} or not all(hasattr(value, "pooler_output") for value in given.values()):
        raise ValueError(
            '`mm_encoder_outputs` must have the key "image" alone, an output with `pooler_output`, got '
            f"{ {key: type(value).__name__ for key, value in list(given.items())[:3]} }."
        )


def check_prompt(
    model: PreTrainedModel,
    input_ids: Any,
    inputs_embeds: Any,
    attention_mask: Any,
    position_ids: Any,
    has_cache: bool = False,
) -> None:
    """
    Check that ids or embeddings, their mask and positions have types and shapes that fit each other and the model.

    Raises:
        TypeError, ValueError: names the argument, what it must be and what came.
    """
    check_tensor("input_ids", input_ids, "(batch_size, sequence_length)", 2, INTEGERS)
    check_tensor("inputs_embeds", inputs_embeds, "(batch_size, sequence_length, hidden_size)", 3)
    if (input_ids is None) == (inputs_embeds is None):
        raise ValueError("Specify exactly one of `input_ids` and `inputs_embeds`.")
    rows, length = (input_ids if inputs_embeds is None else inputs_embeds).shape[:2]
    if not rows or not length:
        raise ValueError(f"The prompt must have at least one row and one token, got the shape {(rows, length)}.")
    if input_ids is not None:
        embeddings = model.get_input_embeddings()
        check_ids("input_ids", input_ids, getattr(embeddings, "num_embeddings", model.config.text_config.vocab_size))
    elif inputs_embeds.shape[-1] != (hidden_size := model.config.text_config.hidden_size):
        raise ValueError(f"`inputs_embeds` must have the hidden size {hidden_size}, got {tuple(inputs_embeds.shape)}.")
    check_mask(attention_mask, rows, length, has_cache)
    check_tensor("position_ids", position_ids, "(batch_size, sequence_length)", 2)
    if position_ids is not None and not has_cache and tuple(position_ids.shape) not in ((rows, length), (1, length)):
        raise ValueError(
            f"`position_ids` must have the shape (batch_size, sequence_length) {(rows, length)}, got "
            f"{tuple(position_ids.shape)}."
        )


def check_mask(attention_mask: Any, rows: int, length: int, has_cache: bool) -> None:
    """Check a mask of rows and columns; those of other shapes, made by `generate` or by hand, are the library's."""
    if attention_mask is None or isinstance(attention_mask, dict):
        return
    if not isinstance(attention_mask, torch.Tensor):
        if type(attention_mask).__name__ != "BlockMask":  # of flex attention
            raise TypeError(f"`attention_mask` must be a tensor, got {shown(attention_mask)}.")
        return
    if attention_mask.ndim == 4:
        return
    fits = attention_mask.ndim == 2 and attention_mask.shape[0] == rows
    may_be_longer = has_cache or length == 1  # a step of an answer: the mask is of all tokens, the ids are of one
    if not fits or attention_mask.shape[1] < length or (attention_mask.shape[1] > length and not may_be_longer):
        raise ValueError(
            f"`attention_mask` must have the shape (batch_size, sequence_length) {(rows, length)}, got "
            f"{tuple(attention_mask.shape)}."
        )


def check_labels(labels: Any, prompt: torch.Tensor, vocab_size: int) -> None:
    """Check that labels are ids of the shape of the prompt, or -100."""
    check_tensor("labels", labels, "(batch_size, sequence_length)", 2, INTEGERS)
    if labels is not None:
        if labels.shape != prompt.shape[:2]:
            raise ValueError(
                f"`labels` must have the shape (batch_size, sequence_length) {tuple(prompt.shape[:2])}, got "
                f"{tuple(labels.shape)}."
            )
        check_ids("labels", labels, vocab_size, ignored=-100)


def check_arguments(kwargs: dict) -> None:
    """Refuse arguments that look like a misspelled one of ours: the language model would ignore them."""
    if unknown := kwargs.keys() - LIBRARY_ARGUMENTS:
        check_names(unknown, OWN_ARGUMENTS | LIBRARY_ARGUMENTS, "`forward`", {}, strict=False)


def most_positions(text_config: PreTrainedConfig) -> float:
    """
    How many positions a language model's rotary embeddings allow: `max_position_embeddings`, or more where they are
    scaled; `"dynamic"` ones adapt to any length.
    """
    limit = getattr(text_config, "max_position_embeddings", None)
    if limit is None:
        return math.inf
    rope = getattr(text_config, "rope_parameters", None) or {}
    by_type = [rope] if "rope_type" in rope else [each for each in rope.values() if isinstance(each, dict)]
    for each in by_type:
        if each.get("rope_type") == "dynamic":
            return math.inf
        limit = max(limit, (each.get("original_max_position_embeddings") or limit) * (each.get("factor") or 1))
    return limit


def check_length(
    config: PreTrainedConfig,
    prompt: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    position_ids: torch.Tensor | None = None,
    cached: int = 0,
    more: int = 0,
    is_compressed: bool = False,
) -> None:
    """
    Check that the language model has a position for every token of a prompt.

    Args:
        config ([`MiniMonkeyConfig`]):
            The model's.
        prompt (`torch.Tensor` of shape `(batch_size, sequence_length, ...)`):
            Ids or embeddings; only a longer shape than there are positions is looked at closer.
        attention_mask (`torch.Tensor` of shape `(batch_size, sequence_length)`, *optional*):
            0 at padding, which takes no position.
        position_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`, *optional*):
            The positions, if they are not counted from 0 in every row.
        cached (`int`, *optional*, defaults to 0):
            Tokens in the cache.
        more (`int`, *optional*, defaults to 0):
            Tokens that may be generated: a warning, since answers mostly end before.
        is_compressed (`bool`, *optional*, defaults to `False`):
            Whether tokens will be dropped and the others numbered anew: a warning, since only their scores suffer.

    Raises:
        ValueError: there are more tokens than positions.
    """
    text_config = config.get_text_config()
    limit = getattr(text_config, "max_position_embeddings", None)
    length = prompt.shape[1] + cached
    if limit is None or length + more <= limit:
        return
    if length > limit:
        if position_ids is not None:
            length = int(position_ids.max()) + 1
        elif isinstance(attention_mask, torch.Tensor) and attention_mask.ndim == 2:
            length = int(attention_mask.bool().sum(dim=1).max())
    allowed = most_positions(text_config)
    positions = f"{limit:,} positions (`text_config.max_position_embeddings`)"
    if length > allowed and is_compressed:
        logger.warning_once(
            f"Before compression the prompt has {length:,} tokens, but the language model has {positions}. The scores "
            "by which tokens are dropped may be worse."
        )
    elif length > allowed:
        raise ValueError(
            f"The prompt has {length:,} tokens, but the language model has {positions}: give fewer or smaller images, "
            "fewer tiles for each, less text, or a lower `keep_ratio`."
        )
    elif length > limit:
        logger.warning_once(
            f"The prompt has {length:,} tokens, the language model was configured for {positions}. Its rotary "
            "embeddings are scaled to longer prompts, but answers may be worse."
        )
    elif length + more > limit:
        logger.warning_once(
            f"Prompt ({length:,} tokens) and answer (up to {more:,}) may need more than the language model's "
            f"{positions}; what is written beyond them may make no sense."
        )
