"""A recognizer that needs no weights: it knows the page and sees the letters that lie in a box."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from benchmarks.recognizer.pages import Box, Page


@dataclass
class Naive:
    """Letters are equal parts of a word's box; one is read if the box of what is shown holds all of it."""

    page: Page

    def read(self, image: Image.Image, boxes: Sequence[Box]) -> list[str]:
        width, height = self.page.image.size
        x, y = width / image.width, height / image.height
        shown = [(left * x, top * y, right * x, bottom * y) for left, top, right, bottom in boxes]
        return ["".join(self._letters(word, each) for word in self.page.words) for each in shown]

    @staticmethod
    def _letters(word, shown) -> str:
        left, top, right, bottom = word.box
        step = (right - left) / len(word.text)
        if shown[1] > top + 1e-6 or shown[3] < bottom - 1e-6:
            return ""
        return "".join(
            letter
            for place, letter in enumerate(word.text)
            if shown[0] <= left + place * step + 1e-6 and left + (place + 1) * step <= shown[2] + 1e-6
        )
