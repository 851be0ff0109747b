from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.sync.metrics import Errors
from benchmarks.sync.promises import at_least, at_most, quantile, ratio, share


@pytest.mark.parametrize(
    ("right", "total", "low", "high", "full", "ok"),
    [
        (99, 100, 0.99, 1.0, True, True),
        (98, 100, 0.99, 1.0, True, False),
        (98, 100, 0.90, 0.98, True, True),
        (99, 100, 0.90, 0.98, True, False),
        (23, 24, 0.99, 1.0, False, True),  # one of 24 happens by chance where 1 % is allowed: 21 %
        (20, 24, 0.99, 1.0, False, False),  # four do not
        (24, 24, 0.90, 0.98, False, True),  # and 62 % of the time all 24 hold where 98 % do
        (200, 200, 0.90, 0.98, False, False),
        (1, 24, 0.0, 0.005, False, True),
        (2, 24, 0.0, 0.005, False, False),
        (0, 0, 0.5, 1.0, True, False),
    ],
)
def test_a_share_is_judged_at_its_word_or_against_chance(
    right: int, total: int, low: float, high: float, full: bool, ok: bool
):
    assert share("share", right, total, low=low, high=high, full=full).ok is ok


def test_a_perfect_score_may_be_asked_for():
    assert share("links", 30, 30, low=1.0, full=True).ok
    assert not share("links", 29, 30, low=1.0, full=True).ok
    assert not share("links", 29, 30, low=1.0, full=False).ok


def test_a_quantile_of_few_trials_is_judged_against_chance():
    off = Errors(np.array([0.1] * 22 + [2.0] * 2), 24)  # two of 24 beyond the limit: 34 % where 5 % are allowed
    assert not quantile("p95", off, 0.95, 1.0, full=True).ok
    assert quantile("p95", off, 0.95, 1.0, full=False).ok
    worse = Errors(np.array([0.1] * 19 + [2.0] * 5), 24)  # five: 0.6 %
    assert not quantile("p95", worse, 0.95, 1.0, full=False).ok
    assert not quantile("p95", Errors(np.zeros(0), 24), 0.95, 1.0, full=False).ok, "nothing answered"


def test_a_ratio_of_few_trials_is_judged_against_chance():
    plain = np.linspace(0.01, 1, 24)
    assert ratio("same", Errors(plain, 24), Errors(plain, 24), 0.5, 1.2, full=True).measured == "1.00"
    more = Errors(1.3 * plain, 24)  # 24 errors do not tell 1.3 from 1.2
    assert not ratio("median", more, Errors(plain, 24), 0.5, 1.2, full=True).ok
    assert ratio("median", more, Errors(plain, 24), 0.5, 1.2, full=False).ok
    assert not ratio("median", Errors(5 * plain, 24), Errors(plain, 24), 0.5, 1.2, full=False).ok


def test_nan_keeps_no_promise():
    assert not at_most("p95", math.nan, 1.0).ok
    assert not at_least("ratio", math.nan, 1.0, "x").ok
