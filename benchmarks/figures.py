"""What a benchmark prints: one row per figure, what was asked beside what was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

NOTHING = "-"


@dataclass(frozen=True)
class Figure:
    """One promise and what became of it.

    Attributes:
        name: what is measured, and on what.
        asked: the promise with its unit, such as "<= 1.30 x"; NOTHING for a row that only informs.
        measured: the value in the same unit.
        ok: whether the promise is kept.
    """

    name: str
    asked: str
    measured: str
    ok: bool


def report(figures: Sequence[Figure]) -> int:
    """Prints `name | asked | measured | ok/SHORT`, aligned; returns 1 if any figure falls short, else 0."""
    cells = [(*astuple(figure)[:3], _verdict(figure)) for figure in figures]
    rows = [("figure", "asked", "measured", ""), *cells]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print(" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(" |"))
    return 0 if all(figure.ok for figure in figures) else 1


def save(path: Path, figures: Sequence[Figure]) -> None:
    """Writes a JSON list of objects with the fields of Figure, for programs; what was there is lost."""
    path.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n", encoding="utf-8")


def information(name: str, measured: str) -> Figure:
    """A row without a promise."""
    return Figure(name, NOTHING, measured, ok=True)


def _verdict(figure: Figure) -> str:
    if figure.asked == NOTHING:
        return ""
    return "ok" if figure.ok else "SHORT"
