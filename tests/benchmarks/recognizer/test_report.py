"""The stored report is what the script writes of the stored readings, and README.md quotes it."""

import re

import pytest
from PIL import Image

from benchmarks.recognizer.figure import example, shown
from benchmarks.recognizer.pages import draw_page
from benchmarks.recognizer.reading import Recognized, views_of
from benchmarks.recognizer.report import report
from benchmarks.recognizer.run import FOLDER
from benchmarks.recognizer.scoring import load_readings


@pytest.fixture(scope="module")
def table():
    return load_readings(FOLDER / "readings.csv")


def test_the_report_is_what_the_readings_say(table):
    assert (FOLDER / "RESULTS.md").read_text(encoding="utf-8") == report(table)


def test_the_readings_are_of_the_pages_that_are_drawn(table):
    assert sorted(set(table["page"])) == list(range(Recognized.pages))
    for index in (0, Recognized.pages - 1):
        words = draw_page(index).words
        drawn = [(word.text, word.font, word.size, word.kind, word.depth, word.share) for word in words]
        columns = ["text", "font", "size", "kind", "depth", "share"]
        assert list(table.loc[table["page"] == index, columns].itertuples(index=False, name=None)) == drawn


def test_the_same_tiles_are_answered_the_same(table):
    assert table["again"].equals(table["detailed"])


def test_the_word_of_the_figure_is_cut_in_one_grid_and_whole_in_the_other(table):
    row = example(table)
    page = draw_page(row["page"])
    (word,) = (word for word in page.words if (word.text, word.depth) == (row["text"], row["depth"]))
    views = views_of(page.image.size)
    upper, lower = shown(page.image, views["detailed"], word.box)
    (whole,) = shown(page.image, views["second"], word.box)
    assert upper.width == lower.width and abs(upper.height + lower.height - whole.height) < whole.height / 2
    with pytest.raises(ValueError, match="no large word"):
        example(table.assign(kind="uncut"))


def test_the_figure_is_small():
    path = FOLDER / "results.png"
    assert path.stat().st_size < 60_000 and Image.open(path).width >= 800


def test_the_readme_quotes_the_report(repository):
    """Every decimal beside the figure, in text that names the report."""
    text = (repository / "README.md").read_text(encoding="utf-8")
    (caption,) = re.findall(r"\(benchmarks/recognizer/results\.png\)\n\n(.*?)\n\n", text, flags=re.DOTALL)
    results = (FOLDER / "RESULTS.md").read_text(encoding="utf-8")
    figures = re.findall(r"\d+\.\d", caption)
    assert "benchmarks/recognizer/RESULTS.md" in caption and len(figures) > 3
    for figure in figures:
        assert re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d)", results), figure
