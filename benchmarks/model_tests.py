"""How long the tests of the GPU backends take: real adapters, tiny models of random weights, one thread."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import Figure

ROOT = Path(__file__).parent.parent
TESTS = (
    "tests/stages/segment/prompted/test_grounding_dino.py",
    "tests/stages/segment/prompted/test_sam2.py",
    "tests/stages/segment/prompted/test_sam2_package.py",
    "tests/stages/segment/prompted/test_sam2_pictures.py",
    "tests/stages/segment/prompted/test_sam3_follower.py",
    "tests/stages/segment/prompted/test_sam3_model.py",
    "tests/stages/segment/prompted/test_sam3_session.py",
    "tests/stages/segment/prompted/test_sam3_stream.py",
    "tests/stages/segment/backends/test_sam3.py",
    "tests/stages/body/backends/test_nlf.py",
    "tests/stages/body/backends/test_sam3d_body.py",
    "tests/e2e/test_gpu_backends.py",
)
SECONDS = 60


def measure() -> list[Figure]:
    """CPU seconds of one process that runs them all, imports included, and whether they pass."""
    before = _cpu_of_children()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", *TESTS]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    seconds = _cpu_of_children() - before
    outcome = done.stdout.strip().splitlines()[-1] if done.returncode else f"{seconds:.0f} s"
    return [
        Figure(
            "random-weight tests of all GPU backends, CPU time on one thread",
            f"<= {SECONDS} s",
            outcome,
            ok=done.returncode == 0 and seconds <= SECONDS,
        )
    ]


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
