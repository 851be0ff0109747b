"""How fast SAM 2 alone is in our loop: against transformers' own, without waits, and compiled."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.figures import Figure, information
from benchmarks.gpu import clip, loops
from benchmarks.gpu.progress import say
from benchmarks.gpu.scale import WARM, Bench
from common.models.devices import is_out_of_memory
from stages.segment.prompted.labels import exclusive_labels
from stages.segment.prompted.sam2 import Sam2Tracker
from stages.segment.prompted.sam2_pictures import Picture

_ENTRIES = (0, 5, 9, 13)  # frames in which people come in: so close that all are there before the clock starts
_BETWEEN = 30  # frames between key frames that are looked at


def speed_of_transformers(bench: Bench) -> Iterator[Figure]:
    """Ours against transformers' own loop, in the precision that the stage would choose."""
    people, runs = bench.scale.rivals, bench.scale.runs
    mine, other, done = _rates(bench, [0] * people, runs=runs)
    yield Figure(
        f"{people} people, SAM 2 alone: frames/s over transformers' own loop ({done} run{'s' if done > 1 else ''})",
        ">= 1.50 x",
        f"{mine / other:.2f} x ({mine:.1f} of {other:.1f})",
        ok=mine >= 1.5 * other,
    )


def speed_of_late_arrivals(bench: Bench) -> Iterator[Figure]:
    """The same with people of whom not equally much is remembered at first, so that they cannot share a pass."""
    mine, other, _ = _rates(bench, _ENTRIES, runs=1)
    yield information(
        f"SAM 2 alone, {len(_ENTRIES)} people who come in at frames {', '.join(map(str, _ENTRIES))}",
        f"{mine / other:.2f} x ({mine:.1f} of {other:.1f})",
    )


def _rates(bench: Bench, entries: Sequence[int], *, runs: int) -> tuple[float, float, int]:
    """Frames per second of our loop and of theirs, medians of so many runs in turn, and how many there was time for.

    Args:
        bench: what to measure with.
        entries: the frames in which people come in.
        runs: how many at most.
    """
    device, dtype, frames = bench.device, bench.dtype, bench.scale.timed
    warm = min(WARM, frames // 2)
    tracker, pictures = bench.sam2(dtype)
    model = bench.rival(dtype)
    given = bench.given(tracker, pictures[0], len(entries))
    mine: list[float] = []
    other: list[float] = []
    begun = time.monotonic()
    for run in range(1, runs + 1):
        ours = loops.ours(tracker, pictures, given, frames=frames, entries=entries)
        mine.append(loops.rate(ours, device, frames=frames, warm=warm))
        theirs = loops.theirs(model, pictures, given, frames=frames, dtype=dtype, entries=entries)
        other.append(loops.rate(theirs, device, frames=frames, warm=warm))
        say(f"run {run} of {runs}: {mine[-1]:.1f} frames/s in our loop, {other[-1]:.1f} in transformers'")
        if (time.monotonic() - begun) * (run + 1) / run > bench.scale.seconds / 2:
            break
    return statistics.median(mine), statistics.median(other), len(mine)


class _Seeing:
    """Frames that are brought to the device when they are asked for."""

    def __init__(self, tracker: Sam2Tracker, images: Sequence[NDArray[np.uint8]]) -> None:
        self._tracker, self._images = tracker, images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Picture:
        return self._tracker.see(self._images[index])


def waits(bench: Bench) -> Iterator[Figure]:
    """Whether the CPU ever waits for the GPU between key frames, from a frame to its label image; torch says so."""
    scale = bench.scale
    tracker, pictures = bench.sam2(bench.dtype)
    given = bench.given(tracker, pictures[0], scale.rivals)
    ids = [number + 1 for number in given.numbers]
    frames = _Seeing(tracker, list(clip.images(loops.PICTURES, height=scale.height, width=scale.width)))
    results = loops.ours(tracker, frames, given, frames=WARM + _BETWEEN)

    def labels(count: int) -> int:
        seen = 0
        for found in itertools.islice(results, count):
            exclusive_labels(found.logits, ids, height=scale.height, width=scale.width)
            seen += 1
        return seen

    with torch.cuda.device(bench.device):
        labels(WARM)
        torch.cuda.synchronize()
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            seen = labels(_BETWEEN)
            waited = f"0 waits in {seen} frames"
        except RuntimeError as error:  # all that torch says in this mode
            if "synchroniz" not in str(error):
                raise
            seen, waited = 0, f"a wait: {_first_line(error)}"
        finally:
            torch.cuda.set_sync_debug_mode(before)
    name = f"{scale.rivals} people, between key frames: the CPU for the GPU"
    yield Figure(name, "0 waits", waited, ok=seen == _BETWEEN)


def compiled(bench: Bench) -> Iterator[Figure]:
    """Whether compiling the image encoder pays back within a video: seconds with and without, compiling included."""
    name = f"torch.compile of the image encoder, 1 person, {bench.scale.frames} frames"
    _seconds(bench, compile=False, frames=min(WARM, bench.scale.frames))
    plain = _seconds(bench, compile=False, frames=bench.scale.frames)
    say(f"{plain:.1f} s without it; compiling takes minutes")
    try:
        faster = _seconds(bench, compile=True, frames=bench.scale.frames)
    except (RuntimeError, subprocess.CalledProcessError) as error:  # dynamo, inductor and triton: no C compiler, say
        if is_out_of_memory(error):
            raise
        yield information(name, f"not measured: {type(error).__name__}: {_first_line(error)}; {plain:.1f} s without")
    else:
        yield information(name, f"{faster:.1f} s with it, compiling included; {plain:.1f} s without")


def _seconds(bench: Bench, *, compile: bool, frames: int) -> float:
    tracker, pictures = bench.sam2(bench.dtype)
    given = bench.given(tracker, pictures[0], 1)
    if compile:  # masks to begin with are made without it: they are no part of what is timed
        tracker, pictures = bench.sam2(bench.dtype, compile=True)
    results = loops.ours(tracker, pictures, given, frames=frames)
    return frames / loops.rate(results, bench.device, frames=frames, warm=0)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no reason given")
