"""A pipeline in miniature for tests of the harness: real declarations, trivial work, no video.

    listing(scene) -> for each video: heads -> marks -> together(scene) -> diary(scene)

A "recording" is a text file. `heads` keeps its first line alone, so that a change further down reaches no one else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import fingerprint, harness
from common.artifacts import FRAMES, MASKS, PEOPLE, REPORT, SCENE, SYNCHRONIZATION, scene
from common.errors import BadInput
from common.stage import NoOptions, Stage, Unit, option
from common.storage.local import LocalStorage
from common.workspace import Workspace


def list_videos(workspace: Workspace, options: NoOptions) -> None:
    videos = {
        video: scene.SceneVideo(path.name, path.stat().st_size, fingerprint.of_recording(path), 4, 3, 30.0)
        for video, path in workspace.recordings().items()
    }
    scene.save(workspace.output(SCENE), scene.Scene(workspace.scene, videos))


def keep_head(workspace: Workspace, options: NoOptions) -> None:
    head = workspace.recording().read_text().splitlines()[0]
    if head == "broken":
        raise BrokenRecordingError
    (workspace.output(FRAMES) / "head.txt").write_text(head)


class BrokenRecordingError(BadInput):
    def __init__(self) -> None:
        super().__init__("the recording is broken. Copy it again.")


@dataclass(frozen=True)
class MarkOptions:
    times: int = option(1, help="How often.", minimum=1)
    parts: int = option(2, help="Number of files.", minimum=0)
    model: str = option("", help="A model of the user's own.", get="Ask the lab")
    colour: str = option("red", help="Without effect.")


def mark(workspace: Workspace, options: MarkOptions) -> None:
    text = (workspace.input(FRAMES) / "head.txt").read_text() * options.times
    workspace.output(MASKS).write_text(text)
    for part in range(options.parts):
        (workspace.output(PEOPLE) / f"{part:03d}.json").write_text(f"{part} {text}")


def put_together(workspace: Workspace, options: NoOptions) -> None:
    found = {video: workspace.find(MASKS, video) for video in workspace.videos}
    lines = [f"{video}: {path.read_text() if path else 'nothing'}" for video, path in found.items()]
    workspace.output(SYNCHRONIZATION).write_text("\n".join(lines))


def write_diary(workspace: Workspace, options: NoOptions) -> None:
    published = workspace.published
    lines = [f"{stage}: {published.failure(stage, None)}" for stage in published.stages()]
    workspace.output(REPORT).write_text("\n".join(lines))


LISTING = Stage("listing", "Lists.", Unit.SCENE, reads=(), writes=(SCENE,), run=list_videos, source=True)
HEADS = Stage("heads", "First lines.", Unit.VIDEO, reads=(SCENE,), writes=(FRAMES,), run=keep_head, source=True)
MARKS = Stage(
    "marks",
    "Repeats.",
    Unit.VIDEO,
    reads=(FRAMES,),
    writes=(MASKS, PEOPLE),
    run=mark,
    options=MarkOptions,
    weights=lambda options: ("a-model",),
    without_effect=lambda options: ("colour",),
    model_paths=lambda options: ("model",) if options.model != "" or options.times == 7 else (),
    packages=("numpy", "scipy"),
    model_packages=lambda options: ("torch",) if options.model else (),
)
TOGETHER = Stage(
    "together", "Joins.", Unit.SCENE, reads=(SCENE, MASKS), writes=(SYNCHRONIZATION,), run=put_together, packages=()
)
DIARY = Stage(
    "diary", "Tells.", Unit.SCENE, reads=(), may_read=(SCENE,), writes=(REPORT,), run=write_diary, history=True
)
CHAIN = (LISTING, HEADS, MARKS, TOGETHER)


@dataclass
class Bench:
    """A data root and an output root, and the chain run over a scene called "take"."""

    folder: Path
    options: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.data = self.folder / "data" / "take"
        self.data.mkdir(parents=True)
        self.results = self.folder / "out" / "take"
        self.output = LocalStorage(self.folder / "out")

    def record(self, **recordings: str) -> None:
        for video, text in recordings.items():
            (self.data / f"{video}.mp4").write_text(text)

    def task(self, stage: Stage, video: str | None = None) -> harness.Task:
        options = stage.make_options(self.options.get(stage.name, {}))
        return harness.Task(stage, self.output, "take", video, options, LocalStorage(self.folder / "data"))

    def execute(self, stage: Stage, video: str | None = None, *, force: bool = False) -> harness.Outcome:
        return harness.execute(self.task(stage, video), force=force)

    def run(self) -> set[str]:
        """Runs the chain as the DAG would; returns the units that were not up to date: "marks/cam01", "together"."""
        videos = sorted(path.stem for path in self.data.glob("*.mp4"))
        executed = set()
        for stage in CHAIN:
            for video in videos if stage.unit is Unit.VIDEO else [None]:
                if self.execute(stage, video).status is harness.Status.DONE:
                    executed.add(f"{stage.name}/{video}" if video else stage.name)
        return executed

    def files(self) -> dict[str, bytes]:
        """All results, without the records."""
        paths = [path for path in self.results.rglob("*") if path.is_file() and "_manifests" not in path.parts]
        return {path.relative_to(self.results).as_posix(): path.read_bytes() for path in paths}

    def leftovers(self) -> list[str]:
        """Files and folders that only an attempt may have."""
        attempts = self.results / "_manifests" / "attempts"
        inside = list(attempts.iterdir()) if attempts.exists() else []
        return sorted(str(path) for path in [*inside, *self.folder.rglob("*.tmp"), *self.folder.rglob(".manifest")])
