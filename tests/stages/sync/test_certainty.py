from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest

from stages.sync.certainty import (
    CHOICE,
    MIN_SHARED,
    TOLERANCE,
    Agreement,
    SharedCurves,
    placed_videos,
    supported_videos,
)
from stages.sync.pairwise import APART, EXCLUDED, MIN_FAR_LAGS, PRIOR_COUNT, PRIOR_NOISE, Curve

RATE = 30.0


def _curve(lag: float, rng: np.random.Generator, *, height: float, reach: int = 400, overlap: float = 600.0) -> Curve:
    at = np.arange(-reach, reach + 1)
    noise = np.convolve(rng.normal(0, 0.02, len(at) + 8), np.ones(9) / 3, mode="valid")
    return Curve(height * np.exp(-(((at - lag) / 5) ** 2)) + noise, np.full(len(at), overlap))


def _scene(starts: np.ndarray, rng: np.random.Generator, *, strangers: tuple[int, ...] = (), **shape: float) -> dict:
    heights = {"height": 0.5, **shape}
    curves = {}
    for a, b in itertools.combinations(range(len(starts)), 2):
        strange = a in strangers or b in strangers
        curves[a, b] = _curve(
            starts[b] - starts[a], rng, **{**heights, "height": 0.0 if strange else heights["height"]}
        )
    return curves


def _agreement(side: list[int], others: list[int], starts: np.ndarray, curves: Mapping) -> Agreement:
    (fit,) = SharedCurves(starts, curves, rate=RATE).agreements([(side, others)])
    return fit


def _placed(starts: np.ndarray, curves: Mapping, *, short: bool = False) -> list[int]:
    return placed_videos(len(starts), SharedCurves(starts, curves, rate=RATE), short=short)


def _supported(starts: np.ndarray, curves: Mapping, placed: list[int]) -> list[int]:
    return supported_videos(len(starts), SharedCurves(starts, curves, rate=RATE), placed)


def _directly(side: list[int], others: list[int], starts: np.ndarray, curves: Mapping) -> Agreement:
    """The definition, shift by shift and pair by pair: what all pairs say if `side` started so many steps later."""
    between = [(i, j) for i, j in curves if (i in side and j in others) or (j in side and i in others)]
    reach = 2000
    mean, count = {}, {}
    at_shift: dict[int, list[tuple[Curve, int]]] = {}
    for shift in range(-reach, reach + 1):
        used = []
        for i, j in between:
            lag = round(starts[j] - starts[i]) + (shift if j in side else -shift)
            curve = curves[i, j]
            if abs(lag) <= curve.reach and curve.r[lag + curve.reach] > EXCLUDED:
                used.append((curve, lag + curve.reach))
        if used:
            at_shift[shift], count[shift] = used, len(used)
            mean[shift] = sum(c.r[k] * np.sqrt(c.overlap[k]) for c, k in used) / np.sqrt(len(used))
    near = [s for s in mean if abs(s) <= TOLERANCE * RATE]
    if not near:
        return Agreement()
    top = max(near, key=lambda s: mean[s])
    highest = mean[top] > 0 and mean[top] >= max(mean.values()) - 1e-9
    far = [mean[s] for s in mean if abs(s) > APART * RATE]
    z = 0.0
    if highest and len(far) >= MIN_FAR_LAGS:
        independent = len(far) / (APART * RATE)
        prior = PRIOR_NOISE**2 * count[top] * RATE
        spread = np.sqrt((independent * np.var(far) + PRIOR_COUNT * prior) / (independent + PRIOR_COUNT))
        z = max(0.0, mean[top] / spread - CHOICE * np.log(max(curves[pair].alternatives for pair in between)))
    used = at_shift[top]
    weight = [c.overlap[k] for c, k in used]
    return Agreement(
        z=z,
        r=float(np.average([c.r[k] for c, k in used], weights=weight)),
        overlap=float(np.mean([c.overlap[k] / c.couples for c, k in used])) / RATE,
        share=float(np.mean([c.overlap[k] / c.overlap.max() for c, k in used])),
        highest=bool(highest),
    )


def _varied_scene(seed: int, videos: int = 5) -> tuple[np.ndarray, dict]:
    """Pairs of different reach, overlap and numbers of couples, some lags not judged, and one pair missing."""
    rng = np.random.default_rng(seed)
    starts = np.r_[0, rng.uniform(-60, 60, videos - 1)]
    curves = {}
    for i, j in itertools.combinations(range(videos), 2):
        reach = int(rng.integers(60, 300))
        plain = _curve(starts[j] - starts[i] + rng.uniform(-1, 1), rng, height=rng.uniform(0, 0.6), reach=reach)
        overlap = rng.uniform(100, 600) - np.abs(plain.lags) * rng.uniform(0, 0.3)
        excluded = (plain.lags < -0.9 * reach) | (rng.random(len(overlap)) < 0.05)
        couples = int(rng.integers(1, 4))
        curves[i, j] = Curve(
            np.where(excluded, EXCLUDED, plain.r).astype(np.float32), overlap.astype(np.float32), couples, couples**2
        )
    del curves[1, 3]
    return starts, curves


@pytest.mark.parametrize("seed", range(6))
def test_agreement_is_the_direct_sum_over_pairs_and_shifts(seed: int):
    starts, curves = _varied_scene(seed)
    parts = [([k], [o for o in range(5) if o != k]) for k in range(5)]
    parts += [([3, 4], [0, 1, 2]), ([0, 3], [1, 4]), ([0, 1], [3]), ([1], [3])]
    found = SharedCurves(starts, curves, rate=RATE).agreements(parts)
    for part, fit in zip(parts, found, strict=True):
        expected = _directly(*part, starts, curves)
        assert fit.highest == expected.highest
        for name in ("z", "r", "overlap", "share"):
            assert getattr(fit, name) == pytest.approx(getattr(expected, name), rel=1e-4, abs=1e-5), (part, name)
    assert found[-1] == Agreement(), "no pair connects the two"
    assert any(fit.z > 0 for fit in found)


def test_which_side_is_asked_does_not_matter():
    starts, curves = _varied_scene(7)
    ours, theirs = SharedCurves(starts, curves, rate=RATE).agreements([([0, 2], [1, 3, 4]), ([1, 3, 4], [0, 2])])
    for name in ("z", "r", "overlap", "share", "highest"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-5)


def test_a_camera_that_fits_is_high_and_precise():
    starts = np.array([0.0, 40, -30, 90])
    fit = _agreement([1], [0, 2, 3], starts, _scene(starts, np.random.default_rng(0)))
    assert fit.highest
    assert fit.z > 8
    assert fit.r == pytest.approx(0.5, abs=0.1)
    assert fit.overlap == pytest.approx(20)


def test_a_camera_whose_best_start_is_elsewhere_has_no_certainty():
    starts = np.array([0.0, 40, -30, 90])
    curves = _scene(starts, np.random.default_rng(0))
    fit = _agreement([1], [0, 2, 3], starts + np.array([0, 100, 0, 0]), curves)
    assert not fit.highest
    assert fit.z == 0


def test_the_stranger_is_left_out_and_nobody_else():
    starts = np.array([0.0, 40, -30, 90, 10])
    curves = _scene(starts, np.random.default_rng(1), strangers=(2,))
    assert _placed(starts, curves) == [0, 1, 3, 4]
    assert _supported(starts, curves, [0, 1, 3, 4]) == [0, 1, 3, 4]


def test_two_strangers_are_not_placed():
    starts = np.array([0.0, 40])
    curves = _scene(starts, np.random.default_rng(2), strangers=(0, 1))
    assert _placed(starts, curves) == []
    assert _supported(starts, curves, []) == []


def test_groups_that_only_chance_connects_stay_apart():
    starts = np.array([0.0, 40, -30, 90, 10])
    curves = _scene(starts, np.random.default_rng(3))
    for a, b in itertools.product((0, 1, 2), (3, 4)):
        near = starts[b] - starts[a] if (a, b) in ((0, 3), (1, 4)) else 200
        curves[a, b] = _curve(near, np.random.default_rng(a + b), height=0.1)
    assert _placed(starts, curves) == [0, 1, 2]


def test_a_few_seconds_are_supported_where_they_agree_closely_but_never_placed():
    starts = np.array([0.0, 4, -3, 9])
    close, loose = (
        _scene(starts, np.random.default_rng(4), height=height, reach=30, overlap=45.0) for height in (0.75, 0.3)
    )
    assert _placed(starts, close) == []
    assert _supported(starts, close, []) == [0, 1, 2, 3]
    assert _supported(starts, loose, []) == []


def test_curves_that_say_nothing_place_nobody():
    nothing = {(0, 1): Curve(np.full(41, EXCLUDED), np.zeros(41))}
    assert _placed(np.zeros(2), nothing) == []
    assert _supported(np.zeros(2), {}, []) == []


def test_the_best_of_many_couples_proves_less():
    starts = np.array([0.0, 40])
    plain = _scene(starts, np.random.default_rng(5))[0, 1]
    chosen = Curve(plain.r, plain.overlap, 1, 9)
    fits = [_agreement([0], [1], starts, {(0, 1): curve}) for curve in (plain, chosen)]
    assert fits[0].z - fits[1].z == pytest.approx(CHOICE * np.log(9), rel=1e-5)


def test_a_moment_in_common_does_not_place_a_video_however_well_it_fits():
    starts = np.array([0.0, 40, -30])
    for seconds, expected in ((MIN_SHARED * 1.2, [0, 1, 2]), (MIN_SHARED * 0.8, [])):
        curves = _scene(starts, np.random.default_rng(6), height=1.0, overlap=seconds * RATE)
        curves = {pair: Curve(np.minimum(c.r, 1), c.overlap) for pair, c in curves.items()}
        assert _placed(starts, curves) == expected


def test_in_short_recordings_more_is_asked_of_a_placed_video():
    starts = np.array([0.0, 40, -30])
    curves = _scene(starts, np.random.default_rng(7), height=0.5, overlap=6 * RATE)
    assert _placed(starts, curves, short=False) == [0, 1, 2]
    assert _placed(starts, curves, short=True) == []


def test_a_placed_video_stays_supported():
    starts = np.array([0.0, 40, -30, 90])
    curves = _scene(starts, np.random.default_rng(8))
    assert set(_placed(starts, curves)) <= set(_supported(starts, curves, _placed(starts, curves)))


def test_an_overlap_at_the_ends_alone_supports_nothing():
    starts = np.array([0.0, 20])
    r = 0.8 * np.exp(-(((np.arange(-30, 31) - 20) / 5) ** 2))
    for least, expected in ((200.0, [0, 1]), (20.0, [])):
        overlap = np.where(np.abs(np.arange(-30, 31)) < 10, 240.0, least)
        assert _supported(starts, {(0, 1): Curve(r, overlap)}, []) == expected
