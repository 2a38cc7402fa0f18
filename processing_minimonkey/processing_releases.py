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
from collections.abc import Collection, Iterator, Mapping, Set
from itertools import groupby
from typing import Any

from transformers import PreTrainedTokenizerBase, __version__
from transformers.processing_utils import ProcessorMixin, TextKwargs
from transformers.utils import logging

from .chat_messages import checked_conversation, shown, text_length


OLDEST, NEWEST = "5.19", "5.24"  # all tests pass with both and with releases in between them

# From 5.23 on, tokenizers can encode control tokens in users' text as plain text
SANITIZES = "sanitize_control_tokens" in TextKwargs.__annotations__
CONTROL_TOKEN_MARKS = ("\U000f0000", "\U000f0001")  # mark those tokens; removed from users' text
MARKS = f"[{''.join(CONTROL_TOKEN_MARKS)}]"
NEEDS_RELEASE = "only Transformers 5.23 or later can encode as text"
# What such a tokenizer leaves out where it encodes text with marks
LEFT_OUT = (
    "return_length",
    "return_offsets_mapping",
    "return_overflowing_tokens",
    "return_special_tokens_mask",
    "return_token_type_ids",
)


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
    The arguments of `processor.apply_chat_template` by name, as the installed release of Transformers takes them, with
    a checked conversation. Where there are to be tokens, control tokens in it become text, unless
    `sanitize_control_tokens=False` is among `kwargs` or their `processor_kwargs`.

    Args:
        processor ([`ProcessorMixin`]): the processor.
        call_arguments (`Set[str]`): names of the arguments of its `__call__`.
        args, kwargs: what its `apply_chat_template` was called with.

    Raises:
        TypeError, ValueError: see [`checked_conversation`].
        ValueError:
            The texts are longer than `processor.max_text_length`, or hold control tokens that this release of
            Transformers can't encode as text; before 5.23 also for images in `processor_kwargs`.
    """
    signature = inspect.signature(ProcessorMixin.apply_chat_template)
    arguments = signature.bind(processor, *args, **kwargs).arguments
    del arguments["self"]
    arguments |= arguments.pop("kwargs", {})
    arguments["conversation"] = checked_conversation(arguments["conversation"])
    check_text_length(text_length(arguments["conversation"]), processor.max_text_length)
    processor_kwargs = arguments.get("processor_kwargs") or {}
    if not isinstance(processor_kwargs, Mapping):
        raise TypeError(f"`processor_kwargs` must be a dictionary, got {shown(processor_kwargs)}.")
    arguments["processor_kwargs"] = dict(processor_kwargs)
    switch = arguments["processor_kwargs"].pop("sanitize_control_tokens", None)
    switch = arguments.pop("sanitize_control_tokens", switch)
    if switch not in (None, False, True):
        raise TypeError(f"`sanitize_control_tokens` must be True or False, got {shown(switch)}.")
    if not SANITIZES:
        # Before 5.22, arguments of `__call__` would replace `processor_kwargs` instead of being merged into them
        names = {"images", *call_arguments} - signature.parameters.keys()
        arguments["processor_kwargs"] |= {name: arguments.pop(name) for name in names & arguments.keys()}
        if "images" in arguments["processor_kwargs"]:  # before 5.23, they would be passed to `__call__` twice
            raise ValueError("`images` in `processor_kwargs` need Transformers 5.23; put each image into its message.")
    can_sanitize = arguments.get("tokenize") and not arguments.get("return_assistant_tokens_mask")
    if switch and not can_sanitize:
        raise ValueError(
            "`sanitize_control_tokens=True` requires `tokenize=True` and is not compatible with "
            "`return_assistant_tokens_mask=True`."
        )
    if can_sanitize and (switch is None or switch):
        _make_control_tokens_text(processor.tokenizer, arguments)
    return arguments


def check_text_length(length: int, longest: int) -> None:
    """
    Raises:
        ValueError: `length` is more than `longest`, both in characters.
    """
    if length > longest:
        raise ValueError(
            f"The text has {length:,} characters, and `max_text_length` of the processor allows {longest:,} in a call."
        )


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> re.Pattern:
    """A pattern of all tokens that a tokenizer has added to its vocabulary, which it finds in any text."""
    tokens = {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens}
    longest_first = sorted((token for token in tokens if token.strip()), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)))


def _make_control_tokens_text(tokenizer: PreTrainedTokenizerBase, arguments: dict[str, Any]) -> None:
    """
    Change the `arguments` of a chat so that control tokens in it are text, or refuse them where that can't be. The
    tokens are all that the tokenizer has added: by itself, the library spares those that are neither special nor in
    the template, such as Phi-3's </s>, and those that only come about where a template joins blocks.
    """
    processor_kwargs = arguments["processor_kwargs"]
    asked = arguments | processor_kwargs | (processor_kwargs.get("text_kwargs") or {})
    left_out = [name for name in LEFT_OUT if asked.get(name)]
    pattern = control_tokens(tokenizer)
    conversation = _with_joined_texts(arguments["conversation"], pattern)
    written = arguments.keys() - {"chat_template", "conversation", "processor_kwargs"}
    if not SANITIZES or left_out:
        needs = f"with `{left_out[0]}=True` can't be text" if SANITIZES else NEEDS_RELEASE
        _refuse_control_tokens([conversation, *(arguments[name] for name in written)], pattern, needs)
    else:
        arguments |= {name: _marked(arguments[name], pattern) for name in written}
        arguments["conversation"] = _with_marks(conversation, pattern)
    if not left_out:
        processor_kwargs["sanitize_control_tokens"] = True


def _refuse_control_tokens(written: list, pattern: re.Pattern, needs: str) -> None:
    for text in strings(written):
        found = pattern.search(text) or re.search(MARKS, text)
        if found:
            raise ValueError(f"A message holds the control token {found.group()!r}, which {needs}.")


def _with_marks(conversation: list, pattern: re.Pattern) -> list:
    """A copy in which control tokens in all text are marked; addresses of images stay as they are."""
    if isinstance(conversation[0], list):
        return [_with_marks(messages, pattern) for messages in conversation]
    marked = []
    for message in conversation:
        content = message["content"]
        if isinstance(content, list):
            content = [block if block["type"] == "image" else _marked(block, pattern) for block in content]
        else:
            content = _marked(content, pattern)
        others = {name: value for name, value in message.items() if name != "content"}
        marked.append({**_marked(others, pattern), "content": content})
    return marked


def _marked(value: Any, pattern: re.Pattern) -> Any:
    """A copy of strings, lists and dictionaries in which marks stand around control tokens, and nowhere else."""
    if isinstance(value, str):
        return pattern.sub(rf"{CONTROL_TOKEN_MARKS[0]}\g<0>{CONTROL_TOKEN_MARKS[1]}", re.sub(MARKS, "", value))
    if isinstance(value, (list, tuple)):
        return [_marked(item, pattern) for item in value]
    if isinstance(value, Mapping):
        return {key: _marked(item, pattern) for key, item in value.items()}
    return value


def _with_joined_texts(conversation: list, pattern: re.Pattern) -> list:
    """A copy in which text blocks that follow each other are one block if a control token stands across them."""
    if isinstance(conversation[0], list):
        return [_with_joined_texts(messages, pattern) for messages in conversation]
    return [
        message if isinstance(message["content"], str) else _with_joined_blocks(message, pattern)
        for message in conversation
    ]


def _with_joined_blocks(message: dict, pattern: re.Pattern) -> dict:
    blocks = []
    for is_text, group in groupby(message["content"], key=lambda block: block["type"] == "text"):
        group = list(group)
        if is_text and len(group) > 1:
            texts = [re.sub(MARKS, "", block["text"]).strip() for block in group]  # some templates leave out the space
            if pattern.findall("".join(texts)) != [found for text in texts for found in pattern.findall(text)]:
                group = [{**group[0], "text": "".join(block["text"] for block in group)}]
        blocks += group
    return {**message, "content": blocks}


def strings(value: Any, without: Collection[str] = ()) -> Iterator[str]:
    """All strings in nested lists and dictionaries, but not those under the keys `without`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key not in without:
                yield from strings(item, without)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from strings(item, without)
