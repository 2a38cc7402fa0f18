"""Schematics: how a mechanism works, drawn without a model; each function gives a matplotlib figure."""

from matplotlib import pyplot
from matplotlib.patches import FancyArrowPatch, Rectangle

from course import BLACK, BLUE, GRAY, LEVELS, PALE, PURPLE, SKY, YELLOW


RED = "#B00020"  # of what is wrong


def _canvas(width: float, height: float, xlim: tuple, ylim: tuple):
    """A figure with one axis that has no frame; `ylim` from the bottom to the top."""
    figure, axis = pyplot.subplots(figsize=(width, height), layout="constrained")
    axis.set(xlim=xlim, ylim=ylim)
    axis.set_axis_off()
    return figure, axis


def _box(axis, left, bottom, width, height, text="", color=PALE, **style) -> None:
    """A box with text in it; `ink` is the color of the text, `size` its size."""
    ink, size = style.pop("ink", BLACK), style.pop("size", 10)
    frame = {"facecolor": color, "edgecolor": "white", "linewidth": 1.2} | style
    axis.add_patch(Rectangle((left, bottom), width, height, **frame))
    middle = left + width / 2, bottom + height / 2
    axis.text(*middle, text, ha="center", va="center", color=ink, fontsize=size)


def _arrow(axis, start, end, color=BLACK, bend: float = 0.0, **style) -> None:
    shape = {"arrowstyle": "-|>", "mutation_scale": 12, "color": color}
    shape |= {"connectionstyle": f"arc3,rad={bend}", "shrinkA": 2, "shrinkB": 2} | style
    axis.add_patch(FancyArrowPatch(start, end, **shape))


def _brace(axis, left, right, height, text, color) -> None:
    """A line below tokens with its ends turned up, and what it is below it."""
    xs, ys = (left, left, right, right), (height + 0.12, height, height, height + 0.12)
    axis.plot(xs, ys, color=color, linewidth=1.5)
    style = {"ha": "center", "va": "top", "color": color, "fontsize": 10}
    axis.text((left + right) / 2, height - 0.06, text, **style)


# Of a made-up prompt: what each token is, and the scores of the detailed ones
_KINDS = 2 * ["text"] + 8 * ["detailed"] + 4 * ["adaptive"] + 2 * ["global"]
_KINDS += 4 * ["text"]
_SCORES = (0.2, 0.9, 0.15, 0.3, 0.75, 1.0, 0.1, 0.6)
_STAY = (1, 4, 5, 7)  # the best half


def plot_mechanism():
    """A prompt's tokens, the scores of the detailed ones, and what is left of it with kept and with new numbers."""
    figure, axis = _canvas(10.5, 5.4, (-4.6, 20.4), (-3.9, 4.8))
    left = [place for place in range(8) if place not in _STAY]
    gone = [2 + place for place in left]
    for place, kind in enumerate(_KINDS):
        color = LEVELS.get(kind, PALE)
        ink = BLACK if kind == "text" else "white"
        _box(axis, place, 1, 1, 1, str(place), color, ink=ink)
    for place, score in enumerate(_SCORES):
        color = BLACK if place in _STAY else GRAY
        _box(axis, 2.2 + place, 2.1, 0.6, 1.1 * score, color=color)
    for place in gone:
        axis.plot((place, place + 1), (1, 2), color=BLACK, linewidth=2)
        axis.plot((place, place + 1), (2, 1), color=BLACK, linewidth=2)
    for start, color in ((11.5, YELLOW), (14.9, YELLOW), (17.6, PURPLE)):
        _arrow(axis, (start, 2.1), (7.8, 3.3), color, bend=0.3)
    for middle, kind in ((6, "detailed"), (12, "adaptive"), (15, "global")):
        axis.text(middle, 4.3, kind, color=LEVELS[kind], ha="center")
    axis.text(18, 4.3, "text", ha="center")
    _brace(axis, 10.1, 19.9, 0.75, "published: all of these ask", "#A06A00")
    _brace(axis, 16.1, 19.9, -0.05, "the text alone asks", "#8A4A75")
    kept = [place for place in range(len(_KINDS)) if place not in gone]
    for height, numbers in ((-2.2, kept), (-3.6, range(len(kept)))):
        for place, (number, token) in enumerate(zip(numbers, kept, strict=True)):
            kind = _KINDS[token]
            ink = BLACK if kind == "text" else "white"
            _box(
                axis, place, height, 1, 1, str(number), LEVELS.get(kind, PALE), ink=ink
            )
    labels = {1.5: "prompt", 2.6: "scores", -1.7: "kept numbers", -3.1: "renumbered"}
    for height, label in labels.items():
        axis.text(-0.3, height, label, ha="right", va="center")
    _arrow(axis, (4, 0.8), (4, -1.0), linewidth=2)
    axis.text(4.3, -0.1, "the half with low scores leaves", va="center")
    axis.text(16.4, -1.7, "missing: 2, 4, 5, 8", va="center", fontsize=10)
    axis.text(16.4, -3.1, "no gaps, as published", va="center", fontsize=10)
    return figure


def plot_renumbered(positions: dict, pair: tuple, side: int = 4):
    """
    The detailed tokens of a tile with their position numbers; those that left are pale.

    Args:
        positions: From a title to the numbers of the tile's tokens in order, None where one has left.
        pair: Which two tokens of the tile are compared, counted in it.
    """
    figure, axes = pyplot.subplots(
        1, len(positions), figsize=(9, 3.6), layout="constrained"
    )
    for axis, (title, numbers) in zip(axes, positions.items(), strict=True):
        for place, number in enumerate(numbers):
            row, column = divmod(place, side)
            stays = number is not None
            color = (PURPLE if place in pair else BLUE) if stays else PALE
            text = str(number) if stays else ""
            ink = BLACK if place in pair else "white"
            _box(axis, column, -row, 1, 1, text, color, ink=ink, size=12)
        upper, lower = (numbers[place] for place in pair)
        axis.set_title(f"{title}: {upper} and {lower},\n{lower - upper} apart")
        axis.set(xlim=(0, side), ylim=(1 - side, 1), aspect="equal")
        axis.set_axis_off()
    return figure


def plot_layer(width: int, inner: int, heads: int):
    """
    One layer of a Llama: three tokens, of which attention alone takes something from one to the other.

    Args:
        width: Of a state.
        inner: Of the MLP between its matrices.
        heads: Of the attention.
    """
    figure, axis = _canvas(10.5, 6.2, (-1.6, 22.4), (-4.9, 6.9))
    center = {"ha": "center", "va": "center"}
    tops = dict(zip(("token 1", "token 2", "token 3"), (5.2, 2.8, 0.4), strict=True))
    for name, y in tops.items():
        _arrow(axis, (0.3, y), (21.4, y), GRAY, linewidth=2.5, zorder=0)
        axis.text(-1.4, y, name, ha="left", va="center")
        for x, text, color, ink in (
            (2, "RMSNorm", PALE, BLACK),
            (6.6, f"attention\n{heads} heads", PURPLE, BLACK),
            (12.6, "RMSNorm", PALE, BLACK),
            (16, "MLP", SKY, BLACK),
        ):
            _box(axis, x, y + 0.45, 2.4, 0.95, text, color, ink=ink, size=9)
        for start, end in ((1.2, 2), (11.8, 12.6)):  # what leaves the stream
            axis.plot((start, start, end), (y, y + 0.92, y + 0.92), color=BLACK)
        _arrow(axis, (15, y + 0.92), (16, y + 0.92))
        for end, plus in ((9, 9.8), (18.4, 19.2)):
            axis.plot((end, plus), (y + 0.92, y + 0.92), color=BLACK)
            _arrow(axis, (plus, y + 0.92), (plus, y + 0.15), shrinkA=0)
            style = {"markersize": 13, "markeredgecolor": BLACK, "color": "white"}
            axis.plot(plus, y, "o", **style)
            axis.text(plus, y - 0.03, "+", fontsize=13, **center)
        for x, text in ((0.6, "$h$"), (10.8, "$h'$"), (20.6, "$h''$")):
            axis.text(x, y - 0.35, text, fontsize=13, **center)
    for first, start in tops.items():
        for other, end in tops.items():
            if first <= other:  # causal
                color = BLACK if first == other else PURPLE
                _arrow(axis, (4.4, start + 0.92), (6.6, end + 0.92), color)
    style = {"ha": "left", "va": "center", "fontsize": 9.5, "color": PURPLE}
    axis.text(6, 4.65, "keys, values", **style)
    _draw_mlp(axis, width, inner)
    return figure


def _draw_mlp(axis, width: int, inner: int) -> None:
    """The lower part of `plot_layer`."""
    axis.plot((-1.4, 22), (-1, -1), color=PALE)
    axis.text(-1.4, -1.6, "the MLP, opened:", ha="left", va="center")
    boxes = {
        "norm": (0.6, -3.4, f"$n$\n{width}", PALE),
        "gate": (5, -2.6, f"SiLU$(W_g n)$\n{inner}", SKY),
        "up": (5, -4.4, f"$W_u n$\n{inner}", SKY),
        "both": (11.4, -3.4, f"product, number\nby number: {inner}", SKY),
        "down": (17.4, -3.4, f"$W_d$ of it\n{width}", SKY),
    }
    for x, y, text, color in boxes.values():
        _box(axis, x, y - 0.4, 3.9, 1.2, text, color, size=10)
    for first, other in (
        ("norm", "gate"),
        ("norm", "up"),
        ("gate", "both"),
        ("up", "both"),
        ("both", "down"),
    ):
        ends = (boxes[first][0] + 3.9, boxes[first][1] + 0.2)
        _arrow(axis, ends, (boxes[other][0], boxes[other][1] + 0.2))


def plot_conversion():
    """What a conversion makes of an original folder, and the way back."""
    figure, axis = _canvas(10.5, 4.8, (-1, 21.6), (-1, 8.6))
    frame = {"edgecolor": GRAY, "linewidth": 1.5}
    _box(axis, 0, 0, 6, 7.4, color="white", **frame)
    _box(axis, 14.2, 0, 6.6, 7.4, color="white", **frame)
    axis.text(3, 7.75, "original folder", ha="center", fontsize=12)
    axis.text(17.5, 7.75, "new folder", ha="center", fontsize=12)
    for height, name in ((5.9, "weights"), (3.4, "tokenizer"), (1.9, "config.json")):
        _box(axis, 0.5, height, 5, 0.9, name, SKY)
    found = {
        5.9: ("weights", SKY),
        4.3: ("tokenizer", SKY),
        3.4: ("config.json", SKY),
        2.5: ("processor settings, chat template", YELLOW),
        1.6: ("code that loads all of it", YELLOW),
        0.3: ("original: small files, kept", PALE),
    }
    for height, (name, color) in found.items():
        _box(axis, 14.5, height, 6, 0.8, name, color)
    steps = ("rename", "split wqkv and qkv", "merge LoRA")
    for place, name in enumerate(steps):
        _box(axis, 7.6, 6.7 - 0.85 * place, 5, 0.75, name, PURPLE)
    _arrow(axis, (5.5, 6.35), (7.5, 6.35))
    _arrow(axis, (12.7, 6.35), (14.4, 6.35))
    for height, target, text in (
        (3.85, 4.75, "read, written anew"),
        (2.35, 3.75, "translated"),
    ):
        _arrow(axis, (5.5, height), (14.4, target), GRAY)
        place = 0.5 * (height + target) - 0.5
        axis.text(10, place, text, ha="center", va="center", color="#555555")
    # from the weights and what was kept, on the right, to the whole folder on the left
    back = {"linestyle": "--", "color": BLACK, "linewidth": 1}
    axis.plot([20.5, 21.3, 21.3, 20.5], [6.3, 6.3, 0.7, 0.7], **back)
    axis.plot([21.3, 21.3, -0.7, -0.7], [0.7, -0.7, -0.7, 3.7], **back)
    _arrow(axis, (-0.7, 3.7), (0, 3.7), shrinkA=0, shrinkB=0)
    axis.text(10, -0.35, "--reverse: names and layouts back", ha="center", va="center")
    return figure


def plot_families(families: dict):
    """
    The tiles of several families at one scale, each group as the grid that it is, numbered in the prompt's order.

    Args:
        families: From a name to groups (level, columns and rows, tiles), each tile (height, width, 3), in order.
    """
    gap, between, margin = 17, 50, 34
    figure, axis = pyplot.subplots(figsize=(10.5, 9.6), layout="constrained")
    top, right = 0, 0
    for name, groups in families.items():
        left, number, deepest = 0, 0, 0
        axis.text(0, top - 48, name, fontsize=13, fontweight="bold", va="bottom")
        for level, (columns, rows), tiles in groups:
            group, color = list(LEVELS.items())[level]
            height, width = tiles[0].shape[:2]
            title = f"{group}, {columns} x {rows}"
            axis.text(left, top - 22, title, color=color)
            for place, tile in enumerate(tiles):
                row, column = divmod(place, columns)
                x, y = left + column * (width + gap), top + row * (height + gap)
                axis.imshow(tile, extent=(x, x + width, y + height, y))
                style = {"fill": False, "edgecolor": color, "linewidth": 2}
                axis.add_patch(Rectangle((x, y), width, height, **style))
                style = {"color": color, "fontsize": 9, "va": "bottom"}
                axis.text(x, y - 2, str(number), **style)
                number += 1
            left += columns * (width + gap) + between
            deepest = max(deepest, rows * (height + gap))
        top, right = top + deepest + 2.2 * margin, max(right, left)
    axis.set(xlim=(-4, right - between), ylim=(top - 2 * margin, -75), aspect="equal")
    axis.set_axis_off()
    return figure


def label_cells(processor, ids: list[int], labels: list[int], levels, per_tile: int):
    """What `plot_labels` draws of a prompt of one image; `levels` are those of its tiles, `per_tile` their tokens."""
    cells = []
    for token, label in zip(ids, labels, strict=True):
        if token != processor.image_token_id:
            text = processor.decode([token]).replace("\n", "↵").replace(" ", "·")
            cells.append((text, label >= 0, None))
        elif not cells or cells[-1][2] is None:  # all of the image at once
            for level, name in enumerate(LEVELS):
                number = per_tile * list(levels).count(level)
                if number:
                    cells.append((f"{number} {name} tokens", False, level))
    return cells


def plot_labels(tokens: list[tuple], columns: int = 22):
    """
    The tokens of a chat and, below each, its label: what the loss compares the model's next token with.

    Args:
        tokens: (text, whether it has a label, level) of each; a run of image tokens is one, others have no level.
        columns: Letters in a row; a run of image tokens takes six.
    """
    rows, left = [[]], 0
    for token in tokens:
        width = 6 if token[2] is not None else (2.4 if len(token[0]) > 3 else 1)
        if left + width > columns:
            rows, left = [*rows, []], 0
        rows[-1].append((left, width, token))
        left += width
    size = 10.5, 1.15 * len(rows)
    figure, axis = _canvas(*size, (-2.6, columns), (-2.6 * len(rows) + 0.6, 1.1))
    for number, row in enumerate(rows):
        top = -2.6 * number
        for height, name in ((top + 0.5, "token"), (top - 0.5, "label")):
            axis.text(-0.3, height, name, ha="right", va="center", fontsize=10)
        for left, width, (text, is_answer, level) in row:
            color = PURPLE if is_answer else PALE
            if level is not None:
                color = list(LEVELS.values())[level]
            ink = BLACK if level is None else "white"
            _box(axis, left, top, width, 1, text, color, ink=ink, size=9)
            style = {"color": "white", "ink": "#666666", "size": 8}
            if is_answer:
                style |= {"color": PURPLE, "ink": BLACK}
            label = text if is_answer else "-100"
            _box(axis, left, top - 0.95, width, 0.85, label, **style)
    return figure


def plot_lora(rows: int, columns: int, rank: int):
    """A matrix W beside the product of two narrow ones, drawn to scale."""
    unit = 4 / max(rows, columns)
    height, width, thin = rows * unit, columns * unit, rank * unit
    figure, axis = _canvas(10.5, 3.4, (0, 1), (-0.2, height + 0.2))
    parts = (
        (width, height, f"W\n{rows} x {columns}\nfrozen", PALE, BLACK, "+ 2 ·"),
        (thin, height, "", PURPLE, "white", "·"),
        (width, thin, "", PURPLE, "white", "="),
        (width, height, f"merged\n{rows} x {columns}", SKY, BLACK, ""),
    )
    left = 0
    labels = (
        "",
        f"B: {rows} x {rank}\n{rows * rank:,} numbers\nlearn, from zero",
        f"A: {rank} x {columns}\n{rank * columns:,} numbers learn",
        "",
    )
    for (wide, high, text, color, ink, sign), label in zip(parts, labels, strict=True):
        bottom = (height - high) / 2
        _box(axis, left, bottom, wide, high, text, color, ink=ink, size=12)
        style = {"ha": "left", "va": "top", "color": "#8A4A75", "fontsize": 10}
        place = (left, bottom - 0.15) if wide > thin else (left + thin + 0.15, 0.75)
        axis.text(*place, label, **style)
        gap = 1.2
        middle = left + wide + gap / 2, height / 2
        axis.text(*middle, sign, ha="center", va="center", size=16)
        left += wide + gap
    axis.set(xlim=(-0.2, left - gap + 0.2), aspect="equal")
    return figure


def plot_paired(runs: dict, groups: dict):
    """
    Of the same words, how many the first model of each comparison gains and loses; p of a sign test at the end.

    Args:
        runs: From a title to the number of words and the comparisons, from a label to a dict from each of `groups` to
            (gained, lost, p).
        groups: From a name to its title, a panel each.
    """
    rows = sum(1 + len(comparisons) for _, comparisons in runs.values())
    figure, axes = pyplot.subplots(
        1, len(groups), figsize=(10.5, 0.4 * rows + 0.9), layout="constrained"
    )
    ticks, places = {}, iter(range(rows))
    most = most_lost = 0
    for title, (words, comparisons) in runs.items():
        ticks[next(places)] = f"{title}, n = {words}"
        for label, found in comparisons.items():
            place = next(places)
            ticks[place] = label
            for axis, name in zip(axes, groups, strict=True):
                _draw_pair(axis, place, words, *found[name])
                gained, lost = (100 * count / words for count in found[name][:2])
                most, most_lost = max(most, gained, lost), max(most_lost, lost)
    left, right = -max(0.6 * most, most_lost + 0.2 * most), 1.95 * most
    for axis, title in zip(axes, groups.values(), strict=True):
        axis.axvline(0, color=BLACK, linewidth=1)
        axis.set(title=title, xlim=(left, right), ylim=(rows - 0.5, -0.5))
        axis.set_xlabel("lost | gained, % of the words")
        shown = [tick for tick in range(-100, 101, 20) if left < tick <= most]
        axis.set_xticks(shown, [str(abs(tick)) for tick in shown])
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
    axes[0].set_yticks(list(ticks), list(ticks.values()))
    axes[0].tick_params(axis="y", length=0)
    for label in axes[0].get_yticklabels():
        if ", n = " in label.get_text():
            label.set_fontweight("bold")
    return figure


def _draw_pair(axis, place: int, words: int, gained: int, lost: int, p: float) -> None:
    """A row of `plot_paired` in a panel."""
    for count, side, align, color in (
        (gained, 1, "left", YELLOW),
        (lost, -1, "right", GRAY),
    ):
        end = side * 100 * count / words
        axis.barh(place, end, color=color, height=0.6)
        axis.text(end + 0.6 * side, place, str(count), ha=align, va="center")
    weight = "bold" if p < 0.05 else "normal"
    style = {"ha": "right", "va": "center", "fontsize": 10, "fontweight": weight}
    axis.text(
        0.99, place, f"p = {p:.2g}", transform=axis.get_yaxis_transform(), **style
    )
