"""Those who were there and are to be known again."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stages.segment.appearance import difference
from stages.segment.association import assign
from stages.segment.prompted.instances import MARGIN, UNLIKE, UNLIKE_RETURNING, Instance, distance

MOST_LOST = 64
"""How many are remembered; whoever was lost before them would be somebody new. A kB each, and 0.1 ms to compare."""

LONG_GONE = 2.0
"""Seconds after which somebody may come back anywhere, and is no longer searched for more often than usual: at a walk
one is _LOST_REACH away by then."""

_LOST_REACH = 1.5  # sizes: nobody is expected further away until LONG_GONE, as in the CPU backend
_WIDE_MARGIN = 3 * MARGIN  # makes up for colours that agree less well, as those of somebody half outside; by hand
_DISTANCE_WEIGHT = 0.1  # moving by one size counts like a colour difference of 0.1, less the longer it took


@dataclass
class Gallery:
    """A bounded memory of those who were lost, the last of them last."""

    lost: list[Instance] = field(default_factory=list)

    def add(self, instance: Instance) -> None:
        """Somebody is lost."""
        self.lost.append(instance)
        for forgotten in self.lost[:-MOST_LOST]:
            forgotten.near.clear()  # or everybody would keep whoever they met, and these whom they met, for ever
        del self.lost[:-MOST_LOST]

    def remove(self, instance: Instance) -> None:
        """Somebody has been found, whether they were remembered or not."""
        self.lost = [other for other in self.lost if other is not instance]


def returned(
    newcomers: Sequence[Instance],
    absent: Sequence[Instance],
    present: Sequence[Instance],
    *,
    ripe: Set[Instance],
    times: Sequence[float],
) -> list[tuple[Instance, Instance]]:
    """Which newcomers are somebody who was there before.

    Within LONG_GONE and near the place where somebody was lost, their colours are enough if nobody else who was
    lost has them too; they need not even agree well, if they agree with nobody else at all. Later or elsewhere,
    everybody else who might be meant, lost, present or coming in too, has to fit worse by a margin: a wide one near
    that place if the colours do not agree well; and elsewhere, with nobody to compare them to, colours prove nothing.
    Whoever was in view at the same time as the newcomer is not the newcomer. One person with two ids can be reunited
    later, two people with one id cannot be parted.

    Args:
        newcomers: n, traced back to where they came into view.
        absent: m who are not in view.
        present: those who are in view and known.
        ripe: newcomers of whom more will hardly be known than now; the others can wait, unless nobody else fits.
        times: of all frames so far, seconds.

    Returns:
        Pairs of a newcomer and who they are.
    """
    to_absent = _differences(newcomers, absent)
    for row, new in enumerate(newcomers):
        to_absent[row, [old.last >= new.first for old in absent]] = math.inf
    if not (to_absent <= UNLIKE).any():
        return []  # the usual case; comparing all with all takes 0.1 ms each
    to_present, to_each_other = _differences(newcomers, present), _differences(newcomers, newcomers)
    np.fill_diagonal(to_each_other, math.inf)
    costs = np.full(to_absent.shape, math.inf)
    for row, new in enumerate(newcomers):
        for column, old in enumerate(absent):
            unlike = to_absent[row, column]
            if not unlike <= UNLIKE:  # NaN as well
                continue
            lost_too = _least(np.delete(to_absent[row], column))
            anybody = min(
                lost_too, _least(np.delete(to_absent[:, column], row)), _least(to_present[row]),
                _least(to_each_other[row]),
            )  # fmt: skip
            stands_out = unlike + MARGIN <= anybody
            fits = unlike <= UNLIKE_RETURNING and new in ripe
            gone, moved = times[new.first] - times[max(old.last, 0)], _moved(old, new)
            near = moved <= _LOST_REACH
            if gone < LONG_GONE:
                decided = near and (stands_out or (fits and unlike + MARGIN <= lost_too))
            else:
                far_from_others = near and new in ripe and unlike + _WIDE_MARGIN <= anybody < math.inf
                decided = far_from_others or (fits and stands_out and (near or anybody < math.inf))
            if decided:
                costs[row, column] = unlike + _DISTANCE_WEIGHT * moved / (1 + gone / LONG_GONE)
    return [(newcomers[row], absent[column]) for row, column in assign(costs)]


def _moved(old: Instance, new: Instance) -> float:
    """How far from where one was lost the other was found, in sizes."""
    # At either place they may be half outside: their usual size is the measure, the smaller one if they differ much.
    small, large = sorted((max(old.size, 1.0), max(new.size, 1.0)))
    return distance(old.box, new.first_box) / min(large, 2 * small)


def _least(unlike: NDArray[np.float64]) -> float:
    """The smallest difference; colours that cannot be compared might be the same."""
    return float(np.where(np.isnan(unlike), 0.0, unlike).min(initial=math.inf))


def _differences(newcomers: Sequence[Instance], known: Sequence[Instance]) -> NDArray[np.float64]:
    """How differently newcomers are coloured from the most similar view of others; inf for another class."""
    values = [
        [closest_view(new.colours, old) if new.class_name == old.class_name else math.inf for old in known]
        for new in newcomers
    ]
    return np.array(values, np.float64).reshape(len(newcomers), len(known))


def closest_view(colours: NDArray[np.float32], known: Instance) -> float:
    """The smallest difference to anything that somebody has looked like; NaN if nothing can be compared."""
    values = [difference(colours, view) for view in (known.colours, *known.views)]
    return min((value for value in values if not math.isnan(value)), default=math.nan)
