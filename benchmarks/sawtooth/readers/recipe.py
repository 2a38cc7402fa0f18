"""What is trained, in order: every stage of every reader with its settings. `train.py` goes through a recipe.

Folders are below `runs/`; `{size}` is a name in `SIZES`. A stage's `data` names its random numbers, so two stages with
different `data` see different pages, and training words only where it begins with "train". The samples themselves are
in `rendering.py`, the optimizer and what all stages share in `optimizer.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType


SIZES = {
    # name: ((width, layers, heads) of the vision tower, of the language model)
    "3m": ((160, 5, 4), (192, 3, 3)),
    "6m": ((192, 6, 3), (256, 4, 4)),
    "10m": ((256, 6, 4), (320, 4, 5)),
}


@dataclass(frozen=True)
class TowerStage:
    """
    A vision tower learns which character stands where, from 16 pages a step.

    It has random weights, or those of the stage `begins_from`: an InternVL tower, which becomes a SigLIP tower.
    """

    output: str
    data: str
    steps: int
    learning_rate: float
    begins_from: str | None = None


@dataclass(frozen=True)
class ReaderStage:
    """
    A model learns to write down what it sees.

    Args:
        output: Folder of the stage.
        data: Names the random numbers of the pages.
        kinds: Kinds of pages, in turns: see `documents.render`.
        tiles: Settings of the processor; a family's are those of CIP, and none is the family's own processor.
        batch_size: Pages a step.
        learning_rate: Of AdamW, at its peak.
        steps: Updates.
        trains_tower: Whether the vision tower learns, too.
        begins_from: Folder of the stage whose model it goes on with.
        tower: Folder of the stage whose tower a new model begins with.
        reader: Folder of the Mini-Monkey whose language model a family begins with.
        family: `"minimonkey"`, or a name in `families.FAMILIES`.
        evaluation_pages: Held-out pages every 250 steps.
        compression: Settings of `scale_compression_config` that the model has from then on.
        keep_ratios: Smallest and largest share of tokens in a step under compression; a quarter of the steps, or all
            of them without these shares, keep every token.
        stops_after: Updates after which the stage ends, before its learning rate is down; by default `steps`.
        draws: Whether positions and queries are drawn in each step, too: `drawn_compression.py`.
        steers: Whether the question learns to look where the answer is read: `steering.py`.
        points: Whether the question is shown where that stands, if the page knows it.
        kept: Share of the way from the weights that it begins from to the last ones, where the saved ones lie: what
            was known before is forgotten less (M. Wortsman et al., Robust fine-tuning of zero-shot models, 2022).
        muon: Whether matrices learn by Muon, which is slow on a CPU that has no units for bfloat16.
    """

    output: str
    data: str
    kinds: tuple[str, ...]
    tiles: Mapping[str, object]
    batch_size: int
    learning_rate: float
    steps: int
    trains_tower: bool
    begins_from: str | None = None
    tower: str | None = None
    reader: str | None = None
    family: str = "minimonkey"
    evaluation_pages: int = 256
    compression: Mapping[str, object] | None = None
    keep_ratios: tuple[float, float] | None = None
    stops_after: int | None = None
    draws: bool = False
    steers: bool = False
    points: bool = False
    kept: float = 1.0
    muon: bool = True


@dataclass(frozen=True)
class CopyStage:
    """The Mini-Monkey in the folder `reader`, as a model of Transformers' own class of the `family`."""

    output: str
    reader: str
    family: str


SHORT, MIXED = ("word", "lines"), ("mixed",)
# As much as before, so that it isn't forgotten, as the benchmark's documents, and questions for a part; more of those
DOCUMENTS = ("mixed", "document", "mixed", "document", "pair", "mixed", "document", "mixed", "document", "keyed")
PARTS = (
    "mixed",
    "document",
    "pair",
    "mixed",
    "document",
    "keyed",
    "mixed",
    "document",
    "pair",
    "mixed",
)  # more of them
# Documents again, and more questions for one of several numbers
KEYS = ("mixed", "document", "pair", "document", "keyed", "mixed", "document", "keyed", "document", "mixed")
# Half of them questions for one of several numbers, which needs to be found by the word beside it
LOOKED_UP = ("keyed", "mixed", "keyed", "document", "keyed", "pair", "keyed", "mixed", "keyed", "document")
DEFAULT = MappingProxyType({})
PLAIN = MappingProxyType({"adaptive_tiles": None})  # InternVL's tiling: no second grid
TWO_TILES = MappingProxyType({"adaptive_tiles": None, "detailed_tiles": (1, 2)})
JOINT = MappingProxyType({"complementarity": "joint"})
# What loses least without training: the section on scoring in results/6m-pyramid.md
COMPRESSION = MappingProxyType({"queries": "question", "layer": 2, "positions": "keep"})
CIP = MappingProxyType({"adaptive_tiles": (1, 4)})  # in place of a family's own processor
FROZEN, LEARNS = False, True  # the vision tower

STEERED = ReaderStage(
    "{size}/steered",
    "train steered",
    PARTS,
    DEFAULT,
    batch_size=16,
    learning_rate=4e-4,
    steps=400,
    trains_tower=FROZEN,
    begins_from="{size}/compressed",
    keep_ratios=(0.2, 0.9),
    steers=True,
    muon=False,
)
DRAWN = replace(
    STEERED,
    output="{size}/drawn",
    data="train drawn",
    kinds=KEYS,
    steps=500,
    begins_from=STEERED.output,
    draws=True,
)
DRAWN_AGAIN = replace(
    DRAWN, output="{size}/drawn_again", data="train drawn again", steps=700, begins_from=DRAWN.output, muon=True
)
LOOKS_UP = replace(
    DRAWN_AGAIN,
    output="{size}/looks_up",
    data="train looks up",
    kinds=LOOKED_UP,
    learning_rate=6e-4,
    steps=1200,
    begins_from=DRAWN_AGAIN.output,
    points=True,
    kept=0.6,
)

# Folder, random numbers, kinds of pages, tiles, batch size, learning rate, steps, tower, what it begins from
SMALL = (
    TowerStage("{size}/tower", "train", steps=2500, learning_rate=1e-3),
    ReaderStage("{size}/words", "train words", SHORT, TWO_TILES, 32, 1e-3, 1200, FROZEN, tower="{size}/tower"),
    ReaderStage("{size}/pages", "train pages", MIXED, PLAIN, 32, 1e-3, 900, FROZEN, "{size}/words"),
    # A warm restart: the same on new pages, with the learning rate back at its peak
    ReaderStage("{size}/again", "train again", MIXED, PLAIN, 32, 1e-3, 900, FROZEN, "{size}/pages"),
    # With CIP. Its control is trained on as long, still without a second grid.
    ReaderStage("{size}/pyramid", "train pyramid", MIXED, DEFAULT, 16, 4e-4, 400, LEARNS, "{size}/again"),
    ReaderStage("{size}/control", "train control", MIXED, PLAIN, 16, 4e-4, 400, LEARNS, "{size}/again"),
    # With SCM, as the first half of a longer stage; then the question learns to steer it.
    ReaderStage(
        "{size}/compressed",
        "train compressed",
        DOCUMENTS,
        DEFAULT,
        batch_size=16,
        learning_rate=5e-4,
        steps=1200,
        stops_after=500,
        trains_tower=FROZEN,
        begins_from="{size}/pyramid",
        compression=COMPRESSION,
        keep_ratios=(0.2, 0.9),
        muon=False,
    ),
    STEERED,
    # And with positions as serving engines number them; a warm restart on new pages, by Muon
    DRAWN,
    DRAWN_AGAIN,
    # And what stands beside a word is found: the small checkpoint
    LOOKS_UP,
)

# Three times as long after the warm restart, with both grids chosen together and with one grid: is CIP worth it?
LONGER = (
    ReaderStage("{size}/joint", "train joint", MIXED, JOINT, 16, 4e-4, 1200, LEARNS, "{size}/again"),
    ReaderStage("{size}/joint_control", "train joint_control", MIXED, PLAIN, 16, 4e-4, 1200, LEARNS, "{size}/again"),
)


def _family(name: str) -> tuple[ReaderStage, ...]:
    """A family learns to read behind its SigLIP tower, then with CIP and, as long, without."""
    start = {"tower": "siglip", "reader": "{size}/again"}
    end = {"family": name, "evaluation_pages": 128}
    return (
        ReaderStage(f"{name}/words", "train words", SHORT, DEFAULT, 32, 1e-3, 250, FROZEN, **start, **end),
        ReaderStage(f"{name}/pages", "train pages", MIXED, DEFAULT, 32, 1e-3, 300, FROZEN, f"{name}/words", **end),
        ReaderStage(f"{name}/pyramid", "train pyramid", MIXED, CIP, 16, 4e-4, 200, LEARNS, f"{name}/pages", **end),
        ReaderStage(f"{name}/control", "train control", MIXED, DEFAULT, 16, 4e-4, 200, LEARNS, f"{name}/pages", **end),
    )


# Models of other families, begun with what the small checkpoint has learned.
FAMILIES = (
    CopyStage("internvl/pages", "{size}/again", "internvl"),
    CopyStage("internvl/control", "{size}/control", "internvl"),
    CopyStage("internvl/pyramid", "{size}/pyramid", "internvl"),
    TowerStage("siglip", "train", steps=300, learning_rate=3e-4, begins_from="{size}/tower"),
    *_family("llava_onevision"),
    *_family("minicpmv"),
)

RECIPES = {"small": SMALL, "longer": LONGER, "families": FAMILIES}
