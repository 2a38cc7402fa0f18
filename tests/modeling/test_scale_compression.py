"""The Scale Compression Mechanism alone: which tokens are detailed, their scores, which stay."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from modeling_minimonkey.inspection.naive_scores import naive_scores
from modeling_minimonkey.scale_compression import (
    QUERY_CHUNK,
    compressed_position_ids,
    compression_mask,
    detailed_images,
    left_pack,
    question_tokens,
    score_detailed_tokens,
    select_tokens,
    token_scores,
)
from tests.recorded import CASES


def recorded_images(recorded, name):
    ids = recorded.arrays(name)["input_ids"][None]
    image_mask = ids == recorded.model.config.image_token_id
    return detailed_images(image_mask, recorded.tile_levels(name), recorded.model.config.image_seq_length)[0]


class TestDetailedImages:
    def test_numbers_the_images_of_each_row(self):
        image_mask = torch.tensor([[0, 1, 1, 1, 1, 0, 1, 1], [1, 1, 0, 0, 0, 0, 0, 0]]).bool()
        images = detailed_images(image_mask, torch.tensor([0, 2, 0, 0]), image_seq_length=2)
        assert images.tolist() == [[0, 1, 1, 0, 0, 0, 2, 2], [1, 1, 0, 0, 0, 0, 0, 0]]

    def test_goes_by_level_and_not_by_position(self):
        images = detailed_images(torch.ones(1, 6).bool(), torch.tensor([1, 0, 2]), image_seq_length=2)
        assert images.tolist() == [[0, 0, 1, 1, 0, 0]]

    @pytest.mark.parametrize("order", ["demoorder", "evalorder"])
    def test_no_detailed_tile_no_detailed_token(self, order):
        assert not detailed_images(torch.ones(2, 4).bool(), torch.tensor([1, 2, 2, 1]), image_seq_length=2).any()

    @pytest.mark.parametrize("levels", [[0, 3], [-1, 2]])
    def test_unknown_level(self, levels):
        with pytest.raises(ValueError, match=r"`tile_levels` must be 0, 1 or 2 .* got \[.*\]"):
            detailed_images(torch.ones(1, 4).bool(), torch.tensor(levels), image_seq_length=2)

    def test_number_of_levels(self):
        with pytest.raises(ValueError, match=r"each of the 2 tiles .* got the shape \(3,\)"):
            detailed_images(torch.ones(1, 4).bool(), torch.tensor([0, 1, 2]), image_seq_length=2)

    def test_image_that_is_no_whole_number_of_tiles(self):
        image_mask = torch.tensor([[0, 1, 1, 0, 1, 1, 1, 0, 1]]).bool()
        with pytest.raises(ValueError, match="Image 2 of row 0 has 3 image tokens, .* tiles of 2 tokens"):
            detailed_images(image_mask, torch.tensor([0, 1, 2]), image_seq_length=2)


class TestScores:
    @pytest.mark.parametrize("name", CASES)
    def test_published_scores(self, recorded, name):
        arrays, images = recorded.arrays(name), recorded_images(recorded, name)
        positions = torch.arange(len(images))[None]
        scores = score_detailed_tokens(
            recorded.model.model.language_model, arrays["input_embeds"][None], positions, images
        )
        torch.testing.assert_close(scores[images > 0], arrays["scm_scores"], rtol=0, atol=1e-6)
        assert not scores[images == 0].any()

    @pytest.mark.parametrize("name", CASES)
    def test_published_selection(self, recorded, name):
        arrays, images = recorded.arrays(name), recorded_images(recorded, name)[None]
        kept = compression_mask(
            recorded.model.model.language_model,
            arrays["input_embeds"][None],
            torch.ones_like(images),
            torch.arange(images.shape[1])[None],
            images,
            keep_ratio=0.5,
            layer=1,
        )
        assert kept[0].nonzero()[:, 0].tolist() == arrays["scm_kept_indices_fixed"].tolist()

    @pytest.mark.parametrize("layer", [0, 1, 2])
    @pytest.mark.parametrize(
        ("language_model", "text"),
        [
            ("llama", {}),
            ("llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}),
            ("qwen2", {}),
            ("qwen2", {"use_sliding_window": True, "sliding_window": 30, "max_window_layers": 1}),
            ("phi3", {}),
            ("phi3", {"sliding_window": 30}),
        ],
    )
    @pytest.mark.parametrize("attention", ["eager", "sdpa"])
    @pytest.mark.parametrize("queries", ["all", "some"])
    def test_equal_the_naive_ones(self, tiny_model, language_model, text, layer, attention, queries):
        text = {"max_position_embeddings": 64} | text  # the sequence is longer: dynamic RoPE is at work
        language_model = tiny_model(language_model, text=text).model.language_model
        length = 2 * QUERY_CHUNK + 10
        embeds = torch.randn(1, length, 32, generator=torch.Generator().manual_seed(1))
        images = torch.zeros(length, dtype=torch.long)
        images[4:40], images[60:80], images[81:85] = 1, 2, 3
        positions = torch.arange(length)[None]
        asking = None if queries == "all" else torch.rand(length, generator=torch.Generator().manual_seed(3)) < 0.6
        expected = naive_scores(language_model, embeds, positions, images, layer, asking)
        language_model.set_attn_implementation(attention)
        scores = score_detailed_tokens(language_model, embeds, positions, images, layer, asking)
        torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-7)
        assert scores[images > 0].std() > 1e-4  # not the same for all tokens

    def test_no_token_after_the_block(self, tiny_model):
        language_model = tiny_model().model.language_model
        images = torch.tensor([0, 0, 1, 1])
        scores = score_detailed_tokens(language_model, torch.randn(1, 4, 32), torch.arange(4)[None], images)
        assert scores.tolist() == [0, 0, 0, 0]

    def test_no_query_after_the_block(self, tiny_model):
        language_model = tiny_model().model.language_model
        images, queries = torch.tensor([0, 1, 1, 0, 0]), torch.tensor([1, 0, 0, 0, 0]).bool()
        embeds, positions = torch.randn(1, 5, 32), torch.arange(5)[None]
        assert score_detailed_tokens(language_model, embeds, positions, images, 1, queries).tolist() == [0] * 5

    @pytest.mark.parametrize(
        ("image", "prompt", "expected"),
        [
            ("0110100", "1111111", "1001011"),
            ("01101", "11111", "11111"),
            ("0110100", "1111110", "1001010"),
            ("0110100", "1111100", "1111100"),
        ],
        ids=[
            "text after an image scores it, text before it and images don't",
            "without such text all tokens do",
            "answers never do",
            "without a question before the answer the prompt does",
        ],
    )
    def test_whose_question_scores_which_image(self, image, prompt, expected):
        image, prompt, expected = (torch.tensor([int(token) for token in row]) for row in (image, prompt, expected))
        assert question_tokens(image.bool(), prompt.bool()).int().tolist() == expected.tolist()

    def test_float32_scores_of_a_bfloat16_model(self, tiny_model):
        language_model = tiny_model().model.language_model
        embeds = torch.randn(1, 60, 32, generator=torch.Generator().manual_seed(2))
        images = torch.zeros(60, dtype=torch.long)
        images[3:40] = 1
        positions = torch.arange(60)[None]
        expected = score_detailed_tokens(language_model, embeds, positions, images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            autocast = score_detailed_tokens(language_model, embeds, positions, images)
        scores = score_detailed_tokens(language_model.bfloat16(), embeds.bfloat16(), positions, images)
        for low_precision in (scores, autocast):
            assert low_precision.dtype == torch.float32
            assert len(low_precision[images > 0].unique()) == 37  # bfloat16 would make ties
            torch.testing.assert_close(low_precision, expected, rtol=0.1, atol=0)

    def test_memory_grows_linearly(self, tiny_model):
        class LargestTensor(TorchDispatchMode):
            numel = 0

            def __torch_dispatch__(self, function, types, args=(), kwargs=None):
                result = function(*args, **(kwargs or {}))
                for tensor in result if isinstance(result, tuple) else (result,):
                    if isinstance(tensor, torch.Tensor):
                        self.numel = max(self.numel, tensor.numel())
                return result

        language_model = tiny_model(attention="sdpa", text={"max_position_embeddings": 4096}).model.language_model
        largest = []
        for length in (1024, 2048):
            images = torch.zeros(length, dtype=torch.long)
            images[2 : length // 2] = 1
            with LargestTensor() as mode:
                score_detailed_tokens(language_model, torch.randn(1, length, 32), torch.arange(length)[None], images)
            largest.append(mode.numel)
        assert largest[1] < 2.5 * largest[0]
        assert largest[1] < 2048**2

    @pytest.mark.parametrize("queries", ["all", "question"])
    def test_scores_carry_gradients(self, tiny_model, queries):
        language_model = tiny_model().model.language_model
        embeds = torch.randn(1, 30, 32, generator=torch.Generator().manual_seed(2)).requires_grad_(True)
        images, positions = torch.zeros(30, dtype=torch.long), torch.arange(30)[None]
        images[3:20] = 1
        scores = token_scores(language_model, embeds, positions, images, 1, queries, images > 0)
        (gradient,) = torch.autograd.grad(scores[5], embeds)
        change = torch.zeros_like(embeds)
        change[0, 5, 3] = change[0, 24, 7] = 1e-2
        with torch.no_grad():
            above, below = (
                token_scores(language_model, embeds + sign * change, positions, images, 1, queries, images > 0)[5]
                for sign in (1, -1)
            )
        torch.testing.assert_close((gradient * change).sum(), (above - below) / 2, rtol=0.02, atol=1e-8)
        images, mask = images[None], torch.ones_like(positions)
        kept = compression_mask(language_model, embeds, mask, positions, images, 0.5, 1, images > 0, queries)
        assert not kept.requires_grad and kept.sum() == 30 - 9

    def test_unknown_language_model(self, tiny_model):
        language_model = tiny_model().model.language_model
        language_model.config.model_type = "gpt2"
        with pytest.raises(ValueError, match="llama, phi3, qwen2, got 'gpt2'"):
            score_detailed_tokens(language_model, torch.randn(1, 4, 32), torch.arange(4)[None], torch.ones(4).long())


class TestSelection:
    def test_best_of_each_image_and_everything_else(self):
        images = torch.tensor([0, 1, 1, 1, 0, 2, 2, 2, 2, 0])
        scores = torch.tensor([9.0, 0.3, 0.1, 0.2, 0, 5, 8, 6, 7, 0])
        kept = select_tokens(scores, images, keep_ratio=0.5)
        assert kept.nonzero()[:, 0].tolist() == [0, 1, 4, 6, 8, 9]

    def test_the_earlier_of_equal_scores_stays(self):
        kept = select_tokens(torch.full((40,), 0.5), torch.ones(40, dtype=torch.long), keep_ratio=0.3)
        assert kept.nonzero()[:, 0].tolist() == list(range(12))

    @pytest.mark.parametrize(("keep_ratio", "left"), [(0.2, 1), (0.25, 1), (0.5, 2), (0.99, 3), (1.0, 4)])
    def test_rounds_down_but_keeps_one(self, keep_ratio, left):
        kept = select_tokens(torch.rand(5), torch.tensor([0, 1, 1, 1, 1]), keep_ratio)
        assert kept[0]
        assert kept[1:].sum() == left

    def test_packed_sequences(self, tiny_model):
        with pytest.raises(ValueError, match="`position_ids` must increase along a row, those of row 1 do not"):
            compression_mask(
                tiny_model().model.language_model,
                torch.randn(2, 6, 32),
                torch.ones(2, 6),
                torch.tensor([[0, 1, 2, 3, 4, 5], [0, 1, 2, 0, 1, 2]]),
                torch.tensor([[0, 1, 1, 0, 0, 0]]).repeat(2, 1),
                keep_ratio=0.5,
                layer=1,
            )


class TestShortening:
    def test_left_pack(self):
        values = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])
        kept = torch.tensor([[1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 0, 0]]).bool()
        assert left_pack(values, kept, width=3, padding=-1).tolist() == [[1, 3, 4], [-1, -1, 7], [-1, 9, 10]]
        assert left_pack(values, kept, width=4, padding=-1).tolist()[0] == [-1, 1, 3, 4]

    def test_positions(self):
        positions = torch.tensor([[0, 0, 1, 2, 3, 4]])
        dropped = torch.tensor([[0, 0, 1, 0, 1, 0]]).bool()
        assert compressed_position_ids(positions, dropped, "keep").tolist() == [[0, 0, 1, 2, 3, 4]]
        assert compressed_position_ids(positions, dropped, "repack").tolist() == [[0, 0, 0, 1, 1, 2]]
