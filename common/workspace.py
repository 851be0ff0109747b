"""What a stage's run() sees of the world: local paths of its inputs and outputs, and a way to speak to the user."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from common import fingerprint, progress, recordings
from common.artifacts import Artifact, Unit
from common.artifacts.scene import Scene, SceneVideo
from common.checkpoints import Checkpoints
from common.device_names import RanOn
from common.errors import BadInput, InputMissing
from common.published import Published
from common.storage.interface import Storage

Item = TypeVar("Item")
_LOG = logging.getLogger("ghost")


class Workspace:
    """One unit at work.

    Attributes:
        scene: name of the scene.
        video: id of the video, None in a stage that covers a scene.
        published: the finished results of the scene.
        checkpoints: where long work keeps what it has done, for the next attempt at the same result. For stages that
            declare it: nobody tidies up after the others.
        gpu: name of the GPU that a process of the stage's own has used, and the most bytes that it took there; "" and 0
            if there was none. The harness knows by itself what this process has used.
        ran_on: device and precision of the models, once a backend has resolved them.
    """

    def __init__(
        self,
        published: Published,
        attempt: Path,
        *,
        stage: str,
        video: str | None,
        data: Storage | None,
        key: str = "",
    ) -> None:
        self.published = published
        self.scene = published.scene
        self.stage = stage
        self.video = video
        self.found: dict[str, Any] = {}
        self.counts: dict[str, int] = {}
        self.warnings: list[str] = []
        self.gpu: tuple[str, int] = ("", 0)
        self.ran_on = RanOn()
        self.checkpoints = Checkpoints(published.storage, published.scene, stage, video, key)
        self._attempt = attempt
        self.recording_bytes = 0  # size of the recordings that the stage was given
        self._data = data
        self._scene: Scene | None = None

    @property
    def videos(self) -> tuple[str, ...]:
        """Ids of all videos of the scene, sorted."""
        return tuple(sorted(self._load_scene().videos))

    @property
    def data_uri(self) -> str | None:
        """How the user would name the data root; None for a stage that was given none."""
        return None if self._data is None else self._data.uri

    def describe(self, video: str | None = None) -> SceneVideo:
        """What ingest found out about a video, by default the unit's own. Raises InputMissing."""
        name = video or self.video
        entry = self._load_scene().videos.get(name or "")
        if entry is None:
            raise InputMissing(f"{self.scene}: no video {name!r}; there are {', '.join(self.videos) or 'none'}.")
        return entry

    def find(self, artifact: Artifact, video: str | None = None) -> Path | None:
        """Local path of an input, or None if no current one was published."""
        owner = self._owner(artifact, video)
        manifest, key = self.published.find(artifact, owner), artifact.key(owner)
        if manifest is None:
            return None
        return self.published.storage.localize(f"{self.scene}/{key}", manifest.files_of(key))

    def input(self, artifact: Artifact, video: str | None = None) -> Path:
        """Local path of an input. Raises InputMissing."""
        path = self.find(artifact, video)
        if path is None:
            raise InputMissing(missing(self.scene, artifact, self._owner(artifact, video)))
        return path

    def output(self, artifact: Artifact) -> Path:
        """Where to write an output: a file whose folder exists, or a folder. Private until the stage has finished."""
        path = self._attempt / artifact.key(self.video).rstrip("/")
        (path if artifact.path.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        return path

    def recordings(self) -> dict[str, Path]:
        """The recordings in the scene's folder of the data root: video id -> local path."""
        data = self._data_root()
        names = recordings.list_recordings(data, self.scene)
        self.recording_bytes = sum(data.size(f"{self.scene}/{name}") or 0 for name in names.values())
        return {video: data.localize(f"{self.scene}/{name}") for video, name in names.items()}

    def refused(self) -> dict[str, str]:
        """Files of the scene's folder whose names cannot become video ids: file name -> reason."""
        return recordings.refused_recordings(self._data_root(), self.scene)

    def source_file(self, name: str) -> Path | None:
        """A file beside the recordings, such as a calibration; None if there is none."""
        key = f"{self.scene}/{name}"
        return self._data_root().localize(key) if self._data_root().size(key) is not None else None

    def recording(self) -> Path:
        """The recording of the unit's own video.

        Raises:
            InputMissing: it is gone.
            BadInput: it cannot be read as a video, or it is not the file that ingest saw.
        """
        entry = self.describe()
        if entry.problem is not None:
            raise BadInput(entry.problem)
        data, key = self._data_root(), f"{self.scene}/{entry.source}"
        size = data.size(key)
        if size is None:
            raise InputMissing(f"{data.uri}/{key} is gone. Put it back, or run ingest again without it.")
        path = data.localize(key)
        if size != entry.bytes or fingerprint.of_recording(path) != entry.fingerprint:
            raise BadInput(f"{data.uri}/{key} is not the file that ingest saw. Run ingest again.")
        self.recording_bytes = size
        return path

    def warn(self, message: str) -> None:
        """Tells the user, now and in the manifest, something that limits the result."""
        self.warnings.append(message)
        _LOG.warning("%s", message)

    def track(self, items: Iterable[Item], *, total: int, label: str = "frames") -> Iterator[Item]:
        """Passes items on and shows how far the work has come."""
        return progress.track(items, total=total, label=label, title=f"{self.stage} {self.video or self.scene}")

    def _data_root(self) -> Storage:
        if self._data is None:
            raise InputMissing(f"{self.stage} opens the recordings: name their folder with --data-root.")
        return self._data

    def _load_scene(self) -> Scene:
        if self._scene is None:
            self._scene = self.published.load_scene()
        return self._scene

    def _owner(self, artifact: Artifact, video: str | None) -> str | None:
        return None if artifact.unit is Unit.SCENE else (video or self.video)


def missing(scene: str, artifact: Artifact, video: str | None) -> str:
    """What to say when an artifact is not there."""
    of = f"{scene}/{video}" if video else scene
    return f"{of}: no current {artifact.path}. Run the stage that writes `{artifact.name}` first, or see why it failed."
