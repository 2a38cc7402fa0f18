"""Many prompts at once say what each would say alone."""

import pytest

from benchmarks.sawtooth.pretrained.generation import generate
from benchmarks.sawtooth.pretrained.questions import draw_picture
from benchmarks.sawtooth.readers.rendering import generator


@pytest.fixture
def model(model):
    """With larger weights, so that answers differ."""
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.data *= 8
    return model


@pytest.fixture
def prompts(encoder):
    pictures = [None, *(draw_picture(generator("test", i), ("word", "receipt")[i % 2], False) for i in range(3)), None]
    return [encoder.prompt("a" * (3 * i + 1), picture) for i, picture in enumerate(pictures)]


def test_rows_together_and_alone(model, encoder, prompts):
    together = generate(model, encoder, prompts, 6)
    assert together == generate(model, encoder, prompts, 6, rows=2)
    assert together == [generate(model, encoder, [prompt], 6)[0] for prompt in prompts]
    assert len(set(together)) > 1


def test_answers_end_before_the_token_that_ends_them(model, encoder, prompts):
    (said, ended), *_ = generate(model, encoder, prompts[:1], 6)
    assert (len(said), ended) == (6, False)
    encoder.end = said[2]  # as if the third one ended the answer
    assert generate(model, encoder, prompts[:1], 6) == [(said[: said.index(said[2])], True)]
