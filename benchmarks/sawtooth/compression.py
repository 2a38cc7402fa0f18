"""What does the Scale Compression Mechanism keep and cost? Pages read with part of their detailed tokens.

    python -m benchmarks.sawtooth.compression CHECKPOINT [--pages 100]

SCM against choosing tokens at random, evenly spaced, by the length of their features, and against averaging every two
by two, all with the same number of tokens; the layer that scores; positions renumbered or kept. Accuracy and time come
from the same run. Writes results/compression-NAME.csv, a row per page; started again, it goes on.
"""

import argparse
import csv
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm
from transformers.modeling_outputs import BaseModelOutputWithPooling

from benchmarks.sawtooth.documents import make_page
from benchmarks.sawtooth.methods import METHODS
from benchmarks.sawtooth.reading import character_accuracy, make_inputs
from benchmarks.sawtooth.sweep import FOLDER, append_rows
from modeling_minimonkey import MiniMonkeyForConditionalGeneration, scale_compression
from processing_minimonkey import MiniMonkeyProcessor


RATIOS = (0.75, 0.5, 0.25, 0.1)
MAX_NEW_TOKENS = 80


@dataclass(frozen=True)
class Way:
    """One way to compress. `selector` is a name in `SELECTORS`, `"attention"` SCM itself, `"pooled"` two by two."""

    selector: str
    keep_ratio: float
    layer: int = 1
    positions: str = "repack"


FULL = Way("attention", 1.0)
WAYS = [
    FULL,
    *(
        Way(selector, ratio)
        for ratio in RATIOS
        for selector in ("attention", "random", "evenly spaced", "feature norm")
    ),
    Way("pooled", 0.25),
    *(Way("attention", 0.5, layer) for layer in (0, 2, 3)),
    *(Way("attention", ratio, positions="keep") for ratio in RATIOS),
]


@dataclass(frozen=True)
class PageReading:
    """
    One row of the results. `loyal`: the answer is that of the uncompressed model. Times in s, memory in bytes;
    `full_seconds`: to the first token of the same prompt with all tokens, measured right before or after.
    """

    selector: str
    keep_ratio: float
    layer: int
    positions: str
    page: int
    words: int
    words_read: int
    accuracy: float
    exact: bool
    loyal: bool
    prompt_tokens: int
    kv_bytes: int
    first_token_seconds: float
    full_seconds: float
    answer: str


def random_scores(embeds: torch.Tensor, images: torch.Tensor, keep_ratio: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(int(images.sum()))
    return torch.rand(images.shape, generator=generator)


def evenly_spaced_scores(embeds: torch.Tensor, images: torch.Tensor, keep_ratio: float) -> torch.Tensor:
    """One for as many tokens as are kept, the others zero."""
    scores = torch.zeros(images.shape)
    for image in images[images > 0].unique().tolist():
        tokens = (images == image).nonzero()[:, 0]
        number = scale_compression.kept_count(len(tokens), keep_ratio)
        scores[tokens[torch.linspace(0, len(tokens) - 1, number).round().long()]] = 1.0
    return scores


def norm_scores(embeds: torch.Tensor, images: torch.Tensor, keep_ratio: float) -> torch.Tensor:
    return embeds.float().norm(dim=-1)


def corner_scores(embeds: torch.Tensor, images: torch.Tensor, keep_ratio: float) -> torch.Tensor:
    """One for the upper left token of every two by two: `pool` has put the mean of the four there."""
    tokens = (images > 0).nonzero()[:, 0]
    side = SIDE
    place = torch.arange(len(tokens)) % side**2
    scores = torch.zeros(images.shape)
    scores[tokens] = ((place // side % 2 == 0) & (place % side % 2 == 0)).float()
    return scores


SIDE = 4  # tokens along a tile's side, of the small checkpoints
SELECTORS = {
    "random": random_scores,
    "evenly spaced": evenly_spaced_scores,
    "feature norm": norm_scores,
    "pooled": corner_scores,
}


@contextmanager
def selecting(way: Way) -> Iterator[None]:
    """Let something else than attention choose the tokens, inside the `with` block."""
    original = scale_compression.score_detailed_tokens

    def scores(language_model, inputs_embeds, position_ids, images, layer):
        return SELECTORS[way.selector](inputs_embeds[0], images, way.keep_ratio)

    if way.selector != "attention":
        scale_compression.score_detailed_tokens = scores
    try:
        yield
    finally:
        scale_compression.score_detailed_tokens = original


def pool(features: torch.Tensor, tile_levels: torch.Tensor) -> torch.Tensor:
    """Put the mean of every two by two tokens of a detailed tile at all four. `features`: (tiles, tokens, hidden)."""
    grid = features.unflatten(1, (SIDE // 2, 2, SIDE // 2, 2))  # (tiles, rows, 2, columns, 2, hidden)
    means = grid.mean(dim=(2, 4), keepdim=True).expand_as(grid).flatten(1, 4)
    return torch.where((tile_levels == scale_compression.DETAILED_LEVEL)[:, None, None], means, features)


def generate(model, inputs: dict, way: Way, max_new_tokens: int) -> torch.Tensor:
    settings = model.config.scale_compression_config
    settings.layer, settings.positions = way.layer, way.positions
    if way.selector == "pooled":
        features = torch.stack(list(model.get_image_features(inputs["pixel_values"]).pooler_output))
        features = pool(features, inputs["tile_levels"])
        inputs = {name: tensor for name, tensor in inputs.items() if name != "pixel_values"}
        inputs["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=features)}
    with selecting(way):
        return model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False, keep_ratio=way.keep_ratio)


def first_token_seconds(model, inputs: dict, way: Way) -> float:
    start = time.perf_counter()
    generate(model, inputs, way, 1)
    return time.perf_counter() - start


@torch.no_grad()
def answer_pages(model, processor, way: Way, pages: list, full: list[str] | None) -> list[PageReading]:
    """Read page by page, as a user does: the time to the first token is that of one prompt."""
    tile_size, readings = processor.image_processor.size["height"], []
    text = model.config.text_config
    per_token = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * model.dtype.itemsize
    for index, page in enumerate(pages):
        views = METHODS["pyramid any"](*page.image.size, tile_size, np.random.default_rng(0))
        inputs = make_inputs(processor, [page.image], [views])
        # Both in turns, so that what else the machine does slows both; the second of them finds warm caches.
        order = [way, FULL] if index % 2 else [FULL, way]
        seconds = {each: first_token_seconds(model, inputs, each) for each in order}
        ids = generate(model, inputs, way, MAX_NEW_TOKENS)[0, inputs["input_ids"].shape[1] :]
        answer = processor.decode(ids, skip_special_tokens=True)
        detailed = int((inputs["tile_levels"] == scale_compression.DETAILED_LEVEL).sum()) * processor.image_seq_length
        tokens = inputs["input_ids"].shape[1] - (detailed - scale_compression.kept_count(detailed, way.keep_ratio))
        words = page.text.split()
        readings.append(
            PageReading(
                **asdict(way),
                page=index,
                words=len(words),
                words_read=sum(word in answer.split() for word in words),
                accuracy=round(character_accuracy(page.text, answer), 4),
                exact=answer == page.text,
                loyal=full is None or answer == full[index],
                prompt_tokens=tokens,
                kv_bytes=tokens * per_token,
                first_token_seconds=round(seconds[way], 4),
                full_seconds=round(seconds[FULL], 4),
                answer=answer,
            )
        )
    return readings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--name", help="of the results; default: the folder's")
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = MiniMonkeyForConditionalGeneration.from_pretrained(arguments.checkpoint, dtype=torch.float32).eval()
    processor = MiniMonkeyProcessor.from_pretrained(arguments.checkpoint)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"compression-{arguments.name or arguments.checkpoint.name}.csv"
    names, rows = list(Way.__dataclass_fields__), []
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    done = {tuple(row[name] for name in names) for row in rows}
    full = [row["answer"] for row in rows if float(row["keep_ratio"]) == 1.0] or None
    pages = [make_page(index, processor.image_processor.size["height"]) for index in range(arguments.pages)]
    layers = model.config.text_config.num_hidden_layers
    ways = [way for way in WAYS if way.layer < layers and tuple(map(str, asdict(way).values())) not in done]
    for way in tqdm(ways):
        readings = answer_pages(model, processor, way, pages, full)
        full = full or [reading.answer for reading in readings]
        append_rows(path, readings)


if __name__ == "__main__":
    main()
