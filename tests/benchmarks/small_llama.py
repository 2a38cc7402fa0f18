"""A small language model with random weights in place of a pretrained one."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM


def make_small_llama(**settings) -> LlamaForCausalLM:
    """Always the same weights, for the same settings of `LlamaConfig`."""
    torch.manual_seed(1)
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        **settings,
    )
    return LlamaForCausalLM(config).eval()
