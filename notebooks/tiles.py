"""Pictures of one idea each, for 00 to 04: what a line cuts, and how pixels become tiles, tokens and attention."""

import math

import numpy as np
from matplotlib import pyplot
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.patches import Rectangle
from PIL import Image, ImageDraw

from benchmarks.sawtooth.cutting import grid_view, is_cut
from benchmarks.sawtooth.readers.rendering import generator, load_font, random_word
from course import BLACK, BLUE, GRAY, LEVELS, PALE, PURPLE, SKY
from figures import draw_lines, draw_tiles


ARROW = {"arrowstyle": "-|>", "color": BLACK, "mutation_scale": 14}
CENTERED = {"ha": "center", "va": "center"}


def plot_one_word(image, views, notes: list[str]):
    """
    The idea: an image on the canvas of each view, in tiles with gaps, and a note below each.

    Args:
        image: A PIL image with one word.
        views: Of the benchmark, one per level.
        notes: Below the views.
    """
    figure, axes = pyplot.subplots(
        1, len(views), figsize=(9, 4.2), layout="constrained"
    )
    tall = max(view.canvas[1] for view in views)
    for axis, view, note in zip(axes, views, notes, strict=True):
        group, color = list(LEVELS.items())[view.level]
        draw_tiles(axis, image.resize(view.canvas), view.grid, color)
        axis.set_ylim(1.17 * tall, -20)  # one scale for all
        axis.set_anchor("N")
        title = "{}: {} x {}".format(group, *view.grid)
        axis.set_title(f"{title}\n{note}", color=color, fontsize=11)
    return figure


def text_page(size: tuple[int, int], letters: int = 50) -> tuple:
    """
    A page of lines of held-out words.

    Args:
        size: Width and height in px.
        letters: Their size in px.

    Returns:
        A PIL image; the boxes of its words in px, (words, 4).
    """
    rng, font = generator("notebook text page", 0), load_font("DejaVuSans", letters)
    image, boxes = Image.new("RGB", size, "white"), []
    draw, margin = ImageDraw.Draw(image), 2 * letters
    for top in range(margin, size[1] - margin - letters, round(1.8 * letters)):
        left = margin
        while True:
            word = random_word(rng, held_out=True).lower()
            box = draw.textbbox((left, top), word, font=font)
            if box[2] > size[0] - margin:
                break
            draw.text((left, top), word, fill="black", font=font)
            boxes.append(box)
            left = box[2] + letters / 2
    return image, np.array(boxes)


def cut_by_both(boxes, size, plan) -> tuple:
    """Which boxes on a page of `size` are cut by the detailed grid of a plan, and which by both of its grids."""
    views = (
        grid_view(level, grid, plan.tile_size)
        for level, grid in enumerate((plan.detailed, plan.adaptive))
    )
    first, second = (is_cut(view, size, boxes) for view in views)
    return first, first & second


def _under_lines(axis, page, plan) -> None:
    """A page under the cut lines of both grids of a plan; where these coincide, a line has both colors."""
    ink = np.zeros((*page.size[::-1], 4))  # over the lines, which hide no letter
    gray = np.asarray(page.convert("L"), float)
    ink[..., 3] = 0.75 * (1 - np.clip(gray / np.median(gray), 0, 1))  # paper is white
    axis.imshow(ink, zorder=3)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(True)
    for group, style in (("detailed", "-"), ("adaptive", "--")):
        line = {"color": LEVELS[group], "linestyle": style, "linewidth": 2}
        draw_lines(axis, page.size, plan.grid(group), **line)


def plot_cut_lines(page, plan):
    """A page under the cut lines of both grids, each named with its columns and rows; a `PyramidPlan` has them."""
    figure, axis = pyplot.subplots(figsize=(6.5, 4.6), layout="constrained")
    _under_lines(axis, page, plan)
    for group, style in (("detailed", "-"), ("adaptive", "--")):
        label = "{}: {} x {}".format(group, *plan.grid(group))
        line = {"color": LEVELS[group], "linestyle": style, "linewidth": 2}
        axis.plot([], [], label=label, **line)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def plot_rules(page, boxes, plans: dict):
    """
    A page of words under the cut lines of both grids: framed are words that the detailed grid cuts.

    Args:
        page: A PIL image.
        boxes: Of its words in px, (words, 4).
        plans: From a rule to its `PyramidPlan`.
    """
    figure, axes = pyplot.subplots(
        1, len(plans), figsize=(12.5, 4.2), layout="constrained"
    )
    for axis, (rule, plan) in zip(axes, plans.items(), strict=True):
        first, both = cut_by_both(boxes, page.size, plan)
        _under_lines(axis, page, plan)
        for chosen, color in ((first & ~both, SKY), (both, PURPLE)):
            for left, top, right, bottom in boxes[chosen]:
                style = {"facecolor": color, "edgecolor": color, "alpha": 0.55}
                size = (right - left, bottom - top)
                axis.add_patch(Rectangle((left, top), *size, **style))
        grids = " and ".join(f"{x} x {y}" for x, y in (plan.detailed, plan.adaptive))
        axis.set_title(f"{rule}\n{grids}")
        axis.set_xlabel(f"cut by both: {both.sum()}\nmended: {(first & ~both).sum()}")
    return figure


def plot_way_to_tokens(page, plan, tiles, levels, text: tuple[int, int], per_tile: int):
    """
    From a page to its prompt, from top to bottom: canvases, tiles, tokens. A token is one unit wide.

    Args:
        page: A PIL image.
        plan: Its `PyramidPlan`.
        tiles: (tiles, height, width, 3), as matplotlib draws them.
        levels: Of each tile, 0 to 2.
        text: Tokens before the image and behind it.
        per_tile: Tokens of a tile.
    """
    ends = np.cumsum([per_tile * (levels == level).sum() for level in range(3)])
    length = sum(text) + ends[-1]
    figure, axis = pyplot.subplots(figsize=(12, 7.2), layout="constrained")
    middle = text[0] + ends[-1] / 2
    _, _, bottom, top = _draw_centered(axis, page, middle, 130)
    label = f"the page, {page.width} x {page.height} px"
    axis.text(middle, top + 3, label, **CENTERED)
    starts = [0, *ends[:-1]]
    for group, *two in zip(LEVELS, starts, ends, strict=True):
        center = text[0] + sum(two) / 2
        upper, lower = _draw_canvas(axis, page, plan, group, center)
        axis.annotate("", (center, upper), (middle, bottom - 0.5), arrowprops=ARROW)
        axis.annotate("", (center, 36), (center, lower), arrowprops=ARROW)
    for number, (tile, level) in enumerate(zip(tiles, levels, strict=True)):
        left, color = text[0] + per_tile * number + 0.5, list(LEVELS.values())[level]
        _draw_tokens(axis, tile, left, per_tile, color)
    _draw_prompt(axis, [0, *(text[0] + np.array([0, *ends])), length])
    axis.set(xlim=(0, length), ylim=(-4, 136), aspect="equal")
    axis.set_axis_off()
    return figure


def _draw_centered(axis, image, center: float, top: float, scale: float = 0.15):
    """An image at `scale` units a px, below `top`; its left, right, lower and upper end."""
    width, height = image.width * scale, image.height * scale
    extent = (center - width / 2, center + width / 2, top - height, top)
    axis.imshow(image, extent=extent, interpolation="antialiased")
    return extent


def _draw_canvas(axis, page, plan, group: str, center: float) -> tuple[float, float]:
    """The page on the canvas of a level, with its cut lines; where an arrow to it ends and one from it begins."""
    color, canvas = LEVELS[group], page.resize(plan.canvas_size(group))
    left, right, low, high = _draw_centered(axis, canvas, center, 84)
    frame = {"fill": False, "edgecolor": color, "linewidth": 2}
    axis.add_patch(Rectangle((left, low), right - left, high - low, **frame))
    columns, rows = plan.grid(group)
    axis.vlines(np.linspace(left, right, columns + 1)[1:-1], low, high, color)
    axis.hlines(np.linspace(low, high, rows + 1)[1:-1], left, right, color)
    label = "{}, {} x {} px".format(group, *canvas.size)
    axis.text(center, low - 3, label, color=color, **CENTERED)
    return high + 0.5, low - 5.5


def _draw_tokens(axis, tile, left: float, per_tile: int, color: str) -> None:
    """A tile under a square per token, and an arrow to its place in the prompt."""
    width, lines = per_tile - 1, round(per_tile**0.5) + 1
    axis.imshow(tile, extent=(left, left + width, 20, 20 + width))
    style = {"color": color, "linewidth": 0.8}
    axis.vlines(np.linspace(left, left + width, lines), 20, 20 + width, **style)
    axis.hlines(np.linspace(20, 20 + width, lines), left, left + width, **style)
    center = left + width / 2
    axis.annotate("", (center, 9), (center, 19), arrowprops=ARROW)


def _draw_prompt(axis, ends) -> None:
    """A strip of tokens; between two of the `ends` each are those of text, of a level, or of text again."""
    names = ["text", *LEVELS, "text"]
    for start, end, name in zip(ends, ends[1:], names, strict=False):
        color, center = LEVELS.get(name, BLACK), (start + end) / 2
        axis.add_patch(Rectangle((start, 2), end - start, 6, color=color, linewidth=0))
        style = {"color": "white", "weight": "bold"} | CENTERED
        axis.text(center, 5, str(end - start), **style)
        axis.text(center, -1, name, color=color, **CENTERED)
    axis.vlines(range(1, ends[-1]), 2, 8, "white", linewidth=0.25)


def plot_enlarged(canvases: dict, size: tuple[int, int], box: tuple):
    """
    One place of a page as each canvas has it, all enlarged to one size, a square per pixel.

    Args:
        canvases: From a level to a PIL image.
        size: Width and height of the page in px.
        box: The place, left, top, right, bottom in px of the page.
    """
    figure, axes = pyplot.subplots(
        1, len(canvases), figsize=(10, 1.9), layout="constrained"
    )
    for axis, (group, canvas) in zip(axes, canvases.items(), strict=True):
        scale = [side / own for side, own in zip(canvas.size, size, strict=True)] * 2
        ends = (round(end * by) for end, by in zip(box, scale, strict=True))
        crop = canvas.crop(tuple(ends))
        extent = (0, box[2] - box[0], box[3] - box[1], 0)
        axis.imshow(crop, extent=extent, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(visible=True, color=LEVELS[group], linewidth=2)
        title = f"{group}: {crop.width} x {crop.height} px"
        axis.set_title(title, color=LEVELS[group])
    return figure


def grid_jumps(image_processor, settings: dict, most: int) -> list:
    """
    Where an image that keeps its shape gets a larger detailed grid, for the shapes of grids of up to `most` tiles that
    are not wider than high: rows of the shape, both grids, and the least size of the image that gets the larger one.
    """
    rows = []
    for columns in range(1, most + 1):
        for lines in range(columns, most // columns + 1):
            if math.gcd(columns, lines) > 1:
                continue
            before = None
            for step in range(20, 4000 // lines):
                width, height = step * columns, step * lines
                plan = image_processor.get_pyramid_plan(height, width, settings)
                if before and plan.detailed != before:
                    grids = (
                        "{} x {}".format(*each) for each in (before, plan.detailed)
                    )
                    rows.append(
                        [f"{columns}:{lines}", *grids, f"{width} x {height} px"]
                    )
                before = plan.detailed
    return rows


def plot_shuffle(tile, numbers, tokens):
    """
    A tile in patches, their numbers, and the tokens that blocks of 2 x 2 become.

    Args:
        tile: (height, width, 3), as matplotlib draws it.
        numbers: (side, side), of the patches.
        tokens: (side / 2, side / 2, 4), the numbers in each token.
    """
    figure, axes = pyplot.subplots(1, 3, figsize=(11, 4), layout="constrained")
    figure.get_layout_engine().set(wspace=0.08)
    side, half = len(numbers), len(tokens)
    axes[0].imshow(tile, extent=(0, side, side, 0))
    for line in range(side + 1):
        axes[0].axhline(line, color=BLUE, linewidth=0.8)
        axes[0].axvline(line, color=BLUE, linewidth=0.8)
    colors = (PALE, "#F4DCE8")
    for row in range(half):
        for column in range(half):
            color = PURPLE if row == column == 0 else colors[(row + column) % 2]
            for axis, size in zip(axes[1:], (2, 1), strict=True):
                corner = (size * column, size * row)
                edge = {"facecolor": color, "edgecolor": BLACK, "linewidth": 1.5}
                axis.add_patch(Rectangle(corner, size, size, **edge))
            held = [f"{int(each)}" for each in tokens[row, column]]
            label = f"{', '.join(held[:2])},\n{', '.join(held[2:])}"
            axes[2].text(column + 0.5, row + 0.5, label, **CENTERED)
    for (row, column), number in np.ndenumerate(np.asarray(numbers)):
        axes[1].text(column + 0.5, row + 0.5, f"{int(number)}", fontsize=10, **CENTERED)
    titles = (
        f"tile 0: {side} x {side} patches",
        "their numbers, in blocks of 2 x 2",
        f"{half} x {half} tokens, each with 4 patches",
    )
    for axis, title, size in zip(axes, titles, (side, side, half), strict=True):
        axis.set(xlim=(0, size), ylim=(size, 0), aspect="equal", title=title)
        axis.set_axis_off()
    return figure


def plot_distance(scores, half: int = 32):
    """
    How far three of the `half` pairs of RoPE have turned over the distance, and what becomes of a score.

    Args:
        scores: Of one query and one key over their distance, (heads, distances); the first head is drawn.
    """
    figure, (waves, score) = pyplot.subplots(
        1, 2, figsize=(10.5, 3.2), layout="constrained"
    )
    distances = np.arange(scores.shape[1])
    fine = np.linspace(0, distances[-1], 4000)  # between the tokens, too
    for pair, color in ((0, "#BBBBBB"), (8, SKY), (16, BLACK)):
        speed = 10000.0 ** (-pair / half)
        label = f"j = {pair}: a turn in {2 * np.pi / speed:,.0f} tokens"
        waves.plot(fine, np.cos(fine * speed), color=color, label=label)
    waves.set(
        title="three pairs", ylabel=r"$\cos((m - n)\, \theta_j)$", ylim=(-1.1, 2.1)
    )
    waves.set_yticks((-1, 0, 1))
    waves.legend(frameon=False, loc="upper left", fontsize=9.5)
    score.plot(distances, np.asarray(scores)[0], color=PURPLE)
    score.set(title="head 0, all 32 pairs", ylabel="score before the softmax")
    for axis in (waves, score):
        axis.axhline(0, color=GRAY, linewidth=0.8)
        axis.set(xlabel="distance m - n, tokens", xlim=(0, distances[-1]))
    return figure


def plot_attention(maps: dict, parts: dict):
    """
    Which token attends to which: rows are queries, columns keys, with lines where a part of the prompt ends.

    Args:
        maps: From a title to weights, (tokens, tokens), whose rows sum up to 1.
        parts: From the name of a part to its number of tokens, in order.
    """
    figure, axes = pyplot.subplots(
        1, len(maps), figsize=(12, 4.8), layout="constrained", sharey=True
    )
    colors = LinearSegmentedColormap.from_list("weights", ["white", PURPLE, BLACK])
    colors.set_bad(PALE)  # what the mask hides
    ends = np.cumsum([0, *parts.values()])
    middles = (ends[:-1] + ends[1:]) / 2
    for axis, (title, weights) in zip(axes, maps.items(), strict=True):
        hidden = np.triu(np.ones_like(weights, dtype=bool), 1)
        shown = np.ma.masked_where(hidden, np.maximum(weights, 1e-4))
        style = {"cmap": colors, "norm": LogNorm(1e-4, 1), "interpolation": "nearest"}
        drawn = axis.imshow(shown, **style)
        for end in ends[1:-1]:
            axis.axhline(end - 0.5, color=BLACK, linewidth=0.7)
            axis.axvline(end - 0.5, color=BLACK, linewidth=0.7)
        axis.set_xticks(middles, parts, rotation=45, ha="right")
        axis.set_yticks(middles, parts)
        for label in (*axis.get_xticklabels(), *axis.get_yticklabels()):
            label.set_color(LEVELS.get(label.get_text(), BLACK))
        axis.tick_params(length=0)
        axis.set(title=title, xlabel="token that is attended to (key)")
    axes[0].set_ylabel("token that attends (query)")
    label = "share of the row's attention"
    figure.colorbar(drawn, ax=axes, label=label, shrink=0.8)
    return figure
