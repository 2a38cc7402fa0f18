"""Measures what a run learned, anew or because the run ended before its last evaluation did.

    python -m benchmarks.sawtooth.pretrained.measure runs/smollm --base build/smollm

The entries replace those of the last evaluation in the run's log.
"""

import argparse
import json
import math
from pathlib import Path

import torch

from benchmarks.sawtooth.pretrained.evaluate import Evaluation
from benchmarks.sawtooth.pretrained.model import load_learned, load_tower
from benchmarks.sawtooth.pretrained.train import Log, Settings, add_sources, own_answers, prepare
from benchmarks.speed.pretrained_model import load


def measure(
    causal_lm,
    tokenizer,
    tower,
    folder: Path,
    device: torch.device,
    words: int | None = None,
    questions: int | None = None,
) -> None:
    """
    The last evaluation of the run in a folder; the other arguments are those of `train.run`.

    Args:
        words, questions: number of them; by default as many as the run was to ask.
    """
    log = folder / "log.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines()
    settings = Settings(**json.loads(lines[0])["settings"])
    model, encoder = prepare(causal_lm, tokenizer, tower, device, settings)
    _, meanings = own_answers(model, encoder, settings, folder / "replay.jsonl")
    load_learned(model, folder)
    kept = [line for line in lines if json.loads(line).get("evaluation") != "after"]
    say = Log(log)
    log.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    Evaluation(model, encoder, say, meanings, math.inf).run(
        "after", words or settings.words, questions or settings.questions
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of a run of `train.py`")
    add_sources(parser)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--words", type=int, help="number of single words; default: as many as the run had")
    parser.add_argument("--questions", type=int, help="of each kind; default: as many as the run had")
    arguments = parser.parse_args()
    causal_lm, tokenizer = load(arguments.base)
    tower, device = load_tower(arguments.tower), torch.device(arguments.device)
    measure(causal_lm, tokenizer, tower, arguments.folder, device, arguments.words, arguments.questions)


if __name__ == "__main__":
    main()
