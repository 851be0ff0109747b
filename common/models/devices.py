"""Where GPU backends run their models, in which precision, and what they do when memory runs out.

Imports torch, so only modules that a GPU backend reaches may import it; `common.device_names` has what can be said
about devices without torch.
"""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

from common.device_names import DEVICE_FORM, DEVICE_PATTERN, REQUIRE_GPU, cuda_index, requires_gpu
from common.errors import ModelUnavailable, UsageError
from common.models.cuda_checks import Objection, objection_to, sentences

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOG = logging.getLogger("ghost")
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_BFLOAT16_SINCE = (8, 0)
"""Compute capability (Ampere) from which bfloat16 runs in hardware; torch only emulates it on older GPUs."""

_MEMORY_TEXTS = (
    "out of memory",  # CUDA (also as AcceleratorError, outside torch's allocator) and "MPS backend out of memory"
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "can't allocate memory",  # torch's allocator for the CPU
    "not enough memory",
)


def resolve(device: str) -> torch.device:
    """The device to run on.

    "auto" is the first CUDA GPU if models can run on it, else the CPU, unless a GPU is required (GHOST_REQUIRE_GPU);
    `announce` says which. It never is "mps": nothing has been measured there, so it has to be asked for. ROCm's GPUs go
    by the name "cuda".

    Args:
        device: "auto", "cpu", "cuda" (the first one), "cuda:N" or "mps".

    Returns:
        A device with an index where it has one, so that it equals the device of a tensor that lies there.

    Raises:
        UsageError: the name is none of these.
        ModelUnavailable: it is not there, or this torch cannot use it; or "auto" finds no GPU where one is required.
            Says why, and what to do.
    """
    if not re.fullmatch(DEVICE_PATTERN, device):
        raise UsageError(f"--device: expected {DEVICE_FORM}, got {device!r}.")
    if device == "cpu":
        return torch.device("cpu")
    if device == "mps":
        return _mps()
    if device == "auto":
        objection = _objection_to_auto()
        if objection is None:
            return torch.device("cuda", 0)
        if requires_gpu():
            raise ModelUnavailable(
                f"--device auto: a GPU was given to this process ({REQUIRE_GPU} says so), and {objection.reason}. "
                f"{objection.advice}."
            )
        return torch.device("cpu")
    index = cuda_index(device) or 0
    objection = objection_to(index)
    if objection is not None:
        raise ModelUnavailable(f"--device {device}: {objection.reason}. {objection.advice}.")
    return torch.device("cuda", index)


@functools.cache
def _objection_to_auto() -> Objection | None:
    """What makes "auto" the CPU. Asked once: torch says only the first time what is wrong with the driver."""
    return objection_to(0)


def announce(asked: str, device: torch.device, dtype: torch.dtype | None = None) -> str:
    """Says in the log where models run, and why not on a GPU: once in a process, however many models it loads.

    That a GPU stays idle on which somebody may count is a warning: the CPU can take a hundred times as long.

    Args:
        asked: what `resolve` was given.
        device: what it returned.
        dtype: what the models compute in; None where they decide that themselves.

    Returns:
        What the result's warnings should say, too; "" if nothing is surprising.
    """
    name = f"{torch.cuda.get_device_name(device)} ({device})" if device.type == "cuda" else device.type.upper()
    where = name if dtype is None else f"{name}, {str(dtype).removeprefix('torch.')}"
    objection = _objection_to_auto() if asked == "auto" and device.type == "cpu" else None
    if objection is None:
        _say(logging.INFO, f"models run on {where}")
        return ""
    said = f"models run on {where}: {objection.reason}"
    if not objection.surprising:
        _say(logging.INFO, said)
        return ""
    warning = f"{said}. {objection.advice}."
    _say(logging.WARNING, warning)
    return warning


@functools.cache
def _say(level: int, message: str) -> None:
    _LOG.log(level, "%s", message)


def _mps() -> torch.device:
    if not torch.backends.mps.is_available():
        built = "there is none here" if torch.backends.mps.is_built() else "this torch is built without it"
        raise ModelUnavailable(f"--device mps is the GPU of an Apple computer, and {built}. Choose --device auto.")
    return torch.device("mps")


def resolve_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The floating-point type that models compute in.

    "auto" is bfloat16 on CUDA GPUs that have it in hardware, float16 on older ones, and float32 elsewhere: on a CPU
    half precision is slower, and float32 is what results are compared with.

    Args:
        precision: "auto", "float32", "bfloat16" or "float16".
        device: from `resolve`.

    Raises:
        UsageError: the name is none of these.
    """
    if precision in _DTYPES:
        return _DTYPES[precision]
    if precision != "auto":
        raise UsageError(f"--precision: expected one of auto, {', '.join(_DTYPES)}, got {precision!r}.")
    if device.type != "cuda":
        return torch.float32
    if torch.version.hip is not None:
        return torch.bfloat16  # every AMD GPU that torch is built for has it
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= _BFLOAT16_SINCE else torch.float16


def deterministic() -> None:
    """Makes torch give the same result for the same input on the same kind of device. Call it before the first model.

    The differences are small (1e-3 in features of a vision transformer) and flip decisions that are close. Chosen are
    the algorithms of cuDNN and cuBLAS; all other forward operations of the models here are deterministic as they are.
    `torch.use_deterministic_algorithms` is left alone: it is made for training, and replaces bilinear resizing on a
    GPU, whose forward pass is deterministic, by a slow composition that takes many times the memory (torch 2.13).

    float32 means float32: TF32, with 10 bits of mantissa, is switched off. Half precision is what --precision is for.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when torch makes its first handle of cuBLAS
    torch.backends.cudnn.benchmark = False  # it would choose algorithms by how fast they happened to be
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device has too little memory left for what was tried, and less might fit."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _MEMORY_TEXTS)


@contextmanager
def memory_explained(where: str, *instead: str) -> Iterator[None]:
    """Within it, memory that runs out is said as what it is: for work that cannot be cut into smaller `Batches`.

    Args:
        where: what is done, after "memory runs out": "while loading sam3".
        instead: what else the user may choose, said before what always may help.

    Raises:
        ModelUnavailable: memory ran out. All other errors stay as they are.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise ModelUnavailable(
            f"memory runs out {where} ({sentences(error, 2)}). {_advice('--precision bfloat16 or float16', *instead)}."
        ) from error


def _advice(*choices: str) -> str:
    """What to choose where memory runs out."""
    always = ("a GPU with more memory or one that nobody else uses", "or --device cpu")
    return "Choose " + ", ".join(("a smaller model", *choices, *always))


def empty_cache() -> None:
    """Gives back what torch keeps of memory that nobody uses, so that a smaller batch can have it in one piece."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


@dataclass
class Batches:
    """Runs work over items in batches that fit into memory, and remembers which size did.

    Attributes:
        what: what an item is, for messages: "people", "windows".
        limit: the largest batch; it falls when memory runs out and never rises again: a size that failed once would
            only fail again, at the price of the attempt.
        has_precision: whether the user may choose one, for the message that says what to do.
    """

    what: str
    limit: int | None = None
    has_precision: bool = True

    def run(self, work: Callable[[Sequence[Item]], Sequence[Result]], items: Sequence[Item]) -> list[Result]:
        """The results of all items, in their order.

        Args:
            work: takes a batch and gives one result for each of its items. It may be called again with a part of a
                batch, so whatever else it changes must bear that.
            items: any number.

        Raises:
            ModelUnavailable: one item alone does not fit.
        """
        results: list[Result] = []
        while len(results) < len(items):
            size = min(len(items) - len(results), self.limit or len(items))
            batch = items[len(results) : len(results) + size]
            try:
                done = list(work(batch))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1:
                    raise ModelUnavailable(f"{self._too_large()} ({sentences(error, 2)}).") from error
                said = sentences(error, 2)
            else:
                if len(done) != size:
                    raise ValueError(f"work: expected {size} results, one for each item of the batch, got {len(done)}")
                results += done
                continue
            # Out of the except clause, which holds on to the frames of `work`, and so to its tensors.
            empty_cache()
            self.limit = size // 2
            _LOG.warning("Memory ran out with %d %s at once; going on with %d (%s).", size, self.what, self.limit, said)
        return results

    def _too_large(self) -> str:
        precision = ("--precision bfloat16 or float16",) if self.has_precision else ()
        return f"memory runs out with a single one of the {self.what}. {_advice(*precision)}"
