"""What could be read from the second grid: made-up readings."""

import pytest

from benchmarks.sawtooth.cutting import SECOND_ALONE
from benchmarks.sawtooth.measurements.cut_words import SORTS, CutWordReading
from benchmarks.sawtooth.readers.cut_pages import ONCE
from benchmarks.sawtooth.report.comparisons import CIP, PLAIN
from benchmarks.sawtooth.report.readings import load_all
from benchmarks.sawtooth.report.second_grid import reaches, second_grid_section
from benchmarks.sawtooth.runner import append_rows


PAGES = 10
# Pages whose row-cut word is read
READ = {PLAIN: {0, 1, 2, 8}, SECOND_ALONE: {2, 3, 9}, CIP: {0, 5}}
CUT_TOO = {8, 9}  # by the second grid


@pytest.fixture
def tables(tmp_path):
    for method, pages in READ.items():
        rows = [
            CutWordReading(
                *(method, page, sort, sort, 20.0, "w", "w", sort == "uncut" or page in pages, 1.0),
                cut_by_all=page in CUT_TOO and method != PLAIN,
                tiles=9,
            )
            for sort in SORTS
            for page in range(PAGES)
        ]
        append_rows(tmp_path / "cut-words-reader-base.csv", rows)
    return load_all(tmp_path, "cut-words")


def test_shares_are_of_words_that_the_second_grid_shows_whole(tables):
    row, uncut = reaches(tables["reader-base"], ONCE)
    assert (row.sort, len(row.read), uncut.sort) == ("row", 8, "uncut")
    shares = [row.share(*methods)[0] for methods in ((PLAIN,), (SECOND_ALONE,), (PLAIN, SECOND_ALONE), (CIP,))]
    assert shares == [3 / 8, 2 / 8, 4 / 8, 2 / 8]
    low, high = row.share(PLAIN)[1:]
    assert low < 3 / 8 < high and uncut.share(CIP) == (1, 1, 1)


def test_the_table_has_a_row_per_size_and_sort(tables):
    lines = [line for line in second_grid_section(tables, tables) if line.startswith("| ")]
    assert [line.split(" | ")[:3] for line in lines[2:]] == [
        ["| 16 to 24", "row", "8"],
        ["| 16 to 24", "uncut", "8"],
        ["| 20 to 28", "row", "8"],
        ["| 20 to 28", "uncut", "8"],
    ]
    assert "| 37.5 [" in lines[2] and "| 50.0 [" in lines[2]


def test_nothing_is_said_before_the_second_grid_was_read(tables):
    without = {"reader-base": tables["reader-base"].query("method != @SECOND_ALONE")}
    assert second_grid_section({}, {}) == second_grid_section(without, {}) == []
