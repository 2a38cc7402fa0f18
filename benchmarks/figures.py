"""How figures are stored: as small PNG files with a palette."""

import io
from pathlib import Path

from PIL import Image


COLORS = 64


def save_figure(figure, path: Path, dpi: int = 110, colors: int = COLORS) -> None:
    """
    Write a matplotlib figure as a PNG of at most `colors` colors, a third of the usual size, and close it.

    Thin lines keep their color: the palette is chosen by how far colors are apart, not by how often they come.
    """
    from matplotlib import pyplot

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    pyplot.close(figure)
    method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
    Image.open(buffer).convert("RGB").quantize(colors, method=method, dither=dither).save(path, optimize=True)
