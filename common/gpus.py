"""Which NVIDIA GPUs this process may use, without importing a framework: what CUDA_VISIBLE_DEVICES can be set to."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

VARIABLE = "CUDA_VISIBLE_DEVICES"
_DRIVER = Path("/proc/driver/nvidia/gpus")
_NODES = Path("/dev")
_ANSWER_S = 10.0  # nvidia-smi takes 1 to 2 s without the persistence daemon, and hangs for good on a broken GPU
_END_S = 1.0  # for a killed nvidia-smi; one that waits inside the driver does not even end then
_UUID = re.compile(r"\(UUID: ((?:GPU|MIG)-[^)\s]+)\)")
_NAME = re.compile(r"\d{1,3}|(?:GPU|MIG)-[0-9A-Za-z/-]+")
_MINOR = re.compile(r"^Device Minor:\s*(\d+)\s*$", re.MULTILINE)


def visible_gpus() -> tuple[str, ...]:
    """A name for each GPU, or part of one (MIG), that a process here may use; none if there is none.

    Where CUDA_VISIBLE_DEVICES is set (by a scheduler, by the user), it holds these. Else nvidia-smi is asked, then the
    driver. A process that gets one of the names as its CUDA_VISIBLE_DEVICES sees that one GPU, as cuda:0; one that gets
    all of them, separated by commas, sees them in this order.
    """
    named = named_gpus()
    return (_listed() or gpus_of_driver()) if named is None else named


def named_gpus() -> tuple[str, ...] | None:
    """The names in CUDA_VISIBLE_DEVICES up to the first that is none (-1, say), as CUDA reads it; None if not set."""
    limited = os.environ.get(VARIABLE)
    if limited is None:
        return None
    names: list[str] = []
    for name in (part.strip() for part in limited.split(",")):
        if not _NAME.fullmatch(name):
            break
        names.append(name)
    return tuple(dict.fromkeys(names))


def gpus_of_driver() -> tuple[str, ...]:
    """The GPUs that the driver has and whose devices are here: "0", "1" and so on. Answers at once.

    A container sees all GPUs of the machine in the driver's folder, also those that it was not given: these have no
    device in /dev.
    """
    minors: list[str] = []
    for information in _DRIVER.glob("*/information"):
        try:
            minors += _MINOR.findall(information.read_text(encoding="utf-8", errors="replace"))
        except OSError:  # a GPU that has just been taken away
            continue
    count = sum((_NODES / f"nvidia{minor}").exists() for minor in minors)
    return tuple(str(index) for index in range(count))


def _listed() -> tuple[str, ...]:
    """What `nvidia-smi --list-gpus` lists: a line for each GPU, and below it one for each part that it is cut into.

    A GPU that is cut into parts is used by them. UUIDs, since CUDA counts in another order than nvidia-smi.
    """
    program = shutil.which("nvidia-smi")
    names: list[str] = []
    for found in _UUID.findall("" if program is None else _printed_by(program, "--list-gpus")):
        if found.startswith("MIG-") and names and names[-1].startswith("GPU-"):
            names.pop()  # the whole of which this is the first part
        names.append(found)
    return tuple(names)


def _printed_by(*command: str) -> str:
    """What a program prints; "" if it fails (there is no driver behind it, as in many containers) or hangs.

    Into a file: a pipe stays open as long as any process that has inherited it.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(  # noqa: S603 - a program of the system, with fixed arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            return ""
        try:
            code = process.wait(_ANSWER_S)
        except subprocess.TimeoutExpired:
            _end(process)
            return ""
        output.seek(0)
        return output.read().decode(errors="replace") if code == 0 else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills a process and what it has started; leaves it behind if that is of no use."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_END_S)
    except (OSError, subprocess.TimeoutExpired):
        pass
