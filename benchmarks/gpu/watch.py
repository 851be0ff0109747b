"""How busy a GPU is meanwhile, by the driver's own account: NVML, the library behind nvidia-smi."""

from __future__ import annotations

import ctypes
import statistics
import threading
import time
import types
from typing import Any, Self

import torch

from benchmarks.figures import Figure, information

_LIBRARY = "libnvidia-ml.so.1"  # comes with every driver
_EVERY_S = 0.1
_WINDOW_S = 1.0
"""The longest time that a value speaks of (NVML, nvmlUtilization_t: "may be between 1 second and 1/6 second"): what is
read earlier than that after the beginning is about what was before, too."""
_FEWEST = 10  # samples, a second's worth; of fewer a mean says little


class Watch:
    """Samples the share of time in which some kernel ran; to be used in `with`, also several times.

    Attributes:
        samples: per cent, one for each tenth of a second within the blocks, the first second of each left out.
    """

    def __init__(self, device: torch.device) -> None:
        """Asks for the device; one that is no GPU of NVIDIA's has no samples."""
        self.samples: list[int] = []
        self._said = ""
        self._gpu: _Gpu | None = None
        if device.type != "cuda":
            self._said = "not a CUDA device"
            return
        try:
            # As NVML names it: its indices are other than torch's where CUDA_VISIBLE_DEVICES leaves some out.
            self._gpu = _Gpu(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        except (OSError, AttributeError) as error:  # no such library, or no such function in it
            self._said = f"NVML: {error}"

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def figure(self, name: str, *, at_least: float, needed: bool) -> Figure:
        """How busy it was; or why that is not known.

        Args:
            name: of the figure.
            at_least: the fraction of the time that is asked for.
            needed: whether it falls short if it cannot be measured; else that is for information.
        """
        asked = f">= {100 * at_least:.0f} %"
        if len(self.samples) < _FEWEST:
            reason = f"not measured ({self._said or f'{len(self.samples)} samples only'})"
            return Figure(name, asked, reason, ok=False) if needed else information(name, reason)
        busy = statistics.fmean(self.samples) / 100
        measured = f"{100 * busy:.1f} % (of {len(self.samples) * _EVERY_S:.0f} s)"
        return Figure(name, asked, measured, ok=busy >= at_least)

    def _sample(self) -> None:
        begun = time.monotonic()
        while self._gpu is not None and not self._over.wait(_EVERY_S):
            try:
                busy = self._gpu.busy()
            except OSError as error:
                self._said = f"NVML: {error}"
                return
            if time.monotonic() - begun >= _WINDOW_S:
                self.samples.append(busy)


class _Rates(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))  # nvmlUtilization_t, per cent


class _Gpu:
    """A GPU, by NVML; OSError where that is not there or refuses."""

    def __init__(self, uuid: str) -> None:
        self._nvml: Any = ctypes.CDLL(_LIBRARY)
        self._nvml.nvmlErrorString.restype = ctypes.c_char_p
        self._handle = ctypes.c_void_p()
        self._call("nvmlInit_v2")
        self._call("nvmlDeviceGetHandleByUUID", uuid.encode(), ctypes.byref(self._handle))

    def busy(self) -> int:
        """Per cent of the last second or less in which some kernel ran."""
        rates = _Rates()
        self._call("nvmlDeviceGetUtilizationRates", self._handle, ctypes.byref(rates))
        return int(rates.gpu)

    def _call(self, name: str, *arguments: object) -> None:
        failure = getattr(self._nvml, name)(*arguments)
        if failure:
            raise OSError(f"{name}: {self._nvml.nvmlErrorString(failure).decode()}")
