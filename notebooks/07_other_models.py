# %% [markdown]
"""
# Can other models have these eyes?

[06 The published weights](06_published_weights.ipynb) · [all notebooks](README.md) · [08 Fine-tune](08_fine_tune.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/07_other_models.ipynb) [Source of this notebook](07_other_models.py)

> **You will learn**: how `CIPProcessor` gives InternVL, LLaVA-OneVision and MiniCPM-V a second grid without touching the model, where
> the new tiles enter in each, and in which of them it helped small trained models.
>
> **You need**: [02](02_complementary_image_pyramid.ipynb) and a rough idea of a processor. **Time**: about 1 min **Hardware**: two CPU cores, 2 GB of memory.
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
## One processor in place of another

CIP decides which tiles an image is cut into. A model that takes any number of tiles needs no new weights for that, only a processor that cuts more of them
and writes a prompt with room for them. With a checkpoint of yours it is one line:

    from processing_minimonkey.plug_in import CIPProcessor

    processor = CIPProcessor.from_pretrained("llava-hf/llava-onevision-qwen2-0.5b-ov-hf")

Here there is no network, so the three families are built at tiny size, as Transformers' own classes with **random weights**: they have the shapes and prompts of
their families and say nothing sensible. Their processors are real; tiles have 112 px, up to six of them, 16 or 64 tokens per tile. The page is 336 x 224 px, 3 x 2 tiles.

**Predict**: which of the three puts the tiles of a page into one tensor of shape (tiles, 3, height, width)?
"""

# %%
import torch
from PIL import Image, ImageDraw
from transformers import InternVLProcessor, LlavaOnevisionProcessor

from benchmarks.sawtooth.readers.families import FAMILIES, family_model, family_processor
from benchmarks.sawtooth.readers.rendering import load_font
from processing_minimonkey.plug_in import CIPProcessor

page = Image.new("RGB", (336, 224), "white")
for line, (x, y) in {"fresh bread": (20, 40), "open sunday": (60, 88), "from seven": (40, 165)}.items():
    ImageDraw.Draw(page).text((x, y), line, fill="black", font=load_font("DejaVuSans", 26), anchor="lm")

own = {family: family_processor(family) for family in FAMILIES}
cip = {family: CIPProcessor.from_processor(own[family], adaptive_tiles=(1, 4)) for family in FAMILIES}


def make_inputs(processor, image=page):
    content = [{"type": "image"}, {"type": "text", "text": "Read the text."}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    return processor(text=[prompt], images=[[image]], return_tensors="pt")


before = {family: make_inputs(processor) for family, processor in own.items()}
after = {family: make_inputs(processor) for family, processor in cip.items()}

# %%
for family in FAMILIES:
    print(family)
    for name in after[family]:
        print(f"    {name:17} {tuple(before[family][name].shape)!s:22} with CIP {tuple(after[family][name].shape)}")

assert before["internvl"]["pixel_values"].shape == (7, 3, 112, 112)  # 3 x 2 tiles and the whole page
assert after["internvl"]["pixel_values"].shape == (11, 3, 112, 112)  # and 2 x 2
assert after["llava_onevision"]["pixel_values"].shape == (2, 7, 3, 112, 112)
assert isinstance(cip["internvl"], InternVLProcessor) and isinstance(cip["llava_onevision"], LlavaOnevisionProcessor)

# %% [markdown]
"""
Three layouts: InternVL stacks tiles; LLaVA-OneVision has a row of tiles per image, padded to the longest; MiniCPM-V joins the patches of all slices side by side, with
their sizes in `target_sizes`, since its slices needn't be square. Each `CIPProcessor` is an instance of its family's class.

## Switched off, nothing has changed

The first thing to ask of a processor that takes the place of another: `adaptive_tiles=None` has to give the family's own inputs, bit for bit.

**Predict**: an image that the family doesn't cut, does it get a second grid?
"""

# %%
for family in FAMILIES:
    off = CIPProcessor.from_processor(own[family], adaptive_tiles=None)
    inputs = make_inputs(off)
    assert inputs.keys() == before[family].keys()
    assert all(torch.equal(inputs[name], before[family][name]) for name in inputs)
    print(f"{family:16} {len(inputs)} tensors equal")

small = page.crop((0, 0, 100, 90))  # smaller than a tile
for family in FAMILIES:
    first, second = make_inputs(own[family], small), make_inputs(cip[family], small)
    assert all(torch.equal(first[name], second[name]) for name in first)
print("an image that is left whole: equal, too")

# %% [markdown]
"""
No: where there is no cut there is nothing to mend.

## Where the new tiles enter

A language model sees image tokens in an order, with separators that it knows. The second grid has to enter in the family's own manner.

**Predict**: where in the prompt would you put the second grid of MiniCPM-V, which writes a line of slices per row?
"""

# %%
import re


def prompt(family, inputs):
    """The prompt with every run of image tokens as a number."""
    token = own[family].image_token
    text = own[family].tokenizer.decode(inputs["input_ids"][0])
    return re.sub(f"(?:{re.escape(token)})+", lambda run: f"[{len(run[0]) // len(token)}]", text).strip()


for family in FAMILIES:
    for name, inputs in (("own", before), ("with CIP", after)):
        body = prompt(family, inputs[family]).split("\n", 1)[1].split("\nRead")[0]
        print(f"{family}, {name}:\n{body}\n")

assert "<img>[176]</img>" in prompt("internvl", after["internvl"])
assert 176 == 16 * (6 + 4 + 1)
assert prompt("minicpmv", after["minicpmv"]).count("<slice>") == 6 + 4

# %% [markdown]
"""
- **InternVL**: one run of tokens. Own tiles, then the second grid, then the whole page (the thumbnail) at the end, as in Mini-Monkey.
- **LLaVA-OneVision**: one run as well, but made of two images: the page and the page stretched to the second grid, each with a thumbnail first and a *newline feature* after each row
  of patches.
- **MiniCPM-V**: the overview, own slices row by row, then the rows of the second grid below.

Count the tokens of LLaVA-OneVision, 64 per tile:
"""

# %%
number = {family: int((after[family]["input_ids"] == own[family].image_token_id).sum()) for family in FAMILIES}
fewer = {family: int((before[family]["input_ids"] == own[family].image_token_id).sum()) for family in FAMILIES}
tile, newlines = 64, 8  # features of a tile, rows of patches in a tile
first_view = tile * (1 + 6) + 2 * newlines  # thumbnail, 3 x 2 tiles; a newline for each of 2 x 8 rows of patches
second_view = tile * (1 + 4) + 2 * newlines  # a second thumbnail, 2 x 2 tiles
print("LLaVA-OneVision:", first_view, "+", second_view, "=", first_view + second_view)
print({family: f"{fewer[family]} -> {number[family]} image tokens" for family in FAMILIES})

assert fewer["llava_onevision"] == first_view and number["llava_onevision"] == first_view + second_view
assert after["llava_onevision"]["image_sizes"].tolist() == [[224, 336], [224, 224]]
assert number["internvl"] == fewer["internvl"] + 4 * 16

# %% [markdown]
"""
The second thumbnail of LLaVA-OneVision repeats the global view: the model's own code makes one for every image, and the model is not touched.

## The tiles, family by family

From the tensors back to pictures. InternVL first; what is new is framed in orange.
"""

# %%
import matplotlib.pyplot as plt


def draw(tiles, is_new, columns, alt, caption):
    """A row of pictures per family; `tiles` are (height, width, 3) between -1 and 1."""
    rows = -(-len(tiles) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(9, 1.55 * rows), layout="constrained", squeeze=False)
    for axis in axes.flat[len(tiles) :]:
        axis.set_axis_off()
    for number, (axis, tile, new) in enumerate(zip(axes.flat, tiles, is_new, strict=False)):
        axis.imshow(tile * 0.5 + 0.5)
        axis.set(xticks=[], yticks=[])
        axis.set_title(str(number), fontsize=10, pad=3)
        axis.spines[:].set(visible=True, color="#D55E00" if new else "#0072B2", linewidth=3)
    course.show(figure, alt=alt, caption=caption)


# %%
pixels = after["internvl"]["pixel_values"]
assert torch.equal(torch.cat([pixels[:6], pixels[-1:]]), before["internvl"]["pixel_values"])
draw(
    [tile.permute(1, 2, 0) for tile in pixels],
    [6 <= number < 10 for number in range(11)],
    6,
    "Eleven tiles of InternVL: six of its own, four framed in orange from the second grid, the whole page last.",
    "InternVL: own tiles (blue), second grid (orange), thumbnail, in the order of the prompt.",
)

# %%
pixels, size = after["llava_onevision"]["pixel_values"], (5, 7)
assert torch.equal(pixels[0], before["llava_onevision"]["pixel_values"][0])
assert not pixels[1, 5:].any()  # padding, which the model skips
tiles = [tile.permute(1, 2, 0) for tile in torch.cat([pixels[0], pixels[1, :5]])]
draw(
    tiles,
    [number >= 7 for number in range(12)],
    7,
    "Twelve tiles of LLaVA-OneVision: thumbnail and six tiles in blue, a second thumbnail and four tiles in orange.",
    "LLaVA-OneVision: the page with its thumbnail first (blue), then the same page again under the second grid (orange).",
)

# %% [markdown]
"""
MiniCPM-V's tensor has to be taken apart: each slice is a strip of patches of 14 px, `target_sizes` says how many rows and columns of them.

**Predict**: are the slices of its second grid squares?
"""


# %%
def slices(inputs):
    """(height, width, 3) per slice."""
    found, start = [], 0
    for rows, columns in inputs["target_sizes"].tolist():
        end = start + rows * columns * 14
        strip = inputs["pixel_values"][0, ..., start:end].unflatten(
            -1, (rows, columns, 14)
        )  # (3, 14, rows, columns, 14)
        found.append(strip.permute(2, 1, 3, 4, 0).reshape(rows * 14, columns * 14, 3))
        start = end
    return found


found = slices(after["minicpmv"])
print([tuple(each.shape[:2]) for each in found])
assert all(torch.equal(*pair) for pair in zip(found, slices(before["minicpmv"]), strict=False))
assert [tuple(each.shape[:2]) for each in found] == [(84, 140)] + 6 * [(112, 112)] + 4 * [(84, 140)]
draw(
    found,
    [number >= 7 for number in range(11)],
    7,
    "Eleven slices of MiniCPM-V: overview and six slices in blue, four wider slices in orange.",
    "MiniCPM-V: overview, own slices (blue), slices of the second grid (orange), which keep the shape of the letters.",
)

# %% [markdown]
"""
No: MiniCPM-V keeps the page's aspect ratio and makes wider slices instead, so the second grid costs no distortion there.

## A model runs on it

The models have random weights, so only this can be seen: they take the inputs as they are, and the second grid reaches the answer.

**Predict**: in which family does the prompt grow most?
"""

# %%
lengths = {}
for family in FAMILIES:
    torch.manual_seed(0)
    model = family_model(family, "3m").eval()
    with torch.no_grad():
        first, second = model(**before[family]).logits[0, -1], model(**after[family]).logits[0, -1]
    lengths[family] = before[family]["input_ids"].shape[1], after[family]["input_ids"].shape[1]
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    change = (first - second).abs().max()
    print(
        f"{family:16} {millions:.1f} million weights, prompt {lengths[family]}, the logits change by up to {change:.3f}"
    )
    assert change > 1e-3 and second.isfinite().all()

assert lengths == {"internvl": (169, 233), "llava_onevision": (519, 855), "minicpmv": (184, 254)}

# %% [markdown]
"""
The prompt grows by 38% in InternVL and MiniCPM-V and by 65% in LLaVA-OneVision, which pays for a second thumbnail and more tokens per tile. Attention grows faster than that, the vision tower with the number of tiles.

## Does it help? What trained models read

Small models of the three families were trained on rendered text for our benchmark: *plain* with the family's own tiling, *fine-tuned* 200 to 400 steps more with CIP. **They are not in the
repository**; their readings are: `benchmarks/sawtooth/results/sweep-<family>-{plain,pyramid}.csv`, 24 words never seen in training, at 70 places, letters of 24 px. The InternVL has the weights of the small
Mini-Monkey, in Transformers' own class.

**Predict**: in which of the six cases does the second grid help?
"""

# %%
from benchmarks.sawtooth.report.comparisons import gain
from benchmarks.sawtooth.report.readings import load
from benchmarks.sawtooth.report.statistics import bootstrap, mean, verdict

RESULTS = course.ROOT / "benchmarks" / "sawtooth" / "results"
METHODS = {"detailed + global": "without", "pyramid any": "with CIP"}
readings, gains = {}, {}
for family in FAMILIES:
    for trained in ("plain", "pyramid"):
        table = load(RESULTS / f"sweep-{family}-{trained}.csv")
        table = table[table["size"] == 24]
        gains[family, trained] = gain(table, "pyramid any", "detailed + global")
        for method in METHODS:
            part = table[table["method"] == method]
            readings[family, trained, method] = bootstrap(part["word"], mean(part["accuracy"]))
            assert len(part["word"]) == 1680

for key, estimate in gains.items():
    values = [100 * readings[(*key, method)][0] for method in METHODS]
    text = "{:5.1f} [{:.1f}, {:.1f}]".format(*(100 * value for value in estimate))
    print(f"{key[0]:16} {key[1]:8} {values[0]:.1f} % -> {values[1]:.1f} %, gain {text}: {verdict(estimate)}")

# %%
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharey=True, layout="constrained")
for axis, family in zip(axes, FAMILIES, strict=True):
    for shift, (method, label), color in zip((-0.1, 0.1), METHODS.items(), ("#0072B2", "#D55E00"), strict=True):
        for place, trained in enumerate(("plain", "pyramid")):
            middle, low, high = (100 * value for value in readings[family, trained, method])
            error = [[middle - low], [high - middle]]
            name = label if place == 0 else None
            axis.errorbar(place + shift, middle, yerr=error, fmt="o", color=color, capsize=4, label=name)
    axis.set(
        title=family, xticks=(0, 1), xticklabels=("plain", "fine-tuned\nwith CIP"), xlim=(-0.5, 1.5), ylim=(0, 100)
    )
axes[0].set_ylabel("character accuracy, %")
axes[0].legend(frameon=False, loc="lower left", title="second grid")
course.show(
    figure,
    alt="Accuracy of three families, plain and fine-tuned, without and with CIP; only the fine-tuned MiniCPM-V clearly gains.",
    caption="1,680 readings of 24 words per point, 95% intervals over words. Letters of 24 px in tiles of 112 px.",
)

# %%
verdicts = {key: verdict(estimate) for key, estimate in gains.items()}
assert verdicts["internvl", "plain"] == verdicts["minicpmv", "plain"] == "reversed"
assert verdicts["internvl", "pyramid"] == "not shown"
assert verdicts["llava_onevision", "plain"] == "yes" and verdicts["llava_onevision", "pyramid"] == "reversed"
assert verdicts["minicpmv", "pyramid"] == "yes"
assert readings["llava_onevision", "plain", "pyramid any"][2] < 0.6  # it hardly reads

# %% [markdown]
"""
- **InternVL**: 10.5 points worse without training, 0.7 better with it (-0.2 to 1.8): not shown.
- **LLaVA-OneVision**: 5.3 points better without training, but that model reads only half of the letters and gains nothing on the cut lines themselves; fine-tuned, it reads 2.3 points *less* with the second grid.
- **MiniCPM-V**: 39.4 points worse without training (three answers in four are then more than one word: it writes words down twice); fine-tuned, 6.1 points better (4.4 to 7.9), 8.7 on cut lines. It is the one family that clearly gains, and the weakest of the
  fine-tuned readers.

Expected was a gain in all three. And what MiniCPM-V gained by training on is not separated from CIP: no family but the small Mini-Monkey has a control that was trained as long without. Large models were
not measured at all.
"""


# %%
def on_lines(family, trained):
    table = load(RESULTS / f"sweep-{family}-{trained}.csv")
    return gain(table[table["size"] == 24], "pyramid any", "detailed + global", at_lines=True)


for key in (("llava_onevision", "plain"), ("minicpmv", "pyramid")):
    print(*key, "on cut lines: {:.1f} [{:.1f}, {:.1f}]".format(*(100 * value for value in on_lines(*key))))
assert verdict(on_lines("llava_onevision", "plain")) == "not shown"
assert verdict(on_lines("minicpmv", "pyramid")) == "yes"

table = load(RESULTS / "sweep-minicpmv-plain.csv")
table = table[table["size"] == 24]
several = {
    method: [len(answer.split()) > 1 for answer in table["answer"][table["method"] == method]] for method in METHODS
}
for method, label in METHODS.items():
    print(f"minicpmv plain {label}: {100 * sum(several[method]) / 1680:.0f} % of the answers are more than one word")
assert sum(several["pyramid any"]) > 2 * sum(several["detailed + global"])

# %% [markdown]
"""
The readings of InternVL are also a check of the code: another processor, another model class, the same weights. Nearly every answer has to be that of Mini-Monkey.
"""


# %%
def answers(model):
    table = load(RESULTS / f"sweep-{model}.csv")
    names = ("method", "columns", "rows", "axis", "position", "word", "size", "answer")
    return {key[:-1]: key[-1] for key in zip(*(table[name] for name in names), strict=True)}


for trained in ("plain", "pyramid"):
    ours, native = answers(f"6m-{trained}"), answers(f"internvl-{trained}")
    same = [ours[key] == answer for key, answer in native.items()]
    print(f"{trained:8} {sum(same)} of {len(same)} places, words and ways to cut have equal answers")
    assert sum(same) >= 0.995 * len(same)

# %% [markdown]
"""
## Common errors

A processor of another kind, and a range upside down:
"""

# %%
with course.expected(ValueError):
    CIPProcessor.from_processor(own["internvl"].tokenizer)
with course.expected(ValueError):
    CIPProcessor.from_processor(own["internvl"], adaptive_tiles=(4, 1))

# %% [markdown]
"""
A third one makes no noise: the default `adaptive_tiles=(3, 7)` fits families that cut up to twelve tiles. LLaVA-OneVision takes only grids of its `image_grid_pinpoints`; if none of them is in the range,
there is no second grid and no message.

## Exercises

### Exercise 1

How many tokens more than `(1, 4)` does the default range cost InternVL on a square page? Why none on the page above?
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
default = CIPProcessor.from_processor(own["internvl"])  # 3 to 7 tiles
square = page.resize((336, 336))
shorter, longer = (make_inputs(processor, square)["input_ids"].shape[1] for processor in (cip["internvl"], default))
print(longer - shorter, "tokens more on the square page")
assert longer - shorter == 16 * (2 * 3 - 1 * 3)  # 2 x 3 is within the default range and less stretched than 1 x 3
assert len(make_inputs(default)["pixel_values"]) == 11  # 2 x 2 is the best of both ranges

# %% [markdown]
"""
### Exercise 2

Show that `complementarity="joint"` leaves the family's own grid as it is and changes only the second one.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
joint = make_inputs(CIPProcessor.from_processor(own["internvl"], adaptive_tiles=(1, 4), complementarity="joint"))
pixels = joint["pixel_values"]
print(len(pixels) - 7, "tiles in the second grid instead of 4")
assert torch.equal(pixels[:6], before["internvl"]["pixel_values"][:6])
assert len(pixels) == 6 + 2 + 1  # 2 x 1 shares no cut line with 3 x 2

# %% [markdown]
"""
### Exercise 3

A LLaVA-OneVision sample with two images is not cut at all by its family. What does CIP do with it?
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
text = "<image><image>Read."
pair = [
    cut(text=[text], images=[[page, page]], return_tensors="pt")
    for cut in (own["llava_onevision"], cip["llava_onevision"])
]
print({name: tuple(value.shape) for name, value in pair[1].items()})
assert all(torch.equal(pair[0][name], pair[1][name]) for name in pair[0])  # nothing

# %% [markdown]
"""
## Conclusion

Yes: `CIPProcessor` takes the place of a family's processor, adds the second grid in the family's own order and separators, and gives the family's inputs bit for bit when it is switched off. Whether a
model is better for it has to be measured: of three small families one gained clearly, after training with it, and none on cut lines without training.

Read next: [08](08_fine_tune.ipynb) trains with a second grid, [10](10_measure.ipynb) measures; `benchmarks/LOG.md` has the story of the three families.

Cite: Huang et al., *Mini-Monkey*, ICLR 2025, arXiv 2408.02034.

[06 The published weights](06_published_weights.ipynb) · [all notebooks](README.md) · [08 Fine-tune](08_fine_tune.ipynb)
"""
