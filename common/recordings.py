"""The recordings that a user hands over: `data_root/<scene>/<camera>.mp4`."""

from __future__ import annotations

import logging
from pathlib import PurePosixPath

from common.artifacts import ALL, Unit
from common.errors import InputMissing, UsageError
from common.names import NAME_RULE, check_distinct, is_valid
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
    """The recordings of a scene: video id -> file name, sorted by id; without those of `refused_recordings`.

    Raises:
        InputMissing: the scene's folder holds no recording.
        UsageError: there are recordings, but no file's name can become a video id.
        BadInput: two files would become the same video.
    """
    names = _file_names(data, scene)
    if not names:
        raise InputMissing(f"{data.uri}/{scene}: no videos. {_EXPECTED}")
    accepted = {name: PurePosixPath(name).stem for name in names if not _objection(name)}
    if not accepted:
        raise UsageError(f"{scene}: {_objection(names[0])} Rename it, then run again.")
    check_distinct(accepted.values(), kind="video")
    return dict(sorted((video, name) for name, video in accepted.items()))


def refused_recordings(data: Storage, scene: str) -> dict[str, str]:
    """The recordings of a scene whose names cannot become video ids: file name -> the reason, a sentence."""
    objections = ((name, _objection(name)) for name in _file_names(data, scene))
    return {name: objection for name, objection in objections if objection}


def _file_names(data: Storage, scene: str) -> list[str]:
    return [PurePosixPath(key).name for key in data.list(f"{scene}/") if _is_recording(key)]


def _objection(name: str) -> str:
    """Why a file's name cannot become a video id; empty if it can."""
    video = PurePosixPath(name).stem
    if not is_valid(video):
        return f"video name {video!r} is not accepted: use {NAME_RULE}."
    if video.lower() in _RESERVED:
        return f"a video cannot be called {video!r}, ghost writes a file of that name."
    return ""


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
