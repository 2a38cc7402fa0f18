"""GEOMETRY.md: which words are cut, without a model."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.figures import save_figure
from benchmarks.sawtooth.measurements.geometry import (
    JOINT_WEIGHTS,
    LEGIBLE,
    PAGES,
    SETTINGS,
    TILE_SIZE,
    WEIGHTS,
    WORDS,
    ranges_of,
)
from benchmarks.sawtooth.report.figures import panels
from benchmarks.tables import markdown_table


OVERLAP = "overlap + global"
COMPARED = (
    "disjoint",
    "balanced 0.3",
    "joint",
    "shifted",
    OVERLAP,
    "detailed + global, tiles of any",
)
# Of the figure: rules with a weight, as lines from the least to the greatest, and rules without
WEIGHED = {"balanced": (WEIGHTS, ".-C1"), "joint": (JOINT_WEIGHTS, ".-C2")}
MARKERS = {"any": "s", "all": "x", "disjoint": "^", "shifted": "D", OVERLAP: "P"}


def title(setting: str) -> str:
    """The ranges of a setting in words."""
    (first, last), (fewest, most) = ranges_of(setting)
    return f"{setting}: detailed {first}-{last}, adaptive {fewest}-{most}"


def against_any(table: pd.DataFrame, rule: str) -> tuple[int, int, int | None]:
    """
    In how many ranges a rule leaves fewer words cut than "any", and in how many more, for certain; and in how many its
    second grid, where a page has one, is less distorted on the page that is worse than 90%, if the rule has any.
    """
    rules = table.set_index(["rule", "setting"])
    ours, theirs = rules.loc[rule].loc[list(SETTINGS)], rules.loc["any"].loc[list(SETTINGS)]
    less = int((ours["distortion_90"] < theirs["distortion_90"]).sum()) if " + global" not in rule else None
    return int((ours["more_high"] < 0).sum()), int((ours["more_low"] > 0).sum()), less


def compare(table: pd.DataFrame, rule: str) -> str:
    """One line of the report: `against_any`, and how many times the tiles."""
    fewer, more, less = against_any(table, rule)
    tiles = table.pivot(index="setting", columns="rule", values="tiles")
    tiles = np.mean(tiles[rule] / tiles["any"])
    second = "" if less is None else f"; its second grid is less distorted in {less}"
    return f"- `{rule}` leaves fewer words cut in {fewer}, more in {more}{second}; {tiles:.2f} times the tiles."


def draw_geometry(table: pd.DataFrame, path: Path) -> None:
    """Words that are cut over the distortion of the second grid, a panel for every setting."""
    figure, axes = panels(2, 4, figsize=(15, 8))
    for panel, setting in zip(axes.flat, SETTINGS, strict=True):
        rules = table[table["setting"] == setting].set_index("rule")
        # Tiles that overlap have no second grid
        distortions = rules["distortion_90"].where(rules.index != OVERLAP, rules["detailed_distortion_90"])
        places = {rule: (distortions[rule], 100 * rules["cut"][rule]) for rule in rules.index}
        for rule, (weights, style) in WEIGHED.items():
            points = [places[f"{rule} {weight:g}"] for weight in weights]
            panel.plot(*zip(*points, strict=True), style, markersize=5, label=f"{rule}, by weight")
        for rule, marker in MARKERS.items():
            panel.plot(*places[rule], marker, color="tab:blue" if rule == "any" else "black", label=rule)
        panel.set_title(title(setting), fontsize=9)
        panel.set_ylim(bottom=0)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    figure.supxlabel("distortion of the second grid, 90th percentile (1: none); where tiles overlap, of the only one")
    figure.supylabel("words cut in every legible group, %")
    save_figure(figure, path, dpi=100)


def setting_table(table: pd.DataFrame) -> list[str]:
    """The rules of one setting."""
    rows = [
        [row.rule, row.words, f"{100 * row.cut:.1f} [{100 * row.cut_low:.1f}, {100 * row.cut_high:.1f}]"]
        + [f"{100 * row.more:.2f} [{100 * row.more_low:.2f}, {100 * row.more_high:.2f}]"]
        + [f"{100 * share:.1f}" for share in (row.cut_both, row.cut_detailed)]
        + [f"{100 * row.second_grid:.0f}"]
        + [f"{each:.2f}" if row.second_grid else "–" for each in (row.distortion_median, row.distortion_90)]
        + [f"{row.detailed_distortion_90:.2f}", f"{row.tiles:.1f}"]
        for row in table.itertuples()
    ]
    head = ["grids", "words", "cut, %", "minus any", "by both grids", "by the detailed"]
    head += ["have a second grid, %", "distortion, median", "90%", "detailed, 90%", "tiles"]
    return markdown_table(head, rows, right=[name for name in head[1:] if name not in ("cut, %", "minus any")])


def geometry_report(table: pd.DataFrame) -> str:
    """The text of GEOMETRY.md."""
    lines = [
        "# Cuts without a model",
        "",
        "Written by `make bench-sawtooth` from `geometry.csv`; change the scripts, not this file.",
        "",
        f"{PAGES} random pages with {WORDS} word-like boxes each (`measurements/geometry.py`), tiles of",
        f"{TILE_SIZE} px. A group shows a word legibly if it is at least {LEGIBLE} px high there. Cut: words that no",
        "group, the global view included, shows whole and legibly, in % of those that the published detailed grid",
        "shows legibly, with the 95% interval by bootstrap over pages. By both grids: whatever the global view shows.",
        "Distortion: of the second grid, over the pages that have one (1 is none), and of the detailed one. Left and",
        "below is better in the figure.",
        "",
        f"Against `any`, the published rule, in the {len(SETTINGS)} ranges (fewer, more: the interval of the",
        "difference on the same pages is below or above zero):",
        "",
        *(compare(table, rule) for rule in COMPARED),
        "",
        "`joint` changes the detailed grid, too; published models know that of `any`. Whether fewer cuts are worth",
        "a stretched image, only reading can tell.",
        "",
        "![Share of cut words over distortion, for every rule and range](geometry.png)",
        "",
    ]
    for setting in SETTINGS:
        lines += [f"## {title(setting)} tiles", "", *setting_table(table[table["setting"] == setting]), ""]
    return "\n".join(lines)
