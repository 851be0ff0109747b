"""All that the tracks of a scene say about lags, before anything is decided: the curves of every couple of tracks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.sync.consensus import Pair
from stages.sync.features import Features, Grid, common_rate, person_features, video_grid
from stages.sync.identity import Couples
from stages.sync.pairwise import MIN_OVERLAP, MIN_OVERLAP_SHARE, correlate, spectrum, transform_length
from stages.sync.tracks import VideoTracks

CENTRED_BELOW = 20.0  # s: shorter recordings keep their trend and are centred over every overlap instead (sync study)
SINGLE_ABOVE = 20_000  # grid steps from which spectra are kept in single precision: 11 min at 30 Hz


@dataclass(frozen=True)
class Evidence:
    """Curves of a scene; videos and tracks by position in the input.

    Attributes:
        rate: grid steps per second.
        centred: whether the correlations are centred.
        grids: of every video.
        features: of every track of every video.
        couples: of every pair of videos (i, j), i < j, that both have features.
        usable: videos that have features.
    """

    rate: float
    centred: bool
    grids: list[Grid]
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
    features = [
        [person_features(track, grid, detrend=not centred) for track in video.persons]
        for video, grid in zip(videos, grids, strict=True)
    ]
    usable = [v for v, tracks in enumerate(features) if any(f.mask.any() for f in tracks)]
    origins = [grids[v].origin for v in usable]
    furthest = max_offset + (max(origins) - min(origins) if origins else 0.0)
    reach = max(0, min(length - 1, int(np.ceil(furthest * rate))))
    size = transform_length(length, reach)
    one_mask = all(f.mask.shape[1] == 1 for tracks in features for f in tracks)
    spectra = {
        v: [spectrum(f, size=size, one_mask=one_mask, single=length > SINGLE_ABOVE) for f in features[v]]
        for v in usable
    }
    couples = {}
    for i, j in itertools.combinations(usable, 2):
        shorter = min(grids[i].length, grids[j].length)
        least = min(MIN_OVERLAP * rate, MIN_OVERLAP_SHARE * shorter)
        middle = (grids[j].origin - grids[i].origin) * rate
        curves = [
            [
                correlate(a, b, reach=reach, min_overlap=least, centred=centred).limited(
                    middle - max_offset * rate, middle + max_offset * rate
                )
                for b in spectra[j]
            ]
            for a in spectra[i]
        ]
        couples[i, j] = Couples.of(curves, rate=rate)
    return Evidence(rate, centred, grids, features, couples, usable)
