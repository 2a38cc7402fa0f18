# %% [markdown]
"""
# How do pixels become tokens?

[02 The Complementary Image Pyramid](02_complementary_image_pyramid.ipynb) · [all notebooks](README.md) · [04 The model](04_model.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/03_processor.ipynb) [Source of this notebook](03_processor.py)

> **You will learn**: what the processor makes of images and chats, tensor by tensor; how many tokens an image costs, before
> you open it; how to change that; and why a question that contains control tokens does no harm.
>
> **You need**: to know what the pyramid is ([02](02_complementary_image_pyramid.ipynb)). **Time**: about 1 min **Hardware**: two CPU
> cores, 1 GB of memory.
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
Models see no files and no words, only tensors. A `MiniMonkeyProcessor` makes them: its image processor cuts images into
tiles, its tokenizer cuts text into tokens, and the processor writes as many places into the text as the tiles need. Here it is
that of `minimonkey-tiny`, a small reader of rendered lower-case text with tiles of 112 pixels and 16 tokens per tile. The
published model, which this is not, has tiles of 448 pixels and 256 tokens per tile; the steps are the same.

## Pixels

**Predict**: the page has 336 x 224 pixels. What is the shape of its tensor, and in which order do the tiles stand in it?
"""

# %%
import numpy
from PIL import Image
from transformers import AutoProcessor

processor = AutoProcessor.from_pretrained(course.CHECKPOINT, trust_remote_code=True)
image_processor = processor.image_processor
page = Image.open(course.PAGE)

pixels = image_processor(page, return_tensors="np")
tiles, levels = pixels["pixel_values"], pixels["tile_levels"]
print("pixel_values", tiles.shape, tiles.dtype)
print("tile_levels ", levels)
print("num_patches ", pixels["num_patches"])
assert tiles.shape == (11, 3, 112, 112) and tiles.dtype == numpy.float32
assert levels.tolist() == [0] * 6 + [1] * 4 + [2]

# %% [markdown]
"""
(tiles, channels, height, width): 3 x 2 detailed tiles, then 2 x 2 adaptive ones, then the global one. `tile_levels` says
which is which: the pixels alone would not, and scale compression ([05](05_scale_compression.ipynb)) needs to know.
"""

# %%
from matplotlib import pyplot

COLORS = {"detailed": "#0072B2", "adaptive": "#D55E00", "global": "#009E73"}
GROUPS = list(COLORS)


def to_bytes(tiles):
    """(tiles, 3, size, size) normalized to (tiles, size, size, 3) uint8, by the mean and deviation of the settings."""
    mean, deviation = (
        numpy.reshape(getattr(image_processor, name), (3, 1, 1)) for name in ("image_mean", "image_std")
    )
    return numpy.rint((tiles * deviation + mean) * 255).astype(numpy.uint8).transpose(0, 2, 3, 1)


figure, axes = pyplot.subplots(2, 6, figsize=(9.5, 3.7), layout="constrained")
for axis in axes.flat:
    axis.set_axis_off()
for number, (axis, tile, level) in enumerate(zip(axes.flat, to_bytes(tiles), levels, strict=False)):
    axis.imshow(tile)
    axis.set_title(f"{number}: {GROUPS[level]}", color=COLORS[GROUPS[level]])
alt = "Eleven square tiles in order: six detailed ones with large pieces of the text, four adaptive ones, and a global one."
course.show(
    figure, alt=alt, caption="What the model gets: the 11 tiles of the page in their order, made visible again."
)

# %% [markdown]
"""
The detailed grid cuts "bread" and "open" between tiles 0 and 1. In tile 6 both are whole, but narrower: the adaptive grid has only
two columns for the same page, so the page was squeezed to 224 x 224 pixels. In return it cuts "sunday", of which tile 1 had all but
the end of the last letter.

## Nothing is lost at a cut

**Predict**: put the six detailed tiles together again. Is the result the page, or does it miss or repeat pixels at the cut
lines?
"""

# %%
plan = image_processor.get_pyramid_plan(page.height, page.width)


def reassemble(tiles, columns, rows):
    """(columns * rows, size, size, 3), row by row, to (rows * size, columns * size, 3)."""
    size = tiles.shape[1]
    mosaic = tiles.reshape(rows, columns, size, size, 3)
    return mosaic.swapaxes(1, 2).reshape(rows * size, columns * size, 3)


figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
for axis, level, group in zip(axes, range(3), GROUPS, strict=True):
    canvas = reassemble(to_bytes(tiles[levels == level]), *plan.grid(group))
    resized = page.resize(plan.canvas_size(group), Image.Resampling.BICUBIC)
    assert numpy.array_equal(canvas, numpy.asarray(resized))
    axis.imshow(canvas)
    axis.set_title(f"{group}: {canvas.shape[1]} x {canvas.shape[0]} px", color=COLORS[group])
    axis.set(xticks=range(0, canvas.shape[1] + 1, 112), yticks=range(0, canvas.shape[0] + 1, 112))
    axis.grid(color="#000000", linewidth=0.8)
assert plan.canvas_size("detailed") == page.size
alt = "Three mosaics with cut lines: the detailed one is 336 x 224 pixels, the adaptive one 224 x 224, the global one 112 x 112."
course.show(figure, alt=alt, caption="The tiles of each group side by side give the resized page, pixel by pixel.")

# %% [markdown]
"""
Equal to the last bit, for all three groups. Tiles neither overlap nor leave a gap, and what reaches the model is the image
resized by Pillow, with bicubic interpolation. The page was drawn for 3 x 2 tiles, so its detailed canvas is not even resized.

## Normalization

Bytes from 0 to 255 become numbers around zero: divided by 255, less a mean, divided by a deviation, per channel. A model must
get the numbers that it was trained with, so mean and deviation are saved with the processor.

**Predict**: this checkpoint has 0.5 for both. In which range do the values lie?
"""

# %%
first = numpy.asarray(page)[:112, :112].transpose(2, 0, 1)  # the first detailed tile, (3, 112, 112) uint8
by_hand = (first.astype(numpy.float32) / 255 - 0.5) / 0.5
print("mean", image_processor.image_mean, "deviation", image_processor.image_std)
print(f"values from {tiles.min():.3f} to {tiles.max():.3f}; black would be -1, white is 1")
assert numpy.array_equal(by_hand.astype(numpy.float32), tiles[0])
assert -1 <= tiles.min() and tiles.max() <= 1

# %% [markdown]
"""
From -1 to 1. Converted checkpoints have ImageNet's mean and deviation, as the published code does. Never normalize an image
before you pass it: arrays must hold 0 to 255, or 0 to 1 as floats, and anything below zero is refused.

## Text

A chat is a list of messages. The chat template turns it into one string, with a *placeholder* for every image; the processor
replaces the placeholder by a start mark, one `<IMG_CONTEXT>` for each image token, and an end mark.

**Predict**: how often does `<IMG_CONTEXT>` stand in the string of the template, and how often in the ids?
"""

# %%
import re


def user(*contents):
    """A message of text and images."""
    kinds = (
        {"type": "text", "text": each} if isinstance(each, str) else {"type": "image", "image": each}
        for each in contents
    )
    return {"role": "user", "content": list(kinds)}


def tokenized(chat, **options):
    """Without `options` the same as `processor.prepare_chat(chat)`."""
    return processor.apply_chat_template(
        chat,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        **options,
    )


# %%
chat = [user(page, "Read the text.")]
written = processor.apply_chat_template(chat, add_generation_prompt=True)
inputs = tokenized(chat)
expanded = processor.decode(inputs["input_ids"][0])
print(written)
print(re.sub(r"(<IMG_CONTEXT>)+", lambda run: f"<IMG_CONTEXT> x {run[0].count('>')}", expanded))
assert written.count("<IMG_CONTEXT>") == 1
assert expanded.count("<IMG_CONTEXT>") == 11 * processor.image_seq_length == 176
assert {name: tuple(value.shape) for name, value in inputs.items()} == {
    "input_ids": (1, 233),
    "attention_mask": (1, 233),
    "pixel_values": (11, 3, 112, 112),
    "tile_levels": (11,),
}

# %% [markdown]
"""
Once, and then 176 times: 11 tiles of 16 tokens. All these ids are the same number. They are places only; the model puts the
features of the tiles there, in the order of the tiles ([04](04_model.ipynb)).

## Several images, several turns

Images may stand anywhere in the chat, in any number, and their tiles follow each other in one tensor, in the order in which
they are mentioned.

**Predict**: two images in the first message and one in the third make how many runs of `<IMG_CONTEXT>`?
"""

# %%
from itertools import groupby

square, wide = page.crop((0, 0, 224, 224)), page.crop((0, 0, 336, 112))
long_chat = [
    user(page, "and", square, "Which is larger?"),
    {"role": "assistant", "content": [{"type": "text", "text": "The first."}]},
    user("And this one?", wide),
]
several = tokenized(long_chat)
is_image = (several["input_ids"][0] == processor.image_token_id).tolist()
runs = [len(list(run)) for image, run in groupby(is_image) if image]
numbers = [image_processor.get_number_of_image_patches(each.height, each.width) for each in (page, square, wide)]
print("tokens of the images:", runs, " tiles:", numbers, " tensor:", tuple(several["pixel_values"].shape))
assert runs == [16 * number for number in numbers]
apart = image_processor([page, square, wide], return_tensors="pt")
assert several["pixel_values"].equal(apart["pixel_values"])
assert several["tile_levels"].equal(apart["tile_levels"])

# %% [markdown]
"""
Three runs, one per image, each as long as its own tiles demand: 11, 8 and 8. The square and the strip cost the same, since each
gets grids of its own shape.

## Batches

The rows of a batch must have one length, so short ones are filled up with a padding token, which `attention_mask` marks with 0.
Tiles are not padded: `pixel_values` has no row dimension, the tiles of all rows stand one below the other.

**Predict**: on which side is the padding, and why there?
"""

# %%
batch = tokenized([[user("No image here.")], [user(wide, "Read the text.")], chat], processor_kwargs={"padding": True})
ids, mask = batch["input_ids"], batch["attention_mask"]
kinds = numpy.where(mask == 0, 0, 1)  # padding, text, then the three groups
of_tokens = batch["tile_levels"].repeat_interleave(processor.image_seq_length).numpy()
kinds[ids == processor.image_token_id] = 2 + of_tokens

figure, axis = pyplot.subplots(figsize=(11, 2.3), layout="constrained")
palette = {"padding": "#DDDDDD", "text": "#000000", **COLORS}
axis.imshow(
    kinds, aspect="auto", interpolation="nearest", cmap=pyplot.matplotlib.colors.ListedColormap(palette.values())
)
axis.set(yticks=range(3), yticklabels=["no image", "wide strip", "page"], xlabel="position in the row (tokens)")
handles = [pyplot.Rectangle((0, 0), 1, 1, color=color) for color in palette.values()]
figure.legend(handles, palette, ncols=5, loc="outside upper center", frameon=False)
alt = "Three rows of tokens by kind. Gray padding is on the left; text is at the right end of every row; image tokens are between."
course.show(
    figure,
    alt=alt,
    caption="A batch of three rows. Padding is on the left, and every row ends where the answer begins.",
)

assert (mask.diff(dim=1) >= 0).all() and (mask[:, -1] == 1).all()
for row, single in zip(range(3), ([user("No image here.")], [user(wide, "Read the text.")], chat), strict=True):
    assert ids[row][mask[row].bool()].equal(tokenized(single)["input_ids"][0])

# %% [markdown]
"""
On the left: `generate` writes on at the right end, and there the text must be. Without its padding each row is exactly the
prompt that it would be alone. (The assistant's turn begins after the last token of each row.)

## Count before you cut

Servers plan memory before they see pixels. The size of an image is enough to know its tiles, since the grids are chosen from
integers: `get_number_of_image_patches(height, width)` calls the function that also cuts.

**Predict**: does a photo of 3360 x 2240 pixels cost more tokens than the page of 336 x 224?
"""

# %%
n = 40 if course.FAST else 400
sizes = numpy.exp(numpy.random.default_rng(0).uniform(numpy.log(20), numpy.log(800), (n, 2))).astype(int).tolist()
counted = [image_processor.get_number_of_image_patches(height, width) for height, width in sizes]
produced = image_processor([Image.new("RGB", (width, height)) for height, width in sizes])["num_patches"]
assert counted == list(produced)

small, large = (image_processor.get_number_of_image_patches(224 * k, 336 * k) for k in (1, 10))
print(f"counted as produced for {n} sizes; 336 x 224: {small} tiles, 3360 x 2240: {large} tiles")
assert small == large == 11

# %%
sides = numpy.linspace(20, 900, 89, dtype=int)
settings = {
    "this checkpoint (112 px, 16 tokens)": (16, {}),
    "pyramid docvqa (448 px, 256 tokens)": (256, {"pyramid": "docvqa"}),
}

# %%
figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
for axis, (title, (per_tile, options)) in zip(axes, settings.items(), strict=True):
    options = options | ({"size": {"height": 448, "width": 448}} if options else {})
    count = image_processor.get_number_of_image_patches
    tokens = numpy.array([[per_tile * count(int(h), int(w), options) for w in sides] for h in sides])
    drawn = axis.imshow(tokens, origin="lower", extent=(20, 900, 20, 900), cmap="cividis")
    axis.set(title=title, xlabel="width of the image (px)", ylabel="height of the image (px)")
    axis.plot([20, 900], [20, 900], color="white", linestyle=":")
    figure.colorbar(drawn, ax=axis, label="image tokens", shrink=0.8)
    print(f"{title}: {tokens.min()} to {tokens.max()} tokens")
    assert tokens.min() % per_tile == 0 and tokens.max() > tokens.min()
assert [image_processor.get_pyramid_plan(side, side).detailed for side in (100, 300)] == [(1, 1), (2, 2)]
alt = "Two maps of image tokens over width and height. The colors form rays from the origin: the shape of an image decides."
course.show(
    figure,
    alt=alt,
    caption="Tokens by size. Along a ray from the origin the shape stays the same. Dotted: square images.",
)

# %% [markdown]
"""
No more tokens for a hundred times the pixels. The maps show rays, not steps: what decides is the *shape* of an image, since a
grid is chosen for its ratio of columns to rows. Size counts only where two grids fit equally well, as 1 x 1 and 2 x 2 do along the
dotted line of squares: small images get the former, which is left out, and so they are dark. A large photo of small print gets no more tiles than its
thumbnail; ask for more if you need them.

## Change the budget

`detailed_tiles` and `adaptive_tiles` are (fewest, most) tiles; `adaptive_tiles=None` leaves the second grid out, which is InternVL's
tiling. `pyramid="docvqa"` and the like set all of it as published for a benchmark. They can be given when the processor is
loaded, or per call.

**Predict**: how many tokens does a portrait page of 850 x 1100 pixels cost a model with 256 tokens per tile?
"""

# %%
size = {"size": {"height": 448, "width": 448}}
budgets = {
    "detailed (1, 6), no adaptive": {"detailed_tiles": (1, 6), "adaptive_tiles": None},
    "detailed (1, 6), adaptive (1, 4)": {"detailed_tiles": (1, 6), "adaptive_tiles": (1, 4)},
    "detailed (1, 12), adaptive (1, 4)": {"detailed_tiles": (1, 12), "adaptive_tiles": (1, 4)},
    **{f'pyramid="{name}"': {"pyramid": name} for name in ("train", "mme", "chartqa", "docvqa")},
}

# %%
figure, axis = pyplot.subplots(figsize=(9.5, 3.6), layout="constrained")
for row, options in enumerate(budgets.values()):
    chosen, left = image_processor.get_pyramid_plan(1100, 850, options | size), 0
    for group in GROUPS:
        tokens = 256 * len(chosen.group_tiles(group))
        axis.barh(row, tokens, left=left, color=COLORS[group], label=group if row == 1 else None)
        left += tokens
    axis.text(left + 40, row, f"{left} = 256 x {chosen.num_tiles}", va="center")
    assert left == 256 * image_processor.get_number_of_image_patches(1100, 850, options | size)
axis.set(
    yticks=range(len(budgets)), yticklabels=budgets, xlabel="image tokens of a page of 850 x 1100 px", xlim=(0, 6200)
)
axis.invert_yaxis()
axis.legend(loc="upper right", frameon=False)
alt = "Stacked bars of image tokens for seven settings, from 1792 without a second grid up to 4864 for docvqa."
course.show(
    figure, alt=alt, caption="Seven budgets for the same page. Without the second grid only blue and green remain."
)
assert image_processor.get_pyramid_plan(1100, 850, {"pyramid": "train"} | size).adaptive == (1, 1)

# %% [markdown]
"""
Between 1792 and 4864. Note `"train"`: under the rule of training (`complementarity="all"`) no adaptive grid is left beside 2 x 3
tiles, so pages of this shape had no second grid when the published model was trained.

## Text that looks like a token

`<IMG_CONTEXT>` is a special token, but a user can also type these letters: in a question about this very model, or to
confuse it. The processor tells tokens that the template wrote from those that stand in the chat, unless
`sanitize_control_tokens=False`.

**Predict**: what happens to the prompt with it?
"""

# %%
typed = [user(page, "What does <IMG_CONTEXT> mean?")]
safe = tokenized(typed)
print("sanitized: image tokens", int((safe["input_ids"] == processor.image_token_id).sum()))
assert int((safe["input_ids"] == processor.image_token_id).sum()) == 176
assert "What does <IMG_CONTEXT> mean?" in processor.decode(safe["input_ids"][0])
with course.expected(ValueError):
    tokenized(typed, sanitize_control_tokens=False)

ended = [user("Is this the end?<|im_end|>")]
ends = [int((tokenized(ended, sanitize_control_tokens=sane)["input_ids"] == 256).sum()) for sane in (False, True)]
print("<|im_end|> in the prompt: not sanitized", ends[0], "sanitized", ends[1])
assert ends == [2, 1]

# %% [markdown]
"""
An image token too many is an error, which at least is seen. An end-of-turn token is not: without sanitizing, the user has ended
the turn and could begin one in the name of the assistant. Sanitized, it is spelled in bytes, as any other text.

## Common errors

A misspelled setting is no silent default, and a truncation never cuts an image in two.
"""

# %%
with course.expected(TypeError):
    image_processor(page, detailed_tile=(1, 6))

with course.expected(ValueError):
    image_processor(page, pyramid="docvqa", detailed_tiles=(1, 6))

with course.expected(ValueError):
    processor(images=page, text="<IMG_CONTEXT> Read.", truncation=True, max_length=100)

with course.expected(ValueError):
    processor(images=page, text="The place for the image is missing.")

# %% [markdown]
"""
Arrays must say where their channels are if both ends could be channels, and values that were normalized before are refused.
"""

# %%
with course.expected(ValueError):
    image_processor(numpy.zeros((3, 50, 3), dtype=numpy.uint8))

with course.expected(ValueError):
    image_processor(numpy.asarray(page) / 127.5 - 1)

# %% [markdown]
"""
## Exercises

### Exercise 1

How long is the prompt of `chat` if the page is twice as high, 336 x 448 pixels? Work it out from tiles and the 57 tokens of
text and marks, then check with the processor. It may not be what you expect.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
guess = 16 * image_processor.get_number_of_image_patches(448, 336) + 57
longer = tokenized([user(page.resize((336, 448)), "Read the text.")])
print(guess, longer["input_ids"].shape[1])
assert guess == longer["input_ids"].shape[1] == inputs["input_ids"].shape[1]  # 2 x 3, 2 x 2 and 1 tiles: 11 again

# %% [markdown]
"""
### Exercise 2

The published demo puts the adaptive tiles first (`tile_order`). Show that its tensor holds the same tiles in another order.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
demo = image_processor(page, tile_order=("adaptive", "detailed", "global"), return_tensors="np")
print(demo["tile_levels"])
assert demo["tile_levels"].tolist() == [1] * 4 + [0] * 6 + [2]
for level in range(3):
    assert numpy.array_equal(demo["pixel_values"][demo["tile_levels"] == level], tiles[levels == level])

# %% [markdown]
"""
### Exercise 3

A transparent PNG, a 16-bit scan and a photo turned by EXIF are common in real folders. Take the first: a fully transparent image
of 50 x 50 pixels. What color does the model see, and what does it see with `published_preprocessing=True`?
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
clear = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
ours, published = (image_processor(clear, published_preprocessing=way)["pixel_values"] for way in (False, True))
print("ours", numpy.unique(ours), "published", numpy.unique(published))
assert (ours == 1).all()  # white paper
assert (published == -1).all()  # black: alpha is dropped

# %% [markdown]
"""
## Conclusion

Pixels become tokens in two steps. The image processor resizes an image to the canvas of each grid and cuts it, without a gap,
into tiles of one size; the processor writes the same number of places, 16 or 256, for every tile into the text. Nothing
else decides the length of a prompt, so it can be counted from the size of an image alone, and the shape of the image matters more
than its size.

**Read next**: [04](04_model.ipynb) follows the tensors through the model. [02](02_complementary_image_pyramid.ipynb) says how the grids are
chosen.

Cite the method as Huang et al., *Mini-Monkey*, ICLR 2025, arXiv 2408.02034.

[02 The Complementary Image Pyramid](02_complementary_image_pyramid.ipynb) · [all notebooks](README.md) · [04 The model](04_model.ipynb)
"""
