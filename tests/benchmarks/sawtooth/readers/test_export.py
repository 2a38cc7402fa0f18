"""The small checkpoint: its code, its card, and what it reads."""

import json

from benchmarks.sawtooth.readers import export
from benchmarks.sawtooth.readers.evaluate import read
from benchmarks.sawtooth.readers.rendering import render
from benchmarks.sawtooth.readers.scores import score


def test_code_beside_the_weights_is_the_code_of_the_packages(checkpoint, repository):
    files = list(checkpoint.glob("*.py"))
    assert {file.name for file in files} >= {"modeling_minimonkey.py", "processing_minimonkey.py"}
    for file in files:
        (source,) = repository.glob(f"*_minimonkey/{file.name}")
        assert file.read_text() == source.read_text(), "run: python -m benchmarks.sawtooth.readers.export --code"


def test_the_card_says_what_was_evaluated(checkpoint, tmp_path, monkeypatch):
    """The same card comes out of the stored evaluation again."""
    for name in ("evaluation.json", "training_log.json", "model.safetensors"):
        (tmp_path / name).symlink_to(checkpoint / name)
    monkeypatch.setattr(export, "CHECKPOINT", tmp_path)
    export.export_card()
    assert (tmp_path / "README.md").read_text() == (checkpoint / "README.md").read_text()


def test_the_checkpoint_reads_what_its_evaluation_says(checkpoint, reader):
    """A tenth of the words of evaluation.json; 50 words put the accuracy within a few points of the whole."""
    assert (checkpoint / "model.safetensors").stat().st_size <= 20e6
    evaluation = json.loads((checkpoint / "evaluation.json").read_text())
    single = [evaluation[f"word {where}: pyramid"] for where in ("in a tile", "over tiles")]
    assert sum(result["n"] for result in single) == 500
    words = [render("word", "test", index) for index in range(50)]
    accuracy = score(words, read(reader.model, reader.processor, words, {}, {}))["character_accuracy"]
    assert abs(accuracy - sum(result["n"] * result["character_accuracy"] for result in single) / 500) < 0.04
