"""How far long work has come: a live bar on a terminal, plain lines in a log, JSON lines for the program above.

Which of the three is decided by the environment (GHOST_PROGRESS=json, set by `ghost run`) and by where stderr goes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from common.errors import Terminated

Item = TypeVar("Item")
_LOG = logging.getLogger("ghost")
_EVERY_S = 10.0  # a log line at most so often
_EVENT_S = 0.2  # an event for the live table at most so often
_ARGO_S = 3.0  # Argo's executor looks that often
VARIABLE = "GHOST_PROGRESS"
ARGO_FILE = "ARGO_PROGRESS_FILE"  # where Argo's executor reads "done/total", for `argo get` and its page


def track(items: Iterable[Item], *, total: int, label: str, title: str) -> Iterator[Item]:
    """Passes items on, reporting how many of `total` have passed.

    Args:
        items: the work.
        total: how many there will be; an estimate is fine.
        label: what is counted, plural.
        title: whose work it is.
    """
    if os.environ.get(VARIABLE) == "json":
        yield from _events(items, total=total, label=label)
    elif sys.stderr.isatty():
        yield from _bar(items, total=total, title=title)
    else:
        yield from _lines(items, total=total, label=label, title=title)


def _events(items: Iterable[Item], *, total: int, label: str) -> Iterator[Item]:
    last = -_EVENT_S
    done = 0
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= _EVENT_S:
            last = now
            _emit(done, total, label)
    _emit(done, total, label)


def _emit(done: int, total: int, label: str) -> None:
    try:
        sys.stdout.write(json.dumps({"done": done, "total": total, "label": label}) + "\n")
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise Terminated("the program that started this one is gone; nothing half-finished is left.") from error


def _bar(items: Iterable[Item], *, total: int, title: str) -> Iterator[Item]:
    import click

    with click.progressbar(items, length=total, label=title, file=sys.stderr) as bar:
        yield from bar


def _lines(items: Iterable[Item], *, total: int, label: str, title: str) -> Iterator[Item]:
    start = last = shown = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - shown >= _ARGO_S:
            shown = now
            _tell_argo(done, total)
        if now - last >= _EVERY_S:
            last = now
            left = (now - start) / done * max(0, total - done)
            _LOG.info("%s: %d of %d %s, about %.0f s left", title, done, total, label, left)


def _tell_argo(done: int, total: int) -> None:
    file = os.environ.get(ARGO_FILE)
    if file:
        with contextlib.suppress(OSError):  # a picture of the progress, no more
            Path(file).write_text(f"{min(done, total)}/{total}\n", encoding="ascii")
