"""What is measured: from answers that are known, right ones, wrong ones and errors."""

import time

import pytest

from benchmarks.sawtooth.pretrained import evaluate
from benchmarks.sawtooth.pretrained.chat import PLAIN
from benchmarks.sawtooth.pretrained.evaluate import (
    LARGE,
    Evaluation,
    ask_about_held_out,
    held_out_words,
    overlap,
    score,
)
from benchmarks.sawtooth.pretrained.questions import KINDS, UNSEEN
from benchmarks.sawtooth.readers.rendering import is_held_out


MEANING = "it is so and so"


def explain(word: str):
    return (1, 2), True


class Meanings:
    """The same meaning for every word."""

    def __init__(self, encoder):
        self.said = tuple(encoder.spell(MEANING)), True

    def get(self, word: str):
        return self.said


@pytest.fixture
def entries():
    return []


@pytest.fixture
def evaluation(encoder, entries):
    """All answers are made up by the tests: there is no model."""

    def make(deadline: float = float("inf")) -> Evaluation:
        return Evaluation(None, encoder, lambda **entry: entries.append(entry), Meanings(encoder), deadline)

    return make


@pytest.fixture
def answer(monkeypatch, encoder):
    """Sets what is answered: a function of the prompt's text."""

    def put(function) -> None:
        def generate(model, encoder, prompts, max_new_tokens):
            texts = [encoder.tokenizer.decode(prompt.ids) for prompt in prompts]
            return [(tuple(encoder.spell(function(text))), True) for text in texts]

        monkeypatch.setattr(evaluate, "generate", generate)

    return put


def test_score():
    found = score(["abcd", "xy"], ["abcd", "zzzzzz"])
    assert found == {"n": 2, "exact": 0.5, "characters": round(4 / 6, 4)}
    assert score(["abcd"], ["abXd"])["characters"] == 0.75


def test_overlap():
    assert overlap("The cat sat", "the CAT ran off") == pytest.approx(4 / 7)
    assert overlap("", "") == 0


@pytest.mark.parametrize("kind", KINDS)
def test_questions_are_about_held_out_words(kind):
    asked = ask_about_held_out(kind, 6, explain)
    assert len(asked) == 6
    assert all(is_held_out(word) for each in asked for word in each.picture.words)
    assert {each.turn.kind for each in asked} == {kind}


def test_questions_about_pictures_of_a_layout():
    asked = ask_about_held_out("value", 3, explain, layout="bill")
    assert {(each.turn.kind, each.picture.layout) for each in asked} == {("value", "bill")}


def test_unknown_words_are_no_endless_search():
    with pytest.raises(ValueError, match="knows no word"):
        ask_about_held_out("meaning", 0.01, lambda word: None)


def test_wordings_are_asked_that_are_not_trained():
    asked = ask_about_held_out("spell", 3, explain, UNSEEN)
    assert {each.turn.question for each in asked} == set(UNSEEN["spell"])


def test_all_right(evaluation, answer, entries, monkeypatch):
    monkeypatch.setattr(Evaluation, "ask", lambda self, asked, kind: [whole(each.turn) for each in asked])
    answer(lambda prompt: " ".join(" ".join(accepted) for _, accepted, _ in PLAIN))
    evaluation().run("after", words=5, questions=4)
    found = {entry["part"]: entry for entry in entries}
    assert set(found) == {"chat", "words", "chat with a picture", "unseen wordings", *KINDS, *LARGE}
    assert {entry["evaluation"] for entry in entries} == {"after"}
    assert all(
        found[kind]["exact"] == found[kind]["characters"] == 1 for kind in (*KINDS, *LARGE) if kind != "meaning"
    )
    assert (found["words"]["n"], found["words"]["exact"]) == (5, 1)
    assert (found["meaning"]["n"], found["meaning"]["named"], found["meaning"]["overlap"]) == (4, 1, 1)
    assert (found["unseen wordings"]["n"], found["unseen wordings"]["right"]) == (30, 30)
    assert found["chat"]["right"] == found["chat with a picture"]["right"] == 20
    assert len(found["chat"]["answers"]) == 20


def whole(turn) -> str:
    return turn.spelled + (MEANING if turn.tokens else "")


def test_all_wrong(evaluation, answer, entries):
    answer(lambda prompt: "")
    evaluation().run("after", words=5, questions=4)
    found = {entry["part"]: entry for entry in entries}
    assert all(
        found[kind]["exact"] == found[kind]["characters"] == 0 for kind in (*set(KINDS) - {"meaning"}, *LARGE, "words")
    )
    assert found["meaning"]["named"] == found["meaning"]["overlap"] == found["chat"]["right"] == 0
    assert found["unseen wordings"]["right"] == 0


def test_lexicon_and_random_words_apart(evaluation, answer, entries):
    answer(lambda prompt: "")
    evaluation().run("x", words=20, questions=1, parts=["words"])
    (found,) = entries
    assert found["lexicon"]["n"] + found["random"]["n"] == 20 == len(held_out_words(20))
    assert min(found["lexicon"]["n"], found["random"]["n"]) > 3


def test_an_error_is_logged_and_the_rest_go_on(evaluation, answer, entries):
    def fail(prompt):
        if "IMG_CONTEXT" in prompt:
            raise RuntimeError("no memory")
        return "Paris"

    answer(fail)
    evaluation().run("after", words=2, questions=2, parts=["words", "chat"])
    assert "no memory" in entries[0]["error"]
    assert (entries[1]["part"], entries[1]["right"]) == ("chat", 1)


def test_no_time_is_logged(evaluation, entries):
    evaluation(time.monotonic() - 1).run("after", 2, 2, ["words", "chat"])
    assert [(entry["part"], entry["left_out"]) for entry in entries] == [("words", "no time"), ("chat", "no time")]
