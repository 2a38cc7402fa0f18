# %% [markdown]
"""
# What does a tile border do to a word?

[00 Ask an image](00_ask_an_image.ipynb) · [all notebooks](README.md) · [02 The complementary image pyramid](02_complementary_image_pyramid.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/01_semantic_sawtooth.ipynb) [Source of this notebook](01_semantic_sawtooth.py)

> **You will learn**: how a model that looks at tiles sees a word on a cut line, how much of it is read, where a second grid helps in our measurements, and where it doesn't.
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
import numpy as np
import tiles
import words
from benchmarks.sawtooth.cutting import METHODS, is_cut
from benchmarks.sawtooth.measurements import moved_word
from modeling_minimonkey.scale_compression import ADAPTIVE_LEVEL

TILE, SIZE = 112, 24  # px: the side of a tile, the size of the letters
PLACES = {
    "in the middle of a tile": ((3, 2), (0.5, 0.5)),
    "between two columns": ((3, 2), (0.94, 0.5)),  # the line runs between mat and ter
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
    alt="The word matter three times, in two tiles each, with a gap between them: whole "
    "in one tile, parted into mat and ter, parted into upper and lower halves.",
    caption="One word at three places, in the first two tiles of each image. A line "
    "between columns leaves two pieces of a word, a line between rows two halves of "
    "every letter. No pixel is missing in the gaps.",
)

# %% [markdown]
"""
The model gets these tiles one by one and never side by side. "mat" and "ter" can be read and joined; here the line runs between two letters, at most other places it halves one. Upper and lower half of every letter have to be joined before there is a letter at all. So a line between rows should hurt more. In the small readers below it does. In the recognizer, which comes first, both hurt alike.

## Where a second grid helps

The remedy of the paper is to show the image a second time, in a grid with other cut lines, and a third time as a whole:
"""

# %%
halved, _ = drawn["between two rows"]
views = METHODS["pyramid any"](*halved.size, TILE, None)
notes = ("cut in two", "whole, but less high", "whole, but small")
course.show(
    tiles.plot_one_word(halved, views, [f"{note}: read?" for note in notes]),
    alt="The word matter on three canvases of square tiles: in six detailed tiles, parted "
    "between two of them; in two adaptive tiles, whole and less high; in one global "
    "tile, whole and small.",
    caption="The idea of CIP: what one grid cuts, another shows whole. All tiles have "
    "the size in which the model gets them.",
)

# %% [markdown]
"""
Whether a reader makes something of it is the question. In short: a recognizer gains 14 points on words cut between rows. A trained model gains 2.7 over its control, at best. Untrained small readers lose.

*Points* are differences of percentages, and [a, b] is a 95% interval: one that contains 0 shows no difference. We ask three readers, one after the other: a recognizer that is told where the words are, models that read whole pages, and the small checkpoint over a word that is moved. And these are the ways to cut an image:

- *detailed + global*: the detailed tiles, and the whole image once more in a single tile. This is InternVL's tiling, and the baseline.
- *CIP any*, *CIP joint*: with tiles of a second grid, which is chosen by the published rule, `any`, or by ours, `joint`, which chooses both grids together, for more tiles ([02](02_complementary_image_pyramid.ipynb)). (In the stored readings of our readers they are called "pyramid any" and "pyramid joint".)
- *finer grid*: one grid of about as many tiles as both of `any` have. *Overlap*: tiles of one grid that share a quarter of their side with the next.

### A recognizer that is told where the words are

PP-OCRv4 is a text recognizer that others have trained. It reads 1,800 English words on 100 large pages, in tiles of 448 px (`benchmarks/recognizer/RESULTS.md`), word by word and tile by tile, with the published demo's ranges of tiles; a word counts as read if the tiles of any view give it exactly.

**Predict**: a line between rows cuts words near their middle. How many of them are read without a second grid, and how many with one?
"""

# %%
from benchmarks.recognizer import scoring

readings = scoring.load_readings(
    course.ROOT / "benchmarks" / "recognizer" / "readings.csv"
)
course.show(
    measured.plot_recognizer(readings),
    alt="Left, the word enter in two halves that are misread, and whole in a tile of the "
    "second grid. Right, words read over where the line runs: the nearer to the middle, "
    "the further detailed + global falls, while both rules of CIP stay above 94%.",
    caption="A real recognizer over words cut between rows. Right: the nearer the line "
    "is to the middle of a word, the more a second grid is worth. 95% intervals.",
)

# %% [markdown]
"""
The same for words that are cut between rows *however little is missing*, between columns only, and not at all, 600 of each:
"""

# %%
per_page = scoring.mean_tiles(set(readings["page"]))
kinds = {"row": "between rows", "column": "between columns only", "uncut": "not cut"}
of_kind = {kind: readings[readings["kind"] == kind] for kind in kinds}
rows = []
for method in scoring.METHODS:
    shares = (scoring.share_read(each, method) for each in of_kind.values())
    rows.append([method, f"{per_page[method]:.1f}", *map(course.percent, shares)])
course.table(["words read", "tiles a page", *kinds.values()], rows)
for kind, each in of_kind.items():
    more = scoring.gain(each, "CIP any", "detailed + global")
    print(f"any minus detailed + global, {kinds[kind]}:", course.percent(more, True))

# %% [markdown]
"""
At random places most words are not cut at all, and a line that cuts a word may run anywhere in its height. So look closer:
"""

# %%
heads = ["words read", "n", words.BASELINE, words.ANY, "difference"]
course.table(heads, words.closer(readings))
share = scoring.occurrence(readings)
print("words at random places:", {kinds[kind]: f"{share[kind]:.1%}" for kind in kinds})

# %% [markdown]
"""
Here the idea does what it promises. Against the baseline, detailed + global, the second grid wins 14.0 points on words that are cut between rows, and none on words that aren't cut. But such words are few: at random places 2.1% are cut between rows and 9.1% between columns only. Over all words at such places the gain is 1.4 points (1.1 to 1.7), as `any` reads 99.3% and the baseline 97.9%. Most of what is won between rows is won where the line runs through the middle: of the words cut by 30 to 50% of their height the baseline reads 69.4% and `any` 94.8%. Of the 195 that are cut by less than 15% the baseline reads 95.4% anyway.

- *The same tiles twice* add nothing, by construction: this reader answers the same to the same tile.
- *One finer grid* of about as many tiles is the fair comparison. It helps, too, but less, and it cuts other words.
- *Overlapping tiles* do at least as well (98.8 against 96.8% by `any`) with fewer of them. Each repeats a quarter of its neighbor, so most words are whole in one of them. The price is letters that are smaller: the same tiles cover a smaller canvas. What helps is that some tile shows the word whole, and a second grid is one way to do that.
- *Between columns* it is the same. This reader has to get all letters right, and a halved letter or a short piece of a word is enough to mislead it.

It is an upper bound: the recognizer is told where each word is, and the right answer counts whichever tile gives it. A model has to find the word, and to choose between what its tiles say.

### Models that read whole pages

`3m-long-pyramid` is a reader of 3 million parameters, trained by us with `joint`. It reads 500 held-out pages with 1,880 words, in tiles of 112 px; a word counts as read if it stands in the answer. Two thirds of the words are random letters or digits, which nobody can guess from a part. Its readings are stored, with the second grid and without.

**Predict**: is every word that is read without the second grid also read with it?
"""

# %%
from benchmarks.sawtooth.report.statistics import bootstrap, mean

BASELINE, ANY, JOINT = words.BASELINE, words.ANY, words.JOINT
baseline, joint = (words.of_pages("3m-long-pyramid", way) for way in (BASELINE, JOINT))
cut, still_cut = baseline["cut_detailed"], joint["cut_everywhere"]
sorts = {
    "cut by the detailed grid, whole in a grid of `joint`": cut & ~still_cut,
    "cut by the detailed grid and by both of `joint`": cut & still_cut,
    "not cut by the detailed grid": ~cut,
}
one, two = baseline["read"], joint["read"]
won, lost, both, neither = ~one & two, one & ~two, one & two, ~one & ~two
rows = [
    [
        name,
        int(sort.sum()),
        *(int(each[sort].sum()) for each in (both, won, lost, neither)),
    ]
    for name, sort in sorts.items()
]
course.table(
    ["words", "n", "read both ways", "only with CIP", "only without", "never"], rows
)

# %% [markdown]
"""
No: both ways lose words that the other one has, but many more are won than lost, and that in all three sorts. Most of the words that are won because a grid shows them whole are cut between columns. Of those that are cut between rows only, these are the three that the line parts nearest to the middle. Only in the first two does it run at 30 to 50% of the height from the nearer edge:
"""

# %%
shown_whole = cut & ~still_cut & won
examples = measured.cut_between_rows(baseline[shown_whole], TILE)
print(len(examples), "of", int(shown_whole.sum()), "are cut between rows only")
course.show(
    figures.plot_words(examples[:3]),
    alt="Three short words, above in the detailed tiles, each parted into an upper and "
    "a lower piece by a gap, below whole in a tile of CIP.",
    caption="Read with the second grid, and not without it. Above in the detailed "
    "tiles, below whole in a tile of CIP, each at its own scale. Heights from the top.",
)

# %% [markdown]
"""
That proves little yet. The second grid also wins words that no line cuts, since it shows everything a second time; and a model that was trained with CIP is asked here to do without. So compare it with its *control*, a model of the same size that was trained for as many steps with one grid. There are three such pairs, each model read as it was trained. `3m` was trained for a third as long as `3m-long`; `6m` has twice the parameters, and read other pages, 160 documents with 590 words:

**Predict**: which of the differences stay above zero?
"""

# %%
trained_with = {"3m-long": JOINT, "3m": ANY, "6m": ANY}
rows, to_control = [], {}
for size, method in trained_with.items():
    read_so = words.of_pages(f"{size}-pyramid", method)
    control = words.of_pages(f"{size}-control", BASELINE)
    to_control[size] = words.gained(read_so, control, control["cut_detailed"])
    name = f"`{size}-pyramid`, {method}, minus `{size}-control`"
    rows.append([name, len(control), *words.points(to_control[size])])
heads = ["all", "cut by the detailed grid", "not cut"]
pairs = {f"{size}, {trained_with[size]}": each for size, each in to_control.items()}
course.show(
    measured.plot_pairs(pairs, heads),
    alt="Three panels of three points with intervals. For all words 3m-long is right of "
    "zero and 3m left of it; for cut words all intervals hold zero; for uncut words "
    "3m-long is right and 3m left of zero.",
    caption="What each model reads more than its control, with 95% intervals over "
    "pages. Pink intervals don't hold zero. Of the cut words, none is pink.",
)
course.table(["words read", "n", *heads], rows)

# %% [markdown]
"""
The first line is the best case. Trained longest, and with `joint`, a model reads 2.7 points more than its control (0.1 to 5.4). But the gain is shown on words that no line cuts (3.4, 0.4 to 6.5), and not on those that one cuts (0.7, -3.5 to 5.5). After the short trainings, with `any`, the smaller model reads less than its control (-2.8, -4.9 to -0.4), and for the larger no difference is shown.

Two things are not in these intervals. As many steps are not as much time: with the second grid a step of the longest training took 1.6 times as long (`benchmarks/LOG.md`), time in which the control could have learned more. And each model was trained once, from one seed: the intervals are drawn over pages and don't say how far another training would move the figures.

The longest trained pair, read in other ways, too. Mind that one grid of as many tiles often has more than the 6 which these readers know from their training.
"""

# %%
words.show_other_ways(heads)

# %% [markdown]
"""
Within this model both rules win, most on the words that are cut, and both beat one grid of as many tiles. Read by `any`, which its training didn't have, it falls behind its control by 3.8 points. That CIP helps within a model is no proof that it was worth training with it.

## Let a model read them

The third reader runs here. The small checkpoint of this repository is a reader of rendered lower-case text with 6.6 million parameters, trained by us with CIP by the rule `any`. It is not the published model. `adaptive_tiles=None` leaves the second grid out.

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


SETTINGS = {BASELINE: {"adaptive_tiles": None}, ANY: {}}

# %%
for name, (image, _) in drawn.items():
    answers = {method: read([image], **SETTINGS[method])[0] for method in SETTINGS}
    print(f"{name:24}", answers)

image, box = moved_word.draw_word("matter", SIZE, (2, 3), (1.0, 1.0), TILE, (0.5, 1.0))
second = METHODS["pyramid any"](*image.size, TILE, None)[1]
assert second.level == ADAPTIVE_LEVEL and not is_cut(second, image.size, box)

# %% [markdown]
r"""
Between two rows "matter" is misread here even with CIP, although the second grid shows the word whole. One word shows what can happen and proves nothing. So take more words, at more places.

## One word moved across a border in small steps

24 words that no training has seen, half of them random letters or digits, are moved over a line: the center of the word is at the line (0), 1/16 (lines between rows only) and 1/8 of a tile beside it (7 and 14 px), or in the middle of a tile (half a tile away). Everything else stays the same. As real images do, two of three images differ in shape from their grid: their sides are 3 to 5% longer or shorter than its canvas (`SCALES`). The score is character accuracy, with the number of edits (Levenshtein's distance) that turn the answer into the word:

$$\text{accuracy} = \max\left(0,\; 1 - \frac{\text{edits}}{\text{letters of the word}}\right)$$

**Predict**: draw the curve of accuracy over the offset, once for lines between rows and once for lines between columns.
"""

# %%
OFFSETS = {
    "y": (-0.5, -0.125, -0.0625, 0.0, 0.0625, 0.125, 0.5),
    "x": (-0.5, -0.125, 0.0, 0.125, 0.5),
}
GRIDS = {"y": (2, 3), "x": (3, 2)}  # the line at 1 is met by moving along this axis
moving = moved_word.held_out_words(24, moved_word.SIZES[SIZE])
print(len(moving), "words:", *moving)


def move(axis, offset, method):
    """The answers for all words at one place."""
    center = (0.5, 1 + offset) if axis == "y" else (1 + offset, 0.5)
    scales = [moved_word.SCALES[i % 3] for i in range(len(moving))]
    images = [
        place(word, GRIDS[axis], center, each)[0]
        for word, each in zip(moving, scales, strict=True)
    ]
    return read(images, **SETTINGS[method])


answers = {
    (axis, method, offset): move(axis, offset, method)
    for axis, offsets in OFFSETS.items()
    for method in SETTINGS
    for offset in offsets
}
print("readings:", sum(map(len, answers.values())))

# %% [markdown]
"""
The readings of one word are not independent, so the 95% interval is drawn over words (bootstrap): what would other words of this kind have given?
"""

# %%
from benchmarks.sawtooth.readers.scores import character_accuracy

LINES = {"y": "lines between rows", "x": "lines between columns"}


def over_words(values):
    """The mean of one value per word, with its interval."""
    return bootstrap(np.arange(len(moving)), mean(values))


accuracy = {
    key: np.array(
        [character_accuracy(*pair) for pair in zip(moving, each, strict=True)]
    )
    for key, each in answers.items()
}
estimates = {
    (axis, method): {x: over_words(accuracy[axis, method, x]) for x in OFFSETS[axis]}
    for axis in OFFSETS
    for method in SETTINGS
}
course.show(
    measured.plot_moved(LINES, estimates, of=f"n = {len(moving)} words"),
    alt="Accuracy over the offset: lines between rows show a dip at the line for "
    "both methods, lines between columns hardly.",
    caption="Blue: detailed and global tiles. Orange: with the second grid. Dashed: "
    "the cut line. 95% intervals over words.",
)

# %% [markdown]
"""
The *depth* of the sawtooth is the accuracy in the middle of a tile minus that on the line:
"""

# %%
rows, depths = [], {}
for axis, lines in LINES.items():
    of_words = {}  # a depth per word
    for way in SETTINGS:
        at = {offset: accuracy[axis, way, offset] for offset in OFFSETS[axis]}
        of_words[way] = (at[-0.5] + at[0.5]) / 2 - at[0.0]
        depths[axis, way] = over_words(of_words[way])
    less = over_words(of_words[BASELINE] - of_words[ANY])
    cells = (*(depths[axis, way] for way in SETTINGS), less)
    rows.append([lines, *(course.percent(each, points=True) for each in cells)])
heads = [*SETTINGS, "difference, word by word"]
course.table([f"depth, n = {len(moving)} words", *heads], rows)
for axis, offset in (("y", -0.0625), ("y", 0.0625), ("x", 0.125)):
    found = (f"{100 * estimates[axis, way][offset][0]:.1f}" for way in SETTINGS)
    print(f"{LINES[axis]}, {TILE * offset:+.0f} px: {' and '.join(found)} %")
assert depths["y", BASELINE][0] > depths["x", BASELINE][0]

# %% [markdown]
"""
- There is a dip at the line between rows, and it is narrow. "matter" is 17 px high: with its center 7 px beside the line it is still cut, 14 px beside it is whole.
- The dip seems to lean to one side (91.5% at 7 px above, 95.6% at 7 px below, without CIP; the intervals overlap). Letters sit low in their line: with the word's center 7 px above the line, its feet are cut off; 7 px below, no more than the tips of the tall letters are (exercise 1).
- On the line between columns no loss is shown (0.0, -2.5 to 2.5), although three of the five points are cut: "matter" is 82 px wide, and 14 px to the side it is still cut. One point, 14 px right of the line, is lower without CIP, 95.2 against 100.0; the depth, which uses only offset 0, misses it.
- The orange curve dips less: its depth is 4.9 points (0.7 to 10.7) in place of 7.2 (2.1 to 13.8). Word by word the difference is 2.4 points (0.0 to 6.4). Its interval reaches down to zero, so 24 words don't settle whether the second grid does that.

The benchmark read the same images, by code of its own that cuts the tiles without the processor, with the checkpoint as it was before its last trainings, those under compression ([05](05_scale_compression.ipynb)). Most of its stored answers should match those of the cell above.
"""

# %% tags=["hide-input"] jupyter={"source_hidden": true}
stored = course.result("sweep-6m-pyramid").query("size == @SIZE")
same = words.same_as_stored(stored, answers, moving, GRIDS)
print(
    f"{sum(same)} of {len(same)} answers are those of the benchmark: {np.mean(same):.0%}"
)
assert np.mean(same) > 0.7

# %% [markdown]
"""
80% of 480 agree: the benchmark has no steps of 1/16, so 96 of the 576 readings have no partner. The others are answers of the earlier checkpoint, which was trained further since. Of that checkpoint the benchmark has many more readings.

## What the full benchmark says

24 words at 70 places each, three models of this size: `6m-plain`, trained with one grid; `6m-control`, trained on from it, still with one grid; `6m-pyramid`, trained on for as many steps with CIP by `any`, from which this checkpoint comes. The depth is defined as above, and every reading counts. The gain of CIP is the accuracy by `any` minus that by detailed + global, at the same places.

**Predict**: two questions. Does every model have a sawtooth between rows? Does the second grid take it away?
"""

# %%
names = ("6m-plain", "6m-control", "6m-pyramid")
sweeps = {name: course.result(f"sweep-{name}") for name in names}
full = {
    (name, axis): words.measure(table, axis, SIZE)
    for axis in LINES
    for name, table in sweeps.items()
}
course.show(
    measured.plot_depths(LINES, full),
    alt="Above, depths for three models: clearly above zero between rows, near zero "
    "between columns. Below, gains of CIP: far below zero for 6m-plain and 6m-control, "
    "on the lines and everywhere; about zero for 6m-pyramid.",
    caption="Above: the depth of the sawtooth. Below: what CIP gains on the lines, and "
    "everywhere. 24 words, 840 readings per model and way, 95% intervals over words.",
)
heads = ["depth without CIP", "with CIP", "gain on the lines", "gain everywhere"]
rows = [
    [f"{name}, {LINES[axis]}", *(course.percent(each, points=True) for each in found)]
    for (name, axis), found in full.items()
]
course.table(["model", *heads], rows)

# %% [markdown]
"""
- There is a sawtooth between rows in every model: 15.1 points in `6m-plain`, 8.3 in `6m-control`, 13.7 in `6m-pyramid`.
- Between columns it is 0.7 to 1.7 points without CIP, and no interval is clear of zero; with CIP, that of `6m-plain` is (4.5, 0.4 to 8.5).
- CIP by `any`, switched on without training, makes these small readers **worse**: on the lines between rows by 16.8 and 8.7 points, on those between columns by 12.4 and 7.7. It has little to do with the lines: everywhere, too, they lose, 5.3 to 10.8 points.
- Trained with CIP, the second grid gains 1.0 point on the lines between rows (-1.3 to 3.2): not shown at this size of letters.

Larger letters stay legible in the coarser second grid, and `joint` can be tried on this model, too, although it was trained with `any`. Lines between rows, once more:
"""

# %%
rows = []
for size in (SIZE, 32):
    for method in (ANY, JOINT):
        found = words.measure(sweeps["6m-pyramid"], "y", size, method)
        points = (course.percent(each, points=True) for each in found)
        rows.append([f"letters of {size} px, {method}", *points])
course.table(["`6m-pyramid`, lines between rows", *heads], rows)

# %% [markdown]
"""
By `joint` a model that was trained with CIP does gain on the lines, 3.9 points with small letters and 5.0 with large ones. And its sawtooth isn't gone: in each line of the table the depth that remains is clear of zero. These are readers of 6.6 million parameters; the published claim is about a model of 2 billion, and of that the benchmark says nothing. In a MiniCPM-V of the same size lines between columns cost, too, and there CIP helped after training ([07](07_other_models.ipynb)). `benchmarks/sawtooth/RESULTS.md` has all of it.

## What the paper claims, and what was measured here

The published scores are the authors'. What stands on the right is about a pretrained recognizer and small readers; none of it is about the published model. Once more, who read what above:
"""

# %% tags=["hide-input"] jupyter={"source_hidden": true}
course.table(["reader", "what it read", "score"], words.READERS)
course.claims(*claims.of_sawtooth(readings, to_control))

# %% [markdown]
"""
## Common errors

Many libraries would ignore a misspelled setting and quietly measure something else. Here it is an error, and so is a range upside down:
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

In the curve for lines between rows, 1/16 of a tile above the line is worse than 1/16 below it. Is that since one half of a letter tells more than the other? First measure how much of a word's ink is on which side of the line.

<details>
<summary>Solution</summary>

```python
above = {}
for offset in (-0.0625, 0.0, 0.0625):
    images = [place(word, (2, 3), (0.5, 1 + offset))[0] for word in moving]
    ink = [255.0 - np.asarray(image.convert("L")) for image in images]
    above[offset] = np.mean([each[:TILE].sum() / each.sum() for each in ink])
    print(f"{offset:7} {above[offset]:4.0%} of the ink is above the line")
# The center is that of the font's line, below which the letters reach further. Below
# the line hardly anything is cut off, so this curve can't tell which half matters.
assert 1 - above[-0.0625] > 3 * above[0.0625]
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

- **The damage.** A line between rows halves every letter and costs our small readers 7 to 15 points of character accuracy, within a few pixels. A line between columns costs them little (0.0 to 1.7 points, not certain).
- **The remedy, at best.** A second grid shows the word whole. A pretrained recognizer, which is told where the words are, then reads nearly all of those that a line cuts, between rows or columns. As few words are cut, that is worth 1.4 points of all words at random places.
- **In a model that was trained with it.** It reads more words with the second grid than without. Against its control, trained for as many steps (but less time) with one grid, there is little or nothing to win: 2.7 points (0.1 to 5.4) with `joint`, after the longest training, from one seed.
- **Without training.** Switched on, CIP makes small readers read worse, on the lines and elsewhere.

Read next: [02](02_complementary_image_pyramid.ipynb) explains how the second grid is chosen, [10](10_measure.ipynb) how to measure what it gives.

## References and further reading

- M. Huang et al., *Mini-Monkey: Alleviating the Semantic Sawtooth Effect for Lightweight MLLMs via Complementary Image Pyramid*, ICLR 2025: [arXiv 2408.02034](https://arxiv.org/abs/2408.02034), [reviews](https://openreview.net/forum?id=71XtUhazG0), [code](https://github.com/Yuliang-Liu/Monkey).
- Z. Chen et al., *How Far Are We to GPT-4V?* (InternVL 1.5), on tiles of one size and a global view: [arXiv 2404.16821](https://arxiv.org/abs/2404.16821). InternVL: [arXiv 2312.14238](https://arxiv.org/abs/2312.14238).
- A. Dosovitskiy et al., *An Image is Worth 16x16 Words*, on vision towers: [arXiv 2010.11929](https://arxiv.org/abs/2010.11929).
- The recognizer: [PaddleOCR](https://github.com/PaddlePaddle/PaddleOCR), as [RapidOCR](https://github.com/RapidAI/RapidOCR) ships it. The intervals: [bootstrap](https://docs.scipy.org/doc/scipy/reference/generated/scipy.stats.bootstrap.html).

[00 Ask an image](00_ask_an_image.ipynb) · [all notebooks](README.md) · [02 The complementary image pyramid](02_complementary_image_pyramid.ipynb)
"""
