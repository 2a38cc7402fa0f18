"""The second half of PRETRAINED.md: what the pretrained language model reads in a pyramid, and of receipts that are
cut otherwise or compressed."""

from pathlib import Path

import pandas as pd

from benchmarks.sawtooth.measurements.receipts import METHODS, Receipts
from benchmarks.sawtooth.pretrained.evaluate import LARGE
from benchmarks.sawtooth.pretrained.questions import KINDS, SENTENCES
from benchmarks.sawtooth.report.per_model import exact_gain, share
from benchmarks.sawtooth.report.pretrained import CHAT, WITH_PICTURE, Try, load_try, share_right
from benchmarks.sawtooth.report.readings import load
from benchmarks.sawtooth.report.statistics import percent
from benchmarks.tables import blocks, markdown_table


READER = "smollm"  # of the readings
STAGES = ("larger", "receipts")  # names of the logs, in the order of training
PARTS = ("words", *KINDS, *LARGE, "unseen wordings", CHAT, WITH_PICTURE)
OF_DEMO = ("cost on a receipt", "item on a receipt")
SAME = ["page"]  # what tells questions apart


def load_stages(folder: Path) -> list[Try]:
    """The logs of the stages in a pyramid, from a folder of results."""
    return [load_try(folder / f"pretrained-{name}.jsonl") for name in STAGES]


def accuracies(last: Try) -> list[str]:
    """What is right of the questions of `make demo-smollm`, with intervals."""
    found = {part: last.found("after", part) for part in OF_DEMO}
    return [f"{part} {percent(share_right(entry))}% (n = {entry['n']})" for part, entry in found.items()]


def cell(stage: Try, when: str, part: str) -> str:
    """What is right of a measurement, a dash where it wasn't taken."""
    measured = [entry.get("part") for entry in stage.log if entry.get("evaluation") == when]
    if part not in measured:
        return "–"
    entry = stage.found(when, part)
    return f"{percent(share_right(entry))} (n = {entry['n']})"


def stage_table(stages: list[Try]) -> list[str]:
    """A row per measurement: before the stages and after each."""
    evaluations = [(stages[0], "before"), *((stage, "after") for stage in stages)]
    rows = [[part, *(cell(stage, when, part) for stage, when in evaluations)] for part in PARTS]
    return markdown_table(["question", "before, %", *(f"after {name}, %" for name in STAGES)], rows)


def with_pages(table: pd.DataFrame) -> pd.DataFrame:
    """The readings and the `page` of each: the receipts of one kind of question are not those of the other."""
    return table.assign(page=table["kind"] + table["receipt"].astype(str))


def cutting_table(table: pd.DataFrame) -> list[str]:
    """A row per way to cut, all tokens kept."""
    table = with_pages(table)
    full = table[table["keep_ratio"] == 1]
    by_pyramid = full[full["method"] == METHODS[0]]
    rows = []
    for method in METHODS:
        found = full[full["method"] == method]
        by_kind = [found[found["kind"] == kind] for kind in SENTENCES]
        kinds = [share(each, each["exact"]) for each in by_kind]
        minus = "" if method == METHODS[0] else exact_gain(found, by_pyramid, SAME)
        rows.append([method, round(found["tokens"].mean()), *kinds, minus])
    head = ["cut by", "tokens", *SENTENCES, f"minus `{METHODS[0]}`"]
    return markdown_table(head, rows, right=("tokens",))


def compression_table(table: pd.DataFrame) -> list[str]:
    """A row per way to score the detailed tokens."""
    table = with_pages(table[table["method"] == METHODS[0]])
    full = table[table["keep_ratio"] == 1]
    rows = [["all tokens", "–", "1", share(full, full["exact"]), "", "", ""]]
    for (ratio, queries, layer), found in table[table["keep_ratio"] < 1].groupby(
        ["keep_ratio", "queries", "layer"], sort=False
    ):
        values = (found["exact"], found["kept_asked"], found["kept_asked"] - found["kept_all"])
        shares = [share(found, each) for each in values]
        rows.append([queries, layer, f"{ratio:g}", shares[0], exact_gain(found, full, SAME), *shares[1:]])
    head = ["queries", "layer", "keep_ratio", "exact", "minus all tokens", "kept on the answer", "minus kept of all"]
    return markdown_table(head, rows, right=("layer", "keep_ratio"))


def receipts_report(stages: list[Try], table: pd.DataFrame) -> list[str]:
    """The lines of the second half; `table` are the readings of `measurements/receipts.py`."""
    spent = [f"{each.settings['minutes']:g} minutes and {each.steps} steps" for each in stages]
    rows = stages[0].settings["batch"] * stages[0].settings["accumulate"]
    receipts = table["receipt"].nunique()
    return blocks(
        "## In a pyramid",
        f"From the last try, two stages more on two cores, of {rows} rows a step: `{STAGES[0]}` ({spent[0]}), where "
        "half of the pictures fill four to six tiles (pages of up to twelve words, bills of four to eight names and "
        f"numbers), and `{STAGES[1]}` ({spent[1]}), of receipts of two to four lines above all. All pictures are cut "
        "by `any` under the ranges of the small checkpoint, with a global tile; up to eight questions each, two new "
        "ones answered in a sentence (*What does tea cost?* is *tea costs 12.*). What is right before and after, "
        "through the pyramid, in % with Wilson's intervals. The last stage gives the model of `make demo-smollm`.",
        stage_table(stages),
        "### Cut otherwise",
        f"{receipts} receipts for each of two questions, read in bfloat16: what does one thing cost, and what costs "
        "so much? The answer has to be the whole sentence. These stages showed the pyramid alone; so the other ways "
        "tell how far the model relies on it, not what training with them would give. In % with 95% intervals by "
        "bootstrap over the questions.",
        cutting_table(table),
        "### Compressed, without training for it",
        "The same questions through the pyramid, with part of the detailed tokens, chosen by the attention of one "
        "layer of 30 (`all`, 1 is published; positions renumbered, as published). Kept on the answer: of the tokens "
        "that show the word which answers. What compression saves in time on this language model is in "
        "[speed/PRETRAINED.md](../speed/PRETRAINED.md).",
        compression_table(table),
    )


def reader_report(results: Path) -> str:
    """The same from the files in a folder of results."""
    table = load(results / Receipts().path(READER).name)
    return "\n".join(["", *receipts_report(load_stages(results), table)])
