from __future__ import annotations

import itertools

import numpy as np
import pytest

from stages.sync.identity import (
    Couples,
    Link,
    best_assignment,
    in_units_of_noise,
    link_tracks,
    persons,
    pool_by_person,
    simultaneous,
)
from stages.sync.pairwise import EXCLUDED, Curve

RATE, REACH = 30.0, 200
LAGS = np.arange(-REACH, REACH + 1)


def _curve(lag: float | None, rng: np.random.Generator, height: float = 0.5) -> Curve:
    r = rng.normal(0, 0.05, len(LAGS))
    if lag is not None:
        r += height * np.exp(-(((LAGS - lag) / 5) ** 2))
    return Curve(r, np.full(len(LAGS), 300.0))


def _couples(lag: float, same: set[tuple[int, int]], shape: tuple[int, int], rng: np.random.Generator) -> Couples:
    return Couples.of(
        [[_curve(lag if (u, v) in same else None, rng) for v in range(shape[1])] for u in range(shape[0])], rate=RATE
    )


def test_the_assignment_is_the_best_of_all_lags_and_permutations():
    rng = np.random.default_rng(0)
    couples = Couples.of([[_curve(None, rng) for _ in range(3)] for _ in range(3)], rate=RATE)
    squares = couples.score.astype(np.float64) ** 2
    expected = max(
        sum(squares[u, v, k] for u, v in enumerate(order))
        for k in range(len(LAGS))
        for order in itertools.permutations(range(3))
    )
    k, chosen = best_assignment(couples)
    assert sum(squares[u, v, k] for u, v in chosen) == pytest.approx(expected)


def test_people_are_told_apart_whatever_their_order():
    rng = np.random.default_rng(1)
    couples = {
        (0, 1): _couples(40, {(0, 2), (1, 0), (2, 1)}, (3, 3), rng),
        (0, 2): _couples(-15, {(0, 1), (2, 0)}, (3, 2), rng),
        (1, 2): _couples(-55, {(2, 1), (1, 0)}, (3, 2), rng),
    }
    links = link_tracks(couples, np.array([0.0, 40, -15]), rate=RATE, min_z=2.5)
    assert persons([3, 3, 2], links) == [[(0, 0), (1, 2), (2, 1)], [(0, 1), (1, 0)], [(0, 2), (1, 1), (2, 0)]]


def test_a_stranger_is_nobody_else():
    rng = np.random.default_rng(2)
    couples = {(0, 1): _couples(10, {(0, 0)}, (2, 2), rng)}
    links = link_tracks(couples, np.array([0.0, 10]), rate=RATE, min_z=2.5)
    assert persons([2, 2], links) == [[(0, 0), (1, 0)], [(0, 1)], [(1, 1)]]


def test_two_tracks_of_one_video_never_become_one_person():
    rng = np.random.default_rng(3)
    couples = {
        (0, 1): _couples(0, {(0, 0)}, (1, 1), rng),
        (0, 2): _couples(0, {(0, 0)}, (1, 2), rng),
        (1, 2): Couples.of([[_curve(None, rng), _curve(0, rng, 0.3)]], rate=RATE),  # weaker, and contradicts
    }
    links = link_tracks(couples, np.zeros(3), rate=RATE, min_z=2.5)
    groups = persons([1, 1, 2], links)
    assert groups == [[(0, 0), (1, 0), (2, 0)], [(2, 1)]]


def test_the_margin_is_the_distance_to_the_best_rival():
    rng = np.random.default_rng(4)
    couples = {(0, 1): Couples.of([[_curve(0, rng, 0.6), _curve(0, rng, 0.3)]], rate=RATE)}
    (link,) = link_tracks(couples, np.zeros(2), rate=RATE, min_z=2.5)
    scores = couples[0, 1].score[0, :, REACH - 3 : REACH + 4].max(1)
    assert link.b == (1, 0)
    assert link.margin == pytest.approx(float(scores[0] - scores[1]), rel=1e-5)


def test_the_flat_curve_of_strangers_in_a_short_clip_scores_below_the_broad_one_of_a_couple():
    at = np.arange(-30, 31)
    flat = Curve(0.08 * np.cos(at / 9), np.full(len(at), 60.0))
    broad = Curve(0.6 * np.exp(-((at / 15) ** 2)), np.full(len(at), 60.0))
    assert in_units_of_noise(flat, rate=60).max() < 0.5 * in_units_of_noise(broad, rate=60).max()


def test_pooled_curves_are_weighted_by_what_was_seen_and_skip_the_excluded():
    a = Curve(np.array([0.2, 0.4, EXCLUDED]), np.array([10.0, 10, 0]))
    b = Curve(np.array([0.5, EXCLUDED, EXCLUDED]), np.array([30.0, 2, 0]))
    couples = Couples.of([[a], [b]], rate=RATE)
    groups = [[(0, 0), (1, 0)], [(0, 1)]]
    assert pool_by_person({(0, 1): couples}, groups)[0, 1].couples == 1
    both = couples.pooled([(0, 0), (1, 0)])
    np.testing.assert_allclose(both.r, [0.425, 0.4, EXCLUDED], atol=1e-6)
    assert both.overlap.tolist() == [40, 10, 0]


def test_persons_are_listed_by_their_first_track():
    link = Link((0, 1), (1, 0), 5.0, 5.0)
    assert persons([2, 2], [link]) == [[(0, 0)], [(0, 1), (1, 0)], [(1, 1)]]


def test_tracks_of_one_video_that_are_never_seen_at_once_may_be_one_person():
    apart, at_once = np.eye(2, dtype=bool), np.ones((2, 2), bool)
    curves = [[_curve(7, np.random.default_rng(6), 0.6)], [_curve(7, np.random.default_rng(7), 0.5)]]
    for together, expected in ((apart, [[(0, 0), (0, 1), (1, 0)]]), (at_once, [[(0, 0), (1, 0)], [(0, 1)]])):
        couples = Couples.of(curves, rate=RATE, together=(together, np.ones((1, 1), bool)))
        links = link_tracks({(0, 1): couples}, np.array([0.0, 7]), rate=RATE, min_z=2.5)
        assert persons([2, 1], links) == expected
        k, chosen = best_assignment(couples)
        assert LAGS[k] == pytest.approx(7, abs=1)
        assert len(chosen) == len(links)
        pooled = couples.pooled(chosen)
        assert pooled.couples == 1
        assert pooled.overlap.max() == 300 * len(links)


def test_simultaneous_tracks_share_a_frame_and_not_merely_a_span():
    frames = np.arange(100) / 30
    together = simultaneous([frames[:50], frames[50:], np.r_[frames[:10], frames[90:]], frames[20:60], frames[:0]])
    expected = np.eye(5, dtype=bool)
    for a, b in ((0, 2), (0, 3), (1, 2), (1, 3)):
        expected[a, b] = expected[b, a] = True
    np.testing.assert_array_equal(together, expected)
