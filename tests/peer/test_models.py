"""Transformers' own common tests on our model and configuration: `make test-peer`."""

import unittest

import pytest
import torch


pytest.importorskip("transformers_tests", reason="fetched by `make test-peer`")

from transformers.models.auto import modeling_auto
from transformers_tests import test_modeling_common as modeling
from transformers_tests.test_configuration_common import ConfigTester
from transformers_tests.test_training_mixin import TrainingTesterMixin

from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration, MiniMonkeyModel


pytestmark = pytest.mark.slow

# By these names the tests make labels and losses
modeling_auto.MODEL_MAPPING_NAMES.setdefault("minimonkey", "MiniMonkeyModel")
modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.setdefault("minimonkey", "MiniMonkeyForConditionalGeneration")

TOKENS_PER_TILE = 4


class MiniMonkeyTester:
    """A tiny model and a batch with one tile per row, as the common tests want them."""

    causal_lm_class, sequence_classification_class = MiniMonkeyForConditionalGeneration, None
    batch_size, seq_length, is_training = 3, 7 + TOKENS_PER_TILE, True
    image_size, patch_size, num_channels = 28, 7, 3
    num_hidden_layers, hidden_size, num_attention_heads, vocab_size = 2, 32, 4, 99
    image_token_id, pad_token_id = 1, 0

    def __init__(self, parent):
        self.parent = parent

    def get_config(self) -> MiniMonkeyConfig:
        sizes = {
            "hidden_size": self.hidden_size,
            "intermediate_size": 37,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
        }
        text = {"model_type": "llama", "vocab_size": self.vocab_size, "num_key_value_heads": 2}
        ids = {"pad_token_id": self.pad_token_id, "bos_token_id": 2, "eos_token_id": 3}
        return MiniMonkeyConfig(
            vision_config=sizes | {"image_size": self.image_size, "patch_size": self.patch_size},
            text_config=sizes | text | ids | {"max_position_embeddings": 128},
            image_token_id=self.image_token_id,
            image_seq_length=TOKENS_PER_TILE,
        )

    def prepare_config_and_inputs_for_common(self):
        config = self.get_config()
        pixels = torch.rand(self.batch_size, self.num_channels, self.image_size, self.image_size)
        ids = torch.randint(4, self.vocab_size, (self.batch_size, self.seq_length))
        ids[:, 1 : 1 + TOKENS_PER_TILE] = self.image_token_id
        return config, {
            "pixel_values": pixels,
            "tile_levels": torch.full((self.batch_size,), 2),
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
        }


class TextTester(MiniMonkeyTester):
    """The same model with rows of text: some tests make ids of their own, with any id below the vocabulary's size."""

    image_token_id = 98

    def get_config(self) -> MiniMonkeyConfig:
        config = super().get_config()
        config.vocab_size = self.image_token_id  # which the tests look for here
        return config

    def prepare_config_and_inputs_for_common(self):
        config, inputs = super().prepare_config_and_inputs_for_common()
        ids = torch.randint(4, self.image_token_id, (self.batch_size, self.seq_length))
        return config, {"input_ids": ids, "attention_mask": inputs["attention_mask"]}


# They pass image tokens on without pixels, which our model refuses, or need ids without them: below, with text
WITH_TEXT = ("test_eager_matches_sdpa_inference", "test_model_rope_scaling_from_config", "test_training_overfit")


# `GenerationTesterMixin` is asked for, but not in the distribution: what stands in for it has no tests
class TestMiniMonkey(
    modeling.ModelTesterMixin, modeling.GenerationTesterMixin, TrainingTesterMixin, unittest.TestCase
):
    all_model_classes = (MiniMonkeyModel, MiniMonkeyForConditionalGeneration)
    model_tester = None
    _is_composite = True

    def setUp(self):
        if self._testMethodName.startswith(WITH_TEXT):
            self.skipTest("In TestMiniMonkeyWithText.")
        self.model_tester = MiniMonkeyTester(self)
        self.config_tester = ConfigTester(self, config_class=MiniMonkeyConfig, has_text_modality=False)

    def test_config(self):
        self.config_tester.run_common_tests()


class TestMiniMonkeyWithText(
    modeling.ModelTesterMixin, modeling.GenerationTesterMixin, TrainingTesterMixin, unittest.TestCase
):
    all_model_classes = (MiniMonkeyForConditionalGeneration,)
    model_tester = None
    _is_composite = True

    def setUp(self):
        if not self._testMethodName.startswith(WITH_TEXT):
            self.skipTest("In TestMiniMonkey.")
        self.model_tester = TextTester(self)
