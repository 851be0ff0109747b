"""How fast people's joints move, camera below camera on the scene's clock: where start times are right, it lines up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.svg import element, group, polyline, shortened
from common.ticks import round_ticks
from stages.sync.joint_speed import RATE, SpeedCurve, joint_speed, mean_in_bins
from stages.sync.picture_style import (
    BLUE,
    GREEN,
    GRID,
    INK,
    NORMAL,
    PURPLE,
    RED,
    SMALL,
    SOFT,
    camera_mark,
    line,
    plus_minus,
    words,
)
from stages.sync.result import Synchronization, VideoStart
from stages.sync.tracks import VideoTracks

Floats = NDArray[np.float64]

WINDOW = 20.0
"""Seconds that are drawn at most: more of it, and a misalignment of a few frames is not seen."""

_PERSON_COLOURS = (BLUE, RED, GREEN, PURPLE)
_DENSE = 0.9  # bins per instant of a curve: with more of them some would be empty
_MOST_OF_THEM = 0.6  # share of the curves that must be known at a marked moment
_GUIDES = 4  # moments marked across all rows
_NAMES, _TEXTS = 104.0, 122.0  # widths of the columns beside the curves
_AXIS = 40.0  # height of what is below the rows


@dataclass(frozen=True, eq=False)
class Rows:
    """What is drawn.

    Attributes:
        low: scene time of the left edge, seconds.
        high: of the right edge.
        whole: length of all recordings together, seconds.
        curves: by video, then by identity (0: everybody), (bins,) m/s, NaN where unknown.
        identities: those that have a colour of their own.
    """

    low: float
    high: float
    whole: float
    curves: Mapping[str, Mapping[int, Floats]]
    identities: tuple[int, ...]


def speed_rows(answer: Synchronization, videos: Sequence[VideoTracks], *, bins: int) -> Rows:
    """The liveliest WINDOW seconds that most cameras saw, as one curve per person who is seen by several cameras.

    Args:
        answer: what synchronisation says.
        videos: the tracks that it was found from.
        bins: points per curve at most.
    """
    identity = {(track.video, track.person): track.identity for track in answer.identities}
    cameras = Counter(i for _, i in {(video, i) for (video, _), i in identity.items()})
    shared = tuple(i for i, count in cameras.most_common(len(_PERSON_COLOURS)) if count > 1)
    found: dict[str, dict[int, list[SpeedCurve]]] = {}
    for start, video in zip(answer.videos, videos, strict=True):
        if start.start_time is None:
            continue
        own: dict[int, list[SpeedCurve]] = {}
        for track in video.persons:
            curve = joint_speed(track)
            person = identity.get((video.video, track.person), 0)
            at = SpeedCurve(start.start_time + start.rate * curve.times, curve.speed)
            own.setdefault(person if person in shared else 0, []).append(at)
        # people whom no other camera shows would say nothing about how the cameras line up
        found[video.video] = {i: c for i, c in own.items() if i in shared} or own
    low, high, whole = _window([curve for own in found.values() for group in own.values() for curve in group])
    edges = np.linspace(low, high, min(bins, max(3, int(_DENSE * RATE * (high - low)))) + 1)
    drawn = {video: {i: mean_in_bins(c, edges) for i, c in own.items()} for video, own in found.items()}
    return Rows(low, high, whole, drawn, tuple(sorted(shared)))


def draw_speeds(answer: Synchronization, rows: Rows, *, x: float, y: float, width: float, height: float) -> str:
    """The rows within a rectangle; pixels."""
    left, right = x + _NAMES, x + width - _TEXTS
    row_height = (height - _AXIS) / max(1, len(answer.videos))
    bottom = y + row_height * len(answer.videos)
    known = [curve[np.isfinite(curve)] for own in rows.curves.values() for curve in own.values()]
    highest = max((float(np.percentile(curve, 99.5)) for curve in known if len(curve)), default=1.0) or 1.0

    def across(seconds: float) -> float:
        return left + (seconds - rows.low) / (rows.high - rows.low) * (right - left)

    parts = []
    ticks = round_ticks(rows.low, rows.high, at_most=8)
    for k, (value, text) in enumerate(ticks):
        parts.append(line(across(value), y, across(value), bottom + 4, GRID))
        unit = " s" if k == len(ticks) - 1 else ""
        parts.append(words(text + unit, across(value), bottom + 17, size=SMALL, colour=SOFT, anchor="middle"))
    parts += [line(across(t), y, across(t), bottom, SOFT, width=0.8, dash="2 4") for t in guides(rows)]
    for k, video in enumerate(answer.videos):
        parts.append(_row(video, rows, (left, right), y + k * row_height, row_height, highest))
    people = ", a colour per person" if len(rows.identities) > 1 else ""
    length = rows.high - rows.low
    part = f" ({length:.0f} of {rows.whole:.0f} s)" if rows.whole > length + 0.5 else ""
    caption = f"Scene time{part}. Top speed {highest:.1f} m/s{people}. Dotted: movements that many cameras see"
    parts.append(words(caption, x, bottom + 36, size=SMALL, colour=SOFT))
    return group(parts)


def guides(rows: Rows) -> list[float]:
    """A few moments, seconds, at which the cameras together see the most lively movement."""
    curves = [curve for own in rows.curves.values() for curve in own.values() if np.isfinite(curve).any()]
    if len(curves) < 2:
        return []
    known = np.array([np.isfinite(curve) for curve in curves])
    total = np.where(known, curves, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    total = np.where(known.sum(axis=0) >= max(2.0, _MOST_OF_THEM * len(curves)), total, 0.0)
    bins = len(total)
    apart = max(1, bins // 12)
    found: list[int] = []
    inner = np.arange(1, bins - 1)
    tops = inner[(total[1:-1] >= total[:-2]) & (total[1:-1] > total[2:])]
    for k in tops[np.argsort(-total[tops], kind="stable")].tolist():
        if len(found) < _GUIDES and total[k] > 0 and all(abs(k - other) >= apart for other in found):
            found.append(k)
    return [rows.low + (k + 0.5) / bins * (rows.high - rows.low) for k in sorted(found)]


def _row(
    video: VideoStart, rows: Rows, left_right: tuple[float, float], top: float, height: float, highest: float
) -> str:
    left, right = left_right
    base, middle = top + height - 3, top + height / 2 + 4
    parts = [
        line(left, base, right, base, "#c4c9ce"),
        camera_mark(left - _NAMES + 7, middle - 4, video.verdict, radius=5.5),
        words(shortened(video.video, width=_NAMES - 24, size=NORMAL), left - _NAMES + 18, middle),
    ]
    if video.start_time is None:
        why = "its place is known among a few cameras alone" if video.component else "start unknown"
        reason = f": {video.reasons[0]}" if video.reasons and not video.component else ""
        said = shortened(why + reason, width=right + _TEXTS - left - 8, size=SMALL)
        parts.append(element("rect", x=left, y=middle - 13, width=right - left, height=18, fill="#ffffff"))
        parts.append(words(said, left + 8, middle, size=SMALL, colour=SOFT))
        return group(parts)
    scale = (height - 8) / highest
    curves = rows.curves.get(video.video, {})
    for person, curve in curves.items():
        colour = _PERSON_COLOURS[rows.identities.index(person)] if person in rows.identities else INK
        step = (right - left) / len(curve)
        points = [
            (left + (k + 0.5) * step, base - min(v, highest) * scale if np.isfinite(v) else float("nan"))
            for k, v in enumerate(curve.tolist())
        ]
        title = element("title", text=f"{video.video}: " + (f"P{person}" if person else "everybody"))
        parts.append(group([title, polyline(points, stroke=colour, stroke_width=1.3, stroke_linejoin="round")]))
    texts = [f"{video.start_time:.3f} s {plus_minus(video.half_width)}"]
    if video.rate != 1:
        texts.append(f"{1e6 * (video.rate - 1):+.0f} ppm".replace("-", "−"))
    if height < 30:
        texts = [", ".join(texts)]
    first = middle - 7 * (len(texts) - 1)
    parts += [words(text, right + 10, first + 14 * k, size=SMALL, colour=SOFT) for k, text in enumerate(texts)]
    return group(parts)


def _window(curves: Sequence[SpeedCurve]) -> tuple[float, float, float]:
    """Begin and end of what is drawn, and the length of everything, seconds."""
    spans = [(float(c.times[0]), float(c.times[-1])) for c in curves if len(c.times) > 1]
    if not spans:
        return 0.0, 1.0, 0.0
    low, high = min(a for a, _ in spans), max(b for _, b in spans)
    whole = high - low
    if whole <= WINDOW:
        return low, high, whole
    edges = np.arange(low, high + 1.0, 1.0)
    seen = np.array([mean_in_bins([curve], edges) for curve in curves])
    known = np.isfinite(seen).sum(axis=0).astype(np.float64)
    lively = np.where(np.isfinite(seen), seen, 0.0).sum(axis=0) / np.maximum(known, 1)
    span = int(WINDOW)
    score = np.convolve(known + 0.1 * lively, np.ones(span), mode="valid")  # coverage first, then movement
    first = int(score.argmax())
    return float(edges[first]), float(edges[first] + WINDOW), whole
