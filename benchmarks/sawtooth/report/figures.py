"""The figures of RESULTS.md and GEOMETRY.md, in one style."""

from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks.figures import save_figure
from benchmarks.sawtooth.cutting import METHODS
from benchmarks.sawtooth.report.comparisons import (
    BUDGET,
    CIP,
    JOINT,
    LINES,
    PLAIN,
    Tables,
    depth,
    gain,
    with_and_without_cip,
)
from benchmarks.sawtooth.report.sorts import ASKED, MOVED, PAGES, SortGain
from benchmarks.sawtooth.report.statistics import Estimate, bootstrap, mean


DRAWN = ("global", PLAIN, "second grid shifted", CIP, JOINT)
MARKERS = {"plain": "o", "control": "s", "pyramid": "^"}


def panels(rows: int = 1, columns: int = 1, **settings):
    """A figure and its axes, without the lines above and at the right."""
    figure, axes = plt.subplots(rows, columns, layout="constrained", squeeze=False, **settings)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def interval(estimate: Estimate) -> dict:
    """The middle and the error bar of an estimate, in %, as arguments of `errorbar` along x."""
    middle, low, high = (100 * value for value in estimate)
    return {"x": middle, "xerr": [[middle - low], [high - middle]]}


def draw_sweep(table: pd.DataFrame, path: Path) -> None:
    """Character accuracy over the place of the word, for grids of three tiles along the axis."""
    sizes = np.unique(table["size"])
    figure, axes = panels(len(sizes), 2, figsize=(11, 3 * len(sizes) + 1), sharey=True)
    places = product(sizes, (("x", "columns"), ("y", "rows")))
    for panel, (size, (axis, length)) in zip(axes.flat, places, strict=True):
        long = table[(table["axis"] == axis) & (table[length] == 3) & (table["size"] == size)]
        for number, method in enumerate(DRAWN):
            accuracy = long[long["method"] == method].groupby("position")["accuracy"].mean()
            width = 2.2 if method.startswith("pyramid") else 1.4
            panel.plot(accuracy.index, accuracy, label=method, linewidth=width, color=f"C{number}")
        for line in (1, 2):
            panel.axvline(line, color="black", linewidth=0.8, linestyle="--")
        panel.set(xlabel=f"center of the word along {axis} (tiles of the detailed grid)", ylim=(0, 1.02))
        panel.set_title(f"letters of {size:g} px", fontsize=9)
    figure.supylabel("character accuracy")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(DRAWN), frameon=False)
    save_figure(figure, path)


def draw_pages(table: pd.DataFrame, path: Path) -> None:
    """The share of words that are read, a bar for every method."""
    methods = [name for name in METHODS if name in set(table["method"])]
    figure, ((panel,),) = panels(figsize=(9, 4.5))
    for place, method in enumerate(reversed(methods)):
        found = table[table["method"] == method]
        share, low, high = bootstrap(found["page"], mean(found["read"]))
        color = "tab:orange" if method.startswith("pyramid") else "tab:blue"
        panel.barh(place, share, color=color, xerr=[[share - low], [high - share]], capsize=3)
    panel.set(xlabel="share of the words that are read", yticks=range(len(methods)), yticklabels=methods[::-1])
    save_figure(figure, path)


def draw_compression(table: pd.DataFrame, path: Path) -> None:
    """Character accuracy over the share of detailed tokens that is kept, a line for every way to choose them."""
    figure, ((panel,),) = panels(figsize=(7.5, 4.5))
    usual = table[table["layer"] == 1]
    of_all = usual["keep_ratio"] == 1.0  # where every way to choose begins
    for (selector, positions), _ in usual.groupby(["selector", "positions"], sort=False):
        found = usual[(usual["selector"] == selector) & (usual["positions"] == positions) | of_all]
        groups = found.groupby("keep_ratio")
        estimates = [bootstrap(part["page"], mean(part["accuracy"])) for _, part in groups]
        middle, low, high = np.array(estimates).T
        label = f"{selector}, positions kept" if positions == "keep" else selector
        error = [middle - low, high - middle]
        panel.errorbar(list(groups.groups), middle, error, label=label, marker="o", capsize=3)
    panel.set(xlabel="share of the detailed tokens that is kept", ylabel="character accuracy of pages", ylim=(0, None))
    panel.legend(frameon=False)
    save_figure(figure, path)


def draw_depths(models: Tables, path: Path) -> None:
    """The depth of the sawtooth with and without CIP, of every model."""
    figure, axes = panels(1, 2, figsize=(11, 0.5 * len(models) + 1.8), sharex=True, sharey=True)
    for panel, (axis, lines) in zip(axes.flat, LINES.items(), strict=True):
        for place, table in enumerate(reversed(models.values())):
            found = table[table["axis"] == axis]
            for offset, method, color in ((0.12, PLAIN, "tab:blue"), (-0.12, CIP, "tab:orange")):
                panel.errorbar(y=place + offset, **interval(depth(found, method)), fmt="o", color=color)
        panel.axvline(0, color="black", linewidth=0.8)
        panel.set_title(f"lines {lines}")
        panel.set(yticks=range(len(models)), yticklabels=[*models][::-1])
    figure.supxlabel("sawtooth depth: character accuracy in the centers of tiles minus on cut lines, in %")
    for label, color in ((PLAIN, "tab:blue"), (CIP, "tab:orange")):
        panel.plot([], [], "o", color=color, label=label)
    panel.legend(frameon=False)
    save_figure(figure, path)


def draw_gains(models: Tables, path: Path) -> None:
    """Every method against plain tiling, with intervals: a color per model, a marker per way of training."""
    read = {name: set(table["method"]) for name, table in models.items()}
    methods = [name for name in METHODS if name != PLAIN and any(name in each for each in read.values())][::-1]
    figure, ((panel,),) = panels(figsize=(11, 0.55 * len(methods) + 1.5))
    sizes = list(dict.fromkeys(name.rsplit("-", 1)[0] for name in models))
    for number, (name, table) in enumerate(models.items()):
        model, trained = name.rsplit("-", 1)
        style = {"color": f"C{sizes.index(model)}", "marker": MARKERS[trained], "linestyle": "none"}
        for place, method in enumerate(methods):
            if method in read[name]:
                place += 0.5 * (0.5 - (number + 0.5) / len(models))
                panel.errorbar(y=place, **interval(gain(table, method, PLAIN)), markersize=4, **style)
        panel.plot([], [], label=name, **style)
    panel.axvline(0, color="black", linewidth=0.8)
    panel.set_xscale("symlog", linthresh=10)
    panel.set(xlabel=f"character accuracy minus that of {PLAIN}, in points (logarithmic beyond 10)")
    panel.set(yticks=range(len(methods)), yticklabels=methods)
    panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    save_figure(figure, path)


TITLES = {
    ASKED: "One word is asked for: words read, minus those with the same grid twice",
    MOVED: "One word is moved over the image: character accuracy, minus that of plain tiling",
    PAGES: "Pages: words read, minus those with plain tiling",
}
RULES = {CIP: "any", JOINT: "joint"}
SORT_COLORS = {
    "uncut": ("#8c96a3", "words that are not cut"),
    "row": ("tab:orange", "words that are cut between rows"),
}


def draw_sorts(gains: list[SortGain], path: Path) -> None:
    """What a second grid gains on row-cut and on uncut words: a panel for each rule and each way of reading."""
    found = {}  # gains by what is read and model, those of models first that never saw two grids
    for each in sorted(gains, key=lambda gain: gain.trained):
        if not each.than.endswith(BUDGET):
            found.setdefault(each.read, {}).setdefault((each.trained, each.model), {})[each.rule] = each
    read = [each for each in TITLES if each in found]
    heights = [len(found[each]) + 1 for each in read]
    size = (8, 0.24 * sum(heights) + 0.5 * len(read) + 0.6)
    figure, axes = panels(len(read), 2, figsize=size, sharex=True, sharey="row", height_ratios=heights)
    for each, (left, right) in zip(read, axes, strict=True):
        for panel, (rule, name) in zip((left, right), RULES.items(), strict=True):
            draw_rule(panel, found[each], rule)
            panel.set_title(f"\n{name}", fontsize=10.5, loc="right", fontweight="bold")  # below that of the row
        title = left.annotate(TITLES[each], (0, 1), (0, 20), xycoords="axes fraction", textcoords="offset points")
        title.set_in_layout(False)  # is over both panels
    for color, label in SORT_COLORS.values():
        left.plot([], [], "o", color=color, label=label)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    figure.supxlabel("gain by the second grid in points, with 95% intervals", fontsize=10)
    save_figure(figure, path, dpi=150)


def draw_rule(panel, models: dict[tuple[bool, str], dict[str, SortGain]], rule: str) -> None:
    """The gains by one rule, a line per model, in two groups."""
    places = {key: place + 0.7 * key[0] for place, key in enumerate(models)}
    for key, by_rule in models.items():
        for offset, (sort, (color, _)) in zip((-0.16, 0.16), SORT_COLORS.items(), strict=True):
            if rule in by_rule:
                estimate = interval(by_rule[rule].gains[sort])
                panel.errorbar(y=places[key] + offset, **estimate, fmt="o", color=color, markersize=4.5)
        if rule not in by_rule:
            panel.text(0, places[key], "not read ", ha="right", va="center", fontsize=8, color="gray")
    panel.axvline(0, color="black", linewidth=0.8)
    for trained, group in ((False, "trained without"), (True, "trained with it")):
        if here := [place for key, place in places.items() if key[0] is trained]:
            panel.text(0.01, here[0] - 0.4, group, transform=panel.get_yaxis_transform(), fontsize=8, style="italic")
    panel.set(yticks=[*places.values()], ylim=(max(places.values()) + 0.6, -1.1))
    panel.set_yticklabels([model for _, model in places])


def draw_results(tables: dict[str, Tables], folder: Path) -> None:
    """Every figure of RESULTS.md, from the readings by measurement and model."""
    for measurement, draw in (("sweep", draw_sweep), ("page", draw_pages), ("compression", draw_compression)):
        for name, table in tables[measurement].items():
            draw(table, folder / f"{measurement}-{name}.png")
    if models := with_and_without_cip(tables["sweep"]):
        draw_depths(models, folder / "overview.png")
        draw_gains(models, folder / "gains.png")
