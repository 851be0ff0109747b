"""What finds people in a video and follows them: one Protocol, one module per backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from common.artifacts.class_names import PERSON
from common.device_names import RanOn, require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from common.media.decode import Frame
    from common.models.blazepose_landmarks import Landmarks33
    from stages.segment.stage import Options


@dataclass(frozen=True, eq=False)
class Tracked:
    """One person, or another thing that was asked for, in one frame.

    Attributes:
        id: 1..65535, constant through the video and never given to somebody else.
        score: how sure the backend is of what it is, in [0, 1]; None where it was followed but not detected.
        class_name: what it is.
        landmarks: the body's landmarks if the backend has them.
    """

    id: int
    score: float | None
    class_name: str = PERSON
    landmarks: Landmarks33 | None = None


@dataclass(frozen=True, eq=False)
class TrackFrame:
    """Everybody in one frame.

    Attributes:
        index: of the frame in the video's time table.
        seconds: its PTS.
        labels: (H, W) uint16, each pixel the id of whom it belongs to, 0 where nobody is.
        tracked: by ascending id; nobody is a valid answer. Who has no pixel in `labels` may be here or not.
    """

    index: int
    seconds: float
    labels: NDArray[np.uint16]
    tracked: tuple[Tracked, ...]


class VideoSegmenter(Protocol):
    """Follows all people through a video.

    Attributes:
        gives_landmarks: whether people come with landmarks.
        runs_elsewhere: whether the models run on another device than the CPU, so that frames are best decoded and
            results written in the meantime.
        remark: what the user should know about how it runs, said in the log already; "" for nothing.
        ran_on: device and precision of the models.
    """

    gives_landmarks: bool
    runs_elsewhere: bool
    remark: str
    ran_on: RanOn

    def segment(self, frames: Iterable[Frame]) -> Iterator[TrackFrame]:
        """One result per frame, in order; possibly some frames later than the input, in bounded memory."""
        ...


def create(options: Options) -> VideoSegmenter:
    """A backend, with its models loaded.

    Args:
        options: of the stage, checked.

    Raises:
        UsageError: the model has no words for the prompt.
        ModelUnavailable: its weights, its packages or the device are not there.
    """
    if options.backend == "fake":
        from stages.segment.backends.fake import FakeSegmenter

        return FakeSegmenter()
    if options.backend in ("gdino-sam2", "sam3"):
        require("torch", "transformers", backend=options.backend)
    if options.backend == "gdino-sam2":
        from stages.segment.backends.gdino_sam2 import GdinoSam2Segmenter

        return GdinoSam2Segmenter(options)
    if options.backend == "sam3":
        from stages.segment.backends.sam3 import Sam3Segmenter

        return Sam3Segmenter(options)
    from stages.segment.backends.embedded import EmbeddedSegmenter

    return EmbeddedSegmenter(detection_step=options.detection_step)
