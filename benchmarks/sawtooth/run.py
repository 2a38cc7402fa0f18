"""Take readings, and write the reports: without arguments everything on every model at hand, `make bench-sawtooth`.

    python -m benchmarks.sawtooth.run
    python -m benchmarks.sawtooth.run sweep checkpoints/minimonkey-tiny --name 6m-drawn --size 32
    python -m benchmarks.sawtooth.run geometry
    python -m benchmarks.sawtooth.run report

The small checkpoint is always at hand; the others take hours to train (`make train`, `make train-families`), so their
readings stay in `results/` as they are where the models are missing. Blocks that are in a file are not read again.
"""

import argparse
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path

import torch

from benchmarks.sawtooth.cutting import SECOND_ALONE
from benchmarks.sawtooth.measurements.compression import CompressedPages
from benchmarks.sawtooth.measurements.cut_words import CutWords, LegibleWords
from benchmarks.sawtooth.measurements.first_token import FirstToken
from benchmarks.sawtooth.measurements.geometry import Geometry
from benchmarks.sawtooth.measurements.moved_word import MovedWord
from benchmarks.sawtooth.measurements.pages import Pages
from benchmarks.sawtooth.measurements.reading import load_reader
from benchmarks.sawtooth.measurements.receipts import CompressedReceipts, Receipts
from benchmarks.sawtooth.measurements.scoring import Scoring
from benchmarks.sawtooth.measurements.steering import Steering
from benchmarks.sawtooth.readers.sheet_recipe import BASE, LAST
from benchmarks.sawtooth.report.write import write_reports
from benchmarks.sawtooth.runner import Measurement, record


ROOT = Path(__file__).parents[2]
MEASUREMENTS: dict[str, type[Measurement]] = {
    each.name: each
    for each in (
        Receipts,
        CompressedReceipts,
        FirstToken,
        CutWords,
        LegibleWords,
        MovedWord,
        Pages,
        CompressedPages,
        Scoring,
        Steering,
        Geometry,
    )
}
# Name of the results -> folder. Plain: CIP is new to the model. Control: trained on as long as pyramid, without CIP.
# Compressed: pyramid, trained on under scale compression with positions kept; drawn: on with positions of both kinds,
# and questions for a number beside a word.
READERS = {
    "6m-plain": "runs/6m/again/model",
    "6m-control": "runs/6m/control/model",
    "6m-pyramid": "runs/6m/pyramid/model",
    "6m-compressed": "runs/6m/steered/model",
    "6m-drawn": "checkpoints/minimonkey-tiny",
    "3m-plain": "runs/3m/again/model",
    "3m-control": "runs/3m/control/model",
    "3m-pyramid": "runs/3m/pyramid/model",
    "3m-long-control": "runs/3m/joint_control/model",  # of `make train-longer`
    "3m-long-pyramid": "runs/3m/joint/model",
}
FAMILIES = {
    f"{family}-{name}": f"runs/{family}/{stage}/model"
    for family in ("internvl", "llava_onevision", "minicpmv")
    for name, stage in (("plain", "pages"), ("control", "control"), ("pyramid", "pyramid"))
}
# Of `make train-reader`: each is read as it was trained, the base, which knows one grid only, in every way.
CUT_WORDS = {
    "reader-base": (
        f"runs/{BASE.output}/model",
        [CutWords(methods=(*CutWords.methods, SECOND_ALONE)), LegibleWords()],
    ),
    **{
        f"reader-{stage.output.removeprefix('reader/')}": (
            f"runs/{stage.output}/model",
            [CutWords(methods=tuple(cutting.method for cutting in stage.cuttings))],
        )
        for stage in LAST
    },
}
# The model of `make demo-smollm`, which builds its folder. `receipts-smollm.csv` is of its stage `bills`.
PRETRAINED = "smollm"
LARGE = MovedWord(size=32, methods=("detailed + global", "pyramid any", "pyramid disjoint", "pyramid joint"))


def at_hand() -> Iterator[tuple[str, Path, list[Measurement]]]:
    """Name, folder and measurements of every model that may be there."""
    for name, folder in READERS.items():
        yield name, ROOT / folder, [MovedWord(), LARGE, Pages(), CompressedPages(), Scoring(), Steering()]
    for name, folder in FAMILIES.items():
        yield name, ROOT / folder, [MovedWord(), MovedWord(size=32)]
    for name, (folder, measurements) in CUT_WORDS.items():
        yield name, ROOT / folder, measurements
    yield PRETRAINED, ROOT / "build" / "smollm" / "minimonkey", [CompressedReceipts(), FirstToken()]


def run_everything() -> None:
    """Every measurement on every model at hand, then the reports."""
    record(Geometry(), None, Geometry().path())
    for name, folder, measurements in at_hand():
        if folder.exists():
            reader = load_reader(folder)
            for measurement in measurements:
                record(measurement, reader, measurement.path(name))
    write_reports()


def make_parser() -> argparse.ArgumentParser:
    """A command for every measurement, with its settings as options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    commands = parser.add_subparsers(dest="measurement")
    commands.add_parser(
        "report", help="write RESULTS.md, GEOMETRY.md and PRETRAINED.md from the readings that there are"
    )
    for name, measurement in MEASUREMENTS.items():
        command = commands.add_parser(name, help=measurement.__doc__)
        if measurement.needs_reader:
            command.add_argument("checkpoint", type=Path)
            command.add_argument("--name", help="of the results; default: the folder's")
            command.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
        for each in fields(measurement):
            settings = {"nargs": "+"} if each.type == tuple[str, ...] else {"type": each.type}
            command.add_argument(
                f"--{each.name}", default=None if each.default is MISSING else each.default, **settings
            )
    return parser


def main() -> None:
    arguments = make_parser().parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.measurement is None:
        run_everything()
    elif arguments.measurement == "report":
        write_reports()
    else:
        measurement = MEASUREMENTS[arguments.measurement]
        settings = {each.name: getattr(arguments, each.name) for each in fields(measurement)}
        reader = (
            load_reader(arguments.checkpoint, getattr(torch, arguments.dtype)) if measurement.needs_reader else None
        )
        name = (arguments.name or arguments.checkpoint.name) if reader else ""
        record(measurement(**settings), reader, measurement(**settings).path(name))


if __name__ == "__main__":
    main()
