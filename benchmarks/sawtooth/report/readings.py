"""The readings in `results/` as tables, with what follows from their columns."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.sawtooth.measurements.moved_word import STEP
from benchmarks.sawtooth.readers.documents import KINDS
from benchmarks.sawtooth.readers.scores import character_accuracy
from benchmarks.sawtooth.runner import open_readings


TEXTS = ("word", "answer", "other", "method", "axis", "selector", "positions", "sort")
CENTER = 0.5 - STEP  # in the middle of a tile: the least distance from the nearest cut line, in tiles


def load(path: Path) -> pd.DataFrame:
    """
    The readings of one file, or of the compressed one beside it. The columns are those of the measurement's row, and
    beside them:

    - of moved words `accuracy`, of the characters, rounded to 4 places;
    - of moved words, steering, bills and words asked for `exact`: the answer is the word; of compressed pages: that of
      the page;
    - of moved words and pages `cut_detailed` and `cut_everywhere` in place of `cut`: the grids that cut the word;
    - of pages `kind`, the page's, and `page_accuracy` beside every word;
    - of compressed pages `agrees`: the answer is that of the uncompressed model.
    """
    with open_readings(path, "r") as file:
        table = pd.read_csv(file, dtype=dict.fromkeys(TEXTS, object), na_filter=False)
    if "cut" in table:
        cut = table.pop("cut")
        table["cut_detailed"], table["cut_everywhere"] = cut % 2 == 1, cut >= 2
    if "axis" in table:
        pairs = list(zip(table["word"], table["answer"], strict=True))
        scores = {pair: round(character_accuracy(*pair), 4) for pair in set(pairs)}
        table["accuracy"] = [scores[pair] for pair in pairs]
    for truth in {"read", "cut_by_all"} & set(table):
        table[truth] = table[truth] == 1
    if "page_accuracy" in table:
        table["page_accuracy"] = pd.to_numeric(table["page_accuracy"], errors="coerce").ffill()
        table["kind"] = np.array(KINDS)[table["page"] % len(KINDS)]
    if "selector" in table:
        full = table[table["keep_ratio"] == 1].set_index("page")["answer"]
        table["exact"] = table["accuracy"] == 1
        table["agrees"] = table["answer"] == table["page"].map(full)
    elif "answer" in table:
        table["exact"] = table["answer"] == table["word"]
    return table


def load_all(folder: Path, measurement: str) -> dict[str, pd.DataFrame]:
    """The readings of one measurement, by the name of the model."""
    names = sorted({path.name.removesuffix(".gz") for path in folder.glob(f"{measurement}-*.csv*")})
    return {name.removeprefix(f"{measurement}-").removesuffix(".csv"): load(folder / name) for name in names}


def distance(position: np.ndarray) -> np.ndarray:
    """From the nearest cut line of the detailed grid inside the image, in tiles; lines are at whole numbers."""
    position = np.asarray(position)
    return np.abs(position - np.round(position).clip(min=1))


def on_line(table: pd.DataFrame) -> np.ndarray:
    """Which readings are of a word whose center is on a cut line of the detailed grid."""
    return distance(table["position"]) < 1e-9


def in_center(table: pd.DataFrame) -> np.ndarray:
    """Which readings are of a word in the middle of a tile."""
    return distance(table["position"]) >= CENTER - 1e-9
