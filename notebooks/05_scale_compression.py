# %% [markdown]
"""
# Which half of the tokens can go?

[04 The model](04_model.ipynb) · [all notebooks](README.md) · [06 The published weights](06_published_weights.ipynb)

[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/minimonkey/blob/main/notebooks/05_scale_compression.ipynb) [Source of this notebook](05_scale_compression.py)

> **You will learn**: how the Scale Compression Mechanism (SCM) scores image tokens by attention, why the published score fails on a
> small reader, whose attention does better, and why a model should be trained with the gaps that compression leaves.
>
> **You need**: what the detailed, adaptive and global tiles are ([02](02_complementary_image_pyramid.ipynb)), and what attention is. **Time**: about 1 min **Hardware**: two CPU cores, 2 GB of memory.
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

# %% [markdown]
"""
## What leaves the prompt

A second grid shows more and costs more: every tile is a fixed number of tokens, and the language model pays for each of them in time and
in its cache. SCM takes part of them back: of the **detailed** tokens, only the share `keep_ratio` with the best scores stays, and the others leave the
prompt before the first word is written. Adaptive tokens, global tokens and text all stay, and nothing has to be trained for it.

The model here is the small checkpoint of this repository: a reader of rendered lower-case text, four layers deep, 16 tokens per tile. It is
not the published model, and its figures are its own.

**Predict**: the page has 6 detailed, 4 adaptive and 1 global tile, and its prompt 233 tokens. How many are left with `keep_ratio=0.5`?
"""

# %%
import numpy as np
import torch
from PIL import Image

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.scale_compression import DETAILED_LEVEL, kept_count
from processing_minimonkey import MiniMonkeyProcessor

load = MiniMonkeyForConditionalGeneration.from_pretrained
model = load(
    course.CHECKPOINT, dtype=torch.float32, attn_implementation="eager"
).eval()  # eager: it shows its matrices
processor = MiniMonkeyProcessor.from_pretrained(course.CHECKPOINT)
page = Image.open(course.PAGE)


def ask(image, question="Read the text."):
    content = [{"type": "image", "image": image}, {"type": "text", "text": question}]
    return processor.prepare_chat([{"role": "user", "content": content}])


inputs = ask(page)
length = inputs["input_ids"].shape[1]
detailed = int((inputs["tile_levels"] == DETAILED_LEVEL).sum()) * model.config.image_seq_length
left = length - detailed + kept_count(detailed, 0.5)
print(f"{length} tokens, {detailed} of them detailed; with keep_ratio 0.5: {left}")

# %% [markdown]
r"""
185, and not half of 233: only the 96 detailed tokens are halved.

## The published rule

The [paper](https://huggingface.co/papers/2408.02034) (section 3.3) takes the score from the language model itself. In one early layer $\ell$ (the second, so 1 when
counted from 0) each query $i$ spreads its attention over the tokens before it; $A^{(\ell)}_{h,i,j}$ is what head $h$ gives to token $j$. The score of
a detailed token is the mean over the $H$ heads and over the queries $Q$, which are **all tokens after the detailed ones**:

$$s_j = \frac{1}{H\,|Q|} \sum_{h=1}^{H} \sum_{i \in Q} A^{(\ell)}_{h,i,j}$$

By hand that is one line, once the model shows its attention matrices.
"""

# %%
from modeling_minimonkey.inspection.visualization import detailed_scores, kept_detailed_tokens


@torch.no_grad()
def look_inside(inputs, layer):
    """The attention matrices of a layer, (heads, queries, tokens), and what each token of the prompt is."""
    is_image = inputs["input_ids"] == model.config.image_token_id
    features = model.get_image_features(inputs["pixel_values"], return_dict=True).pooler_output
    embeds = model.get_input_embeddings()(inputs["input_ids"]).masked_scatter(is_image[..., None], features)
    levels = inputs["tile_levels"].repeat_interleave(model.config.image_seq_length)
    is_detailed = torch.zeros_like(is_image[0])
    is_detailed[is_image[0]] = levels == DETAILED_LEVEL
    outputs = model.model.language_model(inputs_embeds=embeds, output_attentions=True, use_cache=False)
    return outputs.attentions[layer][0], is_detailed, is_image[0]


attention, is_detailed, is_image = look_inside(inputs, layer=1)
after = torch.arange(length) > is_detailed.nonzero().max()
by_hand = attention[:, after][:, :, is_detailed].mean(dim=(0, 1))

published = detailed_scores(model, inputs, queries="all", layer=1)  # (detailed tiles, tokens per tile)
print(
    f"{after.sum()} queries, {by_hand.numel()} scores; largest difference {np.abs(by_hand - published.ravel()).max():.0e}"
)
np.testing.assert_allclose(published.ravel(), by_hand, rtol=1e-4, atol=1e-6)

# %% [markdown]
"""
The library's score is the same to rounding (of float32), but it never builds the matrices: it takes 64 queries at a time and of the scoring layer only norm, queries and keys.
At 8,272 tokens that adds 247 MiB, where the matrices of one layer alone would take 2,088 (`benchmarks/speed/RESULTS.md`).

**Predict**: the page has four words and much empty paper. Where are the scores high, and which half stays?
"""

# %%
from modeling_minimonkey.inspection.visualization import plot_compression

course.show(
    plot_compression(model, processor, page, "Read the text.", queries="all", layer=1),
    alt="Left a heat map of 12 by 8 cells over the page; not only the words are bright, empty paper is, too. Right the tokens that stay, many of them blank.",
    caption="The published rule. Each cell is one token of 28 x 28 px; dark ones on the right leave the prompt.",
)

# %%
gray = torch.tensor(np.asarray(page.convert("L"), float))
has_ink = gray.unfold(0, 28, 28).unfold(1, 28, 28).std(dim=(2, 3)) > 10  # the paper's noise is about 5 gray levels
ink = has_ink.unfold(0, 4, 4).unfold(1, 4, 4).reshape(-1).numpy()  # in the order of the prompt: tile, row, column


def stay_on(ink, **rule):
    """Shares of the tokens with ink and of those without that stay."""
    kept = kept_detailed_tokens(model, inputs, 0.5, **rule).ravel()
    return kept[ink].mean(), kept[~ink].mean()


with_ink, blank = stay_on(ink, queries="all", layer=1)
print(
    f"published rule: {with_ink:.0%} of the {ink.sum()} tokens with ink stay, {blank:.0%} of the {(~ink).sum()} blank ones"
)

# %% [markdown]
r"""
Most tokens with ink stay, and still the rule spends most of its half on paper, where nothing is to read. Why?

## Why it fails here: who asks?

The sum over $Q$ counts every query alike, and $Q$ is mostly not the question. It splits into the adaptive and global image tokens and the text:

$$s_j = \frac{|Q_\text{image}|}{|Q|}\, s_j^\text{image} + \frac{|Q_\text{text}|}{|Q|}\, s_j^\text{text}$$

**Predict**: what share of the queries are image tokens?
"""

# %%
of_image = attention[:, after & is_image][:, :, is_detailed].mean(dim=(0, 1))
of_text = attention[:, after & ~is_image][:, :, is_detailed].mean(dim=(0, 1))
share = float(is_image[after].float().mean())
print(f"{share:.0%} of the {after.sum()} queries are image tokens")
assert share > 0.5
torch.testing.assert_close(share * of_image + (1 - share) * of_text, by_hand)
question = detailed_scores(model, inputs, queries="question", layer=1)
np.testing.assert_allclose(question.ravel(), of_text, rtol=1e-4, atol=1e-6)

# %%
from modeling_minimonkey.inspection.visualization import draw_scores

maps = {"of image tokens alone": of_image, "published: of all": by_hand, "of the question alone": of_text}
course.show(
    course.plot_maps(page, (3, 2), {name: each.numpy().reshape(6, 16) for name, each in maps.items()}, draw_scores),
    alt="Three heat maps over the page. The one of the image tokens and the published one look alike; that of the question is brightest on words.",
    caption="Layer 1, the same attention matrices, each map scaled to its own maximum.",
)
similar = np.corrcoef([by_hand, of_image, of_text])[0, 1:]
print(
    f"correlation of the published score with that of the image tokens {similar[0]:.2f}, of the question {similar[1]:.2f}"
)
assert similar[0] > similar[1]

# %% [markdown]
"""
The published score is mostly that of the image tokens. They are read before the question is: what they look at can't depend on it, whatever the user wants to know.

`scale_compression_config.queries` chooses who asks: `"all"` as published, `"question"` only the text after the image. `layer` chooses where: a later layer
has seen more and costs more, since all layers before it run once more. The benchmark has read 200 pages with every choice, with the checkpoint as it was before it was trained under compression
(`benchmarks/sawtooth/results/scoring-6m-pyramid.csv`).

**Predict**: which matters more, the layer or whose queries count? And what do renumbered positions cost?
"""

# %%
before = course.result("scoring-6m-pyramid")
course.show(
    course.plot_layers(before),
    alt="Words read by scoring layer in two panels, for kept and renumbered positions. All queries at layer 1 are far below everything else; renumbering lowers all points.",
    caption="Half of the detailed tokens, 200 pages, 95% intervals by bootstrap over the pages.",
)


def say(label, table, *way):
    value, low, high = course.words_read(table, *way)
    print(f"{label:38} {value:5.1f} % of the words [{low:.1f}, {high:.1f}], n = {table['page'].nunique()} pages")
    return value


full = say("all tokens", before, "all", 1, "keep", 1.0)
worst = say("published: all, layer 1, renumbered", before, "all", 1, "repack", 0.5)
kept_places = say("all, layer 1, positions kept", before, "all", 1, "keep", 0.5)
asked = say("question, layer 1, positions kept", before, "question", 1, "keep", 0.5)
best = say("question, layer 2, positions kept", before, "question", 2, "keep", 0.5)
assert worst < kept_places < asked < best < full

# %% [markdown]
"""
Two things are mended without any training. Layer 1 is the one where it matters who asks: there the question alone reads far more. In the
other layers of this model the difference is within the intervals; the published model has 24 layers and was never measured here.

The second is **renumbering**. When tokens leave, the rest can keep their old position numbers, with gaps (`positions="keep"`), or be numbered anew without
(`"repack"`, as published). A token's place on the page is in its number: the one below it on the page is 4 later in its tile. Renumbering moves nearly all of them.
"""

# %%
from modeling_minimonkey.scale_compression import compressed_position_ids

positions = torch.arange(length)[None]
stays = model.model.select_tokens(**inputs, keep_ratio=0.5).kept
moved = positions - compressed_position_ids(positions, ~stays, "repack")
moved_image = moved[0, stays[0] & is_image]
print(
    f"{(moved_image > 0).sum()} of the {moved_image.numel()} image tokens that stay get another number, up to {moved.max()} smaller"
)
assert torch.equal(compressed_position_ids(positions, ~stays, "keep"), positions) and moved.max() == 48

# %% [markdown]
"""
## What stays now

The small checkpoint is set to `queries="question"`, `layer=2`, `positions="keep"`. `plot_compression` draws the rule that the model has, unless told
otherwise.

**Predict**: at 0.5, is a part of a word lost?
"""

# %%
settings = model.config.scale_compression_config
print(
    f"queries {settings.queries!r}, layer {settings.layer}, positions {settings.positions!r}, keep_ratio {settings.keep_ratio}"
)
course.show(
    plot_compression(model, processor, page, "Read the text."),
    alt="The heat map is bright on the words and dark on the paper; the tokens that stay cover both lines, and most of the lower half of the page is dropped.",
    caption="The same page by the rule of the checkpoint. The adaptive and the global view, not shown, stay whole.",
)
now_ink, now_blank = stay_on(ink)
print(
    f"now {now_ink:.0%} of the tokens with ink stay, {now_blank:.0%} of the blank ones; published {with_ink:.0%} and {blank:.0%}"
)
assert now_ink > 0.9 and now_ink >= with_ink and now_blank <= blank

# %% [markdown]
"""
## What steers

The hope behind SCM is more than to find text: the tokens that *the question* needs should stay. So here are pages of two words, asked for the
upper or for the lower one. By the published rule, and before the checkpoint was trained for it, the benchmark found this
(`benchmarks/sawtooth/results/steering-6m-pyramid.csv`, `keep_ratio` 0.25):
"""

# %%
from benchmarks.sawtooth.report.statistics import bootstrap, mean


def say_steered(label, asked_for, other, pages):
    """Shares of the tokens on both words that stay, in %, and their difference with its interval over the pages."""
    asked_for, other = 100 * np.array(asked_for), 100 * np.array(other)
    value, low, high = bootstrap(pages, mean(asked_for - other))
    shares = f"asked for {asked_for.mean():.1f} %, other {other.mean():.1f} %"
    print(f"{label:10} {shares}, difference {value:+.1f} [{low:+.1f}, {high:+.1f}], n = {len(other)} questions")
    return value, low, high


found = course.result("steering-6m-pyramid")
found = found[(found["kind"] == "pair") & (found["queries"] == "all") & (found["keep_ratio"] == 0.25)]
_, low, high = say_steered("published", found["kept_asked"], found["kept_other"], found["page"])
assert low < 0 < high

# %% [markdown]
"""
Nothing: it keeps as much of the word that nobody asked for. And the checkpoint as it is now, with its own rule?

**Predict**: where are the scores high for the one question, where for the other?
"""

# %%
from benchmarks.sawtooth.cutting import tokens_on
from benchmarks.sawtooth.measurements.reading import Reader, make_inputs
from benchmarks.sawtooth.measurements.steering import make_page, questions

reader = Reader(model, processor)


def two_questions(index):
    """A page of two words, its view by the detailed grid, and each question with its inputs."""
    two, views = make_page("pair", index, reader)
    return (
        two,
        views[0],
        {each: make_inputs(processor, [two.image], [views], each.text) for each in questions("pair", two)},
    )


two, view, both = two_questions(0)
grid = processor.image_processor.get_pyramid_plan(two.image.height, two.image.width).detailed
course.show(
    course.plot_maps(two.image, grid, {each.text: detailed_scores(model, both[each]) for each in both}, draw_scores),
    alt="Two heat maps over the same page of two words, one for each question; bright are letters.",
    caption="The scores of the checkpoint's rule, each map scaled to its own maximum.",
)

# %%
from modeling_minimonkey.inspection.visualization import draw_kept

kept = {each.text: kept_detailed_tokens(model, both[each], 0.15) for each in both}
course.show(
    course.plot_maps(two.image, grid, kept, draw_kept),
    alt="The same page twice, most of it dark; a few tokens on the words stay.",
    caption="What stays of 15 % of the detailed tokens.",
)

# %% [markdown]
"""
One page shows an idea, not a rule. Over more pages, as shares, and beside it a third way: the attention of the prompt's last token alone.

**Predict**: which letters of "Read the upper word." can know what is asked? The model is causal: a token sees only what stands before it.
"""

# %%
number = 40 if course.FAST else 100
more, stay, pages = [], {"published": [], "question": [], "last token": []}, np.repeat(np.arange(number), 2)
for index in range(number):
    page_of_words, view, both_inputs = two_questions(index)
    for each, given in both_inputs.items():
        target, other = (tokens_on(view, page_of_words.image.size, box) for box in (each.box, each.other_box))
        attention, is_detailed, is_image = look_inside(given, layer=2)
        begins = int(is_image.nonzero().max()) + 1
        seen = attention.mean(dim=0)[begins:, is_detailed].numpy()  # (tokens after the image, detailed tokens)
        more.append(100 * (seen[:, target].sum(1) - seen[:, other].sum(1)))
        best_of_last = np.argsort(-seen[-1], kind="stable")[: kept_count(len(target), 0.25)]
        chosen = {"published": kept_detailed_tokens(model, given, 0.25, queries="all", layer=1).ravel()}
        chosen["question"] = kept_detailed_tokens(model, given, 0.25).ravel()
        chosen["last token"] = np.isin(np.arange(len(target)), best_of_last)
        for rule, tokens in chosen.items():
            stay[rule].append((tokens[target].mean(), tokens[other].mean()))
more, after_image = np.array(more), given["input_ids"][0, begins:].tolist()
steered = {rule: say_steered(rule, *np.array(shares).T, pages) for rule, shares in stay.items()}
assert steered["question"][1] > 0 and steered["last token"][1] > 0

# %%
names = [processor.decode([token]).replace(" ", "·").replace("\n", "↵") for token in after_image]
course.show(
    course.plot_askers([name if len(name) == 1 else "*" for name in names], more),
    alt="A bar per token of the question. They are zero up to the word that says which, small until the question ends, and high from there to the end of the prompt.",
    caption=f"Layer 2, {2 * number} questions about {number} pages; lines are 95% intervals. A star is a token of the prompt's format, ↵ a line break.",
)
says_which = "".join(name if len(name) == 1 else "*" for name in names).index("lower")
print(
    f"before the word that says which: {more[:, :says_which].mean():+.2f} points a token, from there on {more[:, says_which:].mean():+.2f}"
)
print(f"the last token, after which the answer begins: {more[:, -1].mean():+.1f}")
assert abs(more[:, :says_which].mean(0)).max() < 1e-3 < 1 < more[:, -1].mean()

# %% [markdown]
r"""
"Read the" is read before anything is asked, and can't steer: over both questions its bars cancel to zero, but they count in the mean all the same. What steers is the end of the prompt, which has read
the whole question. In a model that only learned to answer, that was the very last token, which has to write next (`benchmarks/LOG.md`); one query among dozens is lost in their mean. Dropping tokens has no
gradient, so answers alone don't teach a model to choose them.

It can be taught. The last stage of this checkpoint added a loss that needs no labels of places: where the answer's tokens look ($a_j$, as shares of the detailed tokens, taken as given), the
tokens of question and prompt's end should look in the scoring layer, too ($q_j$):

$$L = -\sum_j a_j \log q_j$$

(`benchmarks/sawtooth/readers/steering.py`.)

## A model must see the gaps

A prompt with holes is a prompt that the model had never seen: even a choice that keeps all text costs it words. So the checkpoint went on learning
with a random `keep_ratio` from 0.2 to 0.9, and with all tokens in a quarter of the steps (`benchmarks/sawtooth/readers/recipe.py`; `examples/finetune.py` does it to yours).

**Predict**: how much of what it reads with all tokens does it read with half of them, before and after?
"""

# %%
after_training = course.result("scoring-6m-compressed")
tables = {
    "before, published rule (all, layer 1, repack)": (before, "all", 1, "repack"),
    "before, question, layer 2, keep": (before, "question", 2, "keep"),
    "after, question, layer 2, keep": (after_training, "question", 2, "keep"),
}
course.show(
    course.plot_training(tables),
    alt="Words read against the keep ratio in three lines: the published rule falls steeply; the question's falls less, and least after training.",
    caption="200 held-out pages, 95% intervals by bootstrap over the pages; 100% is what the same model reads with all tokens.",
)

# %%
for label, (table, *way) in tables.items():
    for ratio in (0.5, 0.25):
        value, low, high = course.words_read(table, *way, ratio, of_those_of_all_tokens=True)
        print(f"{label:45} {ratio:4g}: {value:5.1f} % of the words of all tokens [{low:.1f}, {high:.1f}]")
full_before, full_after = (course.words_read(table, "all", 1, "keep", 1.0) for table in (before, after_training))
print(f"all tokens: {full_before[0]:.1f} % of all words before, {full_after[0]:.1f} % after")

# %% [markdown]
"""
## When nobody has asked yet

A serving engine keeps the cache of an image and reuses it for the next question. A score of the question forbids that: another question keeps other tokens. `queries="none"` takes
the length of each token's feature, which the vision tower and projector give before the language model runs: no layer, no question, the same tokens for every question.

**Predict**: what does that cost?
"""

# %%
for rule in ("question", "none"):
    first, second = (detailed_scores(model, given, queries=rule) for given in both.values())
    print(f"{rule:8} two questions, the same scores: {np.array_equal(first, second)}")
    assert np.array_equal(first, second) == (rule == "none")
for label, table in (("before", before), ("after", after_training)):
    for ratio in (0.5, 0.25):
        say(f"{label}, none, {ratio:g}, positions kept", table, "none", 0, "keep", ratio)
        say(f"{label}, question, layer 2, {ratio:g}, kept", table, "question", 2, "keep", ratio)
course.show(
    plot_compression(model, processor, page, "Read the text.", queries="none"),
    alt="The heat map of feature lengths over the page: the words are bright; the tokens that stay cover both lines.",
    caption='`queries="none"`: the length of the feature. A token on ink has a longer one than a blank.',
)

# %% [markdown]
"""
On these pages, where everything that isn't paper is text, it is about as good. It can't be where most of an image shows something, and little of it is asked for.

## From 1 to 0.1

**Predict**: at which `keep_ratio` does the answer break? How much smaller is the cache at 0.5, half?
"""

# %%
per_token = 2 * 4 * 4 * 64 * 4  # keys and values, layers, heads, head size, bytes of float32


def answer(keep_ratio):
    """The answer, and how many tokens the cache holds right after the prompt."""
    options = {"do_sample": False, "keep_ratio": keep_ratio, "return_dict_in_generate": True}
    cache = model.generate(**inputs, max_new_tokens=1, **options).past_key_values
    ids = model.generate(**inputs, max_new_tokens=40, **options).sequences[0, length:]
    nbytes = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    return processor.decode(ids, skip_special_tokens=True), cache.get_seq_length(), nbytes


print("keep_ratio  prompt  cache, kB  answer")
for ratio in (1.0, 0.75, 0.5, 0.25, 0.1):
    text, cached, nbytes = answer(ratio)
    prompt = length - detailed + int(detailed * ratio)
    print(f"{ratio:10g}  {prompt:6}  {nbytes / 1000:9.0f}  {text!r}")
    assert cached == prompt and nbytes == cached * per_token
    assert text == "fresh bread\nopen sunday" or ratio < 0.5

# %% [markdown]
"""
At 0.5 nothing is lost on this page, the prompt is 21 % shorter and the cache as much, since the other views stay. This page was picked for the demo; the 200 pages above are less kind. `keep_ratio` is 1 unless you set it.

## One mechanism, two ways to run it

In `generate` the dropped tokens leave the prompt, so that every layer's cache is shorter. In `forward`, where lengths must stay for the
labels of a training batch, they are masked: nothing attends to them.

**Predict**: are the logits of the next token the same?
"""

# %%
for way in ("keep", "repack"):
    settings.positions = way
    with torch.no_grad():
        masked = model(**inputs, keep_ratio=0.5, logits_to_keep=1).logits[0, -1]
    dropped = model.generate(
        **inputs, keep_ratio=0.5, max_new_tokens=1, return_dict_in_generate=True, output_logits=True
    ).logits[0][0]
    print(
        f"{way:6} largest difference {float((masked - dropped).abs().max()):.0e}, next token {processor.decode([int(masked.argmax())])!r}"
    )
    torch.testing.assert_close(masked, dropped, atol=1e-3, rtol=0)
settings.positions = "keep"

# %% [markdown]
"""
The same to rounding (tolerance 1e-3). So a model can be trained with compression on exactly what it sees in use, as this one was.

## Common errors
"""

# %%
with course.expected(ValueError):
    model.generate(**inputs, max_new_tokens=1, keep_ratio=0)  # none of the detailed tokens: leave the grid out instead

# %%
with course.expected(ValueError):
    without_levels = {name: inputs[name] for name in ("input_ids", "attention_mask", "pixel_values")}
    model.generate(**without_levels, max_new_tokens=1, keep_ratio=0.5)  # which tokens are detailed?

# %%
with course.expected(ValueError):
    plot_compression(model, processor, page.crop((0, 0, 100, 100)), "Read the text.")  # one tile, the global one

# %% [markdown]
"""
## Exercises

### Exercise 1

Mini-Monkey 2B has 256 tokens per tile and 96 KiB of cache per token in bfloat16. A page takes 24 detailed, 8 adaptive and 1 global tile and 80 tokens
of text. How many tokens and how many GiB of cache does `keep_ratio=0.5` save? Compare with `docs/checkpoints.md`.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
whole = 80 + 256 * (24 + 8 + 1)
saved = 256 * 24 // 2
print(f"{whole} tokens without, {whole - saved} with SCM; {saved * 96 / 1024**2:.2f} GiB less cache")
assert (whole, whole - saved) == (8528, 5456) and round(whole * 96 / 1024**2, 2) == 0.78

# %% [markdown]
"""
### Exercise 2

Choose the tokens of the page by the length of their features with `select_tokens`, compare them with what `queries="none"` keeps, and count how many of the 48 the question had chosen, too.
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
from modeling_minimonkey.scale_compression import select_tokens

_, is_detailed, is_image = look_inside(inputs, layer=1)
features = model.get_image_features(inputs["pixel_values"], return_dict=True).pooler_output.detach()
lengths = torch.zeros(length).masked_scatter(is_image, features.norm(dim=-1))
by_length = select_tokens(lengths, is_detailed.long(), 0.5)[is_detailed].numpy()
by_question = kept_detailed_tokens(model, inputs, 0.5).ravel()
print(f"{(by_length & by_question).sum()} of 48; tokens with ink that stay: {(by_length & ink).sum()} of {ink.sum()}")
assert (by_length == kept_detailed_tokens(model, inputs, 0.5, queries="none").ravel()).all()
assert by_length.sum() == 48 and (by_length & by_question).sum() > 24

# %% [markdown]
"""
### Exercise 3

Two images in one prompt: does each lose half of its own tokens, or both together half of all?
"""

# %% tags=["solution"] jupyter={"source_hidden": true}
from modeling_minimonkey.scale_compression import detailed_images

content = [
    {"type": "image", "image": page},
    {"type": "image", "image": page.resize((224, 224))},
    {"type": "text", "text": "Read."},
]
two_images = processor.prepare_chat([{"role": "user", "content": content}])
is_image = two_images["input_ids"] == processor.image_token_id
images = detailed_images(is_image, two_images["tile_levels"], model.config.image_seq_length)
stays = model.model.select_tokens(**two_images, keep_ratio=0.5).kept
counts = [(int((images == image).sum()), int((stays & (images == image)).sum())) for image in (1, 2)]
print("detailed tokens and how many stay:", counts)
assert all(after == before // 2 for before, after in counts) and counts[0] != counts[1]

# %% [markdown]
"""
## Conclusion

Which half can go? Of a prompt, only detailed tokens, since the other views show the same once more; of those, the ones that the question attends to
least, in a layer that has understood it. The published rule lets image tokens decide, in a layer where that misleads, and renumbers what stays; on this small reader both cost words, and both are settings of the configuration.
What steers is the end of the prompt; what finds text is nearly any good score, even the length of a feature. And a model that has learned with gaps loses least. Measure it on your own pages before you turn it on.

Read next: [06 The published weights](06_published_weights.ipynb); [11 Speed, memory, serving](11_speed_memory_serving.ipynb) has what it saves; `benchmarks/LOG.md` has the failures.

Cite: Huang et al., *Mini-Monkey*, ICLR 2025, arXiv 2408.02034.

[04 The model](04_model.ipynb) · [all notebooks](README.md) · [06 The published weights](06_published_weights.ipynb)
"""
