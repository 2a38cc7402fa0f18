"""The arithmetic of the memory's growth; what is measured is no test."""

import pytest

from benchmarks.speed.scoring_memory import growth_exponent


@pytest.mark.parametrize("exponent", [1, 2])
def test_growth_exponent(exponent):
    lengths = [1000, 2000, 4000, 8000]
    assert growth_exponent(lengths, [7 * length**exponent for length in lengths]) == pytest.approx(exponent)
