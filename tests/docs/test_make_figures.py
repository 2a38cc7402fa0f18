"""The figures of the documentation."""

import matplotlib
import numpy as np
from PIL import Image

from benchmarks.sawtooth.readers.reader import make_processor
from docs.make_figures import RECEIPT, draw_example, draw_receipt
from processing_minimonkey import plan_pyramid
from processing_minimonkey.visualization import COLORS, plot_pyramid


matplotlib.use("Agg")


def test_the_page_of_the_demo_is_what_the_script_draws(repository):
    page = draw_example()
    assert page.text == "fresh bread\nopen sunday"
    assert np.array_equal(np.asarray(page.image), np.asarray(Image.open(repository / "examples" / "page.png")))


def test_plot_shows_where_grids_coincide(repository):
    # 3 x 2 and 2 x 2: the horizontal middle line is in both, the vertical ones differ
    figure = plot_pyramid(make_processor(), Image.open(repository / "examples" / "page.png"))
    detailed, adaptive, whole = figure.axes
    assert [len(axis.lines) for axis in figure.axes] == [3, 2, 0]
    for axis in (detailed, adaptive):
        shared = [line for line in axis.lines if line.get_color() == COLORS["shared"]]
        assert len(shared) == 1 and set(shared[0].get_ydata()) == {111.5}
    assert "3 x 2 = 6 tiles" in detailed.get_title()
    matplotlib.pyplot.close(figure)


def test_the_receipt_s_lines_are_cut_as_the_readme_says():
    image = draw_receipt()
    plan = plan_pyramid(*image.size)
    inked = np.asarray(image.convert("L")).min(axis=1) < 255
    starts = np.flatnonzero(inked & ~np.roll(inked, 1))
    names = [left for left, _, _ in RECEIPT if left]
    spans = dict(zip(names, zip(starts, np.flatnonzero(inked & ~np.roll(inked, -1)), strict=True), strict=True))

    def halved(rows: int) -> set[str]:
        lines = [image.height * row / rows for row in range(1, rows)]
        return {name for name, (top, bottom) in spans.items() if any(top < line < bottom for line in lines)}

    assert {"TOTAL", "1 x marmalade"} == halved(plan.detailed[1]) - {"2 x sourdough"}
    assert {"1 x croissant", "Tax 7%"} == halved(plan.adaptive[1])
