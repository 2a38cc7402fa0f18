"""A conversation goes on from a cache that was filled under compression, as it does where the tokens were masked."""

import copy

import pytest
import torch
from transformers import DynamicCache, StaticCache

from modeling_minimonkey.generation_minimonkey import CACHE
from modeling_minimonkey.transformers_releases import CAN_PREFILL_IN_CHUNKS


FIRST = {"max_new_tokens": 6, "do_sample": False, "return_dict_in_generate": True}
NEXT = {"max_new_tokens": 8, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}
ROWS = {
    "one row": [[3, "0012", 4]],
    "two images": [[3, "00012", 4, "002", 6]],
    "left padding": [[3, "00012", 4, "002", 6], [2, "112", 7], [2, "10002", 9]],
    "a row of text": [[3, "00012", 4], [6]],
    "a long row of text": [[3, "00012", 4], [60]],
}


@pytest.fixture(params=["repack", "keep"])
def model(request, tiny_model):
    return tiny_model(scale_compression_config={"keep_ratio": 0.5, "positions": request.param})


@pytest.fixture
def masked(naive, single_rows):
    """
    `masked(model, inputs)`: the first turn without scale compression, the dropped tokens masked and with their
    positions: (outputs, mask).
    """

    def first_turn(model, inputs, **options):
        ratio = model.config.scale_compression_config.keep_ratio
        mask = torch.zeros_like(inputs["attention_mask"])
        for row, padding, single in zip(mask, inputs["attention_mask"], single_rows(inputs), strict=True):
            row[padding.nonzero()[:, 0][naive.kept(model, single, ratio)]] = 1
        outputs = model.generate(
            input_ids=inputs["input_ids"],
            pixel_values=inputs["pixel_values"],
            attention_mask=mask,
            position_ids=positions(model, inputs["attention_mask"], mask),
            keep_ratio=1.0,
            **FIRST | options,
        )
        return outputs, mask

    return first_turn


def positions(model, attention_mask, mask):
    """Of all tokens of a conversation, for what is not masked."""
    keeps = model.config.scale_compression_config.positions == "keep"
    return ((attention_mask if keeps else mask).cumsum(dim=1) - 1).clamp(min=0)


def text(rows: int, length: int, seed: int = 5) -> torch.Tensor:
    return torch.randint(8, 100, (rows, length), generator=torch.Generator().manual_seed(seed))


def longer(mask, new):
    return torch.cat((mask, torch.ones(mask.shape[0], new, dtype=mask.dtype)), dim=1)


def go_on(model, cache, ids, attention_mask, **options):
    """The next turn as the library's documentation shows it: the whole conversation and the cache of what was."""
    return model.generate(input_ids=ids, attention_mask=attention_mask, **{CACHE: cache}, **NEXT | options)


def assert_same(outputs, expected):
    assert torch.equal(outputs.sequences, expected.sequences)
    torch.testing.assert_close(torch.stack(outputs.logits), torch.stack(expected.logits), rtol=0, atol=2e-4)


def next_ids(sequences, new: int = 5, seed: int = 5):
    return torch.cat((sequences, text(sequences.shape[0], new, seed)), dim=1)


def expected_turn(model, outputs, ids, attention_mask, mask, **options):
    """The next turn from a cache in which the dropped tokens are masked; `mask` is that of the first prompt."""
    dropped = torch.zeros_like(attention_mask)
    dropped[:, : mask.shape[1]] = attention_mask[:, : mask.shape[1]] - mask
    return go_on(
        model,
        outputs[CACHE],
        ids,
        attention_mask - dropped,
        position_ids=positions(model, attention_mask, attention_mask - dropped),
        keep_ratio=1.0,
        **options,
    )


class TestNextTurn:
    # At 0.9 of few tokens one is dropped, and with kept positions a column of padding takes its place.
    @pytest.mark.parametrize("keep_ratio", [0.5, 0.9])
    @pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
    def test_equals_the_masked_conversation(self, model, make_inputs, masked, rows, keep_ratio):
        model.config.scale_compression_config.keep_ratio = keep_ratio
        inputs = make_inputs(*rows)
        expected, mask = masked(model, inputs)
        outputs = model.generate(**inputs, **FIRST)
        assert torch.equal(outputs.sequences, expected.sequences)
        attention_mask = inputs["attention_mask"]
        for turn in range(3):
            ids = next_ids(outputs.sequences, seed=turn)
            attention_mask = longer(attention_mask, ids.shape[1] - attention_mask.shape[1])
            truth = expected_turn(model, expected, ids, attention_mask, mask)
            outputs = go_on(model, outputs[CACHE], ids, attention_mask)
            assert_same(outputs, truth)
            expected = truth

    def test_the_answers_are_not_those_of_a_whole_cache(self, model, make_inputs):
        """The test above would see a difference."""
        inputs = make_inputs(*ROWS["left padding"])
        ids = next_ids(model.generate(**inputs, **FIRST).sequences)
        attention_mask = longer(inputs["attention_mask"], ids.shape[1] - inputs["attention_mask"].shape[1])
        logits = [
            go_on(model, model.generate(**inputs, **FIRST, keep_ratio=ratio)[CACHE], ids, attention_mask).logits[0]
            for ratio in (0.5, 1.0)
        ]
        assert (logits[0] - logits[1]).abs().max() > 0.01

    @pytest.mark.parametrize("keep_ratio", [None, 0.3, 1.0])
    def test_whatever_the_next_call_would_keep(self, model, make_inputs, masked, keep_ratio):
        inputs = make_inputs(*ROWS["two images"])
        expected, mask = masked(model, inputs)
        outputs = model.generate(**inputs, **FIRST)
        ids = next_ids(outputs.sequences)
        truth = expected_turn(model, expected, ids, torch.ones_like(ids), mask)
        assert_same(go_on(model, outputs[CACHE], ids, torch.ones_like(ids), keep_ratio=keep_ratio), truth)

    def test_without_a_mask(self, model, make_inputs, masked):
        inputs = make_inputs(*ROWS["two images"])
        expected, mask = masked(model, inputs)
        outputs = model.generate(**inputs, **FIRST)
        ids = next_ids(outputs.sequences)
        truth = expected_turn(model, expected, ids, torch.ones_like(ids), mask)
        assert_same(model.generate(ids, **{CACHE: outputs[CACHE]}, **NEXT), truth)

    def test_the_new_ids_alone(self, model, make_inputs, masked):
        inputs = make_inputs(*ROWS["left padding"])
        expected, mask = masked(model, inputs)
        outputs = model.generate(**inputs, **FIRST)
        ids = next_ids(outputs.sequences)
        attention_mask = longer(inputs["attention_mask"], ids.shape[1] - inputs["attention_mask"].shape[1])
        truth = expected_turn(model, expected, ids, attention_mask, mask)
        new = ids[:, -6:]  # the last token of the answer isn't in the cache
        sequences = go_on(model, outputs[CACHE], new, attention_mask).sequences
        assert torch.equal(sequences[:, :6], new)
        assert torch.equal(sequences[:, 6:], truth.sequences[:, ids.shape[1] :])

    def test_a_cache_of_the_caller_filled_in_place(self, model, make_inputs):
        inputs = make_inputs(*ROWS["left padding"])
        kwargs = {"max_new_tokens": 6, "do_sample": False}
        outputs = model.generate(**inputs, **FIRST)
        cache = DynamicCache(config=model.config)
        sequences = model.generate(
            **inputs, **kwargs, **{CACHE: cache}
        )  # no dictionary: only the caller has the cache
        assert torch.equal(sequences, outputs.sequences)
        ids = next_ids(sequences)
        attention_mask = longer(inputs["attention_mask"], ids.shape[1] - inputs["attention_mask"].shape[1])
        saved = copy.deepcopy(cache)
        expected = go_on(model, outputs[CACHE], ids, attention_mask)
        assert_same(go_on(model, cache, ids, attention_mask), expected)
        assert_same(go_on(model, saved, ids, attention_mask), expected)

    @pytest.mark.parametrize("name", ["past_key_values", "cache"])
    def test_either_name_of_the_cache(self, model, make_inputs, name):
        inputs = make_inputs(*ROWS["one row"])
        outputs, again = model.generate(**inputs, **FIRST), model.generate(**inputs, **FIRST)
        ids = next_ids(outputs.sequences)
        expected = go_on(model, again[CACHE], ids, torch.ones_like(ids))
        assert_same(
            model.generate(ids, attention_mask=torch.ones_like(ids), **{name: outputs[CACHE]}, **NEXT), expected
        )

    @pytest.mark.parametrize("options", [{"num_return_sequences": 3, "do_sample": True}, {"num_beams": 2}], ids=str)
    def test_repeated_rows(self, model, make_inputs, masked, options):
        inputs = make_inputs(*ROWS["left padding"])
        options = options | ({"num_return_sequences": 2} if "num_beams" in options else {})
        torch.manual_seed(0)
        expected, mask = masked(model, inputs, **options)
        torch.manual_seed(0)
        outputs = model.generate(**inputs, **FIRST | options)
        assert torch.equal(outputs.sequences, expected.sequences)
        repeats = outputs.sequences.shape[0] // mask.shape[0]
        ids = next_ids(outputs.sequences)
        padding = inputs["attention_mask"].repeat_interleave(repeats, dim=0)
        attention_mask = longer(padding, ids.shape[1] - padding.shape[1])
        truth = expected_turn(model, expected, ids, attention_mask, mask.repeat_interleave(repeats, dim=0))
        assert_same(go_on(model, outputs[CACHE], ids, attention_mask), truth)

    @pytest.mark.skipif(not CAN_PREFILL_IN_CHUNKS, reason="refused before 5.23: TestRefused")
    @pytest.mark.parametrize("prefill_chunk_size", [1, 3])
    def test_in_chunks(self, model, make_inputs, prefill_chunk_size):
        inputs = make_inputs(*ROWS["left padding"])
        outputs, again = model.generate(**inputs, **FIRST), model.generate(**inputs, **FIRST)
        ids = next_ids(outputs.sequences)
        attention_mask = longer(inputs["attention_mask"], ids.shape[1] - inputs["attention_mask"].shape[1])
        expected = go_on(model, again[CACHE], ids, attention_mask)
        assert_same(go_on(model, outputs[CACHE], ids, attention_mask, prefill_chunk_size=prefill_chunk_size), expected)

    def test_static_cache(self, model, make_inputs):
        inputs = make_inputs(*ROWS["left padding"])
        outputs = model.generate(**inputs, **FIRST)
        cache = StaticCache(config=model.config, max_cache_len=96)
        assert torch.equal(model.generate(**inputs, **FIRST, **{CACHE: cache}).sequences, outputs.sequences)
        ids = next_ids(outputs.sequences)
        attention_mask = longer(inputs["attention_mask"], ids.shape[1] - inputs["attention_mask"].shape[1])
        assert_same(go_on(model, cache, ids, attention_mask), go_on(model, outputs[CACHE], ids, attention_mask))
        cache.reset()  # and for another prompt, which has other tokens to drop
        other = make_inputs([4, "0012", 3], [4, "0012", 3], [4, "0002", 3], seed=3)
        expected = model.generate(**other, **FIRST)
        assert torch.equal(model.generate(**other, **FIRST, **{CACHE: cache}).sequences, expected.sequences)

    @pytest.mark.parametrize("chosen", [[1, 0, 2], [2, 0], [0, 1, 2, 0, 1, 2], [0, 0, 1, 1, 2, 2]], ids=str)
    def test_rows_that_the_caller_chose(self, model, make_inputs, chosen):
        """Of the cache, as for a beam search of one's own; natively any of them goes on exactly."""
        inputs = make_inputs(*ROWS["left padding"])
        outputs, again = model.generate(**inputs, **FIRST), model.generate(**inputs, **FIRST)
        ids = next_ids(outputs.sequences)
        attention_mask = longer(inputs["attention_mask"], ids.shape[1] - inputs["attention_mask"].shape[1])
        expected = go_on(model, again[CACHE], ids, attention_mask)
        chosen = torch.tensor(chosen)
        cache = outputs[CACHE]
        cache.batch_select_indices(chosen)
        logits = model(input_ids=ids[chosen, -6:], attention_mask=None, **{CACHE: copy.deepcopy(cache)}).logits[:, -1]
        torch.testing.assert_close(logits, expected.logits[0][chosen], rtol=0, atol=2e-4)
        for given in (ids[chosen], ids[chosen, -6:]):
            found = go_on(model, copy.deepcopy(cache), given, attention_mask[chosen])
            torch.testing.assert_close(found.logits[0], expected.logits[0][chosen], rtol=0, atol=2e-4)

    def test_tokens_that_the_next_turn_hides(self, model, make_inputs, masked):
        inputs = make_inputs(*ROWS["two images"])
        expected, mask = masked(model, inputs)
        outputs = model.generate(**inputs, **FIRST)
        ids = next_ids(outputs.sequences)
        attention_mask = torch.ones_like(ids)
        attention_mask[:, :2] = 0
        attention_mask[:, inputs["input_ids"].shape[1] - 3] = 0
        hidden = mask * attention_mask[:, : mask.shape[1]]
        dropped = 1 - mask  # among them none of the hidden ones
        both = torch.cat((hidden, attention_mask[:, mask.shape[1] :]), dim=1)
        keeps = model.config.scale_compression_config.positions == "keep"
        real = torch.cat((hidden + dropped, attention_mask[:, mask.shape[1] :]), dim=1)
        position_ids = ((real if keeps else both).cumsum(dim=1) - 1).clamp(min=0)
        truth = go_on(model, expected[CACHE], ids, both, position_ids=position_ids, keep_ratio=1.0)
        assert_same(go_on(model, outputs[CACHE], ids, attention_mask), truth)

    def test_what_the_caller_does_with_the_tensors(self, model, make_inputs):
        inputs = make_inputs(*ROWS["left padding"])
        inputs["attention_mask"] = inputs["attention_mask"].bool()
        outputs, again = model.generate(**inputs, **FIRST), model.generate(**inputs, **FIRST)
        ids = next_ids(outputs.sequences)
        attention_mask = longer(inputs["attention_mask"].long(), ids.shape[1] - inputs["attention_mask"].shape[1])
        expected = go_on(model, again[CACHE], ids, attention_mask)
        inputs["attention_mask"].zero_()
        inputs["input_ids"].zero_()
        assert_same(go_on(model, outputs[CACHE], ids, attention_mask), expected)

    def test_after_a_call_that_failed(self, model, make_inputs):
        inputs = make_inputs(*ROWS["left padding"])
        outputs, again = model.generate(**inputs, **FIRST), model.generate(**inputs, **FIRST)
        ids = next_ids(outputs.sequences)
        attention_mask = longer(inputs["attention_mask"], ids.shape[1] - inputs["attention_mask"].shape[1])
        expected = go_on(model, again[CACHE], ids, attention_mask)
        cache = outputs[CACHE]
        for rows in ([0, 1], [0, 1, 2, 0]):
            with pytest.raises(ValueError, match="a compressed prompt of 3 rows, which are not"):
                model(input_ids=ids[rows, -6:], attention_mask=attention_mask[rows], **{CACHE: cache})
        assert_same(go_on(model, cache, ids, attention_mask), expected)


class TestCrop:
    @pytest.mark.parametrize("back", [1, 4, 9])
    def test_another_question_about_the_same_image(self, model, make_inputs, masked, back):
        """`back` columns less: within the answer, or within the text that follows the last image."""
        inputs = make_inputs([3, "00012", 4, "002", 6], [5, "0012", 9])
        expected, mask = masked(model, inputs)
        outputs = model.generate(**inputs, **FIRST)
        cache, whole = outputs[CACHE], expected[CACHE]
        cache.crop(-back)
        whole.crop(-back)
        ids = next_ids(outputs.sequences[:, : whole.get_seq_length()])
        attention_mask = longer(inputs["attention_mask"], max(ids.shape[1] - mask.shape[1], 0))[:, : ids.shape[1]]
        truth = expected_turn(model, expected, ids, attention_mask, mask[:, : whole.get_seq_length()])
        assert_same(go_on(model, cache, ids, attention_mask), truth)

    def test_two_steps_of_forward(self, model, make_inputs):
        """After a crop into the prompt's text, other tokens take the place of those that were cut off."""
        inputs = make_inputs([3, "00012", 4, "002", 6])
        cache = model.generate(**inputs, **FIRST)[CACHE]
        cache.crop(-9)
        whole, ids = copy.deepcopy(cache), text(1, 6)
        expected = model(input_ids=ids, **{CACHE: whole}).logits[:, 3:]
        model(input_ids=ids[:, :3], **{CACHE: cache})
        torch.testing.assert_close(model(input_ids=ids[:, 3:], **{CACHE: cache}).logits, expected, rtol=0, atol=2e-4)

    def test_into_the_tokens_that_were_dropped(self, model, make_inputs):
        inputs = make_inputs([3, "00012", 4, "002", 6])
        outputs = model.generate(**inputs, **FIRST)
        cache = outputs[CACHE]
        cache.crop(12 - cache.get_seq_length())
        with pytest.raises(
            ValueError, match="cropped to 12 columns, .* Crop it to at least .* or start without a cache"
        ):
            go_on(model, cache, inputs["input_ids"], inputs["attention_mask"])

    def test_to_nothing(self, model, make_inputs):
        inputs = make_inputs([3, "00012", 4, "002", 6])
        outputs = model.generate(**inputs, **FIRST)
        cache = outputs[CACHE]
        cache.crop(-cache.get_seq_length())
        again = model.generate(**inputs, **FIRST, **{CACHE: cache})
        assert torch.equal(again.sequences, outputs.sequences)


class TestSecondImage:
    @pytest.mark.parametrize("pixels", ["new", "all"])
    def test_is_kept_whole(self, model, make_inputs, masked, pixels):
        inputs = make_inputs(*ROWS["left padding"])
        expected, mask = masked(model, inputs)
        outputs = model.generate(**inputs, **FIRST)
        second = make_inputs(*[[2, "0012", 3]] * 3, seed=9)
        ids = torch.cat((outputs.sequences, second["input_ids"]), dim=1)
        attention_mask = longer(inputs["attention_mask"], ids.shape[1] - inputs["attention_mask"].shape[1])
        images = {name: second[name] for name in ("pixel_values", "tile_levels")}
        truth = expected_turn(model, expected, ids, attention_mask, mask, **images)
        if pixels == "all":  # in the order of the rows, as the processor gives them
            numbers = [8, 3, 5], [4, 4, 4]
            both = (
                [inputs[name].split(numbers[0]) for name in images],
                [second[name].split(numbers[1]) for name in images],
            )
            images = {
                name: torch.cat([part for pair in zip(*tiles, strict=True) for part in pair])
                for name, tiles in zip(images, zip(*both, strict=True), strict=True)
            }
        assert_same(go_on(model, outputs[CACHE], ids, attention_mask, **images), truth)

    def test_without_pixels(self, model, make_inputs):
        inputs = make_inputs(*ROWS["one row"])
        outputs = model.generate(**inputs, **FIRST)
        ids = torch.cat((outputs.sequences, make_inputs([2, "12", 3])["input_ids"]), dim=1)
        with pytest.raises(ValueError, match="The new part of the conversation has image tokens, but `pixel_values`"):
            go_on(model, outputs[CACHE], ids, torch.ones_like(ids))


class TestForward:
    @pytest.mark.parametrize("mask", ["whole", "none", "of the cache"])
    @pytest.mark.parametrize("rows", ["two images", "left padding"])
    def test_step_by_step(self, model, make_inputs, rows, mask):
        """A loop of the caller's own, after `generate`: the mask of all that was said, one token at a time."""
        inputs = make_inputs(*ROWS[rows])
        outputs, again = model.generate(**inputs, **FIRST), model.generate(**inputs, **FIRST)
        cache, sequences = again[CACHE], outputs.sequences
        ids = next_ids(sequences, new=1)
        attention_mask = longer(inputs["attention_mask"], ids.shape[1] - inputs["attention_mask"].shape[1])
        expected = go_on(model, outputs[CACHE], ids, attention_mask).sequences
        new = ids[:, -2:]
        for column in range(ids.shape[1], expected.shape[1]):
            attention_mask = longer(attention_mask, column - attention_mask.shape[1])
            given = {"whole": attention_mask, "none": None, "of the cache": None}[mask]
            if mask == "of the cache":
                columns = cache.get_seq_length() + new.shape[1]
                given = torch.ones(new.shape[0], columns, dtype=torch.long)
            logits = model(input_ids=new, attention_mask=given, **{CACHE: cache}).logits[:, -1]
            logits[:, model.config.image_token_id] = -torch.inf
            new = logits.argmax(dim=-1, keepdim=True)
            assert torch.equal(new[:, 0], expected[:, column])

    @pytest.mark.parametrize("rows", ["two images", "left padding"])
    def test_a_beginning_that_forward_masked(self, model, make_inputs, rows):
        """The documented way to cache a prefix: fill the cache by `forward`, copy it, go on with `generate`."""
        inputs = make_inputs(*ROWS[rows])
        outputs = model.generate(**inputs, **FIRST)
        with torch.no_grad():
            cache = model(**inputs, **{CACHE: DynamicCache(config=model.config)})[CACHE]
        assert cache.get_seq_length() == inputs["input_ids"].shape[1]
        ids = next_ids(outputs.sequences)
        attention_mask = longer(inputs["attention_mask"], ids.shape[1] - inputs["attention_mask"].shape[1])
        expected = go_on(model, outputs[CACHE], ids, attention_mask)
        assert_same(go_on(model, copy.deepcopy(cache), ids, attention_mask), expected)
        new = ids[:, cache.get_seq_length() :]
        logits = model(input_ids=new, attention_mask=attention_mask, **{CACHE: cache}).logits[:, -1]
        torch.testing.assert_close(logits, expected.logits[0], rtol=0, atol=2e-4)


class TestRefused:
    @pytest.fixture
    def turn(self, model, make_inputs):
        inputs = make_inputs(*ROWS["left padding"])
        outputs = model.generate(**inputs, **FIRST)
        ids = next_ids(outputs.sequences)
        return outputs[CACHE], ids, longer(inputs["attention_mask"], ids.shape[1] - inputs["attention_mask"].shape[1])

    def test_another_prompt(self, model, turn):
        cache, ids, attention_mask = turn
        ids[1, 30] += 1
        with pytest.raises(ValueError, match="row 1 differs at token 30. Give the whole conversation as it was"):
            go_on(model, cache, ids, attention_mask)

    @pytest.mark.parametrize("rows", [1, 2, 4])
    def test_other_rows(self, model, turn, rows):
        cache, ids, attention_mask = turn
        ids, attention_mask = ids.repeat(2, 1)[:rows], attention_mask.repeat(2, 1)[:rows]
        with pytest.raises(ValueError, match="(of 3 rows, which are not|another prompt|was padding)"):
            go_on(model, cache, ids, attention_mask)

    def test_nothing_new(self, model, turn):
        cache, ids, attention_mask = turn
        with pytest.raises(
            ValueError, match="The cache holds .* tokens of the conversation. Give .* at least one more"
        ):
            go_on(model, cache, ids[:, :-6], attention_mask[:, :-6])

    def test_a_mask_of_another_length(self, model, turn):
        cache, ids, attention_mask = turn
        with pytest.raises(ValueError, match="`attention_mask`"):
            go_on(model, cache, ids, attention_mask[:, 2:])
        with pytest.raises(ValueError, match="`attention_mask` must have the shape .*length of the whole"):
            model(input_ids=ids[:, -6:], attention_mask=attention_mask[:, 3:], **{CACHE: cache})

    @pytest.mark.parametrize("options", [{"prompt_lookup_num_tokens": 3}, {"assistant_model": "itself"}], ids=str)
    def test_assisted_decoding(self, model, turn, options):
        """Its tokens are wrong after any cached beginning, for a plain Llama, too."""
        cache, ids, attention_mask = turn
        options = {name: model if value == "itself" else value for name, value in options.items()}
        with pytest.raises(ValueError, match="Assisted decoding after a cached beginning gives wrong tokens"):
            go_on(model, cache, ids, attention_mask, **options)

    @pytest.mark.skipif(CAN_PREFILL_IN_CHUNKS, reason="right from 5.23 on: TestNextTurn")
    def test_chunks(self, model, turn):
        cache, ids, attention_mask = turn
        with pytest.raises(ValueError, match="`prefill_chunk_size` .* wrong tokens before Transformers 5.23"):
            go_on(model, cache, ids, attention_mask, prefill_chunk_size=3)

    def test_embeddings(self, model, turn):
        cache, ids, attention_mask = turn
        embeds = model.get_input_embeddings()(ids)
        for given in ({}, {"input_ids": ids}):
            with pytest.raises(ValueError, match="goes on with `input_ids`, not with embeddings"):
                model.generate(**given, inputs_embeds=embeds, attention_mask=attention_mask, **{CACHE: cache})

    def test_two_caches(self, model, turn):
        cache, ids, attention_mask = turn
        for call in (model, model.model, model.generate):
            with pytest.raises(ValueError, match="`cache` or `past_key_values`, not both"):
                call(input_ids=ids, attention_mask=attention_mask, cache=cache, past_key_values=cache)
