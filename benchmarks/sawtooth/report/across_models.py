"""All models side by side: is there a sawtooth, does CIP remove it, by which rule, what doesn't?"""

from benchmarks.sawtooth.report.comparisons import (
    CIP,
    JOINT,
    LINES,
    PLAIN,
    TRAINED,
    Comparison,
    Tables,
    depth,
    gain,
    page_gain,
    parts,
)
from benchmarks.sawtooth.report.sorts import BEYOND, MOVED, PAGES, SORTS, SortGain
from benchmarks.sawtooth.report.statistics import bootstrap, mean, percent, verdict
from benchmarks.tables import blocks, markdown_table


RULES = ("pyramid all", "pyramid disjoint", JOINT)


def sorts_table(gains: list[SortGain], besides: str) -> list[str]:
    """A row per model, rule and what it is compared with."""
    rows = [
        [each.model, each.rule.removeprefix("pyramid "), "plain tiling" if each.than == PLAIN else "finer grid"]
        + [", ".join(str(each.numbers[sort]) for sort in SORTS), *map(percent, each.gains.values())]
        + [verdict(each.gains[BEYOND]), percent(each.besides)]
        for each in gains
    ]
    head = ["model", "read with", "minus", "n of each", "row-cut", "column-cut", "uncut", BEYOND, "more?", besides]
    return markdown_table(head, rows)


def sorts_section(gains: list[SortGain]) -> list[str]:
    """Gains of both rules by what the detailed grid does to the words; nothing where no word was read."""
    moved, pages = ([each for each in gains if each.read == read] for read in (MOVED, PAGES))
    if not gains:
        return []
    parts = [
        "## Row-cut, column-cut and uncut words",
        "What a model reads more with the second grid than with plain tiling of the same detailed grid, or than with "
        "one finer grid of about as many tiles as both grids have, in points with 95% intervals. Sorts are by the "
        "detailed grid of `any`. The finer grid has its lines elsewhere, so it shows row-cut words whole and cuts "
        "others: against it the column for uncut words says more than the difference.",
        "Mind the sign: where uncut words lose, `row minus uncut` can be above zero although nobody reads better.",
    ]
    if moved:
        parts += [
            "One word, moved: character accuracy, by bootstrap over the words. Row-cut and column-cut: the center of "
            "the word is on the line; words that a line grazes are in neither sort. Last column: row-cut words that "
            "are read without an error.",
            sorts_table(moved, "row-cut, whole words"),
        ]
    if pages:
        parts += [
            "Pages: words read, by bootstrap over the pages. Row-cut: a line between rows crosses the word's box, "
            "however little, whatever columns do. A word counts if it stands anywhere in the answer, so an answer "
            "that goes on and on loses nothing. The last column has no such gap: characters of the whole page, in "
            "their order.",
            sorts_table(pages, "characters of the page"),
        ]
    return blocks(*parts)


def sawtooth_section(models: Tables) -> list[str]:
    """Depths with and without CIP, and the gain on cut lines, a row per model, direction and size of letters."""
    rows = []
    for name, table in models.items():
        model, trained = name.rsplit("-", 1)
        for (axis, size), found in parts(table).items():
            before, after = depth(found, PLAIN), depth(found, CIP)
            at_lines = gain(found, CIP, PLAIN, at_lines=True)
            rows.append(
                [model, TRAINED[trained], LINES[axis], f"{size:g}", (found["method"] == CIP).sum(), percent(before)]
                + [verdict(before), percent(after), percent(at_lines), verdict(at_lines)]
                + [percent(gain(found, CIP, PLAIN))]
            )
    head = ["model", "trained with", "lines", "letters", "n", "depth without CIP", "a sawtooth?", "depth with CIP"]
    head += ["gain on lines", "does CIP help there?", "gain everywhere"]
    return blocks(
        "## Is there a sawtooth, and does CIP remove it?",
        "![Depth of the sawtooth with and without CIP, per model](results/overview.png)",
        "Character accuracy in % with 95% intervals by bootstrap over the words; n readings per method, letters "
        "in px of the detailed tiles. Depth: in the centers of tiles minus on cut lines of the detailed grid. "
        "Lines between rows of tiles halve every letter of a word, those between columns part the word, or one "
        "letter. Gain: CIP (`any`) minus the model's own tiling, on the same words at the same places. Yes: the "
        "interval is above zero.",
        markdown_table(head, rows, right=("letters", "n")),
    )


def pages_section(pages: Tables) -> list[str]:
    """Words read on pages with and without CIP, a row per model; nothing where none was read so."""
    rows = []
    for name, table in pages.items():
        methods = table["method"]
        if {PLAIN, CIP} <= set(methods):
            model, trained = name.rsplit("-", 1)
            shares = [bootstrap(table["page"], mean(table["read"], methods == each)) for each in (PLAIN, CIP)]
            gains = [page_gain(table, each, PLAIN) for each in (CIP, JOINT)]
            rows.append([model, TRAINED[trained], (methods == PLAIN).sum(), *map(percent, shares + gains)])
    if not rows:
        return []
    head = ["model", "trained with", "words", "plain tiling", "CIP (`any`)", "`any` minus plain tiling"]
    return blocks(
        "## And on pages?",
        "Words read on lines of text, receipts, tables and signs, in % with 95% intervals by bootstrap over "
        "pages. The models' own files have every method.",
        markdown_table([*head, "`joint` minus plain tiling"], rows, right=("words",)),
    )


def training_section(trainings: list[Comparison]) -> list[str]:
    """Gains of training with CIP over training as long without; nothing where no control was read."""
    rows = [
        [each.model, each.rule, each.than, each.read, each.number, percent(each.everywhere), percent(each.cut)]
        for each in trainings
    ]
    if not rows:
        return []
    head = ["model", "with CIP", "without", "what is read", "n", "everywhere", "cut by plain tiling"]
    return blocks(
        "## Is a model that is trained with CIP the better one?",
        "The model trained on with CIP and read with it, minus the one trained on for as many steps with plain "
        "tiling and read so, or with a finer grid of as many tiles as the pyramid, on the same words at the same "
        "places: character accuracy of moved words, and words read on pages, in points with 95% intervals. "
        "3m-long: both trained three times as long, the one with both grids chosen together (`joint`). Only in "
        "training: the one is read with plain tiling, too. Cut by plain tiling: moved words on its lines, words "
        "on pages that its detailed grid cuts, whichever way they are read; `joint` and the finer grid have other "
        "lines, and leave some of these whole.",
        markdown_table(head, rows, right=("n",)),
    )


def complementarity_section(models: Tables) -> list[str]:
    """Every rule against the published one; nothing where no other rule was read."""
    rows = [
        [name, rule, *(percent(gain(table, rule, CIP, at_lines)) for at_lines in (False, True))]
        for name, table in models.items()
        for rule in RULES
        if rule in set(table["method"])
    ]
    if not rows:
        return []
    return blocks(
        "## Which complementarity is best?",
        "![Character accuracy of every method minus that of plain tiling, per model](results/gains.png)",
        "Character accuracy of a rule minus that of `any`, the published one, in points with 95% intervals, on "
        "the same words at the same places. Equal rows: the rules chose the same grids. Cuts on pages of all "
        "sizes, without a model: [GEOMETRY.md](GEOMETRY.md), with the front of what can be had.",
        markdown_table(["model", "rule", "everywhere", "at cut lines"], rows),
    )


def failures_section(models: Tables) -> list[str]:
    """Every method that is worse than the plain tiling of its model."""
    changes = {
        (name, method): gain(table, method, PLAIN)
        for name, table in models.items()
        for method in table["method"].unique()
    }
    lines = [f"- {', '.join(key)}: {percent(change)}" for key, change in changes.items() if change[2] < 0]
    return blocks(
        "## What did not work?",
        "Left of the line in the figure above, with the whole interval: worse than the plain tiling of the model "
        "(`detailed + global`). Character accuracy on the words that are moved, in points with 95% intervals.",
        lines or ["- Nothing was worse for certain."],
    )


def models_sections(models: Tables, pages: Tables, trainings: list[Comparison], gains: list[SortGain]) -> list[str]:
    """The tables over all models."""
    if not models:
        return []
    return [
        *sorts_section(gains),
        *sawtooth_section(models),
        *pages_section(pages),
        *training_section(trainings),
        *complementarity_section(models),
        *failures_section(models),
    ]
