"""Where a person's joints are about the line through two calibrated cameras: one angle per joint, camera and instant.

Both cameras know on which plane through their two centres a joint lies (common/epipolar_geometry.py). At the right lag
the two angles agree, so synchronising two calibrated cameras is comparing one curve per joint, with its absolute value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.cameras import Camera, normalised_rays
from common.epipolar_geometry import plane_angles, plane_pencil, world_directions
from common.skeletons import INDEX
from stages.sync.features import MIN_CONFIDENCE, Grid, resample, track_grid
from stages.sync.tracks import PersonTrack

Floats = NDArray[np.float64]

PARTS: tuple[tuple[str, ...], ...] = (
    ("nose",),
    ("left_shoulder", "right_shoulder"),
    ("left_elbow", "left_wrist"),
    ("right_elbow", "right_wrist"),
    ("left_hip", "right_hip"),
    ("left_knee", "left_ankle"),
    ("right_knee", "right_ankle"),
)
"""The joints in use, in parts of the body whose errors go together."""

JOINTS = tuple(INDEX[name] for part in PARTS for name in part)
PART = np.repeat(np.arange(len(PARTS)), [len(part) for part in PARTS])
"""(joints,) number of the part to which every joint belongs."""

MIN_BASELINE = 0.2  # m between cameras; below it a centimetre of calibration error turns the planes by degrees
MIN_RADIUS = 0.3  # m from the baseline; nearer to it an error of a hand's breadth turns the plane by 20 degrees


@dataclass(frozen=True)
class PlaneTrack:
    """One person as one of two cameras sees it.

    Attributes:
        angles: (instants, joints) radians about the baseline; NaN where unknown.
        radius: (instants, joints) metres: an error of x metres of the joint is one of x / radius of the angle. Rests on
            the size of the person's 3D joints, good to some 20 %. NaN where unknown.
        begin: step of the video's grid at the first instant.
    """

    angles: Floats
    radius: Floats
    begin: int

    @property
    def known(self) -> NDArray[np.bool_]:
        """(instants, joints) whether there is an angle."""
        return np.isfinite(self.angles)


@dataclass(frozen=True)
class _Seen:
    directions: Floats  # (instants, joints, 3) world, unit length; NaN where missing
    distance: float  # m of the person from the camera, typically
    begin: int


def plane_tracks(
    a: PersonTrack, b: PersonTrack, cameras: tuple[Camera, Camera], grids: tuple[Grid, Grid]
) -> tuple[PlaneTrack, PlaneTrack] | None:
    """A person's angles in two videos, of a common zero.

    Args:
        a: the person in the first video.
        b: the same person in the second.
        cameras: of both videos.
        grids: of both videos, of one rate.

    Returns:
        Both tracks; None where there are no image points, where the cameras stand in one place, or where the person is
        never off the line through them.
    """
    first, second = (_seen(t, c, g) for t, c, g in zip((a, b), cameras, grids, strict=True))
    if first is None or second is None:
        return None
    middle = np.nanmean(first.directions, axis=(0, 1)) + np.nanmean(second.directions, axis=(0, 1))
    pencil = plane_pencil(*cameras, towards=middle)
    if pencil.baseline < MIN_BASELINE:
        return None
    found = []
    for seen in (first, second):
        angles, sines = plane_angles(pencil, seen.directions)
        radius = seen.distance * sines
        far = radius >= MIN_RADIUS  # False for NaN
        found.append(PlaneTrack(np.where(far, angles, np.nan), np.where(far, radius, np.nan), seen.begin))
    return (found[0], found[1]) if all(track.known.any() for track in found) else None


def _seen(track: PersonTrack, camera: Camera, grid: Grid) -> _Seen | None:
    if track.image_points is None:
        return None
    seen = np.nan_to_num(track.confidence[:, JOINTS]) >= MIN_CONFIDENCE
    rays = normalised_rays(camera, track.image_points[:, JOINTS].astype(np.float64))
    rays = np.where(seen[..., None], rays, np.nan)
    distance = _distance(rays, track.keypoints[:, JOINTS].astype(np.float64))
    if distance is None:
        return None
    begin, span = track_grid(track, grid)
    directions = world_directions(camera, resample(track.times, rays, span))
    return _Seen(directions, distance, begin) if np.isfinite(directions).any() else None


def _distance(rays: Floats, keypoints: Floats) -> float | None:
    """Metres to the person: how much larger the 3D joints spread than their rays. None where too few are seen."""
    both = np.asarray(np.isfinite(rays).all(-1) & np.isfinite(keypoints).all(-1))
    frames = both.sum(1) >= len(JOINTS) // 2
    if not frames.any():
        return None
    spreads = []
    for points in (keypoints[frames], rays[frames]):
        points = np.where(both[frames, :, None], points, np.nan)
        spreads.append(np.sqrt(np.nanmean(np.nansum(np.square(points - np.nanmean(points, 1, keepdims=True)), -1), 1)))
    flat = spreads[1] > 0
    return float(np.median(spreads[0][flat] / spreads[1][flat])) if flat.any() else None
