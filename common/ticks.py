"""Round numbers for the ticks of an axis."""

from __future__ import annotations

import math


def round_ticks(low: float, high: float, *, at_most: int) -> tuple[tuple[float, str], ...]:
    """(value, text) of the round numbers between two others; all texts have the same number of decimals.

    Args:
        low: where the axis begins.
        high: where it ends, above low.
        at_most: into how many steps it is divided at most.
    """
    step = round_step(high - low, at_most=at_most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return tuple((k * step, f"{k * step:.{digits}f}".replace("-", "−")) for k in range(first, last + 1))


def round_step(span: float, *, at_most: int) -> float:
    """The smallest of 1, 2, 5, 10 ... (times a power of ten) that divides a span into so many steps at most."""
    raw = span / at_most
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
