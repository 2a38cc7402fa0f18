# %% [markdown]
"""
# How do I bring the published weights here?

[05 Scale compression](05_scale_compression.ipynb) · [all notebooks](README.md) · [07 Other models](07_other_models.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/06_published_weights.ipynb) [Source of this notebook](06_published_weights.py)

> **You will learn**: what an original checkpoint (`mx262/MiniMonkey`, `OpenGVLab/InternVL2-*`) looks like, how it becomes a folder that Transformers
> loads, how to see that nothing changed, how to go back bit for bit, and which of them fits on your card.
>
> **You need**: Transformers' `from_pretrained`. **Time**: about 1 min **Hardware**: two CPU cores, 2 GB of memory.
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
course.need("convert", "sentencepiece", "google.protobuf", "filelock")  # to read the original tokenizers

# %% [markdown]
"""
## What is published, and what is here

The published weights are in a format of their own, `internvl_chat`, which comes with code of its own that was written for old versions of Transformers. This project reads the
weights and leaves that code alone.

**No published weights are in this repository and none were ever run with it.** This notebook uses two small checkpoints in exactly the original format, with random weights. With them the published
*code* was run once, and what it computed was recorded (`tests/golden`). So what can be shown is that a conversion keeps
the arithmetic. What the answers say is noise.

**Predict**: which of these files would you not want to run or unpickle from a stranger?
"""

# %%
import json

from safetensors.torch import load_file

golden = course.ROOT / "tests" / "golden"
source = golden / "model" / "internlm2" / "checkpoint"
original = json.loads((source / "config.json").read_text())
published = load_file(source / "model.safetensors")
print(*sorted(path.name for path in source.iterdir()), sep=", ")
print({name: original[name] for name in ("model_type", "template", "downsample_ratio", "select_layer")})
print(
    f"{len(published)} tensors, language model {original['llm_config']['model_type']}, {original['llm_config']['num_hidden_layers']} layers"
)

assert original["model_type"] == "internvl_chat" and not list(source.glob("*.py"))
assert all(tensor.isfinite().all() for tensor in published.values())

# %% [markdown]
"""
Of these none: safetensors hold numbers only. Python files and pickles (`*.bin`) could do anything; the converter runs no code of the source and refuses pickles unless told otherwise.

## Convert

On the command line, where the first argument is a folder or the id of a repository on the Hub:

    convert_minimonkey_weights_to_hf mx262/MiniMonkey minimonkey-2b --verify

and in Python, `convert`. `verify=True` loads source and result one after the other and compares their logits for a drawn image.

**Predict**: what has to be in the new folder so that `from_pretrained` works where this project is not installed?
"""

# %%
from modeling_minimonkey.convert_minimonkey_weights_to_hf import convert, load_original, revert

folder = course.working_folder("06")
print(convert(source, folder / "ours", verify=True))
print(*sorted(path.name for path in (folder / "ours").iterdir()), sep=", ")

names = {path.name for path in (folder / "ours").iterdir()}
assert {"config.json", "model.safetensors", "tokenizer.json", "processor_config.json", "chat_template.jinja"} <= names
assert {"modeling_minimonkey.py", "processing_minimonkey.py", "scale_compression.py"} <= names

# %% [markdown]
"""
Weights, tokenizer, settings of the processor, chat template and the code. `original` keeps the small files of the source for the way back. The folder appears complete or not at all: it is written beside its place and renamed at the end.

## What became of the names

**Predict**: how many of the tensors keep their name?
"""

# %%
converted = load_file(folder / "ours" / "model.safetensors")
pairs = {
    "vision_model.embeddings.class_embedding": "model.vision_tower.embeddings.cls_token",
    "vision_model.encoder.layers.0.ls1": "model.vision_tower.encoder.layer.0.lambda_1",
    "mlp1.1.weight": "model.multi_modal_projector.linear_1.weight",
    "language_model.model.tok_embeddings.weight": "model.language_model.embed_tokens.weight",
    "language_model.model.layers.0.feed_forward.w1.weight": "model.language_model.layers.0.mlp.gate_proj.weight",
    "language_model.output.weight": "lm_head.weight",
}
for before, after in pairs.items():
    print(f"{before:54} {after}")
    assert published[before].equal(converted[after])
print(
    len(published),
    "tensors before,",
    len(converted),
    "after,",
    len(published.keys() & converted.keys()),
    "of the same name",
)
assert not published.keys() & converted.keys()
numbers = [sum(tensor.numel() for tensor in tensors.values()) for tensors in (published, converted)]
assert numbers[0] == numbers[1]

# %% [markdown]
"""
None. InternLM2 is a Llama with other names: `w1` is the gate, `w3` goes up, `w2` down. There are more tensors afterwards, and not one number more.

## The one layout that is easy to get wrong

InternLM2 keeps queries, keys and values in one matrix, `wqkv`. Its rows stand in **groups**, one per key-value head: the query heads that share it, then its key, then its value. Whoever cuts it into three
plain blocks gets a model that runs and talks nonsense.

**Predict**: there are 4 query heads and 2 key-value heads of 16 rows. Where do the rows of `k_proj` lie in `wqkv`?
"""

# %%
import matplotlib.pyplot as plt

heads = ["q0", "q1", "k0", "v0", "q2", "q3", "k1", "v1"]
colors = {"q": "#0072B2", "k": "#D55E00", "v": "#009E73"}
after = ["q0", "q1", "q2", "q3", "", "k0", "k1", "", "v0", "v1"]
figure, axis = plt.subplots(figsize=(9, 3.4), layout="constrained")
for row, order in ((1, heads), (0, after)):
    for place, head in enumerate(order):
        if head:
            axis.barh(row, 1, left=place, height=0.45, color=colors[head[0]], edgecolor="white")
            axis.text(place + 0.5, row, head, ha="center", va="center", color="white", fontsize=13)
for start, name in ((0, "q_proj"), (5, "k_proj"), (8, "v_proj")):
    axis.text(start, -0.42, name, fontsize=12)
axis.set(
    yticks=(1, 0), yticklabels=("wqkv", "converted"), xlabel="rows, in heads of 16", ylim=(-0.6, 1.4), xlim=(0, 10.1)
)
axis.text(0, 1.27, "group of key-value head 0", fontsize=11)
axis.text(4, 1.27, "group of key-value head 1", fontsize=11)
course.show(
    figure,
    alt="Above, the rows of wqkv in two groups q q k v; below, the same heads sorted into q_proj, k_proj and v_proj.",
    caption="Rows of wqkv by head, before and after. Blue: queries, orange: keys, green: values.",
)

# %%
import torch

wqkv = published["language_model.model.layers.0.attention.wqkv.weight"]
rows = wqkv.split(16)  # one entry per head, in the order of the upper bar
for name in "qkv":
    expected = torch.cat([rows[place] for place, head in enumerate(heads) if head[0] == name])
    assert expected.equal(converted[f"model.language_model.layers.0.self_attn.{name}_proj.weight"])
print("wqkv", tuple(wqkv.shape), "-> q, k, v as drawn, bit for bit")

# %% [markdown]
"""
## Does it compute what the published code computes?

For every recorded case there are the inputs, and the 16 ids that the published code wrote greedily, at temperature zero. Both language model families of the recordings, InternLM2 and Qwen2.

**Predict**: with random weights, how many of the ids would agree if one layout were wrong?
"""

# %%
import numpy as np

from tests.recorded import CASES, read_case


def recorded(family):
    """Ids of the published code and ours, and the largest difference of the recorded logits, for each case."""
    place = golden / "model" / family
    model = load_original(place / "checkpoint", attn_implementation="eager")
    for case in CASES[:3] if course.FAST else CASES:
        truth = {name: torch.from_numpy(array) for name, array in read_case(place, case).items()}
        inputs = {"input_ids": truth["input_ids"][None], "pixel_values": truth["pixel_values"]}
        with torch.no_grad():
            logits = model(**inputs).logits[0, truth["logits_positions"]]
        difference = float((logits - truth["logits"]).abs().max())
        ids = model.generate(**inputs, max_new_tokens=16, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        yield case, ids.tolist(), truth["greedy_ids"].tolist(), difference


for family in ("internlm2", "qwen2"):
    for name, ours, theirs, difference in recorded(family):
        print(
            f"{family:9} {name:24} {sum(a == b for a, b in zip(ours, theirs, strict=True))} of 16 ids, logits within {difference:.0e}"
        )
        assert ours == theirs and difference < 2e-3

# %% [markdown]
"""
All of them (the tolerance for the logits is 2e-3 over whole models in float32; the ids are exact). `FAST=0` runs all five cases of each. What a wrong layout does is exercise 1.

## And back, bit for bit

A model that was fine-tuned here can return to the published harnesses: `revert`, or `--reverse` on the command line.

**Predict**: is the file the same, byte by byte, or only its tensors?
"""

# %%
revert(folder / "ours", folder / "back")
back = load_file(folder / "back" / "model.safetensors")
same = all(back[name].equal(tensor) and back[name].dtype == tensor.dtype for name, tensor in published.items())
files = [(path / "model.safetensors").read_bytes() for path in (source, folder / "back")]
settings = json.loads((folder / "back" / "config.json").read_text())
print(f"{len(back)} tensors, equal: {same}; equal files: {files[0] == files[1]}")
print("settings that differ:", sorted(name for name in original if settings.get(name) != original[name]))
assert same and back.keys() == published.keys()
assert settings["llm_config"] == original["llm_config"] and settings["vision_config"] == original["vision_config"]

# %% [markdown]
"""
The tensors are: every name, every bit. The file is not, since its header lists them in another order. No setting of the original differs.

## Which ones can come

| original language model (`llm_config.model_type`) | becomes | published as |
|---|---|---|
| `internlm2` | Llama | MiniMonkey, InternVL2-2B, 8B, 26B |
| `qwen2` | Qwen2 | InternVL2-1B |
| `phi3` | Phi3 | InternVL2-4B |
| `llama` | Llama | InternVL2-40B, InternVL2-Llama3-76B |

InternViT-300M and -6B both are known. LoRA adapters that the published code left unmerged are merged on the way. Phi-3, Llama, InternViT-6B and LoRA are checked against a naive model that equals the published code on the recorded data, not against recordings of their own.

**Predict**: an adapter of rank 4 on the language model: how many tensors more does the result have?
"""

# %%
from tests.modeling.conversion.original_checkpoints import write_original

counts = {}
for family in ("internlm2", "qwen2", "phi3", "llama", "llama3"):
    for rank in (0, 4):
        made = write_original(folder / f"{family}-{rank}", family, llm_lora=rank)
        model = load_original(made)
        counts[family, rank] = len(model.state_dict())
        lora = sum("lora" in name for name in load_file(made / "model.safetensors"))
        print(
            f"{family:9} {type(model.config.text_config).__name__:12} {lora:3} LoRA matrices merged, {counts[family, rank]} tensors"
        )
assert all(counts[family, 4] == counts[family, 0] for family, _ in counts)

# %% [markdown]
"""
None: a merged adapter is gone.

## What does it take to convert one?

Memory, mostly. The usual way, loading and saving, holds the whole model; the converter holds one tensor at a time. Measured once (n = 1) on a checkpoint of the shapes of InternVL2-2B, 4.41 GB with random weights (`benchmarks/conversion`).

**Predict**: how many GB does a conversion need: 4.4, 1, or less?
"""

# %%
ways = json.loads((course.ROOT / "benchmarks" / "conversion" / "results.json").read_text())["ways"]
figure, axis = plt.subplots(figsize=(9, 3), layout="constrained")
values = [ways[name]["added"] / 1e9 for name in reversed(ways)]
bars = axis.barh(list(reversed(ways)), values, color=["#D55E00", "#0072B2", "#0072B2", "#0072B2"])
axis.bar_label(bars, fmt="%.2f", padding=4)
axis.axvline(4.41, color="#000000", linestyle="--")
axis.set(xlabel="memory that is added, GB (dashed: the checkpoint itself, 4.41 GB)", xlim=(0, 6))
course.show(
    figure,
    alt="Bars of added memory: about 0.4 GB for the three ways of the converter, 5.2 GB for loading and saving the model.",
    caption="Memory that each way adds to the process, measured once on one machine (benchmarks/conversion/RESULTS.md).",
)
assert ways["convert"]["added"] < 0.5e9 < 4.41e9 < ways["load_original and save_pretrained"]["added"]

# %% [markdown]
"""
0.42 GB, about a tenth of the checkpoint: its largest tensor and copies of it, however large the files are.

## Which one fits on my card?

Computed, not measured: no GPU was used. `benchmarks/memory` counts the bytes of all tensors that are alive at the same time while the first token is made of a page with 33 tiles.

**Predict**: which checkpoints fit on 24 GB in bfloat16?
"""

# %%
from benchmarks.memory.document import GIB, peak

checkpoints = json.loads((course.ROOT / "benchmarks" / "memory" / "results.json").read_text())["checkpoints"]
short = {name: name.split("/")[1].replace("InternVL2-", "") for name in checkpoints if "InternVL2-2B" not in name}


def fit(name, card, ratio="1.0", tiles="33", kind="bf16"):
    """Whether a checkpoint fits on a card of `card` GiB, with 1 GiB left for what isn't computed."""
    return checkpoints[name]["weights"][kind] + peak(checkpoints[name]["prefill"][tiles][ratio]) + GIB <= card * GIB


in_24 = {
    kind: [label for name, label in short.items() if fit(name, 24, kind=kind)] for kind in ("bf16", "int8", "int4")
}
print(in_24)
assert in_24["bf16"] == ["MiniMonkey", "1B", "4B", "8B"]

# %%
figure, axis = plt.subplots(figsize=(10, 4.8), layout="constrained")
places = np.arange(len(short))
work = np.array([peak(checkpoints[name]["prefill"]["33"]["1.0"]) / GIB for name in short])
for shift, (kind, color) in enumerate({"bf16": "#0072B2", "int8": "#D55E00", "int4": "#009E73"}.items()):
    weights = np.array([checkpoints[name]["weights"][kind] / GIB for name in short])
    axis.bar(places + 0.27 * (shift - 1), weights, 0.25, color=color, label=kind)
    rest = axis.bar(places + 0.27 * (shift - 1), work, 0.25, bottom=weights, color="#BBBBBB")
rest.set_label("cache and work")
axis.axhline(24, color="#000000", linestyle="--")
axis.set(yscale="log", ylim=(1, 200), ylabel="GiB (dashed: 24)", xticks=range(len(short)), xticklabels=short.values())
axis.legend(frameon=False, loc="upper left")
course.show(
    figure,
    alt="Bars of memory for seven checkpoints in bf16, int8 and int4 against a line at 24 GiB, on a logarithmic scale.",
    caption="Weights, and cache and work for 33 tiles without SCM; computed. InternVL2-2B is as large as MiniMonkey.",
)

# %% [markdown]
"""
MiniMonkey, 1B, 4B and 8B (the scale is logarithmic: each step of ten is as high). Int4 brings 26B within reach, but not with 33 tiles. `docs/checkpoints.md` has the whole table, with SCM and other cards.

## Common errors
"""

# %%
import shutil

from safetensors.torch import save_file

broken = shutil.copytree(source, folder / "broken")
save_file(
    {name: tensor for name, tensor in published.items() if not name.endswith("layers.3.ffn_norm.weight")},
    broken / "model.safetensors",
)
with course.expected(ValueError):  # a missing tensor is named, and nothing is written
    convert(broken, folder / "never")
assert not (folder / "never").exists()

# %%
pickled = write_original(folder / "pickled", "qwen2", pickle=True)
with course.expected(FileNotFoundError):  # pickles are refused
    convert(pickled, folder / "never")
convert(pickled, folder / "trusted", allow_pickle=True)  # reads bare tensors only, as PyTorch's weights_only
assert (folder / "trusted" / "model.safetensors").exists()

# %%
with course.expected(FileExistsError):
    convert(source, folder / "ours")  # nothing is overwritten

# %%
with course.expected(ValueError):
    convert(course.CHECKPOINT, folder / "never")  # this one is in our format already

# %% [markdown]
"""
## Exercises

### Exercise 1

Cut `wqkv` of every layer into three plain blocks (64 rows of queries, 32 of keys, 32 of values) and put them into a converted model. How many of the 16 recorded ids of the first case are still right?
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
wrong = load_original(source, attn_implementation="eager")
for number, layer in enumerate(wrong.model.language_model.layers):
    packed = published[f"language_model.model.layers.{number}.attention.wqkv.weight"]
    for name, block in zip("qkv", packed.split((64, 32, 32)), strict=True):
        getattr(layer.self_attn, f"{name}_proj").weight.data.copy_(block)
case = read_case(golden / "model" / "internlm2", CASES[0])
truth = {name: torch.from_numpy(array) for name, array in case.items()}
inputs = {"input_ids": truth["input_ids"][None], "pixel_values": truth["pixel_values"]}
ids = wrong.generate(**inputs, max_new_tokens=16, do_sample=False)[0, inputs["input_ids"].shape[1] :].tolist()
right = sum(a == b for a, b in zip(ids, truth["greedy_ids"].tolist(), strict=False))
print(f"{right} of 16 ids")
assert right < 8

# %% [markdown]
"""
### Exercise 2

Convert to bfloat16. How large is the file in relation, and does the way back still give the original bits?
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
convert(source, folder / "half", dtype=torch.bfloat16)
revert(folder / "half", folder / "half-back", dtype=torch.float32)
sizes = [
    sum(tensor.nbytes for tensor in load_file(path / "model.safetensors").values())
    for path in (folder / "ours", folder / "half")
]
returned = load_file(folder / "half-back" / "model.safetensors")
changed = sum(not returned[name].equal(tensor) for name, tensor in published.items())
print(f"{sizes[1] / sizes[0]:.2f} of the bytes; {changed} of {len(published)} tensors have lost bits on the way")
assert 2 * sizes[1] == sizes[0] and changed > 0

# %% [markdown]
"""
### Exercise 3

Which checkpoints fit on 24 GB in int4 with 33 tiles, and which one needs SCM (`keep_ratio=0.5`) to fit on 8 GB in int4?
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
in_24 = [label for name, label in short.items() if fit(name, 24, kind="int4")]
on_8 = {ratio: [short[name] for name in short if fit(name, 8, ratio, "25", "int4")] for ratio in ("1.0", "0.5")}
helped = [label for label in on_8["0.5"] if label not in on_8["1.0"]]
print("24 GB:", in_24, "; with 25 tiles on 8 GB only with SCM:", helped)
assert in_24 == ["MiniMonkey", "1B", "4B", "8B"] and helped == ["8B"]

# %% [markdown]
"""
## Conclusion

One command brings them: `convert_minimonkey_weights_to_hf SOURCE TARGET --verify`. It renames, sorts InternLM2's grouped queries, keys and values, merges adapters and writes a folder that loads by itself; the recorded answers
of the published code come out id by id, and `--reverse` leads back bit for bit. What nobody has seen yet is the published weights themselves in this code: the first one to run them should use `--verify` and the benchmarks.

Read next: [07 Other models](07_other_models.ipynb); `benchmarks/conversion/RESULTS.md` and `docs/checkpoints.md` have the numbers.

Cite: Huang et al., *Mini-Monkey*, ICLR 2025, arXiv 2408.02034.

[05 Scale compression](05_scale_compression.ipynb) · [all notebooks](README.md) · [07 Other models](07_other_models.ipynb)
"""
