"""
Draw the example pages of the app, examples/pages/*.png, which the small checkpoint reads without an error.

    python -m docs.make_pages

Each page is the first of its shape, of held-out words and no large file, for which that holds: they show what the
model does when it succeeds, not how often it does. `border.png` is also one that it misreads without the second grid,
so that the two can be compared. What is written on a page is in the PNG's text chunk "Description".
"""

import os


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin while they wait block the others

import io
import itertools
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from transformers import AutoModelForImageTextToText, AutoProcessor

import modeling_minimonkey  # noqa: F401  (makes the Auto classes know the model)
import processing_minimonkey  # noqa: F401
from benchmarks.sawtooth.readers.rendering import (
    Page,
    draw_page,
    generator,
    lexicon,
    load_font,
    random_word,
    render_page,
)


ROOT = Path(__file__).resolve().parents[1]


COLORS = 6
MAX_BYTES = 15_000
WITHOUT_SECOND_GRID = {"adaptive_tiles": None}


def wide(rng: np.random.Generator) -> Page:
    return render_page(rng, (560, 112), load_font("DejaVuSans", 25), held_out=True, max_words=4)


def portrait(rng: np.random.Generator) -> Page:
    return render_page(rng, (224, 336), load_font("DejaVuSans-Bold", 27), held_out=True, max_words=5, max_per_line=1)


def large(rng: np.random.Generator) -> Page:
    return render_page(rng, (672, 448), load_font("DejaVuSans", 52), held_out=True, max_words=5, max_per_line=2)


def border(rng: np.random.Generator) -> Page:
    """One long word in the middle of a page of two detailed tiles, so that the border goes through it."""
    font = load_font("DejaVuSans", 30)
    word = ""
    while len(word) < 8 or word not in lexicon():
        word = random_word(rng, held_out=True)
    left = 112 - font.getlength(word) / 2 + rng.uniform(-10, 10)
    return draw_page(rng, [[word]], [(left, 56)], (224, 112), font)


def small(rng: np.random.Generator) -> Page:
    """A page of one tile, which is not cut at all."""
    return render_page(rng, (112, 96), load_font("DejaVuSans", 24), held_out=True, max_words=2, max_per_line=1)


SHAPES: dict[str, Callable[[np.random.Generator], Page]] = {
    function.__name__: function for function in (wide, portrait, large, border, small)
}


def compress(page: Page) -> bytes:
    """A PNG of few colors, which takes most of the noise away."""
    text = PngInfo()
    text.add_text("Description", page.text)
    image = page.image.quantize(COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, pnginfo=text)
    return file.getvalue()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    name = ROOT / "checkpoints" / "minimonkey-tiny"
    processor = AutoProcessor.from_pretrained(name)
    model = AutoModelForImageTextToText.from_pretrained(name, dtype=torch.float32)

    def is_read(page: Page, png: bytes, **images_kwargs) -> bool:
        image = Image.open(io.BytesIO(png))
        answer, _ = model.chat(processor, page.question, image, images_kwargs=images_kwargs, max_new_tokens=100)
        return answer == page.text

    folder = ROOT / "examples" / "pages"
    folder.mkdir(exist_ok=True)
    for shape, draw in SHAPES.items():
        for index in itertools.count():
            page = draw(generator(f"app {shape}", index))
            png = compress(page)
            if not page.text or len(png) > MAX_BYTES or not is_read(page, png):
                continue
            if shape != "border" or not is_read(page, png, **WITHOUT_SECOND_GRID):
                break

        (folder / f"{shape}.png").write_bytes(png)
        logging.info("%s: number %d, %d bytes, %r", shape, index, len(png), page.text)


if __name__ == "__main__":
    main()
