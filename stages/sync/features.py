"""Numbers per instant that describe a pose and do not change with the camera that sees it.

Joint distances and limb directions in the torso's own axes know neither the camera's rotation nor its position. Two
cameras that see the same person therefore see the same curves, one of them later: see pairwise.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from common.skeletons import HIPS, INDEX
from stages.sync.tracks import PersonTrack, VideoTracks

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Real = TypeVar("Real", np.float32, np.float64)

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

FRAMES = 2048  # that are looked at at once: they fit into a cache

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
_USED = sorted({index for indices in _POINTS.values() for index in indices})
_FIRST = [_USED.index(indices[0]) for indices in _POINTS.values()]
_STARTS, _ENDS = ([_AT[pair[k]] for pair in _DISTANCES] for k in (0, 1))
_NEAR, _FAR = ([_AT[pair[k]] for pair in _LIMBS] for k in (0, 1))


def _mirror() -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The column of the mirrored person's features that each column becomes, and its sign.

    Left and right change names, and the torso's x axis, which runs from right to left, changes its sign against the
    limbs: a limb's x is that of the other side, reversed.
    """
    opposite = {"left": "right", "right": "left"}

    def other(name: str) -> str:
        side, _, rest = name.partition("_")
        return f"{opposite[side]}_{rest}" if rest else name

    pairs = [frozenset(pair) for pair in _DISTANCES]
    of_distances = [pairs.index(frozenset(map(other, pair))) for pair in _DISTANCES]
    limbs = [_LIMBS.index((other(a), other(b))) for a, b in _LIMBS]
    of_limbs = [3 * limb + axis for limb in limbs for axis in range(3)]
    signs = [1.0] * (2 * len(_DISTANCES)) + [-1.0, 1.0, 1.0] * (2 * len(_LIMBS))
    columns: list[int] = []
    for block in (of_distances, of_limbs):
        for _ in ("position", "velocity"):
            columns += [len(columns) + k for k in block]
    return np.array(columns, dtype=np.intp), np.array(signs, dtype=np.float32)


_MIRRORED, _MIRROR_SIGN = _mirror()


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

    def every(self, stride: int) -> Features:
        """The same on a grid of so many times fewer steps."""
        if stride == 1:
            return self
        first = -self.begin % stride
        return Features(self.values[first::stride], self.mask[first::stride], (self.begin + first) // stride)

    @property
    def known(self) -> float:
        """Grid steps at which the feature that is known most often is known; no overlap can be longer."""
        return float(self.mask.sum(0, dtype=np.float64).max(initial=0.0))


def mirror_image(features: Features) -> Features:
    """What the same person would look like in a mirrored (selfie) video, where left and right are named wrongly."""
    values = features.values[:, _MIRRORED] * _MIRROR_SIGN
    mask = features.mask if features.mask.shape[1] == 1 else features.mask[:, _MIRRORED]
    return Features(values, mask, features.begin)


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


def resample(times: Floats, values: NDArray[Real], grid: Grid) -> NDArray[Real]:
    """Values on the grid by linear interpolation over time.

    Args:
        times: (frames,) seconds, increasing.
        values: (frames, ...) with NaN where missing.
        grid: where to.

    Returns:
        (length, ...), the values themselves if they lie on the grid already; NaN outside the times, and between frames
        where one is missing, or where they lie further apart than 1.5 median intervals and than BRIDGED_GAP.
    """
    if len(times) < 2:
        return np.full((grid.length, *values.shape[1:]), np.nan, values.dtype)
    rows = values.T.reshape(-1, len(values))  # along time
    steps = np.diff(times)
    at = grid.times
    left = np.clip(np.searchsorted(times, at + 1e-9, side="right") - 1, 0, len(times) - 2)
    share = (at - times[left]) / steps[left]
    on_left, on_right = np.abs(share) < 1e-6, np.abs(share - 1) < 1e-6
    bridged = (share > 0) & (share < 1) & (steps[left] <= max(1.5 * np.median(steps), BRIDGED_GAP))
    on_frame = on_left | on_right
    first = left + (on_right & ~on_left)
    as_it_is = np.array_equal(first, np.arange(len(values)))
    out = rows if as_it_is and on_frame.all() else rows.take(first, axis=1)
    if not on_frame.all():
        # a grid point on a frame needs no neighbour, and 0 * NaN is NaN
        change = rows.take(np.where(on_frame, first, left + 1), axis=1)
        change -= out
        change *= np.where(on_frame, 0, share).astype(out.dtype)
        out += change
        np.copyto(out, np.nan, where=~(on_frame | bridged))
    return out.reshape(*values.T.shape[:-1], grid.length).T


def body_points(track: PersonTrack) -> Singles:
    """(frames, 16, 3) float32 metres: the points in use, in the order of _POINTS; NaN where not seen well enough.

    Like all arrays here it lies along time in memory (Fortran order), which makes everything else several times faster.
    """
    points = np.empty((3, len(_POINTS), len(track.times)), np.float32)
    for begin in range(0, len(track.times), FRAMES):
        part = slice(begin, begin + FRAMES)
        joints = np.ascontiguousarray(np.take(track.keypoints[part], _USED, axis=1).T, dtype=np.float32)
        np.copyto(joints, np.nan, where=~(np.take(track.confidence[part], _USED, axis=1).T >= MIN_CONFIDENCE))
        points[..., part] = joints[:, _FIRST]
        points[:, _AT["pelvis"], part] = (joints[:, _USED.index(HIPS[0])] + joints[:, _USED.index(HIPS[1])]) / 2
        head = joints[:, [_USED.index(index) for index in _POINTS["head"]]]
        there = np.isfinite(head).all(0)
        count = there.sum(0, dtype=np.float32)
        points[:, _AT["head"], part] = np.where(there, head, 0).sum(1) / np.where(count, count, np.nan)
    return points.T


def distances(points: Singles) -> Singles:
    """(length, 20) metres between pairs of points; NaN where one is missing.

    Args:
        points: (length, 16, 3) metres; quickest in Fortran order, as everything here works along time.
    """
    axes = points.T
    out = np.empty((len(_DISTANCES), len(points)), points.dtype)
    for row, start, end in zip(out, _STARTS, _ENDS, strict=True):  # one by one, since that stays in a cache
        row[:] = _length(axes[:, start] - axes[:, end])
    return out.T


def limb_directions(points: Singles) -> Singles:
    """(length, 24): 8 unit vectors along upper arms, forearms, thighs and shins in the torso's axes; NaN where missing.

    Axes of the torso: x from right to left (shoulders and hips), z = x × up, y = z × x.

    Args:
        points: (length, 16, 3) metres; quickest in Fortran order.
    """
    axes = points.T

    def at(name: str) -> Singles:
        return axes[:, _AT[name]]

    shoulders, hips = at("left_shoulder") + at("right_shoulder"), at("left_hip") + at("right_hip")
    x = _unit(at("left_shoulder") - at("right_shoulder") + at("left_hip") - at("right_hip"))
    z = _unit(_cross(x, shoulders - hips))
    torso = (x, _cross(z, x), z)
    out = np.empty((len(_LIMBS), 3, len(points)), points.dtype)
    for coordinates, near, far in zip(out, _NEAR, _FAR, strict=True):
        limb = _unit(axes[:, far] - axes[:, near])
        for row, axis in zip(coordinates, torso, strict=True):
            row[:] = axis[0] * limb[0] + axis[1] * limb[1] + axis[2] * limb[2]
    return out.reshape(3 * len(_LIMBS), len(points)).T


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
    measures = ((distances(points).T, DISTANCE_ERROR), (limb_directions(points).T, DIRECTION_ERROR))
    columns = 2 * sum(len(measure) for measure, _ in measures)
    values = np.empty((columns, span.length), np.float32)
    masks: list[Singles] = []
    first = 0
    for measure, error in measures:
        known = np.isfinite(measure)
        np.copyto(measure, 0, where=~known)
        alike, which = _distinct(known)
        position, velocity = values[first : first + 2 * len(measure)].reshape(2, *measure.shape)
        first += 2 * len(measure)
        _smooth(measure, alike, which, _gaussian, SMOOTHING * grid.rate, out=position)
        _slope(position, rate=grid.rate, out=velocity)
        if detrend:
            _smooth(measure, alike, which, _running_means, TREND * grid.rate, out=measure)
            position -= measure
        moving = alike.astype(np.float32)  # a speed needs three seen instants in a row
        moving[:, 1:] *= alike[:, :-1]  # positions at the edges of a gap are poor as well
        moving[:, :-1] *= alike[:, 1:]
        mask = moving[which] if len(moving) > 1 else moving
        masks += [
            _centre(block, mask, unit=unit) for block, unit in ((position, error), (velocity, error * ERROR_RATE))
        ]
    sizes = [len(measure) for measure, _ in measures for _block in range(2)]
    if all(len(m) == 1 and (m == masks[0]).all() for m in masks):
        return Features(values.T, masks[0].T, begin)
    mask = np.concatenate([np.broadcast_to(m, (n, span.length)) for m, n in zip(masks, sizes, strict=True)])
    # a person who is seen as a whole or not at all has one mask: pairwise.py then needs far fewer transforms
    return Features(values.T, (mask[:1] if (mask == mask[:1]).all() else mask).T, begin)


def _distinct(known: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """The rows that differ, and which of them every row is: most joints come and go together."""
    rows: dict[bytes, int] = {}
    which = np.array([rows.setdefault(row.tobytes(), len(rows)) for row in np.packbits(known, axis=1)], dtype=np.intp)
    return known[np.unique(which, return_index=True)[1]], which


def _centre(block: Singles, mask: Singles, *, unit: float) -> Singles:
    """In place: differences from the mean over what is known, outliers clipped, in the unit; 0 where unknown.

    Every row counts as much as the square root of their number asks for.

    Args:
        block: (rows, length).
        mask: (rows, length), or (1, length) for all rows.
        unit: of the block.

    Returns:
        The mask of what says something: without the rows that never vary.
    """
    count = np.maximum(mask.sum(1, dtype=np.float64), 1)
    total = block @ mask[0] if len(mask) == 1 else np.einsum("kt,kt->k", block, mask)
    block -= (total / count).astype(np.float32)[:, None]
    block *= mask
    spread = np.sqrt(np.einsum("kt,kt->k", block, block) / count)
    varies = spread > LEAST_SPREAD
    scale = varies / (unit * np.sqrt(len(block)))
    block *= scale.astype(np.float32)[:, None]
    limit = (CLIP * spread * scale).astype(np.float32)[:, None]
    np.clip(block, -limit, limit, out=block)
    return mask if varies.all() else mask * varies.astype(np.float32)[:, None]


def _slope(values: Singles, *, rate: float, out: Singles) -> None:
    """Central differences along time per second, one-sided at the ends; 0 for a single instant."""
    if values.shape[1] < 2:
        out[:] = 0
        return
    np.subtract(values[:, 2:], values[:, :-2], out=out[:, 1:-1])
    out[:, 0], out[:, -1] = 2 * (values[:, 1] - values[:, 0]), 2 * (values[:, -1] - values[:, -2])
    out *= np.float32(rate / 2)


def _smooth(
    values: Singles,
    alike: NDArray[np.bool_],
    which: NDArray[np.intp],
    blur: Callable[[Singles, float, Singles], None],
    sigma: float,
    *,
    out: Singles,
) -> None:
    """Normalised convolution (Knutsson and Westin 1993): smoothing that ignores what is not there.

    Args:
        values: (measures, length), 0 where unknown.
        alike: (distinct masks, length).
        which: (measures,) the mask of each.
        blur: along time, into its last argument.
        sigma: steps.
        out: (measures, length); may be the values themselves.
    """
    seen = alike.astype(np.float32)
    blur(seen, sigma, seen)
    np.divide(1, np.maximum(seen, 1e-3, out=seen), out=seen)
    blur(values, sigma, out)
    out *= seen[which] if len(seen) > 1 else seen


def _gaussian(values: Singles, sigma: float, out: Singles) -> None:
    gaussian_filter1d(values, sigma, axis=1, mode="constant", output=out)


def _running_means(values: Singles, sigma: float, out: Singles) -> None:
    """Nearly a Gaussian, at a cost that does not grow with sigma."""
    width = round(float(np.sqrt(4 * sigma**2 + 1)))
    for k in range(3):
        uniform_filter1d(out if k else values, width, axis=1, mode="constant", output=out)


def _length(vectors: Singles) -> Singles:
    return np.asarray(np.sqrt(vectors[0] ** 2 + vectors[1] ** 2 + vectors[2] ** 2))


def _unit(vectors: Singles) -> Singles:
    """In place."""
    vectors /= _length(vectors) + 1e-9
    return vectors


def _cross(a: Singles, b: Singles) -> Singles:
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
