"""What the driver asks of a detector and of a mask tracker, so that either can be exchanged.

Masks stay where they were made: tensors on the model's device, at the model's resolution. The driver moves numbers
to the CPU on key frames only, so that between them the device never waits.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

Picture = TypeVar("Picture")
"""A frame in a tracker's own form."""

Taken = TypeVar("Taken", contravariant=True)
"""The same where it is only taken."""


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector sees in one frame, best first.

    Attributes:
        boxes: (n, 4) float32, xyxy, pixels of the frame.
        scores: (n,) float32 in [0, 1].
        class_names: what each is, in the words of the prompt.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.boxes)


class InstanceDetector(Protocol):
    """Finds what the prompt names, in single frames."""

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """All instances in an (H, W, 3) uint8 RGB image; none is a valid answer."""
        ...


@dataclass(frozen=True, eq=False)
class Outlines:
    """Soft masks of n instances in one frame.

    Attributes:
        numbers: of their tracks; constant for an instance while it is followed.
        logits: (n, h, w) floating, on the model's device; the whole frame, stretched to the model's resolution.
            Above 0 is inside. Not exclusive.
        presence: (n,) floating, likewise: above 0 if the instance is in view at all.
    """

    numbers: tuple[int, ...]
    logits: torch.Tensor
    presence: torch.Tensor

    def __len__(self) -> int:
        return len(self.numbers)

    def of(self, numbers: Collection[int]) -> Outlines:
        """Those of these tracks, in the order in which they are here."""
        rows = [row for row, number in enumerate(self.numbers) if number in numbers]
        if not rows:
            return Outlines((), self.logits[:0], self.presence[:0])
        # A list as index would be copied to the device, and that waits for it.
        logits, presence = (torch.stack([part[row] for row in rows]) for part in (self.logits, self.presence))
        return Outlines(tuple(self.numbers[row] for row in rows), logits, presence)


class Memory(Protocol[Taken]):
    """A tracker's knowledge of some instances: grows with their number, not with the length of the video.

    Frames come in order, one after the other: forwards, or backwards if it was made so.
    """

    @property
    def numbers(self) -> tuple[int, ...]:
        """The tracks that it follows, in the order in which they came."""
        ...

    def follow(self, picture: Taken, index: int) -> Outlines:
        """Where everybody is in the next frame, `numbers` in that order.

        Args:
            picture: the frame.
            index: one more (backwards: one less) than that of the frame before.
        """
        ...

    def remember(self, picture: Taken, index: int, outlines: Outlines) -> None:
        """From this frame on, follows instances whose masks are known here; what it follows already goes on.

        Args:
            picture: the frame that was given to `follow` last, or the first.
            index: likewise.
            outlines: numbers that it does not follow yet begin; a mask of one that it follows replaces its own idea
                of the instance in this frame, and is remembered better than what it found by itself.
        """
        ...

    def forget(self, numbers: Collection[int]) -> None:
        """Follows these no longer; numbers that it does not know are no mistake."""
        ...


class MaskTracker(Protocol[Picture]):
    """Follows masks through frames that come one by one."""

    def see(self, image: NDArray[np.uint8]) -> Picture:
        """A frame on the model's device, in its form. It may be kept for a while: some MB each.

        Args:
            image: (H, W, 3) uint8 RGB; not changed and not kept.
        """
        ...

    def outline(self, picture: Picture, boxes: NDArray[np.float32]) -> Outlines:
        """The instances in boxes, each by itself and without any memory; numbered 0, 1, … like the boxes.

        Args:
            picture: a frame.
            boxes: (n, 4) xyxy, pixels of the frame as it was given to `see`.
        """
        ...

    def memory(self, *, reverse: bool = False) -> Memory[Picture]:
        """An empty memory, for a pass forwards or backwards."""
        ...
