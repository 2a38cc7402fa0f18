"""Text: what stands where prompts should, its length and its characters."""

import numpy as np
import pytest
from PIL import Image

from processing_minimonkey import MiniMonkeyProcessor
from tests.processing.conftest import small_processor
from tests.robustness.cases import cases, refused, works


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8))
ORDER = "Images come first: the order is `processor(images, text)`."


@pytest.fixture(scope="module")
def processor() -> MiniMonkeyProcessor:
    return small_processor("<s>")


def no(tried: str, text, words: str):
    return refused(tried, lambda p: p(text=text), words)


def ids(text: str) -> list[int]:
    """Of the tests' tokenizer: <s> and a token per byte of UTF-8."""
    processor = small_processor("<s>")
    return [256, *processor.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)]


def yes(tried: str, text, documented: str, *rows: str):
    return works(tried, lambda p: p(text=text), documented, lambda out, p: out["input_ids"] == list(map(ids, rows)))


@cases(
    [
        no("nothing", None, "`text` is missing"),
        no("no rows", [], "a string or list of strings, at least one"),
        no("an empty tuple", (), "at least one"),
        no("a list of ids", [1, 2], "text[0] is 1"),
        no("an array of ids", np.array([1, 2]), "got a value of type ndarray"),
        no("an array of strings", np.array(["a"]), "got a value of type ndarray"),
        no("None among the rows", ["a", None], "text[1] is None"),
        no("bytes", b"a", "got a value of type bytes"),
        no("bytes among the rows", ["a", b"b"], "text[1] is a value of type bytes"),
        no("a number", 5, "must be a string or list of strings, got 5"),
        no("a dictionary", {"text": "a"}, "got a value of type dict"),
        no("a generator", (row for row in "ab"), "got a value of type generator"),
        no("words of a row", [["Read", "it"]], "text[0] is a value of type list"),
        no("messages", [{"role": "user", "content": "a"}], "text[0] is a value of type dict"),
        refused("the image after the text", lambda p: p("Read.", NOISE), ORDER),
        refused("the images after the texts", lambda p: p(["Read."], [NOISE]), ORDER),
        refused("an array after the text", lambda p: p("Read.", np.zeros((8, 8, 3), np.uint8)), ORDER),
        refused("text alone, by position", lambda p: p("Read."), "Images come first"),
        refused("an image alone", lambda p: p(NOISE), "`text` is missing; for pixels alone"),
        yes("an empty string", "", "the start token", ""),
        yes("empty rows", ["", ""], "the start token", "", ""),
        yes("whitespace", " \n\t", "as it is", " \n\t"),
    ]
)
def test_no_text(case, processor):
    case.check(processor)


@cases(
    [
        no("half of a surrogate pair", "ab\ud83d", "text[0] holds the lone surrogate '\\ud83d' at character 2"),
        no("the second half in a later row", ["a", "\ude00"], "text[1] holds the lone surrogate '\\ude00'"),
        no("the halves in the wrong order", "\ude00\ud83d", "text[0] holds the lone surrogate '\\ude00'"),
        refused(
            "half of a pair in a message",
            lambda p: p.prepare_chat([{"role": "user", "content": "a\ud83d"}]),
            "messages[0].content holds the lone surrogate '\\ud83d' at character 1",
        ),
        refused(
            "half of a pair in a block",
            lambda p: p.apply_chat_template([{"role": "user", "content": [{"type": "text", "text": "\udfff"}]}]),
            "messages[0].content[0] holds the lone surrogate",
        ),
        refused(
            "half of a pair in a tool",
            lambda p: p.apply_chat_template(
                [{"role": "user", "content": "a"}],
                tools=[{"type": "function", "function": {"name": "\ud83d"}}],
                chat_template="{{ tools | tojson }}",
                tokenize=True,
            ),
            "text[0] holds the lone surrogate",
        ),
        yes("NUL", "a\0b", "as it is", "a\0b"),
        yes("right-to-left marks", "\u202eعربي\u202c", "as they are", "\u202eعربي\u202c"),
        yes("zero-width characters", "a\u200b\ufeffb", "as they are", "a\u200b\ufeffb"),
        yes("combining characters", "e\u0301" * 9, "as they are", "e\u0301" * 9),
        yes("characters beyond the basic plane", "😀𝔘", "as they are", "😀𝔘"),
        yes("Windows' line ends", "a\r\nb", "as they are", "a\r\nb"),
        yes("code of a template", "{{ 7 * 7 }}{% for %}", "as it is", "{{ 7 * 7 }}{% for %}"),
    ]
)
def test_characters(case, processor):
    case.check(processor)


LONGEST = "`max_text_length` of the processor allows 1,000,000 in a call"


def with_limit(limit: int) -> MiniMonkeyProcessor:
    parts = small_processor("<s>")
    return MiniMonkeyProcessor(
        parts.image_processor,
        parts.tokenizer,
        image_seq_length=parts.image_seq_length,
        chat_template=parts.chat_template,
        max_text_length=limit,
    )


@cases(
    [
        no("a text of 10 MB", "a" * 10**7, f"The text has 10,000,000 characters, and {LONGEST}"),
        no("one character too many in two rows", ["a" * 10**6, "b"], "The text has 1,000,001 characters"),
        refused(
            "a message of 10 MB",
            lambda p: p.prepare_chat([{"role": "user", "content": "a" * 10**7}]),
            "The text has 10,000,000 characters",
        ),
        refused(
            "10 MB in blocks of two conversations",
            lambda p: p.apply_chat_template(
                [[{"role": "user", "content": [{"type": "text", "text": "a" * 5 * 10**6}]}]] * 2
            ),
            "The text has 10,000,000 characters",
        ),
        refused(
            "a million empty messages",
            lambda p: p.prepare_chat([{"role": "user", "content": ""}] * 10**6),
            "`conversation` has 1,000,000 messages and blocks; a call may have 20,000",
        ),
        refused(
            "a million empty blocks in two conversations",
            lambda p: p.prepare_chat([[{"role": "user", "content": [{"type": "text", "text": ""}] * 500_000}]] * 2),
            "1,000,002 messages and blocks",
        ),
        refused(
            "a tool of 10 MB",
            lambda p: p.apply_chat_template(
                [{"role": "user", "content": "a"}],
                tools=[{"type": "function", "function": {"name": "a" * 10**7}}],
                chat_template="{{ tools | tojson }}",
                tokenize=True,
            ),
            LONGEST,
        ),
        *(
            refused(
                f"max_text_length={limit!r}", lambda p, limit=limit: with_limit(limit), "integer of at least 1, got"
            )
            for limit in (0, -1, 2.5, True, "9", None)
        ),
        works(
            "a limit of one's own", lambda p: with_limit(9)(text="a" * 9), "is that", lambda out, p: out["input_ids"]
        ),
        refused("a limit of one's own, and more", lambda p: with_limit(9)(text="a" * 10), "allows 9 in a call"),
    ]
)
def test_lengths(case, processor):
    case.check(processor)
