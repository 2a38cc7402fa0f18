"""`make bench`: measure everything in this folder and write RESULTS.md, results.json and memory.png.

    python -m benchmarks.speed.run [--rounds 3] [--output FOLDER]

One thread, whatever the machine has: figures of different machines compare better, and ratios are what is looked at.
"""

import argparse
import json
from pathlib import Path

import torch

from benchmarks.machine import machine, machine_line
from benchmarks.speed import prefill, preprocessing, scoring_memory
from benchmarks.speed.model import HIDDEN_SIZE
from benchmarks.speed.timing import with_quartiles
from benchmarks.tables import blocks, markdown_table


FOLDER = Path(__file__).parent


def comparison_rows(results: dict) -> list[list[str]]:
    """Question, what was measured, limit, and whether it is met, of every measurement."""
    pixels, fill, scoring = results["preprocessing"], results["prefill"], results["memory"]
    pixel_ratio, fill_ratio = pixels["ratio"]["image processor"], fill["ratio"]["keep_ratio 0.5"]
    rows = [
        (
            f"JPEG bytes of {preprocessing.WIDTH} x {preprocessing.HEIGHT} px to `pixel_values` "
            f"({pixels['tiles']} tiles), against one decode, three resizes and one pass (n = {pixels['rounds']})",
            f"{with_quartiles(pixel_ratio)}; "
            f"{pixels['seconds']['image processor']:.3f} s against {pixels['seconds']['floor']:.3f} s",
            f"at most {pixels['limit']}",
            pixel_ratio["median"] <= pixels["limit"],
        ),
        (
            f"prefill of {fill['tokens']} tokens with `keep_ratio=0.5` ({fill['kept_tokens']} stay), against all; "
            f"language model {prefill.LAYERS} x {HIDDEN_SIZE}, sdpa (n = {fill['rounds']})",
            f"{with_quartiles(fill_ratio)}; "
            f"{fill['seconds']['keep_ratio 0.5']:.2f} s against {fill['seconds']['keep_ratio 1.0']:.2f} s",
            f"predicted {fill['predicted']:.2f}, within {fill['limit']:.0%}; off by {fill['deviation']:+.1%}",
            abs(fill["deviation"]) <= fill["limit"],
        ),
        (
            "growth with the prompt length N of the peak memory that scale compression adds "
            f"(n = {scoring['processes']} processes for each N)",
            f"N^{scoring['exponent']:.2f}",
            f"at most N^{scoring['limit']}",
            scoring["exponent"] <= scoring["limit"],
        ),
    ]
    return [[*cells, "yes" if met else "**no**"] for *cells, met in rows]


def report(results: dict) -> str:
    """The text of RESULTS.md."""
    fill, points = results["prefill"], results["memory"]["points"]
    pixels, short = results["preprocessing"]["ratio"]["image processor"], fill["ratio"]["keep_ratio 0.5"]
    peaks = [
        [point["tokens"], *(f"{point[name] / 2**20:.0f} MiB" for name in ("bytes", "bytes_of_attention_matrices"))]
        for point in points
    ]
    lines = [
        "# Speed and memory",
        "",
        *blocks(
            f"From file to tiles takes {pixels['median']:.2f} times what decoding and resizing alone take. With half "
            f"of its detailed tokens, a prompt is ready in {short['median']:.2f} of the time, in a model of "
            f"{prefill.LAYERS} layers. The memory that scoring adds grows with N^{results['memory']['exponent']:.2f}."
        ),
        "Written by `make bench`; the numbers behind it are in `results.json`. A ratio is the median over the rounds,",
        "in each of which both sides ran once, in brackets the quartiles; seconds are medians.",
        "",
        machine_line(results["machine"]),
        "",
        *markdown_table(["question", "measured", "limit", "met"], comparison_rows(results)),
        "",
        f"The prediction counts multiplications (`costs.py`): scoring costs {fill['scoring_layers']:.2f} layers "
        f"over all {fill['tokens']} tokens,",
        f"which weighs less in a deeper model than in these {prefill.LAYERS} layers.",
        "",
        *markdown_table(["N", "scale compression adds", "the attention matrices of one layer would"], peaks),
        "",
        "Peaks are of the resident memory of a process, with an allocator that returns what is freed at once.",
        "",
        "![Peak memory over N](memory.png)",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="rounds of the timings, for a short try (at least 2)")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the files written")
    arguments = parser.parse_args()
    rounds = {} if arguments.rounds is None else {"rounds": arguments.rounds}
    torch.set_num_threads(1)
    results = {
        "machine": machine(),
        "preprocessing": preprocessing.measure(**rounds),
        "prefill": prefill.measure(**rounds),
        "memory": scoring_memory.measure(),
    }
    text = report(results)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    (arguments.output / "RESULTS.md").write_text(text)
    scoring_memory.plot(results["memory"], arguments.output / "memory.png")
    print(text)


if __name__ == "__main__":
    main()
