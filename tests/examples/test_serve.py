"""The server, asked by OpenAI's own client."""

import base64
import sys
from pathlib import Path

import openai
import pytest

from tests.servers import free_port, running


ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = str(ROOT / "checkpoints" / "minimonkey-tiny")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    port, folder = free_port(), tmp_path_factory.mktemp("serve")
    command = [sys.executable, str(ROOT / "examples" / "serve.py"), CHECKPOINT, "--trust-remote-code"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    address = f"http://127.0.0.1:{port}"
    # A Hub cache as on a new machine, without which /v1/models fails
    with running(command, f"{address}/health", folder / "log", HF_HOME=str(folder)):
        yield openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=60)


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
