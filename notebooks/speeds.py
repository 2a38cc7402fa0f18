"""What 11 draws and tabulates: caches, memory, times, and what compression cost; figures are matplotlib's."""

import numpy as np
from matplotlib import pyplot

import course
import measured
from benchmarks.memory.prefill import TEXT_AFTER, TEXT_BEFORE
from benchmarks.memory.scale import (
    CARDS,
    FAST,
    KEEP_RATIOS,
    PAGES,
    SLOW,
    find,
    tower_cost,
)
from benchmarks.speed.costs import Sizes, layer_cost, predicted_ratio, scoring_cost
from benchmarks.speed.timing import with_quartiles
from course import BLACK, GRAY, LEVELS, PURPLE, SKY, YELLOW
from drawings import Box
from measured import NO_QUESTION, OWN


REQUEST = {  # of an engine
    "request": Box(0, 0, "request", "JSON, the image\nas a data URL", GRAY),
    "count": Box(
        1, 0, "processor counts", "size of the image,\ntiles, tokens that stay"
    ),
    "reserve": Box(2, 0, "scheduler", "reserves blocks\nfor so many tokens"),
    "cut": Box(1, 1, "processor cuts", "the pixels of the tiles,\non the CPU"),
    "tower": Box(2, 1, "vision tower", "features of all tiles"),
    "choose": Box(3, 1, "choice", "the longest features\nstay, renumbered", PURPLE),
    "read": Box(4, 1, "language model", "reads them and the\nquestion, writes"),
}
ORDER = [
    ("request", "count", ""),
    ("count", "reserve", "how\nmany"),
    ("count", "cut", ""),
    ("cut", "tower", "pixels"),
    ("reserve", "tower", ""),
    ("tower", "choose", ""),
    ("choose", "read", ""),
]
WAYS = {  # to compress, as `course.of_way` takes them
    "question": OWN,
    "vLLM": {**NO_QUESTION, "positions": "repack"},
}
QUESTION = 20  # tokens of one such as "Read the text.", about
ENGINES = {  # of `pages.json`
    "`generate`": "transformers 1.0",
    "`generate`, half": "transformers 0.5",
    "vLLM": "vllm 1.0",
    "vLLM, half": "vllm 0.5",
}


def stored(name: str) -> dict:
    """A result of the benchmarks, a JSON file."""
    return course.read_run(course.ROOT / "benchmarks" / name)


def plot_prompts(pyramids):
    """What the prompts of pyramids consist of, with the half of the detailed tokens that compression takes out."""
    figure, axis = pyplot.subplots(figsize=(9, 4.4), layout="constrained")
    tokens = {"text": [TEXT_BEFORE + TEXT_AFTER] * len(pyramids)}
    for level in ("global", "adaptive", "detailed"):
        tokens[level] = [256 * len(each.plan.group_tiles(level)) for each in pyramids]
    places, top = np.arange(len(pyramids)), np.zeros(len(pyramids))
    for kind, counts in tokens.items():
        style = {"bottom": top, "color": LEVELS.get(kind, GRAY), "label": kind}
        axis.bar(places, counts, 0.6, **style)
        top += counts
    half = np.array(tokens["detailed"]) // 2
    hatched = {"color": LEVELS["detailed"], "edgecolor": "white", "hatch": "//"}
    hatched["label"] = "detailed, dropped with keep_ratio 0.5"
    axis.bar(places, half, 0.6, bottom=top - half, **hatched)
    axis.axhline(8192, color=BLACK, linestyle="--", label="8k context")
    axis.set(xlabel="tiles, size of the image in px, setting")
    axis.set(ylabel="tokens of the prompt", ylim=(0, 9500))
    names = [f"{p.tiles}\n{p.width} x {p.height}\n{p.setting}" for p in pyramids]
    axis.set_xticks(places, names)
    axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return figure


def plot_turns(caches: dict, levels: dict):
    """
    What is in the cache after each turn of a chat about one image, with all tokens and without the dropped ones.

    Args:
        caches: From a `keep_ratio`, 1 first, to the tokens in the cache, one number per turn.
        levels: From a level to its tokens; the detailed ones last.
    """
    figure, axis = pyplot.subplots(figsize=(9, 4.2), layout="constrained")
    ratios, turns = list(caches), len(next(iter(caches.values())))
    places = np.arange(turns)
    for number, (ratio, slots) in enumerate(caches.items()):
        gone = caches[ratios[0]][0] - slots[0]
        parts = {**levels, "detailed": levels["detailed"] - gone}
        parts["text"] = np.array(slots) - sum(parts.values())
        top, left = np.zeros(turns), places + 0.4 * (number - 0.5)
        for kind, tokens in parts.items():
            style = {"color": LEVELS.get(kind, GRAY), "label": kind}
            bars = axis.bar(left, tokens, 0.36, bottom=top, **style)
            ink = BLACK if kind == "text" else "white"
            axis.bar_label(bars, label_type="center", color=ink, fmt="%d", fontsize=9.5)
            top = top + tokens
        if gone:
            style = {"color": "white", "edgecolor": LEVELS["detailed"], "hatch": "//"}
            bars = axis.bar(
                left, gone, 0.36, bottom=top, label="detailed, dropped", **style
            )
        for place, height in zip(left, top + gone, strict=True):
            style = {"ha": "center", "va": "bottom", "fontsize": 9.5}
            axis.text(place, height + 4, f"keep_ratio {ratio}", **style)
    handles, labels = axis.get_legend_handles_labels()
    handles = dict(zip(labels, handles, strict=True))
    axis.set(ylabel="tokens", xticks=places, ylim=(0, 1.12 * max(caches[ratios[0]])))
    axis.set_xticklabels(f"after turn {turn + 1}" for turn in places)
    figure.legend(
        handles.values(), handles, frameon=False, ncols=5, loc="outside lower center"
    )
    return figure


def plot_shares(shares: dict, quartiles: tuple[float, float]):
    """Bars below 1; the last one has a line for its quartiles."""
    figure, axis = pyplot.subplots(figsize=(9, 3), layout="constrained")
    names, values = list(shares)[::-1], list(shares.values())[::-1]
    drawn = axis.barh(names, values, color=[YELLOW, SKY, GRAY])
    spread = course.whiskers(values[0], *quartiles)
    axis.errorbar([values[0]], [0], xerr=spread, color=BLACK, capsize=5)
    axis.bar_label(drawn, fmt="%.2f", padding=12)
    axis.axvline(1, color=BLACK, linestyle="--")
    axis.set(xlim=(0, 1.1), xlabel="share of what all tokens take (dashed: 1)")
    return figure


def measured_cache(model, inputs: dict, keep_ratio: float) -> tuple[int, int]:
    """Slots and bytes of the cache behind one token of an answer."""
    options = {"max_new_tokens": 1, "keep_ratio": keep_ratio}
    output = model.generate(**inputs, **options, return_dict_in_generate=True)
    cache = output.past_key_values
    size = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    return cache.get_seq_length(), size


def growth(points: list[dict]) -> tuple[list, dict]:
    """Tokens of the measured prompts, and bytes by what takes them."""
    return [point["tokens"] for point in points], {
        "compression adds (measured)": [point["bytes"] for point in points],
        "attention matrices of one layer": [
            point["bytes_of_attention_matrices"] for point in points
        ],
    }


def peaks_line(found: dict) -> str:
    """A line: peak memory beside the weights until the first token; `found` is of one pyramid (`results.json`)."""
    whole, half = (
        {name: found[ratio][name] / 2**20 for name in ("language", "cache", "vision")}
        for ratio in ("1.0", "0.5")
    )
    return (
        f"2B, 33 tiles, bfloat16, MiB beside the weights: the language model at its peak {whole['language']:,.0f} "
        f"with all tokens, {half['language']:,.0f} with half of the detailed ones (caches {whole['cache']:,.0f} and "
        f"{half['cache']:,.0f}); before it the vision tower {whole['vision']:,.0f}"
    )


def plot_growth(tokens: list[int], lines: dict):
    """Bytes over the length of the prompt on logarithmic scales; `lines` are from a label to bytes."""
    figure, axis = pyplot.subplots(figsize=(9, 4.2), layout="constrained")
    styles = ((PURPLE, "o", (0, -17)), (BLACK, "s", (0, 8)))
    for (label, sizes), (color, marker, shift) in zip(
        lines.items(), styles, strict=True
    ):
        mib = np.array(sizes) / 2**20
        axis.loglog(tokens, mib, color=color, marker=marker, label=label)
        for place, value in zip(tokens, mib, strict=True):
            text = {"textcoords": "offset points", "color": color, "ha": "center"}
            axis.annotate(f"{value:,.0f}", (place, value), shift, **text)
        slope = np.log(sizes[-1] / sizes[0]) / np.log(tokens[-1] / tokens[0])
        times = f"{sizes[-1] / sizes[0]:.1f} times as much at the end"
        axis.lines[-1].set_label(f"{label}: {times}, slope {slope:.2f}")
    axis.set(xlabel="tokens of the prompt", ylabel="MiB", xticks=tokens)
    axis.set(xticklabels=[f"{each:,}" for each in tokens], ylim=(12, 6000))
    axis.minorticks_off()
    axis.legend(frameon=False, loc="upper left")
    return figure


def plot_pages(cells: list[dict]):
    """
    Two engines with all tokens and half of the detailed ones (`pages.json`) by batch size: above the pages a minute, a
    panel per engine; below the share of the time of `generate` with all tokens in the same round, with quartiles.
    """
    figure, axes = pyplot.subplot_mosaic(
        [["generate"] * 3 + ["vLLM"] * 3, ["half"] * 2 + ["v1"] * 2 + ["v0.5"] * 2],
        figsize=(10.5, 6.4),
        layout="constrained",
        height_ratios=(1.15, 1),
    )
    places, sizes = np.arange(len(cells)), [cell["batch_size"] for cell in cells]
    pages = {
        name: [60 * cell["pages"] / cell["seconds"][name] for cell in cells]
        for name in ENGINES.values()
    }
    for panel, engine, color in (
        ("generate", "transformers", BLACK),
        ("vLLM", "vllm", PURPLE),
    ):
        axis = axes[panel]
        if panel == "vLLM":
            before = {"color": "#BBBBBB", "label": "generate, all tokens"}
            axis.plot(places, pages["transformers 1.0"], "o-", **before)
        for ratio, line, label in ((1.0, "-", "all tokens"), (0.5, "--", "half")):
            style = {"color": color, "label": label, "marker": "o"}
            style["markerfacecolor"] = color if ratio == 1 else "white"
            axis.plot(places, pages[f"{engine} {ratio}"], line, **style)
        axis.set(title=panel, ylim=(0, 560))
        axis.legend(frameon=False, loc="upper left")
    for panel, (name, title, color) in {
        "half": ("transformers 0.5", "generate, half", BLACK),
        "v1": ("vllm 1.0", "vLLM, all tokens", PURPLE),
        "v0.5": ("vllm 0.5", "vLLM, half", PURPLE),
    }.items():
        found = [cell["ratio"][name] for cell in cells]
        middle, low, high = (
            np.array([each[key] for each in found])
            for key in ("median", "lower_quartile", "upper_quartile")
        )
        style = {"color": color, "capsize": 4, "linestyle": "", "marker": "o"}
        style["markerfacecolor"] = color if name.endswith("1.0") else "white"
        spread = course.whiskers(middle, low, high)
        axes[panel].errorbar(places, middle, spread, **style)
        axes[panel].axhline(1, color=BLACK, linewidth=1)
        axes[panel].set(title=title, ylim=(0.7, 1.3))
    axes["half"].set_ylabel("share of the time of\ngenerate, all tokens")
    axes["generate"].set_ylabel("pages a minute")
    for axis in axes.values():
        axis.set(xlabel="pages at once", xticks=places, xticklabels=sizes)
    return figure


def page_rows(cells: list[dict]) -> tuple[list, list]:
    """Head and rows of a table: pages a minute by batch size, and how long the answers are."""
    rows = []
    for cell in cells:
        times = (cell["seconds"][name] for name in ENGINES.values())
        rows.append(
            [cell["batch_size"], *(f"{60 * cell['pages'] / t:.0f}" for t in times)]
        )
    lengths = (f"{cells[0]['tokens'][name]:.1f}" for name in ENGINES.values())
    rows.append(["tokens an answer", *lengths])
    return ["pages a minute, by pages at once", *ENGINES], rows


def share_rows(cells: list[dict]) -> tuple[list, list]:
    """Head and rows of a table: shares of `generate`'s time (three rounds), and of vLLM's by the median times."""
    rows, names = [], list(ENGINES)[1:]
    for cell in cells:
        ratios = (with_quartiles(cell["ratio"][ENGINES[name]]) for name in names)
        half = cell["seconds"]["vllm 0.5"] / cell["seconds"]["vllm 1.0"]
        rows.append([cell["batch_size"], *ratios, f"{half:.2f}"])
    head = [
        "share of the time of `generate` (fastest to slowest round), by pages at once"
    ]
    head += names
    return [*head, "vLLM, half, against vLLM"], rows


def block_counts(lengths: list[int], halves: list[int], block: int = 16) -> str:
    """
    Blocks that prompts take, and what is reserved and not used when every answer has 30 tokens.

    Args:
        lengths: Of the prompts.
        halves: How many tokens of each are dropped with `keep_ratio` 0.5.
        block: Its tokens.
    """
    kept = [size - half for size, half in zip(lengths, halves, strict=True)]
    lines = [
        f"keep_ratio {ratio}: {sum(each)} tokens, {sum(-(-s // block) for s in each)} blocks"
        for ratio, each in ((1.0, lengths), (0.5, kept))
    ]
    pieces = sum(max(lengths) - size for size in lengths)
    blocks = sum(-(size + 30) % block for size in lengths)
    end = f"{pieces} in pieces, {blocks} in blocks"
    return "\n".join([*lines, f"free when every answer has 30 tokens: {end}"])


def deep_rows(results: dict) -> tuple[list, list]:
    """
    Head and rows of a table: times of a pretrained model of 30 layers, shares of those of all tokens, and of half of
    the detailed ones what stays and what is counted.

    Args:
        results: Of `pretrained.json`.
    """
    ratios = [f"keep_ratio {ratio}" for ratio in ("1.0", "0.5", "0.25")]
    rows, published = [], "published setting 0.5"
    for block in results["blocks"]:
        tiles = " + ".join(str(number) for number in block["tiles"].values())
        label = (
            f"{block['tokens']:,} tokens, {tiles} tiles, `{block['complementarity']}`"
        )
        label += f", {block['rows']} rows" if block["rows"] > 1 else ""
        stay = block["kv_bytes"][ratios[1]] / block["kv_bytes"]["stock"]
        shares = [with_quartiles(block["ratio"][each]) for each in (published, *ratios)]
        counted = f"{block['predicted'][published]:.2f}"
        rows.append([label, f"{stay:.2f}", counted, *shares])
    head = [
        "prefill of 30 layers, share of stock InternVL's time (quartiles), n = 5 rounds"
    ]
    head += [
        "tokens that stay, 0.5",
        "published rule, 0.5, counted",
        "published rule, 0.5",
    ]
    return [*head, *(f"our rule, {ratio}" for ratio in ratios)], rows


def counted_line(prefill: dict, layers: int) -> str:
    """A line: what of the benchmark's prefill half of the detailed tokens leave with so many layers, counted."""
    left, scoring, number = measured.counted_parts(prefill, layers)
    return (
        f"{layers} layers: {left:.3f} of the work over the tokens that stay, scoring as much as "
        f"{number:.2f} layers over all tokens, {scoring:.3f}; together {left + scoring:.2f}"
    )


def first_token(config, tiles: int, tokens: int, kept: int) -> str:
    """
    A line: what compression leaves of the operations before the first token, with the vision tower and without.

    Args:
        config: Of a model whose scores come from the question, in a layer that it names.
        tiles, tokens: Of the prompt.
        kept: How many of its tokens stay.
    """
    sizes, layer = Sizes.of(config.text_config), config.scale_compression_config.layer
    left = predicted_ratio(sizes, tokens, kept, QUESTION, layer)
    whole = layer_cost(sizes, tokens)
    tower, prefill = tiles * tower_cost(config), sizes.layers * whole
    every = (tower + left * prefill) / (tower + prefill)
    scoring = scoring_cost(sizes, tokens, QUESTION, layer) / whole
    return (
        f"counted, first token: {every:.2f}; the language model alone {left:.2f}: "
        f"{layer_cost(sizes, kept) / whole:.3f} over the tokens that stay, and {scoring / sizes.layers:.3f} for the "
        f"scores, {scoring:.2f} of {sizes.layers} layers"
    )


def models() -> dict:
    """Readings under compression (`scoring`) of the small checkpoint, and of what it was before its last stages."""
    stages = {"before its last stages": "compressed", "the small checkpoint": "drawn"}
    return {name: course.result(f"scoring-6m-{end}") for name, end in stages.items()}


def work_left(rows: list, config) -> dict[str, float]:
    """
    What half of the detailed tokens leave of the work before the first token, 33 tiles with a 2B model.

    Args:
        rows: Of `benchmarks.memory.scale.cases`.
        config: Of its language model.
    """
    whole, half = (find(rows, "InternVL2-2B", 33, each).load for each in (1.0, 0.5))
    rules = {  # queries: of the second grid, the global tile and the text, or the text alone
        "published rule": {"rows": 9 * 256 + TEXT_AFTER, "layer": 1},
        "by the question, layer 2": {"rows": TEXT_AFTER, "layer": 2},
    }
    before, shares = whole.tower + whole.prefill, {}
    for name, rule in rules.items():
        left = predicted_ratio(Sizes.of(config), whole.tokens, half.tokens, **rule)
        shares[f"{name}, without the tower"] = left
        work = whole.tower + left * whole.prefill
        shares[f"{name}, with the tower"] = work / before
    no_scores = (half.tower + half.prefill) / before
    return shares | {"no scores (vLLM), with the tower": no_scores}


def h100_lines(rows: list) -> list[str]:
    """
    Lines: what a prefill of 33 tiles and a step of the answer take a 2B model on an H100 at the speeds that its vendor
    publishes.

    Args:
        rows: Of `benchmarks.memory.scale.cases`.
    """
    card, whole = CARDS[-1], find(rows, "InternVL2-2B", 33, 1.0)
    prefill, size = 1000 * whole.load.prefill / card.speed, whole.read / 1e9
    step = 1000 * whole.read / card.bandwidth
    tower = whole.load.tower
    lines = [
        f"prefill: {whole.load.prefill / 1e12:.1f} x 10^12 operations, {prefill:.0f} ms (the vision tower before it: "
        f"{tower / 1e12:.1f} x 10^12, {1000 * tower / card.speed:.0f} ms)",
        f"a step of the answer: {size:.1f} GB of weights, read once for all rows, {step:.1f} ms",
    ]
    for ratio in (1.0, 0.5):
        cache = find(rows, "InternVL2-2B", 33, ratio).load.attended
        own = 1000 * cache / card.bandwidth
        line = f"  each row's own cache, keep_ratio {ratio}: {cache / 1e9:.2f} GB, {own:.2f} ms"
        times = (f"{step + number * own:.1f} ms for {number}" for number in (1, 16))
        lines.append(f"{line}; with the weights {', '.join(times)} rows")
    return lines


def hour_rows(rows: list) -> tuple[list, list]:
    """
    Head and rows of a table: hours that a million pages of 33 tiles take a 2B model on each card, computed.

    Args:
        rows: Of `benchmarks.memory.scale.cases`.
    """
    table = []
    for card in CARDS:
        cells = []
        for ratio in KEEP_RATIOS:
            case = find(rows, "InternVL2-2B", 33, ratio)
            seconds = [case.seconds(card, way).total for way in (FAST, SLOW)]
            cells.append(
                "{:.0f} to {:.0f}".format(*(PAGES * s / 3600 for s in seconds))
            )
        table.append([card.name, *cells])
    return [
        "hours for a million pages of 33 tiles, answers of 200 tokens, computed",
        *(f"keep_ratio {ratio}" for ratio in KEEP_RATIOS),
    ], table


def lost(table, way: str) -> str:
    """Words lost with half of the detailed tokens, in % of those that all tokens read, with the interval."""
    kept, low, high = course.words_read(
        table, **WAYS[way], keep_ratio=0.5, of_those_of_all_tokens=True
    )
    return course.cell((100 - kept, 100 - high, 100 - low))


def advice_rows(models: dict) -> tuple[list, list]:
    """Head and rows of a table: settings by bottleneck, and what they cost each of the models (of `scoring`)."""
    head = ["your bottleneck", "engine", "settings", "what it cost the small reader"]
    question, engine = (
        "; ".join(f"{name}: {lost(table, way)}" for name, table in models.items())
        for way in WAYS
    )
    return head, [
        [
            "none, or a model of few layers with short prompts",
            "any",
            "`keep_ratio` 1",
            "nothing; compression saved `generate` no time here",
        ],
        [
            "caches of long chats, or a deep model's prefill, one prompt or a small batch",
            "`generate`, `examples/serve.py`",
            '`keep_ratio` 0.5, `queries="question"`, `positions="keep"`, trained so',
            question,
        ],
        [
            "caches of many prompts at once on a GPU: their room, or reading them",
            "vLLM",
            '`keep_ratio` 0.5, `queries="none"`, `positions="repack"`',
            engine,
        ],
        [
            "the vision tower, or the threads that cut tiles",
            "any",
            "fewer tiles",
            "not measured here",
        ],
    ]
