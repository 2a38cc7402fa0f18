"""Read every page of a folder, or of a data set of the Hub, into a file of JSON lines.

    python examples/read_folder.py SCANS read.jsonl --model FOLDER
    python examples/read_folder.py you/scans read.jsonl --split train --column image --model FOLDER --engine vllm

Each line is `{"page": "a/b.png", "text": "...", "tokens": 12, "complete": true}`, or has the page and an `error`: what
can't be read costs its own line and nothing else. `complete` is false where `--max_new_tokens` cut the answer.

Run the same command again after a crash or a kill: what is in the file already isn't read again. Pages with equally
many tiles are read together. All files of a folder and its subfolders (links to folders aside) with the name of an
image are pages; of a file with several, the first one is.
"""

import os


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin while they wait block the others

import argparse
import io
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from filelock import FileLock, Timeout
from page_readers import READERS, PageReader, ReadOptions
from PIL import ExifTags, Image
from tqdm import tqdm


WINDOW = 64  # batches among which pages are sorted by their tiles
LINE = b'{"page": '  # begins each line of the output
TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height


@dataclass(frozen=True, slots=True)
class Page:
    """A page that isn't opened yet: a path, or a row of a data set with the column of its image."""

    name: str
    path: Path | None = None
    row: tuple[Any, int, str] | None = None

    def open(self) -> BinaryIO:
        """
        The file of the image.

        Raises:
            OSError, ValueError: there is none.
        """
        if self.row is None:
            return self.path.open("rb")
        rows, index, column = self.row
        image = rows[index][column] or {}
        if image.get("bytes") is not None:
            return io.BytesIO(image["bytes"])
        if image.get("path") is None:
            raise ValueError("The row has no image.")
        return open(image["path"], "rb")

    def size(self) -> tuple[int, int]:
        """Width and height, upright, as the file's beginning has them; `Image.getexif` would decode a whole PNG."""
        with self.open() as file, Image.open(file) as image:
            exif = Image.Exif()
            exif.load(image.info.get("exif"))
            is_turned = exif.get(ExifTags.Base.Orientation) in TURNED
            return (image.height, image.width) if is_turned else image.size


@dataclass
class Batch:
    """Pages that are read together: what the model gets, or why it gets nothing."""

    pages: list[Page]
    inputs: Any = None
    error: str | None = None


def pages_of(source: str, split: str, column: str) -> list[Page]:
    """
    The pages of a folder, by path, or of a data set of the Hub, by number.

    Raises:
        OSError, ValueError: there is no such data set, or there are no pages.
    """
    folder = Path(source)
    if folder.is_dir():
        known = Image.registered_extensions()
        paths = (path for path in folder.rglob("*") if path.suffix.lower() in known)
        # A link that leads nowhere gets its line, too; a pipe could be waited for without end
        paths = sorted(path for path in paths if path.is_file() or not path.exists())
        pages = [Page(path.relative_to(folder).as_posix(), path=path) for path in paths]
    else:
        rows = rows_of(source, split, column)
        pages = [Page(f"{split}/{index}", row=(rows, index, column)) for index in range(len(rows))]
    if not pages:
        raise ValueError(f"{source} has no images.")
    return pages


def rows_of(source: str, split: str, column: str):
    """The rows of a data set, with encoded images: a damaged one must not end the run."""
    import datasets

    rows = datasets.load_dataset(source, split=split)
    if not isinstance(rows.features.get(column), datasets.Image):
        raise ValueError(f"`column` must be one of images; {source} has {rows.features}, got {column!r}.")
    return rows.select_columns(column).cast_column(column, datasets.Image(decode=False))


def pages_read(output: Path) -> set[str]:
    """
    Names of the pages that are in the file; a last line that a kill has cut off is taken out of it.

    Raises:
        ValueError: the file has another content, and is left as it is.
    """
    if not output.exists():
        return set()
    with output.open("r+b") as file:
        names, end = set(), 0
        for number, line in enumerate(file, start=1):
            if not line.startswith(LINE) and not LINE.startswith(line):
                raise ValueError(f"Line {number} of {output} wasn't written by this script: name another file.")
            if not line.endswith(b"\n"):
                break
            names.add(json.loads(line)["page"])
            end += len(line)
        file.truncate(end)
    return names


def write(output: Path, lines: list[dict]) -> None:
    """Add lines to the file; when this returns, they are on the disk."""
    with output.open("ab") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def by_tiles(pages: list[Page], reader: PageReader) -> list[Page]:
    """Pages with the most tiles first, which shows at once whether they fit into memory; unreadable ones last."""

    def tiles(page: Page) -> int:
        try:
            return reader.tiles(*page.size())
        except Exception:  # damaged files raise whatever their format's parser does; `prepare` says what is wrong
            return 0

    return sorted(pages, key=tiles, reverse=True)


def parts(pages: list[Page], size: int) -> list[list[Page]]:
    """The pages in lists of `size`, the last one shorter."""
    return [pages[start : start + size] for start in range(0, len(pages), size)]


def prepared(pages: list[Page], reader: PageReader) -> Batch:
    """The pages as the model gets them, or what went wrong; their files are closed, and no longer held."""
    most = reader.processor.image_processor.max_file_bytes
    try:
        files = []
        for page in pages:
            with page.open() as file:
                # With one byte too many, the processor refuses a file
                files.append(file.read(-1 if most is None else most + 1))
        return Batch(pages, inputs=reader.prepare(files))
    except (OSError, ValueError) as error:
        return Batch(pages, error=str(error))


def batches(pages: list[Page], reader: PageReader) -> Iterator[Batch]:
    """All pages, in batches of equally many tiles as far as a window has them."""
    for window in parts(pages, WINDOW * reader.pages_at_once):
        for some in parts(by_tiles(window, reader), reader.pages_at_once):
            yield prepared(some, reader)


def read_batch(batch: Batch, reader: PageReader) -> Iterator[dict]:
    """The lines of a batch. One that fails, or is too large, is read in halves, down to the page at fault."""
    if batch.error is None:
        try:
            answers = reader.read(batch.inputs)
        except (ValueError, torch.OutOfMemoryError) as error:
            batch.error = str(error)  # no more of it: its frames hold the memory that the halves need
    batch.inputs = None
    if batch.error is None:
        for page, answer in zip(batch.pages, answers, strict=True):
            yield {"page": page.name, **asdict(answer)}
    elif len(batch.pages) == 1:
        yield {"page": batch.pages[0].name, "error": batch.error}
    else:
        for half in parts(batch.pages, (len(batch.pages) + 1) // 2):
            yield from read_batch(prepared(half, reader), reader)


def read_all(pages: list[Page], reader: PageReader, output: Path, progress: tqdm) -> int:
    """Read pages and write their lines, a batch at a time; returns how many had an error."""
    errors = 0
    coming = batches(pages, reader)
    with ThreadPoolExecutor(max_workers=1) as thread:  # prepares a batch while the model reads the one before
        following = thread.submit(next, coming, None)
        while (batch := following.result()) is not None:
            following = thread.submit(next, coming, None)
            lines = list(read_batch(batch, reader))
            write(output, lines)
            errors += sum("error" in line for line in lines)
            progress.update(len(lines))
    return errors


def try_out(reader: PageReader) -> None:
    """Read a blank page: what is wrong with a setting would else cost every page an error."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(file, "PNG")
    reader.read(reader.prepare([file.getvalue()]), max_new_tokens=1)


def read_folder(arguments: argparse.Namespace) -> None:
    """Read what the file doesn't have yet."""
    names = ("model", "question", "max_new_tokens", "batch_size", "keep_ratio", "pyramid")
    options = ReadOptions(**{name: getattr(arguments, name) for name in names})
    pages = pages_of(arguments.source, arguments.split, arguments.column)
    done = pages_read(arguments.output)
    left = [page for page in pages if page.name not in done]
    errors = 0
    if left:
        reader = READERS[arguments.engine](options)
        try_out(reader)
        with tqdm(total=len(pages), initial=len(pages) - len(left), unit="page") as progress:
            errors = read_all(left, reader, arguments.output, progress)
    print(
        f"{len(left) - errors} pages read into {arguments.output}, {errors} can't be; {len(done)} were there before."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="folder of images, or a data set of the Hub")
    parser.add_argument("output", type=Path, help="file of JSON lines, which is added to")
    parser.add_argument("--model", required=True, help="folder or Hub id")
    parser.add_argument("--engine", choices=READERS, default="transformers")
    parser.add_argument("--question", default=ReadOptions.question)
    parser.add_argument("--batch_size", type=int, default=ReadOptions.batch_size)
    parser.add_argument("--max_new_tokens", type=int, default=ReadOptions.max_new_tokens)
    parser.add_argument("--keep_ratio", type=float, help="share of the detailed tokens that stays")
    parser.add_argument("--pyramid", help='a published setting of the tiles, such as "docvqa"')
    parser.add_argument("--split", default="train", help="of a data set")
    parser.add_argument("--column", default="image", help="of a data set")
    arguments = parser.parse_args()
    try:
        with FileLock(f"{arguments.output}.lock", timeout=0):
            read_folder(arguments)
    except Timeout:
        sys.exit(f"error: another process writes {arguments.output}.")
    except (OSError, ValueError, ImportError) as error:  # the source, the model, a setting, a missing package
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
