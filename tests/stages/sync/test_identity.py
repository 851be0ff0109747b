from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from stages.sync.identity import (
    Couples,
    Link,
    best_assignment,
    continued,
    link_tracks,
    persons,
    pool_by_person,
    simultaneous,
)
from stages.sync.pairwise import EXCLUDED, Curve, in_units_of_noise

RATE, REACH = 30.0, 200
LAGS = np.arange(-REACH, REACH + 1)


def _curve(lag: float | None, rng: np.random.Generator, height: float = 0.5) -> Curve:
    r = rng.normal(0, 0.05, len(LAGS))
    if lag is not None:
        r += height * np.exp(-(((LAGS - lag) / 5) ** 2))
    return Curve(r, np.full(len(LAGS), 300.0))


def _of(
    curves: Sequence[Sequence[Curve]], *, together: tuple[np.ndarray, np.ndarray] | None = None, rate: float = RATE
) -> Couples:
    """Couples with these curves; all tracks of a video are seen at once, if not said otherwise."""
    r = np.array([[c.r for c in row] for row in curves], np.float32)
    overlap = np.array([[c.overlap for c in row] for row in curves], np.float32)
    lags = r.shape[2]
    score = in_units_of_noise(r.reshape(-1, lags), overlap.reshape(-1, lags), rate=rate).reshape(r.shape)
    everybody = (np.ones((len(r), len(r)), bool), np.ones((r.shape[1], r.shape[1]), bool))
    return Couples(r, overlap, score, together or everybody)


def _couples(lag: float, same: set[tuple[int, int]], shape: tuple[int, int], rng: np.random.Generator) -> Couples:
    return _of([[_curve(lag if (u, v) in same else None, rng) for v in range(shape[1])] for u in range(shape[0])])


def test_the_assignment_is_the_best_of_all_lags_and_permutations():
    rng = np.random.default_rng(0)
    couples = _of([[_curve(None, rng) for _ in range(3)] for _ in range(3)])
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
        (1, 2): _of([[_curve(None, rng), _curve(0, rng, 0.3)]]),  # weaker, and contradicts
    }
    links = link_tracks(couples, np.zeros(3), rate=RATE, min_z=2.5)
    groups = persons([1, 1, 2], links)
    assert groups == [[(0, 0), (1, 0), (2, 0)], [(2, 1)]]


def test_the_margin_is_the_distance_to_the_best_rival():
    rng = np.random.default_rng(4)
    couples = {(0, 1): _of([[_curve(0, rng, 0.6), _curve(0, rng, 0.3)]])}
    (link,) = link_tracks(couples, np.zeros(2), rate=RATE, min_z=2.5)
    scores = couples[0, 1].score[0, :, REACH - 3 : REACH + 4].max(1)
    assert link.b == (1, 0)
    assert link.margin == pytest.approx(float(scores[0] - scores[1]), rel=1e-5)


def test_the_flat_curve_of_strangers_in_a_short_clip_scores_below_the_broad_one_of_a_couple():
    at = np.arange(-30, 31)
    flat = Curve(0.08 * np.cos(at / 9), np.full(len(at), 60.0))
    broad = Curve(0.6 * np.exp(-((at / 15) ** 2)), np.full(len(at), 60.0))
    score = _of([[flat, broad]], rate=60).score[0].max(1)
    assert score[0] < 0.5 * score[1]


def test_no_assignment_is_worth_more_than_the_evidence():
    rng = np.random.default_rng(8)
    couples = _of([[_curve(None, rng) for _ in range(4)] for _ in range(3)])
    squares = couples.score.astype(np.float64) ** 2
    best = np.max(
        [sum(squares[u, v] for u, v in enumerate(order)) for order in itertools.permutations(range(4), 3)], axis=0
    )
    assert (couples.evidence >= best - 1e-9).all()
    turned = (couples.score.swapaxes(0, 1), couples.together[::-1])
    turned_about = Couples(couples.r.swapaxes(0, 1), couples.overlap.swapaxes(0, 1), *turned)
    np.testing.assert_allclose(turned_about.evidence, couples.evidence)
    one = _of([[_curve(5, rng)]])
    np.testing.assert_allclose(one.evidence, one.score[0, 0].astype(np.float64) ** 2)


def test_a_couple_excludes_whoever_is_seen_with_one_of_the_two():
    rng = np.random.default_rng(9)
    together = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], bool)  # the third track continues one of the others
    couples = _of([[_curve(None, rng) for _ in range(2)] for _ in range(3)], together=(together, np.ones((2, 2), bool)))
    assert np.argwhere(couples.excluded_by(0, 1)).tolist() == [[0, 0], [0, 1], [1, 1]]
    assert np.argwhere(couples.excluded_by(2, 0)).tolist() == [[2, 0], [2, 1]]


def test_a_weak_couple_gives_way_to_the_parts_of_a_person_whose_track_is_broken():
    everybody, broken = np.ones((2, 2), bool), np.eye(2, dtype=bool)
    couples = _of(
        [[_curve(0, np.random.default_rng(k)) for _ in range(2)] for k in range(2)], together=(broken, everybody)
    )
    z = np.array([[9.0, 1.0], [8.0, 1.5]])
    assert sorted(continued(couples, z, [(0, 0), (1, 1)], 2.5)) == [(0, 0), (1, 0)]
    seen_at_once = _of([[_curve(0, np.random.default_rng(k)) for _ in range(2)] for k in range(2)])
    assert continued(seen_at_once, z, [(0, 0), (1, 1)], 2.5) == [(0, 0), (1, 1)]


def test_where_no_couple_agrees_nobody_is_assigned():
    nothing = Curve(np.full(len(LAGS), EXCLUDED), np.zeros(len(LAGS)))
    for curves in ([[nothing]], [[nothing, nothing]]):
        assert best_assignment(_of(curves))[1] == []


def test_a_couple_that_agrees_far_from_the_consensus_is_no_link():
    couples = {(0, 1): _of([[_curve(40, np.random.default_rng(10))]])}
    assert link_tracks(couples, np.array([0.0, 42]), rate=RATE, min_z=4.0)
    assert not link_tracks(couples, np.array([0.0, 60]), rate=RATE, min_z=4.0)
    assert not link_tracks(couples, np.array([0.0, 5000]), rate=RATE, min_z=4.0), "the starts do not overlap"


def test_pooling_a_choice_among_many_says_so():
    rng = np.random.default_rng(11)
    couples = _of([[_curve(None, rng) for _ in range(3)] for _ in range(2)])
    chosen = couples.pooled([(0, 1), (1, 2)])
    assert (chosen.couples, chosen.alternatives) == (2, 6)
    alone = _of([[_curve(3, rng)]]).pooled([(0, 0)])
    assert (alone.couples, alone.alternatives) == (1, 1)


def test_pooled_curves_are_weighted_by_what_was_seen_and_skip_the_excluded():
    a = Curve(np.array([0.2, 0.4, EXCLUDED]), np.array([10.0, 10, 0]))
    b = Curve(np.array([0.5, EXCLUDED, EXCLUDED]), np.array([30.0, 2, 0]))
    couples = _of([[a], [b]])
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
        couples = _of(curves, together=(together, np.ones((1, 1), bool)))
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
