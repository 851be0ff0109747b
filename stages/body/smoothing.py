"""Less jitter without lag: robust local quadratic regression over the time stamps.

Cleveland, "Robust Locally Weighted Regression and Smoothing Scatterplots", JASA 1979, with a window in seconds: every
sample is replaced by the value, at its own time, of the parabola that fits its neighbours best. Symmetric in
time, so nothing is delayed; on time stamps, so an uneven rate does no harm; and a window shorter than a gap never
reaches across it. A one-Euro filter would lag 20-50 mm behind a walk.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.artifacts.bodies import PersonBody
from common.artifacts.body_projection import project_keypoints
from common.skeletons import HIPS

WINDOW = 0.15
"""Half-width in seconds, chosen by hand: 3 Hz passes at 93 %, 5 Hz at 65 %, 7 Hz at 21 % (from 24 to 240 fps)."""

MAX_WINDOW = 0.35
"""Half-width in seconds beyond which nothing is smoothed, chosen by hand: 1.3 Hz pass at 93 %, a brisk walk's 2 Hz at
65 %, and what is faster would go with the jitter."""

_INTERVALS = 2.5  # half-width in sampling intervals from which five samples lie well within the window
_MIN_NEIGHBOURS = 5  # a count: a parabola through three or four points smooths nothing
_ROBUST_ROUNDS = 2
_AT_ONCE = 4  # keypoints, to bound memory; chosen by hand
_BISQUARE = 6.0  # Cleveland's: residuals beyond six times the typical one do not count


def smooth(
    values: NDArray[np.float64],
    times: NDArray[np.float64],
    *,
    weights: NDArray[np.floating[Any]] | None = None,
    window: float = WINDOW,
) -> NDArray[np.float64]:
    """Trajectories smoothed over time.

    The typical residual against which outliers are judged is the larger of the median over the whole track and
    the mean of its neighbours: a single wrong frame stands out from both, while in a kick all neighbours have
    large residuals and none is cut off.

    Args:
        values: (N, J, d) any unit; NaN where missing.
        times: (N,) seconds, increasing, evenly or not.
        weights: (N, J) in [0, 1], how far each sample is trusted; None is 1.
        window: half-width in seconds; samples this far away or farther do not count.

    Returns:
        (N, J, d). Missing stays missing. A sample with fewer than five neighbours (itself included) is unchanged.
    """
    seen = np.asarray(np.isfinite(values).all(axis=2))
    base = np.where(seen, 1.0 if weights is None else np.maximum(weights, 1e-3), 0.0)
    clean = np.where(seen[..., None], values, 0.0)
    robust = np.ones_like(base)
    result = clean
    for round_ in range(_ROBUST_ROUNDS + 1):
        result, enough = _fit(clean, times, base * robust, window=window)
        result = np.where((enough & seen)[..., None], result, clean)
        if round_ < _ROBUST_ROUNDS:
            robust = _bisquare(np.linalg.norm(clean - result, axis=2), times, base, window=window)
    return np.where(seen[..., None], result, np.nan)


def window_for(times: NDArray[np.float64]) -> float | None:
    """Half-width in seconds that suits a sampling rate; None if the samples lie too far apart to be smoothed.

    Args:
        times: (N,) seconds, increasing.

    Returns:
        WINDOW down to 17 samples per second, then 2.5 of their median intervals, up to MAX_WINDOW (7 per second).
    """
    needed = _INTERVALS * float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    return max(WINDOW, needed) if needed <= MAX_WINDOW else None


def smooth_body(body: PersonBody) -> PersonBody:
    """A person's keypoints smoothed over time, where they are in the camera's axes and in the image.

    The 3D keypoints are smoothed where they stand, so that they still lie on the rays of those seen in the image, and
    projected anew. The origin stays where the backend has it in the body, usually between the hips, and a mesh moves
    with it. Frames without a place keep their 3D keypoints, and parametric arrays and boxes stay what they are.

    Args:
        body: the person.

    Returns:
        The same body if its samples lie too far apart (`window_for`).
    """
    window = window_for(body.times)
    if window is None:
        return body
    joints = _sparse(body.keypoints_camera, body.times, body.confidence, window=window)
    hips = list(HIPS)
    place = joints[:, hips].mean(axis=1) - body.pred_keypoints_3d[:, hips].mean(axis=1)
    place = np.where(np.isfinite(place), place, body.pred_cam_t)
    placed = np.asarray(np.isfinite(place).all(axis=1))
    keypoints = np.where(placed[:, None, None], joints - place[:, None], body.pred_keypoints_3d)
    projected = project_keypoints(keypoints, place, focal=body.focal, principal_point=body.principal_point)
    observed = body.observed_keypoints_2d
    if observed is not None:
        observed = _sparse(observed, body.times, body.confidence, window=window)
    return dataclasses.replace(
        body,
        pred_keypoints_3d=keypoints,
        pred_keypoints_2d=projected,
        pred_cam_t=place,
        observed_keypoints_2d=observed,
    )


def _sparse(
    values: NDArray[np.float32], times: NDArray[np.float64], weights: NDArray[np.float32], *, window: float
) -> NDArray[np.float32]:
    """`smooth` on the keypoints that are ever seen: 22 of 70 for BlazePose."""
    used = np.flatnonzero(np.asarray(np.isfinite(values).all(axis=2)).any(axis=0))
    result = values.copy()
    for first in range(0, len(used), _AT_ONCE):
        some = used[first : first + _AT_ONCE]
        result[:, some] = smooth(values[:, some].astype(np.float64), times, weights=weights[:, some], window=window)
    return result


def _kernel(
    times: NDArray[np.float64], offset: int, window: float
) -> tuple[slice, slice, NDArray[np.float64], NDArray[np.float64]]:
    """Samples and their neighbours `offset` rows later: both as slices, distance in windows, tricube weight."""
    here, there = (
        (slice(0, len(times) - offset), slice(offset, None))
        if offset >= 0
        else (slice(-offset, None), slice(0, offset))
    )
    distance = (times[there] - times[here]) / window
    tricube = np.where(np.abs(distance) < 1, (1 - np.minimum(np.abs(distance), 1) ** 3) ** 3, 0.0)
    return here, there, distance, tricube


def _reach(times: NDArray[np.float64], window: float) -> int:
    """The largest number of rows between a sample and a neighbour within the window."""
    if len(times) < 2:
        return 0
    last = np.searchsorted(times, times + window, side="left") - 1
    return int((last - np.arange(len(times))).max())


def _fit(
    values: NDArray[np.float64], times: NDArray[np.float64], weights: NDArray[np.float64], *, window: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Value at each sample of the weighted parabola around it, and whether it has neighbours enough."""
    moments = np.zeros((5, *weights.shape))  # sum of w u^k
    sums = np.zeros((3, *values.shape))  # sum of w u^k value
    count = np.zeros(weights.shape, np.int64)
    reach = _reach(times, window)
    for offset in range(-reach, reach + 1):
        here, there, distance, tricube = _kernel(times, offset, window)
        weight = tricube[:, None] * weights[there]
        count[here] += (tricube[:, None] > 0) & (weights[there] > 0)
        power = weight
        for k in range(5):
            moments[k, here] += power
            if k < 3:
                sums[k, here] += power[..., None] * values[there]
            power = power * distance[:, None]
    m0, m1, m2, m3, m4 = moments
    # First row of the inverse of the 3x3 moment matrix times the sums: the parabola's value at distance 0.
    c0, c1, c2 = m2 * m4 - m3 * m3, m2 * m3 - m1 * m4, m1 * m3 - m2 * m2
    determinant = m0 * c0 + m1 * c1 + m2 * c2
    enough = (count >= _MIN_NEIGHBOURS) & (determinant > 1e-9 * m0**3)
    with np.errstate(divide="ignore", invalid="ignore"):
        fitted = (c0[..., None] * sums[0] + c1[..., None] * sums[1] + c2[..., None] * sums[2]) / determinant[..., None]
    return fitted, enough


def _bisquare(
    residual: NDArray[np.float64], times: NDArray[np.float64], weights: NDArray[np.float64], *, window: float
) -> NDArray[np.float64]:
    """Tukey's bisquare weight of each residual (N, J)."""
    near, total = np.zeros_like(residual), np.zeros_like(residual)
    reach = _reach(times, window)
    for offset in (*range(-reach, 0), *range(1, reach + 1)):  # not the sample itself: it would vouch for itself
        here, there, _, tricube = _kernel(times, offset, window)
        weight = tricube[:, None] * weights[there]
        near[here] += weight * residual[there]
        total[here] += weight
    local = near / np.maximum(total, 1e-12)
    typical = np.array(
        [np.median(r[w > 0]) if (w > 0).any() else 0.0 for r, w in zip(residual.T, weights.T, strict=True)]
    )
    scale = _BISQUARE * np.maximum(np.maximum(local, typical), 1e-12)
    return np.asarray(np.square(1 - np.square(np.minimum(residual / scale, 1))))
