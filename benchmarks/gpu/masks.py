"""Whether the masks are right: on this device as on a CPU, and in our batched loop as in transformers'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.figures import Figure, information
from benchmarks.gpu import clip, loops
from benchmarks.gpu.loops import PICTURES
from benchmarks.gpu.scale import Bench
from benchmarks.gpu.stand_ins import rectangles
from stages.segment.prompted.labels import exclusive_labels
from stages.segment.prompted.sam2 import Sam2Tracker
from tests import tiny_models

_EQUAL = 0.999


def same_on_cpu(device: torch.device, folder: Path) -> Iterator[Figure]:
    """Tiny models of random weights in float32: the same masks on this device as on a CPU."""
    weights = tiny_models.save_sam2_video(folder / "tiny")
    found = []
    for place in (torch.device("cpu"), device):
        tracker = Sam2Tracker(weights, device=place, dtype=torch.float32)
        pictures = [tracker.see(image) for image in clip.images(PICTURES, height=180, width=320)]
        given = tracker.outline(pictures[0], rectangles(3, height=180, width=320))
        results = loops.ours(tracker, pictures, given, frames=40)
        found.append(torch.stack([outlines.logits.float().cpu() for outlines in results]))
    same = ((found[0] > 0) == (found[1] > 0)).float().mean().item()
    yield Figure("tiny SAM 2, float32: pixels equal to the CPU's", ">= 99.9 %", f"{same:.3%}", ok=same >= _EQUAL)


def masks_of_transformers(bench: Bench) -> Iterator[Figure]:
    """Label images of the frame's size, by our batched loop and by transformers' one after the other, in float32."""
    scale = bench.scale
    tracker, pictures = bench.sam2(torch.float32)
    given = bench.given(tracker, pictures[0], scale.rivals)
    ours = loops.ours(tracker, pictures, given, frames=scale.compared)
    theirs = loops.theirs(bench.tracker, pictures, given, frames=scale.compared, dtype=torch.float32)
    equal, inside = [], []
    for mine, other in zip(ours, theirs, strict=True):
        expected = _labels(other, given.numbers, bench)
        equal.append((_labels(mine.logits, mine.numbers, bench) == expected).float().mean().item())
        inside.append((expected != 0).float().mean().item())
    mean = sum(equal) / len(equal)  # frames have one size: this is the mean over all pixels
    what = f"{scale.rivals} people, float32, {scale.compared} frames: pixels equal to transformers'"
    yield Figure(what, ">= 99.9 %", f"{mean:.3%}", ok=mean >= _EQUAL)
    worst = min(range(len(equal)), key=equal.__getitem__)
    yield information("the same in the worst frame", f"{equal[worst]:.3%} (frame {worst + 1})")
    yield information("pixels of people, smallest and largest frame", f"{min(inside):.0%}, {max(inside):.0%}")


def _labels(logits: torch.Tensor, numbers: Sequence[int], bench: Bench) -> torch.Tensor:
    ids = [number + 1 for number in numbers]
    labels = exclusive_labels(logits, ids, height=bench.scale.height, width=bench.scale.width)
    return labels.view(torch.int16)  # torch compares no uint16 on a GPU
