"""All that is measured, as steps in order, of which each can fail without the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import transformers

from benchmarks.figures import Figure, information
from benchmarks.gpu.end_to_end import end_to_end, memory
from benchmarks.gpu.masks import masks_of_transformers, same_on_cpu
from benchmarks.gpu.scale import Bench
from benchmarks.gpu.speed import compiled, speed_of_late_arrivals, speed_of_transformers, waits


@dataclass(frozen=True)
class Step:
    """Some figures.

    Attributes:
        name: what they are about.
        measure: yields each as soon as it is known.
    """

    name: str
    measure: Callable[[Bench], Iterator[Figure]]


def steps(parts: tuple[str, ...], device: torch.device) -> list[Step]:
    """What is to be done for some of PARTS; the first step prepares all others."""
    first = Step("preparations", _prepare)
    cuda = device.type == "cuda"
    of_part = {
        "masks": [Step("masks against the CPU's", same_on_cpu), Step("masks of transformers", masks_of_transformers)],
        "speed": [
            Step("speed of transformers", speed_of_transformers),
            Step("speed of late arrivals", speed_of_late_arrivals),
            *([Step("waits", waits)] if cuda else []),
        ],
        "end-to-end": [Step("end-to-end", end_to_end)],
        "memory": [Step("memory", memory)] if cuda else [],
        "compile": [Step("compile", compiled)],
    }
    return [first, *(step for part in parts for step in of_part[part])]


def _prepare(bench: Bench) -> Iterator[Figure]:
    device = bench.device
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        yield information("device", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    else:
        yield information("device", str(device))
    precision = str(bench.dtype).removeprefix("torch.")
    yield information("torch, transformers, precision", f"{torch.__version__}, {transformers.__version__}, {precision}")
    bench.prepare()
