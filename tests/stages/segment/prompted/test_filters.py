"""Masks that cannot be."""

import numpy as np

from stages.segment.prompted.filters import Plausible


def test_background_crumbs_and_nothing_are_no_instances():
    areas = np.array([0.3, 0.81, 0.3, 0.0], np.float32)
    fills = np.array([0.5, 0.9, 0.09, 0.0], np.float32)
    assert Plausible().masks(areas, fills).tolist() == [True, False, False, False]
