"""A tokenizer of bytes, so that every string has one obvious encoding, and a processor with small tiles."""

import numpy as np
import pytest
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from processing_minimonkey import MiniMonkeyImageProcessor, MiniMonkeyProcessor
from processing_minimonkey.chat_templates import chat_template


SPECIAL_TOKENS = ("</s>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>")
TILE_SIZE = 8
TOKENS_PER_TILE = 3


def byte_tokenizer(start_token: str | None) -> PreTrainedTokenizerFast:
    """One token per byte of UTF-8 and per special token; `start_token` is put before each text, as `<s>` is."""
    vocabulary = {character: index for index, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = SPECIAL_TOKENS if start_token is None else (start_token, *SPECIAL_TOKENS)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    if start_token is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{start_token} $A", special_tokens=[(start_token, tokenizer.token_to_id(start_token))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=start_token,
        eos_token="<|im_end|>",
        pad_token="</s>",
        extra_special_tokens={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
        },
    )


def small_processor(start_token: str | None) -> MiniMonkeyProcessor:
    return MiniMonkeyProcessor(
        MiniMonkeyImageProcessor(size=TILE_SIZE),
        byte_tokenizer(start_token),
        image_seq_length=TOKENS_PER_TILE,
        chat_template=chat_template("chat_template_internvl2.jinja"),
    )


# Each family's published tokenizer: the first begins every text with <s>, the second with nothing.
@pytest.fixture(params=["<s>", None], ids=["internlm2", "hermes2"])
def processor(request) -> MiniMonkeyProcessor:
    return small_processor(request.param)


@pytest.fixture(scope="session")
def shared_processor() -> MiniMonkeyProcessor:
    """For tests that run many examples and change nothing."""
    return small_processor("<s>")


@pytest.fixture
def make_image():
    """Images of random pixels: `make_image(width, height, seed=0, mode="RGB")`."""

    def make(width: int, height: int, seed: int = 0, mode: str = "RGB") -> Image.Image:
        values = np.random.default_rng(seed).integers(0, 256, (height, width, len(mode)), dtype=np.uint8)
        return Image.fromarray(values[..., 0] if mode == "L" else values, mode)

    return make
