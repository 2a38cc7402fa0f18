# trf-ignore: TRF028 (the license is in the file LICENSE)
"""A conversation turn by turn: `model.chat`, with the cache of the turns before."""

from .generation_minimonkey import CACHE  # first: checks Transformers' version


# isort: split
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import Cache


@dataclass(frozen=True)
class ChatHistory:
    """
    A conversation so far, for the next call of [`~ChatMixin.chat`].

    Args:
        messages (`list[dict]`): as `processor.apply_chat_template` takes them, the last one the model's answer.
        ids (`torch.LongTensor` of shape `(1, length)`, *optional*): of the whole conversation, image tokens included.
        cache ([`Cache`], *optional*): the keys and values of all of them but the last.
        cached (`int`, *optional*, defaults to 0): length of the cache; one that went on since then is not used again.
    """

    messages: list[dict] = field(default_factory=list)
    ids: torch.LongTensor | None = field(default=None, repr=False)
    cache: Cache | None = field(default=None, repr=False)
    cached: int = 0

    def fits(self, input_ids: torch.LongTensor) -> bool:
        """Whether the cache holds the beginning of `input_ids`, `(1, longer)`, and nothing else."""
        if self.ids is None or self.cache is None or int(self.cache.get_seq_length()) != self.cached:
            return False
        return torch.equal(input_ids[:, : self.ids.shape[1]], self.ids)


class ChatMixin:
    """[`chat`] for a model that generates."""

    def chat(
        self,
        processor,
        question: str,
        images: Any = None,
        history: ChatHistory | None = None,
        images_kwargs: dict | None = None,
        **generate_kwargs,
    ) -> tuple[str, ChatHistory]:
        """
        Answer a question about images, or go on with a conversation.

        Args:
            processor ([`MiniMonkeyProcessor`]): the model's processor.
            question (`str`): the text of the message; control tokens in it are text.
            images (*optional*): one image or a list of them, which come before the question.
            history ([`ChatHistory`], *optional*): what the call before returned.
            images_kwargs (`dict`, *optional*):
                Settings of the image processor, such as `{"pyramid": "docvqa"}`; the same in all turns.
            generate_kwargs: options of `generate`, such as `max_new_tokens`, `keep_ratio` or `streamer`.

        Returns:
            The answer, and the history for the next call. The cache of the turns before is used as long as their
            tokens are the same in the longer conversation; otherwise the conversation is read anew.

        Raises:
            TypeError: `processor`, `question` or `history` is none.
            ValueError: see the processor and `generate`.

        Example:
            >>> answer, history = model.chat(processor, "Read the text.", image)
            >>> answer, history = model.chat(processor, "And the last word?", history=history)
        """
        fits = hasattr(processor, "prepare_chat") and isinstance(question, str)
        if not fits or not isinstance(history, ChatHistory | None):
            given = ", ".join(type(each).__name__ for each in (processor, question, images, history))
            raise TypeError(
                f"The order is `model.chat(processor, question, images, history)`, got {given}; the history is what "
                "the call before returned."
            )
        images = [] if images is None else images if isinstance(images, (list, tuple)) else [images]
        content = [{"type": "image", "image": image} for image in images] + [{"type": "text", "text": question}]
        history = history or ChatHistory()
        messages = [*history.messages, {"role": "user", "content": content}]
        inputs = processor.prepare_chat(messages, **(images_kwargs or {})).to(self.device, self.dtype)
        ids = inputs["input_ids"]
        if history.fits(ids):
            inputs = self._after(inputs, history.ids.shape[1]) | {CACHE: history.cache}
        outputs = self.generate(**inputs, **generate_kwargs, return_dict_in_generate=True)
        answer = processor.decode(outputs.sequences[0, ids.shape[1] :], skip_special_tokens=True)
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
        cache = outputs.get(CACHE)
        return answer, ChatHistory(
            messages, outputs.sequences, cache, 0 if cache is None else int(cache.get_seq_length())
        )

    def _after(self, inputs: dict, seen: int) -> dict:
        """The inputs of a conversation of which the first `seen` tokens are in a cache: only the new images."""
        inputs = dict(inputs)
        new = int((inputs["input_ids"][:, seen:] == self.config.image_token_id).sum()) // self.config.image_seq_length
        for name in ("pixel_values", "tile_levels"):
            if name in inputs:
                tiles = inputs.pop(name)
                inputs |= {name: tiles[-new:]} if new else {}
        return inputs


__all__ = ["ChatHistory", "ChatMixin"]
