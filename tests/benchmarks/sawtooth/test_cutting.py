"""Views, methods and cuts, against pixels, boxes by hand and a loop over tiles."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchmarks.sawtooth.cutting import (
    METHODS,
    PUBLISHED_RANGES,
    SECOND_ALONE,
    View,
    budget,
    cut_by,
    grid_view,
    grids_within,
    is_cut,
    overlap_view,
    tokens_on,
)
from processing_minimonkey import plan_pyramid


TILE = 112


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)) for size in ((224, 336), (100, 230), (60, 60))]


def test_a_box_is_cut_unless_one_tile_holds_it_all():
    view = grid_view(0, (2, 1), TILE)
    assert not is_cut(view, (200, 100), (10, 10, 90, 90))
    assert not is_cut(view, (200, 100), (0, 0, 100, 100))  # up to the line
    assert is_cut(view, (200, 100), (90, 10, 110, 20))
    assert not is_cut(grid_view(2, (1, 1), TILE), (200, 100), (90, 10, 110, 20))
    assert is_cut(grid_view(0, (1, 2), TILE), (200, 100), (90, 40, 110, 60))


def test_views_cut_what_they_say(images):
    image = images[0]  # 336 x 224 px: resizing to the grid changes nothing
    pixels = np.asarray(image)
    tiles = grid_view(0, (3, 2), TILE).cut(image)
    assert np.array_equal(np.asarray(tiles[4]), pixels[112:224, 112:224])
    shifted = grid_view(1, (3, 2), TILE, (56, 56))
    assert len(shifted.boxes) == 12
    tiles = shifted.cut(image)
    assert np.array_equal(np.asarray(tiles[5]), pixels[56:168, 56:168])
    assert (np.asarray(tiles[0])[:56] == 128).all() and np.array_equal(
        np.asarray(tiles[0])[56:, 56:], pixels[:56, :56]
    )
    overlap = overlap_view(0, (3, 2), TILE)
    assert overlap.canvas == (280, 196) and overlap.boxes[-1] == (168, 84, 280, 196)


@pytest.mark.parametrize("size", [(336, 224), (224, 336), (230, 220), (700, 90), (112, 112)])
def test_methods_cover_the_image_and_keep_their_budget(size):
    rng = np.random.default_rng(0)
    tiles = {name: sum(len(view.boxes) for view in views(*size, TILE, rng)) for name, views in METHODS.items()}
    plan = plan_pyramid(*size, tile_size=TILE, detailed_tiles=(1, 6), adaptive_tiles=(1, 4))
    assert tiles["pyramid any"] == plan.num_tiles
    assert tiles["detailed + global, tiles of the pyramid"] <= tiles["pyramid any"]
    for name, views in METHODS.items():
        for view in views(*size, TILE, rng):
            seen = np.zeros(view.canvas[::-1], bool)
            for left, top, right, bottom in view.boxes:
                seen[max(top, 0) : bottom, max(left, 0) : right] = True
            assert seen.all(), (name, view)


def test_the_second_grid_alone_stands_in_the_place_of_the_detailed_one():
    for size in ((336, 224), (300, 450), (230, 500)):
        alone, both = (METHODS[name](*size, TILE, None, PUBLISHED_RANGES) for name in (SECOND_ALONE, "pyramid any"))
        assert alone == [replace(both[1], level=0), both[2]]


def test_aligned_grids_share_all_their_lines():
    views = METHODS["second grid aligned"](336, 224, TILE, np.random.default_rng(0))
    first, second = (view.canvas for view in views[:2])
    assert second != first and all(a % b == 0 for a, b in zip(first, second, strict=True))


def test_a_repeated_grid_cuts_the_same_tiles_again():
    detailed, second, whole = METHODS["second grid repeated"](300, 220, 112, None)
    assert (detailed.level, second.level, whole.level) == (0, 1, 2)
    assert second.boxes == detailed.boxes and len(detailed.boxes) > 1


def test_what_lies_outside_of_the_canvas_is_gray():
    view = View(1, (1, 1), (20, 10), ((-5, -5, 15, 5),))
    tile = np.asarray(view.cut(Image.new("RGB", (20, 10), "red"))[0])
    assert (tile[:5] == 128).all() and (tile[5:, :5] == 128).all() and (tile[5:, 5:, 0] == 255).all()


@pytest.mark.parametrize(
    "left, right, cut",
    [
        (0.5, 0.95, False),
        (0.6, 1.2, True),
        (0.8, 1.2, False),
        (0.76, 1.74, False),
        (1.4, 1.9, True),
        (1.6, 2.5, False),
    ],
)
def test_overlapping_tiles_hold_what_lies_in_the_overlap(left, right, cut):
    """Three tiles from 0 to 1, 0.75 to 1.75 and 1.5 to 2.5, in tiles of the canvas."""
    view = overlap_view(0, (3, 1), 448)
    assert view.canvas == (1120, 448) and len(view.boxes) == 3
    assert is_cut(view, (2.5, 1.0), (left, 0.1, right, 0.4)) == cut


def test_cuts_of_many_boxes_equal_a_loop_over_the_tiles():
    rng = np.random.default_rng(0)
    corner, side = rng.uniform(0, 300, (50, 2)), rng.uniform(1, 60, (50, 2))
    boxes = np.concatenate([corner, corner + side], axis=1)
    for view in (grid_view(0, (4, 2), TILE), grid_view(1, (3, 2), TILE, (56, 56)), overlap_view(0, (4, 3), TILE)):
        x, y = view.canvas[0] / 360, view.canvas[1] / 360
        held = [
            any(a <= left * x and b <= top * y and right * x <= c and bottom * y <= d for a, b, c, d in view.boxes)
            for left, top, right, bottom in boxes
        ]
        assert 0 < sum(held) < 50 and is_cut(view, (360, 360), boxes).tolist() == [not each for each in held]


def test_a_box_is_cut_by_one_grid_or_by_all():
    views = METHODS["pyramid any"](336, 224, TILE, None)  # 3 x 2 and 2 x 2
    boxes = {"whole": (10, 10, 90, 90), "at x = 112": (90, 10, 130, 90), "at y = 112": (10, 90, 90, 130)}
    assert [cut_by(views, (336, 224), box) for box in boxes.values()] == [0, 1, 3]
    assert cut_by(METHODS["global"](336, 224, TILE, None), (336, 224), boxes["at x = 112"]) == 0
    assert cut_by([grid_view(1, (2, 1), TILE)], (200, 100), (90, 10, 130, 90)) == 2  # no detailed grid


def test_grids_and_budgets():
    assert grids_within(3, 4) == [(1, 3), (1, 4), (2, 2), (3, 1), (4, 1)]
    assert budget([(3, 2), (2, 2)]) == (8, 10) and budget([(1, 1), (1, 2)]) == (2, 2) and budget([(1, 1)]) == (1, 1)


def test_tokens_on_a_box():
    """Tokens of 28 px of a canvas of 2 x 1 tiles, which is twice as large as the image."""
    on = tokens_on(grid_view(0, (2, 1), 112), (112, 56), (50, 15, 60, 27))
    assert on.nonzero()[0].tolist() == [4 + 3, 16 + 4]  # second row: last of tile 0, first of tile 1
