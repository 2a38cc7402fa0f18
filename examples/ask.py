"""Ask a Mini-Monkey model about an image.

    python examples/ask.py IMAGE QUESTION [--model FOLDER]

`--keep-ratio 0.5` drops half of the detailed tokens before the answer (scale compression); by default the model's own
setting holds, which is to keep all.

The default model is the small checkpoint of this repository, which reads rendered words: "Read the text."
"""

import os


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin while they wait block the others

import argparse
import sys
import time
from pathlib import Path

import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from transformers import AutoModelForImageTextToText, AutoProcessor

import modeling_minimonkey  # noqa: F401  (makes the Auto classes know the model)
import processing_minimonkey  # noqa: F401
from modeling_minimonkey.scale_compression import DETAILED_LEVEL, kept_count


CHECKPOINT = Path(__file__).resolve().parents[1] / "checkpoints" / "minimonkey-tiny"


def grids_of(plan) -> dict[str, tuple[int, int]]:
    """Columns and rows of each group of tiles in the plan."""
    groups = dict.fromkeys(tile.group for tile in plan.tiles)
    return {group: plan.grid(group) for group in groups}


def count_tokens(inputs: dict, image_seq_length: int, keep_ratio: float) -> tuple[int, int]:
    """Tokens of a prompt with one image before and after the Scale Compression Mechanism."""
    before = inputs["input_ids"].shape[1]
    detailed = int((inputs["tile_levels"] == DETAILED_LEVEL).sum()) * image_seq_length
    return before, before - detailed + kept_count(detailed, keep_ratio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("question", nargs="?", default="Read the text.")
    parser.add_argument("--model", default=str(CHECKPOINT), help="folder or Hub id")
    parser.add_argument("--keep-ratio", type=float, help="share of the detailed tokens to keep")
    parser.add_argument("--max-new-tokens", type=int, default=100)
    arguments = parser.parse_args()

    try:
        ask(arguments)
    except UnidentifiedImageError:
        sys.exit(f"error: {arguments.image} can't be read as an image.")
    except (OSError, ValueError) as error:  # a file that is missing or damaged, a setting: the message says what
        sys.exit(f"error: {error}")


def ask(arguments: argparse.Namespace) -> None:
    """Print the answer and what it was made of."""
    image = ImageOps.exif_transpose(Image.open(arguments.image))  # the grids below are those of the upright image
    processor = AutoProcessor.from_pretrained(arguments.model, trust_remote_code=True)
    model = AutoModelForImageTextToText.from_pretrained(arguments.model, trust_remote_code=True, dtype=torch.float32)
    keep_ratio = arguments.keep_ratio or model.config.scale_compression_config.keep_ratio
    content = [{"type": "image", "image": image}, {"type": "text", "text": arguments.question}]
    start = time.perf_counter()
    inputs = processor.prepare_chat([{"role": "user", "content": content}])
    options = {"max_new_tokens": arguments.max_new_tokens, "do_sample": False, "keep_ratio": arguments.keep_ratio}
    sequences = model.generate(**inputs, **options)
    seconds = time.perf_counter() - start
    answer = processor.decode(sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)

    plan = processor.image_processor.get_pyramid_plan(image.height, image.width)
    before, after = count_tokens(inputs, processor.image_seq_length, keep_ratio)
    print(f"question  {arguments.question}")
    print("answer    " + answer.replace("\n", "\n          "))
    grids = ", ".join(f"{group} {columns} x {rows}" for group, (columns, rows) in grids_of(plan).items())
    print(f"pyramid   {grids}: {plan.num_tiles} tiles of {processor.image_seq_length} tokens")
    kept = "all of them kept" if keep_ratio == 1 else f"{after} after scale compression"
    print(f"prompt    {before} tokens, {kept} (keep_ratio {keep_ratio:g})")
    print(f"time      {seconds:.2f} s")


if __name__ == "__main__":
    main()
