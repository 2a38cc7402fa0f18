"""The stages of the reader: their order, what differs between them, and what is drawn in a step."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.sawtooth.readers import sheet_training
from benchmarks.sawtooth.readers.sheet_recipe import BASE, COMPRESSED, LAST, STAGES, STEERED, TOWER, WAYS
from benchmarks.sawtooth.readers.sheet_training import LONGEST, DrawnCompression, SheetTiles, run_stage
from modeling_minimonkey import MiniMonkeyConfig


def test_every_stage_begins_from_one_before_it():
    known = {TOWER.output}
    for stage in STAGES[1:]:
        assert stage.begins_from in known
        known.add(stage.output)


def test_ways_of_a_seed_see_the_same_pages_and_differ_in_the_cutting_alone():
    for seed in range(3):
        stages = [vars(stage) for stage in LAST if stage.seed == seed]
        assert len(stages) == len(WAYS) and len({stage["cuttings"] for stage in stages}) == len(WAYS)
        alike = [
            {name: value for name, value in stage.items() if name not in ("output", "cuttings")} for stage in stages
        ]
        assert all(each == alike[0] for each in alike)
    assert len({stage.data for stage in LAST}) == 3
    assert {stage.begins_from for stage in LAST} == {BASE.output}


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
    callback.on_train_end(arguments, state, None, model=model)
    assert (config.positions, config.queries, config.layer) == ("keep", "question", 2)


def test_tiles_of_the_tower_have_text():
    for index in range(10):
        sample = SheetTiles("train x", 10)[index]
        assert sample["letters"].shape == sample["ordinals"].shape == (len(sample["pixel_values"]), 64, 2)
        assert (sample["letters"][0] > 0).any() and sample["ordinals"].max() < LONGEST


@pytest.mark.slow
def test_a_recipe_goes_through(tmp_path, monkeypatch):
    monkeypatch.setattr(sheet_training, "SIZE", "3m")
    monkeypatch.setenv("WORKERS", "0")
    joint = next(stage for stage in LAST if stage.output == COMPRESSED.begins_from)
    stages = (*STAGES[:3], joint, COMPRESSED, STEERED)
    for stage in stages:
        run_stage(replace(stage, batch_size=2), tmp_path, steps=2)
    weights = [load_file(Path(tmp_path, stage.output, "model", "model.safetensors")) for stage in stages]
    name = "model.vision_tower.encoder.layer.0.attention.q_proj.weight"
    assert name in weights[1], sorted(weights[1])[:5]
    assert torch.equal(weights[2][name], weights[0][name.removeprefix("model.vision_tower.")]), "frozen at first"
    assert not torch.equal(weights[3][name], weights[2][name])
    assert all(torch.isfinite(value).all() for value in weights[-1].values())
    before = Path(tmp_path, TOWER.output, "model", "model.safetensors").stat().st_mtime_ns
    run_stage(TOWER, tmp_path)
    assert Path(tmp_path, TOWER.output, "model", "model.safetensors").stat().st_mtime_ns == before, "trained again"
