"""The pods of workflows on a real cluster: created, watched, and judged in the words of Argo."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import Any

from tests.engines.argo_runner.nodes import Phase, PodResult
from tests.engines.argo_runner.pod_manifest import WORKFLOW_LABEL
from tests.engines.kubernetes import Cluster, until

POD_S = 240  # no pod of the small scene needs more, even on a busy machine


class ClusterPods:
    """Runs the pods of workflows in one namespace: as the context manager ends, its watch ends."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """Starts to watch the namespace's pods."""
        self._cluster, self._namespace = cluster, namespace
        self._seen: dict[str, dict[str, Any]] = {}
        self._gone: set[str] = set()
        self._changed = threading.Condition()
        self._watch = subprocess.Popen(
            ["kubectl", "--namespace", namespace, "get", "pods", "--watch", "--output-watch-events", "--output=json"],
            env=cluster.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Stops watching."""
        self._watch.terminate()
        self._watch.wait(10)
        self._reader.join(10)
        if self._watch.stdout is not None:
            self._watch.stdout.close()

    def __enter__(self) -> ClusterPods:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def patch(self, pod: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        """The pod after Kubernetes' own strategic merge."""
        patch = json.dumps({"spec": spec})
        patched: dict[str, Any] = json.loads(
            self._cluster.kubectl(
                "patch", "--local", "--filename=-", "--type=strategic", "--output=json", "--patch", patch, given=pod
            )
        )
        return patched

    def run(self, pod: dict[str, Any]) -> PodResult:
        """Creates the pod and waits for its end."""
        begin = time.monotonic()
        name = pod["metadata"]["name"]
        self._cluster.kubectl("create", "--validate=strict", "--filename=-", given=pod, namespace=self._namespace)
        with self._changed:
            over = self._changed.wait_for(lambda: name in self._gone or _ended(self._seen.get(name)), POD_S)
            last = self._seen.get(name)
        seconds = time.monotonic() - begin
        if not over:
            raise TimeoutError(f"pod {name} is still {last and last['status'].get('phase')} after {POD_S} s")
        if last is None or not _ended(last):
            return PodResult(Phase.ERROR, "pod deleted", seconds=seconds)
        return result_of(last, self._cluster.stdout_of(last), seconds)

    def seen(self, workflow: str = "") -> list[dict[str, Any]]:
        """The last state of every pod that was there, of one workflow or of all."""
        with self._changed:
            found = list(self._seen.values())
        return [pod for pod in found if workflow in ("", pod["metadata"].get("labels", {}).get(WORKFLOW_LABEL))]

    def wait_until_running(self, template: str, workflow: str, *, seconds: float = 60) -> str:
        """The name of the first pod of a template whose main container runs."""

        def running() -> str:
            return next(
                (
                    pod["metadata"]["name"]
                    for pod in self.seen(workflow)
                    if f"-{template}-" in pod["metadata"]["name"]
                    and any(
                        status["name"] == "main" and "running" in status["state"]
                        for status in pod["status"].get("containerStatuses", ())
                    )
                ),
                "",
            )

        return until(running, seconds=seconds)

    def _read(self) -> None:
        for line in self._watch.stdout or ():  # one event a line
            event = json.loads(line)
            with self._changed:
                self._seen[event["object"]["metadata"]["name"]] = event["object"]
                if event["type"] == "DELETED":
                    self._gone.add(event["object"]["metadata"]["name"])
                self._changed.notify_all()


def _ended(pod: Mapping[str, Any] | None) -> bool:
    return pod is not None and pod["status"].get("phase") in ("Succeeded", "Failed")


def result_of(pod: Mapping[str, Any], stdout: str, seconds: float) -> PodResult:
    """How a pod ended, worded as Argo's controller words it."""
    status = pod["status"]
    main: dict[str, Any] = next((item for item in status.get("containerStatuses", ()) if item["name"] == "main"), {})
    ended = main.get("state", {}).get("terminated", {})
    code = ended.get("exitCode")
    if status["phase"] == "Succeeded":
        return PodResult(Phase.SUCCEEDED, exit_code=code, stdout=stdout, seconds=seconds)
    first = next((item for item in status.get("initContainerStatuses", ()) if _failed(item)), None)
    if first is not None and not status.get("message"):
        ended = first["state"]["terminated"]
        message = f"{first['name']}: {ended.get('reason')} (exit code {ended['exitCode']})"
        return PodResult(Phase.FAILED, message, exit_code=code, stdout=stdout, seconds=seconds)
    message = status.get("message") or f"main: {ended.get('reason')} (exit code {code})"
    return PodResult(Phase.FAILED, message, exit_code=code, stdout=stdout, seconds=seconds)


def _failed(container: Mapping[str, Any]) -> bool:
    return bool(container["state"].get("terminated", {}).get("exitCode", 0))
