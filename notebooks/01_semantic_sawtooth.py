# %% [markdown]
"""
# What does a tile border do to a word?

[00 Ask an image](00_ask_an_image.ipynb) · [all notebooks](README.md) · [02 The complementary image pyramid](02_complementary_image_pyramid.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/01_semantic_sawtooth.ipynb) [Source of this notebook](01_semantic_sawtooth.py)

> **You will learn**: what a tile border does to a word, how to measure that, and what a second grid with other borders gives: to a recognizer much, to most small models hardly more than as much training without it.
>
> **You need**: Python, and what a token is ([00](00_ask_an_image.ipynb)). **Time**: about 35 min to read, 3 min to run.
> **Hardware**: two CPU cores, 2 GB of memory.
>
> **Contents**: [A word on a cut line](#A-word-on-a-cut-line) · [The remedy: a second grid](#The-remedy:-a-second-grid) · [One word moved across a line](#One-word-moved-across-a-line) · [The same in three models](#The-same-in-three-models) · [What there is to win](#What-there-is-to-win) · [Is it worth training with?](#Is-it-worth-training-with?) · [What the paper claims, and what was measured here](#What-the-paper-claims,-and-what-was-measured-here) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
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
**In short**: a border that halves a word's letters costs four small readers 7 to 15 points of them. A second grid with other borders shows the word whole, and a recognizer that is told where to look then reads nearly all such words.

Whether a *model* is better for it is another matter. Small models that were never trained with a second grid mostly read worse with it. Of three that were, the best reads 2.7 points more words on pages than its *control*, a model trained for as many steps without. That this is due to cut words isn't shown, and a later experiment with other readers, made for just this question, shows no use of the second grid. One reader does use its second grid, on short receipts; on longer bills no use is shown ([10](10_measure.ipynb#Conclusion)).

*Points* are differences of percentages: 87% is 7 points more than 80%. Most numbers have a 95% interval, written [a, b] in tables and (a to b) in the text: about what other words or pages could have given. Where the interval of a difference contains 0, no difference is shown.

## A word on a cut line

A vision tower, the part of a model that looks at the image, takes squares of one size. A larger image is cut into a grid of squares, the *tiles*. The tower looks at each by itself: what stands in two tiles comes together only later, in the language model. The borders are the *cut lines*, vertical between two columns of tiles, horizontal between two rows. The paper calls the damage there the *semantic sawtooth*. Here is one word at three places.

**Predict**: which of the two lines hurts a word more?
"""

# %%
import claims
import figures
import measured
import numpy as np
import tables
import tiles
import words
from benchmarks.sawtooth.cutting import METHODS, is_cut
from benchmarks.sawtooth.measurements import moved_word

TILE, SIZE = 112, 24  # px: the side of a tile, the size of the letters
PLACES = {
    "in the middle of a tile": ((3, 2), (0.5, 0.5)),
    "between two columns": ((3, 2), (0.94, 0.5)),  # the line runs between mat and ter
    "between two rows": ((2, 3), (0.5, 1.0)),
}


def place(word, grid, center, scale=(1.0, 1.0)):
    """The word, its center at `center` (in tiles), and whether each grid cuts it."""
    image, box = moved_word.draw_word(word, SIZE, grid, scale, TILE, center)
    views = METHODS["pyramid any"](*image.size, TILE, None)[:2]
    return image, [is_cut(view, image.size, box) for view in views]


drawn = {name: place("matter", grid, center) for name, (grid, center) in PLACES.items()}
whole, cut_once = [False, False], [True, False]  # the second grid comes below
assert [cut for _, cut in drawn.values()] == [whole, cut_once, cut_once]
course.show(
    figures.plot_places({name: image for name, (image, _) in drawn.items()}, TILE),
    alt="The word matter three times, in two tiles each, with a gap between them: "
    "whole in one tile, parted into mat and ter, parted into upper and lower halves.",
    caption="One word at three places; the frames are tiles, the rest of each image is "
    "left out. A line between columns parts the word, a line between rows every "
    "letter. The gaps are only drawn: no pixel is missing.",
)

# %% [markdown]
"""
"mat" and "ter" can be read and joined. Upper and lower halves have to be joined before there is a letter at all. So a line between rows should hurt more, and for the small models below it does.

## The remedy: a second grid

The paper's remedy is the *Complementary Image Pyramid* (CIP): show the image once more, in a second grid with other cut lines. The tiles of the first grid are called *detailed*, those of the second *adaptive*, and a *global* tile has the whole image:
"""

# %%
halved, _ = drawn["between two rows"]
views = METHODS["pyramid any"](*halved.size, TILE, None)
notes = ["cut in two", *(f"whole, 1/2 as wide, {y} as high" for y in ("2/3", "1/3"))]
course.show(
    tiles.plot_one_word(halved, views, notes),
    alt="The word matter on three canvases of square tiles: in six detailed tiles, "
    "parted between two of them; in two adaptive tiles, whole, half as wide and two "
    "thirds as high; in one global tile, whole, half as wide and a third as high.",
    caption="The idea of CIP. Titles: columns x rows of tiles, and what became of the "
    "word. Only the detailed grid cuts it. In the two others it is whole but smaller: "
    "that is their price. All tiles have the same number of pixels.",
)

# %% [markdown]
"""
The global tile shows every word whole, even without a second grid; but the larger the image, the smaller the word in it. The second grid stands between: here the word is whole, and not so small. Whether a reader makes something of that has to be measured. There are three ways to cut here:

| name | tiles |
| --- | --- |
| *detailed + global* ("without CIP") | one grid and the whole image, as in InternVL, the family of models that Mini-Monkey comes from |
| *CIP any* | with a second grid, by the published rule, which chooses it after the first |
| *CIP joint* | with a second grid, by our rule, which chooses both grids together, for more tiles ([02](02_complementary_image_pyramid.ipynb)) |

And each of the next four sections asks one question of one kind of reader:

| section | question | reader |
| --- | --- | --- |
| [One word moved](#One-word-moved-across-a-line) | What does a line cost? | the small checkpoint of this repository, which runs here |
| [Three models](#The-same-in-three-models) | Does every small model pay it, and does CIP take it away? | three models of its size, `6m`: answers that the benchmark stored |
| [To win](#What-there-is-to-win) | What could a second grid give at most? | PP-OCRv4, a text recognizer trained by others, which is told where each word is |
| [Training](#Is-it-worth-training-with?) | Does a model read more for having been trained with CIP? | pairs of models, with CIP and without: stored answers |

None of them is the published model of 2 billion parameters.

## One word moved across a line

The small checkpoint has 6.6 million parameters and reads rendered lower-case text. We trained it with CIP by the rule `any`. `adaptive_tiles=None` leaves the second grid out.

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


BASELINE, ANY, JOINT = words.BASELINE, words.ANY, words.JOINT
SETTINGS = {BASELINE: {"adaptive_tiles": None}, ANY: {}}

# %%
for name, (image, _) in drawn.items():
    answers = {method: read([image], **SETTINGS[method])[0] for method in SETTINGS}
    print(f"{name:24}", answers)

# %% [markdown]
r"""
Between two rows "matter" is misread even with CIP, although the second grid shows it whole. One word shows what can happen and proves nothing. So take more words, at more places.

24 words that no training has seen, half of them random letters or digits, are moved over a line. The *offset* is how far the center of the word is from the line, in tiles, negative above it or left of it: 0, 1/16 (7 px, lines between rows only), 1/8 (14 px), or 1/2, in the middle of a tile. All else stays the same. (As with real images, two of three don't fit their grid exactly: their sides are 3 to 5% too long or too short, and they are resized to it.)

The score is *character accuracy*. Its edits are the letters to change, add or remove until the answer is the word:

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


def move(axis, offset):
    """Images of all words at one place, and which grids cut each."""
    center = (0.5, 1 + offset) if axis == "y" else (1 + offset, 0.5)
    scales = [moved_word.SCALES[i % 3] for i in range(len(moving))]
    pairs = zip(moving, scales, strict=True)
    found = [place(word, GRIDS[axis], center, each) for word, each in pairs]
    return zip(*found, strict=True)


answers, cut = {}, {}
for axis, offsets in OFFSETS.items():
    for offset in offsets:
        images, cut[axis, offset] = move(axis, offset)
        for method in SETTINGS:
            answers[axis, method, offset] = read(images, **SETTINGS[method])
print("readings:", sum(map(len, answers.values())))

# %% [markdown]
"""
The readings of one word are not independent. So the interval is drawn over words, by *bootstrap*: draw 24 words with replacement, 2,000 times, and see how far the mean moves ([10](10_measure.ipynb#Why-the-interval-is-drawn-over-words)).
"""

# %%
from benchmarks.sawtooth.readers.scores import character_accuracy
from benchmarks.sawtooth.report.statistics import bootstrap, mean

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
    caption="Letters read right, over the place of the word; dashed: the cut line. Blue: "
    "without CIP, orange: with it, side by side. Left a dip, gone at 0.125 tiles (14 "
    "px); right none on the line. The scale begins at 84%. Bars: 95% intervals; a "
    "point at 100% has none: every word was read without an error.",
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
    rows.append([lines, *(course.points(each) for each in cells)])
heads = [*SETTINGS, "difference, word by word"]
course.table([f"depth, n = {len(moving)} words", *heads], rows)
for (axis, offset), each in cut.items():
    if abs(offset) < 0.5:
        found = (f"{100 * estimates[axis, way][offset][0]:.1f}" for way in SETTINGS)
        place_at = f"{LINES[axis]}, {TILE * offset:+.0f} px: {' and '.join(found)} %"
        one, both = np.sum(each, axis=0)[0], np.all(each, axis=1).sum()
        print(f"{place_at}; cut by the first grid {one} of {len(each)}, by both {both}")
below = accuracy["y", BASELINE, 0.0625] - accuracy["y", BASELINE, -0.0625]
below = course.points(over_words(below))
print(f"between rows, without CIP, 7 px below minus 7 px above, word by word: {below}")
assert depths["y", BASELINE][0] > depths["x", BASELINE][0]

# %% [markdown]
"""
- **Between rows there is a dip**, 7.2 points deep without CIP and clear of zero. It is narrow: 14 px beside the line at most 2 of the 24 words are cut, and 98% or more of the letters are right.
- **Between columns none is shown**, although *every* word is cut at three of the five places. (14 px right of the line it is lower without CIP, 95.2 against 100.0; the depth, which uses offset 0, misses that.)
- **With CIP the dip looks less deep**, 4.9 points, but 24 words don't settle it: the interval of the difference begins at 0.0. On the line the second grid shows all 24 words whole (printed: cut by both 0). So what remains isn't for lack of a whole word.

The dip leans to one side: with the center 7 px above the line words are read worse than 7 px below it, by 4.2 points, clear of zero (last line of the print). Exercise 1 looks into it.

<details>
<summary>A check against stored answers</summary>

The benchmark read the same images by code of its own, with an earlier state of this checkpoint, before its last trainings ([05](05_scale_compression.ipynb)). Most of its answers should be those of the cell above. The next cell counts: 80% of 480 are. (The benchmark has no steps of 1/16, so 96 of the 576 readings have no partner.)

</details>
"""

# %% tags=["hide-input"] jupyter={"source_hidden": true}
stored = course.result("sweep-6m-pyramid").query("size == @SIZE")
same = words.same_as_stored(stored, answers, moving, GRIDS)
share = f"{sum(same)} of {len(same)} answers are those of the benchmark"
print(f"{share}: {np.mean(same):.0%}")
assert np.mean(same) > 0.7

# %% [markdown]
"""
## The same in three models

The benchmark has many more readings, 24 words at 70 places each, of three models of this size:

- `6m-plain`, trained with one grid;
- `6m-control`, trained on from it, still with one grid;
- `6m-pyramid`, trained on for as many steps with `any`, from which the small checkpoint comes.

The *gain* of CIP is the accuracy with `any` minus that without, at the same places: those on the lines, or everywhere.

**Predict**: does every model have a sawtooth between rows? Does the second grid take it away?
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
    caption="Above: the depth of the sawtooth, below what CIP gains. See that all "
    "depths between rows are clear of zero, with CIP, too, and that two models lose by "
    "CIP. 840 readings per model, way and direction, 95% intervals over words.",
)
heads = ["depth without CIP", "with CIP", "gain on the lines", "gain everywhere"]
rows = [
    [f"{name}, {LINES[axis]}", *(course.points(each) for each in found)]
    for (name, axis), found in full.items()
]
tables.folded("The same as numbers, in points", ["model", *heads], rows)
rows = []
for size in (SIZE, 32):
    for method in (ANY, JOINT):
        found = words.measure(sweeps["6m-pyramid"], "y", size, method)
        points = (course.points(each) for each in found)
        rows.append([f"letters of {size} px, {method}", *points])
heads = ["`6m-pyramid`, lines between rows", *heads]
tables.folded("Larger letters, and the other rule", heads, rows)

# %% [markdown]
"""
(Don't compare these depths with the 7.2 above, which is of the small checkpoint, trained on from `6m-pyramid`, and of fewer grids; "middle" is 3/8 of a tile or more from a line here: [10](10_measure.ipynb#A-depth-and-its-interval).)

- **Every model has a sawtooth between rows**: 15.1 points in `6m-plain`, 8.3 in `6m-control`, 13.7 in `6m-pyramid`. Between columns it is 0.7 to 1.7 points without CIP, and no interval is clear of zero. (With CIP that of `6m-plain` is: 4.5, 0.4 to 8.5.)
- **Switched on without training, CIP makes them worse**: on the lines between rows by 16.8 and 8.7 points, and everywhere, too, by 5.3 to 10.8. The sawtooth of `6m-plain` even becomes deeper (23.1 points), not flatter.
- **Trained with CIP, no gain is shown** on the lines between rows (1.0, -1.3 to 3.2).

*Larger letters, and the other rule* has more of `6m-pyramid`, between rows. By `joint`, which it wasn't trained with, it does gain on the lines: 3.9 points, and 5.0 with larger letters. Its sawtooth isn't gone: in each line the depth that remains is clear of zero. In a MiniCPM-V of the same size lines between columns cost, too, and CIP helped after training ([07](07_other_models.ipynb)).

## What there is to win

Is the idea wrong, or are the models too small for it? Ask a reader that has only to look. PP-OCRv4 is a text recognizer that others trained. It reads 1,800 English words on 100 large pages, word by word and tile by tile, in tiles of 448 px (`benchmarks/recognizer/RESULTS.md`). A word counts as read if one tile of *any* of its grids, or the global tile, gives it exactly, or if its pieces in a row of tiles do, joined from left to right.

It is an upper bound: the recognizer is told where each word is, and the right answer counts whichever tile gives it. A model has to find the word, and to choose between what its tiles say.

Two rivals that need no second grid are in the figure: a *finer grid*, one grid of about as many tiles as both of `any`, and *overlap*, tiles of one grid that share a quarter of their side with the next.

**Predict**: how many of the words that a line cuts near their middle are read without a second grid, and how many with one?
"""

# %%
from benchmarks.recognizer import scoring

readings = scoring.load_readings(
    course.ROOT / "benchmarks" / "recognizer" / "readings.csv"
)
course.show(
    measured.plot_recognizer(readings),
    alt="Left, the word enter in two halves that are misread, and whole in a tile of "
    "the second grid. Right, words read over where the line runs: the nearer to the "
    "middle, the further detailed + global falls, less so a finer grid, while "
    "overlapping tiles and CIP by both rules stay above 94%.",
    caption="Words cut between rows. Left: one of them. Right: the nearer the line is "
    "to the middle of a word, the further dark blue falls, and light blue less; the "
    "others little or not. The scale begins at 58%, 95% intervals.",
)
heads = ["words", "how often", "n", words.BASELINE, words.ANY, "difference"]
course.table(heads, words.with_and_without(readings))

per_page = scoring.mean_tiles(set(readings["page"]))
kinds = {"row": "between rows", "column": "between columns only", "uncut": "not cut"}
rows = []
for method in scoring.METHODS:
    parts = (readings[readings["kind"] == kind] for kind in kinds)
    shares = (course.percent(scoring.share_read(part, method)) for part in parts)
    rows.append([method, f"{per_page[method]:.1f}", *shares])
heads = ["words read", "tiles a page", *kinds.values()]
tables.folded("All seven ways to cut a page", heads, rows)

# %% [markdown]
"""
Here the idea does what it promises: 14.0 points on words that are cut between rows, 12.7 between columns, none on words that aren't cut. (By this score another view can only add: a word counts if any view gives it. What a view could spoil isn't measured.) Most is won where the line runs near the middle (69.4 to 94.8%). Two things put that in its place:

- **Few words are cut.** "How often" is how many of the words at random places are: 2.1% between rows and 9.1% between columns only. Over all words the gain is 1.4 points (1.1 to 1.7), from 97.9 to 99.3%.
- **A second grid is one way among others.** *A finer grid* reads more of the words cut between rows than *detailed + global* (89.8%), but fewer than a second grid does, and its own lines cut other words: over all words no gain is shown (-0.7 points, -1.6 to 0.2). *Overlapping tiles*, with which the paper compares itself, too (its figure 1), do about as well as a second grid (98.8%), with fewer tiles (10.2 a page; `any` has 14.9). Their price is smaller letters. What helps is that *some* tile shows the word whole.

*All seven ways to cut a page* has the rest. "Detailed twice" is the same as once, by construction: this reader gives the same answer to the same tile.

## Is it worth training with?

Now models that read whole pages and have to find the words. `3m-long-pyramid` has 3 million parameters and was trained by us with `joint`. It read 500 held-out pages with 1,880 words, once with its second grid and once without. A word counts as read if it stands in the answer. *Row-cut* words are those that a line between rows cuts, *uncut* ones those that no line cuts. Two thirds of the words are random letters or digits, which nobody can guess from a part.

**Predict**: is every word that is read without the second grid also read with it?
"""

# %%
baseline, joint = (
    words.sorted_pages("3m-long-pyramid", way) for way in (BASELINE, JOINT)
)
one, two = baseline["read"], joint["read"]
won, lost = ~one & two, one & ~two
course.table(*words.won_and_lost(baseline, joint))
print(f"{won.sum()} words are read only with CIP, {lost.sum()} only without")
trained_with = {"3m-long": JOINT, "3m": ANY, "6m": ANY}
beyond = words.beyond_uncut(trained_with)
for name, gained in beyond.items():
    print(f"more of row-cut words than of uncut ones: {name} {course.points(gained)}")
shown_whole = baseline["cut_detailed"] & ~joint["cut_everywhere"] & won
examples = measured.cut_between_rows(baseline[shown_whole], TILE)
print(f"won though cut: {shown_whole.sum()}, between rows only: {len(examples)}")
course.show(
    figures.plot_words(examples[:3]),
    alt="Three short words, above in the detailed tiles, each parted into an upper and "
    "a lower piece by a gap, below whole in a tile of CIP.",
    caption="Read with CIP, and not without. Above in the detailed tiles, below whole "
    "in a tile of CIP, each at its own scale. Heights from the top; a cut at 73% "
    "leaves most of the letters.",
)

# %% [markdown]
"""
No, but far more are won than lost, and the gain is largest for the row-cut ones: 26.2 points, 13.6 more than of uncut words, clear of zero. (In the two other models printed there, with shorter training and `any`, it isn't.) Two things keep this from being a proof. Row-cut words gain as much where *both* grids of `joint` cut them as where one shows them whole (26.7 and 25.5 points): the second grid also shows everything a second time. And a model that was trained with CIP is asked here to do without.

So compare it with its **control**: a model of the same size that was trained for as many steps with one grid. There are three such pairs, each model read as it was trained. `3m` was trained for a third as long as `3m-long`. `6m` has twice the parameters, and read other pages, 160 documents with 590 words. *Cut by both detailed grids* means: by the control's and by the model's own detailed grid, which `joint` may choose otherwise ([10](10_measure.ipynb)). Whether the second grid cuts the word doesn't matter here.

**Predict**: which of the differences stay above zero?
"""

# %%
to_control, rows = words.against_controls(trained_with)
heads = ["all words", "cut by both detailed grids", "cut by neither"]
labels = {size: f"{size}, {way}" for size, way in trained_with.items()}
pairs = {labels[size]: each for size, each in to_control.items()}
moved = words.moved_gains(trained_with)  # first of each: on the lines
lines = {(labels[size], way): each[0] for (size, way), each in moved.items()}
course.show(
    measured.plot_pairs(pairs, heads, lines),
    alt="Four panels with intervals for three models. For all words 3m-long is right "
    "of zero and 3m left of it; for cut words all intervals hold zero; for uncut words "
    "3m-long begins at zero and 3m is left of it; for moved words 3m-long is right of "
    "zero, with one grid, too, and 6m left of it.",
    caption="What each model reads more than its control: words on pages, and in the "
    "last panel (another scale) letters of words moved onto lines between rows. "
    "Orange: trained and read with `any`, black: with `joint`. See the second panel: "
    "of the cut words all intervals hold zero. 95% intervals.",
)
heads = ["words read", "n", *heads]
tables.folded("The same as numbers", heads, rows)
words.show_other_ways(heads[2:])
tables.folded("Moved words against the control", *words.moved_rows(moved))
tables.folded("By sort of word", *words.sort_rows("3m-long", JOINT))
due = words.due_to_the_cut()
course.table(*words.due_rows(due))

# %% [markdown]
"""
- **The best case is the first line of the figure**: trained longest, with `joint`, a model reads 2.7 points more words than its control, just clear of zero (0.1 to 5.4).
- **The second grid mostly makes good a loss.** Of words cut between rows it gives this model 26.2 points; but read with one grid, the model is 23.4 *below* its control. So 2.8 remain, in an interval around zero (-7.0 to 12.6; *By sort of word* has all sorts).
- **Whether the 2.7 are due to cut words isn't shown**: of words that both detailed grids cut it reads 0.2 points more, around zero, and of those that neither cuts 3.3, not quite clear of zero.
- **Moved words say something else** (last panel). On lines between rows this model gets 8.9 points of the letters more than its control, and 6.6 even with one grid. So there the training itself flattened the sawtooth; on pages it didn't. The shorter trainings don't show that: for `3m` nothing is shown, `6m` reads 6.3 points *less* (*Moved words against the control* has all ways).
- **With the published rule `any`**, after short trainings, the smaller model reads less than its control (-2.8, -4.9 to -0.4). For the larger no difference is shown.

Two things are not in these intervals. As many steps are not as much time: with the second grid a step of the longest training took 1.6 times as long (`benchmarks/LOG.md`), time in which the control could have learned more. And each model was trained once, from one *seed* (the start of its random numbers): the intervals don't say how far another training would move the figures.

**The last word: a later experiment**, made for just this question: single words asked for, three seeds each, and a control that sees the same grid twice, so at least as many tiles. What counts is the gain on row-cut words beyond that on uncut ones (the last table). With `any` none is shown (0.2 points). With `joint` it is 9.4, by the measure fixed before; but a third of the row-cut words are no longer cut between rows by its *first* grid, and that is no merit of a second one. On words that are row-cut, or uncut, in the first (detailed) grids of both, `joint` and its control, -0.5 is left, around zero. So **no use of the second grid is shown**. (The measure of the -0.5 was chosen after the 9.4 had been seen, and these readers read fewer of the uncut words than the 90% that had been asked for: [10](10_measure.ipynb).)

*Nine comparisons of the longest trained reader* has `3m-long-pyramid` in other ways. Read by `any`, which its training didn't have, it falls behind its control by 3.8 points. (One grid of as many tiles does worst there, but it often has more than the 6 detailed tiles which these readers know.)

## What the paper claims, and what was measured here

The published scores are the authors'. What stands on the right is about a pretrained recognizer and small readers; none of it is about the published model.
"""

# %% tags=["hide-input"] jupyter={"source_hidden": true}
course.claims(*claims.of_sawtooth(readings, to_control["3m-long"][0]))

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

In the curve for lines between rows, 1/16 of a tile above the line is worse than 1/16 below it. Is that because one half of a letter tells more than the other? First measure how much of a word's ink is on which side of the line.

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

A word of height h lies anywhere in a column of many tiles. With what probability does a line between rows cut it? Check it by moving a word over one tile in steps of 1 px.

<details>
<summary>Solution</summary>

```python
_, box = moved_word.draw_word("matter", SIZE, (2, 3), (1.0, 1.0), TILE, (0.5, 1.0))
height = box[3] - box[1]
steps = [(0.5, 0.5 + step / TILE) for step in range(TILE)]
cuts = [place("matter", (2, 3), center)[1][0] for center in steps]
print(f"height {height:.0f} px: cut at {sum(cuts)} of {TILE} places,", end=" ")
print(f"and {height:.0f} / {TILE} = {height / TILE:.3f}")
# One place fewer than its height: a word that only touches the line isn't cut.
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

- **The damage.** A line between rows halves every letter and costs the small checkpoint and the three 6m readers 7 to 15 points of character accuracy, nearly all of it where the line runs less than 14 px from the word's center. A line between columns costs these four at most 1.7 points, and none is shown. (Of all readers in `benchmarks/sawtooth/RESULTS.md` 17 of 18 rows show a cost between rows, 4 of 18 between columns.)
- **The remedy, at best.** A second grid shows the word whole. A pretrained recognizer, which is told where the words are, then reads nearly all of those that a line cuts, between rows or columns. As few words are cut, that is worth 1.4 points of all words at random places.
- **In a model that was trained with it.** It reads more words with the second grid than without. One of three gains most on words cut between rows; but that one also falls furthest behind its control, on just these, without its second grid. So the second grid mostly makes good a loss.
- **Beside a control**, trained for as many steps (but less time) with one grid, little or nothing is won: on pages 2.7 points (0.1 to 5.4) at best, from one seed. On lines between rows it gets 8.9 points of the letters of moved words more, but 6.6 even when read with one grid: the training, more than the second grid. With three seeds no use of the second grid is shown; the 9.4 points of `joint`, by the measure fixed before, are nearly all, where that can be told, on words that its other first grid doesn't cut between rows ([10](10_measure.ipynb)). One reader with a pretrained language model does use it, on short receipts; on bills no use is shown ([10](10_measure.ipynb#Conclusion)).
- **Without training.** Readers of 3m and 6m that knew one grid read worse by `any`, on the lines and elsewhere, and, where that was read, fewer words on pages by `joint`, too. Exceptions: `3m-long-control` gains letters by `joint` on lines between rows, the model that the later experiment began from loses nothing that can be shown ([10](10_measure.ipynb)), and a reader of another kind gains characters, though no whole words, at one size of letters ([07](07_other_models.ipynb)).

Read next: [02](02_complementary_image_pyramid.ipynb) explains how the second grid is chosen, [10](10_measure.ipynb) how to measure what it gives.

## References and further reading

- M. Huang et al., *Mini-Monkey: Alleviating the Semantic Sawtooth Effect for Lightweight MLLMs via Complementary Image Pyramid*, ICLR 2025: [arXiv 2408.02034](https://arxiv.org/abs/2408.02034), [reviews](https://openreview.net/forum?id=71XtUhazG0), [code](https://github.com/Yuliang-Liu/Monkey).
- Z. Chen et al., *How Far Are We to GPT-4V?* (InternVL 1.5), on tiles of one size and a global view: [arXiv 2404.16821](https://arxiv.org/abs/2404.16821). InternVL: [arXiv 2312.14238](https://arxiv.org/abs/2312.14238).
- A. Dosovitskiy et al., *An Image is Worth 16x16 Words*, on vision towers: [arXiv 2010.11929](https://arxiv.org/abs/2010.11929).
- The recognizer: [PaddleOCR](https://github.com/PaddlePaddle/PaddleOCR), as [RapidOCR](https://github.com/RapidAI/RapidOCR) ships it. The intervals: [bootstrap](https://docs.scipy.org/doc/scipy/reference/generated/scipy.stats.bootstrap.html).

[00 Ask an image](00_ask_an_image.ipynb) · [all notebooks](README.md) · [02 The complementary image pyramid](02_complementary_image_pyramid.ipynb)
"""
