"""The backend without models: two walkers drawn by arithmetic, the same in every run, whatever the video shows.

It needs no weights, yet what it returns is what a real backend returns: silhouettes that move and meet, ids, and
landmarks in pixels and metres that fit them. Of the pixels it looks at the brightness alone: in a black frame there is
nobody, so that a recording without people can be made. Movement is a function of the frame's time, so two
videos of which one starts later show the same walk shifted, and the stages after this one have something to find.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from common.artifacts.label_geometry import exclusive_labels
from common.device_names import RanOn
from common.models.blazepose_landmarks import POINTS, SIDE, Landmarks33
from common.models.regions import Region, paste_back, region_from_points
from stages.segment.backends import Tracked, TrackFrame

if TYPE_CHECKING:
    from common.media.decode import Frame

FOCAL = 1.0
"""Focal length of the imagined camera, in longer sides of the frame."""

DARK = 8.0
"""Mean value of a frame's pixels, of 255, below which the walkers are not there; chosen by hand (black has 0)."""

_DISTANCES = (4.0, 5.0)  # metres from the camera, one per walker
_RADIUS = 1.05  # metres from the hips that a body reaches with raised arms
_PAST_THE_HEAD = 0.12  # metres from the face's landmarks to the top of the head

# Lengths in metres of a body 1.75 m tall, rounded from Winter, "Biomechanics and Motor Control" (2009), figure 4.1.
_SHOULDER, _HIP, _TORSO, _NECK = 0.20, 0.10, 0.50, 0.20
_UPPER_ARM, _FOREARM, _THIGH, _SHANK = 0.32, 0.26, 0.43, 0.43

# Offsets of landmarks 0-10 from the middle of the head: x (the person's left), y down, z (negative is to the front).
_FACE = np.array(
    [
        (0, 0, -0.11), (0.02, -0.04, -0.10), (0.035, -0.04, -0.10), (0.05, -0.04, -0.09), (-0.02, -0.04, -0.10),
        (-0.035, -0.04, -0.10), (-0.05, -0.04, -0.09), (0.08, -0.02, 0), (-0.08, -0.02, 0), (0.03, 0.05, -0.09),
        (-0.03, 0.05, -0.09),
    ]
)  # fmt: skip

_TORSO_OUTLINE = [11, 12, 24, 23]
_LIMBS = (  # chains of landmarks and how thick they are drawn, metres
    ((11, 13, 15, 19), 0.09), ((12, 14, 16, 20), 0.09), ((23, 25, 27, 31), 0.14), ((24, 26, 28, 32), 0.14),
    ((*_TORSO_OUTLINE, 11), 0.10),
)  # fmt: skip


class FakeSegmenter:
    """Two walkers in front of an imagined camera in the middle of the frame."""

    gives_landmarks = True
    runs_elsewhere = False
    remark = ""
    ran_on = RanOn()

    def segment(self, frames: Iterable[Frame]) -> Iterator[TrackFrame]:
        """One result per frame, at once; nobody is in frames that are darker than DARK."""
        for frame in frames:
            height, width = frame.image.shape[:2]
            walkers = range(len(_DISTANCES)) if frame.image.mean() >= DARK else ()
            people = [_person(number, frame.seconds, height=height, width=width) for number in walkers]
            seen = [person for person in people if person is not None]
            masks = [(tracked.id, probability, origin) for tracked, probability, origin in seen]
            labels = exclusive_labels(masks, height=height, width=width)
            yield TrackFrame(frame.index, frame.seconds, labels, tuple(tracked for tracked, _, _ in seen))


def body_at(seconds: float, *, walker: int) -> NDArray[np.float64]:
    """The landmarks of a walker at a time.

    The frequencies share no period within minutes, so that no two moments look alike.

    Args:
        seconds: time.
        walker: 0 or 1; they move differently.

    Returns:
        (33, 3) float64, metres, camera axes, origin between the hips.
    """
    phase = 0.37 * walker
    turn = 2 * math.pi

    def wave(amplitude: float, hertz: float, shift: float = 0.0) -> float:
        return amplitude * math.sin(turn * (hertz * (1 + 0.13 * walker) * seconds + shift + phase))

    points = np.zeros((POINTS, 3))
    points[[11, 12]] = (_SHOULDER, -_TORSO, 0), (-_SHOULDER, -_TORSO, 0)
    points[[23, 24]] = (_HIP, 0, 0), (-_HIP, 0, 0)
    points[:11] = _FACE + np.array([0, -_TORSO - _NECK, 0])
    for side, sign in ((0, 1), (1, -1)):
        arm = sign * wave(0.6, 0.9) + wave(0.5, 0.23, side * 0.3) + 0.3
        elbow = 0.6 + wave(0.5, 0.41, side * 0.21)
        points[13 + side] = points[11 + side] + _limb(_UPPER_ARM, arm)
        points[15 + side] = points[13 + side] + _limb(_FOREARM, arm + elbow)
        for landmark, reach in ((17, 0.08), (19, 0.09), (21, 0.05)):
            points[landmark + side] = points[15 + side] + _limb(reach, arm + elbow)
        leg = -sign * wave(0.45, 0.9) + wave(0.1, 0.31)
        knee = -0.35 + wave(0.3, 0.57, side * 0.4)
        points[25 + side] = points[23 + side] + _limb(_THIGH, leg)
        points[27 + side] = points[25 + side] + _limb(_SHANK, leg + knee)
        points[29 + side] = points[27 + side] + (0, 0.05, 0.04)
        points[31 + side] = points[27 + side] + (0, 0.06, -0.15)
    yaw = wave(0.7, 0.07) + wave(0.3, 0.19)
    cos, sin = math.cos(yaw), math.sin(yaw)
    turned: NDArray[np.float64] = points @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    return turned


def place_at(seconds: float, *, walker: int) -> NDArray[np.float64]:
    """(3,) metres, camera axes: where a walker's hips are; the two pass each other every 7 seconds."""
    sideways = 0.9 * math.cos(2 * math.pi * seconds / 14.0 + math.pi * walker)
    return np.array([sideways, 0.0, _DISTANCES[walker]])


def _limb(length: float, swing: float) -> NDArray[np.float64]:
    """A vector that hangs down at swing 0 and points at the camera at pi / 2."""
    return length * np.array([0.0, math.cos(swing), -math.sin(swing)])


def _person(
    walker: int, seconds: float, *, height: int, width: int
) -> tuple[Tracked, NDArray[np.float32], tuple[int, int]] | None:
    """A walker as seen by the camera, with the mask and its top left corner; None if not a single pixel shows."""
    world, place = body_at(seconds, walker=walker), place_at(seconds, walker=walker)
    focal, centre = FOCAL * max(height, width), np.array([(width - 1) / 2, (height - 1) / 2])
    in_camera = world + place
    image = in_camera[:, :2] / in_camera[:, 2:] * focal + centre
    pixels_per_metre = focal / place[2]
    hips = image[[23, 24]].mean(axis=0)
    region = region_from_points(hips, hips - (0, _RADIUS * pixels_per_metre))
    mask = _silhouette(image, region, pixels_per_metre)
    probability, origin = paste_back(mask, region, height=height, width=width)
    if not probability.size:
        return None
    inside = ((image >= -0.5) & (image < (width - 0.5, height - 0.5))).all(axis=1)
    landmarks = Landmarks33(
        image=image,
        world=world,
        depth=world[:, 2] * pixels_per_metre,
        visibility=np.where(inside, 0.95, 0.05),
        presence=np.where(inside, 1.0, 0.0),
        score=1.0,
        mask=mask,
        region=region,
        next_region=region,
    )
    return Tracked(walker + 1, 1.0, landmarks=landmarks), probability, origin


def _silhouette(image: NDArray[np.float64], region: Region, pixels_per_metre: float) -> NDArray[np.float32]:
    """(256, 256) float32, 0 or 1: limbs, torso and head drawn into the region's crop."""
    to_image = region.to_image(SIDE)
    points = np.linalg.solve(to_image[:, :2], (image - to_image[:, 2]).T).T.round().astype(np.int32)
    per_metre = pixels_per_metre * SIDE / region.side
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillConvexPoly(canvas, cv2.convexHull(points[_TORSO_OUTLINE]), 1)
    for chain, thickness in _LIMBS:
        cv2.polylines(canvas, [points[list(chain)]], False, 1, max(1, round(thickness * per_metre)))
    head = points[[7, 8]].mean(axis=0).round().astype(int)
    cv2.circle(canvas, (int(head[0]), int(head[1])), max(1, round(_PAST_THE_HEAD * per_metre)), 1, -1)
    return canvas.astype(np.float32)
