# %% [markdown]
"""
# What happens between pixels and words?

[03 The processor](03_processor.ipynb) · [all notebooks](README.md) · [05 Scale compression](05_scale_compression.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/04_model.ipynb) [Source of this notebook](04_model.py)

> **You will learn**: the four parts of the model, the shape of every tensor between them, one layer of attention by hand, and how to run all of it part by part until it gives the same answer as `generate`.
>
> **You need**: to know what the processor returns ([03](03_processor.ipynb)), and what attention is. **Time**: about 25 min to read, 1 min to run. **Hardware**: two CPU cores, 2 GB of memory.
>
> **Contents**: [Four parts](#Four-parts) · [A map](#A-map) · [The vision tower](#The-vision-tower) · [Pixel shuffle](#Pixel-shuffle) · [The projector](#The-projector) · [Into the text](#Into-the-text) · [Language model and head](#Language-model-and-head) · [Byte by byte](#Byte-by-byte) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
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
## Four parts

A **vision tower** looks at each tile, a **projector** turns what it saw into embeddings, a **language model** reads these between the embeddings of the text, and a **head** says which token comes next. Here is `minimonkey-tiny`, a small reader of rendered lower-case text that was trained for this repository. The published model has the same parts in a larger size; its language model is an InternLM2, whose weights are converted to the Llama used here ([06](06_published_weights.ipynb)).

**Predict**: which part has the most parameters in the small model? And in the published one, of two billion?
"""

# %%
import figures
import numpy
import parts
import schemes
import tiles
import torch
from PIL import Image

from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration
from modeling_minimonkey.scale_compression import DETAILED_LEVEL
from processing_minimonkey import MiniMonkeyProcessor

torch.set_grad_enabled(False)
processor = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)
model = MiniMonkeyForConditionalGeneration.from_pretrained(
    course.CHECKPOINT, dtype=torch.float32
).eval()
with torch.device("meta"):  # shapes without memory
    published = MiniMonkeyForConditionalGeneration(MiniMonkeyConfig())


# %%
models = {"minimonkey-tiny": model, "published size": published}
counts = {name: parts.count(each) for name, each in models.items()}
course.show(
    figures.plot_parts(counts),
    alt="Bars of parameters by part. In both models the language layers have the "
    "most, with the vision tower second.",
    caption="Parameters of the four parts, of the small model and of one with the "
    "published settings. The language model has two bars.",
)
for name, of_parts in counts.items():
    total, head = sum(of_parts.values()), of_parts["head"]
    print(f"{name}: {total:,} parameters, {head:,} of them in the head")
assert sum(counts["minimonkey-tiny"].values()) == model.num_parameters()
assert sum(counts["published size"].values()) == published.num_parameters()

# %%
course.table(*parts.size_rows({name: each.config for name, each in models.items()}))

# %% [markdown]
r"""
In both it is the layers of the language model. With the table you can check figure 1 by hand. A layer of the tower has about $12 d^2$ numbers for width $d$: 4 in attention, and 8 in an MLP that is four times as wide inside. With 6 layers that is 12 · 6 · 192² = 2.65 of the 2.8 million of the small tower. In a layer of the language model, attention has two full matrices (queries, output) and two that are narrower if heads are shared (keys, values); the MLP has three of inner width $w$. That is $(2 + 2k/q)\, d^2 + 3\, d\, w$, with $q$ heads of queries and $k$ of keys and values: in the small one 4 · (4 · 256² + 3 · 256 · 768) = 3.41 million. The published vocabulary has 92,553 tokens, so embeddings and head matter there, too; the small one has a token per byte and five special ones.

## A map

Before we open the parts, let the whole model run once, and note what leaves each of them. (`parts.run_and_watch` does it with hooks, functions that PyTorch calls when a module has run.)

**Predict**: the page has 11 tiles and its prompt 233 tokens. Which of the two numbers stands in which tensor?
"""

# %%
page = Image.open(course.PAGE)
content = [{"type": "image", "image": page}, {"type": "text", "text": "Read the text."}]
inputs = processor.prepare_chat([{"role": "user", "content": content}])

shapes, expected = parts.run_and_watch(model, inputs)
whole, language_model = model.model, model.model.language_model
chains = {
    "image": ["tiles", "patch embedding", "vision tower", "pixel shuffle", "projector"],
    "text": ["token ids", "token embeddings", "scatter", "language model", "head"],
}
course.show(
    figures.plot_chains(shapes, **chains, into="11 x 16 =\n176 rows"),
    alt="Two chains of boxes with shapes. Tiles go through patch embedding, tower, "
    "pixel shuffle and projector, and meet the token embeddings in a box scatter.",
    caption="The way of the page through the model: the shape that leaves each step.",
)

# %% [markdown]
r"""
Until the projector the first number is 11: the tower sees tiles, and knows nothing of pages or of questions. From the language model on it is 1 row of 233 tokens. In between, the 176 image tokens of the row are overwritten. Now by hand, part by part.

## The vision tower

Each tile is cut into patches of 14 x 14 pixels; a tile of $S$ px has $(S/P)^2$ patches of $P$ px. One linear layer, the same for all, makes a vector of 192 out of the 14 · 14 · 3 = 588 numbers of a patch. A class token is put in front, and to each vector a learned **position embedding** is added, one per place in the tile, since attention alone doesn't know any order.

Then attention mixes the patches of *one* tile, layer by layer. A layer is built much like one of the language model ([below](#Language-model-and-head)), but has no causal mask: patches see each other in both directions. Its norms are LayerNorms, and its MLP has no gate. What attention and MLP add to the state $h$ of a patch is first scaled, number by number, by learned vectors $\lambda_1$ and $\lambda_2$ (exercise 4 computes a layer by hand):

$$h' = h + \lambda_1 \odot \text{Attn}(\text{LN}(h)), \qquad h'' = h' + \lambda_2 \odot \bigl(W_2\, \text{GELU}(W_1\, \text{LN}(h') + b_1) + b_2\bigr)$$

$\text{GELU}(x) = x\, \Phi(x)$, with the distribution function $\Phi$ of the normal distribution, lets large positive numbers pass and brings negative ones near zero.

**Predict**: how many patches does a tile of 112 x 112 pixels have? And if another tile changes, does this one's result?
"""

# %%
pixel_values, tower = inputs["pixel_values"], whole.vision_tower
patches = tower.embeddings(pixel_values)
seen = tower(pixel_values=pixel_values).last_hidden_state
side = 112 // 14
print("patches", tuple(patches.shape), " seen", tuple(seen.shape))
assert patches.shape == seen.shape == (11, 1 + side**2, 192)

alone = tower(pixel_values=pixel_values[:1]).last_hidden_state
other = pixel_values.clone()
other[1] = 1.0  # a white neighbor
beside_white = tower(pixel_values=other).last_hidden_state
changes = (beside_white - seen).abs().amax(dim=(1, 2))
print(f"tile 0 changes by {changes[0]:.1g} at most, tile 1 by {changes[1]:.1f}")
print(f"tile 0 without any other tile: by {(alone[0] - seen[0]).abs().max():.1g}")
torch.testing.assert_close(alone[0], seen[0], atol=1e-4, rtol=0)
torch.testing.assert_close(beside_white[0], seen[0], atol=1e-4, rtol=0)
assert changes[1] > 0.1

# %% [markdown]
r"""
8 x 8 patches and the class token. Tile 0 does not change with its neighbor: it ends with "fresh b", and nobody tells it that "read" goes on next door. Only the language model, much later, can put both together. That is the origin of the semantic sawtooth ([01](01_semantic_sawtooth.ipynb)).

## Pixel shuffle

64 patches per tile are many tokens. The class token is left out first; it stood for the whole tile and is not needed here. Pixel shuffle then makes one long vector out of each block of 2 x 2 patches: a quarter of the tokens, four times as wide, and of the patches nothing is lost. With the ratio $f = 1/2$ (`downsample_ratio`) a tile becomes

$$\left(f\,\frac{S}{P}\right)^2 \text{ tokens of } \frac{d}{f^2} \text{ numbers.}$$

**Predict**: give every patch its own number as feature. Which four numbers are in the first token?
"""

# %%
grid = seen[:, 1:].reshape(11, side, side, 192)  # without the class token
shuffled = whole.pixel_shuffle(grid, scale_factor=model.config.downsample_ratio)
assert shuffled.shape == (11, 4, 4, 4 * 192)
assert shuffled.numel() == grid.numel()

numbers = torch.arange(64.0).reshape(1, side, side, 1)
tokens = whole.pixel_shuffle(numbers, scale_factor=0.5)[0]  # (4, 4, 4)
tile = pixel_values[0].permute(1, 2, 0) * 0.5 + 0.5  # as in 03, mean and deviation 0.5
course.show(
    tiles.plot_shuffle(tile, numbers[0, :, :, 0], tokens),
    alt="Left the first tile with the letters fresh b and ope under 8 x 8 squares. In "
    "the middle numbers 0 to 63 in these squares, in blocks of four. Right 4 x 4 "
    "tokens; the first, in dark pink, holds 0, 1, 8 and 9.",
    caption="From patches to tokens. Dark pink: the first block, and the token that it "
    "becomes.",
)
print("first token", tokens[0, 0].tolist(), " second", tokens[0, 1].tolist())
blocks = numbers[0, :, :, 0].reshape(4, 2, 4, 2).swapaxes(1, 2).reshape(4, 4, 4)
assert tokens.sort().values.equal(blocks)  # every token is a block of 2 x 2

# %% [markdown]
r"""
0, 1, 8 and 9: neighbors, two in the first row of patches and two in the second. 112 / 14 / 2 = 4, so a tile has 4 x 4 = 16 tokens; with 448-pixel tiles it is 16 x 16 = 256.

## The projector

Two linear layers with a normalization before them bring the 768 numbers $x$ of a token to 256, the width of the language model:

$$\text{projector}(x) = W_2\, \text{GELU}\bigl(W_1\, \text{LayerNorm}(x) + b_1\bigr) + b_2$$

**Predict**: the model has a method for all of this so far, `get_image_features`. Do our tensors equal its result?
"""

# %%
features = whole.multi_modal_projector(shuffled.reshape(11, 16, 768))
reference = model.get_image_features(pixel_values, return_dict=True).pooler_output
far = float((features - reference).abs().max())
print("features", tuple(features.shape), " largest difference", far)
assert features.shape == (11, 16, 256)
torch.testing.assert_close(features, reference, atol=1e-4, rtol=0)

# %% [markdown]
"""
They do. What is in these vectors? For a picture we need one number per place: how far its vector is from a typical one. As the typical one we take the median of all places, number by number; most places are blank, so it is close to blank paper. Below is that distance for the patches of the tower and for the tokens behind the projector, over the detailed tiles.

**Predict**: will the words be visible?
"""

# %%
detailed = inputs["tile_levels"] == DETAILED_LEVEL
maps = {
    "tower: 24 x 16 patches": parts.distances(seen[detailed, 1:]),
    "projector: 12 x 8 tokens": parts.distances(features[detailed]),
}
course.show(
    figures.plot_feature_maps(page, maps, tile=112),
    alt="The page beside two heat maps of features. Bright places lie where the two "
    "lines of text are; the blank half is dark.",
    caption="Where the features differ from those of blank paper (yellow: 60% and more), "
    "in % of the largest; the table has distances. Lines: cuts of the detailed grid.",
)

# %%
headers = ["mean distance", "with ink", "blank, upper tiles", "blank, lower tiles"]
course.table(headers, parts.distance_rows(page, maps))

# %% [markdown]
"""
The words are where the page has them. But blank paper in the upper three tiles, which have ink, is farther from typical than in the lower three, which have none. Is that the ink, or the paper? For a fair test take the upper tiles, put blank paper where the ink is, and look at the patches that were blank before: their pixels stay the same.

**Predict**: does what the tower says of them change?
"""

# %%
upper, lower = pixel_values[:3], pixel_values[3:6]  # of the detailed tiles
erased, blank = parts.without_ink(upper, lower)
typical = seen[detailed, 1:].flatten(0, 1).median(dim=0).values
for name, each in (("with the ink", upper), ("ink erased", erased)):
    found = tower(pixel_values=each).last_hidden_state[:, 1:]
    far = (found - typical).norm(dim=-1)[blank].mean()
    print(f"{name}: {int(blank.sum())} blank patches, mean distance {far:.1f}")

# %% [markdown]
"""
It does: from 18.9 to 11.2, which is nearly what the lower tiles have. The pixels of these patches are the same, so what differed was the rest of their **tile**. Attention within the tile tells a blank place what stands beside it, and a feature is not only about its own pixels.

And there is something else: faint stripes at the cut lines, even in the lower half.

**Predict**: is it the left and right end of every tile that differs, the upper and lower end, or both? Does a tile of one flat color have the stripes, too?
"""

# %%
flat = lower.mean(dim=(2, 3), keepdim=True).expand_as(lower)
for name, each in (("blank paper", lower), ("flat color", flat)):
    far = tower(pixel_values=each).last_hidden_state[:, 1:] - typical
    far = far.norm(dim=-1).reshape(3, 8, 8).numpy()
    print(f"{name}: by column {far.mean(axis=(0, 1)).round(1)}")
    print(f"{'':11}  by row    {far.mean(axis=(0, 2)).round(1)}")

# %% [markdown]
"""
Left and right only, and a flat tile has the same stripes. All its patches are equal, so they can only come from the position embeddings: the tower marks the place in the tile, whatever is there. Why it marks the left and right ends was not tested; perhaps because it was trained on lines of text, which are cut there.

## Into the text

The prompt's ids become embeddings from a table. The 176 image tokens are all looked up as the same vector, which is now overwritten by the features, in order.

**Predict**: what happens to the embeddings of the question?
"""

# %%
ids = inputs["input_ids"]
embeddings = whole.language_model.embed_tokens(ids)
is_image = ids == model.config.image_token_id
assert embeddings[is_image].unique(dim=0).shape == (1, 256)  # all alike

filled = embeddings.masked_scatter(is_image[..., None], features)
assert filled.shape == (1, 233, 256) and int(is_image.sum()) == 11 * 16
assert filled[is_image].equal(features.reshape(176, 256))
assert filled[~is_image].equal(embeddings[~is_image])
changed = (filled != embeddings)[0].any(dim=-1)
print(f"{int(changed.sum())} rows replaced, {int((~changed).sum())} equal")
square, strip = parts.ids_of_crops(processor, page, (224, 224), (336, 112))
print("a square and a strip of the page, 8 tiles each, same ids:", square == strip)

# %% [markdown]
r"""
Nothing: text stays text. No vector is marked as one from pixels, or from a certain tile: `<img>` and `</img>` stand around the whole image, and nothing stands between its tiles or grids. Not even the grids are told. Of the two crops from [03](03_processor.ipynb#Several-images,-several-turns) one has 2 x 2 detailed and 1 x 3 adaptive tiles, the other 3 x 1 and 4 x 1, and their prompts are equal, id by id. How the tiles lie, the model can tell only from their number, their order and what they show.

## Language model and head

Four layers of a Llama, and the head. Each layer adds to the state $h$ of every token twice:

$$h' = h + \text{Attn}(\text{RMSNorm}(h)), \qquad h'' = h' + W_d\bigl(\text{SiLU}(W_g\, n) \odot W_u\, n\bigr), \quad n = \text{RMSNorm}(h')$$

Only attention moves information between tokens; the second part, the MLP, works on each token by itself:
"""

# %%
course.show(
    schemes.plot_layer(width=256, inner=768, heads=4),
    alt="Three gray lines, one per token, each with RMSNorm, attention, a plus, "
    "RMSNorm, MLP and a plus. Pink arrows lead from earlier tokens to the attention of "
    "later ones. Below, the MLP: n goes to two boxes, their product to a last one.",
    caption="A layer of the language model for three tokens. The gray lines are the "
    "state: it is never replaced, only added to. Pink: the only ways between tokens.",
)

# %% [markdown]
r"""
RMSNorm divides a vector by the root of the mean of its squares, and multiplies each number by a learned one. The MLP has three matrices: gate $W_g$, up $W_u$ and down $W_d$. SiLU, $x\, \sigma(x)$ with the sigmoid $\sigma$, makes the gate, and so the product, small where $W_g\, n$ is negative.

In attention the 233 vectors are made into queries $Q$, keys $K$ and values $V$, in four heads of $d = 64$ numbers. In each head every token takes a weighted mean of values, the formula below. The four results are put side by side and multiplied by a last matrix (`o_proj` in the code): that is what attention adds to $h$. (In the published model two heads of queries share one of keys and values, *grouped-query attention*, which halves the cache: [11](11_speed_memory_serving.ipynb).)

$$\text{attention} = \operatorname{softmax}\left(\frac{Q K^\top}{\sqrt d} + M\right) V$$

The **causal mask** $M$ is 0 where the key is that of the same token or of one before it, and $-\infty$ for all that come later. Where a token stands is told by **RoPE**: before the product, the query or key of position $m$ is taken as $d / 2$ pairs of numbers, and pair $j$ is turned by an angle that grows with $m$:

$$\begin{pmatrix} x_j' \\ x_{j + d/2}' \end{pmatrix} = \begin{pmatrix} \cos m \theta_j & -\sin m \theta_j \\ \sin m \theta_j & \cos m \theta_j \end{pmatrix} \begin{pmatrix} x_j \\ x_{j + d/2} \end{pmatrix}, \qquad \theta_j = 10000^{-2j/d}$$

Let the query be turned by $m \theta_j$ and the key by $n \theta_j$ ($n$ is a position here, no longer the normed state). Only the angle between two vectors counts for their product, so turning both back by $n \theta_j$ leaves it as it is. Then the query is turned by $(m - n)\, \theta_j$ and the key not at all: the product depends on the distance $m - n$ alone. (The base, 10,000, is the small model's. With 1,000,000, as in the published one, all pairs but the first turn more slowly, and more slowly still in prompts longer than 32,768 tokens.)

**Predict**: move all positions 1,000 further. Does the attention of a layer change? And the last token, behind which the answer begins: does it attend to the image most, or to the text?
"""


# %%
def turned(x, positions):
    """RoPE: queries or keys, (heads, tokens, d), turned by their positions."""
    half = x.shape[-1] // 2
    angles = positions[:, None] * 10000.0 ** (-torch.arange(half) / half)
    first, second = x[..., :half], x[..., half:]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def attend(layer, hidden, positions):
    """Attention of a layer, (heads, queries, keys), and what it adds to `hidden`."""
    part, normed = layer.self_attn, layer.input_layernorm(hidden)
    q, k, v = (
        matrix(normed).view(len(hidden), 4, 64).swapaxes(0, 1)
        for matrix in (part.q_proj, part.k_proj, part.v_proj)
    )
    mask = torch.full((len(hidden), len(hidden)), -torch.inf).triu(diagonal=1)
    scores = turned(q, positions) @ turned(k, positions).mT / 64**0.5
    weights = (scores + mask).softmax(dim=-1)
    return weights, part.o_proj((weights @ v).swapaxes(0, 1).flatten(1))


# %%
states = language_model(inputs_embeds=filled, output_hidden_states=True).hidden_states
places, layers = torch.arange(233.0), language_model.layers
weights, added = attend(layers[0], filled[0], places)
after = filled[0] + added
part, n = layers[0].mlp, layers[0].post_attention_layernorm(after)
gated = torch.nn.functional.silu(part.gate_proj(n)) * part.up_proj(n)
after = after + part.down_proj(gated)
print(f"layer 0 by hand, largest difference: {(after - states[1][0]).abs().max():.0e}")
moved, _ = attend(layers[0], filled[0], places + 1000)
print(f"1,000 positions further, weights change by {(moved - weights).abs().max():.0e}")
torch.testing.assert_close(after, states[1][0], atol=1e-3, rtol=0)
pair = filled[0][-1], filled[0][18]  # the last token, and the first of the image
course.show(
    tiles.plot_distance(parts.scores_over_distance(layers[0], turned, *pair, places)),
    alt="Left three waves: fast, slow, and one that falls once. Right a line that "
    "rises and falls with the distance without a simple trend.",
    caption="RoPE. Left: pairs turn at different speeds; the slowest, not drawn, in "
    "47,000 tokens. Right: one query and one key of layer 0, moved apart. Their "
    "score is a sum of 32 such waves, each weighted and shifted.",
)

# %%
of_layers = [
    attend(layer, state[0], places)[0].mean(dim=0)  # over the heads
    for layer, state in zip(layers, states[:-1], strict=True)
]
of_image = {"detailed": 96, "adaptive": 64, "global": 16}
groups = {"text before": 18, **of_image, "text behind": 39}
course.show(
    tiles.plot_attention(
        {f"layer {number}": of_layers[number].numpy() for number in (0, 1, 2)}, groups
    ),
    alt="Three triangles of 233 x 233 squares, gray above the diagonal. In layer 2 "
    "rows of the text at the end are nearly white, but for a few dark stripes.",
    caption="Who attends to whom, mean of four heads, on a logarithmic scale. Gray is "
    "the causal mask. See the lowest rows of layer 2: of the image the text attends to "
    "a few tokens, the dark stripes.",
)
has_ink = torch.tensor(course.has_ink(page, tile=112, tokens_along=4))
course.table(*parts.attention_rows([each[-1] for each in of_layers], groups, has_ink))
print(f"{int(has_ink.sum())} of the 96 detailed tokens have ink")

# %% [markdown]
"""
Moved by 1,000, nothing changes but rounding: only distances count. In layer 0 the last token gives two thirds of its attention to text, nearly all of that to the text behind the image. Then it turns to the image: in layer 2 it gives 64.5% to detailed tokens, and 95.4% of that to the 14 of 96 that have ink.

That is the idea of scale compression ([05](05_scale_compression.ipynb)): the attention of a layer tells which image tokens can go. Which layer is asked matters. In layer 1 those 14 get only 26.7%; evenly spread, it would be 14.6%. This checkpoint asks layer 2, the published model layer 1. And layer 2 was taught: a loss trained the question to look, in this layer, at the place where the answer will be read. So 95.4%, on this one page, isn't what a model does of itself.

The norm after the last layer and the head follow. Each position says what comes after it, so the answer begins at the last one.

**Predict**: does our chain of parts give the same logits as one call of the model? And which character comes first?
"""

# %%
hidden = language_model(inputs_embeds=filled, attention_mask=inputs["attention_mask"])
logits = model.lm_head(hidden.last_hidden_state)
print("hidden", tuple(hidden.last_hidden_state.shape), " logits", tuple(logits.shape))
print("largest difference to the model's own", float((logits - expected).abs().max()))
print("first character:", processor.decode(logits[0, -1].argmax()))
torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)

# %% [markdown]
"""
The same, up to rounding (1e-4 is the tolerance, since other CPUs add in another order). The first character is the "f" of "fresh".

## Byte by byte

Without sampling, `generate` appends the most likely token and asks again, until the end-of-turn token comes. That takes a short loop.

**Predict**: where will the model be least sure, at the beginning or within a word?
"""

# %%
embeds, steps = filled, []
while not steps or steps[-1].argmax() != model.generation_config.eos_token_id:
    hidden = language_model(inputs_embeds=embeds).last_hidden_state
    steps.append(model.lm_head(hidden[0, -1]).softmax(dim=-1, dtype=torch.float64))
    written = language_model.embed_tokens(steps[-1].argmax().view(1, 1))
    embeds = torch.cat([embeds, written], dim=1)
answer = [int(step.argmax()) for step in steps]
sequences = model.generate(**inputs, max_new_tokens=60, do_sample=False)
generated = sequences[0, ids.shape[1] :].tolist()
print(repr(processor.decode(answer, skip_special_tokens=True)))
assert answer == generated

# %%
labels, doubts, seconds = parts.doubts(processor, steps)
course.show(
    figures.plot_doubts(labels, doubts, seconds),
    alt="A point per character of the answer on a logarithmic scale: the probability "
    "of all other characters, with the likeliest of them above.",
    caption="The model's doubt at every step: the probability of all that it didn't "
    "write. Above each point its second choice. The scale is logarithmic.",
)
least = numpy.argmax(doubts)
print(f"least sure: doubt {doubts[least]:.2g} at {labels[least]!r}, step {least};")
print(f"median {numpy.median(doubts):.2g}", end="; ")
print(f'the most in "sunday": {max(doubts[-7:-1]):.2g}')

# %% [markdown]
"""
Within a word: it is sure of nearly every letter, the first letters of the words too, and least of the "a" of "bread": a doubt of 0.19, with "e" as second choice. "bread" is cut by the detailed grid, behind its "b", and whole in the adaptive one. But "sunday" is cut by both grids, and there the doubt stays below 0.01. So on this page a cut alone doesn't say where the model is unsure, and one page proves no rule; [01](01_semantic_sawtooth.ipynb) has more words.

The loop and `generate` agree, token by token. `generate` is faster: it reads the whole prompt once, the **prefill**, and keeps the keys and values of every layer in a **cache**, so that each later step computes only the newest token. With `keep_ratio` below 1 it also drops image tokens before the first step ([05](05_scale_compression.ipynb)).

## Common errors

Tiles must have the size that the tower was built for, and there must be as many image tokens as features.
"""

# %%
with course.expected(ValueError):
    model.get_image_features(torch.zeros(11, 3, 448, 448))

with course.expected(ValueError):
    model(input_ids=ids, pixel_values=pixel_values[:-1])

with course.expected(ValueError):
    # Which tiles are detailed?
    model(input_ids=ids, pixel_values=pixel_values, keep_ratio=0.5)

# %% [markdown]
"""
`MiniMonkeyModel` has no head, so it can't write. And when you configure a model, its tokens per tile, patches and ratio must fit each other.
"""

# %%
with course.expected(TypeError):
    whole.generate(**inputs)

with course.expected(ValueError):
    MiniMonkeyConfig(image_seq_length=100)

# %% [markdown]
r"""
## Exercises

### Exercise 1

Swap the first two detailed tiles in `pixel_values` and let the model read. What becomes of the page?

<details>
<summary>Solution</summary>

```python
swapped = {**inputs, "pixel_values": pixel_values[[1, 0, *range(2, 11)]]}
sequences = model.generate(**swapped, max_new_tokens=60, do_sample=False)
confused = processor.decode(sequences[0, ids.shape[1] :], skip_special_tokens=True)
print(repr(confused))  # 'freead\nopesh breer\nfresh'
# The ids are the same: here only the order of the tiles says where they lie
assert confused != "fresh bread\nopen sunday"
```

</details>

### Exercise 2

A chat often asks several questions about one image. Compute the features once and pass them as `mm_encoder_outputs`, without pixels. How much of the time does a second question save?

<details>
<summary>Solution</summary>

```python
from time import perf_counter

start = perf_counter()
once = {"image": model.get_image_features(pixel_values, return_dict=True)}
between = perf_counter()
prompt = {name: inputs[name] for name in ("input_ids", "attention_mask")}
options = {"max_new_tokens": 60, "do_sample": False}
again = model.generate(**prompt, mm_encoder_outputs=once, **options)
saved, rest = between - start, perf_counter() - between
print(f"{saved:.2f} s for the features, {rest:.2f} s for the answer;", end=" ")
print(f"a second question saves {saved / (saved + rest):.0%}")
assert again[0, ids.shape[1] :].tolist() == generated
```

</details>

### Exercise 3

Can the language model answer without features? Replace all of them by zeros. What does it write when it is blind?

<details>
<summary>Solution</summary>

```python
from transformers.modeling_outputs import BaseModelOutputWithPooling

blind = {"image": BaseModelOutputWithPooling(pooler_output=torch.zeros_like(features))}
prompt = {name: inputs[name] for name in ("input_ids", "attention_mask")}
options = {"max_new_tokens": 60, "do_sample": False}
sequences = model.generate(**prompt, mm_encoder_outputs=blind, **options)
written = processor.decode(sequences[0, ids.shape[1] :], skip_special_tokens=True)
print(repr(written))  # 're', and the turn ends
assert "fresh" not in written and "sunday" not in written
```

</details>

### Exercise 4

Compute the first layer of the vision tower by hand, as `attend` does it for the language model. What of `attend` falls away, and what does its work?

<details>
<summary>Solution</summary>

```python
layer = tower.encoder.layer[0]
part, normed = layer.attention, layer.layernorm_before(patches)
q, k, v = (
    matrix(normed).unflatten(-1, (3, 64)).swapaxes(1, 2)  # 3 heads of 64
    for matrix in (part.q_proj, part.k_proj, part.v_proj)
)
weights = (q @ k.mT / 64**0.5).softmax(dim=-1)  # no mask, no RoPE
mixed = part.projection_layer((weights @ v).swapaxes(1, 2).flatten(2))
state = patches + layer.lambda_1 * mixed
inner = torch.nn.functional.gelu(layer.mlp.fc1(layer.layernorm_after(state)))
state = state + layer.lambda_2 * layer.mlp.fc2(inner)  # no gate
print(f"largest difference: {(state - layer(patches)).abs().max():.0e}")
torch.testing.assert_close(state, layer(patches), atol=1e-3, rtol=0)
```

The causal mask falls away, and nothing replaces it. RoPE falls away: where a patch lies was added before, with the position embeddings. The norms are LayerNorms, the MLP is two matrices around a GELU, and two learned vectors scale what is added.

</details>

## Conclusion

Between pixels and words there are 64 patches per tile, which see each other but no other tile; 16 tokens per tile, four patches each; a projector that gives them the width of the text; and a language model that reads them in their places among the text, and writes one byte after the other. On this page the attention of the prompt's last token turns from text to image, and of what detailed tokens get, most goes to the few that have ink, in every layer but layer 1. The four parts, called one by one with pixel shuffle and scatter between them, give the model's logits, up to 1e-4, and a loop gives its answer.

**Read next**: [05](05_scale_compression.ipynb) shows how the language model's first layers tell which image tokens can go.

## References and further reading

- M. Huang et al., *Mini-Monkey*, ICLR 2025: [arXiv 2408.02034](https://arxiv.org/abs/2408.02034), [code](https://github.com/Yuliang-Liu/Monkey).
- InternVL, whose parts these are: [arXiv 2312.14238](https://arxiv.org/abs/2312.14238); pixel shuffle and tiles came with 1.5: [arXiv 2404.16821](https://arxiv.org/abs/2404.16821). In Transformers: [InternVL](https://huggingface.co/docs/transformers/model_doc/internvl), [Llama](https://huggingface.co/docs/transformers/model_doc/llama).
- A. Dosovitskiy et al., *An Image is Worth 16x16 Words*: [arXiv 2010.11929](https://arxiv.org/abs/2010.11929). W. Shi et al., where pixel shuffle comes from, the other way round: [arXiv 1609.05158](https://arxiv.org/abs/1609.05158).
- H. Liu et al., *Visual Instruction Tuning* (LLaVA), on tower, projector and language model in a row: [arXiv 2304.08485](https://arxiv.org/abs/2304.08485).
- Transformers on [generation](https://huggingface.co/docs/transformers/llm_tutorial) and on [caches](https://huggingface.co/docs/transformers/kv_cache).

[03 The processor](03_processor.ipynb) · [all notebooks](README.md) · [05 Scale compression](05_scale_compression.ipynb)
"""
