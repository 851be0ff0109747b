from __future__ import annotations

import itertools

import numpy as np
import pytest

from stages.sync.consensus import ascend, robust_starts, weighted_starts
from stages.sync.pairwise import Curve

RATE = 30.0


def _graph(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    starts = rng.uniform(0, 300, count)
    i, j = np.array(list(itertools.combinations(range(count), 2))).T
    return starts - starts[0], i, j


def _curve(lag: float, *, height: float = 1.0, reach: int = 400, wrong: float | None = None) -> Curve:
    at = np.arange(-reach, reach + 1)
    r = height * np.exp(-(((at - lag) / 4) ** 2))
    if wrong is not None:
        r += 1.3 * height * np.exp(-(((at - wrong) / 4) ** 2))
    return Curve(r, np.full(len(at), 100.0))


def test_equals_dense_least_squares():
    rng = np.random.default_rng(0)
    starts, i, j = _graph(6, rng)
    lags, weights = starts[j] - starts[i] + rng.normal(size=len(i)), rng.uniform(0.1, 2, len(i))
    rows = np.zeros((len(i) + 1, 6))
    rows[np.arange(len(i)), i], rows[np.arange(len(i)), j] = -1, 1
    rows[-1, 0] = 1e6
    scale = np.append(np.sqrt(weights), 1)
    expected = np.linalg.lstsq(rows * scale[:, None], np.append(lags, 0) * scale, rcond=None)[0]
    np.testing.assert_allclose(weighted_starts(6, i, j, lags, weights), expected, atol=1e-6)


@pytest.mark.parametrize("count", [6, 16])
def test_a_third_of_random_pairs_does_no_harm(count: int):
    errors = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        starts, i, j = _graph(count, rng)
        lags = starts[j] - starts[i] + rng.normal(0, 0.1, len(i))
        wrong = rng.random(len(i)) < 0.3
        lags[wrong] = rng.uniform(-330, 330, wrong.sum())
        error = robust_starts(count, i, j, lags, np.ones(len(i)), rate=RATE) - starts
        errors += [abs(e - np.median(np.delete(error, k))) for k, e in enumerate(error)]
    right = np.mean(np.array(errors) <= 0.5)
    assert right >= 0.94, f"{right:.3f} of the cameras are within half a step"


def test_one_camera_and_no_pairs_are_no_problem():
    nothing = np.zeros(0, dtype=np.int64)
    assert robust_starts(1, nothing, nothing, np.zeros(0), np.zeros(0), rate=RATE).tolist() == [0]
    assert ascend(np.array([0.0, 5.0]), {}).tolist() == [0, 5]


def test_the_second_best_peaks_are_right_where_all_cameras_agree_on_them():
    starts = np.array([0.0, 50, -80, 120])
    curves = {
        (a, b): _curve(starts[b] - starts[a], wrong=[60.0, -150, 200, 210, -20, -230][e])
        for e, (a, b) in enumerate(itertools.combinations(range(4), 2))
    }
    begin = np.array([0.0, 60, -80, 120])  # where camera 1's single best peak with camera 0 had put it
    found = ascend(begin, {pair: np.maximum(c.r, 0) ** 2 for pair, c in curves.items()})
    assert found.tolist() == starts.tolist()


def test_parts_that_nothing_connects_are_each_right_among_themselves():
    i, j = np.array([(0, 1), (2, 3), (3, 4)]).T
    lags = np.array([7.0, -3.0, 12.0])
    for found in (weighted_starts(5, i, j, lags, np.ones(3)), robust_starts(5, i, j, lags, np.ones(3), rate=RATE)):
        np.testing.assert_allclose(found[j] - found[i], lags, atol=1e-5)


def test_lags_that_differ_by_little_are_averaged_by_weight_and_a_wild_one_is_ignored():
    i, j, weights = np.zeros(3, np.int64), np.ones(3, np.int64), np.array([1.0, 9, 3])
    found = robust_starts(2, i, j, np.array([10.0, 10.1, 90]), weights, rate=RATE)
    assert found[1] == pytest.approx(10.09, abs=0.005)


def test_an_edge_without_weight_says_nothing():
    rng = np.random.default_rng(1)
    starts, i, j = _graph(5, rng)
    lags, weights = starts[j] - starts[i], np.ones(len(i))
    lags[:3], weights[:3] = 500.0, 0.0
    np.testing.assert_allclose(robust_starts(5, i, j, lags, weights, rate=RATE), starts, atol=1e-3)


def test_a_video_outside_the_reach_of_all_curves_is_brought_back():
    evidence = {(0, 1): np.maximum(_curve(20, reach=50).r, 0)}
    assert ascend(np.array([0.0, 300]), evidence).tolist() == [0, 20]


def test_the_ascent_ends_where_no_single_move_is_better():
    rng = np.random.default_rng(2)
    pairs = list(itertools.combinations(range(4), 2))
    evidence = {pair: rng.random(2 * 30 + 1) for pair in pairs}

    def worth(starts: np.ndarray) -> float:
        lags = {(i, j): int(starts[j] - starts[i]) + 30 for i, j in pairs}
        return sum(evidence[p][lag] for p, lag in lags.items() if 0 <= lag < 61)

    begin = np.zeros(4)
    found = ascend(begin, evidence)
    assert found[0] == 0
    assert worth(found) > worth(begin)
    for k, by in itertools.product(range(4), range(-60, 61)):
        moved = found + by * (np.arange(4) == k)
        assert worth(moved) <= worth(found) + 1e-12
