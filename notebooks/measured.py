"""Figures of what the benchmarks measured; each function gives a matplotlib figure, for `course.show`."""

from matplotlib import pyplot

from benchmarks.memory.prefill import TEXT_AFTER
from benchmarks.speed.costs import Sizes, layer_cost, predicted_ratio, scoring_cost
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


def serving_prices(table) -> list[list[str]]:
    """Rows of a table: what the words of all tokens become, by how tokens are chosen and where they stand."""
    ways = {
        "`question`, layer 2": ("question", 2, "keep"),
        "`none`, as if the engine could keep positions": ("none", None, "keep"),
        "`none`, as the engine does it": ("none", None, "repack"),
    }
    rows = []
    for name, way in ways.items():
        shares = [of_all_tokens(table, *way, ratio) for ratio in (0.5, 0.25)]
        rows.append([name, f"`{way[2]}`", *shares])
    return rows


def prefill_shares(prefill: dict) -> tuple[dict, tuple, float]:
    """
    What half of the detailed tokens leave of the benchmark's prefill, the quartiles of its time, and how many layers
    scoring costs, counted.

    Args:
        prefill: Of `benchmarks/speed/results.json`: 8 layers, 12 detailed tiles, 6 of the second grid, 1 global.
    """
    sizes = Sizes(layers=8, hidden=512, intermediate=2048, query=512, key=256)
    tokens, kept = prefill["tokens"], prefill["kept_tokens"]
    queries = (6 + 1) * 256 + TEXT_AFTER
    ratio = prefill["ratio"]["keep_ratio 0.5"]
    shares = {
        "tokens that stay": kept / tokens,
        "counted operations": predicted_ratio(sizes, tokens, kept, queries),
        "measured": ratio["median"],
    }
    scoring = scoring_cost(sizes, tokens, queries) / layer_cost(sizes, tokens)
    return shares, (ratio["lower_quartile"], ratio["upper_quartile"]), scoring
