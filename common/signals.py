"""SIGTERM, SIGINT and SIGHUP as an exception, held back where work must not be cut in half."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from common.errors import Terminated

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass
class _Request:
    """What signals have asked for. One per process, because signal handlers are."""

    number: int | None = None  # the signal that came first
    raised: bool = False
    held: int = 0  # how many `uninterrupted` blocks are open


_request = _Request()


@contextlib.contextmanager
def signals_as_errors() -> Iterator[None]:
    """Makes the first SIGTERM, SIGINT or SIGHUP raise Terminated; later ones must not interrupt the sweeping.

    Process 1 of a container would otherwise ignore SIGTERM, and any other process die of it without cleaning up.
    A signal that whoever started the process had it ignore stays ignored: nohup, or a job in the background.
    """
    _request.number, _request.raised = None, False
    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, _receive) for number in heard}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds Terminated back until the end of the block: for short work that must not be left half done."""
    _request.held += 1
    try:
        yield
    finally:
        _request.held -= 1
        _raise_if_due()


def _receive(number: int, _frame: FrameType | None) -> None:
    if _request.number is None:
        _request.number = number
        _raise_if_due()


def _raise_if_due() -> None:
    if _request.number is not None and not _request.raised and not _request.held:
        _request.raised = True
        name = signal.Signals(_request.number).name
        raise Terminated(f"stopped by {name}; nothing half-finished is left. Run again to go on.")
