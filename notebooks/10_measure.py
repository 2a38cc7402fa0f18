# %% [markdown]
"""
# What do the numbers mean?

[09 Share](09_share.ipynb) · [all notebooks](README.md) · [11 Speed, memory, serving](11_speed_memory_serving.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/10_measure.ipynb) [Source of this notebook](10_measure.py)

> **You will learn**: how the sawtooth benchmark takes a reading, what an interval says and how it is easily made too narrow, how
> harnesses score answers and where their rules surprise, and which published numbers were not measured here.
>
> **You need**: [01](01_semantic_sawtooth.ipynb). **Time**: about 1 min **Hardware**: two CPU cores, 2 GB of memory.
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
## One block of the sawtooth benchmark

`benchmarks/sawtooth/measurements/moved_word.py` moves one word over an image in steps of an eighth of a tile. A *block* is one way to cut and one grid: all words
at all places along both axes. The file of results has a row per reading, so every figure can be recomputed later, also ones that nobody thought of.

The model is the small checkpoint of this repository, a reader of rendered lower-case text and not the published model.

**Predict**: a grid of 2 x 2 has how many places, in steps of 1/8 from the center of the first tile to that of the last, along each axis?
"""

# %%
import torch

from benchmarks.sawtooth.measurements.moved_word import SIZES, held_out_words, positions, read_words
from benchmarks.sawtooth.measurements.reading import Reader
from benchmarks.sawtooth.readers.scores import character_accuracy
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from processing_minimonkey import MiniMonkeyProcessor

model = MiniMonkeyForConditionalGeneration.from_pretrained(course.CHECKPOINT, dtype=torch.float32).eval()
processor = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)
words = held_out_words(24, SIZES[24])[: 4 if course.FAST else 24]
block = read_words(Reader(model, processor), "detailed + global", (2, 2), 24, words)

print(len(block), "readings of", words)
print(block[4 * len(words)])
assert len(positions((2, 2), "x")) == 9
assert len(block) == 2 * 9 * len(words)

# %% [markdown]
"""
A reading names what was done (`method`, `columns`, `rows`, `size` of the letters in px, `axis`, `position` in tiles), what was asked and answered,
and which grids cut the word. Scores follow from it. The same block is stored, read by the same model before its last training, that under compression:
"""

# %%
import numpy as np

from benchmarks.sawtooth.report.readings import distance, in_center, load, on_line

RESULTS = course.ROOT / "benchmarks" / "sawtooth" / "results"
table = load(RESULTS / "sweep-6m-pyramid.csv")
same_block = (table["method"] == "detailed + global") & (table["size"] == 24)
same_block &= (table["columns"] == 2) & (table["rows"] == 2)
stored = table[same_block]
known = dict(zip(zip(stored["axis"], stored["position"], stored["word"], strict=True), stored["answer"], strict=True))
same = np.mean([reading.answer == known[reading.axis, reading.position, reading.word] for reading in block])
print(f"{100 * same:.0f} % of {len(block)} answers are the stored ones; the stored block has {len(stored['word'])}")
assert same > 0.8
assert {"accuracy", "exact", "cut_detailed", "cut_everywhere"} <= set(table)  # computed when the file is read

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
for panel, (axis, lines) in zip(axes, {"y": "rows", "x": "columns"}.items(), strict=True):
    places = sorted(position[axis == "y"] for position in positions((2, 2), axis))
    live = [
        np.mean([character_accuracy(r.word, r.answer) for r in block if (r.axis, r.position) == (axis, place)])
        for place in places
    ]
    before = [stored["accuracy"][(stored["axis"] == axis) & (stored["position"] == place)].mean() for place in places]
    panel.plot(places, 100 * np.array(live), "o--", color="#009E73", label=f"read just now, {len(words)} words")
    panel.plot(places, 100 * np.array(before), "o-", color="#0072B2", label="stored, 24 words")
    panel.axvline(1, color="black", linestyle="--", linewidth=1)
    panel.set(title=f"line between {lines}", xlabel="center of the word, tiles", ylim=(50, 103))
axes[0].set_ylabel("character accuracy, %")
axes[0].legend(edgecolor="none", framealpha=1, loc="lower left")
course.show(
    figure,
    alt="Accuracy over the position for a few words read live and for all stored words; it drops at the line between rows.",
    caption="One block. Few words make a rough curve. Dashed black: the cut line of the 2 x 2 grid.",
)

# %% [markdown]
"""
## A depth and its interval

The depth of the sawtooth is the accuracy in the centers of tiles minus that exactly on a line.

**Predict**: what becomes of the depth if "on a line" includes the readings an eighth of a tile (14 px) beside it?
"""

# %%
from benchmarks.sawtooth.report.comparisons import depth, gain
from benchmarks.sawtooth.report.statistics import bootstrap, difference, mean, verdict


def points(estimate):
    return "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * value for value in estimate))


rows = table[(table["axis"] == "y") & (table["size"] == 24) & (table["method"] == "detailed + global")]
away = distance(rows["position"])
for step in np.unique(away):
    print(
        f"{step:5.3f} tiles from a line: {100 * rows['accuracy'][away == step].mean():.1f} %, n = {sum(away == step)}"
    )

sharp = bootstrap(rows["word"], difference(rows["accuracy"], in_center(rows), on_line(rows)))
wide = bootstrap(rows["word"], difference(rows["accuracy"], in_center(rows), away < 0.2))
print("depth on the line", points(sharp), " within 1/8 tile", points(wide))
assert wide[0] < sharp[0] / 2

# %% [markdown]
"""
The damage sits on the line itself: 14 px beside it there is nothing left to see. Our first report averaged over that range and called the sawtooth
shallow. What is averaged decides what is found, so a figure needs its definition beside it.

The report's figure has to come out of the stored readings again. This is its row for this model, lines between rows, 24 px:
"""

# %%
report = (course.ROOT / "benchmarks" / "sawtooth" / "RESULTS.md").read_text(encoding="utf-8")


def report_row(trained, lines, size):
    start = f"| 6m | {trained} | {lines} | {size} |"
    (line,) = [line for line in report.splitlines() if line.startswith(start)]
    return [cell.strip() for cell in line.strip("|").split("|")]


row = report_row("CIP", "between rows", 24)
print(" | ".join(row))
both = table[(table["axis"] == "y") & (table["size"] == 24)]
assert row[4] == str(len(rows["word"])) == "840"
assert row[5] == points(sharp)
assert row[7] == points(depth(both, "pyramid any"))
assert row[8] == points(gain(both, "pyramid any", "detailed + global", at_lines=True))
assert row[9] == verdict(gain(both, "pyramid any", "detailed + global", at_lines=True)) == "not shown"

# %% [markdown]
"""
## Why the interval is drawn over words

840 readings are not 840 independent facts: the same 24 words come again at each place, and a word that is hard is hard everywhere. The bootstrap
therefore draws 24 words with replacement, 2,000 times, each with all its readings.

**Predict**: how much narrower does the interval get if every reading is drawn by itself?
"""


# %%
def draws(clusters, statistic, number=2000):
    """The statistic of every resample, as in `bootstrap`."""
    names, members = np.unique(clusters, return_inverse=True)
    chances = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(0).multinomial(len(names), chances, size=number)
    return np.array([statistic(weights[members]) for weights in drawn])


clusterings = {"words": rows["word"], "single readings": np.arange(len(rows["word"]))}
statistics = {
    "depth on lines between rows": difference(rows["accuracy"], in_center(rows), on_line(rows)),
    "accuracy everywhere": mean(rows["accuracy"]),
}
width = {}
for name, statistic in statistics.items():
    for by, clusters in clusterings.items():
        estimate = bootstrap(clusters, statistic)
        width[name, by] = estimate[2] - estimate[1]
        print(f"{name:28} drawn by {by:16} {points(estimate)}")

assert width["depth on lines between rows", "single readings"] < 0.75 * width["depth on lines between rows", "words"]
assert width["accuracy everywhere", "single readings"] < 0.4 * width["accuracy everywhere", "words"]

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
for panel, (name, statistic) in zip(axes, statistics.items(), strict=True):
    drawn = {by: 100 * draws(clusters, statistic) for by, clusters in clusterings.items()}
    bins = np.linspace(drawn["words"].min(), drawn["words"].max(), 40)
    for (by, values), color in zip(drawn.items(), ("#0072B2", "#D55E00"), strict=True):
        panel.hist(values, bins=bins, histtype="stepfilled", alpha=0.45, color=color, label=f"drawn by {by}")
        for limit in np.percentile(values, [2.5, 97.5]):
            panel.axvline(limit, color=color, linewidth=1.5)
    panel.set(title=name, xlabel="points of character accuracy", ylabel="resamples of 2,000")
axes[0].legend(edgecolor="none", framealpha=1, loc="upper right")
axes[0].set_ylim(0, 330)
course.show(
    figure,
    alt="Two histograms of resampled statistics; drawing single readings gives a much narrower spread than drawing words.",
    caption="The same readings, two intervals. Vertical lines: the limits of 95%. The narrow one pretends to know more than 24 words tell.",
)

# %% [markdown]
"""
Everything in `RESULTS.md` draws words, or pages. "Yes" there means that the interval is above zero, "reversed" that it is below, "not shown" that it holds
zero, which is not the same as "no effect". And with many rows, one interval in twenty misses the truth by chance.

## Does training with CIP pay? The comparison decides

On pages of words, of the same weights read in two ways, and of two models with equally many steps:

**Predict**: both comparisons are honest. Do they say the same?
"""

# %%
pyramid, control = load(RESULTS / "page-6m-pyramid.csv"), load(RESULTS / "page-6m-control.csv")


def words_read(table, method):
    chosen = table["method"] == method
    return dict(
        zip(zip(table["page"][chosen], np.arange(chosen.sum()), strict=True), table["read"][chosen], strict=True)
    )


def compare(first, second):
    """Words read in the one minus those read in the other, by bootstrap over pages."""
    pages = np.array([page for page, _ in first])
    gain = np.array(list(first.values())).astype(float) - np.array(list(second.values()))
    return bootstrap(pages, mean(gain))


plain, cip, joint = (words_read(pyramid, name) for name in ("detailed + global", "pyramid any", "pyramid joint"))
trained_without = words_read(control, "detailed + global")

# %%
comparisons = {
    "any minus no second grid, same weights": compare(cip, plain),
    "joint minus no second grid, same weights": compare(joint, plain),
    "any minus the control, as many steps": compare(cip, trained_without),
    "joint minus the control, as many steps": compare(joint, trained_without),
}
for name, estimate in comparisons.items():
    print(f"{name:42} {points(estimate):20} of {len(plain)} words, {verdict(estimate)}")

# %%
same_weights = list(comparisons.values())[:2]
against_control = list(comparisons.values())[2:]
assert all(estimate[1] > 0 for estimate in same_weights)
assert all(estimate[1] < 0 < estimate[2] for estimate in against_control)
for estimate in comparisons.values():
    assert points(estimate) in report

figure, axis = plt.subplots(figsize=(9, 2.8), layout="constrained")
for place, estimate in enumerate(comparisons.values()):
    middle, low, high = (100 * value for value in estimate)
    color = "#0072B2" if place < 2 else "#D55E00"
    axis.errorbar(middle, place, xerr=[[middle - low], [high - middle]], fmt="o", color=color, capsize=4)
axis.axvline(0, color="black", linewidth=1)
axis.set(yticks=range(4), yticklabels=list(comparisons), xlabel="words read, points", ylim=(3.5, -0.5))
course.show(
    figure,
    alt="Four differences with intervals: two above zero for the same weights, two around zero against the control.",
    caption="590 words on 160 pages. Blue: one model, read with and without the second grid. Orange: against a model trained as long without CIP.",
)

# %% [markdown]
"""
They don't. The model that was trained with CIP needs its second grid: without it, it reads less. That is not the same as being better than a model that
never had one; after 400 steps at this size no difference is shown. A report with the first comparison alone would be true and would mislead.

## The published numbers

The model card has the authors' figures. They were measured by the authors with their own code and the 2B model, **not** with this implementation and
not on this machine; nothing in this course can check them.
"""

# %%
card = (course.ROOT / "model_card.md").read_text(encoding="utf-8")
evaluation = card.split("## Evaluation")[1]
lines = [line for line in evaluation.splitlines() if line.startswith("|")]
names, _, before, after = ([cell.strip() for cell in line.split("|")[2:-1]] for line in lines[:4])
scores = {name: (float(base), float(ours)) for name, base, ours in zip(names, before, after, strict=True)}
for name, (base, ours) in scores.items():
    print(f"{name:15} InternVL2-2B {base:7.1f}   Mini-Monkey 2B {ours:7.1f}")

assert "not measured with this implementation" in evaluation
assert scores["DocVQA"] == (86.9, 87.4) and scores["OCRBench"] == (784, 802)
assert "806" in evaluation and "783" in evaluation

# %% [markdown]
"""
No intervals are published. OCRBench asks 1,000 questions and gives a point each: 802 against the base model's 784. (In an issue thread the authors report a later run with 806, and
783 for the same weights without CIP; the card says where.)

**Predict**: is a difference of 18 questions of 1,000 beyond chance?
"""


# %%
def wilson(hits, number, z=1.96):
    """95% interval of a share."""
    share = hits / number
    middle = (share + z**2 / 2 / number) / (1 + z**2 / number)
    half = z / (1 + z**2 / number) * np.sqrt(share * (1 - share) / number + z**2 / 4 / number**2)
    return middle - half, middle + half


for name, hits in (("InternVL2-2B", 784), ("Mini-Monkey 2B", 802)):
    print(
        f"{name}: {hits} of 1000, 95% interval {1000 * wilson(hits, 1000)[0]:.0f} to {1000 * wilson(hits, 1000)[1]:.0f}"
    )
assert wilson(784, 1000)[1] > wilson(802, 1000)[0]  # they overlap

# %% [markdown]
"""
The intervals overlap. That doesn't refute the difference: both models answered the same questions, and a paired comparison is sharper. It needs
the single answers, which a table doesn't give. It is why our benchmark stores every reading.

## How harnesses score

Two rules, as short functions for reading. What counts in a report are the harness's own functions, in a named version.

- **Containment** (OCRBench): a point if the reference stands somewhere in the answer, both in lower case. (Handwritten formulas: without any spaces, and case counts.)
- **ANLS** (DocVQA, InfoVQA): one minus the edit distance divided by the longer length; below a half it is zero; the best reference counts.
"""

# %%
from benchmarks.sawtooth.readers.scores import edit_distance


def containment(references, answer):
    answer = answer.lower().strip().replace("\n", " ")
    return any(reference.lower().strip().replace("\n", " ") in answer for reference in references)


def anls(references, answer):
    def distance(reference):
        first, second = (" ".join(text.strip().lower().split()) for text in (reference, answer))
        longest = max(len(reference), len(answer))  # of the texts as they came, spaces included
        return edit_distance(first, second) / longest if longest else 0.0

    score = 1 - min(distance(reference) for reference in references)
    return score if score >= 0.5 else 0.0


# %%
examples = [
    (["42"], "42"),
    (["42"], "The total is 142 dollars."),
    (["harbour"], "harbor"),
    (["harbour"], "The sign says harbour."),
    ([""], "anything"),
    (["no"], "I do not know."),
    (["bread", "fresh bread"], "Fresh  Bread"),
]
for references, answer in examples:
    print(
        f"{references!s:24} {answer!r:28} containment {containment(references, answer)!s:6} ANLS {anls(references, answer):.2f}"
    )

# %% [markdown]
"""
**Predict**, before you read on: which of these lines would you have scored otherwise?
"""

# %%
assert containment(["42"], "The total is 142 dollars.")  # wrong, and a point
assert containment([""], "anything")  # an empty reference is in everything
assert containment(["no"], "I do not know.")  # "no" is in "not" and "know"
assert not containment(["harbour"], "harbor") and anls(["harbour"], "harbor") > 0.8  # one letter
assert containment(["harbour"], "The sign says harbour.") and anls(["harbour"], "The sign says harbour.") == 0
padded = anls(["fresh bread"], "fresh broad" + " " * 11)
print(
    "ANLS with a wrong letter:",
    round(anls(["fresh bread"], "fresh broad"), 3),
    " with 11 spaces behind it:",
    round(padded, 3),
)
assert padded > anls(["fresh bread"], "fresh broad")

# %% [markdown]
"""
Containment rewards long answers, ANLS punishes them: a sentence around the right word is a point for the one and nothing for the other. So the prompt decides ("using a
single word or phrase"), and numbers of two harnesses or two prompts don't belong into one table. The last lines show a quirk: the distance is of the cleaned
texts, the length of the raw ones, so spaces behind an answer lower the penalty.
"""

# %%
letters = "abcdefghij"
wrong = range(len(letters) + 1)
answers = [letters[: len(letters) - count] + "#" * count for count in wrong]
figure, axis = plt.subplots(figsize=(9, 3.6), layout="constrained")
plain_score = [1 - edit_distance(letters, answer) / len(letters) for answer in answers]
axis.plot(wrong, plain_score, "o-", color="#009E73", label="character accuracy (our benchmark)")
axis.plot(wrong, [anls([letters], answer) for answer in answers], "s-", color="#0072B2", label="ANLS")
axis.plot(wrong, [containment([letters], answer) for answer in answers], "^--", color="#D55E00", label="containment")
axis.set(xlabel="wrong letters of 10", ylabel="score", xticks=list(wrong))
axis.legend(frameon=False)
course.show(
    figure,
    alt="Three scores over the number of wrong letters: a straight line, a line that falls to zero beyond five, a step at one.",
    caption="One answer, three scores. Containment is gone with the first wrong letter, ANLS with the sixth.",
)
assert [anls([letters], answer) > 0 for answer in answers] == [True] * 6 + [False] * 5

# %% [markdown]
"""
## What a harness asks of a model

`lmms-eval` finds Mini-Monkey by an entry point of this package (`--model minimonkey`). It hands over *requests* (the messages of a question, with images, and how to
generate) and wants a list of texts back, in the same order; questions and scores are its own. It is not installed here (52 dependencies); the
tiles by task stand apart from the adapters.

**Predict**: which setting does a task get that nobody published tiles for?
"""

# %%
from modeling_minimonkey.harnesses.published_evaluation import SETTINGS as by_task
from processing_minimonkey import PYRAMID_SETTINGS, plan_pyramid

for task, setting in by_task.items():
    found = PYRAMID_SETTINGS[setting]
    tiles = plan_pyramid(1240, 1754, **found).num_tiles
    print(
        f"{task:12} {setting:15} detailed {found['detailed_tiles']!s:9} adaptive {found['adaptive_tiles']}: {tiles:2} tiles"
    )
assert set(by_task.values()) <= set(PYRAMID_SETTINGS)
assert "default" not in by_task.values()  # what all other tasks get
tiles = [plan_pyramid(1240, 1754, **PYRAMID_SETTINGS[setting]).num_tiles for setting in by_task.values()]
assert (min(tiles), max(tiles)) == (9, 33)

# %% [markdown]
"""
The tiles are those of an A4 page at 150 dpi. A score without its tiles can't be repeated: the same page has 9 to 33 of them, depending on the task. A report of
yours should name harness and version, prompt, tiles, `keep_ratio`, the number of questions, and what failed.

    make test-lmms-eval      # installs the harness beside, asks the small checkpoint, and scores with the harness's own functions

## Common errors

The name of a task is not the name of a setting; and a score over an empty reference has no meaning, so ours refuses it:
"""

# %%
from benchmarks.sawtooth.readers.scores import character_accuracy

with course.expected(ValueError):
    MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT, pyramid="docvqa_val")
with course.expected(ValueError):
    character_accuracy("", "anything")

# %% [markdown]
"""
## Exercises

### Exercise 1

The report says of the control, read with a second grid it was not trained for: "reversed". Recompute the gain on the lines between rows.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
other = load(RESULTS / "sweep-6m-control.csv")
other = other[(other["axis"] == "y") & (other["size"] == 24)]
reversed_gain = gain(other, "pyramid any", "detailed + global", at_lines=True)
row = report_row("plain tiling, as long", "between rows", 24)
print(points(reversed_gain), "in the report:", row[8], row[9])
assert row[8] == points(reversed_gain) and row[9] == verdict(reversed_gain) == "reversed"

# %% [markdown]
"""
### Exercise 2

How fast does an interval shrink? Take the first 6 and 12 of the 24 words and compare the widths of the depth's intervals with all 24.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
names, widths = list(dict.fromkeys(rows["word"])), {}
for number in (6, 12, 24):
    part = rows[rows["word"].isin(names[:number])]
    estimate = bootstrap(part["word"], difference(part["accuracy"], in_center(part), on_line(part)))
    widths[number] = estimate[2] - estimate[1]
    print(number, "words", points(estimate), f"width {100 * widths[number]:.1f}")
assert widths[6] > widths[12] > widths[24]  # more slowly than 1 / sqrt(n): which words are in matters, too

# %% [markdown]
"""
### Exercise 3

Write an answer that is useless to a reader, gets a point by containment for every whole number from 0 to 99, and zero by ANLS.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
answer = " ".join(map(str, range(100)))
assert all(containment([str(number)], answer) for number in range(100))
assert all(anls([str(number)], answer) == 0 for number in range(100))
print(len(answer), "characters, a point for every number: report the mean length of the answers, too")

# %% [markdown]
"""
## Conclusion

A number means something together with what was averaged, over how many independent things, against what, and by whose rule. The sawtooth of the small reader is
13.7 points deep on lines between rows (7.9 to 20.4, 24 words, 840 readings) and less than half of that if the readings 14 px beside the line are averaged in; its second grid gives it 6.6
points of the words on pages, and against a model that was trained as long without CIP no difference is shown. The newest reading (`benchmarks/LOG.md`, 1,880 words on 500 pages): where
both are trained three times as long and the grids are chosen together (`"joint"`), CIP reads 2.7 points more (0.1 to 5.4); by the published rule the same weights read 3.8 fewer. The published scores are the authors', and were not measured here.

Read next: [11](11_speed_memory_serving.ipynb) measures time and memory; `benchmarks/LOG.md` keeps what didn't work.

Cite: Huang et al., *Mini-Monkey*, ICLR 2025, arXiv 2408.02034.

[09 Share](09_share.ipynb) · [all notebooks](README.md) · [11 Speed, memory, serving](11_speed_memory_serving.ipynb)
"""
