"""What all tests share: recorded data, no network, few threads."""

import os
from pathlib import Path

import pytest


os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported: no test may depend on the network

import torch  # noqa: E402
from PIL import Image  # noqa: E402


# The tests' models are tiny: more threads only cost time, and the order of additions would vary with the machine.
torch.set_num_threads(min(torch.get_num_threads(), 2))

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of the values recorded from the published implementation; its README.md explains them."""
    return ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """Folder of the small trained checkpoint."""
    return ROOT / "checkpoints" / "minimonkey-tiny"


@pytest.fixture(scope="module")
def trained_model(checkpoint):
    """The small trained model, fresh for each file of tests."""
    from modeling_minimonkey import MiniMonkeyForConditionalGeneration

    return MiniMonkeyForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def trained_processor(checkpoint):
    """The processor of the small trained checkpoint, fresh for each file of tests."""
    from processing_minimonkey import MiniMonkeyProcessor

    return MiniMonkeyProcessor.from_pretrained(checkpoint)


@pytest.fixture(scope="session")
def page() -> Image.Image:
    """The page of the demo, which the small trained checkpoint can read."""
    return Image.open(ROOT / "examples" / "page.png").convert("RGB")
