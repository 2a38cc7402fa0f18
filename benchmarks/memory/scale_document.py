"""docs/scale.md, written from the counts: what a page takes, how fast that could be, and what breaks first."""

import json
from collections.abc import Callable

from benchmarks.memory.document import RESERVE
from benchmarks.memory.prefill import TEXT_AFTER, TEXT_BEFORE
from benchmarks.memory.run import RESULTS
from benchmarks.memory.scale import (
    ANSWER,
    BLOCK,
    CARDS,
    FAST,
    MEMORY_SHARE,
    MOST_PROMPTS,
    NAMES,
    PAGE_PYRAMIDS,
    PAGES,
    SLOW,
    Card,
    Case,
    Effort,
    find,
)
from benchmarks.memory.scale_engines import caches, division, machines, points, published_rule, settings
from benchmarks.tables import blocks, markdown_table


COMMAND = "python -m benchmarks.memory.scale"
SPEED_RESULTS = RESULTS.parents[1] / "speed" / "results.json"
LABELS = {"InternVL2-2B": "2B", "InternVL2-8B": "8B"}
MEMORIES = sorted({card.memory for card in CARDS})
GROUPS = ("detailed", "adaptive", "global")
KEYS = ["checkpoint", "tiles", "`keep_ratio`"]
TRILLION, MIB = 1e12, 2**20


def document(rows: list[Case]) -> str:
    """The text of docs/scale.md, of what `cases` returns."""
    parts = (_summary(rows), _counts(rows), _speeds(rows), _bottlenecks(rows))
    parts += (settings(), caches(), published_rule(), division(), machines(rows), _method())
    return "\n".join(line for part in parts for line in part).rstrip("\n") + "\n"


def cutting_seconds() -> float:
    """Measured: one thread of a server's CPU, from the bytes of a JPEG of 6 megapixels to 11 tiles."""
    return json.loads(SPEED_RESULTS.read_text("utf-8"))["preprocessing"]["seconds"]["image processor"]


def key(case: Case) -> list[str]:
    return [LABELS[case.name], str(case.pyramid.tiles), str(case.keep_ratio)]


def rates(case: Case, card: Card) -> tuple[float, float] | None:
    """Pages a second, with little and with much of what the card could do."""
    found = [case.seconds(card, effort) for effort in (SLOW, FAST)]
    return tuple(1 / seconds.total for seconds in found) if all(found) else None


def hours(values: tuple[float, float] | None) -> tuple[float, float] | None:
    """Those for all pages."""
    return values and tuple(PAGES / value / 3600 for value in values)


def span(values: tuple[float, float] | None, form: str) -> str:
    return "-" if values is None else " to ".join(format(value, form) for value in sorted(values))


def shares(case: Case, card: Card, effort: Effort) -> list[float]:
    """Of the time of a page: tower, prefill, answer."""
    seconds = case.seconds(card, effort)
    return [part / seconds.total for part in (seconds.tower, seconds.prefill, seconds.answer)]


def counts_table(rows: list[Case]) -> list[str]:
    head = [*KEYS, "prompt, tokens", "keys and values, MiB", "tower", "prefill", "answer"]
    head += [f"at once on {memory} GB" for memory in MEMORIES]
    lines = [
        [*key(case), f"{case.load.tokens:,}", f"{case.load.cached / MIB:,.0f}"]
        + [f"{part / TRILLION:.1f}" for part in (case.load.tower, case.load.prefill, case.load.answer)]
        + [case.prompts(memory) or "-" for memory in MEMORIES]
        for case in rows
    ]
    return markdown_table(head, lines, right=head[1:])


def cards_table(rows: list[Case], cell: Callable[[tuple[float, float] | None], str]) -> list[str]:
    """What `cell` says of the pages a second of each card."""
    head = [*KEYS, *(card.name for card in CARDS)]
    lines = [[*key(case), *(cell(rates(case, card)) for card in CARDS)] for case in rows]
    return markdown_table(head, lines, right=head[1:])


def bottlenecks_table(rows: list[Case]) -> list[str]:
    head = [*KEYS, *(card.name for card in CARDS), *(f"threads, {card.name}" for card in CARDS[2:])]
    lines = []
    for case in rows:
        parts = [" / ".join(f"{100 * share:.0f}" for share in shares(case, card, SLOW)) for card in CARDS]
        threads = [tuple(rate * cutting_seconds() for rate in rates(case, card)) for card in CARDS[2:]]
        lines.append([*key(case), *parts, *(span(each, ".2f") for each in threads)])
    return markdown_table(head, lines, right=head[1:])


def sources_table() -> list[str]:
    head = ["card", "memory, GB", "10^12 operations a second", "GB a second", "published in"]
    lines = [
        [card.name, card.memory, f"{card.speed / TRILLION:g}", f"{card.bandwidth / 1e9:,.0f}", card.source]
        for card in CARDS
    ]
    return markdown_table(head, lines, right=head[1:4])


def _summary(rows: list[Case]) -> list[str]:
    (small, large), last = (PAGE_PYRAMIDS[0].tiles, PAGE_PYRAMIDS[-1].tiles), CARDS[-1]

    def time(name: str, tiles: int, ratio: float, card: Card = last) -> str:
        return span(hours(rates(find(rows, name, tiles, ratio), card)), ",.0f")

    two, eight = NAMES
    few = find(rows, eight, large, 1.0).prompts(CARDS[0].memory)
    return [
        *blocks(
            "# A million pages: what it takes, and what breaks first",
            "**COMPUTED, NOT MEASURED: nothing on this page was run on a GPU.** Tokens, bytes and operations are "
            "counted exactly. Speeds follow from these counts, from what vendors publish about their cards, and from "
            "an assumed share of that. Take them as orders of magnitude, and measure a thousand pages on your own "
            "card before you rent many.",
            "For vLLM with this project's plugin, in bfloat16. 2B is `mx262/MiniMonkey` or InternVL2-2B, 8B is "
            "InternVL2-8B. How well a page is read with fewer tiles or a lower `keep_ratio` is another question, "
            "which this page says nothing about.",
        ),
        *points(
            f"Hours of one {last.name} for a million A4 pages of {large} tiles, answers of {ANSWER} tokens: "
            f"{time(two, large, 1.0)} with 2B, {time(eight, large, 1.0)} with 8B. With `keep_ratio=0.25`: "
            f"{time(two, large, 0.25)} and {time(eight, large, 0.25)}. Of {small} tiles, all tokens: "
            f"{time(two, small, 1.0)} and {time(eight, small, 1.0)}.",
            f"Hours of one {CARDS[0].name}, {large} tiles, all tokens: {time(two, large, 1.0, CARDS[0])} with 2B, "
            f"{time(eight, large, 1.0, CARDS[0])} with 8B, of which only {few} prompts fit at once.",
            f"What breaks first: on an {last.name} with 2B the CPU, since vLLM cuts tiles in one thread per engine. "
            "On the card with 8B the prefill, with 2B under compression the vision tower, which sees all tiles "
            "whatever `keep_ratio` is ([all of it](#what-breaks-first)).",
            "One machine: [`examples/read_folder.py`](../examples/read_folder.py) with `--engine vllm`. More: "
            "[below](#several-cards-and-machines).",
        ),
        *blocks(
            f"Written by `{COMMAND}`; change the scripts, not this file. [checkpoints.md](checkpoints.md) says which "
            "checkpoint fits on which card."
        ),
    ]


def _counts(rows: list[Case]) -> list[str]:
    cut = "; ".join(
        f"{pyramid.tiles} tiles ({' + '.join(str(len(pyramid.plan.group_tiles(group))) for group in GROUPS)}), "
        f'{"portrait" if pyramid.height > pyramid.width else "landscape"}, under `"{pyramid.setting}"`'
        for pyramid in PAGE_PYRAMIDS
    )
    return blocks(
        "## What a page takes",
        "An A4 page of 200 pixels per inch gives, under published settings (detailed + adaptive + global tiles): "
        f"{cut}. A prompt has {TEXT_BEFORE + TEXT_AFTER} tokens of text, an answer {ANSWER} tokens; five times as "
        "long an answer, as a full page may need, is about five times the work of the answer. Operations are "
        "multiplications and additions, in 10^12.",
        counts_table(rows),
        f'"At once": prompts with their answers, in blocks of {BLOCK} tokens, in the memory that is left of '
        f"{MEMORY_SHARE:.0%} of the card (`--gpu-memory-utilization`) after the weights, the largest activations of "
        f"[checkpoints.md](checkpoints.md), and {RESERVE} GiB for what is not counted. At most {MOST_PROMPTS}, the "
        "engine's `--max-num-seqs` (1,024 on an H100).",
    )


def _speeds(rows: list[Case]) -> list[str]:
    return blocks(
        "## Pages a second, computed",
        "Published peaks, for dense matrices in bfloat16:",
        sources_table(),
        f"Assumed: tower and prefill reach {SLOW.speed:.0%} to {FAST.speed:.0%} of the operations; answers, which "
        f"the memory limits, {SLOW.bandwidth:.0%} to {FAST.bandwidth:.0%} of the bandwidth, with as many prompts at "
        "once as fit. The three times are added. An engine that mixes prefill and answers in a step can hide a part "
        "of one behind the other; one that waits for the CPU is slower.",
        "Pages a second on one card:",
        cards_table(rows, lambda values: span(values, ".2f")),
        "Hours for a million pages on one card:",
        cards_table(rows, lambda values: span(hours(values), ",.0f")),
    )


def _bottlenecks(rows: list[Case]) -> list[str]:
    seconds, (two, eight), a100 = cutting_seconds(), NAMES, CARDS[2]
    whole, quarter = (find(rows, two, 33, ratio) for ratio in (1.0, 0.25))
    gains = [rates(find(rows, name, 33, 0.25), a100)[0] / rates(find(rows, name, 33, 1.0), a100)[0] for name in NAMES]
    few = find(rows, eight, 33, 1.0).prompts(CARDS[0].memory)
    return [
        *blocks(
            "## What breaks first",
            f"Percent of a page's time for tower / prefill / answer, at {SLOW.speed:.0%} of the operations and "
            f"{SLOW.bandwidth:.0%} of the bandwidth, and how many threads have to cut tiles so that the card doesn't "
            "wait:",
            bottlenecks_table(rows),
            "![Seconds of a page on an H100, part by part, and the time that a thread needs to cut one](scale.png)",
        ),
        *points(
            f"**The CPU**, with 2B on an H100. From the bytes of a JPEG of 6 megapixels to {PAGE_PYRAMIDS[0].tiles} "
            f"tiles takes {seconds:.2f} s of one thread ([measured](../benchmarks/speed/RESULTS.md)), nearly all of "
            f"it decoding and resizing: {1 / seconds:.1f} pages a second. More tiles take longer, an A4 page of 4 "
            "megapixels is decoded faster; neither was measured. vLLM cuts tiles in a single thread per server "
            "process, and its offline `LLM` does it page after page; `--renderer-num-workers` changes neither. "
            "Where a last column is above 1, that thread is the limit. `--api-server-count` starts more server "
            "processes; an offline process has only this one.",
            f"**The prefill**, with 8B, on every card and with every `keep_ratio` here. Compression helps: with "
            f"`keep_ratio=0.25` an A100 reads {gains[1]:.1f} times as many pages of 33 tiles.",
            f"**The vision tower**, with 2B under compression: 33 tiles are {whole.load.tower / TRILLION:.0f} x "
            f"10^12 operations, whatever `keep_ratio` is; the prefill is {whole.load.prefill / TRILLION:.0f} with "
            f"all tokens and {quarter.load.prefill / TRILLION:.0f} with a quarter. So 2B gains less, {gains[0]:.1f} "
            "times as many pages. From there on only fewer tiles help.",
            f"**The memory of keys and values**, with 8B on 24 GB: {few} prompts of 33 tiles fit, and each step of "
            "their answers reads all weights for these few. Compression and fewer tiles make room. With 2B, or on "
            "48 GB and more, enough prompts fit.",
            "**The bandwidth**, on the L40S with 2B and all tokens: it has twice the operations of an RTX 4090 and "
            "less bandwidth, so answers take the largest part of the time. Longer answers bring the other cards "
            "there, too.",
            numbered=True,
        ),
    ]


def _method() -> list[str]:
    return [
        *blocks("## How it was computed"),
        *points(
            "Sizes are those of the published configurations (`benchmarks/memory/checkpoints.json`), tokens those "
            "that our code cuts and keeps, weights and activations those of [checkpoints.md](checkpoints.md).",
            "Tower: its matrices, its attention, and the projector, for every tile. Prefill: matrices and causal "
            "attention of the language model (`benchmarks/speed/costs.py`), and the logits of one token. Answer: the "
            "same, token by token.",
            "A step of the answers reads the language model's layers and head once, and the keys and values of all "
            f"prompts, on average with half of the {ANSWER} tokens. Its operations would take less time on every "
            "card.",
            "`tests/benchmarks/memory/test_scale.py` compares the counts with what PyTorch counts of real models, and "
            "with counts step by step.",
            "Not in it: reading files, the network, the way of the pixels to the card, starting up, sampling and "
            "scheduling, and whatever else keeps an engine from the assumed shares.",
        ),
    ]
