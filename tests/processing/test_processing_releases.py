"""What differs between releases; that older ones are refused is in tests/test_versions.py."""

import logging

import pytest
from transformers.utils.logging import get_logger

from processing_minimonkey.processing_releases import NEWEST, OLDEST, warn_about_newer_release


@pytest.fixture
def said():
    """What Mini-Monkey's packages warn of."""
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = get_logger("transformers.minimonkey")
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


MAJOR, MINOR = map(int, NEWEST.split("."))
NEXT = f"{MAJOR}.{MINOR + 1}"


@pytest.mark.parametrize(
    "version", [f"{NEXT}.0", f"{NEXT}.0.dev0", f"{NEXT}rc1", "6.0.0rc1", "6.0.0+cu130", f"{MAJOR}0.2"]
)
def test_newer_releases_are_named_once(said, version):
    warn_about_newer_release(version)
    warn_about_newer_release(version)
    (warning,) = said
    assert f"Transformers {version} is newer" in warning and f"({OLDEST} to {NEWEST})" in warning


@pytest.mark.parametrize("version", [f"{OLDEST}.0", f"{OLDEST}.1", f"{NEWEST}.0", f"{NEWEST}.9", f"{NEWEST}.1.dev0"])
def test_nothing_is_said_of_tested_releases(said, version):
    warn_about_newer_release(version)
    assert not said
