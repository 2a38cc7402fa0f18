"""CONTRIBUTING.md lists what of Transformers is used that may change without notice, with the reason, and no more."""

import ast
import importlib
import inspect
import pkgutil
import re

import pytest


PACKAGES = ("modeling_minimonkey", "processing_minimonkey")
# Modules that have a page in the library's documentation; what else is imported from its depths is fragile.
DOCUMENTED = {
    "transformers",
    "transformers.feature_extraction_utils",
    "transformers.generation.streamers",
    "transformers.image_processing_utils",
    "transformers.image_utils",
    "transformers.modeling_outputs",
    "transformers.processing_utils",
    "transformers.utils",
}
# Attributes of the library's models, tokenizers and configurations that have no underscore and no page either.
STRUCTURE = {
    "layers",
    "layer_types",
    "self_attn",
    "rotary_emb",
    "input_layernorm",
    "keys",
    "init_kwargs",
    "all_tied_weights_keys",
    "get_sliced_grid",
    "_process_images",
}


@pytest.fixture(scope="module")
def trees(repository) -> dict[str, ast.Module]:
    # What is used of vLLM is in tests/modeling/engines/contract.py
    files = [
        path for package in PACKAGES for path in (repository / package).rglob("*.py") if path.parent.name != "engines"
    ]
    return {str(path): ast.parse(path.read_text()) for path in files}


@pytest.fixture(scope="module")
def listed(repository) -> set[str]:
    """The first column of the table in CONTRIBUTING.md."""
    text = (repository / "CONTRIBUTING.md").read_text()
    table = text.split("## What of Transformers may change without notice")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def imported(trees) -> set[str]:
    found = set()
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and not node.level and node.module.startswith("transformers"):
                found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module not in DOCUMENTED}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names if alias.name.startswith("transformers.")}
    return found


def underscored(trees) -> set[str]:
    """Attributes with an underscore that are read or written, but not made by this code."""
    own, used = set(), set()
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                own.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.add(node.id)
            elif isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr):
                used.add(node.attr)
                is_own = isinstance(node.value, ast.Name) and node.value.id == "self"
                if is_own and isinstance(node.ctx, ast.Store):
                    own.add(node.attr)
    return used - own


def overridden() -> set[str]:
    """Methods and attributes with an underscore by which our classes change a class of the library."""
    found = set()
    for package in PACKAGES:
        for name in _modules(package):
            module = importlib.import_module(name)
            classes = [each for each in vars(module).values() if inspect.isclass(each)]
            found |= {change for cls in classes if cls.__module__ == module.__name__ for change in _changes(cls)}
    return found


def _modules(package: str) -> list[str]:
    skipped = ("vlmeval_adapter", "vlmeval", "lmms_eval", "vllm_chat", "vllm_model")  # for what is not installed
    path = importlib.import_module(package).__path__
    names = [each.name for each in pkgutil.walk_packages(path, f"{package}.")]
    return [name for name in names if name.rsplit(".", 1)[1] not in skipped]


def _changes(cls: type) -> set[str]:
    library = [base for base in cls.__mro__ if base.__module__.startswith("transformers.")]
    (body,) = (node for node in ast.walk(ast.parse(inspect.getsource(cls))) if isinstance(node, ast.ClassDef))
    written = {node.name for node in body.body if isinstance(node, ast.FunctionDef)}
    written |= {node.id for part in body.body for node in ast.walk(part) if isinstance(node, ast.Name)}
    inherited = {name for base in library for name in vars(base)}
    return {name for name in written & inherited if re.match(r"_[a-z]", name)}


def test_every_fragile_name_is_listed(trees, listed):
    fragile = imported(trees) | underscored(trees) | overridden()
    assert fragile - listed == set(), "list these in CONTRIBUTING.md with the reason, or do without them"


def test_the_list_names_only_what_is_used(trees, listed):
    sources = "\n".join(ast.unparse(tree) for tree in trees.values())
    assert {name for name in listed if name.split(".")[-1] not in sources} == set()
    assert STRUCTURE <= listed


def test_a_new_name_would_be_seen():
    tree = ast.parse("from transformers.cache_utils import Secret\nmodel._update_cache()\nself._own = 1\nself._own")
    assert imported({"new": tree}) == {"transformers.cache_utils.Secret"}
    assert underscored({"new": tree}) == {"_update_cache"}
