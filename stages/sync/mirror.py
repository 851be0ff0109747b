"""Which videos are mirrored, as selfie cameras record them.

A mirrored walker looks like himself half a stride later: such a video fits the others at a wrong start, and well. Its
mirror image, left and right exchanged, fits better. Every video is first looked at near its start, against the sum of
the others, which is cheap; those in doubt are placed anew, as they are and as their mirror image.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stages.sync.certainty import MIN_VIDEO_Z
from stages.sync.evidence import Evidence, compare
from stages.sync.features import Features, mirror_image
from stages.sync.pairwise import normalised
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
        as_it_is, mirrored = np.zeros((3, 3)), np.zeros((3, reach + 1))
        for v, person, f, start in views:
            if v == video:
                at = start + f.begin - first
                others = sums[person][at - reach : at + len(f.values) + reach].copy()
                others[reach : reach + len(f.values)] -= f.values
                as_it_is += _products(f, others, range(reach - 1, reach + 2))
                mirrored += _products(mirror_image(f), others, range(0, 2 * reach + 1, 2))
        if _highest(mirrored) > IN_DOUBT * _highest(as_it_is):
            found.add(video)
    return found


def _products(features: Features, others: NDArray[np.float32], lags: range) -> NDArray[np.float64]:
    """(3, lags): product with the others, and both energies, where the features begin at these rows of the others."""
    values, known = np.ascontiguousarray(features.values), features.mask.mean(1)
    energy = np.einsum("tk,tk->t", others, others)
    out = np.zeros((3, len(lags)))
    out[1] = np.vdot(values, values)
    for k, lag in enumerate(lags):
        out[0, k] = np.vdot(values, others[lag : lag + len(values)])
        out[2, k] = known @ energy[lag : lag + len(values)]
    return out


def _highest(products: NDArray[np.float64]) -> float:
    """The highest correlation."""
    product, energy, others = products
    return float(normalised(product, energy, others).max())
