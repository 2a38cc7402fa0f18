"""Writes docs/robustness.md from a run of these tests: `make robustness`."""

import os
from pathlib import Path

import pytest


FOLDER = Path(__file__).parent
TRIED = "tried"  # name of the property under which a test's line is reported


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give each test its line of the report: heading, what was tried, what is documented."""
    if not item.path.is_relative_to(FOLDER):
        return
    case = getattr(item, "callspec", None) and item.callspec.params.get("case")
    heading = item.module.__doc__.partition("\n")[0].rstrip(".")
    if case is None:
        tried, _, documented = (item.function.__doc__ or item.name).partition(": ")
        line = (heading, tried, " ".join(documented.split()))
    else:
        line = (heading, case.tried, case.documented)
    if (TRIED, line) not in item.user_properties:
        item.user_properties.append((TRIED, line))


def pytest_terminal_summary(terminalreporter) -> None:
    """Write the report where the environment variable ROBUSTNESS_REPORT says."""
    path = os.environ.get("ROBUSTNESS_REPORT")
    if path:
        from tests.robustness.report import report

        Path(path).write_text(report(terminalreporter.stats), encoding="utf-8")
