"""Checks recordings that claim to be synchronous: that all PTS 0 happened at the same moment, and all clocks agree.

A camera is *aligned* if the whole 95 % interval of its start lies within the tolerance around the start of the cameras
that it is held against, *off* if all of it lies outside, and otherwise nobody *can tell*. What it is held against is
the majority: more than half of the placed cameras, if so many agree. Without a majority, as with two cameras that
contradict each other, each is held against all others: that something is off is then known, but not which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common.artifacts.expectation import ALIGNED, CANNOT_TELL, OFF, CameraCheck, Expectation
from stages.sync.result import Synchronization, Verdict, VideoStart


def expect_aligned(
    answer: Synchronization, *, tolerance: float, spans: Mapping[str, tuple[float, float]]
) -> Expectation:
    """Whether all cameras of a scene started at the same moment, and kept the same time.

    Args:
        answer: what synchronisation says.
        tolerance: difference between two starts that still counts as aligned, seconds.
        spans: first and last PTS of every video, seconds; a clock that runs off counts by how far it gets in between.

    Returns:
        Verdicts for every camera and for the scene; a camera without a sure start is "cannot tell".
    """
    placed = [video for video in answer.videos if video.start_time is not None and video.half_width is not None]
    reference = _majority([v for v in placed if v.verdict is Verdict.OK] or placed, tolerance=tolerance)
    cameras = {
        video.video: _check(video, placed, reference, tolerance=tolerance, span=spans.get(video.video, (0.0, 0.0)))
        for video in answer.videos
    }
    verdict, text = _scene(cameras, bool(reference), tolerance)
    return Expectation("aligned", tolerance, verdict, text, cameras)


def counts(expectation: Expectation) -> dict[str, int]:
    """How many cameras are "aligned", "off", "cannot tell": those that there are, for a line of the log."""
    verdicts = [camera.verdict for camera in expectation.cameras.values()]
    return {verdict: verdicts.count(verdict) for verdict in (ALIGNED, OFF, CANNOT_TELL) if verdict in verdicts}


def _majority(videos: Sequence[VideoStart], *, tolerance: float) -> list[VideoStart]:
    """The most videos that may have started together, if they are more than half; else none.

    A video may have started with another one if the other's start is not surely (its 95 % interval) further away than
    the tolerance. Of groups of the same size it is the one whose starts lie closest together.
    """

    def near(centre: VideoStart) -> list[VideoStart]:
        return [v for v in videos if abs(_start(v) - _start(centre)) - (v.half_width or 0.0) <= tolerance]

    def rank(group: list[VideoStart]) -> tuple[int, float]:
        return len(group), min(map(_start, group)) - max(map(_start, group))

    best = max((near(video) for video in videos), key=rank, default=[])
    return best if 2 * len(best) > len(videos) and len(best) > 1 else []


def _start(video: VideoStart) -> float:
    return video.start_time or 0.0


def _check(
    video: VideoStart,
    placed: Sequence[VideoStart],
    reference: Sequence[VideoStart],
    *,
    tolerance: float,
    span: tuple[float, float],
) -> CameraCheck:
    others = [v for v in reference or placed if v is not video]
    if video.start_time is None or video.half_width is None or not others:
        why = "; ".join(video.reasons) or "nothing that agrees connects it with the others"
        return CameraCheck(CANNOT_TELL, None, None, 0.0, f"cannot tell: {why}")
    off = video.start_time - sum(map(_start, others)) / len(others)
    width = video.half_width
    start = _compare(off, width, tolerance)
    drift = video.rate - 1
    clock, worst = ALIGNED, 0.0
    if drift and video.rate_half_width is not None:
        length = max(abs(span[0]), abs(span[1]))
        worst = drift * length  # by the end of the recording that is further from PTS 0
        clock = _compare(worst, video.rate_half_width * length, tolerance)
    verdict = OFF if OFF in (start, clock) else CANNOT_TELL if CANNOT_TELL in (start, clock) else ALIGNED
    text = f"{_words(start, off, width, tolerance)}{_drift_words(clock, drift, video.rate_half_width, worst)}"
    if verdict != CANNOT_TELL and video.verdict is not Verdict.OK:
        verdict = CANNOT_TELL
        text = f"cannot tell: it seems {text}, but its start is uncertain: {'; '.join(video.reasons)}"
    return CameraCheck(verdict, off, width, round(1e6 * drift, 3), text)


def _compare(value: float, half_width: float, tolerance: float) -> str:
    if abs(value) + half_width <= tolerance:
        return ALIGNED
    return OFF if abs(value) - half_width > tolerance else CANNOT_TELL


def _words(verdict: str, off: float, half_width: float, tolerance: float) -> str:
    numbers = f"{off:+.3f} s ± {half_width:.3f} s"
    if verdict == ALIGNED:
        return f"in time ({numbers})"
    if verdict == OFF:
        return f"off by {numbers}: it starts {'later' if off > 0 else 'earlier'} than the others"
    return f"not known to within ±{tolerance:.3f} s ({numbers})"


def _drift_words(clock: str, drift: float, half_width: float | None, worst: float) -> str:
    if clock == ALIGNED or half_width is None:
        return ""
    seems = "runs" if clock == OFF else "may run"
    pace = "slow" if drift > 0 else "fast"
    by = f"{abs(drift) * 1e6:.0f} ppm ± {half_width * 1e6:.0f} ppm"
    return f"; its clock {seems} {pace} by {by}, {abs(worst):.3f} s in all"


def _scene(cameras: Mapping[str, CameraCheck], majority: bool, tolerance: float) -> tuple[str, str]:
    within = f"within ±{tolerance:.3f} s"
    off = [f"{video} {check.text}" for video, check in cameras.items() if check.verdict == OFF]
    unsure = [video for video, check in cameras.items() if check.verdict == CANNOT_TELL]
    aligned = len(cameras) - len(off) - len(unsure)
    if off:
        which = "" if majority else " No majority agrees, so which of them is off cannot be told."
        return OFF, f"Expected all cameras to be aligned {within}: {'; '.join(off)}.{which}"
    if unsure:
        seem = [video for video in unsure if abs(cameras[video].off or 0.0) > tolerance]
        hint = f" It seems, but is not sure, that these are off: {', '.join(seem)}." if seem else ""
        names = ", ".join(unsure)
        return CANNOT_TELL, f"{aligned} of {len(cameras)} cameras are aligned {within}; cannot tell: {names}.{hint}"
    return ALIGNED, f"All {len(cameras)} cameras are aligned {within}."
