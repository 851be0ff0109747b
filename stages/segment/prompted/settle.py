"""Who is who after people have been close: which of two masks on one body stays, and whose a mask is.

Mask trackers drift where people cross: a mask slides onto whoever stands in front. Looked at once the people are apart
again, colours tell; where they do not, the mask that never jumped is the right one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence, Set

import numpy as np
from numpy.typing import NDArray

from stages.segment.prompted.held_masks import HeldFrame, break_near, merged_since, steadiness
from stages.segment.prompted.instances import KNOWN, MARGIN, UNLIKE, UNLIKE_RETURNING, Instance, box_shared
from stages.segment.prompted.protocols import Picture

Colours = NDArray[np.float32]

MERGED = 0.6
"""Intersection over union from which two masks lie on the same body. By hand: people who hug stay below."""

MERGED_FRAMES = 4
"""Frames in a row for which they must: two who pass each other at speed do not stay that long."""

CONTACT = 0.3
"""Part of the smaller box in the other from which two may be taken for each other. By hand."""

APART = 0.5
"""Part of the smaller box in another above which nobody's colours are judged: they might be the other's."""

REACH = 15
"""Frames around a contact in which an exchange is looked for: hidden at walking speed, half a second. By hand."""

_WHOLE = 0.4  # of the usual area: less of a person does not tell their colours
_STEADIER = 0.2  # by which boxes must overlap better from frame to frame to tell who jumped; by hand


def merged(held: Sequence[HeldFrame[Picture]], here: Iterable[Instance]) -> list[tuple[Instance, Instance, int]]:
    """Who have come to lie on the same body, and since which frame.

    Args:
        held: frames in order, up to this one.
        here: all who have a mask in it.
    """
    found = []
    for a, b in itertools.combinations(here, 2):
        if a.class_name != b.class_name:
            continue
        since = merged_since(held, a, b, overlap=MERGED)
        if since is not None and held[-1].order - since + 1 >= MERGED_FRAMES:
            found.append((a, b, since))
    return found


def intruder(
    a: Instance, b: Instance, *, colours: Mapping[Instance, Colours], held: Sequence[HeldFrame[Picture]], since: int
) -> Instance:
    """Who of two on one body is not that person.

    Args:
        a: somebody.
        b: somebody.
        colours: what is under their masks in the last frame.
        held: frames in order.
        since: the first frame in which they coincide.
    """
    if a.believed != b.believed:
        return b if a.believed else a
    # Both compared with the same pixels, so that only what is known of them decides; NaN decides nothing.
    unlike_a, unlike_b = a.unlike(colours[a]), b.unlike(colours[a])
    if abs(unlike_a - unlike_b) >= MARGIN:
        return a if unlike_a > unlike_b else b
    steady_a = steadiness(held, a, start=since - REACH, end=since + 1)
    steady_b = steadiness(held, b, start=since - REACH, end=since + 1)
    if abs(steady_a - steady_b) >= _STEADIER:
        return a if steady_a < steady_b else b
    return b if a.seen >= b.seen else a


def judged(
    here: Iterable[Instance], *, colours: Mapping[Instance, Colours], frame: HeldFrame[Picture]
) -> set[Instance]:
    """Those of whom so much is seen, and so far from others, that their colours can be taken for theirs.

    Args:
        here: all who have a mask in a frame.
        colours: what is under their masks.
        frame: that frame.
    """
    return {
        instance
        for instance in here
        if not np.isnan(instance.unlike(colours[instance]))
        and frame.found[instance].area >= _WHOLE * instance.area
        and closest(instance, frame) < APART
    }


def closest(instance: Instance, frame: HeldFrame[Picture]) -> float:
    """How much of the smaller box lies in the other, for whoever of the same class is closest in a frame."""
    box = frame.found[instance].box
    others = (seen.box for other, seen in frame.found.items()
              if other is not instance and other.class_name == instance.class_name)  # fmt: skip
    return max((box_shared(box, other) for other in others), default=0.0)


def exchanged(sure: set[Instance], *, colours: Mapping[Instance, Colours]) -> list[tuple[Instance, Instance]]:
    """Who have each other's mask: of those who came close, pairs whose colours fit the other way round by a margin.

    Args:
        sure: all whose colours can be judged.
        colours: what is under their masks.
    """
    found = []
    for a, b in itertools.combinations(sorted(sure, key=lambda i: i.key), 2):
        if b not in a.near and a not in b.near:
            continue  # either may have forgotten it before the other
        a_on_b, b_on_a = b.unlike(colours[a]), a.unlike(colours[b])
        a_on_a, b_on_b = a.unlike(colours[a]), b.unlike(colours[b])
        fits = a_on_b <= UNLIKE_RETURNING and b_on_a <= UNLIKE_RETURNING
        if fits and a_on_b + MARGIN <= a_on_a and b_on_a + MARGIN <= b_on_b:
            found.append((a, b))
    taken: set[Instance] = set()
    clear = []
    for a, b in found:
        if not taken & {a, b}:
            clear.append((a, b))
            taken |= {a, b}
    return clear


def slid_onto(instance: Instance, colours: Colours, *, here: Iterable[Instance]) -> Instance | None:
    """Whom a mask has slid onto: somebody who came close, is missing, and has these colours; None if it has not.

    Args:
        instance: whose mask it was.
        colours: what is under it now.
        here: all who have a mask in this frame.
    """
    own = instance.unlike(colours)
    if not own > UNLIKE_RETURNING:
        return None
    visible = set(here)
    fits = [
        (unlike, other.key, other)
        for other in instance.near
        if other not in visible and other.believed and other.class_name == instance.class_name
        and (unlike := other.unlike(colours)) <= UNLIKE_RETURNING and unlike + MARGIN <= own
    ]  # fmt: skip
    return min(fits)[2] if fits else None


def came_back_as_another(instance: Instance, colours: Colours) -> bool:
    """Whether a mask that was gone for a while lies on somebody else now."""
    return instance.back is not None and instance.samples >= KNOWN and instance.unlike(colours) > UNLIKE


def since_contact(held: Sequence[HeldFrame[Picture]], a: Instance, b: Instance) -> int:
    """From which frame two have had each other's masks: when the less steady of them jumped.

    Args:
        held: frames in order.
        a: somebody.
        b: somebody whom they were close to.
    """
    around = (a.near[b] if b in a.near else b.near[a]).frame
    ends = {"start": around - REACH, "end": around + REACH}
    jumped = a if steadiness(held, a, **ends) <= steadiness(held, b, **ends) else b
    return break_near(held, jumped, around=around, reach=REACH)


def resolve(sure: Set[Instance], *, colours: Mapping[Instance, Colours], frame: HeldFrame[Picture]) -> None:
    """Forgets contacts of people who are apart again and have their own colours.

    Args:
        sure: all whose colours can be judged.
        colours: what is under their masks.
        frame: in which.
    """
    own = {instance for instance in sure if instance.unlike(colours[instance]) <= UNLIKE_RETURNING}
    for instance in own:
        for other in list(instance.near):
            if other not in frame.found:
                del instance.near[other]
            elif other in own and box_shared(frame.found[instance].box, frame.found[other].box) <= CONTACT:
                forget_contact(instance, other)


def forget_contact(a: Instance, b: Instance) -> None:
    """Two are apart again; either may have forgotten it before, when the other was not in view."""
    a.near.pop(b, None)
    b.near.pop(a, None)


def expire(instance: Instance, *, before: int) -> None:
    """Forgets contacts that nothing can be put right of any more."""
    for other in [other for other, contact in instance.near.items() if contact.frame < before]:
        del instance.near[other]
