"""The second half of PRETRAINED.md, of a made-up log and readings whose shares are known."""

import json

import pandas as pd
import pytest
from matplotlib import pyplot

from benchmarks.sawtooth.measurements.receipts import METHODS
from benchmarks.sawtooth.pretrained.evaluate import ask_about_held_out
from benchmarks.sawtooth.pretrained.questions import PRICED
from benchmarks.sawtooth.report import receipts
from benchmarks.sawtooth.report.receipts import (
    FIGURE,
    FIRST,
    PARTS,
    STAGES,
    accuracies,
    compressed_accuracies,
    compressed_section,
    compression_rows,
    cutting_table,
    draw_stages,
    first_token_table,
    is_of_another_line,
    load_stages,
    plain_gains,
    receipts_report,
    stage_table,
    wrong_lines,
)
from benchmarks.tables import markdown_table


SETTINGS = {
    "minutes": 100.0,
    "batch": 5,
    "accumulate": 3,
    "layer": 4,
    "other_words": 0.25,
    "positions": "keep",
}


def entry(when: str, part: str, right: int) -> dict:
    """10 answers, of which some are right, counted as the part counts them."""
    found = {"right": right} if part in ("chat", "chat with a picture", "unseen wordings") else {"exact": right / 10}
    return {"evaluation": when, "part": part, "n": 10} | found


@pytest.fixture
def stages(tmp_path):
    """
    Stages of 6, 8, 9, 7, 5 and 4 right answers, all plain questions before; the first lacks the demo's questions.
    """
    for number, (name, right) in enumerate(zip(STAGES, (6, 8, 9, 7, 5, 4), strict=True)):
        steps = 140 - 20 * number
        parts = [part for part in PARTS if number or not part.endswith("a receipt")]
        entries = [{"settings": SETTINGS}, {"step": steps, "rows": 15 * steps}]
        entries += [{"step": step, "looking": look} for step, look in ((20, 1.4858), (40, 0.753))]
        entries += [entry("before", part, 10 if part == "chat" else 2) for part in parts] + [
            entry("after", part, right) for part in parts
        ]
        (tmp_path / f"pretrained-{name}.jsonl").write_text("\n".join(map(json.dumps, entries)))
    return load_stages(tmp_path)


def rows(method: str, queries: str, layer: int, keep_ratio: float, right: int, layout: str = "receipt") -> list[dict]:
    """
    One question of each kind about 10 receipts; the first `right` costs are right, and no item is. Positions are kept
    where the question chooses.
    """
    return [
        {
            "layout": layout,
            "method": method,
            "queries": queries,
            "layer": layer,
            "keep_ratio": keep_ratio,
            "positions": "keep" if queries == "question" else "repack",
            "kind": kind,
            "receipt": receipt,
        }
        | {"exact": kind == "cost" and receipt < right, "answer": "", "tokens": 700, "is_cut": receipt >= 5}
        | {"kept_asked": 1.5 * keep_ratio if keep_ratio < 1 else 1.0, "kept_all": keep_ratio}
        for kind in ("cost", "item")
        for receipt in range(10)
    ]


@pytest.fixture
def table():
    full = [
        row
        for layout, most in zip(PRICED, (8, 7), strict=True)
        for number, method in enumerate(METHODS)
        for row in rows(method, "all", 1, 1.0, most - 2 * number, layout)
    ]
    return pd.DataFrame([*full, *rows(METHODS[0], "question", 2, 0.5, 4), *rows(METHODS[0], "all", 1, 0.5, 0)])


def test_before_and_after_each_stage(stages):
    lines = stage_table(stages)
    shares = "20.0 [5.7, 51.0] (n = 10) | 60.0 [31.3, 83.2] (n = 10) | 80.0 [49.0, 94.3] (n = 10) | 90.0 [59.6, 98.2]"
    last = "(n = 10) | 70.0 [39.7, 89.2] (n = 10) | 50.0 [23.7, 76.3] (n = 10) | 40.0 [16.8, 68.7] (n = 10) |"
    assert f"| words | {shares} {last}" in lines
    assert f"| cost on a receipt | – | – | 80.0 [49.0, 94.3] (n = 10) | 90.0 [59.6, 98.2] {last}" in lines
    assert len(lines) == len(PARTS) + 2
    assert accuracies(stages[-1], "bill") == [
        f"{kind} on a bill 40.0 [16.8, 68.7]% (n = 10)" for kind in ("cost", "item")
    ]


def test_figure_of_the_stages(stages, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(receipts, "save_figure", lambda figure, path: drawn.append(figure) or pyplot.close(figure))
    draw_stages(stages, tmp_path / FIGURE)
    written, plain = drawn[0].axes
    parts = ["words", "value", "cost on a receipt", "value on a bill", "cost on a bill"]
    assert [each.get_label() for each in written.containers] == parts
    assert [each.get_label() for each in plain.containers] == ["chat", "chat with a picture"]
    assert written.containers[0].lines[0].get_ydata() == pytest.approx([20, 60, 80, 90, 70, 50, 40])
    assert len(written.containers[2].lines[0].get_ydata()) == 5  # asked from the second stage on


def test_ways_to_cut(table):
    lines = cutting_table(table)[2:]
    of_receipts, bills = lines[: len(METHODS)], lines[len(METHODS) :]
    assert of_receipts[0].startswith("| receipt | pyramid any | 700 | 80.0 [50.0, 100.0] | 0.0 [0.0, 0.0] |")
    assert of_receipts[0].endswith("|  |  |  |")
    assert bills[0].startswith("| bill | pyramid any | 700 | 70.0 [")
    for (_, plain, repeated, _), right in ((of_receipts, "40.0"), (bills, "30.0")):
        assert f"second grid repeated | 700 | {right} [" in repeated
        of_all, of_cut, of_others = plain.split(" | ")[-3:]
        assert of_all.startswith("-10.0 [")  # two costs of ten, no item
        assert of_cut.startswith("-20.0 [") and of_others.startswith("0.0 [0.0, 0.0] (n = 10)")


def test_the_receipts_read_later_are_told_apart(stages, table):
    later = table.assign(receipt=table["receipt"] + FIRST, exact=True)
    assert plain_gains(later) == "0.0 [0.0, 0.0] on a receipt (n = 20) and 0.0 [0.0, 0.0] on a bill (n = 20)"
    assert plain_gains(table).startswith("-10.0 [")
    both = pd.concat([table, later])
    assert plain_gains(later) in " ".join(receipts_report(stages, both)).replace("\n", " ")


def test_ways_to_score(table):
    full, question, published = markdown_table(*compression_rows(table))[2:]
    assert full.startswith("| all tokens | – | 1 | – | 40.0 [")
    assert question.startswith("| question | 2 | 0.5 | keep | 20.0 [") and " | 75.0 [75.0, 75.0] | 25.0 [" in question
    assert published.startswith("| all | 1 | 0.5 | repack | 0.0 [") and "| -40.0 [" in published


def test_what_is_right_with_a_part_of_the_tokens(table):
    repacked = table[table["queries"] == "question"].assign(positions="repack", exact=True)
    table = pd.concat([table, repacked])
    cost, item = compressed_accuracies(table, "receipt", 0.5, "keep")
    assert cost.startswith("cost on a receipt 40.0 [") and cost.endswith("]% (n = 10)")
    assert item.startswith("item on a receipt 0.0 [")
    assert compressed_accuracies(table, "receipt", 0.3, "keep") == []  # never read
    assert compressed_accuracies(table, "bill", 0.5, "keep") == []


def test_report(stages, table):
    later = table[table["keep_ratio"] == 1].assign(receipt=table["receipt"] + FIRST)
    text = " ".join(receipts_report(stages, pd.concat([table, later])))
    assert "- `larger` (100 minutes, 140 steps of 15 rows): half of" in text
    assert "20 pictures for each of two questions" in text and "about 10 receipts each" in text


@pytest.mark.parametrize("kind", ["cost", "item"])
def test_an_answer_of_another_line(kind):
    for asked in ask_about_held_out(kind, 5, lambda word: None, layout="bill"):
        name, number = asked.turn.spelled.rstrip(".").split(" costs ")
        other = next(line for line in asked.picture.page.lines if line[0] != name and line[1] != number)
        taken, misread = {
            "cost": (f"{name} costs {other[1]}.", f"{name} costs {number}1."),
            "item": (f"{other[0]} costs {number}.", f"x{name} costs {number}."),
        }[kind]
        assert is_of_another_line(taken, asked) and not is_of_another_line(misread, asked)
        # The asked word misspelled, and what is no sentence
        spelled = f"x{name} costs {number}." if kind == "cost" else f"{name} costs {number}1."
        assert not any(is_of_another_line(each, asked) for each in (asked.turn.spelled, spelled, "", other[0]))


def test_answers_of_other_lines_are_counted(table):
    asked = ask_about_held_out("cost", 10, lambda word: None, layout="receipt")
    is_first = (table["layout"] == "receipt") & (table["kind"] == "cost") & (table["queries"] == "question")
    name = asked[3].turn.spelled.split()[0]
    other = next(line for line in asked[3].picture.page.lines if line[0] != name)
    answered = table.assign(
        answer=table["answer"].where(~(is_first & (table["receipt"] == 3)), f"{name} costs {other[1]}.")
    )
    assert wrong_lines(answered).startswith(
        "of 20 on a receipt 0 with all tokens, 1 by `question` at 0.5 (`keep`), 0 by `all` at 0.5 (`repack`); "
        "of 20 on a bill 0"
    )


@pytest.fixture
def times():
    """Half of the tokens takes 0.9 of the time on receipts and 0.8 on bills."""
    head = ["layout", "queries", "layer", "keep_ratio", "receipt", "tokens", "seconds"]
    shares = {"receipt": 0.9, "bill": 0.8}
    every = [
        row
        for layout, part in shares.items()
        for receipt, seconds in enumerate((1.0, 2.0, 4.0))
        for row in (
            (layout, "all", 1, 1.0, receipt, 500, seconds),
            (layout, "question", 3, 0.5, receipt, 500, seconds * part),
        )
    ]
    return pd.DataFrame(every, columns=head)


def test_times_to_the_first_token(times):
    assert first_token_table(times)[2:] == [
        "| receipt | all tokens | – | 1 | 2.00 |  |",
        "| receipt | question | 3 | 0.5 | 1.80 | 90.0 [90.0, 90.0] |",
        "| bill | all tokens | – | 1 | 2.00 |  |",
        "| bill | question | 3 | 0.5 | 1.60 | 80.0 [80.0, 80.0] |",
    ]


def test_section_of_the_last_stage(stages, table, times):
    bills = [(0.25, "question", 6), (0.5, "question", 5), (0.5, "all", 3)]
    bills = [row for ratio, queries, right in bills for row in rows(METHODS[0], queries, 8, ratio, right, "bill")]
    both = pd.concat([table, pd.DataFrame(bills)])
    half = both[both["keep_ratio"] == 0.5]
    others = [
        half[half["queries"] == "all"].assign(positions="keep", exact=False),
        half[half["queries"] == "question"].assign(positions="repack", exact=False),
        half[half["queries"] == "question"].assign(queries="text", exact=True),
    ]
    every = pd.concat([both, *others])
    lines = compressed_section(stages[-1], every, every[every["keep_ratio"] >= 0.5], times)
    text = " ".join(lines)
    assert "After `kept`" in text and "in layer 4 had a loss" in text and "0.25 times as high" in text
    assert "`pyramid any` is -10.0 [" in text
    assert "from 1.49 (mean of the first steps in the log) to 0.75" in text and "10 pictures for each" in text
    assert "published rule's: 20.0 [" in text and "] points on a receipt and 10.0 [" in text
    assert "by the question: 20.0 [" in text and "by hand minus by the question: 80.0 [" in text
    assert "with numbers kept: 20.0 [" in text and "] points on a receipt and 25.0 [" in text
    assert any(line.startswith("| receipt | question | 2 | 0.5 | keep | 20.0 [") for line in lines)
    assert any(line.startswith("| bill | all tokens | – | 1 | – | 35.0 [") for line in lines)
    assert any(line.startswith("| bill | question | 8 | 0.25 | keep | 30.0 [") for line in lines)
