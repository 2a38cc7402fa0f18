"""Figures of what the benchmarks measured; each function gives a matplotlib figure, for `course.show`."""

from matplotlib import pyplot

from benchmarks.sawtooth.report.statistics import bootstrap, ratio
from course import BLACK, BLUE, GRAY, ORANGE, PURPLE, SKY, YELLOW, words_read


METHOD_COLORS = {"detailed + global": BLUE, "pyramid any": ORANGE}


def _estimates(axis, places, estimates, **style) -> None:
    """Points with their intervals; each estimate is the value and both ends of its interval."""
    values, low, high = zip(*estimates, strict=True)
    below, above = (
        [abs(v - e) for v, e in zip(values, ends, strict=True)] for ends in (low, high)
    )
    axis.errorbar(places, values, (below, above), capsize=4, **style)


PUBLISHED = {"queries": "all", "layer": 1, "positions": "repack"}
OWN = {"queries": "question", "layer": 2, "positions": "keep"}  # the checkpoint's
ALL_TOKENS = {"queries": "all", "layer": 1, "positions": "keep", "keep_ratio": 1.0}


AT_RANDOM = {"queries": "random", "layer": 0, "positions": "keep"}
NO_QUESTION = {"queries": "none", "layer": 0, "positions": "keep"}


def ways_at(keep_ratio: float) -> dict:
    """Who scores, where, and which positions: from a label to a way to score."""
    published, own = ({**each, "keep_ratio": keep_ratio} for each in (PUBLISHED, OWN))
    return {
        "all tokens stay": ALL_TOKENS,
        "published: all, layer 1, renumbered": published,
        "all, layer 1, positions kept": {**published, "positions": "keep"},
        "question, layer 1, positions kept": {**own, "layer": 1},
        "question, layer 2, positions kept": own,
    }


def _cell(estimate, sign: str = "") -> str:
    return "{:{s}.1f} [{:{s}.1f}, {:{s}.1f}]".format(*estimate, s=sign)


def words(table, **way) -> str:
    """A cell of a table: words read in % with the interval, by one way to score (see `course.words_read`)."""
    return _cell(words_read(table, **way))


def of_all_tokens(table, **way) -> str:
    """The same in % of the words that all tokens read; a dash where it was not measured."""
    if not len(_of_way(table, **way)):
        return "–"
    return _cell(words_read(table, **way, of_those_of_all_tokens=True))


def _of_way(table, queries: str, layer: int, positions: str, keep_ratio: float):
    """Readings by one way to score, by page."""
    way = (table["positions"] == positions) & (table["keep_ratio"] == keep_ratio)
    way &= (table["queries"] == queries) & (
        (table["layer"] == layer) | (queries == "none")
    )
    return table[way].set_index("page").sort_index()


def paired(table, way: dict, other: dict) -> str:
    """Words read by one way minus those by another on the same pages, in points of all words."""
    first, second = _of_way(table, **way), _of_way(table, **other)
    more = ratio(first["words_read"] - second["words_read"], first["words"])
    return _cell([100 * end for end in bootstrap(first.index, more)], "+")


def change(before, after, **way) -> str:
    """What training added to the share of the words that all tokens read, in points, over the same pages."""
    shares = []
    for table in (after, before):
        found = _of_way(table, **way)
        if not len(found):
            return "–"
        shares.append(
            ratio(found["words_read"], _of_way(table, **ALL_TOKENS)["words_read"])
        )
    return _cell(
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
        axis.set(title=f'positions="{positions}"', ylim=(0, 75), xlabel="scoring layer")
        axis.set_xticks([0, 1, 2, 3, 4.4], ["0", "1", "2", "3", "none"])
    axes[0].set_ylabel("words read, %")
    axes[0].legend(frameon=False, loc="lower right")
    return figure


def training_rows(before, after) -> list:
    """Words of those that all tokens read, before and after training, and the change, by share and rule."""
    rules = {
        "question, layer 2, kept": OWN,
        "question, layer 2, renumbered": {**OWN, "positions": "repack"},
        "published": PUBLISHED,
        "all, layer 1, kept": {**PUBLISHED, "positions": "keep"},
        "no question, kept": NO_QUESTION,
        "no question, renumbered": {**NO_QUESTION, "positions": "repack"},
        "at random, kept": AT_RANDOM,
    }
    rows = []
    for share in (0.5, 0.25):
        for label, rule in rules.items():
            way = {**rule, "keep_ratio": share}
            cells = [of_all_tokens(each, **way) for each in (before, after)]
            rows.append([f"{share}: {label}", *cells, change(before, after, **way)])
    return rows


def rows_of_none(before, after) -> list:
    """Words read by the question, by the norm of the features, and the difference, by model and share."""
    rows = []
    for label, table in (("before", before), ("after", after)):
        for share in (0.5, 0.25):
            ways = [{**each, "keep_ratio": share} for each in (OWN, NO_QUESTION)]
            cells = [words(table, **way) for way in ways]
            rows.append([f"{label}, {share}", *cells, paired(table, *ways)])
    return rows


def plot_training(before, after):
    """Words read over the share of tokens that stays, of those that all tokens read, before and after training."""
    rules = {
        "question, kept": OWN,
        "question, renumbered": {**OWN, "positions": "repack"},
        "published": PUBLISHED,
        "at random, kept": AT_RANDOM,
    }
    figure, axis = pyplot.subplots(figsize=(9, 4.8), layout="constrained")
    styles = zip((PURPLE, SKY, YELLOW, GRAY), "o^sx", strict=True)
    for (label, rule), (color, marker) in zip(rules.items(), styles, strict=True):
        for table, shift, line in ((before, -0.006, "--"), (after, 0.006, "-")):
            ways = [{**rule, "keep_ratio": share} for share in (0.25, 0.5)]
            ways = [way for way in ways if len(_of_way(table, **way))]
            if not ways:
                continue
            places = [*(way["keep_ratio"] + shift for way in ways), 1]
            found = [
                words_read(table, **way, of_those_of_all_tokens=True) for way in ways
            ]
            style = {"color": color, "marker": marker, "linestyle": line}
            style["label"] = f"{label}, {'before' if table is before else 'after'}"
            style["markerfacecolor"] = "white" if table is before else color
            _estimates(axis, places, [*found, (100, 100, 100)], **style)
    axis.set(xlabel="keep_ratio", ylabel="words, % of those of all tokens")
    axis.set(ylim=(0, 110), xticks=(0.25, 0.5, 1), xlim=(0.2, 1.03))
    axis.legend(frameon=False, loc="lower right")
    return figure


def plot_cut_words(estimates: dict, of: str):
    """Words cut by the detailed grid and by every grid, each (value, low, high), from a method to both."""
    figure, axis = pyplot.subplots(figsize=(9, 3.6), layout="constrained")
    places = range(len(estimates))
    for column, (shift, color, label) in enumerate(
        ((-0.17, BLUE, "the detailed grid"), (0.17, BLACK, "every grid"))
    ):
        for place, each in zip(places, estimates.values(), strict=True):
            value, low, high = (100 * end for end in each[column])
            error = {"xerr": [[value - low], [high - value]], "ecolor": GRAY}
            text = f"cut by {label}" if place == 0 else None
            axis.barh(place + shift, value, 0.32, color=color, label=text, **error)
    axis.set_yticks(places, list(estimates))
    axis.invert_yaxis()
    axis.set(xlabel=f"words that are cut, % of {of}, 95% interval", xlim=(0, 68))
    axis.legend(frameon=False)
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


def plot_depths(panels: dict, depths: dict):
    """
    How deep the sawtooth is, a panel for each direction of the cut line.

    Args:
        panels: From a direction to its title.
        depths: From (model, direction) to a dict from a method to an estimate.
    """
    names = list(dict.fromkeys(name for name, _ in depths))
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(10, 3), sharey=True, sharex=True, layout="constrained"
    )
    for axis, (direction, title) in zip(axes, panels.items(), strict=True):
        for row, name in enumerate(names):
            for shift, (method, color) in zip(
                (-0.12, 0.12), METHOD_COLORS.items(), strict=True
            ):
                value, low, high = (
                    100 * end for end in depths[name, direction][method]
                )
                error = [[value - low], [high - value]]
                style = {"fmt": "o", "color": color, "capsize": 3}
                label = method if row == 0 else None
                axis.errorbar(value, row + shift, xerr=error, label=label, **style)
        axis.axvline(0, color=BLACK, linewidth=1)
        axis.set(
            title=title, xlabel="depth, points of character accuracy", ylim=(2.5, -0.5)
        )
    axes[0].set_yticks(range(len(names)), [f"trained: {name}" for name in names])
    axes[1].legend(frameon=False)
    return figure
