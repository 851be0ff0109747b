"""From NLF's SMPL joints and vertices to the 70 keypoints of a body, and how sure each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from common.skeletons import INDEX, MHR70_COUNT
from stages.body.backends.nlf_archive import NlfPeople

FROM_JOINT: Mapping[str, int] = MappingProxyType(
    {
        "left_hip": 1,
        "right_hip": 2,
        "left_knee": 4,
        "right_knee": 5,
        "left_ankle": 7,
        "right_ankle": 8,
        "neck": 12,
        "left_shoulder": 16,
        "right_shoulder": 17,
        "left_elbow": 18,
        "right_elbow": 19,
        "left_wrist": 20,
        "right_wrist": 21,
    }
)
"""SMPL's joint of the same name. Not quite the same place: COCO's hips and shoulders lie some 30 mm further out."""

FROM_VERTEX: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "nose": (332, 15),
        "left_eye": (2800, 15),
        "right_eye": (6260, 15),
        "left_ear": (583, 15),
        "right_ear": (4071, 15),
        "left_big_toe": (3216, 10),
        "left_small_toe": (3226, 10),
        "left_heel": (3387, 7),
        "right_big_toe": (6617, 11),
        "right_small_toe": (6624, 11),
        "right_heel": (6787, 8),
    }
)
"""(vertex, joint that carries it: head, toe base or ankle). The numbers are those by which the `smplx` package extends
SMPL's joints to COCO's and OpenPose's (its vertex_ids). Its fingertips are left out: the fit has 24 joints, so its
fingers never bend. Elbow points and hollows and the tops of the shoulders have no number with a source."""

VERTICES: NDArray[np.int64] = np.array([vertex for vertex, _ in FROM_VERTEX.values()], np.int64)
"""(11,) the vertices of FROM_VERTEX, in its order."""

DOUBTFUL = 0.25
"""Metres of uncertainty from which NLF itself takes a point for badly localised (`is_uncertainty_low`)."""

_JOINT_KEYPOINTS = [INDEX[name] for name in FROM_JOINT]
_JOINTS = list(FROM_JOINT.values())
_VERTEX_KEYPOINTS = [INDEX[name] for name in FROM_VERTEX]
_CARRIERS = [joint for _, joint in FROM_VERTEX.values()]


def keypoints(people: NlfPeople) -> NDArray[np.float64]:
    """The keypoints of n people.

    Joints are the localised ones, more exact than those of the fitted body. Of vertices NLF localises a subset that
    holds none of ours: those are taken from the fitted body, and moved along as the joint that carries them was moved
    by the fit.

    Args:
        people: whose `fitted_vertices` begin with VERTICES.

    Returns:
        (n, 70, 3) metres, camera axes; NaN for hands, elbow points and hollows, and tops of the shoulders.
    """
    found = np.full((len(people), MHR70_COUNT, 3), np.nan)
    found[:, _JOINT_KEYPOINTS] = people.joints[:, _JOINTS]
    moved = people.joints[:, _CARRIERS] - people.fitted_joints[:, _CARRIERS]
    found[:, _VERTEX_KEYPOINTS] = _fitted(people) + moved
    return found


def uncertainties(people: NlfPeople) -> NDArray[np.float64]:
    """Uncertainty of each keypoint: its joint's, or that of the localised point of the surface that is nearest to it.

    Args:
        people: as for `keypoints`.

    Returns:
        (n, 70) metres; NaN where there is no keypoint.
    """
    found = np.full((len(people), MHR70_COUNT), np.nan)
    found[:, _JOINT_KEYPOINTS] = people.joint_uncertainty[:, _JOINTS]
    found[:, _VERTEX_KEYPOINTS] = people.joint_uncertainty[:, _CARRIERS]
    if people.points.shape[1]:
        apart = _fitted(people)[:, :, None] - people.points[:, None]
        nearest = np.square(apart).sum(axis=-1).argmin(axis=-1)
        found[:, _VERTEX_KEYPOINTS] = np.take_along_axis(people.point_uncertainty, nearest, axis=1)
    return found


def confidence(uncertainty: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(-(u / DOUBTFUL)^2): 1 for a sure point, 0.85 at 0.1 m, 0.37 at DOUBTFUL, 0.02 at half a metre.

    A monotone map whose scale is NLF's own threshold, not a calibrated probability.

    Args:
        uncertainty: any shape, metres, NaN where there is no point.

    Returns:
        The same shape in [0, 1]; 0 where there is no point.
    """
    return np.where(np.isfinite(uncertainty), np.exp(-np.square(uncertainty / DOUBTFUL)), 0.0)


def _fitted(people: NlfPeople) -> NDArray[np.float64]:
    return people.fitted_vertices[:, : len(VERTICES)].astype(np.float64)
