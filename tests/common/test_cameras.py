"""Projection and its inverse, against OpenCV, which shares no code with them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from common.cameras import Camera, camera_centre, normalised_rays, project

DISTORTIONS = {
    "none": (),
    "four": (-0.28, 0.11, 0.001, -0.002),
    "five": (-0.25, 0.12, 0.002, 0.001, -0.03),
    "eight": (0.4, -0.2, 0.001, -0.001, 0.05, 0.6, -0.1, 0.02),
}


def camera(distortion: tuple[float, ...]) -> Camera:
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.array([0.3, -0.8, 0.2]))[0]
    pose[:3, 3] = 0.2, -0.4, 4.0
    return Camera(np.array([[1500.0, 0, 960], [0, 1480, 540], [0, 0, 1]]), pose, distortion)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_pixels_are_those_of_opencv(name: str) -> None:
    lens = camera(DISTORTIONS[name])
    points = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    expected, _ = cv2.projectPoints(
        points,
        cv2.Rodrigues(lens.camera_T_world[:3, :3])[0],
        lens.camera_T_world[:3, 3],
        lens.intrinsics,
        np.array(lens.distortion or (0.0,) * 4),
    )
    worst = np.abs(project(lens, points) - expected[:, 0]).max()
    assert worst < 1e-6, f"{worst:.2e} px off"


@pytest.mark.parametrize("name", DISTORTIONS)
def test_rays_lead_back_to_the_points(name: str) -> None:
    lens = camera(DISTORTIONS[name])
    points = np.random.default_rng(1).uniform(-1, 1, (20, 10, 3))
    seen = points @ lens.camera_T_world[:3, :3].T + lens.camera_T_world[:3, 3]
    worst = np.abs(normalised_rays(lens, project(lens, points)) - seen[..., :2] / seen[..., 2:]).max()
    assert worst < 1e-9, f"{worst:.2e} off"


def test_what_is_missing_or_behind_the_camera_has_no_pixel() -> None:
    lens = camera(())
    behind = camera_centre(lens) - lens.camera_T_world[2, :3]
    pixels = project(lens, np.array([behind, [np.nan, 0, 0], [0, 0, 0]]))
    assert np.isnan(pixels).any(-1).tolist() == [True, True, False]


def test_a_pixel_that_no_ray_reaches_has_no_ray() -> None:
    lens = camera((-0.28, 0.0, 0.0, 0.0))  # a barrel whose polynomial turns back 0.73 from the axis: 1.09 * 2/3
    rays = normalised_rays(lens, np.array([[960 + 0.72 * 1500, 540], [960 + 0.74 * 1500, 540], [np.nan, 540.0]]))
    assert np.isnan(rays).any(-1).tolist() == [False, True, True]


def test_the_centre_is_where_the_camera_sees_the_origin_of_its_axes() -> None:
    lens = camera(())
    centre = np.append(camera_centre(lens), 1.0)
    assert np.abs(lens.camera_T_world @ centre - [0, 0, 0, 1]).max() < 1e-12
