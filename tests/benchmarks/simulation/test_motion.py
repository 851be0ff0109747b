from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulation.motion import ACTIVITIES, KEYPOINTS, simulate_motion
from common.skeletons import INDEX

TIMES = np.arange(0, 10, 0.05)


def test_limbs_keep_their_length_whatever_the_person_does():
    body = simulate_motion(10, np.random.default_rng(0))(np.arange(600) / 60)  # at the poses, not between them
    for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")):
        length = np.linalg.norm(body[:, INDEX[f"left_{a}"]] - body[:, INDEX[f"left_{b}"]], axis=-1)
        assert np.ptp(length) < 1e-9, f"{a} to {b} varies by {np.ptp(length):.2e} m"


def test_the_same_seed_gives_the_same_movement():
    first, second = (simulate_motion(10, np.random.default_rng(7))(TIMES) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_keypoints_that_are_not_simulated_are_missing_rather_than_zero():
    body = simulate_motion(2, np.random.default_rng(0))(np.zeros(1))
    assert np.isfinite(body[0, KEYPOINTS]).all()
    assert np.isnan(np.delete(body, KEYPOINTS, axis=1)).all()


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_every_activity_moves_at_a_human_speed(activity: str):
    wrists = [INDEX["left_wrist"], INDEX["right_wrist"]]
    body = simulate_motion(30, np.random.default_rng(1), activities=(activity,))(np.arange(0, 30, 1 / 30))[:, wrists]
    fastest = np.percentile(np.linalg.norm(np.diff(body, axis=0), axis=-1) * 30, 99)
    assert 0.05 < fastest < 12, f"wrists move at {fastest:.2f} m/s"


def test_left_is_on_the_left_of_a_person_who_looks_ahead():
    body = simulate_motion(5, np.random.default_rng(3), activities=("idle",))(np.array([2.0]))[0]
    ahead = body[INDEX["nose"]] - (body[INDEX["left_ear"]] + body[INDEX["right_ear"]]) / 2
    across = body[INDEX["left_hip"]] - body[INDEX["right_hip"]]
    assert np.cross([0, 1, 0], ahead) @ across > 0
