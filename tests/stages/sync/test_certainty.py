from __future__ import annotations

import itertools

import numpy as np
import pytest

from stages.sync.certainty import agreement, placed_videos, supported_videos
from stages.sync.pairwise import EXCLUDED, Curve

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


def test_a_camera_that_fits_is_high_and_precise():
    starts = np.array([0.0, 40, -30, 90])
    fit = agreement([1], [0, 2, 3], starts, _scene(starts, np.random.default_rng(0)), rate=RATE)
    assert fit.highest
    assert fit.z > 8
    assert fit.r == pytest.approx(0.5, abs=0.1)
    assert fit.overlap == pytest.approx(20)


def test_a_camera_whose_best_start_is_elsewhere_has_no_certainty():
    starts = np.array([0.0, 40, -30, 90])
    curves = _scene(starts, np.random.default_rng(0))
    fit = agreement([1], [0, 2, 3], starts + np.array([0, 100, 0, 0]), curves, rate=RATE)
    assert not fit.highest
    assert fit.z == 0


def test_the_stranger_is_left_out_and_nobody_else():
    starts = np.array([0.0, 40, -30, 90, 10])
    curves = _scene(starts, np.random.default_rng(1), strangers=(2,))
    assert placed_videos(starts, curves, rate=RATE) == [0, 1, 3, 4]
    assert supported_videos(starts, curves, [0, 1, 3, 4], rate=RATE) == [0, 1, 3, 4]


def test_two_strangers_are_not_placed():
    starts = np.array([0.0, 40])
    curves = _scene(starts, np.random.default_rng(2), strangers=(0, 1))
    assert placed_videos(starts, curves, rate=RATE) == []
    assert supported_videos(starts, curves, [], rate=RATE) == []


def test_groups_that_only_chance_connects_stay_apart():
    starts = np.array([0.0, 40, -30, 90, 10])
    curves = _scene(starts, np.random.default_rng(3))
    for a, b in itertools.product((0, 1, 2), (3, 4)):
        near = starts[b] - starts[a] if (a, b) in ((0, 3), (1, 4)) else 200
        curves[a, b] = _curve(near, np.random.default_rng(a + b), height=0.1)
    assert placed_videos(starts, curves, rate=RATE) == [0, 1, 2]


def test_a_few_seconds_are_supported_where_they_agree_closely_but_never_placed():
    starts = np.array([0.0, 4, -3, 9])
    close, loose = (
        _scene(starts, np.random.default_rng(4), height=height, reach=30, overlap=45.0) for height in (0.6, 0.3)
    )
    assert placed_videos(starts, close, rate=RATE) == []
    assert supported_videos(starts, close, [], rate=RATE) == [0, 1, 2, 3]
    assert supported_videos(starts, loose, [], rate=RATE) == []


def test_curves_that_say_nothing_place_nobody():
    nothing = {(0, 1): Curve(np.full(41, EXCLUDED), np.zeros(41))}
    assert placed_videos(np.zeros(2), nothing, rate=RATE) == []
    assert supported_videos(np.zeros(2), {}, [], rate=RATE) == []
