"""Everybody who is followed or was lost, and the frames in which that may still be put right."""

from __future__ import annotations

import itertools
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic

import torch

from stages.segment.appearance import remember
from stages.segment.prompted.filters import Plausible
from stages.segment.prompted.gallery import Gallery
from stages.segment.prompted.held_masks import HeldFrame, Seen
from stages.segment.prompted.instances import Contact, Instance, box_shared, touching
from stages.segment.prompted.mask_statistics import MaskStatistics, fetch, measure
from stages.segment.prompted.matching import Sightings
from stages.segment.prompted.protocols import MaskTracker, Memory, Outlines, Picture
from stages.segment.prompted.settle import REACH

if TYPE_CHECKING:
    from common.media.decode import Frame

FORGOTTEN_AFTER = 30
"""Frames without a mask after which the tracker follows somebody no longer, since that costs as much as if they were
there. SAM 2 attends to its last 6 masks and 16 pointers: finding people again after longer is not its strength."""

ABSENT = 3
"""Frames without a mask after which one that comes back is compared with the person anew."""

_SHARED_LITTLE = 0.1  # overlaps below are not kept
_RETURN_RATE = 0.2  # weight of what somebody looks like after an absence; by hand


@dataclass(eq=False)
class Roster(Generic[Picture]):
    """Who is who, and where, in the frames that are held.

    Attributes:
        tracker: follows.
        plausible: what masks must be like.
        held: frames that may still change.
        active: those who are followed, by the number by which the tracker knows them.
        gallery: those who were lost.
        times: of all frames so far, seconds; 8 bytes for each, the only thing that grows with the video.
    """

    tracker: MaskTracker[Picture]
    plausible: Plausible
    held: deque[HeldFrame[Picture]] = field(default_factory=deque, init=False)
    active: dict[int, Instance] = field(default_factory=dict, init=False)
    gallery: Gallery = field(default_factory=Gallery, init=False)
    times: array[float] = field(default_factory=lambda: array("d"), init=False)
    nobody: Outlines = field(default_factory=lambda: Outlines((), torch.zeros((0, 1, 1)), torch.zeros(0)), init=False)

    def __post_init__(self) -> None:
        self._memory: Memory[Picture] = self.tracker.memory()
        self._pending: list[tuple[HeldFrame[Picture], tuple[Instance, ...], torch.Tensor]] = []
        self._streams, self._keys = itertools.count(1), itertools.count(1)

    @property
    def now(self) -> HeldFrame[Picture]:
        """The last frame."""
        return self.held[-1]

    def follow(self, frame: Frame) -> HeldFrame[Picture]:
        """Takes the next frame, without waiting for the device."""
        height, width = frame.image.shape[:2]
        picture = self.tracker.see(frame.image)
        held = HeldFrame(len(self.times), frame.index, frame.seconds, height, width, picture)
        self.times.append(frame.seconds)
        self.held.append(held)
        if self.active:
            outlines = self._memory.follow(picture, held.order)
            for row, stream in enumerate(outlines.numbers):
                held.found[self.active[stream]] = Seen(outlines.logits[row], outlines.presence[row])
            self._pending.append((held, tuple(held.found), measure(outlines)))
            self.nobody = outlines.of(())
        return held

    def catch_up(self) -> None:
        """Looks at the masks since the last time, in one transfer: who was where, who came back, who came close."""
        if not self._pending:
            return
        height, width = self.nobody.logits.shape[1:]
        measured = fetch([numbers for _, _, numbers in self._pending], height=height, width=width)
        for (frame, instances, _), statistics in zip(self._pending, measured, strict=True):
            self._note(frame, instances, statistics)
        self._pending.clear()

    def _note(self, frame: HeldFrame[Picture], instances: Sequence[Instance], statistics: MaskStatistics) -> None:
        boxes = statistics.boxes * frame.size
        fine = self.plausible.masks(statistics.areas, statistics.fills)
        for row, instance in enumerate(instances):
            if not fine[row]:
                del frame.found[instance]
                continue
            seen = replace(frame.found[instance], area=float(statistics.areas[row]), box=boxes[row])
            frame.found[instance] = seen
            if frame.order - instance.last > ABSENT:
                instance.back = frame.order
            instance.seen, instance.last, instance.box = instance.seen + 1, frame.order, seen.box
        for row, column in touching(boxes):
            a, b = instances[row], instances[column]
            if not (fine[row] and fine[column]) or a.class_name != b.class_name:
                continue
            if statistics.overlaps[row, column] > _SHARED_LITTLE:
                frame.overlaps[frozenset({a, b})] = float(statistics.overlaps[row, column])
            _note_contact(a, b, Contact(frame.order, box_shared(boxes[row], boxes[column])))

    def begin(self, make: Callable[[int, int], Instance]) -> Instance:
        """Somebody new, with a key and a number for the tracker of their own; `remember` makes them followed."""
        stream = next(self._streams)
        self.active[stream] = instance = make(next(self._keys), stream)
        return instance

    def remember(self, instances: Sequence[Instance], sightings: Sightings, rows: Sequence[int]) -> None:
        """Follows these from the last frame on with masks that were seen in it; who is followed already goes on."""
        if not rows:
            return
        streams = tuple(instance.stream for instance in instances if instance.stream is not None)
        some = Outlines(streams, sightings.outlines.logits[list(rows)], sightings.outlines.presence[list(rows)])
        if not set(self.active) - {instance.stream for instance in instances}:
            self._memory = self.tracker.memory()  # one that has followed nobody has not seen the frames either
        self._memory.remember(self.now.picture, self.now.order, some)
        self.nobody = some.of(())

    def forget(self, instance: Instance) -> None:
        """The tracker follows somebody no longer; where they were stays."""
        if instance.stream is not None:
            self._memory.forget([instance.stream])
            del self.active[instance.stream]
            instance.stream = None

    def lose(self, instance: Instance, *, since: int) -> None:
        """Somebody is not where their mask has been since a frame; they may be found again if they are believed."""
        for frame in self.held:
            if frame.order >= since and instance in frame.found:
                frame.take(instance)
                instance.seen -= 1
        self.forget(instance)
        self._step_back(instance, since)
        if instance.believed:
            self.gallery.add(instance)
        else:
            instance.near.clear()
            for other in self.active.values():
                other.near.pop(instance, None)

    def swap(self, a: Instance, b: Instance, *, since: int) -> None:
        """Two have had each other's masks since a frame."""
        for frame in self.held:
            if frame.order >= since:
                frame.rename({a: b, b: a})
        if a.stream is not None and b.stream is not None:
            a.stream, b.stream = b.stream, a.stream
            self.active |= {a.stream: a, b.stream: b}
        a.box, b.box = b.box, a.box

    def hand_over(self, instance: Instance, to: Instance, *, since: int) -> None:
        """The mask of one has been another's since a frame, who is not followed otherwise; the first is lost."""
        for frame in self.held:
            if frame.order >= since and instance in frame.found:
                frame.take(to)
                frame.rename({instance: to})
                instance.seen, to.seen = instance.seen - 1, to.seen + 1
        self.forget(to)
        self.gallery.remove(to)
        stream = instance.stream
        if stream is not None:
            self.active[stream], to.stream, instance.stream = to, stream, None
        to.last, to.box, to.back = instance.last, instance.box, None
        self._step_back(instance, since)
        if instance.believed:
            self.gallery.add(instance)

    def resume(self, old: Instance, new: Instance) -> None:
        """A newcomer is somebody who was there before."""
        old.colours = remember(old.colours, new.colours, rate=_RETURN_RATE)
        old.score, old.supported, old.misses = new.score, new.supported, 0
        self.hand_over(new, old, since=new.first)
        self.gallery.remove(new)
        old.near, new.near = new.near, {}  # with whom masks may have been exchanged since the return
        old.near.pop(old, None)
        for other in (*self.active.values(), *self.gallery.lost):
            if (contact := other.near.pop(new, None)) is not None:
                other.near[old] = contact

    def _step_back(self, instance: Instance, since: int) -> None:
        """Where somebody was last, after what they had since a frame has been taken from them."""
        instance.last = min(instance.last, since - 1)
        for frame in reversed(self.held):
            if instance in frame.found:
                instance.last, instance.box = frame.order, frame.found[instance].box
                break
        instance.back = None


def _note_contact(a: Instance, b: Instance, contact: Contact) -> None:
    """Keeps the closest moment of two; one that is long over counts no longer."""
    before = a.near.get(b)
    if before is None or contact.shared >= before.shared or contact.frame - before.frame > 2 * REACH:
        a.near[b] = b.near[a] = contact
