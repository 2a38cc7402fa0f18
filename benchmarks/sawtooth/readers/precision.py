"""Whether a training computes in bfloat16: on every GPU, and on a processor that multiplies matrices faster in it."""

import time
from functools import cache

import torch


ROWS, SIDE, REPEATS = 2048, 576, 5
LEAST_SPEEDUP = 1.5  # of the multiplications alone, for autocast converts the weights before each


def seconds(dtype: torch.dtype) -> float:
    """Process seconds of the fastest of some multiplications, as large as those of a small language model's layer."""
    rows, matrix = torch.ones(ROWS, SIDE, dtype=dtype), torch.ones(SIDE, SIDE, dtype=dtype)
    found = []
    for _ in range(REPEATS):
        began = time.process_time()
        rows @ matrix
        found.append(time.process_time() - began)
    return min(found)


@cache
def bfloat16_pays(device: str | None = None) -> bool:
    """
    Whether to compute in bfloat16 on a device: always on a GPU, on a CPU where it is at least `LEAST_SPEEDUP` times as
    fast: with avx512_bf16 it has been half and twice as fast as float32.

    Args:
        device: `"cuda"` or `"cpu"`; by default the GPU if there is one.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return device == "cuda" or seconds(torch.float32) > LEAST_SPEEDUP * seconds(torch.bfloat16)
