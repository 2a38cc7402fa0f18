"""The report on pages a minute from made-up results, and the pages that are drawn; what is measured is no test."""

import json

import pytest

from benchmarks.speed import pages


def cell(batch_size: int, **seconds: float) -> dict:
    """Thirty pages in a minute with `generate`, in half of it with vLLM, in as much with half of the tokens."""
    names = [
        pages.name_of(*each) for each in (("transformers", 1.0), ("transformers", 0.5), ("vllm", 1.0), ("vllm", 0.5))
    ]
    times = dict(zip(names, (60.0, 60.0, 30.0, 30.0), strict=True)) | seconds
    quartiles = ("lower_quartile", "median", "upper_quartile")
    ratio = {name: dict.fromkeys(quartiles, times[name] / times[names[0]]) for name in names[1:]}
    tokens = dict.fromkeys(names, 33.25)
    return {"batch_size": batch_size, "pages": 30, "tokens": tokens, "rounds": 3, "seconds": times, "ratio": ratio}


def test_report_has_every_batch_size_engine_and_ratio():
    text = pages.report({"machine": {"cpu": "made up"}, "cells": [cell(4, **{"vllm 1.0": 15.0}), cell(1)]})
    assert "reads up to 30 pages a minute with all tokens" in text and "up to 120 through vLLM" in " ".join(
        text.split()
    )
    rows = [line for line in text.splitlines() if line.startswith("| ") and "made up" not in line][2:]
    assert rows[0] == "| 1 | `generate` | 1.0 | 30 | 1 | 33.2 |"
    assert rows[2] == "| 1 | vLLM | 1.0 | 60 | 0.50 (0.50 to 0.50) | 33.2 |"
    assert rows[6] == "| 4 | vLLM | 1.0 | 120 | 0.25 (0.25 to 0.25) | 33.2 |"
    assert len(rows) == 8


def test_no_page_is_drawn_twice(tmp_path):
    folders = pages.draw_rounds(tmp_path, rounds=2, pages=5)
    drawn = [page.read_bytes() for folder in folders for page in folder.iterdir()]
    assert len(drawn) == len(set(drawn)) == 4 + 2 * 5
    pages.draw_page(0, tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (folders[0] / "0.png").read_bytes()


def test_only_what_the_file_lacks_is_measured(monkeypatch, tmp_path):
    path, measured = tmp_path / "pages.json", []
    path.write_text(json.dumps({"machine": {}, "cells": [cell(1)]}))

    def measure(batch_size: int, folders: list) -> dict:
        if batch_size == 8:
            raise KeyboardInterrupt
        measured.append((batch_size, len(folders)))
        return cell(batch_size)

    monkeypatch.setattr(pages, "measure", measure)
    with pytest.raises(KeyboardInterrupt):
        pages.record(path, rounds=2, pages=1, batch_sizes=[1, 4, 8])
    assert measured == [(4, 3)]
    assert [each["batch_size"] for each in json.loads(path.read_text())["cells"]] == [1, 4]
