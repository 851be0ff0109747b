"""Which instants the contact sheet shows: seen by as many cameras as possible, with people, spread over the scene."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

_CANDIDATES = 8  # per instant, chosen by hand

Span = tuple[float, float]


def choose_instants(spans: Sequence[Span], *, count: int, seen: Callable[[float], int]) -> list[float]:
    """Times at which as many recordings as possible run, spread evenly; among neighbours those that show most people.

    Args:
        spans: begin and end of every recording on one clock, seconds.
        count: how many.
        seen: how many people all cameras together show at a time.

    Returns:
        `count` times, increasing; fewer if the shared time is too short to tell them apart, none without recordings.
    """
    begin, end = best_window(spans)
    if end <= begin:
        return []
    chosen = []
    for k in range(count):
        low, high = (begin + (end - begin) * edge / count for edge in (k, k + 1))
        middle = (low + high) / 2
        candidates = [low + (high - low) * (i + 0.5) / _CANDIDATES for i in range(_CANDIDATES)]
        chosen.append(max(sorted([*candidates, middle], key=lambda t: (abs(t - middle), t)), key=seen))
    return chosen


def best_window(spans: Sequence[Span]) -> Span:
    """The longest stretch in which as many recordings run at once as ever do; (0, 0) without recordings."""
    edges = sorted({edge for span in spans for edge in span})
    stretches = list(itertools.pairwise(edges))
    running = [sum(begin <= low and high <= end for begin, end in spans) for low, high in stretches]
    most = max(running, default=0)
    best = [stretch for stretch, count in zip(stretches, running, strict=True) if count == most]
    return max(best, key=lambda stretch: stretch[1] - stretch[0], default=(0.0, 0.0))
