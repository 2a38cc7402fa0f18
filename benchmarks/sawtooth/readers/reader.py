"""The small Mini-Monkey behind its tower: tokenizer, processor, model, and what it learns from.

A model learns to write down the words of rendered pages; the stages of its training are in `recipe.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import InternVLVisionModel, PreTrainedTokenizerFast

from benchmarks.sawtooth.cutting import DETAILED, grid_view, tokens_on
from benchmarks.sawtooth.readers.documents import render
from benchmarks.sawtooth.readers.recipe import SIZES
from benchmarks.sawtooth.readers.rendering import TILE_SIZE, Page
from modeling_minimonkey import MiniMonkeyConfig, MiniMonkeyForConditionalGeneration
from modeling_minimonkey.conversion.tokenizer import IMAGE_TOKENS
from processing_minimonkey import MiniMonkeyImageProcessor, MiniMonkeyProcessor
from processing_minimonkey.chat_templates import chat_template


def messages(question: str = "Read the text.") -> list[dict]:
    """The conversation, up to the answer."""
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte: spelling is what this model is for."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={byte: index for index, byte in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<|im_end|>",
        padding_side="left",
        additional_special_tokens=["<|im_start|>"],
        extra_special_tokens=IMAGE_TOKENS,
        clean_up_tokenization_spaces=False,
    )


def make_processor() -> MiniMonkeyProcessor:
    """Tiles of 112 px, 1 to 6 detailed and 1 to 4 adaptive ones, 16 tokens each."""
    image_processor = MiniMonkeyImageProcessor(
        size={"height": TILE_SIZE, "width": TILE_SIZE},
        detailed_tiles=(1, 6),
        adaptive_tiles=(1, 4),
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    return MiniMonkeyProcessor(
        image_processor=image_processor,
        tokenizer=make_tokenizer(),
        image_seq_length=16,
        chat_template=chat_template(Path(__file__).with_name("chat_template.jinja")),
    )


def make_model(tower_folder: str, tokenizer: PreTrainedTokenizerFast, size: str) -> MiniMonkeyForConditionalGeneration:
    """A trained tower before a projector and a language model with random weights, of a size in `SIZES`."""
    tower = InternVLVisionModel.from_pretrained(tower_folder)
    width, layers, heads = SIZES[size][1]
    config = MiniMonkeyConfig(
        vision_config=tower.config.to_dict(),
        text_config={
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "hidden_size": width,
            "intermediate_size": 3 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "max_position_embeddings": 2048,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
        },
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=16,
    )
    model = MiniMonkeyForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.max_new_tokens = 256  # a page of six lines has at most 200 bytes
    return model


class PageDataset(torch.utils.data.Dataset):
    """Pages 0 to `samples` - 1 of a split, their kinds in turns."""

    def __init__(self, kinds: Sequence[str], split: str, samples: int):
        self.kinds, self.split, self.samples = kinds, split, samples

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> Page:
        return render(self.kinds[index % len(self.kinds)], self.split, index)


class Collator:
    """
    Pages to model inputs; the loss is on the answer and the token that ends it alone. If it `points`, `asked` says
    which of the detailed tokens show what is asked for: bool, as `input_ids`, where the pages know it.
    """

    def __init__(self, processor: MiniMonkeyProcessor, points: bool = False, **images_kwargs):
        self.processor, self.points, self.images_kwargs = processor, points, images_kwargs

    def __call__(self, pages: list[Page]) -> dict[str, torch.Tensor]:
        prompts = self.processor.apply_chat_template(
            [messages(page.question) for page in pages], add_generation_prompt=True, tokenize=False
        )
        answers = [page.text + self.processor.tokenizer.eos_token for page in pages]
        inputs = self.processor(
            text=[prompt + answer for prompt, answer in zip(prompts, answers, strict=True)],
            images=[[page.image] for page in pages],
            padding=True,
            return_tensors="pt",
            **self.images_kwargs,
        )
        labels = torch.full_like(inputs["input_ids"], -100)
        for row, answer in enumerate(answers):
            length = len(self.processor.tokenizer(answer)["input_ids"])
            labels[row, -length:] = inputs["input_ids"][row, -length:]  # padding is on the left
        asked = {"asked": self.asked_tokens(pages, inputs["input_ids"])} if self.points else {}
        return dict(inputs) | {"labels": labels} | asked

    def asked_tokens(self, pages: list[Page], input_ids: torch.Tensor) -> torch.Tensor:
        """Bool, of the shape of `input_ids`: the detailed tokens on what is asked for."""
        asked = torch.zeros_like(input_ids, dtype=torch.bool)
        for row, page in enumerate(pages):
            width, height = page.image.size
            grid = self.processor.image_processor.get_pyramid_plan(height, width, self.images_kwargs).detailed
            if page.asked and grid != (1, 1):
                on = torch.from_numpy(tokens_on(grid_view(DETAILED, grid, TILE_SIZE), page.image.size, page.asked))
                tokens = (input_ids[row] == self.processor.image_token_id).nonzero()[: len(on), 0]
                asked[row, tokens[on]] = True
        return asked


def compute_metrics(prediction) -> dict[str, float]:
    """The share of the answers' tokens that are predicted from those before."""
    labels, predicted = prediction.label_ids[:, 1:], prediction.predictions[:, :-1]
    return {"token_accuracy": float((labels == predicted)[labels != -100].mean())}


def predicted_tokens(logits: torch.Tensor | tuple, labels: torch.Tensor) -> torch.Tensor:
    """(batch, tokens): all that the metrics need of logits (batch, tokens, vocabulary)."""
    return (logits[0] if isinstance(logits, tuple) else logits).argmax(-1)
