"""A small language model with random weights and a tokenizer of bytes in place of the pretrained ones."""

import pytest
import torch
from transformers import InternVLVisionConfig, InternVLVisionModel

from benchmarks.sawtooth.pretrained.conversations import Encoder
from benchmarks.sawtooth.pretrained.model import add_image_tokens, build
from benchmarks.sawtooth.readers.reader import make_tokenizer
from tests.benchmarks.small_llama import make_small_llama


@pytest.fixture
def causal_lm():
    return make_small_llama(vocab_size=258, num_hidden_layers=2)


@pytest.fixture
def tower():
    torch.manual_seed(2)
    sizes = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    return InternVLVisionModel(
        InternVLVisionConfig(**sizes, image_size=112, patch_size=14, attention_bias=True)
    ).eval()


@pytest.fixture
def tokenizer():
    tokenizer = make_tokenizer()
    add_image_tokens(tokenizer)
    return tokenizer


@pytest.fixture
def model(causal_lm, tower, tokenizer):
    torch.manual_seed(3)
    return build(causal_lm, tower, tokenizer)


@pytest.fixture
def encoder(tokenizer):
    return Encoder(tokenizer, 64)
