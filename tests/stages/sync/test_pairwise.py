from __future__ import annotations

import itertools

import numpy as np
import pytest

from stages.sync import pairwise
from stages.sync.features import Features
from stages.sync.pairwise import EXCLUDED, Curve, correlate, find_peak, in_units_of_noise, noise, strength

LENGTH, REACH = 60, 40


def _features(
    rng: np.random.Generator, length: int, columns: int, *, shared: bool, begin: int = 0, steps: float = 0.3
) -> Features:
    mask = (rng.random((length, 1 if shared else columns)) < 0.7).astype(np.float32)
    values = rng.normal(size=(length, columns)).cumsum(0) * steps
    values -= values.mean(0)
    return Features((values * mask).astype(np.float32), mask, begin)


def _tracks(seed: int, kinds: str, columns: int = 3) -> list[Features]:
    """One track per letter, s: one mask for all columns, c: one for each; of different spans."""
    rng = np.random.default_rng(seed)
    spans = itertools.cycle([(0, 50), (13, 37), (20, 40), (3, 20)])
    return [
        _features(rng, length, columns, shared=kind == "s", begin=begin)
        for kind, (begin, length) in zip(kinds, spans, strict=False)
    ]


def _slowly(
    a: Features, b: Features, *, length: int, reach: int, centred: bool, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """The definition, lag by lag and column by column, on the entries that both have."""
    whole = []
    for f in (a, b):
        values, mask = np.zeros((length, f.values.shape[1])), np.zeros((length, f.values.shape[1]), bool)
        values[f.begin : f.begin + len(f.values)] = f.values
        mask[f.begin : f.begin + len(f.values)] = f.mask > 0
        whole += [values, mask]
    x, mx, y, my = whole
    shared = max(int((mx.any(0) & my.any(0)).sum()), 1)
    r, overlap = np.full(2 * reach + 1, EXCLUDED), np.zeros(2 * reach + 1)
    for q, lag in enumerate(range(-reach, reach + 1)):
        of_b = slice(max(0, -lag), max(0, min(length, length - lag)))
        of_a = slice(of_b.start + lag, of_b.stop + lag)
        product = energy_a = energy_b = 0.0
        for c in range(x.shape[1]):
            both = mx[of_a, c] & my[of_b, c]
            u, v = x[of_a, c][both], y[of_b, c][both]
            if centred and both.any():
                u, v = u - u.mean(), v - v.mean()
            product, energy_a, energy_b = product + u @ v, energy_a + u @ u, energy_b + v @ v
            overlap[q] += both.sum() / shared
        if overlap[q] >= least and energy_a > 0 and energy_b > 0:
            r[q] = product / np.sqrt(energy_a * energy_b)
    return r, overlap


@pytest.mark.parametrize("centred", [False, True], ids=["as it is", "centred"])
@pytest.mark.parametrize("kinds", ["ssss", "cccc", "scsc"], ids=["one mask", "mask by column", "mixed"])
@pytest.mark.parametrize("same_list", [False, True], ids=["two lists", "one list"])
def test_equals_the_definition_lag_by_lag(centred: bool, kinds: str, same_list: bool):
    first = _tracks(0, kinds)
    second = first if same_list else _tracks(1, kinds[::-1])
    couples = [(3, 0), (0, 1), (1, 2), (2, 2), (0, 3), (1, 0), (0, 1)]
    least = np.array([4.3, 3.3, 9.2, 5.1, 2.2, 3.1, 14.6])
    r, overlap = correlate(first, second, couples, length=LENGTH, reach=REACH, least=least, centred=centred)
    assert r.shape == overlap.shape == (len(couples), 2 * REACH + 1)
    assert r.dtype == overlap.dtype == np.float32
    worst = 0.0
    for row, (i, j) in enumerate(couples):
        expected, seen = _slowly(
            first[i], second[j], length=LENGTH, reach=REACH, centred=centred, least=float(least[row])
        )
        assert ((r[row] > EXCLUDED) == (expected > EXCLUDED)).all()
        assert (expected > EXCLUDED).any()
        np.testing.assert_allclose(overlap[row], seen, atol=1e-4)
        worst = max(worst, float(np.abs(r[row] - expected).max()))
    assert worst < 1e-5, f"worst difference {worst:.1e}"


@pytest.mark.parametrize("centred", [False, True])
def test_many_couples_at_once_are_what_each_is_alone(centred: bool):
    first, second = _tracks(2, "ssss"), _tracks(3, "ssss")
    couples = list(itertools.product(range(4), range(4)))
    arguments = {"length": LENGTH, "reach": REACH, "centred": centred}
    r, overlap = correlate(first, second, couples, least=np.full(16, 3.3), **arguments)
    for row, (i, j) in enumerate(couples):
        alone = correlate([first[i]], [second[j]], [(0, 0)], least=np.full(1, 3.3), **arguments)
        np.testing.assert_allclose(r[row], alone[0][0], atol=1e-5)
        np.testing.assert_allclose(overlap[row], alone[1][0], atol=1e-4)


@pytest.mark.parametrize("centred", [False, True])
def test_cutting_the_work_into_pieces_changes_nothing(centred: bool, monkeypatch: pytest.MonkeyPatch):
    tracks = _tracks(4, "csc", columns=7)
    arguments = {"length": LENGTH, "reach": REACH, "least": np.full(3, 3.3), "centred": centred}
    couples = [(0, 1), (1, 2), (2, 0)]
    whole = correlate(tracks, tracks, couples, **arguments)
    monkeypatch.setattr(pairwise, "CHUNK_BYTES", 3000)
    monkeypatch.setattr(pairwise, "FREQUENCIES", 7)
    for a, b in zip(whole, correlate(tracks, tracks, couples, **arguments), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("shared", [True, False])
def test_single_precision_is_enough_for_a_long_recording(shared: bool):
    rng = np.random.default_rng(1)
    tracks = [_features(rng, 20_000, 2, shared=shared, steps=0.05) for _ in range(2)]
    options = {"length": 20_000, "reach": 30, "centred": False}
    r, overlap = correlate(tracks, tracks, [(0, 1)], least=np.full(1, 90.0), **options)
    expected, seen = _slowly(*tracks, least=90.0, **options)
    worst = np.abs(r[0] - expected).max()
    assert worst < 1e-4, f"worst difference {worst:.1e}"
    np.testing.assert_allclose(overlap[0], seen, rtol=1e-5)


@pytest.mark.parametrize("late", [-7, 0, 12])
@pytest.mark.parametrize("centred", [False, True])
def test_the_lag_is_that_of_the_second_behind_the_first(late: int, centred: bool):
    signal = np.random.default_rng(2).normal(size=(200, 2)).cumsum(0).astype(np.float32)
    signal -= signal.mean(0)
    full = np.ones((150, 1), np.float32)
    tracks = [Features(signal[20:170], full), Features(signal[20 + late : 170 + late], full)]
    r, overlap = correlate(
        tracks, tracks, [(0, 1), (1, 0)], length=150, reach=REACH, least=np.full(2, 30.0), centred=centred
    )
    # instant k of b shows what instant k + late of a shows: b's grid starts `late` steps later
    assert find_peak(Curve(r[0], overlap[0]), rate=30).lag == pytest.approx(late, abs=0.05)
    np.testing.assert_allclose(r[0], r[1, ::-1], atol=1e-5)


def test_the_unit_of_a_track_does_not_matter():
    a, b = _tracks(5, "sc")
    arguments = {"length": LENGTH, "reach": REACH, "least": np.full(1, 3.3), "centred": False}
    r, _ = correlate([a], [b], [(0, 0)], **arguments)
    other, _ = correlate([Features(a.values * 50, a.mask, a.begin)], [b], [(0, 0)], **arguments)
    np.testing.assert_allclose(r, other, atol=1e-5)


def test_a_feature_that_one_of_the_two_never_shows_does_not_shorten_the_overlap():
    values = np.random.default_rng(6).normal(size=(50, 3)).astype(np.float32)
    mask = np.ones((50, 3), np.float32)
    mask[:, 2] = 0
    a, b = Features(values, np.ones((50, 3), np.float32)), Features(values * mask, mask)
    _, overlap = correlate([a], [b], [(0, 0)], length=50, reach=5, least=np.full(1, 3.0), centred=False)
    np.testing.assert_allclose(overlap[0], 50 - np.abs(np.arange(-5, 6)), atol=1e-4)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("shared", [True, False])
def test_an_overlap_without_movement_is_excluded(centred: bool, shared: bool):
    rng = np.random.default_rng(7)
    values = rng.normal(size=(3000, 2)).astype(np.float32) * 30
    values[1500:] = 0  # a great deal of movement, and then none
    ones = np.ones((3000, 1 if shared else 2), np.float32)
    a, b = Features(values, ones), Features(values[:1500], ones[:1500])
    still = Features(np.zeros_like(values), ones)
    r, _ = correlate(
        [a, still],
        [b, still],
        [(0, 0), (0, 1), (1, 1)],
        length=3000,
        reach=2900,
        least=np.full(3, 30.0),
        centred=centred,
    )
    lags = np.arange(-2900, 2901)
    assert (r[0, lags >= 1500] == EXCLUDED).all(), "all of b against the part of a that is still"
    assert (r[0, np.abs(lags) < 1400] > EXCLUDED).all()
    assert (r[1:] == EXCLUDED).all()
    r, _ = correlate(
        [b, still], [still, a], [(0, 1), (1, 0)], length=3000, reach=2900, least=np.full(2, 30.0), centred=centred
    )
    assert (r[0, lags <= -1500] == EXCLUDED).all(), "likewise with the two exchanged"


@pytest.mark.parametrize("length", [900, 9000])
def test_a_lag_with_exactly_the_least_overlap_is_judged_whatever_the_rounding(length: int):
    rng = np.random.default_rng(8)
    tracks = [_features(rng, length, 2, shared=True) for _ in range(6)]
    couples = list(itertools.product(range(6), range(6)))
    r, overlap = correlate(
        tracks, tracks, couples, length=length, reach=length - 1, least=np.full(36, 45.0), centred=False
    )
    count = np.round(overlap)
    assert np.abs(overlap - count).max() < 0.1
    wrong = (r > EXCLUDED) != (count >= 45)
    assert not wrong.any(), f"{wrong.sum()} of {(count == 45).sum()} such lags are not"


def test_what_is_judged_is_right_where_both_hardly_move_as_well():
    length, half, worst = 20_000, 10_000, 0.0
    for seed in range(3):
        values = np.random.default_rng(seed).normal(size=(length, 6)).cumsum(0)
        values = (values - values.mean(0)) / values.std()
        a, b = values.copy(), values.copy()
        a[half:] *= 0.003
        b[:half] *= 0.003
        a, b = (Features(x.astype(np.float32), np.ones((length, 1), np.float32)) for x in (a, b))
        r, _ = correlate([a], [b], [(0, 0)], length=length, reach=length - 1, least=np.full(1, 45.0), centred=False)
        for lag in range(half, length - 45, 97):
            x, y = a.values[lag:].astype(np.float64), b.values[: length - lag].astype(np.float64)
            found = r[0, lag + length - 1]
            if found > EXCLUDED:
                worst = max(worst, abs(found - (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())))
    assert worst < 0.05, f"{worst:.2f} off the definition"


def test_without_couples_or_room_there_is_little_to_say():
    a, b = _tracks(8, "sc")
    r, overlap = correlate([a], [b], [], length=LENGTH, reach=3, least=np.zeros(0), centred=False)
    assert r.shape == overlap.shape == (0, 7)
    r, _ = correlate([a], [b], [(0, 0)], length=LENGTH, reach=0, least=np.full(1, 3.0), centred=False)
    expected, _ = _slowly(a, b, length=LENGTH, reach=0, centred=False, least=3.0)
    np.testing.assert_allclose(r[0], expected, atol=1e-5)
    nobody = Features(a.values[:0], a.mask[:0])
    r, overlap = correlate([nobody], [b], [(0, 0)], length=LENGTH, reach=3, least=np.zeros(1), centred=True)
    assert (r == EXCLUDED).all()
    assert overlap.max() < 1e-6


def test_strength_counts_overlap_by_its_root_and_the_excluded_not_at_all():
    found = strength(np.array([0.5, EXCLUDED, -0.2]), np.array([16.0, 100, 25]))
    np.testing.assert_allclose(found, [2, 0, -1])


def test_noise_is_what_was_measured_and_with_few_lags_what_strangers_usually_have():
    of_strangers = 0.15 * np.sqrt(30)
    assert noise(np.float64(0), np.float64(99), rate=30) == pytest.approx(of_strangers)
    assert noise(np.float64(1e7), np.float64(4), rate=30) == pytest.approx(2, rel=1e-3)
    few, more = (float(noise(np.float64(count), np.float64(4), rate=30)) for count in (30, 300))
    assert of_strangers < few < more < 2
    assert noise(np.float64(0), np.float64(0), rate=30, prior=1.0) == pytest.approx(np.sqrt(30))


def test_scores_are_strengths_in_units_of_the_noise_away_from_the_peak():
    rng = np.random.default_rng(9)
    r = rng.normal(0, 0.1, (3, 401)).astype(np.float32)
    r[0, 150] = 0.9
    r[:, 390:] = EXCLUDED
    r[2] = EXCLUDED
    overlap = rng.uniform(50, 100, (3, 401)).astype(np.float32)
    score = in_units_of_noise(r, overlap, rate=30)
    for row in range(2):
        height = [
            float(x) * float(n) ** 0.5 if x > EXCLUDED else 0.0 for x, n in zip(r[row], overlap[row], strict=True)
        ]
        top = max(range(401), key=lambda k, height=height: height[k])
        far = [h for k, h in enumerate(height) if r[row, k] > EXCLUDED and abs(k - top) > 15]
        independent = len(far) / 15
        spread = np.sqrt((independent * np.var(far) + 8 * 0.15**2 * 30) / (independent + 8))
        np.testing.assert_allclose(score[row], np.maximum(height, 0) / spread, rtol=1e-4)
    assert score[0, 150] == score.max()
    assert not score[2].any()


def test_a_peak_between_two_steps_is_found():
    lags = np.arange(-REACH, REACH + 1)
    curve = Curve(1 - ((lags - 3.3) / 20) ** 2, np.full(len(lags), 50.0))
    assert find_peak(curve, rate=30).lag == pytest.approx(3.3, abs=1e-9)


def test_a_peak_can_be_looked_for_nearby():
    lags = np.arange(-REACH, REACH + 1)
    curve = Curve(np.exp(-(((lags - 20) / 3) ** 2)) + 0.5 * np.exp(-(((lags + 10) / 3) ** 2)), np.full(len(lags), 50.0))
    assert find_peak(curve, rate=30).lag == pytest.approx(20, abs=0.1)
    assert find_peak(curve, rate=30, near=-9, radius=4).lag == pytest.approx(-10, abs=0.1)


def test_a_peaks_overlap_is_that_of_one_couple():
    r = np.exp(-((np.arange(-REACH, REACH + 1) / 3) ** 2))
    assert find_peak(Curve(r, np.full(len(r), 90.0), couples=3), rate=30).overlap == pytest.approx(30)


def test_without_other_lags_nothing_is_said_about_certainty():
    r = np.full(2 * REACH + 1, EXCLUDED)
    r[REACH - 5 : REACH + 6] = 0.9
    assert find_peak(Curve(r, np.full(len(r), 50.0)), rate=30).z == 0


def test_a_curve_that_says_nothing_has_no_peak():
    peak = find_peak(Curve(np.full(21, EXCLUDED), np.zeros(21)), rate=30)
    assert (peak.r, peak.z) == (EXCLUDED, 0.0)
