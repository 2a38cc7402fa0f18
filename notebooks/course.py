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


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin while they wait block the others

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINT = ROOT / "checkpoints" / "minimonkey-tiny"
PAGE = ROOT / "examples" / "page.png"
FAST = os.environ.get("FAST", "1") != "0"  # FAST=0: the same cells with larger samples
PACKAGES = ("torch", "transformers", "huggingface-hub", "safetensors", "pillow", "minimonkey")
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
    warnings.filterwarnings("ignore", message="IProgress not found")  # progress bars of text are fine
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
    style = {"figure.dpi": 80, "font.size": 11, "axes.spines.top": False, "axes.spines.right": False}
    matplotlib.rcParams.update(style)
    if hub:
        _fill_hub()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    print(f"Verified on {datetime.date.today()} with Python {platform.python_version()}, {versions}; seed 0.")
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
        repo_id="minimonkey/minimonkey-tiny", folder_path=CHECKPOINT, ignore_patterns=["__pycache__/*", "*log.json"]
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
    buffer = io.BytesIO()
    if hasattr(figure, "savefig"):
        from matplotlib import pyplot

        figure.savefig(buffer, format="png", bbox_inches="tight")
        pyplot.close(figure)
        figure = PIL.Image.open(buffer)
    small = io.BytesIO()  # a palette is a third of the size, and the notebooks are stored with their figures
    method, dither = PIL.Image.Quantize.MAXCOVERAGE, PIL.Image.Dither.NONE  # the default loses the color of thin lines
    figure.convert("RGB").quantize(128, method=method, dither=dither).save(small, format="png", optimize=True)
    display(Image(data=small.getvalue(), alt=alt))
    display(Markdown(f"*Figure {figures}. {caption}*"))


@contextlib.contextmanager
def expected(kind: type[Exception]) -> Iterator[None]:
    """Print the error that the cell shows on purpose; a cell that doesn't raise it fails."""
    try:
        yield
    except kind as error:
        said = f"{type(error).__name__}: {error}"
        print(said.replace(f"{tempfile.gettempdir()}/", "").replace(f"{ROOT}/", ""))  # not this machine's paths
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
        install = [sys.executable, "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt")]
        subprocess.run([*install, "-e", f"{ROOT}[{extra}]"], check=True)


ORANGE, BLUE, GREEN, BLACK = "#D55E00", "#0072B2", "#009E73", "#000000"  # Okabe and Ito's palette


def result(name: str):
    """A file of `benchmarks/sawtooth/results`, such as `"scoring-6m-pyramid"`, as a table."""
    from benchmarks.sawtooth.report.readings import load

    return load(ROOT / "benchmarks" / "sawtooth" / "results" / f"{name}.csv")


def words_read(table, queries: str, layer: int, positions: str, keep_ratio: float, of_those_of_all_tokens=False):
    """
    Words that are read by one way to score tokens, in %, with the 95% interval by bootstrap over the pages.

    Args:
        table: A result of the benchmark's scoring.
        queries, layer, positions, keep_ratio: The way. `layer` says nothing where `queries` is `"none"`.
        of_those_of_all_tokens: Whether 100% are the words that all tokens read, in place of all words.
    """
    from benchmarks.sawtooth.report.statistics import bootstrap, ratio

    way = (table["positions"] == positions) & (table["keep_ratio"] == keep_ratio) & (table["queries"] == queries)
    found = table[way & ((table["layer"] == layer) | (queries == "none"))]
    of = found["words"]
    if of_those_of_all_tokens:
        of = found["page"].map(table[table["keep_ratio"] == 1].set_index("page")["words_read"])
    return tuple(100 * each for each in bootstrap(found["page"], ratio(found["words_read"], of)))


def _estimates(axis, places, estimates, **style) -> None:
    """Points with their intervals; each estimate is the value and both ends of its interval."""
    values, low, high = zip(*estimates, strict=True)
    below, above = ([abs(v - e) for v, e in zip(values, ends, strict=True)] for ends in (low, high))
    axis.errorbar(places, values, (below, above), capsize=4, **style)


def plot_layers(table, keep_ratio: float = 0.5):
    """Words read by the layer that scores and whose queries count, with kept and with renumbered positions."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharey=True)
    full = words_read(table, "all", 1, "keep", 1.0)[0]
    for axis, positions in zip(axes, ("keep", "repack"), strict=True):
        for shift, queries, color, marker in ((-0.06, "all", ORANGE, "s"), (0.06, "question", BLUE, "o")):
            found = [words_read(table, queries, layer, positions, keep_ratio) for layer in range(4)]
            places = [layer + shift for layer in range(4)]
            _estimates(axis, places, found, color=color, marker=marker, label=f'queries="{queries}"')
        none = [words_read(table, "none", 0, positions, keep_ratio)]
        _estimates(axis, [4], none, color=GREEN, marker="^", linestyle="", label='queries="none"')
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
    ratios, styles = (1.0, 0.5, 0.25), zip((ORANGE, BLACK, BLUE), "sxo", strict=True)
    for shift, (label, (table, *way)), (color, marker) in zip((-0.03, 0, 0.03), tables.items(), styles, strict=True):
        some = [words_read(table, *way, ratio, of_those_of_all_tokens=True) for ratio in ratios[1:]]
        places = [place + shift for place in range(3)]
        _estimates(axis, places, [(100, 100, 100), *some], color=color, marker=marker, label=label)
    axis.set(xlabel="keep_ratio", ylabel="words, % of those of all tokens", ylim=(0, 110), xticks=range(3))
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
    figure, axes = pyplot.subplots(1, len(maps), figsize=(10, height + 0.6), layout="constrained")
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
    axis.bar(range(len(names)), values, yerr=spread, color=BLUE, error_kw={"linewidth": 1, "ecolor": "#777777"})
    axis.axhline(0, color=BLACK, linewidth=1)
    axis.set_xticks(range(len(names)), names)
    axis.set(xlabel="token after the image", ylabel="attention to the word asked for\nminus the other, points")
    return figure
