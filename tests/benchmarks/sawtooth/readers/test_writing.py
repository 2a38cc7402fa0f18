"""What is written: only what its world knows, and never a held-out word in training."""

import numpy as np
import pytest

from benchmarks.sawtooth.readers.rendering import is_held_out, lexicon
from benchmarks.sawtooth.readers.writing import WORLDS, Writer


@pytest.fixture(params=WORLDS)
def world(request):
    return WORLDS[request.param]


def tokens(world, held_out: bool) -> list[str]:
    writer = Writer(np.random.default_rng(0), world, held_out)
    return [draw() for _ in range(300) for draw in (writer.punctuated, writer.number, writer.price)]


def test_a_world_has_every_character_that_is_written(world):
    written = set("".join(tokens(world, held_out=False)))
    assert written <= set(world.alphabet)
    assert any(character.isupper() for character in written) is not world.is_plain
    assert bool(written & set('.,:!?"()%$')) is not world.is_plain


@pytest.mark.parametrize("held_out", [True, False])
def test_words_and_numbers_are_held_out_or_not(world, held_out):
    writer = Writer(np.random.default_rng(1), world, held_out)
    words = [writer.word() for _ in range(300)]
    assert {is_held_out(word) for word in words + [writer.number() for _ in range(100)]} == {held_out}
    assert {word.lower() for word in words} & {word.lower() for word in lexicon()}, "words of the lexicon, too"
    assert max(map(len, words)) <= 10 and max(len(writer.word(4)) for _ in range(50)) == 4


def test_training_has_fewer_words_of_the_lexicon(world):
    known, shares = {word.lower() for word in lexicon()}, []
    for held_out in (True, False):
        writer = Writer(np.random.default_rng(2), world, held_out)
        shares.append(np.mean([writer.word().lower() in known for _ in range(2000)]))
    held_out, training = shares
    assert training < held_out / 2
