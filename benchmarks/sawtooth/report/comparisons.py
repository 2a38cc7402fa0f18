"""What the report compares: depths of the sawtooth, gains of a method over another, of a training over another."""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.sawtooth.report.readings import in_center, on_line
from benchmarks.sawtooth.report.statistics import Estimate, Statistic, bootstrap, difference, ratio


PLAIN, CIP, JOINT = "detailed + global", "pyramid any", "pyramid joint"
LEARNED = "only in training"  # trained with CIP, read with plain tiling
BUDGET = ", tiles of the pyramid"  # how the names of methods end that have as many tiles
ON_PAGES = "words on pages"
LINES = {"y": "between rows", "x": "between columns"}  # the cut lines that a word meets when it is moved along an axis
TRAINED = {  # how the names of models end
    "plain": "plain tiling",
    "control": "plain tiling, as long",
    "pyramid": "CIP",
    "compressed": "CIP, then scale compression with gaps",
    "drawn": "CIP, then scale compression, also without gaps, and looking up",
}
Tables = dict[str, pd.DataFrame]


def trained_with(name: str) -> str:
    """How a model was trained, by the end of its name; a dash where that doesn't tell."""
    return TRAINED.get(name.rsplit("-", 1)[-1], "–")


def depth(table: pd.DataFrame, method: str) -> Estimate:
    """Character accuracy in the centers of tiles minus that on cut lines of the detailed grid."""
    found = table[table["method"] == method]
    return bootstrap(found["word"], difference(found["accuracy"], in_center(found), on_line(found)))


def gain(table: pd.DataFrame, method: str, than: str, at_lines: bool = False) -> Estimate:
    """Character accuracy by one method minus that by another, on the same words at the same positions."""
    first, second = table["method"] == method, table["method"] == than
    chosen = table["size"].isin(set(table["size"][first]) & set(table["size"][second]))  # read by both
    if at_lines:
        chosen &= on_line(table)
    return bootstrap(table["word"], difference(table["accuracy"], chosen & first, chosen & second))


def page_gain(table: pd.DataFrame, method: str, than: str, chosen: pd.Series | bool = True) -> Estimate:
    """Share of the `chosen` words on pages that are read by one method minus that by another."""
    first, second = table["method"] == method, table["method"] == than
    return bootstrap(table["page"], difference(table["read"], chosen & first, chosen & second))


def cut_by_plain_tiling(table: pd.DataFrame) -> pd.Series:
    """Which words on pages the detailed grid of plain tiling cuts: one sort for all methods, `joint` among them."""
    numbered = table.assign(number=table.groupby(["method", "page"]).cumcount())
    plain = numbered.loc[numbered["method"] == PLAIN, ["page", "number", "cut_detailed"]]
    cut = numbered[["page", "number"]].merge(plain, how="left", on=["page", "number"], validate="many_to_one")
    return pd.Series(cut["cut_detailed"].to_numpy(bool), table.index)


def of_all_tokens(found: pd.DataFrame, table: pd.DataFrame) -> Statistic:
    """Words that compressed pages read, of those that all tokens read; `table` has the readings with all tokens."""
    full = table.loc[table["keep_ratio"] == 1, ["page", "words_read"]]
    both = found.merge(full, on="page", suffixes=("", "_full"))
    return ratio(both["words_read"], both["words_read_full"])


def with_and_without_cip(sweeps: Tables) -> Tables:
    """The sweeps of all models that were read with and without CIP."""
    return {name: table for name, table in sweeps.items() if {PLAIN, CIP} <= set(table["method"])}


def parts(table: pd.DataFrame) -> dict[tuple[str, float], pd.DataFrame]:
    """The readings of every axis and size of the letters (px) that were taken with CIP."""
    sizes = np.unique(table["size"][table["method"] == CIP])
    return {(axis, size): table[(table["axis"] == axis) & (table["size"] == size)] for axis in LINES for size in sizes}


@dataclass(frozen=True)
class Comparison:
    """What a model trained with CIP gains, read by `rule`, over one trained as long without, read by `than`."""

    model: str
    rule: str
    than: str
    read: str
    number: int
    everywhere: Estimate
    cut: Estimate  # of the words that the detailed grid of plain tiling cuts, whatever that of `rule` does


def beside_baselines(tables: Tables) -> Tables:
    """Per model, the readings by the model that was trained with CIP, and those without by the one trained without."""
    found = {}
    for name, with_cip in tables.items():
        model, trained = name.rsplit("-", 1)
        without = tables.get(f"{model}-control")
        if trained == "pyramid" and without is not None:
            with_cip = with_cip[with_cip["method"].isin((PLAIN, CIP, JOINT))].replace({"method": {PLAIN: LEARNED}})
            without = without[without["method"].isin((PLAIN, PLAIN + BUDGET))]
            found[model] = pd.concat([with_cip, without], ignore_index=True)
    return found


def pairings(table: pd.DataFrame) -> list[tuple[str, str, int]]:
    """The rules that were read, each with the tilings to compare it with, and the number of its readings."""
    numbers = table["method"].value_counts()
    pairs = itertools.product((LEARNED, CIP, JOINT), (PLAIN, PLAIN + BUDGET))
    return [(rule, than, numbers[rule]) for rule, than in pairs if rule in numbers and than in numbers]


def training_comparisons(sweeps: Tables, pages: Tables) -> list[Comparison]:
    """Each model in the way it was trained for, after equally many steps: the question behind all others."""
    found = []
    for model, table in beside_baselines(sweeps).items():
        for (axis, size), part in parts(table).items():
            read = f"one word, lines {LINES[axis]}, {size:g} px"
            for rule, than, number in pairings(part):
                gains = gain(part, rule, than), gain(part, rule, than, at_lines=True)
                found.append(Comparison(model, rule, than, read, number, *gains))
    for model, table in beside_baselines(pages).items():
        cut = cut_by_plain_tiling(table)
        for rule, than, number in pairings(table):
            gains = page_gain(table, rule, than), page_gain(table, rule, than, cut)
            found.append(Comparison(model, rule, than, ON_PAGES, number, *gains))
    return found
