"""Whether the masks are right: on this device as on a CPU, and in our batched loop as in transformers'."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
_SHOWN = 0.01  # of all pixels that must be somebody's: empty masks, or of numbers that are none, are equal as well


@dataclass(frozen=True)
class _Agreement:
    """How far two images agree.

    Attributes:
        equal: share of all pixels that are equal.
        inside: share of all pixels that are somebody's in the second one.
        anybody: pixels that are somebody's in either.
        anybody_equal: those of them that are equal.
    """

    equal: float
    inside: float
    anybody: int
    anybody_equal: int


def _agreement(mine: torch.Tensor, other: torch.Tensor) -> _Agreement:
    """Compares tensors of one shape, of truth values or of labels; what is not 0 is somebody's."""
    equal, anybody = mine == other, (mine != 0) | (other != 0)
    return _Agreement(
        equal.float().mean().item(),
        (other != 0).float().mean().item(),
        int(anybody.sum()),
        int((equal & anybody).sum()),
    )


def _of_people(found: Sequence[_Agreement]) -> Figure:
    """What of the equal pixels is not merely background in both."""
    anybody, equal = sum(one.anybody for one in found), sum(one.anybody_equal for one in found)
    measured = f"{_percent(equal / anybody)} (of {anybody:,})" if anybody else "there are none"
    return information("the same of pixels that are somebody's in either", measured)


def same_on_cpu(bench: Bench) -> Iterator[Figure]:
    """Tiny models of random weights in float32: the same masks on this device as on a CPU."""
    weights = tiny_models.save_sam2_video(bench.folder / "tiny")
    found = []
    for place in (torch.device("cpu"), bench.device):
        tracker = Sam2Tracker(weights, device=place, dtype=torch.float32)
        pictures = [tracker.see(image) for image in clip.images(PICTURES, height=180, width=320)]
        given = tracker.outline(pictures[0], rectangles(3, height=180, width=320))
        results = loops.ours(tracker, pictures, given, frames=bench.scale.compared)
        found.append(torch.stack([outlines.logits.float().cpu() for outlines in results]))
    agreement = _agreement(found[1] > 0, found[0] > 0)
    yield Figure(
        "tiny SAM 2, float32: pixels equal to the CPU's",
        ">= 99.9 %",
        f"{_percent(agreement.equal)} ({agreement.inside:.0%} are people's)",
        ok=agreement.equal >= _EQUAL and agreement.inside >= _SHOWN,
    )
    yield _of_people([agreement])


def masks_of_transformers(bench: Bench) -> Iterator[Figure]:
    """Label images of the frame's size, by our batched loop and by transformers' one after the other, in float32."""
    scale = bench.scale
    tracker, pictures = bench.sam2(torch.float32)
    given = bench.given(tracker, pictures[0], scale.rivals)
    ours = loops.ours(tracker, pictures, given, frames=scale.compared)
    theirs = loops.theirs(bench.rival(torch.float32), pictures, given, frames=scale.compared, dtype=torch.float32)
    found = [
        _agreement(_labels(mine.logits, mine.numbers, bench), _labels(other, given.numbers, bench))
        for mine, other in zip(ours, theirs, strict=True)
    ]
    equal, inside = [one.equal for one in found], [one.inside for one in found]
    mean = sum(equal) / len(equal)  # frames have one size: this is the mean over all pixels
    what = f"{scale.rivals} people, float32, {scale.compared} frames: pixels equal to transformers'"
    anybody = sum(inside) / len(inside) >= _SHOWN
    shown = f"{min(inside):.0%} to {max(inside):.0%} of a frame are people's"
    yield Figure(what, ">= 99.9 %", f"{_percent(mean)} ({shown})", ok=mean >= _EQUAL and anybody)
    yield _of_people(found)
    worst = min(range(len(equal)), key=equal.__getitem__)
    yield information("the same in the worst frame", f"{_percent(equal[worst])} (frame {worst + 1})")


def _percent(share: float) -> str:
    """Rounded down, or 99.8996 would be shown as what was asked for."""
    return f"{math.floor(share * 1e5) / 1e3:.3f} %"


def _labels(logits: torch.Tensor, numbers: Sequence[int], bench: Bench) -> torch.Tensor:
    ids = [number + 1 for number in numbers]
    labels = exclusive_labels(logits, ids, height=bench.scale.height, width=bench.scale.width)
    return labels.view(torch.int16)  # torch compares no uint16 on a GPU
