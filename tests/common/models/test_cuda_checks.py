from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch

from common.models import cuda_checks
from common.models.cuda_checks import objection_to, sentences

TOO_OLD = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU "
    "driver by downloading and installing a new version. (Triggered internally at CUDAFunctions.cpp:119.)"
)
NO_DRIVER = "CUDA initialization: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU."
UNKNOWN = "CUDA initialization: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before?"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what torch says of the machine: that of CUDA for 2 H100 unless told otherwise."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def set_up(
        *,
        count: int = 2,
        capability: tuple[int, int] = (9, 0),
        architectures: tuple[str, ...] = ("sm_80", "sm_90"),
        cuda: str | None = "13.0",
        says: str = "",
        start: Exception | None = None,
    ) -> None:
        def is_available() -> bool:
            if says:
                warnings.warn(says, stacklevel=2)
            return count > 0

        def zeros(*_: object, **__: object) -> None:
            if start is not None:
                raise start

        monkeypatch.setattr(torch.version, "cuda", cuda)
        monkeypatch.setattr(torch.cuda, "is_available", is_available)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(architectures))
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _=None: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _=None: "NVIDIA GeForce")
        monkeypatch.setattr(cuda_checks.torch, "zeros", zeros)

    return set_up


def test_nothing_stands_against_a_gpu_that_works(machine: Callable[..., None]):
    machine()
    assert objection_to(0) is None
    assert objection_to(1) is None


@pytest.mark.parametrize(
    ("trouble", "index", "reason", "advice"),
    [
        ({"cuda": None}, 0, "is built for CPUs only", "make setup GPU=1"),
        ({"count": 0, "says": TOO_OLD}, 0, "driver is too old", "Update the driver"),
        ({"count": 0, "says": NO_DRIVER}, 0, "no NVIDIA GPU or driver can be seen", "--nv"),
        ({"count": 0}, 0, "no NVIDIA GPU or driver can be seen", "--gpus all"),
        ({"count": 0, "says": UNKNOWN}, 0, "Unexpected error from cudaGetDeviceCount()", "Repair the driver"),
        ({"count": 1}, 1, "sees one GPU, cuda:0,", "Choose"),
        ({"count": 2}, 3, "sees 2 GPUs, cuda:0 to cuda:1,", "Choose"),
        ({"capability": (6, 1)}, 0, "NVIDIA GeForce has compute capability 6.1", "Install a torch"),
        ({"start": RuntimeError("CUDA error: devices are busy\nmore")}, 0, "devices are busy", "nvidia-smi"),
    ],
    ids=["cpu build", "old driver", "no driver", "no gpu", "broken", "1 of 1", "3 of 2", "old gpu", "busy"],
)  # fmt: skip
def test_what_stands_against_a_gpu_is_said_with_what_to_do(
    machine: Callable[..., None], trouble: dict[str, object], index: int, reason: str, advice: str
):
    machine(**trouble)
    found = objection_to(index)
    assert found is not None
    assert reason in found.reason
    assert advice in found.advice
    assert "\n" not in found.reason
    assert not found.reason.endswith(".")
    assert not found.advice.endswith(".")


def test_the_versions_that_do_not_fit_are_named(machine: Callable[..., None]):
    machine(count=0, says=TOO_OLD)
    found = objection_to(0)
    assert found is not None
    for part in ("found version 11040", "CUDA 13.0", torch.__version__):
        assert part in found.reason


def test_a_gpu_that_was_hidden_is_explained_by_what_hides_it(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
):
    machine(count=0, says=NO_DRIVER)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = objection_to(0)
    assert found is not None
    assert "CUDA_VISIBLE_DEVICES is ''" in found.reason
    machine(count=1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    found = objection_to(1)
    assert found is not None
    assert "CUDA_VISIBLE_DEVICES=3" in found.reason


@pytest.mark.parametrize(
    ("trouble", "devices", "named", "surprising"),
    [
        ({"count": 0}, (), None, False),
        ({"count": 0}, ("0",), None, True),
        ({"count": 0}, ("0",), "", False),  # hidden on purpose
        ({"count": 0}, ("0",), "-1", False),
        ({"count": 0}, (), "GPU-5d5ba0d6", True),  # somebody has given it to this process
        ({"cuda": None}, (), None, False),
        ({"cuda": None}, ("0",), None, True),
        ({"cuda": None}, ("0",), "", False),
        ({"cuda": None}, (), "0", True),
        ({"capability": (5, 0)}, ("0",), None, True),
        ({"count": 0, "says": TOO_OLD}, ("0",), None, True),
    ],
    ids=str,
)
def test_it_surprises_that_a_gpu_is_of_no_use_where_there_is_one_or_should_be(
    machine: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    trouble: dict[str, object],
    devices: tuple[str, ...],
    named: str | None,
    surprising: bool,
):
    machine(**trouble)
    monkeypatch.setattr(cuda_checks, "gpus_of_driver", lambda: devices)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    found = objection_to(0)
    assert found is not None
    assert found.surprising is surprising


@pytest.mark.parametrize(
    ("architectures", "capability", "runs"),
    [
        (("sm_80",), (8, 6), True),
        (("sm_86",), (8, 0), False),
        (("sm_80",), (9, 0), False),
        (("sm_80", "compute_80"), (9, 0), True),
        (("compute_90",), (8, 9), False),
        (("sm_90a",), (9, 0), True),
        (("sm_100a",), (10, 3), False),
        (("sm_100f",), (10, 3), True),
        (("sm_120",), (12, 0), True),
        (("gfx90a",), (9, 0), False),
        ((), (3, 5), True),  # torch does not say
    ],
)
def test_code_runs_on_the_gpus_that_it_is_compatible_with(
    machine: Callable[..., None], architectures: tuple[str, ...], capability: tuple[int, int], runs: bool
):
    machine(architectures=architectures, capability=capability)
    assert (objection_to(0) is None) is runs


def test_of_a_message_the_first_sentences_are_kept():
    text = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB.\nSee the docs."
    assert sentences(RuntimeError(text)) == "CUDA out of memory"
    assert sentences(RuntimeError(text), 2) == "CUDA out of memory. Tried to allocate 2.00 GiB"
    assert sentences(MemoryError()) == "MemoryError"
