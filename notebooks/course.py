"""What the notebooks share: a setup that prints versions, described figures, errors that are shown on purpose."""

import contextlib
import datetime
import importlib.metadata
import importlib.util
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path


os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # before torch: threads that spin while they wait block the others

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINT = ROOT / "checkpoints" / "minimonkey-tiny"
PAGE = ROOT / "examples" / "page.png"
DPI = 140
FAST = os.environ.get("FAST", "1") != "0"  # FAST=0: the same cells with larger samples
PACKAGES = (
    "torch",
    "transformers",
    "huggingface-hub",
    "safetensors",
    "pillow",
    "minimonkey",
)
# One palette of Okabe and Ito, which color-blind readers can tell apart. Blue, orange and green are the levels and
# nothing else, but that what has a second grid is orange and what has none is blue; other kinds take the rest.
ORANGE, BLUE, GREEN, BLACK = "#D55E00", "#0072B2", "#009E73", "#000000"
PURPLE, SKY, YELLOW, GRAY = "#CC79A7", "#56B4E9", "#E69F00", "#999999"
LEVELS = {"detailed": BLUE, "adaptive": ORANGE, "global": GREEN}
figures = 0


def setup(hub: bool = False):
    """
    Make the kernel ready, and print what it runs with; call it before anything imports Transformers.

    Args:
        hub (`bool`, *optional*, defaults to `False`):
            Whether to start a Hub on this machine, for the user `me`, that holds the small checkpoint as
            `minimonkey/minimonkey-tiny`. Otherwise Transformers is kept off the network.

    Returns:
        The `LocalHub`, or `None`.
    """
    sys.path[:0] = [str(ROOT)]
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    warnings.filterwarnings(
        "ignore", message="IProgress not found"
    )  # progress bars of text are fine
    server = _start_hub() if hub else None
    if not hub:
        os.environ["HF_HUB_OFFLINE"] = "1"

    import matplotlib
    import torch
    import transformers

    torch.manual_seed(0)
    torch.set_num_threads(2)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    style = {
        "figure.dpi": DPI,
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    matplotlib.rcParams.update(style)
    if hub:
        _fill_hub()
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in PACKAGES
    )
    print(
        f"Verified on {datetime.date.today()} with Python {platform.python_version()}, {versions}; seed 0."
    )
    return server


def _start_hub():
    from tests.local_hub import LocalHub

    server = LocalHub(namespaces=["me", "minimonkey"])
    server.__enter__()  # it ends with the kernel
    os.environ.update(server.env(tempfile.mkdtemp(prefix="home-")))
    return server


def _fill_hub() -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    api = HfApi()
    api.create_repo("minimonkey/minimonkey-tiny")
    api.upload_folder(
        repo_id="minimonkey/minimonkey-tiny",
        folder_path=CHECKPOINT,
        ignore_patterns=["__pycache__/*", "*log.json"],
    )


def show(figure, alt: str, caption: str) -> None:
    """
    Display a figure with a description for those who can't see it, and a numbered caption below.

    Args:
        figure: a matplotlib figure, which is closed, or a PIL image.
        alt (`str`): what is to be seen, in a sentence or two.
        caption (`str`): what to look at.
    """
    import PIL.Image
    from IPython.display import Image, Markdown, display

    global figures
    figures += 1
    buffer, width = io.BytesIO(), None
    if hasattr(figure, "savefig"):
        from matplotlib import pyplot

        figure.savefig(buffer, format="png", bbox_inches="tight")
        pyplot.close(figure)
        figure = PIL.Image.open(buffer)
        width = round(figure.width * 80 / DPI)  # as wide as at 80 dpi, but sharp
    small = io.BytesIO()  # a palette is a third of the size, and the notebooks are stored with their figures
    method, dither = (
        PIL.Image.Quantize.MAXCOVERAGE,
        PIL.Image.Dither.NONE,
    )  # the default loses the color of thin lines
    figure.convert("RGB").quantize(128, method=method, dither=dither).save(
        small, format="png", optimize=True
    )
    display(Image(data=small.getvalue(), alt=alt, width=width))
    display(Markdown(f"*Figure {figures}. {caption}*"))


def table(headers: list[str], rows: list[list]) -> None:
    """Display a table; the first column is text on the left, the others stand on the right."""
    from IPython.display import Markdown, display

    lines = [headers, ["---", *["---:"] * (len(headers) - 1)], *rows]
    display(Markdown("\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)))


def claims(*rows: tuple[str, str]) -> None:
    """Display what the paper says beside what was measured here, line by line."""
    from IPython.display import Markdown, display

    lines = [("what the paper says", "what was measured here"), ("---", "---"), *rows]
    display(Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines)))


def percent(estimate: tuple, points: bool = False) -> str:
    """An estimate and its interval, all shares, as `61.7 [52.1, 70.9] %`, or as points."""
    value, low, high = (100 * each for each in estimate)
    return f"{value:.1f} [{low:.1f}, {high:.1f}] {'points' if points else '%'}"


@contextlib.contextmanager
def expected(kind: type[Exception]) -> Iterator[None]:
    """Print the error that the cell shows on purpose; a cell that doesn't raise it fails."""
    try:
        yield
    except kind as error:
        said = f"{type(error).__name__}: {error}"
        print(
            said.replace(f"{tempfile.gettempdir()}/", "").replace(f"{ROOT}/", "")
        )  # not this machine's paths
    else:
        raise AssertionError(f"{kind.__name__} was expected, but nothing was raised.")


def working_folder(name: str) -> Path:
    """A new folder for what a notebook writes."""
    folder = Path(tempfile.gettempdir()) / f"minimonkey-course-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def need(extra: str, *modules: str) -> None:
    """Install an extra of this project where one of its `modules` is missing, as on Colab."""
    if any(importlib.util.find_spec(module) is None for module in modules):
        install = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "-c",
            str(ROOT / "constraints.txt"),
        ]
        subprocess.run([*install, "-e", f"{ROOT}[{extra}]"], check=True)


def result(name: str):
    """A file of `benchmarks/sawtooth/results`, such as `"scoring-6m-pyramid"`, as a table."""
    from benchmarks.sawtooth.report.readings import load

    return load(ROOT / "benchmarks" / "sawtooth" / "results" / f"{name}.csv")


def words_read(
    table,
    queries: str,
    layer: int,
    positions: str,
    keep_ratio: float,
    of_those_of_all_tokens=False,
):
    """
    Words that are read by one way to score tokens, in %, with the 95% interval by bootstrap over the pages.

    Args:
        table: A result of the benchmark's scoring.
        queries, layer, positions, keep_ratio: The way. `layer` says nothing where `queries` is `"none"`.
        of_those_of_all_tokens: Whether 100% are the words that all tokens read, in place of all words.
    """
    from benchmarks.sawtooth.report.statistics import bootstrap, ratio

    way = (
        (table["positions"] == positions)
        & (table["keep_ratio"] == keep_ratio)
        & (table["queries"] == queries)
    )
    found = table[way & ((table["layer"] == layer) | (queries == "none"))]
    of = found["words"]
    if of_those_of_all_tokens:
        of = found["page"].map(
            table[table["keep_ratio"] == 1].set_index("page")["words_read"]
        )
    return tuple(
        100 * each for each in bootstrap(found["page"], ratio(found["words_read"], of))
    )


def _estimates(axis, places, estimates, **style) -> None:
    """Points with their intervals; each estimate is the value and both ends of its interval."""
    values, low, high = zip(*estimates, strict=True)
    below, above = (
        [abs(v - e) for v, e in zip(values, ends, strict=True)] for ends in (low, high)
    )
    axis.errorbar(places, values, (below, above), capsize=4, **style)


def plot_layers(table, keep_ratio: float = 0.5):
    """Words read by the layer that scores and whose queries count, with kept and with renumbered positions."""
    from matplotlib import pyplot

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
    from matplotlib import pyplot

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


def plot_maps(image, grid, maps: dict, draw):
    """
    Values of the detailed tokens over an image, side by side.

    Args:
        image: A PIL image.
        grid: Its detailed grid, (columns, rows).
        maps: From a title to values, (detailed tiles, tokens per tile).
        draw: `draw_scores` or `draw_kept` of `inspection.visualization`.
    """
    from matplotlib import pyplot

    height = 10 / len(maps) * image.height / image.width
    figure, axes = pyplot.subplots(
        1, len(maps), figsize=(10, height + 0.6), layout="constrained"
    )
    for axis, (title, values) in zip(axes, maps.items(), strict=True):
        draw(axis, image, values, grid)
        axis.set_title(title)
    return figure


def plot_askers(names: list[str], differences):
    """
    How much more each token of the question attends to the word asked for than to the other one.

    Args:
        names: Of the tokens.
        differences: (questions, tokens), in % of a token's attention.
    """
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(10, 3.6), layout="constrained")
    values = differences.mean(0)
    spread = 1.96 * differences.std(0) / len(differences) ** 0.5
    axis.bar(
        range(len(names)),
        values,
        yerr=spread,
        color=PURPLE,
        error_kw={"linewidth": 1, "ecolor": "#777777"},
    )
    axis.axhline(0, color=BLACK, linewidth=1)
    axis.set_xticks(range(len(names)), names)
    axis.set(
        xlabel="token after the image",
        ylabel="attention to the word asked for\nminus the other, points",
    )
    return figure


def has_ink(image, tile: int, tokens_along: int, paper: float = 10):
    """
    Whether there is ink on each detailed token of a page that is a whole number of tiles large.

    Args:
        image: A PIL image.
        tile: Side of a tile in px.
        tokens_along: Tokens along the side of a tile.
        paper: Standard deviation of blank paper's gray levels, at most.

    Returns:
        Array of bool, in the order of the prompt: tile by tile, row by row.
    """
    import numpy as np

    side, columns, rows = (
        tile // tokens_along,
        image.width // tile,
        image.height // tile,
    )
    gray = np.asarray(image.convert("L"), float)
    tokens = gray.reshape(rows, tokens_along, side, columns, tokens_along, side).std(
        axis=(2, 5)
    )
    return tokens.transpose(0, 2, 1, 3).ravel() > paper


def draw_tiles(axis, image, grid, color=None, gap: float = 0.15) -> None:
    """
    Draw an image in the tiles of a grid, apart from each other, so that what a line cuts looks cut.

    Args:
        axis: A matplotlib axis, which is emptied of ticks and borders.
        image: A PIL image.
        grid: Columns and rows.
        color: Of the tiles' frames; by default that of detailed tiles.
        gap: Between two tiles, as a share of their shorter side.
    """
    from matplotlib.patches import Rectangle

    columns, rows = grid
    width, height = image.width / columns, image.height / rows
    gap *= min(width, height)
    for row in range(rows):
        for column in range(columns):
            box = (
                column * width,
                row * height,
                (column + 1) * width,
                (row + 1) * height,
            )
            left, top = column * (width + gap), row * (height + gap)
            piece = image.crop(tuple(round(side) for side in box))
            axis.imshow(
                piece, extent=(left, left + width, top + height, top), cmap="gray"
            )
            style = {"fill": False, "edgecolor": color or BLUE, "linewidth": 2}
            axis.add_patch(Rectangle((left, top), width, height, **style))
    axis.set(
        xlim=(-gap, columns * (width + gap)),
        ylim=(rows * (height + gap), -gap),
        aspect="equal",
    )
    axis.set_axis_off()


def plot_views(image, plan):
    """
    The three views of an image, with gaps where its tiles end.

    Args:
        image: A PIL image.
        plan: Its `PyramidPlan`.
    """
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(10, 3), layout="constrained")
    for axis, (group, color) in zip(axes, LEVELS.items(), strict=True):
        columns, rows = plan.grid(group)
        draw_tiles(axis, image, (columns, rows), color)
        axis.set_title(f"{group}: {columns} x {rows}", color=color)
    return figure


def plot_strip(tiles, levels):
    """
    Tiles in the order in which the model gets them.

    Args:
        tiles: (tiles, size, size, 3), as matplotlib draws them.
        levels: Of each tile, 0 to 2.
    """
    from matplotlib import pyplot

    columns = 6
    rows = -(-len(tiles) // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(9, 1.75 * rows), layout="constrained"
    )
    figure.get_layout_engine().set(wspace=0.08, hspace=0.04)
    for axis in axes.flat:
        axis.set_axis_off()
    for number, (axis, tile, level) in enumerate(
        zip(axes.flat, tiles, levels, strict=False)
    ):
        group, color = list(LEVELS.items())[level]
        axis.imshow(tile)
        axis.set_axis_on()
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(visible=True, color=color, linewidth=2)
        axis.set_title(f"{number}: {group}", color=color, fontsize=10)
    return figure


def plot_grid_shapes(aspects, plans):
    """Columns / rows of both grids over the width / height of an image; one `PyramidPlan` per aspect ratio."""
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(9, 4.2), layout="constrained")
    axis.plot(aspects, aspects, color=GRAY, label="the image itself")
    for group in ("detailed", "adaptive"):
        ratios = [plan.grid(group)[0] / plan.grid(group)[1] for plan in plans]
        style = {"color": LEVELS[group], "linewidth": 2, "label": f"{group} grid"}
        axis.step(aspects, ratios, where="mid", **style)
    ticks = [0.25, 0.5, 1, 2, 4]
    axis.set(xscale="log", yscale="log", xlabel="width / height of the image")
    axis.set_ylabel("columns / rows of the grid")
    axis.set_xticks(ticks, ticks), axis.set_yticks(ticks, ticks), axis.minorticks_off()
    axis.legend(frameon=False)
    return figure


def plot_rules(size, plans: dict):
    """The cut lines of both grids on a page of `size` (width, height), from a rule to its `PyramidPlan`."""
    from matplotlib import pyplot

    width, height = size
    figure, axes = pyplot.subplots(
        1, len(plans), figsize=(11, 3.6), layout="constrained"
    )
    for axis, (rule, plan) in zip(axes, plans.items(), strict=True):
        axis.set(
            xlim=(0, width), ylim=(height, 0), aspect="equal", xticks=[], yticks=[]
        )
        axis.spines[:].set_visible(True)
        for group, style in (("detailed", "-"), ("adaptive", "--")):
            columns, rows = plan.grid(group)
            line = {"color": LEVELS[group], "linestyle": style, "linewidth": 2.5}
            for x in range(1, columns):
                axis.axvline(width * x / columns, **line)
            for y in range(1, rows):
                axis.axhline(height * y / rows, **line)
        grids = " and ".join(f"{x} x {y}" for x, y in (plan.detailed, plan.adaptive))
        axis.set_title(f"{rule}\n{grids}")
    return figure


def plot_cut_words(estimates: dict, of: str):
    """Words cut by the detailed grid and by every grid, each (value, low, high), from a method to both."""
    from matplotlib import pyplot

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


def plot_budgets(budgets: dict, of: str, per_tile: int = 256):
    """
    Tiles by group, and the tokens that they are, from a setting to its `PyramidPlan`.

    Args:
        budgets: The plans.
        of: Whose tiles: the end of the axis' label.
        per_tile: Tokens of a tile.
    """
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(9.5, 3.8), layout="constrained")
    for row, plan in enumerate(budgets.values()):
        left = 0
        for group, color in LEVELS.items():
            count, label = len(plan.group_tiles(group)), group if row == 0 else None
            axis.barh(row, count, left=left, color=color, label=label)
            left += count
        axis.text(
            left + 0.2, row, f"{left} tiles, {left * per_tile:,} tokens", va="center"
        )
    most = max(plan.num_tiles for plan in budgets.values())
    axis.set_yticks(range(len(budgets)), list(budgets))
    axis.set(xlabel=f"tiles of {of}", xlim=(0, 1.45 * most))
    axis.invert_yaxis()
    axis.legend(frameon=False, loc="lower right")
    return figure


def plot_distortion(rows: dict):
    """Words that stay cut over the distortion of the second grid, from a rule to its row of `geometry.csv`."""
    from matplotlib import pyplot

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
