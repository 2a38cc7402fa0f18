"""Prefill with half of the detailed tokens against all of them, and what the token counts predict.

With N tokens in the prompt, of which K stay and R follow the detailed block, a decoder layer over n tokens costs, in
multiplications and additions (hidden size h, intermediate size i, keys and values k wide),

    layer(n) = n (4 h h + 4 h k + 6 h i) + 2 h n n        (matrices; causal attention)

and scoring runs one layer over all tokens and, of the next, the attention's projections and the products of R rows:

    scoring = layer(N) + N (4 h h + 4 h k) + 2 h R (N - R / 2)

so with L layers the ratio should be (L layer(K) + scoring) / (L layer(N)).
"""

from benchmarks.speed.model import (
    HEADS,
    HIDDEN_SIZE,
    INTERMEDIATE_SIZE,
    KEY_VALUE_HEADS,
    TEXT_AFTER,
    TOKENS_PER_TILE,
    make_model,
    make_prompt,
)
from benchmarks.speed.timing import compare


LAYERS = 8
DETAILED, ADAPTIVE = 12, 6  # and the global tile: 19
KEEP_RATIO = 0.5
LIMIT = 0.15


def layer_cost(tokens: int) -> float:
    """Multiplications and additions of a decoder layer over so many tokens."""
    key_value_size = HIDDEN_SIZE * KEY_VALUE_HEADS // HEADS
    matrices = 4 * HIDDEN_SIZE**2 + 4 * HIDDEN_SIZE * key_value_size + 6 * HIDDEN_SIZE * INTERMEDIATE_SIZE
    return tokens * matrices + 2 * HIDDEN_SIZE * tokens**2


def scoring_cost(tokens: int, rows: int) -> float:
    """Those of scoring: `rows` tokens follow the detailed block."""
    key_value_size = HIDDEN_SIZE * KEY_VALUE_HEADS // HEADS
    projections = tokens * (4 * HIDDEN_SIZE**2 + 4 * HIDDEN_SIZE * key_value_size)
    return layer_cost(tokens) + projections + 2 * HIDDEN_SIZE * rows * (tokens - rows / 2)


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
    scoring = scoring_cost(tokens, rows)
    predicted = (LAYERS * layer_cost(kept) + scoring) / (LAYERS * layer_cost(tokens))
    measured = result["ratio"]["keep_ratio 0.5"]["median"]
    return result | {
        "tokens": tokens,
        "kept_tokens": kept,
        "scoring_layers": scoring / layer_cost(tokens),
        "predicted": predicted,
        "deviation": measured / predicted - 1,
        "limit": LIMIT,
    }
