"""All models side by side, for the report: is there a sawtooth, does CIP remove it, by which rule, what doesn't?"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.sawtooth.columns import BORDER, CENTER, Columns, choose, distance, load, percent
from benchmarks.sawtooth.methods import METHODS
from benchmarks.sawtooth.statistics import bootstrap, difference, mean


PLAIN, CIP = "detailed + global", "pyramid any"
RULES = ("pyramid all", "pyramid disjoint", "pyramid together")
TRAINED = {"plain": "plain tiling", "control": "plain tiling, as long", "pyramid": "CIP"}
Estimate = tuple[float, float, float]


def depth(columns: Columns, method: str) -> Estimate:
    """Character accuracy in the centers of tiles minus that at cut lines of the detailed grid."""
    found = choose(columns, columns["method"] == method)
    offset = distance(found["position"])
    near, far = offset <= BORDER + 1e-9, offset >= CENTER - 1e-9
    return bootstrap(found["word"], difference(found["accuracy"], far, near))


def gain(columns: Columns, method: str, than: str, at_lines: bool = False) -> Estimate:
    """Character accuracy by one method minus that by another, on the same words at the same positions."""
    chosen = distance(columns["position"]) <= BORDER + 1e-9 if at_lines else np.ones(len(columns["word"]), bool)
    methods = columns["method"]
    statistic = difference(columns["accuracy"], chosen & (methods == method), chosen & (methods == than))
    return bootstrap(columns["word"], statistic)


def verdict(estimate: Estimate) -> str:
    """What the interval allows to say."""
    return "yes" if estimate[1] > 0 else "reversed" if estimate[2] < 0 else "not shown"


def compared(folder: Path) -> dict[str, Columns]:
    """The sweeps of all models that were read with and without CIP, by name."""
    found = {path.stem.removeprefix("sweep-"): load(path) for path in sorted(folder.glob("sweep-*.csv"))}
    return {name: columns for name, columns in found.items() if {PLAIN, CIP} <= set(columns["method"])}


def draw(models: dict[str, Columns], path: Path) -> None:
    figure, panel = plt.subplots(figsize=(9, 0.5 * len(models) + 1.5), layout="constrained")
    for place, columns in enumerate(reversed(models.values())):
        for offset, method, color in ((0.12, PLAIN, "tab:blue"), (-0.12, CIP, "tab:orange")):
            middle, low, high = (100 * value for value in depth(columns, method))
            panel.errorbar(middle, place + offset, xerr=[[middle - low], [high - middle]], fmt="o", color=color)
    panel.axvline(0, color="black", linewidth=0.8)
    panel.set(xlabel="sawtooth depth: character accuracy in the centers of tiles minus at cut lines, in %")
    panel.set(yticks=range(len(models)), yticklabels=[*models][::-1])
    panel.plot([], [], "o", color="tab:blue", label=PLAIN)
    panel.plot([], [], "o", color="tab:orange", label=CIP)
    panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def sawtooth_section(models: dict[str, Columns], folder: Path) -> list[str]:
    draw(models, folder / "overview.png")
    rows = []
    for name, columns in models.items():
        model, trained = name.rsplit("-", 1)
        before, after = depth(columns, PLAIN), depth(columns, CIP)
        at_lines = gain(columns, CIP, PLAIN, at_lines=True)
        rows.append(
            f"| {model} | {TRAINED[trained]} | {(columns['method'] == CIP).sum()} | {percent(before)} | "
            f"{verdict(before)} | {percent(after)} | {percent(at_lines)} | {verdict(at_lines)} | "
            f"{percent(gain(columns, CIP, PLAIN))} |"
        )
    return [
        "## Is there a sawtooth, and does CIP remove it?",
        "",
        "![Depth of the sawtooth with and without CIP, per model](results/overview.png)",
        "",
        "Character accuracy in % with 95% intervals by bootstrap over the words; n readings per method. Depth: in the",
        "centers of tiles minus at cut lines of the detailed grid. Gain: CIP (`any`) minus the model's own tiling,",
        'on the same words at the same places. "Yes": the interval is above zero.',
        "",
        "| model | trained with | n | depth without CIP | a sawtooth? | depth with CIP | gain at cut lines | "
        "does CIP help there? | gain everywhere |",
        "| --- | --- | ---: | --- | --- | --- | --- | --- | --- |",
        *rows,
        "",
    ]


def pages_section(folder: Path) -> list[str]:
    rows = []
    for path in sorted(folder.glob("page-*.csv")):
        columns = load(path)
        read, methods, pages = columns["read"].astype(float), columns["method"], columns["page"]
        if {PLAIN, CIP} <= set(methods):
            model, trained = path.stem.removeprefix("page-").rsplit("-", 1)
            plain, cip = methods == PLAIN, methods == CIP
            rows.append(
                f"| {model} | {TRAINED[trained]} | {plain.sum()} | {percent(bootstrap(pages, mean(read, plain)))} | "
                f"{percent(bootstrap(pages, mean(read, cip)))} | "
                f"{percent(bootstrap(pages, difference(read, cip, plain)))} |"
            )
    if not rows:
        return []
    return [
        "## And on pages?",
        "",
        "Words read on lines of text, receipts, tables and signs, in % with 95% intervals by bootstrap over pages.",
        "The figures of the models' own sections show every method.",
        "",
        "| model | trained with | words | plain tiling | CIP | CIP minus plain tiling |",
        "| --- | --- | ---: | --- | --- | --- |",
        *rows,
        "",
    ]


def draw_gains(models: dict[str, Columns], path: Path) -> None:
    """Every method against plain tiling: dots with intervals, a color per model."""
    names = [name for name in METHODS if any(name in columns["method"] for columns in models.values())]
    names = [name for name in names if name != PLAIN][::-1]
    figure, panel = plt.subplots(figsize=(9, 0.45 * len(names) + 1.5), layout="constrained")
    for number, (model, columns) in enumerate(models.items()):
        for place, method in enumerate(names):
            if method in columns["method"]:
                middle, low, high = (100 * value for value in gain(columns, method, PLAIN))
                place += 0.5 * (0.5 - (number + 0.5) / len(models))
                error = [[middle - low], [high - middle]]
                panel.errorbar(middle, place, xerr=error, fmt="o", markersize=4, color=f"C{number}")
        panel.plot([], [], "o", color=f"C{number}", label=model)
    panel.axvline(0, color="black", linewidth=0.8)
    panel.set_xscale("symlog", linthresh=10)
    panel.set(xlabel=f"character accuracy minus that of {PLAIN}, in points (logarithmic beyond 10)")
    panel.set(yticks=range(len(names)), yticklabels=names)
    panel.legend(frameon=False)
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


def overview_section(folder: Path) -> list[str]:
    models = compared(folder)
    if not models:
        return []
    return [
        *sawtooth_section(models, folder),
        *pages_section(folder),
        *complementarity_section(models, folder),
        *failures_section(models),
    ]
