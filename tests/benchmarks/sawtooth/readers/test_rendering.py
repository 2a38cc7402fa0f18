"""Rendered pages follow from their index, have what their kind says, and show no held-out word in training."""

import numpy as np
import pytest

from benchmarks.sawtooth.readers.rendering import ALPHABET, dense_labels, draw_page, is_held_out, load_font, render


def test_a_page_follows_from_its_index():
    first, again, other = render("page", "train", 3), render("page", "train", 3), render("page", "train", 4)
    assert first.text == again.text and first.image.tobytes() == again.image.tobytes()
    assert first.text != other.text


def test_no_held_out_word_is_trained_on():
    words = {split: [] for split in ("train", "test")}
    for split, found in words.items():
        for index in range(100):
            found += render("mixed", split, index).text.split()
    assert not any(is_held_out(word) for word in words["train"])
    assert all(is_held_out(word) for word in words["test"])
    assert not {word.lower() for word in words["train"]} & {word.lower() for word in words["test"]}


def test_dense_labels_say_where_a_character_stands():
    page = draw_page(np.random.default_rng(0), [["ab"]], [(120, 30)], (224, 112), load_font("DejaVuSansMono", 24))
    letters, ordinals = dense_labels(page, (2, 1))
    assert letters.shape == ordinals.shape == (2, 64, 2)
    # DejaVu Sans Mono at 24 px advances 14.45 px: the centers are at x 127.2 and 141.7, 15.2 and 29.7 in tile 1
    row = 30 // 14
    assert letters[1, row * 8 + 15 // 14, (15 // 7) % 2] == ALPHABET.index("a") + 1
    assert letters[1, row * 8 + 29 // 14, (29 // 7) % 2] == ALPHABET.index("b") + 1
    assert (letters > 0).sum() == 2
    assert sorted(ordinals[letters > 0]) == [0, 1]
    assert (ordinals[letters == 0] == -100).all()


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="`kind` must be one of .*, got 'poem'"):
        render("poem", "train", 0)
