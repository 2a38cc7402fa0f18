"""How the reader of `sheets.py` is trained, stage by stage; `sheet_training.py` goes through it.

Folders are below `runs/`. The last stages are several, each from the same `base`, which never saw an image cut in two
ways: with the second grid of CIP, with the same grid twice (as much to compute, nothing complementary), with one grid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.sawtooth.cutting import PUBLISHED_RANGES, Ranges
from benchmarks.sawtooth.readers.sequences import Cutting
from benchmarks.sawtooth.readers.sheets import KINDS


@dataclass(frozen=True)
class TileStage:
    """A vision tower of random weights learns which character stands where, from tiles of so many pages a step."""

    output: str
    steps: int
    learning_rate: float
    batch_size: int = 32
    seed: int = 0


@dataclass(frozen=True)
class SheetStage:
    """
    A model learns to answer questions about pages.

    Args:
        output: Folder of the stage.
        data: Names the random numbers of the pages.
        cuttings: Ways to cut, drawn by their weights for every page.
        steps: Updates.
        learning_rate: Of AdamW, at its peak.
        begins_from: Folder of the stage before: a tower, or a model.
        questions: Most of a page in one sequence.
        trains_tower: Whether the vision tower learns, too.
        batch_size: Pages a step.
        kinds: Of the pages, and how often each is drawn.
        keep_ratios: Smallest and largest share of tokens in a step under compression; a quarter of them keeps all.
        steers: Whether the question learns to look where the answer is read: `steering.py`.
        seed: Of the order of things that are drawn in training.
    """

    output: str
    data: str
    cuttings: tuple[Cutting, ...]
    steps: int
    learning_rate: float
    begins_from: str
    questions: int = 8
    trains_tower: bool = True
    batch_size: int = 16
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

TOWER = TileStage("reader/tower", steps=2000, learning_rate=1e-3, batch_size=16)
BEGINNING = SheetStage(
    "reader/beginning",
    "train beginning",
    (Cutting("detailed + global", SMALL_RANGES, 4), Cutting("detailed", SMALL_RANGES)),
    steps=800,
    learning_rate=1e-3,
    begins_from="reader/tower",
    trains_tower=False,
    kinds=(("full", 0.6), ("lines", 0.15), ("sign", 0.25)),  # few tiles, and many words for them, first
)
BASE = SheetStage(
    "reader/base",
    "train base",
    ONE_CUTTING,
    steps=1800,
    learning_rate=1e-3,
    begins_from="reader/beginning",
    trains_tower=False,
    kinds=(("full", 0.25), *((kind, 0.75 * share) for kind, share in KINDS.items())),
)


def last_stage(way: str, seed: int) -> SheetStage:
    """The base trained on with one way to cut; the pages are those of the seed, the same for all ways."""
    cuttings = (Cutting(WAYS[way]),)
    return SheetStage(f"reader/{way}-{seed}", f"train last {seed}", cuttings, 150, 4e-4, "reader/base", seed=seed)


LAST = tuple(last_stage(way, seed) for seed in SEEDS for way in WAYS)
COMPRESSED = SheetStage(
    "reader/compressed",
    "train compressed",
    (Cutting(WAYS[SHIPPED]),),
    600,
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
    steps=400,
    begins_from=COMPRESSED.output,
    steers=True,
)
STAGES = (TOWER, BEGINNING, BASE, *LAST, COMPRESSED, STEERED)
