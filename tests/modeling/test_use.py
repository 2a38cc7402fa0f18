"""What else a Transformers user does with a model, on the small checkpoint: stream, pipe, offload, quantize."""

import threading

import pytest
import torch
from transformers import BitsAndBytesConfig, CompileConfig, TextIteratorStreamer, TorchAoConfig, pipeline

from modeling_minimonkey import MiniMonkeyForConditionalGeneration


ANSWER = "fresh bread\nopen sunday"
# With the full names: Transformers passes over a bare "multi_modal_projector" without a word
WHOLE = ["model.vision_tower", "model.multi_modal_projector", "lm_head"]


@pytest.fixture(scope="module")
def chat(page):
    content = [{"type": "image", "image": page}, {"type": "text", "text": "Read the text."}]
    return [{"role": "user", "content": content}]


@pytest.fixture(scope="module")
def inputs(trained_processor, chat):
    options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    return trained_processor.apply_chat_template(chat, **options)


def answer(model, processor, inputs, **options) -> str:
    inputs = inputs.to(model.dtype)
    sequences = model.generate(**inputs, max_new_tokens=40, **options)
    return processor.decode(sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


@pytest.mark.parametrize("keep_ratio", [1.0, 0.5])
def test_an_answer_is_streamed_in_pieces(trained_model, trained_processor, inputs, keep_ratio):
    streamer = TextIteratorStreamer(
        trained_processor.tokenizer, skip_prompt=True, timeout=60, skip_special_tokens=True
    )
    options = {"max_new_tokens": 40, "keep_ratio": keep_ratio, "streamer": streamer}
    thread = threading.Thread(target=trained_model.generate, kwargs={**inputs, **options})
    thread.start()
    pieces = [piece for piece in streamer if piece]
    thread.join()
    sequences = trained_model.generate(**inputs, max_new_tokens=40, keep_ratio=keep_ratio)
    whole = trained_processor.decode(sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert len(pieces) > 2 and "".join(pieces) == whole


def test_the_pipeline_answers_a_batch(trained_model, trained_processor, chat):
    ask = pipeline("image-text-to-text", model=trained_model, processor=trained_processor)
    answers = ask([chat, chat], max_new_tokens=40, return_full_text=False, batch_size=2)
    assert [answer[0]["generated_text"] for answer in answers] == [ANSWER, ANSWER]


def test_the_vision_tower_is_exported_for_any_number_of_tiles(trained_model, inputs):
    tower, pixels = trained_model.model.vision_tower, inputs["pixel_values"]
    tiles = torch.export.Dim("tiles", min=2, max=64)
    exported = torch.export.export(
        tower, (), {"pixel_values": pixels[:4]}, dynamic_shapes={"pixel_values": {0: tiles}}
    )
    with torch.no_grad():
        expected = tower(pixel_values=pixels).last_hidden_state
        found = exported.module()(pixel_values=pixels).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("keep_ratio", [1.0, 0.5])
def test_half_precision_reads_the_same(checkpoint, trained_processor, inputs, dtype, keep_ratio):
    model = MiniMonkeyForConditionalGeneration.from_pretrained(checkpoint, dtype=dtype)
    assert {weight.dtype for weight in model.parameters()} == {dtype}
    assert answer(model, trained_processor, inputs, keep_ratio=keep_ratio) == ANSWER


@pytest.mark.parametrize("keep_ratio", [1.0, 0.5])
def test_layers_that_do_not_fit_come_from_the_disk(
    checkpoint, trained_model, trained_processor, inputs, tmp_path, keep_ratio
):
    """`device_map="auto"` with 6 MB of memory for 26 MB of weights; SCM finds layers that aren't there yet."""
    places = {"device_map": "auto", "max_memory": {"cpu": "6MB"}, "offload_folder": tmp_path}
    offloaded = MiniMonkeyForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32, **places)
    assert {"cpu", "disk"} == set(offloaded.hf_device_map.values())
    assert offloaded.hf_device_map["model.language_model"] == "disk"
    options = {"max_new_tokens": 4, "keep_ratio": keep_ratio}
    assert offloaded.generate(**inputs, **options).tolist() == trained_model.generate(**inputs, **options).tolist()


@pytest.mark.parametrize("keep_ratio", [1.0, 0.5])
def test_a_second_model_proposes_tokens(checkpoint, trained_model, trained_processor, inputs, keep_ratio):
    assistant = MiniMonkeyForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    proposals = []
    assistant.register_forward_hook(lambda *_: proposals.append(1))
    assert answer(trained_model, trained_processor, inputs, keep_ratio=keep_ratio, assistant_model=assistant) == ANSWER
    assert proposals


@pytest.mark.slow
@pytest.mark.parametrize("keep_ratio", [1.0, 0.5])
def test_the_compiled_decoder_reads_the_same(trained_model, trained_processor, inputs, keep_ratio):
    settings = CompileConfig(backend="eager", fullgraph=True)
    settings._compile_all_devices = True  # else compiled only on a GPU
    torch._dynamo.reset()
    graphs = torch._dynamo.utils.counters["stats"]
    options = {"cache_implementation": "static", "compile_config": settings, "keep_ratio": keep_ratio}
    assert answer(trained_model, trained_processor, inputs, **options) == ANSWER
    assert graphs["unique_graphs"] >= 1


@pytest.mark.slow
@torch.no_grad()
def test_the_whole_model_compiles_to_one_graph(trained_model, inputs):
    torch._dynamo.reset()
    compiled = torch.compile(trained_model.forward, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(**inputs).logits, trained_model(**inputs).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("keep_ratio", [1.0, 0.5])
@pytest.mark.parametrize("quant_type", ["nf4", "fp4"])
def test_four_bit_weights_read_the_same(checkpoint, trained_processor, inputs, quant_type, keep_ratio):
    pytest.importorskip("bitsandbytes", reason="not in the everyday environment: make test-bitsandbytes")
    settings = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=quant_type, llm_int8_skip_modules=WHOLE)
    load = MiniMonkeyForConditionalGeneration.from_pretrained
    model = load(checkpoint, dtype=torch.float32, device_map="cpu", quantization_config=settings)
    kinds = {name: type(weight).__name__ for name, weight in model.named_parameters() if weight.ndim == 2}
    assert {kind for name, kind in kinds.items() if "language_model.layers" in name} == {"Params4bit"}
    assert {kind for name, kind in kinds.items() if "language_model.layers" not in name} == {"Parameter"}
    assert answer(model, trained_processor, inputs, keep_ratio=keep_ratio) == ANSWER


def test_eight_bit_weights_read_the_same(checkpoint, inputs, trained_processor, tmp_path):
    reason = "torchao writes to stderr wherever it is installed: make test-torchao"
    quantization = pytest.importorskip("torchao.quantization", reason=reason)
    settings = TorchAoConfig(quantization.Int8WeightOnlyConfig(), modules_to_not_convert=WHOLE)
    load = MiniMonkeyForConditionalGeneration.from_pretrained
    model = load(checkpoint, dtype=torch.float32, quantization_config=settings)
    model.save_pretrained(tmp_path)
    for quantized in (model, load(tmp_path)):
        kinds = {name: type(weight.data).__name__ for name, weight in quantized.named_parameters() if weight.ndim == 2}
        assert {kind for name, kind in kinds.items() if "language_model.layers" in name} == {"Int8Tensor"}
        assert {kind for name, kind in kinds.items() if "language_model.layers" not in name} == {"Tensor"}
        assert answer(quantized, trained_processor, inputs) == ANSWER
