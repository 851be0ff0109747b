"""Bodies from BlazePose heavy on a CPU.

Where `segment` published landmarks, the model has already looked at every person. It looks again only where somebody
else's mask touches the person's, with the others painted over; with masks from elsewhere it looks at everybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.artifacts.bodies import PersonBody
from common.artifacts.landmarks import Landmarks
from common.models.blazepose_landmarks import SIDE, LandmarkModel, Landmarks33
from common.models.regions import Region
from common.skeletons import BLAZEPOSE_COUNT
from stages.body.assemble import LandmarkTrack, body_from_landmarks
from stages.body.clip import Clip, OpenFrames
from stages.body.overlap import NEAR, Crowding, boxes_close, crowding, hidden_by_others

_SCORE = 0.5  # BlazePose's own threshold: below it the crop shows nobody
_BOX_TO_CIRCLE = 1.25  # side of the crop over the box's longer side; the model was trained with that margin
_TURNED = np.deg2rad(20)  # a body lying or bending more than that is looked at a second time, upright
_SHIFTED = 0.15  # likewise a crop that is off by that share of its side; both chosen by hand


class Model(Protocol):
    """What is used of LandmarkModel."""

    def run(
        self, image: NDArray[np.uint8], region: Region, *, suppress: NDArray[np.bool_] | None = None
    ) -> Landmarks33:
        """Landmarks in a crop."""
        ...


@dataclass(frozen=True)
class _Seen:
    """The landmarks of one person in one frame."""

    image: NDArray[np.float32]
    world: NDArray[np.float32]
    visibility: NDArray[np.float32]
    presence: NDArray[np.float32]
    hidden: NDArray[np.bool_]


@dataclass(frozen=True)
class _Found:
    """Where the landmarks of every row of `clip.people` are.

    Attributes:
        source: (m,) row of the published landmarks, -1 if there is none or it is not to be used.
        again: (m,) bool, published but confused with somebody else.
        hidden: (m, 33) bool, published landmarks on somebody else's pixels.
        seen: by row, what the model saw here.
    """

    source: NDArray[np.int64]
    again: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    seen: dict[int, _Seen]


class EmbeddedEstimator:
    """BlazePose heavy; loads the model only if some frame needs it."""

    remark = ""

    def __init__(self, model: Path | Model) -> None:
        """Remembers the model.

        Args:
            model: path of `pose_landmark_heavy.tflite`, or a loaded model.
        """
        self._model = model

    def estimate(self, clip: Clip, open_frames: OpenFrames) -> dict[int, PersonBody]:
        """See BodyEstimator.

        Raises:
            ModelUnavailable: the model is needed and cannot be loaded.
            BadInput: a mask is damaged.
        """
        rows = clip.wanted()
        found = _published(clip, rows)
        todo = rows[found.again[rows] | (found.source[rows] < 0)]
        if todo.size:
            for row, seen in self._look(clip, todo, found, open_frames):
                found.source[row] = -1
                if seen is not None:
                    found.seen[row] = seen
        return _bodies(clip, found)

    def _look(
        self, clip: Clip, rows: NDArray[np.int64], published: _Found, open_frames: OpenFrames
    ) -> Iterator[tuple[int, _Seen | None]]:
        """Landmarks of these rows of `clip.people` by running the model; None where it sees nobody."""
        model = LandmarkModel(self._model) if isinstance(self._model, Path) else self._model
        following: dict[int, Region] = {}
        by_frame = np.split(rows, np.flatnonzero(np.diff(clip.people.frame[rows])) + 1)
        rows_of = {int(clip.people.frame[group[0]]): group for group in by_frame}
        for frame in open_frames(np.array(sorted(rows_of), np.int64)):
            labels = clip.masks.labels(frame.index)
            for row in rows_of[frame.index].tolist():
                person = int(clip.people.person[row])
                source = int(published.source[row])
                if clip.landmarks is not None and source >= 0:
                    found = _run(model, frame.image, labels, person, _region(clip.landmarks.region[source]))
                else:
                    found = _search(
                        model, frame.image, labels, person, clip.people.box[row], following.pop(person, None)
                    )
                if found.score < _SCORE:
                    yield row, None
                    continue
                following[person] = found.next_region
                yield row, _keep(found, hidden_by_others(labels, person, found.image))


def _published(clip: Clip, rows: NDArray[np.int64]) -> _Found:
    """What `segment` published for these rows, and which of them need another look."""
    everybody = len(clip.people.frame)
    found = _Found(
        source=np.full(everybody, -1, np.int64),
        again=np.zeros(everybody, bool),
        hidden=np.zeros((everybody, BLAZEPOSE_COUNT), bool),
        seen={},
    )
    landmarks = clip.landmarks
    if landmarks is None:
        return found
    found.source[rows] = _find(landmarks, clip.people.person[rows], clip.people.frame[rows])
    have = rows[found.source[rows] >= 0]
    # NEAR crop pixels, in image pixels.
    margins = landmarks.region[found.source[have], 2].astype(np.float64) * (NEAR + 1) / SIDE
    frame, labels = -1, None
    for row in have[boxes_close(clip.people, have, margins=margins)].tolist():
        person, at = int(clip.people.person[row]), int(found.source[row])
        if labels is None or frame != clip.people.frame[row]:
            frame = int(clip.people.frame[row])
            labels = clip.masks.labels(frame)
        found.hidden[row] = hidden_by_others(labels, person, landmarks.image[at].astype(np.float64))
        found.again[row] = crowding(labels, person, _region(landmarks.region[at])).confusing
    return found


def _find(landmarks: Landmarks, person: NDArray[np.int64], frame: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) rows of `landmarks` with these persons and frames; -1 where there is none."""
    keys = landmarks.person.astype(np.int64) << 32 | landmarks.frame
    wanted = person << 32 | frame
    at = np.searchsorted(keys, wanted).clip(0, len(keys) - 1)
    return np.where(keys[at] == wanted, at, -1)


def _region(row: NDArray[np.float32]) -> Region:
    x, y, side, angle = row.tolist()
    return Region(x, y, side, angle)


def _run(
    model: Model, image: NDArray[np.uint8], labels: NDArray[np.uint16], person: int, region: Region
) -> Landmarks33:
    crowd: Crowding = crowding(labels, person, region)
    return model.run(image, region, suppress=crowd.others if crowd.others.any() else None)


def _search(
    model: Model,
    image: NDArray[np.uint8],
    labels: NDArray[np.uint16],
    person: int,
    box: NDArray[np.float64],
    previous: Region | None,
) -> Landmarks33:
    """Landmarks of a person of whom only the mask is known.

    Starts from the previous frame's landmarks if they agree with the mask's box, else from the box, and looks a
    second time where the first look shows that the crop was turned or shifted.
    """
    if previous is not None and _agrees(previous, box):
        found = _run(model, image, labels, person, previous)
        if found.score >= _SCORE:
            return found
    start = region_of_box(box)
    found = _run(model, image, labels, person, start)
    if found.score < _SCORE:
        return found
    better = found.next_region
    if not better.usable:  # hips and head in one point
        return found
    off = np.hypot(better.x - start.x, better.y - start.y) / start.side
    if abs(better.angle) < _TURNED and off < _SHIFTED and abs(np.log(better.side / start.side)) < _SHIFTED:
        return found
    again = _run(model, image, labels, person, better)
    return again if again.score >= found.score else found


def region_of_box(box: NDArray[np.float64]) -> Region:
    """An upright crop around a mask's box (x1, y1, x2, y2)."""
    x1, y1, x2, y2 = box.tolist()
    return Region((x1 + x2) / 2, (y1 + y2) / 2, max(x2 - x1, y2 - y1, 1.0) * _BOX_TO_CIRCLE, 0.0)


def _agrees(region: Region, box: NDArray[np.float64]) -> bool:
    """Whether a crop from an earlier frame can be of the person with this box."""
    x1, y1, x2, y2 = (float(edge) for edge in box)
    size = max(x2 - x1, y2 - y1) * _BOX_TO_CIRCLE
    inside = x1 <= region.x <= x2 and y1 <= region.y <= y2
    return inside and 0.5 < region.side / max(size, 1.0) < 2.0


def _keep(found: Landmarks33, hidden: NDArray[np.bool_]) -> _Seen:
    """What is needed of a result, without its mask: this is held for the whole video, 1 kB per person and frame."""
    return _Seen(
        found.image.astype(np.float32),
        found.world.astype(np.float32),
        found.visibility.astype(np.float32),
        found.presence.astype(np.float32),
        hidden,
    )


def _bodies(clip: Clip, found: _Found) -> dict[int, PersonBody]:
    has = found.source >= 0
    has[list(found.seen)] = True
    bodies: dict[int, PersonBody] = {}
    for person in np.unique(clip.people.person[has]).tolist():
        mine = np.flatnonzero(has & (clip.people.person == person))
        track = _track(clip, found, mine)
        bodies[person] = body_from_landmarks(
            person, track, clip.times, camera=clip.camera, height=clip.height, width=clip.width
        )
    return bodies


def _track(clip: Clip, found: _Found, rows: NDArray[np.int64]) -> LandmarkTrack:
    """The landmarks of these rows of `clip.people`, all of one person, published or seen here."""
    shape = (len(rows), BLAZEPOSE_COUNT)
    image, world = np.empty((*shape, 2), np.float32), np.empty((*shape, 3), np.float32)
    visibility, presence = np.empty(shape, np.float32), np.empty(shape, np.float32)
    hidden = found.hidden[rows]
    source = found.source[rows]
    if clip.landmarks is not None:
        reused = source >= 0
        at = source[reused]
        image[reused], world[reused] = clip.landmarks.image[at], clip.landmarks.world[at]
        visibility[reused], presence[reused] = clip.landmarks.visibility[at], clip.landmarks.presence[at]
    for i in np.flatnonzero(source < 0).tolist():
        seen = found.seen[int(rows[i])]
        image[i], world[i], visibility[i], presence[i] = seen.image, seen.world, seen.visibility, seen.presence
        hidden[i] = seen.hidden
    return LandmarkTrack(clip.people.frame[rows], image, world, visibility, presence, hidden, clip.people.box[rows])
