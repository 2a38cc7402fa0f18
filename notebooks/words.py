"""What 01, 02 and 07 count of words: which are cut, which are read, and what was stored of both."""

import csv

import numpy as np
import pandas

import compared
import course
import tables
from benchmarks.recognizer import scoring
from benchmarks.sawtooth.cutting import METHODS, is_cut
from benchmarks.sawtooth.measurements.pages import word_boxes
from benchmarks.sawtooth.report import comparisons, sorts
from benchmarks.sawtooth.report import geometry as report
from benchmarks.sawtooth.report.statistics import bootstrap, mean
from figures import distortion
from modeling_minimonkey.scale_compression import GLOBAL_LEVEL
from processing_minimonkey import plan_pyramid


GEOMETRY = course.ROOT / "benchmarks" / "sawtooth" / "geometry.csv"
BASELINE, ANY, JOINT = "detailed + global", "CIP any", "CIP joint"
FINER = "detailed + global, tiles of the pyramid"  # one grid of as many tiles
SORTS = {  # what the detailed grid does to a word
    "row": "cut between rows",
    "column": "cut between columns only",
    "uncut": "not cut",
}


def stored_as(method: str) -> str:
    """How the stored readings of our readers call a method."""
    return method.replace("CIP", "pyramid")


def of_pages(model: str, method: str):
    """Readings of every word of the pages, in one order for all models and methods."""
    table = course.result(f"page-{model}")
    return table[table["method"] == stored_as(method)].reset_index(drop=True)


def sorted_pages(model: str, method: str):
    """`of_pages`, and of each word the sort (`SORTS`)."""
    table = of_pages(model, method)
    return table.assign(sort=sorts.sorts_on_pages(table))


def gained(more, less, plain) -> list[tuple]:
    """
    How much more of all words, of the cut and of the uncut ones is read in one way, with intervals over all pages.

    Args:
        more, less: Readings of pages in both ways.
        plain: Readings with one grid: cut is what the detailed grids of this and of `more` cut, uncut what neither
            does.
    """
    difference = more["read"].astype(float) - less["read"]
    first, second = plain["cut_detailed"], more["cut_detailed"]
    return [
        bootstrap(more["page"], mean(difference, chosen))
        for chosen in (first | ~first, first & second, ~first & ~second)
    ]


def against_controls(trained_with: dict) -> tuple[dict, list]:
    """
    What models read more than their controls, each as it was trained: from a model to `gained`, and rows of a table.

    Args:
        trained_with: From the model's size to how it was trained and is read.
    """
    found, rows = {}, []
    for size, method in trained_with.items():
        more = of_pages(f"{size}-pyramid", method)
        control = of_pages(f"{size}-control", BASELINE)
        found[size] = gained(more, control, control)
        name = f"`{size}-pyramid`, {method}, minus `{size}-control`"
        rows.append([name, len(control), *map(course.points, found[size])])
    return found, rows


def gained_by_sort(more, less) -> dict:
    """
    How much more of the words on pages is read in one way, sorted by what one detailed grid does to them, and what
    row-cut words gain beyond uncut ones: from `SORTS` and `BEYOND` to estimates.

    Args:
        more, less: Readings of pages in both ways, as `sorted_pages` gives them.
    """
    both = pandas.concat([more, less], ignore_index=True)
    first = pandas.Series(both.index < len(more))
    return sorts.gains_by_sort(both, "page", "read", first, ~first)


def sort_rows(model: str, method: str) -> tuple[list, list]:
    """Heads and rows of a table: what a model reads more than itself with one grid and than its control, by sort."""
    one_grid, two = (
        sorted_pages(f"{model}-pyramid", way) for way in (BASELINE, method)
    )
    control = sorted_pages(f"{model}-control", BASELINE)
    pairs = {
        f"{method} minus itself, {BASELINE}": (two, one_grid),
        f"{method} minus its control, {BASELINE}": (two, control),
        f"{BASELINE} minus its control, the same": (one_grid, control),
    }
    rows = [
        [name, *map(course.points, gained_by_sort(*pair).values())]
        for name, pair in pairs.items()
    ]
    numbers = sorts.numbers_by_sort(two, two["sort"].notna())
    heads = [f"{label}, n = {numbers[sort]:,}" for sort, label in SORTS.items()]
    return [f"words read by `{model}-pyramid`", *heads, "rows minus not cut"], rows


def moved_gains(sizes) -> dict:
    """
    What trained models read more of words moved over lines between rows than their controls: from (size, way) to
    estimates on the lines, where both detailed grids cut, and everywhere.
    """
    sweeps = {
        f"{size}-{way}": course.result(f"sweep-{size}-{way}")
        for size in sizes
        for way in ("pyramid", "control")
    }
    ways = {"one grid": comparisons.LEARNED, ANY: comparisons.CIP}
    ways[JOINT], found = comparisons.JOINT, {}
    for size, table in comparisons.beside_baselines(sweeps).items():
        part = table[(table["axis"] == "y") & (table["size"] == 24)]
        for name, way in ways.items():
            alike = part[sorts.cut_alike(part, way)]
            found[size, name] = [
                comparisons.gain(chosen, way, BASELINE, at_lines)
                for chosen, at_lines in ((part, True), (alike, True), (part, False))
            ]
    return found


def moved_rows(found: dict) -> tuple[list, list]:
    """Heads and rows of a table of `moved_gains`."""
    rows = [
        [
            f"`{size}-pyramid`, {name}, minus `{size}-control`",
            *map(course.points, gains),
        ]
        for (size, name), gains in found.items()
    ]
    heads = ["on the lines", "cut by the detailed grids of both models", "everywhere"]
    return ["one word, moved between rows, 24 px", *heads], rows


def show_moved(sizes) -> None:
    """Display `moved_gains`, collapsed."""
    heads, rows = moved_rows(moved_gains(sizes))
    tables.folded("Moved words against the control", heads, rows)


def won_and_lost(plain, more) -> tuple[list, list]:
    """
    Heads and rows of a table: how many words on pages are read in both ways, in one or in none, by what the one
    detailed grid does to them, and the cut ones by whether a grid of the other way shows them whole.

    Args:
        plain: Readings with one grid, of `sorted_pages`.
        more: Of the same words with `joint`.
    """
    one, two = plain["read"], more["read"]
    sort, still_cut = plain["sort"], more["cut_everywhere"]
    chosen = {}
    for each in ("row", "column"):
        chosen[SORTS[each]] = sort == each
        chosen[f"– {each}s: whole in a grid of `joint`"] = (sort == each) & ~still_cut
        chosen[f"– {each}s: cut by both of `joint`"] = (sort == each) & still_cut
    chosen[SORTS["uncut"]] = sort == "uncut"
    rows = []
    for name, some in chosen.items():
        counts = (some, one & two, ~one & two, one & ~two, ~one & ~two)
        gain = bootstrap(more["page"], mean(two.astype(float) - one, some))
        counts = (int((each & some).sum()) for each in counts)
        rows.append([name, *counts, course.points(gain)])
    heads = ["words", "n", "read both ways", "only with CIP", "only without", "never"]
    return [*heads, "more with CIP, of n"], rows


def beyond_uncut(trained_with: dict) -> dict:
    """
    What models gain by their second grid on row-cut words of pages beyond uncut ones, each read as it was trained:
    from a label to an estimate.

    Args:
        trained_with: As in `against_controls`.
    """
    found = {}
    for size, method in trained_with.items():
        one_grid, two = (
            sorted_pages(f"{size}-pyramid", way) for way in (BASELINE, method)
        )
        gains = gained_by_sort(two, one_grid)
        found[f"{size}-pyramid, {method}"] = gains[compared.BEYOND]
    return found


def due_to_the_cut() -> dict:
    """
    What CIP gains on row-cut words beyond its gain on uncut ones, over the same grid twice, in readers of three seeds
    each: from a rule to the measure as it was fixed before (`every` word), the later one (words of one sort in the
    detailed grids of both ways, `alike`), and the share of `uncut` words that it reads.
    """
    results = course.ROOT / "benchmarks" / "sawtooth" / "results"
    gains, readings = compared.asked_gains(results), compared.asked(results)
    found = {rule: gains[compared.TRAINED[rule]] for rule in ("any", "joint")}
    return {
        rule: {
            "every": each["every"],
            "alike": each["gains"][compared.BEYOND],
            "uncut": readings[rule].share("uncut"),
        }
        for rule, each in found.items()
    }


def due_rows(due: dict) -> tuple[list, list]:
    """Heads and rows of a table of `due_to_the_cut`."""
    rows = [
        [
            f"CIP {rule}",
            course.points(each["every"]),
            course.points(each["alike"]),
            course.percent(each["uncut"]),
        ]
        for rule, each in due.items()
    ]
    heads = ["three seeds, over the same grid twice: row-cut minus uncut words"]
    heads += ["all words, as fixed before", "of one sort in both detailed grids"]
    return [*heads, "uncut words read"], rows


def show_other_ways(heads: list[str]) -> None:
    """
    Display, collapsed, what the longest trained reader reads more with CIP than itself and its control in other ways.

    Args:
        heads: Of the columns of gains.
    """
    model, control, rows = "3m-long-pyramid", "3m-long-control", []
    others = {
        "itself, detailed + global": (model, BASELINE),
        "itself, one grid of as many tiles": (model, FINER),
        "its control, detailed + global": (control, BASELINE),
        "its control, one grid of as many tiles": (control, FINER),
    }
    plain = of_pages(model, BASELINE)
    for rule in (JOINT, ANY):
        for name, other in others.items():
            more = gained(of_pages(model, rule), of_pages(*other), plain)
            rows.append([f"{rule} minus {name}", *map(course.points, more)])
    less = gained(plain, of_pages(control, BASELINE), plain)
    rows.append([f"{BASELINE} minus its control, the same", *map(course.points, less)])
    heads = [f"words read by `{model}`", *heads]
    tables.folded("Nine comparisons of the longest trained reader", heads, rows)


def with_and_without(readings) -> list:
    """
    What the recognizer reads without and with CIP and the difference, by how words are cut and by how much a line
    between rows cuts off, and of words at random places; and how often such words are at random places.
    """
    often = scoring.occurrence(readings)
    rows = readings["kind"] == "row"
    parts = {  # from a label to which words, and how often they occur
        "cut between rows": (rows, often["row"]),
        "– by less than 15% of their height": (rows & (readings["depth"] < 0.15), None),
        "– by 15 to 30%": (rows & readings["depth"].between(0.15, 0.3, "left"), None),
        "– by 30 to 50%": (rows & (readings["depth"] >= 0.3), None),
        "cut between columns only": (readings["kind"] == "column", often["column"]),
        "not cut": (readings["kind"] == "uncut", often["uncut"]),
    }
    found = []
    for name, (which, share) in parts.items():
        some = readings[which]
        read = [scoring.share_read(some, way) for way in (BASELINE, ANY)]
        gain = scoring.gain(some, ANY, BASELINE)
        found.append((name, share, len(some), read, gain))
    read = [scoring.share_read_anywhere(readings, way) for way in (BASELINE, ANY)]
    gain = scoring.gain_anywhere(readings, ANY, BASELINE)
    found.append(("all, at random places", 1.0, len(readings), read, gain))
    return [
        [
            name,
            "" if share is None else f"{share:.1%}",
            number,
            *map(course.percent, read),
            course.points(gain),
        ]
        for name, share, number, read, gain in found
    ]


def measure(table, axis: str, size: int, method: str = ANY) -> list:
    """Depth without and with CIP of a stored sweep; what CIP gains on the lines and everywhere."""
    part = table[(table["axis"] == axis) & (table["size"] == size)]
    ways = stored_as(method), BASELINE
    gains = (comparisons.gain(part, *ways, at_lines=at) for at in (True, False))
    return [*(comparisons.depth(part, way) for way in ways[::-1]), *gains]


def same_as_stored(stored, answers: dict, words: list[str], grids: dict) -> list[bool]:
    """
    Whether answers are those of a stored sweep.

    Args:
        stored: Its readings of letters of this size.
        answers: From (axis, method, offset from the line in tiles) to an answer per word.
        words: In the order of the answers.
        grids: From an axis to columns and rows.
    """
    names = ("method", "columns", "rows", "axis", "position", "word", "answer")
    columns = zip(*(stored[name] for name in names), strict=True)
    known = {key[:-1]: key[-1] for key in columns}
    same = []
    for (axis, method, offset), given in answers.items():
        for word, answer in zip(words, given, strict=True):
            key = (stored_as(method), *grids[axis], axis, 1 + offset, word)
            if key in known:  # 1/16 isn't among its steps
                same.append(known[key] == answer)
    return same


def cuts(pages: list, method: str, tile: int):
    """A row per word on pages of the benchmark: its page, whether the detailed grid cuts it, whether all grids do."""
    found = []
    for number, each in enumerate(pages):
        size = each.image.size
        views = METHODS[method](*size, tile, None)
        views = [view for view in views if view.level != GLOBAL_LEVEL]
        for _, box in word_boxes(each):
            cut = [is_cut(view, size, box) for view in views]
            found.append((number, cut[:1] == [True], cut != [] and all(cut)))
    return np.array(found)


def stored_rows(counted: dict, model: str) -> list:
    """
    What a model read of the counted words, by method, and minus what it read by CIP any, word by word.

    Args:
        counted: From a method to what `cuts` found, which has to be what was stored.
        model: Whose readings.
    """
    of_any, rows = of_pages(model, ANY), []
    for method, found in counted.items():
        of_method = of_pages(model, method)
        assert (found[:, 2] == of_method["cut_everywhere"]).all()
        read, pages = of_method["read"].to_numpy(float), found[:, 0]
        more = bootstrap(pages, mean(read - of_any["read"].to_numpy()))
        read = course.percent(bootstrap(pages, mean(read)))
        cells = [
            int(of_method[name].sum()) for name in ("cut_detailed", "cut_everywhere")
        ]
        name = method.replace("pyramid", "CIP")
        rows.append([name, *cells, read, course.points(more)])
    return rows


def stretched(pages: list, ranges: dict) -> list:
    """Rows: how much `any` and `joint` stretch pages in both grids, in the median; `ranges` are of `plan_pyramid`."""
    rows = []
    for rule in ("any", "joint"):
        plans = {
            page.image.size: plan_pyramid(
                *page.image.size, complementarity=rule, **ranges
            )
            for page in pages
        }
        grids = [(plans[page.image.size], page.image.size) for page in pages]
        both = (
            np.median([distortion(size, getattr(plan, name)) for plan, size in grids])
            for name in ("detailed", "adaptive")
        )
        rows.append([rule, *(f"{middle:.2f}" for middle in both)])
    return rows


def geometry() -> dict:
    """Cuts and distortion of the geometry without a model: from (ranges, rule) to a dict of numbers."""
    with open(GEOMETRY, newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        (row.pop("setting"), row.pop("rule")): {
            name: float(each) for name, each in row.items()
        }
        for row in rows
    }


def distortion_rows(rows: dict, rules: tuple) -> list:
    """Of some of the `rows` of the geometry by rule: words cut in three ways, distortion and tiles."""
    stretch = ("distortion_median", "distortion_90", "detailed_distortion_90")
    cells = []
    for rule in rules:
        row = rows[rule]
        shares = (f"{100 * row[name]:.1f}" for name in ("cut_detailed", "cut_both"))
        cut = course.cell([100 * row[name] for name in ("cut", "cut_low", "cut_high")])
        without = () if row["second_grid"] else stretch[:2]
        stretched = ("–" if name in without else f"{row[name]:.2f}" for name in stretch)
        cells.append([rule, *shares, cut, *stretched, row["tiles"]])
    return cells


def against_any(geometry: dict, rule: str) -> tuple:
    """Cells: what a rule leaves cut minus `any` under the demo's ranges, and what the report counts against `any`."""
    more = [
        100 * geometry["demo", rule][end] for end in ("more", "more_low", "more_high")
    ]
    fewer, greater, less = report.against_any(pandas.read_csv(GEOMETRY), rule)
    cell = "{:.2f} [{:.2f}, {:.2f}]".format(*more)
    return cell, fewer, greater, "–" if less is None else less
