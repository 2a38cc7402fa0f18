"""
Other ways to choose tokens than attention: at random, evenly spaced, the length of features, ink, and what can't be
known, where text is. Each scores tokens, and of every image the share `keep_ratio` with the highest scores stays.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from benchmarks.sawtooth.cutting import TOKENS_ALONG, View, tokens_on
from benchmarks.sawtooth.measurements.pages import word_boxes
from benchmarks.sawtooth.readers.rendering import Page
from modeling_minimonkey import scale_compression


@contextmanager
def scored_by(scores: Callable[..., torch.Tensor] | None) -> Iterator[None]:
    """Let `scores`, called as `score_detailed_tokens` is, choose the tokens inside the `with` block, unless None."""
    original = scale_compression.score_detailed_tokens
    if scores is not None:
        scale_compression.score_detailed_tokens = scores
    try:
        yield
    finally:
        scale_compression.score_detailed_tokens = original


# Of a prompt: scores (tokens,) from embeddings (tokens, hidden); `images` (tokens,) is the image of each detailed
# token, from 1, and 0 of the others.


def random_scores(embeds: torch.Tensor | None, images: torch.Tensor, keep_ratio: float) -> torch.Tensor:
    """The same for equal prompts."""
    generator = torch.Generator().manual_seed(int(images.sum()))
    return torch.rand(images.shape, generator=generator)


def evenly_spaced_scores(embeds: torch.Tensor | None, images: torch.Tensor, keep_ratio: float) -> torch.Tensor:
    """One for as many tokens as are kept, the others zero."""
    scores = torch.zeros(images.shape)
    for image in images[images > 0].unique().tolist():
        tokens = (images == image).nonzero()[:, 0]
        number = scale_compression.kept_count(len(tokens), keep_ratio)
        scores[tokens[torch.linspace(0, len(tokens) - 1, number).round().long()]] = 1.0
    return scores


def norm_scores(embeds: torch.Tensor, images: torch.Tensor, keep_ratio: float) -> torch.Tensor:
    """The length of a token's features."""
    return embeds.float().norm(dim=-1)


def corner_scores(embeds: torch.Tensor | None, images: torch.Tensor, keep_ratio: float) -> torch.Tensor:
    """One for the upper left token of every two by two, where `pool` has put the mean of the four."""
    tokens = (images > 0).nonzero()[:, 0]
    place = torch.arange(len(tokens)) % TOKENS_ALONG**2
    scores = torch.zeros(images.shape)
    scores[tokens] = ((place // TOKENS_ALONG % 2 == 0) & (place % TOKENS_ALONG % 2 == 0)).float()
    return scores


SELECTORS = {
    "random": random_scores,
    "evenly spaced": evenly_spaced_scores,
    "feature norm": norm_scores,
    "pooled": corner_scores,
}


# Of a page: scores of its detailed tokens, in the order of `view`, float32 of shape (tokens,). `along`: tokens along a
# side of a tile.


def ink(page: Page, view: View, along: int = TOKENS_ALONG) -> np.ndarray:
    """How much the pixels of a token differ, as their standard deviation."""
    tiles = np.stack([np.asarray(tile.convert("L"), np.float32) for tile in view.cut(page.image)])
    step = tiles.shape[1] // along
    cells = tiles.reshape(len(tiles), along, step, along, step)  # (tiles, rows, px, columns, px)
    return cells.std(axis=(2, 4)).reshape(-1)


def text(page: Page, view: View, along: int = TOKENS_ALONG) -> np.ndarray:
    """One for tokens that show a part of a word, the others by their ink: what only who drew the page can know."""
    on = [tokens_on(view, page.image.size, box, along) for _, box in word_boxes(page)]
    return np.any(on, axis=0).astype(np.float32) + ink(page, view, along) / 1000


def page_scores(name: str, page: Page, view: View, keep_ratio: float) -> np.ndarray:
    """Scores of a page's detailed tokens by the name of a selector that asks no model."""
    if name in ("ink", "text"):
        return {"ink": ink, "text": text}[name](page, view)
    images = torch.ones(len(view.boxes) * TOKENS_ALONG**2, dtype=torch.long)
    return SELECTORS[name](None, images, keep_ratio).numpy()
