"""The pod that a container template becomes, without what Argo adds for itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from tests.engines.argo_runner.errors import WorkflowProblem

WORKFLOW_LABEL = "workflows.argoproj.io/workflow"
NODE_ANNOTATION = "workflows.argoproj.io/node-name"
_FROM_EITHER = ("automountServiceAccountToken", "nodeSelector", "securityContext", "serviceAccountName", "tolerations")


def pod_name(workflow: str, template: str, node: str) -> str:
    """As Argo's: the workflow, the template and a hash of the node's name."""
    return f"{workflow}-{template}-{int(hashlib.sha256(node.encode()).hexdigest(), 16) % 10**10}"


def pod_manifest(
    *, workflow: str, node: str, spec: Mapping[str, Any], template: Mapping[str, Any], deadline_s: int | None
) -> dict[str, Any]:
    """The pod of one attempt.

    Args:
        workflow: name of the workflow.
        node: name of the attempt.
        spec: of the workflow, filled in.
        template: of the container, filled in.
        deadline_s: seconds that it may run.
    """
    metadata = {**spec.get("podMetadata", {}).get("labels", {}), **template.get("metadata", {}).get("labels", {})}
    notes = {
        **spec.get("podMetadata", {}).get("annotations", {}),
        **template.get("metadata", {}).get("annotations", {}),
    }
    containers = [{**template["container"], "name": "main"}]
    first = [dict(container) for container in template.get("initContainers", ())]
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "containers": containers,
        "volumes": _volumes(spec, template, [*first, *containers]),
    }
    if first:
        pod["initContainers"] = [_mirrored(container, containers[0]) for container in first]
    for field in _FROM_EITHER:
        if field in template or field in spec:
            pod[field] = template.get(field, spec.get(field))
    if "imagePullSecrets" in spec:
        pod["imagePullSecrets"] = spec["imagePullSecrets"]
    if deadline_s is not None:
        pod["activeDeadlineSeconds"] = deadline_s
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(workflow, template["name"], node),
            "labels": {WORKFLOW_LABEL: workflow, **metadata},
            "annotations": {NODE_ANNOTATION: node, **notes},
        },
        "spec": pod,
    }


def _mirrored(container: dict[str, Any], main: Mapping[str, Any]) -> dict[str, Any]:
    if container.pop("mirrorVolumeMounts", False):
        container["volumeMounts"] = [*container.get("volumeMounts", ()), *main.get("volumeMounts", ())]
    return container


def _volumes(
    spec: Mapping[str, Any], template: Mapping[str, Any], containers: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Those that are mounted: the template's own, else the workflow's."""
    known = {volume["name"]: volume for volume in (*spec.get("volumes", ()), *template.get("volumes", ()))}
    mounted = {mount["name"]: None for container in containers for mount in container.get("volumeMounts", ())}
    missing = [name for name in mounted if name not in known]
    if missing:
        raise WorkflowProblem(f"template {template['name']}: volume {missing[0]!r} not found in workflow spec")
    return [known[name] for name in mounted]
