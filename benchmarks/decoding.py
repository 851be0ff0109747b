"""What reading video costs, against `ffmpeg -f null` on the same file: CPU seconds, medians, one run."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import imageio_ffmpeg

from benchmarks.demo_data import OUT
from benchmarks.figures import Figure, report
from common.media.decode import frames, read_frames
from common.media.packet_times import read_time_table
from common.media.time_table import TimeTable

ROUNDS = 3
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
DEMO = OUT / "single" / "cam01.mp4"


def measure() -> list[Figure]:
    """Full decode to RGB (also of the demo video, if it has been fetched), sparse frames, time table."""
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "clip.mp4")
        table = read_time_table(clip)
        full = _cpu(lambda: _consume(frames(clip, table)))
        sparse = _cpu(lambda: _consume(read_frames(clip, table, range(0, len(table), 50))))
        listing = _cpu(lambda: read_time_table(clip)) / len(table)
        figures = [_against_ffmpeg("synthetic 1080p, 12 Mb/s", clip, table, full)]
    if DEMO.exists():
        table = read_time_table(DEMO)
        full_demo = _cpu(lambda: _consume(frames(DEMO, table)))
        figures.append(_against_ffmpeg("demo, 1080 x 1920", DEMO, table, full_demo))
    return [
        *figures,
        _at_least("decoding: every 50th frame, cheaper than all", full / sparse, asked=2.3),
        _at_most("decoding: time table, CPU ms per frame", listing * 1e3, asked=0.5),
    ]


def make_clip(path: Path, *, seconds: int = 5) -> Path:
    """A 1080p30 H.264 clip at a camera's bit rate: moving pattern, grain, a key frame per second, B-frames."""
    picture = ("-f", "lavfi", "-i", f"testsrc2=size=1920x1080:rate=30:duration={seconds}")
    grain = ("-vf", "noise=alls=12:allf=t")
    codec = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "30", "-bf", "2")
    rate = ("-b:v", "12M", "-maxrate", "12M", "-bufsize", "12M")
    _ffmpeg("-y", *picture, *grain, *codec, *rate, path)
    return path


def _against_ffmpeg(what: str, path: Path, table: TimeTable, ours: float) -> Figure:
    theirs = _cpu(lambda: _ffmpeg("-i", path, "-f", "null", "-"))
    per_frame = f"{ours / len(table) * 1e3:.1f} ms a frame"
    name = f"decoding: to RGB, {what}, CPU of ffmpeg -f null"
    return Figure(name, "<= 1.30 x", f"{ours / theirs:.2f} x ({per_frame})", ours <= 1.3 * theirs)


def _ffmpeg(*arguments: object) -> None:
    subprocess.run([FFMPEG, "-nostdin", "-loglevel", "error", *map(str, arguments)], check=True)


def _consume(items: Iterable[object]) -> None:
    for _item in items:
        pass


def _cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process and its children, user and system."""
    spent = []
    for _ in range(ROUNDS):
        before = _spent()
        work()
        spent.append(_spent() - before)
    return statistics.median(spent)


def _spent() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _at_least(name: str, measured: float, *, asked: float) -> Figure:
    return Figure(name, f">= {asked:.1f} x", f"{measured:.1f} x", measured >= asked)


def _at_most(name: str, measured: float, *, asked: float) -> Figure:
    return Figure(name, f"<= {asked:.1f}", f"{measured:.2f}", measured <= asked)


if __name__ == "__main__":
    sys.exit(report(measure()))
