"""The server, asked by OpenAI's own client."""

import base64
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import openai
import pytest


ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = str(ROOT / "checkpoints" / "minimonkey-tiny")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("serve")
    log, environment = folder / "log", {"OMP_NUM_THREADS": "1", "HF_HOME": str(folder)}  # as on a new machine
    command = [sys.executable, str(ROOT / "examples" / "serve.py"), CHECKPOINT, "--trust-remote-code"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    with log.open("w") as file:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=file, stderr=file)
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0, timeout=60)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health")  # /v1/models fails without a Hub cache
                break
            except OSError:
                assert process.poll() is None, log.read_text()[-3000:]
                time.sleep(0.1)
        yield client
    finally:
        process.terminate()
        process.wait()


def ask(client, **options):
    page = base64.b64encode((ROOT / "examples" / "page.png").read_bytes()).decode()
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{page}"}}
    messages = [{"role": "user", "content": [image, {"type": "text", "text": "Read the text."}]}]
    return client.chat.completions.create(model=CHECKPOINT, messages=messages, max_tokens=30, temperature=0, **options)


def test_an_image_in_a_message_is_read(client):
    assert ask(client).choices[0].message.content == "fresh bread\nopen sunday"


def test_an_answer_is_streamed(client):
    parts = [part.choices[0].delta.content for part in ask(client, stream=True) if part.choices]
    assert len([part for part in parts if part]) > 3
    assert "".join(part or "" for part in parts) == "fresh bread\nopen sunday"
