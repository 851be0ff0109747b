"""Two cameras and points that both see: what must vanish, vanishes."""

from __future__ import annotations

import cv2
import numpy as np

from common.cameras import Camera, camera_centre, normalised_rays, project
from common.epipolar_geometry import plane_angles, plane_pencil, world_directions

LENS = np.array([[1500.0, 0, 960], [0, 1480, 540], [0, 0, 1]])
POINTS = np.random.default_rng(0).uniform(-1, 1, (100, 3))


def pose(rotation: tuple[float, float, float], translation: tuple[float, float, float]) -> np.ndarray:
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = cv2.Rodrigues(np.array(rotation, dtype=np.float64))[0], translation
    return out


A = Camera(LENS, pose((0.1, 0.9, -0.1), (0.2, 0.3, 4.0)), (-0.1, 0.05, 0.001, 0.0))
B = Camera(LENS, pose((-0.2, -0.6, 0.1), (-0.4, 0.1, 5.0)))


def test_both_cameras_say_the_same_plane_of_a_point_and_it_is_the_plane_of_the_three() -> None:
    pencil = plane_pencil(A, B, towards=np.array([0.0, 0.3, 1.0]))
    found = []
    for camera in (A, B):
        directions = world_directions(camera, normalised_rays(camera, project(camera, POINTS)))
        angles, sines = plane_angles(pencil, directions)
        found.append(angles)
        truth = POINTS - camera_centre(camera)
        off_line = np.linalg.norm(np.cross(truth, pencil.axes[2]), axis=1) / np.linalg.norm(truth, axis=1)
        assert np.abs(sines - off_line).max() < 1e-9
    worst = np.abs(np.angle(np.exp(1j * (found[0] - found[1])))).max()
    assert worst < 1e-9, f"{worst:.2e} rad"
    assert abs(pencil.baseline - np.linalg.norm(camera_centre(A) - camera_centre(B))) < 1e-12
    assert np.abs(pencil.axes @ pencil.axes.T - np.eye(3)).max() < 1e-12


def test_angle_zero_is_the_direction_that_was_asked_for() -> None:
    towards = np.array([0.2, -0.4, 0.7])
    angle, _ = plane_angles(plane_pencil(A, B, towards=towards), towards / np.linalg.norm(towards))
    assert abs(float(angle)) < 1e-12


def test_cameras_in_one_place_have_no_baseline_and_no_planes_that_divide_by_zero() -> None:
    pencil = plane_pencil(A, A, towards=np.array([0.0, 0.0, 1.0]))
    assert pencil.baseline == 0
    assert np.isfinite(pencil.axes).all()
