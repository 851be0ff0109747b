"""What is done on key frames: masks and detections are compared, and everybody is put in their place."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Generic

import numpy as np
from numpy.typing import NDArray

from stages.segment.prompted import settle
from stages.segment.prompted.filters import Plausible
from stages.segment.prompted.gallery import LONG_GONE, returned
from stages.segment.prompted.held_masks import MOST_HELD, HeldFrame
from stages.segment.prompted.instances import KNOWN, UNLIKE, UNLIKE_RETURNING, Instance
from stages.segment.prompted.looks import CHECK, FIRST_RETRY, LOOKS, SURE, Looks
from stages.segment.prompted.matching import CLOSE, SAME, WITHIN, Match, Sightings, match
from stages.segment.prompted.protocols import InstanceDetector, MaskTracker, Picture
from stages.segment.prompted.roster import FORGOTTEN_AFTER, Roster
from stages.segment.prompted.sightings import look, newcomer, seen_in
from stages.segment.prompted.trace_back import Meeting, trace_back

if TYPE_CHECKING:
    from common.media.decode import Frame

_PATIENCE = 25  # frames between two corrections of one mask, so that memory is made of what was followed too
_ALONE = 0.2  # of a sighting that others may cover at most for it to correct a mask
_ASTRAY = 6  # looks in a row that did not see somebody whose colours are wrong as well, until the mask is not believed

Colours = NDArray[np.float32]


@dataclass(eq=False)
class Follower(Generic[Picture]):
    """Follows everybody, frame by frame.

    Attributes:
        detector: finds.
        tracker: follows.
        step: the longest pause between two detections, in frames.
        plausible: what masks and tracks must be like.
        roster: who is who.
    """

    detector: InstanceDetector
    tracker: MaskTracker[Picture]
    step: int
    plausible: Plausible
    roster: Roster[Picture] = field(init=False)

    def __post_init__(self) -> None:
        self.roster = Roster(self.tracker, self.plausible)
        self._looks = Looks(self.step)
        self._detected = -1
        self._ended = False
        self._image: NDArray[np.uint8] | None = None  # of the last frame
        self._recent: deque[tuple[HeldFrame[Picture], NDArray[np.uint8]]] = deque(maxlen=len(LOOKS))

    def follow(self, frame: Frame) -> None:
        """Takes the next frame; nothing waits for the device unless it is time to look."""
        held = self.roster.follow(frame)
        self._image = frame.image
        if held.order % FIRST_RETRY == 0:
            self._recent.append((held, frame.image))
        if self._looks.detection_due(held.order):
            self._detect(frame.image)
        elif self._looks.check_due(held.order):
            self._settle(frame.image)
            self._looks.checked(held.order, curious=self._curious())

    def finish(self) -> None:
        """Ends the video: its last frame is looked at, and for whoever is new there some frames before it."""
        if self._image is None:
            return
        self._ended = True
        if self._detected < self.roster.now.order:
            self._detect(self._image)
        new = [instance for instance in self.roster.active.values() if not instance.believed]
        meetings = trace_back(self.tracker, list(self.roster.held), new, plausible=self.plausible)
        for frame, image in reversed(self._recent):
            self._support_earlier(new, frame, image)
        self._believe([i for i in new if i.convinces(frames=len(self.roster.times))], meetings)
        self._recognise()
        self._recent.clear()
        self._image = None

    def _detect(self, image: NDArray[np.uint8]) -> None:
        """A key frame."""
        frame = self.roster.now
        self.roster.catch_up()
        seen = look(image, frame, detector=self.detector, tracker=self.tracker, plausible=self.plausible)
        unsettled = self._put_right({instance: seen.colours[mine] for instance, mine in frame.found.items()})
        here = list(frame.found)
        masks = [seen.masks[mine] for mine in frame.found.values()]
        colours = {instance: seen.colours[mine] for instance, mine in frame.found.items()}
        sightings = seen.sightings
        if sightings is not None and len(sightings):
            shape = sightings.masks.shape[1:]
            matched = match(here, np.array(masks, bool).reshape(len(here), *shape), sightings)
            self._use(here, matched, sightings)
        supported = {instance for instance in here if instance.supported == frame.order}
        for instance in set(here) - supported:
            instance.misses += 1
        self._learn(colours)
        self._believe_supported()
        self._recognise()
        self._let_go(colours)
        self._detected = frame.order
        self._looks.detected(
            frame.order,
            doubted=[i.found for i in self.roster.active.values() if not i.believed],
            missing={i.key for i in self._missing()},
            unsettled=unsettled,
            curious=self._curious(),
        )

    def _curious(self) -> bool:
        """Whether somebody is about to be published, in view, of whom more should be known."""
        return any(i.believed and i.id is None and i.samples < KNOWN for i in self.roster.now.found)

    def _settle(self, image: NDArray[np.uint8]) -> None:
        """A look at the masks without the detector."""
        frame = self.roster.now
        self.roster.catch_up()
        seen = look(image, frame, detector=None, tracker=self.tracker, plausible=self.plausible)
        self._put_right({instance: seen.colours[mine] for instance, mine in frame.found.items()})
        colours = {instance: seen.colours[mine] for instance, mine in frame.found.items()}
        self._learn(colours)
        self._recognise()
        self._let_go(colours)

    def _put_right(self, colours: dict[Instance, Colours]) -> bool:
        """Takes apart who coincide and gives masks to their owners; whether anything had to be done."""
        roster, held, frame = self.roster, self.roster.held, self.roster.now
        changed = False
        for a, b, since in settle.merged(list(held), frame.found):
            if a in frame.found and b in frame.found:
                other = settle.intruder(a, b, colours=colours, held=list(held), since=since)
                roster.lose(other, since=since)
                changed = True
        sure = settle.judged(frame.found, colours=colours, frame=frame)
        for a, b in settle.exchanged(sure, colours=colours):
            roster.swap(a, b, since=settle.since_contact(list(held), a, b))
            sure -= {a, b}
            settle.forget_contact(a, b)
            changed = True
        for instance in sorted(sure, key=lambda i: i.key):
            mine = colours[instance]
            if (owner := settle.slid_onto(instance, mine, here=frame.found)) is not None:
                since = settle.since_contact(list(held), instance, owner)
                roster.hand_over(instance, owner, since=since)
                changed = True
            elif settle.came_back_as_another(instance, mine):
                self._part(instance, mine)
                changed = True
            elif not instance.unlike(mine) > UNLIKE:
                instance.back = None
        settle.resolve(sure & set(frame.found), colours=colours, frame=frame)
        for instance in roster.active.values():
            settle.expire(instance, before=frame.order - MOST_HELD)
        return changed

    def _part(self, instance: Instance, colours: Colours) -> None:
        """A mask that came back is of somebody else, whom nobody knows yet."""
        frame = self.roster.now
        since = frame.order if instance.back is None else instance.back
        seen = frame.found[instance]
        stranger = self.roster.begin(
            lambda key, stream: Instance(
                key, instance.class_name, frame.order, instance.score, colours, stream, supports=0, first=since,
                last=frame.order, box=seen.box, first_box=seen.box, area=seen.area, size=instance.size, samples=1,
            )
        )  # fmt: skip
        self.roster.hand_over(instance, stranger, since=since)

    def _use(self, here: Sequence[Instance], matched: Match, sightings: Sightings) -> None:
        """Detections of those who are followed support them; the others are somebody new."""
        frame = self.roster.now
        corrected: list[tuple[Instance, int]] = []
        for row, column in matched.pairs.items():
            instance = here[row]
            if instance.believed or matched.overlaps[row, column] >= SAME:
                instance.support(float(sightings.scores[column]), frame=frame.order)
            if self._corrects(instance, row, column, matched, sightings):
                corrected.append((instance, column))
        for instance, column in corrected:
            instance.reminded = frame.order
            frame.found[instance] = seen_in(sightings, column)
        for column in matched.unexplained:
            new = self.roster.begin(partial(_newcomer, sightings, column, frame))
            frame.found[new] = seen_in(sightings, column)
            corrected.append((new, column))
        self.roster.remember([i for i, _ in corrected], sightings, [column for _, column in corrected])

    def _learn(self, colours: dict[Instance, Colours]) -> None:
        """What everybody looks like who is alone, and certainly who they are."""
        frame = self.roster.now
        for instance, mine in colours.items():
            seen = frame.found[instance]
            supported, hardly = instance.supported == frame.order, instance.samples < KNOWN
            # Whoever is hardly known is learned also close to others, after a contact or an absence, and unlike before:
            # there is not much to spoil.
            alone = settle.closest(instance, frame) < (settle.APART if hardly else settle.CONTACT)
            certain = instance.back is None and not instance.near
            agrees = supported or instance.unlike(mine) <= UNLIKE_RETURNING
            if alone and (hardly or (certain and agrees)):
                instance.learn(mine, seen.area, seen.box, whole=frame.holds(seen.box))

    def _corrects(self, instance: Instance, row: int, column: int, matched: Match, sightings: Sightings) -> bool:
        """Whether a detection that is somebody's shows them better than their mask does."""
        overlap, within = matched.overlaps[row, column], matched.within[row, column]
        smaller = self.roster.now.found[instance].area < sightings.areas[column]
        differs = SAME <= overlap < CLOSE or (overlap < SAME and within >= WITHIN and smaller)
        others = np.delete(matched.within[:, column], row)
        return bool(
            differs
            and sightings.scores[column] >= SURE
            and others.max(initial=0.0) <= _ALONE
            and self.roster.now.order - instance.reminded >= _PATIENCE
        )

    def _believe_supported(self) -> None:
        new = [i for i in self.roster.active.values() if not i.believed and i.convinces()]
        if new:
            self._believe(new, trace_back(self.tracker, list(self.roster.held), new, plausible=self.plausible))

    def _believe(self, newcomers: Sequence[Instance], meetings: dict[Instance, Meeting]) -> None:
        """These are real; whose way back ended on somebody who is gone since are that person."""
        for new in newcomers:
            new.believed = True
        met = [(new.unlike(m.who.colours), new.key, new, m.who) for new, m in meetings.items() if new.believed]
        for unlike, _, new, old in sorted(met, key=lambda item: (math.isnan(item[0]), item[:2])):
            if old.believed and old.last < new.first and not unlike > UNLIKE:
                self.roster.resume(old, new)

    def _recognise(self) -> None:
        """Who is not published yet may be somebody who was there before; with every look more of them is known."""
        roster = self.roster
        followed = [i for i in roster.active.values() if i.believed]
        new = [i for i in followed if i.id is None]
        gone = [i for i in followed if i not in roster.now.found]
        known = [i for i in followed if i.id is not None]
        ripe = {i for i in new if i.samples >= KNOWN or roster.now.order - i.first >= CHECK or self._ended}
        for newcomer_, old in returned(new, [*roster.gallery.lost, *gone], known, ripe=ripe, times=roster.times):
            roster.resume(old, newcomer_)

    def _support_earlier(self, new: Iterable[Instance], frame: HeldFrame[Picture], image: NDArray[np.uint8]) -> None:
        """Looks at an earlier frame for those who were found at the video's end and lack a second detection."""
        lacking = [i for i in new if i in frame.found and frame.order < i.found]
        if not lacking:
            return
        seen = look(image, frame, detector=self.detector, tracker=self.tracker, plausible=self.plausible)
        if seen.sightings is None or not len(seen.sightings):
            return
        here = list(frame.found)
        matched = match(here, np.array([seen.masks[frame.found[i]] for i in here]), seen.sightings)
        for row, column in matched.pairs.items():
            instance, mine = here[row], frame.found[here[row]]
            if instance in lacking and matched.overlaps[row, column] >= SAME:
                instance.support(float(seen.sightings.scores[column]), frame=instance.supported)
                if settle.closest(instance, frame) < settle.CONTACT:
                    instance.learn(seen.colours[mine], mine.area, mine.box, whole=frame.holds(mine.box))

    def _let_go(self, colours: dict[Instance, Colours]) -> None:
        """Follows no longer who is gone, who never was, and what is not whom it should be."""
        now = self.roster.now.order
        for instance in list(self.roster.active.values()):
            if not instance.believed and now - instance.found >= LOOKS[-1]:
                self.roster.lose(instance, since=0)
            elif now - instance.last > FORGOTTEN_AFTER:
                self.roster.lose(instance, since=now)
            elif instance.misses >= _ASTRAY and instance in colours and instance.unlike(colours[instance]) > UNLIKE:
                self.roster.lose(instance, since=instance.supported + 1)

    def _missing(self) -> list[Instance]:
        """Who was there a moment ago and is not in view."""
        now = self.roster.now
        absent = [i for i in self.roster.active.values() if i.believed and i not in now.found]
        recent = [i for i in self.roster.gallery.lost if now.seconds - self.roster.times[max(i.last, 0)] < LONG_GONE]
        return absent + recent


def _newcomer(sightings: Sightings, row: int, frame: HeldFrame[Picture], key: int, stream: int) -> Instance:
    whole = frame.holds(sightings.boxes[row])
    return newcomer(sightings, row, key=key, stream=stream, frame=frame.order, whole=whole)
