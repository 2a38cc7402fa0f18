"""Figures of the pyramid, with matplotlib. For notebooks and apps; never part of a Hub folder."""

from fractions import Fraction

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from .complementary_image_pyramid import TILE_GROUPS, Grid, PyramidPlan


# Okabe and Ito's palette, which color-blind readers can tell apart
COLORS = {"detailed": "#0072B2", "adaptive": "#D55E00", "shared": "#000000"}
# In inches: titles have two lines below the one, and don't fit below the other
WIDE_COLUMN, NARROW_COLUMN = 3.5, 2.0


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
    width, height = drawn_size(image.size, longest=(4.25, 7))
    column = max(width, NARROW_COLUMN)
    lines = 1 if column >= WIDE_COLUMN else 2
    figure, axes = plt.subplots(1, 3, figsize=(3 * column + 0.25, height + 0.4 + 0.25 * lines), layout="constrained")
    pixels = np.asarray(image)
    for axis, group in zip(axes, TILE_GROUPS, strict=True):
        axis.imshow(pixels)
        axis.set_axis_off()
        axis.set_title(_title(plan, group, "\n" if lines == 2 else " "))
    draw_cuts(axes[0], plan.detailed, plan.adaptive, COLORS["detailed"], image.size)
    draw_cuts(axes[1], plan.adaptive, plan.detailed, COLORS["adaptive"], image.size)
    return figure


def drawn_size(size: tuple[int, int], longest: tuple[float, float]) -> tuple[float, float]:
    """Width and height in inches of an image of `size` in pixels that is drawn as large as fits into `longest`."""
    scale = min(limit / side for limit, side in zip(longest, size, strict=True))
    return size[0] * scale, size[1] * scale


def _title(plan: PyramidPlan, group: str, after_name: str) -> str:
    if group == "global":
        return "global:" + after_name + ("the whole image in one tile" if after_name == " " else "one tile")
    columns, rows = plan.grid(group)
    if (columns, rows) == (1, 1):
        return f"{group}:{after_name}1 x 1, left out"
    return f"{group}:{after_name}{columns} x {rows} = {columns * rows} tiles"


def cut_lines(count: int) -> set[Fraction]:
    """The inner borders of `count` equal columns or rows, as fractions of the side."""
    return {Fraction(i, count) for i in range(1, count)}


def draw_cuts(axis: Axes, grid: Grid, other: Grid, color: str, size: tuple[int, int]) -> None:
    """Draw the inner cut lines of `grid` on an image of `size` (width, height), black where `other` has them, too."""
    for draw, count, other_count, side in zip((axis.axvline, axis.axhline), grid, other, size, strict=True):
        shared = cut_lines(count) & cut_lines(other_count)
        for line in cut_lines(count):
            # imshow puts the center of the first pixel at 0
            style = {"color": COLORS["shared"], "linestyle": "--"} if line in shared else {"color": color}
            draw(float(line) * side - 0.5, linewidth=2.5, **style)
