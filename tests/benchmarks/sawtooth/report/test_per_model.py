"""What stands in a model's own file, from a few made-up readings."""

import pandas as pd
import pytest

from benchmarks.sawtooth.report.per_model import steering_section


def made_up(*queries: str) -> pd.DataFrame:
    """Four pages, two questions each; the published rule answers every second one, the others all of them."""
    rows = []
    for name in queries:
        for page in range(4):
            for asked in (0, 1):
                exact = name != "published" or asked == 0
                kept = (0.9, 0.4) if name == "question" else (0.5, 0.5)
                rows.append(("pair", page, name, asked, 0.25, exact, *kept))
    names = ("kind", "page", "queries", "asked", "keep_ratio", "exact", "kept_asked", "kept_other")
    return pd.DataFrame(rows, columns=names)


@pytest.mark.parametrize("others", [("all",), ("published", "all")])
def test_the_question_beside_every_other_rule(others):
    text = "\n".join(steering_section("model", made_up(*others, "question")))
    (row,) = (line for line in text.splitlines() if line.startswith("| two words | question |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    gains = {"published": "50.0 [50.0, 50.0]", "all": "0.0 [0.0, 0.0]"}
    assert cells[3:] == [
        "8",
        "100.0 [100.0, 100.0]",
        "90.0 [90.0, 90.0]",
        "40.0 [40.0, 40.0]",
        "50.0 [50.0, 50.0]",
        *(gains[name] for name in others),
    ]
    (head,) = (line for line in text.splitlines() if line.startswith("| page |"))
    assert [f"`{name}`" in head for name in ("published", "all")] == [name in others for name in gains]
