"""All models side by side, for the report: is there a sawtooth, does CIP remove it, by which rule, what doesn't?"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.sawtooth.columns import Columns, choose, in_center, load, on_line, percent, stack
from benchmarks.sawtooth.methods import METHODS
from benchmarks.sawtooth.statistics import bootstrap, difference, mean


PLAIN, CIP = "detailed + global", "pyramid any"
JOINT = "pyramid joint"
PAGES = "words on pages"
LEARNED = "only in training"  # trained with CIP, read with plain tiling
BUDGET = ", tiles of the pyramid"  # how the names of methods end that have as many tiles
RULES = ("pyramid all", "pyramid disjoint", JOINT)
TRAINED = {"plain": "plain tiling", "control": "plain tiling, as long", "pyramid": "CIP"}
MARKERS = {"plain": "o", "control": "s", "pyramid": "^"}
LINES = {"y": "between rows", "x": "between columns"}  # the cut lines that a word meets when it is moved along an axis
Estimate = tuple[float, float, float]


def depth(columns: Columns, method: str) -> Estimate:
    """Character accuracy in the centers of tiles minus that on cut lines of the detailed grid."""
    found = choose(columns, columns["method"] == method)
    return bootstrap(found["word"], difference(found["accuracy"], in_center(found), on_line(found)))


def gain(columns: Columns, method: str, than: str, at_lines: bool = False) -> Estimate:
    """Character accuracy by one method minus that by another, on the same words at the same positions."""
    methods, sizes = columns["method"], columns["size"]
    chosen = np.isin(sizes, np.intersect1d(sizes[methods == method], sizes[methods == than]))  # read by both
    if at_lines:
        chosen &= on_line(columns)
    statistic = difference(columns["accuracy"], chosen & (methods == method), chosen & (methods == than))
    return bootstrap(columns["word"], statistic)


def page_gain(columns: Columns, method: str, than: str, chosen: np.ndarray | bool = True) -> Estimate:
    """Share of the `chosen` words on pages that are read by one method minus that by another."""
    methods = columns["method"]
    statistic = difference(columns["read"], chosen & (methods == method), chosen & (methods == than))
    return bootstrap(columns["page"], statistic)


def verdict(estimate: Estimate) -> str:
    """What the interval allows to say."""
    return "yes" if estimate[1] > 0 else "reversed" if estimate[2] < 0 else "not shown"


def compared(folder: Path) -> dict[str, Columns]:
    """The sweeps of all models that were read with and without CIP, by name."""
    found = {path.stem.removeprefix("sweep-"): load(path) for path in sorted(folder.glob("sweep-*.csv"))}
    return {name: columns for name, columns in found.items() if {PLAIN, CIP} <= set(columns["method"])}


def parts(columns: Columns) -> dict[tuple[str, float], Columns]:
    """The readings of every axis and size of the letters (px) that were taken with CIP."""
    sizes = np.unique(columns["size"][columns["method"] == CIP])
    return {
        (axis, size): choose(columns, (columns["axis"] == axis) & (columns["size"] == size))
        for axis in LINES
        for size in sizes
    }


def draw(models: dict[str, Columns], path: Path) -> None:
    figure, axes = plt.subplots(
        1, 2, figsize=(11, 0.5 * len(models) + 1.8), sharex=True, sharey=True, layout="constrained"
    )
    for panel, (axis, lines) in zip(axes, LINES.items(), strict=True):
        for place, columns in enumerate(reversed(models.values())):
            found = choose(columns, columns["axis"] == axis)
            for offset, method, color in ((0.12, PLAIN, "tab:blue"), (-0.12, CIP, "tab:orange")):
                middle, low, high = (100 * value for value in depth(found, method))
                panel.errorbar(middle, place + offset, xerr=[[middle - low], [high - middle]], fmt="o", color=color)
        panel.axvline(0, color="black", linewidth=0.8)
        panel.set_title(f"lines {lines}")
        panel.set(yticks=range(len(models)), yticklabels=[*models][::-1])
        panel.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("sawtooth depth: character accuracy in the centers of tiles minus on cut lines, in %")
    for label, color in ((PLAIN, "tab:blue"), (CIP, "tab:orange")):
        axes[1].plot([], [], "o", color=color, label=label)
    axes[1].legend(frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def sawtooth_section(models: dict[str, Columns], folder: Path) -> list[str]:
    draw(models, folder / "overview.png")
    rows = []
    for name, columns in models.items():
        model, trained = name.rsplit("-", 1)
        for (axis, size), found in parts(columns).items():
            before, after = depth(found, PLAIN), depth(found, CIP)
            at_lines = gain(found, CIP, PLAIN, at_lines=True)
            rows.append(
                f"| {model} | {TRAINED[trained]} | {LINES[axis]} | {size:g} | {(found['method'] == CIP).sum()} | "
                f"{percent(before)} | {verdict(before)} | {percent(after)} | {percent(at_lines)} | "
                f"{verdict(at_lines)} | {percent(gain(found, CIP, PLAIN))} |"
            )
    return [
        "## Is there a sawtooth, and does CIP remove it?",
        "",
        "![Depth of the sawtooth with and without CIP, per model](results/overview.png)",
        "",
        "Character accuracy in % with 95% intervals by bootstrap over the words; n readings per method, letters in px",
        "of the detailed tiles. Depth: in the centers of tiles minus on cut lines of the detailed grid. Lines between",
        "rows of tiles halve every letter of a word, those between columns part the word, or one letter. Gain: CIP",
        "(`any`) minus the model's own tiling, on the same words at the same places. Yes: the interval is above zero.",
        "",
        "| model | trained with | lines | letters | n | depth without CIP | a sawtooth? | depth with CIP | "
        "gain on lines | does CIP help there? | gain everywhere |",
        "| --- | --- | --- | ---: | ---: | --- | --- | --- | --- | --- | --- |",
        *rows,
        "",
    ]


@dataclass(frozen=True)
class Comparison:
    """What a model trained with CIP gains, read by `rule`, over one trained as long without, read by `than`."""

    model: str
    rule: str
    than: str
    read: str
    number: int
    everywhere: Estimate
    cut: Estimate


def rivals(folder: Path, task: str) -> dict[str, Columns]:
    """Per model, the readings by the model that was trained with CIP, and those without by the one trained without."""
    found = {}
    for path in sorted(folder.glob(f"{task}-*-pyramid.csv")):
        other = path.with_name(path.name.replace("-pyramid", "-control"))
        if other.exists():
            with_cip, without = load(path), load(other)
            with_cip = choose(with_cip, np.isin(with_cip["method"], (PLAIN, CIP, JOINT)))
            with_cip["method"] = np.where(with_cip["method"] == PLAIN, LEARNED, with_cip["method"])
            without = choose(without, np.isin(without["method"], (PLAIN, PLAIN + BUDGET)))
            found[path.stem.removeprefix(f"{task}-").removesuffix("-pyramid")] = stack(with_cip, without)
    return found


def pairings(columns: Columns) -> list[tuple[str, str, int]]:
    """The rules that were read, each with the tilings to compare it with, and the number of its readings."""
    methods = columns["method"]
    pairs = itertools.product((LEARNED, CIP, JOINT), (PLAIN, PLAIN + BUDGET))
    return [(rule, than, (methods == rule).sum()) for rule, than in pairs if {rule, than} <= set(methods)]


def comparisons(folder: Path) -> list[Comparison]:
    """Each model in the way it was trained for, after equally many steps: the question behind all others."""
    found = []
    for model, columns in rivals(folder, "sweep").items():
        for (axis, size), part in parts(columns).items():
            read = f"one word, lines {LINES[axis]}, {size:g} px"
            for rule, than, number in pairings(part):
                gains = gain(part, rule, than), gain(part, rule, than, at_lines=True)
                found.append(Comparison(model, rule, than, read, number, *gains))
    for model, columns in rivals(folder, "page").items():
        for rule, than, number in pairings(columns):
            gains = page_gain(columns, rule, than), page_gain(columns, rule, than, columns["cut_detailed"])
            found.append(Comparison(model, rule, than, PAGES, number, *gains))
    return found


def training_section(compared_training: list[Comparison]) -> list[str]:
    rows = [
        f"| {each.model} | {each.rule} | {each.than} | {each.read} | {each.number} | {percent(each.everywhere)} | "
        f"{percent(each.cut)} |"
        for each in compared_training
    ]
    if not rows:
        return []
    return [
        "## Is a model that is trained with CIP the better one?",
        "",
        "The model trained on with CIP and read with it, minus the one trained on for as many steps with plain tiling",
        "and read so, or with a finer grid of as many tiles as the pyramid, on the same words at the same places:",
        "character accuracy of moved words, and words read on pages, in points with 95% intervals. 3m-long: both",
        "trained three times as long, the one with both grids chosen together (`joint`). Only in training: the one is",
        "read with plain tiling, too.",
        "",
        "| model | with CIP | without | what is read | n | everywhere | cut by the detailed grid |",
        "| --- | --- | --- | --- | ---: | --- | --- |",
        *rows,
        "",
    ]


def pages_section(folder: Path) -> list[str]:
    rows = []
    for path in sorted(folder.glob("page-*.csv")):
        columns = load(path)
        read, methods, pages = columns["read"], columns["method"], columns["page"]
        if {PLAIN, CIP} <= set(methods):
            model, trained = path.stem.removeprefix("page-").rsplit("-", 1)
            plain, cip = methods == PLAIN, methods == CIP
            rows.append(
                f"| {model} | {TRAINED[trained]} | {plain.sum()} | {percent(bootstrap(pages, mean(read, plain)))} | "
                f"{percent(bootstrap(pages, mean(read, cip)))} | "
                f"{percent(page_gain(columns, CIP, PLAIN))} | {percent(page_gain(columns, JOINT, PLAIN))} |"
            )
    if not rows:
        return []
    return [
        "## And on pages?",
        "",
        "Words read on lines of text, receipts, tables and signs, in % with 95% intervals by bootstrap over pages.",
        "The figures of the models' own sections show every method.",
        "",
        "| model | trained with | words | plain tiling | CIP (`any`) | `any` minus plain tiling | "
        "`joint` minus plain tiling |",
        "| --- | --- | ---: | --- | --- | --- | --- |",
        *rows,
        "",
    ]


def draw_gains(models: dict[str, Columns], path: Path) -> None:
    """Every method against plain tiling, with intervals: a color per model, a marker per way of training."""
    names = [name for name in METHODS if any(name in columns["method"] for columns in models.values())]
    names = [name for name in names if name != PLAIN][::-1]
    figure, panel = plt.subplots(figsize=(11, 0.55 * len(names) + 1.5), layout="constrained")
    colors = {
        model: f"C{number}" for number, model in enumerate(dict.fromkeys(name.rsplit("-", 1)[0] for name in models))
    }
    for number, (name, columns) in enumerate(models.items()):
        model, trained = name.rsplit("-", 1)
        style = {"color": colors[model], "marker": MARKERS[trained], "linestyle": "none"}
        for place, method in enumerate(names):
            if method in columns["method"]:
                middle, low, high = (100 * value for value in gain(columns, method, PLAIN))
                place += 0.5 * (0.5 - (number + 0.5) / len(models))
                error = [[middle - low], [high - middle]]
                panel.errorbar(middle, place, xerr=error, markersize=4, **style)
        panel.plot([], [], label=name, **style)
    panel.axvline(0, color="black", linewidth=0.8)
    panel.set_xscale("symlog", linthresh=10)
    panel.set(xlabel=f"character accuracy minus that of {PLAIN}, in points (logarithmic beyond 10)")
    panel.set(yticks=range(len(names)), yticklabels=names)
    panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def complementarity_section(models: dict[str, Columns], folder: Path) -> list[str]:
    rows = []
    for name, columns in models.items():
        for rule in [rule for rule in RULES if rule in columns["method"]]:
            everywhere, at_lines = gain(columns, rule, CIP), gain(columns, rule, CIP, at_lines=True)
            rows.append(f"| {name} | {rule} | {percent(everywhere)} | {percent(at_lines)} |")
    if not rows:
        return []
    draw_gains(models, folder / "gains.png")
    return [
        "## Which complementarity is best?",
        "",
        "![Character accuracy of every method minus that of plain tiling, per model](results/gains.png)",
        "",
        "Character accuracy of a rule minus that of `any`, the published one, in points with 95% intervals, on the",
        "same words at the same places. Equal rows: the rules chose the same grids.",
        "Cuts on pages of all sizes, without a model: [GEOMETRY.md](GEOMETRY.md), with the front of what can be had.",
        "",
        "| model | rule | everywhere | at cut lines |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
    ]


def failures_section(models: dict[str, Columns]) -> list[str]:
    """Every method that is worse than the plain tiling of its model."""
    lines = []
    for name, columns in models.items():
        for method in dict.fromkeys(columns["method"]):
            change = gain(columns, method, PLAIN)
            if change[2] < 0:
                lines.append(f"- {name}, {method}: {percent(change)}")
    return [
        "## What did not work?",
        "",
        "Left of the line in the figure above, with the whole interval: worse than the plain tiling of the model",
        "(`detailed + global`). Character accuracy on the words that are moved, in points with 95% intervals.",
        "",
        *(lines or ["- Nothing was worse for certain."]),
        "",
    ]


def overview_section(models: dict[str, Columns], compared_training: list[Comparison], folder: Path) -> list[str]:
    if not models:
        return []
    return [
        *sawtooth_section(models, folder),
        *pages_section(folder),
        *training_section(compared_training),
        *complementarity_section(models, folder),
        *failures_section(models),
    ]
