"""With all tokens, Mini-Monkey computes what Transformers' own class computes; with fewer, less."""

import torch

from benchmarks.speed import pretrained
from benchmarks.speed.operations import count_operations
from tests.benchmarks.small_llama import make_small_llama


def test_counts_are_those_of_a_product():
    first, second = torch.ones(3, 5), torch.ones(5, 7)
    assert count_operations(lambda: first @ second)["flops"] == 2 * 3 * 5 * 7
    once, twice = (count_operations(lambda n=n: [first @ second for _ in range(n)])["calls"] for n in (1, 2))
    assert twice == 2 * once > 0


def test_all_tokens_cost_what_stock_costs():
    causal_lm = make_small_llama(vocab_size=400, num_hidden_layers=16, pad_token_id=0)  # scoring takes two more
    block = pretrained.Block("any", 16, 1)
    called = pretrained.functions(block, causal_lm, {})
    stock, every, half = (count_operations(called[name]) for name in ("stock", "keep_ratio 1.0", "keep_ratio 0.5"))
    assert every["flops"] == stock["flops"] > half["flops"]
    assert every["calls"] - stock["calls"] < 20 < half["calls"] - stock["calls"]
