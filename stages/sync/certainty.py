"""Which videos the data can place at all: a number is given only where a chance agreement is ruled out.

Two rules. A video is *placed* where its peak stands out of the noise of its own curve: that takes some seconds of other
lags to compare with. Where a recording is too short for that, a video is still *supported* where it agrees closely
enough with the others; such an answer is reported as uncertain. The bars were chosen on simulated scenes of the tuning
half (benchmarks/simulation/halves.py) and on cuts of real video of 0.8 to 1.5 s, where right starts correlate with
0.71-0.82.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage

from stages.sync.consensus import Pair
from stages.sync.pairwise import APART, MIN_FAR_LAGS, MIN_OVERLAP, PRIOR_NOISE, Curve, noise

Floats = NDArray[np.float64]

TOLERANCE = 0.1  # s: three frames of 30 fps
MIN_VIDEO_Z = 5.35  # of 100 videos of another scene, in simulated scenes of 30 s, 97 stay below; right ones reach 6-16
CHOICE = 0.5  # z that each factor e of couples to choose from is worth: 97 of 100 of the best of 9 stay below 6.5
MIN_SHARED = 5.0  # s that a placed video shares with another, on average: one raised arm looks like the next
MIN_STRENGTH = 1.5  # sqrt(s), of a video placed in recordings of under 20 s: 19 of 20 strangers stay below 1.35

# Of a supported video, which does not stand out. In simulated clips of 10 s that started within 10 s, 1-2 % of those
# that pass are off by more than TOLERANCE. In clips of 1-2 s it is more: one raised arm looks like the next.
MIN_R = 0.72  # mean correlation where the noise is known, and
MIN_R_UNJUDGED = 0.6  # where there are too few other lags
MIN_SHARE = 0.5  # of the longest time that two videos could share: short overlaps at the ends agree by chance
DOUBTED_Z = 3.5  # where the noise is known, a lower z speaks against the match
SHORT = 10.0  # s: with a longer overlap the noise of the curve is known and MIN_VIDEO_Z alone decides


@dataclass(frozen=True)
class Agreement:
    """How well a video fits the others at its start.

    Attributes:
        z: height of the common peak over the noise away from it, less what choosing among several persons gains; 0
            where the highest peak is not within TOLERANCE of the start, or where fewer than MIN_FAR_LAGS lags are left
            to judge by.
        r: mean correlation with the others there, weighted by overlap.
        overlap: seconds shared with another video, on average.
        share: that, as a share of the longest time that the two could share at any start.
        highest: whether no other start fits better.
        clue: how far the best of other evidence that agrees stands out; 0 without any.
    """

    z: float = 0.0
    r: float = 0.0
    overlap: float = 0.0
    share: float = 0.0
    highest: bool = False
    clue: float = 0.0


Part = tuple[Sequence[int], Sequence[int]]
"""A video, or a few that move together, and those that they are compared with."""


class SharedCurves:
    """The curves of all pairs, each shifted so that the starts are at lag 0.

    Args:
        starts: (videos,) grid steps.
        curves: of pairs (i, j), i < j.
        rate: steps of the curves per second.
        clues: of pairs, how far other evidence that agrees with the starts stands out.
    """

    def __init__(
        self,
        starts: Floats,
        curves: Mapping[Pair, Curve],
        *,
        rate: float,
        clues: Mapping[Pair, float] | None = None,
    ) -> None:
        self.rate = rate
        self.clues = clues or {}
        self.pairs = list(curves)
        at = [round(float(starts[j] - starts[i])) for i, j in self.pairs]
        reach = max((c.reach for c in curves.values()), default=0)
        self.reach = reach + max(map(abs, at), default=0)
        shape = (len(self.pairs), 2 * self.reach + 1)
        self.strength, self.judged = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.near = min(self.reach, int(TOLERANCE * rate + 1e-9))
        # r * overlap, overlap, overlap per couple, share of the longest: needed near the starts alone
        self.shared = np.zeros((4, len(self.pairs), 2 * self.near + 1))
        self.alternatives = np.array([c.alternatives for c in curves.values()], dtype=np.int64)
        for k, curve in enumerate(curves.values()):
            first = self.reach - curve.reach - at[k]
            part = slice(first, first + len(curve.r))
            self.strength[k, part], self.judged[k, part] = curve.strength, curve.allowed
            begin = curve.reach + at[k] - self.near
            near = slice(max(0, begin), max(0, min(len(curve.r), begin + 2 * self.near + 1)))
            seen = np.where(curve.allowed[near], curve.overlap[near], 0.0)
            longest = max(float(curve.overlap.max()), 1e-9)
            columns = slice(near.start - begin, near.start - begin + len(seen))
            self.shared[:, k, columns] = curve.r[near] * seen, seen, seen / curve.couples, seen / longest

    def agreements(self, parts: Sequence[Part]) -> list[Agreement]:
        """What all pairs between the two sides of a part say about their relative start.

        The strength curves of these pairs are averaged *before* the peak is judged. Closing triangles prove less than
        it seems: the chance peaks of a wrong video agree with each other, because all the good videos it was compared
        with show the same motion.
        """
        motion = self._motion(parts)
        if not self.clues:
            return motion
        out = []
        for fit, (side, others) in zip(motion, parts, strict=True):
            between = [z for pair, z in self.clues.items() if set(pair) & set(side) and set(pair) & set(others)]
            out.append(replace(fit, clue=max(between, default=0.0)))
        return out

    def _motion(self, parts: Sequence[Part]) -> list[Agreement]:
        if not self.pairs:
            return [Agreement() for _ in parts]
        i, j = np.array(self.pairs).T
        forward, backward = (np.zeros((len(parts), len(self.pairs)), np.float32) for _ in range(2))
        for row, (side, others) in enumerate(parts):
            mine, theirs = np.isin([i, j], side), np.isin([i, j], others)
            forward[row], backward[row] = mine[1] & theirs[0], mine[0] & theirs[1]

        def total(of_pairs: NDArray[np.floating]) -> NDArray[np.floating]:
            return forward @ of_pairs + (backward @ of_pairs)[:, ::-1]

        strength, count = total(self.strength), total(self.judged)
        near = np.stack([total(values) for values in self.shared])
        used = (forward + backward) > 0
        alternatives = np.where(used, self.alternatives, 1).max(1)
        return [self._judge(*rows) for rows in zip(strength, count, near.swapaxes(0, 1), alternatives, strict=True)]

    def _judge(
        self, strength: NDArray[np.floating], count: NDArray[np.floating], near: Floats, alternatives: int
    ) -> Agreement:
        mean = strength.astype(np.float64) / np.sqrt(np.maximum(count, 1))
        judged, distance = count > 0, np.abs(np.arange(-self.reach, self.reach + 1))
        window = slice(self.reach - self.near, self.reach + self.near + 1)
        if not judged[window].any():
            return Agreement()
        k = int(np.where(judged[window], mean[window], -np.inf).argmax())
        top, number = mean[window][k], float(count[window][k])
        highest = bool(top > 0 and top >= mean[judged].max())
        far = judged & (distance > APART * self.rate)
        z = 0.0
        if highest and far.sum() >= MIN_FAR_LAGS * self.rate / 30:
            prior = PRIOR_NOISE * np.sqrt(number)  # the others show the same motion: their chance agreements add up
            spread = noise(far.sum(), mean[far].var(), rate=self.rate, prior=prior)
            z = max(0.0, float(top / spread) - CHOICE * float(np.log(alternatives)))
        product, overlap, per_couple, share = near[:, k]
        return Agreement(
            z=z,
            r=float(product / overlap),
            overlap=float(per_couple / number / self.rate),
            share=float(share / number),
            highest=highest,
        )


def placed_videos(count: int, shared: SharedCurves, *, short: bool) -> list[int]:
    """The videos that stand out of the noise, each on its own and each part of them.

    Args:
        count: number of videos.
        shared: their curves.
        short: whether the recordings are of a few seconds.

    Returns:
        Positions of the placed videos, ascending; none or at least two.
    """

    def bond(fit: Agreement) -> float:
        enough = fit.overlap >= MIN_SHARED and (not short or fit.r * np.sqrt(fit.overlap) >= MIN_STRENGTH)
        return max(fit.clue, fit.z if enough else 0.0) / MIN_VIDEO_Z

    return _held_together(list(range(count)), [], bond, shared)


def supported_videos(count: int, shared: SharedCurves, placed: list[int]) -> list[int]:
    """Videos of short recordings that agree with the placed ones, or with each other where none is placed.

    Args:
        count: number of videos.
        shared: their curves.
        placed: positions of the placed videos.

    Returns:
        Positions of the placed and the supported videos, ascending; none or at least two.
    """

    def bond(fit: Agreement) -> float:
        least = MIN_R if fit.z > 0 else MIN_R_UNJUDGED
        doubtful = not fit.highest or fit.overlap >= SHORT or fit.share < MIN_SHARE or 0 < fit.z < DOUBTED_Z
        return 0.0 if doubtful else fit.r / least

    def bond_of_long(fit: Agreement) -> float:
        stands_out = fit.z >= MIN_VIDEO_Z and fit.overlap >= MIN_OVERLAP
        return max(1.0, bond(fit)) if stands_out and placed else bond(fit)

    return _held_together(list(range(count)), placed, bond_of_long, shared)


def _held_together(
    kept: list[int], core: list[int], bond: Callable[[Agreement], float], shared: SharedCurves
) -> list[int]:
    """What is left when every part whose bond to the rest is too weak has gone, the weakest first.

    First single videos, then clusters of those that agree best: two cameras of another scene agree with each other,
    so that each of them looks sound, and chance connects the two to the rest.

    Args:
        kept: the videos to begin with.
        core: videos that stay in any case.
        bond: how well a part agrees with the rest; 1 is enough.
        shared: the curves.
    """
    divisions: tuple[Callable[[list[int]], list[list[int]]], ...] = (
        lambda group: [[k] for k in group],
        lambda group: _clusters(group, shared),
    )
    while len(kept) > 1:
        for divide in divisions:
            free = [part for part in divide(kept) if not set(part) & set(core)]
            bonds = [bond(fit) for fit in shared.agreements([(p, [k for k in kept if k not in p]) for p in free])]
            if bonds and min(bonds) < 1:
                gone = free[int(np.argmin(bonds))]
                kept = [k for k in kept if k not in gone]
                break
        else:
            return kept
    return []


def _clusters(group: list[int], shared: SharedCurves) -> list[list[int]]:
    """Parts of two videos up to half the group: the inner nodes of average linkage over the strengths at the starts."""
    if len(group) < 4:
        return []
    at_start = dict(zip(shared.pairs, shared.strength[:, shared.reach].tolist(), strict=True))
    strength = [at_start.get(pair, 0.0) for pair in itertools.combinations(group, 2)]
    merges = linkage(max(strength) - np.array(strength), method="average")
    nodes = [[k] for k in group]
    for a, b in merges[:, :2].astype(np.int64):
        nodes.append(sorted(nodes[a] + nodes[b]))
    found = []
    for node in nodes[len(group) : -1]:
        rest = [k for k in group if k not in node]
        found.append(node if len(node) <= len(rest) else rest)
    return [part for part in found if len(part) > 1]
