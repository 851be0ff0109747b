from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulation.cameras import LEVELS, Outlier, Scene, camera_rotation, observe, simulate_scene
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
        max_start=3,
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


def _scene(**changes: object) -> Scene:
    settings: dict[str, object] = {"cameras": 3, "seconds": 6, "level": "clean", "max_start": 2, **changes}
    return simulate_scene(np.random.default_rng(9), **settings)  # type: ignore[arg-type]


def _knee_curves(scene: Scene, rates: np.ndarray) -> list[np.ndarray]:
    """Distance between the knees, which no camera changes, of every video at the same moments of the scene."""
    curves = []
    for video, start, rate in zip(scene.videos, scene.start_times, rates, strict=True):
        track = video.persons[0]
        apart = np.linalg.norm(
            track.keypoints[:, INDEX["left_knee"]] - track.keypoints[:, INDEX["right_knee"]], axis=-1
        )
        curves.append((start + rate * track.times, apart))
    low, high = max(t[0] for t, _ in curves), min(t[-1] for t, _ in curves)
    at = np.linspace(low, high, 100)
    return [np.interp(at, t, curve) for t, curve in curves]


def test_clock_rates_agree_with_what_the_cameras_see():
    scene = _scene(ppm=50_000, activities=("walk",))
    assert np.ptp(scene.rates) > 0.02
    assert np.abs(scene.rates - 1).max() <= 0.05
    worst = max(np.abs(c - _knee_curves(scene, scene.rates)[0]).max() for c in _knee_curves(scene, scene.rates))
    ignored = max(np.abs(c - _knee_curves(scene, np.ones(3))[0]).max() for c in _knee_curves(scene, np.ones(3)))
    assert worst < 0.01 < 0.05 < ignored, f"{worst:.4f} m with the true rates, {ignored:.4f} m without"


def test_the_same_scene_comes_back_at_another_level_rate_and_clock():
    plain = _scene()
    for changes in ({"level": "hard"}, {"rates": (24.0, 60.0, 50.0)}, {"variable": True}, {"legs_hidden": 1.0}):
        other = _scene(**changes)
        np.testing.assert_array_equal(other.start_times, plain.start_times, err_msg=str(changes))
    fast = _scene(rates=(60.0,))
    np.testing.assert_allclose(
        fast.videos[1].persons[0].keypoints[::2], plain.videos[1].persons[0].keypoints, atol=1e-9
    )


def test_a_variable_frame_rate_shows_the_same_movement_on_its_own_time_stamps():
    scene = _scene(variable=True)
    steps = np.diff(scene.videos[0].persons[0].times)
    assert (steps > 0).all()
    assert steps.std() > 0.003
    curves = _knee_curves(scene, np.ones(3))
    worst = max(np.abs(c - curves[0]).max() for c in curves)
    assert worst < 0.02, f"{worst:.4f} m apart"


def test_a_mirrored_camera_sees_the_reflection_and_takes_left_for_right():
    honest, selfie = _scene().videos[1], _scene(outliers={1: Outlier.MIRRORED}).videos[1]
    seen, flipped = honest.persons[0].keypoints, selfie.persons[0].keypoints
    for name, taken_for in (("left_wrist", "right_wrist"), ("right_knee", "left_knee"), ("nose", "nose")):
        np.testing.assert_array_equal(flipped[:, INDEX[taken_for]], seen[:, INDEX[name]] * [-1, 1, 1])
    shoulders, hips = ([INDEX[f"{side}_{joint}"] for side in ("left", "right")] for joint in ("shoulder", "hip"))
    forward = [
        np.sign(np.einsum("ti,ti->t", np.cross(up, across), body[:, INDEX["nose"]] - body[:, shoulders].mean(1)))
        for body in (seen, flipped)
        for up in [body[:, shoulders].mean(1) - body[:, hips].mean(1)]
        for across in [body[:, shoulders[0]] - body[:, shoulders[1]]]
    ]
    np.testing.assert_array_equal(*forward, err_msg="it is still a person, with the left side on the left")


def test_a_frozen_camera_shows_one_pose_and_a_camera_elsewhere_another_person():
    scene = _scene(outliers={0: Outlier.FROZEN, 2: Outlier.ELSEWHERE})
    still = scene.videos[0].persons[0].keypoints[:, KEYPOINTS]
    assert np.ptp(still, axis=0).max() == 0
    assert scene.people == ((0,), (0,), (1000,))
    curves = _knee_curves(scene, np.ones(3))
    assert np.corrcoef(curves[1], curves[2])[0, 1] < 0.9
    assert scene.outliers == {0: Outlier.FROZEN, 2: Outlier.ELSEWHERE}


def test_hidden_legs_are_missing_in_the_first_cameras_only():
    scene = _scene(legs_hidden=0.34)
    hidden = [np.isnan(video.persons[0].keypoints[:, INDEX["left_ankle"]]).all() for video in scene.videos]
    assert hidden == [True, False, False]
    track = scene.videos[0].persons[0]
    assert (track.confidence[:, INDEX["left_ankle"]] == 0).all()
    assert np.isfinite(track.keypoints[:, INDEX["left_hip"]]).all()


def test_lengths_may_differ():
    scene = _scene(cameras=8, shortest=2)
    lengths = [len(video.persons[0].times) / 30 for video in scene.videos]
    assert min(lengths) >= 1.9
    assert max(lengths) <= 6
    assert np.ptp(lengths) > 1.5


def test_two_people_who_mirror_each_other_are_two_people():
    scene = _scene(people=2, mirroring=True, seconds=10)
    assert all(sorted(people) == [0, 1] for people in scene.people)
    video, people = scene.videos[0], scene.people[0]
    first, second = (video.persons[people.index(p)].keypoints for p in (0, 1))
    width = [  # of the stance; a mirror does not change it, and the second is at most 0.4 s late
        np.linalg.norm(body[:, INDEX["left_ankle"]] - body[:, INDEX["right_ankle"]], axis=-1)
        for body in (first, second)
    ]
    best = max(np.corrcoef(width[0][: -lag or None], width[1][lag:])[0, 1] for lag in range(20))
    assert best > 0.95, f"correlation {best:.2f}"
