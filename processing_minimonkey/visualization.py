"""Figures of the pyramid and of compression, with matplotlib. For notebooks and apps; never part of a Hub folder."""

from fractions import Fraction

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from .complementary_image_pyramid import TILE_GROUPS, Grid, PyramidPlan


# Okabe and Ito's palette, which color-blind readers can tell apart
COLORS = {"detailed": "#0072B2", "adaptive": "#D55E00", "shared": "#000000"}


def plot_pyramid(processor, image: Image.Image, **images_kwargs) -> Figure:
    """
    Draw the three views of an image: where the detailed and the adaptive grid cut it, and the whole.

    Cut lines that both grids share, where a word is cut in both, are black and dashed.

    Args:
        processor ([`MiniMonkeyProcessor`] or [`MiniMonkeyImageProcessor`]): gives the grids.
        image (`PIL.Image.Image`): the image; drawn as the processor sees it, upright and in RGB.
        images_kwargs: settings of the image processor for this figure, such as `pyramid="docvqa"`.

    Returns:
        [`matplotlib.figure.Figure`] with three axes.
    """
    image_processor = getattr(processor, "image_processor", processor)
    image = image_processor.process_image(image)
    plan = image_processor.get_pyramid_plan(image.height, image.width, images_kwargs)
    height = 4 * image.height / image.width
    figure, axes = plt.subplots(1, 3, figsize=(13, height + 0.6), layout="constrained")
    pixels = np.asarray(image)
    for axis, group in zip(axes, ("detailed", "adaptive", "global"), strict=True):
        axis.imshow(pixels)
        axis.set_axis_off()
        axis.set_title(_title(plan, group))
    _draw_cuts(axes[0], plan.detailed, plan.adaptive, COLORS["detailed"], image.size)
    _draw_cuts(axes[1], plan.adaptive, plan.detailed, COLORS["adaptive"], image.size)
    return figure


def plot_compression(
    model, processor, image: Image.Image, question: str, keep_ratio: float = 0.5, **images_kwargs
) -> Figure:
    """
    Draw which detailed tokens the Scale Compression Mechanism keeps for a question, over the image.

    What is dark was dropped before the answer; adaptive and global tokens, which all stay, are not shown.

    Args:
        model ([`MiniMonkeyForConditionalGeneration`]): scores the tokens.
        processor ([`MiniMonkeyProcessor`]): its processor.
        image (`PIL.Image.Image`): the image; drawn as the processor sees it, upright and in RGB.
        question (`str`): what is asked about the image.
        keep_ratio (`float`, *optional*, defaults to 0.5): share of the detailed tokens that stays.
        images_kwargs: settings of the image processor for this figure, such as `pyramid="docvqa"`.

    Returns:
        [`matplotlib.figure.Figure`] with one axis.

    Raises:
        ValueError: the image is so small that it has no detailed tiles.
    """
    image = processor.image_processor.process_image(image)
    plan = processor.image_processor.get_pyramid_plan(image.height, image.width, images_kwargs)
    if not plan.group_tiles("detailed"):
        raise ValueError(f"An image of {image.width} x {image.height} has no detailed tiles, nothing is compressed.")
    kept = _kept_tokens(model, processor, image, question, keep_ratio, images_kwargs)
    columns, rows = plan.detailed
    side = round(kept.shape[1] ** 0.5)
    # (rows, columns, token rows, token columns) -> all token rows, all token columns
    mosaic = kept.reshape(rows, columns, side, side).swapaxes(1, 2).reshape(rows * side, columns * side)
    figure, axis = plt.subplots(figsize=(8, 8 * image.height / image.width + 0.5), layout="constrained")
    extent = (-0.5, image.width - 0.5, image.height - 0.5, -0.5)
    axis.imshow(np.asarray(image))
    axis.imshow(np.zeros(mosaic.shape), cmap="gray", alpha=np.where(mosaic, 0.0, 0.65), extent=extent)
    _draw_cuts(axis, plan.detailed, (1, 1), COLORS["detailed"], image.size)
    axis.set_axis_off()
    axis.set_title(f"{kept.sum()} of {kept.size} detailed tokens stay (keep_ratio {keep_ratio:g})")
    return figure


@torch.no_grad()
def _kept_tokens(model, processor, image, question, keep_ratio, images_kwargs) -> np.ndarray:
    """Whether each token of each detailed tile stays: (detailed tiles, tokens per tile), bool."""
    content = [{"type": "image", "image": image}, {"type": "text", "text": question}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        sanitize_control_tokens=True,
        processor_kwargs={"images_kwargs": images_kwargs},
    ).to(model.device, model.dtype)
    levels = inputs["tile_levels"]
    kept, _ = model.model.select_tokens(**inputs, keep_ratio=keep_ratio)
    tiles = kept[inputs["input_ids"] == processor.image_token_id].view(len(levels), processor.image_seq_length)
    return tiles[levels == TILE_GROUPS.index("detailed")].cpu().numpy()


def _title(plan: PyramidPlan, group: str) -> str:
    if group == "global":
        return "global: the whole image in one tile"
    columns, rows = plan.grid(group)
    if (columns, rows) == (1, 1):
        return f"{group}: 1 x 1, left out"
    return f"{group}: {columns} x {rows} = {columns * rows} tiles"


def cut_lines(count: int) -> set[Fraction]:
    """The inner borders of `count` equal columns or rows, as shares of the side."""
    return {Fraction(i, count) for i in range(1, count)}


def _draw_cuts(axis: Axes, grid: Grid, other: Grid, color: str, size: tuple[int, int]) -> None:
    for draw, count, other_count, side in zip((axis.axvline, axis.axhline), grid, other, size, strict=True):
        shared = cut_lines(count) & cut_lines(other_count)
        for line in cut_lines(count):
            # imshow puts the center of the first pixel at 0
            style = {"color": COLORS["shared"], "linestyle": "--"} if line in shared else {"color": color}
            draw(float(line) * side - 0.5, linewidth=2.5, **style)
