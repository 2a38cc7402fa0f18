"""What reads the pages of `read_folder.py`: our own `generate`, or vLLM's offline engine."""

import os


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin while they wait block the others

from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

import modeling_minimonkey  # noqa: F401  (makes the Auto classes know the model)
import processing_minimonkey  # noqa: F401


@dataclass(frozen=True)
class ReadOptions:
    """
    Args:
        model (`str`): folder or Hub id.
        question (`str`): what is asked about every page.
        max_new_tokens (`int`): longest answer in tokens.
        batch_size (`int`): pages at once.
        keep_ratio (`float`, *optional*): share of the detailed tokens that stays; by default the model's own.
        pyramid (`str`, *optional*): a published setting of the tiles, such as `"docvqa"`; by default the model's own.
    """

    model: str
    question: str = "Read the text."
    max_new_tokens: int = 1024
    batch_size: int = 8
    keep_ratio: float | None = None
    pyramid: str | None = None

    @property
    def tiles(self) -> dict[str, str]:
        """The settings of the image processor."""
        return {} if self.pyramid is None else {"pyramid": self.pyramid}


@dataclass(frozen=True)
class Answer:
    """A page's text, how many tokens it has, and whether it ended by itself or at `max_new_tokens`."""

    text: str
    tokens: int
    complete: bool = field(default=True)


class TransformersReader:
    """Reads a batch at a time, on the first GPU if there is one, padded on the left."""

    def __init__(self, options: ReadOptions) -> None:
        self.options = options
        self.pages_at_once = options.batch_size
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.processor = AutoProcessor.from_pretrained(options.model)
        self.model = AutoModelForImageTextToText.from_pretrained(
            options.model, dtype="auto" if device == "cuda" else torch.float32
        ).to(device)

    def prepare(self, images: list[Image.Image]) -> Any:
        """The model's inputs; a thread can make the next ones while the model reads."""
        chats = [_conversation(self.options.question, {"type": "image", "image": image}) for image in images]
        return self.processor.prepare_chat(chats, **self.options.tiles)

    def read(self, inputs: Any) -> list[Answer]:
        """One answer for each row of what `prepare` returned."""
        sequences = self.model.generate(
            **inputs.to(self.model.device, self.model.dtype),
            do_sample=False,
            max_new_tokens=self.options.max_new_tokens,
            keep_ratio=self.options.keep_ratio,
        )
        ends = self.model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends])
        answers = []
        for ids in sequences[:, inputs["input_ids"].shape[1] :].tolist():
            length = next((place for place, token in enumerate(ids) if token in ends), None)
            text = self.processor.decode(ids[:length], skip_special_tokens=True)
            answers.append(Answer(text, len(ids) if length is None else length + 1, length is not None))
        return answers


class VLLMReader:
    """Hands many pages at once to vLLM, which makes its own batches of up to `batch_size` pages."""

    def __init__(self, options: ReadOptions) -> None:
        from vllm import LLM, SamplingParams

        self.options = options
        self.pages_at_once = 16 * options.batch_size
        self.processor = AutoProcessor.from_pretrained(options.model)
        given = {} if options.keep_ratio is None else {"keep_ratio": options.keep_ratio}
        self.engine = LLM(
            model=options.model,
            dtype="auto" if torch.cuda.is_available() else "float32",
            max_num_seqs=options.batch_size,
            limit_mm_per_prompt={"image": 1},
            mm_processor_kwargs=given | options.tiles or None,
        )
        self.sampling = SamplingParams(temperature=0, max_tokens=options.max_new_tokens)

    def prepare(self, images: list[Image.Image]) -> Any:
        """Conversations in vLLM's form; the images are decoded, so that a damaged one fails here."""
        for image in images:
            image.load()
        return [_conversation(self.options.question, {"type": "image_pil", "image_pil": image}) for image in images]

    def read(self, inputs: Any) -> list[Answer]:
        """One answer for each conversation."""
        outputs = [each.outputs[0] for each in self.engine.chat(inputs, self.sampling, use_tqdm=False)]
        return [Answer(each.text, len(each.token_ids), each.finish_reason == "stop") for each in outputs]


READERS = {"transformers": TransformersReader, "vllm": VLLMReader}


def _conversation(question: str, image: dict) -> list[dict]:
    return [{"role": "user", "content": [image, {"type": "text", "text": question}]}]
