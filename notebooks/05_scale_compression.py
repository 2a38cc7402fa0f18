# %% [markdown]
"""
# Which half of the tokens can go?

[04 The model](04_model.ipynb) · [all notebooks](README.md) · [06 The published weights](06_published_weights.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/05_scale_compression.ipynb) [Source of this notebook](05_scale_compression.py)

> **You will learn**: how the Scale Compression Mechanism (SCM) scores image tokens by attention, why the published score fails on a
> small reader, whose attention does better, and why a model should be trained with the gaps that compression leaves.
>
> **You need**: what the detailed, adaptive and global tiles are ([02](02_complementary_image_pyramid.ipynb)), and what attention is. **Time**: about 25 min to read, 1 min to run.
> **Hardware**: two CPU cores, 2 GB of memory.
>
> **Contents**: [What leaves the prompt](#What-leaves-the-prompt) · [The published rule](#The-published-rule) · [Why it fails here: who asks?](#Why-it-fails-here:-who-asks?) · [What stays now](#What-stays-now) · [What steers](#What-steers) · [A model must see the gaps](#A-model-must-see-the-gaps) · [When nobody has asked yet](#When-nobody-has-asked-yet) · [From 1 to 0.1](#From-1-to-0.1) · [One mechanism, two ways to run it](#One-mechanism,-two-ways-to-run-it) · [What the paper claims, and what was measured here](#What-the-paper-claims,-and-what-was-measured-here) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
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

A second grid shows more and costs more: every tile is a fixed number of tokens, and the language model pays for each of them in time and in its cache. SCM takes part of that cost back: of the **detailed** tokens, only the share `keep_ratio` with the best scores stays. The others leave the prompt before the first word is written. Adaptive tokens, global tokens and text all stay, and nothing has to be trained for it.

The model here is the small checkpoint of this repository: a reader of rendered lower-case text, four layers deep, 16 tokens per tile. It is not the published model, and its figures are its own.

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
    draw_kept,
    draw_scores,
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

**Predict**: the page has four words and much empty paper. Where are the scores high, and which half stays?
"""

# %%
course.show(
    plot_compression(model, processor, page, "Read the text.", queries="all", layer=1),
    alt="Left a heat map of 12 by 8 cells over the page: words are bright, and so is "
    "empty paper. Right the tokens that stay, many of them blank.",
    caption="The published rule. Each cell is one token of 28 x 28 px. Dark ones "
    "leave the prompt.",
)

# %%
ink = course.has_ink(page, tile=112, tokens_along=4)  # in the order of the prompt


def say_stay(name, **rule):
    """Shares of the tokens with ink and of the blank ones that stay."""
    kept = kept_detailed_tokens(model, inputs, 0.5, **rule).ravel()
    with_ink, blank = kept[ink].mean(), kept[~ink].mean()
    print(f"{name}: {with_ink:.0%} of the {ink.sum()} tokens with ink stay,", end=" ")
    print(f"{blank:.0%} of the {(~ink).sum()} blank ones")
    return with_ink, blank


with_ink, blank = say_stay("published rule", queries="all", layer=1)

# %% [markdown]
r"""
Most tokens with ink stay. Still, the rule spends most of its half on paper, where there is nothing to read. Why?

## Why it fails here: who asks?

The sum over $Q$ counts every query alike, and $Q$ is mostly not the question. It splits into the adaptive and global image tokens and the text:

$$s_j = \frac{|Q_\text{image}|}{|Q|}\, s_j^\text{image} + \frac{|Q_\text{text}|}{|Q|}\, s_j^\text{text}$$

**Predict**: what share of the queries are image tokens?
"""

# %%
of_image = attention[:, after & is_image][:, :, is_detailed].mean(dim=(0, 1))
of_text = attention[:, after & ~is_image][:, :, is_detailed].mean(dim=(0, 1))
share = float(is_image[after].float().mean())
print(f"{share:.0%} of the {after.sum()} queries are image tokens")
# The formula
torch.testing.assert_close(share * of_image + (1 - share) * of_text, by_hand)

# %%
titles = ("of image tokens alone", "published: of all", "of the question alone")
maps = dict(zip(titles, (of_image, by_hand, of_text), strict=True))
maps = {name: each.numpy().reshape(6, 16) for name, each in maps.items()}
course.show(
    figures.plot_maps(page, (3, 2), maps, draw_scores),
    alt="Three heat maps over the page. Those of the image tokens and the published "
    "rule look alike; that of the question is brightest on words.",
    caption="Layer 1, the same attention matrices, each map scaled to its own maximum.",
)
similar = np.corrcoef([by_hand, of_image, of_text])[0, 1:]
print(f"correlation with that of image tokens {similar[0]:.2f},", end=" ")
print(f"with that of the question {similar[1]:.2f}")
assert similar[0] > similar[1]

# %% [markdown]
"""
The published score is mostly that of the image tokens. They are read before the question is: what they look at can't depend on it, whatever the user wants to know.

`scale_compression_config.queries` chooses who asks: `"all"` as published, `"question"` only the text after the image. `layer` chooses where: a later layer has seen more and costs more, since all layers before it run once more. The benchmark has read 200 pages with every choice, with the checkpoint as it was before it was trained under compression (`benchmarks/sawtooth/results/scoring-6m-pyramid.csv`).

**Predict**: which matters more, the layer or whose queries count? And what do renumbered positions cost?
"""

# %%
before = course.result("scoring-6m-pyramid")
course.show(
    measured.plot_layers(before),
    alt="Words read by scoring layer in two panels, for kept and renumbered positions. "
    "All queries at layer 1 are far below the rest; renumbering lowers all points.",
    caption="Half of the detailed tokens, 200 pages, 95% intervals over the pages.",
)

ways = {
    "all tokens stay": ("all", 1, "keep", 1.0),
    "published: all, layer 1, renumbered": ("all", 1, "repack", 0.5),
    "all, layer 1, positions kept": ("all", 1, "keep", 0.5),
    "question, layer 1, positions kept": ("question", 1, "keep", 0.5),
    "question, layer 2, positions kept": ("question", 2, "keep", 0.5),
}
rows = [[name, measured.words(before, *way)] for name, way in ways.items()]
course.table(["who scores, where, which positions", "words read, %"], rows)

# %% [markdown]
"""
Two things can be improved without any training. The first is who asks. Layer 1 is the one where it matters who asks: there the question alone reads far more. In the other layers of this model the difference is within the intervals; the published model has 24 layers and was never measured here.

The second is **renumbering**. When tokens leave, the rest can keep their old position numbers, with gaps (`positions="keep"`), or be numbered anew without (`"repack"`, as published). A token's place on the page is in its number: the one below it on the page is 4 later in its tile. Renumbering moves most of them.
"""

# %%
from modeling_minimonkey.scale_compression import compressed_position_ids

positions = torch.arange(length)[None]
stays = model.model.select_tokens(**inputs, keep_ratio=0.5).kept
renumbered = compressed_position_ids(positions, ~stays, "repack")
moved = (positions - renumbered)[0, stays[0] & is_image]
print(f"{(moved > 0).sum()} of {len(moved)} image tokens that stay are renumbered,")
print(f"up to {moved.max()} smaller")

# %% [markdown]
"""
## What stays now

The small checkpoint is set to `queries="question"`, `layer=2`, `positions="keep"`. `plot_compression` draws the rule that the model has, unless told otherwise.

**Predict**: at 0.5, is any part of a word lost?
"""

# %%
settings = model.config.scale_compression_config
names = ("queries", "layer", "positions", "keep_ratio")
print({name: getattr(settings, name) for name in names})
course.show(
    plot_compression(model, processor, page, "Read the text."),
    alt="The heat map is bright on the words and dark on the paper; tokens on both "
    "lines stay, and most of the lower half of the page is dropped.",
    caption="The same page by the checkpoint's rule. Adaptive and global view, not "
    "shown, stay whole.",
)
say_stay("published rule ", queries="all", layer=1)
now_ink, now_blank = say_stay("checkpoint's own")
assert now_ink > 0.9 and now_ink >= with_ink and now_blank <= blank

# %%
asked, shares = (model, processor, page, "Read the text."), (0.5, 0.1, 0.25, 0.75, 1.0)
course.explore(lambda share: plot_compression(*asked, share), share=shares)

# %% [markdown]
"""
## What steers

The hope behind SCM is more than to find text: the tokens that *the question* needs should stay. So here are pages of two words, asked for the upper or for the lower one. By the published rule, and before the checkpoint was trained for it, the benchmark found this (`benchmarks/sawtooth/results/steering-6m-pyramid.csv`, `keep_ratio` 0.25):
"""

# %%
found = course.result("steering-6m-pyramid")
found = found[(found["kind"] == "pair") & (found["keep_ratio"] == 0.25)]
found = found[found["queries"] == "all"]
kept = found["kept_asked"], found["kept_other"]
row = inside.row_of("published", *kept, found["page"])
course.table(inside.HEADERS, [row])

# %% [markdown]
"""
Nothing that can be told from zero: it keeps as much of the word that nobody asked for. And the checkpoint as it is now, with its own rule?

**Predict**: where are the scores high for the one question, where for the other?
"""

# %%
from benchmarks.sawtooth.measurements.reading import Reader

reader = Reader(model, processor)
two, view, both = inside.two_questions(reader, 0)
size = two.image.height, two.image.width
grid = processor.image_processor.get_pyramid_plan(*size).detailed
maps = {each.text: detailed_scores(model, both[each]) for each in both}
course.show(
    figures.plot_maps(two.image, grid, maps, draw_scores),
    alt="Two heat maps over a page of two words, one for each question.",
    caption="The scores of the checkpoint's rule, each map scaled to its own maximum.",
)

# %%
kept = {each.text: kept_detailed_tokens(model, both[each], 0.15) for each in both}
course.show(
    figures.plot_maps(two.image, grid, kept, draw_kept),
    alt="The same page twice, most of it dark; a few tokens on the words stay.",
    caption="What stays of 15% of the detailed tokens.",
)

# %% [markdown]
"""
One page shows an idea, not a rule. Over more pages, as shares, and beside it a third way: the attention of the prompt's last token alone.

**Predict**: which letters of "Read the upper word." can know what is asked? The model is causal: a token sees only what stands before it.
"""

# %%
number = 40 if course.FAST else 100
rows, more, after_image = inside.over_pages(reader, number)
course.table(inside.HEADERS, rows)

# %%
names = inside.token_names(processor, after_image)
course.show(
    figures.plot_askers(names, more),
    alt="A bar per token of the question: zero up to the word that says which, "
    "small until the question ends, and high from there to the end of the prompt.",
    caption=f"Layer 2, {2 * number} questions about {number} pages, 95% intervals. "
    "A star is a token of the prompt's format, ↵ a line break.",
)
says_which = "".join(names).index("lower")
print("attention to the word asked for, minus the other, in points a token:")
print(f"before the word that says which {more[:, :says_which].mean():+.2f},")
print(f"from there on {more[:, says_which:].mean():+.2f},", end=" ")
print(f"the last token {more[:, -1].mean():+.1f}")
# A causal model can't know it yet
assert abs(more[:, :says_which].mean(0)).max() < 1e-3

# %% [markdown]
r"""
"Read the" is read before anything is asked, and can't steer: over both questions its bars cancel to zero, but they count in the mean all the same. What steers is the end of the prompt, which has read the whole question. In a model that only learned to answer, that was the very last token, which has to write next (`benchmarks/LOG.md`); one query among dozens is lost in their mean. Dropping tokens has no gradient, so answers alone don't teach a model to choose them.

It can be taught. The last stage of this checkpoint's training added a loss that needs no labels of places: where the answer's tokens look ($a_j$, as shares of the detailed tokens, taken as given), the tokens of question and prompt's end should look in the scoring layer, too ($q_j$):

$$L = -\sum_j a_j \log q_j$$

(`benchmarks/sawtooth/readers/steering.py`.)

## A model must see the gaps

A prompt with holes is a prompt that the model had never seen: even a choice that keeps all text costs it words. So the checkpoint went on learning with a random `keep_ratio` from 0.2 to 0.9, and with all tokens in a quarter of the steps (`benchmarks/sawtooth/readers/recipe.py`; `examples/finetune.py` does the same for yours).

**Predict**: how much of what it reads with all tokens does it read with half of them, before and after?
"""

# %%
after_training = course.result("scoring-6m-compressed")
tables = {
    "before, published rule (all, layer 1, repack)": (before, "all", 1, "repack"),
    "before, question, layer 2, keep": (before, "question", 2, "keep"),
    "after, question, layer 2, keep": (after_training, "question", 2, "keep"),
}
course.show(
    measured.plot_training(tables),
    alt="Words read against the keep ratio in three lines: the published rule's "
    "falls steeply, the question's less, and least after training.",
    caption="200 held-out pages, 95% intervals over the pages; 100% is what the "
    "model reads with all tokens.",
)


# %%
rows = [
    [label, *(measured.of_all_tokens(table, *way, ratio) for ratio in (0.5, 0.25))]
    for label, (table, *way) in tables.items()
]
course.table(["words, % of those of all tokens", "keep_ratio 0.5", "0.25"], rows)
all_tokens = [
    measured.words(table, "all", 1, "keep", 1.0) for table in (before, after_training)
]
print(f"with all tokens, % of all words: {all_tokens[0]} before, {all_tokens[1]} after")

# %% [markdown]
"""
## When nobody has asked yet

A serving engine keeps the cache of an image and reuses it for the next question. A score of the question forbids that: another question keeps other tokens. `queries="none"` takes the length of each token's feature, which the vision tower and projector give before the language model runs: no layer, no question, the same tokens for every question.

**Predict**: what does that cost?
"""

# %%
for rule in ("question", "none"):
    first, second = (
        detailed_scores(model, each, queries=rule) for each in both.values()
    )
    print(f"{rule:8} two questions, the same scores: {np.array_equal(first, second)}")
    assert np.array_equal(first, second) == (rule == "none")
rows = []
for label, table in (("before", before), ("after", after_training)):
    for way in (("none", 0, "keep"), ("question", 2, "keep")):
        cells = [measured.words(table, *way, ratio) for ratio in (0.5, 0.25)]
        rows.append([f"{label} training under compression, {way[0]}", *cells])
course.table(["words read, %", "keep_ratio 0.5", "0.25"], rows)
course.show(
    plot_compression(model, processor, page, "Read the text.", queries="none"),
    alt="Feature lengths: the words are bright; what stays covers both lines.",
    caption='`queries="none"`: the length of the feature, which ink makes longer.',
)

# %% [markdown]
r"""
On these pages, where everything that isn't paper is text, it is about as good. It can't be where most of an image shows something, and little of it is asked for.

## From 1 to 0.1

For every token the cache holds a key and a value in each of $L$ layers, for each of $H_\text{kv}$ heads, $d$ numbers of $b$ bytes. A prompt of $T$ tokens takes

$$\text{bytes} = 2\, L\, H_\text{kv}\, d\, b\, T, \qquad T = T_\text{all} - (n - K).$$

Here that is $2 \cdot 4 \cdot 4 \cdot 64 \cdot 4 = 8192$ bytes per token in float32; in the published model, with 24 layers and 8 heads of 128 numbers of 2 bytes, 98,304 (96 KiB).

**Predict**: at which `keep_ratio` does the answer break? How much smaller is the cache at 0.5, half?
"""

# %%
text = model.config.text_config
per_token = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * 4


def answer(keep_ratio):
    """The answer; how many tokens and bytes the cache holds right after the prompt."""
    options = {"keep_ratio": keep_ratio, "return_dict_in_generate": True}
    cache = model.generate(**inputs, max_new_tokens=1, **options).past_key_values
    ids = model.generate(**inputs, max_new_tokens=40, **options).sequences[0, length:]
    nbytes = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    said = processor.decode(ids, skip_special_tokens=True)
    return said, cache.get_seq_length(), nbytes


print("keep_ratio  prompt  cache, bytes  answer")
for ratio in (1.0, 0.75, 0.5, 0.25, 0.1):
    said, cached, nbytes = answer(ratio)
    print(f"{ratio:10g}  {cached:6}  {nbytes:12,}  {said!r}")
    assert cached == length - detailed + kept_count(detailed, ratio)
    assert nbytes == cached * per_token

# %% [markdown]
"""
The cache is exactly as much shorter as the prompt: at 0.5 by 21%, not by half, since the other views stay. This page was picked for the demo; the 200 pages above are less kind. `keep_ratio` is 1 unless you set it.

## One mechanism, two ways to run it

In `generate` the dropped tokens leave the prompt, so that every layer's cache is shorter. In `forward`, where lengths must stay for the labels of a training batch, they are masked: nothing attends to them.

**Predict**: are the logits of the next token the same?
"""

# %%
options = {"max_new_tokens": 1, "return_dict_in_generate": True, "output_logits": True}
for way in ("keep", "repack"):
    settings.positions = way
    with torch.no_grad():
        masked = model(**inputs, keep_ratio=0.5, logits_to_keep=1).logits[0, -1]
    dropped = model.generate(**inputs, keep_ratio=0.5, **options).logits[0][0]
    difference = float((masked - dropped).abs().max())
    said = processor.decode([int(masked.argmax())])
    print(f"{way:6} largest difference {difference:.0e}, next {said!r}")
    assert difference < 1e-3
settings.positions = "keep"

# %% [markdown]
"""
The same up to rounding (tolerance 1e-3). So a model can be trained with compression on exactly what it sees in use, as this one was.

## What the paper claims, and what was measured here

The paper is about a model of two billion parameters; everything below is measured on this small reader, unless it says otherwise. No public figure for the published model's accuracy under compression is known to us, so the left column has no numbers.
"""

# %% tags=["hide-input"] jupyter={"source_hidden": true}
course.claims(*claims.of_compression(before, after_training, share))

# %% [markdown]
"""
## Common errors
"""

# %%
with course.expected(ValueError):  # none of them: leave the grid out instead
    model.generate(**inputs, max_new_tokens=1, keep_ratio=0)

# %%
given = {name: each for name, each in inputs.items() if name != "tile_levels"}
with course.expected(ValueError):  # which tokens are detailed?
    model.generate(**given, max_new_tokens=1, keep_ratio=0.5)

# %%
small = page.crop((0, 0, 100, 100))
with course.expected(ValueError):  # one tile, the global one
    plot_compression(model, processor, small, "Read the text.")

# %% [markdown]
"""
## Exercises

### Exercise 1

Mini-Monkey 2B has 256 tokens per tile and 96 KiB of cache per token in bfloat16. A page takes 24 detailed, 8 adaptive and 1 global tile and 80 tokens of text. How many tokens and how many GiB of cache does `keep_ratio=0.5` save? Compare with `docs/checkpoints.md`.

<details>
<summary>Solution</summary>

```python
whole = 80 + 256 * (24 + 8 + 1)
saved = 256 * 24 // 2
print(
    f"{whole} tokens without, {whole - saved} with SCM;",
    f"{saved * 96 / 1024**2:.2f} GiB less cache",
)
assert (whole, whole - saved) == (8528, 5456) and round(whole * 96 / 1024**2, 2) == 0.78
```

</details>

### Exercise 2

Choose the tokens of the page by the length of their features with `select_tokens`, compare them with what `queries="none"` keeps, and count how many of the 48 the question had chosen, too.

<details>
<summary>Solution</summary>

```python
from modeling_minimonkey.scale_compression import select_tokens

_, is_detailed, is_image = inside.look(model, inputs, layer=1)
features = model.get_image_features(inputs["pixel_values"], return_dict=True)
norms = features.pooler_output.detach().norm(dim=-1)
lengths = torch.zeros(length).masked_scatter(is_image, norms)
by_length = select_tokens(lengths, is_detailed.long(), 0.5)[is_detailed].numpy()
by_question = kept_detailed_tokens(model, inputs, 0.5).ravel()
print(
    f"{(by_length & by_question).sum()} of 48;",
    f"tokens with ink that stay: {(by_length & ink).sum()} of {ink.sum()}",
)
by_none = kept_detailed_tokens(model, inputs, 0.5, queries="none").ravel()
assert (by_length == by_none).all()
assert by_length.sum() == 48 and (by_length & by_question).sum() > 24
```

</details>

### Exercise 3

Two images in one prompt: does each lose half of its own tokens, or both together half of all?

<details>
<summary>Solution</summary>

```python
from modeling_minimonkey.scale_compression import detailed_images

content = [
    {"type": "image", "image": page},
    {"type": "image", "image": page.resize((224, 224))},
    {"type": "text", "text": "Read."},
]
two_images = processor.prepare_chat([{"role": "user", "content": content}])
is_image = two_images["input_ids"] == processor.image_token_id
levels, per_tile = two_images["tile_levels"], model.config.image_seq_length
images = detailed_images(is_image, levels, per_tile)
stays = model.model.select_tokens(**two_images, keep_ratio=0.5).kept
counts = [
    (int((images == image).sum()), int((stays & (images == image)).sum()))
    for image in (1, 2)
]
print("detailed tokens and how many stay:", counts)
assert all(after == before // 2 for before, after in counts) and counts[0] != counts[1]
```

</details>

## Conclusion

Which half can go? Of a prompt, only detailed tokens, since the other views show the same once more; of those, the ones that the question attends to least, in a layer that has understood it. The published rule lets image tokens decide, in a layer where that misleads, and renumbers what stays; on this small reader both cost words, and both are settings of the configuration. What steers is the end of the prompt; what finds text is nearly any good score, even the length of a feature. And a model that has learned with gaps loses least. Measure it on your own pages before you turn it on.

Read next: [06 The published weights](06_published_weights.ipynb); [11 Speed, memory, serving](11_speed_memory_serving.ipynb) has what it saves; `benchmarks/LOG.md` has the failures.

## References and further reading

- M. Huang et al., *Mini-Monkey: Alleviating the Semantic Sawtooth Effect for Lightweight MLLMs via Complementary Image Pyramid*, ICLR 2025: [arXiv 2408.02034](https://arxiv.org/abs/2408.02034), [reviews](https://openreview.net/forum?id=71XtUhazG0), [code](https://github.com/Yuliang-Liu/Monkey). Section 3.3 is about SCM.
- L. Chen et al., *An Image is Worth 1/2 Tokens After Layer 2* (FastV): [arXiv 2403.06764](https://arxiv.org/abs/2403.06764). Image tokens leave inside the model by their attention.
- GAP, on what renumbering does to grounding: [arXiv 2506.21873](https://arxiv.org/abs/2506.21873). UniPruneBench, on how strong random choice is: [arXiv 2511.02650](https://arxiv.org/abs/2511.02650).
- A. Vaswani et al., *Attention Is All You Need*: [arXiv 1706.03762](https://arxiv.org/abs/1706.03762). J. Su et al., *RoFormer*, on rotary positions: [arXiv 2104.09864](https://arxiv.org/abs/2104.09864).
- Transformers on [caches](https://huggingface.co/docs/transformers/kv_cache) and on [attention functions](https://huggingface.co/docs/transformers/attention_interface).

[04 The model](04_model.ipynb) · [all notebooks](README.md) · [06 The published weights](06_published_weights.ipynb)
"""
