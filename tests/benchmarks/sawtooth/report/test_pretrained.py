"""What PRETRAINED.md says of the logs of two made-up tries, and of the stored ones."""

import json

import pytest

from benchmarks.sawtooth.pretrained.questions import KINDS
from benchmarks.sawtooth.report.pretrained import FIGURE, draw_tries, load_tries, pretrained_report, share_right
from benchmarks.sawtooth.report.receipts import write_reader


def evaluation(when: str, words: float, plain: int) -> list[dict]:
    """Log entries of a whole evaluation; half of all but words and chat is right."""
    answers = [["Who?", "Nobody\nknows.", False]] * (20 - plain) + [["What?", "That.", True]] * plain
    parts = {
        "chat": {"n": 20, "right": plain, "answers": answers},
        "chat with a picture": {"n": 20, "right": 20, "answers": []},
        "words": {"n": 100, "exact": words, "characters": words},
        "unseen wordings": {"n": 30, "right": 15},
        **{kind: {"n": 10, "named" if kind == "meaning" else "exact": 0.5} for kind in KINDS},
    }
    return [{"evaluation": when, "part": part} | found for part, found in parts.items()]


@pytest.fixture
def tries(tmp_path):
    for name, words, plain in (("1", 0.71, 19), ("2", 0.71, 20), ("3", 0.7, 20)):
        log = [
            {"settings": {"minutes": 44.0, "adapter_rate": 5e-4, "prompts": None}},
            *evaluation("before", 0.0, 20),
            {"step": 20, "loss": 2.5},
            {"evaluation": "step 25", "part": "words", "n": 50, "exact": 0.5},
            {"step": 40, "loss": 1.5},
            {"step": 48, "ended": True, "rows": 768},
            *evaluation("after", words, plain),
        ]
        text = "".join(json.dumps(entry) + "\n" for entry in log)
        (tmp_path / f"pretrained-{name}.jsonl").write_text(text)
    return load_tries(tmp_path)


def test_both_halves_of_the_gate_count(tries):
    assert [each.passes for each in tries] == [False, True, False]


def test_curves_go_from_the_first_evaluation_to_the_last(tries):
    assert [(step, entry["exact"]) for step, entry in tries[0].curve("words")] == [(0, 0.0), (25, 0.5), (48, 0.71)]


@pytest.mark.parametrize("entry", [{"right": 5}, {"exact": 0.5}, {"named": 0.5}])
def test_share_of_each_kind_of_entry(entry):
    middle, low, high = share_right(entry | {"n": 10})
    assert middle == 0.5 and (round(low, 3), round(high, 3)) == (0.237, 0.763)


def test_report(tries):
    text = pretrained_report(tries)
    assert "| 1 | 44 | 48 | 0.0005 | all | 71.0 [61.5, 79.0] (n = 100) | 71.0 | 19 of 20 | 20 of 20 | missed |" in text
    assert "| 2 | 44 | 48 | 0.0005 | all | 71.0 [61.5, 79.0] (n = 100) | 71.0 | 20 of 20 | 20 of 20 | passed |" in text
    assert "| spell | 50.0 [23.7, 76.3] (n = 10) |" in text and text.endswith("try 3 lost\n\n- none\n")
    assert "- alone, Who? *Nobody knows.*" in pretrained_report(tries[:1])


def test_figure(tries, tmp_path):
    draw_tries(tries, tmp_path / FIGURE)
    assert (tmp_path / FIGURE).stat().st_size > 5000


def test_the_report_is_what_the_stored_logs_give(repository, tmp_path):
    folder = repository / "benchmarks" / "sawtooth"
    text = (folder / "PRETRAINED.md").read_text(encoding="utf-8")
    assert pretrained_report(load_tries(folder / "results")) + write_reader(folder / "results", tmp_path) == text
