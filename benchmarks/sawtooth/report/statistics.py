"""Means and 95% intervals by bootstrap over clusters: the samples of one word or page are not independent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd


RESAMPLES = 2000
Estimate = tuple[float, float, float]  # the value, and both ends of its 95% interval


@dataclass(frozen=True)
class Statistic:
    """
    Quotients of weighted sums, added up: sign * sum(weights * above) / sum(weights * below) of each term.

    Called with weights (..., samples), how often each sample was drawn, it gives (...), NaN where nothing was drawn.
    """

    terms: tuple[tuple[float, np.ndarray, np.ndarray], ...]

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = [(sign, *((weights * part).sum(-1) for part in parts)) for sign, *parts in self.terms]
            return sum(sign * above / below for sign, above, below in parts)

    def __sub__(self, other: Statistic) -> Statistic:
        """This minus another statistic of the same samples."""
        return Statistic((*self.terms, *((-sign, *parts) for sign, *parts in other.terms)))

    def of_clusters(self, members: np.ndarray) -> Statistic:
        """The same of clusters, to be called with their weights; `members` (samples,) are their numbers."""
        terms = [(sign, *(np.bincount(members, part) for part in parts)) for sign, *parts in self.terms]
        return Statistic(tuple(terms))


def ratio(above: np.ndarray, below: np.ndarray) -> Statistic:
    """The sum of some values divided by the sum of others."""
    return Statistic(((1.0, np.asarray(above, float), np.asarray(below, float)),))


def mean(values: np.ndarray, chosen: np.ndarray | None = None) -> Statistic:
    """The mean of the `chosen` values."""
    values = np.asarray(values, float)
    chosen = np.ones(len(values)) if chosen is None else np.asarray(chosen, float)
    return ratio(values * chosen, chosen)


def difference(values: np.ndarray, first: np.ndarray, second: np.ndarray) -> Statistic:
    """The mean of the values chosen by `first` minus that of those chosen by `second`."""
    return mean(values, first) - mean(values, second)


def bootstrap(clusters: np.ndarray, statistic: Statistic, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """
    A statistic of all samples and the 95% interval that it has over resampled clusters.

    Args:
        clusters: (samples,) which cluster each sample belongs to.
    """
    members, names = pd.factorize(np.asarray(clusters), sort=True)
    values = statistic.of_clusters(members)(_draws(len(names), resamples, seed))
    low, high = np.nanpercentile(values, [2.5, 97.5]) if np.isfinite(values).any() else (np.nan, np.nan)
    return float(statistic(np.ones(len(members)))), float(low), float(high)


@lru_cache(maxsize=4)
def _draws(clusters: int, resamples: int, seed: int) -> np.ndarray:
    """(resamples, clusters): how often each cluster is drawn."""
    return np.random.default_rng(seed).multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples)


def wilson(right: int, n: int) -> Estimate:
    """
    A share of `n` independent answers, with its 95% interval by Wilson, which holds for few answers, too, and where
    none or all of them are right.
    """
    z2, share = 1.96**2, right / n
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = (z2 * (share * (1 - share) / n + z2 / (4 * n * n))) ** 0.5 / (1 + z2 / n)
    return share, min(share, middle - half), max(share, middle + half)  # rounding, where none or all are right


def verdict(estimate: Estimate) -> str:
    """What the interval allows to say."""
    return "yes" if estimate[1] > 0 else "reversed" if estimate[2] < 0 else "not shown"


def percent(estimate: Estimate) -> str:
    """An estimate and its interval in %, a dash where there is nothing to estimate."""
    return "–" if np.isnan(estimate[0]) else "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * value for value in estimate))


def spoken(estimate: Estimate, unit: str, *more: str) -> str:
    """The same in a sentence: "97.0% (95%: 95.5 to 98.5; n = 600)", with whatever else belongs into the brackets."""
    value, low, high = (100 * part for part in estimate)
    return f"{value:.1f}{unit} ({'; '.join([f'95%: {low:.1f} to {high:.1f}', *more])})"


def span(estimates: Iterable[Estimate]) -> str:
    """The smallest and the largest value, in %."""
    middles = sorted(100 * each[0] for each in estimates)
    return f"{middles[0]:.1f} to {middles[-1]:.1f}"


def extremes(estimates: Iterable[Estimate]) -> str:
    """The smallest and the largest estimate with their intervals, in %."""
    ordered = sorted(estimates)
    return f"{percent(ordered[0])} to {percent(ordered[-1])}"


def certainty(estimates: Iterable[Estimate]) -> str:
    """ "for certain better in 2, worse in 1 of 4"."""
    verdicts = [verdict(each) for each in estimates]
    counts = {"better": verdicts.count("yes"), "worse": verdicts.count("reversed")}
    named = [f"{name} in {number}" for name, number in counts.items() if number]
    return f"for certain {', '.join(named)} of {len(verdicts)}" if named else f"nothing certain in {len(verdicts)}"
