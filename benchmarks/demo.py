"""Quality on the two real demo scenes: people found, joints against a triangulated reference, start times of cuts.

    python -m benchmarks.demo [--quick] [--folder out]

Uses the results of `make demo`, which it makes if they are not there. With --quick one set of cuts is synchronised
instead of 25, which takes about a minute; all other figures are the same.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import demo_data
from benchmarks.demo_tracks import AT_END, follow_man, man_found
from benchmarks.figures import Figure, report
from benchmarks.reference import measure_bodies
from benchmarks.sync_cuts import errors, make_cuts
from common.artifacts import landmarks

RATE = 60.0  # frames per second of the demo recordings
CAMERAS = ("cam01", "cam02", "cam03", "cam04")
TRUSTED = ("cam01", "cam02", "cam04")  # the epipolar error says that these started together within half a frame
WINDOW, LATEST, SEED = 70, 30, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; returns 1 if any figure falls short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one set of cuts instead of 25")
    parser.add_argument("--folder", type=Path, default=Path("out"), help="where `make demo` put data and results")
    options = parser.parse_args(arguments)
    data = options.folder / "demo-data"
    demo_data.scenes(data)
    reference = demo_data.reference(options.folder / "demo-reference")
    run_ghost(data, options.folder / "demo")
    return report(
        [
            *detection(options.folder / "demo"),
            *accuracy(options.folder / "demo" / "single", reference),
            *synchronization(data / "single", options.folder, sets=1 if options.quick else 25),
        ]
    )


def run_ghost(data: Path, output: Path, *more: str) -> None:
    """`ghost run`; raises CalledProcessError unless everything went well."""
    command = [sys.executable, "-m", "workflows", "run", str(data), str(output), *more]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def detection(results: Path) -> list[Figure]:
    """Who was found, and whether ids stay with the people: single and multi."""
    figures = []
    for camera in CAMERAS:
        single = landmarks.load(results / "single" / camera / "landmarks.npz")
        found = man_found(single)
        figures.append(Figure(f"single {camera}: frames with the man", ">= 98 of 100", f"{found}", found >= 98))
    for camera in CAMERAS:
        single = landmarks.load(results / "single" / camera / "landmarks.npz")
        man = follow_man(single, landmarks.load(results / "multi" / camera / "landmarks.npz"))
        ids = f"{len(man.ids)} id{'s' if len(man.ids) != 1 else ''}"
        if camera in TRUSTED:
            good = man.found == man.woman_found == 100 and len(man.ids) == 1 and not man.astray
            figures.append(
                Figure(
                    f"multi {camera}: frames with man, woman",
                    "100, 100, 1 id each",
                    f"{man.found}, {man.woman_found}, {ids}",
                    good,
                )
            )
        else:
            is_back = man.found >= 90 or man.found_at_end >= 8  # not lost for good when the woman hides him
            good = man.as_woman == man.astray == 0 and len(man.ids) == 1 and is_back
            figures.append(
                Figure(
                    f"multi {camera}: man labelled as woman, his ids, frames at the end",
                    f"0 frames, 1 id, >= 8 of {AT_END} (or >= 90 in all)",
                    f"{man.as_woman} frames, {ids}, {man.found_at_end} ({man.found} frames found)",
                    good,
                )
            )
    return figures


def accuracy(workspace: Path, reference: Path) -> list[Figure]:
    """Joints of the man in `single` against the triangulated reference."""
    cameras = measure_bodies(workspace, reference)
    rows = [
        Figure(f"{c.camera}: PA-MPJPE of 12 joints", "<= 100 mm", f"{c.pa_mpjpe_mm:.1f} mm", c.pa_mpjpe_mm <= 100)
        for c in cameras
    ]
    mean = float(np.mean([c.pa_mpjpe_mm for c in cameras]))
    return [*rows, Figure("mean over the cameras: PA-MPJPE", "<= 90 mm", f"{mean:.1f} mm", mean <= 90)]


def synchronization(recordings: Path, folder: Path, *, sets: int) -> list[Figure]:
    """Start times of cameras 1, 2 and 4, cut as video files at known random frames; and of all four."""
    figures = []
    for cameras in (TRUSTED, CAMERAS):
        data, results = (folder / f"demo-cuts-{len(cameras)}" / name for name in ("data", "results"))
        videos = {camera: recordings / f"{camera}.mp4" for camera in cameras}
        starts = make_cuts(videos, data, sets=sets, window=WINDOW, latest=LATEST, seed=SEED)
        scenes = [f"cut_{number:02d}" for number in range(sets)]
        run_ghost(data, results, *(word for scene in scenes for word in ("--scene", scene)))
        cuts = errors(results, starts, rate=RATE, cameras=TRUSTED)
        figures += _cut_figures(
            f"{sets} cuts of {len(cameras)} cameras", np.array([e for cut in cuts for e in cut.error.values()])
        )
    return figures


def _cut_figures(name: str, error: NDArray[np.float64]) -> list[Figure]:
    known = np.abs(error[np.isfinite(error)])
    mean, worst = (float(known.mean()), float(known.max())) if len(known) else (np.inf, np.inf)
    refused = len(error) - len(known)
    return [
        Figure(f"{name}: mean error of 1, 2, 4", "<= 1.5 frames", f"{mean:.2f} frames", mean <= 1.5),
        Figure(f"{name}: largest error of 1, 2, 4", "<= 4 frames", f"{worst:.2f} frames", worst <= 4),
        Figure(f"{name}: starts of 1, 2, 4 refused", "0", f"{refused} of {len(error)}", refused == 0),
    ]


if __name__ == "__main__":
    sys.exit(main())
