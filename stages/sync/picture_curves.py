"""Small pictures of how well two cameras agree at every offset, one per pair, and around the peak."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.svg import element, group, polyline, shortened
from common.ticks import round_ticks
from stages.sync.picture_style import (
    BLUE,
    GREYED,
    GRID,
    INK,
    NORMAL,
    ORANGE,
    RED,
    SKY,
    SMALL,
    SOFT,
    contradicts,
    line,
    plus_minus,
    signed,
    words,
)
from stages.sync.result import OffsetCurve, PairOffset, Synchronization

Floats = NDArray[np.float64]

HEIGHT = 156.0
"""Of one small picture, pixels."""

TEXT_HEIGHT = 36.0
"""Of what is written above it: all that there is of a pair without a curve."""

ALL_PAIRS = 10  # up to five cameras: a reader looks at every pair
_MOST = 24  # pictures; chosen by hand: beyond that a reader does not look any more
_LOW, _HIGH = -0.4, 1.0  # correlation
_NEAR = 0.15  # s around the peak that the enlargement shows at least: its top
_IN_SIGHT = 6.0  # half widths of the interval that it shows at least
_ENLARGED = 0.3  # share of the width


def chosen_pairs(answer: Synchronization) -> list[PairOffset]:
    """The pairs worth looking at: all of a few cameras; of many, the strongest ones that connect them all.

    That is a maximum spanning tree (Kruskal 1956): pairs that agree before those that do not, the surest first.
    """
    ranked = sorted(answer.pairs, key=lambda p: (p.offset is None, contradicts(p), -p.z, -p.r))
    if len(ranked) <= ALL_PAIRS:
        return ranked
    root = {video.video: video.video for video in answer.videos}

    def find(video: str) -> str:
        while root[video] != video:
            video = root[video]
        return video

    tree = []
    for pair in ranked:
        a, b = find(pair.a), find(pair.b)
        if a != b:
            root[a] = b
            tree.append(pair)
    return tree[:_MOST]


def draw_curve(pair: PairOffset, *, x: float, y: float, width: float) -> str:
    """One small picture, HEIGHT high; pixels."""
    known = pair.offset is not None
    name_width = width / 2 - 12
    names = " – ".join(shortened(name, width=name_width, size=NORMAL) for name in (pair.a, pair.b))
    facts = f"r {pair.r:.2f}" + (f" · z {pair.z:.1f}" if pair.z else "")
    said = f"{signed(pair.offset)} {plus_minus(pair.half_width)}" if pair.offset is not None else "no common offset"
    parts = [
        words(names, x, y + 13, bold=True, colour=INK if known else SOFT),
        words(said, x, y + 30, size=SMALL, colour=RED if contradicts(pair) else INK if known else SOFT),
        words(facts, x + width, y + 30, size=SMALL, colour=SOFT, anchor="end"),
    ]
    top, bottom = y + 38, y + HEIGHT - 24
    curve = pair.curve
    if curve is None or not np.isfinite(curve.r).any():
        return group(parts)
    judged = np.flatnonzero(np.isfinite(curve.r))
    low, high = float(curve.offsets[judged[0]]), float(curve.offsets[judged[-1]])
    gap = 14.0
    whole = width * (1 - _ENLARGED) - gap if known else width
    parts.append(_plot(pair, curve, (low, high), (x, x + whole), (top, bottom), numbers=True))
    if pair.offset is not None:
        away = 1.5 * abs(pair.residual or 0.0) if contradicts(pair) else 0.0
        reach = max(_NEAR, _IN_SIGHT * (pair.half_width or 0.0), away)
        near = pair.offset - reach, pair.offset + reach
        parts.append(_plot(pair, curve, near, (x + whole + gap, x + width), (top, bottom), numbers=False))
    return group(parts)


def draw_legend(*, x: float, y: float) -> str:
    """What the marks mean, in one line; pixels."""
    return group(
        [
            line(x, y - 4, x + 22, y - 4, BLUE, width=1.6),
            words("correlation at every offset; right: around the peak", x + 28, y, size=SMALL, colour=SOFT),
            element("circle", cx=x + 346, cy=y - 4, r=3.5, fill=INK),
            words("the pair's own peak", x + 356, y, size=SMALL, colour=SOFT),
            element("rect", x=x + 492, y=y - 10, width=14, height=12, fill=SKY, fill_opacity=0.45),
            words("its 95 % interval", x + 512, y, size=SMALL, colour=SOFT),
            line(x + 632, y - 11, x + 632, y + 3, ORANGE, width=2, dash="4 2"),
            words("what all cameras together say", x + 642, y, size=SMALL, colour=SOFT),
            line(x + 832, y - 4, x + 854, y - 4, GREYED, width=1.6),
            words("unknown", x + 860, y, size=SMALL, colour=SOFT),
        ]
    )


def _plot(
    pair: PairOffset,
    curve: OffsetCurve,
    span: tuple[float, float],
    left_right: tuple[float, float],
    top_bottom: tuple[float, float],
    *,
    numbers: bool,
) -> str:
    low, high = span if span[1] > span[0] else (span[0] - 0.5, span[0] + 0.5)
    left, right = left_right
    top, bottom = top_bottom

    def across(offset: float) -> float:
        return left + (offset - low) / (high - low) * (right - left)

    def up(r: float) -> float:
        return bottom - (min(max(r, _LOW), _HIGH) - _LOW) / (_HIGH - _LOW) * (bottom - top)

    known = pair.offset is not None
    parts = [element("rect", x=left, y=top, width=right - left, height=bottom - top, fill="#f7f8f8")]
    if pair.offset is not None and pair.half_width is not None:
        begin, end = (min(max(across(pair.offset + s * pair.half_width), left), right) for s in (-1, 1))
        wide = max(end - begin, 2.0)
        band = {"x": (begin + end - wide) / 2, "y": top, "width": wide, "height": bottom - top}
        parts.append(element("rect", fill=SKY, fill_opacity=0.45, **band))
    for r in (0.0, 0.5):
        parts.append(line(left, up(r), right, up(r), GRID if r else "#c4c9ce"))
        if numbers and known:
            parts.append(words(f"{r:.1f}", left + 2, up(r) - 2, size=SMALL, colour=GREYED))
    offsets, r_values = _reduced(curve, low, high, points=2 * int(right - left))
    points = [(across(o), up(r) if np.isfinite(r) else float("nan")) for o, r in zip(offsets, r_values, strict=True)]
    parts.append(polyline(points, stroke=BLUE if known else GREYED, stroke_width=1.3, stroke_linejoin="round"))
    if pair.offset is not None:
        consensus = pair.offset - (pair.residual or 0.0)
        if pair.residual is not None and low <= consensus <= high:
            parts.append(line(across(consensus), top, across(consensus), bottom, ORANGE, width=1.3, dash="4 2"))
        parts.append(element("circle", cx=across(pair.offset), cy=up(pair.r), r=3.5, fill=INK, stroke="#ffffff"))
    ticks = round_ticks(low, high, at_most=4 if numbers else 3)
    shown = ticks if numbers else ticks[:: max(1, len(ticks) - 1)]
    for k, (value, text) in enumerate(shown):
        at = across(value)
        anchor = "start" if at - left < 14 else "end" if right - at < 16 else "middle"
        unit = " s" if numbers and k == len(shown) - 1 else ""
        parts.append(line(at, bottom, at, bottom + 4, SOFT))
        parts.append(words(text + unit, at, bottom + 16, size=SMALL, colour=SOFT, anchor=anchor))
    return group(parts)


def _reduced(curve: OffsetCurve, low: float, high: float, *, points: int) -> tuple[Floats, Floats]:
    """(offsets, r) of the stretch: all of it, or the lowest and the highest of every bin where there are too many."""
    inside = (curve.offsets > low) & (curve.offsets < high)
    ends = np.array([low, high]).clip(curve.offsets[0], curve.offsets[-1])
    at_ends = np.interp(ends, curve.offsets, curve.r)
    offsets = np.concatenate([ends[:1], curve.offsets[inside], ends[1:]])
    r = np.concatenate([at_ends[:1], curve.r[inside], at_ends[1:]])
    if len(offsets) <= points:
        return offsets, r
    bins: Sequence[NDArray[np.int64]] = np.array_split(np.arange(len(offsets)), points // 2)
    kept = []
    for part in bins:
        finite = part[np.isfinite(r[part])]
        kept += (
            sorted({int(finite[r[finite].argmin()]), int(finite[r[finite].argmax()])})
            if len(finite)
            else [int(part[0])]
        )
    return offsets[kept], r[kept]
