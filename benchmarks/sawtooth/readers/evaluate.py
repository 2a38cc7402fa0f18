"""What the small checkpoint reads: character accuracy and exact match on held-out words and pages.

    python -m benchmarks.sawtooth.readers.evaluate checkpoints/minimonkey-tiny

Character accuracy is 1 - CER: one minus all edits divided by all reference characters. No word here was seen in
training (nor was any other case of it). The results go to `evaluation.json` in the checkpoint's folder.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from tqdm import tqdm
from transformers import AutoProcessor

from benchmarks.sawtooth.cutting import SMALL_RANGES, plan_grids
from benchmarks.sawtooth.readers.documents import render
from benchmarks.sawtooth.readers.reader import messages
from benchmarks.sawtooth.readers.rendering import TILE_SIZE, Page
from benchmarks.sawtooth.readers.scores import score
from modeling_minimonkey import MiniMonkeyForConditionalGeneration


VARIANTS = {
    # name: (processor settings, generate settings)
    "pyramid": ({}, {}),
    "pyramid, keep_ratio 0.5": ({}, {"keep_ratio": 0.5}),
    "pyramid, keep_ratio 0.25": ({}, {"keep_ratio": 0.25}),
    "detailed + global": ({"adaptive_tiles": None}, {}),
    "global only": ({"detailed_tiles": (1, 1), "adaptive_tiles": None}, {}),
}


def read(
    model, processor, pages: list[Page], images_kwargs: dict, generate_kwargs: dict, batch_size: int = 25
) -> list[str]:
    """The greedy answers to the pages' questions, with settings of the processor and of `generate`."""
    texts = []
    for start in tqdm(range(0, len(pages), batch_size), desc="reading", leave=False):
        batch = pages[start : start + batch_size]
        conversations = [messages(page.question) for page in batch]
        inputs = processor(
            text=processor.apply_chat_template(conversations, add_generation_prompt=True, tokenize=False),
            images=[[page.image] for page in batch],
            padding=True,
            return_tensors="pt",
            **images_kwargs,
        )
        sequences = model.generate(**inputs, max_new_tokens=80, do_sample=False, **generate_kwargs)
        answers = sequences[:, inputs["input_ids"].shape[1] :]
        texts += processor.batch_decode(answers, skip_special_tokens=True)
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--words", type=int, default=500)
    parser.add_argument("--pages", type=int, default=100)
    arguments = parser.parse_args()
    model = MiniMonkeyForConditionalGeneration.from_pretrained(arguments.model, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(arguments.model, trust_remote_code=True)

    results: dict[str, dict] = {}
    words = [render("word", "test", index) for index in range(arguments.words)]
    in_a_tile = [plan_grids(*word.image.size, TILE_SIZE, SMALL_RANGES)[0] == (1, 1) for word in words]
    samples = {
        "word in a tile": [word for word, alone in zip(words, in_a_tile, strict=True) if alone],
        "word over tiles": [word for word, alone in zip(words, in_a_tile, strict=True) if not alone],
        **{
            kind: [render(kind, "test", index) for index in range(arguments.pages)]
            for kind in ("pair", "page", "document", "keyed")
        },
    }
    for kind, pages in samples.items():
        for name, (images_kwargs, generate_kwargs) in VARIANTS.items():
            texts = read(model, processor, pages, images_kwargs, generate_kwargs)
            results[f"{kind}: {name}"] = score(pages, texts)
            print(f"{kind}: {name:28}", results[f"{kind}: {name}"])
            if name == "pyramid":
                for page, text in list(zip(pages, texts, strict=True))[:6]:
                    print("   ", repr(page.text), "->", repr(text))
    Path(arguments.model, "evaluation.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
