"""Conversations as token ids: questions about pictures, and the language model's own chat, to train on and to ask.

An answer about what is written has one token per character: the ids decode to the same text, and the model needn't
know how a tokenizer would cut a word that it has only seen. Chat keeps the tokens of the language model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch

from benchmarks.sawtooth.cutting import DETAILED, METHODS, View, grid_view, tokens_on
from benchmarks.sawtooth.pretrained.model import IMAGE_TOKENS
from benchmarks.sawtooth.pretrained.questions import ASKED, Picture, Turn, named_words, training_picture
from benchmarks.sawtooth.readers import rendering
from benchmarks.sawtooth.readers.rendering import TILE_SIZE, generator, word_boxes
from benchmarks.sawtooth.readers.sequences import IGNORED, batches_by_length
from benchmarks.sawtooth.readers.tower import normalized


@dataclass
class Conversation:
    """
    Ids and labels of one row, and the tiles of its picture, uint8 of shape (tiles, height, width, channels).

    `is_detailed`, bool, and `wanted`, float, of shape (image tokens,): whether an image token is of the detailed grid,
    and how much the question is to look at it, see `Encoder.shown`. `alone`, of a row that is chat, is the same
    conversation without the picture.
    """

    ids: list[int]
    labels: list[int]
    tiles: np.ndarray = field(default_factory=lambda: np.zeros((0, TILE_SIZE, TILE_SIZE, 3), np.uint8))
    is_detailed: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    wanted: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    alone: "Conversation | None" = None


def cut_tiles(picture: Picture) -> np.ndarray:
    """The tiles of a picture's own grid, row by row: uint8 of shape (tiles, height, width, channels)."""
    return rendering.cut_tiles(picture.page.image, picture.grid)


def letters_of_patches(picture: Picture, side: int) -> list[str]:
    """The characters whose centers lie in each patch: `side` x `side` patches a tile, in the order of image tokens."""
    columns, rows = picture.grid
    width, height = picture.page.image.size
    found = [""] * (columns * rows * side * side)
    for character in picture.page.characters:
        x, y = int(character.x / width * columns * side), int(character.y / height * rows * side)
        if 0 <= x < columns * side and 0 <= y < rows * side:
            tile = y // side * columns + x // side
            found[(tile * side + y % side) * side + x % side] += character.text
    return found


class Encoder:
    """
    Writes conversations in the language model's format.

    Args:
        tokenizer: with the three tokens of an image.
        tokens_per_tile (`int`): image tokens of a tile.
        methods (`str`): how pictures are cut, a name of `cutting.METHODS`, or several with `;` between them, the
            first for questions without an answer; by default in their own grid alone.
        other_words (`float`): how much a question is to look at a word that it doesn't ask for, beside 1 for one that
            it does.
    """

    def __init__(self, tokenizer, tokens_per_tile: int, methods: str = "", other_words: float = 0.0):
        self.tokenizer, self.tokens_per_tile, self.methods = tokenizer, tokens_per_tile, methods.split(";")
        self.other_words = other_words
        self.start, self.stop, self.context = tokenizer.convert_tokens_to_ids(list(IMAGE_TOKENS))
        self.end = tokenizer.convert_tokens_to_ids("<|im_end|>")
        self.ids = lru_cache(maxsize=100_000)(self._ids)
        self.user, self.assistant = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def spell(self, text: str) -> list[int]:
        """The ids of a text, character by character."""
        return [token for character in text for token in self.ids(character)]

    def views(self, picture: Picture, method: int = 0) -> list[View]:
        """How a picture is cut by one of `methods`."""
        if not self.methods[method]:
            return [grid_view(DETAILED, picture.grid, TILE_SIZE)]
        return METHODS[self.methods[method]](*picture.page.image.size, TILE_SIZE, None)

    def tiles(self, picture: Picture, method: int = 0) -> np.ndarray:
        """The tiles of a picture, cut by one of `methods`: uint8 of shape (tiles, height, width, channels)."""
        views = self.views(picture, method)
        return np.stack([np.asarray(tile) for view in views for tile in view.cut(picture.page.image)])

    def shown(self, picture: Picture, method: int, turns: Sequence[Turn]) -> tuple[np.ndarray, np.ndarray]:
        """
        Which image tokens are detailed, and how much each is to be looked at: bool and float32 (image tokens,).

        1 for a detailed token on a word that `turns` ask for, `other_words` on another word, else 0; where nothing is
        asked for, 0 everywhere.
        """
        along, size, named = round(self.tokens_per_tile**0.5), picture.page.image.size, named_words(picture, turns)
        other_words = self.other_words if named else 0.0
        weights = [(box, 1.0 if word in named else other_words) for word, box in word_boxes(picture.page)]
        looked_at = [(box, weight) for box, weight in weights if weight]
        views = self.views(picture, method)
        wanted = []
        for view in views:
            shown = np.zeros(len(view.boxes) * self.tokens_per_tile, np.float32)
            for box, weight in looked_at if view.level == DETAILED else ():
                shown = np.maximum(shown, weight * tokens_on(view, size, box, along), dtype=np.float32)
            wanted.append(shown)
        levels = np.repeat([view.level for view in views], [len(shown) for shown in wanted])
        return levels == DETAILED, np.concatenate(wanted)

    def conversation(self, turns: Sequence[Turn], picture: Picture | None = None, method: int = 0) -> Conversation:
        """
        Questions and their answers after a picture, cut by one of `methods`, or without. The labels are the answers
        and what ends them.
        """
        row = Conversation([], [])

        def add(ids: Sequence[int], is_answer: bool) -> None:
            row.ids.extend(ids)
            row.labels.extend(ids if is_answer else [IGNORED] * len(ids))

        for number, turn in enumerate(turns):
            add(self.ids(self.user if not number else "\n" + self.user), False)
            if picture is not None and not number:
                row.tiles = self.tiles(picture, method)
                row.is_detailed, row.wanted = self.shown(picture, method, turns)
                add([self.start, *[self.context] * len(row.is_detailed), self.stop, *self.ids("\n")], False)
            add(self.ids(turn.question) + self.ids(self.assistant), False)
            add([*self.spell(turn.spelled), *turn.tokens], True)
            if turn.ended:
                add([self.end], True)
        return row

    def prompt(self, question: str, picture: Picture | None = None) -> Conversation:
        """A question without its answer."""
        return self.conversation([Turn("", question, ended=False)], picture)

    def decode(self, ids: Sequence[int]) -> str:
        """Generated ids as text, without what ends them."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()


def collate(rows: Sequence[Conversation], end: int, left: bool = False) -> dict[str, np.ndarray]:
    """
    Rows as a batch of arrays, padded with `end` at the right, or at the left to generate.

    Returns:
        `input_ids`, `attention_mask` and `labels` of shape (rows, length), `tiles` uint8 of shape (tiles, height,
        width, channels), `is_detailed`, bool, and `wanted`, float32, (image tokens,), and `is_chat`, bool (rows,). If
        there is chat, its rows without pictures as `chat_ids` and `chat_labels`, padded at the right. Arrays, since
        they travel between processes without shared memory, of which a container may have little.
    """
    length = max(len(row.ids) for row in rows)
    batch = {
        "input_ids": np.full((len(rows), length), end),
        "attention_mask": np.zeros((len(rows), length), int),
        "labels": np.full((len(rows), length), IGNORED),
    }
    for number, row in enumerate(rows):
        place = slice(length - len(row.ids), length) if left else slice(0, len(row.ids))
        batch["input_ids"][number, place] = row.ids
        batch["attention_mask"][number, place] = 1
        batch["labels"][number, place] = row.labels
    for name in ("tiles", "is_detailed", "wanted"):
        batch[name] = np.concatenate([getattr(row, name) for row in rows])
    batch["is_chat"] = np.array([row.alone is not None for row in rows])
    if batch["is_chat"].any():
        alone = collate([row.alone for row in rows if row.alone is not None], end)
        batch |= {"chat_ids": alone["input_ids"], "chat_labels": alone["labels"]}
    return batch


def normalize(tiles: np.ndarray, device) -> torch.Tensor:
    """Tiles as the tower expects them: float32 of shape (tiles, channels, height, width) on a device."""
    return normalized(torch.from_numpy(tiles).to(device).permute(0, 3, 1, 2))


@dataclass(frozen=True)
class Replay:
    """
    The language model's own answers, as ids and whether they came to an end.

    Args:
        chat: by prompt.
        meanings: by word.
        share: of the training samples that are chat; a third of it is asked with a picture that has nothing to do
            with it.
    """

    chat: Mapping[str, tuple[tuple[int, ...], bool]]
    meanings: Mapping[str, tuple[tuple[int, ...], bool]]
    share: float = 0.3


class TrainingBatches(torch.utils.data.Dataset):
    """
    Batches of conversations; each follows from its index.

    Args:
        encoder, replay: what writes the rows, and the language model's part of them.
        rows: of a batch.
        window: batches in a row whose rows are sorted by length, so that they need little padding; they come in
            any order. Where several processes draw batches, each would draw all of a window: one, then.
        size: of the pictures, a key of `LAYOUTS`.
        first: sample to begin with.
    """

    def __init__(self, encoder: Encoder, replay: Replay, rows: int, window: int = 1, size: str = "small", first=0):
        self.encoder, self.replay, self.rows, self.window = encoder, replay, rows, window
        self.size, self.first = size, first
        self.prompts = sorted(replay.chat)
        self.drawn: tuple[int, list[list[Conversation]]] = (-1, [])  # a window's number and its batches

    def __len__(self) -> int:
        return 1_000_000  # more than time allows

    def row(self, index: int) -> Conversation:
        """Sample `index`."""
        rng, chat = generator("train-replay", index), self.replay.share
        method = int(generator("train-method", index).integers(len(self.encoder.methods)))
        if rng.random() >= chat:
            rng, picture = training_picture(index, self.size)
            turns = ASKED[self.size](rng, picture, self.replay.meanings.get)
            return self.encoder.conversation(turns, picture, method)
        prompt = self.prompts[rng.integers(len(self.prompts))]
        said, ended = self.replay.chat[prompt]
        turns = [Turn("chat", prompt, tokens=said, ended=ended)]
        alone = self.encoder.conversation(turns)
        picture = training_picture(index, self.size)[1] if rng.random() < 1 / 3 else None
        row = alone if picture is None else self.encoder.conversation(turns, picture, method)
        return replace(row, alone=alone)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        number, place = divmod(index, self.window)
        if self.drawn[0] != number:
            self.drawn = number, self.draw(number)
        return collate(self.drawn[1][place], self.encoder.end)

    def draw(self, number: int) -> list[list[Conversation]]:
        """The batches of window `number`."""
        samples = self.window * self.rows
        rows = [self.row(self.first + number * samples + i) for i in range(samples)]
        if self.window == 1:
            return [rows]
        rng = generator("order-pretrained", number)
        return batches_by_length(rows, lambda row: len(row.ids), self.rows, rng)


class LetterBatches(torch.utils.data.Dataset):
    """For the projector alone: tiles, and which characters each patch holds, as an index into `texts` (0: none)."""

    def __init__(self, side: int, rows: int, first: int = 10**8):
        self.side, self.rows, self.first = side, rows, first

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: int) -> dict:
        first = self.first + index * self.rows
        pictures = [training_picture(first + i)[1] for i in range(self.rows)]
        letters = [text for picture in pictures for text in letters_of_patches(picture, self.side)]
        texts = ["", *sorted(set(letters) - {""})]
        places = {text: i for i, text in enumerate(texts)}
        return {
            "tiles": np.concatenate([cut_tiles(picture) for picture in pictures]),
            "letters": np.array([places[text] for text in letters]),
            "texts": texts,
        }
