"""The curve of joint speeds: the same from every camera, right in size, missing where nobody is seen."""

import numpy as np
import pytest

from common.skeletons import INDEX
from stages.sync.joint_speed import joint_speed, mean_in_bins
from stages.sync.tracks import PersonTrack


def swinging(times: np.ndarray, *, turn: np.ndarray | None = None) -> PersonTrack:
    """A body whose wrists swing, seen along rotated axes."""
    generator = np.random.default_rng(3)
    body = generator.normal(0, 0.4, (70, 3))
    points = np.repeat(body[None], len(times), axis=0)
    for name, phase in (("left_wrist", 0.0), ("right_wrist", 1.0)):
        points[:, INDEX[name], 0] += 0.3 * np.sin(2 * times + phase)
    points = points if turn is None else points @ turn.T
    return PersonTrack(1, times, points, np.ones((len(times), 70)))


def test_cameras_that_look_from_elsewhere_at_other_rates_see_the_same_speed():
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    jitter = np.random.default_rng(1).uniform(0, 0.015, 400)
    edges = np.linspace(1, 9, 81)
    one = mean_in_bins([joint_speed(swinging(np.arange(0, 10, 1 / 60)))], edges)
    other = mean_in_bins([joint_speed(swinging(np.arange(400) / 40 + jitter, turn=turn))], edges)
    worst = np.abs(one - other).max() / one.max()
    assert worst < 0.05, f"curves differ by {100 * worst:.1f} % of the highest speed"


def test_a_constant_rate_of_change_is_measured():
    times = np.arange(0, 4, 1 / 30)
    points = np.zeros((len(times), 70, 3))
    points[:, INDEX["left_wrist"], 1] = 0.5 * times + 1  # away from everything at 0.5 m/s; 4 of 15 distances end there
    speed = joint_speed(PersonTrack(1, times, points, np.ones((len(times), 70)))).speed
    assert speed[30:90] == pytest.approx(0.5 * np.sqrt(4 / 15), rel=1e-6)


def test_what_is_not_seen_or_not_trusted_has_no_speed():
    track = swinging(np.arange(0, 6, 1 / 30))
    confidence = np.ones((180, 70))
    confidence[60:90] = 0.1
    speed = joint_speed(PersonTrack(1, track.times, track.keypoints, confidence))
    hidden = (speed.times > 2.02) & (speed.times < 2.95)
    assert np.isnan(speed.speed[hidden]).all()
    assert np.isfinite(speed.speed[~((speed.times > 1.95) & (speed.times < 3.02))]).all()


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_a_few_frames_are_no_error(frames):
    times = np.arange(frames) / 30
    curve = joint_speed(PersonTrack(1, times, np.zeros((frames, 70, 3)), np.ones((frames, 70))))
    assert len(curve.times) == len(curve.speed)


def test_bins_without_anybody_are_unknown():
    edges = np.linspace(-5, 15, 21)
    mean = mean_in_bins([joint_speed(swinging(np.arange(0, 10, 1 / 30)))], edges)
    assert np.isnan(mean).tolist() == [True] * 5 + [False] * 10 + [True] * 5
    assert np.isnan(mean_in_bins([], edges)).all()
