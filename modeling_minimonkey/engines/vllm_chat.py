"""Chats on a vLLM server: a message can't bring control tokens, which vLLM would take for the template's own."""

from collections.abc import Iterator, Mapping
from typing import Any

from vllm.renderers.hf import HfRenderer

from processing_minimonkey.processing_releases import control_tokens


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
            texts = list(message_texts(message))
            for text in (*texts, "".join(texts), "".join(text.strip() for text in texts)):
                if found := pattern.search(text):
                    raise ValueError(
                        f"messages[{index}] holds the control token {found.group()!r}, which only the chat template "
                        "may write: take it out."
                    )


def message_texts(message: Any) -> Iterator[str]:
    """The strings of a message that a template may write: all but those of its images."""
    if isinstance(message, str):
        yield message
    elif isinstance(message, Mapping):
        for key, value in message.items():
            if key not in ("image_url", "image", "image_pil", "image_embeds", "uuid"):
                yield from message_texts(value)
    elif isinstance(message, (list, tuple)):
        for value in message:
            yield from message_texts(value)
