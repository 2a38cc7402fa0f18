# %% [markdown]
"""
# Can a scan become a record?

[11 Speed, memory, serving](11_speed_memory_serving.ipynb) · [all notebooks](README.md)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/12_real_documents.ipynb) [Source of this notebook](12_real_documents.py)

> **You will learn**: how to get from a scanned letter, receipt or table to data that a program can use, how to notice most wrong answers without a person, how to compare the model's own doubt with such a check, and what a scanner may do to a page before they become wrong.
>
> **You need**: [00](00_ask_an_image.ipynb). **Time**: about 20 min to read, 3 min to run. **Hardware**: two CPU cores, 2 GB of memory.
>
> **Contents**: [Which model reads](#Which-model-reads) · [Three scans](#Three-scans) · [From text to a record](#From-text-to-a-record) · [Who checks the answer?](#Who-checks-the-answer?) · [What the shop knows](#What-the-shop-knows) · [On the lines between tiles](#On-the-lines-between-tiles) · [What a scanner may do](#What-a-scanner-may-do) · [Common errors](#Common-errors) · [Exercises](#Exercises) · [Conclusion](#Conclusion) · [References and further reading](#References-and-further-reading)
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

# %% [markdown]
"""
## Which model reads

The published Mini-Monkey has two billion parameters and has learned from real documents. Its weights are 4.4 GB and are not in this repository:
[06](06_published_weights.ipynb) converts them into a folder. Set `MINIMONKEY_MODEL` to that folder, and the cells below ask that model, on a GPU where there is one. That has not been run here.

Without it the small checkpoint reads. It has only seen lower-case letters and digits of rendered fonts, and never a scan, so the documents here are written in those. All numbers in the text are the small one's.
"""

# %%
import json
import re

import refusals
import torch

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from processing_minimonkey import MiniMonkeyProcessor

folder = os.environ.get("MINIMONKEY_MODEL", course.CHECKPOINT)
is_small = folder == course.CHECKPOINT
processor = MiniMonkeyProcessor.from_pretrained(folder)
model = MiniMonkeyForConditionalGeneration.from_pretrained(
    folder, dtype=torch.float32 if is_small else torch.bfloat16
).to("cuda" if torch.cuda.is_available() else "cpu")
size = sum(parameter.numel() for parameter in model.parameters()) / 1e6
name = "The small checkpoint" if is_small else folder
print(f"{name} reads: {size:,.1f} million parameters.")


# %%
def read(images, question="Read the text.", batch_size=16, letters=None):
    """The answer to one question or one each about each image; `letters` gets chances."""
    asked = [question] * len(images) if isinstance(question, str) else question
    pairs, answers = list(zip(images, asked, strict=True)), []
    for start in range(0, len(images), batch_size):
        contents = [
            [{"type": "image", "image": image}, {"type": "text", "text": text}]
            for image, text in pairs[start : start + batch_size]
        ]
        chats = [[{"role": "user", "content": content}] for content in contents]
        inputs = processor.prepare_chat(chats).to(model.device)
        options = {"return_dict_in_generate": True, "output_logits": True}
        options |= {"max_new_tokens": 100, "do_sample": False}
        result = model.generate(**inputs, **options)
        behind = result.sequences[:, inputs["input_ids"].shape[1] :]
        answers += processor.batch_decode(behind, skip_special_tokens=True)
        if letters is not None:
            end = model.generation_config.eos_token_id
            letters += refusals.letter_chances(result.logits, behind, end)
    return answers


# %% [markdown]
"""
## Three scans

**No real scan is read in this notebook, and no photograph: all scans are rendered.** There are a letter, a receipt and a table. We drew them, and a function did to them what a scanner does: the page lies askew by 0.7 degrees, the lens blurs, the sensor adds noise, the lid throws a shadow, and JPEG throws away what it thinks nobody sees. `scans.py` has the code; with photographs of your own the rest is the same.
"""

# %%
import scans

pages = {
    "letter": scans.draw_document(scans.LETTER, (336, 224)),
    "receipt": scans.draw_document(scans.RECEIPT, (224, 224)),
    "table": scans.draw_document(scans.TABLE, (336, 112)),
}
documents = {name: scans.scanned(page, scans.Scan()) for name, page in pages.items()}
course.show(
    scans.plot_scans(documents),
    alt="Three gray pages, slightly turned and noisy: dear anna, your parcel, came "
    "today; bread 320, milk 145, total 465; and two rows of three columns, name seat "
    "row and anna 12 34.",
    caption="The documents as they come from the scanner, rendered like all scans here.",
)

# %% [markdown]
"""
**Predict**: the model has never seen a scan. Which of the three does it read without an error?
"""

# %%
texts = dict(zip(documents, read(list(documents.values())), strict=True))
for name, text in texts.items():
    print(f"{name:<8} {text!r}")

# %% [markdown]
"""
The receipt and the table. In the letter "came" has a letter too many, and nothing in the answer says so. That is the problem of this notebook: not that a model errs, but that it doesn't tell.

## From text to a record

A program wants `{"bread": 320}`, not a text. There are two ways:

- **Ask for it.** A large model follows "Answer with JSON alone". Its answer is still text that can be anything, so it has to be parsed and checked like any input from outside.
- **Read everything, then parse.** A small one knows few questions ([its card](../checkpoints/minimonkey-tiny/README.md)). It answers "Read the text." with lines, and a line of a receipt is a name and a number. (It also knows the form "Read the number beside bread.", which we try [below](#Who-checks-the-answer?).)

The parser takes both, and gives `None` when the answer is neither. It never repairs a number, since that would be inventing one. Python's own `int` does: it makes 3 of 3.20, 1 of `True`, and 320 of `"3_20"`. So what counts as a number is said here. A name that comes twice is refused, too: a dictionary would keep the second price and lose the first.

**Predict**: do `bread 3_20`, `{"bread": 3.20}`, `{"bread": "320"}` and `bread 320 g` become records?
"""


# %%
def whole_number(value):
    """A whole number of JSON, or digits in a text; everything else is an error."""
    digits = isinstance(value, str) and re.fullmatch("[0-9]+", value)
    if not digits and type(value) is not int:  # True is an int of another type
        raise ValueError(f"{value!r} is no whole number")
    return int(value)


def record(answer):
    """The record of an answer in JSON, or of lines with a name and a number; otherwise `None`."""
    found = re.search(r"\{.*\}", answer, flags=re.DOTALL)
    try:
        if found:
            pairs = json.loads(found[0], object_pairs_hook=list)
        else:
            pairs = [line.split() for line in answer.splitlines()]
        values = {name: whole_number(value) for name, value in pairs}
    except ValueError:  # no JSON, not two words, no whole number
        return None
    return values if values and len(values) == len(pairs) else None


# %%
import tables

rows = [[f"`{answer!r}`", f"`{record(answer)}`"] for answer in refusals.RECORDS]
tables.texts(["answer", "record"], rows)
assert {each: record(each) for each in refusals.RECORDS} == refusals.RECORDS
if is_small:
    assert record(texts["receipt"]) == {"bread": 320, "milk": 145, "total": 465}

# %% [markdown]
"""
For the large model, the question is another one. A table is parsed alike; its first line names the columns.
"""

# %%
QUESTION = "Read the text."
if not is_small:
    QUESTION = 'Read this receipt. Answer with JSON alone, {"article": price}.'

header, *rows = [line.split() for line in texts["table"].splitlines()]
print([dict(zip(header, row, strict=True)) for row in rows])

# %% [markdown]
"""
`strict=True` is a check: a row with more or fewer cells than the header is an error, not a shifted table.

## Who checks the answer?

Nobody reads along. But a receipt says one thing twice: its prices, and their sum. Where the prices that were read don't add up to the total that was read, something is wrong.

Here are receipts that nobody picked, with words that no training saw.

**Predict**: how many of them are read without an error? Of those that are wrong, how many does the sum catch?
"""

# %%
n = 32 if course.FAST else 200
wanted, clean = scans.random_receipts(n)
receipts, letters = scans.scan_all(clean), {0.6: [], 1.2: []}
answers = {0.6: read(receipts, QUESTION, letters=letters[0.6])}
records = [record(answer) for answer in answers[0.6]]


def adds_up(found):
    """Whether the total of a record is the sum of its other numbers."""
    if found is None or "total" not in found:
        return False
    return 2 * found["total"] == sum(found.values())


right = [found == want for found, want in zip(records, wanted, strict=True)]
accepted = [adds_up(found) for found in records]
pairs = list(zip(right, accepted, strict=True))
rows = [
    [name, *(pairs.count((is_right, fits)) for fits in (True, False))]
    for name, is_right in (("read without an error", True), ("read with one", False))
]
course.table(["", "adds up", "doesn't"], rows)

# %% [markdown]
"""
The sum refuses five of the seven records with an error. What is wrong with each of the seven?
"""

# %%
for found, want, (is_right, is_accepted) in zip(records, wanted, pairs, strict=True):
    if not is_right:
        print("given  " if is_accepted else "refused", found, "but it is", want)
    if is_accepted and is_small and course.FAST:
        assert list(found.values()) == list(want.values())

# %% [markdown]
"""
In the two that are given, a *name* is wrong: "mult" for "multi". Names are not in the sum. In the five that are refused, a number is wrong: one redundant line on paper caught all five, and needs no model. It can't see errors that cancel, such as two prices that change places; here there were none. What it refuses goes to a person, or is scanned again.

Doesn't the model itself know when it is unsure? It gives every letter that it writes a probability. So let its doubt refuse in place of the sum: it refuses the answers whose letters have the lowest mean probability, as many as the sum refuses, so that the two can be compared, on these scans and on blurred ones of the same receipts.

**Predict**: which check lets more wrong records through? Which one refuses right ones?
"""

# %%
blurred_scans = scans.scan_all(clean, blur=1.2)
answers[1.2] = read(blurred_scans, QUESTION, letters=letters[1.2])
checks, counted = {}, {}
for blur, given in answers.items():
    title, found = f"blur {blur} px", [record(answer) for answer in given]
    right = [a == b for a, b in zip(found, wanted, strict=True)]
    sure = [float(each.mean()) for each in letters[blur]]
    checks[title] = (sure, right, [not adds_up(each) for each in found])
    counted[title] = refusals.count_checks(*checks[title])
    print(f"{title}, the sum:", refusals.reasons(refusals.why(found, wanted, adds_up)))
course.show(
    refusals.plot_doubt(checks),
    alt="Above, dots over the mean probability, right answers above wrong ones; hollow "
    "dots and crossed ones differ. Below, the share of wrong records falls as fewer are "
    "given in the clear scans, hardly in the blurred ones; the sum's point lies below.",
    caption="Above: a good check marks all dots of the lower row and none of the upper. "
    "The sum makes dots hollow, doubt crosses them out. Below: at every limit of doubt "
    "the share of wrong ones in what is given; the diamond is the sum.",
)
course.table(refusals.CHECK_HEAD, refusals.check_rows(counted))

# %% [markdown]
"""
Does doubt let more wrong records through? Of 32 that isn't shown: 3 against 2 in the clear scans, 12 against 6 in the blurred ones. (Of the 200 stored ones below figure 3 it is, in the blurred scans: 53 against 29, p = 0.002.) But doubt refuses right records, too. The sum can't do that: a record without an error always adds up. Counting both kinds of wrong decision, doubt is worse in the blurred scans (18 against 6, p = 0.002), and of the 200 in both kinds of scan. (p, *by chance* in the table, is of a sign test. Toss a coin for each record on which the two checks decide differently: how often is the result at least as one-sided?)

But is it the sum that decides? In the blurred scans 10 of its 13 refusals have no "total": that word was misread, so there is nothing to compare, and in 7 of the 13 all numbers are right. That is a check of one name. A fairer comparison of doubt and sum comes [below](#What-the-shop-knows), when the names are mended.

The lower panels are *risk–coverage curves*: if only the surest records are given, how many of these are wrong (*selective prediction*)? In the clear scans the surest half has no error. In the blurred ones wrong answers are hardly less sure than right ones: at every limit that gives two or more, at least 40% are wrong.

Still, doubt needs no sum, and it sees names. On a page that says nothing twice it may be all you have; then choose the limit on pages whose answers you know.

And a second question? "Read the number beside ..." is a form of question that the small checkpoint was trained on, with words of the training in its place. "total" is held out: it was never asked for, and never stood on a page of the training. The answer looks like a second statement, free of the errors of the first.

**Predict**: how often is it the total of the page? If a record is believed only where its total is this number, what is refused?
"""

# %%
told = read(receipts, "Read the number beside total.")
print(scans.which_number(told, wanted))
course.table(["", "same", "another"], scans.agreement(records, wanted, told, "total"))

# %% [markdown]
"""
Four times in 32; 22 times it is the price of another line. As a check it refuses 22 of the 25 right records and lets a wrong one through. But [its card](../checkpoints/minimonkey-tiny/README.md) has 54 of 100 for such questions, about words that are held out, too. Is it the scanner?
"""

# %%
pages = {"the scans": receipts, "clean pages": clean}
course.table(*scans.asked_rows(read, pages, wanted))

# %% [markdown]
"""
No. On clean pages the total is told hardly more often: 5 times in place of 4. The number beside an article is told in 15 to 20 of 32, about as often as the card says, though articles are held-out words, too. Whether the word "total", the last line or the longer number is hard, was not tested. So the second answer looks independent and isn't good enough: what is asked a second time must be read well the second time, too. A page that says something twice helps; a model that does so helps only if its second answer was measured to be good.

## What the shop knows

The sum says nothing about names. But a shop knows what it sells. A name that isn't in its list is wrong, and the nearest one in the list is probably meant.

**Predict**: the list has about a hundred words. How many of the wrong names does it mend? Can it make a right one wrong?
"""

# %%
from difflib import get_close_matches

goods = [*scans.shop(), "total"]


def mended(found):
    """The record with names of the shop; `None` where one is like none of them, or two are the same."""
    if found is None:
        return None
    near = [get_close_matches(name, goods, n=1, cutoff=0.6) for name in found]
    names = [each[0] for each in near if each]
    if len(set(names)) < len(found):
        return None
    return dict(zip(names, found.values(), strict=True))


found = {}
for (title, (sure, *_)), given in zip(checks.items(), answers.values(), strict=True):
    read_as = [record(each) for each in given]
    found[title] = refusals.after_mending(read_as, wanted, adds_up, mended, sure)
run = {"receipts": n, "scans": found, "checks": counted}
if is_small and not course.FAST:
    course.keep_run(refusals.STORED, "12_real_documents", run)
kept = course.read_run(refusals.STORED) or run
course.show(
    scans.plot_stages({name: each["stages"] for name, each in kept["scans"].items()}),
    alt="Three stacked bars each for two blurs. The sum turns most wrong records into "
    "refused ones, and the list turns refused and wrong ones into right ones; two of "
    "the blurred scans stay wrong.",
    caption="The sum refuses, the list mends. Of 200 receipts (stored) two wrong records "
    "come through, both of blurred scans: look for the pink in the last bar.",
)
refusals.show_found(**run, fold=True)
print("blur 1.2 px: 'toal' in", sum("toal" in each for each in answers[1.2]), "answers")
refusals.show_found(**kept)

# %% [markdown]
r"""
In the clear scans it mends the two wrong names. In the blurred ones it doubles what can be used, from 13 to 26 of 32 (there "total" often comes as "toal"), and none of the 26 is wrong. A larger run (`FAST=0` in the environment; stored in `receipts.json`) has 200 receipts: 184 of the clear scans are given, none of them wrong, and 162 of the blurred ones, two of them wrong.

These two are the list's own errors. All their numbers are right, but "foxt" is nearer to "format" than to "root", and "inor" to "ignore" than to "inner". So a mended name can be a wrong one, and nobody notices. A right name stays right here, as every article is in the list; a *new* one would be renamed to its nearest neighbor, and the sum would still fit. Keep the name that was read beside the one that was believed. (`cutoff` says how alike two names must be: a low one guesses more.)

Now hardly any error is one of a name, and doubt and sum can be compared as promised, with as many refused. Of the 200, doubt lets 10 wrong records through in the clear scans and the sum none (p = 0.002); in the blurred ones 22 against two (p < 0.001). A probability is the model's opinion of itself, and the sum is a second statement of the page. (Doubt's mean still includes the letters of names; one over digits alone was not tried.)

This is the shape of a system that can be trusted with a model that can't: **read, parse, check, and refuse**.

## On the lines between tiles

The course began with words that tiles cut. Are the wrong digits here such ones? The detailed grid cuts these pages into 2 x 2 tiles, the adaptive one, the second grid, into three rows. We move the text down. 18 px lower the detailed grid's line runs through the total (line 3); 36 px lower through no line of text; 54 px lower through line 2. What the detailed grid cuts is whole in the adaptive one.

**Predict**: every line of text is whole in one of the two grids. Does the move cost anything?
"""

# %%
lower = {down: read(scans.scan_lower(clean, down)) for down in (0, 18, 36, 54)}
course.show(
    scans.plot_moved(0, lower, clean, wanted, processor),
    alt="One receipt four times, lower and lower. In the second the blue line runs through "
    "total, read as toal; in the fourth through prefix, read as prefel. All else is right.",
    caption="Blue: lines of the detailed grid, orange: of the adaptive one. Find the lines of "
    "text that blue halves and that are whole between two orange ones. Bold: misread.",
)
course.table(*scans.moved_rows(lower, clean, wanted, record, processor))

# %% [markdown]
"""
As the receipts were drawn, no line of text is on a line between rows, so such cuts don't explain the wrong digits above. But where such a line runs through text, it does damage. Of 32 records, 25 of them right as drawn:

- *18 px lower*, where the detailed grid cuts the total, 12 are right (p = 0.002).
- *36 px lower*, past the lines, 22 are right; no difference is shown.
- *54 px lower*, where it cuts line 2, 4 are right.

In both bad cases the adaptive grid shows the cut line whole, and that doesn't save it here. Mostly the names break; the numbers beside them survive 30 and 27 times of 32. (A record with a broken "total" is refused; another broken name the sum doesn't see.) Lines of text that only the adaptive grid cuts lose less: the worst, the total at 54 px, is still right 21 times of 32.

So a page that happens to lie a little lower may be read half as well or worse. (One grid alone is no fair control for a checkpoint that was trained with two; [10](10_measure.ipynb) has controls.)

## What a scanner may do

One receipt, more and more askew and more and more blurred.

**Predict**: from which picture on does the model fail? Would you?
"""

# %%
damages = {f"{angle} degrees askew": {"angle": angle} for angle in (0.7, 1.5, 3, 6)}
damages |= {f"blur {blur} px": {"blur": blur} for blur in (1.2, 1.8)}
page, text = clean[2], "\n".join(f"{name} {price}" for name, price in wanted[2].items())
damaged = {
    name: scans.scanned(page, scans.Scan(**damage), seed=2)
    for name, damage in damages.items()
}
course.show(
    scans.plot_damaged(damaged, read(list(damaged.values())), text),
    alt="The same receipt six times, turned by 0.7 to 6 degrees and blurred, with what "
    "was read below: right for the first two, with errors in the others.",
    caption="One receipt, six scans, and what the model reads. Bold: lines with errors. "
    "To the eye all six are legible.",
)

# %% [markdown]
r"""
At 3 degrees, and already at blur 1.2; you probably wouldn't at either. Against the angle there is an old trick that needs no model: turn the page until neighboring rows of pixels differ most, since then lines of text begin and end at once. With $S_\alpha(y)$, the sum of the gray levels in row $y$ of the page turned by $\alpha$:

$$\hat{\alpha} = \arg\max_{\alpha}\; \sum_y \big( S_\alpha(y + 1) - S_\alpha(y) \big)^2$$

Differences of neighbors, not of all rows: the shadow of the lid changes slowly from row to row and drops out.
"""

# %%
import numpy as np

angles = np.arange(-12, 12.1, 0.5)


def contrasts(image):
    """How much neighboring rows differ, by angle."""
    sums = (scans.row_sums(scans.turned(image, each)) for each in angles)
    return [(np.diff(each) ** 2).sum() for each in sums]


def straightened(image):
    """The image turned so that its lines of text are level."""
    angle = angles[np.argmax(contrasts(image))]
    return scans.turned(image, angle) if abs(angle) > 1 else image  # turning blurs


# %%
askew = damaged["6 degrees askew"]
level = straightened(askew)
course.show(
    scans.plot_profiles(
        {"6 degrees askew": askew, "straightened": level},
        [scans.row_sums(askew), scans.row_sums(level)],
        read([askew, level]),
        angles,
        contrasts(askew),
    ),
    alt="A receipt askew, whose rows have nearly the same gray; the same one level, "
    "whose rows have three deep valleys; and a curve, highest at -6, less at -8 degrees.",
    caption="Why it works: in the level page each line of text is a valley with steep "
    "sides. Right: the sum of the formula, by the angle that the page is turned. At the "
    "side peak tops of digits probably lie level with tops of small letters.",
)

# %% [markdown]
"""
The page that was misread in two lines is read without an error. And on more receipts?

**Predict**: from how many degrees on does the model fail? Does straightening bring all of it back?
"""


# %%
def read_right(images, wanted):
    """Of each image whether its record has no error."""
    found = [record(answer) for answer in read(images, QUESTION)]
    return [a == b for a, b in zip(found, wanted, strict=True)]


some = 24 if course.FAST else 200
panels = scans.sweep(clean[:some], wanted[:some], read_right, straightened)
askew, _, longer = panels.values()
course.show(
    scans.plot_damage(panels),
    alt="Left: the share of records without an error falls most between 2 and 3 degrees, "
    "but not if they are straightened first. Middle: it falls with blur. Right: it "
    "falls with the number of articles.",
    caption="Straightening brings back most of what the angle takes; blur and longer "
    f"receipts stay hard. Records without an error, 95% intervals (Wilson), {some} "
    "receipts each; left and middle the first ones from above.",
)
course.table(*scans.angle_rows(askew))
print("articles:", {number: sum(each) for number, each in longer["as scanned"].items()})

# %% [markdown]
"""
Mostly between two and three degrees: 15 of 24 records are right at two, 2 at three. Straightened first, 16 to 18 are right at every angle above 0.7 degrees, against 19 there; on so few pages no difference is shown. (There the page is left alone, since each turn blurs.)

A model that was trained on turned pages would not need it. Ours wasn't, and a step of ten lines is cheaper than a training. Against blur (middle panel) no such step was tried: at 1.2 px less than half of the records are right, at 1.8 none.

Longer receipts (right panel) are no fault of the scanner. The model was trained on receipts of two or three lines, and its card promises about six words; three articles and a total are eight, and mostly fail. A model knows the kind of page that it was trained on. Measure on pages of your own before you trust it ([10](10_measure.ipynb)), and train it on them if it fails ([08](08_fine_tune.ipynb)).

## Common errors

An answer that is no record is not an exception but `None`, and whoever uses it must say what then.
"""

# %%
with course.expected(AttributeError):
    record("I can't read this receipt.").items()

# %% [markdown]
"""
A photograph that is turned by 90 degrees often says so in its EXIF data only. The processor turns it upright by that tag; PIL's `Image.open` alone doesn't, so what you look at may not be what the model sees. A page upside down without such a tag is not noticed: it is read as if it were upright.
"""

# %%
(answer,) = read([receipts[0].rotate(180)])
print(repr(answer), "for", list(wanted[0]))
assert not is_small or record(answer) != wanted[0]

# %% [markdown]
"""
## Exercises

### Exercise 1

Blur the scans more (`scans.Scan(blur=1.4)`). How many records are right? Does the sum still catch all wrong numbers, and is what it gives right?

<details>
<summary>Solution</summary>

```python
blurred = scans.scan_all(clean, blur=1.4)
found = [record(answer) for answer in read(blurred, QUESTION)]
fits = [(each, want) for each, want in zip(found, wanted, strict=True) if adds_up(each)]
print(sum(a == b for a, b in zip(found, wanted, strict=True)), "right,", len(fits), "add up")
if is_small and course.FAST:
    assert fits and all([*each.values()] == [*want.values()] for each, want in fits)
```

None of the 32 is right, and yet five add up: all their numbers are right, but each has a wrong name. So it still catches every wrong number, and everything that it gives is wrong.

</details>

### Exercise 2

Ask twice: once as above, once with half of the detailed tokens (`keep_ratio=0.5`, here in the model's configuration). Where both answers agree, how many are wrong, of the clear scans and of the blurred ones? Compare with the sum.

<details>
<summary>Solution</summary>

```python
compression = model.config.scale_compression_config
for blur, images in {0.6: receipts, 1.2: blurred_scans}.items():
    compression.keep_ratio, once = 0.5, map(record, answers[blur])
    both = list(zip(once, map(record, read(images, QUESTION)), wanted, strict=True))
    compression.keep_ratio = 1.0
    agree = [a == want for a, b, want in both if a == b and a is not None]
    fits = [a == want for a, _, want in both if adds_up(a)]
    print(f"{len(agree)} agree, {agree.count(False)} wrong; {len(fits)} add up, {fits.count(False)} wrong")
    assert not (is_small and course.FAST) or agree.count(False) > fits.count(False)
```

Clear: 28 agree, 4 of them wrong; 27 add up, 2 of them wrong. That is no difference yet. Blurred: 29 agree, 17 of them wrong; 19 add up, 6 of them wrong, a difference that chance makes in 1 of 1,000 cases (`course.sign_test(11, 0)`: 11 wrong ones that agreement alone gives, none that the sum alone does). A model repeats its own errors: its agreement with itself is the weaker check.

</details>

### Exercise 3

Write `table_record(text)`, which gives a table as a list of dictionaries, and `None` where a row has not as many cells as the header.

<details>
<summary>Solution</summary>

```python
def table_record(text):
    rows = [line.split() for line in text.splitlines()]
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        return None
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
assert table_record("name seat\nanna 12") == [{"name": "anna", "seat": "12"}]
assert table_record("name seat\nanna") is None
```

</details>

## Conclusion

Yes, if the page says enough to check the answer by.

- **The parts.** The model reads; a parser takes lines or JSON and nothing else; the sum, the list of articles and the header decide what is believed; the rest goes to a person. These checks don't need a large model.
- **How far they got.** Of 200 receipts of a shop whose list has all articles 184 were given in clear scans and none was wrong (0 to 2.0%), 162 in blurred ones and two were (0.3 to 4.4%). A new article would get another one's name, and be given.
- **What was a weaker check, or none.** The model's own probability made more wrong decisions than the sum and gave more wrong records (in clear scans this is shown only once names were mended). Its answer to a second question was no check at all.
- **The page.** Straighten it before you ask. Where the detailed grid cuts a line of text, the adaptive one doesn't save the names.

All scans here were rendered. What a model reads of real ones, the small or the published one, and how many errors the checks catch there, was not measured.

Read next: [08](08_fine_tune.ipynb) trains the model on pages of your own, [10](10_measure.ipynb) measures it, and `examples/read_folder.py` reads a folder of scans and goes on after a stop.

## References and further reading

- M. Huang et al., *Mini-Monkey*, ICLR 2025, [arXiv 2408.02034](https://arxiv.org/abs/2408.02034): its weights were trained on documents, among others DocVQA ([arXiv 2007.00398](https://arxiv.org/abs/2007.00398)).
- S. Park et al., *CORD: A Consolidated Receipt Dataset for Post-OCR Parsing*, 2019: real receipts as records, [data](https://github.com/clovaai/cord).
- C. Guo et al., *On Calibration of Modern Neural Networks*, [arXiv 1706.04599](https://arxiv.org/abs/1706.04599): whether letters with a probability of 97% are right in 97 of 100 cases, another question than that of the curves. Y. Geifman and R. El-Yaniv, *Selective Classification for Deep Neural Networks*, [arXiv 1705.08500](https://arxiv.org/abs/1705.08500): risk and coverage.
- H. S. Baird, *The Skew Angle of Printed Documents*, 1987: straightening by the profile of rows.
- G. Kim et al., *OCR-free Document Understanding Transformer* (Donut), [arXiv 2111.15664](https://arxiv.org/abs/2111.15664): a model that writes the record itself.

[11 Speed, memory, serving](11_speed_memory_serving.ipynb) · [all notebooks](README.md)
"""
