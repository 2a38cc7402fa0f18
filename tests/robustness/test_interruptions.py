"""Interruptions: processes that are killed in the middle of a file."""

import importlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from modeling_minimonkey.conversion.convert import convert, revert
from tests.modeling.conftest import randomize, tiny_config


@pytest.fixture
def scripts(repository, monkeypatch) -> None:
    """The scripts of examples/ can be imported."""
    monkeypatch.syspath_prepend(repository / "examples")


# Its children begin with the libraries imported and no threads, whose locks a fork of this process would inherit.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["torch", "transformers.modeling_utils", "modeling_minimonkey.conversion.convert"])


def killed(
    work: Callable, *arguments, most_bytes: int | None = None, before: str | None = None, count: int = 0
) -> int:
    """
    Call `work(*arguments)` in a process that is killed, and return the signal that ended it; 0 if it came to its end.

    Args:
        most_bytes: The system kills it where a file gets longer than this, in the middle of a write.
        before: "module:name" of a function at whose call number `count` it kills itself as `kill -9` does.
        count: From 0.
    """
    process = PROCESSES.Process(target=in_child, args=(work, arguments, most_bytes, before, count))
    process.start()
    process.join(timeout=120)
    assert process.exitcode is not None and process.exitcode <= 0, process.exitcode
    return -process.exitcode


def in_child(work: Callable, arguments: tuple, most_bytes: int | None, before: str | None, count: int) -> None:
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    if before is not None:
        module, name = before.split(":")
        kill_at_call(importlib.import_module(module), name, count)
    if most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    work(*arguments)


def kill_at_call(module, name: str, count: int) -> None:
    real, calls = getattr(module, name), []

    def call(*arguments, **options):
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        calls.append(1)
        return real(*arguments, **options)

    setattr(module, name, call)


def make_model(seed: int) -> MiniMonkeyForConditionalGeneration:
    model = MiniMonkeyForConditionalGeneration(tiny_config()).eval()
    randomize(model, seed)
    return model


def save(seed: int, folder: Path, options: dict) -> None:
    make_model(seed).save_pretrained(folder, **options)


@pytest.fixture(scope="module")
def models() -> list[MiniMonkeyForConditionalGeneration]:
    """Two of the same shapes, with other weights."""
    return [make_model(0), make_model(1)]


def weights_of(folder: Path) -> dict | None:
    """The weights that load from a folder; `None` if they are refused in words."""
    try:
        model = MiniMonkeyForConditionalGeneration.from_pretrained(folder)
    except Exception as error:
        assert len(str(error)) > 20 and "Traceback" not in str(error)
        return None
    return model.state_dict()


def same(found: dict, model: MiniMonkeyForConditionalGeneration) -> bool:
    return all(torch.equal(found[name], value) for name, value in model.state_dict().items())


SHARDS = {"max_shard_size": "80KB"}
INSIDE = 60_000  # bytes: more than any file of code, less than one of weights


@pytest.mark.parametrize("old", [{}, SHARDS, None], ids=["one file", "shards", "nothing"])
@pytest.mark.parametrize("new", [{}, SHARDS], ids=["one file", "shards"])
@pytest.mark.parametrize(
    "kill", [0, 1, 2, INSIDE], ids=["first file", "second file", "third file", "inside the weights"]
)
def test_save_pretrained(models, tmp_path, old, new, kill):
    """save_pretrained over an older save, killed before or inside a file: the old or the new model, or none"""
    before, after = models
    if old is not None:
        before.save_pretrained(tmp_path, **old)
    at_a_file = {"before": "transformers.modeling_utils:safe_save_file", "count": kill}
    how = {"most_bytes": kill} if kill == INSIDE else at_a_file
    ended_by = killed(save, 1, tmp_path, new, **how)
    assert ended_by in ((signal.SIGXFSZ,) if kill == INSIDE else (signal.SIGKILL, 0))
    found = weights_of(tmp_path)
    assert found is None or same(found, before) or same(found, after)
    after.save_pretrained(tmp_path, **new)  # a second try
    assert same(weights_of(tmp_path), after)


@pytest.fixture
def source(golden, tmp_path) -> Path:
    return shutil.copytree(golden / "model" / "internlm2" / "checkpoint", tmp_path / "source")


@pytest.mark.parametrize("most_bytes", [1_000, 20_000, 500_000])
def test_convert(source, tmp_path, most_bytes):
    """convert, killed inside a file: no folder is there, and a second run makes all of it"""
    target = tmp_path / "target"
    assert killed(convert, source, target, most_bytes=most_bytes) == signal.SIGXFSZ
    assert not target.exists()
    convert(source, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]
    assert weights_of(target) is not None


def test_convert_into_an_empty_folder(source, tmp_path):
    """convert into an empty folder, killed before its end: the folder is empty, and a second run fills it"""
    target = tmp_path / "target"
    target.mkdir()
    before = "modeling_minimonkey.conversion.convert:write_tensors"
    assert killed(convert, source, target, before=before) == signal.SIGKILL
    assert not list(target.iterdir())
    convert(source, target)
    assert weights_of(target) is not None


def test_revert(source, tmp_path):
    """The way back, killed inside the weights: no folder is there, and a second run makes all of it"""
    ours, back = tmp_path / "ours", tmp_path / "back"
    convert(source, ours)
    assert killed(revert, ours, back, most_bytes=500_000) == signal.SIGXFSZ
    assert not back.exists()
    revert(ours, back)
    assert load_file(back / "model.safetensors").keys() == load_file(source / "model.safetensors").keys()


def test_a_push_of_a_folder_that_was_cut_off(checkpoint, tmp_path, scripts):
    """A push of a folder whose saving was killed inside the weights: refused"""
    from push import check_folder

    folder = shutil.copytree(checkpoint, tmp_path / "folder")
    check_folder(folder)
    os.truncate(folder / "model.safetensors", 1_000_000)  # as a safetensors that does not write beside would leave it
    with pytest.raises(ValueError, match="model.safetensors"):
        check_folder(folder)


def test_checkpoints_of_a_training(tmp_path, scripts):
    """Checkpoints of a training, the last ones cut off at any byte of trainer_state.json: passed over"""
    from finetune import last_checkpoint

    state = json.dumps({"global_step": 8, "log_history": [{"loss": 1.0}]}, indent=2)
    for step in (8, 10, 12):
        (tmp_path / f"checkpoint-{step}").mkdir()
    (tmp_path / "checkpoint-best").mkdir()
    (tmp_path / "checkpoint-best" / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-8" / "trainer_state.json").write_text(state)
    for length in range(len(state)):
        (tmp_path / "checkpoint-12" / "trainer_state.json").write_text(state[:length])
        assert Path(last_checkpoint(str(tmp_path))).name == "checkpoint-8"


@pytest.mark.slow
@pytest.mark.parametrize("most_bytes", [2_000, 100_000, 20_000_000], ids=["state", "weights", "optimizer"])
def test_training(checkpoint, repository, tmp_path, most_bytes):
    """finetune.py, killed inside a checkpoint's files: a second run goes on and ends with the same weights"""

    def run(folder: Path, limit: int | None) -> int:
        image = {"type": "image", "image": str(repository / "examples" / "page.png")}
        chat = [
            {"role": "user", "content": [image, {"type": "text", "text": "Read the text."}]},
            {"role": "assistant", "content": "fresh bread"},
        ]
        (tmp_path / "chats.jsonl").write_text(4 * (json.dumps({"messages": chat}) + "\n"))
        options = {"max_steps": 4, "save_steps": 1, "learning_rate": 1e-4, "logging_steps": 1, "report_to": "none"}
        options |= {
            "train_data": tmp_path / "chats.jsonl",
            "model": checkpoint,
            "output_dir": folder,
            "use_cpu": "true",
        }
        options |= {"per_device_train_batch_size": 1, "bf16": "false"}
        command = [sys.executable, repository / "examples" / "finetune.py"]
        command += [part for name, value in options.items() for part in (f"--{name}", value)]

        def limits() -> None:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        # Python ignores the signal and gets an error at the write, of which the run ends in the middle of the file.
        environment = os.environ | {"PYTHONPATH": str(repository)}
        return subprocess.run(map(str, command), env=environment, preexec_fn=limits, capture_output=True).returncode

    assert run(tmp_path / "whole", None) == 0
    assert run(tmp_path / "cut", most_bytes) != 0
    assert run(tmp_path / "cut", None) == 0
    whole, cut = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
