"""What a trained reader of sheets reads, on held-out pages: `evaluation.json` beside it.

    python -m benchmarks.sawtooth.readers.sheet_evaluation runs/reader/steered/model

All of the text of 200 pages, and 200 values beside keys; with all tokens and under scale compression, with positions
kept and without gaps, as serving engines number them.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import numpy as np

from benchmarks.sawtooth.measurements.cut_words import answers
from benchmarks.sawtooth.measurements.reading import Reader, load_reader
from benchmarks.sawtooth.readers.scores import edit_distance
from benchmarks.sawtooth.readers.sheets import Question, Sheet, render
from benchmarks.sawtooth.report.statistics import bootstrap, mean, ratio


# Name: settings of `scale_compression_config`, and the share of tokens that stays
VARIANTS = {
    "all tokens": ({}, 1.0),
    "keep_ratio 0.5": ({}, 0.5),
    "keep_ratio 0.25": ({}, 0.25),
    "keep_ratio 0.5, as an engine": ({"queries": "none", "positions": "repack"}, 0.5),
    "keep_ratio 0.25, as an engine": ({"queries": "none", "positions": "repack"}, 0.25),
}
MAX_NEW_TOKENS = {"pages": 320, "values": 24}


def pages(world: str, samples: int) -> list[Sheet]:
    """The first held-out pages, asked for all of their text."""
    return [replace(sheet, questions=sheet.questions[:1]) for sheet in _held_out(world, samples, lambda sheet: True)]


def values(world: str, samples: int) -> list[Sheet]:
    """The first held-out pages that have keys, each asked for the value beside one of them."""
    found = []
    for number, sheet in enumerate(_held_out(world, samples, lambda sheet: any(map(_asks_value, sheet.questions)))):
        asked = [question for question in sheet.questions if _asks_value(question)]
        found.append(replace(sheet, questions=(asked[number % len(asked)],)))
    return found


def _asks_value(question: Question) -> bool:
    return " beside " in question.text


def _held_out(world: str, samples: int, wanted: Callable[[Sheet], bool]) -> list[Sheet]:
    sheets = (render(world, "held-out", index) for index in count())
    return list(islice((sheet for sheet in sheets if wanted(sheet)), samples))


def shared_words(text: str, answer: str) -> int:
    """How many words of the text stand in the answer, each as often as it does there at most."""
    return (Counter(text.split()) & Counter(answer.split())).total()


def score(sheets: Sequence[Sheet], texts: Sequence[str]) -> dict:
    """
    Scores of the answers to the first question of each page, with 95% intervals by bootstrap over pages.

    `words_f1`: twice the words that are in both, divided by the words of both. `character_accuracy`: one minus all
    edits divided by all characters, at least zero for a page. `exact_match`: share of the answers that are the text.

    Raises:
        ValueError: there are no pages, or not as many answers.
    """
    if not sheets or len(sheets) != len(texts):
        raise ValueError(f"`texts` must be one for each page, at least one; got {len(texts)} for {len(sheets)}.")
    wanted = [sheet.questions[0].answer for sheet in sheets]
    pairs = list(zip(wanted, texts, strict=True))
    shared = np.array([2 * shared_words(*pair) for pair in pairs])
    words = np.array([len(text.split()) + len(answer.split()) for text, answer in pairs])
    right = np.array([max(0, len(text) - edit_distance(text, answer)) for text, answer in pairs])
    clusters = np.arange(len(pairs))
    found = {
        "words_f1": ratio(shared, words),
        "character_accuracy": ratio(right, np.array([len(text) for text in wanted])),
        "exact_match": mean(np.array([text == answer for text, answer in pairs])),
    }
    return {"n": len(pairs)} | {
        name: [round(value, 4) for value in bootstrap(clusters, statistic)] for name, statistic in found.items()
    }


def evaluate(reader: Reader, world: str, samples: int, batch_size: int = 50) -> dict[str, dict]:
    """The scores of every variant, of pages and of values; the model's settings are as before."""
    processor, results = reader.processor.image_processor, {}
    method = f"pyramid {processor.complementarity}" if processor.adaptive_tiles else "detailed + global"
    config = reader.model.config.scale_compression_config
    for kind, sheets in (("pages", pages(world, samples)), ("values", values(world, samples))):
        for name, (settings, keep_ratio) in VARIANTS.items():
            before = {key: getattr(config, key) for key in settings}
            try:
                for key, value in settings.items():
                    setattr(config, key, value)
                texts = answers(reader, sheets, method, batch_size, MAX_NEW_TOKENS[kind], keep_ratio=keep_ratio)
            finally:
                for key, value in before.items():
                    setattr(config, key, value)
            results[f"{kind}: {name}"] = score(sheets, texts)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--world", default="ascii")
    parser.add_argument("--samples", type=int, default=200)
    arguments = parser.parse_args()
    results = evaluate(load_reader(arguments.model), arguments.world, arguments.samples)
    (arguments.model / "evaluation.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
