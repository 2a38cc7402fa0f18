"""What does one thing on a receipt or a bill cost? Asked of a pretrained language model, images cut in several ways,
and receipts compressed by the attention of several layers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from benchmarks.sawtooth.cutting import View, is_cut, tokens_on
from benchmarks.sawtooth.measurements.reading import Reader, make_inputs
from benchmarks.sawtooth.measurements.scoring import given_scores, scoring
from benchmarks.sawtooth.measurements.selectors import scored_by, text
from benchmarks.sawtooth.pretrained.evaluate import LONGEST, Asked, ask_about_held_out
from benchmarks.sawtooth.pretrained.questions import PRICED, SENTENCES
from benchmarks.sawtooth.readers.rendering import Box, word_boxes
from benchmarks.sawtooth.runner import Measurement
from modeling_minimonkey.inspection.visualization import kept_detailed_tokens
from modeling_minimonkey.scale_compression import DETAILED_LEVEL


PLAIN = "detailed + global"
METHODS = ("pyramid any", PLAIN, "second grid repeated", "detailed + global, tiles of the pyramid")
SCORES = (  # whose attention, in which layer; "none" is the norm of the features
    ("all", 1),
    ("all", 2),
    ("question", 1),
    ("question", 2),
    ("question", 8),
    ("question", 20),
    ("none", 0),
)
RATIOS = (0.5,)
ALL_TOKENS = ("all", 1, 1.0, "repack")
# Whose attention, layer, share and positions for a model that was trained under compression: its own, the same with
# tokens numbered anew, as it was trained before, the published rule, and that with numbers kept
TRAINED_SCORES = (
    ("question", 3, 0.5, "keep"),
    ("question", 3, 0.25, "keep"),
    ("question", 3, 0.5, "repack"),
    ("all", 1, 0.5, "repack"),
    ("all", 1, 0.5, "keep"),
)
BY_HAND = ("text", 0, 0.5, "keep")  # no model is asked: all that shows a word stays first


@dataclass(frozen=True)
class ReceiptReading:
    """
    One question about a receipt. `layout`: in `PRICED`; `positions`: of the tokens that stay, as in the configuration;
    `kind`: in `SENTENCES`; `word`: the whole answer as it should be; `kept_asked`, `kept_all`: share of the detailed
    tokens on the word that answers, or of all, that stay;
    `is_cut`: whether plain tiling cuts the name or the number.
    """

    layout: str
    method: str
    queries: str
    layer: int
    keep_ratio: float
    positions: str
    kind: str
    receipt: int
    word: str
    answer: str
    kept_asked: float
    kept_all: float
    tokens: int
    is_cut: bool


def name_and_number(sentence: str) -> list[str]:
    """What a sentence such as "tea costs 12." says, as name and number; of any other text its parts, not two."""
    return sentence.strip().rstrip(".").split(" costs ")


def line_boxes(asked: Asked) -> tuple[Box, Box]:
    """The boxes, in px, of the name and the number that are asked about."""
    name, number = name_and_number(asked.turn.spelled)
    boxes = dict(word_boxes(asked.picture.page))
    return boxes[name], boxes[number]


def answer_box(asked: Asked) -> Box:
    """The box, in px, of the word that answers: the number of a cost, the name of an item."""
    return line_boxes(asked)[asked.turn.kind == "cost"]


def is_line_cut(asked: Asked, reader: Reader) -> bool:
    """Whether a line of the detailed grid runs through the name or the number."""
    image = asked.picture.page.image
    return bool(np.any(is_cut(reader.views(PLAIN, image)[0], image.size, np.array(line_boxes(asked)))))


def tokens_along(reader: Reader) -> int:
    """Tokens along a side of a tile."""
    return round(reader.processor.image_seq_length**0.5)


def scores_by_hand(reader: Reader, asked: Sequence[Asked], views: Sequence[list[View]]) -> list[np.ndarray]:
    """Scores of the detailed tokens of each picture that has some, the highest where text is."""
    along = tokens_along(reader)
    detailed = [(each, view[0]) for each, view in zip(asked, views, strict=True) if view[0].level == DETAILED_LEVEL]
    return [text(each.picture.page, view, along) for each, view in detailed]


@dataclass(frozen=True)
class Receipts(Measurement):
    """So many `receipts` or bills and as many others, fewer `compressed`: what does it cost, or what costs so much?"""

    receipts: int = 120
    compressed: int = 40
    batch_size: int = 10

    name = "receipts"
    row = ReceiptReading
    block = ("layout", "method", "queries", "layer", "keep_ratio", "positions", "kind")

    def blocks(self, reader: Reader) -> Sequence[tuple]:
        layers = reader.model.config.text_config.num_hidden_layers
        scores = [(*score, ratio, "repack") for ratio in RATIOS for score in SCORES if score[1] < layers]
        cut = [(layout, method, *ALL_TOKENS) for layout in PRICED for method in METHODS]
        compressed = [(PRICED[0], METHODS[0], *score) for score in scores]
        return [(*setting, kind) for setting in (*cut, *compressed) for kind in SENTENCES]

    def measure(self, reader: Reader, *block) -> list[ReceiptReading]:
        layout, *_, keep_ratio, _, kind = block
        number = self.receipts if keep_ratio == 1 else self.compressed
        asked = list(enumerate(ask_about_held_out(kind, number, lambda word: None, layout=layout)))
        rows = []
        for start in tqdm(range(0, len(asked), self.batch_size), desc=", ".join(map(str, block)), leave=False):
            rows += self._read(reader, asked[start : start + self.batch_size], *block)
        return rows

    def _read(self, reader: Reader, asked: list[tuple[int, Asked]], *block):
        _, method, queries, layer, keep_ratio, positions, kind = block
        images = [each.picture.page.image for _, each in asked]
        views = [reader.views(method, image) for image in images]
        inputs = make_inputs(reader.processor, images, views, [each.turn.question for _, each in asked])
        given = None
        if queries == BY_HAND[0]:
            scores = scores_by_hand(reader, [each for _, each in asked], views)
            given, queries = given_scores([*scores, *scores]), "all"  # for the answers, and for what stays
        with scoring(reader.model, queries=queries, layer=layer, positions=positions), scored_by(given):
            answers = reader.generate(inputs, LONGEST[kind], keep_ratio=keep_ratio)
            kept = [self._kept(reader, each, view, keep_ratio) for (_, each), view in zip(asked, views, strict=True)]
        tokens = inputs["attention_mask"].sum(-1).tolist()
        rows = []
        for (receipt, each), answer, shares, length in zip(asked, answers, kept, tokens, strict=True):
            found = (each.turn.spelled, answer.strip(), *shares, length, is_line_cut(each, reader))
            rows.append(ReceiptReading(*block, receipt, *found))
        return rows

    def _kept(self, reader: Reader, asked: Asked, views: list[View], keep_ratio: float) -> tuple[float, float]:
        """Shares of the detailed tokens that stay: of those on the answer, and of all."""
        if keep_ratio == 1 or views[0].level != DETAILED_LEVEL:
            return 1.0, 1.0
        image, question = asked.picture.page.image, asked.turn.question
        on = tokens_on(views[0], image.size, answer_box(asked), tokens_along(reader))
        inputs = make_inputs(reader.processor, [image], [views], question)
        kept = kept_detailed_tokens(reader.model, inputs, keep_ratio).ravel()
        return round(float(np.mean(kept[on])), 4), round(float(np.mean(kept)), 4)


@dataclass(frozen=True)
class CompressedReceipts(Receipts):
    """
    Receipts and bills through the pyramid and, with all tokens, without its second grid; compressed by the rule that
    the model was trained with, by the published one, and by hand.
    """

    receipts: int = 80

    name = "compressed-receipts"

    def blocks(self, reader: Reader) -> Sequence[tuple]:
        full = [(method, *ALL_TOKENS) for method in (METHODS[0], PLAIN)]
        ways = (*full, *((METHODS[0], *score) for score in (*TRAINED_SCORES, BY_HAND)))
        return [(layout, *way, kind) for layout in PRICED for way in ways for kind in SENTENCES]
