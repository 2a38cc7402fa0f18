"""The report on a pretrained Llama from a small file of made-up results; what is measured is no test."""

import json

import pytest
from transformers import LlamaConfig

from benchmarks.sawtooth.runner import append_rows
from benchmarks.speed import pretrained, pretrained_model, pretrained_report
from benchmarks.speed.asked_facts import FactReading
from benchmarks.speed.costs import Sizes


NAMES = ["keep_ratio 1.0", "keep_ratio 0.75", "keep_ratio 0.5", "keep_ratio 0.25", "published setting 0.5"]


def block(**changes) -> dict:
    """All tokens as fast as stock, half of them in 0.6 of the time, as predicted."""
    times = dict(zip([*NAMES, "published procedure"], (1.0, 0.8, 0.6, 0.4, 0.55, 0.9), strict=True))
    ratios = {each: {"lower_quartile": time, "median": time, "upper_quartile": time} for each, time in times.items()}
    sizes = dict(zip(["stock", *times], (100, 100, 80, 65, 50, 65, 65), strict=True))
    return {
        "complementarity": "any",
        "tokens_per_tile": 64,
        "rows": 1,
        "tokens": 764,
        "tiles": {"detailed": 6, "adaptive": 4, "global": 1},
        "rounds": 3,
        "seconds": {"stock": 2.0},
        "ratio": ratios,
        "kv_bytes": sizes,
        "predicted": {each: times[each] for each in NAMES},
        "operations": {"stock": {"flops": 200, "calls": 100}, "keep_ratio 1.0": {"flops": 200, "calls": 101}},
        "pairs": {"stock": [1.0, 3.0], "keep_ratio 1.0": [1.0, 3.0]},
    } | changes


def results(*blocks_) -> dict:
    return {"machine": {"cpu": "made up"}, "blocks": list(blocks_)}


def test_tiles_are_planned_for_the_page():
    assert pretrained.Block("any", 64, 1).tiles == (6, 4, 1)
    assert pretrained.Block("joint", 64, 1).tiles == (12, 6, 1)


def test_blocks_cover_lengths_rows_and_tilings():
    blocks = pretrained.blocks([64, 121, 225])
    assert {each.complementarity for each in blocks} == {"any", "joint"}
    assert {each.rows for each in blocks} == {1, 2}
    assert {each.tokens_per_tile for each in blocks} == {64, 121, 225}


def test_expected_grows_with_keep_ratio():
    config = LlamaConfig(num_hidden_layers=30, hidden_size=576, intermediate_size=1536, num_attention_heads=9)
    found = pretrained.expected(pretrained.Block("any", 64, 1), Sizes.of(config), 784)
    assert found["keep_ratio 0.25"] < found["keep_ratio 0.5"] < found["keep_ratio 0.75"] < found["keep_ratio 1.0"] == 1


def test_missing_file_names_the_target(tmp_path):
    with pytest.raises(FileNotFoundError, match="make smollm"):
        pretrained_model.load(tmp_path)


def test_finished_blocks_are_not_measured_again(tmp_path, monkeypatch):
    measured = []
    monkeypatch.setattr(pretrained, "load", lambda: (None, None))
    monkeypatch.setattr(pretrained, "machine", lambda: {"cpu": "made up"})

    def measure(each, causal_lm, rounds, warm_up):
        measured.append(each)
        if len(measured) == 3:
            raise KeyboardInterrupt
        made = block(complementarity=each.complementarity, tokens_per_tile=each.tokens_per_tile, rows=each.rows)
        return {name: value for name, value in made.items() if name not in ("operations", "pairs")}

    monkeypatch.setattr(pretrained, "measure", measure)
    monkeypatch.setattr(pretrained, "count", lambda each, causal_lm: {"stock": {"flops": each.rows}})
    monkeypatch.setattr(pretrained, "time_pairs", lambda each, causal_lm, pairs: {"stock": [each.rows] * pairs})
    path = tmp_path / "pretrained.json"
    with pytest.raises(KeyboardInterrupt):
        pretrained.record(path, 2, 3, [4, 9])
    found = pretrained.record(path, 2, 3, [4, 9])
    assert len(found["blocks"]) == len(pretrained.blocks([4, 9]))
    assert measured.count(measured[0]) == measured.count(measured[1]) == 1
    assert [each["operations"]["stock"]["flops"] for each in found["blocks"][-2:]] == [2, 1]
    assert [each["pairs"]["stock"] for each in found["blocks"][-2:]] == [[2, 2, 2], [1, 1, 1]]


def test_finished_blocks_of_before_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "load", lambda: (None, None))
    monkeypatch.setattr(pretrained, "count", lambda each, causal_lm: {"stock": {"flops": each.rows}})
    older = [
        block() | {name: getattr(each, name) for name in each.__dataclass_fields__} for each in pretrained.blocks([4])
    ]
    for each in older:
        del each["operations"]
    del older[1]["pairs"]
    monkeypatch.setattr(pretrained, "time_pairs", lambda each, causal_lm, pairs: {"stock": [each.rows] * pairs})
    path = tmp_path / "pretrained.json"
    path.write_text(json.dumps(results(*older)))
    found = pretrained.record(path, 2, 3, [4])
    assert [each["operations"]["stock"]["flops"] for each in found["blocks"]] == [1, 2, 1]
    assert [each["pairs"]["stock"] for each in found["blocks"]] == [[1.0, 3.0], [2, 2, 2], [1.0, 3.0]]
    assert json.loads(path.read_text()) == found


@pytest.mark.parametrize(
    ("changes", "met"),
    [({}, True), ({"predicted": dict.fromkeys(NAMES, 0.56)}, False), ({"slow": 1.03}, False), ({"slow": 1.01}, True)],
)
def test_limits(changes, met):
    made = block()
    if (slow := changes.pop("slow", None)) is not None:
        made["pairs"]["keep_ratio 1.0"] = [slow * each for each in made["pairs"]["stock"]]
    text = pretrained_report.report(results(made | changes))
    assert ("| yes |" in text) == met
    assert ("| **no** |" in text) != met


def test_figure_is_small(tmp_path):
    pretrained_report.plot(results(block(), block(rows=2)), tmp_path / "figure.png")
    assert 0 < (tmp_path / "figure.png").stat().st_size < 60_000


def test_facts_in_the_report(tmp_path):
    rows = []
    for prompt in range(10):
        rows.append(FactReading(prompt, "all", 0, 1.0, 1, 1, 5, 5, 120))
        for ratio in (0.5, 0.25):
            rows.append(FactReading(prompt, "all", 2, ratio, 0, 0, 0, 5, 120))
            rows.append(FactReading(prompt, "question", 2, ratio, 1, -1, 5, 5, 120))
    append_rows(tmp_path / "facts.csv", rows)
    text = pretrained_report.report(results(), tmp_path / "facts.csv")
    assert "with all tokens, 100.0 [100.0, 100.0]% are right" in text.replace("\n", " ")
    assert "| question | 2 | 100.0 [100.0, 100.0] | – | 100.0 [100.0, 100.0] | 47.8 |" in text  # 55 of 115 others
    assert "| 0.5 | 2 | 100.0 [100.0, 100.0] | 100.0 [100.0, 100.0] |" in text
