"""Which queries, layer and positions."""

import pytest

from benchmarks.sawtooth.measurements.scoring import BASELINES, RATIOS, Scoring, scoring


def test_settings_are_the_models_own_again(reader):
    config = reader.model.config.scale_compression_config
    before = config.to_dict()
    with scoring(reader.model, queries="question", layer=0, positions="keep"):
        assert (config.queries, config.layer, config.positions) == ("question", 0, "keep")
    assert config.to_dict() == before


def test_every_choice_is_a_block(reader):
    blocks = Scoring().blocks(reader)
    layers = reader.model.config.text_config.num_hidden_layers
    assert len(blocks) == len(set(blocks)) == 1 + len(RATIOS) * (2 * (2 * layers + 1) + len(BASELINES))


def test_readings_of_a_block(reader):
    whole = Scoring(pages=2).measure(reader, "all", 1, "keep", 1.0)
    half = Scoring(pages=2).measure(reader, "question", 0, "keep", 0.5)
    assert [each.page for each in whole] == [each.page for each in half] == [0, 1]
    assert all(0 <= each.words_read <= each.words for each in (*whole, *half))
    assert [each.words for each in whole] == [each.words for each in half]


@pytest.mark.parametrize("name", ["evenly spaced", "text"])
def test_tokens_chosen_by_no_model(reader, name):
    """In a batch, and the model's own choice again afterwards."""
    own = Scoring(pages=2).measure(reader, "all", 1, "keep", 0.5)
    rows = Scoring(pages=2).measure(reader, name, 0, "keep", 0.25)
    assert [row.queries for row in rows] == [name] * 2
    assert Scoring(pages=2).measure(reader, "all", 1, "keep", 0.5) == own
