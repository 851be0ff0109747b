"""All that the tracks of a scene say about lags, before anything is decided: the curves of every couple of tracks."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stages.sync.clues import Clue
from stages.sync.consensus import Pair
from stages.sync.features import Features, Grid, common_rate, mirror_image, person_features, video_grid
from stages.sync.identity import Couples, simultaneous
from stages.sync.pairwise import EXCLUDED, MIN_OVERLAP, MIN_OVERLAP_SHARE, correlate, in_units_of_noise
from stages.sync.tracks import VideoTracks

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

SEARCH_RATE = 15.0  # Hz at which long recordings are searched: smoothing leaves next to nothing above 7.5 Hz
CENTRED_BELOW = 20.0  # s: shorter recordings keep their trend and are centred over every overlap instead (sync study)


@dataclass(frozen=True, eq=False)
class LaggedClue:
    """What other evidence says of a pair, on the lags of the curves.

    Attributes:
        score: (lags,) evidence in units of its noise, not negative.
        lag: of the measurement, in steps of the curves.
        difference: the same as start of the second minus start of the first, seconds.
        clue: the measurement itself.
    """

    score: Singles
    lag: float
    difference: float
    clue: Clue


@dataclass(frozen=True)
class Evidence:
    """Curves of a scene; videos by position in the input, tracks by position among the video's compared tracks.

    Tracks that are known for less time than the least overlap cannot agree with anybody: they are not compared.

    Attributes:
        rate: grid steps per second.
        stride: grid steps in one step of the curves: long recordings are searched coarsely and aligned finely.
        centred: whether the correlations are centred, as those of recordings of a few seconds are.
        grids: of every video, on a clock that runs at the scene's rate.
        tracks: of every video, the positions in the input of the tracks that are compared.
        features: of these.
        couples: of every pair of videos (i, j), i < j, that both have features; lags in steps of the curves.
        usable: videos that can be compared with another.
        reach: the largest lag of the curves.
        clues: of pairs of videos (i, j), i < j, what other evidence says.
        max_offset: largest difference between two start times that is considered, seconds.
    """

    rate: float
    stride: int
    centred: bool
    grids: list[Grid]
    tracks: list[list[int]]
    features: list[list[Features]]
    couples: dict[Pair, Couples]
    usable: list[int]
    max_offset: float
    reach: int
    clues: dict[Pair, list[LaggedClue]]

    @property
    def curve_rate(self) -> float:
        """Steps of the curves per second."""
        return self.rate / self.stride

    def offset(self, i: int, j: int, lag: float) -> float:
        """start_time[j] - start_time[i] in seconds that a lag of the curves stands for."""
        return lag / self.curve_rate + self.grids[i].origin - self.grids[j].origin

    def local_ids(
        self, videos: Sequence[VideoTracks], i: int, j: int, couples: Sequence[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """Ids, local to videos i and j, of couples of compared tracks."""
        of_i, of_j = ([videos[v].persons[t].person for t in self.tracks[v]] for v in (i, j))
        return [(of_i[t], of_j[u]) for t, u in couples]


def gather(
    videos: Sequence[VideoTracks],
    *,
    max_offset: float,
    rates: Mapping[int, float] | None = None,
    mirrored: Collection[int] = (),
    clues: Sequence[Clue] = (),
    motion: bool = True,
) -> Evidence:
    """Features of all tracks and curves of all couples.

    Args:
        videos: of one scene.
        max_offset: largest difference between two start times that is considered, seconds.
        rates: seconds of the scene's clock per second of the video's, by position, where they differ.
        mirrored: positions of videos whose mirror image is meant.
        clues: what other evidence says.
        motion: whether people are compared at all.
    """
    rates = rates or {}
    videos = [_at_rate(video, rates.get(v, 1.0)) for v, video in enumerate(videos)]
    rate = common_rate(videos)
    grids = [video_grid(video, rate) for video in videos]
    length = max((grid.length for grid in grids), default=0)
    centred = length < CENTRED_BELOW * rate
    tracks, features = [], []
    for v, (video, grid) in enumerate(zip(videos, grids, strict=True)):
        kept = _long_enough(video, grid, _least_overlap(grids, rate=rate), detrend=not centred) if motion else {}
        tracks.append(list(kept))
        features.append([mirror_image(f) if v in mirrored else f for f in kept.values()])
    together = [
        simultaneous([video.persons[t].times for t in kept]) for video, kept in zip(videos, tracks, strict=True)
    ]
    stride = 1 if centred else max(1, round(rate / SEARCH_RATE))
    moving = [v for v, found in enumerate(features) if found]
    origins = [grids[v].origin for v in moving]
    furthest = int(np.ceil((max_offset + (max(origins) - min(origins) if origins else 0.0)) * rate / stride))
    reach = max(0, min(int(np.ceil(length / stride)) - 1, furthest))
    evidence = Evidence(rate, stride, centred, grids, tracks, features, {}, [], max_offset, reach, {})
    if clues:  # sound may be heard together where nobody is seen
        told = [clue.lag for said in lagged_clues(evidence, clues, videos, rates).values() for clue in said]
        reach = min(furthest, max(reach, int(np.ceil(max(map(abs, told)))) + 1))
        evidence = replace(evidence, reach=reach)
    lagged = lagged_clues(evidence, clues, videos, rates)
    pairs = list(itertools.combinations(moving, 2))
    return replace(
        evidence,
        couples=compare(evidence, features, pairs, together),
        usable=sorted({*moving, *itertools.chain.from_iterable(lagged)}),
        clues=lagged,
    )


def lagged_clues(
    evidence: Evidence, clues: Sequence[Clue], videos: Sequence[VideoTracks], rates: Mapping[int, float]
) -> dict[Pair, list[LaggedClue]]:
    """Clues on the lags of the curves, by pair of videos.

    Args:
        evidence: of the scene.
        clues: with the video first that comes first in the scene.
        videos: of the scene.
        rates: of their clocks, by position, where they are not 1.
    """
    position = {video.video: v for v, video in enumerate(videos)}
    lagged: dict[Pair, list[LaggedClue]] = {}
    for clue in clues:
        i, j = position[clue.a], position[clue.b]
        lagged.setdefault((i, j), []).append(_on_curve(clue, evidence, i, j, rates.get(i, 1.0), rates.get(j, 1.0)))
    return lagged


def _on_curve(clue: Clue, evidence: Evidence, i: int, j: int, rate_i: float, rate_j: float) -> LaggedClue:
    """A clue, which speaks of time stamps, on the lags of the curves."""

    def lag(difference: Floats) -> Floats:
        return (difference - evidence.grids[i].origin + evidence.grids[j].origin) * evidence.curve_rate

    def difference(offset: Floats) -> Floats:
        return rate_i * clue.moment - rate_j * (clue.moment - offset)

    score = np.zeros(2 * evidence.reach + 1, np.float32)
    at = np.round(lag(difference(clue.offsets))).astype(np.int64) + evidence.reach
    inside = (at >= 0) & (at < len(score))
    np.maximum.at(score, at[inside], clue.score[inside])
    meant = difference(np.array(clue.offset))
    return LaggedClue(score, float(lag(meant)), float(meant), clue)


def compare(
    evidence: Evidence,
    others: Sequence[Sequence[Features]],
    pairs: Sequence[Pair],
    together: Sequence[NDArray[np.bool_]] | None = None,
) -> dict[Pair, Couples]:
    """Curves of all couples of some pairs of videos.

    Args:
        evidence: with the features of the first video of every pair; its own curves are not looked at.
        others: of every video the features that stand for the second video of a pair.
        pairs: positions of videos (i, j).
        together: of every video, which tracks are visible at once; all, if not given.
    """
    rate, grids = evidence.curve_rate, evidence.grids
    first = [[f.every(evidence.stride) for f in found] for found in evidence.features]
    second = first if others is evidence.features else [[f.every(evidence.stride) for f in found] for found in others]
    position = np.cumsum([0, *(len(found) for found in first)])
    couples = [
        (int(position[i]) + u, int(position[j]) + v)
        for i, j in pairs
        for u in range(len(first[i]))
        for v in range(len(second[j]))
    ]
    counts = [len(first[i]) * len(second[j]) for i, j in pairs]
    seconds = [grid.length / evidence.rate for grid in grids]
    length = max((int(np.ceil(grid.length / evidence.stride)) for grid in grids), default=0)
    reach = evidence.reach
    least = [min(MIN_OVERLAP, MIN_OVERLAP_SHARE * min(seconds[i], seconds[j])) * rate for i, j in pairs]
    flat = [f for found in first for f in found]
    r, overlap = correlate(
        flat,
        flat if second is first else [f for found in second for f in found],
        couples,
        length=length,
        reach=reach,
        least=np.repeat(least, counts),
        centred=evidence.centred,
    )
    middle = np.repeat([(grids[j].origin - grids[i].origin) * rate for i, j in pairs], counts)
    r[np.abs(np.arange(-reach, reach + 1) - middle[:, None]) > evidence.max_offset * rate] = EXCLUDED
    score = in_units_of_noise(r, overlap, rate=rate)
    found_couples, row = {}, 0
    for (i, j), count in zip(pairs, counts, strict=True):
        shape, part = (len(first[i]), len(second[j]), 2 * reach + 1), slice(row, row + count)
        at_once = [
            np.ones((len(side),) * 2, bool) if together is None else together[v]
            for v, side in ((i, first[i]), (j, second[j]))
        ]
        of_pair = [array[part].reshape(shape) for array in (r, overlap, score)]
        found_couples[i, j] = Couples(of_pair[0], of_pair[1], of_pair[2], (at_once[0], at_once[1]))
        row += count
    return found_couples


def _at_rate(video: VideoTracks, rate: float) -> VideoTracks:
    """The video as a clock of the scene's rate would have recorded it."""
    if rate == 1:
        return video
    return replace(video, persons=tuple(replace(track, times=track.times * rate) for track in video.persons))


def _least_overlap(grids: Sequence[Grid], *, rate: float) -> float:
    """Grid steps below which no pair of videos considers an overlap."""
    return min([MIN_OVERLAP * rate, *(MIN_OVERLAP_SHARE * grid.length for grid in grids if grid.length > 1)])


def _long_enough(video: VideoTracks, grid: Grid, least: float, *, detrend: bool) -> dict[int, Features]:
    """Features of the tracks known for `least` steps, by position; of the longest, if none is; of none without any."""
    kept: dict[int, Features] = {}
    longest: tuple[int, Features] | None = None
    for t, track in enumerate(video.persons):
        features = person_features(track, grid, detrend=detrend)
        if features.known >= max(least, 1.0):
            kept[t] = features
        elif features.known > (longest[1].known if longest else 0.0):
            longest = t, features
    return kept or (dict([longest]) if longest else {})
