"""Peak memory that scoring and selecting the detailed tokens adds, over prompts of about 1k, 2k, 4k and 8k tokens.

Each length runs in a process of its own, whose high-water mark (Linux: VmHWM) is set back right before it starts.

    python -m benchmarks.speed.scoring_memory TILES        (in such a process; prints tokens and bytes as JSON)
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.figures import save_figure
from benchmarks.machine import memory_status, restart_high_water_mark
from benchmarks.speed.model import HEADS, make_model, make_prompt


TILES = (4, 8, 16, 32)
LIMIT = 1.2  # exponent of the growth: 1 is linear, an N x N matrix gives 2
PROCESSES = 3
# By default glibc keeps part of what was freed. With a fixed threshold every tensor is returned at once, so that the
# mark shows what is in use.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536"}


@torch.no_grad()
def compression_peak(tiles: int) -> dict:
    """Tokens of a prompt with `tiles` tiles, five eighths of them detailed, and the bytes that compressing it adds."""
    model = make_model(layers=2).model

    def prepare(tiles):
        detailed = tiles * 5 // 8
        return make_prompt(detailed, tiles - detailed - 1)

    model.select_tokens(**prepare(2), keep_ratio=0.5)  # whatever is allocated once
    inputs = prepare(tiles)
    before = memory_status("VmRSS")
    restart_high_water_mark()
    model.select_tokens(**inputs, keep_ratio=0.5)
    return {"tokens": inputs["input_ids"].shape[1], "bytes": memory_status("VmHWM") - before}


def growth_exponent(x: list[float], y: list[float]) -> float:
    """Slope of the straight line nearest to the points, both axes logarithmic: `e` of y = c * x**e."""
    x, y = [math.log(value) for value in x], [math.log(value) for value in y]
    x_mean, y_mean = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - x_mean) * (b - y_mean) for a, b in zip(x, y, strict=True))
    return covariance / sum((a - x_mean) ** 2 for a in x)


def measure() -> dict:
    """The peak of every length, and the exponent with which it grows."""
    points = []
    for tiles in TILES:
        command = [sys.executable, "-m", "benchmarks.speed.scoring_memory", str(tiles)]
        runs = [
            json.loads(
                subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | ENVIRONMENT).stdout
            )
            for _ in range(PROCESSES)
        ]
        point = sorted(runs, key=lambda run: run["bytes"])[PROCESSES // 2]
        points.append(point | {"bytes_of_attention_matrices": HEADS * point["tokens"] ** 2 * 4})
    exponent = growth_exponent([point["tokens"] for point in points], [point["bytes"] for point in points])
    return {"points": points, "exponent": exponent, "limit": LIMIT, "processes": PROCESSES}


def plot(result: dict, file: Path) -> None:
    """Draw the measured peaks beside what the attention matrices of one layer would take."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    tokens = [point["tokens"] for point in result["points"]]
    figure, axes = pyplot.subplots(figsize=(5, 3.5), layout="constrained")
    for name, label in (
        ("bytes_of_attention_matrices", f"{HEADS} matrices N x N in float32 (computed)"),
        ("bytes", f"scale compression, N^{result['exponent']:.2f} (measured)"),
    ):
        axes.loglog(tokens, [point[name] / 2**20 for point in result["points"]], "o-", label=label)
    axes.set_xticks(tokens, [str(count) for count in tokens])
    axes.minorticks_off()
    axes.set(xlabel="N, tokens in the prompt", ylabel="peak, MiB")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    save_figure(figure, file, dpi=100)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(compression_peak(int(sys.argv[1]))))
