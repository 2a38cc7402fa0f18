"""Asks SmolLM2, behind the small tower, about a receipt that is drawn anew: `make demo-smollm`.

    python -m benchmarks.sawtooth.pretrained.demo --receipt 3 --layout bill --keep-ratio 0.5

The first time the checkpoint is built from the language model of `make smollm` and what was learned, which is in the
repository. What is printed at the end was measured on other receipts, none of whose words were trained.
"""

import argparse
import shutil
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from benchmarks.sawtooth.measurements.receipts import CompressedReceipts
from benchmarks.sawtooth.pretrained.checkpoint import save
from benchmarks.sawtooth.pretrained.model import FILES, load_tower
from benchmarks.sawtooth.pretrained.questions import PRICED, Picture, draw_picture
from benchmarks.sawtooth.pretrained.train import add_sources
from benchmarks.sawtooth.readers.rendering import generator
from benchmarks.sawtooth.report.readings import load as load_readings
from benchmarks.sawtooth.report.receipts import READER, accuracies, compressed_accuracies, load_stages
from benchmarks.sawtooth.runner import FOLDER as RESULTS
from benchmarks.speed.pretrained_model import load


LEARNED = Path(__file__).parents[3] / "checkpoints" / "minimonkey-smollm"
LONGEST_ANSWER = 160  # tokens, one for each character: all text of eight lines
PLAIN = "What is the capital of France?"  # has nothing to do with the receipt


def conversation(picture: Picture) -> Iterator[tuple[str, str | None]]:
    """Questions about a receipt, each with its answer, and a plain one that the receipt doesn't answer."""
    for name, number in picture.page.lines[:3]:
        yield f"What does {name} cost?", f"{name} costs {number}."
    numbers = [number for _, number in picture.page.lines]
    if single := [line for line in picture.page.lines if numbers.count(line[1]) == 1]:
        name, number = single[-1]
        yield f"Which one costs {number}?", f"{name} costs {number}."
    yield "Write down all the text.", picture.page.text
    yield PLAIN, None


def checkpoint(base: Path, tower: Path) -> Path:
    """The folder of the model, which is built unless it is there and newer than what was learned."""
    folder = base / "minimonkey"
    learned = max(path.stat().st_mtime for name in FILES.values() if (path := LEARNED / name).exists())
    if not folder.exists() or folder.stat().st_mtime < learned:
        causal_lm, tokenizer = load(base)
        with tempfile.TemporaryDirectory(dir=base) as whole:  # a build that is stopped leaves no half of a folder
            save(causal_lm, tokenizer, load_tower(tower), LEARNED, Path(whole, folder.name))
            shutil.rmtree(folder, ignore_errors=True)
            Path(whole, folder.name).rename(folder)
    return folder


def ask(model, processor, picture: Picture, question: str, keep_ratio: float = 1.0) -> str:
    """The greedy answer to a question about a picture, of whose detailed tokens a share stays."""
    content = [{"type": "image", "image": picture.page.image}, {"type": "text", "text": question}]
    inputs = processor.prepare_chat([{"role": "user", "content": content}])
    sequences = model.generate(**inputs, max_new_tokens=LONGEST_ANSWER, do_sample=False, keep_ratio=keep_ratio)
    return processor.decode(sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()


def measured(layout: str, keep_ratio: float) -> str:
    """What was right of the demo's questions about other pictures: with all tokens, and with a share of them."""
    last = load_stages(RESULTS)[-1]
    text = "with all tokens " + ", ".join(accuracies(last, layout))
    if keep_ratio < 1:
        readings = load_readings(CompressedReceipts().path(READER))
        found = compressed_accuracies(readings, layout, keep_ratio, last.settings["positions"])
        text += f"; with {keep_ratio:g} of the detailed ones " + (", ".join(found) or "it was not measured")
    return f"Of such questions it answers exactly: {text}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--receipt", type=int, default=0, help="number of the receipt; each is another one")
    parser.add_argument("--layout", choices=PRICED, default=PRICED[0], help="a bill has four to eight lines")
    parser.add_argument("--keep-ratio", type=float, default=1.0, help="share of the detailed tokens that stays")
    add_sources(parser)
    arguments = parser.parse_args()
    folder = checkpoint(arguments.base, arguments.tower)
    picture = draw_picture(generator("demo", arguments.receipt), arguments.layout, held_out=True)
    image = folder.parent / "receipt.png"
    picture.page.image.save(image)
    print(f"image     {image}\n")
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    model = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True, dtype=torch.float32)
    for question, truth in conversation(picture):
        answer = ask(model, processor, picture, question, arguments.keep_ratio)
        print(f"question  {question}\nanswer    " + answer.replace("\n", "\n          "))
        if truth is not None and answer != truth:
            print("written   " + truth.replace("\n", "\n          "))
        print()
    print(textwrap.fill(measured(arguments.layout, arguments.keep_ratio), 100))


if __name__ == "__main__":
    main()
