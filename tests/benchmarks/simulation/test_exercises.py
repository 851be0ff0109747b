from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulation.body import REST_HEIGHT
from benchmarks.simulation.exercises import PERIODIC
from benchmarks.simulation.motion import REACTION, mirror_image, simulate_motion
from common.skeletons import HIPS, INDEX, MIRROR

TIMES = np.arange(0, 30, 1 / 30)


@pytest.mark.parametrize("activity", PERIODIC)
def test_an_exercise_repeats_to_the_end(activity: str):
    body = simulate_motion(32, np.random.default_rng(0), activities=(activity,))(TIMES)
    limbs = [INDEX[f"{side}_{joint}"] for side in ("left", "right") for joint in ("wrist", "knee")]
    moving = (body[:, limbs] - body[:, HIPS].mean(1, keepdims=True)).reshape(len(TIMES), -1)
    curve = moving[:, moving.std(0).argmax()]
    for part in (curve[:450], curve[450:]):
        part = part - part.mean()
        similar = np.correlate(part, part, "full")[len(part) - 1 :] / (part @ part)
        again = similar[15:120].max()
        assert again > 0.6, f"{activity} repeats with a correlation of {again:.2f}"


def test_a_jump_leaves_the_ground():
    body = simulate_motion(30, np.random.default_rng(2), activities=("jump",))(TIMES)
    highest = body[:, HIPS, 1].max() - REST_HEIGHT
    assert 0.1 < highest < 0.6, f"hips rise by {highest:.2f} m"
    assert (body[:, INDEX["left_big_toe"], 1]).max() > 0.1, "the feet come along"


def test_a_mirror_image_is_the_reflection_of_the_other_a_moment_ago():
    leader = simulate_motion(30, np.random.default_rng(0), activities=("reach", "gesture"))
    follower = mirror_image(leader, 30, np.random.default_rng(1))
    later = np.arange(2, 28, 1 / 30)
    reflected = {
        delay: np.nanmax(np.abs(follower(later) - (leader(later - delay) * [-1, 1, 1])[:, MIRROR]), axis=(1, 2))
        for delay in np.arange(0, 0.6, 0.02)
    }
    errors = np.stack(list(reflected.values()))
    assert np.median(errors.min(0)) < 0.02, f"at the best delay {np.median(errors.min(0)):.3f} m remain"
    delay = list(reflected)[int(np.median(errors, axis=1).argmin())]
    assert REACTION[0] - 0.05 < delay < REACTION[1] + 0.05, f"{delay:.2f} s behind"
