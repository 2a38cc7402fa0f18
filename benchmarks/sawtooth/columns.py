"""The readings in `results/` as columns, and what the report takes from them."""

import csv
from pathlib import Path

import numpy as np

from benchmarks.sawtooth.sweep import STEP


Columns = dict[str, np.ndarray]
# Near a cut line, and in the middle of a tile: distance of the word's center from the nearest line, in tiles.
BORDER, CENTER = STEP, 0.5 - STEP


def load(path: Path) -> Columns:
    """The columns of a CSV file; numbers and truth values as such."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    for name, values in columns.items():
        if set(values) <= {"True", "False"}:
            columns[name] = values == "True"
        elif name not in ("word", "answer", "other", "asked", "method", "axis", "selector", "positions", "kind"):
            columns[name] = values.astype(float)
    return columns


def choose(columns: Columns, chosen: np.ndarray) -> Columns:
    return {name: values[chosen] for name, values in columns.items()}


def distance(position: np.ndarray) -> np.ndarray:
    """From the nearest cut line of the detailed grid inside the image, in tiles; lines are at whole numbers."""
    return np.abs(position - np.round(position).clip(min=1))


def percent(estimate: tuple[float, float, float]) -> str:
    return "–" if np.isnan(estimate[0]) else "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * value for value in estimate))
