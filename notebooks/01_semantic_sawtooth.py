# %% [markdown]
"""
# What does a tile border do to a word?

[00 Ask an image](00_ask_an_image.ipynb) · [all notebooks](README.md) · [02 The complementary image pyramid](02_complementary_image_pyramid.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/01_semantic_sawtooth.ipynb) [Source of this notebook](01_semantic_sawtooth.py)

> **You will learn**: how a model that looks at tiles sees a word on a cut line, how much it reads of it, where a second
> grid helps in our measurements, and where it doesn't.
>
> **You need**: Python and some Transformers. **Time**: about 20 min to read, 2 min to run.
> **Hardware**: two CPU cores, 2 GB of memory.
>
> **Contents**: [A word on a cut line](#A-word-on-a-cut-line) · [Where a second grid helps](#Where-a-second-grid-helps) · [Let a model read them](#Let-a-model-read-them) · [One word moved across a border in small steps](#One-word-moved-across-a-border-in-small-steps) · [What the full benchmark says](#What-the-full-benchmark-says) · [What the paper claims, and what was measured here](#What-the-paper-claims,-and-what-was-measured-here) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
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
## A word on a cut line

A vision tower takes squares of one size. A larger image is cut into a grid of tiles, and the tower looks at each tile by itself: no pixel of one meets a pixel of the next before the language model reads all of them. The paper calls the damage at the borders the *semantic sawtooth*.

Three copies of one word: in the middle of a tile, on a line between two columns, on a line between two rows.

**Predict**: which of the two lines hurts a word more?
"""

# %%
import claims
import figures
import measured
from benchmarks.sawtooth.cutting import METHODS, is_cut
from benchmarks.sawtooth.measurements import moved_word
from modeling_minimonkey.scale_compression import ADAPTIVE_LEVEL

TILE, SIZE = 112, 24  # px: the side of a tile, the size of the letters
PLACES = {
    "in the middle of a tile": ((3, 2), (0.5, 0.5)),
    "between two columns": ((3, 2), (1.0, 0.5)),
    "between two rows": ((2, 3), (0.5, 1.0)),
}


def place(word, grid, center, scale=(1.0, 1.0)):
    """The word with its center at `center` (in tiles); whether it is cut."""
    image, box = moved_word.draw_word(word, SIZE, grid, scale, TILE, center)
    detailed = METHODS["detailed + global"](*image.size, TILE, None)[0]
    return image, is_cut(detailed, image.size, box)


drawn = {name: place("matter", grid, center) for name, (grid, center) in PLACES.items()}
assert [cut for _, cut in drawn.values()] == [False, True, True]
course.show(
    figures.plot_places({name: image for name, (image, _) in drawn.items()}, TILE),
    alt="The word matter three times, in tiles with gaps between them: inside a "
    "tile, parted by a gap between columns, parted by a gap between rows.",
    caption="One word at three places. The gaps are where one tile ends and the next "
    "begins; no pixel is missing.",
)

# %% [markdown]
"""
The model never sees them side by side like this. It gets the tiles one by one. These are the ones that hold a part of the word:
"""

# %%
import numpy as np

pieces = []
for name, (image, _) in drawn.items():
    view = METHODS["detailed + global"](*image.size, TILE, None)[0]
    tiles = enumerate(view.cut(image))
    dark = [(number, tile) for number, tile in tiles if np.asarray(tile).min() < 128]
    pieces += [(f"{name}\ntile {number}", tile) for number, tile in dark]
course.show(
    figures.plot_pieces(pieces),
    alt="Five tiles: the whole word; its left and its right half; its upper and its "
    "lower half.",
    caption="A line between columns leaves two half words. A line between rows "
    "leaves two halves of every letter.",
)

# %% [markdown]
"""
Left and right half are words in themselves: "mat" and "ter" can be read and joined. Upper and lower half of every letter have to be joined before there is a letter at all, and the halves never meet in the vision tower.

## Where a second grid helps

First a reader that needs no training by us: the pretrained text recognizer PP-OCRv4. It read 1,800 words on large pages, tile by tile, and gets from each tile what that tile shows of the word (`benchmarks/recognizer/RESULTS.md`). The ranges of tiles are those of the published demo.

**Predict**: a line between rows halves a word. How often is it read from its halves, and how often with a second grid beside them?
"""

# %%
from PIL import Image

from benchmarks.recognizer.scoring import METHODS as OF_RECOGNIZER
from benchmarks.recognizer.scoring import load_readings, mean_tiles, share_read

recognizer = course.ROOT / "benchmarks" / "recognizer"
course.show(
    Image.open(recognizer / "results.png"),
    alt="Above, the word enter in two halves that are misread and whole in a tile of "
    "the second grid. Below, bars of the words read: cut words are read far more "
    "often with the second grid.",
    caption="A real recognizer over cut lines. Blue: the detailed grid. Orange: with "
    "a second grid. Gray: controls.",
)
readings = load_readings(recognizer / "readings.csv")
tiles = mean_tiles(set(readings["page"]))
kinds = {"row": "cut between rows", "column": "cut between columns", "uncut": "not cut"}
rows = [
    [
        method,
        f"{tiles[method]:.1f}",
        *(
            course.percent(share_read(readings[readings["kind"] == kind], method))
            for kind in kinds
        ),
    ]
    for method in OF_RECOGNIZER
]
course.table(["words read", "tiles a page", *kinds.values()], rows)

# %% [markdown]
"""
Here the idea does what it promises: what the detailed grid halves, a tile of the second one shows whole, and it is read. The table also has the controls that such a claim needs.

- *The same tiles twice* add nothing: it isn't the number of tiles.
- *One finer grid* of about as many tiles helps, too, but less, and it cuts other words.
- *Overlapping tiles* do as well with fewer of them. What helps is that some tile shows the word whole, and a second grid is one way to do that.

Then a model that reads whole pages, trained by us with CIP (`3m-long-pyramid` of `benchmarks/sawtooth`, 3 million parameters). Its readings of 500 held-out pages are stored, with the second grid and without. Below are the words that the detailed grid cuts and the second one shows whole.

**Predict**: is every word that is read without the second grid also read with it?
"""

# %%
from benchmarks.sawtooth.measurements.pages import word_boxes
from benchmarks.sawtooth.readers.documents import make_page
from benchmarks.sawtooth.report.statistics import bootstrap, mean


def of_pages(model, method):
    """Every word of the pages, in one order for all models and methods."""
    table = course.result(f"page-{model}")
    return table[table["method"] == method].reset_index(drop=True)


without = of_pages("3m-long-pyramid", "detailed + global")
with_cip = of_pages("3m-long-pyramid", "pyramid any")
mended = without["cut_detailed"] & ~with_cip["cut_everywhere"]
uncut = ~without["cut_detailed"]
only_with = ~without["read"] & with_cip["read"]


def four_counts(name, chosen):
    """How many of the chosen words are read both ways, by one way only, by none."""
    first, second = without["read"][chosen], with_cip["read"][chosen]
    counts = (first & second, ~first & second, first & ~second, ~first & ~second)
    return [name, int(chosen.sum()), *(int(each.sum()) for each in counts)]


rows = [
    four_counts("cut by the detailed grid, whole in the second", mended),
    four_counts("not cut by the detailed grid", uncut),
]
course.table(
    ["words", "n", "read both ways", "only with CIP", "only without", "never"], rows
)

# %% [markdown]
"""
No: both ways lose words that the other one has, but many more are won than lost. Of the words that are won, these are the first three that have at least five letters and are cut between two rows:
"""


# %%
def examples(number):
    """Words that are read with the second grid alone: word, page, box, both views."""
    for page, word in without.loc[mended & only_with, ["page", "word"]].itertuples(
        index=False
    ):
        drawn_page = make_page(page, TILE)
        views = METHODS["pyramid any"](*drawn_page.image.size, TILE, None)[:2]
        box = dict(word_boxes(drawn_page))[word]
        height = drawn_page.image.height / views[0].grid[1]
        if (
            len(word) >= 5
            and word.isalpha()
            and box[1] // height < box[3] // height
            and number
        ):
            number -= 1
            yield word, drawn_page.image, box, *views


course.show(
    figures.plot_words(list(examples(3))),
    alt="Three words, above in the detailed tiles, each parted into an upper and a "
    "lower piece by a gap, below whole in a tile of the second grid.",
    caption="Read with the second grid, and not without it. Above in the detailed "
    "tiles, below in those of the second grid, each at its own scale.",
)

# %% [markdown]
"""
Now the control. That the second grid wins words proves little as long as it also wins words that no line cuts, since it shows everything a second time; and a model that was trained with CIP is asked here to do without. So compare it with a model of the same size that was trained as long with one grid, and with one grid of as many tiles.

**Predict**: which of the differences stay above zero?
"""


# %%
def gained(than, chosen):
    """How much more of the chosen words is read with CIP than in other ways."""
    more = with_cip["read"].astype(float) - than["read"]
    return course.percent(
        bootstrap(with_cip["page"][chosen], mean(more[chosen])), points=True
    )


as_many = "detailed + global, tiles of the pyramid"
others = {
    "this model, without the second grid": without,
    "this model, one grid of as many tiles": of_pages("3m-long-pyramid", as_many),
    "trained as long with one grid, reading with it": of_pages(
        "3m-long-control", "detailed + global"
    ),
    "the same, one grid of as many tiles": of_pages("3m-long-control", as_many),
}
rows = [
    [name, *(gained(each, chosen) for chosen in (mended, uncut))]
    for name, each in others.items()
]
course.table(
    ["read with CIP, minus", "words that it mends", "words that aren't cut"], rows
)

# %% [markdown]
"""
Within this model the second grid wins most where it should, on the words that it mends, and it beats one grid of as many tiles. But the model that was trained as long with one coarser grid reads
*more* than this one, on these words, too. Perhaps a small reader pays for having to learn two scales. A case that helps is not a proof that it helps on the whole.

## Let a model read them

The small checkpoint of this repository is a reader of rendered lower-case text with 6 million parameters, trained by us with CIP. It is not the published model. `adaptive_tiles=None` gives InternVL's tiling: detailed tiles and the global view alone.

**Predict**: how many of the three copies of "matter" does it read without the second grid?
"""

# %%
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

processor = AutoProcessor.from_pretrained(course.CHECKPOINT, trust_remote_code=True)
model = AutoModelForImageTextToText.from_pretrained(
    course.CHECKPOINT,
    trust_remote_code=True,
    dtype=torch.float32,
)


# %%
@torch.no_grad()
def read(images, **images_kwargs):
    """The greedy answers to "Read the text.", in one batch."""
    question = {"type": "text", "text": "Read the text."}
    chats = []
    for image in images:
        content = [{"type": "image", "image": image}, question]
        chats.append([{"role": "user", "content": content}])
    inputs = processor.prepare_chat(chats, **images_kwargs)
    length = inputs["input_ids"].shape[1]
    sequences = model.generate(**inputs, max_new_tokens=16, do_sample=False)
    return processor.batch_decode(sequences[:, length:], skip_special_tokens=True)


VIEWS = {"detailed + global": {"adaptive_tiles": None}, "pyramid any": {}}

# %%
for name, (image, _) in drawn.items():
    without_cip, with_both = (
        read([image], **settings)[0] for settings in VIEWS.values()
    )
    print(f"{name:24} without {without_cip!r:10} with CIP {with_both!r}")

image, box = moved_word.draw_word("matter", SIZE, (2, 3), (1.0, 1.0), TILE, (0.5, 1.0))
second = METHODS["pyramid any"](*image.size, TILE, None)[1]
assert second.level == ADAPTIVE_LEVEL and not is_cut(second, image.size, box)

# %% [markdown]
r"""
Between two rows "matter" is misread here even with CIP, although the second grid shows the word whole. One word shows what can happen and proves nothing. So take more words, at more places.

## One word moved across a border in small steps

Words that no training has seen are moved over a line: the center of the word is at the line (0), 1/16 and 1/8 of a tile beside it (7 and 14 px), or in the middle of a tile (half a tile away). Everything else stays the same. The score is character accuracy, with the number of edits (Levenshtein's distance) that turn the answer into the word:

$$\text{accuracy} = \max\left(0,\; 1 - \frac{\text{edits}}{\text{letters of the word}}\right)$$

**Predict**: draw the curve of accuracy over the offset, once for lines between rows and once for lines between columns.
"""

# %%
OFFSETS = {
    "y": (-0.5, -0.125, -0.0625, 0.0, 0.0625, 0.125, 0.5),
    "x": (-0.5, -0.125, 0.0, 0.125, 0.5),
}
GRIDS = {"y": (2, 3), "x": (3, 2)}  # the line at 1 is met by moving along this axis
words = moved_word.held_out_words(24, moved_word.SIZES[SIZE])[
    : 12 if course.FAST else 24
]
print(len(words), "words:", *words)


def move(axis, offset, settings):
    """The answers for all words at one place."""
    center = (0.5, 1 + offset) if axis == "y" else (1 + offset, 0.5)
    scales = [moved_word.SCALES[i % 3] for i in range(len(words))]
    images = [
        place(word, GRIDS[axis], center, each)[0]
        for word, each in zip(words, scales, strict=True)
    ]
    return read(images, **settings)


moved = {
    (axis, method, offset): move(axis, offset, settings)
    for axis, offsets in OFFSETS.items()
    for method, settings in VIEWS.items()
    for offset in offsets
}
print("readings:", sum(map(len, moved.values())))

# %% [markdown]
"""
The readings of one word are not independent, so the 95% interval is drawn over words (bootstrap): what would other words of this kind have given?
"""

# %%
from benchmarks.sawtooth.readers.scores import character_accuracy

accuracy = {
    key: np.array([character_accuracy(*pair) for pair in zip(words, each, strict=True)])
    for key, each in moved.items()
}
estimates = {
    (axis, method): {
        offset: bootstrap(np.arange(len(words)), mean(accuracy[axis, method, offset]))
        for offset in OFFSETS[axis]
    }
    for axis in OFFSETS
    for method in VIEWS
}
LINES = {"y": "lines between rows", "x": "lines between columns"}
course.show(
    measured.plot_moved(LINES, estimates, of=f"n = {len(words)} words"),
    alt="Accuracy over the offset: lines between rows show a dip at the line for "
    "both methods, lines between columns hardly.",
    caption="Blue: detailed and global tiles. Orange: with the second grid. Dashed: "
    "the cut line. 95% intervals over words.",
)


# %%
def depth(axis, method):
    """Accuracy in the middle of a tile minus that on the line."""
    middle = (accuracy[axis, method, -0.5] + accuracy[axis, method, 0.5]) / 2
    return bootstrap(np.arange(len(words)), mean(middle - accuracy[axis, method, 0.0]))


depths = {(axis, method): depth(axis, method) for axis in "yx" for method in VIEWS}
rows = [
    [lines, *(course.percent(depths[axis, method], points=True) for method in VIEWS)]
    for axis, lines in LINES.items()
]
course.table([f"depth, n = {len(words)} words", *VIEWS], rows)
assert depths["y", "detailed + global"][0] > depths["x", "detailed + global"][0]

# %% [markdown]
"""
What to look at: the dip at the line between rows, and how narrow it is. "matter" is 17 px high: with its center 7 px beside the line it is still cut, 14 px beside it is whole. The line between columns costs hardly anything. And the orange curve is about where the blue one is: with so few words, a difference between them can't be seen, and the intervals say so.

The benchmark read the same images, by code of its own that cuts the tiles without the processor, with the checkpoint as it was before its last training, that under compression ([05](05_scale_compression.ipynb)). Most of its stored answers have to be those of the cell above.
"""

# %% tags=["hide-input"] jupyter={"source_hidden": true}
stored = course.result("sweep-6m-pyramid").query("size == @SIZE")
names = ("method", "columns", "rows", "axis", "position", "word", "answer")
known = {
    key[:-1]: key[-1] for key in zip(*(stored[name] for name in names), strict=True)
}
same = [
    known[key] == answer
    for (axis, method, offset), given in moved.items()
    for word, answer in zip(words, given, strict=True)
    if (key := (method, *GRIDS[axis], axis, 1 + offset, word))
    in known  # 1/16 isn't among its steps
]
print(f"{sum(same)} of {len(same)} answers are those of the benchmark")
assert np.mean(same) > 0.75

# %% [markdown]
"""
## What the full benchmark says

24 words at 70 places each, three models of this size: one trained with plain tiling, one trained on as long with plain tiling (the control), one trained on with CIP, from which this checkpoint comes. The depth is defined as above, and every reading counts.

**Predict**: two questions. Does every model have a sawtooth between rows? Does the second grid take it away?
"""

# %%
from benchmarks.sawtooth.report import comparisons

models = {
    name: course.result(f"sweep-6m-{name}") for name in ("plain", "control", "pyramid")
}
full, rows = {}, []
for name, table in models.items():
    for axis, lines in LINES.items():
        part = table[(table["axis"] == axis) & (table["size"] == SIZE)]
        found = {method: comparisons.depth(part, method) for method in VIEWS}
        gain = comparisons.gain(part, "pyramid any", "detailed + global", at_lines=True)
        full[name, axis] = found
        cells = (course.percent(each, points=True) for each in (*found.values(), gain))
        rows.append([f"{name}, {lines}", *cells])
course.table(
    ["model", "depth without CIP", "with CIP", "gain of CIP on the lines"], rows
)
course.show(
    measured.plot_depths(LINES, full),
    alt="Depth with intervals for three models: clearly above zero between rows, "
    "near zero between columns.",
    caption="The depth of the sawtooth in the full benchmark, 24 words, 840 readings "
    "per point, 95% intervals over words.",
)

# %% [markdown]
"""
- There is a sawtooth between rows in every model: 15.1 points in `plain`, 8.3 in `control`, 13.7 in `pyramid`.
- Between columns it is 0.7 to 1.7 points, and no interval is clear of zero.
- CIP switched on without training makes these small readers **worse** on the lines, by 16.8 and 8.7 points.
- Trained with CIP, the second grid changes 1.0 point on the lines between rows (-1.3 to 3.2): not shown at this size of letters.

With letters of 32 px, which stay legible in the coarser second grid, the depth is 5.0 points instead of 7.9 with CIP, the gain on the lines 3.4 (-0.1 to 7.2). These are readers of 6 million parameters; the published claim is about a model of 2 billion, and of that the benchmark says nothing. In a MiniCPM-V of the same size lines between columns cost, too, and there CIP helped after training ([07](07_other_models.ipynb)). `benchmarks/sawtooth/RESULTS.md` has all of it.
"""

# %%
table = models["pyramid"]
large = table[(table["axis"] == "y") & (table["size"] == 32)]
for method in VIEWS:
    print(
        f"32 px, {method:18} depth",
        course.percent(comparisons.depth(large, method), points=True),
    )
gain = comparisons.gain(large, "pyramid any", "detailed + global", at_lines=True)
print("32 px, gain on the lines      ", course.percent(gain, points=True))

# %% [markdown]
"""
## What the paper claims, and what was measured here

The published scores are the authors'. What stands on the right is about a pretrained recognizer and small readers; none of it is about the published model.
"""

# %% tags=["hide-input"] jupyter={"source_hidden": true}
control = of_pages("3m-long-control", "detailed + global")
course.claims(*claims.of_sawtooth(readings, gained(control, mended | True)))

# %% [markdown]
"""
## Common errors

A setting with a typing error would be ignored by many libraries and would quietly measure something else. Here it is an error, and so is a range upside down:
"""

# %%
image = drawn["between two rows"][0]
with course.expected(TypeError):
    read([image], adaptive_tile=None)
with course.expected(ValueError):
    read([image], adaptive_tiles=(4, 1))

# %% [markdown]
"""
## Exercises

### Exercise 1

The image doesn't have the size of its grid: it is 5% wider. Where is the cut line between its first two columns, in px of the image? Show that a word with its center there is cut.

<details>
<summary>Solution</summary>

```python
image, box = moved_word.draw_word("matter", SIZE, (3, 2), (1.05, 1.0), TILE, (1.0, 0.5))
view = METHODS["detailed + global"](*image.size, TILE, None)[0]
line = image.width / (
    view.canvas[0] / TILE
)  # the image is stretched to the canvas, and its lines with it
print(
    f"the line is at {line:.1f} px, the word reaches from {box[0]:.1f} to {box[2]:.1f} px"
)
assert (
    box[0] < line < box[2]
    and abs(line - 1.05 * TILE) < 0.5
    and is_cut(view, image.size, box)
)
```

</details>

### Exercise 2

A word of height h lies anywhere in a column of many tiles. With which probability does a line between rows cut it? Check it by moving a word over one tile in steps of 1 px.

<details>
<summary>Solution</summary>

```python
_, box = moved_word.draw_word("matter", SIZE, (2, 3), (1.0, 1.0), TILE, (0.5, 1.0))
height = box[3] - box[1]
cuts = [place("matter", (2, 3), (0.5, 0.5 + step / TILE))[1] for step in range(TILE)]
print(
    f"height {height:.0f} px: cut at {sum(cuts)} of {TILE} places, {height:.0f} / {TILE} = {height / TILE:.3f}"
)
assert abs(np.mean(cuts) - height / TILE) < 0.02
```

</details>

### Exercise 3

Which grids does `complementarity="joint"` give the image whose word lies between two rows, and does one of them show it whole? Let the model read it so.

<details>
<summary>Solution</summary>

```python
from modeling_minimonkey.scale_compression import GLOBAL_LEVEL

image, box = moved_word.draw_word("matter", SIZE, (2, 3), (1.0, 1.0), TILE, (0.5, 1.0))
views = METHODS["pyramid joint"](*image.size, TILE, None)
cut = [is_cut(view, image.size, box) for view in views if view.level != GLOBAL_LEVEL]
print([view.canvas for view in views], cut, read([image], complementarity="joint"))
assert cut == [True, False]  # the second grid shows it whole
```

</details>

## Conclusion

A border between columns parts a word into two pieces that can be read; it costs our small readers little (0.7 to 1.7 points, not certain). A border between rows halves every letter and costs 8 to 15 points of character accuracy, within a few pixels of the line. A second grid shows the word whole. A pretrained recognizer then reads nearly all of the halved words. A small reader trained by us reads more words with the second grid than without, but not more than one that was trained as long with one grid; and switched on without training, CIP makes it read worse.

Read next: [02](02_complementary_image_pyramid.ipynb) explains how the second grid is chosen, [10](10_measure.ipynb) how to measure what it gives.

## References and further reading

- M. Huang et al., *Mini-Monkey: Alleviating the Semantic Sawtooth Effect for Lightweight MLLMs via Complementary Image Pyramid*, ICLR 2025: [arXiv 2408.02034](https://arxiv.org/abs/2408.02034), [reviews](https://openreview.net/forum?id=71XtUhazG0), [code](https://github.com/Yuliang-Liu/Monkey).
- Z. Chen et al., *How Far Are We to GPT-4V?* (InternVL 1.5), on tiles of one size and a global view: [arXiv 2404.16821](https://arxiv.org/abs/2404.16821). InternVL: [arXiv 2312.14238](https://arxiv.org/abs/2312.14238).
- A. Dosovitskiy et al., *An Image is Worth 16x16 Words*, on vision towers: [arXiv 2010.11929](https://arxiv.org/abs/2010.11929).
- The recognizer: [PaddleOCR](https://github.com/PaddlePaddle/PaddleOCR), as [RapidOCR](https://github.com/RapidAI/RapidOCR) ships it. The intervals: [bootstrap](https://docs.scipy.org/doc/scipy/reference/generated/scipy.stats.bootstrap.html).

[00 Ask an image](00_ask_an_image.ipynb) · [all notebooks](README.md) · [02 The complementary image pyramid](02_complementary_image_pyramid.ipynb)
"""
