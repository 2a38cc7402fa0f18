"""Figures of what the benchmarks measured; each function gives a matplotlib figure, for `course.show`."""

import numpy as np
from matplotlib import pyplot

from benchmarks.memory.prefill import TEXT_AFTER
from benchmarks.recognizer import figure as recognizer
from benchmarks.recognizer.pages import draw_page
from benchmarks.recognizer.reading import views_of
from benchmarks.recognizer.scoring import share_read
from benchmarks.sawtooth.cutting import METHODS, is_cut
from benchmarks.sawtooth.measurements.pages import word_boxes
from benchmarks.sawtooth.readers.documents import make_page
from benchmarks.sawtooth.report.statistics import bootstrap, mean, ratio
from benchmarks.speed.costs import Sizes, layer_cost, scoring_cost
from course import (
    BLACK,
    BLUE,
    GRAY,
    ORANGE,
    OWN,
    PUBLISHED,
    PURPLE,
    SKY,
    YELLOW,
    cell,
    of_all_tokens,
    of_way,
    whiskers,
    words_read,
)


METHOD_COLORS = {"detailed + global": BLUE, "CIP any": ORANGE}
RULE_STYLES = {"any": (ORANGE, "o"), "joint": (BLACK, "s")}
# More ways to score tokens, as `of_way` takes them
ALL_TOKENS = {"queries": "all", "layer": 1, "positions": "keep", "keep_ratio": 1.0}
AT_RANDOM = {"queries": "random", "layer": 0, "positions": "keep"}
BY_INK = {"queries": "ink", "layer": 0, "positions": "keep"}  # asks no model
NO_QUESTION = {"queries": "none", "layer": 0, "positions": "keep"}
KEPT = (OWN, NO_QUESTION, {**PUBLISHED, "positions": "keep"}, AT_RANDOM)
SHARES = (0.5, 0.25)


def _estimates(axis, places, estimates, **style) -> None:
    """Points with their intervals; each estimate is the value and both ends of its interval."""
    values, low, high = np.array(estimates).T
    spread = whiskers(values, low, high)
    axis.errorbar(places, values, spread, capsize=4, **style)


def ways_at(keep_ratio: float) -> dict:
    """Who scores, where, and which positions: from a label to a way to score."""
    published, own = ({**each, "keep_ratio": keep_ratio} for each in (PUBLISHED, OWN))
    return {
        "all tokens stay": ALL_TOKENS,
        "published rule: all, layer 1, renumbered": published,
        "all, layer 1, kept": {**published, "positions": "keep"},
        "all, layer 2, kept": {**own, "queries": "all"},
        "question, layer 1, kept": {**own, "layer": 1},
        "own rule: question, layer 2, kept": own,
    }


def rows_of_ways(table, *keep_ratios: float) -> tuple[list, list]:
    """
    Head and rows: words read by each of `ways_at`, and on the same pages what another layer and another asker gain.
    """
    columns = []
    for keep_ratio in keep_ratios:
        ways = ways_at(keep_ratio)
        column = {name: words(table, **way) for name, way in ways.items()}
        all_1, all_2, asked_1, asked_2 = list(ways.values())[-4:]
        pairs = {
            "all, layer 2 minus layer 1": (all_2, all_1),
            "layer 1, question minus all": (asked_1, all_1),
            "layer 2, question minus all": (asked_2, all_2),
            "question, layer 2 minus layer 1": (asked_2, asked_1),
        }
        for name, pair in pairs.items():
            column[f"points: {name}"] = paired(table, *pair)
        columns.append(column)
    head = [
        "the model before, words read, %",
        *(f"keep_ratio {r}" for r in keep_ratios),
    ]
    return head, [[name, *(each[name] for each in columns)] for name in columns[0]]


def words(table, **way) -> str:
    """A cell of a table: words read in % with the interval, by one way to score (see `course.words_read`)."""
    return cell(words_read(table, **way))


def paired(table, way: dict, other: dict) -> str:
    """Words read by one way minus those by another on the same pages, in points of all words."""
    first, second = of_way(table, **way), of_way(table, **other)
    more = ratio(first["words_read"] - second["words_read"], first["words"])
    return cell([100 * end for end in bootstrap(first.index, more)], "+")


def change(before, after, **way) -> str:
    """What training added to the share of the words that all tokens read, in points, over the same pages."""
    shares = []
    for table in (after, before):
        found = of_way(table, **way)
        if not len(found):
            return "–"
        shares.append(
            ratio(found["words_read"], of_way(table, **ALL_TOKENS)["words_read"])
        )
    return cell(
        [100 * end for end in bootstrap(found.index, shares[0] - shares[1])], "+"
    )


def plot_layers(table, keep_ratio: float = 0.5):
    """Words read by the layer that scores and whose queries count, with kept and with renumbered positions."""
    figure, axes = pyplot.subplots(
        1, 2, figsize=(10, 4.2), layout="constrained", sharey=True
    )
    full = words_read(table, **ALL_TOKENS)[0]
    styles = ((-0.06, "all", YELLOW, "s"), (0.06, "question", PURPLE, "o"))
    for axis, positions in zip(axes, ("keep", "repack"), strict=True):
        how = {"positions": positions, "keep_ratio": keep_ratio}
        for shift, queries, color, marker in styles:
            found = [
                words_read(table, queries=queries, layer=layer, **how)
                for layer in range(4)
            ]
            style = {"color": color, "marker": marker, "label": f'queries="{queries}"'}
            _estimates(axis, [layer + shift for layer in range(4)], found, **style)
        none = [words_read(table, queries="none", layer=0, **how)]
        style = {
            "color": SKY,
            "marker": "^",
            "linestyle": "",
            "label": 'queries="none"',
        }
        _estimates(axis, [4.4], none, **style)
        axis.axhline(full, color=BLACK, linestyle=":", label="all tokens")
        numbers = "kept" if positions == "keep" else "renumbered"
        axis.set(title=f"before training: numbers {numbers}", ylim=(0, 75))
        axis.set_xlabel("scoring layer")
        axis.set_xticks([0, 1, 2, 3, 4.4], ["0", "1", "2", "3", "none"])
    axes[0].set_ylabel("words read, %")
    axes[0].legend(frameon=False, loc="lower right")
    return figure


def training_rows(before, with_gaps, after) -> tuple[list, list]:
    """
    Head and rows: words of those that all tokens read by three models, and the change from the first to the last.
    """
    rules = {
        "own rule": OWN,
        "question, layer 2, renumbered": {**OWN, "positions": "repack"},
        "published rule": PUBLISHED,
        "all, layer 1, kept": {**PUBLISHED, "positions": "keep"},
        "no question, kept": NO_QUESTION,
        "no question, renumbered": {**NO_QUESTION, "positions": "repack"},
        "most ink, kept": BY_INK,
        "at random, kept": AT_RANDOM,
    }
    three = before, with_gaps, after
    every = [words(table, **ALL_TOKENS) for table in three]
    rows = [["all tokens, % of all words", *every, "–"]]
    for share in SHARES:
        for label, rule in rules.items():
            way = {**rule, "keep_ratio": share}
            cells = [of_all_tokens(each, **way) for each in three]
            rows.append([f"{share}: {label}", *cells, change(before, after, **way)])
    head = ["words, % of those of all tokens", "before", "with gaps", "after", "change"]
    return head, rows


def rows_of_none(before, after) -> tuple[list, list]:
    """Head and rows: words read by the question, by the norm of the features, and the difference."""
    rows = []
    for label, table in (("before", before), ("after", after)):
        for share in SHARES:
            ways = [{**each, "keep_ratio": share} for each in (OWN, NO_QUESTION)]
            cells = [words(table, **way) for way in ways]
            rows.append([f"{label}, {share}", *cells, paired(table, *ways)])
    head = ["own rule", "no question", "difference, points"]
    return ["200 pages, words read, %", *head], rows


def after_differences(after) -> tuple[list, list]:
    """Head and rows: words read after training by other rules minus those by the own one, on the same pages."""
    others = {
        "question, layer 3": {**OWN, "layer": 3},
        "no question": NO_QUESTION,
        "most ink": BY_INK,
    }
    rows = []
    for label, other in others.items():
        ways = [({**other, "keep_ratio": r}, {**OWN, "keep_ratio": r}) for r in SHARES]
        rows.append([label, *(paired(after, *each) for each in ways)])
    return ["after, minus own rule, points", *map(str, SHARES)], rows


def plot_training(before, after):
    """Words read over the share of tokens that stays, of those that all tokens read, before and after training."""
    question, none = ("question, layer 2", PURPLE, "o"), ("no question", SKY, "^")
    published, random = ("all, layer 1", YELLOW, "s"), ("at random", GRAY, "x")
    kept = dict(zip((question, none, published, random), KEPT, strict=True))
    renumbered = {
        name: {**kept[name], "positions": "repack"} for name in list(kept)[:3]
    }
    figure, axes = pyplot.subplots(
        1, 2, figsize=(11, 4.8), layout="constrained", sharey=True
    )
    for axis, rules in zip(axes, (kept, renumbered), strict=True):
        for place, ((label, color, marker), rule) in enumerate(rules.items()):
            for table, line in ((before, "--"), (after, "-")):
                shift = 0.01 * (place - 1) + (0.002 if table is after else -0.002)
                ways = [{**rule, "keep_ratio": share} for share in SHARES[::-1]]
                ways = [way for way in ways if len(of_way(table, **way))]
                if not ways:
                    continue
                places = [*(way["keep_ratio"] + shift for way in ways), 1]
                found = [
                    words_read(table, **way, of_those_of_all_tokens=True)
                    for way in ways
                ]
                style = {"color": color, "marker": marker, "linestyle": line}
                style["label"] = f"{label}, {'before' if table is before else 'after'}"
                style["markerfacecolor"] = "white" if table is before else color
                if color == SKY and line == "-":  # wider, below the pink one
                    style |= {"linewidth": 3.5, "elinewidth": 1.5, "zorder": 1.5}
                _estimates(axis, places, [*found, (100, 100, 100)], **style)
        axis.set(xlabel="keep_ratio", ylim=(0, 110), xticks=(0.25, 0.5, 1))
    axes[0].legend(frameon=False, loc="lower right", fontsize=9)
    axes[0].set(title="before and after: numbers kept")
    axes[1].set(title="before and after: renumbered")
    axes[0].set_ylabel("words, % of those of all tokens")
    return figure


def plot_answers(table, kinds: dict, askers: dict):
    """
    Exact answers over the share of tokens that stays, a panel for each kind of page, a line for each rule.

    Args:
        table: A result of the benchmark's steering.
        kinds: From a kind of page to its title.
        askers: From a rule there to its label.
    """
    figure, axes = pyplot.subplots(
        1, len(kinds), figsize=(10, 4), layout="constrained", sharey=True
    )
    styles = list(zip(askers.items(), (YELLOW, GRAY, PURPLE), "sxo", strict=True))
    for axis, (kind, title) in zip(axes, kinds.items(), strict=True):
        for place, ((queries, label), color, marker) in enumerate(styles):
            chosen = (table["kind"] == kind) & (table["queries"] == queries)
            shares = sorted(table[chosen]["keep_ratio"].unique())
            found = []
            for share in shares:
                some = table[chosen & (table["keep_ratio"] == share)]
                pages, exact = some["page"].to_numpy(), some["exact"].to_numpy(float)
                found.append([100 * end for end in bootstrap(pages, mean(exact))])
            places = np.array(shares) + 0.008 * (place - 1)
            style = {"color": color, "marker": marker, "label": label}
            _estimates(axis, places, found, **style)
        axis.set(title=title, xlabel="keep_ratio", xticks=shares, ylim=(0, 100))
    axes[0].set_ylabel("exact answers, %")
    axes[0].legend(frameon=False, loc="lower right")
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
            error = whiskers(value, low, high)
            axis.errorbar(value, place + 0.3 * column - 0.15, xerr=error, **style)
    names = [method.replace("pyramid", "CIP") for method in estimates]
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set(xlabel=f"words that are cut, % of {of}, 95% interval", xlim=(0, 46))
    figure.legend(frameon=False, loc="outside upper center", ncols=2)
    return figure


def plot_pairs(pairs: dict, groups: list[str], moved: dict):
    """
    What models read more than their controls, a panel for each group of words on pages, and one for moved words.

    Args:
        pairs: From the name of a pair, which ends with a rule, to an estimate (value, low, high) for each group.
        groups: Names of the groups.
        moved: From (name of a pair, "one grid" or the rule) to an estimate of letters.
    """
    size = {"figsize": (11.5, 2.8), "layout": "constrained", "sharey": True}
    figure, axes = pyplot.subplots(1, len(groups) + 1, **size)
    for axis in axes[1:-1]:
        axis.sharex(axes[0])

    def draw(axis, place, each, color, marker, **more):
        value, low, high = (100 * end for end in each)
        style = {"fmt": marker, "color": color, "capsize": 4, "markersize": 7} | more
        axis.errorbar(value, place, xerr=whiskers(value, low, high), **style)

    styles = [RULE_STYLES[name.rsplit(" ", 1)[-1]] for name in pairs]
    for place, (name, found) in enumerate(pairs.items()):
        for axis, each in zip(axes, found, strict=False):
            draw(axis, place, each, *styles[place])
        rule = f"CIP {name.rsplit(' ', 1)[-1]}"
        draw(axes[-1], place - 0.14, moved[name, rule], *styles[place])
        one_grid = moved[name, "one grid"]
        draw(axes[-1], place + 0.14, one_grid, *styles[place], markerfacecolor="white")
    titles = [*groups, "letters of moved words"]
    units = [*("words" for _ in groups), "letters"]
    for axis, title, unit in zip(axes, titles, units, strict=True):
        axis.axvline(0, color=BLACK, linestyle="--", linewidth=1)
        axis.set(xlabel=f"points of {unit} over its control")
        axis.set_title(title, fontsize=11)
        axis.set_yticks(range(len(pairs)), list(pairs))
    axes[0].set_ylim(len(pairs) - 0.5, -0.5)
    for label, face in (("read as trained", GRAY), ("read with one grid", "white")):
        style = {"markeredgecolor": GRAY, "markerfacecolor": face, "linestyle": ""}
        axes[-1].plot([], [], marker="o", label=label, **style)
    figure.legend(loc="outside lower right", ncols=2, frameon=False)
    return figure


def plot_distortion(rows: dict):
    """
    Words that stay cut over distortion, from a rule to its row of `geometry.csv`: that of the second grid in the
    median, beside lines for ways with one grid; and that of the page that is worse than 90%, for these in their grid.
    """
    size = {"figsize": (11.5, 4.2), "width_ratios": (3, 2), "sharey": True}
    figure, axes = pyplot.subplots(1, 2, layout="constrained", **size)
    for rule, row in rows.items():
        cut, low, high = (100 * row[name] for name in ("cut", "cut_low", "cut_high"))
        style = {"color": BLACK, "yerr": whiskers(cut, low, high)}
        style["fmt"] = "s" if rule in ("disjoint", "joint") else "o"
        style["markerfacecolor"] = "white" if rule == "shifted" else BLACK
        x, tiles = row["distortion_90"], f"{rule} ({row['tiles']:.1f} tiles)"
        above = cut * {"shifted": 0.85, "overlap + global": 0.98}.get(rule, 1.05)
        if rule in ("detailed + global", "overlap + global"):
            x, style["fmt"] = row["detailed_distortion_90"], "^"
            axes[0].axhline(cut, color=GRAY, linestyle="--", linewidth=1.2)
            axes[0].axhspan(low, high, color=GRAY, alpha=0.2, linewidth=0)
            place = {"ha": "right", "va": "bottom", "fontsize": 9}
            axes[0].annotate(tiles, (2.37, cut * 1.01), **place)
        else:
            axes[0].errorbar(row["distortion_median"], cut, **style)
            aside = (-0.02, "right") if rule == "all" else (0.02, "left")
            place = {"ha": aside[1], "fontsize": 9}
            axes[0].annotate(
                tiles, (row["distortion_median"] + aside[0], above), **place
            )
        axes[1].errorbar(x, cut, **style)
        axes[1].annotate(rule.removesuffix(" + global"), (x + 0.06, above), fontsize=9)
    axes[0].set(xlabel="distortion of the second grid, median; 1 is none")
    axes[0].set(ylabel="words that stay cut, %", xlim=(1, 2.4))
    axes[0].set(yscale="log", ylim=(0.33, 6.8))
    ticks = (0.4, 0.6, 1, 2, 3, 5)
    axes[0].set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes[0].minorticks_off()
    axes[1].set(xlabel="distortion that a tenth of the grids exceeds", xlim=(0.9, 4.4))
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
        side = {"y": "above", "x": "left of"}[direction]
        axis.set(xlabel=f"center of the word, tiles (negative: {side} the line)")
        axis.set_title(title)
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
                error = whiskers(value, low, high)
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


def cut_between_rows(words, tile: int) -> list[tuple]:
    """
    Those of the words on the benchmark's pages that lines between rows alone cut and `joint` shows whole.

    Args:
        words: Readings of pages.
        tile: Side of a tile in px.

    Returns:
        Word with where it is cut, page, the word's box, the detailed tiles, and tiles of `joint` that show it whole,
        of each; first those that are cut nearest to their middle.
    """
    found = []
    for number, word in words[["page", "word"]].to_numpy():
        page = make_page(number, tile)
        box = left, top, right, bottom = dict(word_boxes(page))[word]
        size = page.image.size
        detailed, *_ = METHODS["detailed + global"](*size, tile, None)
        if is_cut(detailed, size, (left, top, right, top)):
            continue
        row = size[1] / detailed.grid[1]
        above = (-top % row) / (bottom - top)  # what of its height is above the line
        views = METHODS["pyramid joint"](*size, tile, None)
        whole = next(view for view in views if not is_cut(view, size, box))
        title = f"{word}: cut at {above:.0%} of its height"
        found.append((abs(above - 0.5), (title, page.image, box, detailed, whole)))
    return [each for _, each in sorted(found, key=lambda each: each[0])]


RECOGNIZER = {
    "detailed + global": (BLUE, "o"),
    "finer grid + global": (SKY, "^"),
    "overlap + global": (PURPLE, "D"),
    "CIP any": (ORANGE, "s"),
    "CIP joint": (BLACK, "v"),
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
            _estimates(axis, [place + 0.13 * (number - 2)], estimate, **style)
    axis.set(ylim=(58, 102), xlim=(-0.5, 2.5), ylabel="words read, %")
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


def serving_prices(tables: dict) -> list[list[str]]:
    """Rows of a table: what the words of all tokens become, by model, how tokens are chosen and where they stand."""
    ways = {
        "`question`, layer 2": OWN,
        "`none`, as if the engine could keep positions": NO_QUESTION,
        "`none`, as the engine does it": {**NO_QUESTION, "positions": "repack"},
    }
    rows = []
    for model, table in tables.items():
        for name, way in ways.items():
            shares = [of_all_tokens(table, **way, keep_ratio=each) for each in SHARES]
            rows.append([model, name, f"`{way['positions']}`", *shares])
    return rows


def prefill_shares(prefill: dict) -> tuple[dict, tuple]:
    """
    What half of the detailed tokens leave of the benchmark's prefill, and the quartiles of its time.

    Args:
        prefill: Of `benchmarks/speed/results.json`.
    """
    ratio = prefill["ratio"]["keep_ratio 0.5"]
    shares = {
        "tokens that stay": prefill["kept_tokens"] / prefill["tokens"],
        "counted operations": sum(counted_parts(prefill, 8)[:2]),
        "measured time": ratio["median"],
    }
    return shares, (ratio["lower_quartile"], ratio["upper_quartile"])


def counted_parts(prefill: dict, layers: int) -> tuple[float, float, float]:
    """
    What half of the detailed tokens leave of the benchmark's prefill with so many layers, counted: the work of all
    layers over those that stay, that of scoring, both as shares of the work with all tokens, and scoring in layers.

    Args:
        prefill: Of `benchmarks/speed/results.json`: 12 detailed tiles, 6 of the second grid, 1 global.
        layers: Of the language model; the benchmark's has 8.
    """
    sizes = Sizes(layers=layers, hidden=512, intermediate=2048, query=512, key=256)
    tokens, kept = prefill["tokens"], prefill["kept_tokens"]
    whole = layer_cost(sizes, tokens)
    scoring = scoring_cost(sizes, tokens, (6 + 1) * 256 + TEXT_AFTER) / whole
    return layer_cost(sizes, kept) / whole, scoring / layers, scoring
