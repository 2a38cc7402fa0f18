"""Does a folder or a repository of the Hub hold this project's code, and no other?

    python examples/verify.py                                   # the sha256 of every code file, as sha256sum writes it
    python examples/verify.py mine-merged                       # compare a folder with them
    python examples/verify.py you/your-model --revision 1a2b3c  # or a repository, of which it loads no code

Compare before you load something with `trust_remote_code=True`: from then on its Python files run with your rights.
The exit code is 1 if something differs. Weights and numbers of the configuration are not compared.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from transformers.dynamic_module_utils import get_relative_import_files


ROOT = Path(__file__).resolve().parents[1]
ENTRIES = (  # what `auto_map` names, from which the loader follows relative imports
    "modeling_minimonkey/configuration_minimonkey.py",
    "modeling_minimonkey/modeling_minimonkey.py",
    "processing_minimonkey/image_processing_minimonkey.py",
    "processing_minimonkey/processing_minimonkey.py",
)
CODE = ("*.py", "*.json")  # all that says which code is loaded
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")  # can run code where they are loaded


def expected_hashes() -> dict[str, str]:
    """The sha256 of every code file that a Hub folder of ours holds, by name."""
    files = {Path(file) for entry in ENTRIES for file in (ROOT / entry, *get_relative_import_files(ROOT / entry))}
    return {file.name: sha256(file) for file in sorted(files, key=lambda file: file.name)}


def sha256(file: Path) -> str:
    """The hash of a file's content, with line ends as git stores them."""
    return hashlib.sha256(file.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def differences(folder: Path) -> list[str]:
    """
    What in a folder is not this project's code, a sentence each.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}.")
    expected = expected_hashes()
    present = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*.py"))}
    found = [f"{name} is missing." for name in expected.keys() - present.keys()] if present else []
    for name, file in present.items():
        if name not in expected:
            found.append(f"{name} is none of this project's files.")
        elif sha256(file) != expected[name]:
            found.append(f"{name} differs: its sha256 is {sha256(file)}, this clone's {expected[name]}.")
    for file in sorted(folder.rglob("*.json")):
        found += [f"{file.name}: {sentence}" for sentence in _foreign_code(file, expected)]
    found += [
        f"{file.name} is a pickle; load the safetensors alone."
        for file in sorted(folder.rglob("*"))
        if file.suffix in PICKLES
    ]
    return sorted(found)


def _foreign_code(file: Path, expected: dict[str, str]) -> Iterator[str]:
    """What a JSON file's `auto_map`s, at any depth, would load that is not among the expected files."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        yield "is not JSON."
        return
    for key, value in _items(content):
        if key == "trust_remote_code":
            yield f"holds `trust_remote_code`: {value!r}, which no file may say."
        if key == "auto_map":
            for _, reference in _items(value):
                if isinstance(reference, str) and f"{reference.partition('.')[0]}.py" not in expected:
                    yield f"`auto_map` names {reference}, which is none of this project's files."


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value of nested dictionaries and lists; an item of a list has the list's key."""
    pending = [("", value)]
    while pending:
        key, value = pending.pop()
        yield key, value
        if isinstance(value, dict):
            pending += value.items()
        elif isinstance(value, list):
            pending += [(f"{key}[]", item) for item in value]


def main() -> int:
    """Print hashes or differences; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("source", nargs="?", help="folder, or name on the Hub")
    parser.add_argument("--revision", help="commit, tag or branch of the repository (main)")
    options = parser.parse_args()
    if options.source is None:
        for name, value in expected_hashes().items():
            print(f"{value}  {name}")
        return 0
    try:
        folder = Path(options.source)
        if not folder.is_dir():
            folder = Path(snapshot_download(options.source, revision=options.revision, allow_patterns=CODE))
            print(f"revision {folder.name}")  # of the cache: the commit
        found = differences(folder)
    except (OSError, HFValidationError) as error:
        sys.exit(f"error: {error}")
    for sentence in found:
        print(f"{options.source}: {sentence}")
    count = len(expected_hashes())
    print("DIFFERS from this clone's code." if found else f"OK: all {count} code files are this clone's.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
