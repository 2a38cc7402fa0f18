"""The template of every checkpoint's card: known to the Hub, its code runs, its figures are those of the benchmark."""

import re

import pytest
from huggingface_hub import ModelCard


@pytest.fixture(scope="module")
def card(repository):
    return ModelCard.load(repository / "model_card.md")


def test_metadata_are_what_the_hub_knows(card):
    data = card.data
    assert data.library_name == "transformers" and data.pipeline_tag == "image-text-to-text"
    assert data.base_model_relation in {"finetune", "adapter", "quantized", "merge"}
    for name in (data.base_model, *data.datasets):
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", name)
    assert all(re.fullmatch("[a-z]{2}", language) for language in data.language)  # ISO 639-1
    assert "custom_code" in data.tags  # the Hub shows how to load with `trust_remote_code` where it stands


@pytest.mark.slow
def test_the_code_answers(card, checkpoint, page, monkeypatch, tmp_path):
    """As it stands, but for the name of the repository and what is quick on a CPU."""
    page.save(tmp_path / "receipt.jpg", quality=95)
    monkeypatch.chdir(tmp_path)
    printed = []
    names = {"print": printed.append}
    blocks = re.findall(r"```python\n(.*?)```", card.text, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        code = block.replace("you/minimonkey-2b", str(checkpoint)).replace("bfloat16", "float32")
        exec(compile(code, "model_card.md", "exec"), names)
    assert printed and all(isinstance(answer, str) and answer for answer in printed)


@pytest.mark.parametrize("name", ["model_card.md", "README.md", "examples/card_template.md"])
def test_code_that_needs_accelerate_says_so(repository, name):
    """Transformers doesn't bring it, and `device_map` raises without it."""
    text = (repository / name).read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        assert "device_map" not in block or re.search("pip install .*accelerate", block), block


@pytest.mark.parametrize("name", ["model_card.md", "README.md"])
def test_our_own_figures_stand_in_the_results(repository, name):
    """Every decimal in the list beside a reference to the benchmark's results is one of them, as they are now."""
    results = (repository / "benchmarks" / "sawtooth" / "RESULTS.md").read_text(encoding="utf-8")
    lists = r"((?:^(?:- |  ).*\n)+)"
    text = (repository / name).read_text(encoding="utf-8")
    before = [r"RESULTS\.md`?\)?[^\n]*\n(?:[^\n]+\n)*\n" + lists, lists + r"\n[^\n]*RESULTS\.md"]
    found = [part for pattern in before for part in re.findall(pattern, text, flags=re.MULTILINE)]
    figures = [figure for part in found for figure in re.findall(r"\d+\.\d", part)]
    assert figures
    for figure in figures:
        assert re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d)", results), figure
