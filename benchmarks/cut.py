"""Cuts real videos at a frame, by stream copy or re-encoding, so that the cut shares no frame index with its source."""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

from common import fingerprint


def cut(source: Path, target: Path, *, start: int, frames: int) -> None:
    """Writes `frames` frames of `source` from frame `start` on, with new PTS from 0, as H.264.

    Args:
        source: a video of constant rate.
        target: the new file; replaced if it exists.
        start: index of the first frame kept.
        frames: how many are kept.

    Raises:
        RuntimeError: ffmpeg fails.
    """
    select = f"trim=start_frame={start}:end_frame={start + frames},setpts=PTS-STARTPTS"
    encoding = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "16")
    _ffmpeg("-i", str(source), "-vf", select, "-an", *encoding, str(target))


def cut_once(source: Path, target: Path, *, start: int, frames: int) -> None:
    """As `cut`, but a cut that is there, of the same recording and the same frames, is not made again.

    What the cut was made of stands in a hidden stamp beside it. An interrupt leaves a whole file or none.

    Args:
        source: a video of constant rate.
        target: the new file; its folder is made.
        start: index of the first frame kept.
        frames: how many are kept.

    Raises:
        RuntimeError: ffmpeg fails.
    """
    stamp, partial = target.with_name(f".{target.stem}.json"), target.with_name(f".{target.name}")  # hidden: no videos
    meant = json.dumps({"recording": fingerprint.of_recording(source), "start": start, "frames": frames})
    if target.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == meant:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    cut(source, partial, start=start, frames=frames)
    stamp.unlink(missing_ok=True)  # before the file changes, so that the old stamp never lies beside the new file
    partial.replace(target)
    stamp.write_text(meant, encoding="utf-8")


def loop(source: Path, target: Path, *, seconds: float, rate: Fraction, size: tuple[int, int]) -> None:
    """Writes a video of a given length by repeating a short one, at another rate and size.

    Args:
        source: the short video.
        target: the new file; replaced if it exists.
        seconds: length of the result.
        rate: frames per second of the result.
        size: width and height in pixels; the source is scaled into it, borders black.
    """
    width, height = size
    fit = f"scale={width}:{height}:force_original_aspect_ratio=decrease,pad={width}:{height}:-1:-1"
    once = f"setpts=N/({rate}*TB),fps={rate},{fit}"
    _ffmpeg(
        "-stream_loop", "-1", "-i", str(source), "-vf", once, "-t", f"{seconds:g}", "-an",
        "-c:v", "libx264", "-preset", "ultrafast", "-crf", "23", "-g", "60", str(target),
    )  # fmt: skip


def _ffmpeg(*arguments: str) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ffmpeg failed: {done.stderr.strip()[-500:]}")
