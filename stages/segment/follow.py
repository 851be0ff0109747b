"""From a stream of frames to a stream of tracked people, some frames later; the models come in as functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from common.artifacts.label_geometry import exclusive_labels
from common.models.regions import paste_back
from stages.segment.backends import Tracked, TrackFrame
from stages.segment.held_frames import HeldFrame, shrink, trace_back
from stages.segment.key_frames import KeyFrames
from stages.segment.tracker import Detect, Look, Tracker
from stages.segment.tracks import CONFIRMED

if TYPE_CHECKING:
    from common.media.decode import Frame

MOST_HELD = 60
"""Frames held back at most. One takes 0.7 MB and 0.3 MB for each person: 150 MB with six people."""

MOST_IDS = 65535


def follow(frames: Iterable[Frame], *, look: Look, detect: Detect, detection_step: int) -> Iterator[TrackFrame]:
    """Follows everybody.

    People are published if they have been seen in CONFIRMED frames, never missing for MISSES frames in a row before
    that; in a video shorter than that, if they have been seen in all of it. Ids count up from 1 in the order in which
    people are published.

    Args:
        frames: in order, upright, RGB.
        look: the landmark model.
        detect: the detector.
        detection_step: the longest pause between two key frames, in frames.

    Yields:
        One result per frame, in order, `detection_step` frames (at least CONFIRMED, at most MOST_HELD) after the input.
    """
    tracker = Tracker(look=look, detect=detect, key_frames=KeyFrames(detection_step))
    hold = min(max(detection_step, CONFIRMED), MOST_HELD)
    held: list[HeldFrame] = []
    ids: dict[int, int] = {}
    seen_frames = 0
    for frame in frames:
        found = tracker.step(frame.image)
        seen_frames += 1
        height, width = frame.image.shape[:2]
        held.append(HeldFrame(frame.index, frame.seconds, height, width, shrink(frame.image), dict(found)))
        for number in tracker.arrived:
            trace_back(tracker.tracks[number], held, tracker.observe)
        if len(held) > hold:
            rest = held.pop(0)
            yield _publish(rest, _believed(tracker, rest, CONFIRMED), ids)
    for rest in held:
        yield _publish(rest, _believed(tracker, rest, min(CONFIRMED, seen_frames)), ids)


def _believed(tracker: Tracker, frame: HeldFrame, times: int) -> set[int]:
    """Numbers of the tracks in a frame that were seen so many times, in whichever frames."""
    return {number for number in frame.found if tracker.times_seen(number) >= times}


def _publish(frame: HeldFrame, believed: set[int], ids: dict[int, int]) -> TrackFrame:
    """The people of a frame with their masks in the frame's pixels; people without a pixel in it are left out."""
    tracked, masks = [], []
    for number, seen in sorted(frame.found.items()):
        if number not in believed or (number not in ids and len(ids) == MOST_IDS):
            continue
        landmarks = seen.landmarks
        probability, origin = paste_back(landmarks.mask, landmarks.region, height=frame.height, width=frame.width)
        if probability.size:
            person = ids.setdefault(number, len(ids) + 1)
            tracked.append(Tracked(person, landmarks.score, landmarks=landmarks))
            masks.append((person, probability, origin))
    labels = exclusive_labels(masks, height=frame.height, width=frame.width)
    return TrackFrame(frame.index, frame.seconds, labels, tuple(sorted(tracked, key=lambda one: one.id)))
