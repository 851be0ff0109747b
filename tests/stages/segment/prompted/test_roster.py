"""Who is who when one turns out to be another: what goes with them, and what stays."""

import numpy as np
import pytest

from stages.segment.appearance import BINS
from stages.segment.prompted.filters import Plausible
from stages.segment.prompted.instances import Contact, Instance
from stages.segment.prompted.roster import Roster
from stages.segment.prompted.settle import forget_contact
from tests.stages.segment.prompted.world import World
from tests.synth.truth_models import TruthTracker, TruthVideo


@pytest.fixture
def roster():
    return Roster(TruthTracker(TruthVideo(World([], 0))), Plausible())


def somebody(key, stream, **others):
    return Instance(key, "person", 0, 0.9, np.zeros((2, 3, BINS), np.float32), stream, believed=True, **others)


def meet(a, b):
    a.near[b] = b.near[a] = contact = Contact(70, 0.4)
    return contact


def test_whom_a_newcomer_met_has_met_the_one_who_came_back(roster):
    old, older = somebody(-1, None, last=20), somebody(-2, None, last=10)
    roster.gallery.add(older)
    roster.gallery.add(old)
    new, other = roster.begin(somebody), roster.begin(somebody)
    meet(old, older)
    contact = meet(new, other)
    roster.resume(old, new)
    assert other.near == {old: contact}
    assert old.near == {other: contact}
    assert new.near == {}


def test_who_met_the_one_whom_they_turn_out_to_be_is_not_close_to_themselves(roster):
    old = somebody(-1, None, last=20)
    roster.gallery.add(old)
    new = roster.begin(somebody)
    meet(new, old)
    roster.resume(old, new)
    assert old.near == {}


def test_what_was_a_false_alarm_is_forgotten_by_whoever_came_close(roster):
    false_alarm = roster.begin(lambda key, stream: Instance(key, "person", 0, 0.9, np.zeros((2, 3, BINS)), stream))
    other = roster.begin(somebody)
    meet(false_alarm, other)
    roster.lose(false_alarm, since=0)
    assert false_alarm.near == other.near == {}
    assert roster.gallery.lost == []


def test_how_large_somebody_is_stays_theirs_when_masks_are_exchanged(roster):
    a, b = (roster.begin(lambda key, stream: somebody(key, stream, area=0.01 * key)) for _ in range(2))
    streams = a.stream, b.stream
    roster.swap(a, b, since=0)
    assert (b.stream, a.stream) == streams
    assert (a.area, b.area) == (0.01, 0.02)


@pytest.mark.parametrize("forgotten", [(), (0,), (1,), (0, 1)])
def test_a_contact_may_be_forgotten_by_one_before_the_other(forgotten):
    two = somebody(1, 1), somebody(2, 2)
    meet(*two)
    for one in forgotten:
        two[one].near.clear()
    forget_contact(*two)
    assert [one.near for one in two] == [{}, {}]
