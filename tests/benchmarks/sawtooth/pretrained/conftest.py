"""A small language model with random weights and a tokenizer of bytes in place of the pretrained ones, a short run."""

import pytest
import torch
from torch import nn
from transformers import InternVLVisionConfig, InternVLVisionModel

from benchmarks.sawtooth.pretrained import evaluate, train
from benchmarks.sawtooth.pretrained.conversations import Encoder, Replay, TrainingBatches
from benchmarks.sawtooth.pretrained.model import add_adapter, add_image_tokens, build, learned, save_learned
from benchmarks.sawtooth.pretrained.train import Settings
from benchmarks.sawtooth.readers.reader import make_tokenizer
from tests.benchmarks.small_llama import make_small_llama


SMALL = Settings(
    minutes=0.11,
    check=0.35,
    batch=2,
    rank=2,
    prompts=4,
    explained=3,
    answer_tokens=3,
    words=3,
    questions=1,
    workers=0,
)


class Clock:
    """Time that goes by when one looks at it, so that a run has the same steps on every machine."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.04
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(train, "time", clock)
    monkeypatch.setattr(evaluate, "time", clock)


@pytest.fixture
def short_answers(monkeypatch):
    monkeypatch.setattr(evaluate, "LONGEST", dict.fromkeys(evaluate.LONGEST, 2))


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


@pytest.fixture
def batches(encoder):
    """Six rows each, three tenths of them chat."""
    return TrainingBatches(encoder, Replay({"Hello": ((104, 105), True)}, {}, share=0.3), rows=6)


@pytest.fixture
def folder(model, tmp_path):
    """What was learned: random numbers."""
    add_adapter(model, 2)
    for parameter in (learned(model, "adapter") | learned(model, "projector")).values():
        nn.init.normal_(parameter, std=0.2)
        parameter.data = parameter.data.to(torch.bfloat16).float()  # as it is saved
    save_learned(model, tmp_path / "learned", {"rank": 2})
    return tmp_path / "learned"
