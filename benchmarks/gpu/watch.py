"""How busy a GPU is meanwhile, by the driver's own account."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import threading
import types
from typing import Self

_EVERY_MS = 100


class Watch:
    """Samples the share of time in which some kernel ran; to be used in `with`.

    Attributes:
        samples: per cent, one for each tenth of a second.
    """

    def __init__(self, gpu: str) -> None:
        """Prepares.

        Args:
            gpu: index, or UUID, as `nvidia-smi --id` takes it.
        """
        self.samples: list[float] = []
        self._gpu = gpu

    def __enter__(self) -> Self:
        command = shutil.which("nvidia-smi")
        self._process: subprocess.Popen[str] | None = None
        if command is None:
            return self
        query = ("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")
        self._process = subprocess.Popen(
            [command, f"--id={self._gpu}", *query, f"--loop-ms={_EVERY_MS}"], stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._reader.join()

    @property
    def busy(self) -> float | None:
        """Mean of the samples as a fraction; None if there are none."""
        return statistics.fmean(self.samples) / 100 if self.samples else None

    def _read(self) -> None:
        assert self._process is not None  # noqa: S101 - started by the same method
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        for line in self._process.stdout:
            if line.strip().isdigit():
                self.samples.append(float(line))
