"""Words that are asked for, by the readers trained for it: what a second grid gains on those that are cut."""

from dataclasses import dataclass
from itertools import product

import pandas as pd

from benchmarks.sawtooth.readers.cut_pages import SORTS
from benchmarks.sawtooth.report.comparisons import CIP, JOINT, PLAIN, Tables
from benchmarks.sawtooth.report.sorts import ASKED, BEYOND, SortGain, gains_by_sort, numbers_by_sort
from benchmarks.sawtooth.report.statistics import Estimate, bootstrap, mean, percent, verdict
from benchmarks.tables import blocks, markdown_table


REPEATED = "second grid repeated"
OWN = {"plain": PLAIN, "repeated": REPEATED, "any": CIP, "joint": JOINT}  # how a reader that was trained so reads
BASE = "reader-base"  # never saw two different grids; in front of all others
PAIRS = ((CIP, REPEATED), (JOINT, REPEATED), (CIP, PLAIN), (JOINT, PLAIN), (JOINT, CIP))
GATE = 0.9  # of the uncut words: who can't read those can't show what a cut costs


@dataclass(frozen=True)
class Readings:
    """What readers of one training read by one method, of all seeds, one below the other."""

    trained: str
    method: str
    table: pd.DataFrame  # as stored, and `seed`

    def share(self, sort: str, values: str = "read") -> Estimate:
        """The mean over the words of a sort and all seeds."""
        return bootstrap(self.table["page"], mean(self.table[values], self.table["sort"] == sort))

    @property
    def passes(self) -> bool:
        """Whether enough of the uncut words are read."""
        return self.share("uncut")[0] >= GATE


def readings_of(tables: Tables, trained: str, method: str) -> Readings | None:
    """Of the readers `reader-TRAINED-SEED`, or of the one before them all; nothing where none was read so."""
    names = [BASE] if trained == "base" else [name for name in tables if name.startswith(f"reader-{trained}-")]
    parts = [
        tables[name].query("method == @method").assign(seed=name.rsplit("-", 1)[1])
        for name in names
        if name in tables and method in set(tables[name]["method"])
    ]
    return Readings(trained, method, pd.concat(parts, ignore_index=True)) if parts else None


def all_readings(tables: Tables) -> list[Readings]:
    """Every training by every method."""
    wanted = product(("base", *OWN), OWN.values())
    return [found for each in wanted if (found := readings_of(tables, *each))]


def compared(first: Readings, second: Readings, values: str = "read", every: bool = False) -> dict[str, Estimate]:
    """Gains by sort, over the seeds that both have, of the words that are of it in the detailed grids of both."""
    table, chosen = _beside(first, second, every)
    return gains_by_sort(table, "page", values, chosen, ~chosen)


def by_seed(first: Readings, second: Readings) -> dict[str, float]:
    """The gain `BEYOND`, seed by seed, without intervals."""
    table, chosen = _beside(first, second)
    shares = table.assign(first=chosen).groupby(["seed", "first", "sort"])["read"].mean().unstack(["first", "sort"])
    beyond = shares[True]["row"] - shares[False]["row"] - shares[True]["uncut"] + shares[False]["uncut"]
    return beyond.to_dict()


def _beside(first: Readings, second: Readings, every: bool = False) -> tuple[pd.DataFrame, pd.Series]:
    """Both tables, one below the other, and which rows are of the first; `every` word, or as `compared` says."""
    seeds = set(first.table["seed"]) & set(second.table["seed"])
    both = pd.concat([first.table, second.table], keys=[True, False], names=["first", None]).reset_index("first")
    both = both[both["seed"].isin(seeds)].reset_index(drop=True)
    if not every:
        # What another detailed grid leaves whole is no question for a second grid
        alike = (both["own_sort"] == both["sort"]).groupby([both["page"], both["sort"]]).transform("all")
        both = both[alike].reset_index(drop=True)
    return both, both["first"]


def comparisons(tables: Tables) -> list[tuple[Readings, Readings]]:
    """The rules against the same grid twice and plain tiling, in readers trained for each; then without training."""
    trained_for = {method: trained for trained, method in OWN.items()}
    found = []
    for untrained, pair in product((None, "base", "plain"), PAIRS):
        both = [readings_of(tables, untrained or trained_for[method], method) for method in pair]
        if all(both) and set(both[0].table["seed"]) & set(both[1].table["seed"]):
            found.append(tuple(both))
    return found


NAMES = {"base": "reader-base", "plain": "reader-plain"}  # who never saw two different grids; else reader-pyramid


def over_repeated(tables: Tables) -> list[tuple[str, Readings, Readings]]:
    """Who reads by a rule, and by the same grid twice: name and both readings."""
    both = [pair for pair in comparisons(tables) if pair[1].method == REPEATED]
    return [(NAMES.get(first.trained, "reader-pyramid"), first, second) for first, second in both]


def asked_gains(tables: Tables) -> list[SortGain]:
    """The gains over the same grid twice, for the first page and its figure."""
    found = []
    for name, first, second in over_repeated(tables):
        numbers = numbers_by_sort(*_beside(first, second))
        gains, besides = compared(first, second), compared(first, second, "accuracy")[BEYOND]
        trained = first.trained not in NAMES
        found.append(SortGain(name, first.method, second.method, ASKED, numbers, gains, besides, trained))
    return found


def gains_of_all_words(tables: Tables) -> dict[tuple[str, str], tuple[Estimate, int]]:
    """The same by reader and rule as the measure was fixed before, `BEYOND` and of how many row-cut words."""
    return {
        (name, first.method): (
            compared(first, second, every=True)[BEYOND],
            numbers_by_sort(*_beside(first, second, every=True))["row"],
        )
        for name, first, second in over_repeated(tables)
    }


def gate_sentence(readings: list[Readings]) -> str:
    """Who reads enough of the uncut words."""
    labels = [(f"{each.trained} ({each.method})", each.passes) for each in readings]
    passed, failed = ([label for label, passes in labels if passes is wanted] for wanted in (True, False))
    text = f"Gate, fixed before: at least {GATE:.0%} of the uncut words are read, or a gain says little. "
    text += f"Passed by: {', '.join(passed)}. " if passed else "Nobody passed. "
    return text + (f"Not by: {', '.join(failed)}." if failed else "All passed.")


def readings_table(readings: list[Readings]) -> list[str]:
    """What every training reads."""
    rows = []
    for each in readings:
        table = each.table
        rows_of_all = table[(table["sort"] == "row") & (table["own_sort"] != "unknown")]  # see benchmarks/LOG.md
        own = (rows_of_all["own_sort"] == "row").mean()
        rows.append(
            [each.trained, each.method, table["seed"].nunique(), numbers_by_sort(table, table["read"].notna())["row"]]
            + [percent(each.share(sort)) for sort in SORTS]
            + [percent(each.share("row", "accuracy")), f"{100 * own:.0f}", f"{table['tiles'].mean():.1f}"]
            + ["yes" if each.passes else "no"]
        )
    head = ["trained with", "read with", "seeds", "n of a sort", "row-cut", "column-cut", "uncut"]
    head += ["row-cut, characters", "row-cut by its own detailed grid, %", "tiles", "gate"]
    return markdown_table(head, rows, right=("seeds", "n of a sort", "row-cut by its own detailed grid, %", "tiles"))


def gains_table(tables: Tables) -> list[str]:
    """The primary measure, a row per comparison."""
    rows = []
    for first, second in comparisons(tables):
        gains, characters = compared(first, second), compared(first, second, "accuracy")[BEYOND]
        seeds, number = by_seed(first, second), numbers_by_sort(*_beside(first, second))["row"]
        rows.append(
            [first.trained, first.method, f"{second.trained}, {second.method}", len(seeds), number]
            + [*map(percent, gains.values()), verdict(gains[BEYOND]), percent(characters)]
            + [", ".join(f"{100 * each:.1f}" for each in seeds.values())]
            + [percent(compared(first, second, every=True)[BEYOND])]
        )
    head = ["trained with", "read with", "minus", "seeds", "row-cut words", "row-cut", "column-cut", "uncut", BEYOND]
    head += ["more?", f"{BEYOND}, characters", f"{BEYOND}, by seed", "of all words, as fixed before"]
    return markdown_table(head, rows, right=("seeds", "row-cut words"))


def asked_section(tables: Tables) -> list[str]:
    """Both tables; nothing as long as no reader was asked."""
    readings = all_readings(tables)
    if not readings:
        return []
    return blocks(
        "## One word, asked for",
        "The primary measure. Every page has a row-cut, a column-cut and an uncut word, and each is asked for by the "
        "number of its line (`measurements/cut_words.py`). Readers were trained on from the same base, for as many "
        "steps each: with plain tiling, with the same grid twice (`repeated`: more tiles, the same cut lines), and "
        "with CIP by both rules. Words read exactly, in % with 95% intervals by bootstrap over pages; a mean over the "
        "seeds of the training, whose spread the interval leaves out: the last column has every seed. The base saw "
        "one grid, or a second one on the same cut lines, in many numbers of tiles.",
        gate_sentence(readings),
        readings_table(readings),
        "What is due to the cut: the gain on row-cut words minus the gain on uncut words. `joint` chooses another "
        "detailed grid on a third of the pages, and a word that this one leaves whole is no question for a second "
        "grid. This was seen after the run, so the gains are of words that are of their sort in the detailed grids of "
        "both ways; the last column is of all words, as the measure was fixed before.",
        gains_table(tables),
    )
