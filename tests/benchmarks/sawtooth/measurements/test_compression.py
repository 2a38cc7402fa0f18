"""Pooling, and the tokens of compressed pages."""

import pytest
import torch

from benchmarks.sawtooth.measurements.compression import (
    FULL,
    CompressedPages,
    Compression,
    compressing,
    pool,
    read_compressed,
)
from benchmarks.sawtooth.readers.documents import make_page
from modeling_minimonkey import scale_compression


def test_pooling_puts_the_mean_of_four_at_their_corner():
    features = torch.randn(2, 16, 3, generator=torch.Generator().manual_seed(0))
    pooled = pool(features, torch.tensor([0, 1]))
    for corner in (0, 2, 8, 10):
        torch.testing.assert_close(
            pooled[0, corner], features[0, [corner, corner + 1, corner + 4, corner + 5]].mean(0)
        )
    assert torch.equal(pooled[1], features[1])  # not a detailed tile


def test_another_compression_is_used_inside_its_block_alone(reader):
    settings, original = reader.model.config.scale_compression_config, scale_compression.score_detailed_tokens
    before = settings.layer, settings.positions
    with pytest.raises(KeyboardInterrupt), compressing(reader.model, Compression("random", 0.5, 2, "repack")):
        assert scale_compression.score_detailed_tokens is not original
        assert (settings.layer, settings.positions) == (2, "repack") != before
        raise KeyboardInterrupt
    assert scale_compression.score_detailed_tokens is original and (settings.layer, settings.positions) == before


def test_compressed_readings_count_their_tokens(reader):
    pages = [make_page(0, 112)]
    full, half, pooled = (
        read_compressed(reader, each, pages)[0]
        for each in (FULL, Compression("attention", 0.5), Compression("pooled", 0.25))
    )
    assert full.prompt_tokens > half.prompt_tokens > pooled.prompt_tokens
    assert full.prompt_tokens - pooled.prompt_tokens == 1.5 * (full.prompt_tokens - half.prompt_tokens)
    assert half.kv_bytes == half.prompt_tokens * 2 * 4 * 4 * 64 * 4  # key and value, layers, heads, size, bytes
    assert full.words == len(pages[0].text.split()) >= full.words_read


def test_layers_that_the_model_lacks_are_left_out(reader):
    layers = {block[2] for block in CompressedPages().blocks(reader)}
    assert layers == {0, 1, 2, 3} == set(range(reader.model.config.text_config.num_hidden_layers))
