"""Which tokens the figure of the compression shows as dropped, and where."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image

from modeling_minimonkey.inspection.visualization import plot_compression
from modeling_minimonkey.modeling_minimonkey import SelectedTokens
from modeling_minimonkey.scale_compression import DETAILED_LEVEL
from processing_minimonkey.visualization import plot_pyramid


@pytest.fixture(scope="module")
def pair(trained_model, trained_processor):
    return trained_model, trained_processor


def dropped(figure) -> np.ndarray:
    """The cells that are dark, (token rows, token columns)."""
    dark = figure.axes[0].images[1].get_alpha() > 0
    plt.close(figure)
    return dark


def test_half_of_the_tokens_is_dropped_and_not_those_on_the_text(pair, page):
    figure = plot_compression(*pair, page, "Read the text.", keep_ratio=0.5)
    assert "48 of 96" in figure.axes[0].get_title()
    dark = dropped(figure)
    assert dark.shape == (8, 12) and dark.sum() == 48  # tiles of 4 x 4 tokens, 3 x 2 of them
    assert dark[:4, :8].mean() < 0.2 < 0.6 < dark[4:].mean()  # the words stand in the first two tiles
    assert not dropped(plot_compression(*pair, page, "Read the text.", keep_ratio=1.0)).any()


@pytest.mark.parametrize("order", [("detailed", "adaptive", "global"), ("adaptive", "global", "detailed")])
def test_tokens_stand_where_their_tile_is_cut(pair, page, monkeypatch, order):
    model, processor = pair
    monkeypatch.setattr(processor.image_processor, "tile_order", order)

    def select_tokens(input_ids, tile_levels, **kwargs):
        image_mask = input_ids == processor.image_token_id
        kept, tokens = torch.zeros_like(image_mask), image_mask[0].nonzero()[:, 0].view(len(tile_levels), 16)
        detailed = tokens[tile_levels == DETAILED_LEVEL]
        kept[0, detailed[4, 6]] = True  # of the fifth tile the third token of the second row
        return SelectedTokens(kept, None)

    monkeypatch.setattr(model.model, "select_tokens", select_tokens)
    dark = dropped(plot_compression(model, processor, page, "Read the text."))
    assert np.argwhere(~dark).tolist() == [[4 + 1, 4 + 2]]


def test_without_detailed_tiles_there_is_nothing_to_show(pair, page):
    with pytest.raises(ValueError, match="20 x 20 has no detailed tiles"):
        plot_compression(*pair, page.resize((20, 20)), "Read the text.")


@pytest.mark.parametrize("plot", [plot_pyramid, plot_compression])
def test_a_transparent_image_is_drawn_as_the_model_sees_it(pair, plot):
    model, processor = pair
    clear = Image.new("RGBA", (224, 112), (0, 0, 0, 0))
    figure = plot(processor, clear) if plot is plot_pyramid else plot(model, processor, clear, "Read the text.")
    drawn = figure.axes[0].images[0].get_array()
    plt.close(figure)
    assert drawn.shape == (112, 224, 3) and (drawn == 255).all()
