"""docs/robustness.md, from the reports of a run of the tests in this folder."""

import platform
from collections import defaultdict
from pathlib import Path

import torch
import transformers


ROOT = Path(__file__).resolve().parents[2]
NOT_DEFENDED = "## What is not defended"  # a heading of SECURITY.md
OUTCOMES = {"passed": "as documented", "failed": "**not as documented**", "skipped": "not tried here"}


def report(stats: dict[str, list]) -> str:
    """
    The page as Markdown.

    Args:
        stats: pytest's reports by outcome; those without a line (see conftest.py) are left out.
    """
    sections = defaultdict(list)
    counts = dict.fromkeys(OUTCOMES, 0)
    for outcome, words in OUTCOMES.items():
        for test in stats.get(outcome, []):
            line = dict(getattr(test, "user_properties", ())).get("tried")
            if line is not None:
                heading, tried, documented = line
                sections[heading].append((tried, documented, words))
                counts[outcome] += 1
    tried = counts["passed"] + counts["failed"]
    page = [
        "# What was tried, and what came of it",
        "",
        f"{counts['passed']} of {tried} cases behaved as documented; {counts['skipped']} were not tried in this run "
        "(those of the app: `make test-browser`). A case is a test in `tests/robustness`, and `make robustness` "
        "writes this page from a run of them (the last one: "
        f"Transformers {transformers.__version__}, torch {torch.__version__}, Python {platform.python_version()}). "
        "[SECURITY.md](../SECURITY.md) says what the cases are to protect.",
    ]
    for heading in sorted(sections):
        page += ["", f"## {heading}", "", "| tried | documented | came |", "|---|---|---|"]
        page += [f"| {' | '.join(map(_cell, line))} |" for line in sections[heading]]
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    page += ["", NOT_DEFENDED + security.partition(NOT_DEFENDED)[2].partition("\n## ")[0].rstrip()]
    return "\n".join(page) + "\n"


def _cell(text: str) -> str:
    return text.replace(f"{ROOT}/", "").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
