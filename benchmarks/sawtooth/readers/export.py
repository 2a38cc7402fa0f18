"""Packs a trained model into checkpoints/minimonkey-tiny: bfloat16 weights, processor, code, training log, card.

python -m benchmarks.sawtooth.readers.export runs/6m/drawn_again runs/6m/looks_up  # the last one; the logs of these
python -m benchmarks.sawtooth.readers.export --code  # only the code, after a change to it
python -m benchmarks.sawtooth.readers.export --card  # only the card, after evaluate.py
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from transformers.dynamic_module_utils import custom_object_save

from benchmarks.sawtooth.readers.reader import make_processor
from benchmarks.tables import markdown_table
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from processing_minimonkey import MiniMonkeyProcessor
from processing_minimonkey.chat_templates import chat_template


ROOT = Path(__file__).resolve().parents[3]
CHECKPOINT = ROOT / "checkpoints" / "minimonkey-tiny"


def export_model(stages: list[str]) -> None:
    """Write the model of the last stage in bfloat16, its processor, and the log of these stages beside older ones'."""
    model = MiniMonkeyForConditionalGeneration.from_pretrained(Path(stages[-1], "model"), dtype=torch.bfloat16)
    model.config.vision_config._name_or_path = ""  # the folder of stage 1, which is nobody's business
    model.save_pretrained(CHECKPOINT)
    make_processor().save_pretrained(CHECKPOINT)
    path = CHECKPOINT / "training_log.json"
    log = json.loads(path.read_text()) if path.exists() else {}
    for stage in stages:
        state = json.loads(Path(stage, "trainer_state.json").read_text())
        log[Path(stage).name] = {
            "steps": state["global_step"],
            # A run that was stopped has not written how long it took
            "seconds": round(sum(entry.get("train_runtime", 0) for entry in state["log_history"])) or None,
            "evaluations": [
                {
                    key: value
                    for key, value in entry.items()
                    if key.startswith(("step", "eval_")) and "second" not in key
                }
                for entry in state["log_history"]
                if "eval_loss" in entry
            ],
        }
    path.write_text(json.dumps(log, indent=1) + "\n")


def export_code() -> None:
    """Renew the code files that `save_pretrained` put beside the weights, and the chat template."""
    template = chat_template(Path(__file__).with_name("chat_template.jinja"))
    (CHECKPOINT / "chat_template.jinja").write_text(template, encoding="utf-8")
    for file in CHECKPOINT.glob("*.py"):
        file.unlink()
    for entrance in (MiniMonkeyForConditionalGeneration, MiniMonkeyProcessor):
        custom_object_save(entrance, CHECKPOINT)


def export_card() -> None:
    """Fill the numbers of evaluation.json and training_log.json into card.md."""
    evaluation = json.loads((CHECKPOINT / "evaluation.json").read_text())
    log = json.loads((CHECKPOINT / "training_log.json").read_text())
    scores = ("character_accuracy", "exact_match", "words_read")
    rows = [[name, result["n"], *(f"{result[score]:.3f}" for score in scores)] for name, result in evaluation.items()]
    head = ["images and how they are cut", "n", "character accuracy", "exact match", "words read"]
    read = markdown_table(head, rows)
    rows = [
        [name, stage["steps"], f"{stage['seconds'] / 60:.0f}" if stage["seconds"] else "not noted"]
        for name, stage in log.items()
    ]
    stages = markdown_table(["stage", "steps", "minutes on two CPU cores, shared with other work"], rows)
    card = Path(__file__).with_name("card.md").read_text()
    size = (CHECKPOINT / "model.safetensors").stat().st_size / 1e6
    card = card.replace("{evaluation}", "\n".join(read)).replace("{stages}", "\n".join(stages))
    (CHECKPOINT / "README.md").write_text(card.replace("{size}", f"{size:.1f}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*")
    parser.add_argument("--code", action="store_true")
    parser.add_argument("--card", action="store_true")
    arguments = parser.parse_args()
    if arguments.stages:
        export_model(arguments.stages)
    if arguments.code:
        export_code()
    if arguments.card:
        export_card()


if __name__ == "__main__":
    main()
