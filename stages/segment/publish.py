"""From a video to its masks, people and landmarks on disk, one frame at a time."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any, Self

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
from common.skeletons import BLAZEPOSE_COUNT
from stages.segment.backends import TrackFrame, create

if TYPE_CHECKING:
    from pathlib import Path

    from common.workspace import Workspace

_ROW = np.dtype(  # a row of the landmarks artifact
    [
        ("frame", np.int32),
        ("person", np.uint16),
        ("image", np.float32, (BLAZEPOSE_COUNT, 2)),
        ("world", np.float32, (BLAZEPOSE_COUNT, 3)),
        ("visibility", np.float32, BLAZEPOSE_COUNT),
        ("presence", np.float32, BLAZEPOSE_COUNT),
        ("score", np.float32),
        ("region", np.float32, 4),
    ]
)


def segment_video(workspace: Workspace, *, backend: str, detection_step: int, device: str) -> None:
    """Streams the video once through a backend and writes what it finds.

    Memory does not grow while it streams; at the end the landmarks are sorted, which takes 1 kB for each person and
    frame (110 MB for an hour of one person at 30 frames per second).

    Frames that cannot be decoded have no masks; how many is said in a warning.

    Raises:
        BadInput: no frame can be decoded.
        ModelUnavailable: the backend's model or device is not there.
    """
    segmenter = create(backend, detection_step=detection_step, device=device)
    recording = workspace.recording()
    timing = frames_artifact.load(workspace.input(FRAMES))
    table, properties = timing.table, timing.properties
    folder = workspace.output(PEOPLE)
    people: set[int] = set()
    height, width = properties.height, properties.width
    stream = frames(recording, table, size=(width, height))  # whatever size the first frame that can be decoded has
    images = workspace.track(stream, total=len(table))
    with LandmarkRows(folder) as rows:
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


class LandmarkRows:
    """Collects the landmarks that a backend has found on the way, on the disk: 950 bytes for each person and frame.

    Frames come one by one and the artifact is sorted by person, so all rows are needed at once, but only in `save`.
    """

    def __init__(self, folder: Path) -> None:
        """Opens a file without a name, which vanishes with the process.

        Args:
            folder: where there is room for it.
        """
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def add(self, tracked: TrackFrame) -> None:
        """Takes the landmarks of everybody in a frame who has some."""
        for person in tracked.people:
            if (found := person.landmarks) is not None:
                row = np.zeros((), _ROW)
                row["frame"], row["person"], row["score"] = tracked.index, person.id, found.score
                row["image"], row["world"] = found.image, found.world
                row["visibility"], row["presence"] = found.visibility, found.presence
                row["region"] = found.region.x, found.region.y, found.region.side, found.region.angle
                self._file.write(row.tobytes())
                self._count += 1

    def save(self, path: Path) -> None:
        """Writes the artifact, sorted by person, then frame; takes 1 kB of memory for each row."""
        self._file.flush()
        rows: NDArray[Any] = np.memmap(self._file, _ROW, "r", shape=self._count) if self._count else np.empty(0, _ROW)
        order = np.lexsort((rows["frame"], rows["person"]))
        landmarks_artifact.save(
            path, landmarks_artifact.Landmarks(**{name: rows[name][order] for name in _ROW.names or ()})
        )
