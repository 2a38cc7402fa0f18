"""How long does a pretrained language model take to the first token of an answer, with all tokens and compressed?"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from tqdm import tqdm

from benchmarks.sawtooth.measurements.reading import Reader, make_inputs
from benchmarks.sawtooth.measurements.receipts import METHODS, TRAINED_SCORES
from benchmarks.sawtooth.measurements.scoring import scoring
from benchmarks.sawtooth.pretrained.evaluate import ask_about_held_out
from benchmarks.sawtooth.pretrained.questions import PRICED, SENTENCES
from benchmarks.sawtooth.runner import Measurement
from benchmarks.speed.timing import time_in_turns


# All tokens, then the rules for this model, whatever its positions, then the layer that it was trained with first
OWN = dict.fromkeys(score[:3] for score in TRAINED_SCORES)
SCORES = (("all", 1, 1.0), *OWN, ("question", 8, 0.5), ("question", 8, 0.25))


@dataclass(frozen=True)
class FirstTokenReading:
    """
    One question about a receipt or a bill. `tokens`: of the prompt; `seconds`: of the process to the first token of
    the answer, tower and scores among them, the median over rounds.
    """

    layout: str
    queries: str
    layer: int
    keep_ratio: float
    receipt: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class FirstToken(Measurement):
    """So many `pictures` of each layout, every rule in turns, so many `rounds`; on one thread (`--threads 1`)."""

    pictures: int = 8
    rounds: int = 3

    name = "first-token"
    row = FirstTokenReading
    block = ("layout",)

    def blocks(self, reader: Reader) -> Sequence[tuple]:
        layers = reader.model.config.text_config.num_hidden_layers
        return [(layout,) for layout in PRICED if layers > max(layer for _, layer, _ in SCORES)]

    def measure(self, reader: Reader, layout: str) -> list[FirstTokenReading]:
        rows = []
        asked = ask_about_held_out(SENTENCES[0], self.pictures, lambda word: None, layout=layout)
        for number, each in enumerate(tqdm(asked, desc=layout, leave=False)):
            image = each.picture.page.image
            inputs = make_inputs(reader.processor, [image], [reader.views(METHODS[0], image)], each.turn.question)
            tokens = inputs["input_ids"].shape[1]
            # Another process on the same core must not count, hence the process's own seconds
            timed = {score: first_token(reader, inputs, *score) for score in SCORES}
            seconds = time_in_turns(timed, self.rounds, clock=time.process_time)
            rows += [
                FirstTokenReading(layout, *score, number, tokens, round(median(found), 4))
                for score, found in seconds.items()
            ]
        return rows


def first_token(reader: Reader, inputs: dict, queries: str, layer: int, keep_ratio: float) -> Callable[[], None]:
    """A function that asks for one token, compressed as said."""

    def run() -> None:
        with scoring(reader.model, queries=queries, layer=layer):
            reader.generate(inputs, max_new_tokens=1, keep_ratio=keep_ratio)

    return run
