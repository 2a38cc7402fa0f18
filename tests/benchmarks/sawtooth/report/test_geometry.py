"""What GEOMETRY.md says of the rows."""

import pandas as pd

from benchmarks.sawtooth.measurements.geometry import SETTINGS, make_pages, measure
from benchmarks.sawtooth.report.geometry import compare, geometry_report


def test_a_comparison_counts_the_ranges():
    sizes, boxes = make_pages(30, 20)
    rows = [measure(name, rule, sizes, boxes) for name in SETTINGS for rule in ("any", "detailed + global")]
    rows = pd.DataFrame(rows)
    line = compare(rows, "any")
    assert "fewer words cut in 0, more in 0" in line and "less distorted in 0; 1.00 times" in line
    assert "distorted" not in compare(rows, "detailed + global")  # it has no second grid


def test_the_report_is_what_the_stored_rows_give(repository):
    folder = repository / "benchmarks" / "sawtooth"
    assert geometry_report(pd.read_csv(folder / "geometry.csv")) == (folder / "GEOMETRY.md").read_text(
        encoding="utf-8"
    )
