"""Shares and gains against loops over words."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

from benchmarks.recognizer.pages import page_size
from benchmarks.recognizer.reading import WordReading
from benchmarks.recognizer.scoring import (
    METHODS,
    gain,
    gain_anywhere,
    load_readings,
    mean_tiles,
    occurrence,
    share_read,
    share_read_anywhere,
)
from benchmarks.sawtooth.runner import append_rows
from processing_minimonkey import plan_pyramid


VIEWS = ("detailed", "again", "second", "whole", "finer", "overlap", "joint_detailed", "joint_second")


@pytest.fixture(scope="module")
def rows() -> list[WordReading]:
    """Made-up answers, some of them right; words that pandas may take for something else."""
    rng, kinds = np.random.default_rng(0), ("row", "column", "uncut")
    rows = []
    for number in range(60):
        word = ("null", "true", "none", "bread", "info")[number % 5]
        answers = {view: str(rng.choice([word, f"{word[:2]} {word[2:]}", "", "1", "nan"])) for view in VIEWS}
        share = float(rng.uniform(0.1, 0.9))
        rows.append(WordReading(number // 6, word, "cmr10", 12.5, kinds[number % 3], 0.25, share, **answers))
    return rows


@pytest.fixture(scope="module")
def table(rows, tmp_path_factory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("scoring") / "readings.csv"
    append_rows(path, rows)
    return load_readings(path)


def reads(row: WordReading, method: str) -> bool:
    return any(getattr(row, view).replace(" ", "") == row.text for view in METHODS[method])


def test_a_method_reads_what_any_of_its_views_does(rows, table):
    for method in METHODS:
        assert table[method].tolist() == [reads(row, method) for row in rows]
        assert 0.1 < table[method].mean() < 1
    assert table["text"].tolist() == [row.text for row in rows] and table["page"].dtype == int


def test_shares_equal_a_loop(rows, table):
    for method in METHODS:
        share, low, high = share_read(table, method)
        assert share == pytest.approx(sum(reads(row, method) for row in rows) / len(rows)) and low <= share <= high
        weighed = sum(row.share * reads(row, method) for row in rows) / sum(row.share for row in rows)
        assert share_read_anywhere(table, method)[0] == pytest.approx(weighed)


def test_gains_are_of_the_same_words(rows, table):
    more = [reads(row, "CIP any") - reads(row, "finer grid + global") for row in rows]
    assert gain(table, "CIP any", "finer grid + global")[0] == pytest.approx(np.mean(more))
    weighed = np.average(more, weights=[row.share for row in rows])
    assert gain_anywhere(table, "CIP any", "finer grid + global")[0] == pytest.approx(weighed)
    assert gain(table, "CIP any", "CIP any") == (0, 0, 0)


def test_kinds_occur_as_often_as_their_places(rows, table):
    shares = {kind: np.mean([row.share for row in rows if row.kind == kind]) for kind in ("row", "column", "uncut")}
    assert occurrence(table) == pytest.approx({kind: share / sum(shares.values()) for kind, share in shares.items()})


def test_intervals_are_over_pages(table):
    """Pages that are read whole or not at all leave few independent values, however many words they have."""
    whole = table.assign(**{"CIP any": table["page"] % 2 == 0})
    many = pd.concat([whole] * 20)
    assert share_read(many, "CIP any") == pytest.approx(share_read(whole, "CIP any"))
    _, low, high = share_read(many, "CIP any")
    assert high - low > 0.4


def test_tiles_are_those_of_the_plans():
    found, counts = mean_tiles(range(5)), defaultdict(list)
    for page in range(5):
        for rule in ("any", "joint"):
            plan = plan_pyramid(*page_size(page), detailed_tiles=(4, 12), adaptive_tiles=(3, 7), complementarity=rule)
            counts[f"CIP {rule}"].append(plan.num_tiles)
            if rule == "any":
                counts["detailed + global"].append(plan.detailed[0] * plan.detailed[1] + 1)
    for method, values in counts.items():
        assert found[method] == np.mean(values)
    assert found["overlap + global"] == found["detailed + global"] < found["finer grid + global"] <= found["CIP any"]
