"""Bodies and people reduced to what the page shows of them: when somebody was seen, and how well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.artifacts.bodies import PersonBody

Floats = npt.NDArray[np.float64]

LEVELS = 4
"""Shades in which confidence is drawn; 0 is nobody."""


@dataclass(frozen=True, eq=False)
class BodyTrack:
    """One person's body in one video, reduced.

    Attributes:
        frames: (n,) int64, indices of the frames in which the body was estimated.
        confidence: (n,) mean over the keypoints that were observed; NaN where none was.
        residual_px: median distance of the keypoints in the image to the projected 3D ones, pixels; NaN without any.
    """

    frames: npt.NDArray[np.int64]
    confidence: Floats
    residual_px: float


@dataclass(frozen=True)
class Run:
    """A stretch of a track strip: begin and end as fractions of the axis, and its shade from 1 to LEVELS."""

    begin: float
    end: float
    level: int


def reduce_body(body: PersonBody) -> BodyTrack:
    """What the page shows of a body."""
    residuals = reprojection_residuals(body)
    known = residuals[np.isfinite(residuals)]
    observed = body.confidence > 0
    count = observed.sum(axis=1)
    total = np.where(observed, body.confidence, 0).sum(axis=1, dtype=np.float64)
    return BodyTrack(
        frames=body.frame_indices.astype(np.int64),
        confidence=np.where(count > 0, total / np.maximum(count, 1), np.nan),
        residual_px=float(np.median(known)) if known.size else float("nan"),
    )


def reprojection_residuals(body: PersonBody) -> Floats:
    """(n, 70) pixels between the keypoints in the image and the projected 3D ones; NaN where not observed."""
    points = body.keypoints_camera.astype(np.float64)
    depth = np.where(points[..., 2] > 0, points[..., 2], np.nan)  # behind the camera there is no projection
    scale = body.focal.astype(np.float64)[:, None] / depth[..., None]
    projected = points[..., :2] * scale + body.principal_point.astype(np.float64)[:, None]
    distance: Floats = np.linalg.norm(projected - body.image_keypoints, axis=-1)
    return distance


def strip(
    begin: Floats, end: Floats, confidence: Floats, *, low: float, high: float, bins: int = 240
) -> tuple[Run, ...]:
    """When somebody was seen, as a few stretches of even shade.

    Args:
        begin: (n,) times at which the frames that show the person begin, seconds, increasing.
        end: (n,) and end.
        confidence: (n,) 0 to 1; NaN where no body was estimated. A stretch without any has the lightest shade.
        low: where the axis begins, seconds.
        high: and ends.
        bins: resolution of the axis.

    Returns:
        Stretches from left to right that do not overlap.
    """
    if len(begin) == 0 or high <= low:
        return ()
    edges = (np.stack([begin, end]) - low) / (high - low) * bins
    first = np.floor(edges[0] + 1e-6).clip(0, bins - 1).astype(np.int64)
    last = np.ceil(edges[1] - 1e-6).clip(1, bins).astype(np.int64)
    last = np.maximum(last, first + 1)
    known = np.isfinite(confidence)
    seen = _coverage(first, last, np.ones(len(first)), bins).round()
    judged = _coverage(first, last, known.astype(np.float64), bins).round()
    total = _coverage(first, last, np.where(known, confidence, 0.0), bins)
    mean = np.where(judged > 0, total / np.maximum(judged, 1), 0.0).clip(0, 1)
    level = np.where(seen > 0, 1 + np.minimum(np.floor(mean * LEVELS + 1e-6), LEVELS - 1), 0).astype(np.int64)
    changes = np.flatnonzero(np.diff(level, prepend=-1, append=-1))
    return tuple(
        Run(a / bins, b / bins, int(level[a]))
        for a, b in zip(changes[:-1].tolist(), changes[1:].tolist(), strict=True)
        if level[a] > 0
    )


def _coverage(first: npt.NDArray[np.int64], last: npt.NDArray[np.int64], value: Floats, bins: int) -> Floats:
    """(bins,) sum of the values of all stretches that cover each bin; `last` is not covered."""
    steps = np.zeros(bins + 1)
    np.add.at(steps, first, value)
    np.add.at(steps, last, -value)
    total: Floats = np.cumsum(steps)[:bins]
    return total
