"""When every frame of a video is shown, which are key frames and which are damaged, and what was heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.artifacts import FRAMES, SCENE, SOUND
from common.stage import Stage, Unit, option

if TYPE_CHECKING:
    from common.workspace import Workspace


@dataclass(frozen=True)
class Options:
    """Options of the frames stage."""

    jpeg: bool = option(False, help="Also write every frame as frames/NNNNNN.jpg, for tools that want a folder.")


def run(workspace: Workspace, options: Options) -> None:
    """Publishes the time table, from packets alone, and the sound; decodes pictures only if JPEGs are asked for."""
    from common.artifacts import frames
    from common.media.container import probe
    from common.media.packet_times import read_time_table
    from stages.frames.listen import publish_sound

    recording = workspace.recording()
    table = read_time_table(recording)
    folder = workspace.output(FRAMES)
    properties = probe(recording)
    frames.save(folder, table, properties)
    workspace.found["frames"] = len(table)
    if table.truncated:
        announced = "" if table.declared is None else f" of {table.declared}"
        workspace.warn(f"{workspace.video}: the file ends early; there are {len(table)}{announced} frames.")
    damaged = int(table.corrupt.sum())
    if damaged:
        workspace.warn(f"{workspace.video}: {damaged} of {len(table)} frames are marked as damaged in the file.")
    if properties.has_audio:
        publish_sound(workspace, recording)
    if options.jpeg:
        from common.media.jpeg_folder import write_jpegs

        workspace.found["jpegs"] = write_jpegs(recording, table, folder, track=workspace.track)


STAGE = Stage(
    name="frames",
    summary="Reads when every frame of a video is shown (PTS), which are key frames or damaged, and its sound.",
    unit=Unit.VIDEO,
    reads=(SCENE,),
    writes=(FRAMES, SOUND),
    run=run,
    options=Options,
    source=True,
    packages=("av", "numpy"),
)
