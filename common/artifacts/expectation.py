"""What came out of checking recordings that claim to be synchronous; a part of `synchronization.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from common.artifacts.json_checks import build, check_choice, check_number, check_object, check_text

ALIGNED, OFF, CANNOT_TELL = "aligned", "off", "cannot tell"
VERDICTS = (ALIGNED, OFF, CANNOT_TELL)


@dataclass(frozen=True)
class CameraCheck:
    """Whether one camera keeps what is claimed.

    Attributes:
        verdict: "aligned", "off" or "cannot tell".
        off: its start minus the mean start of the cameras that it is held against, seconds; None if unknown.
        interval: half width of the 95 % interval of `off`, seconds, or None.
        drift_ppm: how much its clock runs slow (positive) or fast, in millionths; 0 unless the recording shows it.
        text: the verdict in a sentence, with the numbers and the reason.
    """

    verdict: str
    off: float | None
    interval: float | None
    drift_ppm: float
    text: str


@dataclass(frozen=True)
class Expectation:
    """Whether the cameras of a scene all started at the same moment.

    Attributes:
        expected: "aligned".
        tolerance: difference between starts, seconds, that still counts as aligned.
        verdict: "off" if a camera is off; else "cannot tell" if that is so for one; else "aligned".
        text: the verdict in a sentence.
        cameras: every camera's, by id.
    """

    expected: str
    tolerance: float
    verdict: str
    text: str
    cameras: Mapping[str, CameraCheck]


def parse(where: str, entry: object) -> Expectation:
    """An expectation as JSON holds it, checked. Raises BadInput that names the field."""
    found = build(where, Expectation, entry)
    check_choice(f"{where}.expected", found.expected, (ALIGNED,))
    check_number(f"{where}.tolerance", found.tolerance, minimum=0.0, required=True)
    check_choice(f"{where}.verdict", found.verdict, VERDICTS)
    check_text(f"{where}.text", found.text)
    check_object(f"{where}.cameras", found.cameras)
    return replace(found, cameras={v: _camera(f"{where}.cameras.{v}", e) for v, e in found.cameras.items()})


def _camera(where: str, entry: object) -> CameraCheck:
    camera = build(where, CameraCheck, entry)
    check_choice(f"{where}.verdict", camera.verdict, VERDICTS)
    check_number(f"{where}.off", camera.off)
    check_number(f"{where}.interval", camera.interval, minimum=0.0)
    check_number(f"{where}.drift_ppm", camera.drift_ppm, required=True)
    check_text(f"{where}.text", camera.text)
    return camera
