"""Who was seen when, in which camera, and how well."""

from __future__ import annotations

from typing import Any

import numpy as np

from common.drawing import hex_colour
from stages.report.axis import Axis, make_axis
from stages.report.gather import Evidence, VideoEvidence
from stages.report.looks import group_people
from stages.report.tracks import LEVELS, Floats, strip
from stages.report.wording import number, percent

TEMPLATE = "people.html"
ANCHOR, TITLE = "people", "People"

_TELLING_PX = 0.05  # a backend that puts its joints on the rays of its 2D keypoints has none, which says nothing


def context(evidence: Evidence) -> dict[str, Any]:
    """One block per person, one strip per camera in it."""
    axis = scene_axis(evidence)
    together = {video for video in evidence.videos if evidence.scene_span(video) is not None}
    blocks: list[dict[str, Any]] = [
        {
            "name": name,
            "colour": hex_colour(colour),
            "cameras": [_row(evidence, axis, video, person) for video, person in members],
        }
        for name, colour, members in group_people(evidence)
    ]
    return {
        "axis": axis,
        "people": blocks,
        "residuals": any(row["residual"] for block in blocks for row in block["cameras"]),
        "absent": [v for v, found in evidence.videos.items() if found.people is not None and not found.persons],
        "sought": any(found.people is not None for found in evidence.videos.values()),
        "shades": [{"level": level, "opacity": opacity(level)} for level in range(1, LEVELS + 1)],
        "own_clock": [v for v in evidence.videos if v not in together and evidence.videos[v].persons],
        "matched": evidence.identities is not None,
    }


def scene_axis(evidence: Evidence) -> Axis:
    """The scene's clock from the first frame of any camera to the last; cameras that are not on it count from 0."""
    spans = []
    for video, found in evidence.videos.items():
        if found.span is not None:
            spans.append(evidence.scene_span(video) or (0.0, found.span[1] - found.span[0]))
    return make_axis(min((b for b, _ in spans), default=0.0), max((e for _, e in spans), default=0.0))


def opacity(level: int) -> str:
    """Of a shade of a strip."""
    return f"{0.25 + 0.75 * (level - 1) / (LEVELS - 1):.2f}"


def _row(evidence: Evidence, axis: Axis, video: str, person: int) -> dict[str, Any]:
    found = evidence.videos[video]
    frames = _frames_with(found, person)
    track = found.tracks.get(person)
    confidence = np.full(len(frames), np.nan)
    if track is not None:
        place = np.searchsorted(track.frames, frames).clip(0, len(track.frames) - 1)
        same = track.frames[place] == frames
        confidence[same] = track.confidence[place[same]]
    total = _frame_count(found)
    known = confidence[np.isfinite(confidence)]
    return {
        "video": video,
        "local": person,
        "runs": _runs(evidence, axis, found, frames, confidence),
        "recorded": _recorded(evidence, axis, found),
        "frames": f"{len(frames)} of {total}" if total else str(len(frames)),
        "share": percent(len(frames) / total) if total else "",
        "bodies": len(track.frames) if track is not None else 0,
        "confidence": number(float(np.median(known))) if known.size else "",
        "residual": f"{track.residual_px:.1f} px" if track is not None and track.residual_px >= _TELLING_PX else "",
    }


def _frames_with(found: VideoEvidence, person: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    if found.people is not None:
        return np.unique(found.people.frame[found.people.person == person])
    return found.tracks[person].frames


def _frame_count(found: VideoEvidence) -> int:
    if found.frames is not None:
        return len(found.frames.table)
    return len(found.people.frames) if found.people is not None else 0


def _drawn_at(evidence: Evidence, found: VideoEvidence, pts: Floats) -> Floats:
    """Where frames are drawn: at their scene time, or so that the first frame of the video is at 0."""
    camera = evidence.camera(found.video)
    if camera is not None and camera.start_time is not None:
        return camera.start_time + camera.rate * pts
    return pts - (found.span[0] if found.span is not None else 0.0)


def _runs(
    evidence: Evidence,
    axis: Axis,
    found: VideoEvidence,
    frames: np.ndarray[Any, np.dtype[np.int64]],
    confidence: np.ndarray[Any, np.dtype[np.float64]],
) -> list[dict[str, str]]:
    if found.frames is None:
        return []
    inside = frames < len(found.frames.table)
    begin = _drawn_at(evidence, found, found.frames.table.seconds[frames[inside]])
    runs = strip(begin, begin + found.frame_s, confidence[inside], low=axis.low, high=axis.high)
    length = axis.high - axis.low
    return [
        {
            "x": axis.at(axis.low + run.begin * length),
            "width": axis.width(axis.low + run.begin * length, axis.low + run.end * length),
            "opacity": opacity(run.level),
        }
        for run in runs
    ]


def _recorded(evidence: Evidence, axis: Axis, found: VideoEvidence) -> dict[str, str] | None:
    if found.span is None:
        return None
    begin, end = _drawn_at(evidence, found, np.array(found.span)).tolist()
    return {"x": axis.at(begin), "width": axis.width(begin, end)}
