"""From a stream of frames to everybody in them, some frames later; detector and tracker come in as protocols.

Between key frames nothing waits for the device. What a key frame tells about the frames before it is put right in
those that are still held back: somebody new is followed back to where they came into view, somebody who was lost is
known again, masks that were exchanged in a crossing are exchanged back. What has been published is final.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stages.segment.prompted.filters import Plausible
from stages.segment.prompted.follower import Follower
from stages.segment.prompted.held_masks import MOST_HELD, HeldFrame, stacked
from stages.segment.prompted.instances import Instance
from stages.segment.prompted.protocols import InstanceDetector, MaskTracker, Outlines, Picture

if TYPE_CHECKING:
    from common.media.decode import Frame

MOST_IDS = 65535
"""What fits into the labels' uint16."""

_LOG = logging.getLogger("ghost")


@dataclass(frozen=True)
class DriverSettings:
    """How everybody is followed.

    Attributes:
        detection_step: the longest pause between two detections, in frames.
        plausible: what masks and tracks must be like.
    """

    detection_step: int = 50
    plausible: Plausible = field(default_factory=Plausible)


@dataclass(frozen=True, eq=False)
class FollowedFrame:
    """Everybody in one frame.

    Attributes:
        index: of the frame in the video's time table.
        seconds: its PTS.
        height: of the frame, pixels.
        width: of the frame, pixels.
        outlines: n masks; their numbers are the published ids, ascending from 1: constant for an instance through the
            video and never given to another.
        scores: of the last detection of each id, in [0, 1]; None where there is none.
        class_names: what each id is.
    """

    index: int
    seconds: float
    height: int
    width: int
    outlines: Outlines
    scores: dict[int, float | None]
    class_names: dict[int, str]


def follow(
    frames: Iterable[Frame],
    *,
    detector: InstanceDetector,
    tracker: MaskTracker[Picture],
    settings: DriverSettings,
) -> Iterator[FollowedFrame]:
    """Follows everybody.

    An instance is published if two detections agree on it: its first, and one of those `LOOKS` frames later, or, at
    the end of the video, some frames earlier; in a video of one frame, one detection. And if it has a mask in three
    frames or, in a shorter video, in all. Ids count up from 1 in the order of publication.

    Args:
        frames: in order, upright, RGB, of one size.
        detector: finds.
        tracker: follows.
        settings: how.

    Yields:
        One result per frame, in order, MOST_HELD frames after the input. It does not depend on how the
        frames come, and neither memory nor time for a frame grows with their number.
    """
    follower = Follower(detector, tracker, settings.detection_step, settings.plausible)
    held, ids = follower.roster.held, Ids()
    for frame in frames:
        follower.follow(frame)
        if len(held) > MOST_HELD:
            yield _publish(held.popleft(), ids, follower.roster.nobody, settings.plausible.shortest)
    follower.finish()
    shortest = min(settings.plausible.shortest, len(follower.roster.times))
    while held:
        yield _publish(held.popleft(), ids, follower.roster.nobody, shortest)


@dataclass
class Ids:
    """Gives out ids, up to MOST_IDS."""

    given: int = 0

    def of(self, instance: Instance) -> int | None:
        """The id of an instance; None if there are too many to give it one."""
        if instance.id is None:
            if self.given >= MOST_IDS:
                if self.given == MOST_IDS:
                    _LOG.warning("more than %d people or things: those found from here on have no mask.", MOST_IDS)
                    self.given += 1
                return None
            self.given += 1
            instance.id = self.given
        return instance.id


def _publish(frame: HeldFrame[Picture], ids: Ids, nobody: Outlines, shortest: int) -> FollowedFrame:
    real = (i for i in sorted(frame.found, key=lambda i: i.key) if i.believed and i.seen >= shortest)
    known = {number: instance for instance in real if (number := ids.of(instance)) is not None}
    numbers = sorted(known)
    outlines = nobody
    if numbers:
        outlines = stacked({known[number]: frame.found[known[number]] for number in numbers}, numbers)
    return FollowedFrame(
        frame.index, frame.seconds, frame.height, frame.width, outlines,
        {number: known[number].score for number in numbers},
        {number: known[number].class_name for number in numbers},
    )  # fmt: skip
