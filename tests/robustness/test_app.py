"""The app: requests that its page would never send."""

import json
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.robustness.cases import cases, refused, works
from tests.servers import free_port, running, send


ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "examples" / "page.png"
ANSWER = "fresh bread\nopen sunday"
FILE = {"_type": "gradio.FileData"}


class Server:
    """The app in a process of its own, and how a stranger speaks with it."""

    def __init__(self, address: str, log: Path, uploads: Path):
        self.address, self.log, self.uploads = address, log, uploads
        self.image = {"path": json.loads(self.upload(PAGE.read_bytes())[1])[0], "meta": FILE}

    def request(self, path: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, str]:
        """Status and text of an answer."""
        return send(self.address + path, body, kind)

    def upload(self, content: bytes, name: str = "a.png") -> tuple[int, str]:
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        return self.request("/gradio_api/upload", head + content + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")

    def call(self, name: str, body: bytes) -> tuple[str, object]:
        """The last event of a call, and what it says; an error of HTTP as the event "error"."""
        url = f"/gradio_api/call/{name}"
        status, text = self.request(url, body)
        if status != 200:
            return "error", {"error": text}
        _, text = self.request(f"{url}/{json.loads(text)['event_id']}")
        event, data = re.findall(r"event: (\w+)\ndata: (.*)", text)[-1]
        return event, json.loads(data)

    def ask(self, *more, **changes) -> str:
        """The app's answer to a question; `ValueError` with its words if it refuses."""
        given = {"image": self.image, "question": "Read the text.", "keep_ratio": 1.0, "second_grid": "any"} | changes
        values = [value for value in given.values() if value is not ...]
        before = self.log.read_text()
        event, said = self.call("answer", json.dumps({"data": [*values, *more]}).encode())
        added = self.log.read_text()[len(before) :]
        assert "Traceback" not in added and "Error" not in added, added
        if event == "error":
            raise ValueError(said["error"] or "null")
        return said[0][-1]["content"][0]["text"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    pytest.importorskip("gradio", reason="Gradio needs another Pillow: make test-browser")
    port, folder = free_port(), tmp_path_factory.mktemp("app")
    address, uploads = f"http://127.0.0.1:{port}", folder / "uploads"
    options = {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(uploads)}
    with running([sys.executable, str(ROOT / "examples" / "app.py")], address, folder / "log", **options):
        yield Server(address, folder / "log", uploads)


@pytest.fixture
def app(monkeypatch):
    pytest.importorskip("gradio", reason="Gradio needs another Pillow: make test-browser")
    monkeypatch.syspath_prepend(ROOT / "examples")
    import app

    return app


def bad(name: str, value, words: str):
    return refused(f"{name} {value!r:.60}", lambda server: server.ask(**{name: value}), words)


TEXT, NUMBER, GRID = "“Question” must be text.", "must be a number from 0.05 to 1.", "must be one of any, all, none"
UPLOADED = "An image must be uploaded; files of the server are not opened."


@cases(
    [
        *[bad("question", value, TEXT) for value in (None, 3, True, 0.5, ["x"], {"a": 1})],
        bad("question", "", "Ask a question"),
        bad("question", " \n", "Ask a question"),
        bad("question", "x" * 1001, "too long"),
        bad("question", "x" * 10**6, "too long"),
        bad("question", "\ud800", "lone surrogates"),
        bad("question", "a\udfffb", "lone surrogates"),
        *[bad("keep_ratio", float(value), NUMBER) for value in ("nan", "inf", "-inf")],
        *[bad("keep_ratio", value, NUMBER) for value in (None, "0.5", 0, -1, 1.5, True, [0.5], {}, 1e-300, 10**300)],
        *[
            bad("second_grid", value, GRID)
            for value in (None, "evil", 3, True, ["any"], {"a": 1}, "x" * 10**6, "\ud800")
        ],
        bad("image", None, "Upload an image first."),
        *[
            bad("image", value, "“Image” must be an upload.")
            for value in ("x", 3, [], {}, {"path": None}, {"path": 3}, {"url": "http://127.0.0.1:9"})
        ],
        bad("image", {"path": "/etc/passwd"}, UPLOADED),
        bad("image", {"path": "/etc/passwd", "meta": FILE}, UPLOADED),
        bad("image", {"path": str(PAGE)}, UPLOADED),
        bad("image", {"path": str(PAGE), "meta": FILE}, UPLOADED),
        bad("image", {"path": str(PAGE), "meta": {"_type": "evil"}}, UPLOADED),
        bad("image", {"path": ""}, UPLOADED),
        bad("image", {"path": "../../../../../../etc/passwd", "meta": FILE}, UPLOADED),
        bad("image", {"path": "http://127.0.0.1:9/x.png", "meta": FILE}, "addresses are not opened"),
        bad("image", {"path": "http://169.254.169.254/"}, "addresses are not opened"),
        bad("image", {"path": "file:///etc/passwd", "meta": FILE}, "addresses are not opened"),
        bad("image", {"path": "a\0b"}, "addresses are not opened"),
        refused(
            "an upload's path with more behind it",
            lambda server: server.ask(image={"path": server.image["path"] + "/../../../../etc/passwd"}),
            "An image must be uploaded",
        ),
        refused(
            "the folder of all uploads",
            lambda server: server.ask(image={"path": str(server.uploads)}),
            "can't be read",
        ),
        refused(
            "an upload that is no image",
            lambda server: server.ask(image={"path": json.loads(server.upload(b"text")[1])[0], "meta": FILE}),
            "The file can't be read as an image",
        ),
        refused(
            "too few values", lambda server: server.ask(second_grid=...), "The request must have the values Image"
        ),
        refused(
            "no values",
            lambda server: server.ask(image=..., question=..., keep_ratio=..., second_grid=...),
            "The request must",
        ),
    ]
)
def test_questions(case, server):
    case.check(server)


def body(content: bytes, name: str = "answer"):
    return lambda server: (server.request(f"/gradio_api/call/{name}", content), server.log.read_text())


@cases(
    [
        works("half of a JSON text", body(b'{"data": ['), "status 422", lambda out, s: out[0][0] == 422),
        works("a number for the values", body(b'{"data": 3}'), "status 422", lambda out, s: out[0][0] == 422),
        works("a list for the request", body(b"[]"), "status 422", lambda out, s: out[0][0] == 422),
        works(
            "a function that there is not",
            body(b'{"data": []}', "evil"),
            "status 404 in words, no traceback",
            lambda out, s: (
                out[0] == (404, '{"detail":"This page has no such function."}') and "Traceback" not in out[1]
            ),
        ),
        *[
            works(
                f"GET {path}",
                lambda server, path=path: server.request(path),
                "refused, and nothing of the file",
                lambda out, s: out[0] in (400, 403, 404) and "root:" not in out[1],
            )
            for path in (
                "/gradio_api/file=/etc/passwd",
                "/gradio_api/file=../../../../../../etc/passwd",
                f"/gradio_api/file={PAGE}",
                f"/gradio_api/file={ROOT}/setup.cfg",
                "/gradio_api/proxy=http://127.0.0.1:9/",
                "/monitoring",
            )
        ],
        works(
            "an upload of 21 MB",
            lambda server: server.upload(bytes(21 * 2**20)),
            "status 413",
            lambda out, s: out[0] == 413,
        ),
    ]
)
def test_addresses(case, server):
    case.check(server)


@cases(
    [
        works(
            f"paths in the answer of {path}",
            lambda server, path=path: server.request(path)[1],
            "none of this repository, of Python or of the home folder: only of the folder of uploads",
            lambda text, s: not leaked(text, s.uploads),
        )
        for path in ("/", "/config", "/gradio_api/info", "/openapi.json")
    ]
)
def test_paths(case, server):
    case.check(server)


def leaked(text: str, uploads: Path) -> list[str]:
    """Paths of this machine in `text`, but those of uploads."""
    text = text.replace(str(uploads), "")
    return [str(path) for path in (ROOT, Path.home(), Path(sys.prefix), uploads.parent) if f"{path}/" in text]


def test_a_good_question_between_bad_ones(server):
    """A good question after 20 bad ones: the right answer"""
    for _ in range(20):
        with pytest.raises(ValueError):
            server.ask(question=None)
    assert server.ask() == ANSWER


def test_a_conversation_beyond_the_positions(app):
    """Questions of 1,000 characters until the model has no positions left: refused in words"""
    reader = app.Reader(str(ROOT / "checkpoints" / "minimonkey-tiny"))
    turns = [("a b " * 200, "c d " * 50)] * 3
    with pytest.raises(app.gr.Error, match="positions"):
        list(reader.answer(Image.open(PAGE), "Read the text.", turns, 1.0, "any"))


def test_uploads_are_kept_apart(app, monkeypatch):
    """Where uploads are kept by default: in a folder that only its user can read, removed at the end"""
    found = []
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    monkeypatch.setattr(sys, "argv", ["app.py"])
    monkeypatch.setattr(app, "Reader", lambda name: None)

    def build(reader):
        folder = Path(app.os.environ["GRADIO_TEMP_DIR"])
        found.extend([folder, oct(folder.stat().st_mode & 0o777)])
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "build", build)
    with pytest.raises(KeyboardInterrupt):
        app.main()
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    assert found[1] == "0o700" and not found[0].exists()
