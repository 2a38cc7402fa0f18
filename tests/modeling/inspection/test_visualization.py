"""Figures of the compression: the score that is drawn, which tokens are dark, and where."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image

from modeling_minimonkey.inspection import visualization
from modeling_minimonkey.inspection.naive_scores import naive_scores
from modeling_minimonkey.inspection.visualization import kept_detailed_tokens, plot_compression
from modeling_minimonkey.scale_compression import DETAILED_LEVEL, detailed_images
from processing_minimonkey.visualization import plot_pyramid


QUESTION = "Read the text."
RULES = [("all", 1), ("question", 2), ("question", 0), ("none", 0)]


@pytest.fixture(scope="module")
def pair(trained_model, trained_processor):
    trained_model.set_attn_implementation("eager")  # the naive scores need whole matrices
    return trained_model, trained_processor


@pytest.fixture(scope="module")
def inputs(trained_processor, page):
    content = [{"type": "image", "image": page}, {"type": "text", "text": QUESTION}]
    return trained_processor.prepare_chat([{"role": "user", "content": content}])


def heat_map(figure) -> np.ndarray:
    """The scores that are drawn, (token rows, token columns)."""
    plt.close(figure)
    return figure.axes[0].images[1].get_array().data


def dropped(figure) -> np.ndarray:
    """The cells that are dark, (token rows, token columns)."""
    plt.close(figure)
    return figure.axes[1].images[1].get_alpha() > 0


@torch.no_grad()
def naive_map(model, inputs, queries: str, layer: int) -> np.ndarray:
    """The naive scores of the page's 3 x 2 detailed tiles of 4 x 4 tokens, each put where the token is."""
    image_mask = inputs["input_ids"] == model.config.image_token_id
    images = detailed_images(image_mask, inputs["tile_levels"], 16)[0]
    features = model.get_image_features(inputs["pixel_values"], return_dict=True).pooler_output
    if queries == "none":
        scores = features[inputs["tile_levels"] == DETAILED_LEVEL].pow(2).sum(dim=-1).sqrt().flatten()
    else:
        embeds = model.get_input_embeddings()(inputs["input_ids"]).masked_scatter(image_mask[..., None], features)
        asking = ~image_mask[0] if queries == "question" else None
        positions = torch.arange(len(images))[None]
        scores = naive_scores(model.model.language_model, embeds, positions, images, layer, asking)[images > 0]
    found = np.zeros((8, 12), np.float32)
    for number, score in enumerate(scores.tolist()):
        tile, token = divmod(number, 16)
        found[4 * (tile // 3) + token // 4, 4 * (tile % 3) + token % 4] = score
    return found


@pytest.mark.parametrize(("queries", "layer"), RULES)
def test_the_heat_map_is_the_naive_score(pair, page, inputs, queries, layer):
    drawn = heat_map(plot_compression(*pair, page, QUESTION, queries=queries, layer=layer))
    np.testing.assert_allclose(drawn, naive_map(pair[0], inputs, queries, layer), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("queries", "layer"), RULES)
def test_a_rule_for_one_figure_is_that_of_a_model_configured_so(pair, page, inputs, monkeypatch, queries, layer):
    model = pair[0]
    before = model.config.to_dict()
    kept = kept_detailed_tokens(model, inputs, 0.3, queries=queries, layer=layer)
    figure = plot_compression(*pair, page, QUESTION, queries=queries, layer=layer)
    assert model.config.to_dict() == before
    monkeypatch.setattr(model.config.scale_compression_config, "queries", queries)
    monkeypatch.setattr(model.config.scale_compression_config, "layer", layer)
    image_tokens = inputs["input_ids"] == model.config.image_token_id
    selected = model.model.select_tokens(**inputs, keep_ratio=0.3).kept[image_tokens].view(-1, 16)
    assert (kept == selected[inputs["tile_levels"] == DETAILED_LEVEL].numpy()).all() and kept.sum() == 28
    assert (heat_map(figure) == heat_map(plot_compression(*pair, page, QUESTION))).all()


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ({"queries": "all", "layer": 1}, "attention of all later tokens, layer 1"),
        ({"queries": "question", "layer": 2}, "attention of the question, layer 2"),
        ({"queries": "none"}, "length of the feature"),
    ],
)
def test_the_color_bar_names_the_score(pair, page, rule, name):
    figure = plot_compression(*pair, page, QUESTION, **rule)
    (color_bar,) = figure.axes[0].child_axes
    plt.close(figure)
    assert color_bar.get_xlabel() == name


@pytest.mark.parametrize(("rule", "named"), [({"queries": "words"}, "queries"), ({"layer": 9}, "layer")])
def test_a_rule_that_there_is_not_is_an_error(pair, page, rule, named):
    with pytest.raises(ValueError, match=named):
        plot_compression(*pair, page, QUESTION, **rule)
    assert pair[0].config.scale_compression_config.queries != "words"


def test_half_of_the_tokens_is_dropped_and_not_those_on_the_text(pair, page):
    figure = plot_compression(*pair, page, QUESTION, keep_ratio=0.5)
    assert "48 of 96" in figure.axes[1].get_title()
    dark = dropped(figure)
    assert dark.shape == (8, 12) and dark.sum() == 48  # tiles of 4 x 4 tokens, 3 x 2 of them
    assert dark[:4, :8].mean() < 0.2 < 0.6 < dark[4:].mean()  # the words stand in the first two tiles
    assert not dropped(plot_compression(*pair, page, QUESTION, keep_ratio=1.0)).any()


@pytest.mark.parametrize("order", [("detailed", "adaptive", "global"), ("adaptive", "global", "detailed")])
def test_tokens_stand_where_their_tile_is_cut(pair, page, monkeypatch, order):
    model, processor = pair
    monkeypatch.setattr(processor.image_processor, "tile_order", order)

    def token_scores(language_model, inputs_embeds, position_ids, images, *rule):
        scores = torch.zeros(len(images))
        scores[(images > 0).nonzero()[4 * 16 + 6]] = 1.0  # of the fifth tile the third token of the second row
        return scores

    monkeypatch.setattr(visualization, "token_scores", token_scores)
    figure = plot_compression(model, processor, page, QUESTION, keep_ratio=0.01)
    assert np.argwhere(~dropped(figure)).tolist() == [[4 + 1, 4 + 2]] == np.argwhere(heat_map(figure)).tolist()


def test_without_detailed_tiles_there_is_nothing_to_show(pair, page):
    with pytest.raises(ValueError, match="20 x 20 has no detailed tiles"):
        plot_compression(*pair, page.resize((20, 20)), QUESTION)


@pytest.mark.parametrize("plot", [plot_pyramid, plot_compression])
def test_a_transparent_image_is_drawn_as_the_model_sees_it(pair, plot):
    model, processor = pair
    clear = Image.new("RGBA", (224, 112), (0, 0, 0, 0))
    figure = plot(processor, clear) if plot is plot_pyramid else plot(model, processor, clear, QUESTION)
    plt.close(figure)
    drawn = figure.axes[-1].images[0].get_array()
    assert drawn.shape == (112, 224, 3) and (drawn == 255).all()
