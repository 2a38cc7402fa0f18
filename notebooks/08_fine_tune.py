# %% [markdown]
"""
# How do I teach it my own data?

[07 Other models](07_other_models.ipynb) · [all notebooks](README.md) · [09 Share](09_share.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/08_fine_tune.ipynb) [Source of this notebook](08_fine_tune.py)

> **You will learn**: how to get from a folder of images to a better checkpoint in minutes, how to tell on held-out images whether it is better, what it saves and costs to remind it of what it could before, and what LoRA gains and costs compared with training all weights.
>
> **You need**: a model that answers ([00 Ask an image](00_ask_an_image.ipynb)). **Time**: 25 min to read, 5 min to run. **Hardware**: two CPU cores, 3 GB of memory.
>
> **Contents**: [Find out what it can't read](#Find-out-what-it-can't-read) · [Write your data down](#Write-your-data-down) · [Train](#Train) · [Is it better? What was forgotten?](#Is-it-better?-What-was-forgotten?) · [LoRA: learn a little beside the weights](#LoRA:-learn-a-little-beside-the-weights) · [The same with the 2B model on 24 GB](#The-same-with-the-2B-model-on-24-GB) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
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
course.need("train", "accelerate", "peft", "trl", "datasets")

# %% [markdown]
"""
## Find out what it can't read

Before you train, measure. The small checkpoint of this repository reads rendered text; it is not the published model. Your data here are words in another typeface, STIX, which looks like Times. At the same size its letters are smaller, so it is set larger here, until an "x" is as high in both: what is left is the shape. The words of the test are held out: none was ever seen in training, here or before.

**Predict**: a model reads 9 of 10 words in one typeface. How many does it read in another?
"""

# %%
import typefaces
from typefaces import NEW, OLD

ratio = typefaces.x_height(OLD) / typefaces.x_height(NEW)
print(f"STIX is set {ratio:.2f} times as large")
number = 64 if course.FAST else 300
print(typefaces.different(64, 300))  # the longer run below has 300
tests = {
    font: [typefaces.draw("test", index, font) for index in range(number)]
    for font in (OLD, NEW)
}

# %%
import course_plots
import schemes

course.show(
    course_plots.plot_samples(typefaces.samples(tests, 6)),
    alt="Six words in a sans serif typeface above, and in one with serifs below.",
    caption="Above what it knows, below what it is to learn. Titles are the answers.",
)

# %%
import numpy as np
import torch

from benchmarks.sawtooth.readers.scores import score
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from processing_minimonkey import MiniMonkeyProcessor

processor = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)
QUESTION = {"type": "text", "text": "Read the text."}


def chat(image):
    content = [{"type": "image", "image": image}, QUESTION]
    return [{"role": "user", "content": content}]


def prepare(pages):
    return processor.prepare_chat([chat(page.image) for page in pages])


def read(model, pages):
    texts = []
    for start in range(0, len(pages), 64):
        batch = prepare(pages[start : start + 64])
        ids = model.eval().generate(**batch, max_new_tokens=12, do_sample=False)
        answers = ids[:, batch["input_ids"].shape[1] :]
        texts += processor.batch_decode(answers, skip_special_tokens=True)
    return texts


# %%
def evaluate(model):
    """Which words of each typeface are read to the letter: arrays of (words,)."""
    right = {}
    for font, pages in tests.items():
        texts = read(model, pages)
        hits = [page.text == text for page, text in zip(pages, texts, strict=True)]
        right[font] = np.array(hits)
        share = course.percent(course.wilson(sum(hits), number))
        characters = score(pages, texts)["character_accuracy"]
        print(f"{font:12} {share} of {number} words to the letter,")
        print(f"{'':12} {100 * characters:.1f} % of the characters")
    return right


model = MiniMonkeyForConditionalGeneration.from_pretrained(course.CHECKPOINT).float()
before = evaluate(model)

# %% [markdown]
"""
In the new typeface it reads a quarter of the words in place of nine in ten, though 63% of the characters are right: one wrong letter makes a word wrong. The words are the same in both typefaces, and so is the height of an "x"; what differs is the shape of the letters. So there is something to learn. (The intervals are Wilson's, `course.wilson`, over the images, which show 62 different words.)

## Write your data down

A line of the file (here `mixed.jsonl`) is one chat, with the paths of its images relative to the file. Yours may come from a table, a form, a labelling tool: this is all that is needed.

**Should you mix old data in?** A model that is trained on one thing alone *can* forget others. So every other word here is set in the old typeface, as a reminder. That has a price: the model sees half as many words of the new one. Whether it is worth it, only a test tells: exercise 3 in this short training, and [below](#LoRA:-learn-a-little-beside-the-weights) a run ten times as long. The training data of published weights you don't have, but you do have pages of the kind that must not get worse. Test on them, and mix in others like them if that is shown to help.

**Predict**: which tokens of a chat will the loss be on: question, image, answer?
"""

# %%
import json

folder = course.working_folder("08")
(folder / "images").mkdir()


def write_chats(name, font_of):
    """480 chats about a word each; `font_of` gives the typeface of each."""
    lines = []
    for index in range(480):
        font = font_of(index)
        page, image = typefaces.draw("train", index, font), f"images/{font}-{index}.png"
        page.image.save(folder / image)
        question = [{"type": "image", "image": image}, QUESTION]
        messages = [
            {"role": "user", "content": question},
            {"role": "assistant", "content": page.text},
        ]
        lines.append(json.dumps({"messages": messages}))
    (folder / name).write_text("\n".join(lines) + "\n")
    return lines


lines = write_chats("mixed.jsonl", lambda index: NEW if index % 2 else OLD)
print(lines[0])

# %%
import datasets

datasets.disable_progress_bars()
sys.path.append(str(course.ROOT / "examples"))
from finetune_data import ChatCollator, load_chats

chats = load_chats(str(folder / "mixed.jsonl"))
batch = ChatCollator(processor)([chats[0], chats[1]])
answers = [processor.decode(row[row >= 0]) for row in batch["labels"]]
for name in ("input_ids", "labels", "pixel_values"):
    print(f"{name:13} {tuple(batch[name].shape)}")
print("the loss is on", answers)
ids, labels = (batch[name][0].tolist() for name in ("input_ids", "labels"))
tiles = len(batch["pixel_values"]) // 2
per_tile = ids.count(processor.image_token_id) // tiles
levels = batch["tile_levels"][:tiles].tolist()
cells = schemes.label_cells(processor, ids, labels, levels, per_tile)
course.show(
    schemes.plot_labels(cells),
    alt="The tokens of a chat in four rows: format and question in gray, image tokens, "
    "the answer. Below each the label -100, but below the answer its own letters.",
    caption="The first chat as the model gets it. Find the five labels that aren't -100. "
    "Image tokens are not to scale; · is a space, ↵ a new line.",
)

# %% [markdown]
r"""
On the answers alone, and on the token that ends them. Everything else has the label -100, which the loss leaves out. Labels stand below their own token; the loss compares each with what the model says *one token before*, so none is predicted from itself.

The shape (10, 3, 112, 112) is five tiles for each of two images: an image of 112 px has no detailed grid, so there are four adaptive tiles and a global one. This training shows the model no detailed tiles, so nothing that SCM ([05](05_scale_compression.ipynb)) could drop. If your pages have them, train on whole pages.

## Train

`examples/finetune.py` is Transformers' `Trainer`, and takes all of its options:

    python examples/finetune.py --train_data mixed.jsonl --output_dir mine \
        --max_steps 60 --learning_rate 1e-4 --save_steps 20 \
        --warmup_steps 5 --lr_scheduler_type cosine --seed 0

Here the functions behind it are called, so that the notebook can look at the losses. All weights learn; 60 steps of 8 images.

**Predict**: how many of the 480 images does it see?
"""

# %%
import contextlib
import io

from finetune import FinetuneArguments, run, trainer_arguments
from transformers import Trainer, TrainerCallback, TrainingArguments

quiet = {"report_to": "none", "disable_tqdm": True, "save_strategy": "no"}
quiet |= {"use_cpu": True, "logging_steps": 2, "seed": 0}


class Watch(TrainerCallback):
    """Reads the held-out words at some steps, without a word."""

    def __init__(self, at):
        self.at, self.right = at, {}

    def on_step_end(self, args, state, control, model, **rest):
        if state.global_step in self.at:
            with contextlib.redirect_stdout(io.StringIO()):
                self.right[state.global_step] = evaluate(model)
            model.train()


def train(name, data, steps, rate, callbacks=(), **choices):
    """Train on a file of the folder; the result is the folder `name`."""
    arguments = FinetuneArguments(
        train_data=str(folder / data), model=str(course.CHECKPOINT), **choices
    )
    schedule = {"warmup_steps": 5, "lr_scheduler_type": "cosine"}
    settings = TrainingArguments(
        str(folder / name), max_steps=steps, learning_rate=rate, **schedule, **quiet
    )
    trainer = Trainer(**trainer_arguments(arguments, settings))
    for callback in callbacks:
        trainer.add_callback(callback)
    with contextlib.redirect_stdout(io.StringIO()):  # a line for every other step
        run(trainer)
    return trainer


def losses(trainer):
    """Pairs of step and loss."""
    entries = [entry for entry in trainer.state.log_history if "loss" in entry]
    return [(entry["step"], float(entry["loss"])) for entry in entries]


# %%
steps = 60 if course.FAST else 600
watch = Watch(at=(steps // 3, 2 * steps // 3))
trainer = train("mine", "mixed.jsonl", steps, 1e-4, callbacks=[watch])
found = losses(trainer)
first, last = (np.mean([loss for _, loss in part]) for part in (found[:5], found[-5:]))
print(f"{steps * trainer.args.train_batch_size} images")
print(f"loss of the first ten steps {first:.2f}, of the last ten {last:.2f}")

# %% [markdown]
"""
The folder has everything that loading needs: weights, processor, code and a figure of the losses, `loss.png`. With `--save_steps`, a run that is killed goes on from its last checkpoint when the same command is given again.

The mean of ten steps falls from 0.47 to 0.25, but not steadily: at step 22 it is back at 0.42 (figure 3, below). So the end of the line proves little. (The unit is nats: at 0.25 a right token has a probability of about $e^{-0.25}$, 78%.) Each image was seen once, so each loss is on an image that was not trained on yet; with `FAST=0` each is seen about ten times. But the loss mixes both typefaces, and all of its words come from the training list. What each typeface gained, only held-out words tell.

## Is it better? What was forgotten?

What counts is the held-out words, in the new typeface and in the old one. `Watch` has read them on the way, too.

**Predict**: half of the words were set in DejaVu Sans. Is that enough for it to stay as good there?
"""


# %%
def compared(first, second):
    """Of the same words the second model's gained and lost ones; p of a sign test."""
    found = {}
    for font in tests:
        gained = int((second[font] & ~first[font]).sum())
        lost = int((first[font] & ~second[font]).sum())
        p = course.sign_test(gained, lost)
        print(f"{font:12} {gained} gained, {lost} lost (p = {p:.2g})")
        found[font] = gained, lost, p
    return found


tuned = MiniMonkeyForConditionalGeneration.from_pretrained(folder / "mine").float()
after = evaluate(tuned)
with_all = compared(before, after)
print(f"at step {steps // 3}:")
compared(before, watch.right[steps // 3])
fonts = typefaces.TITLES
on_the_way = {0: before, **watch.right, steps: after}
read_by = {
    label: {
        step: course.wilson(int(right[font].sum()), number)
        for step, right in on_the_way.items()
    }
    for font, label in fonts.items()
}
course.show(
    course_plots.plot_losses(found, read_by),
    alt="Left the loss over the steps. Right the held-out words of both typefaces at "
    "four steps, with their intervals.",
    caption="Does one curve tell the other? Left the gray dots still reach from below "
    "0.1 to above 0.6 after step 40. Right the held-out words, 95% intervals (Wilson), "
    f"n = {number} per typeface.",
)
assert after[NEW].mean() > before[NEW].mean()
assert after[OLD].mean() > before[OLD].mean() - 0.1

# %% [markdown]
r"""
Better in the new typeface: 14 words gained, 4 lost, p = 0.031. No worse in the old one, as far as so few words can tell.

- **What p is.** Both models read *the same* words, so only those count that one of them reads and the other doesn't. `p` says: if gain and loss were equally likely, how often would they come out at least this unequal (McNemar's test)? Comparing the two intervals would ignore that the words are the same.
- **The dip.** At step 20 the old typeface has 1 word gained and 7 lost (p = 0.07), at the end 1 gained and 2 lost. No loss is shown, but such a dip is why one looks at more than the end.
- **The loss** is noisy from step 10 on, since eight words a step are few: it can't say whether the last fifty steps helped. Nor can 64 words: after step 20 the new typeface gains only three more (7, then 10, net).
- **The limits.** One run, one seed, rates that nobody tuned: an example, not a recipe. 64 words show only large differences. And p takes them for independent, though some come twice, so it may be too small. `FAST=0` trains ten times as long and tests 300 images: see [below](#LoRA:-learn-a-little-beside-the-weights). (On another machine some words will differ.)

A share hides what kind of mistakes these are. So look at some: the first three words that were gained, the first that was lost, and the first two that both models misread.

**Predict**: how far from the word is a wrong answer?
"""

# %%
gained, lost = after[NEW] & ~before[NEW], before[NEW] & ~after[NEW]
neither = ~after[NEW] & ~before[NEW]
some = [*gained.nonzero()[0][:3], *lost.nonzero()[0][:1], *neither.nonzero()[0][:2]]
shown = [tests[NEW][index] for index in some]
said = {"before": read(model, shown), "after": read(tuned, shown)}
course.show(
    course_plots.plot_answers(shown, said),
    alt="Six images of words in a typeface with serifs; below each the answers before "
    "and after the training, right ones in black, wrong ones in red with a cross.",
    caption="Answers before and after the training, red with a cross where they are "
    "wrong. Three words gained, one lost, two never read: compare the letters that fail.",
)

# %% [markdown]
r"""
Count each letter that is changed, missing or too many: of the eight wrong answers four are off by one, two by two and two by four. Most of what is confused has similar shapes: "c" for "e", "t" for "r", "v" for "w", "0" for "9". After the training "vwakro" is nearer than before. But "230", which was read, is lost, and of "9415" nothing is left: the model now takes its digits for letters. Six words show kinds of mistakes and no rates; but whoever looks at the wrong answers knows what data to add, here perhaps more digits.

## LoRA: learn a little beside the weights

An adapter leaves the weights alone and adds a small product of two matrices to each linear layer that it adapts. `examples/configs/lora.yaml` does that as InternVL2's authors do for their large models: rank 16 on the language model. For a weight matrix $W$ of $m \times n$ numbers it learns

$$W + \frac{\alpha}{r}\, B A, \qquad B \in \mathbb{R}^{m \times r},\; A \in \mathbb{R}^{r \times n},$$

$r (m + n)$ numbers in place of $m n$. Here $r = 16$ and $\alpha = 2r$, so the product is doubled. The vision tower (pixels to features) and the projector (features to the language model's width) stay as they are.

The learning rate is 1e-3, ten times that of all weights, as adapters usually need more. (The file's own, 4e-5, is for the large models.)

$B$ starts at zero, so at step 0 the adapted model *is* the base, whatever $A$ is. This is one of its matrices:
"""

# %%
rank = 16
matrix = model.model.language_model.layers[0].self_attn.q_proj.weight
course.show(
    schemes.plot_lora(*matrix.shape, rank),
    alt="A square W, plus a tall narrow B times a flat wide A, equals a square again.",
    caption="The queries of the first layer, drawn to scale. Compare the areas: what "
    "learns is an eighth of what is frozen.",
)

# %% [markdown]
"""
**Predict**: which share of the weights is trained at rank 16? And how many words will it read, after as many steps on the same data?
"""

# %%
import yaml
from peft import PeftModel
from safetensors.torch import load_file

recipe = yaml.safe_load((course.ROOT / "examples/configs/lora.yaml").read_text())
choices = {"train": recipe["train"], "lora_rank": recipe["lora_rank"]}
trainer = train("adapter", "mixed.jsonl", steps, 1e-3, **choices)
weights = load_file(folder / "adapter" / "adapter_model.safetensors")
trained = sum(matrix.numel() for matrix in weights.values())
whole = sum(weight.numel() for weight in model.state_dict().values())
print(f"{len(weights)} matrices, {trained / whole:.1%} of {whole:,} weights")

# %% [markdown]
"""
One weight in twenty is trained, and only the adapter's matrices are saved. In a 2B model rank 16 is below one percent; here the layers are narrow. Now load it again, and merge it into the weights, so that nobody needs `peft` to load the result.

**Predict**: how far are the logits of the merged model from those with the adapter?
"""

# %%
inputs = prepare(tests[NEW][:4])


@torch.no_grad()
def logits(each):
    return each.eval()(**inputs, logits_to_keep=1).logits[:, -1]


base = MiniMonkeyForConditionalGeneration.from_pretrained(course.CHECKPOINT).float()
adapted = PeftModel.from_pretrained(base, folder / "adapter")
beside, plain = logits(adapted), logits(model)
merged = adapted.merge_and_unload()
merged.save_pretrained(folder / "merged")
processor.save_pretrained(folder / "merged")
again = MiniMonkeyForConditionalGeneration.from_pretrained(folder / "merged")
far = (logits(again) - beside).abs().max(), (plain - beside).abs().max()
print(f"merged and loaded: within {far[0]:.0e}; without the adapter: {far[1]:.2f} away")
assert far[0] < 1e-4 < far[1]

# %% [markdown]
"""
The same but for the rounding of float32. `python examples/push.py` takes such a folder to the Hub ([09 Share](09_share.ipynb)). Now the comparison, on the same words:
"""

# %%
by_lora = evaluate(again)
comparisons = {"all weights minus before": with_all}
for name, other in {"before": before, "all weights": after}.items():
    print(f"LoRA minus {name}:")
    comparisons[f"LoRA minus {name}"] = compared(other, by_lora)
typefaces.store(comparisons, steps, number)  # with FAST=0

# %% [markdown]
r"""
Both trainings read more in the new typeface, and neither is shown to lose anything in the old one. Which is better? LoRA is five words ahead, but the sign test doesn't decide it (8 gained, 3 lost, p = 0.23). And a difference could come from the rates, which differ tenfold and weren't tuned, or from the seed. What LoRA saves is memory for gradients and optimizer, and a small file per task. What it can't change is what the frozen vision tower sees, so we would expect a new typeface not to be its best case. This run shows nothing of that.

Is this run only too short? Below its comparisons stand those of a run with `FAST=0` (`benchmarks/finetuning/results.json`). In "LoRA minus before", gained are words that LoRA reads and the model before doesn't, lost the reverse. "Without reminders" is the model of exercise 3.

**Predict**: with ten times the steps, will LoRA still be as good? And will the reminders have kept the old words?
"""

# %%
course.show(
    schemes.plot_paired(typefaces.runs(comparisons, steps, number), fonts),
    alt="Bars of words lost to the left and gained to the right, in percent of the test, "
    "for two typefaces: three comparisons of 60 steps and five of 600, with p.",
    caption="Words of the same test that the model named first loses (gray) and gains "
    "(orange); the numbers at the bars are words. A p in bold is below 0.05; of sixteen "
    'tests one may be so by chance. Compare "LoRA minus all weights" in both runs.',
)

# %% [markdown]
r"""
**The longer run parts them.** It saw each of the 480 images about ten times, and 300 images can show smaller differences than 64:

- In the new typeface both learn much, but word by word LoRA reads fewer than all weights do (25 gained, 53 lost, p = 0.002). *Why?* We expected it, since LoRA leaves the tower as it is. But rate and rank differ, too, no rate was tuned, and each training has one seed. `--train language_model`, all weights but the tower's and the projector's, would tell the tower from the rank; it was not run.
- In the old typeface both lose 17 words, though every other image was a reminder; LoRA gains 4 (p = 0.007), all weights 7 (p = 0.064). So only LoRA's forgetting is shown, but not that it forgets more than all weights do (11 gained, 14 lost, p = 0.69). Nobody should call either safe.
- **Were the reminders worth it?** Their price is shown: without them the model reads more new words (54 gained, 18 lost, p = 0.00003), as it saw twice as many. What they save is not: without them it forgets (28 old words lost, 7 gained, p = 0.0005), but that this is *more* than with them isn't shown (21 lost, 10 gained, p = 0.07).

## The same with the 2B model on 24 GB

> The command is of the same kind, with the converted weights ([06 The published weights](06_published_weights.ipynb)) in place of the small model, and your own chats, `pages.jsonl`:
>
>     python examples/finetune.py --config examples/configs/lora.yaml \
>         --model minimonkey-2b --dtype bfloat16 --train_data pages.jsonl \
>         --output_dir mine --per_device_train_batch_size 1 \
>         --gradient_accumulation_steps 16
>     python examples/merge.py mine mine-merged
>
> The card holds one page at a time (11 tiles in the computation below), and the weights move after sixteen. On an H100 padded batches gave gradients of NaN, a known fault of cuDNN. So the command calls `torch.backends.cuda.enable_cudnn_sdp(False)` first; with a trainer of your own, or with the functions above, do the same. That this cures it was not seen ([docs/tested.md](../docs/tested.md)).

Which of the choices fit was **computed, not measured** on a GPU. `benchmarks/memory` builds the model without weights and counts the bytes that are alive at the worst moment of a training step (with activation checkpointing, as in `lora.yaml`, and 11 tiles).

**Predict**: 2.2 billion weights are 4.1 GiB in bfloat16. Does training all of them fit on 24 GB?
"""

# %%
from benchmarks.memory.finetuning import TRAINED, one_card

results = json.loads((course.ROOT / "benchmarks/memory/results.json").read_text())
sizes = results["finetuning"]["MiniMonkey"]
print(
    f"{'--train':15} {'weights that learn':>19} {'bfloat16':>10}"
    f" {'float32, --bf16':>16}   GiB"
)
for choice in TRAINED:
    learn = f"{sizes['trained'][choice] / 1e6:,.1f} M"
    peaks = [one_card(sizes, choice, kind) / 2**30 for kind in ("bf16", "fp32")]
    marks = [f"{peak:.1f}{' ' if peak + 1 <= 24 else '*'}" for peak in peaks]
    print(f"{choice:15} {learn:>19} {marks[0]:>10} {marks[1]:>16}")
print("* does not fit on 24 GiB with 1 GiB left over")

# %% [markdown]
"""
- **All weights** fit in bfloat16: 16.4 GiB for weights, gradients and AdamW's two moments, two bytes per number each, and 1.3 for the step. The price: bfloat16 has eight bits of precision, so an update below 1/512 of its weight (for some weights 1/256) is rounded away. With weights in float32 they are too large, even if the step computes in bfloat16 (`--bf16`, autocast), as in the last column.
- **LoRA** fits either way, and in bfloat16 leaves most of the card free, for larger batches or more tiles.
- **Projector and LoRA** both take 8.1: 4.1 for the weights, 3.9 for what the step keeps alive, and at most 0.1 for what learns. (The 3.9 were counted with all weights learning, so they are rather too much. For all weights the worst moment comes later, when most of the 3.9 is freed: hence 1.3 above.)

[docs/checkpoints.md](../docs/checkpoints.md) has the other checkpoints and eight cards.

## Common errors
"""

# %%
message = {"role": "user", "content": [{"type": "image", "image": "no.png"}]}
(folder / "broken.jsonl").write_text(json.dumps({"messages": [message]}) + "\n")
with course.expected(ValueError):  # paths are relative to the file
    load_chats(str(folder / "broken.jsonl"))
(folder / "broken.jsonl").write_text('{"prompt": "Read the text."}\n')
with course.expected(ValueError):  # a line that is no chat is named
    load_chats(str(folder / "broken.jsonl"))
# A template without {% generation %} can't tell answers from questions
with course.expected(ValueError):
    other = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)
    loop = "{% for message in messages %}{{ message.content }}{% endfor %}"
    other.chat_template = loop
    ChatCollator(other)

# %% [markdown]
"""
## Exercises

### Exercise 1

Which weights changed most in the full training: those of the tower, the projector or the language model? Compare the relative change of each part.

<details>
<summary>Solution</summary>

```python
old, new = model.state_dict(), tuned.state_dict()
for part in ("vision_tower", "multi_modal_projector", "language_model"):
    names = [name for name in old if part in name and old[name].ndim > 1]
    moved = sum(float((new[name] - old[name]).square().sum()) for name in names)
    size = sum(float(old[name].square().sum()) for name in names)
    print(f"{part:22} {(moved / size) ** 0.5:.1%}")
    assert 0 < moved < size
```

In these 60 steps 0.7, 1.3 and 0.7%: the projector's most, and the tower's as much as the language model's. So all parts took part; that the tower had to, such numbers don't say.

</details>

### Exercise 2

With `train="projector"` the projector alone learns. How many tensors is that, and which share of the weights? Count them without a training.

<details>
<summary>Solution</summary>

```python
from finetune import load_model

arguments = FinetuneArguments(
    train_data="", model=str(course.CHECKPOINT), train="projector"
)
named = load_model(arguments).named_parameters()
learning = {name: weight for name, weight in named if weight.requires_grad}
share = sum(weight.numel() for weight in learning.values()) / whole
print(f"{len(learning)} tensors, {share:.1%} of the weights")
assert all("multi_modal_projector" in name for name in learning)
assert len(learning) == 6 and round(share, 3) == 0.04  # one weight in 25
```

</details>

### Exercise 3

Does it forget without reminders? Train on the new typeface alone, for as many steps, and compare with the model before, and with that of the mixed data.

<details>
<summary>Solution</summary>

```python
write_chats("alone.jsonl", lambda index: NEW)
train("alone", "alone.jsonl", steps, 1e-4)
alone = MiniMonkeyForConditionalGeneration.from_pretrained(folder / "alone").float()
forgetful, without = evaluate(alone), {}
for name, other in {"before": before, "with": after}.items():
    print(f"without reminders minus {name}:")
    without[f"without reminders minus {name}"] = compared(other, forgetful)
typefaces.store(without, steps, number)  # with FAST=0
assert forgetful[NEW].mean() > before[NEW].mean()
```

In a run of 60 steps (not stored) forgetting wasn't shown: 57 of the 64 old words were read, 58 before (p = 1). Of the new typeface it read 35: more than with reminders (26, p = 0.012), since it saw twice as many words in it. So these reminders cost some of the gain and weren't shown to be needed. In the longer training forgetting is shown without them, but not that reminders lessen it: measure it each time.

</details>

## Conclusion

Write a line of JSON per image, run `examples/finetune.py`, and measure old and new on words that it never saw: a loss that falls says nothing of what is forgotten. Where such a test shows forgetting, mix in old data *and test that it helps*: in the longer run here it cost new words and wasn't shown to save old ones. LoRA trains a small adapter instead, which is saved as a small file, and merged it gives the same logits. It must prove itself against all weights on the same words: in that run it read fewer of the new ones, for which rate, rank and the frozen tower may all be the reason; on the old ones no difference was shown.

Read next: [09 Share](09_share.ipynb); `examples/finetune.py --help` has all options, `tests/examples/test_finetune.py` what is promised of them.

## References and further reading

- Huang et al., *Mini-Monkey*, ICLR 2025, [arXiv 2408.02034](https://arxiv.org/abs/2408.02034). Cite this one.
- Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models*, [arXiv 2106.09685](https://arxiv.org/abs/2106.09685); as a library: [PEFT](https://huggingface.co/docs/peft).
- Kirkpatrick et al., *Overcoming catastrophic forgetting in neural networks*, [arXiv 1612.00796](https://arxiv.org/abs/1612.00796). Rolnick et al., *Experience Replay for Continual Learning*, [arXiv 1811.11682](https://arxiv.org/abs/1811.11682): old examples against forgetting.
- Transformers' [Trainer](https://huggingface.co/docs/transformers/trainer); [TRL](https://huggingface.co/docs/trl), for which there is `examples/finetune_sft.py`.

[07 Other models](07_other_models.ipynb) · [all notebooks](README.md) · [09 Share](09_share.ipynb)
"""
