"""What cameras heard in common, through a whole `ghost run`: AAC in MP4 on the way in, start times on the way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.artifacts import synchronization
from tests.e2e.test_run import run
from tests.media_zoo import run_ffmpeg

RATE = 48_000  # Hz
SECONDS = 8
LATER = 3.25  # s after the first camera, no whole number of AAC's frames of 1024 samples
TOLERANCE = 0.01  # s; measured: 0.02 ms


def film_nobody(path: Path, heard: np.ndarray) -> None:
    """A black video in which nobody is found, with a sound track: samples in [-1, 1], as AAC."""
    black = ("-f", "lavfi", "-i", f"color=black:size=160x120:rate=5:duration={SECONDS}")
    sound = ("-f", "s16le", "-ar", RATE, "-ac", 1, "-i", "-")
    encoding = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")
    run_ffmpeg(*black, *sound, *encoding, path, stdin=(heard * 32767).astype("<i2").tobytes())


def test_sound_alone_tells_when_a_camera_started(tmp_path: Path):
    dice = np.random.default_rng(0)
    room = dice.normal(0, 0.1, round((SECONDS + LATER) * RATE))
    (tmp_path / "data" / "take").mkdir(parents=True)
    for camera, start in (("cam01", 0.0), ("cam02", LATER)):
        first = round(start * RATE)
        microphone = dice.normal(0, 0.03, SECONDS * RATE)  # a noise of its own, 10 dB below that of the room
        heard = room[first : first + SECONDS * RATE] + microphone
        film_nobody(tmp_path / "data" / "take" / f"{camera}.mp4", heard.clip(-1, 1))
    done = run(tmp_path / "data", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    found = synchronization.load(tmp_path / "out" / "take" / "synchronization.json")
    assert {part.kind for pair in found.pairs for part in pair.evidence if part.used} == {"audio"}, found.pairs
    assert found.cameras["cam01"].start_time == 0, found.cameras
    off = found.cameras["cam02"].start_time - LATER
    assert abs(off) < TOLERANCE, f"{off * 1e3:.2f} ms off"
    assert {camera.verdict for camera in found.cameras.values()} == {"ok"}
