"""Whose attention should score the tokens, in which layer, and at which positions should the kept ones stay? Accuracy
alone, without times, so that pages are read in batches. Beside it the same pages, their tokens chosen by no model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.sawtooth.cutting import DETAILED
from benchmarks.sawtooth.measurements.reading import Reader, make_inputs
from benchmarks.sawtooth.measurements.selectors import page_scores, scored_by
from benchmarks.sawtooth.readers.documents import make_page
from benchmarks.sawtooth.readers.rendering import Page
from benchmarks.sawtooth.runner import Measurement


RATIOS = (0.5, 0.25)
POSITIONS = ("keep", "repack")
BASELINES = ("random", "evenly spaced", "ink", "text")  # of `selectors.page_scores`
MAX_NEW_TOKENS = 80
BATCH = 20  # pages


@dataclass(frozen=True)
class ScoringReading:
    """One page. `queries`: of the configuration, or a name in `BASELINES`; `right`: every character is."""

    queries: str
    layer: int
    positions: str
    keep_ratio: float
    page: int
    words: int
    words_read: int
    right: bool


@contextmanager
def scoring(model, **settings) -> Iterator[None]:
    """Let a model compress with these settings of its `scale_compression_config`, inside the `with` block."""
    config = model.config.scale_compression_config
    own = {name: getattr(config, name) for name in settings}
    for name, value in settings.items():
        setattr(config, name, value)
    try:
        yield
    finally:
        for name, value in own.items():
            setattr(config, name, value)


@dataclass(frozen=True)
class Scoring(Measurement):
    """The first so many `pages`, compressed by every choice of queries, layer and positions."""

    pages: int = 200

    name = "scoring"
    row = ScoringReading
    block = ("queries", "layer", "positions", "keep_ratio")

    def blocks(self, reader: Reader) -> list[tuple]:
        layers = reader.model.config.text_config.num_hidden_layers
        # Without queries there is no layer; 0 stands for it
        scores = [("all", layer) for layer in range(layers)] + [("question", layer) for layer in range(layers)]
        scores.append(("none", 0))
        some = [(*score, positions, ratio) for positions in POSITIONS for ratio in RATIOS for score in scores]
        others = [(name, 0, "keep", ratio) for ratio in RATIOS for name in BASELINES]
        return [("all", 1, "keep", 1.0), *some, *others]

    def measure(self, reader: Reader, *block) -> list[ScoringReading]:
        queries, layer, positions, keep_ratio = block
        pages = [make_page(index, reader.tile_size) for index in range(self.pages)]
        answers = []
        for start in range(0, len(pages), BATCH):
            answers += self._read(reader, pages[start : start + BATCH], *block)
        return [
            ScoringReading(
                *block,
                page=index,
                words=len(page.text.split()),
                words_read=sum(word in answer.split() for word in page.text.split()),
                right=answer == page.text,
            )
            for index, (page, answer) in enumerate(zip(pages, answers, strict=True))
        ]

    def _read(self, reader: Reader, pages: list[Page], queries, layer, positions, keep_ratio) -> list[str]:
        views = [reader.views("pyramid any", page.image) for page in pages]
        inputs = make_inputs(reader.processor, [page.image for page in pages], views)
        scores = None
        if queries in BASELINES:
            rows = zip(pages, (each[0] for each in views), strict=True)
            detailed = [(page, view) for page, view in rows if view.level == DETAILED]
            scores = given_scores([page_scores(queries, page, view, keep_ratio) for page, view in detailed])
            queries = "all"
        with scoring(reader.model, queries=queries, layer=layer, positions=positions), scored_by(scores):
            return reader.generate(inputs, MAX_NEW_TOKENS, keep_ratio=keep_ratio)


def given_scores(rows: list[np.ndarray]) -> Callable[..., torch.Tensor]:
    """In place of `score_detailed_tokens`, which is called once for each row that has detailed tokens."""

    remaining = iter(rows)

    def scores(language_model, inputs_embeds, position_ids, images, layer, queries=None):
        placed = torch.zeros(images.shape)
        placed[images > 0] = torch.from_numpy(next(remaining))
        return placed

    return scores
