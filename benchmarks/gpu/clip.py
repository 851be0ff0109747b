"""A video to measure with: textured, moving a little, of any length; and a workspace in which it is ready for masks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from common import harness
from common.harness import Task
from common.media.encode import VideoWriter
from common.published import Published
from common.storage.local import LocalStorage
from common.workspace import Workspace
from stages.frames.stage import STAGE as FRAMES
from stages.ingest.stage import STAGE as INGEST

RATE = 30.0
_ENCODED = 60  # frames; a longer video repeats them
_SCENE, _VIDEO = "clip", "camera"
_WAVE = 12.0  # grey levels by which a band of light changes what it passes over; enough to keep the encoder busy


def images(count: int, *, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """(height, width, 3) uint8 RGB images: a blurred texture, over which a band of light moves."""
    generator = np.random.default_rng(0)
    coarse = generator.uniform(40, 215, (max(height // 12, 2), max(width // 12, 2), 3)).astype(np.float32)
    texture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    across = np.linspace(0, 6 * np.pi, width, dtype=np.float32)
    for number in range(count):
        light = _WAVE * np.sin(across - 0.2 * number, dtype=np.float32)
        yield np.clip(texture + light[None, :, None], 0, 255).astype(np.uint8)


def write(folder: Path, count: int, *, height: int, width: int, encoded: Path | None = None) -> Path:
    """Makes such images the one video of a scene in a data root, FOLDER/clip/camera.mp4.

    Two seconds are encoded; a longer video repeats them, as making and encoding 1080p takes longer than the figures.

    Args:
        folder: of the data root; has no such scene.
        count: of frames.
        height: of them, pixels.
        width: likewise.
        encoded: where what was encoded is kept, and taken from, for other videos of this size.
    """
    path = folder / _SCENE / f"{_VIDEO}.mp4"
    path.parent.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="ghost-gpu-") as scratch:
        kept = encoded or Path(scratch)
        parts = {
            length: _encode(kept / f"{length}.mp4", length, height=height, width=width)
            for length in {min(count, _ENCODED), count % _ENCODED} - {0}
        }
        _repeat([parts[min(count - start, _ENCODED)] for start in range(0, count, _ENCODED)], path)
    return path


def _encode(path: Path, count: int, *, height: int, width: int) -> Path:
    if path.exists():
        return path
    unfinished = path.with_stem(f"{path.stem}-unfinished")
    with VideoWriter(unfinished, rate=RATE) as writer:
        for image in images(count, height=height, width=width):
            writer.write(image)
    return unfinished.rename(path)


def _repeat(sources: Sequence[Path], path: Path) -> None:
    """Puts videos of _ENCODED frames, the last of any number, one behind the other without decoding them."""
    with av.open(str(path), "w", format="mp4") as target:
        stream: Any = None
        for number, source in enumerate(sources):
            with av.open(str(source)) as part:
                video = part.streams.video[0]
                stream = stream or target.add_stream_from_template(video)
                ticks = video.time_base or Fraction(1)  # MP4 always has one
                shift = round(number * _ENCODED / RATE / ticks)
                for packet in part.demux(video):
                    if packet.pts is None or packet.dts is None:  # the end
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    target.mux(packet)


@contextmanager
def workspace(data: Path, output: Path) -> Iterator[Workspace]:
    """The unit "segment, of this video": ingest and frames have run; what segment writes is thrown away."""
    storage, recordings = LocalStorage(output), LocalStorage(data)
    for stage, video in ((INGEST, None), (FRAMES, _VIDEO)):
        harness.execute(Task(stage, storage, _SCENE, video, stage.options(), recordings))
    with storage.attempt(_SCENE, "segment") as attempt:
        yield Workspace(Published(storage, _SCENE), attempt, stage="segment", video=_VIDEO, data=recordings)
