"""What else a Transformers user does with a model, on the small checkpoint: stream, pipe, export, quantize."""

import threading

import pytest
import torch
from PIL import Image
from transformers import TextIteratorStreamer, TorchAoConfig, pipeline

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from processing_minimonkey import MiniMonkeyProcessor


ANSWER = "fresh bread\nopen sunday"


@pytest.fixture(scope="module")
def folder(repository):
    return repository / "checkpoints" / "minimonkey-tiny"


@pytest.fixture(scope="module")
def model(folder):
    return MiniMonkeyForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def processor(folder):
    return MiniMonkeyProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def chat(repository):
    image = Image.open(repository / "examples" / "page.png")
    content = [{"type": "image", "image": image}, {"type": "text", "text": "Read the text."}]
    return [{"role": "user", "content": content}]


@pytest.fixture(scope="module")
def inputs(processor, chat):
    options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    return processor.apply_chat_template(chat, **options)


@pytest.mark.parametrize("keep_ratio", [1.0, 0.5])
def test_an_answer_is_streamed_in_pieces(model, processor, inputs, keep_ratio):
    streamer = TextIteratorStreamer(processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
    options = {"max_new_tokens": 40, "keep_ratio": keep_ratio, "streamer": streamer}
    thread = threading.Thread(target=model.generate, kwargs={**inputs, **options})
    thread.start()
    pieces = [piece for piece in streamer if piece]
    thread.join()
    sequences = model.generate(**inputs, max_new_tokens=40, keep_ratio=keep_ratio)
    whole = processor.decode(sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert len(pieces) > 2 and "".join(pieces) == whole


def test_the_pipeline_answers_a_batch(model, processor, chat):
    ask = pipeline("image-text-to-text", model=model, processor=processor)
    answers = ask([chat, chat], max_new_tokens=40, return_full_text=False, batch_size=2)
    assert [answer[0]["generated_text"] for answer in answers] == [ANSWER, ANSWER]


def test_the_vision_tower_is_exported_for_any_number_of_tiles(model, inputs):
    tower, pixels = model.model.vision_tower, inputs["pixel_values"]
    tiles = torch.export.Dim("tiles", min=2, max=64)
    exported = torch.export.export(
        tower, (), {"pixel_values": pixels[:4]}, dynamic_shapes={"pixel_values": {0: tiles}}
    )
    with torch.no_grad():
        expected = tower(pixel_values=pixels).last_hidden_state
        found = exported.module()(pixel_values=pixels).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_eight_bit_weights_read_the_same(folder, inputs, processor, tmp_path):
    """With the full names: Transformers passes over a bare "multi_modal_projector" without a word."""
    reason = "torchao writes to stderr wherever it is installed: make test-torchao"
    quantization = pytest.importorskip("torchao.quantization", reason=reason)
    whole = ["model.vision_tower", "model.multi_modal_projector", "lm_head"]
    settings = TorchAoConfig(quantization.Int8WeightOnlyConfig(), modules_to_not_convert=whole)
    load = MiniMonkeyForConditionalGeneration.from_pretrained
    model = load(folder, dtype=torch.float32, quantization_config=settings)
    model.save_pretrained(tmp_path)
    for quantized in (model, load(tmp_path)):
        kinds = {name: type(weight.data).__name__ for name, weight in quantized.named_parameters() if weight.ndim == 2}
        assert {kind for name, kind in kinds.items() if "language_model.layers" in name} == {"Int8Tensor"}
        assert {kind for name, kind in kinds.items() if "language_model.layers" not in name} == {"Tensor"}
        sequences = quantized.generate(**inputs, max_new_tokens=40)
        assert processor.decode(sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True) == ANSWER
