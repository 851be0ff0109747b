"""What a scene's workspace holds that can be relied on: finished units, and the lineage that makes them current.

A unit is current if its manifest is there, its files are intact, its last attempt did not fail, and everything it was
made from is current and still the same. So a stage never mixes results of this run with leftovers of an earlier one.
"""

from __future__ import annotations

import hashlib

from common import fingerprint
from common.artifacts import SCENE, Artifact, Unit
from common.artifacts.scene import Scene, parse
from common.errors import InputMissing
from common.manifest import FOLDER, Failure, Manifest, is_intact, read_failure, read_manifest, unit_name
from common.storage.interface import Storage

_ENTRY = "#videos/"  # "scene.json#videos/cam01": the entry of one video in scene.json


class Published:
    """A view of one scene at one moment: looks at every record once, remembers it, and makes no changes.

    Create a new one to look again.
    """

    def __init__(self, storage: Storage, scene: str) -> None:
        self.storage = storage
        self.scene = scene
        self._stages: list[str] | None = None
        self._manifests: dict[tuple[str, str | None], Manifest | None] = {}
        self._intact: dict[tuple[str, str | None], bool] = {}
        self._current: dict[tuple[str, str | None], bool] = {}
        self._scene_json: tuple[Manifest | None, bytes | None] = None, None

    def stages(self) -> list[str]:
        """Names of the stages that have left any record."""
        if self._stages is None:
            folder = f"{self.scene}/{FOLDER}/"
            names = [key[len(folder) : -1] for key in self.storage.list(folder) if key.endswith("/")]
            self._stages = [name for name in names if name != "attempts"]
        return self._stages

    def manifest(self, stage: str, video: str | None) -> Manifest | None:
        """The manifest of a unit, current or not."""
        unit = (stage, video)
        if unit not in self._manifests:
            self._manifests[unit] = read_manifest(self.storage, self.scene, stage, video)
        return self._manifests[unit]

    def intact(self, stage: str, video: str | None) -> Manifest | None:
        """The manifest of a unit whose files are all there, current or not."""
        unit, manifest = (stage, video), self.manifest(stage, video)
        if manifest is not None and unit not in self._intact:
            self._intact[unit] = is_intact(self.storage, manifest)
        return manifest if self._intact.get(unit) else None

    def failure(self, stage: str, video: str | None) -> Failure | None:
        """Why the last attempt at a unit failed, or None."""
        return read_failure(self.storage, self.scene, stage, video)

    def find(self, artifact: Artifact, video: str | None) -> Manifest | None:
        """The current manifest that published an artifact, or None."""
        key = artifact.key(video)
        owner = video if artifact.unit is Unit.VIDEO else None
        for stage in self.stages():
            manifest = self.manifest(stage, owner)
            if manifest is not None and manifest.files_of(key) and self.is_current(stage, owner):
                return manifest
        return None

    def is_current(self, stage: str, video: str | None) -> bool:
        """Whether a unit's result can be relied on."""
        unit = (stage, video)
        if unit not in self._current:
            self._current[unit] = False  # a manifest that names itself as its input is not to be trusted either
            self._current[unit] = self._check(stage, video)
        return self._current[unit]

    def _check(self, stage: str, video: str | None) -> bool:
        manifest = self.intact(stage, video)
        if manifest is None or self.failure(stage, video) is not None:
            return False
        for producer, digests in manifest.inputs.items():
            if "/" not in producer:
                continue  # recordings, history: no unit's result
            made_by = self.producer(producer)
            if made_by is None or not self.is_current(made_by.stage, made_by.video):
                return False
            if any(self.digest(made_by, key) != digest for key, digest in digests.items()):
                return False
        return True

    def producer(self, name: str) -> Manifest | None:
        """The manifest of a unit as `inputs` names it ("ingest/scene", "segment/cam01"), current or not."""
        stage, slash, unit = name.partition("/")
        if not slash:
            return None
        of_scene = self.manifest(stage, None) if unit == unit_name(None) else None
        return of_scene or self.manifest(stage, unit)  # a video, too, may be called "scene"

    def digest(self, manifest: Manifest, key: str) -> str | None:
        """What identifies a published file, a folder ("cam01/json_data/") or an entry of scene.json
        ("scene.json#videos/cam01"); None if the manifest has no such thing.
        """
        path, mark, entry = key.partition(_ENTRY)
        if mark:
            content = self._read_scene(manifest)
            return None if content is None else fingerprint.of_json_entry(content, section="videos", name=entry)
        files = manifest.files_of(path)
        if key.endswith("/") and files:
            return fingerprint.of_value({file.key: file.sha256 for file in files})
        return files[0].sha256 if files else None

    def inputs(self, artifact: Artifact, video: str | None, *, reader: str | None) -> dict[str, dict[str, str]] | None:
        """What a reader of an artifact depends on: {producer: {key: digest}}; None if there is no current one.

        Args:
            artifact: what is read.
            video: whose.
            reader: the video that the reading unit is about. A unit about one video depends on its own entry of
                scene.json only, so that adding a camera does not make the others run again.
        """
        manifest = self.find(artifact, video)
        if manifest is None:
            return None
        key = f"{SCENE.path}{_ENTRY}{reader}" if artifact is SCENE and reader is not None else artifact.key(video)
        digest = self.digest(manifest, key)
        return None if digest is None else {f"{manifest.stage}/{unit_name(manifest.video)}": {key: digest}}

    def load_scene(self) -> Scene:
        """The scene's videos. Raises InputMissing if ingest has not run, BadInput if scene.json breaks its contract."""
        manifest = self.find(SCENE, None)
        content = self._read_scene(manifest) if manifest is not None else None
        if content is None:
            raise InputMissing(
                f"{self.scene}: no current scene.json in {self.storage.uri}. Run the ingest stage first."
            )
        return parse(content)

    def _read_scene(self, manifest: Manifest) -> bytes | None:
        """scene.json as the manifest knows it; None if it is gone or somebody changed it."""
        known, content = self._scene_json
        if known is not manifest:
            content = self.storage.read(f"{self.scene}/{SCENE.path}")
            published = [file.sha256 for file in manifest.files_of(SCENE.path)]
            if content is not None and [hashlib.sha256(content).hexdigest()] != published:
                content = None
            self._scene_json = manifest, content
        return content
