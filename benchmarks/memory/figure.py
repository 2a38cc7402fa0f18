"""docs/checkpoints.png: the largest pyramid on every checkpoint, without and with SCM, against the sizes of cards."""

from pathlib import Path

from benchmarks.figures import save_figure
from benchmarks.memory.document import CARDS, GIB, peak, same_sizes
from benchmarks.memory.prefill import PYRAMIDS


PANELS = ((0, 30), (30, 1000))  # GiB of weights in bf16: one scale can't show both 2 and 140
PARTS = ("weights (bf16)", "KV cache", "rest of the peak")
COLORS = ("#8a96a3", "#2f6fb0", "#e08a2b")
LINES = "#b03030"
WIDTH = 0.36


def draw(results: dict, file: Path) -> None:
    """Write the figure to `file`."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    tiles = str(PYRAMIDS[-1].tiles)
    figure, panels = pyplot.subplots(1, 2, figsize=(11, 5.2), layout="constrained", width_ratios=(4, 3))
    groups = sorted(same_sizes(results["checkpoints"]), key=lambda group: group[1]["weights"]["bf16"])
    for axes, (least, most) in zip(panels, PANELS, strict=True):
        shown = [group for group in groups if least <= group[1]["weights"]["bf16"] / GIB < most]
        for place, (_, result) in enumerate(shown):
            for side, (keep_ratio, hatch) in enumerate((("1.0", None), ("0.5", "///"))):
                _draw_bar(axes, place + (side - 0.5) * (WIDTH + 0.04), result, tiles, keep_ratio, hatch)
        _finish(axes, [name.replace(", ", ",\n").replace("-Llama3", "-\nLlama3") for name, _ in shown])
    panels[0].set_ylabel("GiB")
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=color) for color in COLORS]
    handles += [pyplot.Rectangle((0, 0), 1, 1, facecolor="white", edgecolor="black", hatch=h) for h in ("", "///")]
    labels = [*PARTS, "all tokens (left bars)", "SCM, keep_ratio 0.5 (right bars)"]
    figure.legend(handles, labels, loc="outside upper center", ncols=5, frameon=False, fontsize=9)
    save_figure(figure, file)


def _draw_bar(axes, x: float, result: dict, tiles: str, keep_ratio: str, hatch: str | None) -> None:
    prefill = result["prefill"][tiles][keep_ratio]
    bottom = 0.0
    for size, color in zip(
        (result["weights"]["bf16"], prefill["cache"], peak(prefill) - prefill["cache"]), COLORS, strict=True
    ):
        axes.bar(x, size / GIB, WIDTH, bottom=bottom, color=color, hatch=hatch, edgecolor="white", linewidth=0.5)
        bottom += size / GIB
    above_the_lines = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    axes.annotate(
        f"{bottom:.1f}", (x, bottom), (0, 4), textcoords="offset points", ha="center", fontsize=9, bbox=above_the_lines
    )


def _finish(axes, names: list[str]) -> None:
    top = max(axes.get_ylim()[1], CARDS[2]) * 1.06
    axes.set_ylim(0, top)
    axes.set_xlim(-0.6, len(names) - 0.1)
    for card in CARDS:
        if card < top:
            place = {"xytext": (0, 2), "textcoords": "offset points", "ha": "right"}
            axes.axhline(card, color=LINES, linewidth=1, linestyle="--", zorder=0)
            axes.annotate(f"{card} GB", (len(names) - 0.12, card), **place, fontsize=9, color=LINES)
    axes.set_xticks(range(len(names)), names, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
