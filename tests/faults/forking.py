"""Work in forked processes, for the programs of this folder: cheap, and harmless where there are no threads."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable


def start(work: Callable[..., None], *arguments: object) -> int:
    """Begins the work in a child; returns its process id."""
    child = os.fork()
    if child == 0:
        try:
            work(*arguments)
        except BaseException:  # noqa: BLE001 - a child must never go on as if it were its parent
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def result(child: int) -> int:
    """The exit code of a child, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(work: Callable[..., None], *arguments: object) -> int:
    """Does the work in a child, to its end."""
    return result(start(work, *arguments))
