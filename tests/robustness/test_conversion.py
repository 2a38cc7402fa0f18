"""Conversion: folders that are no checkpoint, damaged ones, and targets that can't be written."""

import errno
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from modeling_minimonkey.conversion import convert as converter
from modeling_minimonkey.conversion.convert import convert, load_original, revert
from modeling_minimonkey.conversion.weight_files import MOST_JSON_BYTES
from modeling_minimonkey.convert_minimonkey_weights_to_hf import main
from tests.modeling.conversion.checkpoint_edits import edit_config, edit_tensors
from tests.robustness.cases import cases, refused


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 12345\n"
QKV = "language_model.model.layers.2.attention.wqkv.weight"
HUGE = 10**9


@pytest.fixture
def source(golden, tmp_path) -> Path:
    """A copy of InternLM2's original checkpoint that a test may change."""
    return shutil.copytree(golden / "model" / "internlm2" / "checkpoint", tmp_path / "source")


@pytest.fixture
def nothing_written(monkeypatch):
    """What is refused is refused before weights are written."""
    monkeypatch.setattr(converter, "write_tensors", lambda *arguments: pytest.fail("weights were written"))


def changed(source: Path, change) -> None:
    change(source)
    try:
        convert(source, source.parent / "target")
    finally:
        assert [path.name for path in source.parent.iterdir()] == ["source"]  # nothing is left behind


def file(tried: str, words: str, change, error: type[Exception] = ValueError):
    return refused(tried, lambda source: changed(source, change), words, error)


def setting(where: str, name: str, value, words: str):
    section = None if where == "config.json" else where
    return file(f"{where}: {name} {value!r:.40}", words, lambda source: edit_config(source, section, **{name: value}))


def rewritten(name: str, content: str | bytes):
    write = Path.write_bytes if isinstance(content, bytes) else Path.write_text
    return lambda source: write(source / name, content)


def sharded(places: dict | None):
    def change(source: Path) -> None:
        (source / "model.safetensors").rename(source / "part.safetensors")
        index = {} if places is None else {"weight_map": places}
        (source / "model.safetensors.index.json").write_text(json.dumps(index))

    return change


@cases(
    [
        setting("llm_config", "hidden_size", "64", "`llm_config.hidden_size` must be a whole number, got str: '64'"),
        setting("llm_config", "hidden_size", True, "`llm_config.hidden_size` must be a whole number, got bool"),
        setting("llm_config", "hidden_size", 0, "`llm_config.hidden_size` must be from 1"),
        setting("llm_config", "hidden_size", -64, "`llm_config.hidden_size` must be from 1"),
        setting("llm_config", "hidden_size", None, "`llm_config.hidden_size` must be a number, got None"),
        setting("llm_config", "hidden_size", [64], "`llm_config.hidden_size` must be a number, got [64]"),
        setting("llm_config", "hidden_size", 64.5, "`llm_config.hidden_size` must be a whole number"),
        setting("llm_config", "hidden_size", float("nan"), "`llm_config.hidden_size` must be a number, got nan"),
        setting("llm_config", "num_hidden_layers", HUGE, "`llm_config.num_hidden_layers` must be from 1 to 2,000"),
        setting("llm_config", "num_hidden_layers", 2000, "layers in its config.json, but only"),
        setting("llm_config", "num_attention_heads", 0, "`llm_config.num_attention_heads` must be from 1"),
        setting("llm_config", "num_key_value_heads", 3, "not a multiple of `num_key_value_heads` 3"),
        setting("llm_config", "vocab_size", 10**12, "`llm_config.vocab_size` must be from 1"),
        setting("llm_config", "max_position_embeddings", "x" * 10**6, "`llm_config.max_position_embeddings`"),
        setting("llm_config", "rope_theta", "1e6", "`llm_config.rope_theta` must be a number"),
        setting("llm_config", "rope_theta", 0, "`llm_config.rope_theta` must be from 0.001"),
        setting("llm_config", "rope_scaling", 2, "`llm_config.rope_scaling` must be an object"),
        setting("llm_config", "rope_scaling", {"type": "evil"}, "'evil' as `type`"),
        setting("llm_config", "rope_scaling", {"type": "dynamic", "factor": "2"}, "`llm_config.rope_scaling.factor`"),
        setting("llm_config", "rms_norm_eps", float("inf"), "`llm_config.rms_norm_eps` must be from 0 to 1"),
        setting("llm_config", "hidden_act", "exec", "`llm_config.hidden_act` must be the name of an activation"),
        setting("llm_config", "tie_word_embeddings", "no", "`llm_config.tie_word_embeddings` must be true or false"),
        setting("llm_config", "eos_token_id", "2", "`llm_config.eos_token_id` must be a whole number"),
        setting("llm_config", "model_type", ["internlm2"], "as `model_type` in llm_config, it must be one of"),
        setting("llm_config", "bias", "no", "attention_bias"),
        setting("vision_config", "image_size", [56], "`vision_config.image_size` must be a number"),
        setting("vision_config", "patch_size", 0, "`vision_config.patch_size` must be from 1"),
        setting("vision_config", "num_hidden_layers", HUGE, "`vision_config.num_hidden_layers` must be from 1 to"),
        setting("vision_config", "qkv_bias", 1, "`vision_config.qkv_bias` must be true or false"),
        setting("vision_config", "norm_type", ["x"], "norm_type"),
        setting("config.json", "downsample_ratio", "0.5", "`downsample_ratio` must be a number"),
        setting("config.json", "downsample_ratio", 0, "`downsample_ratio` must be from 0.001 to 1"),
        setting("config.json", "downsample_ratio", 1e300, "`downsample_ratio` must be from 0.001 to 1"),
        setting("config.json", "select_layer", True, "`select_layer` True, it must be from 1"),
        setting("config.json", "select_layer", HUGE, "`select_layer` 1000000000, it must be from 1"),
        setting("config.json", "force_image_size", "56", "`force_image_size` must be a whole number"),
        setting("config.json", "use_llm_lora", "16", "`use_llm_lora` must be a whole number"),
        setting("config.json", "template", "x" * 10**6, "(1000000 characters) as `template`"),
        setting("config.json", "llm_config", "internlm2", "'internlm2' as `llm_config` in config.json, it must be an"),
        setting("config.json", "ps_version", ["v2"], "['v2'] as `ps_version`"),
        file("config.json: a list", "must hold an object, got list", rewritten("config.json", "[1]")),
        file("config.json: not UTF-8", "config.json is not a JSON file", rewritten("config.json", b'{"a": "\xff"}')),
        file("config.json: with a mark of UTF-16", "is not a JSON file", rewritten("config.json", b"\xff\xfe{\x00")),
        file("config.json: cut off", "config.json is not a JSON file", rewritten("config.json", '{"a": ')),
        file("config.json: empty", "config.json is not a JSON file", rewritten("config.json", "")),
        file("config.json: a key twice", "has the key 'a' twice", rewritten("config.json", '{"a": 1, "a": 2}')),
        file("config.json: nested 10,000 times", "is not a JSON file", rewritten("config.json", '{"a":' * 10_000)),
        file(
            "config.json: a number of 10,000 digits",
            "is not a JSON file",
            rewritten("config.json", '{"a": ' + "9" * 10_000 + "}"),
        ),
        file(
            "config.json: larger than 64 MB",
            "is too large for a JSON file: 67.1 MB",
            lambda source: os.truncate(source / "config.json", MOST_JSON_BYTES + 1),
        ),
        file("config.json: missing", "has no config.json", lambda s: (s / "config.json").unlink(), FileNotFoundError),
    ]
)
def test_settings(case, source, nothing_written):
    case.check(source)


@cases(
    [
        file(
            "model.safetensors: a Git LFS pointer", "only a Git LFS pointer", rewritten("model.safetensors", POINTER)
        ),
        file("tokenizer.model: a Git LFS pointer", "only a Git LFS pointer", rewritten("tokenizer.model", POINTER)),
        file("config.json: a Git LFS pointer", "in place of config.json", rewritten("config.json", POINTER)),
        file(
            "tokenizer_config.json: a Git LFS pointer",
            "in place of tokenizer_config.json",
            rewritten("tokenizer_config.json", POINTER),
        ),
        file("model.safetensors: 0 bytes", "unreadable file model.safetensors", rewritten("model.safetensors", b"")),
        file("model.safetensors: 8 bytes", "unreadable file", rewritten("model.safetensors", b"12345678")),
        file(
            "model.safetensors: a header of 2**63 bytes",
            "unreadable file",
            rewritten("model.safetensors", (2**63).to_bytes(8, "little") + b"{}"),
        ),
        file("model.safetensors: cut off", "unreadable file", lambda s: os.truncate(s / "model.safetensors", 500_000)),
        file(
            "model.safetensors: bytes behind the end",
            "unreadable file",
            lambda s: open(s / "model.safetensors", "ab").write(b"more"),
        ),
        file(
            "model.safetensors: missing",
            "has no weights",
            lambda s: (s / "model.safetensors").unlink(),
            FileNotFoundError,
        ),
        file("an index that leads out of the folder", "must name files beside it", sharded({"a": "../../x"})),
        file("an index with an absolute path", "must name files beside it", sharded({"a": "/etc/passwd"})),
        file("an index with numbers", "has no `weight_map`", sharded({"a": 1})),
        file("an index that is empty", "has no `weight_map`", sharded(None)),
        file("an index that names a missing file", "lacks files", sharded({"a": "b.safetensors"}), FileNotFoundError),
        file("an index that names other keys", "differ in", sharded({"a": "part.safetensors"})),
        file("a key less", f"missing: ['{QKV}']", lambda s: edit_tensors(s, lambda t: t.pop(QKV))),
        file("a key more", "['evil']", lambda s: edit_tensors(s, lambda t: t.update(evil=torch.zeros(1)))),
        file(
            "1,000 keys more",
            " more]",
            lambda s: edit_tensors(s, lambda t: t.update({f"{i:05}": torch.zeros(1) for i in range(1000)})),
        ),
        file(
            "a transposed tensor",
            "mlp1.1.weight",
            lambda s: edit_tensors(s, lambda t: t.update({"mlp1.1.weight": t["mlp1.1.weight"].T.contiguous()})),
        ),
        file(
            "another layout of grouped queries",
            "(112, 64), expected (128, 64)",
            lambda s: edit_tensors(s, lambda t: t.update({QKV: t[QKV][:-16].clone()})),
        ),
        file(
            "whole numbers as weights",
            "such as {'mlp1.0.bias': 'I8'}",
            lambda s: edit_tensors(s, lambda t: t.update({"mlp1.0.bias": torch.zeros(128).char()})),
        ),
        file(
            "a link to a file elsewhere, which would be copied",
            "has a link notes.txt that leads out of it",
            lambda s: (s / "notes.txt").symlink_to("/etc/hostname"),
        ),
    ]
)
def test_files(case, source, nothing_written):
    case.check(source)


class Evil:
    """What runs when a pickle that holds it is read without care."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def with_pickle(source: Path, allow_pickle: bool) -> None:
    (source / "model.safetensors").unlink()
    with open(source / "pytorch_model.bin", "wb") as pickled:
        pickle.dump({"a": Evil(source / "executed")}, pickled)
    try:
        convert(source, source.parent / "target", allow_pickle=allow_pickle)
    finally:
        assert not (source / "executed").exists()


@cases(
    [
        refused(
            "pickled weights only", lambda s: with_pickle(s, False), "which are refused unless", FileNotFoundError
        ),
        refused(
            "a pickle that runs code, allowed", lambda s: with_pickle(s, True), "unreadable file pytorch_model.bin"
        ),
    ]
)
def test_pickles(case, source, nothing_written):
    case.check(source)


@cases(
    [
        refused(
            "a path where nothing is",
            lambda s: convert("/no/such/folder", s / "t"),
            "is no folder, and no name of",
            FileNotFoundError,
        ),
        refused(
            "a file", lambda s: convert(s / "config.json", s / "t"), "is a file, and no name of", FileNotFoundError
        ),
        refused("an empty name", lambda s: load_original(" "), "is no folder, and no name of", FileNotFoundError),
        refused(
            "an address", lambda s: load_original("https://example.org/x"), "is no folder, and no", FileNotFoundError
        ),
        refused(
            "a name that is neither here nor, offline, on the Hub",
            lambda s: load_original("nobody/nothing"),
            "is no folder here, and can't be fetched from the Hub",
            FileNotFoundError,
        ),
        *[
            refused(
                f"shards of {size!r}",
                lambda s, size=size: convert(s, s.parent / "t", max_shard_size=size),
                "`max_shard_size` must be a number of bytes",
            )
            for size in ("big", "", "5 elephants", "-5GB", "0GB", 0, -1, True, 5.5, None, "9" * 5000 + "GB", "nanGB")
        ],
        refused("a target that is a file", lambda s: convert(s, s / "config.json"), "and is a file", FileExistsError),
        refused("a target with a file", lambda s: convert(s, s), "and is not empty", FileExistsError),
        refused(
            "a target under a file", lambda s: convert(s, s / "config.json" / "t"), "can't be written", FileExistsError
        ),
        refused(
            "the way back from an original", lambda s: revert(s, s.parent / "t"), "'internvl_chat' as `model_type`"
        ),
    ]
)
def test_sources_and_targets(case, source, nothing_written):
    case.check(source)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES], ids=errno.errorcode.get)
def test_disks(source, tmp_path, monkeypatch, number):
    """A disk that is full, read-only or not ours: OSError in words, and nothing is left behind"""

    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(converter, "write_tensors", fail)
    with pytest.raises(OSError, match=rf"^`target` .*target can't be written: {os.strerror(number)}$"):
        convert(source, tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_an_empty_folder(source, tmp_path):
    """An existing, empty folder as the target: it is filled"""
    (tmp_path / "target").mkdir()
    convert(source, tmp_path / "target")
    assert (tmp_path / "target" / "model.safetensors").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_a_folder_that_is_filled_meanwhile(source, tmp_path, monkeypatch):
    """An empty folder into which something else writes meanwhile: an error, and what came stays"""
    target = tmp_path / "target"
    target.mkdir()
    monkeypatch.setattr(converter, "write_tensors", lambda *arguments: (target / "mine.txt").touch())
    with pytest.raises(OSError, match="can't be written"):
        convert(source, target)
    assert [path.name for path in target.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["/no/such/folder", "t"], "error: `source` '/no/such/folder' is no folder, and no name of a Hub repository"),
        (["SOURCE", "t", "--max-shard-size", "big"], "error: `max_shard_size` must be a number of bytes"),
        (["--reverse", "SOURCE", "t"], "error: `source` has 'internvl_chat' as `model_type`"),
    ],
)
def test_the_command(source, tmp_path, monkeypatch, arguments, words):
    """The command with bad arguments: one sentence, exit code 1, no traceback"""
    given = [str(source) if each == "SOURCE" else each for each in arguments]
    monkeypatch.setattr(sys, "argv", ["convert_minimonkey_weights_to_hf", *given])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code.startswith(words) and "\n" not in left.value.code  # a text as code is printed, and exits 1


def test_the_command_as_a_process(source, tmp_path, repository):
    """The command in a process of its own: one line on stderr, exit code 1"""
    (source / "model.safetensors").write_text(POINTER)
    command = [sys.executable, "-m", "modeling_minimonkey.convert_minimonkey_weights_to_hf", str(source), "t"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(repository)}, capture_output=True, text=True
    )
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.splitlines()[-1].startswith("error: `source` has only a Git LFS pointer")
    assert "Traceback" not in done.stderr
