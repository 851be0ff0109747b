"""From a person's BlazePose landmarks over time to a body: placed, lifted onto rays, with one set of bones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.artifacts.bodies import PersonBody
from common.artifacts.body_projection import project_keypoints
from common.skeletons import BLAZEPOSE_COUNT, BLAZEPOSE_HIPS
from stages.body.keypoints import confidence_to_mhr70, landmark_confidence, to_mhr70
from stages.body.lifting import bone_lengths, onto_rays, with_bone_lengths
from stages.body.placement import Intrinsics, place

_CHUNK = 2048  # frames that are worked on at once, to bound memory: about 30 MB; chosen by hand


@dataclass(frozen=True)
class LandmarkTrack:
    """One person's landmarks in N frames, in order.

    Attributes:
        frame: (N,) int64.
        image: (N, 33, 2) floating, pixels.
        world: (N, 33, 3) floating, metres, camera axes, origin between the hips.
        visibility: (N, 33) floating in [0, 1].
        presence: (N, 33) floating in [0, 1].
        hidden: (N, 33) bool, on somebody else's pixels.
        box: (N, 4) float64, inclusive pixels of the person's mask.
    """

    frame: NDArray[np.int64]
    image: NDArray[np.floating[Any]]
    world: NDArray[np.floating[Any]]
    visibility: NDArray[np.floating[Any]]
    presence: NDArray[np.floating[Any]]
    hidden: NDArray[np.bool_]
    box: NDArray[np.float64]


def body_from_landmarks(
    person: int,
    track: LandmarkTrack,
    times: NDArray[np.float64],
    *,
    camera: Intrinsics,
    height: int,
    width: int,
) -> PersonBody:
    """The body of a person, its mid-hip at the origin wherever it could be placed.

    Where it could not (too few confident joints) the translation is NaN and the 3D keypoints stay BlazePose's.

    Args:
        person: local id.
        track: its landmarks.
        times: (frames,) seconds, of all frames of the video.
        camera: how pixels and rays correspond.
        height: of the frames, pixels.
        width: likewise.
    """
    rows = len(track.frame)
    chunks = _chunks(rows)
    joints, confidence = (
        np.empty((rows, BLAZEPOSE_COUNT, 3), np.float32),
        np.empty((rows, BLAZEPOSE_COUNT), np.float32),
    )
    translation = np.empty((rows, 3))
    for chunk in chunks:
        world, image = track.world[chunk].astype(np.float64), track.image[chunk].astype(np.float64)
        trust = landmark_confidence(
            track.visibility[chunk],
            track.presence[chunk],
            image,
            height=height,
            width=width,
            hidden=track.hidden[chunk],
        )
        placement = place(world, image, trust, camera=camera)
        joints[chunk] = onto_rays(world, image, placement, camera=camera)
        translation[chunk], confidence[chunk] = placement.translation, trust
    lengths = bone_lengths(joints, confidence)
    for chunk in chunks:
        placed = with_bone_lengths(joints[chunk].astype(np.float64), lengths, translation=translation[chunk])
        hips = placed[:, list(BLAZEPOSE_HIPS)].mean(axis=1)
        joints[chunk] = placed - hips[:, None]
        translation[chunk] += hips
    keypoints, moved = to_mhr70(joints), translation.astype(np.float32)
    focal = np.tile(camera.focal.astype(np.float32), (rows, 1))
    centre = np.tile(camera.centre.astype(np.float32), (rows, 1))
    return PersonBody(
        person=person,
        frame_indices=track.frame.astype(np.int32),
        pred_keypoints_3d=keypoints,
        pred_keypoints_2d=project_keypoints(keypoints, moved, focal=focal, principal_point=centre),
        pred_cam_t=moved,
        focal_length=np.full(rows, camera.focal.mean(), np.float32),
        bbox=track.box.astype(np.float32),
        times=times[track.frame],
        confidence=confidence_to_mhr70(confidence),
        principal_point=centre,
        focal_xy=focal,
        observed_keypoints_2d=to_mhr70(track.image).astype(np.float32),
    )


def reprojection_px(body: PersonBody) -> NDArray[np.float64]:
    """Root mean square distance of the keypoints in the image and projected 3D ones, weighted by confidence.

    Args:
        body: a person.

    Returns:
        (N,) pixels, one per frame; NaN where the person could not be placed. Next to nothing for backends that observe
        nothing in the image apart from the body that they place.
    """
    residual = np.empty(len(body))
    for chunk in _chunks(len(body)):
        joints, place = body.pred_keypoints_3d[chunk].astype(np.float64), body.pred_cam_t[chunk].astype(np.float64)
        points = joints + place[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = points[..., :2] / points[..., 2:] * body.focal[chunk, None] + body.principal_point[chunk, None]
        squares = np.square(pixels - body.image_keypoints[chunk]).sum(axis=2)
        good = np.isfinite(squares)
        weight = np.where(good, body.confidence[chunk], 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (weight * np.where(good, squares, 0.0)).sum(axis=1) / weight.sum(axis=1)
        residual[chunk] = np.sqrt(mean)
    return residual


def _chunks(rows: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, rows, _CHUNK)]
