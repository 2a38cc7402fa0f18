"""The stages of the reader: their order, what differs between them, and what is drawn in a step."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.sawtooth.readers import reader
from benchmarks.sawtooth.readers.sheet_recipe import BASE, COMPRESSED, LAST, STAGES, STEERED, WAYS, Effort
from benchmarks.sawtooth.readers.sheet_training import run_stage
from benchmarks.sawtooth.readers.tower import make_tower


def test_every_stage_begins_from_one_before_it():
    known = {"6m/words"}
    for stage in STAGES:
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


@pytest.mark.slow
def test_a_recipe_goes_through(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKERS", "0")
    processor = reader.make_processor()
    make_tower("3m").save_pretrained(tmp_path / "tower")
    model = reader.make_model(tmp_path / "tower", processor.tokenizer, "3m")
    model.save_pretrained(tmp_path / STAGES[0].begins_from / "model")
    joint = next(stage for stage in LAST if stage.output == COMPRESSED.begins_from)
    stages = (*STAGES[:2], joint, COMPRESSED, STEERED)
    for stage in stages:
        run_stage(replace(stage, cpu=Effort(9, 2), gpu=Effort(9, 2)), tmp_path, steps=2)
    weights = [load_file(Path(tmp_path, stage.output, "model", "model.safetensors")) for stage in stages]
    name = "model.vision_tower.encoder.layer.0.attention.q_proj.weight"
    changed = [not torch.equal(weights[index][name], weights[index - 1][name]) for index in range(1, len(stages))]
    assert changed == [stage.trains_tower for stage in stages[1:]] == [True, True, False, False]
    assert all(torch.isfinite(value).all() for value in weights[-1].values())
    before = Path(tmp_path, BASE.output, "model", "model.safetensors").stat().st_mtime_ns
    run_stage(BASE, tmp_path)
    assert Path(tmp_path, BASE.output, "model", "model.safetensors").stat().st_mtime_ns == before, "trained again"
