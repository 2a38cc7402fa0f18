"""Image strings: what they name, and what of it is opened."""

import base64
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import AutoImageProcessor, AutoProcessor

from benchmarks.sawtooth.readers.reader import make_processor
from processing_minimonkey import MiniMonkeyImageProcessor, MiniMonkeyProcessor
from tests.robustness.cases import cases, refused, works


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    file = BytesIO()
    image.save(file, kind)
    return file.getvalue()


PAGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
DATA = encoded(PAGE)
TEXT = base64.b64encode(DATA).decode()
LINES = base64.encodebytes(DATA).decode()
MIME = LINES.replace("\n", "\r\n ")
FOLDERS = "in the folders of `allow_paths`"


@pytest.fixture(scope="module")
def image_processor() -> MiniMonkeyImageProcessor:
    return MiniMonkeyImageProcessor(size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Files that may be opened (in `allowed`), and others beside them."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "allowed" / "deeper").mkdir(parents=True)
    (folder / "allowed2").mkdir()
    for name in ("secret.png", "allowed/page.png", "allowed/deeper/page.png", "allowed2/page.png", "allowed/Zm9v"):
        (folder / name).write_bytes(DATA)
    (folder / "allowed" / "text.png").write_text("secret " * 100)
    (folder / "allowed" / "empty.png").write_bytes(b"")
    (folder / "allowed" / "link.png").symlink_to(folder / "secret.png")
    (folder / "allowed" / "inner.png").symlink_to(folder / "allowed" / "page.png")
    (folder / "allowed" / "circle.png").symlink_to(folder / "allowed" / "circle.png")
    os.mkfifo(folder / "allowed" / "pipe.png")
    with (folder / "allowed" / "large.png").open("wb") as file:
        file.truncate(101_000_000)  # takes no room on the disk
    return folder


def is_page(output, *subjects) -> bool:
    expected = MiniMonkeyImageProcessor(size=4)(PAGE)["pixel_values"]
    return np.array_equal(output["pixel_values"], expected)


@cases(
    [
        works("base64", lambda p: p(TEXT), "its tiles", is_page),
        works("base64 with line breaks", lambda p: p(LINES), "its tiles", is_page),
        works("base64 with CRLF and spaces", lambda p: p(MIME), "its tiles", is_page),
        works("data URL", lambda p: p(f"data:image/png;base64,{TEXT}"), "its tiles", is_page),
        works("data URL with line breaks", lambda p: p(f"data:image/png;base64,\n{LINES}"), "its tiles", is_page),
        works(
            "data URL of another media type", lambda p: p(f"DATA:application/x;base64,{TEXT}"), "its tiles", is_page
        ),
        works("bytearray", lambda p: p(bytearray(DATA)), "its tiles", is_page),
        works("memoryview", lambda p: p([memoryview(DATA)]), "its tiles", is_page),
        refused("data URL without comma", lambda p: p("data:image/png;base64"), "it is empty"),
        refused("data URL of no base64", lambda p: p("data:image/png;base64,%%%"), "holds no base64"),
        refused("data URL of text", lambda p: p("data:text/plain;base64,aGVsbG8="), "no image format"),
        refused("base64 cut off", lambda p: p(TEXT[:-3]), "no base64"),
        refused("base64 of half a PNG", lambda p: p(TEXT[: len(TEXT) // 8 * 4]), "can't be decoded"),
        refused("base64 of 8 MB that is no image", lambda p: p("A" * 8_000_000), "no base64 of an image"),
        refused("base64 beyond the limit", lambda p: p(TEXT, max_file_bytes=100), "`max_file_bytes` = 100"),
        refused("base64 far beyond the limit", lambda p: p(TEXT * 9, max_file_bytes=100), "`max_file_bytes` = 100"),
        refused("bytes beyond the limit", lambda p: p(DATA, max_file_bytes=100), "`max_file_bytes` = 100"),
        refused("empty string", lambda p: p(""), "no base64"),
        refused("string of spaces", lambda p: p("  \n"), "no base64"),
        refused("lone surrogate", lambda p: p("page\udc80.png"), "no base64"),
        refused("NUL", lambda p: p("page\x00.png"), "no base64"),
        refused("empty bytes", lambda p: p(b""), "it is empty, 0 bytes"),
        refused("path", lambda p: p("/etc/hostname"), "only with `allow_paths`"),
        refused("Path object", lambda p: p(Path("/etc/hostname")), "only with `allow_paths`"),
        refused("path in a row", lambda p: p([[PAGE], [PAGE, "a.png"]]), "images[1][1]"),
        refused("http address", lambda p: p("http://127.0.0.1/a.png"), "only with `allow_urls`"),
        refused("https address, upper case", lambda p: p("HTTPS://127.0.0.1/a.png"), "only with `allow_urls`"),
        refused(
            "file: address", lambda p: p("file:///etc/hostname", allow_paths=True, allow_urls=True), "neither base64"
        ),
        refused("ftp: address", lambda p: p("ftp://127.0.0.1/a", allow_paths=True, allow_urls=True), "neither base64"),
        refused("SVG", lambda p: p(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "looks like SVG"),
        refused("PDF", lambda p: p(b"%PDF-1.7\n"), "looks like a PDF"),
        refused("HEIC", lambda p: p(b"\0\0\0\x18ftypheic\0\0\0\0"), "looks like HEIC"),
        refused("EPS", lambda p: p(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "looks like PostScript"),
        refused("TGA, a format that is not opened", lambda p: p(encoded(PAGE, "TGA")), "no image format"),
        refused("PCX, a format that is not opened", lambda p: p(encoded(PAGE, "PCX")), "no image format"),
    ]
)
def test_strings_and_bytes(case, image_processor):
    case.check(image_processor)


@cases(
    [
        works("a path where all are allowed", lambda p, f: p(f"{f}/secret.png", allow_paths=True), "tiles", is_page),
        works("Path object", lambda p, f: p(f / "secret.png", allow_paths=True), "tiles", is_page),
        works(
            "a file in the folder",
            lambda p, f: p(f"{f}/allowed/page.png", allow_paths=f"{f}/allowed"),
            "tiles",
            is_page,
        ),
        works(
            "a deeper one",
            lambda p, f: p(f"{f}/allowed/deeper/page.png", allow_paths=[f / "allowed"]),
            "tiles",
            is_page,
        ),
        works(
            "a link within it",
            lambda p, f: p(f"{f}/allowed/inner.png", allow_paths=[f"{f}/allowed"]),
            "tiles",
            is_page,
        ),
        works(
            "two folders",
            lambda p, f: p(f"{f}/allowed2/page.png", allow_paths=[f"{f}/allowed", f / "allowed2"]),
            "tiles",
            is_page,
        ),
        works("a file whose name is base64", lambda p, f: p(f"{f}/allowed/Zm9v", allow_paths=True), "tiles", is_page),
        works("base64 where paths are allowed", lambda p, f: p(TEXT, allow_paths=True), "tiles", is_page),
        refused("a file beside the folder", lambda p, f: p(f"{f}/secret.png", allow_paths=f"{f}/allowed"), FOLDERS),
        refused("..", lambda p, f: p(f"{f}/allowed/../secret.png", allow_paths=f"{f}/allowed"), FOLDERS),
        refused(
            "a folder with the name as prefix",
            lambda p, f: p(f"{f}/allowed2/page.png", allow_paths=f"{f}/allowed"),
            FOLDERS,
        ),
        refused("a link that leads out", lambda p, f: p(f"{f}/allowed/link.png", allow_paths=f"{f}/allowed"), FOLDERS),
        refused("a link in a circle", lambda p, f: p(f"{f}/allowed/circle.png", allow_paths=f"{f}/allowed"), FOLDERS),
        refused(
            "a pipe, which never ends", lambda p, f: p(f"{f}/allowed/pipe.png", allow_paths=True), "a file that can be"
        ),
        refused("a device, which never ends", lambda p, f: p("/dev/zero", allow_paths=True), "a file that can be"),
        refused("a folder", lambda p, f: p(f"{f}/allowed", allow_paths=True), "a file that can be read"),
        refused("no such file", lambda p, f: p(f"{f}/allowed/no.png", allow_paths=f"{f}/allowed"), FOLDERS),
        refused("no folder at all", lambda p, f: p(f"{f}/secret.png", allow_paths=[]), FOLDERS),
        refused(
            "101 MB, before they are read",
            lambda p, f: p(f"{f}/allowed/large.png", allow_paths=True),
            "`max_file_bytes`",
        ),
        refused("an empty file", lambda p, f: p(f"{f}/allowed/empty.png", allow_paths=True), "it is empty"),
        refused("a text file", lambda p, f: p(f"{f}/allowed/text.png", allow_paths=True), "no image format"),
        refused("NUL", lambda p, f: p(f"{f}/allowed/\x00", allow_paths=True), "a file that can be read"),
        refused("lone surrogate", lambda p, f: p(f"{f}/\ud800.png", allow_paths=True), "a file that can be read"),
        refused("a name of a megabyte", lambda p, f: p("a/" * 500_000, allow_paths=True), "a file that can be read"),
        refused("a data URL is no path", lambda p, f: p("data:../../secret.png", allow_paths=True), "it is empty"),
    ]
)
def test_paths(case, image_processor, folder):
    case.check(image_processor, folder)


def test_base64_is_not_looked_for_among_the_files(image_processor, monkeypatch):
    """Base64: never the name of a file that is looked for"""

    def look(*args, **kwargs):
        raise AssertionError("the file system was asked")

    for name in ("stat", "lstat", "open", "readlink"):
        monkeypatch.setattr(os, name, look)
    assert is_page(image_processor(TEXT))
    with pytest.raises(ValueError, match="allow_paths"):
        image_processor("/etc/hostname")


# Addresses.


class Handler(BaseHTTPRequestHandler):
    """Answers by the path; what it was asked is in `server.asked`."""

    def do_GET(self):
        self.server.asked.append(self.path)
        name, _, rest = self.path.lstrip("/").partition("/")
        try:
            getattr(self, f"send_{name.partition('?')[0]}")(rest)
        except OSError:  # the client went away
            pass

    def send(self, data: bytes, status: int = 200, **headers) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(data)

    def send_page(self, rest):
        self.send(DATA, content_length=len(DATA))

    def send_text(self, rest):
        self.send(b"hello", content_type="image/png")

    def send_status(self, rest):
        self.send(DATA, int(rest))

    def send_redirect(self, rest):
        self.send(b"", 302, location=rest)

    def send_circle(self, rest):
        self.send(b"", 307, location="/circle")

    def send_cut(self, rest):
        self.send(DATA[:100], content_length=len(DATA))

    def send_announced(self, rest):
        self.send(b"", content_length=2 * 2**30)

    def send_endless(self, rest):
        self.send_response(200)
        self.end_headers()
        for _ in range(2**11):  # 128 MB, for who reads them
            self.wfile.write(bytes(2**16))

    def send_drip(self, rest):
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        for byte in DATA:
            self.wfile.write(bytes([byte]))
            time.sleep(0.05)

    def send_headers(self, rest):
        for _ in range(1000):
            self.wfile.write(b"HTTP/1.1 200 OK"[:1])
            time.sleep(0.05)

    def send_silent(self, rest):
        time.sleep(3)

    def send_nonsense(self, rest):
        self.wfile.write(b"\x00\x01\x02 no HTTP\r\n\r\n")

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.asked = True, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


ALL = {"allow_urls": True, "fetch_seconds": 5}
SOON = {"allow_urls": True, "fetch_seconds": 0.5}


@cases(
    [
        works("an address where all are allowed", lambda p, s: p(f"{s.url}/page", **ALL), "its tiles", is_page),
        works("a permitted host", lambda p, s: p(f"{s.url}/page", allow_urls=["127.0.0.1"]), "its tiles", is_page),
        works(
            "a redirect to a permitted host",
            lambda p, s: p(f"{s.url}/redirect/{s.url}/page", allow_urls=["127.0.0.1"]),
            "its tiles",
            is_page,
        ),
        works("a redirect without host", lambda p, s: p(f"{s.url}/redirect//page?a=b", **ALL), "its tiles", is_page),
        works(
            "letters beyond ASCII", lambda p, s: p(f"{s.url}/page?seite=größe und mehr", **ALL), "its tiles", is_page
        ),
        refused("another host", lambda p, s: p(f"{s.url}/page", allow_urls=["example.com"]), "none of `allow_urls`"),
        refused("no host", lambda p, s: p(f"{s.url}/page", allow_urls=[]), "none of `allow_urls`"),
        refused(
            "a redirect to another host",
            lambda p, s: p(f"{s.url}/redirect/http://localhost:{s.server_port}/page", allow_urls=["127.0.0.1"]),
            "'localhost' is none of `allow_urls`",
        ),
        refused("a redirect to a file", lambda p, s: p(f"{s.url}/redirect/file:///etc/hostname", **ALL), "no http(s)"),
        refused("a redirect to ftp", lambda p, s: p(f"{s.url}/redirect/ftp://127.0.0.1/a", **ALL), "no http(s)"),
        refused("redirects in a circle", lambda p, s: p(f"{s.url}/circle", **ALL), "more than 5 redirects"),
        refused("404", lambda p, s: p(f"{s.url}/status/404", **ALL), "answers 404"),
        refused("500", lambda p, s: p(f"{s.url}/status/500", **ALL), "answers 500"),
        refused("text", lambda p, s: p(f"{s.url}/text", **ALL), "no image format"),
        refused("half of it", lambda p, s: p(f"{s.url}/cut", **ALL), "decoded"),
        refused("2 GB announced", lambda p, s: p(f"{s.url}/announced", **ALL), "`max_file_bytes`"),
        refused(
            "128 MB that come, where 1 MB is permitted",
            lambda p, s: p(f"{s.url}/endless", max_file_bytes=10**6, **ALL),
            "`max_file_bytes`",
        ),
        refused("a byte now and then", lambda p, s: p(f"{s.url}/drip", **SOON), "within `fetch_seconds`"),
        refused("headers byte by byte", lambda p, s: p(f"{s.url}/headers", **SOON), "within `fetch_seconds`"),
        refused("no answer", lambda p, s: p(f"{s.url}/silent", **SOON), "within `fetch_seconds`"),
        refused("a hundred slow ones", lambda p, s: p([f"{s.url}/drip"] * 100, **SOON), "within `fetch_seconds`"),
        refused("no HTTP", lambda p, s: p(f"{s.url}/nonsense", **ALL), "can't be fetched"),
        refused("TLS to a server without", lambda p, s: p(f"https{s.url[4:]}/page", **ALL), "can't be fetched"),
        refused("nobody listens", lambda p, s: p(f"http://127.0.0.1:{free_port()}/a", **ALL), "can't be fetched"),
        refused(
            "a user before the host",
            lambda p, s: p(f"http://example.com@127.0.0.1:{s.server_port}/page", **ALL),
            "no http(s)",
        ),
        refused("no host in it", lambda p, s: p("http:///page", **ALL), "no http(s) address"),
        refused("a port that is none", lambda p, s: p("http://127.0.0.1:99999/", **ALL), "out of range"),
        refused("half an IPv6 address", lambda p, s: p("http://[::1/", **ALL), "IPv6"),
        refused("a host of 300 letters", lambda p, s: p(f"http://{'a' * 300}/", **ALL), "can't be opened"),
        refused("a lone surrogate", lambda p, s: p(f"{s.url}/\udc80", **ALL), "can't be opened"),
        refused("a megabyte", lambda p, s: p(f"{s.url}/page?{'a' * 10**6}", **ALL), "answers 414"),
    ]
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_addresses(case, image_processor, server):
    begun = time.monotonic()
    case.check(image_processor, server)
    assert time.monotonic() - begun < 10


def test_a_handshake_that_drips():
    """TLS whose handshake comes byte by byte: ended by `fetch_seconds`, too"""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def drip() -> None:
            try:
                connected, _ = listening.accept()
                for byte in b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc" + bytes(200):
                    connected.sendall(bytes([byte]))
                    time.sleep(0.05)
            except OSError:  # the client went away
                pass

        threading.Thread(target=drip, daemon=True).start()
        begun = time.monotonic()
        with pytest.raises(ValueError, match="within `fetch_seconds`"):
            MiniMonkeyImageProcessor(size=4)(f"https://127.0.0.1:{listening.getsockname()[1]}/", **SOON)
        assert time.monotonic() - begun < 3


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def test_no_proxy_is_asked(image_processor, server, monkeypatch):
    """A proxy of the environment: not asked, the permitted host is"""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert is_page(image_processor(f"{server.url}/page", allow_urls=["127.0.0.1"]))


def test_nothing_is_asked_without_permission(image_processor, server):
    """An address without permission: no connection"""
    asked = len(server.asked)
    for settings in ({}, {"allow_urls": ["example.com"]}, {"allow_paths": True}):
        with pytest.raises(ValueError, match="allow_urls|neither"):
            image_processor(f"{server.url}/page", **settings)
    assert len(server.asked) == asked


# Permissions come from callers, never from files.


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("processor")
    processor = make_processor()
    processor.image_processor = MiniMonkeyImageProcessor(size=8, allow_paths=True, allow_urls=["example.com"])
    processor.save_pretrained(folder)
    processor.image_processor.save_pretrained(folder / "images")
    return folder


def test_permissions_are_not_saved(saved):
    """A processor that may open paths and addresses, saved: the files don't say so"""
    for file in saved.rglob("*.json"):
        assert "allow_" not in file.read_text(), file
    assert AutoProcessor.from_pretrained(saved).image_processor.allow_paths is False
    assert AutoImageProcessor.from_pretrained(saved / "images").allow_urls is False


@pytest.mark.parametrize("load", [AutoProcessor.from_pretrained, MiniMonkeyProcessor.from_pretrained])
def test_permissions_at_loading(saved, folder, load):
    """`from_pretrained(folder, allow_paths=...)`: paths in chats and calls are opened"""
    processor = load(saved, allow_paths=folder / "allowed")
    content = [{"type": "image", "path": f"{folder}/allowed/page.png"}, {"type": "text", "text": "Read."}]
    chat = [{"role": "user", "content": content}]
    assert len(processor.prepare_chat(chat)["pixel_values"]) > 0
    content[0]["path"] = f"{folder}/secret.png"
    with pytest.raises(ValueError, match="allow_paths"):
        processor.prepare_chat(chat)


@pytest.mark.parametrize("name", ["allow_paths", "allow_urls"])
@pytest.mark.parametrize("value", [True, ["/"], False])
def test_a_file_that_permits_is_refused(saved, tmp_path, name, value):
    """A folder whose file sets `allow_paths` or `allow_urls`: ValueError that names the setting"""
    settings = json.loads((saved / "images" / "preprocessor_config.json").read_text()) | {name: value}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    for load in (
        MiniMonkeyImageProcessor.from_pretrained,
        AutoImageProcessor.from_pretrained,
        lambda path: MiniMonkeyImageProcessor.from_json_file(path / "preprocessor_config.json"),
    ):
        with pytest.raises(ValueError, match=f"A file must not set `{name}`"):
            load(tmp_path)


@pytest.mark.parametrize("content", ["[]", "null", "5", "[" * 100_000, "{", '"x"'])
def test_a_file_without_settings_is_refused(tmp_path, content):
    """JSON that holds no settings: a ValueError"""
    (tmp_path / "preprocessor_config.json").write_text(content)
    with pytest.raises(ValueError):
        MiniMonkeyImageProcessor.from_json_file(tmp_path / "preprocessor_config.json")


def test_a_processor_file_that_permits_is_refused(saved, tmp_path):
    """The same in `processor_config.json`, nested or not, and in the tokenizer's file: nothing is opened"""
    for file in saved.glob("*.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "processor_config.json").read_text())
    nested = config | {"image_processor": config["image_processor"] | {"allow_paths": True}}
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    with pytest.raises(ValueError, match="A file must not set `allow_paths`"):
        AutoProcessor.from_pretrained(tmp_path)
    outer = config | {"allow_paths": True, "images_kwargs": {"allow_paths": True}}
    (tmp_path / "processor_config.json").write_text(json.dumps(outer))
    tokenizer = json.loads((tmp_path / "tokenizer_config.json").read_text()) | {"allow_paths": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    processor = AutoProcessor.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="allow_paths"):
        processor(images="/etc/hostname", text=processor.image_token)


@cases(
    [
        refused(
            f"a `{key}` block in a chat",
            lambda p, f, key=key: p.prepare_chat(
                [{"role": "user", "content": [{"type": "image", key: f"{f}/secret.png"}]}]
            ),
            "only with `allow_paths`",
        )
        for key in ("image", "path", "url", "base64")
    ]
    + [
        works(
            "a `base64` block with line breaks",
            lambda p, f: p.prepare_chat([{"role": "user", "content": [{"type": "image", "base64": LINES}]}]),
            "tiles",
            lambda out, p, f: len(out["pixel_values"]) > 0,
        ),
        works(
            "a path, permitted by the chat's call",
            lambda p, f: p.prepare_chat(
                [{"role": "user", "content": [{"type": "image", "path": f"{f}/secret.png"}]}], allow_paths=f
            ),
            "tiles",
            lambda out, p, f: len(out["pixel_values"]) > 0,
        ),
        works(
            "a path, permitted in `images_kwargs`",
            lambda p, f: p(f"{f}/secret.png", p.image_token, images_kwargs={"allow_paths": [f]}),
            "tiles",
            lambda out, p, f: len(out["pixel_values"]) > 0,
        ),
        works(
            "rows of paths",
            lambda p, f: p([[f"{f}/secret.png"], None], [p.image_token, "a"], allow_paths=True),
            "tiles",
            lambda out, p, f: len(out["pixel_values"]) > 0,
        ),
        refused("a path in a call", lambda p, f: p(f"{f}/secret.png", p.image_token), "only with `allow_paths`"),
    ]
)
def test_processor(case, saved, folder):
    case.check(AutoProcessor.from_pretrained(saved), folder)
