# %% [markdown]
"""
# Which half of the tokens can go?

[04 The model](04_model.ipynb) · [all notebooks](README.md) · [06 The published weights](06_published_weights.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/05_scale_compression.ipynb) [Source of this notebook](05_scale_compression.py)

> **You will learn**: how the Scale Compression Mechanism (SCM) scores image tokens by attention, what it takes off the prompt and
> the cache, what it costs in words read, and why the way positions are numbered matters more than expected.
>
> **You need**: what the detailed, adaptive and global tiles are ([02](02_complementary_image_pyramid.ipynb)). **Time**: about 1 min **Hardware**: two CPU cores, 2 GB of memory.
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
## What leaves the prompt

A second grid shows more and costs more: every tile is a fixed number of tokens, and the language model pays for each of them in time and
in its cache. SCM takes part of them back. The first layers of the language model itself say which **detailed** tokens the rest of the
prompt attends to; the least attended ones leave the prompt before the first word is written. Adaptive tokens, global tokens and
text all stay. Nothing is trained for it.

The model here is the small checkpoint of this repository: a reader of rendered lower-case text, four layers deep, 16 tokens per tile. It is
not the published model, and its figures are its own.

**Predict**: the page has 6 detailed, 4 adaptive and 1 global tile, and its prompt 233 tokens. How many are left with `keep_ratio=0.5`?
"""

# %%
import torch
from PIL import Image

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.scale_compression import DETAILED_LEVEL, kept_count
from processing_minimonkey import MiniMonkeyProcessor

load = MiniMonkeyForConditionalGeneration.from_pretrained
model = load(course.CHECKPOINT, dtype=torch.float32, attn_implementation="eager").eval()  # eager: for the proof below
processor = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)
page = Image.open(course.PAGE)


def ask(image, question="Read the text."):
    content = [{"type": "image", "image": image}, {"type": "text", "text": question}]
    return processor.prepare_chat([{"role": "user", "content": content}])


inputs = ask(page)
length = inputs["input_ids"].shape[1]
detailed = int((inputs["tile_levels"] == DETAILED_LEVEL).sum()) * model.config.image_seq_length
left = length - detailed + kept_count(detailed, 0.5)
print(f"{length} tokens, {detailed} of them detailed; with keep_ratio 0.5: {left}")

# %% [markdown]
"""
185, and not half of 233: only the 96 detailed tokens are halved.

## Who looks where

The score of a detailed token is the attention that it gets in one early layer (layer 1, counted from 0), averaged over the heads and
over all tokens that come after the image's detailed block: its adaptive and global tokens, and the question.

**Predict**: where on the page are the scores high, on the letters or on the paper?
"""

# %%
from modeling_minimonkey.scale_compression import detailed_images, score_detailed_tokens, select_tokens


@torch.no_grad()
def prompt_of(inputs):
    """Embeddings with the image in place, positions, and the image's number at detailed tokens."""
    features = model.get_image_features(inputs["pixel_values"], return_dict=True).pooler_output
    image_mask = inputs["input_ids"] == model.config.image_token_id
    embeds = model.get_input_embeddings()(inputs["input_ids"]).masked_scatter(image_mask[..., None], features)
    images = detailed_images(image_mask, inputs["tile_levels"], model.config.image_seq_length)
    return embeds, torch.arange(embeds.shape[1])[None], images[0]


def mosaic(values, columns=3, rows=2, side=4):
    """One value per detailed token, in the order of the prompt -> (token rows, token columns) of the page."""
    return values.view(rows, columns, side, side).swapaxes(1, 2).reshape(rows * side, columns * side)


embeds, positions, images = prompt_of(inputs)
scores = {
    layer: score_detailed_tokens(model.model.language_model, embeds, positions, images, layer) for layer in range(4)
}
maps = {layer: mosaic(scores[layer][images > 0]) for layer in scores}
print("sum of the scores per layer:", {layer: round(float(each.sum()), 2) for layer, each in maps.items()})
assert all(float(scores[layer][images == 0].abs().sum()) == 0 for layer in scores)  # others are not scored

# %%
import matplotlib.pyplot as plt
import numpy as np


def draw_map(axis, values, title):
    extent = (-0.5, page.width - 0.5, page.height - 0.5, -0.5)
    axis.imshow(np.asarray(page.convert("L")) > 150, cmap="gray")  # without the paper's noise
    drawn = axis.imshow(values, cmap="cividis", alpha=0.6, extent=extent)
    axis.set_title(title)
    axis.set_axis_off()
    return drawn


figure, axis = plt.subplots(figsize=(9, 5.2), layout="constrained")
drawn = draw_map(axis, 100 * maps[1], "Scores of the 96 detailed tokens, layer 1")
figure.colorbar(drawn, ax=axis, label="mean attention, %", shrink=0.8)
course.show(
    figure,
    alt="The page under a grid of 12 by 8 cells, bright where the words stand and dark on most of the empty paper.",
    caption="Each cell is one token of 28 x 28 px. Bright: the rest of the prompt attends to it.",
)

# %%
gray = torch.tensor(np.asarray(page.convert("L"), float))
has_ink = gray.unfold(0, 28, 28).unfold(1, 28, 28).std(dim=(2, 3)) > 10  # the paper's noise is about 5 gray levels
print(f"mean score on ink {100 * maps[1][has_ink].mean():.2f} %, on paper {100 * maps[1][~has_ink].mean():.2f} %")
assert maps[1][has_ink].mean() > 2 * maps[1][~has_ink].mean()
assert maps[1][1, 0] < maps[1][0, 0]  # the first letter of "fresh" against the corner above it

# %% [markdown]
"""
Ink gets more than twice the attention of paper: 0.68 % per token on average, against 0.28 %. But look at the first line: the f of "fresh" gets
less than the empty corner above it. Attention in an early layer is a rough guide, not a mask of the text.

## The same, written as the definition reads

`score_detailed_tokens` never builds the whole attention matrix: it takes the queries after the detailed block, 64 at a time, and of
the scoring layer only norm, queries and keys. `naive_scores` runs the whole model, keeps all its matrices and averages. Slow and plain,
it is the truth that the fast one is tested against.

**Predict**: how close are both, in every layer?
"""

# %%
from modeling_minimonkey.inspection.naive_scores import naive_scores

for layer in scores:
    with torch.no_grad():
        naive = naive_scores(model.model.language_model, embeds, positions, images, layer)
    difference = float((naive - scores[layer]).abs().max())
    print(f"layer {layer}: largest difference {difference:.0e} of a largest score {naive.max():.3f}")
    torch.testing.assert_close(scores[layer], naive, atol=1e-6, rtol=1e-4)
    assert torch.equal(select_tokens(scores[layer], images, 0.5), select_tokens(naive, images, 0.5))

# %% [markdown]
"""
They agree to rounding (of float32, tolerance 1e-6), and so do the tokens that both choose. `benchmarks/speed/RESULTS.md` has what
the difference is worth: at 8,272 tokens scoring adds 247 MiB, where the matrices of one layer alone would take 2,088.

## Which layer?

The published choice is layer 1. A later layer has seen more, and costs more, since all layers before it run twice: once to score
the long prompt, once for the short one.

**Predict**: do the four layers agree on which half is kept?
"""

# %%
figure, axes = plt.subplots(2, 2, figsize=(10, 6.8), layout="constrained")
kept = {layer: select_tokens(scores[layer], images, 0.5)[images > 0] for layer in scores}
for layer, axis in enumerate(axes.flat):
    shared = int((kept[layer] & kept[1]).sum())
    draw_map(axis, maps[layer] / maps[layer].max(), f"layer {layer}: {shared} of its 48 kept by layer 1, too")
    assert int(kept[layer].sum()) == 48
course.show(
    figure,
    alt="Four heat maps over the page. The words are bright in layers 0, 2 and 3; in layer 1 the second line is, the first hardly.",
    caption="Scores by layer, each scaled to its own maximum. By chance two choices of 48 of 96 would share 24.",
)
agreement = [int((kept[layer] & kept[1]).sum()) for layer in (0, 2, 3)]
print("kept as by layer 1, of 48:", dict(zip((0, 2, 3), agreement, strict=True)))
assert all(24 < each < 48 for each in agreement)

# %% [markdown]
"""
They agree more than chance and differ still. Which one reads best? The benchmark has read 40 pages with each
(`benchmarks/sawtooth/results`, `keep_ratio` 0.5, positions "repack"), and its results lie in the repository.
"""

# %%
import csv

from benchmarks.sawtooth.report.statistics import bootstrap, mean

results = course.ROOT / "benchmarks" / "sawtooth" / "results"
with (results / "compression-6m-pyramid.csv").open(encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))


def share(found, words):
    """Mean over the pages of the share of words found, in %, with the 95% interval by bootstrap over the pages."""
    return bootstrap(np.arange(len(words)), mean(100 * np.array(found, int) / np.array(words, int)))


def benchmark(selector, ratio, layer=1, positions="repack"):
    way = (selector, str(float(ratio)), str(layer), positions)
    chosen = [
        row for row in rows if tuple(row[name] for name in ("selector", "keep_ratio", "layer", "positions")) == way
    ]
    return share([row["words_read"] for row in chosen], [row["words"] for row in chosen])


# %%
by_layer = {layer: benchmark("attention", 0.5, layer) for layer in range(4)}
for layer, (value, low, high) in by_layer.items():
    print(f"scored by layer {layer}: {value:.1f} % of the words [{low:.1f}, {high:.1f}]")
assert min(by_layer, key=by_layer.get) == 1 and max(by_layer, key=by_layer.get) == 3

# %% [markdown]
"""
Layer 1, the published choice, is the worst of the four for this model, though the intervals overlap. The published model has 24 layers and was
never measured here.

## What stays

`plot_compression` does all of this and draws the result.

**Predict**: at 0.5, is a whole word lost?
"""

# %%
from modeling_minimonkey.inspection.visualization import plot_compression

course.show(
    plot_compression(model, processor, page, "Read the text.", keep_ratio=0.5),
    alt="The page with dark cells over half of its 96 tokens; most of the cells on words stay bright.",
    caption="Dark tokens leave the prompt. The adaptive and the global view of the same words, not shown, stay.",
)
ink = has_ink.unfold(0, 4, 4).unfold(1, 4, 4).reshape(-1)  # back in the order of the prompt: tile, row, column
print(
    f"of {int(ink.sum())} tokens with ink {int((ink & kept[1]).sum())} stay, of {int((~ink).sum())} without {int((~ink & kept[1]).sum())}"
)
assert (ink & kept[1]).sum() / ink.sum() > 0.8 > (~ink & kept[1]).sum() / (~ink).sum()

# %% [markdown]
"""
13 of 14 tokens with ink stay, and 35 of 82 without. What goes is seen once more by the adaptive grid.

## From 1 to 0.1

**Predict**: at which `keep_ratio` does the answer break? How much smaller is the cache at 0.5, half?
"""

# %%
settings = model.config.scale_compression_config
per_token = 2 * 4 * 4 * 64 * 4  # keys and values, layers, heads, head size, bytes of float32


def answer(keep_ratio):
    """The answer, and how many tokens the cache holds right after the prompt."""
    options = {"do_sample": False, "keep_ratio": keep_ratio, "return_dict_in_generate": True}
    cache = model.generate(**inputs, max_new_tokens=1, **options).past_key_values
    ids = model.generate(**inputs, max_new_tokens=40, **options).sequences[0, length:]
    nbytes = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    return processor.decode(ids, skip_special_tokens=True), cache.get_seq_length(), nbytes


print("keep_ratio  prompt  cache, kB  answer")
for ratio in (1.0, 0.75, 0.5, 0.25, 0.1):
    text, cached, nbytes = answer(ratio)
    prompt = length - detailed + int(detailed * ratio)
    print(f"{ratio:10g}  {prompt:6}  {nbytes / 1000:9.0f}  {text!r}")
    assert cached == prompt + (ratio < 1.0) and nbytes == cached * per_token  # one more: see below
    assert (text == "fresh bread\nopen sunday") == (ratio >= 0.5)

# %% [markdown]
"""
It breaks below 0.5. At 0.5 the prompt is 21 % shorter and the cache as much, since the other views stay. (With `positions="keep"`
the cache holds one slot of padding more: without any padding `generate` drops the mask, and the library would take the gaps in the
positions for the seams of packed sequences.)

This page was picked for the demo; what follows is less kind.

## Positions: "keep" or "repack"

When tokens leave, the rest can keep their old position numbers, with gaps, or be renumbered. The published code renumbers
(`"repack"`, the default of converted checkpoints); our checkpoint is set to `"keep"`. Both read the same pages below, all held out from training.

**Predict**: which is better, and by how much, if the model never saw a compressed prompt in training?
"""

# %%
from benchmarks.sawtooth.readers.rendering import render

number = 16 if course.FAST else 100
pages = [render("page", "test", index) for index in range(number)]


def chat(each):
    content = [{"type": "image", "image": each.image}, {"type": "text", "text": each.question}]
    return [{"role": "user", "content": content}]


batch = processor.prepare_chat([chat(each) for each in pages])
with torch.no_grad():  # the tower's work is the same for all
    features = {"image": model.get_image_features(batch.pop("pixel_values"), return_dict=True)}
print(f"{number} pages, {len(batch['tile_levels'])} tiles, prompts of up to {batch['input_ids'].shape[1]} tokens")
assert batch["input_ids"].shape[0] == number


# %%
def read(ratio, way):
    settings.positions = way
    sizes = {"max_new_tokens": 60, "do_sample": False, "keep_ratio": ratio}
    sequences = model.generate(**batch, mm_encoder_outputs=features, **sizes)
    return processor.batch_decode(sequences[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)


def words_read(texts):
    pairs = [(each.text.split(), text.split()) for each, text in zip(pages, texts, strict=True)]
    return share([sum(word in found for word in words) for words, found in pairs], [len(words) for words, _ in pairs])


ratios = (1.0, 0.75, 0.5, 0.25, 0.1)
answers = {(ratio, way): read(ratio, way) for way in ("keep", "repack") for ratio in ratios}
settings.positions = "keep"
table = {key: words_read(texts) for key, texts in answers.items()}
full = answers[1.0, "keep"]
for (ratio, way), (value, low, high) in table.items():
    loyal = np.mean([text == other for text, other in zip(answers[ratio, way], full, strict=True)])
    print(
        f"{way:6} {ratio:4g}: {value:3.0f} % of the words [{low:2.0f}, {high:2.0f}], {loyal:4.0%} of the answers unchanged"
    )

# %%
figure, axis = plt.subplots(figsize=(9, 4.5), layout="constrained")
for way, color, marker in (("keep", "#0072B2", "o"), ("repack", "#D55E00", "s")):
    values, low, high = np.array([table[ratio, way] for ratio in ratios]).T
    axis.errorbar(
        ratios,
        values,
        (values - low, high - values),
        color=color,
        marker=marker,
        capsize=4,
        label=f'positions="{way}"',
    )
axis.set(xlabel="keep_ratio (share of the detailed tokens that stay)", ylabel="words read, %", ylim=(0, 100))
axis.invert_xaxis()
axis.legend(frameon=False)
course.show(
    figure,
    alt="Words read against the keep ratio from 1 to 0.1 for kept and renumbered positions; both fall, renumbered ones faster.",
    caption=f"Words read on {number} held-out pages, 95% intervals by bootstrap over the pages.",
)
assert answers[1.0, "keep"] == answers[1.0, "repack"]  # nothing dropped, nothing to renumber
assert table[0.5, "keep"][0] > table[0.5, "repack"][0] and table[1.0, "keep"][0] > table[0.5, "keep"][0]

# %% [markdown]
"""
Both curves fall, and renumbering costs much more than the tokens: on 100 pages the log has 69 % of the words with all tokens,
45 % at 0.5 with `"keep"` and 28 % with `"repack"`. Here the order of the two is asserted, not the size of the gap: the intervals of so few pages are
wide. The share of unchanged answers falls faster than the words.

So for *this* model and pages full of words the honest answer at 0.5 is: a third of what was read is gone. Single words over several tiles, where nearly everything
is background, lose next to nothing: 83.7 % are read to the letter with all tokens and 83.3 % with half (n = 215, `evaluation.json`).

## Does the question steer what is kept?

The hope behind SCM is that the tokens that *the question* needs are the ones that stay. The benchmark asked for one of two words
on a page, once the upper, once the lower one (60 pages, both questions; `benchmarks/sawtooth/results/steering-6m-pyramid.csv`).

**Predict**: of the tokens on the word that is asked for, how many more stay than of those on the other word?
"""

# %%
with (results / "steering-6m-pyramid.csv").open(encoding="utf-8", newline="") as file:
    steering = [row for row in csv.DictReader(file) if float(row["keep_ratio"]) == 0.5]
pages_of = np.array([int(row["page"]) for row in steering])
stay = {name: 100 * np.array([float(row[f"kept_{name}"]) for row in steering]) for name in ("asked", "other")}

for name, values in (*stay.items(), ("difference", stay["asked"] - stay["other"])):
    value, low, high = bootstrap(pages_of, mean(values))
    print(f"{name:10} {value:5.1f} % of the tokens stay [{low:.1f}, {high:.1f}], n = {len(steering)}")
assert len(steering) == 120 and low > -1.5 and high < 1.5 and value < 0.5  # of the difference

# %% [markdown]
"""
None. 71.7 % against 72.0 %: attention in layer 1 of this model finds *text*, not *the answer*. Then something that knows nothing of the question
may do as well. The benchmark tried three such choices, each with as many tokens as SCM keeps.

**Predict**: rank them: attention, the length of the feature vector, random, evenly spaced.
"""

# %%
styles = {"attention": ("#0072B2", "o"), "feature norm": ("#009E73", "^"), "random": ("#D55E00", "s")}
styles["evenly spaced"] = ("#000000", "x")
found = {selector: [benchmark(selector, ratio) for ratio in ratios[1:]] for selector in styles}
figure, axis = plt.subplots(figsize=(9, 4.5), layout="constrained")
for offset, (selector, (color, marker)) in enumerate(styles.items()):
    value, low, high = np.array(found[selector]).T
    places, bars = np.arange(4) + 0.08 * (offset - 1.5), (value - low, high - value)
    axis.errorbar(places, value, bars, color=color, marker=marker, capsize=3, label=selector)
axis.set(xlabel="keep_ratio", ylabel="words read, %", ylim=(0, 70), xticks=range(4), xticklabels=ratios[1:])
axis.legend(frameon=False, title="tokens chosen by")
course.show(
    figure,
    alt="Words read against keep ratio for four ways to choose tokens: feature length lies above attention down to 0.25.",
    caption='Words read on 40 benchmark pages, positions "repack", layer 1; all tokens: 61.7 %. 95% intervals by bootstrap over pages.',
)
at_half = {selector: round(values[1][0], 1) for selector, values in found.items()}
print("at 0.5:", at_half, "all tokens:", round(benchmark("attention", 1)[0], 1))
assert sorted(at_half, key=at_half.get) == ["evenly spaced", "random", "attention", "feature norm"]

# %% [markdown]
"""
The length of the feature vector, which is known before the language model runs at all, reads 48.7 % at 0.5 where attention reads 31.9 %. Attention
is better than chance at 0.5, and at 0.1 nothing is. These are a small model and pages without anything but text; a
model that answers questions about photographs may do otherwise. `keep_ratio` is 1 unless you set it.

## One mechanism, two ways to run it

In `generate` the dropped tokens leave the prompt, so that every layer's cache is shorter. In `forward`, where lengths must stay for the
labels of a training batch, they are masked: nothing attends to them.

**Predict**: are the logits of the next token the same?
"""

# %%
for way in ("keep", "repack"):
    settings.positions = way
    with torch.no_grad():
        masked = model(**inputs, keep_ratio=0.5, logits_to_keep=1).logits[0, -1]
    dropped = model.generate(
        **inputs, keep_ratio=0.5, max_new_tokens=1, return_dict_in_generate=True, output_logits=True
    ).logits[0][0]
    print(
        f"{way:6} largest difference {float((masked - dropped).abs().max()):.0e}, next token {processor.decode([int(masked.argmax())])!r}"
    )
    torch.testing.assert_close(masked, dropped, atol=1e-3, rtol=0)
settings.positions = "keep"

# %% [markdown]
"""
The same to rounding (tolerance 1e-3). So a model can be trained with compression, `examples/finetune.py --keep_ratio 0.5`, on exactly what it sees in use.

## Common errors
"""

# %%
with course.expected(ValueError):
    model.generate(**inputs, max_new_tokens=1, keep_ratio=0)  # none of the detailed tokens: leave the grid out instead

# %%
with course.expected(ValueError):
    without_levels = {name: inputs[name] for name in ("input_ids", "attention_mask", "pixel_values")}
    model.generate(**without_levels, max_new_tokens=1, keep_ratio=0.5)  # which tokens are detailed?

# %%
with course.expected(ValueError):
    plot_compression(model, processor, page.crop((0, 0, 100, 100)), "Read the text.")  # one tile, the global one

# %% [markdown]
"""
## Exercises

### Exercise 1

Mini-Monkey 2B has 256 tokens per tile and 96 KiB of cache per token in bfloat16. A page takes 24 detailed, 8 adaptive and 1 global tile and 80 tokens
of text. How many tokens and how many GiB of cache does `keep_ratio=0.5` save? Compare with `docs/checkpoints.md`.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
whole = 80 + 256 * (24 + 8 + 1)
saved = 256 * 24 // 2
print(f"{whole} tokens without, {whole - saved} with SCM; {saved * 96 / 1024**2:.2f} GiB less cache")
assert (whole, whole - saved) == (8528, 5456) and round(whole * 96 / 1024**2, 2) == 0.78

# %% [markdown]
"""
### Exercise 2

Choose the tokens of the page by the length of their features with `select_tokens`, and count how many of the 48 attention had chosen, too.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
by_length = select_tokens(embeds[0].norm(dim=-1), images, 0.5)[images > 0]
print(
    f"{int((by_length & kept[1]).sum())} of 48; tokens with ink that stay: {int((by_length & ink).sum())} of {int(ink.sum())}"
)
assert int(by_length.sum()) == 48 and int((by_length & kept[1]).sum()) > 24

# %% [markdown]
"""
### Exercise 3

Two images in one prompt: does each lose half of its own tokens, or both together half of all?
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
content = [
    {"type": "image", "image": page},
    {"type": "image", "image": page.resize((224, 224))},
    {"type": "text", "text": "Read."},
]
two = processor.prepare_chat([{"role": "user", "content": content}])
_, _, images = prompt_of(two)
stays = model.model.select_tokens(**two, keep_ratio=0.5).kept[0]
counts = [(int((images == image).sum()), int((stays & (images == image)).sum())) for image in (1, 2)]
print("detailed tokens and how many stay:", counts)
assert all(after == before // 2 for before, after in counts) and counts[0] != counts[1]

# %% [markdown]
"""
## Conclusion

Which half can go? Of a prompt, only detailed tokens, since the other views show the same once more; of those, the ones that the rest attends to
least. That shortens prompt and cache exactly as counted, is the same in `forward` and `generate`, and the page
of the demo, with much empty paper, is read the same. On dense pages it is not: at 0.5 this small model loses about a third of the words with kept positions and more with renumbered ones, the
question doesn't steer what stays, and the length of the features chooses better. Measure it on your own pages before you turn it on.

Read next: [06 The published weights](06_published_weights.ipynb); [11 Speed, memory, serving](11_speed_memory_serving.ipynb) has what it saves; `benchmarks/LOG.md` has the failures.

Cite: Huang et al., *Mini-Monkey*, ICLR 2025, arXiv 2408.02034.

[04 The model](04_model.ipynb) · [all notebooks](README.md) · [06 The published weights](06_published_weights.ipynb)
"""
