"""What the tests of the benchmarks share."""

import pytest
import torch

from benchmarks.sawtooth.measurements.reading import Reader
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from processing_minimonkey import MiniMonkeyProcessor


@pytest.fixture(scope="session")
def checkpoint(repository):
    return repository / "checkpoints" / "minimonkey-tiny"


@pytest.fixture(scope="session")
def reader(checkpoint) -> Reader:
    """The small checkpoint, in float32."""
    model = MiniMonkeyForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    return Reader(model, MiniMonkeyProcessor.from_pretrained(checkpoint))
