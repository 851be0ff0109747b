"""Which tracks of different videos are the same person, found together with the lag between the videos.

At a wrong lag no couple of tracks agrees, and a couple of different persons agrees at no particular lag; so the lag is
where the best assignment of tracks to each other agrees most, and the assignment there is the answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stages.sync.consensus import Pair
from stages.sync.pairwise import EXCLUDED, Curve

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CANDIDATE_LAGS = 40  # lags of a pair of videos at which tracks are assigned exactly
MIN_LINK_Z = 2.5  # units of a curve's own noise; a threshold on r loses 40 % of the links in hard noise (sync study)
MIN_REJOIN_Z = 4.0  # likewise, to say that two tracks of one video are one person (chosen by hand)
LINK_RADIUS = 0.1  # s around the consensus in which a couple may agree


@dataclass(frozen=True)
class Couples:
    """All couples of a track of video a with a track of video b.

    Attributes:
        r: (tracks of a, tracks of b, lags) as Curve.r.
        overlap: the same shape, as Curve.overlap.
        score: the same shape: strength in units of the curve's own standard deviation over the lags, 0 where negative
            or excluded.
        together: for a and for b (tracks, tracks) bool: whether two tracks of the video are visible at once, so that
            they are different persons. A tracker that loses a person leaves tracks that are not.
    """

    r: NDArray[np.float32]
    overlap: NDArray[np.float32]
    score: NDArray[np.float32]
    together: tuple[Flags, Flags]

    @property
    def evidence(self) -> Floats:
        """(lags,) mean of two sums, of row and of column maxima of score²: no one-to-one assignment is worth more."""
        squares = self.score.astype(np.float64) ** 2
        if squares.shape[:2] == (1, 1):  # as of most videos
            return np.asarray(squares[0, 0])
        return np.asarray((squares.max(1).sum(0) + squares.max(0).sum(0)) / 2)

    def excluded_by(self, u: int, v: int) -> Flags:
        """(tracks of a, tracks of b): the couples that cannot be one person each if (u, v) is one."""
        out = np.zeros(self.r.shape[:2], bool)
        out[u], out[:, v] = self.together[1][v], self.together[0][u]
        return out

    def pooled(self, chosen: list[tuple[int, int]], *, people: int | None = None) -> Curve:
        """One curve of the chosen couples: the mean of r, weighted by overlap.

        Args:
            chosen: (track of a, track of b).
            people: how many persons they are; as many as both videos have tracks among them, if not given.
        """
        if self.r.shape[:2] == (1, 1):
            return Curve(self.r[0, 0], self.overlap[0, 0])
        u, v = (list(side) for side in zip(*chosen, strict=True))
        r, overlap = self.r[u, v].astype(np.float64), self.overlap[u, v].astype(np.float64)
        weight = np.where(r > EXCLUDED, overlap, 0)
        total = weight.sum(0)
        mean = (weight * r).sum(0) / np.maximum(total, 1e-9)
        return Curve(
            np.where(total > 0, mean, EXCLUDED),
            total,
            people or min(len(set(u)), len(set(v))),
            self.r.shape[0] * self.r.shape[1],
        )


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


def simultaneous(times: Sequence[Floats]) -> Flags:
    """Which tracks of one video share an instant.

    Args:
        times: of every track (frames,) seconds, increasing, of the same clock and frames.

    Returns:
        (tracks, tracks) bool, symmetric, True on the diagonal.
    """
    out = np.eye(len(times), dtype=bool)
    for a, b in itertools.combinations(range(len(times)), 2):
        ours, theirs = times[a], times[b]
        apart = not len(ours) or not len(theirs) or ours[-1] < theirs[0] or theirs[-1] < ours[0]
        out[a, b] = out[b, a] = not apart and bool(np.isin(ours, theirs, assume_unique=True).any())
    return out


def best_assignment(couples: Couples, extra: Floats | None = None) -> tuple[int, list[tuple[int, int]]]:
    """Index of the lag, and the couples, whose summed score² is highest over all lags and assignments.

    Assigned is one to one, and then the further parts of people whose track is broken.

    Args:
        couples: of a pair of videos.
        extra: (lags,) what other evidence adds to the sum.
    """
    more = np.zeros(couples.score.shape[2]) if extra is None else extra
    if couples.score.shape[:2] == (1, 1):
        k = int((couples.score[0, 0] ** 2 + more).argmax())
        return k, [(0, 0)] if couples.score[0, 0, k] > 0 else []
    squares = couples.score.astype(np.float64) ** 2
    best: tuple[float, int, list[tuple[int, int]]] = (-1.0, 0, [])
    for k in np.argsort(-(couples.evidence + more), kind="stable")[:CANDIDATE_LAGS]:
        u, v = linear_sum_assignment(-squares[:, :, k])
        chosen = continued(couples, couples.score[:, :, k], list(zip(u.tolist(), v.tolist(), strict=True)), MIN_LINK_Z)
        total = sum(float(squares[x, y, k]) for x, y in chosen) + float(more[k])
        if total > best[0]:
            best = total, int(k), [(x, y) for x, y in chosen if squares[x, y, k] > 0]
    return best[1], best[2]


def continued(
    couples: Couples, z: NDArray[np.floating], assigned: list[tuple[int, int]], min_z: float
) -> list[tuple[int, int]]:
    """One-to-one couples, and those that continue one of them at other times, best first.

    A one-to-one assignment leaves over the second track of a person whom a tracker has lost for a while.

    Args:
        couples: whose tracks they are.
        z: (tracks of a, tracks of b) units of noise.
        assigned: the one-to-one couples; those below min_z give way.
        min_z: what the added couples reach, and the assigned ones that they continue.
    """
    sure = [(u, v) for u, v in assigned if z[u, v] >= min_z]
    joins, free = np.zeros(z.shape, bool), z >= min_z
    for u, v in sure:
        joins[u], joins[:, v] = True, True
        free &= ~couples.excluded_by(u, v)
    added: list[tuple[int, int]] = []
    while (free & joins).any():
        u, v = divmod(int(np.where(free & joins, z, -np.inf).argmax()), z.shape[1])
        added.append((u, v))
        joins[u], joins[:, v] = True, True
        free &= ~couples.excluded_by(u, v)
    given_up = {
        couple for couple in assigned if couple not in sure and any(couples.excluded_by(*x)[couple] for x in added)
    }
    return [couple for couple in assigned if couple not in given_up] + added


def link_tracks(couples: Mapping[Pair, Couples], starts: Floats, *, rate: float, min_z: float) -> list[Link]:
    """Couples that agree at the consensus, best first; nobody twice at one time in a video, also through third videos.

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
        best = [side.tolist() for side in linear_sum_assignment(-z)]
        for u, v in continued(pair, z, list(zip(*best, strict=True)), min_z):
            if z[u, v] >= min_z:
                rivals = pair.excluded_by(u, v)
                rivals[u, v] = False
                margin = z[u, v] - z[rivals].max(initial=0.0)
                found.append(Link((i, u), (j, v), float(z[u, v]), float(margin)))
    together = {
        video: flags for pair, both in couples.items() for video, flags in zip(pair, both.together, strict=True)
    }
    person: dict[tuple[int, int], set[tuple[int, int]]] = {}
    accepted = []
    for link in sorted(found, key=lambda x: (-x.z, x.a, x.b)):
        a, b = (person.setdefault(track, {track}) for track in (link.a, link.b))
        if a is b:
            accepted.append(link)
            continue
        twice = [(v, t, u) for v, t in a for w, u in b if v == w]
        if not any(together[v][t, u] for v, t, u in twice) and (not twice or link.z >= MIN_REJOIN_Z):
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
    pooled: dict[Pair, Curve] = {}
    for (i, j), pair in couples.items():
        same = [(u, v) for u, v in np.ndindex(*pair.r.shape[:2]) if label[i, u] == label[j, v]]
        if same:
            pooled[i, j] = pair.pooled(same, people=len({label[i, u] for u, _ in same}))
    return pooled
