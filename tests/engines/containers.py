"""Running stages in containers the hard way: a stranger's user id, nothing writable but what must be, no network."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from common.artifacts import Unit
from common.stage import Stage, option_specs
from workflows.pipeline import STAGES

HARDENED = (
    *("--network", "none", "--read-only", "--tmpfs", "/tmp", "--user", "12345:12345", "--cap-drop", "ALL"),  # noqa: S108
    *("--security-opt", "no-new-privileges", "--memory", "2g"),
)


@dataclass(frozen=True)
class Containers:
    """One scene, run stage by stage in containers.

    Attributes:
        images: name of the image of every stage.
        data: the data root.
        output: the output root, writable for everybody.
        scene: name of the scene.
        backend: of the stages that have one.
        weights: folder of model files, for backends that need any.
    """

    images: dict[str, str]
    data: Path
    output: Path
    scene: str
    backend: str = "fake"
    weights: Path | None = None

    def command(self, stage: Stage, video: str | None, *settings: str) -> list[str]:
        """The command line of one unit; `settings` are docker's."""
        mounts = ["-v", f"{self.data}:/data:ro", "-v", f"{self.output}:/results"]
        if self.weights is not None:
            mounts += ["-v", f"{self.weights}:/weights:ro", "-e", "GHOST_WEIGHTS=/weights"]
        arguments = ["--output-root=/results", f"--scene={self.scene}"]
        arguments += [f"--video={video}"] if video is not None else []
        arguments += ["--data-root=/data"] if stage.source else []
        if "backend" in {spec.name for spec in option_specs(stage.options)}:
            arguments.append(f"--backend={self.backend}")
        return ["docker", "run", "--rm", *HARDENED, *settings, *mounts, self.images[stage.name], *arguments]

    def run(self, stage: Stage, video: str | None = None, *settings: str) -> subprocess.CompletedProcess[str]:
        """Runs one unit to its end."""
        return subprocess.run(self.command(stage, video, *settings), capture_output=True, text=True, timeout=600)

    def run_all(self) -> dict[tuple[str, str | None], subprocess.CompletedProcess[str]]:
        """Runs the DAG, unit by unit, with the videos that ingest prints."""
        done: dict[tuple[str, str | None], subprocess.CompletedProcess[str]] = {}
        videos: list[str] = []
        for stage in STAGES:
            for video in [None] if stage.unit is Unit.SCENE else videos:
                done[stage.name, video] = self.run(stage, video)
            if stage.name == "ingest":
                videos = json.loads(done["ingest", None].stdout)
        return done

    @property
    def attempts(self) -> Path:
        """Where attempts are under way."""
        return self.output / self.scene / "_manifests" / "attempts"
