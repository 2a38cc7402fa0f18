"""
What reading a page takes of a GPU server, counted, and docs/scale.md and docs/scale.png, which say so.

    python -m benchmarks.memory.scale

Takes seconds: nothing is run, and no GPU is measured. Weights and activations are those of results.json, which
`python -m benchmarks.memory.run` computes.
"""

import argparse
import json
import math
from dataclasses import dataclass
from functools import cache

from benchmarks.memory.checkpoints import Checkpoint, cache_bytes, read_checkpoints
from benchmarks.memory.document import GIB, RESERVE
from benchmarks.memory.prefill import PYRAMIDS, TEXT_AFTER, TEXT_BEFORE, Pyramid
from benchmarks.memory.run import DOCUMENT as CHECKPOINTS_DOCUMENT
from benchmarks.memory.run import RESULTS
from benchmarks.speed.costs import Sizes, layer_cost
from modeling_minimonkey import MiniMonkeyConfig
from modeling_minimonkey.engines.image_tokens import kept_tokens
from processing_minimonkey import PyramidPlan


DOCUMENT = CHECKPOINTS_DOCUMENT.with_name("scale.md")
ANSWER = 200  # tokens
PAGES = 1_000_000
KEEP_RATIOS = (1.0, 0.5, 0.25)
NAMES = ("InternVL2-2B", "InternVL2-8B")
TALL, WIDE = (1654, 2339), (2339, 1654)  # A4 at 200 pixels per inch
PAGE_PYRAMIDS = (Pyramid(11, *TALL, "demo"), Pyramid(19, *WIDE, "demo"), Pyramid(33, *TALL, "docvqa"))
BYTES = 2  # of a number in bfloat16

# Defaults of vLLM 0.32
MEMORY_SHARE = 0.92  # `--gpu-memory-utilization`
BLOCK = 16  # tokens whose keys and values are stored together
MOST_PROMPTS = 256  # `--max-num-seqs`
TOKENS_PER_STEP = {"server": 2048, "offline": 8192}  # `--max-num-batched-tokens`, on cards below 70 GB and the A100
IMAGE_CACHE = 4  # GiB, `--mm-processor-cache-gb`


@dataclass(frozen=True)
class Card:
    """
    What its vendor publishes.

    Attributes:
        memory (`int`): GB on the box, taken as GiB.
        speed (`float`): multiplications and additions a second in bfloat16 on dense matrices, summed in float32.
        bandwidth (`float`): bytes a second, of its memory.
        source (`str`): where it is published.
    """

    name: str
    memory: int
    speed: float
    bandwidth: float
    source: str


CARDS = (
    Card("RTX 4090", 24, 165.2e12, 1008e9, "NVIDIA Ada GPU Architecture, appendix A"),
    Card("L40S", 48, 362.05e12, 864e9, "NVIDIA L40S datasheet"),
    Card("A100 80GB SXM", 80, 312e12, 2039e9, "NVIDIA A100 Tensor Core GPU datasheet"),
    Card("H100 SXM", 80, 989.5e12, 3350e9, "NVIDIA H100 Tensor Core GPU datasheet, half of the figure with sparsity"),
)


@dataclass(frozen=True)
class Effort:
    """The share of a card's published `speed` and `bandwidth` that is reached."""

    speed: float
    bandwidth: float


SLOW, FAST = Effort(0.3, 0.5), Effort(0.5, 0.8)


@dataclass(frozen=True)
class Load:
    """
    What one page takes, in tokens, bytes, and operations: multiplications and additions.

    Attributes:
        tiles, tokens (`int`): of the prompt.
        cached (`int`): bytes of keys and values of the prompt.
        held (`int`): bytes of keys and values at the end of the answer, in whole blocks.
        attended (`int`): bytes of keys and values that a token of the answer reads, on average.
        tower, prefill, answer (`float`): operations of all tiles, of the prompt, and of the answer.
    """

    tiles: int
    tokens: int
    cached: int
    held: int
    attended: int
    tower: float
    prefill: float
    answer: float


@dataclass(frozen=True)
class Seconds:
    """How long one page keeps a card busy."""

    tower: float
    prefill: float
    answer: float

    @property
    def total(self) -> float:
        return self.tower + self.prefill + self.answer


@cache
def stored_results() -> dict:
    return json.loads(RESULTS.read_text("utf-8"))["checkpoints"]


def checkpoint(short_name: str) -> Checkpoint:
    (found,) = (each for each in read_checkpoints() if each.short_name == short_name)
    return found


def tower_cost(config: MiniMonkeyConfig) -> float:
    """
    Operations of the vision tower and the projector for one tile.

    With hidden size h, intermediate size i and n = patches + 1 tokens, each of which sees all, a layer costs
    n (8 h h + 4 h i) + 4 h n n.
    """
    vision, text = config.vision_config, config.text_config
    (height, width), (patch_height, patch_width) = vision.image_size, vision.patch_size
    patches = (height // patch_height) * (width // patch_width)
    hidden, tokens = vision.hidden_size, patches + 1
    embedding = 2 * patches * vision.num_channels * patch_height * patch_width * hidden
    layer = tokens * (8 * hidden**2 + 4 * hidden * vision.intermediate_size) + 4 * hidden * tokens**2
    merged = hidden * patches // config.image_seq_length
    projector = 2 * config.image_seq_length * (merged * text.hidden_size + text.hidden_size**2)
    return embedding + vision.num_hidden_layers * layer + projector


def tower_bytes(config: MiniMonkeyConfig) -> int:
    """Those of the matrices of the vision tower's layers, which are nearly all of it."""
    vision = config.vision_config
    layer = 4 * vision.hidden_size**2 + 2 * vision.hidden_size * vision.intermediate_size
    return BYTES * vision.num_hidden_layers * layer


def read_bytes(config: MiniMonkeyConfig) -> int:
    """Those of the weights that each step of an answer reads: the language model's layers and its head."""
    text, sizes = config.text_config, Sizes.of(config.text_config)
    layer = sizes.hidden * (2 * sizes.query + 2 * sizes.key + 3 * sizes.intermediate)
    return BYTES * (sizes.layers * layer + sizes.hidden * text.vocab_size)


def load_of(config: MiniMonkeyConfig, plan: PyramidPlan, keep_ratio: float) -> Load:
    """What a page takes that is cut into `plan`, of which a share `keep_ratio` of the detailed tokens stays."""
    sizes = Sizes.of(config.text_config)
    tokens = TEXT_BEFORE + kept_tokens(plan, config.image_seq_length, keep_ratio) + TEXT_AFTER
    head = 2 * sizes.hidden * config.text_config.vocab_size
    prompt, whole = (sizes.layers * layer_cost(sizes, length) for length in (tokens, tokens + ANSWER))
    return Load(
        tiles=plan.num_tiles,
        tokens=tokens,
        cached=cache_bytes(config, tokens),
        held=cache_bytes(config, BLOCK * math.ceil((tokens + ANSWER) / BLOCK)),
        attended=cache_bytes(config, tokens + ANSWER // 2),
        tower=plan.num_tiles * tower_cost(config),
        prefill=prompt + head,
        answer=whole - prompt + ANSWER * head,
    )


def room(name: str, memory: int) -> float:
    """Bytes for keys and values in the engine's share of `memory` GiB, beside weights and activations."""
    result = stored_results()[checkpoint(name).name]
    largest = result["prefill"][str(PYRAMIDS[-1].tiles)]["1.0"]
    activations = max(largest["vision"], largest["language"] - largest["cache"])
    return (MEMORY_SHARE * memory - RESERVE) * GIB - result["weights"]["bf16"] - activations


def prompts_at_once(name: str, memory: int, load: Load) -> int:
    """How many of them, with their answers, fit beside the weights on a card of `memory` GB; at most the default."""
    return min(MOST_PROMPTS, max(0, int(room(name, memory) // load.held)))


def seconds_of(card: Card, effort: Effort, load: Load, prompts: int, read: int) -> Seconds:
    """
    Of one page on a card that always answers `prompts` at once; `read` are the bytes of weights of one step.

    A step of the answers reads the weights once, for all of them, and the keys and values of each; its operations
    fit into that time.
    """
    speed, bandwidth = effort.speed * card.speed, effort.bandwidth * card.bandwidth
    answer = ANSWER * (read / prompts + load.attended) / bandwidth
    return Seconds(load.tower / speed, load.prefill / speed, max(answer, load.answer / speed))


@dataclass(frozen=True)
class Case:
    """One row of the document: a page of a checkpoint, cut and compressed."""

    name: str
    pyramid: Pyramid
    keep_ratio: float
    load: Load
    read: int

    def prompts(self, memory: int) -> int:
        return prompts_at_once(self.name, memory, self.load)

    def seconds(self, card: Card, effort: Effort) -> Seconds | None:
        """`None`: not one prompt fits."""
        prompts = self.prompts(card.memory)
        return seconds_of(card, effort, self.load, prompts, self.read) if prompts else None


def cases(names: tuple[str, ...] = NAMES) -> list[Case]:
    found = []
    for name in names:
        config = checkpoint(name).config
        found += [
            Case(name, pyramid, ratio, load_of(config, pyramid.plan, ratio), read_bytes(config))
            for pyramid in PAGE_PYRAMIDS
            for ratio in KEEP_RATIOS
        ]
    return found


def find(rows: list[Case], name: str, tiles: int, keep_ratio: float) -> Case:
    """The one of these."""
    wanted = name, tiles, keep_ratio
    (found,) = (case for case in rows if (case.name, case.pyramid.tiles, case.keep_ratio) == wanted)
    return found


def main() -> None:
    from benchmarks.memory.scale_document import document
    from benchmarks.memory.scale_figure import draw

    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    DOCUMENT.write_text(document(cases()), "utf-8")
    draw(cases(), DOCUMENT.with_suffix(".png"))


if __name__ == "__main__":
    main()
