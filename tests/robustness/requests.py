"""Requests to a server, bad and good ones."""

import base64
import json
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image


PAGE = Path(__file__).resolve().parents[2] / "examples" / "page.png"


def data_url(data: bytes = PAGE.read_bytes(), kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def picture(width: int, height: int) -> str:
    file = BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    return data_url(file.getvalue())


def image(url: Any = None) -> dict:
    return {"type": "image_url", "image_url": {"url": data_url() if url is None else url}}


def text(words: Any = "Read the text.") -> dict:
    return {"type": "text", "text": words}


def body(*content: Any, role: Any = "user", **fields: Any) -> bytes:
    """A request of one message; without content, it asks for the text of the demo's page."""
    messages = [{"role": role, "content": list(content) or [image(), text()]}]
    return json.dumps({"messages": messages, "temperature": 0, "max_tokens": 30} | fields).encode()


def no_messages(**fields: Any) -> bytes:
    return json.dumps({"messages": [], **fields}).encode()


DEEP = b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"

# What was tried, the request, words of the answer. All are answered with 400.
BAD = [
    ("half a JSON", body()[:-20], "not JSON"),
    ("an empty request", b"", "not JSON"),
    ("bytes that are no text", b"\xff\xfe\x00", "not JSON"),
    ("JSON nested 100,000 deep", DEEP, "nested too deeply"),
    ("NaN as a temperature", body().replace(b'"temperature": 0', b'"temperature": NaN'), "NaN is not a number"),
    ("a list in place of a request", b"[]", "must be an object"),
    ("no messages", no_messages(), "`messages` must be a list"),
    ("messages that are null", json.dumps({"messages": None}).encode(), "got nothing"),
    ("messages that are a string", json.dumps({"messages": "hello"}).encode(), "got a string"),
    ("a message that is a string", json.dumps({"messages": ["hello"]}).encode(), "messages[0] must be an object"),
    ("a message without role", json.dumps({"messages": [{"content": "x"}]}).encode(), "messages[0].role"),
    ("an unknown role", body(role="wizard"), "got wizard"),
    ("a role that is a number", body(role=7), "messages[0].role"),
    ("a role that is a list", body(role=["user"]), "messages[0].role"),
    ("a message without content", json.dumps({"messages": [{"role": "user"}]}).encode(), "messages[0].content"),
    ("content that is a number", json.dumps({"messages": [{"role": "user", "content": 3}]}).encode(), "a number"),
    ("a tool's message", body(role="tool"), "got tool"),
    (
        "tool calls in a message",
        json.dumps({"messages": [{"role": "assistant", "content": "x", "tool_calls": [{}]}]}).encode(),
        "tool_calls",
    ),
    ("an unknown block", body({"type": "video_url", "video_url": {"url": "x"}}), "got video_url"),
    ("a block without type", body({"text": "x"}), "messages[0].content[0]"),
    ("a block of the type null", body({"type": None}), "messages[0].content[0]"),
    ("a block of the type list", body({"type": ["text"]}), "messages[0].content[0]"),
    ("a block that is a string", body("hello"), "got a string"),
    ("a text that is null", body(text(None)), "content[0].text must be a string, got nothing"),
    ("a text that is a number", body(text(5)), "content[0].text must be a string, got a number"),
    ("a text with a lone surrogate", body(text("a\ud800b")), "surrogate"),
    ("more blocks than allowed", body(*[text("x")] * 1000), "1,001 messages and blocks"),
    (
        "more messages than allowed",
        json.dumps({"messages": [{"role": "user", "content": "x"}] * 1001}).encode(),
        "1,001",
    ),
    ("a list of a million numbers", b'{"messages": [' + b"0," * 1_000_000 + b"0]}", "values or commas"),
    ("an image in a text block", body({**image(), **text()}), "content[0] has a `image_url`"),
    ("a text in an image block", body({**text(), **image()}), "content[0] has a `text`"),
    ("a path beside a URL", body({**image(), "path": "/etc/passwd"}), "content[0] has a `path`"),
    ("a path in a URL's object", body({"type": "image_url", "image_url": {"url": data_url(), "path": "x"}}), "`path`"),
    ("a file's number beside a URL", body({**image(), "file_id": "file-1"}), "content[0] has a `file_id`"),
    (
        "a name that is an object",
        json.dumps({"messages": [{"role": "user", "content": "x", "name": {}}]}).encode(),
        "name",
    ),
    ("a text of 2 MB", body(text("word " * 400_000)), "characters"),
    ("an image without URL", body({"type": "image_url"}), "content[0].image_url"),
    ("a URL that is a number", body(image(5)), "content[0].image_url"),
    ("an empty URL", body(image("")), "content[0]"),
    ("a path of the server", body(image(str(PAGE))), "path"),
    ("a relative path", body(image("examples/page.png")), "content[0]"),
    ("a file:// address", body(image(PAGE.as_uri())), "content[0]"),
    ("an address", body(image("http://127.0.0.1:9/x.png")), "127.0.0.1"),
    ("an ftp address", body(image("ftp://127.0.0.1/x.png")), "content[0]"),
    ("a password file", body(image("/etc/passwd")), "content[0]"),
    ("bad base64", body(image("data:image/png;base64,!!!")), "content[0].image_url"),
    ("base64 of a text", body(image(data_url(b"hello, this is no image"))), "no image format"),
    ("half an image", body(image(data_url(PAGE.read_bytes()[:400])), text()), "can't be decoded"),
    ("an image larger than allowed", body(image(picture(9000, 9000)), text()), "megapixels"),
    ("images larger than allowed together", body(*[image(picture(6000, 6000))] * 2, text()), "megapixels"),
    ("more text than the model has positions", body(text("word " * 1500)), "2,048 positions"),
    ("the same, to be streamed", body(text("word " * 1500), stream=True), "2,048 positions"),
    ("an assistant who begins", body(text("Hello."), role="assistant"), "begins with a user message"),
    ("an image of the system's", body(image(), role="system"), "A system message can't hold"),
    ("17 images", body(*[image(picture(8, 8))] * 17), "more than 16 images"),
    ("more tiles than allowed", body(chat_template_kwargs={"detailed_tiles": [256, 256]}), "max_tiles"),
    ("tiles that are words", body(chat_template_kwargs={"detailed_tiles": "many"}), "detailed_tiles"),
    ("an unknown pyramid", body(chat_template_kwargs={"pyramid": "giza"}), "giza"),
    ("a template of the client's", body(chat_template_kwargs={"chat_template": "{{ 7*7 }}"}), "chat_template"),
    ("leave to open paths", body(chat_template_kwargs={"allow_paths": True}), "allow_paths"),
    (
        "leave for control tokens",
        body(chat_template_kwargs={"sanitize_control_tokens": False}),
        "sanitize_control_tokens",
    ),
    ("a list of template arguments", body(chat_template_kwargs=[1]), "must be an object"),
    ("max_tokens of -1", body(max_tokens=-1), "integer of 1 to 1024, got -1"),
    ("max_tokens of 0", body(max_tokens=0), "integer of 1 to 1024, got 0"),
    ("max_tokens of a billion", body(max_tokens=10**9), "integer of 1 to 1024"),
    ("max_tokens of true", body(max_tokens=True), "integer of 1 to 1024, got True"),
    ("max_tokens of 3.5", body(max_tokens=3.5), "integer of 1 to 1024, got 3.5"),
    ("max_tokens in words", body(max_tokens="ten"), "integer of 1 to 1024, got ten"),
    ("a temperature of -1", body(temperature=-1), "`temperature` must be a number of 0 to 2"),
    ("a temperature in words", body(temperature="hot"), "`temperature` must be a number of 0 to 2"),
    ("a top_p of 7", body(top_p=7), "`top_p` must be a number of 0 to 1"),
    ("a seed in words", body(seed="x"), "`seed` must be an integer"),
    ("a seed of 10**30", body(seed=10**30), "`seed` must be an integer"),
    ("stream in words", body(stream="yes"), "`stream` must be true or false"),
    ("stop that is a number", body(stop=3), "`stop` must be one to four strings"),
    ("an empty stop", body(stop=[""]), "`stop` must hold strings"),
    ("a stop of a lone surrogate", body(stop="a\ud800"), "surrogate"),
    ("five answers", body(n=5), "`n` can only be 1"),
    ("probabilities", body(logprobs=True), "`logprobs` can only be False"),
    ("a grammar", body(response_format={"type": "json_object"}), "`response_format`"),
    ("settings of generate", body(generation_config='{"num_beams": 100000}'), "generation_config"),
    ("an unknown field", body(max_tokns=5), "max_tokns"),
    ("another model", body(model="someone/else"), "someone/else"),
    ("a model that is a number", body(model=5), "`model` must be a string"),
]
