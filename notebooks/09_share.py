# %% [markdown]
"""
# How do I push what I trained, and load it elsewhere?

[08 Fine-tuning](08_fine_tune.ipynb) · [all notebooks](README.md) · [10 Measuring](10_measure.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/09_share.ipynb) [Source of this notebook](09_share.py)

> **You will learn**: what of a training folder belongs on the Hub and what does not, how to write the card, how others load your
> model without this project, and how they stay on the version that they tested.
>
> **You need**: a model to share, such as that of [08](08_fine_tune.ipynb); a small one is trained below. **Time**: about 2 min
> **Hardware**: two CPU cores, 3 GB of memory.
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

hub = course.setup(hub=True)

# %% [markdown]
"""
Everything below goes to a Hub that the setup has started on this machine, for a user who is called `me`. With the real one, the lines
are the same: log in with `hf auth login`, and write your own name for `me`.

## Something to share

We need a model that is ours. `minimonkey-tiny`, a small reader of rendered lower-case text and not the published model, knows one
task: to read. Let it learn a second one in ten steps: to answer "How many words?" for the page.

**Predict**: after ten steps on this question alone, what will it answer to "Read the text."?
"""

# %%
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

base = "minimonkey/minimonkey-tiny"
page = Image.open(course.PAGE)
processor = AutoProcessor.from_pretrained(base, trust_remote_code=True)
model = AutoModelForImageTextToText.from_pretrained(base, trust_remote_code=True, dtype=torch.float32)
READ, COUNT = "Read the text.", "How many words?"


def inputs_of(question, answer=None):
    content = [{"type": "image", "image": page}, {"type": "text", "text": question}]
    chat = [{"role": "user", "content": content}]
    if answer:
        chat.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return processor.apply_chat_template(
        chat,
        add_generation_prompt=answer is None,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )


# %%
def ask(model, question):
    inputs = inputs_of(question)
    sequences = model.eval().generate(**inputs, max_new_tokens=40, do_sample=False)
    return processor.decode(sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def train(model, lessons, steps):
    """A few steps on pairs of question and answer, all of them in each step; the vision tower stays as it is."""
    model.model.vision_tower.requires_grad_(False)
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=3e-4)
    for _ in range(steps):
        for question, answer in lessons:
            inputs = inputs_of(question, answer)
            labels = inputs["input_ids"].clone()
            labels[:, : inputs_of(question)["input_ids"].shape[1]] = -100  # the loss is on the answer alone
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
assert answers["base"][READ] == "fresh bread\nopen sunday" == answers["base"][COUNT]
assert answers["first"][COUNT] == "four words" and answers["first"][READ].startswith("four words")

# %% [markdown]
"""
It has learned one page by heart, which is no training worth the name, and it has forgotten how to read: whoever trains on one question
alone gets a model that knows one answer. We share it all the same, to see how a mistake is mended once it is public.

## What belongs on the Hub

A training leaves more than a model. This is a folder as the `Trainer` leaves it, with the state of the optimizer.

**Predict**: which of these files should land on the Hub? And which is the largest?
"""

# %%
from pathlib import Path

sys.path.append(str(course.ROOT / "examples"))
from push import files_to_push, push

os.chdir(course.working_folder("share"))
folder = Path("mine")
model.save_pretrained(folder)
processor.save_pretrained(folder)
(folder / "checkpoint-10").mkdir()
torch.save(optimizer.state_dict(), folder / "checkpoint-10" / "optimizer.pt")
torch.save({"output_dir": str(folder.resolve())}, folder / "training_args.bin")
(folder / "trainer_state.json").write_text(f'{{"best_model_checkpoint": "{folder.resolve()}/checkpoint-10"}}')

sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
pushed = {path.name for path in files_to_push(folder)}
at_home = sizes.keys() - pushed
print("stays at home:", sorted(at_home))
assert at_home == {"checkpoint-10/optimizer.pt", "training_args.bin", "trainer_state.json"}
assert {"modeling_minimonkey.py", "processing_minimonkey.py", "model.safetensors", "config.json"} <= pushed

# %%
from matplotlib import pyplot

names = sorted(sizes, key=sizes.get)
figure, axis = pyplot.subplots(figsize=(9.5, 5.2), layout="constrained")
colors = ["#0072B2" if name in pushed else "#D55E00" for name in names]
axis.barh(names, [sizes[name] for name in names], color=colors)
for row, name in enumerate(names):
    axis.text(sizes[name] * 1.15, row, f"{sizes[name] / 1000:,.1f} kB", va="center")
axis.set(xscale="log", xlabel="size (bytes)", xlim=(50, 1e9))
axis.tick_params(axis="y", labelsize=10)
handles = [pyplot.Rectangle((0, 0), 1, 1, color=color) for color in ("#0072B2", "#D55E00")]
axis.legend(handles, ["is pushed", "stays at home"], loc="lower right", frameon=False)
alt = "Bars of file sizes on a log scale. The optimizer and the weights are the largest, code and settings are small."
course.show(figure, alt=alt, caption="The files of the folder. Orange ones stay at home.")
assert sizes["checkpoint-10/optimizer.pt"] > sizes["model.safetensors"] == max(sizes[name] for name in pushed)

# %% [markdown]
"""
The optimizer's state is larger than the weights, even with a frozen tower; nobody needs it; and it is a pickle, which can run code
when it is opened. The trainer's state names folders of your machine. The code *is* pushed: without it, nobody could load the model.

## The card

A repository is found, and judged, by its `README.md`. Its head is metadata: license, base model, task. Its text should say what is true
of *your* model, also what it can't do. `push` takes the README.md of the folder, or else makes one from its files, without a
figure that nobody measured; it asks for a license.

**Predict**: we write neither the task nor the base model into the head. What will the Hub show?
"""

# %%
from huggingface_hub import HfApi, ModelCard

api = HfApi()
(folder / "README.md").write_text(
    """---
license: apache-2.0
language: en
---

# A counter of four words

`minimonkey-tiny`, trained for ten steps on one page and one question. It answers "four words" to everything and can no
longer read. Made to show how a model is shared.
"""
)
first = push(folder, "me/reader", base_model=base)
card = ModelCard.load("me/reader")
info = api.model_info("me/reader")
print(card.data)
print("pipeline:", info.pipeline_tag, "| library:", info.library_name, "| tags:", info.tags)
assert card.data.base_model == base and card.data.license == "apache-2.0" and "custom_code" in card.data.tags
assert info.pipeline_tag == "image-text-to-text" and info.library_name == "transformers"
assert card.text.strip().startswith("# A counter of four words")

# %%
landed = {file.rfilename for file in info.siblings} - {".gitattributes"}
print(f"{len(landed)} files in one commit, {first[:8]}:", *sorted(landed))
assert landed == pushed | {"README.md"}
assert len(api.list_repo_commits("me/reader")) == 2  # the repository's own beginning, and this one
assert not [name for name in landed if name.endswith((".pt", ".bin"))]
assert not [name for name in landed if hub.token.encode() in (folder / name).read_bytes()]

# %% [markdown]
"""
`push` fills in what it can know: the task, the library, and the tags. The license is not among that: it is yours to choose, within what
that of the base model allows. All files come in one commit, so a push that is cut off changes nothing.

## Elsewhere

Somebody else has Transformers, and nothing of this project. That is what the next cell is: a new process with an empty cache in which
our packages can't be imported.

**Predict**: where does the code come from? Which files are downloaded?
"""

# %%
import json
from tempfile import mkdtemp

from tests.hidden import PRELUDE

ELSEWHERE = """
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
image = Image.open(arguments["image"])
result = {}
for name, revision in arguments["wanted"]:
    options = {"trust_remote_code": True, "revision": revision}
    processor = AutoProcessor.from_pretrained(name, **options)
    model = AutoModelForImageTextToText.from_pretrained(name, **options)
    for question in arguments["questions"]:
        content = [{"type": "image", "image": image}, {"type": "text", "text": question}]
        inputs = processor.prepare_chat([{"role": "user", "content": content}])
        sequences = model.generate(**inputs, max_new_tokens=40, do_sample=False)
        answer = processor.decode(sequences[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True)
        result.setdefault(f"{name} {revision}", {})[question] = answer
print(json.dumps({"answers": result, "code": type(model).__module__.split(".")[0]}))
"""


# %%
def elsewhere(*wanted):
    """The answers of (repository, revision) pairs in a fresh process, and what its cache holds then."""
    home = mkdtemp(prefix="elsewhere-")
    arguments = {"wanted": wanted, "questions": [READ, COUNT], "image": str(course.PAGE)}
    command = [sys.executable, "-P", "-W", "ignore", "-c", PRELUDE + ELSEWHERE, json.dumps(arguments)]
    done = subprocess.run(command, env=os.environ | hub.env(home), cwd=home, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])
    snapshots = Path(home, "hub").glob("models--*/snapshots/*/*")
    return json.loads(done.stdout.splitlines()[-1]) | {"files": sorted({path.name for path in snapshots})}


found = elsewhere(("me/reader", "main"))
print(found["answers"], found["code"])
print("not downloaded:", landed - set(found["files"]))
assert found["answers"]["me/reader main"] == answers["first"]
assert found["code"] == "transformers_modules" and landed - set(found["files"]) == {"README.md"}
assert not hub.leaked  # large files come from another server, which never saw the token

# %% [markdown]
"""
The same answers, from code that was downloaded with the weights; all but the card was needed. What works in your notebook, where everything is installed, proves
little; a process like this one is the test to make before you tell others.

## A second version, and a pinned first one

Now we mend the mistake: both lessons in every step, starting from the base again. The second push goes to the same repository.

**Predict**: somebody has pinned the commit of the first version, `revision=first`. Which answers do they get from now on?
"""

# %%
model = AutoModelForImageTextToText.from_pretrained(base, trust_remote_code=True, dtype=torch.float32)
train(model, [(COUNT, "four words"), (READ, "fresh bread\nopen sunday")], steps=25)
answers["second"] = {question: ask(model, question) for question in (READ, COUNT)}

model.save_pretrained(folder)
text = (
    (folder / "README.md")
    .read_text()
    .replace("for ten steps on one page and one question", "on one page and two questions")
)
text = text.replace(
    'It answers "four words" to everything and can no\nlonger read.',
    "It still reads this page; others were not tried.",
)
(folder / "README.md").write_text(text)
second = push(folder, "me/reader")
api.create_tag("me/reader", tag="v2", revision=second)
print(answers["second"])
assert answers["second"] == {READ: "fresh bread\nopen sunday", COUNT: "four words"}
assert "still reads" in ModelCard.load("me/reader").text and second != first
assert ModelCard.load("me/reader").data.base_model == base  # kept, since the card is the folder's own

# %% [markdown]
"""
## A fine-tune of the fine-tune

Somebody else takes our second version from the Hub, teaches it one more question, and pushes the result. They never had this
repository; `push_to_hub` of model and processor is all they need.

**Predict**: they never saw our code files either. Are they in the new repository?
"""

# %%
theirs = AutoModelForImageTextToText.from_pretrained("me/reader", trust_remote_code=True, revision="v2")
their_processor = AutoProcessor.from_pretrained("me/reader", trust_remote_code=True, revision="v2")
COLOR = "Which color?"
lessons = [(COUNT, "four words"), (READ, "fresh bread\nopen sunday"), (COLOR, "light blue")]
train(theirs, lessons, steps=25)
theirs.push_to_hub("me/reader-of-colors")
their_processor.push_to_hub("me/reader-of-colors")
answers["color"] = {question: ask(theirs, question) for question in (READ, COUNT, COLOR)}
print(answers["color"])
files = {file.rfilename for file in api.model_info("me/reader-of-colors").siblings} - {".gitattributes", "README.md"}
assert files == landed - {"README.md"}
assert answers["color"][COLOR] == "light blue"

# %% [markdown]
"""
They are: a model that was loaded from the Hub saves its code again. And now all versions at once, in a new process.
"""

# %%
wanted = [("me/reader", first), ("me/reader", "v2"), ("me/reader-of-colors", "main")]
found = elsewhere(*wanted)["answers"]
for (name, revision), version in zip(wanted, ("first", "second", "color"), strict=True):
    expected = {question: answers[version][question] for question in (READ, COUNT)}
    print(f"{name} {revision[:8]:<8}", found[f"{name} {revision}"])
    assert found[f"{name} {revision}"] == expected

# %%
rows = ["minimonkey/minimonkey-tiny", "me/reader", "me/reader-of-colors"]
history = {name: [commit.commit_id for commit in reversed(api.list_repo_commits(name))] for name in rows}
for name, commits in history.items():
    print(name, [commit[:7] for commit in commits])
assert [len(commits) for commits in history.values()] == [2, 3, 3]  # each begins with an empty one

# %%
figure, axis = pyplot.subplots(figsize=(10.5, 3.6))
tips = {}
for row, name in enumerate(rows):
    offset = {0: 0, 1: 2, 2: 5}[row]
    for column, commit in enumerate(history[name], start=offset):
        tips[commit] = (column, -row)
        axis.plot(column, -row, "o", markersize=13, color="#0072B2" if column > offset else "#999999")
        axis.text(column, -row - 0.3, commit[:7], ha="center", fontsize=10)
    axis.plot([offset, offset + len(history[name]) - 1], [-row, -row], color="#0072B2", zorder=0)
    axis.text(-0.5, -row, name, ha="right", va="center")
origin = history[rows[0]][-1]
for start, end in ((origin, first), (origin, second), (second, history[rows[2]][1])):
    axis.annotate(
        "", tips[end], tips[start], arrowprops={"arrowstyle": "-|>", "color": "#D55E00", "shrinkA": 8, "shrinkB": 8}
    )
for commit, label in ((first, "pinned"), (second, "v2, main")):
    axis.text(tips[commit][0], tips[commit][1] - 0.5, label, ha="center", color="#D55E00")
axis.set(xlim=(-0.5, 8), ylim=(-2.6, 0.5))
axis.set_axis_off()
alt = "Three rows of commits as dots: the base, our repository with two pushes, and the repository fine-tuned from it."
course.show(
    figure,
    alt=alt,
    caption="Commits of the three repositories; each begins empty (gray), and the last got model and processor in turn. Orange arrows: trained from.",
)

# %%
figure, axes = pyplot.subplots(1, 4, figsize=(11, 2.9), layout="constrained")
for axis, (version, said) in zip(axes, answers.items(), strict=True):
    axis.imshow(page)
    axis.set(xticks=[], yticks=[], title=version)
    text = "\n".join(f"{question}\n  {answer!r}" for question, answer in said.items())
    axis.set_xlabel(
        text, loc="left", fontsize=10, color="#D55E00" if said[READ] != answers["base"][READ] else "#0072B2"
    )
alt = "The page four times, with the answers of the base, the first, the second and the third model below it."
course.show(figure, alt=alt, caption="One page, four versions. Orange: the version that can't read any more.")

# %% [markdown]
"""
Who pinned the first version still gets the model that can't read: exactly that, no better and no worse, is what a pin is for. A tag such
as `v2` reads better, but it can be moved; a hash can't.

## Private repositories

`push(..., private=True)` keeps a repository to yourself, and to those who have a token of yours.

**Predict**: does somebody without a token learn that it exists?
"""

# %%
from transformers import AutoConfig

push(folder, "me/secret", private=True)
assert api.model_info("me/secret").private
assert AutoConfig.from_pretrained("me/secret", trust_remote_code=True).model_type == "minimonkey"  # with our token
for name in ("me/secret", "me/not-there"):
    try:
        AutoConfig.from_pretrained(name, trust_remote_code=True, token=False, cache_dir="empty")
    except OSError as error:
        print(name, "->", str(error).splitlines()[0])
        assert "is not a local folder and is not a valid model identifier" in str(error)
    else:
        raise AssertionError("a private repository was readable")

# %% [markdown]
"""
No: the message is the same as for a repository that is not there. Read it that way, too: if a name is surely right, it is the token
that is missing.

## Common errors

A folder whose files hold a token or a path of your machine is refused before anything is uploaded.
"""

# %%
from push import check_folder

config = (folder / "config.json").read_text()
(folder / "config.json").write_text(config.replace("{", '{"note": "hf_abcdefghijklmnopqrstuvwxyz",', 1))
with course.expected(ValueError):
    push(folder, "me/reader")
(folder / "config.json").write_text(config)
check_folder(folder)

# %% [markdown]
"""
An adapter alone is refused as well, since it would not load by these lines: merge it first, `examples/merge.py`. And a
model without its processor is half a model.
"""

# %%
(folder / "adapter_config.json").write_text("{}")
with course.expected(ValueError):
    check_folder(folder)
(folder / "adapter_config.json").unlink()

(folder / "chat_template.jinja").rename(folder / "kept.txt")
with course.expected(ValueError):
    check_folder(folder)
(folder / "kept.txt").rename(folder / "chat_template.jinja")

# %% [markdown]
"""
## Exercises

### Exercise 1

Push the model alone, `model.push_to_hub("me/half")`. Which files of `landed` are missing, and what fails for those who load it?
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
model.push_to_hub("me/half")
half = {file.rfilename for file in api.model_info("me/half").siblings}
print("missing:", sorted(landed - half))
assert {"tokenizer.json", "chat_template.jinja", "processor_config.json"} <= landed - half
with course.expected(ValueError):
    AutoProcessor.from_pretrained("me/half", trust_remote_code=True)

# %% [markdown]
"""
### Exercise 2

You want `main` to be the first version again, without losing the second. Push the files of the first commit once more
(`snapshot_download`, `upload_folder`) and show that `v2` is as it was.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
from huggingface_hub import snapshot_download

old = snapshot_download("me/reader", revision=first)
back = api.upload_folder(repo_id="me/reader", folder_path=old, commit_message="Go back to the first version").oid
again = AutoModelForImageTextToText.from_pretrained("me/reader", trust_remote_code=True, revision=back)
kept = AutoModelForImageTextToText.from_pretrained("me/reader", trust_remote_code=True, revision="v2")
assert ask(again, READ) == answers["first"][READ] and ask(kept, READ) == answers["second"][READ]
assert len(api.list_repo_commits("me/reader")) == 4

# %% [markdown]
"""
### Exercise 3

The metadata can be changed without a push of all files. Add the tag `counting` to the card of `me/reader-of-colors`, and its base
model.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
from huggingface_hub import metadata_update

metadata_update("me/reader-of-colors", {"tags": ["counting"], "base_model": "me/reader"}, overwrite=True)
changed = ModelCard.load("me/reader-of-colors").data
print(changed.tags, changed.base_model)
assert "counting" in changed.tags and changed.base_model == "me/reader"

# %% [markdown]
"""
## Conclusion

`push(folder, "me/reader", base_model=...)`, or `python examples/push.py`, uploads weights, settings, processor, code and card in one
commit, and nothing else. Others load it by its name with `trust_remote_code=True`, on a machine that has Transformers alone, and by
its commit when they want what they tested. They can train it further and push it in turn: the code goes along. What no tool can do for
you is the text of the card: write what your model can't do.

**Read next**: [10](10_measure.ipynb) shows how to measure a model, which is what a card should rest on.

Cite the method as Huang et al., *Mini-Monkey*, ICLR 2025, arXiv 2408.02034.

[08 Fine-tuning](08_fine_tune.ipynb) · [all notebooks](README.md) · [10 Measuring](10_measure.ipynb)
"""
