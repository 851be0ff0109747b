"""From outlines on the device to label images on the CPU: the last step of every backend that is prompted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from stages.segment.backends import Tracked, TrackFrame
from stages.segment.prompted.driver import FollowedFrame
from stages.segment.prompted.labels import exclusive_labels
from stages.segment.prompted.transfer import Downloads


def track_frames(followed: Iterable[FollowedFrame]) -> Iterator[TrackFrame]:
    """The frames in their order; on a GPU some frames later, so that nobody waits for a copy."""
    downloads: Downloads[FollowedFrame] = Downloads()
    for frame in followed:
        outlines = frame.outlines
        labels = exclusive_labels(outlines.logits, outlines.numbers, height=frame.height, width=frame.width)
        for arrived, image in downloads.put(labels, frame):
            yield _track_frame(arrived, image)
    for arrived, image in downloads.rest():
        yield _track_frame(arrived, image)


def _track_frame(frame: FollowedFrame, labels: NDArray[np.generic]) -> TrackFrame:
    tracked = tuple(
        Tracked(number, frame.scores[number], frame.class_names[number]) for number in frame.outlines.numbers
    )
    return TrackFrame(frame.index, frame.seconds, labels.astype(np.uint16, copy=False), tracked)
