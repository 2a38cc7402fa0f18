# %% [markdown]
"""
# Which half of the tokens can go?

[04 The model](04_model.ipynb) · [all notebooks](README.md) · [06 The published weights](06_published_weights.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/05_scale_compression.ipynb) [Source of this notebook](05_scale_compression.py)

> **You will learn**: how the Scale Compression Mechanism (SCM) scores image tokens by attention, which choices in it cost a small
> reader words, what steers the score and what that is worth, and what training with the gaps of compression can and can't be shown to do.
>
> **You need**: what the detailed, adaptive and global tiles are ([02](02_complementary_image_pyramid.ipynb)), and what attention is. **Time**: about 25 min to read, 1 min to run.
> **Hardware**: two CPU cores, 2 GB of memory.
>
> **Contents**: [What leaves the prompt](#What-leaves-the-prompt) · [The published rule](#The-published-rule) · [Who asks?](#Who-asks?) · [What stays now](#What-stays-now) · [What steers](#What-steers) · [Trained with gaps](#Trained-with-gaps) · [When nobody has asked yet](#When-nobody-has-asked-yet) · [From 1 to 0.02](#From-1-to-0.02) · [One mechanism, two ways to run it](#One-mechanism,-two-ways-to-run-it) · [What the paper claims, and what was measured here](#What-the-paper-claims,-and-what-was-measured-here) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
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
## What leaves the prompt

A second grid shows more and costs more: every tile is a fixed number of tokens, and the language model pays for each of them in time and in its cache. SCM takes part of that cost back: of the **detailed** tokens, only the share `keep_ratio` with the best scores stays. The others leave the prompt before the first word is written. Adaptive tokens, global tokens and text all stay. According to the paper, nothing has to be trained for it.

The model here is the small checkpoint of this repository: a reader of rendered lower-case text, four layers deep, 16 tokens per tile. It is not the published model, and its figures are its own. It appears in three states. **Before** is a stage of its training that never saw a compressed prompt (`6m-pyramid` in the benchmark). **With gaps** is a later one, trained under compression with kept positions alone (`6m-compressed`; in one table). **After** is the checkpoint as you load it (`6m-drawn`), trained on with positions of both kinds, and in the end shown where what is asked for stands. Five things vary below: the model, whose attention scores, in which layer, the positions, and the share that stays. The figures:

| figure | model | who scores | `keep_ratio` |
| --- | --- | --- | --- |
| 1, 2 | after | all queries, layer 1 (published); in 2 also its two parts | 0.15; scores alone in 2 |
| 3 | before | each choice, positions kept and renumbered | 0.5 |
| 4, 5, 6 | after | question, layer 2 (the checkpoint's own) | 0.15; scores alone in 5 |
| 7 | after | each token after the image, layer 2 | scores alone |
| 8 | before and after | question, nobody, all queries, random | 0.25, 0.5 |
| 9 | after | nobody (`"none"`) | 0.15 |

**Predict**: the page has 6 detailed, 4 adaptive and 1 global tile, and its prompt 233 tokens. How many are left with `keep_ratio=0.5`?
"""

# %%
import claims
import figures
import inside
import measured
import numpy as np
import torch
from PIL import Image

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.scale_compression import DETAILED_LEVEL, kept_count
from processing_minimonkey import MiniMonkeyProcessor

model = MiniMonkeyForConditionalGeneration.from_pretrained(
    course.CHECKPOINT,
    dtype=torch.float32,
    attn_implementation="eager",  # it shows its matrices
).eval()
processor = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)
page = Image.open(course.PAGE)


def ask(image, question="Read the text."):
    content = [{"type": "image", "image": image}, {"type": "text", "text": question}]
    return processor.prepare_chat([{"role": "user", "content": content}])


inputs = ask(page)
length = inputs["input_ids"].shape[1]
tiles = int((inputs["tile_levels"] == DETAILED_LEVEL).sum())
detailed = tiles * model.config.image_seq_length
left = length - detailed + kept_count(detailed, 0.5)
print(f"{length} tokens, of which {detailed} are detailed; {left} with keep_ratio=0.5")

# %% [markdown]
r"""
185, and not half of 233: only the 96 detailed tokens are halved.

## The published rule

The [paper](https://huggingface.co/papers/2408.02034) (section 3.3) takes the score from the language model itself. In one early layer $\ell$ (the second, so 1 when counted from 0), query $q_{h,i}$ of token $i$ meets the keys $k_{h,j}$ of the tokens up to its own, and head $h$ of $H$ gives token $j$ the attention

$$A^{(\ell)}_{h,i,j} = \frac{\exp\left(q_{h,i} \cdot k_{h,j} / \sqrt{d}\right)}{\sum_{j' \le i} \exp\left(q_{h,i} \cdot k_{h,j'} / \sqrt{d}\right)}, \qquad j \le i,$$

with $d$ numbers in each query and key. The score of a detailed token is the mean over the heads and over a set $Q$ of queries, as published
**all tokens after the image's detailed ones**:

$$s_j = \frac{1}{H\,|Q|} \sum_{h=1}^{H} \sum_{i \in Q} A^{(\ell)}_{h,i,j}$$

Of the $n$ detailed tokens of an image, those with the $K$ highest scores stay (of equal scores, the earlier token), in the order that they had. With the share $\rho$, which is `keep_ratio`:

$$K = \max\left(1, \lfloor \rho\, n \rfloor\right)$$

By hand the score is one line, once the model shows its attention matrices.
"""

# %%
from modeling_minimonkey.inspection.visualization import (
    detailed_scores,
    kept_detailed_tokens,
    plot_compression,
)

attention, is_detailed, is_image = inside.look(model, inputs, layer=1)
after = torch.arange(length) > is_detailed.nonzero().max()
by_hand = attention[:, after][:, :, is_detailed].mean(dim=(0, 1))

# (tiles, tokens per tile)
published = detailed_scores(model, inputs, queries="all", layer=1)
difference = np.abs(by_hand - published.ravel()).max()
print(f"{after.sum()} queries, {by_hand.numel()} scores, difference {difference:.0e}")
assert difference < 1e-6

# %% [markdown]
"""
The library's score is the same up to rounding in float32, but it never builds the matrices: it takes 64 queries at a time, and of the scoring layer it computes only the norm, the queries and the keys. At 8,272 tokens that adds 247 MiB, where the matrices of one layer alone would take 2,088 (`benchmarks/speed/RESULTS.md`).

The page has four words and much empty paper: ink is on 14 of its 96 detailed tokens. Half of them, 48, leave so much room that rules hardly differ. So let 15% stay: that is 14, just enough.

**Predict**: where are the scores high, and how many of the 14 tokens with ink stay?
"""

# %%
ink = course.has_ink(page, tile=112, tokens_along=4)  # in the order of the prompt


def maps_of(keep_ratio, **rule):
    """The scores of the page's detailed tokens, and which of them stay."""
    kept = kept_detailed_tokens(model, inputs, keep_ratio, **rule)
    with_ink = kept.ravel()[ink].sum()
    stay = f"after: {kept.sum()} of {kept.size} stay, {with_ink} with ink"
    return {"after: scores": detailed_scores(model, inputs, **rule), stay: kept}


by_published = {"queries": "all", "layer": 1}
course.show(
    figures.plot_tokens(page, (3, 2), maps_of(0.15, **by_published), "attention"),
    alt="Left the scores of 12 by 8 tokens over the page: some are high on words, and "
    "some on empty paper. Right the tokens that stay, several of them blank.",
    caption="The published rule in the checkpoint, `keep_ratio` 0.15. See the white "
    "cells without text. Gray tokens leave, blue lines are cuts.",
)
headers = ["tokens with ink that stay", *map(str, inside.RATIOS)]
first = inside.ink_row("published rule", model, inputs, ink, **by_published)
course.table(headers, [first, inside.perfect_row(ink)])

# %% [markdown]
r"""
At 0.15 a rule that knew the ink would keep all of it. The published one gives part of the room to paper, where there is nothing to read. Ink that stays is a picture of a rule, not of what is read: one page is an example, and [below](#Trained-with-gaps) 200 pages show that a rule which keeps the most ink doesn't read the most. What does the score listen to?

## Who asks?

The sum over $Q$ counts every query alike, and $Q$ is mostly not the question. It splits into the adaptive and global image tokens and the text:

$$s_j = \frac{|Q_\text{image}|}{|Q|}\, s_j^\text{image} + \frac{|Q_\text{text}|}{|Q|}\, s_j^\text{text}$$

**Predict**: what share of the queries are image tokens, and what share of the score is theirs?
"""

# %%
of_image = attention[:, after & is_image][:, :, is_detailed].mean(dim=(0, 1))
of_text = attention[:, after & ~is_image][:, :, is_detailed].mean(dim=(0, 1))
share = float(is_image[after].float().mean())
# The formula
torch.testing.assert_close(share * of_image + (1 - share) * of_text, by_hand)
of_score = float(share * of_image.sum() / by_hand.sum())
print(f"{share:.0%} of the {after.sum()} queries are image tokens,", end=" ")
print(f"and {of_score:.0%} of all scores together is theirs")

# %%
titles = ("after: image tokens alone", "after: all (published)", "after: text alone")
maps = dict(zip(titles, (of_image, by_hand, of_text), strict=True))
maps = {name: each.numpy().reshape(6, 16) for name, each in maps.items()}
course.show(
    figures.plot_tokens(page, (3, 2), maps, "attention"),
    alt="Three maps of scores over the page. Those of the image tokens and the "
    "published rule color much paper; that of the text is highest on words.",
    caption="The published score (middle) and its two parts, layer 1 of the "
    "checkpoint. Only the right one leaves the paper white. Each has its own scale.",
)

# %% [markdown]
"""
About three quarters of the published score come from image tokens. They are read before the question is: what they look at can't depend on it, whatever the user wants to know.

`scale_compression_config.queries` chooses who asks: `"all"` as published, `"question"` only the text after the image. `layer` chooses where: a later layer has seen more and costs more, since all layers before it run once more. The benchmark has read 200 held-out pages with every choice by the model **before** its training under compression (`benchmarks/sawtooth/results/scoring-6m-pyramid.csv`). A word counts as read if the answer has it, letter for letter, at any place.

**Predict**: which matters more, the layer or whose queries count? And what do renumbered positions cost?
"""

# %%
before = course.result("scoring-6m-pyramid")
course.show(
    measured.plot_layers(before),
    alt="Words read by scoring layer in two panels, for kept and renumbered positions. "
    "All queries at layer 1 are far below the rest; renumbering lowers all points.",
    caption="The model before, `keep_ratio` 0.5, 200 pages, 95% intervals over the "
    "pages. See the dip at layer 1.",
)

ways = measured.ways_at(0.5)  # who scores, where, which positions
rows = [[name, measured.words(before, **way)] for name, way in ways.items()]
course.table(["the model before, keep_ratio 0.5", "words read, %"], rows)
layer_1, layer_2 = list(ways.values())[-2:]
gained = measured.paired(before, layer_2, layer_1)
print(f"question, layer 2 minus layer 1, same pages: {gained} points")

# %% [markdown]
"""
Two choices cost words here, and both can be changed without any training. The first is who asks in layer 1: there the question alone reads far more than all queries. In the other layers the intervals overlap. Layer 2 is a little better than layer 1 even with the question, which only the difference on the same pages shows. The published model has 24 layers and was never measured here.

The second is **renumbering**. When tokens leave, the rest can keep their old position numbers, with gaps (`positions="keep"`), or be numbered anew without (`"repack"`, as published). A token's place on the page is in its number: the one below it is 4 later in its tile. Renumbering changes that distance wherever a token between them leaves.
"""

# %%
from modeling_minimonkey.scale_compression import compressed_position_ids

positions = torch.arange(length)[None]
stays = model.model.select_tokens(**inputs, keep_ratio=0.25).kept
renumbered = compressed_position_ids(positions, ~stays, "repack")
moved = (positions - renumbered)[0, stays[0] & is_image]
print(f"{(moved > 0).sum()} of {len(moved)} image tokens that stay are renumbered")
old, new = inside.neighbors_apart(stays[0], renumbered[0])
print(f"one below the other: {old}, {old[1] - old[0]} apart;", end=" ")
print(f"renumbered: {new}, {new[1] - new[0]} apart")

# %% [markdown]
"""
## What stays now

The small checkpoint is set to `queries="question"`, `layer=2`, `positions="keep"`. A rule without any question is beside it in the table: `queries="none"`, which comes below.

**Predict**: does its own rule keep more ink at 0.15 than the published one?
"""

# %%
settings = model.config.scale_compression_config
names = ("queries", "layer", "positions", "keep_ratio")
print({name: getattr(settings, name) for name in names})
course.show(
    figures.plot_tokens(page, (3, 2), maps_of(0.15), "attention"),
    alt="The scores are high on the words and near zero on the paper; nearly all "
    "tokens that stay are on the two lines.",
    caption="The same page by the checkpoint's own rule, 0.15. See the white paper on "
    "the left. Adaptive and global view, not shown, stay whole.",
)
own = inside.ink_row("checkpoint's own rule", model, inputs, ink)
none = inside.ink_row("no question", model, inputs, ink, queries="none")
course.table(headers, [first, own, none, inside.perfect_row(ink)])
assert own[3] > first[3]

# %% [markdown]
"""
It does. For your own model, image and question, `plot_compression` of the library draws both panels in one call, by the rule that the model has unless told otherwise. With ipywidgets, here is a slider for `keep_ratio`.
"""

# %%
asked, shares = (model, processor, page, "Read the text."), (0.5, 0.1, 0.25, 0.75, 1.0)
course.explore(lambda share: plot_compression(*asked, share), share=shares)

# %% [markdown]
"""
## What steers

The hope behind SCM is more than to find text: the tokens that *the question* needs should stay. So here are pages of two words, asked for the upper or for the lower one, and receipts, asked for one of two numbers by the word beside it. The benchmark counts the tokens that stay on each, and the answers that are exactly right (`benchmarks/sawtooth/results/steering-6m-*.csv`, two questions a page, 60 pages of each kind before, 100 after, `keep_ratio` 0.25).

**Predict**: if more of the right word stays, are more answers right?
"""

# %%
results = [course.result(f"steering-6m-{name}") for name in ("pyramid", "drawn")]
course.table(inside.STORED, inside.stored_rows(*results))

# %% [markdown]
"""
Before, the published rule kept as much of the word that nobody asked for: no difference distinguishable from zero, and its answers fall from 78.3% with all tokens to 42.5%. After, the question keeps more of the word asked for. These rows change rule and model at once; what training did to one and the same rule stands at the end of this section. Does it pay? Against the published rule, on the model after, 28.0 more of 100 answers on two words are right at 0.25 (21.0 to 35.5) and 16.0 on receipts (9.5 to 23.0). Against all queries in the same layer, which learned to steer along, no gain is shown at 0.25 (0.5, -2.0 to 3.0): as many are right as with all tokens, so nothing was left to save. At 0.1 there is: 4.0 (1.5 to 7.0). On receipts a quarter of the tokens holds both numbers; at 0.1 the asked one keeps 10.0 points more (6.5 to 13.8), which isn't shown to be read more often (1.0, -2.5 to 5.0). And this model finds the right number of a receipt in 61% of the questions, no more. All of it is in `benchmarks/sawtooth/results/6m-drawn.md`.

**Predict**: where are the scores high for the one question, where for the other?
"""

# %%
from benchmarks.sawtooth.measurements.reading import Reader

reader = Reader(model, processor)
two, view, both = inside.two_questions(reader, 0)
size = two.image.height, two.image.width
grid = processor.image_processor.get_pyramid_plan(*size).detailed
maps = {f"after: {each.text}": detailed_scores(model, both[each]) for each in both}
course.show(
    figures.plot_tokens(two.image, grid, maps, "attention"),
    alt="Two maps of scores over a page of two words, one for each question. Each "
    "word has high scores where it is asked for, and low ones where it isn't.",
    caption="The scores of the checkpoint's own rule for two questions. Compare "
    "both words. Each map has its own scale.",
)

# %%
kept = [kept_detailed_tokens(model, each, 0.15) for each in both.values()]
course.show(
    figures.plot_tokens(two.image, grid, dict(zip(maps, kept, strict=True)), ""),
    alt="The same page twice, most of it gray. The word asked for stays; of the "
    "other the last letter on the left, parts of letters on the right.",
    caption="The 15% of the detailed tokens that stay, checkpoint's own rule. Most of "
    "the other word leaves.",
)
for each, given in both.items():
    whole, some = (reader.generate(given, 16, keep_ratio=share) for share in (1, 0.15))
    print(f"{each.text} All tokens: {whole[0]!r}, 15%: {some[0]!r}")

# %% [markdown]
"""
Here the question rules what stays, and 15% of the detailed tokens give the answers that all of them give (a k of the lower word is missing in both). Before the last three stages of training this page was a counterexample: asked for the upper word, the rule dropped its "m" and kept nearly all of the lower one.

One page is no measure. Over more pages, by the checkpoint as it is, at `keep_ratio` 0.25, and beside it a third way: the attention of the prompt's last token alone.

**Predict**: which letters of "Read the upper word." can know what is asked? The model is causal: a token sees only what stands before it.
"""

# %%
number = 40 if course.FAST else 100
rows, more, pages, ids = inside.over_pages(reader, number)
course.table(inside.HEADERS, rows)
names = inside.token_names(processor, ids)
is_question = inside.of_question(names, "Read the upper word.")
course.show(
    figures.plot_askers(names, inside.by_token(more, pages), is_question),
    alt="A bar per token after the image: zero up to the word that says which, "
    "small until the question ends, and high from there to the end of the prompt.",
    caption=f"Layer 2 of the checkpoint, {2 * number} questions, 95% intervals over "
    f"{number} pages. Bars begin where the questions differ (upper over lower). A star "
    "is a special token, ↵ a line break.",
)
says_which = names.index("u\nl")
print(inside.before_and_after_it(more, says_which))
# A causal model can't know it yet
assert abs(more[:, :says_which].mean(0)).max() < 1e-3

# %% [markdown]
r"""
"Read the" is read before anything is asked, and can't steer: over both questions of a page its bars cancel to zero, but it counts in the mean all the same. What steers is the end of the prompt, which comes after the whole question. (`<|im_start|>` is no special token of this small tokenizer, so it stands there letter by letter.)

The last token alone steers hardly better than the whole question now. Before training for it, it was far ahead (the table below), and yet it isn't the rule, since it hasn't read better: before the stage that taught steering, both read 54.3% of the words at 0.25 (60 pages), and of 80 word questions it got 59 right, the whole question 55. After that stage what it reads was not measured.

Dropping tokens has no gradient, so answers alone don't teach a model to choose them. But it can be taught. A stage of this checkpoint's training added a loss that needs no labels of places:

$$L = -\sum_j a_j \log q_j$$

Both $a$ and $q$ are attention to the detailed tokens $j$, as shares that add up to 1, means over the heads. $q$ is that of the text after the image in the scoring layer $\ell$, and learns. $a$ is that of the answer's tokens, the mean over layer $\ell$ and all later ones, and is taken as given, without gradient. $L$ has a weight of 0.3 beside the loss of the answer (`benchmarks/sawtooth/readers/steering.py`).

**Predict**: by how much does the question in layer 2 steer without that loss? Here is the difference between both words, in points at 0.25, with its 95% interval where it was noted (`benchmarks/LOG.md`):
"""

# %%
course.table(inside.OF_STAGES, inside.STAGES)

# %% [markdown]
"""
By 1.3 points, by 8.9 after the stage with the loss, by 18.3 after two more, which had it, too. The last stage took another target for these pages: the tokens on which what is asked for was drawn, in place of $a$, with a weight of 1. That gave 67.7 (in a checkpoint whose weights were then taken back by two fifths of the way): the same rule, four models. They differ by 400 and twice 1,200 steps of training as well; as many without a loss were not run, so the losses are the likely cause, not an isolated one. The last token steered already before.

## Trained with gaps

A prompt with holes is one that the model before had never seen. So it went on learning with a random `keep_ratio` from 0.2 to 0.9 and kept positions, and with all tokens in a quarter of the steps (`benchmarks/sawtooth/readers/recipe.py`; `examples/finetune.py` does the same for yours). Three more stages renumbered what stays in half of the steps, and chose without a question in a third.

**Predict**: which rules gain by the first, which by the others?
"""

# %%
names = "6m-pyramid", "6m-compressed", "6m-drawn"
before, with_gaps, after_training = (course.result(f"scoring-{each}") for each in names)
course.show(
    measured.plot_training(before, after_training),
    alt="Words read against the keep ratio, dashed before and solid after training. "
    "The solid lines are higher, most of all at 0.25 and for the published rule.",
    caption="200 held-out pages, 95% intervals; 100% is what that model reads with all "
    "tokens. Each solid line is above its dashed one; kept positions (left) stay ahead "
    "of renumbered ones.",
)


# %%
rows = measured.training_rows(before, with_gaps, after_training)
head = ["words, % of those of all tokens", "before", "with gaps", "after", "change"]
course.table(head, rows)
for label, table in zip(head[1:4], (before, with_gaps, after_training), strict=True):
    every = measured.words(table, **measured.ALL_TOKENS)
    print(f"{label}, with all tokens: {every} % of all words")
headers = ["after, minus question in layer 2, points", "0.5", "0.25"]
course.table(headers, measured.after_differences(after_training))

# %% [markdown]
"""
In the figure, "all, layer 1" renumbered (right, yellow) is the published rule. After all stages every rule has risen, kept or renumbered, the question's at 0.5 least. The middle column tells the stages apart: with gaps alone, shares rose where positions are kept, and not where they are renumbered (published 47.0 to 47.7, no question 80.6 to 76.9); since renumbering was trained, too, they rise there as well (75.2 and 90.0). Kept positions are still ahead for every rule. A dash was not measured. Random choice, strong elsewhere (see the references), is weak here: much of these pages is paper.

The second table compares rules on the same pages of the model after, in points of all words. No difference is clear of zero: layer 3 costs a layer more and reads no more, and the rule that keeps the tokens with most ink (the largest differences of brightness) reads as much as the question.

This is no proof that compression in training did it. "Before" and "after" differ by 3,300 steps (900 with gaps, 2,400 with both) on other pages as well, among them layouts like the benchmark's, so that the model reads more with all tokens, too. A control that was trained as long without compression does not exist. That the first 900 raised the shares of kept positions and not those of renumbered ones speaks for it, no more.

## When nobody has asked yet

A serving engine keeps the cache of an image and reuses it for the next question. A score of the question forbids that: another question keeps other tokens. `queries="none"` takes the Euclidean norm of each token's feature, which the vision tower and projector give before the language model runs: no layer, no question, the same tokens for every question.

**Predict**: what does that cost?
"""

# %%
for rule in ("question", "none"):
    one, other = (detailed_scores(model, each, queries=rule) for each in both.values())
    print(f"{rule:8} two questions, the same scores: {np.array_equal(one, other)}")
    assert np.array_equal(one, other) == (rule == "none")
rows = measured.rows_of_none(before, after_training)
course.table(["words read, %", "question, layer 2", "none", "difference, points"], rows)
course.show(
    figures.plot_tokens(
        page, (3, 2), maps_of(0.15, queries="none"), "norm of the feature", None
    ),
    alt="Norms of the features: highest on the words; nearly all that stays has ink.",
    caption='`queries="none"` in the checkpoint, 0.15: ink makes features longer.',
)

# %% [markdown]
r"""
Nothing that is distinguishable from zero: on these pages, where everything that isn't paper is text, no difference between both is shown, before or after. On a photo, where most of the image shows something and little of it is asked for, it may be otherwise; that was not measured.

## From 1 to 0.02

For every token the cache holds a key and a value in each of $L$ layers, for each of $H_\text{kv}$ heads, $d$ numbers of $b$ bytes. A prompt of $T$ tokens takes

$$\text{bytes} = 2\, L\, H_\text{kv}\, d\, b\, T, \qquad T = T_\text{all} - (n - K).$$

Here that is $2 \cdot 4 \cdot 4 \cdot 64 \cdot 4 = 8192$ bytes per token in float32; in the published model, with 24 layers and 8 heads of 128 numbers of 2 bytes, 98,304 (96 KiB).

**Predict**: at which `keep_ratio` does the answer break? How much smaller is the cache at 0.5, half?
"""

# %%
text = model.config.text_config
per_token = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * 4
print("keep_ratio  prompt  cache, bytes  answer")
for ratio in (1.0, 0.5, 0.25, 0.1, 0.05, 0.02):
    said, cached, nbytes = inside.answer(model, processor, inputs, ratio)
    print(f"{ratio:10g}  {cached:6}  {nbytes:12,}  {said!r}")
    assert cached == length - detailed + kept_count(detailed, ratio)
    assert nbytes == cached * per_token

# %% [markdown]
"""
It breaks between 0.1 and 0.05, where 4 detailed tokens are left, and not everywhere: the adaptive and global view still show the page. The cache is exactly as much shorter as the prompt: at 0.5 by 21%, not by 50%, since the other views stay. This page was picked for the demo; the 200 pages above are less kind. `keep_ratio` is 1 unless you set it.

## One mechanism, two ways to run it

In `generate` the dropped tokens leave the prompt, so that every layer's cache is shorter. In `forward`, where lengths must stay for the labels of a training batch, they are masked: nothing attends to them.

**Predict**: are the logits of the next token the same?
"""

# %%
from benchmarks.sawtooth.measurements.scoring import scoring

options = {"max_new_tokens": 1, "return_dict_in_generate": True, "output_logits": True}
for way in ("keep", "repack"):
    with scoring(model, positions=way), torch.no_grad():  # only in this block
        masked = model(**inputs, keep_ratio=0.5, logits_to_keep=1).logits[0, -1]
        dropped = model.generate(**inputs, keep_ratio=0.5, **options).logits[0][0]
    difference = float((masked - dropped).abs().max())
    said = processor.decode([int(masked.argmax())])
    print(f"{way:6} largest difference {difference:.0e}, next {said!r}")
    assert difference < 1e-3

# %% [markdown]
"""
The same up to rounding (tolerance 1e-3). So a model can be trained with compression on exactly what it sees in use, as this one was.

## What the paper claims, and what was measured here

The paper is about a model of two billion parameters; what is below is measured on this small reader, unless a row names another model. The paper's tables are not reproduced here, so the left column has no numbers of its accuracy under compression; that doesn't say that none exist.
"""

# %% tags=["hide-input"] jupyter={"source_hidden": true}
course.claims(*claims.of_compression(before, after_training, share, of_score))

# %% [markdown]
"""
## Common errors
"""

# %%
with course.expected(ValueError):  # none of them: leave the grid out instead
    model.generate(**inputs, max_new_tokens=1, keep_ratio=0)
given = {name: each for name, each in inputs.items() if name != "tile_levels"}
with course.expected(ValueError):  # which tokens are detailed?
    model.generate(**given, max_new_tokens=1, keep_ratio=0.5)
small = page.crop((0, 0, 100, 100))
with course.expected(ValueError):  # one tile, the global one
    plot_compression(model, processor, small, "Read the text.")

# %% [markdown]
"""
## Exercises

### Exercise 1

Mini-Monkey 2B has 256 tokens per tile and 96 KiB of cache per token in bfloat16. A page takes 24 detailed, 8 adaptive and 1 global tile and 80 tokens of text. How many tokens and how many GiB of cache does `keep_ratio=0.5` save? `docs/checkpoints.md` has the cache with and without.

<details>
<summary>Solution</summary>

```python
whole = 80 + 256 * (24 + 8 + 1)
saved = 256 * 24 // 2
print(f"{whole} tokens without, {whole - saved} with; {saved * 96 / 1024**2:.2f} GiB")
assert (whole, whole - saved) == (8528, 5456)
assert round(saved * 96 / 1024**2, 2) == 0.28 == round(0.78 - 0.50, 2)  # the tables
```

</details>

### Exercise 2

Choose the tokens of the page by the norm of their features, compare them with what `queries="none"` keeps, and count how many of the 48 the question had chosen, too. Hints: `model.get_image_features(pixels, return_dict=True).pooler_output` has a feature for every image token, the detailed ones first. `select_tokens(scores, images, 0.5)` of `modeling_minimonkey.scale_compression` takes one score per token and the number of its image, here 1.

<details>
<summary>Solution</summary>

```python
from modeling_minimonkey.scale_compression import select_tokens

features = model.get_image_features(inputs["pixel_values"], return_dict=True)
norms = features.pooler_output.detach().norm(dim=-1).flatten()[:detailed]
by_norm = select_tokens(norms, torch.ones(detailed).long(), 0.5).numpy()
by_question = kept_detailed_tokens(model, inputs, 0.5).ravel()
print(f"{(by_norm & by_question).sum()} of 48; ink: {(by_norm & ink).sum()}")
by_none = kept_detailed_tokens(model, inputs, 0.5, queries="none").ravel()
assert (by_norm == by_none).all()
assert by_norm.sum() == 48 and (by_norm & by_question).sum() > 24
```

</details>

### Exercise 3

Two images in one prompt: does each lose half of its own tokens, or both together half of all?

<details>
<summary>Solution</summary>

```python
from modeling_minimonkey.scale_compression import detailed_images

images = page, page.resize((224, 224))
content = [{"type": "image", "image": each} for each in images]
content.append({"type": "text", "text": "Read."})
two_images = processor.prepare_chat([{"role": "user", "content": content}])
is_image = two_images["input_ids"] == processor.image_token_id
levels, per_tile = two_images["tile_levels"], model.config.image_seq_length
owners = detailed_images(is_image, levels, per_tile)
stays = model.model.select_tokens(**two_images, keep_ratio=0.5).kept
of_each = [owners == image for image in (1, 2)]
counts = [(int(own.sum()), int((stays & own).sum())) for own in of_each]
print("detailed tokens and how many stay:", counts)
assert all(after == before // 2 for before, after in counts) and counts[0] != counts[1]
```

</details>

## Conclusion

Which half can go? Of a prompt, only detailed tokens, since the other views show the same once more; of those, the ones with the lowest scores. The published rule takes most of its score from image tokens, in a layer where that misleads, and renumbers what stays; on this small reader both cost words, and both are settings of the configuration. Beyond that, no choice of who asks is shown to be best: later layers and the norm of the features, without any question, read about as many words. In a stage of training with a loss for it, the question came to steer what stays of two words, from 1.3 to 18.3 points, and shown where that stands to 67.7, which makes more answers right where room is short. After training under compression all rules lose less, those that renumber only since training renumbered, too; how much of that is compression in training, a control would have to show. Measure it on your own pages before you turn it on.

Read next: [06 The published weights](06_published_weights.ipynb); [11 Speed, memory, serving](11_speed_memory_serving.ipynb) has what it saves; `benchmarks/LOG.md` has the failures.

## References and further reading

- M. Huang et al., *Mini-Monkey: Alleviating the Semantic Sawtooth Effect for Lightweight MLLMs via Complementary Image Pyramid*, ICLR 2025: [arXiv 2408.02034](https://arxiv.org/abs/2408.02034), [reviews](https://openreview.net/forum?id=71XtUhazG0), [code](https://github.com/Yuliang-Liu/Monkey). Section 3.3 is about SCM.
- L. Chen et al., *An Image is Worth 1/2 Tokens After Layer 2* (FastV): [arXiv 2403.06764](https://arxiv.org/abs/2403.06764). Image tokens leave inside the model by their attention.
- GAP, on what renumbering does to grounding: [arXiv 2506.21873](https://arxiv.org/abs/2506.21873). UniPruneBench, on how strong random choice is: [arXiv 2511.02650](https://arxiv.org/abs/2511.02650).
- A. Vaswani et al., *Attention Is All You Need*: [arXiv 1706.03762](https://arxiv.org/abs/1706.03762). J. Su et al., *RoFormer*, on rotary positions: [arXiv 2104.09864](https://arxiv.org/abs/2104.09864).
- Transformers on [caches](https://huggingface.co/docs/transformers/kv_cache) and on [attention functions](https://huggingface.co/docs/transformers/attention_interface).

[04 The model](04_model.ipynb) · [all notebooks](README.md) · [06 The published weights](06_published_weights.ipynb)
"""
