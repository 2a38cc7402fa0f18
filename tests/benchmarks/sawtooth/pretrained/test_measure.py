"""What a run learned, measured again from its files."""

import dataclasses
import json

import pytest
import torch

from benchmarks.sawtooth.pretrained import measure
from benchmarks.sawtooth.pretrained.train import run
from benchmarks.sawtooth.readers.reader import make_tokenizer
from tests.benchmarks.sawtooth.pretrained.conftest import SMALL


CPU = torch.device("cpu")


def after(folder) -> list[dict]:
    """The entries of the last evaluation, without when and how long."""
    entries = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [
        {name: value for name, value in entry.items() if not name.startswith("second")}
        for entry in entries
        if entry.get("evaluation") == "after"
    ]


@pytest.mark.usefixtures("clock", "short_answers")
def test_measured_again_is_what_the_run_measured(causal_lm, tower, tmp_path):
    run(causal_lm, make_tokenizer(), tower, dataclasses.replace(SMALL, evaluation=2.0), tmp_path, CPU)
    path = tmp_path / "log.jsonl"
    expected, lines = after(tmp_path), path.read_text().splitlines()
    assert len(expected) == 16
    broken = [line for line in lines if '"after"' not in line or '"chat"' in line]  # as if killed after the first part
    path.write_text("\n".join(broken) + "\n")
    assert len(after(tmp_path)) == 1

    torch.manual_seed(9)  # the projector of a new model, before what was learned is loaded
    measure.measure(causal_lm, make_tokenizer(), tower, tmp_path, CPU)
    assert after(tmp_path) == expected
    others = [line for line in lines if '"after"' not in line]
    assert [line for line in path.read_text().splitlines() if '"after"' not in line] == others

    measure.measure(causal_lm, make_tokenizer(), tower, tmp_path, CPU, words=2, questions=3)
    asked = {entry["part"]: entry["n"] for entry in after(tmp_path)}
    assert asked["words"] == 2 and asked["line"] == asked["cost on a bill"] == 3
