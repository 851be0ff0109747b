"""Pictures as SVG text: elements made of names and numbers, everything escaped, nothing that needs a style sheet.

Only presentation attributes are used, so that a picture looks the same by itself, in a page whose
Content-Security-Policy forbids styles, and printed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

FONT = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
"""Families that nearly every system has; their digits have one width."""

_CONTROL = dict.fromkeys(range(32), " ")  # XML refuses most of them
_CHARACTER = 0.56  # mean width of a character of FONT, in font sizes (measured in Chromium on names and numbers)


def element(name: str, *children: str, **attributes: str | float | None) -> str:
    """An element as text.

    Args:
        name: of the element.
        children: elements inside it.
        attributes: by name, with "_" for "-"; None leaves one out. `text` is what it says, before the children; it is
            escaped, as all values are.
    """
    said = attributes.pop("text", None)
    given = "".join(
        f' {key.replace("_", "-")}="{_value(value)}"' for key, value in attributes.items() if value is not None
    )
    inside = _value(said) + "".join(children)
    return f"<{name}{given}>{inside}</{name}>" if inside else f"<{name}{given}/>"


def document(*children: str, width: float, height: float, title: str, description: str) -> str:
    """A whole picture on white ground.

    Args:
        children: what is on it.
        width: in pixels, and units of its coordinates.
        height: likewise.
        title: its name, for readers that cannot see it.
        description: what it shows, for them too.
    """
    return (
        element(
            "svg",
            element("title", text=title),
            element("desc", text=description),
            element("rect", width=width, height=height, fill="#ffffff"),
            *children,
            xmlns="http://www.w3.org/2000/svg",
            width=width,
            height=height,
            viewBox=f"0 0 {number(width)} {number(height)}",
            role="img",
            aria_label=title,
            font_family=FONT,
        )
        + "\n"
    )


def polyline(points: Iterable[tuple[float, float]], **attributes: str | float | None) -> str:
    """Line through points; a NaN breaks it."""
    parts: list[str] = []
    drawing = False
    for x, y in points:
        if math.isnan(x) or math.isnan(y):
            drawing = False
            continue
        parts.append(f"{'L' if drawing else 'M'}{number(x)} {number(y)}")
        drawing = True
    return element("path", d="".join(parts), fill="none", **attributes) if parts else ""


def group(children: Sequence[str], **attributes: str | float | None) -> str:
    """Elements that belong together."""
    return element("g", *children, **attributes)


def number(value: float) -> str:
    """A coordinate to a hundredth, as short as possible."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def shortened(text: str, *, width: float, size: float) -> str:
    """A text that takes about `width` pixels at most in font size `size`; cut texts end in "…"."""
    most = max(1, int(width / (_CHARACTER * size)))
    return text if len(text) <= most else text[: most - 1] + "…"


def _value(value: str | float | None) -> str:
    if value is None:
        return ""
    return number(value) if isinstance(value, int | float) else escape(value.translate(_CONTROL))
