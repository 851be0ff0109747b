"""Whether people are followed at other frame rates as at 60 per second: real videos, frames left out or repeated.

    python -m benchmarks.frame_rates [--folder out] [--cameras multi/cam03,multi/cam01] [--low]

The demo's videos have 60 frames per second. Copies of them at 6, 15 and 30 keep every tenth, fourth and second frame,
one of a variable rate keeps a random half, and in those at 120 and 240 every frame is shown two and four times; nothing
is slowed down. `ghost run` segments them and estimates bodies. Whoever is found in the original should be found in the
frames that were kept, as one person, and never be taken for somebody else; and nobody else be found. With --low only
the rates below 60.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from benchmarks import demo_data
from benchmarks.demo import run_ghost
from benchmarks.demo_tracks import SAME
from benchmarks.figures import Figure, report
from common import fingerprint
from common.artifacts import bodies as bodies_artifact
from common.artifacts import frames as frames_artifact
from common.artifacts import landmarks as landmarks_artifact
from common.artifacts.landmarks import Landmarks

RATE = 60
"""Of the demo's videos, frames per second."""

FRAMES = 100
"""Of each of them."""

SHARE = 0.95
"""Of the frames in which somebody was found at 60 per second; asked for."""

CAMERAS: Mapping[str, int] = {"multi/cam03": 2, "multi/cam01": 3}
"""How many people they show: two, one of whom hides the other; and the same with a third one, small, behind them."""

_HALF = np.sort(np.random.default_rng(0).permutation(FRAMES)[: FRAMES // 2])  # the seed was chosen unseen

COPIES: Mapping[str, str] = {
    "6fps": r"select=not(mod(n\,10))",
    "15fps": r"select=not(mod(n\,4))",
    "30fps": r"select=not(mod(n\,2))",
    "variable": "select=" + "+".join(rf"eq(n\,{n})" for n in _HALF),
    "120fps": "fps=120",
    "240fps": "fps=240",
}
"""By the name of the copy, the filter of ffmpeg that makes it."""

LOW = ("6fps", "15fps", "30fps", "variable")


@dataclass(frozen=True)
class Kept:
    """What became of one person of the original in a copy.

    Attributes:
        person: their id in the original.
        asked: frames of the copy that show a frame in which the original has them.
        ids: by id in the copy, in how many of those frames whoever has it is where they are.
        bodies: in how many of those frames the one with the most frequent id has a body.
    """

    person: int
    asked: int
    ids: Mapping[int, int]
    bodies: int = 0

    @property
    def found(self) -> int:
        """Frames in which they are found under their most frequent id."""
        return max(self.ids.values(), default=0)


def shown(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) index of the frame of the original that is shown at these times (n,)."""
    return np.floor(seconds * RATE + 0.01).astype(np.int64)  # a hundredth of a frame for the rounding of time stamps


def kept(original: Landmarks, copy: Landmarks, source: NDArray[np.int64]) -> list[Kept]:
    """Looks for everybody of the original in a copy: who is nearest to them, and nearer to nobody else.

    Args:
        original: who is where at 60 frames per second.
        copy: who is where in the copy.
        source: (n,) frames of the original that the frames of the copy show.
    """
    asked: Counter[int] = Counter()
    ids: dict[int, Counter[int]] = {person: Counter() for person in original.people}
    for frame, of_original in enumerate(source.tolist()):
        theirs, mine = np.flatnonzero(original.frame == of_original), np.flatnonzero(copy.frame == frame)
        asked.update(original.person[theirs].tolist())
        gaps = np.hypot(*np.moveaxis(copy.image[mine][None] - original.image[theirs][:, None], -1, 0))
        apart = np.median(gaps, axis=2) / original.region[theirs, 2][:, None]
        while apart.size and apart.min() < SAME:
            row, column = np.unravel_index(apart.argmin(), apart.shape)
            ids[int(original.person[theirs[row]])][int(copy.person[mine[column]])] += 1
            apart[row], apart[:, column] = np.inf, np.inf
    return [Kept(person, asked[person], dict(ids[person])) for person in original.people]


def ids_of_nobody(copy: Landmarks, source: NDArray[np.int64], people: Sequence[Kept], *, frames: int) -> set[int]:
    """Ids of the copy that are never where somebody of the original is, in frames of which the original knows.

    Args:
        copy: who is where in the copy.
        source: (n,) frames of the original that the frames of the copy show.
        people: what became of everybody of the original.
        frames: how many the original has.
    """
    known = np.isin(copy.frame, np.flatnonzero(source < frames))
    return set(copy.person[known].tolist()) - {one for person in people for one in person.ids}


def shared_ids(people: Sequence[Kept]) -> set[int]:
    """Ids of the copy that were given to two people of the original."""
    count = Counter(one for person in people for one in person.ids)
    return {one for one, times in count.items() if times > 1}


def figures(name: str, people: Sequence[Kept], nobody: Set[int]) -> list[Figure]:
    """Rows for a copy: who was found, in how many of the frames, with how many ids; and who is not there at all."""
    shares = [person.found / person.asked for person in people if person.asked]
    with_body = [person.bodies / person.asked for person in people if person.asked]
    most = max((len(person.ids) for person in people), default=0)
    twice = shared_ids(people)
    good = bool(shares) and min(shares + with_body) >= SHARE and most == 1 and not twice
    return [
        Figure(
            f"{name}: least share of the frames with a person, with a body; ids each; ids of two people",
            f">= {SHARE:.0%}, >= {SHARE:.0%}; 1; 0",
            f"{min(shares, default=0):.0%}, {min(with_body, default=0):.0%}; {most}; {len(twice)}",
            good,
        ),
        Figure(f"{name}: ids of nobody", "0", f"{len(nobody)}", not nobody),
    ]


def in_original(camera: str, people: int) -> list[Figure]:
    """A row for a camera of CAMERAS: the original is no measure if it has not everybody, or somebody else as well."""
    if camera not in CAMERAS:
        return []
    return [Figure(f"{camera}: people in the original", f"{CAMERAS[camera]}", f"{people}", people == CAMERAS[camera])]


def make_copies(data: Path, folder: Path, cameras: Sequence[str], copies: Sequence[str]) -> None:
    """Writes `<folder>/<scene>-<camera>/<copy>.mp4`; those that are there are not made again.

    Args:
        data: the demo's data root.
        folder: the copies' one.
        cameras: `scene/camera`.
        copies: keys of COPIES.
    """
    for camera in cameras:
        scene = folder / camera.replace("/", "-")
        for name in copies:
            _resample_once(data / f"{camera}.mp4", scene / f"{name}.mp4", COPIES[name])


def _resample_once(source: Path, target: Path, rule: str) -> None:
    """H.264 with the frames that a filter of ffmpeg lets pass, at their times. What was made is not made again."""
    stamp, partial = target.with_name(f".{target.stem}.json"), target.with_name(f".{target.name}")  # hidden: no videos
    meant = json.dumps({"recording": fingerprint.of_recording(source), "rule": rule})
    if target.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == meant:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-i", str(source), "-vf", rule]
    command += ["-fps_mode", "passthrough", "-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "16", str(partial)]
    subprocess.run(command, check=True)
    stamp.unlink(missing_ok=True)  # before the file changes, so that the old stamp never lies beside the new file
    partial.replace(target)
    stamp.write_text(meant, encoding="utf-8")


def compare(original: Path, copy: Path) -> tuple[list[Kept], set[int]]:
    """Looks for everybody of the original in a copy; and for ids there that are nobody's.

    Args:
        original: results of a video of the demo.
        copy: results of its copy.
    """
    source = shown(frames_artifact.load(copy / "frames").table.seconds)
    theirs = landmarks_artifact.load(original / "landmarks.npz")
    mine = landmarks_artifact.load(copy / "landmarks.npz")
    people = kept(theirs, mine, source)
    nobody = ids_of_nobody(mine, source, people, frames=FRAMES)
    bodies = bodies_artifact.load(copy / "body_data")
    result = []
    for person in people:
        body = bodies.get(max(person.ids, key=lambda one: person.ids[one], default=0))
        wanted = np.isin(source, theirs.of(person.person).frame)
        count = 0 if body is None else int(wanted[body.frame_indices].sum())
        result.append(Kept(person.person, person.asked, person.ids, count))
    return result, nobody


def measure(
    folder: Path, *, cameras: Sequence[str] = tuple(CAMERAS), copies: Sequence[str] = tuple(COPIES)
) -> list[Figure]:
    """All figures.

    Args:
        folder: where `make demo` put data and results; copies go there too.
        cameras: `scene/camera` of the demo.
        copies: keys of COPIES.
    """
    data, results = folder / "demo-data", folder / "frame-rates" / "results"
    demo_data.scenes(data)
    run_ghost(data, folder / "demo")
    make_copies(data, folder / "frame-rates" / "data", cameras, copies)
    run_ghost(folder / "frame-rates" / "data", results)
    rows = []
    for camera in cameras:
        original = folder / "demo" / camera
        rows += in_original(camera, len(landmarks_artifact.load(original / "landmarks.npz").people))
        for name in copies:
            rows += figures(f"{camera} {name}", *compare(original, results / camera.replace("/", "-") / name))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures; 1 if one falls short."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.frame_rates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, default=Path("out"), help="where `make demo` put data and results")
    parser.add_argument("--cameras", default=",".join(CAMERAS), help="scene/camera of the demo")
    parser.add_argument("--low", action="store_true", help="only rates below 60: a few minutes")
    chosen = parser.parse_args(arguments)
    copies = LOW if chosen.low else tuple(COPIES)
    return report(measure(chosen.folder, cameras=chosen.cameras.split(","), copies=copies))


if __name__ == "__main__":
    sys.exit(main())
