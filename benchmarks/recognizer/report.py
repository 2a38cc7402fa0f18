"""RESULTS.md of readings.csv."""

from pathlib import Path

import pandas as pd

from benchmarks.recognizer.figure import TITLES, draw_results
from benchmarks.recognizer.pages import FONTS, KINDS, LENGTHS, RANGES, SIZES, TILE_SIZE
from benchmarks.recognizer.reading import MARGIN
from benchmarks.recognizer.scoring import (
    METHODS,
    gain,
    gain_anywhere,
    keeps_detailed_grid,
    load_readings,
    mean_tiles,
    occurrence,
    share_read,
    share_read_anywhere,
)
from benchmarks.sawtooth.report.statistics import Estimate, bootstrap, difference, percent
from benchmarks.tables import blocks, markdown_table


ALONE, ONCE, TWICE, FINER, OVERLAP, ANY, JOINT = METHODS
COMPARED = [(ANY, TWICE), (ANY, FINER), (JOINT, TWICE), (JOINT, FINER), (JOINT, ANY), (OVERLAP, JOINT)]
DEPTHS = {"less than 15%": (0, 0.15), "15 to 50%": (0.15, 0.51), "15 to 30%": (0.15, 0.3), "30 to 50%": (0.3, 0.51)}
LETTERS = {"below 17 px": (0, 17), "17 px and more": (17, 99)}


def points(estimate: Estimate) -> str:
    """An estimate in %, without its interval, which the tables have."""
    return f"{100 * estimate[0]:.1f}"


def summary(table: pd.DataFrame) -> str:
    """Four sentences for a stranger."""
    row, uncut = (table[table["kind"] == kind] for kind in ("row", "uncut"))
    read = {method: points(share_read(row, method)) for method in METHODS}
    tiles = mean_tiles(set(table["page"]))
    return (
        "A model that reads an image tile by tile gets a word in two halves where a line between rows of tiles runs "
        f"through it: a pretrained text recognizer reads {read[ALONE]}% of such words in the tiles of the detailed "
        f"grid, and {points(share_read(uncut, ALONE))}% of the words that no line cuts. Shown the whole image in one "
        f"tile besides, it reads {read[ONCE]}% of them, and the same grid a second time adds nothing. With "
        f"Mini-Monkey's second grid, whose lines run elsewhere, it reads {read[ANY]}%, and {read[JOINT]}% where both "
        f"grids are chosen together (`joint`), against {read[FINER]}% with one finer grid of about as many tiles "
        f"(`any` minus finer: {percent(gain(row, ANY, FINER))} points). Tiles that overlap by a quarter do as well, "
        f"{read[OVERLAP]}% from {tiles[OVERLAP]:.1f} tiles a page instead of {tiles[ANY]:.1f} or {tiles[JOINT]:.1f}: "
        "what helps is to show every word whole in some tile, and a second grid is one way to do that."
    )


def shares_table(table: pd.DataFrame) -> list[str]:
    """Every method on every kind of word."""
    tiles, rows = mean_tiles(set(table["page"])), []
    for method in METHODS:
        shares = [percent(share_read(table[table["kind"] == kind], method)) for kind in KINDS]
        rows.append([method, f"{tiles[method]:.1f}", *shares, percent(share_read_anywhere(table, method))])
    return markdown_table(["what the recognizer sees", "tiles", *TITLES.values(), "anywhere"], rows, right=["tiles"])


def gains_table(table: pd.DataFrame) -> list[str]:
    """Differences between methods, word by word."""
    rows = []
    for method, control in COMPARED:
        kinds = [percent(gain(table[table["kind"] == kind], method, control)) for kind in KINDS]
        more = table[method].astype(float) - table[control]
        apart = difference(more, table["kind"] == "row", table["kind"] == "uncut")
        rows.append(
            [
                f"{method} minus {control}",
                *kinds,
                percent(bootstrap(table["page"], apart)),
                percent(gain_anywhere(table, method, control)),
            ]
        )
    return markdown_table(["words read, in points", *TITLES.values(), "rows minus not cut", "anywhere"], rows)


def parts_table(table: pd.DataFrame) -> list[str]:
    """Words that are cut between rows, by how deeply and by how large their letters are."""
    row, rows = table[table["kind"] == "row"], []
    for column, parts in (("depth", DEPTHS), ("size", LETTERS)):
        for name, (low, high) in parts.items():
            part = row[(row[column] >= low) & (row[column] < high)]
            shares = [percent(share_read(part, method)) for method in (ALONE, ONCE, FINER, OVERLAP, ANY, JOINT)]
            rows.append([name, len(part), *shares])
    return markdown_table(["cut between rows", "n", ALONE, ONCE, FINER, OVERLAP, ANY, JOINT], rows, right=["n"])


def numbers_line(table: pd.DataFrame) -> str:
    """How many words and pages there are, and how often words at random places are cut."""
    each = len(table) // len(KINDS)
    cut = {kind: f"{100 * share:.1f}%" for kind, share in occurrence(table).items()}
    return (
        f"All figures in %, n = {each} words of each kind on {table['page'].nunique()} pages, with 95% intervals by "
        "bootstrap over pages. Tiles: per page, of which the recognizer sees all. Anywhere: words at random places, "
        f"of which {cut['row']} are cut between rows, {cut['column']} between columns only and "
        f"{cut['uncut']} not; each word here counts as often as its kind occurs."
    )


def method_parts() -> list[str]:
    """How it was measured."""
    (fewest, most), (least, largest) = RANGES
    return [
        f"Pages (`pages.py`) are so large that the published ranges of the demo apply: detailed {fewest} to {most}, "
        f"second grid {least} to {largest} tiles of {TILE_SIZE} px. Words of {LENGTHS[0]} to {LENGTHS[-1]} letters "
        f"from a lexicon, black on white, in {len(FONTS)} fonts ({', '.join(FONTS)}), letters of {SIZES[0]} to "
        f"{SIZES[1]} px in the detailed tiles. Word, font and size are drawn before the place, so that the kinds "
        "differ in place alone. Cut between rows: no row of tiles shows all of the word's ink, however little is "
        "missing, and whatever columns do.",
        "Reading (`reading.py`): PP-OCRv4's recognizer, as `rapidocr-onnxruntime` 1.4.4 ships it, gets what each tile "
        f"shows of the word's box, {MARGIN[0]} px left and right and {MARGIN[1]} px above and below included. A word "
        "is read if it is exactly the answer to one tile, or if the answers to the pieces in a row of tiles are, "
        "joined from left to right; upper and lower case are the same.",
        f"`{TWICE}`: the detailed grid as second grid, too: more tiles than the pyramids have, the same cut lines. "
        f"`{FINER}`: one grid of 80 to 100% as many tiles as both grids of `any` have. `{OVERLAP}`: the tiles of the "
        "detailed grid, each sharing a quarter of its side with the next, on a smaller canvas.",
    ]


CAPTION = "A word that the detailed grid cuts, in both grids, and how many words are read by every method"
LIMITS = (
    "- An upper bound: the recognizer is told where each word is, and a word counts if any view shows it. A "
    "language model has to find it, and to choose between what its views say.",
    "- No vision-language model read anything here. What small ones make of a second grid is in "
    "[benchmarks/sawtooth/RESULTS.md](../sawtooth/RESULTS.md); the published weights were not run.",
    "- Scattered words of a lexicon on white paper: no documents, no photos, no handwriting. The recognizer knows "
    "English words and completes halves of letters; codes and numbers were not tried.",
    "- Seeing the same tiles twice adds nothing by construction: the recognizer answers the same. It is there to show "
    "that more tokens are not what a second grid brings.",
    "- `joint` has more tiles than `any` and than the finer grid; the overlap has fewer than all of them.",
)


def same_grid_line(table: pd.DataFrame) -> str:
    """What is left of the gain of `joint` where its detailed grid is that of `any`, which sorts the words."""
    same = keeps_detailed_grid(table["page"].unique())
    rows = table[(table["kind"] == "row") & table["page"].map(same)]
    read = {method: percent(share_read(rows, method)) for method in (ONCE, ANY, JOINT)}
    return (
        f"- `joint` chooses another detailed grid on {len(same) - sum(same.values())} of {len(same)} pages, which may "
        f"leave a word whole that the one of `any` cuts. On the others ({len(rows)} row-cut words) plain tiling reads "
        f"{read[ONCE]}%, `any` {read[ANY]}% and `joint` {read[JOINT]}%."
    )


def report(table: pd.DataFrame) -> str:
    """The text of RESULTS.md."""
    return "\n".join(
        blocks(
            "# A real recognizer over cut lines",
            summary(table),
            f"![{CAPTION}](results.png)",
            numbers_line(table),
            shares_table(table),
            "The same as differences, word by word. Rows minus not cut: what is due to the cut, beyond seeing more.",
            gains_table(table),
            "Where the line runs, as a share of the word's height from its nearer edge, and how large the letters are "
            "in the detailed tiles:",
            parts_table(table),
            "## What it does not show",
            [*LIMITS, same_grid_line(table)],
            "## What follows for you",
            advice(table),
            "## How it was measured",
            *method_parts(),
            "Written by `make bench-recognizer` from `readings.csv`, which has every answer of the recognizer; change "
            "the scripts, not this file.",
        )
    )


def advice(table: pd.DataFrame) -> list[str]:
    """What a user can do with it."""
    lost = {method: f"{100 * (1 - share_read_anywhere(table, method)[0]):.1f}%" for method in METHODS}
    cut = 1 - occurrence(table)["uncut"]
    return [
        f"- Few words are concerned, {100 * cut:.1f}% of those at random places. Of all words, the "
        f"detailed grid and the global view lose {lost[ONCE]}, `any` {lost[ANY]}, `joint` {lost[JOINT]}, a finer "
        f"grid {lost[FINER]}, as its lines cut other words. It matters where no word may be lost, such as the one "
        "total of a receipt.",
        "- Spend tiles on a second grid (`adaptive_tiles`) rather than on a finer one (`detailed_tiles`).",
        '- `complementarity="joint"` where you train, or may change the detailed grid: fewer lines are shared, for '
        "more tiles. The published weights know `any`.",
        "- Where you build a model of your own, try overlapping tiles, too: here they do as well with fewer tokens.",
    ]


def write_report(folder: Path) -> None:
    """Write RESULTS.md and its figure beside the readings in a folder."""
    table = load_readings(folder / "readings.csv")
    (folder / "RESULTS.md").write_text(report(table), encoding="utf-8")
    draw_results(table, folder / "results.png")
