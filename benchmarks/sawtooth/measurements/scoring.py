"""Whose attention should score the tokens, in which layer, and at which positions should the kept ones stay? Accuracy
alone, without times, so that pages are read in batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.sawtooth.measurements.reading import Reader, make_inputs
from benchmarks.sawtooth.readers.documents import make_page
from benchmarks.sawtooth.runner import Measurement


RATIOS = (0.5, 0.25)
POSITIONS = ("keep", "repack")
MAX_NEW_TOKENS = 80
BATCH = 20  # pages


@dataclass(frozen=True)
class ScoringReading:
    """One page; `right`: every character of the answer is."""

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
        return [("all", 1, "keep", 1.0), *some]

    def measure(self, reader: Reader, *block) -> list[ScoringReading]:
        queries, layer, positions, keep_ratio = block
        pages = [make_page(index, reader.tile_size) for index in range(self.pages)]
        answers = []
        with scoring(reader.model, queries=queries, layer=layer, positions=positions):
            for start in range(0, len(pages), BATCH):
                images = [page.image for page in pages[start : start + BATCH]]
                views = [reader.views("pyramid any", image) for image in images]
                inputs = make_inputs(reader.processor, images, views)
                answers += reader.generate(inputs, MAX_NEW_TOKENS, keep_ratio=keep_ratio)
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
