"""What the stage costs from a video file to mask_data.npz: speed against the bare models, and memory by length."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.figures import Figure
from benchmarks.gpu import clip, loops
from benchmarks.gpu.loops import PICTURES
from benchmarks.gpu.scale import WARM, Bench
from benchmarks.gpu.stand_ins import rectangles
from benchmarks.gpu.watch import Watch


def end_to_end(bench: Bench, data: Path, people: int) -> Iterator[Figure]:
    """From file to file against the models alone.

    Args:
        bench: what to measure with.
        data: with a video of `scale.frames` frames.
        people: how many are found in it.
    """
    scale, models = bench.scale, bench.models(people)
    images = list(clip.images(PICTURES, height=scale.height, width=scale.width))
    boxes = rectangles(people, height=scale.height, width=scale.width)
    loops.bare(models, images, boxes, frames=WARM)
    watch = Watch(bench.device)
    whole = [loops.from_file(models, data, frames=scale.frames, during=watch) for _ in range(scale.runs)]
    alone = [loops.bare(models, images, boxes, frames=scale.frames) for _ in range(scale.runs)]
    bare, real = statistics.median(alone), statistics.median(whole)
    yield Figure(
        f"{people} people: frames/s from file to mask_data.npz over the bare models",
        ">= 0.90 x",
        f"{real / bare:.2f} x ({real:.1f} of {bare:.1f})",
        ok=real >= 0.9 * bare,
    )
    yield watch.figure(f"{people} people: GPU busy", at_least=0.9)


def memory(bench: Bench) -> Iterator[Figure]:
    """The most memory of the GPU that a long video takes, against a short one."""
    if bench.device.type != "cuda":
        return
    scale = bench.scale
    short, long = (_peak(bench, frames) for frames in scale.lengths)
    yield Figure(
        f"{scale.rivals} people: GPU memory of {scale.lengths[1]:,} frames over {scale.lengths[0]}",
        "<= 1.05 x",
        f"{long / short:.3f} x ({long / 2**30:.2f} GiB)",
        ok=long <= 1.05 * short,
    )


def _peak(bench: Bench, frames: int) -> int:
    """Bytes of the GPU that a video of such a length takes at most, models included and nothing that was before."""
    data = bench.folder / f"data-{frames}"
    clip.write(data, frames, height=bench.scale.height, width=bench.scale.width)
    gc.collect()  # or models of before, in cycles of references, would count
    torch.cuda.empty_cache()
    models = bench.models(bench.scale.rivals)
    torch.cuda.reset_peak_memory_stats(bench.device)
    loops.from_file(models, data, frames=frames)
    return torch.cuda.max_memory_allocated(bench.device)
