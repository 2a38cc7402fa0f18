"""Our words for the published procedure, against the library's functions with the published settings."""

import torch
from transformers import InternVLForConditionalGeneration

from benchmarks.speed.pretrained_model import make_prompt, wrap
from benchmarks.speed.published import PublishedPrefill, cache_bytes


def embeds_of(causal_lm, inputs, image_mask):
    embeds = causal_lm.get_input_embeddings()(inputs["input_ids"]).detach()
    embeds[image_mask] = inputs["mm_encoder_outputs"]["image"].pooler_output.flatten(0, 1)
    return embeds


def test_published_procedure_is_generate_with_the_published_settings(causal_lm):
    model = wrap(causal_lm, tokens_per_tile=4)
    inputs = make_prompt((4, 2, 1), 4, 2, causal_lm.get_input_embeddings())
    image_mask = inputs["input_ids"] == model.config.image_token_id
    embeds = embeds_of(causal_lm, inputs, image_mask)
    detailed = torch.zeros_like(image_mask[0])
    detailed[image_mask[0].nonzero()[:16, 0]] = True
    published = PublishedPrefill(causal_lm.model, causal_lm.lm_head)
    selected = model.model.select_tokens(**inputs, keep_ratio=0.5)
    for row, kept in zip(embeds, selected.kept, strict=True):
        assert torch.equal(published.kept(row[None], detailed, 0.5), kept)
    tokens, size = published.first_tokens(embeds, detailed, 0.5)
    answer = {"max_new_tokens": 1, "do_sample": False, "return_dict_in_generate": True}
    outputs = model.generate(**inputs, **answer, keep_ratio=0.5)
    assert tokens == outputs.sequences[:, -1].tolist()
    assert size == cache_bytes(outputs) == 2 * int(selected.kept.sum()) * 4 * 2 * 8 * 4


def test_stock_and_ours_answer_alike(causal_lm):
    stock, model = (wrap(causal_lm, tokens_per_tile=4, stock=each) for each in (True, False))
    assert type(stock) is InternVLForConditionalGeneration
    inputs = make_prompt((4, 2, 1), 4, 2, causal_lm.get_input_embeddings())
    settings = {"max_new_tokens": 3, "do_sample": False}
    ours = model.generate(**inputs, **settings)
    del inputs["tile_levels"]
    assert torch.equal(stock.generate(**inputs, **settings), ours)
    assert model.lm_head.weight is stock.lm_head.weight is causal_lm.lm_head.weight
