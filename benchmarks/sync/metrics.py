"""How good answers are: errors, refusals, intervals, links and clocks, from records of answers beside the truth.

Times in seconds come in; errors come out in frames of 30 fps. A video is compared with the other answered ones, never
with the first: against video 0, one bad video 0 would spoil all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FPS = 30.0
WRONG = 3.0  # frames: 0.1 s


@dataclass(frozen=True)
class Camera:
    """One video: what was said about it, and what is true. Scene time = start + rate * pts.

    Attributes:
        true_start: seconds.
        true_rate: seconds of the scene's clock per second of the video's.
        length: seconds.
        start: what was answered; None where it was refused.
        half_width: of its 95 % interval, seconds; None: none was given.
        rate: what was answered.
        rate_half_width: None where the recording does not tell.
        refused: whether the verdict is "unknown".
        mirrored: whether it was called a mirror image.
        z: how far its match stands out.
        outlier: what is wrong with it; None for an honest video.
        reasons: of the verdict.
    """

    true_start: float
    true_rate: float
    length: float
    start: float | None
    half_width: float | None = None
    rate: float = 1.0
    rate_half_width: float | None = None
    refused: bool = False
    mirrored: bool = False
    z: float = 0.0
    outlier: str | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Links:
    """Couples of tracks of two videos: how many are said to be one person, how many are, how many are both."""

    said: int
    true: int
    right: int


@dataclass(frozen=True)
class Cost:
    """CPU seconds of one answer, and the largest memory of its process meanwhile (resident, MB)."""

    cpu: float
    memory: float


@dataclass(frozen=True)
class Record:
    """One trial of one cell.

    Attributes:
        cell: its name.
        trial: number of the trial, from 0.
        activities: what the people did, where the cell says.
        cameras: in order.
        links: between persons.
        cost: of the answer.
        baselines: (cameras,) start times in seconds by the methods of others.
        baseline_cost: CPU seconds of each.
    """

    cell: str
    trial: int
    cameras: tuple[Camera, ...]
    links: Links
    cost: Cost
    baselines: Mapping[str, tuple[float, ...]]
    baseline_cost: Mapping[str, float]


def camera_errors(cameras: Sequence[Camera]) -> list[float | None]:
    """Error of every answered video against the median of the other answered ones, frames; None for the others.

    Taken at the first moment, the middle and the end of the video, and the worst of the three, with its sign: a clock
    rate that is wrong, or that was not found, shows. Where nobody else is answered there is nothing to be wrong about.
    """
    answered = [k for k, camera in enumerate(cameras) if camera.start is not None]
    errors: list[float | None] = [None] * len(cameras)
    for k in answered:
        others = [cameras[o] for o in answered if o != k]
        if others:
            moments = np.array([0, 0.5, 1]) * cameras[k].length
            off = _said(cameras[k], moments) - np.median(
                [_said(other, _simultaneous(cameras[k], other, moments)) for other in others], axis=0
            )
            errors[k] = float(off[np.abs(off).argmax()] * FPS)
    return errors


def _said(camera: Camera, pts: Floats) -> Floats:
    """Scene times as answered; NaN if it is not."""
    return (np.nan if camera.start is None else camera.start) + camera.rate * pts


def _simultaneous(camera: Camera, other: Camera, pts: Floats) -> Floats:
    """PTS of the other video at the same moments, in truth."""
    return (camera.true_start + camera.true_rate * pts - other.true_start) / other.true_rate


def start_errors(starts: Sequence[float], true: Sequence[float]) -> Floats:
    """(videos,) frames: error of every start against the median of the others, for answers without refusals."""
    off = (np.asarray(starts) - np.asarray(true)) * FPS
    return np.array([off[k] - np.median(np.delete(off, k)) for k in range(len(off))])


@dataclass(frozen=True)
class Errors:
    """Errors of honest videos.

    Attributes:
        absolute: (answered,) frames.
        asked: number of videos that there are to answer.
    """

    absolute: Floats
    asked: int

    @property
    def answered(self) -> int:
        """How many are answered."""
        return len(self.absolute)

    @property
    def wrong(self) -> int:
        """How many of the answered are off by more than WRONG."""
        return int((self.absolute > WRONG).sum())

    def quantile(self, share: float) -> float:
        """Frames; NaN if nothing is answered."""
        return float(np.quantile(self.absolute, share)) if self.answered else float("nan")

    def within(self, frames: float) -> int:
        """How many of the answered are at most so far off."""
        return int((self.absolute <= frames).sum())


def errors(records: Sequence[Record]) -> Errors:
    """Of all honest videos of these trials, answers of honest videos being compared among themselves."""
    found: list[float] = []
    asked = 0
    for record in records:
        honest = [camera for camera in record.cameras if camera.outlier is None]
        found += [abs(e) for e in camera_errors(honest) if e is not None]
        asked += len(honest)
    return Errors(np.array(found), asked)


def baseline_errors(records: Sequence[Record], name: str) -> Errors:
    """Of a method of others, which never refuses."""
    found = [
        np.abs(start_errors(record.baselines[name], [camera.true_start for camera in record.cameras]))
        for record in records
        if name in record.baselines
    ]
    absolute = np.concatenate(found) if found else np.zeros(0)
    return Errors(absolute, len(absolute))


@dataclass(frozen=True)
class Coverage:
    """Intervals: how many there are, how many hold the truth, and their median half width in frames."""

    given: int
    right: int
    half_width: float


def coverage(records: Sequence[Record]) -> Coverage:
    """Whether start_time minus the mean start_time of the other answered videos lies within its interval."""
    inside, widths = [], []
    for record in records:
        answered = [camera for camera in record.cameras if camera.start is not None]
        off = np.array([camera.start - camera.true_start for camera in answered if camera.start is not None])
        for k, camera in enumerate(answered):
            if camera.half_width is not None and len(answered) > 1:
                inside.append(abs(off[k] - np.delete(off, k).mean()) <= camera.half_width)
                widths.append(camera.half_width * FPS)
    return Coverage(len(inside), sum(inside), float(np.median(widths)) if widths else float("nan"))


def rate_errors(records: Sequence[Record]) -> Floats:
    """(answered,) parts per million: clock rate against the median of the other answered videos'."""
    found = []
    for record in records:
        off = np.array([camera.rate / camera.true_rate for camera in record.cameras if camera.start is not None])
        found += [abs(off[k] / np.median(np.delete(off, k)) - 1) * 1e6 for k in range(len(off)) if len(off) > 1]
    return np.array(found)


def count_links(said: Sequence[Sequence[int]], true: Sequence[Sequence[int]]) -> Links:
    """Counts couples of tracks of two videos by their identities.

    Args:
        said: per video and track, the identity that was answered.
        true: per video and track, the person behind it.
    """
    counts = np.zeros(3, dtype=np.int64)
    for a, b in itertools.combinations(range(len(true)), 2):
        for (s, t), (u, v) in itertools.product(zip(said[a], true[a], strict=True), zip(said[b], true[b], strict=True)):
            counts += [s == u, t == v, s == u and t == v]
    return Links(*map(int, counts))


def all_links(records: Sequence[Record]) -> Links:
    """Of all trials together."""
    return Links(
        sum(record.links.said for record in records),
        sum(record.links.true for record in records),
        sum(record.links.right for record in records),
    )


def count(records: Sequence[Record], condition: Callable[[Camera], bool]) -> tuple[int, int]:
    """How many outlying videos satisfy the condition, and how many there are."""
    bad = [camera for record in records for camera in record.cameras if camera.outlier is not None]
    return sum(map(condition, bad)), len(bad)
