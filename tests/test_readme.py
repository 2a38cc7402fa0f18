"""The README's commands and snippets as they stand, in order, with a small original checkpoint and a local Hub."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import openai
import pytest
from PIL import Image

from tests.local_hub import LocalHub
from tests.servers import free_port, running


NEEDS_THE_NETWORK = ("pip ", "git ", "make ", "source ")


@pytest.fixture(scope="module")
def blocks(repository) -> list[tuple[str, str]]:
    """Language and text of each code block, in order."""
    text = (repository / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def hub():
    with LocalHub(namespaces=["you", "mx262"]) as hub:
        yield hub


@pytest.fixture(scope="module")
def user(tmp_path_factory, repository, golden, hub, blocks):
    """A folder as a user's clone, the README's chat in it, and a Hub that has an original checkpoint."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("examples", "checkpoints"):
        (folder / name).symlink_to(repository / name)
    (chat,) = (json.loads(text) for language, text in blocks if language == "json")
    (folder / "chats.jsonl").write_text(40 * (json.dumps(chat) + "\n"))  # as many as make a few steps
    (image,) = (block["image"] for block in chat["messages"][0]["content"] if block["type"] == "image")
    (folder / image).parent.mkdir()
    Image.open(repository / "examples" / "page.png").convert("RGB").save(folder / image)
    environment = os.environ | hub.env(folder / "home") | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(repository)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    original = golden / "model" / "internlm2" / "checkpoint"
    upload = "import huggingface_hub as hub; api = hub.HfApi(); api.create_repo('mx262/MiniMonkey'); "
    upload += f"api.upload_folder(repo_id='mx262/MiniMonkey', folder_path={str(original)!r})"
    subprocess.run([sys.executable, "-c", upload], env=environment, check=True, capture_output=True)
    return folder, environment


def commands(blocks) -> list[str]:
    """The shell commands that need no network, continued lines joined, without comments."""
    shell = "".join(text for language, text in blocks if not language).replace("\\\n", " ")
    lines = [line.split("  #")[0].strip() for line in shell.splitlines()]
    return [line for line in lines if re.match(r"python |convert_", line) and not line.startswith(NEEDS_THE_NETWORK)]


@pytest.mark.slow
def test_from_the_published_weights_to_a_served_fine_tune(user, blocks):
    folder, environment = user
    *done, serve = commands(blocks)
    assert [line.split()[0 if "convert" in line else 1].split("/")[-1] for line in (*done, serve)] == [
        "convert_minimonkey_weights_to_hf",
        "finetune.py",
        "merge.py",
        "ask.py",
        "push.py",
        "serve.py",
    ]
    outputs = [run(line, folder, environment) for line in done]
    assert "OK: ids and logits agree" in outputs[0] and "merge.py mine mine-merged" in outputs[1]
    assert "push.py mine-merged" in outputs[2] and outputs[3].startswith("question  Read.")
    load = """if True:
        from transformers import AutoModelForImageTextToText
        model = AutoModelForImageTextToText.from_pretrained("you/mini-monkey-receipts", trust_remote_code=True)
        print(type(model).__module__.split(".")[0])"""
    loaded = subprocess.run(
        [sys.executable, "-P", "-c", load], cwd=folder, env=environment, text=True, capture_output=True
    )
    assert loaded.stdout.strip() == "transformers_modules", loaded.stderr[-2000:]

    port = free_port()
    command = serve.replace("8000", str(port)).split() + ["--device", "cpu", "--dtype", "float32"]
    options = environment | {"HF_HUB_OFFLINE": "1"}
    with running([str(part) for part in command], f"http://127.0.0.1:{port}/health", folder / "log", **options):
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0, timeout=120)
        messages = [{"role": "user", "content": [{"type": "text", "text": "Read."}]}]
        answer = client.chat.completions.create(model="mine-merged", messages=messages, max_tokens=5)
        assert answer.choices[0].message.content is not None


@pytest.mark.slow
def test_snippets_of_python_read_the_page(user, blocks):
    folder, environment = user
    snippets = [text for language, text in blocks if language == "python"]
    assert len(snippets) == 3
    for snippet in snippets[:2]:  # the third one loads another model from the Hub
        done = subprocess.run(
            [sys.executable, "-c", snippet], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.stdout == "fresh bread\nopen sunday\n", done.stderr[-2000:]


def run(line: str, folder: Path, environment: dict) -> str:
    done = subprocess.run(line, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (line, done.stderr[-3000:])
    return done.stdout
