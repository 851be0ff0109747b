import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest

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


def test_following_one_person_does_not_load_scipy():
    code = (
        "import sys, numpy as np; from stages.segment.association import assign; "
        "assign(np.ones((1, 2))); print('scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nobody_is_assigned_to_nobody(shape):
    assert assign(np.zeros(shape)) == []
