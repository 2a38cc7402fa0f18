"""Draw and tabulate what benchmarks/sawtooth/results holds: RESULTS.md, and two figures per checkpoint.

python -m benchmarks.sawtooth.report
"""

from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.sawtooth.columns import Columns, choose, in_center, load, on_line, percent
from benchmarks.sawtooth.documents import KINDS
from benchmarks.sawtooth.methods import METHODS
from benchmarks.sawtooth.overview import compared, comparisons, overview_section
from benchmarks.sawtooth.statistics import bootstrap, difference, mean, period
from benchmarks.sawtooth.summary import summary_section
from benchmarks.sawtooth.sweep import FOLDER


REPORT = Path(__file__).with_name("RESULTS.md")
PERIODS = np.arange(0.5, 2.01, 0.05)
WAY = ("selector", "keep_ratio", "layer", "positions")
DRAWN = ("global", "detailed + global", "second grid shifted", "pyramid any", "pyramid joint")


def sweep_rows(columns: Columns) -> list[str]:
    rows = []
    for size, method in product(np.unique(columns["size"]), METHODS):
        found = choose(columns, (columns["method"] == method) & (columns["size"] == size))
        if not len(found["word"]):
            continue
        words, exact, accuracy = found["word"], found["exact"].astype(float), found["accuracy"]
        near, far = on_line(found), in_center(found)
        rows.append(
            f"| {method} | {size:g} | {len(words)} | {percent(bootstrap(words, mean(exact)))} | "
            f"{percent(bootstrap(words, mean(exact, far)))} | {percent(bootstrap(words, mean(exact, near)))} | "
            f"{percent(bootstrap(words, difference(exact, far, near)))} | "
            f"{percent(bootstrap(words, difference(accuracy, far, near)))} | {_period(found)} | "
            f"{100 * found['cut_everywhere'].mean():.0f} |"
        )
    return rows


def _period(found: Columns) -> str:
    """Of the sweeps over two lines; with less than two there is nothing to repeat."""
    long = choose(
        found, ((found["axis"] == "x") & (found["columns"] > 2)) | ((found["axis"] == "y") & (found["rows"] > 2))
    )
    return f"{period(long['position'], long['accuracy'], PERIODS):.2f}" if len(long["word"]) else "–"


def page_rows(columns: Columns) -> list[str]:
    rows = []
    for method in [name for name in METHODS if name in columns["method"]]:
        found = choose(columns, columns["method"] == method)
        read, pages = found["read"].astype(float), found["page"]
        once, never = found["cut_detailed"] & ~found["cut_everywhere"], ~found["cut_detailed"]
        rows.append(
            f"| {method} | {len(read)} | {percent(bootstrap(pages, mean(read)))} | "
            f"{percent(bootstrap(pages, mean(read, never)))} ({never.sum()}) | "
            f"{percent(bootstrap(pages, mean(read, once)))} ({once.sum()}) | "
            f"{percent(bootstrap(pages, mean(read, found['cut_everywhere'])))} ({found['cut_everywhere'].sum()}) |"
        )
    return rows


def kind_rows(columns: Columns) -> list[str]:
    rows = []
    for method in [name for name in METHODS if name in columns["method"]]:
        cells = []
        for kind in KINDS:
            found = choose(columns, (columns["method"] == method) & (columns["kind"] == kind))
            share = percent(bootstrap(found["page"], mean(found["read"].astype(float)))) if len(found["page"]) else "–"
            cells.append(f"{share} ({len(found['page'])})")
        rows.append(f"| {method} | {' | '.join(cells)} |")
    return rows


def draw_sweep(columns: Columns, path: Path) -> None:
    sizes = np.unique(columns["size"])
    figure, axes = plt.subplots(
        len(sizes), 2, figsize=(11, 3 * len(sizes) + 1), sharey=True, layout="constrained", squeeze=False
    )
    for panel, (size, (axis, length)) in zip(
        axes.flat, product(sizes, (("x", "columns"), ("y", "rows"))), strict=True
    ):
        long = choose(columns, (columns["axis"] == axis) & (columns[length] == 3) & (columns["size"] == size))
        for number, method in enumerate(DRAWN):
            found = choose(long, long["method"] == method)
            steps = np.unique(found["position"])
            values = [found["accuracy"][found["position"] == step].mean() for step in steps]
            width = 2.2 if method.startswith("pyramid") else 1.4
            panel.plot(steps, values, label=method, linewidth=width, color=f"C{number}")
        for line in (1, 2):
            panel.axvline(line, color="black", linewidth=0.8, linestyle="--")
        panel.set(xlabel=f"center of the word along {axis} (tiles of the detailed grid)", ylim=(0, 1.02))
        panel.set_title(f"letters of {size:g} px", fontsize=9)
        panel.spines[["top", "right"]].set_visible(False)
    figure.supylabel("character accuracy")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(DRAWN), frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_pages(columns: Columns, path: Path) -> None:
    methods = [name for name in METHODS if name in columns["method"]]
    figure, panel = plt.subplots(figsize=(9, 4.5), layout="constrained")
    for place, method in enumerate(reversed(methods)):
        found = choose(columns, columns["method"] == method)
        share, low, high = bootstrap(found["page"], mean(found["read"].astype(float)))
        color = "tab:orange" if method.startswith("pyramid") else "tab:blue"
        panel.barh(place, share, color=color, xerr=[[share - low], [high - share]], capsize=3)
    panel.set(xlabel="share of the words that are read", yticks=range(len(methods)), yticklabels=methods[::-1])
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def compression_rows(columns: Columns) -> list[str]:
    rows, full = [], columns["keep_ratio"] == 1.0
    for way in dict.fromkeys(zip(*(columns[name] for name in WAY), strict=True)):
        found = choose(columns, np.all([columns[name] == value for name, value in zip(WAY, way, strict=True)], axis=0))
        share = found["words_read"] / found["words"]
        seconds = np.median(found["first_token_seconds"] / found["full_seconds"])
        rows.append(
            f"| {way[0]} | {way[1]:g} | {way[2]:g} | {way[3]} | {len(share)} | "
            f"{percent(bootstrap(found['page'], mean(share)))} | "
            f"{percent(bootstrap(found['page'], mean(found['accuracy'])))} | {100 * found['loyal'].mean():.0f} | "
            f"{found['prompt_tokens'].mean():.0f} | {found['kv_bytes'].sum() / columns['kv_bytes'][full].sum():.0%} | "
            f"{seconds:.2f} |"
        )
    return rows


def draw_compression(columns: Columns, path: Path) -> None:
    figure, panel = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
    usual = choose(columns, columns["layer"] == 1)
    for selector, positions in dict.fromkeys(zip(usual["selector"], usual["positions"], strict=True)):
        of_all = usual["keep_ratio"] == 1.0  # where every way to choose begins
        chosen = (usual["selector"] == selector) & (usual["positions"] == positions)
        found = choose(usual, chosen | of_all)
        label = f"{selector}, positions kept" if positions == "keep" else selector
        ratios = np.unique(found["keep_ratio"])
        estimates = [
            bootstrap(part["page"], mean(part["accuracy"]))
            for part in (choose(found, found["keep_ratio"] == ratio) for ratio in ratios)
        ]
        middle, low, high = np.array(estimates).T
        panel.errorbar(ratios, middle, [middle - low, high - middle], label=label, marker="o", capsize=3)
    panel.set(xlabel="share of the detailed tokens that is kept", ylabel="character accuracy of pages", ylim=(0, None))
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def section(name: str) -> list[str]:
    lines = [f"## {name}", ""]
    if (path := FOLDER / f"sweep-{name}.csv").exists():
        columns = load(path)
        draw_sweep(columns, FOLDER / f"sweep-{name}.png")
        lines += [
            "### One word, moved",
            "",
            f"![Character accuracy of {name} over the place of the word](results/sweep-{name}.png)",
            "",
            "*Dashed: cut lines of the detailed grid. Grids of three tiles along the axis.*",
            "",
            "Exact match in % with 95% intervals, by bootstrap over the words. Depth: centers minus on lines.",
            "Period: of the cosine that fits best, in tiles. Cut: positions where every grid cuts the word.",
            "",
            "| cut by | letters, px | n | all | centers | on a line | depth | depth, characters | period | "
            "cut everywhere, % |",
            "| --- | ---: | ---: | --- | --- | --- | --- | --- | ---: | ---: |",
            *sweep_rows(columns),
            "",
        ]
    if (path := FOLDER / f"page-{name}.csv").exists():
        columns = load(path)
        draw_pages(columns, FOLDER / f"page-{name}.png")
        lines += [
            "### Pages",
            "",
            f"![Share of the words on pages that {name} reads](results/page-{name}.png)",
            "",
            "Words that are read, in % with 95% intervals by bootstrap over the pages; in brackets how many words.",
            "",
            "| cut by | words | all | not cut by the detailed grid | cut by it, whole elsewhere | cut by every grid |",
            "| --- | ---: | --- | --- | --- | --- |",
            *page_rows(columns),
            "",
            f"| cut by | {' | '.join(KINDS)} |",
            f"| --- |{' --- |' * len(KINDS)}",
            *kind_rows(columns),
            "",
        ]
    return lines + compression_section(name) + steering_section(name)


def compression_section(name: str) -> list[str]:
    path = FOLDER / f"compression-{name}.csv"
    if not path.exists():
        return []
    columns = load(path)
    draw_compression(columns, FOLDER / f"compression-{name}.png")
    return [
        "### Scale compression",
        "",
        f"![Character accuracy of {name} over the share of tokens that is kept](results/compression-{name}.png)",
        "",
        "The same pages under the pyramid, with part of their detailed tokens. Words read and character accuracy in %",
        "with 95% intervals by bootstrap over the pages. Loyal: answers equal to those with all tokens, in %. Tokens:",
        "of the prompt. KV: bytes of the cache against all tokens. Time: to the first token, against all tokens on",
        "the same page, measured in turns, median; below 1 is faster.",
        "",
        "| chosen by | keep_ratio | layer | positions | n | words read | characters | loyal | tokens | KV | time |",
        "| --- | ---: | ---: | --- | ---: | --- | --- | ---: | ---: | ---: | ---: |",
        *compression_rows(columns),
        "",
    ]


def steering_section(name: str) -> list[str]:
    path = FOLDER / f"steering-{name}.csv"
    if not path.exists():
        return []
    columns, rows = load(path), []
    for ratio in sorted(set(columns["keep_ratio"]), reverse=True):
        found = choose(columns, columns["keep_ratio"] == ratio)
        pages, difference_ = found["page"], found["kept_asked"] - found["kept_other"]
        rows.append(
            f"| {ratio:g} | {len(pages)} | {percent(bootstrap(pages, mean(found['exact'].astype(float))))} | "
            f"{percent(bootstrap(pages, mean(found['kept_asked'])))} | "
            f"{percent(bootstrap(pages, mean(found['kept_other'])))} | "
            f"{percent(bootstrap(pages, mean(difference_)))} | {100 * found['kept_all'].mean():.0f} |"
        )
    return [
        "### Does the question steer what is kept?",
        "",
        "Two words on one page, asked for the upper or for the lower one. Exact answers, and the detailed tokens that",
        "stay on the word asked for and on the other one, in % with 95% intervals by bootstrap over the pages.",
        "",
        "| keep_ratio | n | exact | kept on the word asked for | on the other | difference | of all |",
        "| ---: | ---: | --- | --- | --- | --- | ---: |",
        *rows,
        "",
    ]


def main() -> None:
    models, compared_training = compared(FOLDER), comparisons(FOLDER)
    names = sorted({path.stem.split("-", 1)[1] for path in FOLDER.glob("*.csv")})
    lines = [
        "# The sawtooth",
        "",
        "Written by `make bench-sawtooth` from the readings in `results/`; change the scripts, not this file.",
        "",
        "Does cutting an image into tiles break what stands on the cut lines, and does a second grid mend it? One",
        "short word, never seen in training, is moved over the image in steps of an eighth of a tile",
        "(`sweep.py`), and pages of a few words are read (`page.py`), cut in fourteen ways (`methods.py`).",
        "",
        *summary_section(models, compared_training, FOLDER),
        *overview_section(models, compared_training, FOLDER),
        *[line for name in names for line in section(name)],
    ]
    REPORT.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
