"""What the first page says follows from the readings."""

import re

import pandas as pd
import pytest

from benchmarks.sawtooth.report.comparisons import BUDGET, CIP, PLAIN
from benchmarks.sawtooth.report.first_page import (
    budget_advice,
    certainty,
    compression_advice,
    recognizer_sentence,
    span,
)


BETTER, WORSE, UNCLEAR = (0.02, 0.01, 0.03), (-0.2, -0.3, -0.1), (0.0, -0.1, 0.1)


def test_many_estimates_in_a_few_words():
    assert span([BETTER, WORSE, UNCLEAR]) == "-20.0 to 2.0"
    assert certainty([BETTER, WORSE, UNCLEAR]) == "for certain better in 1, worse in 1 of 3"
    assert certainty([UNCLEAR] * 2) == "nothing certain in 2" and certainty([BETTER]) == "for certain better in 1 of 1"


def sweep(cip: float, finer: float) -> pd.DataFrame:
    rows = [(method, 24, word, value) for method, value in ((CIP, cip), (PLAIN + BUDGET, finer)) for word in "ab"]
    return pd.DataFrame(rows, columns=["method", "size", "word", "accuracy"])


def pages(cip: float, finer: float) -> pd.DataFrame:
    return sweep(cip, finer).rename(columns={"word": "page", "accuracy": "read"})


@pytest.mark.parametrize("moved, advice", [(0.5, "the second"), (1.0, "no clear answer")])
def test_a_second_grid_is_advised_where_it_reads_more_everywhere(moved, advice):
    (line,) = budget_advice({"6m-pyramid": sweep(0.75, moved)}, {"6m-pyramid": pages(0.75, 0.5)})
    assert f"in a model that was trained with one, {advice} (" in line and "never saw" not in line
    (line,) = budget_advice({"6m-plain": sweep(0.75, moved)}, {"6m-plain": pages(0.75, 0.5)})
    assert f"in one that never saw it, {advice} (" in line and "words read on pages 25.0 to 25.0 points" in line
    assert budget_advice({}, {"6m-plain": pages(0.75, 0.5)}) == []


def test_compression_keeps_part_of_what_all_tokens_read():
    rows = [("all", 1, "repack", 1.0, page, 4) for page in range(3)]
    rows += [("all", 1, "repack", 0.5, page, 1) for page in range(3)]
    rows += [("question", 2, "keep", 0.5, page, 3) for page in range(3)] + [("question", 2, "keep", 0.25, 0, 0)]
    columns = ["queries", "layer", "positions", "keep_ratio", "page", "words_read"]
    (line,) = compression_advice({"6m-pyramid": pd.DataFrame(rows, columns=columns)})
    assert "6m-pyramid 25.0 [25.0, 25.0] by the published rule (n = 3 pages)" in line
    assert "6m-pyramid 75.0 [75.0, 75.0] by the question" in line and compression_advice({}) == []


def test_the_recognizer_is_quoted_as_it_reports(repository):
    results = (repository / "benchmarks" / "recognizer" / "RESULTS.md").read_text(encoding="utf-8")
    quoted = re.findall(r"\d+\.\d \[\d+\.\d, \d+\.\d\]", recognizer_sentence())
    assert len(quoted) == 4 and all(each in results for each in quoted)
