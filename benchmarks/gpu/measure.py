"""All figures, one after the other, each as soon as it is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.figures import Figure, information
from benchmarks.gpu import clip
from benchmarks.gpu.end_to_end import end_to_end, memory
from benchmarks.gpu.masks import masks_of_transformers, same_on_cpu
from benchmarks.gpu.scale import Bench, Scale
from benchmarks.gpu.speed import compiled, speed_of_transformers, waits
from common.models.devices import deterministic


def measure(device: torch.device, scale: Scale, folder: Path) -> Iterator[Figure]:
    """The figures of `scale.parts`, on one device.

    Args:
        device: where the models compute.
        scale: how much is measured.
        folder: empty; holds models, videos and results meanwhile: 4 GB.
    """
    deterministic()
    yield information("device", torch.cuda.get_device_name(device) if device.type == "cuda" else str(device))
    yield information("torch", torch.__version__)
    bench = Bench(device, scale, scale.detector(folder / "detector"), scale.tracker(folder / "tracker"), folder)
    if "masks" in scale.parts:
        yield from same_on_cpu(device, folder)
        yield from masks_of_transformers(bench)
    if "speed" in scale.parts:
        yield from speed_of_transformers(bench)
        yield from waits(bench)
    if "end-to-end" in scale.parts:
        data = folder / "data"
        clip.write(data, scale.frames, height=scale.height, width=scale.width)
        for people in scale.people:
            yield from end_to_end(bench, data, people)
    if "memory" in scale.parts:
        yield from memory(bench)
    if "compile" in scale.parts:
        yield from compiled(bench)
