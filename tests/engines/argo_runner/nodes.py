"""What becomes of the tasks of a workflow, and what a cluster must be able to do for them."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Phase(enum.StrEnum):
    """How a node ended, in Argo's words."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ERROR = "Error"
    SKIPPED = "Skipped"
    OMITTED = "Omitted"

    @property
    def completed(self) -> bool:
        """Whether it was tried at all."""
        return self not in (Phase.SKIPPED, Phase.OMITTED)

    @property
    def bad(self) -> bool:
        """Whether it was tried in vain."""
        return self in (Phase.FAILED, Phase.ERROR)


@dataclass(frozen=True)
class PodResult:
    """How a pod ended.

    Attributes:
        phase: Succeeded, Failed, or Error if it was deleted or lost.
        message: why, as Argo words it.
        exit_code: of the main container; None if nobody knows.
        stdout: what the main container wrote to its standard output.
        seconds: from the request to the end.
    """

    phase: Phase
    message: str = ""
    exit_code: int | None = None
    stdout: str = ""
    seconds: float = 0.0


class Pods(Protocol):
    """Where pods run: a cluster, or a stand-in for it."""

    def patch(self, pod: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        """The pod after Kubernetes' strategic merge of a patch of its spec."""

    def run(self, pod: dict[str, Any]) -> PodResult:
        """Creates the pod and waits for its end."""


@dataclass(frozen=True)
class Node:
    """One node of a workflow that is over.

    Attributes:
        name: unique in the workflow: the task's path.
        display: what Argo shows: the last part of the name.
        template: name of the template it was made from; empty if there was none to make.
        phase: how it ended.
        message: why.
        pod: name of its pod, if it had one.
        exit_code: of its pod's main container.
        outputs: by name: "result", "parameters.videos"; None where it has none although its template declares it.
        items: the nodes that it was fanned out to.
        seconds: how long it took.
    """

    name: str
    template: str
    phase: Phase
    message: str = ""
    pod: str = ""
    exit_code: int | None = None
    outputs: Mapping[str, str | None] = field(default_factory=dict)
    items: tuple[Node, ...] | None = None
    seconds: float = 0.0
    finished: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))

    @property
    def display(self) -> str:
        """What Argo shows."""
        return self.name.rpartition(".")[2]

    def as_failure(self) -> dict[str, str]:
        """What {{workflow.failures}} says about it."""
        return {
            "displayName": self.display,
            "message": self.message,
            "templateName": self.template,
            "phase": self.phase.value,
            "podName": self.pod,
            "finishedAt": self.finished.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
