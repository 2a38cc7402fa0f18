"""What a prefill costs, in multiplications and additions, from the sizes of a language model and the counts of tokens.

With hidden size h, queries q wide (heads x head size), keys and values k wide each, and intermediate size i, a decoder
layer over n tokens costs

    layer(n) = n (4 h q + 4 h k + 6 h i) + 2 q n n        (matrices; causal attention)

Scoring at layer l runs l layers over all N tokens and, of the next, the attention's projections and the products of
the R queries that count. If these are the last R tokens of the prompt, each of them sees N - R / 2 tokens on average:

    scoring(N, R, l) = l layer(N) + N (4 h q + 4 h k) + 2 q R (N - R / 2)
"""

from dataclasses import dataclass

from transformers import PreTrainedConfig


@dataclass(frozen=True)
class Sizes:
    """Those of a language model's decoder layers; `query`: width of all heads, `key`: of the keys' heads alone."""

    layers: int
    hidden: int
    intermediate: int
    query: int
    key: int

    @classmethod
    def of(cls, config: PreTrainedConfig) -> "Sizes":
        """Those of a Llama, Phi3 or Qwen2."""
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return cls(
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            intermediate=config.intermediate_size,
            query=head * config.num_attention_heads,
            key=head * config.num_key_value_heads,
        )


def projections_cost(sizes: Sizes, tokens: int) -> float:
    """Those of the attention's matrices."""
    return tokens * 4 * sizes.hidden * (sizes.query + sizes.key)


def layer_cost(sizes: Sizes, tokens: int) -> float:
    """Those of one decoder layer over so many tokens."""
    feed_forward = tokens * 6 * sizes.hidden * sizes.intermediate
    return projections_cost(sizes, tokens) + feed_forward + 2 * sizes.query * tokens**2


def scoring_cost(sizes: Sizes, tokens: int, rows: int, layer: int = 1) -> float:
    """Those of scoring at `layer` by the last `rows` tokens."""
    products = 2 * sizes.query * rows * (tokens - rows / 2)
    return layer * layer_cost(sizes, tokens) + projections_cost(sizes, tokens) + products


def predicted_ratio(sizes: Sizes, tokens: int, kept: int, rows: int, layer: int = 1) -> float:
    """
    Prefill with compression over prefill without: all layers over the `kept` tokens and scoring, through all layers
    over all `tokens`. What both sides do once, such as the first token's logits, is left out.
    """
    short = sizes.layers * layer_cost(sizes, kept) + scoring_cost(sizes, tokens, rows, layer)
    return short / (sizes.layers * layer_cost(sizes, tokens))
