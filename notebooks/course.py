"""What the notebooks share: a setup that prints versions, described figures, errors that are shown on purpose."""

import contextlib
import datetime
import importlib.metadata
import importlib.util
import io
import json
import math
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
PALE = "#DDDDDD"  # of what is empty, has left or stays in the background
# Ways to score tokens, as `of_way` takes them
PUBLISHED = {"queries": "all", "layer": 1, "positions": "repack"}
OWN = {"queries": "question", "layer": 2, "positions": "keep"}  # the checkpoint's
LEVELS = {"detailed": BLUE, "adaptive": ORANGE, "global": GREEN}
shown = 0  # figures


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

    global shown
    shown += 1
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
    display(Markdown(f"*Figure {shown}. {caption}*"))


def explore(draw, **choices) -> None:
    """
    A slider for each of the `choices` above the figure that `draw` makes of them. Without ipywidgets (Colab has it)
    there is none, as where a notebook is only read: the figure before has to say the same.

    Args:
        draw: gives a matplotlib figure; its arguments are named as the choices.
        choices: the values of each slider.
    """
    if importlib.util.find_spec("ipywidgets") is None:
        return
    import ipywidgets
    from matplotlib import pyplot

    def drawn(**values):
        figure = draw(**values)
        pyplot.close(figure)  # or it is shown twice
        return figure

    sliders = {
        name: ipywidgets.SelectionSlider(options=list(values), continuous_update=False)
        for name, values in choices.items()
    }
    ipywidgets.interact(drawn, **sliders)


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


def percent(estimate: tuple) -> str:
    """An estimate and its interval, all shares, as `61.7 [52.1, 70.9] %`."""
    return f"{cell([100 * each for each in estimate])} %"


def points(estimate: tuple) -> str:
    """The same of a difference, as `2.7 [0.1, 5.4] points`."""
    return f"{cell([100 * each for each in estimate])} points"


def cell(estimate, sign: str = "") -> str:
    """A cell of a table: an estimate and its interval, with `sign="+"` a difference."""
    return "{:{s}.1f} [{:{s}.1f}, {:{s}.1f}]".format(*estimate, s=sign)


def whiskers(value, low, high):
    """What matplotlib's error bars take: how far the ends of the intervals of one value, or of several, are away."""
    import numpy

    return numpy.abs((value - low, high - value)).reshape(2, -1)


def wilson(right: int, n: int) -> tuple[float, float, float]:
    """A share of `n` independent answers, with its 95% interval by Wilson."""
    from benchmarks.sawtooth.report import statistics

    return statistics.wilson(right, n)


def sign_test(gained: int, lost: int) -> float:
    """
    How often a fair coin parts as unevenly as this: the p-value of McNemar's exact test for two models on the same
    words, of which only those count that one of them reads and the other doesn't.
    """
    n, most = gained + lost, max(gained, lost)
    tail = sum(math.comb(n, k) for k in range(most, n + 1))
    return min(1.0, 2 * tail / 2**n)


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


def header_and_data(path: Path) -> tuple[bytes, bytes]:
    """Both parts of a safetensors file: names, shapes and places of the tensors, and their bytes."""
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    return content[:begin], content[begin:]


def need(extra: str, *modules: str) -> None:
    """Install an extra of this project where one of its `modules` is missing, as on Colab."""
    if any(importlib.util.find_spec(module) is None for module in modules):
        install = [sys.executable, "-m", "pip", "install", "--quiet", "-e"]
        subprocess.run([*install, f"{ROOT}[{extra}]"], check=True)


def read_run(path: Path) -> dict:
    """What a JSON file keeps of a run, as `keep_run` or a benchmark wrote it; empty where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def keep_run(path: Path, notebook: str, found: dict) -> None:
    """Write what a notebook found with `FAST=0`, with its name and the machine, for `read_run`."""
    from benchmarks.machine import machine

    path.parent.mkdir(exist_ok=True)
    kept = {"by": f"notebooks/{notebook}.py with FAST=0"} | found
    kept["machine"] = machine()
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def result(name: str):
    """A file of `benchmarks/sawtooth/results`, such as `"scoring-6m-pyramid"`, as a table."""
    from benchmarks.sawtooth.report.readings import load

    return load(ROOT / "benchmarks" / "sawtooth" / "results" / f"{name}.csv")


def of_way(table, queries: str, layer: int, positions: str, keep_ratio: float):
    """Readings of the benchmark's scoring by one way, by page; `layer` says nothing where `queries` is `"none"`."""
    way = (table["positions"] == positions) & (table["keep_ratio"] == keep_ratio)
    way &= table["queries"] == queries
    if queries != "none":
        way &= table["layer"] == layer
    return table[way].set_index("page").sort_index()


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
        queries, layer, positions, keep_ratio: The way, as in `of_way`.
        of_those_of_all_tokens: Whether 100% are the words that all tokens read, in place of all words.
    """
    from benchmarks.sawtooth.report.statistics import bootstrap, ratio

    found = of_way(table, queries, layer, positions, keep_ratio)
    of = found["words"]
    if of_those_of_all_tokens:
        of = found.index.map(
            table[table["keep_ratio"] == 1].set_index("page")["words_read"]
        )
    return tuple(
        100 * each for each in bootstrap(found.index, ratio(found["words_read"], of))
    )


def of_all_tokens(table, **way) -> str:
    """What `words_read` gives in % of the words that all tokens read; a dash where it was not measured."""
    if not len(of_way(table, **way)):
        return "–"
    return cell(words_read(table, **way, of_those_of_all_tokens=True))


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
