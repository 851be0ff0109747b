"""How fast SAM 2 alone is in our loop: against transformers' own, without waits, and compiled."""

from __future__ import annotations

import itertools
import statistics
import subprocess
from collections.abc import Iterator, Sequence

import torch

from benchmarks.figures import Figure, information
from benchmarks.gpu import loops
from benchmarks.gpu.scale import WARM, Bench
from common.models.devices import is_out_of_memory, resolve_dtype
from stages.segment.prompted.labels import exclusive_labels

_ENTRIES = (0, 5, 9, 13)  # frames in which people come in: so close that all are there before the clock starts
_BETWEEN = 30  # frames between key frames that are looked at
_TIMED = 300


def speed_of_transformers(bench: Bench) -> Iterator[Figure]:
    """Ours against transformers' own loop, in the precision that the stage would choose."""
    mine, other = _rates(bench, [0] * bench.scale.rivals)
    yield Figure(
        f"{bench.scale.rivals} people, SAM 2 alone: frames/s over transformers' own loop",
        ">= 1.50 x",
        f"{mine / other:.2f} x ({mine:.1f} of {other:.1f})",
        ok=mine >= 1.5 * other,
    )
    mine, other = _rates(bench, _ENTRIES)
    yield information(
        f"the same, {len(_ENTRIES)} people who come in at frames {', '.join(map(str, _ENTRIES))}",
        f"{mine / other:.2f} x ({mine:.1f} of {other:.1f})",
    )


def _rates(bench: Bench, entries: Sequence[int]) -> tuple[float, float]:
    """Frames per second of our loop and of theirs, with people who come in in these frames."""
    device, runs = bench.device, range(bench.scale.runs)
    dtype = resolve_dtype("auto", device)
    tracker, pictures = bench.sam2(dtype)
    given = bench.given(tracker, pictures[0], len(entries))
    frames = min(bench.scale.frames, _TIMED)
    warm = min(WARM, frames // 2)
    mine = statistics.median(
        loops.rate(
            loops.ours(tracker, pictures, given, frames=frames, entries=entries), device, frames=frames, warm=warm
        )
        for _ in runs
    )
    other = statistics.median(
        loops.rate(
            loops.theirs(bench.tracker, pictures, given, frames=frames, dtype=dtype, entries=entries),
            device,
            frames=frames,
            warm=warm,
        )
        for _ in runs
    )
    return mine, other


def waits(bench: Bench) -> Iterator[Figure]:
    """Whether the CPU ever waits for the GPU between key frames, from a frame to its label image; torch says so."""
    if bench.device.type != "cuda":
        return
    scale = bench.scale
    tracker, pictures = bench.sam2(resolve_dtype("auto", bench.device))
    given = bench.given(tracker, pictures[0], scale.rivals)
    ids = [number + 1 for number in given.numbers]
    results = loops.ours(tracker, pictures, given, frames=WARM + _BETWEEN)

    def labels(count: int) -> None:
        for found in itertools.islice(results, count):
            exclusive_labels(found.logits, ids, height=scale.height, width=scale.width)

    with torch.cuda.device(bench.device):
        labels(WARM)
        torch.cuda.synchronize()
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            labels(_BETWEEN)
            waited = "0 waits"
        except RuntimeError as error:  # all that torch says in this mode
            if "synchroniz" not in str(error):
                raise
            waited = f"a wait: {_first_line(error)}"
        finally:
            torch.cuda.set_sync_debug_mode(before)
    name = f"{scale.rivals} people, {_BETWEEN} frames between key frames: the CPU for the GPU"
    yield Figure(name, "0 waits", waited, ok=waited == "0 waits")


def compiled(bench: Bench) -> Iterator[Figure]:
    """Whether compiling the image encoder pays back within a video: seconds with and without, compiling included."""
    name = f"torch.compile of the image encoder, 1 person, {bench.scale.frames} frames"
    plain = _seconds(bench, compile=False)
    try:
        faster = _seconds(bench, compile=True)
    except (RuntimeError, subprocess.CalledProcessError) as error:  # dynamo, inductor and triton: no C compiler, say
        if is_out_of_memory(error):
            raise
        yield information(name, f"not measured: {type(error).__name__}: {_first_line(error)}; {plain:.1f} s without")
    else:
        yield information(name, f"{faster:.1f} s with it, compiling included; {plain:.1f} s without")


def _seconds(bench: Bench, *, compile: bool) -> float:
    dtype, frames = resolve_dtype("auto", bench.device), bench.scale.frames
    tracker, pictures = bench.sam2(dtype, compile=False)
    given = bench.given(tracker, pictures[0], 1)
    if compile:  # masks to begin with are made without it: they are no part of what is timed
        tracker, pictures = bench.sam2(dtype, compile=True)
    results = loops.ours(tracker, pictures, given, frames=frames)
    return frames / loops.rate(results, bench.device, frames=frames, warm=0)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no reason given")
