"""Runs a workflow: its entrypoint, and in the end its exit handler."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from tests.engines.argo_runner.dag import Dag, Slot
from tests.engines.argo_runner.errors import UnknownName, Unsupported, WorkflowProblem
from tests.engines.argo_runner.fields import check_workflow
from tests.engines.argo_runner.nodes import Node, Phase, PodResult, Pods
from tests.engines.argo_runner.pod_manifest import pod_manifest, pod_name
from tests.engines.argo_runner.retries import enough, pause
from tests.engines.argo_runner.tags import check_filled, fill
from tests.engines.argo_runner.templates import called, text, with_defaults

_FIRST_TRY = {"lastRetry.exitCode": "0", "lastRetry.status": "", "lastRetry.duration": "0", "lastRetry.message": ""}
_DEADLINE = "Step exceeded its deadline"


@dataclass(frozen=True)
class Result:
    """How a workflow ended.

    Attributes:
        phase: of the whole.
        message: why.
        nodes: everything that was tried or passed over, in the order in which it ended.
        seconds: from submit to done.
    """

    phase: Phase
    message: str
    nodes: tuple[Node, ...]
    seconds: float

    def node(self, display: str) -> Node:
        """The one node with this name."""
        (found,) = [node for node in self.nodes if node.display == display]
        return found

    def pods(self, template: str = "") -> list[Node]:
        """The attempts that had a pod, of one template or of all."""
        return [node for node in self.nodes if node.pod and template in ("", node.template)]


class WorkflowRun:
    """One run of a workflow file."""

    def __init__(
        self,
        document: Mapping[str, Any],
        *,
        pods: Pods,
        parameters: Mapping[str, str] | None = None,
        name: str,
        hurry: float = 1.0,
    ) -> None:
        """Checks the file and what was given for its parameters.

        Args:
            document: the workflow file.
            pods: where its pods run.
            parameters: as in `argo submit -p name=value`.
            name: of the workflow.
            hurry: waiting times between attempts are divided by it.

        Raises:
            WorkflowProblem: it cannot be run.
        """
        check_workflow(document)
        self.name = name
        self._pods, self._hurry = pods, hurry
        self._start = time.monotonic()
        self._nodes: list[Node] = []
        self._lock = threading.Lock()
        spec = document["spec"]
        self._names = self._globals(spec, parameters or {})
        self._templates = {template["name"]: template for template in spec["templates"]}
        self._defaults = spec.get("templateDefaults", {})
        bare = {key: value for key, value in spec.items() if key not in ("templates", "templateDefaults")}
        self._spec = fill({key: value for key, value in bare.items() if key != "podSpecPatch"}, self._names)
        check_filled(self._spec, bare, where="spec")
        self._patch = spec.get("podSpecPatch", "")
        self._deadline = self._start + float(self._spec.get("activeDeadlineSeconds", "inf"))
        self._ends = self._deadline  # of pods: those of the exit handler may still start, and take their time
        limit = self._spec.get("parallelism")
        self._slot: Slot = threading.BoundedSemaphore(int(limit)) if limit else contextlib.nullcontext()

    def run(self) -> Result:
        """Runs it to its end. Raises WorkflowProblem where Argo would call a step erroneous or wait for ever."""
        main = self._call(self.name, self._spec["entrypoint"], {}, contextlib.nullcontext())
        phase = main.phase if main.phase.completed else Phase.SUCCEEDED
        message = main.message
        if self._spec.get("onExit"):
            failures = [node.as_failure() for node in self._nodes if node.phase.bad]
            self._names["workflow.status"] = phase.value
            # A list inside a text, as Argo has it; without failures Go writes null.
            self._names["workflow.failures"] = json.dumps(json.dumps(failures or None))
            self._ends = float("inf")
            last = self._call(f"{self.name}.onExit", self._spec["onExit"], {}, contextlib.nullcontext())
            if phase is Phase.SUCCEEDED and last.phase.bad:
                phase, message = last.phase, last.message
        return Result(phase, message, tuple(self._nodes), time.monotonic() - self._start)

    def _globals(self, spec: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
        declared = {item["name"]: item for item in spec.get("arguments", {}).get("parameters", ())}
        strange = sorted(set(given) - set(declared))
        if strange:
            raise UnknownName(f"the workflow has no parameter {strange[0]!r}")
        names = {
            "workflow.name": self.name,
            "workflow.mainEntrypoint": spec["entrypoint"],
            "workflow.serviceAccountName": spec.get("serviceAccountName", ""),
        }
        for name, item in declared.items():
            value = given.get(name, item.get("value"))
            if value is None:
                raise UnknownName(f"parameter {name!r} has no value: give it with -p {name}=…")
            names[f"workflow.parameters.{name}"] = text(value)
        return names

    def _call(self, name: str, template: str, arguments: Mapping[str, str], slot: Slot) -> Node:
        """Runs a template."""
        if template not in self._templates:
            raise UnknownName(f"{name}: no template {template!r}")
        declared = with_defaults(self._templates[template], self._defaults)
        filled, names = called(declared, arguments, {**self._names, "node.name": name})
        if "dag" in filled:
            with slot:
                node = self._dag(name, filled, declared)
        elif "container" in filled:
            node = self._attempts(name, filled, declared, names, slot)
        else:
            raise Unsupported(f"template {template}: neither a dag nor a container")
        return node

    def _note(self, node: Node) -> Node:
        with self._lock:
            self._nodes.append(node)
        return node

    def _dag(self, name: str, template: Mapping[str, Any], declared: Mapping[str, Any]) -> Node:
        phase, tasks = Dag(name, template, self._names, self._call, declared=declared).run()
        for task in tasks.values():
            if task.items is not None or not task.phase.completed:
                self._note(task)
            for item in task.items or ():
                if not item.phase.completed:
                    self._note(item)
        return self._note(Node(name, template["name"], phase))

    def _attempts(
        self, name: str, template: dict[str, Any], declared: Mapping[str, Any], names: Mapping[str, Any], slot: Slot
    ) -> Node:
        """Pods of a template, one after the other, until one succeeds or another would be in vain."""
        strategy = template.get("retryStrategy")
        if strategy is None:
            return self._note(self._pod(name, template, declared, names, slot))
        if "limit" not in strategy:
            raise Unsupported(f"template {template['name']}: a retryStrategy without a limit is not known")
        last, tries = _FIRST_TRY, 0
        while True:
            attempt = {**names, **last, "retries": str(tries)}
            node = self._note(self._pod(f"{name}({tries})", template, declared, attempt, slot))
            tries += 1
            if not node.phase.bad:
                return self._note(replace(node, name=name, pod=""))
            last = {
                "lastRetry.exitCode": str(node.exit_code or 0),
                "lastRetry.status": node.phase.value,
                "lastRetry.duration": str(round(node.seconds)),
                "lastRetry.message": node.message,
            }
            last_try = {**last, "retries": str(tries - 1)}
            if node.exit_code is None:
                last_try["lastRetry.exitCode"] = "-1"  # in the expression alone: a tag says 0
            why = enough(strategy, node, last_try, tries=tries, late=time.monotonic() > self._deadline)
            if why:
                return self._note(replace(node, name=name, pod="", message=why))
            threading.Event().wait(pause(strategy.get("backoff", {}), tries) / self._hurry)

    def _pod(
        self,
        name: str,
        template: Mapping[str, Any],
        declared: Mapping[str, Any],
        names: Mapping[str, Any],
        slot: Slot,
    ) -> Node:
        """One pod: waits for room, creates it, waits for its end."""
        if any("valueFrom" in output for output in template.get("outputs", {}).get("parameters", ())):
            raise Unsupported(f"template {template['name']}: outputs read from files are not known to this runner")
        names = {**names, "pod.name": pod_name(self.name, template["name"], name)}
        template = fill(template, names)
        check_filled(template, declared, where=name)
        common = fill(self._patch, names)
        check_filled(common, self._patch, where="podSpecPatch of the workflow")
        with slot, self._slot:
            left = self._ends - time.monotonic()
            if left < 1:
                return Node(name, template["name"], Phase.FAILED, _DEADLINE)
            limits = [int(template["activeDeadlineSeconds"])] if "activeDeadlineSeconds" in template else []
            limits += [int(left)] if left != float("inf") else []
            pod = pod_manifest(
                workflow=self.name,
                node=name,
                spec=self._spec,
                template=template,
                deadline_s=min(limits, default=None),
            )
            for patch in (common, template.get("podSpecPatch", "")):
                pod = self._pods.patch(pod, _patch(patch, where=name)) if patch else pod
            result = self._pods.run(pod)
        return _node(name, template["name"], pod["metadata"]["name"], result)


def _node(name: str, template: str, pod: str, result: PodResult) -> Node:
    outputs = {"result": result.stdout.removesuffix("\n")} if result.phase is Phase.SUCCEEDED else {}
    return Node(
        name,
        template,
        result.phase,
        result.message,
        pod=pod,
        exit_code=result.exit_code,
        outputs=outputs,
        seconds=result.seconds,
    )


def _patch(patch: str, *, where: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(patch)
    except yaml.YAMLError as error:
        raise WorkflowProblem(f"{where}: podSpecPatch is neither JSON nor YAML: {patch}") from error
    if not isinstance(found, dict):
        raise WorkflowProblem(f"{where}: podSpecPatch is no object: {patch}")
    return found
