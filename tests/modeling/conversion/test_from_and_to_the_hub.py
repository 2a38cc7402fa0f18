"""The conversion command as a client of a Hub: reading a revision of an original, pushing the result."""

import json
import os
import subprocess
import sys

import pytest
from huggingface_hub import HfApi, constants

from tests.local_hub import LocalHub
from tests.modeling.conversion.checkpoint_edits import read_tensors, same_tensors


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hub():
    with LocalHub() as hub:
        yield hub


def run(hub, home, repository, *arguments, **environment):
    command = [sys.executable, "-m", "modeling_minimonkey.convert_minimonkey_weights_to_hf", *map(str, arguments)]
    environment = os.environ | hub.env(home) | environment
    return subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True)


LOAD = """
import sys, torch
from transformers import AutoModelForImageTextToText, AutoProcessor
sys.modules["modeling_minimonkey"] = sys.modules["processing_minimonkey"] = None
model = AutoModelForImageTextToText.from_pretrained("user/converted", trust_remote_code=True)
processor = AutoProcessor.from_pretrained("user/converted", trust_remote_code=True)
print(type(model).__module__, processor.image_seq_length, model.lm_head.weight.double().sum().item())
"""


def test_a_revision_is_converted_and_pushed(hub, golden, tmp_path, repository, monkeypatch):
    for name, value in (("HF_HUB_OFFLINE", False), ("HF_HUB_DISABLE_XET", True)):  # read when hub was imported
        monkeypatch.setattr(constants, name, value)
    api = HfApi(endpoint=hub.url, token=hub.token)
    original = golden / "model" / "qwen2" / "checkpoint"
    api.create_repo("user/original")
    revision = api.upload_folder(repo_id="user/original", folder_path=original).oid
    api.upload_file(
        repo_id="user/original", path_or_fileobj=b"raise RuntimeError", path_in_repo="modeling_internvl.py"
    )
    api.delete_file("model.safetensors", "user/original")

    home, target = tmp_path / "home", tmp_path / "target"
    arguments = ["user/original", target, "--revision", revision, "--push-to-hub", "user/converted", "--private"]
    done = run(hub, home, repository, *arguments)
    assert done.returncode == 0, done.stderr
    assert not list(home.rglob("*.py"))  # code of the original is not even downloaded
    pushed = {sibling.rfilename for sibling in api.model_info("user/converted").siblings}
    files = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert pushed - {".gitattributes"} == files
    assert api.model_info("user/converted").private

    environment = os.environ | hub.env(tmp_path / "empty")
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert loaded.returncode == 0, loaded.stderr
    module, tokens, total = loaded.stdout.split()
    weight = read_tensors(original)["language_model.lm_head.weight"]
    assert module.startswith("transformers_modules.") and tokens == "4"
    assert float(total) == pytest.approx(weight.double().sum().item())

    back = tmp_path / "back"
    done = run(hub, home, repository, "--reverse", "user/converted", back, "--original", "user/original")
    assert done.returncode == 0, done.stderr
    assert same_tensors(read_tensors(back), read_tensors(original))
    assert (back / "modeling_internvl.py").read_text() == "raise RuntimeError"
    assert json.loads((back / "config.json").read_text())["template"] == "Hermes-2"


def test_a_missing_permission_is_seen_before_the_work(hub, golden, tmp_path, repository):
    target = tmp_path / "target"
    arguments = [golden / "model" / "qwen2" / "checkpoint", target, "--push-to-hub", "user/other"]
    done = run(hub, tmp_path / "home", repository, *arguments, HF_TOKEN="hf_wrong")
    assert done.returncode != 0 and "401" in done.stderr
    assert not target.exists()
