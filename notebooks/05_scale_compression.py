# %% [markdown]
"""
# Which half of the tokens can go?

[04 The model](04_model.ipynb) · [all notebooks](README.md) · [06 The published weights](06_published_weights.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/05_scale_compression.ipynb) [Source of this notebook](05_scale_compression.py)

> **You will learn**: how the Scale Compression Mechanism (SCM) chooses the image tokens that stay in the prompt, which of its choices cost a small reader words, and what makes the question steer it.
>
> **You need**: what the detailed, adaptive and global tiles are ([02](02_complementary_image_pyramid.ipynb)), and what attention is. **Time**: about 25 min to read, 2 min to run. **Hardware**: two CPU cores, 2 GB of memory.
>
> **Contents**: [What leaves the prompt](#What-leaves-the-prompt) · [The published rule](#The-published-rule) · [Who asks?](#Who-asks?) · [Kept or renumbered?](#Kept-or-renumbered?) · [When nobody asks](#When-nobody-asks) · [What training changes](#What-training-changes) · [Does the question steer?](#Does-the-question-steer?) · [How few can stay?](#How-few-can-stay?) · [One mechanism, two ways to run it](#One-mechanism,-two-ways-to-run-it) · [What the paper claims, and what was measured here](#What-the-paper-claims,-and-what-was-measured-here) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
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
**In short**: the mechanism of this notebook drops, of an image's finest tokens, those that the rest of the prompt attends to least. By the published rule that costs our small reader half of its words, when half of these tokens leave and it was not trained for it. Settings repair most of that without training: *who scores*, *in which layer*, and *which position numbers* stay. After training, half can go without a shown loss on pages, with the right settings. But on receipts answers are lost at a quarter. SmolLM2, a pretrained language model, loses about a third to more than half of its answers on receipts when half of these tokens leave and it was never trained for it; after training, with a question that learned where to look, and with numbers kept, no loss is shown on receipts (5.0 of 80.0 points, -2.5 to 12.5), and on longer bills about a fifth of the answers is lost (8.8 of 46.2 points, 2.5 to 15.0).

## What leaves the prompt

A second grid shows more and costs more. Every tile is a fixed number of tokens, and the language model pays for each of them in time and in its *cache*, where it stores each token it has read. The **Scale Compression Mechanism** (SCM) takes part of that cost back:

1. Every **detailed** token (of the first, finest grid) gets a score: how much attention the tokens behind it pay to it in one early layer.
2. Of the detailed tokens, the share `keep_ratio` with the best scores stays. The others leave the prompt before the first word is written.
3. Adaptive tokens (of the second grid), global tokens (of the whole page) and text all stay. They show the page once more, so what leaves is not lost altogether.

According to the paper, nothing has to be trained for it. The figure has the two choices that this notebook is about: **who asks**, that is, whose attention counts, and **which numbers** the tokens have afterwards.
"""

# %%
import claims
import figures
import inside
import measured
import numpy as np
import schemes
import smollm
import tables
import torch
from PIL import Image

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.scale_compression import DETAILED_LEVEL, kept_count
from processing_minimonkey import MiniMonkeyProcessor

course.show(
    schemes.plot_mechanism(),
    alt="A row of numbered tokens; arrows from the later ones to scores over detailed "
    "ones, four of which are crossed out. Below, what stays, numbered twice.",
    caption="A made-up prompt, `keep_ratio` 0.5. See which four tokens leave (gray "
    "bars, crosses), and that the two rows below differ in the numbers alone.",
)

# %% [markdown]
"""
Three *rules* make these choices differently, and have the same names everywhere below:

| rule | who asks | layer, counted from 0 | numbers of what stays |
| --- | --- | --- | --- |
| **published rule** | all tokens behind the detailed ones (`"all"`) | 1 | renumbered |
| **own rule**, that of the small checkpoint | the text after the image (`"question"`) | 2 | kept |
| **no question** | nobody: features alone (`"none"`) | none | kept |

The model is the small checkpoint of this repository, a reader of rendered lower-case text, four layers deep, with 16 tokens per tile. It is not the published model, which has 24 layers and was never measured here. It went through three *states*:

| state | in the results | what it has learned | steps since *before* |
| --- | --- | --- | ---: |
| *before* | `6m-pyramid` | to read with two grids; it never saw a compressed prompt | 0 |
| *with gaps* | `6m-compressed` | to read compressed prompts with kept numbers; in the last 400 steps to steer by the question | 900 |
| *after* | `6m-drawn` | the same with renumbered ones, too; in the last 1,200 steps with the true place of the asked word | 3,300 |

What runs here is *after*, the checkpoint as you load it. Stored answers of *before* tell what can be had **without** training. *With gaps* lies between, and is needed for one list only.

**Predict**: the page has 6 detailed, 4 adaptive and 1 global tile, and its prompt 233 tokens. How many are left with `keep_ratio=0.5`?
"""

# %%
model = MiniMonkeyForConditionalGeneration.from_pretrained(
    course.CHECKPOINT,
    dtype=torch.float32,
    attn_implementation="eager",  # it shows its matrices
).eval()
processor = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)
page = Image.open(course.PAGE)
content = [{"type": "image", "image": page}, {"type": "text", "text": "Read the text."}]
inputs = processor.prepare_chat([{"role": "user", "content": content}])
length = inputs["input_ids"].shape[1]
tiles = int((inputs["tile_levels"] == DETAILED_LEVEL).sum())
detailed = tiles * model.config.image_seq_length
left = length - detailed + kept_count(detailed, 0.5)
print(f"{length} tokens, of which {detailed} are detailed; {left} with keep_ratio=0.5")
print(inside.read_by_kind())

# %% [markdown]
r"""
185, and not half of 233: only the 96 detailed tokens are halved.

(The same checkpoint reads 85.2% of the words on the 200 pages below, 77.1% on those of [00](00_ask_an_image.ipynb), and 87.9% on 100 more. These are other pages: in 00 lines of words, below lines, receipts, tables and signs in turn.)

## The published rule

The [paper](https://huggingface.co/papers/2408.02034) (section 3.3) takes the score from the language model itself. In layer $\ell$ (the second, so 1 when counted from 0), query $q_{h,i}$ of token $i$ meets the keys $k_{h,j}$ of the tokens up to its own, and head $h$ of $H$ gives token $j$ the attention

$$A^{(\ell)}_{h,i,j} = \frac{\exp\left(q_{h,i} \cdot k_{h,j} / \sqrt{d}\right)}{\sum_{j' \le i} \exp\left(q_{h,i} \cdot k_{h,j'} / \sqrt{d}\right)}, \qquad j \le i,$$

with $d$ numbers in each query and key. The score of a detailed token is the mean over the heads and over a set $Q$ of queries, as published **all tokens after the image's detailed ones**:

$$s_j = \frac{1}{H\,|Q|} \sum_{h=1}^{H} \sum_{i \in Q} A^{(\ell)}_{h,i,j}$$

Of the $n$ detailed tokens of an image, those with the $K$ highest scores stay (of equal scores, the earlier token), in the order that they had. With the share $\rho$, which is `keep_ratio`:

$$K = \max\left(1, \lfloor \rho\, n \rfloor\right)$$

By hand the score is one line, once the model shows its attention matrices.
"""

# %%
from modeling_minimonkey.inspection.visualization import detailed_scores

attention, is_detailed, is_image = inside.look(model, inputs, layer=1)
after = torch.arange(length) > is_detailed.nonzero().max()
by_hand = attention[:, after][:, :, is_detailed].mean(dim=(0, 1))
published = detailed_scores(model, inputs, queries="all", layer=1)
difference = np.abs(by_hand - published.ravel()).max()
print(f"{after.sum()} queries, {by_hand.numel()} scores, difference {difference:.0e}")
assert difference < 1e-6

# %% [markdown]
r"""
The library's score is the same up to rounding in float32, but it never builds the matrices: it takes 64 queries at a time, and of the scoring layer it computes only the norm, the queries and the keys. At 8,272 tokens of a language model 512 wide (8 heads, float32, random weights) that adds 247 MiB, where the matrices of one layer alone would take 2,088 (`benchmarks/speed/RESULTS.md`).

## Who asks?

The sum over $Q$ counts every query alike, and $Q$ is mostly not the question. It splits into the adaptive and global image tokens and the text:

$$s_j = \frac{|Q_\text{image}|}{|Q|}\, s_j^\text{image} + \frac{|Q_\text{text}|}{|Q|}\, s_j^\text{text}$$

**Predict**: what share of the queries are image tokens, and what share of the score is theirs? Where on the page is it high?
"""

# %%
of_tokens = is_detailed, is_image
maps, share, of_score = inside.split_scores(attention, after, *of_tokens)
print(f"{share:.0%} of the {after.sum()} queries are image tokens,", end=" ")
print(f"and {of_score:.0%} of all scores together is theirs")
course.show(
    figures.plot_tokens(page, (3, 2), maps, "attention"),
    alt="Three maps of scores over the page: left and middle color much paper, the "
    "right one, of the text, is highest on words.",
    caption="The published score (middle) and its parts, layer 1; each map has its own "
    "scale, blue lines are cuts. See how much paper the image tokens mark. The text "
    "leaves most of it white, but hardly marks `fresh`. These are of *after*, words in "
    "the next figure of *before*.",
)

# %% [markdown]
"""
78% of the published score comes from image tokens. They stand before the question and can't know it: what they look at is the same, whatever the user wants to know.

Does it cost words? The benchmark has read 200 held-out pages in the state *before* with every choice: who asks, in which layer, with which numbers. A word counts as read if the answer has it, letter for letter, at any place (`benchmarks/sawtooth/results/scoring-6m-pyramid.csv`).

**Predict**: which matters more, the layer or whose queries count?
"""

# %%
before = course.result("scoring-6m-pyramid")
course.show(
    measured.plot_layers(before),
    alt="Words read by scoring layer, positions kept and renumbered. All queries at "
    "layer 1 are far below the rest; renumbering lowers all points.",
    caption="The model before, `keep_ratio` 0.5, 200 pages, 95% intervals over pages. "
    "See the yellow dip at layer 1, the published one: a layer earlier or later there "
    "is none, and hardly one in pink. The right panel is for the next section.",
)
course.table(*measured.rows_of_ways(before, 0.5, 0.25))

# %% [markdown]
"""
**Neither alone**: what costs words is the published *pair*, all queries in layer 1. It reads 32.8% of the words (27.7% when renumbered as well, 53% fewer than with all tokens). Change either of the two, and most is mended: another layer gains 22.9 points, another asker 19.5. Once one is changed, the other matters little at 0.5 (0.3 points, which shows nothing, and 3.6; last rows of the table).

At 0.25 it matters which one is changed. All queries in layer 2 read about as much as the question there, but the question in layer 1 reads 8.2 points less than in layer 2. So if only one can be changed, it is the layer. That costs a layer more, since all layers before the scoring one are run twice: once for the scores, once more with the tokens that stay.

## Kept or renumbered?

The second choice: when tokens leave, the rest can keep their old position numbers, with gaps (`positions="keep"`), or be numbered anew without (`"repack"`, as published). A token's place on the page is in its number: the one below it in its tile is 4 later. Renumbering changes that distance wherever a token between them leaves.

**Predict**: at `keep_ratio` 0.25, how many of the image tokens that stay get another number?
"""

# %%
moved, all_kept, *tile = inside.renumbered_tile(model, inputs, *of_tokens, 0.25)
print(f"{moved} of {all_kept} image tokens that stay are renumbered")
old, new, pair = tile
course.show(
    schemes.plot_renumbered({"kept": old, "renumbered": new}, pair),
    alt="A tile of 4 by 4 tokens twice, with old and with new numbers; two are marked.",
    caption="Detailed tokens of one tile at 0.25, by the own rule. Gray ones left. "
    "Compare the numbers of the two marked ones, which stand one below the other.",
)

# %% [markdown]
"""
All 104, since the first detailed token leaves. A model that learned "4 later is one below" can be misled by the right tile. In the figure of layers every rule reads less when renumbered; all queries in layer 1 fall from 32.8 to 27.7% of the words. Both choices together are the published rule, and both can be changed without any training.

The cost isn't shown everywhere. SmolLM2 ([below](#When-nobody-asks)), a pretrained model, was asked about lines of text both ways. Half of the tokens, chosen by the question in layer 2, gave 25.0% right answers with kept numbers and 24.0% renumbered; chosen without a question, 7.0 and 13.0%. Those numbers hold no place on a page. With pictures of receipts, after training with kept numbers, they do count for SmolLM2, too (same section).

## When nobody asks

A serving engine keeps the cache of an image and reuses it for the next question. A score by the question forbids that: another question keeps other tokens. `queries="none"` takes the Euclidean norm of each token's feature, which the vision tower and projector give before the language model runs: no layer, no question, the same tokens for every question.

So here are all three rules on one page. Ink is on 14 of its 96 detailed tokens, the rest is paper. Let 15% stay: that is 14, just enough.

**Predict**: how many of the 14 tokens with ink does each rule keep?
"""

# %%
from modeling_minimonkey.inspection.visualization import plot_compression

ink = course.has_ink(page, tile=112, tokens_along=4)  # in the order of the prompt
rules = {
    "published rule": {"queries": "all", "layer": 1},
    "own rule": {},
    "no question": {"queries": "none"},
}
kept = inside.kept_and_ink(model, inputs, 0.15, ink, rules)
course.show(
    figures.plot_tokens(page, (3, 2), kept, ""),
    alt="The page three times, what stays in white. By the published rule several of "
    "these tokens are blank; by both others nearly all are on the two lines of words.",
    caption="Which 14 of 96 detailed tokens stay at 0.15. Compare the left panel, with "
    "white corners that hold no text, with the two others. Gray tokens leave. In all "
    "three *after* chooses; below are words of both.",
)
head, rows = inside.ink_rows(model, inputs, ink, rules | inside.BETWEEN)
course.table(head, rows)
assert rows[1][3] > rows[0][3]
course.table(*inside.corner_rows(model, processor, page))
asked, shares = (model, processor, page, "Read the text."), (0.5, 0.1, 0.25, 0.75, 1.0)
course.explore(lambda share: plot_compression(*asked, share), share=shares)

# %% [markdown]
"""
The published rule gives half of the room to paper, both others nearly none. Again it is neither the layer nor the asker alone: all queries one layer later keep 13 of the 14, and so does the question in layer 1.

Why do the image tokens mark blank corners in layer 1 (figure 2)? On this page the second table tells:

- *The upper left corner* is marked for the words of its own tile: with them erased it falls from 1.51 to 0.30% a token, with those of the other tiles erased only to 1.38. These tokens are blank, but the tower told them what else is in the tile ([04](04_model.ipynb#The-projector)).
- *The lower right corner* is marked for its place: without any words it still has 1.01% (1.13 before).

Why layer 1 marks such tokens and layer 2 doesn't was not looked into. (`plot_compression` draws scores and what stays for your own model, image and question; with ipywidgets there is a slider for `keep_ratio` above.) Ink that stays is a picture of a rule, not of what is read. So here are the words, before and after the training that comes next:
"""

# %%
from benchmarks.sawtooth.measurements.reading import Reader

reader = Reader(model, processor)
two, view, both = inside.two_questions(reader, 0)
print(inside.scored_twice(model, both))
after_training = course.result("scoring-6m-drawn")
course.table(*measured.rows_of_none(before, after_training))
tables.folded("SmolLM2 (pretrained), text for an image", *inside.asked_facts())
tables.folded("The same, renumbered minus kept", *inside.renumbered_facts())
untrained, trained = smollm.by_rule(), smollm.trained()
tables.folded("SmolLM2 with images of receipts", *untrained)
tables.folded("The same after training, bills, too", *trained)
course.table(*smollm.halves(untrained, trained))

# %% [markdown]
"""
No difference between the two is distinguishable from zero on these pages, where everything that isn't paper is text. Where everything is "ink", it is otherwise. In SmolLM2, a pretrained language model, lines of text stand in for an image's tokens, and one line is asked for (first list; the second is about renumbering; `benchmarks/speed/PRETRAINED.md`). With all of it 72% of the answers are right (chance is 4%). With half of it 7% are by the norm, 25% by the question in layer 2, 43% in layer 20; with a quarter 10%, none and 25%. So a rule without a question can lose most answers there, but a question in an early layer is no cure. Nor is the question shown to choose better than all queries: of sixteen comparisons it leads in one and trails in one, and one may miss zero by chance alone. A photo may be such a case; that was not measured.

**Behind a vision tower** SmolLM2 learned to read receipts through the pyramid (third and fourth list, and in short the table below them; `text` is a choice by hand, all text first, and *kept on the answer* the share of the answer's tokens that stays).

- *Never trained for compression*, it loses about a third to more than half of its answers with half of the detailed tokens, by each of seven rules. In layer 8 the question keeps 77.6% of the answer's tokens, and as many answers are lost: which tokens stay is not all that counts.
- *Then it was trained for it*, and its question to look at the words that it or its answer names: in layer 8 first, then in layer 3 of 30, where with half of the tokens the first one comes in 0.92 and 0.80 of the time that all take (receipts and bills, 8 questions each; from layer 8 1.07 and 0.96; `benchmarks/sawtooth/PRETRAINED.md`). Half of the tokens kept 96% of the answer's and more. But what stayed was numbered anew, and by layer 3 12.5 points of answers were lost on both layouts (weights of one stage before those in the lists); on receipts about as many (11.2) where that half was chosen by hand, all text first, numbered anew (`benchmarks/LOG.md`). So there a better choice would hardly have helped.
- *What stays can keep its number.* Then the same weights, never trained so, lose 5.0 points on receipts (-2.5 to 12.5) and 10.0 on bills (2.5 to 18.8). A last stage was trained so, 179 steps; its weights are those of the fourth list. They lose as much, 5.0 and 8.8, and hardly more of their answers are from another line of the page (6 in place of 5 of 80, on bills 19 in place of 17). But numbered anew they lose 27.5 and 12.5 (19 and 27 from another line). So on receipts these weights find a line by its numbers (22.5 points, 13.8 to 32.5), as the small reader does. Setting kept numbers may be enough, without that stage (in weights never trained so 7.5 points more right than renumbered, 0.0 to 15.0; one stage before 0.0, -7.5 to 6.2). On bills no difference between both ways is shown. The published scores gain by kept numbers, too: 31.2 points lost on receipts become 15.0 (`benchmarks/sawtooth/PRETRAINED.md`).

## What training changes

Between *before* and *after*, three of four steps dropped detailed tokens at a random `keep_ratio`, and a quarter kept all (`benchmarks/sawtooth/readers/recipe.py`; `examples/finetune.py` does the same for yours).

How many of the words that all tokens read are left? In the figure the own rule is pink on the left.

**Predict**: which rules gain most?
"""

# %%
with_gaps = course.result("scoring-6m-compressed")
course.show(
    measured.plot_training(before, after_training),
    alt="Words read against the keep ratio, dashed before and solid after training. "
    "The solid lines are higher, most of all at 0.25 and for the published rule.",
    caption="200 pages, 95% intervals; 100% is what that model reads with all tokens. "
    "Each solid line (after) is above its dashed one (before), most of all yellow, and "
    "higher left than right. Left, solid pink lies on the wider blue. Points, at 0.25, "
    "0.5 and 1, are moved a little apart; a missing one was not measured.",
)
shares = measured.training_rows(before, with_gaps, after_training)
tables.folded("The same as numbers, by state", *shares)
differences = measured.after_differences(after_training)
tables.folded("Other rules against the own rule, same pages", *differences)

# %% [markdown]
"""
- **What rose.** Every rule that was measured both before and after reads a larger share after, kept or renumbered. At 0.5 the own rule rose least, to 100.0% (98.7 to 101.4): it had least to gain. The published one rises from 47.0 to 75.2%.
- **What didn't.** Kept numbers are still ahead for every rule. And no rule is shown to be better than the own one (second list, same pages): neither layer 3, nor no question, nor the tokens with most ink (the largest differences of brightness). Random choice, strong elsewhere (see the references), is weak here (52.0% at 0.5, the lowest *after*): much of these pages is paper.
- **What isn't proved**: that *compression* in training did it. *Before* and *after* differ by 3,300 steps on other pages as well, among them layouts like the benchmark's, so the model reads more with all tokens, too (59.0 and 85.2%). A control that was trained as long without compression does not exist.
- **A hint** is in the first list, where a dash was not measured. With gaps alone, shares rose where numbers are kept (no question at 0.5: 91.6 to 97.4) and not where they are renumbered (80.6 to 76.9; published 47.0 to 47.7). The latter rose only when renumbering was trained, too (90.0 and 75.2). That speaks for compression in training as the cause, no more.

## Does the question steer?

The hope behind SCM is more than to find text: the tokens that *the question* needs should stay. So here is a page of two words, asked for the upper or for the lower one.

**Predict**: where are the scores high for the one question, where for the other?
"""

# %%
maps = inside.scores_and_kept(model, both, 0.15)
course.show(
    figures.plot_tokens(two.image, view.grid, maps, "attention"),
    alt="For each of two questions the scores over a page of two words and what stays: "
    "the word asked for is high and stays, the other one is all gray.",
    caption="The own rule, asked for the upper and for the lower word, 0.15. Each map "
    "of scores has its own scale. See that the word not asked for leaves completely.",
)
for each, given in both.items():
    whole, some = (reader.generate(given, 16, keep_ratio=share) for share in (1, 0.15))
    print(f"{each.text} All tokens: {whole[0]!r}, 15%: {some[0]!r}")

# %% [markdown]
"""
Here the question rules what stays, and 15% of the detailed tokens give the answers that all of them give (a k of the lower word is missing in both).

One page is no measure. Over more pages, at `keep_ratio` 0.25, and with another rule in place of *no question*, which can't steer: the attention of the prompt's last token alone.

**Predict**: which letters of "Read the upper word." can know what is asked? The model is causal: a token sees only what stands before it.
"""

# %%
number = 40 if course.FAST else 100
rows, more, ids = inside.over_pages(reader, number)
course.table(inside.HEADERS, rows)
names = inside.token_names(processor, ids)
print(inside.before_and_after_it(more, names))

# %% [markdown]
r"""
The own rule keeps 72.8 points more of the word asked for; the published one keeps both alike. Which tokens do that?

- "Read the" is read before anything is asked, and can't steer. What it attends to is the same for both questions, so its difference is zero; but it is still part of the score.
- From the "u" or "l" on, letters could know. But those up to "word" hardly use it: 1.9 points at most. The full stop is the first that does, with 21.4.
- What steers most is the end of the prompt behind it, 43.7 points a token in the mean. The last token alone steers hardly better than the whole question. (How many words it reads in *after* was not measured.)

### To steer is taught

Dropping tokens has no gradient, so answers alone don't teach a model to choose them. A loss that needs no labels of places can:

$$L = -\sum_j a_j \log q_j$$

Both $a$ and $q$ are attention to the detailed tokens $j$, as shares that add up to 1. $q$ is that of the text after the image in the scoring layer, and learns. $a$ is that of the answer's tokens in this and all later layers, and is taken as given. So the question learns to look where the answer will look.

<details>
<summary>The details, and the last stage</summary>

Both are means over the heads; $a$ is a mean over layer $\ell$ and all later ones, without gradient. $L$ has a weight of 0.3 beside the loss of the answer (`benchmarks/sawtooth/readers/steering.py`). The stages: 500 steps with kept numbers at a random `keep_ratio` from 0.2 to 0.9; 400 more with the loss; then 500, 700 and 1,200, with renumbered positions in half of the steps and no question in a third. In the last of these $a$ was another one on pages of two words and receipts with such a question: the tokens on which the true answer is drawn, with a weight of 1. Then the weights were averaged, 3/5 new and 2/5 old, since what was learned before had got worse.

</details>

How much more of the word asked for stays, at 0.25, after each stage (two questions a page; copied from `benchmarks/LOG.md`, with the 95% interval where it was noted):
"""

# %%
course.table(inside.OF_STAGES, inside.STAGES)

# %% [markdown]
"""
From 1.3 to 67.7 points, by the same rule in five models. The averaging, done because the model had got worse at what it had learned before, took back about 14 of the 82 (on other numbers of pages).

These models differ in their steps of training as well, and none was trained for as many steps without a loss. So the losses are the likely cause, not an isolated one. The last token steered by 11.8 without the loss.

(The 72.8 above are of the last model, too, on 40 pages. The README's 33.3 points are the same difference at 0.5, where there is more room for the other word: 99.0% of the one stay and 65.7% of the other, first list below.)

### Does steering pay?

The benchmark asked two questions of each of 100 pages of two words, and of 100 receipts, on which a number is asked for by the word beside it (`benchmarks/sawtooth/results/steering-6m-drawn.csv`). The gray line, *all queries, layer 2*, is the published choice of who asks in the layer of the own rule.

**Predict**: if more of the right word stays, are more answers right?
"""

# %%
steering = course.result("steering-6m-drawn")
kinds = {"pair": "one of two words", "keyed": "one of a receipt's numbers"}
course.show(
    measured.plot_answers(steering, kinds, inside.ASKERS),
    alt="Exact answers over the keep ratio. The published rule falls early; the others "
    "stay level down to 0.25 on two words, and fall below 0.5 on receipts.",
    caption="200 questions a point, 95% intervals over pages. Pink falls later than "
    "yellow, and on receipts both fall. Gray and pink differ by more than chance "
    "only at 0.1, on two words.",
)
for kind, title in kinds.items():
    tables.folded(f"As numbers: {title}", *inside.stored_rows(steering, kind, title))
print(inside.lost_on_receipts(steering))

# %% [markdown]
"""
- **Against the published rule, yes**: at 0.25 the own rule gets 28.0 of 100 answers more right on two words and 16.0 on receipts. The published rule keeps as much of the word that nobody asked for; so it did *before*, when answers fell from 78.3% to 42.5% (120 questions).
- **Against all queries of the same layer, only where room is short**: at 0.25 no gain is shown (0.5 points), since nothing was left to save. At 0.1 there is one, 4.0 (1.5 to 7.0). These queries have learned to steer, too.
- **On receipts compression at 0.25 costs, whoever asks**: answers fall from 61.0% to 49.0% (own rule, 12.0 points: 6.5 to 17.5) and 51.0% (all queries), although 99% of both numbers stay. Dropping half of the tokens costs nothing that is shown (1.0, -2.5 to 4.5). At 0.1 both keep about 10 points more of the asked number than of the other, so no gain of the one over the other is to be expected, and none is shown (1.0, -2.5 to 5.0).

What is lost on receipts, if not the number? Here is what stays of the number, and of the word beside it that says which number is meant:
"""

# %%
course.table(*inside.beside_numbers(reader, steering))

# %% [markdown]
r"""
The number, but not its name. At 0.25 the number keeps 99.6% of its tokens and the word beside it 36.1%. Where the answer got lost, 17.5% of the word are left; where it is still right, 44.1%, 26.6 points more (15.9 to 36.3). So a score that looks at the answer drops what the answer is found by. That fits the loss; it is no proof, since no run kept these words by force.

## How few can stay?

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
It breaks between 0.1 and 0.05, where 4 detailed tokens are left, and not everywhere: the adaptive and global view still show the page. The cache is exactly as much shorter as the prompt: at 0.5 by 21%, not by 50%, since the other views stay. This page was picked for the demo; the 200 pages [above](#What-training-changes) are less kind. `keep_ratio` is 1 unless you set it.

## One mechanism, two ways to run it

In `generate` the dropped tokens leave the prompt, so that every layer's cache is shorter. In `forward`, where lengths must stay for the labels of a training batch, they are masked: nothing attends to them.

**Predict**: are the logits of the next token the same?
"""

# %%
for way in ("keep", "repack"):
    difference, said = inside.masked_and_dropped(model, processor, inputs, way)
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
from modeling_minimonkey.inspection.visualization import kept_detailed_tokens
from modeling_minimonkey.scale_compression import select_tokens

features = model.get_image_features(inputs["pixel_values"], return_dict=True)
norms = features.pooler_output.detach().norm(dim=-1).flatten()[:detailed]
by_norm = select_tokens(norms, torch.ones(detailed).long(), 0.5).numpy()
by_question = kept_detailed_tokens(model, inputs, 0.5).ravel()
print(f"{(by_norm & by_question).sum()} of 48; ink: {(by_norm & ink).sum()}")  # 37, 14
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
content += [{"type": "text", "text": "Read."}]
two_images = processor.prepare_chat([{"role": "user", "content": content}])
is_image = two_images["input_ids"] == processor.image_token_id
levels, per_tile = two_images["tile_levels"], model.config.image_seq_length
owners = detailed_images(is_image, levels, per_tile)
stays = model.model.select_tokens(**two_images, keep_ratio=0.5).kept
of_each = [owners == image for image in (1, 2)]
counts = [(int(own.sum()), int((stays & own).sum())) for own in of_each]
print("detailed tokens and how many stay:", counts)  # half of its own
assert all(after == before // 2 for before, after in counts) and counts[0] != counts[1]
```

</details>

## Conclusion

Which half can go? Of a prompt, only detailed tokens, since the other views show the same once more; of those, the ones with the lowest scores.

- The published rule takes most of its score from image tokens, in a layer where that misleads, and renumbers what stays. On this small reader both cost words (in SmolLM2 renumbering costs answers on receipts once it was trained with kept numbers; on lines of text, untrained, it isn't shown to), and both are settings of the configuration.
- Beyond that, on these pages no choice of who asks is shown to be best: later layers and the norm of the features, without any question, read about as many words. Where all tokens carry text every rule lost much: with all tokens 72% of SmolLM2's answers are right, with half of them 7% by the norm and 25% by the question in layer 2, with a quarter 10% and 0%. Behind a vision tower, on receipts, untrained for it, dropping half of the tokens costs it 25 to 44 of 77.5 points by each of seven rules, the published one among them. After training under compression, with a question that learned where to look and numbers kept, it costs 5.0 of 80.0 (-2.5 to 12.5), and by the published rule 31.2 (15.0 if its tokens keep their numbers, as these weights were trained); on bills 8.8 of 46.2 (2.5 to 15.0), and by the published rule 36.2 (30.0).
- With a loss for it, the question came to steer what stays of two words, from 1.3 to 18.3 points, and with the true place of the asked word in training to 67.7 (82.1 before these weights were averaged with the ones before). That makes more answers right where room is short. On receipts compression at 0.25 costs 12.0 points of answers all the same (6.5 to 17.5), at 0.5 nothing that is shown.
- After training under compression all rules lose less in the small reader, those that renumber only since training renumbered, too. How much of that is compression in training, a control would have to show.

Measure it on your own pages before you turn it on. Read next: [06 The published weights](06_published_weights.ipynb); [11 Speed, memory, serving](11_speed_memory_serving.ipynb) has what it saves; `benchmarks/LOG.md` has the failures.

## References and further reading

- M. Huang et al., *Mini-Monkey: Alleviating the Semantic Sawtooth Effect for Lightweight MLLMs via Complementary Image Pyramid*, ICLR 2025: [arXiv 2408.02034](https://arxiv.org/abs/2408.02034), [reviews](https://openreview.net/forum?id=71XtUhazG0), [code](https://github.com/Yuliang-Liu/Monkey). Section 3.3 is about SCM.
- L. Chen et al., *An Image is Worth 1/2 Tokens After Layer 2* (FastV): [arXiv 2403.06764](https://arxiv.org/abs/2403.06764). Image tokens leave inside the model by their attention.
- GAP, on what renumbering does to grounding: [arXiv 2506.21873](https://arxiv.org/abs/2506.21873). UniPruneBench, on how strong random choice is: [arXiv 2511.02650](https://arxiv.org/abs/2511.02650).
- A. Vaswani et al., *Attention Is All You Need*: [arXiv 1706.03762](https://arxiv.org/abs/1706.03762). J. Su et al., *RoFormer*, on rotary positions: [arXiv 2104.09864](https://arxiv.org/abs/2104.09864).
- Transformers on [caches](https://huggingface.co/docs/transformers/kv_cache) and on [attention functions](https://huggingface.co/docs/transformers/attention_interface).

[04 The model](04_model.ipynb) · [all notebooks](README.md) · [06 The published weights](06_published_weights.ipynb)
"""
