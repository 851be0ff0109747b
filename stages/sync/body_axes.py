"""A person's joints as a sequence of poses at even instants, in the camera's axes or in those of the body itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.skeletons import HIPS, SHOULDERS
from stages.sync.features import Grid, resample
from stages.sync.tracks import PersonTrack

Floats = NDArray[np.float64]

Axes = Literal["camera", "body"]


@dataclass(frozen=True, eq=False)
class Poses:
    """What is seen of one person at even instants; instants at which nothing is seen are left out.

    Attributes:
        grid: the instants.
        steps: (instants,) steps of the grid, increasing; gaps are where nothing was seen.
        joints: (instants, 70, 3) metres; 0 where not seen.
        weights: (instants, 70) confidence, 0 where not seen.
    """

    grid: Grid
    steps: NDArray[np.int64]
    joints: Floats
    weights: Floats


def poses(track: PersonTrack, grid: Grid, *, axes: Axes) -> Poses:
    """The track on the grid, without the instants at which no joint is seen.

    Args:
        track: the person.
        grid: of the video.
        axes: "camera": the keypoints as they are; "body": see in_body_axes.
    """
    seen = np.isfinite(track.keypoints).all(-1) & (np.nan_to_num(track.confidence) > 0)
    rows = np.concatenate(
        [np.where(seen[..., None], track.keypoints, np.nan), np.nan_to_num(track.confidence)[..., None]], axis=-1
    )
    rows = resample(track.times, rows, grid)
    joints = rows[..., :3] if axes == "camera" else in_body_axes(rows[..., :3])
    known = np.asarray(np.isfinite(joints).all(axis=-1))
    steps = np.flatnonzero(known.any(axis=1))
    weights = np.where(known, np.nan_to_num(rows[..., 3]), 0.0)[steps]
    return Poses(grid, steps, np.where(known[..., None], joints, 0)[steps], weights)


def in_body_axes(joints: Floats) -> Floats:
    """(frames, 70, 3) metres relative to the middle of the hips: x to the person's left, y up the spine, z forward.

    Neither the camera's rotation nor its position is left in it, nor the person's own turns. NaN where a joint is, and
    in frames whose hips or shoulders are not seen or in which they lie in one line.
    """
    left, right = joints[:, HIPS[0]], joints[:, HIPS[1]]
    middle = (left + right) / 2
    y = _unit(joints[:, SHOULDERS].mean(1) - middle)
    x = left - right
    x = _unit(x - (x * y).sum(-1, keepdims=True) * y)
    axes = np.stack([x, y, np.cross(x, y)], axis=1)
    return np.asarray(np.einsum("tij,tkj->tki", axes, joints - middle[:, None]))


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 1e-6, length, np.nan))
