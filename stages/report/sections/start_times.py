"""When each camera recorded, on the scene's clock, and how sure that is."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from common.artifacts.synchronization import CameraStart, Contribution, PairOffset
from stages.report.axis import Axis, make_axis
from stages.report.gather import Evidence
from stages.report.status import CameraStatus, advice_for, camera_statuses
from stages.report.wording import NONE, duration, number, percent, plus_minus, seconds, signed

TEMPLATE = "start_times.html"
ANCHOR, TITLE = "start-times", "Start times"

_ENLARGE = 0.2  # chosen by hand: starts closer together than this share of the scene are drawn once more, larger
_MAX_PICTURE = 1_000_000  # bytes; the page has 5 MB


@dataclass(frozen=True)
class _Picture:
    """The picture that sync drew, ready for the page."""

    uri: str


def context(evidence: Evidence) -> dict[str, Any]:
    """Timeline, enlarged starts, table of cameras, what stands behind them, table of pairs."""
    statuses = camera_statuses(evidence)
    shared = {advice for advice, cameras in advice_for(statuses) if not cameras}
    placed = {s.video: span for s in statuses if (span := evidence.scene_span(s.video)) is not None}
    low = min((span[0] - _reach(evidence, video) for video, span in placed.items()), default=0.0)
    axis = make_axis(low, max((end for _, end in placed.values()), default=0.0))
    return {
        "rows": [_bar(evidence, s, placed[s.video], axis) for s in statuses if s.video in placed],
        "axis": axis,
        "apart": [_apart(evidence, s) for s in statuses if s.video not in placed],
        "enlarged": _enlarged(evidence, [s for s in statuses if s.video in placed], axis),
        "table": [_table_row(evidence, s, shared=shared) for s in statuses],
        "drifting": any(c.rate != 1 for c in _cameras(evidence)),
        "several_kinds": len({part.kind for c in _cameras(evidence) for part in c.evidence}) > 1,
        "groups": _groups(evidence),
        "first_frames": _first_frames(evidence),
        "picture": _picture(evidence),
        "pairs": [_pair_row(p) for p in evidence.synchronization.pairs] if evidence.synchronization else [],
    }


def _cameras(evidence: Evidence) -> list[CameraStart]:
    return [] if evidence.synchronization is None else list(evidence.synchronization.cameras.values())


def _picture(evidence: Evidence) -> _Picture | None:
    svg = evidence.sync_picture
    if svg is None or len(svg) > _MAX_PICTURE:
        return None
    return _Picture(f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}")


def _groups(evidence: Evidence) -> list[str]:
    """Groups of cameras that are related to each other alone, beside the one that has the start times."""
    components = evidence.synchronization.components[1:] if evidence.synchronization is not None else ()
    return [", ".join(f"{video} {seconds(start)}" for video, start in group.items()) for group in components]


def _first_frames(evidence: Evidence) -> str:
    """Lines to be copied: when each camera shows its frame 0, and how fast its clock is."""
    cameras = {} if evidence.synchronization is None else evidence.synchronization.cameras
    known = {video: camera for video, camera in cameras.items() if camera.first_frame is not None}
    width = max(map(len, known), default=0)
    return "\n".join(
        f"{video:<{width}}  frame 0 is at scene time {camera.first_frame:.6f} s"
        + ("" if camera.rate == 1 else f", and a second of it takes {camera.rate:.9f} s")
        for video, camera in known.items()
    )


def _bar(evidence: Evidence, status: CameraStatus, span: tuple[float, float], axis: Axis) -> dict[str, Any]:
    row = {"video": status.video, "level": status.level, "label": status.label}
    row |= {"x": axis.at(span[0]), "width": axis.width(*span), "text": status.text}
    return row | _whisker(axis, span[0], _reach(evidence, status.video))


def _reach(evidence: Evidence, video: str) -> float:
    """Half width of the interval of a start, seconds; 0 if there is none."""
    camera = evidence.camera(video)
    return camera.interval or 0.0 if camera is not None else 0.0


def _whisker(axis: Axis, at: float, interval: float) -> dict[str, Any]:
    if interval == 0:
        return {"whisker": None}
    return {"whisker": (axis.at(at - interval), axis.at(at + interval))}


def _apart(evidence: Evidence, status: CameraStatus) -> dict[str, Any]:
    span = evidence.videos[status.video].span
    length = duration(span[1] - span[0]) if span is not None else ""
    return {"video": status.video, "level": status.level, "label": status.label, "length": length}


def _enlarged(evidence: Evidence, placed: list[CameraStatus], whole: Axis) -> dict[str, Any] | None:
    """The starts alone, if on the axis of the scene they would fall together."""
    starts = {s.video: start for s in placed if (start := evidence.start(s.video)) is not None}
    if len(starts) < 2:
        return None
    reach = {video: _reach(evidence, video) for video in starts}
    low, high = min(starts[v] - reach[v] for v in starts), max(starts[v] + reach[v] for v in starts)
    if high - low > _ENLARGE * (whole.high - whole.low) or high - low < 1e-6:
        return None
    margin = 0.04 * (high - low)
    axis = make_axis(low - margin, high + margin)
    rows = [
        {"video": s.video, "level": s.level, "x": axis.at(starts[s.video]), "text": seconds(starts[s.video])}
        | _whisker(axis, starts[s.video], reach[s.video])
        for s in placed
        if s.video in starts
    ]
    return {"axis": axis, "rows": rows}


def _table_row(evidence: Evidence, status: CameraStatus, *, shared: set[str]) -> dict[str, Any]:
    """One camera; advice that is for all of them stands above, once."""
    camera, found = evidence.camera(status.video), evidence.videos[status.video]
    span, entry = found.span, found.entry
    picture = f"{entry.width} × {entry.height}, {entry.rate:.4g} fps" if entry and entry.width and entry.rate else ""
    return {
        "video": status.video,
        "level": status.level,
        "label": status.label,
        "start": seconds(evidence.start(status.video)),
        "interval": plus_minus(camera.interval if camera else None),
        "confidence": number(camera.confidence if camera else None, digits=1),
        "clock": _clock(camera),
        "shares": _shares(camera.evidence if camera else ()),
        "mirrored": camera is not None and camera.mirrored,
        "length": duration(span[1] - span[0]) if span else "",
        "picture": picture,
        "reasons": status.reasons,
        "advice": tuple(text for text in status.advice if text and text not in shared),
    }


def _clock(camera: CameraStart | None) -> str:
    """How slow (+) or fast a camera's clock runs, in millionths."""
    if camera is None or camera.start_time is None or (camera.rate == 1 and camera.rate_interval is None):
        return NONE
    within = "" if camera.rate_interval is None else f" ± {1e6 * camera.rate_interval:.0f}"
    return f"{1e6 * (camera.rate - 1) + 0.0:+.0f}{within} ppm".replace("-", "−")


def _shares(parts: tuple[Contribution, ...]) -> str:
    """What each kind of evidence contributed, the most first."""
    ranked = sorted(parts, key=lambda part: -part.weight)
    return ", ".join(f"{part.kind} {percent(part.weight) if part.used else 'not used'}" for part in ranked) or NONE


def _pair_row(pair: PairOffset) -> dict[str, Any]:
    return {
        "first": pair.first,
        "second": pair.second,
        "offset": signed(pair.offset),
        "interval": plus_minus(pair.interval),
        "residual": signed(pair.residual),
        "peak": number(pair.peak),
        "confidence": number(pair.confidence, digits=1),
        "overlap": seconds(pair.overlap, digits=1),
        "people": ", ".join(f"#{a}=#{b}" for a, b in pair.people),
    }
