"""
Compute what every published checkpoint needs, and write results.json, docs/checkpoints.md and docs/checkpoints.png.

    python -m benchmarks.memory.run

Takes about five minutes and little memory, since no weights are loaded.
"""

import argparse
import json
from importlib.metadata import version
from pathlib import Path

from benchmarks.memory.checkpoints import FORMATS, count_parameters, meta_model, read_checkpoints, weight_bytes
from benchmarks.memory.document import document
from benchmarks.memory.figure import draw
from benchmarks.memory.finetuning import NAMES, finetuning_of
from benchmarks.memory.prefill import KEEP_RATIOS, PYRAMIDS, prefill_memory


RESULTS = Path(__file__).with_name("results.json")
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "checkpoints.md"


def weights_of(model) -> dict:
    return {
        "tokens_per_tile": model.config.image_seq_length,
        "parameters": count_parameters(model),
        "weights": {number_format: weight_bytes(model, number_format) for number_format in FORMATS},
    }


def prefill_of(model, pyramid) -> dict:
    levels = [tile.level for tile in pyramid.plan.tiles]
    return {str(keep_ratio): prefill_memory(model, levels, keep_ratio) for keep_ratio in KEEP_RATIOS}


def compute() -> dict:
    results = {}
    for checkpoint in read_checkpoints():
        model = meta_model(checkpoint.config)
        prefill = {str(pyramid.tiles): prefill_of(model, pyramid) for pyramid in PYRAMIDS}
        results[checkpoint.name] = weights_of(model) | {"prefill": prefill}
        print(checkpoint.name, flush=True)
    versions = {name: version(name) for name in ("torch", "transformers")}
    return {"versions": versions, "checkpoints": results, "finetuning": compute_finetuning()}


def compute_finetuning() -> dict:
    checkpoints = {checkpoint.short_name: checkpoint for checkpoint in read_checkpoints()}
    return {name: finetuning_of(checkpoints[name]) for name in NAMES}


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    results = compute()
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    DOCUMENT.write_text(document(results), "utf-8")
    draw(results, DOCUMENT.with_suffix(".png"))


if __name__ == "__main__":
    main()
