# %% [markdown]
"""
# Can other models use a second grid?

[06 The published weights](06_published_weights.ipynb) · [all notebooks](README.md) · [08 Fine-tune](08_fine_tune.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/07_other_models.ipynb) [Source of this notebook](07_other_models.py)

> **You will learn**: how `CIPProcessor` gives InternVL, LLaVA-OneVision and MiniCPM-V a second grid without touching the model, where
> the new tiles enter in each family, which small trained readers read better by them, and what the rest wrote instead.
>
> **You need**: [02 The complementary image pyramid](02_complementary_image_pyramid.ipynb) and a rough idea of a processor ([03 The processor](03_processor.ipynb)).
> **Time**: 15 min to read, 1 min to run. **Hardware**: two CPU cores, 2 GB of memory.
>
> **Contents**: [One processor in place of another](#One-processor-in-place-of-another) · [Switched off, nothing has changed](#Switched-off,-nothing-has-changed) · [Where the new tiles enter](#Where-the-new-tiles-enter) · [The tiles, family by family](#The-tiles,-family-by-family) · [A model runs on it](#A-model-runs-on-it) · [Does it help? What trained models read](#Does-it-help?-What-trained-models-read) · [What is lost, and how](#What-is-lost,-and-how) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
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
## One processor in place of another

CIP decides which tiles an image is cut into. A model that takes any number of tiles needs no new weights for that, only a processor that cuts more of them
and writes a prompt with room for them. It *runs* without new weights. Whether it reads better is another matter: of our three small models none wrote more words right by it before a training with a second grid, two lost much, and not all gained after one ([below](#Does-it-help?-What-trained-models-read)). With a checkpoint of yours it is one line:

    from processing_minimonkey.plug_in import CIPProcessor

    processor = CIPProcessor.from_pretrained("llava-hf/llava-onevision-qwen2-0.5b-ov-hf")

This notebook downloads no weights. The three families are built at tiny size, as Transformers' own classes (of MiniCPM-V version 4.6, `MiniCPMV4_6Processor`) with **random weights**: they have the shapes and prompts of their families and say nothing sensible. Their processors are real; tiles have 112 px, up to six of them. A tile of 112 x 112 px is 16 tokens in InternVL and MiniCPM-V and 64 in LLaVA-OneVision. The page is 336 x 224 px, 3 x 2 tiles.

**Predict**: which of the three puts the tiles of a page into one tensor of shape (tiles, 3, height, width)?
"""

# %%
import torch
from PIL import Image, ImageDraw

from benchmarks.sawtooth.readers.families import (
    FAMILIES,
    family_model,
    family_processor,
)
from benchmarks.sawtooth.readers.rendering import load_font
from processing_minimonkey.plug_in import CIPProcessor

page = Image.new("RGB", (336, 224), "white")
lines = (
    "fresh bread and cakes",
    "open on sunday too",
    "from seven to four",
    "ask for more inside",
)
style = {"fill": "black", "font": load_font("DejaVuSans", 27), "anchor": "mm"}
for line, height in zip(lines, (26, 69, 112, 190), strict=True):
    ImageDraw.Draw(page).text((168, height), line, **style)

# %%
own = {family: family_processor(family) for family in FAMILIES}
cip = {}
for family, processor in own.items():
    cip[family] = CIPProcessor.from_processor(processor, adaptive_tiles=(1, 4))


def make_inputs(processor, image=page):
    content = [{"type": "image"}, {"type": "text", "text": "Read the text."}]
    chat = [{"role": "user", "content": content}]
    text = processor.apply_chat_template(chat, add_generation_prompt=True)
    return processor(text=[text], images=[[image]], return_tensors="pt")


before = {family: make_inputs(processor) for family, processor in own.items()}
after = {family: make_inputs(processor) for family, processor in cip.items()}

# %%
cells = []
for family in FAMILIES:
    for name in after[family]:
        shapes = (tuple(each[family][name].shape) for each in (before, after))
        cells.append([f"{family}, `{name}`", *shapes])
course.table(["", "own", "with CIP"], cells)

# %% [markdown]
"""
Only InternVL. (From here on, three words for all families: *detailed* is the family's own grid, *adaptive* is the second one, which CIP adds, and *global* is the whole page in one tile, which the families call thumbnail or overview.)

There are three layouts:

- **InternVL** stacks all tiles: here 3 x 2 detailed ones and the global one, and with CIP 2 x 2 adaptive ones more.
- **LLaVA-OneVision** has one entry per image, padded to the most tiles; the second grid is a second image.
- **MiniCPM-V** joins the patches of all slices side by side, with their sizes in `target_sizes`, since its slices needn't be square.

Each `CIPProcessor` is an instance of its family's class.

What does CIP do in InternVL? It squeezes the page to the adaptive grid, cuts it, and inserts the tiles before the global one, with more image tokens in the prompt. By hand:
"""

# %%
squeezed = page.resize((224, 224), resample=Image.Resampling.BICUBIC)
corners = [(x, y) for y in (0, 112) for x in (0, 112)]
tiles = [squeezed.crop((x, y, x + 112, y + 112)) for x, y in corners]
alone = [make_inputs(own["internvl"], tile)["pixel_values"] for tile in tiles]
detailed, whole_page = before["internvl"]["pixel_values"].split((6, 1))
by_hand = torch.cat([detailed, *alone, whole_page])
print(
    "farthest pixel:", float((by_hand - after["internvl"]["pixel_values"]).abs().max())
)
assert torch.equal(by_hand, after["internvl"]["pixel_values"])

# %% [markdown]
"""
The same, to the last pixel, and that is all of it. These are the two grids that all three families have on this page:
"""

# %%
import schemes
import second_grids

course.show(
    second_grids.plot_both_grids(page, (3, 2), (2, 2)),
    alt="The page under a grid of 3 x 2 tiles in blue, under one of 2 x 2 in orange, "
    "and both: their vertical lines differ, the horizontal one is dashed in both colors.",
    caption="Look at the right panel: the vertical lines differ, but both grids have "
    "the line at half height, and it runs through the third line of text.",
)

# %% [markdown]
"""
The words on that line are cut by both grids. The published rule, `any`, allows common lines as long as the second grid has one of its own ([02](02_complementary_image_pyramid.ipynb)); `complementarity="joint"` avoids it here (exercise 2).

## Switched off, nothing has changed

The first thing to ask of a processor that takes the place of another: `adaptive_tiles=None` has to give the family's own inputs, bit for bit.

**Predict**: does an image that the family doesn't cut get a second grid?
"""

# %%
small = page.crop((0, 0, 100, 90))  # smaller than a tile


def equal(first, second):
    """Whether two processors gave the same names and tensors."""
    same_names = first.keys() == second.keys()
    return same_names and all(torch.equal(first[name], second[name]) for name in first)


for family, processor in own.items():
    off = CIPProcessor.from_processor(processor, adaptive_tiles=None)
    switched_off = equal(before[family], make_inputs(off))
    whole = equal(make_inputs(processor, small), make_inputs(cip[family], small))
    print(f"{family:16} equal: switched off {switched_off}, image left whole {whole}")
    assert switched_off and whole

# %% [markdown]
"""
No: where there is no cut there is nothing to mend. (`CIPProcessor` follows the family there. Mini-Monkey's own processor gives such an image its adaptive grid all the same: [03](03_processor.ipynb), and the images of [08](08_fine_tune.ipynb).)

## Where the new tiles enter

A language model sees image tokens in an order, with separators that it knows. The second grid must follow the family's own format. The next cell writes a run of image tokens as its length in brackets: `[112]` stands for 112 of them.

**Predict**: where in the prompt would you put the second grid of MiniCPM-V, which writes a line of slices per row?
"""

# %%
import re


def shortened_prompt(family, inputs):
    """The prompt with every run of image tokens as a number."""
    token = own[family].image_token
    text = own[family].tokenizer.decode(inputs["input_ids"][0])
    return re.sub(
        f"(?:{re.escape(token)})+", lambda run: f"[{len(run[0]) // len(token)}]", text
    ).strip()


for family in FAMILIES:
    for name, inputs in (("own", before), ("with CIP", after)):
        body = (
            shortened_prompt(family, inputs[family])
            .split("\n", 1)[1]
            .split("\nRead")[0]
        )
        print(f"{family}, {name}:\n{body}\n")


# %% [markdown]
"""
- **InternVL**: one run of 16 · (6 + 4 + 1) tokens: detailed, adaptive, and the global tile at the end, as in Mini-Monkey.
- **LLaVA-OneVision**: one run as well, but made of two images: the page and the page stretched to the adaptive grid, each with a global tile first and a *newline feature* after each row of patches.
- **MiniCPM-V**: the global tile between `<im>` and `</im>`, detailed slices row by row, then the rows of the adaptive grid below. Global and adaptive slices are of 140 x 84 px, 10 x 6 patches, of which four make a token: 15 tokens. So 15 + 6 · 16 = 111 become 111 + 4 · 15 = 171.

Count the tokens of LLaVA-OneVision, 64 per tile:
"""

# %%
tile, newlines = 64, 8  # features of a tile, rows of patches in a tile
# A global tile, 3 x 2 detailed ones, and a newline for each of 2 x 8 rows of patches
first_view = tile * (1 + 6) + 2 * newlines
# A second global tile, 2 x 2 adaptive ones, and their newlines
second_view = tile * (1 + 4) + 2 * newlines
print(f"LLaVA-OneVision: {first_view} + {second_view} = {first_view + second_view}")
for family, processor in own.items():
    counts = []
    for inputs in (before, after):
        is_image = inputs[family]["input_ids"] == processor.image_token_id
        counts.append(int(is_image.sum()))
    print(f"{family:16} {counts[0]} -> {counts[1]} image tokens")

# %% [markdown]
"""
The second global tile of LLaVA-OneVision repeats the first: the model's own code makes one for every image, and the model is not touched.

## The tiles, family by family

From the tensors back to pictures. MiniCPM-V's tensor has to be taken apart: each slice is a strip of patches of 14 px, `target_sizes` says how many rows and columns of them.

**Predict**: are the adaptive slices of MiniCPM-V squares?
"""


# %%
def slices(inputs):
    """(3, height, width) per slice."""
    found, start = [], 0
    for rows, columns in inputs["target_sizes"].tolist():
        end = start + rows * columns * 14
        strip = inputs["pixel_values"][0, ..., start:end]
        patches = strip.unflatten(-1, (rows, columns, 14))  # (3, 14, rows, columns, 14)
        picture = patches.permute(0, 2, 1, 3, 4)  # (3, rows, 14, columns, 14)
        found.append(picture.reshape(3, rows * 14, columns * 14))
        start = end
    return found


DETAILED, ADAPTIVE, GLOBAL = range(3)


def groups(tiles, *parts):
    """Tiles (3, height, width) between -1 and 1, cut into groups of a level and grid."""
    tiles = [tile.permute(1, 2, 0) * 0.5 + 0.5 for tile in tiles]
    for level, grid in parts:
        number = grid[0] * grid[1]
        yield level, grid, tiles[:number]
        tiles = tiles[number:]


own_grid, second, whole = (DETAILED, (3, 2)), (ADAPTIVE, (2, 2)), (GLOBAL, (1, 1))
pixels = after["llava_onevision"]["pixel_values"]
both = torch.cat([pixels[0], pixels[1, :5]])  # the rest of the second row is padding
found = slices(after["minicpmv"])
print("MiniCPM-V:", [tuple(each.shape[1:]) for each in found])
stacked = after["internvl"]["pixel_values"]
families = {
    "InternVL": groups(stacked, own_grid, second, whole),
    "LLaVA-OneVision": groups(both, whole, own_grid, whole, second),
    "MiniCPM-V": groups(found, whole, own_grid, second),
}
course.show(
    schemes.plot_families(families),
    alt="Three rows of numbered tiles, each group as a grid. InternVL: 3 x 2, 2 x 2, "
    "whole page. LLaVA-OneVision: whole, 3 x 2, whole, 2 x 2. MiniCPM-V: whole, 3 x 2, "
    "2 x 2 of wide slices.",
    caption="Every tile that a model gets, numbered in the order of the prompt, at "
    "one scale. Compare where the orange tiles stand, and how wide their letters are.",
)
grids = {"InternVL": (2 * 112, 2 * 112), "MiniCPM-V": (2 * 140, 2 * 84)}
for name, (width, height) in grids.items():
    across, down = width / page.width, height / page.height
    text = f"letters {across:.0%} as wide and {down:.0%} as high, stretch"
    print(
        f"second grid of {name:9}: {text} {max(across, down) / min(across, down):.2f}"
    )

# %% [markdown]
"""
No: MiniCPM-V makes wider slices, so that the second grid distorts the page much less there, by 11% in place of 50%. Its letters come out smaller than the page's, 75% as high; InternVL's are as high and 67% as wide.

## A model runs on it

The models have random weights, so only this can be seen: they take the inputs as they are, and the second grid reaches the answer.

**Predict**: in which family does the prompt grow most?
"""

# %%
for family in FAMILIES:
    torch.manual_seed(0)
    model = family_model(family, "3m").eval()
    with torch.no_grad():
        first = model(**before[family]).logits[0, -1]
        second = model(**after[family]).logits[0, -1]
    lengths = [each[family]["input_ids"].shape[1] for each in (before, after)]
    growth, change = lengths[1] / lengths[0] - 1, (first - second).abs().max()
    print(f"{family:16} prompt {lengths[0]} -> {lengths[1]} tokens, {growth:.0%} more;")
    print(f"{'':16} the logits change by up to {change:.3f}")
    assert change > 1e-3 and second.isfinite().all()

# %% [markdown]
"""
Most in LLaVA-OneVision, for two reasons. It gets a second global tile: without that its image tokens would grow by 59% in place of 72%, about as in the others (57 and 54%; the counts are printed above). And with 64 tokens a tile, its text, which doesn't grow, is a smaller part of the prompt. The vision tower's cost grows with the tiles (here from 7 to 12), that of attention faster than the prompt.

## Does it help? What trained models read

Small models of the three families were trained on rendered text for our benchmark: *plain* with the family's own tiling, then *trained on with CIP*, that is, trained further with a second grid. **They are not in the repository**; their readings are: `benchmarks/sawtooth/results/sweep-<family>-{plain,pyramid}.csv`, 24 words never seen in training, at 70 places, letters of 24 px; of LLaVA-OneVision also of 32 px.

Their budgets differ. LLaVA-OneVision and MiniCPM-V began with the small Mini-Monkey's language model and had 550 steps, then 200 with CIP. InternVL *is* an earlier state of the small checkpoint (`6m-plain` and `6m-pyramid` of [01](01_semantic_sawtooth.ipynb)): trained longer, then 400 steps with CIP, and read by Transformers' own class. Its letters of 32 px were read as Mini-Monkey (`sweep-6m-{plain,pyramid}.csv`); those rows say so.

*Character accuracy* is one minus the edits from the answer to the word, divided by the word's length, and at least 0. So an answer with the right word twice counts 0, like one without a right letter: keep that in mind.

A *gain* is accuracy with the second grid minus that without, on the same words at the same places, with a 95% interval over words: *yes* means that it lies above zero, *reversed* below, *not shown* that it holds zero. Of the notebook's 85 intervals about four may miss the truth by chance. (Gains are taken before rounding.)

A line between rows runs through all letters of a word, one between columns through one letter or a gap. The table takes both together, the folded one has them apart.

**Predict**: in which of these ten rows does the second grid help?
"""

# %%
import tables

from benchmarks.sawtooth.report.comparisons import LINES
from benchmarks.sawtooth.report.readings import load

RESULTS = course.ROOT / "benchmarks" / "sawtooth" / "results"
METHODS = second_grids.METHODS
read = second_grids.read_all(RESULTS)  # by family, training, size of letters
cells, apart, gains = second_grids.gain_rows(read)
head = ["character accuracy, %", *METHODS, "gain, points", "gain on cut lines, points"]
course.table(head, cells)
head = ["gain on cut lines, points", *LINES.values()]
tables.folded("Cut lines between rows and between columns", head, apart)

# %%
course.show(
    second_grids.plot_gains(gains),
    alt="Gains by CIP of three families, plain above and trained on with CIP below. On "
    "cut lines two gain, after training: MiniCPM-V, and by less InternVL at 32 px.",
    caption="Cut lines of both kinds together. Which intervals are above zero, and "
    "which below? Mind the two scales. 1,680 readings of 24 words each way and size, "
    "tiles of 112 px. Open: letters of 32 px, which MiniCPM-V didn't read.",
)

# %% [markdown]
"""
On the cut lines a gain is shown in two of the ten rows, both after training: MiniCPM-V at 24 px, and InternVL at 32 px. Over all places three of the ten gain, four lose, and for three neither is shown. By characters:

- **InternVL**: the plain model is worse at both sizes, by 10.5 and 21.0 points. Trained on with CIP, it gains at 32 px: 1.2 points over all places, 2.6 on cut lines. At 24 px no difference is shown.
- **LLaVA-OneVision**: the plain model is better at 24 px by 5.3 points, but not on the cut lines, nor at 32 px. It is half trained, though: with *one* grid it reads 46% of the characters, and 95% after the 200 steps with CIP. So its rows say little about a finished model. Trained on with CIP it is 2.3 points worse at 24 px; at 32 px nothing is shown.
- **MiniCPM-V**: the plain model is far worse, by 39.4 points. Trained on with CIP it gains 6.1 points, and 8.7 on cut lines (whether that is more, was not tested). It is the one family that then gains at 24 px, and still the weakest of the three readers, so with most to gain; its less distorted slices (figure 2) may help, too. Neither was tested.

We expected a gain in all three. And these gains are within one model, with two grids against one. They don't say that CIP made the better reader: trained as long *without*, it might read more with one grid. For LLaVA-OneVision and MiniCPM-V there is no such *control*, for InternVL there is one:
"""

# %%
head, rows, against = second_grids.control_rows(RESULTS)
course.table(head, rows)
course.table(["24 px, points", "characters", "words to the letter"], against)
course.table(*second_grids.beside_controls())

# %% [markdown]
"""
(All in these tables was read as Mini-Monkey; in the first two the nine answers that differ [below](#What-is-lost,-and-how) move a last digit here and there.) So does it help InternVL? That depends on the question:

- **Two grids or one, in the model trained with CIP?** Two at 32 px; at 24 px nothing is shown.
- **That model or the control?** The control, at 24 px, where alone it was read: the model with two grids reads 2.1 points of characters fewer than the control with one, and 9.0 points of words (last row of the second table).

Where do they go? With one grid already, the model trained with CIP reads 2.7 points less than the control (the reason was not looked into), and its second grid isn't shown to bring any of that back. What this training does remove is the harm of a second grid: the control, which never saw one, loses 6.2 points by it; the model trained with CIP loses nothing that is shown.

That is of single words at one size. The last table is of whole pages, and of three pairs: `6m` (above) and the smaller `3m`, both trained with `any`, and `3m-long`, trained three times as long, with `joint`. It compares two grids with the control's one. One of the six is a gain, two are losses, three are not shown. Each model was trained once, and large models were not measured at all. More on controls is in [10 Measure](10_measure.ipynb).

## What is lost, and how

**Predict**: the second grid shows every word once more, and a reader that never saw such a page may write it once more, too. How much of the loss in words is left if that isn't counted as an error?
"""

# %%
head, cells, gained = second_grids.sort_rows(read)
course.show(
    second_grids.plot_repeated(gained),
    alt="Three panels of ten rows. Answers of several words: more in six rows. The "
    "word to the letter: fewer for the plain InternVL and MiniCPM-V. The word somewhere "
    "in the answer: fewer in no row, more in four.",
    caption="Compare the middle with the right panel, at one scale: a row that loses in "
    "the middle but not on the right read the word, and wrote more beside it. 1,680 "
    "answers each way, 95% intervals over 24 words; gray ones hold zero (left, "
    "LLaVA-OneVision, plain, 32 px lies just below it).",
)
tables.folded("The numbers of figure 4", head, cells)

# %%
head = ["model: word", "answers without CIP, of 70", "with CIP, of 70"]
course.table(head, second_grids.often(read))

# %% [markdown]
"""
None that can be shown: the right panel shows a loss in no row. Many answers with CIP write the word in two lines (the table above; "↵" is a line break), often one of them misread (the folded table counts, in brackets, answers that hold the word twice): the models take the second grid for more lines of text. Then nearly all letters are counted as wrong:

- **InternVL, plain**: of 215 answers of several words 173 hold the word. To the letter it loses 8.9 points; for the word somewhere in the answer no loss is shown. Likewise at 32 px.
- **MiniCPM-V, plain**: 25.2 points lost to the letter, and 6.4 *gained* for the word somewhere in the answer. But of its 1,240 answers of several words, 390 don't hold it.
- **LLaVA-OneVision, trained on with CIP**: to the letter no loss is shown, and at 32 px 11.4 points more of the answers hold the word. So the loss of characters at 24 px doesn't say that it reads less.

An answer of two words has two tries, so the right panel is a lenient measure, and a program that needs one word can't use such an answer. The loss is real, then; but it is mostly one of writing. Behind two tries, a small loss of reading could hide.

Training with CIP ends the repetition in InternVL, and nearly in MiniCPM-V (41 answers of several words are left, 23 without CIP). In LLaVA-OneVision it brings it: 47 and 103 such answers, where there were 2 at either size. Why, was not looked into. What MiniCPM-V and, at 32 px, InternVL gain by the second grid after training shows in characters and in both counts of words.

And the gain of the plain LLaVA-OneVision, 5.3 points of characters? To the letter no gain is shown, at either size. What changed are the answers of accuracy 0:
"""

# %%
for key in (
    ("InternVL", "plain", 24),
    ("LLaVA-OneVision", "plain", 24),
    ("LLaVA-OneVision", "pyramid", 24),
):
    print(f"{second_grids.name_of(*key)}: answers of accuracy 0, and of these")
    print("with several words")
    zero = read[key][read[key]["accuracy"] == 0]
    for way, method in METHODS.items():
        several = zero["several"][zero["method"] == method]
        print(f"{'':8}{way:8} {len(several)}, {several.sum()}")

# %% [markdown]
"""
In the plain LLaVA-OneVision 308 become 154, hardly any of several words: fewer answers are quite wrong, and not more are right. In the other two models nearly all answers of accuracy 0 with CIP have several words: 209 of 210 in InternVL, 46 of 47 in the trained LLaVA-OneVision.

The readings of InternVL are also a check of the code: another processor, another model class, the same weights. Nearly every answer has to be that of Mini-Monkey:
"""


# %%
def answers(model):
    table = load(RESULTS / f"sweep-{model}.csv")
    names = ["method", "columns", "rows", "axis", "position", "word", "size"]
    keys = zip(*(table[name] for name in names), strict=True)
    return dict(zip(keys, table["answer"], strict=True))


for training, label in second_grids.TRAININGS.items():
    label = label.replace("\n", " ")
    ours, native = answers(f"6m-{training}"), answers(f"internvl-{training}")
    same = [ours[key] == answer for key, answer in native.items()]
    print(f"{label:19} {sum(same)} of {len(same)} answers are equal")
    differ = [
        f"{ours[key]}/{native[key]}" for key in native if ours[key] != native[key]
    ]
    print(f"{'':19} the others:", ", ".join(differ) or "none")
    assert sum(same) >= 0.995 * len(same)

# %% [markdown]
"""
All of the plain model are, and all but nine of the other, of which most differ in one letter. Why these nine do, we didn't look.

## Common errors

A processor of another kind, a reversed range, and one that is silent:
"""

# %%
with course.expected(ValueError):
    CIPProcessor.from_processor(own["internvl"].tokenizer)
with course.expected(ValueError):
    CIPProcessor.from_processor(own["internvl"], adaptive_tiles=(4, 1))
silent = CIPProcessor.from_processor(own["llava_onevision"], adaptive_tiles=(7, 9))
for name, each in (("1 to 4", cip["llava_onevision"]), ("7 to 9", silent)):
    print(f"{name} tiles: {len(make_inputs(each)['pixel_values'])} view(s)")
assert len(make_inputs(silent)["pixel_values"]) == 1

# %% [markdown]
"""
The third: the default `adaptive_tiles=(3, 7)` fits families that cut up to twelve tiles. LLaVA-OneVision takes only grids of its `image_grid_pinpoints`; if none of them is in the range, there is no second grid and no message. So look at the length of `pixel_values`: for one image with a second grid it is 2, without one 1.

## Exercises

### Exercise 1

How many tokens more than `(1, 4)` does the default range cost InternVL on a square page? Why none on the page above?

<details>
<summary>Solution</summary>

```python
default = CIPProcessor.from_processor(own["internvl"])  # 3 to 7 tiles
square = page.resize((336, 336))
shorter, longer = (
    make_inputs(processor, square)["input_ids"].shape[1]
    for processor in (cip["internvl"], default)
)
print(longer - shorter, "tokens more on the square page")
# The family cuts it into 2 x 2, so the second grid is another one: of the default
# range 2 x 3, of up to four tiles 1 x 3, which is more stretched
assert longer - shorter == 16 * (2 * 3 - 1 * 3)
assert len(make_inputs(default)["pixel_values"]) == 11  # 2 x 2 is the best of both ranges
```

</details>

### Exercise 2

Show that `complementarity="joint"` leaves the family's own grid as it is and changes only the second one.

<details>
<summary>Solution</summary>

```python
settings = {"adaptive_tiles": (1, 4), "complementarity": "joint"}
joint = CIPProcessor.from_processor(own["internvl"], **settings)
pixels = make_inputs(joint)["pixel_values"]
print(len(pixels) - 7, "tiles in the second grid instead of 4")
assert torch.equal(pixels[:6], before["internvl"]["pixel_values"][:6])
assert len(pixels) == 6 + 2 + 1  # 2 x 1 shares no cut line with 3 x 2
```

</details>

### Exercise 3

A LLaVA-OneVision sample with two images is not cut at all by its family. What does CIP do with it, and why is that right?

<details>
<summary>Solution</summary>

```python
text = "<image><image>Read."
options = {"text": [text], "images": [[page, page]], "return_tensors": "pt"}
processors = (own["llava_onevision"], cip["llava_onevision"])
first, second = (processor(**options) for processor in processors)
print({name: tuple(value.shape) for name, value in second.items()})
assert equal(first, second)  # nothing
```

Each image is one tile, so no line cuts a word and there is nothing to mend; and a second grid would bring back the tokens that the family saves where there are several images.

</details>

## Conclusion

Yes: `CIPProcessor` takes the place of a family's processor, adds the second grid in the family's own order and separators, and gives the family's inputs bit for bit when it is switched off. Leave it off in a model that never saw a second grid: none of ours wrote more words right to the letter by it, and two lost much. Whether a model that was trained with one is better for it has to be measured. Over all places, two grids against one in the same model, by characters (*by words to the letter* where it differs):

| | plain | trained on with CIP |
| --- | --- | --- |
| InternVL | worse at 24 and 32 px | not shown at 24 px, better at 32 px |
| LLaVA-OneVision | better at 24 px (*not shown*), not shown at 32 px | worse at 24 px (*not shown*), not shown at 32 px |
| MiniCPM-V | worse | better |

A gain on cut lines is shown only after training: in MiniCPM-V, and in InternVL at 32 px; neither was compared with a control. Where there is one, the picture is mixed: single words at 24 px are read *worse* than by the control (InternVL, 2.1 points of characters), pages better by one of three models with `joint`, and worse by two with `any`. What a second grid cost these readers is mostly repetition: most words that are lost to the letter are still in the answer, beside another.

Read next: [08 Fine-tune](08_fine_tune.ipynb) trains with a second grid, [10 Measure](10_measure.ipynb) measures; `benchmarks/LOG.md` has the story of the three families.

## References and further reading

- Huang et al., *Mini-Monkey*, ICLR 2025, [arXiv 2408.02034](https://arxiv.org/abs/2408.02034). Cite this one.
- Chen et al., *How Far Are We to GPT-4V?* (InternVL 1.5), [arXiv 2404.16821](https://arxiv.org/abs/2404.16821): where tiles and their thumbnail come from.
- Li et al., *LLaVA-OneVision*, [arXiv 2408.03326](https://arxiv.org/abs/2408.03326). Yao et al., *MiniCPM-V*, [arXiv 2408.01800](https://arxiv.org/abs/2408.01800).
- Transformers' documentation of [InternVL](https://huggingface.co/docs/transformers/model_doc/internvl) and [LLaVA-OneVision](https://huggingface.co/docs/transformers/model_doc/llava_onevision).
- In this repository: [benchmarks/sawtooth/RESULTS.md](../benchmarks/sawtooth/RESULTS.md) has the readings, `processing_minimonkey/plug_in.py` the code.

[06 The published weights](06_published_weights.ipynb) · [all notebooks](README.md) · [08 Fine-tune](08_fine_tune.ipynb)
"""
