"""Pages with questions: what is drawn where, and what is asked."""

import numpy as np
import pytest

from benchmarks.sawtooth.readers.rendering import dense_labels
from benchmarks.sawtooth.readers.sheets import (
    KINDS,
    MOST_WORDS,
    Question,
    full_sheet,
    make_sheet,
    one_question,
    questions_about,
    render,
    some_questions,
)
from benchmarks.sawtooth.readers.writing import WORLDS


def sheets(kind: str, count: int = 12, world: str = "ascii") -> list:
    return [make_sheet(np.random.default_rng(seed), kind, WORLDS[world], held_out=False) for seed in range(count)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_has_its_ink_in_its_box_and_nowhere_else(kind):
    for sheet in sheets(kind, 4):
        words = [word for line in sheet.words for word in line]
        assert [word.text for word in words] == sheet.text.split() and 1 <= len(words) <= MOST_WORDS
        pixels = np.asarray(sheet.image.convert("L"), float)
        outside = np.ones_like(pixels, bool)
        for word in words:
            left, top, right, bottom = word.box
            assert 0 <= left < right <= sheet.image.width and 0 <= top < bottom <= sheet.image.height
            box = np.s_[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))]
            assert np.ptp(pixels[box]) > 40, "no ink"
            outside[box] = False
        assert pixels[outside].std() < 12, "ink beside the boxes"


def test_characters_stand_where_their_words_are():
    sheet = sheets("lines", 1)[0]
    assert "".join(character.text for character in sheet.characters) == "".join(sheet.text.split())
    boxes = [word.box for line in sheet.words for word in line for _ in word.text]
    for character, (left, top, right, bottom) in zip(sheet.characters, boxes, strict=True):
        assert left - 2 < character.x < right + 2 and top - 8 < character.y < bottom + 8
    letters, _ = dense_labels(sheet, (3, 2), alphabet=WORLDS["ascii"].alphabet)
    assert 0 < (letters > 0).sum() <= len(sheet.characters)


def test_a_receipt_is_asked_for_what_stands_beside():
    rows = (("Bakery",), ("bread", "1.20"), ("tea", "3.00"), ("bread", "1.20"))
    assert questions_about("receipt", rows) == [
        Question("Read the text.", "Bakery\nbread 1.20\ntea 3.00\nbread 1.20"),
        Question("Read line 1.", "Bakery", 0),
        Question("Read line 2.", "bread 1.20", 1),
        Question("Read line 3.", "tea 3.00", 2),
        Question("Read line 4.", "bread 1.20", 3),
        Question("Read the number beside tea.", "3.00", 2),  # bread stands there twice
    ]


def test_a_table_is_asked_for_what_stands_below():
    asked = questions_about("table", (("a", "b"), ("c", "a")))
    assert [question for question in asked if "under" in question.text] == [
        Question("Read the word under b.", "a", 1),
    ]
    assert Question("Read the lower word.", "c", 1) in questions_about("sign", (("b",), ("c",)))


def test_a_full_page_has_words_all_over():
    for seed in range(8):
        sheet = full_sheet(np.random.default_rng(seed), WORLDS["ascii"], held_out=True)
        lefts, tops, rights, bottoms = np.array([word.box for line in sheet.words for word in line]).T
        assert lefts.min() >= 0 and rights.max() <= sheet.image.width and bottoms.max() <= sheet.image.height + 1
        assert bottoms.max() > sheet.image.height - 3 * sheet.font.size and tops.min() < 2 * sheet.font.size
        letters, _ = dense_labels(sheet, (2, 2), alphabet=WORLDS["ascii"].alphabet)
        assert (letters > 0).any(axis=(1, 2)).all(), "a tile without a letter"
        short = full_sheet(np.random.default_rng(seed), WORLDS["ascii"], held_out=True, longest=20)
        assert (
            len(short.text) - len(short.lines[-1]) <= 21 + len(short.lines)
            and short.lines == sheet.lines[: len(short.lines)]
        )


@pytest.mark.parametrize("kind", KINDS)
def test_answers_stand_on_the_page(kind):
    for sheet in sheets(kind):
        for question in sheet.questions:
            answered = sheet.text if question.line is None else sheet.lines[question.line]
            assert question.answer and question.answer in answered


def test_no_answer_of_a_sequence_can_be_copied_from_another():
    rng, several = np.random.default_rng(0), 0
    for sheet in sheets("receipt", 30):
        asked = some_questions(sheet, rng, 6)
        lines = [question.line for question in asked if question.line is not None]
        assert len(lines) == len(set(lines)) and 1 <= len(asked) <= 6
        assert len(asked) in (1, len(lines)), "all of the text is asked for alone"
        several += len(asked) > 2
        assert len(one_question(sheet, rng)) == 1
    assert 8 < several < 22  # of 30


def test_pages_are_drawn_by_split_and_index():
    assert render("plain", "train x", 3).text == render("plain", "train x", 3).text
    assert len({render("plain", split, index).text for split in ("train x", "y") for index in range(4)}) == 8
    with pytest.raises(ValueError, match="`world` must be one of"):
        render("greek", "train x", 0)
