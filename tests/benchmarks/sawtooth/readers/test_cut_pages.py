"""Pages with words that are cut, and what is wrong in their detailed grid in training."""

import numpy as np
import pytest

from benchmarks.sawtooth.cutting import METHODS, PUBLISHED_RANGES
from benchmarks.sawtooth.readers.cut_pages import TWICE, CutPages, damaged, draw_cut_page, sort_of
from benchmarks.sawtooth.readers.reader import make_processor
from benchmarks.sawtooth.readers.rendering import TILE_SIZE, generator, is_held_out
from benchmarks.sawtooth.readers.sequences import Cutting, cut
from benchmarks.sawtooth.readers.sheets import INK, PAPER
from benchmarks.sawtooth.readers.writing import WORLDS


@pytest.mark.parametrize(
    "box, sort",
    [
        ((10, 10, 40, 20), "uncut"),
        ((10, 95, 40, 105), "row"),
        ((85, 10, 115, 20), "column"),
        ((10, 98, 40, 118), None),  # less than a quarter is above the line
        ((10, 88, 40, 99), None),  # 1 px from the line
        ((85, 95, 115, 105), None),  # both
    ],
)
def test_sorts(box, sort):
    assert sort_of(box, (200, 200), (2, 2)) == sort


def page(index: int, held_out: bool = False):
    return draw_cut_page(generator("test", index), WORLDS["ascii"], held_out, TWICE)


def ink(sheet, box) -> np.ndarray:
    """Which pixels of a box are clearly ink."""
    left, top, right, bottom = map(round, box)
    return np.asarray(sheet.gray)[top:bottom, left:right] > (PAPER + INK) / 2


def test_training_has_no_held_out_words():
    for held_out in (True, False):
        words = [word.text for index in range(5) for line in page(index, held_out).words for word in line]
        assert {is_held_out(word) for word in words} == {held_out}


def test_words_are_scrambled_or_halved_and_nothing_else_changes():
    found = []
    for index in range(60):
        sheet = page(index)
        hurt = damaged(sheet, generator("damage", index))
        changed = np.asarray(sheet.gray) != np.asarray(hurt.gray)
        for word in (word for line in sheet.words for word in line):
            a, b, c, d = map(round, word.box)
            around = (max(a - 4, 0), max(b - 4, 0), c + 5, d + 5)
            before, after = ink(sheet, around), ink(hurt, around)
            is_halved = not (after & ~before).any() and after.sum() < before.sum()
            has_all = after.sum() > 0.9 * before.sum()  # of its ink: all columns are there, in any order
            assert is_halved or has_all
            found.append("intact" if (before == after).all() else "halved" if is_halved else "scrambled")
            changed[around[1] : around[3], around[0] : around[2]] = False
        assert not changed.any()
        assert hurt.words == sheet.words and hurt.questions == sheet.questions
    for kind, share in (("intact", 0.4), ("halved", 0.25), ("scrambled", 0.35)):
        assert abs(found.count(kind) / len(found) - share) < 0.08


def test_what_is_damaged_in_the_detailed_grid_is_whole_in_the_second_one():
    dataset = CutPages(make_processor(), "ascii", "train test", 4, (Cutting("pyramid any"),))
    differ = 0
    for index in range(4):
        sample = dataset[index]
        sheet = draw_cut_page(generator("cut-pages-train test", index), WORLDS["ascii"], False, TWICE)
        tiles, levels = cut(sheet, METHODS["pyramid any"](*sheet.gray.size, TILE_SIZE, None, PUBLISHED_RANGES))
        alike = (tiles == sample.tiles).all(axis=(1, 2))
        assert sample.levels == levels and alike[np.array(levels) > 0].all()
        differ += (~alike).sum()
        text = dataset.encoder.tokenizer.decode([label for label in sample.labels if label >= 0])
        assert sorted(text.split("<|im_end|>")[:-1]) == sorted(question.answer for question in sheet.questions)
    assert differ > 4
