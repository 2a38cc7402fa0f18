"""A look into the small model, for 05: where it attends, and what of two words on a page stays."""

import numpy as np
import torch

from benchmarks.sawtooth.cutting import tokens_on
from benchmarks.sawtooth.measurements.reading import make_inputs
from benchmarks.sawtooth.measurements.steering import make_page, questions
from benchmarks.sawtooth.report.statistics import bootstrap, mean
from course import cell
from modeling_minimonkey.inspection.visualization import kept_detailed_tokens
from modeling_minimonkey.scale_compression import DETAILED_LEVEL, kept_count


_SHARES = [
    "stays on the word asked for, %",
    "on the other, %",
    "difference, points",
]
HEADERS = ["who scores", *_SHARES, "questions"]
STORED = ["model, page, who scores", *_SHARES, "exact answers, %", "minus all queries"]
RATIOS = (0.5, 0.25, 0.15, 0.1)
OF_STAGES = ["model", "question, layer 2", "last token"]
STAGES = (  # copied from `benchmarks/LOG.md`, 2026-11-26 and -27, on training under compression
    ("after 500 steps with gaps", "+1.3 [0.4, 2.3]", "+11.8 [8.3, 15.3]"),
    ("after 400 more, with the loss", "+8.9", "+21.1"),
    ("after 1,200 more, with the loss", "+18.3 [16.1, 20.7]", "–"),
    ("after 1,200 more, shown where it stands", "+67.7 [63.0, 72.0]", "–"),
)
RULES = ("published rule", "checkpoint's own", "last token alone")


@torch.no_grad()
def look(model, inputs, layer: int):
    """A layer's attention, (heads, queries, tokens), and two masks of the tokens: detailed ones, image tokens."""
    is_image = inputs["input_ids"] == model.config.image_token_id
    features = model.get_image_features(inputs["pixel_values"], return_dict=True)
    embeds = model.get_input_embeddings()(inputs["input_ids"])
    embeds = embeds.masked_scatter(is_image[..., None], features.pooler_output)
    levels = inputs["tile_levels"].repeat_interleave(model.config.image_seq_length)
    is_detailed = torch.zeros_like(is_image[0])
    is_detailed[is_image[0]] = levels == DETAILED_LEVEL
    outputs = model.model.language_model(
        inputs_embeds=embeds, output_attentions=True, use_cache=False
    )
    return outputs.attentions[layer][0], is_detailed, is_image[0]


def two_questions(reader, index: int):
    """A page of two words, its detailed view, and each of its two questions with its inputs."""
    two, views = make_page("pair", index, reader)
    inputs = {
        each: make_inputs(reader.processor, [two.image], [views], each.text)
        for each in questions("pair", two)
    }
    return two, views[0], inputs


def row_of(label: str, asked_for, other, pages) -> list:
    """A row below `HEADERS`: shares of the tokens on both words that stay, in %, and their difference."""
    asked_for, other = 100 * np.array(asked_for), 100 * np.array(other)
    difference = cell(bootstrap(pages, mean(asked_for - other)), "+")
    shares = [f"{asked_for.mean():.1f}", f"{other.mean():.1f}"]
    return [label, *shares, difference, len(other)]


def ink_row(label: str, model, inputs, ink, **rule) -> list:
    """How many of the tokens with ink stay at each of `RATIOS`, by a rule of the configuration."""
    kept = [
        kept_detailed_tokens(model, inputs, each, **rule).ravel() for each in RATIOS
    ]
    return [label, *(int((each & ink).sum()) for each in kept)]


def perfect_row(ink) -> list:
    """The same, by a rule that knows where the ink is."""
    most = [min(kept_count(len(ink), each), int(ink.sum())) for each in RATIOS]
    return ["a rule that knows the ink", *most]


def neighbors_apart(kept, renumbered, side: int = 4) -> tuple:
    """
    The first two tokens, one below the other in its tile, that stay when one between them leaves.

    Args:
        kept: Whether each token stays, of the whole prompt.
        renumbered: Its new positions.

    Returns:
        Both old positions and both new ones.
    """
    for upper in range(len(kept) - side):
        span = kept[upper : upper + side + 1]
        if span[0] and span[-1] and not span.all():
            lower = upper + side
            return (upper, lower), (int(renumbered[upper]), int(renumbered[lower]))
    raise ValueError("No token between two others leaves.")


def stored_row(label: str, table, kind: str, queries: str, keep_ratio=0.25) -> list:
    """A row below `STORED` from a result of the benchmark's steering; `kind` of pages: "pair" or "keyed"."""

    def of(queries):
        chosen = (table["kind"] == kind) & (table["keep_ratio"] == keep_ratio)
        return table[chosen & (table["queries"] == queries)].sort_values(
            ["page", "asked"]
        )

    found, pages = of(queries), of(queries)["page"].to_numpy()
    exact = 100 * found["exact"].to_numpy(float)
    row = row_of(label, found["kept_asked"], found["kept_other"], pages)[:-1]
    gained = "–"
    if queries != "all":
        more = bootstrap(pages, mean(exact - 100 * of("all")["exact"].to_numpy(float)))
        gained = cell(more, "+")
    return [*row, f"{exact.mean():.1f}", gained]


def kept_by(model, given, seen) -> dict:
    """Which detailed tokens stay at 0.25 by each rule; `seen` is the attention, by token after the image."""
    tokens = len(seen[-1])
    best_of_last = np.argsort(-seen[-1], kind="stable")[: kept_count(tokens, 0.25)]
    published = kept_detailed_tokens(model, given, 0.25, queries="all", layer=1).ravel()
    own = kept_detailed_tokens(model, given, 0.25).ravel()
    kept = (published, own, np.isin(np.arange(tokens), best_of_last))
    return dict(zip(RULES, kept, strict=True))


def stored_rows(before, after) -> list:
    """Rows below `STORED` of both models, by kind of page and who scores."""
    cases = {
        "before, two words, published rule": (before, "pair", "all"),
        "before, two words, all tokens stay": (before, "pair", "all", 1.0),
        "after, two words, all queries, layer 2": (after, "pair", "all"),
        "after, two words, question, layer 2": (after, "pair", "question"),
        "after, two words, all tokens stay": (after, "pair", "all", 1.0),
        "after, receipts, all queries, layer 2": (after, "keyed", "all"),
        "after, receipts, question, layer 2": (after, "keyed", "question"),
        "after, receipts, all tokens stay": (after, "keyed", "all", 1.0),
    }
    return [stored_row(label, *case) for label, case in cases.items()]


def answer(model, processor, inputs, keep_ratio: float) -> tuple:
    """What the model answers; how many tokens and bytes the cache holds right after the prompt."""
    options = {"keep_ratio": keep_ratio, "return_dict_in_generate": True}
    cache = model.generate(**inputs, max_new_tokens=1, **options).past_key_values
    ids = model.generate(**inputs, max_new_tokens=40, **options).sequences[0]
    nbytes = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    begins = inputs["input_ids"].shape[1]
    said = processor.decode(ids[begins:], skip_special_tokens=True)
    return said, cache.get_seq_length(), nbytes


def of_question(names: list[str], text: str) -> list[bool]:
    """Which of the named tokens are those of the question's text; the others are the prompt's format."""
    begins = "".join(name[0] for name in names).index(text.replace(" ", "·"))
    return [0 <= place - begins < len(text) for place in range(len(names))]


def over_pages(reader, number: int):
    """
    What the questions of so many pages of two words attend to in layer 2, and what of both words stays at 0.25.

    Returns:
        Rows below `HEADERS`, one per rule; how much more each token after the image attends to the word asked for,
        (questions, tokens), in % of its attention; the number of the page of each question; both questions' ids of
        these tokens.
    """
    more, ids, shares = [], [], {rule: [] for rule in RULES}
    for index in range(number):
        two, view, both = two_questions(reader, index)
        for each, given in both.items():
            boxes = (each.box, each.other_box)
            on_word, on_other = (tokens_on(view, two.image.size, box) for box in boxes)
            attention, is_detailed, is_image = look(reader.model, given, layer=2)
            begins = int(is_image.nonzero().max()) + 1
            seen = attention.mean(dim=0)[begins:, is_detailed].numpy()
            more.append(100 * (seen[:, on_word].sum(1) - seen[:, on_other].sum(1)))
            ids.append(given["input_ids"][0, begins:].tolist())
            for rule, kept in kept_by(reader.model, given, seen).items():
                shares[rule].append((kept[on_word].mean(), kept[on_other].mean()))
    pages = np.repeat(np.arange(number), 2)
    rows = [row_of(rule, *np.array(each).T, pages) for rule, each in shares.items()]
    return rows, np.array(more), pages, ids[:2]


def by_token(more, pages) -> list:
    """Of each token the mean of `more`, (questions, tokens), with its interval over the pages."""
    return [bootstrap(pages, mean(token)) for token in more.T]


def before_and_after_it(more, says_which: int) -> str:
    """What the token that says which word is asked for divides: the mean of `more` before it and from there on."""
    before, since = more[:, :says_which].mean(), more[:, says_which:].mean()
    return (
        "attention to the word asked for, minus the other, in points a token:\n"
        f"before the word that says which {before:+.2f}, from there on {since:+.2f}, "
        f"the last token {more[:, -1].mean():+.1f}"
    )


def token_names(processor, ids: list[list[int]]) -> list[str]:
    """
    A sign for each token of two prompts: its character, a dot for a space, an arrow for a line break, a star for
    others; where the prompts differ, that of the one above that of the other.
    """

    def name(token: int) -> str:
        sign = processor.decode([token]).replace(" ", "·").replace("\n", "↵")
        return sign if len(sign) == 1 else "*"

    pairs = [(name(first), name(second)) for first, second in zip(*ids, strict=True)]
    return [one if one == other else f"{one}\n{other}" for one, other in pairs]
