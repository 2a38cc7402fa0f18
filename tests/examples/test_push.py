"""Pushing to a Hub and loading from it, as different users do, each in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from huggingface_hub import HfApi, ModelCard, constants
from push import check_folder
from safetensors.torch import load_file, save_file

from tests.hidden import PRELUDE
from tests.local_hub import LocalHub


ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / "checkpoints" / "minimonkey-tiny"
CODE = {path.name for path in CHECKPOINT.glob("*.py")}

LOAD = """
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor
options = {"trust_remote_code": True, "revision": arguments["revision"]}
model = AutoModelForImageTextToText.from_pretrained(arguments["repository"], **options)
processor = AutoProcessor.from_pretrained(arguments["repository"], allow_paths=True, **options)
base = AutoModel.from_pretrained(arguments["repository"], **options)
content = [{"type": "image", "image": arguments["image"]}, {"type": "text", "text": "Read the text."}]
chat = [{"role": "user", "content": content}]
options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
inputs = processor.apply_chat_template(chat, **options)
sequences = model.generate(**inputs, max_new_tokens=12)
answer = processor.decode(sequences[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True)
result = {"answer": answer, "module": type(model).__module__, "base": type(base).__name__}
if arguments.get("push_to"):
    model.push_to_hub(arguments["push_to"])
    processor.push_to_hub(arguments["push_to"])
print("\\n" + json.dumps(result))
"""


@pytest.fixture(scope="module")
def hub():
    with LocalHub(namespaces=["me"]) as hub:
        yield hub


@pytest.fixture
def api(hub, monkeypatch):
    for name, value in (("HF_HUB_OFFLINE", False), ("HF_HUB_DISABLE_XET", True)):  # read when hub was imported
        monkeypatch.setattr(constants, name, value)
    return HfApi(endpoint=hub.url, token=hub.token)


@pytest.fixture
def run(hub, tmp_path):
    """Runs Python with a cache of its own; `HF_HUB_OFFLINE` of the tests doesn't hold there."""
    count = 0

    def run(*command, **environment):
        nonlocal count
        count += 1
        environment = os.environ | {"OMP_NUM_THREADS": "1"} | hub.env(tmp_path / f"home {count}") | environment
        options = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
        return subprocess.run([sys.executable, *map(str, command)], stdin=subprocess.DEVNULL, **options)

    return run


@pytest.fixture
def load(run):
    """Asks a repository about the demo's page, where this project's packages can't be imported."""

    def load(repository, revision="main", push_to=None, **environment):
        image = str(ROOT / "examples" / "page.png")
        arguments = {"repository": repository, "revision": revision, "push_to": push_to, "image": image}
        done = run("-P", "-c", PRELUDE + LOAD, json.dumps(arguments), **environment)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return load


@pytest.fixture
def folder(tmp_path) -> Path:
    """As a training leaves it: with more than should be seen."""
    folder = tmp_path / "trained"
    shutil.copytree(
        CHECKPOINT, folder, ignore=shutil.ignore_patterns("__pycache__", "README.md", "*log.json", "eval*")
    )
    (folder / "training_args.bin").write_bytes(b"pickle")
    (folder / "trainer_state.json").write_text('{"best_model_checkpoint": "/Users/me/runs"}')
    (folder / "checkpoint-6").mkdir()
    (folder / "checkpoint-6" / "optimizer.pt").write_bytes(b"pickle")
    return folder


def files(api, repository, **options) -> set[str]:
    return {sibling.rfilename for sibling in api.model_info(repository, **options).siblings} - {".gitattributes"}


def push(run, folder, repository, *options) -> str:
    """Push `folder` in a process of its own, and give the commit."""
    done = run(ROOT / "examples" / "push.py", folder, repository, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def test_what_lands_is_whole_and_nothing_else(api, run, folder):
    push(run, folder, "me/whole", "--base-model", "mx262/MiniMonkey", "--license", "mit", "--private")
    weights = {"model.safetensors", "config.json", "generation_config.json"}
    processor = {"processor_config.json", "chat_template.jinja", "tokenizer.json", "tokenizer_config.json"}
    assert files(api, "me/whole") == CODE | weights | processor | {"README.md"}
    assert api.model_info("me/whole").private
    card = ModelCard.load(api.hf_hub_download("me/whole", "README.md", cache_dir=folder.parent / "cache"))
    assert card.data.base_model == "mx262/MiniMonkey" and card.data.pipeline_tag == "image-text-to-text"
    assert card.data.library_name == "transformers" and card.data.license == "mit" and "custom_code" in card.data.tags


@pytest.mark.slow
def test_others_load_it_push_it_on_and_pin_a_revision(api, run, load, folder):
    first = push(run, folder, "me/first", "--license", "mit", "--private")
    result = load("me/first")
    assert result["module"].startswith("transformers_modules.") and result["base"] == "MiniMonkeyModel"
    assert result["answer"].startswith("fresh bread")

    # A fine-tune of the fine-tune by someone who has only what was downloaded, and a revision that is pinned
    again = load("me/first", push_to="me/second")
    assert load("me/second")["answer"] == again["answer"] == result["answer"]
    assert files(api, "me/second") - {"README.md"} == files(api, "me/first") - {"README.md"}
    (folder / "generation_config.json").write_text(
        json.dumps(json.loads((folder / "generation_config.json").read_text()) | {"max_new_tokens": 3})
    )
    push(run, folder, "me/first", "--license", "mit")
    assert load("me/first", revision=first) == result
    refused = run("-P", "-c", PRELUDE + LOAD, json.dumps({"repository": "me/first", "revision": "main"}), HF_TOKEN="")
    assert refused.returncode != 0 and "me/first" in refused.stderr  # private, and no token


def test_a_push_that_is_cut_off_changes_nothing(api, run, hub, folder):
    command = [sys.executable, str(ROOT / "examples" / "push.py"), str(folder), "me/third", "--license", "mit"]
    weights = load_file(folder / "model.safetensors")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt", "run": "new to the Hub"})
    hub.gate.clear()
    hub.log.clear()
    process = subprocess.Popen(command, env=os.environ | hub.env(folder.parent / "home"), stderr=subprocess.DEVNULL)
    while not any(method == "PUT" for method, _ in hub.log):
        assert process.poll() is None, "the push ended before it could be cut off"
        time.sleep(0.05)
    process.kill()
    process.wait()
    hub.gate.set()
    assert files(api, "me/third") == set()
    push(run, folder, "me/third", "--license", "mit")
    assert "model.safetensors" in files(api, "me/third")


@pytest.mark.slow
def test_a_training_pushes_what_push_does(api, run, load, tmp_path):
    content = [{"type": "image", "image": str(ROOT / "examples" / "page.png")}, {"type": "text", "text": "Read it."}]
    chat = [{"role": "user", "content": content}, {"role": "assistant", "content": "fresh bread"}]
    (tmp_path / "chats.jsonl").write_text(json.dumps({"messages": chat}) + "\n")
    command = [ROOT / "examples" / "finetune.py", "--train_data", tmp_path / "chats.jsonl", "--model", CHECKPOINT]
    command += ["--output_dir", tmp_path / "mine", "--max_steps", 2, "--save_steps", 1, "--learning_rate", 0]
    command += ["--use_cpu", "true", "--report_to", "none", "--push_to_hub", "true", "--hub_model_id", "me/trained"]
    done = run(*command, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr[-3000:]
    assert {"training_args.bin", "checkpoint-2", "loss.png"} <= {path.name for path in (tmp_path / "mine").iterdir()}
    names = {path.name for path in CHECKPOINT.iterdir() if path.suffix in (".py", ".json", ".jinja", ".safetensors")}
    assert files(api, "me/trained") == names - {"evaluation.json", "training_log.json"} | {"README.md", "loss.png"}
    assert load("me/trained")["answer"].startswith("fresh bread")
    refused = run(*command, "--train", "lora", PYTHONPATH=str(ROOT))
    assert refused.returncode != 0 and "must be False for an adapter" in refused.stderr


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("config.json", '{"_name_or_path": "/Users/me/secret"}', "a path of this machine: '/Users/me/secret'"),
        ("processing_minimonkey.py", "token = 'hf_abcdefghijklmnopqrstuvwxyz'", "an access token"),
        ("adapter_config.json", "{}", "Merge it first"),
    ],
)
def test_folders_that_should_not_be_seen_are_refused(folder, name, content, message):
    check_folder(folder)
    (folder / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        check_folder(folder)


def test_folders_that_would_not_load_are_refused(folder):
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match="lacks chat_template.jinja"):
        check_folder(folder)
