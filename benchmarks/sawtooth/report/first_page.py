"""The first page of RESULTS.md: four sentences, what the words mean, and what follows for a user."""

from collections.abc import Iterable
from functools import cache

from benchmarks.recognizer.run import FOLDER as RECOGNIZER
from benchmarks.recognizer.scoring import load_readings, share_read
from benchmarks.sawtooth.report.comparisons import (
    BUDGET,
    CIP,
    JOINT,
    LEARNED,
    ON_PAGES,
    PLAIN,
    Comparison,
    Tables,
    depth,
    page_gain,
    parts,
)
from benchmarks.sawtooth.report.sorts import ASKED, BEYOND, MOVED, PAGES, SortGain
from benchmarks.sawtooth.report.statistics import Estimate, percent, verdict
from benchmarks.tables import blocks


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
    "- **`3m-long-pyramid`**: size or family, then training: `plain` never saw a second grid, `pyramid` was trained on "
    "with one, `control` for as many steps without; `long` three times as long, with `joint` in the pyramid.",
)


def span(estimates: Iterable[Estimate]) -> str:
    """The smallest and the largest value in points, and how many of them are certain."""
    estimates = list(estimates)
    middles = sorted(100 * each[0] for each in estimates)
    certain = [verdict(each) for each in estimates]
    counts = [f"{certain.count(name)} {word}" for name, word in (("yes", "gain"), ("reversed", "lose"))]
    return f"{middles[0]:.1f} to {middles[-1]:.1f} points (of {len(middles)}, {' and '.join(counts)} for certain)"


def chosen(gains: list[SortGain], read: str, rule: str, trained: bool, than: str = PLAIN) -> list[SortGain]:
    """The gains of one kind, a model each."""
    wanted = (read, rule, trained, than)
    return [each for each in gains if (each.read, each.rule, each.trained, each.than) == wanted]


def damage_sentence(models: Tables) -> str:
    """How deep the sawtooth is between rows, and between columns."""
    depths = {
        axis: [
            depth(found, PLAIN) for table in models.values() for (at, _), found in parts(table).items() if at == axis
        ]
        for axis in "yx"
    }
    words = []
    for axis, lines in (("y", "such a line between rows halves the letters"), ("x", "one between columns parts them")):
        middles = [100 * each[0] for each in depths[axis]]
        certain = sum(verdict(each) == "yes" for each in depths[axis])
        words.append(
            f"where {lines} they lose {min(middles):.1f} to {max(middles):.1f} points of character accuracy, for "
            f"certain in {certain} of {len(middles)} readings"
        )
    return f"Small models that we trained to read show the damage: {'; '.join(words)}."


def moved_sentence(gains: list[SortGain]) -> str:
    """What the second grid adds on row-cut words beyond uncut ones, with and without training."""
    texts = []
    for trained, who in ((True, "in models that were trained with it"), (False, "in models that never saw it")):
        for rule, name in ((JOINT, "`joint`"), (CIP, "`any`")):
            if found := [each.gains[BEYOND] for each in chosen(gains, MOVED, rule, trained)]:
                texts.append(f"{span(found)} {who}, by {name}")
    if not texts:
        return ""
    return f"On moved words the second grid brings row-cut ones, beyond what it brings uncut ones, {'; '.join(texts)}."


def asked_sentence(gains: list[SortGain]) -> str:
    """The same of words that are asked for, the primary measure; nothing where none was."""
    texts = []
    for each in (each for each in gains if each.read == ASKED):
        name = each.rule.removeprefix("pyramid ")
        texts.append(f"{percent(each.gains[BEYOND])} by `{name}`, {each.model}")
    if not texts:
        return ""
    return (
        "Asked for single words, readers gain with the second grid, beyond what it brings uncut words and against the "
        f"same grid twice, this many points of the row-cut words: {'; '.join(texts)}."
    )


@cache
def recognizer_sentence() -> str:
    """The figure of the pretrained recognizer, from its own readings."""
    table = load_readings(RECOGNIZER / "readings.csv")
    row = table[table["kind"] == "row"]
    read = {name: percent(share_read(row, name)) for name in ("detailed + global", "CIP any", "CIP joint")}
    return (
        f"What there is to be had, a pretrained text recognizer shows that is told where the words are: of {len(row)} "
        f"row-cut words it reads {read['detailed + global']}% with plain tiling, {read['CIP any']}% with `any` and "
        f"{read['CIP joint']}% with `joint` ([its own report](../recognizer/RESULTS.md); tiles that overlap do as "
        "well)."
    )


def page_advice(pages: Tables, gains: list[SortGain]) -> list[str]:
    """What the readings of pages allow to say to a user."""
    lines = []
    for trained, start in (
        (False, "Don't switch the second grid on in a model that never saw one"),
        (True, "In a model that was trained with it, use it"),
    ):
        texts = []
        for rule, name in ((JOINT, "`joint`"), (CIP, "`any`")):
            found = chosen(gains, PAGES, rule, trained)
            if found:
                words = [page_gain(pages[each.model], rule, PLAIN) for each in found]
                texts.append(
                    f"{name} changes the words read on pages by {span(words)}, the characters in their order by "
                    f"{span(each.besides for each in found)}"
                )
        worse = all(
            verdict(each.besides) == ("yes" if trained else "reversed")
            for rule in (CIP, JOINT)
            for each in chosen(gains, PAGES, rule, trained)
        )
        if texts:
            start = start if worse else f"{'With' if trained else 'Without'} training for it, results differ"
            lines.append(f"- {start}: {'; '.join(texts)}.")
    return lines


def budget_advice(pages: Tables) -> list[str]:
    """A second grid against a finer one of as many tiles."""
    found = [
        page_gain(table, CIP, PLAIN + BUDGET)
        for table in pages.values()
        if {CIP, PLAIN + BUDGET} <= set(table["method"])
    ]
    if not found:
        return []
    better = all(verdict(each) == "yes" for each in found)
    start = "Spend tiles on a second grid rather than on a finer one" if better else "A second grid or a finer one"
    return [f"- {start}: `any` minus one grid of about as many tiles, words read on pages: {span(found)}."]


def training_advice(trainings: list[Comparison]) -> list[str]:
    """Whether training with CIP pays."""
    lines = []
    for rule in (JOINT, CIP):
        found = [
            each
            for each in trainings
            if (each.read, each.rule, each.than) == (ON_PAGES, rule, PLAIN) and rule != LEARNED
        ]
        if found:
            texts = [f"{each.model} {percent(each.everywhere)}" for each in found]
            lines.append(f"`{rule.removeprefix('pyramid ')}`: {', '.join(texts)}")
    if not lines:
        return []
    return [
        "- Training with a second grid isn't free of cost: minus a model that was trained as long without one, words "
        f"read on pages: {'; '.join(lines)} points."
    ]


LIMITS = (
    "- These are readers of 3 to 6 million parameters that know rendered words only, on tiles of 112 px and small "
    "ranges (1 to 6 detailed tiles, 1 to 4 of the second grid): of the published weights they say nothing."
)


def first_page(models: Tables, pages: Tables, trainings: list[Comparison], gains: list[SortGain]) -> list[str]:
    """From the title to what follows for a user, without the details."""
    if not models:
        return []
    sentences = [
        "A model that reads a large image tile by tile gets a word in two halves where a line between tiles runs "
        "through it; Mini-Monkey shows it the image a second time, in a grid whose lines run elsewhere.",
        damage_sentence(models),
        asked_sentence(gains) or moved_sentence(gains),
        recognizer_sentence(),
    ]
    return blocks(
        " ".join(sentences),
        "![What the second grid gains on words that are cut between rows and on words that are not, per model]"
        "(results/cuts.png)",
        "## What the words mean",
        list(GLOSSARY),
        "## What follows for you",
        [*page_advice(pages, gains), *budget_advice(pages), *training_advice(trainings), LIMITS],
    )
