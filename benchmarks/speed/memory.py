"""Peak memory that scoring the detailed tokens adds, over prompts of about 1k, 2k, 4k and 8k tokens.

Each length runs in a process of its own, whose high-water mark (Linux: VmHWM) is set back right before scoring.

    python -m benchmarks.speed.memory TILES        (in such a process; prints tokens and bytes as JSON)
"""

import json
import math
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.speed.model import HEADS, TOKENS_PER_TILE, make_model, make_prompt
from modeling_minimonkey.scale_compression import detailed_images, score_detailed_tokens


TILES = (4, 8, 16, 32)
LIMIT = 1.2  # exponent of the growth: 1 is linear, an N x N matrix gives 2
REPEATS = 3


def status(field: str) -> int:
    """A figure of this process in bytes: VmRSS (memory now) or VmHWM (its high-water mark)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


@torch.no_grad()
def scoring_peak(tiles: int) -> dict:
    """Tokens of a prompt with `tiles` tiles, five eighths of them detailed, and the bytes that scoring it adds."""
    model = make_model(layers=2).model

    def prepare(tiles):
        detailed = tiles * 5 // 8
        prompt = make_prompt(detailed, tiles - detailed - 1)
        embeds, image_mask = model.embed(
            prompt["input_ids"], None, prompt["mm_encoder_outputs"]["image"], past_key_values=None
        )
        images = detailed_images(image_mask, prompt["tile_levels"], TOKENS_PER_TILE)[0]
        return embeds, torch.arange(embeds.shape[1])[None], images

    score_detailed_tokens(model.language_model, *prepare(2))  # whatever is allocated once
    inputs = prepare(tiles)
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM back to VmRSS
    score_detailed_tokens(model.language_model, *inputs)
    return {"tokens": inputs[0].shape[1], "bytes": status("VmHWM") - before}


def measure() -> dict:
    points = []
    for tiles in TILES:
        command = [sys.executable, "-m", "benchmarks.speed.memory", str(tiles)]
        runs = [
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            for _ in range(REPEATS)
        ]
        point = sorted(runs, key=lambda run: run["bytes"])[REPEATS // 2]
        points.append(point | {"bytes_of_attention_matrices": HEADS * point["tokens"] ** 2 * 4})
    # Slope of a straight line through the points, both axes logarithmic.
    x, y = ([math.log(point[name]) for point in points] for name in ("tokens", "bytes"))
    x_mean, y_mean = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - x_mean) * (b - y_mean) for a, b in zip(x, y, strict=True))
    exponent = covariance / sum((a - x_mean) ** 2 for a in x)
    return {"points": points, "exponent": exponent, "limit": LIMIT, "rounds": REPEATS}


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(scoring_peak(int(sys.argv[1]))))
