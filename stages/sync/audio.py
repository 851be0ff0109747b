"""What two microphones say about the start times of their cameras: sound as evidence.

The offset is sought in the rise and fall of loudness over all offsets and clock rates (`audio_search`), then measured
in the waveforms, window by window, along the lines that were found (`audio_delay`), which also settles between lines
that sound alike: steps look periodic, but no two are the same. A robust line through the windows' delays gives offset
and clock rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.sync.audio_delay import Delays, delays
from stages.sync.audio_search import Line, search
from stages.sync.clues import Clue
from stages.sync.hearing import HOP, Heard
from stages.sync.pairwise import APART

# Systematic errors, standard deviations in seconds. They stay the same: no length of recording helps against them.
PATH = 0.008  # sound takes 2.9 ms per metre; the source is 2.7 m nearer to one camera (rms in a room of 8 m)
LAG = 0.008  # sound against pictures in two cameras: EBU R37 allows each 5 ms early to 15 ms late, evenly that is 5.8
PATH_DRIFT = 0.003  # by which the mean path difference of one half of a recording differs from that of the other

CAMERA_BIAS = float(np.sqrt((PATH**2 + LAG**2) / 2))  # s: each camera's part of both; all its pairs share it
COARSE = 0.011  # deviation of the search alone: what PATH and LAG leave of 16 ms rms in 43 noisy simulated pairs
WINDOWS = 1200  # that are correlated at most
SURE = 5.0  # z of the windows along a line
DOMINANT = 3.0  # times as many windows agree along the line as along any rival, or the rival stands
MIN_RATE_SPAN = 30.0  # s of common sound, to speak of a clock rate
TOGETHER = 10.0  # s whose windows share their error: people stay for a while where they are
MIN_GROUPS = 3  # stretches of TOGETHER, to tell the spread between them
HUBER = 1.345  # residuals beyond so many deviations lose weight: 95 % efficient for normal errors (Huber 1981)

Floats = NDArray[np.float64]


def audio_clue(a: str, sound_a: Heard, b: str, sound_b: Heard, *, rate: float, max_offset: float) -> Clue | None:
    """What the sound of two videos says about their offset.

    Args:
        a: first video.
        sound_a: what it heard, from `hear`.
        b: second video.
        sound_b: what it heard, sampled as often.
        rate: steps per second of the grid of offsets on which videos are compared.
        max_offset: largest offset that is considered, seconds.

    Returns:
        The clue; None if the two cannot have heard anything together.
    """
    matches = search(sound_a, sound_b, max_offset=max_offset)
    if matches is None:
        return None
    measured = [
        delays(sound_a, sound_b, offset=line.offset, slope=line.slope, moment=line.moment, most=WINDOWS)
        for line in matches.lines
    ]
    best = 0
    most = max(range(len(measured)), key=lambda k: measured[k].agreeing)
    if measured[most].z >= SURE:
        best = most
    line, windows = matches.lines[best], measured[best]
    rival = max((found.agreeing for k, found in enumerate(measured) if k != best), default=0)
    z = max(line.z, windows.z) if windows.z >= SURE and windows.agreeing >= DOMINANT * rival else line.z
    answer = _refined(line, windows)
    offsets, score = _on_grid(matches.offsets_along(line), matches.score, rate=rate, max_offset=max_offset)
    score[np.abs(offsets - line.offset) <= APART / 2] *= z / line.z
    return Clue(
        kind="audio",
        a=a,
        b=b,
        offset=answer.offset,
        deviation=float(np.sqrt(answer.deviation**2 + PATH**2 + LAG**2)),
        z=z,
        moment=line.moment,
        overlap=line.overlap,
        offsets=offsets,
        score=score,
        rate=None if answer.slope is None else 1 / (1 - answer.slope),
        rate_deviation=answer.slope_deviation,
    )


@dataclass(frozen=True)
class _Line:
    """Offset at the match's moment, seconds, and its slope, with standard deviations; None: not known."""

    offset: float
    deviation: float
    slope: float | None = None
    slope_deviation: float | None = None


def _refined(line: Line, found: Delays) -> _Line:
    """The line as the waveforms have it; as the search has it where they say nothing."""
    if found.z < SURE:
        return _Line(line.offset, COARSE)
    times = found.times - line.moment
    groups = np.unique(np.floor(times / TOGETHER), return_inverse=True)[1]
    if groups.max() + 1 < MIN_GROUPS or np.ptp(times) < MIN_RATE_SPAN:
        return _Line(float(np.median(found.offsets)), COARSE)
    (offset, slope), covariance = robust_line(times, found.offsets, groups)
    drift = PATH_DRIFT / (float(np.ptp(times)) / 2)
    return _Line(offset, float(np.sqrt(covariance[0, 0])), slope, float(np.sqrt(covariance[1, 1] + drift**2)))


def robust_line(times: Floats, values: Floats, groups: NDArray[np.int64]) -> tuple[tuple[float, float], Floats]:
    """A line through points some of which are wrong, by iterated reweighting with Huber's weights.

    Args:
        times: (n,) seconds, three different ones at least.
        values: (n,) seconds.
        groups: (n,) number of the group, from 0, whose members share their error; three groups at least.

    Returns:
        Value at time 0 and slope, and their (2, 2) covariance from the scatter between groups (Liang and Zeger,
        Biometrika 73(1), 1986; for Huber's estimator as in his book, section 7.6).
    """
    design = np.column_stack([np.ones(len(times)), times])
    solution = np.array([np.median(values), 0.0])
    for _ in range(20):
        residual = values - design @ solution
        scale = max(1.4826 * float(np.median(np.abs(residual))), 1e-4)
        weights = np.minimum(1, HUBER * scale / np.maximum(np.abs(residual), 1e-12))
        normal = design.T @ (weights[:, None] * design)
        solution = np.linalg.solve(normal, design.T @ (weights * values))
    residual = values - design @ solution
    pull = np.zeros((int(groups.max()) + 1, 2))
    np.add.at(pull, groups, design * (weights * residual)[:, None])
    kept = design[weights == 1]  # the others pull as hard wherever the line is
    bread = np.linalg.inv(kept.T @ kept)
    few = len(pull) / (len(pull) - 2)
    return (float(solution[0]), float(solution[1])), few * bread @ (pull.T @ pull) @ bread


def _on_grid(found: Floats, scores: Floats, *, rate: float, max_offset: float) -> tuple[Floats, NDArray[np.float32]]:
    """Scores of offsets HOP apart at multiples of 1 / rate: the highest in a step, or the nearest in a finer grid."""
    reach = int(np.floor(max_offset * rate))
    offsets = np.arange(-reach, reach + 1) / rate
    nearest = np.clip(np.round((offsets - found[0]) / HOP), 0, len(found) - 1).astype(int)
    beyond = np.abs(found[nearest] - offsets) > max(HOP, 1 / rate)
    score = np.where(beyond, 0, scores[nearest])
    step = np.round(found * rate).astype(int) + reach
    inside = (step >= 0) & (step < len(score))
    np.maximum.at(score, step[inside], scores[inside])
    return offsets, score.astype(np.float32)
