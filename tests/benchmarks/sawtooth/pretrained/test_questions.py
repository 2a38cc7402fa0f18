"""Pictures and the questions about them: the answers follow from what was drawn."""

from collections import Counter

import numpy as np
import pytest

from benchmarks.sawtooth.pretrained.questions import (
    KINDS,
    LARGE_GRIDS,
    LAYOUTS,
    PRICED,
    SENTENCES,
    UNSEEN,
    WORDINGS,
    Turn,
    ask,
    ask_each_line,
    ask_many,
    ask_one,
    ask_several,
    draw_picture,
    explainable_words,
    named_words,
    training_picture,
)
from benchmarks.sawtooth.readers.rendering import generator, is_held_out


def explain(word: str):
    return (1, 2), True


def pictures(layout: str, held_out: bool, n: int = 12):
    for index in range(n):
        rng = generator("test", index)
        yield rng, draw_picture(rng, layout, held_out)


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS["large"])
def test_words_are_of_one_kind(layout, held_out):
    for _, picture in pictures(layout, held_out):
        assert all(is_held_out(word) == held_out for word in picture.words)
        assert picture.grid in (((1, 1), (2, 1)) if layout in LAYOUTS["small"] else LARGE_GRIDS)
        assert sum(len(word) for word in picture.words) == len(picture.page.characters)


@pytest.mark.parametrize(("layout", "fewest", "most"), [("receipt", 2, 4), ("bill", 4, 8)])
def test_receipts_have_different_names_with_a_number_each(layout, fewest, most):
    for _, picture in pictures(layout, False):
        names = [name for name, _ in picture.page.lines]
        assert fewest <= len(names) == len(set(names)) <= most
        assert all(number.isdigit() for _, number in picture.page.lines)
        assert all(0 < each.x < picture.page.image.width for each in picture.page.characters)
        assert all(0 < each.y < picture.page.image.height for each in picture.page.characters)


def test_pages_have_more_words_than_lines():
    words = {layout: [len(each.words) for _, each in pictures(layout, False, 40)] for layout in ("lines", "page")}
    assert set(words["lines"]) <= set(range(2, 7)) and set(words["page"]) <= set(range(2, 13))
    assert max(words["page"]) > 8 and np.median(words["page"]) > np.median(words["lines"])


def test_unknown_layout_is_named():
    with pytest.raises(ValueError, match="`layout` must be one of word, lines, receipt, page, bill, got 'form'"):
        draw_picture(generator("test", 0), "form", False)


def test_every_layout_of_a_size_is_drawn():
    drawn = {size: {training_picture(index, size)[1].layout for index in range(120)} for size in LAYOUTS}
    assert drawn == {size: set(layouts) for size, layouts in LAYOUTS.items()}


def test_answers_are_what_was_drawn():
    for layout in LAYOUTS["large"]:
        for rng, picture in pictures(layout, False):
            lines = [" ".join(line) for line in picture.page.lines]
            if turn := ask(rng, picture, "line", False, explain):
                row = int("".join(filter(str.isdigit, turn.question)))
                assert turn.spelled == lines[row - 1]
            if turn := ask(rng, picture, "value", False, explain):
                name = next(name for name in picture.words if name in turn.question.rstrip("?.").split())
                assert [name, turn.spelled] in picture.page.lines
            turn = ask(rng, picture, "present", False, explain)
            asked = set(turn.question.rstrip("?.").split())
            assert (turn.spelled == "yes") == any(word in asked for word in picture.words)
            assert ask(rng, picture, "text", False, explain).spelled == "\n".join(lines)


def test_both_answers_are_as_frequent():
    turns = [ask(rng, each, "present", False, explain) for rng, each in pictures("word", False, 200)]
    assert 0.4 < np.mean([turn.spelled == "yes" for turn in turns]) < 0.6


def test_meaning_begins_with_the_word_and_goes_on_as_explained():
    rng, picture = next(pictures("word", False))
    turn = ask(rng, picture, "meaning", False, explain)
    assert (turn.spelled, turn.tokens, turn.ended) == (f"{picture.words[0]}: ", (1, 2), True)
    assert ask(rng, picture, "meaning", False, lambda word: None) is None


def test_kinds_that_make_no_sense_are_not_asked():
    rng, word = next(pictures("word", False))
    assert ask(rng, word, "line", False, explain) is None
    assert ask(rng, word, "value", False, explain) is None
    rng, lines = next(pictures("lines", False))
    assert ask(rng, lines, "spell", False, explain) is None
    assert ask(rng, lines, "meaning", False, explain) is None


def test_several_questions_are_of_different_kinds_and_have_the_text():
    seen = set()
    for index in range(60):
        rng, picture = training_picture(index)
        kinds = [turn.kind for turn in ask_several(rng, picture, explain)]
        assert len(kinds) == len(set(kinds)) <= 3 and "text" in kinds
        seen |= set(kinds)
    assert seen == set(KINDS)


@pytest.mark.parametrize("kind", SENTENCES)
def test_sentences_name_what_costs_how_much(kind):
    asked = [(ask(rng, each, kind, False, explain), each.page.lines) for rng, each in pictures("bill", False, 40)]
    assert sum(turn is not None for turn, _ in asked) > 30
    for turn, lines in asked:
        if turn is None:
            continue
        name, number = turn.spelled.removesuffix(".").split(" costs ")
        assert [name, number] in lines and sum(other == number for _, other in lines) == 1
        assert {name: name, number: number}[name if kind == "cost" else number] in turn.question
        assert (number if kind == "cost" else name) not in turn.question.split()
    rng, page = next(pictures("page", False))
    assert ask(rng, page, kind, False, explain) is None


def test_many_questions_of_a_large_picture_end_with_its_text():
    seen, most = set(), 0
    for index in range(60):
        rng, picture = training_picture(index, "large")
        turns = ask_many(rng, picture, explain)
        *others, text = turns
        assert text.kind == "text" and len(turns) <= 8
        answers = [turn.question if turn.kind == "present" else turn.spelled for turn in others]
        assert len(answers) == len(set(answers)) and "text" not in {turn.kind for turn in others}
        seen |= {turn.kind for turn in turns}
        most = max(most, len(turns))
    assert seen == {*KINDS, *SENTENCES} and most == 8


def row_asked_for(turn, lines) -> int:
    """The line that a question asks for, by its number or by the name on it."""
    if turn.kind == "line":
        return int("".join(filter(str.isdigit, turn.question))) - 1
    names = (turn.question if turn.kind == "value" else turn.spelled).rstrip("?.").split()
    return next(row for row, (name, _) in enumerate(lines) if name in names)


def test_each_line_is_asked_for_once_or_all_text():
    seen, alone = set(), 0
    for index in range(60):
        rng, picture = training_picture(index, "bills")
        turns = ask_each_line(rng, picture, explain)
        lines = picture.page.lines
        seen |= {turn.kind for turn in turns}
        if picture.layout == "word":
            assert len(turns) <= 3
        elif turns[0].kind == "text":
            alone += 1
            assert [turn.spelled for turn in turns] == [picture.page.text]
        else:
            assert turns[0].kind == "present" and len(turns) == 1 + len(lines)
            assert sorted(row_asked_for(turn, lines) for turn in turns[1:]) == list(range(len(lines)))
    assert seen == {*KINDS, *SENTENCES} and 10 < alone < 30


def test_one_question_most_often_in_a_sentence():
    kinds = Counter()
    for index in range(200):
        rng, picture = training_picture(index, "single questions")
        (turn,) = ask_one(rng, picture, explain)
        kinds[turn.kind, picture.layout in PRICED] += 1
    assert {kind for kind, _ in kinds} == {*KINDS, *SENTENCES}
    assert kinds["cost", True] + kinds["item", True] > 200 * 0.85 * 0.5


def test_named_words():
    _, picture = next(pictures("bill", False))
    (name, number), (other, another) = picture.page.lines[:2]
    cost = Turn("cost", f"What does {name} cost?", f"{name} costs {number}.")
    assert named_words(picture, [cost]) == {name, number}
    assert named_words(picture, [cost, Turn("item", f"What costs {another}?")]) == {name, number, another}
    assert named_words(picture, [Turn("text", "Read the text.")]) == set(picture.words)
    assert named_words(picture, [Turn("chat", f"What is {name}?")]) == set()


def test_a_picture_follows_from_its_index():
    (_, one), (_, same), (_, other) = training_picture(3), training_picture(3), training_picture(4)
    assert one.page.text == same.page.text != other.page.text


def test_unseen_wordings_are_not_trained():
    assert all(not set(UNSEEN[kind]) & set(WORDINGS[kind]) for kind in UNSEEN)


def test_explainable_words_are_apart():
    train, held_out = explainable_words(False), explainable_words(True)
    assert not set(train) & set(held_out)
    assert len(train) > 1000 and len(held_out) > 100
