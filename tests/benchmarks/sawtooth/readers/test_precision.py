"""bfloat16 where it is faster."""

import pytest
import torch

from benchmarks.sawtooth.pretrained import generation
from benchmarks.sawtooth.readers import precision


@pytest.fixture(autouse=True)
def anew():
    precision.bfloat16_pays.cache_clear()
    yield
    precision.bfloat16_pays.cache_clear()


@pytest.mark.parametrize(("bfloat16", "pays"), [(0.5, True), (0.8, False), (2.0, False)])
def test_pays_where_it_is_clearly_faster(monkeypatch, bfloat16, pays):
    monkeypatch.setattr(precision, "seconds", {torch.float32: 1.0, torch.bfloat16: bfloat16}.get)
    assert precision.bfloat16_pays("cpu") is pays
    assert precision.bfloat16_pays("cuda")
    with generation.precision(torch.device("cpu")):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if pays else torch.float32)


def test_seconds_are_those_of_the_fastest(monkeypatch):
    times = iter([0, 5, 10, 12, 20, 29, 30, 34, 40, 46])  # begin and end: 5, 2, 9, 4, 6
    monkeypatch.setattr(precision.time, "process_time", lambda: next(times))
    assert precision.seconds(torch.float32) == 2
