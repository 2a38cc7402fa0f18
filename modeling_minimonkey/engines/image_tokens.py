"""How many tokens an image takes in a serving engine, known from its size, and which of its features they are."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import torch

from modeling_minimonkey.configuration_checks import shown
from modeling_minimonkey.scale_compression import DETAILED_LEVEL, kept_count, select_tokens
from processing_minimonkey.complementary_image_pyramid import PyramidPlan


LONGEST = 10_000  # pixels of the longer side of an image of which tokens are counted
# What a request may ask for in `mm_processor_kwargs`; the rest, such as limits, is the server's.
REQUEST_OPTIONS = ("keep_ratio", "pyramid", "detailed_tiles", "adaptive_tiles", "complementarity", "crop_to_patches")


def flat_options(options: Mapping[str, object]) -> dict[str, object]:
    """Options for the processor without the level of `images_kwargs`, into which some releases of vLLM sort them."""
    options = dict(options)
    nested = options.pop("images_kwargs", {})
    if not isinstance(nested, Mapping):
        raise TypeError(f"`images_kwargs` must hold options by name, got {shown(nested)}.")
    return options | dict(nested)


def dropped_tokens(detailed_tiles: int, image_seq_length: int, keep_ratio: float) -> int:
    """How many of an image's tokens are dropped, if it has so many detailed tiles."""
    detailed = detailed_tiles * image_seq_length
    return detailed - kept_count(detailed, keep_ratio)


def kept_tokens(plan: PyramidPlan, image_seq_length: int, keep_ratio: float) -> int:
    """How many tokens of an image that is cut into `plan` stay, with `image_seq_length` of each tile."""
    dropped = dropped_tokens(len(plan.group_tiles("detailed")), image_seq_length, keep_ratio)
    return plan.num_tiles * image_seq_length - dropped


def count_tokens(processor, height: int, width: int, keep_ratio: float, options: Mapping | None = None) -> int:
    """
    How many tokens an image takes in a prompt, with `<img>` and `</img>`.

    Args:
        processor ([`MiniMonkeyProcessor`]): the model's processor.
        height, width (`int`): of the image in pixels.
        keep_ratio (`float`): share of the detailed tokens that stays.
        options (`Mapping`, *optional*): settings that override those of the image processor.

    Raises:
        TypeError, ValueError: an option is wrong.
    """
    plan = processor.image_processor.get_pyramid_plan(height, width, dict(options or {}))
    return 2 + kept_tokens(plan, processor.image_seq_length, keep_ratio)


def shapes(settings: Mapping) -> Iterator[tuple[int, int]]:
    """
    Width and height of large images of all shapes in which the number of tiles can differ: those of the grids, and
    those between them. A square image, by which engines measure, can have fewer tiles than others.

    Args:
        settings (`Mapping`): `detailed_tiles` and `adaptive_tiles` of an image processor, among others.
    """
    most = max(settings["detailed_tiles"][1], (settings["adaptive_tiles"] or (1, 1))[1])
    ratios = sorted({columns / rows for rows in range(1, most + 1) for columns in range(1, most // rows + 1)})
    between = [(first + second) / 2 for first, second in pairwise(ratios)]
    between += [(first * second) ** 0.5 for first, second in pairwise(ratios)]
    for ratio in (*ratios, *between):
        yield round(LONGEST * min(1, ratio)), round(LONGEST / max(1, ratio))


def most_tokens(processor, keep_ratio: float, options: Mapping | None = None) -> int:
    """How many tokens an image takes at most; arguments as of [`count_tokens`]."""
    sizes = shapes(processor.image_processor.checked_settings(dict(options or {})))
    return max(count_tokens(processor, height, width, keep_ratio, options) for width, height in sizes)


def longest_features(features: torch.Tensor, tile_levels: torch.Tensor, keep_ratio: float) -> torch.Tensor:
    """
    The features of one image that stay: those of detailed tiles with the largest norms, and all of the others.

    Args:
        features (`torch.Tensor` of shape `(tiles * image_seq_length, hidden_size)`):
            What the projector made of the image's tiles.
        tile_levels (`torch.LongTensor` of shape `(tiles,)`):
            Level of each tile: 0 detailed, 1 adaptive, 2 global.
        keep_ratio (`float`):
            Share of the detailed features that stays.

    Returns:
        `torch.Tensor` of shape `(tokens, hidden_size)`, in order: as many as the prompt has places for.
    """
    if keep_ratio == 1.0:
        return features
    detailed = (tile_levels == DETAILED_LEVEL).repeat_interleave(len(features) // len(tile_levels))
    scores = features.float().norm(dim=-1)
    return features[select_tokens(scores, detailed.long().to(scores.device), keep_ratio)]
