"""Conversations as ids: labels on answers alone, letters where they are drawn, batches that follow from an index."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.sawtooth.pretrained.conversations import (
    IGNORED,
    Encoder,
    LetterBatches,
    Replay,
    TrainingBatches,
    collate,
    cut_tiles,
    letters_of_patches,
    normalize,
)
from benchmarks.sawtooth.pretrained.questions import Turn, draw_picture, training_picture
from benchmarks.sawtooth.readers.reader import make_processor
from benchmarks.sawtooth.readers.rendering import ALPHABET, dense_labels, generator


@pytest.fixture
def turns(encoder):
    said = tuple(encoder.spell("hi"))
    return [Turn("text", "What?", "ab c"), Turn("meaning", "Why?", "ab: ", said), Turn("x", "Go on", "d", (), False)]


def test_format_and_labels(encoder, turns):
    row = encoder.conversation(turns)
    assert encoder.tokenizer.decode(row.ids) == (
        "<|im_start|>user\nWhat?<|im_end|>\n<|im_start|>assistant\nab c<|im_end|>"
        "\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\nab: hi<|im_end|>"
        "\n<|im_start|>user\nGo on<|im_end|>\n<|im_start|>assistant\nd"
    )
    answers = [token for token, label in zip(row.ids, row.labels, strict=True) if label != IGNORED]
    assert encoder.tokenizer.decode(answers) == "ab c<|im_end|>ab: hi<|im_end|>d"
    assert all(label in (token, IGNORED) for token, label in zip(row.ids, row.labels, strict=True))
    assert not len(row.tiles)


def test_answers_are_spelled_token_by_token(encoder):
    assert [encoder.tokenizer.decode([token]) for token in encoder.spell("to be")] == list("to be")


def test_image_tokens_stand_before_the_first_question(encoder, turns):
    picture = draw_picture(generator("test", 0), "receipt", False)
    row = encoder.conversation(turns, picture)
    text = encoder.tokenizer.decode(row.ids)
    assert text.startswith("<|im_start|>user\n<img>" + "<IMG_CONTEXT>" * 128 + "</img>\nWhat?")
    assert text.count("<IMG_CONTEXT>") == 128
    assert row.tiles.shape == (2, 112, 112, 3)


def test_prompt_ends_where_the_answer_begins(encoder, turns):
    row, whole = encoder.prompt("What?"), encoder.conversation(turns[:1])
    assert whole.ids[: len(row.ids)] == row.ids
    assert set(row.labels) == {IGNORED}
    assert whole.labels[len(row.ids)] != IGNORED


def test_letters_are_those_of_the_dense_labels():
    for index, layout in enumerate(("word", "lines", "receipt")):
        picture = draw_picture(generator("test", index), layout, False)
        expected = ["".join(ALPHABET[i - 1] for i in halves if i) for halves in _labels(picture)]
        found = letters_of_patches(picture, 8)
        assert [sorted(text) for text in found] == [sorted(text) for text in expected]
        assert "".join(found)


def _labels(picture) -> np.ndarray:
    """Both half patches of each patch."""
    return dense_labels(picture.page, picture.grid)[0].reshape(-1, 2)


def test_tiles_join_to_the_resized_page():
    picture = draw_picture(generator("test", 1), "receipt", False)
    joined = np.concatenate(list(cut_tiles(picture)), axis=1)
    np.testing.assert_array_equal(joined, np.asarray(picture.page.image.resize((224, 112), 3)))


def test_tiles_of_a_pyramid_are_those_of_the_processor(tokenizer):
    encoder, processor = Encoder(tokenizer, 64, "pyramid any"), make_processor().image_processor
    for layout in ("word", "bill"):
        picture = draw_picture(generator("test", 2), layout, False)
        expected = processor([picture.page.image], return_tensors="pt")["pixel_values"].flatten(0, -4)
        tiles = encoder.tiles(picture)
        assert len(tiles) > 1 or layout == "word"
        torch.testing.assert_close(normalize(tiles, "cpu"), expected, rtol=0, atol=0.02)
        row = encoder.prompt("What?", picture)
        assert row.ids.count(encoder.context) == 64 * len(tiles) == 64 * len(row.tiles)


def test_training_pictures_are_cut_by_either_of_two_methods(tokenizer):
    encoder = Encoder(tokenizer, 64, "pyramid any;detailed + global")
    batches = TrainingBatches(encoder, Replay({}, {}, share=0.0), rows=1, size="bills")
    used = []
    for index in range(12):
        picture = training_picture(index, "bills")[1]
        by_method = [encoder.tiles(picture, method) for method in (0, 1)]
        used.append([np.array_equal(batches.row(index).tiles, tiles) for tiles in by_method])
        assert any(used[-1])
        assert len(encoder.prompt("What?", picture).tiles) == len(by_method[0])
    assert [True, False] in used and [False, True] in used
    chat = TrainingBatches(encoder, Replay({"Hello": ((1,), True)}, {}, share=1.0), rows=1, size="bills")
    tiles = [(len(chat.row(i).tiles), len(encoder.tiles(training_picture(i, "bills")[1]))) for i in range(40)]
    assert any(0 < found < whole for found, whole in tiles) and any(found == whole for found, whole in tiles)


def test_tokens_that_show_what_is_asked(tokenizer):
    """Those that letters of the name and the number stand on, by their centers; and few others."""
    encoder = Encoder(tokenizer, 64, "pyramid any")
    for index in range(6):
        picture = draw_picture(generator("test", index), "bill", False)
        name, number = picture.page.lines[2]
        row = encoder.conversation([Turn("cost", f"What does {name} cost?", f"{name} costs {number}.")], picture)
        views = encoder.views(picture)
        levels = [view.level for view in views for _ in view.boxes]
        assert row.is_detailed.tolist() == [level == 0 for level in levels for _ in range(64)]
        own_grid = replace(picture, grid=views[0].grid)
        letters, texts = letters_of_patches(own_grid, 8), (name, number)
        assert not row.wanted[len(letters) :].any()
        line = replace(own_grid, page=replace(picture.page, characters=characters_of_line(picture, 2)))
        shown = np.array([bool(text) for text in letters_of_patches(line, 8)])
        assert shown.sum() >= len("".join(texts)) / 3
        assert (row.wanted[: len(letters)][shown] == 1).all()
        assert row.wanted.sum() < 6 * shown.sum()
        asked_before = encoder.prompt(f"What does {name} cost?", picture).wanted
        assert 0 < asked_before.sum() < row.wanted.sum()  # the name alone


def test_tokens_on_other_words_are_wanted_less(tokenizer):
    picture = draw_picture(generator("test", 1), "bill", False)
    asked = [Turn("value", f"What number is beside {picture.page.lines[2][0]}?", picture.page.lines[2][1])]
    alone = Encoder(tokenizer, 64, "pyramid any").conversation(asked, picture).wanted
    wanted = Encoder(tokenizer, 64, "pyramid any", 0.25).conversation(asked, picture).wanted
    everything = Encoder(tokenizer, 64, "pyramid any").conversation([Turn("text", "Read the text.")], picture).wanted
    assert wanted.dtype == np.float32
    np.testing.assert_array_equal(wanted, np.maximum(alone, 0.25 * everything))


def characters_of_line(picture, line: int) -> list:
    lengths = [len("".join(words)) for words in picture.page.lines]
    start = sum(lengths[:line])
    return picture.page.characters[start : start + lengths[line]]


def test_padding(encoder, turns):
    rows = [encoder.conversation(turns), encoder.conversation(turns[:1])]
    short, long = len(rows[1].ids), len(rows[0].ids)
    right, left = collate(rows, encoder.end), collate(rows, encoder.end, left=True)
    assert right["input_ids"][1, :short].tolist() == left["input_ids"][1, long - short :].tolist() == rows[1].ids
    assert right["labels"][1, :short].tolist() == left["labels"][1, long - short :].tolist() == rows[1].labels
    assert (right["labels"][1, short:] == IGNORED).all()
    assert right["attention_mask"].sum(1).tolist() == left["attention_mask"].sum(1).tolist() == [long, short]
    assert left["attention_mask"][1, -short:].all()


def test_normalized_tiles():
    tiles = np.array([0, 255, 51], np.uint8).reshape(1, 1, 1, 3)
    torch.testing.assert_close(normalize(tiles, "cpu").flatten(), torch.tensor([-1.0, 1.0, -0.6]))


def test_training_mixes_chat_and_pictures(encoder):
    replay = Replay({"Hello": (tuple(encoder.spell("hi")), True)}, {}, share=0.5)
    batches = TrainingBatches(encoder, replay, rows=10)
    rows = [batches.row(index) for index in range(60)]
    is_chat = [encoder.tokenizer.decode(row.ids).endswith("assistant\nhi<|im_end|>") for row in rows]
    has_picture = [bool(len(row.tiles)) for row in rows]
    assert 20 < sum(is_chat) < 40
    assert 0 < sum(chat and picture for chat, picture in zip(is_chat, has_picture, strict=True)) < sum(is_chat)
    assert all(chat or picture for chat, picture in zip(is_chat, has_picture, strict=True))
    alone = [row for row, chat in zip(rows, is_chat, strict=True) if chat]
    assert all(row.alone.ids == alone[0].alone.ids and not len(row.alone.tiles) for row in alone)
    assert all((row.alone is None) != chat for row, chat in zip(rows, is_chat, strict=True))
    batch = batches[3]
    assert batch["is_chat"].tolist() == is_chat[30:40]
    assert batch["chat_ids"].tolist() == [alone[0].alone.ids] * sum(is_chat[30:40])
    np.testing.assert_array_equal(batch["input_ids"], collate(rows[30:40], encoder.end)["input_ids"])


def test_batches_of_a_window_have_rows_of_like_length(encoder):
    replay = Replay({"Hello": (tuple(encoder.spell("hi")), True)}, {}, share=0.5)
    one_by_one, sorted_ones = (TrainingBatches(encoder, replay, 5, window) for window in (1, 4))
    for first in (0, 4):
        plain, found = ([each[first + i] for i in range(4)] for each in (one_by_one, sorted_ones))
        rows = [sorted(tuple(ids) for batch in side for ids in _without_padding(batch)) for side in (plain, found)]
        assert rows[0] == rows[1]
        padding = [sum((batch["attention_mask"] == 0).sum() for batch in side) for side in (plain, found)]
        assert padding[1] < 0.7 * padding[0]
    longest = [[sorted_ones[4 * window + i]["input_ids"].shape[1] for i in range(4)] for window in range(10)]
    assert any(lengths != sorted(lengths) for lengths in longest)  # the batches themselves aren't sorted
    np.testing.assert_array_equal(sorted_ones[2]["input_ids"], TrainingBatches(encoder, replay, 5, 4)[2]["input_ids"])


def _without_padding(batch):
    return [ids[mask > 0].tolist() for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]


def test_batches_from_a_sample_on_and_of_larger_pictures(encoder):
    replay = Replay({}, {}, share=0.0)
    later = TrainingBatches(encoder, replay, rows=4, first=40)
    np.testing.assert_array_equal(later[0]["input_ids"], TrainingBatches(encoder, replay, rows=4)[10]["input_ids"])
    large = TrainingBatches(encoder, replay, rows=4, size="large")
    assert max(len(large.row(index).tiles) for index in range(20)) == 6


def test_no_chat_at_a_share_of_zero(encoder):
    batches = TrainingBatches(encoder, Replay({}, {}, share=0.0), rows=4)
    assert len(batches[0]["tiles"]) >= 4


def test_letter_batches_name_the_letters():
    batch = LetterBatches(8, rows=3)[0]
    assert len(batch["letters"]) == 64 * len(batch["tiles"])
    assert batch["texts"][0] == ""
    assert 0 < (batch["letters"] > 0).mean() < 0.5
