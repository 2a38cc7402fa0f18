"""What a user is told to do follows from the readings."""

import pandas as pd
import pytest

from benchmarks.sawtooth.report.advice import (
    ASKING,
    PUBLISHED,
    Changes,
    budget_advice,
    budget_changes,
    changes_table,
    compression_advice,
    kept_table,
    kept_words,
    page_advice,
    training_advice,
)
from benchmarks.sawtooth.report.comparisons import BUDGET, CIP, JOINT, LEARNED, ON_PAGES, PLAIN, Comparison


BETTER, BEST, WORSE, WORST = (0.02, 0.01, 0.03), (0.2, 0.1, 0.3), (-0.1, -0.15, -0.05), (-0.3, -0.4, -0.2)
UNCLEAR = (0.0, -0.1, 0.1)


def on_pages(trained: bool, words: list, rule: str = CIP) -> Changes:
    return Changes(trained, rule, PLAIN, words, [590, 1880][: len(words)], words)


def sweep(cip: float, finer: float) -> pd.DataFrame:
    rows = [(method, 24, word, value) for method, value in ((CIP, cip), (PLAIN + BUDGET, finer)) for word in "ab"]
    return pd.DataFrame(rows, columns=["method", "size", "word", "accuracy"])


def pages(cip: float, finer: float) -> pd.DataFrame:
    return sweep(cip, finer).rename(columns={"word": "page", "accuracy": "read"})


def test_the_number_beside_advice_is_the_one_that_speaks_least_for_it():
    changes = [on_pages(False, [WORST, WORSE], JOINT), on_pages(False, [WORST]), on_pages(True, [BEST, BETTER])]
    assert page_advice(changes) == [
        "- A model that never saw a second grid: leave it off. Where it harms least, it costs 10.0 points of the "
        "words on pages (95%: 5.0 to 15.0; n = 1880; `joint`).",
        "- A model that was trained with one: use it. Where it helps least, it adds 2.0 points of the words on pages "
        "(95%: 1.0 to 3.0; n = 1880; `any`).",
    ]
    assert page_advice([]) == []


def test_nothing_is_advised_where_models_disagree():
    (line,) = page_advice([on_pages(False, [WORST, UNCLEAR])])
    assert "no clear answer" in line and "by -30.0 to 0.0 points, for certain worse in 1 of 2." in line


@pytest.mark.parametrize("moved, clear", [(0.5, True), (1.0, False)])
def test_a_second_grid_is_advised_where_it_reads_more_everywhere(moved, clear):
    trained = budget_changes({"6m-pyramid": sweep(0.75, moved)}, {"6m-pyramid": pages(0.75, 0.5)})
    (line,) = budget_advice(trained)
    advice = "the second in a model that was trained with one, where it adds at least 25.0 points"
    assert (advice in line) is clear and ("no clear answer" in line) is not clear and "never saw" not in line
    untrained = budget_changes({"6m-plain": sweep(0.75, moved)}, {"6m-plain": pages(0.75, 0.5)})
    assert "in one that never saw it" in budget_advice(untrained)[0]
    row = changes_table(untrained)[-1]
    assert row.startswith("| never saw one | `any` | a finer grid | 2 | 25.0 [25.0, 25.0] to 25.0 [25.0, 25.0], for")
    assert budget_changes({}, {"6m-plain": pages(0.75, 0.5)}) == [] and budget_advice([]) == []


def test_training_is_compared_with_one_as_long():
    trainings = [
        Comparison("3m", rule, than, ON_PAGES, 1880, everywhere, everywhere)
        for rule, than, everywhere in (
            (CIP, PLAIN, WORSE),
            (JOINT, PLAIN, BETTER),
            (JOINT, PLAIN + BUDGET, BEST),
            (LEARNED, PLAIN, BEST),
        )
    ]
    (line,) = training_advice(trainings)
    assert "do not count on a gain" in line and "for certain in 1 of 2 comparisons and fewer in 1" in line
    assert "at best 2.0 points (95%: 1.0 to 3.0; n = 1880; 3m, `joint`) more" in line
    assert "it pays" in training_advice(trainings[1:2])[0] and training_advice([]) == []


def test_compression_keeps_part_of_what_all_tokens_read():
    rows = [("all", 1, "repack", 1.0, page, 4) for page in range(3)]
    rows += [("all", 1, "repack", 0.5, page, 1) for page in range(3)]
    rows += [("question", 2, "keep", 0.5, page, 3) for page in range(3)] + [("question", 2, "keep", 0.25, 0, 0)]
    columns = ["queries", "layer", "positions", "keep_ratio", "page", "words_read"]
    kept = kept_words({"6m-pyramid": pd.DataFrame(rows, columns=columns)})
    assert kept["6m-pyramid"] == {PUBLISHED: ((0.25,) * 3, 3), ASKING: ((0.75,) * 3, 3)}
    (line,) = compression_advice(kept)
    assert "let the question score the tokens, and keep their positions" in line and "(6m-pyramid)" in line
    assert "75.0% (95%: 75.0 to 75.0; n = 3 pages)" in line and "instead of 25.0% (95%: 25.0 to 25.0)" in line
    assert kept_table(kept)[-1] == "| 6m-pyramid | CIP | 3 | 25.0 [25.0, 25.0] | 75.0 [75.0, 75.0] |"
    assert compression_advice({}) == [] and compression_advice({"6m": {ASKING: (BEST, 3)}}) == []
    assert "no clear answer" in compression_advice({"6m": {PUBLISHED: (BEST, 3), ASKING: (BETTER, 3)}})[0]
