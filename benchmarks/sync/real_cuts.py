"""Real recordings cut at known random frames into files of their own, and the bodies that the pipeline finds in them.

The demo recordings have 100 frames at 60 per second (benchmarks/demo_data.py). A cut has new time stamps and is encoded
anew, and the bodies are estimated from the cut: nothing downstream shares a frame index with the recording. Every
camera is cut at five random frames, and a trial takes one cut of each camera, so 20 videos serve 25 trials.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.cut import cut_once
from benchmarks.demo_tracks import follow_man, foreground
from common import fingerprint
from common.artifacts import BODIES, bodies, landmarks
from common.published import Published
from common.storage.open import open_storage
from stages.body.stage import STAGE as BODY
from stages.sync.tracks import PersonTrack, VideoTracks
from workflows.local import LocalRun
from workflows.pipeline import upstream
from workflows.units import Request

CAMERAS = ("cam01", "cam02", "cam03", "cam04")
RATE = 60.0  # frames per second of the recordings
RECORDED = 100  # frames of every recording
CUTS = 5  # of every camera, scene and length
SEED = 4
JOBS = 2

_STAGES = (*upstream(BODY), BODY)


@dataclass(frozen=True)
class Trial:
    """One cut of every camera.

    Attributes:
        cuts: number of the cut, by camera.
        starts: first frame of the cut, by camera: the truth.
    """

    cuts: Mapping[str, int]
    starts: Mapping[str, int]


def first_frames(frames: int) -> dict[str, tuple[int, ...]]:
    """First frames of the CUTS cuts of every camera, all different, anywhere where the whole cut is in the recording.

    They are the same in both scenes: `multi` is the footage of `single` with a woman rendered into it.

    Args:
        frames: length of a cut.
    """
    rng = np.random.default_rng([SEED, frames])
    return {camera: tuple(int(k) for k in rng.choice(RECORDED - frames + 1, CUTS, replace=False)) for camera in CAMERAS}


def trials(frames: int, *, cuts: int = CUTS) -> list[Trial]:
    """Random combinations of the cameras' cuts, `cuts` squared, all different; every cut occurs in `cuts` of them.

    Args:
        frames: length of a cut.
        cuts: how many of every camera take part, the first ones.
    """
    rng = np.random.default_rng([SEED, frames, cuts])
    first = first_frames(frames)
    found: dict[tuple[int, ...], None] = {}
    while len(found) < cuts**2:
        each_once = np.stack([rng.permutation(cuts) for _ in CAMERAS], axis=1)
        fresh = [tuple(int(k) for k in row) for row in each_once]
        if not any(row in found for row in fresh):
            found |= dict.fromkeys(fresh)
    chosen = [dict(zip(CAMERAS, row, strict=True)) for row in found]
    return [Trial(numbers, {camera: first[camera][k] for camera, k in numbers.items()}) for numbers in chosen]


@dataclass(frozen=True)
class Cuts:
    """Cuts of one scene and length, on disk.

    Attributes:
        scene: "single" or "multi".
        frames: length of every cut.
        folder: holds `data/single_72_0/cam01.mp4` and so on, and the `results` of the pipeline on them.
        count: of every camera.
    """

    scene: str
    frames: int
    folder: Path
    count: int = CUTS

    @property
    def trials(self) -> list[Trial]:
        """The trials that these cuts serve."""
        return trials(self.frames, cuts=self.count)

    def make(self, recordings: Path) -> None:
        """Cuts the recordings, unless that is done, and estimates the bodies, unless they are there.

        Bodies of the same cuts that other code than today's has estimated are kept: `outdated` counts them.

        Args:
            recordings: data root with the whole recordings.

        Raises:
            RuntimeError: a unit of the pipeline failed.
        """
        for camera, starts in first_frames(self.frames).items():
            for number, start in enumerate(starts[: self.count]):
                source, target = recordings / self.scene / f"{camera}.mp4", self._video(number, camera)
                cut_once(source, target, start=start, frames=self.frames)
        missing = tuple(self._name(number) for number in range(self.count) if not self._has_bodies(number))
        if not missing:
            return
        data, results = (open_storage(str(self.folder / name)) for name in ("data", "results"))
        run = LocalRun(Request(data, results, options={}, stages=_STAGES, scenes=missing, jobs=JOBS))
        run.run()
        failed = [f"{unit.title}: {unit.message}" for unit in run.units if not unit.state.good]
        if failed:
            raise RuntimeError(f"{len(failed)} units failed on cuts of recordings, the first: {failed[0]}")

    @property
    def complete(self) -> bool:
        """Whether the bodies of all cuts are there."""
        return all(self._has_bodies(number) for number in range(self.count))

    @property
    def outdated(self) -> int:
        """How many results on the way to the bodies were made by other code than today's."""
        return sum(made != fingerprint.of_code(stage) for stage, made in self._made_by())

    def tracks(self, number: int, camera: str) -> VideoTracks:
        """The bodies of a cut; the video is called like the camera.

        Args:
            number: of the cut.
            camera: whose.
        """
        return _tracks(self._result(number, camera))

    def man(self, number: int, camera: str) -> VideoTracks:
        """The man alone, of a cut of `single`: without the photographer in the background of cameras 1 and 2."""
        video = self.tracks(number, camera)
        man = foreground(landmarks.load(self._result(number, camera) / "landmarks.npz"))
        return VideoTracks(camera, tuple(track for track in video.persons if track.person == man))

    def people(self, number: int, camera: str) -> dict[int, str]:
        """Who is "man" and who is "woman" in a cut of `multi`, by local id; others are not told apart.

        The man of the same cut of `single`, where he is alone in front, says where the man is. If he lost his id on
        the way, he has two.

        Args:
            number: of the cut.
            camera: whose.
        """
        return _people(Cuts("single", self.frames, self.folder)._result(number, camera), self._result(number, camera))

    def _name(self, number: int) -> str:
        return f"{self.scene}_{self.frames}_{number}"

    def _video(self, number: int, camera: str) -> Path:
        return self.folder / "data" / self._name(number) / f"{camera}.mp4"

    def _result(self, number: int, camera: str) -> Path:
        return self.folder / "results" / self._name(number) / camera

    def _published(self, number: int) -> Published:
        return Published(open_storage(str(self.folder / "results")), self._name(number))

    def _has_bodies(self, number: int) -> bool:
        """Whether there are bodies of all cameras, made from the cuts that are there now."""
        published = self._published(number)
        ingest = published.manifest("ingest", None)
        videos = {f"{camera}.mp4": self._video(number, camera) for camera in CAMERAS}
        if ingest is None or not all(path.exists() for path in videos.values()):
            return False
        same = ingest.inputs["recordings"] == {name: fingerprint.of_recording(path) for name, path in videos.items()}
        return same and all(published.find(BODIES, camera) is not None for camera in CAMERAS)

    def _made_by(self) -> Iterator[tuple[str, str]]:
        """Stage and digest of its code, of every result."""
        for number in range(self.count):
            published = self._published(number)
            for stage in _STAGES:
                for video in (None, *CAMERAS):
                    manifest = published.manifest(stage.name, video)
                    if manifest is not None:
                        yield stage.name, manifest.code


@functools.cache
def _tracks(result: Path) -> VideoTracks:
    return VideoTracks(
        result.name,
        tuple(
            PersonTrack(person, body.times, body.pred_keypoints_3d, body.confidence, body.image_keypoints)
            for person, body in bodies.load(result / "body_data").items()
        ),
    )


@functools.cache
def _people(alone: Path, together: Path) -> dict[int, str]:
    found = follow_man(*(landmarks.load(result / "landmarks.npz") for result in (alone, together)))
    women = {} if found.woman_id is None else {found.woman_id: "woman"}
    return {**dict.fromkeys(found.ids, "man"), **women}
