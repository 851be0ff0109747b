"""Where in front of the camera a body stands: the translation that puts metric joints onto their image rays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_JOINTS = 4
"""Fewer confident joints place nobody. Two would do for three unknowns; four leave room to notice a wrong one."""

CONFIDENT = 0.3  # chosen by hand; on the demo the error of BlazePose's 2D points grows by half below 0.3
_ROUNDS = 3  # one plain solution and two reweighted ones; a fourth changes the demo by less than a millimetre
_TOLERANCE = 2.0  # Huber's threshold in robust standard deviations: near his 1.345, for few and correlated points
_FLOOR_PX = 1.0  # below a pixel nobody is an outlier
_MIN_DEPTH = 0.05  # metres; a solution behind or inside the lens is none


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera without distortion.

    Attributes:
        focal: (2,) float64 focal lengths along x and y, pixels.
        centre: (2,) float64 principal point, pixels of the upright frame.
        assumed: nobody measured it; it is a convention, and so is the scale of all depths.
    """

    focal: NDArray[np.float64]
    centre: NDArray[np.float64]
    assumed: bool

    @classmethod
    def from_matrix(cls, matrix: NDArray[np.float64]) -> Intrinsics:
        """The camera of a (3, 3) matrix in pixels of the upright frame."""
        return cls(np.array([matrix[0, 0], matrix[1, 1]]), np.array([matrix[0, 2], matrix[1, 2]]), assumed=False)

    @classmethod
    def assume(cls, *, height: int, width: int) -> Intrinsics:
        """The camera where none is known: focal length = diagonal of the image, 53 degrees across it.

        SAM 3D Body and the original ghost assume the same focal length. The principal point is the middle of the image,
        which is half a pixel from their (width / 2, height / 2): pixels are counted from the centre of the first one.
        """
        focal = float(np.hypot(height, width))
        return cls(np.full(2, focal), np.array([(width - 1) / 2, (height - 1) / 2]), assumed=True)

    def rays(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 2) x/z and y/z of pixels (..., 2)."""
        return (image - self.centre) / self.focal

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 2) pixels of points (..., 3) in camera axes."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return points[..., :2] / points[..., 2:] * self.focal + self.centre


@dataclass(frozen=True)
class Placement:
    """Where the body stood in each of N frames.

    Attributes:
        translation: (N, 3) float64, metres, camera axes; NaN where too few joints were confident.
        inlier: (N, J) float64 in [0, 1]: Huber weight of each joint, 1 if it agrees; 0 where it was not seen.
        residual_px: (N,) float64, weighted root mean square distance of image point and projected joint; NaN
            like `translation`.
    """

    translation: NDArray[np.float64]
    inlier: NDArray[np.float64]
    residual_px: NDArray[np.float64]


def place(
    world: NDArray[np.float64],
    image: NDArray[np.float64],
    confidence: NDArray[np.float64],
    *,
    camera: Intrinsics,
    min_joints: int = MIN_JOINTS,
) -> Placement:
    """The translation of each body, frame by frame, from its joints and their pixels.

    A joint p + t on the ray (x, y, 1) obeys two equations that are linear in t, t_x - x t_z = x p_z - p_x and
    the same for y. They are solved by least squares, weighted by confidence and, in two more rounds, by Huber's
    weights of the distances in pixels (iteratively reweighted least squares; Huber, "Robust Estimation of a
    Location Parameter", 1964).

    Args:
        world: (N, J, 3) metres, camera axes, any origin; NaN where missing.
        image: (N, J, 2) pixels; NaN where missing.
        confidence: (N, J) in [0, 1]; 0 or NaN takes the joint out.
        camera: how pixels and rays correspond.
        min_joints: a frame with fewer joints of at least CONFIDENT gets no translation.
    """
    seen = np.isfinite(world).all(axis=2) & np.isfinite(image).all(axis=2) & (confidence > 0)
    enough = (seen & (confidence >= CONFIDENT)).sum(axis=1) >= min_joints
    points, rays = np.where(seen[..., None], world, 0.0), np.where(seen[..., None], camera.rays(image), 0.0)
    base = np.where(seen, confidence, 0.0)
    inlier = seen.astype(np.float64)
    translation = np.full((len(world), 3), np.nan)
    residual = np.full(len(world), np.nan)
    for _ in range(_ROUNDS):
        translation[enough] = _solve(points[enough], rays[enough], (base * inlier)[enough])
        translation[~(translation[:, 2] + points[:, :, 2].min(axis=1, initial=0.0) > _MIN_DEPTH)] = np.nan
        distance = np.linalg.norm(camera.project(points + translation[:, None]) - image, axis=2)
        distance = np.where(seen, distance, np.nan)
        placed = np.isfinite(translation[:, 0])
        weight = np.where(seen, base * inlier, 0.0)[placed]
        squares = np.where(seen, np.square(distance), 0.0)[placed]
        residual = np.full(len(world), np.nan)
        residual[placed] = np.sqrt((weight * squares).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12))
        inlier[placed] = _huber(distance[placed])
    return Placement(translation, inlier, residual)


def _solve(points: NDArray[np.float64], rays: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted least squares of t, (N, 3), by its normal equations."""
    x, y = rays[..., 0], rays[..., 1]
    right_x, right_y = x * points[..., 2] - points[..., 0], y * points[..., 2] - points[..., 1]
    total = weight.sum(axis=1)
    # Shifting the rays to their mean decouples t_z from the rest and keeps the system well-conditioned.
    mean = (weight[..., None] * rays).sum(axis=1) / np.maximum(total, 1e-12)[:, None]
    dx, dy = x - mean[:, :1], y - mean[:, 1:]
    spread = (weight * (dx**2 + dy**2)).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # all rays alike say nothing about depth: NaN
        t_z = -(weight * (dx * right_x + dy * right_y)).sum(axis=1) / spread
        t_x = (weight * right_x).sum(axis=1) / total + mean[:, 0] * t_z
        t_y = (weight * right_y).sum(axis=1) / total + mean[:, 1] * t_z
    return np.stack([t_x, t_y, t_z], axis=1)


def _huber(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Huber's weight of each distance (N, J) within its frame; 0 for NaN."""
    if not distance.size:
        return np.zeros_like(distance)
    sigma = np.nanmedian(distance, axis=1, keepdims=True) / 1.1774  # median of a 2D Gaussian's radius
    limit = _TOLERANCE * np.maximum(sigma, _FLOOR_PX)
    return np.where(np.isfinite(distance), np.minimum(1.0, limit / np.maximum(distance, 1e-9)), 0.0)
