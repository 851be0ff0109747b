"""What two calibrated cameras know of each other: essential and fundamental matrix, and the planes they share.

Every point of the world lies on one plane through both camera centres, and both cameras can tell which: its angle
about the line through the centres (the baseline). Two image points can show one point of the world only where their
angles agree. This is the epipolar constraint y_b^T E y_a = 0, taken apart into one number per camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.cameras import Camera, camera_centre

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PlanePencil:
    """The planes through two camera centres.

    Attributes:
        baseline: metres between the centres.
        axes: (3, 3) orthonormal rows in world axes: the direction of angle 0, that of 90 degrees, the baseline from the
            first camera to the second.
    """

    baseline: float
    axes: Floats


def essential_matrix(a: Camera, b: Camera) -> Floats:
    """(3, 3) E with y_b^T E y_a = 0 for rays (x/z, y/z, 1) of one point (Longuet-Higgins, Nature 1981)."""
    b_T_a = b.camera_T_world @ _inverse(a.camera_T_world)
    x, y, z = b_T_a[:3, 3]
    return np.asarray(np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ b_T_a[:3, :3])


def fundamental_matrix(a: Camera, b: Camera) -> Floats:
    """(3, 3) F with p_b^T F p_a = 0 for undistorted pixels (u, v, 1) of one point."""
    return np.asarray(np.linalg.inv(b.intrinsics).T @ essential_matrix(a, b) @ np.linalg.inv(a.intrinsics))


def sampson_distance(essential: Floats, rays_a: Floats, rays_b: Floats) -> Floats:
    """How far two rays are from showing one point, to first order (Hartley and Zisserman 2004, eq. 11.9).

    Args:
        essential: (3, 3) of (a, b).
        rays_a: (..., 2) x/z, y/z.
        rays_b: likewise, of the same shape.

    Returns:
        (...) >= 0 on the plane z = 1: times the focal length it is in pixels. NaN where a ray is missing.
    """
    a, b = (np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1) for rays in (rays_a, rays_b))
    line_b, line_a = a @ essential.T, b @ essential
    square = (line_b[..., :2] ** 2).sum(-1) + (line_a[..., :2] ** 2).sum(-1)
    return np.asarray(np.abs((b * line_b).sum(-1)) / np.sqrt(np.maximum(square, np.finfo(np.float64).tiny)))


def plane_pencil(a: Camera, b: Camera, *, towards: Floats) -> PlanePencil:
    """The planes through both centres, the one that holds a certain direction at angle 0.

    Args:
        a: first camera.
        b: second camera; where it stands in the same place, the pencil is arbitrary and its baseline 0.
        towards: (3,) direction in world axes, such as the mean of both cameras' rays.
    """
    between = camera_centre(b) - camera_centre(a)
    length = float(np.linalg.norm(between))
    along = between / length if length > 0 else np.array([0.0, 0.0, 1.0])
    across = towards - (towards @ along) * along
    if np.linalg.norm(across) < 1e-9:  # exactly along the baseline: any direction across it will do
        across = np.cross(along, np.eye(3)[np.argmin(np.abs(along))])
    across = across / np.linalg.norm(across)
    return PlanePencil(length, np.stack([across, np.cross(along, across), along]))


def world_directions(camera: Camera, rays: Floats) -> Floats:
    """(..., 3) unit vectors in world axes of rays (..., 2) x/z, y/z; NaN where missing."""
    directions = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1) @ camera.camera_T_world[:3, :3]
    return np.asarray(directions / np.linalg.norm(directions, axis=-1, keepdims=True))


def plane_angles(pencil: PlanePencil, directions: Floats) -> tuple[Floats, Floats]:
    """On which plane of the pencil directions lie, and how well that is known.

    Args:
        pencil: of two cameras.
        directions: (..., 3) unit vectors in world axes from one of the two centres; NaN where missing.

    Returns:
        Angles (...) in radians in (-pi, pi], and the sine (...) of the angle between direction and baseline: an error
        of so many radians across the direction changes the plane's angle by error / sine. NaN where missing.
    """
    x, y, _ = np.moveaxis(directions @ pencil.axes.T, -1, 0)
    return np.arctan2(y, x), np.hypot(x, y)


def _inverse(rigid: Floats) -> Floats:
    rotation, translation = rigid[:3, :3], rigid[:3, 3]
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = rotation.T, -rotation.T @ translation
    return out
