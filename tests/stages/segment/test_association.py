from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from stages.segment.association import assign, pose_distance


def test_a_wrong_arm_does_not_change_the_distance():
    body = np.random.default_rng(1).uniform(0, 100, (33, 2))
    moved = body + np.array([3.0, 4.0])
    moved[13:23] += 80
    assert pose_distance(body, moved, size=100.0) == pytest.approx(0.05)


def test_the_assignment_is_the_cheapest_of_all():
    costs = np.random.default_rng(2).uniform(0, 1, (5, 5))
    best = min(sum(costs[i, p[i]] for i in range(5)) for p in permutations(range(5)))
    assert sum(costs[pair] for pair in assign(costs)) == pytest.approx(best)


def test_more_pairs_beat_cheaper_pairs():
    costs = np.array([[0.0, 0.9], [0.9, np.inf]])
    assert assign(costs) == [(0, 1), (1, 0)]


def test_forbidden_pairs_are_never_made():
    assert assign(np.array([[np.inf, 0.2], [np.inf, 0.1]])) == [(1, 1)]
    assert assign(np.full((2, 3), np.inf)) == []


@pytest.mark.parametrize("costs", [[[0.3, np.inf, 0.1]], [[0.3], [np.inf], [0.1]]])
def test_a_lone_person_gets_the_cheapest(costs):
    costs = np.array(costs)
    (pair,) = assign(costs)
    assert costs[pair] == 0.1


@pytest.mark.parametrize("seed", range(40))
def test_scipy_finds_no_cheaper_assignment(seed: int):
    rng = np.random.default_rng(seed)
    costs = np.round(rng.random((rng.integers(1, 9), rng.integers(1, 10))), 1 + seed % 2)  # rounded: ties
    costs[rng.random(costs.shape) < 0.3 * (seed % 2)] = np.inf
    allowed = np.isfinite(costs)
    rows, columns = linear_sum_assignment(np.where(allowed, costs, 100.0))
    theirs = [pair for pair in zip(rows, columns, strict=True) if allowed[pair]]
    ours = assign(costs)
    assert ours == sorted(ours)
    assert len({column for _, column in ours}) == len(ours) == len(theirs)
    assert sum(costs[pair] for pair in ours) == pytest.approx(sum(costs[pair] for pair in theirs))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nobody_is_assigned_to_nobody(shape):
    assert assign(np.zeros(shape)) == []
