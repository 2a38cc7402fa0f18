"""Recipes: their order, their data, and how a run goes on that was stopped."""

import shutil
from dataclasses import fields
from functools import partial

import pytest
import torch
from transformers import InternVLVisionModel, TrainerControl, TrainerState

from benchmarks.sawtooth.readers.optimizer import Float32Muon, MuonWithAdamW
from benchmarks.sawtooth.readers.reader import PageDataset
from benchmarks.sawtooth.readers.recipe import FAMILIES, LONGER, RECIPES, SMALL, ReaderStage
from benchmarks.sawtooth.readers.tower import DenseReader, TileDataset, collate, vision_config
from benchmarks.sawtooth.readers.train import StopAfter, average, run_recipe, train


def test_every_stage_of_a_reader_sees_samples_of_its_own():
    stages = [stage for stage in SMALL + LONGER if isinstance(stage, ReaderStage)]
    texts = [PageDataset(["page"], stage.data, 1)[0].text for stage in stages]
    assert len(set(texts)) == len(stages) == 12


@pytest.mark.parametrize("name, before", [("small", ()), ("longer", SMALL), ("families", SMALL)])
def test_a_stage_begins_from_one_before_it(name, before):
    known = {stage.output for stage in before}
    for stage in RECIPES[name]:
        sources = {each.name: getattr(stage, each.name) for each in fields(stage)}
        begins = [sources.get(each) for each in ("begins_from", "reader", "tower")]
        assert {each for each in begins if each} <= known
        known.add(stage.output)


def test_controls_differ_from_their_stage_in_the_tiles_alone():
    stages = {stage.output: vars(stage) for stage in SMALL + LONGER + FAMILIES}
    pairs = [("{size}/pyramid", "{size}/control"), ("{size}/joint", "{size}/joint_control")]
    pairs += [(f"{family}/pyramid", f"{family}/control") for family in ("llava_onevision", "minicpmv")]
    for first, second in pairs:
        different = {name for name, value in stages[first].items() if stages[second][name] != value}
        assert different == {"output", "data", "tiles"}


def test_muon_has_the_matrices_of_the_layers():
    reader = DenseReader(InternVLVisionModel(vision_config("3m")))
    reader.ordinals.requires_grad_(False)
    muon, adamw = MuonWithAdamW(reader, 1e-3).param_groups
    layers, matrices_of_a_layer = 5, 6  # query, key, value, output, two of the feed-forward network
    assert len(muon["params"]) == layers * matrices_of_a_layer
    trainable = [parameter for parameter in reader.parameters() if parameter.requires_grad]
    assert {id(p) for p in muon["params"]} | {id(p) for p in adamw["params"]} == {id(p) for p in trainable}
    assert muon["lr"] == pytest.approx(3 * adamw["lr"])


def test_muon_in_float32_is_that_of_torch():
    torch.manual_seed(0)
    shapes = [(7, 7), (24, 8), (8, 24), (7, 7), (24, 8)]  # of which some are multiplied together
    both = [[torch.nn.Parameter(torch.ones(shape)) for shape in shapes] for _ in range(2)]
    classes = (Float32Muon, partial(torch.optim.Muon, adjust_lr_fn="match_rms_adamw"))
    optimizers = [make(each, lr=0.5, weight_decay=0.05) for make, each in zip(classes, both, strict=True)]
    for _ in range(4):
        for ours, theirs in zip(*both, strict=True):
            ours.grad = torch.randn_like(ours)
            theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for ours, theirs in zip(*both, strict=True):
        moved = (theirs - 1).norm()
        assert moved > 1 and (ours - theirs).norm() < 0.03 * moved  # bfloat16 has three digits


def test_weights_between_two_models():
    first, last = (torch.nn.Linear(3, 2) for _ in range(2))
    pairs = list(zip(first.parameters(), last.parameters(), strict=True))
    expected = [(0.4 * a + 0.6 * b).detach() for a, b in pairs]
    average(last, first, 0.6)
    for found, value in zip(last.parameters(), expected, strict=True):
        torch.testing.assert_close(found, value)


def test_a_stage_may_stop_before_its_schedule_does():
    state, control = TrainerState(), TrainerControl()
    for step in range(1, 4):
        state.global_step = step
        StopAfter(3).on_step_end(None, state, control)
        assert control.should_training_stop == (step == 3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path):
    def run(output: str) -> dict:
        torch.manual_seed(0)
        kwargs = {
            "model": DenseReader(InternVLVisionModel(vision_config("3m"))),
            "train_dataset": TileDataset("train", 8),
            "data_collator": collate,
        }
        settings = {"per_device_train_batch_size": 2, "eval_strategy": "no", "save_steps": 2, "save_total_limit": None}
        settings |= {"warmup_steps": 0, "dataloader_num_workers": 0, "disable_tqdm": True}
        return train(kwargs, str(tmp_path / output), 1e-3, max_steps=4, **settings).model.state_dict()

    whole = run("whole")
    shutil.copytree(tmp_path / "whole" / "checkpoint-2", tmp_path / "killed" / "checkpoint-2")
    resumed = run("killed")
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_a_recipe_without_its_beginning_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="joint begins from .*again, which is not there"):
        run_recipe("longer", "3m", tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_recipe_runs_and_what_is_finished_stays(tmp_path):
    def weights():
        found = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors")}
        return {path: time for path, time in found.items() if not path.parent.name.startswith("checkpoint")}

    run_recipe("small", "3m", tmp_path, steps=1)
    before = weights()
    assert len(before) == len(SMALL) and (tmp_path / "3m" / "tower" / "tower" / "model.safetensors") in before
    shutil.rmtree(tmp_path / "3m" / "control")
    run_recipe("small", "3m", tmp_path, steps=1)
    after = weights()
    assert [path for path in before if before[path] != after[path]] == [
        tmp_path / "3m" / "control" / "model" / "model.safetensors"
    ]
