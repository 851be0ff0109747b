"""Runs the tasks of one dag template: each when its `depends` allows, as many at a time as `parallelism` allows."""

from __future__ import annotations

import contextlib
import graphlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tests.engines.argo_runner.errors import UnknownName, WorkflowProblem
from tests.engines.argo_runner.expressions import truth
from tests.engines.argo_runner.nodes import Node, Phase
from tests.engines.argo_runner.tags import check_filled, fill
from tests.engines.argo_runner.templates import text

_TASK = re.compile(r"([a-zA-Z0-9][-a-zA-Z0-9]*)(\.[A-Z][a-zA-Z]+)?")
_PLAIN = ("Succeeded", "Skipped", "Daemoned")  # what a task's bare name means
Slot = contextlib.AbstractContextManager[object]
Call = Callable[[str, str, Mapping[str, str], Slot], Node]
"""Runs a template: name of the node, name of the template, its arguments, room for one child of this dag."""


class Dag:
    """One call of a dag template."""

    def __init__(
        self,
        name: str,
        template: Mapping[str, Any],
        names: Mapping[str, Any],
        call: Call,
        *,
        declared: Mapping[str, Any],
    ) -> None:
        """Prepares it.

        Args:
            name: of its node.
            template: filled in, but for what its own tasks will say.
            declared: the template as it was written.
            names: everything else that has a value.
            call: runs a template.
        """
        self._name, self._names, self._call = name, names, call
        self._tasks = {task["name"]: task for task in template["dag"]["tasks"]}
        self._declared = {task["name"]: task for task in declared["dag"]["tasks"]}
        self._needs = {task: dependencies(declared.get("depends", "")) for task, declared in self._tasks.items()}
        strange = {need for needs in self._needs.values() for need in needs} - set(self._tasks)
        if strange:
            raise UnknownName(f"{name}: no task {min(strange)}")
        limit = template.get("parallelism")
        self._slot: Slot = threading.BoundedSemaphore(int(limit)) if limit else contextlib.nullcontext()

    def run(self) -> tuple[Phase, dict[str, Node]]:
        """How the whole ended, and each of its tasks."""
        order = tuple(graphlib.TopologicalSorter(self._needs).static_order())
        futures: dict[str, Future[Node]] = {}
        with ThreadPoolExecutor(max_workers=len(order)) as threads:
            for name in order:
                futures[name] = threads.submit(self._after_others, name, futures)
        nodes = {name: future.result() for name, future in futures.items()}
        leaves = set(nodes) - {need for needs in self._needs.values() for need in needs}
        phases = [phase for leaf in sorted(leaves) for phase in self._branch(leaf, nodes) if phase.bad]
        return (phases[-1] if phases else Phase.SUCCEEDED), nodes

    def _branch(self, task: str, nodes: Mapping[str, Node]) -> list[Phase]:
        """How the branch that ends with a task ended: one that was not tried tells how those before it did."""
        node = nodes[task]
        if node.phase.completed:
            return [item.phase for item in node.items or () if item.phase.completed] + [node.phase]
        return [phase for need in self._needs[task] for phase in self._branch(need, nodes)]

    def _after_others(self, name: str, futures: Mapping[str, Future[Node]]) -> Node:
        before = {need: futures[need].result() for need in self._ancestors(name)}
        task, path = self._tasks[name], f"{self._name}.{name}"
        if "depends" in task and not depends_met(task["depends"], before):
            return Node(path, task["template"], Phase.OMITTED, "omitted: depends condition not met")
        filled = fill(task, {**self._names, **_outputs(before)})
        run = self._fan_out if "withParam" in task else self._one
        return run(path, filled, self._declared[name])

    def _ancestors(self, name: str) -> set[str]:
        found = set(self._needs[name])
        for need in self._needs[name]:
            found |= self._ancestors(need)
        return found

    def _one(self, path: str, task: Mapping[str, Any], declared: Mapping[str, Any]) -> Node:
        """One call: of a task, or of one item of it."""
        when = task.get("when", "")
        check_filled(when, declared, where=path)
        if when and not truth(when, {}, bare_words=True):
            return Node(path, task["template"], Phase.SKIPPED, f"when '{when}' evaluated false")
        check_filled(task, declared, where=path)
        given = {item["name"]: text(item["value"]) for item in task.get("arguments", {}).get("parameters", ())}
        return self._call(path, task["template"], given, self._slot)

    def _fan_out(self, path: str, task: Mapping[str, Any], declared: Mapping[str, Any]) -> Node:
        check_filled(task["withParam"], declared, where=path)
        try:
            items = json.loads(task["withParam"])
        except json.JSONDecodeError as error:
            raise WorkflowProblem(f"{path}: withParam is no JSON list: {task['withParam']!r}") from error
        if not isinstance(items, list):
            raise WorkflowProblem(f"{path}: withParam is no JSON list: {task['withParam']!r}")
        if not items:
            return Node(path, task["template"], Phase.SKIPPED, "Skipped, empty params")
        with ThreadPoolExecutor(max_workers=len(items)) as threads:
            running = [
                threads.submit(self._one, f"{path}({index}:{_label(item)})", fill(task, _item_names(item)), declared)
                for index, item in enumerate(items)
            ]
        nodes = tuple(future.result() for future in running)
        bad = [node.phase for node in nodes if node.phase.bad]
        return Node(path, task["template"], bad[-1] if bad else Phase.SUCCEEDED, items=nodes)


def dependencies(depends: str) -> tuple[str, ...]:
    """The tasks that a `depends` mentions."""
    return tuple(dict.fromkeys(name for name, _ in _TASK.findall(depends)))


def depends_met(depends: str, nodes: Mapping[str, Node]) -> bool:
    """Whether a task may run, given the nodes before it."""

    def spelled(found: re.Match[str]) -> str:
        results = (found[2][1:],) if found[2] else _PLAIN
        name = found[1].replace("-", "_")
        return "(" + " || ".join(f"{name}.{result}" for result in results) + ")"

    states: dict[str, bool] = {}
    for name in dependencies(depends):
        node = nodes[name]
        for result in ("Succeeded", "Failed", "Skipped", "Omitted"):
            states[f"{name.replace('-', '_')}.{result}"] = node.phase.value == result
        states[f"{name.replace('-', '_')}.Errored"] = node.phase is Phase.ERROR
        states[f"{name.replace('-', '_')}.Daemoned"] = False
        items = [item.phase for item in node.items or ()]
        states[f"{name.replace('-', '_')}.AnySucceeded"] = Phase.SUCCEEDED in items
        states[f"{name.replace('-', '_')}.AllFailed"] = bool(items) and set(items) == {Phase.FAILED}
    return truth(_TASK.sub(spelled, depends), states)


def _outputs(nodes: Mapping[str, Node]) -> dict[str, str | None]:
    """tasks.NAME.… of tasks that are over. Those of a fan-out are JSON lists."""
    names: dict[str, str | None] = {}
    for name, node in nodes.items():
        names[f"tasks.{name}.status"] = node.phase.value
        if node.exit_code is not None:
            names[f"tasks.{name}.exitCode"] = str(node.exit_code)
        for output, value in node.outputs.items():
            names[f"tasks.{name}.outputs.{output}"] = value
        for output in {output for item in node.items or () for output in item.outputs}:
            values = [item.outputs[output] for item in node.items or () if output in item.outputs]
            names[f"tasks.{name}.outputs.{output}"] = json.dumps(values)
    return names


def _item_names(item: Any) -> dict[str, str]:
    names = {"item": text(item)}
    return names | {f"item.{key}": text(value) for key, value in item.items()} if isinstance(item, dict) else names


def _label(item: Any) -> str:
    return ",".join(f"{key}:{text(value)}" for key, value in item.items()) if isinstance(item, dict) else text(item)
