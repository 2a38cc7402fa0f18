# %% [markdown]
"""
# What happens between pixels and words?

[03 The processor](03_processor.ipynb) · [all notebooks](README.md) · [05 Scale compression](05_scale_compression.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/04_model.ipynb) [Source of this notebook](04_model.py)

> **You will learn**: the four parts of the model, the shape of every tensor between them, and how to run them one by one until
> the same answer comes out as from `generate`.
>
> **You need**: to know what the processor returns ([03](03_processor.ipynb)), and what attention is. **Time**: about 1 min **Hardware**:
> two CPU cores, 2 GB of memory.
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
## Four parts

A **vision tower** looks at each tile, a **projector** turns what it saw into embeddings, a **language model** reads these among
the embeddings of the text, and a **head** says which token comes next. Here is `minimonkey-tiny`, a small reader of rendered
lower-case text that was trained for this repository. The published model has the same parts in a larger size.

**Predict**: which part has the most parameters in the small model? And in the published one, of two billion?
"""

# %%
import torch
from matplotlib import pyplot
from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration
from modeling_minimonkey.scale_compression import DETAILED_LEVEL
from PIL import Image
from processing_minimonkey import MiniMonkeyProcessor

torch.set_grad_enabled(False)
processor = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)
model = MiniMonkeyForConditionalGeneration.from_pretrained(course.CHECKPOINT, dtype=torch.float32).eval()
with torch.device("meta"):  # shapes without memory
    published = MiniMonkeyForConditionalGeneration(MiniMonkeyConfig())


def parts_of(model):
    """The parts by name, in the order of the data."""
    whole = model.model
    language = {"token embeddings": whole.language_model.embed_tokens, "language layers": whole.language_model.layers}
    return {
        "vision tower": whole.vision_tower,
        "projector": whole.multi_modal_projector,
        **language,
        "head": model.lm_head,
    }


# %%
counts = {
    name: {part: sum(p.numel() for p in module.parameters()) for part, module in parts_of(each).items()}
    for name, each in (("minimonkey-tiny", model), ("published size", published))
}
figure, axes = pyplot.subplots(1, 2, figsize=(10.5, 2.8), sharey=True, layout="constrained")
for axis, (name, parts) in zip(axes, counts.items(), strict=True):
    total = sum(parts.values())
    axis.barh(list(parts), [count / 1e6 for count in parts.values()], color="#0072B2")
    for row, count in enumerate(parts.values()):
        axis.text(count / 1e6 + 0.01 * total / 1e6, row, f"{count / total:.0%}", va="center")
    axis.set(title=f"{name}: {total / 1e6:,.1f} million", xlabel="parameters (million)")
    axis.set_xlim(right=0.8 * total / 1e6)
    print(name, parts)
axes[0].invert_yaxis()
alt = "Bars of parameters by part. In both models the language layers have the most, with the vision tower second."
course.show(figure, alt=alt, caption="Parameters by part, of the small model and of one with the published settings.")
assert (model.lm_head.out_features, published.lm_head.out_features) == (261, 92553)
for parts in counts.values():
    assert max(parts, key=parts.get) == "language layers"
assert sum(counts["minimonkey-tiny"].values()) == 6_605_248 - model.model.language_model.norm.weight.numel()

# %% [markdown]
"""
The layers of the language model, in both. The published one has a vocabulary of 92,553 tokens, so its embeddings and its head
count, too; the small one has 261 tokens, one per byte and five special ones.

## A map

Before we open the parts, let the whole model run once, and note what goes out of each of them.

**Predict**: the page has 11 tiles and its prompt 233 tokens. Which of the two numbers stands in which tensor?
"""

# %%
page = Image.open(course.PAGE)
content = [{"type": "image", "image": page}, {"type": "text", "text": "Read the text."}]
inputs = processor.prepare_chat([{"role": "user", "content": content}])

# %%
whole = model.model
watched = {
    "patch embedding": whole.vision_tower.embeddings,
    "vision tower": whole.vision_tower.encoder,
    "projector": whole.multi_modal_projector,
    "token embeddings": whole.language_model.embed_tokens,
    "language model": whole.language_model.norm,
    "head": model.lm_head,
}
shapes = {"tiles": tuple(inputs["pixel_values"].shape), "token ids": tuple(inputs["input_ids"].shape)}


def note(name):
    def hook(module, arguments, output):
        shapes[name] = tuple(getattr(output, "last_hidden_state", output).shape)

    return hook


hooks = [module.register_forward_hook(note(name)) for name, module in watched.items()]
expected = model(**inputs).logits
for hook in hooks:
    hook.remove()
assert shapes["tiles"] == (11, 3, 112, 112) and shapes["projector"] == (11, 16, 256)
assert shapes["token ids"] == (1, 233) and shapes["head"] == (1, 233, 261)

# %%
upper = ["tiles", "patch embedding", "vision tower", "projector"]
lower = ["token ids", "token embeddings", "language model", "head"]
figure, axis = pyplot.subplots(figsize=(11, 3.4))
colors = {name: "#0072B2" for name in upper} | {name: "#D55E00" for name in lower}
style = {"arrowstyle": "-|>", "color": "#000000", "mutation_scale": 16}
for row, names in ((1, upper), (0, lower)):
    for column, name in enumerate(names):
        box = pyplot.Rectangle(
            (column - 0.34, row - 0.22), 0.68, 0.44, fill=False, edgecolor=colors[name], linewidth=2
        )
        axis.add_patch(box)
        axis.text(column, row, f"{name}\n{' x '.join(map(str, shapes[name]))}", ha="center", va="center")
        if column:
            axis.annotate("", (column - 0.34, row), (column - 0.66, row), arrowprops=style)
axis.annotate("", (1.5, 0.03), (2.7, 0.78), arrowprops=style)
axis.text(1.95, 0.5, "scatter: 11 x 16 = 176 rows", ha="right", va="center")
axis.text(2.5, 1.27, "pixel shuffle", ha="center", va="bottom")
axis.set(xlim=(-0.4, 3.4), ylim=(-0.3, 1.45))
axis.set_axis_off()
alt = "Two chains of boxes with shapes. Tiles go through patch embedding, tower and projector, and meet the token embeddings."
course.show(figure, alt=alt, caption="The way of the page through the model, with the shape that leaves each part.")

# %% [markdown]
"""
Until the projector the first number is 11: the tower sees tiles, and knows nothing of pages or of questions. From the language model
on it is 1 row of 233 tokens. In between, the 176 image tokens of the row are overwritten. Now by hand, part by part.

## The vision tower

Each tile is cut into patches of 14 x 14 pixels, a vector each, and a class token is put in front. Attention then mixes the
patches of *one* tile.

**Predict**: how many patches has a tile of 112 x 112 pixels? And if another tile changes, does this one's result?
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
torch.testing.assert_close(alone[0], seen[0], atol=1e-4, rtol=0)
torch.testing.assert_close(beside_white[0], seen[0], atol=1e-4, rtol=0)
assert (beside_white[1] - seen[1]).abs().max() > 0.1

# %% [markdown]
"""
8 x 8 patches and the class token. Tile 0 does not change with its neighbor: it ends with "fresh b", and nobody tells it that "read" goes
on next door. Only the language model, much later, can put both together. That is the origin of the semantic sawtooth
([01](01_semantic_sawtooth.ipynb)).

## Pixel shuffle

64 patches per tile are many tokens. Pixel shuffle makes one long vector out of each 2 x 2 patches: a quarter of the tokens, four
times as wide, and nothing is lost.

**Predict**: give every patch its own number as feature. Which four numbers are in the first token?
"""

# %%
grid = seen[:, 1:].reshape(11, side, side, 192)  # without the class token
shuffled = whole.pixel_shuffle(grid, scale_factor=model.config.downsample_ratio)
assert shuffled.shape == (11, 4, 4, 4 * 192)
assert shuffled.numel() == grid.numel()

numbers = torch.arange(64.0).reshape(1, side, side, 1)
tokens = whole.pixel_shuffle(numbers, scale_factor=0.5)[0]  # (4, 4, 4)
print("first token", tokens[0, 0].tolist(), " second", tokens[0, 1].tolist())
for row in range(4):
    for column in range(4):
        block = numbers[0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2, 0]
        assert sorted(tokens[row, column].tolist()) == sorted(block.flatten().tolist())

# %% [markdown]
"""
0, 1, 8 and 9: neighbors, two in the first row of patches and two in the second. 112 / 14 / 2 = 4, so a tile has 4 x 4 = 16 tokens;
with 448-pixel tiles it is 16 x 16 = 256.

## The projector

Two linear layers with a normalization before them bring 768 numbers to 256, the width of the language model.

**Predict**: the model has a method for all that so far, `get_image_features`. Do our tensors equal its result?
"""

# %%
features = whole.multi_modal_projector(shuffled.reshape(11, 16, 768))
reference = model.get_image_features(pixel_values, return_dict=True).pooler_output
print("features", tuple(features.shape), " largest difference", float((features - reference).abs().max()))
assert features.shape == (11, 16, 256)
torch.testing.assert_close(features, reference, atol=1e-4, rtol=0)

# %% [markdown]
"""
They do. What is in these vectors? A number per place is easier to look at: how far its vector is from that of a typical place, which is
blank paper. Below is that distance for the patches of the tower and for the tokens behind the projector, over the detailed tiles.

**Predict**: will the words be visible?
"""

# %%
import numpy


def distances(vectors, columns=3, rows=2):
    """(detailed tiles, places, width) to the distance from the median vector, laid out like the page."""
    size = int(vectors.shape[1] ** 0.5)
    typical = vectors.reshape(-1, vectors.shape[-1]).median(dim=0).values
    far = (vectors - typical).norm(dim=-1).reshape(rows, columns, size, size)
    return far.swapaxes(1, 2).reshape(rows * size, columns * size).numpy()


# %%
detailed = inputs["tile_levels"] == DETAILED_LEVEL
maps = {
    "tower: 24 x 16 patches": distances(seen[detailed, 1:]),
    "projector: 12 x 8 tokens": distances(features[detailed]),
}
figure, axes = pyplot.subplots(1, 3, figsize=(11, 2.9), layout="constrained")
axes[0].imshow(page)
axes[0].set_title("the page, 336 x 224 px")
for axis, (title, values) in zip(axes[1:], maps.items(), strict=True):
    drawn = axis.imshow(values, cmap="cividis", extent=(0, 336, 224, 0))
    axis.set_title(title)
    figure.colorbar(drawn, ax=axis, shrink=0.8, label="distance from the median")
for axis in axes:
    axis.set(xticks=(112, 224), yticks=(112,))
alt = "The page beside two heat maps of features. Bright places lie where the two lines of text are; the blank half is dark."
course.show(
    figure,
    alt=alt,
    caption="Where the features differ from those of blank paper. Ticks: cut lines of the detailed grid.",
)

# %%
ink = numpy.asarray(page.convert("L")) < 160
for values in maps.values():
    block = 224 // values.shape[0]
    inked = ink.reshape(values.shape[0], block, values.shape[1], block).any(axis=(1, 3))
    print(
        f"with ink {values[inked].mean():.2f}, without {values[~inked].mean():.2f}, n = {inked.sum()} and {(~inked).sum()}"
    )
    assert values[inked].mean() > values[~inked].mean()

# %% [markdown]
"""
The words are where the page has them. There is something else: faint stripes at the cut lines, even in the lower half, where the paper
is blank.

**Predict**: is it the left and right end of every tile that differs, the upper and lower end, or both?
"""

# %%
blank = maps["tower: 24 x 16 patches"][8:]  # the lower three tiles, in patches
columns = blank.reshape(8, 3, 8).mean(axis=(0, 1))  # by column within the tile
rows = blank.reshape(8, 3, 8).mean(axis=(1, 2))
print("by column", columns.round(1), " by row", rows.round(1))
assert min(columns[0], columns[-1]) > 1.5 * columns[2:6].max()
assert max(rows[0], rows[-1]) < 1.5 * rows[1:-1].mean()

# %% [markdown]
"""
Left and right only. The tower was trained on lines of text, and what it writes down about the ends of a tile, where a word may be cut, is
unlike the rest. What it can't know is how such a word goes on.

## Into the text

The prompt's ids become embeddings from a table. At the 176 image tokens the table holds one and the same vector, which is now
overwritten by the features, in their order.

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

# %% [markdown]
"""
Nothing: text stays text. From here on the language model does not know which vectors came from pixels.

## Language model and head

Four layers of a Llama, and the head. Each position says what comes after it, so the answer begins at the last one.

**Predict**: does our chain of parts give the same logits as one call of the model? And which character comes first?
"""

# %%
hidden = whole.language_model(inputs_embeds=filled, attention_mask=inputs["attention_mask"]).last_hidden_state
logits = model.lm_head(hidden)
print("hidden", tuple(hidden.shape), " logits", tuple(logits.shape))
print("largest difference to the model's own", float((logits - expected).abs().max()))
print("first character:", processor.decode(logits[0, -1].argmax()))
assert hidden.shape == (1, 233, 256) and logits.shape == (1, 233, 261)
torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)

# %% [markdown]
"""
The same, up to rounding (1e-4 is the tolerance, since other processors add in another order). The first character is the "f" of
"fresh".

## Word by word

`generate` appends the most likely token and asks again, until the end-of-turn token comes. That takes a loop of three lines.

**Predict**: where will the model be least sure, at the beginning or within a word?
"""

# %%
embeds, steps = filled, []
while not steps or steps[-1].argmax() != model.generation_config.eos_token_id:
    hidden = whole.language_model(inputs_embeds=embeds).last_hidden_state
    steps.append(model.lm_head(hidden[0, -1]).softmax(dim=-1))
    embeds = torch.cat([embeds, whole.language_model.embed_tokens(steps[-1].argmax().view(1, 1))], dim=1)
answer = [int(step.argmax()) for step in steps]
generated = model.generate(**inputs, max_new_tokens=60, do_sample=False)[0, ids.shape[1] :].tolist()
print(repr(processor.decode(answer, skip_special_tokens=True)))
assert answer == generated

# %%
shown = [repr(processor.decode([token]))[1:-1].replace(" ", "space") for token in answer[:-1]] + ["end"]
figure, axis = pyplot.subplots(figsize=(11, 3.6), layout="constrained")
bottom = numpy.zeros(len(steps))
for rank, color in enumerate(("#0072B2", "#D55E00", "#009E73")):
    values, tokens = zip(*(step.topk(3) for step in steps), strict=True)
    height = numpy.array([float(value[rank]) for value in values])
    axis.bar(range(len(steps)), height, bottom=bottom, color=color, label=("first", "second", "third")[rank])
    for position in numpy.flatnonzero(height > 0.06) if rank else []:
        text = repr(processor.decode([int(tokens[position][rank])]))[1:-1]
        axis.text(position, bottom[position] + height[position] / 2, text, ha="center", va="center", color="white")
    bottom += height
axis.set(xticks=range(len(steps)), xlabel="what was written, step by step", ylabel="probability")
axis.set_xticklabels(shown, rotation=90 if max(map(len, shown)) > 5 else 0)
figure.legend(title="choice", ncols=3, loc="outside upper right", frameon=False)
alt = "Stacked bars of the three most likely characters at each step of the answer. All are near one."
course.show(
    figure,
    alt=alt,
    caption="The three most likely characters at every step.",
)
surest = numpy.array([float(step.max()) for step in steps])
print(
    f"least sure: {surest.min():.2f} at {shown[surest.argmin()]!r}, step {surest.argmin()}; median {numpy.median(surest):.3f}"
)
assert surest.min() > 0.9 and surest.argmin() > 16

# %% [markdown]
"""
It is sure of every letter, and least so near the end of "sunday". The adaptive grid cuts this word in the middle and the detailed one at its last letter: it is
whole in the global view alone, where it is small. One page is no proof that this is why; [01](01_semantic_sawtooth.ipynb) has more.

The loop and `generate` agree, token by token. `generate` is faster, since a cache keeps what the layers computed for earlier tokens;
with `keep_ratio` below 1 it also drops image tokens before the first step ([05](05_scale_compression.ipynb)).

## Common errors

Tiles must have the size that the tower was built for, and there must be as many image tokens as features.
"""

# %%
with course.expected(ValueError):
    model.get_image_features(torch.zeros(11, 3, 448, 448))

with course.expected(ValueError):
    model(input_ids=ids, pixel_values=pixel_values[:-1])

with course.expected(ValueError):
    model(input_ids=ids, pixel_values=pixel_values, keep_ratio=0.5)  # which tiles are detailed?

# %% [markdown]
"""
`MiniMonkeyModel` has no head, so it can't write. And tokens per tile, patches and ratio must fit each other when a model is configured.
"""

# %%
with course.expected(TypeError):
    whole.generate(**inputs)

try:
    MiniMonkeyConfig(image_seq_length=100)
except Exception as error:
    print(type(error).__name__, str(error).splitlines()[-1])
    assert "give 256 tokens per tile" in str(error)

# %% [markdown]
"""
## Exercises

### Exercise 1

Swap the first two detailed tiles in `pixel_values` and let the model read. What becomes of the page?
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
swapped = pixel_values[[1, 0, *range(2, 11)]]
sequences = model.generate(**{**inputs, "pixel_values": swapped}, max_new_tokens=60, do_sample=False)
confused = processor.decode(sequences[0, ids.shape[1] :], skip_special_tokens=True)
print(confused)
assert confused != "fresh bread\nopen sunday"  # the order of the tiles is all that says where they lie

# %% [markdown]
"""
### Exercise 2

A chat often asks several questions about one image. Compute the features once and pass them as `mm_encoder_outputs`, without pixels.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
once = {"image": model.get_image_features(pixel_values, return_dict=True)}
prompt = {name: inputs[name] for name in ("input_ids", "attention_mask")}
again = model.generate(**prompt, mm_encoder_outputs=once, max_new_tokens=60, do_sample=False)
assert again[0, ids.shape[1] :].tolist() == generated

# %% [markdown]
"""
### Exercise 3

Does the head look at pixels? Replace all features by zeros and look at the first steps. What does the model write when it is blind?
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
from transformers.modeling_outputs import BaseModelOutputWithPooling

blind = {"image": BaseModelOutputWithPooling(pooler_output=torch.zeros_like(features))}
sequences = model.generate(**prompt, mm_encoder_outputs=blind, max_new_tokens=20, do_sample=False)
written = processor.decode(sequences[0, ids.shape[1] :], skip_special_tokens=True)
print(repr(written))
assert "fresh" not in written and "sunday" not in written

# %% [markdown]
"""
## Conclusion

Between pixels and words there are 64 patches per tile, which see each other but no other tile; 16 tokens per tile, four patches
each; a projector that gives them the width of the text; and a language model that reads them in their places among the text and
writes one byte after the other. Six modules, called one by one, give the logits of the model to 1e-4, and a loop over them its
answer.

**Read next**: [05](05_scale_compression.ipynb) shows how the language model's first layers tell which image tokens can go.

Cite the method as Huang et al., *Mini-Monkey*, ICLR 2025, arXiv 2408.02034.

[03 The processor](03_processor.ipynb) · [all notebooks](README.md) · [05 Scale compression](05_scale_compression.ipynb)
"""
