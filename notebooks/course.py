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
        print(f"{type(error).__name__}: {error}".replace(f"{tempfile.gettempdir()}/", ""))  # not this machine's paths
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
