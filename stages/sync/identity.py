"""Which tracks of different videos are the same person, found together with the lag between the videos.

At a wrong lag no couple of tracks agrees, and a couple of different persons agrees at no particular lag; so the lag is
where the best assignment of tracks to each other agrees most, and the assignment there is the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stages.sync.consensus import Pair
from stages.sync.pairwise import APART, EXCLUDED, Curve, noise

Floats = NDArray[np.float64]

CANDIDATE_LAGS = 40  # lags of a pair of videos at which tracks are assigned exactly
MIN_LINK_Z = 2.5  # units of a curve's own noise; a threshold on r loses 40 % of the links in hard noise (sync study)
LINK_RADIUS = 0.1  # s around the consensus in which a couple may agree


@dataclass(frozen=True)
class Couples:
    """All couples of a track of video a with a track of video b.

    Attributes:
        r: (tracks of a, tracks of b, lags) as Curve.r.
        overlap: the same shape, as Curve.overlap.
        score: the same shape: strength in units of the curve's own standard deviation over the lags, 0 where negative
            or excluded.
    """

    r: NDArray[np.float32]
    overlap: NDArray[np.float32]
    score: NDArray[np.float32]

    @classmethod
    def of(cls, curves: list[list[Curve]], *, rate: float) -> Couples:
        """From the curve of every couple."""

        def gather(rows: list[list[Floats]]) -> NDArray[np.float32]:
            return np.array(rows, dtype=np.float32)

        return cls(
            gather([[c.r for c in row] for row in curves]),
            gather([[c.overlap for c in row] for row in curves]),
            gather([[in_units_of_noise(c, rate=rate) for c in row] for row in curves]),
        )

    @property
    def evidence(self) -> Floats:
        """(lags,) mean of two sums, of row and of column maxima of score²: no assignment is worth more."""
        squares = self.score.astype(np.float64) ** 2
        return np.asarray((squares.max(1).sum(0) + squares.max(0).sum(0)) / 2)

    def pooled(self, chosen: list[tuple[int, int]]) -> Curve:
        """One curve of the chosen couples: the mean of r, weighted by overlap."""
        u, v = (list(side) for side in zip(*chosen, strict=True))
        r, overlap = self.r[u, v].astype(np.float64), self.overlap[u, v].astype(np.float64)
        weight = np.where(r > EXCLUDED, overlap, 0)
        total = weight.sum(0)
        mean = (weight * r).sum(0) / np.maximum(total, 1e-9)
        return Curve(np.where(total > 0, mean, EXCLUDED), total, len(chosen), self.r.shape[0] * self.r.shape[1])


@dataclass(frozen=True)
class Link:
    """Two tracks that are one person.

    Attributes:
        a: (video, track) by position.
        b: the other's.
        z: agreement in units of the curve's noise.
        margin: z minus that of the best couple that would have made this one impossible; z itself if there is none.
    """

    a: tuple[int, int]
    b: tuple[int, int]
    z: float
    margin: float


def in_units_of_noise(curve: Curve, *, rate: float) -> Floats:
    """(lags,) strength over the standard deviation it has away from its peak, not negative, 0 where excluded.

    Without the prior in the noise the flat curve of two strangers gets a higher score in a short clip than the broad,
    high one of the right couple.
    """
    strength = curve.strength
    far = curve.allowed & (np.abs(curve.lags - curve.lags[int(strength.argmax())]) > APART * rate)
    return np.asarray(np.maximum(strength, 0) / noise(strength[far], rate=rate))


def best_assignment(couples: Couples) -> tuple[int, list[tuple[int, int]]]:
    """Index of the lag, and the couples, whose summed score² is highest over all lags and assignments."""
    squares = couples.score.astype(np.float64) ** 2
    best: tuple[float, int, list[tuple[int, int]]] = (-1.0, 0, [])
    for k in np.argsort(-couples.evidence, kind="stable")[:CANDIDATE_LAGS]:
        u, v = linear_sum_assignment(-squares[:, :, k])
        total = float(squares[u, v, k].sum())
        if total > best[0]:
            best = total, int(k), [(int(x), int(y)) for x, y in zip(u, v, strict=True) if squares[x, y, k] > 0]
    return best[1], best[2]


def link_tracks(couples: Mapping[Pair, Couples], starts: Floats, *, rate: float, min_z: float) -> list[Link]:
    """Couples that agree at the consensus, best first; one track per video and person, also through third videos.

    Args:
        couples: of pairs of videos (i, j), i < j.
        starts: (videos,) grid steps.
        rate: grid steps per second.
        min_z: units of noise below which a couple is no link.

    Returns:
        Accepted links; their connected components are the persons.
    """
    radius = max(1, round(LINK_RADIUS * rate))
    found = []
    for (i, j), pair in couples.items():
        reach = pair.r.shape[2] // 2
        middle = round(starts[j] - starts[i]) + reach
        window = slice(max(0, middle - radius), max(0, middle + radius + 1))
        if pair.score[:, :, window].size == 0:
            continue
        z = pair.score[:, :, window].max(2)
        for u, v in zip(*linear_sum_assignment(-z), strict=True):
            rivals = np.concatenate([np.delete(z[u], v), np.delete(z[:, v], u)])
            if z[u, v] >= min_z:
                margin = z[u, v] - rivals.max(initial=0.0)
                found.append(Link((i, int(u)), (j, int(v)), float(z[u, v]), float(margin)))
    person: dict[tuple[int, int], set[tuple[int, int]]] = {}
    accepted = []
    for link in sorted(found, key=lambda x: (-x.z, x.a, x.b)):
        a, b = (person.setdefault(track, {track}) for track in (link.a, link.b))
        if a is b:
            accepted.append(link)
        elif not {video for video, _ in a} & {video for video, _ in b}:
            a |= b
            person.update(dict.fromkeys(b, a))
            accepted.append(link)
    return accepted


def persons(tracks: list[int], links: list[Link]) -> list[list[tuple[int, int]]]:
    """The tracks of every person, in order of the first one; a track without links is a person of its own.

    Args:
        tracks: number of tracks of each video.
        links: accepted ones.
    """
    group = {(v, t): [(v, t)] for v, count in enumerate(tracks) for t in range(count)}
    for link in links:
        a, b = group[link.a], group[link.b]
        if a is not b:
            a += b
            for track in b:
                group[track] = a
    unique = {id(members): sorted(members) for members in group.values()}
    return sorted(unique.values())


def pool_by_person(couples: Mapping[Pair, Couples], groups: list[list[tuple[int, int]]]) -> dict[Pair, Curve]:
    """One curve per pair of videos that have a person in common."""
    label = {track: k for k, members in enumerate(groups) for track in members}
    pooled = {}
    for (i, j), pair in couples.items():
        same = [(u, v) for u, v in np.ndindex(*pair.r.shape[:2]) if label[i, u] == label[j, v]]
        if same:
            pooled[i, j] = pair.pooled(same)
    return pooled
