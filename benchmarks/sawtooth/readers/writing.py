"""What is written on a page: words, numbers and punctuation, in one of two worlds."""

from __future__ import annotations

import string
from dataclasses import dataclass

import numpy as np

from benchmarks.sawtooth.readers.rendering import ALPHABET, FONTS, is_held_out, lexicon


MARKS = (("", ","), ("", "."), ("", "!"), ("", "?"), ("", ":"), ("", ";"), ("(", ")"), ('"', '"'))


@dataclass(frozen=True)
class World:
    """
    All that can be written, and how.

    Args:
        alphabet: Every character but the space.
        fonts: Names that `rendering.load_font` knows.
        sizes: Smallest and largest font in px of the tile.
        sign_sizes: The same on signs.
        is_plain: Whether there are only words in lower case, and digits.
    """

    alphabet: str
    fonts: tuple[str, ...]
    sizes: tuple[float, float]
    sign_sizes: tuple[float, float]
    is_plain: bool


WORLDS = {
    # As towers of before know it: in hours of a CPU, a model can learn to read it
    "plain": World(ALPHABET, tuple(FONTS), (16.0, 28.0), (22.0, 40.0), is_plain=True),
    # All that ASCII prints
    "ascii": World(
        "".join(chr(code) for code in range(33, 127)),
        (
            "DejaVuSans",
            "DejaVuSans-Bold",
            "DejaVuSans-Oblique",
            "DejaVuSansMono",
            "DejaVuSerif",
            "DejaVuSerif-Bold",
            "STIXGeneral",
            "STIXGeneralBol",
            "STIXGeneralItalic",
            "Pillow",
        ),
        (12.0, 28.0),
        (24.0, 56.0),
        is_plain=False,
    ),
}


@dataclass(frozen=True)
class Writer:
    """Draws what is written, from held-out words or from the others."""

    rng: np.random.Generator
    world: World
    held_out: bool

    def word(self, longest: int = 10) -> str:
        """
        A word of the lexicon (three in four, in training three in ten) or a string of letters; in a world that isn't
        plain, two in five of them with a capital or in capitals.
        """
        # The lexicon is so small that a model which sees more of it learns it by heart, and doesn't read
        share = 0.75 if self.held_out else 0.3
        while True:
            if self.rng.random() < share:
                word = lexicon()[self.rng.integers(len(lexicon()))].lower()
            else:
                letters = self.rng.integers(26, size=self.rng.integers(2, 9))
                word = "".join(string.ascii_lowercase[letter] for letter in letters)
            if len(word) <= longest and is_held_out(word) == self.held_out:
                break
        if self.world.is_plain:
            return word
        chance = self.rng.random()
        return word if chance < 0.6 else word.capitalize() if chance < 0.85 else word.upper()

    def number(self) -> str:
        """A count; in a world that isn't plain also a price, a time, a date or a percentage."""
        while True:
            whole = "".join(map(str, self.rng.integers(10, size=self.rng.integers(1, 5))))
            number = whole if self.world.is_plain else self._noted(whole)
            if is_held_out(number) == self.held_out:
                return number

    def price(self) -> str:
        """An amount with two digits after the point; a number where nothing has a point."""
        if self.world.is_plain:
            return self.number()
        return f"{self.rng.integers(100)}.{self.rng.integers(100):02d}"

    def token(self, longest: int = 10) -> str:
        """What stands in running text: a word, one in seven a number."""
        return self.number() if self.rng.random() < 1 / 7 else self.word(longest)

    def punctuated(self, longest: int = 10) -> str:
        """The same; in a world that isn't plain one in six with punctuation."""
        token = self.token(longest)
        if self.world.is_plain or self.rng.random() > 1 / 6:
            return token
        before, after = MARKS[self.rng.integers(len(MARKS))]
        return before + token + after

    def words(self, longest: int, share_of_two: float) -> str:
        """A word, or as often as the share says two."""
        return " ".join(self.word(longest) for _ in range(1 + int(self.rng.random() < share_of_two)))

    def _noted(self, whole: str) -> str:
        draw = self.rng.integers
        return (
            whole,
            f"{('', '', '$')[draw(3)]}{whole[:3]}.{draw(100):02d}",
            f"{draw(24)}:{draw(60):02d}",
            f"{draw(1, 29)}/{draw(1, 13)}/{draw(1980, 2030)}",
            f"{whole[:2]}%",
        )[draw(5)]
