"""The app: many visitors at once."""

import json
import re
import sys
import time
from pathlib import Path

import pytest

from tests.servers import free_port, memory_under_load, running, send


ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "examples" / "page.png"
ANSWER = "fresh bread\nopen sunday"
SECONDS, VISITORS = 60, 50
BUSY = "Queue is full"  # in Gradio's sentence for a visitor too many

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    pytest.importorskip("gradio", reason="Gradio needs another Pillow: make test-browser")
    port, folder = free_port(), tmp_path_factory.mktemp("app")
    address, log = f"http://127.0.0.1:{port}/gradio_api", folder / "log"
    options = {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(folder / "uploads")}
    with running([sys.executable, str(ROOT / "examples" / "app.py")], f"{address}/info", log, **options) as process:
        yield address, log, process.pid


def upload(address: str, data: bytes) -> str:
    """The server's path of an uploaded file."""
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="page.png"\r\n\r\n'
    status, answer = send(f"{address}/upload", head + data + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")
    assert status == 200, answer
    return json.loads(answer)[0]


def ask(address: str, path: str, question: object) -> tuple[str, str]:
    """The last event of an answer, and its text or error."""
    image = {"path": path, "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"data": [image, question, None, 0.5, "any"]}).encode()
    status, answer = send(f"{address}/call/answer", body)
    if status != 200:
        return "refused", answer
    _, events = send(f"{address}/call/answer/{json.loads(answer)['event_id']}")
    event, data = re.findall(r"event: (\w+)\ndata: (.*)", events)[-1]
    data = json.loads(data)
    return event, data[0][-1]["content"][0]["text"] if event == "complete" else str((data or {}).get("error"))


def test_it_serves_many_at_once(app):
    """50 visitors for a minute, a third of what they ask bad: right answers, refusals in words, memory flat"""
    address, log, process = app
    page, broken = upload(address, PAGE.read_bytes()), upload(address, PAGE.read_bytes()[:3000])
    bad = [(page, " ", "Ask a question"), (broken, "Read the text.", "can't be read"), (page, "x" * 2000, "too long")]
    end, wrong, count = time.monotonic() + SECONDS, [], []

    def visit(number: int) -> None:
        turn = number
        while time.monotonic() < end and not wrong:
            turn += 1
            path, question, words = bad[turn // 3 % len(bad)] if turn % 3 == 0 else (page, "Read the text.", ANSWER)
            event, said = ask(address, path, question)
            if event != "complete" and BUSY in said:
                event = "busy"
                time.sleep(1)
            elif event != ("error" if turn % 3 == 0 else "complete") or words not in said:
                wrong.append((event, said, words))
            count.append(event)

    memory = memory_under_load(process, visit, VISITORS)
    assert not wrong
    assert count.count("complete") > 10 and count.count("error") > 10
    settled = memory[len(memory) // 3 :]
    assert settled[-1] < 1.1 * settled[0], memory
    assert "Traceback" not in log.read_text()
