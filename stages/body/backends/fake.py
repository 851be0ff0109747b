"""Bodies without a model: figures that stand where the masks are and move their limbs as a function of time.

Every person id has a motion of its own that does not repeat within minutes, the same in every video: two fake
videos synchronise by the difference of their time stamps. For tests of everything around the models.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.artifacts.bodies import PersonBody
from common.artifacts.body_projection import project_keypoints
from common.skeletons import INDEX, MHR70_COUNT, NECK
from stages.body.clip import Clip, OpenFrames

_HEIGHT = 1.75  # metres
_HIPS_TO_FEET = 0.9
_CONFIDENCE = 0.9
_SINES = 5


class FakeEstimator:
    """Looks at the boxes of the people and at nothing else; opens no frame."""

    remark = ""

    def estimate(self, clip: Clip, open_frames: OpenFrames) -> dict[int, PersonBody]:
        """See BodyEstimator."""
        rows = clip.wanted()
        people = np.unique(clip.people.person[rows]).tolist()
        return {person: _body(clip, rows[clip.people.person[rows] == person], person) for person in people}


def figure(times: NDArray[np.float64], *, seed: int) -> NDArray[np.float64]:
    """Keypoints (N, 70, 3) in metres, camera axes, of a figure that faces the camera and moves arms and legs.

    Args:
        times: (N,) seconds.
        seed: which motion.

    Returns:
        The origin is between the hips; NaN for hands and extra points.
    """
    points = np.full((len(times), MHR70_COUNT, 3), np.nan)

    def put(name: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
        points[:, INDEX[name]] = value
        return points[:, INDEX[name]]

    generator = np.random.default_rng(seed)
    for side, x in (("left", 0.1), ("right", -0.1)):  # who faces the camera has the left side on its right
        lift, swing, bend, stride, knee = (_wave(times, generator) for _ in range(5))
        shoulder = put(f"{side}_shoulder", np.array([1.8 * x, -0.5, 0.0]))
        elbow = put(f"{side}_elbow", shoulder + 0.28 * _direction(np.sign(x) * (0.7 + 0.6 * lift), 0.8 * swing))
        put(f"{side}_wrist", elbow + 0.25 * _direction(np.sign(x) * (0.4 + lift), 0.8 * swing - 0.8 - 0.7 * bend))
        hip = put(f"{side}_hip", np.array([x, 0.0, 0.0]))
        knee_point = put(f"{side}_knee", hip + 0.42 * _direction(0.1 * np.sign(x) + 0 * stride, 0.5 * stride))
        ankle = put(f"{side}_ankle", knee_point + 0.4 * _direction(0 * knee, 0.5 * stride + 0.4 + 0.4 * knee))
        put(f"{side}_heel", ankle + np.array([0.0, 0.06, 0.05]))
        put(f"{side}_big_toe", ankle + np.array([0.0, 0.08, -0.15]))
        put(f"{side}_eye", np.array([0.03 * np.sign(x), -0.72, -0.1]))
        put(f"{side}_ear", np.array([0.07 * np.sign(x), -0.7, 0.0]))
    put("nose", np.array([0.0, -0.68, -0.12]))
    points[:, NECK] = points[:, [INDEX["left_shoulder"], INDEX["right_shoulder"]]].mean(axis=1)
    return points


def _direction(sideways: NDArray[np.float64], forward: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) unit vectors that hang down, turned sideways (to +x) and forward (to the camera) by angles in radians."""
    return np.stack([np.sin(sideways), np.cos(sideways) * np.cos(forward), -np.cos(sideways) * np.sin(forward)], axis=1)


def _wave(times: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    """(N,) within [-1, 1]: sines of 0.2 to 1.5 Hz that have no common period."""
    hertz, phase = generator.uniform(0.2, 1.5, _SINES), generator.uniform(0, 2 * np.pi, _SINES)
    return np.asarray(np.sin(2 * np.pi * hertz * times[:, None] + phase).mean(axis=1))


def _body(clip: Clip, rows: NDArray[np.int64], person: int) -> PersonBody:
    box, frame = clip.people.box[rows], clip.people.frame[rows]
    points = figure(clip.times[frame], seed=person)
    size = np.maximum(box[:, 3] - box[:, 1], 1.0)
    depth = clip.camera.focal[1] * _HEIGHT / size
    hips = np.stack([(box[:, 0] + box[:, 2]) / 2, box[:, 3] - size * _HIPS_TO_FEET / _HEIGHT], axis=1)
    translation = np.column_stack([clip.camera.rays(hips) * depth[:, None], depth])
    seen = np.isfinite(points).all(axis=2)
    keypoints, moved = points.astype(np.float32), translation.astype(np.float32)
    focal = np.tile(clip.camera.focal.astype(np.float32), (len(rows), 1))
    centre = np.tile(clip.camera.centre.astype(np.float32), (len(rows), 1))
    return PersonBody(
        person=person,
        frame_indices=frame.astype(np.int32),
        pred_keypoints_3d=keypoints,
        pred_keypoints_2d=project_keypoints(keypoints, moved, focal=focal, principal_point=centre),
        pred_cam_t=moved,
        focal_length=np.full(len(rows), clip.camera.focal.mean(), np.float32),
        bbox=box.astype(np.float32),
        times=clip.times[frame],
        confidence=np.where(seen, _CONFIDENCE, 0.0).astype(np.float32),
        principal_point=centre,
        focal_xy=focal,
    )
