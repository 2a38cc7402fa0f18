"""What one model reads: a word that is moved, pages, compressed pages, whose attention scores best, and whether the
question steers compression."""

from collections.abc import Iterable
from itertools import product

import numpy as np
import pandas as pd

from benchmarks.sawtooth.cutting import METHODS
from benchmarks.sawtooth.measurements.compression import CompressedPages
from benchmarks.sawtooth.measurements.scoring import Scoring
from benchmarks.sawtooth.readers.documents import KINDS
from benchmarks.sawtooth.report.comparisons import Tables, of_all_tokens, trained_with
from benchmarks.sawtooth.report.readings import in_center, on_line
from benchmarks.sawtooth.report.statistics import bootstrap, difference, mean, percent, ratio
from benchmarks.tables import blocks, markdown_table
from modeling_minimonkey.configuration_minimonkey import QUERIES


def by_method(table: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    """Every method that was read with its readings, in the order of `METHODS`."""
    return ((name, table[table["method"] == name]) for name in METHODS if name in set(table["method"]))


def share(table: pd.DataFrame, values: pd.Series, chosen: np.ndarray | None = None) -> str:
    """The mean of values of pages, in % with its interval."""
    return percent(bootstrap(table["page"], mean(values, chosen)))


def sweep_section(name: str, table: pd.DataFrame) -> list[str]:
    """A moved word: exact match by method and size of the letters."""
    rows = []
    for size, (method, every) in product(np.unique(table["size"]), by_method(table)):
        found = every[every["size"] == size]
        if found.empty:
            continue
        words, exact, near, far = found["word"], found["exact"], on_line(found), in_center(found)
        statistics = [mean(exact), mean(exact, far), mean(exact, near), difference(exact, far, near)]
        statistics.append(difference(found["accuracy"], far, near))
        estimates = [percent(bootstrap(words, each)) for each in statistics]
        rows.append([method, f"{size:g}", len(found), *estimates, f"{100 * found['cut_everywhere'].mean():.0f}"])
    head = ["cut by", "letters, px", "n", "all", "centers", "on a line", "depth", "depth, characters"]
    head += ["cut everywhere, %"]
    return blocks(
        "## One word, moved",
        f"![Character accuracy of {name} over the place of the word](sweep-{name}.png)",
        "*Dashed: cut lines of the detailed grid. Grids of three tiles along the axis.*",
        "Exact match in % with 95% intervals, by bootstrap over the words. Depth: centers minus on lines. Cut: "
        "positions where every grid cuts the word.",
        markdown_table(head, rows, right=("letters, px", "n", "cut everywhere, %")),
    )


def pages_section(name: str, table: pd.DataFrame) -> list[str]:
    """Words read on pages: by what cuts them, and by the kind of page."""
    by_cut, by_kind = [], []
    for method, found in by_method(table):
        detailed, everywhere = found["cut_detailed"], found["cut_everywhere"]
        parts = (~detailed, detailed & ~everywhere, everywhere)
        shares = [f"{share(found, found['read'], part)} ({part.sum()})" for part in parts]
        by_cut.append([method, len(found), share(found, found["read"]), *shares])
        kinds = [found[found["kind"] == kind] for kind in KINDS]
        shares = [f"{share(part, part['read']) if len(part) else '–'} ({len(part)})" for part in kinds]
        by_kind.append([method, *shares])
    head = [
        "cut by",
        "words",
        "all",
        "not cut by the detailed grid",
        "cut by it, whole elsewhere",
        "cut by every grid",
    ]
    return blocks(
        "## Pages",
        f"![Share of the words on pages that {name} reads](page-{name}.png)",
        "Words that are read, in % with 95% intervals by bootstrap over the pages; in brackets how many words.",
        markdown_table(head, by_cut, right=("words",)),
        markdown_table(["cut by", *KINDS], by_kind),
    )


def compression_section(name: str, table: pd.DataFrame) -> list[str]:
    """Compressed pages: what is read, agreement, and the cost, a row per compression."""
    rows, full = [], table[table["keep_ratio"] == 1]
    for (selector, keep_ratio, layer, positions), found in table.groupby(list(CompressedPages.block), sort=False):
        seconds = np.median(found["first_token_seconds"] / found["full_seconds"])
        estimates = [share(found, found["words_read"] / found["words"]), share(found, found["accuracy"])]
        rows.append(
            [selector, f"{keep_ratio:g}", f"{layer:g}", positions, len(found), *estimates]
            + [f"{100 * found['agrees'].mean():.0f}", f"{found['prompt_tokens'].mean():.0f}"]
            + [f"{found['kv_bytes'].sum() / full['kv_bytes'].sum():.0%}", f"{seconds:.2f}"]
        )
    head = ["chosen by", "keep_ratio", "layer", "positions", "n", "words read", "characters", "agreement", "tokens"]
    head += ["KV", "time"]
    return blocks(
        "## Scale compression",
        f"![Character accuracy of {name} over the share of tokens that is kept](compression-{name}.png)",
        "The same pages under the pyramid, with part of their detailed tokens. Words read and character accuracy "
        "in % with 95% intervals by bootstrap over the pages. Agreement: answers equal to those of the "
        "uncompressed model, in %. Tokens: of the prompt. KV: bytes of the cache against all tokens. Time: to the "
        "first token, against all tokens on the same page, measured in turns, median; below 1 is faster.",
        markdown_table(head, rows, right=("keep_ratio", "layer", "n", "agreement", "tokens", "KV", "time")),
    )


OTHER_SELECTORS = (
    " Without attention: `none`, the length of a token's features; at random; evenly spaced; its pixels' ink, their "
    "standard deviation; and what only who drew the page can know: the tokens on text, then those with most ink."
)


def scoring_section(name: str, table: pd.DataFrame) -> list[str]:
    """Whose attention scores the tokens, in which layer, and where the kept ones stay."""
    full = table[table["keep_ratio"] == 1].set_index("page")
    rows = []
    for (queries, layer, positions, keep_ratio), found in table.groupby(list(Scoring.block), sort=False):
        stay = found[found["page"].map(full["right"]) == 1]
        statistics = ratio(found["words_read"], found["words"]), of_all_tokens(found, table)
        estimates = [percent(bootstrap(found["page"], each)) for each in statistics]
        rows.append(
            [
                queries,
                f"{layer:g}" if queries in ("all", "question") else "",
                positions,
                f"{keep_ratio:g}",
                len(found),
                *estimates,
            ]
            + [percent(bootstrap(stay["page"], mean(stay["right"])))]
        )
    head = ["queries", "layer", "positions", "keep_ratio", "n", "words read", "of those of all tokens", "right stay"]
    others = "" if set(table["queries"]) <= set(QUERIES) else OTHER_SELECTORS
    return blocks(
        "## Whose attention should score the tokens?",
        "The same pages with part of their detailed tokens, by `queries`, `layer` and `positions` of "
        "`scale_compression_config`: published are `all`, 1 and `repack`. Words read in %, and in % of the words that "
        "all tokens read, with 95% intervals by bootstrap over the pages. Right stay: of the "
        f"{int(full['right'].sum())} pages that all tokens read without an error, in %." + others,
        markdown_table(head, rows, right=("layer", "keep_ratio", "n", "right stay")),
    )


STEERING_KINDS = {"pair": "two words", "keyed": "two numbers of a receipt"}


def exact_gain(found: pd.DataFrame, other: pd.DataFrame, same: list[str]) -> str:
    """Exact answers minus the other's to the same questions, which the columns `same` name."""
    paired = found.merge(other, on=same, suffixes=("", "_other"))
    return share(paired, paired["exact"].astype(int) - paired["exact_other"].astype(int))


def steering_section(name: str, table: pd.DataFrame) -> list[str]:
    """What stays on the word that is asked for, and on the other one."""
    rows = []
    same = ["kind", "page", "asked", "keep_ratio"]
    others = [name for name in ("published", "all") if (table["queries"] == name).any()]
    by_others = {name: table[table["queries"] == name][[*same, "exact"]] for name in others}
    for (kind, queries, keep_ratio), found in table.groupby(["kind", "queries", "keep_ratio"], sort=False):
        asked, other = found["kept_asked"], found["kept_other"]
        shares = [share(found, each) for each in (found["exact"], asked, other, asked - other)]
        gains = [exact_gain(found, other, same) if queries == "question" else "" for other in by_others.values()]
        rows.append([STEERING_KINDS[kind], queries, f"{keep_ratio:g}", len(found), *shares, *gains])
    head = ["page", "queries", "keep_ratio", "n", "exact", "kept on the word asked for", "on the other", "difference"]
    return blocks(
        "## Does the question steer what is kept?",
        "One of two words on a page is asked for, the upper or the lower one; or one of two numbers of a receipt, by "
        "the word beside it. Exact answers, and the detailed tokens that stay on what is asked for and on the other, "
        "in % with 95% intervals by bootstrap over the pages; what the question gains in exact answers. `published`: "
        "all queries, layer 1, renumbered; `all`: with the layer and the positions of the question.",
        markdown_table([*head, *(f"exact, minus `{name}`" for name in others)], rows, right=("keep_ratio", "n")),
    )


SECTIONS = {
    "sweep": sweep_section,
    "page": pages_section,
    "compression": compression_section,
    "scoring": scoring_section,
    "steering": steering_section,
}


def model_report(name: str, readings: dict[str, Tables]) -> str:
    """The text of a model's file: all that was measured on it; `readings` by measurement and model."""
    lines = blocks(
        f"# {name}",
        f"Trained with: {trained_with(name)}. What follows from it, beside other models, and what the words mean: "
        "[RESULTS.md](../RESULTS.md). Written by `make bench-sawtooth`; change the scripts, not this file.",
    )
    for measurement, section in SECTIONS.items():
        if name in readings[measurement]:
            lines += section(name, readings[measurement][name])
    return "\n".join(lines)
