"""`scene.json`: the videos of a scene, what they are, and how their cameras are calibrated when that is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from common.errors import BadInput

SCHEMA = 1
ROLES = ("ego", "exo", "unknown")


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
    intrinsics: tuple[tuple[float, float, float], ...] | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Scene:
    """The recordings of one event, by video id."""

    name: str
    videos: Mapping[str, SceneVideo]


def save(path: Path, scene: Scene) -> None:
    """Writes scene.json."""
    document = {
        "schema": SCHEMA,
        "scene": scene.name,
        "videos": {video: asdict(entry) for video, entry in sorted(scene.videos.items())},
    }
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def load(path: Path) -> Scene:
    """Reads and validates scene.json. Raises BadInput."""
    return parse(path.read_bytes())


def parse(content: bytes) -> Scene:
    """The scene in the bytes of a scene.json. Raises BadInput that names the offending field."""
    try:
        document = json.loads(content)
    except ValueError as error:
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
    if not isinstance(entry, dict):
        raise BadInput(f"scene.json: videos.{name}: expected an object, got {type(entry).__name__}.")
    try:
        video = SceneVideo(**entry)
    except TypeError as error:
        raise BadInput(f"scene.json: videos.{name}: {error}.") from error
    if video.role not in ROLES:
        raise BadInput(f"scene.json: videos.{name}.role: expected one of {ROLES}, got {video.role!r}.")
    if video.problem is None:
        for field in ("width", "height", "rate"):
            value = getattr(video, field)
            if not isinstance(value, int | float) or value <= 0:
                raise BadInput(f"scene.json: videos.{name}.{field}: expected a positive number, got {value!r}.")
    if video.intrinsics is not None:
        rows = video.intrinsics
        if len(rows) != 3 or any(len(row) != 3 for row in rows):
            raise BadInput(f"scene.json: videos.{name}.intrinsics: expected 3x3 numbers, got {rows!r}.")
        first, second, third = (tuple(float(value) for value in row) for row in rows)
        video = replace(video, intrinsics=(first, second, third))  # type: ignore[arg-type]
    return video
