from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulation.cameras import LEVELS, camera_rotation, observe, simulate_scene
from benchmarks.simulation.motion import KEYPOINTS, simulate_motion
from common.skeletons import HIPS, INDEX

PTS = np.arange(300) / 30


def test_a_clean_camera_sees_the_body_turned_and_centred():
    motion = simulate_motion(12, np.random.default_rng(0))
    rotation = camera_rotation(np.random.default_rng(1))
    track = observe(motion, PTS + 1, PTS, LEVELS["clean"], np.random.default_rng(2), rotation=rotation)
    truth = motion(PTS + 1)
    truth -= truth[:, HIPS].mean(1, keepdims=True)
    np.testing.assert_allclose((track.keypoints @ rotation)[:, KEYPOINTS], truth[:, KEYPOINTS], atol=1e-12)
    assert (track.confidence[:, KEYPOINTS] == 1).all()
    assert (track.confidence[:, INDEX["left_eye"]] == 0).all()


def test_a_camera_is_a_rotation_that_keeps_people_upright():
    for seed in range(20):
        rotation = camera_rotation(np.random.default_rng(seed))
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) > 0
        assert (rotation @ [0, 1, 0])[1] < -0.8, "world up is camera y down"


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_errors_have_the_size_of_their_level(level: str):
    motion, noise = simulate_motion(62, np.random.default_rng(0), activities=("idle",)), LEVELS[level]
    pts = np.arange(1800) / 30
    track = observe(motion, pts, pts, noise, np.random.default_rng(5), rotation=np.eye(3))
    lost = 1 - len(track.times) / len(pts)
    assert noise.lost <= lost < noise.lost + 0.1, f"{lost:.2f} of the frames are lost"
    toe = np.diff(track.keypoints[:, INDEX["left_big_toe"]], axis=0)  # of an idling person: the frame-to-frame error
    step = np.median(np.abs(toe[:, 0])) / 0.6745
    expected = np.sqrt(2 * noise.white**2 + 2 * noise.wander**2 * (1 - np.exp(-1 / 15)))
    assert 0.8 * expected < step < 1.6 * expected, f"{step:.4f} m from frame to frame, expected {expected:.4f}"


def test_starts_and_time_stamps_agree_with_what_the_cameras_see():
    scene = simulate_scene(
        np.random.default_rng(4),
        cameras=3,
        seconds=8,
        level="clean",
        rates=(25.0, 30.0, 60.0),
        first_pts=(1.5, 0.0, 40.0),
    )
    assert scene.start_times.min() == 0
    bend = []  # the angle of a knee does not depend on the camera
    for video, start in zip(scene.videos, scene.start_times, strict=True):
        track = video.persons[0]
        hip, knee, ankle = (track.keypoints[:, INDEX[f"left_{name}"]] for name in ("hip", "knee", "ankle"))
        cosine = ((hip - knee) * (ankle - knee)).sum(-1) / np.linalg.norm(hip - knee, axis=-1)
        bend.append((start + track.times, cosine / np.linalg.norm(ankle - knee, axis=-1)))
    low, high = max(t[0] for t, _ in bend), min(t[-1] for t, _ in bend)
    at = np.linspace(low, high, 50)
    curves = [np.interp(at, t, c) for t, c in bend]
    assert max(np.abs(c - curves[0]).max() for c in curves) < 5e-3


def test_people_are_shuffled_and_may_be_absent():
    scene = simulate_scene(np.random.default_rng(0), cameras=12, seconds=3, people=3, absent=0.3)
    assert [len(video.persons) for video in scene.videos] == [len(people) for people in scene.people]
    assert len(set(scene.people)) > 4
    assert all(scene.people)
