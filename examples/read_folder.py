"""Read every page of a folder, or of a data set of the Hub, into a file of JSON lines.

    python examples/read_folder.py SCANS read.jsonl --model FOLDER
    python examples/read_folder.py you/scans read.jsonl --split train --column image --engine vllm

Each line is `{"page": "a/b.png", "text": "...", "tokens": 12, "complete": true}`, or has the page and an `error`: what
can't be read costs its own line and nothing else. Run the same command again after a crash or a kill: what is in the
file already isn't read again. Pages with equally many tiles are read together.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from page_readers import READERS, ReadOptions
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm


WINDOW = 64  # batches among which pages are sorted by their tiles
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises at damaged files


@dataclass(frozen=True)
class Page:
    """A page that isn't opened yet: a path, or a row of a data set."""

    name: str
    place: Any

    def open(self) -> Image.Image:
        """The image; its pixels are decoded later."""
        if isinstance(self.place, Path):
            return Image.open(self.place)
        rows, index, column = self.place
        return rows[index][column]


def pages_of(source: str, split: str, column: str) -> list[Page]:
    """
    The pages of a folder, by path, or of a data set of the Hub, by number.

    Raises:
        ValueError: there are none.
    """
    folder = Path(source)
    if folder.is_dir():
        known = Image.registered_extensions()
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in known and path.is_file())
        pages = [Page(path.relative_to(folder).as_posix(), path) for path in paths]
    else:
        from datasets import load_dataset

        rows = load_dataset(source, split=split)
        pages = [Page(f"{split}/{index}", (rows, index, column)) for index in range(len(rows))]
    if not pages:
        raise ValueError(f"{source} has no images.")
    return pages


def pages_read(output: Path) -> set[str]:
    """Names of the pages that are in the file; a last line that a kill has cut off is taken out of it."""
    if not output.exists():
        return set()
    with output.open("r+b") as file:
        names, end = set(), 0
        for line in file:
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


def by_tiles(pages: list[Page], image_processor) -> list[Page]:
    """Pages with the most tiles first, which shows at once whether they fit into memory; unreadable ones last."""

    def tiles(page: Page) -> int:
        try:
            with page.open() as image:
                return image_processor.get_number_of_image_patches(image.height, image.width)
        except UNREADABLE:
            return 0

    return sorted(pages, key=tiles, reverse=True)


def parts(pages: list[Page], size: int) -> list[list[Page]]:
    """The pages in lists of `size`, the last one shorter."""
    return [pages[start : start + size] for start in range(0, len(pages), size)]


def prepared(reader, pages: list[Page]) -> tuple[Any, Exception | None]:
    """The inputs of a batch, or what went wrong."""
    try:
        return reader.prepare([page.open() for page in pages]), None
    except UNREADABLE as error:
        return None, error


def read_batch(reader, pages: list[Page], inputs: Any = None, error: Exception | None = None) -> Iterator[dict]:
    """The lines of a batch. One that fails, or is too large, is read in halves, down to the page at fault."""
    if inputs is None and error is None:
        inputs, error = prepared(reader, pages)
    if error is None:
        try:
            answers = reader.read(inputs)
        except (ValueError, torch.OutOfMemoryError) as failure:
            error = failure
    if error is None:
        for page, answer in zip(pages, answers, strict=True):
            yield {"page": page.name, **asdict(answer)}
    elif len(pages) == 1:
        is_no_image = isinstance(error, UnidentifiedImageError)
        yield {"page": pages[0].name, "error": "This is no image that Pillow knows." if is_no_image else str(error)}
    else:
        for half in (pages[: len(pages) // 2], pages[len(pages) // 2 :]):
            yield from read_batch(reader, half)


def read_all(reader, pages: list[Page], output: Path, progress: tqdm) -> int:
    """Read pages and write their lines, a batch at a time; returns how many had an error."""
    errors = 0
    with ThreadPoolExecutor(max_workers=1) as thread:  # prepares a batch while the model reads the one before
        for window in parts(pages, WINDOW * reader.pages_at_once):
            batches = parts(by_tiles(window, reader.processor.image_processor), reader.pages_at_once)
            coming = thread.submit(prepared, reader, batches[0])
            for batch, following in zip(batches, [*batches[1:], None], strict=True):
                inputs, error = coming.result()
                if following is not None:
                    coming = thread.submit(prepared, reader, following)
                lines = list(read_batch(reader, batch, inputs, error))
                write(output, lines)
                errors += sum("error" in line for line in lines)
                progress.update(len(lines))
    return errors


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
    except (OSError, ValueError) as error:  # the source, the model or a setting: the message says what
        sys.exit(f"error: {error}")


def read_folder(arguments: argparse.Namespace) -> None:
    """Read what the file doesn't have yet."""
    pages = pages_of(arguments.source, arguments.split, arguments.column)
    done = pages_read(arguments.output)
    left = [page for page in pages if page.name not in done]
    with tqdm(total=len(pages), initial=len(pages) - len(left), unit="page") as progress:
        errors = 0
        if left:
            names = ("model", "question", "max_new_tokens", "batch_size", "keep_ratio", "pyramid")
            reader = READERS[arguments.engine](ReadOptions(**{name: getattr(arguments, name) for name in names}))
            errors = read_all(reader, left, arguments.output, progress)
    print(f"{len(left)} pages read into {arguments.output}, {errors} of them can't be; {len(done)} were there before.")


if __name__ == "__main__":
    main()
