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
from stages.body.assemble import LandmarkTrack, body_from_landmarks
from stages.body.clip import Clip, OpenFrames
from stages.body.overlap import NEAR, Crowding, boxes_close, crowding, hidden_by_others

_SCORE = 0.5  # BlazePose's own threshold: below it the crop shows nobody
_BOX_TO_CIRCLE = 1.25  # side of the crop over the box's longer side; the model was trained with that margin
_TURNED = np.deg2rad(20)  # a body lying or bending more than that is looked at a second time, upright
_SHIFTED = 0.15  # likewise a crop that is off by that share of its side; both chosen by hand
_LANDMARKS = 33


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


class EmbeddedEstimator:
    """BlazePose heavy; loads the model only if some frame needs it."""

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
        published, again = _published(clip, rows)
        seen: dict[int, _Seen] = dict(published)
        todo = np.array([row for row in rows if row in again or row not in seen], np.int64)
        if todo.size:
            for row, found in self._look(clip, todo, open_frames):
                if found is None:
                    seen.pop(row, None)
                else:
                    seen[row] = found
        return _bodies(clip, seen)

    def _look(self, clip: Clip, rows: NDArray[np.int64], open_frames: OpenFrames) -> Iterator[tuple[int, _Seen | None]]:
        """Landmarks of these rows of `clip.people` by running the model; None where it sees nobody."""
        model = LandmarkModel(self._model) if isinstance(self._model, Path) else self._model
        regions = _published_regions(clip)
        following: dict[int, Region] = {}
        by_frame = np.split(rows, np.flatnonzero(np.diff(clip.people.frame[rows])) + 1)
        rows_of = {int(clip.people.frame[group[0]]): group for group in by_frame}
        for frame in open_frames(np.array(sorted(rows_of), np.int64)):
            labels = clip.masks.labels(frame.index)
            for row in rows_of[frame.index].tolist():
                person = int(clip.people.person[row])
                known = regions.get((person, frame.index))
                if known is not None:
                    found = _run(model, frame.image, labels, person, known)
                else:
                    found = _search(
                        model, frame.image, labels, person, clip.people.box[row], following.pop(person, None)
                    )
                if found.score < _SCORE:
                    yield row, None
                    continue
                following[person] = found.next_region
                yield row, _keep(found, hidden_by_others(labels, person, found.image))


def _published(clip: Clip, rows: NDArray[np.int64]) -> tuple[dict[int, _Seen], set[int]]:
    """What `segment` published for these rows, and those among them that need another look."""
    landmarks = clip.landmarks
    if landmarks is None:
        return {}, set()
    at = _landmark_rows(landmarks)
    have = [row for row in rows.tolist() if (clip.people.person[row], clip.people.frame[row]) in at]
    chosen = np.array(have, np.int64)
    index = [at[clip.people.person[row], clip.people.frame[row]] for row in have]
    # NEAR crop pixels, in image pixels.
    close = boxes_close(clip.people, chosen, margins=landmarks.region[index, 2] * (NEAR + 1) / SIDE)
    seen, again = {}, set()
    frame, labels = -1, None
    for row, i, near in zip(have, index, close.tolist(), strict=True):
        hidden = np.zeros(_LANDMARKS, bool)
        if near:
            person = int(clip.people.person[row])
            if labels is None or frame != clip.people.frame[row]:
                frame = int(clip.people.frame[row])
                labels = clip.masks.labels(frame)
            hidden = hidden_by_others(labels, person, landmarks.image[i].astype(np.float64))
            if crowding(labels, person, _region(landmarks.region[i])).confusing:
                again.add(row)
        seen[row] = _Seen(
            landmarks.image[i], landmarks.world[i], landmarks.visibility[i], landmarks.presence[i], hidden
        )
    return seen, again


def _landmark_rows(landmarks: Landmarks) -> dict[tuple[int, int], int]:
    pairs = zip(landmarks.person.tolist(), landmarks.frame.tolist(), strict=True)
    return {pair: row for row, pair in enumerate(pairs)}


def _published_regions(clip: Clip) -> dict[tuple[int, int], Region]:
    if clip.landmarks is None:
        return {}
    return {pair: _region(clip.landmarks.region[row]) for pair, row in _landmark_rows(clip.landmarks).items()}


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


def _bodies(clip: Clip, seen: dict[int, _Seen]) -> dict[int, PersonBody]:
    bodies: dict[int, PersonBody] = {}
    rows = np.array(sorted(seen), np.int64)
    for person in np.unique(clip.people.person[rows]).tolist():
        mine = rows[clip.people.person[rows] == person]
        found = [seen[row] for row in mine.tolist()]
        track = LandmarkTrack(
            frame=clip.people.frame[mine],
            image=np.array([one.image for one in found], np.float64),
            world=np.array([one.world for one in found], np.float64),
            visibility=np.array([one.visibility for one in found], np.float64),
            presence=np.array([one.presence for one in found], np.float64),
            hidden=np.array([one.hidden for one in found]),
            box=clip.people.box[mine],
        )
        bodies[person] = body_from_landmarks(
            person, track, clip.times, camera=clip.camera, height=clip.height, width=clip.width
        )
    return bodies
