"""Markdown tables."""

import pytest

from benchmarks.tables import markdown_table


def test_a_table_has_a_head_rules_and_rows():
    assert markdown_table(["name", "n"], [["a", 1], ["b", 2.5]], right=["n"]) == [
        "| name | n |",
        "| --- | ---: |",
        "| a | 1 |",
        "| b | 2.5 |",
    ]


def test_rows_and_alignments_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="A row must have 2 cells, got 1"):
        markdown_table(["name", "n"], [["a"]])
    with pytest.raises(ValueError, match="`right` must name columns of .*, got ..m"):
        markdown_table(["name", "n"], [], right=["m"])
