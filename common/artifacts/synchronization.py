"""`synchronization.json`: when each camera started on one clock, how sure that is, and what it was concluded from.

`scene time = start_time + pts`; the earliest start is 0; `offset(a, b) = start_time[b] - start_time[a]`. Seconds.
A camera whose start the data do not tell has no number but `null`, the verdict "unknown", and the reasons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common.artifacts.json_files import read_json, write_json
from common.errors import BadInput

SCHEMA = 1
VERDICTS = ("ok", "uncertain", "unknown")


@dataclass(frozen=True)
class CameraStart:
    """One camera on the scene's clock.

    Attributes:
        start_time: scene time at which its PTS is 0, seconds; None if unknown.
        interval: half width of the 95 % interval of start_time against the other cameras, seconds; None if it cannot be given.
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
            "method": synchronization.method,
            "cameras": {video: asdict(camera) for video, camera in synchronization.cameras.items()},
            "pairs": [asdict(pair) for pair in synchronization.pairs],
        },
    )


def load(path: Path) -> Synchronization:
    """Reads and validates synchronization.json. Raises BadInput that names the offending field."""
    document = read_json(path)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise BadInput(
            f"{path.name}: schema: expected {SCHEMA}, got {document.get('schema') if isinstance(document, dict) else document!r}."
        )
    try:
        cameras = {video: _camera(path.name, video, entry) for video, entry in document["cameras"].items()}
        pairs = tuple(_pair(path.name, entry) for entry in document["pairs"])
        return Synchronization(document["scene"], cameras, pairs, document["method"])
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path.name}: {type(error).__name__}: {error}.") from error


def validate(path: Path) -> None:
    """Raises BadInput unless the file keeps its contract."""
    load(path)


def _camera(file: str, video: str, entry: dict[str, Any]) -> CameraStart:
    camera = CameraStart(**{**entry, "reasons": tuple(entry["reasons"]), "advice": tuple(entry["advice"])})
    where = f"{file}: cameras.{video}"
    if camera.verdict not in VERDICTS:
        raise BadInput(f"{where}.verdict: expected one of {VERDICTS}, got {camera.verdict!r}.")
    if (camera.start_time is None) is not (camera.verdict == "unknown"):
        raise BadInput(f"{where}.start_time: {camera.start_time!r} does not go with verdict {camera.verdict!r}.")
    if camera.start_time is not None and not (math.isfinite(camera.start_time) and camera.start_time >= 0):
        raise BadInput(f"{where}.start_time: expected seconds from 0, got {camera.start_time!r}.")
    return camera


def _pair(file: str, entry: dict[str, Any]) -> PairOffset:
    people = tuple((int(a), int(b)) for a, b in entry["people"])
    pair = PairOffset(**{**entry, "people": people})
    if not -1.001 <= pair.peak <= 1.001:
        raise BadInput(f"{file}: pairs.{pair.first}-{pair.second}.peak: expected -1..1, got {pair.peak!r}.")
    return pair
