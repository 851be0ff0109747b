"""Better 3D joints from one view: onto their image rays, then towards constant, symmetric bone lengths.

BlazePose estimates metric joints and image points separately, and its image points are the better half: on the
demo 10-23 px, or 20-45 mm, against 66-97 mm of the metric joints. So across the ray the image decides, and along it
the metric joints and the lengths of the bones. PA-MPJPE of 12 joints on the demo, mean of four cameras with an assumed
focal length (with the known one): 85.1 (85.1) mm as it comes, 80.6 (79.8) on the rays, 77.5 (76.4) with bone lengths,
whose spread falls from 7 to 3 %.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.skeletons import BLAZEPOSE_HIPS, BLAZEPOSE_SHOULDERS
from stages.body.placement import Intrinsics, Placement

_BONE_PAIRS = (  # BlazePose: the same bone left and right
    ((11, 13), (12, 14)),  # upper arm
    ((13, 15), (14, 16)),  # forearm
    ((23, 25), (24, 26)),  # thigh
    ((25, 27), (26, 28)),  # shin
    (BLAZEPOSE_SHOULDERS, BLAZEPOSE_SHOULDERS),
    (BLAZEPOSE_HIPS, BLAZEPOSE_HIPS),
)  # not the trunk: it bends
_JOINTS = np.array([11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28])
_FOLLOWERS = {15: [17, 19, 21], 16: [18, 20, 22], 27: [29, 31], 28: [30, 32]}  # hands and feet keep their shape
_HEAD = list(range(11))

_DEPTH_SIGMA = 0.10  # metres along the ray: what is left of BlazePose's error on the demo when the rays are right
_BONE_SIGMA = 0.04  # metres: how far its median bone lengths are from the reference's on the demo (10-80 mm)
_MIN_FRAMES = 5  # by hand: a bone seen less often has no length; a count, as the median of a constant takes samples
_CONFIDENT = 0.5  # of both ends, for a bone to be measured
_ROUNDS = 6  # Gauss-Newton; the largest change is below 1 mm after four on the demo
_MAX_STEP = 0.1  # metres per round; a bone across the view has no gradient along the ray


def onto_rays(
    world: NDArray[np.float64], image: NDArray[np.float64], placement: Placement, *, camera: Intrinsics
) -> NDArray[np.float64]:
    """Joints moved sideways onto the rays of their image points; depths stay.

    A joint whose image point disagrees (`placement.inlier` < 1) is moved by that fraction of the way, which
    bounds how far a wrong image point can pull it.

    Args:
        world: (N, J, 3) metres, camera axes, relative to `placement.translation`.
        image: (N, J, 2) pixels.
        placement: where the bodies stand.
        camera: how pixels and rays correspond.

    Returns:
        (N, J, 3) as `world`; unchanged in frames without a translation.
    """
    in_camera = world + placement.translation[:, None]
    on_ray = camera.rays(image) * in_camera[..., 2:]
    move = (on_ray - in_camera[..., :2]) * placement.inlier[..., None]
    lifted = world.copy()
    lifted[..., :2] += np.where(np.isfinite(move), move, 0.0)
    return lifted


def bone_lengths(joints: NDArray[np.floating[Any]], confidence: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Length of each of the 6 kinds of bones of one person: the median over time, left and right averaged.

    Args:
        joints: (N, 33, 3) metres.
        confidence: (N, 33).

    Returns:
        (6,) metres; NaN for a bone that was seen in too few frames.
    """
    lengths = np.full(len(_BONE_PAIRS), np.nan)
    for kind, sides in enumerate(_BONE_PAIRS):
        medians = []
        for a, b in sides:
            good = np.minimum(confidence[:, a], confidence[:, b]) >= _CONFIDENT
            length = np.linalg.norm(joints[good, a] - joints[good, b], axis=1)
            length = length[np.isfinite(length)]
            if len(length) >= _MIN_FRAMES:
                medians.append(float(np.median(length)))
        if medians:
            lengths[kind] = np.mean(medians)
    return lengths


def with_bone_lengths(
    joints: NDArray[np.float64],
    lengths: NDArray[np.float64],
    *,
    translation: NDArray[np.float64],
    depth_sigma: float = _DEPTH_SIGMA,
    bone_sigma: float = _BONE_SIGMA,
) -> NDArray[np.float64]:
    """Joints moved along their rays so that bones come near their lengths: the most probable depths.

    Minimises, frame by frame, sum (dz / depth_sigma)^2 + sum ((|bone| - length) / bone_sigma)^2 over the depths of
    twelve joints by Gauss-Newton. Feet follow the ankles, hands the wrists, the head the shoulders. Image positions
    stay what they are.

    Args:
        joints: (N, 33, 3) metres, camera axes, relative to `translation`.
        lengths: (6,) from `bone_lengths`; NaN takes a bone out.
        translation: (N, 3) metres, camera axes; frames with NaN stay unchanged.
        depth_sigma: standard deviation of the joints' depths, metres.
        bone_sigma: standard deviation of the lengths, metres.
    """
    ends, goal = [], []
    for sides, length in zip(_BONE_PAIRS, lengths, strict=True):
        for a, b in dict.fromkeys(sides):
            if np.isfinite(length):
                ends.append((int(np.searchsorted(_JOINTS, a)), int(np.searchsorted(_JOINTS, b))))
                goal.append(length)
    in_camera = joints + translation[:, None]
    good = np.isfinite(in_camera[:, _JOINTS]).all(axis=(1, 2)) & (in_camera[..., 2].min(axis=1) > 0)
    if not ends or not good.any():
        return joints.copy()
    first, second = np.array(ends).T
    start = in_camera[good][:, _JOINTS]
    rays = start / start[..., 2:]
    shift = np.zeros(start.shape[:2])
    rows = np.arange(len(ends))
    for _ in range(_ROUNDS):
        here = start + rays * shift[..., None]
        bone = here[:, first] - here[:, second]
        length = np.maximum(np.linalg.norm(bone, axis=2), 1e-6)
        direction = bone / length[..., None]
        jacobian = np.zeros((len(here), len(ends), len(_JOINTS)))
        jacobian[:, rows, first] = (direction * rays[:, first]).sum(axis=2) / bone_sigma
        jacobian[:, rows, second] = -(direction * rays[:, second]).sum(axis=2) / bone_sigma
        error = (length - np.array(goal)) / bone_sigma
        normal = np.einsum("nbi,nbj->nij", jacobian, jacobian) + np.eye(len(_JOINTS)) / depth_sigma**2
        right = -np.einsum("nbi,nb->ni", jacobian, error) - shift / depth_sigma**2
        step = np.linalg.solve(normal, right[..., None])[..., 0]
        shift += step.clip(-_MAX_STEP, _MAX_STEP)
    whole = np.zeros(joints.shape[:2])
    whole[np.ix_(good, _JOINTS)] = shift
    for joint, followers in _FOLLOWERS.items():
        whole[:, followers] = whole[:, [joint]]
    whole[:, _HEAD] = whole[:, list(BLAZEPOSE_SHOULDERS)].mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = joints + in_camera / in_camera[..., 2:] * whole[..., None]
    return np.where(good[:, None, None], moved, joints)
