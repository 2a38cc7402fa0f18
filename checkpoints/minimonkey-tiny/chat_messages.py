# trf-ignore: TRF028 (the license is in the file LICENSE)
"""
Checks conversations before a template sees them, and brings other ways to write a block into one form.

A template alone can't do that: it knows neither images nor positions, and what it doesn't ask for vanishes in silence.
"""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


# Types of blocks that the library's own chat functions know; all but the first of each are OpenAI's
TEXT_TYPES = ("text", "input_text", "output_text")
IMAGE_TYPES = ("image", "image_url", "input_image")
IMAGE_SOURCES = ("image", "url", "path", "base64")  # where a block of type "image" has its image
MEDIA = ("image", "images", "image_url", "video", "videos", "audio", "audios")  # no keys of messages
SHOWN = 40  # characters of a value in an error
MOST_PARTS = 20_000  # messages and blocks of a call, which take a second or two in a template, whatever is in them


def checked_conversation(conversation: Any) -> list[dict] | list[list[dict]]:
    """
    A copy of a conversation, or of a batch of them, in which messages and blocks are dictionaries without keys that
    are `None`, and all blocks are of type "text" or "image".

    Args:
        conversation:
            Messages, as dictionaries, dataclasses or pydantic models, in a list or in an object that has them as
            `messages`; or a list of such conversations. Blocks may be of OpenAI's types `image_url`, `input_image`,
            `input_text` and `output_text`.

    Raises:
        TypeError, ValueError:
            Something is of another form. The error says what it is, what is allowed, and where: `messages[1]` is the
            second message, `content[0]` its first block. Or there are more than 20,000 messages and blocks. Which
            roles may follow each other is the template's concern.
    """
    messages = getattr(conversation, "messages", conversation)
    if not isinstance(messages, (list, tuple)):
        raise TypeError(
            f"`conversation` must be a list of messages or a list of such lists, got {shown(conversation)}."
        )
    if not messages:
        raise ValueError("`conversation` is empty; it must have at least one message.")
    if not isinstance(getattr(messages[0], "messages", messages[0]), (list, tuple)):
        _check_number(messages)
        return _checked_messages(messages, "")
    batch = [getattr(each, "messages", each) for each in messages]
    for index, each in enumerate(batch):
        if not isinstance(each, (list, tuple)):
            raise TypeError(f"conversation[{index}] must be a list of messages like the first, got {shown(each)}.")
        if not each:
            raise ValueError(f"conversation[{index}] is empty; it must have at least one message.")
    _check_number([message for each in batch for message in each])
    return [_checked_messages(each, f" of conversation[{index}]") for index, each in enumerate(batch)]


def text_length(conversation: list[dict] | list[list[dict]]) -> int:
    """How many characters the texts of a checked conversation, or of a batch of them, have together."""
    messages = [message for each in conversation for message in (each if isinstance(each, list) else [each])]
    contents = [message.get("content", "") for message in messages]
    return sum(
        len(content) if isinstance(content, str) else sum(len(block.get("text", "")) for block in content)
        for content in contents
    )


def check_text(text: str, place: str) -> None:
    """
    Refuse text that no tokenizer can encode.

    Raises:
        ValueError: it holds half of a surrogate pair.
    """
    found = None if text.isascii() else re.search("[\ud800-\udfff]", text)
    if found:
        raise ValueError(
            f"{place} holds the lone surrogate {found.group()!r} at character {found.start()}, which is no text and "
            "can't be encoded."
        )


def shown(value: Any) -> str:
    """A value as errors show it: short, and without an address in memory."""
    if isinstance(value, str):
        return repr(value if len(value) <= SHOWN else f"{value[:SHOWN]}...")
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 10**SHOWN):
        return repr(value)
    return f"a value of type {type(value).__name__}"


def _check_number(messages: list | tuple) -> None:
    contents = [message.get("content") for message in messages if isinstance(message, Mapping)]
    number = len(messages) + sum(len(content) for content in contents if isinstance(content, (list, tuple)))
    if number > MOST_PARTS:
        raise ValueError(f"`conversation` has {number:,} messages and blocks; a call may have {MOST_PARTS:,}.")


def _checked_messages(messages: list | tuple, suffix: str) -> list[dict]:
    return [_checked_message(message, f"messages[{index}]", suffix) for index, message in enumerate(messages)]


def _checked_message(value: Any, name: str, suffix: str) -> dict:
    place = f"({name}{suffix})"
    message = _as_dictionary(value)
    if message is None:
        raise TypeError(f"A message must be a dictionary with `role` and `content`, got {shown(value)} {place}.")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        raise TypeError(f"A message needs a `role`, a string such as 'user'; got {shown(role)} {place}.")
    whose = f"{'An' if role == 'assistant' else 'A'} {role[:SHOWN]} message"
    for key in MEDIA:
        if key in message:
            raise ValueError(f"A message has its images as blocks in `content`, and no key `{key}` {place}.")
    if isinstance(content, (list, tuple)):
        blocks = [
            _checked_block(block, whose, f"({name}.content[{index}]{suffix})") for index, block in enumerate(content)
        ]
        return {**message, "content": blocks}
    if isinstance(content, str):
        check_text(content, f"{name}.content{suffix}")
    elif content is None and message.get("tool_calls"):  # as OpenAI's client returns them
        return {**message, "content": ""}
    else:
        raise TypeError(
            f"{whose} needs `content`: a string, or a list of text and image blocks; got {shown(content)} {place}."
        )
    return message


def _checked_block(value: Any, whose: str, place: str) -> dict:
    block = _as_dictionary(value)
    if block is None:
        raise TypeError(f"{whose} holds blocks such as {{'type': 'text', 'text': ...}}, got {shown(value)} {place}.")
    kind = block.get("type")
    if isinstance(kind, str) and kind in TEXT_TYPES:
        return _text_block(block, whose, place)
    if isinstance(kind, str) and kind in IMAGE_TYPES:
        return _image_block(block, place)
    got = f"of type {kind[:SHOWN]}" if isinstance(kind, str) else f"whose `type` is {shown(kind)}"
    raise ValueError(
        f"{whose} can't hold a block {got}: this model reads text and images, in blocks of type "
        f"{' or '.join(map(repr, (TEXT_TYPES[0], IMAGE_TYPES[0])))} {place}."
    )


def _text_block(block: dict, whose: str, place: str) -> dict:
    text = block.get("text")
    if not isinstance(text, str):
        raise TypeError(f"{whose} needs a string as `text` of each text block, got {shown(text)} {place}.")
    for key in MEDIA:
        if key in block:
            raise ValueError(f"A text block can't hold an image, too: `{key}` needs a block of its own {place}.")
    check_text(text, place[1:-1])
    return {**block, "type": TEXT_TYPES[0]}


def _image_block(block: dict, place: str) -> dict:
    kind = block["type"]
    if block.get("text"):
        raise ValueError(f"An image block can't hold text, too: `text` needs a block of its own {place}.")
    if kind != IMAGE_TYPES[0]:
        image = block.get("image_url")
        image = image.get("url") if isinstance(image, Mapping) else image
        if not image:
            raise ValueError(
                f"A block of type {kind} needs `image_url`: an address or a dictionary with `url` {place}."
            )
        return {"type": IMAGE_TYPES[0], "url": image}
    sources = [name for name in IMAGE_SOURCES if name in block]
    if len(sources) > 1 or "image_url" in block:
        raise ValueError(
            f"An image block has its image in one of {', '.join(f'`{name}`' for name in IMAGE_SOURCES)}; got "
            f"{', '.join(f'`{name}`' for name in [*sources, *block.keys() & {'image_url'}])} {place}."
        )
    return block


def _as_dictionary(value: Any) -> dict | None:
    """A copy of a message or block without keys that are `None`; `None` of anything that is neither."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    elif callable(getattr(value, "model_dump", None)):  # pydantic, as OpenAI's client returns messages
        value = value.model_dump()
    if not isinstance(value, Mapping):
        return None
    return {key: item for key, item in value.items() if item is not None}


__all__ = ["check_text", "checked_conversation", "shown", "text_length"]
