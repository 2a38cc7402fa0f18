"""Conversations for tests of the processor, and what this release of Transformers can't do with them."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import transformers
from packaging.version import Version
from PIL import Image


PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8))
SANITIZES = Version(transformers.__version__) >= Version("5.23")


def user(*content) -> dict:
    blocks = [
        {"type": "text", "text": block} if isinstance(block, str) else {"type": "image", "image": block}
        for block in content
    ]
    return {"role": "user", "content": blocks}


def assistant(text: str) -> dict:
    return {"role": "assistant", "content": text}


def tokenized(processor, conversation, **kwargs):
    kwargs = {"add_generation_prompt": True, "return_tensors": "pt", **kwargs}
    return processor.apply_chat_template(conversation, tokenize=True, return_dict=True, **kwargs)


def text_of(processor, ids) -> str:
    return processor.decode(ids, skip_special_tokens=False)


def image_block(num_tokens: int) -> str:
    return "<img>" + "<IMG_CONTEXT>" * num_tokens + "</img>"


def is_refused(encode: Callable, token: str) -> bool:
    """
    Whether this release of Transformers can't encode a user's control token as text, as 5.23 and later ones can.

    Then `encode` must say so.
    """
    if SANITIZES:
        return False
    with pytest.raises(
        ValueError, match=f"control token {re.escape(repr(token))}, which only Transformers 5.23 or later"
    ):
        encode()
    return True
