"""The script that reads all pages of a folder or a data set: its answers, what it survives, what it costs."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import datasets
import page_readers
import pytest
import read_folder
import torch
from filelock import FileLock
from PIL import ExifTags, Image
from transformers import AutoProcessor


SIZES = [(300, 220), (220, 300), (336, 224), (600, 200), (200, 600), (240, 240), (300, 220)]


class Counted(page_readers.TransformersReader):
    """Our reader without a model: an answer is the page's number of tiles. Keeps what came."""

    largest = 100  # pages that fit into its memory

    def __init__(self, options):
        page_readers.PageReader.__init__(self, options)
        self.pages_at_once, self.tokenizer_is_free = options.batch_size, threading.Lock()
        self.prepared, self.read_batches, self.files, self.inputs = 0, [], [], []
        Counted.last = self

    def prepare(self, pages):
        self.prepared += len(pages)
        return super().prepare(pages)

    def read(self, inputs, max_new_tokens=None):
        if max_new_tokens is not None:  # the blank page
            self.prepared = 0
            return []
        self.files.append(open_files())
        assert all(each() is None for each in self.inputs), "inputs of a batch that failed are still in memory"
        rows = [int(row.sum()) // 16 for row in inputs["input_ids"] == self.processor.image_token_id]
        if len(rows) > self.largest:
            self.inputs.append(weakref.ref(inputs["pixel_values"]))
            raise torch.OutOfMemoryError(f"{len(rows)} pages are too many")
        self.read_batches.append(rows)
        return [page_readers.Answer(str(tiles), 1, True) for tiles in rows]


@pytest.fixture
def counted(monkeypatch):
    monkeypatch.setitem(page_readers.READERS, "transformers", Counted)
    return Counted


@pytest.fixture
def folder(tmp_path, page) -> Path:
    """Pages of several sizes, one of them turned by its EXIF orientation."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number, size in enumerate(SIZES):
        page.resize(size).save(folder / f"{number}.png")
    save_turned(page.resize((300, 200)), folder / "turned.jpg")
    return folder


def save_turned(image: Image.Image, path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned by 90 degrees clockwise
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def run(monkeypatch, checkpoint, source, output, *options) -> list[dict]:
    """The lines of the output after a run in this process."""
    command = ["read_folder.py", str(source), str(output), "--model", str(checkpoint), *map(str, options)]
    monkeypatch.setattr(sys, "argv", command)
    read_folder.main()
    return lines(output)


def lines(output: Path) -> list[dict]:
    return [json.loads(line) for line in output.read_text().splitlines()]


def asked_alone(model, processor, path: Path, **options) -> str:
    """What the model says about one image without a batch."""
    keep_ratio = options.pop("keep_ratio", None)
    content = [{"type": "image", "image": Image.open(path)}, {"type": "text", "text": "Read the text."}]
    inputs = processor.prepare_chat([{"role": "user", "content": content}], **options)
    sequences = model.generate(**inputs, do_sample=False, max_new_tokens=60, keep_ratio=keep_ratio)
    return processor.decode(sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


@pytest.mark.parametrize(
    "options",
    [{}, {"keep_ratio": 0.5}, pytest.param({"pyramid": "docvqa"}, marks=pytest.mark.slow)],
    ids=["plain", "half", "docvqa"],
)
def test_answers_are_those_of_asking_page_by_page(
    monkeypatch, checkpoint, trained_model, trained_processor, folder, tmp_path, options
):
    given = [word for name, value in options.items() for word in (f"--{name}", value)]
    found = run(
        monkeypatch, checkpoint, folder, tmp_path / "o.jsonl", "--batch_size", 3, "--max_new_tokens", 60, *given
    )
    assert len(found) == len(SIZES) + 1
    for line in found:
        expected = asked_alone(trained_model, trained_processor, folder / line["page"], **options)
        assert line["text"] == expected, line
    assert len({line["text"] for line in found}) > 4  # answers differ, so that none can stand for another


def test_an_answer_that_is_cut_says_so(monkeypatch, checkpoint, folder, tmp_path):
    found = run(monkeypatch, checkpoint, folder, tmp_path / "whole.jsonl", "--max_new_tokens", 40)
    whole = {line["page"]: line for line in found}
    limit = sorted(line["tokens"] for line in found)[len(found) // 2 - 1]  # about half of them are longer
    cut = run(monkeypatch, checkpoint, folder, tmp_path / "cut.jsonl", "--max_new_tokens", limit)
    assert {line["complete"] for line in cut} == {True, False}
    for line in cut:
        tokens = whole[line["page"]]["tokens"]
        assert (line["complete"], line["tokens"]) == (tokens <= limit, min(tokens, limit))
        assert whole[line["page"]]["text"].startswith(line["text"])


def test_each_damaged_file_costs_its_own_line(monkeypatch, checkpoint, folder, tmp_path, counted):
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "cut head.png").write_bytes(whole[:20])
    (folder / "text.png").write_text("no image")
    (folder / "empty.png").write_bytes(b"")
    (folder / "scan.pdf").write_bytes(b"%PDF-1.7 and so on")
    (folder / "gone.png").symlink_to(folder / "nothing")
    Image.new("1", (11_000, 10_000)).save(folder / "huge.png")
    Image.new("L", (70_000, 1)).save(folder / "long.png")
    with (folder / "bytes.png").open("wb") as file:
        file.truncate(150_000_000)
    found = run(monkeypatch, checkpoint, folder, tmp_path / "o.jsonl", "--batch_size", 4)
    errors = {line["page"]: line["error"] for line in found if "error" in line}
    reasons = {
        "cut.png": "truncated",
        "cut head.png": "can't be opened",
        "text.png": "no image format",
        "empty.png": "it is empty",
        "scan.pdf": "a PDF document",
        "gone.png": "No such file",
        "huge.png": "`max_pixels`",
        "long.png": "a side may have at most",
        "bytes.png": "`max_file_bytes`",
    }
    assert errors.keys() == reasons.keys()
    for page, reason in reasons.items():
        assert reason in errors[page], errors[page]
    assert sorted(line["page"] for line in found if "text" in line) == sorted(
        [f"{number}.png" for number in range(len(SIZES))] + ["turned.jpg"]
    )


def test_a_file_may_vanish_before_it_is_opened(monkeypatch, checkpoint, folder, tmp_path, counted):
    list_pages = read_folder.pages_of

    def pages_of(*arguments):
        pages = list_pages(*arguments)
        (folder / "3.png").unlink()
        return pages

    monkeypatch.setattr(read_folder, "pages_of", pages_of)
    found = run(monkeypatch, checkpoint, folder, tmp_path / "o.jsonl")
    (error,) = (line for line in found if "error" in line)
    assert error["page"] == "3.png" and "No such file" in error["error"]
    assert len(found) == len(SIZES) + 1


def test_names_of_all_kinds(monkeypatch, checkpoint, page, tmp_path, counted):
    folder = tmp_path / "scans"
    (folder / "sub folder" / "deep").mkdir(parents=True)
    names = ["a b.PNG", "größe.Jpeg", "日本.webp", os.fsdecode(b"\xff\xfe.png"), "sub folder/1.tif", "quote\"'\n.png"]
    names += ["sub folder/deep/1.bmp"]
    for name in names:
        page.save(folder / name)
    (folder / "link.png").symlink_to(folder / "a b.PNG")
    (folder / "circle.png").symlink_to(folder / "circle.png")
    (folder / "other.png").symlink_to(folder / "sub folder")  # a folder with the name of an image: none
    (folder / "linked").symlink_to(folder / "sub folder")
    (folder / "notes.txt").write_text("no page")
    os.mkfifo(folder / "pipe.png")  # opening it would wait for ever
    output = folder / "o.jsonl"
    found = run(monkeypatch, checkpoint, folder, output)
    assert sorted(line["page"] for line in found) == sorted([*names, "link.png", "circle.png"])
    assert [line["page"] for line in found if "error" in line] == ["circle.png"]
    before = output.read_bytes()
    run(monkeypatch, checkpoint, folder, output)  # the names come back from the file as they were
    assert output.read_bytes() == before


def test_batches_have_equally_many_tiles(monkeypatch, checkpoint, page, tmp_path, counted):
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(12):  # in the order of their names, neighbours differ
        page.resize(SIZES[2 + number % 3]).save(folder / f"{number:02}.png")
    for number in range(4):
        save_turned(page.resize(SIZES[4]), folder / f"turned {number}.jpg")
    found = run(monkeypatch, checkpoint, folder, tmp_path / "o.jsonl", "--batch_size", 4)
    assert [len(batch) for batch in counted.last.read_batches] == [4] * 4
    assert all(len(set(batch)) == 1 for batch in counted.last.read_batches)
    assert counted.last.read_batches == sorted(counted.last.read_batches, reverse=True)
    tiles = {line["page"]: int(line["text"]) for line in found}
    processor = AutoProcessor.from_pretrained(checkpoint)
    assert tiles["turned 0.jpg"] == processor.image_processor.get_number_of_image_patches(600, 200)


@pytest.mark.parametrize("name", ["t.png", "t.jpg", "t.webp", "t.tif"])
def test_sizes_are_upright_before_an_image_is_decoded(page, tmp_path, name):
    save_turned(page.resize((300, 200)), tmp_path / name)
    assert read_folder.Page(name, tmp_path / name).size() == (300, 200)


def test_the_pyramid_decides_what_is_read_together(monkeypatch, checkpoint, folder, tmp_path, counted):
    run(monkeypatch, checkpoint, folder, tmp_path / "o.jsonl", "--batch_size", 1, "--pyramid", "docvqa")
    assert counted.last.read_batches == sorted(counted.last.read_batches, reverse=True)
    assert max(counted.last.read_batches)[0] > 11


def test_pages_wait_on_the_disk(monkeypatch, checkpoint, page, tmp_path, counted):
    """Two batches are in memory, the one that is read and the next one, and no file stays open."""
    folder, ahead = tmp_path / "scans", []
    folder.mkdir()
    for number in range(24):  # of formats whose files Pillow keeps open
        page.save(folder / f"{number:02}.{('gif', 'webp', 'tiff')[number % 3]}", save_all=True, append_images=[page])
    read = counted.read

    def slow_read(self, inputs, max_new_tokens=None):
        time.sleep(0.1)  # time for the other thread to run ahead, if it could
        answers = read(self, inputs, max_new_tokens)
        ahead.append(self.prepared - sum(map(len, self.read_batches)))
        return answers

    monkeypatch.setattr(counted, "read", slow_read)
    before = open_files()
    found = run(monkeypatch, checkpoint, folder, tmp_path / "o.jsonl", "--batch_size", 2)
    assert len(found) == 24 and not any("error" in line for line in found)
    assert max(ahead) == 2
    assert max(counted.last.files) - min(counted.last.files) <= 1
    assert open_files() <= before


def test_batches_that_are_too_large_are_read_in_halves(monkeypatch, checkpoint, folder, tmp_path, counted):
    monkeypatch.setattr(counted, "largest", 2)
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:500])
    found = run(monkeypatch, checkpoint, folder, tmp_path / "o.jsonl", "--batch_size", 7)
    assert sorted(line["page"] for line in found) == sorted(path.name for path in folder.iterdir())
    assert [line["page"] for line in found if "error" in line] == ["cut.png"]
    assert max(map(len, counted.last.read_batches)) == 2
    assert sum(map(len, counted.last.read_batches)) == len(found) - 1
    processor = AutoProcessor.from_pretrained(checkpoint)
    for number, (width, height) in enumerate(SIZES):
        (line,) = (line for line in found if line["page"] == f"{number}.png")
        assert int(line["text"]) == processor.image_processor.get_number_of_image_patches(height, width)


def test_a_page_that_fits_no_memory_costs_its_own_line(monkeypatch, checkpoint, folder, tmp_path, counted):
    monkeypatch.setattr(counted, "largest", 0)
    found = run(monkeypatch, checkpoint, folder, tmp_path / "o.jsonl")
    assert {line["error"] for line in found} == {"1 pages are too many"}
    assert len(found) == len(SIZES) + 1


def test_wherever_a_kill_cuts_the_file_the_next_run_completes_it(monkeypatch, checkpoint, folder, tmp_path, counted):
    output = tmp_path / "o.jsonl"
    whole = run(monkeypatch, checkpoint, folder, output, "--batch_size", 3)
    content = output.read_bytes()
    line = len(content.splitlines(keepends=True)[0])
    for length in (0, 1, 5, line - 1, line, line + 1, line + 20, len(content) - 1, len(content)):
        output.write_bytes(content[:length])
        found = run(monkeypatch, checkpoint, folder, output, "--batch_size", 3)
        assert sorted(map(str, found)) == sorted(map(str, whole)), length
        kept = content[:length].count(b"\n")
        assert found[:kept] == whole[:kept]


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(repository, checkpoint, page, tmp_path):
    folder, output = tmp_path / "scans", tmp_path / "o.jsonl"
    folder.mkdir()
    for number in range(24):
        page.resize(SIZES[number % len(SIZES)]).save(folder / f"{number}.png")
    command = [sys.executable, str(repository / "examples" / "read_folder.py"), str(folder), str(output)]
    command += ["--model", str(checkpoint), "--batch_size", "2", "--max_new_tokens", "30"]
    environment = os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    while not output.exists() or output.read_bytes().count(b"\n") < 6:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = output.read_bytes()
    written = before.count(b"\n")
    assert 6 <= written < 24
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert f"{written} were there before" in printed
    assert output.read_bytes().startswith(before[: before.rindex(b"\n") + 1])
    found = lines(output)
    assert sorted(line["page"] for line in found) == sorted(path.name for path in folder.iterdir())
    assert all(line["text"] for line in found)


def test_of_two_runs_with_one_output_the_second_is_refused(monkeypatch, checkpoint, folder, tmp_path, counted):
    output = tmp_path / "o.jsonl"
    with FileLock(f"{output}.lock"), pytest.raises(SystemExit) as ended:
        run(monkeypatch, checkpoint, folder, output)
    assert str(ended.value) == f"error: another process writes {output}."
    assert not output.exists()
    assert len(run(monkeypatch, checkpoint, folder, output)) == len(SIZES) + 1


@pytest.mark.parametrize(
    "content", [b"no line of ours", b"[1]\n", b'{"text": "", "page": "0.png"}\n', b"\x89PNG\r\n\x1a\n"]
)
def test_a_file_that_is_something_else_is_left_alone(monkeypatch, checkpoint, folder, tmp_path, counted, content):
    output = tmp_path / "mine"
    output.write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, checkpoint, folder, output)
    assert str(ended.value) == f"error: Line 1 of {output} wasn't written by this script: name another file."
    assert output.read_bytes() == content


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--batch_size", 0], "`batch_size` must be at least 1, got 0."),
        (["--max_new_tokens", -1], "`max_new_tokens` must be at least 1, got -1."),
        (["--keep_ratio", 2], "`keep_ratio` must be a number above 0 and at most 1"),
        (["--pyramid", "cheops"], "`pyramid` must be one of"),
        (["--question", "a\ud800b"], "messages[0].content[1]"),
        (["--model", "no/model"], "We couldn't connect"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_bad_setting_ends_the_run_and_no_page(monkeypatch, checkpoint, folder, tmp_path, options, sentence):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, checkpoint, folder, tmp_path / "o.jsonl", *options)
    assert str(ended.value).startswith(f"error: {sentence}")
    assert not (tmp_path / "o.jsonl").exists()


def test_a_folder_without_images_is_refused(monkeypatch, checkpoint, tmp_path):
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "saved")
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, checkpoint, tmp_path / "saved", tmp_path / "o.jsonl")
    assert str(ended.value) == f"error: {tmp_path / 'saved'} has no images."


def encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def data_set(monkeypatch, page, tmp_path) -> list[bytes | None]:
    """A data set of the Hub, in the Parquet file that it has there; some of its rows are damaged."""
    rows = [encoded(page.resize(size)) for size in SIZES]
    rows[1:1] = [rows[0][:500], None, b""]
    images = [None if row is None else {"bytes": row, "path": None} for row in rows]
    features = datasets.Features({"scan": datasets.Image(), "text": datasets.Value("string")})
    made = datasets.Dataset.from_dict({"scan": images, "text": ["-"] * len(rows)}, features=features)
    made.to_parquet(tmp_path / "train.parquet")
    load = datasets.load_dataset

    def load_dataset(name: str, split: str):
        assert name == "you/scans"
        files = {"train": str(tmp_path / "train.parquet")}
        return load("parquet", data_files=files, split=split, cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return rows


def test_rows_of_a_data_set_are_pages(monkeypatch, checkpoint, tmp_path, counted, data_set):
    output = tmp_path / "o.jsonl"
    found = run(monkeypatch, checkpoint, "you/scans", output, "--column", "scan", "--batch_size", 4)
    pages = {line["page"]: line for line in found}
    assert len(found) == len(pages) == len(data_set)
    errors = {page: line["error"] for page, line in pages.items() if "error" in line}
    assert errors.keys() == {"train/1", "train/2", "train/3"}
    assert "truncated" in errors["train/1"] and "no image" in errors["train/2"] and "empty" in errors["train/3"]
    processor = AutoProcessor.from_pretrained(checkpoint)
    for index, (width, height) in {0: SIZES[0], 4: SIZES[1], len(data_set) - 1: SIZES[-1]}.items():
        tiles = processor.image_processor.get_number_of_image_patches(height, width)
        assert int(pages[f"train/{index}"]["text"]) == tiles
    before = output.read_bytes()
    run(monkeypatch, checkpoint, "you/scans", output, "--column", "scan")
    assert output.read_bytes() == before


def test_images_beside_a_data_set_are_opened(monkeypatch, checkpoint, folder, tmp_path, counted):
    """A data set of image files has their paths, not their bytes."""
    made = datasets.load_dataset("imagefolder", data_dir=str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: made)
    found = run(monkeypatch, checkpoint, "you/scans", tmp_path / "o.jsonl")
    assert len(found) == len(SIZES) + 1 and not any("error" in line for line in found)


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--column", "text"], "`column` must be one of images"),
        (["--column", "page"], "`column` must be one of images"),
        (["--column", "scan", "--split", "test"], "Unknown split"),
    ],
)
def test_a_data_set_without_the_column_or_split_is_refused(
    monkeypatch, checkpoint, tmp_path, data_set, options, sentence
):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, checkpoint, "you/scans", tmp_path / "o.jsonl", *options)
    assert str(ended.value).startswith(f"error: {sentence}")


def test_a_data_set_that_is_not_there_is_refused(monkeypatch, checkpoint, tmp_path):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, checkpoint, "no/such", tmp_path / "o.jsonl")
    assert str(ended.value).startswith("error: Couldn't") and "no/such" in str(ended.value)
