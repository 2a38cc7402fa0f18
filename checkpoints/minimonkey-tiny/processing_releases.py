# trf-ignore: TRF028 (the license is in the file LICENSE)
# ruff: noqa: E402
"""
Everything that depends on the release of Transformers; the rest of the package is the same for all of them.

Each line names the release that needs it: delete it once the oldest supported release is above that.
"""

from transformers.utils.versions import require_version


# Before importing what older releases lack, so that the error is this one sentence
require_version("transformers>=5.19")

import inspect
import re
from collections.abc import Iterator, Mapping, Set
from typing import Any

from transformers import PreTrainedTokenizerBase, __version__
from transformers.processing_utils import ProcessorMixin, TextKwargs
from transformers.utils import logging


OLDEST, NEWEST = "5.19", "5.24"  # all tests pass with both and with releases in between them

# From 5.23 on, tokenizers can encode control tokens in users' text as plain text
SANITIZES = "sanitize_control_tokens" in TextKwargs.__annotations__
CONTROL_TOKEN_MARKS = ("\U000f0000", "\U000f0001")  # mark those tokens; removed from users' text


def warn_about_newer_release(version: str = __version__) -> None:
    """Warn once per process if a release is newer than the tested ones; the model's package gives the same warning."""
    if _numbers(version) > _numbers(NEWEST):
        logging.get_logger("transformers.minimonkey").warning_once(
            f"Transformers {version} is newer than the releases that Mini-Monkey was tested with ({OLDEST} to "
            f"{NEWEST}): if answers look wrong, install one of those."
        )


def without_marked_tokens(text: str) -> str:
    """A prompt with a space for each control token that a user wrote, so that nothing new arises where one was."""
    begin, end = CONTROL_TOKEN_MARKS
    return re.sub(f"{begin}.*?{end}", " ", text, flags=re.DOTALL)


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers: (5, 25) of 5.25.0.dev0 and of 5.25rc1."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def chat_arguments(processor: ProcessorMixin, call_arguments: Set[str], *args, **kwargs) -> dict[str, Any]:
    """
    The arguments of `processor.apply_chat_template` by name, as the installed release of Transformers takes them.

    Args:
        processor ([`ProcessorMixin`]): the processor.
        call_arguments (`Set[str]`): names of the arguments of its `__call__`.
        args, kwargs: what its `apply_chat_template` was called with.

    Raises:
        ValueError: before Transformers 5.23, for what that release introduced: text with control tokens to sanitize,
            or images in `processor_kwargs`.
    """
    signature = inspect.signature(ProcessorMixin.apply_chat_template)
    arguments = signature.bind(processor, *args, **kwargs).arguments
    del arguments["self"]
    arguments |= arguments.pop("kwargs", {})
    if arguments.get("sanitize_control_tokens"):
        arguments["conversation"] = _with_joined_texts(arguments["conversation"])
    if SANITIZES:
        return arguments
    arguments["conversation"] = _messages(arguments["conversation"], arguments.get("tokenize", False))
    # Before 5.22, arguments of `__call__` would replace `processor_kwargs` instead of being merged into them
    names = {"images", *call_arguments} - signature.parameters.keys()
    flat = {name: arguments.pop(name) for name in names & arguments.keys()}
    processor_kwargs = (arguments.pop("processor_kwargs", None) or {}) | flat
    if "images" in processor_kwargs:  # before 5.23, they would be passed to `__call__` twice
        raise ValueError("`images` in `processor_kwargs` need Transformers 5.23; put each image into its message.")
    if processor_kwargs.pop("sanitize_control_tokens", False):
        if not arguments.get("tokenize") or arguments.get("return_assistant_tokens_mask"):  # as from 5.23 on
            raise ValueError(
                "`sanitize_control_tokens=True` requires `tokenize=True` and is not compatible with "
                "`return_assistant_tokens_mask=True`."
            )
        written = [value for name, value in arguments.items() if name != "chat_template"]
        _refuse_control_tokens(processor.tokenizer, "\n".join(_strings(written)))
        processor_kwargs["sanitize_control_tokens"] = True
    return arguments | {"processor_kwargs": processor_kwargs}


def _refuse_control_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    # Before 5.23, no tokenizer can tell a user's control tokens from those of the template
    for token in sorted({*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens, *CONTROL_TOKEN_MARKS}):
        if token.strip() and token in text:
            raise ValueError(
                f"A message holds the control token {token!r}, which only Transformers 5.23 or later can encode as "
                "text."
            )


def _with_joined_texts(conversation: Any) -> Any:
    """A copy with one block for text blocks that follow each other: what a template joins is sanitized as joined."""
    if isinstance(conversation, (list, tuple)):
        return [_with_joined_texts(item) for item in conversation]
    if not isinstance(conversation, Mapping) or not isinstance(conversation.get("content"), (list, tuple)):
        return conversation
    blocks = []
    for block in conversation["content"]:
        if blocks and _is_text(block) and _is_text(blocks[-1]):
            blocks[-1] = {**blocks[-1], "text": blocks[-1]["text"] + block["text"]}
        else:
            blocks.append(block)
    return {**conversation, "content": blocks}


def _is_text(block: Any) -> bool:
    return isinstance(block, Mapping) and block.get("type") == "text" and isinstance(block.get("text"), str)


def _messages(conversation: Any, tokenize: bool) -> Any:
    """A copy as 5.23 makes it: no key of a message is None, and with `tokenize` every message has a `content`."""
    if isinstance(conversation, (list, tuple)):
        return [_messages(item, tokenize) for item in conversation]
    if not isinstance(conversation, Mapping):
        return conversation
    message = {name: value for name, value in conversation.items() if value is not None}
    return ({"content": []} if tokenize else {}) | message


def _strings(value: Any) -> Iterator[str]:
    """All strings in nested lists and dictionaries."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(item)
