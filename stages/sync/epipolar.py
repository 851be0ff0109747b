"""How well two calibrated cameras see the same joints at every lag: the epipolar constraint as evidence of its own.

At the right lag every joint lies on the same plane through both camera centres (plane_tracks.py). The agreement of two
angles is a bell, 1 where they are equal and 0 where they lie apart, so that a swapped or lost joint costs one vote and
no more. A bell of a difference is a sum of products, one per frequency of its Fourier series; so all lags together
are a few Fourier transforms in time, as in pairwise.py. What both cameras' angles do on average is subtracted: a person
who stands still agrees at every lag, and that says nothing about the lag.

Signs as in pairwise.py: the curve of (a, b) is high at the lag L where instant k of b shows what instant k + L of a
shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, ifft, irfft, next_fast_len, rfft

from common.cameras import Camera
from stages.sync.clues import Clue
from stages.sync.epipolar_offset import TOLERANCE, refine_offset
from stages.sync.features import Grid, video_grid
from stages.sync.pairwise import APART, MIN_OVERLAP, MIN_OVERLAP_SHARE
from stages.sync.plane_tracks import JOINTS, PlaneTrack, plane_tracks
from stages.sync.tracks import VideoTracks

Floats = NDArray[np.float64]

PRIOR_NOISE = 0.15  # sqrt(s): strength of agreement by chance that is assumed before looking
PRIOR_COUNT = 8.0  # independent lags, APART each, that the assumption is worth
DETAIL = 2.5  # standard deviations of the bell's spectrum that are kept: less than 1 % of it is lost
MIN_SCORE = 2.0  # below it chance agrees as well: people who stand still, strangers, wrong calibrations stay under 2.5
NEAR = 0.5  # s around a lag that is known within which the agreement is looked for


@dataclass(frozen=True)
class EpipolarCurve:
    """Agreement of two videos at every lag from -reach to +reach.

    Attributes:
        score: (2 * reach + 1,) how far the agreement exceeds that of unrelated instants, in units of the agreement that
            comes by chance; 0 where it does not, and where too little is shared.
        overlap: (2 * reach + 1,) grid steps at which both have seen a joint, averaged over the joints.
    """

    score: Floats
    overlap: Floats


def epipolar_curve(couples: Sequence[tuple[PlaneTrack, PlaneTrack]], *, rate: float, reach: int) -> EpipolarCurve:
    """The evidence of some persons, each seen by both cameras, at every lag.

    Args:
        couples: tracks of one person each, in both videos.
        rate: grid steps per second.
        reach: largest lag in grid steps.
    """
    agreement, overlap = np.zeros(2 * reach + 1), np.zeros(2 * reach + 1)
    shortest = np.inf
    for a, b in couples:
        more, together = _agreement(a, b, reach=reach)
        agreement, overlap = agreement + more, overlap + together
        shortest = min(shortest, *(float(track.known.any(1).sum()) for track in (a, b)))
    allowed = overlap >= max(min(MIN_OVERLAP * rate, MIN_OVERLAP_SHARE * shortest), 1.0)
    strength = np.where(allowed, agreement / np.sqrt(np.maximum(overlap, 1.0) * rate), 0.0)
    top = int(np.argmax(strength))
    far = allowed & (np.abs(np.arange(len(strength)) - top) > APART * rate)
    independent = float(far.sum()) / (APART * rate)
    square = independent * float(strength[far].var()) if far.any() else 0.0
    noise = np.sqrt((square + PRIOR_COUNT * PRIOR_NOISE**2) / (independent + PRIOR_COUNT))
    return EpipolarCurve(np.maximum(strength, 0) / noise, overlap)


def _agreement(a: PlaneTrack, b: PlaneTrack, *, reach: int) -> tuple[Floats, Floats]:
    """Sum over the instants of the mean agreement of the joints beyond the average, and the overlap, at every lag."""
    length = max(track.begin + len(track.angles) for track in (a, b))
    size = next_fast_len(length + reach + 1)
    at = np.arange(-reach, reach + 1)
    width = TOLERANCE * np.sqrt(2) / float(np.nanmedian(np.concatenate([a.radius.ravel(), b.radius.ravel()])))
    both = np.concatenate([a.angles[a.known], b.angles[b.known]])
    # a jump from pi to -pi is none on a circle: where angles are everywhere, the circle is the period
    period = min(float(np.ptp(both)) + 6 * width, 2 * np.pi)
    frequencies = 2 * np.pi / period * np.arange(1, int(np.ceil(DETAIL * period / (2 * np.pi * width))) + 1)
    weights = 2 * np.sqrt(2 * np.pi) * width / period * np.exp(-0.5 * np.square(frequencies * width))
    total, together = np.zeros(size, np.complex128), np.zeros(size // 2 + 1, np.complex128)
    for joint in range(len(JOINTS)):
        spectra, masks = [], []
        for track in (a, b):
            angle, known = track.angles[:, joint], track.known[:, joint]
            waves = np.exp(1j * frequencies[:, None] * np.where(known, angle, 0.0)) * known
            waves -= waves.sum(1, keepdims=True) / max(known.sum(), 1) * known
            span = slice(track.begin, track.begin + len(angle))
            whole, mask = np.zeros((len(frequencies), size), np.complex64), np.zeros(size)
            whole[:, span], mask[span] = waves, known
            spectra.append(fft(whole, overwrite_x=True))
            masks.append(rfft(mask))
        total += weights @ (spectra[0] * spectra[1].conj())
        together += masks[0] * masks[1].conj()
    overlap = np.maximum(irfft(together, size)[at], 0) / len(JOINTS)
    return ifft(total).real[at] / len(JOINTS), overlap


def calibration_clue(
    a: VideoTracks,
    b: VideoTracks,
    couples: Sequence[tuple[int, int]],
    *,
    rate: float,
    max_offset: float,
    near: float | None = None,
) -> Clue | None:
    """What two calibrated cameras say about the offset of their videos.

    Args:
        a: the first video.
        b: the second.
        couples: (local id in a, local id in b) of tracks that are one person.
        rate: steps per second of the grid on which videos are compared.
        max_offset: largest offset that is considered, seconds.
        near: offset in seconds that is known up to half a second; the offset is looked for there alone. None: wherever
            the agreement is best.

    Returns:
        The clue; None where a camera is not calibrated, where nobody is seen by both, or where the agreement at the
        best offset does not tell it from others.

    Raises:
        KeyError: a couple names somebody whom its video does not have.
    """
    if a.camera is None or b.camera is None:
        return None
    grids = video_grid(a, rate), video_grid(b, rate)
    seen = _couples(a, b, couples, (a.camera, b.camera), grids)
    if not seen:
        return None
    between = grids[0].origin - grids[1].origin  # offset = lag / rate + between
    low, high = (int(np.floor((side * max_offset - between) * rate)) for side in (-1, 1))
    reach = max(abs(low), abs(high))
    reach = min(reach, max(grid.length for grid in grids) - 1)
    lags = np.arange(max(low, -reach), min(high, reach) + 1)
    if not len(lags):
        return None
    curve = epipolar_curve(seen, rate=rate, reach=reach)
    score = curve.score[lags + reach]
    around = score
    if near is not None:
        around = np.where(np.abs(lags / rate + between - near) <= NEAR, score, 0.0)
    best = int(np.argmax(around))
    if around[best] < MIN_SCORE:
        return None
    refined = refine_offset(seen, rate=rate, near=float(lags[best]))
    if refined is None:
        return None
    offsets = lags / rate + between
    return Clue(
        kind="calibration",
        a=a.video,
        b=b.video,
        offset=refined.lag / rate + between,
        deviation=refined.deviation / rate,
        z=float(score[best]),
        moment=grids[0].origin + refined.moment / rate,
        overlap=float(curve.overlap[lags[best] + reach]) / rate,
        offsets=offsets,
        score=score.astype(np.float32),
    )


def _couples(
    a: VideoTracks,
    b: VideoTracks,
    couples: Sequence[tuple[int, int]],
    cameras: tuple[Camera, Camera],
    grids: tuple[Grid, Grid],
) -> list[tuple[PlaneTrack, PlaneTrack]]:
    of_a, of_b = ({track.person: track for track in video.persons} for video in (a, b))
    found = [plane_tracks(of_a[p], of_b[q], cameras, grids) for p, q in couples]
    return [couple for couple in found if couple is not None]
