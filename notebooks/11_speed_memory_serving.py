# %% [markdown]
"""
# How fast, how large, and how do I serve it?

[10 Measure](10_measure.ipynb) · [all notebooks](README.md)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/11_speed_memory_serving.ipynb) [Source of this notebook](11_speed_memory_serving.py)

> **You will learn**: how to count tokens and cache bytes before you run anything, what scale compression saves and costs, how to time both fairly,
> and how to put the model behind an API that OpenAI's client can ask.
>
> **You need**: a processor and a model ([03](03_processor.ipynb), [04](04_model.ipynb)), scale compression ([05](05_scale_compression.ipynb)). **Time**: about 1 min **Hardware**: two CPU cores, 2 GB of memory.
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

# %%
course.need("serve", "openai", "fastapi", "uvicorn")  # for the last part

# %% [markdown]
"""
## Count before you run

How long a prompt is follows from the size of the image alone. No pixel is needed, so a server can refuse a request before it opens the image.

The model is the small checkpoint of this repository, a reader of rendered lower-case text with 16 tokens per tile, not the published model with 256. Counts are exact for both; times are those of the small one on this machine.

**Predict**: a page of 336 x 224 px gives 11 tiles. How many tokens has its prompt?
"""

# %%
import torch
from PIL import Image

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.scale_compression import DETAILED_LEVEL, kept_count
from processing_minimonkey import MiniMonkeyProcessor

processor = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)
model = MiniMonkeyForConditionalGeneration.from_pretrained(course.CHECKPOINT, dtype=torch.float32).eval()
page = Image.open(course.PAGE)


def ask(images, **options):
    chats = []
    for image in images:
        content = [{"type": "image", "image": image}, {"type": "text", "text": "Read the text."}]
        chats.append([{"role": "user", "content": content}])
    return processor.prepare_chat(chats, **options)


# %%
counted = processor._get_num_multimodal_tokens(image_sizes=[(page.height, page.width)])  # as vLLM and SGLang ask
inputs = ask([page])
length = inputs["input_ids"].shape[1]
print(f"{counted.num_image_patches[0]} tiles, {counted.num_image_tokens[0]} of {length} tokens are the image's")
assert counted.num_image_patches == [11] and counted.num_image_tokens == [11 * 16 + 2] and length == 233

# %% [markdown]
"""
176 tokens of tiles, two around them, and 55 of text: our tokenizer has one token per byte. In the published model the text would be short and each tile 256 tokens, so that tiles are everything. These are its prompts:
"""

# %%
import json

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.memory.prefill import PYRAMIDS

published = json.loads((course.ROOT / "benchmarks/memory/results.json").read_text())["checkpoints"]["mx262/MiniMonkey"]
groups = {"text": [80] * 6}
groups |= {
    group: [256 * len(each.plan.group_tiles(group)) for each in PYRAMIDS]
    for group in ("global", "adaptive", "detailed")
}
assert [sum(each) for each in zip(*groups.values(), strict=True)] == [
    published["prefill"][str(each.tiles)]["1.0"]["tokens"] for each in PYRAMIDS
]

# %%
figure, axis = plt.subplots(figsize=(9, 4.4), layout="constrained")
places, top = np.arange(len(PYRAMIDS)), np.zeros(len(PYRAMIDS))
for (group, tokens), color in zip(groups.items(), ("#BBBBBB", "#000000", "#D55E00", "#0072B2"), strict=True):
    axis.bar(places, tokens, 0.6, bottom=top, color=color, label=group)
    top += tokens
half = np.array(groups["detailed"]) // 2
axis.bar(
    places,
    half,
    0.6,
    bottom=top - half,
    color="#0072B2",
    edgecolor="white",
    hatch="//",
    label="leaves with keep_ratio 0.5",
)
axis.set(xlabel="tiles of the image", ylabel="tokens of the prompt")
axis.set_xticks(places, [each.tiles for each in PYRAMIDS])
axis.legend(frameon=False, reverse=True)
course.show(
    figure,
    alt="Stacked bars of prompt lengths for 5 to 33 tiles; most are detailed tokens, of which half is hatched.",
    caption="Prompts of Mini-Monkey 2B by level of the tiles. Hatched: what scale compression takes out.",
)

# %% [markdown]
"""
## Count the cache

Each token that stays costs keys and values in every layer, for as long as the answer is written.

**Predict**: the small model has 4 layers, 4 key-value heads of 64 numbers and float32. How many bytes is one token?
"""

# %%
text = model.config.text_config
per_token = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * model.dtype.itemsize


def cache_of(keep_ratio):
    options = {"max_new_tokens": 1, "keep_ratio": keep_ratio, "return_dict_in_generate": True}
    cache = model.generate(**inputs, **options).past_key_values
    return cache.get_seq_length(), sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)


detailed = int((inputs["tile_levels"] == DETAILED_LEVEL).sum()) * 16
for ratio in (1.0, 0.75, 0.5, 0.25):
    tokens, size = cache_of(ratio)
    stay = length - detailed + kept_count(detailed, ratio)
    print(f"keep_ratio {ratio:4}: {stay} tokens stay, cache of {tokens} slots, {size / 1000:.0f} kB")
    assert tokens == stay and size == tokens * per_token
assert per_token == 8192

# %% [markdown]
"""
8,192 bytes. Mini-Monkey 2B takes 96 KiB per token in bfloat16. What that means for a server is how many prompts it can hold at the same time:

**Predict**: 16 GiB for caches, pages of 33 tiles, answers of 100 tokens. How many prompts with all tokens, and how many with half of the detailed ones?
"""

# %%
GIB = 2**30
at_once = {}
for ratio in ("1.0", "0.5"):
    tokens = published["prefill"]["33"][ratio]["tokens"] + 100
    at_once[ratio] = 16 * GIB // (tokens * 96 * 1024)
    print(f"keep_ratio {ratio}: {tokens} tokens, {tokens * 96 / 1024**2:.2f} GiB of cache, {at_once[ratio]} at once")
assert at_once == {"1.0": 20, "0.5": 31}
assert published["prefill"]["33"]["1.0"]["cache"] == 8528 * 96 * 1024

# %% [markdown]
"""
Half as many again. This is counted from the published sizes; nothing was run on a GPU.

## Time it in turns

A time measured on its own says as much about the machine as about the code. So both sides run in turns, round by round, and what counts is the median of the *ratios*. There is no assert on
a time in this notebook: on your machine it will be another one.

**Predict**: half of the detailed tokens are gone. Is the first token there sooner?
"""

# %%
from benchmarks.speed.timing import compare

rounds = 5 if course.FAST else 21


def generate(tokens, ratio):
    options = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False, "keep_ratio": ratio}
    return lambda: model.generate(**inputs, **options)


for tokens, name in ((1, "first token"), (24, "24 tokens")):
    result = compare({"all tokens": generate(tokens, 1.0), "keep_ratio 0.5": generate(tokens, 0.5)}, rounds)
    ratio = result["ratio"]["keep_ratio 0.5"]
    print(
        f"{name:12} keep_ratio 0.5 takes {ratio['median']:.2f} of the time ({ratio['lower_quartile']:.2f} to {ratio['upper_quartile']:.2f}, n = {rounds})"
    )
assert set(result["seconds"]) == {"all tokens", "keep_ratio 0.5"}  # and no limit on either

# %% [markdown]
"""
Look at the quartiles first: where they lie far apart, on both sides of 1, as on the machine with other work that made the stored output, the median says nothing. Don't expect a gain here: the log has 1.13 to 1.18 times the time to the first token for this model. Scoring runs the layers before the scoring one over *all* tokens, and this language model has four layers. In a deeper one
the same work is a small part. The benchmark measured a model of 8 layers on a prompt of 4,944 tokens:

**Predict**: 3,408 of 4,944 tokens stay, 0.69 of them. What is the ratio of the times?
"""

# %%
speed = json.loads((course.ROOT / "benchmarks/speed/results.json").read_text())
prefill = speed["prefill"]
measured = prefill["ratio"]["keep_ratio 0.5"]
bars = {
    "tokens that stay": prefill["kept_tokens"] / prefill["tokens"],
    "counted operations": prefill["predicted"],
    "measured": measured["median"],
}
figure, axis = plt.subplots(figsize=(9, 3), layout="constrained")
drawn = axis.barh(list(bars)[::-1], list(bars.values())[::-1], color=["#D55E00", "#0072B2", "#BBBBBB"])
spread = [[measured["median"] - measured["lower_quartile"]], [measured["upper_quartile"] - measured["median"]]]
axis.errorbar([measured["median"]], [0], xerr=spread, color="#000000", capsize=5)
axis.bar_label(drawn, fmt="%.2f", padding=12)
axis.axvline(1, color="#000000", linestyle="--")
axis.set(xlim=(0, 1.1), xlabel="share of what all tokens take (dashed: 1)")
course.show(
    figure,
    alt="Three bars below one: 0.69 of the tokens stay, 0.75 of the operations are counted, 0.79 of the time is measured.",
    caption=f"Prefill with keep_ratio 0.5, 8 layers of 512, one CPU thread, n = {prefill['rounds']}; line: quartiles.",
)
assert bars["tokens that stay"] < prefill["predicted"] < measured["median"] < 1
assert abs(prefill["deviation"]) < prefill["limit"]

# %% [markdown]
"""
0.79, and 0.75 was predicted by counting multiplications before. Scoring costs 1.15 layers of the long prompt: much of 8, little of the 24 of a 2B model.

## What scoring needs in memory

**Predict**: from 1,104 to 8,272 tokens, 7.5 times as many. How does the memory grow that compression adds: 7.5 times, or 56?
"""

# %%
points = speed["memory"]["points"]
sizes = np.array([point["tokens"] for point in points])
figure, axis = plt.subplots(figsize=(9, 4.2), layout="constrained")
lines = {
    "compression adds (measured)": ("bytes", "#0072B2", "o"),
    "attention matrices of one layer": ("bytes_of_attention_matrices", "#D55E00", "s"),
}
for label, (name, color, marker) in lines.items():
    axis.loglog(sizes, [point[name] / 2**20 for point in points], color=color, marker=marker, label=label)
axis.set(xlabel="tokens of the prompt", ylabel="MiB", xticks=sizes, xticklabels=sizes)
axis.minorticks_off()
axis.legend(frameon=False)
course.show(
    figure,
    alt="Two lines over the prompt's length on logarithmic scales; the one of compression is less steep and ends far lower.",
    caption="Peak memory that compression adds (n = 3 processes each), and what whole attention matrices would take.",
)
growth = [points[-1][name] / points[0][name] for name in ("bytes", "bytes_of_attention_matrices")]
print(f"compression {growth[0]:.1f} times, matrices {growth[1]:.0f} times; exponent {speed['memory']['exponent']:.2f}")
assert growth[0] < 8 < 50 < growth[1]

# %% [markdown]
"""
In proportion to the prompt: the scores are summed over 64 queries at a time.

## Batches

**Predict**: four pages of different sizes in one batch. Are the answers those of one by one?
"""

# %%
from benchmarks.sawtooth.readers.rendering import render

pages = [page, *(render("page", "test", index).image for index in range(3))]
options = {"max_new_tokens": 30, "do_sample": False}


def read(images):
    batch = ask(images)
    return processor.batch_decode(
        model.generate(**batch, **options)[:, batch["input_ids"].shape[1] :], skip_special_tokens=True
    )


together, alone = read(pages), [read([each])[0] for each in pages]
lengths = [ask([each])["input_ids"].shape[1] for each in pages]
result = compare({"one by one": lambda: [read([each]) for each in pages], "batch": lambda: read(pages)}, 3)
print(together, "prompts of", lengths, "tokens")
print(f"the batch takes {result['ratio']['batch']['median']:.2f} of the time of one by one (n = 3)")
assert together == alone and len(set(lengths)) > 1

# %% [markdown]
"""
The same, since padding is masked. The time is another matter: shorter rows are computed at the length of the longest one, and until the last answer is written. Three runs of this cell on a machine with other work gave 0.74, 0.92 and 1.33: on a CPU don't count on a gain. Put pages of about one size together.

## Serve it

`examples/serve.py` is `transformers serve`, told about this model. It speaks the API of OpenAI, so that any client of it can send an image. Here it listens on this machine alone.

    pip install -e '.[serve]'
    python examples/serve.py checkpoints/minimonkey-tiny --trust-remote-code --port 8000
"""

# %%
import base64
import socket
import time
from urllib.error import URLError
from urllib.request import urlopen

import openai

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
command = [sys.executable, str(course.ROOT / "examples" / "serve.py"), str(course.CHECKPOINT), "--trust-remote-code"]
command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
log = course.working_folder("11") / "log"
with log.open("w") as file:
    server = subprocess.Popen(command, stdout=file, stderr=file)
client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0, timeout=600)
while server.poll() is None:
    try:
        urlopen(f"http://127.0.0.1:{port}/health")
        break
    except URLError:
        time.sleep(0.5)
assert server.poll() is None, log.read_text()[-2000:]
print("it listens")

# %% [markdown]
"""
**Predict**: where does the image go, if all that a client sends is JSON?
"""

# %%
encoded = base64.b64encode(course.PAGE.read_bytes()).decode()
image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}
messages = [{"role": "user", "content": [image, {"type": "text", "text": "Read the text."}]}]
request = {"model": str(course.CHECKPOINT), "messages": messages, "max_tokens": 30, "temperature": 0}
answer = client.chat.completions.create(**request)
print(repr(answer.choices[0].message.content), "usage:", answer.usage and answer.usage.total_tokens)
assert answer.choices[0].message.content == "fresh bread\nopen sunday" == together[0]

# %% [markdown]
"""
Into the message, as a data URL. A stream sends the text while it is written:

**Predict**: how many parts are it?
"""

# %%
parts = []
for part in client.chat.completions.create(**request, stream=True):
    if part.choices and part.choices[0].delta.content:
        parts.append(part.choices[0].delta.content)
print(parts)
assert "".join(parts) == answer.choices[0].message.content and len(parts) > 3

# %% [markdown]
"""
The server compresses as the model's configuration says; ours has `keep_ratio` 1. To serve a model with compression, save it so (exercise 3).

## vLLM and SGLang

Both run a model of Transformers by their own backends, and both have a contract for it, which `tests/modeling/test_serving_contract.py` holds: the model is built without weights, their attention is put in, the number of image tokens is asked before pixels are there.

An engine plans its memory before it has seen an image, so it has to know how long the prompt will be. With compression that works, too: the *number* of tokens that stay follows from the tiles. Only *which* ones has to wait for the vision tower, and there nothing is known of the question yet, so the longest features stay. With this package installed beside it, vLLM finds a plugin that does this: `vllm serve minimonkey-2b` has CIP and compression, per server and per request. `make test-vllm` asks an unofficial build of vLLM on a CPU, which answers token by token as `generate` does with `queries="none"` and `positions="repack"`; [docs/engines.md](../docs/engines.md) says what was run. SGLang has CIP alone and was not run.

**Predict**: does the count agree with the prompt for every size?
"""

# %%
sizes = [(112, 112), (100, 400), (336, 224), (500, 90), (224, 336)]
counted = processor._get_num_multimodal_tokens(image_sizes=sizes).num_image_tokens
for size, tokens in zip(sizes, counted, strict=True):
    ids = ask([Image.new("RGB", size[::-1])])["input_ids"][0]
    image_ids = torch.isin(ids, torch.tensor(processor.image_token_ids)).sum()
    print(f"{size[1]} x {size[0]} px: {tokens} counted, {int(image_ids)} in the prompt")
    assert int(image_ids) == tokens

# %% [markdown]
"""
## Common errors
"""

# %%
with course.expected(openai.OpenAIError):  # the server knows one model
    client.chat.completions.create(**request | {"model": "another/model"})

# %%
with course.expected(ValueError):  # `max_length` counts the prompt
    model.generate(**inputs, max_length=100, keep_ratio=0.5)

# %%
with course.expected(ValueError):  # rows of different lengths need padding
    ask(pages[:2], padding=False)

# %%
server.terminate()
code = server.wait()
with course.expected(openai.APIConnectionError):  # nobody there
    client.chat.completions.create(**request)

# %% [markdown]
"""
## Exercises

### Exercise 1

A server has room for prompts of 4,096 tokens at 256 per tile, with 80 of text. Which of the six pyramids fit without and with `keep_ratio=0.5`?
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
fit = {
    ratio: [each.tiles for each in PYRAMIDS if published["prefill"][str(each.tiles)][ratio]["tokens"] <= 4096]
    for ratio in ("1.0", "0.5")
}
print(fit)
assert fit == {"1.0": [5, 9, 13], "0.5": [5, 9, 13, 17, 25]}

# %% [markdown]
"""
### Exercise 2

A static cache has its full size from the start, as compiled decoders want it. Is the answer the same with half of the tokens?
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
settings = {"max_new_tokens": 30, "do_sample": False, "keep_ratio": 0.5}
usual, static = (model.generate(**inputs, **settings, **extra) for extra in ({}, {"cache_implementation": "static"}))
print(processor.decode(static[0, length:], skip_special_tokens=True))
assert usual.equal(static)

# %% [markdown]
"""
### Exercise 3

Save the model so that it compresses by itself, as a server would load it, and show that the loaded one does.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
model.config.scale_compression_config.keep_ratio = 0.5
model.save_pretrained(log.parent / "compressing")
loaded = MiniMonkeyForConditionalGeneration.from_pretrained(log.parent / "compressing").eval()
cache = loaded.generate(**inputs, max_new_tokens=1, return_dict_in_generate=True).past_key_values
print(cache.get_seq_length(), "slots instead of", length)
assert cache.get_seq_length() == length - detailed // 2

# %% [markdown]
"""
## Conclusion

How large: count it. Tiles times tokens per tile is the prompt, tokens times bytes is the cache, and both are exact before anything runs. How fast: measure both sides in turns on your machine. Compression makes the cache smaller always, and the first token sooner only
if the language model is deep and the prompt long: 0.79 of the time in the benchmark, no gain on the small checkpoint. How to serve: `examples/serve.py`, which any client of OpenAI's API can ask, image included.

Read next: `benchmarks/speed/RESULTS.md` and `docs/checkpoints.md`, or [start again](00_ask_an_image.ipynb) with your own images.

Cite: Huang et al., *Mini-Monkey*, ICLR 2025, arXiv 2408.02034.

[10 Measure](10_measure.ipynb) · [all notebooks](README.md)
"""
