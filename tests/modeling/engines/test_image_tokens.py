"""Counts and choices for serving engines, without an engine: they are those of the processor and of `generate`."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling_minimonkey.engines.image_tokens import (
    count_tokens,
    dropped_tokens,
    flat_options,
    longest_features,
    most_tokens,
)
from modeling_minimonkey.scale_compression import DETAILED_LEVEL, kept_count
from processing_minimonkey import MiniMonkeyProcessor


PROMPT = "<|im_start|>user\n<IMG_CONTEXT>\nRead.<|im_end|><|im_start|>assistant\n"


@pytest.mark.parametrize("keep_ratio", [0.01, 0.3, 0.5, 1.0])
def test_features_that_stay_are_those_of_select_tokens(trained_model, trained_processor, page, keep_ratio):
    trained_model.config.scale_compression_config.update({"queries": "none"})
    inputs = trained_processor(images=page, text=PROMPT, return_tensors="pt")
    kept = trained_model.model.select_tokens(**inputs, keep_ratio=keep_ratio).kept[0]
    features = trained_model.model.get_image_features(inputs["pixel_values"]).pooler_output.flatten(0, 1)
    is_image = inputs["input_ids"][0] == trained_processor.image_token_id
    found = longest_features(features, inputs["tile_levels"], keep_ratio)
    torch.testing.assert_close(found, features[kept[is_image]])

    detailed = int((inputs["tile_levels"] == DETAILED_LEVEL).sum())
    dropped = dropped_tokens(detailed, trained_processor.image_seq_length, keep_ratio)
    assert len(found) == len(features) - dropped
    assert count_tokens(trained_processor, page.height, page.width, keep_ratio) == len(found) + 2
    assert dropped > 0 or keep_ratio == 1.0


def test_of_equal_features_the_earlier_ones_stay():
    features = torch.ones(12, 4) * torch.tensor([1.0, 1, 1, 2, 1, 1, 1, 1, 9, 9, 9, 9])[:, None]
    found = longest_features(features, torch.tensor([0, 0, 2]), 0.5)
    assert found[:, 0].tolist() == [1, 1, 1, 2, 9, 9, 9, 9]


def test_an_image_of_the_global_tile_alone_loses_nothing(checkpoint):
    processor = MiniMonkeyProcessor.from_pretrained(checkpoint, crop_to_patches=False)
    assert count_tokens(processor, 10, 10, 0.1) == 2 + processor.image_seq_length
    assert dropped_tokens(0, 16, 0.5) == kept_count(0, 0.5) == 0


@pytest.mark.parametrize("name", ["demo", "docvqa", "multi_image", "train", "tiny"])
@pytest.mark.parametrize("keep_ratio", [0.25, 1.0])
def test_no_image_has_more_tokens_than_the_largest_of_the_shapes(checkpoint, name, keep_ratio):
    """And a square image has fewer, where a range ends at no square number."""
    options = {} if name == "tiny" else {"pyramid": name}
    processor = MiniMonkeyProcessor.from_pretrained(checkpoint, **options)

    def tokens(width: int, height: int) -> int:
        return count_tokens(processor, height, width, keep_ratio)

    most = most_tokens(processor, keep_ratio)
    assert most == most_tokens(MiniMonkeyProcessor.from_pretrained(checkpoint), keep_ratio, options)
    assert tokens(10_000, 10_000) < most or name in ("multi_image", "train", "tiny")

    @settings(deadline=None, max_examples=150)
    @given(st.integers(1, 5000), st.integers(1, 5000))
    def check(width, height):
        assert tokens(width, height) <= most

    check()


@pytest.mark.parametrize(
    ("given", "flat"),
    [
        ({}, {}),
        ({"keep_ratio": 0.5, "images_kwargs": {"pyramid": "docvqa"}}, {"keep_ratio": 0.5, "pyramid": "docvqa"}),
        ({"pyramid": "demo", "images_kwargs": {"pyramid": "docvqa"}}, {"pyramid": "docvqa"}),
    ],
)
def test_options_are_flat(given, flat):
    kept = dict(given)
    assert flat_options(given) == flat
    assert given == kept
    with pytest.raises(TypeError, match="`images_kwargs` must hold options by name, got 5"):
        flat_options({**given, "images_kwargs": 5})
