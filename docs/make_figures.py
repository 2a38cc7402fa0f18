"""Draws the figures of the documentation: examples/page.png, the page of `make demo`, and docs/pyramid.png.

python -m docs.make_figures
"""

from pathlib import Path

import numpy as np
from PIL import Image
from transformers import AutoProcessor

import processing_minimonkey  # noqa: F401  (makes the Auto classes know the processor)
from benchmarks.figures import save_figure
from benchmarks.sawtooth.readers.rendering import Page, draw_page, load_font
from processing_minimonkey.visualization import plot_pyramid


ROOT = Path(__file__).resolve().parents[1]
LINES = [["fresh", "bread"], ["open", "sunday"]]


def draw_example() -> Page:
    """The page of `make demo`: four words on 3 x 2 tiles."""
    return draw_page(np.random.default_rng(4), LINES, [(20, 40), (60, 90)], (336, 224), load_font("DejaVuSans", 26))


def main() -> None:
    path = ROOT / "examples" / "page.png"
    draw_example().image.save(path)
    processor = AutoProcessor.from_pretrained(ROOT / "checkpoints" / "minimonkey-tiny", trust_remote_code=True)
    save_figure(plot_pyramid(processor, Image.open(path)), ROOT / "docs" / "pyramid.png", dpi=80, colors=128)


if __name__ == "__main__":
    main()
