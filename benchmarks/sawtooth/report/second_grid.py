"""What a reader could gain from a second grid: what it reads from that grid alone."""

from dataclasses import dataclass

import pandas as pd

from benchmarks.sawtooth.cutting import SECOND_ALONE
from benchmarks.sawtooth.readers.cut_pages import ONCE, TWICE, Sizes
from benchmarks.sawtooth.report.comparisons import CIP, PLAIN, Tables
from benchmarks.sawtooth.report.statistics import Estimate, bootstrap, mean, percent
from benchmarks.tables import blocks, markdown_table


READER = "reader-base"  # saw many numbers of tiles, and never two different grids
WORD = ["page", "sort"]


@dataclass(frozen=True)
class Reach:
    """
    What is read of words of one sort that the second grid of `any` shows whole.

    Args:
        sizes: Of the letters.
        sort: By the detailed grid.
        read: Truth values by method, a row per word; `page` beside them.
    """

    sizes: Sizes
    sort: str
    read: pd.DataFrame

    def share(self, *methods: str) -> Estimate:
        """The words that are read by one method, or by at least one of several."""
        return bootstrap(self.read["page"], mean(self.read[list(methods)].any(axis=1)))


def reaches(table: pd.DataFrame, sizes: Sizes, sorts: tuple[str, ...] = ("row", "uncut")) -> list[Reach]:
    """One for each sort of word; nothing where the second grid alone wasn't read."""
    read = table.pivot(index=WORD, columns="method", values="read")
    if not {PLAIN, SECOND_ALONE, CIP} <= set(read.columns):
        return []
    alone = table[(table["method"] == SECOND_ALONE) & ~table["cut_by_all"]]
    whole = read.loc[pd.MultiIndex.from_frame(alone[WORD])].reset_index()
    return [Reach(sizes, sort, whole[whole["sort"] == sort].reset_index(drop=True)) for sort in sorts]


def second_grid_section(asked: Tables, legible: Tables) -> list[str]:
    """The table of both sizes of letters; nothing before the second grid alone was read."""
    measured = ((asked, ONCE), (legible, TWICE))
    found = [each for tables, sizes in measured if READER in tables for each in reaches(tables[READER], sizes)]
    if not found:
        return []
    rows = [
        [f"{each.sizes.smallest:.0f} to {each.sizes.largest:.0f}", each.sort, len(each.read)]
        + [percent(each.share(method)) for method in (PLAIN, SECOND_ALONE)]
        + [percent(each.share(PLAIN, SECOND_ALONE)), percent(each.share(CIP))]
        for each in found
    ]
    head = ["letters, px", "words", "n", "one grid", "second grid alone", "by one of the two", "both, `any`"]
    return blocks(
        "### What there is to be gained",
        "The second grid has fewer tiles, so it shows the page smaller. Here the base reads the words that the second "
        "grid of `any` shows whole: by plain tiling, by the second grid in place of the detailed one, and by both "
        "together. By one of the two: what a reader would read that picked the right grid for every word, the most "
        "that picking can gain. In % with 95% intervals by bootstrap over pages, with letters of the primary measure "
        "and with larger ones (`legible-words`), which the second grid shows about as large as the detailed one shows "
        "the others.",
        markdown_table(head, rows, right=("n",)),
    )
