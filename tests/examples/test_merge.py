"""An adapter and its base model become one folder, with a card, or a sentence says why not."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from merge import merge
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForImageTextToText, AutoProcessor


ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / "checkpoints" / "minimonkey-tiny"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> Path:
    """As `finetune.py --train lora` leaves it, with weights that change something."""
    folder = tmp_path_factory.mktemp("trained") / "mine"
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_pretrained(CHECKPOINT, dtype=torch.float32)
    settings = LoraConfig(r=4, target_modules=r".*language_model.*_proj", init_lora_weights=False)
    get_peft_model(model, settings).save_pretrained(folder)
    AutoProcessor.from_pretrained(CHECKPOINT).save_pretrained(folder)
    (folder / "training.md").write_text("- data: `pages.jsonl`")
    return folder


def test_the_merged_weights_are_those_of_both(adapter, tmp_path):
    options = {"queries": "question", "scoring_layer": 2, "positions": "keep"}
    merge(adapter, tmp_path / "whole", dtype="float32", keep_ratio=0.5, **options)
    merged = AutoModelForImageTextToText.from_pretrained(tmp_path / "whole", dtype=torch.float32)
    base = AutoModelForImageTextToText.from_pretrained(CHECKPOINT, dtype=torch.float32)
    expected = PeftModel.from_pretrained(base, adapter).merge_and_unload().state_dict()
    plain = AutoModelForImageTextToText.from_pretrained(CHECKPOINT, dtype=torch.float32).state_dict()
    for name, weight in merged.state_dict().items():
        torch.testing.assert_close(weight, expected[name])
        assert torch.equal(weight, plain[name]) != ("language_model" in name and "_proj" in name)
    settings = merged.config.scale_compression_config
    assert (settings.queries, settings.layer, settings.positions) == ("question", 2, "keep")
    assert settings.keep_ratio == 0.5 and not (tmp_path / "whole" / "adapter_config.json").exists()
    card = (tmp_path / "whole" / "README.md").read_text()
    assert "- data: `pages.jsonl`" in card and "license: apache-2.0" in card
    with pytest.raises(FileExistsError, match="exists already"):
        merge(adapter, tmp_path / "whole")


@pytest.mark.parametrize(
    "options, sentence",
    [({"queries": "answer"}, "`queries` must be one of"), ({"scoring_layer": 99}, "layer` is 99, but the language")],
)
def test_settings_that_the_model_does_not_take_are_refused(adapter, tmp_path, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        merge(adapter, tmp_path / "whole", **options)
    assert not (tmp_path / "whole").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "script, arguments, sentence",
    [
        ("merge.py", ["nothing", "whole"], "error: nothing holds no adapter"),
        ("push.py", ["{adapter}", "me/x"], "Merge it first: python examples/merge.py"),
        ("push.py", ["{empty}", "me/x"], "lacks config.json"),
        ("serve.py", ["{adapter}", "--trust-remote-code"], "Merge it first: python examples/merge.py"),
        ("ask.py", ["nothing.png"], "No such file or directory: 'nothing.png'"),
        ("ask.py", ["{text}"], "can't be read as an image"),
        (
            "finetune.py",
            ["--train_data", "nothing.jsonl", "--output_dir", "x", "--report_to", "none"],
            "nothing.jsonl",
        ),
    ],
)
def test_what_goes_wrong_is_one_sentence(adapter, tmp_path, script, arguments, sentence):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no image")
    places = {"adapter": adapter, "empty": tmp_path / "empty", "text": tmp_path / "text.png"}
    command = [sys.executable, ROOT / "examples" / script, *(each.format(**places) for each in arguments)]
    done = subprocess.run([str(part) for part in command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and sentence in done.stderr and "Traceback" not in done.stderr
