"""The scripts of examples/ import one another by name, as they do when they are run."""

import pytest


@pytest.fixture(autouse=True)
def scripts_importable(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "examples"))
    monkeypatch.syspath_prepend(str(repository / "examples" / "minimonkey_tiny"))
