"""Following somebody into the past: who is found on a key frame came into view some frames before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
import torch
from numpy.typing import NDArray

from stages.segment.prompted.filters import Plausible
from stages.segment.prompted.held_masks import HeldFrame, Seen, first_held, stacked
from stages.segment.prompted.instances import Instance, distance, longer_side
from stages.segment.prompted.mask_statistics import MaskStatistics, fetch, measure
from stages.segment.prompted.matching import SAME, WITHIN
from stages.segment.prompted.protocols import MaskTracker, Memory, Outlines, Picture

CHUNK = 8
"""Frames followed before the device is asked whether anybody is left: the most that are followed in vain."""

_JUMP = 0.5  # of its longer side that a box moves from frame to frame: more is somebody else. By hand
_GROWTH = 4.0  # times its largest area so far that it may have, likewise; it may shrink to nothing

_BLANKS = 2  # frames in a row without a mask that are passed over: thin parts flicker; by hand


@dataclass(frozen=True, eq=False)
class Meeting:
    """Where a pass backwards ended on somebody who was followed there.

    Attributes:
        who: is there.
        frame: in which.
    """

    who: Instance
    frame: int


@dataclass(frozen=True, eq=False)
class _Step(Generic[Picture]):
    """A frame on the way back.

    Attributes:
        frame: which.
        outlines: of the newcomers; their numbers are their places among the newcomers.
        statistics: of those, and then of all who were found in it before.
        boxes: (n, 4) of all these, pixels.
        who: all these.
    """

    frame: HeldFrame[Picture]
    outlines: Outlines
    statistics: MaskStatistics
    boxes: NDArray[np.float32]
    who: tuple[Instance, ...]


def trace_back(
    tracker: MaskTracker[Picture],
    held: Sequence[HeldFrame[Picture]],
    newcomers: Sequence[Instance],
    *,
    plausible: Plausible,
) -> dict[Instance, Meeting]:
    """Adds newcomers to the frames before those in which they were found.

    Each is followed backwards until its mask vanishes, jumps, becomes implausible or lies on somebody else.

    Args:
        tracker: gives a memory for the way back.
        held: frames in order; their `found` is extended.
        newcomers: who they are; where they came into view is noted in them.
        plausible: what masks must be like.

    Returns:
        Those whose pass ended on somebody.
    """
    starts: dict[int, list[Instance]] = {}
    for instance in newcomers:
        if (start := first_held(held, instance)) >= 0:
            starts.setdefault(start, []).append(instance)
    meetings: dict[Instance, Meeting] = {}
    for start, together in sorted(starts.items()):
        before = [frame for frame in held if frame.order <= start]
        meetings |= _trace(tracker, before, together, plausible)
    return meetings


def _trace(
    tracker: MaskTracker[Picture], held: Sequence[HeldFrame[Picture]], newcomers: list[Instance], plausible: Plausible
) -> dict[Instance, Meeting]:
    last = held[-1]
    for instance in newcomers:
        instance.first, instance.first_box = last.order, last.found[instance].box
    if len(held) == 1:
        return {}
    memory = tracker.memory(reverse=True)
    known = {instance: last.found[instance] for instance in newcomers}
    memory.remember(last.picture, last.order, stacked(known, range(len(newcomers))))
    left = set(newcomers)
    largest = {instance: seen.area for instance, seen in known.items()}
    meetings: dict[Instance, Meeting] = {}
    earlier = held[-2::-1]
    for begin in range(0, len(earlier), CHUNK):
        for step in _follow(memory, earlier[begin : begin + CHUNK], newcomers):
            fine = plausible.masks(step.statistics.areas, step.statistics.fills)
            for row in range(len(step.outlines)):
                instance, box = step.who[row], step.boxes[row]
                if instance not in left:
                    continue
                taken, met = _whom(step, row)
                if met is not None:
                    meetings[instance] = Meeting(met, step.frame.order)
                area = float(step.statistics.areas[row])
                size = max(longer_side(instance.first_box), longer_side(box))
                steady = distance(instance.first_box, box) <= _JUMP * size and area <= _GROWTH * largest[instance]
                blank = area == 0.0 and instance.first - step.frame.order <= _BLANKS
                if taken or not (blank or (steady and fine[row])):
                    left.remove(instance)
                elif not blank:
                    seen = Seen(step.outlines.logits[row], step.outlines.presence[row], area, box)
                    step.frame.found[instance] = seen
                    instance.first, instance.first_box = step.frame.order, box
                    largest[instance] = max(largest[instance], area)
                    instance.seen += 1
        if not left:
            break
        memory.forget([number for number in memory.numbers if newcomers[number] not in left])
    return meetings


def _follow(
    memory: Memory[Picture], frames: Sequence[HeldFrame[Picture]], newcomers: Sequence[Instance]
) -> list[_Step[Picture]]:
    """Frames that a memory has not seen, all masks in them measured together."""
    steps = []
    for frame in frames:
        new = memory.follow(frame.picture, frame.order)
        steps.append((frame, new, measure(_joined(new, frame))))
    height, width = steps[0][1].logits.shape[1:]
    measured = fetch([numbers for _, _, numbers in steps], height=height, width=width)
    return [
        _Step(
            frame, new, statistics, statistics.boxes * frame.size,
            (*(newcomers[number] for number in new.numbers), *frame.found),
        )
        for (frame, new, _), statistics in zip(steps, measured, strict=True)
    ]  # fmt: skip


def _joined(new: Outlines, frame: HeldFrame[Picture]) -> Outlines:
    """These, and those that were found in the frame before."""
    if not frame.found:
        return new
    old = stacked(frame.found, range(len(frame.found)))
    logits = torch.cat([new.logits, old.logits.to(new.logits.dtype)])
    return Outlines(tuple(range(len(logits))), logits, torch.cat([new.presence, old.presence.to(new.presence.dtype)]))


def _whom(step: _Step[Picture], row: int) -> tuple[bool, Instance | None]:
    """Whether a newcomer's mask lies where somebody else of its class is, and on whom if it is all of them."""
    instance, taken, met = step.who[row], False, None
    for other_row, other in enumerate(step.who):
        if other is instance or other.class_name != instance.class_name or other not in step.frame.found:
            continue
        if step.statistics.overlaps[row, other_row] >= SAME:
            taken, met = True, other
        taken = taken or bool(step.statistics.shared[row, other_row] >= WITHIN)
    return taken, met
