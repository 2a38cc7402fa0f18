"""PRETRAINED.md and its figure, from what `pretrained.py` and `asked_facts.py` measured."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.figures import save_figure
from benchmarks.machine import machine_line
from benchmarks.sawtooth.report.statistics import bootstrap, difference, mean, percent, ratio
from benchmarks.speed.timing import with_quartiles
from benchmarks.tables import blocks, markdown_table


STOCK_LIMIT = 1.02  # of `keep_ratio` 1.0, as a share of stock's time
DEVIATION_LIMIT = 0.05  # of `keep_ratio` 0.5 from what the counts predict


def title(block: dict) -> str:
    """Tiling, tokens and number of prompts of a block."""
    return f"{block['complementarity']}, {block['tokens']:,} tokens x {block['rows']}"


def medians(block: dict) -> dict[str, float]:
    """Time of every function as a share of stock's, the median over the rounds."""
    return {name: values["median"] for name, values in block["ratio"].items()}


def deviation(block: dict, keep_ratio: float = 0.5) -> float:
    """How far the time at `keep_ratio` is from what the counts predict, both as shares of that at `keep_ratio` 1."""
    found, name = medians(block), f"keep_ratio {keep_ratio}"
    return found[name] / found["keep_ratio 1.0"] / block["predicted"][name] - 1


def all_tokens(block: dict) -> tuple[float, float, float]:
    """Time with all tokens as a share of stock's, of both in turns, and its 95% interval by bootstrap over rounds."""
    pairs = block["pairs"]
    return bootstrap(np.arange(len(pairs["stock"])), ratio(pairs["keep_ratio 1.0"], pairs["stock"]))


def time_rows(results: dict) -> list[list[str]]:
    rows = []
    for block in results["blocks"]:
        names = list(block["ratio"])
        tiles = " + ".join(map(str, block["tiles"].values()))
        cells = [with_quartiles(block["ratio"][name]) for name in names]
        rows.append([title(block), tiles, f"{block['seconds']['stock']:.2f} s", *cells])
    return rows


def count_rows(results: dict) -> list[list[str]]:
    rows = []
    for block in results["blocks"]:
        own, whole = block["kv_bytes"], block["kv_bytes"]["stock"]
        sizes = [f"{own[f'keep_ratio {each}'] / whole:.2f}" for each in (0.75, 0.5, 0.25)]
        predicted = [
            f"{block['predicted'][f'keep_ratio {each}']:.2f} ({deviation(block, each):+.1%})"
            for each in (0.75, 0.5, 0.25)
        ]
        first, low, high = all_tokens(block)
        met = "yes" if first <= STOCK_LIMIT and abs(deviation(block)) <= DEVIATION_LIMIT else "**no**"
        counted = [
            f"{block['operations']['keep_ratio 1.0'][each] / block['operations']['stock'][each]:.4f}"
            for each in ("flops", "calls")
        ]
        rows.append(
            [
                title(block),
                f"{whole / 2**20:.0f} MiB",
                *sizes,
                *predicted,
                f"{first:.3f} [{low:.3f}, {high:.3f}] ({len(block['pairs']['stock'])})",
                met,
                *counted,
            ]
        )
    return rows


def speed_part(results: dict) -> list:
    """Paragraphs and tables about time and memory."""
    measured = results["blocks"]
    first = [all_tokens(block)[0] for block in measured]
    halves = [medians(block)["keep_ratio 0.5"] for block in measured]
    off = max((deviation(block) for block in measured), key=abs)
    names, per_tile = list(measured[0]["ratio"]), sorted({block["tokens_per_tile"] for block in measured})
    return [
        f"Around SmolLM2-135M (30 layers), the first token takes {min(first):.3f} to {max(first):.3f} of stock "
        f"InternVL's time with all tokens, and {min(halves):.2f} to {max(halves):.2f} with half of the detailed ones. "
        f"At most {abs(off):.1%} lie between the time at `keep_ratio` 0.5 and what its counts predict ({off:+.1%}).",
        "Written by `make bench-smollm`; the numbers behind it are in `pretrained.json`. Seconds are "
        "those of the process, on one thread. A ratio is the median over the "
        f"{measured[0]['rounds']} rounds, in each of which all ran once, in brackets the quartiles.",
        machine_line(results["machine"]),
        "## Time to the first token, as a share of stock InternVL's (sdpa)",
        'Ours scores by `queries="question"`, `layer=2` and `positions="keep"`. "published setting": ours by '
        '`"all"`, 1 and `"repack"`. "published procedure": two whole layers with eager attention, then the whole '
        "prefill of what is kept, in our own words (`published.py`). Tiles are detailed + adaptive + global, as "
        f"planned for a page of 1240 x 1754 px; tokens per tile: {', '.join(map(str, per_tile))}.",
        markdown_table(["prompts", "tiles", "stock", *names], time_rows(results)),
        "![Time and memory over keep_ratio](pretrained.png)",
        "## Bytes of keys and values, and what counts predict",
        f"Limits: `keep_ratio` 1.0 takes at most {STOCK_LIMIT} of stock's time; 0.5 is within {DEVIATION_LIMIT:.0%} "
        "of what its counts predict (`costs.py`), as a share of the time with all tokens. In brackets: measured "
        "against predicted. 1.0 / stock is that of the sums over more rounds of both alone, with its 95% interval by "
        "bootstrap over rounds and their number: times vary by several percent on this machine. FLOPs and calls of "
        "PyTorch's operators don't (`operations.py`).",
        markdown_table(
            [
                "prompts",
                "keys and values",
                "0.75",
                "0.5",
                "0.25",
                "predicted 0.75",
                "0.5",
                "0.25",
                "1.0 / stock",
                "met",
                "FLOPs 1.0 / stock",
                "calls 1.0 / stock",
            ],
            count_rows(results),
        ),
    ]


def fact_rows(readings: pd.DataFrame, keep_ratio: float) -> list[list[str]]:
    """Right answers and how much of the asked fact stays, for every queries and layer."""
    rows = []
    some = readings[readings.keep_ratio == keep_ratio]
    for (queries, layer), group in some.groupby(["queries", "layer"], sort=False):
        prompts = group.prompt.to_numpy()
        kept = np.floor(group.facts * keep_ratio) - group.asked
        others = kept / (group.facts - group.fact)
        shares = [
            percent(bootstrap(prompts, mean(group[how]))) if (group[how] >= 0).all() else "–"
            for how in ("keep", "repack")
        ]
        asked = bootstrap(prompts, ratio(group.asked, group.fact))
        rows.append(
            [queries, "–" if queries == "none" else layer, *shares, percent(asked), f"{100 * others.mean():.1f}"]
        )
    return rows


def steering_rows(readings: pd.DataFrame, keep_ratio: float) -> list[list[str]]:
    """Right answers under the question's attention minus those under that of all tokens, in points."""
    rows, some = [], readings[readings.keep_ratio == keep_ratio]
    for layer in sorted(set(some[some.queries == "question"].layer)):
        both = some[some.layer == layer]
        asking, every = (both.queries == queries for queries in ("question", "all"))
        answers = bootstrap(both.prompt, difference(both.keep, asking, every))
        tokens = bootstrap(both.prompt, difference(both.asked / both.fact, asking, every))
        rows.append([keep_ratio, layer, percent(answers), percent(tokens)])
    return rows


def facts_part(path: Path) -> list:
    """Paragraphs and tables about what stays of the fact that is asked for."""
    readings = pd.read_csv(path)
    every = readings[readings.keep_ratio == 1]
    right = percent(bootstrap(every.prompt, mean(every.keep)))
    head = ["queries", "layer", "right, keep", "right, repack", "asked fact kept", "other facts kept"]
    parts = [
        "## What is asked for stays",
        "Which queries, which layer and which positions keep what is asked for? SmolLM2 can't see images: the tokens "
        "of 24 lines such as `Oscar hides bags.` stand in for an image's detailed tokens, a line of the names alone "
        "for its adaptive and global ones. Three examples and the question about one line follow. An answer is right "
        "if the asked thing is the likeliest next token of the 24 in the facts; chance is 4%. Over "
        f"{every.prompt.nunique()} prompts, with all tokens, {right}% are right. All figures in %, with 95% intervals "
        "by bootstrap over prompts. Text is easier to score than pixels, as its features are what the model was "
        "trained on. From `asked_facts.csv`, by `python -m benchmarks.speed.asked_facts`.",
        "The form of the prompts was chosen among more than twenty, by right answers with all tokens on other prompts "
        "(14 of 20); most of the others gave less than half.",
    ]
    for keep_ratio in (0.5, 0.25):
        parts += [f"### `keep_ratio` {keep_ratio}", markdown_table(head, fact_rows(readings, keep_ratio))]
    rows = [row for keep_ratio in (0.5, 0.25) for row in steering_rows(readings, keep_ratio)]
    parts += [
        '### `"question"` minus `"all"`, in points, positions kept',
        markdown_table(["keep_ratio", "layer", "right answers", "tokens of the asked fact kept"], rows),
    ]
    return parts


def report(results: dict, facts: Path | None = None) -> str:
    """The text of PRETRAINED.md; `facts`: the readings of `asked_facts.py`, if there are any."""
    parts = ["# On a pretrained Llama"]
    parts += speed_part(results) if results["blocks"] else []
    parts += facts_part(facts) if facts else []
    return "\n".join(blocks(*parts))


def plot(results: dict, file: Path) -> None:
    """Draw time and bytes of keys and values over `keep_ratio`, one line for each block."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8.5, 3.6), layout="constrained", sharey=True)
    shares = (0.25, 0.5, 0.75, 1.0)
    for number, block in enumerate(results["blocks"]):
        found, names, color = medians(block), [f"keep_ratio {share}" for share in shares], f"C{number}"
        left.plot(shares, [found[name] for name in names], "o-", color=color, label=title(block))
        left.plot(shares, [block["predicted"][name] for name in names], ":", color=color)
        left.plot(0.5, found["published procedure"], "x", color=color)
        stock = block["kv_bytes"]["stock"]
        right.plot(shares, [block["kv_bytes"][name] / stock for name in names], "o-", color=color, label=title(block))
    left.set(title="time to the first token\n(dotted: predicted; x: published)", ylabel="share of stock InternVL's")
    right.set(title="bytes of keys and values")
    for axes in (left, right):
        axes.set_xticks(shares)
        axes.set(xlabel="keep_ratio", ylim=(0, None))
        axes.grid(alpha=0.3)
    right.legend(frameon=False, fontsize=7, loc="lower right")
    save_figure(figure, file, dpi=100)
