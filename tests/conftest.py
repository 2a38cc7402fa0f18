"""What all tests share: recorded data, no network, few threads."""

import os
from pathlib import Path

import pytest


os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported: no test may depend on the network

import torch  # noqa: E402


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
