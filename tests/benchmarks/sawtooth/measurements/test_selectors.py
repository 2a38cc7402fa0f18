"""Ways to choose tokens without attention."""

import numpy as np
import pytest
import torch

from benchmarks.sawtooth.cutting import METHODS, TOKENS_ALONG
from benchmarks.sawtooth.measurements.selectors import SELECTORS, ink, page_scores, scored_by, text
from benchmarks.sawtooth.readers.documents import make_page
from modeling_minimonkey import scale_compression


@pytest.mark.parametrize("name", SELECTORS)
def test_selectors_prefer_as_many_tokens_as_are_kept(name):
    torch.manual_seed(0)
    images = torch.tensor([0, *[1] * 32, 0, *[2] * 16, 0])  # an image of two detailed tiles, one of one
    scores = SELECTORS[name](torch.randn(len(images), 8), images, 0.25)
    kept = scale_compression.select_tokens(scores, images, 0.25)
    assert [int((kept & (images == image)).sum()) for image in (1, 2)] == [8, 4]
    if name == "evenly spaced":
        gaps = (kept & (images == 1)).nonzero()[:, 0].diff()
        assert gaps.min() >= 4 and gaps.max() <= 5
    if name == "pooled":
        tokens = (kept & (images == 2)).nonzero()[:, 0] - 34
        assert tokens.tolist() == [0, 2, 8, 10]  # upper left corners of a tile of four by four


@pytest.fixture(scope="module")
def page_and_view():
    page = make_page(4, 112)
    return page, METHODS["pyramid any"](*page.image.size, 112, None)[0]


def test_ink_is_where_pixels_differ(page_and_view):
    page, view = page_and_view
    scores = ink(page, view).reshape(-1, TOKENS_ALONG, TOKENS_ALONG)
    for number, tile in enumerate(view.cut(page.image)):
        pixels = np.asarray(tile.convert("L"), np.float32)
        cell = pixels[28:56, 84:112]  # second row, last column
        assert scores[number, 1, 3] == pytest.approx(cell.std(), rel=1e-5)


def test_text_first_then_ink(page_and_view):
    page, view = page_and_view
    scores, by_ink = text(page, view), ink(page, view)
    on = scores >= 1
    assert 0 < on.sum() < len(on) and by_ink[on].mean() > 2 * by_ink[~on].mean()
    assert (np.argsort(scores[~on]) == np.argsort(by_ink[~on])).all()


def test_a_page_without_a_model(page_and_view):
    page, view = page_and_view
    images = torch.ones(len(view.boxes) * TOKENS_ALONG**2, dtype=torch.long)
    spaced = torch.from_numpy(page_scores("evenly spaced", page, view, 0.25))
    assert scale_compression.select_tokens(spaced, images, 0.25).sum() == len(images) // 4
    assert len(set(page_scores("random", page, view, 0.25).tolist())) == len(images)


def test_no_other_scores_without_a_function():
    original = scale_compression.score_detailed_tokens
    with scored_by(None):
        assert scale_compression.score_detailed_tokens is original
