"""A folder that loads as any other: prompts as in training, logits as with the adapter."""

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from benchmarks.sawtooth.pretrained.checkpoint import make_processor, merged, save
from benchmarks.sawtooth.pretrained.conversations import Encoder, normalize
from benchmarks.sawtooth.pretrained.model import learned, save_learned
from benchmarks.sawtooth.pretrained.questions import Turn, draw_picture
from benchmarks.sawtooth.readers.reader import make_tokenizer
from benchmarks.sawtooth.readers.rendering import generator


@pytest.fixture
def picture():
    return draw_picture(generator("test", 2), "bill", False)


def inputs_of(encoder: Encoder, picture) -> dict[str, torch.Tensor]:
    row = encoder.prompt("What is it?", picture)
    return {"input_ids": torch.tensor([row.ids]), "pixel_values": normalize(row.tiles, "cpu")}


@torch.no_grad()
def test_merged_weights_give_the_logits_of_the_adapter(causal_lm, tower, tokenizer, model, folder, picture):
    inputs = inputs_of(Encoder(tokenizer, 64, "pyramid any"), picture)
    plain = merged(causal_lm, tokenizer, tower, folder)
    assert not learned(plain, "adapter")
    torch.testing.assert_close(plain(**inputs).logits, model(**inputs).logits, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_tower_that_learned_is_merged_too(causal_lm, tower, tokenizer, model, folder, picture):
    inputs = inputs_of(Encoder(tokenizer, 64, "pyramid any"), picture)
    before = model(**inputs).logits
    for parameter in learned(model, "tower").values():
        parameter.copy_(torch.randn_like(parameter).mul(0.3).to(torch.bfloat16))  # as it is saved
    save_learned(model, folder, {"rank": 2}, tower=True)
    found = merged(causal_lm, tokenizer, tower, folder)(**inputs).logits
    torch.testing.assert_close(found, model(**inputs).logits, rtol=1e-4, atol=1e-4)
    assert (found - before).abs().max() > 0.1


@pytest.mark.parametrize(("keep_ratio", "expected"), [(0.2, ("question", 0, "keep")), (1.0, ("all", 1, "repack"))])
def test_compression_is_that_of_training(causal_lm, tower, tokenizer, model, folder, keep_ratio, expected):
    save_learned(model, folder, {"rank": 2, "keep_ratio": keep_ratio, "layer": 0, "positions": "keep"})
    config = merged(causal_lm, tokenizer, tower, folder).config.scale_compression_config
    assert (config.queries, config.layer, config.positions) == expected and config.keep_ratio == 1


def test_prompts_are_those_of_training(tokenizer, picture):
    encoder = Encoder(tokenizer, 64, "pyramid any")
    processor = make_processor(tokenizer, 64)
    content = [{"type": "image", "image": picture.page.image}, {"type": "text", "text": "What is it?"}]
    chat = [{"role": "user", "content": content}]
    ids = processor.prepare_chat(chat)["input_ids"][0].tolist()
    assert ids == encoder.prompt("What is it?", picture).ids
    chat += [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]
    turns = [Turn("", "What is it?", "a"), Turn("", "b", ended=False)]
    assert processor.prepare_chat(chat)["input_ids"][0].tolist() == encoder.conversation(turns, picture).ids


@torch.no_grad()
def test_a_saved_folder_loads_and_answers(causal_lm, tower, model, tokenizer, folder, picture, tmp_path):
    save(causal_lm, make_tokenizer(), tower, folder, tmp_path / "checkpoint")
    again = AutoModelForImageTextToText.from_pretrained(tmp_path / "checkpoint", dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(tmp_path / "checkpoint")
    content = [{"type": "image", "image": picture.page.image}, {"type": "text", "text": "What is it?"}]
    inputs = processor.prepare_chat([{"role": "user", "content": content}])
    expected = model(**inputs_of(Encoder(tokenizer, 64, "pyramid any"), picture)).logits[:, -1]
    found = again(**inputs).logits[:, -1]
    assert (found - expected).norm() < 0.05 * expected.norm()  # weights in bfloat16
