"""Chats on a vLLM server: a message can't bring control tokens, which vLLM would take for the template's own."""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from vllm.renderers.hf import HfRenderer

from processing_minimonkey.processing_releases import control_tokens, strings


NOT_WRITTEN = ("type", "uuid", "image_url", "image_embeds")  # keys of blocks


class CheckedRenderer(HfRenderer):
    """vLLM's renderer of chats, which refuses a message with a control token."""

    @cached_property
    def control_tokens(self) -> re.Pattern:
        """What no message may hold."""
        return control_tokens(self.get_tokenizer())

    def render_messages(self, messages, params):
        self.check_messages(messages)
        return super().render_messages(messages, params)

    async def render_messages_async(self, messages, params):
        self.check_messages(messages)
        return await super().render_messages_async(messages, params)

    def check_messages(self, messages: list) -> None:
        """
        Raises:
            ValueError: a text holds a control token, or the texts of a message give one together.
        """
        for index, message in enumerate(messages):
            for text in texts_of(message):
                if found := self.control_tokens.search(text):
                    raise ValueError(
                        f"messages[{index}] holds the control token {found.group()!r}, which only the chat template "
                        "may write: take it out."
                    )


def texts_of(message: Mapping) -> Iterator[str]:
    """Every string of a message, and those of its blocks together, as a template may write them."""
    yield from strings(message, NOT_WRITTEN)
    if isinstance(message.get("content"), list):
        together = list(strings(message["content"], NOT_WRITTEN))
        yield "".join(together)
        yield "".join(text.strip() for text in together)
