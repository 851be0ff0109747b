"""What synchronisation costs: CPU seconds against a compiled dynamic time warping in the same run, and memory.

One thread throughout; medians over repetitions. Both methods get the same joints and end in an offset: all 70
keypoints, as the estimators behind this tool give them and as the compared method uses them. A row for the 18 that
the simulator moves stands beside it, because warping costs less on fewer and ours, which looks at 17, does not.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, information
from benchmarks.peak_memory import peak_bytes
from benchmarks.simulation.cameras import LEVELS, camera_rotation, observe, simulate_scene
from benchmarks.simulation.motion import KEYPOINTS, simulate_motion
from benchmarks.sync import compiled_dtw
from stages.sync.evidence import gather
from stages.sync.pairwise import Curve, find_peak
from stages.sync.solve import solve
from stages.sync.tracks import PersonTrack, VideoTracks

Floats = NDArray[np.float64]

FPS = 30.0
MAX_OFFSET = 60.0  # s, the default of the stage
PAIR_LENGTHS = {3_000: 20.0, 10_000: 100.0}  # frames: how many times less CPU is asked for
SCENE_VIDEOS, SCENE_LENGTH, SCENE_PAIRS = 64, 3_000, 6
LONG_VIDEOS, LONG_LENGTH, LONG_GB = 4, 100_000, 1.0
QUICK_LENGTH = 30_000  # of the long scene, in a quick run; less memory is then allowed, in proportion
SLOPE_LENGTHS, SLOPE = (1_000, 3_000, 10_000, 30_000), 1.1
CHUNK, CHUNKS = 60.0, 5  # s of motion that are simulated at once in the long scene, and how many before they repeat
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def figures(*, quick: bool) -> list[Figure]:
    """Ratios of CPU time, peak memory, and how cost grows with length; `quick` repeats less and has a shorter scene."""
    seconds_of_dtw: dict[int, float] = {}
    rows = []
    for length, asked in PAIR_LENGTHS.items():
        rows += _pair_figures(length, asked, seconds_of_dtw, rounds=1 if quick else 3)
    rows.append(_scene_figure(seconds_of_dtw.get(SCENE_LENGTH), rounds=1 if quick else 3))
    rows.append(_memory_figure(QUICK_LENGTH if quick else LONG_LENGTH))
    rows.append(_slope_figure(rounds=1 if quick else 3))
    return rows


def _pair_figures(length: int, asked: float, seconds_of_dtw: dict[int, float], *, rounds: int) -> list[Figure]:
    videos = _recordings(2, length)
    everything = [_with_all_keypoints(video) for video in videos]
    name = f"cost: a pair at T={length}, joints to offset, less CPU than a compiled DTW ({compiled_dtw.DESCRIPTION})"
    ours = _cpu(lambda: pair_offset(everything), rounds=5 * rounds)
    whole = information(
        f"cost: the whole answer for two videos, T={length}",
        f"{1e3 * _cpu(lambda: solve(everything, max_offset=MAX_OFFSET), rounds=rounds):.1f} ms",
    )
    promise = f">= {asked:.0f} x"
    if not compiled_dtw.available():
        skipped = f"SKIPPED: numba is not installed (ours {1e3 * ours:.1f} ms). pip install numba"
        return [Figure(name, promise, skipped, ok=True), whole]
    compiled_dtw.warm_up()
    theirs = _cpu(lambda: _dtw_offset(everything), rounds=rounds)
    few = _cpu(lambda: _dtw_offset(videos), rounds=rounds)
    ours_on_few = _cpu(lambda: pair_offset(videos), rounds=5 * rounds)
    seconds_of_dtw[length] = theirs
    return [
        Figure(
            name,
            promise,
            f"{theirs / ours:.1f} x ({1e3 * ours:.1f} ms against {1e3 * theirs:.0f} ms)",
            theirs >= asked * ours,
        ),
        information(
            f"cost: the same with {len(KEYPOINTS)} keypoints",
            f"{few / ours_on_few:.1f} x ({1e3 * ours_on_few:.1f} ms against {1e3 * few:.0f} ms)",
        ),
        whole,
    ]


def _scene_figure(pair: float | None, *, rounds: int) -> Figure:
    videos = [_with_all_keypoints(video) for video in _recordings(SCENE_VIDEOS, SCENE_LENGTH)]
    ours = _cpu(lambda: solve(videos, max_offset=MAX_OFFSET), rounds=rounds)
    pairs = SCENE_VIDEOS * (SCENE_VIDEOS - 1) // 2
    name = f"cost: N={SCENE_VIDEOS}, T={SCENE_LENGTH} ({pairs} pairs, refusals, intervals), in DTW pairs"
    asked = f"< {SCENE_PAIRS}"
    if pair is None:
        return Figure(name, asked, f"SKIPPED: numba is not installed (ours {ours:.1f} s)", ok=True)
    return Figure(name, asked, f"{ours / pair:.1f} ({ours:.2f} s)", ours < SCENE_PAIRS * pair)


def _memory_figure(length: int) -> Figure:
    """In a process of its own, so that nothing else counts. What the program itself takes does not grow with length."""
    code = f"from benchmarks.sync.cost import solve_long_scene; print(solve_long_scene({length}))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=True
    )
    peak, program, inputs, cpu = (float(number) for number in done.stdout.split())
    allowed = program + (LONG_GB - program) * length / LONG_LENGTH
    name = f"cost: peak memory, {LONG_VIDEOS} videos of T={length} (70 float32 keypoints), inputs included"
    scaled = "" if length == LONG_LENGTH else f" (in proportion to {LONG_GB:.1f} at T={LONG_LENGTH})"
    measured = f"{peak:.2f} GB, of which {inputs:.2f} GB inputs; {cpu:.1f} CPU s"
    return Figure(name, f"<= {allowed:.2f} GB{scaled}", measured, peak <= allowed)


def _slope_figure(*, rounds: int) -> Figure:
    spent = []
    for length in SLOPE_LENGTHS:
        videos = _recordings(2, length)
        spent.append(_cpu(lambda videos=videos: solve(videos, max_offset=MAX_OFFSET), rounds=rounds))  # type: ignore[misc]
    slope = float(np.polyfit(np.log(SLOPE_LENGTHS), np.log(spent), 1)[0])
    name = f"cost: log-log slope of CPU against T, {SLOPE_LENGTHS[0]} to {SLOPE_LENGTHS[-1]}"
    measured = f"{slope:.2f} ({', '.join(f'{1e3 * s:.0f}' for s in spent)} ms)"
    return Figure(name, f"<= {SLOPE}", measured, slope <= SLOPE)


def pair_offset(videos: Sequence[VideoTracks]) -> float:
    """start_time[1] - start_time[0] in seconds of two videos with one person each, by their own best match alone."""
    evidence = gather(videos, max_offset=MAX_OFFSET)
    couples = evidence.couples[0, 1]
    peak = find_peak(Curve(couples.r[0, 0], couples.overlap[0, 0]), rate=evidence.curve_rate)
    return evidence.offset(0, 1, peak.lag)


def _dtw_offset(videos: Sequence[VideoTracks]) -> float:
    """The same by warping the frames as they come: both videos have 30 fps, and frames without the person are none."""
    (a, weights_a), (b, weights_b) = (_joints(video.persons[0]) for video in videos)
    return compiled_dtw.compiled_lag(a, b, weights_a, weights_b) / FPS


def _joints(track: PersonTrack) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    shown = np.isfinite(track.keypoints[0]).all(-1)
    return track.keypoints[:, shown].astype(np.float32), track.confidence[:, shown].astype(np.float32)


def _recordings(videos: int, frames: int) -> tuple[VideoTracks, ...]:
    return simulate_scene(np.random.default_rng(frames), cameras=videos, seconds=frames / FPS, level="medium").videos


def _with_all_keypoints(video: VideoTracks) -> VideoTracks:
    """Every keypoint that is not simulated moves along with one that is; float32, as on disk."""
    standing_for = np.resize(KEYPOINTS, 70)
    standing_for[list(KEYPOINTS)] = KEYPOINTS

    def complete(values: NDArray[np.floating]) -> NDArray[np.float32]:
        return np.ascontiguousarray(values[:, standing_for], dtype=np.float32)

    return VideoTracks(
        video.video,
        tuple(replace(t, keypoints=complete(t.keypoints), confidence=complete(t.confidence)) for t in video.persons),
    )


def solve_long_scene(length: int) -> str:
    """Solves four cameras of so many frames.

    Returns:
        Peak memory, what of it the program took before it had any input, size of the inputs, in GB; and CPU seconds.
    """
    program = peak_bytes()
    videos = _long_recordings(length)
    inputs = sum(a.nbytes for v in videos for t in v.persons for a in (t.times, t.keypoints, t.confidence))
    begin = time.process_time()
    solve(videos, max_offset=MAX_OFFSET)
    return f"{peak_bytes() / 1e9} {program / 1e9} {inputs / 1e9} {time.process_time() - begin}"


def _long_recordings(length: int) -> tuple[VideoTracks, ...]:
    """Made minute by minute, since the whole at once takes more memory than solving; five different ones repeat."""
    generator = np.random.default_rng(0)
    motions = [simulate_motion(CHUNK + 1, generator) for _ in range(CHUNKS)]
    pts = np.arange(length) / FPS
    videos = []
    for number in range(LONG_VIDEOS):
        start, rotation, parts = 2.3 * number, camera_rotation(generator), []
        minutes = ((start + pts) // CHUNK).astype(np.int64)
        for minute in range(int(minutes[-1]) + 1):
            now = pts[minutes == minute]
            moments = start + now - minute * CHUNK
            part = observe(motions[minute % CHUNKS], moments, now, LEVELS["medium"], generator, rotation=rotation)
            parts.append((part.times, part.keypoints.astype(np.float32), part.confidence.astype(np.float32)))
        times, keypoints, confidence = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        videos.append(VideoTracks(f"cam{number + 1}", (PersonTrack(1, times, keypoints, confidence),)))
    return tuple(videos)


def _cpu(work: Callable[[], object], *, rounds: int) -> float:
    """Median CPU seconds."""
    spent = []
    for _ in range(rounds):
        begin = time.process_time()
        work()
        spent.append(time.process_time() - begin)
    return statistics.median(spent)
