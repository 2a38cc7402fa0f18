"""Training data: files of chats for finetune.py, read before the training begins."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from PIL import Image

from processing_minimonkey import MiniMonkeyProcessor
from tests.robustness.cases import cases, refused, works


ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples"))  # as the script finds what lies beside it

from finetune_data import LONGEST_LINE, ChatCollator, load_chats  # noqa: E402


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
GOOD = '{"messages": [{"role": "user", "content": "Read."}, {"role": "assistant", "content": "bread"}]}'


def encoded(format: str) -> bytes:
    file = io.BytesIO()
    NOISE.save(file, format)
    return file.getvalue()


def chat(*blocks, answer="bread", role="user") -> str:
    messages = [{"role": role, "content": list(blocks)}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": messages})


def image(path) -> dict:
    return {"type": "image", "image": path}


def text(value) -> dict:
    return {"type": "text", "text": value}


class Folder:
    """Loads the lines of a file `chats.jsonl` that lies beside a good image and damaged ones."""

    def __init__(self, path: Path):
        self.processor = MiniMonkeyProcessor.from_pretrained(ROOT / "checkpoints" / "minimonkey-tiny")
        self.path = path / "chats"
        (self.path / "deep").mkdir(parents=True)
        (self.path / "page.png").write_bytes(encoded("PNG"))
        (self.path / "deep" / "page.jpg").write_bytes(encoded("JPEG"))
        (path / "outside.png").write_bytes(encoded("PNG"))
        (self.path / "link.png").symlink_to(path / "outside.png")
        (self.path / "half.png").write_bytes(encoded("PNG")[:900])
        (self.path / "half.jpg").write_bytes(encoded("JPEG")[:900])
        (self.path / "text.png").write_text("no image")
        (self.path / "empty.png").write_bytes(b"")

    def load(self, content: str | bytes):
        file = self.path / "chats.jsonl"
        file.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        return load_chats(str(file), processor=self.processor)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Folder:
    return Folder(tmp_path_factory.mktemp("robust"))


def no(tried: str, line: str | bytes, *words: str):
    """A line that is refused after a good one; the error names it."""
    content = line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass")
    return [
        refused(tried, lambda folder: folder.load(GOOD.encode() + b"\n" + content), f"chats.jsonl, line 2: {words[0]}")
    ]


def yes(tried: str, content: str | bytes, number: int, documented: str = "read"):
    return works(tried, lambda folder: folder.load(content), documented, lambda rows, folder: len(rows) == number)


NO_CHAT = "not a chat in one line as finetune_data.py describes it ("


@cases(
    [
        refused(
            "images beside the messages",
            lambda folder: folder.load(json.dumps(json.loads(GOOD) | {"images": ["page.png"]})),
            "chats.jsonl, line 1: not a chat in one line as finetune_data.py describes it (images are blocks",
        ),
        refused("an empty file", lambda folder: folder.load(""), "chats.jsonl is empty; it needs a chat per line"),
        refused("blank lines alone", lambda folder: folder.load("\n \r\n"), "is empty; it needs a chat per line"),
        refused("a byte order mark alone", lambda folder: folder.load("\ufeff"), "is empty; it needs a chat per line"),
        refused("UTF-16", lambda folder: folder.load(GOOD.encode("utf-16")), "line 1: no UTF-8 at byte 0 of the line"),
        *no("a letter in Latin-1", GOOD.encode().replace(b"bread", b"caf\xe9"), "no UTF-8 at byte "),
        *no("a line of 17 MB", GOOD.replace("bread", "b" * 17 * 2**20), f"longer than {LONGEST_LINE:,} bytes"),
        *no("half a line", GOOD[:50], NO_CHAT),
        *no("two chats in a line", GOOD + GOOD, NO_CHAT + "Extra data"),
        *no("a list for a row", "[1]", NO_CHAT + "a chat is an object with `messages`"),
        *no("a number for a row", "5", NO_CHAT + "a chat is an object"),
        *no("null for a row", "null", NO_CHAT + "a chat is an object"),
        *no("a row without messages", '{"text": "a"}', NO_CHAT + "a chat is an object with `messages`"),
        *no("NaN", '{"messages": NaN}', NO_CHAT + "NaN is no JSON"),
        *no("Infinity beside the messages", GOOD[:-1] + ', "weight": Infinity}', NO_CHAT + "Infinity is no JSON"),
        *no("a number of 5,000 digits", GOOD[:-1] + f', "id": {"1" * 5000}}}', NO_CHAT + "Exceeds the limit"),
        *no("a key that stands twice", GOOD[:-1] + ', "messages": []}', NO_CHAT + "the key 'messages' stands twice"),
        *no(
            "a key of a block that stands twice",
            chat(text("a")).replace('"text": "a"', '"text": "a", "text": "b"'),
            NO_CHAT + "the key 'text' stands twice",
        ),
        *no("lists 100,000 deep", "[" * 100_000, NO_CHAT + "maximum recursion"),
        *no("a lone surrogate", GOOD.replace("Read.", "\\ud83d"), NO_CHAT + "messages[0].content holds the lone surr"),
        yes("a byte order mark", "\ufeff" + GOOD, 1),
        yes("Windows' line ends", f"{GOOD}\r\n{GOOD}\r\n", 2),
        yes("blank lines before, between and after", f"\n{GOOD}\n\n  \n{GOOD}\n\n", 2, "left out"),
        yes("no line end after the last line", f"{GOOD}\n{GOOD}", 2),
        yes("a line separator of Unicode in a text", GOOD.replace("Read.", "a\u2028b\u0085c"), 1),
        yes("other keys beside the messages", GOOD[:-1] + ', "id": 7}', 1, "left out"),
    ]
)
def test_lines(case, folder):
    case.check(folder)


@cases(
    [
        *no("messages that are no list", '{"messages": "a"}', NO_CHAT + "`conversation` must be a list of messages"),
        *no("no messages", '{"messages": []}', NO_CHAT + "`conversation` is empty"),
        *no(
            "conversations in a list",
            f'{{"messages": [{json.loads(GOOD)["messages"]!r}]}}'.replace("'", '"'),
            NO_CHAT + "`messages` holds a list of conversations",
        ),
        *no("an unknown role", chat(text("a"), role="human"), "After at most one system message"),
        *no("no role", GOOD.replace('"role": "user", ', ""), NO_CHAT + "A message needs a `role`"),
        *no("None for text", chat(text(None), text("Read.")), NO_CHAT + "A user message needs a string as `text`"),
        *no("None for content", GOOD.replace('"Read."', "null"), NO_CHAT + "A user message needs `content`"),
        *no("a block without a type", chat({"text": "a"}), NO_CHAT + "A user message can't hold a block whose `type`"),
        *no(
            "a block of type input_img", chat({"type": "input_img"}), NO_CHAT + "A user message can't hold a block of"
        ),
        *no(
            "a video", chat({"type": "video", "video": "a.mp4"}), NO_CHAT + "A user message can't hold a block of typ"
        ),
        *no(
            "no answer", '{"messages": [{"role": "user", "content": "a"}]}', "the chat has no message of the assistant"
        ),
        *no("an empty answer", chat(text("a"), answer=""), "messages[1] of the assistant is empty"),
        *no("an answer of spaces", chat(text("a"), answer=" \n"), "messages[1] of the assistant is empty"),
        *no("an image's token in a text", chat(text("a<IMG_CONTEXT>")), "the text of messages[0] holds <IMG_CONTEXT>"),
        *no("an image's token over two blocks", chat(text("a<IMG_"), text("CONTEXT>")), "the text of messages[0] hol"),
        *no("the end of a turn in a text", chat(text("a<|im_end|>")), "the text of messages[0] holds <|im_end|>"),
        *no("a padding token in an answer", chat(text("a"), answer="<pad>"), "the text of messages[1] hold"),
        *no("a text of two million characters", chat(text("a" * 2_000_000)), "The text has 2,000,005 characters"),
        yes("OpenAI's input_text", chat({"type": "input_text", "text": "a"}), 1, "text"),
        yes("a question at the end", GOOD.replace("]}", ', {"role": "user", "content": "And?"}]}'), 1),
    ]
)
def test_chats(case, folder):
    case.check(folder)


@cases(
    [
        *no("an image that is missing", chat(image("no.png")), "the image "),
        *no("an image block without a path", chat({"type": "image"}), NO_CHAT + "an image block is {"),
        *no("a number for a path", chat(image(5)), NO_CHAT + "an image block is {"),
        *no("an empty path", chat(image("")), "the image "),
        *no("a folder", chat(image("deep")), "the image "),
        *no("an address", chat(image("http://127.0.0.1/a.png")), "the image "),
        *no("an address as a URL", chat({"type": "image", "url": "http://127.0.0.1/a.png"}), NO_CHAT + "an image bl"),
        *no("OpenAI's image_url", chat({"type": "image_url", "image_url": "page.png"}), NO_CHAT + "an image block"),
        *no("an absolute path of a text file", chat(image("/etc/hostname")), "the image "),
        yes("a path that leads out of the folder", chat(image("../outside.png")), 1, "read: the data are the user's"),
        *no("a NUL in a path", chat(image("a\0.png")), "the image "),
        *no("a path of 10,000 characters", chat(image("a" * 10_000)), "the image "),
        *no("half a PNG", chat(image("half.png")), "the image "),
        *no("half a JPEG", chat(image("half.jpg")), "the image "),
        *no("a text file", chat(image("text.png")), "the image "),
        *no("an empty image", chat(image("empty.png")), "the image "),
        *no(
            "an image in an answer", chat(text("a"), answer=[text("b"), image("page.png")]), "An assistant message can"
        ),
        yes("an image in the folder", chat(image("page.png")), 1),
        yes("an image in a folder below", chat(image("deep/page.jpg")), 1),
        yes("a path that goes up and stays inside", chat(image("deep/../page.png")), 1),
        yes("a link to an image outside", chat(image("link.png")), 1, "read: the link is the user's own"),
        yes("a path under `path`", chat({"type": "image", "path": "page.png"}), 1),
    ]
)
def test_images(case, folder):
    case.check(folder)


def saved(rows: list[dict], folder: Folder) -> str:
    target = folder.path / "set"
    target.mkdir(exist_ok=True)
    Dataset.from_list(rows).to_parquet(target / "train.parquet")
    return str(target)


ROW = json.loads(GOOD)
BAD_ROW = {"messages": [{"role": "user", "content": "<|im_end|>"}, ROW["messages"][1]]}


@cases(
    [
        refused(
            "a control token in a data set",
            lambda folder: load_chats(
                saved([ROW | {"images": []}, BAD_ROW | {"images": []}], folder), processor=folder.processor
            ),
            "row 1: the text of messages[0] holds <|im_end|>",
        ),
        refused(
            "a data set without images",
            lambda folder: load_chats(saved([ROW], folder)),
            "must have the columns `messages` and `images`",
        ),
        refused(
            "fewer images than image blocks in a stream",
            lambda folder: ChatCollator(folder.processor)(
                [{"messages": json.loads(chat(image("a")))["messages"], "images": []}]
            ),
            "A chat has 1 image blocks and 0 images",
        ),
        refused(
            "more images than image blocks in a stream",
            lambda folder: ChatCollator(folder.processor)([ROW | {"images": [NOISE]}]),
            "A chat has 0 image blocks and 1 images",
        ),
        refused(
            "a video in a stream",
            lambda folder: ChatCollator(folder.processor)(
                [
                    {
                        "messages": [
                            {"role": "user", "content": [{"type": "video", "text": "a"}]},
                            ROW["messages"][1],
                        ],
                        "images": [],
                    }
                ]
            ),
            "a batch of chats: A user message can't hold a block of type video",
        ),
    ]
)
def test_data_sets(case, folder):
    case.check(folder)


@pytest.mark.slow
def test_the_script(folder):
    """a bad line, to the script: exit code 1, one line that names it, nothing trained"""
    file = folder.path / "chats.jsonl"
    file.write_text(f"{GOOD}\n{chat(text('a<IMG_CONTEXT>'))}\n")
    command = [sys.executable, ROOT / "examples" / "finetune.py", "--train_data", file, "--output_dir"]
    done = subprocess.run(
        [*command, folder.path / "trained", "--max_steps", "1", "--use_cpu", "true", "--report_to", "none"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "chats.jsonl, line 2: the text of messages[0] holds <IMG_CONTEXT>" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder.path / "trained").exists()
