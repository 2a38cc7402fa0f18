"""Time to the first token: one token of each rule, in turns, and the model is left as it was. No times."""

from benchmarks.sawtooth.measurements import first_token
from benchmarks.sawtooth.measurements.first_token import FirstToken


SCORES = (("all", 1, 1.0), ("question", 2, 0.5))


def test_each_rule_asks_for_one_token(reader, monkeypatch):
    monkeypatch.setattr(first_token, "SCORES", SCORES)
    config, asked = reader.model.config.scale_compression_config, []

    def generate(inputs, max_new_tokens, keep_ratio):
        assert max_new_tokens == 1
        asked.append((config.queries, config.layer, keep_ratio))

    monkeypatch.setattr(reader, "generate", generate)
    before = config.to_dict()
    rows = FirstToken(pictures=2, rounds=2).measure(reader, "bill")
    assert len(asked) == 2 * 3 * len(SCORES)  # a round more to warm up
    assert set(asked) == set(SCORES) and asked[:2] != asked[2:4]  # the order turns around
    assert config.to_dict() == before
    assert [(row.receipt, row.queries, row.layer, row.keep_ratio) for row in rows] == [
        (receipt, *score) for receipt in range(2) for score in SCORES
    ]
    assert all(row.layout == "bill" and row.tokens > 100 and row.seconds >= 0 for row in rows)


def test_a_model_with_few_layers_is_not_timed(reader, monkeypatch):
    monkeypatch.setattr(first_token, "SCORES", SCORES)
    assert FirstToken().blocks(reader) == [("receipt",), ("bill",)]
    monkeypatch.setattr(first_token, "SCORES", (("question", 99, 0.5),))
    assert FirstToken().blocks(reader) == []
