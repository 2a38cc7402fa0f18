"""Documents that look scanned, for notebook 12, drawn here: nobody's letter, nobody's receipt."""

import io
from dataclasses import dataclass

import numpy as np
from matplotlib import pyplot
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.sawtooth.readers.rendering import is_held_out, lexicon, load_font
from course import BLACK, BLUE, GRAY, ORANGE, SKY, whiskers


PAPER, INK = 245, 40  # gray levels
LETTER = [["dear anna"], ["your parcel"], ["came today"]]
RECEIPT = [["bread", "320"], ["milk", "145"], ["total", "465"]]
TABLE = [["name", "seat", "row"], ["anna", "12", "34"]]


@dataclass(frozen=True)
class Scan:
    """
    What a scanner does to a page.

    Args:
        angle: By which the page lies askew, in degrees counterclockwise.
        blur: Standard deviation of the lens, in px.
        noise: Standard deviation of the sensor, in gray levels of 256.
        shadow: How much darker the lower right corner is, as a share.
        quality: Of the JPEG.
    """

    angle: float = 0.7
    blur: float = 0.6
    noise: float = 6.0
    shadow: float = 0.25
    quality: int = 70


def draw_document(rows: list[list[str]], size: tuple[int, int], font_size: int = 24):
    """A clean page (gray): a row of one cell on the left, of two at both margins, of more in columns."""
    image = Image.new("L", size, PAPER)
    draw, font = ImageDraw.Draw(image), load_font("DejaVuSans", font_size)
    for number, row in enumerate(rows):
        middle = font_size * (0.9 + 1.5 * number)
        for column, cell in enumerate(row):
            left, anchor = size[0] * (0.05 + 0.92 * column / len(row)), "lm"
            if len(row) == 2 and column == 1:
                left, anchor = 0.94 * size[0], "rm"
            draw.text((left, middle), cell, fill=INK, font=font, anchor=anchor)
    return image


def scanned(image, scan: Scan, seed: int = 0):
    """A page as it comes out of the scanner: an RGB image, decoded from JPEG."""
    rng = np.random.default_rng(seed)
    image = image.rotate(scan.angle, Image.Resampling.BICUBIC, fillcolor=PAPER)
    image = image.filter(ImageFilter.GaussianBlur(scan.blur))
    across, down = np.linspace(0, 1, image.width), np.linspace(0, 1, image.height)
    pixels = np.asarray(image, float) * (1 - scan.shadow * np.outer(down, across))
    pixels += rng.normal(0, scan.noise, pixels.shape)
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
        file, "JPEG", quality=scan.quality
    )
    return Image.open(file).convert("RGB")


def scan_all(pages: list, **damage) -> list:
    """Each of the pages as it comes out of the scanner, by the settings of a `Scan`, with noise of its own."""
    return [scanned(page, Scan(**damage), seed) for seed, page in enumerate(pages)]


def random_receipts(
    number: int, seed: int = 0, articles: int = 2
) -> tuple[list[dict[str, int]], list]:
    """Records of articles that no training saw, with their total; and the clean page of each."""
    rng = np.random.default_rng(seed)
    goods = shop()
    records = []
    for _ in range(number):
        names = rng.choice(goods, articles, replace=False)
        prices = rng.integers(100, 900, articles)
        record = {str(n): int(p) for n, p in zip(names, prices, strict=True)}
        records.append(record | {"total": int(prices.sum())})
    rows = [[[name, str(price)] for name, price in each.items()] for each in records]
    return records, [draw_document(each, (224, 224)) for each in rows]


def shop() -> list[str]:
    """What the shop of `random_receipts` sells: held-out words of three to six letters."""
    words = {word.lower() for word in lexicon()}
    return sorted(
        w for w in words if w.isalpha() and 3 <= len(w) <= 6 and is_held_out(w)
    )


def plot_scans(images: dict):
    """Scans side by side, each with its name and size."""
    widths = [image.width / image.height for image in images.values()]
    figure, axes = pyplot.subplots(
        1, len(images), figsize=(10, 2.9), layout="constrained", width_ratios=widths
    )
    for axis, (name, image) in zip(axes, images.items(), strict=True):
        axis.imshow(image)
        axis.set_title(f"{name}, {image.width} x {image.height}")
        axis.axis("off")
    return figure


def plot_stages(counts: dict):
    """Stacked bars of records that are right, wrong, and left to a person, after each of the named stages."""
    figure, axis = pyplot.subplots(figsize=(10, 2.6), layout="constrained")
    left = np.zeros(len(counts))
    labels = ("right", "wrong", "left to a person")
    for part, (label, color) in enumerate(zip(labels, (SKY, BLACK, GRAY), strict=True)):
        values = np.array([each[part] for each in counts.values()])
        bars = axis.barh(list(counts), values, left=left, color=color, label=label)
        texts = [str(value) if value else "" for value in values]
        ink = "white" if color == BLACK else BLACK
        axis.bar_label(bars, texts, label_type="center", color=ink)
        left += values
    axis.invert_yaxis()
    axis.set(xlabel="receipts", xlim=(0, left.max()))
    axis.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    return figure


def plot_damage(panels: dict):
    """
    Shares of records that are right, with intervals, against what was done to the scans.

    Args:
        panels: From a label of the axis to {a name: {value: (share, low, high)}}; the first name is what was scanned.
    """
    size = {"figsize": (10, 3.6), "layout": "constrained", "sharey": True}
    figure, axes = pyplot.subplots(1, len(panels), **size)
    for axis, (label, lines) in zip(axes, panels.items(), strict=True):
        styles = ((BLUE, "o", "-"), (ORANGE, "s", "--"))
        apart = 0.015 * max(max(found) for found in lines.values()) * (len(lines) - 1)
        shifts = (-apart, apart)  # or intervals lie on each other
        for (name, found), style, shift in zip(
            lines.items(), styles, shifts, strict=False
        ):
            color, marker, line = style
            values, low, high = np.array(list(found.values())).T
            axis.errorbar(
                np.array(list(found)) + shift,
                values,
                whiskers(values, low, high),
                capsize=4,
                color=color,
                marker=marker,
                linestyle=line,
                label=name,
            )
        axis.set(xlabel=label, ylim=(0, 1.02), xticks=list(found))
        if len(lines) > 1:
            axis.legend(frameon=False)
    axes[0].set_ylabel("records without an error")
    return figure
