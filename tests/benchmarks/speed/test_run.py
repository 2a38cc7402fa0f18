"""The stored reports are what their scripts write of the stored results."""

import json
from collections.abc import Callable

import pytest

from benchmarks.speed import pages, pretrained, pretrained_report, run


@pytest.mark.parametrize(
    ("name", "results", "report"),
    [
        ("RESULTS.md", "results.json", run.report),
        ("PAGES.md", "pages.json", pages.report),
        (
            "PRETRAINED.md",
            "pretrained.json",
            lambda found: pretrained_report.report(found, pretrained.FOLDER / "asked_facts.csv"),
        ),
    ],
)
def test_report_is_what_the_results_say(name: str, results: str, report: Callable[[dict], str]):
    found = json.loads((run.FOLDER / results).read_text())
    assert (run.FOLDER / name).read_text() == report(found)
