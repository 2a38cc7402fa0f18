"""Plain questions are judged by words, none is trained, and answers are remembered."""

import pytest

from benchmarks.sawtooth.pretrained.chat import PLAIN, chat_prompts, is_right, remember


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("1. Red\n2. Blue\n3. Green", True),
        ("red, RED and red", False),
        ("Shredded bluegreen grayish", False),
        ("", False),
    ],
)
def test_three_colors(answer, right):
    accepted, n = next((accepted, n) for question, accepted, n in PLAIN if "colors" in question)
    assert is_right(answer, accepted, n) is right


def test_words_count_from_their_beginning():
    assert is_right("It is Paris.", ("paris",), 1)
    assert not is_right("In comparison", ("paris",), 1)
    assert not is_right("The word is garden", ("paris", "london"), 1)


def test_twenty_plain_questions_none_of_which_is_trained():
    questions = {question for question, _, _ in PLAIN}
    assert len(questions) == len(PLAIN) == 20
    prompts = chat_prompts()
    assert len(prompts) == len(set(prompts)) > 1200
    assert not questions & set(prompts)
    assert chat_prompts(7) == prompts[:7]


def test_answers_are_remembered(tmp_path):
    path, asked = tmp_path / "folder" / "replay.jsonl", []

    def answer(prompts):
        asked.extend(prompts)
        return [((len(prompt), 1), prompt != "bb") for prompt in prompts]

    first = remember(path, ["a", "bb"], answer)
    assert first == {"a": ((1, 1), True), "bb": ((2, 1), False)}
    assert remember(path, ["bb", "ccc"], answer) == {"bb": ((2, 1), False), "ccc": ((3, 1), True)}
    assert asked == ["a", "bb", "ccc"]
    assert remember(path, ["a", "bb", "ccc"], lambda prompts: 1 / 0)["a"] == ((1, 1), True)
