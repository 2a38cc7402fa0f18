"""The three tiny families of the benchmark, and what their training shares with the small checkpoint's."""

import argparse
import shutil

import pytest
import torch
from transformers import InternVLVisionModel

from benchmarks.sawtooth.families import FAMILIES, family_model, family_processor
from benchmarks.sawtooth.family_sweep import COMPLEMENTARITIES, make_processor, sweep
from benchmarks.sawtooth.sweep import GRIDS, samples
from benchmarks.sawtooth.train_family import load_reader, load_tower, siglip_tower
from examples.minimonkey_tiny.recipe import MuonWithAdamW, train
from examples.minimonkey_tiny.train_reader import (
    Collator,
    compute_metrics,
    make_model,
    make_tokenizer,
    predicted_tokens,
    render,
)
from examples.minimonkey_tiny.train_tower import DenseReader, TileDataset, collate, vision_config
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from processing_minimonkey.plug_in import CIPProcessor


@pytest.fixture
def tower() -> InternVLVisionModel:
    """Random, layer scales and positions as well."""
    torch.manual_seed(0)
    tower = InternVLVisionModel(vision_config("3m"))
    for name, parameter in tower.named_parameters():
        scale = 0.5 if "lambda" in name or "embeddings" in name else 0.08
        torch.nn.init.normal_(parameter, mean=1.0 if parameter.ndim == 1 and "weight" in name else 0.0, std=scale)
    return tower.eval()


@pytest.fixture
def reader(tower, tmp_path) -> MiniMonkeyForConditionalGeneration:
    """Random, every matrix."""
    tower.save_pretrained(tmp_path / "tower")
    reader = make_model(tmp_path / "tower", make_tokenizer(), "3m")
    for parameter in reader.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.08)
    return reader.eval()


def test_the_siglip_tower_is_the_internvl_tower_without_class_token(tower):
    converted = siglip_tower(tower, "3m").eval()
    pixel_values = torch.randn(2, 3, 112, 112)
    with torch.no_grad():
        patches = tower.embeddings(pixel_values)[:, 1:]
        expected = tower.encoder(patches)[0]
        hidden_states = converted(pixel_values, output_hidden_states=True).hidden_states[-1]
    assert expected.std() > 0.5
    torch.testing.assert_close(hidden_states, expected, atol=0.02, rtol=0.02)  # tanh approximation of GELU


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tower_goes_into_every_family(family, tower, tmp_path):
    source = tower if family == "internvl" else siglip_tower(tower, "3m")
    source.save_pretrained(tmp_path)
    model = family_model(family, "3m")
    load_tower(model, tmp_path)
    loaded = model.model.vision_tower.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in source.state_dict().items())
    wrong = siglip_tower(tower, "3m") if family == "internvl" else tower
    wrong.save_pretrained(tmp_path / "wrong")
    with pytest.raises(ValueError, match="The tower doesn't fit"):
        load_tower(model, tmp_path / "wrong")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_begins_with_the_reader(family, reader, tmp_path):
    """InternVL answers as the reader does; the others have its language model."""
    reader.save_pretrained(tmp_path)
    model = family_model(family, "3m").eval()
    load_reader(model, family, tmp_path)
    ids = torch.tensor([[70, 71, 72, 80]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if family == "internvl":
        inputs = Collator(CIPProcessor.from_processor(family_processor(family), adaptive_tiles=(1, 4)))(
            [render("page", "train", index) for index in range(3)]
        )
    with torch.no_grad():
        expected = reader(**inputs).logits
        logits = model(**inputs).logits[..., : expected.shape[-1]]
    assert expected.std() > 0.1
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cip", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_learns_from_pages(family, cip):
    """The loss on one batch falls, with and without CIP."""
    torch.manual_seed(0)
    model, processor = family_model(family, "3m"), family_processor(family)
    if cip:
        processor = CIPProcessor.from_processor(processor, adaptive_tiles=(1, 4))
    batch = Collator(processor)([render("page", "train", index) for index in range(2)])
    optimizer = MuonWithAdamW(model, 1e-3)
    losses = []
    for _ in range(3):
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[2] < losses[1] < losses[0]


def test_muon_has_the_matrices_of_the_layers():
    reader = DenseReader(InternVLVisionModel(vision_config("3m")))
    reader.ordinals.requires_grad_(False)
    muon, adamw = MuonWithAdamW(reader, 1e-3).param_groups
    layers, matrices_of_a_layer = 5, 6  # query, key, value, output, two of the feed-forward network
    assert len(muon["params"]) == layers * matrices_of_a_layer
    trainable = [parameter for parameter in reader.parameters() if parameter.requires_grad]
    assert {id(p) for p in muon["params"]} | {id(p) for p in adamw["params"]} == {id(p) for p in trainable}
    assert muon["lr"] == pytest.approx(3 * adamw["lr"])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path):
    def run(output: str) -> dict:
        arguments = argparse.Namespace(output=str(tmp_path / output), steps=4, learning_rate=1e-3, seed=0)
        torch.manual_seed(0)
        kwargs = {
            "model": DenseReader(InternVLVisionModel(vision_config("3m"))),
            "train_dataset": TileDataset("train", 8),
            "data_collator": collate,
        }
        settings = {"per_device_train_batch_size": 2, "eval_strategy": "no", "save_steps": 2, "save_total_limit": None}
        settings |= {"warmup_steps": 0, "dataloader_num_workers": 0, "disable_tqdm": True}
        return train(kwargs, arguments, **settings).model.state_dict()

    whole = run("whole")
    shutil.copytree(tmp_path / "whole" / "checkpoint-2", tmp_path / "killed" / "checkpoint-2")
    resumed = run("killed")
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_metrics_look_at_the_next_token():
    logits = torch.nn.functional.one_hot(torch.tensor([[5, 6, 7, 8]]), 10).float()
    prediction = argparse.Namespace(
        predictions=predicted_tokens((logits, None), None).numpy(),
        label_ids=torch.tensor([[-100, 5, 6, 0]]).numpy(),
    )
    assert compute_metrics(prediction)["token_accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_sweep_of_a_family_knows_its_grids(family):
    """On the same images all families cut as the sweep says, which is what makes them comparable."""
    for method in COMPLEMENTARITIES:
        processor = make_processor(family, method)
        for grid in GRIDS:
            for axis, position, _, image, box in samples(["reading"], 24, grid, 112):
                width, height = image.size
                assert processor._detailed_grid(height, width, {}) == grid
                second = processor._grid_beside(height, width, grid, {})
                if method != "pyramid all":  # which often finds none and says so
                    assert (second is None) == (method == "detailed + global")
                assert box[0] < image.width and axis in "xy" and position % 0.125 == 0


def test_a_family_is_swept():
    torch.manual_seed(0)
    model = family_model("internvl", "3m").eval()
    readings = sweep(model, make_processor("internvl", "pyramid any"), "pyramid any", (2, 2), 24, ["reading"])
    assert len(readings) == 18 and {reading.axis for reading in readings} == {"x", "y"}
    cut = {reading.position: reading.cut_detailed for reading in readings if reading.axis == "x"}
    assert cut[1.0] and not cut[0.5]
