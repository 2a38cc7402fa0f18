"""The three tiny families, and what their training shares with the small checkpoint's."""

import pytest
import torch
from transformers import InternVLVisionModel

from benchmarks.sawtooth.readers.families import FAMILIES, family_model, family_processor
from benchmarks.sawtooth.readers.family_weights import load_reader, load_tower, siglip_tower
from benchmarks.sawtooth.readers.optimizer import MuonWithAdamW
from benchmarks.sawtooth.readers.reader import Collator, make_model, make_tokenizer
from benchmarks.sawtooth.readers.rendering import render
from benchmarks.sawtooth.readers.tower import vision_config
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


@pytest.mark.slow
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
