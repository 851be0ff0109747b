"""Whether a promise is kept: at its word with enough trials; with few, broken only where chance does not explain it."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

from benchmarks.figures import Figure
from benchmarks.sync.metrics import Errors

FULL = 30  # trials from which a promise is taken at its word
DOUBT = 0.05  # level of the test that decides with fewer
DRAWS = 400  # of the bootstrap


def percent(right: int, total: int) -> str:
    """Of a whole, in words."""
    return f"{100 * right / total:.1f} %" if total else "-"


def share(name: str, right: int, total: int, *, low: float = 0.0, high: float = 1.0, full: bool) -> Figure:
    """A promise about a share: at its word if `full`, otherwise short only where chance does not explain it.

    One video of 24 is 4 %: with few trials a share of 99 % is measured as 100 or 96. Then the promise counts as broken
    where it is ruled out by a one-sided binomial test at the level DOUBT.
    """
    asked = _in_percent(low, high)
    if not total:
        return Figure(name, asked, "nothing to count", ok=False)
    ok = low <= right / total <= high
    if not full:
        too_low = low > 0 and binom.cdf(right, total, low) < DOUBT
        too_high = high < 1 and binom.sf(right - 1, total, high) < DOUBT
        ok = not (too_low or too_high)
    return Figure(name, asked, f"{percent(right, total)} ({right} of {total})", ok=bool(ok))


def _in_percent(low: float, high: float) -> str:
    if high >= 1:
        return f">= {100 * low:g} %" if low < 1 else "100 %"
    return f"<= {100 * high:g} %" if low <= 0 else f"{100 * low:g}-{100 * high:g} %"


def quantile(name: str, off: Errors, which: float, limit: float, *, full: bool) -> Figure:
    """A promise about the quantile `which` of errors, frames: at its word if `full`, otherwise like a share.

    That 95 % are at most the limit is a promise about a share; with few trials it is judged as one.
    """
    value = off.quantile(which)
    by_chance = not full and off.answered > 0 and binom.cdf(off.within(limit), off.answered, which) >= DOUBT
    return Figure(name, f"<= {limit:g} frames", f"{value:.3f}", ok=bool(value <= limit or by_chance))


def ratio(name: str, off: Errors, plain: Errors, which: float, limit: float, *, full: bool) -> Figure:
    """A promise about how much larger a quantile of errors is than that of others.

    With few trials it counts as broken where all but the share DOUBT of bootstrap draws of both break it.
    """
    value = off.quantile(which) / plain.quantile(which)
    ok = value <= limit
    if not full and off.answered and plain.answered:
        generator = np.random.default_rng(0)
        above, below = (
            np.quantile(generator.choice(errors.absolute, (DRAWS, errors.answered)), which, axis=1)
            for errors in (off, plain)
        )
        ok = np.quantile(above / below, DOUBT) <= limit
    return Figure(name, f"<= {limit:g} x", f"{value:.2f}", ok=bool(ok))


def at_most(name: str, value: float, limit: float, unit: str = "frames", digits: int = 3) -> Figure:
    """A promise about a number; NaN breaks it."""
    return Figure(name, f"<= {limit:g} {unit}", f"{value:.{digits}f}", ok=bool(value <= limit))


def at_least(name: str, value: float, limit: float, unit: str) -> Figure:
    """Likewise, from below."""
    return Figure(name, f">= {limit:g} {unit}", f"{value:.1f}", ok=bool(value >= limit))
