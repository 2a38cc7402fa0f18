"""Converted checkpoints against what the published implementation computes with the originals."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor, LlamaConfig, conversion_mapping

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey import convert_minimonkey_weights_to_hf as converter
from modeling_minimonkey.convert_minimonkey_weights_to_hf import (
    SplitGroupedQKV,
    convert,
    load_original,
    load_original_processor,
)


@pytest.fixture(scope="module", params=["internlm2", "qwen2"])
def family(request, golden):
    return golden / "model" / request.param


@pytest.fixture(scope="module")
def model(family):
    return load_original(family / "checkpoint", attn_implementation="eager")


@pytest.fixture
def source(golden, tmp_path):
    """A copy of InternLM2's checkpoint that a test may change."""
    return shutil.copytree(golden / "model" / "internlm2" / "checkpoint", tmp_path / "source")


def edit_config(source, section=None, **values):
    config = json.loads((source / "config.json").read_text())
    (config if section is None else config[section]).update(values)
    (source / "config.json").write_text(json.dumps(config))


def edit_tensors(source, change):
    tensors = load_file(source / "model.safetensors")
    change(tensors)
    save_file(tensors, source / "model.safetensors")


def cases(family):
    names = [case["name"] for case in json.loads((family / "cases.json").read_text(encoding="utf-8"))["cases"]]
    return [(name, np.load(family / f"{name}.npz")) for name in names]


def same_tensors(ours, others):
    return ours.keys() == others.keys() and all(torch.equal(ours[key], others[key]) for key in ours)


def difference(ours, published):
    return np.abs(ours.detach().numpy() - published).max()


@torch.no_grad()
def test_language_model_and_features_equal_the_published_model(family, model):
    for name, truth in cases(family):
        logits = model(inputs_embeds=torch.from_numpy(truth["input_embeds"])[None]).logits[0]
        assert difference(logits, truth["logits"]) < 1e-4, name
        features = model.get_image_features(torch.from_numpy(truth["pixel_values"])).pooler_output
        features = torch.cat(list(features)).reshape(truth["vit_embeds"].shape)
        assert difference(features, truth["vit_embeds"]) < 5e-5, name


def test_model_answers_as_the_published_model(family, model):
    for name, truth in cases(family):
        input_ids = torch.from_numpy(truth["input_ids"])[None]
        inputs = {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}
        inputs["pixel_values"] = torch.from_numpy(truth["pixel_values"])
        with torch.no_grad():
            assert difference(model(**inputs).logits[0], truth["logits"]) < 2e-3, name
        generated = model.generate(**inputs, max_new_tokens=len(truth["greedy_ids"]))
        assert generated[0, input_ids.shape[1] :].tolist() == truth["greedy_ids"].tolist(), name


def test_image_and_question_give_the_published_input_and_answer(family, model, golden):
    processor = load_original_processor(family / "checkpoint")
    for case in json.loads((family / "cases.json").read_text(encoding="utf-8"))["cases"]:
        truth = np.load(family / f"{case['name']}.npz")
        with Image.open(golden / case["image"]) as image:
            question = case["question"].removeprefix("<image>\n")
            content = [{"type": "image"}, {"type": "text", "text": question}]
            prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
            order = ("detailed", "adaptive", "global")
            inputs = processor(
                images=image,
                text=prompt,
                pyramid=case["setting"].removeprefix("eval_"),
                tile_order=order if case["order"] == "eval" else ("adaptive", "detailed", "global"),
                published_preprocessing=True,
                return_tensors="pt",
            )
        assert inputs["input_ids"][0].tolist() == truth["input_ids"].tolist(), case["name"]
        assert difference(inputs["pixel_values"], truth["pixel_values"]) < 1e-6, case["name"]
        generated = model.generate(**inputs, max_new_tokens=len(truth["greedy_ids"]))
        assert generated[0, inputs["input_ids"].shape[1] :].tolist() == truth["greedy_ids"].tolist(), case["name"]


def test_dynamic_rope_scaling_is_converted(source, golden):
    edit_config(source, "llm_config", max_position_embeddings=64)
    model = load_original(source, attn_implementation="eager")
    assert model.config.text_config.rope_parameters["rope_type"] == "dynamic"
    recorded = json.loads((golden / "model" / "internlm2" / "cases.json").read_text(encoding="utf-8"))["extra"]["ntk"]
    case = np.load(golden / "model" / "internlm2" / f"{recorded['case']}.npz")
    truth = np.load(golden / "model" / "internlm2" / "extra.npz")
    with torch.no_grad():
        logits = model(inputs_embeds=torch.from_numpy(case["input_embeds"])[None]).logits[0]
    assert difference(logits, truth["ntk.logits"]) < 2e-3
    assert difference(logits, case["logits"]) > 0.1  # scaling matters at this length


def test_wqkv_is_split_as_a_loop_over_its_heads_splits_it():
    config = LlamaConfig(hidden_size=12, num_attention_heads=6, num_key_value_heads=2)
    packed = torch.randn(2 * (3 + 2) * 2, 12)  # 2 key-value heads, 3 query heads each, 2 values per head
    query, key, value, row = [], [], [], 0
    for _ in range(2):
        for heads, part in ((3, query), (1, key), (1, value)):
            for _ in range(heads * 2):
                part.append(packed[row])
                row += 1
    names = ["q_proj", "k_proj", "v_proj"]
    split = SplitGroupedQKV().convert({"wqkv": [packed]}, ["wqkv"], names, config=config)
    for name, rows in zip(names, (query, key, value), strict=True):
        assert torch.equal(split[name], torch.stack(rows))
    merged = SplitGroupedQKV().reverse_op.convert(dict(split), names, ["wqkv"], config=config)
    assert torch.equal(merged["wqkv"], packed)


def test_no_value_of_the_source_is_lost(family, model, tmp_path):
    """Written back under the original names, every tensor is there, bit by bit."""
    checkpoint = converter.read_checkpoint(family / "checkpoint")
    mapping = converter.vision_and_projector_weights() + checkpoint.family.weights()
    fresh = MiniMonkeyForConditionalGeneration(model.config)
    fresh.load_state_dict(model.state_dict())
    with converter.original_names(mapping):
        fresh.save_pretrained(tmp_path)
    source, written = (load_file(folder / "model.safetensors") for folder in (family / "checkpoint", tmp_path))
    assert same_tensors(written, source)


def test_a_converted_model_saves_and_loads_under_our_names(model, tmp_path):
    assert not conversion_mapping.USER_REGISTERED_MAPPINGS
    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert set(file.keys()) == set(model.state_dict())
    again, info = MiniMonkeyForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert same_tensors(again.state_dict(), model.state_dict())


def test_the_mapping_is_gone_after_an_error():
    with pytest.raises(KeyboardInterrupt), converter.original_names(converter.qwen2_weights()):
        raise KeyboardInterrupt
    assert conversion_mapping.get_checkpoint_conversion_mapping("minimonkey") is None
    assert not conversion_mapping.USER_REGISTERED_MAPPINGS


def test_convert_writes_a_complete_folder(family, model, tmp_path):
    target = tmp_path / "made" / "on the way"
    convert(family / "checkpoint", target)
    assert [path.name for path in target.parent.iterdir()] == [target.name]  # nothing unfinished is left
    names = {path.name for path in target.iterdir()}
    assert names >= {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "processor_config.json",
        "chat_template.jinja",
        "tokenizer.json",
        "tokenizer_config.json",
        "configuration_minimonkey.py",
        "modeling_minimonkey.py",
        "image_processing_minimonkey.py",
        "processing_minimonkey.py",
    }
    assert not [name for name in names if name.startswith("convert_")]
    for path in target.glob("*.json"):
        assert str(tmp_path) not in path.read_text() and str(family) not in path.read_text(), path

    loaded = AutoModelForImageTextToText.from_pretrained(target)
    assert same_tensors(loaded.state_dict(), model.state_dict())
    processor = AutoProcessor.from_pretrained(target)
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert loaded.generation_config.eos_token_id == end
    assert loaded.generation_config.pad_token_id == processor.tokenizer.pad_token_id
    assert processor.image_seq_length == loaded.config.image_seq_length == 4
    assert processor.image_token_id == loaded.config.image_token_id
    assert processor.image_processor.size["height"] == 56


def test_tied_embeddings_need_no_output_layer(golden, tmp_path):
    source = shutil.copytree(golden / "model" / "qwen2" / "checkpoint", tmp_path / "source")
    edit_tensors(source, lambda tensors: tensors.pop("language_model.lm_head.weight"))
    with pytest.raises(ValueError, match=re.escape("no key gives a value: ['lm_head.weight']")):
        load_original(source)
    edit_config(source, "llm_config", tie_word_embeddings=True)
    model = load_original(source)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert torch.equal(
        model.lm_head.weight, load_file(source / "model.safetensors")["language_model.model.embed_tokens.weight"]
    )


def test_sharded_checkpoints_convert_to_the_same(source):
    expected = {name: tensor.clone() for name, tensor in load_original(source).state_dict().items()}
    tensors = load_file(source / "model.safetensors")
    (source / "model.safetensors").unlink()
    weight_map = {key: f"model-0000{1 + (len(key) % 2)}-of-00002.safetensors" for key in tensors}
    for name in set(weight_map.values()):
        save_file({key: tensor for key, tensor in tensors.items() if weight_map[key] == name}, source / name)
    (source / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert same_tensors(load_original(source).state_dict(), expected)


def test_dtype_is_that_of_the_file(source):
    edit_tensors(source, lambda tensors: tensors.update({key: value.bfloat16() for key, value in tensors.items()}))
    assert load_original(source).dtype == torch.bfloat16
    assert load_original(source, dtype=torch.float32, device_map="cpu").dtype == torch.float32
    edit_tensors(source, lambda tensors: tensors.update({"mlp1.0.bias": tensors["mlp1.0.bias"].float()}))
    assert load_original(source).dtype == torch.float32


def test_hub_repositories_are_downloaded_without_code_and_pickles(golden, monkeypatch):
    asked = {}

    def snapshot_download(repo_id, revision, allow_patterns):
        asked.update(repo_id=repo_id, revision=revision, allow_patterns=allow_patterns)
        return golden / "model" / "qwen2" / "checkpoint"

    monkeypatch.setattr(converter, "snapshot_download", snapshot_download)
    assert load_original("someone/MiniMonkey", revision="main").config.text_config.model_type == "qwen2"
    assert (asked["repo_id"], asked["revision"]) == ("someone/MiniMonkey", "main")
    assert not any(pattern.endswith((".py", ".bin", "*")) for pattern in asked["allow_patterns"])


QKV = "language_model.model.layers.2.attention.wqkv.weight"


@pytest.mark.parametrize(
    "change, named",
    [
        (lambda t: t.pop("vision_model.encoder.layers.1.ls2"), ["vision_tower.encoder.layer.1.lambda_2"]),
        (lambda t: t.pop(QKV), [f"model.language_model.layers.2.self_attn.{name}_proj.weight" for name in "qkv"]),
        (lambda t: t.update({"mlp1.4.weight": torch.zeros(2), "loss": torch.zeros(1)}), ["mlp1.4.weight", "loss"]),
        (lambda t: t.update({"language_model.model.layers.9.attention.wqkv.weight": t[QKV].clone()}), ["layers.9"]),
        (lambda t: t.update({QKV: t[QKV][:-16].clone()}), [QKV, "(112, 64), expected (128, 64)"]),
        (lambda t: t.update({"mlp1.1.weight": t["mlp1.1.weight"].T.contiguous()}), ["mlp1.1.weight", "(128, 64)"]),
        (
            lambda t: t.update({"language_model.lm_head.weight": t["language_model.output.weight"].clone()}),
            ["language_model.lm_head.weight"],
        ),
        (
            lambda t: t.update({"model.language_model.norm.weight": torch.zeros(64)}),
            ["language_model.model.norm.weight and model.language_model.norm.weight"],
        ),
        (lambda t: t["mlp1.0.bias"].fill_(torch.nan), ["not finite", "model.multi_modal_projector.layer_norm.bias"]),
    ],
    ids=["missing", "missing_qkv", "unexpected", "layer_more", "rows", "transposed", "other_family", "twice", "nan"],
)
def test_keys_that_do_not_fit_are_named_and_nothing_is_written(source, tmp_path, change, named):
    edit_tensors(source, change)
    with pytest.raises(ValueError) as error:
        convert(source, tmp_path / "target")
    assert all(name in str(error.value) for name in named), str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize(
    "section, values, message",
    [
        (None, {"model_type": "llava"}, "'llava' as `model_type` in config.json, it must be one of ['internvl_chat']"),
        (None, {"ps_version": "v1"}, "'v1' as `ps_version` in config.json, it must be one of ['v2']"),
        (None, {"template": "phi3-chat"}, "must be one of ['Hermes-2', 'internlm2-chat']"),
        (None, {"force_image_size": 112}, "`force_image_size` 112"),
        (
            "llm_config",
            {"model_type": "phi3"},
            "'phi3' as `model_type` in llm_config, it must be one of ['internlm2',",
        ),
        ("llm_config", {"rope_scaling": {"type": "yarn", "factor": 2.0}}, "'yarn' as `type`"),
    ],
)
def test_checkpoints_of_another_kind_are_refused(source, tmp_path, section, values, message):
    edit_config(source, section, **values)
    with pytest.raises(ValueError, match=re.escape(message)):
        convert(source, tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_incomplete_and_mistyped_configs_are_refused(source):
    config = json.loads((source / "config.json").read_text())
    del config["llm_config"]["rms_norm_eps"], config["llm_config"]["rope_theta"]
    (source / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=re.escape("no ['rms_norm_eps', 'rope_theta'] in llm_config")):
        load_original(source)
    edit_config(source, "llm_config", rms_norm_eps=1e-5, rope_theta=1e6, num_hidden_layers="4")
    with pytest.raises(StrictDataclassError, match="num_hidden_layers"):
        load_original(source)
    (source / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="config.json"):
        load_original(source)


def test_pickles_are_refused(source):
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"neither model.safetensors .*pytorch_model.bin.* are refused"):
        load_original(source)


def test_damaged_files_are_refused(source):
    whole = (source / "model.safetensors").read_bytes()
    for damaged in (b"", whole[:-1], (2**62).to_bytes(8, "little") + whole[8:]):
        (source / "model.safetensors").write_bytes(damaged)
        with pytest.raises(ValueError, match="unreadable file model.safetensors"):
            load_original(source)


def test_an_index_must_fit_its_files(source):
    tensors = load_file(source / "model.safetensors")
    (source / "model.safetensors").rename(source / "model-1.safetensors")
    weight_map = dict.fromkeys(tensors, "model-1.safetensors")

    def load(weight_map):
        (source / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
        return load_original(source)

    load(weight_map)
    with pytest.raises(ValueError, match=re.escape("beside it, got ['../model-1.safetensors']")):
        load(dict.fromkeys(tensors, "../model-1.safetensors"))
    with pytest.raises(ValueError, match=re.escape("differ in ['loss']")):
        load(weight_map | {"loss": "model-1.safetensors"})
    with pytest.raises(ValueError, match="unreadable file model-2.safetensors"):
        load(weight_map | {"loss": "model-2.safetensors"})
    save_file({"mlp1.0.bias": tensors["mlp1.0.bias"]}, source / "model-2.safetensors")
    with pytest.raises(ValueError, match=re.escape("more than one file: ['mlp1.0.bias']")):
        load(weight_map | {"mlp1.0.bias": "model-2.safetensors"})


def test_an_existing_target_is_left_alone(source, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(FileExistsError, match="target"):
        convert(source, target)
    assert not list(target.iterdir())


# Not `resource.getrusage`, whose maximum starts at that of the parent process.
PEAK = """
import sys
from modeling_minimonkey.convert_minimonkey_weights_to_hf import convert
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
before = peak()
convert(*sys.argv[1:])
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak memory from /proc")
def test_the_model_is_never_in_memory_twice(source, tmp_path, repository):
    layers, width = 12, 768
    edit_config(
        source,
        "llm_config",
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=4,
    )

    def enlarge(tensors):
        for key in list(tensors):
            if key.startswith("language_model.model.layers."):
                tensor = tensors.pop(key)
                number, name = key.removeprefix("language_model.model.layers.").split(".", 1)
                for layer in range(int(number), layers, 4):
                    shape = [size * width // 64 for size in tensor.shape]
                    tensors[f"language_model.model.layers.{layer}.{name}"] = torch.full(shape, float(layer))
            elif key.startswith("language_model."):
                tensors[key] = torch.ones([*tensors[key].shape[:-1], width])
        tensors |= {"mlp1.1.weight": torch.ones(width, 128), "mlp1.1.bias": torch.ones(width)}
        tensors |= {"mlp1.3.weight": torch.ones(width, width), "mlp1.3.bias": torch.ones(width)}

    edit_tensors(source, enlarge)
    size = (source / "model.safetensors").stat().st_size
    assert size > 200_000_000
    command = [sys.executable, "-c", PEAK, str(source), str(tmp_path / "target")]
    peak = int(subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout)
    assert peak < 1.6 * size
