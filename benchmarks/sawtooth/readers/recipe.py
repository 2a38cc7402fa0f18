"""What is trained, in order: every stage of every reader with its settings. `train.py` goes through a recipe.

Folders are below `runs/`; `{size}` is a name in `SIZES`. A stage's `data` names its random numbers, so two stages with
different `data` see different pages, and training words only where it begins with "train". The samples themselves are
in `rendering.py`, the optimizer and what all stages share in `optimizer.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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

    `output` and `begins_from` are folders of stages: an InternVL tower with random weights, or where `begins_from` is
    given, the SigLIP tower with the weights of that stage's InternVL tower.
    """

    output: str
    steps: int
    learning_rate: float
    data: str = "train"
    begins_from: str | None = None


@dataclass(frozen=True)
class ReaderStage:
    """
    A model learns to write down what it sees.

    Args:
        output: Folder of the stage.
        data: Names the random numbers of the pages.
        kinds: Kinds of pages, in turns: see `rendering.render`.
        tiles: Settings of the processor; a family's are those of CIP, and none is the family's own processor.
        batch_size: Pages a step.
        learning_rate: Of AdamW, at its peak.
        steps: Updates.
        trains_tower: Whether the vision tower learns, too.
        family: `"minimonkey"`, or a name in `families.FAMILIES`.
        begins_from: Folder of the stage whose model it goes on with.
        reader: Folder of the Mini-Monkey that a family begins with: its language model, and all of it for InternVL.
        tower: Folder of the stage whose tower a new model begins with.
        evaluation_pages: Held-out pages every 250 steps.
    """

    output: str
    data: str
    kinds: tuple[str, ...]
    batch_size: int
    learning_rate: float
    steps: int
    trains_tower: bool
    tiles: Mapping[str, object] = field(default_factory=dict)
    family: str = "minimonkey"
    begins_from: str | None = None
    reader: str | None = None
    tower: str | None = None
    evaluation_pages: int = 256


@dataclass(frozen=True)
class CopyStage:
    """The Mini-Monkey in the folder `reader`, as a model of Transformers' own class of the `family`."""

    output: str
    family: str
    reader: str


PLAIN = {"adaptive_tiles": None}  # InternVL's tiling: no second grid

# The small checkpoint, and its control: trained on as long as the last stage, still without a second grid.
SMALL = (
    TowerStage("{size}/tower", steps=2500, learning_rate=1e-3),
    ReaderStage(
        "{size}/words",
        data="train words",
        kinds=("word", "lines"),
        tiles={"detailed_tiles": (1, 2)} | PLAIN,
        batch_size=32,
        learning_rate=1e-3,
        steps=1200,
        trains_tower=False,
        tower="{size}/tower",
    ),
    ReaderStage(
        "{size}/pages",
        data="train pages",
        kinds=("mixed",),
        tiles=PLAIN,
        batch_size=32,
        learning_rate=1e-3,
        steps=900,
        trains_tower=False,
        begins_from="{size}/words",
    ),
    # A warm restart: the same again on new pages, with the learning rate back at its peak
    ReaderStage(
        "{size}/again",
        data="train again",
        kinds=("mixed",),
        tiles=PLAIN,
        batch_size=32,
        learning_rate=1e-3,
        steps=900,
        trains_tower=False,
        begins_from="{size}/pages",
    ),
    ReaderStage(
        "{size}/pyramid",
        data="train pyramid",
        kinds=("mixed",),
        batch_size=16,
        learning_rate=4e-4,
        steps=400,
        trains_tower=True,
        begins_from="{size}/again",
    ),
    ReaderStage(
        "{size}/control",
        data="train control",
        kinds=("mixed",),
        tiles=PLAIN,
        batch_size=16,
        learning_rate=4e-4,
        steps=400,
        trains_tower=True,
        begins_from="{size}/again",
    ),
)

# Three times as long after the warm restart, with both grids chosen together and with one grid: is CIP worth it?
LONGER = (
    ReaderStage(
        "{size}/joint",
        data="train joint",
        kinds=("mixed",),
        tiles={"complementarity": "joint"},
        batch_size=16,
        learning_rate=4e-4,
        steps=1200,
        trains_tower=True,
        begins_from="{size}/again",
    ),
    ReaderStage(
        "{size}/joint_control",
        data="train joint_control",
        kinds=("mixed",),
        tiles=PLAIN,
        batch_size=16,
        learning_rate=4e-4,
        steps=1200,
        trains_tower=True,
        begins_from="{size}/again",
    ),
)


def _family(family: str) -> tuple[ReaderStage, ...]:
    """A family learns to read behind its SigLIP tower, then with CIP and, as long, without."""
    shared = {"family": family, "evaluation_pages": 128}
    return (
        ReaderStage(
            f"{family}/words",
            data="train words",
            kinds=("word", "lines"),
            batch_size=32,
            learning_rate=1e-3,
            steps=250,
            trains_tower=False,
            reader="{size}/again",
            tower="siglip",
            **shared,
        ),
        ReaderStage(
            f"{family}/pages",
            data="train pages",
            kinds=("mixed",),
            batch_size=32,
            learning_rate=1e-3,
            steps=300,
            trains_tower=False,
            begins_from=f"{family}/words",
            **shared,
        ),
        ReaderStage(
            f"{family}/pyramid",
            data="train pyramid",
            kinds=("mixed",),
            tiles={"adaptive_tiles": (1, 4)},
            batch_size=16,
            learning_rate=4e-4,
            steps=200,
            trains_tower=True,
            begins_from=f"{family}/pages",
            **shared,
        ),
        ReaderStage(
            f"{family}/control",
            data="train control",
            kinds=("mixed",),
            batch_size=16,
            learning_rate=4e-4,
            steps=200,
            trains_tower=True,
            begins_from=f"{family}/pages",
            **shared,
        ),
    )


# Models of other families, begun with what the small checkpoint has learned.
FAMILIES = (
    CopyStage("internvl/pages", family="internvl", reader="{size}/again"),
    CopyStage("internvl/control", family="internvl", reader="{size}/control"),
    CopyStage("internvl/pyramid", family="internvl", reader="{size}/pyramid"),
    TowerStage("siglip", steps=300, learning_rate=3e-4, begins_from="{size}/tower"),
    *_family("llava_onevision"),
    *_family("minicpmv"),
)

RECIPES = {"small": SMALL, "longer": LONGER, "families": FAMILIES}
