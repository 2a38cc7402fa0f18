"""The figure: one cut word in both grids, and how many words of each kind every method reads."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.figures import save_figure
from benchmarks.recognizer.pages import KINDS, Box, draw_page
from benchmarks.recognizer.reading import views_of
from benchmarks.recognizer.scoring import METHODS, share_read
from benchmarks.sawtooth.cutting import View


TITLES = {"row": "cut between rows", "column": "cut between columns only", "uncut": "not cut"}
BLUE, ORANGE, GRAY = "tab:blue", "tab:orange", "#8c96a3"  # detailed and second grid as in every figure here; others
CONTEXT = (8, 6)  # px of a tile left and right, above and below the word that are shown


def example(table: pd.DataFrame) -> pd.Series:
    """
    The first large word that the detailed grid halves, each half misread at length, the global view is too coarse for
    and the second grid shows whole.

    Raises:
        ValueError: there is none.
    """
    halved = table[(table["kind"] == "row") & (table["depth"] > 0.4) & (table["size"] > 16)]
    for _, row in halved[halved["second"] == halved["text"]].iterrows():
        halves = row["detailed"].split()
        in_rows = len(halves) == 2 and "  " in row["detailed"]
        if in_rows and min(map(len, halves)) > 3 and not row["detailed + global"]:
            return row
    raise ValueError("The detailed grid halves no large word that the second one shows whole: read more pages.")


def shown(image: Image.Image, view: View, box: Box) -> list[Image.Image]:
    """What the rows of tiles show of a word's box, in px of the page, and a little of what is around it."""
    canvas = image.resize(view.canvas, Image.Resampling.BICUBIC)
    x, y = (side / original for side, original in zip(view.canvas, image.size, strict=True))
    left, right = round(box[0] * x) - CONTEXT[0], round(box[2] * x) + CONTEXT[0]
    top, bottom = round(box[1] * y) - CONTEXT[1], round(box[3] * y) + CONTEXT[1]
    heights = sorted({(max(tile[1], top), min(tile[3], bottom)) for tile in view.boxes})
    return [canvas.crop((left, a, right, b)) for a, b in heights if a < b]


def draw_word(panel, parts: list[Image.Image], color: str, title: str, answers: list[str]) -> None:
    """The parts of a word one below the other, as the tiles have them, and what is read of each."""
    gap, top = max(part.height for part in parts) * 0.35, 0.0
    width = parts[0].width
    for part, answer in zip(parts, answers, strict=True):
        panel.imshow(np.asarray(part), extent=(0, width, top + part.height, top), interpolation="nearest")
        sides = ([0, width, width, 0, 0], [top, top, top + part.height, top + part.height, top])
        panel.plot(*sides, color=color, linewidth=2.5, clip_on=False)
        panel.text(width * 1.04, top + part.height / 2, f"read as “{answer}”", va="center", fontsize=11.5, color=color)
        top += part.height + gap
    panel.set(xlim=(-2, width * 2.05), ylim=(top - gap + 2, -2))
    panel.set_title(title, loc="left", fontsize=11)
    panel.axis("off")


def draw_bars(panel, table: pd.DataFrame, kind: str) -> None:
    """The share of the words of a kind that every method reads."""
    words = table[table["kind"] == kind]
    for place, method in enumerate(METHODS):
        middle, low, high = (100 * value for value in share_read(words, method))
        color = ORANGE if method.startswith("CIP") else BLUE if method == "detailed grid alone" else GRAY
        panel.barh(place, middle, 0.72, color=color)
        panel.errorbar(
            middle, place, xerr=[[middle - low], [high - middle]], color="black", linewidth=1.2, capsize=2.5
        )
        panel.text(104, place, f"{middle:.1f}", va="center", fontsize=10)
    panel.set(xlim=(0, 103), ylim=(len(METHODS) - 0.5, -0.5), xticks=(0, 50, 100), yticks=range(len(METHODS)))
    panel.set_title(f"{TITLES[kind]}\n(n = {len(words)})", fontsize=10.5, loc="left")
    panel.set_yticklabels(METHODS, fontsize=10.5)
    panel.tick_params(axis="y", length=0)
    panel.spines[["top", "right"]].set_visible(False)


def draw_results(table: pd.DataFrame, path: Path) -> None:
    """Write the figure as a PNG that is readable 800 px wide."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    row = example(table)
    page = draw_page(row["page"])
    (word,) = (word for word in page.words if (word.text, word.depth) == (row["text"], row["depth"]))
    views = views_of(page.image.size)
    figure = pyplot.figure(figsize=(8, 5.2), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[1, 2.7])
    words = {
        "detailed": (BLUE, "A line of the detailed grid cuts this word"),
        "second": (ORANGE, "A tile of the second grid shows it whole"),
    }
    for panel, (name, (color, title)) in zip(upper.subplots(1, 2), words.items(), strict=True):
        draw_word(panel, shown(page.image, views[name], word.box), color, title, row[name].split("  "))
    for panel, kind in zip(lower.subplots(1, 3, sharey=True), KINDS, strict=True):
        draw_bars(panel, table, kind)
    lower.supxlabel("% of the words, with 95% intervals", fontsize=10.5)
    lower.suptitle("Words read, by what the detailed grid does to them", fontsize=11, x=0.01, ha="left")
    save_figure(figure, path, dpi=150)
