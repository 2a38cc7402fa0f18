# %% [markdown]
"""
# How does a second grid show whole what the first one cuts?

[01 The semantic sawtooth](01_semantic_sawtooth.ipynb) · [all notebooks](README.md) · [03 The processor](03_processor.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/02_complementary_image_pyramid.ipynb) [Source of this notebook](02_complementary_image_pyramid.py)

> **You will learn**: how both grids of the Complementary Image Pyramid (CIP) are chosen, which words stay cut under each
> rule, what the published settings are, and what a second grid costs in tiles and in distortion.
>
> **You need**: Python and what a tile is ([01](01_semantic_sawtooth.ipynb)). **Time**: about 1 min **Hardware**: two CPU cores, 2 GB of memory.
"""

# %% tags=["setup"]
import os
import subprocess
import sys
from importlib.util import find_spec

if find_spec("course") is None:  # Colab, or a Jupyter of your own
    source = os.environ.get("MINIMONKEY_REPOSITORY", "https://github.com/OWNER/minimonkey")
    subprocess.run(["git", "clone", "--quiet", "--depth=1", source, "minimonkey"], check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "-c", "minimonkey/constraints.txt"]
    subprocess.run([*install, "-e", "./minimonkey[notebooks]"], check=True)
    os.chdir("minimonkey/notebooks")
    sys.path.insert(0, os.getcwd())

import course

course.setup()

# %% [markdown]
"""
## Three views of one page

A vision tower looks at squares of a fixed size, so an image is stretched to a grid of such tiles. A word that lies on a
cut line is never seen in one piece. CIP stretches the same image a second time, to a coarser grid whose cut lines lie
elsewhere, and once more to a single tile. No pixel is trained: a plan of three grids is all there is.

The page is 336 x 224 px and the small checkpoint of this repository, a reader of rendered lower-case text and not the
published model, has tiles of 112 px: 1 to 6 of them in the detailed grid, 1 to 4 in the adaptive one.

**Predict**: which detailed grid does a page of 336 x 224 px get, and which second grid can't be right beside it?
"""

# %%
from PIL import Image

from processing_minimonkey import MiniMonkeyProcessor, plan_pyramid
from processing_minimonkey.visualization import COLORS, plot_pyramid

processor = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)
page = Image.open(course.PAGE)
small = {"tile_size": 112, "detailed_tiles": (1, 6), "adaptive_tiles": (1, 4)}
plan = plan_pyramid(*page.size, **small)
print("detailed", plan.detailed, "adaptive", plan.adaptive, "tiles", plan.num_tiles)

assert plan.detailed == (3, 2) and plan.adaptive == (2, 2)
assert plan.num_tiles == 3 * 2 + 2 * 2 + 1
course.show(
    plot_pyramid(processor, page),
    alt="The page with four words three times: under 3 x 2 detailed tiles, 2 x 2 adaptive tiles, and whole.",
    caption="Blue and orange: cut lines of one grid alone. Black, dashed: a cut line of both.",
)

# %% [markdown]
"""
The page is exactly 3 x 2 tiles large, so the detailed grid doesn't stretch it at all. The adaptive grid mends its vertical
lines: "bread" and "open" are whole again. "sunday" is the other way round, whole in blue but for a
sliver of its y, and cut in orange. The
line between the two rows is the same in both grids: a word on it would be halved twice. That is allowed by the
published rule, as we will see.

A plan is a list of boxes and nothing else. Each group has a canvas, which the image is stretched to, and its tiles row by row.
"""

# %%
for group in ("detailed", "adaptive", "global"):
    tiles = plan.group_tiles(group)
    print(f"{group:9} canvas {plan.canvas_size(group)}, level {tiles[0].level}, first and last box", end=" ")
    print(tiles[0].box, tiles[-1].box)

assert plan.canvas_size("adaptive") == (224, 224)  # the page is 336 x 224: squeezed to two thirds of its width
assert [tile.level for tile in plan.tiles] == [0] * 6 + [1] * 4 + [2]

# %% [markdown]
"""
## What the model gets

The boxes are cut from the stretched page by the image processor. All tiles become one batch, in the order of the plan.

**Predict**: will the letters of the adaptive tiles look like those of the detailed ones?
"""

# %%
import matplotlib.pyplot as plt

features = processor.image_processor(page, return_tensors="pt")
levels = features["tile_levels"].tolist()
print({name: tuple(features[name].shape) for name in ("pixel_values", "tile_levels")})

assert levels == [tile.level for tile in plan.tiles]
figure, axes = plt.subplots(2, 6, figsize=(9, 3.3), layout="constrained")
for axis in axes.flat:
    axis.set_axis_off()
for axis, tile, pixels in zip(axes.flat, plan.tiles, features["pixel_values"], strict=False):
    axis.imshow(pixels.permute(1, 2, 0) * 0.5 + 0.5)  # mean and standard deviation are 0.5
    axis.set_title(f"{tile.group} {tile.number}")
course.show(
    figure,
    alt="Eleven square tiles: six detailed with parts of words, four adaptive with narrower letters, one with the page.",
    caption="The eleven tiles in the order in which the model gets them: detailed, adaptive, global.",
)

# %% [markdown]
"""
The letters of the adaptive tiles are narrower: the page is 1.5 times as wide as high and was squeezed to a square. That is
the price of the second grid, its *distortion*. In the global tile nothing is cut, but little can be read. What the small
checkpoint finds on 100 held-out pages, as stored beside it:
"""

# %%
import json

evaluation = json.loads((course.CHECKPOINT / "evaluation.json").read_text())
for views in ("pyramid", "detailed + global", "global only"):
    print(f"{views:18} {100 * evaluation[f'page: {views}']['words_read']:.1f} % of the words")
assert evaluation["page: global only"]["words_read"] < 0.11

# %% [markdown]
"""
Both at once, whole and legible, is what the second grid is for.

## How the detailed grid is chosen

Of all grids within the range, the one whose columns / rows is nearest to the image's width / height wins.

**Predict**: a page is turned from landscape to portrait. Is its grid turned, too?
"""

# %%
import numpy as np

aspects = np.exp(np.linspace(np.log(1 / 4), np.log(4), 400))
plans = [plan_pyramid(round(1000 * aspect**0.5), round(1000 / aspect**0.5), **small) for aspect in aspects]
figure, axis = plt.subplots(figsize=(9, 4.2), layout="constrained")
axis.plot(aspects, aspects, color="0.7", label="the image itself")
for group in ("detailed", "adaptive"):
    ratios = [plan.grid(group)[0] / plan.grid(group)[1] for plan in plans]
    axis.step(aspects, ratios, where="mid", color=COLORS[group], linewidth=2, label=f"{group} grid")
axis.set(xscale="log", yscale="log", xlabel="width / height of the image", ylabel="columns / rows of the grid")
ticks = [0.25, 0.5, 1, 2, 4]
axis.set_xticks(ticks, ticks), axis.set_yticks(ticks, ticks), axis.minorticks_off()
axis.legend(frameon=False)
course.show(
    figure,
    alt="Stairs: the detailed grid follows the aspect ratio of the image closely, the adaptive one jumps around it.",
    caption="The detailed grid stays near the image's own shape; the adaptive one has to leave it where it would repeat the cuts.",
)


# %%
def nearest(width, height, most):
    grids = [(x, y) for x in range(1, most + 1) for y in range(1, most // x + 1)]
    return min(abs(width / height - x / y) for x, y in grids)


for aspect, each in zip(aspects, plans, strict=True):
    width, height = round(1000 * aspect**0.5), round(1000 / aspect**0.5)
    assert abs(width / height - each.detailed[0] / each.detailed[1]) == nearest(width, height, 6)

landscape, portrait = plan_pyramid(996, 828, **small).detailed, plan_pyramid(828, 996, **small).detailed
print("996 x 828:", landscape, " 828 x 996:", portrait)
assert landscape == (2, 2) and portrait == (2, 3)

# %% [markdown]
"""
Surprising: the grid is not turned with the page. Distance is measured between the ratios themselves, as published, not
between their logarithms, and 0.83 is nearer to 2/3 than to 1, while 1.20 is nearer to 1 than to 3/2. We keep that: a
published model saw these grids.

### Small images

A square image fits 1 x 1 and 2 x 2 equally well. The larger grid wins a tie only if the image has more than half as many
pixels as its tiles. A 1 x 1 grid is the global view, which is there already, so the group is left out.
"""

# %%
for side in (158, 159):
    print(side, "px:", plan_pyramid(side, side, **small).detailed, 2 * side * side > 4 * 112**2)
left_alone = plan_pyramid(100, 100, **small, complementarity="none")
print("100 px, rule none:", left_alone.detailed, left_alone.adaptive, "tiles", left_alone.num_tiles)

assert plan_pyramid(158, 158, **small).detailed == (1, 1)
assert plan_pyramid(159, 159, **small).detailed == (2, 2)
assert left_alone.num_tiles == 1  # the global view alone
assert plan_pyramid(100, 100, **small).adaptive == (2, 2)  # the published rule still wants a second grid

# %% [markdown]
"""
## Five rules for the second grid

Which grids may stand beside the detailed one? The published inference code takes `"any"`, its training code `"all"`, several
images in one question are tiled with `"none"`; `"disjoint"` and `"joint"` are ours:

- `any`: not a grid whose columns **and** rows both divide the detailed ones;
- `all`: not a grid whose columns **or** rows divide the detailed ones;
- `none`: every grid may;
- `disjoint`: no common inner cut line, or as few as there can be;
- `joint`: both grids chosen together for little distortion and few common lines. It may change the detailed grid.

Take an A4 page at 150 dpi, 1240 x 1754 px, with the ranges of the published demo (4 to 12 and 3 to 7 tiles of 448 px).

**Predict**: which rule stretches the page most?
"""

# %%
import math

from processing_minimonkey.complementary_image_pyramid import COMPLEMENTARITIES

A4 = (1240, 1754)


def shared_lines(plan):
    return math.gcd(plan.detailed[0], plan.adaptive[0]) + math.gcd(plan.detailed[1], plan.adaptive[1]) - 2


def distortion(size, grid):
    return math.exp(abs(math.log(size[0] / size[1]) - math.log(grid[0] / grid[1])))


# %%
rules = {rule: plan_pyramid(*A4, complementarity=rule) for rule in COMPLEMENTARITIES}
print("rule      detailed adaptive  common lines  distortion  tiles")
for rule, each in rules.items():
    factor = distortion(A4, each.adaptive)
    print(
        f"{rule:9} {each.detailed}   {each.adaptive}   {shared_lines(each):12d}  {factor:10.2f}  {each.num_tiles:5d}"
    )

assert shared_lines(rules["any"]) == 1 and shared_lines(rules["disjoint"]) == 0
assert rules["none"].detailed == rules["none"].adaptive  # the same grid twice
assert max(rules, key=lambda rule: distortion(A4, rules[rule].adaptive)) == "disjoint"
assert distortion(A4, rules["joint"].adaptive) < 1.07 and shared_lines(rules["joint"]) == 0

# %%
figure, axes = plt.subplots(1, 5, figsize=(11, 3.6), layout="constrained")
for axis, (rule, each) in zip(axes, rules.items(), strict=True):
    axis.set(xlim=(0, A4[0]), ylim=(A4[1], 0), aspect="equal", xticks=[], yticks=[])
    axis.spines[:].set_visible(True)
    for group, style in (("detailed", "-"), ("adaptive", "--")):
        columns, rows = each.grid(group)
        line = {"color": COLORS[group], "linestyle": style, "linewidth": 2.5}
        for x in range(1, columns):
            axis.axvline(A4[0] * x / columns, **line)
        for y in range(1, rows):
            axis.axhline(A4[1] * y / rows, **line)
    sizes = " and ".join(f"{x} x {y}" for x, y in (each.detailed, each.adaptive))
    axis.set_title(f"{rule}\n{sizes}")
course.show(
    figure,
    alt="Five copies of an A4 page with the cut lines of both grids, one per rule; under none all lines coincide.",
    caption="Solid blue: detailed. Dashed orange: adaptive. Orange on blue is a line that cuts in both grids.",
)

# %% [markdown]
"""
`none` cuts the page twice in the same places. `any` leaves one common line. `disjoint` avoids it by four tiles in a column,
which stretch the page 2.83 times. `joint` takes a larger detailed grid instead: no common line and hardly any distortion, for
19 tiles instead of 11.

## Which words are cut by no, one, or every grid?

Now pages with real words in them: lines of text, receipts, tables and signs, of the benchmark in `benchmarks/sawtooth`. A word
is cut by a grid if no tile holds its whole box. The benchmark's 160 pages have 590 words; no model is needed to count.

**Predict**: the detailed grid cuts about a quarter of the words. How many stay cut with a second grid?
"""

# %%
from benchmarks.sawtooth.readers.documents import make_page
from benchmarks.sawtooth.cutting import METHODS, is_cut
from benchmarks.sawtooth.measurements.pages import word_boxes
from modeling_minimonkey.scale_compression import GLOBAL_LEVEL

METHOD_NAMES = ["detailed + global", "pyramid any", "pyramid all", "pyramid disjoint", "pyramid joint"]
n_pages = 60 if course.FAST else 160
pages = [make_page(index, 112) for index in range(n_pages)]


def cuts(method):
    """A row per word: its page, cut by the detailed grid, cut by every grid."""
    found = []
    for number, each in enumerate(pages):
        views = METHODS[method](*each.image.size, 112, None)
        for _, box in word_boxes(each):
            cut = [is_cut(view, each.image.size, box) for view in views if view.level != GLOBAL_LEVEL]
            found.append((number, cut[:1] == [True], cut != [] and all(cut)))
    return np.array(found)


counted = {method: cuts(method) for method in METHOD_NAMES}
n_words = len(counted["pyramid any"])
print(f"{n_pages} pages, {n_words} words")

# %% [markdown]
"""
Words of one page are not independent, so the 95% interval comes from drawing whole pages again and again (bootstrap).
"""

# %%
from benchmarks.sawtooth.report.statistics import bootstrap, mean

estimates = {}
for method, found in counted.items():
    estimates[method] = [bootstrap(found[:, 0], mean(found[:, column].astype(float))) for column in (1, 2)]
    first, every = ("{:5.1f} [{:.1f}, {:.1f}]".format(*(100 * value for value in each)) for each in estimates[method])
    print(f"{method:18} cut by the detailed grid {first} %, by every grid {every} %")

detailed_only, any_rule = estimates["detailed + global"][1], estimates["pyramid any"][1]
assert any_rule[2] < detailed_only[1]  # the intervals don't touch
assert estimates["pyramid joint"][0][0] > estimates["pyramid any"][0][0]  # a finer detailed grid cuts more words

# %%
figure, axis = plt.subplots(figsize=(9, 3.6), layout="constrained")
for offset, column, color, label in (
    (0.17, 0, COLORS["detailed"], "the detailed grid"),
    (-0.17, 1, "black", "every grid"),
):
    middle, low, high = 100 * np.array([estimates[method][column] for method in METHOD_NAMES]).T
    places = np.arange(len(METHOD_NAMES))[::-1] + offset
    axis.barh(
        places, middle, 0.32, color=color, xerr=[middle - low, high - middle], ecolor="0.5", label=f"cut by {label}"
    )
axis.set_yticks(np.arange(len(METHOD_NAMES))[::-1], METHOD_NAMES)
axis.set(xlabel=f"words that are cut, % of {n_words} on {n_pages} pages, 95% interval", xlim=(0, 68))
axis.legend(frameon=False)
alone = np.mean([len(METHODS["pyramid all"](*each.image.size, 112, None)) == 2 for each in pages])
print(f"pages without a second grid under the rule all: {100 * alone:.0f} %")
assert alone > 0.5
course.show(
    figure,
    alt="Bars with intervals: a second grid leaves far fewer words cut by every grid, except under the rule all.",
    caption="A second grid takes most cuts away. The rule of the published training, `all`, often finds no second grid here.",
)

# %% [markdown]
"""
The benchmark stored the same counts when its models read these pages. They have to agree with what was counted here.
"""

# %%
from benchmarks.sawtooth.report.readings import load

stored = load(course.ROOT / "benchmarks" / "sawtooth" / "results" / "page-6m-pyramid.csv")
for method, found in counted.items():
    chosen = (stored["method"] == method) & (stored["page"] < n_pages)
    assert (found[:, 1] == stored["cut_detailed"][chosen]).all()
    assert (found[:, 2] == stored["cut_everywhere"][chosen]).all()
everywhere = {name: int(stored["cut_everywhere"][stored["method"] == name].sum()) for name in METHOD_NAMES}
print("cut by every grid, of all 590 words:", everywhere)
assert everywhere == dict(zip(METHOD_NAMES, (160, 52, 147, 47, 92), strict=True))

for method in ("detailed + global", "pyramid any", "pyramid joint"):
    chosen = stored["method"] == method
    estimate = bootstrap(stored["page"][chosen], mean(stored["read"][chosen].astype(float)))
    print(
        "{:18} the model reads {:.1f} [{:.1f}, {:.1f}] % of them".format(method, *(100 * value for value in estimate))
    )

# %% [markdown]
"""
Of 590 words 160 are cut without a second grid and 52 stay cut under the published rule. Two things to note. `all` leaves 147:
with few tiles hardly any grid passes it, and then there is no second grid. And `joint` leaves 92, more than `any`, as its
detailed grids are finer. Fewer cuts are not the goal in itself: `joint` stretches less, and the small reader, although trained
with `any`, reads at least as many words under `joint`; the intervals overlap ([10](10_measure.ipynb) says more).

## The published settings by name

The authors' evaluation chose ranges by benchmark. All are in `PYRAMID_SETTINGS`; a processor takes the name.

**Predict**: how many tiles does the A4 page take at most, and is it the documents' setting that takes them?
"""

# %%
from processing_minimonkey import PYRAMID_SETTINGS

counts = {}
for name in ("demo", "default", "chartqa", "docvqa", "infovqa", "ocrbench", "mme", "multi_image", "train"):
    each = plan_pyramid(*A4, **PYRAMID_SETTINGS[name])
    counts[name] = [len(each.group_tiles(group)) for group in ("detailed", "adaptive", "global")]
    print(f"{name:12} {dict(PYRAMID_SETTINGS[name])} -> {each.detailed} and {each.adaptive}: {each.num_tiles} tiles")

assert max(counts, key=lambda name: sum(counts[name])) == "ocrbench" and sum(counts["ocrbench"]) == 33
assert sum(counts["docvqa"]) == 15
assert counts["train"][1] == 0  # training had no second grid for such a page

# %%
figure, axis = plt.subplots(figsize=(9, 3.8), layout="constrained")
left = np.zeros(len(counts))
for index, (group, color) in enumerate(
    (("detailed", COLORS["detailed"]), ("adaptive", COLORS["adaptive"]), ("global", "0.6"))
):
    numbers = np.array([count[index] for count in counts.values()])
    axis.barh(list(counts), numbers, left=left, color=color, label=group)
    left += numbers
axis.invert_yaxis()
axis.set(xlabel="tiles of an A4 page at 150 dpi", xlim=(0, 36))
tokens = axis.secondary_xaxis("top", functions=(lambda tiles: tiles * 256, lambda tokens: tokens / 256))
tokens.set_xlabel("tokens in the prompt, 256 per tile in the published model")
axis.legend(frameon=False, loc="lower right")
course.show(
    figure,
    alt="Stacked bars of the tiles of an A4 page under nine published settings, from 7 under train to 33 under ocrbench.",
    caption="What an A4 page costs by setting. The second grid adds 2 to 8 tiles to the prompt, if there is one.",
)
assert {count[1] for count in counts.values()} == {0, 2, 4, 8}

# %% [markdown]
"""
By name or with ranges of your own, for one call or for good:
"""

# %%
by_name = processor.image_processor.get_pyramid_plan(page.height, page.width, {"pyramid": "docvqa"})
own = {"detailed_tiles": (1, 12), "adaptive_tiles": (2, 6), "complementarity": "joint"}
by_ranges = processor.image_processor.get_pyramid_plan(page.height, page.width, own)
print("docvqa:", by_name.detailed, by_name.adaptive, " own:", by_ranges.detailed, by_ranges.adaptive)

assert by_name.tile_size == 112  # the tile size belongs to the model, not to the setting
assert processor.image_processor.adaptive_tiles == (1, 4)  # a call leaves the processor as it is

# %% [markdown]
"""
## What it costs in distortion

`benchmarks/sawtooth/GEOMETRY.md` counts cuts on 600 random pages of 60 words without a model, tiles of 448 px. There a word counts
as cut only if no group shows it whole **and** at least 12 px high.

**Predict**: is there a rule that is better than `any` in both, cuts and distortion?
"""

# %%
import csv

with open(course.ROOT / "benchmarks" / "sawtooth" / "geometry.csv", newline="") as file:
    geometry = list(csv.DictReader(file))
measures = ("cut", "cut_low", "cut_high", "distortion_median", "tiles")
geometry = {(row["setting"], row["rule"]): {name: float(row[name]) for name in measures} for row in geometry}

# %%
shown = ("detailed + global", "any", "all", "none", "disjoint", "joint", "shifted")
figure, axis = plt.subplots(figsize=(9, 4), layout="constrained")
for rule in shown:
    row = geometry["demo", rule]
    error = [[100 * (row["cut"] - row["cut_low"])], [100 * (row["cut_high"] - row["cut"])]]
    color = COLORS["adaptive"] if rule in ("disjoint", "joint") else COLORS["detailed"]
    axis.errorbar(row["distortion_median"], 100 * row["cut"], yerr=error, fmt="o", color=color)
    place = (row["distortion_median"] + 0.012, 100 * row["cut"] + 0.12)
    axis.annotate(f"{rule} ({row['tiles']:.1f} tiles)", place)
axis.set(
    xlabel="median distortion of the second grid, 1 is none",
    ylabel="words that stay cut, %",
    xlim=(0.97, 1.6),
    ylim=(0, 5.7),
)
course.show(
    figure,
    alt="Scatter of cut words over distortion for seven rules; joint is low in both, disjoint low in cuts alone.",
    caption="Left and below is better. Demo ranges, 600 pages, 35,845 words, 95% intervals; orange: the rules that are ours.",
)

# %%
nothing, published, disjoint, joint = (
    geometry["demo", rule] for rule in ("detailed + global", "any", "disjoint", "joint")
)
for name, row in (("no second grid", nothing), ("any", published), ("disjoint", disjoint), ("joint", joint)):
    cut, factor = 100 * row["cut"], row["distortion_median"]
    print(f"{name:14} cut {cut:.1f} %, distortion {factor:.2f}, tiles {row['tiles']:.1f}")

assert joint["cut_high"] < published["cut_low"] and disjoint["cut_high"] < published["cut_low"]
assert joint["distortion_median"] < published["distortion_median"] < disjoint["distortion_median"]
assert 1 < joint["tiles"] - published["tiles"] < 1.2
assert geometry["demo", "shifted"]["tiles"] > 1.7 * published["tiles"]
pairs = [(geometry[name, "joint"], geometry[name, "any"]) for name in dict.fromkeys(name for name, _ in geometry)]
print(
    "joint cuts fewer words than any in", sum(ours["cut_high"] < other["cut_low"] for ours, other in pairs), "ranges"
)
assert sum(ours["cut_high"] < other["cut_low"] for ours, other in pairs) == 4
assert sum(ours["cut_low"] > other["cut_high"] for ours, other in pairs) == 2 and len(pairs) == 8

# %% [markdown]
"""
Under the demo's ranges 5.1% of the words stay cut without a second grid, 1.1% with `any`, 0.4% with `disjoint` and with `joint`, which also
stretches less than `any` and takes one tile more. It is not so everywhere: over the eight ranges of the report `joint` leaves
fewer words cut than `any` in four and more in two. Moving the grid by half a tile keeps letters in shape but needs nearly twice the
tiles. And geometry is not reading: which of this helps a model is the question of [10](10_measure.ipynb).

## Common errors

A range upside down, a rule that does not exist, a size that is not a whole number, a setting that nobody published:
"""

# %%
with course.expected(ValueError):
    plan_pyramid(800, 600, detailed_tiles=(12, 4))
with course.expected(ValueError):
    plan_pyramid(800, 600, complementarity="some")
with course.expected(TypeError):
    plan_pyramid(800.5, 600)
with course.expected(ValueError):
    processor.image_processor(page, pyramid="docvqa2")

# %% [markdown]
"""
Width comes first in `plan_pyramid`, as in PIL; `get_pyramid_plan` of the image processor takes height first, as in Transformers. Mixed up,
both answer without an error, with the grid of another page.

## Exercises

### Exercise 1

Find a page size for which the rule of the published training (`PYRAMID_SETTINGS["train"]`) has no second grid although the
page is cut. Why is that?
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
wide = plan_pyramid(1600, 1200, **PYRAMID_SETTINGS["train"])
print(wide.detailed, wide.adaptive, wide.num_tiles)
passed = [(x, y) for x in range(1, 5) for y in range(1, 4 // x + 1) if wide.detailed[0] % x and wide.detailed[1] % y]
# Columns and rows must both divide neither 3 nor 2: with up to four tiles there is no such grid.
assert wide.detailed == (3, 2) and wide.adaptive == (1, 1) and passed == []

# %% [markdown]
"""
### Exercise 2

`shared_lines` counts with the greatest common divisor. Count the common lines of 4 x 6 and 2 x 4 with fractions instead, and
see that both agree for all grids of up to 12 columns and rows.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
from fractions import Fraction


def common(first, second):
    lines = [{Fraction(index, count) for index in range(1, count)} for count in (first, second)]
    return len(lines[0] & lines[1])


assert all(common(a, b) == math.gcd(a, b) - 1 for a in range(1, 13) for b in range(1, 13))
print("4 x 6 and 2 x 4:", common(4, 2), "vertical,", common(6, 4), "horizontal")
assert common(4, 2) + common(6, 4) == 2

# %% [markdown]
"""
### Exercise 3

The A4 page may take no more than 4,000 tokens at 256 per tile. Choose ranges that stay within that for every aspect ratio between 1:3 and 3:1,
with as many detailed tiles as possible. Check it on 200 sizes.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
most = 4000 // 256 - 1  # the global tile
ranges = {"detailed_tiles": (6, most - 4), "adaptive_tiles": (2, 4)}
sizes = [(round(1500 * ratio**0.5), round(1500 / ratio**0.5)) for ratio in np.geomspace(1 / 3, 3, 200)]
needed = [plan_pyramid(*size, **ranges).num_tiles for size in sizes]
print(ranges, "->", min(needed), "to", max(needed), "tiles")
assert max(needed) * 256 <= 4000

# %% [markdown]
"""
## Conclusion

A second grid shows whole what the first one cuts because its cut lines lie elsewhere: of 590 words on the benchmark's pages 160 are
cut by the detailed grid and 52 by both grids under the published rule. It costs tiles (14.5 instead of 9.9 on average under the demo's ranges) and
distortion, and it is not always complementary: a common line may remain, and small grids may find no partner. Whether a model reads
better for it is a question to measure, not to plan.

Read next: [03 The processor](03_processor.ipynb) turns a plan into model inputs; `benchmarks/sawtooth/GEOMETRY.md` has all rules and ranges.

Cite: Huang et al., *Mini-Monkey*, ICLR 2025, arXiv 2408.02034.

[01 The semantic sawtooth](01_semantic_sawtooth.ipynb) · [all notebooks](README.md) · [03 The processor](03_processor.ipynb)
"""
