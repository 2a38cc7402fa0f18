"""A look into the small model, for 05: where it attends, and what of two words on a page stays."""

import numpy as np
import torch

from benchmarks.sawtooth.cutting import tokens_on
from benchmarks.sawtooth.measurements.reading import make_inputs
from benchmarks.sawtooth.measurements.steering import make_page, questions
from benchmarks.sawtooth.report.statistics import bootstrap, mean
from modeling_minimonkey.inspection.visualization import kept_detailed_tokens
from modeling_minimonkey.scale_compression import DETAILED_LEVEL, kept_count


HEADERS = [
    "tokens that stay, %",
    "word asked for",
    "other word",
    "difference",
    "questions",
]
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
    value, low, high = bootstrap(pages, mean(asked_for - other))
    difference = f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"
    shares = [f"{asked_for.mean():.1f}", f"{other.mean():.1f}"]
    return [label, *shares, difference, len(other)]


def kept_by(model, given, seen) -> dict:
    """Which detailed tokens stay at 0.25 by each rule; `seen` is the attention, by token after the image."""
    tokens = len(seen[-1])
    best_of_last = np.argsort(-seen[-1], kind="stable")[: kept_count(tokens, 0.25)]
    published = kept_detailed_tokens(model, given, 0.25, queries="all", layer=1).ravel()
    own = kept_detailed_tokens(model, given, 0.25).ravel()
    kept = (published, own, np.isin(np.arange(tokens), best_of_last))
    return dict(zip(RULES, kept, strict=True))


def over_pages(reader, number: int):
    """
    What the questions of so many pages of two words attend to in layer 2, and what of both words stays.

    Returns:
        Rows below `HEADERS`, one per rule; how much more each token after the image attends to the word asked for,
        (questions, tokens), in % of its attention; the ids of these tokens.
    """
    more, shares = [], {rule: [] for rule in RULES}
    for index in range(number):
        two, view, both = two_questions(reader, index)
        for each, given in both.items():
            boxes = (each.box, each.other_box)
            on_word, on_other = (tokens_on(view, two.image.size, box) for box in boxes)
            attention, is_detailed, is_image = look(reader.model, given, layer=2)
            begins = int(is_image.nonzero().max()) + 1
            seen = attention.mean(dim=0)[begins:, is_detailed].numpy()
            more.append(100 * (seen[:, on_word].sum(1) - seen[:, on_other].sum(1)))
            for rule, kept in kept_by(reader.model, given, seen).items():
                shares[rule].append((kept[on_word].mean(), kept[on_other].mean()))
    pages = np.repeat(np.arange(number), 2)
    rows = [row_of(rule, *np.array(each).T, pages) for rule, each in shares.items()]
    return rows, np.array(more), given["input_ids"][0, begins:].tolist()


def token_names(processor, ids: list[int]) -> list[str]:
    """A sign for each token: its character, a dot for a space, an arrow for a line break, a star for others."""
    names = [processor.decode([token]).replace(" ", "·") for token in ids]
    names = [name.replace("\n", "↵") for name in names]
    return [name if len(name) == 1 else "*" for name in names]
