"""What follows for a user, in RESULTS.md: sentences of advice with the number that decides, then the other numbers."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from benchmarks.sawtooth.cutting import SMALL_RANGES
from benchmarks.sawtooth.readers.recipe import COMPRESSION
from benchmarks.sawtooth.report.comparisons import (
    BUDGET,
    CIP,
    JOINT,
    ON_PAGES,
    PLAIN,
    Comparison,
    Tables,
    gain,
    of_all_tokens,
    page_gain,
    trained_with,
)
from benchmarks.sawtooth.report.sorts import PAGES, SortGain, saw_cip
from benchmarks.sawtooth.report.statistics import (
    Estimate,
    bootstrap,
    certainty,
    extremes,
    percent,
    span,
    spoken,
    verdict,
)
from benchmarks.tables import blocks, markdown_table


NAMES = {JOINT: "`joint`", CIP: "`any`"}
FINER = PLAIN + BUDGET
PUBLISHED, ASKING = "by the published rule", "by the question, positions kept"
COMPRESSED = {PUBLISHED: {"queries": "all", "layer": 1, "positions": "repack"}, ASKING: dict(COMPRESSION)}
LIMITS = (
    "- Of the published weights all this says nothing. These are readers of 3 to 6 million parameters that know "
    "rendered words only, on tiles of 112 px."
)


@dataclass(frozen=True)
class Changes:
    """
    What a second grid changes in the models of one kind, an estimate each.

    Attributes:
        than: What the models are read with instead.
        words: Share of the words on pages that are read.
        numbers: Words on the pages that each model was to read.
        characters: In their order on pages; of moved words in place of a finer grid.
    """

    trained: bool
    rule: str
    than: str
    words: list[Estimate]
    numbers: list[int]
    characters: list[Estimate]

    def least(self) -> tuple[Estimate, str]:
        """The smallest change in words of all models, up or down, and how to say its size."""
        estimate, number = min(zip(self.words, self.numbers, strict=True), key=lambda each: abs(each[0][0]))
        value, low, high = estimate
        size = estimate if value >= 0 else (-value, -high, -low)
        return estimate, spoken(size, " points of the words on pages", f"n = {number}", NAMES[self.rule])


def page_changes(pages: Tables, gains: list[SortGain]) -> list[Changes]:
    """With the second grid against without it, same weights, on pages."""
    found = []
    for trained in (False, True):
        for rule in NAMES:
            wanted = (PAGES, rule, PLAIN, trained)
            chosen = [each for each in gains if (each.read, each.rule, each.than, each.trained) == wanted]
            tables = [pages[each.model] for each in chosen]
            words = [page_gain(table, rule, PLAIN) for table in tables]
            numbers = [int((table["method"] == rule).sum()) for table in tables]
            if chosen:
                found.append(Changes(trained, rule, PLAIN, words, numbers, [each.besides for each in chosen]))
    return found


def budget_changes(sweeps: Tables, pages: Tables) -> list[Changes]:
    """A second grid by the published rule against a finer one of as many tiles."""
    found = []
    for trained in (True, False):
        moved, read = (
            [each for name, each in tables.items() if saw_cip(name) is trained and {CIP, FINER} <= set(each["method"])]
            for tables in (sweeps, pages)
        )
        words, characters = [page_gain(each, CIP, FINER) for each in read], [gain(each, CIP, FINER) for each in moved]
        numbers = [int((each["method"] == CIP).sum()) for each in read]
        if words and characters:
            found.append(Changes(trained, CIP, FINER, words, numbers, characters))
    return found


def page_advice(changes: list[Changes]) -> list[str]:
    """Whether to use a second grid, by whether the model saw one in training."""
    lines = []
    for trained, wanted, who, advice in (
        (False, "reversed", "A model that never saw a second grid: ", "leave it off. Where it harms least, it costs"),
        (True, "yes", "A model that was trained with one: ", "use it. Where it helps least, it adds"),
    ):
        found = [each for each in changes if each.trained is trained]
        estimates = [words for each in found for words in each.words]
        if found and all(verdict(each) == wanted for each in estimates):
            _, size = min((each.least() for each in found), key=lambda least: abs(least[0][0]))
            lines.append(f"- {who}{advice} {size}.")
        elif found:
            changed = f"Words read on pages change by {span(estimates)} points, {certainty(estimates)}"
            lines.append(f"- {who}no clear answer. {changed}.")
    return lines


def budget_advice(changes: list[Changes]) -> list[str]:
    """What to spend tiles on."""
    answers = []
    for each in changes:
        clear = all(verdict(estimate) == "yes" for estimate in (*each.words, *each.characters))
        who = "a model that was trained with one" if each.trained else "one that never saw it"
        number = f", where it adds at least {each.least()[1]}" if clear else ""
        answers.append(f"{'the second' if clear else 'no clear answer'} in {who}{number}")
    if not answers:
        return []
    return [f"- Tiles to spend, on a second grid or on a finer one: {'; '.join(answers)}."]


def training_advice(trainings: list[Comparison]) -> list[str]:
    """Whether training with a second grid pays."""
    found = [each for each in trainings if each.read == ON_PAGES and each.than == PLAIN and each.rule in NAMES]
    if not found:
        return []
    verdicts = [verdict(each.everywhere) for each in found]
    best = max(found, key=lambda each: each.everywhere)
    number = spoken(best.everywhere, " points", f"n = {best.number}", f"{best.model}, {NAMES[best.rule]}")
    return [
        f"- Whether to train with one: {'it pays' if set(verdicts) == {'yes'} else 'do not count on a gain'}. Beside "
        "a model that was trained as long without, more words on pages are read for certain in "
        f"{verdicts.count('yes')} of {len(verdicts)} comparisons and fewer in {verdicts.count('reversed')}, at best "
        f"{number} more ([all of them](#is-a-model-that-is-trained-with-cip-the-better-one))."
    ]


def kept_words(scorings: Tables) -> dict[str, dict[str, tuple[Estimate, int]]]:
    """The share of the words that all tokens read that half of them keep, by model and rule, and on how many pages."""
    kept = {}
    for name, table in scorings.items():
        for label, settings in COMPRESSED.items():
            chosen = (table[[*settings]] == pd.Series(settings)).all(axis=1)
            if len(found := table[chosen & (table["keep_ratio"] == 0.5)]):
                estimate = bootstrap(found["page"], of_all_tokens(found, table))
                kept.setdefault(name, {})[label] = estimate, len(found)
    return kept


def compression_advice(kept: dict[str, dict[str, tuple[Estimate, int]]]) -> list[str]:
    """Whose attention should score the tokens, and which positions they should have."""
    both = {name: (rules[PUBLISHED], rules[ASKING]) for name, rules in kept.items() if set(rules) == set(COMPRESSED)}
    if not both:
        return []
    clear = all(asking[0][1] > published[0][2] for published, asking in both.values())
    advice = "let the question score the tokens, and keep their positions" if clear else "no clear answer"
    name = min(both, key=lambda name: both[name][1][0][0] - both[name][0][0][0])
    (published, _), (asking, number) = both[name]
    return [
        f"- Scale compression: {advice}. Where the rule matters least ({name}), half of the detailed tokens keep "
        f"{spoken(asking, '%', f'n = {number} pages')} of the words that all tokens read, instead of "
        f"{spoken(published, '%')}."
    ]


def changes_table(changes: list[Changes]) -> list[str]:
    """All models of a kind in one row."""
    rows = [
        ["trained with one" if each.trained else "never saw one", NAMES[each.rule]]
        + ["no second grid" if each.than == PLAIN else "a finer grid"]
        + [" to ".join(map(str, sorted({min(each.numbers), max(each.numbers)})))]
        + [f"{extremes(estimates)}, {certainty(estimates)}" for estimates in (each.words, each.characters)]
        for each in changes
    ]
    head = ["models that", "second grid by", "minus", "n", "words read on pages", "characters"]
    return markdown_table(head, rows, right=("n",))


def kept_table(kept: dict[str, dict[str, tuple[Estimate, int]]]) -> list[str]:
    """A row per model."""
    rows = [
        [name, trained_with(name), max(number for _, number in rules.values())]
        + [percent(rules[label][0]) if label in rules else "–" for label in COMPRESSED]
        for name, rules in kept.items()
    ]
    return markdown_table(["model", "trained with", "pages", *COMPRESSED], rows, right=("pages",))


def advice_section(
    tables: dict[str, Tables], sweeps: Tables, trainings: list[Comparison], gains: list[SortGain]
) -> list[str]:
    """The lines of the section; `sweeps` are those that were read with and without a second grid."""
    pages = tables["page"]
    on_pages, budget, kept = page_changes(pages, gains), budget_changes(sweeps, pages), kept_words(tables["scoring"])
    detailed, adaptive = SMALL_RANGES
    parts = [
        "## What follows for you",
        [
            *page_advice(on_pages),
            *budget_advice(budget),
            *training_advice(trainings),
            *compression_advice(kept),
            LIMITS,
        ],
    ]
    if on_pages or budget:
        parts += [
            "The same in numbers: the model with the lowest change and the one with the highest, in points with 95% "
            "intervals, and in how many it is certain. n: words on pages per model. Characters: in their order on the "
            "page; of moved words where a finer grid is the rival. Mind that this one, with as many tiles as both "
            f"grids, often has more than the {detailed[1]} that these readers were trained on. Most readers have "
            f"small ranges: {detailed[0]} to {detailed[1]} detailed tiles, {adaptive[0]} to {adaptive[1]} of the "
            "second grid.",
            changes_table([*on_pages, *budget]),
        ]
    if kept:
        parts += [
            "And of scale compression: of the words that all tokens read, how many half of the detailed tokens keep, "
            "in % with 95% intervals by bootstrap over pages.",
            kept_table(kept),
        ]
    return blocks(*parts)
