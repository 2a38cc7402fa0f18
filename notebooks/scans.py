"""Documents that look scanned, for notebook 12, drawn here: nobody's letter, nobody's receipt."""

import io
from dataclasses import dataclass

import numpy as np
from matplotlib import pyplot
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.sawtooth.readers.rendering import is_held_out, lexicon, load_font
from course import (
    BLACK,
    LEVELS,
    PALE,
    PURPLE,
    SKY,
    percent,
    sign_test,
    whiskers,
    wilson,
)
from figures import draw_lines
from processing_minimonkey import plan_pyramid


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
    """What the shop of `random_receipts` sells: held-out words of three to six letters, but not a "total"."""
    words = {word.lower() for word in lexicon()} - {"total"}
    return sorted(
        w for w in words if w.isalpha() and 3 <= len(w) <= 6 and is_held_out(w)
    )


def plot_scans(images: dict):
    """Scans side by side at one scale, each with its name and size."""
    widths = [image.width for image in images.values()]
    tallest = max(image.height for image in images.values())
    figure, axes = pyplot.subplots(
        1, len(images), figsize=(10, 2.9), layout="constrained", width_ratios=widths
    )
    for axis, (name, image) in zip(axes, images.items(), strict=True):
        axis.imshow(image)
        axis.set_ylim(tallest, 0)
        axis.set_title(f"{name}, {image.width} x {image.height}")
        axis.axis("off")
    return figure


def plot_damaged(pages: dict, answers: list[str], text: str):
    """
    One page, damaged in several ways, and below each what was read of it.

    Args:
        pages: From a title to an image.
        answers: What was read of each.
        text: What is on it, in the upper half; lines that differ are bold.
    """
    figure, axes = pyplot.subplots(2, 3, figsize=(10, 6.6), layout="constrained")
    lines = text.splitlines()
    for axis, (title, image), answer in zip(
        axes.flat, pages.items(), answers, strict=True
    ):
        axis.imshow(image)
        axis.set(xticks=[], yticks=[], title=title, ylim=(0.6 * image.height, 0))
        right = answer.splitlines() == lines
        axis.title.set_color(BLACK if right else PURPLE)
        read = answer.splitlines()
        for number, line in enumerate(read):
            same = number < len(lines) and line == lines[number]
            style = {"weight": "normal" if same else "bold"}
            style["color"] = BLACK if same else PURPLE
            place = (0.02, -0.06 - 0.13 * number)
            axis.text(*place, line, transform=axis.transAxes, va="top", **style)
        # Room for the lines below, which the layout doesn't see
        axis.set_xlabel("\n" * (1 + max(3, len(read))))
    return figure


def turned(image, angle: float):
    """The image turned counterclockwise by so many degrees, its corners filled with its own gray."""
    paper = tuple(int(each) for each in np.median(np.asarray(image), axis=(0, 1)))
    return image.rotate(angle, resample=2, fillcolor=paper)


def row_sums(image):
    """The sum of the gray levels in each row of px."""
    return np.asarray(image.convert("L"), float).sum(axis=1)


def plot_profiles(pages: dict, sums: list, answers: list[str], angles, contrasts):
    """
    The gray levels of the rows of a page as it lies and turned level, and how much neighbors differ, by angle.

    Args:
        pages: From a title to an image, two of them.
        sums: Of the gray levels in the rows of each.
        answers: What was read of each.
        angles, contrasts: By which the first page is turned, and the sum of squared differences then.
    """
    figure, axes = pyplot.subplots(
        1, 5, figsize=(11.5, 3.1), layout="constrained", width_ratios=(3, 2, 3, 2, 5)
    )
    for (left, right), (title, image), levels, answer in zip(
        (axes[:2], axes[2:4]), pages.items(), sums, answers, strict=True
    ):
        left.imshow(image)
        left.set(xticks=[], yticks=[], title=title, xlabel=answer)
        means = levels / image.width
        right.plot(means, np.arange(len(means)), color=BLACK, linewidth=1)
        right.set(ylim=(image.height, 0), yticks=[], xlabel="mean gray level")
        right.set(title="its rows", box_aspect=1.5)  # as high as the image beside it
    ends = [axis.get_xlim() for axis in (axes[1], axes[3])]
    for axis in (axes[1], axes[3]):
        axis.set_xlim(min(end[0] for end in ends), max(end[1] for end in ends))
    best = int(np.argmax(contrasts))
    share = np.array(contrasts) / contrasts[best]
    axes[4].plot(angles, share, "o-", color=SKY, markersize=3)
    axes[4].plot(angles[best], 1, "o", color=PURPLE)
    style = {"color": PURPLE, "va": "center"}
    axes[4].text(angles[best] + 0.6, 1, f"{angles[best]:+g} degrees", **style)
    inner = np.arange(1, len(share) - 1)
    peaks = [k for k in inner if share[k] == share[k - 1 : k + 2].max() and k != best]
    side = max(peaks, key=lambda k: share[k])
    label = f"side peak\n{angles[side]:+g} degrees"
    place = angles[side] - 0.5, share[side]
    axes[4].text(*place, label, color=BLACK, ha="right", va="center")
    axes[4].set(xlabel="turned by, degrees", title="differences of neighbors")
    axes[4].set(ylabel="share of the largest", ylim=(0, 1.1), xticks=range(-12, 13, 4))
    axes[4].set_xlim(-16.5, 12.5)
    return figure


def which_number(told: list[str], wanted: list[dict]) -> str:
    """How often an answer is the total, the last number of its record, and how often another number of it."""
    of = [list(map(str, want.values())) for want in wanted]
    total = sum(each == numbers[-1] for each, numbers in zip(told, of, strict=True))
    price = sum(each in numbers[:-1] for each, numbers in zip(told, of, strict=True))
    neither = len(told) - total - price
    return f"the total {total}, a price {price}, neither {neither}, of {len(told)}"


def asked_rows(read, pages: dict, wanted: list[dict]) -> tuple[list, list]:
    """
    Head and rows of a table: how often the number beside each line is told that is asked for by its word.

    Args:
        read: Gives the answer to one question about each image.
        pages: From a label to images.
        wanted: Their records, all equally long, the total last.
    """
    rows = []
    for label, images in pages.items():
        cells = []
        for line in range(len(wanted[0])):
            pairs = [list(want.items())[line] for want in wanted]
            told = read(
                images, [f"Read the number beside {word}." for word, _ in pairs]
            )
            right = sum(a == str(b) for a, (_, b) in zip(told, pairs, strict=True))
            cells.append(share_of(right, len(told)))
        rows.append([label, *cells])
    articles = [f"article {line}" for line in range(1, len(wanted[0]))]
    return ["told right, by what is asked for", *articles, "total"], rows


def share_of(right: int, n: int) -> str:
    """A count and the share's interval (Wilson)."""
    return f"{right} of {n}, {percent(wilson(right, n))}"


def agreement(records: list, wanted: list, told: list[str], name: str) -> list:
    """
    Rows of a table: of the records without an error and of those with one, how many agree with a second answer.

    Args:
        records, wanted: What was read, and what is right.
        told: The second answer about each.
        name: Of the number in the records that it should be.
    """
    counts = {True: [0, 0], False: [0, 0]}
    for found, want, value in zip(records, wanted, told, strict=True):
        differs = found is None or str(found.get(name)) != value
        counts[found == want][differs] += 1
    names = {True: "read without an error", False: "read with one"}
    return [[names[right], *pair] for right, pair in counts.items()]


def moved(page, down: int):
    """A page whose content is moved down by so many px."""
    paper = Image.new(page.mode, page.size, PAPER)
    paper.paste(page, (0, down))
    return paper


def lines_of_text(page) -> list[tuple[int, int]]:
    """First and last row of px of each line of text on a clean page."""
    ink = np.flatnonzero((np.asarray(page) < PAPER - 40).any(axis=1))
    parts = np.split(ink, np.flatnonzero(np.diff(ink) > 5) + 1)
    return [(int(part[0]), int(part[-1])) for part in parts]


def grids_of(page, processor) -> dict[str, tuple[int, int]]:
    """Columns and rows of both grids by which the processor cuts a page."""
    settings = processor.image_processor
    plan = plan_pyramid(
        page.width,
        page.height,
        tile_size=settings.size["height"],
        detailed_tiles=settings.detailed_tiles,
        adaptive_tiles=settings.adaptive_tiles,
        complementarity=settings.complementarity,
    )
    return {level: getattr(plan, level) for level in ("detailed", "adaptive")}


def cut_by(page, processor) -> dict[str, list[int]]:
    """Of both grids: the numbers of the lines of text that lie on their lines between rows."""
    found = {}
    for level, (_, rows) in grids_of(page, processor).items():
        cuts = [page.height * row / rows for row in range(1, rows)]
        text = enumerate(lines_of_text(page), start=1)
        found[level] = [
            line for line, (top, end) in text if any(top < cut < end for cut in cuts)
        ]
    return found


def scan_lower(clean: list, down: int) -> list:
    """Scans of the pages with their content moved down by so many px."""
    return scan_all([moved(page, down) for page in clean])


def plot_moved(index: int, answers: dict, clean: list, wanted: list, processor):
    """
    One receipt, moved down, under the lines of both grids, and below it what was read; lines with errors are bold.

    Args:
        index: Of the receipt.
        answers, clean, wanted, processor: As `moved_rows` takes them.
    """
    text = [f"{name} {price}" for name, price in wanted[index].items()]
    figure, axes = pyplot.subplots(
        1, len(answers), figsize=(11, 3.9), layout="constrained"
    )
    for axis, (down, all_read) in zip(axes, answers.items(), strict=True):
        page = moved(clean[index], down)
        axis.imshow(page, cmap="gray", vmin=0, vmax=255, alpha=0.8)
        for (level, grid), thick in zip(
            grids_of(page, processor).items(), (3, 1.8), strict=True
        ):
            draw_lines(axis, page.size, grid, color=LEVELS[level], lw=thick)
        axis.set(xticks=[], yticks=[], title=f"{down} px down", ylim=(page.height, 0))
        for number, line in enumerate(all_read[index].splitlines()):
            same = number < len(text) and line == text[number]
            style = {"weight": "normal" if same else "bold"}
            style["color"] = BLACK if same else PURPLE
            place = (0.02, -0.04 - 0.09 * number)
            axis.text(*place, line, transform=axis.transAxes, va="top", **style)
        axis.set_xlabel("\n" * 4)  # room for the lines below
    return figure


def lines_right(answer: str, want: dict) -> tuple[list[bool], list[bool]]:
    """Which lines of an answer are those of the receipt, and which of their numbers."""
    words = [line.split() for line in answer.splitlines()] + [[]] * len(want)
    text = [[name, str(number)] for name, number in want.items()]
    pairs = list(zip(words, text, strict=False))
    return [a == b for a, b in pairs], [a[-1:] == b[-1:] for a, b in pairs]


def moved_rows(answers: dict, clean: list, wanted: list, record, processor) -> tuple:
    """
    Head and rows of a table: what is read of receipts whose text is moved down, onto the lines between tiles or past
    them: records without an error, lines, numbers in them; and the records gained and lost by the move.

    Args:
        answers: From px by which the pages are moved, 0 first, to the answers about them.
        clean, wanted: The pages and their records.
        record: The record of an answer.
        processor: That cuts them.
    """
    rows, still = [], None
    for down, read in answers.items():
        cuts = [cut_by(moved(page, down), processor) for page in clean]
        lines = (
            sorted({line for each in cuts for line in each[level]})
            for level in ("detailed", "adaptive")
        )
        texts = (", ".join(map(str, each)) or "none" for each in lines)
        cells = [" / ".join(texts)]
        right = [record(a) == want for a, want in zip(read, wanted, strict=True)]
        still = still or right
        pairs = list(zip(still, right, strict=True))
        gained, lost = pairs.count((False, True)), pairs.count((True, False))
        found = [lines_right(*pair) for pair in zip(read, wanted, strict=True)]
        whole, numbers = (
            " / ".join(map(str, np.sum(each, 0))) for each in zip(*found, strict=True)
        )
        chance = sign_test(gained, lost)
        cells += [
            sum(right),
            whole,
            numbers,
            f"{gained}, {lost}",
            f"{chance:.4f}" if chance >= 0.00005 else "< 0.0001",
        ]
        rows.append([f"{down} px", *cells])
    head = ["moved down by", "lines of text cut: detailed / adaptive grid"]
    head += [f"records right, of {len(wanted)}"]
    names = " / ".join(str(line + 1) for line in range(len(wanted[0])))
    head += [f"lines right: {names}", "their numbers alone"]
    return [*head, "gained, lost", "by chance"], rows


def sweep(clean: list, wanted: list, read_right, straightened) -> dict:
    """
    Which records are right, the more askew the scans are, the more blurred, and the longer the receipts.

    Args:
        clean, wanted: The pages and their records.
        read_right: Says of scans and records which are read without an error.
        straightened: Turns a scan level.

    Returns:
        What `plot_damage` takes.
    """
    askew = {"as scanned": {}, "straightened first": {}}
    for angle in (0.7, 1.5, 2, 3, 6):
        images = scan_all(clean, angle=angle)
        level = [straightened(image) for image in images]
        for name, each in zip(askew, (images, level), strict=True):
            askew[name][angle] = read_right(each, wanted)
    blurred = {
        blur: read_right(scan_all(clean, blur=blur), wanted) for blur in (0.6, 1.2, 1.8)
    }
    longer = {}
    for articles in (1, 2, 3):
        records, pages = random_receipts(len(clean), articles=articles)
        longer[articles] = read_right(scan_all(pages), records)
    return {
        "degrees askew": askew,
        "blur, px": {"as scanned": blurred},
        "articles": {"as scanned": longer},
    }


def angle_rows(askew: dict) -> tuple[list, list]:
    """
    Head and rows of a table, by the angle: how many records are right, as scanned and straightened; of the latter the
    gained and lost ones against the pages of 0.7 degrees, and how often chance parts them so.

    Args:
        askew: "as scanned" and "straightened first", from an angle to which records are right.
    """
    rows, flat = [], askew["as scanned"][0.7]
    for angle, straight in askew["straightened first"].items():
        pairs = list(zip(flat, straight, strict=True))
        gained, lost = pairs.count((False, True)), pairs.count((True, False))
        counts = [sum(askew["as scanned"][angle]), sum(straight)]
        chance = f"{sign_test(gained, lost):.2f}"
        rows.append([angle, *counts, f"{gained}, {lost}", chance])
    head = ["degrees", f"right of {len(flat)}", "straightened first"]
    return [*head, "gained, lost against 0.7 degrees", "by chance"], rows


def count(records: list, wanted: list) -> tuple[int, int, int]:
    """How many records are right, how many are wrong and given all the same, and how many are refused (`None`)."""
    right = sum(a == b for a, b in zip(records, wanted, strict=True))
    refused = sum(each is None for each in records)
    return right, len(records) - right - refused, refused


def outcomes(records: list, wanted: list, adds_up, mended) -> dict:
    """
    Of each stage the numbers of records that are right, wrong and given, and refused.

    Args:
        records, wanted: What was read, and what is right.
        adds_up: Says of a record whether its sum fits; else it is refused.
        mended: Gives a record with names of the shop, or `None`.
    """

    def given(found):
        return [each if adds_up(each) else None for each in found]

    stages = {"as read": records, "the sum fits": given(records)}
    better = [mended(found) for found in records]
    stages["names from the list,\nand the sum fits"] = given(better)
    return {name: count(found, wanted) for name, found in stages.items()}


def plot_stages(panels: dict):
    """
    Stacked bars of records that are right, wrong and given all the same, and refused, after each of several stages.

    Args:
        panels: From a title to a dict from a stage to the three numbers.
    """
    figure, axes = pyplot.subplots(
        len(panels), 1, figsize=(10, 1.2 + 1.5 * len(panels)), layout="constrained"
    )
    colors = {"right": SKY, "wrong, and nobody notices": PURPLE, "refused": PALE}
    for axis, (title, counts) in zip(axes, panels.items(), strict=True):
        left = np.zeros(len(counts))
        for part, (label, color) in enumerate(colors.items()):
            values = np.array([each[part] for each in counts.values()])
            bars = axis.barh(list(counts), values, left=left, color=color, label=label)
            texts = [str(value) if value else "" for value in values]
            axis.bar_label(bars, texts, label_type="center", color=BLACK)
            left += values
        axis.invert_yaxis()
        axis.set(xlim=(0, left.max()))
        axis.set_title(title, loc="left")
    axes[-1].set_xlabel("receipts")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=3, loc="outside lower center")
    return figure


def plot_damage(panels: dict):
    """
    Shares of records that are right, with intervals, against what was done to the scans.

    Args:
        panels: From a label of the axis to {a name: {value: of each record whether it is right}}; the first name is
            what was scanned.
    """
    size = {"figsize": (10, 3.6), "layout": "constrained", "sharey": True}
    size["width_ratios"] = [max(map(len, lines.values())) for lines in panels.values()]
    figure, axes = pyplot.subplots(1, len(panels), **size)
    for axis, (label, lines) in zip(axes, panels.items(), strict=True):
        styles = ((BLACK, "o", "-"), (PURPLE, "s", "--"))
        apart = 0.012 * max(max(found) for found in lines.values()) * (len(lines) - 1)
        shifts = (-apart, apart)  # or intervals lie on each other
        for (name, found), style, shift in zip(
            lines.items(), styles, shifts, strict=False
        ):
            color, marker, line = style
            shares = [wilson(sum(right), len(right)) for right in found.values()]
            values, low, high = np.array(shares).T
            axis.errorbar(
                np.array(list(found)) + shift,
                values,
                whiskers(values, low, high),
                capsize=4,
                color=color,
                marker=marker,
                linestyle=line,
                label=name,
                clip_on=False,
            )
        axis.set(xlabel=label, ylim=(0, 1.02), xticks=list(found))
        axis.set_xticklabels(f"{value:g}" for value in found)
        if len(lines) > 1:
            axis.legend(frameon=False, loc="center right", bbox_to_anchor=(1, 0.36))
    axes[0].set_ylabel("records without an error")
    return figure
