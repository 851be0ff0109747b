"""People as detectors report them, in one form: where to look, and which points of the body must be where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.models.blazepose_detector import Detections
from common.models.blazepose_landmarks import POINTS
from common.models.movenet import BLAZEPOSE_OF_COCO, Poses, region_of
from common.models.regions import Region

_SURE, _SEEN = 0.2, 0.05  # MoveNet keypoint scores: compare the former if there are four of them, else the latter
_SAME_HIPS = 0.1  # distance of the hips, in sides of the region, up to which two detectors mean the same person


@dataclass(frozen=True, eq=False)
class Candidate:
    """Somebody found by a detector.

    Attributes:
        region: where the landmark model should look.
        points: (m, 2) float64, pixels: what the detector saw of the body.
        of_landmarks: (m, 33) float64: the points as weighted means of the 33 landmarks.
    """

    region: Region
    points: NDArray[np.float64]
    of_landmarks: NDArray[np.float64]

    def distance(self, landmarks: NDArray[np.float64]) -> float:
        """The median distance of the points from a body, as a fraction of its extent.

        Args:
            landmarks: (33, 2) pixels.
        """
        extent = max(float(np.ptp(landmarks, axis=0).max()), 1.0)
        return float(np.median(np.hypot(*(self.points - self.of_landmarks @ landmarks).T)) / extent)


def from_poses(poses: Poses) -> list[Candidate]:
    """Candidates from keypoints; people of whom too little is seen are left out."""
    found = []
    for keypoints in poses.keypoints:
        region = region_of(keypoints)
        seen = keypoints[:, 2] > _SURE
        if seen.sum() < 4:
            seen = keypoints[:, 2] > _SEEN
        if region is not None and seen.any():
            rows = np.eye(POINTS)[list(BLAZEPOSE_OF_COCO)][seen]
            found.append(Candidate(region, keypoints[seen, :2], rows))
    return found


def from_circles(detections: Detections) -> list[Candidate]:
    """Candidates from the circles around bodies: of the body itself they tell the middle of the hips."""
    hips = np.zeros((1, POINTS))
    hips[0, [23, 24]] = 0.5
    return [
        Candidate(region, point[None], hips) for region, point in zip(detections.regions, detections.hips, strict=True)
    ]


def united(first: Sequence[Candidate], second: Sequence[Candidate]) -> list[Candidate]:
    """All of the first, and those of the second whose hips are not those of one of the first."""
    added = [
        b
        for b in second
        if all(np.hypot(a.region.x - b.region.x, a.region.y - b.region.y) > _SAME_HIPS * b.region.side for a in first)
    ]
    return [*first, *added]
