"""Numbers per instant that describe a pose and do not change with the camera that sees it.

Joint distances and limb directions in the torso's own axes know neither the camera's rotation nor its position. Two cameras that see the same person therefore see the same curves,
one of them later: see pairwise.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from common.skeletons import HIPS, INDEX
from stages.sync.tracks import PersonTrack, VideoTracks

Floats = NDArray[np.float64]

MIN_RATE, MAX_RATE = 30.0, 60.0  # Hz of the common grid; people hardly move above 10 Hz, so faster cameras gain nothing
BRIDGED_GAP = 0.07  # s: one lost frame at 30 fps is interpolated over (chosen by hand)
SMOOTHING = 0.05  # s, standard deviation: removes frame jitter, keeps fast arm movements (from the sync study)
TREND = 2.0  # s, standard deviation of the slow trend that is removed from positions in recordings that are long enough
CLIP = 3.0  # standard deviations: one wild joint must not outvote the rest
MIN_CONFIDENCE = 0.3  # below it estimators invent joints, as the legs of a person behind a table

# Errors of body estimators, in whose units the measures count; ratios matter, not sizes (chosen on simulated clips and
# on cuts of real video, where 2, 4 and 8 per second are about as good).
DISTANCE_ERROR = 0.025  # m
DIRECTION_ERROR = 0.15  # of a unit vector's coordinate
ERROR_RATE = 4.0  # 1/s: speed of a change of that error

LEAST_SPREAD = 1e-4  # m, m/s or 1: what varies less is a frozen picture, not a movement

# The points in use, as keypoints whose mean they are.
_POINTS: dict[str, tuple[int, ...]] = {
    "head": (INDEX["nose"], INDEX["left_ear"], INDEX["right_ear"]),  # those that are seen: no camera sees all three
    "pelvis": HIPS,
    **{
        f"{side}_{point}": (INDEX[f"{side}_{keypoint}"],)
        for side in ("left", "right")
        for point, keypoint in (
            *((name, name) for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")),
            ("toe", "big_toe"),
        )
    },
}
_AT = {name: k for k, name in enumerate(_POINTS)}
_DISTANCES = (
    ("left_wrist", "right_wrist"), ("left_wrist", "head"), ("right_wrist", "head"), ("left_wrist", "pelvis"),
    ("right_wrist", "pelvis"), ("left_toe", "right_toe"), ("left_knee", "right_knee"), ("left_toe", "pelvis"),
    ("right_toe", "pelvis"), ("left_wrist", "right_toe"), ("right_wrist", "left_toe"), ("left_elbow", "right_elbow"),
    ("left_wrist", "right_shoulder"), ("right_wrist", "left_shoulder"), ("head", "left_toe"), ("head", "right_toe"),
    ("left_wrist", "left_knee"), ("right_wrist", "right_knee"), ("left_elbow", "pelvis"), ("right_elbow", "pelvis"),
)  # fmt: skip
_LIMBS = tuple(
    (f"{side}_{a}", f"{side}_{b}")
    for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
    for side in ("left", "right")
)


@dataclass(frozen=True)
class Grid:
    """Evenly spaced instants of one video's clock.

    Attributes:
        origin: PTS of the first instant, seconds.
        rate: instants per second, the same for all videos of a scene.
        length: number of instants.
    """

    origin: float
    rate: float
    length: int

    @property
    def times(self) -> Floats:
        """(length,) PTS in seconds."""
        return self.origin + np.arange(self.length) / self.rate


@dataclass(frozen=True)
class Features:
    """Features of one person on the part of the video's grid that the track spans.

    Attributes:
        values: (instants, features) float32 in units of their errors, 0 where unknown.
        mask: float32, 1 known and 0 not; (instants, features), or (instants, 1) where all features are known together.
        begin: grid step of the first instant; outside begin..begin + instants the person is unknown.
    """

    values: NDArray[np.float32]
    mask: NDArray[np.float32]
    begin: int = 0

    @property
    def known(self) -> float:
        """Grid steps at which the feature that is known most often is known; no overlap can be longer."""
        return float(self.mask.sum(0, dtype=np.float64).max(initial=0.0))


def common_rate(videos: Sequence[VideoTracks]) -> float:
    """Grid rate in Hz: that of the fastest video, between MIN_RATE and MAX_RATE.

    A video's rate is the median over the frame intervals of all its tracks: a fragment of few frames, whose intervals
    may be anything, does not decide.
    """
    intervals = [np.concatenate([np.diff(t.times) for t in video.persons] or [np.zeros(0)]) for video in videos]
    rates = [1 / np.median(steps) for steps in intervals if len(steps)]
    return float(np.clip(max(rates, default=MIN_RATE), MIN_RATE, MAX_RATE))


def video_grid(video: VideoTracks, rate: float) -> Grid:
    """The grid that spans all tracks of the video; empty where it has none."""
    spans = [(track.times[0], track.times[-1]) for track in video.persons if len(track.times)]
    if not spans:
        return Grid(0.0, rate, 0)
    first, last = min(a for a, _ in spans), max(b for _, b in spans)
    return Grid(float(first), rate, int((last - first) * rate + 1e-6) + 1)


def track_grid(track: PersonTrack, grid: Grid) -> tuple[int, Grid]:
    """First step, and the part of the video's grid that the track spans, with one step to spare on either side."""
    if not len(track.times):
        return 0, Grid(grid.origin, grid.rate, 0)
    first, last = (float(t - grid.origin) * grid.rate for t in track.times[[0, -1]])
    begin, end = max(0, int(np.floor(first)) - 1), min(grid.length, int(np.ceil(last)) + 2)
    return begin, Grid(grid.origin + begin / grid.rate, grid.rate, max(0, end - begin))


def resample(times: Floats, values: Floats, grid: Grid) -> Floats:
    """Values on the grid by linear interpolation over time.

    Args:
        times: (frames,) seconds, increasing.
        values: (frames, ...) with NaN where missing.
        grid: where to.

    Returns:
        (length, ...); NaN outside the times, and between frames where one is missing, or where they lie further apart
        than 1.5 median intervals and than BRIDGED_GAP.
    """
    out = np.full((grid.length, *values.shape[1:]), np.nan)
    if len(times) < 2:
        return out
    steps = np.diff(times)
    at = grid.times
    left = np.clip(np.searchsorted(times, at + 1e-9, side="right") - 1, 0, len(times) - 2)
    share = (at - times[left]) / steps[left]
    on_a_frame = (np.abs(share) < 1e-6) | (np.abs(share - 1) < 1e-6)
    bridged = (share > 0) & (share < 1) & (steps[left] <= max(1.5 * np.median(steps), BRIDGED_GAP))
    known = on_a_frame | bridged
    left, share = left[known], np.clip(share[known], 0, 1).reshape(-1, *[1] * (values.ndim - 1))
    a, b = values[left], values[left + 1]
    # a grid point on a frame needs no neighbour, and 0 * NaN is NaN
    out[known] = np.where(share < 1e-6, a, np.where(share > 1 - 1e-6, b, (1 - share) * a + share * b))
    return out


def body_points(track: PersonTrack) -> Floats:
    """(frames, 16, 3) metres: the points in use, in the order of _POINTS; NaN where not seen well enough."""
    seen = np.nan_to_num(track.confidence) >= MIN_CONFIDENCE
    points = np.full((len(track.times), len(_POINTS), 3), np.nan)
    for k, (name, indices) in enumerate(_POINTS.items()):
        joints = np.where(seen[:, indices, None], track.keypoints[:, indices].astype(np.float64), np.nan)
        if name == "head":
            there = np.isfinite(joints).all(-1, keepdims=True)
            count = there.sum(1)
            points[:, k] = np.where(there, joints, 0).sum(1) / np.where(count, count, np.nan)
        else:
            points[:, k] = joints.mean(1)
    return points


def distances(points: Floats) -> Floats:
    """(length, 20) metres between pairs of points; NaN where one is missing."""
    ends = np.array([[_AT[a], _AT[b]] for a, b in _DISTANCES])
    return np.asarray(np.linalg.norm(points[:, ends[:, 0]] - points[:, ends[:, 1]], axis=-1))


def limb_directions(points: Floats) -> Floats:
    """(length, 24): 8 unit vectors along upper arms, forearms, thighs and shins in the torso's axes; NaN where missing.

    Axes of the torso: x from right to left (shoulders and hips), z = x × up, y = z × x.
    """

    def at(name: str) -> Floats:
        return points[:, _AT[name]]

    shoulders, hips = at("left_shoulder") + at("right_shoulder"), at("left_hip") + at("right_hip")
    x = _unit(at("left_shoulder") - at("right_shoulder") + at("left_hip") - at("right_hip"))
    z = _unit(np.cross(x, shoulders - hips))
    axes = np.stack([x, np.cross(z, x), z], axis=1)
    limbs = _unit(np.stack([at(b) - at(a) for a, b in _LIMBS], axis=1))
    return np.asarray(np.einsum("tij,tbj->tbi", axes, limbs).reshape(len(points), 3 * len(_LIMBS)))


def person_features(track: PersonTrack, grid: Grid, *, detrend: bool) -> Features:
    """Position and velocity of all measures, smoothed, in units of their errors.

    A measure that moves more than its errors therefore counts more. Dividing by its own spread instead makes as much of
    a limb that points at the camera, all noise, as of one seen from the side: on real cuts of 1.2 s the error of the
    starts is then half as large again.

    Args:
        track: the person.
        grid: of the video.
        detrend: remove the trend slower than TREND from positions. Not for recordings of few seconds, where
            the trend is the signal and the correlation is centred instead.

    Returns:
        Features with 88 columns on the span of the track. A column that never varies is unknown throughout: it has
        nothing to say, and dividing by its spread would turn rounding errors into a signal.
    """
    begin, span = track_grid(track, grid)
    points = resample(track.times, body_points(track), span)
    values, masks = [], []
    for measure, error in ((distances(points), DISTANCE_ERROR), (limb_directions(points), DIRECTION_ERROR)):
        mask = np.isfinite(measure).astype(np.float64)
        measure = np.where(mask > 0, measure, 0)
        smooth = _smooth(measure, mask, lambda x: _gaussian(x, SMOOTHING * grid.rate))
        position = smooth
        if detrend:
            position = smooth - _smooth(measure, mask, lambda x: _running_means(x, TREND * grid.rate))
        velocity = np.gradient(smooth, axis=0) * grid.rate if len(smooth) > 1 else np.zeros_like(smooth)
        moving = (
            mask.copy()
        )  # a speed needs three seen instants in a row; positions at the edges of a gap are poor as well
        moving[1:] *= mask[:-1]
        moving[:-1] *= mask[1:]
        for block, unit in ((position, error), (velocity, error * ERROR_RATE)):
            centred, known = _centred(block, moving)
            values.append(centred / (unit * np.sqrt(block.shape[1])))
            masks.append(known)
    value, mask = np.concatenate(values, axis=1), np.concatenate(masks, axis=1)
    if (mask == mask[:, :1]).all():
        mask = mask[:, :1]  # the person is seen as a whole or not at all: pairwise.py then needs far fewer transforms
    return Features(value.astype(np.float32), mask.astype(np.float32), begin)


def _centred(block: Floats, mask: Floats) -> tuple[Floats, Floats]:
    """Differences from the mean, outliers clipped, and where they are known; a column that never varies is not."""
    count = np.maximum(mask.sum(0), 1)
    mean = (block * mask).sum(0) / count
    spread = np.sqrt(((block - mean) ** 2 * mask).sum(0) / count)
    mask = mask * (spread > LEAST_SPREAD)
    return np.clip(block - mean, -CLIP * spread, CLIP * spread) * mask, mask


def _smooth(values: Floats, mask: Floats, blur: Callable[[Floats], Floats]) -> Floats:
    """Normalised convolution (Knutsson and Westin 1993): smoothing that ignores what is not there."""
    return blur(values * mask) / np.maximum(blur(mask), 1e-3)


def _gaussian(values: Floats, sigma: float) -> Floats:
    return np.asarray(gaussian_filter1d(values, sigma, axis=0, mode="constant"))


def _running_means(values: Floats, sigma: float) -> Floats:
    """Nearly a Gaussian, at a cost that does not grow with sigma."""
    width = round(float(np.sqrt(4 * sigma**2 + 1)))
    for _ in range(3):
        values = np.asarray(uniform_filter1d(values, width, axis=0, mode="constant"))
    return values


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9))
