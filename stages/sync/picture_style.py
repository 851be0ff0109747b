"""Colours, sizes and words that all parts of the picture share.

Colours are those of Okabe and Ito (2008, "Color Universal Design"), told apart with any common kind of colour
blindness; nothing is told by colour alone: lines are dashed, marks are hollow, and texts say it.
"""

from __future__ import annotations

from common.svg import element
from stages.sync.certainty import TOLERANCE
from stages.sync.result import PairOffset, Verdict

INK, SOFT, GRID, GREYED = "#1c2126", "#5a636d", "#e1e3e6", "#9aa1a8"
BLUE, GREEN, ORANGE, RED, PURPLE, SKY = "#0072b2", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#56b4e9"

COLOURS = {Verdict.OK: GREEN, Verdict.UNCERTAIN: ORANGE, Verdict.UNKNOWN: GREYED}

HEADING, NORMAL, SMALL = 17.0, 13.5, 12.5


def words(
    text: str,
    x: float,
    y: float,
    *,
    size: float = NORMAL,
    colour: str = INK,
    anchor: str | None = None,
    bold: bool = False,
) -> str:
    """A line of text."""
    weight = "bold" if bold else None
    return element("text", text=text, x=x, y=y, font_size=size, fill=colour, text_anchor=anchor, font_weight=weight)


def line(x1: float, y1: float, x2: float, y2: float, colour: str, *, width: float = 1, dash: str | None = None) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour, stroke_width=width, stroke_dasharray=dash)


def camera_mark(x: float, y: float, verdict: Verdict, *, radius: float, title: str = "") -> str:
    """A camera's dot: full is ok, a thick ring uncertain, a dashed ring unknown."""
    name = (element("title", text=title),) if title else ()
    colour = COLOURS[verdict]
    if verdict is Verdict.OK:
        return element("circle", *name, cx=x, cy=y, r=radius, fill=colour, stroke="#ffffff", stroke_width=1.5)
    thick = 0.45 * radius if verdict is Verdict.UNCERTAIN else 1.6
    dash = "3 2" if verdict is Verdict.UNKNOWN else None
    inner = radius - thick / 2
    return element(
        "circle", *name, cx=x, cy=y, r=inner, fill="#ffffff", stroke=colour, stroke_width=thick, stroke_dasharray=dash
    )


def contradicts(pair: PairOffset) -> bool:
    """Whether a pair's own best match lies further from the consensus than its interval and than TOLERANCE."""
    return pair.residual is not None and abs(pair.residual) > max(TOLERANCE, pair.half_width or 0.0)


def plus_minus(half_width: float | None) -> str:
    """`± 12 ms`, `± 1.2 s`, or nothing."""
    if half_width is None:
        return ""
    return f"± {1000 * half_width:.0f} ms" if half_width < 0.9995 else f"± {half_width:.1f} s"


def signed(seconds: float) -> str:
    """`+1.234 s`, with a real minus sign."""
    return f"{seconds:+.3f} s".replace("-", "−")
