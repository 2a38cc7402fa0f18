"""The word is where the reading says, and no training has seen it."""

import numpy as np
import pytest

from benchmarks.sawtooth.measurements.moved_word import (
    GRIDS,
    SCALES,
    SIZES,
    MovedWord,
    draw_word,
    held_out_words,
    positions,
)
from benchmarks.sawtooth.readers.rendering import is_held_out
from processing_minimonkey import plan_pyramid


TILE = 112


def test_the_word_is_where_the_sweep_says():
    for grid in GRIDS:
        for scale in SCALES:
            for axis in "xy":
                for center in positions(grid, axis):
                    image, (left, top, right, bottom) = draw_word("reading", 24, grid, scale, TILE, center)
                    width, height = image.size
                    assert plan_pyramid(width, height, tile_size=TILE, detailed_tiles=(1, 6)).detailed == grid
                    assert (left + right) / 2 / width * grid[0] == pytest.approx(center[0], abs=0.01)
                    assert 0 <= left < right <= width and 0 <= top < bottom <= height
                    dark = np.argwhere(np.asarray(image.convert("L")) < 128)
                    assert dark[:, 1].min() >= left - 1 and dark[:, 1].max() <= right + 1


def test_words_of_the_sweep_are_held_out_and_different():
    for size, lengths in SIZES.items():
        words = held_out_words(30, lengths)
        assert len(set(words)) == 30 and all(is_held_out(word) and len(word) in lengths for word in words)
        _, (left, _, right, _) = draw_word("w" * max(lengths), size, (2, 2), (1.0, 1.0), TILE, (0.5, 0.5))
        assert right - left < 1.35 * TILE  # even of the widest letters; words of usual letters fit a tile


def test_a_block_is_a_method_on_a_grid(reader):
    measurement = MovedWord(words=1, size=32, methods=("global", "detailed"))
    assert measurement.blocks(reader) == [(method, *grid, 32) for grid in GRIDS for method in ("global", "detailed")]
    readings = measurement.measure(reader, "detailed", 2, 2, 32)
    assert len(readings) == 2 * 9 and {(each.method, each.columns, each.size) for each in readings} == {
        ("detailed", 2, 32)
    }
    assert {each.position: each.cut for each in readings if each.axis == "y"}[1.0] == 3
    with pytest.raises(ValueError, match="`size` must be one of .*, got 20"):
        MovedWord(size=20)
