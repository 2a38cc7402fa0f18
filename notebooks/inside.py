"""A look into the small model, for 05: where it attends, and what of two words on a page stays."""

import json

import numpy as np
import pandas
import torch

from benchmarks.sawtooth.cutting import tokens_on
from benchmarks.sawtooth.measurements.reading import make_inputs
from benchmarks.sawtooth.measurements.scoring import scoring
from benchmarks.sawtooth.measurements.steering import make_page, questions
from benchmarks.sawtooth.readers.rendering import word_boxes
from benchmarks.sawtooth.report.statistics import bootstrap, difference, mean
from course import CHECKPOINT, ROOT, cell, result
from modeling_minimonkey.inspection.visualization import (
    detailed_scores,
    kept_detailed_tokens,
)
from modeling_minimonkey.scale_compression import (
    DETAILED_LEVEL,
    compressed_position_ids,
    kept_count,
)


_SHARES = [
    "stays on the word asked for, %",
    "on the other, %",
    "difference, points",
]
HEADERS = ["who scores", *_SHARES, "questions"]
STORED = [
    "stays on the one asked for, %",
    "on the other, %",
    "exact answers, %",
    "minus published rule",
    "minus all queries",
]
RATIOS = (0.5, 0.25, 0.15, 0.1)
OF_STAGES = ["model", "pages", "own rule, points", "last token alone, points"]
STAGES = (  # copied from `benchmarks/LOG.md`, 2026-11-26 and -27, on training under compression
    ("after 500 of the 900 steps", 40, "+1.3 [0.4, 2.3]", "+11.8 [8.3, 15.3]"),
    ("after 400 more, with the loss: *with gaps*", 60, "+8.9 [6.7, 11.2]", "+21.1"),
    ("after 1,200 more, with the loss", 100, "+18.3 [16.1, 20.7]", "–"),
    (
        "after 1,200 more, with the true place of the word",
        200,
        "+82.1 [79.3, 84.8]",
        "–",
    ),
    (
        "these weights and those before averaged: *after*",
        100,
        "+67.7 [63.0, 72.0]",
        "–",
    ),
)
ASKERS = {  # names in the benchmark's steering
    "published": "published rule",
    "all": "all queries, layer 2",
    "question": "own rule",
}
OTHERS = ("published", "all")
RULES = ("published rule", "own rule", "last token alone")
BETWEEN = {  # the published rule and the own one: half of the way, in either order
    "all queries, layer 2": {"queries": "all", "layer": 2},
    "question, layer 1": {"queries": "question", "layer": 1},
}


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


def scored_twice(model, prompts: dict) -> str:
    """
    Whether two questions about one page give its detailed tokens the same scores, with a question and without.

    Raises:
        ValueError: A question's scores don't depend on it, or those without a question do.
    """
    lines = []
    for queries in ("question", "none"):
        scores = [detailed_scores(model, x, queries=queries) for x in prompts.values()]
        same = np.array_equal(*scores)
        if same != (queries == "none"):
            raise ValueError(f"The scores by {queries!r} are the same: {same}.")
        lines.append(f"{queries:8} two questions, the same scores: {same}")
    return "\n".join(lines)


def kept_and_ink(model, inputs, share: float, ink, rules: dict) -> dict:
    """The detailed tokens that stay by each rule, by its name and how many with ink are among them."""
    maps = {}
    for name, rule in rules.items():
        kept = kept_detailed_tokens(model, inputs, share, **rule)
        maps[f"{name}: {kept.ravel()[ink].sum()} with ink"] = kept
    return maps


def ink_rows(model, inputs, ink, rules: dict) -> tuple[list, list]:
    """
    Head and rows: how many of the tokens with ink stay at each of `RATIOS`, by each rule of the configuration, and by
    one that knows where the ink is.
    """
    rows = []
    for name, rule in rules.items():
        kept = (kept_detailed_tokens(model, inputs, r, **rule).ravel() for r in RATIOS)
        rows.append([name, *(int((each & ink).sum()) for each in kept)])
    most = [min(kept_count(len(ink), each), int(ink.sum())) for each in RATIOS]
    rows.append(["a rule that knows the ink", *most])
    return ["tokens with ink that stay", *map(str, RATIOS)], rows


def corner_rows(model, processor, page) -> tuple[list, list]:
    """
    Head and rows of a table: what image tokens give two blank corners of the page in layer 1, with and without words.

    Args:
        page: Of 3 x 2 detailed tiles, with words in the upper three alone.
    """
    width, height = page.size
    boxes = {  # of the words that are erased
        "the page": (0, 0, 0, 0),
        "without the words of the first tile": (0, 0, width // 3, height // 2),
        "without the words of the others": (width // 3, 0, width, height // 2),
        "without any words": (0, 0, width, height // 2),
    }
    rows = []
    for label, box in boxes.items():
        blank, (left, top, right, bottom) = page.copy(), box
        paper = page.crop((left, top + height // 2, right, bottom + height // 2))
        blank.paste(paper, (left, top))
        content = [
            {"type": "image", "image": blank},
            {"type": "text", "text": "Read the text."},
        ]
        inputs = processor.prepare_chat([{"role": "user", "content": content}])
        attention, is_detailed, is_image = look(model, inputs, layer=1)
        after = torch.arange(len(is_image)) > is_detailed.nonzero().max()
        seen = attention[:, after & is_image][:, :, is_detailed].mean(dim=(0, 1))
        means = (100 * float(seen[some].mean()) for some in (slice(4), slice(-2, None)))
        rows.append([label, *(f"{mean:.2f}" for mean in means)])
    head = ["image tokens, layer 1: % of attention for a token", "upper left, 4 tokens"]
    return [*head, "lower right, 2 tokens"], rows


def neighbors_apart(kept, is_detailed, renumbered, side: int = 4) -> tuple:
    """
    The first tile in which two detailed tokens, one below the other, stay and one between them leaves.

    Args:
        kept: Whether each token stays, of the whole prompt.
        is_detailed: Whether it is a detailed one.
        renumbered: Its new position.
        side: Tokens along a tile.

    Returns:
        Old and new positions of the tile's tokens, None where one leaves, and which two they are, counted in it.
    """
    tiles = is_detailed.nonzero().ravel().reshape(-1, side * side)
    for tile in tiles.tolist():
        stays = [bool(kept[place]) for place in tile]
        old = [place if stay else None for place, stay in zip(tile, stays, strict=True)]
        new = [None if place is None else int(renumbered[place]) for place in old]
        for upper in range(side * side - side):
            span = stays[upper : upper + side + 1]
            if span[0] and span[-1] and not all(span):
                return old, new, (upper, upper + side)
    raise ValueError("No token between two others leaves.")


def _of_one_way(table, kind: str, queries: str, keep_ratio: float):
    """Readings of one kind of page by one rule, question by question."""
    chosen = (table["kind"] == kind) & (table["keep_ratio"] == keep_ratio)
    return table[chosen & (table["queries"] == queries)].sort_values(["page", "asked"])


def stored_row(table, kind: str, queries: str, keep_ratio: float) -> list:
    """A row below `STORED`, but for its label, from a result of the benchmark's steering (see `stored_rows`)."""

    found, gained = _of_one_way(table, kind, queries, keep_ratio), ["–", "–"]
    exact = 100 * found["exact"].to_numpy(float)
    if queries == "question":
        pages = found["page"].to_numpy()
        others = (_of_one_way(table, kind, other, keep_ratio) for other in OTHERS)
        more = (exact - 100 * other["exact"].to_numpy(float) for other in others)
        gained = [cell(bootstrap(pages, mean(each)), "+") for each in more]
    shares = [f"{100 * found[f'kept_{of}'].mean():.1f}" for of in ("asked", "other")]
    return [*shares, f"{exact.mean():.1f}", *gained]


def stored_rows(table, kind: str, title: str) -> tuple[list, list]:
    """
    Head and rows, in %: what of both words stays, the answers that are right, and of the question what it
    gains by the published rule and by all queries in its layer; at the end the model before, where it was asked.

    Args:
        table: A result of the benchmark's steering.
        kind: Of pages: "pair" or "keyed".
        title: Of the first column.
    """
    rows = [["all tokens", *stored_row(table, kind, "all", 1.0)]]
    for keep_ratio in (0.5, 0.25, 0.1):
        for queries, label in ASKERS.items():
            row = stored_row(table, kind, queries, keep_ratio)
            rows.append([f"{keep_ratio}: {label}", *row])
    before = result("steering-6m-pyramid")  # whose own rule was the published one
    if kind in set(before["kind"]):
        for share, label in ((1.0, "all tokens"), (0.25, "0.25: published rule")):
            label = f"before ({_of_one_way(before, kind, 'all', share).shape[0]} questions), {label}"
            rows.append([label, *stored_row(before, kind, "all", share)])
    return [title, *STORED], rows


def lost_on_receipts(table) -> str:
    """Answers right by the own rule minus those with all tokens, question by question, with intervals over pages."""
    every = _of_one_way(table, "keyed", "question", 1.0)
    lost = []
    for share in (0.5, 0.25):
        some = _of_one_way(table, "keyed", "question", share)
        less = 100 * (some["exact"].to_numpy(float) - every["exact"].to_numpy())
        lost.append(f"{share}: {cell(bootstrap(some['page'], mean(less)))}")
    return f"receipts, own rule minus all tokens, points: {', '.join(lost)}"


def _facts():
    """Answers of SmolLM2 about a line of text, by the rule that chose the tokens."""
    return pandas.read_csv(ROOT / "benchmarks" / "speed" / "asked_facts.csv")


def _by_rule(table, queries: str, layer: int, keep_ratio: float):
    """Those of `_facts` by one rule, in the order of their prompts."""
    rule = table[["queries", "layer", "keep_ratio"]] == (queries, layer, keep_ratio)
    return table[rule.all(axis=1)].set_index("prompt").sort_index()


def asked_facts() -> tuple[list, list]:
    """
    Head and rows of a table: right answers of SmolLM2, where lines of text stand in for an image, in %, with positions
    kept: by layer and whose queries count, and on the same prompts the question's minus those of all queries.
    """
    table = _facts()

    def right(*rule):
        return 100 * _by_rule(table, *rule)["keep"]

    def estimate(values, sign: str = "") -> str:
        return cell(bootstrap(values.index, mean(values)), sign)

    none = [estimate(right("none", 0, share)) for share in (0.5, 0.25)]
    rows = [
        ["all tokens", estimate(right("all", 0, 1.0)), *5 * ["–"]],
        ["no question", none[0], "–", "–", none[1], "–", "–"],
    ]
    for layer in sorted(set(table["layer"][table["queries"] == "question"])):
        row = [f"layer {layer}"]
        for share in (0.5, 0.25):
            every, asked = (right(who, layer, share) for who in ("all", "question"))
            row += [estimate(every), estimate(asked), estimate(asked - every, "+")]
        rows.append(row)
    head = [f"right answers of {len(right('none', 0, 0.5))} prompts, %"]
    for share in (0.5, 0.25):
        head += [f"{share}: all queries", "question", "question minus all"]
    return head, rows


def renumbered_facts() -> tuple[list, list]:
    """
    Head and rows of a table like that of `asked_facts`: right answers with new positions minus those with kept ones,
    on the same prompts, by the rules that were measured with both.
    """
    table = _facts()
    table = table[table["repack"] >= 0]  # -1: not measured

    def estimate(*rule) -> str:
        some = _by_rule(table, *rule)
        more = 100 * (some["repack"] - some["keep"])
        return cell(bootstrap(some.index, mean(more)), "+")

    none = [estimate("none", 0, share) for share in (0.5, 0.25)]
    rows = [["no question", none[0], "–", none[1], "–"]]
    for layer in sorted(set(table["layer"][table["queries"] == "question"])):
        found = (
            estimate(who, layer, share)
            for share in (0.5, 0.25)
            for who in ("all", "question")
        )
        rows.append([f"layer {layer}", *found])
    head = ["renumbered minus kept, points"]
    for share in (0.5, 0.25):
        head += [f"{share}: all queries", "question"]
    return head, rows


def kept_by(model, given, seen) -> dict:
    """Which detailed tokens stay at 0.25 by each rule; `seen` is the attention, by token after the image."""
    tokens = len(seen[-1])
    best_of_last = np.argsort(-seen[-1], kind="stable")[: kept_count(tokens, 0.25)]
    published = kept_detailed_tokens(model, given, 0.25, queries="all", layer=1).ravel()
    own = kept_detailed_tokens(model, given, 0.25).ravel()
    kept = (published, own, np.isin(np.arange(tokens), best_of_last))
    return dict(zip(RULES, kept, strict=True))


def answer(model, processor, inputs, keep_ratio: float) -> tuple:
    """What the model answers; how many tokens and bytes the cache holds right after the prompt."""
    options = {"keep_ratio": keep_ratio, "return_dict_in_generate": True}
    cache = model.generate(**inputs, max_new_tokens=1, **options).past_key_values
    ids = model.generate(**inputs, max_new_tokens=40, **options).sequences[0]
    nbytes = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    begins = inputs["input_ids"].shape[1]
    said = processor.decode(ids[begins:], skip_special_tokens=True)
    return said, cache.get_seq_length(), nbytes


def over_pages(reader, number: int):
    """
    What the questions of so many pages of two words attend to in layer 2, and what of both words stays at 0.25.

    Returns:
        Rows below `HEADERS`, one per rule; how much more each token after the image attends to the word asked for,
        (questions, tokens), in % of its attention; both questions' ids of these tokens.
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
    return rows, np.array(more), ids[:2]


def beside_numbers(reader, stored) -> tuple[list, list]:
    """
    Head and rows: what of a receipt's number stays at 0.25, and of the word beside it that says which number is meant.

    Args:
        reader: The model and its processor.
        stored: The benchmark's steering by the same model, which has the answers.

    Returns:
        Rows of what questions these are, how many, and both shares in %; the last row has the difference of the
        questions that are still right minus those that no longer are.
    """
    table = stored[(stored["kind"] == "keyed") & (stored["queries"] == "question")]
    exact = table.pivot(
        index=["page", "asked"], columns="keep_ratio", values="exact"
    ).astype(bool)
    shares = []
    for page, asked in exact.index:
        receipt, views = make_page("keyed", page, reader)
        question = questions("keyed", receipt)[asked].text
        given = make_inputs(reader.processor, [receipt.image], [views], question)
        kept = kept_detailed_tokens(reader.model, given, 0.25).ravel()
        boxes = [box for _, box in word_boxes(receipt)]  # word, number, word, number
        pair = boxes[2 * asked : 2 * asked + 2]
        on = [tokens_on(views[0], receipt.image.size, box) for box in pair]
        shares.append([100 * kept[tokens].mean() for tokens in on])
    word, value = np.array(shares).T
    still, lost = ((exact[1.0] & (exact[0.25] == right)).values for right in (1, 0))
    groups = {
        "all questions": np.ones(len(exact), bool),
        "right with all tokens, still right": still,
        "right with all tokens, now wrong": lost,
    }
    rows = [
        [label, some.sum(), f"{value[some].mean():.1f}", f"{word[some].mean():.1f}"]
        for label, some in groups.items()
    ]
    pages = exact.index.get_level_values("page")
    apart = [bootstrap(pages, difference(each, still, lost)) for each in (value, word)]
    rows.append(["still right minus now wrong", "–", *(cell(e, "+") for e in apart)])
    head = [
        "receipts, 0.25",
        "questions",
        "of the number, %",
        "of the word beside it, %",
    ]
    return head, rows


def split_scores(attention, after, is_detailed, is_image) -> tuple:
    """
    The published score by who asks.

    Args:
        attention: Of the layer that scores, (heads, queries, tokens).
        after: Which tokens ask: those after the detailed ones.
        is_detailed, is_image: Which tokens are.

    Returns:
        Maps of scores, (tiles, tokens per tile), from a title: of image tokens, of all, of text; which share of the
        queries are image tokens; which share of the scores is theirs.
    """

    def scores(queries):
        return attention[:, queries][:, :, is_detailed].mean(dim=(0, 1))

    share = float(is_image[after].float().mean())
    of_image, of_text = scores(after & is_image), scores(after & ~is_image)
    both = scores(after)
    # The formula
    torch.testing.assert_close(share * of_image + (1 - share) * of_text, both)
    titles = ("image tokens alone", "all (published)", "text alone")
    maps = {
        title: each.numpy().reshape(-1, 16)
        for title, each in zip(titles, (of_image, both, of_text), strict=True)
    }
    return maps, share, float(share * of_image.sum() / both.sum())


@torch.no_grad()
def masked_and_dropped(model, processor, inputs, positions: str) -> tuple:
    """
    The next token's logits from `forward`, which masks tokens, and from `generate`, which drops them.

    Args:
        positions: "keep" or "repack".

    Returns:
        The largest difference, and the token.
    """
    options = {"return_dict_in_generate": True, "output_logits": True}
    with scoring(model, positions=positions):  # only in this block
        masked = model(**inputs, keep_ratio=0.5, logits_to_keep=1).logits[0, -1]
        dropped = model.generate(
            **inputs, keep_ratio=0.5, max_new_tokens=1, **options
        ).logits[0][0]
    said = processor.decode([int(masked.argmax())])
    return float((masked - dropped).abs().max()), said


def renumbered_tile(model, inputs, is_detailed, is_image, keep_ratio: float) -> tuple:
    """
    What renumbering changes: how many image tokens that stay get another number, and how many stay; then the old and
    new positions of a tile, and two of its tokens, as in `neighbors_apart`.
    """
    positions = torch.arange(inputs["input_ids"].shape[1])[None]
    stays = model.model.select_tokens(**inputs, keep_ratio=keep_ratio).kept
    renumbered = compressed_position_ids(positions, ~stays, "repack")
    moved = (positions - renumbered)[0, stays[0] & is_image]
    tile = neighbors_apart(stays[0], is_detailed, renumbered[0])
    return int((moved > 0).sum()), len(moved), *tile


def before_and_after_it(more, names: list[str]) -> str:
    """What the letter that says which word is asked for divides: means of `more` before it and behind it."""
    means, says_which, stop = more.mean(0), names.index("u\nl"), names.index(".")
    # A causal model can't know it yet
    assert abs(means[:says_which]).max() < 1e-3
    return (
        "attention to the word asked for, minus the other, in points:\n"
        f'letters of "Read the" {means[:says_which].mean():+.1f}, from u or l to the d of '
        f'"word" {means[says_which:stop].max():+.1f} at most,\nthe full stop {means[stop]:+.1f}, '
        f"the tokens behind it {means[stop + 1 :].mean():+.1f} in the mean, the last one {means[-1]:+.1f}"
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


def scores_and_kept(model, both: dict, keep_ratio: float) -> dict:
    """Maps of scores and of what stays by the checkpoint's own rule, from a title, for each of two questions."""
    maps = {}
    for question, given in both.items():
        which = question.text.removeprefix("Read the ").removesuffix(".")
        maps[f"scores: {which}"] = detailed_scores(model, given)
        maps[f"stays: {which}"] = kept_detailed_tokens(model, given, keep_ratio)
    return maps


def read_by_kind() -> str:
    """What the small checkpoint reads with all tokens, by kind of page, as stored."""
    stored = json.loads((CHECKPOINT / "evaluation.json").read_text())
    table = result("scoring-6m-drawn")
    whole = table[table["keep_ratio"] == 1]
    read = whole["words_read"].sum() / whole["words"].sum()
    kinds = {"lines (00)": "page", "lines, receipts, tables, signs": "document"}
    found = [
        f"{stored[f'{kind}: pyramid']['n']} pages of {name} {stored[f'{kind}: pyramid']['words_read']:.1%}"
        for name, kind in kinds.items()
    ]
    return f"words read with all tokens: {', '.join(found)}; the {len(whole)} pages below {read:.1%}"
