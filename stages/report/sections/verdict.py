"""What a reader should know after five seconds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from common.artifacts.expectation import ALIGNED, CANNOT_TELL, OFF
from stages.report.gather import Evidence
from stages.report.looks import group_people
from stages.report.status import (
    FAILED,
    OK,
    UNCERTAIN,
    UNKNOWN,
    CameraStatus,
    advice_for,
    camera_statuses,
    failure_advice,
)
from stages.report.wording import count, duration, listing, plus_minus

TEMPLATE = "verdict.html"
ANCHOR, TITLE = "verdict", "Verdict"

_EXPECTED = {ALIGNED: OK, OFF: FAILED, CANNOT_TELL: UNKNOWN}


def context(evidence: Evidence) -> dict[str, Any]:
    """Sentence, level, facts and cameras."""
    statuses = camera_statuses(evidence)
    scene_failures = evidence.history.failures_of(None)
    level, sentence = _sentence(evidence, statuses)
    return {
        "level": level,
        "sentence": sentence,
        "facts": _facts(evidence),
        "expectation": _expectation(evidence),
        "cameras": [{**asdict(status), "label": status.label} for status in statuses],
        "advice": advice_for(statuses),
        "scene_failures": [
            {"stage": f.stage, "message": f.message, "advice": failure_advice(f)} for f in scene_failures
        ],
        "fake": sorted({m.stage for m in evidence.history.current if m.options.get("backend") == "fake"}),
    }


def _expectation(evidence: Evidence) -> dict[str, Any] | None:
    """The outcome of `--expect`, if it was asked for."""
    found = None if evidence.synchronization is None else evidence.synchronization.expectation
    if found is None:
        return None
    cameras = [
        {"video": video, "level": _EXPECTED[check.verdict], "text": check.text}
        for video, check in found.cameras.items()
        if check.verdict == CANNOT_TELL and abs(check.off or 0.0) > found.tolerance  # the text tells of the others
    ]
    return {"level": _EXPECTED[found.verdict], "label": found.verdict, "text": found.text, "cameras": cameras}


def people_counts(evidence: Evidence) -> tuple[int, int] | None:
    """People that several cameras see, and people that one camera sees or that could not be matched.

    The second number counts a person once per camera if nobody knows that it is one. None before people were sought.
    """
    if all(found.people is None for found in evidence.videos.values()):
        return None
    cameras = [len({video for video, _ in members}) for _, _, members in group_people(evidence)]
    several = sum(count > 1 for count in cameras)
    return several, len(cameras) - several


def scene_seconds(evidence: Evidence) -> float | None:
    """From the first frame of any camera to the last of any; the longest recording if no start is known."""
    placed = [span for video in evidence.videos if (span := evidence.scene_span(video)) is not None]
    if placed:
        return max(end for _, end in placed) - min(begin for begin, _ in placed)
    own = [found.span[1] - found.span[0] for found in evidence.videos.values() if found.span is not None]
    return max(own, default=None)


def _facts(evidence: Evidence) -> list[tuple[str, str]]:
    facts = _people_facts(evidence)
    if evidence.videos:
        facts.append((str(len(evidence.videos)), "camera" if len(evidence.videos) == 1 else "cameras"))
    length = scene_seconds(evidence)
    if length is not None:
        facts.append((duration(length), "of scene"))
    return facts


def _people_facts(evidence: Evidence) -> list[tuple[str, str]]:
    counts = people_counts(evidence)
    if counts is None:
        return []
    several, lone = counts
    if several:
        more = [(str(lone), "more in one camera only")] if lone else []
        return [(str(several), "person" if several == 1 else "people"), *more]
    if evidence.identities is None and len(evidence.videos) > 1:  # the same person counts once per camera
        lone = max(len(found.persons) for found in evidence.videos.values())
        return [(str(lone), ("person" if lone == 1 else "people") + " at least")]
    return [(str(lone), "person" if lone == 1 else "people")]


def _sentence(evidence: Evidence, statuses: tuple[CameraStatus, ...]) -> tuple[str, str]:
    """Level and text. The level is that of the worst camera, except that one bad camera does not spoil the rest."""
    if not statuses:
        failed = evidence.history.failures_of(None)
        if failed:
            return FAILED, f"Nothing was computed: {failed[0].stage} failed."
        return UNKNOWN, "Nothing has been computed yet."
    by_level = {level: [s for s in statuses if s.level == level] for level in (OK, UNCERTAIN, UNKNOWN, FAILED)}
    total, good = len(statuses), by_level[OK]
    if len(by_level[FAILED]) == total:
        return FAILED, "The only camera failed." if total == 1 else f"All {total} cameras failed."
    if total == 1:
        counts = people_counts(evidence)
        found = "people were not looked for" if counts is None else f"{count(sum(counts), 'person', 'people')} found"
        return (OK if counts and any(counts) else UNKNOWN), f"One camera, {found}; nothing to synchronise it with."
    rest = "; ".join(
        f"{listing(s.video for s in group)} {word}"
        for group, word in (
            (by_level[UNCERTAIN], "uncertain"),
            (by_level[UNKNOWN], "unknown"),
            (by_level[FAILED], "failed"),
        )
        if group
    )
    if good:
        within = _worst_interval(evidence, good)
        who = f"All {total} cameras are" if len(good) == total else f"{len(good)} of {total} cameras are"
        text = f"{who} synchronised{f' within {within}' if within else ''}" + (f"; {rest}." if rest else ".")
        return (OK if len(good) == total else UNCERTAIN), text
    if by_level[UNCERTAIN]:
        unsure = by_level[UNCERTAIN]
        who = f"All {total} cameras have" if len(unsure) == total else f"{len(unsure)} of {total} cameras have"
        others = [(by_level[UNKNOWN], "unknown"), (by_level[FAILED], "failed")]
        more = "".join(f"; {listing(s.video for s in group)} {word}" for group, word in others if group)
        within = _worst_interval(evidence, unsure)
        what = f"a start time within {within}, but uncertain" if within else "a start time, but an uncertain one"
        return UNCERTAIN, f"{who} {what}: check before you rely on it{more}."
    if people_counts(evidence) == (0, 0):
        return UNKNOWN, "No person was found in any camera, so start times are unknown."
    if evidence.synchronization is None:
        return UNKNOWN, "Start times have not been computed" + (f"; {rest}." if by_level[FAILED] else ".")
    return UNKNOWN, "The recordings do not tell when the cameras started."


def _worst_interval(evidence: Evidence, statuses: list[CameraStatus]) -> str:
    widths = [camera.interval for s in statuses if (camera := evidence.camera(s.video)) is not None]
    known = [width for width in widths if width is not None and width > 0]
    return plus_minus(max(known)) if known else ""
