"""Figures from a process of their own: when a step crashes, that is a figure that falls short, and the rest goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure

ROOT = Path(__file__).resolve().parents[2]
"""Of the repository, from where the worker's modules are found."""

LONGEST_S = 3600.0
"""After which a step counts as one that hangs: on an H100 none should take a tenth of it."""


class SkippedError(Exception):
    """Nothing can be measured here; says why."""


def figures(
    request: dict[str, Any], *, longest: float = LONGEST_S, module: str = "benchmarks.gpu.worker"
) -> Iterator[Figure]:
    """The figures as they become known; a worker is started anew behind a step that ends it.

    Args:
        request: see `benchmarks.gpu.worker`, without `first`.
        longest: seconds that a step may take; what is before the first and behind the last one may take LONGEST_S.
        module: the worker.

    Raises:
        SkippedError: nothing can be measured here.
    """
    first = 0
    while True:
        worker = _Worker([sys.executable, "-m", module, json.dumps({**request, "first": first})], longest)
        yield from worker.figures()
        if worker.failed is None:
            return
        yield Figure(worker.name, "to be measured", f"failed: {worker.failed}", ok=False)
        first = worker.step + 1
        if worker.step <= 0 or first >= worker.of:  # without preparations nothing else can be done
            return


class _Worker:
    """One run of a worker.

    Attributes:
        step: number of the last step that was begun; -1 if there was none.
        name: of that step.
        of: how many there are.
        failed: what ended it before its end; None if nothing did.
    """

    def __init__(self, command: list[str], longest: float) -> None:
        self.step, self.name, self.of = -1, "preparations", 0
        self.failed: str | None = None
        self._command, self._longest = command, longest
        self._stopped = ""
        self._error = ""

    def figures(self) -> Iterator[Figure]:
        """What it finds."""
        # A kernel that was compiled for an earlier run would make compiling look cheap.
        surroundings = {**os.environ, "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
        with subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=surroundings) as process:
            try:
                yield from self._said_by(process)
            finally:
                process.kill()  # also when whoever asks for figures is interrupted

    def _said_by(self, process: subprocess.Popen[str]) -> Iterator[Figure]:
        clock = self._clock(process, LONGEST_S)  # how long an interpreter starts is no matter of the steps
        done = False
        try:
            for line in process.stdout or ():
                said = _parsed(line)
                if "skipped" in said:
                    raise SkippedError(said["skipped"])
                if "figure" in said:
                    yield Figure(**said["figure"])
                if "step" in said:
                    self.step, self.name, self.of = said["step"], said["name"], said["of"]
                    clock.cancel()
                    clock = self._clock(process, self._longest)
                if "done" in said:
                    done = True
                    clock.cancel()
                    clock = self._clock(process, LONGEST_S)
                self._error = said.get("error", self._error)
            status = process.wait()
        finally:
            clock.cancel()
        if self._stopped:
            self.failed = self._stopped
        elif status or not done:  # some libraries end a process with status 0
            by = f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            self.failed = self._error or by

    def _clock(self, process: subprocess.Popen[str], longest: float) -> threading.Timer:
        def stop() -> None:
            self._stopped = f"stopped after {longest:.0f} s"
            process.kill()

        clock = threading.Timer(longest, stop)
        clock.daemon = True
        clock.start()
        return clock


def _parsed(line: str) -> dict[str, Any]:
    """What a line says; nothing if a library printed it, which is passed on to stderr."""
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if isinstance(said, dict):
        return said
    sys.stderr.write(line)
    return {}
