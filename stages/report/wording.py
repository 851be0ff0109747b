"""Numbers, times and counts as the page writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable

NONE = "–"
_SPACE = "\N{NO-BREAK SPACE}"  # a number and its unit stay on one line


def seconds(value: float | None, *, digits: int = 3) -> str:
    """`1.234 s`; a dash for None."""
    return NONE if value is None or not math.isfinite(value) else f"{value:.{digits}f}{_SPACE}s"


def duration(value: float | None) -> str:
    """A length of time that a reader takes in at a glance: `1.7 s`, `4 min 05 s`, `2 h 03 min`."""
    if value is None or not math.isfinite(value):
        return NONE
    if value < 60:
        return f"{value:.1f}{_SPACE}s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60}{_SPACE}min{_SPACE}{whole % 60:02d}{_SPACE}s"
    minutes = round(value / 60)
    return f"{minutes // 60}{_SPACE}h{_SPACE}{minutes % 60:02d}{_SPACE}min"


def plus_minus(value: float | None) -> str:
    """Half width of an interval: `± 12 ms`, `± 1.2 s`; a dash for None."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"±{_SPACE}{value * 1000:.0f}{_SPACE}ms" if value < 0.9995 else f"±{_SPACE}{value:.1f}{_SPACE}s"


def signed(value: float | None, *, digits: int = 3) -> str:
    """`+0.123 s`, with a real minus sign."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{_plain(value, digits):+.{digits}f}{_SPACE}s".replace("-", "−")


def number(value: float | None, *, digits: int = 2) -> str:
    """A plain number; a dash for None and NaN."""
    return (
        NONE if value is None or not math.isfinite(value) else f"{_plain(value, digits):.{digits}f}".replace("-", "−")
    )


def percent(value: float | None) -> str:
    """`98 %` of a share from 0 to 1; 100 % only if it is all, 0 % only if it is nothing."""
    if value is None or not math.isfinite(value):
        return NONE
    if 0 < value < 1:
        return f"{min(99, max(1, round(100 * value)))}{_SPACE}%"
    return f"{100 * value:.0f}{_SPACE}%"


def memory(value: int) -> str:
    """`312 MiB`."""
    return f"{value / 2**20:.0f}{_SPACE}MiB"


def size(value: int) -> str:
    """Of a file: `870 B`, `12 kB`, `1.4 MB`."""
    if value < 1000:
        return f"{value}{_SPACE}B"
    return f"{value / 1e3:.0f}{_SPACE}kB" if value < 1e6 else f"{value / 1e6:.1f}{_SPACE}MB"


def count(value: int, singular: str, plural: str = "") -> str:
    """`1 camera`, `4 cameras`."""
    return f"{value} {singular if value == 1 else plural or singular + 's'}"


def listing(names: Iterable[str]) -> str:
    """`a, b and c`."""
    *rest, last = [*names] or [""]
    return f"{', '.join(rest)} and {last}" if rest else last


def _plain(value: float, digits: int) -> float:
    """Rounded, without a sign at zero."""
    return round(value, digits) + 0.0
