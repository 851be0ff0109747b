"""What segmentation costs on a GPU, from a video file to mask_data.npz: Grounding DINO tiny and SAM 2.1 large.

    python -m benchmarks.gpu [--device cuda] [--quick] [--only masks,speed,...] [--people 1,4] [--json FILE]

Needs the repository and the locked packages of `make setup GPU=1`, no weights, no recordings, no ffmpeg and no network:
the networks have their full size and random weights, whose cost is that of the real ones, and the video is made here.
Without CUDA it says SKIPPED and exits with 0; if the GPU is lost in between, the rest falls short.

Everything takes 10 to 25 minutes on one GPU. Each figure is printed when it is known, and all of them at the end; what
is going on is said on stderr. A step that crashes is a figure that falls short; the others are measured all the same.
--only and --people divide it among several commands of less than 10 minutes. --quick, a minute, shows that everything
runs; its videos are too short for the figures that are asked for.
"""

from __future__ import annotations

import argparse
import importlib.util
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from benchmarks.figures import NOTHING, Figure, report, save
from benchmarks.gpu import isolated
from benchmarks.gpu.parts import PARTS
from common.device_names import cuda_index

# All that the benchmark and the stage import, by the names of modules.
_PACKAGES = ("torch", "transformers", "safetensors", "PIL", "numpy", "scipy", "av", "cv2", "jinja2", "zlib_ng")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns 1 if any figure falls short."""
    options = _parser().parse_args(arguments)
    absent = [package for package in _PACKAGES if importlib.util.find_spec(package) is None]
    if absent:
        print(f"SKIPPED: not installed: {', '.join(absent)}; run `make setup GPU=1`")
        return 0
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="ghost-gpu-", ignore_cleanup_errors=True) as folder:
        request = {
            "device": options.device, "quick": options.quick, "parts": options.only, "people": options.people,
            "folder": folder,
        }  # fmt: skip
        try:
            for figure in isolated.figures(request):
                _add(figure, found, options.json)
        except isolated.SkippedError as reason:
            if not found:
                print(f"SKIPPED: {reason}")
                return 0
            # A GPU that was there before: what was to be measured with it is not kept.
            _add(Figure("rest", "to be measured", f"skipped: {reason}", ok=False), found, options.json)
    print()
    return report(found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", type=_gpu, help="cuda or cuda:N")
    parser.add_argument("--quick", action="store_true", help="80 frames instead of 1,000; 1 and 4 people; one run")
    parser.add_argument("--only", type=_names, metavar="NAME[,NAME]", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--people", type=_counts, metavar="N[,N]", help="how many people, in end-to-end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes all figures there as well, after each")
    return parser


def _gpu(text: str) -> str:
    if text != "cuda" and cuda_index(text) is None:
        raise argparse.ArgumentTypeError(f"expected cuda or cuda:N, got {text!r}")
    return text


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


def _add(figure: Figure, found: list[Figure], file: Path | None) -> None:
    print(_line(figure), flush=True)
    found.append(figure)
    if file is not None:
        save(file, found)


def _line(figure: Figure) -> str:
    promise = "" if figure.asked == NOTHING else f" (asked: {figure.asked}{'' if figure.ok else ', SHORT'})"
    return f"{figure.name}: {figure.measured}{promise}"


def _terminated(number: int, frame: object) -> NoReturn:
    """Leaves by an exception, so that the worker is ended and its folder removed."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(main())
