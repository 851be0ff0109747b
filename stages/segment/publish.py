"""From a video to its masks, people and landmarks on disk, one frame at a time."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from common.ahead import Ahead
from common.artifacts import FRAMES, LANDMARKS, MASKS, PEOPLE
from common.artifacts import frames as frames_artifact
from common.artifacts import landmarks as landmarks_artifact
from common.artifacts import people as people_artifact
from common.artifacts.class_names import PERSON, is_person, no_bodies
from common.artifacts.label_geometry import people_in
from common.artifacts.masks import MaskWriter
from common.artifacts.npy import Entry
from common.media.decode import frames
from common.models import calls
from common.skeletons import BLAZEPOSE_COUNT
from stages.segment.backends import TrackFrame, VideoSegmenter, create

if TYPE_CHECKING:
    from pathlib import Path

    from common.media.decode import Frame
    from common.workspace import Workspace
    from stages.segment.stage import Options

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


AHEAD = 8
"""Frames decoded, and results not yet written, at most, while the models run on a device of their own: 50 MB each way
at 1080p, a quarter of a second of slack. Chosen by hand."""


PACKERS = 3
"""Threads that deflate label images meanwhile: one alone writes some 50 frames a second at 1080p."""


def segment_video(workspace: Workspace, options: Options) -> None:
    """Publishes what the backend of these options finds in a video; see `publish`.

    Raises:
        ModelUnavailable: the backend's model or device is not there.
    """
    publish(workspace, create(options))


def publish(workspace: Workspace, segmenter: VideoSegmenter) -> None:
    """Streams a video once through a backend and writes what it finds.

    Memory does not grow while it streams; at the end the landmarks are sorted, which takes 1 kB for each person and
    frame (110 MB for an hour of one person at 30 frames per second).

    Frames that cannot be decoded have no masks; how many is said in a warning.

    Raises:
        BadInput: no frame can be decoded.
        ModelUnavailable: the device has too little memory.
    """
    recording = workspace.recording()
    timing = frames_artifact.load(workspace.input(FRAMES))
    table, properties = timing.table, timing.properties
    folder = workspace.output(PEOPLE)
    people: dict[int, str] = {}
    height, width = properties.height, properties.width
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(frames(recording, table, size=(width, height)))  # whatever the first frame has
        rows = stack.enter_context(LandmarkRows(folder))
        images: Iterable[Frame] = workspace.track(stream, total=len(table))
        if segmenter.runs_elsewhere:  # three things at once: decoding, the models, and writing
            images = stack.enter_context(Ahead(images, AHEAD))
        results: Iterable[TrackFrame] = segmenter.segment(images)
        if segmenter.runs_elsewhere:
            results = stack.enter_context(Ahead(results, AHEAD))
        with MaskWriter(workspace.output(MASKS), height=height, width=width) as writer:
            threads = PACKERS if segmenter.runs_elsewhere else 0
            for result, packed, described in packed_in_order(results, writer.pack, threads=threads):
                writer.write_packed(result.index, packed)
                people_artifact.save_frame(folder, described)
                people |= {one.person: one.class_name for one in described.people}
                rows.add(result)
        if segmenter.gives_landmarks:
            rows.save(workspace.output(LANDMARKS))
    workspace.counts |= calls.counted()
    workspace.ran_on = segmenter.ran_on
    workspace.found |= count_classes(people.values())
    tally = stream.tally
    if tally.missing or tally.corrupt:
        workspace.warn(
            f"{workspace.video}: {tally.missing} of {len(table)} frames could not be decoded and have no masks; "
            f"{tally.corrupt} are damaged and may show things that were not there."
        )
    if segmenter.remark:
        workspace.warnings.append(segmenter.remark)
    if not people:
        workspace.warn(f"{workspace.video}: nobody was found in {len(table)} frames.")
    if things := no_bodies(people.values()):
        workspace.warn(f"{workspace.video}: found were {things}")


def packed_in_order(
    results: Iterable[TrackFrame], pack: Callable[[int, NDArray[np.uint16]], Entry], *, threads: int
) -> Iterator[tuple[TrackFrame, Entry, people_artifact.FramePeople]]:
    """Each result with its deflated labels and what json_data says about it, in order.

    Args:
        results: of a backend.
        pack: deflates the labels of a frame.
        threads: how many do that at once, each with one frame waiting; 0: whoever asks does it.
    """

    def prepare(result: TrackFrame) -> tuple[TrackFrame, Entry, people_artifact.FramePeople]:
        return result, pack(result.index, result.labels), describe(result)

    if not threads:
        yield from map(prepare, results)
        return
    under_way: deque[Future[tuple[TrackFrame, Entry, people_artifact.FramePeople]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="ghost-pack") as pool:
        for result in results:
            under_way.append(pool.submit(prepare, result))
            if len(under_way) > 2 * threads:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def describe(result: TrackFrame) -> people_artifact.FramePeople:
    """What json_data says about a frame: of those who have a pixel in its labels."""
    height, width = result.labels.shape
    return people_artifact.from_geometry(
        result.index,
        people_in(result.labels),
        height=height,
        width=width,
        scores={one.id: one.score for one in result.tracked},
        class_names={one.id: one.class_name for one in result.tracked},
    )


def count_classes(class_names: Iterable[str]) -> dict[str, int]:
    """How many there are of each kind, for the manifest: {"people": 3, "bicycle": 1}; people even if there are none.

    Whoever was asked for as something else than a "person" is one of the people, and counted by that phrase, too.
    """
    counts = Counter(class_names)
    people = sum(count for name, count in counts.items() if is_person(name))
    return {"people": people, **{name: counts[name] for name in sorted(counts) if name not in (PERSON, "people")}}


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

    def add(self, result: TrackFrame) -> None:
        """Takes the landmarks of everybody in a frame who has some."""
        for person in result.tracked:
            if (found := person.landmarks) is not None:
                row = np.zeros((), _ROW)
                row["frame"], row["person"], row["score"] = result.index, person.id, found.score
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
