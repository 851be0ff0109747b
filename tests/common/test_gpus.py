from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from common import gpus
from common.gpus import gpus_of_driver, visible_gpus

LISTED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-a1b2c3d4-0000-2b2c-524d-9e3d8d2b8a78)
"""
CUT = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 3g.20gb     Device  0: (UUID: MIG-11111111-ab5c-5c87-8b3f-5a8f4a9d9a11)
  MIG 3g.20gb     Device  1: (UUID: MIG-22222222-ab5c-5c87-8b3f-5a8f4a9d9a11)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-a1b2c3d4-0000-2b2c-524d-9e3d8d2b8a78)
"""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without anything; its folder of programs, which is searched alone."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus, "_DRIVER", tmp_path / "driver")
    monkeypatch.setattr(gpus, "_NODES", tmp_path / "dev")
    for folder in ("bin", "dev"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def install(folder: Path, prints: str, *, code: int = 0) -> None:
    """An nvidia-smi that lists GPUs if it is asked the right question."""
    program = folder / "nvidia-smi"
    answer = "\n".join(f"echo '{line}'" for line in prints.splitlines())
    program.write_text(f'#!/bin/sh\n[ "$*" = --list-gpus ] || exit 9\n{answer}\nexit {code}\n', encoding="utf-8")
    program.chmod(0o755)


def test_a_machine_without_a_driver_has_none(machine: Path):
    assert visible_gpus() == ()


def test_gpus_are_named_by_what_does_not_depend_on_an_order(machine: Path):
    install(machine, LISTED)
    assert visible_gpus() == (
        "GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77",
        "GPU-a1b2c3d4-0000-2b2c-524d-9e3d8d2b8a78",
    )


def test_a_gpu_that_is_cut_into_parts_is_used_by_them(machine: Path):
    install(machine, CUT)
    assert visible_gpus() == (
        "MIG-11111111-ab5c-5c87-8b3f-5a8f4a9d9a11",
        "MIG-22222222-ab5c-5c87-8b3f-5a8f4a9d9a11",
        "GPU-a1b2c3d4-0000-2b2c-524d-9e3d8d2b8a78",
    )


def plug_in(folder: Path, address: str, minor: int, *, device: bool = True) -> None:
    """A GPU as the driver shows it, with its device unless the container was not given that."""
    (folder / "driver" / address).mkdir(parents=True)
    text = f"Model: \t\t NVIDIA A100\nBus Location: \t {address}\nDevice Minor: \t {minor}\nGPU Excluded:\t No\n"
    (folder / "driver" / address / "information").write_text(text, encoding="utf-8")
    if device:
        (folder / "dev" / f"nvidia{minor}").touch()


def test_where_there_is_no_nvidia_smi_or_it_fails_the_driver_is_asked(machine: Path, tmp_path: Path):
    for minor, address in enumerate(("0000:07:00.0", "0000:0f:00.0")):
        plug_in(tmp_path, address, minor)
    assert visible_gpus() == ("0", "1")
    install(machine, "NVIDIA-SMI has failed", code=9)
    assert visible_gpus() == ("0", "1")


def test_gpus_of_the_machine_that_a_container_was_not_given_are_none_of_its(machine: Path, tmp_path: Path):
    for minor, address in enumerate(("0000:07:00.0", "0000:0f:00.0", "0000:47:00.0")):
        plug_in(tmp_path, address, minor, device=address == "0000:0f:00.0")
    (tmp_path / "dev" / "nvidiactl").touch()
    assert visible_gpus() == gpus_of_driver() == ("0",), "CUDA counts those that can be opened"
    (tmp_path / "dev" / "nvidia1").unlink()
    assert visible_gpus() == gpus_of_driver() == ()


def test_an_nvidia_smi_that_hangs_is_not_waited_for(machine: Path, monkeypatch: pytest.MonkeyPatch):
    program = machine / "nvidia-smi"
    program.write_text("#!/bin/sh\n/bin/sleep 60\n", encoding="utf-8")  # a child that keeps what it has inherited
    program.chmod(0o755)
    monkeypatch.setattr(gpus, "_ANSWER_S", 0.05)
    start = time.monotonic()
    assert visible_gpus() == ()
    took = time.monotonic() - start
    assert took < 20, f"waited {took:.1f} s"


def test_an_nvidia_smi_that_cannot_even_be_killed_is_left_behind(machine: Path, monkeypatch: pytest.MonkeyPatch):
    class Stuck:
        """As a process is that waits inside the driver."""

        pid = 2**30  # nobody's

        def __init__(self, *_: object, **__: object) -> None:
            pass

        def wait(self, timeout: float | None = None) -> int:
            assert timeout is not None, "waits for ever"
            raise subprocess.TimeoutExpired("nvidia-smi", timeout)

    install(machine, LISTED)
    monkeypatch.setattr(gpus.subprocess, "Popen", Stuck)
    monkeypatch.setattr(gpus.os, "killpg", lambda group, number: None)
    assert visible_gpus() == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", ("0",)),
        ("2,0", ("2", "0")),
        (" 1 , 3 ", ("1", "3")),
        ("GPU-5d5ba0d6,GPU-a1b2", ("GPU-5d5ba0d6", "GPU-a1b2")),
        ("MIG-GPU-5d5ba0d6-d33d/1/0,MIG-22222222-ab5c", ("MIG-GPU-5d5ba0d6-d33d/1/0", "MIG-22222222-ab5c")),
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("0,-1,1", ("0",)),
        ("1,1", ("1",)),
        ("0;rm", ()),
    ],
)
def test_the_environment_decides_if_it_says_anything(
    machine: Path, monkeypatch: pytest.MonkeyPatch, value: str, expected: tuple[str, ...]
):
    install(machine, LISTED)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_gpus() == expected
