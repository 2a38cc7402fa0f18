"""Pictures with text on them, and what one may ask about each, with the answers.

Words are drawn as in `readers.rendering`: a hash decides which ones training never sees. Small pictures fill one or
two tiles, so that many fit in a batch; pages and bills fill four to six.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.sawtooth.readers.documents import random_number
from benchmarks.sawtooth.readers.rendering import (
    MAX_WORD,
    TILE_SIZE,
    Page,
    draw_page,
    generator,
    is_held_out,
    lexicon,
    random_font,
    random_word,
    render_page,
    render_word,
)


# Wordings that are trained, by kind
WORDINGS = {
    "text": ("Read the text.", "What does it say?", "Write down all the text.", "What is the text in the image?"),
    "line": ("Read line {0}.", "What is on line {0}?", "Write down line {0}."),
    "value": ("What number is beside {0}?", "Read the number beside {0}.", "Which number belongs to {0}?"),
    "present": ("Is the word {0} there?", "Does it say {0} anywhere?", "Is {0} written in the image?"),
    "spell": ("Spell the word.", "Spell it.", "Spell the text letter by letter."),
    "meaning": ("What does the word mean?", "What does this word mean?", "Explain the word in the image."),
    "cost": ("What does {0} cost?", "How much does {0} cost?"),
    "item": ("What costs {0}?", "Which one costs {0}?"),
}
# Wordings that are never trained
UNSEEN = {
    "text": ("What is written here?", "Can you tell me what this says?", "Please transcribe the image."),
    "line": ("Tell me what line number {0} says.", "Give me line {0} of the text."),
    "value": ("How much is {0}?", "What is the price of {0}?"),
    "present": ("Do you see the word {0}?", "Can you find {0} in the picture?"),
    "spell": ("How do you spell this word?",),
}
KINDS = ("text", "line", "value", "present", "spell", "meaning")  # of all pictures
SENTENCES = ("cost", "item")  # of larger ones besides, answered in a sentence
REPEATED = ("line", "value", "present", *SENTENCES)  # may be asked of several parts of a larger picture
Explain = Callable[[str], tuple[tuple[int, ...], bool] | None]
# Shares in training: small pictures first, then larger ones among them
LAYOUTS = {
    "small": {"word": 0.5, "lines": 0.25, "receipt": 0.25},
    "large": {"word": 0.15, "lines": 0.15, "receipt": 0.2, "page": 0.2, "bill": 0.3},
    "receipts": {"word": 0.1, "lines": 0.1, "receipt": 0.6, "bill": 0.2},
    "bills": {"word": 0.08, "lines": 0.07, "receipt": 0.25, "bill": 0.6},
    "single questions": {"word": 0.08, "lines": 0.07, "receipt": 0.4, "bill": 0.45},
    "questions and words": {"word": 0.14, "lines": 0.1, "receipt": 0.4, "bill": 0.36},
}
PRICED = ("receipt", "bill")  # layouts of names and numbers: two to four lines, and four to eight
LARGE_GRIDS = ((2, 2), (3, 2), (2, 3))  # of pages and bills


@dataclass(frozen=True)
class Turn:
    """
    A question of a kind and its answer.

    `spelled` is written one token per character, and first; `tokens` are the ids of an answer of the language model's
    own, and `ended` says whether it came to an end.
    """

    kind: str
    question: str
    spelled: str = ""
    tokens: tuple[int, ...] = ()
    ended: bool = True


@dataclass(frozen=True)
class Picture:
    """A page, the columns and rows of tiles that it is shown in, and its layout."""

    page: Page
    grid: tuple[int, int]
    layout: str

    @property
    def words(self) -> list[str]:
        return [word for line in self.page.lines for word in line]


def draw_picture(rng: np.random.Generator, layout: str, held_out: bool) -> Picture:
    """
    A picture of a layout in `LAYOUTS`: a word, up to six words in lines (`page`: up to twelve), or two to four
    names and their numbers (`bill`: four to eight).
    """
    if layout == "word":
        page = render_word(rng, held_out)
        return Picture(page, (1 + (page.image.width > 1.4 * TILE_SIZE), 1), layout)
    if layout not in LAYOUTS["large"]:
        raise ValueError(f"`layout` must be one of {', '.join(LAYOUTS['large'])}, got {layout!r}.")
    is_large = layout in ("page", "bill")
    if is_large:
        grid = LARGE_GRIDS[rng.integers(len(LARGE_GRIDS))]
    else:
        grid = (2, 1) if layout == "receipt" or rng.random() < 0.5 else (1, 1)
    while True:
        size = tuple(round(side * TILE_SIZE * rng.uniform(0.85, 1.15)) for side in grid)
        if layout in PRICED:
            page = _receipt(rng, size, held_out, (4, 8) if is_large else (2, 4))
        else:
            most = (5, 13, 4) if is_large else (2, 7, 3)
            words = int(rng.integers(*most[:2])), int(rng.integers(1, most[2]))
            page = render_page(rng, size, random_font(rng, sizes=(18, 28)), held_out, *words, (1.15, 2.0))
        if page and len(page.lines) > 1:
            return Picture(page, grid, layout)


def _receipt(rng, size: tuple[int, int], held_out: bool, rows: tuple[int, int]) -> Page | None:
    """Names at the left, `rows` at least and at most, and a number beside each; nothing if they don't fit."""
    font = random_font(rng, sizes=(18, 24))
    number = int(rng.integers(rows[0], rows[1] + 1))
    step = font.size * rng.uniform(1.15, 1.6)
    lines = [[random_word(rng, held_out, 7), random_number(rng, held_out)] for _ in range(number)]
    right = 0.96 * size[0]
    widths = [[font.getlength(word) for word in line] for line in lines]
    fits = all(sum(each) + 10 < right for each in widths) and font.size * 0.6 + step * number < size[1] + step / 2
    if not fits or len({name for name, _ in lines}) < number:
        return None
    middles = [font.size * 0.7 + step * row for row in range(number)]
    positions = [place for y, each in zip(middles, widths, strict=True) for place in ((4.0, y), (right - each[1], y))]
    page = draw_page(rng, [[word] for line in lines for word in line], positions, size, font)
    return replace(page, lines=lines)


def ask(
    rng: np.random.Generator,
    picture: Picture,
    kind: str,
    held_out: bool,
    explain: Explain,
    wordings=WORDINGS,
    row: int | None = None,
) -> Turn | None:
    """
    A question of a kind about a picture; `None` where it makes no sense there.

    Args:
        explain: what the language model says of a word's meaning, as ids and whether it came to an end, or `None`.
        wordings: of the questions, by kind.
        row: the line that is asked for, where a kind asks for one; by default any.
    """
    lines, words = picture.page.lines, picture.words

    def any_row() -> int:
        return int(rng.integers(len(lines))) if row is None else row

    def say(*values) -> str:
        return wordings[kind][rng.integers(len(wordings[kind]))].format(*values)

    if kind == "text":
        return Turn(kind, say(), picture.page.text)
    if kind == "line" and len(lines) > 1:
        asked = any_row()
        return Turn(kind, say(asked + 1), " ".join(lines[asked]))
    if kind == "value" and picture.layout in PRICED:
        name, number = lines[any_row()]
        return Turn(kind, say(name), number)
    if kind in SENTENCES and picture.layout in PRICED:
        name, number = lines[any_row()]
        is_one = [other for _, other in lines].count(number) == 1
        return Turn(kind, say(name if kind == "cost" else number), f"{name} costs {number}.") if is_one else None
    if kind == "present":
        is_there = rng.random() < 0.5
        word = words[rng.integers(len(words))]
        while not is_there and word in words:
            word = random_word(rng, held_out)
        return Turn(kind, say(word), "yes" if is_there else "no")
    if kind == "spell" and picture.layout == "word":
        return Turn(kind, say(), " ".join(words[0]))
    if kind == "meaning" and picture.layout == "word" and (said := explain(words[0])):
        return Turn(kind, say(), f"{words[0]}: ", *said)
    return None


def ask_several(rng: np.random.Generator, picture: Picture, explain: Explain, turns: int = 3) -> list[Turn]:
    """Up to `turns` questions of different kinds, in random order; the text is always among them."""
    others = [KINDS[i] for i in rng.permutation(len(KINDS)) if KINDS[i] != "text"]
    asked = [turn for kind in ("text", *others) if (turn := ask(rng, picture, kind, False, explain))][:turns]
    return [asked[i] for i in rng.permutation(len(asked))]


def ask_many(rng: np.random.Generator, picture: Picture, explain: Explain, turns: int = 8) -> list[Turn]:
    """
    Up to `turns` different questions, several of the same kind where a picture has several parts to ask for.

    A pyramid takes hundreds of tokens, a question twenty. The text comes last, so that no answer is copied from it.
    """
    kinds = [kind for kind in (*KINDS, *SENTENCES) if kind != "text"] + 2 * list(REPEATED)
    asked = [ask(rng, picture, kinds[i], False, explain) for i in rng.permutation(len(kinds))]
    # The same answer once more would be copied; what a cost, a value and a line share may be
    different = {turn.question if turn.kind == "present" else turn.spelled: turn for turn in asked if turn}
    return [*list(different.values())[: turns - 1], ask(rng, picture, "text", False, explain)]


def ask_each_line(rng: np.random.Generator, picture: Picture, explain: Explain) -> list[Turn]:
    """
    Whether a word is there, then a question about each line in random order, so that no answer is copied from another
    one; or all text alone. Of a single line, what `ask_several` asks.
    """
    lines = len(picture.page.lines)
    if lines == 1:
        return ask_several(rng, picture, explain)
    if rng.random() < 1 / 3:
        return [ask(rng, picture, "text", False, explain)]
    kinds = ("line", "value", *SENTENCES)
    turns = [ask(rng, picture, "present", False, explain)]
    for row in rng.permutation(lines):
        asked = (ask(rng, picture, kinds[i], False, explain, row=int(row)) for i in rng.permutation(len(kinds)))
        turns.append(next(turn for turn in asked if turn))
    return turns


def ask_one(rng: np.random.Generator, picture: Picture, explain: Explain) -> list[Turn]:
    """One question, by which compression can tell what to keep; those that are answered in a sentence most often."""
    kinds = [*KINDS, *2 * SENTENCES]
    asked = (ask(rng, picture, kinds[i], False, explain) for i in rng.permutation(len(kinds)))
    return [next(turn for turn in asked if turn)]


def named_words(picture: Picture, turns: Sequence[Turn]) -> set[str]:
    """The words of a picture that questions or answers about it name; all of them if they name none."""
    if all(turn.kind == "chat" for turn in turns):
        return set()
    said = {word.rstrip(".?:") for turn in turns for word in f"{turn.question} {turn.spelled}".split()}
    return {word for word in picture.words if word.rstrip(".?:") in said} or set(picture.words)


# How pictures of a size are asked about, by the keys of `LAYOUTS`
ASKED = {
    "small": ask_several,
    "large": ask_many,
    "receipts": ask_many,
    "bills": ask_each_line,
    "single questions": ask_one,
    "questions and words": ask_one,
}


def training_picture(index: int, size: str = "small") -> tuple[np.random.Generator, Picture]:
    """Picture `index` of training, its layout drawn as in `LAYOUTS[size]`, and the random numbers to go on with."""
    rng, layouts = generator("train-pretrained", index), LAYOUTS[size]
    layout = list(layouts)[rng.choice(len(layouts), p=list(layouts.values()))]
    return rng, draw_picture(rng, layout, held_out=False)


def explainable_words(held_out: bool) -> list[str]:
    """The words of the lexicon that a picture may show and that have a meaning to ask for, in lower case."""
    words = {word.lower() for word in lexicon() if 2 < len(word) <= MAX_WORD}
    return sorted(word for word in words if is_held_out(word) == held_out)
