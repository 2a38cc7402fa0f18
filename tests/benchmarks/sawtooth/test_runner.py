"""Readings are written block by block, and what is there is not read again."""

import gzip
from dataclasses import dataclass

import pytest

from benchmarks.sawtooth.measurements.moved_word import GRIDS, MovedWord
from benchmarks.sawtooth.report.readings import load_all
from benchmarks.sawtooth.run import MEASUREMENTS, at_hand, make_parser
from benchmarks.sawtooth.runner import Measurement, append_rows, finished, record


@dataclass(frozen=True)
class Square:
    number: float
    name: str
    is_even: bool
    square: float | None


@dataclass(frozen=True)
class Squares(Measurement):
    most: int = 3
    name = "squares"
    row = Square
    block = ("number", "name")

    def blocks(self, reader):
        return [(float(number), "a") for number in range(self.most)]

    def measure(self, reader, number, name):
        if number == reader:
            raise KeyboardInterrupt
        return [Square(number, name, number % 2 == 0, square) for square in (number**2, None)]


def test_a_stopped_run_goes_on_after_its_last_block(tmp_path):
    path = tmp_path / "results" / "squares-some.csv"
    with pytest.raises(KeyboardInterrupt):
        record(Squares(), 1.0, path)
    assert path.read_text() == "number,name,is_even,square\n0.0,a,1,0.0\n0.0,a,1,\n"
    assert finished(path, Squares.block) == {("0.0", "a")}
    record(Squares(), None, path)
    assert [line.split(",")[0] for line in path.read_text().splitlines()[1:]] == ["0.0"] * 2 + ["1.0"] * 2 + [
        "2.0"
    ] * 2
    before = path.read_text()
    record(Squares(), None, path)
    assert path.read_text() == before


def test_a_compressed_file_is_read_and_goes_on(tmp_path):
    """It stands for the file of that name: nothing is read twice, new blocks are in it, and tables are the same."""
    plain, path = tmp_path / "squares-plain.csv", tmp_path / "squares-some.csv"
    record(Squares(most=3), None, plain)
    record(Squares(most=2), None, path)
    compressed = tmp_path / "squares-some.csv.gz"
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    record(Squares(most=3), 0.0, path)  # reading the first block again would raise
    assert not path.exists() and gzip.decompress(compressed.read_bytes()) == plain.read_bytes()
    tables = load_all(tmp_path, "squares")
    assert list(tables) == ["plain", "some"] and tables["plain"].equals(tables["some"])


def test_blocks_are_told_apart_by_all_their_columns(tmp_path):
    path = tmp_path / "sweep.csv"
    path.write_text("method,columns,rows,size\npyramid any,3,2,24\nglobal,3,2,32\n")
    done = finished(path, MovedWord.block)
    blocks = [(method, *grid, 24) for grid in GRIDS for method in ("global", "pyramid any")]
    assert [block for block in blocks if tuple(map(str, block)) in done] == [("pyramid any", 3, 2, 24)]


def test_text_that_a_reader_may_answer_is_kept(tmp_path):
    rows = [Square(1.0, name, True, None) for name in ('a "b"', "c,d", "e\nf", "")]
    append_rows(tmp_path / "rows.csv", rows)
    assert {name for _, name in finished(tmp_path / "rows.csv", Squares.block)} == {row.name for row in rows}


def test_every_measurement_has_a_command_with_its_settings():
    parser = make_parser()
    arguments = parser.parse_args(["sweep", "folder", "--size", "32", "--methods", "global", "pyramid any"])
    assert (arguments.size, arguments.words, arguments.methods) == (32, 24, ["global", "pyramid any"])
    for name, measurement in MEASUREMENTS.items():
        folder = ["folder"] if measurement.needs_reader else []
        assert parser.parse_args([name, *folder]).measurement == name
    assert parser.parse_args([]).measurement is None


def test_the_small_checkpoint_is_always_at_hand():
    folders = {name: folder for name, folder, _ in at_hand()}
    assert folders["6m-drawn"].exists() and len(folders) == len(set(folders.values())), "a folder twice"
