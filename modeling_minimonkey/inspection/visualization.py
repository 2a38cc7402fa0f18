"""A figure of the tokens that scale compression keeps, with matplotlib. For notebooks and apps."""

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from processing_minimonkey.visualization import COLORS, draw_cuts, drawn_size

from ..scale_compression import DETAILED_LEVEL


def plot_compression(
    model, processor, image: Image.Image, question: str, keep_ratio: float = 0.5, **images_kwargs
) -> Figure:
    """
    Draw which detailed tokens the Scale Compression Mechanism keeps for a question, over the image.

    Dark areas are dropped before the answer; adaptive and global tokens, which are all kept, are not shown.

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
    content = [{"type": "image", "image": image}, {"type": "text", "text": question}]
    inputs = processor.prepare_chat([{"role": "user", "content": content}], **images_kwargs)
    kept = kept_detailed_tokens(model, inputs.to(model.device, model.dtype), keep_ratio)
    columns, rows = plan.detailed
    side = round(kept.shape[1] ** 0.5)
    # (rows, columns, token rows, token columns) -> all token rows, all token columns
    mosaic = kept.reshape(rows, columns, side, side).swapaxes(1, 2).reshape(rows * side, columns * side)
    width, height = drawn_size(image.size, longest=(8, 8))
    is_wide = width >= 5  # inches that the title takes in one line; in two it takes three
    size = (max(width, 3), height + (0.5 if is_wide else 0.75))
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    extent = (-0.5, image.width - 0.5, image.height - 0.5, -0.5)
    axis.imshow(np.asarray(image))
    axis.imshow(np.zeros(mosaic.shape), cmap="gray", alpha=np.where(mosaic, 0.0, 0.65), extent=extent)
    draw_cuts(axis, plan.detailed, (1, 1), COLORS["detailed"], image.size)
    axis.set_axis_off()
    space = " " if is_wide else "\n"
    axis.set_title(f"{kept.sum()} of {kept.size} detailed tokens stay{space}(keep_ratio {keep_ratio:g})")
    return figure


@torch.no_grad()
def kept_detailed_tokens(model, inputs: dict, keep_ratio: float) -> np.ndarray:
    """
    Whether each token of each detailed tile stays, `(detailed tiles, tokens per tile)`, bool.

    Args:
        model ([`MiniMonkeyForConditionalGeneration`]): scores the tokens.
        inputs (`dict`): what the processor gives for one prompt.
        keep_ratio (`float`): share of the detailed tokens that stays.
    """
    selected = model.model.select_tokens(**inputs, keep_ratio=keep_ratio)
    levels = inputs["tile_levels"]
    tiles = selected.kept[inputs["input_ids"] == model.config.image_token_id].view(len(levels), -1)
    return tiles[levels == DETAILED_LEVEL].cpu().numpy()
