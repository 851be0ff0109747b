"""What segmentation costs on a GPU, from a video file to mask_data.npz: Grounding DINO tiny and SAM 2.1 large.

    python -m benchmarks.gpu [--device cuda] [--quick]

Needs the repository and the locked packages of `make setup GPU=1`, no weights and no recordings: the networks have
their full size and random weights, whose cost is that of the real ones. Without CUDA it says SKIPPED and exits with 0.
--quick: fewer frames, one run instead of three.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns 1 if any figure falls short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda or cuda:N")
    parser.add_argument("--quick", action="store_true", help="200 frames instead of 1,000; 1 and 4 people; one run")
    options = parser.parse_args(arguments)
    reason = _missing()
    if reason is not None:
        print(f"SKIPPED: {reason}")
        return 0
    from benchmarks.figures import report
    from benchmarks.gpu.measure import FULL, QUICK, measure
    from common.models.devices import resolve

    device = resolve(options.device)
    with _scratch() as folder:
        return report(measure(device, QUICK if options.quick else FULL, folder))


def _missing() -> str | None:
    """Why nothing can be measured here; None if it can."""
    if any(importlib.util.find_spec(package) is None for package in ("torch", "transformers")):
        return "torch and transformers are not installed: make setup GPU=1"
    import torch

    return None if torch.cuda.is_available() else "no CUDA GPU that torch can use here; nothing was measured"


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ghost-gpu-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(main())
