"""Does a folder or a repository of the Hub hold this project's code, and no other?

    python examples/verify.py                                   # the sha256 of every code file, as sha256sum writes it
    python examples/verify.py mine-merged                       # compare a folder with them
    python examples/verify.py you/your-model --revision 1a2b3c  # or a repository, of which it loads no code

Compare before you load something with `trust_remote_code=True`: from then on its Python files run with your rights.
The exit code is 1 if something differs. Weights, numbers of the configuration and chat templates are not compared.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
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
# Files that hold no code. A list, since what can hold some is endless: .so, .pyc, .PY, .h5 ...
HARMLESS = (".json", ".safetensors", ".jinja", ".md", ".txt", ".model", ".png", ".jpg")
HARMLESS_NAMES = ("LICENSE", "NOTICE", ".gitattributes", ".gitignore")
# What `hf download` notes in a folder
DOWNLOADS = re.compile(r"\.cache/huggingface/(.*\.(metadata|lock)|\.gitignore|CACHEDIR\.TAG)")
MOST_BYTES = 100_000_000  # of a file that is read here
# Keys of any JSON file that name code of somewhere else
ELSEWHERE = ("trust_remote_code", "custom_pipelines")
IMPLEMENTATIONS = ("attn_implementation", "_attn_implementation", "experts_implementation", "_experts_implementation")
OWN_CLASS = re.compile(r"(\w+)\.MiniMonkey\w+")


def expected_hashes() -> dict[str, str]:
    """The sha256 of every code file that a Hub folder of ours holds, by name."""
    files = {Path(file) for entry in ENTRIES for file in (ROOT / entry, *get_relative_import_files(ROOT / entry))}
    return {file.name: sha256(file) for file in sorted(files, key=lambda file: file.name)}


def sha256(file: Path) -> str:
    """The hash of a file's content, with line ends as git stores them."""
    return hashlib.sha256(file.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def differences(folder: Path, names: Iterable[str] | None = None) -> list[str]:
    """
    What in a folder is not this project's code, a sentence each.

    Args:
        folder: Has the files whose names match `CODE`, at least.
        names: Of all files, where the folder lacks some, as that of a repository's download does.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}.")
    expected, found = expected_hashes(), []
    if names is None:
        names = [
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
        ]
    names = sorted(name for name in names if not DOWNLOADS.fullmatch(name))
    for name in names:
        found += [f"{name} {sentence}" for sentence in _foreign_file(folder / name, name, expected)]
    if any(name.endswith(".py") for name in names):
        found += [f"{name} is missing." for name in expected.keys() - set(names)]
    return sorted(found)


def _foreign_file(file: Path, name: str, expected: dict[str, str]) -> Iterator[str]:
    """What one file is or holds that it should not, without its name."""
    if file.suffix.lower() in PICKLES:
        yield "is a pickle; load the safetensors alone."
    elif file.name == "adapter_config.json":
        yield "names another model, whose code would be loaded: merge the adapter first."
    elif file.suffix == ".py" and name not in expected:
        yield "is none of this project's files."
    elif file.suffix not in (".py", *HARMLESS) and file.name not in HARMLESS_NAMES:
        yield "is of a kind that no folder of this project holds."
    elif file.suffix in (".py", ".json"):
        if not file.is_file():
            yield "is no file."
        elif file.stat().st_size > MOST_BYTES:
            yield "is too large to be read."
        elif file.suffix == ".json":
            yield from _foreign_code(file, expected)
        elif sha256(file) != expected[name]:
            yield f"differs: its sha256 is {sha256(file)}, this clone's {expected[name]}."


def _foreign_code(file: Path, expected: dict[str, str]) -> Iterator[str]:
    """What a JSON file says, at any depth, that would load code that is not in the expected files."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        yield "is not JSON."
        return
    for key, value in _items(content):
        if key in ELSEWHERE and value:
            yield f"holds `{key}`: {str(value)[:100]!r}, which no file may say."
        if key in IMPLEMENTATIONS and "/" in str(value):
            yield f"names code of the Hub as `{key}`: {str(value)[:100]!r}."
        if key == "auto_map":
            for _, reference in _items(value):
                own = OWN_CLASS.fullmatch(reference) if isinstance(reference, str) else None
                if isinstance(reference, str) and (own is None or f"{own[1]}.py" not in expected):
                    yield f"has an `auto_map` that names {reference[:100]}, which is none of this project's classes."


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
        folder, names = Path(options.source), None
        if not folder.is_dir():
            repository = HfApi().model_info(options.source, revision=options.revision)
            names = [file.rfilename for file in repository.siblings]
            folder = Path(snapshot_download(options.source, revision=repository.sha, allow_patterns=CODE))
            print(f"revision {repository.sha}")
        found = differences(folder, names)
    except (OSError, HFValidationError) as error:
        sys.exit(f"error: {error}")
    for sentence in found:
        print(f"{options.source}: {sentence}")
    count = len(list(folder.glob("*.py")))
    same = f"OK: all {count} code files are this clone's." if count else "OK: it holds no code."
    print("DIFFERS from this clone's code." if found else same)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
