"""Draws examples/page.png, the page of `make demo`, and prints its text."""

from pathlib import Path

import numpy as np

from examples.minimonkey_tiny.rendering import draw_page, load_font


LINES = [["fresh", "bread"], ["open", "sunday"]]


def main() -> None:
    page = draw_page(np.random.default_rng(4), LINES, [(20, 40), (60, 90)], (336, 224), load_font("DejaVuSans", 26))
    page.image.save(Path(__file__).parents[1] / "page.png")
    print(page.text)


if __name__ == "__main__":
    main()
