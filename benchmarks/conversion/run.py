"""`make bench-conversion`: how much memory does converting a checkpoint take? Writes RESULTS.md and results.json.

The source has the shapes of InternVL2-2B (4.4 GB in bfloat16), random weights and files of 1 GB. Every conversion runs
in a process of its own, whose high-water mark (Linux: VmHWM, files that are mapped into memory included) is set back
after a small checkpoint was converted the same way.

    python -m benchmarks.conversion.run [--folder FOLDER]      (needs 14 GB of disk there)
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.machine import machine, machine_line, memory_status, restart_high_water_mark
from benchmarks.tables import markdown_table
from modeling_minimonkey.configuration_minimonkey import INTERNLM2_1_8B
from modeling_minimonkey.conversion.config import convert_config, read_config
from modeling_minimonkey.conversion.convert import (
    convert,
    load_original,
    load_original_processor,
    revert,
)
from modeling_minimonkey.conversion.weight_files import LazyTensor, write_tensors
from modeling_minimonkey.conversion.weight_names import (
    conversions_to_original,
    convert_tensors,
    internlm2_weights,
    vision_and_projector_weights,
)
from modeling_minimonkey.modeling_minimonkey import MiniMonkeyForConditionalGeneration


FOLDER = Path(__file__).parent
SMALL = FOLDER.parents[1] / "tests" / "golden" / "model" / "internlm2" / "checkpoint"
SHARD_SIZE = 10**9
# The bar: one shard and a tenth.
LIMIT = 1.1

NAMES = ("vocab_size", "hidden_size", "intermediate_size")
NAMES += ("num_hidden_layers", "num_attention_heads", "num_key_value_heads")
LANGUAGE_MODEL = {name: INTERNLM2_1_8B[name] for name in NAMES}
VISION_TOWER = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 448,
}


def make_source(folder: Path) -> None:
    """Write a checkpoint in the original format, with the tokenizer of the small one."""
    shutil.copytree(SMALL, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = json.loads((folder / "config.json").read_text())
    config["llm_config"] |= LANGUAGE_MODEL
    config["vision_config"] |= VISION_TOWER
    config["force_image_size"] = VISION_TOWER["image_size"]
    (folder / "config.json").write_text(json.dumps(config))
    ours = convert_config(read_config(folder), image_token_id=515)
    with torch.device("meta"):
        model = MiniMonkeyForConditionalGeneration(ours).bfloat16()
    shapes = {
        name: LazyTensor(tuple(each.shape), each.dtype, each.detach) for name, each in model.state_dict().items()
    }
    mapping = vision_and_projector_weights() + internlm2_weights()
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: LazyTensor(
            each.shape,
            each.dtype,
            lambda each=each: torch.empty_like(each.meta(), device="cpu").normal_(std=0.02, generator=generator),
        )
        for name, each in convert_tensors(shapes, conversions_to_original(shapes, mapping), ours).items()
    }
    write_tensors(folder, tensors, SHARD_SIZE)


def save_whole(source: Path, target: Path) -> None:
    """The usual way, for comparison: the whole model in memory."""
    load_original(source).save_pretrained(target)
    load_original_processor(source).save_pretrained(target)


WAYS = {
    "convert": convert,
    "convert --dtype float32": lambda source, target: convert(source, target, dtype=torch.float32),
    "convert --reverse": revert,
    "load_original and save_pretrained": save_whole,
}


def measure(way: str, source: Path, target: Path, small: Path) -> dict:
    """Run in a process of its own: the memory that the conversion adds, in bytes, and its seconds."""
    WAYS[way](small, target.with_name("small"))
    before = memory_status("VmRSS")
    restart_high_water_mark()
    start = time.perf_counter()
    WAYS[way](source, target)
    peak = memory_status("VmHWM")
    return {"added": peak - before, "process": peak, "seconds": time.perf_counter() - start}


def run_all(folder: Path) -> dict:
    """Make the checkpoint in `folder` and measure every way to convert it."""
    source, ours, small = folder / "source", folder / "ours", folder / "small_ours"
    make_source(source)
    convert(SMALL, small)
    convert(source, ours)
    sizes = [path.stat().st_size for path in source.glob("*.safetensors")]
    results = {"machine": machine(), "bytes": sum(sizes), "shard": max(sizes), "files": len(sizes), "ways": {}}
    for way in WAYS:
        sources = (ours, small) if "reverse" in way else (source, SMALL)
        target = folder / "targets"
        target.mkdir()
        command = [sys.executable, "-m", "benchmarks.conversion.run", "--way", way, "--paths"]
        command += [str(path) for path in (sources[0], target / "target", sources[1])]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results["ways"][way] = json.loads(done.stdout.splitlines()[-1])
        shutil.rmtree(target)
    return results


def gigabytes(number: int) -> str:
    """Bytes in GB."""
    return f"{number / 1e9:.2f} GB"


def report(results: dict) -> str:
    """The text of RESULTS.md."""
    shard = results["shard"]
    rows = [
        [way, gigabytes(found["added"]), f"{found['added'] / shard:.2f}", gigabytes(found["process"])]
        + [f"{found['seconds']:.0f} s"]
        for way, found in results["ways"].items()
    ]
    streamed = [found["added"] / shard for way, found in results["ways"].items() if way.startswith("convert")]
    lines = [
        "# Memory of the conversion",
        "",
        f"Converting takes {max(streamed):.2f} of one file's size in memory, whatever the size of the checkpoint.",
        "",
        "Written by `make bench-conversion`; the numbers behind it are in `results.json`.",
        "",
        machine_line(results["machine"]),
        "",
        f"A checkpoint of the shapes of InternVL2-2B with random weights: {results['bytes'] / 1e9:.2f} GB in "
        f"{results['files']} files, the largest {shard / 1e9:.2f} GB. Each way ran once (n = 1), in its own process.",
        "",
        *markdown_table(["way", "memory it adds", "in shards", "whole process", "time"], rows),
        "",
        f"The bar is {LIMIT} shards; the conversions need at most {max(streamed):.2f}: "
        + ("met." if max(streamed) <= LIMIT else "**missed**."),
        "What they need is their largest tensor and its copies, so it does not grow with the size of the files.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="for the checkpoints; by default a temporary one")
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--paths", type=Path, nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(measure(arguments.way, *arguments.paths)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        results = run_all(Path(folder))
    (FOLDER / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    (FOLDER / "RESULTS.md").write_text(report(results))


if __name__ == "__main__":
    main()
