"""Evaluation: answers and pages that the scores don't expect."""

from dataclasses import dataclass

from benchmarks.sawtooth.readers.scores import character_accuracy, score
from tests.robustness.cases import cases, refused, works


@dataclass
class Page:
    text: str


PAGE = Page("fresh bread")


@cases(
    [
        works("an empty answer", lambda: score([PAGE], [""]), "scores 0", lambda out: out["character_accuracy"] == 0),
        works(
            "an answer of line breaks", lambda: score([PAGE], ["\n" * 9]), "scores 0", lambda o: o["words_read"] == 0
        ),
        works(
            "an answer of 50,000 characters",
            lambda: character_accuracy("fresh", "x" * 50_000),
            "scores 0",
            lambda n: n == 0,
        ),
        works(
            "surrogates in an answer", lambda: score([PAGE], ["\ud800"]), "scores 0", lambda o: o["words_read"] == 0
        ),
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
