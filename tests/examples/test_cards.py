"""Cards that are made from a folder's own files say nothing that nobody measured."""

import json
import re
import shutil
from pathlib import Path

import pytest
from cards import PUBLISHED, count_parameters, describe, license_of, make_card, write_card
from safetensors.torch import load_file

from tests.hidden import run_hidden


ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / "checkpoints" / "minimonkey-tiny"


@pytest.fixture
def folder(tmp_path) -> Path:
    """As a training leaves it: without a card."""
    folder = tmp_path / "mine"
    shutil.copytree(CHECKPOINT, folder, ignore=shutil.ignore_patterns("__pycache__", "README.md"))
    return folder


def test_sizes_are_those_of_the_folder(folder):
    card = describe(folder, "me/mine")
    weights = load_file(folder / "model.safetensors")
    assert count_parameters(folder) == (sum(weight.numel() for weight in weights.values()), ["BF16"])
    for fact in ("6.6 million, BF16", "tiles of 112 px, 16 tokens each", "llama, 4 layers of width 256"):
        assert fact in card.text
    assert "detailed 1 to 6, adaptive 1 to 4" in card.text and 'repository = "me/mine"' in card.text
    config = json.loads((folder / "config.json").read_text())
    config["original_format"] = {"llm_config.model_type": "internlm2"}
    (folder / "config.json").write_text(json.dumps(config))
    assert "internlm2, 4 layers" in describe(folder, "me/mine").text


def test_the_card_says_how_image_tokens_are_scored(folder):
    config = json.loads((folder / "config.json").read_text())
    for settings, told in (({"layer": 1}, 'layer 1, queries "all"'), ({"layer": 2, "queries": "question"}, "layer 2")):
        config["scale_compression_config"] = {"keep_ratio": 0.5, "positions": "keep"} | settings
        (folder / "config.json").write_text(json.dumps(config))
        assert f"scored by {told}" in describe(folder, "me/mine").text
    assert 'queries "question"' in describe(folder, "me/mine").text


@pytest.mark.slow
def test_the_code_runs_beside_torch_transformers_and_pillow_alone(folder, tmp_path):
    shutil.copy(ROOT / "examples" / "page.png", tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", describe(folder, str(folder)).text, flags=re.DOTALL)
    script = "from contextlib import redirect_stdout; from io import StringIO\nprinted = StringIO()\n"
    script += "with redirect_stdout(printed): exec(arguments['block'])\nprint(json.dumps(printed.getvalue()))"
    assert run_hidden(script, tmp_path, tmp_path / "cache", block=block) == "fresh bread\nopen sunday\n"


def test_no_published_figure_stands_on_the_card_of_another_model(folder):
    card = make_card(folder, "me/mine", PUBLISHED, "mit")
    assert "None yet." in card.text and "802" not in card.content and "Not described yet." in card.text
    assert card.data.base_model == PUBLISHED and card.data.license == "mit"
    assert not card.data.datasets and not card.data.language
    for word in ("template", "{{"):
        assert word not in card.text


def test_an_unchanged_conversion_has_the_published_card(folder):
    (folder / "original").mkdir()
    card = make_card(folder, "me/monkey", PUBLISHED)
    assert "802" in card.text and "me/monkey" in card.text and "you/minimonkey-2b" not in card.text
    assert "802" not in make_card(folder, "me/monkey", "OpenGVLab/InternVL2-1B", "mit").text


def test_a_license_is_needed(folder):
    with pytest.raises(ValueError, match="`license` is missing"):
        make_card(folder, "me/mine")
    assert make_card(folder, "me/mine", license="apache-2.0").data.license == "apache-2.0"
    assert license_of(str(CHECKPOINT)) == "apache-2.0" and license_of(None) is None


def test_the_folder_s_own_card_is_kept(folder):
    (folder / "README.md").write_text("---\nlicense: apache-2.0\ntags: [receipts]\n---\n# Receipts\n")
    card = make_card(folder, "me/second", "me/first")
    assert card.text.strip() == "# Receipts" and card.data.license == "apache-2.0"
    assert card.data.base_model == "me/first" and card.data.tags == ["receipts", "minimonkey", "custom_code"]


def test_a_fine_tune_s_card_has_its_training_and_the_base_s_license(folder):
    (folder / "training.md").write_text("- data: `pages.jsonl`")
    write_card(folder, "you/mine", str(CHECKPOINT))
    card = make_card(folder, "me/receipts")
    assert "- data: `pages.jsonl`" in card.text and card.data.license == "apache-2.0"
    assert card.data.base_model is None and 'repository = "me/receipts"' in card.text
