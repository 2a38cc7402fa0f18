"""The rules of the house that a machine can check."""

import ast
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest


PACKAGES = ("modeling_minimonkey", "processing_minimonkey")
# Beside the rooms (folders), of which nothing goes to the Hub
NOT_ON_THE_HUB = {
    "__init__.py",
    "convert_minimonkey_weights_to_hf.py",
    "vlmeval_adapter.py",
    "chat_templates.py",
    "plug_in.py",
    "visualization.py",
}
ALLOWED_IMPORTS = {"torch", "transformers", "huggingface_hub", "numpy", "PIL", "jinja2"}


@pytest.fixture(scope="module")
def sources(repository) -> dict[str, list[Path]]:
    return {package: sorted((repository / package).glob("*.py")) for package in PACKAGES}


def imports_of(file: Path) -> list[tuple[int, str | None, list[str]]]:
    """Level (dots), module and names of every import statement."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [(0, alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module, [alias.name for alias in node.names]))
    return found


def test_packages_do_not_import_each_other(sources):
    for package, files in sources.items():
        for file in files:
            modules = {module.split(".")[0] for level, module, _ in imports_of(file) if level == 0}
            assert not modules & set(PACKAGES), f"{package}/{file.name} imports {modules & set(PACKAGES)}"


def test_hub_files_import_only_what_a_hub_user_has(sources):
    standard = __import__("sys").stdlib_module_names
    for file in (file for files in sources.values() for file in files):
        if file.name in NOT_ON_THE_HUB:
            continue
        for level, module, names in imports_of(file):
            if level == 0:
                assert module.split(".")[0] in ALLOWED_IMPORTS | standard, f"{file.name} imports {module}"
            else:
                # The loader of remote code copies only what `from .module import name` names
                assert level == 1 and module and "." not in module, f"{file.name}: relative import of {names}"


def test_every_other_file_goes_to_the_hub(sources, repository):
    """What a reader sees in the tree: the flat files, but those named above, are the code of a Hub folder."""
    flat = {file.name for files in sources.values() for file in files} - NOT_ON_THE_HUB
    assert flat == {file.name for file in (repository / "checkpoints" / "minimonkey-tiny").glob("*.py")}


def test_file_names_are_unique_across_packages(sources):
    names = [file.name for files in sources.values() for file in files if file.name != "__init__.py"]
    assert len(names) == len(set(names))


def tracked(repository: Path, *patterns: str) -> list[Path]:
    """Files git knows, or outside of a checkout all files, that match `patterns`."""
    listing = subprocess.run(["git", "ls-files", *patterns], cwd=repository, capture_output=True, text=True)
    if listing.returncode == 0:
        return [repository / name for name in listing.stdout.splitlines() if (repository / name).exists()]
    return [file for pattern in patterns for file in repository.rglob(pattern) if ".venv" not in file.parts]


def test_no_file_is_too_long(repository):
    files = tracked(repository, "*.py")
    assert len(files) > 10
    too_long = {file.name: lines for file in files if (lines := len(file.read_text().splitlines())) > 600}
    assert not too_long


def test_no_path_of_a_machine(repository):
    path = re.compile(r"(?<![\w.])/(?:work|home|root|tmp)/\w")
    for file in tracked(
        repository, "*.py", "*.md", "*.cfg", "*.toml", "*.txt", "*.json", "Makefile", "*.jinja", "*.yaml", "*.ipynb"
    ):
        match = path.search(file.read_text())
        assert match is None, f"{file.relative_to(repository)}: {match.group()}"


def test_readme_names_only_what_exists(repository):
    text = "".join((repository / name).read_text() for name in ("README.md", "CONTRIBUTING.md"))
    makefile = (repository / "Makefile").read_text()
    targets = set(re.findall(r"(?:`|^)make ([\w-]+)", text, flags=re.MULTILINE))
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), f"make {target}"
    paths = set(re.findall(r"[\w./]*\w/[\w./-]*\w\.(?:py|png|md)\b", text))
    assert paths
    for path in paths:
        assert (repository / path).exists(), path


def test_drawn_ways_are_those_of_the_code(repository):
    """Every step of CONTRIBUTING.md's drawing is a function of the file beside it, named in the step before."""
    drawing = (repository / "CONTRIBUTING.md").read_text().split("```text\n")[1].split("```")[0]
    before, steps = None, 0
    for line in drawing.splitlines():
        words = line.split()
        if not line.startswith("    "):
            before = None
        elif not words[0].startswith("("):
            function = find_function(repository / words[0], words[1])
            assert before is None or words[1].split(".")[-1] in before, line
            before, steps = ast.unparse(function), steps + 1
        else:
            before = None  # the library calls what follows
    assert steps > 10


def find_function(file: Path, name: str) -> ast.FunctionDef:
    scope = ast.parse(file.read_text())
    for part in name.split("."):
        (scope,) = (node for node in scope.body if getattr(node, "name", None) == part)
    return scope


def names_from_packages(code: str) -> list[tuple[str, str]]:
    """What code imports from the packages themselves, not from their modules: (package, name)."""
    found = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom) and not node.level]
    return [(node.module, alias.name) for node in found if node.module in PACKAGES for alias in node.names]


def test_what_is_shown_to_users_is_public(repository):
    """What documents, examples and notebooks import from a package is in its `__all__`, and all of that exists."""
    packages = {package: importlib.import_module(package) for package in PACKAGES}
    for package in packages.values():
        assert all(hasattr(package, name) for name in package.__all__)
    documents = [file.read_text() for file in tracked(repository, "*.md")]
    shown = [block for text in documents for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)]
    shown += [file.read_text() for file in tracked(repository, "examples/*.py", "notebooks/*.py")]
    used = {pair for code in shown for pair in names_from_packages(code)}
    assert {package for package, _ in used} == set(PACKAGES)
    for package, name in used:
        assert name in packages[package].__all__ or _is_module(package, name), f"{package}.{name}"


def _is_module(package: str, name: str) -> bool:
    return importlib.util.find_spec(f"{package}.{name}") is not None


def test_help_runs_no_command(repository):
    """A backtick that isn't escaped would run what stands behind it."""
    lines = (repository / "Makefile").read_text().splitlines()
    helps = [line for line in lines if line.startswith('\t@echo "')]
    assert len(helps) > 10
    assert not [line for line in helps if re.search(r"(?<!\\)`", line)]
