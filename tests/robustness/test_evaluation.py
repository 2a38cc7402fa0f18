"""Evaluation: answers and pages that the scores don't expect."""

from dataclasses import dataclass

from benchmarks.sawtooth.readers.scores import character_accuracy, score
from tests.robustness.cases import Case, cases, refused, works


@dataclass
class Page:
    text: str


PAGE = Page("fresh bread")


def zero(tried: str, answer: str) -> Case:
    return works(tried, lambda: score([PAGE], [answer]), "no word is read", lambda scores: scores["words_read"] == 0)


@cases(
    [
        zero("an empty answer", ""),
        zero("an answer of line breaks", "\n" * 9),
        zero("an answer of 5,000 characters", "x" * 5_000),
        zero("a surrogate for an answer", "\ud800"),
        works(
            "the same twice",
            lambda: (score([PAGE], ["fresh"]), score([PAGE], ["fresh"])),
            "the same score",
            lambda both: both[0] == both[1],
        ),
        refused("no pages", lambda: score([], []), "at least one; got 0 for 0"),
        refused("fewer answers than pages", lambda: score([PAGE] * 2, ["x"]), "got 1 for 2"),
        refused("a page without text", lambda: character_accuracy("", "x"), "`text` is empty"),
    ]
)
def test_scores(case):
    case.check()
