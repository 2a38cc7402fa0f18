"""Figures of scale compression, with matplotlib: the scores of the tokens, and which stay. For notebooks and apps."""

import copy

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from PIL import Image

from processing_minimonkey.complementary_image_pyramid import Grid
from processing_minimonkey.visualization import COLORS, draw_cuts, drawn_size

from ..scale_compression import detailed_images, select_tokens, token_scores


# Inches: of a column, so that its title fits, and around the images, below with room for the color bar
NARROWEST, BETWEEN, ABOVE, BELOW = 3.25, 0.2, 0.4, 0.85


def plot_compression(
    model,
    processor,
    image: Image.Image,
    question: str,
    keep_ratio: float = 0.5,
    queries: str | None = None,
    layer: int | None = None,
    **images_kwargs,
) -> Figure:
    """
    Draw how the Scale Compression Mechanism scores the detailed tokens of an image for a question, and which of them
    stay.

    Left the scores as a heat map, right the tokens: dark ones are dropped before the answer. Adaptive and global
    tokens, which are all kept, are not shown.

    Args:
        model ([`MiniMonkeyForConditionalGeneration`]): scores the tokens.
        processor ([`MiniMonkeyProcessor`]): its processor.
        image (`PIL.Image.Image`): the image; drawn as the processor sees it, upright and in RGB.
        question (`str`): what is asked about the image.
        keep_ratio (`float`, *optional*, defaults to 0.5): share of the detailed tokens that stays.
        queries (`str`, *optional*): whose attention scores the tokens in this figure, see [`ScaleCompressionConfig`].
            Defaults to that of `model.config`, which doesn't change.
        layer (`int`, *optional*): the layer whose attention scores them. Defaults to that of `model.config`, too.
        images_kwargs: settings of the image processor for this figure, such as `pyramid="docvqa"`.

    Returns:
        [`matplotlib.figure.Figure`] with two axes, and the color bar's.

    Raises:
        ValueError: the image is so small that it has no detailed tiles, or `queries` or `layer` is none that there is.
    """
    image = processor.image_processor.process_image(image)
    plan = processor.image_processor.get_pyramid_plan(image.height, image.width, images_kwargs)
    if not plan.group_tiles("detailed"):
        raise ValueError(f"An image of {image.width} x {image.height} has no detailed tiles, nothing is compressed.")
    content = [{"type": "image", "image": image}, {"type": "text", "text": question}]
    inputs = processor.prepare_chat([{"role": "user", "content": content}], **images_kwargs)
    inputs = inputs.to(model.device, model.dtype)
    rule = {"queries": queries, "layer": layer}
    scores, images = _scores_of_prompt(model, inputs, **rule)
    kept = _by_tile(model, select_tokens(scores, images, keep_ratio), images)
    figure, axes, bar = _empty_figure(image)
    drawn = draw_scores(axes[0], image, _by_tile(model, scores, images), plan.detailed)
    axes[0].set_title("score of each detailed token")
    percent = "{x:.2%}" if compression_settings(model, **rule).queries != "none" else None
    figure.colorbar(drawn, cax=bar, orientation="horizontal", label=score_name(model, **rule), format=percent)
    bar.xaxis.set_major_locator(MaxNLocator(4))
    draw_kept(axes[1], image, kept, plan.detailed)
    axes[1].set_title(f"{kept.sum()} of {kept.size} stay (keep_ratio {keep_ratio:g})")
    return figure


def _empty_figure(image: Image.Image) -> tuple[Figure, list[Axes], Axes]:
    """Two axes of the image's shape, side by side, and one for a color bar below the first."""
    width, height = drawn_size(image.size, longest=(5, 6))
    column = max(width, NARROWEST)
    size = (2 * column + 3 * BETWEEN, height + ABOVE + BELOW)
    figure = plt.figure(figsize=size)

    def inches(left: float, bottom: float, width: float, height: float) -> tuple[float, float, float, float]:
        return left / size[0], bottom / size[1], width / size[0], height / size[1]

    lefts = [BETWEEN + number * (column + BETWEEN) for number in range(2)]
    axes = [figure.add_axes(inches(left + (column - width) / 2, BELOW, width, height)) for left in lefts]
    bar = axes[0].inset_axes(inches(lefts[0], BELOW - 0.25, column, 0.12), transform=figure.transFigure)
    return figure, axes, bar


def compression_settings(model, queries: str | None = None, layer: int | None = None):
    """
    The model's [`ScaleCompressionConfig`], with other `queries` or another `layer` if they are given, in a copy.

    Raises:
        ValueError: `queries` or `layer` is none that there is.
    """
    config = copy.deepcopy(model.config)
    for name, value in (("queries", queries), ("layer", layer)):
        if value is not None:
            setattr(config.scale_compression_config, name, value)
    config.scale_compression_config.validate()
    config.validate()  # the layer is one of the language model's
    return config.scale_compression_config


def score_name(model, queries: str | None = None, layer: int | None = None) -> str:
    """What a figure calls the score, such as `"attention of the question, layer 2"`."""
    settings = compression_settings(model, queries, layer)
    if settings.queries == "none":
        return "length of the feature"
    whose = {"all": "all later tokens", "question": "the question"}[settings.queries]
    return f"attention of {whose}, layer {settings.layer}"


def detailed_scores(model, inputs: dict, queries: str | None = None, layer: int | None = None) -> np.ndarray:
    """
    The score of each token of each detailed tile, `(detailed tiles, tokens per tile)`, float32.

    Args:
        model ([`MiniMonkeyForConditionalGeneration`]): scores the tokens.
        inputs (`dict`): what the processor gives for one prompt.
        queries, layer: see [`plot_compression`].
    """
    scores, images = _scores_of_prompt(model, inputs, queries, layer)
    return _by_tile(model, scores, images)


def kept_detailed_tokens(
    model, inputs: dict, keep_ratio: float, queries: str | None = None, layer: int | None = None
) -> np.ndarray:
    """
    Whether each token of each detailed tile stays, `(detailed tiles, tokens per tile)`, bool.

    Args:
        model ([`MiniMonkeyForConditionalGeneration`]): scores the tokens.
        inputs (`dict`): what the processor gives for one prompt.
        keep_ratio (`float`): share of the detailed tokens that stays.
        queries, layer: see [`plot_compression`].
    """
    scores, images = _scores_of_prompt(model, inputs, queries, layer)
    return _by_tile(model, select_tokens(scores, images, keep_ratio), images)


@torch.no_grad()
def _scores_of_prompt(model, inputs, queries, layer):
    """The scores of one prompt, `(length,)`, and the number of the image at its detailed tokens, elsewhere 0."""
    settings = compression_settings(model, queries, layer)
    image_mask = inputs["input_ids"] == model.config.image_token_id
    images = detailed_images(image_mask, inputs["tile_levels"], model.config.image_seq_length)[0]
    features = model.get_image_features(inputs["pixel_values"], return_dict=True).pooler_output
    embeds = model.get_input_embeddings()(inputs["input_ids"]).masked_scatter(image_mask[..., None], features)
    positions = torch.arange(len(images), device=images.device)[None]
    language_model = model.model.language_model
    rule = settings.layer, settings.queries
    return token_scores(language_model, embeds, positions, images, *rule, image_mask[0]), images


def _by_tile(model, values: torch.Tensor, images: torch.Tensor) -> np.ndarray:
    """Of `(length,)` values those of the detailed tokens, `(detailed tiles, tokens per tile)`."""
    return values[images > 0].view(-1, model.config.image_seq_length).cpu().numpy()


def draw_scores(axis: Axes, image: Image.Image, scores: np.ndarray, grid: Grid) -> AxesImage:
    """
    Draw `scores`, `(detailed tiles, tokens per tile)`, over an image that `grid` (columns, rows) cuts; what comes back
    is for a color bar.
    """
    axis.imshow(np.asarray(image.convert("L")), cmap="gray")  # colors are for the scores
    drawn = axis.imshow(_mosaic(scores, grid), cmap="cividis", alpha=0.75, extent=_extent(image))
    _finish(axis, image, grid)
    return drawn


def draw_kept(axis: Axes, image: Image.Image, kept: np.ndarray, grid: Grid) -> None:
    """Draw which tokens stay, `(detailed tiles, tokens per tile)`, over an image that `grid` (columns, rows) cuts."""
    mosaic = _mosaic(kept, grid)
    axis.imshow(np.asarray(image))
    axis.imshow(np.zeros(mosaic.shape), cmap="gray", alpha=np.where(mosaic, 0.0, 0.65), extent=_extent(image))
    _finish(axis, image, grid)


def _mosaic(values: np.ndarray, grid: Grid) -> np.ndarray:
    """One value per token, tile by tile -> `(token rows, token columns)` of the image."""
    (columns, rows), side = grid, round(values.shape[1] ** 0.5)
    return values.reshape(rows, columns, side, side).swapaxes(1, 2).reshape(rows * side, columns * side)


def _extent(image: Image.Image) -> tuple[float, float, float, float]:
    return -0.5, image.width - 0.5, image.height - 0.5, -0.5  # imshow puts the center of the first pixel at 0


def _finish(axis: Axes, image: Image.Image, grid: Grid) -> None:
    draw_cuts(axis, grid, (1, 1), COLORS["detailed"], image.size)
    axis.set_axis_off()
