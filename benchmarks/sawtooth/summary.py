"""The questions of the benchmark with one answer each, counted over all models: the head of RESULTS.md."""

from collections import Counter
from pathlib import Path

from benchmarks.sawtooth.columns import Columns, choose, load, percent
from benchmarks.sawtooth.overview import (
    BUDGET,
    CIP,
    JOINT,
    LEARNED,
    LINES,
    PAGES,
    PLAIN,
    Comparison,
    depth,
    gain,
    page_gain,
    parts,
    verdict,
)
from benchmarks.sawtooth.statistics import bootstrap, mean


def count(verdicts: list[str]) -> str:
    """ "yes in 2, not shown in 1, reversed in 3 of 6"."""
    found = Counter(verdicts)
    named = [f"{name} in {found[name]}" for name in ("yes", "not shown", "reversed") if found[name]]
    return f"{', '.join(named)} of {len(verdicts)}"


def sawtooth_answers(models: dict[str, Columns]) -> list[str]:
    answers = []
    for axis, lines in LINES.items():
        depths = [
            depth(found, PLAIN)
            for columns in models.values()
            for (at, _), found in parts(columns).items()
            if at == axis
        ]
        middles = [100 * each[0] for each in depths]
        span = f"{min(middles):.1f} to {max(middles):.1f} points of character accuracy deep"
        answers.append(f"Lines {lines}: {count([verdict(each) for each in depths])} readings; {span}.")
    return answers


def cip_answer(models: dict[str, Columns], trained: str) -> str:
    """Whether CIP helps on cut lines, in the models that were trained so: family by family."""
    chosen = {name: columns for name, columns in models.items() if name.endswith(f"-{trained}")}
    by_model = []
    for name, columns in chosen.items():
        gains = [gain(found, CIP, PLAIN, at_lines=True) for found in parts(columns).values()]
        by_model.append(f"{name.removesuffix(f'-{trained}')} {count([verdict(each) for each in gains])}")
    return "; ".join(by_model) + "." if by_model else "No model was read."


def rule_answer(models: dict[str, Columns]) -> str:
    read = {name: columns for name, columns in models.items() if JOINT in columns["method"]}
    gains = {name: gain(columns, JOINT, CIP) for name, columns in read.items()}
    if not gains:
        return "No model was read with `joint`."
    return (
        "`joint` minus `any`, everywhere: "
        + "; ".join(f"{name} {percent(each)}" for name, each in gains.items())
        + "."
    )


def compression_answer(folder: Path) -> str:
    """At half of the detailed tokens, scores of the published layer, published positions: words read on pages."""
    answers = []
    for path in sorted(folder.glob("compression-*.csv")):
        columns = load(path)
        share, repacked = columns["words_read"] / columns["words"], columns["positions"] == "repack"
        half = (columns["keep_ratio"] == 0.5) & (columns["layer"] == 1)
        read = {"all tokens": columns["keep_ratio"] == 1.0}
        read |= {name: half & repacked & (columns["selector"] == name) for name in dict.fromkeys(columns["selector"])}
        read["attention, positions kept"] = half & ~repacked & (columns["selector"] == "attention")
        estimates = [
            f"{name} {percent(bootstrap(columns['page'], mean(share, chosen)))}"
            for name, chosen in read.items()
            if chosen.any()
        ]
        answers.append(f"{path.stem.removeprefix('compression-')}: {', '.join(estimates)}")
    if not answers:
        return "Not read."
    return f"Words read on pages in % where half of the detailed tokens stay. {'; '.join(answers)}."


def steering_answer(folder: Path) -> str:
    answers = []
    for path in sorted(folder.glob("steering-*.csv")):
        half = choose(columns := load(path), columns["keep_ratio"] == 0.5)
        change = bootstrap(half["page"], mean(half["kept_asked"] - half["kept_other"]))
        answers.append(f"{path.stem.removeprefix('steering-')} {percent(change)} ({verdict(change)})")
    found = "; ".join(answers)
    return f"Tokens kept on the word asked for minus those on the other, at 0.5: {found}." if answers else "Not read."


def budget_answer(folder: Path) -> str:
    """CIP against a single grid that has about as many tiles, same weights: words read on pages."""
    answers = []
    for path in sorted(folder.glob("page-*.csv")):
        columns = load(path)
        grids = (PLAIN + BUDGET, "overlap + global" + BUDGET)
        for rival in [name for name in grids if name in columns["method"]]:
            change = page_gain(columns, CIP, rival)
            name = path.stem.removeprefix("page-")
            answers.append(f"{name} minus {rival.removesuffix(BUDGET)} {percent(change)} ({verdict(change)})")
    return f"Words on pages, `any`: {'; '.join(answers)}." if answers else "Not read."


def training_answer(compared_training: list[Comparison]) -> str:
    answers = []
    for each in compared_training:
        if each.read == PAGES and each.rule != LEARNED:
            tiles = "with as many tiles " if each.than != PLAIN else ""
            answers.append(f"{each.model} {each.rule} {tiles}{percent(each.everywhere)} ({verdict(each.everywhere)})")
    return "Words on pages: " + "; ".join(answers) + "." if answers else "No control was trained."


def summary_section(models: dict[str, Columns], compared_training: list[Comparison], folder: Path) -> list[str]:
    if not models:
        return []
    rows = {
        "Is there a sawtooth?": " ".join(sawtooth_answers(models)),
        "Does CIP remove it without training?": cip_answer(models, "plain"),
        "And in a model that is trained with CIP?": cip_answer(models, "pyramid"),
        "Is a model trained with CIP better than one trained as long without?": training_answer(compared_training),
        "Is it better than one grid of as many tiles?": budget_answer(folder),
        "Which complementarity is best?": rule_answer(models),
        "What does SCM keep?": compression_answer(folder),
        "Does the question steer it?": steering_answer(folder),
    }
    return [
        "## In short",
        "",
        "Yes, reversed: the whole 95% interval is above zero, or below. A reading is one model, one size of letters",
        "and one direction of the cut lines. The tables and figures behind every line follow.",
        "",
        "| question | answer |",
        "| --- | --- |",
        *(f"| {question} | {answer} |" for question, answer in rows.items()),
        "",
    ]
