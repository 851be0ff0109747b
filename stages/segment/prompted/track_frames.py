"""From outlines on the device to label images on the CPU: the last step of every backend that is prompted."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from common.models.devices import memory_explained
from stages.segment.backends import Tracked, TrackFrame
from stages.segment.prompted.driver import FollowedFrame
from stages.segment.prompted.labels import exclusive_labels
from stages.segment.prompted.transfer import Downloads


def track_frames(followed: Iterable[FollowedFrame]) -> Iterator[TrackFrame]:
    """The frames in their order; on a GPU some frames later, so that nobody waits for a copy.

    Raises:
        ModelUnavailable: the device has too little memory for a frame, whichever step of the models it was.
    """
    downloads: Downloads[FollowedFrame] = Downloads()
    steps = iter(followed)
    for done in itertools.count():
        with memory_explained(f"in the models, after {done} frames"):
            frame = next(steps, None)
            if frame is None:
                break
            arrived = downloads.put(_labels(frame), frame)
        yield from itertools.starmap(_track_frame, arrived)  # outside: memory that others lack is not the models'
    with memory_explained("while the last frames come back from the device"):
        rest = downloads.rest()
    yield from itertools.starmap(_track_frame, rest)


def _labels(frame: FollowedFrame) -> torch.Tensor:
    outlines = frame.outlines
    return exclusive_labels(outlines.logits, outlines.numbers, height=frame.height, width=frame.width)


def _track_frame(frame: FollowedFrame, labels: NDArray[np.generic]) -> TrackFrame:
    tracked = tuple(
        Tracked(number, frame.scores[number], frame.class_names[number]) for number in frame.outlines.numbers
    )
    return TrackFrame(frame.index, frame.seconds, labels.astype(np.uint16, copy=False), tracked)
