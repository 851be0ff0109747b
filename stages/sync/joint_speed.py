"""How fast a person's joints move against each other: one curve that is the same from wherever a camera looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from common.skeletons import INDEX
from stages.sync.features import MIN_CONFIDENCE
from stages.sync.tracks import PersonTrack

Floats = NDArray[np.float64]

RATE = 30.0  # Hz of the curves: more than a picture shows
_SMOOTHING = 0.1  # s, chosen by hand: at 0.05 s the noise of the joints, 2 cm, is as fast as a walk
_BRIDGED = 0.15  # s: longer gaps between frames stay gaps
_LEAST = 3  # distances that must be known at a time, chosen by hand
_ENDS = (
    ("left_wrist", "right_wrist"), ("left_wrist", "left_shoulder"), ("right_wrist", "right_shoulder"),
    ("left_wrist", "right_hip"), ("right_wrist", "left_hip"), ("left_elbow", "left_hip"),
    ("right_elbow", "right_hip"), ("left_knee", "right_knee"), ("left_ankle", "right_ankle"),
    ("left_ankle", "left_hip"), ("right_ankle", "right_hip"), ("left_knee", "left_shoulder"),
    ("right_knee", "right_shoulder"), ("left_wrist", "right_ankle"), ("right_wrist", "left_ankle"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class SpeedCurve:
    """Speed of one person's joints over time.

    Attributes:
        times: (n,) seconds on the video's own clock, evenly spaced.
        speed: (n,) metres per second; NaN where too little of the person was seen.
    """

    times: Floats
    speed: Floats


def joint_speed(track: PersonTrack) -> SpeedCurve:
    """Root mean square rate of change of distances between the person's joints.

    A distance does not depend on where the camera stands or how it turns, so two cameras see the same curve.
    """
    times = track.times
    if len(times) < 2:
        return SpeedCurve(times.astype(np.float64), np.full(len(times), np.nan))
    ends = np.array([[INDEX[a], INDEX[b]] for a, b in _ENDS])
    joints = np.unique(ends)
    seen = np.nan_to_num(track.confidence[:, joints]) >= MIN_CONFIDENCE
    points = np.where(seen[..., None], track.keypoints[:, joints], np.nan)
    at = np.searchsorted(joints, ends)
    distances = np.linalg.norm(points[:, at[:, 0]] - points[:, at[:, 1]], axis=-1)
    grid = times[0] + np.arange(int((times[-1] - times[0]) * RATE) + 1) / RATE
    values = _resampled(times, distances, grid)
    mask = np.isfinite(values).astype(np.float64)
    # normalised convolution (Knutsson and Westin 1993): smoothing that ignores what is not there
    sums, weights = (_blurred(x) for x in (np.where(mask > 0, values, 0.0), mask))
    speed = np.gradient(sums / np.maximum(weights, 1e-3), axis=0) * RATE if len(grid) > 1 else np.zeros_like(sums)
    known = mask.sum(axis=1)
    square = (speed**2 * mask).sum(axis=1) / np.maximum(known, 1)
    return SpeedCurve(grid, np.where(known >= _LEAST, np.sqrt(square), np.nan))


def mean_in_bins(curves: Sequence[SpeedCurve], edges: Floats) -> Floats:
    """(bins,) mean speed of some curves between edges, m/s; NaN where none is known.

    Args:
        curves: with times on the clock of the edges.
        edges: (bins + 1,) seconds, evenly spaced, increasing.
    """
    bins = len(edges) - 1
    total, count = np.zeros(bins), np.zeros(bins)
    for curve in curves:
        known = np.isfinite(curve.speed)
        place = np.floor((curve.times[known] - edges[0]) / (edges[-1] - edges[0]) * bins)
        inside = (place >= 0) & (place < bins)
        np.add.at(total, place[inside].astype(np.int64), curve.speed[known][inside])
        np.add.at(count, place[inside].astype(np.int64), 1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _resampled(times: Floats, values: Floats, grid: Floats) -> Floats:
    """(instants, columns) by linear interpolation; NaN beside a missing value and in gaps."""
    left = np.clip(np.searchsorted(times, grid, side="right") - 1, 0, len(times) - 2)
    steps = np.diff(times)
    share = np.clip((grid - times[left]) / steps[left], 0, 1)[:, None]
    bridged = steps[left] <= max(1.5 * float(np.median(steps)), _BRIDGED)
    return np.where(bridged[:, None], (1 - share) * values[left] + share * values[left + 1], np.nan)


def _blurred(values: Floats) -> Floats:
    return gaussian_filter1d(values, _SMOOTHING * RATE, axis=0, mode="constant")
