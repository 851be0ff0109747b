"""Fetches two real scenes of four cameras, in the layout of a data root; with --reference, their geometry.

    python -m benchmarks.demo_data [--out out/demo-data] [--reference]

The scenes are demos of pose2sim (BSD-3-Clause), taken out of its wheels: `single` is a man balancing on a
treadmill, 100 frames at 60 per second; `multi` is the same footage with a rendered woman composited in. The
reference is the calibration of the cameras and a marker trajectory triangulated by pose2sim 0.4.15 from four
views of OpenPose.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from common.errors import GhostError
from common.weights.fetch import fetch_files
from common.weights.lock import load

OUT = Path("out/demo-data")
SCENES = ("single", "multi")
_REFERENCE = "reference"
_LOCK = Path(__file__).with_name("demo_data.json")


def scenes(out: Path = OUT) -> list[Path]:
    """Makes sure that `<out>/<scene>/cam01.mp4` to `cam04.mp4` exist, verified; returns both folders."""
    _fetch(out, SCENES)
    return [out / scene for scene in SCENES]


def reference(out: Path = OUT) -> Path:
    """Makes sure that the reference of both scenes exists, verified; returns its folder `<out>/reference`.

    It holds `Calib_qualisys.toml` and `Calib.qca.txt` (the same cameras in two formats) and
    `Balancing_for_IK.trc` (100 frames, 21 markers, 60 Hz, metres; its X, Y, Z are the calibration's Y, Z, X).
    """
    _fetch(out, (_REFERENCE,))
    return out / _REFERENCE


def _fetch(out: Path, folders: tuple[str, ...]) -> None:
    lock = load(_LOCK)
    fetch_files(lock, [file for file in lock.files if file.file.partition("/")[0] in folders], out)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT, help="data root to fill (default: %(default)s)")
    parser.add_argument("--reference", action="store_true", help="also fetch calibration and marker trajectory")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        folders = scenes(args.out)
        if args.reference:
            folders.append(reference(args.out))
    except GhostError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return int(error.exit_code)
    print("\n".join(str(folder) for folder in folders))
    return 0


if __name__ == "__main__":
    sys.exit(main())
