"""Which of NLF's poses cannot be the person that was asked for, and which are a neighbour's, found twice."""

from __future__ import annotations

import enum

import numpy as np
from numpy.typing import NDArray

from stages.body.backends.nlf_archive import NlfPeople
from stages.body.backends.nlf_keypoints import DOUBTFUL
from stages.body.placement import MIN_JOINTS, Intrinsics

_SURE_POINTS = 1 / 3  # more than that share of all points must be sure; NLF's `is_uncertainty_low`
_BOX_COVERED = 0.25  # share of the box that the pose's own must cover; NLF's `is_pose_consistent_with_box`
_SAME_POINT_M = 0.3  # NLF's `compute_pose_similarity`: points that far apart have nothing in common,
_WORST_POINTS = 5  # and the worst fifth of the points decides
_SAME_POSE = 0.4  # NLF's `pose_non_max_suppression`
_MIN_DEPTH_M = 0.05  # that of placement: nearer than that is inside the lens
_ON_MASK = 1 / 3  # of the joints that could lie on the person's mask; chosen by hand, a wrong person has about none
_MASK_MARGIN = 0.03  # of the box's longer side: masks are cut closer than limbs are localised; chosen by hand

_BONES: tuple[tuple[str, tuple[tuple[int, int], ...], float, float], ...] = (
    ("thigh", ((1, 4), (2, 5)), 0.15, 0.65),
    ("shin", ((4, 7), (5, 8)), 0.15, 0.65),
    ("upper arm", ((16, 18), (17, 19)), 0.10, 0.50),
    ("forearm", ((18, 20), (19, 21)), 0.08, 0.45),
)
"""Joints of SMPL, shortest and longest metres: from a child of two to beyond the tallest adult; chosen by hand."""


class Reason(enum.StrEnum):
    """Why a pose was rejected."""

    NOT_FINITE = "not finite"
    BEHIND = "behind the camera"
    UNCERTAIN = "uncertain"
    BONES = "bones too short or too long"
    OFF_BOX = "outside its box"
    OFF_MASK = "outside its mask"
    DUPLICATE = "the same pose as another person's"


def on_masks(masks: NDArray[np.bool_], image: NDArray[np.float64], *, radius: float = 0.0) -> NDArray[np.bool_]:
    """Which image points lie on which masks.

    Args:
        masks: (m, height, width).
        image: (J, 2) pixels, may lie outside or be NaN.
        radius: a point also lies on a mask that comes that close, in a square, pixels.

    Returns:
        (m, J); False outside the image.
    """
    height, width = masks.shape[1:]
    reach = round(radius)
    inside = inside_image(image, height=height, width=width)
    found = np.zeros((len(masks), len(image)), bool)
    for j in np.flatnonzero(inside).tolist():
        x, y = np.rint(image[j]).astype(np.int64).tolist()
        window = masks[:, max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
        found[:, j] = window.any(axis=(1, 2))
    return found


def inside_image(image: NDArray[np.float64], *, height: int, width: int) -> NDArray[np.bool_]:
    """(...) which points (..., 2) have a pixel that is nearest to them; not those that are NaN."""
    nearest = np.rint(image)
    return np.asarray(((nearest >= 0) & (nearest < [width, height])).all(axis=-1))


def reject(
    people: NlfPeople,
    boxes: NDArray[np.float64],
    masks: NDArray[np.bool_] | None,
    *,
    own: NDArray[np.int64],
    camera: Intrinsics,
) -> list[Reason | None]:
    """Why each of the n people of an image is rejected, None for those that are not.

    Args:
        people: what NLF says.
        boxes: (n, 4) x, y, width, height that it was asked about.
        masks: (m, height, width) of everybody in the image, or None.
        own: (n,) which mask is whose.
        camera: how pixels and rays correspond.
    """
    everything = np.concatenate([people.joints, people.points], axis=1)
    reasons: list[Reason | None] = [
        _reason(people[i : i + 1], everything[i], boxes[i], masks, int(own[i]), camera) for i in range(len(people))
    ]
    mean = np.concatenate([people.joint_uncertainty, people.point_uncertainty], axis=1).mean(axis=1)
    kept = np.array([reason is None for reason in reasons], bool)
    for i in duplicates(everything[kept], mean[kept]).tolist():
        reasons[int(np.flatnonzero(kept)[i])] = Reason.DUPLICATE
    return reasons


def _reason(
    person: NlfPeople,
    everything: NDArray[np.float64],
    box: NDArray[np.float64],
    masks: NDArray[np.bool_] | None,
    own: int,
    camera: Intrinsics,
) -> Reason | None:
    uncertainty = np.concatenate([person.joint_uncertainty[0], person.point_uncertainty[0]])
    if not all(np.isfinite(values).all() for values in vars(person).values()):
        return Reason.NOT_FINITE
    if person.joints[0, :, 2].min() < _MIN_DEPTH_M:
        return Reason.BEHIND
    if (uncertainty < DOUBTFUL).mean() <= _SURE_POINTS:
        return Reason.UNCERTAIN
    if not plausible_bones(person.joints[0]):
        return Reason.BONES
    if covered(box, camera.project(everything[everything[:, 2] >= _MIN_DEPTH_M])) <= _BOX_COVERED:
        return Reason.OFF_BOX
    if masks is not None and _off_mask(camera.project(person.joints[0]), masks, own, box):
        return Reason.OFF_MASK
    return None


def plausible_bones(joints: NDArray[np.float64]) -> bool:
    """Whether no long bone of SMPL joints (24, 3), metres, is shorter or longer than people have them."""
    return all(
        shortest <= float(np.linalg.norm(joints[a] - joints[b])) <= longest
        for _, pairs, shortest, longest in _BONES
        for a, b in pairs
    )


def covered(box: NDArray[np.float64], image: NDArray[np.float64]) -> float:
    """Share of a box (x, y, width, height) that the box of points (J, 2) covers. Points may leave the image."""
    start = np.maximum(box[:2], image.min(axis=0))
    stop = np.minimum(box[:2] + box[2:], image.max(axis=0))
    return float(np.prod(np.maximum(stop - start, 0.0)) / max(float(np.prod(box[2:])), 1e-9))


def _off_mask(image: NDArray[np.float64], masks: NDArray[np.bool_], own: int, box: NDArray[np.float64]) -> bool:
    """Whether too few joints lie on the person's mask, of those that neither the image's edge nor others hide."""
    on_own = on_masks(masks[own : own + 1], image, radius=_MASK_MARGIN * float(box[2:].max()))[0]
    hidden = np.delete(on_masks(masks, image), own, axis=0).any(axis=0)
    judged = inside_image(image, height=masks.shape[1], width=masks.shape[2]) & (on_own | ~hidden)
    return bool(judged.sum() >= MIN_JOINTS and on_own[judged].mean() < _ON_MASK)


def duplicates(poses: NDArray[np.float64], uncertainty: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which poses repeat a surer one: greedy non-maximum suppression, as NLF does it.

    Two poses are compared at the same scale (about the camera's centre, as distance and size of a body cannot be told
    apart): the mean of max(0, 1 - d / 0.3 m) over the fifth of the points with the largest distances d.

    Args:
        poses: (n, p, 3) metres, camera axes.
        uncertainty: (n,) mean uncertainty; who is least uncertain stays.

    Returns:
        Indices of the poses to drop, ascending.
    """
    kept: list[int] = []
    dropped: list[int] = []
    for i in np.argsort(uncertainty, kind="stable").tolist():
        same = any(similarity(poses[i], poses[j]) > _SAME_POSE for j in kept)
        (dropped if same else kept).append(i)
    return np.array(sorted(dropped), np.int64)


def similarity(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """How alike two poses (p, 3) are, from 0 to 1; see `duplicates`."""
    squares = np.array([np.square(one).mean(), np.square(other).mean()])
    scale = np.sqrt(squares.mean() / squares)
    apart = np.sort(np.linalg.norm(scale[0] * one - scale[1] * other, axis=1))
    worst = apart[-max(len(apart) // _WORST_POINTS, 1) :]
    return float(np.maximum(1 - worst / _SAME_POINT_M, 0.0).mean())
