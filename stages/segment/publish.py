"""From a video to its masks, people and landmarks on disk, one frame at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common.artifacts import FRAMES, LANDMARKS, MASKS, PEOPLE
from common.artifacts import frames as frames_artifact
from common.artifacts import landmarks as landmarks_artifact
from common.artifacts import people as people_artifact
from common.artifacts.label_geometry import exclusive_labels, people_in
from common.artifacts.masks import MaskWriter
from common.media.decode import frames
from common.models import calls
from common.models.blazepose_landmarks import POINTS
from stages.segment.backends import TrackFrame, create

if TYPE_CHECKING:
    from pathlib import Path

    from common.workspace import Workspace

_Row = tuple[int, int, float, *tuple[NDArray[Any], ...]]  # person, frame, score, then the arrays


def segment_video(workspace: Workspace, *, backend: str, detection_step: int, device: str) -> None:
    """Streams the video once through a backend and writes what it finds, in memory that does not grow with the video.

    Frames that cannot be decoded have no masks; how many is said in a warning.

    Raises:
        BadInput: no frame can be decoded.
        ModelUnavailable: the backend's model or device is not there.
    """
    segmenter = create(backend, detection_step=detection_step, device=device)
    recording = workspace.recording()
    timing = frames_artifact.load(workspace.input(FRAMES))
    table, properties = timing.table, timing.properties
    stream = frames(recording, table)
    images = workspace.track(stream, total=len(table))
    folder = workspace.output(PEOPLE)
    rows = _LandmarkRows()
    people: set[int] = set()
    height, width = properties.height, properties.width
    with MaskWriter(workspace.output(MASKS), height=height, width=width) as writer:
        for tracked in segmenter.segment(images):
            labels = exclusive_labels(
                [(p.id, p.probability, p.origin) for p in tracked.people], height=height, width=width
            )
            writer.write(tracked.index, labels)
            found = people_in(labels)
            scores = {person.id: person.score for person in tracked.people}
            people_artifact.save_frame(
                folder,
                people_artifact.from_geometry(tracked.index, found, height=height, width=width, scores=scores),
            )
            people.update(found.ids.tolist())
            rows.add(tracked)
    rows.save(workspace.output(LANDMARKS))
    workspace.counts |= calls.counted()
    workspace.found["people"] = len(people)
    tally = stream.tally
    if tally.missing or tally.corrupt:
        workspace.warn(
            f"{workspace.video}: {tally.missing} of {len(table)} frames could not be decoded and have no masks; "
            f"{tally.corrupt} are damaged and may show things that were not there."
        )
    if not people:
        workspace.warn(f"{workspace.video}: nobody was found in {len(table)} frames.")


class _LandmarkRows:
    """Collects the landmarks that a backend has found on the way: about 1 kB for each person and frame."""

    def __init__(self) -> None:
        self._rows: list[_Row] = []

    def add(self, tracked: TrackFrame) -> None:
        """Takes the landmarks of everybody in a frame who has some."""
        for person in tracked.people:
            if (found := person.landmarks) is not None:
                crop = (found.region.x, found.region.y, found.region.side, found.region.angle)
                arrays = (found.image, found.world, found.visibility, found.presence, np.array(crop))
                self._rows.append((person.id, tracked.index, found.score, *(a.astype(np.float32) for a in arrays)))

    def save(self, path: Path) -> None:
        """Writes the artifact, sorted by person, then frame."""
        rows = sorted(self._rows, key=lambda row: row[:2])
        shapes = ((POINTS, 2), (POINTS, 3), (POINTS,), (POINTS,), (4,))
        image, world, visibility, presence, region = (
            np.array([row[3 + i] for row in rows], np.float32).reshape(-1, *shape) for i, shape in enumerate(shapes)
        )
        landmarks_artifact.save(
            path,
            landmarks_artifact.Landmarks(
                frame=np.array([row[1] for row in rows], np.int32),
                person=np.array([row[0] for row in rows], np.uint16),
                image=image,
                world=world,
                visibility=visibility,
                presence=presence,
                score=np.array([row[2] for row in rows], np.float32),
                region=region,
            ),
        )
