"""Calibrated cameras around made-up people: what they see is where it is."""

from __future__ import annotations

import numpy as np

from benchmarks.simulation.geometry import (
    BLURS,
    HEIGHT,
    WIDTH,
    cameras_around,
    detect,
    in_place,
    look_at,
    simulate_calibrated_scene,
    wrongly_calibrated,
)
from benchmarks.simulation.motion import KEYPOINTS, simulate_motion
from common.cameras import camera_centre, project
from common.skeletons import HIPS


def test_a_camera_stands_where_it_was_put_and_has_its_target_in_the_middle() -> None:
    centre, target = np.array([3.0, 1.5, -2.0]), np.array([0.0, 1.0, 0.0])
    camera = look_at(centre, target, roll=4.0)
    assert np.abs(camera_centre(camera) - centre).max() < 1e-9
    assert np.abs(project(camera, target) - [(WIDTH - 1) / 2, (HEIGHT - 1) / 2]).max() < 1e-6
    above = project(camera, target + np.array([0, 0.1, 0]))
    assert above[1] < (HEIGHT - 1) / 2, "up is up"
    assert abs(np.linalg.det(camera.camera_T_world) - 1) < 1e-9


def test_people_stay_in_place_and_keep_their_movements() -> None:
    motion = simulate_motion(40, np.random.default_rng(0), activities=("walk",))
    times = np.arange(0, 40, 0.1)
    before, after = motion(times), in_place(motion, 40, np.array([0.5, -0.5]))(times)
    floor = after[:, HIPS].mean(1)[:, [0, 2]]
    assert np.abs(np.median(floor, axis=0) - [0.5, -0.5]).max() < 1
    assert np.ptp(floor, axis=0).max() < 8 < np.linalg.norm(np.ptp(before[:, HIPS].mean(1), axis=0))
    shape = [joints - joints[:, HIPS].mean(1, keepdims=True) for joints in (before, after)]
    assert np.nanmax(np.abs(shape[0] - shape[1])) < 1e-3


def test_without_noise_the_pixels_are_the_projected_joints() -> None:
    motion = in_place(simulate_motion(5, np.random.default_rng(0)), 5, np.zeros(2))
    camera = cameras_around(1, np.random.default_rng(1))[0]
    times = np.arange(0, 4, 0.1)
    pixels = detect(motion, times, camera, BLURS["clean"], 10.0, np.random.default_rng(0))
    off = np.abs(pixels - project(camera, motion(times)))[:, KEYPOINTS]
    assert np.nanmax(off) < 1e-9
    assert np.isfinite(off).mean() > 0.9


def test_noise_is_as_large_as_it_says() -> None:
    motion = in_place(simulate_motion(60, np.random.default_rng(0)), 60, np.zeros(2))
    camera = look_at(np.array([0, 1.0, 4.0]), np.array([0, 1.0, 0]))
    times = np.arange(0, 55, 1 / 30)
    blur = BLURS["medium"]
    pixels = detect(motion, times, camera, blur, 30.0, np.random.default_rng(0))
    off = (pixels - project(camera, motion(times)))[:, KEYPOINTS]
    white = np.nanstd(np.diff(off, axis=0)) / np.sqrt(2)
    assert abs(white / np.hypot(blur.white, blur.wander * np.sqrt(1 - np.exp(-1 / 15))) - 1) < 0.5, f"{white:.1f} px"


def test_a_scene_is_the_same_again_with_the_same_seed_and_has_what_both_evidences_need() -> None:
    scenes = [
        simulate_calibrated_scene(np.random.default_rng(3), cameras=3, seconds=4, people=2, rates=(30.0, 60.0))
        for _ in range(2)
    ]
    for first, second in zip(scenes[0].videos, scenes[1].videos, strict=True):
        assert first.camera is not None
        for one, other in zip(first.persons, second.persons, strict=True):
            assert one.image_points is not None
            assert np.array_equal(one.image_points, other.image_points, equal_nan=True)
            assert np.isfinite(one.keypoints[:, KEYPOINTS]).all()
    assert min(scenes[0].start_times) == 0
    assert sorted(scenes[0].people[0]) == [0, 1]


def test_a_wrong_calibration_is_as_wrong_as_asked() -> None:
    camera = cameras_around(1, np.random.default_rng(0))[0]
    wrong = wrongly_calibrated(camera, np.random.default_rng(1), degrees=10, metres=0.3)
    turn = wrong.camera_T_world[:3, :3] @ camera.camera_T_world[:3, :3].T
    assert abs(np.degrees(np.arccos((np.trace(turn) - 1) / 2)) - 10) < 1e-6
    assert abs(np.linalg.norm(camera_centre(wrong) - camera_centre(camera)) - 0.3) < 1e-9
