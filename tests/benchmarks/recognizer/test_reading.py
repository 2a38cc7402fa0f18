"""What tiles show of words and what counts as read, with a recognizer that reads the truth from the geometry."""

import sys
import types

import numpy as np
import pytest
from PIL import Image

from benchmarks.recognizer.pages import KINDS, RANGES, TILE_SIZE, draw_page
from benchmarks.recognizer.reading import (
    MARGIN,
    PPOCR,
    Recognized,
    encode,
    is_read,
    pieces,
    read_view,
    views_of,
)
from benchmarks.recognizer.scoring import METHODS, load_readings
from benchmarks.sawtooth import cutting
from benchmarks.sawtooth.cutting import grid_view, is_cut, overlap_view
from benchmarks.sawtooth.runner import record
from tests.benchmarks.recognizer.naive_recognizer import Naive


PAGES = 3


@pytest.fixture(scope="module")
def pages():
    return [draw_page(index) for index in range(PAGES)]


@pytest.fixture(scope="module")
def table(pages, tmp_path_factory):
    """Readings of the naive recognizer, by way of the file."""
    path = tmp_path_factory.mktemp("readings") / "readings.csv"
    for number, page in enumerate(pages):
        record(Recognized(pages=number + 1), Naive(page), path)
    return load_readings(path)


def test_views_are_those_of_the_other_benchmark(pages):
    """Its methods of the same names, under the published ranges."""
    for page in pages:
        views = views_of(page.image.size)
        for method, other in {
            "detailed grid alone": "detailed",
            "detailed + global": "detailed + global",
            "finer grid + global": "detailed + global, tiles of the pyramid",
            "overlap + global": "overlap + global",
            "CIP any": "pyramid any",
            "CIP joint": "pyramid joint",
        }.items():
            expected = cutting.METHODS[other](*page.image.size, TILE_SIZE, None, RANGES)
            assert [views[name] for name in METHODS[method]] == expected, method
        assert views["again"].boxes == views["detailed"].boxes and views["again"].canvas == views["detailed"].canvas


@pytest.mark.parametrize("view", [grid_view(0, (3, 2), 64), overlap_view(0, (3, 2), 64)])
def test_pieces_are_what_tiles_show_of_a_box(view):
    """Every pixel of the box and its margin, in the tiles that have it and in no other."""
    size, rng = (480, 256), np.random.default_rng(0)
    for _ in range(60):
        left, top = rng.integers(20, 380), rng.integers(20, 200)
        box = (left, top, left + int(rng.integers(16, 90)), top + int(rng.integers(8, 40)))
        x, y = view.canvas[0] / size[0], view.canvas[1] / size[1]
        shown = np.zeros(view.canvas[::-1], bool)
        shown[
            int(box[1] * y - MARGIN[1]) : int(np.ceil(box[3] * y + MARGIN[1])),
            int(box[0] * x - MARGIN[0]) : int(np.ceil(box[2] * x + MARGIN[0])),
        ] = True
        rows = {}
        for a, b, c, d in view.boxes:
            down, across = shown[b:d, a:c].nonzero()
            if len(down) and np.ptp(down) >= 3 and np.ptp(across) >= 3:
                edges = (a + across.min(), b + down.min(), a + across.max() + 1, b + down.max() + 1)
                rows.setdefault(b, []).append(tuple(map(int, edges)))
        assert pieces(view, size, box) == list(rows.values())


def test_a_word_is_read_whole_or_from_the_pieces_of_a_row():
    assert is_read("bread", "bread") and is_read("bread", "br ead") and is_read("bread", "xx  br ead")
    assert is_read("bread", "bread ad") and is_read("bread", "oread  bread")
    assert not is_read("bread", "") and not is_read("bread", "br  ead") and not is_read("bread", "ead br")
    assert not is_read("bread", "breads") and not is_read("bread", "bre")


def test_answers_without_text_are_left_out():
    assert encode([["br", "", "ead"], ["", ""], ["x"]]) == "br ead  x" and encode([]) == encode([[""]]) == ""


def test_a_word_is_read_where_no_line_goes_through_a_letter(table, pages):
    """Of what the naive recognizer reads, as the geometry says: rows never, columns between two letters."""
    for number, page in enumerate(pages):
        for place, word in enumerate(page.words):
            row = table[table["page"] == number].iloc[place]
            assert (row["text"], row["kind"]) == (word.text, word.kind)
            for method, names in METHODS.items():
                views = [views_of(page.image.size)[name] for name in names]
                assert row[method] == any(is_shown(view, page.image.size, word) for view in views), (method, word)


def is_shown(view, size, word) -> bool:
    """Whether a tile holds the word or, of tiles that don't overlap, each letter; else letters come twice."""
    if not is_cut(view, size, word.box):
        return True
    left, top, right, bottom = word.box
    step = (right - left) / len(word.text)
    letters = [(left + k * step, top, left + (k + 1) * step, bottom) for k in range(len(word.text))]
    overlaps = view.boxes[0][2] > view.boxes[1][0] if len(view.boxes) > 1 else False
    return not overlaps and not any(is_cut(view, size, letter) for letter in letters)


def test_uncut_words_are_read_and_halved_ones_are_not(table):
    alone = table.groupby("kind")["detailed grid alone"].mean()
    assert alone["uncut"] == 1 and alone["row"] == 0 and 0 <= alone["column"] < 0.5
    assert table["detailed twice + global"].equals(table["detailed + global"])
    assert set(table["kind"]) == set(KINDS) and len(table) == PAGES * 18


def test_pixels_come_from_the_tiles(pages):
    """What is cropped is what `View.cut` gives for the tile."""
    page, view = pages[0], grid_view(0, (4, 3), TILE_SIZE)
    tiles = [np.asarray(tile) for tile in view.cut(page.image)]
    crops = []

    class Looks:
        def read(self, image, boxes):
            crops.extend((box, np.asarray(image.crop(box))) for box in boxes)
            return [""] * len(boxes)

    read_view(Looks(), page, view)
    assert len(crops) > len(page.words)
    for (left, top, right, bottom), crop in crops:
        (number,) = (
            number
            for number, (a, b, c, d) in enumerate(view.boxes)
            if a <= left and right <= c and b <= top and bottom <= d
        )
        a, b, *_ = view.boxes[number]
        assert np.array_equal(crop, tiles[number][top - b : bottom - b, left - a : right - a])


def test_without_the_package_the_target_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    with pytest.raises(ImportError, match="make bench-recognizer"):
        PPOCR()


def test_answers_are_lower_case_without_spaces(monkeypatch):
    class Engine:
        def __init__(self, **settings):
            self.text_rec = lambda crops: ([(f"Two Words {crop.shape}", 0.9) for crop in crops], 0.1)

    module = types.ModuleType("rapidocr_onnxruntime")
    module.RapidOCR = Engine
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", module)
    image = Image.new("RGB", (20, 10))
    assert PPOCR().read(image, [(0, 0, 8, 5)]) == ["twowords(5,8,3)"] and PPOCR().read(image, []) == []
