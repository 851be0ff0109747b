"""A time axis that scales with the page: positions in percent, round ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from common.ticks import round_ticks


@dataclass(frozen=True)
class Axis:
    """A stretch of time, in seconds, drawn from the left edge to the right."""

    low: float
    high: float

    def at(self, value: float) -> str:
        """Position of a time, as SVG wants it: `12.5%`, kept within the axis."""
        return percent((value - self.low) / (self.high - self.low))

    def width(self, begin: float, end: float) -> str:
        """Width of a stretch."""
        inside = max(self.low, begin), min(self.high, end)
        return percent(max(0.0, inside[1] - inside[0]) / (self.high - self.low))

    @property
    def ticks(self) -> tuple[tuple[str, str], ...]:
        """(position, text) of 3 to 7 round times. The last one carries the unit."""
        ticks = round_ticks(self.low, self.high, at_most=6)
        last = len(ticks) - 1
        return tuple((self.at(value), text + (" s" if k == last else "")) for k, (value, text) in enumerate(ticks))


def make_axis(low: float, high: float) -> Axis:
    """An axis of a positive length, whatever it is asked for."""
    if not (math.isfinite(low) and math.isfinite(high)) or high - low < 1e-6:
        return Axis(low, low + 1.0) if math.isfinite(low) else Axis(0.0, 1.0)
    return Axis(low, high)


def percent(share: float) -> str:
    """A share from 0 to 1 for an SVG attribute, within 0 and 100 %."""
    return f"{100 * min(1.0, max(0.0, share)):.3f}".rstrip("0").rstrip(".") + "%"
