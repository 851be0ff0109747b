"""How each camera stands: synchronised, uncertain, unknown or failed, and what would help."""

from __future__ import annotations

from dataclasses import dataclass

from common.artifacts.synchronization import CameraStart
from common.errors import ExitCode
from common.manifest import Failure
from stages.report.gather import Evidence
from stages.report.wording import plus_minus, seconds

OK, UNCERTAIN, UNKNOWN, FAILED = "ok", "uncertain", "unknown", "failed"

LABELS = {OK: "synchronised", UNCERTAIN: "uncertain", UNKNOWN: "unknown", FAILED: "failed"}

_ADVICE = {
    ExitCode.BAD_INPUT: "Repair it or leave it out, then run the same command again: what is done is kept.",
    ExitCode.INPUT_MISSING: "Put it back, then run the same command again: what is done is kept.",
    ExitCode.MODEL_UNAVAILABLE: "Fetch the models with `ghost weights fetch`, or choose another --backend.",
    ExitCode.BUG: "This is a bug in ghost: please report it with the log in _logs/.",
    ExitCode.DISK: "Free some space or choose another output folder; then run the same command again.",
    ExitCode.TEMPORARY: "Run the same command again.",
    ExitCode.TERMINATED: "Run the same command again.",
    ExitCode.CONFIGURATION: "Check workspace, credentials and endpoint.",
    ExitCode.USAGE: "Correct the name or the option.",
}


@dataclass(frozen=True)
class CameraStatus:
    """One camera's line of the verdict.

    Attributes:
        video: its id.
        level: "ok", "uncertain", "unknown" or "failed".
        text: what is known, in a phrase.
        reasons: why it is not better.
        advice: what would help.
    """

    video: str
    level: str
    text: str
    reasons: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The level in a word."""
        return LABELS[self.level]


def camera_statuses(evidence: Evidence) -> tuple[CameraStatus, ...]:
    """All cameras, by id."""
    return tuple(_status(evidence, video) for video in evidence.videos)


def advice_for(statuses: tuple[CameraStatus, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Every piece of advice once, with the cameras that it is for; none means all of them."""
    cameras: dict[str, list[str]] = {}
    for status in statuses:
        for advice in filter(None, status.advice):
            cameras.setdefault(advice, []).append(status.video)
    everybody = [status.video for status in statuses]
    return tuple((advice, () if videos == everybody else tuple(videos)) for advice, videos in cameras.items())


def failure_advice(failure: Failure) -> str:
    """What to do about a failure, by its exit code; "" for a code that ghost does not know."""
    known = failure.exit_code in list(ExitCode)
    return _ADVICE.get(ExitCode(failure.exit_code), "") if known else ""


def _status(evidence: Evidence, video: str) -> CameraStatus:
    entry = evidence.videos[video].entry
    failures = [f for f in evidence.history.failures_of(video) if f.stage != "preview"]  # a picture is no result
    if failures:
        first = failures[0]
        return CameraStatus(video, FAILED, f"{first.stage} failed", (first.message,), (failure_advice(first),))
    if entry is not None and entry.problem is not None:
        return CameraStatus(video, FAILED, "cannot be read", (entry.problem,))
    camera = evidence.camera(video)
    if camera is not None:
        return _from_verdict(video, camera)
    if len(evidence.videos) == 1:
        return CameraStatus(video, UNKNOWN, "the only camera: nothing to compare it with")
    scene = [f for f in evidence.history.failures_of(None) if f.stage == "sync"]
    if scene:
        return CameraStatus(
            video, UNKNOWN, "start time unknown", (f"sync failed: {scene[0].message}",), (failure_advice(scene[0]),)
        )
    return CameraStatus(video, UNKNOWN, "start time unknown", ("the sync stage has no current result",))


def _from_verdict(video: str, camera: CameraStart) -> CameraStatus:
    if camera.verdict == UNKNOWN or camera.start_time is None:
        return CameraStatus(video, UNKNOWN, "start time unknown", camera.reasons, camera.advice)
    within = plus_minus(camera.interval) if camera.interval is not None else "no interval"
    text = f"starts at {seconds(camera.start_time)} {within}"
    return CameraStatus(video, camera.verdict, text, camera.reasons, camera.advice)
