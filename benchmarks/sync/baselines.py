"""What synchronisation is measured against: the usual methods, written anew from their descriptions.

All of them end in the unweighted least squares over all pairs and none of them refuses. They look for offsets up to
MAX_OFFSET only, about twice as far as simulated videos start apart, which spares them errors that they would
otherwise make.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import gaussian_filter1d

from stages.sync.body_axes import Axes
from stages.sync.dtw import least_squares_starts, path_offset, seen_people
from stages.sync.evidence import CENTRED_BELOW
from stages.sync.features import SMOOTHING, Grid, common_rate, person_features, resample, video_grid
from stages.sync.pairwise import MIN_OVERLAP, MIN_OVERLAP_SHARE
from stages.sync.tracks import PersonTrack, VideoTracks

Floats = NDArray[np.float64]
Baseline = Callable[[Sequence[VideoTracks]], Floats]

MAX_OFFSET = 20.0  # s
SHORT = 9.0  # s below which MIN_OVERLAP would leave too few lags


def warped(videos: Sequence[VideoTracks], *, axes: Axes) -> Floats:
    """Weighted dynamic time warping of all joints, most frequent offset on the path: see stages/sync/dtw.py."""
    rate = common_rate(videos)
    people = [seen_people(video, rate=rate, axes=axes) for video in videos]
    offsets = {}
    for i, j in itertools.combinations(range(len(videos)), 2):
        if people[i] and people[j]:
            offset = path_offset(people[i][0][1], people[j][0][1], max_offset=MAX_OFFSET)
            if offset is not None:
                offsets[i, j] = offset
    return _starts(len(videos), offsets)


def correlated(videos: Sequence[VideoTracks], *, signals: Callable[[PersonTrack, Grid], Floats]) -> Floats:
    """Normalised cross-correlation of signals at whole steps of the common grid.

    Args:
        videos: with one person each.
        signals: (instants of the grid, signals) of a person, NaN where unknown.
    """
    rate = common_rate(videos)
    grids = [video_grid(video, rate) for video in videos]
    curves = [
        signals(video.persons[0], grid) if video.persons else None for video, grid in zip(videos, grids, strict=True)
    ]
    offsets = {}
    for i, j in itertools.combinations(range(len(videos)), 2):
        a, b = curves[i], curves[j]
        if a is not None and b is not None:
            lag = best_lag(a, b, reach=int(MAX_OFFSET * rate), min_overlap=_overlap_floor(len(a), len(b), rate))
            offsets[i, j] = lag / rate + grids[i].origin - grids[j].origin
    return _starts(len(videos), offsets)


def vertical_speed(track: PersonTrack, grid: Grid) -> Floats:
    """(instants, 1) mean over the joints of their speed along the camera's y: what Pose2Sim and OpenCap compare.

    They know the direction of gravity from calibration or from upright cameras; here cameras are tilted by up to 30
    degrees. Gaps are bridged before smoothing and unknown again afterwards.
    """
    heights = resample(track.times, track.keypoints[..., 1].astype(np.float64), grid)
    joints = np.isfinite(heights).any(0)
    heights = heights[:, joints]
    known = np.isfinite(heights).all(1)
    if known.sum() < 2:
        return np.full((grid.length, 1), np.nan)
    steps = np.arange(len(heights))
    filled = np.stack([np.interp(steps, steps[known], column[known]) for column in heights.T], axis=1)
    speed = np.abs(np.gradient(gaussian_filter1d(filled, SMOOTHING * grid.rate, axis=0), axis=0)).mean(1)
    return np.where(known, speed, np.nan)[:, None]


def our_features(track: PersonTrack, grid: Grid) -> Floats:
    """(instants, features) that ours compares, without its sub-frame peak, its weights and its consensus."""
    features = person_features(track, grid, detrend=grid.length / grid.rate >= CENTRED_BELOW)
    out = np.full((grid.length, features.values.shape[1]), np.nan)
    known = np.broadcast_to(features.mask > 0, features.values.shape)
    out[features.begin : features.begin + len(known)] = np.where(known, features.values, np.nan)
    return out


def best_lag(a: Floats, b: Floats, *, reach: int, min_overlap: float) -> int:
    """The lag L at which a[t + L] and b[t] correlate best: Pearson's r over what both know, signals pooled.

    Args:
        a: (n, signals), NaN where unknown.
        b: (m, signals) likewise.
        reach: largest lag.
        min_overlap: instants, averaged over the signals, below which a lag is not considered.

    Returns:
        0 if no lag can be considered.
    """
    size = next_fast_len(max(len(a), len(b)) + reach + 1, real=True)
    (x, x2, known_x), (y, y2, known_y) = (
        [rfft(s, size, axis=0) for s in (np.where(known, z, 0), np.where(known, z, 0) ** 2, known.astype(np.float64))]
        for z, known in ((a, np.isfinite(a)), (b, np.isfinite(b)))
    )
    lags = np.arange(-reach, reach + 1)

    def each(p: NDArray[np.complex128], q: NDArray[np.complex128]) -> Floats:
        return np.asarray(irfft(p * q.conj(), size, axis=0)[lags])

    count = np.maximum(each(known_x, known_y), 1e-9)
    sum_x, sum_y = each(x, known_y), each(known_x, y)
    product = (each(x, y) - sum_x * sum_y / count).sum(1)
    energy_x = (each(x2, known_y) - sum_x**2 / count).sum(1)
    energy_y = (each(known_x, y2) - sum_y**2 / count).sum(1)
    used = np.isfinite(a).any(0) & np.isfinite(b).any(0)
    overlap = count[:, used].mean(1) if used.any() else np.zeros(len(lags))
    judged = (overlap >= min_overlap) & (energy_x > 1e-9) & (energy_y > 1e-9)
    r = np.full(len(lags), -1.0)
    r[judged] = product[judged] / np.sqrt(energy_x[judged] * energy_y[judged])
    return int(lags[r.argmax()]) if judged.any() else 0


def _overlap_floor(n: int, m: int, rate: float) -> float:
    shorter = min(n, m)
    return MIN_OVERLAP * rate if shorter >= SHORT * rate else MIN_OVERLAP_SHARE * shorter


def _starts(videos: int, offsets: Mapping[tuple[int, int], float]) -> Floats:
    starts = least_squares_starts(videos, offsets)
    return np.asarray(starts - starts.min(initial=np.inf))


BASELINES: Mapping[str, Baseline] = MappingProxyType(
    {
        "DTW camera axes + LSQ": partial(warped, axes="camera"),
        "DTW body axes + LSQ": partial(warped, axes="body"),
        "integer correlation + LSQ": partial(correlated, signals=our_features),
        "vertical speed + LSQ": partial(correlated, signals=vertical_speed),
    }
)
"""From videos that show one person each to (videos,) start times in seconds, the earliest 0."""
