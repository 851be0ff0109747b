"""Groups of videos with starts that the evidence supports, and the links between their tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.sync.certainty import Agreement, SharedCurves, placed_videos, supported_videos
from stages.sync.consensus import Pair, ascend, robust_starts
from stages.sync.evidence import Evidence
from stages.sync.identity import MIN_LINK_Z, Link, best_assignment, link_tracks, persons, pool_by_person
from stages.sync.pairwise import Curve, find_peak

Floats = NDArray[np.float64]

MAX_ROUNDS = 3  # of linking and ascending in turn; two are usual
FIRST_RADIUS = 0.1  # s around the best assignment's lag in which the pooled curve has its peak
LEAST_R = 0.01  # a pair that does not correlate keeps this much weight, so that the graph stays connected


@dataclass(frozen=True)
class Placement:
    """Starts of some videos; keys and entries are positions in the scene.

    Attributes:
        members: the videos that were solved together, ascending.
        starts: start of each member's grid, whole steps of the curves.
        curves: of pairs that show somebody in common, one per pair.
        links: between their tracks.
        placed: members whose start stands out of the noise.
        supported: those, and members whose start agrees well enough to be given as uncertain; none or at least two.
    """

    members: list[int]
    starts: dict[int, float]
    curves: dict[Pair, Curve]
    links: list[Link]
    placed: list[int]
    supported: list[int]

    def people(self) -> dict[tuple[int, int], int]:
        """Number of the person behind every linked track (video, track)."""
        tracks = {track for link in self.links for track in (link.a, link.b)}
        count = [1 + max((t for v, t in tracks if v == k), default=-1) for k in range(max(self.members) + 1)]
        groups = persons(count, self.links)
        return {track: number for number, group in enumerate(groups) for track in group if track in tracks}

    def fits(self, videos: Sequence[int], *, rate: float) -> list[Agreement]:
        """How members fit the supported ones (all members, if none is)."""
        index = {v: k for k, v in enumerate(self.members)}
        curves = {(index[i], index[j]): curve for (i, j), curve in self.curves.items()}
        shared = SharedCurves(np.array([self.starts[v] for v in self.members]), curves, rate=rate)
        return shared.agreements(
            [([index[v]], [index[o] for o in self.supported or self.members if o != v]) for v in videos]
        )


def place(evidence: Evidence, members: Sequence[int]) -> Placement:
    """Solves for the starts of some videos and says which of them the data support.

    Args:
        evidence: of the scene.
        members: positions of at least two usable videos.
    """
    rate = evidence.curve_rate
    members = sorted(members)
    couples = {
        (a, b): evidence.couples[members[a], members[b]]
        for b in range(len(members))
        for a in range(b)
        if (members[a], members[b]) in evidence.couples
    }
    lags, weights = [], []
    for pair in couples.values():
        k, chosen = best_assignment(pair)
        if chosen:
            middle = k - pair.r.shape[2] // 2
            peak = find_peak(pair.pooled(chosen), rate=rate, near=middle, radius=FIRST_RADIUS * rate)
            lags.append(peak.lag)
            weights.append(max(peak.r, LEAST_R) ** 2)
        else:
            lags.append(0.0)
            weights.append(0.0)
    i, j = np.array(list(couples)).T
    starts = robust_starts(len(members), i, j, np.array(lags), np.array(weights), rate=rate)
    starts = ascend(starts, {pair: both.evidence for pair, both in couples.items()})
    tracks = [len(evidence.features[v]) for v in members]
    for _ in range(MAX_ROUNDS):
        links = link_tracks(couples, starts, rate=rate, min_z=MIN_LINK_Z)
        curves = pool_by_person(couples, persons(tracks, links))
        before, starts = starts, ascend(starts, {p: np.maximum(c.strength, 0) ** 2 for p, c in curves.items()})
        if np.array_equal(before, starts):
            break
    shared = SharedCurves(starts, curves, rate=rate)
    placed = placed_videos(len(members), shared, short=evidence.centred)
    supported = supported_videos(len(members), shared, placed)
    return Placement(
        members,
        {v: float(start) for v, start in zip(members, starts, strict=True)},
        {(members[a], members[b]): curve for (a, b), curve in curves.items()},
        [Link((members[x.a[0]], x.a[1]), (members[x.b[0]], x.b[1]), x.z, x.margin) for x in links],
        [members[k] for k in placed],
        [members[k] for k in supported],
    )


def components(evidence: Evidence) -> tuple[list[Placement], Placement | None]:
    """Groups of videos that hang together, the largest first, and the first attempt on all of them.

    What a group leaves over is tried again without it: two cameras may have seen the beginning of an event, two others
    the end.
    """
    remaining = list(evidence.usable)
    found: list[Placement] = []
    first: Placement | None = None
    while len(remaining) > 1:
        attempt = place(evidence, remaining)
        first = first or attempt
        if not attempt.supported:
            break
        found.append(attempt)
        remaining = [v for v in remaining if v not in attempt.supported]
    return sorted(found, key=lambda p: (-len(p.supported), p.supported)), first
