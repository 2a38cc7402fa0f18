"""A small language model in place of the pretrained one."""

import pytest

from tests.benchmarks.small_llama import make_small_llama


@pytest.fixture(scope="module")
def causal_lm():
    return make_small_llama(vocab_size=400, num_hidden_layers=4, pad_token_id=0)
