# %% [markdown]
"""
# How does a second grid show whole what the first one cuts?

[01 The semantic sawtooth](01_semantic_sawtooth.ipynb) · [all notebooks](README.md) · [03 The processor](03_processor.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/02_complementary_image_pyramid.ipynb) [Source of this notebook](02_complementary_image_pyramid.py)

> **You will learn**: how both grids of the Complementary Image Pyramid (CIP) are chosen, which words stay cut under each rule, what the published settings are, and what a second grid costs in tiles and in distortion.
>
> **You need**: Python and what a tile is ([01](01_semantic_sawtooth.ipynb)). **Time**: about 35 min to read, 1 min to run.
> **Hardware**: two CPU cores, 2 GB of memory.
>
> **Contents**: [Three views of one page](#Three-views-of-one-page) · [What the model gets](#What-the-model-gets) · [How the detailed grid is chosen](#How-the-detailed-grid-is-chosen) · [Five rules for the second grid](#Five-rules-for-the-second-grid) · [Which words are cut by no, one, or every grid?](#Which-words-are-cut-by-no,-one,-or-every-grid?) · [The published settings by name](#The-published-settings-by-name) · [What it costs in distortion](#What-it-costs-in-distortion) · [What the paper claims, and what was measured here](#What-the-paper-claims,-and-what-was-measured-here) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
"""

# %% tags=["setup"]
import os
import subprocess
import sys
from importlib.util import find_spec

if find_spec("course") is None:  # Colab, or a Jupyter of your own
    source = os.environ.get(
        "MINIMONKEY_REPOSITORY", "https://github.com/OWNER/minimonkey"
    )
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=1", source, "minimonkey"], check=True
    )
    # What is there stays where it will do, such as Colab's torch
    install = [sys.executable, "-m", "pip", "install", "--quiet", "-e"]
    subprocess.run([*install, "./minimonkey[notebooks]"], check=True)
    os.chdir("minimonkey/notebooks")
    sys.path.insert(0, os.getcwd())

import course

course.setup()

# %% [markdown]
"""
## Three views of one page

A vision tower looks at squares of a fixed size, so an image is stretched to a grid of such tiles. A word that lies on a cut line is whole in no tile of that grid. CIP stretches the same image a second time, to another grid, often a coarser one, whose cut lines should lie elsewhere, and once more to a single tile. Nothing about it is learned; it is a plan of three grids.

The page is 336 x 224 px and the small checkpoint of this repository, a reader of rendered lower-case text and not the published model, has tiles of 112 px: 1 to 6 of them in the detailed grid, 1 to 4 in the adaptive one.

**Predict**: which grid of up to 6 tiles fits such a page without stretching it? And where should the lines of a second grid run?
"""

# %%
import claims
import figures
import measured
import words
from PIL import Image
from tiles import plot_cut_lines, plot_rules, text_page

from processing_minimonkey import MiniMonkeyProcessor, plan_pyramid

processor = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)
page = Image.open(course.PAGE)
small = {"tile_size": 112, "detailed_tiles": (1, 6), "adaptive_tiles": (1, 4)}
plan = plan_pyramid(*page.size, **small)
print("detailed", plan.detailed, "adaptive", plan.adaptive, "tiles", plan.num_tiles)

course.show(
    plot_cut_lines(page, plan),
    alt="The page with four words under two vertical solid lines, one vertical dashed "
    "line in the middle, and a horizontal line that is both solid and dashed.",
    caption="The cut lines of both grids over the page. See that the vertical ones "
    "differ and the horizontal one is common to both. "
    '"bread" ends just before the dashed line: the adaptive grid shows it whole.',
)

# %% [markdown]
"""
(The page is drawn pale here, so that lines stand out; figure 2 has its color.) It is exactly 3 x 2 tiles large, so the detailed grid doesn't stretch it at all. The adaptive grid mends its vertical cuts: "bread" and "open" are whole again. "sunday" is cut by both: the detailed grid takes only a sliver of its y, the adaptive one halves it. The line between the two rows is the same in both grids: a word on it would be halved twice. The published rule allows that, as we will see. (`plot_pyramid` of `processing_minimonkey.visualization` draws the lines of each grid on a copy of the page: figure 5.)

A plan is a list of boxes and nothing else. Each group has a canvas, which the image is stretched to, and its tiles row by row.
"""

# %%
rows = []
for group in course.LEVELS:
    first, *_, last = 2 * plan.group_tiles(group)  # twice, since global has one
    rows.append([group, plan.canvas_size(group), first.level, first.box, last.box])
course.table(["group", "canvas", "level", "first box", "last box"], rows)

# %% [markdown]
"""
## What the model gets

The boxes are cut from the stretched page by the image processor. All tiles become one batch, in the order of the plan.

**Predict**: what is the shape of the batch, and which tile is its last?
"""

# %%
features = processor.image_processor(page, return_tensors="pt")
levels = features["tile_levels"].tolist()
print({name: tuple(features[name].shape) for name in ("pixel_values", "tile_levels")})
assert levels == [tile.level for tile in plan.tiles]
# mean and standard deviation of this checkpoint are 0.5
tiles = features["pixel_values"].permute(0, 2, 3, 1) * 0.5 + 0.5
course.show(
    figures.plot_strip(tiles, levels),
    alt="Eleven square tiles: six detailed with parts of words, four adaptive with "
    "narrower letters, one with the page.",
    caption="The eleven tiles in the order in which the model gets them. In tile 6 "
    '"bread" is whole and ends just before the border.',
)

# %% [markdown]
"""
The letters of the adaptive tiles are narrower: the page is 1.5 times as wide as high and was squeezed to a square. That is the price of the second grid, its *distortion*: how much more one side is stretched than the other, here 1.5. In the global tile nothing is cut, but little can be read. What the small checkpoint finds on 100 held-out pages, as stored beside it:
"""

# %%
import json

evaluation = json.loads((course.CHECKPOINT / "evaluation.json").read_text())
for views in ("pyramid", "detailed + global", "global only"):
    rows = (evaluation[f"{kind}: {views}"] for kind in ("page", "keyed"))
    words_read, numbers = (f"{row['words_read']:.1%}" for row in rows)
    print(f"{views:18} {words_read} of the words, {numbers} of the numbers asked for")

# %% [markdown]
r"""
With the second grid 77.1% of the words are found, without it 65.0%, and with the global tile alone, where letters are small, 9.8%. (Of 100 numbers asked for on receipts it reads 54 with it and 56 without: too few to call it a loss. No intervals are stored.) These figures are no proof for the second grid: this model was trained with it, and is asked here to do without. [01](01_semantic_sawtooth.ipynb) compares models with a control.

So much for what the second grid is meant to do: show words whole, and legible. Now which grids are taken.

## How the detailed grid is chosen

Take an image of $W \times H$ px and all grids of $c$ columns and $r$ rows that have no fewer than $m$ and no more than $M$ tiles. The one whose shape is nearest to the image's wins:

$$D = \operatorname*{arg\,min}_{(c,\,r)\,:\;m \,\le\, c r \,\le\, M} \left| \frac{W}{H} - \frac{c}{r} \right|$$

The second grid $A$ is chosen in the same way from its own range, but only from the grids that a rule $\mathcal{C}(D)$ leaves beside $D$:

$$A = \operatorname*{arg\,min}_{(c,\,r)\,\in\,\mathcal{C}(D)\,:\;m' \le\, c r \,\le\, M'} \left| \frac{W}{H} - \frac{c}{r} \right|$$

As published, $(c, r)$ is left out only if $c$ divides the columns of $D$ **and** $r$ divides its rows: then each of its lines is also one of the first grid's. If only one of the two holds, the grid may stand, so common lines may remain, as the horizontal one on the page above, with 2 x 2 beside 3 x 2. If no grid is left, $A = (1, 1)$. A 1 x 1 grid would repeat the global view, so its tile is left out, in both groups.

Several grids can be equally near, as 1 x 1 and 2 x 2 are to a square image. Then size decides:

- A grid is *too large* if its tiles have at least twice as many pixels as the image: $c\,r\,S^2 \ge 2\,W H$, where $S$ is the side of a tile.
- Of the grids that aren't too large, the one with the most tiles wins (then the most columns).
- If all are too large, the one with the fewest tiles wins.

For example with $S = 112$: 2 x 2 tiles have 50,176 px. A square image of 300 px has 90,000, so 2 x 2 isn't too large, and it wins. One of 150 px has 22,500; twice that is 45,000, less than 50,176. So 2 x 2 is too large, and it gets 1 x 1.

**Predict**: a page is turned from landscape to portrait. Is its grid turned, too? And which second grid can a square page get, if it has 2 x 2 detailed tiles and the second grid may have 1 to 4?
"""

# %%
import numpy as np

aspects = np.exp(np.linspace(np.log(1 / 4), np.log(4), 400))
sizes = [(round(1000 * aspect**0.5), round(1000 / aspect**0.5)) for aspect in aspects]
plans = [plan_pyramid(*size, **small) for size in sizes]
course.show(
    figures.plot_grid_shapes(aspects, plans),
    alt="Distortion over the shape of the image, above for the detailed grid, at "
    "most 1.3, below for the adaptive one, which is 3 for a square image. Each piece "
    "of the curves is labeled with its grid.",
    caption="Each piece is a grid. The detailed one stays near the image's own shape; "
    "the adaptive one has to leave it where it would repeat the cuts, most of all near "
    "the square: 3 there, 3.7 where the image is nearly a quarter wider than high.",
)

# %% [markdown]
"""
Both formulas in a few lines, for images that are large enough for every grid, and compared with the package at all 400 shapes:
"""


# %%
def nearest(size, most, beside=None):
    """The argmin over all grids of up to `most` tiles; on a tie the most tiles."""
    best, counts = None, range(1, most + 1)
    for c, r in [(c, r) for c in counts for r in counts if c * r <= most]:
        if beside and beside[0] % c == 0 and beside[1] % r == 0:
            continue  # the published rule
        distance = abs(size[0] / size[1] - c / r), -c * r
        best = min(best or (distance, (c, r)), (distance, (c, r)))
    return best[1]


for size, each in zip(sizes, plans, strict=True):
    detailed = nearest(size, 6)
    assert (detailed, nearest(size, 4, detailed)) == (each.detailed, each.adaptive)

landscape, portrait = (
    plan_pyramid(*size, **small) for size in ((996, 828), (828, 996))
)
print("996 x 828:", landscape.detailed, " 828 x 996:", portrait.detailed)

# %% [markdown]
"""
Surprising: the grid is not turned with the page (its first number is the columns). Distance is measured between the ratios themselves, as published, not between their logarithms, and 0.83 is nearer to 2/3 than to 1, while 1.20 is nearer to 1 than to 3/2. We keep that: a published model saw these grids.

Pages near the square come off worst: beside 2 x 2 only grids like 1 x 3 are left, and letters become three times as high in relation to their width. That can be a reason why a second grid hurts a model that isn't used to it. With more tiles to choose from it needn't happen (exercise 1).

Where the tie of 1 x 1 and 2 x 2 turns, to the pixel, and what is left of a small image:
"""

# %%
for side in (158, 159):
    larger = 2 * side * side > 4 * 112**2
    chosen = plan_pyramid(side, side, **small).detailed
    print(f"{side} px: grid {chosen}, larger grid allowed: {larger}")
left_alone = plan_pyramid(100, 100, **small, complementarity="none")
print("100 px, rule none:", left_alone.detailed, left_alone.adaptive)
published = plan_pyramid(100, 100, **small)  # it still wants a second grid
print("100 px, rule any :", published.detailed, published.adaptive)

# %% [markdown]
r"""
One pixel decides: with 159 px the tiles of 2 x 2 have fewer than twice the image's pixels, with 158 px they don't. An image of 100 px is too small for more than one detailed tile. With the rule `none` it has no second grid either, and only the global tile remains. The published rule takes a second grid of 2 x 2 nevertheless, since it doesn't allow 1 x 1 beside 1 x 1, and enlarges the image for it.

## Five rules for the second grid

Which grids may stand beside the detailed one? The published inference code takes `"any"`, its training code `"all"`, several images in one question are tiled with `"none"`; `"disjoint"` and `"joint"` are ours. With $D = (C, R)$ and $x \mid y$ for "$x$ divides $y$":

- `any`: grids with a line of their own; out are those with $c \mid C$ **and** $r \mid R$;
- `all`: grids with a line of their own in *both* directions; out are those with $c \mid C$ **or** $r \mid R$;
- `none`: every grid may;
- `disjoint`: not 1 x 1; and no common inner cut line, or as few as there can be. Two grids have $\gcd(C, c) - 1 + \gcd(R, r) - 1$ of them;
- `joint`: both grids are chosen together, for little distortion and few common lines. It may change the detailed grid, and takes neither 1 x 1 (except for small images) nor the same grid twice:

$$(D, A) = \operatorname*{arg\,min}_{D \neq A} \; \left|\log\frac{W}{H} - \log\frac{C}{R}\right| + \left|\log\frac{W}{H} - \log\frac{c}{r}\right| + 0.3\,\bigl(\gcd(C, c) + \gcd(R, r) - 2\bigr)$$

Each grid stays within its own range. A common line costs 0.3, as much as stretching one side by a third, since $e^{0.3} = 1.35$; that is a choice of ours, and from 0.2 to 1 it hardly matters under the demo's ranges (`joint 0.2` to `joint 1` in `benchmarks/sawtooth/GEOMETRY.md`). On a tie `joint` takes the most detailed tiles that aren't too large, then the fewest adaptive tiles, then the fewest columns.

Take an A4 page at 150 dpi, 1240 x 1754 px, with the ranges of the published demo (4 to 12 and 3 to 7 tiles of 448 px).

**Predict**: which rule stretches the page most?
"""

# %%
import math

from processing_minimonkey.complementary_image_pyramid import COMPLEMENTARITIES

A4 = (1240, 1754)


def shared_lines(plan):
    detailed, adaptive = plan.detailed, plan.adaptive
    return sum(math.gcd(*counts) - 1 for counts in zip(detailed, adaptive, strict=True))


# %%
rules = {rule: plan_pyramid(*A4, complementarity=rule) for rule in COMPLEMENTARITIES}
text, boxes = text_page(A4)  # lines of words in large print
rows = [
    [rule, each.detailed, each.adaptive, shared_lines(each)]
    + [f"{figures.distortion(A4, each.adaptive):.2f}", each.num_tiles]
    for rule, each in rules.items()
]
course.table(
    ["rule", "detailed", "adaptive", "common lines", "distortion", "tiles"], rows
)
course.show(
    plot_rules(text, boxes, rules),
    alt="Five copies of an A4 page of text with the cut lines of both grids, one per "
    "rule, drawn below the letters. Under none all lines coincide and every cut word "
    "is pink; under disjoint nearly every cut word is blue.",
    caption="Solid blue: detailed grid. Dashed orange: second grid. Words that the "
    "detailed grid cuts are light blue where the second one shows them whole, pink "
    "where it cuts them, too. Large print, 50 px, so that words can be seen.",
)

# %% [markdown]
"""
Pink words are what the second grid doesn't mend:

- `none` cuts twice in the same places, and mends nothing. (It needn't be so: where the second range can't hold the detailed grid, `none`, too, takes another one.)
- `any` leaves one common line, in the middle of the page, and with it 14 of the 18 words that it should mend.
- `all` has no common line, but stretches the page 2.12 times. What is still pink lies on two different lines.
- `disjoint` avoids the common line by four tiles in a column, which stretch the page 2.83 times, the most of all.
- `joint` takes a larger detailed grid instead: no common line and hardly any distortion, for 19 tiles instead of 11. The finer grid cuts more words, 35 instead of 18, and the second one mends 31 of them.

One page shows what the rules do, and not how often. Try the small page: where this notebook runs and ipywidgets is installed, sliders choose the largest number of detailed tiles and the rule. Without them there is one example.
"""

# %%
from processing_minimonkey.visualization import plot_pyramid


def draw(tiles, rule):
    settings = {"detailed_tiles": (1, tiles), "complementarity": rule}
    return plot_pyramid(processor, page, **settings)


course.show(
    draw(12, "joint"),
    alt="The small page three times: under a grid of 3 x 2, under one of 2 x 1, whole.",
    caption='The small page with up to 12 detailed tiles, by `joint`. "bread" is whole '
    'in the middle panel, "sunday" is cut in both grids: find the two lines.',
)
course.explore(draw, tiles=range(2, 13), rule=COMPLEMENTARITIES)

# %% [markdown]
"""
`joint` keeps 3 x 2 detailed tiles and takes 2 x 1 beside them. So the horizontal line that figure 1 has twice is there once: no line is common. "bread" is whole in the second grid, as it was; "sunday" is still cut in both, on two different lines.

## Which words are cut by no, one, or every grid?

Now pages with real words in them: lines of text, receipts, tables and signs, of the benchmark in `benchmarks/sawtooth`. A grid cuts a word if no tile holds its whole box; *cut by every grid* is a word that all grids of a page cut. This asks only about lines: the global view isn't counted as a grid, and how small a word is drawn doesn't count. (A second measure, *stays cut*, comes [later](#What-it-costs-in-distortion).)

The benchmark's 160 pages have 590 words, the ranges are the small ones, 1 to 6 and 1 to 4 tiles of 112 px; no model is needed to count. One way without a second grid is counted besides, *overlap + global*: the detailed tiles, each sharing a quarter of its side with the next.

**Predict**: the detailed grid cuts about a quarter of the words. How many are cut by every grid if there is a second one?
"""

# %%
from benchmarks.sawtooth.readers.documents import make_page
from benchmarks.sawtooth.cutting import METHODS

compared = ("any", "all", "disjoint", "joint")
one_grid = ("detailed + global", "overlap + global")
METHOD_NAMES = [*one_grid, *(f"pyramid {rule}" for rule in compared)]
pages = [make_page(index, 112) for index in range(160)]

counted = {method: words.cuts(pages, method, 112) for method in METHOD_NAMES}
n_words = len(counted["pyramid any"])
print(f"{len(pages)} pages, {n_words} words")

# %% [markdown]
"""
Words of one page are not independent, so the 95% interval comes from drawing whole pages again and again (bootstrap).
"""

# %%
from benchmarks.sawtooth.report.statistics import bootstrap, mean

estimates = {
    method: [bootstrap(found[:, 0], mean(found[:, k].astype(float))) for k in (1, 2)]
    for method, found in counted.items()
}
course.show(
    measured.plot_cut_words(estimates, f"{n_words} on {len(pages)} pages"),
    alt="Points with intervals: any and disjoint leave far fewer words cut by every "
    "grid than one grid does, joint and overlapping tiles fewer, all hardly fewer.",
    caption="`any` and `disjoint` take most cuts away; `joint`, whose detailed grid "
    "cuts more, leaves about as many as tiles that overlap. `all` often finds no "
    "second grid here.",
)
without, published = estimates["detailed + global"][1], estimates["pyramid any"][1]
shares = f"{course.percent(without)}, any {course.percent(published)}"
print(f"cut by every grid: without a second one {shares}")
assert published[2] < without[1]  # the intervals don't touch
counts = [len(METHODS["pyramid all"](*each.image.size, 112, None)) for each in pages]
alone = np.mean(np.array(counts) == 2)  # no second grid beside the detailed one
print(f"pages without a second grid under the rule all: {alone:.0%}")

# %% [markdown]
"""
The benchmark stored the same counts when its models read these pages. They have to agree with what was counted here.
"""

# %%
rows = words.stored_rows(counted, "6m-pyramid")
heads = ["cut by the detailed grid", "by every grid", "read by `6m-pyramid`"]
course.table(["of all 590 words", *heads, "words read, minus those of CIP any"], rows)
heads = ["distortion, median of 160 pages", "detailed grid", "second grid"]
course.table(heads, words.stretched(pages, small))

# %% [markdown]
"""
Of 590 words 160 are cut by the detailed grid, and 52 by both grids of the published rule. The last two columns of the first table are about reading. Mind that `6m-pyramid` is the small checkpoint at an earlier stage, before it was trained under compression ([05](05_scale_compression.ipynb)), and that these are other pages than those of the 77.1%.

- With `all` it is 147: with few tiles hardly any grid passes it, and then there is no second grid.
- With `joint` it is 92, more than with `any`, as its detailed grids are finer. But fewer cuts are not the goal in itself: its second grid is stretched less (second table), though its detailed one more. And the small reader, though trained with `any`, reads as many words under `joint`, as far as 590 words tell: 1.9 points more (-1.7 to 5.5).
- *Overlap + global* cuts 88 in its one grid, but this reader, which never saw such tiles, reads 21.2 points fewer words with them than with `any` (`benchmarks/sawtooth/RESULTS.md`).

## The published settings by name

The authors' code has its own ranges for every benchmark, for its demo and for training. They are copied to `PYRAMID_SETTINGS` as they stand there; a processor takes their names. Mind two of them: `demo` is what `plan_pyramid` takes if no ranges are given, and `default` is the authors' own name for benchmarks without ranges of their own.

**Predict**: how many tiles does the A4 page take at most, and is it the documents' setting that takes them?
"""

# %%
from processing_minimonkey import PYRAMID_SETTINGS

names = "demo default chartqa docvqa infovqa ocrbench mme multi_image train".split()
plans = {name: plan_pyramid(*A4, **PYRAMID_SETTINGS[name]) for name in names}
course.show(
    figures.plot_budgets(plans, of="an A4 page at 150 dpi"),
    alt="Stacked bars of the tiles of an A4 page under nine published settings, from "
    "7 under train to 33 under ocrbench.",
    caption="What an A4 page costs by setting, at 256 tokens per tile. The second "
    "grid adds 2 to 8 tiles, if there is one.",
)
for name in ("docvqa", "ocrbench", "train"):
    print(f"{name:9} {dict(PYRAMID_SETTINGS[name])}")
assert max(plans, key=lambda name: plans[name].num_tiles) == "ocrbench"
scanned = plan_pyramid(2 * A4[0], 2 * A4[1], **PYRAMID_SETTINGS["docvqa"])
print("docvqa at 300 dpi:", scanned.detailed, scanned.adaptive, scanned.num_tiles)

# %% [markdown]
"""
The most is 33 tiles, under `ocrbench`. The documents' setting, `docvqa`, could take as many, but at 150 dpi it takes 15, of them 6 detailed: of the equally near 2 x 3 and 4 x 6 the finer is too large for so few pixels. `ocrbench` asks for at least 8 tiles, `default` and `multi_image` for 12, so there it can't be avoided. At 300 dpi `docvqa` takes 33 tiles, too.

A name or ranges of your own can be given for good, to `from_pretrained`, or for one call:
"""

# %%
for_good = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT, pyramid="docvqa")
own = {"detailed_tiles": (1, 12), "adaptive_tiles": (2, 6), "complementarity": "joint"}
calls = {"docvqa, for good:": (for_good, {}), "own, for one call:": (processor, own)}
for name, (each, settings) in calls.items():
    planned = each.image_processor.get_pyramid_plan(page.height, page.width, settings)
    print(f"{name:18} detailed {planned.detailed}, adaptive {planned.adaptive}")

# %% [markdown]
"""
The small page keeps its 3 x 2 detailed tiles under `docvqa`, since 6 x 4 would be too large for its few pixels, and gets a second grid of 4 x 2. The ranges of our own give it 4 x 3 and 3 x 2, which by `joint` have no common line.

## What it costs in distortion

`benchmarks/sawtooth/GEOMETRY.md` counts without a model, for 600 random pages of 60 words in tiles of 448 px, what is *cut by every grid* and what *stays cut*: words that no group, the global view included, shows whole **and** at least 12 px high. Since the global view counts, too, these are far fewer. Only those of the 36,000 words count that the detailed grid of `any` shows at least 12 px high, 35,845 under the demo's ranges. The first two columns of the table are by lines alone, the third is what stays cut.

**Predict**: is there a rule that is better than `any` in both, cuts and distortion?
"""

# %%
geometry = words.geometry()  # `geometry.csv`, from (ranges, rule) to its row
shown = (*one_grid, "any", "all", "none", "disjoint", "joint", "shifted")
demo = {rule: geometry["demo", rule] for rule in shown}
course.show(
    measured.plot_distortion(demo),
    alt="Two scatters of cut words over distortion. Left, in the median, joint is low "
    "in both, disjoint low in cuts alone, all at 2.2; overlap + global, a dashed line, "
    "is a little below any. Right, at 90%, overlap is at 1.2, all at 3.8.",
    caption="Left and below is better; the scale of the words is logarithmic. Squares: "
    "our rules; circles: published ones; open circle, `shifted`: the first grid, moved by "
    "half a tile. Dashed on the left, triangles on the right: the two ways with one grid "
    f"alone. Second grids: only of pages that have one. Demo ranges, 600 pages, "
    f"{demo['any']['words']:,.0f} words, 95% intervals.",
)
rows = words.distortion_rows(demo, (*one_grid, *COMPLEMENTARITIES))
heads = ["cut by the detailed grid, %", "by every grid, %", "stay cut, %"]
heads += ["second grid's distortion, median", "90%", "detailed grid's, 90%", "tiles"]
course.table(["the demo's ranges", *heads], rows)

# %% [markdown]
"""
Now against `any`, in all eight ranges of the report. `any` and the other see the same pages, so the difference is taken word by word, with its interval over pages. Fewer or more: this interval lies on one side of zero; else no difference is counted. *Less distorted* compares what a tenth of the pages exceeds; the second table has it for `any` in each of the ranges.
"""

# %%
ours = ("joint", "disjoint", "overlap + global")
rows = [[rule, *words.against_any(geometry, rule)] for rule in ours]
heads = ["minus `any`, demo, points", "of 8 ranges fewer stay cut in", "more in"]
course.table(["stay cut", *heads, "second grid less distorted in"], rows)
tails = {name: f"{geometry[name, 'any']['distortion_90']:.2f}" for name, _ in geometry}
course.table(["ranges", *tails], [["distortion by `any`, 90%", *tails.values()]])

# %% [markdown]
"""
Yes: `joint`. Under the demo's ranges 5.1% of the words stay cut without a second grid, 1.1% with `any`, and 0.4% with `joint`, whose second grid is also stretched less, for one tile more a page. (`shifted`, the open circle, beats `any` in both, too, for nearly twice the tiles; but by lines alone it cuts more, 22.0%, not 15.2%. It is no rule of the package, and not in the table.) Three things qualify this:

- It is not so everywhere. Of the eight ranges `joint` leaves fewer words cut than `any` in four, more in two; its second grid is less distorted in all. `disjoint` leaves fewer in six and more in none, but its second grid is less distorted in none.
- The median hides a tail. A tenth of the second grids is stretched 2.62 times or more by `disjoint`, 3.83 by `all` (where 38.5% of the pages have none). Under the ranges of ChartQA, of training and of `default`, `any` has such a tail, too: about 3 (second table).
- `joint` changes the detailed grid, too: it cuts more words (42.6%, not 39.0%) and is stretched more (1.24, not 1.12, at 90%).

(Why does `none` leave only 1.6%, if it may repeat the detailed grid? Under these ranges it often can't: the detailed grid may have up to 12 tiles, the second only 7.)

One way needs no second grid at all. With *overlap + global* 0.9% (0.7 to 1.0) of the words stay cut, a little less than with `any`, with two thirds of its tiles (by lines alone 17.6% are cut, more than the 15.2% of `any`). That, too, is not so everywhere: of the eight ranges it leaves fewer words cut in two, more in three. What overlap costs is size: the same tiles cover a smaller canvas, so letters are smaller. And a model has to know such tiles: `6m-pyramid` doesn't; the recognizer in [01](01_semantic_sawtooth.ipynb) needn't, and reads as much with them as with a second grid. No model was trained with them here.

Geometry is not reading, though: which of this helps a model is the question of [10](10_measure.ipynb).

## What the paper claims, and what was measured here

The published scores are the authors'; nothing here repeats them, since geometry alone reads nothing.
"""

# %% tags=["hide-input"] jupyter={"source_hidden": true}
course.claims(*claims.of_pyramid(demo))

# %% [markdown]
"""
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
Width comes first in `plan_pyramid`, as in PIL; `get_pyramid_plan` of the image processor takes height first, as in Transformers. Mixed up, both answer without an error, with the grid of another page.

## Exercises

### Exercise 1

A square page has 2 x 2 detailed tiles. List the grids of up to 4 tiles that `any` leaves beside it, the nearest first, with their distortion. How many tiles must the second grid be allowed to have, so that the page is stretched less than twice?

<details>
<summary>Solution</summary>

```python
counts = range(1, 5)
left = [(c, r) for c in counts for r in counts if c * r <= 4 and (2 % c or 2 % r)]
for grid in sorted(left, key=lambda grid: abs(1 - grid[0] / grid[1])):
    print(grid, round(figures.distortion((800, 800), grid), 2))
for most in range(4, 9):
    second = plan_pyramid(800, 800, **small | {"adaptive_tiles": (1, most)}).adaptive
    print("up to", most, "tiles:", second)
    if figures.distortion((800, 800), second) < 2:
        break
assert (most, second) == (6, (2, 3))
```

</details>

### Exercise 2

`shared_lines` counts with the greatest common divisor. Count the common lines of 4 x 6 and 2 x 4 with fractions instead, and see that both agree for all grids of up to 12 columns and rows.

<details>
<summary>Solution</summary>

```python
from fractions import Fraction


def common(first, second):
    lines = [
        {Fraction(index, count) for index in range(1, count)}
        for count in (first, second)
    ]
    return len(lines[0] & lines[1])


assert all(
    common(a, b) == math.gcd(a, b) - 1 for a in range(1, 13) for b in range(1, 13)
)
print("4 x 6 and 2 x 4:", common(4, 2), "vertical,", common(6, 4), "horizontal")
assert common(4, 2) + common(6, 4) == 2
```

</details>

### Exercise 3

No image between 1:3 and 3:1 may take more than 4,000 tokens, at 256 per tile. The adaptive range is (2, 4), and there should be at least 6 detailed tiles. How many may there be at most? Check it on 200 shapes. How much of the budget do the shapes use?

<details>
<summary>Solution</summary>

```python
ratios = np.geomspace(1 / 3, 3, 200)
sizes = [(round(1500 * each**0.5), round(1500 / each**0.5)) for each in ratios]
needed = {}
for most in range(6, 15):
    ranges = {"detailed_tiles": (6, most), "adaptive_tiles": (2, 4)}
    needed[most] = [plan_pyramid(*size, **ranges).num_tiles for size in sizes]
    print(most, "at most:", min(needed[most]), "to", max(needed[most]), "tiles")
allowed = [most for most in needed if max(needed[most]) * 256 <= 4000]
print("up to", max(allowed), "detailed tiles")
# A range is no number of tiles: most shapes take fewer than their range allows
assert max(allowed) == 11 and np.mean(needed[11]) < 13
```

</details>

## Conclusion

- **What it does.** A second grid shows whole much of what the first one cuts, because its cut lines lie elsewhere. On the benchmark's pages the detailed grid cuts 160 of 590 words, both grids of the published rule 52; under the demo's ranges, on other pages, 39.0% and 15.2%. There, too, no view, the global one included, shows 5.1% of the words whole and legible with one grid, and 1.1% with two.
- **What it costs.** Under the demo's ranges 14.5 tiles a page instead of 9.9, and distortion: 1.29 in the median. Under the small ranges it is 3 for a square page.
- **What else would do.** One grid of 9.9 tiles that overlap leaves 0.9% under the demo's ranges, with smaller letters; of the eight ranges it leaves fewer words cut than `any` in two, more in three.
- **Where it fails.** A common line may remain, and under the rule `all` small grids often find no partner. Whether a model reads better for it is a question to measure, not to plan.

Read next: [03 The processor](03_processor.ipynb) turns a plan into model inputs; `benchmarks/sawtooth/GEOMETRY.md` has all rules and ranges.

## References and further reading

- M. Huang et al., *Mini-Monkey: Alleviating the Semantic Sawtooth Effect for Lightweight MLLMs via Complementary Image Pyramid*, ICLR 2025: [arXiv 2408.02034](https://arxiv.org/abs/2408.02034), [reviews](https://openreview.net/forum?id=71XtUhazG0), [code](https://github.com/Yuliang-Liu/Monkey). The authors on how ranges are chosen: [issue 130](https://github.com/Yuliang-Liu/Monkey/issues/130).
- Z. Chen et al., *How Far Are We to GPT-4V?* (InternVL 1.5), from which the choice of one grid and the global tile come: [arXiv 2404.16821](https://arxiv.org/abs/2404.16821). InternVL itself: [arXiv 2312.14238](https://arxiv.org/abs/2312.14238).
- InternVL and its image processor in [Transformers](https://huggingface.co/docs/transformers/model_doc/internvl).
- How Pillow [resizes](https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters), and the [bootstrap](https://docs.scipy.org/doc/scipy/reference/generated/scipy.stats.bootstrap.html), which the intervals come from.

[01 The semantic sawtooth](01_semantic_sawtooth.ipynb) · [all notebooks](README.md) · [03 The processor](03_processor.ipynb)
"""
