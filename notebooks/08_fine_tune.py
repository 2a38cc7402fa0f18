# %% [markdown]
"""
# How do I teach it my own data?

[07 Other models](07_other_models.ipynb) · [all notebooks](README.md) · [09 Share](09_share.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/08_fine_tune.ipynb) [Source of this notebook](08_fine_tune.py)

> **You will learn**: how to get from a folder of images to a better checkpoint in minutes, how to tell on held-out images whether it is
> better, what it has forgotten, and how LoRA goes from training to a merged model.
>
> **You need**: a model that answers ([00](00_ask_an_image.ipynb)). **Time**: about 3 min **Hardware**: two CPU cores, 3 GB of memory.
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
course.need("train", "accelerate", "peft", "trl", "datasets")

# %% [markdown]
"""
## Find out what it can't read

Before you train, measure. The small checkpoint of this repository reads rendered lower-case text, in DejaVu Sans alone; it is not the published model. Your data here are words in another typeface, STIX, which looks like Times. The words of the test
are held out: none was ever seen in training, here or before.

**Predict**: a reader that spells 9 of 10 words in the one typeface: how many in the other?
"""

# %%
import numpy as np

from benchmarks.sawtooth.readers.rendering import draw_page, generator, load_font, random_word


def draw(split, index, font):
    """A word of up to six characters in an image of 112 x 112 px."""
    rng = generator(split, index)
    font = load_font(font, int(rng.integers(20, 29)))
    width = 112
    while width > 108:
        word = random_word(rng, held_out=split != "train", max_length=6)
        width = font.getlength(word)
    place = (rng.uniform(2, 111 - width), 56 + rng.uniform(-25, 25))
    return draw_page(rng, [[word]], [place], (112, 112), font)


OLD, NEW = "DejaVuSans", "STIXGeneral"
number = 64 if course.FAST else 300
tests = {font: [draw("test", index, font) for index in range(number)] for font in (OLD, NEW)}
assert len({page.text for page in tests[NEW]}) > 0.8 * number

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(2, 6, figsize=(10, 3.7), layout="constrained")
for row, font in zip(axes, tests, strict=True):
    for axis, page in zip(row, tests[font], strict=False):
        axis.imshow(page.image)
        axis.set_title(page.text)
        axis.set_axis_off()
course.show(
    figure,
    alt="Six small images of single words in a sans serif typeface above, six in a typeface with serifs below.",
    caption="Above: what the checkpoint knows. Below: what it is to learn. The titles are the answers.",
)

# %%
import torch

from benchmarks.sawtooth.readers.scores import score
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from processing_minimonkey import MiniMonkeyProcessor

processor = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)


# %%
def chat(image):
    return [
        {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": "Read the text."}]}
    ]


def prepare(pages):
    return processor.prepare_chat([chat(page.image) for page in pages])


def read(model, pages):
    batch = prepare(pages)
    ids = model.eval().generate(**batch, max_new_tokens=12, do_sample=False)[:, batch["input_ids"].shape[1] :]
    return processor.batch_decode(ids, skip_special_tokens=True)


# %%
def evaluate(model):
    """Which words of each typeface are read to the letter: arrays of (words,)."""
    right = {}
    for font, pages in tests.items():
        texts = read(model, pages)
        right[font] = np.array([page.text == text for page, text in zip(pages, texts, strict=True)])
        share, half = interval(right[font])
        characters = score(pages, texts)["character_accuracy"]
        print(
            f"{font:12} {share:.3f} ± {half:.3f} of {number} words to the letter, {characters:.3f} of the characters"
        )
    return right


def interval(right):
    """A share, and half of its 95% interval by the normal approximation."""
    return right.mean(), 1.96 * (right.mean() * (1 - right.mean()) / len(right)) ** 0.5


model = MiniMonkeyForConditionalGeneration.from_pretrained(course.CHECKPOINT, dtype=torch.float32)
before = evaluate(model)
assert before[OLD].mean() > 0.8 and before[NEW].mean() < 0.4

# %% [markdown]
"""
So there is something to learn: most letters are recognized, most words have one that isn't.

## Write your data down

A line of `chats.jsonl` is one chat, with the paths of its images relative to the file. Yours may come from a table, a form, a labelling tool: this is all that is needed.

**Predict**: which tokens of a chat will the loss be on: question, image, answer?
"""

# %%
import json

folder = course.working_folder("08")
(folder / "images").mkdir()
lines = []
for index in range(480):
    page = draw("train", index, NEW)
    page.image.save(folder / "images" / f"{index}.png")
    question = [{"type": "image", "image": f"images/{index}.png"}, {"type": "text", "text": "Read the text."}]
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": page.text}]
    lines.append(json.dumps({"messages": messages}))
(folder / "chats.jsonl").write_text("\n".join(lines) + "\n")
print(lines[0])

# %%
import datasets

datasets.disable_progress_bars()
sys.path.append(str(course.ROOT / "examples"))
from finetune_data import ChatCollator, load_chats

chats = load_chats(str(folder / "chats.jsonl"))
batch = ChatCollator(processor)([chats[0], chats[1]])
answers = [processor.decode(row[row >= 0]) for row in batch["labels"]]
counts = {name: tuple(batch[name].shape) for name in ("input_ids", "labels", "pixel_values")}
print(counts, answers)
texts = [json.loads(line)["messages"][1]["content"] for line in lines[:2]]
assert answers == [f"{text}<|im_end|>" for text in texts]  # -100 everywhere else
trained = {draw("train", index, NEW).text for index in range(480)}
assert not trained & {page.text for page in tests[NEW]}

# %% [markdown]
"""
On the answers alone, and on the token that ends them. No word of the test is among the training words.

## Train

`examples/finetune.py` is Transformers' `Trainer`, and takes all of its options:

    python examples/finetune.py --train_data chats.jsonl --output_dir mine --max_steps 60 --learning_rate 2e-4

Here the same functions are called. All weights learn; 60 steps of 8 images.

**Predict**: how many of the 480 images does it see?
"""

# %%
import contextlib
import io

from finetune import FinetuneArguments, run, trainer_arguments
from transformers import Trainer, TrainingArguments

quiet = {
    "use_cpu": True,
    "report_to": "none",
    "disable_tqdm": True,
    "save_strategy": "no",
    "logging_steps": 2,
    "seed": 0,
}


def train(name, steps, rate, **choices):
    arguments = FinetuneArguments(train_data=str(folder / "chats.jsonl"), model=str(course.CHECKPOINT), **choices)
    settings = {"max_steps": steps, "learning_rate": rate, "warmup_steps": 5, "lr_scheduler_type": "cosine", **quiet}
    trainer = Trainer(**trainer_arguments(arguments, TrainingArguments(str(folder / name), **settings)))
    with contextlib.redirect_stdout(io.StringIO()):  # a line for every other step
        run(trainer)
    return trainer


# %%
steps = 60 if course.FAST else 600
trainer = train("mine", steps, 2e-4)
losses = [(entry["step"], float(entry["loss"])) for entry in trainer.state.log_history if "loss" in entry]
images = steps * trainer.args.train_batch_size
print(
    f"{images} images, loss of the first steps {losses[0][1]:.2f}, of the last ten {np.mean([loss for _, loss in losses[-5:]]):.2f}"
)
assert np.mean([loss for _, loss in losses[-5:]]) < np.mean([loss for _, loss in losses[:5]])

# %%
figure, axis = plt.subplots(figsize=(9, 4), layout="constrained")
axis.plot(*zip(*losses, strict=True), color="#BBBBBB", marker=".", label="mean of two steps")
smooth = np.convolve([loss for _, loss in losses], np.ones(5) / 5, mode="valid")
axis.plot([step for step, _ in losses[4:]], smooth, color="#0072B2", linewidth=2.5, label="mean of ten steps")
axis.set(xlabel="step", ylabel="loss per token of the answers, nats", ylim=(0, None))
axis.legend(frameon=False)
course.show(
    figure,
    alt="The loss over the steps, noisy and falling; a smoothed line below the first values at the end.",
    caption="Training loss. Eight words per step are few: single steps say little.",
)

# %% [markdown]
"""
The folder has everything that loading needs: weights, processor, code and the figure above as `loss.png`. A run that is killed goes on with the same command.

## Is it better? What was forgotten?

The loss is of words that it was trained on. What counts are the held-out ones, and the old typeface, of which it saw nothing this time.

**Predict**: what happens to the words in DejaVu Sans?
"""

# %%
tuned = MiniMonkeyForConditionalGeneration.from_pretrained(folder / "mine", dtype=torch.float32)
after = evaluate(tuned)
for font in tests:  # the same words were read by both
    gained, lost = int((after[font] & ~before[font]).sum()), int((before[font] & ~after[font]).sum())
    print(f"{font:12} {gained} words gained, {lost} lost")
assert after[NEW].mean() > before[NEW].mean() + 0.05 and after[OLD].mean() < before[OLD].mean() + 0.05

# %%
figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
for shift, (label, result, color) in enumerate((("before", before, "#BBBBBB"), ("after", after, "#0072B2"))):
    shares, half = np.array([interval(result[font]) for font in (NEW, OLD)]).T
    axis.bar(
        np.arange(2) + 0.36 * (shift - 0.5), 100 * shares, 0.34, yerr=100 * half, color=color, capsize=5, label=label
    )
axis.set(ylabel="words to the letter, %", ylim=(0, 110))
axis.set_xticks(range(2), ["STIX (trained on)", "DejaVu Sans (old, not trained on)"])
axis.legend(frameon=False, loc="upper left")
course.show(
    figure,
    alt="Bars of words read before and after training: those in the new typeface rise, those in the old one may fall.",
    caption=f"Held-out words, n = {number} each, 95% intervals by the normal approximation.",
)

# %% [markdown]
"""
Better, and far from done: 0.58 instead of 0.28 of the held-out words to the letter, 0.83 instead of 0.67 of the characters (n = 64). And it was paid for: in the old typeface, of which it saw nothing, 0.81 instead of 0.94. That is forgetting,
and it comes with any training on one thing alone. Two remedies: mix old data in (exercise 3), or train fewer weights. (On another machine some words will differ; that the new typeface gains more than 0.05 and the old one doesn't is asserted.)

## LoRA: learn a little beside the weights

An adapter leaves the weights alone and adds a small product of two matrices to each linear layer. `examples/configs/lora.yaml` is the authors' recipe for large models: rank 16 on the language model. The tower stays frozen, so a new typeface is not what an adapter learns best; here it is about the mechanics.

**Predict**: which share of the weights is trained at rank 16?
"""

# %%
import yaml
from peft import PeftModel
from safetensors.torch import load_file

recipe = yaml.safe_load((course.ROOT / "examples/configs/lora.yaml").read_text())
print({name: recipe[name] for name in ("train", "lora_rank", "learning_rate", "warmup_steps")})
train("adapter", 6, 1e-3, train=recipe["train"], lora_rank=recipe["lora_rank"])
weights = load_file(folder / "adapter" / "adapter_model.safetensors")
trained, whole = (sum(each.numel() for each in tensors) for tensors in (weights.values(), model.state_dict().values()))
print(f"{len(weights)} matrices, {trained / whole:.1%} of {whole:,} weights")
assert all("language_model" in name and "lora_" in name for name in weights)
assert not (folder / "adapter" / "model.safetensors").exists()

# %% [markdown]
"""
Saved are the adapter's matrices alone. In a 2B model rank 16 is below one percent; here the layers are narrow. Loading it again, and merging it into the weights so that nobody needs `peft` to load the result:

**Predict**: how far are the logits of the merged model from those of the adapter beside the weights?
"""

# %%
inputs = prepare(tests[NEW][:4])


@torch.no_grad()
def logits(each):
    return each.eval()(**inputs, logits_to_keep=1).logits[:, -1]


base = MiniMonkeyForConditionalGeneration.from_pretrained(course.CHECKPOINT, dtype=torch.float32)
adapted = PeftModel.from_pretrained(base, folder / "adapter")
beside, plain = logits(adapted), logits(model)
merged = adapted.merge_and_unload()
merged.save_pretrained(folder / "merged")
processor.save_pretrained(folder / "merged")
again = MiniMonkeyForConditionalGeneration.from_pretrained(folder / "merged")
print(
    f"merged and loaded: within {float((logits(again) - beside).abs().max()):.0e}; without adapter: {float((plain - beside).abs().max()):.2f} away"
)
torch.testing.assert_close(logits(merged), beside, atol=1e-4, rtol=0)
torch.testing.assert_close(logits(again), beside, atol=1e-4, rtol=0)
assert (plain - beside).abs().max() > 0.01

# %% [markdown]
"""
The same to 1e-5, which is rounding of float32 (asserted is 1e-4: other machines round in another order). `python examples/push.py` takes such a folder to the Hub ([09](09_share.ipynb)).

## Common errors
"""

# %%
(folder / "broken.jsonl").write_text(
    '{"messages": [{"role": "user", "content": [{"type": "image", "image": "no.png"}]}]}\n'
)
with course.expected(ValueError):  # paths are relative to the file
    load_chats(str(folder / "broken.jsonl"))

# %%
(folder / "broken.jsonl").write_text('{"prompt": "Read the text."}\n')
with course.expected(ValueError):  # a line that is no chat is named
    load_chats(str(folder / "broken.jsonl"))

# %%
with course.expected(ValueError):  # a template without {% generation %} can't tell answers from questions
    other = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)
    other.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    ChatCollator(other)

# %% [markdown]
"""
## Exercises

### Exercise 1

Which weights changed most in the full training: those of the tower, the projector or the language model? Compare the relative change of each part.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
first, last = model.state_dict(), tuned.state_dict()
changes = {}
for part in ("vision_tower", "multi_modal_projector", "language_model"):
    names = [name for name in first if part in name and first[name].ndim > 1]
    moved = sum(float((last[name] - first[name]).square().sum()) for name in names)
    changes[part] = (moved / sum(float(first[name].square().sum()) for name in names)) ** 0.5
print({part: f"{change:.1%}" for part, change in changes.items()})
assert all(0 < change < 0.5 for change in changes.values())

# %% [markdown]
"""
### Exercise 2

Train the projector alone and count which share of the weights that is.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
from finetune import load_model

alone = load_model(FinetuneArguments(train_data="", model=str(course.CHECKPOINT), train="projector"))
learning = [name for name, weight in alone.named_parameters() if weight.requires_grad]
share = sum(weight.numel() for weight in alone.parameters() if weight.requires_grad) / whole
print(f"{len(learning)} tensors, {share:.1%} of the weights")
assert all("multi_modal_projector" in name for name in learning) and share < 0.2

# %% [markdown]
"""
### Exercise 3

Against forgetting: write a second file in which every fourth chat is of the old typeface. (Training on it takes as long as before; try it with `FAST=0`.)
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
for index in range(0, 480, 4):
    draw("train", index, OLD).image.save(folder / "images" / f"{index}.png")
mixed = [json.loads(line) for line in lines]
for index in range(0, 480, 4):
    mixed[index]["messages"][1]["content"] = draw("train", index, OLD).text
(folder / "mixed.jsonl").write_text("\n".join(json.dumps(each) for each in mixed) + "\n")
assert len(load_chats(str(folder / "mixed.jsonl"))) == 480

# %% [markdown]
"""
## Conclusion

Write a line of JSON per image, run `examples/finetune.py`, and measure on words that it never saw: in 60 steps on two CPU cores a typeface that was read badly became one that is read less badly, 0.28 to 0.58 of the words (n = 64), and the old one fell from 0.94 to 0.81. Measure both, always: a loss that falls
says nothing of what is forgotten. LoRA trains a small file instead, and merged it gives the same logits.

Read next: [09 Share](09_share.ipynb); `examples/finetune.py --help` has all options, `tests/examples/test_finetune.py` what is promised of them.

Cite: Huang et al., *Mini-Monkey*, ICLR 2025, arXiv 2408.02034.

[07 Other models](07_other_models.ipynb) · [all notebooks](README.md) · [09 Share](09_share.ipynb)
"""
