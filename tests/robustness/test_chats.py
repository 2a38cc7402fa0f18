"""Conversations: messages, roles and blocks."""

import copy
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from transformers.utils.chat_template_utils import render_jinja_template

from processing_minimonkey import MiniMonkeyProcessor
from processing_minimonkey.chat_templates import chat_template
from tests.processing.conftest import small_processor
from tests.robustness.cases import cases, refused, works


ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = {
    "internvl2": "chat_template_internvl2.jinja",
    "phi3": "chat_template_phi3.jinja",
    "tiny": ROOT / "benchmarks" / "sawtooth" / "readers" / "chat_template.jinja",
}
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8))
TEXT = {"type": "text", "text": "Read."}
IMAGE = {"type": "image", "image": NOISE}


@pytest.fixture(scope="module")
def processor() -> MiniMonkeyProcessor:
    return small_processor("<s>")


def user(*content) -> list[dict]:
    return [{"role": "user", "content": list(content)}]


def say(text, **more) -> dict:
    return {"role": "user", "content": text, **more}


def answer(content) -> dict:
    return {"role": "assistant", "content": content}


def prepare(conversation):
    """Tokens of the conversation, after a look at whether it was left as it is."""

    def call(processor):
        before = copy.deepcopy(conversation) if isinstance(conversation, (list, tuple)) else None
        inputs = processor.prepare_chat(conversation)
        assert before is None or before == conversation
        return inputs

    return call


def same_as(conversation):
    """Whether the inputs are those of another conversation."""

    def holds(inputs, processor):
        expected = processor.prepare_chat(conversation)
        return inputs.keys() == expected.keys() and all((inputs[name] == expected[name]).all() for name in expected)

    return holds


def no(tried: str, conversation, words: str, error: type[Exception] = ValueError):
    return refused(tried, prepare(conversation), words, error)


def yes(tried: str, conversation, documented: str, other):
    return works(tried, prepare(conversation), documented, same_as(other))


def nested(depth: int) -> list:
    value = []
    for _ in range(depth):
        value = [value]
    return value


@dataclass
class Message:
    role: str
    content: str
    name: str | None = None


class Pydantic:
    """As OpenAI's client returns messages."""

    def model_dump(self) -> dict:
        return {"role": "user", "content": "Read.", "refusal": None}

    def __eq__(self, other) -> bool:
        return isinstance(other, Pydantic)


@cases(
    [
        no("a string for a conversation", "Read.", "`conversation` must be a list of messages", TypeError),
        no("one message without a list", say("a"), "must be a list of messages or a list of such lists", TypeError),
        no("None for a conversation", None, "got None", TypeError),
        no("a number for a conversation", 5, "`conversation` must be a list of messages", TypeError),
        no("a generator for a conversation", (m for m in []), "got a value of type generator", TypeError),
        no("no messages", [], "`conversation` is empty"),
        no("a batch with an empty conversation", [[say("a")], []], "conversation[1] is empty"),
        no("a batch with a message in it", [[say("a")], say("b")], "conversation[1] must be a list", TypeError),
        no("a message that is a list", [say("a"), [say("b")]], "(messages[1])", TypeError),
        no("a message that is a string", ["Read."], "A message must be a dictionary with `role`", TypeError),
        no("a batch of batches", [[[say("a")]]], "(messages[0] of conversation[0])", TypeError),
        no("an object for a message", [SimpleNamespace(role="user", content="a")], "SimpleNamespace", TypeError),
        refused(
            "a message nested 100,000 deep",
            lambda p: p.prepare_chat([say("a", extra=nested(100_000))]),
            "nested too deeply",
        ),
        yes("a tuple of messages", (say("Read."),), "as a list", [say("Read.")]),
        yes("a data class for a message", [Message("user", "Read.")], "as a dictionary", [say("Read.")]),
        yes("a pydantic model for a message", [Pydantic()], "as a dictionary", [say("Read.")]),
        yes("an object with `messages`", SimpleNamespace(messages=[say("Read.")]), "as its list", [say("Read.")]),
    ]
)
def test_messages(case, processor):
    case.check(processor)


@cases(
    [
        no("no role", [{"content": "a"}], "A message needs a `role`, a string such as 'user'; got None", TypeError),
        no("a number for a role", [{"role": 5, "content": "a"}], "got 5 (messages[0])", TypeError),
        no("a list for a role", [{"role": ["user"], "content": "a"}], "got a value of type list", TypeError),
        no("an unknown role", [say("a"), {"role": "tool", "content": "b"}], "got the role tool (messages[1])"),
        no("a role in capitals", [{"role": "User", "content": "a"}], "got the role User (messages[0])"),
        no("a role of 1 MB", [{"role": "x" * 2**20, "content": "a"}], "got the role xxx"),
        no("a control token in a role", [{"role": "user<|im_end|>", "content": "a"}], "<|im_end|>"),
        no("ShareGPT's names", [{"from": "human", "value": "a"}], "A message needs a `role`", TypeError),
        no("a conversation that begins with an answer", [answer("a")], "got the role assistant (messages[0])"),
        no(
            "an answer after the system's message",
            [{"role": "system", "content": "a"}, answer("b")],
            "got the role assistant (messages[1])",
        ),
        no("a system message later", [say("a"), {"role": "system", "content": "b"}], "got the role system"),
        no("an image of the system", [{"role": "system", "content": [IMAGE]}], "A system message can't hold"),
        no("an image in an answer", [say("a"), answer([IMAGE])], "An assistant message can't hold a block of type"),
    ]
)
def test_roles(case, processor):
    case.check(processor)


CONTENT = "A user message needs `content`: a string, or a list of text and image blocks; got "


@cases(
    [
        no("no content", [{"role": "user"}], CONTENT + "None (messages[0])", TypeError),
        no("None for content", [say(None)], CONTENT + "None", TypeError),
        no("a number for content", [say(5)], CONTENT + "5", TypeError),
        no("NaN for content", [say(float("nan"))], CONTENT + "nan", TypeError),
        no("bytes for content", [say(b"a")], CONTENT + "a value of type bytes", TypeError),
        no("an image for content", [say(NOISE)], CONTENT + "a value of type Image", TypeError),
        no("a block for content", [say(TEXT)], CONTENT + "a value of type dict", TypeError),
        no("images beside the content", [say("a", images=[NOISE])], "no key `images` (messages[0])"),
        no("a string among the blocks", user("a"), "got 'a' (messages[0].content[0])", TypeError),
        no("None among the blocks", user(TEXT, None), "got None (messages[0].content[1])", TypeError),
        no("a list among the blocks", user([TEXT]), "got a value of type list", TypeError),
        no("a block without a type", user({"text": "a"}), "whose `type` is None", ValueError),
        no("a number for a type", user({"type": 5}), "whose `type` is 5"),
        no("a list for a type", user({"type": ["text"]}), "whose `type` is a value of type list"),
        no("a block of type Image", user({"type": "Image", "image": NOISE}), "can't hold a block of type Image"),
        no("a block of type img", user(TEXT, {"type": "img"}), "type img: this model reads text and images"),
        no("a block of type TEXT", user({"type": "TEXT", "text": "a"}), "can't hold a block of type TEXT"),
        no("a type with a space", user({"type": "text ", "text": "a"}), "in blocks of type 'text' or 'image'"),
        no("a video", user({"type": "video", "video": "a.mp4"}), "of type video: this model reads text and images"),
        no("OpenAI's audio", user({"type": "input_audio", "input_audio": {}}), "can't hold a block of type input_au"),
        no("OpenAI's file", user({"type": "file", "file": {}}), "can't hold a block of type file"),
        no("a tool's result", user({"type": "tool_result", "content": "a"}), "block of type tool_result"),
        no("a type of 1 MB", user({"type": "x" * 2**20}), "can't hold a block of type xxx"),
        no("None for text", user({"type": "text", "text": None}), "`text` of each text block, got None", TypeError),
        no("a number for text", user({"type": "text", "text": 5}), "got 5 (messages[0].content[0])", TypeError),
        no("a list for text", user({"type": "text", "text": ["a"]}), "got a value of type list", TypeError),
        no("text under another name", user({"type": "text", "content": "a"}), "got None", TypeError),
        no("text with an image", user({**TEXT, "image": NOISE}), "`image` needs a block of its own"),
        no("an image with text", user({**IMAGE, "text": "a"}), "`text` needs a block of its own"),
        no("two images in a block", user({**IMAGE, "url": "a.png"}), "got `image`, `url` (messages[0].content[0])"),
        no("an image block without an image", user({"type": "image"}), "found 1 tokens and 0 images"),
        no("None for an image", user({"type": "image", "image": None}), "found 1 tokens and 0 images"),
        no("image_url in an image block", user({"type": "image", "image_url": "a"}), "got `image_url`"),
        no("image_url without an address", user({"type": "image_url"}), "A block of type image_url needs `image_url`"),
        no("image_url that is empty", user({"type": "image_url", "image_url": {}}), "or a dictionary with `url`"),
        no("input_image by a file's id", user({"type": "input_image", "file_id": "a"}), "needs `image_url`"),
        yes("no blocks", [say([])], "as no text", [say("")]),
        yes("empty text", user({"type": "text", "text": ""}), "as no text", [say("")]),
        yes("input_text", user({"type": "input_text", "text": "Read."}), "as text", user(TEXT)),
        yes("output_text", user({"type": "output_text", "text": "Read."}), "as text", user(TEXT)),
        yes(
            "image_url in a dictionary",
            user({"type": "image_url", "image_url": {"url": NOISE, "detail": "low"}}, TEXT),
            "as an image",
            user(IMAGE, TEXT),
        ),
        yes("image_url", user({"type": "image_url", "image_url": NOISE}), "as an image", user(IMAGE)),
        yes("input_image", user({"type": "input_image", "image_url": NOISE}), "as an image", user(IMAGE)),
        yes(
            "what a data set's columns fill with None",
            user({**TEXT, "image": None, "url": None}, {**IMAGE, "text": None}),
            "as if it wasn't there",
            user(TEXT, IMAGE),
        ),
    ]
)
def test_blocks(case, processor):
    case.check(processor)


@cases(
    [
        refused(
            "a template that isn't one",
            lambda p: p.apply_chat_template([say("a")], chat_template="{% if"),
            "unexpected 'end of template'",
        ),
        refused(
            "a number for `processor_kwargs`",
            lambda p: p.apply_chat_template([say("a")], processor_kwargs=5),
            "`processor_kwargs` must be a dictionary, got 5",
            TypeError,
        ),
        refused(
            'sanitize_control_tokens="no"',
            lambda p: p.apply_chat_template([say("a")], tokenize=True, sanitize_control_tokens="no"),
            "`sanitize_control_tokens` must be True or False, got 'no'",
            TypeError,
        ),
    ]
)
def test_arguments(case, processor):
    case.check(processor)


@cases(
    [
        refused(f"{tried}, {name}", lambda message=message, name=name: render(name, message), words, Exception)
        for name in TEMPLATES
        for tried, message, words in [
            ("None for content", say(None), "needs `content`: a string, or a list of text and image blocks; got None"),
            ("a number for content", say(5), "got 5 (messages[1])"),
            ("a string among the blocks", say(["a"]), "(messages[1].content[0])"),
            ("a block without a type", say([TEXT, {"text": "a"}]), "a block of type none"),
            ("a video", say([{"type": "video"}]), "can't hold a block of type video: text can stand anywhere, images"),
            ("None for text", say([{"type": "text", "text": None}]), "needs a string as `text` of each text block"),
            ("an image before None for text", say([IMAGE, {"type": "text"}]), "(messages[1].content[1])"),
            ("an image in an answer", answer([IMAGE]), "An assistant message can't hold a block of type image"),
            ("a role of 1 MB", {"role": "x" * 2**20, "content": "a"}, "got the role xxx"),
            ("no role", {"content": "a"}, "got the role none (messages[1])"),
        ]
    ]
)
def test_templates_by_themselves(case):
    with pytest.raises(Exception, match="messages") as raised:  # jinja's own kind of error
        case.call()
    assert case.words in str(raised.value) and len(str(raised.value)) < 600


def render(name: str, message: dict) -> str:
    """As vLLM writes prompts, past our processor."""
    (text,), _ = render_jinja_template([[say("a"), message]], chat_template=chat_template(TEMPLATES[name]))
    return text
