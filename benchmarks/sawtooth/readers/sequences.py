"""Pages with their questions as token sequences, which a reader learns and is asked, whatever way an image is cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.sawtooth.cutting import METHODS, PUBLISHED_RANGES, Ranges, View
from benchmarks.sawtooth.readers.rendering import TILE_SIZE, generator
from benchmarks.sawtooth.readers.sheets import KINDS, Question, Sheet, mix, one_question, render, some_questions
from benchmarks.sawtooth.readers.tower import normalized
from processing_minimonkey import MiniMonkeyProcessor


IGNORED = -100
WINDOW = 8  # batches whose samples are sorted together
# Stand in for what a conversation says, to find what the chat template puts between
MARKS = ("\x01", "\x02", "\x03")


class Cutting(NamedTuple):
    """A way to cut in `METHODS`, with its ranges, and how often it is drawn beside others."""

    method: str
    ranges: Ranges = PUBLISHED_RANGES
    weight: float = 1.0


@dataclass(frozen=True)
class Sample:
    """
    One page and its questions.

    Args:
        input_ids: Tokens, with the answers.
        labels: As many, -100 but for the answers and the tokens that end them.
        tiles: Gray, uint8 of shape (tiles, height, width).
        levels: Of each tile: 0 detailed, 1 second grid, 2 global.
        colors: Of paper and ink, as `sheets.Sheet` has them.
    """

    input_ids: list[int]
    labels: list[int]
    tiles: np.ndarray
    levels: list[int]
    colors: np.ndarray


class Encoder:
    """Writes conversations about one image as tokens. The tokenizer has a token per byte, so parts can be joined."""

    def __init__(self, processor: MiniMonkeyProcessor):
        self.tokenizer = processor.tokenizer
        self.tokens_per_tile = processor.image_seq_length
        first, answer, second = MARKS
        conversation = [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": first}]},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
            {"role": "user", "content": [{"type": "text", "text": second}]},
        ]
        text = processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
        before, rest = text.split(first)
        asked, rest = rest.split(answer)
        between, _ = rest.split(second)
        before, after = before.split(processor.image_token)
        self.before, self.after, self.asked, self.between = map(self.ids, (before, after, asked, between))
        end = self.tokenizer.eos_token_id
        if self.between[0] != end:
            raise ValueError(f"`processor` must end an answer with the token {end}, its template: {self.between[0]}.")
        self.begin_image, self.image, self.end_image = (
            getattr(self.tokenizer, f"{name}_image_token_id") for name in ("start", "context", "end")
        )

    def ids(self, text: str) -> list[int]:
        """The tokens of a part of a conversation."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def __call__(self, questions: Sequence[Question], tiles: int) -> tuple[list[int], list[int]]:
        """Tokens and labels of a conversation about an image of so many tiles."""
        image = [self.begin_image, *[self.image] * (tiles * self.tokens_per_tile), self.end_image]
        input_ids = [*self.before, *image, *self.after, *self.ids(questions[0].text), *self.asked]
        labels = [IGNORED] * len(input_ids)
        for number, question in enumerate(questions):
            if number:
                asked = [*self.between[1:], *self.ids(question.text), *self.asked]
                input_ids += asked
                labels += [IGNORED] * len(asked)
            answered = [*self.ids(question.answer), self.between[0]]
            input_ids += answered
            labels += answered
        return input_ids, labels


def cut(sheet: Sheet, views: Sequence[View]) -> tuple[np.ndarray, list[int]]:
    """The gray tiles, uint8 of shape (tiles, height, width), and the level of each."""
    tiles = [np.asarray(tile) for view in views for tile in view.cut(sheet.gray)]
    return np.stack(tiles), [view.level for view in views for _ in view.boxes]


def batches_by_length(samples: Iterable, length: Callable, size: int, rng: np.random.Generator) -> list[list]:
    """
    Batches of `size` samples of about the same `length`, so that they need little padding, in any order; one that
    isn't full comes last.
    """
    samples = sorted(samples, key=length)
    batches = [samples[start : start + size] for start in range(0, len(samples), size)]
    last = [batches.pop()] if len(batches[-1]) < size else []
    return [*(batches[index] for index in rng.permutation(len(batches))), *last]


class Sheets(torch.utils.data.Dataset):
    """
    Samples 0 to `samples` - 1 of a split, cut and encoded.

    Args:
        processor: Its tokenizer and chat template.
        world, split: Of the pages; see `sheets.render`.
        samples: How many there are.
        cuttings: Ways to cut, of which one is drawn for each sample.
        questions: Most of a sample in one sequence; one: as a model is asked, half of them for all of the text.
        batch: Samples of a batch. Above one, the samples of `WINDOW` batches in a row are sorted by their length, so
            that those of a batch need little padding; the batches come in any order.
        kinds: Of the pages; see `sheets.render`.
    """

    def __init__(
        self,
        processor: MiniMonkeyProcessor,
        world: str,
        split: str,
        samples: int,
        cuttings: Sequence[Cutting],
        questions: int = 1,
        batch: int = 1,
        kinds: Mapping[str, float] = KINDS,
    ):
        self.encoder, self.world, self.split, self.samples = Encoder(processor), world, split, samples
        self.cuttings, self.questions = tuple(cuttings), questions
        self.batch, self.kinds = batch, kinds
        self.window: tuple[int, list[Sample]] = (-1, [])  # its number and its samples, drawn once

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> Sample:
        if self.batch == 1:
            return self.draw(index)
        number, place = divmod(index, self.batch * WINDOW)
        if self.window[0] != number:
            self.window = number, self.draw_window(number)
        return self.window[1][place]

    def draw_window(self, number: int) -> list[Sample]:
        """The samples of the batches `number * WINDOW` and following ones, as they come."""
        first = number * self.batch * WINDOW
        samples = map(self.draw, range(first, min(first + self.batch * WINDOW, self.samples)))
        rng = generator(f"order-{self.split}", number)
        batches = batches_by_length(samples, lambda sample: len(sample.input_ids), self.batch, rng)
        return [sample for batch in batches for sample in batch]

    def draw(self, index: int) -> Sample:
        """Sample `index` by itself."""
        rng = generator(f"cut-{self.split}", index)
        weights = np.array([cutting.weight for cutting in self.cuttings])
        cutting = self.cuttings[rng.choice(len(weights), p=weights / weights.sum())]
        rng = generator(f"ask-{self.split}", index)
        sheet = render(self.world, self.split, index, self.kinds)
        if self.questions == 1:
            questions = one_question(sheet, rng)
        else:
            questions = some_questions(sheet, rng, self.questions)
        views = METHODS[cutting.method](*sheet.gray.size, TILE_SIZE, rng, cutting.ranges)
        tiles, levels = cut(sheet, views)
        return Sample(*self.encoder(questions, len(tiles)), tiles, levels, sheet.colors)


class Echoed(torch.utils.data.Dataset):
    """
    A data set of which every second sample is one of the last 256 again: where drawing takes longer than learning
    (data echoing, arXiv 1907.05550).
    """

    def __init__(self, dataset: torch.utils.data.Dataset):
        self.dataset, self.kept = dataset, deque(maxlen=256)

    def __len__(self) -> int:
        return 2 * len(self.dataset)

    def __getitem__(self, index: int):
        if index % 2 and self.kept:
            return self.kept[generator("echo", index).integers(len(self.kept))]
        sample = self.dataset[index // 2]
        self.kept.append(sample)
        return sample


class Collate:
    """
    Samples as model inputs, padded on the right with `pad_token_id`. `painted` makes pixels of `gray`, uint8 of shape
    (tiles, height, width), and `colors`, uint8 of shape (tiles, 2, 3), where the model is.
    """

    def __init__(self, pad_token_id: int):
        self.pad_token_id = pad_token_id

    def __call__(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        length = max(len(sample.input_ids) for sample in samples)
        input_ids = torch.full((len(samples), length), self.pad_token_id)
        labels, mask = torch.full_like(input_ids, IGNORED), torch.zeros_like(input_ids)
        for row, sample in enumerate(samples):
            tokens = len(sample.input_ids)
            input_ids[row, :tokens] = torch.tensor(sample.input_ids)
            labels[row, :tokens] = torch.tensor(sample.labels)
            mask[row, :tokens] = 1
        colors = [sample.colors[None].repeat(len(sample.tiles), axis=0) for sample in samples]
        return {
            "input_ids": input_ids,
            "attention_mask": mask,
            "gray": torch.from_numpy(np.concatenate([sample.tiles for sample in samples])),
            "colors": torch.from_numpy(np.concatenate(colors)),
            "tile_levels": torch.tensor([level for sample in samples for level in sample.levels]),
            "labels": labels,
        }


def painted(gray: torch.Tensor, colors: torch.Tensor) -> torch.Tensor:
    """Gray tiles as the processor would give them in color, float32 of shape (tiles, 3, height, width), -1 to 1."""
    paper, ink = colors.float()[..., None, None].unbind(1)  # (tiles, 3, 1, 1)
    return normalized(mix(gray[:, None].float(), paper, ink))
