"""Who reads: a Mini-Monkey, with images cut by any method, or a model of another family with its own processor."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoConfig

from benchmarks.sawtooth.cutting import (
    ADAPTIVE,
    DETAILED,
    METHODS,
    SECOND_ALONE,
    SMALL_RANGES,
    View,
    grid_view,
    with_global,
)
from benchmarks.sawtooth.readers.families import FAMILIES, family_processor
from benchmarks.sawtooth.readers.reader import messages
from benchmarks.sawtooth.readers.rendering import TILE_SIZE
from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from processing_minimonkey import MiniMonkeyProcessor
from processing_minimonkey.plug_in import CIPProcessor


QUESTION = "Read the text."


class Reader:
    """
    A Mini-Monkey and its processor.

    Attributes:
        methods: Names of the methods by which its images can be cut.
        batch_size: Images that are read together.
    """

    methods = tuple(METHODS)
    batch_size = 48

    def __init__(self, model: MiniMonkeyForConditionalGeneration, processor: MiniMonkeyProcessor):
        self.model, self.processor = model.eval(), processor
        self.tile_size = processor.image_processor.size["height"]

    def chosen(self, methods: Sequence[str]) -> tuple[str, ...]:
        """
        The names in `methods`, or all but the second grid alone, which is no way to read pages; a ValueError names
        what this reader doesn't have.
        """
        if unknown := set(methods) - set(self.methods):
            raise ValueError(f"`methods` must be among {list(self.methods)}, got {sorted(unknown)}.")
        return tuple(methods) or tuple(name for name in self.methods if name != SECOND_ALONE)

    def views(self, method: str, image: Image.Image, rng: np.random.Generator | None = None) -> list[View]:
        """The groups of tiles of an image."""
        return METHODS[method](*image.size, self.tile_size, rng)

    def read(
        self, method: str, images: Sequence[Image.Image], views: Sequence[Sequence[View]], max_new_tokens: int = 16
    ) -> list[str]:
        """The greedy answers to "Read the text.", of all images in one batch."""
        return self.generate(make_inputs(self.processor, images, views), max_new_tokens)

    @torch.no_grad()
    def generate(self, inputs: dict, max_new_tokens: int, **generate_kwargs) -> list[str]:
        """The greedy answers to a batch of inputs."""
        inputs = {name: tensor.to(self.model.device) for name, tensor in inputs.items()}
        kwargs = {"max_new_tokens": max_new_tokens, "do_sample": False} | generate_kwargs
        sequences = self.model.generate(**inputs, **kwargs)
        answers = sequences[:, inputs["input_ids"].shape[1] :]
        return self.processor.batch_decode(answers, skip_special_tokens=True)


class FamilyReader(Reader):
    """A model of another family with its own processor, and with CIP in that one's place."""

    # By the names they have in METHODS: the family's own tiling, and the pyramid by every rule
    complementarities = {
        "detailed + global": None,
        **{f"pyramid {rule}": rule for rule in ("any", "all", "disjoint", "joint")},
    }
    methods = tuple(complementarities)
    batch_size = 24
    tile_size = TILE_SIZE

    def __init__(self, model, family: str):
        self.model, self.family = model.eval(), family
        self.processors = {
            method: self._processor(complementarity) for method, complementarity in self.complementarities.items()
        }

    def _processor(self, complementarity: str | None) -> CIPProcessor:
        settings = {"adaptive_tiles": SMALL_RANGES.adaptive, "complementarity": complementarity}
        return CIPProcessor.from_processor(
            family_processor(self.family), **(settings if complementarity else {"adaptive_tiles": None})
        )

    def views(self, method: str, image: Image.Image, rng: np.random.Generator | None = None) -> list[View]:
        """The grids that the processor cuts, padding left aside."""
        processor, (width, height) = self.processors[method], image.size
        detailed = processor._detailed_grid(height, width, {})
        second = processor._grid_beside(height, width, detailed, {}) or (1, 1)
        grids = ((DETAILED, detailed), (ADAPTIVE, second))
        return with_global(TILE_SIZE, *(grid_view(level, grid, TILE_SIZE) for level, grid in grids))

    def read(self, method, images, views, max_new_tokens=16) -> list[str]:
        self.processor = processor = self.processors[method]
        prompt = processor.apply_chat_template(messages(QUESTION), add_generation_prompt=True)
        rows = {"text": [prompt] * len(images), "images": [[image] for image in images]}
        return self.generate(processor(**rows, padding=True, return_tensors="pt"), max_new_tokens)


def load_reader(folder: str | Path, dtype: torch.dtype = torch.float32) -> Reader:
    """
    The reader in the folder of a trained model, its weights in `dtype`, on a GPU if there is one.

    Raises:
        ValueError: the model is neither a Mini-Monkey nor of a family in `FAMILIES`.
    """
    model_type = AutoConfig.from_pretrained(folder).model_type
    if model_type == "minimonkey":
        model = MiniMonkeyForConditionalGeneration.from_pretrained(folder, dtype=dtype)
        model.to("cuda" if torch.cuda.is_available() else "cpu")
        return Reader(model, MiniMonkeyProcessor.from_pretrained(folder))
    families = {each.config_class.model_type: family for family, each in FAMILIES.items()}
    if model_type not in families:
        raise ValueError(f"`folder` must hold a model of {['minimonkey', *families]}, got {model_type} in {folder}.")
    family = families[model_type]
    return FamilyReader(FAMILIES[family].from_pretrained(folder, dtype=dtype), family)


def make_inputs(
    processor: MiniMonkeyProcessor,
    images: Sequence[Image.Image],
    views: Sequence[Sequence[View]],
    question: str | Sequence[str] = QUESTION,
) -> dict:
    """
    Model inputs of a batch, one image and the question per row: what the processor gives, of any tiles.

    Args:
        images: One per row.
        views: The views of each image, in the order of their tiles.
        question: The same for all, or one for each.
    """
    image_processor, tokenizer = processor.image_processor, processor.tokenizer
    tiles = [tile for image, each in zip(images, views, strict=True) for view in each for tile in view.cut(image)]
    levels = [view.level for each in views for view in each for _ in view.boxes]
    mean, std = (np.asarray(each, np.float32) for each in (image_processor.image_mean, image_processor.image_std))
    pixels = np.stack([np.asarray(tile, np.float32) / 255 for tile in tiles])
    questions = [question] * len(images) if isinstance(question, str) else question
    prompts = processor.apply_chat_template([messages(each) for each in questions], add_generation_prompt=True)
    texts = []
    for prompt, each in zip(prompts, views, strict=True):
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
