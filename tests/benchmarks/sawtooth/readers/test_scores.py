"""Edits and scores of answers."""

import numpy as np
import pytest

from benchmarks.sawtooth.readers.rendering import draw_page, load_font
from benchmarks.sawtooth.readers.scores import character_accuracy, edit_distance, score


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("ab", "ba", 2), ("x", "x", 0)],
)
def test_edit_distance(first, second, distance):
    assert edit_distance(first, second) == edit_distance(second, first) == distance


def test_accuracy_is_never_negative():
    assert character_accuracy("abcd", "abxd") == 0.75 and character_accuracy("ab", "wxyz") == 0.0


def test_scores_are_of_all_pages_together():
    rng, font = np.random.default_rng(0), load_font("DejaVuSans", 20)
    pages = [draw_page(rng, [words], [(5, 20)], (200, 40), font) for words in (["ab", "cd"], ["efghi"])]
    assert score(pages, ["ab", "efghi"]) == {
        "n": 2,
        "character_accuracy": 0.7,  # three of ten characters are missing
        "exact_match": 0.5,
        "words_read": 0.6667,
    }
