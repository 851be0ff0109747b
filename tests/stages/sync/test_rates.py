from __future__ import annotations

import numpy as np
import pytest

from stages.sync.rates import ClockRates, rates_of_clues, robust_slope


def test_a_line_is_found_through_outliers_and_its_error_is_that_of_the_points():
    rng = np.random.default_rng(0)
    ratio = []
    for _ in range(60):
        times = np.arange(30) * 300.0
        values = 2e-4 * times + 0.1 * rng.normal(size=30)
        values[rng.integers(0, 30, 3)] += 20
        slope, variance = robust_slope(times, values, np.ones(30), overlapping=1.0)
        ratio.append((slope - 2e-4) / np.sqrt(variance))
    spread = float(np.sqrt(np.mean(np.square(ratio))))
    assert 0.6 < spread < 1.2, f"errors are {spread:.2f} of what is said"


def test_points_that_share_their_data_are_worth_less():
    rng = np.random.default_rng(1)
    times, values = np.arange(40.0), rng.normal(size=40)
    alone, shared = (robust_slope(times, values, np.ones(40), overlapping=o)[1] for o in (1.0, 2.0))
    assert shared > 1.7 * alone


def test_rates_of_pairs_become_rates_against_the_middle_clock():
    rates = np.array([1.0005, 1.0, 0.9990])
    told = [(i, j, rates[j] / rates[i], 5e-6) for i, j in ((0, 1), (1, 2), (0, 2))]
    found = rates_of_clues(3, told)
    assert found is not None
    assert found.corrections(np.zeros(3, bool)) == pytest.approx(rates, abs=2e-6)


def test_a_difference_that_may_be_chance_changes_nothing():
    clocks = ClockRates(np.array([0.0, 3e-5, 9e-5, np.nan]), np.array([1e-5, 1e-5, 1e-5, np.nan]))
    assert clocks.corrections(np.zeros(4, bool)).tolist() == [1.0, 1.0, 1.00009, 1.0]
    assert clocks.corrections(np.array([False, True, True, False])).tolist() == [1.0, 1.00003, 1.00009, 1.0]


def test_nothing_told_is_nothing_known():
    assert rates_of_clues(3, []) is None
