"""What a model reads of held-out words, by kind of question, and whether it still chats."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.sawtooth.pretrained.chat import PLAIN, Said, is_right
from benchmarks.sawtooth.pretrained.conversations import Conversation, Encoder
from benchmarks.sawtooth.pretrained.generation import generate
from benchmarks.sawtooth.pretrained.questions import KINDS, UNSEEN, WORDINGS, Picture, Turn, ask, draw_picture
from benchmarks.sawtooth.readers.rendering import generator, lexicon
from benchmarks.sawtooth.readers.scores import edit_distance


LAYOUT_OF_KIND = {"text": "lines", "line": "lines", "value": "receipt", "spell": "word", "meaning": "word"}
LARGE = {  # a kind and a layout of each
    "line of a page": ("line", "page"),
    "value on a bill": ("value", "bill"),
    "cost on a receipt": ("cost", "receipt"),
    "item on a receipt": ("item", "receipt"),
    "cost on a bill": ("cost", "bill"),
    "item on a bill": ("item", "bill"),
}
LONGEST = {  # tokens
    "text": 60,
    "line": 28,
    "value": 8,
    "present": 6,
    "spell": 24,
    "meaning": 64,
    "cost": 28,
    "item": 28,
    "chat": 48,
}


@dataclass(frozen=True)
class Asked:
    """A question about a picture of held-out words."""

    picture: Picture
    turn: Turn


def ask_about_held_out(
    kind: str, n: int, explain: Callable[[str], Said | None], wordings=WORDINGS, layout: str | None = None
) -> list[Asked]:
    """
    `n` questions of a kind; those about the meaning, about words that `explain` knows. Of pictures of a `layout`, by
    default the small one that fits the kind.

    Raises:
        ValueError: `explain` knows none of the first words.
    """
    asked, layouts, index = [], ("word", "lines", "receipt"), 0
    while len(asked) < n:
        rng = generator(f"held-out-{kind}", index)
        picture = draw_picture(rng, layout or LAYOUT_OF_KIND.get(kind, layouts[index % 3]), held_out=True)
        turn = ask(rng, picture, kind, True, explain, wordings)
        index += 1
        if turn:
            asked.append(Asked(picture, turn))
        elif index > 1000 * n:
            raise ValueError(f"`explain` knows no word in {index} pictures.")
    return asked


def held_out_words(n: int) -> list[Asked]:
    """`n` pictures of one word each, half of them of the lexicon, and the question for it."""
    pictures = (draw_picture(generator("held-out-words", i), "word", held_out=True) for i in range(n))
    return [Asked(picture, Turn("text", "Read the text.", picture.page.text)) for picture in pictures]


def score(truths: Sequence[str], answers: Sequence[str]) -> dict:
    """`n`, the share of answers that are `exact`, and of the `characters`: one minus edits, at most all of a text."""
    edits = sum(min(len(truth), edit_distance(truth, answer)) for truth, answer in zip(truths, answers, strict=True))
    return {
        "n": len(truths),
        "exact": round(sum(truth == answer for truth, answer in zip(truths, answers, strict=True)) / len(truths), 4),
        "characters": round(1 - edits / sum(map(len, truths)), 4),
    }


def overlap(first: str, second: str) -> float:
    """F1 of the different words of two texts, whatever their case."""
    one, two = set(first.lower().split()), set(second.lower().split())
    return 2 * len(one & two) / max(1, len(one) + len(two))


class Evaluation:
    """
    All measurements of a model, one log entry each; one that fails is logged as such and the rest go on.

    Args:
        model, encoder: what answers.
        say (`Callable`): writes a log entry.
        meanings: what the language model says of the meaning of held-out words, by word.
        deadline (`float`): of `time.monotonic()`; what would begin later is left out, and logged as such.
    """

    def __init__(self, model, encoder: Encoder, say: Callable, meanings: dict[str, Said], deadline: float):
        self.model, self.encoder, self.say = model, encoder, say
        self.meanings, self.deadline = meanings, deadline

    def run(self, when: str, words: int, questions: int, parts: Sequence[str] | None = None) -> None:
        """
        Measures chat, words, each kind of question, and 30 questions in wordings that are never trained.

        Args:
            when: stands in each entry.
            words: number of single words.
            questions: number of questions of each kind.
            parts: some of them only, by name.
        """
        all_parts = {
            "chat": lambda: self.chat(None),
            "words": lambda: self.words(words),
            "chat with a picture": lambda: self.chat(draw_picture(generator("held-out-chat", 0), "word", True)),
            "unseen wordings": self.unseen,
            **{kind: lambda kind=kind: self.kind(kind, questions) for kind in KINDS},
            **{name: lambda place=place: self.kind(place[0], questions, place[1]) for name, place in LARGE.items()},
        }
        for name in parts or all_parts:  # the most important first
            began = time.monotonic()
            if began > self.deadline:
                self.say(evaluation=when, part=name, left_out="no time")
                continue
            try:
                found = all_parts[name]()
            except Exception:  # the other measurements are worth having
                found = {"error": traceback.format_exc()}
            self.say(evaluation=when, part=name, seconds=round(time.monotonic() - began, 1), **found)

    def answers(self, prompts: Sequence[Conversation], kind: str) -> list[str]:
        """The answers to prompts, as long as those of a kind may be."""
        said = generate(self.model, self.encoder, prompts, LONGEST[kind])
        return [self.encoder.decode(ids) for ids, _ in said]

    def ask(self, asked: Sequence[Asked], kind: str) -> list[str]:
        """The answers to questions about pictures."""
        return self.answers([self.encoder.prompt(each.turn.question, each.picture) for each in asked], kind)

    def chat(self, picture: Picture | None) -> dict:
        """The plain questions, alone or with a picture that has nothing to do with them; answers in full."""
        answers = self.answers([self.encoder.prompt(question, picture) for question, _, _ in PLAIN], "chat")
        right = [is_right(answer, accepted, n) for answer, (_, accepted, n) in zip(answers, PLAIN, strict=True)]
        questions = [question for question, _, _ in PLAIN]
        return {
            "n": len(PLAIN),
            "right": sum(right),
            "answers": [list(row) for row in zip(questions, answers, right, strict=True)],
        }

    def words(self, n: int) -> dict:
        """Single words, those of the lexicon and random strings apart."""
        asked = held_out_words(n)
        answers = self.ask(asked, "spell")
        known = {word.lower() for word in lexicon()}
        pairs = [(each.turn.spelled, answer) for each, answer in zip(asked, answers, strict=True)]
        parts = {
            "lexicon": [pair for pair in pairs if pair[0] in known],
            "random": [pair for pair in pairs if pair[0] not in known],
        }
        by_part = {name: score(*zip(*part, strict=True)) for name, part in parts.items() if part}
        return score(*zip(*pairs, strict=True)) | by_part | {"examples": pairs[:8]}

    def kind(self, kind: str, n: int, layout: str | None = None) -> dict:
        """Questions of a kind, in wordings that are trained, about pictures as in `ask_about_held_out`."""
        if kind == "meaning":
            return self.meaning(min(n, 40))
        asked = ask_about_held_out(kind, n, self.meanings.get, layout=layout)
        answers = self.ask(asked, kind)
        truths = [each.turn.spelled for each in asked]
        return score(truths, answers) | {"examples": list(zip(truths, answers, strict=True))[:8]}

    def meaning(self, n: int) -> dict:
        """Whether the answer begins with the word, and how far the rest overlaps with the language model's own."""
        asked = ask_about_held_out("meaning", n, self.meanings.get)
        rows = []
        for each, answer in zip(asked, self.ask(asked, "meaning"), strict=True):
            word, own = each.turn.spelled.removesuffix(": "), self.encoder.decode(each.turn.tokens)
            named, _, rest = answer.partition(":")
            rows.append((word, named == word, overlap(own, rest), answer, own))
        return {
            "n": n,
            "named": round(sum(row[1] for row in rows) / n, 4),
            "overlap": round(sum(row[2] for row in rows) / n, 4),
            "examples": [(word, answer, own) for word, _, _, answer, own in rows[:8]],
        }

    def unseen(self, each: int = 6) -> dict:
        """Questions in wordings that are never trained, `each` of every kind; answers in full."""
        rows = []
        for kind in UNSEEN:
            asked = ask_about_held_out(kind, each, self.meanings.get, UNSEEN)
            rows += [
                (kind, one.turn.question, one.turn.spelled, answer)
                for one, answer in zip(asked, self.ask(asked, kind), strict=True)
            ]
        return {
            "n": len(rows),
            "right": sum(truth.lower() == answer.lower().rstrip(".") for _, _, truth, answer in rows),
            "answers": rows,
        }
