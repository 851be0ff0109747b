"""What SAM 2 remembers of the people that it follows: a few frames of each, however long the video is.

For every person: the encoded masks of the last six frames, an object pointer of the last fifteen, and both of up to
four frames in which the mask was given. That is all that the original ever looks at, except that it never lets go of a
frame with a given mask. With the published weights a mask takes 0.5 MB, so a person 3.7 to 5.3 MB.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from common.models.devices import Batches
from stages.segment.prompted.protocols import Outlines
from stages.segment.prompted.sam2_model import Decoded, Features, Sam2Model, enlarged
from stages.segment.prompted.sam2_pictures import Picture, PictureFeatures
from stages.segment.prompted.transfer import upload

MOST_GIVEN = 4
"""Frames with a given mask that are remembered of a person: the first, by which they were chosen, and the last ones.
Each costs 4,096 tokens of attention in every frame; chosen by hand."""

MOST_TOGETHER = 16
"""People in one pass at most. The keys of one are 29 MB in float32, of which attention holds about five copies. What it
makes of them is 4 MB each, which are there of all people until their masks are made."""


@dataclass(frozen=True, eq=False)
class Trace:
    """What is remembered of one person in one frame.

    Attributes:
        index: of the frame.
        memory: (cells, 64) bfloat16, the encoded mask; None once it is too old to be looked at.
        pointer: (channels,).
    """

    index: int
    memory: torch.Tensor | None
    pointer: torch.Tensor


@dataclass
class _Person:
    """All that is remembered of one person.

    Attributes:
        given: frames in which the mask was given, oldest first.
        found: the frames before the next one in which it was found, latest first.
    """

    given: list[Trace] = field(default_factory=list)
    found: list[Trace] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Step:
    """One person in the frame at hand."""

    logits: torch.Tensor
    presence: torch.Tensor
    trace: Trace


class Sam2Memory:
    """Follows people through pictures; see `protocols.Memory`.

    The attention to what is remembered, of which everybody's share in a pass must be as long, takes a pass for each
    group of whom equally much is; masks are made and encoded for all of them at once.
    """

    def __init__(
        self, model: Sam2Model, features: PictureFeatures[Features], people: Batches, *, reverse: bool = False
    ) -> None:
        """An empty memory.

        Args:
            model: the model.
            features: of pictures, shared with others who look at the same picture.
            people: how many fit into one pass, shared likewise.
            reverse: whether frames come backwards.
        """
        self._model = model
        self._features = features
        self._batches = people
        self._step = -1 if reverse else 1
        self._people: dict[int, _Person] = {}
        self._index: int | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """The tracks that it follows, in the order in which they came."""
        return tuple(self._people)

    def follow(self, picture: Picture, index: int) -> Outlines:
        """Where everybody is in the next frame; see `protocols.Memory.follow`.

        Raises:
            ValueError: a frame was left out.
            ModelUnavailable: the device has too little memory for a single person.
        """
        if self._people and self._index is not None and index != self._index + self._step:
            raise ValueError(f"the frame after {self._index} is {self._index + self._step}, got {index}")
        self._index = index
        if not self._people:
            return Outlines((), *self._nobody())
        features = self._features.of(picture)
        groups: dict[tuple[int, int], list[int]] = {}
        for number, person in self._people.items():
            groups.setdefault(self._amount(person, index), []).append(number)
        maps: dict[int, torch.Tensor] = {}
        for group in groups.values():
            done = self._batches.run(lambda numbers: self._attended(features, index, numbers), group)
            maps.update(zip(group, done, strict=True))
        # In the order in which they came, and not by group: from here on it does not matter what is remembered.
        ordered = [maps.pop(number) for number in self._people]
        steps = self._batches.run(lambda some: self._found(features, index, some), ordered)
        for person, step in zip(self._people.values(), steps, strict=True):
            self._keep(person, step.trace)
        return Outlines(
            self.numbers, torch.stack([one.logits for one in steps]), torch.stack([one.presence for one in steps])
        )

    def remember(self, picture: Picture, index: int, outlines: Outlines) -> None:
        """From this frame on, follows instances whose masks are known here; see `protocols.Memory.remember`.

        Also a mask of somebody whom it follows already counts as given, as it did when SAM 2.1 was trained (its
        `add_all_frames_to_correct_as_cond`); transformers takes such a mask for one that was found.

        Raises:
            ValueError: not the frame that was followed last, or a number twice.
            ModelUnavailable: the device has too little memory for a single person.
        """
        if self._people and index != self._index:
            raise ValueError(f"masks of frame {index} come too late or too early: the last frame was {self._index}")
        if len(set(outlines.numbers)) < len(outlines):
            raise ValueError(f"every mask needs a number of its own, got {outlines.numbers}")
        self._index = index
        if not len(outlines):
            return
        features = self._features.of(picture)
        rows = list(range(len(outlines)))
        traces = self._batches.run(
            lambda some: self._given(features, index, outlines.logits[some[0] : some[-1] + 1]), rows
        )
        for number, trace in zip(outlines.numbers, traces, strict=True):
            person = self._people.setdefault(number, _Person())
            person.found = [found for found in person.found if found.index != index]
            person.given = [given for given in person.given if given.index != index] + [trace]
            if len(person.given) > MOST_GIVEN:
                del person.given[1]

    def forget(self, numbers: Collection[int]) -> None:
        """Follows these no longer; numbers that it does not know are no mistake."""
        for number in numbers:
            self._people.pop(number, None)

    def tensors(self) -> list[torch.Tensor]:
        """All that it holds on the device, for who wants to count it."""
        traces = [trace for person in self._people.values() for trace in (*person.given, *person.found)]
        return [part for trace in traces for part in (trace.memory, trace.pointer) if part is not None]

    def _amount(self, person: _Person, index: int) -> tuple[int, int]:
        """How many masks and pointers of somebody are looked at in a frame."""
        return len(self._masks(person, index)), len(person.given) + len(person.found)

    def _masks(self, person: _Person, index: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The encoded masks that are looked at in a frame, with their places; given ones first, then oldest first."""
        places = self._model.places
        return [(trace.memory, places[-1]) for trace in person.given if trace.memory is not None] + [
            (trace.memory, places[abs(index - trace.index) - 1])
            for trace in reversed(person.found)
            if trace.memory is not None
        ]

    def _attended(self, features: Features, index: int, numbers: Sequence[int]) -> list[torch.Tensor]:
        """(channels, rows, columns) for each of people of whom equally much is remembered: the next frame, by that."""
        people = [self._people[number] for number in numbers]
        masks = [self._masks(person, index) for person in people]
        traces = [(*person.given, *person.found) for person in people]
        maps = self._model.attended(
            features,
            torch.stack([torch.cat([memory for memory, _ in each]) for each in masks]),
            torch.stack([torch.cat([place for _, place in each]) for each in masks]),
            torch.stack([torch.stack([trace.pointer for trace in each]) for each in traces]),
            self._ages(index, traces),
        )
        return list(maps)

    def _found(self, features: Features, index: int, maps: Sequence[torch.Tensor]) -> list[_Step]:
        """People in the next frame, by their maps of it."""
        decoded = self._model.from_memory(features, torch.stack(list(maps)))
        memories = self._model.encoded(features, decoded, given=False)
        return [
            _Step(decoded.logits[row, 0], decoded.presence[row].reshape(()), trace)
            for row, trace in enumerate(self._traces(index, decoded, memories))
        ]

    def _ages(self, index: int, traces: Sequence[Sequence[Trace]]) -> torch.Tensor:
        """(n, p) float32: how many frames ago each trace was."""
        ages = [[abs(index - trace.index) for trace in each] for each in traces]
        return upload(np.array(ages, np.float32), self._model.device)

    def _given(self, features: Features, index: int, logits: torch.Tensor) -> list[Trace]:
        """Traces of masks that are known."""
        side = self._model.side
        decoded = self._model.from_masks(features, (enlarged(logits, side, side) > 0)[:, None])
        traces = self._traces(index, decoded, self._model.encoded(features, decoded, given=True))
        # These stay for long, and slices would keep each other.
        return [replace(trace, memory=_own(trace.memory), pointer=trace.pointer.clone()) for trace in traces]

    @staticmethod
    def _traces(index: int, decoded: Decoded, memories: torch.Tensor) -> list[Trace]:
        return [Trace(index, memories[row], decoded.pointers[row]) for row in range(len(memories))]

    def _keep(self, person: _Person, trace: Trace) -> None:
        """Adds the frame at hand, and lets go of what the next one will not look at."""
        masks, pointers = self._model.recent_masks, self._model.recent_pointers
        person.found = [
            found if abs(trace.index - found.index) < masks else replace(found, memory=None)
            for found in (trace, *person.found)
            if abs(trace.index - found.index) < pointers
        ]

    def _nobody(self) -> tuple[torch.Tensor, torch.Tensor]:
        side, device, dtype = self._model.side // 4, self._model.device, self._model.dtype
        return torch.empty((0, side, side), device=device, dtype=dtype), torch.empty(0, device=device, dtype=dtype)


def _own(part: torch.Tensor | None) -> torch.Tensor | None:
    return None if part is None else part.clone()
