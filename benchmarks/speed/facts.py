"""Prompts of text facts that stand in for a page, for a language model that can't see images."""

import random
from dataclasses import dataclass


LINES = 24
NAMES = (
    "Anna Ben Clara David Emma Frank Grace Henry Jack Karen Leo Maria Nick Olivia Paul Rachel Sam Victor Wendy Tom "
    "Lucy Peter Julia Mark Sarah Adam Helen Oscar Simon Lisa Kate Alice Robert"
).split()
VERBS = dict(
    pair.split("/")
    for pair in (
        "sell/sells paint/paints collect/collects count/counts clean/cleans draw/draws hide/hides hold/holds "
        "keep/keeps love/loves make/makes move/moves need/needs want/wants carry/carries bring/brings buy/buys "
        "build/builds find/finds fix/fixes grow/grows hate/hates hunt/hunts study/studies take/takes teach/teaches "
        "trade/trades throw/throws use/uses drop/drops burn/burns bury/buries"
    ).split()
)
# Each is one token of SmolLM2's vocabulary, with the space before it
THINGS = (
    "apples books chairs tables horses guitars lamps bottles cameras clocks mirrors pencils rings shirts windows "
    "bikes candles carpets drums pillows ropes trucks shoes hats cats dogs birds flowers boxes coins stamps maps "
    "boats toys bags"
).split()
EXAMPLES = (("Zoe", "read", "reads", "stories"), ("Max", "cook", "cooks", "soups"), ("Ivy", "sing", "sings", "songs"))


@dataclass(frozen=True)
class Fact:
    name: str
    verb: str
    thing: str

    @property
    def line(self) -> str:
        return f"{self.name} {VERBS[self.verb]} {self.thing}.\n"


@dataclass(frozen=True)
class FactPrompt:
    """`facts` in the order of their lines, of which the one with the index `asked` is asked for."""

    facts: tuple[Fact, ...]
    asked: int

    @property
    def answer(self) -> str:
        return self.facts[self.asked].thing

    @property
    def before(self) -> str:
        """What comes before the facts: three more of them, which are asked for as examples."""
        lines = "".join(f"{name} {does} {thing}.\n" for name, _, does, thing in EXAMPLES)
        return f"<|im_start|>user\n{lines}"

    @property
    def overview(self) -> str:
        """What stands in for the adaptive and the global tiles: it shows who is there, but no detail."""
        return f"The people are {', '.join(fact.name for fact in self.facts)}.\n"

    @property
    def question(self) -> str:
        """The examples and the question in the model's chat format, and the answer's beginning."""
        turns = [_turn(name, verb, f"{name} {does} {thing}.<|im_end|>") for name, verb, does, thing in EXAMPLES]
        fact = self.facts[self.asked]
        turns.append(_turn(fact.name, fact.verb, f"{fact.name} {VERBS[fact.verb]}"))
        return "\n<|im_start|>user\n".join(turns)


def _turn(name: str, verb: str, answer: str) -> str:
    return f"What does {name} {verb}?<|im_end|>\n<|im_start|>assistant\n{answer}"


def make_facts(seed: int, lines: int = LINES) -> FactPrompt:
    """A prompt of so many facts, no word of which is in two of them."""
    rng = random.Random(f"facts {seed}")
    drawn = zip(rng.sample(NAMES, lines), rng.sample(sorted(VERBS), lines), rng.sample(THINGS, lines), strict=True)
    return FactPrompt(tuple(Fact(*words) for words in drawn), rng.randrange(lines))
