"""Which recordings a scene has, and what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.artifacts import SCENE
from common.stage import NoOptions, Stage, Unit

if TYPE_CHECKING:
    from common.workspace import Workspace


def run(workspace: Workspace, options: NoOptions) -> None:
    """Describes every recording of the scene; one that cannot be read is listed with its problem.

    A file whose name cannot become a video id is left out with a warning.
    """
    from common.artifacts import scene
    from common.recordings import CALIBRATION
    from stages.ingest.calibration import doubt, read_calibration
    from stages.ingest.describe import describe_recording

    recordings = workspace.recordings()
    refused = workspace.refused()
    for name, reason in refused.items():
        workspace.warn(f"{name!r} is left out: {reason} Rename it, then run again.")
    file = workspace.source_file(CALIBRATION)
    calibration = read_calibration(file) if file is not None else {}
    for video in sorted(set(calibration) - set(recordings)):
        workspace.warn(f"{CALIBRATION} describes {video!r}, but there is no such video.")
    videos = {
        video: describe_recording(path, calibration=calibration.get(video))
        for video, path in workspace.track(recordings.items(), total=len(recordings), label="videos")
    }
    for video, entry in videos.items():
        if entry.problem is not None:
            workspace.warn(f"{video} cannot be used: {entry.problem}")
        if (doubtful := doubt(entry)) is not None:
            workspace.warn(f"{CALIBRATION}: {video}: {doubtful}")
    first: dict[str, str] = {}
    for video, entry in videos.items():
        if entry.problem is None and first.setdefault(entry.fingerprint, video) != video:
            original = first[entry.fingerprint]
            workspace.warn(f"{video} is a copy of {original}, not another camera's recording. Leave one of them out.")
    scene.save(workspace.output(SCENE), scene.Scene(workspace.scene, videos))
    workspace.found["videos"] = len(videos)
    unusable = sum(entry.problem is not None for entry in videos.values())
    if unusable:
        workspace.found["unusable"] = unusable
    if refused:
        workspace.found["refused"] = len(refused)


STAGE = Stage(
    name="ingest",
    summary="Lists the recordings of a scene and what they are: size, rate, codec, calibration when known.",
    unit=Unit.SCENE,
    reads=(),
    writes=(SCENE,),
    run=run,
    source=True,
    packages=("av",),
)
