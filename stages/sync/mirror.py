"""Which videos are mirrored, as selfie cameras record them.

A mirrored walker looks like himself half a stride later: such a video fits the others at a wrong start, and well. Its
mirror image, left and right exchanged, fits better. Every video is first looked at near its start, against the sum of
the others, which is cheap; those in doubt are placed anew, as they are and as their mirror image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stages.sync.certainty import MIN_VIDEO_Z
from stages.sync.evidence import Evidence, compare
from stages.sync.features import Features, mirror_image
from stages.sync.placement import Placement, place

MARGIN = 1.0  # z by which the mirror image must fit better (sync study: 40 of 40 found, no false alarm)
SEARCH = 1.5  # s around a start in which the mirror image of a walker fits: a stride and a half
IN_DOUBT = 0.85  # of the correlation as it is, that of the mirror image of a sound video stays below
PARTNERS = 7  # videos that a mirror image is compared with, at most
MIN_PARTNERS = 2  # of two videos nobody can tell which one is mirrored


def mirrored_videos(evidence: Evidence, placement: Placement) -> list[int]:
    """Videos that fit the placed ones clearly better as their mirror image.

    Args:
        evidence: of the scene.
        placement: of most of its videos.
    """
    rate = evidence.curve_rate
    doubtful = _doubtful(evidence, placement)
    found = []
    for v, features in enumerate(evidence.features):
        partners = [o for o in placement.supported if o != v and o not in doubtful][:PARTNERS]
        if len(partners) < MIN_PARTNERS:
            partners = [o for o in placement.supported if o != v][:PARTNERS]
        if not features or len(partners) < MIN_PARTNERS or (v in placement.supported and v not in doubtful):
            continue
        reflected = list(evidence.features)
        reflected[v] = [mirror_image(f) for f in features]
        image = replace(evidence, features=reflected, clues={})
        pairs = [(min(o, v), max(o, v)) for o in partners]
        image = replace(image, couples=evidence.couples | compare(image, reflected, pairs))
        as_it_is, as_its_image = (
            place(version, [*partners, v]).fits([v], rate=rate)[0] for version in (replace(evidence, clues={}), image)
        )
        if as_its_image.z >= MIN_VIDEO_Z and as_its_image.z > as_it_is.z + MARGIN:
            found.append(v)
    return found


def _doubtful(evidence: Evidence, placement: Placement) -> set[int]:
    """Placed videos whose mirror image fits the sum of the others, near their start, about as well as they do."""
    people = placement.people()
    views = [
        (v, person, evidence.features[v][t].every(evidence.stride), round(placement.starts[v]))
        for (v, t), person in people.items()
        if v in placement.supported
    ]
    if not views:
        return set()
    reach = round(SEARCH * evidence.curve_rate)
    first = min(start + f.begin for _, _, f, start in views) - reach
    last = max(start + f.begin + len(f.values) for _, _, f, start in views) + reach
    sums = {person: np.zeros((last - first, views[0][2].values.shape[1]), np.float32) for _, person, _, _ in views}
    for _, person, f, start in views:
        at = start + f.begin - first
        sums[person][at : at + len(f.values)] += f.values
    found = set()
    for video in placement.supported:
        mine = [(f, sums[person], start + f.begin - first) for v, person, f, start in views if v == video]
        as_it_is = _correlation([(f, f, total, at) for f, total, at in mine], range(-1, 2))
        mirrored = [(mirror_image(f), f, total, at) for f, total, at in mine]
        if mine and _correlation(mirrored, range(-reach, reach + 1)) > IN_DOUBT * as_it_is:
            found.add(video)
    return found


def _correlation(
    views: Sequence[tuple[Features, Features, NDArray[np.float32], int]], lags: Sequence[int] | range
) -> float:
    """The highest correlation of some features with the sum of the others over these lags.

    Args:
        views: (features, those that are part of the sum, sum, where they begin in it).
        lags: steps.
    """
    best = -1.0
    others = []
    for _, own, total, at in views:
        rest = total.copy()
        rest[at : at + len(own.values)] -= own.values
        others.append(rest)
    for lag in lags:
        sums = np.zeros(3)
        for (f, _, _, at), rest in zip(views, others, strict=True):
            there = rest[at + lag : at + lag + len(f.values)] * f.mask
            sums += np.vdot(f.values, there), np.vdot(f.values, f.values), np.vdot(there, there)
        if sums[1] > 0 and sums[2] > 0:
            best = max(best, float(sums[0] / np.sqrt(sums[1] * sums[2])))
    return best
