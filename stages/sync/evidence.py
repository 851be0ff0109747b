"""All that the tracks of a scene say about lags, before anything is decided: the curves of every couple of tracks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.sync.consensus import Pair
from stages.sync.features import Features, Grid, common_rate, person_features, video_grid
from stages.sync.identity import Couples, simultaneous
from stages.sync.pairwise import EXCLUDED, MIN_OVERLAP, MIN_OVERLAP_SHARE, correlate, in_units_of_noise
from stages.sync.tracks import VideoTracks

CENTRED_BELOW = 20.0  # s: shorter recordings keep their trend and are centred over every overlap instead (sync study)


@dataclass(frozen=True)
class Evidence:
    """Curves of a scene; videos by position in the input, tracks by position among the video's compared tracks.

    Tracks that are known for less time than the least overlap cannot agree with anybody: they are not compared.

    Attributes:
        rate: grid steps per second.
        centred: whether the correlations are centred.
        grids: of every video.
        tracks: of every video, the positions in the input of the tracks that are compared.
        features: of these.
        couples: of every pair of videos (i, j), i < j, that both have features.
        usable: videos that have features.
    """

    rate: float
    centred: bool
    grids: list[Grid]
    tracks: list[list[int]]
    features: list[list[Features]]
    couples: dict[Pair, Couples]
    usable: list[int]

    def offset(self, i: int, j: int, lag: float) -> float:
        """start_time[j] - start_time[i] in seconds that a lag in steps stands for."""
        return lag / self.rate + self.grids[i].origin - self.grids[j].origin


def gather(videos: Sequence[VideoTracks], *, max_offset: float) -> Evidence:
    """Features of all tracks and curves of all couples.

    Args:
        videos: of one scene.
        max_offset: largest difference between two start times that is considered, seconds.
    """
    rate = common_rate(videos)
    grids = [video_grid(video, rate) for video in videos]
    length = max((grid.length for grid in grids), default=0)
    centred = length < CENTRED_BELOW * rate
    tracks, features = [], []
    for video, grid in zip(videos, grids, strict=True):
        kept = _long_enough(video, grid, _least_overlap(grids, rate=rate), detrend=not centred)
        tracks.append(list(kept))
        features.append(list(kept.values()))
    usable = [v for v, found in enumerate(features) if found]
    origins = [grids[v].origin for v in usable]
    furthest = max_offset + (max(origins) - min(origins) if origins else 0.0)
    reach = max(0, min(length - 1, int(np.ceil(furthest * rate))))
    together = [
        simultaneous([video.persons[t].times for t in kept]) for video, kept in zip(videos, tracks, strict=True)
    ]
    flat = [f for found in features for f in found]
    position = np.cumsum([0, *(len(found) for found in features)])
    pairs = list(itertools.combinations(usable, 2))
    couples = [
        (int(position[i]) + u, int(position[j]) + v)
        for i, j in pairs
        for u in range(len(features[i]))
        for v in range(len(features[j]))
    ]
    counts = [len(features[i]) * len(features[j]) for i, j in pairs]
    shortest = [min(grids[i].length, grids[j].length) for i, j in pairs]
    least = np.repeat(np.minimum(MIN_OVERLAP * rate, MIN_OVERLAP_SHARE * np.array(shortest)), counts)
    r, overlap = correlate(flat, flat, couples, length=length, reach=reach, least=least, centred=centred)
    middle = np.repeat([(grids[j].origin - grids[i].origin) * rate for i, j in pairs], counts)
    lags = np.arange(-reach, reach + 1)
    r[np.abs(lags - middle[:, None]) > max_offset * rate] = EXCLUDED
    score = in_units_of_noise(r, overlap, rate=rate)
    found_couples, first = {}, 0
    for (i, j), count in zip(pairs, counts, strict=True):
        shape, part = (len(features[i]), len(features[j]), len(lags)), slice(first, first + count)
        arrays = (array[part].reshape(shape) for array in (r, overlap, score))
        found_couples[i, j] = Couples(*arrays, (together[i], together[j]))
        first += count
    return Evidence(rate, centred, grids, tracks, features, found_couples, usable)


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
