"""What the stage costs from a video file to mask_data.npz: speed against the bare models, and memory by length."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence

import torch

from benchmarks.figures import Figure, information
from benchmarks.gpu import clip, loops
from benchmarks.gpu.loops import PICTURES
from benchmarks.gpu.progress import say
from benchmarks.gpu.scale import WARM, Bench
from benchmarks.gpu.stand_ins import rectangles
from benchmarks.gpu.watch import Watch

_NOBODY = 6  # people that cost as much as what is done for a frame whoever is in it; from FLOP, to plan with only


def end_to_end(bench: Bench) -> Iterator[Figure]:
    """From file to file against the models alone, with each number of people."""
    scale = bench.scale
    ends = time.monotonic() + scale.seconds
    for place, people in enumerate(scale.people):
        yield from _with_people(bench, people, scale.people[place + 1 :], ends)


def _with_people(bench: Bench, people: int, later: Sequence[int], ends: float) -> Iterator[Figure]:
    """With so many people; some runs of each, in turn, so that a GPU which gets warm slows both.

    Args:
        bench: what to measure with.
        people: how many.
        later: how many afterwards; a run of each is to be done before `ends`.
        ends: of time.monotonic, when no further run is begun, except the first.
    """
    scale, models = bench.scale, bench.models(people)
    images = list(clip.images(PICTURES, height=scale.height, width=scale.width))
    boxes = rectangles(people, height=scale.height, width=scale.width)
    data, short = bench.video(scale.frames), bench.video(WARM)
    say(f"{people} people: warming up")
    loops.from_file(models, short, frames=WARM)
    watch = Watch(bench.device)
    whole: list[float] = []
    alone: list[float] = []
    for run in range(1, scale.runs + 1):
        begun = time.monotonic()
        whole.append(loops.from_file(models, data, frames=scale.frames, during=watch))
        alone.append(loops.bare(models, images, boxes, frames=scale.timed))
        said = f"{whole[-1]:.1f} frames/s from file to file, {alone[-1]:.1f} of the models alone"
        say(f"{people} people: run {run} of {scale.runs}: {said}")
        if run < scale.runs and not _is_time_left(people, later, ends, seconds=time.monotonic() - begun):
            say(f"{people} people: no time for another run")
            break
    bare, real = statistics.median(alone), statistics.median(whole)
    counted = f"{len(whole)} run{'s' if len(whole) > 1 else ''} of {scale.frames:,} frames"
    yield Figure(
        f"{people} people: frames/s from file to mask_data.npz over the bare models ({counted})",
        ">= 0.90 x",
        f"{real / bare:.2f} x ({real:.1f} of {bare:.1f})",
        ok=real >= 0.9 * bare,
    )
    needed = scale.watched and bench.device.type == "cuda"
    yield watch.figure(f"{people} people: GPU busy", at_least=0.9, needed=needed)


def _is_time_left(people: int, later: Sequence[int], ends: float, *, seconds: float) -> bool:
    """Whether a run more fits in, if the last one took so long, and one of each that is still to come."""
    cost = {count: _NOBODY + count for count in (people, *later)}
    to_come = seconds + sum(seconds * cost[count] / cost[people] for count in later)
    return time.monotonic() + to_come <= ends


def memory(bench: Bench) -> Iterator[Figure]:
    """The most memory of the GPU that a long video takes, against a short one."""
    scale = bench.scale
    bench.release()
    bench.models(scale.rivals)  # a first time, since loading takes more than they keep
    (held, reserved), (held_long, reserved_long) = (_peak(bench, frames) for frames in scale.lengths)
    name = f"{scale.rivals} people: GPU memory of {scale.lengths[1]:,} frames over {scale.lengths[0]:,}"
    yield Figure(name, "<= 1.05 x", _over(held_long, held), ok=held_long <= 1.05 * held)
    yield information("the same with what torch keeps in reserve", _over(reserved_long, reserved))


def _over(more: int, less: int) -> str:
    return f"{more / less:.3f} x ({more / 2**30:.2f} of {less / 2**30:.2f} GiB)"


def _peak(bench: Bench, frames: int) -> tuple[int, int]:
    """Bytes of the GPU that a video of such a length takes at most, models included: in tensors, and in all."""
    data, models = bench.video(frames), bench.models(bench.scale.rivals)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(bench.device)
    speed = loops.from_file(models, data, frames=frames)
    say(f"{frames} frames: {speed:.1f} frames/s")
    return torch.cuda.max_memory_allocated(bench.device), torch.cuda.max_memory_reserved(bench.device)
