"""Whether models can run on a CUDA GPU, and if not, why: drivers, builds of torch and GPUs fit in some combinations.

torch answers "not available" to most of it. What it knows better is in warnings, and some of it nobody asks before the
first kernel is started.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass

import torch

from common.gpus import gpus_of_driver, named_gpus


@dataclass(frozen=True)
class Objection:
    """Why a GPU cannot be used.

    Attributes:
        reason: no full stop at its end.
        advice: what to do; likewise.
        surprising: whether there is a GPU, or should be one, so that somebody may wonder why it stays idle.
    """

    reason: str
    advice: str
    surprising: bool = True


def objection_to(index: int) -> Objection | None:
    """What stands against running on the CUDA GPU of this index; None if nothing does."""
    if torch.version.cuda is None and torch.version.hip is None:
        return Objection(
            f"torch {torch.__version__} is built for CPUs only",
            "Run `make setup GPU=1`, use an image of the GPU flavour, or choose --device cpu",
            surprising=_is_expected(),
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # torch says with a warning what is wrong with the driver, and answers "no"
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    said = next((str(warning.message) for warning in caught), "")
    if count == 0:
        return _no_gpu(said)
    if index >= count:
        there = "one GPU, cuda:0," if count == 1 else f"{count} GPUs, cuda:0 to cuda:{count - 1},"
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        limited = f" (CUDA_VISIBLE_DEVICES={hidden} chooses which)" if hidden else ""
        return Objection(f"this process sees {there} and no more{limited}", "Choose one of these")
    return _compatibility(index) or _start(index)


def _no_gpu(said: str) -> Objection:
    """The objection when torch counts no GPU, given what it said about it."""
    if "too old" in said:
        return Objection(
            f"the NVIDIA driver is too old for torch {torch.__version__} with CUDA {torch.version.cuda} "
            f"({sentences(said)})",
            "Update the driver, install a torch for an older CUDA, or choose --device cpu",
        )
    if said and "no NVIDIA driver" not in said:
        return Objection(f"CUDA does not start ({sentences(said)})", "Repair the driver, or choose --device cpu")
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return Objection(
            f"no GPU can be seen, CUDA_VISIBLE_DEVICES is {hidden!r}",
            "Correct it, ask the scheduler for a GPU, or choose --device cpu",
            surprising=_is_expected(),
        )
    return Objection(
        "no NVIDIA GPU or driver can be seen here",
        "Start containers with the GPU (docker --gpus all, apptainer --nv), ask the scheduler for one, "
        "or choose --device cpu",
        surprising=_is_expected(),
    )


def _is_expected() -> bool:
    """Whether this process should see a GPU: one was named for it, or the driver has some and none is hidden."""
    named = named_gpus()
    return bool(gpus_of_driver() if named is None else named)


def _compatibility(index: int) -> Objection | None:
    """The objection if this torch holds no code that the GPU can run."""
    if torch.version.cuda is None:
        return None  # ROCm checks for itself
    architectures = torch.cuda.get_arch_list()
    capability = torch.cuda.get_device_capability(index)
    if not architectures or any(_runs_on(name, capability) for name in architectures):
        return None
    major, minor = capability
    return Objection(
        f"{torch.cuda.get_device_name(index)} has compute capability {major}.{minor}, and torch {torch.__version__} "
        f"is built for {', '.join(architectures)}",
        "Install a torch that is built for this GPU, or choose --device cpu",
    )


def _runs_on(architecture: str, capability: tuple[int, int]) -> bool:
    """Whether code for an architecture runs on a GPU (CUDA C++ Programming Guide, "Application compatibility").

    Machine code ("sm_86") runs on GPUs of the same major version from its minor version on, the specialised kind
    ("sm_90a") on exactly its own, and PTX ("compute_80") on everything later, translated by the driver.
    """
    kind, _, digits = architecture.partition("_")
    number = digits.rstrip("af")
    if not number.isdigit():
        return False
    version = int(number[:-1]), int(number[-1])
    if kind == "compute":
        return version <= capability
    if digits.endswith("a"):
        return version == capability
    return version[0] == capability[0] and version[1] <= capability[1]


def _start(index: int) -> Objection | None:
    """Puts one number onto the GPU: what is still wrong, a GPU in exclusive use for one, shows only then."""
    try:
        torch.zeros(1, device=torch.device("cuda", index))
    except (RuntimeError, AssertionError) as error:
        return Objection(
            f"CUDA does not start ({sentences(error)})",
            "See with nvidia-smi whether somebody else uses the GPU, choose another one, or --device cpu",
        )
    return None


def sentences(said: object, count: int = 1) -> str:
    """The first sentences of a message, without the last full stop: torch's go on with a page of advice."""
    text = str(said).strip() or type(said).__name__
    return ". ".join(text.splitlines()[0].split(". ")[:count]).rstrip(". ")
