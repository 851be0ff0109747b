from __future__ import annotations

import numpy as np
import pytest

from stages.sync.features import Features
from stages.sync.pairwise import EXCLUDED, Curve, correlate, find_peak, spectrum, transform_length

REACH = 40


def _features(rng: np.random.Generator, length: int, columns: int, *, shared: bool) -> Features:
    mask = (rng.random((length, 1 if shared else columns)) < 0.7).astype(np.float32)
    values = rng.normal(size=(length, columns)).astype(np.float32).cumsum(0) * 0.3
    return Features((values * mask).astype(np.float32), mask)


def _slowly(a: Features, b: Features, *, centred: bool, least: float) -> np.ndarray:
    """The definition, lag by lag, on the entries that both have."""
    out = np.full(2 * REACH + 1, EXCLUDED)
    columns = a.values.shape[1]
    ma, mb = (np.broadcast_to(f.mask, f.values.shape) > 0 for f in (a, b))
    for q, lag in enumerate(range(-REACH, REACH + 1)):
        rows = [t for t in range(len(b.values)) if 0 <= t + lag < len(a.values)]
        product = energy_a = energy_b = count = 0.0
        for c in range(columns):
            both = [t for t in rows if ma[t + lag, c] and mb[t, c]]
            x = np.array([a.values[t + lag, c] for t in both], dtype=float)
            y = np.array([b.values[t, c] for t in both], dtype=float)
            if centred and both:
                x, y = x - x.mean(), y - y.mean()
            product, energy_a, energy_b = product + x @ y, energy_a + x @ x, energy_b + y @ y
            count += len(both)
        if count / columns >= least:
            out[q] = product / np.sqrt(energy_a * energy_b)
    return out


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("shared_a", "shared_b"), [(True, True), (False, False), (True, False)])
def test_equals_the_definition_lag_by_lag(centred: bool, shared_a: bool, shared_b: bool):
    rng = np.random.default_rng(0)
    a, b = _features(rng, 50, 3, shared=shared_a), _features(rng, 37, 3, shared=shared_b)
    spectra = [spectrum(f, size=transform_length(50, REACH), one_mask=shared_a and shared_b) for f in (a, b)]
    curve = correlate(*spectra, reach=REACH, min_overlap=4.0, centred=centred)
    expected = _slowly(a, b, centred=centred, least=4.0)
    assert (curve.allowed == (expected > EXCLUDED)).all()
    worst = np.abs(curve.r - expected).max()
    assert worst < 1e-6, f"worst difference {worst:.1e}"


def test_single_precision_is_enough():
    rng = np.random.default_rng(1)
    a, b = (_features(rng, 3000, 4, shared=True) for _ in range(2))
    size = transform_length(3000, REACH)
    curves = [
        correlate(
            *(spectrum(f, size=size, one_mask=True, single=s) for f in (a, b)),
            reach=REACH,
            min_overlap=90,
            centred=False,
        )
        for s in (False, True)
    ]
    worst = np.abs(curves[0].r - curves[1].r).max()
    assert worst < 1e-4, f"worst difference {worst:.1e}"


@pytest.mark.parametrize("late", [-7, 0, 12])
def test_the_lag_is_that_of_the_second_behind_the_first(late: int):
    signal = np.random.default_rng(2).normal(size=(200, 2)).cumsum(0).astype(np.float32)
    signal -= signal.mean(0)
    full = np.ones((150, 1), np.float32)
    a, b = Features(signal[20:170], full), Features(signal[20 + late : 170 + late], full)
    size = transform_length(150, REACH)
    curve = correlate(
        *(spectrum(f, size=size, one_mask=True) for f in (a, b)), reach=REACH, min_overlap=30, centred=False
    )
    # instant k of b shows what instant k + late of a shows: b's grid starts `late` steps later
    assert find_peak(curve, rate=30).lag == pytest.approx(late, abs=0.05)


def test_a_peak_between_two_steps_is_found():
    lags = np.arange(-REACH, REACH + 1)
    curve = Curve(1 - ((lags - 3.3) / 20) ** 2, np.full(len(lags), 50.0))
    assert find_peak(curve, rate=30).lag == pytest.approx(3.3, abs=1e-9)


def test_a_peak_can_be_looked_for_nearby():
    lags = np.arange(-REACH, REACH + 1)
    curve = Curve(np.exp(-(((lags - 20) / 3) ** 2)) + 0.5 * np.exp(-(((lags + 10) / 3) ** 2)), np.full(len(lags), 50.0))
    assert find_peak(curve, rate=30).lag == pytest.approx(20, abs=0.1)
    assert find_peak(curve, rate=30, near=-9, radius=4).lag == pytest.approx(-10, abs=0.1)


def test_without_other_lags_nothing_is_said_about_certainty():
    r = np.full(2 * REACH + 1, EXCLUDED)
    r[REACH - 5 : REACH + 6] = 0.9
    assert find_peak(Curve(r, np.full(len(r), 50.0)), rate=30).z == 0


def test_a_curve_that_says_nothing_has_no_peak():
    peak = find_peak(Curve(np.full(21, EXCLUDED), np.zeros(21)), rate=30)
    assert (peak.r, peak.z) == (EXCLUDED, 0.0)


def test_an_overlap_without_movement_is_excluded():
    still = Features(np.zeros((100, 2), np.float32), np.ones((100, 1), np.float32))
    size = transform_length(100, REACH)
    s = spectrum(still, size=size, one_mask=True)
    assert not correlate(s, s, reach=REACH, min_overlap=10, centred=True).allowed.any()


def test_lags_out_of_range_are_excluded():
    curve = Curve(np.full(21, 0.5), np.full(21, 50.0)).limited(-3.5, 2)
    assert curve.lags[curve.allowed].tolist() == [-3, -2, -1, 0, 1, 2]
