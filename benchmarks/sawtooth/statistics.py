"""Means and 95% intervals by bootstrap over clusters: the samples of one word or page are not independent."""

from collections.abc import Callable

import numpy as np


RESAMPLES = 2000


def bootstrap(
    clusters: np.ndarray, statistic: Callable[[np.ndarray], float], resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float, float]:
    """
    A statistic of all samples and the 95% interval that it has over resampled clusters.

    Args:
        clusters: (samples,) which cluster each sample belongs to.
        statistic: Takes weights (samples,), how often each sample was drawn, and gives a number, NaN if undefined.
    """
    names, members = np.unique(clusters, return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    values = np.array([statistic(weights[members]) for weights in drawn])
    low, high = np.nanpercentile(values, [2.5, 97.5]) if np.isfinite(values).any() else (np.nan, np.nan)
    return statistic(np.ones(len(clusters))), float(low), float(high)


def mean(values: np.ndarray, chosen: np.ndarray | None = None) -> Callable[[np.ndarray], float]:
    """The mean of the `chosen` values, as a statistic of weights."""
    chosen = np.ones(len(values), bool) if chosen is None else chosen

    def statistic(weights: np.ndarray) -> float:
        total = weights[chosen].sum()
        return float((weights * values)[chosen].sum() / total) if total else float("nan")

    return statistic


def difference(values: np.ndarray, first: np.ndarray, second: np.ndarray) -> Callable[[np.ndarray], float]:
    """The mean of the values chosen by `first` minus that of those chosen by `second`."""
    means = mean(values, first), mean(values, second)
    return lambda weights: means[0](weights) - means[1](weights)


def period(positions: np.ndarray, values: np.ndarray, candidates: np.ndarray) -> float:
    """The period (in the unit of `positions`) of the cosine that explains most of the values' variance."""
    explained = []
    for candidate in candidates:
        phase = 2 * np.pi * positions / candidate
        design = np.stack([np.ones_like(phase), np.cos(phase), np.sin(phase)], axis=1)
        _, residual, rank, _ = np.linalg.lstsq(design, values, rcond=None)
        explained.append(-residual[0] if rank == 3 and len(residual) else -np.inf)
    return float(candidates[int(np.argmax(explained))])
