"""What SmolLM2, a pretrained language model behind a small vision tower, reads of receipts and bills."""

from pandas import DataFrame

from course import result


# As the benchmark's tables name them: whose attention, layer, share, positions
PUBLISHED = ("all", 1, "0.5", "repack")
OWN = ("question", 3, "0.5", "keep")
RULES = {  # what the visible table shows of each state
    "never trained for it": {
        "published rule": PUBLISHED,
        "question, layer 8, renumbered": ("question", 8, "0.5", "repack"),
    },
    "trained for it": {
        "published rule": PUBLISHED,
        "published scores, kept": (*PUBLISHED[:3], "keep"),
        "question, layer 3, renumbered": (*OWN[:3], "repack"),
        "question, layer 3, kept": OWN,
    },
}


def by_rule() -> tuple[list, list]:
    """Head and rows of the benchmark's table: receipts by the rule that chose the tokens, none of them trained."""
    from benchmarks.sawtooth.report.receipts import compression_rows

    return compression_rows(result("receipts-smollm"))


def trained() -> tuple[list, list]:
    """The same after training under compression, of receipts and bills."""
    from benchmarks.sawtooth.report.receipts import trained_rows

    return trained_rows(result("compressed-receipts-smollm"))


def halves(before: tuple[list, list], after: tuple[list, list]) -> tuple[list, list]:
    """Head and rows: what half of the detailed tokens keep and cost, of what `by_rule` and `trained` gave."""
    head, rows = before
    tables = {
        "never trained for it": DataFrame(rows, columns=head).assign(layout="receipt"),
        "trained for it": DataFrame(after[1], columns=after[0]),
    }
    found = []
    for state, rules in RULES.items():
        for layout, table in tables[state].groupby("layout", sort=False):
            by = table.set_index(head[:4])
            for name, rule in rules.items():
                row = by.loc[rule]
                shown = row[["kept on the answer", "exact", "minus all tokens"]]
                found.append([f"{layout}s, {state}: {name}", *shown])
    return [
        "SmolLM2, half of the detailed tokens",
        "of the answer's tokens stay, %",
        "answers right, %",
        "minus all tokens, points",
    ], found
