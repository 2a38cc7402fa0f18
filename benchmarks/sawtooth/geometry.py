"""Task 3, no model needed: which share of the words on a page is cut in every group that shows them legibly?

    python -m benchmarks.sawtooth.geometry

Compares the rules of `complementarity`, the cost of `joint` at other weights and for the second grid alone (balanced),
a shifted, a random and an aligned second grid, overlapping tiles, none, and none with as many tiles as `any` has in
both grids, over the ranges of the published settings. Writes geometry.csv, geometry.png and GEOMETRY.md.

Pages: aspect ratio log-uniform from 1:3 to 3:1, longer side from 448 px to 2,800 px. Words: 60 boxes per page, as high
as 1/90 to 1/12 of the page's longer side, 1 to 10 letters of 0.55 times the height, anywhere. All from one seed.
"""

import csv
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

from benchmarks.sawtooth.statistics import bootstrap
from processing_minimonkey import PYRAMID_SETTINGS, plan_pyramid
from processing_minimonkey.complementary_image_pyramid import COMPLEMENTARITIES


FOLDER = Path(__file__).parent
PAGES, WORDS, TILE_SIZE = 600, 60, 448
LEGIBLE = 12  # px of height in the tile, about what reading needs
# The different ranges among the published settings.
SETTINGS = ("demo", "docvqa", "ocrbench", "infovqa", "chartqa", "default", "realworldqa", "train")
COMPARED = (
    "disjoint",
    "balanced 0.3",
    "joint",
    "shifted",
    "overlap + global",
    "detailed + global, tiles of any",
)
WEIGHTS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
JOINT_WEIGHTS = (0.1, 0.2, 0.5, 1.0)  # beside 0.3, which `joint` has

RANGES = ("detailed_tiles", "adaptive_tiles")
OVERLAP = 0.25  # of a tile's side, where tiles overlap

Grid = tuple[int, int]


@dataclass(frozen=True)
class Group:
    """A grid of tiles: columns and rows, moved by `shift` tiles, each sharing `overlap` of its side with the next."""

    grid: Grid
    shift: tuple[float, float] = (0.0, 0.0)
    overlap: float = 0.0

    @property
    def tiles(self) -> int:
        return math.prod(side + (move > 0) for side, move in zip(self.grid, self.shift, strict=True))

    @property
    def canvas(self) -> tuple[float, float]:
        """Width and height in tiles."""
        columns, rows = (1 + (side - 1) * (1 - self.overlap) for side in self.grid)
        return columns, rows


@dataclass(frozen=True)
class Row:
    """
    One result. `cut`: words that no group shows whole and legibly; `cut_both`: that both grids cut; `distortion`: of
    the second grid, `detailed_distortion` of the first.
    """

    setting: str
    rule: str
    pages: int
    words: int
    cut: float
    cut_low: float
    cut_high: float
    cut_both: float
    cut_detailed: float
    distortion_median: float
    distortion_90: float
    detailed_distortion_90: float
    tiles: float


def make_pages(number: int = PAGES, words: int = WORDS, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sizes (pages, 2) in px, and boxes (pages, words, 4): left, top, right, bottom as shares of the page."""
    rng = np.random.default_rng(seed)
    aspect = np.exp(rng.uniform(-math.log(3), math.log(3), number))
    longer = np.exp(rng.uniform(math.log(448), math.log(2800), number))
    width, height = np.where(aspect > 1, longer, longer * aspect), np.where(aspect > 1, longer / aspect, longer)
    sizes = np.stack([width, height], axis=1).round().astype(int)
    high = np.exp(rng.uniform(-math.log(90), -math.log(12), (number, words))) * longer[:, None]  # px
    wide = 0.55 * high * rng.integers(1, 11, (number, words))
    wide, high = np.minimum(wide / sizes[:, :1], 0.98), np.minimum(high / sizes[:, 1:], 0.98)
    left, top = rng.uniform(size=(2, number, words)) * np.stack([1 - wide, 1 - high])
    return sizes, np.stack([left, top, left + wide, top + high], axis=-1)


def is_cut(boxes: np.ndarray, group: Group) -> np.ndarray:
    """Whether no tile of the group holds all of a box (..., 4)."""
    cut, stride = np.zeros(boxes.shape[:-1], bool), 1 - group.overlap
    for axis, (number, moved) in enumerate(zip(group.grid, group.shift, strict=True)):
        first = boxes[..., axis] * group.canvas[axis] + moved  # in tiles
        last = boxes[..., axis + 2] * group.canvas[axis] + moved
        tiles = number + (moved > 0)
        # Tile k reaches from k * stride to k * stride + 1; what rounding may add is left aside
        lowest = np.ceil((last - 1) / stride - 1e-9).clip(min=0)
        highest = np.floor(first / stride + 1e-9).clip(max=tiles - 1)
        cut |= lowest > highest
    return cut


def is_legible(boxes: np.ndarray, group: Group) -> np.ndarray:
    return (boxes[..., 3] - boxes[..., 1]) * group.canvas[1] * TILE_SIZE >= LEGIBLE


def distortion(size: tuple[int, int], grid: Grid) -> float:
    """How much longer the grid makes one side of the image than the other, at least 1."""
    return math.exp(abs(_log_distortion(size, grid)))


def _log_distortion(size: tuple[int, int], grid: Grid) -> float:
    return math.log(size[0] / size[1]) - math.log(grid[0] / grid[1])


def _grids(fewest: int, most: int) -> list[Grid]:
    return [(x, y) for x in range(1, most + 1) for y in range(math.ceil(fewest / x), most // x + 1)]


def shared_lines(first: Grid, second: Grid) -> int:
    """Inner cut lines that both grids have."""
    return math.gcd(first[0], second[0]) + math.gcd(first[1], second[1]) - 2


def _plan(size, setting, complementarity="any") -> tuple[Grid, Grid]:
    ranges = {name: setting[name] for name in RANGES}
    plan = plan_pyramid(*map(int, size), tile_size=TILE_SIZE, complementarity=complementarity, **ranges)
    return plan.detailed, plan.adaptive


def budget(grids: Iterable[Grid]) -> tuple[int, int]:
    """Fewest and most tiles for a single grid in place of several: their sum, or up to a fifth less."""
    tiles = max(1, sum(math.prod(grid) for grid in grids if grid != (1, 1)))
    return math.ceil(0.8 * tiles), tiles


def _rule(complementarity: str) -> Callable:
    return lambda size, setting, rng: [Group(grid) for grid in _plan(size, setting, complementarity)]


def balanced(weight: float) -> Callable:
    """The second grid with the least |log distortion| + weight * shared inner cut lines; the smaller of equal ones."""

    def choose(size, setting, rng):
        detailed, _ = _plan(size, setting)
        grids = [grid for grid in _grids(*setting["adaptive_tiles"]) if grid != (1, 1)]

        def cost(grid):
            return abs(_log_distortion(size, grid)) + weight * shared_lines(detailed, grid), grid[0] * grid[1], grid

        return [Group(detailed), Group(min(grids, key=cost, default=(1, 1)))]

    return choose


def joint(weight: float) -> Callable:
    """`joint` of `complementarity` with another weight, without its rule for ties: both grids at the least cost."""

    def choose(size, setting, rng):
        detailed, _ = _plan(size, setting)
        pairs = (
            (first, second)
            for first in _grids(*setting["detailed_tiles"])
            for second in _grids(*setting["adaptive_tiles"])
            if (first == (1, 1)) == (detailed == (1, 1)) and second not in ((1, 1), first)
        )

        def cost(pair):
            distortions = sum(abs(_log_distortion(size, grid)) for grid in pair)
            return round(distortions + weight * shared_lines(*pair), 9), -pair[0][0] * pair[0][1], pair

        return [Group(grid) for grid in min(pairs, key=cost)]

    return choose


def _beside(choose: Callable) -> Callable:
    """The detailed grid and what `choose` sets beside it."""

    def groups(size, setting, rng):
        detailed, _ = _plan(size, setting)
        return [Group(detailed), *choose(detailed, setting, rng)]

    return groups


def _random(detailed, setting, rng):
    grids = [grid for grid in _grids(*setting["adaptive_tiles"]) if grid != (1, 1)]
    return [Group(grids[rng.integers(len(grids))])]


def _aligned(detailed, setting, rng):
    grids = [(x, y) for x, y in _grids(*setting["adaptive_tiles"]) if detailed[0] % x == 0 and detailed[1] % y == 0]
    return [Group(max(grids, key=lambda grid: grid[0] * grid[1], default=(1, 1)))]


def _shifted(detailed, setting, rng):
    return [Group(detailed, tuple(0.5 * (side > 1) for side in detailed))]


def _overlapping(size, setting, rng):
    return [Group(_plan(size, setting)[0], overlap=OVERLAP)]


def _budget(size, setting, rng):
    """One grid of as many tiles as `any` has in both, or a few less."""
    return [Group(_plan(size, setting | {"detailed_tiles": budget(_plan(size, setting))})[0])]


# Name -> the groups of tiles beside the global view, the detailed one first: rule(size, setting, rng).
RULES: dict[str, Callable] = {
    "detailed + global": _beside(lambda detailed, setting, rng: []),
    "detailed + global, tiles of any": _budget,
    "overlap + global": _overlapping,
    "aligned": _beside(_aligned),
    "shifted": _beside(_shifted),
    "random": _beside(_random),
    **{rule: _rule(rule) for rule in COMPLEMENTARITIES},
    **{f"balanced {weight:g}": balanced(weight) for weight in WEIGHTS},
    **{f"joint {weight:g}": joint(weight) for weight in JOINT_WEIGHTS},
}


def measure(name: str, rule: str, sizes: np.ndarray, boxes: np.ndarray) -> Row:
    """Apply one rule to all pages."""
    setting, rng = PYRAMID_SETTINGS[name], np.random.default_rng(0)
    pages = [
        _measure_page(RULES[rule](size, setting, rng), setting, size, words)
        for size, words in zip(sizes, boxes, strict=True)
    ]
    words, cut, cut_both, cut_detailed, second, detailed, tiles = np.array(pages, float).T

    def share(weights):
        return float((weights * cut).sum() / (weights * words).sum())

    estimate, low, high = bootstrap(np.arange(len(sizes)), share)
    return Row(
        name,
        rule,
        len(sizes),
        int(words.sum()),
        *(round(value, 4) for value in (estimate, low, high)),
        *(round(float(cuts.sum() / words.sum()), 4) for cuts in (cut_both, cut_detailed)),
        *(round(float(np.percentile(second, point)), 3) for point in (50, 90)),
        round(float(np.percentile(detailed, 90)), 3),
        round(float(np.mean(tiles)), 1),
    )


def _measure_page(groups: list[Group], setting, size, words: np.ndarray) -> tuple[float, ...]:
    """Counts of the words that the published detailed grid shows legibly, distortions, tiles with the global view."""
    words = words[is_legible(words, Group(_plan(size, setting)[0]))]
    grids = [group for group in groups if group.grid != (1, 1)]
    whole = np.zeros(len(words), bool)
    for group in (*grids, Group((1, 1))):
        whole |= is_legible(words, group) & ~is_cut(words, group)
    cuts = [is_cut(words, group) for group in grids] or [np.zeros(len(words), bool)]
    stretched = [distortion(size, group.grid) for group in groups]
    return (
        len(words),
        (~whole).sum(),
        np.all(cuts, axis=0).sum(),
        is_cut(words, groups[0]).sum(),
        stretched[1] if len(groups) > 1 and groups[1].grid != (1, 1) else 1.0,
        stretched[0],
        1 + sum(group.tiles for group in grids),
    )


def ranges_of(name: str) -> str:
    (first, last), (fewest, most) = (PYRAMID_SETTINGS[name][key] for key in RANGES)
    return f"detailed {first}-{last}, adaptive {fewest}-{most}"


def compare(rows: list[Row], rule: str) -> str:
    """One line of the report: in how many ranges `rule` cuts less or more than "any", and stretches less."""
    found = {(row.setting, row.rule): row for row in rows}
    pairs = [(found[name, rule], found[name, "any"]) for name in SETTINGS]
    fewer = sum(ours.cut_high < theirs.cut_low for ours, theirs in pairs)
    more = sum(ours.cut_low > theirs.cut_high for ours, theirs in pairs)
    less = sum(ours.distortion_90 < theirs.distortion_90 for ours, theirs in pairs)
    tiles = np.mean([ours.tiles / theirs.tiles for ours, theirs in pairs])
    return (
        f"- `{rule}` leaves fewer words cut in {fewer}, more in {more}; its second grid is less distorted in {less}; "
        f"{tiles:.2f} times the tiles."
    )


def note(panel, text: str, row: Row, below: int) -> None:
    place = (row.distortion_90, 100 * row.cut)
    panel.annotate(text, place, xytext=(4, below), textcoords="offset points", fontsize=8)


def draw(rows: list[Row], path: Path) -> None:
    figure, axes = plt.subplots(2, 4, figsize=(15, 8), layout="constrained")
    for panel, name in zip(axes.flat, SETTINGS, strict=True):
        found = {row.rule: row for row in rows if row.setting == name}
        for rule, weights, color in (("balanced", WEIGHTS, "tab:orange"), ("joint", JOINT_WEIGHTS, "tab:green")):
            line = [found[f"{rule} {weight:g}"] for weight in weights]
            panel.plot([row.distortion_90 for row in line], [100 * row.cut for row in line], "o-", color=color)
            note(panel, rule, line[-1], -10)
        for rule in ("any", "all", "disjoint", "shifted", "overlap + global"):
            row = found[rule]
            panel.plot(row.distortion_90, 100 * row.cut, "s", color="tab:blue")
            note(panel, rule, row, 4)
        panel.set_title(f"{name}: {ranges_of(name)}", fontsize=9)
        panel.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("distortion of the second grid, 90th percentile (1: none)")
    figure.supylabel("words cut in every legible group, %")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def report(rows: list[Row]) -> str:
    lines = [
        "# Cuts without a model",
        "",
        "Written by `python -m benchmarks.sawtooth.geometry`; change the script, not this file.",
        "",
        f"{PAGES} random pages with {WORDS} word-like boxes each (their distribution: `geometry.py`), tiles of",
        f"{TILE_SIZE} px. A group shows a word legibly if it is at least {LEGIBLE} px high there. Cut: words that no",
        "group, the global view included, shows whole and legibly, in % of those that the published detailed grid",
        "shows legibly, with the 95% interval by bootstrap over pages. By both grids: whatever the global view shows.",
        "Distortion: of the second grid, 1 is none, and of the detailed one. Left and below is better in the figure.",
        "",
        f"Against `any`, the published rule, in the {len(SETTINGS)} ranges (fewer, more: intervals don't overlap):",
        "",
        *(compare(rows, rule) for rule in COMPARED),
        "",
        "`joint` changes the detailed grid, too; published models know that of `any`. Whether fewer cuts are worth",
        "a stretched image, only reading can tell.",
        "",
        "![Share of cut words over distortion, for every rule and range](geometry.png)",
        "",
    ]
    for name in SETTINGS:
        lines += [
            f"## {name}: {ranges_of(name)} tiles",
            "",
            "| grids | words | cut, % | by both grids | by the detailed | distortion, median | 90% | detailed, 90% | "
            "tiles |",
            "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        lines += [
            f"| {row.rule} | {row.words} | {100 * row.cut:.1f} [{100 * row.cut_low:.1f}, {100 * row.cut_high:.1f}] | "
            f"{100 * row.cut_both:.1f} | {100 * row.cut_detailed:.1f} | {row.distortion_median:.2f} | "
            f"{row.distortion_90:.2f} | {row.detailed_distortion_90:.2f} | {row.tiles:.1f} |"
            for row in rows
            if row.setting == name
        ]
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    sizes, boxes = make_pages()
    todo = [(name, rule) for name in SETTINGS for rule in RULES]
    rows = [measure(name, rule, sizes, boxes) for name, rule in tqdm(todo, desc="cutting")]
    with (FOLDER / "geometry.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, Row.__dataclass_fields__)
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    draw(rows, FOLDER / "geometry.png")
    (FOLDER / "GEOMETRY.md").write_text(report(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
