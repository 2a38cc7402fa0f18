"""The report computed from synthetic readings with known answers, and RESULTS.md from the stored ones."""

import matplotlib
import pytest

from benchmarks.sawtooth.measurements.compression import CompressedReading
from benchmarks.sawtooth.measurements.moved_word import WordReading
from benchmarks.sawtooth.measurements.pages import PageWordReading
from benchmarks.sawtooth.report.comparisons import JOINT, PLAIN, training_comparisons
from benchmarks.sawtooth.report.figures import draw_results, draw_sorts
from benchmarks.sawtooth.report.per_model import model_report
from benchmarks.sawtooth.report.readings import load_all
from benchmarks.sawtooth.report.write import load_results, model_names, results_report, sort_gains
from benchmarks.sawtooth.runner import append_rows


matplotlib.use("Agg")
BUDGET = "detailed + global, tiles of the pyramid"
WORDS = ("abcdefghijklmnopqrst", "bcdefghijklmnopqrstu")  # of 20 letters


def misread(word: str, accuracy: float) -> str:
    """An answer of that character accuracy."""
    return word[: round(accuracy * len(word))]


def table_rows(text: str, start: str) -> list[list[str]]:
    """The cells of the rows that begin so."""
    return [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith(f"| {start} |")]


def always(value: float) -> str:
    """An estimate that no resample changes."""
    return f"{value:.1f} [{value:.1f}, {value:.1f}]"


@pytest.fixture
def readings(tmp_path):
    """Three models: in the center of a tile, on the line. Every word is read alike, so intervals have no width."""
    accuracy = {PLAIN: (1.0, 0.5), "pyramid any": (1.0, 0.75), "pyramid all": (0.5, 0.25), BUDGET: (1.0, 0.6)}
    for name, more in (("6m-plain", 0.0), ("6m-control", 0.25), ("6m-pyramid", 0.5)):
        rows = [
            WordReading(method, 2, 2, 24, axis, position, word, misread(word, min(1, value + more)), position == 1.0)
            for method, values in accuracy.items()
            for position, value in zip((0.5, 1.0), values, strict=True)
            for word in WORDS
            for axis in "xy"
        ]
        append_rows(tmp_path / f"sweep-{name}.csv", rows)
    pages = [
        PageWordReading(method, page, "w", read, 0, None if word else 0.5)
        for method, reads in ((PLAIN, (True, False)), ("pyramid any", (True, True)))
        for page in range(3)
        for word, read in enumerate(reads)
    ]
    append_rows(tmp_path / "page-6m-plain.csv", pages)
    ways = [("attention", 1.0, 8, "a", 100), ("attention", 0.5, 6, "a", 70), ("random", 0.5, 2, "b", 70)]
    compressed = [
        CompressedReading(name, ratio, 1, "repack", page, 10, read, 0.5, tokens, tokens * 10, 0.1, 0.1, answer)
        for name, ratio, read, answer, tokens in ways
        for page in range(3)
    ]
    append_rows(tmp_path / "compression-6m-plain.csv", compressed)
    return tmp_path


@pytest.fixture
def text(readings) -> str:
    tables = load_results(readings)
    return results_report(tables, sort_gains(tables))


def test_every_question_is_answered(text):
    answers = dict(line[2:-2].split(" | ") for line in text.split("## In short")[1].split("## ")[0].splitlines()[6:-1])
    # Depths of 50, 25 and 0 in two directions; the pyramid's gain on lines is 25, 25 and 0
    sawtooth = "yes in 2, not shown in 1 of 3 readings; 0.0 to 50.0 points of character accuracy deep."
    assert answers["Is there a sawtooth?"] == f"Lines between rows: {sawtooth} Lines between columns: {sawtooth}"
    assert answers["Does CIP remove it without training?"] == "6m yes in 2 of 2."
    assert answers["And in a model that is trained with CIP?"] == "6m not shown in 2 of 2."
    assert answers["Is it better than one grid of as many tiles?"] == "Not read."
    assert answers["Which complementarity is best?"] == "No model was read with `joint`."


def test_models_stand_side_by_side(text):
    (row,) = [row for row in table_rows(text, "6m | plain tiling") if row[2:4] == ["between rows", "24"]]
    assert row[4:] == ["4", always(50), "yes", always(25), always(25), "yes", always(12.5)]
    (pages,) = table_rows(text.split("## And on pages?")[1], "6m | plain tiling")
    assert pages[2:] == ["6", always(50), always(100), always(50), "–"]
    assert table_rows(text, "6m-plain | pyramid all") == [["6m-plain", "pyramid all", always(-50), always(-50)]]
    failed = text.split("## What did not work?")[1].split("## ")[0]
    assert f"- 6m-plain, pyramid all: {always(-37.5)}" in failed and "pyramid any" not in failed


def test_a_training_is_compared_with_one_as_long(readings):
    """With CIP by the one, 1 and 1; without by the other, 1 and 0.75, or with as many tiles 1 and 0.85."""
    found = training_comparisons(load_all(readings, "sweep"), {})
    gains = {(each.rule, each.than): (each.everywhere[0], each.cut[0]) for each in found if "rows" in each.read}
    assert gains["pyramid any", PLAIN] == pytest.approx((0.125, 0.25))
    assert gains["only in training", PLAIN] == pytest.approx((0.125, 0.25))
    assert gains["pyramid any", BUDGET] == pytest.approx((0.075, 0.15))
    assert all(each.number == 4 for each in found)


def test_words_on_pages_have_one_sort_for_all_methods(tmp_path):
    """Plain tiling cuts the first word, `joint` the second: of the first it gains 1, of its own cut one it loses 1."""
    read = {"pyramid": {PLAIN: (0, 1), JOINT: (1, 0)}, "control": {PLAIN: (0, 1), BUDGET: (1, 1)}}
    cut = {PLAIN: (1, 0), JOINT: (0, 1), BUDGET: (0, 1)}
    for name, methods in read.items():
        rows = [
            PageWordReading(method, page, "w", reads[word], cut[method][word], None if word else 0.5)
            for method, reads in methods.items()
            for page in range(3)
            for word in range(2)
        ]
        append_rows(tmp_path / f"page-3m-{name}.csv", rows)
    found = training_comparisons({}, load_all(tmp_path, "page"))
    gains = {(each.rule, each.than): (each.everywhere[0], each.cut[0]) for each in found}
    assert gains == {
        ("only in training", PLAIN): (0, 0),
        ("only in training", BUDGET): (-0.5, -1),
        (JOINT, PLAIN): (0, 1),
        (JOINT, BUDGET): (-0.5, 0),
    }


def test_a_model_has_a_file_of_its_own(text, readings):
    assert "| [6m-plain](results/6m-plain.md) | plain tiling | 32 | 12 | 9 |  |  |" in text
    tables = load_results(readings)
    assert model_names(tables) == ["6m-control", "6m-plain", "6m-pyramid"]
    text = model_report("6m-plain", tables)
    own = text.split("\n## One word, moved\n")[1].split("\n## ")[0]
    (row,) = [row for row in table_rows(own, "pyramid any") if row[1] == "24"]
    assert row[1:8] == ["24", "8", always(50), always(100), always(0), always(100), always(25)]
    (row,) = table_rows(text, "attention | 0.5 | 1 | repack")
    assert row[4:] == ["3", always(60), always(50), "100", "70", "70%", "1.00"]
    (row,) = table_rows(text, "random | 0.5 | 1 | repack")
    assert row[4:] == ["3", always(20), always(50), "0", "70", "70%", "1.00"]


def test_every_figure_is_drawn(readings, text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    tables = load_results(readings)
    draw_results(tables, folder)
    draw_sorts(sort_gains(tables), folder / "cuts.png")
    drawn = {path.name for path in folder.iterdir()}
    assert drawn == {"cuts.png", "overview.png", "gains.png", "page-6m-plain.png", "compression-6m-plain.png"} | {
        f"sweep-6m-{name}.png" for name in ("plain", "control", "pyramid")
    }


def test_the_first_page_follows_the_readings(text):
    """On the pages of the fixture CIP reads more without training: nobody is told to leave it off."""
    page = text.split("\nHow it was measured")[0]
    # Depths of 50, 25 and 0
    assert "0.0 to 50.0 points of character accuracy, for certain in 2 of 3 readings." in page.replace("\n", " ")
    lost = "character accuracy lost where a line between rows halves the letters, points"
    (row,) = table_rows(page, f"{lost} | small readers")
    assert row[2:] == [f"{always(0)} to {always(50)}", "3 readings", "2 of 3"]
    assert "- A model that never saw a second grid: no clear answer. Words read on pages change by 50.0" in page
    assert "- A model that was trained with one" not in page
    (row,) = table_rows(page, "never saw one | `any` | no second grid")
    assert row[3:5] == ["6", f"{always(50)} to {always(50)}, for certain better in 1 of 1"]


def test_cut_words_are_beside_uncut_ones(text):
    rows = table_rows(text.split("## Row-cut")[1], "6m-plain | any | plain tiling")
    moved, pages = rows
    assert moved[3:] == ["2, 2, 4", *map(always, (25, 25, 0, 25)), "yes", always(0)]
    assert pages[3] == "0, 2, 4" and pages[4] == pages[7] == "–"  # where those pages' words stand


def test_what_was_not_asked_is_not_mentioned(text):
    assert "asked for" not in text.split("## In short")[0]


@pytest.mark.slow
def test_results_are_what_the_stored_readings_give(repository):
    folder = repository / "benchmarks" / "sawtooth"
    tables = load_results()
    assert results_report(tables, sort_gains(tables)) == (folder / "RESULTS.md").read_text(encoding="utf-8")
    for name in model_names(tables):
        assert model_report(name, tables) == (folder / "results" / f"{name}.md").read_text(encoding="utf-8")
