"""Start times of cut recordings, cut as video files: how far is sync off, when the truth is known?

Each camera of a scene is cut at a random frame into a file of its own with new time stamps, and the whole pipeline runs
on the cuts: nothing downstream shares a frame index with the original. Bodies are estimated from the cut files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.cut import cut
from common import fingerprint
from common.artifacts import synchronization


@dataclass(frozen=True)
class CutError:
    """What sync said about one set of cuts.

    Attributes:
        error: per camera, frames of the recording's rate, against the mean of the others; NaN where unknown.
    """

    starts: Mapping[str, int]
    error: Mapping[str, float]


def make_cuts(
    videos: Mapping[str, Path], folder: Path, *, sets: int, window: int, latest: int, seed: int
) -> list[dict[str, int]]:
    """Writes `sets` scenes of cut videos to `folder/cut_00/<camera>.mp4`, ...

    A cut that is there, of the same recording and the same frames, is not made again.

    Args:
        videos: recordings by camera, all of the same length and started together.
        folder: a data root for the pipeline.
        sets: how many scenes.
        window: frames in each cut.
        latest: largest first frame of a cut.
        seed: of the random first frames.

    Returns:
        Per scene the first frame of each camera's cut.
    """
    rng = np.random.default_rng(seed)
    starts = [{camera: int(rng.integers(0, latest + 1)) for camera in videos} for _ in range(sets)]
    for number, scene in enumerate(starts):
        target = folder / f"cut_{number:02d}"
        target.mkdir(parents=True, exist_ok=True)
        for camera, first in scene.items():
            _cut_once(videos[camera], target / f"{camera}.mp4", start=first, frames=window)
    return starts


def _cut_once(source: Path, path: Path, *, start: int, frames: int) -> None:
    """Cuts unless the stamp beside the file says that it is this cut; an interrupt leaves a whole file or none."""
    stamp, partial = path.with_name(f".{path.stem}.json"), path.with_name(f".{path.name}")  # hidden: no recordings
    meant = json.dumps({"recording": fingerprint.of_recording(source), "start": start, "frames": frames})
    if path.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == meant:
        return
    cut(source, partial, start=start, frames=frames)
    stamp.unlink(missing_ok=True)  # before the file changes, so that the old stamp never lies beside the new file
    partial.replace(path)
    stamp.write_text(meant, encoding="utf-8")


def errors(output: Path, starts: Sequence[Mapping[str, int]], *, rate: float, cameras: Sequence[str]) -> list[CutError]:
    """How far the published start times are off.

    The clock's zero is a convention, so each camera is compared with the mean of the others that have a start time.

    Args:
        output: where the pipeline wrote `cut_00/synchronization.json`, ...
        starts: what `make_cuts` returned.
        rate: frames per second of the recordings.
        cameras: those that count.
    """
    found = []
    for number, truth in enumerate(starts):
        result = synchronization.load(output / f"cut_{number:02d}" / "synchronization.json")
        off = np.array(
            [
                np.nan if (start := result.cameras[camera].start_time) is None else start * rate - truth[camera]
                for camera in cameras
            ]
        )
        error = {}
        for i, camera in enumerate(cameras):
            others = np.delete(off, i)
            others = others[np.isfinite(others)]
            error[camera] = float(off[i] - others.mean()) if len(others) else float("nan")
        found.append(CutError(truth, error))
    return found
