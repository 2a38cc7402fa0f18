# %% [markdown]
"""
# How do I convert the published weights?

[05 Scale compression](05_scale_compression.ipynb) · [all notebooks](README.md) · [07 Other models](07_other_models.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/06_published_weights.ipynb) [Source of this notebook](06_published_weights.py)

> **You will learn**: what an original checkpoint (`mx262/MiniMonkey`, `OpenGVLab/InternVL2-*`) looks like, how it becomes a folder that Transformers loads, how to see that nothing changed, how to go back, and which of them fits on your card.
>
> **You need**: Transformers' `from_pretrained`; what tiles and scale compression (SCM) are ([00](00_ask_an_image.ipynb)).
> **Time**: 15 min to read, 1 min to run. **Hardware**: two CPU cores, 2 GB of memory.
>
> **Contents**: [What is published, and what is here](#What-is-published,-and-what-is-here) · [Convert](#Convert) · [What became of the names](#What-became-of-the-names) · [The one layout that is easy to get wrong](#The-one-layout-that-is-easy-to-get-wrong) · [Does it compute what the published code computes?](#Does-it-compute-what-the-published-code-computes?) · [And back, bit for bit](#And-back,-bit-for-bit) · [Which ones can be converted](#Which-ones-can-be-converted) · [What does it take to convert one?](#What-does-it-take-to-convert-one?) · [Which one fits on my card?](#Which-one-fits-on-my-card?) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
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
# To read the original tokenizers
course.need("convert", "sentencepiece", "google.protobuf", "filelock")

# %% [markdown]
"""
## What is published, and what is here

The published weights are in a format of their own, `internvl_chat`, which comes with code of its own that was written for old versions of Transformers. This project reads the weights and leaves that code alone.

**No published weights are in this repository and none were ever run with it.** This notebook uses two small checkpoints in exactly the original format, with random weights. With them the published *code* was run once, and what it computed was recorded (`tests/golden`). So what can be shown is that a conversion keeps the arithmetic. What the answers say is noise.

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
settings = ("model_type", "template", "downsample_ratio", "select_layer")
print({name: original[name] for name in settings})
language = original["llm_config"]
kind, layers = language["model_type"], language["num_hidden_layers"]
print(f"{len(published)} tensors, language model {kind}, {layers} layers")

# %% [markdown]
"""
None of them: safetensors hold tensors only, and the rest are text and a table of token pieces. Python files and pickles (`*.bin`), which other folders have, could do anything; the converter runs no code of the source and refuses pickles unless told otherwise.

(`template` names the format of the prompt, `downsample_ratio` 0.5 joins 2 x 2 patches into one token, and `select_layer` -1 takes the last layer of the vision tower.)

## Convert

On the command line, where the first argument is a folder or the id of a repository on the Hub:

    convert_minimonkey_weights_to_hf mx262/MiniMonkey minimonkey-2b --verify

and in Python, `convert`. `verify=True` loads source and result one after the other and compares them: the token ids of some texts, and the logits for a drawn image. If they differ, it raises a `RuntimeError`, and no folder is left. So `verify` shows that the weights were written and are read back as meant. Whether names and layouts are mapped rightly it can't show, since loading the source and converting it use the same mapping; only the recorded cases below can.
"""

# %%
import schemes

course.show(
    schemes.plot_conversion(),
    alt="Left a folder with weights, tokenizer and config.json, right one with six "
    "kinds of files; between: rename, split, merge. A dashed arrow leads back.",
    caption="What becomes of each file. Blue is in both folders, orange is new, pink "
    "is done to the weights, the gray box is kept for the way back, the dashed arrow.",
)

# %% [markdown]
"""
**Predict**: what has to be in the new folder so that `from_pretrained` works where this project is not installed?
"""

# %%
from modeling_minimonkey.convert_minimonkey_weights_to_hf import (
    convert,
    load_original,
    revert,
)

folder = course.working_folder("06")
print(convert(source, folder / "ours", verify=True))
print(*sorted(path.name for path in (folder / "ours").iterdir()), sep=", ")

# %% [markdown]
"""
Weights, tokenizer, settings of the processor, chat template and the code. `original` keeps the small files of the source for the way back. The folder appears complete or not at all: it is written beside its place and renamed at the end. (The first line is what `verify` returns: a checksum of the 521 logits, one per token of the vocabulary, from which the first token is chosen, and the answer, noise here. On one machine equal weights give an equal checksum.)

## What became of the names

**Predict**: how many of the tensors keep their name?
"""

# %%
converted = load_file(folder / "ours" / "model.safetensors")
pairs = {
    "vision_model.embeddings.class_embedding": (
        "model.vision_tower.embeddings.cls_token"
    ),
    "vision_model.encoder.layers.0.ls1": "model.vision_tower.encoder.layer.0.lambda_1",
    "mlp1.1.weight": "model.multi_modal_projector.linear_1.weight",
    "language_model.model.tok_embeddings.weight": (
        "model.language_model.embed_tokens.weight"
    ),
    "language_model.model.layers.0.feed_forward.w1.weight": (
        "model.language_model.layers.0.mlp.gate_proj.weight"
    ),
    "language_model.output.weight": "lm_head.weight",
}
rows = [
    [f"`{a}`", f"`{b}`", published[a].equal(converted[b])] for a, b in pairs.items()
]
course.table(["published", "here", "equal"], rows)
same_name = published.keys() & converted.keys()
print(f"{len(published)} tensors before, {len(converted)} after,")
print(f"{len(same_name)} of the same name")
for tensors in (published, converted):
    print(sum(tensor.numel() for tensor in tensors.values()), "numbers")

# %% [markdown]
r"""
None. InternLM2 is a Llama with other names: `w1` is the gate, `w3` goes up, `w2` down. There are 16 tensors more afterwards, and not a single number more: what was one matrix of queries, keys and values is three. That makes 2 more in each of the 4 layers of the language model, and 4 more in each of the 2 layers of the vision tower, where the biases are split, too.

## The one layout that is easy to get wrong

InternLM2 keeps queries, keys and values in one matrix, `wqkv`. Its rows stand in **groups**, one per key-value head: the query heads that share it, then its key, then its value. Whoever cuts it into three plain blocks gets a model that runs and talks nonsense. (InternViT's `qkv` *is* three plain blocks: all queries, all keys, all values. Two orders in one file are what makes this easy to get wrong.) With $g$ query heads per key-value head and heads of $d$ rows, group $j$ begins at row $j\,(g + 2)\,d$; its key lies at row

$$\big(j\,(g + 2) + g\big)\,d,$$

and its value $d$ rows further on.

**Predict**: there are 4 query heads and 2 key-value heads of 16 rows. Where do the rows of `k_proj` lie in `wqkv`?
"""

# %%
import course_plots

heads = ["q0", "q1", "k0", "v0", "q2", "q3", "k1", "v1"]
course.show(
    course_plots.plot_heads(heads, rows=16),
    alt="Above, the rows of wqkv in two groups q q k v; in the middle, the same heads "
    "sorted into q_proj, k_proj and v_proj; below, a plain cut with five heads in the "
    "wrong matrix.",
    caption="Heads and their rows, counted anew in each matrix: in the one, in the three, "
    "and in three plain blocks; in the wrong matrix they are framed red. Find k0 and k1.",
)

# %%
import torch

wqkv = published["language_model.model.layers.0.attention.wqkv.weight"]
rows = wqkv.split(16)  # one entry per head, in the order of the upper bar
for name in "qkv":
    drawn = [rows[place] for place, head in enumerate(heads) if head[0] == name]
    here = f"model.language_model.layers.0.self_attn.{name}_proj.weight"
    assert torch.cat(drawn).equal(converted[here])
print("wqkv", tuple(wqkv.shape), "-> q, k, v as drawn, bit for bit")

# %% [markdown]
"""
`k_proj` comes from rows 32 to 47 and 96 to 111.

## Does it compute what the published code computes?

Five cases were recorded for each of two families of language models, InternLM2 and Qwen2: the inputs, the logits of the published code, and the 16 ids that it wrote greedily, at temperature zero. Here the *converted folders* have to give the same, so this is the check of the mapping. (The name of a case says image, settings and order of tiles: `evalorder`, as in the published evaluation, has detailed tiles first, `demoorder`, as in the demo, adaptive ones.)

**Predict**: how far may the logits of two codes differ if both are right?
"""

# %%
from recordings import agree, read_truth, write

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from tests.recorded import CASES


def recorded(family):
    """For each case: ids of both codes, and the largest difference of their logits."""
    place, target = golden / "model" / family, folder / f"recorded-{family}"
    convert(place / "checkpoint", target)
    model = MiniMonkeyForConditionalGeneration.from_pretrained(
        target, attn_implementation="eager"
    )
    for case in CASES[:3] if course.FAST else CASES:
        inputs, truth = read_truth(place, case)
        with torch.no_grad():
            logits = model(**inputs).logits[0, truth["logits_positions"]]
        difference = float((logits - truth["logits"]).abs().max())
        yield case, write(model, inputs), truth["greedy_ids"].tolist(), difference


rows = []
for family in ("internlm2", "qwen2"):
    for name, ours, theirs, difference in recorded(family):
        rows.append([f"{family}, {name}", agree(ours, theirs), f"{difference:.0e}"])
        assert ours == theirs and difference < 2e-3
course.table(["recorded case", "equal ids of 16", "largest difference of logits"], rows)

# %% [markdown]
"""
All 16, in each of the six cases (with the environment variable `FAST=0`, set before the notebook starts, in all ten). Both codes add the same float32 numbers in another order, so their roundings differ: by about 1e-4 at most here; 2e-3 is allowed. This checked the model alone, with the recorded inputs. Does our processor make these inputs from image and question: template, token ids and pixels?
"""

# %%
from PIL import Image

from processing_minimonkey import MiniMonkeyProcessor

for family in ("internlm2", "qwen2"):
    place = golden / "model" / family
    ours = MiniMonkeyProcessor.from_pretrained(folder / f"recorded-{family}")
    for case in json.loads((place / "cases.json").read_text())["cases"]:
        if case["order"] == "demo":  # not the order of our processor
            continue
        there, _ = read_truth(place, case["name"])
        content = [{"type": "image", "image": Image.open(golden / case["image"])}]
        content += [{"type": "text", "text": case["question"]}]
        setting = case["setting"].removeprefix("eval_")
        chat = [{"role": "user", "content": content}]
        here = ours.prepare_chat(chat, pyramid=setting)
        far = float((here["pixel_values"] - there["pixel_values"]).abs().max())
        assert here["input_ids"].equal(there["input_ids"])
        assert far < 0.02  # a gray level
        number, name = here["input_ids"].shape[1], case["name"]
        print(f"{family}, {name}: {number} equal ids, pixels differ by {far:.0e}")

# %% [markdown]
"""
It does, id by id and pixel by pixel, in all cases with the evaluation's order, three of each family. (Other releases of Pillow resize some images to other values by a gray level, which is allowed. The demo's order is not that of our processor: its cases are checked with the recorded inputs alone.) And the plain cut of the red row above?

**Predict**: with random weights, how many of the 16 ids agree if this one layout is wrong?
"""


# %%
def cut_plainly(layers):
    """The model with `wqkv` of these layers cut into three plain blocks."""
    wrong = load_original(source, attn_implementation="eager")
    for number in layers:
        attention = wrong.model.language_model.layers[number].self_attn
        name = f"language_model.model.layers.{number}.attention.wqkv.weight"
        blocks = published[name].split((64, 32, 32))
        for letter, block in zip("qkv", blocks, strict=True):
            getattr(attention, f"{letter}_proj").weight.data.copy_(block)
    return wrong


def right_ids(model):
    """Of the 16 recorded ids of each case, how many the model writes."""
    cases = (read_truth(golden / "model" / "internlm2", case) for case in CASES)
    return [
        agree(write(model, inputs), truth["greedy_ids"].tolist())
        for inputs, truth in cases
    ]


right = right_ids(cut_plainly(range(layers)))
print(f"plain cut: {right} of 16 ids, in the five cases of InternLM2")
assert right_ids(cut_plainly([])) == [16] * 5 and max(right) < 8

# %% [markdown]
"""
At most one of 16, and the model runs without a complaint. So the recorded ids tell a wrong layout from a right one.

## And back, bit for bit

`revert`, or `--reverse` on the command line, leads back to the authors' code and what works with it, such as programs that score benchmarks ([10 Measure](10_measure.ipynb)).

**Predict**: is the file the same, byte by byte, or only its tensors?
"""

# %%
revert(folder / "ours", folder / "back")
back = load_file(folder / "back" / "model.safetensors")
same = all(
    back[name].equal(tensor) and back[name].dtype == tensor.dtype
    for name, tensor in published.items()
)
files = [path / "model.safetensors" for path in (source, folder / "back")]
equal = [a == b for a, b in zip(*map(course.header_and_data, files), strict=True)]
settings = json.loads((folder / "back" / "config.json").read_text())
differ = [name for name in original if settings.get(name) != original[name]]
print(f"{len(back)} tensors, equal: {same}; header and data of the file: {equal}")
print("settings that differ:", differ)
assert same and back.keys() == published.keys()

# %% [markdown]
"""
The tensors are: every name, every bit. The file is not: it holds the same tensors in another order, so its header and its bytes differ. No setting of the original differs.

A model that was fine-tuned here can return, too, but no `save_pretrained` copies `original`, the kept small files:
"""

# %%
import contextlib
import io

tuned = folder / "tuned"
again = MiniMonkeyForConditionalGeneration.from_pretrained(folder / "ours")
again.save_pretrained(tuned)  # stands for a model that was trained on
with contextlib.redirect_stderr(io.StringIO()):  # a warning: no tokenizer
    revert(tuned, folder / "weights alone")
revert(tuned, folder / "whole", original=source)
for name in ("weights alone", "whole"):
    print(f"{name}:", *sorted(path.name for path in (folder / name).iterdir()))

# %% [markdown]
"""
So give `--original mx262/MiniMonkey` after a fine-tuning: tokenizer and settings come from there, and so does the authors' Python code, which the converter never keeps.

## Which ones can be converted

| original language model (`llm_config.model_type`) | becomes | published as |
|---|---|---|
| `internlm2` | Llama | MiniMonkey, InternVL2-2B, 8B, 26B |
| `qwen2` | Qwen2 | InternVL2-1B |
| `phi3` | Phi3 | InternVL2-4B |
| `llama` | Llama | InternVL2-40B, InternVL2-Llama3-76B |

Both InternViT-300M and InternViT-6B are known. LoRA adapters (small matrices trained beside the weights, [08](08_fine_tune.ipynb)) that the published code left unmerged are merged on the way. Phi-3, Llama, InternViT-6B and LoRA are checked against a naive model that equals the published code on the recorded data, not against recordings of their own.

**Predict**: an adapter of rank 4 on the language model: how many more tensors does the result have?
"""

# %%
from tests.modeling.conversion.original_checkpoints import write_original

rows = []
for family in ("internlm2", "qwen2", "phi3", "llama", "llama3"):
    counts = []
    for rank in (0, 4):
        made = write_original(folder / f"{family}-{rank}", family, llm_lora=rank)
        model = load_original(made)
        counts.append(len(model.state_dict()))
    names = load_file(made / "model.safetensors")
    lora = sum("lora" in name for name in names)
    text_config = type(model.config.text_config).__name__
    rows.append([family, f"`{text_config}`", lora, *counts])
head = ["original", "becomes", "LoRA matrices", "tensors without", "tensors with them"]
course.table(head, rows)

# %% [markdown]
r"""
None: a merged adapter is gone, as its product was added to the weights it changed. The published code sets $\alpha = 2r$ for rank $r$, so the merged matrix is

$$W + \frac{\alpha}{r} B A = W + 2 B A.$$

**Predict**: the adapter is gone; is its work gone, too? How far is the merged matrix from $W$, by rounding alone or by more?
"""

# %%
adapted = folder / "internlm2-4"
parts = load_file(adapted / "model.safetensors")
gate = "language_model.base_model.model.model.layers.0.feed_forward.w1"
base = parts[f"{gate}.base_layer.weight"]
down, up = (parts[f"{gate}.lora_{letter}.default.weight"] for letter in "AB")
merged = load_original(adapted).model.language_model.layers[0].mlp.gate_proj.weight
print("A", tuple(down.shape), "B", tuple(up.shape), "W", tuple(base.shape))
print(f"merged minus W: up to {float((merged - base).abs().max()):.3f}")
by_hand = base + 2 * up @ down
print(f"merged minus (W + 2 B A): {float((merged - by_hand).abs().max())}")
assert merged.allclose(by_hand)

# %% [markdown]
"""
By more: up to 0.642, and what it differs by is exactly $2 B A$. (There is no way back from this: `revert` leaves merged adapters merged.)

## What does it take to convert one?

Memory, mostly. The usual way, loading and saving, holds the whole model; the converter holds one tensor at a time. Measured once (n = 1), without `--verify`, on a checkpoint of the shapes of InternVL2-2B, 4.41 GB with random weights (`benchmarks/conversion`; here a GB is 10^9 bytes).

**Predict**: how many GB does a conversion need: 4.4, 1, or less?
"""

# %%
results = course.ROOT / "benchmarks" / "conversion" / "results.json"
ways = json.loads(results.read_text())["ways"]
names = {
    "convert --dtype float32": "convert, dtype float32",
    "convert --reverse": "revert",
}
added = {names.get(name, name): way["added"] / 1e9 for name, way in ways.items()}
course.show(
    course_plots.plot_added_memory(added, checkpoint=4.41),
    alt="Bars of added memory: about 0.4 GB for the three ways of the converter, 5.2 "
    "GB for loading and saving the model.",
    caption="Memory that each way adds to the process: compare the last bar with the "
    "others. Measured once on one machine (benchmarks/conversion/RESULTS.md).",
)

# %% [markdown]
"""
0.42 GB, about a tenth of this checkpoint. Most of it is one tensor, the table of embeddings: 92,553 tokens times 2,048 numbers times 2 bytes are 0.38 GB. A cast to float32 adds little (second bar), since it is done in parts: the table is never held as float32 whole. (The first version did hold it, and needed more than twice as much: `benchmarks/LOG.md`.)

For other checkpoints don't take a tenth: what counts is the largest tensor and its copies. In Llama3-76B that is the table of embeddings, 2.1 GB (by arithmetic, not measured). Loading and saving took 0.8 GB more than the model itself; why was not looked into. The conversion took 24 s, the way back 11 s (RESULTS.md).

`--verify` needs more, since it loads the source and then the result as whole models; leave it out where a model doesn't fit, and verify on a larger machine.

## Which one fits on my card?

Computed, not measured: no GPU was used. `benchmarks/memory` counts the bytes of all tensors that are alive at the same time until the first token of the answer is there, for a page of 33 tiles. Beside the weights these are the *cache* of keys and values, and the *work*, what a layer computes and drops again. Here 1 GiB is 2^30 bytes; a card that is sold with 24 GB has about 24 GiB.

**Predict**: which checkpoints fit on 24 GB in bfloat16? And does a larger one always need more beside its weights? (The table is in GiB with 33 tiles; bold: fits on 24.)
"""

# %%
from benchmarks.memory.document import GIB, RESERVE, peak

results = course.ROOT / "benchmarks" / "memory" / "results.json"
checkpoints = json.loads(results.read_text())["checkpoints"]
short = {}
for name in checkpoints:
    if "InternVL2-2B" not in name:  # which is as large as MiniMonkey
        short[name] = name.split("/")[1].replace("InternVL2-", "")


def needed(name, ratio="1.0", tiles="33", kind="bf16"):
    """GiB of weights, cache and work."""
    checkpoint = checkpoints[name]
    return (
        checkpoint["weights"][kind] + peak(checkpoint["prefill"][tiles][ratio])
    ) / GIB


def fit(name, card, ratio="1.0", tiles="33", kind="bf16"):
    """Whether it fits on a card of `card` GiB, with 1 GiB left over."""
    return needed(name, ratio, tiles, kind) + RESERVE <= card


FORMATS = ("bf16", "int8", "int4")
rows = []
for name, label in short.items():
    cells = []
    for kind in FORMATS:
        cell = f"{needed(name, kind=kind):.1f}"
        cells.append(f"**{cell}**" if fit(name, 24, kind=kind) else cell)
    prefill = checkpoints[name]["prefill"]["33"]["1.0"]
    shares = (peak(prefill) / GIB, prefill["cache"] / GIB)
    rows.append([label, *cells, *(f"{share:.1f}" for share in shares)])
heads = ["checkpoint", *FORMATS, "beside the weights", "of this, cache"]
course.table(heads, rows)
for tiles in ("5", "9"):
    most = needed("OpenGVLab/InternVL2-26B", tiles=tiles, kind="int4")
    print(f"26B in int4 with {tiles} tiles: {most:.1f} GiB, and {RESERVE} left over")

# %%
weights = {
    kind: [checkpoints[name]["weights"][kind] / GIB for name in short]
    for kind in FORMATS
}
work = [peak(checkpoints[name]["prefill"]["33"]["1.0"]) / GIB for name in short]
course.show(
    course_plots.plot_cards(weights, work, list(short.values()), 24, RESERVE),
    alt="Bars of memory for seven checkpoints in bf16, int8 and int4 against a line "
    "at 24 GiB, in two panels, small and large ones.",
    caption="A check mark: it fits, with 1 GiB left over (no bar on the right does). "
    "Weights, cache and work for 33 tiles without SCM; computed. Mind the two "
    "scales. InternVL2-2B is as large as MiniMonkey.",
)

# %% [markdown]
"""
MiniMonkey, 1B, 4B and 8B fit. A larger one doesn't always need more: 4B needs 4.0 GiB beside its weights, 8B only 2.2. The cache makes the difference: Phi-3 keeps a key and a value for each query head; in InternLM2.5 four query heads share them (GQA, see the references), and heads are a third wider, so a token of 8B takes a third of the cache.

That it fits doesn't mean that it reads well: 33 tiles are 8,448 tokens, beyond the contexts of 8k tokens that InternVL2 was trained with, unless SCM shortens them. Of the larger ones only 26B comes within reach, in int4 with 5 tiles, not with 9 (printed above). [docs/checkpoints.md](../docs/checkpoints.md) has the whole table, with SCM and other cards.

## Common errors
"""

# %%
import shutil

from safetensors.torch import save_file

broken = shutil.copytree(source, folder / "broken")
missing = "language_model.model.layers.3.ffn_norm.weight"
kept = {name: tensor for name, tensor in published.items() if name != missing}
save_file(kept, broken / "model.safetensors")
with course.expected(ValueError):  # a missing tensor is named, and nothing is written
    convert(broken, folder / "never")
assert not (folder / "never").exists()

# %%
pickled = write_original(folder / "pickled", "qwen2", pickle=True)
with course.expected(FileNotFoundError):  # pickles are refused
    convert(pickled, folder / "never")
# Reads bare tensors only, as PyTorch's weights_only
convert(pickled, folder / "trusted", allow_pickle=True)

# %%
with course.expected(FileExistsError):
    convert(source, folder / "ours")  # nothing is overwritten
with course.expected(ValueError):
    convert(course.CHECKPOINT, folder / "never")  # this one is in our format already

# %% [markdown]
"""
## Exercises

### Exercise 1

Above, all four layers were cut wrong. How many of the recorded ids are right if only one layer is, and does it matter which?

<details>
<summary>Solution</summary>

```python
for number in range(layers):
    right = right_ids(cut_plainly([number]))
    print(f"only layer {number}: {right} of 16 ids")
    assert max(right) < 8  # two at most, whichever it is
```

</details>

### Exercise 2

Convert to bfloat16. How large is the file relative to the original, and does the way back still give the original bits?

<details>
<summary>Solution</summary>

```python
convert(source, folder / "half", dtype=torch.bfloat16)
revert(folder / "half", folder / "half-back", dtype=torch.float32)
sizes = []
for path in (folder / "ours", folder / "half"):
    tensors = load_file(path / "model.safetensors").values()
    sizes.append(sum(tensor.nbytes for tensor in tensors))
returned = load_file(folder / "half-back" / "model.safetensors")
changed = sum(not returned[name].equal(tensor) for name, tensor in published.items())
print(f"{sizes[1] / sizes[0]:.2f} of the bytes;")
print(f"{changed} of {len(published)} tensors have lost bits on the way")  # all
assert 2 * sizes[1] == sizes[0] and changed > 0
```

</details>

### Exercise 3

Which checkpoints fit on 24 GB in int4 with 33 tiles, and which one needs SCM (`keep_ratio=0.5`) to fit on 8 GB in int4 with 25 tiles?

<details>
<summary>Solution</summary>

```python
in_24 = [label for name, label in short.items() if fit(name, 24, kind="int4")]
on_8 = {}
for ratio in ("1.0", "0.5"):
    on_8[ratio] = [short[name] for name in short if fit(name, 8, ratio, "25", "int4")]
helped = [label for label in on_8["0.5"] if label not in on_8["1.0"]]
print("24 GB:", in_24, "; with 25 tiles on 8 GB only with SCM:", helped)
assert helped == ["8B"]
```

</details>

## Conclusion

One command converts them: `convert_minimonkey_weights_to_hf SOURCE TARGET --verify`. It renames, sorts InternLM2's grouped queries, keys and values, merges adapters, and writes a folder that loads by itself. The recorded answers of the published code come out id by id. `--reverse` leads back, every tensor bit for bit, in another order in the file (merged adapters stay merged, and a fine-tuned model needs `--original`). What nobody has seen yet is the published weights themselves in this code: the first one to run them should compare answers with the authors' code, beyond what `--verify` can say.

Read next: [07 Other models](07_other_models.ipynb); `benchmarks/conversion/RESULTS.md` and [docs/checkpoints.md](../docs/checkpoints.md) have the numbers.

## References and further reading

- Huang et al., *Mini-Monkey*, ICLR 2025, [arXiv 2408.02034](https://arxiv.org/abs/2408.02034). Cite this one. The authors' [code](https://github.com/Yuliang-Liu/Monkey) and [weights](https://huggingface.co/mx262/MiniMonkey).
- Chen et al., *How Far Are We to GPT-4V?* (InternVL 1.5), [arXiv 2404.16821](https://arxiv.org/abs/2404.16821); the checkpoints of [InternVL2](https://huggingface.co/OpenGVLab/InternVL2-2B).
- Cai et al., *InternLM2 Technical Report*, [arXiv 2403.17297](https://arxiv.org/abs/2403.17297), which explains the grouped `wqkv`. Ainslie et al., *GQA*, [arXiv 2305.13245](https://arxiv.org/abs/2305.13245).
- [safetensors](https://huggingface.co/docs/safetensors), and the Hub on [pickles](https://huggingface.co/docs/hub/security-pickle).

[05 Scale compression](05_scale_compression.ipynb) · [all notebooks](README.md) · [07 Other models](07_other_models.ipynb)
"""
