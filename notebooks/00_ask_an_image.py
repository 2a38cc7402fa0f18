# %% [markdown]
"""
# Can a small model read this page?

[all notebooks](README.md) · [01 The semantic sawtooth](01_semantic_sawtooth.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/00_ask_an_image.ipynb) [Source of this notebook](00_ask_an_image.py)

> **You will learn**: how to load a Mini-Monkey model from the Hub, ask it about one image or many, read the answer while
> it is written, and pin the version that you tested.
>
> **You need**: Python, and to have loaded some model with Transformers before. **Time**: about 15 min to read, 1 min to run.
> **Hardware**: two CPU cores, 2 GB of memory.
>
> **Contents**: [Load it](#Load-it) · [Ask it](#Ask-it) · [What it can't do](#What-it-can't-do) · [What the answer is made of](#What-the-answer-is-made-of) · [Several pages at once](#Several-pages-at-once) · [Watch it write](#Watch-it-write) · [Pin the version](#Pin-the-version) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
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

hub = course.setup(hub=True)

# %% [markdown]
"""
The model is `minimonkey-tiny`: 6.6 million parameters, trained from scratch on rendered lower-case words and digits. It is not the published
Mini-Monkey, which has two billion, but it has the same parts and the same code, so the same calls serve a
large one. The setup has started a Hub on this machine and put the model there as `minimonkey/minimonkey-tiny`; with the
real Hub the lines are the same.

## Load it

A repository on the Hub holds weights and settings, and this one also holds *code*, since Transformers does not know the
model. `trust_remote_code=True` allows Transformers to download and run that code: read it first, as you would before you
install a package.

**Predict**: this project's own packages are installed here. Where will the class of the model come from: from them, or
from the Hub?
"""

# %%
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

name = "minimonkey/minimonkey-tiny"
processor = AutoProcessor.from_pretrained(name, trust_remote_code=True)
model = AutoModelForImageTextToText.from_pretrained(
    name, trust_remote_code=True, dtype=torch.float32
)

source, _, file = type(model).__module__.rpartition(".")
print(type(model).__name__, "is in", file, "of", source.split(".")[0])
print(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters")
assert source.startswith("transformers_modules.minimonkey")

# %% [markdown]
"""
From the Hub: `transformers_modules` is the folder into which Transformers puts downloaded code. Nothing of this project needs to be installed to use the model. (Take `AutoModelForImageTextToText` for answers; `AutoModel` has no head and gives hidden states.) The weights are stored as bfloat16. In float32 the model rounds less, so that a batch below gives the same answers as single questions.

## Ask it

This is the page. It was drawn by a script, with a little noise.
"""

# %%
from PIL import Image

page = Image.open(course.PAGE)
course.show(
    page,
    alt="A light blue page of 336 x 224 pixels with two lines of gray text: fresh "
    "bread, and below it open sunday.",
    caption="The page: four words on two lines, 336 x 224 pixels.",
)

# %% [markdown]
"""
A question is a chat message whose content is a list: the image, then the text. `prepare_chat` writes the prompt and cuts the image into tiles. (It is `apply_chat_template` with the options that a model needs.) `generate` returns the prompt and, behind it, the answer: always the likeliest token next (`do_sample=False`). Whatever a user types as the question stays plain text, even `<img>` ([03](03_processor.ipynb) shows why).

**Predict**: will it find all four words? And the line break?
"""


# %%
def prompt(images, questions):
    """Model inputs of one question per image."""
    chats = []
    for image, question in zip(images, questions, strict=True):
        content = [
            {"type": "image", "image": image},
            {"type": "text", "text": question},
        ]
        chats.append([{"role": "user", "content": content}])
    return processor.prepare_chat(chats)


def answers(inputs, **options):
    """What the model writes behind each prompt."""
    sequences = model.generate(**inputs, max_new_tokens=60, do_sample=False, **options)
    behind = sequences[:, inputs["input_ids"].shape[1] :]
    return processor.batch_decode(behind, skip_special_tokens=True)


# %%
inputs = prompt([page], ["Read the text."])
(answer,) = answers(inputs)
print(answer)
assert answer == "fresh bread\nopen sunday"

# %% [markdown]
"""
All four, and the line break. This page was chosen among twelve layouts of these four words, because it is read without an error. Further down you meet pages that nobody chose.

What did the model get? The prompt in full, with the run of image tokens shortened:
"""

# %%
import re

written = processor.decode(inputs["input_ids"][0])
run = re.search("(<IMG_CONTEXT>)+", written)[0]
print(written.replace(run, f"<IMG_CONTEXT>, {run.count('>')} times"))

# %% [markdown]
"""
Each `<IMG_CONTEXT>` is a place where a piece of the image goes. Around it stand the marks of a chat: who speaks, where the image begins and ends, the question, and the beginning of the assistant's turn, after which the model goes on writing.

### The same with a pipeline

Transformers' pipeline puts prompt, model and decoding together. It is enough for a first try; the steps above show where tokens and settings are.
"""

# %%
from transformers import pipeline

reader = pipeline("image-text-to-text", model=model, processor=processor)
content = [{"type": "image", "image": page}, {"type": "text", "text": "Read the text."}]
chat = [{"role": "user", "content": content}]
(said,) = reader(chat, return_full_text=False, max_new_tokens=60)
print(said["generated_text"])
assert said["generated_text"] == answer

# %% [markdown]
"""
An image of your own goes the same way: open it with PIL. A *path* in a chat is refused unless `prepare_chat` or `from_pretrained` gets `allow_paths`, since a chat can come from a stranger. (A path given to the pipeline as `images=` is opened without that.) On a GPU, move both: `model.to("cuda")`, `inputs.to("cuda")` (not run here).

## What it can't do

It has learned to read a page, or what stands at one place on it ("Read the upper word.", "Read the number beside bread."), and nothing else. (Such a number it gets right on 54 of 100 receipts: `evaluation.json` of the checkpoint.)

**Predict**: what does it say to "What is in the picture?"
"""

# %%
for question in ["What is in the picture?", "Is there bread?"]:
    (other,) = answers(prompt([page], [question]))
    print(f"{question:<24} -> {other!r}")

# %% [markdown]
"""
It reads, whatever the question is, and with a question that it doesn't know it may read badly: half of the page is missing from the first answer. A small model that was trained for one task does that task. The published model answers questions; this one shows how images become text.

## What the answer is made of

The image was cut by two grids, a *detailed* and an *adaptive* one, and was also seen as a whole (the *global* view). The words that one grid cuts in two are meant to be whole
under the other; notebooks [01](01_semantic_sawtooth.ipynb) and [02](02_complementary_image_pyramid.ipynb) are about that.

**Predict**: each tile becomes 16 tokens. The detailed grid has 3 x 2 tiles, the adaptive one 2 x 2. How many image tokens
does the prompt have?
"""

# %%
import figures

plan = processor.image_processor.get_pyramid_plan(page.height, page.width)
canvases = {group: page.resize(plan.canvas_size(group)) for group in course.LEVELS}
course.show(
    figures.plot_canvases(canvases, tile=112),
    alt="The page three times, all tiles squares of one size with gaps between them: "
    "3 x 2 tiles, the page squeezed to 2 x 2 tiles, and the page in one tile.",
    caption="Three views of the page, cut into squares of 112 px; the last two are "
    'squeezed to fit. Gaps: where tiles end. "bread" and "open" are cut in the detailed view and '
    'whole in the adaptive one; "sunday" is cut in both, whole only in the global one.',
)
image_tokens = int((inputs["input_ids"] == processor.image_token_id).sum())
length = inputs["input_ids"].shape[1]
print(f"{plan.num_tiles} tiles, {image_tokens} image tokens in a prompt of {length}")
assert image_tokens == plan.num_tiles * processor.image_seq_length

# %% [markdown]
"""
11 tiles make 176 image tokens. The other 57 are the question and the marks of the chat: this tokenizer makes one token per byte, so each `<|im_start|>` takes twelve. Only `<img>`, `</img>`, `<|im_end|>`, `<IMG_CONTEXT>` and the padding are one token each. Images are most of the prompt, in a large model even more so.

The second part of Mini-Monkey, the Scale Compression Mechanism (SCM), drops some of them. With `keep_ratio=0.5` it keeps the half of the *detailed* tokens to which the question attends most. (By the published rule all tokens after the detailed ones are asked, the rest of the image among them: [05](05_scale_compression.ipynb).) The code below counts what remains: the model's *cache* has one entry for each token that it keeps.

**Predict**: how long is the prompt that remains, and what is the answer?
"""

# %%
levels = inputs["tile_levels"]
groups = ("detailed", "adaptive", "global")
parts = {group: 16 * int((levels == level).sum()) for level, group in enumerate(groups)}
parts["text"] = length - sum(parts.values())
prompts = {}
for keep_ratio in (1.0, 0.5):
    (kept,) = answers(inputs, keep_ratio=keep_ratio)
    one = model.generate(
        **inputs, keep_ratio=keep_ratio, max_new_tokens=1, return_dict_in_generate=True
    )
    remains = one.past_key_values.get_seq_length()  # what the cache holds
    left = parts | {"detailed": parts["detailed"] - (length - remains)}
    prompts[f"keep_ratio {keep_ratio}"] = left, " / ".join(kept.splitlines())
assert remains == length - parts["detailed"] // 2
course.show(
    figures.plot_prompts(prompts),
    alt="Two stacked bars. Without compression 96 detailed, 64 adaptive, 16 global "
    "and 57 text tokens; with it 48 detailed.",
    caption="What the prompt consists of, and the answer to it. Only blue shrinks, "
    "to half; the answer stays.",
)

# %% [markdown]
"""
185 tokens instead of 233. How much does that cost on other pages? The checkpoint comes with the figures of its evaluation.

**Predict**: how many of the words on 100 other pages are still found when half of the detailed tokens are gone?
"""

# %%
import json

import pandas

evaluation = json.loads((course.CHECKPOINT / "evaluation.json").read_text())
rows = []
for share in (1.0, 0.5, 0.25):
    setting = "" if share == 1 else f", keep_ratio {share}"
    of_pages = evaluation[f"page: pyramid{setting}"]
    rows.append([share, f"{100 * of_pages['words_read']:.1f}"])
heads = ["keep_ratio", "words found, % (n = 100 pages, no intervals stored)"]
course.table(heads, rows)
results = course.ROOT / "benchmarks/sawtooth/results"
others = pandas.read_csv(results / "scoring-6m-drawn.csv")  # on 200 other pages
rules = course.OWN, course.PUBLISHED
rows = [
    [
        share,
        *(course.of_all_tokens(others, **rule, keep_ratio=share) for rule in rules),
    ]
    for share in (0.5, 0.25)
]
heads = ["this checkpoint's rule: words found, in % of what all tokens find"]
heads += ["the published rule: the same"]
course.table(["keep_ratio, 200 other pages", *heads], rows)

# %% [markdown]
"""
75.9% in place of 77.1%: 100 pages are too few to tell these apart. In the second table 100% is what is found with all tokens. This checkpoint was trained under compression: by its own rule it finds as much with half of the detailed tokens, and a little less with a quarter. By the published rule it loses a quarter of the words at 0.5. The rules differ in more than who chooses; [05](05_scale_compression.ipynb) takes them apart. (In brackets: 95% intervals, how far a number may be off because these pages were drawn and not others. A dash: not measured.) What the published model loses is another question.

## Several pages at once

Images of any size go into one batch. Their prompts have different lengths, so the shorter ones are padded, on the *left*:
`generate` goes on at the right end of every row.

Two words, two pairs with a question for one of them, and two pages follow. They are drawn from seeds that nobody chose, and no
word of them was in the training.

**Predict**: does an answer change if other images are in the batch? How many of the six are right?
"""

# %%
from benchmarks.sawtooth.readers.rendering import (
    generator,
    random_font,
    render_page,
    render_pair,
    render_word,
)


def draw_pages(split, number):
    """Words, pairs and pages in turn, all of held-out words."""
    rngs = [generator(split, index) for index in range(number)]
    kinds = (
        lambda rng: render_word(rng, held_out=True),
        lambda rng: render_pair(rng, held_out=True),
        lambda rng: render_page(
            rng, (336, 224), random_font(rng), held_out=True, max_words=4
        ),
    )
    return [kinds[index % 3](rng) for index, rng in enumerate(rngs)]


pages = draw_pages("notebook 00", 6)
images, questions = [each.image for each in pages], [each.question for each in pages]
batch = prompt(images, questions)
together = answers(batch)
alone = [
    answers(prompt([image], [question]))[0]
    for image, question in zip(images, questions, strict=True)
]
assert together == alone
padding = (batch["attention_mask"] == 0).sum(dim=1).tolist()
tiles = processor.image_processor.get_number_of_image_patches
print("tiles of each:", [tiles(image.height, image.width) for image in images])
print("padding on the left, in tokens:", padding)
print("tiles of all six in one tensor:", tuple(batch["pixel_values"].shape))
right = [text == each.text for each, text in zip(pages, together, strict=True)]
course.show(
    figures.plot_answers(images, questions, together, [each.text for each in pages]),
    alt="Six small rendered images with the question above each and the model's "
    "answer below; the wrong one is marked, with what stands on the image below it.",
    caption="Six images, one batch: above each the question, below what the model "
    "said. One answer is wrong: a space is lost, and a 5 becomes 3is.",
)
print(f"{sum(right)} of {len(pages)} without an error")

# %% [markdown]
"""
The answers are those of single questions, letter by letter. Each row is padded up to the longest prompt, the second. The first image, for example, has six tiles fewer (6 x 16 = 96 tokens) and a question six characters shorter: 96 + 6 = 102.

How often does it err? Six are too few to say. Here are more, with 95% intervals. For images they are Wilson's (`course.wilson`). The words of one page are not independent, so for the row of words a bootstrap is used: whole pages are drawn again and again from these, with replacement ([10](10_measure.ipynb)).

**Predict**: which of the three kinds is the hardest?
"""

# %%
n = 16 if course.FAST else 200  # per kind
drawn = draw_pages("notebook 00 more", 3 * n)
read = []
for start in range(0, len(drawn), 12):
    some = drawn[start : start + 12]
    read += answers(
        prompt([each.image for each in some], [each.question for each in some])
    )

# %%
right = [text == each.text for each, text in zip(drawn, read, strict=True)]
rows = [
    [f"{kind} without an error", n, course.percent(course.wilson(sum(right[i::3]), n))]
    for i, kind in enumerate(("words", "pairs", "pages"))
]

# %%
import numpy as np

from benchmarks.sawtooth.report.statistics import bootstrap, ratio

found, there = [], []
for each, text in zip(drawn[2::3], read[2::3], strict=True):
    there.append(len(each.text.split()))
    found.append(sum(word in text.split() for word in each.text.split()))
words = bootstrap(np.arange(n), ratio(np.array(found), np.array(there)))
rows.append(["words found on the pages", sum(there), course.percent(words)])
course.table(["", "n", "share (interval)"], rows)
stored = course.ROOT / "notebooks" / "pages.json"  # of a run with more of them
if not course.FAST:
    course.keep_run(stored, "00_ask_an_image", {"n": n, "rows": rows})
longer = course.read_run(stored).get("rows", rows)
course.table(["stored, of the longer run", "n", "share (interval)"], longer)

# %% [markdown]
"""
Pages are the hardest: one wrong letter makes a page wrong, and each of these has four words, some of them halved by a cut line. With 16 images of a kind the intervals are wide. The second table is a stored run with 200 of each (`FAST=0`), these 16 among them. Its intervals are about a quarter to a third as wide, and the order stays: about nine in ten words and pairs are without an error, fewer than three in ten pages. (The figures on the checkpoint's own card are of other pages, some with a single word.)

## Watch it write

A person who waits wants to see the first word at once. A *streamer* hands out text while `generate` runs in a second thread.

**Predict**: the model writes byte by byte. In what pieces does the text arrive?
"""

# %%
from threading import Thread

from transformers import TextIteratorStreamer

streamer = TextIteratorStreamer(
    processor.tokenizer, skip_prompt=True, timeout=60, skip_special_tokens=True
)
options = {"max_new_tokens": 60, "keep_ratio": 0.5, "streamer": streamer}
thread = Thread(target=model.generate, kwargs={**inputs, **options})
thread.start()
pieces = [piece for piece in streamer if piece]
thread.join()
print(pieces)
assert len(pieces) > 2 and "".join(pieces) == answer

# %% [markdown]
"""
Letter by letter: the streamer hands on letters, digits and spaces as they come; symbols wait for the next space, and a
character of several bytes waits for its last byte. Transformers before 5.24 waits for whole words. Streaming works the same with scale compression, as here.

## Pin the version

Anyone who can write to the repository can change the code that you run. Each state of a repository has a hash: with
`revision=`, you load that state and no other. Below, somebody changes a setting so that answers stop after five tokens.

**Predict**: which of the two loads sees the change?
"""

# %%
from huggingface_hub import HfApi

pinned = HfApi().model_info(name).sha
setting = b'{"eos_token_id": 256, "pad_token_id": 257, "max_new_tokens": 5}'
HfApi().upload_file(
    path_or_fileobj=setting, path_in_repo="generation_config.json", repo_id=name
)

newest, same = (
    AutoModelForImageTextToText.from_pretrained(
        name, trust_remote_code=True, revision=each
    )
    for each in ("main", pinned)
)
print("main  ", newest.generation_config.max_new_tokens, "tokens at most")
print("pinned", same.generation_config.max_new_tokens, "tokens at most, at", pinned[:8])
assert newest.generation_config.max_new_tokens == 5

# %% [markdown]
"""
Only the load of the branch `main`, which is what you get without a `revision`. A `revision` pins weights, settings and the code beside them. Pin the hash of a commit, not a branch or a tag, which can move.

## Common errors

Unless you allow it, no code of a repository is run.
"""

# %%
with course.expected(ValueError):
    AutoModelForImageTextToText.from_pretrained(name, trust_remote_code=False)

# %% [markdown]
"""
`keep_ratio` is a share, not a percentage. A prompt needs as many images as it has places for them. And a revision must exist.
"""

# %%
with course.expected(ValueError):
    answers(inputs, keep_ratio=50)

with course.expected(ValueError):
    processor(
        images=[page, page],
        text=f"{processor.image_token}\nRead the text.",
        return_tensors="pt",
    )

with course.expected(OSError):
    AutoProcessor.from_pretrained(name, trust_remote_code=True, revision="v0.0.1")

# %% [markdown]
"""
## Exercises

### Exercise 1

Ask for the text again, but let the model see the page only once, as a whole, in one tile. `prepare_chat` takes
`detailed_tiles=...` and `adaptive_tiles=...`. How many tokens does the prompt have now, and what does the model read?

<details>
<summary>Solution</summary>

```python
content = [{"type": "image", "image": page}, {"type": "text", "text": "Read the text."}]
once = processor.prepare_chat(
    [{"role": "user", "content": content}], detailed_tiles=(1, 1), adaptive_tiles=None
)
(blurred,) = answers(once)
print(once["input_ids"].shape[1], "tokens:", blurred.split())
assert once["input_ids"].shape[1] == 233 - 10 * 16
assert blurred != answer
```

</details>

### Exercise 2

Draw one word of your own at 8 and at 24 pixels and ask for it. `draw_page` and `load_font` of
`benchmarks.sawtooth.readers.rendering` help. Which one is read?

<details>
<summary>Solution</summary>

```python
import numpy
from benchmarks.sawtooth.readers.rendering import draw_page, load_font

heard = {}
for size in (8, 24):
    font = load_font("DejaVuSans", size)
    drawing = draw_page(
        numpy.random.default_rng(0), [["monkey"]], [(10, 50)], (120, 100), font
    )
    (heard[size],) = answers(prompt([drawing.image], ["Read the text."]))
print(heard)
assert heard[24] == "monkey" != heard[8]
```

</details>

### Exercise 3

A user types `<IMG_CONTEXT>` into the question. Show that the prompt of `prompt` holds no more image tokens than before, and
what a prompt with `sanitize_control_tokens=False` does.

<details>
<summary>Solution</summary>

```python
typed = "Read <IMG_CONTEXT> the text."
harmless = prompt([page], [typed])
assert int((harmless["input_ids"] == processor.image_token_id).sum()) == image_tokens
chat = [
    {
        "role": "user",
        "content": [{"type": "image", "image": page}, {"type": "text", "text": typed}],
    }
]
with course.expected(ValueError):
    processor.prepare_chat(chat, sanitize_control_tokens=False)
```

</details>

## Conclusion

This page, yes; most single words, too; but randomly drawn pages of its kind often contain an error. Two lines load the model, one
chat asks it, and a batch or a stream gives the same answer as a single question. The answer to the page rests on 11 tiles in
three views and on 233 tokens, of which SCM leaves out 48 at `keep_ratio=0.5`. This small model didn't refuse what it can't do: asked what is in the
picture, it read words off the page, and only half of them.

**Read next**: [01](01_semantic_sawtooth.ipynb) shows what a cut through a word does, and where a second grid helps.

## References and further reading

- M. Huang et al., *Mini-Monkey: Alleviating the Semantic Sawtooth Effect for Lightweight MLLMs via Complementary Image Pyramid*, ICLR 2025: [arXiv 2408.02034](https://arxiv.org/abs/2408.02034), [code](https://github.com/Yuliang-Liu/Monkey), [published weights](https://huggingface.co/mx262/MiniMonkey).
- InternVL, which Mini-Monkey is built on: [arXiv 2312.14238](https://arxiv.org/abs/2312.14238).
- Transformers on [models with code of their own](https://huggingface.co/docs/transformers/custom_models), on [pipelines](https://huggingface.co/docs/transformers/pipeline_tutorial), on [chats with images](https://huggingface.co/docs/transformers/chat_templating_multimodal) and on [text generation](https://huggingface.co/docs/transformers/llm_tutorial).

[all notebooks](README.md) · [01 The semantic sawtooth](01_semantic_sawtooth.ipynb)
"""
