"""Everything that the page is made of, read once; what is missing is None, what is broken leaves a note.

Memory does not grow with what is drawn: bodies are reduced to a few numbers per frame as soon as they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from common import fingerprint
from common.artifacts import (
    BODIES,
    FRAMES,
    IDENTITIES,
    MASKS,
    PEOPLE,
    SYNC_PICTURE,
    SYNCHRONIZATION,
    Artifact,
    bodies,
    identities,
    people,
)
from common.artifacts import frames as frames_artifact
from common.artifacts import synchronization as synchronization_artifact
from common.artifacts.frames import Frames
from common.artifacts.people import PeopleTable
from common.artifacts.scene import SceneVideo
from common.artifacts.synchronization import CameraStart, Synchronization
from common.errors import BadInput, GhostError, InputMissing, UsageError
from common.workspace import Workspace
from stages.report.history import History, read_history
from stages.report.tracks import BodyTrack, reduce_body

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class VideoEvidence:
    """What there is about one video.

    Attributes:
        video: its id.
        entry: from scene.json; None without one.
        frames: time table and properties.
        people: everybody in all frames, without other things that were asked for.
        tracks: what the bodies say, by local id; empty without bodies.
        masks: path of mask_data.npz.
        bodies: path of body_data.
        recording: path of the recording; None if pictures cannot be drawn.
    """

    video: str
    entry: SceneVideo | None = None
    frames: Frames | None = None
    people: PeopleTable | None = None
    tracks: Mapping[int, BodyTrack] = field(default_factory=dict)
    masks: Path | None = None
    bodies: Path | None = None
    recording: Path | None = None

    @property
    def span(self) -> tuple[float, float] | None:
        """First PTS and end of the last frame, seconds on the video's own clock; None if nothing is known."""
        if self.frames is not None:
            seconds = self.frames.table.seconds
            return float(seconds[0]), float(seconds[-1] + self.frame_s)
        if self.entry is not None and self.entry.duration is not None:
            return 0.0, self.entry.duration
        return None

    @property
    def frame_s(self) -> float:
        """How long a frame is shown, seconds."""
        if self.frames is not None and len(self.frames.table) > 1:
            return 1 / self.frames.table.rate
        return 1 / self.entry.rate if self.entry is not None and self.entry.rate else 0.0

    @property
    def persons(self) -> tuple[int, ...]:
        """Local ids of everybody in it."""
        return tuple(sorted({*(self.people.people if self.people is not None else ()), *self.tracks}))


@dataclass(frozen=True)
class Evidence:
    """What there is about a scene.

    Attributes:
        scene: its name.
        videos: by id, sorted.
        synchronization: None if sync has no current result.
        identities: video -> local id -> id in the scene; None if sync has no current result.
        sync_picture: the SVG that sync drew; None if there is none.
        history: records of all units.
        notes: what could not be read, one sentence each.
        no_pictures: why there are no recordings to draw from, or "".
    """

    scene: str
    videos: Mapping[str, VideoEvidence]
    synchronization: Synchronization | None
    identities: Mapping[str, Mapping[int, int]] | None
    history: History
    notes: tuple[str, ...] = ()
    no_pictures: str = ""
    sync_picture: bytes | None = None

    def camera(self, video: str) -> CameraStart | None:
        """What synchronisation says about a camera; None if it says nothing."""
        return None if self.synchronization is None else self.synchronization.cameras.get(video)

    def start(self, video: str) -> float | None:
        """Scene time of a video's PTS 0, or None if unknown."""
        camera = self.camera(video)
        return None if camera is None else camera.start_time

    def scene_span(self, video: str) -> tuple[float, float] | None:
        """Begin and end of a recording on the scene's clock; None if its start is unknown."""
        camera, span = self.camera(video), self.videos[video].span
        if camera is None or span is None:
            return None
        begin, end = (camera.scene_time(pts) for pts in span)
        return None if begin is None or end is None else (begin, end)

    def own_time(self, video: str, scene_time: float) -> float:
        """PTS of a video at a moment of the scene's clock, seconds; the same number if its start is unknown."""
        camera = self.camera(video)
        pts = None if camera is None else camera.pts(scene_time)
        return scene_time if pts is None else pts

    def identity(self, video: str, person: int) -> int | None:
        """The id in the scene of a video's person, or None if unknown."""
        return None if self.identities is None else self.identities.get(video, {}).get(person)


def gather(workspace: Workspace) -> Evidence:
    """Reads what there is about the workspace's scene."""
    reader = _Reader(workspace)
    history = read_history(workspace.published, leave_out=workspace.stage)
    try:
        videos = {video: workspace.describe(video) for video in workspace.videos}
        removed = [video for video in history.videos if video not in videos]
        if removed:
            reader.notes.append(f"left out, because the scene does not have them any more: {', '.join(removed)}.")
        history = history.of_videos(videos)
    except GhostError as error:
        videos = {}
        if any(m.stage == "ingest" for m in history.current):  # else the records say why there is none
            reader.note(f"scene.json cannot be used: {error}")
    recordings, no_pictures = _recordings(workspace)
    for video in [v for v, path in recordings.items() if v in videos and is_other_file(path, videos[v])]:
        reader.note(f"{video}: the recording is not the file that ingest saw, so there are no pictures of it.")
        del recordings[video]
    return Evidence(
        scene=workspace.scene,
        videos={
            video: reader.video(video, videos.get(video), recordings.get(video))
            for video in sorted({*videos, *history.videos})
        },
        synchronization=reader.load(reader.find(SYNCHRONIZATION), synchronization_artifact.load),
        identities=reader.load(reader.find(IDENTITIES), identities.load),
        history=history,
        notes=tuple(reader.notes),
        no_pictures=no_pictures,
        sync_picture=reader.load(reader.find(SYNC_PICTURE), Path.read_bytes),
    )


def _recordings(workspace: Workspace) -> tuple[dict[str, Path], str]:
    try:
        found = workspace.recordings()
    except (
        UsageError,
        InputMissing,
        BadInput,
        OSError,
    ) as error:  # what passes must not become a page without pictures
        return {}, str(error)
    return {video: path for video, path in found.items() if path.is_file()}, ""


def is_other_file(path: Path, entry: SceneVideo) -> bool:
    """Whether a recording has changed since ingest described it."""
    return path.stat().st_size != entry.bytes or fingerprint.of_recording(path) != entry.fingerprint


class _Reader:
    """Loads artifacts one by one and remembers which ones it could not."""

    def __init__(self, workspace: Workspace) -> None:
        self.notes: list[str] = []
        self._workspace = workspace

    def note(self, text: str) -> None:
        self.notes.append(text)
        self._workspace.warn(text)

    def find(self, artifact: Artifact, video: str | None = None) -> Path | None:
        """Where an artifact is; None also if it is not what its manifest says, which is noted."""
        try:
            return self._workspace.find(artifact, video)
        except BadInput as error:
            self.note(f"left out because it is damaged: {error}")
            return None

    def load(self, path: Path | None, loader: Callable[[Path], Loaded]) -> Loaded | None:
        if path is None:
            return None
        try:
            return loader(path)
        except (GhostError, OSError, ValueError) as error:
            self.note(f"left out because it cannot be read: {error}")
            return None

    def video(self, video: str, entry: SceneVideo | None, recording: Path | None) -> VideoEvidence:
        find = self.find
        folder = find(BODIES, video)
        tracks = self.load(folder, lambda path: {p: reduce_body(body) for p, body in bodies.load(path).items()})
        return VideoEvidence(
            video=video,
            entry=entry,
            frames=self.load(find(FRAMES, video), frames_artifact.load),
            people=self.load(find(PEOPLE, video), lambda path: people.load_tracks(path).persons()),
            tracks=tracks or {},
            masks=find(MASKS, video),
            bodies=folder if tracks else None,
            recording=recording,
        )
