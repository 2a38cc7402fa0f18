"""The bootstrap over clusters and its statistics."""

import numpy as np
import pytest

from benchmarks.sawtooth.report.statistics import (
    bootstrap,
    certainty,
    difference,
    extremes,
    mean,
    percent,
    ratio,
    span,
    spoken,
    verdict,
    wilson,
)


def test_the_bootstrap_resamples_clusters():
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(50), 20)
    values = rng.normal(size=50)[clusters]  # all samples of a cluster are equal: 50 values, not 1,000
    estimate, low, high = bootstrap(clusters, mean(values))
    assert estimate == pytest.approx(values.mean())
    expected = 1.96 * values[::20].std() / np.sqrt(50)
    assert (high - low) / 2 == pytest.approx(expected, rel=0.15)


def test_a_difference_of_chosen_samples():
    values = np.array([1.0, 1.0, 0.0, 0.5])
    first, second = np.array([1, 1, 0, 0], bool), np.array([0, 0, 1, 1], bool)
    assert difference(values, first, second)(np.ones(4)) == 0.75
    assert np.isnan(difference(values, first, np.zeros(4, bool))(np.ones(4)))


def test_the_bootstrap_equals_one_that_weighs_every_sample():
    rng = np.random.default_rng(3)
    clusters, values, first = rng.integers(0, 9, 60), rng.normal(size=60), rng.random(60) < 0.3
    statistic = difference(values, first, ~first)
    names, members = np.unique(clusters, return_inverse=True)
    drawn = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=2000)
    naive = []
    for weights in drawn[:, members].astype(float):
        parts = [(weights * values)[part].sum() / weights[part].sum() for part in (first, ~first)]
        naive.append(parts[0] - parts[1])
    estimate = values[first].mean() - values[~first].mean()
    assert bootstrap(clusters, statistic) == pytest.approx((estimate, *np.percentile(naive, [2.5, 97.5])))


def test_clusters_are_drawn_in_the_order_of_their_names():
    values = np.array([0.0, 1.0, 5.0])
    shuffled = [2, 0, 1]
    names = np.array(["a", "b", "c"])
    assert bootstrap(names, mean(values)) == bootstrap(names[shuffled], mean(values[shuffled]))


def test_a_ratio_is_of_sums():
    assert ratio([1, 2], [2, 10])(np.array([[1, 1], [2, 0]])) == pytest.approx([0.25, 0.5])


def test_estimates_in_words():
    assert [verdict((0, low, high)) for low, high in ((-1, 1), (0.1, 1), (-2, -1))] == ["not shown", "yes", "reversed"]
    assert percent((0.123, 0.1, 0.2)) == "12.3 [10.0, 20.0]" and percent((np.nan, 0, 0)) == "–"


def test_many_estimates_in_a_few_words():
    better, worse, unclear = (0.02, 0.01, 0.03), (-0.2, -0.3, -0.1), (0.0, -0.1, 0.1)
    assert span([better, worse, unclear]) == "-20.0 to 2.0"
    assert extremes([better, worse, unclear]) == "-20.0 [-30.0, -10.0] to 2.0 [1.0, 3.0]"
    assert certainty([better, worse, unclear]) == "for certain better in 1, worse in 1 of 3"
    assert certainty([unclear] * 2) == "nothing certain in 2" and certainty([better]) == "for certain better in 1 of 1"
    assert spoken(better, " points", "n = 5") == "2.0 points (95%: 1.0 to 3.0; n = 5)"


def test_the_interval_of_a_share_holds_it_where_none_or_all_are_right():
    for n in range(1, 200):
        for right in (0, n):
            share, low, high = wilson(right, n)
            assert low <= share == right / n <= high and high - low < 1
