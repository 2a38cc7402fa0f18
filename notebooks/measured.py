"""Figures of what the benchmarks measured; each function gives a matplotlib figure, for `course.show`."""

from matplotlib import pyplot

from benchmarks.recognizer import figure as recognizer
from benchmarks.recognizer.pages import draw_page
from benchmarks.recognizer.reading import views_of
from benchmarks.recognizer.scoring import share_read
from benchmarks.sawtooth.cutting import METHODS, is_cut
from benchmarks.sawtooth.measurements.pages import word_boxes
from benchmarks.sawtooth.readers.documents import make_page
from course import BLACK, BLUE, GRAY, ORANGE, PURPLE, SKY, YELLOW, words_read


METHOD_COLORS = {"detailed + global": BLUE, "pyramid any": ORANGE}


def _estimates(axis, places, estimates, **style) -> None:
    """Points with their intervals; each estimate is the value and both ends of its interval."""
    values, low, high = zip(*estimates, strict=True)
    below, above = (
        [abs(v - e) for v, e in zip(values, ends, strict=True)] for ends in (low, high)
    )
    axis.errorbar(places, values, (below, above), capsize=4, **style)


def words(table, *way) -> str:
    """A cell of a table: words read in % with the interval, by one way to score."""
    return "{:.1f} [{:.1f}, {:.1f}]".format(*words_read(table, *way))


def of_all_tokens(table, *way) -> str:
    """The same in % of the words that all tokens read."""
    estimate = words_read(table, *way, of_those_of_all_tokens=True)
    return "{:.1f} [{:.1f}, {:.1f}]".format(*estimate)


def plot_layers(table, keep_ratio: float = 0.5):
    """Words read by the layer that scores and whose queries count, with kept and with renumbered positions."""
    figure, axes = pyplot.subplots(
        1, 2, figsize=(10, 4.2), layout="constrained", sharey=True
    )
    full = words_read(table, "all", 1, "keep", 1.0)[0]
    for axis, positions in zip(axes, ("keep", "repack"), strict=True):
        for shift, queries, color, marker in (
            (-0.06, "all", YELLOW, "s"),
            (0.06, "question", PURPLE, "o"),
        ):
            found = [
                words_read(table, queries, layer, positions, keep_ratio)
                for layer in range(4)
            ]
            places = [layer + shift for layer in range(4)]
            _estimates(
                axis,
                places,
                found,
                color=color,
                marker=marker,
                label=f'queries="{queries}"',
            )
        none = [words_read(table, "none", 0, positions, keep_ratio)]
        _estimates(
            axis, [4], none, color=SKY, marker="^", linestyle="", label='queries="none"'
        )
        axis.axhline(full, color=BLACK, linestyle=":", label="all tokens")
        axis.set(title=f'positions="{positions}"', ylim=(0, 75), xticks=range(5))
        axis.set_xticklabels(["layer 0", "1", "2", "3", "no layer"])
    axes[0].set_ylabel("words read, %")
    axes[0].legend(frameon=False, loc="lower right")
    return figure


def plot_training(tables: dict):
    """
    Words read over the share of tokens that stays, of those that all tokens read.

    Args:
        tables: From a label to a result of the benchmark's scoring, and queries, layer and positions.
    """
    figure, axis = pyplot.subplots(figsize=(9, 4.5), layout="constrained")
    ratios, styles = (1.0, 0.5, 0.25), zip((YELLOW, BLACK, PURPLE), "sxo", strict=True)
    for shift, (label, (table, *way)), (color, marker) in zip(
        (-0.03, 0, 0.03), tables.items(), styles, strict=True
    ):
        some = [
            words_read(table, *way, ratio, of_those_of_all_tokens=True)
            for ratio in ratios[1:]
        ]
        places = [place + shift for place in range(3)]
        _estimates(
            axis,
            places,
            [(100, 100, 100), *some],
            color=color,
            marker=marker,
            label=label,
        )
    axis.set(
        xlabel="keep_ratio",
        ylabel="words, % of those of all tokens",
        ylim=(0, 110),
        xticks=range(3),
    )
    axis.set_xticklabels(ratios)
    axis.legend(frameon=False, loc="lower left")
    return figure


def plot_cut_words(estimates: dict, of: str):
    """Words cut by the detailed grid and by every grid, each (value, low, high), from a method to both."""
    figure, axis = pyplot.subplots(figsize=(9, 3.4), layout="constrained")
    labels = ("cut by the detailed grid", "cut by every grid")
    for column, (color, marker) in enumerate(((BLUE, "o"), (BLACK, "s"))):
        for place, each in enumerate(estimates.values()):
            value, low, high = (100 * end for end in each[column])
            style = {"fmt": marker, "color": color, "capsize": 3}
            style["label"] = None if place else labels[column]
            error = [[value - low], [high - value]]
            axis.errorbar(value, place + 0.3 * column - 0.15, xerr=error, **style)
    axis.set_yticks(range(len(estimates)), list(estimates))
    axis.invert_yaxis()
    axis.set(xlabel=f"words that are cut, % of {of}, 95% interval", xlim=(0, 62))
    axis.legend(frameon=False, loc="center right")
    return figure


def plot_distortion(rows: dict):
    """Words that stay cut over the distortion of the second grid, from a rule to its row of `geometry.csv`."""
    figure, axis = pyplot.subplots(figsize=(9, 4), layout="constrained")
    for rule, row in rows.items():
        x, cut = row["distortion_median"], 100 * row["cut"]
        error = [[cut - 100 * row["cut_low"]], [100 * row["cut_high"] - cut]]
        marker = "s" if rule in ("disjoint", "joint") else "o"
        axis.errorbar(x, cut, yerr=error, fmt=marker, color=BLACK)
        axis.annotate(f"{rule} ({row['tiles']:.1f} tiles)", (x + 0.012, cut + 0.12))
    axis.set(xlabel="median distortion of the second grid, 1 is none")
    axis.set(ylabel="words that stay cut, %", xlim=(0.97, 1.6), ylim=(0, 5.7))
    return figure


def plot_moved(panels: dict, accuracies: dict, of: str):
    """
    Character accuracy over the place of a word, a panel for each direction of the cut line.

    Args:
        panels: From a direction to its title.
        accuracies: From (direction, method) to a dict from an offset in tiles to an estimate.
        of: How many words.
    """
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(10, 4), sharey=True, layout="constrained"
    )
    for axis, (direction, title) in zip(axes, panels.items(), strict=True):
        for shift, (method, color) in zip(
            (-0.008, 0.008), METHOD_COLORS.items(), strict=True
        ):
            found = accuracies[direction, method]
            values = [tuple(100 * end for end in each) for each in found.values()]
            places = [offset + shift for offset in found]
            _estimates(axis, places, values, fmt="o-", color=color, label=method)
        axis.axvline(0, color=BLACK, linestyle="--", linewidth=1)
        axis.set(xlabel="center of the word from the line, tiles", title=title)
    axes[0].set_ylabel(f"character accuracy, %\n({of} per point)")
    axes[1].legend(frameon=False, loc="lower right")
    return figure


def plot_depths(panels: dict, found: dict):
    """
    How deep the sawtooth is, and what CIP gains, a column for each direction of the cut line.

    Args:
        panels: From a direction to its title.
        found: From (model, direction) to the depth without and with CIP, and the gain on lines and everywhere.
    """
    names = list(dict.fromkeys(name for name, _ in found))
    size = {"figsize": (10, 5), "sharey": True, "sharex": "row"}
    figure, axes = pyplot.subplots(2, len(panels), layout="constrained", **size)
    ways = list(METHOD_COLORS.items())
    gains = [("on the lines", BLACK), ("everywhere", GRAY)]
    for column, (direction, title) in zip(axes.T, panels.items(), strict=True):
        column[0].set_title(title)
        for row, name in enumerate(names):
            estimates = found[name, direction]
            for place, (label, color) in enumerate(ways + gains):
                value, low, high = (100 * end for end in estimates[place])
                style = {"fmt": "o" if place < 3 else "s", "capsize": 3}
                style |= {"color": color, "label": None if row else label}
                shift = (-0.14, 0.14)[place % 2]
                error = [[value - low], [high - value]]
                column[place // 2].errorbar(value, row + shift, xerr=error, **style)
        column[0].set_xlabel("depth, points of character accuracy")
        column[1].set_xlabel("gain of CIP, points of character accuracy")
        for axis in column:
            axis.axvline(0, color=BLACK, linewidth=1)
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].set_ylim(len(names) - 0.5, -0.5)
    for axis, where in zip(axes[:, 1], ("lower right", "lower left"), strict=True):
        axis.legend(frameon=False, loc=where)
    return figure


def cut_between_rows(words, tile: int, letters: int = 5) -> list[tuple]:
    """
    Those of the words on the benchmark's pages that a line between detailed tiles halves and `joint` shows whole.

    Args:
        words: Readings of pages.
        tile: Side of a tile in px.
        letters: The fewest letters of a word.

    Returns:
        Word, page, the word's box, the detailed tiles, and tiles of `joint` that show it whole, of each.
    """
    found = []
    for number, word in words[["page", "word"]].to_numpy():
        if len(word) < letters or not word.isalpha():
            continue
        page = make_page(number, tile)
        box = left, top, _, bottom = dict(word_boxes(page))[word]
        size = page.image.size
        detailed, *_ = METHODS["detailed + global"](*size, tile, None)
        views = METHODS["pyramid joint"](*size, tile, None)
        whole = next(view for view in views if not is_cut(view, size, box))
        if is_cut(detailed, size, (left, top, left, bottom)):
            found.append((word, page.image, box, detailed, whole))
    return found


RECOGNIZER = {
    "detailed grid alone": (GRAY, "v"),
    "detailed + global": (BLUE, "o"),
    "finer grid + global": (SKY, "^"),
    "overlap + global": (PURPLE, "D"),
    "CIP any": (ORANGE, "s"),
    "CIP joint": (YELLOW, "P"),
}


def plot_recognizer(readings):
    """A halved word in both grids, and the words read over how near to their middle a line between rows runs."""
    figure = pyplot.figure(figsize=(10.5, 4.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 2.3])
    row = recognizer.example(readings)
    page = draw_page(row["page"])
    (word,) = (
        each
        for each in page.words
        if each.text == row["text"] and each.depth == row["depth"]
    )
    titles = {
        "detailed": (BLUE, "in the detailed grid"),
        "second": (ORANGE, "in the second grid"),
    }
    for axis, (name, (color, title)) in zip(
        left.subplots(2, 1, height_ratios=[1.4, 1]), titles.items(), strict=True
    ):
        parts = recognizer.shown(page.image, views_of(page.image.size)[name], word.box)
        _draw_parts(axis, parts, row[name].split("  "), color)
        axis.set_title(title, color=color, loc="left", fontsize=11)
    axis, halved = right.subplots(), readings[readings["kind"] == "row"]
    ends, labels = (0, 0.15, 0.3, 0.51), []
    for place, (low, high) in enumerate(zip(ends, ends[1:], strict=False)):
        some = halved[(halved["depth"] >= low) & (halved["depth"] < high)]
        labels.append(
            f"{100 * low:.0f} to {100 * min(high, 0.5):.0f}%\n(n = {len(some)})"
        )
        for number, (method, (color, marker)) in enumerate(RECOGNIZER.items()):
            estimate = [tuple(100 * end for end in share_read(some, method))]
            style = {
                "color": color,
                "marker": marker,
                "label": None if place else method,
            }
            _estimates(axis, [place + 0.11 * (number - 2.5)], estimate, **style)
    axis.set(ylim=(35, 102), xlim=(-0.5, 2.5), ylabel="words read, %")
    axis.set_xticks(range(len(labels)), labels)
    axis.set_xlabel("the line's distance from the word's nearer edge, % of its height")
    axis.legend(frameon=False, loc="lower left")
    return figure


def _draw_parts(axis, parts, answers: list[str], color: str) -> None:
    """Parts of a word below each other, and what was read of each."""
    top, gap = 0, 6
    for part, answer in zip(parts, answers, strict=True):
        bottom = top + part.height
        axis.imshow(part, extent=(0, part.width, bottom, top), interpolation="nearest")
        frame = {"fill": False, "edgecolor": color, "linewidth": 2, "clip_on": False}
        axis.add_patch(pyplot.Rectangle((0, top), part.width, part.height, **frame))
        axis.text(
            1.06 * part.width,
            (top + bottom) / 2,
            f"“{answer}”",
            color=color,
            va="center",
        )
        top = bottom + gap
    axis.set(
        xlim=(-1, 1.75 * parts[0].width),
        ylim=(top - gap + 1, -1),
        aspect="equal",
        anchor="NW",
    )
    axis.set_axis_off()
