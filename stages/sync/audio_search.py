"""Where two recordings may have sounded alike: a line of offset against time, sought over all offsets and clock rates.

Loudness in bands is correlated block by block, for a clock that runs off smears a correlation over the whole length.
The curves of all blocks are then added along every line that clocks can follow; the highest sum is the match.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from stages.sync.hearing import BANDS, HOP, Heard
from stages.sync.pairwise import APART, MIN_OVERLAP, fraction_of_peak

BLOCK = 20.0  # s: at MAX_RATE the match moves by two values within one
MAX_RATE = 2.1e-3  # two clocks, each 1000 ppm off (29.97 taken for 30), and a little
RIVALS = 5  # lines that are looked at more closely
SHORT = 10.0  # s: scores of overlaps below it are held down, for two claps in four seconds prove little
STEEP = 0.1  # by which the score of the steepest line is held down: most clocks differ by less than 100 ppm
NEARLY = 0.5  # of the best, for a rival
USUAL_RIVAL = 3.2  # standard deviations of the best but one of chance matches, about; so 5 is 1.6 times the best rival

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """Offsets along which two recordings agree.

    Attributes:
        offset: at `moment`, seconds; see Clue for the sign.
        slope: by which the offset grows per second of a.
        moment: PTS of a, the middle of what both heard.
        overlap: seconds heard by both.
        z: how well they agree, in units of Matches.score.
    """

    offset: float
    slope: float
    moment: float
    overlap: float
    z: float


@dataclass(frozen=True, eq=False)
class Matches:
    """The best lines, and how every offset would do.

    Attributes:
        lines: the best one and those that come near to it, at most RIVALS, APART from each other.
        offsets: (lags,) seconds, evenly spaced by HOP, ascending, at `reference`.
        score: (lags,) agreement along the best line through each offset; 0 where nothing is said. The unit is the noise
            of the score, or more where the best rival is higher than noise alone makes one.
        reference: PTS of a, seconds.
    """

    lines: tuple[Line, ...]
    offsets: Floats
    score: Floats
    reference: float

    def offsets_along(self, line: Line) -> Floats:
        """(lags,) the offsets as they are at the line's moment where clocks run as along the line, seconds."""
        return self.offsets + line.slope * (line.moment - self.reference)


def search(a: Heard, b: Heard, *, max_offset: float) -> Matches | None:
    """The best lines within ±max_offset seconds; None where the two cannot have MIN_OVERLAP of sound in common."""
    least = MIN_OVERLAP / HOP
    if min(a.known.sum(), b.known.sum()) < least:
        return None
    borders = _block_borders(a)
    reference = float(a.times[0] + a.times[-1]) / 2
    margin = MAX_RATE * float(a.times[-1] - a.times[0]) / 2
    shift = a.start - b.start  # offset of equal positions
    low = int(np.floor((-max_offset - margin - shift) / HOP))
    high = int(np.ceil((max_offset + margin - shift) / HOP))
    product, overlap = _block_curves(a, b, borders, low, high)
    middles = (borders[:-1] + borders[1:]) / 2 * HOP + a.start - reference
    border = int(margin / HOP)
    shared = overlap.sum(axis=0)[border : overlap.shape[1] - border]
    allowed = shared >= least
    trust = np.sqrt(shared / (shared + SHORT / HOP))
    unit = np.where(allowed, trust / np.sqrt(BANDS * np.maximum(shared, 1)), 0)
    level, score, slopes = _best_sums(product, middles, border, unit)
    tops = _peaks(score, allowed)
    if not tops:
        return None
    far = allowed & (np.abs(np.arange(len(score)) - tops[0]) > APART / HOP)
    noise = max(float(level[far].std()), float(score[far].max()) / USUAL_RIVAL) if far.any() else 0.0
    if noise <= 0:
        return None
    score = np.maximum(score, 0) / noise
    offsets = np.asarray((low + border + np.arange(len(score))) * HOP + shift, np.float64)
    lines = []
    for top in tops:
        offset, slope = float(offsets[top]), float(slopes[top])
        if 0 < top < len(score) - 1:
            offset += HOP * fraction_of_peak(*score[top - 1 : top + 2].tolist())
        both = a.times[_heard_by_both(a, b, offset, slope, reference)]
        moment = float(both[0] + both[-1]) / 2 if len(both) else reference
        lines.append(Line(offset + slope * (moment - reference), slope, moment, len(both) * HOP, float(score[top])))
    return Matches(tuple(lines), offsets, score, reference)


def _best_sums(
    product: NDArray[np.float32], middles: Floats, border: int, unit: Floats
) -> tuple[Floats, Floats, Floats]:
    """At every lag the sum of the blocks for equal clocks, that of the best line through it, and the line's slope.

    Args:
        product: (blocks, lags + 2 * border) curves.
        middles: (blocks,) seconds from the moment at which a line has its lag.
        border: lags at either end that only lines reach.
        unit: (lags,) what to multiply sums with.
    """
    size = product.shape[1] - 2 * border
    step = 2 * HOP / max(float(np.ptp(middles)), BLOCK)
    count = int(MAX_RATE / step)
    level = product[:, border : border + size].sum(axis=0)
    best, slopes = level.copy(), np.zeros(size)
    for index in sorted(range(-count, count + 1), key=abs):
        total = np.zeros(size, np.float32)
        for row, at in zip(product, np.round(index * step * middles / HOP).astype(int) + border, strict=True):
            total += row[at : at + size]
        total *= 1 - STEEP * abs(index) / max(count, 1)
        better = total > best
        best[better], slopes[better] = total[better], index * step
    return level * unit, best * unit, slopes


def _peaks(score: Floats, allowed: NDArray[np.bool_]) -> list[int]:
    """Positions of the highest peak and of those at least NEARLY as high, APART, the highest first."""
    left = np.where(allowed, score, 0.0)
    found: list[int] = []
    while len(found) < RIVALS:
        top = int(left.argmax())
        if left[top] <= 0 or (found and left[top] < NEARLY * score[found[0]]):
            break
        found.append(top)
        left[max(0, top - round(APART / HOP)) : top + round(APART / HOP) + 1] = 0
    return found


def _heard_by_both(a: Heard, b: Heard, offset: float, slope: float, reference: float) -> NDArray[np.bool_]:
    """(n,) which values of a have a known counterpart in b."""
    times = a.times
    position = np.round((times - offset - slope * (times - reference) - b.start) / HOP).astype(np.int64)
    inside = (position >= 0) & (position < len(b.known))
    return a.known & inside & b.known[np.clip(position, 0, len(b.known) - 1)]


def _block_borders(a: Heard) -> NDArray[np.int64]:
    """Borders of the blocks, in values of a."""
    count = max(1, round(len(a.known) * HOP / BLOCK))
    return np.linspace(0, len(a.known), count + 1).astype(np.int64)


def _block_curves(
    a: Heard, b: Heard, borders: NDArray[np.int64], low: int, high: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(blocks, high - low + 1) sums of products, and of values that both know, at the lags low..high.

    At lag l, value i of a meets value i - l of b.
    """
    lags = high - low + 1
    product = np.zeros((len(borders) - 1, lags), np.float32)
    overlap = np.zeros_like(product)
    for k, (begin, end) in enumerate(itertools.pairwise(borders.tolist())):
        first, last = begin - high, end - 1 - low  # of b, for all lags
        seen = slice(max(0, first), min(len(b.known), last + 1))
        if seen.stop - seen.start <= 0:
            continue
        size = next_fast_len(last - first + 1, real=True)
        values = rfft(a.bands[:, begin:end], size, axis=1)
        mask = rfft(a.known[begin:end].astype(np.float32), size)
        other = np.zeros((BANDS + 1, size), np.float32)
        other[:BANDS, seen.start - first : seen.stop - first] = b.bands[:, seen]
        other[BANDS, seen.start - first : seen.stop - first] = b.known[seen]
        spectra = rfft(other, axis=1)
        together = (np.conj(values) * spectra[:BANDS]).sum(axis=0)
        # correlation at shift m: sum of a[i] * other[i + m]; other[i + m] is value begin + i - (high - m) of b
        product[k] = irfft(together, size)[lags - 1 :: -1]
        overlap[k] = np.round(irfft(np.conj(mask) * spectra[BANDS], size)[lags - 1 :: -1])
    return product, overlap
