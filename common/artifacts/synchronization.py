"""`synchronization.json`: when each camera started on one clock, how sure that is, and what it was concluded from.

`scene time = start_time + rate * pts`, seconds; the earliest start is 0. Between cameras,
`offset(a, b) = start_time[b] - start_time[a]`.
A camera whose start the data do not tell has no number but `null`, the verdict "unknown", and the reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from common.artifacts import expectation as expectations
from common.artifacts.expectation import Expectation
from common.artifacts.json_checks import build, check_choice, check_flag, check_number, check_object, entries, texts
from common.artifacts.json_files import read_json, write_json
from common.errors import BadInput

SCHEMA = 2
VERDICTS = ("ok", "uncertain", "unknown")
EVIDENCE = ("motion", "audio", "calibration")
"""What a start can be concluded from."""

_ROUNDING_S = 1e-6  # other writers may round start times
_PEAK_ROUNDING = 1e-3  # correlations are computed in single precision
_RATES = (0.5, 2.0)  # a clock at half or double speed is a wrong file, not a bad clock; chosen by hand

_MEANING = {
    "clock": "scene time = start_time + rate * pts, seconds; the earliest start is 0",
    "offset": "start_time[second] - start_time[first], seconds",
    "interval": "half width of the 95 % interval; of a start_time: against the mean of the other cameras",
    "components": "starts of the cameras that are related to each other; between components nothing is known",
}


@dataclass(frozen=True)
class Contribution:
    """What one kind of evidence says about a camera or a pair, and how much of the answer it is.

    Attributes:
        kind: "motion", "audio" or "calibration".
        weight: its share of the information in the answer, 0 to 1; 0 where it was not used.
        offset: pairs only: the offset that it alone measures, seconds; None if it says nothing.
        interval: half width of the 95 % interval of what it alone says, seconds, or None.
        confidence: how far its match stands out of its noise, in standard deviations; None if it cannot be judged.
        residual: what it says minus the answer, seconds, or None.
        used: whether it went into the answer.
    """

    kind: str
    weight: float
    offset: float | None = None
    interval: float | None = None
    confidence: float | None = None
    residual: float | None = None
    used: bool = True


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
        rate: seconds of the scene's clock per second of the camera's; 1 unless the recording shows otherwise.
        rate_interval: half width of the 95 % interval of rate; None where the recording does not tell.
        first_frame: scene time at which its frame 0 appears, seconds; None if unknown.
        cycle_residual: median closing error of the triangles of pairs with this camera, seconds, or None.
        component: the group of cameras, from 0, in which its start is known; None: in none.
        mirrored: whether it fits the others as its mirror image only.
        evidence: what each kind of evidence contributed.
    """

    start_time: float | None
    interval: float | None
    verdict: str
    confidence: float | None = None
    reasons: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    rate: float = 1.0
    rate_interval: float | None = None
    first_frame: float | None = None
    cycle_residual: float | None = None
    component: int | None = None
    mirrored: bool = False
    evidence: tuple[Contribution, ...] = ()

    def scene_time(self, pts: float) -> float | None:
        """Scene time of a moment of the camera's own clock, seconds; None if its start is unknown."""
        return None if self.start_time is None else self.start_time + self.rate * pts

    def pts(self, scene_time: float) -> float | None:
        """PTS of the camera at a moment of the scene's clock, seconds; None if its start is unknown."""
        return None if self.start_time is None else (scene_time - self.start_time) / self.rate


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
        evidence: what each kind of evidence alone says.
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
    evidence: tuple[Contribution, ...] = ()


@dataclass(frozen=True)
class Synchronization:
    """The start times of a scene's cameras.

    Attributes:
        scene: its name.
        cameras: by video id.
        pairs: all pairs that could be compared.
        method: how it was found, in words.
        evidence: kinds of evidence that were looked at.
        components: groups of cameras, {video: start, the earliest 0}; the first one has the start_times.
        expectation: the outcome of `--expect`; None without it.
        options: of the run that found it.
    """

    scene: str
    cameras: Mapping[str, CameraStart]
    pairs: tuple[PairOffset, ...]
    method: str
    evidence: tuple[str, ...] = ("motion",)
    components: tuple[Mapping[str, float], ...] = ()
    expectation: Expectation | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def save(path: Path, synchronization: Synchronization) -> None:
    """Writes synchronization.json."""
    write_json(
        path,
        {
            "schema": SCHEMA,
            "scene": synchronization.scene,
            "meaning": _MEANING,
            "method": synchronization.method,
            "evidence": list(synchronization.evidence),
            "options": dict(synchronization.options),
            "expectation": None if synchronization.expectation is None else asdict(synchronization.expectation),
            "cameras": {video: asdict(camera) for video, camera in synchronization.cameras.items()},
            "components": [dict(component) for component in synchronization.components],
            "pairs": [asdict(pair) for pair in synchronization.pairs],
        },
    )


def load(path: Path) -> Synchronization:
    """Reads and validates synchronization.json. Raises BadInput that names the offending field."""
    document = read_json(path)
    name = path.name
    if not isinstance(document, dict):
        raise BadInput(f"{name}: expected an object, got {type(document).__name__}.")
    if document.get("schema") != SCHEMA:
        raise BadInput(f"{name}: schema: expected {SCHEMA}, got {document.get('schema')!r}. Run the sync stage again.")
    kinds = {"scene": str, "method": str, "evidence": list, "cameras": dict, "pairs": list, "components": list}
    for key, kind in (kinds | {"options": dict}).items():
        if not isinstance(document.get(key), kind):
            raise BadInput(f"{name}: {key}: expected {kind.__name__}, got {document.get(key)!r}.")
    cameras = {video: _camera(f"{name}: cameras.{video}", entry) for video, entry in document["cameras"].items()}
    pairs = tuple(_pair(where, entry, cameras) for where, entry in entries(f"{name}: pairs", document["pairs"]))
    starts = [camera.start_time for camera in cameras.values() if camera.start_time is not None]
    if starts and min(starts) > _ROUNDING_S:
        raise BadInput(f"{name}: cameras: expected the earliest start_time to be 0, got {min(starts)}.")
    _check_components(f"{name}: components", document["components"], cameras)
    evidence = texts(f"{name}: evidence", document["evidence"])
    for kind_of_evidence in evidence:
        check_choice(f"{name}: evidence", kind_of_evidence, EVIDENCE)
    claimed = document.get("expectation")
    checked = None if claimed is None else expectations.parse(f"{name}: expectation", claimed)
    if checked is not None and checked.cameras.keys() != cameras.keys():
        raise BadInput(f"{name}: expectation.cameras: expected {sorted(cameras)}, got {sorted(checked.cameras)}.")
    return Synchronization(
        scene=document["scene"],
        cameras=cameras,
        pairs=pairs,
        method=document["method"],
        evidence=evidence,
        components=tuple(document["components"]),
        expectation=checked,
        options=document["options"],
    )


def validate(path: Path) -> None:
    """Raises BadInput unless the file keeps its contract."""
    load(path)


def _camera(where: str, entry: object) -> CameraStart:
    camera = build(where, CameraStart, entry)
    check_choice(f"{where}.verdict", camera.verdict, VERDICTS)
    check_number(f"{where}.start_time", camera.start_time, minimum=0.0)
    for name in ("interval", "rate_interval", "cycle_residual"):
        check_number(f"{where}.{name}", getattr(camera, name), minimum=0.0)
    for name in ("confidence", "first_frame"):
        check_number(f"{where}.{name}", getattr(camera, name))
    check_number(f"{where}.rate", camera.rate, minimum=_RATES[0], maximum=_RATES[1], required=True)
    check_flag(f"{where}.mirrored", camera.mirrored)
    if (camera.start_time is None) is not (camera.verdict == "unknown"):
        raise BadInput(f"{where}.start_time: {camera.start_time!r} does not go with verdict {camera.verdict!r}.")
    return replace(
        camera,
        reasons=texts(f"{where}.reasons", camera.reasons),
        advice=texts(f"{where}.advice", camera.advice),
        evidence=_contributions(f"{where}.evidence", camera.evidence),
    )


def _pair(where: str, entry: object, cameras: Mapping[str, CameraStart]) -> PairOffset:
    pair = build(where, PairOffset, entry)
    for name in ("first", "second"):
        if getattr(pair, name) not in cameras:
            raise BadInput(f"{where}.{name}: expected one of {', '.join(cameras)}, got {getattr(pair, name)!r}.")
    for name in ("offset", "confidence", "residual"):
        check_number(f"{where}.{name}", getattr(pair, name))
    check_number(f"{where}.interval", pair.interval, minimum=0.0)
    check_number(f"{where}.overlap", pair.overlap, minimum=0.0, required=True)
    check_number(f"{where}.peak", pair.peak, minimum=-1 - _PEAK_ROUNDING, maximum=1 + _PEAK_ROUNDING, required=True)
    try:
        people = tuple((int(a), int(b)) for a, b in pair.people)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where}.people: expected pairs of local ids, got {pair.people!r}.") from error
    return replace(pair, people=people, evidence=_contributions(f"{where}.evidence", pair.evidence))


def _contributions(where: str, value: object) -> tuple[Contribution, ...]:
    found = []
    for place, entry in entries(where, value):
        part = build(place, Contribution, entry)
        check_choice(f"{place}.kind", part.kind, EVIDENCE)
        check_number(f"{place}.weight", part.weight, minimum=0.0, maximum=1.0 + _ROUNDING_S, required=True)
        for name in ("offset", "confidence", "residual"):
            check_number(f"{place}.{name}", getattr(part, name))
        check_number(f"{place}.interval", part.interval, minimum=0.0)
        check_flag(f"{place}.used", part.used)
        found.append(part)
    return tuple(found)


def _check_components(where: str, components: list[object], cameras: Mapping[str, CameraStart]) -> None:
    """Raises BadInput unless components and cameras tell the same."""
    member: dict[str, int] = {}
    for number, (place, component) in enumerate(entries(where, components)):
        check_object(place, component)
        starts: dict[str, Any] = component  # type: ignore[assignment]  # checked above
        for video, start in starts.items():
            if video not in cameras or video in member:
                raise BadInput(f"{place}: expected cameras of the scene, each once, got {video!r}.")
            check_number(f"{place}.{video}", start, minimum=0.0, required=True)
            member[video] = number
            known = cameras[video].start_time
            if number == 0 and (known is None or abs(known - start) > _ROUNDING_S):
                raise BadInput(f"{place}.{video}: expected its start_time {known!r}, got {start!r}.")
        if min(starts.values(), default=0.0) > _ROUNDING_S:
            raise BadInput(f"{place}: expected the earliest start to be 0, got {min(starts.values())}.")
    for video, camera in cameras.items():
        expected = member.get(video)
        placed_nowhere = camera.start_time is not None and bool(components) and expected != 0
        if camera.component != expected or placed_nowhere:
            raise BadInput(f"{where}: expected {video} in component {camera.component!r}, got {expected!r}.")
