"""Let a checkpoint read images that are cut by any method, in batches."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from benchmarks.sawtooth.methods import View
from examples.minimonkey_tiny.evaluate import edit_distance
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from processing_minimonkey import MiniMonkeyProcessor


QUESTION = "Read the text."


def make_inputs(
    processor: MiniMonkeyProcessor,
    images: Sequence[Image.Image],
    views: Sequence[Sequence[View]],
    question: str = QUESTION,
) -> dict:
    """
    Model inputs of a batch, one image and the question per row: what the processor gives, of any tiles.

    Args:
        images: One per row.
        views: The views of each image, in the order of their tiles.
        question: The same for all.
    """
    image_processor, tokenizer = processor.image_processor, processor.tokenizer
    tiles = [tile for image, each in zip(images, views, strict=True) for view in each for tile in view.cut(image)]
    levels = [view.level for each in views for view in each for _ in view.boxes]
    mean, std = (np.asarray(each, np.float32) for each in (image_processor.image_mean, image_processor.image_std))
    pixels = np.stack([np.asarray(tile, np.float32) / 255 for tile in tiles])
    content = [{"type": "image"}, {"type": "text", "text": question}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    texts = []
    for each in views:
        tokens = processor.image_token * (processor.image_seq_length * sum(len(view.boxes) for view in each))
        image_text = f"{tokenizer.start_image_token}{tokens}{tokenizer.end_image_token}"
        texts.append(prompt.replace(processor.image_token, image_text))
    inputs = tokenizer(texts, padding=True, padding_side="left", return_tensors="pt")
    return {
        "input_ids": inputs["input_ids"],
        "attention_mask": inputs["attention_mask"],
        "pixel_values": torch.from_numpy((pixels - mean) / std).permute(0, 3, 1, 2).contiguous(),
        "tile_levels": torch.tensor(levels),
    }


@torch.no_grad()
def read(
    model: MiniMonkeyForConditionalGeneration,
    processor: MiniMonkeyProcessor,
    images: Sequence[Image.Image],
    views: Sequence[Sequence[View]],
    max_new_tokens: int = 16,
    **generate_kwargs,
) -> list[str]:
    """The answers to "Read the text.", greedy."""
    inputs = make_inputs(processor, images, views)
    inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
    sequences = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False, **generate_kwargs)
    answers = sequences[:, inputs["input_ids"].shape[1] :]
    return processor.batch_decode(answers, skip_special_tokens=True)


def character_accuracy(text: str, answer: str) -> float:
    """One minus edits divided by the length of `text`, at least zero."""
    return max(0.0, 1 - edit_distance(text, answer) / len(text))
