"""`scene.json`: the videos of a scene, what they are, and how their cameras are calibrated when that is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from common.artifacts.camera_fields import (
    Distortion,
    Intrinsics,
    Pose,
    is_number,
    read_distortion,
    read_intrinsics,
    read_pose,
)
from common.artifacts.json_files import write_json
from common.errors import BadInput
from common.names import is_valid

if TYPE_CHECKING:
    from common.cameras import Camera

SCHEMA = 1
ROLES = ("ego", "exo", "unknown")
Value = TypeVar("Value")


@dataclass(frozen=True)
class SceneVideo:
    """One recording.

    Attributes:
        source: path relative to the scene's folder in the data root.
        bytes: size of the file.
        fingerprint: identity of its content (`common.fingerprint.of_recording`).
        width: pixels, upright. None, like all that follows, if the file cannot be read as a video.
        height: pixels, upright.
        rate: nominal frames per second.
        duration: seconds, as the container claims.
        codec: name of the codec.
        role: "ego", "exo" or "unknown".
        intrinsics: 3x3 camera matrix in pixels of the upright frame, or None.
        distortion: of the lens, in OpenCV's order, or None. Files of before it was known lack it, like the next.
        camera_T_world: 4x4 rigid transform from world to camera axes (x right, y down, z forward), metres, of a camera
            that stands still, or None.
        problem: why the file cannot be read, or None.
    """

    source: str
    bytes: int
    fingerprint: str
    width: int | None = None
    height: int | None = None
    rate: float | None = None
    duration: float | None = None
    codec: str | None = None
    role: str = "unknown"
    intrinsics: Intrinsics | None = None
    problem: str | None = None
    distortion: Distortion | None = None
    camera_T_world: Pose | None = None

    def static_camera(self) -> Camera | None:
        """The calibrated camera, if it is known how it projects and where it stands."""
        if self.intrinsics is None or self.camera_T_world is None:
            return None
        import numpy as np

        from common.cameras import Camera

        return Camera(np.array(self.intrinsics), np.array(self.camera_T_world), self.distortion or ())


@dataclass(frozen=True)
class Scene:
    """The recordings of one event, by video id."""

    name: str
    videos: Mapping[str, SceneVideo]


def save(path: Path, scene: Scene) -> None:
    """Writes scene.json."""
    videos = {video: asdict(entry) for video, entry in sorted(scene.videos.items())}
    write_json(path, {"schema": SCHEMA, "scene": scene.name, "videos": videos})


def load(path: Path) -> Scene:
    """Reads and validates scene.json. Raises BadInput."""
    return parse(path.read_bytes())


def parse(content: bytes) -> Scene:
    """The scene in the bytes of a scene.json. Raises BadInput that names the offending field."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"scene.json: not JSON ({error}). Run the ingest stage again.") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise BadInput(f"scene.json: schema: expected {SCHEMA}, got {_field(document, 'schema')!r}.")
    videos = document.get("videos")
    if not isinstance(videos, dict) or not isinstance(document.get("scene"), str):
        raise BadInput("scene.json: expected a string `scene` and an object `videos`.")
    return Scene(document["scene"], {video: _video(video, entry) for video, entry in videos.items()})


def validate(path: Path) -> None:
    """Raises BadInput unless the file keeps its contract."""
    load(path)


def _field(document: object, name: str) -> object:
    return document.get(name) if isinstance(document, dict) else None


def _video(name: str, entry: Any) -> SceneVideo:  # noqa: ANN401 - whatever JSON holds
    where = f"scene.json: videos.{name}"
    if not is_valid(name):
        raise BadInput(f"scene.json: videos: expected ids that can be file names, got {name!r}.")
    if not isinstance(entry, dict):
        raise BadInput(f"{where}: expected an object, got {type(entry).__name__}.")
    try:
        video = SceneVideo(**entry)
    except TypeError as error:
        raise BadInput(f"{where}: {error}.") from error
    for field, kind in (("source", str), ("bytes", int), ("fingerprint", str)):
        if not isinstance(getattr(video, field), kind):
            raise BadInput(f"{where}.{field}: expected {kind.__name__}, got {getattr(video, field)!r}.")
    if PurePosixPath(video.source).is_absolute() or ".." in PurePosixPath(video.source).parts:
        raise BadInput(f"{where}.source: expected a path below the scene's folder, got {video.source!r}.")
    if video.role not in ROLES:
        raise BadInput(f"{where}.role: expected one of {ROLES}, got {video.role!r}.")
    if video.problem is None:
        for field in ("width", "height", "rate"):
            value = getattr(video, field)
            if not is_number(value) or value <= 0:
                raise BadInput(f"{where}.{field}: expected a positive number, got {value!r}.")
    if video.role == "ego" and video.camera_T_world is not None:
        raise BadInput(f"{where}.camera_T_world: expected none for an ego camera, which moves, got one.")
    return replace(
        video,
        intrinsics=_optional(read_intrinsics, f"{where}.intrinsics", video.intrinsics),
        distortion=_optional(read_distortion, f"{where}.distortion", video.distortion),
        camera_T_world=_optional(read_pose, f"{where}.camera_T_world", video.camera_T_world),
    )


def _optional(read: Callable[[str, object], Value], where: str, value: object) -> Value | None:
    return None if value is None else read(where, value)
