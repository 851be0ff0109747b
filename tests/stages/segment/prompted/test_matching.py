"""Detections explained by those who are followed."""

import numpy as np
import torch

from stages.segment.appearance import BINS
from stages.segment.prompted.instances import Instance
from stages.segment.prompted.matching import Sightings, distinct, match
from stages.segment.prompted.protocols import Outlines


def colours(bin_):
    histogram = np.zeros((2, 3, BINS), np.float32)
    histogram[..., bin_] = 1
    return histogram


def mask(x0, x1, y0=0, y1=10):
    cells = np.zeros((12, 40), bool)
    cells[y0:y1, x0:x1] = True
    return cells


def somebody(kind="person", bin_=3):
    return Instance(1, kind, 0, 0.9, colours(bin_), 1)


def sightings(masks, kinds=None, bins=None):
    count = len(masks)
    cells = np.array(masks, bool).reshape(count, 12, 40)
    return Sightings(
        Outlines(tuple(range(count)), torch.zeros((count, 12, 40)), torch.ones(count)), cells,
        cells.mean(axis=(1, 2)).astype(np.float32), np.zeros((count, 4), np.float32), np.full(count, 0.7, np.float32),
        tuple(kinds or ["person"] * count), tuple(colours(b) for b in bins or [3] * count),
    )  # fmt: skip


def pairs(people, masks, seen):
    found = match(people, np.array(masks, bool).reshape(len(people), 12, 40), seen)
    return found.pairs, found.unexplained


def test_the_best_assignment_of_all_is_taken_not_the_first_that_fits():
    """The first person overlaps both detections, the second only the first one."""
    seen = sightings([mask(0, 10), mask(4, 14)])
    assert pairs([somebody(), somebody()], [mask(2, 12), mask(0, 8)], seen) == ({0: 1, 1: 0}, ())


def test_too_little_overlap_is_somebody_new():
    assert pairs([somebody()], [mask(0, 10)], sightings([mask(6, 16)])) == ({}, (0,))


def test_classes_must_agree():
    assert pairs([somebody("bicycle")], [mask(0, 10)], sightings([mask(0, 10)])) == ({}, (0,))


def test_a_detection_inside_somebody_is_nobody_new():
    seen = sightings([mask(0, 10), mask(2, 5, 2, 6)])
    assert pairs([somebody()], [mask(0, 10)], seen) == ({0: 0}, ())


def test_a_box_around_two_people_is_nobody_new():
    found, unexplained = pairs([somebody(), somebody()], [mask(0, 8), mask(10, 18)], sightings([mask(0, 18)]))
    assert len(found) <= 1
    assert unexplained == ()


def test_colours_veto_half_an_overlap_but_not_a_full_one():
    other = sightings([mask(3, 13)], bins=[12])
    assert pairs([somebody()], [mask(0, 10)], other) == ({}, (0,))
    assert pairs([somebody()], [mask(3, 13)], other) == ({0: 0}, ())
    assert pairs([somebody()], [mask(0, 10)], sightings([mask(3, 13)])) == ({0: 0}, ())


def test_colours_decide_between_equal_overlaps():
    seen = sightings([mask(0, 10), mask(4, 14)], bins=[5, 3])
    assert pairs([somebody(bin_=3)], [mask(2, 12)], seen)[0] == {0: 1}


def test_of_two_detections_of_one_instance_the_surer_stays():
    masks, scores = np.array([mask(0, 10), mask(1, 10), mask(20, 30)]), np.array([0.5, 0.8, 0.6], np.float32)
    assert distinct(masks, scores, ["person"] * 3) == [1, 2]
    assert distinct(masks, scores, ["person", "bicycle", "person"]) == [1, 2, 0]


def test_nobody_and_nothing_match():
    assert pairs([], [], sightings([mask(0, 5)])) == ({}, (0,))
    assert pairs([somebody()], [mask(0, 5)], sightings([])) == ({}, ())
