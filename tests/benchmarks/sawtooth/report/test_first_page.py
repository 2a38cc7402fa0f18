"""The first page is short, and says what the readings say."""

import re

import pytest

from benchmarks.sawtooth.report.first_page import recognizer_rows, recognizer_sentence


@pytest.fixture(scope="module")
def page(repository) -> str:
    """As it is stored."""
    results = (repository / "benchmarks" / "sawtooth" / "RESULTS.md").read_text(encoding="utf-8")
    return results.split("\nHow it was measured")[0]


def test_a_stranger_understands_it_at_first_reading(page):
    """Four sentences of few numbers, one figure, the numbers that are left, six lines of glossary, what follows."""
    sentences = re.split(r"(?<=\.) ", page.split("\n\n")[1].replace("\n", " "))
    assert len(sentences) == 4 and page.count("![") == 1
    for sentence in sentences:
        assert len(re.findall(r"\d+\.\d(?= to| points|%)", re.sub(r"\(95%[^)]*\)", "", sentence))) <= 2, sentence
    order = ["![", "The same in numbers", "## What the words mean", "## What follows for you"]
    assert sorted(order, key=page.index) == order
    assert page.split("## What the words mean")[1].split("## ")[0].count("\n- ") == 6


def test_advice_has_one_number_that_decides_or_two_that_are_compared(page):
    advice = re.findall(r"^- .*", page.split("## What follows for you")[1], re.MULTILINE)
    assert len(advice) == 6 and advice[-1].startswith("- Of the published weights all this says nothing.")
    for line in advice[:-1]:
        assert 1 <= line.count("(95%: ") <= 2 and len(line) < 400, line


def test_every_number_of_a_sentence_is_in_the_table(page):
    """The first four sentences round what stands below with its interval."""
    opening, rest = page.split("![", 1)
    numbers = re.findall(r"(-?\d+\.\d)(?: points|%) \(95%: (-?\d+\.\d) to\s(-?\d+\.\d)", opening.replace("\n", " "))
    assert len(numbers) == 4 and all("{} [{}, {}]".format(*each) in rest for each in numbers)


def test_the_recognizer_is_quoted_as_it_reports(repository):
    results = (repository / "benchmarks" / "recognizer" / "RESULTS.md").read_text(encoding="utf-8")
    *shares, rival = [row[2] for row in recognizer_rows()]
    assert len(shares) == 4 and all(each in results for each in (*shares, rival))
    assert f"of {recognizer_rows()[0][3]} words that are cut between rows it reads" in recognizer_sentence()
    assert "overlap by a quarter are not shown to do worse (" in recognizer_sentence()
