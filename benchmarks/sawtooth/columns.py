"""The readings in `results/` as columns, and what the report takes from them."""

import csv
from pathlib import Path

import numpy as np

from benchmarks.sawtooth.sweep import STEP


Columns = dict[str, np.ndarray]
CENTER = 0.5 - STEP  # in the middle of a tile: the least distance from the nearest cut line, in tiles


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


def stack(*tables: Columns) -> Columns:
    """Readings of several models one after the other; what one of them lacks is left out."""
    shared = [name for name in tables[0] if all(name in table for table in tables)]
    return {name: np.concatenate([table[name] for table in tables]) for name in shared}


def distance(position: np.ndarray) -> np.ndarray:
    """From the nearest cut line of the detailed grid inside the image, in tiles; lines are at whole numbers."""
    return np.abs(position - np.round(position).clip(min=1))


def on_line(columns: Columns) -> np.ndarray:
    """Readings of a word whose center is on a cut line of the detailed grid."""
    return distance(columns["position"]) < 1e-9


def in_center(columns: Columns) -> np.ndarray:
    """Readings of a word in the middle of a tile."""
    return distance(columns["position"]) >= CENTER - 1e-9


def percent(estimate: tuple[float, float, float]) -> str:
    return "–" if np.isnan(estimate[0]) else "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * value for value in estimate))
