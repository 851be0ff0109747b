"""Which videos are mirrored, as selfie cameras record them.

A mirrored walker looks like himself half a stride later: such a video fits the others at a wrong start, or at none. Its
mirror image, left and right exchanged, fits them well.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stages.sync.certainty import MIN_VIDEO_Z
from stages.sync.evidence import Evidence, compare
from stages.sync.features import mirror_image
from stages.sync.placement import Placement, place

DOUBTFUL = 0.8  # of the others' median z: a video that fits at least so well is not looked at again
MARGIN = 1.0  # z by which the mirror image must fit better (sync study: 40 of 40 found, no false alarm)
PARTNERS = 7  # videos that a mirror image is compared with, at most
MIN_PARTNERS = 2  # of two videos nobody can tell which one is mirrored


def mirrored_videos(evidence: Evidence, placement: Placement) -> list[int]:
    """Videos that fit the placed ones clearly better as their mirror image.

    Args:
        evidence: of the scene.
        placement: of most of its videos.
    """
    rate = evidence.curve_rate
    fits = placement.fits(placement.supported, rate=rate)
    enough = DOUBTFUL * float(np.median([fit.z for fit in fits])) if fits else 0.0
    sound = {v for v, fit in zip(placement.supported, fits, strict=True) if fit.z >= max(enough, MIN_VIDEO_Z)}
    found = []
    for v, features in enumerate(evidence.features):
        partners = [o for o in placement.supported if o != v][:PARTNERS]
        if v in sound or not features or len(partners) < MIN_PARTNERS:
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
