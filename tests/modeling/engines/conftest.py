"""The small checkpoint as an engine has it, without one."""

import pytest
import torch

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from processing_minimonkey import MiniMonkeyProcessor


@pytest.fixture(scope="module")
def transformers(checkpoint):
    """Model and processor; the model compresses by the rule of the plugin for vLLM."""
    model = MiniMonkeyForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32).eval()
    settings = model.config.scale_compression_config
    settings.queries, settings.positions = "none", "repack"
    return model, MiniMonkeyProcessor.from_pretrained(checkpoint)
