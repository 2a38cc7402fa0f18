"""Draws examples/page.png, the page of `make demo`, and prints its text."""

from pathlib import Path

import numpy as np
from rendering import draw_page, load_font


LINES = [["Fresh", "bread"], ["Open", "Sunday"]]


def main() -> None:
    page = draw_page(np.random.default_rng(4), LINES, [(40, 60), (90, 160)], (336, 224), load_font("DejaVuSans", 29))
    page.image.save(Path(__file__).parents[1] / "page.png")
    print(page.text)


if __name__ == "__main__":
    main()
