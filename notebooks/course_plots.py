"""Figures of the notebooks: each function draws what it is given and returns the matplotlib figure."""

import numpy as np
from matplotlib import pyplot

from course import BLACK, GRAY, PALE, PURPLE, SKY, YELLOW, whiskers
from schemes import RED


def _panel(width: float, height: float):
    return pyplot.subplots(figsize=(width, height), layout="constrained")


def plot_samples(rows: dict):
    """Rows of small pages (`image`, `text`), with the texts as titles and the name of each row on its left."""
    columns = min(map(len, rows.values()))
    size = (10, 1.85 * len(rows))
    figure, axes = pyplot.subplots(
        len(rows), columns, figsize=size, layout="constrained"
    )
    for row, (name, pages) in zip(axes, rows.items(), strict=True):
        place = {"transform": row[0].transAxes, "ha": "right", "va": "center"}
        row[0].text(-0.06, 0.5, name, rotation=90, **place)
        for axis, page in zip(row, pages, strict=False):
            axis.imshow(page.image)
            axis.set_title(page.text)
            axis.set_axis_off()
    return figure


def plot_answers(pages: list, answers: dict):
    """
    Small pages with their texts as titles, and below each what several models answered, red with a cross where wrong.

    Args:
        pages: Of the benchmark (`image`, `text`).
        answers: From the name of a model to an answer per page.
    """
    figure, axes = pyplot.subplots(
        1, len(pages), figsize=(10.5, 3), layout="constrained"
    )
    for number, (axis, page) in enumerate(zip(axes, pages, strict=True)):
        axis.imshow(page.image)
        axis.set(title=page.text, xticks=[], yticks=[])
        axis.spines[:].set_visible(True)  # the edge of the image
        axis.set_xlabel("\n" * (1 + len(answers)))  # room for the lines below
        for row, (name, given) in enumerate(answers.items()):
            right = given[number] == page.text
            style = {"transform": axis.transAxes, "va": "top"}
            style["color"] = BLACK if right else RED
            text = f"{name}: {given[number]}{'' if right else ' ✗'}"
            axis.text(0, -0.06 - 0.17 * row, text, fontsize=10.5, **style)
    return figure


def plot_losses(losses: list[tuple], read: dict):
    """
    Training losses, smoothed over five entries, with the single entries behind; and what the model reads on the way.

    Args:
        losses: Pairs of step and loss.
        read: From a label to a dict from a step to a share of held-out words and both ends of its interval.
    """
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(10.5, 4), layout="constrained"
    )
    steps, values = zip(*losses, strict=True)
    left.plot(steps, values, ".", color=GRAY, label="mean of two steps")
    smooth = np.convolve(values, np.ones(5) / 5, mode="valid")
    left.plot(steps[4:], smooth, color=BLACK, linewidth=2.5, label="of ten steps")
    left.set(
        xlabel="step", ylabel="loss per token of the answers, nats", ylim=(0, None)
    )
    styles = zip(read.items(), (SKY, BLACK), "os", strict=True)
    for place, ((label, shares), color, marker) in enumerate(styles):
        middle, low, high = 100 * np.array(list(shares.values())).T
        places = np.array(list(shares)) + 0.012 * max(shares) * (place - 0.5)
        style = {"color": color, "marker": marker, "capsize": 4, "label": label}
        right.errorbar(places, middle, whiskers(middle, low, high), **style)
    right.set(xlabel="step", ylabel="held-out words to the letter, %", ylim=(0, 100))
    right.set_xticks(list(shares))
    for axis in (left, right):
        axis.legend(frameon=False)
    return figure


def plot_resamples(statistics: dict):
    """
    Histograms of a statistic over resamples, with the limits of 95%.

    Args:
        statistics: From a name to a dict from what was drawn to the values, in points.
    """
    size = {"figsize": (10, 3.6), "sharey": True, "layout": "constrained"}
    figure, axes = pyplot.subplots(1, len(statistics), **size)
    for axis, (name, drawn) in zip(axes, statistics.items(), strict=True):
        every = np.concatenate(list(drawn.values()))
        bins = np.linspace(every.min(), every.max(), 40)
        for (by, values), color in zip(drawn.items(), (PURPLE, YELLOW), strict=True):
            style = {"histtype": "stepfilled", "alpha": 0.5, "color": color}
            axis.hist(values, bins=bins, label=f"drawn by {by}", **style)
            for limit in np.percentile(values, [2.5, 97.5]):
                axis.axvline(limit, color=color, linewidth=1.5)
        axis.set(title=name, xlabel="points of character accuracy")
    axes[0].set_ylabel("resamples of 2,000")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=2)
    return figure


def plot_scores(wrong: list[int], scores: dict):
    """Scores over the number of wrong letters; `scores` are from a label to values between 0 and 1."""
    figure, axis = _panel(9, 3.6)
    styles = (BLACK, "o-", 5, 11), (SKY, "s-", 2, 6), (YELLOW, "^--", 2, 6)
    for (label, values), (color, style, width, marker) in zip(
        scores.items(), styles, strict=True
    ):
        shape = {"color": color, "linewidth": width, "markersize": marker}
        axis.plot(wrong, values, style, label=label, **shape)
    axis.set(xlabel=f"wrong letters of {wrong[-1]}", ylabel="score", xticks=list(wrong))
    axis.legend(frameon=False)
    return figure


def show_card(card, section: str | None = None) -> None:
    """Display a model card: its head as code, its text as a quotation; or of the text one section, up to its end."""
    from IPython.display import Markdown, display

    lines = ["```yaml", *str(card.data).splitlines(), "```", ""]
    text = card.text.strip()
    if section:
        lines, text = [], text[text.index(f"## {section}") :]
    lines += text.splitlines()
    lines = [
        f"**{line.lstrip('# ')}**" if line.startswith("#") else line for line in lines
    ]
    display(Markdown("\n".join(f"> {line}" for line in lines)))


def plot_files(sizes: dict, pushed: set):
    """Sizes of the files of a folder in bytes, on a log axis, and which of them are pushed."""
    names = sorted(sizes, key=sizes.get)
    figure, axis = _panel(9.5, 4.2)
    colors = [SKY if name in pushed else GRAY for name in names]
    # Dots: a bar on a log axis begins nowhere
    axis.hlines(names, 50, [sizes[name] for name in names], color=PALE)
    axis.scatter([sizes[name] for name in names], names, color=colors, s=70, zorder=3)
    for row, name in enumerate(names):
        unit, text = (1e6, "MB") if sizes[name] >= 1e6 else (1e3, "kB")
        axis.text(
            sizes[name] * 1.3, row, f"{sizes[name] / unit:.1f} {text}", va="center"
        )
    places = [100, 1e3, 1e4, 1e5, 1e6, 1e7]
    axis.set(xscale="log", xlabel="size", xlim=(50, 2e8))
    axis.set_xticks(places, ["0.1 kB", "1 kB", "10 kB", "100 kB", "1 MB", "10 MB"])
    axis.tick_params(axis="y", labelsize=10)
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=color) for color in (SKY, GRAY)]
    axis.legend(
        handles, ["is pushed", "stays at home"], loc="lower right", frameon=False
    )
    return figure


def plot_history(
    history: dict,
    offsets: list[int],
    arrows: list[tuple],
    labels: dict,
    moved: tuple[str, str],
):
    """
    Commits of several repositories.

    Args:
        history: From a repository to its commits, oldest first.
        offsets: Column of the first commit of each.
        arrows: Pairs of commits: from what the second was trained.
        labels: From a commit to what stands below it.
        moved: Two commits: where `main` was, and where it went.
    """
    figure, axis = pyplot.subplots(figsize=(10.5, 3.6))
    tips = {}
    for row, ((name, commits), offset) in enumerate(
        zip(history.items(), offsets, strict=True)
    ):
        for column, commit in enumerate(commits, start=offset):
            tips[commit] = (column, -row)
            color = SKY if column > offset else GRAY
            axis.plot(column, -row, "o", markersize=13, color=color)
            axis.text(column, -row - 0.3, commit[:8], ha="center", fontsize=10)
        axis.plot(
            [offset, offset + len(commits) - 1], [-row, -row], color=SKY, zorder=0
        )
        axis.text(-0.5, -row, name, ha="right", va="center")
    style = {"arrowstyle": "-|>", "color": GRAY, "shrinkA": 8, "shrinkB": 8}
    for start, end in arrows:
        axis.annotate("", tips[end], tips[start], arrowprops=style)
    (start, row), (end, _) = (tips[commit] for commit in moved)
    style |= {"color": PURPLE, "linestyle": "--", "connectionstyle": "arc3,rad=-0.5"}
    axis.annotate("", (end, row), (start, row), arrowprops=style)
    axis.text(end + 0.05, row + 0.2, "main moves on", color=PURPLE)
    for commit, label in labels.items():
        column, row = tips[commit]
        axis.text(column, row - 0.5, label, ha="center", color=PURPLE)
    axis.set(xlim=(-0.5, 8), ylim=(-2.6, 0.5))
    axis.set_axis_off()
    return figure


def plot_heads(fused: list[str], rows: int):
    """
    Heads of one matrix, the three matrices that they are sorted into, each with its own row numbers, and the three
    plain blocks that whoever doesn't know the order would cut, with the heads that are in the wrong one framed.

    Args:
        fused: Names of heads such as "q0", "k0" and "v0", in the order of the one matrix.
        rows: Of a head.
    """
    figure, axis = _panel(9, 4.4)
    colors = {"q": SKY, "k": YELLOW, "v": PURPLE}

    def draw(heads, left, height, title, kind=None):
        for number, head in enumerate(heads):
            style = {"height": 0.45, "color": colors[head[0]], "edgecolor": "white"}
            axis.barh(height, 1, left=left + number, **style)
            text = f"{head}\n{number * rows}-{(number + 1) * rows - 1}"
            place = left + number + 0.5, height
            axis.text(*place, text, ha="center", va="center", fontsize=10.5)
            if kind and head[0] != kind:
                place = left + number, height - 0.225
                frame = {"fill": False, "edgecolor": RED, "linewidth": 2.5}
                axis.add_patch(pyplot.Rectangle(place, 1, 0.45, zorder=3, **frame))
        color = RED if kind else BLACK
        axis.text(left, height + 0.29, title, fontsize=12, color=color)

    draw(fused, 0.7, 1, "wqkv, one matrix")
    left, begin = 0, 0
    for kind in "qkv":
        heads = sorted(head for head in fused if head[0] == kind)
        draw(heads, left, 0, f"{kind}_proj")
        plain = fused[begin : begin + len(heads)]
        draw(plain, left, -1, f"plain cut: {kind}_proj?", kind)
        left, begin = left + len(heads) + 0.7, begin + len(heads)
    axis.set(ylim=(-1.3, 1.5), xlim=(-0.1, left))
    axis.set_axis_off()
    return figure


def plot_added_memory(ways: dict, checkpoint: float):
    """Memory that each way adds, in GB, beside the size of the checkpoint."""
    figure, axis = _panel(9, 3)
    colors = [PURPLE if size > checkpoint else SKY for size in ways.values()]
    bars = axis.barh(list(ways), list(ways.values()), color=colors)
    axis.bar_label(bars, fmt="%.2f", padding=4)
    axis.axvline(checkpoint, color=BLACK, linestyle="--")
    label = f"memory that is added, GB (dashed: the checkpoint itself, {checkpoint} GB)"
    axis.set(xlabel=label, xlim=(0, 6))
    axis.invert_yaxis()
    return figure


def plot_cards(weights: dict, work: list, names: list[str], card: int, reserve: int):
    """
    What checkpoints take, stacked: weights, and cache and work on top of them; the large ones in a panel of their own.

    Args:
        weights: From a format of numbers to GiB, one per checkpoint.
        work: GiB of cache and work, one per checkpoint.
        names: Of the checkpoints, by size.
        card: GiB, a dashed line.
        reserve: GiB below it that should stay free, a gray band.
    """
    figure, axes = pyplot.subplots(
        1, 2, figsize=(10, 4.2), layout="constrained", width_ratios=(4, 3)
    )
    small = sum(size < card for size in next(iter(weights.values())))
    for axis, part in zip(axes, (slice(small), slice(small, None)), strict=True):
        places = np.arange(len(names[part]))
        styles = zip(weights.items(), (PURPLE, SKY, YELLOW), (-1, 0, 1), strict=True)
        for (kind, sizes), color, shift in styles:
            left = places + 0.27 * shift
            axis.bar(left, sizes[part], 0.25, color=color, label=kind)
            rest = axis.bar(left, work[part], 0.25, bottom=sizes[part], color=GRAY)
            ends = np.add(sizes[part], work[part])
            for x, end in zip(left, ends, strict=True):
                if end + reserve <= card:
                    axis.text(x, end, "✓", ha="center", va="bottom", fontsize=11)
        rest.set_label("beside the weights\n(cache and work)")
        axis.axhline(card, color=BLACK, linestyle="--", label=f"{card} GiB")
        band = {"color": GRAY, "alpha": 0.4, "linewidth": 0}
        axis.axhspan(card - reserve, card, label=f"{reserve} GiB left over", **band)
        axis.set(xticks=places, xticklabels=names[part], ylabel="GiB")
    axes[1].legend(frameon=False, loc="upper left")
    return figure
