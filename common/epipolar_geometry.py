"""What two calibrated cameras know of each other: the planes they share.

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
