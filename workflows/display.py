"""What `ghost run` shows: a live table on a terminal, a line per unit in a log, and the summary at the end."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from workflows.pipeline import STAGES
from workflows.units import State, UnitRun

if TYPE_CHECKING:
    from rich.table import Table

_LOG = logging.getLogger("ghost")
_STAGES = tuple(stage.name for stage in STAGES)
_MOST_ROWS = 20  # a table taller than the terminal would hide what is at work
_REFRESH_S = 0.2
_LINE_S = 30.0  # a unit at work says so at most so often in a log
_COLOUR = {State.FAILED: "red", State.BLOCKED: "yellow", State.STOPPED: "yellow", State.RUNNING: "cyan"}


class Display:
    """Hears of every change of a run and shows it. Use as a context manager around the run."""

    def __init__(self, units: Sequence[UnitRun]) -> None:
        self._units = units  # the run's own list: it grows when videos become known
        self._said: dict[int, float] = {}
        self._refreshed = 0.0
        self._start = time.monotonic()
        self._live = _live() if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        """Starts the live table, if there is a terminal."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the terminal as it was."""
        if self._live is not None:
            self._live.update(self._table(), refresh=True)
            self._live.stop()

    def __call__(self, unit: UnitRun) -> None:
        """Shows that something about a unit has changed."""
        now = time.monotonic()
        if self._live is not None:
            if now - self._refreshed >= _REFRESH_S or unit.state.over:
                self._refreshed = now
                self._live.update(self._table(), refresh=True)
            return
        if unit.state is State.RUNNING and now - self._said.get(id(unit), -_LINE_S) < _LINE_S:
            return
        self._said[id(unit)] = now
        level = logging.ERROR if unit.state is State.FAILED else logging.INFO
        _LOG.log(level, "%s: %s%s", unit.title, unit.state.value, _detail(unit))

    def _table(self) -> Table:
        """One row per scene and video, one column per stage."""
        from rich.table import Table

        over = sum(unit.state.over for unit in self._units)
        title = f"{over} of {len(self._units)} units, {time.monotonic() - self._start:.0f} s"
        stages = [name for name in _STAGES if any(unit.stage.name == name for unit in self._units)]
        table = Table("", *stages, title=title, title_justify="left", box=None)
        rows = _by_row(self._units)
        lively = {name: units for name, units in rows.items() if any(not unit.state.good for unit in units)}
        shown = dict(list(lively.items())[:_MOST_ROWS])
        if len(rows) > _MOST_ROWS:
            table.caption = f"and {len(rows) - len(shown)} more scenes and videos"
        for name, units in (rows if len(rows) <= _MOST_ROWS else shown).items():
            cells = {unit.stage.name: _cell(unit) for unit in units}
            table.add_row(name, *(cells.get(stage, "") for stage in stages))
        return table


def _live() -> Live:  # type: ignore[name-defined]  # noqa: F821 - rich is imported only where there is a terminal
    from rich.console import Console
    from rich.live import Live

    return Live(console=Console(stderr=True), auto_refresh=False)


def _by_row(units: Sequence[UnitRun]) -> dict[str, list[UnitRun]]:
    rows: dict[str, list[UnitRun]] = {}
    order = {scene: place for place, scene in enumerate(dict.fromkeys(unit.scene for unit in units))}
    for unit in sorted(units, key=lambda u: (order[u.scene], u.video or "", _STAGES.index(u.stage.name))):
        rows.setdefault(f"{unit.scene}/{unit.video}" if unit.video else unit.scene, []).append(unit)
    return rows


def _cell(unit: UnitRun) -> str:
    text = unit.state.value
    if unit.state is State.WAITING:
        return "[dim]·[/]"
    if unit.state is State.RUNNING and unit.total:
        text = f"{100 * unit.done // unit.total} %"
    elif unit.state is State.DONE:
        text = f"{unit.wall_s:.1f} s"
    colour = _COLOUR.get(unit.state, "green")
    return f"[{colour}]{text}[/]"


def _detail(unit: UnitRun) -> str:
    if unit.state is State.RUNNING:
        return f", {unit.done} of {unit.total}" if unit.total else ""
    if unit.state is State.DONE and unit.manifest is not None:
        found = _found(unit)
        return f" in {unit.wall_s:.1f} s" + (f" ({found})" if found else "")
    return f" — {unit.message}" if unit.message else ""


def _found(unit: UnitRun) -> str:
    found = unit.manifest.found if unit.manifest is not None else {}
    return ", ".join(f"{name} {value}" for name, value in found.items())


def summary(units: Sequence[UnitRun], *, output: str, refused: Sequence[str] = ()) -> str:
    """The closing table: per scene and video what was found, how long it took, where it is, what failed and why."""
    lines = []
    for scene in dict.fromkeys(unit.scene for unit in units):
        own = [unit for unit in units if unit.scene == scene]
        lines += ["", f"{scene}"]
        rows = [_row(name, row) for name, row in _by_row(own).items()]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines += [
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        for unit in own:
            warnings = unit.manifest.warnings if unit.manifest is not None else ()
            lines += [f"  warning  {unit.title}: {text}" for text in warnings]
            if unit.state is State.FAILED:
                lines.append(f"  FAILED   {unit.title} (exit {unit.exit_code}): {unit.message}")
            elif unit.state in (State.BLOCKED, State.STOPPED):
                lines.append(f"  not run  {unit.title}: {unit.message or 'the run was stopped'}")
        lines.append(f"  files    {output}/{scene}/")
        if any(unit.stage.name == "report" and unit.state.good for unit in own):
            lines.append(f"  look at  {output}/{scene}/report.html")
    counts = {state: sum(unit.state is state for unit in units) for state in State}
    parts = [f"{count} {state.value}" for state, count in counts.items() if count]
    if refused:
        lines += ["", *(f"  FAILED   {reason}" for reason in refused)]
    return "\n".join([*lines, "", f"{len(units)} units: {', '.join(parts)}"])


def _row(name: str, units: Sequence[UnitRun]) -> tuple[str, str, str]:
    seconds = sum(unit.manifest.record.wall_s for unit in units if unit.manifest is not None)
    merged: dict[str, object] = {}
    for unit in units:
        for key, value in (unit.manifest.found if unit.manifest is not None else {}).items():
            merged.setdefault(key, value)  # what two stages count, the first one found
    found = ", ".join(f"{key} {value}" for key, value in merged.items())
    failed = [unit.stage.name for unit in units if unit.state is State.FAILED]
    verdict = f"FAILED in {', '.join(failed)}" if failed else found
    return name, f"{seconds:.1f} s", verdict
