"""The lag to a fraction of a frame: right where it can be told, wide or nothing where it cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.simulation.geometry import wrongly_calibrated
from common.skeletons import MIRROR
from stages.sync.epipolar_offset import RefinedLag, refine_offset
from stages.sync.plane_tracks import JOINTS, PlaneTrack
from stages.sync.tracks import VideoTracks
from tests.stages.sync.epipolar_scenes import (
    RATE,
    couple,
    points_of,
    simulate,
    standing_still,
    true_lag,
    with_points,
)


def refined(a: VideoTracks, b: VideoTracks, near: float) -> RefinedLag | None:
    both = couple(a, b)
    assert both is not None
    return refine_offset([both], rate=RATE, near=near)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_lag_is_found_to_a_hundredth_of_a_frame_where_nothing_is_noisy(seed: int) -> None:
    scene = simulate(seed)
    truth = true_lag(scene)
    found = refined(*scene.videos, truth + 4)
    assert found is not None
    assert abs(found.lag - truth) < 0.01, f"{found.lag - truth:.4f} frames off"
    assert found.misfit < 1e-3


def test_exchanging_the_videos_turns_the_sign() -> None:
    scene = simulate(3, level="easy")
    a, b = scene.videos
    forth, back = refined(a, b, true_lag(scene)), refined(b, a, -true_lag(scene))
    assert forth is not None
    assert back is not None
    assert abs(forth.lag + back.lag) < 0.05, f"{forth.lag:.3f} and {back.lag:.3f}"


def test_a_bias_of_every_joint_that_changes_slowly_does_not_move_the_lag() -> None:
    worst = 0.0
    for seed in (2, 3, 4):
        scene = simulate(seed)
        a, b = scene.videos
        truth = true_lag(scene)
        points = points_of(b)
        bias = np.random.default_rng(seed).normal(0, 15, (2, 1, *points.shape[1:]))
        turn = np.linspace(0, np.pi, len(points))[:, None, None]
        found = refined(a, with_points(b, points + bias[0] * np.cos(turn) + bias[1] * np.sin(turn)), truth)
        assert found is not None
        assert found.misfit > 0.01, "the bias is seen"
        assert abs(found.lag - truth) < 3 * found.deviation
        worst = max(worst, abs(found.lag - truth))
    assert worst < 0.06, f"{worst:.3f} frames off"


def test_swapped_sides_in_some_frames_do_not_move_the_lag() -> None:
    scene = simulate(3)
    a, b = scene.videos
    points = points_of(b)
    swapped = np.random.default_rng(0).random(len(points)) < 0.05
    points[swapped] = points[swapped][:, MIRROR]
    found = refined(a, with_points(b, points), true_lag(scene))
    assert found is not None
    off = found.lag - true_lag(scene)
    assert abs(off) < max(0.1, 2 * found.deviation), f"{off:.3f} frames off"


def test_noise_is_no_motion_of_people_who_stand_still() -> None:
    answers = []
    for seed in (1, 2, 3, 4, 5):
        a, b = simulate(seed).videos
        answers.append(refined(standing_still(a, noise=3, seed=1), standing_still(b, noise=3, seed=2), 0.0))
    assert not any(answers), "noise passed for motion"


def test_motion_along_the_planes_says_nothing() -> None:
    generator = np.random.default_rng(0)
    tracks = [
        PlaneTrack(0.002 * generator.standard_normal((300, len(JOINTS))), np.full((300, len(JOINTS)), 3.0), 0)
        for _ in range(2)
    ]
    assert refine_offset([(tracks[0], tracks[1])], rate=RATE, near=0.0) is None


def test_more_noise_makes_a_wider_deviation_and_it_holds_the_truth() -> None:
    deviations = []
    for level in ("easy", "medium"):
        found, off = [], []
        for seed in (2, 3, 4, 5):
            scene = simulate(seed, level=level)
            lag = refined(*scene.videos, true_lag(scene))
            if lag is not None:
                found.append(lag.deviation)
                off.append((lag.lag - true_lag(scene)) / lag.deviation)
        assert len(found) >= 3
        assert np.abs(off).max() < 3, f"{np.round(off, 1)} deviations off"
        deviations.append(np.median(found))
    assert deviations[1] > 1.5 * deviations[0]


def test_a_calibration_with_which_joints_never_meet_says_nothing() -> None:
    scene = simulate(3)
    a, b = scene.videos
    assert b.camera is not None
    assert refined(a, b, true_lag(scene)) is not None
    for seed in range(3):
        wrong = wrongly_calibrated(b.camera, np.random.default_rng(seed), degrees=20, metres=0.5)
        assert refined(a, replace(b, camera=wrong), true_lag(scene)) is None


def test_nothing_in_common_says_nothing() -> None:
    scene = simulate(1)
    assert refined(*scene.videos, 5000.0) is None
