"""`synchronization.svg`: the result in one picture: do the movements line up, and how sure is that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.svg import document, shortened
from stages.sync.picture_curves import HEIGHT as CURVE_HEIGHT
from stages.sync.picture_curves import TEXT_HEIGHT, chosen_pairs, draw_curve, draw_legend
from stages.sync.picture_graph import draw_graph
from stages.sync.picture_speeds import draw_speeds, speed_rows
from stages.sync.picture_style import HEADING, SMALL, SOFT, plus_minus, words
from stages.sync.result import Synchronization, Verdict
from stages.sync.tracks import VideoTracks

WIDTH = 1080.0
_MARGIN, _GAP = 28.0, 26.0
_GRAPH = 330.0  # width of the graph
_TOP = 74.0  # height of the headline
_COLUMNS = 3  # of small pictures


def draw(answer: Synchronization, videos: Sequence[VideoTracks], *, scene: str, note: str = "") -> str:
    """The picture as SVG text.

    Args:
        answer: what synchronisation says; pairs without a curve are drawn without one.
        videos: the tracks that it was found from, in the same order.
        scene: its name.
        note: one more line below the headline.
    """
    inner = WIDTH - 2 * _MARGIN
    rows_height = min(max(26.0 * len(answer.videos), 330.0), 1600.0) + 40
    summary = _summary(answer)
    parts = [
        words(shortened(f"Synchronisation of {scene}", width=inner, size=22), _MARGIN, 36, size=22, bold=True),
        words(shortened(f"{summary}{note}", width=inner, size=14), _MARGIN, 59, size=14, colour=SOFT),
    ]
    y = _TOP + 24
    x = _MARGIN + _GRAPH + _GAP
    speed_width = WIDTH - _MARGIN - x
    parts += [
        words("Cameras and pairs", _MARGIN, y, size=HEADING, bold=True),
        draw_graph(answer, x=_MARGIN, y=y + 14, width=_GRAPH, height=min(rows_height, 470.0)),
        words("How fast people's joints move, on the scene's clock", x, y, size=HEADING, bold=True),
    ]
    rows = speed_rows(answer, videos, bins=450)
    parts.append(draw_speeds(answer, rows, x=x, y=y + 14, width=speed_width, height=rows_height))
    y += rows_height + 60
    chosen = chosen_pairs(answer)
    if chosen:
        parts += [
            words("What each pair of cameras alone says", _MARGIN, y, size=HEADING, bold=True),
            words(_left_out(answer, len(chosen)), WIDTH - _MARGIN, y, size=SMALL, colour=SOFT, anchor="end"),
            draw_legend(x=_MARGIN, y=y + 22),
        ]
        y += 38
        width = (inner - (_COLUMNS - 1) * _GAP) / _COLUMNS
        step = (CURVE_HEIGHT if any(pair.curve is not None for pair in chosen) else TEXT_HEIGHT) + 12
        for k, pair in enumerate(chosen):
            row, column = divmod(k, _COLUMNS)
            parts.append(draw_curve(pair, x=_MARGIN + column * (width + _GAP), y=y + row * step, width=width))
        y += -(-len(chosen) // _COLUMNS) * step
    title = f"Synchronisation of {scene}"
    return document(*parts, width=WIDTH, height=round(y + 10), title=title, description=_description(answer, summary))


def _summary(answer: Synchronization) -> str:
    verdicts = [video.verdict for video in answer.videos]
    cameras = "1 camera" if len(verdicts) == 1 else f"{len(verdicts)} cameras"
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in Verdict if verdict in verdicts)
    widths = [v.half_width for v in answer.videos if v.half_width is not None]
    typical = f" · 95 % interval {plus_minus(float(np.median(widths)))} (median)" if widths else ""
    groups = f" · {len(answer.components)} groups unknown to each other" if len(answer.components) > 1 else ""
    return f"{cameras}: {counts} · from {', '.join(answer.evidence)}{typical}{groups}"


def _left_out(answer: Synchronization, chosen: int) -> str:
    left = len(answer.pairs) - chosen
    return f"the {chosen} strongest that connect the cameras; {left} more pairs are left out" if left else ""


def _description(answer: Synchronization, summary: str) -> str:
    """The picture in words, for readers that cannot see it."""
    starts = "; ".join(
        f"{video.video} {'start unknown' if video.start_time is None else f'starts at {video.start_time:.3f} s'}"
        f" {plus_minus(video.half_width)} ({video.verdict})"
        for video in answer.videos
    )
    return (
        f"{summary}. {starts}. Shown are the graph of cameras and pairs, the speed of people's joints in every camera "
        "on the scene's clock, and for pairs of cameras the correlation of their movements at every offset."
    )
