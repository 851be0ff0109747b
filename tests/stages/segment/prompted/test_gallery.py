"""Who comes back: colours, places and times as they are decided by hand."""

import itertools

import numpy as np
import pytest

from stages.segment.appearance import BINS
from stages.segment.prompted.gallery import MOST_LOST, Gallery, returned
from stages.segment.prompted.instances import Contact, Instance


def colours(bin_):
    """A bin apart is a difference of 0.2; four apart have nothing in common."""
    histogram = np.zeros((2, 3, BINS), np.float32)
    histogram[..., bin_] = 1
    return histogram


def person(bin_, *, x=50.0, first=0, last=100, kind="person"):
    box = np.array([x - 10, 20, x + 10, 80], np.float32)
    return Instance(
        0, kind, first, 0.9, colours(bin_), 1, first=first, last=last, box=box, first_box=box, size=60.0, area=0.1
    )


RATE = 30.0
HERE, SOON, LATER = {"x": 60.0}, {"first": 120}, {"first": 200}
FAR = {"x": 400.0}


def names(newcomers, absent, present=(), ripe=None):
    pairs = returned(
        newcomers, absent, present, ripe=set(newcomers) if ripe is None else ripe, times=np.arange(1000) / RATE
    )
    return [(newcomers.index(new), absent.index(old)) for new, old in pairs]


def test_near_and_soon_colours_are_enough():
    assert names([person(4, **HERE, **SOON)], [person(4)]) == [(0, 0)]


def test_other_colours_are_somebody_else():
    assert names([person(9, **HERE, **SOON)], [person(4)]) == []


def test_soon_and_far_away_is_somebody_else():
    assert names([person(4, **FAR, **SOON)], [person(4)]) == []


def test_later_and_elsewhere_somebody_must_be_there_to_compare_with():
    new, old = person(4, **FAR, **LATER), person(4)
    assert names([new], [old]) == []
    assert names([new], [old], [person(10)]) == [(0, 0)]


@pytest.mark.parametrize("place", [HERE, FAR])
def test_later_nobody_else_may_look_the_same(place):
    new, old = person(4, **place, **LATER), person(4)
    assert names([new], [old], [person(4), person(10)]) == []
    assert names([new], [old, person(4, x=300.0)], [person(10)]) == []


def test_where_somebody_was_lost_colours_may_agree_less_if_all_others_are_far_off():
    new = person(4, **HERE, **LATER)
    new.colours[0] = 0.86 * colours(4)[0] + 0.14 * colours(12)[0]
    new.colours[1] = 0.86 * colours(4)[1] + 0.14 * colours(12)[1]
    assert 0.2 < new.unlike(colours(4)) < 0.3
    assert names([new], [person(4)], [person(10)]) == [(0, 0)]
    rival = person(10)
    rival.colours[:] = 0.65 * colours(4) + 0.35 * colours(10)
    assert 0.05 < rival.unlike(new.colours) - new.unlike(colours(4)) < 0.15
    assert names([new], [person(4)], [rival]) == []
    assert names([new], [person(4)]) == []
    new.first_box += np.array([400, 0, 400, 0], np.float32)
    assert names([new], [person(4)], [person(10)]) == []


def test_two_who_look_the_same_and_were_lost_at_one_place_are_not_guessed():
    assert names([person(4, **HERE, **SOON)], [person(4), person(4, x=55.0)]) == []


def test_who_was_in_view_with_the_newcomer_is_not_the_newcomer():
    assert names([person(4, first=80)], [person(4, last=100)]) == []


def test_classes_are_not_mixed():
    assert names([person(4, **HERE, **SOON, kind="bicycle")], [person(4)]) == []


def test_who_is_hardly_known_must_wait_unless_nobody_else_fits():
    new, old = person(4, **HERE, **LATER), person(4)
    assert names([new], [old], [person(10)], ripe=set()) == []
    assert names([person(4, **HERE, **SOON)], [old], [person(10)], ripe=set()) == [(0, 0)]


def test_a_view_that_is_remembered_is_as_good_as_the_mean():
    old = person(9)
    assert names([person(4, **HERE, **SOON)], [old]) == []
    old.views.append(colours(4))
    assert names([person(4, **HERE, **SOON)], [old]) == [(0, 0)]


def test_the_gallery_keeps_the_last_ones():
    gallery, people = Gallery(), [person(4) for _ in range(MOST_LOST + 3)]
    for one in people:
        gallery.add(one)
    assert gallery.lost == people[3:]
    gallery.remove(people[5])
    gallery.remove(people[0])
    assert people[5] not in gallery.lost


def test_who_is_forgotten_keeps_nobody_whom_they_met():
    gallery, people = Gallery(), [person(4) for _ in range(MOST_LOST + 3)]
    for earlier, later in itertools.pairwise(people):
        earlier.near[later] = later.near[earlier] = Contact(0, 0.5)
    for one in people:
        gallery.add(one)
    assert [bool(one.near) for one in people] == [False] * 3 + [True] * MOST_LOST
