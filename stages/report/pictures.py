"""Frames with people drawn on them, as JPEG data URIs that fit into a page."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from common.artifacts import bodies
from common.artifacts.masks import Masks
from common.drawing import Drawn, draw_people, fitting_size
from common.errors import BadInput
from common.media.decode import read_frames
from stages.report.gather import Evidence, VideoEvidence
from stages.report.looks import look

HEIGHT = 360
"""Of a picture, pixels; smaller frames are not enlarged."""

_STEPS = ((80, 1.0), (65, 1.0), (50, 1.0), (50, 0.75), (40, 0.5), (30, 0.3))
"""JPEG quality and scale, tried in turn until all pictures together fit."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame with people drawn on it.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        seconds: its PTS.
        frame: its index.
        people: what is written at the people in it.
        corrupt: whether the decoder found it damaged.
    """

    image: npt.NDArray[np.uint8]
    seconds: float
    frame: int
    people: tuple[str, ...]
    corrupt: bool


@dataclass(frozen=True)
class Jpeg:
    """A picture ready for the page."""

    uri: str
    width: int
    height: int


def draw_frames(evidence: Evidence, video: str, indices: Iterable[int]) -> dict[int, Picture]:
    """Some frames of a video with everybody drawn on them, by index; those that cannot be decoded are missing.

    Args:
        evidence: of the scene.
        video: one that has a recording and a time table.
        indices: frames.

    Raises:
        BadInput: the recording, the masks or the bodies cannot be read.
        OSError: likewise.
    """
    found = evidence.videos[video]
    if found.frames is None or found.recording is None:
        return {}
    wanted = sorted({*indices})
    full_size = found.frames.properties.width, found.frames.properties.height
    labels = _labels(found, wanted)
    people = _people(evidence, found, wanted)
    pictures = {}
    size = fitting_size(*full_size, max_height=HEIGHT)
    with read_frames(found.recording, found.frames.table, wanted, size=size) as stream:
        for frame in stream:
            drawn = draw_people(frame.image, people[frame.index], full_size=full_size, labels=labels.get(frame.index))
            present = tuple(how.text for how in people[frame.index].values())
            pictures[frame.index] = Picture(drawn, frame.seconds, frame.index, present, frame.corrupt)
    return pictures


def encode_all(pictures: Sequence[npt.NDArray[np.uint8]], *, budget: int) -> list[Jpeg]:
    """All pictures as JPEG, with one quality for all: the best at which they take at most `budget` characters.

    Args:
        pictures: (h, w, 3) uint8 RGB each.
        budget: characters of all data URIs together. If even the smallest does not fit, it is returned anyway.
    """
    encoded: list[Jpeg] = []
    for quality, scale in _STEPS:
        encoded = [_encode(image, quality=quality, scale=scale) for image in pictures]
        if sum(len(jpeg.uri) for jpeg in encoded) <= budget:
            break
    return encoded


def _encode(image: npt.NDArray[np.uint8], *, quality: int, scale: float) -> Jpeg:
    height, width = image.shape[:2]
    if scale < 1:
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    done, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), parameters)
    if not done:
        raise BadInput(f"a picture of {width} x {height} cannot be encoded as JPEG")
    return Jpeg(f"data:image/jpeg;base64,{base64.b64encode(content.tobytes()).decode()}", width, height)


def _labels(found: VideoEvidence, wanted: Sequence[int]) -> dict[int, npt.NDArray[np.uint16]]:
    if found.masks is None:
        return {}
    with Masks.open(found.masks) as masks:
        return {frame: masks.labels(frame) for frame in wanted if frame in masks.frames}


def _people(evidence: Evidence, found: VideoEvidence, wanted: Sequence[int]) -> Mapping[int, dict[int, Drawn]]:
    """{frame: {local id: how to draw}} of those who are in the frame."""
    people: dict[int, dict[int, Drawn]] = {frame: {} for frame in wanted}
    estimated = bodies.load(found.bodies) if found.bodies is not None else {}
    for person in found.persons:
        text, colour = look(evidence, found.video, person)
        body = estimated.get(person)
        rows = {} if body is None else {frame: row for row, frame in enumerate(body.frame_indices.tolist())}
        for frame in wanted:
            if body is not None and frame in rows:
                row = rows[frame]
                people[frame][person] = Drawn(colour, text, body.image_keypoints[row], body.confidence[row])
            elif is_seen(found, frame, person):
                people[frame][person] = Drawn(colour, text)
    return people


def is_seen(found: VideoEvidence, frame: int, person: int | None = None) -> bool:
    """Whether a person (or, without one, anybody) has a mask in a frame."""
    if found.people is None:
        return False
    low, high = np.searchsorted(found.people.frame, [frame, frame + 1])
    return bool(high > low) if person is None else bool((found.people.person[low:high] == person).any())
