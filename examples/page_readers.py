"""What reads the pages of `read_folder.py`: our own `generate`, or vLLM's offline engine."""

import threading
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

import modeling_minimonkey  # noqa: F401  (makes the Auto classes know the model)
import processing_minimonkey  # noqa: F401
from modeling_minimonkey.configuration_checks import check_keep_ratio
from modeling_minimonkey.engines.image_tokens import most_tokens
from modeling_minimonkey.input_checks import most_positions


@dataclass(frozen=True)
class ReadOptions:
    """
    Args:
        model (`str`): folder or Hub id.
        question (`str`): what is asked about every page.
        max_new_tokens (`int`): longest answer in tokens, at least 1.
        batch_size (`int`): pages at once, at least 1.
        keep_ratio (`float`, *optional*):
            Share of the detailed tokens that stays, above 0 and at most 1; by default the model's own.
        pyramid (`str`, *optional*): a published setting of the tiles, such as `"docvqa"`; by default the model's own.

    Raises:
        ValueError: a number is out of its range.
    """

    model: str
    question: str = "Read the text."
    max_new_tokens: int = 1024
    batch_size: int = 8
    keep_ratio: float | None = None
    pyramid: str | None = None

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if self.keep_ratio is not None:
            check_keep_ratio(self.keep_ratio)

    @property
    def images_kwargs(self) -> dict[str, Any]:
        """The settings of the image processor, whose limits on a call are a server's: here `batch_size` is the one."""
        return {"max_images": None, "max_tiles": None} | ({} if self.pyramid is None else {"pyramid": self.pyramid})


@dataclass(frozen=True)
class Answer:
    """A page's text, how many tokens it has, and whether it ended by itself and not at `max_new_tokens`."""

    text: str
    tokens: int
    complete: bool


class PageReader:
    """
    Reads `pages_at_once` pages in two steps: `prepare`, which another thread can do for the next pages, and `read`.
    Both raise `ValueError` if they can't, and `read` also `torch.OutOfMemoryError`.
    """

    pages_at_once: int

    def __init__(self, options: ReadOptions) -> None:
        self.options = options
        self.processor = AutoProcessor.from_pretrained(options.model)

    def tiles(self, width: int, height: int) -> int:
        """How many tiles an upright image of so many pixels has."""
        images = self.processor.image_processor
        return images.get_number_of_image_patches(height, width, self.options.images_kwargs)

    def prepare(self, pages: list[bytes]) -> Any:
        """What `read` needs, of the files of images."""
        raise NotImplementedError

    def read(self, inputs: Any, max_new_tokens: int | None = None) -> list[Answer]:
        """One answer for each page of what `prepare` returned, of so many tokens in place of the options'."""
        raise NotImplementedError

    def conversation(self, image: dict) -> list[dict]:
        """The question about one image."""
        return [{"role": "user", "content": [image, {"type": "text", "text": self.options.question}]}]


class TransformersReader(PageReader):
    """Reads a batch at a time, on the first GPU if there is one, padded on the left."""

    def __init__(self, options: ReadOptions) -> None:
        super().__init__(options)
        self.pages_at_once = options.batch_size
        self.tokenizer_is_free = threading.Lock()  # it changes its own settings while it encodes
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = AutoModelForImageTextToText.from_pretrained(
            options.model, dtype="auto" if device == "cuda" else torch.float32
        ).to(device)

    def prepare(self, pages: list[bytes]) -> Any:
        """The model's inputs, on the CPU; one image is decoded at a time."""
        chats = [self.conversation({"type": "image", "image": page}) for page in pages]
        with self.tokenizer_is_free:
            return self.processor.prepare_chat(chats, **self.options.images_kwargs)

    def read(self, inputs: Any, max_new_tokens: int | None = None) -> list[Answer]:
        sequences = self.model.generate(
            **inputs.to(self.model.device, self.model.dtype),
            do_sample=False,
            max_new_tokens=max_new_tokens or self.options.max_new_tokens,
            keep_ratio=self.options.keep_ratio,
        )
        ends = self.model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends])
        answers = []
        for ids in sequences[:, inputs["input_ids"].shape[1] :].tolist():
            length = next((place for place, token in enumerate(ids) if token in ends), None)
            with self.tokenizer_is_free:
                text = self.processor.decode(ids[:length], skip_special_tokens=True)
            answers.append(Answer(text, len(ids) if length is None else length + 1, length is not None))
        return answers


class VLLMReader(PageReader):
    """Hands vLLM four times the pages of a batch, of which it makes batches itself, filled up when an answer ends."""

    def __init__(self, options: ReadOptions) -> None:
        from vllm import LLM, SamplingParams

        super().__init__(options)
        self.pages_at_once = 4 * options.batch_size
        self.engine = LLM(
            model=options.model,
            dtype="auto" if torch.cuda.is_available() else "float32",
            max_num_seqs=options.batch_size,
            max_model_len=self.longest(),
            limit_mm_per_prompt={"image": 1},
            mm_processor_kwargs=self.processor_kwargs(),
        )
        self.sampling = SamplingParams(temperature=0, max_tokens=options.max_new_tokens)

    def longest(self) -> int:
        """Tokens of the longest prompt and answer, by which vLLM plans its memory: the model could take far more."""
        chat = self.processor.apply_chat_template(self.conversation({"type": "image"}), add_generation_prompt=True)
        text = len(self.processor.tokenizer.encode(chat))
        images = most_tokens(self.processor, self.options.keep_ratio or 1.0, self.options.images_kwargs)
        limit = most_positions(AutoConfig.from_pretrained(self.options.model).text_config)
        return min(text + images + self.options.max_new_tokens, limit)

    def prepare(self, pages: list[bytes]) -> Any:
        """Conversations with upright RGB images: vLLM would take a damaged one for an error of its own."""
        process = self.processor.image_processor.process_image
        return [self.conversation({"type": "image_pil", "image_pil": process(page)}) for page in pages]

    def read(self, inputs: Any, max_new_tokens: int | None = None) -> list[Answer]:
        from vllm.exceptions import VLLMValidationError

        sampling = self.sampling.clone()
        sampling.max_tokens = max_new_tokens or sampling.max_tokens
        try:
            outputs = self.engine.chat(inputs, sampling, use_tqdm=False, mm_processor_kwargs=self.processor_kwargs())
        except VLLMValidationError as error:  # a ValueError in some releases only
            raise ValueError(str(error)) from error
        found = [each.outputs[0] for each in outputs]
        return [Answer(each.text, len(each.token_ids), each.finish_reason == "stop") for each in found]

    def processor_kwargs(self) -> dict[str, Any] | None:
        """The options that vLLM hands to our processor."""
        given = {"keep_ratio": self.options.keep_ratio, "pyramid": self.options.pyramid}
        return {name: value for name, value in given.items() if value is not None} or None


READERS = {"transformers": TransformersReader, "vllm": VLLMReader}
