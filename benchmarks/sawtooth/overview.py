"""All models side by side: is there a sawtooth, and does CIP remove it? A part of the report."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.sawtooth.columns import BORDER, CENTER, Columns, choose, distance, load, percent
from benchmarks.sawtooth.statistics import bootstrap, difference


PLAIN, CIP = "detailed + global", "pyramid any"
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


def overview_section(folder: Path) -> list[str]:
    models, rows = compared(folder), []
    if not models:
        return []
    draw(models, folder / "overview.png")
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
        "## All models",
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
