"""Words that are cut, by their sort: against what the tiles show, and what is asked for them."""

from unittest.mock import Mock

import numpy as np

from benchmarks.sawtooth.cutting import PUBLISHED_RANGES, grid_view, is_cut, plan_grids
from benchmarks.sawtooth.measurements.cut_words import CutWords, LegibleWords, asked_pages, make_page
from benchmarks.sawtooth.measurements.reading import Reader
from benchmarks.sawtooth.readers.cut_pages import SORTS, sort_of
from benchmarks.sawtooth.readers.rendering import TILE_SIZE, is_held_out
from benchmarks.sawtooth.readers.writing import WORLDS


PAGES = range(8)


def test_a_page_asks_for_a_held_out_word_of_each_sort():
    for index in PAGES:
        sheet = make_page(index, WORLDS["ascii"])
        size = sheet.image.size
        grid = plan_grids(*size, TILE_SIZE, PUBLISHED_RANGES)[0]
        asked = [sheet.words[question.line][0] for question in sheet.questions]
        for sort, question, word in zip(SORTS, sheet.questions, asked, strict=True):
            assert (question.text, question.answer) == (f"Read line {question.line + 1}.", word.text)
            assert is_held_out(word.text) and word.text.islower()
            assert is_cut(grid_view(0, grid, TILE_SIZE), size, word.box) == (sort != "uncut")
            left, top, right, bottom = word.box
            rows = np.arange(1, grid[1]) * size[1] / grid[1]
            assert ((top < rows) & (rows < bottom)).any() == (sort == "row")
        assert len({word.text for line in sheet.words for word in line}) == len(sheet.lines), "answers differ"


def test_readings_of_the_small_model(trained_model, trained_processor):
    reader = Reader(trained_model, trained_processor)
    measurement = CutWords(world="plain", pages=2, methods=("pyramid any",))
    readings = measurement.measure(reader, "pyramid any")
    assert [reading.sort for reading in readings] == [*SORTS, *SORTS]
    assert [reading.page for reading in readings] == [0, 0, 0, 1, 1, 1]
    pages = asked_pages(2, WORLDS["plain"])
    assert [reading.word for reading in readings] == [sheet.questions[0].answer for sheet in pages]
    assert all(reading.read == (reading.answer == reading.word) for reading in readings)
    assert all(reading.own_sort == reading.sort for reading in readings), "its detailed grid is that of `any`"
    assert all(reading.answer for reading in readings) and len({reading.answer for reading in readings}) > 1
    assert not readings[2].cut_by_all and readings[0].tiles == readings[2].tiles > 5


def test_another_detailed_grid_may_leave_a_word_whole(trained_model, trained_processor):
    measurement = CutWords(world="plain", pages=8, methods=("pyramid joint",))
    reader = Mock(processor=trained_processor, generate=lambda inputs, *_: [""] * len(inputs["input_ids"]))
    readings = measurement.measure(reader, "pyramid joint")
    expected = []
    for index in range(8):
        sheet = make_page(index, WORLDS["plain"])
        grids = [plan_grids(*sheet.image.size, TILE_SIZE, PUBLISHED_RANGES, rule)[0] for rule in ("any", "joint")]
        boxes = [sheet.words[question.line][0].box for question in sheet.questions]
        expected += [sort_of(box, sheet.image.size, grids[1]) or "other" for box in boxes]
    assert [reading.own_sort for reading in readings] == expected
    assert any(reading.own_sort != reading.sort for reading in readings)


def test_legible_words_are_larger(trained_model, trained_processor):
    reader = Mock(processor=trained_processor, generate=lambda inputs, *_: [""] * len(inputs["input_ids"]))
    for measurement, smallest, largest in ((CutWords(pages=20), 16, 24), (LegibleWords(pages=20), 20, 28)):
        sizes = [reading.font_size for reading in measurement.measure(reader, "detailed + global")]
        assert smallest - 1 < min(sizes) < smallest + 3 and largest - 3 < max(sizes) < largest + 1
