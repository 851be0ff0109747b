"""The recordings that a user hands over: `data_root/<scene>/<camera>.mp4`."""

from __future__ import annotations

import logging
from pathlib import PurePosixPath

from common.artifacts import ALL, Unit
from common.errors import BadInput, InputMissing
from common.names import check_distinct, check_name
from common.storage.interface import Storage

EXTENSIONS = (".mp4", ".mov", ".mkv", ".webm", ".avi")
CALIBRATION = "calibration.json"
_RESERVED = {
    artifact.path.lower() for artifact in ALL if artifact.unit is Unit.SCENE
}  # a video's folder lies beside them
_EXPECTED = f"Expected DATA_ROOT/<scene>/<camera>.mp4 (or {', '.join(EXTENSIONS[1:])})."
_LOG = logging.getLogger("ghost")


def find_scenes(data: Storage) -> list[str]:
    """Folders of the data root that hold at least one recording, sorted. Names are not checked yet.

    Raises:
        InputMissing: there is no data root, or no folder with recordings in it.
    """
    entries = data.list("")
    scenes = [entry.rstrip("/") for entry in entries if entry.endswith("/") and _is_scene(data, entry)]
    if scenes:
        return scenes
    if any(_is_recording(entry) for entry in entries):
        scene = PurePosixPath(data.uri).name
        raise InputMissing(f"{data.uri} holds videos itself. Pass the folder above it, and --scene {scene}.")
    if any(entry.endswith("/") for entry in entries):
        raise InputMissing(f"{data.uri}: no videos in its folders. {_EXPECTED}")
    raise InputMissing(f"{data.uri}: there is no such folder, or nothing in it. {_EXPECTED}")


def list_recordings(data: Storage, scene: str) -> dict[str, str]:
    """The recordings of a scene: video id -> file name, sorted by id.

    Raises:
        InputMissing: the scene's folder holds no recording.
        UsageError: a file name cannot become a video id.
        BadInput: two files would become the same video.
    """
    names = [PurePosixPath(key).name for key in data.list(f"{scene}/") if _is_recording(key)]
    if not names:
        raise InputMissing(f"{data.uri}/{scene}: no videos. {_EXPECTED}")
    ids = [check_name(PurePosixPath(name).stem, kind="video") for name in names]
    check_distinct(ids, kind="video")
    for video in ids:
        if video.lower() in _RESERVED:
            raise BadInput(f"{scene}: a video cannot be called {video!r}, ghost writes a file of that name. Rename it.")
    return dict(sorted(zip(ids, names, strict=True)))


def _is_recording(key: str) -> bool:
    path = PurePosixPath(key)
    return not key.endswith("/") and path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def _is_scene(data: Storage, folder: str) -> bool:
    if PurePosixPath(folder).name.startswith((".", "_")):
        return False
    try:
        return any(_is_recording(key) for key in data.list(folder))
    except PermissionError:  # lost+found at the top of a disk, somebody else's folder
        _LOG.warning("%s/%s may not be read and is left out.", data.uri, folder)
        return False
