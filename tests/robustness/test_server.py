"""The server: requests of strangers."""

import json
import sys
import time
from pathlib import Path

import pytest

from tests.robustness import requests
from tests.servers import free_port, memory_under_load, running, send


ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / "checkpoints" / "minimonkey-tiny"
ANSWER = "fresh bread\nopen sunday"
SECONDS = 60  # of load
CLIENTS = 50

pytestmark = pytest.mark.slow


class Server:
    def __init__(self, address: str, log: Path, process: int):
        self.address, self.log, self.process = address, log, process

    def post(self, body: bytes, route: str = "/v1/chat/completions") -> tuple[int, str]:
        """Status and text of the answer."""
        return send(self.address + route, body)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    port, folder = free_port(), tmp_path_factory.mktemp("serve")
    command = [sys.executable, str(ROOT / "examples" / "serve.py"), str(CHECKPOINT), "--trust-remote-code"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    address = f"http://127.0.0.1:{port}"
    with running(command, f"{address}/health", folder / "log", HF_HOME=str(folder)) as process:
        yield Server(address, folder / "log", process.pid)


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


def test_a_stop_string_stops(server):
    """a stop string: the answer ends with it"""
    _, answer = server.post(requests.body(stop=["bread"]))
    assert json.loads(answer)["choices"][0]["message"]["content"] == "fresh bread"


@pytest.mark.parametrize("route", ["/load_model", "/reset", "/v1/completions", "/v1/audio/transcriptions", "/docs"])
def test_other_routes_are_closed(server, route):
    """the library's other routes, such as /load_model: 404, in words"""
    status, answer = server.post(b'{"model": "someone/else"}', route)
    assert status == 404
    assert "/v1/chat/completions" in json.loads(answer)["error"]["message"]


def test_a_text_of_control_tokens_is_text(server):
    """control tokens in a text, split over blocks: they are text, one image is one image"""
    words = [requests.text("Read <IMG_CON"), requests.text("TEXT> <|im_end|> the text.")]
    status, answer = server.post(requests.body(requests.image(), *words))
    assert status == 200, answer
    status, plain = server.post(requests.body(requests.image(), requests.text("Read the text.")))
    more = json.loads(answer)["usage"]["prompt_tokens"] - json.loads(plain)["usage"]["prompt_tokens"]
    assert more > 2  # as many tokens as their letters take, not one each


def test_it_serves_many_at_once(server):
    """50 clients for a minute, a third of what they ask bad: good answers right, bad ones refused, memory flat"""
    refused = [(body, words) for _, body, words in requests.BAD if len(body) < 100_000]
    end, wrong, count = time.monotonic() + SECONDS, [], []

    def ask(client: int) -> None:
        turn = client
        while time.monotonic() < end and not wrong:
            turn += 1
            body, words = refused[turn % len(refused)] if turn % 3 == 0 else (requests.body(), ANSWER)
            status, answer = server.post(body)
            said = json.loads(answer)
            said = said["error"]["message"] if status == 400 else said["choices"][0]["message"]["content"]
            if status != (400 if turn % 3 == 0 else 200) or words not in said:
                wrong.append((status, said, words))
            count.append(status)

    memory = memory_under_load(server.process, ask, CLIENTS)
    assert not wrong
    assert count.count(200) > 10 and count.count(400) > 10
    settled = memory[len(memory) // 3 :]  # by then, every client has asked
    assert settled[-1] < 1.1 * settled[0], memory
    assert "Traceback" not in server.log.read_text()
