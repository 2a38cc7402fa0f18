"""Documents follow from their index, and show no held-out word in training."""

import pytest

from benchmarks.sawtooth.readers.documents import KINDS, make_page, render, render_document
from benchmarks.sawtooth.readers.rendering import generator, is_held_out
from benchmarks.sawtooth.readers.rendering import render as render_plain


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("held_out", [False, True])
def test_words_are_of_their_split(kind, held_out):
    for index in range(8):
        page = render_document(generator("documents", index), kind, 112, held_out)
        assert {is_held_out(word) for word in page.text.split()} == {held_out}


def test_a_page_follows_from_its_index():
    first, again, other = (
        render("document", "train", 3),
        render("document", "train", 3),
        render("document", "train", 4),
    )
    assert first.text == again.text and first.image.tobytes() == again.image.tobytes()
    assert first.text != other.text
    assert first.text != make_page(3, 112).text


def test_a_receipt_is_asked_for_one_number():
    for index in range(10):
        page = render("keyed", "train", index)
        word = page.question.removeprefix("Read the number beside ").removesuffix(".")
        drawn = "".join(character.text for character in page.characters)
        assert f"{word}{page.text}" in drawn and page.text.isdecimal()


@pytest.mark.parametrize("kind", ["pair", "keyed"])
def test_what_is_asked_for_stands_in_its_box(kind):
    for index in range(10):
        page = render(kind, "train", index)
        left, top, right, bottom = page.asked
        within = [each.text for each in page.characters if left < each.x < right and top < each.y < bottom]
        assert "".join(within) == page.text
    assert render("document", "train", 0).asked is None


def test_other_kinds_are_those_of_rendering():
    assert render("pair", "train", 5).image.tobytes() == render_plain("pair", "train", 5).image.tobytes()
    with pytest.raises(ValueError, match="`kind` must be one of .*, got 'poem'"):
        render("poem", "train", 0)
