"""The server: requests of strangers."""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.robustness import requests
from tests.servers import free_port, running


ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / "checkpoints" / "minimonkey-tiny"
ANSWER = "fresh bread\nopen sunday"
SECONDS = 60  # of load
CLIENTS = 50

pytestmark = pytest.mark.slow


class Server:
    def __init__(self, address: str, log: Path):
        self.chat = f"{address}/v1/chat/completions"
        self.address, self.log = address, log

    def post(self, body: bytes) -> tuple[int, str]:
        """Status and text of the answer."""
        request = urllib.request.Request(self.chat, body, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    port, folder = free_port(), tmp_path_factory.mktemp("serve")
    command = [sys.executable, str(ROOT / "examples" / "serve.py"), str(CHECKPOINT), "--trust-remote-code"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    address = f"http://127.0.0.1:{port}"
    with running(command, f"{address}/health", folder / "log", HF_HOME=str(folder)):
        yield Server(address, folder / "log")


@pytest.mark.parametrize(("tried", "body", "words"), requests.BAD, ids=[tried for tried, _, _ in requests.BAD])
def test_a_bad_request_is_refused_in_words(server, tried, body, words):
    status, answer = server.post(body)
    assert status == 400, answer[:500]
    message = json.loads(answer)["error"]["message"]
    assert words in message, message
    assert len(message) < 600
    log = server.log.read_text()
    assert "Traceback" not in log, log[-3000:]


def test_a_good_request_is_answered(server):
    """a good request: the page's text"""
    status, answer = server.post(requests.body())
    assert (status, json.loads(answer)["choices"][0]["message"]["content"]) == (200, ANSWER)
