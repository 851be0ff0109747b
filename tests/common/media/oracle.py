"""What the ffmpeg command makes of a video: a second opinion that shares no code with ghost."""

import re
import subprocess
from pathlib import Path

import numpy as np

from tests.media_zoo import FFMPEG

_PASS = ("-fps_mode", "passthrough")


def shown_times(path: Path) -> list[tuple[int, bool]]:
    """PTS in ticks and key-frame flag of every frame that ffmpeg decodes, in order."""
    command = [
        FFMPEG,
        "-hide_banner",
        "-nostdin",
        "-copyts",
        "-i",
        path,
        "-vf",
        "showinfo",
        *_PASS,
        "-f",
        "null",
        "-",
    ]
    log = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True).stderr
    return [(int(pts), key == "1") for pts, key in re.findall(r" pts: *(\d+) .* iskey:(\d)", log)]


def pixels(path: Path, shape: tuple[int, ...], *, pixel_format: str = "rgb24", filters: str = "null") -> np.ndarray:
    """(n, *shape) uint8: all frames, upright, as ffmpeg converts them."""
    output = ("-vf", filters, *_PASS, "-f", "rawvideo", "-pix_fmt", pixel_format, "-")
    command = [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "error", "-i", path, *output]
    raw = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, *shape)
