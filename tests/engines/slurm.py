"""A SLURM cluster of two nodes on this machine, and the driver as an ordinary user starts it there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.engines.apptainer import as_user
from tests.engines.scripts import run_script


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs.

    Attributes:
        state: the folder that it keeps its state in.
        environment: what its clients need.
    """

    state: Path
    environment: Mapping[str, str]

    def run(
        self, *command: object, folder: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in a folder as the ordinary user, to its end."""
        variables = {**self.environment, "PATH": os.environ["PATH"], **(environment or {})}
        words = [*as_user(variables), *map(str, command)]
        return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)

    def ask(self, *command: str) -> str:
        """What a SLURM command prints."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stdout

    def wait_until(self, happened: Callable[[], object], *, seconds: float, what: str) -> None:
        """Looks again and again; fails with the queue if it takes too long."""
        deadline = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > deadline:
                pytest.fail(f"after {seconds:.0f} s not yet: {what}\n{self.ask('squeue')}")
            time.sleep(0.1)

    def drain(self, *, seconds: float = 120) -> None:
        """Waits until no job is left."""
        self.wait_until(lambda: not self.ask("squeue", "--noheader"), seconds=seconds, what="an empty queue")

    def states(self, job: str) -> dict[int, str]:
        """How each element of an array stands: index -> state; of a job that is none: 0 -> state."""
        records = self.ask("scontrol", "--oneliner", "show", "job", job).splitlines()
        found = {}
        for record in records:
            index = re.search(r"ArrayTaskId=(\d+)\b", record)
            state = re.search(r"JobState=(\w+)", record)
            if state is not None:
                found[int(index[1]) if index else 0] = state[1]
        return found


@dataclass(frozen=True)
class Submitted:
    """A run of the driver: what it left in its run folder.

    Attributes:
        folder: with lists, settings and logs.
        close: number of the last array.
        cluster: where it runs.
        since: when it was submitted.
    """

    folder: Path
    close: str
    cluster: Cluster
    since: float = field(default_factory=time.monotonic)

    def jobs(self, step: str) -> list[str]:
        """Numbers of the jobs of a step, a chunk each."""
        lines = (line.split() for line in (self.folder / "jobs").read_text(encoding="utf-8").splitlines())
        return [job for name, job, _ in lines if name == step]

    def units(self) -> list[str]:
        """Videos, in the order of the arrays: those of one scene come together."""
        path = self.folder / "units"
        return [line.split("\t")[1] for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def element(self, stage: str, video: str) -> str:
        """How SLURM calls the job of a video."""
        return f"{self.jobs(stage)[0]}_{self.units().index(video) + 1}"

    def log(self, step: str) -> str:
        """What all jobs of a step have said so far."""
        return "\n".join(path.read_text("utf-8") for path in sorted((self.folder / "logs").glob(f"ghost-{step}_*.out")))

    def log_of(self, stage: str, video: str) -> str:
        """What the job of a video has said so far."""
        path = self.folder / "logs" / f"ghost-{stage}_{self.element(stage, video)}.out"
        return path.read_text("utf-8") if path.exists() else ""

    def finish(self, *, seconds: float = 120) -> str:
        """Waits for the end; the state of the closing job."""
        self.cluster.drain(seconds=seconds)
        states = {state for job in self.jobs("close") for state in self.cluster.states(job).values()}
        return "COMPLETED" if states == {"COMPLETED"} else ",".join(sorted(states - {"COMPLETED"}))


def start(*, accounting: bool = False) -> Cluster:
    """Starts a cluster, which must be stopped. Skips the test where there is none to be had."""
    state = Path(tempfile.mkdtemp(prefix="ghost-slurm-"))  # short; and munged starts in none that others may write in
    try:
        run_script("install_slurm.sh", *(["--accounting"] if accounting else []))
        settings = run_script("slurm_start.sh", state, *(["--accounting"] if accounting else []))
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        shutil.rmtree(state)
        pytest.skip(f"slurm: {error}. Set GHOST_ENGINES to the folder of the start scripts")
    return Cluster(state, settings)


def stop(cluster: Cluster) -> None:
    """Ends its jobs and its daemons, and removes its state."""
    run_script("slurm_stop.sh", cluster.state)
    shutil.rmtree(cluster.state)
