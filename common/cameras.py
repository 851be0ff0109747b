"""A calibrated pinhole camera with lens distortion, standing still: from the world to pixels and back to rays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ROUNDS = 12  # of Newton's method; it doubles the digits per round, so this leaves room for strong lenses
_EXACT = 1e-9  # x/z: a millionth of a pixel


@dataclass(frozen=True, eq=False)
class Camera:
    """Where a camera stands and how it projects, in OpenCV's conventions.

    Attributes:
        intrinsics: (3, 3) pixels of the upright frame, without skew.
        camera_T_world: (4, 4) rigid transform from world to camera axes (x right, y down, z forward), metres.
        distortion: coefficients in OpenCV's order k1 k2 p1 p2 k3 ...; empty: none.
    """

    intrinsics: Floats
    camera_T_world: Floats
    distortion: tuple[float, ...] = ()


def camera_centre(camera: Camera) -> Floats:
    """(3,) metres in the world: where the camera stands."""
    rotation, translation = camera.camera_T_world[:3, :3], camera.camera_T_world[:3, 3]
    return np.asarray(-rotation.T @ translation)


def project(camera: Camera, points: Floats) -> Floats:
    """Pixels of points in the world.

    Args:
        camera: which.
        points: (..., 3) metres, world axes; NaN where missing.

    Returns:
        (..., 2) pixels of the upright frame, also outside of it; NaN where missing or not in front of the camera.
    """
    seen = points @ camera.camera_T_world[:3, :3].T + camera.camera_T_world[:3, 3]
    depth = np.where(seen[..., 2:] > 0, seen[..., 2:], np.nan)
    bent, _ = _distort(seen[..., :2] / depth, camera.distortion)
    focal, centre = camera.intrinsics[[0, 1], [0, 1]], camera.intrinsics[:2, 2]
    return np.asarray(bent * focal + centre)


def normalised_rays(camera: Camera, pixels: Floats) -> Floats:
    """Where pixels lie on the plane z = 1 of the camera's axes, lens distortion undone (Newton's method).

    Args:
        camera: which.
        pixels: (..., 2) of the upright frame; NaN where missing.

    Returns:
        (..., 2) x/z and y/z; NaN where missing, and where no ray can have come from: far outside the frame, where a
        distortion polynomial turns back.
    """
    focal, centre = camera.intrinsics[[0, 1], [0, 1]], camera.intrinsics[:2, 2]
    bent = (np.asarray(pixels, dtype=np.float64) - centre) / focal
    if not any(camera.distortion):
        return np.asarray(bent)
    rays = bent.copy()
    with np.errstate(all="ignore"):  # what runs away ends as NaN
        for _ in range(_ROUNDS):
            found, ((xx, xy), (_, yy)) = _distort(rays, camera.distortion)
            miss = bent - found
            determinant = xx * yy - xy * xy
            rays[..., 0] += (yy * miss[..., 0] - xy * miss[..., 1]) / determinant
            rays[..., 1] += (xx * miss[..., 1] - xy * miss[..., 0]) / determinant
        found, ((xx, xy), (_, yy)) = _distort(rays, camera.distortion)
        there = (np.abs(found - bent).max(-1) < _EXACT) & (xx > 0) & (xx * yy - xy * xy > 0)
    rays[~there] = np.nan
    return rays


def _distort(rays: Floats, distortion: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Distorted rays (..., 2) and the derivatives (2, 2, ...), which are symmetric.

    Radial (rational) and tangential distortion of OpenCV's camera model; the coefficients that follow k6 are not known
    here and refused where calibrations are read.
    """
    k1, k2, p1, p2, k3, k4, k5, k6 = (*distortion, *[0.0] * (8 - len(distortion)))
    x, y = rays[..., 0], rays[..., 1]
    s = x * x + y * y
    above, below = 1 + s * (k1 + s * (k2 + s * k3)), 1 + s * (k4 + s * (k5 + s * k6))
    radial = above / below
    slope = (k1 + s * (2 * k2 + s * 3 * k3) - radial * (k4 + s * (2 * k5 + s * 3 * k6))) / below
    bent = np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (s + 2 * x * x),
            y * radial + p1 * (s + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )
    xx = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    xy = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    yy = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    return bent, np.array([[xx, xy], [xy, yy]])
