"""What finds people in a video and follows them: one Protocol, one module per backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from common.errors import ModelUnavailable, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from common.media.decode import Frame
    from common.models.blazepose_landmarks import Landmarks33

NAMES = ("embedded", "fake")
"""The backends that `create` knows."""


@dataclass(frozen=True, eq=False)
class TrackedPerson:
    """One person in one frame.

    Attributes:
        id: 1..65535, constant for a person through the video and never given to somebody else.
        score: how sure the backend is that this is a person, in [0, 1].
        probability: (h, w) float32 in [0, 1], that a pixel is the person's, in a box of the frame; 0 outside
            it. Not exclusive: boxes and probabilities of two people may overlap.
        origin: the frame's pixel (x0, y0) where the box begins.
        landmarks: the body's landmarks if the backend has them.
    """

    id: int
    score: float
    probability: NDArray[np.float32]
    origin: tuple[int, int]
    landmarks: Landmarks33 | None


@dataclass(frozen=True, eq=False)
class TrackFrame:
    """Everybody in one frame, by ascending id.

    Attributes:
        index: of the frame in the video's time table.
        seconds: its PTS.
        people: who is there; nobody is a valid answer.
    """

    index: int
    seconds: float
    people: tuple[TrackedPerson, ...]


class VideoSegmenter(Protocol):
    """Follows all people through a video."""

    def segment(self, frames: Iterable[Frame]) -> Iterator[TrackFrame]:
        """One result per frame, in order; possibly some frames later than the input, in bounded memory."""
        ...


def create(name: str, *, detection_step: int = 50, device: str = "auto") -> VideoSegmenter:
    """A backend, with its models loaded.

    Args:
        name: one of NAMES.
        detection_step: people are looked for anew at least every so many frames.
        device: "auto", "cpu" or "cuda".

    Raises:
        UsageError: there is no such backend, or the step is below 1.
        ModelUnavailable: its weights or the device are not there.
    """
    if detection_step < 1:
        raise UsageError(f"--detection-step: expected at least 1, got {detection_step}.")
    if name not in NAMES:
        raise UsageError(f"--backend: there is no segment backend {name!r}; choose one of {', '.join(NAMES)}.")
    if device == "cuda":
        raise ModelUnavailable(f"the segment backend {name} runs on the CPU only. Use --device auto or cpu.")
    if name == "fake":
        from stages.segment.backends.fake import FakeSegmenter

        return FakeSegmenter()
    from stages.segment.backends.embedded import EmbeddedSegmenter

    return EmbeddedSegmenter(detection_step=detection_step)
