"""How users name the place where models run: checked without importing torch, so that a wrong word costs nothing."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
from dataclasses import dataclass

from common.errors import ModelUnavailable

_LOG = logging.getLogger("ghost")

DEVICE_PATTERN = r"auto|cpu|cuda(:(0|[1-9][0-9]{0,2}))?|mps"
"""What --device accepts, for `common.stage.option(pattern=…)`."""

DEVICE_FORM = "auto, cpu, cuda, cuda:N or mps"
"""The same for people."""

WITHOUT_CUDA = ("cpu", "mps")
"""The names under which models never run on an NVIDIA GPU."""

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
"""What --precision accepts."""

REQUIRE_GPU = "GHOST_REQUIRE_GPU"
"""Variable of the environment: set where a unit was given a GPU, it makes --device auto fail without one."""

INSTALL_TORCH = "Run `make setup GPU=1`, use an image of the GPU flavour, or choose --backend embedded"
"""The way out for somebody whose environment lacks the packages of GPU backends."""


@dataclass(frozen=True)
class RanOn:
    """Where a backend's models run, for the record: what "auto" turned out to be.

    Attributes:
        device: as torch calls it: "cuda:1", "cpu"; "" where models run without torch.
        precision: the floating-point type that they compute in: "bfloat16"; "" where they decide by themselves.
    """

    device: str = ""
    precision: str = ""

    @classmethod
    def of(cls, device: object, dtype: object = "") -> RanOn:
        """The same from torch's own objects, a torch.device and a torch.dtype."""
        return cls(str(device), str(dtype).removeprefix("torch."))

    @property
    def kind(self) -> str:
        """The device without its number."""
        return self.device.partition(":")[0]


def note_cpu_only(stage: str, backend: str, device: str) -> None:
    """Says so if a backend that only knows the CPU is told to use another device: in a run that is meant for others."""
    if device not in ("auto", "cpu"):
        _LOG.info("%s: the backend %s runs on the CPU; --device %s is for others.", stage, backend, device)


def cuda_index(device: str) -> int | None:
    """The N of "cuda:N"; None for every other name."""
    kind, mark, index = device.partition(":")
    return int(index) if mark and kind == "cuda" else None


def may_use_cuda(device: str) -> bool:
    """Whether models may land on an NVIDIA GPU where there is one. Raises ValueError for a name that is none."""
    if not re.fullmatch(DEVICE_PATTERN, device):
        raise ValueError(f"device: expected {DEVICE_FORM}, got {device!r}")
    return device not in WITHOUT_CUDA


def requires_gpu() -> bool:
    """Whether whoever started this process has given it a GPU, so that the CPU would be a mistake."""
    return os.environ.get(REQUIRE_GPU, "") not in ("", "0")


def require(*packages: str, backend: str) -> None:
    """Asks for the packages of a backend before its module is imported, because that would end in a traceback.

    Args:
        packages: import names, without dots.
        backend: whose they are, for the message.

    Raises:
        ModelUnavailable: one of them is not installed.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelUnavailable(f"backend {backend} needs {' and '.join(missing)}, not installed here. {INSTALL_TORCH}.")
