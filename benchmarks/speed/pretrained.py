"""`make bench-smollm`: time to the first token around a pretrained Llama; writes PRETRAINED.md, a figure, results.

    python -m benchmarks.speed.pretrained [--rounds 7] [--pairs 40] [--tokens_per_tile 64 121 225] [--output FOLDER]

Mini-Monkey and Transformers' InternVL share SmolLM2-135M's weights (`make smollm` fetches them) and get the same image
features; the published procedure (`published.py`) gets the same embeddings. All run in turns, round by round, in
float32 on one thread, and the process's own seconds count. What is in `pretrained.json` already is not measured again:
remove the file to begin anew, and whenever the machine or the code changes.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.machine import machine
from benchmarks.speed import pretrained_report
from benchmarks.speed.costs import Sizes, predicted_ratio
from benchmarks.speed.model import TEXT_AFTER
from benchmarks.speed.operations import count_operations
from benchmarks.speed.pretrained_model import IMAGE_TOKEN_ID, load, make_prompt, wrap
from benchmarks.speed.published import PublishedPrefill, cache_bytes
from benchmarks.speed.timing import compare, time_in_turns
from modeling_minimonkey.scale_compression import detailed_images, kept_count
from processing_minimonkey.complementary_image_pyramid import plan_pyramid


FOLDER = Path(__file__).parent
PAGE = (1240, 1754)  # px: A4 at 150 dpi
RATIOS = (0.75, 0.5, 0.25)
STOCK, PUBLISHED, PUBLISHED_SETTING = "stock", "published procedure", "published setting 0.5"
OURS = {"queries": "question", "layer": 2, "positions": "keep"}
SETTING = {"queries": "all", "layer": 1, "positions": "repack"}  # as published


@dataclass(frozen=True)
class Block:
    """What is measured together. `complementarity` decides the numbers of tiles."""

    complementarity: str
    tokens_per_tile: int
    rows: int

    @property
    def tiles(self) -> tuple[int, int, int]:
        """Numbers of detailed, adaptive and global tiles of the page."""
        plan = plan_pyramid(*PAGE, complementarity=self.complementarity)
        return tuple(len(plan.group_tiles(name)) for name in ("detailed", "adaptive", "global"))


def blocks(tokens_per_tile: list[int]) -> list[Block]:
    """Every length; two prompts at once and the other tiling with the smallest tiles: half an hour in all."""
    smallest = min(tokens_per_tile)
    return [Block("any", tokens, 1) for tokens in tokens_per_tile] + [
        Block("any", smallest, 2),
        Block("joint", smallest, 1),
    ]


def name_of(keep_ratio: float) -> str:
    return f"keep_ratio {keep_ratio}"


def expected(block: Block, sizes: Sizes, tokens: int) -> dict[str, float]:
    """What the counts predict for the time of each function, as a share of stock's."""
    detailed, adaptive, whole = (tiles * block.tokens_per_tile for tiles in block.tiles)

    def ratio(keep_ratio: float, rows: int, layer: int) -> float:
        kept = tokens - detailed + kept_count(detailed, keep_ratio)
        return predicted_ratio(sizes, tokens, kept, rows, layer)

    ours = {name_of(keep_ratio): ratio(keep_ratio, TEXT_AFTER, OURS["layer"]) for keep_ratio in RATIOS}
    every = adaptive + whole + TEXT_AFTER
    return {name_of(1.0): 1.0} | ours | {PUBLISHED_SETTING: ratio(0.5, every, SETTING["layer"])}


def functions(block: Block, causal_lm, kv_bytes: dict) -> dict:
    """What is timed, by name, the base first; each writes the bytes of its keys and values into `kv_bytes`."""
    stock = wrap(causal_lm, block.tokens_per_tile, stock=True)
    model = wrap(causal_lm, block.tokens_per_tile)
    embedding = causal_lm.get_input_embeddings()
    inputs = make_prompt(block.tiles, block.tokens_per_tile, block.rows, embedding)
    stock_inputs = {name: value for name, value in inputs.items() if name != "tile_levels"}
    published = PublishedPrefill(causal_lm.model, causal_lm.lm_head)
    image_mask = inputs["input_ids"] == IMAGE_TOKEN_ID
    features = inputs["mm_encoder_outputs"]["image"].pooler_output
    detailed = detailed_images(image_mask, inputs["tile_levels"], block.tokens_per_tile)[0] > 0
    answer = {"max_new_tokens": 1, "do_sample": False, "return_dict_in_generate": True}

    def run_stock():
        kv_bytes[STOCK] = cache_bytes(stock.generate(**stock_inputs, **answer))

    def run_ours(name: str, settings: dict, keep_ratio: float):
        for key, value in settings.items():
            setattr(model.config.scale_compression_config, key, value)
        kv_bytes[name] = cache_bytes(model.generate(**inputs, **answer, keep_ratio=keep_ratio))

    def run_published():
        embeds = embedding(inputs["input_ids"]).masked_scatter(image_mask[..., None], features)
        _, kv_bytes[PUBLISHED] = published.first_tokens(embeds.detach(), detailed, 0.5)

    ours = {name_of(ratio): (OURS, ratio) for ratio in (1.0, *RATIOS)} | {PUBLISHED_SETTING: (SETTING, 0.5)}
    timed = {name: (lambda name=name, each=each: run_ours(name, *each)) for name, each in ours.items()}
    return {STOCK: run_stock} | timed | {PUBLISHED: run_published}


def measure(block: Block, causal_lm, rounds: int, warm_up: bool) -> dict:
    """Times, bytes of keys and values, and what the counts predict, of one block."""
    kv_bytes = {}
    # On one thread, time is that of the process: another machine on the same processor can take the core
    called = functions(block, causal_lm, kv_bytes)
    result = compare(called, rounds, warm_up=warm_up, clock=time.process_time)
    detailed, adaptive, whole = block.tiles
    prompt = make_prompt(block.tiles, block.tokens_per_tile, 1, causal_lm.get_input_embeddings())
    tokens = prompt["input_ids"].shape[1]
    found = {"tokens": tokens, "tiles": {"detailed": detailed, "adaptive": adaptive, "global": whole}}
    predicted = expected(block, Sizes.of(causal_lm.config), tokens)
    return asdict(block) | found | result | {"kv_bytes": kv_bytes, "predicted": predicted}


def count(block: Block, causal_lm) -> dict[str, dict[str, int]]:
    """What stock and ours with all tokens compute."""
    called = functions(block, causal_lm, {})
    return {name: count_operations(called[name]) for name in (STOCK, name_of(1.0))}


def time_pairs(block: Block, causal_lm, pairs: int) -> dict[str, list[float]]:
    """Seconds of stock and of ours with all tokens, in turns: what lies between them takes more rounds to see."""
    called = functions(block, causal_lm, {})
    both = {name: called[name] for name in (STOCK, name_of(1.0))}
    seconds = time_in_turns(both, pairs, clock=time.process_time)
    return {name: [round(each, 4) for each in times] for name, times in seconds.items()}


def record(path: Path, rounds: int, pairs: int, tokens_per_tile: list[int]) -> dict:
    """The results in the file, after the blocks that it lacks are measured; every finished block is in it for good."""
    results = json.loads(path.read_text()) if path.exists() else {"machine": machine(), "blocks": []}
    done = [Block(*(each[name] for name in Block.__dataclass_fields__)) for each in results["blocks"]]
    todo = [block for block in blocks(tokens_per_tile) if block not in done]
    parts = {"operations": count, "pairs": lambda block, causal_lm: time_pairs(block, causal_lm, pairs)}
    lacking = todo or any(name not in each for each in results["blocks"] for name in parts)
    causal_lm = load()[0] if lacking else None
    for block in tqdm(todo):
        # Once is enough: the same weights and functions are called in every block.
        results["blocks"].append(measure(block, causal_lm, rounds, warm_up=block is todo[0]))
        path.write_text(json.dumps(results, indent=1) + "\n")
    for block, found in tqdm(list(zip(done + todo, results["blocks"], strict=True)), desc="operations and pairs"):
        for name in [name for name in parts if name not in found]:
            found[name] = parts[name](block, causal_lm)
            path.write_text(json.dumps(results, indent=1) + "\n")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="of the timings, at least 2")
    parser.add_argument("--pairs", type=int, default=40, help="rounds of stock and keep_ratio 1.0 alone")
    parser.add_argument("--tokens_per_tile", type=int, nargs="+", default=[64, 121, 225], help="square numbers")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the files written")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "pretrained.json"
    results = record(path, arguments.rounds, arguments.pairs, sorted(arguments.tokens_per_tile))
    facts = arguments.output / "asked_facts.csv"
    text = pretrained_report.report(results, facts if facts.exists() else None)
    (arguments.output / "PRETRAINED.md").write_text(text)
    pretrained_report.plot(results, arguments.output / "pretrained.png")
    print(text)


if __name__ == "__main__":
    main()
