"""The benchmark of calibrated cameras: how peaks are told apart and answers judged."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.sync.calibration import Answer, _coverage, _peaks, _settled, _wrong
from stages.sync.clues import Clue
from stages.sync.result import OffsetCurve

OFFSETS = np.arange(-10, 10.001, 1 / 30)


def bump(at: float) -> np.ndarray:
    return np.exp(-0.5 * ((OFFSETS - at) / 0.05) ** 2)


def clue(score: np.ndarray) -> Clue:
    return Clue("calibration", "a", "b", 0.0, 0.01, 5.0, 0.0, 5.0, OFFSETS, score.astype(np.float32))


def test_rivals_are_peaks_that_are_nearly_as_high_and_apart() -> None:
    r = bump(2.0) + 0.9 * bump(-3.0) + 0.9 * bump(2.2) + 0.5 * bump(6.0)
    r[:5] = np.nan
    found = _peaks(OffsetCurve(OFFSETS, r.astype(np.float32)))
    assert [round(peak) for peak in found] == [2, -3]


@pytest.mark.parametrize(("truth", "expected"), [(2.0, True), (-3.0, False), (8.0, None)])
def test_the_peak_with_the_higher_score_settles(truth: float, expected: bool | None) -> None:
    assert _settled([-3.0, 2.0], clue(5 * bump(2.05)), truth) is expected


def test_without_a_rival_or_a_clue_nothing_is_settled() -> None:
    assert _settled([2.0], clue(5 * bump(2.0)), 2.0) is None
    assert _settled([-3.0, 2.0], None, 2.0) is None


def test_a_wide_interval_excuses_an_error_and_a_narrow_one_does_not() -> None:
    assert _wrong("", [Answer(20.0, 15.0, 3.0), Answer(None, None, 0.0)], 2.0).ok
    assert not _wrong("", [Answer(20.0, 1.0, 3.0)], 2.0).ok


def test_intervals_that_hold_the_truth_always_are_too_wide() -> None:
    assert not _coverage("", [Answer(0.0, 1.0, 3.0)] * 100).ok
    assert _coverage("", [Answer(0.0, 1.0, 3.0)] * 95 + [Answer(2.0, 1.0, 3.0)] * 5).ok
