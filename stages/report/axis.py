"""A time axis that scales with the page: positions in percent, round ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass


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
        step = round_step(self.high - self.low, at_most=6)
        first = math.ceil(self.low / step - 1e-9)
        values = [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        texts = [f"{value:.{digits}f}".replace("-0", "−0" if value < 0 else "0", 1) for value in values]
        if texts:
            texts[-1] += " s"
        return tuple((self.at(value), text) for value, text in zip(values, texts, strict=True))


def make_axis(low: float, high: float) -> Axis:
    """An axis of a positive length, whatever it is asked for."""
    if not (math.isfinite(low) and math.isfinite(high)) or high - low < 1e-6:
        return Axis(low, low + 1.0) if math.isfinite(low) else Axis(0.0, 1.0)
    return Axis(low, high)


def round_step(span: float, *, at_most: int) -> float:
    """The smallest of 1, 2, 5, 10 ... (times a power of ten) that divides a span into so many steps at most."""
    raw = span / at_most
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))


def percent(share: float) -> str:
    """A share from 0 to 1 for an SVG attribute, within 0 and 100 %."""
    return f"{100 * min(1.0, max(0.0, share)):.3f}".rstrip("0").rstrip(".") + "%"
