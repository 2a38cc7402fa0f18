"""Words by what the detailed grid does to them, and what is gained on each sort."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from benchmarks.sawtooth.cutting import METHODS, cut_by
from benchmarks.sawtooth.measurements.moved_word import WordReading
from benchmarks.sawtooth.measurements.pages import PageWordReading, word_boxes
from benchmarks.sawtooth.readers.documents import make_page
from benchmarks.sawtooth.readers.rendering import TILE_SIZE
from benchmarks.sawtooth.report.comparisons import BUDGET, CIP, JOINT, PLAIN
from benchmarks.sawtooth.report.readings import load
from benchmarks.sawtooth.report.sorts import (
    BEYOND,
    gains_by_sort,
    moved_gains,
    page_gains,
    sorts_of_moved,
    sorts_on_page,
)
from benchmarks.sawtooth.runner import append_rows


def test_moved_words_are_sorted_by_the_grid_of_plain_tiling(tmp_path):
    """What `joint` cuts, by another detailed grid, doesn't matter; a word that a line grazes is of no sort."""
    places = [("y", 1.0, 1), ("x", 1.0, 1), ("y", 0.5, 0), ("x", 1.25, 1), ("y", 1.0, 0)]
    rows = [
        WordReading(method, 2, 2, 24, axis, position, f"word{number}", "", cut if method == PLAIN else 1 - cut)
        for method in (JOINT, PLAIN)
        for number, (axis, position, cut) in enumerate(places)
    ]
    append_rows(tmp_path / "sweep.csv", rows)
    assert sorts_of_moved(load(tmp_path / "sweep.csv")).tolist() == ["row", "column", "uncut", "", "uncut"] * 2


def test_words_of_pages_are_sorted_by_where_they_stand():
    """Uncut: a tile holds the word's box. Row: no row of tiles holds it, were it as narrow as a point."""
    found = Counter()
    for index in range(40):
        page = make_page(index, TILE_SIZE)
        views = METHODS[PLAIN](*page.image.size, TILE_SIZE, None)
        for (_, box), sort in zip(word_boxes(page), sorts_on_page(index), strict=True):
            left, top, _, bottom = box
            inside = max(0, top), min(page.image.height, bottom)
            assert (sort == "uncut") == (cut_by(views, page.image.size, box) == 0)
            assert (sort == "row") == (cut_by(views, page.image.size, (left, inside[0], left, inside[1])) > 0)
            found[sort] += 1
    assert min(found["row"], found["column"], found["uncut"]) > 5


def test_gains_by_sort_equal_a_naive_count():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "page": rng.integers(0, 20, 400),
            "sort": rng.choice(["row", "column", "uncut", ""], 400),
            "method": rng.choice(["a", "b"], 400),
            "read": rng.random(400),
        }
    )
    gains = gains_by_sort(table, "page", "read", table["method"] == "a", table["method"] == "b")
    means = table.groupby(["sort", "method"])["read"].mean()
    naive = {sort: means[sort, "a"] - means[sort, "b"] for sort in ("row", "column", "uncut")}
    assert {sort: gains[sort][0] for sort in naive} == pytest.approx(naive)
    assert gains[BEYOND][0] == pytest.approx(naive["row"] - naive["uncut"])
    assert gains[BEYOND][1] < gains[BEYOND][0] < gains[BEYOND][2]


def test_moved_words_of_sizes_that_one_method_did_not_read_are_left_out(tmp_path):
    rows = [
        WordReading(method, 2, 2, size, "y", position, "abcd", "abcd" if method == CIP else "ab", position == 1.0)
        for method, size in ((PLAIN, 24), (PLAIN, 32), (CIP, 24), (CIP, 32), (PLAIN + BUDGET, 24))
        for position in (0.5, 1.0)
    ]
    append_rows(tmp_path / "sweep.csv", rows)
    gains = moved_gains({"3m-plain": load(tmp_path / "sweep.csv")})
    numbers = {each.than: each.numbers for each in gains}
    assert numbers == {
        PLAIN: {"row": 2, "column": 0, "uncut": 2},
        PLAIN + BUDGET: {"row": 1, "column": 0, "uncut": 1},
    }
    assert [each.gains["row"][0] for each in gains] == [0.5, 0.5] and not any(each.trained for each in gains)
    assert [each.besides[0] for each in gains] == [1.0, 1.0]  # whole words


def test_pages_have_the_sorts_of_their_words(tmp_path):
    """Row-cut words are read by CIP alone, others by both; characters count once a page."""
    rows = []
    for method in (PLAIN, CIP):
        for page in range(12):
            for number, sort in enumerate(sorts_on_page(page)):
                accuracy = (1.0 if method == CIP and page < 3 else 0.5) if number == 0 else None
                rows.append(PageWordReading(method, page, "w", method == CIP or sort != "row", 0, accuracy))
    append_rows(tmp_path / "page.csv", rows)
    (gain,) = page_gains({"3m-pyramid": load(tmp_path / "page.csv")})
    assert gain.trained and gain.numbers == dict(Counter(s for page in range(12) for s in sorts_on_page(page)))
    assert [gain.gains[each][0] for each in ("row", "column", "uncut", BEYOND)] == [1, 0, 0, 1]
    assert gain.besides[0] == pytest.approx(3 / 12 * 0.5)
