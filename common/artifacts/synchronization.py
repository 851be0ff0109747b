"""`synchronization.json`: when each camera started on one clock, how sure that is, and what it was concluded from.

`scene time = start_time + pts`; the earliest start is 0; `offset(a, b) = start_time[b] - start_time[a]`. Seconds.
A camera whose start the data do not tell has no number but `null`, the verdict "unknown", and the reasons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from common.artifacts.json_files import read_json, write_json
from common.errors import BadInput

SCHEMA = 1
VERDICTS = ("ok", "uncertain", "unknown")

_ROUNDING_S = 1e-6  # start times are written rounded
_PEAK_ROUNDING = 1e-3  # correlations are computed in single precision


@dataclass(frozen=True)
class CameraStart:
    """One camera on the scene's clock.

    Attributes:
        start_time: scene time at which its PTS is 0, seconds; None if unknown.
        interval: half width of the 95 % interval of start_time against the other cameras, seconds; None if it cannot
            be given.
        verdict: "ok", "uncertain" (a number with a warning) or "unknown" (no number).
        confidence: how far the common correlation peak with all others stands out of its own noise, in standard
            deviations; None where there is too little to judge by.
        reasons: why the verdict is not "ok".
        advice: what would help.
    """

    start_time: float | None
    interval: float | None
    verdict: str
    confidence: float | None = None
    reasons: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


@dataclass(frozen=True)
class PairOffset:
    """What two cameras alone say about their offset.

    Attributes:
        first: video id.
        second: video id.
        offset: start_time[second] - start_time[first], seconds; None if they say nothing.
        interval: half width of its 95 % interval, seconds, or None.
        peak: height of the normalised cross-correlation at the offset, at most 1.
        confidence: z of that peak, or None where there are too few other lags to compare with.
        overlap: seconds in which both cameras saw what was compared.
        residual: offset minus the difference of the solved start times, seconds; None if one of them is unknown.
        people: pairs of local ids (in first, in second) that it rests on.
    """

    first: str
    second: str
    offset: float | None
    interval: float | None
    peak: float
    confidence: float | None
    overlap: float
    residual: float | None
    people: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Synchronization:
    """The start times of a scene's cameras."""

    scene: str
    cameras: Mapping[str, CameraStart]
    pairs: tuple[PairOffset, ...]
    method: str


def save(path: Path, synchronization: Synchronization) -> None:
    """Writes synchronization.json."""
    write_json(
        path,
        {
            "schema": SCHEMA,
            "scene": synchronization.scene,
            "clock": "scene time = start_time + pts, seconds; the earliest start is 0",
            "interval": "half width of the 95 % interval of start_time against the mean of the other cameras, seconds",
            "method": synchronization.method,
            "cameras": {video: asdict(camera) for video, camera in synchronization.cameras.items()},
            "pairs": [asdict(pair) for pair in synchronization.pairs],
        },
    )


def load(path: Path) -> Synchronization:
    """Reads and validates synchronization.json. Raises BadInput that names the offending field."""
    document = read_json(path)
    if not isinstance(document, dict):
        raise BadInput(f"{path.name}: expected an object, got {type(document).__name__}.")
    if document.get("schema") != SCHEMA:
        raise BadInput(f"{path.name}: schema: expected {SCHEMA}, got {document.get('schema')!r}.")
    for field, kind in (("scene", str), ("method", str), ("cameras", dict), ("pairs", list)):
        if not isinstance(document.get(field), kind):
            raise BadInput(f"{path.name}: {field}: expected {kind.__name__}, got {document.get(field)!r}.")
    cameras = {video: _camera(f"{path.name}: cameras.{video}", entry) for video, entry in document["cameras"].items()}
    pairs = tuple(_pair(f"{path.name}: pairs.{index}", entry, cameras) for index, entry in enumerate(document["pairs"]))
    starts = [camera.start_time for camera in cameras.values() if camera.start_time is not None]
    if starts and min(starts) > _ROUNDING_S:
        raise BadInput(f"{path.name}: cameras: expected the earliest start_time to be 0, got {min(starts)}.")
    return Synchronization(document["scene"], cameras, pairs, document["method"])


def validate(path: Path) -> None:
    """Raises BadInput unless the file keeps its contract."""
    load(path)


def _camera(where: str, entry: object) -> CameraStart:
    try:
        camera = CameraStart(**entry)  # type: ignore[arg-type]  # whatever JSON holds
    except TypeError as error:
        raise BadInput(f"{where}: {error}.") from error
    if camera.verdict not in VERDICTS:
        raise BadInput(f"{where}.verdict: expected one of {VERDICTS}, got {camera.verdict!r}.")
    _check_number(f"{where}.start_time", camera.start_time, minimum=0.0)
    _check_number(f"{where}.interval", camera.interval, minimum=0.0)
    _check_number(f"{where}.confidence", camera.confidence)
    if (camera.start_time is None) is not (camera.verdict == "unknown"):
        raise BadInput(f"{where}.start_time: {camera.start_time!r} does not go with verdict {camera.verdict!r}.")
    return replace(
        camera,
        reasons=_texts(f"{where}.reasons", camera.reasons),
        advice=_texts(f"{where}.advice", camera.advice),
    )


def _pair(where: str, entry: object, cameras: Mapping[str, CameraStart]) -> PairOffset:
    try:
        pair = PairOffset(**entry)  # type: ignore[arg-type]  # whatever JSON holds
    except TypeError as error:
        raise BadInput(f"{where}: {error}.") from error
    for field in ("first", "second"):
        if getattr(pair, field) not in cameras:
            raise BadInput(f"{where}.{field}: expected one of {', '.join(cameras)}, got {getattr(pair, field)!r}.")
    for field in ("offset", "interval", "confidence", "residual"):
        _check_number(f"{where}.{field}", getattr(pair, field))
    _check_number(f"{where}.overlap", pair.overlap, minimum=0.0, required=True)
    _check_number(f"{where}.peak", pair.peak, minimum=-1 - _PEAK_ROUNDING, maximum=1 + _PEAK_ROUNDING, required=True)
    try:
        people = tuple((int(a), int(b)) for a, b in pair.people)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where}.people: expected pairs of local ids, got {pair.people!r}.") from error
    return replace(pair, people=people)


def _check_number(
    where: str,
    value: object,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    required: bool = False,
) -> None:
    """Raises BadInput unless `value` is a number in the range, or None where that may be."""
    if value is None and not required:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not minimum <= value <= maximum or not math.isfinite(value):  # type: ignore[operator, arg-type]
        lowest = f" from {minimum:g}" if math.isfinite(minimum) else ""
        highest = f" to {maximum:g}" if math.isfinite(maximum) else ""
        raise BadInput(f"{where}: expected a number{lowest}{highest}{'' if required else ' or null'}, got {value!r}.")


def _texts(where: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise BadInput(f"{where}: expected a list of texts, got {value!r}.")
    return tuple(value)
