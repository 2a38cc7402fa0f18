"""Stored figures are small and keep the colors of thin lines."""

import matplotlib
import numpy as np
from matplotlib import pyplot
from PIL import Image

from benchmarks.figures import save_figure


matplotlib.use("Agg")


def test_a_figure_has_a_palette_with_the_colors_of_its_lines(tmp_path):
    figure, axes = pyplot.subplots()
    for number in range(8):
        axes.plot([0, 1], [number, number + 1], color=f"C{number}", linewidth=0.8)
    figure.savefig(tmp_path / "large.png", dpi=110)
    save_figure(figure, tmp_path / "small.png")
    assert not pyplot.get_fignums()
    small = Image.open(tmp_path / "small.png")
    assert small.mode == "P" and len(small.getcolors()) <= 64
    assert (tmp_path / "small.png").stat().st_size < 0.5 * (tmp_path / "large.png").stat().st_size
    pixels = np.asarray(small.convert("RGB"), int).reshape(-1, 3)
    for number in range(8):
        color = 255 * np.array(matplotlib.colors.to_rgb(f"C{number}"))
        assert np.abs(pixels - color).max(axis=1).min() < 40
