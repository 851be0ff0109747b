"""One unit of a stage in a process of its own, forked from a server that has loaded what all stages load.

Importing numpy, OpenCV, SciPy, PyAV and the model runtimes costs 0.8 s of CPU (measured), as much as ten frames of a
model. So a server process imports them once, and every unit begins as a copy of it. The server runs no stage and opens
no model; what a unit does to its memory dies with it.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

from common import progress

_PRELOAD = (
    "numpy",
    "cv2",
    "av",
    "scipy.fft",
    "scipy.ndimage",
    "scipy.optimize",
    "onnxruntime",
    "ai_edge_litert.interpreter",
    "workflows.pipeline",
    "common.command",
)
_ONE_THREAD = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
)  # as many processes as cores run already, but for machine.model_threads
_FORKS = multiprocessing.get_context("forkserver")
_STATUS = threading.Lock()  # starting a process asks for the status of all others, and a status can be read only once


class UnitProcess:
    """A stage's command at work.

    Attributes:
        events: what it writes to its standard output, line by line: progress as JSON.
        log: what it writes to its standard error.
    """

    def __init__(self, stage: str, arguments: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        """Starts it; the first one starts the server too.

        Args:
            stage: name of the stage.
            arguments: of its command.
            environment: variables that are set in it before anything reads them: which GPU it sees.
        """
        _prepare_server()
        events, event_end = _FORKS.Pipe(duplex=False)
        log, log_end = _FORKS.Pipe(duplex=False)
        told = (stage, tuple(arguments), dict(environment or {}), event_end, log_end)
        self._process = _FORKS.Process(target=_run, args=told, daemon=True)
        with _STATUS:
            self._process.start()
        event_end.close()
        log_end.close()
        self.events, self.log = _lines_of(events), _lines_of(log)

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit code, negative if a signal ended it; None if it still runs after `timeout` seconds."""
        connection.wait([self._process.sentinel], timeout)
        with _STATUS:
            return self._process.exitcode

    def terminate(self) -> None:
        """Asks it to stop: it sweeps its attempt and ends."""
        self._process.terminate()

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()


def _prepare_server() -> None:
    """Settings that the server inherits when the first unit starts it."""
    for variable in _ONE_THREAD:
        os.environ.setdefault(variable, "1")
    # Whatever lies in the user's folder must not be taken for ghost's code or for a library.
    os.environ["PYTHONSAFEPATH"] = "1"
    os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent)
    _FORKS.set_forkserver_preload(list(_PRELOAD))


def _lines_of(end: Connection) -> TextIO:
    descriptor = os.dup(end.fileno())
    end.close()
    return os.fdopen(descriptor, encoding="utf-8", errors="replace")


def _run(
    stage: str, arguments: tuple[str, ...], environment: Mapping[str, str], events: Connection, log: Connection
) -> None:
    """Runs in the child: becomes the stage's command, with its output going to the parent. Ends with SystemExit."""
    os.environ.update(environment)  # the server has no torch loaded, which would have looked at it already
    from common.command import run_command, stage_command
    from workflows.pipeline import STAGES

    os.dup2(events.fileno(), 1)
    os.dup2(log.fileno(), 2)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
    os.environ[progress.VARIABLE] = "json"
    declared = next(candidate for candidate in STAGES if candidate.name == stage)
    run_command(stage_command(declared), arguments)
