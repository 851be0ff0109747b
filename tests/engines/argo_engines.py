"""Two ways to run a workflow file on a cluster: our own runner, and Argo itself where its programs are given."""

from __future__ import annotations

import collections
import itertools
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from tests.engines.argo_pods import ClusterPods
from tests.engines.argo_runner.nodes import Phase
from tests.engines.argo_runner.run import WorkflowRun
from tests.engines.kubernetes import Cluster, exit_code

ARGO_S = 900  # for one run of the small scene by Argo, whose pods take some seconds longer


@dataclass(frozen=True)
class Submitted:
    """A workflow that is over.

    Attributes:
        name: of the workflow.
        succeeded: what the exit code of `argo submit --wait` says.
        pods: the last state of each of its pods.
        seconds: from submit to done.
    """

    name: str
    succeeded: bool
    pods: tuple[dict[str, Any], ...]
    seconds: float

    def of(self, template: str) -> list[dict[str, Any]]:
        """The pods of one template."""
        return [pod for pod in self.pods if self._template(pod) == template]

    def count(self) -> dict[str, int]:
        """How many pods each template had."""
        return dict(collections.Counter(self._template(pod) for pod in self.pods))

    def failures(self, cluster: Cluster) -> str:
        """What the pods said that did not succeed."""
        bad = [pod for pod in self.pods if exit_code(pod) != 0]
        return "\n".join(f"{pod['metadata']['name']}: {exit_code(pod)}\n{cluster.log_of(pod)}" for pod in bad)

    def _template(self, pod: Mapping[str, Any]) -> str:
        """Pods are called <workflow>-<template>-<number>."""
        return str(pod["metadata"]["name"].removeprefix(f"{self.name}-").rpartition("-")[0])


class Engine(Protocol):
    """Something that runs workflow files."""

    cluster: Cluster
    namespace: str
    pods: ClusterPods

    def next_name(self) -> str:
        """A name for a workflow that there was not yet."""

    def submit(self, file: Path, parameters: Mapping[str, str], *, name: str) -> Submitted:
        """Runs a workflow file to its end."""

    def close(self) -> None:
        """Ends what it has started."""


class OurRunner:
    """The runner in this folder."""

    def __init__(self, cluster: Cluster) -> None:
        """Makes a namespace for it."""
        self.cluster, self.namespace = cluster, "ghost"
        cluster.kubectl("create", "namespace", self.namespace)
        self.pods = ClusterPods(cluster, self.namespace)
        self._numbers = itertools.count(1)

    def next_name(self) -> str:
        return f"ours-{next(self._numbers)}"

    def submit(self, file: Path, parameters: Mapping[str, str], *, name: str) -> Submitted:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        # Nobody has to wait here for a network to recover.
        result = WorkflowRun(document, pods=self.pods, parameters=parameters, name=name, hurry=10).run()
        return Submitted(name, result.phase is Phase.SUCCEEDED, tuple(self.pods.seen(name)), result.seconds)

    def close(self) -> None:
        self.pods.close()


class Argo:
    """Argo's own controller, executor and client, from the folder $ARGO_PROGRAMS."""

    def __init__(self, cluster: Cluster, programs: Path) -> None:
        """Starts the controller; it works in the namespace `argo` and ends with the cluster."""
        self.cluster, self.namespace = cluster, "argo"
        self._program = programs / "argo"
        cluster.start_argo(programs)
        self.pods = ClusterPods(cluster, self.namespace)
        self._numbers = itertools.count(1)

    def next_name(self) -> str:
        return f"argo-{next(self._numbers)}"

    def submit(self, file: Path, parameters: Mapping[str, str], *, name: str) -> Submitted:
        begin = time.monotonic()
        given = [word for key, value in parameters.items() for word in ("-p", f"{key}={value}")]
        done = self._argo("submit", "--wait", "--name", name, *given, str(file))
        seconds = time.monotonic() - begin
        assert done.returncode in (0, 1), done.stderr
        pods = tuple(self.pods.seen(name))
        assert pods, f"argo submit made no pod: {done.stdout}{done.stderr}"
        return Submitted(name, done.returncode == 0, pods, seconds)

    def stop(self, name: str) -> None:
        """Ends a workflow that is running, but for its exit handler."""
        done = self._argo("stop", name)
        assert done.returncode == 0, done.stderr

    def _argo(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._program), command, "--namespace", self.namespace, *arguments],
            env={**os.environ, **self.cluster.environment},
            capture_output=True,
            text=True,
            timeout=ARGO_S,
            check=False,
        )

    def close(self) -> None:
        self.pods.close()
