"""The camera graph: cameras on a circle, coloured by verdict; pairs as lines, red where they contradict."""

from __future__ import annotations

import math

from common.svg import element, group, shortened
from stages.sync.picture_style import (
    GREYED,
    INK,
    RED,
    SMALL,
    SOFT,
    camera_mark,
    contradicts,
    line,
    plus_minus,
    signed,
    words,
)
from stages.sync.result import PairOffset, Synchronization, Verdict

_SURE = 12.0  # z of the widest line; right pairs of half a minute reach 6 to 16
_WIDEST = 6.0  # pixels, with up to _FEW cameras; less with more, or the lines would be one grey spot
_FEW = 6
_NAMED = 28  # cameras beyond which names would lie on each other; the rows beside the graph name them
_PER_CAMERA = 3  # lines beyond that number of cameras: those that contradict, then the surest
_LEGEND = 84.0  # height of the legend


def draw_graph(answer: Synchronization, *, x: float, y: float, width: float, height: float) -> str:
    """The graph and its legend within a rectangle; pixels."""
    centre = x + width / 2, y + (height - _LEGEND) / 2
    many, crowded = len(answer.videos) > 8, len(answer.videos) > _NAMED
    label = 64.0 if many else 84.0  # room beside the circle
    radius = min(width / 2 - label, (height - _LEGEND) / 2 - 30)
    at = {}
    for k, video in enumerate(answer.videos):
        angle = 2 * math.pi * k / len(answer.videos) - math.pi / 2
        at[video.video] = angle, centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)
    weakest_first = sorted(answer.pairs, key=lambda pair: (pair.offset is not None, contradicts(pair), pair.z))
    if crowded:
        weakest_first = weakest_first[-_PER_CAMERA * len(answer.videos) :]
    widest = _WIDEST * min(1.0, (_FEW / max(1, len(answer.videos))) ** 1.5)
    edges = [_edge(pair, at[pair.a][1:], at[pair.b][1:], widest=widest) for pair in weakest_first]
    nodes = []
    for video in answer.videos:
        angle, cx, cy = at[video.video]
        nodes.append(camera_mark(cx, cy, video.verdict, radius=4 if crowded else 8 if many else 11, title=video.video))
        if crowded:
            continue
        side = "start" if math.cos(angle) > 0.3 else "end" if math.cos(angle) < -0.3 else "middle"
        away = 14 if many else 17
        tx, ty = cx + away * math.cos(angle), cy + away * math.sin(angle) + 4 + (5 if math.sin(angle) > 0.9 else 0)
        name = shortened(video.video, width=label - 4 if side != "middle" else 2 * label, size=SMALL)
        nodes.append(words(name, tx, ty, size=SMALL, anchor=side))
        if video.mirrored:
            nodes.append(
                words("mirrored", tx, ty + (13 if math.sin(angle) >= 0 else -13), size=SMALL, colour=RED, anchor=side)
            )
    return group([*edges, *nodes, *_legend(x, y + height - _LEGEND + 14)])


def _edge(pair: PairOffset, a: tuple[float, float], b: tuple[float, float], *, widest: float) -> str:
    ends: dict[str, str | float | None] = {"x1": a[0], "y1": a[1], "x2": b[0], "y2": b[1], "stroke_linecap": "round"}
    if pair.offset is None:
        return element(
            "line", _title(pair, "no common offset"), stroke="#cfd3d7", stroke_width=1, stroke_dasharray="1 4", **ends
        )
    wide = widest * (0.2 + 0.8 * min(max(pair.z, 0.0), _SURE) / _SURE)
    if contradicts(pair):
        said = f"{signed(pair.offset)}, {signed(pair.residual or 0.0)} from the consensus"
        return element(
            "line", _title(pair, said), stroke=RED, stroke_width=max(wide, 2.0), stroke_dasharray="9 6", **ends
        )
    said = f"{signed(pair.offset)} {plus_minus(pair.half_width)}"
    return element("line", _title(pair, said), stroke="#7d8894", stroke_width=wide, **ends)


def _title(pair: PairOffset, said: str) -> str:
    return element("title", text=f"{pair.a} – {pair.b}: {said}")


def _legend(x: float, y: float) -> list[str]:
    drawn = []
    for k, (verdict, text) in enumerate(
        ((Verdict.OK, "ok"), (Verdict.UNCERTAIN, "uncertain"), (Verdict.UNKNOWN, "unknown"))
    ):
        at = x + (0, 60, 165)[k]
        drawn += [camera_mark(at + 8, y, verdict, radius=7), words(text, at + 21, y + 4, size=SMALL, colour=SOFT)]
    for k, (wide, dash, colour, text) in enumerate(
        (
            (1.5, None, "#7d8894", "a pair that agrees; the wider, the surer (z)"),
            (4.0, "9 6", RED, "contradicts the consensus"),
            (1.0, "1 4", GREYED, "compared in vain"),
        )
    ):
        at = y + 22 + 19 * k
        if k == 0:
            drawn.append(
                element("path", d=f"M{x} {at - 0.7}L{x + 40} {at - 3}L{x + 40} {at + 3}L{x} {at + 0.7}Z", fill=colour)
            )
        else:
            drawn.append(line(x, at, x + 40, at, colour, width=wide, dash=dash))
        drawn.append(words(text, x + 50, at + 4, size=SMALL, colour=INK if k == 1 else SOFT))
    return drawn
