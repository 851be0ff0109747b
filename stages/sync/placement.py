"""Groups of videos with starts that the evidence supports, and the links between their tracks."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.sync.certainty import TOLERANCE, Agreement, SharedCurves, placed_videos, supported_videos
from stages.sync.consensus import Pair, ascend, robust_starts
from stages.sync.evidence import Evidence, LaggedClue
from stages.sync.identity import MIN_LINK_Z, Link, best_assignment, link_tracks, persons, pool_by_person
from stages.sync.pairwise import Curve, curve_noise, highest

Floats = NDArray[np.float64]

MAX_ROUNDS = 3  # of linking and ascending in turn; two are usual
FIRST_RADIUS = 0.1  # s around the best assignment's lag in which the pooled curve has its peak
SURE_CLUE = 10.0  # z at which another kind of evidence weighs as much as a correlation of 1
LEAST_R = 0.01  # a pair that does not correlate keeps this much weight, so that the graph stays connected


@dataclass(frozen=True)
class Placement:
    """Starts of some videos; keys and entries are positions in the scene.

    Attributes:
        members: the videos that were solved together, ascending.
        starts: start of each member's grid, whole steps of the curves.
        curves: of pairs that show somebody in common, one per pair.
        clues: of pairs, how far other evidence that agrees with the starts stands out.
        links: between their tracks.
        placed: members whose start stands out of the noise.
        supported: those, and members whose start agrees well enough to be given as uncertain; none or at least two.
    """

    members: list[int]
    starts: dict[int, float]
    curves: dict[Pair, Curve]
    clues: dict[Pair, float]
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
        clues = {(index[i], index[j]): z for (i, j), z in self.clues.items()}
        shared = SharedCurves(np.array([self.starts[v] for v in self.members]), curves, rate=rate, clues=clues)
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
    clues = {
        (a, b): evidence.clues[members[a], members[b]]
        for a, b in itertools.combinations(range(len(members)), 2)
        if (members[a], members[b]) in evidence.clues
    }
    extra = {pair: _squares(found) for pair, found in clues.items()}
    lags, weights = {}, {}
    for pair, both in couples.items():
        k, chosen = best_assignment(both, extra.get(pair))
        if chosen:
            middle = k - both.r.shape[2] // 2
            lags[pair], r = highest(both.pooled(chosen), near=middle, radius=FIRST_RADIUS * rate)
            weights[pair] = max(r, LEAST_R) ** 2
    for pair, found in clues.items():
        best = max(found, key=lambda clue: clue.clue.z)
        if best.clue.z**2 / SURE_CLUE**2 > weights.get(pair, 0.0):
            lags[pair], weights[pair] = best.lag, min(1.0, best.clue.z**2 / SURE_CLUE**2)
    i, j = np.array(list(lags) or [(0, 1)]).T
    starts = robust_starts(
        len(members), i, j, np.array(list(lags.values()) or [0.0]), np.array(list(weights.values()) or [0.0]), rate=rate
    )
    total = {pair: both.evidence for pair, both in couples.items()}
    starts = ascend(starts, _sum(total, extra))
    tracks = [len(evidence.features[v]) for v in members]
    for _ in range(MAX_ROUNDS):
        links = link_tracks(couples, starts, rate=rate, min_z=MIN_LINK_Z)
        curves = pool_by_person(couples, persons(tracks, links))
        unit = float(np.median([curve_noise(c, rate=rate) for c in curves.values()])) if clues and curves else 1.0
        squares = {p: np.square(np.maximum(c.strength, 0) / unit) for p, c in curves.items()}
        before, starts = starts, ascend(starts, _sum(squares, extra))
        if np.array_equal(before, starts):
            break
    agreeing = _agreeing(clues, starts, rate=rate)
    shared = SharedCurves(starts, curves, rate=rate, clues=agreeing)
    placed = placed_videos(len(members), shared, short=evidence.centred)
    supported = supported_videos(len(members), shared, placed)
    return Placement(
        members,
        {v: float(start) for v, start in zip(members, starts, strict=True)},
        {(members[a], members[b]): curve for (a, b), curve in curves.items()},
        {(members[a], members[b]): z for (a, b), z in agreeing.items()},
        [Link((members[x.a[0]], x.a[1]), (members[x.b[0]], x.b[1]), x.z, x.margin) for x in links],
        [members[k] for k in placed],
        [members[k] for k in supported],
    )


def _squares(clues: Sequence[LaggedClue]) -> Floats:
    """(lags,) sum of the squared scores."""
    return np.asarray(np.square([clue.score for clue in clues], dtype=np.float64).sum(0))


def _sum(motion: Mapping[Pair, Floats], extra: Mapping[Pair, Floats]) -> dict[Pair, Floats]:
    """Evidence of both, of every pair that has any."""
    return {pair: motion.get(pair, 0.0) + extra.get(pair, np.zeros(1)) for pair in [*motion, *extra]}


def _agreeing(clues: Mapping[Pair, Sequence[LaggedClue]], starts: Floats, *, rate: float) -> dict[Pair, float]:
    """Of every pair, the highest z of the clues that agree with the starts."""
    found = {}
    for (a, b), said in clues.items():
        agree = [
            clue.clue.z
            for clue in said
            if abs(clue.lag - (starts[b] - starts[a])) <= TOLERANCE * rate + 3 * clue.clue.deviation * rate
        ]
        if agree:
            found[a, b] = max(agree)
    return found


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
