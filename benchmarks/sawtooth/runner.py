"""What all measurements share: readings are taken block by block, and every finished block is in the file for good."""

import csv
import gzip
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import ClassVar, TextIO

from tqdm import tqdm


FOLDER = Path(__file__).parent / "results"


class Measurement:
    """
    One measurement. A subclass is a dataclass whose fields are its settings, which are options on the command line.

    Attributes:
        name: Of the measurement, and how its files begin.
        row: The dataclass of a reading; text, numbers and truth values, which are written as 1 and 0.
        block: Fields of `row` that tell the blocks apart.
        needs_reader: Whether a trained model takes the readings.
    """

    name: ClassVar[str]
    row: ClassVar[type]
    block: ClassVar[tuple[str, ...]]
    needs_reader: ClassVar[bool] = True

    def blocks(self, reader) -> Sequence[tuple]:
        """Values of the fields `block`, for everything that there is to read."""
        raise NotImplementedError

    def measure(self, reader, *block) -> list:
        """The rows of one block."""
        raise NotImplementedError

    def path(self, name: str) -> Path:
        """Where the readings of the model `name` are."""
        return FOLDER / f"{self.name}-{name}.csv"


def stored(path: Path) -> Path:
    """Where the readings of a file are: in the compressed one beside it, as those of old models, if there is one."""
    compressed = path.with_name(f"{path.name}.gz")
    return compressed if compressed.exists() else path


def open_readings(path: Path, mode: str) -> TextIO:
    """A file of readings, `mode` `"r"` or `"a"`, compressed or not."""
    path = stored(path)
    opened = gzip.open if path.suffix == ".gz" else open
    return opened(path, f"{mode}t", encoding="utf-8", newline="")


def finished(path: Path, block: Sequence[str]) -> set[tuple[str, ...]]:
    """The blocks in a file of readings, as they are written."""
    if not stored(path).exists():
        return set()
    with open_readings(path, "r") as file:
        return {tuple(row[name] for name in block) for row in csv.DictReader(file)}


def append_rows(path: Path, rows: Sequence) -> None:
    """Add dataclass instances to a CSV file, in one go: an interrupted run leaves no block that is half there."""
    is_new = not stored(path).exists()
    with open_readings(path, "a") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(rows[0])], lineterminator="\n")
        if is_new:
            writer.writeheader()
        for row in rows:
            values = asdict(row)
            writer.writerow({name: int(each) if isinstance(each, bool) else each for name, each in values.items()})


def record(measurement: Measurement, reader, path: Path) -> None:
    """Take the readings that are not in the file `path` yet; remove it to read everything anew."""
    done = finished(path, measurement.block)
    todo = [block for block in measurement.blocks(reader) if tuple(map(str, block)) not in done]
    path.parent.mkdir(exist_ok=True)
    for block in tqdm(todo, desc=path.stem):
        append_rows(path, measurement.measure(reader, *block))
