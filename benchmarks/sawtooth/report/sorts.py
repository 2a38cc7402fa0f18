"""Words by what the detailed grid does to them: cut between its rows, between its columns only, or not at all.

What a second grid gains on words that are cut between rows, beyond what it gains on those that aren't, is due to the
cut: seeing more tiles helps, or harms, both alike. `joint` may choose another detailed grid, too, and what that one
leaves whole is no question for a second grid: words count whose sort is the same in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from benchmarks.sawtooth.cutting import SMALL_RANGES, plan_grids
from benchmarks.sawtooth.measurements.pages import word_boxes
from benchmarks.sawtooth.readers.cut_pages import SORTS, crossings
from benchmarks.sawtooth.readers.documents import make_page
from benchmarks.sawtooth.readers.rendering import TILE_SIZE
from benchmarks.sawtooth.report.comparisons import (
    BUDGET,
    CIP,
    JOINT,
    PLAIN,
    Tables,
    trained_with,
    with_and_without_cip,
)
from benchmarks.sawtooth.report.readings import on_line
from benchmarks.sawtooth.report.statistics import Estimate, bootstrap, difference


BEYOND = "row minus uncut"
PLACE = ["columns", "rows", "size", "axis", "position", "word"]  # what tells moved words apart
MOVED, PAGES, ASKED = "one word, moved", "words on pages", "one word, asked for"  # what is read


@dataclass(frozen=True)
class SortGain:
    """
    What a model reads more by one method than by another, sort by sort.

    Attributes:
        read: `MOVED`, `PAGES` or `ASKED`.
        numbers: Words of each sort that one method read.
        gains: By sort, and `BEYOND`: of character accuracy for moved words, of words read for others.
        besides: Gain in row-cut words that are read without an error for moved words; in characters of the page, in
            their order, for pages; in character accuracy `BEYOND` for words asked for.
        trained: Whether the model saw two different grids in training.
    """

    model: str
    rule: str
    than: str
    read: str
    numbers: dict[str, int]
    gains: dict[str, Estimate]
    besides: Estimate
    trained: bool


def sorts_of_moved(table: pd.DataFrame) -> np.ndarray:
    """
    The sort of every moved word, by the grid of plain tiling: cut is one whose center is on the line, so that every
    letter is halved, or the word parted; an empty text for what is cut less evenly.
    """
    plain = table.loc[table["method"] == PLAIN, [*PLACE, "cut_detailed"]]
    cut = table[PLACE].merge(plain, how="left", on=PLACE)["cut_detailed"].to_numpy()
    halved, between_rows = (cut == 1) & on_line(table), table["axis"] == "y"
    return np.select([halved & between_rows, halved & ~between_rows, cut == 0], SORTS, "")


def cut_alike(table: pd.DataFrame, rule: str) -> pd.Series:
    """Which moved words the detailed grids of `rule` and of plain tiling cut both, or neither."""
    both = table[table["method"].isin([rule, PLAIN])]
    numbers = both.groupby(PLACE)["cut_detailed"].nunique().rename("numbers").reset_index()
    return pd.Series(table[PLACE].merge(numbers, how="left", on=PLACE)["numbers"].to_numpy() == 1, table.index)


@cache
def sorts_on_page(index: int, complementarity: str = "any") -> tuple[str, ...]:
    """The sort of every word of a page by the detailed grid of a rule; row: whatever columns do."""
    page = make_page(index, TILE_SIZE)
    size = page.image.size
    detailed, _ = plan_grids(*size, TILE_SIZE, SMALL_RANGES, complementarity)
    cuts = [crossings(box, size, detailed) for _, box in word_boxes(page)]
    return tuple("row" if rows else "column" if columns else "uncut" for rows, columns in cuts)


def sorts_on_pages(table: pd.DataFrame, complementarity: str = "any") -> list[str]:
    """The sort of every word on pages, which are drawn anew to see where their words stand."""
    numbers = table.groupby(["method", "page"]).cumcount()
    places = zip(table["page"], numbers, strict=True)
    return [sorts_on_page(page, complementarity)[number] for page, number in places]


def gains_by_sort(
    table: pd.DataFrame, clusters: str, values: str, first: pd.Series, second: pd.Series
) -> dict[str, Estimate]:
    """The mean of `values` chosen by `first` minus that of those chosen by `second`, for every sort, and `BEYOND`."""
    chosen = {sort: table["sort"] == sort for sort in SORTS}
    gains = {sort: difference(table[values], first & each, second & each) for sort, each in chosen.items()}
    gains[BEYOND] = gains["row"] - gains["uncut"]
    return {name: bootstrap(table[clusters], gain) for name, gain in gains.items()}


def numbers_by_sort(table: pd.DataFrame, chosen: pd.Series) -> dict[str, int]:
    """How many of the chosen words are of each sort."""
    return table["sort"][chosen].value_counts().reindex(SORTS, fill_value=0).to_dict()


def saw_cip(model: str) -> bool:
    """Whether a model saw two different grids in training, by its name."""
    return trained_with(model).startswith("CIP")


def pairs(tables: Tables) -> Iterator[tuple[str, pd.DataFrame, str, str]]:
    """Model, table, rule and what to compare it with, where a model was read by both."""
    for name, table in tables.items():
        for rule in (CIP, JOINT):
            for than in (PLAIN, PLAIN + BUDGET):
                if {rule, than} <= set(table["method"]):
                    yield name, table, rule, than


def moved_gains(sweeps: Tables) -> list[SortGain]:
    """Gains on moved words, of letters of all sizes that both methods read."""
    found = []
    sorted_ = {name: each.assign(sort=sorts_of_moved(each)) for name, each in with_and_without_cip(sweeps).items()}
    for name, table, rule, than in pairs(sorted_):
        sizes = [set(table["size"][table["method"] == each]) for each in (rule, than)]
        both = table[table["size"].isin(set.intersection(*sizes)) & cut_alike(table, rule)]
        first, second = both["method"] == rule, both["method"] == than
        gains, whole = (gains_by_sort(both, "word", values, first, second) for values in ("accuracy", "exact"))
        numbers = numbers_by_sort(both, first)
        found.append(SortGain(name, rule, than, MOVED, numbers, gains, whole["row"], saw_cip(name)))
    return found


def page_gains(pages: Tables) -> list[SortGain]:
    """Gains on pages."""
    found = []
    for name, table, rule, than in pairs(
        {name: each.assign(sort=sorts_on_pages(each)) for name, each in pages.items()}
    ):
        first, second = table["method"] == rule, table["method"] == than
        alike = table["sort"] == sorts_on_pages(table, rule.removeprefix("pyramid "))
        gains = gains_by_sort(table, "page", "read", first & alike, second & alike)
        whole = table.drop_duplicates(["method", "page"])
        characters = difference(whole["page_accuracy"], whole["method"] == rule, whole["method"] == than)
        besides, numbers = bootstrap(whole["page"], characters), numbers_by_sort(table, first & alike)
        found.append(SortGain(name, rule, than, PAGES, numbers, gains, besides, saw_cip(name)))
    return found
