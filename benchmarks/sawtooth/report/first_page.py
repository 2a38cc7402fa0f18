"""The first page of RESULTS.md: four sentences, a figure, their numbers, what the words mean, what follows."""

from functools import cache

import pandas as pd

from benchmarks.recognizer.run import FOLDER as RECOGNIZER
from benchmarks.recognizer.scoring import gain as recognizer_gain
from benchmarks.recognizer.scoring import load_readings, share_read
from benchmarks.sawtooth.measurements.cut_words import CutWords
from benchmarks.sawtooth.report.advice import NAMES, advice_section
from benchmarks.sawtooth.report.comparisons import CIP, PLAIN, Comparison, Tables, depth, parts, with_and_without_cip
from benchmarks.sawtooth.report.cut_words import GATE, OWN, Readings, all_readings, gains_of_all_words
from benchmarks.sawtooth.report.sorts import ASKED, BEYOND, SortGain
from benchmarks.sawtooth.report.statistics import Estimate, extremes, percent, span, spoken, verdict
from benchmarks.tables import blocks, markdown_table


PYRAMID = "reader-pyramid"
ASKED_READERS = {
    PYRAMID: "trained with it",
    "reader-base": "never trained with it",
    "reader-plain": "trained as long without it",
}
USE = {  # what a verdict on the gain of cut words beyond uncut ones says
    "yes": "reads cut words better for it",
    "not shown": "makes no use of it that could be shown",
    "reversed": "reads cut words worse for it",
}
RIVAL = {"yes": "do better", "not shown": "are not shown to do worse", "reversed": "do less well"}
GLOSSARY = (
    "- **Tile**: a model's vision encoder sees a square of fixed size. A large image is cut into a grid of such tiles "
    "(the *detailed grid*), and the whole image, shrunk to one tile, is shown beside them (*global*): plain tiling.",
    "- **Second grid, CIP**: Mini-Monkey's complementary image pyramid adds tiles of another grid, whose cut lines "
    "should run where those of the detailed grid don't.",
    "- **`any`, `joint`**: how the second grid is chosen. `any` is the published rule, which fixes the detailed grid "
    "first; `joint` chooses both together, so that they share fewer lines, for more tiles.",
    "- **Row-cut, column-cut, uncut**: a line between two rows of the detailed grid halves the letters of a word; a "
    "line between two columns parts a word, or one letter; no line touches it.",
    "- **Gain**: what is read by one way of cutting minus what is read by another, of the same words at the same "
    "places, in points, with a 95% interval by bootstrap over words or pages. Character accuracy: 1 minus edits per "
    "character, so order counts and rambling costs. *For certain*: the interval is on one side of zero.",
    "- **`3m-long-pyramid`**: size or family, then training: `plain` never saw a second grid, `pyramid` was trained "
    "on with one, `control` for as many steps without; `long` three times as long, with `joint` in the pyramid.",
)


def depths(models: Tables, axis: str) -> list[Estimate]:
    """How deep the sawtooth is where words are moved along an axis, a reading each."""
    return [depth(part, PLAIN) for table in models.values() for (at, _), part in parts(table).items() if at == axis]


def certain(estimates: list[Estimate]) -> str:
    """In how many the whole interval is above zero."""
    return f"{sum(verdict(each) == 'yes' for each in estimates)} of {len(estimates)}"


def damage_sentence(models: Tables) -> str:
    """What a line between tiles does, and how deep the sawtooth is between rows."""
    found = depths(models, "y")
    return (
        "A model that reads a large image tile by tile gets a word in two halves where a line between tiles runs "
        f"through it: between rows of tiles, that costs our small readers {span(found)} points of character "
        f"accuracy, for certain in {certain(found)} readings."
    )


def asked_sentences(gains: list[SortGain], readings: list[Readings]) -> list[str]:
    """What the primary measure says of the published rule, and whether its reader passes; or nothing."""
    wanted = (ASKED, PYRAMID, CIP)
    found = [each for each in gains if (each.read, each.model, each.rule) == wanted]
    readers = [each for each in readings if OWN.get(each.trained) == each.method == CIP]
    if not found or not readers:
        return []
    beyond, (reader,) = found[0].gains[BEYOND], readers
    number = spoken(beyond, " points", f"n = {found[0].numbers['row']}")
    gate = (
        f"instead of at least {GATE:.0%}, and who can't read those can't show what a cut costs"
        if not reader.passes
        else f"where at least {GATE:.0%} were asked for"
    )
    uncut = spoken(reader.share("uncut"), "%", f"n = {(reader.table['sort'] == 'uncut').sum()}")
    return [
        "Mini-Monkey shows the image a second time, in a grid whose lines run elsewhere; a small reader that was "
        f"trained with it {USE[verdict(beyond)]}: with the published rule, and by the measure fixed before the run, "
        f"its gain on words that are cut between rows is {number} above that on uncut ones.",
        f"This reader {'meets' if reader.passes else 'misses'} the bar that was set before: of the uncut words it "
        f"reads {uncut} {gate}.",
    ]


@cache
def recognizer_shares() -> tuple[pd.DataFrame, dict[str, Estimate], Estimate]:
    """Row-cut words that the pretrained recognizer saw, the share it reads by method, overlapping tiles minus CIP."""
    table = load_readings(RECOGNIZER / "readings.csv")
    row = table[table["kind"] == "row"]
    methods = ("detailed + global", "CIP any", "CIP joint", "overlap + global")
    rival = recognizer_gain(row, "overlap + global", "CIP joint")
    return row, {name: share_read(row, name) for name in methods}, rival


def recognizer_sentence() -> str:
    """What a second grid can give, and what else does, from the recognizer's own readings."""
    row, read, rival = recognizer_shares()
    return (
        "A pretrained text recognizer that is told where the words are shows what there is to be had: of "
        f"{len(row)} words that are cut between rows it reads {spoken(read['detailed + global'], '%')} with one grid "
        f"and {spoken(read['CIP joint'], '%')} with two that are chosen together, but tiles of one grid that overlap "
        f"by a quarter {RIVAL[verdict(rival)]} ([its own report](../recognizer/RESULTS.md))."
    )


def damage_rows(models: Tables) -> list[list[str]]:
    """The least and the most that lines cost, between rows and between columns."""
    rows = []
    for axis, lines in (("y", "between rows halves the letters"), ("x", "between columns parts the word")):
        found = depths(models, axis)
        rows.append([f"character accuracy lost where a line {lines}, points", "small readers"])
        rows[-1] += [extremes(found), f"{len(found)} readings", certain(found)]
    return rows


def asked_rows(gains: list[SortGain], of_all: dict[tuple[str, str], tuple[Estimate, int]]) -> list[list[str]]:
    """The primary measure by both rules, with and without training; `of_all` words where those are others."""
    rows = []
    for each in (each for each in gains if each.read == ASKED):
        who, (every, number) = f"{NAMES[each.rule]}, {ASKED_READERS[each.model]}", of_all[each.model, each.rule]
        what, alike = "gain on row-cut words above that on uncut ones, points", each.gains[BEYOND]
        if number == each.numbers["row"]:
            rows.append([what, who, percent(every), number, verdict(every)])
        else:
            rows.append([what, f"{who}; all words", percent(every), number, verdict(every)])
            rows.append([what, f"{who}; words cut by both", percent(alike), each.numbers["row"], verdict(alike)])
    return rows


def gate_rows(readings: list[Readings]) -> list[list[str]]:
    """Who reads the fewest and the most uncut words."""
    ordered = sorted(readings, key=lambda each: each.share("uncut"))
    return [
        [f"uncut words read, % (the bar: {100 * GATE:.0f})"]
        + [f"{which} of {len(ordered)} readings: {each.trained} ({each.method})", percent(each.share("uncut"))]
        + [int((each.table["sort"] == "uncut").sum()), "bar met" if each.passes else "bar missed"]
        for which, each in (("fewest", ordered[0]), ("most", ordered[-1]))
    ]


def recognizer_rows() -> list[list[str]]:
    """The recognizer by every method, and what overlapping tiles read more."""
    row, read, rival = recognizer_shares()
    labels = ("plain tiling", "`any`", "`joint`", "tiles that overlap")
    rows = [
        ["row-cut words read, %", f"recognizer, {label}", percent(each), len(row), "–"]
        for label, each in zip(labels, read.values(), strict=True)
    ]
    name = "recognizer, tiles that overlap minus `joint`"
    return [*rows, ["row-cut words read, points", name, percent(rival), len(row), verdict(rival)]]


def numbers_section(models: Tables, asked: Tables, gains: list[SortGain]) -> list[str]:
    """What the four sentences leave out."""
    readings = all_readings(asked)
    rows = damage_rows(models)
    text = "The same in numbers, with 95% intervals; for certain: the whole interval is above zero."
    if readings:
        rows += [*asked_rows(gains, gains_of_all_words(asked)), *gate_rows(readings)]
        text += (
            " Gains are over the same grid shown twice; n counts a word once per training. `joint` has two rows, as "
            "it may choose another detailed grid, which leaves some row-cut words whole: of all words, as the measure "
            "was fixed, and of those that both detailed grids cut, a difference that was seen only after the run "
            "([more](#one-word-asked-for))."
        )
    head = ["what", "who, how", "number", "n", "for certain?"]
    return blocks(text, markdown_table(head, [*rows, *recognizer_rows()], right=("n",)))


def first_page(tables: dict[str, Tables], trainings: list[Comparison], gains: list[SortGain]) -> list[str]:
    """From the title to what follows for a user, without the details."""
    models, asked = with_and_without_cip(tables["sweep"]), tables[CutWords.name]
    if not models:
        return []
    sentences = [
        damage_sentence(models),
        *asked_sentences(gains, all_readings(asked)),
        recognizer_sentence(),
    ]
    return [
        *blocks(
            " ".join(sentences),
            "![What the second grid gains on words that are cut between rows and on words that are not, per model]"
            "(results/cuts.png)",
            "*A point is a model: what it reads with the second grid minus what it reads without. Every point with n "
            "and interval, column-cut words too: [below](#row-cut-column-cut-and-uncut-words).*",
        ),
        *numbers_section(models, asked, gains),
        *blocks("## What the words mean", list(GLOSSARY)),
        *advice_section(tables, models, trainings, gains),
    ]
