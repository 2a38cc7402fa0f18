"""The second half of PRETRAINED.md: what the pretrained language model reads in a pyramid, and of receipts that are
cut otherwise or compressed."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.figures import save_figure
from benchmarks.sawtooth.measurements.first_token import FirstToken
from benchmarks.sawtooth.measurements.receipts import METHODS, PLAIN, CompressedReceipts, Receipts, name_and_number
from benchmarks.sawtooth.pretrained.evaluate import LARGE, Asked, ask_about_held_out
from benchmarks.sawtooth.pretrained.questions import KINDS, PRICED, SENTENCES
from benchmarks.sawtooth.report.figures import panels
from benchmarks.sawtooth.report.per_model import exact_gain, share
from benchmarks.sawtooth.report.pretrained import CHAT, WITH_PICTURE, Try, load_try, share_right
from benchmarks.sawtooth.report.readings import load
from benchmarks.sawtooth.report.statistics import bootstrap, percent, ratio
from benchmarks.tables import blocks, markdown_table


READER = "smollm"  # of the readings
BEFORE = f"{READER}-early"  # of those one stage before the last
# Names of the logs, in the order of training, and what each showed
STAGES = {
    "larger": "half of the pictures fill four to six tiles: pages of up to twelve words, bills of four to eight names "
    "and numbers",
    "receipts": "receipts of two to four lines above all",
    "bills": "bills above all, each line asked for once; half of the pictures are cut without the second grid, and "
    "the tower learns, too",
    "compressed": "one question a row; in two thirds of the batches between 20 and 100% of the detailed tokens stay, "
    "chosen by the question in layer 8, which learns to look at the words that question or answer name; the tower "
    "learns, too",
    "early": "the same in layer 3, where the scores cost less; the question learns to look at the other words of the "
    "page, too, a quarter as much; more pictures show a word or lines",
    "kept": "the same, but tokens that stay keep their numbers; before, they were numbered anew, without gaps",
}
FIGURE = "stages.png"
DRAWN = {  # parts of the figure, in two panels
    "what is written, %": ("words", "value", "cost on a receipt", "value on a bill", "cost on a bill"),
    "plain questions, %": (CHAT, WITH_PICTURE),
}
PARTS = ("words", *KINDS, *LARGE, "unseen wordings", CHAT, WITH_PICTURE)
FIRST = 40  # receipts of each question, read before the others, which were to confirm what these suggested
SAME = ["page"]  # what tells questions apart


def load_stages(folder: Path) -> list[Try]:
    """The logs of the stages in a pyramid, from a folder of results."""
    return [load_try(folder / f"pretrained-{name}.jsonl") for name in STAGES]


def accuracies(last: Try, layout: str) -> list[str]:
    """What is right of the questions of `make demo-smollm` about a layout, with intervals."""
    found = {part: last.found("after", part) for part in (f"{kind} on a {layout}" for kind in SENTENCES)}
    return [f"{part} {percent(share_right(entry))}% (n = {entry['n']})" for part, entry in found.items()]


def over_stages(stages: list[Try], part: str) -> list[dict | None]:
    """A measurement before the stages and after each; nothing where it wasn't taken."""
    evaluations = [(stages[0], "before"), *((stage, "after") for stage in stages)]
    return [stage.found(when, part, None) for stage, when in evaluations]


def cell(entry: dict | None) -> str:
    """What is right of a measurement, a dash where it wasn't taken."""
    return f"{percent(share_right(entry))} (n = {entry['n']})" if entry else "–"


def stage_table(stages: list[Try]) -> list[str]:
    """A row per measurement: before the stages and after each."""
    rows = [[part, *map(cell, over_stages(stages, part))] for part in PARTS]
    return markdown_table(["question", "before, %", *(f"after {name}, %" for name in STAGES)], rows)


def draw_stages(stages: list[Try], path: Path) -> None:
    """What is right before the stages and after each, with intervals; the parts of `DRAWN`."""
    figure, (axes,) = panels(1, len(DRAWN), figsize=(11, 4.2))
    for axis, (title, parts) in zip(axes, DRAWN.items(), strict=True):
        for number, part in enumerate(parts):
            found = [(place, entry) for place, entry in enumerate(over_stages(stages, part)) if entry]
            middles, lows, highs = 100 * np.array([share_right(entry) for _, entry in found]).T
            places = np.array([place for place, _ in found]) + 0.06 * (number - (len(parts) - 1) / 2)
            axis.errorbar(places, middles, yerr=(middles - lows, highs - middles), marker="o", capsize=3, label=part)
        axis.set(title=title, ylim=(-2, 102), xlim=(-0.3, len(stages) + 0.3))
        axis.set_xticks(range(len(stages) + 1), ["before", *(f"after\n{stage.name}" for stage in stages)])
        axis.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
    save_figure(figure, path)


def with_pages(table: pd.DataFrame) -> pd.DataFrame:
    """The readings and the `page` of each: the receipts of one kind of question are not those of the other."""
    return table.assign(page=table["layout"] + table["kind"] + table["receipt"].astype(str))


def gains_by_cut(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """What one way answers more than another: of all, where plain tiling cuts name or number, and elsewhere."""
    gains = [exact_gain(one, other, SAME)]
    for is_cut in (1, 0):
        of_sort = [each[each["is_cut"] == is_cut] for each in (one, other)]
        gains.append(f"{exact_gain(*of_sort, SAME)} (n = {len(of_sort[0])})")
    return gains


def plain_gains(table: pd.DataFrame) -> str:
    """What plain tiling answers more than the pyramid, of receipts and bills, all tokens kept."""
    full = with_pages(table[table["keep_ratio"] == 1])
    gains = []
    for layout in PRICED:
        one, other = (full[(full["layout"] == layout) & (full["method"] == method)] for method in (PLAIN, METHODS[0]))
        gains.append(f"{exact_gain(one, other, SAME)} on a {layout} (n = {len(one)})")
    return " and ".join(gains)


def cutting_table(table: pd.DataFrame) -> list[str]:
    """A row per layout and way to cut, all tokens kept."""
    table = with_pages(table)
    full = table[table["keep_ratio"] == 1]
    rows = []
    for layout in PRICED:
        of_layout = full[full["layout"] == layout]
        by_pyramid = of_layout[of_layout["method"] == METHODS[0]]
        for method in METHODS:
            found = of_layout[of_layout["method"] == method]
            by_kind = [found[found["kind"] == kind] for kind in SENTENCES]
            kinds = [share(each, each["exact"]) for each in by_kind]
            gains = ["", "", ""] if method == METHODS[0] else gains_by_cut(found, by_pyramid)
            rows.append([layout, method, round(found["tokens"].mean()), *kinds, *gains])
    head = ["layout", "cut by", "tokens", *SENTENCES, f"minus `{METHODS[0]}`", "of cut lines", "of the others"]
    return markdown_table(head, rows, right=("tokens",))


def compression_rows(table: pd.DataFrame, layout: str = PRICED[0]) -> tuple[list[str], list[list]]:
    """Heads, and a row per way to score the detailed tokens of a layout."""
    table = with_pages(table[(table["method"] == METHODS[0]) & (table["layout"] == layout)])
    compressed = table[table["keep_ratio"] < 1]
    full = table[(table["keep_ratio"] == 1) & table["page"].isin(compressed["page"])]
    rows = [["all tokens", "–", "1", "–", share(full, full["exact"]), "", "", ""]]
    rule = ["queries", "layer", "keep_ratio", "positions"]
    for (queries, layer, kept, positions), found in compressed.groupby(rule, sort=False):
        values = (found["exact"], found["kept_asked"], found["kept_asked"] - found["kept_all"])
        shares = [share(found, each) for each in values]
        rows.append([queries, layer, f"{kept:g}", positions, shares[0], exact_gain(found, full, SAME), *shares[1:]])
    head = [*rule, "exact", "minus all tokens", "kept on the answer", "minus kept of all"]
    return head, rows


def trained_rows(table: pd.DataFrame) -> tuple[list[str], list[list]]:
    """`compression_rows` of receipts and bills; `table` are the readings of `CompressedReceipts`."""
    by_layout = {layout: compression_rows(table, layout) for layout in PRICED}
    head, _ = by_layout[PRICED[0]]
    return ["layout", *head], [[layout, *row] for layout, (_, rows) in by_layout.items() for row in rows]


def compressed_accuracies(table: pd.DataFrame, layout: str, keep_ratio: float, positions: str) -> list[str]:
    """The same as `accuracies` with a share of the detailed tokens, the question's; nothing where it wasn't read."""
    found = with_pages(table[(table["layout"] == layout) & (table["queries"] == "question")])
    found = found[(found["keep_ratio"] == keep_ratio) & (found["positions"] == positions)]
    return [
        f"{kind} on a {layout} {share(each, each['exact'])}% (n = {len(each)})"
        for kind, each in found.groupby("kind", sort=False)
    ]


def gains_of_halves(table: pd.DataFrame, one: tuple[str, str], other: tuple[str, str]) -> str:
    """What half of the tokens answer more by one rule than by another, each of queries and positions."""
    gains = []
    for layout in PRICED:
        found = with_pages(table[(table["layout"] == layout) & (table["keep_ratio"] == 0.5)])
        by_rule = found.groupby(["queries", "positions"])
        gains.append(f"{exact_gain(by_rule.get_group(one), by_rule.get_group(other), SAME)} points on a {layout}")
    return " and ".join(gains)


def is_of_another_line(answer: str, asked: Asked) -> bool:
    """Whether the number (of a cost) or name (of an item) that is answered is wrong, and stands in another line."""
    place = int(asked.turn.kind == "cost")
    said, wanted = map(name_and_number, (answer, asked.turn.spelled))
    others = {line[place] for line in asked.picture.page.lines} - {wanted[place]}
    return len(said) == 2 and said[place] in others


def wrong_lines(table: pd.DataFrame) -> str:
    """How many answers are of another line with all tokens, and by each rule, of the same questions."""
    compressed = numbers(table)[1]
    asked = {
        (layout, kind): ask_about_held_out(kind, compressed, lambda word: None, layout=layout)
        for layout in PRICED
        for kind in SENTENCES
    }
    table = table[(table["method"] == METHODS[0]) & (table["receipt"] < compressed)]
    counts = []
    for layout in PRICED:
        of_layout, found = table[table["layout"] == layout], []
        for rule, rows in of_layout.groupby(["keep_ratio", "queries", "positions"], sort=False):
            kept, queries, positions = rule
            wrong = sum(
                is_of_another_line(row.answer, asked[layout, row.kind][row.receipt]) for row in rows.itertuples()
            )
            by = "with all tokens" if kept == 1 else f"by `{queries}` at {kept:g} (`{positions}`)"
            found.append(f"{wrong} {by}")
        counts.append(f"of {compressed * len(SENTENCES)} on a {layout} {', '.join(found)}")
    return "; ".join(counts)


def first_token_table(times: pd.DataFrame) -> list[str]:
    """A row per layout and rule: seconds to the first token, and their share of those with all tokens."""
    rows = []
    for layout in PRICED:
        found = times[times["layout"] == layout].set_index("receipt")
        full = found[found["keep_ratio"] == 1]
        for (queries, layer, kept), each in found.groupby(["queries", "layer", "keep_ratio"], sort=False):
            rule, part = ("all tokens", "–", "1"), ""
            if kept < 1:
                rule = queries, layer, f"{kept:g}"
                part = percent(bootstrap(each.index, ratio(each["seconds"], full["seconds"].loc[each.index])))
            rows.append([layout, *rule, f"{each['seconds'].median():.2f}", part])
    head = ["layout", "queries", "layer", "keep_ratio", "seconds", "of all tokens' time, %"]
    return markdown_table(head, rows, right=("layer", "keep_ratio", "seconds"))


def compressed_section(stage: Try, table: pd.DataFrame, before: pd.DataFrame, times: pd.DataFrame) -> list[str]:
    """
    What the last stage changed, by the readings of `CompressedReceipts`, those `before` it and the `times` of
    `FirstToken`.
    """
    first, *_, last = [entry["looking"] for entry in stage.log if "looking" in entry]
    all_tokens, compressed = numbers(table)
    own, published = ("question", stage.settings["positions"]), ("all", "repack")
    return blocks(
        "### Compressed, after training under it",
        f"After `{stage.name}`, read in float32. In that stage the scores of the question in layer "
        f"{stage.settings['layer']} had a loss of their own beside that of the answers (weight 0.3): the divergence, "
        "as shares of the detailed tokens, from equal scores on the patches that show the words which question or "
        f"answer name, {stage.settings['other_words']:g} times as high ones on other words, and none elsewhere. It "
        f"fell from {first:.2f} (mean of the first steps in the log) to {last:.2f} (of the last). {compressed} "
        "pictures for each of two questions, the first of those above. `keep`: what stays keeps its numbers, as "
        "in training in this stage; `repack`: it is numbered anew, as in the stages before and as published. "
        "`text` asks no model: tokens that show a part of a word stay first, then those with most ink, which only who "
        "drew the picture can know. With half of the tokens, the question's minus the published rule's: "
        f"{gains_of_halves(table, own, published)}; minus the published scores' with numbers kept: "
        f"{gains_of_halves(table, own, ('all', 'keep'))}; kept numbers minus new ones, by the question: "
        f"{gains_of_halves(table, ('question', 'keep'), ('question', 'repack'))}; by the published scores: "
        f"{gains_of_halves(table, ('all', 'keep'), published)}; chosen by hand minus by the question: "
        f"{gains_of_halves(table, ('text', 'keep'), own)}.",
        markdown_table(*trained_rows(table), right=("layer", "keep_ratio")),
        "Answers whose number (of a cost) or name (of an item) is wrong and stands in another line of the picture: "
        f"{wrong_lines(table)}.",
        "One stage before, after `early`, whose training renumbered and never kept numbers, of the same questions:",
        markdown_table(*trained_rows(before), right=("layer", "keep_ratio")),
        f"Of another line: {wrong_lines(before)}. Kept numbers minus new ones, by the question: "
        f"{gains_of_halves(before, ('question', 'keep'), ('question', 'repack'))}.",
        f"After `{stage.name}` with all tokens, {all_tokens} pictures for each question, `{PLAIN}` minus "
        f"`{METHODS[0]}` is {plain_gains(table)}.",
        f"The time to the first token, tower and scores among it: {times['receipt'].nunique()} questions about each "
        "layout, all rules in turns, each question three times and their median, in seconds of the process on one "
        "core; the median of the questions, and the share of what all tokens take, of the sums, with its interval by "
        "bootstrap over questions. Read after `early`: the last stage changed weights alone. Layer 8 is that of "
        "`compressed`.",
        first_token_table(times),
    )


def numbers(table: pd.DataFrame) -> tuple[int, int]:
    """How many pictures of each kind were read with all tokens, and how many compressed."""
    return tuple(table[where]["receipt"].nunique() for where in (table["keep_ratio"] == 1, table["keep_ratio"] < 1))


def size_of(stage: Try) -> str:
    """How long a stage took."""
    rows = stage.settings["batch"] * stage.settings["accumulate"]
    return f"{stage.settings['minutes']:g} minutes, {stage.steps} steps of {rows} rows"


def receipts_report(stages: list[Try], table: pd.DataFrame) -> list[str]:
    """The lines of the second half; `table` are the readings of `Receipts`."""
    spent = map(size_of, stages)
    shown = [f"- `{name}` ({time}): {what}" for (name, what), time in zip(STAGES.items(), spent, strict=True)]
    cut, compressed = numbers(table)
    return blocks(
        "## In a pyramid",
        "From the last try, more stages on two cores, each from the one before. Pictures are cut by `any` under the "
        "ranges of the small checkpoint, with a global tile, where nothing else is said. Several questions each, two "
        "new ones answered in a sentence (*What does tea cost?* is *tea costs 12.*).",
        shown,
        "What is right before and after, through the pyramid, in % with Wilson's intervals. The last stage gives the "
        "model of `make demo-smollm`.",
        stage_table(stages),
        f"![What is right before the stages and after each]({FIGURE})",
        "### Cut otherwise",
        f"After `bills`: {cut} pictures for each of two questions, read in bfloat16: what does one thing cost, and "
        "what costs so much? The answer has to be the whole sentence. This stage showed as many pictures by the "
        "first way as by the second, and none by the others: the third tells how far the model relies on what the "
        "second grid shows, the fourth, one grid of about as many tiles, has often more than the six that were "
        "trained. In % with 95% intervals by bootstrap over the questions; *cut lines*: a line of the detailed grid "
        f"runs through the name or the number. The first {FIRST} pictures of each were read before the others were "
        f"planned. Of the others alone, `{PLAIN}` minus `{METHODS[0]}` is "
        f"{plain_gains(table[table['receipt'] >= FIRST])}.",
        cutting_table(table),
        "### Compressed, without training for it",
        f"After `bills`, the same questions about {compressed} receipts each through the pyramid, with part of the "
        "detailed tokens, chosen by the attention of one layer of 30 (`all`, 1 is published; positions renumbered, as "
        "published) or, `none`, by the norm of their features. Kept on the answer: of the tokens that show the word "
        "which answers. What compression saves in time on this language model is in "
        "[speed/PRETRAINED.md](../speed/PRETRAINED.md).",
        markdown_table(*compression_rows(table), right=("layer", "keep_ratio")),
    )


def write_reader(results: Path, folder: Path) -> str:
    """The same from the files in a folder of results; its figure is written to another."""
    stages = load_stages(results)
    draw_stages(stages, folder / FIGURE)
    lines = receipts_report(stages, load(results / Receipts().path(READER).name))
    compressed = CompressedReceipts()
    readings = (compressed.path(READER), compressed.path(BEFORE), FirstToken().path(READER))
    lines += compressed_section(stages[-1], *(load(results / each.name) for each in readings))
    return "\n".join(["", *lines])
