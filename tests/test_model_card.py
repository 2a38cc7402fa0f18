"""The template of every checkpoint's card: complete, and with no figure that its source doesn't have."""

import re

import pytest
from huggingface_hub import ModelCard


@pytest.fixture(scope="module")
def card(repository):
    return ModelCard.load(repository / "model_card.md")


def test_metadata_are_what_the_hub_knows(card):
    data = card.data
    assert data.license == "mit" and data.library_name == "transformers"
    assert data.pipeline_tag == "image-text-to-text"
    assert data.base_model == "mx262/MiniMonkey" and data.base_model_relation in {"finetune", "adapter", "quantized"}
    assert set(data.language) == {"en", "zh"}  # ISO 639-1
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", name) for name in data.datasets)
    assert {"mini-monkey", "custom_code"} <= set(data.tags)


def test_no_section_is_missing(card):
    sections = re.findall(r"^## (.+)$", card.text, flags=re.MULTILINE)
    assert sections == ["How to use", "Intended use and limits", "Evaluation", "Training", "License", "Cite"]
    assert "Model Zoo" in card.text and "not measured with this implementation" in card.text


def test_the_code_is_python(card):
    for block in re.findall(r"```python\n(.*?)```", card.text, flags=re.DOTALL):
        compile(block, "model_card.md", "exec")


@pytest.mark.parametrize(
    "file, start, end",
    [
        ("model_card.md", "What cutting does was measured", "## Training"),
        ("README.md", "What the [benchmark](benchmarks/sawtooth/RESULTS.md) says", "Not yet:"),
    ],
)
def test_our_own_figures_stand_in_the_results(repository, file, start, end):
    """Every decimal in the paragraph on our own models is one of the benchmark's, as it is now."""
    results = (repository / "benchmarks" / "sawtooth" / "RESULTS.md").read_text(encoding="utf-8")
    text = (repository / file).read_text(encoding="utf-8")
    figures = re.findall(r"\d+\.\d", text[text.index(start) : text.index(end)])
    assert len(figures) >= 5
    for figure in figures:
        assert re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d)", results), figure
