"""What does the Scale Compression Mechanism keep and cost? Pages read with part of their detailed tokens.

SCM against choosing tokens at random, evenly spaced, by the length of their features, and against averaging every two
by two, all with the same number of tokens; the layer that scores; positions renumbered or kept. Accuracy and time come
from the same run.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass

import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

from benchmarks.sawtooth.cutting import TOKENS_ALONG
from benchmarks.sawtooth.measurements.reading import Reader, make_inputs
from benchmarks.sawtooth.measurements.scoring import MAX_NEW_TOKENS, scoring
from benchmarks.sawtooth.measurements.selectors import SELECTORS, scored_by
from benchmarks.sawtooth.readers.documents import make_page
from benchmarks.sawtooth.readers.rendering import Page
from benchmarks.sawtooth.readers.scores import character_accuracy
from benchmarks.sawtooth.runner import Measurement
from modeling_minimonkey import scale_compression


RATIOS = (0.75, 0.5, 0.25, 0.1)


@dataclass(frozen=True)
class Compression:
    """One way to compress. `selector` is a name in `SELECTORS`, `"attention"` SCM itself, `"pooled"` two by two."""

    selector: str
    keep_ratio: float
    layer: int = 1
    positions: str = "repack"


FULL = Compression("attention", 1.0)
COMPRESSIONS = [
    FULL,
    *(
        Compression(selector, ratio)
        for ratio in RATIOS
        for selector in ("attention", "random", "evenly spaced", "feature norm")
    ),
    Compression("pooled", 0.25),
    *(Compression("attention", 0.5, layer) for layer in (0, 2, 3)),
    *(Compression("attention", ratio, positions="keep") for ratio in RATIOS),
]


@dataclass(frozen=True)
class CompressedReading:
    """
    One page, read with part of its tokens. Times in s, memory in bytes; `full_seconds`: to the first token of the same
    prompt with all tokens, measured right before or after.
    """

    selector: str
    keep_ratio: float
    layer: int
    positions: str
    page: int
    words: int
    words_read: int
    accuracy: float
    prompt_tokens: int
    kv_bytes: int
    first_token_seconds: float
    full_seconds: float
    answer: str


@contextmanager
def compressing(model, compression: Compression) -> Iterator[None]:
    """Let `compression` choose the tokens instead of the model's own settings, inside the `with` block."""

    def scores(language_model, inputs_embeds, position_ids, images, layer, queries=None):
        return SELECTORS[compression.selector](inputs_embeds[0], images, compression.keep_ratio)

    attention = compression.selector == "attention"
    with scoring(model, layer=compression.layer, positions=compression.positions, queries="all"):
        with scored_by(None if attention else scores):
            yield


def pool(features: torch.Tensor, tile_levels: torch.Tensor) -> torch.Tensor:
    """Put the mean of every two by two tokens of a detailed tile at all four. `features`: (tiles, tokens, hidden)."""
    grid = features.unflatten(1, (TOKENS_ALONG // 2, 2, TOKENS_ALONG // 2, 2))  # (tiles, rows, 2, columns, 2, hidden)
    means = grid.mean(dim=(2, 4), keepdim=True).expand_as(grid).flatten(1, 4)
    return torch.where((tile_levels == scale_compression.DETAILED_LEVEL)[:, None, None], means, features)


def generate(model, inputs: dict, compression: Compression, max_new_tokens: int) -> torch.Tensor:
    """Sequences (1, tokens), greedy, of a prompt that is compressed so."""
    if compression.selector == "pooled":
        features = torch.stack(list(model.get_image_features(inputs["pixel_values"]).pooler_output))
        features = pool(features, inputs["tile_levels"])
        inputs = {name: tensor for name, tensor in inputs.items() if name != "pixel_values"}
        inputs["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=features)}
    settings = {"max_new_tokens": max_new_tokens, "keep_ratio": compression.keep_ratio, "do_sample": False}
    with compressing(model, compression):
        return model.generate(**inputs, **settings)


def first_token_seconds(model, inputs: dict, compression: Compression) -> float:
    """How long the first token takes."""
    start = time.perf_counter()
    generate(model, inputs, compression, 1)
    return time.perf_counter() - start


@torch.no_grad()
def read_compressed(reader: Reader, compression: Compression, pages: Sequence[Page]) -> list[CompressedReading]:
    """Read page by page, as a user does: the time to the first token is that of one prompt."""
    model, processor, readings = reader.model, reader.processor, []
    text = model.config.text_config
    per_token = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * model.dtype.itemsize
    for index, page in enumerate(pages):
        inputs = make_inputs(processor, [page.image], [reader.views("pyramid any", page.image)])
        # Both in turns, so that what else the machine does slows both; the second of them finds warm caches.
        order = [compression, FULL] if index % 2 else [FULL, compression]
        seconds = {each: first_token_seconds(model, inputs, each) for each in order}
        ids = generate(model, inputs, compression, MAX_NEW_TOKENS)[0, inputs["input_ids"].shape[1] :]
        answer = processor.decode(ids, skip_special_tokens=True)
        detailed = int((inputs["tile_levels"] == scale_compression.DETAILED_LEVEL).sum()) * processor.image_seq_length
        kept = scale_compression.kept_count(detailed, compression.keep_ratio)
        tokens = inputs["input_ids"].shape[1] - (detailed - kept)
        words = page.text.split()
        readings.append(
            CompressedReading(
                **asdict(compression),
                page=index,
                words=len(words),
                words_read=sum(word in answer.split() for word in words),
                accuracy=round(character_accuracy(page.text, answer), 4),
                prompt_tokens=tokens,
                kv_bytes=tokens * per_token,
                first_token_seconds=round(seconds[compression], 4),
                full_seconds=round(seconds[FULL], 4),
                answer=answer,
            )
        )
    return readings


@dataclass(frozen=True)
class CompressedPages(Measurement):
    """The first so many `pages`, compressed in every way."""

    pages: int = 100

    name = "compression"
    row = CompressedReading
    block = ("selector", "keep_ratio", "layer", "positions")

    def blocks(self, reader: Reader) -> list[tuple]:
        layers = reader.model.config.text_config.num_hidden_layers
        return [astuple(each) for each in COMPRESSIONS if each.layer < layers]

    def measure(self, reader: Reader, *block) -> list[CompressedReading]:
        pages = [make_page(index, reader.tile_size) for index in range(self.pages)]
        return read_compressed(reader, Compression(*block), pages)
