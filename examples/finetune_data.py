"""Load chats with images to fine-tune on, from JSON Lines or a data set of the Hub, and make batches with labels.

A line of the file is a chat in the format of `processor.apply_chat_template`; images are paths, relative to the file:

    {"messages": [{"role": "user", "content": [{"type": "image", "image": "pages/1.png"},
                                               {"type": "text", "text": "Read the text."}]},
                  {"role": "assistant", "content": "fresh bread"}]}

A data set has the columns `messages`, whose images are `{"type": "image"}`, and `images`, as TRL wants them.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from datasets import Dataset, Image, IterableDataset, List, load_dataset
from datasets.utils import tqdm  # which `datasets.disable_progress_bars` turns off
from PIL import Image as PILImage

from processing_minimonkey.chat_messages import checked_conversation


LONGEST_LINE = 16 * 2**20  # bytes


def load_chats(
    source: str, split: str = "train", streaming: bool = False, processor=None
) -> Dataset | IterableDataset:
    """
    Load chats from a `.jsonl` file, or a data set by its folder or Hub id. What can't be trained on is found here:
    each line of a file is read, each image decoded; of a data set that isn't streamed, the messages are read.

    Args:
        source (`str`): file, folder or Hub id.
        split (`str`, *optional*, defaults to `"train"`): of a data set; a file has no splits.
        streaming (`bool`, *optional*, defaults to `False`):
            Read a data set on demand, instead of fetching all of it first; a file is always loaded.
        processor ([`MiniMonkeyProcessor`], *optional*):
            Looks for what its chat template refuses, and for its control tokens in texts.

    Returns:
        `datasets.Dataset` or `IterableDataset` with `messages` and `images`; images are read on demand.

    Raises:
        ValueError: a line is no chat, or an image isn't there or can't be read; the error names file and line.
    """
    if not source:
        raise ValueError("`source` must be a .jsonl file, or a data set's folder or Hub id, got ''.")
    check = chat_check(processor)
    if not source.endswith(".jsonl"):
        found = load_dataset(source, split=split, streaming=streaming)
        if found.column_names and not {"messages", "images"} <= set(found.column_names):
            raise ValueError(f"{source} must have the columns `messages` and `images`, got {found.column_names}.")
        if not streaming:
            for number, row in enumerate(found.select_columns(["messages"])):
                _in_place(f"{source}, row {number}", lambda row=row: check(_messages(row)))
        return found
    rows = []
    for number, line in tqdm(_lines(source), desc=f"checking {source}", unit=" chats"):
        row = _in_place(f"{source}, line {number}", lambda line=line: _read_line(line, Path(source).parent))
        _in_place(f"{source}, line {number}", lambda row=row: check(row["messages"]))
        rows.append(row)
    if not rows:
        raise ValueError(f"{source} is empty; it needs a chat per line.")
    return Dataset.from_list(rows).cast_column("images", List(Image()))


def chat_check(processor=None) -> Callable[[list[dict]], None]:
    """A function that raises ValueError or TypeError for messages that can't be trained on; see [`load_chats`]."""
    tokens = []
    if processor is not None:
        turns = [{"role": role, "content": "a"} for role in ("system", "user", "assistant")]
        written = processor.apply_chat_template(turns) + " ".join(
            map(str, processor.tokenizer.special_tokens_map.values())
        )
        # What the prompt is made of. Others, such as <ref> around the name of a thing, may be what is to be learned.
        tokens = [token for token in processor.tokenizer.get_added_vocab() if token.strip() and token in written]

    def check(messages: list[dict]) -> None:
        answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
        if not answers:
            raise ValueError("the chat has no message of the assistant, from which to learn")
        for index, message in enumerate(messages):
            content = message["content"]
            blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
            text = "".join(block["text"] for block in blocks if block["type"] == "text")
            if index in answers and not text.strip():
                raise ValueError(f"messages[{index}] of the assistant is empty: there is nothing to learn")
            for token in tokens:
                if token in text:
                    raise ValueError(f"the text of messages[{index}] holds {token}, of which prompts are made")
        if processor is not None:
            processor.apply_chat_template(messages)

    return check


def _in_place(place: str, call: Callable) -> dict | None:
    """What `call` returns; its errors name the place in the data."""
    try:
        return call()
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{place}: {error}") from error


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """Number and text of each line that isn't blank."""
    with Path(path).open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 1):
            if len(line) > LONGEST_LINE:
                raise ValueError(f"{path}, line {number}: longer than {LONGEST_LINE:,} bytes.")
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(f"{path}, line {number}: no UTF-8 at byte {error.start} of the line.") from error
            if text.strip():
                yield number, text


def _read_line(line: str, folder: Path) -> dict:
    """The chat with every message's content as a list of blocks, and the paths of its images in their order."""
    try:
        row = json.loads(line, object_pairs_hook=_unique, parse_constant=_no_constant)
        chat = _messages(row)
        if row.get("images") is not None:  # as in a data set; they would be left out in silence
            raise ValueError("images are blocks in `messages`, and no key `images`")
        images = [_path(block) for message in chat for block in message["content"] if block["type"] == "image"]
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"not a chat in one line as {Path(__file__).name} describes it ({str(error)[:300]})"
        ) from error
    texts = [
        {"role": message["role"], "content": [{"type": b["type"], "text": b.get("text")} for b in message["content"]]}
        for message in chat
    ]
    return {"messages": texts, "images": [_checked_image(folder, image) for image in images]}


def _messages(row: dict) -> list[dict]:
    """The checked messages of a row, each with a list of blocks."""
    if not isinstance(row, dict) or "messages" not in row:
        raise TypeError("a chat is an object with `messages`")
    chat = checked_conversation(row["messages"])
    if isinstance(chat[0], list):
        raise TypeError("`messages` holds a list of conversations; a chat has one")
    return [
        {**message, "content": [{"type": "text", "text": message["content"]}]}
        if isinstance(message["content"], str)
        else message
        for message in chat
    ]


def _path(block: dict) -> str:
    path = block.get("image", block.get("path"))
    if not isinstance(path, str):
        raise TypeError('an image block is {"type": "image", "image": "PATH"}')
    return path


def _checked_image(folder: Path, name: str) -> str:
    """The path of an image that is there and can be decoded."""
    path = os.path.normpath(folder / name)
    if not os.path.isfile(path):
        raise ValueError(f"the image {path[:200]} is not there")
    try:
        with PILImage.open(path) as image:
            image.draft("RGB", (1, 1))  # a JPEG is read to its end all the same, but several times as fast
            image.load()
    # What Pillow raises for damaged files has no common class
    except Exception as error:
        raise ValueError(
            f"the image {path[:200]} can't be read ({type(error).__name__}: {str(error)[:100]})"
        ) from error
    return path


def _unique(pairs: list[tuple]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


class ChatCollator:
    """
    Turns chats into padded inputs with `labels`: the assistant's messages and the tokens that end them, else -100. By
    `prompt_mask`, False at the same tokens, they don't score image tokens under scale compression, as in `generate`.

    Args:
        processor ([`MiniMonkeyProcessor`]): its chat template must mark the answers (`{% generation %}`).
        images_kwargs: settings of the image processor for training, such as `pyramid="train"`.
    """

    def __init__(self, processor, **images_kwargs):
        if "{% generation" not in (processor.chat_template or "").replace("{%-", "{%"):
            raise ValueError("`processor.chat_template` must mark the answers by {% generation %}, it doesn't.")
        self.processor, self.images_kwargs = processor, images_kwargs

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        inputs = _in_place("a batch of chats", lambda: self._encode(rows))
        answers = inputs.pop("assistant_masks").bool()
        # The model makes the mask of the labels itself, but some trainers keep these back: TRL's, label smoothing
        return {**inputs, "labels": inputs["input_ids"].masked_fill(~answers, -100), "prompt_mask": ~answers}

    def _encode(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        return self.processor.apply_chat_template(
            [_with_images(row["messages"], row["images"]) for row in rows],
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            return_assistant_tokens_mask=True,  # so that control tokens are tokens: `load_chats` looks for them
            processor_kwargs={"padding": True, "images_kwargs": self.images_kwargs},
        )


def _with_images(messages: list[dict], images: list) -> list[dict]:
    """Put the images into the blocks that stand for them, and leave out what a data set's columns fill with None."""
    number = sum(
        block.get("type") == "image"
        for message in messages
        if not isinstance(message["content"], str)
        for block in message["content"]
    )
    if number != len(images):  # said here, since a StopIteration would end the training in silence
        raise ValueError(f"A chat has {number} image blocks and {len(images)} images: {str(messages)[:200]}")
    images, chat = iter(images), []
    for message in messages:
        content = message["content"]
        if not isinstance(content, str):
            content = [
                {"type": "image", "image": next(images)}
                if block.get("type") == "image"
                else {"type": block.get("type"), "text": block.get("text")}
                for block in content
            ]
        chat.append({"role": message["role"], "content": content})
    return chat
