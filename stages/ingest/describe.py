"""What a file is, as scene.json says it."""

from __future__ import annotations

from pathlib import Path

from common import fingerprint
from common.artifacts.scene import Intrinsics, SceneVideo
from common.errors import BadInput


def describe_recording(path: Path, *, intrinsics: Intrinsics | None) -> SceneVideo:
    """The entry of one recording; a file that is no readable video gets an entry with its problem instead.

    Args:
        path: the file.
        intrinsics: camera matrix (3x3, pixels of the upright frame), if the user gave one.
    """
    from common.media.container import probe

    try:
        size, identity = path.stat().st_size, fingerprint.of_recording(path)
    except (OSError, BadInput) as error:  # a dangling link, somebody else's file, a pipe
        problem = str(error) if isinstance(error, BadInput) else f"{path.name}: {error.strerror}."
        return SceneVideo(source=path.name, bytes=0, fingerprint="", problem=problem)
    try:
        properties = probe(path)
    except BadInput as error:
        return SceneVideo(source=path.name, bytes=size, fingerprint=identity, problem=str(error))
    return SceneVideo(
        source=path.name,
        bytes=size,
        fingerprint=identity,
        width=properties.width,
        height=properties.height,
        rate=round(properties.average_rate, 6),
        duration=None if properties.duration_s is None else round(properties.duration_s, 6),
        codec=properties.codec,
        intrinsics=intrinsics,
    )
