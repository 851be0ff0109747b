"""The sound track of a recording, published: a second source from which `sync` learns when the camera started."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from common.artifacts import SOUND
from common.artifacts.sound import SoundWriter
from common.errors import BadInput
from common.media.sound import SoundStream

if TYPE_CHECKING:
    from common.workspace import Workspace


def publish_sound(workspace: Workspace, recording: Path) -> None:
    """Writes sound.npz block by block; a track that cannot be read is a warning, for the pictures are what counts.

    Raises:
        OSError: the disk refuses.
    """
    path = workspace.output(SOUND)
    stream = SoundStream(recording)
    try:
        with SoundWriter(path) as writer:
            for block in stream:
                writer.write(block)
            if stream.start is None or stream.length == 0:
                raise BadInput("nothing of it can be decoded")
            writer.describe(rate=stream.rate, start=stream.start, gaps=stream.gaps)
    except BadInput as error:
        path.unlink(missing_ok=True)
        workspace.warn(f"{workspace.video}: the sound cannot be used: {error}")
        return
    workspace.found["seconds of sound"] = round(stream.length / stream.rate)
    if stream.broken_off:
        workspace.warn(f"{workspace.video}: the sound is not complete: {stream.broken_off}.")
    if stream.lost_packets:
        workspace.warn(f"{workspace.video}: {stream.lost_packets} packets of its sound are damaged.")
