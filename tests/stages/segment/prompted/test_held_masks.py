"""What is looked up in, and put right in, frames that are held back."""

import numpy as np
import pytest
import torch

from stages.segment.appearance import BINS
from stages.segment.prompted.held_masks import HeldFrame, Seen, break_near, first_held, merged_since, steadiness
from stages.segment.prompted.instances import Instance


def somebody():
    return Instance(1, "person", 0, 0.9, np.zeros((2, 3, BINS), np.float32), 1)


def seen(x=0.0):
    return Seen(torch.zeros(2, 2), torch.ones(()), 0.1, np.array([x, 0, x + 10, 20], np.float32))


def frames(*found):
    return [HeldFrame(order, order, 0.0, 100, 200, order, dict(people)) for order, people in enumerate(found)]


def test_masks_that_flicker_begin_with_the_first():
    a = somebody()
    here, nobody = {a: seen()}, {}
    assert first_held(frames(nobody, here, nobody, here, nobody), a) == 1
    assert first_held(frames(nobody), a) == -1


def test_merged_since_counts_back_to_the_first_frame_in_a_row():
    a, b = somebody(), somebody()
    held = frames(*[{a: seen(), b: seen()}] * 5)
    for frame, overlap in zip(held, (0.9, 0.1, 0.7, 0.8, 0.9), strict=True):
        frame.overlaps[frozenset({a, b})] = overlap
    assert merged_since(held, a, b, overlap=0.6) == 2
    assert merged_since(held, a, b, overlap=0.95) is None


def test_a_jump_is_where_boxes_overlap_least_and_after_an_absence_where_it_ends():
    a = somebody()
    walking = [{a: seen(x)} for x in (0, 1, 2, 30, 31, 32)]
    assert break_near(frames(*walking), a, around=2, reach=5) == 3
    assert steadiness(frames(*walking), a, start=0, end=2) == pytest.approx(9 / 11)
    assert steadiness(frames(*walking), a, start=0, end=5) == 0.0
    away = [{a: seen()}, {a: seen()}, {}, {}, {a: seen()}, {a: seen()}]
    assert break_near(frames(*away), a, around=2, reach=5) == 4


def test_two_exchange_masks_and_overlaps_with_others():
    a, b, c = somebody(), somebody(), somebody()
    mine, theirs = seen(0), seen(50)
    (frame,) = frames({a: mine, b: theirs, c: seen()})
    frame.overlaps[frozenset({a, c})] = 0.4
    frame.overlaps[frozenset({a, b})] = 0.2
    frame.rename({a: b, b: a})
    assert (frame.found[a], frame.found[b]) == (theirs, mine)
    assert frame.overlaps == {frozenset({b, c}): 0.4, frozenset({a, b}): 0.2}
    frame.take(b)
    assert b not in frame.found
    assert frame.overlaps == {}


def test_who_touches_the_edge_is_not_held_whole():
    (frame,) = frames({})
    assert frame.holds(np.array([5, 5, 100, 90], np.float32))
    assert not frame.holds(np.array([0, 5, 100, 90], np.float32))
    assert not frame.holds(np.array([5, 5, 100, 99.5], np.float32))
