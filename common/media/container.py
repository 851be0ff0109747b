"""Opening video files that may come from strangers, and saying what they are.

Formats and protocols are allow-lists: without them a text file named .mp4 makes the demuxer read another
file. PyAV's errors leave this package as BadInput. Nothing here touches `av.logging`: its callbacks wait for
Python's global lock, which with damaged files and frame threads ends in a deadlock (9 of 12 runs, PyAV 18.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from common.errors import BadInput, InputMissing
from common.media.properties import VideoProperties

FORMATS = "mov,mp4,matroska,webm,avi"
PROTOCOLS = "file"

# Limits, chosen by hand: far beyond any recording, low enough that a forged header cannot exhaust a machine.
MAX_PIXELS = 64 * 2**20  # per frame; 8K is 32 Mpx
MAX_FRAMES = 5_000_000  # 23 hours at 60 frames per second
MAX_SPAN_S = 7 * 24 * 3600.0  # between the first frame and the last

_SQUARE, _MAX_ASPECT = 0.01, 4.0  # of pixel_aspect

CONVERT = "Convert it, for example: ffmpeg -i IN -c:v libx264 OUT.mp4"


@contextmanager
def open_video(path: Path, *, threads: int = 1) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The open container and its first video stream, cover pictures not counted.

    Decoding uses slice threads only: with frame threads damage goes unnoticed. Read what you need of the
    stream inside the `with` block; afterwards it is freed memory.

    Args:
        path: the file.
        threads: of the decoder. One costs the least CPU, and several videos run at once.

    Raises:
        InputMissing: there is no such file, or it may not be read.
        BadInput: not a video of an accepted format, or beyond the limits; also for errors inside the block.
    """
    _check_file(path)
    options = {"format_whitelist": FORMATS, "protocol_whitelist": PROTOCOLS}
    try:
        # An absolute path cannot be taken for a protocol such as "concat:".
        with av.open(str(path.absolute()), "r", options=options, metadata_errors="replace") as container:
            stream = _video_stream(path, container)
            stream.thread_type = "SLICE"
            stream.codec_context.thread_count = threads
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
            yield container, stream
    except av.error.FFmpegError as error:
        raise BadInput(f"{path.name}: {_explain(path, error)}") from error


def probe(path: Path) -> VideoProperties:
    """What the file is. The first frame is decoded, for only frames know their rotation.

    Raises:
        InputMissing: there is no such file.
        BadInput: not a video that can be read, or no frame of it can be decoded.
    """
    with open_video(path) as (container, stream):
        frame = _first_frame(container, stream)
        if frame is None:
            raise BadInput(f"{path.name}: no frame can be decoded. Copy the file again or leave this camera out.")
        rotation = clockwise_rotation(frame)
        rate = stream.guessed_rate or stream.average_rate or stream.base_rate
        if not rate or stream.time_base is None:
            raise BadInput(f"{path.name}: has neither a frame rate nor time stamps. {CONVERT}")
        width, height = round(frame.width * pixel_aspect(stream)), frame.height
        if width * height > MAX_PIXELS:
            raise BadInput(_too_large(path, width, height))
        return VideoProperties(
            width=height if rotation % 180 else width,
            height=width if rotation % 180 else height,
            coded_width=stream.codec_context.coded_width or frame.width,
            coded_height=stream.codec_context.coded_height or height,
            rotation=rotation,
            codec=stream.codec_context.name,
            pixel_format=frame.format.name,
            time_base=stream.time_base,
            average_rate=float(rate),
            duration_s=claimed_duration(container, stream),
            has_audio=len(container.streams.audio) > 0,
            container=container.format.name,
        )


def clockwise_rotation(frame: VideoFrame) -> int:
    """Degrees clockwise (0, 90, 180, 270) that make a decoded frame upright; PyAV counts the other way."""
    return -90 * round(frame.rotation / 90) % 360


def pixel_aspect(stream: VideoStream) -> float:
    """Width of a stored pixel over its height: 1 unless the video was squeezed sideways, as DV and HDV are.

    Ratios within 1 % of 1 are left over from scaling to whole pixels, and those beyond 4 are mistakes of a header
    (both limits chosen by hand): they count as 1.
    """
    ratio = float(stream.sample_aspect_ratio or 1)
    return 1.0 if abs(ratio - 1) < _SQUARE or not 1 / _MAX_ASPECT <= ratio <= _MAX_ASPECT else ratio


def claimed_duration(container: InputContainer, stream: VideoStream) -> float | None:
    """Seconds that the video stream lasts according to the container; None if it does not say."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    tag = stream.metadata.get("DURATION", "")  # Matroska, as most writers fill it in: 00:00:03.000000000
    hours, minutes, seconds = (*tag.split(":"), "", "", "")[:3]
    try:
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:  # no tag, or not of that form
        return None if container.duration is None else container.duration / av.time_base


def _check_file(path: Path) -> None:
    if not path.exists():
        raise InputMissing(f"{path}: no such file.")
    if not path.is_file():  # opening a named pipe would wait for ever
        raise BadInput(f"{path.name}: not a regular file. Copy the recording to a file.")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except PermissionError as error:
        raise InputMissing(f"{path}: may not be read by this user. Change its permissions.") from error
    if empty:
        raise BadInput(f"{path.name}: the file is empty (0 bytes). Copy it again.")


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    pictures = Disposition.attached_pic
    stream = next((s for s in container.streams.video if not s.disposition & pictures), None)
    if stream is None:
        raise BadInput(
            f"{path.name}: holds no video stream (only audio or data). Choose the file that has the pictures."
        )
    if stream.codec_context is None:  # the stub does not know that a codec can be unknown
        raise BadInput(f"{path.name}: its pictures are coded in a way that cannot be decoded. {CONVERT}")
    width, height = stream.width, stream.height
    if width * height > MAX_PIXELS:
        raise BadInput(_too_large(path, width, height))
    return stream


def _too_large(path: Path, width: int, height: int) -> str:
    return f"{path.name}: frames of {width} x {height} pixels, more than {MAX_PIXELS}. Scale the video down."


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:  # damage at the beginning; the next key frame may be whole
            continue
        if frames:
            return frames[0]
    return None


def _explain(path: Path, error: av.error.FFmpegError) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return f"damaged or cut short ({error.strerror}): its index is missing. Copy it again, or repair it."
    if head[:4] in (b"\x1aE\xdf\xa3", b"RIFF"):
        return f"damaged or cut short ({error.strerror}). Copy it again."
    return f"not a video in a format that ghost reads ({FORMATS}). {CONVERT}"
