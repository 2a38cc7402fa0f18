"""Draws the figures of the documentation: examples/page.png, the page of `make demo`, and docs/pyramid.png.

python -m docs.make_figures
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.figures import save_figure
from benchmarks.sawtooth.readers.rendering import Page, draw_page, load_font
from processing_minimonkey import MiniMonkeyImageProcessor
from processing_minimonkey.visualization import plot_pyramid


ROOT = Path(__file__).resolve().parents[1]
LINES = [["fresh", "bread"], ["open", "sunday"]]
RECEIPT_SIZE = (600, 800)
# Text on the left, on the right (or in the middle, if there is none), size in px; made up
RECEIPT = [
    ("CORNER BAKERY", "", 40),
    ("12 Harbor Street", "", 24),
    ("", "", 20),
    ("2 x sourdough", "9.80", 28),
    ("1 x croissant", "2.40", 28),
    ("3 x espresso", "7.50", 28),
    ("1 x orange juice", "3.90", 28),
    ("1 x marmalade", "5.20", 28),
    ("", "", 20),
    ("Subtotal", "28.80", 28),
    ("Tax 7%", "2.02", 28),
    ("TOTAL", "30.82", 40),
    ("", "", 24),
    ("Thank you for your visit", "", 24),
]


def draw_example() -> Page:
    """The page of `make demo`: four words on 3 x 2 tiles."""
    return draw_page(np.random.default_rng(4), LINES, [(20, 40), (60, 90)], (336, 224), load_font("DejaVuSans", 26))


def draw_receipt() -> Image.Image:
    """A page as people have them: under the published settings each grid halves lines that the other shows whole."""
    image = Image.new("RGB", RECEIPT_SIZE, "white")
    draw, width, margin, top = ImageDraw.Draw(image), RECEIPT_SIZE[0], 50, 50
    for left, right, size in RECEIPT:
        font = load_font("DejaVuSans-Bold" if size == 40 else "DejaVuSans", size)
        if right:
            draw.text((margin, top), left, "black", font)
            draw.text((width - margin, top), right, "black", font, anchor="ra")
        else:
            draw.text((width / 2, top), left, "black", font, anchor="ma")
        top += size + 20
    return image


def main() -> None:
    draw_example().image.save(ROOT / "examples" / "page.png")
    figure = plot_pyramid(MiniMonkeyImageProcessor(), draw_receipt())
    save_figure(figure, ROOT / "docs" / "pyramid.png", dpi=80, colors=64)


if __name__ == "__main__":
    main()
