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

if TYPE_CHECKING:
    from common.media.decode import Frame

MOST_HELD = 60
"""Frames held back at most; a count, since it is there for memory. One takes 0.7 MB and 0.3 MB for each person: 150 MB
with six people."""

FEWEST_HELD = 4
"""Frames held back at least: those of FEWEST_SIGHTINGS, and one in which the person is missed."""

HELD_FOR = 0.06
"""Seconds for which frames are held back at least: those of PROOF, and one frame of 60 per second likewise."""

MOST_IDS = 65535


def follow(frames: Iterable[Frame], *, look: Look, detect: Detect, detection_step: int) -> Iterator[TrackFrame]:
    """Follows everybody.

    People are published if they have been seen for PROOF seconds and in FEWEST_SIGHTINGS frames, never missing for
    UNSEEN seconds and FEWEST_MISSES frames in a row before that; in a video shorter than that, if they have been seen
    in all of it. Ids count up from 1 in the order in which people are published.

    Args:
        frames: in order, upright, RGB.
        look: the landmark model.
        detect: the detector.
        detection_step: the longest pause between two key frames, in frames; see KeyFrames.

    Yields:
        One result per frame, in order, `detection_step` frames (at least FEWEST_HELD and as many as there are in
        HELD_FOR, at most MOST_HELD) after the input.
    """
    tracker = Tracker(look=look, detect=detect, key_frames=KeyFrames(detection_step))
    hold = min(max(detection_step, FEWEST_HELD), MOST_HELD)
    held: list[HeldFrame] = []
    ids: dict[int, int] = {}
    for frame in frames:
        found = tracker.step(frame.image, frame.seconds)
        height, width = frame.image.shape[:2]
        held.append(HeldFrame(frame.index, frame.seconds, height, width, shrink(frame.image), dict(found)))
        for number in tracker.arrived:
            trace_back(tracker.tracks[number], held, tracker.observe)
        while len(held) > MOST_HELD or (len(held) > hold and frame.seconds - held[0].seconds >= HELD_FOR):
            yield _publish(held.pop(0), tracker, ids)
    for rest in held:
        yield _publish(rest, tracker, ids)


def _publish(frame: HeldFrame, tracker: Tracker, ids: dict[int, int]) -> TrackFrame:
    """The people of a frame with their masks in the frame's pixels; people without a pixel in it are left out."""
    tracked, masks = [], []
    for number, seen in sorted(frame.found.items()):
        if not tracker.believes(number) or (number not in ids and len(ids) == MOST_IDS):
            continue
        landmarks = seen.landmarks
        probability, origin = paste_back(landmarks.mask, landmarks.region, height=frame.height, width=frame.width)
        if probability.size:
            person = ids.setdefault(number, len(ids) + 1)
            tracked.append(Tracked(person, landmarks.score, landmarks=landmarks))
            masks.append((person, probability, origin))
    labels = exclusive_labels(masks, height=frame.height, width=frame.width)
    return TrackFrame(frame.index, frame.seconds, labels, tuple(sorted(tracked, key=lambda one: one.id)))
