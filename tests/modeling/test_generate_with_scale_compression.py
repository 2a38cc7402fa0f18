"""`generate` and `forward` with scale compression give the tokens of the definition, whatever way they are asked."""

import pytest
import torch
from PIL import Image
from transformers import DynamicCache, GenerationConfig, InternVLForConditionalGeneration, TextStreamer
from transformers.generation.streamers import BaseStreamer

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.inspection.naive_scores import naive_scores
from modeling_minimonkey.scale_compression import detailed_images, select_tokens
from modeling_minimonkey.transformers_releases import CAN_PREFILL_IN_CHUNKS
from processing_minimonkey import MiniMonkeyProcessor
from tests.modeling.compilers import compiled
from tests.recorded import CASES


NEW = {"max_new_tokens": 8, "do_sample": False}
# Two images with text between, text only, an image without detailed tiles, detailed tiles after the adaptive ones.
RAGGED = ([3, "00012", 4, "002", 6], [5], [2, "112", 7], [2, "10002", 9])


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model()


@pytest.fixture(scope="module")
def inputs(make_inputs):
    return make_inputs([3, "00012", 4, "002", 6], [2, "10002", 3])


@pytest.fixture(scope="module")
def masked(model, inputs, single_rows, naive):
    """The same prompts with the dropped tokens masked, which needs no scale compression any more."""
    attention_mask = torch.zeros_like(inputs["attention_mask"])
    for mask, padding, row in zip(attention_mask, inputs["attention_mask"], single_rows(inputs), strict=True):
        mask[padding.nonzero()[:, 0][naive.kept(model, row, 0.5)]] = 1
    assert 0 < (inputs["attention_mask"] - attention_mask).sum()
    return {name: inputs[name] for name in ("input_ids", "pixel_values")} | {"attention_mask": attention_mask}


def new_tokens(sequences, inputs):
    assert torch.equal(sequences[:, : inputs["input_ids"].shape[1]], inputs["input_ids"])
    return sequences[:, inputs["input_ids"].shape[1] :].tolist()


class TestAgainstTheDefinition:
    @pytest.mark.parametrize("positions", ["repack", "keep"])
    @pytest.mark.parametrize("padding_side", ["left", "right"])
    @pytest.mark.parametrize("attention", ["eager", "sdpa"])
    @pytest.mark.parametrize("language_model", ["llama", "qwen2", "phi3"])
    def test_ragged_batch(
        self, tiny_model, make_inputs, single_rows, naive, language_model, attention, padding_side, positions
    ):
        scale_compression_config = {"keep_ratio": 0.5, "positions": positions}
        model = tiny_model(language_model, scale_compression_config=scale_compression_config)
        inputs = make_inputs(*RAGGED, padding_side=padding_side)
        rows = single_rows(inputs)
        expected = [naive.generate(model, row, 0.5, positions) for row in rows]
        model.set_attn_implementation(attention)
        assert new_tokens(model.generate(**inputs, **NEW), inputs) == expected
        assert [new_tokens(model.generate(**row, **NEW), row)[0] for row in rows] == expected

    @pytest.mark.parametrize("padding_side", ["left", "right"])
    @pytest.mark.parametrize("attention", ["eager", "sdpa"])
    @pytest.mark.parametrize("language_model", ["llama", "qwen2", "phi3"])
    @pytest.mark.parametrize("queries", ["question", "none"])
    def test_whose_attention_counts(
        self, tiny_model, make_inputs, single_rows, naive, queries, language_model, attention, padding_side
    ):
        settings = {"keep_ratio": 0.5, "queries": queries, "layer": 2}
        model = tiny_model(language_model, scale_compression_config=settings)
        # Several images, text between them and none after the last one; the batch, and row by row
        inputs = make_inputs(*RAGGED, [3, "0012", 2, "02"], [1, "0012", 1, "0002", 7], padding_side=padding_side)
        rows = single_rows(inputs)
        assert any(naive.kept(model, row, 0.5) != naive.kept(tiny_model(language_model), row, 0.5) for row in rows)
        expected = [naive.generate(model, row, 0.5) for row in rows]
        model.set_attn_implementation(attention)
        assert new_tokens(model.generate(**inputs, **NEW), inputs) == expected
        assert [new_tokens(model.generate(**row, **NEW), row)[0] for row in rows] == expected

    @pytest.mark.parametrize("queries", ["all", "question"])
    def test_an_answer_to_learn_scores_nothing(self, tiny_model, make_inputs, queries):
        model = tiny_model(scale_compression_config={"keep_ratio": 0.5, "queries": queries})
        inputs = make_inputs([3, "00000012", 9])
        asked = inputs | {name: inputs[name][:, :-6] for name in ("input_ids", "attention_mask")}
        expected = model.model.select_tokens(**asked).kept
        labels = inputs["input_ids"].clone()
        labels[:, :-6] = -100
        kept = [
            model(**inputs, **given, use_cache=True).past_key_values.compressed_beginning.kept[:, :-6]
            for given in ({}, {"labels": labels})
        ]
        assert not kept[0].equal(expected)
        assert kept[1].equal(expected)

    @pytest.mark.parametrize("positions", ["repack", "keep"])
    @pytest.mark.parametrize("rows", [RAGGED[:1], RAGGED, (RAGGED[0], [70])], ids=["one row", "ragged", "long text"])
    def test_without_a_cache(self, tiny_model, make_inputs, single_rows, naive, rows, positions):
        model = tiny_model(scale_compression_config={"positions": positions})
        inputs = make_inputs(*rows)
        expected = [naive.generate(model, row, 0.4, positions) for row in single_rows(inputs)]
        assert new_tokens(model.generate(**inputs, **NEW, keep_ratio=0.4, use_cache=False), inputs) == expected
        cache = model.generate(**inputs, **NEW, keep_ratio=0.4, return_dict_in_generate=True).past_key_values
        kept = max(len(naive.kept(model, row, 0.4)) for row in single_rows(inputs))  # no column of padding
        assert cache.get_seq_length() == kept + NEW["max_new_tokens"] - 1

    def test_scale_compression_matters(self, model, inputs):
        tokens = {ratio: model.generate(**inputs, **NEW, keep_ratio=ratio).tolist() for ratio in (0.25, 0.5, 1.0)}
        assert tokens[0.25] != tokens[0.5] != tokens[1.0]

    @pytest.mark.parametrize("flag", [{"layer": 0}, {"layer": 2}])
    def test_another_layer(self, tiny_model, make_inputs, flag):
        inputs = make_inputs([3, "0000000012", 6])
        other = tiny_model(scale_compression_config=flag)
        kwargs = {"keep_ratio": 0.2, "output_logits": True, "return_dict_in_generate": True} | NEW
        logits = [one.generate(**inputs, **kwargs).logits[0] for one in (tiny_model(), other)]
        assert not torch.allclose(*logits)

    @pytest.mark.parametrize("name", CASES)
    def test_published_tokens(self, recorded, name):
        arrays = recorded.arrays(name)
        inputs = {
            "input_ids": arrays["input_ids"][None],
            "pixel_values": arrays["pixel_values"],
            "tile_levels": recorded.tile_levels(name),
        }
        length = inputs["input_ids"].shape[1]
        sequences = recorded.model.generate(**inputs, max_new_tokens=16, do_sample=False, keep_ratio=0.5)
        assert sequences[0, :length].tolist() == arrays["input_ids"].tolist()
        assert sequences[0, length:].tolist() == arrays["scm_greedy_ids_fixed"].tolist()
        with torch.no_grad():
            kept = arrays["scm_kept_indices_fixed"][arrays["scm_logits_fixed_positions"]]
            logits = recorded.model(**inputs, keep_ratio=0.5).logits[0, kept]
        torch.testing.assert_close(logits, arrays["scm_logits_fixed"], rtol=0, atol=2e-3)


class TestWaysToGenerate:
    """Dropped before the loop by us, or masked from outside: everything `generate` can do gives the same."""

    @pytest.mark.parametrize(
        "kwargs",
        [
            {},
            {"num_beams": 3},
            {"num_beams": 3, "num_return_sequences": 2, "length_penalty": 0.5},
            {"do_sample": True, "num_return_sequences": 3, "top_k": 20},
            {"num_beams": 2, "do_sample": True, "num_return_sequences": 2},
            {"cache_implementation": "static"},
            {"cache_implementation": "static", "num_beams": 2},
            {"use_cache": False},
            {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
        ],
        ids=str,
    )
    def test_same_tokens_dropped_and_masked(self, model, inputs, masked, kwargs):
        kwargs = NEW | kwargs
        torch.manual_seed(0)
        expected = model.generate(**masked, **kwargs)
        torch.manual_seed(0)
        assert torch.equal(model.generate(**inputs, **kwargs, keep_ratio=0.5), expected)

    @pytest.mark.parametrize("prefill_chunk_size", [1, 5, 16, 100])
    def test_chunked_prefill(self, model, inputs, masked, prefill_chunk_size):
        if not CAN_PREFILL_IN_CHUNKS:
            with pytest.raises(ValueError, match="`prefill_chunk_size` .* wrong tokens before Transformers 5.23"):
                model.generate(**inputs, **NEW, keep_ratio=0.5, prefill_chunk_size=prefill_chunk_size)
            return
        sequences = model.generate(**inputs, **NEW, keep_ratio=0.5, prefill_chunk_size=prefill_chunk_size)
        assert torch.equal(sequences, model.generate(**masked, **NEW))

    def test_same_logits_dropped_and_masked(self, model, inputs, masked):
        kwargs = NEW | {"output_logits": True, "return_dict_in_generate": True}
        dropped, expected = model.generate(**inputs, **kwargs, keep_ratio=0.5), model.generate(**masked, **kwargs)
        assert torch.equal(dropped.sequences, expected.sequences)
        torch.testing.assert_close(dropped.logits, expected.logits, rtol=0, atol=1e-4)

    @pytest.mark.parametrize("positions", ["repack", "keep"])
    @pytest.mark.parametrize("how", ["prompt lookup", "long prompt lookup", "another model", "the same model"])
    def test_assisted_decoding(self, tiny_model, make_inputs, how, positions):
        scale_compression_config = {"keep_ratio": 0.5, "positions": positions}
        model = tiny_model(scale_compression_config=scale_compression_config)
        inputs = make_inputs([3, "00012", 4, "002", 6])
        assistant = {
            "prompt lookup": {"prompt_lookup_num_tokens": 3},
            "long prompt lookup": {"prompt_lookup_num_tokens": 10, "max_matching_ngram_size": 1},
            "another model": {"assistant_model": tiny_model(seed=1, scale_compression_config={"keep_ratio": 0.3})},
            "the same model": {"assistant_model": model},
        }
        kwargs = NEW | {"max_new_tokens": 20}
        assert torch.equal(model.generate(**inputs, **kwargs, **assistant[how]), model.generate(**inputs, **kwargs))

    def test_compiled_decoder(self, tiny_model, inputs, masked):
        model = tiny_model()
        expected = model.generate(**masked, **NEW)
        model.model.language_model = torch.compile(model.model.language_model, backend="eager", fullgraph=True)
        sequences = model.generate(**inputs, **NEW, keep_ratio=0.5, cache_implementation="static")
        assert torch.equal(sequences, expected)

    def test_compiled_forward(self, tiny_model, inputs, masked):
        model = tiny_model()
        expected = model.generate(**masked, **NEW)
        model.forward = torch.compile(model.forward, backend="eager", fullgraph=True)
        sequences = model.generate(**inputs, **NEW, keep_ratio=0.5, cache_implementation="static")
        assert torch.equal(sequences, expected)

    def test_the_cache_is_shorter(self, model, make_inputs):
        inputs = make_inputs([3, "00012", 4, "002", 6])
        kwargs = NEW | {"return_dict_in_generate": True}
        lengths = {
            ratio: model.generate(**inputs, **kwargs, keep_ratio=ratio).past_key_values.get_seq_length()
            for ratio in (1.0, 0.5, 0.25)
        }
        assert lengths[1.0] == inputs["input_ids"].shape[1] + 7
        assert lengths[1.0] - lengths[0.5] == 6 + 4
        assert lengths[1.0] - lengths[0.25] == 9 + 6

    def test_without_attention_mask(self, model, inputs):
        expected = model.generate(**inputs, **NEW, keep_ratio=0.5)
        del (inputs := dict(inputs))["attention_mask"]
        assert torch.equal(model.generate(**inputs, **NEW, keep_ratio=0.5), expected)

    def test_positional_arguments(self, model, inputs):
        expected = model.generate(**inputs, **NEW, keep_ratio=0.5)
        inputs = dict(inputs)
        input_ids, generation_config = inputs.pop("input_ids"), GenerationConfig(**NEW)
        assert torch.equal(model.generate(input_ids, generation_config, keep_ratio=0.5, **inputs), expected)

    def test_features_instead_of_pixels(self, model, inputs):
        expected = model.generate(**inputs, **NEW, keep_ratio=0.5)
        inputs = dict(inputs)
        features = model.get_image_features(inputs.pop("pixel_values"))
        sequences = model.generate(**inputs, **NEW, keep_ratio=0.5, mm_encoder_outputs={"image": features})
        assert torch.equal(sequences, expected)

    def test_no_state_left(self, model, inputs, make_inputs):
        def state():
            return {name: list(vars(module)) for name, module in model.named_modules()}

        text = make_inputs([5], [9])
        first, before = model.generate(**inputs, **NEW, keep_ratio=0.5), state()
        plain = model.generate(**text, **NEW)
        assert torch.equal(model.generate(**inputs, **NEW, keep_ratio=0.5), first)
        assert torch.equal(model.generate(**text, **NEW, keep_ratio=0.5), plain)
        assert state() == before

    def test_arguments_stay_as_they_are(self, model, inputs):
        generation_config = GenerationConfig(max_length=90, do_sample=False)
        model.generate(**inputs, generation_config=generation_config, keep_ratio=0.5)
        assert generation_config.max_length == 90
        assert model.generation_config.max_length is None

    def test_streamer(self, model, make_inputs):
        class Recorder(BaseStreamer):
            def __init__(self):
                self.values, self.ended = [], False

            def put(self, value):
                self.values.append(value.flatten().tolist())

            def end(self):
                self.ended = True

        inputs, streamer = make_inputs([3, "00012", 6]), Recorder()
        sequences = model.generate(**inputs, **NEW, keep_ratio=0.5, streamer=streamer)
        assert streamer.values[0] == inputs["input_ids"][0].tolist()
        assert sum(streamer.values, []) == sequences[0].tolist()
        assert streamer.ended
        assert issubclass(TextStreamer, BaseStreamer)  # the class of the library's own streamers


class TestPadding:
    @pytest.mark.parametrize("positions", ["repack", "keep"])
    @pytest.mark.parametrize("pad_token_id", [-1, 99, 10_000])
    def test_any_pad_token_id(self, tiny_model, make_inputs, positions, pad_token_id):
        model = tiny_model(scale_compression_config={"keep_ratio": 0.5, "positions": positions})
        inputs = make_inputs(*RAGGED)
        expected = model.generate(**inputs, **NEW)
        assert torch.equal(model.generate(**inputs, **NEW, pad_token_id=pad_token_id), expected)

    @pytest.mark.parametrize("eos_token_id", [None, 0, [3, 0], 3])
    def test_without_a_mask_it_is_what_generate_supposes(self, tiny_model, make_inputs, eos_token_id):
        model = tiny_model()
        inputs = make_inputs(*RAGGED)
        model.generation_config.eos_token_id = eos_token_id
        supposed = inputs["attention_mask"] if eos_token_id in (None, 3) else torch.ones_like(inputs["attention_mask"])
        expected = model.generate(**inputs | {"attention_mask": supposed}, **NEW, keep_ratio=0.5)
        del inputs["attention_mask"]
        assert torch.equal(model.generate(**inputs, **NEW, keep_ratio=0.5), expected)

    def test_an_image_keeps_a_token(self, model, make_inputs, naive):
        inputs = make_inputs([3, "02", 4])
        assert len(naive.kept(model, inputs, 0.1)) == inputs["input_ids"].shape[1] - 3
        sequences = model.generate(**inputs, **NEW, keep_ratio=0.1)
        assert new_tokens(sequences, inputs)[0] == naive.generate(model, inputs, 0.1)


class TestLengths:
    @pytest.mark.parametrize("where", ["argument", "generation_config", "model"])
    def test_max_length_counts_the_whole_prompt(self, tiny_model, inputs, where):
        model = tiny_model()
        max_length = inputs["input_ids"].shape[1] + 5
        kwargs = {"argument": {"max_length": max_length}, "model": {}}
        kwargs["generation_config"] = {"generation_config": GenerationConfig(max_length=max_length)}
        if where == "model":
            model.generation_config.max_length = max_length
        sequences = model.generate(**inputs, keep_ratio=0.5, **kwargs[where])
        assert sequences.shape[1] == max_length
        assert torch.equal(sequences, model.generate(**inputs, keep_ratio=0.5, max_new_tokens=5, do_sample=False))

    def test_default_length(self, model, inputs):
        assert model.generate(**inputs, keep_ratio=0.5).shape[1] == inputs["input_ids"].shape[1] + 20

    def test_min_length(self, model, make_inputs):
        inputs = make_inputs([3, "00012", 6])
        length = inputs["input_ids"].shape[1]
        free = model.generate(**inputs, **NEW, keep_ratio=0.5)[0, length:].tolist()
        kwargs = NEW | {"eos_token_id": free[0], "keep_ratio": 0.5}
        assert model.generate(**inputs, **kwargs).shape[1] == length + 1
        assert model.generate(**inputs, **kwargs, min_length=length).shape[1] == length + 1
        assert model.generate(**inputs, **kwargs, min_length=length + 1)[0, length] != free[0]
        assert model.generate(**inputs, **kwargs, min_length=length + 4).shape[1] >= length + 4

    def test_max_new_tokens_takes_precedence(self, tiny_model, inputs):
        model = tiny_model()
        expected = model.generate(**inputs, **NEW, keep_ratio=0.5)
        model.generation_config.max_length = 12
        assert torch.equal(model.generate(**inputs, **NEW, keep_ratio=0.5), expected)

    def test_prompt_longer_than_max_length(self, model, inputs):
        length = inputs["input_ids"].shape[1]
        with pytest.raises(ValueError, match=f"`max_length` is {length}, but the prompt alone has {length} tokens"):
            model.generate(**inputs, keep_ratio=0.5, max_length=length)


class TestOff:
    def test_bit_identical_to_a_model_without(self, tiny_model, inputs):
        model = tiny_model(attention="sdpa")
        plain = InternVLForConditionalGeneration(model.config).eval()
        plain.load_state_dict(model.state_dict())
        plain.generation_config = model.generation_config
        no_levels = {name: value for name, value in inputs.items() if name != "tile_levels"}
        kwargs = NEW | {"output_logits": True, "return_dict_in_generate": True}
        expected = plain.generate(**no_levels, **kwargs)
        for outputs in (
            model.generate(**no_levels, **kwargs),
            model.generate(**inputs, **kwargs),
            model.generate(**inputs, **kwargs, keep_ratio=1.0),
        ):
            assert torch.equal(outputs.sequences, expected.sequences)
            assert all(torch.equal(*step) for step in zip(outputs.logits, expected.logits, strict=True))
        expected = plain(**no_levels).logits
        assert torch.equal(model(**inputs).logits, expected)
        assert torch.equal(model(**inputs, keep_ratio=1.0).logits, expected)

    @pytest.mark.parametrize("rows", [[[5]], [[5], [12]], [[2, "112", 7]], [[2, "112", 7], [4]]], ids=str)
    def test_rows_without_detailed_tiles(self, model, make_inputs, rows):
        inputs = make_inputs(*rows)
        kwargs = NEW | {"output_logits": True, "return_dict_in_generate": True}
        expected, outputs = (model.generate(**inputs, **kwargs, keep_ratio=ratio) for ratio in (1.0, 0.5))
        assert torch.equal(outputs.sequences, expected.sequences)
        assert all(torch.equal(*step) for step in zip(outputs.logits, expected.logits, strict=True))

    def test_the_call_overrides_the_configuration(self, tiny_model, model, inputs):
        configured = tiny_model(scale_compression_config={"keep_ratio": 0.5})
        for ratio in (None, 0.25, 1.0):
            expected = model.generate(**inputs, **NEW, keep_ratio=0.5 if ratio is None else ratio)
            assert torch.equal(configured.generate(**inputs, **NEW, keep_ratio=ratio), expected)

    def test_not_with_inputs_embeds(self, model, make_inputs, naive):
        inputs = make_inputs([3, "00012", 6])
        embeds = naive.embeds(model, inputs)
        expected = model.generate(inputs_embeds=embeds, **NEW)
        assert torch.equal(model.generate(inputs_embeds=embeds, **NEW, keep_ratio=0.5), expected)

    def test_not_after_a_cached_beginning(self, model, make_inputs):
        inputs = make_inputs([9, "00012", 6])
        length = 8
        start = {"input_ids": inputs["input_ids"][:, :length]}

        def beginning():
            return model(**start, past_key_values=DynamicCache(config=model.config)).past_key_values

        expected = model.generate(**inputs, **NEW, past_key_values=beginning())
        sequences = model.generate(**inputs, **NEW, keep_ratio=0.5, past_key_values=beginning())
        assert torch.equal(sequences, expected)

    def test_an_empty_cache_is_no_beginning(self, model, inputs):
        expected = model.generate(**inputs, **NEW, keep_ratio=0.5)
        cache = DynamicCache(config=model.config)
        assert torch.equal(model.generate(**inputs, **NEW, keep_ratio=0.5, past_key_values=cache), expected)


class TestForward:
    @pytest.mark.parametrize("positions", ["repack", "keep"])
    @pytest.mark.parametrize("padding_side", ["left", "right"])
    def test_logits_of_the_kept_tokens(self, tiny_model, make_inputs, single_rows, naive, padding_side, positions):
        model = tiny_model(scale_compression_config={"keep_ratio": 0.5, "positions": positions})
        inputs = make_inputs(*RAGGED, padding_side=padding_side)
        with torch.no_grad():
            logits = model(**inputs).logits
            hidden_states = model.model(**inputs).last_hidden_state
        assert logits.shape[:2] == inputs["input_ids"].shape
        torch.testing.assert_close(model.lm_head(hidden_states), logits, rtol=0, atol=0)
        for row, row_logits, mask in zip(single_rows(inputs), logits, inputs["attention_mask"], strict=True):
            kept = naive.kept(model, row, 0.5)
            expected = by_hand(model, row, kept, positions)
            torch.testing.assert_close(row_logits[mask.bool()][kept], expected[0].detach(), rtol=0, atol=2e-4)

    @pytest.mark.parametrize("attention", [pytest.param("flex_attention", marks=compiled)])
    def test_other_attention(self, tiny_model, make_inputs, attention):
        inputs = make_inputs(*RAGGED)
        with torch.no_grad():
            expected, logits = (
                tiny_model(attention=attention)(**inputs, keep_ratio=0.5).logits[inputs["attention_mask"].bool()]
                for attention in ("eager", attention)
            )
        torch.testing.assert_close(logits, expected, rtol=0, atol=2e-4)

    @pytest.mark.parametrize("positions", ["repack", "keep"])
    def test_positions_of_the_caller(self, tiny_model, make_inputs, naive, positions):
        model = tiny_model(scale_compression_config={"keep_ratio": 0.5, "positions": positions})
        inputs = make_inputs([3, "00012", 6])
        position_ids = 2 * torch.arange(inputs["input_ids"].shape[1])[None] + 5
        images = detailed_images(
            inputs["input_ids"] == model.config.image_token_id, inputs["tile_levels"], model.config.image_seq_length
        )[0]
        scores = naive_scores(model.model.language_model, naive.embeds(model, inputs), position_ids, images)
        kept = select_tokens(scores, images, 0.5).nonzero()[:, 0].tolist()
        assert kept != naive.kept(model, inputs, 0.5)
        dropped_before = [token - index for index, token in enumerate(kept)]
        expected = [2 * token + 5 for token in kept]
        if positions == "repack":
            expected = [position - dropped for position, dropped in zip(expected, dropped_before, strict=True)]
        expected = by_hand(model, inputs, kept, expected)[0]
        with torch.no_grad():
            logits = model(**inputs, position_ids=position_ids).logits[0, kept]
        torch.testing.assert_close(logits, expected.detach(), rtol=0, atol=2e-4)
        sequences = model.generate(**inputs, max_new_tokens=1, position_ids=position_ids)
        expected[-1, model.config.image_token_id] = -torch.inf
        assert sequences[0, -1] == expected[-1].argmax()

    def test_masked_image_tokens_are_padding(self, model, make_inputs, single_rows):
        inputs = make_inputs([3, "00012", 4, "002", 6])
        attention_mask = inputs["attention_mask"].clone()
        tokens = (inputs["input_ids"][0] == model.config.image_token_id).nonzero()[:, 0]
        attention_mask[0, tokens[4:8]] = 0  # the first image's second tile
        attention_mask[0, tokens[20:28]] = 0  # the second image's detailed tiles
        masked = inputs | {"attention_mask": attention_mask}
        tiles = torch.tensor([0, 2, 3, 4, 7])
        shorter = {name: inputs[name][tiles] for name in ("pixel_values", "tile_levels")}
        shorter["input_ids"] = inputs["input_ids"][attention_mask.bool()][None]
        expected = new_tokens(model.generate(**shorter, **NEW, keep_ratio=0.5), shorter)
        assert new_tokens(model.generate(**masked, **NEW, keep_ratio=0.5), masked) == expected
        attention_mask[0, tokens[:20]] = 0  # nothing detailed is left
        tiles = torch.tensor([7])
        shorter = {name: inputs[name][tiles] for name in ("pixel_values", "tile_levels")}
        shorter["input_ids"] = inputs["input_ids"][attention_mask.bool()][None]
        expected = new_tokens(model.generate(**shorter, **NEW), shorter)
        assert new_tokens(model.generate(**masked, **NEW, keep_ratio=0.5), masked) == expected

    @pytest.mark.parametrize("gradient_checkpointing", [False, True])
    @pytest.mark.parametrize("attention", ["eager", "sdpa"])
    def test_training_step(self, tiny_model, make_inputs, single_rows, naive, attention, gradient_checkpointing):
        truth = tiny_model()
        inputs = make_inputs([3, "00012", 4, "002", 6], [2, "10002", 3], [8], padding_side="right")
        labels = inputs["input_ids"].masked_fill(
            (inputs["input_ids"] == truth.config.image_token_id) | (inputs["attention_mask"] == 0), -100
        )
        # The mean over all labels of the batch, of the tokens that stay, row by row.
        total, count = 0.0, 0
        rows = zip(single_rows(inputs), labels, inputs["attention_mask"].bool(), strict=True)
        for row, row_labels, mask in rows:
            kept = naive.kept(truth, row, 0.5, row_labels[mask] == -100)
            logits, targets = by_hand(truth, row, kept, "repack")[0, :-1], row_labels[mask][kept][1:]
            total = total + torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
            count += (targets != -100).sum()
        (total / count).backward()

        model = tiny_model(attention=attention).train()
        if gradient_checkpointing:
            model.gradient_checkpointing_enable()
        loss = model(**inputs, labels=labels, keep_ratio=0.5).loss
        loss.backward()
        torch.testing.assert_close(loss, total / count, rtol=0, atol=1e-5)
        expected = {name: parameter.grad for name, parameter in truth.named_parameters()}
        for name, parameter in model.named_parameters():
            if expected[name] is None:
                assert parameter.grad is None, name
            else:
                torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-3, atol=2e-5, msg=name)
        assert expected["model.multi_modal_projector.linear_1.weight"].abs().max() > 1e-3

    def test_scoring_is_no_part_of_the_outputs(self, model, inputs):
        outputs = model(**inputs, keep_ratio=0.5, output_hidden_states=True, output_attentions=True)
        assert len(outputs.hidden_states) == 4
        assert len(outputs.attentions) == 3
        dropped = (outputs.attentions[2][0].amax(dim=(0, 1)) == 0).sum()
        assert dropped == 10  # nothing attends to half of the 20 detailed tokens

    def test_not_after_a_cached_beginning(self, model, make_inputs):
        inputs = make_inputs([9, "00012", 6])
        beginning = model(input_ids=inputs["input_ids"][:, :8], use_cache=True).past_key_values
        rest = {name: inputs[name] for name in ("pixel_values", "tile_levels")}
        logits = model(input_ids=inputs["input_ids"][:, 8:], past_key_values=beginning, **rest, keep_ratio=0.5).logits
        torch.testing.assert_close(logits, model(**inputs).logits[:, 8:], rtol=0, atol=2e-4)


class TestBadInput:
    @pytest.mark.parametrize("keep_ratio", [0, 0.0, -0.5, 1.01, 2, float("nan"), "half", True])
    def test_keep_ratio(self, model, inputs, keep_ratio):
        for call in (model.generate, model, model.model):
            with pytest.raises(
                ValueError, match=f"`keep_ratio` must be a number above 0 and at most 1 .*{keep_ratio}"
            ):
                call(**inputs, keep_ratio=keep_ratio)

    def test_no_tile_levels(self, model, inputs):
        inputs = {name: value for name, value in inputs.items() if name != "tile_levels"}
        for call in (model.generate, model, model.model):
            with pytest.raises(ValueError, match="`keep_ratio` 0.5 needs the `tile_levels`"):
                call(**inputs, keep_ratio=0.5)

    @pytest.mark.parametrize("keep_ratio", [0.5, 1.0])
    def test_number_of_tile_levels(self, model, inputs, keep_ratio):
        inputs = inputs | {"tile_levels": inputs["tile_levels"][1:]}
        for call in (model.generate, model, model.model):
            with pytest.raises(ValueError, match=r"each of the 13 tiles in `pixel_values`, got the shape \(12,\)"):
                call(**inputs, keep_ratio=keep_ratio)

    def test_levels_that_are_none(self, model, inputs):
        inputs = inputs | {"tile_levels": inputs["tile_levels"] + 3}
        for call in (model.generate, model, model.model):
            with pytest.raises(ValueError, match="`tile_levels` must be 0, 1 or 2"):
                call(**inputs, keep_ratio=0.5)

    def test_a_row_that_is_all_masked(self, model, inputs):
        attention_mask = inputs["attention_mask"].clone()
        attention_mask[1] = 0
        for call in (model.generate, model, model.model):
            with pytest.raises(ValueError, match="every row needs a token that `attention_mask` does not hide"):
                call(**inputs | {"attention_mask": attention_mask}, keep_ratio=0.5)

    def test_no_tiles(self, model, inputs):
        inputs = inputs | {name: inputs[name][:0] for name in ("pixel_values", "tile_levels")}
        for call in (model.generate, model, model.model):
            with pytest.raises(ValueError, match="has image tokens, but .*`pixel_values`"):
                call(**inputs, keep_ratio=0.5)
        with pytest.raises(ValueError, match="`pixel_values` has no tiles"):
            model.get_image_features(inputs["pixel_values"])

    def test_short_position_ids(self, model, inputs):
        position_ids = torch.arange(inputs["input_ids"].shape[1] - 1)[None]
        for call in (model.generate, model, model.model):
            with pytest.raises(ValueError, match=r"`position_ids` must have the shape .* got \(1, "):
                call(**inputs, position_ids=position_ids, keep_ratio=0.5)

    def test_the_prompt_under_both_names(self, model, inputs):
        with pytest.raises(ValueError, match="`inputs` or `input_ids`, not both"):
            model.generate(inputs["input_ids"], **inputs)

    def test_attention_mask_of_another_shape(self, model, inputs):
        inputs = inputs | {"attention_mask": inputs["attention_mask"][:, 1:]}
        for call in (model.generate, model):
            with pytest.raises(ValueError, match="`attention_mask` must have the shape"):
                call(**inputs, keep_ratio=0.5)


def by_hand(model: MiniMonkeyForConditionalGeneration, row, kept, positions) -> torch.Tensor:
    """Logits of the kept tokens alone, with gradients: only they go through the language model."""
    if isinstance(positions, str):
        positions = kept if positions == "keep" else list(range(len(kept)))
    embeds = model.get_input_embeddings()(row["input_ids"])
    if "pixel_values" in row:
        features = model.get_image_features(row["pixel_values"]).pooler_output.flatten(0, 1)
        embeds = embeds.masked_scatter((row["input_ids"] == model.config.image_token_id)[..., None], features)
    hidden_states = model.model.language_model(
        inputs_embeds=embeds[:, kept],
        position_ids=torch.tensor([positions]),
        attention_mask=torch.ones(1, len(kept), dtype=torch.long),
        use_cache=False,
    ).last_hidden_state
    return model.lm_head(hidden_states)


@pytest.mark.parametrize("keep_ratio", [1.0, 0.5])
def test_a_length_that_is_asked_for_wins_over_the_checkpoint_s(repository, keep_ratio):
    folder = repository / "checkpoints" / "minimonkey-tiny"
    model = MiniMonkeyForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    content = [{"type": "image", "image": Image.open(repository / "examples" / "page.png")}]
    inputs = MiniMonkeyProcessor.from_pretrained(folder).prepare_chat([{"role": "user", "content": content}])
    prompt = inputs["input_ids"].shape[1]

    def length(**options) -> int:
        return model.generate(**inputs, **options, keep_ratio=keep_ratio, eos_token_id=None).shape[1]

    assert length() == prompt + model.generation_config.max_new_tokens == prompt + 256
    assert length(max_length=prompt + 9) == prompt + 9
    assert length(max_length=prompt + 9, max_new_tokens=4) == prompt + 4
