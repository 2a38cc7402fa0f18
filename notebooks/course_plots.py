"""Figures of the notebooks: each function draws what it is given and returns the matplotlib figure."""

import numpy as np
from matplotlib import pyplot

from course import BLACK, GRAY, LEVELS, PURPLE, SKY, YELLOW


def _panel(width: float, height: float):
    return pyplot.subplots(figsize=(width, height), layout="constrained")


def plot_prompts(tokens: dict, tiles: list[int]):
    """
    Lengths of prompts by level, with the half of the detailed tokens that compression takes out.

    Args:
        tokens: From "text" and the levels to a count per prompt.
        tiles: Of the prompts.
    """
    figure, axis = _panel(9, 4.4)
    places, top = np.arange(len(tiles)), np.zeros(len(tiles))
    for kind, counts in tokens.items():
        axis.bar(
            places, counts, 0.6, bottom=top, color=LEVELS.get(kind, GRAY), label=kind
        )
        top += counts
    half = np.array(tokens["detailed"]) // 2
    hatched = {"color": LEVELS["detailed"], "edgecolor": "white", "hatch": "//"}
    axis.bar(
        places,
        half,
        0.6,
        bottom=top - half,
        label="leaves with keep_ratio 0.5",
        **hatched,
    )
    axis.set(xlabel="tiles of the image", ylabel="tokens of the prompt")
    axis.set_xticks(places, tiles)
    axis.legend(frameon=False, reverse=True)
    return figure


def plot_turns(caches: dict):
    """
    The cache after each turn of a chat.

    Args:
        caches: From a `keep_ratio` to the slots of the cache, one number per turn.
    """
    figure, axis = _panel(8, 3.6)
    for (ratio, slots), color in zip(caches.items(), (BLACK, PURPLE), strict=True):
        turns = range(1, len(slots) + 1)
        axis.plot(turns, slots, "o-", color=color, label=f"keep_ratio {ratio}")
    axis.set(
        xlabel="turn", ylabel="slots of the cache", ylim=(0, None), xticks=list(turns)
    )
    axis.legend(frameon=False, loc="lower right")
    return figure


def plot_shares(shares: dict, quartiles: tuple[float, float]):
    """Bars below 1; the last one has a line for its quartiles."""
    figure, axis = _panel(9, 3)
    drawn = axis.barh(
        list(shares)[::-1], list(shares.values())[::-1], color=[YELLOW, SKY, GRAY]
    )
    middle, (low, high) = list(shares.values())[-1], quartiles
    axis.errorbar(
        [middle], [0], xerr=[[middle - low], [high - middle]], color=BLACK, capsize=5
    )
    axis.bar_label(drawn, fmt="%.2f", padding=12)
    axis.axvline(1, color=BLACK, linestyle="--")
    axis.set(xlim=(0, 1.1), xlabel="share of what all tokens take (dashed: 1)")
    return figure


def plot_growth(tokens: list[int], lines: dict):
    """Bytes over the length of the prompt on logarithmic scales; `lines` are from a label to bytes."""
    figure, axis = _panel(9, 4.2)
    for (label, sizes), color, marker in zip(
        lines.items(), (PURPLE, BLACK), "os", strict=True
    ):
        axis.loglog(
            tokens, np.array(sizes) / 2**20, color=color, marker=marker, label=label
        )
    axis.set(
        xlabel="tokens of the prompt", ylabel="MiB", xticks=tokens, xticklabels=tokens
    )
    axis.minorticks_off()
    axis.legend(frameon=False)
    return figure


def plot_pages(cells: list[dict]):
    """Pages a minute by batch size, of both engines with all tokens and half of the detailed ones (`pages.json`)."""
    figure, axis = _panel(9, 4.2)
    styles = {
        "transformers 1.0": ("generate, all tokens", BLACK, "o-"),
        "transformers 0.5": ("generate, keep_ratio 0.5", BLACK, "o--"),
        "vllm 1.0": ("vLLM, all tokens", PURPLE, "s-"),
        "vllm 0.5": ("vLLM, keep_ratio 0.5", PURPLE, "s--"),
    }
    sizes = [cell["batch_size"] for cell in cells]
    for name, (label, color, style) in styles.items():
        speeds = [60 * cell["pages"] / cell["seconds"][name] for cell in cells]
        axis.semilogx(sizes, speeds, style, color=color, label=label)
    axis.set(
        xlabel="pages at once",
        ylabel="pages a minute",
        ylim=(0, None),
        xticks=sizes,
        xticklabels=sizes,
    )
    axis.minorticks_off()
    axis.legend(frameon=False, loc="lower right")
    return figure


def plot_samples(rows: list[list]):
    """Rows of small pages (`image`, `text`), with the texts as titles."""
    columns = min(map(len, rows))
    size = (10, 1.85 * len(rows))
    figure, axes = pyplot.subplots(
        len(rows), columns, figsize=size, layout="constrained"
    )
    for row, pages in zip(axes, rows, strict=True):
        for axis, page in zip(row, pages, strict=False):
            axis.imshow(page.image)
            axis.set_title(page.text)
            axis.set_axis_off()
    return figure


def plot_losses(runs: dict):
    """
    Training losses, smoothed over five entries, with the single entries behind.

    Args:
        runs: From a label to pairs of step and loss.
    """
    figure, axis = _panel(9, 4)
    for (label, losses), color in zip(runs.items(), (PURPLE, SKY), strict=True):
        steps, values = zip(*losses, strict=True)
        axis.plot(steps, values, ".", color=color, alpha=0.4)
        smooth = np.convolve(values, np.ones(5) / 5, mode="valid")
        axis.plot(steps[4:], smooth, color=color, linewidth=2.5, label=label)
    axis.set(
        xlabel="step", ylabel="loss per token of the answers, nats", ylim=(0, None)
    )
    axis.legend(frameon=False)
    return figure


def plot_words_read(models: dict, groups: dict):
    """
    Words read by several models, with 95% intervals.

    Args:
        models: From a label to a dict from each of `groups` to a share and half of its interval.
        groups: From a name to its label.
    """
    figure, axis = _panel(9, 4)
    width = 0.8 / len(models)
    styles = zip(models.items(), (GRAY, PURPLE, SKY), strict=False)
    for number, ((label, shares), color) in enumerate(styles):
        values, halves = 100 * np.array([shares[name] for name in groups]).T
        places = np.arange(len(groups)) + width * (number - (len(models) - 1) / 2)
        bars = axis.bar(
            places,
            values,
            0.94 * width,
            yerr=halves,
            color=color,
            capsize=5,
            label=label,
        )
        axis.bar_label(bars, fmt="%.0f", label_type="center", color=BLACK)
    axis.set(ylabel="words to the letter, %", ylim=(0, 118), xticks=range(len(groups)))
    axis.set_xticklabels(groups.values())
    axis.legend(frameon=False, loc="upper left", ncols=len(models))
    return figure
