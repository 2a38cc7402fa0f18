"""That the contract names what the plugin uses of vLLM, and that sources of engines, where given, fulfil it."""

import ast
import os
from pathlib import Path

import pytest

from tests.modeling.engines.contract import SGLANG, SGLANG_WORDS, VLLM, VLLM_WORDS, missing


def test_everything_that_the_plugin_imports_is_named(repository):
    imported = set()
    for path in (repository / "modeling_minimonkey" / "engines").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "vllm":
                imported |= {(node.module, alias.name) for alias in node.names}
    named = {(module, name) for module, names in VLLM.items() for name in names}
    assert imported
    assert imported <= named


def test_everything_that_the_plugin_overrides_is_named(repository):
    """Methods with an underscore that it defines or calls; these the engine may change without notice."""
    methods = {method for names in VLLM.values() for each in names.values() for method in each}
    tree = ast.parse((repository / "modeling_minimonkey" / "engines" / "vllm_model.py").read_text())
    used = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    private = {name for name in used if name.startswith("_") and not name.startswith("__")} - {"_replace"}
    assert private
    assert private <= methods


@pytest.mark.parametrize(
    ("variable", "uses", "words"), [("VLLM_SOURCE", VLLM, VLLM_WORDS), ("SGLANG_SOURCE", SGLANG, SGLANG_WORDS)]
)
def test_sources_have_what_is_named(variable, uses, words):
    """Of the newest releases, which can't be installed without CUDA: `make test-vllm` downloads them."""
    if variable not in os.environ:
        pytest.skip(f"{variable} names no folder with a source; `make test-vllm` does")
    assert missing(Path(os.environ[variable]), uses, words) == []


def test_what_is_missing_is_found(tmp_path):
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("def other(): ...\n")
    (tmp_path / "engine" / "models.py").write_text("class Model:\n    def embed(self, ids): ...\n")
    uses = {
        "engine": {"register": {}},
        "engine.models": {"Model": {"embed": ["self", "images"], "forward": ["self"]}},
        "engine.gone": {"A": {}},
    }
    words = {"engine.models": ["class Model", "pixel_values"]}
    assert sorted(missing(tmp_path, uses, words)) == [
        "engine.gone",
        "engine.models.Model.embed(self, images), it has ['self', 'ids']",
        "engine.models.Model.forward",
        "engine.models: pixel_values",
        "engine.register",
    ]
