"""Chats on a vLLM server: a message can't bring control tokens, which vLLM would take for the template's own."""

from collections.abc import Iterator, Mapping
from typing import Any

from vllm.renderers.hf import HfRenderer

from processing_minimonkey.processing_releases import control_tokens


NOT_WRITTEN = ("type", "uuid", "image_url", "image_embeds")  # keys of blocks


class CheckedRenderer(HfRenderer):
    """vLLM's renderer of chats, which refuses a message with a control token."""

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
        pattern = control_tokens(self.get_tokenizer())
        for index, message in enumerate(messages):
            blocks = message.get("content")
            together = [text for block in blocks for text in strings(block)] if isinstance(blocks, list) else []
            for text in (*strings(message), "".join(together), "".join(text.strip() for text in together)):
                if found := pattern.search(text):
                    raise ValueError(
                        f"messages[{index}] holds the control token {found.group()!r}, which only the chat template "
                        "may write: take it out."
                    )


def strings(value: Any) -> Iterator[str]:
    """All strings of a message, or of one of its blocks, that a template may write."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if key not in NOT_WRITTEN:
                yield from strings(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from strings(each)
