"""How the reader of `sheets.py` is trained, stage by stage; `sheet_training.py` goes through it.

Folders are below `runs/`. It begins with what `make train` has learned of words, before it saw a second grid. The last
stages are several, each from the same `base`, which never saw an image cut in two ways: with the second grid of CIP,
with the same grid twice (as much to compute, nothing complementary), with one grid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from benchmarks.sawtooth.cutting import PUBLISHED_RANGES, Ranges
from benchmarks.sawtooth.readers.sequences import Cutting
from benchmarks.sawtooth.readers.sheets import KINDS


class Effort(NamedTuple):
    """Updates of a stage, and pages in each."""

    steps: int
    pages: int


@dataclass(frozen=True)
class SheetStage:
    """
    A model learns to answer questions about pages.

    Args:
        output: Folder of the stage.
        data: Names the random numbers of the pages.
        cuttings: Ways to cut, drawn by their weights for every page.
        cpu: What two cores do in hours.
        gpu: What a GPU does in minutes; drawing the pages takes most of them.
        learning_rate: Of AdamW, at its peak.
        begins_from: Folder of the stage before.
        questions: Most of a page in one sequence.
        trains_tower: Whether the vision tower learns, too.
        kinds: Of the pages, and how often each is drawn.
        keep_ratios: Smallest and largest share of tokens in a step under compression; a quarter of them keeps all.
        steers: Whether the question learns to look where the answer is read: `steering.py`.
        seed: Of the order of things that are drawn in training.
    """

    output: str
    data: str
    cuttings: tuple[Cutting, ...]
    cpu: Effort
    gpu: Effort
    learning_rate: float
    begins_from: str
    questions: int = 8
    trains_tower: bool = True
    kinds: tuple[tuple[str, float], ...] = tuple(KINDS.items())
    keep_ratios: tuple[float, float] | None = None
    steers: bool = False
    seed: int = 0


# One cutting at a time, in many numbers of tiles and with up to three groups: never two different ones.
SMALL_RANGES = Ranges((1, 6), (1, 4))  # whose detailed grid takes a page of so few tiles as large as it is
RANGES = (PUBLISHED_RANGES, SMALL_RANGES, Ranges((2, 9), (2, 6)), Ranges((4, 16), (3, 7)))
ONE_CUTTING = tuple(
    Cutting(method, ranges, weight * (3 if ranges == PUBLISHED_RANGES else 1))
    for ranges in RANGES
    for method, weight in (
        ("detailed + global", 4),
        ("detailed", 1),
        ("second grid repeated", 1.5),
        ("second grid aligned", 1.5),
    )
)
WAYS = {
    "plain": "detailed + global",
    "repeated": "second grid repeated",
    "any": "pyramid any",
    "joint": "pyramid joint",
}
SEEDS = (0, 1, 2)
SHIPPED = "joint"  # goes on under compression

# "words" of `recipe.py` reads words in lower case in one or two tiles, and has never seen an image cut in two ways.
# From random weights the way to all of ASCII is much longer (benchmarks/LOG.md)
BEGINNING = SheetStage(
    "reader/beginning",
    "train beginning",
    (Cutting("detailed + global", SMALL_RANGES, 4), Cutting("detailed", SMALL_RANGES)),
    Effort(1200, 16),
    Effort(2000, 128),
    learning_rate=8e-4,
    begins_from="6m/words",
    kinds=(("full", 0.5), *((kind, 0.5 * share) for kind, share in KINDS.items())),  # many words, few tiles first
)
BASE = SheetStage(
    "reader/base",
    "train base",
    ONE_CUTTING,
    Effort(1000, 16),
    Effort(2500, 128),
    learning_rate=8e-4,
    begins_from="reader/beginning",
    kinds=(("full", 0.25), *((kind, 0.75 * share) for kind, share in KINDS.items())),
)


def last_stage(way: str, seed: int) -> SheetStage:
    """The base trained on with one way to cut; the pages are those of the seed, the same for all ways."""
    return SheetStage(
        f"reader/{way}-{seed}",
        f"train last {seed}",
        (Cutting(WAYS[way]),),
        Effort(150, 16),
        Effort(300, 32),
        4e-4,
        "reader/base",
        seed=seed,
    )


LAST = tuple(last_stage(way, seed) for seed in SEEDS for way in WAYS)
COMPRESSED = SheetStage(
    "reader/compressed",
    "train compressed",
    (Cutting(WAYS[SHIPPED]),),
    Effort(600, 16),
    Effort(600, 64),
    4e-4,
    f"reader/{SHIPPED}-0",
    questions=1,
    trains_tower=False,
    keep_ratios=(0.2, 0.9),
)
STEERED = replace(
    COMPRESSED,
    output="reader/steered",
    data="train steered",
    cpu=Effort(400, 16),
    gpu=Effort(300, 64),
    begins_from=COMPRESSED.output,
    steers=True,
)
STAGES = (BEGINNING, BASE, *LAST, COMPRESSED, STEERED)
