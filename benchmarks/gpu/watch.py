"""How busy a GPU is meanwhile, by the driver's own account."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import threading
import types
from typing import Self

import torch

from benchmarks.figures import Figure, information

_EVERY_MS = 100
_FEWEST = 10  # samples, a second's worth; of fewer a mean says little


class Watch:
    """Samples the share of time in which some kernel ran; to be used in `with`, also several times.

    Attributes:
        samples: per cent, one for each tenth of a second within the blocks.
    """

    def __init__(self, device: torch.device) -> None:
        """Prepares; a device that is no GPU of NVIDIA's has no samples."""
        self.samples: list[float] = []
        self._device = device
        self._process: subprocess.Popen[str] | None = None
        self._said = ""

    def __enter__(self) -> Self:
        command = shutil.which("nvidia-smi")
        if self._device.type != "cuda":
            self._said = "not a CUDA device"
        elif command is None:
            self._said = "no nvidia-smi"
        else:
            query = ("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", f"--loop-ms={_EVERY_MS}")
            self._process = subprocess.Popen(
                [command, f"--id={_uuid(self._device)}", *query],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
            self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._reader.join()
            self._process = None

    def figure(self, name: str, *, at_least: float) -> Figure:
        """How busy it was, a fraction of the time; or for information why that is not known."""
        if len(self.samples) < _FEWEST:
            return information(name, f"not measured ({self._said or f'{len(self.samples)} samples only'})")
        busy = statistics.fmean(self.samples) / 100
        return Figure(name, f">= {at_least:.0%}".replace("%", " %"), f"{busy:.0%}", ok=busy >= at_least)

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            if line.strip().isdigit():
                self.samples.append(float(line))
            elif line.strip():
                self._said = f"nvidia-smi: {line.strip()}"  # such as "[N/A]" of a part of a GPU


def _uuid(device: torch.device) -> str:
    """As nvidia-smi names it: its indices are other than torch's where CUDA_VISIBLE_DEVICES leaves some out."""
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"
