"""All that the tracks of a scene say about lags, before anything is decided: the curves of every couple of tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.sync.consensus import Pair
from stages.sync.features import Features, Grid, common_rate, person_features, video_grid
from stages.sync.identity import Couples, simultaneous
from stages.sync.pairwise import MIN_OVERLAP, MIN_OVERLAP_SHARE, Spectrum, correlate, spectrum, transform_length
from stages.sync.tracks import VideoTracks

CENTRED_BELOW = 20.0  # s: shorter recordings keep their trend and are centred over every overlap instead (sync study)
SINGLE_ABOVE = 9_000  # grid steps from which spectra are in single precision: 5 min at 30 Hz, 20 MB per person


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
    size = transform_length(length, reach)
    one_mask = all(f.mask.shape[1] == 1 for found in features for f in found)
    together = [
        simultaneous([video.persons[t].times for t in kept]) for video, kept in zip(videos, tracks, strict=True)
    ]

    def transformed(f: Features) -> Spectrum:
        return spectrum(f, size=size, one_mask=one_mask, single=length > SINGLE_ABOVE)

    couples = {}
    for i in usable:
        # spectra of one video at a time, and of one person to compare: those of all take 20 MB per person and 10 min
        mine = [transformed(f) for f in features[i]] if i != usable[-1] else []
        for j in (v for v in usable if v > i):
            least = min(MIN_OVERLAP * rate, MIN_OVERLAP_SHARE * min(grids[i].length, grids[j].length))
            middle = (grids[j].origin - grids[i].origin) * rate
            columns = []
            for f in features[j]:
                other = transformed(f)
                columns.append(
                    [
                        correlate(a, other, reach=reach, min_overlap=least, centred=centred).limited(
                            middle - max_offset * rate, middle + max_offset * rate
                        )
                        for a in mine
                    ]
                )
            curves = [list(row) for row in zip(*columns, strict=True)]
            couples[i, j] = Couples.of(curves, rate=rate, together=(together[i], together[j]))
    return Evidence(rate, centred, grids, tracks, features, couples, usable)


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
