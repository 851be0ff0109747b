"""Angles about the baseline: the same in both cameras, and nothing where they mean nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.simulation.geometry import look_at
from common.cameras import camera_centre
from stages.sync.plane_tracks import JOINTS, MIN_RADIUS, PART
from tests.stages.sync.epipolar_scenes import couple, points_of, simulate, with_points


def test_both_cameras_give_a_joint_the_same_angle_at_the_same_moment() -> None:
    scene = simulate(1, max_start=0)
    both = couple(*scene.videos)
    assert both is not None
    off = both[0].angles - both[1].angles
    worst = np.nanmax(np.abs(off))
    assert worst < 1e-6, f"{worst:.2e} rad"
    assert np.isfinite(off).mean() > 0.95


def test_the_distance_from_the_baseline_is_right_within_a_third() -> None:
    scene = simulate(1, max_start=0)
    both = couple(*scene.videos)
    assert both is not None
    off = np.nanmedian(both[0].radius) / np.nanmedian(both[1].radius)
    assert 0.7 < off < 1.4, f"two cameras say distances of ratio {off:.2f} for one person"


def test_nothing_is_said_near_the_line_through_the_cameras() -> None:
    scene = simulate(1, max_start=0)
    a, b = scene.videos
    opposite = replace(b, camera=look_at(np.array([0, 1.0, -4]), np.array([0, 1.0, 0])))
    both = couple(replace(a, camera=look_at(np.array([0, 1.0, 4]), np.array([0, 1.0, 0]))), opposite)
    assert both is not None
    assert np.nanmin(both[0].radius) >= MIN_RADIUS
    assert not both[0].known.all()


def test_cameras_in_one_place_and_tracks_without_image_points_say_nothing() -> None:
    a, b = simulate(1).videos
    assert couple(a, b) is not None
    assert a.camera is not None
    beside = look_at(camera_centre(a.camera) + np.array([0.1, 0, 0]), np.zeros(3))
    assert couple(a, replace(b, camera=beside)) is None
    assert couple(a, with_points(b, None)) is None
    assert couple(a, with_points(b, np.full_like(points_of(b), np.nan))) is None


def test_every_joint_belongs_to_a_part() -> None:
    assert len(PART) == len(JOINTS) == 13
