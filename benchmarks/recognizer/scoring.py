"""The ways to show a page, and which words the recognizer reads in each: in any of the method's views."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.recognizer.pages import page_size
from benchmarks.recognizer.reading import is_read, views_of
from benchmarks.sawtooth.report.statistics import Estimate, bootstrap, mean, ratio


# Views, by their fields in `WordReading`. Twice: as a second grid whose cut lines are all those of the first.
METHODS = {
    "detailed grid alone": ("detailed",),
    "detailed + global": ("detailed", "whole"),
    "detailed twice + global": ("detailed", "again", "whole"),
    "finer grid + global": ("finer", "whole"),
    "overlap + global": ("overlap", "whole"),
    "CIP any": ("detailed", "second", "whole"),
    "CIP joint": ("joint_detailed", "joint_second", "whole"),
}
NUMBERS = ("page", "size", "depth", "share")


def load_readings(path: Path) -> pd.DataFrame:
    """The readings of a file, and beside them a column for every method: whether the word is read."""
    table = pd.read_csv(path, dtype=object, na_filter=False)
    table = table.astype({name: int if name == "page" else float for name in NUMBERS})
    read = {
        view: np.array([is_read(*pair) for pair in zip(table["text"], table[view], strict=True)])
        for view in sorted({view for views in METHODS.values() for view in views})
    }
    for method, views in METHODS.items():
        table[method] = np.any([read[view] for view in views], axis=0)
    return table


def share_read(table: pd.DataFrame, method: str) -> Estimate:
    """The share of the words that a method reads, with its interval over pages."""
    return bootstrap(table["page"], mean(table[method]))


def share_read_anywhere(table: pd.DataFrame, method: str) -> Estimate:
    """The same of words at random places of the page, cut or not: every word counts as often as its kind occurs."""
    return bootstrap(table["page"], ratio(table[method] * table["share"], table["share"]))


def occurrence(table: pd.DataFrame) -> dict[str, float]:
    """The share of each kind among words at random places."""
    shares = table.groupby("kind")["share"].mean()
    return (shares / shares.sum()).to_dict()


def gain(table: pd.DataFrame, method: str, control: str) -> Estimate:
    """By how much more of the words a method reads than another."""
    return bootstrap(table["page"], mean(table[method].astype(float) - table[control]))


def gain_anywhere(table: pd.DataFrame, method: str, control: str) -> Estimate:
    """The same of words at random places."""
    more = (table[method].astype(float) - table[control]) * table["share"]
    return bootstrap(table["page"], ratio(more, table["share"]))


def mean_tiles(pages: Iterable[int]) -> dict[str, float]:
    """Tiles per page of every method."""
    tiles = [{name: len(view.boxes) for name, view in views_of(page_size(page)).items()} for page in pages]
    return {
        method: float(np.mean([sum(page[v] for v in views) for page in tiles])) for method, views in METHODS.items()
    }


def keeps_detailed_grid(pages: Iterable[int]) -> dict[int, bool]:
    """Whether `joint` has the detailed grid of `any`, page by page."""
    views = {page: views_of(page_size(page)) for page in pages}
    return {page: each["detailed"].grid == each["joint_detailed"].grid for page, each in views.items()}
