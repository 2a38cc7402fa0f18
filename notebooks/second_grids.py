"""What 07 draws of a second grid in other families: where it lies, what it gains, and what is written twice."""

from pathlib import Path

import pandas
from matplotlib import pyplot

from benchmarks.sawtooth.readers.families import FAMILIES
from benchmarks.sawtooth.report.comparisons import CIP, LINES, PLAIN, gain
from benchmarks.sawtooth.report.readings import load
from benchmarks.sawtooth.report.statistics import bootstrap, difference, verdict
from benchmarks.sawtooth.report.statistics import percent as points
from course import BLACK, GRAY, LEVELS, PURPLE, whiskers
from figures import draw_lines
from words import ANY, BASELINE, JOINT, gained, of_pages


METHODS = {"without": PLAIN, "with CIP": CIP}  # as the readings call them
TRAININGS = {"plain": "plain", "pyramid": "trained on\nwith CIP"}
NAMES = ("InternVL", "LLaVA-OneVision", "MiniCPM-V")
SORTS = {
    "several": "several words",
    "exact": "the word to the letter",
    "holds": "the word somewhere in it",
}
EXAMPLES = [  # a label, a key of the readings, a word
    ("MiniCPM-V, plain", ("MiniCPM-V", "plain", 24), "vary"),
    ("MiniCPM-V, plain", ("MiniCPM-V", "plain", 24), "root"),
    ("InternVL, plain", ("InternVL", "plain", 24), "round"),
    ("LLaVA-OneVision, trained on, 32 px", ("LLaVA-OneVision", "pyramid", 32), "round"),
]


def read_all(results: Path) -> dict:
    """
    Readings without and with CIP, from (family, training, size of the letters). InternVL read letters of 24 px alone;
    those of 32 px are of the small Mini-Monkey, which has the same weights.
    """
    read = {}
    for name, family in zip(NAMES, FAMILIES, strict=True):
        for training in TRAININGS:
            tables = [load(results / f"sweep-{family}-{training}.csv")]
            if name == "InternVL":
                native = load(results / f"sweep-6m-{training}.csv")
                tables.append(native[native["size"] == 32])
            for table in tables:
                table = table[table["method"].isin(METHODS.values())]
                for size, rows in table.groupby("size"):
                    read[name, training, size] = rows
    return read


def sorts(table):
    """Readings, and which answers have several words, have the right one twice, and hold it (`exact` is there)."""
    pairs = list(zip(table["answer"].str.split(), table["word"], strict=True))
    return table.assign(
        several=[len(words) > 1 for words, _ in pairs],
        twice=[words.count(word) > 1 for words, word in pairs],
        holds=[word in words for words, word in pairs],
    )


def plot_both_grids(page, own: tuple[int, int], second: tuple[int, int]):
    """The page under its own grid, under the second one, and under the lines of both; grids are columns and rows."""
    figure, axes = pyplot.subplots(1, 3, figsize=(10, 2.9), layout="constrained")
    names = {"detailed": own, "adaptive": second}
    panels = {
        f"detailed, {own[0]} x {own[1]}": ["detailed"],
        f"adaptive, {second[0]} x {second[1]}": ["adaptive"],
        "lines of both": list(names),
    }
    for axis, (title, shown) in zip(axes, panels.items(), strict=True):
        axis.imshow(page)
        axis.set(xticks=[], yticks=[], title=title)
        axis.spines[:].set_visible(True)  # the edge of the page
        for number, name in enumerate(shown):
            for way in (0, 1):  # columns, rows
                style = {"color": LEVELS[name], "linewidth": 2}
                if number and own[way] == second[way]:  # the first color in the gaps
                    style["linestyle"] = (0, (4, 4))
                grid = [
                    parts if way == each else 1
                    for each, parts in enumerate(names[name])
                ]
                draw_lines(axis, page.size, grid, **style)
    return figure


def plot_gains(gains: dict):
    """
    What a second grid gains, a column per family and a row per training, each row with a scale of its own; letters of
    24 px, and open markers for 32 px.

    Args:
        gains: From a family's name to a dict from (training, size, where) to a gain and both ends of its interval.
    """
    places = ("over all places", "on cut lines")
    figure, axes = pyplot.subplots(
        2, len(gains), figsize=(10, 5.8), sharey="row", layout="constrained"
    )
    for column, (family, found) in zip(axes.T, gains.items(), strict=True):
        for (training, size, where), estimate in found.items():
            axis, at = column[list(TRAININGS).index(training)], places.index(where)
            style = {"color": (PURPLE, BLACK)[at], "fmt": "os"[at], "capsize": 4}
            if size == 32:
                style["markerfacecolor"] = "white"
            spread = whiskers(*(100 * value for value in estimate))
            place = at + (0.1 if size == 32 else -0.1)
            label = f"{where}, {size} px"
            axis.errorbar(place, 100 * estimate[0], yerr=spread, label=label, **style)
        column[0].set_title(family)
        for axis in column:
            axis.axhline(0, color=BLACK, linewidth=1)
            axis.set(xticks=(0, 1), xlim=(-0.5, 1.5))
            axis.set_xticklabels(places)
    for axis, label in zip(axes[:, 0], TRAININGS.values(), strict=True):
        axis.set_ylabel("{}:\ngain, points".format(label.replace("\n", " ")))
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        frameon=False,
        loc="outside lower center",
        ncols=4,
    )
    return figure


def plot_repeated(rows: dict):
    """
    How many more answers have several words, are the word, and hold it somewhere, a panel each; the last two panels
    have one scale.

    Args:
        rows: From a model's label to a dict from such a sort of answers to a difference and both ends of its interval.
    """
    sorts = list(next(iter(rows.values())))
    figure, axes = pyplot.subplots(
        1, len(sorts), figsize=(11, 4), sharey=True, layout="constrained"
    )
    axes[2].sharex(axes[1])
    names = [label.split(",")[0].split(" (")[0] for label in rows]
    families = [place for place, name in enumerate(names) if names.index(name) == place]
    for axis, sort in zip(axes, sorts, strict=True):
        for place, found in enumerate(rows.values()):
            value, low, high = (100 * each for each in found[sort])
            color = GRAY if low <= 0 <= high else BLACK
            style = {"fmt": "o", "color": color, "capsize": 4}
            axis.errorbar(value, place, xerr=whiskers(value, low, high), **style)
        axis.axvline(0, color=BLACK, linewidth=1)
        for place in families[1:]:
            axis.axhline(place - 0.5, color=GRAY, linewidth=0.5)
        axis.set(xlabel="points more with CIP")
        axis.set_title(sort, fontsize=11)
    axes[0].set_yticks(range(len(rows)), list(rows))
    axes[0].invert_yaxis()
    return figure


def row_of(ways: tuple, gains: list[str]) -> list:
    """
    Cells of a table: answers of several words, how many of them with CIP hold the word and how many have it twice, and
    the share of two sorts with their gains.

    Args:
        ways: The readings without and with CIP.
        gains: Of the answers that are the word, and of those that hold it.
    """
    several = " -> ".join(f"{way['several'].sum():,}" for way in ways)
    exact, holds = (
        " -> ".join(f"{100 * way[sort].mean():.1f}" for way in ways)
        for sort in ("exact", "holds")
    )
    hold = (ways[1]["several"] & ways[1]["holds"]).sum()
    hold = f"{hold} ({ways[1]['twice'].sum()})"
    return [several, hold, exact, gains[0], holds, gains[1]]


def sort_rows(read: dict) -> tuple[list, list, dict]:
    """
    Head and rows of a table: which sorts of answers (`SORTS`) there are without and with CIP, and what `plot_repeated`
    takes. The readings of `read` get the columns of `sorts`.
    """
    cells, gained = [], {}
    for key, table in read.items():
        table = read[key] = sorts(table)
        ways = [table[table["method"] == method] for method in METHODS.values()]
        masks = [table["method"] == method for method in (CIP, PLAIN)]
        found = {
            label: bootstrap(table["word"], difference(table[sort], *masks))
            for sort, label in SORTS.items()
        }
        row = name_of(*key)
        gained[row] = found
        texts = [points(found[SORTS[sort]]) for sort in ("exact", "holds")]
        cells.append([row, *row_of(ways, texts)])
    head = ["of 1,680 answers, without -> with CIP", "several words"]
    head += [
        "of these with CIP: with the word (twice)",
        "the word to the letter, %",
        "gain, points",
    ]
    head += ["the word somewhere in it, %", "gain, points"]
    return head, cells, gained


def often(tables: dict) -> list:
    """
    Rows of a table: the two most frequent answers to a word in each way, and how often they came.

    Args:
        tables: From (family, training, size) to readings.
    """
    rows = []
    for label, key, word in EXAMPLES:
        cells = []
        for method in METHODS.values():
            table = tables[key]
            chosen = (table["method"] == method) & (table["word"] == word)
            most = table[chosen]["answer"].value_counts()
            answers = (
                f"`{text}` ({number})".replace("\n", " ↵ ")
                for text, number in most.iloc[:2].items()
            )
            cells.append(", ".join(answers))
        rows.append([f"{label}: {word}", *cells])
    return rows


def name_of(family: str, training: str, size: float) -> str:
    """How rows of tables and figures call a model and the size of the letters."""
    native = " (as Mini-Monkey)" if (family, size) == ("InternVL", 32) else ""
    return f"{family}{native}, {' '.join(TRAININGS[training].split())}, {size} px"


def gain_rows(read: dict) -> tuple:
    """
    Rows of two tables, characters read and gained and gains by the kind of cut line; and what `plot_gains` takes.

    Args:
        read: From (family, training, size) to readings.
    """
    cells, apart, gains = [], [], {}
    for (family, training, size), table in read.items():
        row = [name_of(family, training, size)]
        for method in METHODS.values():
            accuracy = table["accuracy"][table["method"] == method].mean()
            row.append(f"{100 * accuracy:.1f}")
        for where in ("over all places", "on cut lines"):
            more = gain(table, CIP, PLAIN, at_lines=where == "on cut lines")
            gains.setdefault(family, {})[training, size, where] = more
            row.append(f"{points(more)} {verdict(more)}")
        cells.append(row)
        parts = [table[table["axis"] == axis] for axis in LINES]
        parts = (gain(part, CIP, PLAIN, at_lines=True) for part in parts)
        apart.append([row[0], *(f"{points(more)} {verdict(more)}" for more in parts)])
    return cells, apart, gains


def control_rows(results: Path) -> tuple[list, list, list]:
    """
    Head and rows of a table: what the small Mini-Monkey reads with one grid and with two, at both sizes: plain,
    trained as long without CIP, and trained with it. And the rows of another, at 24 px: the third with one grid and
    with two, minus the second with one, in characters and words.
    """
    trainings = {
        "plain": "plain",
        "trained as long without CIP": "control",
        "trained on with CIP": "pyramid",
    }
    tables = {
        training: load(results / f"sweep-6m-{training}.csv")
        for training in trainings.values()
    }
    rows = []
    for label, training in trainings.items():
        row = [label]
        for size in (24, 32):
            table = tables[training]
            table = table[table["size"] == size]
            ways = [table[table["method"] == method] for method in METHODS.values()]
            if not len(table):
                row += 3 * ["–"]
                continue
            for way in ways:
                shares = (100 * way[name].mean() for name in ("accuracy", "exact"))
                row.append("{:.1f} ({:.1f})".format(*shares))
            row.append(points(gain(table, CIP, PLAIN)))
        rows.append(row)
    against = []
    for number, method in (("one grid", PLAIN), ("two grids", CIP)):
        ways = (tables["control"], PLAIN), (tables["pyramid"], method)
        both = [
            table[(table["method"] == way) & (table["size"] == 24)].assign(second=place)
            for place, (table, way) in enumerate(ways)
        ]
        both = pandas.concat(both, ignore_index=True)
        second = both["second"] == 1
        more = [
            points(bootstrap(both["word"], difference(both[name], second, ~second)))
            for name in ("accuracy", "exact")
        ]
        against.append([f"with CIP, {number}, minus without, one grid", *more])
    head = ["characters (words to the letter), %"]
    for size in (24, 32):
        head += [f"{size} px: one grid", "two grids", "gain of characters, points"]
    return head, rows, against


def beside_controls() -> tuple[list, list]:
    """Head and rows: words on pages with two grids, by either rule, minus the control's with one."""
    rows = []
    for size in ("6m", "3m", "3m-long"):
        control = of_pages(f"{size}-control", BASELINE)
        pages = (of_pages(f"{size}-pyramid", method) for method in (ANY, JOINT))
        gains = (gained(more, control, control)[0] for more in pages)
        rows.append([size, *map(points, gains)])
    what = "words on pages, two grids minus the control's one, points"
    return [what, "read by `any`", "read by `joint`"], rows
