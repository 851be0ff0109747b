"""`synchronization.csv`: which frame every camera shows at a moment of the scene's clock.

The first column is `scene_time` in seconds; each other one is a camera and holds the index of the frame that it shows
at that moment: the last one whose scene time (start_time + rate * PTS) is at most scene_time, to a microsecond. A cell
is empty while the camera does not record, and all of a camera's are if its start is unknown.

There is one row for every frame of the fastest camera, at its real time. Where that camera does not record and others
do, rows go on at its rate. So no frame of the fastest camera is left out, and none comes twice.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.artifacts.contract import check_increasing
from common.errors import BadInput, from_os_error

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

TIME_COLUMN = "scene_time"
NOT_RECORDING = -1
"""Stands for an empty cell."""

SAME_S = 1e-6  # times are written in microseconds: what is closer together is the same moment
_MAX_RATE = 240.0  # rows per second where the fastest camera does not record; chosen by hand: faster is slow motion
_ALIKE = 0.01  # share by which rates may differ and still be the same; chosen by hand
_STILL_RATE = 30.0  # frames per second that a recording of a single frame is taken to have
_GAP = 1.5  # in steps of the fastest camera: the distance from which on its pause is filled with rows
_CHUNK = 1 << 14  # rows that are held as text at a time


@dataclass(frozen=True, eq=False)
class CameraClock:
    """When a camera shows which frame, on the scene's clock.

    Attributes:
        times: (n,) scene time in seconds at which each frame appears, increasing; n is at least 1.
        step: seconds between its frames as a rule.
    """

    times: Floats
    step: float

    @property
    def end(self) -> float:
        """Scene time at which the last frame disappears, seconds."""
        return float(self.times[-1]) + self.step

    def frame_at(self, scene_time: Floats) -> Indices:
        """Index of the frame that is shown at each of some moments; NOT_RECORDING before the first and after the last.

        Args:
            scene_time: (m,) seconds.
        """
        shown = np.searchsorted(self.times, scene_time + SAME_S, side="right") - 1
        return np.where(scene_time < self.end - SAME_S, shown, NOT_RECORDING)


@dataclass(frozen=True, eq=False)
class ClockTable:
    """The table in memory.

    Attributes:
        scene_time: (rows,) seconds, increasing.
        frames: by camera, (rows,) index of the frame shown; NOT_RECORDING where there is none.
    """

    scene_time: Floats
    frames: Mapping[str, Indices]


def camera_clock(pts: Floats, *, start_time: float, rate: float = 1.0, frame_rate: float) -> CameraClock:
    """A camera's frames on the scene's clock.

    Args:
        pts: (n,) its presentation times in seconds, increasing, not necessarily evenly.
        start_time: scene time of its PTS 0, seconds.
        rate: seconds of the scene's clock per second of the camera's.
        frame_rate: frames per second of its own clock; NaN for a single frame.
    """
    return CameraClock(start_time + rate * pts, rate / (frame_rate if np.isfinite(frame_rate) else _STILL_RATE))


def save(path: Path, clocks: Mapping[str, CameraClock | None]) -> None:
    """Writes synchronization.csv, a few thousand rows at a time; without a row if no camera has a place on the clock.

    Args:
        path: of the file.
        clocks: by video id, a column each; None: the start is unknown.

    Raises:
        DiskError: the disk refuses.
    """
    rows = row_times([clock for clock in clocks.values() if clock is not None])
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([TIME_COLUMN, *clocks])
            for begin in range(0, len(rows), _CHUNK):
                part = rows[begin : begin + _CHUNK]
                columns = [[f"{t:.6f}" for t in part.tolist()]]
                for clock in clocks.values():
                    shown = np.full(len(part), NOT_RECORDING) if clock is None else clock.frame_at(part)
                    columns.append(["" if k == NOT_RECORDING else str(k) for k in shown.tolist()])
                writer.writerows(zip(*columns, strict=True))
    except OSError as error:
        raise from_os_error(error) from error


def row_times(clocks: Sequence[CameraClock]) -> Floats:
    """(rows,) scene times in whole microseconds, as seconds, increasing: frames of the fastest, and steps around them.

    Of cameras that are equally fast, it is the one with most frames.
    """
    if not clocks:
        return np.zeros(0)
    shortest = min(clock.step for clock in clocks)
    fastest = max((c for c in clocks if c.step <= shortest * (1 + _ALIKE)), key=lambda clock: len(clock.times))
    step = max(fastest.step, 1 / _MAX_RATE)
    first, last = min(clock.times[0] for clock in clocks), max(clock.end for clock in clocks)
    own = _without_pauses(fastest.times, step)
    before = np.ceil((own[0] - first - SAME_S) / step)
    after = np.ceil((last - own[-1] - SAME_S) / step) - 1
    leading = np.maximum(own[0] - step * np.arange(before, 0, -1), first)  # the first frame of all has a row
    trailing = own[-1] + step * np.arange(1, after + 1)
    rows: Floats = np.round(np.concatenate([leading, own, trailing]), 6)
    return rows[np.diff(rows, prepend=-np.inf) > 0]


def load(path: Path) -> ClockTable:
    """Reads and validates synchronization.csv.

    Raises:
        BadInput: it breaks its contract; the message names the line.
        OSError: it cannot be read.
    """
    times: list[float] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if header[:1] != [TIME_COLUMN] or len(set(header)) != len(header):
                raise BadInput(f"{path.name}: line 1: expected {TIME_COLUMN} and every camera once, got {header}.")
            columns: list[list[int]] = [[] for _ in header[1:]]
            for row in reader:
                if len(row) != len(header):
                    where = f"{path.name}: line {reader.line_num}"
                    raise BadInput(f"{where}: expected {len(header)} cells, got {len(row)}.")
                times.append(float(row[0]))
                for column, cell in zip(columns, row[1:], strict=True):
                    column.append(int(cell) if cell else NOT_RECORDING)
    except (ValueError, csv.Error) as error:  # UnicodeDecodeError is a ValueError
        raise BadInput(f"{path.name}: line {len(times) + 1}: {error}. Run the sync stage again.") from error
    scene_time = np.array(times)
    check_increasing(f"{path.name}: {TIME_COLUMN}", scene_time)
    try:
        frames = {video: np.array(column, np.int64) for video, column in zip(header[1:], columns, strict=True)}
    except OverflowError as error:
        raise BadInput(f"{path.name}: expected frame indices of at most 64 bits. Run the sync stage again.") from error
    for video, shown in frames.items():
        recorded = shown[shown != NOT_RECORDING]
        if (shown < NOT_RECORDING).any() or (np.diff(recorded) < 0).any():
            raise BadInput(f"{path.name}: {video}: expected frame indices from 0 that never decrease.")
    return ClockTable(scene_time, frames)


def validate(path: Path) -> None:
    """Raises BadInput unless the file keeps its contract."""
    load(path)


def _without_pauses(times: Floats, step: float) -> Floats:
    """The times with others between them, evenly spaced, where they lie further apart than _GAP steps."""
    gaps = np.diff(times)
    parts = np.where(gaps > _GAP * step, np.maximum(np.round(gaps / step), 1), 1).astype(np.int64)
    if not len(gaps) or (parts == 1).all():
        return times
    left, count = np.repeat(times[:-1], parts), np.repeat(parts, parts)
    within = np.arange(len(left)) - np.repeat(np.cumsum(parts) - parts, parts)
    filled = left + np.repeat(gaps, parts) * within / count
    return np.concatenate([filled, times[-1:]])
