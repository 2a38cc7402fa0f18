"""docs/scale.png: the time of a page on a card, part by part, and the time that a thread needs to cut it."""

from pathlib import Path

from benchmarks.figures import save_figure
from benchmarks.memory.scale import CARDS, KEEP_RATIOS, NAMES, PAGE_PYRAMIDS, SLOW, Case, find
from benchmarks.memory.scale_document import LABELS, cutting_seconds


CARD = CARDS[-1]
PARTS = ("tower", "prefill", "answer")
COLORS = ("#8a96a3", "#2f6fb0", "#e08a2b")
LINE = "#b03030"
WIDTH = 0.26


def draw(rows: list[Case], file: Path) -> None:
    """Write the figure to `file`."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(NAMES), figsize=(9, 3.8), layout="constrained")
    for axes, name in zip(panels, NAMES, strict=True):
        for place, pyramid in enumerate(PAGE_PYRAMIDS):
            for side, ratio in enumerate(KEEP_RATIOS):
                _draw_bar(axes, place + (side - 1) * (WIDTH + 0.03), find(rows, name, pyramid.tiles, ratio))
        axes.axhline(cutting_seconds(), color=LINE, linewidth=1, linestyle="--")
        axes.set_xticks(range(len(PAGE_PYRAMIDS)), [f"{pyramid.tiles} tiles" for pyramid in PAGE_PYRAMIDS])
        axes.set_title(f"{LABELS[name]}, above each bar its keep_ratio", fontsize=10)
        axes.set_ylim(0, axes.get_ylim()[1] * 1.08)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(f"seconds per page, {CARD.name}, computed")
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=color) for color in COLORS]
    handles.append(pyplot.Line2D([0], [0], color=LINE, linewidth=1, linestyle="--"))
    labels = [*PARTS, "one thread cuts 11 tiles (measured)"]
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    save_figure(figure, file)


def _draw_bar(axes, x: float, case: Case) -> None:
    seconds, bottom = case.seconds(CARD, SLOW), 0.0
    for part, color in zip(PARTS, COLORS, strict=True):
        height = getattr(seconds, part)
        axes.bar(x, height, WIDTH, bottom=bottom, color=color)
        bottom += height
    above_the_line = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    place = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center"}
    axes.annotate(f"{case.keep_ratio:g}", (x, bottom), **place, fontsize=8, bbox=above_the_line)
