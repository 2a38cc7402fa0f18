"""What 10 compares: curves of one block, trainings with and without CIP, a recognizer; figures are matplotlib's."""

from itertools import product
from pathlib import Path

import numpy as np
from matplotlib import pyplot

from benchmarks.recognizer import scoring
from benchmarks.sawtooth.cutting import PUBLISHED_RANGES, SECOND_ALONE, plan_grids
from benchmarks.sawtooth.measurements.cut_words import make_page
from benchmarks.sawtooth.readers.cut_pages import ONCE, TWICE
from benchmarks.sawtooth.readers.recipe import LONGER, SMALL
from benchmarks.sawtooth.readers.rendering import TILE_SIZE
from benchmarks.sawtooth.readers.scores import character_accuracy
from benchmarks.sawtooth.readers.writing import WORLDS
from benchmarks.sawtooth.report.comparisons import BUDGET, CIP, JOINT, PLAIN
from benchmarks.sawtooth.report.cut_words import OWN, by_seed, compared, readings_of
from benchmarks.sawtooth.report.readings import load, load_all
from benchmarks.sawtooth.report.second_grid import READER, reaches
from benchmarks.sawtooth.report.sorts import BEYOND, moved_gains
from benchmarks.sawtooth.report.statistics import bootstrap, mean, verdict
from course import (
    BLACK,
    BLUE,
    GRAY,
    LEVELS,
    PALE,
    PURPLE,
    ROOT,
    SKY,
    YELLOW,
    cell,
    whiskers,
)
from figures import draw_lines
from measured import RULE_STYLES
from modeling_minimonkey.harnesses.published_evaluation import SETTINGS
from processing_minimonkey import PYRAMID_SETTINGS, plan_pyramid


MODELS, RULES = ("6m", "3m", "3m-long"), {"any": CIP, "joint": JOINT}
AGAINST = {  # which of the two models, and how it is read
    "itself, one grid": ("pyramid", PLAIN),
    "its control, one grid": ("control", PLAIN),
    "its control, one finer grid": ("control", PLAIN + BUDGET),
}
KINDS = {
    "cut between rows": "row",
    "cut between columns only": "column",
    "not cut": "uncut",
}

ASKED_COLORS = (PURPLE, SKY, GRAY)  # of the frames around words, by `KINDS`
TRAINED = {
    "plain": "one grid",
    "repeated": "the same grid twice",
    "any": "CIP, `any`",
    "joint": "CIP, `joint`",
}


def points(estimate) -> str:
    """An estimate and its interval, shares, in points."""
    return cell([100 * value for value in estimate])


def report_row(report: Path, *first_cells: str) -> list[str]:
    """The cells of the one row of a report's tables that begins with some."""
    start = f"| {' | '.join(first_cells)} |"
    lines = report.read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(start)]
    return [cell.strip() for cell in line.strip("|").split("|")]


def trained_with() -> dict[str, str]:
    """By which rule the second grid of each `-pyramid` model was chosen in training, from the recipe."""
    stages = {stage.output: stage for stage in (*SMALL, *LONGER)}
    names = {name: "{size}/pyramid" for name in MODELS} | {"3m-long": "{size}/joint"}
    return {
        name: stages[output].tiles.get("complementarity", "any")
        for name, output in names.items()
    }


def words_read(folder: Path, model: str, method: str):
    """Page and success of every word that one model reads in one way."""
    table = load(folder / f"page-{model}.csv")
    found = table[table["method"] == method]
    return found["page"].to_numpy(), found["read"].to_numpy().astype(float)


def comparisons(results: Path) -> dict:
    """By name of `AGAINST` and (model, rule of the reading): words that CIP reads minus words read so, over pages."""
    found = {name: {} for name in AGAINST}
    for name, (training, tiling) in AGAINST.items():
        for model, (rule, way) in product(MODELS, RULES.items()):
            if (model, tiling) != ("6m", PLAIN + BUDGET):  # which was not read
                pages, read = words_read(results, f"{model}-pyramid", way)
                _, other = words_read(results, f"{model}-{training}", tiling)
                found[name][model, rule] = bootstrap(pages, mean(read - other))
    return found


def comparison_rows(found: dict, trained: dict) -> tuple[list, list]:
    """
    Head and rows of a table, first the models that are read as they were trained.

    Args:
        found: From a name of `AGAINST` to a dict from (model, rule of the reading) to a difference and its interval.
        trained: From a model to the rule of its training.
    """
    keys = sorted(
        found["its control, one grid"], key=lambda key: trained[key[0]] != key[1]
    )
    rows = []
    for model, rule in keys:
        same = trained[model] == rule
        row = [model, trained[model], rule, "yes" if same else "no"]
        for estimates in found.values():
            estimate = estimates.get((model, rule))
            text = f"{points(estimate)} {verdict(estimate)}" if estimate else "not read"
            row.append(f"**{text}**" if same and estimate else text)
        rows.append(row)
    head = ["model", "trained with", "read with", "as trained?"]
    return [*head, *(f"words, minus {name}" for name in found)], rows


def plot_comparisons(found: dict, trained: dict):
    """
    Differences with their intervals, a panel for each comparison, a line for each model, a color for each rule.

    Args:
        found: From a name of `AGAINST` to a dict from (model, rule of the reading) to a difference and its interval.
        trained: From a model to the rule of its training; markers are filled where it is that of the reading, too.
    """
    size = {"figsize": (11, 3.9), "layout": "constrained"}
    figure, axes = pyplot.subplots(1, len(found), sharex=True, sharey=True, **size)
    styles = {
        rule: (*style, shift)
        for (rule, style), shift in zip(RULE_STYLES.items(), (-0.14, 0.14), strict=True)
    }
    for axis, (name, estimates) in zip(axes, found.items(), strict=True):
        for place, model in enumerate(MODELS):
            for rule, (color, marker, shift) in styles.items():
                if (model, rule) not in estimates:
                    style = {"ha": "left", "va": "center", "color": GRAY}
                    axis.text(1, place, "not read", **style)
                    continue
                middle, low, high = (100 * each for each in estimates[model, rule])
                filled = trained[model] == rule
                style = {"fmt": marker, "color": color, "capsize": 4, "markersize": 8}
                style["markerfacecolor"] = color if filled else "white"
                spread = whiskers(middle, low, high)
                axis.errorbar(middle, place + shift, xerr=spread, **style)
        axis.axvline(0, color=BLACK, linewidth=1)
        axis.set(title=f"CIP minus\n{name}", xlabel="words read, points")
    labels = [f"{model}\n(trained: {trained[model]})" for model in MODELS]
    axes[0].set(yticks=range(len(MODELS)), yticklabels=labels)
    axes[0].set_ylim(len(MODELS) - 0.5, -0.5)
    handles = [
        pyplot.Line2D([], [], color=color, marker=marker, label=f"read with {rule}")
        for rule, (color, marker, _) in styles.items()
    ]
    for fill, text in ((GRAY, "as it was trained"), ("white", "by the other rule")):
        style = {"marker": "o", "linestyle": "", "color": GRAY}
        handles.append(pyplot.Line2D([], [], markerfacecolor=fill, label=text, **style))
    figure.legend(handles=handles, frameon=False, loc="outside lower center", ncols=4)
    return figure


def block_curves(block: list, stored, axis: str) -> dict:
    """
    Places along an axis, and mean accuracies there with their intervals, for `plot_block`.

    Args:
        block: Readings of `minimonkey-tiny`, made just now (`WordReading`).
        stored: The table of the stored readings of the same block by `6m-pyramid`.
        axis: "x" or "y".
    """
    found = {}
    for reading in block:
        if reading.axis == axis:
            score = character_accuracy(reading.word, reading.answer)
            found.setdefault(reading.position, []).append(score)
    places = sorted(found)
    along = stored[stored["axis"] == axis]
    estimates = {
        place: bootstrap(part["word"], mean(part["accuracy"]))
        for place, part in along.groupby("position")
    }
    live = [(np.mean(found[place]),) for place in places]
    read = len({each.word for each in block})
    return {
        f"read just now: minimonkey-tiny, {read} words": (places, live),
        f"stored: 6m-pyramid, {stored['word'].nunique()} words, with 95% band": (
            list(estimates),
            list(estimates.values()),
        ),
    }


def plot_block(panels: dict):
    """
    Accuracy over the place of a word, one panel per direction of the cut lines.

    Args:
        panels: From "rows" and "columns" to a dict from a label to places (tiles) and accuracies (0 to 1), each alone
            or with both ends of its interval, which are drawn as a band.
    """
    figure, axes = pyplot.subplots(
        1, 2, figsize=(10, 3.8), sharey=True, layout="constrained"
    )
    for axis, (lines, curves) in zip(axes, panels.items(), strict=True):
        styles = zip(curves.items(), ("s-", "o-"), (PURPLE, BLACK), strict=True)
        for (label, (places, estimates)), style, color in styles:
            values, *ends = 100 * np.array(estimates).T
            axis.plot(places, values, style, color=color, label=label)
            if ends:
                axis.fill_between(places, *ends, color=color, alpha=0.15, linewidth=0)
        axis.axvline(1, color=GRAY, linestyle=":", label="cut line")
        axis.set(title=f"line between {lines}", xlabel="center of the word, tiles")
    axes[0].set_ylabel("character accuracy, %")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=3)
    return figure


def recognizer(readings) -> tuple[dict, list, list]:
    """
    Words that the recognizer reads by way to cut a page and kind of word.

    Returns:
        From a way to a dict from a kind to a share with its interval; and head and rows of a table, with the tiles a
        page and the share of all words, each kind as often as it occurs.
    """
    parts = {name: readings[readings["kind"] == kind] for name, kind in KINDS.items()}
    tiles = scoring.mean_tiles(set(readings["page"]))
    shares, rows = {}, []
    for way in scoring.METHODS:
        shares[way] = {
            name: scoring.share_read(part, way) for name, part in parts.items()
        }
        everywhere = scoring.share_read_anywhere(readings, way)
        cells = map(points, (*shares[way].values(), everywhere))
        rows.append([way, f"{tiles[way]:.1f}", *cells])
    return shares, ["what it sees", "tiles", *KINDS, "all words"], rows


def saved_rows(readings, way: str, than: str) -> list[tuple]:
    """Of each kind of word: name, how often it occurs, what a way gains on it, and how much that is of all words."""
    occurs, rows = scoring.occurrence(readings), []
    for name, kind in KINDS.items():
        chosen = readings["kind"] == kind
        share = occurs[kind]
        weighted = readings.assign(share=readings["share"].where(chosen, 0))
        of_all = share * scoring.gain_anywhere(weighted, way, than)[0]
        rows.append((name, share, scoring.gain(readings[chosen], way, than), of_all))
    return rows


def texts_of(saved: list[tuple]) -> tuple[list, list]:
    """Head and rows of a table of `saved_rows`, and their sum."""
    head = ["words", "how often", "`any` minus one grid, points"]
    rows = [
        [name, f"{100 * share:.1f}%", points(gained), f"{100 * of_all:.2f}"]
        for name, share, gained, of_all in saved
    ]
    total = sum(of_all for *_, of_all in saved)
    rows.append(["all words", "100%", "", f"{100 * total:.2f}"])
    return [*head, "of all words, points"], rows


def plot_saved(saved: list[tuple]):
    """What a way gains by kind of word, and how much that is of all words."""
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(10.5, 2.8), sharey=True, layout="constrained"
    )
    labels = []
    for place, (color, (name, share, gained, of_all)) in enumerate(
        zip(ASKED_COLORS, saved, strict=True)
    ):
        middle, low, high = (100 * each for each in gained)
        style = {"fmt": "o", "color": color, "capsize": 4, "markersize": 8}
        left.errorbar(middle, place, xerr=whiskers(middle, low, high), **style)
        right.barh(place, 100 * of_all, color=color, height=0.5)
        right.text(100 * of_all + 0.02, place, f"{100 * of_all:.2f}", va="center")
        labels.append(f"{name}:\n{share:.1%} of all words")
    left.axvline(0, color=BLACK, linewidth=1)
    left.set(title="gain on words of this kind", xlabel="points, 95% interval")
    left.set(yticks=range(len(saved)), yticklabels=labels)
    left.set_ylim(len(saved) - 0.5, -0.5)
    right.set(title="what that is of all words", xlabel="points", xlim=(0, 1.4))
    return figure


def moved_rows(results: Path) -> tuple[list, list]:
    """Head and rows of a table: CIP minus one finer grid, same weights, on moved words by what cuts them."""
    sweeps = {
        name: load(results / f"sweep-{name}.csv")
        for name in ("6m-pyramid", "3m-pyramid")
    }
    rows = []
    for each in moved_gains(sweeps):
        if each.than == PLAIN + BUDGET:
            gains = [points(each.gains[sort]) for sort in ("row", "uncut")]
            rows.append([f"{each.model}, {each.rule.removeprefix('pyramid ')}", *gains])
    return [
        "characters, points",
        "on lines between rows",
        "not cut by the first grid",
    ], rows


def asked(results: Path) -> dict:
    """What the readers that were trained for each way to cut read by it, of words that were asked for."""
    tables = load_all(results, "cut-words")
    return {
        name: found
        for name, way in OWN.items()
        if (found := readings_of(tables, name, way))
    }


def asked_rows(results: Path) -> tuple[list, list]:
    """Head and rows of a table: words read, in %, by their sort; last by the base, which saw no second grid."""
    named = {TRAINED[name]: each for name, each in asked(results).items()}
    tables = load_all(results, "cut-words")
    for way in ("plain", "any", "joint"):
        named[f"the base, by {TRAINED[way]}"] = readings_of(tables, "base", OWN[way])
    rows = []
    for name, each in named.items():
        shares = [points(each.share(sort)) for sort in KINDS.values()]
        table = each.table[each.table["sort"] == "row"]
        own = table["own_sort"][table["own_sort"] != "unknown"] == "row"
        known = f"{100 * own.mean():.0f}% of {len(own):,}"
        tiles = f"{each.table['tiles'].mean():.1f}"
        rows.append([name, tiles, *shares, known])
    head = ["trained and read with", "tiles", *(f"{kind}, %" for kind in KINDS)]
    return [*head, "row-cut words that its own detailed grid cuts so, too (of n)"], rows


def asked_gains(results: Path) -> dict:
    """By reader the gains over the same grid twice: by sort and due to the cut, by seed, of all words, and numbers."""
    readings, found = asked(results), {}
    for name in ("plain", "any", "joint"):
        pair = readings[name], readings["repeated"]
        table = pair[0].table
        alike = table[table["own_sort"] == table["sort"]]
        found[TRAINED[name]] = {
            "gains": compared(*pair),
            "seeds": list(by_seed(*pair).values()),
            "every": compared(*pair, every=True)[BEYOND],
            "words": alike["sort"].value_counts(),
        }
    return found


def asked_gain_rows(results: Path) -> tuple[list, list]:
    """Head and rows of a table: gains over the same grid twice, in points, and what is due to the cut."""
    rows = []
    for name, each in asked_gains(results).items():
        gains = each["gains"]
        due = f"{points(gains[BEYOND])} {verdict(gains[BEYOND])}"
        both = points(gains["row"]), points(gains["uncut"])
        rows.append([name, f"{each['words']['row']:,}", *both, due])
    head = ["points over the same grid twice", "row-cut words, n"]
    return [*head, "gain on these", "gain on uncut", "gain due to the cut"], rows


def by_own_grid(results: Path) -> str:
    """Lines: of row-cut words, what `joint` and the same grid twice read, by what `joint`'s own detailed grid cuts."""
    keys, readings = ["page", "sort", "seed"], asked(results)
    table, other = (readings[name].table for name in ("joint", "repeated"))
    both = table.merge(other, on=keys, suffixes=("", "_twice"))
    both = both[(both["sort"] == "row") & (both["own_sort"] != "unknown")]
    same = compared(readings["joint"], readings["repeated"])["row"]  # drawn as there
    lines = ["Row-cut words, by the own detailed grid of `joint`:"]
    for text, chosen in (("it cuts", True), ("it doesn't cut", False)):
        part = both[(both["own_sort"] == "row") == chosen]
        shares = (100 * part[name].mean() for name in ("read", "read_twice"))
        more = mean(1.0 * part["read"] - part["read_twice"])
        gain = same if chosen else bootstrap(part["page"], more)
        read = "`joint` {:.1f}%, the same grid twice {:.1f}%".format(*shares)
        lines.append(f"  {len(part):,} {text} so: {read}, {points(gain)} points more")
    return "\n".join(lines)


def asked_more_rows(results: Path) -> tuple[list, list]:
    """Head and rows of a table: further gains over the same grid twice, in points, by seed among them."""
    rows = []
    for name, each in asked_gains(results).items():
        seeds = ", ".join(f"{100 * gain:.1f}" for gain in each["seeds"])
        column = points(each["gains"]["column"])
        rows.append([name, column, seeds, points(each["every"])])
    head = ["points over the same grid twice", "cut between columns only"]
    head += ["gain due to the cut, by seed", "of all words, as fixed before"]
    return head, rows


def reach_rows(results: Path) -> tuple[list, list]:
    """Head and rows of a table: what the base reads of words that the second grid of `any` shows whole, by one grid,
    by that second grid in its place, by one of the two, and by both together; last what one of the two adds to one
    grid, in points."""

    def more(each) -> str:
        found = each.read[[PLAIN, SECOND_ALONE]].any(axis=1) * 1.0 - each.read[PLAIN]
        return points(bootstrap(each.read["page"], mean(found)))

    ways = ((PLAIN,), (SECOND_ALONE,), (PLAIN, SECOND_ALONE), (CIP,))
    names = {sort: kind for kind, sort in KINDS.items()}
    rows = [
        [f"{each.sizes.smallest:.0f} to {each.sizes.largest:.0f} px", names[each.sort]]
        + [len(each.read), *(points(each.share(*way)) for way in ways), more(each)]
        for measurement, sizes in (("cut-words", ONCE), ("legible-words", TWICE))
        for each in reaches(load(results / f"{measurement}-{READER}.csv"), sizes)
    ]
    head = ["letters", "words", "n", "by one grid, %", "by the second alone, %"]
    head += ["by one of the two, %", "shown both, %"]
    return [*head, "one of the two minus one grid, points"], rows


def beside_report(path: Path, found: list[str]) -> tuple[list, list]:
    """
    Head and rows: readings, depths without and with CIP, gain on the lines and verdict, beside those of the report.

    Raises:
        ValueError: The report says otherwise.
    """
    row = report_row(path, "6m", "CIP", "between rows", "24")
    reported = [row[column] for column in (4, 5, 7, 8, 9)]
    if found != reported:
        raise ValueError(f"`found` is {found}, and the report has {reported}.")
    names = ["readings", "depth without CIP", "depth with CIP", "gain on lines"]
    names.append("does CIP help there?")
    rows = [list(each) for each in zip(names, found, reported, strict=True)]
    return ["", "recomputed here", "in the report"], rows


def scores_of_wrong_letters(text: str, rules: dict) -> tuple[list, dict]:
    """
    Numbers of wrong letters at the end of a text, and the scores of such answers by our benchmark and by `rules`,
    functions of references and an answer.
    """
    wrong = list(range(len(text) + 1))
    answers = [text[: len(text) - count] + "#" * count for count in wrong]
    ours = [character_accuracy(text, answer) for answer in answers]
    scores = {
        name: [rule([text], answer) for answer in answers]
        for name, rule in rules.items()
    }
    return wrong, {"character accuracy (our benchmark)": ours, **scores}


def task_rows() -> tuple[list, list]:
    """Head and rows of a table: which tiles the authors used for which task, and how many an A4 page has."""
    rows = []
    for task, setting in SETTINGS.items():
        ranges = PYRAMID_SETTINGS[setting]
        tiles = plan_pyramid(1240, 1754, **ranges).num_tiles
        ranges = ranges["detailed_tiles"], ranges["adaptive_tiles"]
        rows.append([task, setting, *ranges, tiles])
    return ["task", "setting", "detailed", "adaptive", "tiles of an A4 page"], rows


def published_rows() -> tuple[list, list]:
    """Head and rows of a table: the authors' figures, from the model card."""
    card = (ROOT / "model_card.md").read_text(encoding="utf-8")
    evaluation = card.split("## Evaluation")[1]
    lines = [line for line in evaluation.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")[2:-1]] for line in lines[:4]]
    names, _, *both_models = cells
    rows = [list(row) for row in zip(names, *both_models, strict=True)]
    return ["", "InternVL2-2B", "Mini-Monkey 2B"], rows


def plot_asked_gains(results: Path):
    """What readers gain over one that has the same grid twice: by sort of word, and due to the cut."""
    found = asked_gains(results)
    size = {"figsize": (11, 3.9), "layout": "constrained"}
    figure, (by_sort, due) = pyplot.subplots(1, 2, sharex=True, sharey=True, **size)
    styles = ((PURPLE, "o", -0.2), (SKY, "s", 0), (GRAY, "^", 0.2))

    def draw(axis, place, estimate, label, color, marker, **style):
        middle, low, high = (100 * value for value in estimate)
        style |= {"fmt": marker, "color": color, "capsize": 3}
        style["label"] = label if round(place) == 0 else None
        axis.errorbar(middle, place, xerr=whiskers(middle, low, high), **style)

    for place, each in enumerate(found.values()):
        for (kind, sort), (color, marker, shift) in zip(
            KINDS.items(), styles, strict=True
        ):
            draw(by_sort, place + shift, each["gains"][sort], kind, color, marker)
        label = "words of the same sort in both detailed grids"
        draw(due, place - 0.15, each["gains"][BEYOND], label, BLACK, "o")
        seeds = [100 * gain for gain in each["seeds"]]
        label = "the same, each seed" if place == 0 else None
        style = {"color": BLUE, "ms": 9, "mew": 2.5, "label": label, "zorder": 4}
        due.plot(seeds, [place + 0.01] * len(seeds), "|", **style)
        every = {"markerfacecolor": "white", "linestyle": "--"}
        draw(
            due,
            place + 0.2,
            each["every"],
            "all words, as fixed before",
            YELLOW,
            "D",
            **every,
        )
    for axis in (by_sort, due):
        axis.axvline(0, color=BLACK, linewidth=1)
        for line in range(len(found) - 1):
            axis.axhline(line + 0.5, color=PALE, linewidth=1)
        style = {"frameon": False, "loc": "upper center", "ncols": 2, "fontsize": 10}
        handles, labels = axis.get_legend_handles_labels()
        # matplotlib puts the line of seeds before the error bars
        order = [1, 0, 2] if axis is due else range(len(labels))
        handles, labels = ([each[i] for i in order] for each in (handles, labels))
        axis.legend(handles, labels, bbox_to_anchor=(0.5, -0.2), **style)
        axis.set_xlabel("points over the same grid twice")
    names = [name.replace("`", "") for name in found]
    by_sort.set(yticks=range(len(found)), yticklabels=names)
    by_sort.set(ylim=(len(found) - 0.5, -0.5), title="gain by sort of word")
    due.set_title("gain due to the cut: row-cut minus uncut")
    return figure


def asked_page(index: int):
    """A page whose three words are asked for, and its detailed and second grid by rule."""
    page = make_page(index, WORLDS["ascii"])
    size = page.gray.size
    return page, {
        rule: plan_grids(*size, TILE_SIZE, PUBLISHED_RANGES, rule) for rule in RULES
    }


def plot_asked(page, grids: dict):
    """
    The page once for each rule, under the lines of its two grids, with a frame around each word that is asked for.

    Args:
        page: A `Sheet` with three questions, in the order of `KINDS`.
        grids: From a rule to the detailed and the second grid.
    """
    figure, axes = pyplot.subplots(
        1, len(grids), figsize=(10, 5.4), layout="constrained"
    )
    (width, height), levels = page.gray.size, ("detailed", "adaptive")
    for axis, (rule, pair) in zip(axes, grids.items(), strict=True):
        axis.imshow(page.image, extent=(0, width, height, 0))
        names = " and ".join(f"{columns} x {rows}" for columns, rows in pair)
        axis.set(xticks=[], yticks=[], title=f"{rule}: {names}")
        for level, grid, thick in zip(levels, pair, (4, 2), strict=True):
            draw_lines(axis, (width, height), grid, color=LEVELS[level], lw=thick)
        for question, color in zip(page.questions, ASKED_COLORS, strict=True):
            (word,) = page.words[question.line]
            left, top, right, bottom = word.box
            corner, size = (left - 4, top - 4), (right - left + 8, bottom - top + 8)
            frame = {"fill": False, "edgecolor": color, "linewidth": 3}
            axis.add_patch(pyplot.Rectangle(corner, *size, zorder=3, **frame))
    handles = [
        pyplot.Line2D([], [], color=color, lw=3, label=f'{kind}: "{question.text}"')
        for kind, color, question in zip(
            KINDS, ASKED_COLORS, page.questions, strict=True
        )
    ]
    names = {"detailed": "detailed grid", "adaptive": "second grid"}
    handles += [
        pyplot.Line2D([], [], color=LEVELS[level], lw=thick, label=names[level])
        for level, thick in zip(levels, (4, 2), strict=True)
    ]
    figure.legend(handles=handles, frameon=False, loc="outside lower center", ncols=3)
    return figure
