"""Words asked for: made-up readings with known gains."""

import matplotlib
import pytest

from benchmarks.sawtooth.measurements.cut_words import SORTS, CutWordReading
from benchmarks.sawtooth.report.comparisons import CIP, JOINT, PLAIN
from benchmarks.sawtooth.report.cut_words import (
    OWN,
    REPEATED,
    all_readings,
    asked_gains,
    asked_section,
    compared,
    gains_of_all_words,
    gate_sentence,
    readings_of,
)
from benchmarks.sawtooth.report.figures import draw_sorts
from benchmarks.sawtooth.report.first_page import asked_rows, asked_sentences, gate_rows
from benchmarks.sawtooth.report.readings import load_all
from benchmarks.sawtooth.report.sorts import BEYOND
from benchmarks.sawtooth.runner import append_rows


matplotlib.use("Agg")
PAGES = 20
# Words of 20 that are read: row, column, uncut
READ = {
    ("base", PLAIN): (4, 10, 20),
    ("base", REPEATED): (4, 10, 16),
    ("base", CIP): (6, 10, 10),
    ("plain", PLAIN): (8, 12, 20),
    ("repeated", REPEATED): (10, 12, 20),
    ("any", CIP): (14, 12, 18),
    ("joint", JOINT): (18, 12, 20),
}


def rows(method: str, read: tuple[int, ...], more: int = 0) -> list[CutWordReading]:
    return [
        CutWordReading(method, page, sort, sort, 20.0, "w", "w", page < number + more, 1.0, sort == "row", 9)
        for sort, number in zip(SORTS, read, strict=True)
        for page in range(PAGES)
    ]


@pytest.fixture
def tables(tmp_path):
    """Every training has two seeds but for `repeated`, which has a third; the second reads two of every 20 more."""
    for (trained, method), read in READ.items():
        if trained == "base":
            append_rows(tmp_path / "cut-words-reader-base.csv", rows(method, read))
            continue
        for seed in range(2):
            append_rows(tmp_path / f"cut-words-reader-{trained}-{seed}.csv", rows(method, read, 2 * seed))
    append_rows(tmp_path / "cut-words-reader-repeated-2.csv", rows(REPEATED, (0, 0, 0)))
    return load_all(tmp_path, "cut-words")


def test_nothing_is_said_before_anybody_was_asked():
    assert asked_section({}) == [] and asked_gains({}) == [] and asked_sentences([], []) == []


def test_gains_are_a_mean_over_the_seeds_that_both_have(tables):
    """Row: 14 and 16 of 20 against 10 and 12; uncut: 18 and 20 against 20 and 20."""
    gains = {(each.model, each.rule): each.gains for each in asked_gains(tables)}
    assert set(gains) == {("reader-pyramid", CIP), ("reader-pyramid", JOINT), ("reader-base", CIP)}
    trained = gains["reader-pyramid", CIP]
    assert [trained[sort][0] for sort in (*SORTS, BEYOND)] == pytest.approx([0.2, 0, -0.05, 0.25])
    low, high = trained[BEYOND][1:]
    assert low < 0.25 < high
    joint, base = gains["reader-pyramid", JOINT][BEYOND], gains["reader-base", CIP][BEYOND]
    assert (joint[0], base[0]) == pytest.approx((0.4, 0.4))


def test_words_that_another_detailed_grid_leaves_whole_do_not_count(tables):
    """Ten of the 18 row-cut words that `joint` reads are uncut by its own grid, and the control reads those, too."""
    for name in ("reader-joint-0", "reader-joint-1"):
        table = tables[name]
        table.loc[(table["sort"] == "row") & (table["page"] < 10), "own_sort"] = "uncut"
    readings = [readings_of(tables, trained, OWN[trained]) for trained in ("joint", "repeated")]
    # Pages 10 to 19: 8 and 10 of 10 against 0 and 2; of all of them 18 and 20 of 20 against 10 and 12
    assert compared(*readings)["row"][0] == pytest.approx(0.8)
    assert compared(*readings, every=True)["row"][0] == pytest.approx(0.4)
    assert compared(*readings)["uncut"] == compared(*readings, every=True)["uncut"]
    (row,) = [line for line in asked_section(tables) if line.startswith("| joint | pyramid joint | repeated")]
    cells = row[2:-2].split(" | ")
    assert cells[4] == "20" and cells[5].startswith("80.0 [") and cells[-1].startswith("40.0 [")
    (row,) = [line for line in asked_section(tables) if line.startswith("| joint | pyramid joint | 2 |")]
    assert "| 50 | 9.0 |" in row


def test_the_section_has_every_seed_and_the_gate(tables):
    text = "\n".join(asked_section(tables))
    (row,) = [line for line in text.splitlines() if line.startswith("| any | pyramid any | repeated, second grid rep")]
    cells = row[2:-2].split(" | ")
    assert cells[3:5] == ["2", "40"] and cells[5].startswith("20.0 [") and cells[8].startswith("25.0 [")
    assert cells[9] == "yes" and cells[11] == "30.0, 20.0"  # the first seed misses two uncut words, the second none
    (row,) = [line for line in text.splitlines() if line.startswith("| base | pyramid any | 1 |")]
    assert row.endswith("| 100 | 9.0 | no |") and "| 50.0 [" in row
    failed = "Not by: base (second grid repeated), base (pyramid any), repeated (second grid repeated)."
    assert failed in text.replace("\n", " ")  # a seed of `repeated` read nothing


def test_the_gate_is_for_uncut_words(tables):
    readings = [readings_of(tables, trained, OWN[trained]) for trained in ("plain", "joint")]
    assert all(each.passes for each in readings) and gate_sentence(readings).endswith("All passed.")
    assert readings[0].share("row")[0] == pytest.approx(0.45)


def test_the_first_page_tells_it(tables, tmp_path):
    gains, readings = asked_gains(tables), all_readings(tables)
    gain, gate = asked_sentences(gains, readings)
    assert "trained with it reads cut words better for it" in gain and " 25.0 points (95%: " in gain
    assert "n = 40) above that on uncut ones." in gain
    assert "This reader meets the bar" in gate and "it reads 95.0% (95%: " in gate  # 18 and 20 of 20
    readings[-2].table["read"] = False
    assert readings[-2].trained == "any" and "This reader misses the bar" in asked_sentences(gains, readings)[1]
    draw_sorts(gains, tmp_path / "cuts.png")
    assert (tmp_path / "cuts.png").stat().st_size > 1000


def test_the_table_of_the_first_page_has_both_rules_and_the_bar(tables):
    """Of ten row-cut words `joint` has another detailed grid, so that it has a row for all words and one for those."""
    for name in ("reader-joint-0", "reader-joint-1"):
        tables[name].loc[(tables[name]["sort"] == "row") & (tables[name]["page"] < 10), "own_sort"] = "uncut"
    rows = asked_rows(asked_gains(tables), gains_of_all_words(tables))
    assert [(row[1], row[3], row[4]) for row in rows] == [
        ("`any`, trained with it", 40, "yes"),
        ("`joint`, trained with it; all words", 40, "yes"),
        ("`joint`, trained with it; words cut by both", 20, "yes"),
        ("`any`, never trained with it", 20, "yes"),
    ]
    assert [row[2].split(" [")[0] for row in rows] == ["25.0", "40.0", "80.0", "40.0"]
    fewest, most = gate_rows(all_readings(tables))
    assert fewest[1:] == ["fewest of 7 readings: base (pyramid any)", fewest[2], 20, "bar missed"]
    assert fewest[2].startswith("50.0 [") and most[2] == "100.0 [100.0, 100.0]" and most[4] == "bar met"
