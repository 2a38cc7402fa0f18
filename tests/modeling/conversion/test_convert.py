"""Converted checkpoints against what the published implementation computes with the originals."""

import functools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import normalizers
from transformers import AutoModelForImageTextToText, AutoProcessor, conversion_mapping

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.conversion import convert as converter
from modeling_minimonkey.conversion.convert import (
    convert,
    describe_logits,
    load_original,
    load_original_processor,
    revert,
)
from modeling_minimonkey.convert_minimonkey_weights_to_hf import main
from tests.modeling.conversion.checkpoint_edits import edit_config, edit_tensors, read_tensors, same_tensors
from tests.recorded import PILLOW_RESIZES_AS_RECORDED, read_arrays, read_case, read_cases, read_json


@pytest.fixture(scope="module", params=["internlm2", "qwen2"])
def family(request, golden):
    return golden / "model" / request.param


@pytest.fixture(scope="module")
def model(family):
    return load_original(family / "checkpoint", attn_implementation="eager")


def cases(family):
    return [(name, read_case(family, name)) for name in read_cases(family)]


def difference(ours, published):
    return np.abs(ours.detach().numpy() - published).max()


@torch.no_grad()
def test_language_model_and_features_equal_the_published_model(family, model):
    for name, truth in cases(family):
        logits = model(inputs_embeds=torch.from_numpy(truth["input_embeds"])[None]).logits[0]
        assert difference(logits[truth["logits_positions"]], truth["logits"]) < 1e-4, name
        features = model.get_image_features(torch.from_numpy(truth["pixel_values"])).pooler_output
        features = torch.cat(list(features)).reshape(truth["vit_embeds"].shape)
        assert difference(features, truth["vit_embeds"]) < 5e-5, name


def test_model_answers_as_the_published_model(family, model):
    for name, truth in cases(family):
        input_ids = torch.from_numpy(truth["input_ids"])[None]
        inputs = {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}
        inputs["pixel_values"] = torch.from_numpy(truth["pixel_values"])
        with torch.no_grad():
            logits = model(**inputs).logits[0, truth["logits_positions"]]
        assert difference(logits, truth["logits"]) < 2e-3, name
        generated = model.generate(**inputs, max_new_tokens=len(truth["greedy_ids"]))
        assert generated[0, input_ids.shape[1] :].tolist() == truth["greedy_ids"].tolist(), name


def test_image_and_question_give_the_published_input_and_answer(family, model, golden):
    # Recorded with Pillow 13; releases before it round some pixels of these images to the next gray level
    tolerance = 1e-6 if PILLOW_RESIZES_AS_RECORDED else 1.01 / 255 / 0.224
    processor = load_original_processor(family / "checkpoint")
    for name, case in read_cases(family).items():
        truth = read_case(family, name)
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
        assert inputs["input_ids"][0].tolist() == truth["input_ids"].tolist(), name
        assert difference(inputs["pixel_values"], truth["pixel_values"]) < tolerance, name
        generated = model.generate(**inputs, max_new_tokens=len(truth["greedy_ids"]))
        assert generated[0, inputs["input_ids"].shape[1] :].tolist() == truth["greedy_ids"].tolist(), name


def test_dynamic_rope_scaling_is_converted(source, golden):
    edit_config(source, "llm_config", max_position_embeddings=64)
    model = load_original(source, attn_implementation="eager")
    assert model.config.text_config.rope_parameters["rope_type"] == "dynamic"
    folder = golden / "model" / "internlm2"
    case = read_case(folder, read_json(folder / "cases.json")["extra"]["ntk"]["case"])
    truth = read_arrays(folder / "extra.npz")
    with torch.no_grad():
        logits = model(inputs_embeds=torch.from_numpy(case["input_embeds"])[None]).logits[0]
    assert difference(logits[truth["ntk.logits_positions"]], truth["ntk.logits"]) < 2e-3
    assert difference(logits[case["logits_positions"]], case["logits"]) > 0.1  # scaling matters at this length


def test_a_converted_model_saves_and_loads_under_our_names(model, tmp_path):
    assert not conversion_mapping.USER_REGISTERED_MAPPINGS
    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert set(file.keys()) == set(model.state_dict())
    again, info = MiniMonkeyForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert same_tensors(again.state_dict(), model.state_dict())


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
    with pytest.raises(ValueError, match=re.escape("missing: ['language_model.lm_head.weight']")):
        load_original(source)
    edit_config(source, "llm_config", tie_word_embeddings=True)
    model = load_original(source)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert torch.equal(
        model.lm_head.weight, load_file(source / "model.safetensors")["language_model.model.embed_tokens.weight"]
    )
    embedding = read_tensors(source)["language_model.model.embed_tokens.weight"]
    edit_tensors(source, lambda tensors: tensors.update({"language_model.lm_head.weight": embedding.clone()}))
    assert same_tensors(load_original(source).state_dict(), model.state_dict())
    edit_tensors(source, lambda tensors: tensors["language_model.lm_head.weight"][3, 2].add_(1))
    with pytest.raises(ValueError, match="different values in lm_head.weight and model.language_model.embed_tokens"):
        load_original(source)


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


@pytest.mark.parametrize("shards", [1, 3])
def test_the_way_back_is_bit_identical(family, tmp_path, shards):
    source = shutil.copytree(family / "checkpoint", tmp_path / "source")

    def mix(tensors):  # values that a cast on the way would round
        for position, key in enumerate(tensors):
            if position % 2:
                tensors[key] = tensors[key].bfloat16()

    edit_tensors(source, mix)
    size = (source / "model.safetensors").stat().st_size // shards + 10_000
    convert(source, tmp_path / "ours", max_shard_size=size)
    assert (len(list((tmp_path / "ours").glob("*.safetensors"))) > 1) == (shards > 1)
    revert(tmp_path / "ours", tmp_path / "back", max_shard_size=size)
    assert same_tensors(read_tensors(tmp_path / "back"), read_tensors(source))
    convert(tmp_path / "back", tmp_path / "again", max_shard_size=size)
    assert [path.name for path in sorted((tmp_path / "again").iterdir())] == [
        path.name for path in sorted((tmp_path / "ours").iterdir())
    ]
    files = {path.relative_to(tmp_path / "ours") for path in (tmp_path / "ours").rglob("*") if path.is_file()}
    for file in files - {Path("original", "config.json")}:  # which names the dtype
        assert (tmp_path / "ours" / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file


def test_a_fine_tuned_model_goes_back_with_the_files_of_its_original(family, model, tmp_path):
    original = shutil.copytree(family / "checkpoint", tmp_path / "original")
    (original / "modeling_internvl_chat.py").write_text("raise RuntimeError('the code of an original is not run')")
    edit_config(original, use_llm_lora=16)
    tuned = MiniMonkeyForConditionalGeneration(model.config)
    tuned.load_state_dict({name: tensor + 0.01 for name, tensor in model.state_dict().items()})
    tuned.save_pretrained(tmp_path / "tuned")
    revert(tmp_path / "tuned", tmp_path / "back", original=original)
    assert same_tensors(load_original(tmp_path / "back").state_dict(), tuned.state_dict())
    for path in original.iterdir():
        if path.suffix != ".safetensors" and path.name != "config.json":
            assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes()
    before, after = (json.loads((folder / "config.json").read_text()) for folder in (original, tmp_path / "back"))
    assert after == before | {"use_llm_lora": 0}

    revert(tmp_path / "tuned", tmp_path / "bare")  # what `save_pretrained` left behind can be added later
    assert sorted(path.name for path in (tmp_path / "bare").iterdir()) == ["config.json", "model.safetensors"]
    for path in original.iterdir():
        if not (tmp_path / "bare" / path.name).exists():
            shutil.copy(path, tmp_path / "bare")
    assert same_tensors(load_original(tmp_path / "bare").state_dict(), tuned.state_dict())
    edit_config(original, "llm_config", rope_theta=12345.0)
    with pytest.raises(ValueError, match="rope_theta.*12345"):
        revert(tmp_path / "tuned", tmp_path / "other", original=original)


def test_only_converted_models_go_back(source, tmp_path):
    with pytest.raises(ValueError, match="'internvl_chat' as `model_type` in config.json, it must be 'minimonkey'"):
        revert(source, tmp_path / "back")
    convert(source, tmp_path / "ours")
    edit_config(tmp_path / "ours", original_format=None)
    with pytest.raises(ValueError, match="not converted from an original checkpoint"):
        revert(tmp_path / "ours", tmp_path / "back")
    edit_tensors(tmp_path / "ours", lambda tensors: tensors.pop("lm_head.weight"))
    with pytest.raises(ValueError, match=re.escape("missing: ['lm_head.weight']")):
        revert(tmp_path / "ours", tmp_path / "back")
    (tmp_path / "ours" / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="config.json"):
        revert(tmp_path / "ours", tmp_path / "back")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "source"]


def test_the_folder_is_the_one_that_save_pretrained_writes(family, tmp_path):
    convert(family / "checkpoint", tmp_path / "converted")
    load_original(family / "checkpoint").save_pretrained(tmp_path / "saved")
    load_original_processor(family / "checkpoint").save_pretrained(tmp_path / "saved")
    files = [{path.name for path in (tmp_path / folder).iterdir()} for folder in ("converted", "saved")]
    assert files[0] >= files[1]
    for name in files[1] - {"model.safetensors"}:
        assert (tmp_path / "converted" / name).read_bytes() == (tmp_path / "saved" / name).read_bytes(), name
    assert same_tensors(*(read_tensors(tmp_path / folder) for folder in ("converted", "saved")))


QKV = "language_model.model.layers.2.attention.wqkv.weight"


@pytest.mark.parametrize(
    "change, named",
    [
        (lambda t: t.pop("vision_model.encoder.layers.1.ls2"), ["missing: ['vision_model.encoder.layers.1.ls2']"]),
        (lambda t: t.pop(QKV), [f"missing: ['{QKV}']"]),
        (lambda t: t.update({"mlp1.4.weight": torch.zeros(2), "loss": torch.zeros(1)}), ["['loss', 'mlp1.4.weight']"]),
        (lambda t: t.update({"language_model.model.layers.9.attention.wqkv.weight": t[QKV].clone()}), ["layers.9"]),
        (lambda t: t.update({QKV: t[QKV][:-16].clone()}), [QKV, "(112, 64), expected (128, 64)"]),
        (lambda t: t.update({"mlp1.1.weight": t["mlp1.1.weight"].T.contiguous()}), ["mlp1.1.weight", "(128, 64)"]),
        (
            lambda t: t.update({"language_model.lm_head.weight": t["language_model.output.weight"].clone()}),
            ["no place in the model: ['language_model.lm_head.weight']"],
        ),
        (
            lambda t: t.update({"model.language_model.norm.weight": torch.zeros(64)}),
            ["no place in the model: ['model.language_model.norm.weight']"],
        ),
        (lambda t: t["mlp1.0.bias"].fill_(torch.nan), ["not finite", "model.multi_modal_projector.layer_norm.bias"]),
        (lambda t: t.update({"mlp1.0.bias": torch.zeros(128).char()}), ["{'mlp1.0.bias': 'I8'}"]),
    ],
    ids=[
        "missing",
        "missing_qkv",
        "unexpected",
        "layer_more",
        "rows",
        "transposed",
        "other_family",
        "ours",
        "nan",
        "int8",
    ],
)
def test_keys_that_do_not_fit_are_named_and_nothing_is_written(source, tmp_path, change, named):
    edit_tensors(source, change)
    with pytest.raises(ValueError) as error:
        convert(source, tmp_path / "target")
    assert all(name in str(error.value) for name in named), str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize(
    "change, named",
    [
        (lambda source: edit_config(source, ps_version="v1"), "ps_version"),
        (lambda source: edit_config(source, "llm_config", intermediate_size=96), "layers.0.feed_forward.w1.weight"),
        (lambda source: edit_config(source, "vision_config", image_size=112), "force_image_size"),
        (lambda source: (source / "tokenizer.model").unlink(), "tokenizer"),
        (lambda source: (source / "tokenizer_config.json").unlink(), "tokenizer_config.json"),
        (lambda source: (source / "config.json").write_text("{"), "config.json"),
        (lambda source: (source / "model.safetensors").write_bytes(b"12345678"), "model.safetensors"),
        (lambda source: (source / "model.safetensors").unlink(), "model.safetensors"),
    ],
)
def test_whatever_is_wrong_with_a_folder_is_named_and_nothing_is_written(source, tmp_path, change, named):
    change(source)
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(named)):
        convert(source, tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_buffers_of_older_files_are_ignored(source):
    expected = {name: tensor.clone() for name, tensor in load_original(source).state_dict().items()}
    edit_tensors(
        source, lambda t: t.update({"language_model.model.layers.0.attention.rotary_emb.inv_freq": torch.ones(8)})
    )
    assert same_tensors(load_original(source).state_dict(), expected)


def test_an_existing_target_is_left_alone(source, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "mine.txt").touch()
    with pytest.raises(FileExistsError, match="target"):
        convert(source, target)
    assert [path.name for path in target.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_run_leaves_nothing_and_can_be_repeated(source, tmp_path, monkeypatch, error):
    write = converter.write_tensors

    def stop(*arguments):
        write(*arguments)
        raise error

    monkeypatch.setattr(converter, "write_tensors", stop)
    with pytest.raises(error):
        convert(source, tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    monkeypatch.undo()
    convert(source, tmp_path / "target")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_what_a_killed_run_left_is_removed(source, tmp_path):
    unfinished = tmp_path / ".target.unfinished"
    unfinished.mkdir()
    (unfinished / "model.safetensors").write_bytes(b"half")
    (tmp_path / ".target.lock").touch()
    convert(source, tmp_path / "target")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_two_runs_do_not_write_the_same_target(source, tmp_path):
    with converter._written_beside(tmp_path / "target") as folder:
        with pytest.raises(RuntimeError, match="target.* is being written by another process"):
            convert(source, tmp_path / "target")
        (folder / "mine").touch()
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["mine"]


def test_a_full_disk_is_seen_before_writing(source, tmp_path, monkeypatch):
    monkeypatch.setattr(converter.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(OSError, match="needs 1.1 MB, but its disk has 1.0 KB left"):
        convert(source, tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def run_main(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["convert_minimonkey_weights_to_hf", *map(str, arguments)])
    main()
    return capsys.readouterr()


def test_the_command_converts_verifies_and_goes_back(source, tmp_path, monkeypatch, capsys):
    ours, back = tmp_path / "ours", tmp_path / "back"
    run = functools.partial(run_main, monkeypatch, capsys)
    shown = run(source, ours, "--dtype", "bfloat16", "--max-shard-size", "200KB", "--verify")
    loaded = MiniMonkeyForConditionalGeneration.from_pretrained(ours)
    assert loaded.dtype == torch.bfloat16
    assert len(list(ours.glob("*.safetensors"))) > 1
    described, verdict, next_step = shown.out.splitlines()
    assert described == describe_logits(loaded, AutoProcessor.from_pretrained(ours))
    assert verdict.startswith("OK: ids and logits agree") and str(ours) in next_step
    assert "B/s" in shown.err  # the progress bar counts bytes
    assert run("--reverse", "--verify", ours, back).out.splitlines()[0] == described
    rounded = {key: value.bfloat16() for key, value in read_tensors(source).items()}
    assert same_tensors(read_tensors(back), rounded)
    with pytest.raises(SystemExit, match="^error: `target` .* exists already"):
        run(source, ours)
    with pytest.raises(SystemExit, match="2"):
        run(source, tmp_path / "other", "--original", source)


def test_verify_doesnt_mind_where_files_put_the_weights(family, tmp_path):
    """In float32 products round differently at addresses that are no multiple of 64, as of mapped files."""
    assert "sha256" in convert(family / "checkpoint", tmp_path / "target", verify=True)


def test_verify_sees_a_wrong_result(source, tmp_path, monkeypatch):
    def write_damaged(folder, tensors, *arguments):
        write(folder, tensors | {"lm_head.weight": tensors["model.language_model.embed_tokens.weight"]}, *arguments)

    write = converter.write_tensors
    monkeypatch.setattr(converter, "write_tensors", write_damaged)
    with pytest.raises(RuntimeError, match="different logits"):
        convert(source, tmp_path / "target", verify=True)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_verify_sees_wrong_ids(source, tmp_path, monkeypatch):
    def load_with_a_prefix(*arguments):
        tokenizer = load(*arguments)
        backend = tokenizer.backend_tokenizer
        backend.normalizer = normalizers.Sequence([backend.normalizer, normalizers.Prepend("▁")])
        return tokenizer

    convert(source, tmp_path / "ours")
    load = converter.load_original_tokenizer
    monkeypatch.setattr(converter, "load_original_tokenizer", load_with_a_prefix)
    with pytest.raises(RuntimeError, match=r"gives ' ' the ids \[1, \d+, \d+\], that of `source` \[1, \d+\]"):
        convert(source, tmp_path / "target", verify=True)
    with pytest.raises(RuntimeError, match="gives ' ' the ids"):
        revert(tmp_path / "ours", tmp_path / "back", verify=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "source"]


# Not `resource.getrusage`, whose maximum starts at that of the parent process. The first conversion fills the caches.
PEAK = """
import sys
from modeling_minimonkey.conversion.convert import convert
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
small, source, target = sys.argv[1:]
convert(small, target + "-small", max_shard_size="100KB")
before = peak()
convert(source, target, max_shard_size="1GB")
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak memory from /proc")
def test_memory_holds_less_than_one_shard(source, golden, tmp_path, repository):
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
    tensors = load_file(source / "model.safetensors")
    (source / "model.safetensors").unlink()
    weight_map = {
        key: f"model-{position * 4 // len(tensors)}.safetensors" for position, key in enumerate(sorted(tensors))
    }
    for name in set(weight_map.values()):
        save_file({key: tensor for key, tensor in tensors.items() if weight_map[key] == name}, source / name)
    (source / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    shard = max(path.stat().st_size for path in source.glob("*.safetensors"))
    assert sum(path.stat().st_size for path in source.glob("*.safetensors")) > 200_000_000 and shard > 50_000_000
    small = golden / "model" / "internlm2" / "checkpoint"
    command = [sys.executable, "-c", PEAK, str(small), str(source), str(tmp_path / "target")]
    peak = int(subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout)
    assert peak < 0.5 * shard
