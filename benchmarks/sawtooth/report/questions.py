"""The questions of the benchmark with one answer each, counted over all models: the head of RESULTS.md."""

from collections import Counter

from benchmarks.sawtooth.report.comparisons import (
    BUDGET,
    CIP,
    JOINT,
    LEARNED,
    LINES,
    ON_PAGES,
    PLAIN,
    Comparison,
    Tables,
    depth,
    gain,
    page_gain,
    parts,
)
from benchmarks.sawtooth.report.statistics import Estimate, bootstrap, mean, percent, verdict
from benchmarks.tables import blocks, markdown_table


def count(verdicts: list[str]) -> str:
    """ "yes in 2, not shown in 1, reversed in 3 of 6"."""
    found = Counter(verdicts)
    named = [f"{name} in {found[name]}" for name in ("yes", "not shown", "reversed") if found[name]]
    return f"{', '.join(named)} of {len(verdicts)}"


def judged(estimate: Estimate) -> str:
    """An estimate with its verdict."""
    return f"{percent(estimate)} ({verdict(estimate)})"


def joined(start: str, answers: list[str], nothing: str = "Not read.") -> str:
    """All answers as one sentence, or what to say where there are none."""
    return f"{start}{'; '.join(answers)}." if answers else nothing


def sawtooth_answer(models: Tables) -> str:
    """Depths without CIP, in both directions of the cut lines."""
    answers = []
    for axis, lines in LINES.items():
        depths = [
            depth(found, PLAIN) for table in models.values() for (at, _), found in parts(table).items() if at == axis
        ]
        middles = [100 * each[0] for each in depths]
        span = f"{min(middles):.1f} to {max(middles):.1f} points of character accuracy deep"
        answers.append(f"Lines {lines}: {count([verdict(each) for each in depths])} readings; {span}.")
    return " ".join(answers)


def cip_answer(models: Tables, trained: str) -> str:
    """Whether CIP helps on cut lines, in the models that were trained so: family by family."""
    by_model = []
    for name, table in models.items():
        if name.endswith(f"-{trained}"):
            gains = [gain(found, CIP, PLAIN, at_lines=True) for found in parts(table).values()]
            by_model.append(f"{name.removesuffix(f'-{trained}')} {count([verdict(each) for each in gains])}")
    return joined("", by_model, "No model was read.")


def training_answer(trainings: list[Comparison]) -> str:
    """Words read on pages by the model trained with CIP minus those by its control."""
    answers = []
    for each in trainings:
        if each.read == ON_PAGES and each.rule != LEARNED:
            tiles = "with as many tiles " if each.than != PLAIN else ""
            answers.append(f"{each.model} {each.rule} {tiles}{judged(each.everywhere)}")
    return joined("Words on pages: ", answers, "No control was trained.")


def budget_answer(pages: Tables) -> str:
    """CIP against a single grid that has about as many tiles, same weights: words read on pages."""
    answers = [
        f"{name} minus {baseline} {judged(page_gain(table, CIP, baseline + BUDGET))}"
        for name, table in pages.items()
        for baseline in (PLAIN, "overlap + global")
        if baseline + BUDGET in set(table["method"])
    ]
    return joined("Words on pages, `any`: ", answers)


def rule_answer(models: Tables) -> str:
    """The gain of `joint` over the published rule."""
    gains = [
        f"{name} {percent(gain(table, JOINT, CIP))}" for name, table in models.items() if JOINT in set(table["method"])
    ]
    return joined("`joint` minus `any`, everywhere: ", gains, "No model was read with `joint`.")


def compression_answer(compressed: Tables) -> str:
    """At half of the detailed tokens, scores of the published layer, published positions: words read on pages."""
    answers = []
    for model, table in compressed.items():
        share, repacked = table["words_read"] / table["words"], table["positions"] == "repack"
        half = (table["keep_ratio"] == 0.5) & (table["layer"] == 1)
        read = {"all tokens": table["keep_ratio"] == 1.0}
        read |= {name: half & repacked & (table["selector"] == name) for name in table["selector"].unique()}
        read["attention, positions kept"] = half & ~repacked & (table["selector"] == "attention")
        estimates = [
            f"{name} {percent(bootstrap(table['page'], mean(share, chosen)))}"
            for name, chosen in read.items()
            if chosen.any()
        ]
        answers.append(f"{model}: {', '.join(estimates)}")
    return joined("Words read on pages in % where half of the detailed tokens stay. ", answers)


def steering_answer(steered: Tables) -> str:
    """The difference between both words, where half of the tokens stay, by whose attention scores them."""
    answers = []
    for model, table in steered.items():
        half = table[(table["keep_ratio"] == 0.5) & (table["kind"] == "pair")]
        for queries, found in half.groupby("queries", sort=False):
            change = bootstrap(found["page"], mean(found["kept_asked"] - found["kept_other"]))
            answers.append(f"{model}, {queries}, {judged(change)}")
    return joined("Tokens kept on the word asked for minus those on the other, at 0.5: ", answers)


def questions_section(
    models: Tables, pages: Tables, compressed: Tables, steered: Tables, trainings: list[Comparison]
) -> list[str]:
    """A table of the questions, where there are models to answer them."""
    if not models:
        return []
    answers = {
        "Is there a sawtooth?": sawtooth_answer(models),
        "Does CIP remove it without training?": cip_answer(models, "plain"),
        "And in a model that is trained with CIP?": cip_answer(models, "pyramid"),
        "Is a model trained with CIP better than one trained as long without?": training_answer(trainings),
        "Is it better than one grid of as many tiles?": budget_answer(pages),
        "Which complementarity is best?": rule_answer(models),
        "What does SCM keep?": compression_answer(compressed),
        "Does the question steer it?": steering_answer(steered),
    }
    return blocks(
        "## In short",
        "Yes, reversed: the whole 95% interval is above zero, or below. A reading is one model, one size of "
        "letters and one direction of the cut lines. The tables and figures behind every line follow.",
        markdown_table(["question", "answer"], answers.items()),
    )
