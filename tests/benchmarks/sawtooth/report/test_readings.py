"""Files of readings, and the columns that follow from what is stored."""

import pytest

from benchmarks.sawtooth.measurements.compression import CompressedReading
from benchmarks.sawtooth.measurements.moved_word import WordReading
from benchmarks.sawtooth.measurements.pages import PageWordReading
from benchmarks.sawtooth.report.readings import distance, in_center, load, on_line
from benchmarks.sawtooth.runner import append_rows


def test_moved_words(tmp_path):
    answers = {"abcd": "abxd", "null": "null", "007": "007\n8", "nan": ""}
    positions = (0.5, 1.0, 1.5, 1.625)
    rows = [
        WordReading("global", 3, 2, 24, "x", position, word, answer, cut)
        for (word, answer), position, cut in zip(answers.items(), positions, (0, 1, 2, 3), strict=True)
    ]
    append_rows(tmp_path / "sweep.csv", rows)
    table = load(tmp_path / "sweep.csv")
    assert dict(zip(table["word"], table["answer"], strict=True)) == answers  # text stays text
    assert table["accuracy"].tolist() == [0.75, 1.0, 0.3333, 0.0] and table["exact"].tolist() == [
        False,
        True,
        False,
        False,
    ]
    assert table["cut_detailed"].tolist() == [False, True, False, True]
    assert table["cut_everywhere"].tolist() == [False, False, True, True]
    assert on_line(table).tolist() == [False, True, False, False]
    assert in_center(table).tolist() == [True, False, True, True]


def test_the_nearest_line_is_inside_of_the_image():
    assert distance([0.5, 0.875, 1.0, 1.5, 2.25]) == pytest.approx([0.5, 0.125, 0, 0.5, 0.25])


def test_pages(tmp_path):
    pages = [(0, 0.5), (0, None), (1, 1.0), (4, 0.25)]
    append_rows(
        tmp_path / "page.csv", [PageWordReading("global", page, "a", page > 0, 0, each) for page, each in pages]
    )
    table = load(tmp_path / "page.csv")
    assert table["page_accuracy"].tolist() == [0.5, 0.5, 1.0, 0.25] and table["read"].tolist() == [
        False,
        False,
        True,
        True,
    ]
    assert table["kind"].tolist() == ["lines", "lines", "receipt", "lines"]


def test_compressed_pages(tmp_path):
    rows = [
        CompressedReading("attention", ratio, 1, "repack", page, 1, 1, accuracy, 9, 9, 0.1, 0.1, answer)
        for ratio, page, accuracy, answer in (
            (1.0, 0, 1.0, "a"),
            (1.0, 1, 0.5, "b"),
            (0.5, 0, 0.9, "c"),
            (0.5, 1, 0.5, "b"),
        )
    ]
    append_rows(tmp_path / "compression.csv", rows)
    table = load(tmp_path / "compression.csv")
    assert table["agrees"].tolist() == [True, True, False, True]
    assert table["exact"].tolist() == [True, False, False, False]
