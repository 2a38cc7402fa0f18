"""What is drawn in a step of training under compression, and what is left behind."""

from types import SimpleNamespace

from benchmarks.sawtooth.readers.drawn_compression import DrawnCompression
from modeling_minimonkey import MiniMonkeyConfig


def test_compression_is_drawn_anew_in_every_step_and_ends_as_it_is_shipped():
    model = SimpleNamespace(
        config=MiniMonkeyConfig(), register_forward_pre_hook=lambda *_, **__: SimpleNamespace(remove=lambda: None)
    )
    config, seen = model.config.scale_compression_config, set()
    callback, state = DrawnCompression(0.2, 0.9), SimpleNamespace(global_step=0)
    arguments = SimpleNamespace(seed=0)
    callback.on_train_begin(arguments, state, None, model=model)
    for state.global_step in range(40):
        callback.on_step_begin(arguments, state, None, model=model)
        seen.add((config.positions, config.queries))
    assert seen == {(positions, queries) for positions in ("keep", "repack") for queries in ("question", "none")}
    callback.on_evaluate(arguments, state, None, model=model)
    assert (config.positions, config.queries, config.layer) == ("keep", "question", 2)
    config.positions, config.queries = "repack", "none"
    callback.on_train_end(arguments, state, None, model=model)
    assert (config.positions, config.queries, config.layer) == ("keep", "question", 2)
