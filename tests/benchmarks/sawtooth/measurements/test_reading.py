"""Inputs of any tiles are those of the processor; answers don't depend on the batch."""

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.sawtooth.cutting import DETAILED, METHODS, SECOND_ALONE
from benchmarks.sawtooth.measurements.moved_word import GRIDS, draw_word, read_words, samples
from benchmarks.sawtooth.measurements.reading import QUESTION, FamilyReader, Reader, load_reader, make_inputs
from benchmarks.sawtooth.readers.families import FAMILIES, family_model


TILE = 112


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)) for size in ((224, 336), (100, 230), (60, 60))]


@pytest.mark.parametrize(
    "method, settings",
    [
        ("pyramid any", {}),
        ("pyramid all", {"complementarity": "all"}),
        ("pyramid disjoint", {"complementarity": "disjoint"}),
        ("pyramid joint", {"complementarity": "joint"}),
        ("detailed + global", {"adaptive_tiles": None}),
        ("global", {"detailed_tiles": (1, 1), "adaptive_tiles": None}),
    ],
)
def test_inputs_are_those_of_the_processor(reader, images, method, settings):
    processor, views = reader.processor, [reader.views(method, image) for image in images]
    ours = make_inputs(processor, images, views)
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    rows = {"text": [prompt] * 3, "images": [[image] for image in images]}
    theirs = processor(**rows, padding=True, return_tensors="pt", **settings)
    for name in ("input_ids", "attention_mask", "tile_levels"):
        assert torch.equal(ours[name], theirs[name]), name
    torch.testing.assert_close(ours["pixel_values"], theirs["pixel_values"], atol=1e-6, rtol=0)


def test_a_batch_reads_what_its_rows_read(reader):
    drawn = [draw_word(word, 24, (2, 2), (1.0, 1.0), TILE, (0.5, 0.5))[0] for word in ("open", "sunday")]
    drawn[1] = drawn[1].crop((0, 0, 112, 112))  # fewer tiles, so that a row is padded
    views = [reader.views("pyramid any", image) for image in drawn]
    together = reader.read("pyramid any", drawn, views)
    alone = [reader.read("pyramid any", [image], [each])[0] for image, each in zip(drawn, views, strict=True)]
    assert together == alone and together[0] == "open"


def test_methods_that_a_reader_does_not_have_are_refused(reader):
    assert reader.chosen(()) == tuple(name for name in METHODS if name != SECOND_ALONE)
    assert reader.chosen([SECOND_ALONE, "global"]) == (SECOND_ALONE, "global")
    with pytest.raises(ValueError, match=r"`methods` must be among .* got \['none'\]"):
        reader.chosen(["global", "none"])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_cuts_as_the_word_is_moved(family):
    """On the same images all families have the same detailed grids, which is what makes them comparable."""
    reader = FamilyReader(torch.nn.Module(), family)
    for method in reader.methods:
        for grid in GRIDS:
            for *_, image, box in samples(["reading"], 24, grid, TILE):
                detailed, *others = reader.views(method, image)
                assert (detailed.level, detailed.grid) == (DETAILED, grid)
                if method != "pyramid all":  # which often finds none and says so
                    assert (len(others) == 1) == (method == "detailed + global")
                assert box[0] < image.width


def test_a_saved_family_reads_moved_words(tmp_path):
    torch.manual_seed(0)
    family_model("internvl", "3m").save_pretrained(tmp_path)
    reader = load_reader(tmp_path)
    assert isinstance(reader, FamilyReader) and reader.family == "internvl"
    readings = read_words(reader, "pyramid any", (2, 2), 24, ["reading"])
    assert len(readings) == 18 and {reading.axis for reading in readings} == {"x", "y"}
    cut = {reading.position: reading.cut for reading in readings if reading.axis == "x"}
    assert cut[1.0] % 2 == 1 and cut[0.5] == 0


def test_the_small_checkpoint_is_loaded_as_a_mini_monkey(checkpoint):
    assert type(load_reader(checkpoint)) is Reader


def test_a_model_of_an_unknown_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ValueError, match="`folder` must hold a model of .*, got llama"):
        load_reader(tmp_path)
