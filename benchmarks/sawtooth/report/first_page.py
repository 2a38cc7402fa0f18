"""The first page of RESULTS.md: four sentences, what the words mean, and what follows for a user."""

from collections.abc import Iterable
from functools import cache

import pandas as pd

from benchmarks.recognizer.run import FOLDER as RECOGNIZER
from benchmarks.recognizer.scoring import load_readings, share_read
from benchmarks.sawtooth.cutting import SMALL_RANGES
from benchmarks.sawtooth.measurements.cut_words import CutWords
from benchmarks.sawtooth.readers.recipe import COMPRESSION
from benchmarks.sawtooth.report.comparisons import (
    BUDGET,
    CIP,
    JOINT,
    ON_PAGES,
    PLAIN,
    Comparison,
    Tables,
    depth,
    gain,
    of_all_tokens,
    page_gain,
    parts,
    with_and_without_cip,
)
from benchmarks.sawtooth.report.cut_words import GATE, Readings, all_readings
from benchmarks.sawtooth.report.sorts import ASKED, BEYOND, MOVED, PAGES, SortGain, saw_cip
from benchmarks.sawtooth.report.statistics import Estimate, bootstrap, percent, verdict
from benchmarks.tables import blocks


NAMES = {JOINT: "`joint`", CIP: "`any`"}
COMPRESSED = {
    "by the published rule": {"queries": "all", "layer": 1, "positions": "repack"},
    "by the question, positions kept": dict(COMPRESSION),
}
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


def span(estimates: Iterable[Estimate]) -> str:
    """The smallest and the largest value, in points."""
    middles = sorted(100 * each[0] for each in estimates)
    return f"{middles[0]:.1f} to {middles[-1]:.1f}"


def certainty(estimates: Iterable[Estimate]) -> str:
    """ "for certain better in 2, worse in 1 of 4"."""
    verdicts = [verdict(each) for each in estimates]
    counts = {"better": verdicts.count("yes"), "worse": verdicts.count("reversed")}
    named = [f"{name} in {number}" for name, number in counts.items() if number]
    return f"for certain {', '.join(named)} of {len(verdicts)}" if named else f"nothing certain in {len(verdicts)}"


def chosen(gains: list[SortGain], read: str, rule: str, trained: bool, than: str = PLAIN) -> list[SortGain]:
    """The gains of one kind, a model each."""
    wanted = (read, rule, trained, than)
    return [each for each in gains if (each.read, each.rule, each.trained, each.than) == wanted]


def damage_sentence(models: Tables) -> str:
    """How deep the sawtooth is between rows, and between columns."""
    texts = []
    for at, lines in (("y", "between rows halves the letters"), ("x", "between columns parts the word")):
        depths = [
            depth(part, PLAIN) for table in models.values() for (axis, _), part in parts(table).items() if axis == at
        ]
        certain = sum(verdict(each) == "yes" for each in depths)
        texts.append(f"{span(depths)} where a line {lines} (for certain in {certain} of {len(depths)} readings)")
    return f"In points of character accuracy, small readers of our own lose {' and '.join(texts)}."


def moved_sentence(gains: list[SortGain]) -> str:
    """What the second grid adds on row-cut words beyond uncut ones, with and without training."""
    texts = []
    for trained, who in ((True, "were trained with it"), (False, "never saw it")):
        rules = [
            f"{span(found)} points by {name} ({certainty(found)})"
            for rule, name in NAMES.items()
            if (found := [each.gains[BEYOND] for each in chosen(gains, MOVED, rule, trained)])
        ]
        if rules:
            texts.append(f"in readers that {who}, {' and '.join(rules)}")
    if not texts:
        return ""
    return f"The second grid changes this much more on lines between rows than off them: {'; '.join(texts)}."


ASKED_READERS = {
    "reader-pyramid": "trained with it",
    "reader-base": "never trained with it",
    "reader-plain": "trained as long without it",
}


def asked_sentence(gains: list[SortGain], readings: list[Readings]) -> str:
    """The same of words that are asked for, the primary measure; nothing where none was."""
    texts = [
        f"{percent(each.gains[BEYOND])} by {NAMES[each.rule]}, {ASKED_READERS[each.model]} (n = {each.numbers['row']})"
        for each in gains
        if each.read == ASKED
    ]
    if not texts:
        return ""
    text = (
        "Asked for single words, another reader gains this much more on row-cut ones than on uncut ones of the same "
        f"pages, in points, where a second grid takes the place of the same grid twice: {'; '.join(texts)}. "
    )
    uncut = span(each.share("uncut") for each in readings)
    met = "met" if all(each.passes for each in readings) else "missed"
    return f"{text}Of the uncut words it reads {uncut}%: the {GATE:.0%} that was set before is {met}."


@cache
def recognizer_sentence() -> str:
    """The figure of the pretrained recognizer, from its own readings."""
    table = load_readings(RECOGNIZER / "readings.csv")
    row = table[table["kind"] == "row"]
    read = {
        name: percent(share_read(row, name))
        for name in ("detailed + global", "CIP any", "CIP joint", "overlap + global")
    }
    return (
        "A pretrained text recognizer that is told where the words are shows what there is to be had: of "
        f"{len(row)} row-cut words it reads {read['detailed + global']}% with plain tiling, {read['CIP any']}% with "
        f"`any`, {read['CIP joint']}% with `joint`, and {read['overlap + global']}% with tiles of one grid that "
        "overlap by a quarter ([its own report](../recognizer/RESULTS.md))."
    )


def page_advice(pages: Tables, gains: list[SortGain]) -> list[str]:
    """With the second grid against without it, same weights, on pages."""
    lines = []
    for trained, wanted, who, advice in (
        (False, "reversed", "A model that never saw a second grid", "leave it off"),
        (True, "yes", "A model that was trained with one", "use it"),
    ):
        texts, verdicts = [], []
        for rule, name in NAMES.items():
            if found := chosen(gains, PAGES, rule, trained):
                words = [page_gain(pages[each.model], rule, PLAIN) for each in found]
                characters = [each.besides for each in found]
                verdicts += map(verdict, words)
                texts.append(
                    f"by {name}, words read on pages change by {span(words)} points ({certainty(words)}), characters "
                    f"in their order by {span(characters)} ({certainty(characters)})"
                )
        if texts:
            clear = all(each == wanted for each in verdicts)
            lines.append(f"- {who}: {advice if clear else 'no clear answer'}. {'; '.join(texts).capitalize()}.")
    return lines


def budget_advice(sweeps: Tables, pages: Tables) -> list[str]:
    """A second grid against a finer one of as many tiles."""
    finer, texts = PLAIN + BUDGET, []
    for trained, who in ((True, "in a model that was trained with one"), (False, "in one that never saw it")):
        moved, read = (
            [each for name, each in tables.items() if saw_cip(name) is trained and {CIP, finer} <= set(each["method"])]
            for tables in (sweeps, pages)
        )
        words, characters = [page_gain(each, CIP, finer) for each in read], [gain(each, CIP, finer) for each in moved]
        if words and characters:
            clear = all(verdict(each) == "yes" for each in (*words, *characters))
            texts.append(
                f"{who}, {'the second' if clear else 'no clear answer'} (`any` minus the finer one: words read on "
                f"pages {span(words)} points, {certainty(words)}; characters of moved words {span(characters)}, "
                f"{certainty(characters)})"
            )
    if not texts:
        return []
    return [
        f"- Tiles to spend, on a second grid or on a finer one: {'; '.join(texts)}. Mind that a grid of as many tiles "
        f"as both often has more than the {SMALL_RANGES.detailed[1]} that these readers were trained on."
    ]


def training_advice(trainings: list[Comparison]) -> list[str]:
    """Whether training with CIP pays."""
    on_pages = [each for each in trainings if each.read == ON_PAGES and each.than == PLAIN]
    texts = []
    for rule, name in NAMES.items():
        if found := [each for each in on_pages if each.rule == rule]:
            texts.append(f"{name} {', '.join(f'{each.model} {percent(each.everywhere)}' for each in found)}")
    if not texts:
        return []
    return [
        "- Whether to train with one: words read on pages, minus those by a model that was trained as long without a "
        f"second grid and is read without it: {'; '.join(texts)} points."
    ]


def compression_advice(scorings: Tables) -> list[str]:
    """What half of the detailed tokens keep, by the published rule and by the one of the checkpoint."""
    texts = []
    for name, table in scorings.items():
        for label, settings in COMPRESSED.items():
            chosen_so = (table[[*settings]] == pd.Series(settings)).all(axis=1)
            if len(found := table[chosen_so & (table["keep_ratio"] == 0.5)]):
                kept = bootstrap(found["page"], of_all_tokens(found, table))
                texts.append(f"{name} {percent(kept)} {label} (n = {len(found)} pages)")
    if not texts:
        return []
    return [
        "- Scale compression: of the words that all tokens read, half of the detailed tokens keep, in %: "
        f"{'; '.join(texts)}."
    ]


LIMITS = (
    "- These are readers of 3 to 6 million parameters that know rendered words only, on tiles of 112 px, most of them "
    "with small ranges (1 to 6 detailed tiles, 1 to 4 of the second grid): of the published weights they say nothing."
)


def first_page(tables: dict[str, Tables], trainings: list[Comparison], gains: list[SortGain]) -> list[str]:
    """From the title to what follows for a user, without the details."""
    models, pages = with_and_without_cip(tables["sweep"]), tables["page"]
    if not models:
        return []
    sentences = [
        "A model that reads a large image tile by tile gets a word in two halves where a line between tiles runs "
        "through it; Mini-Monkey shows it the image a second time, in a grid whose lines run elsewhere.",
        damage_sentence(models),
        asked_sentence(gains, all_readings(tables[CutWords.name])) or moved_sentence(gains),
        recognizer_sentence(),
    ]
    return blocks(
        " ".join(sentences),
        "![What the second grid gains on words that are cut between rows and on words that are not, per model]"
        "(results/cuts.png)",
        "*A point is a model: what it reads with the second grid minus what it reads without. Every point with n and "
        "interval, column-cut words too: [below](#row-cut-column-cut-and-uncut-words).*",
        "## What the words mean",
        list(GLOSSARY),
        "## What follows for you",
        [
            *page_advice(pages, gains),
            *budget_advice(models, pages),
            *training_advice(trainings),
            *compression_advice(tables["scoring"]),
            LIMITS,
        ],
    )
