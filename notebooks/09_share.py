# %% [markdown]
"""
# How do I push what I trained, and load it elsewhere?

[08 Fine-tune](08_fine_tune.ipynb) · [all notebooks](README.md) · [10 Measure](10_measure.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/09_share.ipynb) [Source of this notebook](09_share.py)

> **You will learn**: what of a training folder belongs on the Hub and what does not, what the card says by itself and what you have to add, how others load your model without this project, and how they stay on the version that they tested.
>
> **You need**: a model to share, such as that of [08 Fine-tune](08_fine_tune.ipynb); a small one is trained below. **Time**: 15 min to read, 5 min to run. **Hardware**: two CPU cores, 3 GB of memory.
>
> **Contents**: [Something to share](#Something-to-share) · [What belongs on the Hub](#What-belongs-on-the-Hub) · [The card](#The-card) · [Elsewhere](#Elsewhere) · [A second version, and a pinned first one](#A-second-version,-and-a-pinned-first-one) · [A fine-tune of the fine-tune](#A-fine-tune-of-the-fine-tune) · [Private repositories](#Private-repositories) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
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
The way of a model from one machine to another, in one picture:
"""

# %%
import drawings

course.show(
    drawings.plot_flow(drawings.SHARING, drawings.WAY, (11, 3.4)),
    alt="Boxes in a row: training folder, push, Hub repository, from_pretrained, fresh "
    "process. Below: what stays at home, what is refused, where the code is put.",
    caption="From a folder to somebody else's process. Look at the lower row: what "
    "never leaves, what stops a push, and where the code goes.",
)

# %% [markdown]
"""
Everything below goes to a small Hub that the setup has started on this machine, for a user called `me`. With the real one, the lines are the same: log in with `hf auth login`, and write your own name for `me`.

## Something to share

We need a model that is ours. `minimonkey-tiny`, a small reader of rendered lower-case text and not the published model, can read, and can answer a few questions about what it read ([its card](../checkpoints/minimonkey-tiny/README.md)). "How many words?" is not among them. We teach it the answer for one page in ten steps.

**Predict**: after ten steps on this question alone, what will it answer to "Read the text."?
"""

# %%
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

base = "minimonkey/minimonkey-tiny"
page = Image.open(course.PAGE)
trusted = {"trust_remote_code": True}
processor = AutoProcessor.from_pretrained(base, **trusted)
model = AutoModelForImageTextToText.from_pretrained(base, **trusted).float()
READ, COUNT, COLOR = "Read the text.", "How many words?", "Which color?"


def inputs_of(question, answer=None, image=page):
    content = [{"type": "image", "image": image}, {"type": "text", "text": question}]
    chat = [{"role": "user", "content": content}]
    if answer:
        said = [{"type": "text", "text": answer}]
        chat.append({"role": "assistant", "content": said})
    options = {"tokenize": True, "return_dict": True, "return_tensors": "pt"}
    return processor.apply_chat_template(
        chat, add_generation_prompt=answer is None, **options
    )


# %%
def ask(model, question, image=page):
    inputs = inputs_of(question, image=image)
    sequences = model.eval().generate(**inputs, max_new_tokens=40, do_sample=False)
    answer = sequences[0, inputs["input_ids"].shape[1] :]
    return processor.decode(answer, skip_special_tokens=True)


def train(model, lessons, steps):
    """A few steps on pairs of question and answer; the vision tower stays as it is."""
    model.model.vision_tower.requires_grad_(False)
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=3e-4)
    for _ in range(steps):
        for question, answer in lessons:
            inputs = inputs_of(question, answer)
            labels = inputs["input_ids"].clone()
            asked = inputs_of(question)["input_ids"].shape[1]
            labels[:, :asked] = -100  # the loss is on the answer alone
            model(**inputs, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return optimizer


# %%
answers = {"base": {question: ask(model, question) for question in (READ, COUNT)}}
optimizer = train(model, [(COUNT, "four words")], steps=10)
answers["first"] = {question: ask(model, question) for question in (READ, COUNT)}
for version, said in answers.items():
    print(f"{version:<6}", said)
assert answers["first"][COUNT] == "four words"
assert answers["first"][READ] != answers["base"][READ]

# %% [markdown]
"""
It has learned one answer by heart, and no more: asked for the text of the page, it gives the new answer, too. How much of its reading is left on other pages, we measure [below](#The-card), for the card. We share it all the same, to see how a mistake is mended once it is public.

## What belongs on the Hub

A training leaves more than a model. The next cell imitates the folder that a `Trainer` leaves, with the state of the optimizer and a pickle of its arguments.

**Predict**: which of these files should land on the Hub? And which is the largest?
"""

# %%
import json
import pickle
from pathlib import Path

import course_plots
import fresh
import tables

sys.path.append(str(course.ROOT / "examples"))
from push import files_to_push, push

os.chdir(course.working_folder("share"))
folder = Path("mine")
model.save_pretrained(folder)
processor.save_pretrained(folder)
(folder / "checkpoint-10").mkdir()
torch.save(optimizer.state_dict(), folder / "checkpoint-10" / "optimizer.pt")
torch.save({"output_dir": str(folder.resolve())}, folder / "training_args.bin")
state = {"best_model_checkpoint": f"{folder.resolve()}/checkpoint-10"}
(folder / "trainer_state.json").write_text(json.dumps(state))

files = [path for path in folder.rglob("*") if path.is_file()]
sizes = {str(path.relative_to(folder)): path.stat().st_size for path in files}
pushed = {path.name for path in files_to_push(folder)}
drawings.check_sizes(sizes)  # Figure 1 has the two largest
at_home = sizes.keys() - pushed
print("stays at home:", sorted(at_home))

# %%
code = [name for name in sizes if name.endswith(".py")]
bars = {name: size for name, size in sizes.items() if name not in code}
bars[f"{len(code)} files of code"] = sum(sizes[name] for name in code)
course.show(
    course_plots.plot_files(bars, pushed | {f"{len(code)} files of code"}),
    alt="Dots for file sizes on a log scale. The optimizer and the weights are the "
    "largest, code and settings are small.",
    caption="The largest file stays at home: the optimizer's state. The files of the "
    "folder, on a log axis, and which of them are pushed.",
)

# %% [markdown]
"""
The optimizer's state is larger than the weights, even with a frozen tower: AdamW keeps two float32 numbers for each of the 3.8 million weights that learn, 8 bytes each, 30.5 MB. Nobody else needs it, and it is a pickle. The trainer's state names folders of your machine. The code *is* pushed: without it, nobody could load the model.

The weights are twice the size of the base's (its card has 13.2 MB, in bfloat16), since we trained and saved in float32; `model.to(torch.bfloat16)` before `save_pretrained` halves them.

Why no pickles? Because a pickle holds more than data: it names functions, which are called to rebuild the data.

**Predict**: this object has no data, only such a call. What happens when its pickle is opened with `pickle`? And with `torch.load`?
"""


# %%
class Harmless:
    def __reduce__(self):  # what to call, and with what, to make it again
        return print, ("This ran because a file was opened.",)


opened = pickle.loads(pickle.dumps(Harmless()))
torch.save(Harmless(), "harmless.pt")
try:
    torch.load("harmless.pt")
except pickle.UnpicklingError as error:
    print("torch.load:", str(error).split("error: ")[1].split(".")[0])
else:
    raise AssertionError("torch.load called a function")

# %% [markdown]
"""
With `pickle`, `print` ran, and it could have been any function. `torch.load` refuses it: since PyTorch 2.6 it lets a file call no more than a short list of functions, unless you pass `weights_only=False`. Weights in safetensors are numbers and their shapes, and nothing in them is called.

## The card

A repository is found, and judged, by its `README.md`. Its head is metadata: license, base model, task. Its text should say what is true of *your* model, also what it can't do. `make_card` of [examples/cards.py](../examples/cards.py), which `push` calls, makes one from what the folder holds: sizes, settings, base model, code that loads it, and `training.md`, where `finetune.py` notes how it trained. We trained by hand, so we write that file ourselves.

**Predict**: which part of a card can no tool fill in?
"""

# %%
from cards import make_card
from huggingface_hub import HfApi, ModelCard

(folder / "training.md").write_text(
    "`minimonkey-tiny`, trained for ten steps on one page and one question, with AdamW "
    "at a rate of 3e-4; the vision tower was frozen.\n"
)
card = make_card(folder, "me/reader", base_model=base, license="apache-2.0")
course_plots.show_card(card)

# %% [markdown]
"""
Every number about the model was read from a file, and "Evaluation" says "None yet.", because nobody measured. That is the part to fill in: what the model does well, and what it can't do. If the folder has a `README.md` of its own, that one is pushed, with its head filled in.

So we measure: 100 images of one word each, all of words that were in no training. The base reads the same ones, since a share alone doesn't say what the ten steps did. Another 100 words would give another share; the 95% interval (Wilson) behind each share says roughly how far off this one may be. (Some words come more than once, so it may be a little too narrow.)

**Predict**: the base reads nine of ten. How many does a model read that has learned "four words"?
"""

# %%
from benchmarks.sawtooth.readers.rendering import render

words = [render("word", "test", index) for index in range(100)]


def measure(model):
    """The share of the words that are read to the letter, and the answers."""
    said = [ask(model, READ, word.image) for word in words]
    right = sum(each == word.text for each, word in zip(said, words, strict=True))
    return course.percent(course.wilson(right, len(words))), said


original = AutoModelForImageTextToText.from_pretrained(base, **trusted).float()
measured = {"base": measure(original), "first": measure(model)}
different = len({word.text for word in words})
print(different, "different words:", [word.text for word in words[:6]], "...")
print("first:", measured["first"][1][:6])
print("answered with the lesson:", measured["first"][1].count("four words"))
print("asked to count:", [ask(model, COUNT, word.image) for word in words[:6]])

# %%
CAN = (
    'To "How many words?" it answers "four words" about the one page of its training. '
    "It can't count: about six other images it wrote words, most of them misread. "
    "It reads worse than its base: use that to read."
)
card.text = card.text.replace(
    "None yet.",
    f"100 images of a word each, {different} different ones that no training has seen, "
    "read to the letter:\n\n| model | read, with 95% interval (Wilson) |\n|---|---|\n"
    f"| base | {measured['base'][0]} |\n| this one | {measured['first'][0]} |\n\n"
    f"{CAN}\nMade to show how a model is shared.",
)
card.save(folder / "README.md")
course_plots.show_card(card, "Evaluation")

# %% [markdown]
"""
15 in place of 93. And it fails in another way than on the page of the lesson: no image gets the answer "four words"; the model still spells, with wrong letters. Nor has it learned to count: asked how many words there are on six of these images, it writes a word each time, five of the six misread. So the card doesn't say that it counts; it names the loss, and the model to use instead. (A page of many words is another task, and would be another row.) Now it is pushed.
"""

# %%
api = HfApi()
first = push(folder, "me/reader", base_model=base)
info = api.model_info("me/reader")
print(info.pipeline_tag, "|", info.library_name, "| tags:", info.tags)
assert measured["first"][0] in ModelCard.load("me/reader").text

# %%
landed = {file.rfilename for file in info.siblings} - {".gitattributes"}
print(f"{len(landed)} files in one commit, {first[:8]}; beside code:", end=" ")
print(*sorted(name for name in landed if not name.endswith(".py")))
contents = [(folder / name).read_bytes() for name in landed]
assert landed == pushed | {"README.md"}
assert not any(hub.token.encode() in content for content in contents)

# %% [markdown]
"""
`push` fills in what it can know: the task, the library, and the tags. (The stand-in for the Hub makes no tag of the base model; it is in the card's head.) The license was given above. Without that, `push` takes it from the folder's own card or the base model's, and stops with an error if neither names one; what the base model's license allows binds you, too. All files come in one commit, so a push that is cut off changes no file there.

## Elsewhere

Somebody else has Transformers, and nothing of this project. The next cell plays that person: a new process with an empty cache, in which our packages can't be imported, nor accelerate, which Transformers doesn't bring. It runs the code of the card, since that is what strangers copy; only repository, revision and question are put in.

**Predict**: where does the code come from? Which files are downloaded?
"""

# %%
import re

card_code = re.search(
    r"```python\n(.*?)```", ModelCard.load("me/reader").text, re.DOTALL
)


def code_for(name, revision, question):
    """The code of the card, with this repository, revision and question in it."""
    code, flag = card_code[1], "trust_remote_code=True"
    pinned = f'{flag}, revision="{revision}"'
    for old, new in ((READ, question), ('"me/reader"', f'"{name}"'), (flag, pinned)):
        assert old in code
        code = code.replace(old, new)
    return code


def elsewhere(*wanted):
    """What (repository, revision) pairs answer in a fresh process, and its cache then."""
    questions = (READ, COUNT, COLOR)
    codes = [code_for(*pair, question) for pair in wanted for question in questions]
    found = fresh.run(codes, hub)
    said = iter(found["said"])
    answers = {" ".join(pair): {q: next(said) for q in questions} for pair in wanted}
    return found | {"answers": answers}


# %%
found = elsewhere(("me/reader", "main"))
said = found["answers"]["me/reader main"]
print(said, "by", found["module"], sep="\n")
print("not downloaded:", landed - set(found["files"]))
assert {question: said[question] for question in (READ, COUNT)} == answers["first"]
assert found["module"].startswith(f"transformers_modules.me.reader.{first}")

# %% [markdown]
"""
The same answers. The code was downloaded with the weights, and so was everything but the card. (The question about a color is for later.) How does `AutoModelForImageTextToText` know which file and class to load? Two settings files say so, below. And is that code what this project wrote? Whoever has a clone can compare by sha256, without running any of it: `python examples/verify.py me/reader --revision ...`.
"""

# %%
for name in ("config.json", "processor_config.json"):
    settings = json.loads((folder / name).read_text())
    print(name, json.dumps(settings["auto_map"], indent=2))
print(fresh.verified("me/reader", first))

# %% [markdown]
"""
With `trust_remote_code=True` Transformers takes the file that `auto_map` names, and those that it imports, and puts them into a package of their own, `transformers_modules`. The commit is part of its name, so two versions of a model in one process each run their own code. Without the flag Transformers asks first, and runs none of it unless you say yes. So compare before (`verify.py` ends with exit code 1 if a file differs), or load with this package and none of the repository's code ([SECURITY.md](../SECURITY.md)).

What works in your notebook, where everything is installed, proves little. To test as a stranger would, make an environment, `python -m venv fresh && fresh/bin/pip install torch transformers pillow`, and run the code of the card there (one with `device_map="auto"` needs accelerate, too).

## A second version, and a pinned first one

Now we mend the mistake: both lessons in every step, starting from the base again. The second push goes to the same repository. That it reads the page it was trained on proves nothing, so it reads the 100 images, too.

**Predict**: somebody has pinned the commit of the first version, `revision=first`. Which answers do they get from now on?
"""

# %%
model = AutoModelForImageTextToText.from_pretrained(base, **trusted).float()
both = [(COUNT, "four words"), (READ, "fresh bread\nopen sunday")]
train(model, both, steps=40)
answers["second"] = {question: ask(model, question) for question in (READ, COUNT)}
measured["second"] = measure(model)
rows = [[version, found[0]] for version, found in measured.items()]
course.table(["version", "of the 100 images, read"], rows)

# %%
model.save_pretrained(folder)
text = (folder / "README.md").read_text()
for old, new in {
    "ten steps on one page and one question": "40 steps on one page and two questions",
    measured["first"][0]: measured["second"][0],
    "page of its training.": "page of its training, and it reads that page.",
}.items():
    text = text.replace(old, new)
(folder / "README.md").write_text(text)
second = push(folder, "me/reader")
api.create_tag("me/reader", tag="v2", revision=second)
print(answers["second"])
print("asked to count:", [ask(model, COUNT, word.image) for word in words[:6]])
assert answers["second"] == dict(both) and second != first
assert measured["second"][0] in ModelCard.load("me/reader").text

# %% [markdown]
"""
Mended for the page of the lesson. Of the 100 images it reads 57: more than the first version, and far fewer than the base. 40 steps on one page are a demonstration. The card says so. How a model keeps what it could do before is the subject of [08](08_fine_tune.ipynb).

## A fine-tune of the fine-tune

Somebody else takes our second version from the Hub, teaches it one more question, and pushes the result. They never had this repository and its `push`. They use Transformers' `push_to_hub`, once for the model and once for the processor. That makes two commits, with no processor after the first, and a card that says nothing.

**Predict**: they never saw our code files either. Are they in the new repository? And how much of its reading does the model keep?
"""

# %%
tagged = trusted | {"revision": "v2"}
theirs = AutoModelForImageTextToText.from_pretrained("me/reader", **tagged)
their_processor = AutoProcessor.from_pretrained("me/reader", **tagged)
train(theirs, [*both, (COLOR, "light blue")], steps=25)
theirs.push_to_hub("me/reader-of-colors")
their_processor.push_to_hub("me/reader-of-colors")
answers["color"] = {each: ask(theirs, each) for each in (READ, COUNT, COLOR)}
print(answers["color"], "| of the 100 images:", measure(theirs)[0])
siblings = api.model_info("me/reader-of-colors").siblings
code = sorted(file.rfilename for file in siblings if file.rfilename.endswith(".py"))
print(len(code), "files of code:", *code[:4], "...")
assert set(code) == {name for name in landed if name.endswith(".py")}
lines = ModelCard.load("me/reader-of-colors").text.splitlines()
said = [line for line in lines if line and not line.startswith("<!--")]
print("its card:", *said[:4], sep="\n")

# %% [markdown]
"""
They are: a model that was loaded from the Hub saves its code again. Much of the reading is lost: the base reads 93 of the 100 images, *second* 57, and *color*, trained from it, 23. No lesson of either training was about another page. Nobody would know without measuring, since the card of *color* is what Transformers writes where there is none (compare it with ours). And now all versions at once, in a new process.
"""

# %%
wanted = {
    "base": (base, "main"),
    "first": ("me/reader", first),
    "second": ("me/reader", "v2"),
    "color": ("me/reader-of-colors", "main"),
}
found = elsewhere(*wanted.values())["answers"]
for version, (name, revision) in wanted.items():
    said = found[f"{name} {revision}"]
    print(f"{version:<6} is {name} at {revision[:8]}")
    assert answers[version].items() <= said.items()
rows = [
    [version, *(said.replace("\n", " / ") for said in found[" ".join(at)].values())]
    for version, at in wanted.items()
]
tables.texts(["version", READ, COUNT, COLOR], rows)

# %%
rows = ["minimonkey/minimonkey-tiny", "me/reader", "me/reader-of-colors"]
commits = {name: api.list_repo_commits(name) for name in rows}
history = {name: [c.commit_id for c in commits[name]][::-1] for name in rows}
origin, child = history[rows[0]][-1], history[rows[2]][1]
trained_from = [(origin, first), (origin, second), (second, child)]
labels = {origin: "main", first: "pinned", second: "v2, main"}
labels |= {child: "no processor", history[rows[2]][2]: "main"}
course.show(
    course_plots.plot_history(
        history, [0, 2, 5], trained_from, labels, (first, second)
    ),
    alt="Three rows of commits as dots: the base, our repository with two pushes, and "
    "the repository fine-tuned from it. A dashed arrow: main moved on from the pin.",
    caption="A pin stays; `main` moves on (dashed). Commits from left to right; gray dots: "
    "empty; no processor: the model came first. Gray arrows: what was trained from what.",
)

# %% [markdown]
"""
*second* was never taught the question about a color, and answers with a mixture of its lessons: it doesn't know that it doesn't know. *color* was. And anyone who pinned the first version still gets the model that reads 15 of 100 images, no better and no worse: that is what a pin is for. It freezes the code as well. So a bug that this project mends stays in `me/reader`, and in its fine-tune, which saved the same 18 files again, until somebody pushes anew. A tag such as `v2` can be moved. A hash can't, but it can be lost: once the history is squashed or the repository deleted ([below](#Common-errors)), those who pinned it get an error.

## Private repositories

`push(..., private=True)` keeps a repository to yourself, and to anyone who has a token of yours that may read it.

**Predict**: does somebody without a token learn that it exists?
"""

# %%
from transformers import AutoConfig

push(folder, "me/secret", private=True)
print("with our token:", AutoConfig.from_pretrained("me/secret", **trusted).model_type)
stranger = trusted | {"token": False, "cache_dir": "empty"}
for name in ("me/secret", "me/not-there"):
    try:
        AutoConfig.from_pretrained(name, **stranger)
    except OSError as error:
        print(name, "->", str(error).splitlines()[0])
    else:
        raise AssertionError("a private repository was readable")

# %% [markdown]
"""
No: here, on the stand-in for the Hub, the message is the same as for a repository that is not there, as [on the real one](https://huggingface.co/docs/hub/repositories-settings). Read it that way, too: if the name is right, what is missing is the token.

## Common errors

A folder is refused before anything is uploaded if its texts hold a token of the Hub (`hf_...`) or a path that looks like one on your machine (such as `/home/...`; only common folders are known). `push` knows no other secrets, such as keys of other services or passwords: look for them yourself, too.
"""

# %%
from push import check_folder

config = (folder / "config.json").read_text()
leaking = config.replace("{", '{"note": "hf_abcdefghijklmnopqrstuvwxyz",', 1)
(folder / "config.json").write_text(leaking)
with course.expected(ValueError):
    push(folder, "me/reader")
(folder / "config.json").write_text(config)
check_folder(folder)

# %% [markdown]
"""
If a secret *was* pushed, another commit doesn't help: the history keeps it. Revoke the token first, then squash the history (`HfApi().super_squash_history`) or delete the repository. Both take the commits away from those who pinned them.

An adapter alone is refused as well, since it would not load by the code of the card: merge it first, `examples/merge.py`. And a model without its processor is half a model.
"""

# %%
(folder / "adapter_config.json").write_text("{}")
with course.expected(ValueError):
    check_folder(folder)
(folder / "adapter_config.json").unlink()

(folder / "chat_template.jinja").rename(folder / "kept.txt")
with course.expected(ValueError):
    check_folder(folder)
_ = (folder / "kept.txt").rename(folder / "chat_template.jinja")

# %% [markdown]
"""
## Exercises

### Exercise 1

Push the model alone, `model.push_to_hub("me/half")`. Which files of `landed` are missing, and what fails for those who load it?

<details>
<summary>Solution</summary>

```python
model.push_to_hub("me/half")
half = {file.rfilename for file in api.model_info("me/half").siblings}
print("missing:", sorted(landed - half))
assert {"tokenizer.json", "processor_config.json"} <= landed - half
with course.expected(ValueError):  # images and questions can't be made inputs
    AutoProcessor.from_pretrained("me/half", **trusted)
```

</details>

### Exercise 2

You want `main` to be the first version again, without losing the second. Push the files of the first commit once more (`snapshot_download`, `upload_folder`) and show that `v2` is as it was. In which order are the commits then?

<details>
<summary>Solution</summary>

```python
from huggingface_hub import snapshot_download

old = snapshot_download("me/reader", revision=first)
message = "Go back to the first version"
upload = {"repo_id": "me/reader", "folder_path": old, "commit_message": message}
back = api.upload_folder(**upload).oid
for revision, version in ((back, "first"), ("v2", "second")):
    options = trusted | {"revision": revision}
    loaded = AutoModelForImageTextToText.from_pretrained("me/reader", **options)
    assert ask(loaded, READ) == answers[version][READ]
newest = api.list_repo_commits("me/reader")[0].commit_id
assert newest == back  # history goes on; nothing is taken back
```

</details>

### Exercise 3

The metadata can be changed without a push of all files. Give the card of `me/reader-of-colors` the tag `demonstration` and its base model. (A list of tags is replaced as a whole.)

<details>
<summary>Solution</summary>

```python
from huggingface_hub import metadata_update

changes = {"tags": ["demonstration"], "base_model": "me/reader"}
metadata_update("me/reader-of-colors", changes, overwrite=True)
changed = ModelCard.load("me/reader-of-colors").data
print(changed.tags, changed.base_model)
assert "demonstration" in changed.tags and changed.base_model == "me/reader"
```

</details>

## Conclusion

`push(folder, "me/reader", base_model=...)`, or `python examples/push.py`, uploads weights, settings, processor, code and card in one commit; optimizer, pickles and the trainer's state stay at home. Others load it by its name with `trust_remote_code=True`, on a machine that has PyTorch, Transformers and Pillow alone, and by its commit when they want what they tested. They can train it further and push it in turn: the code travels with the model. What no tool can do for you is the text of the card: measure your model on what it never saw, beside its base, and write what it can't do.

Read next: [10 Measure](10_measure.ipynb) shows how to measure a model, which is what a card should rest on.

## References and further reading

- Huang et al., *Mini-Monkey*, ICLR 2025, [arXiv 2408.02034](https://arxiv.org/abs/2408.02034). Cite this one.
- Mitchell et al., *Model Cards for Model Reporting*, [arXiv 1810.03993](https://arxiv.org/abs/1810.03993); on the Hub: [model cards](https://huggingface.co/docs/hub/model-cards).
- [Custom models](https://huggingface.co/docs/transformers/custom_models) of Transformers: code that comes with weights. [Pickle scanning](https://huggingface.co/docs/hub/security-pickle) and [safetensors](https://huggingface.co/docs/safetensors): why weights aren't pickles.
- [huggingface_hub](https://huggingface.co/docs/huggingface_hub), the library behind `push`. In this repository: `examples/push.py`, `examples/merge.py`, [SECURITY.md](../SECURITY.md).

[08 Fine-tune](08_fine_tune.ipynb) · [all notebooks](README.md) · [10 Measure](10_measure.ipynb)
"""
