"""What 07 draws of a second grid in other families: where it lies, what it gains, and what is written twice."""

from matplotlib import pyplot

from benchmarks.sawtooth.report.comparisons import LINES
from benchmarks.sawtooth.report.statistics import percent as points
from benchmarks.sawtooth.report.statistics import verdict
from course import BLACK, GRAY, LEVELS, PURPLE, whiskers
from figures import draw_lines


EXAMPLES = [  # a label, a key of the readings, a word
    ("MiniCPM-V, plain", ("MiniCPM-V", "plain", 24), "vary"),
    ("MiniCPM-V, plain", ("MiniCPM-V", "plain", 24), "root"),
    ("InternVL, plain", ("InternVL", "plain", 24), "round"),
    ("LLaVA-OneVision, trained on, 32 px", ("LLaVA-OneVision", "pyramid", 32), "round"),
]


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


def plot_gains(gains: dict, trainings: dict):
    """
    What a second grid gains, one panel per family; letters of 24 px, and open markers for 32 px.

    Args:
        gains: From a family's name to a dict from (training, size, where) to a gain and both ends of its interval.
        trainings: From a training to how the axis names it.
    """
    figure, axes = pyplot.subplots(
        1, len(gains), figsize=(10, 3.8), sharey=True, layout="constrained"
    )
    for axis, (family, found) in zip(axes, gains.items(), strict=True):
        for (training, size, where), estimate in found.items():
            everywhere = where == "everywhere"
            color, marker = (PURPLE, "o") if everywhere else (BLACK, "s")
            style = {"color": color, "fmt": marker, "capsize": 4}
            if size == 32:
                style["markerfacecolor"] = "white"
            place = list(trainings).index(training) - 0.1 + 0.2 * (not everywhere)
            place += 0.06 * (size == 32)
            spread = whiskers(*(100 * value for value in estimate))
            label = f"{where}, {size} px" if training == "plain" else None
            value = 100 * estimate[0]
            axis.errorbar(place, value, yerr=spread, label=label, **style)
        axis.axhline(0, color=BLACK, linewidth=1)
        axis.set(title=family, xticks=range(len(trainings)), xlim=(-0.5, 1.5))
        axis.set_xticklabels(trainings.values())
    axes[0].set_ylabel("gain by CIP, points of\ncharacter accuracy")
    axes[1].legend(frameon=False, loc="lower right")
    return figure


def plot_repeated(rows: dict):
    """
    How many more answers have several words, are the word, and hold it somewhere, a panel each.

    Args:
        rows: From a model's label to a dict from such a sort of answers to a difference and both ends of its interval.
    """
    sorts = list(next(iter(rows.values())))
    figure, axes = pyplot.subplots(
        1, len(sorts), figsize=(11, 3.6), sharey=True, layout="constrained"
    )
    for axis, sort in zip(axes, sorts, strict=True):
        for place, found in enumerate(rows.values()):
            value, low, high = (100 * each for each in found[sort])
            color = GRAY if low <= 0 <= high else BLACK
            style = {"fmt": "o", "color": color, "capsize": 4}
            axis.errorbar(value, place, xerr=whiskers(value, low, high), **style)
        axis.axvline(0, color=BLACK, linewidth=1)
        axis.set(title=sort, xlabel="points more with CIP")
    axes[0].set_yticks(range(len(rows)), list(rows))
    axes[0].invert_yaxis()
    return figure


def row_of(ways: tuple, gains: list[str]) -> list:
    """
    Cells of a table: answers of several words, the right word twice, and the share of two sorts with their gains.

    Args:
        ways: The readings without and with CIP.
        gains: Of the answers that are the word, and of those that hold it.
    """
    several = " -> ".join(f"{way['several'].sum():,}" for way in ways)
    exact, holds = (
        " -> ".join(f"{100 * way[sort].mean():.1f}" for way in ways)
        for sort in ("exact", "holds")
    )
    return [several, ways[1]["twice"].sum(), exact, gains[0], holds, gains[1]]


def often(tables: dict, methods: dict) -> list:
    """
    Rows of a table: the two most frequent answers to a word in each way, and how often they came.

    Args:
        tables: From (family, training, size) to readings.
        methods: The ways, as the readings call them.
    """
    rows = []
    for label, key, word in EXAMPLES:
        cells = []
        for method in methods.values():
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


def name_of(family: str, training: str, size: float, trainings: dict) -> str:
    """How rows of tables and figures call a model and the size of the letters."""
    return f"{family}, {' '.join(trainings[training].split())}, {size} px"


def gain_rows(read: dict, gain, methods: dict, trainings: dict) -> tuple:
    """
    Rows of two tables, characters read and gained and gains by the kind of cut line; and what `plot_gains` takes.

    Args:
        read: From (family, training, size) to readings.
        gain: Gives an estimate of readings, on cut lines with `at_lines=True`.
        methods: From a label to how readings call it.
        trainings: From a training to how figures call it.
    """
    cells, apart, gains = [], [], {}
    for (family, training, size), table in read.items():
        row = [name_of(family, training, size, trainings)]
        for method in methods.values():
            accuracy = table["accuracy"][table["method"] == method].mean()
            row.append(f"{100 * accuracy:.1f}")
        for where in ("everywhere", "on cut lines"):
            more = gain(table, at_lines=where == "on cut lines")
            gains.setdefault(family, {})[training, size, where] = more
            row.append(f"{points(more)} {verdict(more)}")
        cells.append(row)
        parts = (gain(table[table["axis"] == axis], at_lines=True) for axis in LINES)
        apart.append([row[0], *(f"{points(more)} {verdict(more)}" for more in parts)])
    return cells, apart, gains
