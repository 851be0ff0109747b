"""Whose mask it is, as colours tell after people were close or away."""

import numpy as np
import pytest

from stages.segment.appearance import BINS
from stages.segment.prompted.instances import KNOWN, Contact, Instance
from stages.segment.prompted.settle import came_back_as_another, exchanged


def colours(bin_):
    """Four bins apart have nothing in common."""
    histogram = np.zeros((2, 3, BINS), np.float32)
    histogram[..., bin_] = 1
    return histogram


def person(key, bin_, **others):
    return Instance(key, "person", 0, 0.9, colours(bin_), key, **others)


@pytest.mark.parametrize(
    ("samples", "back", "another"), [(KNOWN, 40, True), (KNOWN - 1, 40, False), (KNOWN, None, False)]
)
def test_only_of_somebody_who_is_known_can_be_said_that_another_came_back(samples, back, another):
    assert came_back_as_another(person(1, 2, samples=samples, back=back), colours(9)) is another
    assert not came_back_as_another(person(1, 2, samples=samples, back=back), colours(2))


@pytest.mark.parametrize("remembered_by", [(0,), (1,), (0, 1), ()])
def test_masks_are_exchanged_back_if_either_remembers_that_they_met(remembered_by):
    two = person(1, 2), person(2, 9)
    for one in remembered_by:
        two[one].near[two[1 - one]] = Contact(10, 0.5)
    swapped = {two[0]: colours(9), two[1]: colours(2)}
    assert exchanged(set(two), colours=swapped) == ([two] if remembered_by else [])
    assert exchanged(set(two), colours={two[0]: colours(2), two[1]: colours(9)}) == []
