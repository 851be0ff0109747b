"""The last few frames, held back before they are published: who turns out to be real is followed into the past.

A person is found on a key frame, at most `detection_step` frames after they have come in. Of every frame since, a small
picture is kept, so that their track can be extended backwards to the moment of their entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from common.models.blazepose_landmarks import Landmarks33
from common.models.regions import Region
from stages.segment.tracks import Observation, Track, continues, same_person

SMALL_SIDE = 640
"""Longer side of the pictures that are kept, pixels: as sharp as the landmark model's crop of somebody 250 px tall."""

Observe = Callable[[NDArray[np.uint8], Region], Observation | None]
"""Who is in a region of an image."""


@dataclass(frozen=True, eq=False)
class HeldFrame:
    """A frame that has been looked at and not published yet.

    Attributes:
        index: in the video's time table.
        seconds: PTS.
        height: of the frame, pixels.
        width: of the frame, pixels.
        small: (h, w, 3) uint8 RGB, the frame at a smaller size.
        found: who was seen, by track number; grows while the frame is held.
    """

    index: int
    seconds: float
    height: int
    width: int
    small: NDArray[np.uint8]
    found: dict[int, Observation]


def shrink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image with its longer side reduced to SMALL_SIDE; itself a copy if it is not larger."""
    height, width = image.shape[:2]
    scale = SMALL_SIDE / max(height, width)
    if scale >= 1:
        return image.copy()
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Without averaging: the landmark model's own crop is no better, and this takes a tenth of the time.
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def trace_back(track: Track, held: Sequence[HeldFrame], observe: Observe) -> None:
    """Adds a person to the frames before the one where their track begins or resumes.

    Follows them backwards with the same rules as forwards, until somebody else is there, nobody is, or the track has
    been there already.

    Args:
        track: a track that is in the last of the frames.
        held: frames in order; their `found` is extended.
        observe: the landmark model.
    """
    first = len(held) - 1
    while first > 0 and track.number in held[first - 1].found:
        first -= 1
    last = held[first].found[track.number]
    for frame, following in zip(reversed(held[:first]), reversed(held[1 : first + 1]), strict=True):
        if track.number in frame.found:
            return
        scale = frame.small.shape[1] / frame.width
        seen = observe(frame.small, scaled_region(last.landmarks.next_region, scale))
        if seen is None:
            return
        seen = Observation(scaled(seen.landmarks, 1 / scale), seen.colours)
        if not continues(last, seen, apart=following.seconds - frame.seconds, colours=track.colours):
            return
        if any(same_person(seen, other) for other in frame.found.values()):
            return
        frame.found[track.number] = last = seen


def scaled_region(region: Region, scale: float) -> Region:
    """The same region in an image whose pixels are `1 / scale` times as large."""
    return Region((region.x + 0.5) * scale - 0.5, (region.y + 0.5) * scale - 0.5, region.side * scale, region.angle)


def scaled(landmarks: Landmarks33, scale: float) -> Landmarks33:
    """The same landmarks in an image whose pixels are `1 / scale` times as large; metres stay."""
    return replace(
        landmarks,
        image=(landmarks.image + 0.5) * scale - 0.5,
        depth=landmarks.depth * scale,
        region=scaled_region(landmarks.region, scale),
        next_region=scaled_region(landmarks.next_region, scale),
    )
