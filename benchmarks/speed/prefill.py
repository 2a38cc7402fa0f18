"""Prefill with half of the detailed tokens against all of them, and what the token counts predict (`costs.py`)."""

from benchmarks.speed.costs import Sizes, layer_cost, predicted_ratio, scoring_cost
from benchmarks.speed.model import TEXT_AFTER, TOKENS_PER_TILE, make_model, make_prompt
from benchmarks.speed.timing import compare


LAYERS = 8
DETAILED, ADAPTIVE = 12, 6  # and the global tile: 19
KEEP_RATIO = 0.5
LIMIT = 0.15


def measure(rounds: int = 11) -> dict:
    """Times of both side by side, and how far their ratio is from the predicted one."""
    model, prompt = make_model(LAYERS), make_prompt(DETAILED, ADAPTIVE)
    detailed = DETAILED * TOKENS_PER_TILE
    tokens = prompt["input_ids"].shape[1]
    kept = tokens - detailed + int(detailed * KEEP_RATIO)
    rows = (ADAPTIVE + 1) * TOKENS_PER_TILE + TEXT_AFTER
    result = compare(
        {
            "keep_ratio 1.0": lambda: model.generate(**prompt, max_new_tokens=1, do_sample=False),
            "keep_ratio 0.5": lambda: model.generate(
                **prompt, max_new_tokens=1, do_sample=False, keep_ratio=KEEP_RATIO
            ),
        },
        rounds,
    )
    sizes = Sizes.of(model.config.text_config)
    predicted = predicted_ratio(sizes, tokens, kept, rows)
    measured = result["ratio"]["keep_ratio 0.5"]["median"]
    return result | {
        "tokens": tokens,
        "kept_tokens": kept,
        "scoring_layers": scoring_cost(sizes, tokens, rows) / layer_cost(sizes, tokens),
        "predicted": predicted,
        "deviation": measured / predicted - 1,
        "limit": LIMIT,
    }
