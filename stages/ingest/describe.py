"""What a file is, as scene.json says it."""

from __future__ import annotations

from pathlib import Path

from common import fingerprint
from common.artifacts.camera_fields import Calibration
from common.artifacts.scene import SceneVideo
from common.errors import BadInput


def describe_recording(path: Path, *, calibration: Calibration | None) -> SceneVideo:
    """The entry of one recording; a file that is no readable video gets an entry with its problem instead.

    Args:
        path: the file.
        calibration: what the user says about its camera, if anything.
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
        intrinsics=calibration.intrinsics if calibration else None,
        distortion=calibration.distortion if calibration else None,
        camera_T_world=calibration.camera_T_world if calibration else None,
    )
