"""How often each model was run in this process: what a unit's cost is made of, for its manifest and the benchmarks."""

from __future__ import annotations

from collections import Counter

_CALLS: Counter[str] = Counter()


def count(model: str) -> None:
    """Notes one run of a model, by its name in the weights' lock."""
    _CALLS[model] += 1


def counted() -> dict[str, int]:
    """Runs so far, by model."""
    return dict(_CALLS)
