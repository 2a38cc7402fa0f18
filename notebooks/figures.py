"""Figures of tiles, tokens and parts of a model; each function gives a matplotlib figure, for `course.show`."""

import numpy as np
from matplotlib import pyplot
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap, Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from course import BLACK, BLUE, GRAY, LEVELS, ORANGE, PALE, PURPLE, SKY


def plot_tokens(image, grid, maps: dict, label: str, form: str | None = "{x:.1%}"):
    """
    Values of the detailed tokens on an image, side by side: scores in color, or which tokens stay.

    Args:
        image: A PIL image.
        grid: Its detailed grid, (columns, rows).
        maps: From a title to values, (detailed tiles, tokens per tile): floats, or bools, False where one leaves.
        label: Of the color bar of scores.
        form: Of the numbers there, shares that begin at 0; or None for others, from their least.
    """
    height = 10 / len(maps) * image.height / image.width
    figure, axes = pyplot.subplots(
        1, len(maps), figsize=(10, height + 1.2), layout="constrained"
    )
    colors = LinearSegmentedColormap.from_list("scores", ["white", PURPLE])
    for axis, (title, values) in zip(axes, maps.items(), strict=True):
        is_score = values.dtype != bool
        least = 0 if form else values.min()
        scale = Normalize(least, values.max()) if is_score else None
        shades = np.where(values[..., None], 1, 0.6) * np.ones(3)
        _color_tokens(
            axis, image, grid, colors(scale(values))[..., :3] if is_score else shades
        )
        axis.set_title(title)
        if is_score:
            bar = pyplot.cm.ScalarMappable(scale, colors)
            style = {"cax": axis.inset_axes((0.05, -0.1, 0.9, 0.045)), "format": form}
            bar = figure.colorbar(bar, orientation="horizontal", label=label, **style)
            bar.locator = MaxNLocator(4)
    return figure


def _color_tokens(axis, image, grid, colors) -> None:
    """An image in gray, multiplied by a color per token, with the grid's cut lines: text stays dark."""
    (columns, rows), side = grid, round(colors.shape[1] ** 0.5)
    cells = colors.reshape(rows, columns, side, side, 3).swapaxes(1, 2)
    cells = cells.reshape(rows * side, columns * side, 3)
    across = np.arange(image.width) * columns * side // image.width
    down = np.arange(image.height) * rows * side // image.height
    gray = np.asarray(image.convert("L"), float)
    light = np.clip(gray / np.median(gray), 0, 1)[..., None]  # paper is white
    axis.imshow(cells[down][:, across] * light)
    draw_lines(axis, image.size, grid, first=-0.5, color=BLUE)
    axis.set(xticks=[], yticks=[])
    axis.spines[["top", "right"]].set_visible(True)


def draw_lines(axis, size, grid, first: float = 0.0, **style) -> None:
    """The cut lines of a grid over an image of `size`, both width first, whose px begin at `first` of the axis."""
    for draw, side, parts in zip((axis.axvline, axis.axhline), size, grid, strict=True):
        for number in range(1, parts):
            draw(first + side * number / parts, **style)


def draw_tiles(axis, image, grid, color=None, gap: float = 0.15) -> None:
    """
    Draw an image in the tiles of a grid, apart from each other, so that what a line cuts looks cut.

    Args:
        axis: A matplotlib axis, which is emptied of ticks and borders.
        image: A PIL image.
        grid: Columns and rows.
        color: Of the tiles' frames; by default that of detailed tiles.
        gap: Between two tiles, as a share of their shorter side.
    """
    columns, rows = grid
    width, height = image.width / columns, image.height / rows
    gap *= min(width, height)
    for row in range(rows):
        for column in range(columns):
            box = (
                column * width,
                row * height,
                (column + 1) * width,
                (row + 1) * height,
            )
            left, top = column * (width + gap), row * (height + gap)
            piece = image.crop(tuple(round(side) for side in box))
            axis.imshow(
                piece, extent=(left, left + width, top + height, top), cmap="gray"
            )
            _frame(axis, left, top, width, height, 0.1 * gap, color or BLUE)
    axis.set(
        xlim=(-gap, columns * (width + gap)),
        ylim=(rows * (height + gap), -gap),
        aspect="equal",
    )
    axis.set_axis_off()


def _frame(axis, left, top, width, height, margin: float, color) -> None:
    """A frame around pixels, `margin` of the axis' units outside them, so that it covers none."""
    size = width + 2 * margin, height + 2 * margin
    style = {"fill": False, "edgecolor": color, "linewidth": 2, "clip_on": False}
    axis.add_patch(Rectangle((left - margin, top - margin), *size, **style))


def plot_strip(tiles, levels, columns: int = 6):
    """
    Tiles in the order in which the model gets them.

    Args:
        tiles: (height, width, 3) each, as matplotlib draws them.
        levels: Of each tile, 0 to 2.
        columns: Of the figure.
    """
    rows = -(-len(tiles) // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(9, 1.75 * rows), layout="constrained"
    )
    figure.get_layout_engine().set(wspace=0.08, hspace=0.04)
    for axis in axes.flat:
        axis.set_axis_off()
    for number, (axis, tile, level) in enumerate(
        zip(axes.flat, tiles, levels, strict=False)
    ):
        group, color = list(LEVELS.items())[level]
        height, width = tile.shape[:2]
        axis.imshow(tile, extent=(0, width, height, 0))
        _frame(axis, 0, 0, width, height, 0.015 * width, color)
        axis.set_title(f"{number}: {group}", color=color, fontsize=10)
    return figure


def distortion(size, grid) -> float:
    """How much more a grid stretches one side of an image of `size` (width, height) than the other; 1: not at all."""
    ratio = size[0] / size[1] * grid[1] / grid[0]
    return max(ratio, 1 / ratio)


def plot_grid_shapes(aspects, plans):
    """Both grids, and how they distort an image, over its width / height; one `PyramidPlan` per aspect ratio."""
    figure, axes = pyplot.subplots(
        2, 1, figsize=(10, 5), sharex=True, height_ratios=(1, 2.4), layout="constrained"
    )
    for axis, group, most in zip(
        axes, ("detailed", "adaptive"), (1.55, 4.2), strict=True
    ):
        grids, begin = [plan.grid(group) for plan in plans], 0
        for end in range(1, len(grids) + 1):
            if end < len(grids) and grids[end] == grids[begin]:
                continue
            part = aspects[begin:end]
            values = [distortion((aspect, 1), grids[begin]) for aspect in part]
            axis.plot(part, values, color=LEVELS[group], linewidth=2)
            style = {"ha": "center", "va": "bottom", "fontsize": 9}
            middle, name = (part[0] * part[-1]) ** 0.5, "{} x {}".format(*grids[begin])
            axis.text(middle, max(values) + 0.08, name, color=LEVELS[group], **style)
            axis.axvline(part[0], color=GRAY, linewidth=0.5)
            begin = end
        axis.set_ylabel(f"distortion by\nthe {group} grid")
        axis.set_ylim(0.95, most)
    ticks = [0.25, 0.5, 1, 2, 4]
    axes[1].set(xscale="log", xlim=(aspects[0], aspects[-1]))
    axes[1].set_xticks(ticks, ticks), axes[1].minorticks_off()
    axes[1].set_xlabel("width / height of the image")
    return figure


def plot_budgets(budgets: dict, of: str, per_tile: int = 256):
    """
    Tiles by group, and the tokens that they are, from a setting to its `PyramidPlan`.

    Args:
        budgets: The plans.
        of: Whose tiles: the end of the axis' label.
        per_tile: Tokens of a tile.
    """
    figure, axis = pyplot.subplots(figsize=(9.5, 3.8), layout="constrained")
    for row, plan in enumerate(budgets.values()):
        left = 0
        for group, color in LEVELS.items():
            count, label = len(plan.group_tiles(group)), group if row == 0 else None
            axis.barh(row, count, left=left, color=color, label=label)
            left += count
        axis.text(
            left + 0.2, row, f"{left} tiles, {left * per_tile:,} tokens", va="center"
        )
    most = max(plan.num_tiles for plan in budgets.values())
    axis.set_yticks(range(len(budgets)), list(budgets))
    axis.set(xlabel=f"tiles of {of}", xlim=(0, 1.45 * most))
    axis.set_xticks(range(0, most + 1, 5))
    axis.spines["bottom"].set_bounds(0, most)
    axis.invert_yaxis()
    figure.legend(frameon=False, ncols=3, loc="outside upper center")
    return figure


def plot_places(images: dict, tile: int):
    """The first two tiles of images, from their titles, side by side or one above the other, with a gap."""
    shapes = [
        (1, 2) if image.height > image.width else (2, 1) for image in images.values()
    ]
    ratios = [columns + 0.15 * (columns + 1) for columns, _ in shapes]  # with gaps
    figure, axes = pyplot.subplots(
        1, len(images), figsize=(10, 4.1), width_ratios=ratios, layout="constrained"
    )
    for axis, grid, (title, image) in zip(axes, shapes, images.items(), strict=True):
        first = image.crop((0, 0, grid[0] * tile, grid[1] * tile))
        draw_tiles(axis, first, grid)
        axis.set_anchor("N")
        axis.set_title(title)
    return figure


def plot_words(words: list):
    """
    Words as the tiles of two grids hold them: above in the detailed tiles, below in those of CIP that show them whole.

    Args:
        words: (word, page, its box in px, detailed view, view of CIP) of each.
    """
    figure, axes = pyplot.subplots(
        2,
        len(words) + 1,
        figsize=(10, 3),
        width_ratios=(0.1, *(1 for _ in words)),
        layout="constrained",
    )
    figure.get_layout_engine().set(wspace=0.08)
    for axis, name, color in zip(
        axes[:, 0], ("detailed", "CIP"), (BLUE, ORANGE), strict=True
    ):
        style = {"ha": "center", "va": "center", "rotation": 90}
        axis.text(0.5, 0.5, name, color=color, **style)
        axis.set_axis_off()
    for column, (word, page, box, *views) in zip(axes.T[1:], words, strict=True):
        column[0].set_title(word)
        for axis, view, color in zip(column, views, (BLUE, ORANGE), strict=True):
            _draw_word(axis, page, box, view, color)
    return figure


def _draw_word(axis, page, box, view, color, margin: int = 6, gap: int = 8) -> None:
    """The pieces of one word in the tiles of a view that have a part of it, in its px, with `margin` px around it."""
    x, y = (side / own for side, own in zip(view.canvas, page.size, strict=True))
    box = box[0] * x, box[1] * y, box[2] * x, box[3] * y
    left, top, right, bottom = (
        side + sign * margin for side, sign in zip(box, (-1, -1, 1, 1), strict=True)
    )
    canvas = page.resize(view.canvas)
    for number, tile in enumerate(view.boxes):
        piece = (
            *(round(max(pair)) for pair in ((left, tile[0]), (top, tile[1]))),
            *(round(min(pair)) for pair in ((right, tile[2]), (bottom, tile[3]))),
        )
        if box[0] >= tile[2] or box[2] <= tile[0]:
            continue
        if box[1] >= tile[3] or box[3] <= tile[1]:
            continue
        row, column = divmod(number, view.grid[0])
        start, up = piece[0] + gap * column, piece[1] + gap * row
        width, height = piece[2] - piece[0], piece[3] - piece[1]
        extent = (start, start + width, up + height, up)
        axis.imshow(canvas.crop(piece), extent=extent, interpolation="nearest")
        _frame(axis, start, up, width, height, 0, color)
    axis.autoscale(tight=True)
    axis.set_aspect("equal")
    axis.set_axis_off()


def plot_parts(counts: dict):
    """Parameters by part, a panel per model: from its name to a dict from a part to its number."""
    figure, axes = pyplot.subplots(
        1, len(counts), figsize=(10.5, 2.8), sharey=True, layout="constrained"
    )
    for axis, (name, parts) in zip(axes, counts.items(), strict=True):
        total = sum(parts.values())
        millions = [count / 1e6 for count in parts.values()]
        axis.barh(list(parts), millions, color=SKY)
        for row, count in enumerate(millions):
            text = f"{1e6 * count / total:.1%}"
            axis.text(count + 0.01 * total / 1e6, row, text, va="center")
        axis.set(
            title=f"{name}: {total / 1e6:,.1f} million", xlim=(0, 0.8 * total / 1e6)
        )
        axis.set_xlabel("parameters (million)")
    axes[0].invert_yaxis()
    return figure


def plot_chains(shapes: dict, image: list[str], text: list[str], into: str):
    """
    Two chains of boxes with the shapes that leave them; the last of the first joins the third of the second.

    Args:
        shapes: From the name of a step to a shape.
        image, text: The names of both chains, in order.
        into: What goes from one to the other.
    """
    figure, axis = pyplot.subplots(figsize=(12, 2.8), layout="constrained")
    arrow = {"arrowstyle": "-|>", "color": BLACK, "mutation_scale": 14}
    first = len(image) - 3  # so that both meet in one column
    for row, start, names, color in ((1, 0, image, PURPLE), (0, first, text, SKY)):
        for column, name in enumerate(names, start):
            style = {"fill": False, "edgecolor": color, "linewidth": 2}
            axis.add_patch(Rectangle((column - 0.41, row - 0.22), 0.82, 0.44, **style))
            label = f"{name}\n{' x '.join(map(str, shapes[name]))}"
            axis.text(column, row, label, ha="center", va="center", fontsize=9)
            if column > start:
                ends = (column - 0.41, row), (column - 0.59, row)
                axis.annotate("", *ends, arrowprops={**arrow, "shrinkA": 0})
    meet = len(image) - 1
    axis.annotate("", (meet, 0.22), (meet, 0.78), arrowprops=arrow)
    axis.text(meet + 0.08, 0.5, into, ha="left", va="center")
    axis.set(xlim=(-0.5, first + len(text) - 0.5), ylim=(-0.3, 1.3))
    axis.set_axis_off()
    return figure


def plot_feature_maps(page, maps: dict, tile: int):
    """A page beside maps of its features, from a title to an array laid out like the page, with the cut lines."""
    width, height = page.size
    figure, axes = pyplot.subplots(
        1, 1 + len(maps), figsize=(12, 3.2), layout="constrained"
    )
    axes[0].imshow(page)
    axes[0].set_title(f"the page, {width} x {height} px")
    for axis, (title, values) in zip(axes[1:], maps.items(), strict=True):
        style = {"cmap": "cividis", "vmin": 0, "vmax": 60}
        share = 100 * values / values.max()
        drawn = axis.imshow(share, extent=(0, width, height, 0), **style)
        axis.set_title(title)
    label = "distance from the median,\n% of the map's largest"
    figure.colorbar(drawn, ax=axes, shrink=0.8, label=label, extend="max")
    for axis, color in zip(axes, (BLUE, *["white"] * len(maps)), strict=True):
        for line in range(tile, width, tile):
            axis.axvline(line, color=color, linewidth=1)
        for line in range(tile, height, tile):
            axis.axhline(line, color=color, linewidth=1)
        axis.set(xticks=range(0, width + 1, tile), yticks=range(0, height + 1, tile))
    return figure


def plot_doubts(written: list[str], doubts: list[float], seconds: list[str]):
    """
    How unsure a model was at every step of an answer, on a logarithmic scale, where bars would have no beginning.

    Args:
        written: What was written at each step.
        doubts: The probability of everything else.
        seconds: The second choice at each step.
    """
    figure, axis = pyplot.subplots(figsize=(11, 3.8), layout="constrained")
    axis.plot(doubts, "o", color=PURPLE)
    axis.grid(axis="y", color=GRAY, alpha=0.3)
    for place, (doubt, second) in enumerate(zip(doubts, seconds, strict=True)):
        turned = 90 if len(second) > 2 else 0
        style = {"ha": "center", "va": "bottom", "rotation": turned}
        axis.annotate(
            second, (place, doubt), (0, 5), textcoords="offset points", **style
        )
    axis.set(xlabel="what was written, step by step", yscale="log")
    axis.set(
        ylabel="probability of all others", ylim=(min(doubts) / 3, 10 * max(doubts))
    )
    axis.set_xticks(range(len(written)), written)
    axis.tick_params(axis="x", rotation=90 if max(map(len, written)) > 5 else 0)
    return figure


def plot_canvases(canvases: dict, tile: int):
    """What each group of tiles shows, from a level to its canvas (a PIL image), at one scale, a gap between tiles."""
    gaps = [0.15 * (tile + canvas.width) for canvas in canvases.values()]
    widths = [
        canvas.width + gap for canvas, gap in zip(canvases.values(), gaps, strict=True)
    ]
    figure, axes = pyplot.subplots(
        1, len(canvases), figsize=(11, 4), width_ratios=widths, layout="constrained"
    )
    for axis, (group, canvas) in zip(axes, canvases.items(), strict=True):
        columns, rows = canvas.width // tile, canvas.height // tile
        draw_tiles(axis, canvas, (columns, rows), LEVELS[group])
        axis.set_anchor("N")
        title = f"{group}: {columns} x {rows}\n{canvas.width} x {canvas.height} px"
        axis.set_title(title, color=LEVELS[group], fontsize=11)
    return figure


def plot_mosaics(mosaics: dict, page, tile: int):
    """
    Tiles put together in some order beside their difference from the page.

    Args:
        mosaics: From a title to an array (height, width, 3) of bytes.
        page: What they should give, such an array, too.
        tile: Side of a tile in px.
    """
    figure, axes = pyplot.subplots(
        2, len(mosaics), figsize=(10, 6.4), layout="constrained"
    )
    for (upper, lower), (title, mosaic) in zip(axes.T, mosaics.items(), strict=True):
        difference = np.abs(mosaic.astype(int) - page).max(axis=2)
        upper.imshow(mosaic)
        upper.set_title(title)
        lower.imshow(difference, cmap="Purples", vmin=0, vmax=255)
        share = f"{(difference > 0).mean():.1%} of the pixels differ"
        lower.set_title(f"minus the page: {share}")
        for axis in (upper, lower):
            axis.set_xticks(range(0, page.shape[1] + 1, tile))
            axis.set_yticks(range(0, page.shape[0] + 1, tile))
    return figure


def plot_rows_of_tokens(kinds, names: list[str]):
    """
    The rows of a batch, token by token.

    Args:
        kinds: (rows, tokens): 0 is padding, 1 text, 2 to 4 the levels.
        names: Of the rows.
    """
    palette = {"padding": PALE, "text": BLACK, **LEVELS}
    figure, axis = pyplot.subplots(figsize=(11, 2.6), layout="constrained")
    for row, tokens in enumerate(kinds):
        for kind, color in enumerate(palette.values()):
            runs = [(place, 1) for place, each in enumerate(tokens) if each == kind]
            axis.broken_barh(runs, (row - 0.35, 0.7), color=color, linewidth=0)
    length = len(kinds[0])
    axis.axvline(length, color=PURPLE, linestyle="--")
    axis.text(length + 2, len(kinds) / 2 - 0.5, "answer", color=PURPLE, va="center")
    axis.set_yticks(range(len(names)), names)
    axis.set(ylim=(len(names) - 0.5, -0.5), xlim=(0, 1.07 * length))
    axis.set_xlabel("position in the row (tokens)")
    handles = [Rectangle((0, 0), 1, 1, color=color) for color in palette.values()]
    figure.legend(handles, palette, ncols=5, loc="outside upper center", frameon=False)
    return figure


def plot_token_maps(maps: dict, rays: dict, lines: dict, steps: list[str]):
    """
    Image tokens over width and height, and below over the width of some shapes.

    Args:
        maps: From a title to sides in px, both widths and heights, and an array (heights, widths) over them.
        rays: From a label to a width / height, which is drawn as a ray.
        lines: From a title of `maps` to a dict from a shape to widths and tokens.
        steps: What happens at the steps of the last line on the right, in order.
    """
    size = {"figsize": (11, 7.4), "height_ratios": (2, 1), "layout": "constrained"}
    figure, axes = pyplot.subplots(2, len(maps), **size)
    for below, found in zip(axes[1], lines.values(), strict=True):
        for (label, (widths, tokens)), style in zip(
            found.items(), ((PURPLE, "-"), (BLACK, "--")), strict=True
        ):
            color, line = style
            below.step(widths, tokens, color=color, linestyle=line, label=label)
        below.set(xlabel="width of the image (px)", ylabel="image tokens")
        below.set_xlim(0, 1.02 * max(max(each) for each, _ in found.values()))
        below.set_ylim(0, 1.25 * max(max(each) for _, each in found.values()))
        below.legend(frameon=False, loc="lower right", fontsize=9)
    after = [place for place, jump in enumerate(np.diff(tokens), start=1) if jump]
    for place, text in zip(after, steps, strict=True):
        style = {"ha": "right", "va": "bottom", "fontsize": 9}
        below.text(widths[place] + 270, tokens[place] + 100, text, **style)
    for axis, (title, (sides, tokens)) in zip(axes[0], maps.items(), strict=True):
        ends = (sides[0], sides[-1])
        step = 1280 if tokens.max() > 1000 else 16
        least, most = (int(end) // step * step for end in (tokens.min(), tokens.max()))
        edges = list(range(least, most + 2 * step, step))  # a color begins at its edge
        colors = pyplot.get_cmap("cividis", len(edges) - 1)
        style = {"norm": BoundaryNorm(edges, colors.N), "cmap": colors}
        drawn = axis.imshow(tokens, origin="lower", extent=(*ends, *ends), **style)
        axis.set(title=title, xlabel="width of the image (px)")
        axis.set_ylabel("height of the image (px)")
        for label, ratio in rays.items():
            x = min(ends[1], ends[1] * ratio)
            axis.plot((0, x), (0, x / ratio), color=BLACK, linewidth=3)
            axis.plot((0, x), (0, x / ratio), color="white", linestyle=":")
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.85}
            place = (0.86 * x, 0.86 * x / ratio)
            axis.text(*place, label, ha="center", va="center", fontsize=9, bbox=box)
        axis.set(xlim=ends, ylim=ends)
        bar = figure.colorbar(
            drawn, ax=axis, label="image tokens, at least", shrink=0.8
        )
        bar.set_ticks(edges[:-1])
    return figure


def plot_prompts(prompts: dict):
    """
    What prompts consist of.

    Args:
        prompts: From a label to the numbers of tokens by part (the levels and text), and what is answered.
    """
    figure, axis = pyplot.subplots(figsize=(9.5, 2.6))
    colors = {**LEVELS, "text": GRAY}
    for row, (parts, said) in enumerate(prompts.values()):
        left = 0
        for part, tokens in parts.items():
            label = part if row == 0 else None
            axis.barh(row, tokens, left=left, color=colors[part], label=label)
            style = {"ha": "center", "va": "center", "weight": "bold"}
            style["color"] = BLACK if part == "text" else "white"
            axis.text(left + tokens / 2, row, str(tokens), **style)
            left += tokens
        axis.text(left + 3, row, f"{left} tokens: {said}", va="center")
    axis.set_yticks(range(len(prompts)), list(prompts))
    axis.set(xlabel="tokens of the prompt", xlim=(0, 400), xticks=range(0, 250, 50))
    axis.invert_yaxis()
    axis.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    return figure


def plot_answers(
    images: list, questions: list[str], answers: list[str], texts: list[str]
):
    """Images with the question above and the answer below each, and below a wrong one the text that is there."""
    figure, axes = pyplot.subplots(2, 3, figsize=(10.5, 7), layout="constrained")
    rows = zip(axes.flat, images, questions, answers, texts, strict=True)
    for axis, image, question, answer, text in rows:
        axis.imshow(image)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.set_title(question, fontsize=11, style="italic")
        said, there = (" / ".join(each.splitlines()) for each in (answer, text))
        wrong = answer != text
        below = (
            f"model, wrong: {said}\non the image: {there}"
            if wrong
            else f"model: {said}"
        )
        weight = "bold" if wrong else "normal"
        axis.set_xlabel(below, fontsize=11, weight=weight)
    return figure
