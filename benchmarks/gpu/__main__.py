"""What segmentation costs on a GPU, from a video file to mask_data.npz: Grounding DINO tiny and SAM 2.1 large.

    python -m benchmarks.gpu [--device cuda] [--quick] [--only masks,speed,...] [--people 1,4]

Needs the repository and the locked packages of `make setup GPU=1`, no weights and no recordings: the networks have
their full size and random weights, whose cost is that of the real ones. Without CUDA it says SKIPPED and exits with 0.
Everything takes about 25 minutes on one GPU; each figure is printed when it is known, and all of them at the end.
--only and --people divide that among several commands.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import NOTHING, report
from benchmarks.gpu.parts import PARTS

if TYPE_CHECKING:
    from benchmarks.figures import Figure

# All that the benchmark and the stage import, by the names of modules.
_PACKAGES = ("torch", "transformers", "safetensors", "PIL", "numpy", "scipy", "av", "cv2", "simplejpeg", "zlib_ng")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns 1 if any figure falls short."""
    options = _parser().parse_args(arguments)
    reason = _missing()
    if reason is not None:
        print(f"SKIPPED: {reason}")
        return 0
    from benchmarks.gpu.measure import measure
    from benchmarks.gpu.scale import FULL, QUICK
    from common.models.devices import resolve

    device = resolve(options.device)
    scale = QUICK if options.quick else FULL
    scale = replace(scale, parts=options.only or scale.parts, people=options.people or scale.people)
    figures = []
    with _scratch() as folder:
        for figure in measure(device, scale, folder):
            print(_line(figure), flush=True)
            figures.append(figure)
    print()
    return report(figures)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="cuda or cuda:N")
    parser.add_argument("--quick", action="store_true", help="200 frames instead of 1,000; 1 and 4 people; one run")
    parser.add_argument("--only", type=_names, metavar="NAME[,NAME]", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--people", type=_counts, metavar="N[,N]", help="how many people, in end-to-end")
    return parser


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(PARTS)}")
    return names


def _counts(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"expected numbers of people such as 1,4, got {text!r}")
    return tuple(int(part) for part in parts)


def _line(figure: Figure) -> str:
    promise = "" if figure.asked == NOTHING else f" (asked: {figure.asked}{'' if figure.ok else ', SHORT'})"
    return f"{figure.name}: {figure.measured}{promise}"


def _missing() -> str | None:
    """Why nothing can be measured here; None if it can."""
    absent = [package for package in _PACKAGES if importlib.util.find_spec(package) is None]
    if absent:
        return f"not installed: {', '.join(absent)}; run `make setup GPU=1`"
    import torch

    from stages.segment.prompted.pretrained import TRANSFORMERS

    found = importlib.metadata.version("transformers")
    if found != TRANSFORMERS:
        return f"needs transformers {TRANSFORMERS}, found {found}; run `make setup GPU=1`"
    return None if torch.cuda.is_available() else "no CUDA GPU that torch can use here; nothing was measured"


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ghost-gpu-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(main())
